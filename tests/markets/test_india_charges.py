"""Charges of India against the reference tables, worked examples, and their own laws."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt.engine.ports import ContractSpec
from bestbt.errors import NoSchedule, UsageError
from bestbt.markets.india import INDIA, charges
from bestbt.markets.india_charges import CHARGES
from tests.markets.test_india import day_in, rows

ITEMS = {
    "STT option sale": ("option", "NSE", "stt"),
    "STT exercise": ("option", "NSE", "stt_exercise"),
    "NSE option txn charge": ("option", "NSE", "exchange"),
    "BSE Sensex/Bankex option txn charge": ("option", "BSE", "exchange"),
    "SEBI turnover fee": ("option", "NSE", "sebi"),
    "Stamp duty": ("option", "NSE", "stamp"),
    "GST": ("option", "NSE", "gst"),
    "Brokerage": ("option", "NSE", "brokerage"),
    "STT futures sale": ("future", "NSE", "stt"),
    "NSE futures txn charge": ("future", "NSE", "exchange"),
    "Stamp duty futures": ("future", "NSE", "stamp"),
    "Brokerage futures": ("future", "NSE", "brokerage_rate"),
}


def in_force(asset: str, exchange: str, name: str, day: date) -> float | None:
    found = [
        float(row.rate)
        for row in CHARGES
        if row.traded in ("", asset)
        and row.name == name
        and row.exchange in ("", exchange)
        and (row.first is None or row.first <= day)
        and (row.last is None or day <= row.last)
    ]
    assert len(found) <= 1, (asset, exchange, name, day)
    return found[0] if found else None


def written_rate(text: str) -> float:
    """Return a rate as the reference writes it: a sum of percents, its total, or a flat amount."""
    percents = [float(p) for p in re.findall(r"([\d.]+)%", text)]
    if not percents:
        return float(re.findall(r"[\d.]+", text)[0])
    if "=" in text:
        return percents[-1]
    return round(sum(percents), 6)


def test_cost_schedule(shared: Path) -> None:
    probed = 0
    for row in rows(shared, "cost_schedule.csv"):
        key = ITEMS[row["item"]]
        want = written_rate(row["rate"])
        first = day_in(row["from"]) or date(2021, 4, 1)  # where open: covered from then on
        last = day_in(row["to"]) or date(2026, 12, 31)
        if "full" in row["base"]:
            assert in_force(*key, last) is None  # the tax on intrinsic value came after
            key = ("option", "NSE", "stt_value")
            first = date(2019, 4, 1)
        if row["item"] == "NSE futures txn charge" and row["from"] == "2024-10-01":
            want += 0.0001  # the investor fund levy, which this row of the reference leaves out
        for day in (min(first, last), last):
            got = in_force(*key, day)
            assert got == pytest.approx(want, abs=1e-12), (row, day, got)
            probed += 1
    assert probed > 40


def test_the_halved_regulator_fee_of_2020() -> None:
    assert in_force("option", "NSE", "sebi", date(2021, 3, 31)) == 0.00005
    assert in_force("option", "NSE", "sebi", date(2021, 4, 1)) == 0.0001


def round_trip(day: date, buy: float, sell: float, qty: int, gst_on_sebi: bool) -> float:
    """Total of a purchase and a sale of a day, the day's tax rounded, in rupees."""
    fees = INDIA.fees(gst_on_sebi=gst_on_sebi)
    spec = ContractSpec("option", "NIFTY", date(2030, 1, 1), 100.0, "CE")
    total: dict[str, int] = {}
    for units, price in ((qty, buy), (-qty, sell)):
        for name, amount in fees.fill(day, spec, units, round(price * 100)).items():
            total[name] = total.get(name, 0) + amount
    for name, amount in fees.day_end(day, spec, total).items():
        total[name] = total.get(name, 0) + amount
    return sum(total.values()) / 10_000


def test_worked_examples_to_the_paisa(shared: Path) -> None:
    examples = json.loads((shared / "reference/worked_examples.json").read_text())
    for case in examples["A_zerodha_2021_2023"]["cases"]:
        for day in (date(2021, 6, 1), date(2023, 3, 31)):
            got = round_trip(day, case["buy"], case["sell"], case["qty"], gst_on_sebi=False)
            assert round(got, 2) == case["total"]
    for case in examples["B_zerodha_2025"]["cases"]:
        got = round_trip(date(2025, 6, 2), case["buy"], case["sell"], case["qty"], gst_on_sebi=True)
        assert round(got, 2) == case["total"]
    increase = examples["E_stt_cut_2024_10_01"]["net_increase_per_crore_premium_sell_side_NSE"]
    crore = {"asset_type": "option", "side": "SELL", "qty": 100_000, "price": 100.0}
    old, new = (
        charges(day, **crore)  # type: ignore[arg-type]
        for day in (date(2024, 9, 30), date(2024, 10, 1))
    )
    got = new["stt"] + new["exchange"] - old["stt"] - old["exchange"]
    assert got == pytest.approx(increase)


def test_the_buyer_pays_stamp_and_the_seller_the_tax() -> None:
    day = date(2024, 6, 3)
    buy = charges(day, "option", "BUY", 25, 100.0)
    sell = charges(day, "option", "SELL", 25, 100.0)
    assert set(buy) == {"brokerage", "exchange", "sebi", "gst", "stamp"}
    assert set(sell) == {"brokerage", "exchange", "sebi", "gst", "stt"}
    assert charges(day, "option", "BUY", 25, 100.0, orders=3)["brokerage"] == 60.0


def test_a_future_pays_the_smaller_brokerage() -> None:
    day = date(2024, 6, 3)
    assert charges(day, "future", "SELL", 25, 23_000.0)["brokerage"] == 20.0
    assert charges(day, "future", "SELL", 1, 23_000.0)["brokerage"] == 6.9
    assert charges(day, "future", "SELL", 25, 23_000.0)["stt"] == 71.875  # 0.0125 % of 575,000


def test_exercise_is_taxed_by_its_dated_row() -> None:
    fees = INDIA.fees()
    call = ContractSpec("option", "NIFTY", date(2026, 4, 7), 23000.0, "CE", lot=65)
    for day, tax in ((date(2026, 3, 30), 0.00125), (date(2026, 4, 7), 0.0015)):
        got = fees.exercise(day, call, 65, 20_000)
        assert got == {"stt": round(65 * 200 * tax * 10_000)}
        assert fees.exercise(day, call, -65, 20_000) == {}


@pytest.mark.parametrize(
    ("day", "asset", "exchange", "says"),
    [
        (date(2019, 3, 31), "option", "NSE", "options on 2019-03-31: no source tells sebi"),
        (date(2019, 3, 31), "future", "NSE", "futures on 2019-03-31: no source tells sebi"),
        (date(2024, 9, 30), "option", "BSE", "exchange"),
        (date(2024, 9, 30), "future", "BSE", "exchange"),
        (date(2020, 6, 30), "equity", "NSE", "delivery shares on 2020-06-30: .* stamp"),
        (date(2025, 6, 2), "equity", "BSE", "exchange"),
    ],
)
def test_what_is_not_sourced_is_refused(day: date, asset: Any, exchange: str, says: str) -> None:
    with pytest.raises(NoSchedule, match=f"{says}.*fees="):
        charges(day, asset, "BUY", 1, 100.0, exchange=exchange)


def test_an_index_is_not_traded() -> None:
    with pytest.raises(NoSchedule, match="index on 2025-06-02: it is not traded"):
        charges(date(2025, 6, 2), "index", "BUY", 1, 100.0)


def test_the_buyer_alone_pays_stamp_duty_from_the_day_it_was_made_uniform() -> None:
    for day, buy, sell in ((date(2020, 6, 30), 0.15, 0.15), (date(2020, 7, 1), 0.225, 0.0)):
        assert charges(day, "option", "BUY", 75, 100.0)["stamp"] == buy
        assert charges(day, "option", "SELL", 75, 100.0).get("stamp", 0.0) == sell


def test_a_trade_of_june_2019_to_the_paisa() -> None:
    """A lot of NIFTY at 100, by hand from the brokers' pages of the time."""
    day = date(2019, 6, 6)
    common = {"brokerage": 20.0, "exchange": 3.75, "sebi": 0.0075, "stamp": 0.15}
    want = common | {"gst": 4.2764}  # 18 % of 23.7575
    assert charges(day, "option", "BUY", 75, 100.0) == want
    assert charges(day, "option", "SELL", 75, 100.0) == want | {"stt": 3.75}  # 0.05 %
    older = charges(day, "option", "BUY", 75, 100.0, gst_on_sebi=False)
    assert older["gst"] == 4.275


def test_until_august_2019_an_exercise_was_taxed_on_the_whole_settlement_value() -> None:
    fees = INDIA.fees()
    call = ContractSpec("option", "NIFTY", date(2019, 6, 6), 11_800.0, "CE", lot=75)
    put = ContractSpec("option", "NIFTY", date(2019, 6, 6), 11_900.0, "PE", lot=75)
    settled = 11_843.75
    want = {"stt": round(75 * settled * 0.00125 * 10_000)}
    assert fees.exercise(date(2019, 6, 6), call, 75, 4_375) == want
    assert fees.exercise(date(2019, 6, 6), put, 75, 5_625) == want
    assert fees.exercise(date(2019, 6, 6), call, -75, 4_375) == {}
    assert fees.exercise(date(2019, 6, 6), call, 75, 0) == {}
    after = fees.exercise(date(2019, 9, 5), call, 75, 4_375)
    assert after == {"stt": round(75 * 43.75 * 0.00125 * 10_000 + 0.01)}


def test_shares_delivered_and_within_the_day() -> None:
    """Rates of a broker's list of 2026: 0.1 % on both sides, or 0.025 % on the sale."""
    day = date(2026, 5, 4)
    buy = charges(day, "equity", "BUY", 100, 1_000.0)
    sell = charges(day, "equity", "SELL", 100, 1_000.0)
    assert (buy["stt"], buy["stamp"], buy["exchange"], buy["sebi"]) == (100.0, 15.0, 3.07, 0.1)
    assert (sell["stt"], "stamp" in sell, "brokerage" in buy | sell) == (100.0, False, False)
    buy = charges(day, "equity", "BUY", 100, 1_000.0, product="intraday")
    sell = charges(day, "equity", "SELL", 100, 1_000.0, product="intraday")
    assert ("stt" in buy, buy["stamp"], buy["brokerage"]) == (False, 3.0, 20.0)
    assert (sell["stt"], "stamp" in sell) == (25.0, False)
    assert charges(day, "equity", "BUY", 10, 1_000.0, product="intraday")["brokerage"] == 3.0
    with pytest.raises(UsageError, match="'delivery' or 'intraday'"):
        charges(day, "equity", "BUY", 1, 1.0, product="MIS")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'delivery' or 'intraday'"):
        INDIA.fees(product="MIS")  # type: ignore[arg-type]


def test_futures_on_both_exchanges() -> None:
    nse = charges(date(2025, 6, 2), "future", "SELL", 75, 24_000.0)
    assert (nse["stt"], nse["exchange"], nse["brokerage"]) == (360.0, 32.94, 20.0)
    bse = charges(date(2025, 6, 2), "future", "SELL", 20, 80_000.0, exchange="BSE")
    assert (bse["stt"], "exchange" in bse) == (320.0, False)
    old = charges(date(2019, 6, 3), "future", "BUY", 75, 12_000.0)
    assert (old["exchange"], old["stamp"], old["sebi"]) == (17.1, 18.0, 0.9)


# ---------------------------------------------------------------- freeze slices


def brokerage(day: date, symbol: str, qty: int, fees: Any = None) -> int:
    spec = ContractSpec("option", symbol, date(2030, 1, 1), 100.0, "CE")
    return int((fees or INDIA.fees()).fill(day, spec, qty, 10_000)["brokerage"]) // 200_000


def test_each_slice_of_the_freeze_quantity_pays_a_brokerage() -> None:
    day = date(2024, 6, 3)  # NIFTY 1800, BANKNIFTY 900
    for symbol, limit in (("NIFTY", 1800), ("BANKNIFTY", 900)):
        for qty, orders in ((25, 1), (limit, 1), (limit + 25, 2), (2 * limit, 2), (-3 * limit, 3)):
            assert brokerage(day, symbol, qty) == orders
    assert brokerage(date(2025, 11, 2), "BANKNIFTY", 900) == 1
    assert brokerage(date(2025, 11, 3), "BANKNIFTY", 900) == 2  # the limit fell to 600


def test_a_slice_is_whole_lots() -> None:
    """Of 1,800 units an order has 27 lots of 65: 1,755 (icicidirect.com says so)."""
    fees, day = INDIA.fees(), date(2026, 3, 2)
    spec = ContractSpec("option", "NIFTY", date(2026, 3, 3), 25_000.0, "CE", lot=65)
    for lots, orders in ((1, 1), (27, 1), (28, 2), (54, 2), (55, 3)):
        assert fees.fill(day, spec, 65 * lots, 100)["brokerage"] == 200_000 * orders


def test_without_a_sourced_freeze_quantity_a_large_order_is_refused_with_the_way_out() -> None:
    day = date(2019, 6, 3)
    assert brokerage(day, "NIFTY", 600) == 1
    with pytest.raises(NoSchedule, match=r"NIFTY on 2019-06-03: an order of 675 .*freeze=…"):
        brokerage(day, "NIFTY", -675)
    assert brokerage(day, "NIFTY", 9_000, INDIA.fees(freeze=5_000)) == 2
    assert brokerage(date(2024, 6, 3), "NIFTY", 3_600, INDIA.fees(freeze=5_000)) == 2  # sourced
    with pytest.raises(UsageError, match="freeze=0"):
        INDIA.fees(freeze=0)


def test_shares_have_no_slices() -> None:
    spec = ContractSpec("equity", "RELIANCE")
    fees = INDIA.fees(product="intraday")
    assert fees.fill(date(2024, 6, 3), spec, 50_000, 250_000)["brokerage"] == 200_000


# ---------------------------------------------------------------- laws

traded = st.sampled_from(["option", "future"])
days = st.dates(date(2020, 7, 1), date(2026, 12, 31))


@given(
    day=days,
    asset=traded,
    side=st.sampled_from([1, -1]),
    parts=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    price=st.integers(1, 5_000_000),
)
def test_charges_add_up_over_splits_but_for_brokerage_and_rounding(
    day: date, asset: Any, side: int, parts: list[int], price: int
) -> None:
    fees = INDIA.fees()
    spec = ContractSpec(asset, "NIFTY", date(2030, 1, 1), 100.0, "CE")
    whole = fees.fill(day, spec, side * 75 * sum(parts), price) if sum(parts) <= 8 else None
    pieces: dict[str, int] = {}
    for lots in parts:
        for name, amount in fees.fill(day, spec, side * 75 * lots, price).items():
            assert isinstance(amount, int)
            assert amount > 0
            pieces[name] = pieces.get(name, 0) + amount
    if whole is None:
        return
    assert all(isinstance(amount, int) and amount > 0 for amount in whole.values())
    for name in whole.keys() | pieces.keys():
        if name not in ("brokerage", "gst"):
            assert abs(pieces.get(name, 0) - whole.get(name, 0)) <= len(parts), name
    taxed = sum(pieces.get(n, 0) for n in ("brokerage", "exchange", "sebi"))
    assert abs(pieces.get("gst", 0) - 0.18 * taxed) <= len(parts)


@given(
    day=st.dates(date(2019, 4, 1), date(2026, 12, 31)),
    qty=st.integers(1, 600),
    price=st.integers(0, 10**6),
)
def test_every_day_since_april_2019_has_charges_of_options_and_futures(
    day: date, qty: int, price: int
) -> None:
    for asset in ("option", "future"):
        spec = ContractSpec(asset, "NIFTY", date(2030, 1, 1), 100.0, "CE")
        for signed in (qty, -qty):
            got = INDIA.fees().fill(day, spec, signed, price)
            assert all(type(amount) is int and amount > 0 for amount in got.values())


@given(day=days, qty=st.integers(-2_000, 2_000).filter(bool), intrinsic=st.integers(0, 10**6))
def test_a_day_ends_in_whole_rupees_of_tax(day: date, qty: int, intrinsic: int) -> None:
    fees = INDIA.fees()
    spec = ContractSpec("option", "NIFTY", date(2030, 1, 1), 22_000.0, "PE")
    charged = dict(fees.exercise(day, spec, qty, intrinsic))
    total = charged.get("stt", 0) + fees.day_end(day, spec, charged).get("stt", 0)
    assert total >= 0
    assert total % 10_000 == 0


def test_charges_refuses_nonsense() -> None:
    with pytest.raises(UsageError, match="side"):
        charges(date(2025, 6, 2), "option", "buy", 1, 1.0)  # type: ignore[arg-type]
    for bad in ({"qty": 0, "price": 1.0}, {"qty": 1, "price": -1.0}):
        with pytest.raises(UsageError, match="positive"):
            charges(date(2025, 6, 2), "option", "BUY", **bad)  # type: ignore[arg-type]
