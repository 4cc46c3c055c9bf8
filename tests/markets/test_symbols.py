"""Names read back what they were written from, and misreadings say why."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, UsageError
from bestbt.markets.india import SYMBOLS, expiry_dates, expiry_kind
from bestbt.markets.symbols import INDEX_NAMES, format_symbol, parse_symbol

START, END = date(2021, 1, 1), date(2026, 12, 31)
EXPIRIES = [(symbol, day) for symbol in SYMBOLS for day in expiry_dates(symbol, START, END)]
STRIKES = {  # levels of 2021 to 2026, with the step of the chain
    "NIFTY": range(7_000, 35_000, 50),
    "BANKNIFTY": range(15_000, 75_000, 100),
    "FINNIFTY": range(10_000, 35_000, 50),
    "MIDCPNIFTY": range(5_000, 17_000, 25),
    "SENSEX": range(40_000, 115_000, 100),
}


def styles(symbol: str, day: date) -> list[str]:
    monthly = expiry_kind(symbol, day) == "monthly"
    return ["nse", "dated", "weekly", *(["monthly"] if monthly else [])]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_expiry_reads_back_in_every_style(symbol: str) -> None:
    strikes = STRIKES[symbol]
    chosen = [strikes[0], strikes[len(strikes) // 3], strikes[-1]]
    for _, day in (row for row in EXPIRIES if row[0] == symbol):
        for strike in chosen:
            spec = ContractSpec("option", symbol, day, float(strike), "PE")
            for style in styles(symbol, day):
                for before in (0, 45):
                    name = format_symbol(spec, style)  # type: ignore[arg-type]
                    got = parse_symbol(name, day - timedelta(days=before))
                    assert (got.symbol, got.expiry, got.strike, got.right) == (
                        symbol,
                        day,
                        strike,
                        "PE",
                    ), (name, got)
                    assert got.alternatives == (), (name, got.alternatives)


@given(data=st.data())
def test_any_strike_reads_back_however_it_is_dressed(data: st.DataObject) -> None:
    symbol, day = data.draw(st.sampled_from(EXPIRIES))
    strike = float(data.draw(st.sampled_from(STRIKES[symbol])))
    spec = ContractSpec("option", symbol, day, strike, data.draw(st.sampled_from(["CE", "PE"])))
    name = format_symbol(spec, data.draw(st.sampled_from(styles(symbol, day))))
    on = day - timedelta(days=data.draw(st.integers(0, 365)))
    dressed = data.draw(
        st.sampled_from([name, name.lower(), f" {name}.NFO ", f"nfo:{name}", str(spec)])
    )
    got = parse_symbol(dressed, on)
    assert str(got) == str(spec)
    assert got.asset == "option"


@given(data=st.data())
def test_futures_read_back(data: st.DataObject) -> None:
    symbol, day = data.draw(st.sampled_from(EXPIRIES))
    if expiry_kind(symbol, day) != "monthly":
        return
    spec = ContractSpec("future", symbol, day)
    for name in (format_symbol(spec), format_symbol(spec, "dated"), str(spec)):
        assert str(parse_symbol(name, day)) == str(spec)


def test_every_name_of_the_real_day(shared: Path) -> None:
    """131 names of one day: the option names cut by position, not by the grammar."""
    frame = pd.read_parquet(shared / "data/minute/banknifty_20221230.parquet")
    names = list(frame["symbol"].unique())
    assert len(names) == 131
    day = date(2022, 12, 30)
    options = [name for name in names if re.search(r"[CP]E$", name)]
    assert len(options) == 129
    for name in options:
        got = parse_symbol(name, day)
        assert (got.asset, got.symbol, got.expiry) == ("option", "BANKNIFTY", date(2023, 1, 5))
        assert (got.strike, got.right) == (float(name[16:21]), name[21:])
        assert not got.alternatives
        assert format_symbol(got, "dated") == name
    future = parse_symbol("BANKNIFTY-I", day)
    assert (future.asset, future.expiry) == ("future", date(2023, 1, 25))  # 26 January is closed
    assert parse_symbol("BANKNIFTY", day).asset == "index"


@pytest.mark.parametrize(
    ("text", "on", "means"),
    [
        ("NIFTY2161715700CE", date(2021, 6, 10), "NIFTY 2021-06-17 15700 CE"),
        ("NIFTY21O0717500PE", date(2021, 10, 1), "NIFTY 2021-10-07 17500 PE"),
        ("NIFTY21N1118000CE", date(2021, 11, 8), "NIFTY 2021-11-11 18000 CE"),
        ("NIFTY21D0917000CE", date(2021, 12, 1), "NIFTY 2021-12-09 17000 CE"),
        ("NIFTY24DEC24000CE", date(2024, 1, 1), "NIFTY 2024-12-26 24000 CE"),
        ("NIFTY24JUN23000CE", date(2024, 6, 3), "NIFTY 2024-06-27 23000 CE"),
        ("NIFTY24JUN23000CE", date(2023, 6, 1), "NIFTY 2024-06-27 23000 CE"),
        ("NIFTY23JUN22500CE", date(2022, 6, 1), "NIFTY 2023-06-28 22500 CE"),
        ("BANKNIFTY21SEP35300CE", date(2021, 8, 20), "BANKNIFTY 2021-09-30 35300 CE"),
        ("NIFTY27JUN2423000.0CE", date(2024, 6, 3), "NIFTY 2024-06-27 23000 CE"),
        ("nifty bank 24 jun 50000 ce", date(2024, 6, 3), "BANKNIFTY 2024-06-26 50000 CE"),
        ("NIFTY24JUNFUT", date(2024, 6, 3), "NIFTY 2024-06-27 FUT"),
        ("BANKNIFTY-I", date(2024, 6, 26), "BANKNIFTY 2024-06-26 FUT"),
        ("BANKNIFTY-II.NFO", date(2024, 6, 27), "BANKNIFTY 2024-08-28 FUT"),
        ("BANKNIFTY-III", date(2022, 12, 30), "BANKNIFTY 2023-03-29 FUT"),
        ("NSE:NIFTY24JUN23000CE", date(2024, 6, 3), "NIFTY 2024-06-27 23000 CE"),
        ("NSE_FO|NIFTY24JUNFUT", date(2024, 6, 3), "NIFTY 2024-06-27 FUT"),
        ("NIFTY 23000 CE 27 JUN 24", date(2024, 6, 3), "NIFTY 2024-06-27 23000 CE"),
        ("Nifty Bank FUT 26 Jun 24", date(2024, 6, 3), "BANKNIFTY 2024-06-26 FUT"),
        # the exchange moved the expiry after the contract was listed
        ("BANKNIFTY07SEP2345000CE", date(2023, 8, 10), "BANKNIFTY 2023-09-06 45000 CE"),
        ("MIDCPNIFTY2412210500CE", date(2024, 1, 12), "MIDCPNIFTY 2024-01-20 10500 CE"),
        ("NIFTY25SEP2525000CE", date(2025, 6, 2), "NIFTY 2025-09-30 25000 CE"),
    ],
)
def test_written_by_hand(text: str, on: date, means: str) -> None:
    assert str(parse_symbol(text, on)) == means


@pytest.mark.parametrize(
    ("text", "asset", "symbol"),
    [
        ("NIFTY 50", "index", "NIFTY"),
        ("Nifty Bank", "index", "BANKNIFTY"),
        ("NIFTY FIN SERVICE", "index", "FINNIFTY"),
        ("NIFTY MID SELECT", "index", "MIDCPNIFTY"),
        ("INDIA VIX", "index", "INDIAVIX"),
        ("NSE:NIFTY 50", "index", "NIFTY"),
        ("sensex", "index", "SENSEX"),
        ("RELIANCE", "equity", "RELIANCE"),  # ends like a call
        ("FORCE.NSE", "equity", "FORCE"),
        ("M&M", "equity", "M&M"),
        ("NIFTYBEES", "equity", "NIFTYBEES"),
        ("NIFTY 50.NSE_IDX", "index", "NIFTY"),
        ("SENSEX.BSE_IDX", "index", "SENSEX"),
        ("NSE:NIFTYBANK-INDEX", "index", "BANKNIFTY"),
        ("NSE_INDEX|Nifty Fin Service", "index", "FINNIFTY"),
        ("NIFTY AUTO.NSE_IDX", "index", "NIFTYAUTO"),  # by its venue: it is no share
        ("NSE:SBIN-EQ", "equity", "SBIN"),
        ("BAJAJ-AUTO.NSE", "equity", "BAJAJ-AUTO"),
        ("3MINDIA.NSE", "equity", "3MINDIA"),
    ],
)
def test_indices_and_equities(text: str, asset: str, symbol: str) -> None:
    got = parse_symbol(text, date(2024, 1, 1))
    assert (got.asset, got.symbol, got.expiry) == (asset, symbol, None)


def test_every_index_name_stands_for_a_symbol() -> None:
    assert set(INDEX_NAMES.values()) == {*SYMBOLS, "INDIAVIX"}


@pytest.mark.parametrize(
    ("text", "on", "says"),
    [
        ("NIFTY24JUN23000CE", date(2024, 7, 1), ["24-JUN-23", "expired on 2024-06-27"]),
        ("NIFTY31FEB2422000CE", date(2024, 1, 1), ["31-FEB-24 strike 22000 (no such date)"]),
        ("NIFTY24FOO23000CE", date(2024, 1, 1), ["24-FOO-23", "no such date"]),
        ("NIFTY28JUN2423000CE", date(2024, 6, 3), ["no NIFTY contract expires then"]),
        ("NIFTY2461923000CE", date(2024, 6, 3), ["2024-06-19", "no NIFTY contract expires then"]),
        ("NIFTY20JUN24FUT", date(2024, 6, 3), ["futures expire monthly"]),
        ("NIFTY32JUN23000CE", date(2024, 6, 3), ["more than five years ahead"]),
        ("NIFTY2024-13-4522000CE", date(2024, 1, 1), ["no such date"]),
        ("RELIANCE24JUN2500CE", date(2024, 6, 3), ["only of NIFTY, BANKNIFTY"]),
        ("NIFTYX123CE", date(2024, 6, 3), ["no expiry and strike", "24JUN23000CE"]),
        ("12:30", date(2024, 6, 3), ["no name of an index"]),
        ("3MINDIA", date(2024, 6, 3), ["no name of an index"]),
        ("ABC.NC.NSE", date(2024, 6, 3), ["no name of an index"]),
        ("12/30.NSE_IDX", date(2024, 6, 3), ["no name of an index"]),
        ("RELIANCE-I.NFO", date(2024, 6, 3), ["derivatives", "no future or option of NIFTY"]),
        ("NSE_EQ|INE848E01016", date(2024, 6, 3), ["the number of a security"]),
        ("NIFTYX 23000 CE 27 JUN 24", date(2024, 6, 3), ["'NIFTYX' is no symbol"]),
        ("NIFTY 23000 CE 28 JUN 24", date(2024, 6, 3), ["no NIFTY contract expires then"]),
        ("  ", date(2024, 6, 3), ["empty"]),
    ],
)
def test_what_cannot_be_read_says_what_was_tried(text: str, on: date, says: list[str]) -> None:
    with pytest.raises(ContractNotFound) as caught:
        parse_symbol(text, on)
    for part in says:
        assert part in str(caught.value)


@given(st.text(max_size=24), st.dates(date(2009, 1, 1), date(2027, 12, 31)))
def test_any_text_is_read_or_refused(text: str, on: date) -> None:
    try:
        got = parse_symbol(text, on)
    except ContractNotFound:
        return
    assert got.expiry is None or got.expiry >= on


@given(
    st.from_regex(r"(NIFTY|BANKNIFTY)\d{2}([A-Z]{3}|\d{1,3})\d{0,8}(CE|PE|FUT)", fullmatch=True),
    st.dates(date(2009, 1, 1), date(2027, 12, 31)),
)
def test_any_name_like_a_contract_is_read_or_refused(text: str, on: date) -> None:
    try:
        got = parse_symbol(text, on)
    except ContractNotFound:
        return
    assert got.asset == "equity" or (got.expiry is not None and got.expiry >= on)


def test_several_readings_take_the_nearest_and_name_the_rest() -> None:
    """23 May 2019 at 9500, or the monthly of May 2023 at 199500."""
    got = parse_symbol("NIFTY23MAY199500CE", date(2019, 5, 16))
    assert str(got) == "NIFTY 2019-05-23 9500 CE"
    assert [str(other) for other in got.alternatives] == ["NIFTY 2023-05-25 199500 CE"]


def test_a_style_that_cannot_say_it_is_refused() -> None:
    weekly = ContractSpec("option", "NIFTY", date(2024, 6, 20), 23000.0, "CE")
    with pytest.raises(UsageError, match="cannot be written"):
        format_symbol(weekly, "monthly")
    with pytest.raises(UsageError, match="cannot be written"):
        format_symbol(ContractSpec("future", "NIFTY", date(2024, 6, 27)), "weekly")


def test_an_index_is_its_symbol() -> None:
    assert format_symbol(ContractSpec("index", "NIFTY")) == "NIFTY"


def test_the_near_future_is_the_month_that_has_not_expired() -> None:
    for month in range(1, 13):
        last = date(2022, month, calendar.monthrange(2022, month)[1])
        near = parse_symbol("NIFTY-I", date(2022, month, 1)).expiry
        assert near is not None
        assert last - timedelta(days=8) < near <= last
