"""When an order of the reference engine trades: the rules, order type by order type.

`look` is called for an order at each price point, once and in order, from the point on at which it
works. What an order remembers in between is in its fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

from tests.engine.programs import Rules
from tests.engine.worlds import Option, Quad

if TYPE_CHECKING:
    from tests.engine.reference_books import Position

TICK = 5
NEVER = 10**9  # since when a leg works that waits for others


class Trade(NamedTuple):
    """An order trades here: at what price on the path (or quote), and why."""

    price: int
    reason: str
    quoted: bool = False


Skipped = Literal["skipped"]  # a stop-limit that the price has jumped over
Terms = tuple[str, Fraction]  # of a bracket: "price" (raw), "%" or "pts"


@dataclass(eq=False)
class RefOrder:
    """`qty` is what is left of what was `asked`."""

    id: int
    time: int
    option: Option
    qty: int
    type: str
    kind: str
    since: int  # price point
    trigger: int = 0
    price: int = 0
    until: int | None = None  # bar with whose end a market entry's wait is over
    sl: Terms | None = None
    target: Terms | None = None
    trail: Terms | None = None  # of an entry; and of the trailing stop itself
    parent: int | None = None
    start_price: int | None = None
    best: int = 0  # of a trailing stop: the best price since its entry
    best_before: int = 0  # and without the newest point
    tif: str = "gtc"
    last_day: date | None = None
    tag: str = ""
    whole: bool = False  # a stop or target for whatever is held
    mates: Combo | None = None
    roll: Roll | None = None  # that it is a leg of, while it waits for the other
    opens: bool = False  # it may open a position; else it only reduces one
    said: Terms | None = None  # of an exit: its level, where that was relative
    status: str = "working"
    asked: int = 0
    changes: list[tuple[int, int, int, int]] = field(default_factory=list)
    first_since: int = 0  # of the order as it was placed
    # What it remembers
    looked: int = -1  # newest point looked at
    begun: bool = False  # it has seen its first price
    triggered: str = ""  # why
    triggered_in: int = 0  # bar
    skipped: bool = False

    def __post_init__(self) -> None:
        self.asked, self.first_since, self.looked = self.qty, self.since, self.since - 1
        self.opens = self.opens or self.kind == "entry"

    @property
    def buys(self) -> bool:
        return self.qty > 0

    @property
    def side(self) -> int:
        """Which quote it takes: the ask (1) or the bid (0)."""
        return 1 if self.buys else 0

    @property
    def level(self) -> int:
        """Where it trades or triggers, as it stands."""
        if self.type == "trail" and self.trail is not None:
            return away(self.trail, self.best, -1 if self.buys else 1)
        return self.price if self.type == "limit" else self.trigger

    def level_before(self, point: int) -> int:
        """Where it was as the price moved to a point."""
        if self.type == "trail" and self.trail is not None and self.looked == point:
            return away(self.trail, self.best_before, -1 if self.buys else 1)
        return self.level

    def start_over(self, since: int) -> None:
        """Forget what it has seen; it works from a later point."""
        self.since, self.looked, self.start_price = since, since - 1, None
        self.begun, self.triggered = False, ""


@dataclass(eq=False)
class Combo:
    """Legs that were ordered together, buys first."""

    legs: list[RefOrder]
    atomic: bool
    given_back: bool = False
    reduced: list[RefOrder] = field(default_factory=list)


@dataclass(eq=False)
class Roll:
    """A position that is left for another."""

    leave: RefOrder
    enter: RefOrder
    keep: bool
    kind: str  # of the expiries that it goes on by
    left: Position | None = None  # what it has left


def half_up(x: Fraction) -> int:
    return (2 * x.numerator + x.denominator) // (2 * x.denominator)


def to_tick(x: Fraction) -> int:
    return half_up(x / TICK) * TICK


def away(terms: Terms, entry: Fraction | int, side: int, favourable: bool = False) -> int:
    """Return the level of a bracket, for an entry that bought (side 1) or sold (−1)."""
    unit, value = terms
    if unit == "price":
        return max(to_tick(value), TICK)
    distance = entry * value / 100 if unit == "%" else value * 100
    sign = side if favourable else -side
    return max(to_tick(entry + sign * distance), TICK)


def path_of(bar: Quad) -> list[int]:
    o, h, low, c = bar
    return [o, low, h, c] if abs(o - low) <= abs(h - o) else [o, h, low, c]


def path_for(order: RefOrder, bar: Quad, rules: Rules) -> list[int]:
    """The bar's four prices in the order in which this order sees them."""
    o, h, low, c = bar
    if rules.path == "nearest" or order.kind == "entry" or order.type == "market":
        return path_of(bar)
    high_first = order.buys == (rules.path == "pessimistic")
    return [o, h, low, c] if high_first else [o, low, h, c]


def look(order: RefOrder, point: int, rules: Rules) -> Trade | Skipped | None:
    """What the order does at a point."""
    if point < order.since or point <= order.looked:
        return None
    order.looked, order.best_before = point, order.best
    number, corner = divmod(point, 4)
    bar = order.option.bars[number]
    if bar is None:
        return None
    if order.option.quotes is not None:
        return _quoted(order, number, corner, rules)
    here = path_for(order, bar, rules)[corner]
    first, order.begun = not order.begun, True
    start = here
    if first and point == order.since and order.start_price is not None:
        start = order.start_price
    if order.type == "market":
        return _market(order, number, corner, here)
    if order.type == "limit":
        return _limit(order, corner, here, start, first, rules)
    if order.type == "sl":
        return _stop_limit(order, corner, here, first, rules)
    if rules.stop_check == "close" and order.kind != "entry":
        return _stop_at_close(order, number, corner, here)
    return _stop(order, corner, here, start, first, at_since=point == order.since)


def _market(order: RefOrder, number: int, corner: int, here: int) -> Trade | None:
    if not _together(order, number):
        return None
    if corner < 3 and any(leg.option.quotes is not None for leg in _legs(order)):
        return None  # quotes stand at the close, and all trade at one moment
    return Trade(here, "open" if corner == 0 else "close")


def _legs(order: RefOrder) -> list[RefOrder]:
    """All that trade together with an order, itself included; none where it is alone."""
    if order.roll is not None:
        return [order.roll.leave, order.roll.enter]
    if order.mates is not None and order.mates.atomic:
        return order.mates.legs
    return []


def _together(order: RefOrder, number: int) -> bool:
    """Whether all that trade together can in this bar; an order alone always can."""
    for leg in _legs(order):
        if leg.option.bars[number] is None:
            return False
        if leg.option.quotes is not None and not leg.option.quotes[number][leg.side]:
            return False
    return True


# On a path


def _reached(order: RefOrder, price: int, level: int) -> bool:
    """Whether a price is at or beyond a trigger."""
    return price >= level if order.buys else price <= level


def _through(order: RefOrder, price: int, rules: Rules) -> bool:
    """Whether a price is beyond a limit far enough for it to have traded."""
    by = 0 if rules.limit_touch else TICK
    return price <= order.price - by if order.buys else price >= order.price + by


def _limit(
    order: RefOrder, corner: int, here: int, start: int, first: bool, rules: Rules
) -> Trade | None:
    if first and _through(order, start, rules):
        return Trade(start, "open" if order.start_price is None else "limit")
    if not _through(order, here, rules):
        return None
    if corner == 0 and not first:
        return Trade(here, "open")
    return Trade(order.price, "limit")


def _stop(
    order: RefOrder, corner: int, here: int, start: int, first: bool, at_since: bool
) -> Trade | None:
    """A protected or a trailing stop."""
    level = order.level
    if first and _reached(order, start, level):
        return Trade(start, "trigger" if start == level else "trigger-passed")
    if _reached(order, here, level):
        opens = corner == 0 and not (order.type == "trail" and at_since)
        return Trade(here, "gap") if opens and here != level else Trade(level, "trigger")
    _follow(order, here)
    return None


def _follow(order: RefOrder, price: int) -> None:
    if order.type == "trail":
        order.best = min(order.best, price) if order.buys else max(order.best, price)


def _stop_at_close(order: RefOrder, number: int, corner: int, here: int) -> Trade | None:
    """An exit whose trigger is compared with closes alone; it trades at the next open."""
    if order.triggered:
        return Trade(here, "trigger") if corner == 0 else None
    if corner == 3 and _reached(order, here, order.level):
        order.triggered = "trigger"
    else:
        _follow(order, here)
    return None


def _stop_limit(
    order: RefOrder, corner: int, here: int, first: bool, rules: Rules
) -> Trade | Skipped | None:
    if order.skipped:
        if not _through(order, here, rules):
            return None
        return Trade(here, "open") if corner == 0 else Trade(order.price, "limit")
    trigger = order.trigger
    if not _reached(order, here, trigger):
        return None
    within = here <= order.price if order.buys else here >= order.price
    if not within:  # it has passed the trigger and the limit
        order.skipped = True
        return "skipped"
    if first:
        return Trade(here, "trigger" if here == trigger else "trigger-passed")
    if corner == 0:
        return Trade(here, "trigger" if here == trigger else "gap")
    return Trade(trigger, "trigger")


# At quotes


def _quoted(order: RefOrder, number: int, corner: int, rules: Rules) -> Trade | Skipped | None:
    quote = 0
    if corner == 3 and order.option.quotes is not None:  # quotes stand at the bar's close
        quote = order.option.quotes[number][order.side]
    if order.type == "market":
        able = quote and _together(order, number)
        return Trade(quote, "quote", True) if able else None
    if order.type == "limit" or order.skipped:
        return Trade(quote, "limit", True) if quote and _within(order, quote) else None
    at_close = rules.stop_check == "close" and order.kind != "entry"
    if not order.triggered:
        _watch(order, number, corner, quote, at_close)
    if not order.triggered or not quote or (at_close and order.triggered_in == number):
        return None
    if order.type == "sl" and not _within(order, quote):
        order.skipped = True
        return "skipped"
    return Trade(quote, order.triggered, True)


def _within(order: RefOrder, quote: int) -> bool:
    return quote <= order.price if order.buys else quote >= order.price


def _watch(order: RefOrder, number: int, corner: int, quote: int, at_close: bool) -> None:
    """Look whether a stop on a quoted contract is triggered: by trades, else by its quote."""
    bar, volume = order.option.bars[number], order.option.volume
    traded = volume is None or volume[number] > 0
    if bar is None or not (traded or quote):
        return
    price = path_of(bar)[corner] if traded else quote
    first, order.begun = not order.begun, True
    level = order.level
    if _reached(order, price, level) and (corner == 3 or not at_close):
        passed = first and price != level and not at_close
        order.triggered, order.triggered_in = "trigger-passed" if passed else "trigger", number
    else:
        _follow(order, price)
