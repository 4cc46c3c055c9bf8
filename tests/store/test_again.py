"""The same rows again: said otherwise, with fewer columns, in another order of files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bestbt.errors import ImportRefused, Interrupted, UsageError
from bestbt.store.store import Store

BARS = "date,time,open,high,low,close\n20240605,09:15,22000,22010,21990,22005\n"
CALL = "NIFTY27JUN2422000CE"
NAME = "NIFTY 2024-06-27 22000 CE"  # of the same


def put(folder: Path, text: str, name: str = "bars.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_of_which_something_else_is_said_is_imported(store: Store, tmp_path: Path) -> None:
    file = put(tmp_path, BARS)
    assert store.import_file(file, symbol="BANKNIFTY", progress=False).stored == 1
    right = store.import_file(file, symbol="NIFTY", progress=False)
    assert (right.already, right.symbols) == ("", {"NIFTY index": 1})
    assert store.import_file(file, symbol="NIFTY", progress=False).already
    assert store.import_file(file, symbol="NIFTY", volume="lots", progress=False).stored == 1


def test_what_a_file_has_no_column_for_stays_as_it_was(store: Store, tmp_path: Path) -> None:
    row = f"{CALL},20240605,09:1"
    full = "symbol,date,time,open,high,low,close,volume,oi,bid,ask\n"
    full += f"{row}5,100,110,90,105,50,1000,104,106\n{row}6,105,110,90,105,75,1025,104,106\n"
    bare = f"symbol,date,time,open,high,low,close\n{row}5,101,110,90,107\n{row}7,107,109,90,108\n"
    store.import_file(put(tmp_path, full), progress=False)
    report = store.import_file(put(tmp_path, bare, "bare.csv"), bar="1min", progress=False)
    assert report.noted["replaced"] == 1
    got = store.prices(NAME)
    assert got["open"].tolist() == [101, 105, 107]
    assert got["volume"].tolist() == [50, 75, 0]
    assert got["oi"].tolist() == [1000, 1025, 0]
    store.export(NAME, tmp_path / "out.parquet", progress=False)
    assert pd.read_parquet(tmp_path / "out.parquet")["bid"].tolist()[0] == 104
    zeros = full.replace(",50,1000,", ",25,0,")  # a column that is there counts, also with a 0
    store.import_file(put(tmp_path, zeros, "zeros.csv"), progress=False)
    assert store.prices(NAME)["oi"].tolist()[0] == 0


@pytest.mark.parametrize("text", ["05/06/2024", "05-06-2024", "05-06-24", "05/06/24"])
def test_a_single_day_that_fits_both_ways_is_told(store: Store, tmp_path: Path, text: str) -> None:
    report = store.import_file(
        put(tmp_path, BARS.replace("20240605", text)), symbol="NIFTY", progress=False
    )
    assert report.start == "2024-06-05 09:15"
    assert "day-first" in report.noted


@pytest.mark.parametrize("text", ["06/06/2024", "13/06/2024", "2024-06-05"])
def test_a_day_that_fits_one_way_is_not(store: Store, tmp_path: Path, text: str) -> None:
    file = put(tmp_path, BARS.replace("20240605", text))
    assert "day-first" not in store.import_file(file, symbol="NIFTY", progress=False).noted


def test_the_folder_one_stands_in_has_its_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    put(folder, BARS, "a.csv")
    put(folder, BARS.replace("09:15", "09:16"), "b.csv")
    monkeypatch.chdir(folder)
    assert store.import_file(".", symbol="NIFTY", progress=False).file == "days"
    assert store.imports()["file"].tolist() == ["days/a.csv", "days/b.csv"]


def test_an_export_is_no_table_of_text(store: Store, tmp_path: Path) -> None:
    store.import_file(put(tmp_path, BARS), symbol="NIFTY", progress=False)
    with pytest.raises(UsageError, match=r"out\.csv.*Parquet.*out\.parquet"):
        store.export("NIFTY", tmp_path / "out.csv", progress=False)


@pytest.mark.parametrize(
    "parts",
    [
        "27JUN2024,22000,CE",  # a date that is written otherwise than the other
        ",22000,CE",
        "27-06-2024,22000,XX",
        "27-06-2024,22000,Call option",
        "27-06-2024,,CE",
        "soon,,XX",
    ],
)
def test_an_option_that_cannot_be_read_is_no_index_and_no_future(
    store: Store, tmp_path: Path, parts: str
) -> None:
    rows = [f"{p},20240605,09:15,100,110,90,105" for p in ("27-06-2024,22000,PE", parts)]
    rows += ["-,-,-,20240605,09:15,22000,22010,21990,22005"]  # an index has none of them
    rows += ["27-06-2024,0,XX,20240605,09:15,22000,22010,21990,22005"]
    text = "symbol,expiry,strike,option_type,date,time,open,high,low,close\n"
    text += "".join(f"NIFTY,{row}\n" for row in rows)
    report = store.import_file(put(tmp_path, text), progress=False)
    assert report.quarantined == {"unreadable-symbol": 1}
    assert report.symbols == {"NIFTY index": 1, "NIFTY future": 1, "NIFTY option": 1}


@pytest.mark.parametrize("together", [True, False])
def test_dates_with_the_month_first(store: Store, tmp_path: Path, together: bool) -> None:
    """The 2nd of May and the 5th of February 2024 are both days of trading."""
    when = "05/02/2024 {}" if together else "05/02/2024,{}"
    head = "symbol,datetime" if together else "symbol,date,time"
    rows = [f"NIFTY,{when.format(t)},9,9,9,9" for t in ("09:15", "09:16")]
    file = tmp_path / "a.csv"
    file.write_text("\n".join([f"{head},open,high,low,close", *rows, ""]))
    report = store.import_file(file, progress=False)
    assert 'dates="month-first" reads them the other way' in str(report)
    assert str(store.bounds("NIFTY")[0]) == "2024-02-05"
    other = store.import_file(file, dates="month-first", check_level=False, progress=False)
    assert (other.stored, "day-first" in other.noted) == (2, False)
    assert str(store.bounds("NIFTY")[1]) == "2024-05-02"
    told = store.import_file(file, dates="day-first", progress=False)
    assert told.noted.keys() == {"replaced", "short-session"}
    with pytest.raises(ImportRefused, match='it is "day-first" or "month-first"'):
        store.import_file(file, dates="us", progress=False)


def test_daily_candles_of_a_frame_with_the_month_first(store: Store) -> None:
    prices = dict.fromkeys(("open", "high", "low", "close"), 9.0)
    frame = pd.DataFrame({"date": ["06/12/2024", "06/13/2024"], **prices})
    assert store.import_frame(frame, symbol="NIFTY", dates="month-first").stored == 2
    report = store.import_frame(frame, symbol="NIFTY", dates="day-first")
    assert (report.stored, report.quarantined) == (1, {"unreadable-time": 1})
    found = store.prices("NIFTY", bar="1d").index
    assert [str(day.date()) for day in found] == ["2024-06-12", "2024-06-13", "2024-12-06"]


def test_an_interrupted_folder_goes_on_where_it_was(store: Store, tmp_path: Path) -> None:
    names = [f"{n}.csv" for n in range(3)]
    for n, name in enumerate(names):
        put(tmp_path, BARS.replace("09:15", f"09:1{n + 5}"), name)

    def interrupt(done: int, total: int, newest: str) -> None:
        if newest.endswith(names[2]):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"2 of 3 files of .* are stored"):
        store.import_file(tmp_path, symbol="NIFTY", bar="1min", progress=interrupt)
    assert len(store.prices("NIFTY")) == 2
    assert store.import_file(tmp_path, symbol="NIFTY", bar="1min", progress=False).stored == 1
    assert len(store.prices("NIFTY")) == 3
