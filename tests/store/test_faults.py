"""A killed import, a repeated one, two readers, a reader beside a writer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.markets.india import INDIA
from bestbt.store.quality import QualityReport
from bestbt.store.store import Store
from bestbt.units import MINUTE

DAY_FILE = "banknifty_20221230.parquet"

# Imports a file and stops after some contracts until it is told to go on.
IMPORTER = """
import sys
from bestbt.store.store import Store

def tell(done, total, text):
    if done == int(sys.argv[3]):
        print("there", flush=True)
        sys.stdin.readline()

Store.open(sys.argv[1]).import_file(sys.argv[2], progress=tell)
print("done", flush=True)
sys.stdin.readline()
"""


def importer(store: str, file: Path, stop_after: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTER, store, str(file), str(stop_after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("after", [1, 70, 131])
def test_an_import_killed_half_way_leaves_nothing(address: str, minute: Path, after: int) -> None:
    process = importer(address, minute / DAY_FILE, after)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    kill(process)
    store = Store.open(address)
    assert store.is_empty
    assert store.imports().empty
    report = store.import_file(minute / DAY_FILE, progress=False)  # and nothing stands in the way
    assert report.contracts == 131
    assert not report.already
    store.close()


def test_an_import_killed_after_its_end_leaves_all(address: str, minute: Path) -> None:
    process = importer(address, minute / DAY_FILE, -1)
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    kill(process)
    store = Store.open(address)
    assert store.coverage()["contracts"].sum() == 131
    assert len(store.imports()) == 1
    store.close()


def test_others_read_while_one_writes(address: str, minute: Path) -> None:
    store = Store.open(address)
    first = ContractSpec("index", "NIFTY")
    session = INDIA.sessions(date(2024, 1, 1), date(2024, 1, 1))[0]
    with store.importing("one bar") as tx:
        tx.write(first, np.array([session.open]), np.array([1, 1, 1, 1], np.int32))
    process = importer(address, minute / DAY_FILE, 70)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "there\n"
    assert store.coverage()["symbol"].tolist() == ["NIFTY"]  # the writer is in the middle
    assert len(store.prices("NIFTY")) == 1
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    assert "BANKNIFTY" in store.coverage()["symbol"].tolist()
    process.communicate("\n")
    store.close()


def test_a_repeated_import_adds_nothing_and_says_so(store: Store, minute: Path) -> None:
    first = store.import_file(minute / DAY_FILE, progress=False)
    before = store.coverage(), store.fingerprint(["BANKNIFTY"], "2022-12-01", "2022-12-31")
    again = store.import_file(minute / DAY_FILE, progress=False)
    assert first.stored == 38710
    assert again.already
    assert again.stored == 0
    assert "none stored again" in str(again)
    assert store.coverage().equals(before[0])
    assert store.fingerprint(["BANKNIFTY"], "2022-12-01", "2022-12-31") == before[1]
    assert len(store.imports()) == 1
    forced = store.import_file(minute / DAY_FILE, progress=False, again=True)
    assert forced.noted["replaced"] == 38710
    assert store.coverage().equals(before[0])
    assert store.fingerprint(["BANKNIFTY"], "2022-12-01", "2022-12-31") == before[1]


def test_an_error_in_the_block_leaves_nothing(store: Store) -> None:
    session = INDIA.sessions(date(2024, 1, 1), date(2024, 1, 1))[0]
    points = np.array([1, 1, 1, 1], np.int32)

    def go_wrong() -> None:
        with store.importing("bad") as tx:
            tx.write(ContractSpec("index", "NIFTY"), np.array([session.open]), points)
            tx.write(ContractSpec("index", "BANKNIFTY"), np.array([session.open - MINUTE]), points)

    with pytest.raises(UsageError, match="no bar of a session"):
        go_wrong()
    assert store.is_empty


def test_threads_read_the_same(real: tuple[Store, QualityReport]) -> None:
    store = real[0]
    store.slabs.clear()
    feed = store.feed("BANKNIFTY", "2022-12-30", "2022-12-30")
    specs = [row.spec for row in feed.listed("BANKNIFTY", date(2023, 1, 5))]
    seen: list[list[PriceColumns | None]] = []
    start = threading.Barrier(4)

    def read(order: list[ContractSpec]) -> None:
        start.wait()
        found = {spec: feed.columns(spec) for spec in order}
        seen.append([found[spec] for spec in specs])

    orders = [specs, specs[::-1], specs[50:] + specs[:50], specs]
    threads = [threading.Thread(target=read, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    for other in seen[1:]:  # one array in memory for all of them
        assert all(a is b for a, b in zip(seen[0], other, strict=True))


def test_addresses_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        Store.open(tmp_path)
    with pytest.raises(UsageError, match="mysql"):
        Store.open("mysql://x/y")
    text = tmp_path / "notes.txt"
    text.write_text("this is no database, but it is long enough to have a header" * 20)
    with pytest.raises(UsageError, match="not a SQLite file"):
        Store.open(text)


def test_the_environment_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESTBT_STORE", f"sqlite:///{tmp_path}/folder/mine.sqlite")
    store = Store.open()
    assert (tmp_path / "folder" / "mine.sqlite").exists()
    store.close()


def test_a_damaged_file_says_so(tmp_path: Path, minute: Path) -> None:
    path = tmp_path / "prices.sqlite"
    store = Store.open(path)
    store.import_file(minute / DAY_FILE, progress=False)
    store.close()
    raw = bytearray(path.read_bytes())
    raw[4096 : len(raw)] = bytes(len(raw) - 4096)
    path.write_bytes(raw)
    with pytest.raises(StoreCorrupt):
        Store.open(path).coverage()
