"""Commissions of the United States: by the contract, and nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt.engine.ports import ContractSpec, FeeModel
from bestbt.errors import UsageError
from bestbt.markets import us

DAY = date(2024, 6, 3)
PUT = ContractSpec("option", "SPX", date(2024, 6, 21), 5400.0, "PE", lot=100, exchange="CBOE")
FUTURE = ContractSpec("future", "ES", date(2024, 6, 21), lot=50, exchange="CME")
SHARE = ContractSpec("equity", "SPY", exchange="NYSE")


@given(contracts=st.integers(1, 10_000), side=st.sampled_from([1, -1]), price=st.integers(0, 10**6))
def test_a_fill_pays_by_its_contracts_whatever_the_price(
    contracts: int, side: int, price: int
) -> None:
    fees: FeeModel = us.fees(0.65)
    for spec in (PUT, FUTURE):
        got = fees.fill(DAY, spec, side * contracts * spec.lot, price)
        assert got == {"commission": 6_500 * contracts}


def test_a_part_of_a_contract_counts_as_one_and_an_order_has_a_minimum() -> None:
    assert us.fees(1.0).fill(DAY, PUT, 101, 100) == {"commission": 20_000}
    assert us.fees(0.25, minimum=1.0).fill(DAY, PUT, -300, 100) == {"commission": 10_000}
    assert us.fees(0.25, minimum=1.0).fill(DAY, PUT, -500, 100) == {"commission": 12_500}


def test_shares_are_free_unless_told() -> None:
    assert us.fees().fill(DAY, SHARE, 1_000, 50_000) == {}
    assert us.fees(per_share=0.005).fill(DAY, SHARE, -1_000, 50_000) == {"commission": 50_000}


def test_settlement_and_the_end_of_a_day_cost_nothing() -> None:
    assert us.fees().exercise(DAY, PUT, 100, 5_000) == {}
    assert us.fees().day_end(DAY, PUT, {"commission": 6_500}) == {}


@pytest.mark.parametrize("bad", [-0.01, float("nan"), float("inf"), "0.65", True, None])
def test_an_amount_that_is_none_is_refused(bad: Any) -> None:
    for name in ("per_contract", "per_share", "minimum"):
        with pytest.raises(UsageError, match=f"{name}=.*zero or more"):
            us.fees(**{name: bad})


def test_it_says_what_it_is() -> None:
    assert repr(us.fees()) == "us.fees(per_contract=0.65)"
