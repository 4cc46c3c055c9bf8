"""`%%backtest` and `%bestbt` in a real InteractiveShell."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from bestbt import Run, magics
from bestbt.errors import (
    CellError,
    ContractNotFound,
    ImportRefused,
    OrderError,
    ParamError,
    UsageError,
)
from bestbt.markets.demo import write_demo
from tests.face.shell import Notebook, line_of, refused
from tests.face.strategies import STRADDLE, cell

BUSY = """
class Busy(Strategy):
    def on_bar(self):
        started.set()
        gate.wait(30)
"""


# --- a cell that works


def test_the_cell_of_the_manual_prints_the_same_summary_each_time(notebook: Notebook) -> None:
    first = notebook(cell("--capital 10L --as straddle"))
    assert first.error is None
    second = notebook(cell("--capital 10L --as straddle"))
    assert first.text == second.text
    assert first.shown == second.shown == []
    assert "synthetic" in first.text
    assert "₹10,00,000.00" in first.text
    assert "Trades           10" in first.text  # two legs on each of five days


def test_the_run_and_the_class_are_bound(notebook: Notebook) -> None:
    notebook(cell("--as straddle"))
    run = notebook.names["straddle"]
    assert isinstance(run, Run)
    assert (run.state, run.bt.strategy_class) == ("finished", notebook.names["ShortStraddle"])
    assert "run" not in notebook.names
    notebook(cell())
    assert notebook.names["run"].hash == run.hash


def test_what_the_cell_defines_is_published(notebook: Notebook) -> None:
    notebook(cell(body="lots = 1\n" + STRADDLE))
    assert notebook.names["lots"] == 1


def test_names_of_the_notebook_are_seen(notebook: Notebook) -> None:
    notebook("lots = 3")
    body = STRADDLE.replace("lots=1", "lots=lots")
    assert notebook(cell(body=body)).error is None
    assert set(notebook.names["run"].fills["qty"]) == {3 * 50}  # NIFTY's lot of that January


def test_a_cell_keeps_no_run_that_it_does_not_name(notebook: Notebook) -> None:
    notebook(cell())
    notebook(cell("--as second"))
    assert "run" not in notebook.names["second"].bt.cell._given
    body = STRADDLE.replace("lots=1", "lots=len(run.trades)")
    assert notebook(cell("--as third", body=body)).error is None
    assert set(notebook.names["third"].fills["qty"]) == {10 * 50}


def test_set_gives_parameters(notebook: Notebook) -> None:
    notebook(cell("--set stop=1000% --as wide"))
    notebook(cell("--as tight --set stop=5%"))
    wide, tight = notebook.names["wide"], notebook.names["tight"]
    assert wide.bt.params == {"stop": "1000%"}
    assert set(wide.trades["exit_reason"]) != set(tight.trades["exit_reason"])


@pytest.mark.parametrize("code", ["%%backtest --help\n" + STRADDLE, "%bestbt help"])
def test_help_lists_the_options_and_runs_nothing(notebook: Notebook, code: str) -> None:
    answer = notebook(code)
    assert answer.error is None
    for option in ("--from", "--capital", "--set", "--no-view", "--step", "--save"):
        assert option in answer.text
    assert "run" not in notebook.names


def test_check_only_runs_and_binds_nothing(notebook: Notebook) -> None:
    answer = notebook("%%backtest --check-only\n" + STRADDLE)
    assert (answer.error, answer.told.strip()) == (None, "")
    assert "run" not in notebook.names
    assert "ShortStraddle" not in notebook.names


def test_step_opens_paused_before_the_first_bar(notebook: Notebook) -> None:
    answer = notebook(cell("--step"))
    assert answer.error is None
    run = notebook.names["run"]
    assert (run.state, run.progress.bar) == ("paused", 0)
    assert "paused" in answer.text
    notebook("run.bt.step(15)")
    assert run.progress.bar == 15
    assert len(run.orders) >= 2  # 09:20 has passed


def test_a_run_is_saved_listed_shown_and_deleted(writing: Notebook, own: Path) -> None:
    assert writing(cell("--save morning")).error is None
    run = writing.names["run"]
    listed = writing("%bestbt runs").value
    assert list(listed["name"]) == ["morning"]
    assert list(listed["state"]) == ["finished"]
    assert listed["hash"][0] == run.hash
    shown = writing("%bestbt runs show morning")
    assert shown.value.source.strip() == STRADDLE.strip()
    assert_frame_equal(shown.value.fills, run.fills)
    assert run.title in shown.told
    both = writing("%bestbt runs compare 1 morning").value
    assert (both["difference"].dropna() == 0).all()
    assert "deleted" in writing("%bestbt runs delete 1").told
    assert len(writing("%bestbt runs").value) == 0
    refused(writing("%bestbt runs show morning"), UsageError, "there is none yet")


def test_a_run_that_is_opened_to_be_stepped_is_saved_from_its_start(writing: Notebook) -> None:
    answer = writing("%%backtest NIFTY --no-view --step --save slow\n" + STRADDLE)
    assert answer.error is None
    writing("run.bt.step(30); run.bt.recorder.wait()")
    kept = writing("%bestbt runs show slow").value
    assert kept.state == "paused"
    assert_frame_equal(kept.orders, writing.names["run"].orders)


@pytest.mark.parametrize("name", ["12", "''", "x" * 201])
def test_a_name_that_cannot_be_one_is_refused(notebook: Notebook, name: str) -> None:
    refused(notebook(cell(f"--save {name}")), UsageError, "name")


def test_a_run_paused_while_its_cell_waits_is_kept_as_far_as_it_is(writing: Notebook) -> None:
    writing("def pause(): get_ipython().user_ns['run'].pause()")
    body = "class Pausing(Strategy):\n    def on_bar(self):\n        pause()\n"
    assert writing(cell("--save half", body=body)).error is None
    writing("run.bt.recorder.wait()")
    assert list(writing("%bestbt runs").value["state"]) == ["paused"]


def test_without_wait_the_cell_returns_while_the_run_goes_on(notebook: Notebook) -> None:
    notebook("import threading; started, gate = threading.Event(), threading.Event()")
    answer = notebook("%%backtest NIFTY --no-view\n" + BUSY)
    assert answer.error is None
    assert "running" in answer.text
    run = notebook.names["run"]
    assert notebook.names["started"].wait(10)
    assert run.state == "running"
    notebook.names["gate"].set()
    assert run.wait(30).state == "finished"


def test_the_view_is_shown_and_reads_the_same_each_time(notebook: Notebook) -> None:
    code = "%%backtest NIFTY --wait\n" + STRADDLE
    shown = [notebook(code).told, notebook(code).told]
    assert shown == ["\n<RunView ShortStraddle NIFTY>"] * 2


def test_rerunning_the_cell_stops_the_old_run(notebook: Notebook) -> None:
    notebook("import threading; started, gate = threading.Event(), threading.Event()")
    notebook("%%backtest NIFTY --no-view\n" + BUSY)
    old = notebook.names["run"]
    assert notebook.names["started"].wait(10)
    notebook(cell())
    notebook.names["gate"].set()
    assert old.done.wait(10)
    assert (old.state, notebook.names["run"].state) == ("stopped", "finished")


def test_running_a_cell_under_another_name_leaves_the_old_run(notebook: Notebook) -> None:
    notebook("import threading; started, gate = threading.Event(), threading.Event()")
    notebook("%%backtest NIFTY --no-view --as first\n" + BUSY)
    notebook(cell("--as second"))
    assert notebook.names["first"].state == "running"
    notebook.names["gate"].set()
    assert notebook.names["first"].wait(30).state == "finished"


# --- a cell with mistakes


def test_a_checked_mistake_is_shown_by_its_line(notebook: Notebook) -> None:
    code = cell(body=STRADDLE.replace("get_atm", "get_amt"))
    answer = notebook(code)
    at = f"line {line_of('get_amt', code)}: error"
    refused(answer, CellError, "1 mistake", at, "Did you mean self.get_atm?")
    assert "text/html" in answer.shown[0]
    assert "run" not in notebook.names


def test_a_syntax_error_is_shown_by_its_line(notebook: Notebook) -> None:
    code = cell(body=STRADDLE.replace("def leave(self):", "def leave(self)"))
    refused(notebook(code), CellError, f"line {line_of('def leave', code)}: error")


def test_a_senseless_order_is_told_by_its_line(notebook: Notebook) -> None:
    code = cell(body=STRADDLE.replace("lots=1", "lots=0"))
    answer = notebook(code)
    at = f"line {line_of('lots=0', code)}: self.sell(self.get_atm(right), lots=0, sl=self.stop)"
    refused(answer, OrderError, "0 lots", at)
    assert len(answer.told.strip().splitlines()) == 2


def test_a_bug_of_the_strategy_is_told_by_its_own_lines(notebook: Notebook) -> None:
    body = STRADDLE.replace("        self.exit_all()", "        self.halve(0)") + (
        "\n    def halve(self, by):\n        return 1 / by\n"
    )
    code = cell(body=body)
    answer = notebook(code)
    assert isinstance(answer.error, ZeroDivisionError)
    told = answer.told
    assert "self.halve(0)" in told
    assert "return 1 / by" in told
    assert "2024-01-01 15:15 of the run" in told
    assert len(re.findall(r"^(?:Cell|File) ", told, re.MULTILINE)) == 2
    assert "bestbt/" not in told
    lines = [line_of("self.halve(0)", code), line_of("1 / by", code)]
    assert re.findall(r"-> +(\d+)", told) == [str(n) for n in lines]
    assert notebook.names["run"].state == "failed"
    assert "ZeroDivisionError" in notebook.names["run"].failure


def test_a_bug_in_the_body_of_the_cell_is_told_by_its_own_lines(notebook: Notebook) -> None:
    answer = notebook(cell(body="ratio = 1 / 0\n" + STRADDLE))
    assert isinstance(answer.error, ZeroDivisionError)
    assert re.findall(r"-> +(\d+)", answer.told) == ["2"]
    assert "compile.py" not in answer.told


BAD: list[tuple[str, Callable[[], str], type[BaseException]]] = [
    ("checker", lambda: cell(body=STRADDLE.replace("exit_all", "exit_al")), CellError),
    ("option", lambda: cell("--captal 10L"), UsageError),
    ("capital", lambda: cell("--capital plenty"), UsageError),
    ("symbol", lambda: cell(symbol="SENSEX"), ContractNotFound),
    ("parameter", lambda: cell("--set stpo=3"), ParamError),
    ("no strategy", lambda: cell(body="x = 2\n"), CellError),
    ("body", lambda: cell(body="x = 2\nraise ValueError\n" + STRADDLE), ValueError),
]


@pytest.mark.parametrize(("code", "kind"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_costs_the_notebook_nothing(
    notebook: Notebook, code: Callable[[], str], kind: type[BaseException]
) -> None:
    notebook("x = 1")
    notebook("import threading; started, gate = threading.Event(), threading.Event()")
    notebook("%%backtest NIFTY --no-view\n" + BUSY)
    kept = notebook.names["run"]
    assert type(notebook(code()).error) is kind
    assert notebook.names["run"] is kept
    assert kept.state == "running"
    assert notebook.names["x"] == 1
    assert "ShortStraddle" not in notebook.names
    notebook.names["gate"].set()


# --- %bestbt


def test_coverage_lists_the_store(notebook: Notebook) -> None:
    table = notebook("%bestbt coverage").value
    assert set(zip(table["symbol"], table["kind"], strict=True)) == {
        ("NIFTY", "index"),
        ("NIFTY", "future"),
        ("NIFTY", "option"),
        ("INDIAVIX", "index"),
    }


def test_demo_says_that_it_is_synthetic(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    day = date(2024, 1, 4)
    monkeypatch.setattr(magics, "write_demo", partial(write_demo, start=day, end=day))
    monkeypatch.setenv("BESTBT_STORE", str(tmp_path / "new.sqlite"))
    answer = notebook("%bestbt demo BANKNIFTY")
    assert answer.error is None
    assert "Synthetic market" in answer.text
    assert set(notebook("%bestbt coverage").value["symbol"]) == {"BANKNIFTY", "INDIAVIX"}
    assert notebook("%bestbt coverage").value["synthetic"].all()


def test_import_reports_on_quality(writing: Notebook, tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text(
        "symbol,date,open,high,low,close,volume\n"
        "FINNIFTY,2024-01-01 09:15:00,100,101,99,100.5,0\n"
        "FINNIFTY,2024-01-01 09:16:00,100.5,101,99,100,0\n"
    )
    answer = writing(f"%bestbt import '{file}'")
    assert answer.error is None
    assert (answer.value.rows, answer.value.stored) == (2, 2)
    assert "FINNIFTY" in set(writing("%bestbt coverage").value["symbol"])


def test_import_takes_options_of_the_format(writing: Notebook, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("datetime,o,h,l,LTP\n2024-01-01 09:16,100,101,99,100.5\n")
    refused(
        writing(f"%bestbt import '{file}' FINNIFTY --set stmp=end"), ImportRefused, "mean 'stamp'?"
    )
    says = "--set columns.close=LTP --set stamp=end --format long-bars"
    answer = writing(f"%bestbt import '{file}' FINNIFTY {says}")
    assert (answer.value.stored, answer.value.start) == (1, "2024-01-01 09:15")
    again = writing(f"%bestbt import --symbol FINNIFTY '{file}' {says} --set again=yes")
    assert again.value.stored == 1
    refused(writing(f"%bestbt import '{file}' --stamp end"), UsageError, "%bestbt help")


def test_store_says_which_and_takes_another(notebook: Notebook, tmp_path: Path) -> None:
    assert repr(notebook("%bestbt store").value) == "<Store demo.sqlite, INDIAVIX, NIFTY>"
    assert repr(notebook(f"%bestbt store {tmp_path}/b.sqlite").value) == "<Store b.sqlite, empty>"
    refused(notebook(cell()), ContractNotFound, "it is empty", "bestbt demo")
    again = notebook("%bestbt store default").value
    assert repr(again) == "<Store demo.sqlite, INDIAVIX, NIFTY>"
    assert notebook(cell()).error is None


def test_a_cell_may_name_its_store(notebook: Notebook, demo: Path, tmp_path: Path) -> None:
    notebook(f"%bestbt store {tmp_path}/b.sqlite")
    assert notebook(cell(f"--store {demo}")).error is None


def test_runs_of_a_new_store_are_none(notebook: Notebook) -> None:
    assert len(notebook("%bestbt runs").value) == 0


@pytest.mark.parametrize("line", ["%bestbt", "%bestbt help"])
def test_help_names_every_verb(notebook: Notebook, line: str) -> None:
    text = notebook(line).text
    for verb in ("coverage", "demo", "import", "store", "runs", "help"):
        assert f"%bestbt {verb}" in text


@pytest.mark.parametrize(
    ("line", "kind", "part"),
    [
        ("%bestbt covrage", UsageError, "Did you mean 'coverage'?"),
        ("%bestbt 'x", UsageError, "close the quote"),
        ("%bestbt import", UsageError, "needs a file"),
        ("%bestbt import nowhere.csv", ImportRefused, "nowhere.csv is not there"),
        ("%bestbt demo SENSEXX", ContractNotFound, "SENSEXX"),
    ],
)
def test_mistakes_in_the_line_magic_are_one_line(
    notebook: Notebook, line: str, kind: type[BaseException], part: str
) -> None:
    answer = notebook(line)
    refused(answer, kind, part)
    assert len(answer.text.strip().splitlines()) == 1
