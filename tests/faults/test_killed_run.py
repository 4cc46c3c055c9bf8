"""A run whose process is killed: its record says so, and holds all up to its last batch."""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from bestbt import Backtest, Store, UsageError
from bestbt.cli import main
from bestbt.store import run_writer
from bestbt.store.run_writer import is_writing
from tests.conftest import ROOT, DemoStores
from tests.face.strategies import ShortStraddle

# Plays a run that is saved, telling each session's end; or steps it and waits to be killed.
PLAYER = """
import sys
import bestbt.recorder
from bestbt import Backtest, Store
from tests.face.strategies import ShortStraddle

bestbt.recorder._ROWS = 1  # many batches, one after the other
bestbt.recorder._LOOK = bestbt.recorder._SHARE = 0.0

class Told(ShortStraddle):
    def on_session_end(self):
        while self.today.day > 1 and not yesterday_is_stored(self.today):
            backtest.recorder.wait(0.01)
        print(self.today, flush=True)

def yesterday_is_stored(today):
    return any(to.day == today.day - 1 for to in store.runs()["played_to"])

store = Store.open(sys.argv[1])
backtest = Backtest(Told, store, "NIFTY", save="killed")
if sys.argv[2] == "run":
    backtest.run()
else:
    run = backtest.step(int(sys.argv[2]))
    backtest.recorder.wait()
print("stands", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(demo_stores: DemoStores, tmp_path: Path) -> Iterator[Store]:
    week = demo_stores(date(2024, 1, 1), date(2024, 1, 5))
    made = Store.open(shutil.copy(week, tmp_path / "week.sqlite"))
    yield made
    made.close()


def killed(store: Store, what: str, after: str) -> None:
    """Kill a process that plays as soon as it has said something."""
    process = subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(store.engine.url.database), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == after:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def check(store: Store, played_to: pd.Timestamp) -> None:
    """The record is what an undisturbed run has booked by then."""
    kept = store.open_run("killed")
    backtest = Backtest(ShortStraddle, store, "NIFTY")
    run = backtest.run_to(played_to.isoformat())
    for name in ("fills", "orders", "trades", "ledger", "log"):
        assert_frame_equal(getattr(kept, name), getattr(run, name), check_exact=True)


@pytest.mark.parametrize("day", [2, 3, 5])
def test_a_killed_run_is_unfinished_and_holds_whole_sessions(store: Store, day: int) -> None:
    killed(store, "run", f"2024-01-0{day}")
    (row,) = store.runs().to_dict("records")
    assert (row["state"], row["hash"]) == ("unfinished", "")
    assert f"{row['played_to']:%H:%M}" == "15:30"
    assert row["played_to"].day >= day - 1  # a batch may have got through before the kill
    check(store, row["played_to"])


def test_a_run_killed_while_it_stood_holds_all_of_it(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(store, "800", "stands")
    kept = store.open_run("killed")
    assert kept.state == "unfinished"
    assert f"{kept.played_to:%Y-%m-%d %H:%M}" == "2024-01-03 10:05"
    assert len(kept.fills) > 0
    check(store, kept.played_to)
    path = str(store.engine.url.database)
    assert main(["--store", path, "runs", "show", "killed"]) == 0
    assert "unfinished, played to 2024-01-03 10:05" in capsys.readouterr().out
    assert main(["--store", path, "runs", "delete", "killed"]) == 0
    assert store.runs().empty


def test_a_run_killed_after_its_end_is_finished(store: Store) -> None:
    killed(store, "run", "stands")
    kept = store.open_run("killed")
    assert kept.state == "finished"
    assert kept.hash == Backtest(ShortStraddle, store, "NIFTY").run().hash


def test_whether_its_process_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now, minute = time.time_ns(), 60_000_000_000
    mine = run_writer._process()
    assert is_writing("running", mine, now)
    assert is_writing("paused", mine, now - 90 * minute)
    assert not is_writing("running", mine, now - 2 * minute)
    later = f"{mine.rsplit(' ', 1)[0]} 1"  # another process had this number before
    assert not is_writing("paused", later, now)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not is_writing("running", f"{platform.node()} {gone.pid} 1", now)
    assert is_writing("running", "elsewhere 1 1", now)
    assert not is_writing("running", "elsewhere 1 1", now - 2 * minute)


def test_a_run_is_not_deleted_while_it_is_played(store: Store) -> None:
    backtest = Backtest(ShortStraddle, store, "NIFTY", save="here")
    backtest.step(10)
    assert backtest.recorder is not None
    backtest.recorder.wait()
    with pytest.raises(UsageError, match="is paused; stop it"):
        store.delete_run("here")
