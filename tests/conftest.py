"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real market data and reference tables, beside the checkout."""
    folder = Path(os.environ.get("BESTBT_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "INDEX.md").exists():
        pytest.skip(f"no real data at {folder}: set BESTBT_SHARED to the folder that holds it")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew on purpose."""
    parser.addoption("--regold", action="store_true", help="write the golden runs anew")
