"""Order (a wish), Fill (a fact), Level (where an exit is, before the entry's price is known)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Grid
from bestbt.errors import OrderError
from bestbt.units import (
    POINTS,
    Money,
    Ns,
    Ordinal,
    Point,
    Price,
    Qty,
    RawMoney,
    RawPrice,
    half_up,
    money,
)

if TYPE_CHECKING:  # what a fill's position is
    from bestbt.engine.position import Position

__all__ = [
    "Brackets",
    "Buy",
    "Change",
    "Combo",
    "Fill",
    "Level",
    "Order",
    "OrderKind",
    "OrderStatus",
    "OrderType",
    "Sell",
    "TimeInForce",
    "Trail",
    "made",
    "raw_price",
]

OrderType: TypeAlias = Literal["market", "limit", "sl", "slm", "trail"]
OrderKind: TypeAlias = Literal["entry", "exit", "stop", "target", "roll", "settlement"]
OrderStatus: TypeAlias = Literal["working", "filled", "cancelled", "rejected", "lapsed"]
TimeInForce: TypeAlias = Literal["day", "gtc", "gtd"]

_MAX_DENOMINATOR = 10_000  # four decimals of percent or points: a level stays within 64 bits
_MAX_LEVEL = 10_000_000
# A float a hair below a half tick (0.1 + 0.2 is none) is meant as the half, which rounds up.
_HAIR = 1e-7

# A named tuple from a tuple of all its values, for the three that each trade makes: calling the
# class costs half as much again.
made = tuple.__new__


def raw_price(price: Price, tick: RawPrice, scale: int) -> RawPrice:
    """Return a price as an integer on the contract's tick, nearest, halves up, at least one tick.

    >>> raw_price(375.125, tick=5, scale=100)
    37515
    """
    return max(floor(price * scale / tick + 0.5 + _HAIR), 1) * tick


class Level(NamedTuple):
    """An exit as a trader says it: a price, or percent or points from the entry's fill price.

    The value is `numerator / denominator`, exactly as written.

    >>> Level.parse("25%").away(30010, side=-1, tick=5, scale=100)
    37515
    """

    unit: Literal["price", "percent", "points"]
    numerator: int
    denominator: int

    @classmethod
    def parse(cls, text: Price | str) -> Level:
        """Read `25.5`, `"25%"` or `"30pts"`; anything else, and zero or less, is refused.

        So is text without a unit: who writes `"25"` may mean percent.
        """
        return _parse_level(text) if isinstance(text, str) else _level("price", text, text)

    @classmethod
    def distance(cls, text: Price | str, tick: RawPrice, scale: int) -> Level:
        """Read how far a trailing stop follows: `"25%"`, `"30pts"`, or a number of points."""
        level = cls.parse(text)
        if level.unit != "price":
            return level
        return cls("points", raw_price(level.numerator / level.denominator, tick, scale), scale)

    def away(
        self, entry: RawPrice, side: int, tick: RawPrice, scale: int, units: int = 1
    ) -> RawPrice:
        """Raw price of the level on the tick, at least one tick.

        Percent and points are taken off the entry for *side* +1 (the stop of a long entry, the
        target of a short one) and added for −1. With *units*, *entry* is the sum of so many prices,
        and the level is measured from their average.
        """
        up, down = self.numerator, self.denominator
        if self.unit == "price":
            return raw_price(up / down, tick, scale)
        if self.unit == "percent":
            exact, unit = entry * (100 * down - side * up), 100 * down * units
        else:
            exact, unit = entry * down - side * up * scale * units, down * units
        return max(half_up(exact, unit * tick), 1) * tick


@lru_cache(maxsize=256)
def _parse_level(text: str) -> Level:
    number = text.strip().lower()
    if number.endswith("%"):
        return _level("percent", number[:-1], text)
    if number.endswith("pts"):
        return _level("points", number[:-3], text)
    _level("price", number, text)  # refused here if it is no number at all
    raise OrderError(
        f"{text!r} has no unit: write '{number}%', '{number}pts', or {number} without quotes if it "
        "is a price."
    )


def _level(
    unit: Literal["price", "percent", "points"], number: Price | str, asked: Price | str
) -> Level:
    try:
        value = Fraction(number)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        value = Fraction(0)
    if isinstance(asked, bool) or value <= 0:
        raise OrderError(
            f"{asked!r} is no level: give a price above zero (101.5), percent of the entry "
            "('25%') or points from it ('30pts')."
        )
    if unit != "price" and _MAX_DENOMINATOR % value.denominator:
        raise OrderError(f"{asked!r}: give at most four decimals.")
    if value > _MAX_LEVEL:
        raise OrderError(f"{asked!r} is no level: it is more than {_MAX_LEVEL:,}.")
    return Level(unit, value.numerator, value.denominator)


class Brackets(NamedTuple):
    """The exits that an entry's fill is to have; at least one is not None."""

    sl: Level | None
    trail: Level | None
    target: Level | None


class Trail(NamedTuple):
    """How a trailing stop follows: its distance, and the raw price that it starts from."""

    distance: Level
    start: RawPrice


class Buy(NamedTuple):
    """A leg of a combo: buy lots of a contract."""

    contract: Contract | None
    lots: int

    @property
    def side(self) -> int:
        """+1."""
        return 1


class Sell(NamedTuple):
    """A leg of a combo: sell lots of a contract."""

    contract: Contract | None
    lots: int

    @property
    def side(self) -> int:
        """−1."""
        return -1


class Combo:
    """Entries that belong together: what is sold waits for what is bought."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self.orders = orders
        self.filled: list[Order] = []
        self.opened: set[int] = set()  # ids of those that opened or added, and closed nothing

    @property
    def waits(self) -> bool:
        """Whether something is still to be bought, or can be bought no more."""
        return any(o.qty > 0 and o.status != "filled" for o in self.orders)


class Change(NamedTuple):
    """What an order said before it was modified, and when that was."""

    time: Ns  # UTC
    raw_trigger: RawPrice
    raw_price: RawPrice
    qty: Qty


class Order:
    """A wish to trade. `qty` is signed units; `raw_price` is a limit, `raw_trigger` a stop.

    An order works from the price point `since` on. Brackets of a fill start in the middle of a
    bar, at `start_price`, where their entry traded on the path. Who places it sets what not every
    order has: levels, brackets, ends.
    """

    __slots__ = (
        "brackets",
        "changes",
        "contract",
        "first",
        "id",
        "is_exit",
        "kind",
        "left",
        "level",
        "lifetime",
        "parent",
        "placed",
        "qty",
        "raw_price",
        "raw_trigger",
        "reason",
        "since",
        "skipped",
        "start_price",
        "status",
        "tag",
        "tif",
        "time",
        "trail",
        "type",
        "until",
        "why",
    )

    def __init__(
        self,
        id: int,
        contract: Contract,
        qty: Qty,
        type: OrderType,
        kind: OrderKind,
        placed: Ordinal,
        time: Ns,
        since: Point,
        tag: str = "",
        tif: TimeInForce = "day",
    ) -> None:
        self.id, self.contract, self.qty = id, contract, qty
        self.left = qty  # what it would still trade: a stop shrinks with what it protects
        self.type: OrderType = type
        self.kind: OrderKind = kind
        self.is_exit = kind != "entry"  # reduce-only
        self.placed, self.time, self.since = placed, time, since
        self.first: Ordinal = since // POINTS  # bar in which it could first trade
        self.tag = tag
        self.tif: TimeInForce = tif
        self.until: Ordinal | None = None  # last bar of its wait for a live price
        self.lifetime: Ordinal | None = None  # last bar of its life
        self.raw_trigger: RawPrice = 0
        self.raw_price: RawPrice = 0
        self.start_price: RawPrice | None = None
        self.brackets: Brackets | None = None
        self.trail: Trail | None = None
        self.level: Level | None = None  # of an exit: as it was said, for a roll to take along
        self.parent: int | None = None  # of an exit of one fill: the fill's id
        self.why = ""  # reason of its fill, where that is not the price's
        self.status: OrderStatus = "working"
        self.reason = ""
        self.changes: tuple[Change, ...] = ()
        self.skipped = False  # a stop-limit that its price has run past: it is a limit now

    @property
    def price(self) -> Price | None:
        """Limit in currency per unit; None where it has none."""
        return self.raw_price / self.contract.spec.scale if self.raw_price else None

    @property
    def trigger(self) -> Price | None:
        """Trigger in currency per unit; None where it has none.

        Of a trailing stop the first one, and once it has filled the one that it filled at.
        """
        return self.raw_trigger / self.contract.spec.scale if self.raw_trigger else None

    def __repr__(self) -> str:
        side = "BUY" if self.qty > 0 else "SELL"
        at = f" at {self.trigger:.10g}" if self.raw_trigger else ""
        limit = f" limit {self.price:.10g}" if self.raw_price else ""
        return (
            f"<Order {self.id} {side} {abs(self.qty)} {self.contract.name} {self.type}{at}{limit}, "
            f"{self.status}{': ' + self.reason if self.reason else ''}>"
        )


class Fill(NamedTuple):
    """A trade that happened; never changed afterwards.

    `raw_price` is what was paid or received per unit, slippage included; `raw_slippage` the part
    of it that slippage cost. `reason` is one of open, close, quote, limit, trigger, gap,
    trigger-passed, settlement, square-off, roll, intervention; `kind` one of entry, exit, stop,
    target, roll, settlement.
    """

    id: int
    point: Point
    order: Order
    contract: Contract
    qty: Qty
    raw_price: RawPrice
    raw_slippage: RawPrice
    reason: str
    kind: OrderKind
    raw_charges: dict[str, RawMoney]
    grid: Grid

    @property
    def bar(self) -> Ordinal:
        """Bar in which it traded."""
        return self.point // 4

    @property
    def time(self) -> datetime:
        """Exchange local start of the bar in which it traded."""
        return self.grid.local(self.bar)

    @property
    def side(self) -> str:
        """`"BUY"` or `"SELL"`."""
        return "BUY" if self.qty > 0 else "SELL"

    @property
    def price(self) -> Price:
        """Price per unit, slippage included."""
        return self.raw_price / self.contract.spec.scale

    @property
    def slippage(self) -> Price:
        """Slippage per unit, zero or positive."""
        return self.raw_slippage / self.contract.spec.scale

    @property
    def charges(self) -> Money:
        """All charges of this fill together."""
        return money(sum(self.raw_charges.values()))

    @property
    def tag(self) -> str:
        """Tag of its order."""
        return self.order.tag

    @property
    def position(self) -> Position | None:
        """What is held of its contract now."""
        return self.contract.position

    def __repr__(self) -> str:
        seconds = ":%S" if self.time.second else ""
        return (
            f"<Fill {self.time:%Y-%m-%d %H:%M{seconds}} {self.side} {abs(self.qty)} "
            f"{self.contract.name} at {self.price:.10g}, {self.kind} ({self.reason})>"
        )
