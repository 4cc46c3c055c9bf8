"""GDFL's minutes come back bar by bar: a file a day, a file a contract, and amid their dirt."""

from __future__ import annotations

from pathlib import Path

import pytest

from bestbt.errors import ImportRefused
from bestbt.store.store import Store
from tests.vendors import gdfl
from tests.vendors.market import chosen, returned


@pytest.mark.parametrize("write", [gdfl.by_day, gdfl.by_contract])
def test_a_folder_of_files_returns_its_source(store: Store, tmp_path: Path, write: object) -> None:
    files = write(tmp_path / "gdfl", chosen())  # type: ignore[operator]
    report = store.import_file(tmp_path / "gdfl", progress=False)
    rows = sum(len(one.starts) for one in chosen())
    assert (report.files, report.rows, report.stored) == (len(files), rows, rows)
    assert report.contracts == len(chosen())
    assert report.repaired == {"last-second": rows}
    assert not report.refused
    assert set(report.noted) <= {"gaps"}
    returned(store, chosen())


def test_one_file_of_all_days_returns_its_source(store: Store, tmp_path: Path) -> None:
    store.import_file(gdfl.write(tmp_path, chosen()), progress=False)
    returned(store, chosen())


def test_each_kind_of_its_dirt_is_named(store: Store, tmp_path: Path) -> None:
    clean = [line for one in chosen() for line in gdfl.rows(one)]
    twice = [clean[0], clean[-1], gdfl.HEADER]  # a repeated row, and files that were joined
    file = gdfl.save(tmp_path / "day.csv", [*clean, *gdfl.DIRT.values(), *twice])
    report = store.import_file(file, progress=False)
    assert report.quarantined == dict.fromkeys(gdfl.DIRT, 1) | {
        "duplicate": 2,
        "unreadable-time": 2,
    }
    assert report.balanced
    assert report.stored == len(clean)
    returned(store, chosen())


def test_the_day_is_first_whatever_the_dates_allow(store: Store, tmp_path: Path) -> None:
    row = "NIFTY04JAN2421700CE.NFO,03/01/2024,09:15:59,10,12,9,11,50,100"
    report = store.import_file(gdfl.save(tmp_path / "a.csv", [row]), progress=False)
    assert report.start == "2024-01-03 09:15"
    assert report.noted == {}


def test_a_series_alone_is_the_future_of_its_day(store: Store, tmp_path: Path) -> None:
    row = "NIFTY-I.NFO,25/01/2024,09:15:59,21500,21500,21500,21500,50,100"
    store.import_file(gdfl.save(tmp_path / "a.csv", [row]), progress=False)
    assert len(store.prices("NIFTY 2024-01-25 FUT")) == 1


def test_shares_and_other_indices(store: Store, tmp_path: Path) -> None:
    rows = [
        "RELIANCE.NSE,03/01/2024,09:15:59,2600,2601,2599,2600,5,0",
        "3MINDIA.NSE,03/01/2024,09:15:59,30000,30001,29999,30000,5,0",
        "NIFTY AUTO.NSE_IDX,03/01/2024,09:15:59,18000,18001,17999,18000,0,0",
        "1003IIFL29.NC.NSE,03/01/2024,09:15:59,975,975,975,975,9,0",
    ]
    report = store.import_file(gdfl.save(tmp_path / "GDFLCM.csv", rows), progress=False)
    assert report.symbols == {"RELIANCE equity": 1, "3MINDIA equity": 1, "NIFTYAUTO index": 1}
    assert report.quarantined == {"unreadable-symbol": 1}
    assert len(store.prices("NIFTYAUTO")) == 1


def test_what_is_not_of_gdfl_says_what_lacks(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "Ticker,Date,Time,Open,High,Low,Close\nNIFTY-I.NFO,03/01/2024,09:15:59,1,1,1,1\n"
    )
    with pytest.raises(ImportRefused, match="lacks volume, openinterest of GDFL's columns"):
        store.import_file(file, format="gdfl-minutes", progress=False)
