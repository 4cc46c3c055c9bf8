"""Positions are first in, first out; exits only ever reduce; stops shrink with their entries."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.costing import AverageCost
from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.testing import simulate
from tests.engine.kit import DAY, NEXT, buy, call, fills, leave, market, play, script, sell

_trades = st.lists(
    st.tuples(st.integers(-3, 3).filter(bool), st.integers(1, 50)), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_trades)
def test_realized_profit_is_that_of_a_list_of_single_units(trades: list[tuple[int, int]]) -> None:
    class Trades(Strategy):
        def on_bar(self) -> None:
            if self.bar < len(trades):
                lots = trades[self.bar][0]
                (self.buy if lots > 0 else self.sell)(call(self), lots=abs(lots))

    run = simulate(Trades, market(7, *[p for _, p in trades], 9))
    held: list[tuple[int, int]] = []  # (side, price), one for each unit
    realized = 0
    for lots, price in trades:
        side = 1 if lots > 0 else -1
        for _ in range(50 * abs(lots)):
            if held and held[0][0] != side:
                was, entry = held.pop(0)
                realized += was * (price - entry)
            else:
                held.append((side, price))
    books = run.desk.portfolio
    assert books.realized == realized * 10_000
    assert sum(p.qty for p in run.result.positions) == sum(side for side, _ in held)
    assert books.unrealized == sum(side * (9 - price) for side, price in held) * 10_000
    if held:
        (position,) = run.result.positions
        average = sum(price for _, price in held) / len(held)
        assert abs(position.entry_price - average) < 1e-9
        assert (position.side, position.lots) == (
            ("long" if held[0][0] > 0 else "short"), len(held) // 50,
        )  # fmt: skip


def test_an_exit_is_cut_to_the_position_and_cancelled_when_it_is_flat() -> None:
    def both(s: Any, c: Any) -> None:
        s.sell(c, lots=1)  # an order of its own, placed first
        s.exit(c)

    run = simulate(script(b0=buy(lots=2), b1=both), market(5, 5, 5, 5, 5))
    assert [f[1] for f in fills(run)] == [100, -50, -50]
    flat = simulate(script(b0=buy(), b1=both), market(5, 5, 5, 5, 5))
    assert [f[1] for f in fills(flat)] == [50, -50]
    assert flat.result.orders[2].status == "cancelled"


def test_two_calls_of_exit_are_one_order() -> None:
    assert play(market(5, 5, None, 5, 5), b0=buy(), b1=leave, b2=leave)[1:] == [
        ("09:18", -50, 5.0, "open", "exit")
    ]


def test_an_exit_takes_the_stop_with_it() -> None:
    run = simulate(script(b0=buy(sl=4), b1=leave), market(5, 5, 5, 3, 3))
    assert [f[4] for f in fills(run)] == ["entry", "exit"]
    assert [(o.kind, o.status) for o in run.result.orders] == [
        ("entry", "filled"), ("stop", "cancelled"), ("exit", "filled"),
    ]  # fmt: skip


def test_a_stop_closes_only_its_own_entrys_units() -> None:
    feed = market(10, 10, 10, [10, 10, 8, 8], [8, 8, 5, 5])
    assert play(feed, b0=buy(sl=6), b1=buy(lots=2, sl=9))[2:] == [
        ("09:18", -100, 9.0, "trigger", "stop"),
        ("09:19", -50, 6.0, "trigger", "stop"),
    ]


def test_selling_what_is_held_shrinks_the_oldest_entrys_stop() -> None:
    """First in, first out: the first entry is closed, and its stop with it."""
    feed = market(10, 10, 10, 10, [10, 10, 5, 5])
    got = play(feed, b0=buy(sl=9), b1=buy(sl=7), b2=sell())
    assert got[3:] == [("09:19", -50, 7.0, "trigger", "stop")]


def test_an_order_through_zero_opens_the_other_side_with_a_stop_of_what_is_open() -> None:
    feed = market(10, 10, 10, [10, 14, 10, 14], 14)
    run = simulate(script(b0=buy(sl=8), b1=sell(lots=3, sl=13)), feed)
    assert [(f[1], f[4]) for f in fills(run)] == [(50, "entry"), (-150, "entry"), (100, "stop")]
    assert [(o.kind, o.status, o.qty) for o in run.result.orders][1] == ("stop", "cancelled", -50)


def test_exit_all_closes_everything_and_cancels_waiting_entries() -> None:
    def enter(s: Any, c: Any) -> None:
        s.buy(c, lots=1)
        s.buy(c, lots=1, type="slm", trigger=20)

    run = simulate(script(b0=enter, b1=lambda s, c: s.exit_all()), market(5, 5, 5, 30))
    assert [(f[1], f[4]) for f in fills(run)] == [(50, "entry"), (-50, "exit")]
    assert [o.reason for o in run.result.orders if o.status == "cancelled"] == ["exit_all"]


def test_what_a_strategy_reads_of_its_positions() -> None:
    seen: dict[int, Any] = {}

    class Watch(script(b0=buy(lots=2, tag="x"), b2=leave)):  # type: ignore[misc]
        def on_bar(self) -> None:
            super().on_bar()
            held = self.get_active_position()
            seen[self.bar] = (
                self.is_position_opened(call(self)),
                None if held is None else (held.qty, held.tag, held.get_pnl()),
                self.get_realized_pnl(),
                self.get_unrealized_pnl(call(self)),
                self.balance - 1_000_000,
                self.equity - 1_000_000,
            )

    simulate(Watch, market(5, 6, 8, 9))
    assert seen == {
        0: (False, None, 0, 0, 0, 0),
        1: (True, (100, "x", 0), 0, 0, -600, 0),
        2: (True, (100, "x", 200), 0, 200, -600, 200),
        3: (False, None, 300, 0, 300, 300),
    }


def test_todays_profit_contains_the_overnight_gap() -> None:
    seen: list[tuple[float, ...]] = []

    class Watch(script(b0=buy())):  # type: ignore[misc]
        def on_bar(self) -> None:
            super().on_bar()
            seen.append((self.today_pnl, self.this_weeks_pnl, self.this_month_pnl))

    days = ("2024-01-31", "2024-02-01", "2024-02-05")  # Wednesday, Thursday, Monday
    simulate(Watch, market(10, 10, 12, 13, 20, 20, days=days, expiry="2024-02-29"))
    assert seen == [
        (0, 0, 0), (0, 0, 0),
        (100, 100, 100), (150, 150, 150),
        (350, 350, 500), (350, 350, 500),
    ]  # fmt: skip


def test_what_is_open_at_the_end_stays_open_and_marked() -> None:
    run = simulate(script(b0=buy()), market(5, 5, 8, 9, days=(DAY, NEXT)))
    (position,) = run.result.positions
    assert position.get_pnl() == 200
    assert run.result.closed[-1] == (3, 10_000_000_000 + 200 * 10_000)


def test_excursions_are_those_of_the_bars_since_the_entry() -> None:
    seen: dict[int, tuple[float, float]] = {}

    def look(s: Any, c: Any) -> None:
        seen[s.bar] = (c.position.mae, c.position.mfe)

    # open, high, low, close; the 200 lies before the entry
    prices = [[100, 200, 100, 100], 100, [101, 104, 97, 100], 100, [100, 100, 100, 100]]
    simulate(script(b0=buy(), b1=look, b2=look, b3=look), market(*prices))
    assert seen == {1: (0.0, 0.0), 2: (-150.0, 200.0), 3: (-150.0, 200.0)}
    simulate(script(b0=sell(), b2=look), market(*prices))
    assert seen[2] == (-200.0, 150.0)


def test_greeks_are_those_of_its_units() -> None:
    spec = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)
    feed = market(1, 1, 1)
    feed.add(spec, [100, 100, 100])
    run = simulate(script(b0=lambda s, _: s.sell(s.futures(), 2)), feed)
    (position,) = run.result.positions
    assert (position.delta, position.gamma, position.theta, position.vega) == (-100, 0, 0, 0)


AVERAGE: list[Any] = [buy(tag="a"), buy(tag="a"), buy(tag="b"), sell(), sell(), sell()]


def test_at_average_cost_units_of_a_tag_have_one_price() -> None:
    prices = [1, 10, 20, 60, 40, 50, 70]  # each order trades at the next
    actions = {f"b{i}": do for i, do in enumerate(AVERAGE)}
    run = simulate(script(**actions), market(*prices), cost="average", run=False)
    run.step(6)
    (held,) = run.result.positions
    assert (held.qty, held.tag) == (50, "b"), "the oldest leave first"
    closed = [(m.entry.tag, m.entry_price, m.exit.price) for m in run.result.matches]
    assert closed == [("a", 15.0, 40.0), ("a", 15.0, 50.0)]
    pnl = run.strategy.get_realized_pnl
    assert (pnl(tag="a"), pnl(tag="b"), pnl()) == (3000.0, 0.0, 3000.0)
    assert run.strategy.get_unrealized_pnl(tag="b") == held.get_pnl() - 3000.0 == -500.0
    run.run()
    assert [m.raw_pnl for m in run.result.matches] == [12_500_000, 17_500_000, 5_000_000]


def test_what_an_average_cannot_divide_stays_with_what_is_held() -> None:
    sums = AverageCost()
    (fill,) = simulate(script(b0=buy()), market(1, 1)).result.fills
    sums.add(fill, 3, 10)
    assert [sums.take(fill, 1), sums.take(fill, 1), sums.take(fill, 1)] == [3, 4, 3]
    sums.add(fill, -2, -7)
    assert [sums.take(fill, -1), sums.take(fill, -1)] == [-4, -3]
    assert sums.held("") == (0, 0)


def test_a_stop_at_cost_is_at_the_average_of_what_is_left() -> None:
    def at_cost(s: Any, c: Any) -> None:
        s.get_active_position(c).set_sl("cost")

    prices = 1, 10, 20, 30, 30, 30
    for cost, level in (("fifo", 20.0), ("average", 15.0)):
        day = script(b0=buy(), b1=buy(), b2=sell(), b3=at_cost)
        run = simulate(day, market(*prices), cost=cost)
        assert run.result.orders[-1].trigger == level


def test_another_way_to_count_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'average'"):
        simulate(script(), market(1, 1), cost="avrage")
