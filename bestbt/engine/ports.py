"""What the engine asks of others: prices (`Feed`), dated facts (`Market`), trades (`Exchange`).

A test satisfies each in a few lines; the store and the market tables satisfy them in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from bestbt.engine.grid import Grid, Session
from bestbt.engine.prices import PriceColumns
from bestbt.units import Ns, Ordinal, Point, Qty, RawMoney, RawPrice, Right

if TYPE_CHECKING:  # the seam to a broker speaks of orders; nothing of them is needed to run this
    from bestbt.engine.order import Order

__all__ = [
    "AssetType",
    "ContractSpec",
    "Exchange",
    "Expiry",
    "ExpiryKind",
    "FeeModel",
    "Feed",
    "Listing",
    "LotChange",
    "Market",
    "SettlementRule",
    "Trade",
]

AssetType: TypeAlias = Literal["index", "equity", "future", "option"]
ExpiryKind: TypeAlias = Literal["weekly", "monthly"]


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """What identifies a contract, and its dated terms.

    `lot` is in units and `tick` a raw price: both belong to the contract on its dates and are
    never constants of a market. A lot that changes in a contract's life is here as it is at the
    end; the run's `Contract.lot` is that of the day. `token` is the exchange's own number for it,
    where a source says.

    >>> str(ContractSpec("option", "NIFTY", date(2024, 2, 29), 22000.0, "CE", lot=50, tick=5))
    'NIFTY 2024-02-29 22000 CE'
    """

    asset: AssetType
    symbol: str  # of the underlying
    expiry: date | None = None
    strike: float | None = None
    right: Right | None = None
    lot: int = 1
    tick: RawPrice = 5
    scale: int = 100  # raw price of one unit of currency
    exchange: str = "NSE"
    token: str | None = field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:  # of what tells contracts apart: it is asked often
        return hash((self.symbol, self.expiry, self.strike, self.right))

    def __str__(self) -> str:
        if self.asset == "option":
            return f"{self.symbol} {self.expiry} {self.strike:g} {self.right}"
        if self.asset == "future":
            return f"{self.symbol} {self.expiry} FUT"
        return self.symbol


@dataclass(frozen=True, slots=True)
class Expiry:
    """One expiry of a symbol, and the bar from which a contract of it is listed.

    0 stands for the grid's first bar or any time before.
    """

    day: date
    kind: ExpiryKind
    first: Ordinal = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """A contract of a chain and the bar from which it is listed (0 if before the grid)."""

    spec: ContractSpec
    first: Ordinal


class Feed(Protocol):
    """Prices of one run on its grid. Loading is lazy: `columns` is asked at first use."""

    @property
    def grid(self) -> Grid:
        """The grid of the run, warm-up sessions included."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What a run's log is to say of its prices as it begins."""
        ...

    def spot(self, symbol: str) -> ContractSpec:
        """Return the index or equity of that name; `ContractNotFound` when there is none."""
        ...

    def expiries(self, symbol: str, asset: AssetType = "option") -> Sequence[Expiry]:
        """All expiries of a symbol listed by the grid's end, from its first day on, by date."""
        ...

    def listed(self, symbol: str, expiry: date) -> Sequence[Listing]:
        """All option contracts of an expiry, by strike, calls before puts."""
        ...

    def future(self, symbol: str, expiry: date) -> ContractSpec | None:
        """Return the future of an expiry, or None where none is stored."""
        ...

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Prices from the contract's first live bar on the grid to its end; None: no live bar."""
        ...

    def official_close(self, symbol: str, day: date) -> RawPrice | None:
        """Return the stored official closing value of an index, for settlement."""
        ...

    def settlement_price(self, spec: ContractSpec, day: date) -> RawPrice | None:
        """Return the stored price on which a future was settled at the end of a day."""
        ...


@dataclass(frozen=True, slots=True)
class SettlementRule:
    """How an index's final settlement value comes about on a day, without its official close.

    With `window` it is estimated as the mean of (O+H+L+C)/4 over the last `window` of the
    session; with `after` it is the index's first value at or after that local time of day.
    """

    window: Ns | None
    after: Ns | None = None


class LotChange(NamedTuple):
    """A lot that changes while a contract runs, with the session of a day.

    The lot after the last one is that of the contract's `ContractSpec`.
    """

    day: date
    before: int


@runtime_checkable
class FeeModel(Protocol):
    """Named charges; amounts are raw money and positive. A zero charge is left out."""

    def fill(
        self, day: date, spec: ContractSpec, qty: Qty, price: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Charges of one executed order of *qty* signed units at a raw price."""
        ...

    def exercise(
        self, day: date, spec: ContractSpec, qty: Qty, intrinsic: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Charges of settling *qty* held units at a raw intrinsic value."""
        ...

    def day_end(
        self, day: date, spec: ContractSpec, charged: Mapping[str, RawMoney]
    ) -> Mapping[str, RawMoney]:
        """Corrections to a contract's charges of the day (tax is rounded per contract and day).

        *charged* holds what was charged by name; the corrections may be negative.
        """
        ...


class Market(Protocol):
    """Dated facts of an exchange: never constants in the engine."""

    @property
    def tz(self) -> str:
        """IANA time zone of the exchange."""
        ...

    @property
    def currency(self) -> str:
        """Currency sign or code."""
        ...

    def vix(self, symbol: str) -> str | None:
        """Name of the volatility index of a symbol; None where there is none."""
        ...

    def sessions(self, start: date, end: date, segment: str = "derivatives") -> Sequence[Session]:
        """Trading days of an inclusive range of dates; `NoSchedule` where unknown."""
        ...

    def expiry_kind(self, symbol: str, expiry: date) -> ExpiryKind:
        """Whether an expiry date is a weekly or a monthly one of the symbol."""
        ...

    def lot_changes(self, symbol: str, expiry: date) -> Sequence[LotChange]:
        """Changes of lot in the life of the contracts of an expiry, by day; none as a rule."""
        ...

    def settlement(self, symbol: str, day: date) -> SettlementRule:
        """Return the rule for final settlement on a day."""
        ...

    def settles_in_kind(self, symbol: str, expiry: date) -> bool:
        """Whether the derivatives of a share settle in shares; asked of shares only."""
        ...

    def fees(self) -> FeeModel:
        """Return the market's dated charges."""
        ...


class Trade(Protocol):
    """An order's trade as the exchange reports it, or the skipping of a stop-limit."""

    order: Order
    fire: Point | None  # when, on the price path
    price: RawPrice  # before slippage
    reason: str
    skips: bool  # nothing traded: the price ran past the limit
    columns: PriceColumns | None


class Exchange(Protocol):
    """Orders out, trades in: the seam where a live broker would be plugged."""

    working: list[Order]

    def submit(self, order: Order, legs: Sequence[Order] = ()) -> None:
        """Take an order; with *legs*, one that trades only together with them."""
        ...

    def remove(self, order: Order) -> None:
        """Forget an order that has ended."""
        ...

    def renew(self, order: Order) -> None:
        """Look anew for an order whose terms or start have changed."""
        ...

    def rest(self, order: Order, point: Point) -> None:
        """Go on with a skipped stop-limit as a limit."""
        ...

    def level(self, order: Order, point: Point) -> RawPrice:
        """Raw price an order waits for, as known at a point; 0 where it waits for none."""
        ...

    def next_event(self, horizon: Ordinal) -> Ordinal:
        """First bar up to the horizon in which an order trades or its wait ends, else horizon."""
        ...

    def match(self, bar: Ordinal) -> Trade | None:
        """Return what trades first up to the end of a bar; None when nothing does."""
        ...

    def slippage(self, trade: Trade, point: Point) -> RawPrice:
        """Raw slippage of a trade at a point."""
        ...

    def waited_out(self, bar: Ordinal) -> Sequence[Order]:
        """Entries whose wait for a live bar ends with this bar."""
        ...
