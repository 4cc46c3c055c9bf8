"""Frames go the way of files: the same rules, the same report, and only once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.store import Store

CALL = "NIFTY 2024-02-08 22000 CE"


def minutes(n: int = 4, tz: str | None = None, **more: object) -> pd.DataFrame:
    """Return n bars from 09:15 of a day in India, an index of times."""
    times = pd.date_range("2024-02-05 09:15", periods=n, freq="min", tz="Asia/Kolkata")
    times = times.tz_convert(tz) if tz else times.tz_localize(None)
    step = np.arange(n) * 1.0
    prices = {"open": 100 + step, "high": 102 + step, "low": 99 + step, "close": 101 + step}
    return pd.DataFrame(prices | more, index=times)


@pytest.mark.parametrize("tz", [None, "Asia/Kolkata", "UTC", "America/New_York"])
def test_a_wide_frame_with_its_times_as_index(store: Store, tz: str | None) -> None:
    report = store.import_frame(minutes(tz=tz), "mine", symbol="NIFTY")
    assert (report.file, report.rows, report.stored) == ("mine", 4, 4)
    seen = store.prices("NIFTY")
    pd.testing.assert_frame_equal(
        seen,
        minutes(tz="Asia/Kolkata"),
        check_names=False,
        check_freq=False,
        check_index_type=False,
    )
    assert store.imports()["file"].tolist() == ["mine"]


def test_a_long_frame_as_a_file_of_it(store: Store, tmp_path: Path) -> None:
    frame = minutes(volume=[50, 50, 0, 75], oi=100).reset_index(names="When")
    frame.insert(0, "symbol", [CALL, CALL, CALL, "NIFTY"])
    frame.loc[1, ["open", "high", "low", "close"]] = np.nan
    columns = {"datetime": "When"}
    report = store.import_frame(frame, columns=columns)
    assert report.quarantined == {"no-price": 1, "no-trade": 1}
    assert report.balanced
    file = tmp_path / "bars.parquet"
    frame.to_parquet(file)
    other = Store.open(tmp_path / "other.sqlite")
    said = other.import_file(file, columns=columns, progress=False)
    assert said.findings == report.findings
    range_ = date(2024, 2, 1), date(2024, 2, 29)
    assert other.fingerprint(["NIFTY"], *range_) == store.fingerprint(["NIFTY"], *range_)
    other.close()


def test_columns_that_name_the_contract_in_parts(store: Store) -> None:
    frame = minutes().reset_index(names="datetime")
    frame["underlying"] = "NIFTY 50"
    frame["expiry"] = [date(2024, 2, 8), date(2024, 2, 8), date(2024, 2, 29), None]
    frame["strike"] = [22000.0, 22000.0, np.nan, np.nan]
    frame["option_type"] = ["CALL", "PE", "XX", None]
    assert store.import_frame(frame).contracts == 4
    assert store.coverage()["kind"].tolist() == ["index", "future", "option"]
    for name in (CALL, "NIFTY 2024-02-08 22000 PE", "NIFTY 2024-02-29 FUT", "NIFTY"):
        assert len(store.prices(name)) == 1


def test_quotes_are_kept(store: Store) -> None:
    frame = minutes(volume=[50, 0, 0, 0], bid=[1.05, 2.05, np.nan, 0], ask=[1.1, np.nan, 3, 0])
    report = store.import_frame(frame, symbol=CALL)
    assert report.quarantined == {"no-trade": 1}  # live is what traded or has a quote
    seen = store.prices(CALL)
    assert seen["bid"].fillna(-1).tolist() == [1.05, 2.05, -1]
    assert seen["ask"].fillna(-1).tolist() == [1.1, -1, 3]


def test_the_same_frame_is_imported_once(store: Store) -> None:
    assert not store.import_frame(minutes(), symbol="NIFTY").already
    assert store.import_frame(minutes(), symbol="NIFTY").already
    assert store.import_frame(minutes(), "another name", symbol="NIFTY").already
    assert not store.import_frame(minutes(), symbol="NIFTY", again=True).already
    assert not store.import_frame(minutes(), symbol="SBIN").already  # another instrument
    changed = minutes()
    changed.iloc[2, 3] = 103.05
    assert store.import_frame(changed, symbol="NIFTY").noted["replaced"] == 4
    assert store.prices("NIFTY")["close"].iloc[2] == 103.05


def test_odd_columns_are_no_hindrance(store: Store) -> None:
    """Lists, an index called as a column is, and categories: what is not read does not matter."""
    frame = minutes(symbol=pd.Categorical([CALL] * 4), tags=[["a"], [], None, {}], volume=50)
    frame.index.name = "time"
    assert store.import_frame(frame).stored == 4
    assert store.import_frame(frame.copy()).already
    frame.index.name = "symbol"
    with pytest.raises(ImportRefused, match="2 columns that may be symbol"):
        store.import_frame(frame)


def test_days_and_end_stamps(store: Store) -> None:
    days = minutes()
    days.index = pd.to_datetime(["2024-02-01", "2024-02-02", "2024-02-05", "2024-02-06"])
    assert store.import_frame(days, symbol="NIFTY").stored == 4
    assert len(store.closes("NIFTY")) == 4
    assert len(store.prices("NIFTY", bar="1d")) == 4
    ends = minutes()
    report = store.import_frame(ends, symbol="SBIN", stamp="end")
    assert report.quarantined == {"before-open": 1}
    assert report.repaired == {"end-stamped": 3}


def test_parquet_with_an_index_without_a_name(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    minutes().rename(columns={"close": "LTP"}).to_parquet(file)
    report = store.import_file(file, symbol="NIFTY", columns={"close": "LTP"}, progress=False)
    assert report.stored == 4
    assert list(store.prices("NIFTY")["close"]) == [101, 102, 103, 104]


@pytest.mark.parametrize(
    ("frame", "options", "says"),
    [
        (minutes(0), {"symbol": "NIFTY"}, "no rows"),
        (minutes(), {}, "no column that names the instrument"),
        (minutes().reset_index(drop=True), {"symbol": "NIFTY"}, "lacks datetime"),
        (minutes().drop(columns="low"), {"symbol": "NIFTY"}, "lacks low"),
        (
            minutes()[["close"]],
            {"symbol": "NIFTY"},
            'one price a row.*columns={"open": "close", "high": "close"',
        ),
        (minutes(), {"symbol": "NIFTY", "columns": {"close": "LTP"}}, "no column 'LTP'"),
        (pd.concat({"NIFTY": minutes()}, axis=1), {"symbol": "NIFTY"}, "several levels"),
        (minutes() * -1, {"symbol": "NIFTY"}, "price-not-positive"),
    ],
)
def test_what_is_no_table_of_bars_is_refused(
    store: Store, frame: pd.DataFrame, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ImportRefused, match=f"(?s){says}"):
        store.import_frame(frame, **options)  # type: ignore[arg-type]
    assert store.is_empty
