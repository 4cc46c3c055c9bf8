"""Every real file there is imports, or is refused with the reason that a person would give.

What is stored is held against a count made here of the raw file.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.store import Store

# Tested where their importers are.
ELSEWHERE = {
    "chain_2019/*": "test_chain_real.py",
    "eod/*": "test_import_bhavcopy.py",
    "ticks/*": "test_import_ticks.py",
}


class Case(NamedTuple):
    """A file, what is said with it, and how many rows are stored, or why none is."""

    file: str
    options: dict[str, Any]
    stored: Callable[[Path], int] | None = None
    refused: str = ""


def lines(file: Path) -> list[list[str]]:
    """Return the fields of each line but the first."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt") as stream:
        return list(csv.reader(stream))[1:]


def before_the_close(place: int) -> Callable[[Path], int]:
    """Count the rows whose time of day is none of the minutes after the session."""
    return lambda file: sum(row[place] < "15:30" for row in lines(file))


def at(*times: str) -> Callable[[Path], int]:
    return lambda file: sum(row[2] not in times for row in lines(file))


def half_hours(file: Path) -> int:
    """Count what starts on a half hour of its session: muhurat and two-part days often do not."""
    muhurat = ("2019-10-27", "2020-11-14", "2021-11-04")  # from 18:15, and bars from 18:00
    closed = ("2022-10-24T19:15", "2023-11-12T19:15")  # when the hour of muhurat was over
    parts = ("2024-03-02T1", "2024-05-18T1")  # the second part began at 11:30
    return sum(not row[0].startswith((*muhurat, *closed, *parts)) for row in lines(file))


def traded(file: Path) -> int:
    return int((pd.read_parquet(file)["volume"] > 0).sum())


def options_in(file: Path) -> int:
    return len(pd.read_parquet(file).groupby(["expiry", "strike", "option_type"]))


def one_price(name: str) -> dict[str, Any]:
    return {"columns": dict.fromkeys(("open", "high", "low", "close"), name)}


def of_minute(file: Path) -> int:
    return int((pd.read_parquet(file)["time"] < "15:30:00").sum())


ABROAD = "of the market 'usa'; bestbt knows the sessions and expiries of Indian exchanges alone"
LEAN = "outside/lean/Data"
CASES = [
    Case("INDEX.md", {}, refused="text but no table"),
    Case("minute/banknifty_20221230.parquet", {}, of_minute),
    Case("minute/banknifty_spot_2024.csv.gz", {}, refused="named for BANKNIFTY"),
    Case("minute/banknifty_spot_2024.csv.gz", {"symbol": "BANKNIFTY"}, before_the_close(2)),
    Case("minute/nifty_spot_2009.csv.gz", {}, before_the_close(2)),
    Case("minute/nifty_spot_2024.csv.gz", {}, before_the_close(2)),
    Case("odd/BANKNIFTY.csv.gz", {}, refused=r"no header: its first line holds values \(74, 20"),
    Case("odd/NIFTY.csv.gz", {}, refused=r"no header: its first line holds values \(61, 20"),
    Case("odd/banknifty_data.csv", {}, refused="lacks open, high, low.*one price a row"),
    Case("odd/banknifty_data.csv", one_price("<close>"), refused="'.NSEBANK' is no name"),
    Case(
        "odd/banknifty_data.csv",
        one_price("<close>") | {"symbol": "BANKNIFTY"},
        at("15:30:00"),
    ),
    Case("odd/option_contract_data.csv", {}, refused="lacks open, high, low.*one price a row"),
    Case(
        "odd/option_contract_data.csv",
        one_price("<close>"),
        refused="'banknifty_option_contract' is no name",
    ),
    Case(
        "odd/option_contract_data.csv",
        one_price("<close>") | {"symbol": "BANKNIFTY10FEB2238500CE"},
        at("15:30:00"),
    ),
    Case("odd/nifty50_history.csv", {}, refused="no column that names the instrument"),
    Case("odd/nifty50_history.csv", {"symbol": "NIFTY"}, lambda file: len(lines(file))),
    Case("odd/nifty_30m_tradingview.csv.gz", {}, refused="in the file's name alone"),
    Case("odd/nifty_30m_tradingview.csv.gz", {"symbol": "NIFTY"}, half_hours),
    Case("odd/option_chain_20260821.parquet", {}, refused="not one number in them.*ltp"),
    Case("odd/option_chain_20260821.parquet", one_price("ltp"), options_in),
    Case("outside/goog_daily.csv", {}, refused="no column that names the instrument"),
    Case("outside/goog_smacross_equity.csv", {}, refused="lacks open, high, low, close"),
    Case("outside/goog_smacross_trades.csv", {}, refused="lacks open, high, low, close"),
    Case("outside/py_vollib_test_data.json", {}, refused="is JSON, and in it are no bars"),
    Case("outside/lean/lean_option_regressions.csv", {}, refused="lacks open, high, low, close"),
    Case(f"{LEAN}/index/india/minute/nifty50/*_trade.zip", {}, lambda _: 375),
    Case(f"{LEAN}/index/india", {}, lambda _: 4 * 375),
    Case(f"{LEAN}/index/usa/minute/spx/*_trade.zip", {}, refused=ABROAD),
    Case(f"{LEAN}/indexoption/usa/minute/spx/*.zip", {}, refused=ABROAD),
    Case(f"{LEAN}/option/usa/minute/goog/*.zip", {}, refused=ABROAD),
    Case("reference_sets/nifty_gold_sample.parquet", {}, traded),
    Case("reference_sets/nifty_gold_sample.parquet", {"bar": "1min"}, traded),
]


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    return shared / "data"


def test_every_file_is_known_here(data: Path) -> None:
    files = [file.relative_to(data).as_posix() for file in data.rglob("*") if file.is_file()]
    patterns = [*ELSEWHERE, *(case.file for case in CASES)]
    assert len(files) > 40
    assert [f for f in files if not any(fnmatch(f, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file} {case.options or ''}")
def test_it_imports_or_is_refused_with_its_reason(data: Path, tmp_path: Path, case: Case) -> None:
    files = sorted(data.glob(case.file))
    assert files
    for number, file in enumerate(files):
        store = Store.open(tmp_path / f"{number}.sqlite")
        if case.stored is None:
            with pytest.raises(ImportRefused, match=f"(?s){case.refused}"):
                store.import_file(file, progress=False, **case.options)
            assert store.is_empty
        else:
            report = store.import_file(file, progress=False, **case.options)
            assert report.balanced
            assert report.stored == case.stored(file) > 0
        store.close()


def test_dates_written_in_two_ways_are_the_days_they_were(data: Path, store: Store) -> None:
    """2/2/2022 and 10-02-2022 are of February; the closes of days are the official ones."""
    odd = data / "odd"
    said = one_price("<close>") | {"symbol": "BANKNIFTY"}
    store.import_file(odd / "banknifty_data.csv", progress=False, **said)
    call = "BANKNIFTY 2022-02-10 38500 CE"
    said |= {"symbol": call}
    store.import_file(odd / "option_contract_data.csv", progress=False, **said)
    for name, days in (("BANKNIFTY", (2, 10)), (call, (2, 7))):
        seen: Any = store.prices(name)
        assert (seen.index[0].day, seen.index[-1].day) == days
        assert set(seen.index.month) == {2}
    assert store.prices("BANKNIFTY")["close"].iloc[0] == 38865.1
    store.import_file(odd / "nifty50_history.csv", symbol="NIFTY", progress=False)
    by_day = {row[0]: float(row[4]) for row in lines(odd / "nifty50_history.csv")}
    assert store.closes("NIFTY")[pd.Timestamp("2025-08-20")] == by_day["20-AUG-2025"] == 25050.55
