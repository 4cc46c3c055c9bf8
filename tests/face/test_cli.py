"""The commands, each in a process of its own, from an empty folder with a store of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import tomllib
from pathlib import Path

import pytest

from bestbt import Backtest, Store
from bestbt.cli import main
from tests.conftest import ROOT
from tests.face.strategies import STRADDLE, ShortStraddle

IMPORTED = "from bestbt import Strategy, at\n\n\n" + STRADDLE


class Terminal:
    """A folder with nothing in it, and the store that `BESTBT_STORE` names."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.store = folder, store

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bestbt.cli", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "BESTBT_STORE": str(self.store),
                "HOME": str(self.folder),
                "PYTHONPATH": str(ROOT),
                "PYTHONIOENCODING": "utf-8",
                "COLUMNS": "100",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name


@pytest.fixture
def empty(tmp_path: Path) -> Terminal:
    folder = tmp_path / "here"
    folder.mkdir()
    return Terminal(folder, tmp_path / "data" / "store.sqlite")


@pytest.fixture
def loaded(empty: Terminal, demo: Path) -> Terminal:
    empty.store.parent.mkdir()
    shutil.copy(demo, empty.store)
    return empty


def fine(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that worked has printed."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a command that was refused."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    (line,) = done.stderr.strip().splitlines()
    return line


def test_demo_fills_an_empty_store_once(empty: Terminal) -> None:
    days = ("--from", "2024-01-04", "--to", "2024-01-04")
    assert "Synthetic market" in fine(empty("demo", *days))
    covered = fine(empty("coverage"))
    assert "NIFTY" in covered
    assert "2024-01-04" in covered
    assert "already" in fine(empty("demo", *days))
    assert "has data already" in fine(empty("demo", "--if-empty"))
    assert fine(empty("coverage")) == covered
    assert list(empty.folder.iterdir()) == []


def test_a_file_written_from_a_store_is_imported_into_another(
    empty: Terminal, store: Store
) -> None:
    name = "NIFTY2410421700CE"  # an exchange's way to write it
    bars = store.prices("NIFTY 2024-01-04 21700 CE", "2024-01-03", "2024-01-03").reset_index()
    table = bars.assign(symbol=name, datetime=bars["time"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    spot = store.prices("NIFTY", "2024-01-03", "2024-01-03").reset_index()
    spot = spot.assign(symbol="NIFTY", datetime=spot["time"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    for part, file in ((table, "calls.csv"), (spot, "index.csv")):
        part.drop(columns="time").to_csv(empty.folder / file, index=False)
    told = fine(empty("import", "calls.csv", "index.csv"))
    assert "calls.csv" in told
    assert "index.csv" in told
    there = Store.open(empty.store)
    again = there.prices("NIFTY 2024-01-04 21700 CE").reset_index()
    assert again[["open", "high", "low", "close"]].equals(bars[["open", "high", "low", "close"]])
    assert not there.synthetic()
    there.close()


BARS = """day,time,o,h,l,LTP
2024-02-05,09:16,100,102,99,101
2024-02-05,09:17,101,103,100,102
"""


def test_options_of_a_format_are_set_by_name(empty: Terminal) -> None:
    file = empty.write("finnifty.csv", BARS)
    given = ("import", file, "--symbol", "FINNIFTY", "--set", "stamp=end")
    assert "close" in refused(empty(*given)).splitlines()[0]
    told = fine(empty(*given, "--set", "columns.close=LTP"))
    assert "2 rows read, 2 stored" in told
    there = Store.open(empty.store)
    bars = there.prices("FINNIFTY")
    assert [f"{time:%H:%M}" for time in bars.index] == ["09:15", "09:16"]
    assert bars["close"].tolist() == [101, 102]
    there.close()


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("stmp=end", "No option 'stmp' for minute bars. Did you mean 'stamp'?"),
        ("stamp", "write it as name=value"),
        ("stamp=", "write it as name=value"),
        ("columns=LTP", "write it as --set columns.close=LTP"),
        ("stamp.close=end", "write it as --set stamp=end"),
        ("again=perhaps", "again is true or false"),
        ("symbol=NIFTY", "--symbol NIFTY"),
        ("progress=no", "no option 'progress'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    empty: Terminal, setting: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = empty.folder / empty.write("finnifty.csv", BARS.replace("LTP", "close"))
    words = ["--store", str(empty.store), "import", str(file), "--symbol", "FINNIFTY"]
    assert main([*words, "--set", setting]) == 1
    assert part in capsys.readouterr().err
    assert main([*words, "--set", "bar=1min", "--set", "bar=1min"]) == 1
    assert "bar was given twice" in capsys.readouterr().err


def test_of_several_files_one_that_is_refused_does_not_keep_the_others_out(
    empty: Terminal,
) -> None:
    day = "symbol,time,open,high,low,close\nFINNIFTY,2024-02-0{0} 09:15,100,101,99,100\n"
    for name in ("a.csv", "days/b.csv", "days/c.csv", "days/bad.csv"):
        (empty.folder / name).parent.mkdir(exist_ok=True)
        number = 5 + "abc".find(Path(name).stem)
        empty.write(name, "no prices\n1\n" if "bad" in name else day.format(number))
    done = empty("import", "nowhere.csv", "a.csv", "days")
    assert done.returncode == 1
    first, last = done.stderr.strip().splitlines()
    assert first == "bestbt: nowhere.csv is not there; give the path of a data file."
    assert last == "bestbt: 2 of 5 files refused, each with its reason above."
    a, days = re.findall(r"^\S+ \(.*rows? read.*", done.stdout, re.M)
    assert a.startswith("a.csv (long-bars CSV): 1 row read, 1 stored")
    assert days.startswith("days (2 files, long-bars CSV): 2 rows read, 2 stored")
    assert re.search(r"refused +\S*bad.csv ", done.stdout)
    there = Store.open(empty.store)
    assert there.coverage()["rows"].tolist() == [3]
    there.close()


def test_quarantine_is_listed_and_taken_back(empty: Terminal) -> None:
    rows = [f"NIFTY08FEB2422000CE,2024-02-05 10:{m:02},80,81,79,80,50,50" for m in range(30)]
    rows[10] = "NIFTY08FEB2422000CE,2024-02-05 10:10,980,981,979,980,50,50"
    empty.write("bars.csv", "symbol,time,open,high,low,close,volume,oi\n" + "\n".join(rows))
    assert empty("quarantine").stdout == "Nothing is in quarantine.\n"
    assert "quarantined   1  spike:" in empty("import", "bars.csv").stdout
    listed = empty("quarantine", "--reason", "spike").stdout
    assert "NIFTY 2024-02-08 22000 CE" in listed
    assert "line 12: NIFTY08FEB2422000CE,980" in listed
    refused = empty("quarantine", "--readmit")
    assert (refused.returncode, "--reason" in refused.stderr) == (1, True)
    taken = empty("quarantine", "--reason", "spike", "--readmit").stdout
    assert "bars.csv (re-admitted): 1 row read, 1 stored" in taken
    assert "0 rows read, 0 stored" in empty("quarantine", "--reason", "spike", "--readmit").stdout


def test_coverage_of_nothing_says_what_to_do(empty: Terminal) -> None:
    assert fine(empty("coverage")).strip() == (
        "The store is empty: `bestbt demo`, or `bestbt import`."
    )


@pytest.mark.parametrize("source", [STRADDLE, IMPORTED], ids=["bare", "with imports"])
def test_run_plays_a_file(loaded: Terminal, store: Store, source: str) -> None:
    file = loaded.write("straddle.py", source)
    told = fine(loaded("run", file, "NIFTY", "--from", "2024-01-02", "--set", "stop=40%"))
    here = Backtest(ShortStraddle, store, "NIFTY", start="2024-01-02", params={"stop": "40%"}).run()
    assert here.summary() in told


def test_a_run_is_saved_and_listed(loaded: Terminal) -> None:
    assert fine(loaded("runs")).strip() == "No run is saved."
    file = loaded.write("straddle.py", STRADDLE)
    assert "Saved as run 1." in fine(loaded("run", file, "NIFTY", "--save", "the trader's own"))
    listed = fine(loaded("runs"))
    assert "the trader's own" in listed


def test_run_may_only_check_or_tell_its_options(
    empty: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BESTBT_STORE", str(empty.store))
    file = str(empty.folder / empty.write("straddle.py", STRADDLE))
    assert main(["run", file, "NIFTY", "--check-only"]) == 0
    assert capsys.readouterr().out.strip() == f"{file}: nothing to mend."
    assert main(["run", file, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: bestbt run {file} SYMBOL")
    assert "--capital" in told
    assert not empty.store.exists()


def test_check_points_at_the_line(empty: Terminal) -> None:
    assert fine(empty("check", empty.write("good.py", IMPORTED))).strip() == (
        "good.py: nothing to mend."
    )
    file = empty.write("bad.py", IMPORTED.replace("get_atm", "get_amt"))
    done = empty("check", file)
    assert refused(done) == "bestbt: 1 mistake in bad.py."
    assert refused(empty("run", file, "NIFTY")) == "bestbt: 1 mistake in bad.py."
    line = next(n for n, text in enumerate(IMPORTED.splitlines(), 1) if "get_atm" in text)
    assert f"line {line}: error" in done.stdout
    assert "Did you mean self.get_atm?" in done.stdout


def test_a_strategy_that_fails_is_told_by_its_lines(loaded: Terminal) -> None:
    file = loaded.write("zero.py", STRADDLE.replace("self.exit_all()", "1 / 0"))
    done = loaded("run", file, "NIFTY")
    assert done.returncode == 1
    line = next(n for n, text in enumerate(STRADDLE.splitlines(), 1) if "exit_all" in text)
    assert f'zero.py", line {line}, in leave' in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "feeder.py" not in done.stderr


def test_a_senseless_order_is_told_by_its_line(loaded: Terminal) -> None:
    file = loaded.write("none.py", STRADDLE.replace("lots=1", "lots=0"))
    done = loaded("run", file, "NIFTY")
    assert done.returncode == 1
    assert "OrderError" in done.stderr
    assert "line 8: self.sell(" in done.stderr
    assert "Traceback" not in done.stderr


def test_mistakes_are_one_line_and_a_code(
    loaded: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = loaded.write("straddle.py", STRADDLE)
    (loaded.folder / "noise.py").write_bytes(b"\xff\xfe\x00\x80")
    monkeypatch.chdir(loaded.folder)
    monkeypatch.setenv("BESTBT_STORE", str(loaded.store))
    for words, part in [
        (["run", file, "SENSEX"], "No 'SENSEX' in the store; it has INDIAVIX, NIFTY."),
        (["run", file], f"No symbol was given; name one: `bestbt run {file} NIFTY`. `bestbt cov"),
        (["run", file, "NIFTY", "--captal", "3"], "Did you mean '--capital'?"),
        (["run", file, "NIFTY", "--from", "2025-01-01"], "the store covers NIFTY 2024-01-01"),
        (["run", file, "NIFTY", "--capital"], f"`bestbt run {file} --help` lists the options"),
        (["run", "gone.py"], "bestbt: gone.py is not there."),
        (["run", "noise.py", "NIFTY"], "noise.py is no text"),
        (["check", "gone.py"], "gone.py is not there."),
        (["import", "gone.csv"], "gone.csv is not there"),
        (["demo", "SENSEX"], "SENSEX"),
        (["demo", "--from", "yesterday"], "--from yesterday: no date"),
        (["demo", "--to", "2024-13-01"], "--to 2024-13-01: no date; write it as 2024-01-31, or"),
        (["demo", "--from", "2024-02", "--to", "2024-01"], "from 2024-02-01 to 2024-01-31"),
        (["--store", str(loaded.folder), "coverage"], "is a folder"),
        (["--store", file, "coverage"], "is no store"),
    ]:
        assert main(words) == 1
        (told,) = capsys.readouterr().err.strip().splitlines()
        assert told.startswith("bestbt: ")
        assert part in told


def test_a_mistake_in_a_process_is_one_line_and_a_code(loaded: Terminal) -> None:
    file = loaded.write("straddle.py", STRADDLE)
    assert refused(loaded("run", file, "SENSEX")) == (
        "bestbt: No 'SENSEX' in the store; it has INDIAVIX, NIFTY."
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["covrage"], "invalid choice: 'covrage'"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_ends_with_code_2(
    words: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert part in capsys.readouterr().err.strip().splitlines()[-1]


def test_help_lists_the_commands(empty: Terminal) -> None:
    told = fine(empty("--help"))
    product = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert told.split("\n\n")[1] == product["description"]
    for verb in ("demo", "import", "coverage", "run", "check", "runs", "lab"):
        assert verb in told


def test_an_interrupt_is_one_line(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Store) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "coverage", interrupted)
    assert main(["--store", str(demo), "coverage"]) == 130
    assert capsys.readouterr().err == "bestbt: interrupted\n"


def test_lab_copies_the_tutorials_where_there_are_none(
    empty: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: started.append(words))
    monkeypatch.chdir(empty.folder)
    assert main(["lab", "--port", "9999"]) == 0
    there = sorted((ROOT / "notebooks").glob("*.ipynb"))
    copied = empty.folder / "notebooks"
    assert [p.name for p in sorted(copied.iterdir())] == [p.name for p in there]
    assert "are copied into" in capsys.readouterr().out
    assert started[0][1:4] == ["-m", "jupyterlab", "--port=9999"]
    assert (empty.folder / started[0][5]).exists()
    (copied / there[0].name).write_text("mine")
    assert main(["lab"]) == 0
    assert (copied / there[0].name).read_text() == "mine"


def test_a_wheel_carries_the_tutorials_to_where_lab_looks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "notebooks": "bestbt/tutorials"
    }


BUSY = """
from bestbt import Strategy

class Busy(Strategy):
    def on_bar(self):
        for _ in range(100_000):
            pass
"""


def interrupted(terminal: Terminal, *words: str, seen: str) -> tuple[int, str]:
    """Press Ctrl-C once the bar reads so; return the code and what is left to be read."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 140, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "bestbt.cli", *words],
        cwd=terminal.folder,
        env={**os.environ, "BESTBT_STORE": str(terminal.store), "PYTHONPATH": str(ROOT)},
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    while True:
        try:
            shown += os.read(mine, 4096).decode("utf-8", "replace")
        except OSError:  # nobody writes any more
            break
        if seen and re.search(seen, shown):
            process.send_signal(signal.SIGINT)
            seen = ""
    os.close(mine)
    code = process.wait(60)
    assert not seen, shown
    return code, shown


def left(shown: str) -> list[str]:
    """What a terminal still shows: a bar is written over, and blank in the end."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        screen = ""
        for part in line.split("\r"):
            screen = part + screen[len(part) :]
        lines.append(screen.strip())
    return [line for line in lines if line]


BAR = r"\d+%\|.*\| \d+/\d+ \[\d\d:\d\d<.*"  # percent, done and total, time left


def test_ctrl_c_ends_a_demo_and_nothing_is_stored(empty: Terminal) -> None:
    code, shown = interrupted(empty, "demo", seen=BAR + " expiries")
    assert code == 130, shown
    assert left(shown) == [
        "bestbt: interrupted: nothing of the synthetic market is stored; make it again."
    ]
    assert "The store is empty" in fine(empty("coverage"))


def test_ctrl_c_ends_an_import_and_nothing_is_stored(empty: Terminal, store: Store) -> None:
    store.export("NIFTY", empty.folder / "nifty.parquet")
    code, shown = interrupted(empty, "import", "nifty.parquet", seen=BAR + " contracts")
    assert code == 130, shown
    assert left(shown) == [
        "bestbt: interrupted: nothing of nifty.parquet is stored; import it again."
    ]
    assert "The store is empty" in fine(empty("coverage"))
    assert "NIFTY" in fine(empty("import", "nifty.parquet"))


@pytest.mark.parametrize("save", [False, True], ids=["not saved", "saved"])
def test_ctrl_c_ends_a_run(loaded: Terminal, save: bool) -> None:
    file = loaded.write("busy.py", BUSY)
    words = ["run", file, "NIFTY", *(["--save", "mine"] if save else [])]
    code, shown = interrupted(loaded, *words, seen=BAR + " bars")
    assert code == 130, shown
    checked, line = left(shown)
    assert checked == "busy.py: nothing to mend."
    kept = "up to there it is saved as run 1" if save else "nothing of it is kept"
    assert re.fullmatch(
        rf"bestbt: interrupted: the run was ended at 2024-01-\d\d \d\d:\d\d; {kept}\.", line
    )
    assert ("mine" in fine(loaded("runs"))) == save
