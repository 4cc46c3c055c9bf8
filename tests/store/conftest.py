"""A store in a folder of its own, and one that holds the real day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bestbt.store.quality import QualityReport
from bestbt.store.store import Store

DAY_FILE = "banknifty_20221230.parquet"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "prices.sqlite")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def minute(shared: Path) -> Path:
    return shared / "data" / "minute"


@pytest.fixture(scope="session")
def real(
    minute: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, QualityReport]]:
    """The real day of BANKNIFTY, its future and 129 options; nobody writes to it."""
    opened = Store.open(tmp_path_factory.mktemp("real") / "prices.sqlite")
    report = opened.import_file(minute / DAY_FILE, progress=False)
    yield opened, report
    opened.close()
