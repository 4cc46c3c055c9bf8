"""Simulation: run, step, run_to, back; and the interventions of a hand on a paused run.

Jumping, stepping, pausing anywhere, and rewinding and running again give the same orders, fills
and ledger. Rewinding is replay: a fresh strategy over the same data with the same interventions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from bestbt.engine.by_hand import NAMING_AN_ORDER, ByHand, perform
from bestbt.engine.costing import Cost
from bestbt.engine.desk import Desk
from bestbt.engine.events import EVENTS, check_event, watch
from bestbt.engine.feeder import PriceFeeder
from bestbt.engine.grid import Clock, utc_ns
from bestbt.engine.matching import MatchRules, Slippage
from bestbt.engine.order import Order
from bestbt.engine.ports import Feed, FeeModel, Market
from bestbt.engine.result import Result
from bestbt.engine.strategy import Strategy
from bestbt.errors import NotRepeatable, OrderError, StaleHandle, UsageError
from bestbt.units import Money, Ordinal, RawMoney, money

__all__ = ["Intervention", "Simulation"]


class _Named(NamedTuple):
    """An order, told from others by where it came from."""

    by: int | None  # number of what was done by hand and placed it; None: the strategy did
    wish: tuple[Any, ...]  # of the strategy's: what it was when it was placed
    rank: int  # among those of which the same can be said


class Intervention(NamedTuple):
    """Something done by hand after the hooks of a bar; contracts are named by symbol."""

    bar: Ordinal
    verb: str
    args: tuple[Any, ...]
    terms: dict[str, Any]
    number: int = -1  # its own; two that say the same are two
    order: _Named | None = None  # the order it names, whose id may be another in another replay

    @property
    def call(self) -> str:
        """As Python, to be written behind the name of a backtest and a dot."""
        given = [repr(a) for a in self.args]
        while given and given[-1] == "None" and not self.verb.startswith("set_"):
            given.pop()
        said = {k: v for k, v in self.terms.items() if v not in (None, "", False)}
        given += [f"{name}={value!r}" for name, value in said.items()]
        return f"{self.verb}({', '.join(given)})"


class _RewoundClock(Clock):
    """The clock of a run that has been rewound: whatever reads it is a handle from before."""

    @property
    def bar(self) -> Ordinal:  # type: ignore[override]
        raise StaleHandle(
            "This object belongs to the run before it was rewound; ask the run for it anew."
        )


class Simulation(ByHand):
    """One strategy over one feed.

    Parameters
    ----------
    make_strategy
        Makes a fresh strategy; called again for each rewind.
    feed, market
        Prices and dated facts.
    symbols
        The underlyings; the first is `Strategy.spot`.
    capital
        Raw money at the start.
    start
        First bar of the run; earlier ones are warm-up for indicators.
    slippage, fees
        See `matching.parse_slippage` and `ports.FeeModel`.
    fill_at_close
        Market orders trade at the close just seen: optimistic, for comparison with other tools.
    rules
        Choices about what a bar leaves open; see `matching.MatchRules`.
    cost
        What units are counted at that leave a position: `"fifo"`, or `"average"` of their tag's.
    max_participation
        Share of its bar's volume above which a fill is logged as large; see `Participation`.
    close_at_end
        Close what is held after the last bar, at its mark; else it stays open.
    rate
        Carries the spot to an expiry that has neither a synthetic nor a future; see `OptionChain`.
    seed
        Of `Strategy.random`.
    """

    def __init__(
        self,
        make_strategy: Callable[[], Strategy],
        feed: Feed,
        market: Market,
        symbols: tuple[str, ...],
        *,
        capital: RawMoney,
        start: Ordinal = 0,
        slippage: Slippage,
        fees: FeeModel,
        fill_at_close: bool = False,
        rules: MatchRules | None = None,
        cost: Cost = "fifo",
        max_participation: float | str | None = 0.1,
        rate: float = 0.0,
        close_at_end: bool = False,
        seed: int = 0,
    ) -> None:
        self._make_strategy = make_strategy
        self._seed = seed
        self._new_desk: Callable[[], Desk] = partial(
            Desk,
            feed,
            market,
            symbols,
            capital=capital,
            start=start,
            slippage=slippage,
            fees=fees,
            fill_at_close=fill_at_close,
            rules=rules.checked() if rules is not None else None,
            cost=cost,
            max_participation=max_participation,
            rate=rate,
            close_at_end=close_at_end,
        )
        self.grid = feed.grid
        if start != self.grid.firsts[self.grid.session(start)]:
            raise UsageError(f"start={start}: a run starts with a session's first bar.")
        self.start = start
        self.interventions: list[Intervention] = []
        self.breakpoints: list[str] = []  # events at which `run` stands still
        self.met = ""  # the event at which it stands
        self.arrived = False  # whether the newest `run` came to its aim, or to a breakpoint
        self._aim: Ordinal | str | None = None
        self._applied = 0
        self._done = 0  # how many things were ever done by hand
        self._pausing = False
        self.failed = False
        self._restart()

    def _restart(self) -> None:
        desk, strategy = self._new_desk(), self._make_strategy()
        strategy._bind(desk, self._seed)
        self.feeder = PriceFeeder(desk, strategy)
        self.strategy, self.desk = strategy, desk
        for remark in desk.feed.remarks:
            desk.note("data", remark)
        self._applied = 0
        self._by: dict[int, int] = {}  # by the id of an order placed by hand: what placed it
        self.met, self.arrived = "", False
        self.failed = True  # until it stands before its first bar
        strategy.init()
        self.failed = False
        self._apply_interventions()  # those from before the first bar

    @property
    def bar(self) -> Ordinal:
        """Newest closed bar; `start − 1` before the first."""
        return self.desk.clock.bar

    @property
    def finished(self) -> bool:
        """Whether the last bar has been played."""
        return self.feeder.finished

    @property
    def result(self) -> Result:
        """What is booked so far."""
        return Result(self.desk, self.feeder.closed, self.feeder.clearing.ambiguous)

    @property
    def pnl(self) -> Money:
        """Equity at the newest session end less the capital; safe to read from any thread."""
        closed = self.feeder.closed
        return money(closed[-1][1] - self.desk.portfolio.capital) if closed else 0.0

    @property
    def pnl_now(self) -> Money:
        """Equity at the newest bar less the capital; only while nothing plays."""
        portfolio = self.desk.portfolio
        return money(portfolio.equity - portfolio.capital)

    # Moving

    def run(self, bars: int | None = None) -> Simulation:
        """Play to the end, to the aim, a breakpoint or a pause; at most a number of bars."""
        last = self._aim if isinstance(self._aim, int) else self.grid.n - 1
        horizon = last if bars is None else min(self.bar + bars, last)
        self._until(horizon, [*self.breakpoints, *self._aimed])
        self.arrived = bool(self.met) or (isinstance(self._aim, int) and self.bar >= last)
        if self.arrived:
            self._aim = None
        return self

    @property
    def _aimed(self) -> list[str]:
        return [self._aim] if isinstance(self._aim, str) else []

    def aim(self, target: Ordinal | str | date | None) -> None:
        """Let the next `run` come to rest where `run_to` would; None: let it go to the end."""
        self._aim = None if target is None else self._target(target)

    def break_at(self, event: str) -> None:
        """Let `run` stand still after each bar in which an event happens; see `events`."""
        if check_event(event, self.strategy) not in self.breakpoints:
            self.breakpoints.append(event)

    def step(self, bars: int = 1) -> Simulation:
        """Play a number of bars."""
        if not isinstance(bars, int) or bars < 1:
            raise UsageError(f"step({bars!r}): one bar or more; back() goes the other way.")
        target = min(self.bar + bars, self.grid.n - 1)
        while self.bar < target and not self.finished:
            before = self.bar
            self._go(before + 1)
            if self.bar == before:  # paused
                break
        return self

    def run_to(self, target: Ordinal | str | date) -> Simulation:
        """Play to a bar, a moment (`"2024-02-01 09:30"`), or the next event; see `events.EVENTS`.

        An event is also a condition, such as `"today_pnl < -2000"`. At a moment the newest bar is
        the one that has closed by then, as for `@at`.
        """
        found = self._target(target)
        if isinstance(found, str):
            self._until(self.grid.n - 1, [found])
        else:
            self._go(found)
        return self

    def _target(self, target: Ordinal | str | date) -> Ordinal | str:
        """Return the bar that is meant, or the event."""
        if isinstance(target, str) and not target[:4].isdigit():
            return check_event(target, self.strategy)
        bar = target if isinstance(target, int) else self._bar_at(target)
        if bar < self.bar:
            raise UsageError(
                f"run_to({target!r}) lies before {self.grid.local(self.bar):%Y-%m-%d %H:%M}, where "
                "the run stands; back_to() rewinds."
            )
        return min(bar, self.grid.n - 1)

    def back_to(self, target: Ordinal | str | date) -> Simulation:
        """Rewind by replay to a bar, a moment, or the newest event before this bar.

        Events are those of `run_to`, without conditions.
        """
        if isinstance(target, str) and target in EVENTS:
            bar = self._before(target)
        elif isinstance(target, str) and not target[:4].isdigit():
            raise UsageError(
                f"back_to({target!r}): give a bar, a time or one of {', '.join(EVENTS)}; "
                "conditions are only looked for forwards."
            )
        else:
            bar = target if isinstance(target, int) else self._bar_at(target)
        return self._rewind(bar) if bar < self.bar else self

    def go_to(self, target: Ordinal | str | date) -> Simulation:
        """Play or rewind to a bar or a moment."""
        bar = target if isinstance(target, int) else self._bar_at(target)
        return self.run_to(bar) if bar >= self.bar else self._rewind(bar)

    def _before(self, event: str) -> Ordinal:
        """Return the newest bar before this one in which an event has happened."""
        desk, grid, bar = self.desk, self.grid, self.bar
        fills = desk.portfolio.fills
        bars: dict[str, Callable[[], Iterable[Ordinal]]] = {
            "fill": lambda: (f.bar for f in fills),
            "order": lambda: (o.placed for o in desk.orders),
            "stop": lambda: (f.bar for f in fills if f.kind == "stop"),
            "roll": lambda: (f.bar for f in fills if f.kind == "roll"),
            "block": lambda: (e.bar for e in desk.log if e.kind == "block"),
            "session": lambda: (b for b, _ in self.feeder.closed),
            "expiry": lambda: (b for b, _ in self.feeder.closed if desk.is_expiry(grid.day(b))),
        }
        return max((b for b in bars[event]() if b < bar), default=self.start - 1)

    def back(self, bars: int = 1) -> Simulation:
        """Rewind a number of bars by replay; orders must come out as they did.

        Raises
        ------
        NotRepeatable
            At the first order that differs: the strategy depends on something that is not in the
            data, such as the wall clock or a variable that it changed.
        """
        if not isinstance(bars, int) or bars < 1:
            raise UsageError(f"back({bars!r}): one bar or more.")
        return self._rewind(self.bar - bars)

    def _rewind(self, target: Ordinal, check: bool = True) -> Simulation:
        target = max(target, self.start - 1)
        before = list(self.desk.orders)
        old = self.desk.clock
        self._restart()
        old.__class__ = _RewoundClock
        self._pausing = False
        while self.bar < target:
            self._go(target, replaying=True)
        if check:
            self._check_repeated(before)
        return self

    def _check_repeated(self, before: list[Order]) -> None:
        """Compare the replay's orders with those the run had placed by now."""
        placed: list[Order | None] = [*self.desk.orders]
        until = self.grid.end(self.bar) if self.bar >= self.start else -1
        due = sum(o.time <= until for o in before)
        placed += [None] * (due - len(placed))
        for was, order in zip_longest(before[: len(placed)], placed):
            if was is None or order is None or _wish(was) != _wish(order):
                at = self.grid.to_local((order or was).time)
                raise NotRepeatable(
                    f"Not repeatable from {at:%Y-%m-%d %H:%M}: the run placed {was or 'no order'}, "
                    f"the replay {order or 'none'}. Does the strategy keep something outside of "
                    "itself?"
                )

    def pause(self) -> None:
        """Stop after the bar being played; safe to call from any thread."""
        self._pausing = True
        self.desk.dirty = True

    def resume(self) -> None:
        """Forget a pause; `run` goes on."""
        self._pausing = False

    def _go(self, horizon: Ordinal, replaying: bool = False) -> None:
        """Play up to a bar, or to a pause; a replay is played through."""
        desk, feeder = self.desk, self.feeder
        self.met = ""
        if self.failed:
            raise UsageError("The strategy raised in the middle of a bar; rewind, or start anew.")
        try:
            while desk.clock.bar < horizon and not feeder.finished:
                # Cleared before the pause is looked at: one asked for in between is not lost.
                desk.dirty = False
                if self._pausing and not replaying:
                    break
                if self._applied == len(self.interventions):
                    feeder.advance(horizon)
                else:
                    feeder.advance(min(horizon, self._next_intervention()))
                    self._apply_interventions()
        except BaseException as error:
            self.failed = True  # the bar is half played
            error.add_note(f"at {self.grid.to_local(desk.now):%Y-%m-%d %H:%M} of the run")
            raise

    def _until(self, horizon: Ordinal, events: Sequence[str]) -> None:
        """Play up to a bar, to a pause, or to the first of these events; `met` says which."""
        self.met = ""
        if not events:
            self._go(horizon)
            return
        watches = watch(events, self.feeder)
        try:
            while self.bar < horizon and not self.finished and not self._pausing:
                self._go(self.bar + 1)
                # All are asked: each keeps what it has seen.
                happened = [event for event, has in watches.items() if has()]
                if happened:
                    self.met = happened[0]
                    break
        finally:
            for has in watches.values():
                has.close()

    def _bar_at(self, target: str | date) -> Ordinal:
        moment = target
        if isinstance(target, str):
            try:
                moment = datetime.fromisoformat(target)
            except ValueError:
                raise UsageError(
                    f"run_to({target!r}): give a bar, a time as '2024-02-01 09:30', or an event: "
                    f"{', '.join(EVENTS)}, or a condition."
                ) from None
        if not isinstance(moment, datetime):
            if not isinstance(moment, date):
                raise UsageError(f"run_to({target!r}): give a bar, a time or an event.")
            moment = datetime(moment.year, moment.month, moment.day)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.grid.tz)
        return self.grid.closed_by(utc_ns(moment))

    # By hand

    def redo(self, interventions: Sequence[Intervention]) -> None:
        """Take over what was done by hand to another run; only before the first bar."""
        self.interventions += interventions
        self._done = max((i.number + 1 for i in interventions), default=self._done)
        self._apply_interventions()

    def forget(self) -> None:
        """Forget what was done by hand behind the bar where the run stands: `back()` replays it."""
        del self.interventions[self._applied :]

    def undo(self, number: int) -> None:
        """Forget one thing done by hand, and replay without it to the bar where the run stands."""
        if not 0 <= number < len(self.interventions):
            raise UsageError(
                f"undo({number}): {len(self.interventions)} things were done by hand; they are "
                "counted from 0."
            )
        del self.interventions[number]
        if number < self._applied:
            self._rewind(self.bar, check=False)

    @property
    def blocked(self) -> bool:
        """Whether a block is on over untagged entries in the first symbol."""
        return self.strategy.blocked

    def _by_hand(self, verb: str, *args: Any, **terms: Any) -> None:
        """Do it now and record it at its bar.

        What was recorded for later bars stays: it is replayed when the run gets there.
        """
        if self.finished:
            raise UsageError(f"{verb}: the run has played its last bar; nothing could fill.")
        if self.failed:
            raise UsageError(f"{verb}: the strategy raised in the middle of a bar; rewind first.")
        order = None
        if verb in NAMING_AN_ORDER:
            named = self.desk.working(verb, args[0])
            args, order = (named.id, *args[1:]), self._named(named)
        done = Intervention(self.bar, verb, args, terms, self._done, order)
        self._do(done)
        self._done += 1
        self.interventions.insert(self._applied, done)
        self._applied += 1

    def _do(self, what: Intervention) -> None:
        orders = self.desk.orders
        before = len(orders)
        perform(self.desk, what.verb, what.args, what.terms)
        self._by |= {order.id: what.number for order in orders[before:]}

    def _next_intervention(self) -> Ordinal:
        return max(self.interventions[self._applied].bar, self.bar + 1)

    def _apply_interventions(self) -> None:
        while (
            self._applied < len(self.interventions)
            and self.interventions[self._applied].bar <= self.bar
        ):
            self._applied += 1
            again = self.interventions[self._applied - 1]
            try:
                if again.order is not None:
                    again = self._found_again(again, again.order)
                    self.interventions[self._applied - 1] = again
                self._do(again)
            except UsageError as error:  # the run has gone another way since it was recorded
                self.desk.note("refused", f"{again.verb}: {error}")

    def _named(self, order: Order) -> _Named:
        by = self._by.get(order.id)
        wish = _wish(order) if by is None else ()
        return _Named(by, wish, self._alike(by, wish).index(order.id))

    def _alike(self, by: int | None, wish: tuple[Any, ...]) -> list[int]:
        """Ids of the orders that came from there; of the strategy's those that were this wish."""
        return [
            order.id
            for order in self.desk.orders
            if self._by.get(order.id) == by and (by is not None or _wish(order) == wish)
        ]

    def _found_again(self, what: Intervention, order: _Named) -> Intervention:
        """Return it with the id that its order has in this replay: one undone before took one."""
        alike = self._alike(order.by, order.wish)
        if order.rank >= len(alike):
            raise OrderError(
                f"the order that was meant, then number {what.args[0]}, is not placed any more."
            )
        return what._replace(args=(alike[order.rank], *what.args[1:]))


def _wish(order: Order) -> tuple[Any, ...]:
    """What an order was when it was placed; what became of it since is not part of it."""
    terms: tuple[Any, ...] = (order.raw_trigger, order.raw_price, order.qty)
    if order.changes:
        terms = order.changes[0][1:]
    elif order.type == "trail":  # it moves
        terms = (order.trail, order.qty)
    return (order.time, order.contract.name, order.type, order.kind, *terms)
