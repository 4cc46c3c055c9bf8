"""An empty store, and one that holds the real day: both on every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from bestbt.store.dialects import reading
from bestbt.store.quality import QualityReport
from bestbt.store.store import Store
from tests.store.row_market import EVERYTHING, write

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


@pytest.fixture
def server_store(on_server: str) -> Iterator[Store]:
    """An empty store on a server, with TimescaleDB in it if the server has that."""
    opened = Store.open(on_server)
    asked = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
    with reading(opened.engine).connect() as connection:
        if connection.execute(text(asked)).scalar():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
    opened.engine.dispose()  # a connection that is older does not know it
    yield opened
    opened.drop_mirror()
    opened.close()


@pytest.fixture
def march(server_store: Store) -> Store:
    """A session of March 2024 and a Saturday in two parts, of every kind."""
    write(server_store, EVERYTHING, date(2024, 3, 1), date(2024, 3, 2))
    return server_store
