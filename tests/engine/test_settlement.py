"""What an expiry settles on, in one step, and what it costs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.fees import FeeSchedule, ScheduledFees
from bestbt.engine.grid import time_of_day
from bestbt.engine.ports import ContractSpec, SettlementRule
from bestbt.engine.settlement import settlement_value
from bestbt.engine.strategy import Strategy
from bestbt.errors import DataGap, ExpiryNotFound, OrderError
from bestbt.testing import MemoryFeed, simulate
from bestbt.units import MINUTE
from tests.engine.kit import DAY, NEXT, buy, call, fills, market, script, sell

INDEX = [[100, 104, 100, 102], [102, 103, 101, 102], [102, 112, 102, 110], [110, 111, 106, 107]]


def expiring(index: Any = INDEX, right: Any = "CE", strike: float = 100) -> MemoryFeed:
    feed = MemoryFeed("NIFTY", [DAY], minutes=len(index))
    feed.add_index(index)
    feed.add_option(DAY, strike, right, [5] * len(index))
    if right == "PE":
        feed.add_option(DAY, strike + 900, "CE", [5] * len(index))
    return feed


def settled(feed: MemoryFeed, **by_bar: Any) -> tuple[float, str]:
    run = simulate(script(**(by_bar or {"b0": buy()})), feed)
    fill = run.result.fills[-1]
    assert (fill.kind, fill.reason) == ("settlement", "settlement")
    assert run.result.positions == []
    (entry,) = [e for e in run.result.log if e.kind == "settlement"]
    return fill.price, entry.values["source"]


def test_the_official_close_comes_first() -> None:
    feed = expiring()
    feed.closes["NIFTY", date(2024, 1, 1)] = 12_345
    assert settled(feed) == (23.45, "official")


def test_the_settlement_price_of_the_future_that_expires_is_the_options_value_too() -> None:
    feed = expiring()
    future = ContractSpec("future", "NIFTY", date(2024, 1, 1), lot=1)
    feed.add(future, [100.0] * len(INDEX))
    feed.settlements[future, date(2024, 1, 1)] = 11_000
    assert settled(feed) == (10.0, "official")
    feed.closes["NIFTY", date(2024, 1, 1)] = 12_345
    assert settled(feed) == (23.45, "official")


def test_without_it_the_mean_of_the_last_half_hour_is_an_estimate() -> None:
    assert sum(sum(bar) for bar in INDEX) / 16 == 104.625
    assert settled(expiring()) == (4.63, "estimated")  # halves up, on the paisa


def test_the_window_is_the_wall_clocks_last_minutes_and_live_bars_only() -> None:
    feed = expiring([*INDEX[:3], None, INDEX[3]])
    feed.market.settlement = lambda symbol, day: SettlementRule(2 * MINUTE)  # type: ignore[method-assign]
    assert settled(feed) == (8.5, "estimated")  # of the last bar alone: 434 / 4


def test_the_mean_rounds_halves_up() -> None:
    feed = expiring([[100, 100.01, 100, 100.01]])
    feed.market.settlement = lambda symbol, day: SettlementRule(MINUTE)  # type: ignore[method-assign]
    run = simulate(Strategy, feed)
    spot = run.desk.spot("NIFTY")
    value = settlement_value(feed, feed.market, spot, date(2024, 1, 1), 0)
    assert value == (10_001, "estimated")


def test_after_a_closing_auction_the_first_value_counts() -> None:
    feed = expiring()
    rule = SettlementRule(None, after=(9 * 60 + 17) * MINUTE)
    feed.market.settlement = lambda symbol, day: rule  # type: ignore[method-assign]
    assert settled(feed) == (2.0, "auction")  # the open of 09:17


def test_without_any_value_the_run_asks_for_a_daily_file() -> None:
    feed = expiring([100, 100, None, None])
    feed.market.settlement = lambda symbol, day: SettlementRule(MINUTE)  # type: ignore[method-assign]
    with pytest.raises(DataGap, match="Import the day's official closes"):
        simulate(script(b0=buy()), feed)


def test_an_index_that_begins_later_has_no_value_yet() -> None:
    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=2)
    feed.add_index([None, None, 100, 100])
    feed.add_option(DAY, 100, "CE", [5, 5])
    with pytest.raises(DataGap, match="no value to settle"):
        simulate(script(b0=buy()), feed)


def test_an_expiry_day_that_is_not_in_the_data_settles_at_the_next_bar() -> None:
    """However the run gets there: stepping, or jumping to the session's end."""
    feed = MemoryFeed("NIFTY", [DAY, "2024-01-03"], minutes=3)
    feed.add_index([100, 100, 100, [107, 109, 107, 109], 120, 130])
    feed.add_option(NEXT, 100, "CE", [5, 5, 5])
    bought = script(b0=buy())

    class Jumps(Strategy):
        def on_session_start(self) -> None:
            if self.bar == -1:
                return
            with pytest.raises(OrderError, match="it expired on 2024-01-02"):
                self.buy(call(self), lots=1)

    jumper = simulate(Jumps, feed, run=False)
    jumper.step()
    jumper.buy("NIFTY 2024-01-02 100 CE", 1)
    for run in (simulate(bought, feed), jumper.run()):
        assert fills(run)[-1] == ("09:15", -50, 7.0, "settlement", "settlement")
        assert run.result.fills[-1].bar == 3
        assert [source for _, source in run.result.estimated] == ["missing-day"]


def test_a_put_out_of_the_money_and_a_short_settle_in_the_same_step() -> None:
    feed = expiring()
    feed.add_option(DAY, 100, "PE", [5] * 4)
    feed.closes["NIFTY", date(2024, 1, 1)] = 10_300

    class Both(Strategy):
        expired: tuple[str, ...] = ()

        def on_session_start(self) -> None:
            pass

        def on_bar(self) -> None:
            if self.bar == 0:
                self.sell(self.option(100, "CE"), lots=1, sl=90)
                self.buy(self.option(100, "PE"), lots=1)

        def on_expiry(self, contract: Any) -> None:
            assert contract.is_expired
            assert not self.get_opened_positions()
            self.expired += (contract.right,)
            with pytest.raises(ExpiryNotFound):
                self.get_closest_expiry()
            with pytest.raises(OrderError, match="it expired"):
                self.buy(contract, lots=1)

    run = simulate(Both, feed)
    assert [(f.contract.right, f.qty, f.price) for f in run.result.fills[2:]] == [
        ("CE", 50, 3.0), ("PE", -50, 0.0),
    ]  # fmt: skip
    assert run.strategy.expired == ("CE", "PE")  # type: ignore[attr-defined]
    stop = run.result.orders[2]
    assert (stop.kind, stop.status, stop.reason) == ("stop", "lapsed", "contract expired")


def test_the_price_of_an_expired_contract_is_its_last_one() -> None:
    seen = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            contract = call(self)
            seen.append((contract.price, contract.is_expired, contract.state.value))

    simulate(Watch, market(5, 6, None, None, expiry=DAY, days=(DAY, NEXT)))
    assert [s[0] for s in seen] == [5, 6, 6, 6]
    assert [s[1] for s in seen] == [False, False, True, True]


@pytest.mark.parametrize(("open_", "tax"), [(buy(), 10_000 + 0), (sell(), 0)])
def test_the_tax_on_exercise_is_the_holders_and_booked_in_whole_rupees(
    open_: Any, tax: int
) -> None:
    feed = expiring()
    feed.closes["NIFTY", date(2024, 1, 1)] = 11_000  # 50 units, 10 in the money: 500
    fees = ScheduledFees(lambda *_: FeeSchedule(stt_exercise=1_250_000))  # 0.125 %: 0.625
    run = simulate(script(b0=open_), feed, fees=fees)
    books = [(p.account, p.amount, p.fill) for p in run.result.ledger if p.account == "stt"]
    assert sum(-amount for _, amount, _ in books) == tax
    if tax:
        assert books == [("stt", -6_250, 1), ("stt", -3_750, None)]


def test_coarse_bars_settle_on_the_bars_that_reach_into_the_window() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-04"], minutes=375, step=75 * MINUTE)
    feed.add_index([100, 100, 100, 100, [104, 110, 90, 96]])
    feed.add_option("2024-01-04", 90, "CE", [10] * 5)
    run = simulate(script(b0=sell()), feed)
    assert [f.price for f in run.result.fills if f.kind == "settlement"] == [10.0]  # mean 100


def test_after_a_closing_auction_a_bar_that_began_before_it_settles_on_its_close() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-04"], minutes=30, step=10 * MINUTE)
    feed.market.settlement = lambda symbol, day: SettlementRule(None, time_of_day("09:36"))
    feed.add_index([100, 100, [100, 107, 99, 103]])
    feed.add_option("2024-01-04", 90, "CE", [10] * 3)
    run = simulate(script(b0=sell()), feed)
    (settled,) = [f for f in run.result.fills if f.kind == "settlement"]
    assert (settled.price, run.result.estimated[0][1]) == (13.0, "auction")
