"""The simulated exchange: when an order first touches a price path, and at what price it trades.

An order placed at bar *i* works from bar *i + 1* on. A market order trades at the open of its
first live bar; a protected stop at its trigger, or at the point where it is already through.
Nothing trades on a stale bar. Slippage is added after matching and kept beside the price.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import inf
from typing import TypeAlias

from bestbt.engine.grid import Grid
from bestbt.engine.order import Order
from bestbt.errors import UsageError
from bestbt.units import MINUTE, POINTS, Ordinal, Point, Price, RawPrice, half_up

__all__ = ["SimulatedExchange", "Slippage", "parse_slippage"]


# (order, raw price on the path, whether this is the session's first minute) -> raw slippage
Slippage: TypeAlias = Callable[[Order, RawPrice, bool], RawPrice]


def _default_slippage(order: Order, price: RawPrice, first_minute: bool) -> RawPrice:
    """The larger of a tick and 0.5 % of an option's price, 0.02 % of a future's or equity's.

    Stops pay twice that, and so does a session's first minute. The share is smaller where the
    price is the whole underlying and not a premium: half a percent of an index future would be
    a hundred points.
    """
    spec = order.contract.spec
    per_myriad = 50 if spec.asset == "option" else 2
    times = 2 if order.type == "slm" else 1
    exact = price * per_myriad * times
    slip = max(times * spec.tick, half_up(exact, 10_000 * spec.tick) * spec.tick)
    return 2 * slip if first_minute else slip


def parse_slippage(
    rule: str | float | Callable[[Order, Price], Price] | None,
) -> Slippage:
    """Return the slippage rule of a run.

    Parameters
    ----------
    rule
        None for the default; `0` for none; `"2ticks"`; `"0.5%"` of the price; or a function of
        the order and the price on the path that returns currency per unit, zero or more.

    Raises
    ------
    UsageError
        For anything else.
    """
    if rule is None or rule == "default":
        return _default_slippage
    if callable(rule):
        user = rule

        def by_function(order: Order, price: RawPrice, _first: bool) -> RawPrice:
            spec = order.contract.spec
            given = user(order, price / spec.scale)
            if not isinstance(given, int | float) or not 0 <= given < inf:
                raise UsageError(f"The slippage function returned {given}; zero or more is needed.")
            return round(given * spec.scale / spec.tick) * spec.tick

        return by_function
    text = str(rule).strip().lower()
    ticks = text.removesuffix("ticks").removesuffix("tick").strip()
    try:
        if text.endswith("%"):
            share = Fraction(text[:-1]) / 100
            if share < 0:
                raise ValueError
            return lambda order, price, _first: (
                half_up(price * share.numerator, share.denominator * order.contract.spec.tick)
                * order.contract.spec.tick
            )
        number = Fraction(ticks)
        if number == 0 or (ticks != text and number > 0 and number.denominator == 1):
            count = int(number)
            return lambda order, _price, _first: count * order.contract.spec.tick
    except ValueError:
        pass
    raise UsageError(
        f"slippage={rule!r} is not understood; give 0, '2ticks', '0.5%' or a function, or leave it "
        "out for the default."
    )


_AHEAD = 1024  # points searched at once: one search of this many costs hardly more than of few


class SimulatedExchange:
    """Keeps working orders and says which trades next.

    Parameters
    ----------
    grid
        The run's grid.
    slippage
        See `parse_slippage`.
    """

    def __init__(self, grid: Grid, slippage: Slippage) -> None:
        self._slippage = slippage
        minute = max(MINUTE // grid.step, 1)
        self._early = {bar + i for bar in grid.firsts for i in range(minute)}  # first minutes
        self.working: list[Order] = []

    def submit(self, order: Order) -> None:
        """Take an order."""
        self.working.append(order)

    def remove(self, order: Order) -> None:
        """Forget an order that has ended."""
        self.working.remove(order)

    def next_event(self, horizon: Ordinal) -> Ordinal:
        """First bar up to the horizon in which an order trades or its wait ends, else horizon."""
        end = POINTS * horizon + POINTS
        for order in self.working:
            until = order.until
            if until is not None and POINTS * until + POINTS < end:
                end = POINTS * until + POINTS
            fire = order.fire
            if fire is None:
                fire = self._search(order, end)
            if fire is not None and fire < end:
                end = fire - fire % POINTS + POINTS
        return end // POINTS - 1

    def match(self, bar: Ordinal) -> Order | None:
        """Return the order that trades first up to the end of a bar, by (path time, order id).

        Where, at what price and why is in its `fire`, `fire_price` and `fire_reason`.
        """
        best, first = None, POINTS * bar + POINTS
        for order in self.working:  # in order of id: of two at one point the first stands
            fire = order.fire
            if fire is None:
                fire = self._search(order, first)
            if fire is not None and fire < first:
                best, first = order, fire
        return best

    def slippage(self, order: Order, point: Point) -> RawPrice:
        """Raw slippage of an order that trades at a point."""
        return self._slippage(order, order.fire_price, point // POINTS in self._early)

    def waited_out(self, bar: Ordinal) -> list[Order]:
        """Entries whose wait for a live bar ends with this bar."""
        return [o for o in self.working if o.until is not None and o.until <= bar]

    def _search(self, order: Order, end: Point) -> Point | None:
        """Point at which the order trades; None: not before *end*.

        What it finds is kept in the order, and so is how far it looked: a path never changes.
        That is why it looks some way beyond *end* at once; who asks compares.
        """
        columns, lo = order.columns, order.seen
        if lo >= end or columns is None:
            return None
        if not columns.all_live:  # a stale bar repeats an old price: nothing trades on it
            lo = max(lo, POINTS * columns.next_live(lo // POINTS))
        base = POINTS * columns.first
        if lo < base:
            lo = base
        end = min(max(end, lo + _AHEAD), POINTS * columns.end)
        if lo >= end:
            order.seen = max(order.seen, end)
            return None
        path = columns.points
        if order.type == "market":
            order.fire, order.fire_price = lo, path.item(lo - base)
            order.fire_reason = "close" if lo % POINTS else "open"
            return lo
        trigger, buys = order.trigger, order.qty > 0
        if not order.begun:
            order.begun = True
            start = order.start_price
            if start is None:
                start = path.item(lo - base)
            if start >= trigger if buys else start <= trigger:
                # already through when it starts to work: it fires right here
                order.fire, order.fire_price = lo, start
                order.fire_reason = "trigger" if start == trigger else "trigger-passed"
                return lo
        window = path[lo - base : end - base]
        hits = window >= trigger if buys else window <= trigger
        k = int(hits.argmax())
        if not hits[k]:
            order.seen = end
            return None
        order.fire, at = lo + k, window.item(k)
        if (lo + k) % POINTS == 0 and at != trigger:  # the bar opens beyond it
            order.fire_price, order.fire_reason = at, "gap"
        else:
            order.fire_price, order.fire_reason = trigger, "trigger"
        return lo + k
