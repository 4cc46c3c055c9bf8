"""Bad input gets a message: what was asked, what was found, what to do. Each is pinned here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from bestbt import Backtest, Store, Strategy, UsageError, param
from bestbt.cell.compile import compile_cell
from bestbt.cell.options import parse_options
from bestbt.errors import (
    BestbtError,
    CellError,
    ContractNotFound,
    DataGap,
    ImportRefused,
    OrderError,
    ParamError,
)
from tests.face.strategies import STRADDLE, ShortStraddle


def message(kind: type[BestbtError], do: Callable[[], object]) -> str:
    """Return what is told to who does this."""
    with pytest.raises(kind) as caught:
        do()
    assert caught.type is kind
    return str(caught.value)


def backtest(store: Store, *symbols: str, **options: Any) -> Callable[[], Backtest]:
    return lambda: Backtest(ShortStraddle, store, *(symbols or ("NIFTY",)), **options)


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "empty.sqlite")


# --- symbols


def test_an_unknown_symbol(store: Store) -> None:
    told = message(ContractNotFound, backtest(store, "SENSEX"))
    assert told == "No 'SENSEX' in the store; it has INDIAVIX, NIFTY."


def test_an_unknown_second_symbol(store: Store) -> None:
    told = message(ContractNotFound, backtest(store, "NIFTY", "SENSEX"))
    assert told == "No 'SENSEX' in the store; it has INDIAVIX, NIFTY."


def test_small_letters_are_fine(store: Store) -> None:
    assert backtest(store, "nifty")().symbols == ("NIFTY",)


@pytest.mark.parametrize("symbols", [("NIFTY", "NIFTY"), ("NIFTY", "nifty")])
def test_a_symbol_given_twice(store: Store, symbols: tuple[str, ...]) -> None:
    told = message(UsageError, backtest(store, *symbols))
    assert told == "NIFTY was given 2 times; name it once."


def test_no_symbol(store: Store) -> None:
    told = message(UsageError, lambda: Backtest(ShortStraddle, store))
    assert told == "No symbol: name one, such as Backtest(MyStrategy, store, 'NIFTY')."
    told = message(UsageError, lambda: parse_options("--capital 10L"))
    assert told == (
        "No symbol was given; name one: `%%backtest NIFTY`. `%bestbt coverage` lists them."
    )


def test_a_symbol_that_is_no_text(store: Store) -> None:
    told = message(UsageError, lambda: Backtest(ShortStraddle, store, 50))  # type: ignore[arg-type]
    assert told == "50 is no symbol; write one as text, such as 'NIFTY'."


def test_an_index_without_options(store: Store, tmp_path: Path) -> None:
    file = write(
        tmp_path / "index.csv",
        "symbol,date,open,high,low,close,volume",
        *(f"NIFTY,2024-01-01 09:{m}:00,21700,21710,21690,21705,0" for m in range(15, 40)),
    )
    bare = Store.open(tmp_path / "bare.sqlite")
    bare.import_file(file, progress=False)
    cell = compile_cell(STRADDLE, "cell", {})
    run = Backtest(cell, bare, "NIFTY")
    with pytest.raises(UsageError) as caught:
        run.run()
    assert "NIFTY" in str(caught.value)
    assert "option" in str(caught.value) or "expir" in str(caught.value)
    line = next(n for n, text in enumerate(STRADDLE.splitlines(), 1) if "get_atm" in text)
    assert f"  line {line}:" in str(run.failure)
    bare.close()


# --- dates


def test_dates_outside_the_coverage(store: Store) -> None:
    for days in ({"start": "2023-12-01"}, {"end": "2024-02-01"}):
        told = message(DataGap, backtest(store, **days))
        for part in (*days.values(), "NIFTY", "2024-01-01", "2024-01-05"):
            assert part in told
        assert told.endswith("Ask for dates inside, or import the rest.")


def test_a_start_after_all_there_is(store: Store) -> None:
    told = message(DataGap, backtest(store, start="2024-06-03"))
    assert told == (
        "No day from 2024-06-03 to 2024-01-05; the store covers NIFTY 2024-01-01 … 2024-01-05."
    )


def test_a_weekend(store: Store) -> None:
    told = message(DataGap, backtest(store, start="2024-01-06", end="2024-01-07"))
    assert "no trading day from 2024-01-06 to 2024-01-07" in told


def test_days_the_wrong_way_round(store: Store) -> None:
    told = message(UsageError, lambda: parse_options("NIFTY --from 2024-02-01 --to 2024-01-01"))
    assert told == "--from 2024-02-01 is after --to 2024-01-01; swap them."
    assert "2024-01-03 to 2024-01-02" in message(
        DataGap, backtest(store, start="2024-01-03", end="2024-01-02")
    )


@pytest.mark.parametrize("given", ["01-01-2024", "yesterday", "", 20240101])
def test_what_is_no_day(store: Store, given: Any) -> None:
    told = message(UsageError, backtest(store, start=given))
    assert told == f"start={given!r} is no day; write it as '2024-01-31'."


def test_a_moment_counts_as_its_day(store: Store) -> None:
    assert backtest(store, start=datetime(2024, 1, 3, 9, 30))().first_day == date(2024, 1, 3)


def test_too_long_a_warmup(store: Store) -> None:
    told = message(DataGap, backtest(store, warmup=5))
    assert "5" in told
    assert "warm" in told


# --- options


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("NIFTY --captal 10L", "%%backtest has no option --captal. Did you mean '--capital'?"),
        ("NIFTY --form 2024-01-01", "%%backtest has no option --form. Did you mean '--from'?"),
        ("NIFTY --sweep stop=1,2", "--sweep is not in this version of bestbt; leave it out."),
        (
            "NIFTY --capital plenty",
            "--capital plenty: no amount of money; write it as 1000000, 10L, 1Cr or 250k.",
        ),
        ("NIFTY --capital 0", "--capital 0: a run needs some; write it as 1000000 or 10L."),
        (
            "NIFTY --from 31/01/2024",
            "--from 31/01/2024: no date; write it as 2024-01-31, or 2024-01 for the month.",
        ),
        ("NIFTY --set stop", '--set stop: write it as name=value, such as --set "stop=25%".'),
        ("NIFTY --set a=1 --set a=2", "--set a was given twice; leave one."),
        ("NIFTY --as 2nd", "--as 2nd: no name of a variable; write it as --as straddle."),
        ("NIFTY --bar soon", "--bar soon: no duration; write it as 1min, 5min or 15s."),
        ("NIFTY --fill-at open", "--fill-at open: it is next_open (default) or close."),
        ("NIFTY --warmup -1", "--warmup -1: no number of sessions; write it as 5."),
    ],
)
def test_options_of_the_cell(line: str, told: str) -> None:
    assert message(UsageError, lambda: parse_options(line)) == told


@pytest.mark.parametrize("capital", ["plenty", "10L", None, 0, -1, float("nan"), True])
def test_capital_that_is_no_number(store: Store, capital: Any) -> None:
    told = message(UsageError, backtest(store, capital=capital))
    assert told == f"capital={capital!r}: a number above zero is needed, such as 1_000_000."


def test_options_of_a_backtest(store: Store) -> None:
    told = message(UsageError, backtest(store, fill_at="open"))
    assert told == "fill_at='open': it is 'next_open' or 'close'."
    told = message(UsageError, backtest(store, fees="zerodha"))
    assert told == "fees='zerodha': 'market', 'none', 'us', or a function; see help(Backtest)."
    told = message(UsageError, backtest(store, slippage="some"))
    assert told.startswith("slippage='some' is not understood; give 0, '2ticks', '0.5%'")
    assert "'soon'" in message(UsageError, backtest(store, bar="soon"))
    assert "bars" in message(DataGap, backtest(store, bar="10s"))


def test_an_unknown_option_of_a_backtest(store: Store) -> None:
    with pytest.raises(TypeError, match="captal"):
        Backtest(ShortStraddle, store, "NIFTY", captal=3)  # type: ignore[call-arg]


# --- the strategy and its parameters


def test_what_is_no_strategy(store: Store) -> None:
    for given in (object, ShortStraddle.enter, "ShortStraddle", 3):
        told = message(UsageError, lambda: Backtest(given, store, "NIFTY"))  # type: ignore[arg-type]  # noqa: B023
        assert told.endswith("a subclass of Strategy is needed.")


def test_an_unknown_parameter(store: Store) -> None:
    told = message(ParamError, backtest(store, params={"stpo": 3}))
    assert "stpo" in told
    assert "Did you mean 'stop'?" in told


def test_a_parameter_of_the_wrong_type(store: Store) -> None:
    class Asking(Strategy):
        lots = param(1, min=1, max=5)
        right = param("CE", choices=("CE", "PE"))

    def given(**params: Any) -> str:
        return message(ParamError, lambda: Backtest(Asking, store, "NIFTY", params=params))

    for told in (given(lots=9), given(lots="many"), given(right="C")):
        assert re.search(r"lots|right", told)
        assert re.search(r"5|CE|number|int", told)


def test_a_stop_that_is_none(store: Store) -> None:
    run = Backtest(ShortStraddle, store, "NIFTY", params={"stop": "wide"})
    told = message(OrderError, run.run)
    assert told.startswith("'wide' is no")
    for way in ("101.5", "'25%'", "'30pts'"):
        assert way in told


def test_a_cell_without_a_strategy() -> None:
    told = message(CellError, lambda: compile_cell("x = 1", "cell", {}))
    assert told.startswith("The cell has no strategy: no class in it derives from Strategy.")
    assert "class MyStrategy(Strategy):" in told


def test_a_cell_with_two_strategies() -> None:
    body = "class One(Strategy): pass\nclass Two(Strategy): pass\n"
    told = message(CellError, lambda: compile_cell(body, "cell", {}))
    assert told == (
        "The cell has 2 strategies: One, Two. A cell runs one: move the others to cells of their "
        "own."
    )


# --- files


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def refused(store: Store, file: Path, **options: Any) -> str:
    """Return why a file was refused; nothing of it is stored."""
    told = message(ImportRefused, lambda: store.import_file(file, progress=False, **options))
    assert store.is_empty
    return told


def test_an_empty_file(empty: Store, tmp_path: Path) -> None:
    told = refused(empty, write(tmp_path / "nothing.csv"))
    assert "nothing.csv" in told
    assert "empty" in told


def test_a_file_with_a_header_only(empty: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "head.csv", "symbol,date,open,high,low,close,volume")
    told = refused(empty, file)
    assert "head.csv" in told
    assert re.search(r"no row|no bar|empty", told, re.IGNORECASE)


def test_a_missing_column_shows_what_was_tried(empty: Store, tmp_path: Path) -> None:
    file = write(
        tmp_path / "short.csv", "symbol,date,open,high,low", "NIFTY,2024-01-01 09:15:00,1,2,1"
    )
    told = refused(empty, file)
    assert "close" in told
    for found in ("symbol", "date", "open", "high", "low"):
        assert found in told
    assert "columns=" in told


def test_a_file_that_is_not_there(empty: Store, tmp_path: Path) -> None:
    told = refused(empty, tmp_path / "gone.csv")
    assert told == f"{tmp_path / 'gone.csv'} is not there; give the path of a data file."
    told = refused(empty, tmp_path)
    assert told.startswith(f"{tmp_path} is a folder; give the path of a data file, or of a folder")


def test_a_file_of_something_else(empty: Store, tmp_path: Path) -> None:
    file = tmp_path / "picture.parquet"
    file.write_bytes(bytes(range(256)) * 8)
    assert "picture.parquet" in refused(empty, file)


def test_an_unknown_format(empty: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "x.csv", "symbol,date,open,high,low,close", "NIFTY,,1,2,1,1")
    told = refused(empty, file, format="long")
    assert "'long'" in told
    assert "long-bars" in told


# --- the store


def test_an_empty_store(empty: Store) -> None:
    assert message(ContractNotFound, backtest(empty)) == (
        "No 'NIFTY' in the store; it is empty: run `bestbt demo` for a synthetic market, or import "
        "a file with `store.import_file(path)`."
    )


def test_a_store_that_is_a_folder(tmp_path: Path) -> None:
    told = message(UsageError, lambda: Store.open(tmp_path))
    assert told == f"{tmp_path} is a folder; a store is a file, such as {tmp_path}/bestbt.sqlite."


def test_a_store_that_is_no_database(tmp_path: Path) -> None:
    file = write(tmp_path / "notes.txt", *["no database, but long enough to be looked at"] * 50)
    told = message(UsageError, lambda: Store.open(file))
    assert told == f"{file} is no store: it is not a SQLite file. Give another path."
    assert file.read_text().startswith("no database")


def test_a_saved_run_that_is_not_there(store: Store) -> None:
    told = message(UsageError, lambda: store.open_run(99))
    assert told == "No run 99 is saved; `store.runs()` lists those that are."


# --- steps


def test_steps_that_are_none(store: Store) -> None:
    stepped = backtest(store)()
    assert message(UsageError, lambda: stepped.step(0)).startswith("step(0): one bar or more")
    assert message(UsageError, lambda: stepped.back(0)) == "back(0): one bar or more."
    assert "Did you mean 'session'?" in message(UsageError, lambda: stepped.run_to("sesion"))
    stepped.step(30)
    told = message(UsageError, lambda: stepped.run_to("2024-01-01 09:20"))
    assert "back_to() rewinds" in told
    assert stepped.simulation.bar == 29  # nothing moved


def test_a_contract_by_hand_that_is_not_there(store: Store) -> None:
    stepped = backtest(store)()
    stepped.step(30)
    told = message(ContractNotFound, lambda: stepped.buy("NIFTY 2024-01-04 21 CE", 1))
    assert "21 CE" in told
    assert len(stepped.simulation.interventions) == 0
