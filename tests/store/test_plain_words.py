"""Files that people bring by mistake, and rows that nobody can have: each is told in a sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bestbt.errors import ImportRefused
from bestbt.store import sessions, tick_rules
from bestbt.store.rules import places
from bestbt.store.store import Store
from tests.store.clean_market import clean, save

HEAD = "symbol,date,time,open,high,low,close"


def lines(*rows: str) -> str:
    return "\n".join([HEAD, *rows, ""])


@pytest.mark.parametrize("price", ["21.345,60", "21345,6", "21345,60"])
def test_a_decimal_comma_is_refused_with_what_to_do(
    store: Store, tmp_path: Path, price: str
) -> None:
    row = f"NIFTY;20240201;09:15;{price};{price};{price};{price}"
    file = tmp_path / "a.csv"
    file.write_text(lines(row, row.replace("09:15", "09:16")).replace(",", ";", HEAD.count(",")))
    with pytest.raises(ImportRefused, match=r"decimal comma \('21.*decimal=\",\""):
        store.import_file(file, progress=False)
    assert store.is_empty


def test_grouped_numbers_and_a_single_odd_one_are_read(store: Store, tmp_path: Path) -> None:
    price = '"21,345.60"'
    row = f"NIFTY,20240201,09:15,{price},{price},{price},{price}"
    others = [row.replace("09:15", f"09:{m}") for m in (16, 17)]
    others[1] = others[1].replace(price, '"21345,60"', 1)
    file = tmp_path / "a.csv"
    file.write_text(lines(row, *others))
    report = store.import_file(file, progress=False)
    assert (report.stored, report.quarantined) == (2, {"open-missing": 1})


def test_other_kinds_of_files_are_named(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(lines("NIFTY,20240201,09:15,1,1,1,1"), encoding="utf-16")
    with pytest.raises(ImportRefused, match=r"a.csv is text in UTF-16.*save it as CSV in UTF-8"):
        store.import_file(file, progress=False)
    book = tmp_path / "book.xlsx"
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    old = tmp_path / "book.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))
    for path in (book, old):
        with pytest.raises(ImportRefused, match=r"book.xlsx? is an Excel workbook; save the sheet"):
            store.import_file(path, progress=False)


def test_blank_lines_are_no_rows(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = ["NIFTY,20240201,09:15,9,9,9,9", "", "  ", "NIFTY,20240201,09:16,9,9", ""]
    file.write_text(lines(*rows, "NIFTY,20240201,09:17,9,9,9,9", ",,,,,,", ""))
    report = store.import_file(file, progress=False)
    assert (report.rows, report.stored, report.quarantined) == (3, 2, {"ragged-row": 1})
    assert report.balanced
    [bad] = store.quarantine()["text"]
    assert bad == "line 5: NIFTY,20240201,09:16,9,9"


def test_nobody_has_prices_of_tomorrow(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = clean(days=("2024-02-05", "2024-02-06"), strikes=(22000,))
    file = save(table, tmp_path / "a.csv")
    on = (np.datetime64("2024-02-05") - np.datetime64("1970-01-01")).astype(int)
    for module in (places, tick_rules):
        monkeypatch.setattr(module, "today", lambda tz: int(on))
    report = store.import_file(file, progress=False)
    assert report.quarantined == {"future": len(table) // 2}
    assert str(store.bounds("NIFTY")[1]) == "2024-02-05"
    ticks = tmp_path / "NIFTY24020822000CE.csv"
    rows = [
        f"2024020{d},09:15:0{s},152.3,75,1204500,152.1,75,152.4,150" for d in (5, 6) for s in "23"
    ]
    ticks.write_text("\n".join([*rows, ""]))
    assert store.import_file(ticks, progress=False).quarantined == {"future": 2}


def test_today_is_the_exchanges() -> None:
    london, india = sessions.today("Europe/London"), sessions.today("Asia/Kolkata")
    assert 0 <= india - london <= 1


def test_ticks_and_rows_without_prices_say_what_to_do(store: Store, tmp_path: Path) -> None:
    ticks = tmp_path / "NIFTY24020822000CE.csv"
    rows = [f"20240205,{t},152.3,75,1204500,152.1,75,152.4,150" for t in ("09:15:02", "08:00:00")]
    ticks.write_text("\n".join([*rows, ""]))
    assert store.import_file(ticks, progress=False).quarantined == {"before-open": 1}
    told = store.readmit(reason="before-open")
    assert (told.stored, told.quarantined) == (0, {"before-open": 1})
    assert told.remarks == [
        "ticks cannot be taken back: mend the file and import it, what is stored stays once"
    ]
    file = tmp_path / "a.csv"
    file.write_text(lines("NIFTY,20240205,09:15,9,9,9,9", "NIFTY,20240205,09:16,,,,"))
    store.import_file(file, progress=False)
    told = store.readmit(reason="no-price")
    assert told.remarks == ["rows without prices cannot be taken back: mend the file and import it"]
