"""Run, step, run_to, back, and a hand on a paused run."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest

from bestbt.engine.order import Buy, Sell
from bestbt.engine.ports import ContractSpec
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import NotRepeatable, StaleHandle, UsageError
from bestbt.testing import MemoryFeed, simulate
from bestbt.units import MINUTE
from tests.engine.kit import DAY, NEXT, buy, call, fills, leave, market, script, sell

NAME = "NIFTY 2024-01-04 100 CE"
PATH = (5, 6, 7, 8, 9, 10, 11, 12)
TRADES = {"b1": buy(sl=3), "b4": leave, "b6": sell()}


def ready(**by_bar: Any) -> Simulation:
    return simulate(script(**(by_bar or TRADES)), market(*PATH, days=(DAY, NEXT)), run=False)


def test_step_plays_bars_and_stops_at_the_end() -> None:
    run = ready()
    assert run.bar == -1
    assert run.step().bar == 0
    assert run.step(4).bar == 4
    assert run.step(99).bar == 7
    assert run.finished
    assert run.step().bar == 7
    assert run.result.hash == ready().run().result.hash


def test_run_to_a_bar_a_moment_or_an_event() -> None:
    assert ready().run_to(3).bar == 3
    assert ready().run_to("2024-01-01 09:17").bar == 1  # the newest that has closed by then
    assert ready().run_to("2024-01-02").bar == 3  # before the first bar of that day
    assert ready().run_to(date(2024, 1, 2)).bar == 3
    assert ready().run_to("order").bar == 1
    run = ready()
    assert [run.run_to("fill").bar for _ in range(3)] == [2, 5, 7]
    run = ready()
    assert [run.run_to("session").bar for _ in range(2)] == [3, 7]
    assert ready().run_to("stop").bar == 7  # there is none
    assert ready().run_to("2030-01-01").finished


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (lambda r: r.step(0), "one bar or more"),
        (lambda r: r.back(0), "one bar or more"),
        (lambda r: r.run_to(1), "lies before 2024-01-01 09:18, where the run stands; back"),
        (lambda r: r.run_to("fil"), "'fil' is no event. Did you mean 'fill'"),
        (lambda r: r.run_to(3.5), "give a bar, a time or an event"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(move: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        move(ready().run_to(3))


def test_back_rewinds_by_replay_and_the_rest_comes_out_the_same() -> None:
    whole = ready().run()
    run = ready().run()
    for bars in (1, 3, 2, 99):
        run.back(bars)
        assert fills(run) == [
            f for f, b in zip(fills(whole), (2, 5, 7), strict=True) if b <= run.bar
        ]
    assert run.bar == -1
    assert run.run().result.hash == whole.result.hash


def test_handles_from_before_a_rewind_raise() -> None:
    run = ready().run_to(3)
    old = run.strategy
    contract, (position,) = call(old), run.result.positions
    assert contract.price == 8
    run.back()
    for read in (
        lambda: contract.price,
        lambda: contract.age,
        lambda: contract.mark,
        lambda: position.get_pnl(),
        lambda: old.bar,
        lambda: old.now,
        lambda: contract.buy(1),
        lambda: position.exit(),
    ):
        with pytest.raises(StaleHandle, match="rewound"):
            read()
    with pytest.raises(StaleHandle, match="rewound"):
        run.strategy.exit(contract)
    assert call(run.strategy).price == 7


def test_a_strategy_that_counts_outside_of_itself_is_not_repeatable() -> None:
    count = iter(range(100))

    class Counts(Strategy):
        def on_bar(self) -> None:
            if next(count) == 2:
                self.buy(call(self), lots=1)

    run = simulate(Counts, market(*PATH))  # it buys once; the replay never does
    with pytest.raises(NotRepeatable, match="Not repeatable from 2024-01-01 09:18: the run placed"):
        run.back()


def test_a_strategy_that_buys_more_in_its_replay_is_not_repeatable() -> None:
    takes: list[int] = []

    class Learns(Strategy):
        def init(self) -> None:
            takes.append(1)

        @at("09:17")
        def enter(self) -> None:
            for _ in takes:
                self.buy(call(self), lots=1)

    run = simulate(Learns, market(*PATH))
    with pytest.raises(NotRepeatable, match="09:17: the run placed no order, the replay <Order 1"):
        run.back()


def test_randomness_is_seeded() -> None:
    class Rolls(Strategy):
        def on_bar(self) -> None:
            if self.random.random() < 0.5:
                self.buy(call(self), lots=self.random.randint(1, 3))

    run = simulate(Rolls, market(*PATH))
    before = run.result.hash
    assert run.result.fills
    assert run.back(5).run().result.hash == before
    assert simulate(Rolls, market(*PATH), seed=1).result.hash != before


def test_interventions_are_recorded_and_replayed_at_their_bars() -> None:
    run = ready().run_to(2)
    run.sell(NAME, 2, sl="50%")
    run.step(2)
    run.exit(NAME)
    run.run()
    played = fills(run)
    assert [f[:2] for f in played][:3] == [("09:17", 50), ("09:18", -100), ("09:16", 50)]
    whole = run.result.hash
    assert run.back(4).run().result.hash == whole
    assert run.back(99).run().result.hash == whole
    assert [i.verb for i in run.interventions] == ["sell", "exit"]
    assert [e.bar for e in run.result.log if e.kind == "intervention"] == [2, 4]


def test_an_intervention_before_the_first_bar_is_replayed_there() -> None:
    feed = market(*PATH, days=(DAY, NEXT))
    run = simulate(Strategy, feed, run=False, start=4)  # a day of warm-up
    run.buy(NAME, 1)
    before = run.run().result
    assert fills(run) == [("09:15", 50, 9.0, "intervention", "entry")]
    assert run.back(2).run().result.hash == before.hash


def test_a_hand_after_the_close_acts_after_the_close() -> None:
    run = ready(b99=leave).run_to("session")
    run.buy(NAME, 1)
    (order,) = run.result.orders
    assert f"{run.grid.to_local(order.time):%d %H:%M}" == "01 09:19"
    assert fills(run.run()) == [("09:15", 50, 9.0, "intervention", "entry")]


def test_an_intervention_that_is_refused_is_not_recorded() -> None:
    run = ready().run_to(2)
    with pytest.raises(UsageError):
        run.buy(NAME, 0)
    assert run.interventions == []


def test_a_pause_asked_for_inside_a_hook_stops_after_that_bar() -> None:
    class Asks(Strategy):
        def on_bar(self) -> None:
            if self.bar == 2:
                run.pause()

    run = simulate(Asks, market(*PATH), run=False)
    assert run.run().bar == 2
    assert run.run().bar == 2  # still paused
    run.resume()
    assert run.run().finished


def test_an_error_of_a_hook_says_when_it_happened() -> None:
    def fail(s: Any, _: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        ready(b3=fail).run()
    assert caught.value.__notes__ == ["at 2024-01-01 09:19 of the run"]


def test_prices_are_loaded_for_what_is_used_alone() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=3)
    feed.add_index([100] * 3)
    for strike in range(50, 150, 10):
        feed.add_option(DAY, strike, "CE", [5] * 3)
    simulate(script(b0=lambda s, c: s.buy(s.get_atm("CE"), lots=1)), feed)
    assert {str(s) for s in feed.asked} == {"NIFTY", f"NIFTY {DAY} 100 CE"}


def test_an_empty_strategy_runs_to_the_end() -> None:
    run = simulate(Strategy, market(*PATH))
    assert run.finished
    assert run.pnl == 0
    assert run.result.equity().tolist() == [10_000_000_000] * 8


def test_the_hash_tells_runs_apart() -> None:
    hashes = {ready(b1=do).run().result.hash for do in (buy(), sell(), buy(lots=2), leave)}
    assert len(hashes) == 4


def test_a_contract_being_loaded_by_another_thread_is_not_taken_for_one_without_prices() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=3)
    feed.add_index([100, 101, 102])
    asked, go_on = threading.Event(), threading.Event()
    spot = simulate(Strategy, feed, run=False).desk.spot("NIFTY")
    load = feed.columns

    def first_one_waits(spec: Any) -> Any:
        if not asked.is_set():
            asked.set()
            assert go_on.wait(10)
        return load(spec)

    feed.columns = first_one_waits  # type: ignore[method-assign]
    other = threading.Thread(target=lambda: spot._prices)
    other.start()
    assert asked.wait(10)
    seen = spot._prices
    go_on.set()
    other.join(10)
    assert seen is not None


class Raises(Strategy):
    def on_session_end(self) -> None:
        raise ZeroDivisionError


def test_a_half_played_bar_is_not_played_on() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-01", "2024-01-02"], minutes=3)
    feed.add_index([100] * 6)
    run = simulate(Raises, feed, run=False)
    with pytest.raises(ZeroDivisionError):
        run.step(10)
    with pytest.raises(UsageError, match="raised in the middle of a bar"):
        run.step()
    run.back(2)
    assert (run.bar, run.failed) == (0, False)


def test_a_pause_asked_for_during_a_rewind_does_not_hang_it() -> None:
    feed = market(*range(1, 9))
    run = simulate(script(), feed)
    make = run._make_strategy

    def paused() -> Strategy:
        run.pause()
        return make()

    run._make_strategy = paused
    run.back(3)
    assert run.bar == 4


def test_the_last_bar_of_a_session_ends_with_it() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=375, step=60 * MINUTE)
    feed.add_index([100] * 7)
    seen: list[str] = []

    class Watch(Strategy):
        def on_session_end(self) -> None:
            seen.append(self.now.strftime("%H:%M"))

    run = simulate(Watch, feed, run=False)
    run.run_to("2024-01-01 15:30")
    assert (seen, run.finished) == (["15:30"], True)


def test_nothing_is_placed_by_hand_after_the_last_bar() -> None:
    run = simulate(script(), market(5, 5))
    before = run.result.hash
    with pytest.raises(UsageError, match="has played its last bar"):
        run.buy("NIFTY 2024-01-04 100 CE", 1)
    assert run.result.hash == before


def test_a_list_as_parameter_starts_anew_in_each_replay() -> None:
    class Pops(Strategy):
        levels = [3, 2, 1]  # noqa: RUF012

        def on_bar(self) -> None:
            if self.levels:
                self.buy(call(self), lots=self.levels.pop())

    run = simulate(Pops, market(*[5] * 6))
    before = run.result.hash
    run.back(4)
    assert run.run().result.hash == before


def test_a_run_starts_with_a_sessions_first_bar() -> None:
    with pytest.raises(UsageError, match="starts with a session's first bar"):
        simulate(script(), market(5, 5, 5), start=1)


def test_a_run_may_close_what_is_held_at_its_last_mark() -> None:
    feed = market(10, 10, 12, [11, 12, 10, 11])
    resting = script(b0=buy(sl=5), b1=buy(type="limit", price=3, tif="gtc"))
    run = simulate(resting, feed, close_at_end=True, slippage="2ticks")
    assert fills(run)[1:] == [("09:18", -50, 11.0, "square-off", "exit")]
    assert not run.result.positions
    assert [o.status for o in run.result.orders] == ["filled", "lapsed", "lapsed", "filled"]
    stays = simulate(resting, feed, slippage="2ticks")
    assert run.result.equity().tolist() == stays.result.equity().tolist()
    assert [p.qty for p in stays.result.positions] == [50]


def test_nothing_works_any_more_when_all_was_closed_at_the_end() -> None:
    other = ContractSpec("option", "NIFTY", date(2024, 1, 4), 105.0, "CE", lot=50)
    feed = market(5, 5, 5, 5)
    feed.add(other, [2, None, None, None])

    def pair(s: Any, c: Any) -> None:
        s.combo([Buy(c, 1), Sell(s._desk.contract(other), 1)])

    run = simulate(script(b1=pair), feed, close_at_end=True)
    assert [f[1] for f in fills(run)] == [50, -50], "the call that was bought"
    assert run.strategy.get_orders("working") == []
