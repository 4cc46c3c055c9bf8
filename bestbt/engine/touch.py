"""Where an order first touches a price path: the point at which it trades, at what price, and why.

A path never changes, so what a watch has found or ruled out is remembered. It may look further
than it was asked to; who asks compares. Nothing of it can be reached from a strategy: it knows
the future.

On a contract with quotes, quotes trade: a buy takes the ask, a sale the bid, at a bar's close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from bestbt.engine.order import Order
from bestbt.engine.prices import PriceColumns
from bestbt.errors import InvariantError, UsageError, did_you_mean
from bestbt.units import POINTS, Ordinal, Point, RawPrice

__all__ = ["NEVER", "MatchRules", "Path", "Watch", "rest", "watch"]

NEVER: Point = 1 << 62
_AHEAD = 2048  # points looked at at first: one search of this many costs hardly more than of few
_FARTHEST = 1 << 16
_CLOSE = POINTS - 1
_Points: TypeAlias = npt.NDArray[np.int32]
Path: TypeAlias = Literal["nearest", "pessimistic", "optimistic"]


class MatchRules(NamedTuple):
    """Choices of a run about what its prices leave open.

    Parameters
    ----------
    path
        Which extreme of a bar came first, for exits: the one nearer to the open; the one that
        hurts; the one that helps.
    limit_touch
        A limit trades when the price touches it; else the price must go a tick through.
    stop_check
        `"touch"`, or `"close"`: an exit's stop waits for a close beyond it, and trades at the next
        open.
    """

    path: Path = "nearest"
    limit_touch: bool = False
    stop_check: Literal["touch", "close"] = "touch"

    def checked(self) -> MatchRules:
        """Return itself; `UsageError` where a choice is none."""
        for name, value, choices in (
            ("path", self.path, ("nearest", "pessimistic", "optimistic")),
            ("stop_check", self.stop_check, ("touch", "close")),
        ):
            if value not in choices:
                hint = did_you_mean(str(value), choices)
                raise UsageError(f"{name}={value!r} is no choice. {hint}")
        return self


class Watch:
    """Looks along a contract's path for the point at which one order trades.

    `fire` is that point once it is found, with `price` on the path (or quoted) and `reason`. With
    `skips` the order does not trade there: a stop-limit's price has run past its limit.
    """

    __slots__ = (
        *("ahead", "begun", "closes", "columns", "fire", "order", "path", "price", "reason"),
        *("seen", "skips"),
    )
    path: _Points
    price: RawPrice  # this and the reason, once it fires
    reason: str

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        self.order = order
        self.columns = columns
        if columns is not None:
            self.path = columns.points
            if order.is_exit and rules.path != "nearest":  # its extremes come as the run has chosen
                low_first = (order.qty < 0) == (rules.path == "pessimistic")
                self.path = columns.ordered(low_first)
        self.closes = False  # whether closes alone are looked at
        self.seen: Point = order.since
        self.ahead = _AHEAD
        self.begun = False  # whether its first live point has been looked at
        self.fire: Point | None = None
        self.skips = False

    def look(self, end: Point) -> Point | None:
        """Point at which the order trades; None: not before *end*."""
        columns, lo = self.columns, self.seen
        if lo >= end or columns is None:
            return None
        if not columns.all_live:  # a stale bar repeats an old price: nothing trades on it
            lo = max(lo, POINTS * columns.next_live(lo // POINTS))
        base, over = POINTS * columns.first, POINTS * columns.end
        if lo < base:
            lo = base
        if end < lo + self.ahead:
            end = lo + self.ahead
        if end > over:
            end = over
        if lo >= end:
            if end > self.seen:
                self.seen = end
            return None
        self.fire = fire = self._touch(columns, lo, end)
        if fire is None:  # what waits for long is looked for in few, long looks
            self.seen, self.ahead = end, min(2 * self.ahead, _FARTHEST)
        return fire

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        """Search the points from the first live one at or after `seen`."""
        raise NotImplementedError

    def level(self, _point: Point) -> RawPrice:
        """Price it waits for, as known at a point; 0 where it waits for none."""
        return self.order.raw_trigger or self.order.raw_price


class _Market(Watch):
    """The open of its first live bar, or the close where the run trades at the close just seen."""

    __slots__ = ()

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        self.price = columns.points.item(lo - POINTS * columns.first)
        self.reason = "close" if lo % POINTS else "open"
        return lo


class _Together(Watch):
    """A leg of a roll or an atomic combo: the first bar in which every leg can trade.

    At its open; at its close where one of them trades at a quote, for quotes stand there.
    """

    __slots__ = ("at_close", "legs")

    def __init__(self, order: Order, rules: MatchRules, legs: Sequence[Order]) -> None:
        super().__init__(order, rules, order.contract._prices)
        self.legs = [(leg.contract._prices, leg.qty > 0) for leg in legs]
        self.at_close = any(prices is not None and prices.quoted for prices, _ in self.legs)

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        bar, before = -(-lo // POINTS), -1
        while bar != before and POINTS * bar < end:
            before = bar
            for prices, buys in self.legs:
                bar = max(bar, _next_tradable(prices, buys, bar))
        if POINTS * bar >= end:
            return None
        if columns.quoted:
            self.price = columns.taken(self.order.qty > 0).item(bar - columns.first)
            self.reason = "quote"
            return POINTS * bar + _CLOSE
        point = POINTS * bar + (_CLOSE if self.at_close else 0)
        self.price = columns.points.item(point - POINTS * columns.first)
        self.reason = "close" if self.at_close else "open"
        return point


def _next_tradable(columns: PriceColumns | None, buys: bool, bar: Ordinal) -> Ordinal:
    if columns is None:
        return NEVER
    bar = max(bar, columns.first)
    if not columns.quoted:
        found = columns.next_live(bar)
        return found if found < columns.end else NEVER
    ahead = columns.taken(buys)[bar - columns.first :] > 0
    k = int(ahead.argmax()) if len(ahead) else 0
    return bar + k if len(ahead) and ahead[k] else NEVER


class _Limit(Watch):
    """At its price once the path goes through it; at an open that is better."""

    __slots__ = ("through",)

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        super().__init__(order, rules, columns)
        beyond = 0 if rules.limit_touch else order.contract.spec.tick
        self.through = order.raw_price + (-beyond if order.qty > 0 else beyond)

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        order, base, through = self.order, POINTS * columns.first, self.through
        buys = order.qty > 0
        if not self.begun:
            self.begun = True
            given = order.start_price
            start = self.path.item(lo - base) if given is None else given
            if start <= through if buys else start >= through:
                self.price, self.reason = start, "open" if given is None else "limit"
                return lo
        window = self.path[lo - base : end - base]
        k = _first(window <= through if buys else window >= through)
        if k < 0:
            return None
        if (lo + k) % POINTS:
            self.price, self.reason = order.raw_price, "limit"
        else:
            self.price, self.reason = window.item(k), "open"
        return lo + k


class _Stop(Watch):
    """At its trigger when the path touches it; at an open that lies beyond."""

    __slots__ = ()

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        order, path, base = self.order, self.path, POINTS * columns.first
        trigger, buys = order.raw_trigger, order.qty > 0
        if not self.begun:
            self.begun = True
            start = order.start_price
            if start is None:
                start = path.item(lo - base)
            if start >= trigger if buys else start <= trigger:
                # already through when it starts to work: it fires right here
                self.price = start
                self.reason = "trigger" if start == trigger else "trigger-passed"
                return lo
        window = path[lo - base : end - base]
        k = self._first(window >= trigger if buys else window <= trigger, lo)
        if k < 0:
            return None
        at = window.item(k)
        if (lo + k) % POINTS == 0 and at != trigger:  # the bar opens beyond it
            self.price, self.reason = at, "gap"
        else:
            self.price, self.reason = trigger, "trigger"
        return lo + k

    def _first(self, hits: npt.NDArray[np.bool_], lo: Point) -> int:
        if self.closes:
            hits[np.arange(lo, lo + len(hits)) % POINTS != _CLOSE] = False
        k = int(hits.argmax())
        return k if hits.item(k) else -1


class _StopLimit(_Stop):
    """A stop that trades no worse than its limit: where its price has run past it, it is skipped,
    and what is left is a limit.
    """

    __slots__ = ()

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        fire = super()._touch(columns, lo, end)
        if fire is None:
            return None
        limit, buys = self.order.raw_price, self.order.qty > 0
        worst = self.price
        if self.reason == "trigger" and fire % POINTS:  # on the way to the next point
            worst = self.path.item(fire - POINTS * columns.first)
        self.skips = worst > limit if buys else worst < limit
        return fire


class _Trail(_Stop):
    """A stop that follows the best price since its entry, point by point, and never loosens."""

    __slots__ = ("best", "never", "trail")

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        super().__init__(order, rules, columns)
        if order.trail is None:
            raise InvariantError(f"{order} follows at no distance.")
        self.trail = order.trail
        self.best = order.trail.start
        self.never: RawPrice | None = None  # a price on the path that stands for none

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        order, base, buys = self.order, POINTS * columns.first, self.order.qty > 0
        if not self.begun:
            self.begun = True
            level, start = order.raw_trigger, order.start_price
            if start is None:
                start = self.path.item(lo - base)
            if start >= level if buys else start <= level:
                self.price = start
                self.reason = "trigger" if start == level else "trigger-passed"
                return lo
        window = self.path[lo - base : end - base]
        best = self._best(window)
        levels = self._levels(best[:-1])
        k = self._first(window >= levels if buys else window <= levels, lo)
        if k < 0:
            self.best = int(best[-1])
            return None
        level, at, point = levels.item(k), window.item(k), lo + k
        if point % POINTS == 0 and point != order.since and at != level:
            self.price, self.reason = at, "gap"
        else:
            self.price, self.reason = level, "trigger"
        return point

    def _best(self, window: _Points) -> npt.NDArray[np.int64]:
        """Best price before each point of a window, and behind its last."""
        seen = window if self.never is None else np.where(window == self.never, self.best, window)
        better = np.minimum if self.order.qty > 0 else np.maximum
        return better.accumulate(np.concatenate(([self.best], seen)), dtype=np.int64)

    def _levels(self, best: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """`Level.away` for an array of best prices, in the same integers."""
        spec, far = self.order.contract.spec, self.trail.distance
        side = -1 if self.order.qty > 0 else 1
        up, down, tick = far.numerator, far.denominator, spec.tick
        if far.unit == "percent":
            exact, unit = best * (100 * down - side * up), 100 * down * tick
        else:
            exact, unit = best * down - side * up * spec.scale, down * tick
        return np.maximum((2 * exact + unit) // (2 * unit), 1) * tick

    def level(self, point: Point) -> RawPrice:
        if self.columns is None:
            return self.order.raw_trigger
        base = POINTS * self.columns.first
        begin = max(self.order.since - base, 0)
        fresh = _Trail(self.order, MatchRules(), self.columns)
        fresh.never = self.never
        best = fresh._best(self.path[begin : max(point - base, begin)])
        return int(self._levels(best[-1:])[0])


def _first(hits: npt.NDArray[np.bool_]) -> int:
    """Index of the first True; −1 where there is none."""
    k = int(hits.argmax())
    return k if hits.item(k) else -1


# Where there are quotes


class _Quoted(Watch):
    """The first quote of the side it takes."""

    __slots__ = ("taken",)
    taken: _Points

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        super().__init__(order, rules, columns)
        if columns is not None:
            self.taken = columns.taken(order.qty > 0)

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        self.reason = "quote"
        return self._trade(columns, lo, end)

    def _trade(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        """First close at or after a point with a quote to take."""
        first = lo // POINTS - columns.first  # a close is a bar's last point: none is behind
        # a bar that is only begun here is left for the next look
        taken = self.taken[first : end // POINTS - columns.first]
        k = _first(taken > 0) if len(taken) else -1
        if k < 0:
            return None
        self.price = taken.item(k)
        return POINTS * (columns.first + first + k) + _CLOSE


class _QuotedLimit(_Quoted):
    """The first quote that is its limit or better."""

    __slots__ = ()

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        super().__init__(order, rules, columns)
        if columns is not None:
            limit = order.raw_price
            good = self.taken <= limit if order.qty > 0 else self.taken >= limit
            self.taken = np.where(good, self.taken, 0)

    def _touch(self, columns: PriceColumns, lo: Point, end: Point) -> Point | None:
        self.reason = "limit"
        return self._trade(columns, lo, end)


class _Then(Watch):
    """A stop that trades later than it is triggered.

    Where there are quotes: at the first of its side. Where it waits for a close: at the open of
    the next live bar.
    """

    __slots__ = ("rules", "trade", "trigger")

    def __init__(self, order: Order, rules: MatchRules, columns: PriceColumns | None) -> None:
        super().__init__(order, rules, columns)
        self.rules = rules
        self.trigger = (_Trail if order.type == "trail" else _Stop)(order, rules, columns)
        self.trigger.closes = order.is_exit and rules.stop_check == "close"
        self.trigger.begun = True
        self.trade: Watch | None = None
        if columns is not None and columns.quoted:
            self.trigger.path = columns.triggers(order.qty > 0)
            if isinstance(self.trigger, _Trail):
                self.trigger.never = columns.never(order.qty > 0)

    def look(self, end: Point) -> Point | None:
        columns = self.columns
        if columns is None:
            return None
        if self.trade is None:
            at = self.trigger.look(end)
            if at is None:
                return None
            self.reason = self._why(columns, at)
            self.trade = (_Quoted if columns.quoted else _Market)(self.order, self.rules, columns)
            after = self.trigger.closes
            self.trade.seen = POINTS * (at // POINTS + 1) if after else at
        self.fire = self.trade.look(end)
        if self.fire is not None:
            self.price = self.trade.price
            if self.order.type == "sl":
                limit = self.order.raw_price
                self.skips = self.price > limit if self.order.qty > 0 else self.price < limit
        return self.fire

    def _why(self, columns: PriceColumns, at: Point) -> str:
        """Whether it was through already at the first point of its path."""
        if self.trigger.closes:
            return "trigger"
        base, path = POINTS * columns.first, self.trigger.path
        begin = max(self.order.since - base, 0)
        before = path[begin : at - base]
        beyond = path.item(at - base) != self.trigger.level(at)
        first = not (before != columns.never(self.order.qty > 0)).any()
        return "trigger-passed" if first and beyond else "trigger"

    def level(self, point: Point) -> RawPrice:
        at = self.trigger.fire  # from there on it follows no more
        return self.trigger.level(point if at is None or at > point else at)


_PLAIN: dict[str, type[Watch]] = {
    "market": _Market,
    "limit": _Limit,
    "slm": _Stop,
    "sl": _StopLimit,
    "trail": _Trail,
}
_WITH_QUOTES: dict[str, type[Watch]] = {
    "market": _Quoted,
    "limit": _QuotedLimit,
    "slm": _Then,
    "sl": _Then,
    "trail": _Then,
}


def watch(order: Order, rules: MatchRules, legs: Sequence[Order] = ()) -> Watch:
    """Return what looks for an order's trade; with *legs*, for one that all of them can make."""
    if legs:
        return _Together(order, rules, legs)
    contract = order.contract
    columns = contract._columns or contract._prices  # loaded by now, if they were not
    type = "limit" if order.skipped else order.type
    if columns is not None and columns.quoted:
        return _WITH_QUOTES[type](order, rules, columns)
    if type in ("slm", "trail") and order.is_exit and rules.stop_check == "close":
        return _Then(order, rules, columns)
    return _PLAIN[type](order, rules, columns)


def rest(order: Order, rules: MatchRules, point: Point) -> Watch:
    """Return the watch of a stop-limit that was skipped at a point: a limit from behind it."""
    resting = watch(order, rules)
    resting.seen, resting.begun = point + 1, True
    return resting
