"""Playing to events and conditions, standing still at them, and rewinding to them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, NEXT, buy, fills, leave, market, script, sell

PATH = (5, 6, 7, 8, 9, 10, 11, 12)
TRADES = {"b1": buy(sl=3), "b4": leave, "b6": sell()}


def ready(feed: MemoryFeed | None = None, **by_bar: Any) -> Simulation:
    feed = feed or market(*PATH, days=(DAY, NEXT))
    return simulate(script(**(by_bar or TRADES)), feed, run=False)


def stands(run: Simulation, event: str) -> list[int]:
    """Return the bars at which a run comes to rest that is sent to an event again and again."""
    bars = []
    while not run.finished:
        bars.append(run.run_to(event).bar)
    return bars


def test_a_condition_is_met_in_the_bar_in_which_it_becomes_true() -> None:
    held = "get_active_position() is not None"
    assert stands(ready(), held) == [2, 7]  # sold again at 7: the last bar
    assert stands(ready(), "contract('NIFTY 2024-01-04 100 CE').price >= 7") == [2, 7]
    assert stands(ready(), "bar % 3 == 1 and self.bar > 1") == [4, 7]
    assert stands(ready(), "pnl > 60") == [4, 7]  # 50 units bought at 7: two points up is 100


def test_a_condition_that_holds_where_the_run_stands_must_become_true_anew() -> None:
    run = ready().run_to("bar >= 2")
    assert run.bar == 2
    assert run.run_to("bar >= 2").finished


def test_every_event_is_found_forwards_and_backwards() -> None:
    def block(s: Strategy, _: Any) -> None:
        s.block_for_day()

    feed = market(9, 9, 9, 2, 9, 9, 9, 9, days=(DAY, NEXT), expiry=NEXT)
    by_bar = {"b1": buy(sl=3), "b4": block}
    found = {"order": [1, 2], "fill": [2, 3], "stop": [3], "block": [4], "session": [3, 7]}
    found["expiry"] = [7]
    for event, bars in found.items():
        run = ready(feed, **by_bar)
        at = stands(run, event)
        assert [b for b in at if b in bars] == bars, event
        assert at in (bars, [*bars, 7]), event
        back = []
        while run.bar >= 0:
            back.append(run.back_to(event).bar)
        assert back == [b for b in reversed(bars) if b < 7] + [-1], event
        assert run.run().result.hash == ready(feed, **by_bar).run().result.hash


def test_a_run_comes_to_rest_at_its_breakpoints_and_goes_on() -> None:
    run = ready()
    run.break_at("fill")
    run.break_at("bar == 4")
    run.break_at("fill")
    assert run.breakpoints == ["fill", "bar == 4"]
    seen = []
    while not run.finished:
        run.run()
        seen.append((run.bar, run.met, run.arrived))
    assert seen == [(2, "fill", True), (4, "bar == 4", True), (5, "fill", True), (7, "fill", True)]
    assert run.result.hash == ready().run().result.hash


def test_an_aim_is_for_one_run() -> None:
    run = ready()
    run.aim("stop")
    run.run(bars=2)
    assert (run.bar, run.arrived) == (1, False)
    run.aim(3)
    assert run.run().bar == 3
    assert run.arrived
    assert run.run().finished
    assert not run.arrived


def test_a_condition_is_only_looked_for_forwards() -> None:
    run = ready().run_to(5)
    with pytest.raises(UsageError, match="conditions are only looked for forwards"):
        run.back_to("pnl < 3")
    assert run.bar == 5


def test_go_to_goes_either_way() -> None:
    run = ready()
    assert [run.go_to(b).bar for b in (5, 2, 2, 7)] == [5, 2, 2, 7]
    assert run.go_to("2024-01-01 09:17").bar == 1
    assert run.run().result.hash == ready().run().result.hash


def test_what_was_done_by_hand_can_be_taken_back() -> None:
    run = ready().run_to(2)
    run.sell("NIFTY 2024-01-04 100 CE", 2)
    run.step()
    run.block_for_day()
    run.step()
    run.undo(0)
    assert run.bar == 4
    assert [i.call for i in run.interventions] == ["block_for_day()"]
    assert fills(run) == fills(ready().run_to(4))
    run.undo(0)
    assert run.run().result.hash == ready().run().result.hash
    with pytest.raises(UsageError, match=r"undo\(0\): 0 things were done by hand"):
        run.undo(0)


LIMITED = "NIFTY 2024-01-04 100 CE"


def test_an_order_named_by_hand_is_found_again_when_one_before_it_is_taken_back() -> None:
    run = ready().run_to(1)
    run.sell(LIMITED, 3, type="limit", price=10_000)
    run.buy(LIMITED, 1, type="limit", price=1)
    first, second = run.desk.orders[-2:]
    run.modify_order(second, price=2)
    run.step()
    run.cancel_order(second.id)
    run.undo(0)
    kept = run.desk.orders[first.id]
    assert (kept.id, kept.qty > 0, kept.status) == (first.id, True, "cancelled")
    assert [i.call for i in run.interventions] == [
        f"buy('{LIMITED}', 1, type='limit', price=1)",
        f"modify_order({first.id}, price=2)",
        f"cancel_order({first.id})",
    ]
    assert not [line for line in run.desk.log if line.kind == "refused"]


def test_an_order_named_by_hand_that_is_not_placed_any_more_is_refused() -> None:
    run = ready().run_to(2)
    run.sell(LIMITED, 3, type="limit", price=10_000)
    run.buy(LIMITED, 1, type="limit", price=1)
    run.cancel_order(run.desk.orders[-2])
    run.undo(0)
    assert run.desk.orders[-1].status == "working", "another order must not be hit"
    said = [line.text for line in run.desk.log if line.kind == "refused"]
    assert len(said) == 1
    assert said[0].startswith("cancel_order: the order that was meant, then number ")


def test_of_two_orders_that_are_alike_the_one_that_was_meant_is_found() -> None:
    def placed(lots: int) -> int:
        run.buy(LIMITED, lots, type="limit", price=1)
        return run.desk.orders[-1].id

    run = ready().run_to(1)
    first, second, third = placed(3), placed(1), placed(1)
    run.cancel_order(second)
    run.cancel_order(third)
    run.undo(0)
    found = [i.call for i in run.interventions[2:]]
    assert found == [f"cancel_order({first})", f"cancel_order({second})"]
    assert {run.desk.orders[i].status for i in (first, second)} == {"cancelled"}
    run.undo(1)  # the second of the twins: what cancelled it must not hit the first
    run.undo(1)  # what cancelled the first
    assert run.desk.orders[first].status == "working"
    assert [i.call for i in run.interventions[1:]] == [f"cancel_order({second})"]
    assert [line.text[:50] for line in run.desk.log if line.kind == "refused"] == [
        "cancel_order: the order that was meant, then numbe"
    ]


class Lined(Strategy):
    """Buys on one line, in a helper."""

    def on_bar(self) -> None:
        if self.bar in (1, 5):
            self.enter()

    def enter(self) -> None:
        self.buy(self.contract("NIFTY 2024-01-04 100 CE"), lots=1)


def test_a_run_comes_to_rest_at_a_line_of_the_strategy() -> None:
    line = Lined.enter.__code__.co_firstlineno + 1
    feed = market(*PATH, days=(DAY, NEXT))
    run = simulate(Lined, feed, run=False)
    assert stands(run, f"line {line}") == [1, 5, 7]
    assert sys.gettrace() is None
    assert run.result.hash == simulate(Lined, feed).result.hash
    run = simulate(Lined, feed, run=False)
    run.break_at(f"line {line}")
    assert (run.run().bar, run.met) == (1, f"line {line}")
    assert sys.gettrace() is None


def test_a_line_that_runs_nothing_or_is_watched_already_is_refused() -> None:
    run = simulate(Lined, market(*PATH, days=(DAY, NEXT)), run=False)
    line = Lined.enter.__code__.co_firstlineno + 1
    with pytest.raises(UsageError, match=f"line 99999: the strategy runs no code there.*{line}"):
        run.break_at("line 99999")
    if not hasattr(sys, "monitoring"):
        sys.settrace(lambda *_: None)
        try:
            with pytest.raises(UsageError, match="a debugger is attached"):
                run.run_to(f"line {line}")
        finally:
            sys.settrace(None)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("fil", "'fil' is no event. Did you mean 'fill'"),
        ("pnl <", "cannot be read as a condition: invalid syntax"),
        ("todays_pnl < 3", "the strategy has no 'todays_pnl'. Did you mean 'today_pnl'"),
        ("a = 3", "cannot be read as a condition"),
        ("pnl < 'x'", "condition .* at 2024-01-01 09:16: '<' not supported"),
        (3.5, "give a bar, a time or an event"),
    ],
)
def test_what_is_no_event_is_refused(event: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ready().run_to(event)


@settings(deadline=None)
@given(st.lists(st.integers(-1, 7), max_size=8))
def test_wherever_a_run_is_taken_it_comes_out_the_same(bars: list[int]) -> None:
    run = ready()
    for bar in bars:
        run.go_to(bar) if bar >= 0 else run.back_to("session")
    if not run.finished:
        run.run()
    assert run.result.hash == ready().run().result.hash
