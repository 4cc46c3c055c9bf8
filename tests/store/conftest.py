"""An empty store, and one that holds the real day: both on every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bestbt.store.quality import QualityReport
from bestbt.store.store import Store

DAY_FILE = "banknifty_20221230.parquet"


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    opened = Store.open(address)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def minute(shared: Path) -> Path:
    return shared / "data" / "minute"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def real(
    request: pytest.FixtureRequest, minute: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, QualityReport]]:
    """The real day of BANKNIFTY, its future and 129 options; nobody writes to it."""
    address = str(tmp_path_factory.mktemp("real") / "prices.sqlite")
    if request.param == "postgresql":
        address = request.getfixturevalue("databases").new()
    opened = Store.open(address)
    report = opened.import_file(minute / DAY_FILE, progress=False)
    yield opened, report
    opened.close()
    if request.param == "postgresql":
        request.getfixturevalue("databases").drop(address)
