"""Dhan's rolling arrays come back as options: by strike, whatever the label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.store import Store
from tests.vendors import dhan
from tests.vendors.market import bars, returned, weekly

EVERY = range(-200, 201)
NINE = 1704253500  # 2024-01-03 09:15


def side(**other: Any) -> dict[str, Any]:
    made: dict[str, Any] = {name: [5.0, 6.0] for name in ("open", "high", "low", "close")}
    made |= {"timestamp": [NINE, NINE + 60], "strike": [21700, 21750], "iv": [], "spot": []}
    return made | {"volume": [50, 50], "oi": [100, 150]} | other


def save(folder: Path, answer: object, name: str = "NIFTY_WEEK_1_ATM.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(answer))
    return file


def test_all_labels_together_return_their_source(store: Store, tmp_path: Path) -> None:
    options = [one for one in weekly() if abs((one.spec.strike or 0) - 21_700) <= 150]
    files = dhan.write_all(tmp_path / "in", options, EVERY)
    full = [f for f in files if json.loads(f.read_text())["data"]["ce"]["timestamp"]]
    report = store.import_file(tmp_path / "in", progress=False)
    assert report.files >= len(full) > 3  # an option rolled through several labels
    assert report.quarantined == {}
    assert all("without bars" in why for why in report.refused.values())
    assert report.contracts == len(options)
    returned(store, options)


def test_one_label_is_a_stretch_of_several_options(store: Store, tmp_path: Path) -> None:
    (file,) = dhan.write_all(tmp_path, weekly(), [0])
    answer = json.loads(file.read_text())
    strikes = set(answer["data"]["ce"]["strike"])
    assert len(strikes) > 1
    report = store.import_file(file, progress=False)
    assert report.stored == report.rows
    for one in weekly():
        if one.spec.right == "CE" and one.spec.strike in strikes:
            got, wanted = store.prices(str(one.spec)), bars(one)
            pd.testing.assert_frame_equal(
                got, wanted.loc[got.index], check_exact=True, check_freq=False
            )


def test_the_expiry_is_counted_from_each_day(store: Store, tmp_path: Path) -> None:
    days = [NINE, NINE + 86_400, NINE + 2 * 86_400]  # the second is an expiry day
    six = {name: [50, 50, 50] for name in ("open", "high", "low", "close", "volume", "oi")}
    arrays = {"ce": None, "pe": six | {"timestamp": days, "strike": [21700.0] * 3}}
    file = save(tmp_path, {"data": arrays}, "answer.json")

    def expiries(**options: Any) -> list[str]:
        opened = Store.open(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")
        opened.import_file(file, symbol="NIFTY", progress=False, **options)
        found = sorted(str(d) for d in opened._reader.expiries("option", "NIFTY"))
        opened.close()
        return found

    assert expiries(expiry_flag="WEEK") == ["2024-01-04", "2024-01-11"]
    assert expiries(expiry_flag="week", expiry_code=2) == ["2024-01-11", "2024-01-18"]
    assert expiries(expiry_flag="MONTH") == ["2024-01-25"]
    assert expiries(expiry_flag="MONTH", expiry_code=3) == ["2024-03-28"]
    assert expiries(expiry="2024-01-25") == ["2024-01-25"]


def test_a_list_of_answers_and_one_that_is_wrapped(store: Store, tmp_path: Path) -> None:
    wrapped = {"status": "success", "remarks": "", "data": {"data": {"ce": side(), "pe": None}}}
    file = save(tmp_path, [wrapped, {"data": {"ce": None, "pe": side()}}])
    report = store.import_file(file, progress=False)
    assert (report.stored, report.contracts) == (4, 4)


def test_dirt_is_named(store: Store, tmp_path: Path) -> None:
    n = 7
    arrays = {name: [5.0] * n for name in ("open", "high", "low", "close")}
    arrays |= {"volume": [50] * n, "oi": [], "strike": [21700.0] * n}
    arrays["timestamp"] = [NINE + 60 * i for i in range(n)]
    arrays["strike"][1] = 0
    arrays["strike"][2] = None  # type: ignore[call-overload]
    arrays["close"][3] = None  # type: ignore[call-overload]
    arrays["timestamp"][4] = NINE - 600
    arrays["timestamp"][5] = None  # type: ignore[call-overload]
    report = store.import_file(save(tmp_path, {"data": {"ce": arrays, "pe": None}}), progress=False)
    assert report.quarantined == {
        "unreadable-symbol": 2,
        "before-open": 1,
        "unreadable-time": 1,
    }
    assert report.repaired == {"close-missing": 1}
    assert (report.stored, report.balanced) == (3, True)


@pytest.mark.parametrize(
    ("answer", "options", "said"),
    [
        ({"data": {"ce": None, "pe": None}}, {}, "without bars"),
        ({"data": {"ce": side(strike=[]), "pe": None}}, {}, '"strike" in requiredData'),
        ({"data": {"ce": side(close=[1.0]), "pe": None}}, {}, "timestamp 2, close 1"),
        ({"data": {"ce": side(oi=[1]), "pe": None}}, {}, "timestamp 2, oi 1"),
        ({"data": {"ce": side()}}, {"symbol": "RELIANCE"}, "expiries are known of NIFTY"),
        ({"data": {"ce": side()}}, {"expiry": "25 Jan"}, "write it as 2024-01-25"),
        ({"data": {"ce": side()}}, {"expiry_code": 0}, "Dhan counts 1, 2 and 3"),
        ({"data": {"ce": side()}}, {"expiry_flag": "YEAR"}, "of which expiry"),
    ],
)
def test_what_is_refused_says_why(
    store: Store, tmp_path: Path, answer: object, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ImportRefused, match=said):
        store.import_file(save(tmp_path, answer), progress=False, **options)
    assert store.is_empty


def test_a_name_that_says_nothing_is_refused(store: Store, tmp_path: Path) -> None:
    file = save(tmp_path, {"data": {"ce": side()}}, "answer.json")
    with pytest.raises(ImportRefused, match="of which underlying"):
        store.import_file(file, progress=False)
    with pytest.raises(ImportRefused, match="of which expiry"):
        store.import_file(file, symbol="NIFTY", progress=False)
