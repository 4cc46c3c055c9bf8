"""Two notebooks on one store at once: each imports its own files and runs, and both have all."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from bestbt import Backtest
from bestbt.markets.demo import write_demo
from bestbt.store.store import Store
from tests.conftest import ROOT
from tests.face.strategies import ShortStraddle
from tests.faults.content import content

DAY = date(2024, 1, 3)
FILES = 6

# Opens a store and waits for a word; imports files, with a saved run after each; says what it did.
WORKER = """
import sys
from pathlib import Path
from bestbt import Backtest, Store
from tests.face.strategies import ShortStraddle

print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1])
for file in sorted(Path(sys.argv[2]).iterdir()):
    report = store.import_file(file, progress=False)
    print("already" if report.already else "stored", flush=True)
    if sys.argv[3] == "run":
        run = Backtest(ShortStraddle, store, "NIFTY", save=file.stem).run()
        assert run.saved, run.unsaved
        print(run.hash, flush=True)
store.close()
"""


def workers(address: str, folders: list[Path], what: str) -> list[list[str]]:
    """Let one process for each folder go to work at the same moment; return what each said."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, address, str(folder), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        for folder in folders
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = []
    for process in started:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, ""), err
        found.append(out.split())
    return found


def bars(folder: Path, symbol: str) -> Path:
    """Write files of an index's and its options' bars, one for each of several strikes."""
    folder.mkdir()
    times = pd.date_range(f"{DAY} 09:15", periods=200, freq="min").astype(str)
    for n in range(FILES):
        rows = [
            (f"{symbol}24JAN{20000 + 100 * n}{right}", time, 100 + k, 103 + k, 99 + k, 101 + k)
            for right in ("CE", "PE")
            for k, time in enumerate(times)
        ]
        columns = ["symbol", "datetime", "open", "high", "low", "close"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / f"{symbol}-{n}.csv", index=False)
    return folder


def one_by_one(place: Path, folders: list[Path]) -> Store:
    store = Store.open(place)
    for folder in folders:
        for file in sorted(folder.iterdir()):
            store.import_file(file, progress=False)
    return store


def test_a_new_store_and_files_of_their_own(either: str, tmp_path: Path) -> None:
    folders = [bars(tmp_path / name, name) for name in ("BANKNIFTY", "FINNIFTY")]
    for said in workers(either, folders, "import"):
        assert said == ["stored"] * FILES
    alone = one_by_one(tmp_path / "alone.sqlite", folders)
    both = Store.open(either)
    assert content(both) == content(alone)
    assert both.verify(progress=False).damage == ()
    both.close()
    alone.close()


def test_the_same_files(either: str, tmp_path: Path) -> None:
    """Each is stored once, whoever was quicker."""
    folder = bars(tmp_path / "in", "BANKNIFTY")
    said = workers(either, [folder, folder], "import")
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["already", "stored"]] * FILES
    alone = one_by_one(tmp_path / "alone.sqlite", [folder])
    both = Store.open(either)
    assert content(both) == content(alone)
    both.close()
    alone.close()


def test_they_import_and_run(either: str, tmp_path: Path) -> None:
    store = Store.open(either)
    write_demo(store, "NIFTY", DAY, DAY)
    alone = Backtest(ShortStraddle, store, "NIFTY").run().hash
    folders = [bars(tmp_path / name, name) for name in ("BANKNIFTY", "FINNIFTY")]
    for said in workers(either, folders, "run"):
        assert said == ["stored", alone] * FILES
    runs = store.runs()
    assert sorted(runs["name"]) == sorted(f.stem for folder in folders for f in folder.iterdir())
    assert set(runs["state"]) == {"finished"}
    assert set(runs["hash"]) == {alone}
    assert len(store.imports()) == 2 * FILES + 1
    store.close()
