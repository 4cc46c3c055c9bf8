"""The simulated exchange: the orders that work, which of them trades next, and slippage.

An order placed at bar *i* works from bar *i + 1* on. Nothing trades on a stale bar. Slippage is
added after matching and kept beside the price. `touch.py` says where an order trades.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import inf
from typing import TypeAlias

from bestbt.engine.grid import Grid
from bestbt.engine.order import Order
from bestbt.engine.ports import Trade
from bestbt.engine.touch import MatchRules, Watch, rest, watch
from bestbt.errors import UsageError
from bestbt.units import MINUTE, POINTS, Ordinal, Point, Price, RawPrice, half_up

__all__ = ["MatchRules", "SimulatedExchange", "Slippage", "parse_slippage"]


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
    times = 2 if order.type in ("slm", "trail") else 1
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
    except (ValueError, ZeroDivisionError):
        pass
    raise UsageError(
        f"slippage={rule!r} is not understood; give 0, '2ticks', '0.5%' or a function, or leave it "
        "out for the default."
    )


class SimulatedExchange:
    """Keeps working orders and says which trades next.

    Parameters
    ----------
    grid
        The run's grid.
    slippage
        See `parse_slippage`.
    rules
        See `MatchRules`.
    """

    def __init__(self, grid: Grid, slippage: Slippage, rules: MatchRules) -> None:
        self._slippage, self._rules = slippage, rules
        minute = max(MINUTE // grid.step, 1)
        self._early = {bar + i for bar in grid.firsts for i in range(minute)}  # first minutes
        self.working: list[Order] = []
        self._watches: list[Watch] = []  # one for each, in the same order

    def submit(self, order: Order, legs: Sequence[Order] = ()) -> None:
        """Take an order; with *legs*, one that trades only together with them."""
        self.working.append(order)
        self._watches.append(watch(order, self._rules, legs))

    def remove(self, order: Order) -> None:
        """Forget an order that has ended."""
        at = self.working.index(order)
        del self.working[at], self._watches[at]

    def renew(self, order: Order) -> None:
        """Look anew for an order whose terms or start have changed."""
        self._watches[self.working.index(order)] = watch(order, self._rules)

    def rest(self, order: Order, point: Point) -> None:
        """Go on with a stop-limit as a limit, from behind the point at which it was skipped."""
        self._watches[self.working.index(order)] = rest(order, self._rules, point)

    def level(self, order: Order, point: Point) -> RawPrice:
        """Raw price an order waits for, as known at a point; 0 where it waits for none."""
        return self._watches[self.working.index(order)].level(point)

    def next_event(self, horizon: Ordinal) -> Ordinal:
        """First bar up to the horizon in which an order trades or its wait ends, else horizon."""
        end = POINTS * horizon + POINTS
        for found in self._watches:
            until = found.order.until
            if until is not None and POINTS * until + POINTS < end:
                end = POINTS * until + POINTS
            fire = found.fire
            if fire is None and found.seen < end:
                fire = found.look(end)
            if fire is not None and fire < end:
                end = fire - fire % POINTS + POINTS
        return end // POINTS - 1

    def match(self, bar: Ordinal) -> Watch | None:
        """Return what trades first up to the end of a bar, by (path time, order id)."""
        best, first = None, POINTS * bar + POINTS
        for found in self._watches:  # in order of id: of two at one point the first stands
            fire = found.fire
            if fire is None and found.seen < first:
                fire = found.look(first)
            if fire is not None and fire < first:
                best, first = found, fire
        return best

    def slippage(self, trade: Trade, point: Point) -> RawPrice:
        """Raw slippage of a trade at a point: none at a quote, and none of a limit."""
        order = trade.order
        if order.type in ("limit", "sl") or (trade.columns is not None and trade.columns.quoted):
            return 0
        return self._slippage(order, trade.price, point // POINTS in self._early)

    def waited_out(self, bar: Ordinal) -> list[Order]:
        """Entries whose wait for a live bar ends with this bar."""
        waited = []
        for order in self.working:  # seldom any: a loop is cheaper than a comprehension's call
            if order.until is not None and order.until <= bar:
                waited.append(order)
        return waited
