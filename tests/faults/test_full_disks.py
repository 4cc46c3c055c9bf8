"""A disk without room: one line that says so, what was stored is kept, and a second try succeeds.

Twice: on a small file system in memory, where this process may mount one; and, everywhere, with a
limit on the size of files, for which the system answers a write otherwise.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import text

from bestbt import Backtest
from bestbt.errors import ImportRefused, UsageError
from bestbt.markets.demo import write_demo
from bestbt.store.store import Store
from tests.face.strategies import ShortStraddle
from tests.faults.content import content
from tests.postgres import Server

DAY = date(2024, 1, 3)


def room(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail


class Disk:
    """A folder that can be filled, and emptied again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no room."""
        raise NotImplementedError

    def make_room(self) -> None:
        raise NotImplementedError


class Mounted(Disk):
    """A file system of 64 MiB in memory, filled by a file."""

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while room(self.folder):
                with suppress(OSError):
                    ballast.write(bytes(1 << 16))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


class Limited(Disk):
    """No file of this process can be written beyond its first page."""

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def make_room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield Mounted(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Limited]:
    folder = tmp_path / "disk"
    folder.mkdir()
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails instead
    disk = Limited(folder)
    yield disk
    disk.make_room()
    signal.signal(signal.SIGXFSZ, before)


@pytest.fixture(params=["mounted", "limited"])
def disk(request: pytest.FixtureRequest) -> Disk:
    found: Disk = request.getfixturevalue(request.param)
    return found


def bars(file: Path, contracts: int) -> Path:
    """Write random bars, which do not pack well, of some options and of the index."""
    rng = np.random.default_rng(contracts)
    times = pd.date_range(f"{DAY} 09:15", periods=375, freq="min")
    found = []
    for name in ["NIFTY", *(f"NIFTY24104{20000 + 50 * n}CE" for n in range(contracts))]:
        points = rng.integers(21_000, 21_100, (375, 4))
        frame = pd.DataFrame({"symbol": name, "datetime": times, "open": points[:, 0]})
        frame["high"], frame["low"] = points.max(axis=1), points.min(axis=1)
        found.append(frame.assign(close=points[:, 3], volume=rng.integers(1, 10**6, 375)))
    pd.concat(found).to_parquet(file)
    return file


def one_line(error: BaseException) -> str:
    assert isinstance(error, UsageError), repr(error)
    assert "\n" not in str(error)
    return str(error)


def test_an_import(disk: Disk, tmp_path: Path) -> None:
    few, many = bars(tmp_path / "few.parquet", 2), bars(tmp_path / "many.parquet", 150)
    store = Store.open(disk.folder / "prices.sqlite")
    store.import_file(few, progress=False)
    before = content(store)
    disk.fill()
    with pytest.raises(UsageError) as refused:
        store.import_file(many, progress=False)
    told = one_line(refused.value)
    assert str(disk.folder / "prices.sqlite") in told
    assert "is full" in told if isinstance(disk, Mounted) else "limit on the size of files" in told
    assert content(store) == before
    disk.make_room()
    assert store.import_file(many, progress=False).contracts == 151
    assert store.verify(progress=False).damage == ()
    store.close()
    whole = Store.open(tmp_path / "whole.sqlite")
    whole.import_file(few, progress=False)
    whole.import_file(many, progress=False)
    store = Store.open(disk.folder / "prices.sqlite")
    assert content(store) == content(whole)
    store.close()
    whole.close()


def test_a_new_store(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(UsageError) as refused:
        Store.open(disk.folder / "prices.sqlite")
    one_line(refused.value)
    disk.make_room()
    Store.open(disk.folder / "prices.sqlite").close()


def test_an_export(disk: Disk, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "prices.sqlite")
    store.import_file(bars(tmp_path / "few.parquet", 2), progress=False)
    file = disk.folder / "out.parquet"
    assert store.export("NIFTY", file, derivatives=False, progress=False) == 375
    before = file.read_bytes()
    disk.fill()
    with pytest.raises(UsageError, match=r"out.parquet cannot be written \(.*Make room") as refused:
        store.export("NIFTY", file, progress=False)
    one_line(refused.value)
    assert file.read_bytes() == before
    assert not file.with_name("out.parquet.part").exists()
    disk.make_room()
    assert store.export("NIFTY", file, progress=False) == 3 * 375
    store.close()


def test_an_archive_is_unpacked_elsewhere(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(bars(tmp_path / "few.parquet", 20), "few.parquet")
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    store = Store.open(tmp_path / "prices.sqlite")
    disk.fill()
    with pytest.raises(ImportRefused, match=r"cannot be unpacked in .*Make room there, or set TMP"):
        store.import_file(archive, progress=False)
    disk.make_room()
    assert store.import_file(archive, progress=False).contracts == 21
    assert [file.name for file in disk.folder.iterdir()] == []
    store.close()


@pytest.mark.parametrize("back", ["while it plays", "after its end"])
def test_a_run_that_is_saved(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: str
) -> None:
    monkeypatch.setattr("bestbt.recorder._RETRY", 0.0)
    monkeypatch.setattr("bestbt.recorder._LOOK", 0.0)
    store = Store.open(disk.folder / "prices.sqlite")
    write_demo(store, "NIFTY", DAY, date(2024, 1, 5))
    prices = content(store)
    store.close()  # so that the write-ahead log has no room left over from the prices

    class Full(ShortStraddle):
        def on_session_end(self) -> None:
            if self.today.day == 3:
                disk.fill()
            elif self.today.day == 4:  # the session before can be written, had it room
                wait_for(lambda: run.unsaved is not None)
                if back == "while it plays":
                    disk.make_room()

    Full.__name__, Full.__qualname__ = ShortStraddle.__name__, ShortStraddle.__qualname__
    backtest = Backtest(Full, store, "NIFTY", save="full")

    def wait_for(done: Callable[[], bool]) -> None:
        for _ in range(1000):
            if done():
                return
            assert backtest.recorder is not None
            backtest.recorder.wait(0.02)
        raise AssertionError("nothing was told")

    run = backtest.run_to("2024-01-03 10:00")
    assert backtest.recorder is not None
    backtest.recorder.wait()
    backtest.run()
    assert run.state == "finished"
    assert list(run.log["kind"]).count("unsaved") == 1
    if back == "after its end":
        assert run.saved is None
        assert run.unsaved is not None
        assert "\n" not in run.unsaved
        assert "".join(run.unsaved.split()) in "".join(run.summary().split())
        assert {k: v for k, v in content(store).items() if "run" not in k} == {
            k: v for k, v in prices.items() if "run" not in k
        }
        disk.make_room()
        run.save("full")
    assert run.unsaved is None
    kept = store.open_run("full")
    assert kept.state == "finished"
    assert kept.hash == run.hash
    for name in ("fills", "orders", "trades", "ledger", "log"):
        assert_frame_equal(getattr(kept, name), getattr(run, name), check_exact=True)
    store.close()


def test_the_disk_of_a_server(
    server: Server, address: str, mounted: Mounted, tmp_path: Path
) -> None:
    """Its tables lie on the small disk."""
    here = mounted.folder / "tables"
    here.mkdir()
    reachable(here, server)
    store = Store.open(address)

    def ask(question: str) -> None:
        with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(question))

    def move(source: str, target: str) -> None:
        for what in ("TABLE", "INDEX"):
            ask(f"ALTER {what} ALL IN TABLESPACE {source} SET TABLESPACE {target}")

    ask(f"CREATE TABLESPACE small LOCATION '{here}'")
    move("pg_default", "small")
    few, many = bars(tmp_path / "few.parquet", 2), bars(tmp_path / "many.parquet", 150)
    store.import_file(few, progress=False)
    before = content(store)
    mounted.fill()
    with pytest.raises(UsageError, match=r"The disk of postgresql://.* is full") as refused:
        store.import_file(many, progress=False)
    assert server.password not in one_line(refused.value)
    assert content(store) == before
    mounted.make_room()
    assert store.import_file(many, progress=False).contracts == 151
    assert store.verify(progress=False).damage == ()
    move("small", "pg_default")
    ask("DROP TABLESPACE small")
    store.close()


def reachable(folder: Path, server: Server) -> None:
    """Let the server's user into a folder of this test."""
    owner = (server.folder / "data").stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o011)
