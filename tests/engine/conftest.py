"""Fixtures of the engine's tests."""

from tests.engine.examples import play

__all__ = ["play"]
