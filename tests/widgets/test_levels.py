"""Lines of what is held belong on the chart of what they are prices of."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pytest

from bestbt.charted import Charted
from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.widgets.levels import levels, premium
from bestbt.widgets.payoff import payoff
from bestbt.widgets.scene import Held, Net, Scene

EXPIRY = date(2024, 1, 4)


def held(strike: float, right: Any, qty: int, **given: Any) -> Held:
    one = Held(
        name=f"NIFTY {EXPIRY} {strike:g} {right}", symbol="NIFTY", expiry=EXPIRY, strike=strike,
        right=right, opened=2, qty=qty, lots=abs(qty) // 50, entry=100.0, price=90.0, age=0,
        pnl=0.0, sl=None, target=None, forward=22_000.0, years=0.01, iv=0.15, delta=0.0,
        gamma=0.0, theta=0.0, vega=0.0, tag="",
    )  # fmt: skip
    return one._replace(**given)


def scene(*positions: Held) -> Scene:
    return Scene(
        bar=4, time=None, symbol="NIFTY", spot=22_000.0, change=None, vix=None, expiry=EXPIRY,
        dte=1, today=0.0, pnl=0.0, realized=0.0, charges=0.0, held=positions,
        net=Net(0.0, 0.0, 0.0, 0.0, 0), working=(), blocked="", met="", by_hand=0, fills=0,
        orders=0, logged=0,
    )  # fmt: skip


def test_strikes_and_breakevens_lie_on_the_underlying() -> None:
    seen = scene(held(22_000, "CE", -50), held(22_000, "PE", -50), held(22_500, "CE", 50))
    found = levels(seen, Charted("NIFTY", ()), payoff(seen))
    assert [(v.kind, v.price, v.text) for v in found[:2]] == [
        ("strike", 22_000, "22000 short CE, short PE"),
        ("strike", 22_500, "22500 long CE"),
    ]
    # Two sold at 100, one bought at 100: 100 in hand, gone at 21,900 and 22,100.
    assert [v.price for v in found[2:]] == pytest.approx([21_900, 22_100])


def test_stops_and_targets_lie_on_their_own_contract() -> None:
    one = held(22_000, "CE", -50, sl=125.0, target=40.0)
    option = Charted(one.name, (ContractSpec("option", "NIFTY", EXPIRY, 22_000, "CE"),))
    found = levels(scene(one), option, None)
    assert [(v.kind, v.price) for v in found] == [("entry", 100), ("stop", 125), ("target", 40)]
    other = Charted("NIFTY 2024-01-04 22500 CE", option.legs)
    assert levels(scene(one), other, None) == []


def test_the_premium_is_what_closing_would_cost() -> None:
    def prices(*closes: int) -> PriceColumns:
        raw = np.array(closes) * 100
        return PriceColumns(0, path_points(raw, raw, raw, raw), np.ones(len(raw), bool), 100)

    sold, bought = held(22_000, "CE", -50, opened=1), held(22_500, "CE", 50, opened=2)
    table = {sold.name: prices(99, 99, 90, 80, 70, 60), bought.name: prices(9, 9, 9, 8, 7, 6)}
    bars, cost = premium(scene(sold, bought), table.__getitem__) or (None, None)
    assert bars is not None
    assert cost is not None
    assert bars.tolist() == [2, 3, 4]  # both are held, and the run stands at 4
    assert cost.tolist() == [50 * (90 - 9), 50 * (80 - 8), 50 * (70 - 7)]
    future = held(22_000, None, 50)._replace(strike=None, iv=math.nan)
    assert premium(scene(future), table.__getitem__) is None


def test_breakevens_far_from_the_spot_are_in_reach() -> None:
    sold = (
        held(22_000, right, -50, entry=3_000.0, price=3_000.0, iv=0.6) for right in ("CE", "PE")
    )
    found = payoff(scene(*sold))
    assert found is not None
    assert found.breakevens == pytest.approx((16_000, 28_000))
    far = payoff(scene(held(39_600, "CE", 50)))
    assert far is not None
    assert np.isfinite(far.now).all()
    assert (far.spot > 0).all()
