"""Charges are exact integers, rounded one by one, and the day's tax is whole rupees."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt.engine.fees import RATE_SCALE, FeeSchedule, NoFees, ScheduledFees, fee_function
from bestbt.engine.ports import ContractSpec, FeeModel
from bestbt.errors import NoSchedule, UsageError

DAY = date(2024, 6, 3)
CALL = ContractSpec("option", "NIFTY", date(2024, 6, 6), 23000.0, "CE", lot=25)
FUTURE = ContractSpec("future", "NIFTY", date(2024, 6, 27), lot=25)
rates = st.integers(0, RATE_SCALE // 10)


def rupees(value: Decimal) -> int:
    """Raw money of a decimal amount, by the decimal module's own rounding."""
    return int(value.quantize(Decimal("0.0001"), ROUND_HALF_UP) * 10_000)


@given(
    qty=st.integers(-100_000, 100_000).filter(bool),
    price=st.integers(1, 10**7),
    scale=st.sampled_from([1, 100, 10_000]),
    exchange=rates,
    sebi=rates,
    stamp=rates,
    stt=rates,
    on_sebi=st.booleans(),
)
def test_each_charge_equals_decimal_arithmetic(
    qty: int, price: int, scale: int, exchange: int, sebi: int, stamp: int, stt: int, on_sebi: bool
) -> None:
    schedule = FeeSchedule(
        brokerage=200_000,
        exchange=exchange,
        sebi=sebi,
        stamp=stamp,
        stt=stt,
        gst=180_000_000,
        gst_on_sebi=on_sebi,
    )
    turnover = Decimal(abs(qty) * price) / scale
    rate = {
        "exchange": exchange,
        "sebi": sebi,
        "stamp": stamp if qty > 0 else 0,
        "stt": 0 if qty > 0 else stt,
    }
    want = {name: rupees(turnover * r / RATE_SCALE) for name, r in rate.items()}
    want["brokerage"] = 200_000
    base = 200_000 + want["exchange"] + (want["sebi"] if on_sebi else 0)
    want["gst"] = rupees(Decimal(base) / 10_000 * 18 / 100)
    assert schedule.charges(qty, price, scale) == {k: v for k, v in want.items() if v}


def test_capped_brokerage_is_the_smaller_of_rate_and_flat() -> None:
    schedule = FeeSchedule(brokerage=200_000, brokerage_rate=300_000)
    assert schedule.charges(25, 100_000, 100) == {"brokerage": 75_000}  # 0.03 % of 25,000
    assert schedule.charges(25, 2_300_000, 100) == {"brokerage": 200_000}
    assert schedule.charges(25, 2_300_000, 100, orders=3) == {"brokerage": 600_000}


def test_exercise_taxes_longs_on_intrinsic_and_nobody_else() -> None:
    fees = ScheduledFees(lambda *_: FeeSchedule(brokerage=200_000, stt_exercise=1_250_000))
    assert fees.exercise(DAY, CALL, 25, 4_975) == {"stt": 15_547}  # 0.125 % of 1,243.75
    assert fees.exercise(DAY, CALL, -25, 4_975) == {}
    assert fees.exercise(DAY, CALL, 25, 0) == {}
    assert fees.exercise(DAY, FUTURE, 25, 4_975) == {}


@given(st.lists(st.integers(0, 10**9), max_size=6))
def test_a_days_tax_is_whole_rupees_and_never_moves_by_more_than_half(parts: list[int]) -> None:
    fees = ScheduledFees(lambda *_: FeeSchedule())
    tax = sum(parts)
    correction = fees.day_end(DAY, CALL, {"stt": tax, "gst": 123}).get("stt", 0)
    assert (tax + correction) % 10_000 == 0
    assert -5_000 < correction <= 5_000  # a half goes up


def test_the_lookup_is_asked_once_a_day_asset_and_exchange() -> None:
    asked: list[Any] = []

    def lookup(*key: Any) -> FeeSchedule:
        asked.append(key)
        return FeeSchedule(brokerage=1)

    fees = ScheduledFees(lookup)
    for spec in (CALL, CALL, FUTURE, ContractSpec("option", "SENSEX", exchange="BSE")):
        fees.fill(DAY, spec, 1, 100)
    assert asked == [(DAY, "option", "NSE"), (DAY, "future", "NSE"), (DAY, "option", "BSE")]


def test_a_missing_schedule_reaches_the_caller() -> None:
    def lookup(*key: Any) -> FeeSchedule:
        raise NoSchedule("no schedule")

    with pytest.raises(NoSchedule):
        ScheduledFees(lookup).fill(DAY, CALL, 1, 100)


def test_no_fees_charge_nothing() -> None:
    fees: FeeModel = NoFees()
    assert not fees.fill(DAY, CALL, 75, 100)
    assert not fees.exercise(DAY, CALL, 75, 100)
    assert not fees.day_end(DAY, CALL, {"stt": 1})


def test_a_users_function_gets_floats_and_may_name_its_charges() -> None:
    seen: list[Any] = []

    def flat(day: date, spec: ContractSpec, qty: int, price: float) -> dict[str, float]:
        seen.append((day, spec, qty, price))
        return {"desk": 1.00005, "none": 0.0}

    assert fee_function(flat).fill(DAY, CALL, -25, 10_005) == {"desk": 10_001}
    assert seen == [(DAY, CALL, -25, 100.05)]
    assert fee_function(lambda *_: None).fill(DAY, CALL, 1, 1) == {}
    assert fee_function(lambda *_: 5).exercise(DAY, CALL, 1, 1) == {}


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), "ten", True])
def test_a_users_function_that_returns_nonsense_is_told(bad: Any) -> None:
    with pytest.raises(UsageError, match="fee function returned"):
        fee_function(lambda *_: bad).fill(DAY, CALL, 1, 100)


def test_something_that_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match="no function"):
        fee_function(0.001)  # type: ignore[arg-type]
