"""Candles of Kite, Upstox and Fyers come back bar by bar; whose they are is said, never guessed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from bestbt.errors import ImportRefused
from bestbt.store.store import Store
from tests.vendors import brokers
from tests.vendors.market import bars, chosen, returned

INDEX, VIX, FUTURE, OPTION, *_ = chosen()
CANDLE = '["2024-01-03T09:15:00+0530",10,12,9,11,50,100]'


def answer(file: Path, *candles: str) -> Path:
    file.write_text(f'{{"status":"success","data":{{"candles":[{",".join(candles)}]}}}}')
    return file


@pytest.mark.parametrize("write", [brokers.kite, brokers.upstox, brokers.fyers_expired])
def test_a_folder_of_contracts_returns_its_source(
    store: Store, tmp_path: Path, write: Callable[..., Path]
) -> None:
    for i, one in enumerate(chosen()):
        write(tmp_path / "in" / str(i), one)
    report = store.import_file(tmp_path / "in", progress=False)
    assert report.files == report.contracts == len(chosen())
    assert report.repaired == {}  # also where the newest comes first
    assert report.quarantined == {}
    returned(store, chosen())


def test_fyers_has_no_open_interest_before_the_expiry(store: Store, tmp_path: Path) -> None:
    for one in (INDEX, VIX, OPTION):
        brokers.fyers(tmp_path / "in", one)
    store.import_file(tmp_path / "in", progress=False)
    for one in (INDEX, VIX, OPTION):
        got, wanted = store.prices(str(one.spec)), bars(one).drop(columns="oi", errors="ignore")
        pd.testing.assert_frame_equal(got, wanted, check_exact=True, check_freq=False)


@pytest.mark.parametrize("form", ["{token}.json", "{token}_minute_2024-01-03.json"])
def test_kites_list_says_whose_number_a_file_is_named_by(
    store: Store, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "in"
    for n, one in enumerate(chosen()):
        brokers.kite(folder, one, form.format(token=9_000_001 + n))
    listed = brokers.kite_instruments(folder, chosen())
    report = store.import_file(folder, instruments=listed, progress=False)
    assert not report.refused  # the list itself is no data
    returned(store, chosen())
    assert f"instrument: {OPTION.spec}, as instruments.csv says of 9000004" in report.remarks
    kept = store._reader.contract(OPTION.spec)
    assert kept is not None
    assert (kept.spec.lot, kept.spec.tick, kept.spec.token) == (50, 5, str(9_000_004 >> 8))


def test_upstoxs_list_says_whose_key_a_file_is_named_by(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for n, one in enumerate(chosen(), 37_001):
        spot = one.spec.expiry is None
        own = f"NSE_INDEX_{brokers.name(one).title()}" if spot else f"NSE_FO_{n}"
        brokers.upstox(folder, one, f"{own}.json")
    packed = tmp_path / "complete.json.gz"
    packed.write_bytes(gzip.compress(brokers.upstox_instruments(tmp_path, chosen()).read_bytes()))
    report = store.import_file(folder, instruments=packed, progress=False)
    assert not report.refused
    returned(store, chosen())
    kept = store._reader.contract(OPTION.spec)
    assert kept is not None
    assert (kept.spec.lot, kept.spec.tick, kept.spec.token) == (50, 5, "37004")


def test_a_number_given_and_a_name_given(store: Store, tmp_path: Path) -> None:
    file = brokers.kite(tmp_path, OPTION, "answer.json")
    listed = brokers.kite_instruments(tmp_path, chosen())
    for given in ({"token": 9_000_004}, {"token": "9000004"}, {"symbol": brokers.name(OPTION)}):
        store.import_file(file, instruments=listed, again=True, progress=False, **given)
        returned(store, [OPTION])
    report = store.import_file(file, symbol="NIFTY 2024-01-04 21600 CE", progress=False)
    assert report.symbols == {"NIFTY option": len(OPTION.starts)}


def test_a_later_file_without_a_list_takes_no_number_away(store: Store, tmp_path: Path) -> None:
    listed = brokers.kite_instruments(tmp_path, chosen())
    file = brokers.kite(tmp_path, OPTION, "9000004.json")
    store.import_file(file, instruments=listed, progress=False)
    store.import_file(file, symbol=str(OPTION.spec), progress=False)
    with store.engine.connect() as connection:
        tokens = connection.execute(text("select token from options_contract")).scalars().all()
    assert tokens == [str(9_000_004 >> 8)]


def test_a_lot_that_is_not_the_dated_one_is_kept_and_noted(store: Store, tmp_path: Path) -> None:
    listed = brokers.kite_instruments(tmp_path, chosen())
    listed.write_text(listed.read_text().replace(",0.05,50,", ",0.05,75,"))
    file = brokers.kite(tmp_path, OPTION, "9000004.json")
    report = store.import_file(file, instruments=listed, progress=False)
    assert report.noted["other-terms"] == 1
    kept = store._reader.contract(OPTION.spec)
    assert kept is not None
    assert kept.spec.lot == 75


def test_two_options_with_the_same_bar_are_two_imports(store: Store, tmp_path: Path) -> None:
    for strike in (21_500, 21_600):
        answer(tmp_path / f"NIFTY04JAN24{strike}CE.json", CANDLE)
    for strike in (21_500, 21_600):
        report = store.import_file(tmp_path / f"NIFTY04JAN24{strike}CE.json", progress=False)
        assert (report.already, report.stored) == ("", 1)
        assert store.import_file(tmp_path / f"NIFTY04JAN24{strike}CE.json", progress=False).already


def test_dirt_of_candles_is_named(store: Store, tmp_path: Path) -> None:
    def candle(time: str, *values: str) -> str:
        return f'["2024-01-03T{time}:00+0530",{",".join(values)}]'

    file = answer(
        tmp_path / "NIFTY04JAN2421700CE.json",
        CANDLE,
        candle("09:16", "10", "12", "9", "null", "50", "100"),
        candle("09:17", "0", "0", "0", "0", "0", "0"),
        candle("09:18", "10", "10", "10", "10", "0", "100"),
        candle("09:19", "10", "12"),
        '"nothing"',
        candle("09:20", "10", "9", "12", "11", "50", "100"),
        candle("09:20", "10", "9", "12", "11", "50", "100"),
        candle("15:30", "10", "10", "10", "10", "50", "100"),
        '["someday",10,12,9,11,50,100]',
        candle("09:22", "true", "1", "1", "1", "50", "100"),
        candle("09:23", "1e999", "1", "1", "1", "50", "100"),
        candle("09:21", "10", "12", "9", "11", "50"),
    )
    report = store.import_file(file, progress=False)
    assert report.quarantined == {
        "ragged-row": 2,
        "open-missing": 2,
        "price-not-positive": 1,
        "no-trade": 1,
        "duplicate": 1,
        "at-close": 1,
        "unreadable-time": 1,
    }
    assert report.repaired == {"close-missing": 1, "extremes-mended": 1, "oi-carried": 1}
    samples = {f.rule: f.samples for f in report.findings}
    assert samples["ragged-row"][1] == "candle 6: nothing"
    assert samples["no-trade"][0].startswith("candle 4: ")
    assert (report.rows, report.stored, report.balanced) == (13, 4, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", f'{{"status":"success","data":{{"candles":[{CANDLE}]}}}}', "whose candles"),
        ("NIFTY_AUTO.json", f'{{"data":{{"candles":[{CANDLE}]}}}}', "whose candles"),
        ("RELIANCE.json", f'{{"data":{{"candles":[{CANDLE}]}}}}', "whose candles"),
        ("NIFTY.json", '{"status":"success","data":{"candles":[]}}', "Kite without candles;"),
        (
            "NIFTY.json",
            '{"status":"error","message":"Incorrect token","error_type":"TokenException"}',
            r"Kite without candles \(Incorrect token\)",
        ),
        (
            "NIFTY.json",
            '{"status":"error","errors":[{"errorCode":"UDAPI100","message":"Invalid date"}]}',
            r"Upstox without candles \(Invalid date\)",
        ),
        ("NIFTY.json", '{"s":"no_data","candles":[]}', "Fyers without candles"),
        ("NIFTY.json", '{"s":"error","message":"Bad symbol"}', r"Fyers .*\(Bad symbol\)"),
        ("NIFTY.json", f'{{"data":{{"candles":[{CANDLE},', "no whole JSON"),
        ("NIFTY.json", f'{{"data":{{"candles":[{CANDLE},{"[" * 99_999}', "no whole JSON"),
        (
            "NIFTY.json",
            '{"data":{"candles":[["2024-01-03T00:00:00+0530",1,1,1,1,1],'
            '["2024-01-04T00:00:00+0530",1,1,1,1,1]]}}',
            "candles of whole days",
        ),
        (
            "NIFTY.json",
            '{"s":"ok","columns":["timestamp","close","volume"],"candles":[[1704080700,1,2,3,4,5]]}',
            "lacks open, high, low",
        ),
        ("NIFTY.json", '{"s":"ok","candles":[[1704080700,1]]}', "no candle with a time"),
    ],
)
def test_what_is_refused_says_why(
    store: Store, tmp_path: Path, name: str, content: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ImportRefused, match=said):
        store.import_file(file, progress=False)
    assert store.is_empty


def test_wrong_lists_and_numbers_are_refused(store: Store, tmp_path: Path) -> None:
    file = brokers.kite(tmp_path, OPTION, "1234567.json")
    listed = brokers.kite_instruments(tmp_path, chosen())
    with pytest.raises(ImportRefused, match="no instrument '1234567'"):
        store.import_file(file, instruments=listed, progress=False)
    with pytest.raises(ImportRefused, match="no instrument '77'"):
        store.import_file(file, instruments=listed, token=77, progress=False)
    with pytest.raises(ImportRefused, match="give instruments= too"):
        store.import_file(file, token=77, progress=False)
    with pytest.raises(ImportRefused, match="is not there"):
        store.import_file(file, instruments=tmp_path / "none.csv", progress=False)
    with pytest.raises(ImportRefused, match="no list of instruments"):
        store.import_file(file, instruments=file, progress=False)
    listed.write_text(listed.read_text().replace("2024-01-04", "2023-12-28"))
    with pytest.raises(ImportRefused, match="Numbers are used again after an expiry"):
        store.import_file(file, instruments=listed, token=9_000_004, progress=False)
    with pytest.raises(ImportRefused, match=r"symbol='NIFTY04JAN24CE' was given"):
        store.import_file(file, symbol="NIFTY04JAN24CE", progress=False)
    assert store.is_empty


def test_an_option_that_seldom_trades_has_minutes_still(store: Store, tmp_path: Path) -> None:
    other = CANDLE.replace("09:15", "11:16")
    report = store.import_file(
        answer(tmp_path / "NIFTY04JAN2421700CE.json", CANDLE, other), progress=False
    )
    assert report.stored == 2
    assert store.coverage()["bar"].tolist() == ["1min"]


@pytest.mark.parametrize(("name", "bar"), [("NIFTY.json", "15min"), ("NIFTY_5minute.json", "5min")])
def test_longer_candles_are_seen_or_told(store: Store, tmp_path: Path, name: str, bar: str) -> None:
    later = [CANDLE.replace("09:15", time) for time in ("09:30", "09:45", "10:15")]
    assert store.import_file(answer(tmp_path / name, CANDLE, *later), progress=False).stored == 4
    assert store.coverage()["bar"].tolist() == [bar]
