"""A server that is stopped, killed and started anew under a run, an import and a copy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from bestbt import Backtest, Strategy, at
from bestbt.errors import StoreUnreachable
from bestbt.markets.demo import write_demo
from bestbt.store import dialects
from bestbt.store.store import Store
from tests.conftest import ROOT
from tests.postgres import Server

DAYS = (date(2024, 1, 3), date(2024, 1, 4))
HOWS = [signal.SIGINT, signal.SIGQUIT]  # in good order; as after a crash


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with two days of the demo market."""
    path = tmp_path_factory.mktemp("demo") / "demo.sqlite"
    store = Store.open(path)
    write_demo(store, "NIFTY", *DAYS)
    store.close()
    return path


@pytest.fixture
def moved(demo: Path, address: str) -> str:
    """Return the address of the same two days on the server."""
    store = Store.open(demo)
    store.copy_to(address, progress=False)
    store.close()
    return address


class Straddles(Strategy):
    """It reads new contracts after each of its hours."""

    between: Callable[[], None] = staticmethod(lambda: None)

    @at("09:20")
    def first(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="25%")

    @at("11:00")
    def second(self):
        type(self).between()
        for right in ("CE", "PE"):
            self.sell(self.get_by_percent(right, 2), lots=1, sl="40%")

    @at("15:15")
    def leave(self):
        self.exit_all()


def play(store: Store, between: Callable[[], None] = lambda: None) -> str:
    class Now(Straddles):
        pass

    Now.between = staticmethod(between)
    Now.__name__ = Straddles.__name__
    return Backtest(Now, store, "NIFTY").run().hash


@pytest.mark.parametrize("how", HOWS)
def test_a_run_outlives_a_restart(demo: Path, moved: str, server: Server, how: signal.Signals,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    embedded = Store.open(demo)
    undisturbed = play(embedded)
    embedded.close()
    store = Store.open(moved)
    waited: list[float] = []

    def wait(seconds: float) -> None:  # the server is back when a reader has tried three times
        waited.append(seconds)
        if len(waited) % 3 == 0:
            server.start()

    monkeypatch.setattr(dialects.time, "sleep", wait)
    read = store.slabs.loads
    assert play(store, lambda: server.stop(how)) == undisturbed
    assert len(waited) >= 6  # on both days
    assert store.slabs.loads > read
    store.close()


def test_a_run_ends_in_one_line_when_the_server_stays_away(
    moved: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(moved)
    waited: list[float] = []
    monkeypatch.setattr(dialects.time, "sleep", waited.append)
    with pytest.raises(StoreUnreachable, match="no PostgreSQL answers there") as gone:
        play(store, server.stop)
    assert "\n" not in str(gone.value)
    assert 20 < sum(waited) < 60
    store.close()


def bars(folder: Path) -> Path:
    """Write some minutes of forty options."""
    times = pd.date_range("2024-01-03 09:15", periods=30, freq="min").astype(str)
    rows = [
        (f"NIFTY24104{strike}{right}", time, 100 + n, 103 + n, 99 + n, 101 + n)
        for strike in range(21000, 22000, 50)
        for right in ("CE", "PE")
        for n, time in enumerate(times)
    ]
    rows += [("NIFTY", time, 21500 + n, 21510 + n, 21490 + n, 21505 + n)
             for n, time in enumerate(times)]  # fmt: skip
    columns = ["symbol", "datetime", "open", "high", "low", "close"]
    file = folder / "bars.csv"
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
    return file


def undisturbed(folder: Path, file: Path) -> str:
    store = Store.open(folder / "undisturbed.sqlite")
    store.import_file(file, progress=False)
    found = store.fingerprint(["NIFTY"], *DAYS)
    store.close()
    return found


def end_sessions(server: Server, address: str) -> None:
    """End the sessions of a store, as an administrator does."""
    store = Store.open(address)
    with store.engine.connect() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        asked = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {others}"
        connection.execute(text(asked))
    store.close()


@pytest.mark.parametrize("after", [1, 40, 41])
@pytest.mark.parametrize("what", ["stop", "crash", "end sessions"])
def test_an_import_that_loses_its_server_leaves_nothing(
    address: str, server: Server, tmp_path: Path, what: str, after: int
) -> None:
    file = bars(tmp_path)
    store = Store.open(address)

    def tell(done: int, total: int, text: str) -> None:
        if (done, text) != (after, "stored") and done == after:
            if what == "end sessions":
                end_sessions(server, address)
            else:
                server.stop(HOWS[what == "crash"])

    with pytest.raises(StoreUnreachable, match="went away while it was used") as lost:
        store.import_file(file, progress=tell)
    assert "\n" not in str(lost.value)
    assert "try again" in str(lost.value)
    server.start()
    assert store.is_empty  # the same store: its connections are made anew
    assert store.imports().empty
    report = store.import_file(file, progress=False)
    assert (report.contracts, report.already) == (41, "")
    assert store.fingerprint(["NIFTY"], *DAYS) == undisturbed(tmp_path, file)
    assert store.verify(progress=False).damage == ()
    store.close()


def test_a_copy_that_loses_its_server_goes_on(demo: Path, address: str, server: Server) -> None:
    source = Store.open(demo)

    def tell(done: int, total: int, text: str) -> None:
        if text == "options_segment":
            server.stop(signal.SIGQUIT)

    with pytest.raises(StoreUnreachable):
        source.copy_to(address, progress=tell)
    server.start()
    source.copy_to(address, progress=False)
    moved = Store.open(address)
    asked = (["NIFTY"], *DAYS)
    assert moved.fingerprint(*asked) == source.fingerprint(*asked)
    assert moved.coverage().equals(source.coverage())
    moved.close()
    source.close()


# Imports a file and waits at a contract until it is killed.
IMPORTER = """
import sys
from bestbt.store.store import Store

def tell(done, total, text):
    if done == int(sys.argv[3]):
        print("there", flush=True)
        sys.stdin.readline()

Store.open(sys.argv[1]).import_file(sys.argv[2], progress=tell)
"""


@pytest.mark.parametrize("after", [1, 41])
def test_an_import_that_is_killed_leaves_nothing_and_no_lock(
    address: str, tmp_path: Path, after: int
) -> None:
    file = bars(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORTER, address, str(file), str(after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    process.kill()
    process.communicate()
    store = Store.open(address)
    assert store.is_empty
    assert store.import_file(file, progress=False).contracts == 41
    assert store.fingerprint(["NIFTY"], *DAYS) == undisturbed(tmp_path, file)
    store.close()
