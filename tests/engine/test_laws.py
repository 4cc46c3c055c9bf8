"""The laws of the engine, for any program over any market."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any, get_args

from hypothesis import given, note, settings
from hypothesis import strategies as st

from bestbt.engine.costing import Cost
from bestbt.engine.simulation import Simulation
from tests.engine.programs import (
    CAPITAL,
    TAGS,
    Action,
    Program,
    Rules,
    Said,
    Scripted,
    programs,
    rules,
    simulation,
    slippages,
)
from tests.engine.reference import Reference
from tests.engine.reference_matching import path_of
from tests.engine.worlds import TICK, Option, World, another_future, first_sessions, worlds

LOGGED = "rolled", "roll-incomplete", "odd-lot"

# The same examples each time.
few = settings(
    max_examples=80, deadline=None, derandomize=True, print_blob=True, report_multiple_bugs=False
)
many = settings(few, max_examples=160)
most = settings(few, max_examples=300)


def fills(sim: Simulation) -> list[tuple[Any, ...]]:
    return [
        (f.point, f.contract.name, f.qty, f.raw_price, f.raw_slippage, f.reason, f.kind, f.order.id)
        for f in sim.result.fills
    ]


def orders(sim: Simulation) -> list[tuple[Any, ...]]:
    return [
        (o.id, o.time, o.contract.name, o.qty, o.type, o.kind, o.raw_trigger, o.raw_price, o.parent,
         o.status, [tuple(c) for c in o.changes])
        for o in sim.result.orders
    ]  # fmt: skip


def script(sim: Simulation) -> Scripted:
    assert isinstance(sim.strategy, Scripted)
    return sim.strategy


def lot(option: Option, day: date) -> int:
    if option.relot is not None and day < option.relot[0]:
        return option.relot[1]
    return option.lot


def option(world: World, name: str) -> Option:
    return next(o for o in world.options if str(o.spec) == name)


@most
@given(worlds(), programs(), slippages, st.booleans(), rules)
def test_equals_the_reference_engine(
    world: World, program: Program, slippage: str, close: bool, rules: Rules
) -> None:
    ref = Reference(world, program, slippage, close, rules).run()
    sim = simulation(world, program, slippage, close, rules).run()
    strategy = script(sim)
    assert fills(sim) == [
        (f.point, str(f.order.option.spec), f.qty, f.price, f.slippage, f.reason, f.kind,
         f.order.id)
        for f in ref.fills
    ]  # fmt: skip
    assert orders(sim) == [
        (o.id, o.time, str(o.option.spec), o.asked, o.type, o.kind, o.trigger, o.price, o.parent,
         o.status, o.changes)
        for o in ref.orders
    ]  # fmt: skip
    assert strategy.refused == ref.refused
    assert strategy.seen == ref.seen
    assert strategy.blocks == ref.blocked
    assert strategy.carried == ref.carried
    assert [(e.bar, e.kind) for e in sim.result.log if e.kind in LOGGED] == ref.log
    assert sim.result.equity().tolist() == ref.equity
    assert sim.desk.portfolio.charges == ref.charges
    assert sum(p.amount for p in sim.result.ledger) == ref.cash
    assert [e.bar for e in sim.result.log if e.kind == "stop-skipped"] == ref.skipped
    assert sim.result.ambiguous == len(ref.ambiguous)
    large = [(e.bar, e.values["order"]) for e in sim.result.log if e.kind == "large-fill"]
    assert large == ref.large
    for o in world.options:
        if o.listed:
            contract = sim.desk.contract(o.spec)
            for tag in (None, *TAGS):
                assert strategy.gains(tag, contract) == ref.gains(tag, o)


def mark(world: World, name: str, bar: int) -> int:
    """What a unit is worth at a bar, from the world alone."""
    traded = option(world, name)
    newest = max(i for i in range(bar + 1) if traded.bars[i] is not None)
    bid, ask = traded.quotes[newest] if traded.quotes is not None else (0, 0)
    quad = traded.bars[newest]
    assert quad is not None
    return (bid + ask + 1) // 2 if bid and ask else quad[3]


@few
@given(worlds(), programs(), slippages, rules)
def test_money_is_conserved_at_every_bar_and_per_contract(
    world: World, program: Program, slippage: str, rules: Rules
) -> None:
    sim = simulation(world, program, slippage, rules=rules)
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
            marked = mark(world, contract.name, sim.bar) if units[contract] else 0
            worth = units[contract] * marked * 100
            assert cash + worth == books.realized_of(contract, None) + unrealized
        fees = [p for p in result.ledger if p.account not in ("capital", "premium", "settlement")]
        assert -sum(p.amount for p in fees) == books.charges
        assert sum(m.raw_pnl for m in result.matches) == books.realized
        assert books.charges - sum(sum(f.raw_charges.values()) for f in result.fills) == -sum(
            p.amount for p in fees if p.fill is None
        )
        by_tag = [script(sim).gains(tag) for tag in ("", *TAGS)]
        assert sum(realized for realized, _ in by_tag) == books.realized
        assert sum(unrealized for _, unrealized in by_tag) == books.unrealized
        by_hand.append(books.equity)
    assert sim.result.equity().tolist() == by_hand
    assert sim.result.closed == [(last, by_hand[last]) for last in sim.grid.lasts]


@few
@given(worlds(), programs(), slippages, rules)
def test_how_cost_is_counted_moves_no_money(
    world: World, program: Program, slippage: str, rules: Rules
) -> None:
    first, average = (
        simulation(world, program, slippage, rules=rules._replace(cost=cost)).run()
        for cost in get_args(Cost)
    )
    if any(a.verb in ("set_sl", "set_target") for a in _all_actions(program)):
        return  # a stop from the average price of what is left stands elsewhere
    assert first.result.hash == average.result.hash
    assert first.result.equity().tolist() == average.result.equity().tolist()
    for one, other in zip(first.result.matches, average.result.matches, strict=True):
        assert (one.entry.id, one.exit.id, one.qty) == (other.entry.id, other.exit.id, other.qty)
    flat = {f.contract.name for f in first.result.fills}
    flat -= {p.contract.name for p in first.result.positions}
    for name in flat:  # nothing is left over
        of = [sum(m.raw_pnl for m in sim.result.matches if m.entry.contract.name == name)
              for sim in (first, average)]  # fmt: skip
        assert of[0] == of[1]


def _all_actions(program: Program) -> list[Action]:
    hooks = [*program.times, program.rejects, program.expiry, program.over]
    for by_number in (program.bars or {}, program.starts, program.ends, program.fills):
        hooks += by_number.values()
    return [action for actions in hooks for action in actions]


_moves = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "run_to", "fill", "order", "stop", "session", "back"]),
        st.integers(1, 9),
    ),
    max_size=12,
)


@few
@given(worlds(), programs(), slippages, st.booleans(), rules, _moves)
def test_jumping_stepping_pausing_and_rewinding_give_the_same_bytes(
    world: World,
    program: Program,
    slippage: str,
    close: bool,
    rules: Rules,
    moves: list[tuple[str, int]],
) -> None:
    jumped = simulation(world, program, slippage, close, rules).run()
    stepped = simulation(world, program, slippage, close, rules)
    while not stepped.finished:
        stepped.step()
    walked = simulation(world, program, slippage, close, rules)
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
    assert script(jumped).blocks == script(stepped).blocks == script(walked).blocks
    assert script(jumped).carried == script(stepped).carried == script(walked).carried
    assert jumped.result.equity().tolist() == walked.result.equity().tolist()
    assert jumped.result.log == stepped.result.log == walked.result.log
    assert jumped.result.ambiguous == stepped.result.ambiguous == walked.result.ambiguous
    assert orders(jumped) == orders(stepped) == orders(walked)


@few
@given(worlds(), programs(), st.booleans(), rules, st.data())
def test_a_pause_asked_for_in_any_hook_changes_nothing(
    world: World, program: Program, close: bool, rules: Rules, data: st.DataObject
) -> None:
    whole = simulation(world, program, "default", close, rules).run()
    pauses = data.draw(st.sets(st.integers(0, max(len(script(whole).seen) - 1, 0)), max_size=5))
    paused = simulation(world, program, "default", close, rules)
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
    until = sim.grid.end(bar)
    placed = [_as_of(o, until) for o in sim.result.orders if o.time <= until]
    seen = [s for s in script(sim).seen if s[1] <= bar and s[2] <= sim.grid.end(bar)]
    trace = [s for s in seen if s[0] != "over"]
    of_positions = script(sim).blocks[: len(trace)], script(sim).carried[: len(trace)]
    postings = [p[:2] + p[3:] for p in sim.result.ledger if p.bar <= bar]
    equity = sim.result.equity()[: bar + 1].tolist()
    return fate, placed, _of_listed(world, trace), of_positions, postings, equity


def _as_of(order: Any, time: int) -> tuple[Any, ...]:
    """What an order was at a time, its later changes undone."""
    terms = [tuple(c[1:]) for c in order.changes if c[0] > time]
    now = order.raw_trigger if order.type != "trail" else 0, order.raw_price, order.qty
    changed = sum(c[0] <= time for c in order.changes)
    wish = order.id, order.time, order.contract.name, order.type, order.kind, order.parent
    return (*wish, changed, *(terms[0] if terms else now))


def _of_listed(world: World, trace: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A trace without the prices of contracts that are never seen: they come with the data."""
    names = [str(o.spec) for o in world.options if o.listed]
    return [
        (*s[:4], {n: p for n, p in zip(names, s[4], strict=True) if p is not None}, *s[5:])
        for s in trace
    ]


@many
@given(worlds(), programs(), slippages, st.booleans(), rules, st.data())
def test_another_future_changes_nothing_before_it(
    world: World, program: Program, slippage: str, close: bool, rules: Rules, data: st.DataObject
) -> None:
    bar = data.draw(st.integers(0, world.n - 1), "bar")
    other = another_future(world, bar, data.draw(st.integers(0, 2**32), "seed"))
    here = simulation(world, program, slippage, close, rules).run()
    there = simulation(other, program, slippage, close, rules).run()
    assert _until(here, world, bar) == _until(there, other, bar)


@few
@given(worlds(), programs(), slippages, rules, st.data())
def test_data_that_end_earlier_change_nothing_before(
    world: World, program: Program, slippage: str, rules: Rules, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(world.days)), "sessions")
    short = first_sessions(world, count)
    program = program._replace(over=())  # what is done at the end is done at another time
    here = simulation(world, program, slippage, rules=rules).run()
    there = simulation(short, program, slippage, rules=rules).run()
    assert _until(here, world, short.n - 1) == _until(there, short, short.n - 1)


@many
@given(worlds(), programs(), slippages, st.booleans(), rules)
def test_every_fill_is_a_trade_that_was_possible(
    world: World, program: Program, slippage: str, close: bool, rules: Rules
) -> None:
    sim = simulation(world, program, slippage, close, rules).run()
    for f in sim.result.fills:
        if f.kind == "settlement":
            continue
        traded, order = option(world, f.contract.name), f.order
        assert f.qty % lot(traded, sim.grid.day(f.bar)) == 0, "whole lots alone are traded"
        bar = traded.bars[f.bar]
        assert bar is not None, "nothing trades on a stale bar"
        side = 1 if f.qty > 0 else -1
        if order.type in ("limit", "sl"):  # never worse than it says
            assert f.raw_slippage == 0
            assert side * f.raw_price <= side * order.raw_price
        if traded.quotes is not None:
            assert f.raw_slippage == 0
            assert f.point % 4 == 3
            assert f.raw_price == traded.quotes[f.bar][1 if side > 0 else 0] > 0
            assert f.reason in ("quote", "limit", "trigger", "trigger-passed", "roll")
        else:
            _on_the_path(f, bar, rules)
        if order.parent is not None:  # from the very fill it protects, and no earlier
            entry = sim.result.fills[order.parent]
            assert f.point >= (entry.point if traded.quotes is None else 4 * entry.bar + 4)
        elif not close:
            assert sim.grid.time(f.bar) >= order.time
        assert all(sim.grid.time(f.bar) >= c[0] for c in order.changes)
    assert [f.point for f in sim.result.fills] == sorted(f.point for f in sim.result.fills)


def _on_the_path(f: Any, bar: Any, rules: Rules) -> None:
    order, side, corner = f.order, 1 if f.qty > 0 else -1, f.point % 4
    at_close = rules.stop_check == "close" and f.kind != "entry" and order.type in ("slm", "trail")
    on_path = f.raw_price - side * f.raw_slippage
    assert bar[2] <= on_path <= bar[1]
    assert f.raw_slippage >= 0
    assert f.raw_price % TICK == 0
    if f.reason == "roll" and corner == 3:  # with a leg that trades at a quote
        assert on_path == bar[3]
    elif f.reason in ("open", "roll"):
        assert (on_path, corner) == (bar[0], 0)
    elif f.reason == "close":
        assert (on_path, corner) == (bar[3], 3)
    elif f.reason == "trigger":
        assert on_path == (bar[0] if at_close else order.raw_trigger)
    elif f.reason == "gap":
        assert (on_path, corner) == (bar[0], 0)
        assert side * on_path > side * order.raw_trigger
    elif f.reason == "limit":
        assert on_path == order.raw_price or order.parent is not None
    else:
        assert f.reason == "trigger-passed"
        assert side * on_path > side * order.raw_trigger
    if order.type == "limit" or (order.type == "sl" and f.reason in ("limit", "open")):
        by = 0 if rules.limit_touch else TICK
        best = bar[2] if side > 0 else bar[1]
        assert side * best <= side * order.raw_price - by, "the price went through"
    corners = {path_of(bar)[corner]}
    if corner in (1, 2) and f.kind != "entry":
        corners |= {bar[1], bar[2]}  # by path policy
    passed = f.reason == "trigger-passed" or (f.reason == "limit" and order.parent is not None)
    assert corner == 0 or on_path in corners | {order.raw_trigger, order.raw_price} or passed


@many
@given(worlds(), programs(), slippages, rules)
def test_no_exit_fills_twice_and_nothing_is_held_that_was_not_ordered(
    world: World, program: Program, slippage: str, rules: Rules
) -> None:
    sim = simulation(world, program, slippage, rules=rules).run()
    result = sim.result
    assert len({f.order.id for f in result.fills}) == len(result.fills)
    held: dict[str, int] = defaultdict(int)
    closed: dict[int, int] = defaultdict(int)
    for f in result.fills:
        name = f.contract.name
        if f.order.is_exit:  # it closes, and no more than there is
            assert held[name] * f.qty < 0
            assert abs(f.qty) <= abs(held[name])
        if f.order.parent is not None:
            units = lot(option(world, name), sim.grid.day(f.bar))
            entered = -(-abs(result.fills[f.order.parent].qty) // units) * units  # whole lots today
            closed[f.order.parent] += abs(f.qty)
            assert closed[f.order.parent] <= entered
        if f.kind in ("stop", "target") and f.order.parent is None:
            odd = abs(held[name]) % lot(option(world, name), sim.grid.day(f.bar))
            assert abs(f.qty) == abs(held[name]) - odd, "it is for the whole position"
        elif f.order.parent is None:
            assert abs(f.qty) <= abs(f.order.qty)
        held[name] += f.qty
    expired = [o for o in world.options if o.expiry <= world.days[-1].date]
    assert all(held[str(o.spec)] == 0 for o in expired), "flat after settlement"
    assert {p.contract.name: p.qty for p in result.positions} == {
        k: v for k, v in held.items() if v
    }
    working = [o for o in result.orders if o.status == "working"]
    assert not any(o.contract.expiry and o.contract.expiry <= sim.desk.today for o in working)
    assert all(held[o.contract.name] * o.qty < 0 for o in working if o.kind in ("stop", "target"))


def lasts(said: Said, day: date, days: list[date]) -> bool:
    """Whether a block is on in a session, said plainly."""
    begun, verb = said.day, said.action.verb
    if verb == "block_for_day":
        return day == begun
    if verb == "block_for_n_days":
        return days.index(day) - days.index(begun) < said.action.lots
    if verb == "block_this_week":
        return day.isocalendar()[:2] == begun.isocalendar()[:2]
    if verb == "block_for_month":
        return (day.year, day.month) == (begun.year, begun.month)
    return said.expiry is not None and day <= said.expiry


@many
@given(worlds(), programs(), slippages, st.booleans(), rules)
def test_nothing_is_entered_or_rolled_into_inside_a_block(
    world: World, program: Program, slippage: str, close: bool, rules: Rules
) -> None:
    sim = simulation(world, program, slippage, close, rules).run()
    days = [d.date for d in world.days]
    for f in sim.result.fills:
        if f.order.is_exit:
            continue
        on: list[Said] = []
        for said in script(sim).told:
            if said.fills > f.id:
                break
            by_symbol, tag = said.action.scope
            if said.action.verb == "unblock":
                on = [
                    b for b in on
                    if (by_symbol and not b.action.scope[0])
                    or (tag is not None and b.action.scope[1] != tag)
                ]  # fmt: skip
            elif said.action.verb != "deactivate_positions" and tag in (None, f.tag):
                on.append(said)
        assert [b for b in on if lasts(b, sim.grid.day(f.bar), days)] == []
    ended = [o for o in sim.result.orders if o.reason.startswith("blocked")]
    assert not any(o.is_exit for o in ended), "a block leaves exits alone"
