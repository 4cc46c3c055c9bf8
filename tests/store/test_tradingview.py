"""Charts of TradingView: the instrument is in the file's name, the bars come back one by one."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bestbt.errors import ImportRefused
from bestbt.markets.demo import DemoSeries, generate
from bestbt.store.store import Store
from tests.vendors import tradingview

DAY = date(2024, 1, 3)
HEAD = "time,open,high,low,close"


@pytest.fixture(scope="module")
def market() -> list[DemoSeries]:
    return list(generate("NIFTY", DAY, DAY))


def pick(market: list[DemoSeries], name: str) -> DemoSeries:
    return next(series for series in market if str(series.spec) == name)


@pytest.mark.parametrize("epoch", [False, True])
@pytest.mark.parametrize("name", ["NIFTY", "NIFTY 2024-01-04 21700 CE", "NIFTY 2024-01-25 FUT"])
def test_a_chart_comes_back_as_it_was(
    store: Store, market: list[DemoSeries], tmp_path: Path, name: str, epoch: bool
) -> None:
    source = pick(market, name)
    report = store.import_file(tradingview.write(tmp_path, source, epoch=epoch), progress=False)
    assert report.format == "tradingview CSV"
    assert (report.rows, report.stored) == (len(source.starts), len(source.starts))
    assert not report.repaired
    seen: Any = store.prices(name)
    assert np.array_equal(seen.index.as_unit("ns").asi8, source.starts)
    quads = source.points.reshape(-1, 4)
    wanted = (quads[:, 0], quads.max(axis=1), quads.min(axis=1), quads[:, 3])
    for column, values in zip(("open", "high", "low", "close"), wanted, strict=True):
        assert np.array_equal(np.rint(seen[column] * 100), values)
    if source.volume is not None:
        assert np.array_equal(seen["volume"], source.volume)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("NSE_NIFTY, 5.csv", "NIFTY"),
        ("NSE_BANKNIFTY, 5_3f2a1.csv", "BANKNIFTY"),
        ("NSE_DLY_RELIANCE, 5 (1).csv", "RELIANCE"),
        ("BSE_SENSEX, 5.csv", "SENSEX"),
        ("NSE_NIFTY1!, 5.csv", "NIFTY 2024-02-29 FUT"),
        ("NSE_NIFTY2!, 5.csv", "NIFTY 2024-03-28 FUT"),
        ("NSE_NIFTYG2024, 5.csv", "NIFTY 2024-02-29 FUT"),
        ("NSE_NIFTY240208P22000, 5.csv", "NIFTY 2024-02-08 22000 PE"),
    ],
)
def test_the_name_of_the_file_names_the_instrument(
    store: Store, tmp_path: Path, file: str, name: str
) -> None:
    chart = tmp_path / file
    chart.write_text(f"{HEAD}\n2024-02-05T09:15:00+05:30,1,4,1,3\n")
    assert store.import_file(chart, progress=False).stored == 1
    assert store.coverage()["bar"].tolist() == ["5min"]  # one row says nothing of it, the name does
    assert len(store.prices(name, bar="5min")) == 1


@pytest.mark.parametrize("time", ["2024-02-{:02}", "{}"])
def test_days_are_candles_of_their_sessions(store: Store, tmp_path: Path, time: str) -> None:
    days = (1, 2, 5)
    epochs = [1706758200 + 86400 * (day - 1) for day in days]  # 2024-02-01 09:15 in India
    stamps = epochs if time == "{}" else days
    rows = "".join(f"{time.format(s)},21700,21800,21600,21750.05\n" for s in stamps)
    chart = tmp_path / "NSE_NIFTY, 1D.csv"
    chart.write_text(f"{HEAD}\n{rows}")
    store.import_file(chart, progress=False)
    seen = store.prices("NIFTY", bar="1d")
    assert [f"{t:%m-%d %H:%M}" for t in seen.index] == [f"02-{d:02} 09:15" for d in days]
    assert store.closes("NIFTY").tolist() == [21750.05] * 3


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("chart.csv", 'say symbol="NIFTY"'),
        ("NSE_NIFTY, 15S.csv", "bars of 15 seconds"),
        ("NSE_NIFTY, 1W.csv", "weeks or months"),
        ("NSE_NIFTY, 1M.csv", "weeks or months"),
        ("NSE_NIFTY, 3D.csv", "bars of 3 days"),
    ],
)
def test_what_is_no_chart_of_minutes_or_days_is_refused(
    store: Store, tmp_path: Path, file: str, says: str
) -> None:
    chart = tmp_path / file
    chart.write_text(f"{HEAD}\n2024-02-05T09:15:00+05:30,1,4,1,3\n")
    with pytest.raises(ImportRefused, match=says):
        store.import_file(chart, progress=False)
    assert store.is_empty


def test_days_by_another_name_want_their_length_said(store: Store, tmp_path: Path) -> None:
    chart = tmp_path / "chart.csv"
    chart.write_text(f"{HEAD}\n1706758200,1,4,1,3\n1706844600,1,4,1,3\n")
    with pytest.raises(ImportRefused, match=r'one row a day.*say bar="1d"'):
        store.import_file(chart, symbol="SBIN", progress=False)
    store.import_file(chart, symbol="SBIN", bar="1d", progress=False)
    assert store.coverage()["bar"].tolist() == ["1d"]


def test_an_option_it_has_no_use_for_is_refused(store: Store, tmp_path: Path) -> None:
    chart = tmp_path / "NSE_NIFTY, 5.csv"
    chart.write_text(f"{HEAD}\n2024-02-05T09:15:00+05:30,1,4,1,3\n")
    with pytest.raises(ImportRefused, match="No option 'stamp' for charts of TradingView"):
        store.import_file(chart, stamp="end", progress=False)
