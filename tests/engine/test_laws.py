"""The laws of the engine, for any program over any market."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from bestbt.engine.simulation import Simulation
from tests.engine.reference import Reference, path_of
from tests.engine.strategies import (
    CAPITAL,
    Program,
    Scripted,
    World,
    another_future,
    first_sessions,
    programs,
    simulation,
    slippages,
    worlds,
)

# The same examples each time.
few = settings(
    max_examples=80, deadline=None, derandomize=True, print_blob=True, report_multiple_bugs=False
)
many = settings(few, max_examples=160)


def fills(sim: Simulation) -> list[tuple[Any, ...]]:
    return [
        (f.point, f.contract.name, f.qty, f.raw_price, f.raw_slippage, f.reason, f.kind, f.order.id)
        for f in sim.result.fills
    ]


def orders(sim: Simulation) -> list[tuple[Any, ...]]:
    return [
        (o.id, o.time, o.contract.name, o.qty, o.type, o.kind, o.raw_trigger, o.status)
        for o in sim.result.orders
    ]


def script(sim: Simulation) -> Scripted:
    assert isinstance(sim.strategy, Scripted)
    return sim.strategy


def quad(world: World, name: str, bar: int) -> Any:
    return next(o for o in world.options if str(o.spec) == name).bars[bar]


@many
@given(worlds(), programs(), slippages, st.booleans())
def test_equals_the_reference_engine(
    world: World, program: Program, slippage: str, close: bool
) -> None:
    ref = Reference(world, program, slippage, close).run()
    sim = simulation(world, program, slippage, close).run()
    assert script(sim).seen == ref.seen
    assert script(sim).refused == ref.refused
    assert fills(sim) == [
        (f.point, str(f.order.option.spec), f.qty, f.price, f.slippage, f.reason, f.kind,
         f.order.id)
        for f in ref.fills
    ]  # fmt: skip
    assert orders(sim) == [
        (o.id, o.time, str(o.option.spec), o.asked, o.type, o.kind, o.trigger, o.status)
        for o in ref.orders
    ]
    assert sim.result.equity().tolist() == ref.equity
    assert sim.desk.portfolio.charges == ref.charges
    assert sum(p.amount for p in sim.result.ledger) == ref.cash


@few
@given(worlds(), programs(), slippages)
def test_money_is_conserved_at_every_bar_and_per_contract(
    world: World, program: Program, slippage: str
) -> None:
    sim = simulation(world, program, slippage)
    by_hand = []
    while not sim.finished:
        sim.step()
        books, result = sim.desk.portfolio, sim.result
        assert books.equity - CAPITAL == books.realized + books.unrealized - books.charges
        assert books.cash == sum(p.amount for p in result.ledger)
        moved: dict[Any, int] = defaultdict(int)  # from the fills alone
        units: dict[Any, int] = defaultdict(int)
        for f in result.fills:
            moved[f.contract] -= f.qty * f.raw_price * 100
            units[f.contract] += f.qty
        for contract, cash in moved.items():
            position = books.positions.get(contract)
            unrealized = position.raw_unrealized if position is not None else 0
            assert units[contract] == (position.qty if position is not None else 0)
            worth = units[contract] * (contract.mark if units[contract] else 0) * 100
            assert cash + worth == books.realized_by.get(contract, 0) + unrealized
        fees = [p for p in result.ledger if p.account not in ("capital", "premium", "settlement")]
        assert -sum(p.amount for p in fees) == books.charges
        assert sum(m.raw_pnl for m in result.matches) == books.realized
        assert books.charges - sum(sum(f.raw_charges.values()) for f in result.fills) == -sum(
            p.amount for p in fees if p.fill is None
        )
        by_hand.append(books.equity)
    assert sim.result.equity().tolist() == by_hand
    assert sim.result.closed == [(last, by_hand[last]) for last in sim.grid.lasts]


_moves = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "run_to", "fill", "order", "stop", "session", "back"]),
        st.integers(1, 9),
    ),
    max_size=12,
)


@few
@given(worlds(), programs(), slippages, st.booleans(), _moves)
def test_jumping_stepping_pausing_and_rewinding_give_the_same_bytes(
    world: World, program: Program, slippage: str, close: bool, moves: list[tuple[str, int]]
) -> None:
    jumped = simulation(world, program, slippage, close).run()
    stepped = simulation(world, program, slippage, close)
    while not stepped.finished:
        stepped.step()
    walked = simulation(world, program, slippage, close)
    for move, bars in moves:
        note(f"{move} {bars} from {walked.bar}")
        if move == "step":
            walked.step(bars)
        elif move == "back":
            walked.back(bars)
        elif move == "run_to":
            walked.run_to(walked.bar + bars)
        else:
            walked.run_to(move)
    walked.run()
    assert jumped.result.hash == stepped.result.hash == walked.result.hash
    assert script(jumped).seen == script(stepped).seen == script(walked).seen
    assert jumped.result.equity().tolist() == walked.result.equity().tolist()
    assert jumped.result.log == stepped.result.log == walked.result.log


@few
@given(worlds(), programs(), st.booleans(), st.data())
def test_a_pause_asked_for_in_any_hook_changes_nothing(
    world: World, program: Program, close: bool, data: st.DataObject
) -> None:
    whole = simulation(world, program, "default", close).run()
    pauses = data.draw(st.sets(st.integers(0, max(len(script(whole).seen) - 1, 0)), max_size=5))
    paused = simulation(world, program, "default", close)
    strategy = script(paused)
    plain = strategy.look

    def look(hook: str) -> None:
        plain(hook)
        if len(strategy.seen) - 1 in pauses:
            paused.pause()

    strategy.look = look  # type: ignore[method-assign]
    while not paused.finished:
        paused.resume()
        paused.run()
    assert paused.result.hash == whole.result.hash


def _until(sim: Simulation, world: World, bar: int) -> Any:
    """What is known at the end of a bar, from a simulation that has gone on."""
    fate = [f for f in fills(sim) if f[0] // 4 <= bar]
    placed = [o[:3] + o[4:7] for o in orders(sim) if o[1] <= sim.grid.end(bar)]
    seen = [s for s in script(sim).seen if s[1] <= bar and s[2] <= sim.grid.end(bar)]
    trace = [s for s in seen if s[0] != "over"]
    postings = [p[:2] + p[3:] for p in sim.result.ledger if p.bar <= bar]
    return fate, placed, _of_listed(world, trace), postings, sim.result.equity()[: bar + 1].tolist()


def _of_listed(world: World, trace: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A trace without the prices of contracts that are never seen: they come with the data."""
    names = [str(o.spec) for o in world.options if o.listed]
    return [
        (*s[:4], {n: p for n, p in zip(names, s[4], strict=True) if p is not None}, s[5])
        for s in trace
    ]


@many
@given(worlds(), programs(), slippages, st.booleans(), st.data())
def test_another_future_changes_nothing_before_it(
    world: World, program: Program, slippage: str, close: bool, data: st.DataObject
) -> None:
    bar = data.draw(st.integers(0, world.n - 1), "bar")
    other = another_future(world, bar, data.draw(st.integers(0, 2**32), "seed"))
    here = simulation(world, program, slippage, close).run()
    there = simulation(other, program, slippage, close).run()
    assert _until(here, world, bar) == _until(there, other, bar)


@few
@given(worlds(), programs(), slippages, st.data())
def test_data_that_end_earlier_change_nothing_before(
    world: World, program: Program, slippage: str, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(world.days)), "sessions")
    short = first_sessions(world, count)
    here = simulation(world, program, slippage).run()
    there = simulation(short, program, slippage).run()
    assert _until(here, world, short.n - 1) == _until(there, short, short.n - 1)


@many
@given(worlds(), programs(), slippages, st.booleans())
def test_every_fill_is_a_trade_that_was_possible(
    world: World, program: Program, slippage: str, close: bool
) -> None:
    sim = simulation(world, program, slippage, close).run()
    for f in sim.result.fills:
        if f.kind == "settlement":
            continue
        bar = quad(world, f.contract.name, f.bar)
        assert bar is not None, "nothing trades on a stale bar"
        side = 1 if f.qty > 0 else -1
        on_path = f.raw_price - side * f.raw_slippage
        assert bar[2] <= on_path <= bar[1]
        assert f.raw_slippage >= 0
        assert f.raw_price % 5 == 0
        if f.reason == "open":
            assert on_path == bar[0]
        elif f.reason == "close":
            assert on_path == bar[3]
        elif f.reason == "trigger":
            assert on_path == f.order.raw_trigger
        elif f.reason == "gap":
            assert on_path == bar[0]
            assert side * on_path > side * f.order.raw_trigger
        if f.order.kind == "stop":  # from the very fill it protects, and no earlier
            assert f.order.parent is not None
            assert f.point >= sim.result.fills[f.order.parent].point
        elif not close:
            assert sim.grid.time(f.bar) >= f.order.time
        assert (
            f.point % 4 == 0
            or on_path in (path_of(bar)[f.point % 4], f.order.raw_trigger)
            or (f.reason == "trigger-passed")
        )
    assert [f.point for f in sim.result.fills] == sorted(f.point for f in sim.result.fills)


@many
@given(worlds(), programs(), slippages)
def test_no_exit_fills_twice_and_nothing_is_held_that_was_not_ordered(
    world: World, program: Program, slippage: str
) -> None:
    sim = simulation(world, program, slippage).run()
    result = sim.result
    assert len({f.order.id for f in result.fills}) == len(result.fills)
    held: dict[str, int] = defaultdict(int)
    closed: dict[int, int] = defaultdict(int)
    for f in result.fills:
        name = f.contract.name
        if f.kind != "entry":  # it closes, and no more than there is
            assert held[name] * f.qty < 0
            assert abs(f.qty) <= abs(held[name])
        if f.kind == "stop" and f.order.parent is not None:
            closed[f.order.parent] += abs(f.qty)
            assert closed[f.order.parent] <= abs(result.fills[f.order.parent].qty)
        assert abs(f.qty) <= abs(f.order.qty)
        held[name] += f.qty
    expired = [o for o in world.options if o.expiry <= world.days[-1].date]
    assert all(held[str(o.spec)] == 0 for o in expired), "flat after settlement"
    assert {p.contract.name: p.qty for p in result.positions} == {
        k: v for k, v in held.items() if v
    }
    working = [o for o in result.orders if o.status == "working"]
    assert not any(o.contract.expiry and o.contract.expiry <= sim.desk.today for o in working)
