"""Prices, volatilities and greeks agree with another program, with decimals, and with each other.

The judge here is `exact`: Black-76 from its definition in 60 decimal digits, with the normal
distribution summed as a series. It shares no formula with the code under test.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, localcontext
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine import pricing
from bestbt.engine.pricing import black76, greeks, implied_vol, years_to
from bestbt.errors import UsageError

MINUTE = 1 / 525_600  # in years
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
EPS = float(np.finfo(float).eps)

forwards = st.floats(1.0, 1e5)
moneyness = st.floats(-3.0, 3.0)  # ln(strike / forward)
minutes = st.floats(1.0, 2 * 525_600)
vols = st.floats(0.01, 5.0)
rights = st.sampled_from(["CE", "PE"])


def normal_cdf(x: Decimal) -> Decimal:
    term, total, n = x, x, 1
    while abs(term) > Decimal("1e-70"):
        n += 2
        term *= x * x / n
        total += term
    return Decimal("0.5") + total * (-x * x / 2).exp() / (2 * PI).sqrt()


def exact(
    forward: Any, strike: Any, years: Any, vol: Any, right: str, rate: Any = Decimal(0)
) -> Decimal:
    """Price to about 50 digits; the arguments are taken at their exact binary value."""
    with localcontext() as context:
        context.prec = 60
        f, k, t, v, r = (Decimal(x) for x in (forward, strike, years, vol, rate))
        width = v * t.sqrt()
        d1 = (f / k).ln() / width + width / 2
        d2, discount = d1 - width, (-r * t).exp()
        if right == "CE":
            return discount * (f * normal_cdf(d1) - k * normal_cdf(d2))
        return discount * (k * normal_cdf(-d2) - f * normal_cdf(-d1))


def strike_at(depth: float, years: float, vol: float) -> float:
    """Return a strike *depth* standard deviations above the forward, within a factor of 20."""
    return 23011.35 * math.exp(min(max(depth * vol * math.sqrt(years), -3), 3))


CASES = [
    (23011.35, strike_at(depth, years, vol), years, vol, right, rate)
    for depth, years, vol, right, rate in product(
        (-8.0, -5.0, -2.0, -0.3, 0.0, 1e-7, 1.0, 4.0, 8.0),
        (MINUTE, 3 / 365, 2.0),
        (0.01, 0.14, 5.0),
        ("CE", "PE"),
        (0.0, 0.065),
    )
]


def test_prices_equal_the_definition_in_decimals() -> None:
    for case in CASES:
        value = exact(*case)
        # A few roundings of forward or strike, whichever is more, and in the wings of the price.
        rounding = Decimal(4 * EPS * max(case[:2]))
        assert abs(Decimal(float(black76(*case))) - value) <= rounding, case
        assert float(black76(*case)) == pytest.approx(float(value), rel=1e-9, abs=1e-40), case


def test_volatilities_give_the_decimal_price_back() -> None:
    found = 0
    for case in CASES:
        forward, strike, years, vol, right, rate = case
        price = float(exact(*case))
        got = float(implied_vol(price, forward, strike, years, right, rate))
        intrinsic = max(forward - strike, 0) if right == "CE" else max(strike - forward, 0)
        time_value = price * math.exp(rate * years) - intrinsic
        if intrinsic and time_value < 1e-10:  # nothing can be told from the price
            assert math.isnan(got) or got > 0
            continue
        back = exact(forward, strike, years, got, right, rate)
        assert abs(back - Decimal(price)) < Decimal(4 * EPS * max(forward, strike)), case
        if not intrinsic:  # far out of the money the price has all its digits, so has the answer
            assert got == pytest.approx(vol, rel=1e-9), case
        found += 1
    assert found > 0.8 * len(CASES)


def test_greeks_equal_differences_of_decimal_prices() -> None:
    step = Decimal("1e-12")  # relative; its square is far below what a float shows
    for case in CASES:
        forward, strike, years, vol, right, rate = case
        with localcontext() as context:
            context.prec = 60
            f, t, v = Decimal(forward), Decimal(years), Decimal(vol)
            df, dt, dv = f * step, t * step, v * step
            up, down = (exact(f + s * df, strike, t, v, right, rate) for s in (1, -1))
            mid = exact(f, strike, t, v, right, rate)
            later, sooner = (exact(f, strike, t + s * dt, v, right, rate) for s in (1, -1))
            wilder, calmer = (exact(f, strike, t, v + s * dv, right, rate) for s in (1, -1))
            expected = {
                "delta": (up - down) / (2 * df),
                "gamma": (up - 2 * mid + down) / (df * df),
                "theta": (sooner - later) / (2 * dt) / 365,
                "vega": (wilder - calmer) / (2 * dv) / 100,
            }
        got = greeks(*case)
        for name, value in expected.items():
            ours = float(getattr(got, name))
            assert ours == pytest.approx(float(value), rel=1e-8, abs=1e-15), (name, case)


def test_prices_and_greeks_of_another_program(shared: Path) -> None:
    """101 Black-Scholes rows on a spot: its forward is carried, and so are the sensitivities."""
    table = json.loads((shared / "data" / "outside" / "py_vollib_test_data.json").read_text())
    rows = np.array(table["data"], dtype=float).T
    column = dict(zip(table["columns"], rows, strict=True))
    spot, strike, rate, years, vol = (column[n] for n in ("S", "K", "R", "t", "v"))
    growth = np.exp(rate * years)
    forward = spot * growth
    calls = np.array([[True], [False]])
    price = black76(forward, strike, years, vol, calls, rate)
    found = greeks(forward, strike, years, vol, calls, rate)

    def both(call: str, put: str) -> npt.NDArray[np.float64]:
        return np.array([column[call], column[put]])

    close: dict[str, Any] = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(price, both("bs_call", "bs_put"), **close)
    np.testing.assert_allclose(price[0], column["call_vals"], **close)
    np.testing.assert_allclose(found.delta * growth, both("CD", "PD"), **close)
    np.testing.assert_allclose(found.gamma * growth**2, both("CG", "PG"), **close)
    np.testing.assert_allclose(found.vega * 100, both("CV", "PV"), **close)
    # At an unchanged spot the forward falls by rate × forward a year.
    theta = found.theta * 365 - found.delta * rate * forward
    np.testing.assert_allclose(theta, both("CT", "PT"), **close)
    # Its prices have about nine digits: a volatility is told where a cent is a small part of it.
    known = (found.vega > 1e-2) & (price > 1e-2)
    implied = implied_vol(both("bs_call", "bs_put"), forward, strike, years, calls, rate)
    assert known.sum() > 50
    error = np.abs(implied - vol)[known] * (found.vega * 100)[known]
    assert error.max() < 1e-6


@given(f=forwards, x=moneyness, m=minutes, v=vols, r=st.floats(-0.1, 0.3))
def test_call_less_put_is_the_discounted_forward_less_strike(
    f: float, x: float, m: float, v: float, r: float
) -> None:
    k, t = f * math.exp(x), float(years_to(m))
    call, put = black76(f, k, t, v, [True, False], r)
    discount = math.exp(-r * t)
    assert call - put == pytest.approx(discount * (f - k), abs=8 * EPS * max(f, k) * discount)
    assert max(f - k, 0) * discount <= call * (1 + 4 * EPS)
    assert call <= f * discount * (1 + 4 * EPS)
    g = greeks(f, k, t, v, [True, False], r)
    assert g.delta[0] - g.delta[1] == pytest.approx(discount, rel=1e-14)
    assert g.gamma[0] == g.gamma[1] >= 0
    assert g.vega[0] == g.vega[1] >= 0


@given(f=forwards, x=moneyness, m=minutes, v=vols, right=rights)
def test_prices_move_the_right_way(f: float, x: float, m: float, v: float, right: Any) -> None:
    k, t = f * math.exp(x), float(years_to(m))
    slack = 4 * EPS * max(f, k)
    for ladder in (
        black76(f, k, t, v * np.linspace(0.5, 2, 40), right),
        black76(f, k, t * np.linspace(0.5, 2, 40), v, right),
        black76(f * np.linspace(0.9, 1.1, 40), k, t, v, right) * (1 if right == "CE" else -1),
        black76(f, k * np.linspace(0.9, 1.1, 40), t, v, right) * (-1 if right == "CE" else 1),
    ):
        assert (np.diff(ladder) >= -slack).all()


@settings(max_examples=400)
@given(f=forwards, x=moneyness, m=minutes, v=vols, right=rights, r=st.floats(-0.1, 0.3))
def test_price_to_volatility_to_price(
    f: float, x: float, m: float, v: float, right: Any, r: float
) -> None:
    k, t = f * math.exp(x), float(years_to(m))
    price = float(black76(f, k, t, v, right, r))
    implied = float(implied_vol(price, f, k, t, right, r))
    out_of_the_money = black76(f, k, t, v, "CE" if f <= k else "PE")
    if math.isnan(implied):
        # Only what rounding has swallowed, or what no float shows, goes without an answer.
        in_the_money = (f > k) if right == "CE" else (k > f)
        lost = 32 * EPS * max(f, k) if in_the_money else 1e-300
        assert out_of_the_money <= lost
        return
    assert abs(float(black76(f, k, t, implied, right, r)) - price) < 1e-9
    assert abs(implied - v) * float(greeks(f, k, t, v, right, r).vega) * 100 < 1e-9


def test_a_volatility_is_found_in_few_steps_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(11)
    n = 20_000
    years = np.exp(rng.uniform(math.log(MINUTE), math.log(2), n))
    vol = np.exp(rng.uniform(math.log(0.01), math.log(5), n))
    strike = 25_000 * np.exp(rng.uniform(-12, 12, n) * vol * np.sqrt(years))
    call = strike > 25_000  # out of the money, so that every price tells
    price = black76(25_000, strike, years, vol, call)
    evaluate, turns = pricing._ends, 0

    def counted(*given: Any) -> Any:
        nonlocal turns
        turns += 1
        return evaluate(*given)

    monkeypatch.setattr(pricing, "_ends", counted)
    without = np.array([0.0, -1.0, 30_000.0, math.nan])  # rows without an answer ask for no turn
    assert np.isnan(implied_vol(without, 25_000, 26_000, 0.1, "CE")).all()
    assert turns <= 1
    implied = implied_vol(price, 25_000, strike, years, call)
    assert turns <= 7  # of the slowest row; bisection alone would take some fifty
    np.testing.assert_allclose(implied, vol, rtol=3e-9)


@pytest.mark.parametrize("start", [-30.0, -1.0, 1.0, 8.0])
def test_a_volatility_is_found_from_a_wrong_start(
    start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike, vol = np.meshgrid(25_000 * np.exp([0.0, 0.001, 0.1, 1.0, 3.0]), [0.01, 0.2, 5.0])
    price = black76(25_000, strike, 0.5, vol, "CE")
    told = price > 1e-250
    monkeypatch.setattr(pricing, "_rough_quantile", lambda p: np.full_like(p, start))
    implied = implied_vol(price, 25_000, strike, 0.5, "CE")
    np.testing.assert_allclose(implied[told], vol[told], rtol=1e-9)


@pytest.mark.parametrize(
    ("price", "forward", "strike", "years", "right"),
    [
        (200.0, 1200, 1000, 0.1, "CE"),  # at the intrinsic value
        (199.0, 1200, 1000, 0.1, "CE"),  # below it
        (200.0, 1000, 1200, 0.1, "PE"),
        (200.0 + 1e-13, 1200, 1000, 0.1, "CE"),  # a time value that is rounding
        (0.0, 1000, 1200, 0.1, "CE"),
        (-1.0, 1000, 1200, 0.1, "CE"),
        (1000.0, 1000, 1200, 0.1, "CE"),  # the most a call can be worth
        (1200.0, 1000, 1200, 0.1, "PE"),
        (5000.0, 1000, 1200, 0.1, "PE"),
        (math.nan, 1000, 1200, 0.1, "CE"),
        (math.inf, 1000, 1200, 0.1, "CE"),
        (5.0, math.nan, 1200, 0.1, "CE"),
        (5.0, 0.0, 1200, 0.1, "CE"),
        (5.0, 1000, -1200, 0.1, "CE"),
        (5.0, 1000, 1200, 0.0, "CE"),
        (5.0, 1000, 1200, -0.1, "CE"),
    ],
)
def test_no_volatility_is_nan(
    price: float, forward: float, strike: float, years: float, right: Any
) -> None:
    assert math.isnan(float(implied_vol(price, forward, strike, years, right)))


def test_a_tick_above_intrinsic_has_a_volatility() -> None:
    # Nearest rows to those that have none: the rule refuses what cannot be told, nothing more.
    for price, right in ((200.05, "CE"), (0.05, "PE")):
        assert float(implied_vol(price, 1200, 1000, 0.1, right)) > 0
    assert float(implied_vol(1e-200, 1000, 1200, 0.1, "CE")) > 0


def test_without_volatility_or_time_a_price_is_intrinsic_and_has_no_slope() -> None:
    strikes = np.array([900.0, 1000.0, 1100.0])
    for years, vol in ((0.0, 0.2), (0.5, 0.0), (0.0, 0.0)):
        discount = math.exp(-0.05 * years)
        call = black76(1000, strikes, years, vol, "CE", 0.05)
        put = black76(1000, strikes, years, vol, "PE", 0.05)
        np.testing.assert_array_equal(call, discount * np.array([100.0, 0, 0]))
        np.testing.assert_array_equal(put, discount * np.array([0, 0, 100.0]))
        assert np.isnan(np.array(greeks(1000, strikes, years, vol, "CE"))).all()


anything = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, 1e308])


@settings(max_examples=400)
@given(numbers=st.lists(st.tuples(*[anything] * 5, st.booleans()), min_size=1, max_size=8))
def test_no_input_warns_and_what_has_no_meaning_is_nan(numbers: list[Any]) -> None:
    f, k, t, v, r, right = (np.array(c) for c in zip(*numbers, strict=True))
    wrong = np.zeros(len(f), dtype=bool)
    for each in (f, k, t, v, r):
        wrong |= ~np.isfinite(each)
    wrong |= (f <= 0) | (k <= 0) | (t < 0) | (v < 0)
    assert np.isnan(black76(f, k, t, v, right, r)[wrong]).all()
    assert np.isnan(np.array(greeks(f, k, t, v, right, r))[:, wrong]).all()
    implied = implied_vol(v, f, k, t, right, r)
    assert np.isnan(implied[wrong | (t == 0)]).all()
    assert not (implied <= 0).any()


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    strikes = np.linspace(20_000, 26_000, 61)
    calls = np.array([[True], [False]])
    price = black76(23_000, strikes, 5 / 365, 0.15, calls)
    vol = implied_vol(price, 23_000, strikes, 5 / 365, calls)
    found = greeks(23_000, strikes, 5 / 365, vol, calls)
    assert price.shape == vol.shape == found.theta.shape == (2, 61)
    for side, right in enumerate(("CE", "PE")):
        for column, strike in enumerate(strikes):
            one = float(black76(23_000, strike, 5 / 365, 0.15, right))
            assert one == price[side, column]
            alone = implied_vol(one, 23_000, strike, 5 / 365, right == "CE")
            np.testing.assert_array_equal(alone, vol[side, column])
            np.testing.assert_array_equal(
                np.array(greeks(23_000, strike, 5 / 365, alone, right == "CE")),
                np.array(found)[:, side, column],
            )


def test_shapes_follow_the_arguments() -> None:
    assert black76(100, 100, 1, 0.2, "CE").shape == ()
    assert implied_vol(np.ones((3, 1)), 100, np.full(4, 100.0), 1, "PE").shape == (3, 4)
    assert greeks(100, 100, 1, 0.2, np.array([True, False])).delta.shape == (2,)
    assert black76([], 100, 1, 0.2, "CE").shape == implied_vol([], 100, 100, 1, "CE").shape == (0,)


@pytest.mark.parametrize("right", ["C", "call", "ce", "", ["CE", "PE"], [1, 0], 1, None])
def test_another_right_is_refused_with_what_to_write(right: Any) -> None:
    with pytest.raises(UsageError, match="'CE'"):
        black76(100, 100, 1, 0.2, right)


def test_time_is_calendar_minutes_floored_at_one() -> None:
    given_minutes = [-5, 0, 0.5, 1, 1440, 525_600, math.nan]
    expected = [MINUTE, MINUTE, MINUTE, MINUTE, 1 / 365, 1.0, math.nan]
    np.testing.assert_allclose(years_to(given_minutes), expected, rtol=1e-15)
    assert years_to(7).shape == ()
