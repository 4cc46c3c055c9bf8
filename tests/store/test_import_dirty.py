"""Dirt of every kind, one row each: where each row went, by name; and files that are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from bestbt.errors import ContractNotFound, ImportRefused
from bestbt.store.store import Store

HEAD = "Ticker,Date,Time,Open,High,Low,Close,Volume,Open Interest\n"
DAY = "2024-02-05"
CALL = "NIFTY08FEB2422000CE"


def write(folder: Path, *rows: str, head: str = HEAD, name: str = "bars.csv") -> Path:
    file = folder / name
    file.write_text(head + "".join(row + "\n" for row in rows))
    return file


def test_each_kind_of_dirt_is_named(store: Store, tmp_path: Path) -> None:
    rows = [
        f"{CALL},{DAY},09:15,10,12,9,11,50,100",  # line 2, stored
        f"{CALL},{DAY},09:17,10,12,9,11,50,nan",  # stored: open interest carried; a gap before it
        f"{CALL},{DAY},09:16,nan,12,9,nan,50,100",  # neither open nor close
        f"{CALL},{DAY},09:18,10,12,0,11,50,100",  # zero price
        f"{CALL},{DAY},09:19,10,12,-9,11,50,100",  # negative price
        f"{CALL},{DAY},09:20,10,9,12,11,50,100",  # high below low: mended and stored
        f"{CALL},{DAY},09:21,10.03,12,9,11,50,100",  # off the tick, stored
        f"{CALL},{DAY},09:22,10,12,9,11,51,100",  # no whole lot, stored
        f"{CALL},{DAY},09:23,10,12,9,11,0,100",  # nothing traded
        f"{CALL},{DAY},09:24,10,12,9,11,-5,100",  # negative volume: mended and stored
        f"{CALL},{DAY},15:30,10,12,9,11,50,100",  # at the close
        f"{CALL},{DAY},16:00,10,12,9,11,50,100",  # after it
        f"{CALL},{DAY},09:00,10,12,9,11,50,100",  # before the open
        f"{CALL},2024-02-04,09:20,10,12,9,11,50,100",  # a Sunday
        f"{CALL},{DAY},09:25:30,10,12,9,11,50,100",  # between two bars
        f"{CALL},2024-02-09,09:20,10,12,9,11,50,100",  # after the expiry
        f"{CALL},{DAY},09:15,10,12,9,11,50,100",  # the same again
        f"{CALL},{DAY},09:22,10,13,9,11,51,100",  # the same bar, other values: stands
        f"{CALL},never,09:26,10,12,9,11,50,100",  # no date
        f"NIFTY99XYZ,{DAY},09:26,10,12,9,11,50,1",  # read as a share's name
        f"NIFTY08FEB24CE,{DAY},09:26,10,12,9,11,50,1",  # no strike
        f"{CALL},{DAY},09:26,30000000,30000000,9,11,50,100",  # too large
        f"{CALL},{DAY},09:27,10.001,12,9,11,50,100",  # a tenth of a paisa: rounded and stored
        f"{CALL},2024-03-02,10:30,10,12,9,11,50,1",  # between two parts, and after the expiry
    ]
    file = write(tmp_path, *rows)
    text = file.read_text() + f"{CALL},{DAY},09:28,10\n"  # a row cut short
    file.write_text(text)
    report = store.import_file(file, progress=False)
    assert report.quarantined == {
        "ragged-row": 1,
        "unreadable-time": 1,
        "unreadable-symbol": 1,
        "no-price": 1,
        "price-not-positive": 2,
        "price-too-large": 1,
        "at-close": 1,
        "after-close": 1,
        "before-open": 1,
        "no-session": 1,
        "off-grid": 1,
        "after-expiry": 1,
        "between-parts": 1,
        "duplicate": 1,
        "duplicate-conflict": 1,
        "no-trade": 1,
    }
    assert report.repaired == {
        "rounded": 1,
        "extremes-mended": 1,
        "volume-mended": 1,
        "oi-carried": 1,
        "sorted": 2,  # lines 18 and 19, which stand for lines 2 and 9
    }
    assert report.noted["off-tick"] == 1
    assert report.noted["odd-lot-volume"] == 1
    assert report.rows == len(rows) + 1
    assert report.balanced
    samples = {f.rule: f.samples for f in report.findings}
    assert samples["no-price"] == [f"line 4: {CALL},{DAY},09:16,None,12,9,None,50,100"]
    assert samples["ragged-row"][0].startswith("line 26: ")
    assert samples["duplicate-conflict"][0].startswith("line 9: ")
    seen = store.prices("NIFTY 2024-02-08 22000 CE")
    assert [f"{t:%H:%M}" for t in seen.index] == [
        *("09:15", "09:17", "09:20", "09:21", "09:22", "09:24", "09:27")
    ]
    mended = seen.iloc[2]
    assert mended[["open", "high", "low", "close"]].tolist() == [10, 12, 9, 11]
    assert seen["high"].iloc[4] == 13
    assert seen["oi"].iloc[1] == 100
    assert seen["volume"].tolist() == [50, 50, 50, 50, 51, 0, 50]


def test_order_in_the_file_does_not_matter(store: Store, tmp_path: Path) -> None:
    rows = [f"NIFTY,{DAY},09:{m},100,101,99,100.5,0,0" for m in (15, 16, 18, 17, 19)]
    report = store.import_file(write(tmp_path, *rows), progress=False)
    assert report.repaired == {"sorted": 1}
    assert [t.minute for t in store.prices("NIFTY").index] == [15, 16, 17, 18, 19]


def test_a_continuous_future_is_read_by_its_day(store: Store, tmp_path: Path) -> None:
    rows = [f"NIFTY-I,{d},09:15,100,101,99,100.5,50,0" for d in ("2024-02-29", "2024-03-01")]
    report = store.import_file(write(tmp_path, *rows), progress=False)
    assert report.contracts == 2
    assert len(store.prices("NIFTY 2024-02-29 FUT")) == 1
    assert len(store.prices("NIFTY 2024-03-28 FUT")) == 1


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("symbol,datetime,open,high,low,close", f"NIFTY,{DAY} 09:16:00,1,4,1,3"),
        ("symbol,datetime,open,high,low,close", f"NIFTY,{DAY}T09:16:00+05:30,1,4,1,3"),
        ("symbol,datetime,open,high,low,close", f"NIFTY,{DAY}T03:46:00Z,1,4,1,3"),
        ("symbol,timestamp,o,h,l,c", "NIFTY,1707104760,1,4,1,3"),
        ("<ticker>,<date>,<time>,<open>,<high>,<low>,<close>", "NIFTY,05-Feb-2024,9:16,1,4,1,3"),
        ("TRADING_SYMBOL;DATE;TIME;OPEN;HIGH;LOW;CLOSE", "NIFTY 50;20240205;0916;1;4;1;3"),
        ("Instrument\tDate\tOpen\tHigh\tLow\tClose", f"NIFTY\t{DAY} 09:16\t1\t4\t1\t3"),
        ("symbol,date,time,open,high,low,close", "NIFTY,05/02/2024,09:16:59,1,4,1,3"),
        ("\ufeffsymbol,date,time,open,high,low,close", f"NIFTY,{DAY},09:16 AM,1,4,1,3"),
    ],
)
def test_shapes_of_time_and_names(store: Store, tmp_path: Path, head: str, row: str) -> None:
    report = store.import_file(write(tmp_path, row, head=head + "\n"), progress=False)
    assert report.stored == 1
    seen = store.prices("NIFTY")
    assert str(seen.index[0]) == "2024-02-05 09:16:00+05:30"
    assert seen.iloc[0].tolist() == [1, 4, 1, 3]


def test_parquet_of_real_types(store: Store, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "tradingsymbol": pd.Categorical(["NIFTY", "NIFTY", CALL]),
            "timestamp": pd.to_datetime([f"{DAY} 09:15", f"{DAY} 09:16", f"{DAY} 09:16"]),
            "open": [1.0, 2.0, 3.0],
            "high": [1.0, 2.0, 3.0],
            "low": [1.0, 2.0, 3.0],
            "LTP": [1.0, 2.0, 3.0],
            "volume": [0, 0, 50],
        }
    )
    file = tmp_path / "bars.data"  # the content says what it is
    frame.to_parquet(file)
    with pytest.raises(ImportRefused, match=r"lacks close.*Columns found: .*LTP"):
        store.import_file(file, progress=False)
    report = store.import_file(file, columns={"close": "LTP"}, progress=False)
    assert report.stored == 3
    assert report.format == "long-bars Parquet"


def test_longer_bars_are_seen(store: Store, tmp_path: Path) -> None:
    rows = [f"NIFTY,{DAY},09:{m:02},100,101,99,100.5,0,0" for m in (15, 20, 25, 30, 40)]
    store.import_file(write(tmp_path, *rows), progress=False)
    assert store.coverage()["bar"].tolist() == ["5min"]


def test_progress_is_told(store: Store, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    rows = [f"{CALL},{DAY},09:15,10,12,9,11,50,100", f"NIFTY,{DAY},09:15,1,1,1,1,0,0"]
    store.import_file(write(tmp_path, *rows), progress=lambda *told_now: told.append(told_now))
    assert [(done, total) for done, total, _ in told][-2:] == [(2, 2), (2, 2)]
    assert told[0][2] == "reading"
    assert {total for _, total, _ in told} == {0, 2}, "a function hears of one unit alone"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "holds no text"),
        ("a.csv", b"Dear reader\nthis is a letter\n", "text but no table"),
        ("a.parquet", b"Dear reader, this is a letter, with commas\n1,2\n", "lacks open"),
        ("a.csv", b"symbol,date,time,open,high,low\nNIFTY,1,2,3,4,5\n", "lacks close"),
        ("a.csv", b"symbol,date,open,open,high,low,close\n", "2 columns that may be open"),
        ("a.csv", HEAD.encode(), "no rows"),
        ("a.csv", b"date,time,open,high,low,close\n2024-02-05,09:15,1,1,1,1\n", 'symbol="NIFTY"'),
        ("a.csv", b"PAR1 and no more", "cannot be read"),
        ("a.csv", gzip.compress(HEAD.encode() * 999, mtime=0)[:40], "cannot be read"),
        ("a.csv", b"PK\x03\x04\0\0", "not a zip file"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither Parquet nor text"),
        ("a.csv", HEAD.encode() + b"NIFTY,never,09:15,1,1,1,1,1,1\n", "No row of a.csv"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    store: Store, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ImportRefused, match=said):
        store.import_file(file, progress=False)
    assert store.is_empty
    assert store.imports().empty


def test_wrong_calls_are_refused(store: Store, tmp_path: Path) -> None:
    file = write(tmp_path, f"NIFTY,{DAY},09:15,1,1,1,1,0,0", f"{CALL},{DAY},09:15,1,1,1,1,50,0")
    with pytest.raises(ImportRefused, match="not there"):
        store.import_file(tmp_path / "none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportRefused, match="a folder"):
        store.import_file(tmp_path / "empty")
    with pytest.raises(ImportRefused, match="long-bars"):
        store.import_file(file, format="long-bar")
    with pytest.raises(ImportRefused, match="Did you mean 'stamp'"):
        store.import_file(file, stmap="end")
    with pytest.raises(ImportRefused, match="2 instruments"):
        store.import_file(file, symbol="NIFTY", progress=False)
    with pytest.raises(ImportRefused, match="no column 'LTP'"):
        store.import_file(file, columns={"close": "LTP"}, progress=False)
    with pytest.raises(ContractNotFound, match="empty"):
        store.prices("NIFTY")


@pytest.mark.parametrize("name", ["banknifty_data.csv", "nifty50_history.csv"])
def test_odd_files_are_refused_or_read_never_guessed(store: Store, shared: Path, name: str) -> None:
    with pytest.raises(ImportRefused):
        store.import_file(shared / "data" / "odd" / name, progress=False)
    assert store.is_empty
