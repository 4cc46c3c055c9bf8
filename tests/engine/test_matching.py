"""When an order trades, where on the bar's path, and at what price."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.matching import parse_slippage
from bestbt.engine.order import Level, raw_price
from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import OrderError, UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, NEXT, buy, fills, leave, market, play, script, sell

# open, high, low, close
RISE = [10, 14, 9, 13]  # 10, 9, 14, 13
FALL = [10, 11, 5, 6]  # 10, 11, 5, 6


def test_a_market_order_trades_at_the_next_bars_open() -> None:
    assert play(market(3, RISE, 8), b0=buy()) == [("09:16", 50, 10.0, "open", "entry")]


def test_an_order_of_the_last_bar_trades_the_next_morning() -> None:
    feed = market(3, 3, 7, 8, days=(DAY, NEXT))
    assert play(feed, b1=buy()) == [("09:15", 50, 7.0, "open", "entry")]


def test_a_stop_fills_at_its_trigger_when_the_path_touches_it() -> None:
    feed = market(10, 10, [10, 10, 8, 9], 9)
    assert play(feed, b0=buy(sl=8))[1] == ("09:17", -50, 8.0, "trigger", "stop")


def test_a_stop_fills_at_the_open_of_a_bar_that_opens_beyond_it() -> None:
    assert play(market(10, 10, FALL, 4, 4), b0=buy(sl="50%"))[1:] == [
        ("09:17", -50, 5.0, "trigger", "stop")
    ]
    assert play(market(10, 10, 4, 4), b0=buy(sl="50%"))[1:] == [("09:17", -50, 4.0, "gap", "stop")]


def test_a_bar_that_opens_on_the_trigger_is_no_gap() -> None:
    assert play(market(10, 10, 5, 4), b0=buy(sl=5))[1] == ("09:17", -50, 5.0, "trigger", "stop")


def test_a_stop_works_inside_its_entrys_bar_from_the_fill_on() -> None:
    assert play(market(10, FALL, 6), b0=buy(sl=6))[1] == ("09:16", -50, 6.0, "trigger", "stop")
    # The entry trades at 9 on the way down to 5, then the path climbs: the earlier 11 is past.
    entered = sell(type="slm", trigger=9, sl=11)
    assert play(market(10, FALL, 6), b0=entered) == [("09:16", -50, 9.0, "trigger", "entry")]


def test_a_stop_already_through_at_its_entry_fires_right_there() -> None:
    assert play(market(10, RISE, 13), b0=buy(sl=12)) == [
        ("09:16", 50, 10.0, "open", "entry"),
        ("09:16", -50, 10.0, "trigger-passed", "stop"),
    ]


def test_an_entry_already_through_at_its_first_bar_fires_at_the_open() -> None:
    assert play(market(10, 12, 13), b0=buy(type="slm", trigger=11)) == [
        ("09:16", 50, 12.0, "trigger-passed", "entry")
    ]


def test_an_entry_that_gaps_later_fills_at_the_open() -> None:
    assert play(market(10, 10, 12, 13), b0=buy(type="slm", trigger=11)) == [
        ("09:17", 50, 12.0, "gap", "entry")
    ]


def test_a_stale_bar_trades_nothing() -> None:
    assert play(market(10, None, None, 11), b0=buy()) == [("09:18", 50, 11.0, "open", "entry")]
    stopped = play(market(10, 10, None, 4, 4), b0=buy(sl=8))
    assert stopped[1] == ("09:18", -50, 4.0, "gap", "stop")


def test_an_entry_waits_five_minutes_for_a_live_bar_and_is_rejected() -> None:
    rejected: list[tuple[int, str, str]] = []

    class Waits(script(b0=buy())):  # type: ignore[misc]
        def on_reject(self, order: Any) -> None:
            rejected.append((self.bar, order.status, order.reason))

    run = simulate(Waits, market(10, *[None] * 5, 11, 11))
    assert fills(run) == []
    assert rejected == [(5, "rejected", "no live price in 5 bars")]
    assert [entry.kind for entry in run.result.log] == ["rejected"]
    assert play(market(10, *[None] * 4, 11, 11), b0=buy())[0][0] == "09:20"


def test_on_a_coarser_grid_the_wait_is_one_bar() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=40, step=10 * 60 * 10**9)
    feed.add_index([100] * 4)
    feed.add_option("2024-01-04", 100, "CE", [10, None, 10, 10])
    assert play(feed, b0=buy()) == []


def test_an_exit_waits_over_the_night_until_it_trades() -> None:
    feed = market(10, 10, None, None, None, 7, 8, 8, days=(DAY, NEXT))
    assert play(feed, b0=buy(), b1=leave) == [
        ("09:16", 50, 10.0, "open", "entry"),
        ("09:16", -50, 7.0, "open", "exit"),
    ]


def test_an_entry_lapses_with_the_first_session_in_which_it_could_trade() -> None:
    feed = market(10, 10, 10, 12, 12, 12, days=(DAY, NEXT))
    run = simulate(script(b0=buy(type="slm", trigger=12)), feed)
    assert [(o.status, o.reason) for o in run.result.orders] == [("lapsed", "end of its session")]
    tonight = script(b2=buy(type="slm", trigger=12))
    assert fills(simulate(tonight, feed))[0][:3] == ("09:15", 50, 12.0)


def test_two_stops_in_one_bar_are_booked_in_path_order_not_order_of_placing() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=3)
    feed.add_index([100] * 3)
    feed.add_option(DAY, 100, "CE", [10, 10, [10, 15, 9, 10]])  # path 10, 9, 15, 10
    feed.add_option(DAY, 100, "PE", [10, 10, [14, 15, 9, 10]])  # path 14, 15, 9, 10

    def enter(s: Any, _: Any) -> None:
        s.sell(s.option(100, "CE"), 1, sl=15)
        s.sell(s.option(100, "PE"), 1, sl=15)

    run = simulate(script(b0=enter), feed)
    stops = [(f.contract.right, f.point % 4) for f in run.result.fills if f.kind == "stop"]
    assert stops == [("PE", 1), ("CE", 2)]


def test_an_order_placed_on_a_fill_works_from_the_next_bar() -> None:
    class Adds(script(b0=buy())):  # type: ignore[misc]
        def on_fill(self, fill: Any) -> None:
            if fill.id == 0:
                self.buy(fill.contract, lots=1)

    assert [f[0] for f in fills(simulate(Adds, market(10, 10, 10, 10)))] == ["09:16", "09:17"]


def test_fill_at_close_trades_at_the_close_just_seen_and_says_so() -> None:
    run = simulate(script(b0=buy(), b2=leave), market(3, 4, RISE, 8), fill_at_close=True)
    assert fills(run) == [
        ("09:15", 50, 3.0, "close", "entry"),
        ("09:17", -50, 13.0, "close", "exit"),
    ]


def test_with_fill_at_close_an_order_after_the_close_waits_for_the_next_open() -> None:
    """And time goes forward: each bar is shown once."""
    bars = []

    class Adds(script(b0=buy())):  # type: ignore[misc]
        def on_bar(self) -> None:
            bars.append(self.bar)
            super().on_bar()

        def on_fill(self, fill: Any) -> None:
            if fill.id == 0:
                self.buy(fill.contract, lots=1)

    run = simulate(Adds, market(3, 4, 5), fill_at_close=True)
    assert [(f[0], f[3]) for f in fills(run)] == [("09:15", "close"), ("09:16", "open")]
    assert bars == [0, 1, 2]


# Slippage


@pytest.mark.parametrize(
    ("rule", "seen", "paid"),
    [
        (0, 100, 100.0),
        (None, 100, 100.5),  # 0.5 %
        (None, 2, 2.05),  # a tick at least
        (None, 101, 101.5),  # 50.5 paise: to the tick, 50
        ("2ticks", 100, 100.1),
        ("1%", 100, 101.0),
        (lambda order, price: price / 50, 100, 102.0),
    ],
)
def test_slippage_of_a_market_buy(rule: Any, seen: float, paid: float) -> None:
    got = play(market(seen, seen, seen, seen), slippage=rule, b1=buy())
    assert got[0][2] == pytest.approx(paid)


def test_slippage_is_twice_that_in_the_first_minute_and_for_stops() -> None:
    feed = market(100, 100, 100, [100, 100, 80, 90], 90, 90, days=(DAY, NEXT))
    first, stopped = play(feed, slippage=None, b2=buy(sl=90))
    assert first[2] == 101.0  # the open of the next session: 2 × 0.5 %
    assert stopped[2] == 90 - 2 * 0.9
    later = play(market(100, 100, 100, [100, 100, 80, 90]), slippage=None, b1=buy(sl=90))
    assert [f[2] for f in later] == [100.5, 90 - 0.9]


def test_slippage_is_kept_beside_the_price_and_nothing_sells_below_a_tick() -> None:
    run = simulate(script(b0=sell()), market(0.05, 0.1, 0.1), slippage="3ticks")
    (fill,) = run.result.fills
    assert (fill.raw_price, fill.raw_slippage) == (5, 5)


@pytest.mark.parametrize("rule", ["much", -1, "-1%", "1.5ticks", "1/0%", 7])
def test_a_slippage_that_is_not_understood_is_refused(rule: Any) -> None:
    with pytest.raises(UsageError, match=r"slippage=.*is not understood"):
        parse_slippage(rule)


def test_a_negative_slippage_of_a_function_is_refused() -> None:
    with pytest.raises(UsageError, match="zero or more"):
        play(market(10, 10, 10), slippage=lambda order, price: -1, b0=buy())


# Levels


@pytest.mark.parametrize(("price", "raw"), [(1.025, 105), (1.02, 100), (1.03, 105), (0.075, 10)])
def test_prices_round_to_the_tick_halves_up(price: float, raw: int) -> None:
    assert raw_price(price, 5, 100) == raw


@pytest.mark.parametrize(
    ("text", "side", "raw"),
    [
        ("25%", 1, 7_500),
        ("25%", -1, 12_500),
        ("30pts", 1, 7_000),
        ("0.025pts", -1, 10_005),  # 2.5 paise: half a tick, up
        ("150%", 1, 5),
        (90.5, 1, 9_050),
    ],
)
def test_a_relative_stop_is_measured_from_the_fill(text: Any, side: int, raw: int) -> None:
    assert Level.parse(text).away(10_000, side, 5, 100) == raw


@pytest.mark.parametrize("text", ["abc%", "-5%", "0pts", 0, -1, float("nan"), True, None])
def test_what_is_no_stop_is_refused(text: Any) -> None:
    with pytest.raises(OrderError, match="is no level"):
        Level.parse(text)


def test_a_relative_stop_is_measured_from_the_fill_slippage_included() -> None:
    run = simulate(script(b1=sell(sl="10%")), market(100, 100, 100, 100), slippage="10ticks")
    assert [o.raw_trigger for o in run.result.orders if o.kind == "stop"] == [10_945]  # 99.5 × 1.1


def test_the_default_slippage_of_a_future_is_a_share_fit_for_an_underlying() -> None:
    spec = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)
    feed = MemoryFeed("NIFTY", [DAY], minutes=4)
    feed.add_index([20_000] * 4)
    feed.add(spec, [20_000] * 4)

    class Buys(Strategy):
        @at("09:17")
        def enter(self) -> None:
            self.buy(self.futures(), lots=1)

    (fill,) = simulate(Buys, feed, slippage=None).result.fills
    assert (fill.price, fill.slippage) == (20_004.0, 4.0)  # 0.02 %, not the 100 points of 0.5 %
