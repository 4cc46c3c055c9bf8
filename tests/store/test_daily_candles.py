"""Candles of a day: on their sessions, and the closes of an index as its official closes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bestbt import Backtest, Strategy
from bestbt.errors import ImportRefused
from bestbt.markets.demo import DemoSeries, generate
from bestbt.store.store import Store
from tests.vendors import daily_candles

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 31)
DIRT = {"exchange": {"no-session": 1}, "vendor": {}, "yahoo": {"no-price": 1}, "shares": {}}


@pytest.fixture(scope="module")
def index() -> DemoSeries:
    return next(iter(generate("NIFTY", FIRST, LAST)))


def import_days(store: Store, file: Path, **options: Any) -> None:
    store.import_file(file, progress=False, **options)


@pytest.mark.parametrize("shape", ["exchange", "vendor", "yahoo"])
def test_days_of_an_index_come_back_as_they_were(
    store: Store, index: DemoSeries, tmp_path: Path, shape: str
) -> None:
    days = daily_candles.days_of(index)
    file = daily_candles.write(tmp_path, index, shape)
    report = store.import_file(file, symbol="NIFTY", progress=False)
    assert report.format == "daily-candles CSV"
    assert report.quarantined == DIRT[shape]
    assert report.balanced
    assert report.symbols == {"NIFTY index": len(days), "NIFTY official close": len(days)}
    seen = store.prices("NIFTY", bar="1d")
    assert [t.date() for t in seen.index] == list(days.index)
    assert {f"{t:%H:%M}" for t in seen.index} == {"09:15"}
    assert (seen.to_numpy().round(2) == days.to_numpy().round(2)).all()
    assert store.closes("NIFTY").round(2).tolist() == days["close"].round(2).tolist()


def test_many_shares_in_one_file(store: Store, index: DemoSeries, tmp_path: Path) -> None:
    days = daily_candles.days_of(index)
    report = store.import_file(daily_candles.write(tmp_path, index, "shares"), progress=False)
    assert report.symbols == {"RELIANCE equity": len(days), "SBIN equity": len(days)}
    seen = store.prices("SBIN", bar="1d")
    assert (seen[["open", "high", "low", "close"]].to_numpy().round(2) == days.to_numpy()).all()
    assert set(seen["volume"]) == {1000}
    assert store.closes("SBIN").empty


def test_a_day_in_two_parts_is_the_bar_of_the_last(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    file.write_text("date,open,high,low,close\n2024-03-01,1,4,1,3\n2024-03-02,3,5,3,4\n")
    import_days(store, file, symbol="NIFTY")
    assert [f"{t:%d %H:%M}" for t in store.prices("NIFTY", bar="1d").index] == [
        "01 09:15",
        "02 11:30",
    ]


def test_a_run_plays_days(store: Store, index: DemoSeries, tmp_path: Path) -> None:
    class EveryFriday(Strategy):
        def on_bar(self) -> None:
            if self.now.weekday() == 3:  # decided on Thursday's close
                self.buy(self.contract("SBIN"), qty=10)
            elif self.now.weekday() == 4:
                self.exit_all()

    import_days(store, daily_candles.write(tmp_path, index, "shares"))
    terms: Any = {"bar": "1d", "fees": "none", "slippage": 0}
    run = Backtest(EveryFriday, store, "SBIN", start=FIRST, end=LAST, **terms).run()
    days = daily_candles.days_of(index)
    opens = {day: row["open"] for day, row in days.iterrows()}
    assert len(run.fills) >= 6
    fills: list[Any] = list(run.fills.itertuples())
    for fill in fills:
        assert round(fill.price, 2) == round(opens[pd.Timestamp(fill.time).date()], 2)


def test_days_beside_minutes_are_closes_alone(
    store: Store, index: DemoSeries, tmp_path: Path
) -> None:
    with store.importing("minutes") as tx:
        tx.write(index.spec, index.starts, index.points)
    before = store.fingerprint(["NIFTY"], FIRST, LAST)
    file = daily_candles.write(tmp_path, index, "vendor")
    report = store.import_file(file, symbol="NIFTY", progress=False)
    days = daily_candles.days_of(index)
    assert report.noted["finer-stored"] == report.stored == len(days)
    assert report.balanced
    assert len(store.prices("NIFTY")) == len(index.starts)
    assert store.closes("NIFTY").round(2).tolist() == days["close"].round(2).tolist()
    assert store.fingerprint(["NIFTY"], FIRST, LAST) != before


def test_closes_can_be_left_out(store: Store, index: DemoSeries, tmp_path: Path) -> None:
    file = daily_candles.write(tmp_path, index, "vendor")
    import_days(store, file, symbol="NIFTY", official_closes=False)
    assert store.closes("NIFTY").empty


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("date,open,high,low,close\n2024-01-01,1,4,1,3\n", {}, 'symbol="NIFTY"'),
        (
            "date,open,high,low,close\n2024-01-01,1,4,1,3\n2024-01-08,1,4,1,3\n",
            {"symbol": "NIFTY"},
            "7 days apart: candles of weeks",
        ),
        ("date,open,high,low,close\n2024-01-07,1,4,1,3\n", {"symbol": "NIFTY"}, "no-session"),
        ("date,open,high,low,close\n2024-01-01,,,,\n", {"symbol": "NIFTY"}, "not one number"),
        (
            "date,open,high,low,close\n2024-01-01,1,4,1,3\n",
            {"symbol": "NIFTY", "stamp": "end"},
            "No option 'stamp' for daily candles",
        ),
    ],
)
def test_what_cannot_be_days_is_refused(
    store: Store, tmp_path: Path, content: str, options: dict[str, str], says: str
) -> None:
    file = tmp_path / "days.csv"
    file.write_text(content)
    with pytest.raises(ImportRefused, match=says):
        import_days(store, file, **options)
    assert store.is_empty
