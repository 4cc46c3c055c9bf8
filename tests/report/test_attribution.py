"""A session's PnL divided by leg, greek and cause: exactly, and as worked by hand."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bestbt.engine.order import Fill
from bestbt.engine.ports import ContractSpec
from bestbt.engine.pricing import black76, greeks, implied_vol
from bestbt.engine.result import Result
from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.report.attribution import Attribution, attribution
from bestbt.report.forwards import forwards
from bestbt.report.tables import open_lots
from bestbt.testing import MemoryFeed, simulate
from tests.report.runs import FAR, MINUTES, Churner, Idle, feed, fees

SLOW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
CAUSES = ["gaps", "first_minute", "stops", "settlement", "rest"]


def divided(result: Result, prices: MemoryFeed, day: Any = None) -> Attribution:
    return attribution(result, prices, prices.market, day)


def total(frame: pd.DataFrame, columns: list[str]) -> float:
    return float(frame[columns].to_numpy().sum())


# --- it adds up


def seen(fill: Fill) -> int:
    return fill.raw_price + (-1 if fill.qty > 0 else 1) * fill.raw_slippage


def units_one_by_one(result: Result, session: int) -> dict[str, Counter[str]]:
    """Say of each unit for itself what it made in a session, and of what."""
    grid = result.grid
    first, last = grid.firsts[session], grid.lasts[session]
    found: dict[str, Counter[str]] = {}
    lots: list[tuple[Fill, Fill | None, int]] = [(m.entry, m.exit, m.qty) for m in result.matches]
    lots += [(lot.fill, None, lot.qty) for lot in open_lots(result)]
    for entry, exit_, qty in lots:
        if entry.bar > last or (exit_ is not None and exit_.bar < first):
            continue
        columns = entry.contract._prices
        assert columns is not None

        def mark(bar: int, columns: Any = columns) -> int:
            return int(columns.marks[min(bar - columns.first, columns.n - 1)])

        made = found.setdefault(entry.contract.name, Counter())
        leaves = exit_ is not None and exit_.bar <= last
        price, bar = seen(entry), entry.bar
        if entry.bar < first:
            price, bar = mark(first - 1), first
            live = [b for b in range(first, last + 1) if columns.live[b - columns.first]]
            if live and (exit_ is None or exit_.bar >= live[0]):
                opened = int(columns.points[4 * (live[0] - columns.first)])
                made["gaps"] += qty * (opened - price)
                price, bar = opened, live[0]
        if leaves and exit_ is not None and exit_.kind == "stop":
            made["stops"] += qty * (seen(exit_) - price)
            continue
        end = last
        if leaves and exit_ is not None:
            end = exit_.bar
            if exit_.kind == "settlement":
                made["settlement"] += qty * (seen(exit_) - mark(end))
        ends_at = mark(end)
        if leaves and exit_ is not None and exit_.kind != "settlement":
            ends_at = seen(exit_)
        if bar == first and end > first:
            made["first_minute"] += qty * (mark(first) - price)
            price = mark(first)
        made["first_minute" if end == first else "rest"] += qty * (ends_at - price)
    return found


@SLOW
@given(
    seed=st.integers(0, 10_000),
    slippage=st.sampled_from([0, "0.5%", "3ticks"]),
    cost=st.sampled_from(["fifo", "average"]),
    close_at_end=st.booleans(),
)
def test_every_day_adds_up_to_its_change_of_equity_in_each_way(
    seed: int, slippage: Any, cost: Any, close_at_end: bool
) -> None:
    days = 4
    prices = feed(days, seed)
    result = simulate(
        Churner,
        prices,
        seed=seed,
        fees=fees(),
        slippage=slippage,
        cost=cost,
        close_at_end=close_at_end,
    ).result
    equity = [result.capital, *(int(result.equity()[bar]) for bar in prices.grid.lasts)]
    for session, (before, after) in enumerate(pairwise(equity)):
        found = divided(result, prices, prices.grid.sessions[session].day)
        change = (after - before) / 10_000
        assert found.pnl == change
        paid = ["slippage", "charges"]
        assert total(found.by_leg, ["held", "traded", *paid]) == pytest.approx(change, abs=1e-6)
        by_greek = ["delta", "gamma", "theta", "vega", "residual", *paid]
        assert total(found.by_greek, by_greek) == pytest.approx(change, abs=1e-6)
        assert total(found.by_cause, CAUSES + paid) == pytest.approx(change, abs=1e-6)
        for frame in (found.by_leg, found.by_greek, found.by_cause):
            assert frame["pnl"].sum() == pytest.approx(change, abs=1e-6)
            parts = frame.drop(columns=["qty_before", "qty_after", "pnl"], errors="ignore")
            assert np.allclose(parts.sum(axis=1), frame["pnl"], atol=1e-6)
        assert not found.by_greek.isna().any(axis=None)
        charged = sum(p.amount for p in result.ledger if p.account not in (
            "capital", "premium", "settlement", "variation"
        ) and prices.grid.session(p.bar) == session)  # fmt: skip
        assert found.by_cause["charges"].sum() == pytest.approx(charged / 10_000)
        slow = units_one_by_one(result, session)
        for name, causes in slow.items():
            for cause in CAUSES:
                said = found.by_cause[cause][name]
                assert said == pytest.approx(causes[cause] / 100), (name, cause)


def test_a_run_that_stands_in_a_session_is_divided_as_far_as_it_is() -> None:
    prices = feed(3, 5)
    run = simulate(Churner, prices, fees=fees(), slippage="0.5%", run=False)
    for bar in (0, 7, MINUTES - 1, MINUTES, MINUTES + 20):
        run.run_to(bar)
        found = divided(run.result, prices, prices.grid.day(bar))
        before = run.feeder.closed[-1][1] if bar >= MINUTES else run.result.capital
        if bar == MINUTES - 1:
            before = run.result.capital
        assert found.pnl == (run.desk.portfolio.equity - before) / 10_000


class Future(Strategy):
    def on_bar(self) -> None:
        future = self.contract("NIFTY 2024-01-25 FUT")
        if self.bar in (2, 9, 14):
            self.buy(future, lots=1)
        elif self.bar == 30:
            self.sell(future, lots=5)


def test_a_future_is_all_delta_and_its_variation_is_in_it() -> None:
    prices = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02", "2024-01-03"], minutes=20)
    rng = np.random.default_rng(3)
    closes = np.round(100 + np.cumsum(rng.normal(0, 1, 60)), 1)
    prices.add_index(closes)
    prices.add(ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50), closes + 1)
    result = simulate(Future, prices, slippage="1tick").result
    ends = [raw for _, raw in result.closed]
    for session, (before, after) in enumerate(pairwise([result.capital, *ends])):
        found = divided(result, prices, prices.grid.sessions[session].day)
        assert found.pnl == (after - before) / 10_000
        assert not found.by_greek[["gamma", "theta", "vega", "residual"]].any(axis=None)
    assert found.pnl == pytest.approx(-100 * (closes[59] - closes[39]))  # 3 bought, 5 sold


# --- worked by hand


def priced(forward: list[float], vol: list[float], minutes: list[float]) -> list[float]:
    """Return what a 100 call costs, on the tick."""
    years = np.array(minutes) / 525_600
    exact = black76(np.array(forward), 100.0, years, np.array(vol), "CE")
    return [round(float(p) * 20) / 20 for p in exact]


class Holder(Strategy):
    """Buys a lot with the first bar, which trades at the open of the second."""

    def on_bar(self) -> None:
        if self.bar == 0:
            self.buy(self.option(100, "CE"), lots=1)


def test_one_leg_by_hand() -> None:
    """Two bars held: 09:16 (entered at its open) to 09:18."""
    prices = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=4)
    prices.add_index([100, 100, 101, 100.5])
    calls, puts = [4.0, 4.0, 4.7, 4.3], [4.0, 4.0, 3.7, 3.8]
    prices.add_option("2024-01-25", 100, "CE", [4.0, (3.9, 4.1, 3.9, 4.0), 4.7, 4.3])
    prices.add_option("2024-01-25", 100, "PE", puts)
    result = simulate(Holder, prices, slippage="1tick").result
    found = divided(result, prices)
    (leg,) = found.by_leg.index
    assert found.by_leg.loc[leg].to_dict() == {
        "qty_before": 0,
        "qty_after": 50,
        "held": pytest.approx(50 * (4.3 - 4.0)),
        "traded": pytest.approx(50 * (4.0 - 3.9)),  # from the open to the close of its bar
        "slippage": pytest.approx(-50 * 0.05),
        "charges": 0.0,
        "pnl": pytest.approx(50 * (4.3 - 3.95)),
    }
    # The forward is 100 + C − P; the expiry is at the end of that day's session.
    forward = [100 + c - p for c, p in zip(calls, puts, strict=True)]
    minutes = [24 * 1440 + 4 - (bar + 1) for bar in range(4)]
    delta = gamma = theta = vega = 0.0
    for a, b in ((1, 2), (2, 3)):
        years = [m / 525_600 for m in minutes]
        vol = [float(implied_vol(calls[k], forward[k], 100.0, years[k], "CE")) for k in range(4)]
        told = greeks(forward[a], 100.0, years[a], vol[a], "CE")
        move = forward[b] - forward[a]
        delta += 50 * float(told.delta) * move
        gamma += 50 * float(told.gamma) / 2 * move**2
        theta += 50 * float(told.theta) / 1440
        vega += 50 * float(told.vega) * (vol[b] - vol[a]) * 100
    row = found.by_greek.loc[leg]
    assert row["delta"] == pytest.approx(delta, abs=1e-4)
    assert row["gamma"] == pytest.approx(gamma, abs=1e-4)
    assert row["theta"] == pytest.approx(theta, abs=1e-4)
    assert row["vega"] == pytest.approx(vega, abs=1e-4)
    # what is left: the way from the fill to its bar's close, and terms of higher order
    assert row["residual"] == pytest.approx(50 * 0.1, abs=0.2)
    assert abs(delta) > 10  # the check has something to check


def test_the_expansion_explains_a_day_of_small_moves() -> None:
    """Prices made by the model itself, over a night: nearly nothing remains."""
    n = 60
    rng = np.random.default_rng(1)
    forward = 2000 + np.cumsum(rng.normal(0, 0.5, n))
    vol = 0.15 + np.cumsum(rng.normal(0, 0.0002, n))
    prices = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02"], minutes=n // 2)
    closing = prices.market.session(date(2024, 1, 25)).close
    years = (closing - prices.grid.ends) / 60e9 / 525_600
    fine = ContractSpec(
        "option", "NIFTY", date(2024, 1, 25), 2000.0, "CE", lot=50, tick=1, scale=10_000
    )
    put = ContractSpec(
        "option", "NIFTY", date(2024, 1, 25), 2000.0, "PE", lot=50, tick=1, scale=10_000
    )
    prices.add_index(np.round(forward, 1))
    prices.add(fine, black76(forward, 2000.0, years, vol, "CE"))
    prices.add(put, black76(forward, 2000.0, years, vol, "PE"))

    class Once(Strategy):
        def on_bar(self) -> None:
            if self.bar == 3:
                self.sell(self.option(2000, "CE"), lots=1)

    result = simulate(Once, prices).result
    found = divided(result, prices, "2024-01-02").by_greek.iloc[0]
    parts = found[["delta", "gamma", "theta", "vega"]]
    assert abs(found["residual"]) < 0.02 * parts.abs().sum()
    assert found["theta"] > 0 > found["gamma"]  # who has sold is paid for time, and pays for moves
    assert found["delta"] * (forward[-1] - forward[29]) < 0


class Overnight(Strategy):
    """One lot is held over the night and stopped, another bought at the open."""

    def on_bar(self) -> None:
        if self.bar == 2:
            self.buy(self.option(100, "CE"), lots=1, sl=5.5)
        if self.bar == 5:
            self.buy(self.option(110, "CE"), lots=1)


def test_causes_by_hand() -> None:
    prices = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02"], minutes=5)
    prices.add_index([100] * 10)
    second = [(7, 7, 6, 6.5), (6.4, 6.4, 6, 6), (5.8, 6, 5, 5.2), 5, 5]
    prices.add_option("2024-01-25", 100, "CE", [8, 8, 8, 8, 8, *second])
    prices.add_option("2024-01-25", 110, "CE", [2, 2, 2, 2, 2, 2, (2, 3, 2, 3), 3, 3, 4])
    result = simulate(Overnight, prices).result
    found = divided(result, prices)
    assert found.day == date(2024, 1, 2)  # the worst
    held = found.by_cause.loc["NIFTY 2024-01-25 100 CE"]
    assert held["gaps"] == 50 * (7 - 8)
    assert held["stops"] == 50 * (5.5 - 7)  # all it made from the open on
    assert not held[["first_minute", "settlement", "rest"]].to_numpy().any()
    bought = found.by_cause.loc["NIFTY 2024-01-25 110 CE"]
    assert bought["rest"] == 50 * (4 - 2)
    assert found.pnl == pytest.approx(-50 * 2.5 + 100)


# --- the forward is the chain's


class Watching(Strategy):
    def init(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def on_bar(self) -> None:
        found = self.chain(self.near).reference_by("forward")
        self.seen.append((math.nan, -1) if found is None else (found.value, found.age))

    near = FAR


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_future", [False, True])
def test_the_forward_is_that_of_the_chain_at_every_bar(seed: int, with_future: bool) -> None:
    prices = feed(3, seed)
    rng = np.random.default_rng(seed)
    if with_future:  # and whole stretches in which no option trades
        rows = [None if rng.random() < 0.4 else 100 + i / 10 for i in range(prices.grid.n)]
        prices.add(ContractSpec("future", "NIFTY", FAR, lot=50), rows[2:], first=2)
    for spec in [s for s in prices._columns if s.asset == "option" and s.expiry == FAR]:
        bars = prices.grid.n
        sparse: list[Any] = [20 + i % 7 if rng.random() < 0.06 else None for i in range(bars)]
        prices.add(spec, [25, *sparse[1:]])
    run = simulate(Watching, prices, rate=0.05)
    told: Any = run.strategy
    for low, high in ((0, prices.grid.n), (MINUTES - 1, 2 * MINUTES), (70, 75)):
        found = forwards(prices, prices.market, "NIFTY", FAR, low, high, 0.05)
        value = [v for v, _ in told.seen[low:high]]
        assert np.allclose(found.value, value, rtol=1e-12, equal_nan=True)
        assert found.age.tolist() == [a for _, a in told.seen[low:high]]


# --- what is asked


def test_the_day_may_be_text_a_date_or_left_out() -> None:
    prices = feed(3, 1)
    result = simulate(Churner, prices).result
    ends = [raw for _, raw in result.closed]
    worst = min(range(3), key=lambda i: ends[i] - [result.capital, *ends][i])
    day = prices.grid.sessions[worst].day
    assert divided(result, prices).day == day
    assert divided(result, prices, str(day)).pnl == divided(result, prices, day).pnl


@pytest.mark.parametrize("day", ["2023-12-29", "tomorrow", 3])
def test_a_day_that_was_not_played_is_refused(day: Any) -> None:
    prices = feed(3, 1)
    with pytest.raises(UsageError, match="attribution\\("):
        divided(simulate(Churner, prices).result, prices, day)


def test_before_the_first_bar_there_is_nothing_to_divide() -> None:
    prices = feed(3, 1)
    with pytest.raises(UsageError, match="no bar"):
        divided(simulate(Churner, prices, run=False).result, prices)


def test_a_day_without_trades_is_empty_tables() -> None:
    prices = feed(3, 1)
    found = divided(simulate(Idle, prices).result, prices)
    assert found.pnl == 0
    assert found.by_leg.empty
    assert list(found.by_cause.columns) == [*CAUSES, "slippage", "charges", "pnl"]
    assert "₹0.00" in found.to_text()


def test_text_and_html_say_the_same_numbers() -> None:
    prices = feed(3, 2)
    found = divided(simulate(Churner, prices, fees=fees(), slippage="0.5%").result, prices)
    text, html = found.to_text(), found.to_html()
    assert repr(found) == text
    figures = [word for word in text.split() if "₹" in word]
    assert len(figures) > 20
    for word in figures:
        assert word in html
