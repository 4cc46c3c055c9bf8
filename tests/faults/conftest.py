"""A server of these tests' own, which they may stop and kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bestbt.store.store import Store
from tests.postgres import Databases, Server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.remove()


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    """Return the address of an empty store on that server."""
    server.start()
    databases = Databases(server.url)
    made = databases.new()
    Store.open(made).close()
    yield made
    server.start()
    databases.drop(made)


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store, on every database there is."""
    if request.param == "sqlite":
        return str(tmp_path / "prices.sqlite")
    on_server: str = request.getfixturevalue("on_server")
    return on_server
