"""What a reader of the engine found: each test is a promise of the rules that did not hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from bestbt.engine.order import Buy, Order, Sell
from bestbt.engine.ports import ContractSpec
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import BestbtError, NotRepeatable, OrderError
from bestbt.testing import MemoryFeed, simulate

MINUTES, DAYS = 30, ("2024-01-01", "2024-01-02")
EXPIRIES = ("2024-01-02", "2024-01-04", "2024-01-11")
NEAR, NEXT, FAR = (f"NIFTY {day} 20000 CE" for day in EXPIRIES)
OTHER = "NIFTY 2024-01-02 20100 CE"
Plan = dict[int, Callable[[Strategy], Any]]


def world(**prices: list[Any]) -> MemoryFeed:
    """Two sessions of 30 minutes; every option costs 100 unless given by expiry and strike."""
    feed = MemoryFeed("NIFTY", days=DAYS, minutes=MINUTES)
    n = feed.grid.n
    feed.add_index([20000] * n)
    for expiry in EXPIRIES:
        for strike in (20000, 20100):
            given = prices.get(f"e{expiry[-2:]}_{strike}", [100])
            feed.add_option(expiry, strike, "CE", given + [given[-1]] * (n - len(given)))
    return feed


def play(
    plan: Plan, feed: MemoryFeed | None = None, run: bool = True, **options: Any
) -> Simulation:
    """Run what is planned by bar: after each of those bars one thing is done."""

    class Planned(Strategy):
        def on_bar(self) -> None:
            if self.bar in plan:
                plan[self.bar](self)

    return simulate(Planned, feed or world(), run=run, **options)


def held(simulation: Simulation) -> dict[str, int]:
    return {c.name: p.qty for c, p in simulation.desk.portfolio.positions.items()}


def position(s: Strategy) -> Any:
    found = s.get_active_position()
    assert found is not None
    return found


STALE = [100, 100, 100] + [None] * 57  # three bars, then nothing


# Rolls


def test_a_ladder_is_rolled_rung_by_rung() -> None:
    plan: Plan = {
        1: lambda s: [s.sell(s.contract(name), lots=1) for name in (NEAR, NEXT)],
        3: lambda s: [s.roll(p) for p in s.get_opened_positions()],
    }
    assert held(play(plan, run=False).step(8)) == {NEXT: -50, FAR: -50}


def test_a_waiting_roll_can_be_cancelled_with_everything_else() -> None:
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: s.roll(s.contract(NEAR)),
        4: lambda s: s.cancel_all(),
    }
    simulation = play(plan, world(e04_20000=STALE), run=False).step(12)
    assert {o.status for o in simulation.desk.orders[1:]} == {"cancelled"}
    assert held(simulation) == {NEAR: -50}


def test_a_roll_within_an_expiry_lapses_when_it_settles() -> None:
    plan: Plan = {
        31: lambda s: s.sell(s.contract(NEAR), lots=1),
        56: lambda s: s.roll(s.contract(NEAR), to=s.contract(OTHER)),
    }
    simulation = play(plan, world(e02_20100=STALE))
    assert [o.status for o in simulation.desk.orders[1:3]] == ["lapsed", "cancelled"]


def test_a_roll_that_is_kept_unfilled_is_logged_and_rejected_aloud() -> None:
    rejected: list[Order] = []

    class Keeper(Strategy):
        def on_bar(self) -> None:
            if self.bar == 1:
                self.sell(self.contract(NEAR), lots=1)
            if self.bar == 3:
                self.roll(self.contract(NEAR), if_unfilled="keep")

        def on_reject(self, order: Order) -> None:
            rejected.append(order)

    simulation = simulate(Keeper, world(e04_20000=STALE), run=False).step(15)
    assert held(simulation) == {NEAR: -50}
    assert [o.id for o in rejected] == [2]
    assert any(line.kind in ("roll-incomplete", "rejected") for line in simulation.desk.log)


def test_taking_a_roll_back_keeps_the_position() -> None:
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: s.cancel_order(s.roll(s.contract(NEAR))),  # type: ignore[arg-type]
    }
    assert held(play(plan, world(e04_20000=STALE), run=False).step(10)) == {NEAR: -50}


def test_a_stop_that_was_modified_to_a_price_does_not_travel_as_percent() -> None:
    plan: Plan = {
        1: lambda s: s.sell(s.contract(FAR), lots=1, sl="50%"),
        3: lambda s: s.modify_order(1, trigger=110),
        5: lambda s: s.roll(s.contract(FAR), to="NIFTY 2024-01-11 20100 CE"),
    }
    simulation = play(plan, run=False).step(10)
    assert [o for o in simulation.desk.orders if o.status == "working"] == []


def test_a_roll_to_a_strike_that_is_not_listed_there_ends_no_run() -> None:
    feed = MemoryFeed("NIFTY", days=DAYS, minutes=MINUTES)
    feed.add_index([20000] * 60)
    feed.add_option("2024-01-02", 20000, "CE", [100] * 60)
    feed.add_option("2024-01-04", 20100, "CE", [100] * 60)
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: s.roll(s.contract(NEAR)),
    }
    assert next(line.kind for line in play(plan, feed).desk.log) == "refused"


def test_while_a_block_is_on_a_roll_with_nothing_listed_behind_is_an_exit_too() -> None:
    feed = MemoryFeed("NIFTY", days=DAYS, minutes=MINUTES)
    feed.add_index([20000] * 60)
    feed.add_option("2024-01-02", 20000, "CE", [100] * 60)
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: (s.block_for_day(), s.roll(s.contract(NEAR))),
    }
    assert held(play(plan, feed, run=False).step(8)) == {}


def test_the_kind_of_expiry_is_checked_wherever_it_is_said() -> None:
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: s.roll(s.contract(NEAR), to=s.contract(FAR), expiry="fortnightly"),
    }
    with pytest.raises(OrderError, match="fortnightly"):
        play(plan)


def test_a_flip_ends_the_chain_of_a_roll() -> None:
    seen: list[float] = []
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=1),
        3: lambda s: s.roll(s.contract(NEAR)),
        6: lambda s: s.buy(s.contract(NEXT), lots=2),
        9: lambda s: seen.append(position(s).get_pnl(rolled=True)),
    }
    play(plan, world(e02_20000=[100] * 4 + [80]))
    assert seen == [0.0]


# Positions


def test_nothing_is_added_to_a_position_that_is_closed() -> None:
    kept: list[Any] = []
    plan: Plan = {
        1: lambda s: s.buy(s.contract(NEAR), lots=1),
        3: lambda s: (kept.append(position(s)), s.exit_all()),
        6: lambda s: kept[0].add(1),
    }
    with pytest.raises(OrderError):
        play(plan)


def _half_undone(after: Callable[[Strategy], Any]) -> Simulation:
    """Two lots held, a third bought by a combo that is undone while nothing trades."""
    plan: Plan = {
        1: lambda s: s.buy(s.contract(NEAR), lots=2),
        2: lambda s: s.combo([Buy(s.contract(NEAR), 1), Sell(s.contract(OTHER), 1)]),
        9: after,
    }
    gap = [100] * 8 + [None] * 4 + [100]
    return play(plan, world(e02_20000=gap, e02_20100=STALE), run=False).step(20)


@pytest.mark.parametrize("verb", ["exit", "exit_all"])
def test_an_exit_leaves_nothing_though_a_part_is_leaving_already(verb: str) -> None:
    simulation = _half_undone(
        lambda s: s.exit_all() if verb == "exit_all" else s.exit(s.contract(NEAR))
    )
    assert held(simulation) == {}


def test_a_combo_against_what_is_held_is_undone_as_well() -> None:
    plan: Plan = {
        1: lambda s: s.sell(s.contract(NEAR), lots=2),
        3: lambda s: s.combo([Buy(s.contract(NEAR), 1), Sell(s.contract(OTHER), 1)]),
    }
    assert held(play(plan, world(e02_20100=STALE), run=False).step(20)) == {NEAR: -100}


@pytest.mark.parametrize("verb", ["add", "set_sl", "set_target"])
def test_a_contract_has_the_verbs_of_its_position(verb: str) -> None:
    contract = play({}, run=False).step(2).strategy.contract(NEAR)
    assert hasattr(contract, verb)


# By hand, and again


def test_a_replay_of_another_size_is_not_repeatable() -> None:
    made: list[int] = []

    class Growing(Strategy):
        def init(self) -> None:
            made.append(1)

        def on_bar(self) -> None:
            if self.bar == 2:
                self.sell(self.contract(NEAR), lots=len(made))

    simulation = simulate(Growing, world(), run=False).step(8)
    with pytest.raises(NotRepeatable):
        simulation.back(2)


def test_an_order_of_another_run_is_not_cancelled_by_its_number() -> None:
    plan: Plan = {1: lambda s: s.buy(s.contract(NEAR), lots=1, type="limit", price=50)}
    one, other = (play(plan, run=False).step(5) for _ in range(2))
    with pytest.raises(BestbtError):
        one.cancel_order(other.desk.orders[0])
    old = one.desk.orders[0]
    one.back(1)
    with pytest.raises(BestbtError):
        one.cancel_order(old)


def test_what_was_done_later_does_not_end_a_run_that_went_another_way() -> None:
    simulation = play({}, run=False).step(5)
    simulation.buy(NEAR, 1, type="limit", price=50)
    simulation.step(5)
    simulation.cancel_order(0)
    simulation.step(3)
    simulation.back(5)
    simulation.cancel_order(0)
    assert simulation.run().finished


def test_an_order_good_till_today_said_after_the_close_is_not_good_tomorrow() -> None:
    simulation = play({}, run=False).run_to("session")
    try:
        simulation.buy(FAR, 1, type="limit", price=120, tif="gtd", until=date(2024, 1, 1))
    except OrderError:
        return
    assert simulation.run().desk.portfolio.fills == []


def test_nothing_is_ordered_by_hand_in_a_bar_that_is_half_played() -> None:
    def fails(_: Strategy) -> None:
        raise RuntimeError("half played")

    simulation = play({1: fails}, run=False)
    with pytest.raises(RuntimeError):
        simulation.run()
    with pytest.raises(BestbtError):
        simulation.buy(FAR, 1)


# Nonsense


class _Asked(Strategy):
    @at("09:17")
    def enter(self) -> None:
        """Do nothing: the test asks."""


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda s, c: s.buy(c, lots=1, tag=["am"]), id="tag list"),
        pytest.param(lambda s, c: s.buy(c, lots=1, tag=5), id="tag number"),
        pytest.param(lambda s, c: s.buy(c, lots=1, trail="1e18pts"), id="trail"),
        pytest.param(lambda s, c: s.buy(c, lots=10**20), id="lots"),
        pytest.param(lambda s, c: s.buy(c, lots=1, sl=np.array([1, 2])), id="sl array"),
        pytest.param(
            lambda s, c: s.buy(
                c, lots=1, type="limit", price=9, tif="gtd", until=datetime(2024, 1, 4, 10)
            ),
            id="until datetime",
        ),
        pytest.param(lambda s, c: s.combo(None), id="combo None"),
        pytest.param(
            lambda s, c: s.combo([Buy(c, 1), Sell(s.contract(OTHER), 1)], tag=5), id="combo tag"
        ),
        pytest.param(lambda s, c: s.combo(c), id="combo contract"),
        pytest.param(lambda s, c: s.get_orders("open"), id="status"),
        pytest.param(lambda s, c: s.option("x", "CE"), id="strike text"),
        pytest.param(lambda s, c: s.option(None, "CE"), id="strike None"),
        pytest.param(lambda s, c: s.get_weekly_expiry(None), id="weekly None"),
        pytest.param(lambda s, c: s.get_monthly_expiry(0, after="2024-01-04"), id="after text"),
        pytest.param(lambda s, c: s.get_atm("CE", max_age=None), id="max_age None"),
        pytest.param(lambda s, c: s.get_atm("CE", min_oi="1000"), id="min_oi text"),
    ],
)
def test_nonsense_is_refused_when_it_is_said(ask: Callable[[Any, Any], Any]) -> None:
    strategy = simulate(_Asked, world(), run=False).step(3).strategy
    with pytest.raises(BestbtError):
        ask(strategy, strategy.contract(NEAR))


def test_an_id_out_of_a_table_is_an_id() -> None:
    plan: Plan = {1: lambda s: s.buy(s.contract(NEAR), lots=1, type="limit", price=50)}
    simulation = play(plan, run=False).step(3)
    assert simulation.strategy.cancel_order(np.int64(0)).status == "cancelled"  # type: ignore[arg-type]


def test_the_side_of_a_leg_cannot_be_given() -> None:
    strategy = simulate(_Asked, world(), run=False).step(3).strategy
    with pytest.raises(TypeError):
        Buy(strategy.contract(NEAR), 1, -1)  # type: ignore[call-arg]


# What is to come


def test_a_strategy_reaches_no_array_of_all_bars() -> None:
    contract = simulate(_Asked, world(), run=False).step(3).strategy.contract(NEAR)
    assert not hasattr(contract, "columns")


def test_a_future_is_not_known_before_it_is_listed() -> None:
    feed = world()
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50), [None] * 40 + [20100] * 20)
    strategy = simulate(_Asked, feed, run=False).step(3).strategy
    with pytest.raises(BestbtError):
        strategy.contract("NIFTY 2024-01-25 FUT")
