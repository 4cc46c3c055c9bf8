"""Fixtures every test may use."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bestbt.markets.demo import write_demo
from bestbt.store.store import Store
from tests.postgres import Databases, Server

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Let Ctrl-C interrupt: a shell that starts tests in its background has them ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real market data and reference tables, beside the checkout."""
    folder = Path(os.environ.get("BESTBT_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "INDEX.md").exists():
        pytest.skip(f"no real data at {folder}: set BESTBT_SHARED to the folder that holds it")
    return folder


class DemoStores:
    """Stores of the demo market, each written once for all processes: a test opens a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, first: date | None = None, last: date | None = None) -> Path:
        """Return the file with the sessions of these days, or with all there are."""
        path = self._folder / f"demo {first} {last}.sqlite"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                begun = path.with_suffix(".begun")
                store = Store.open(begun)
                write_demo(store, "NIFTY", first, last)
                store.close()
                begun.rename(path)
        return path


@pytest.fixture(scope="session")
def demo_stores(tmp_path_factory: pytest.TempPathFactory) -> DemoStores:
    """Return where the demo market is."""
    folder = tmp_path_factory.getbasetemp()
    return DemoStores(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of the server that `BESTBT_TEST_PG` names, else of one started for the tests."""
    given = os.environ.get("BESTBT_TEST_PG")
    server = None if given else Server()
    made = Databases(server.url if server else str(given))
    yield made
    if server:
        server.remove()
    else:
        made.drop_all()


@pytest.fixture
def on_server(databases: Databases) -> Iterator[str]:
    """Return the address of an empty store of the test's own on the server."""
    address = databases.take()
    yield address
    databases.give_back(address)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store, on every database there is."""
    if request.param == "sqlite":
        return str(tmp_path / "prices.sqlite")
    on_server: str = request.getfixturevalue("on_server")
    return on_server


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew on purpose, and more imports be killed than usual."""
    kills = "imports killed at random points, on each database"
    parser.addoption("--kills", type=int, default=6, help=kills)
    parser.addoption("--regold", action="store_true", help="write the golden runs anew")
