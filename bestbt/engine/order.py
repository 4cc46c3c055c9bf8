"""Order (a wish), Fill (a fact), Level (where a stop is, before the entry's price is known)."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Literal, NamedTuple, TypeAlias

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Grid
from bestbt.errors import OrderError
from bestbt.units import Money, Ns, Ordinal, Point, Price, Qty, RawMoney, RawPrice, half_up, money

__all__ = ["Fill", "Level", "Order", "OrderKind", "OrderStatus", "OrderType", "raw_price"]

OrderType: TypeAlias = Literal["market", "slm"]
OrderKind: TypeAlias = Literal["entry", "exit", "stop", "settlement"]
OrderStatus: TypeAlias = Literal["working", "filled", "cancelled", "rejected", "lapsed"]

# A float a hair below a half tick (0.1 + 0.2 is none) is meant as the half, which rounds up.
_HAIR = 1e-7


def raw_price(price: Price, tick: RawPrice, scale: int) -> RawPrice:
    """Return a price as an integer on the contract's tick, nearest, halves up, at least one tick.

    >>> raw_price(375.125, tick=5, scale=100)
    37515
    """
    return max(floor(price * scale / tick + 0.5 + _HAIR), 1) * tick


class Level(NamedTuple):
    """A stop as a trader says it: a price, or percent or points from the entry's fill price.

    The value is `numerator / denominator`, exactly as written.

    >>> Level.parse("25%").trigger(entry=30010, side=-1, tick=5, scale=100)
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

    def trigger(self, entry: RawPrice, side: int, tick: RawPrice, scale: int) -> RawPrice:
        """Raw trigger of a stop for an entry of *side* (+1 long, −1 short), at least one tick."""
        up, down = self.numerator, self.denominator
        if self.unit == "price":
            return raw_price(up / down, tick, scale)
        if self.unit == "percent":
            exact, unit = entry * (100 * down - side * up), 100 * down
        else:
            exact, unit = entry * down - side * up * scale, down
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
            f"{asked!r} is no stop: give a price above zero (101.5), percent of the entry "
            "('25%') or points from it ('30pts')."
        )
    return Level(unit, value.numerator, value.denominator)


class Order:
    """A wish to trade. `qty` is signed units; `trigger` a raw price.

    An order works from the price point `since` on. Brackets of a fill start in the middle of a
    bar, at `start_price`, where their entry traded.
    """

    __slots__ = (
        "begun",
        "columns",
        "contract",
        "fire",
        "fire_price",
        "fire_reason",
        "id",
        "is_exit",
        "kind",
        "left",
        "parent",
        "placed",
        "qty",
        "reason",
        "seen",
        "since",
        "sl",
        "start_price",
        "status",
        "tag",
        "tif",
        "time",
        "trigger",
        "type",
        "until",
    )

    def __init__(
        self,
        id: int,
        contract: Contract,
        qty: Qty,
        *,
        type: OrderType,
        kind: OrderKind,
        placed: Ordinal,
        time: Ns,
        since: Point,
        trigger: RawPrice = 0,
        start_price: RawPrice | None = None,
        until: Ordinal | None = None,
        sl: Level | None = None,
        parent: int | None = None,
        tif: Literal["day", "gtc"] = "day",
        tag: str = "",
    ) -> None:
        self.id, self.contract, self.qty = id, contract, qty
        self.left = qty  # what it would still trade: a stop shrinks with what it protects
        self.type: OrderType = type
        self.kind: OrderKind = kind
        self.is_exit = kind != "entry"  # reduce-only
        self.columns = contract.columns  # loaded by now, if they were not
        self.placed, self.time, self.since, self.until = placed, time, since, until
        self.trigger, self.start_price = trigger, start_price
        self.sl, self.parent, self.tag = sl, parent, tag
        self.tif: Literal["day", "gtc"] = tif
        self.status: OrderStatus = "working"
        self.reason = ""
        # Where it first touches: found once and remembered, since a path never changes.
        self.seen: Point = since
        self.begun = False  # whether its first live point has been looked at
        self.fire: Point | None = None
        self.fire_price: RawPrice = 0
        self.fire_reason = ""

    def __repr__(self) -> str:
        side = "BUY" if self.qty > 0 else "SELL"
        at = f" at {self.trigger / self.contract.spec.scale:g}" if self.trigger else ""
        return (
            f"<Order {self.id} {side} {abs(self.qty)} {self.contract.name} {self.type}{at}, "
            f"{self.status}{': ' + self.reason if self.reason else ''}>"
        )


class Fill(NamedTuple):
    """A trade that happened; never changed afterwards.

    `raw_price` is what was paid or received per unit, slippage included; `raw_slippage` the part
    of it that slippage cost. `reason` is one of open, close, trigger, gap, trigger-passed,
    settlement; `kind` one of entry, exit, stop, settlement.
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

    def __repr__(self) -> str:
        return (
            f"<Fill {self.time:%Y-%m-%d %H:%M} {self.side} {abs(self.qty)} {self.contract.name} "
            f"at {self.price:g}, {self.kind} ({self.reason})>"
        )
