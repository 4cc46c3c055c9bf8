"""Imports killed at random points: whole files are stored, and a second try makes up the rest.

`--kills 30` tries more points than the usual six; `BESTBT_SEED` repeats those of a failure.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pytest

from bestbt.markets.demo import write_demo
from bestbt.store.dialects import writing
from bestbt.store.store import Store
from tests.conftest import ROOT
from tests.faults.content import Content, content
from tests.postgres import Databases
from tests.vendors import ticks

DAY = date(2024, 1, 3)
FILES = 4
SEED = os.environ.get("BESTBT_SEED", "2024")
Place: TypeAlias = Callable[[], str]

# Imports a folder into a store that it makes, and tells each step on the way: every statement and
# every commit before it is made and after it. It goes on meanwhile, so a kill lands anywhere.
IMPORTER = """
import sys
from sqlalchemy import Engine, event
from bestbt.store.store import Store

def tell(*_):
    sys.stdout.write(".")
    sys.stdout.flush()

for step in ("before_cursor_execute", "after_cursor_execute", "commit", "rollback"):
    event.listen(Engine, step, tell)
store = Store.open(sys.argv[1])
store.import_file(sys.argv[2], progress=tell)
store.close()
sys.stdout.write("!")
sys.stdout.flush()
sys.stdin.read()
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "part" in metafunc.fixturenames:
        kills = metafunc.config.getoption("--kills")
        metafunc.parametrize("part", [(n, kills) for n in range(kills)], ids=str)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of all kinds of rows: bars with dirt, official closes, ticks, an export."""
    folder = tmp_path_factory.mktemp("files") / "in"
    folder.mkdir()
    times = pd.date_range(f"{DAY} 09:15", periods=90, freq="min")
    rows = [
        (f"NIFTY24104{strike}{right}", time, 100 + n, 103 + n, 99 + n, 101 + n if n % 30 else -1)
        for strike in range(21000, 21500, 50)
        for right in ("CE", "PE")
        for n, time in enumerate(times.astype(str))
    ]
    columns = ["symbol", "datetime", "open", "high", "low", "close"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "a-bars.csv", index=False)
    (folder / "b-closes.csv").write_text(f"symbol,date,close\nNIFTY,{DAY},21517.35\n")
    made = ticks.demo_ticks(DAY, ["NIFTY", "NIFTY 2024-01-04 21700 CE"])
    ticks.write_gdfl(folder, made.values()).rename(folder / "c-ticks.csv")
    demo = Store.open(folder.parent / "demo.sqlite")
    write_demo(demo, "BANKNIFTY", DAY, DAY)
    demo.export("BANKNIFTY", folder / "d.parquet", derivatives=False, progress=False)
    demo.close()
    return folder


@pytest.fixture(scope="module")
def after(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Content]:
    """What an undisturbed store holds after none of the files, after one, and so on."""
    store = Store.open(tmp_path_factory.mktemp("undisturbed") / "prices.sqlite")
    found = [content(store)]
    one = folder.parent / "one" / "in"
    one.mkdir(parents=True)
    for file in sorted(folder.iterdir()):
        os.link(file, one / file.name)
        store.import_file(one, progress=False)
        found.append(content(store))
    store.close()
    assert len(found) == FILES + 1
    for table in ("options_segment", "options_ticks", "index_close", "quarantine", "imports"):
        assert found[-1][table], table
    return found


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return what makes addresses at which there is no store yet, on every database."""
    if request.param == "sqlite":
        return lambda: str(tmp_path_factory.mktemp("killed") / "prices.sqlite")
    databases: Databases = request.getfixturevalue("databases")
    return databases.new


@pytest.fixture(scope="module")
def steps(place: Place, folder: Path) -> int:
    """How many steps an import takes that nobody disturbs."""
    process = importer(place(), folder)
    told, _ = process.communicate()
    assert told.endswith(b"!")
    return len(told) - 1


def importer(address: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTER, address, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_killed_import_leaves_whole_files_and_is_made_up(
    place: Place, folder: Path, after: list[Content], steps: int, part: tuple[int, int]
) -> None:
    number, kills = part
    chance = random.Random(f"{SEED} {number}").random()
    step = int(steps * (number + chance) / kills)
    where = f"BESTBT_SEED={SEED} --kills {kills}: part {number}, killed at step {step} of {steps}"
    address = place()
    process = importer(address, folder)
    assert process.stdout is not None
    assert len(process.stdout.read(step + 1)) == step + 1, where
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, where
    store = Store.open(address)
    with writing(store.engine).begin():
        pass  # a server may still be busy with what the dead one sent
    done = len(store.imports())
    assert content(store) == after[done], where
    report = store.import_file(folder, progress=False)
    assert not report.refused, where
    assert content(store) == after[FILES], where
    assert store.verify(progress=False).damage == (), where
    store.close()


def test_the_last_step_is_the_end(place: Place, folder: Path, after: list[Content]) -> None:
    """One that is killed after it has said that it is done has stored all."""
    address = place()
    process = importer(address, folder)
    assert process.stdout is not None
    while process.stdout.read(1) != b"!":
        assert process.poll() is None
    process.kill()
    process.communicate()
    store = Store.open(address)
    assert content(store) == after[FILES]
    assert store.import_file(folder, progress=False).already
    store.close()
