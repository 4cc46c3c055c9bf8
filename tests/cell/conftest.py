"""What the tests of a cell share: the real engine's face."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from bestbt.cell.check import Problem, Surface, check
from bestbt.engine.strategy import Strategy


@pytest.fixture(scope="session")
def face() -> Surface:
    return Surface.of(Strategy)


@pytest.fixture(scope="session")
def found(face: Surface) -> Callable[..., list[Problem]]:
    """Check a cell given as indented text."""

    def run(source: str, *user_names: str, face: Surface = face) -> list[Problem]:
        return check(textwrap.dedent(source).lstrip("\n"), face, user_names)

    return run
