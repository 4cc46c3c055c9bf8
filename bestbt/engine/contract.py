"""Contract: one instrument of one run, read at the run's clock.

Every asset type answers the same names. A contract is `INACTIVE` until its prices are first
asked for (or an order needs them), `ACTIVE` from then on, `EXPIRED` once settled.
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from bestbt.engine.blocks import Blocking
from bestbt.engine.grid import Clock, Grid
from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.engine.prices import PriceColumns
from bestbt.errors import InvariantError, OrderError, UsageError, did_you_mean
from bestbt.units import MONEY_SCALE, Money, Ordinal, Price, Qty, RawPrice, Right

if TYPE_CHECKING:  # what a contract's own verbs hand back
    from bestbt.engine.chain import OptionChain
    from bestbt.engine.order import Order, OrderKind, OrderType, TimeInForce
    from bestbt.engine.position import Position

__all__ = ["Columns", "Contract", "ContractState", "Followed", "Option", "Trader"]

# Opens, highs, lows and closes, each with an entry for each bar of the grid.
Columns: TypeAlias = tuple[Sequence[Price], Sequence[Price], Sequence[Price], Sequence[Price]]

_NAN = math.nan
_TERMS = (
    *("lots", "qty", "type", "price", "trigger", "sl", "target", "trail", "tif", "until", "tag"),
)


class ContractState(enum.Enum):
    """Where a contract stands in one run."""

    INACTIVE = "inactive"  # listed; no prices in memory
    ACTIVE = "active"  # its prices are loaded: it can be traded and is marked each bar
    EXPIRED = "expired"  # settled; orders are refused


class Trader(Protocol):
    """What a contract's verbs need: the desk of its run."""

    grid: Grid

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Load the prices of a contract."""
        ...

    def enter(
        self,
        contract: Contract | None,
        side: int,
        lots: int | None = None,
        qty: Qty | None = None,
        type: OrderType = "market",
        price: Price | None = None,
        trigger: Price | None = None,
        sl: Price | str | None = None,
        target: Price | str | None = None,
        trail: Price | str | None = None,
        tif: TimeInForce = "day",
        until: date | None = None,
        tag: str = "",
    ) -> Order | None:
        """Place an order that opens or adds."""
        ...

    def set_exit(
        self, contract: Contract, kind: OrderKind, level: Price | str | None
    ) -> Order | None:
        """Put one stop or target on a whole position."""
        ...

    def waiting_price(self, contract: Contract, kind: OrderKind) -> Price | None:
        """Price of the stop or target that comes first."""
        ...

    def exit(self, contract: Contract) -> Order | None:
        """Place the order that closes what is held of a contract."""
        ...

    def roll(
        self,
        contract: Contract,
        to: Contract | date | str | None = None,
        expiry: date | str | None = None,
        if_unfilled: Literal["exit", "keep"] = "exit",
    ) -> Order | None:
        """Leave a contract and enter its twin in another."""
        ...

    def position(self, contract: Contract) -> Position | None:
        """Return the open position in a contract."""
        ...

    def pnl(self, contract: Contract) -> Money:
        """Realized and unrealized profit in a contract."""
        ...

    def bars(self, contract: Contract, timeframe: str, n: int | None) -> npt.NDArray[np.void]:
        """Return closed bars of a timeframe."""
        ...

    def sessions_left(self, expiry: date) -> int:
        """Sessions left until an expiry; 0 on its day."""
        ...

    def follow(self, contract: Contract, columns: Columns) -> None:
        """Take note that all four columns of a contract are read in this session."""
        ...

    def chain(self, symbol: str, expiry: date) -> OptionChain:
        """Return the chain of an expiry."""
        ...

    def blocking(
        self,
        verb: str,
        n: Any = 1,
        *,
        symbol: str | None = None,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Do what a verb of `blocks.Blocking` says."""
        ...

    def blocked(self, symbol: str, tag: str = "") -> bool:
        """Whether an entry would be refused by a block."""
        ...


class _Last(NamedTuple):
    """What stays of a contract's prices when they are let go.

    `held` has the first bar and the marks of each time that it was held, for equity by bar.
    """

    newest: Ordinal  # its newest live bar
    price: Price
    mark: RawPrice
    volume: int | None
    oi: int | None
    bid: Price | None
    ask: Price | None
    held: list[tuple[Ordinal, npt.NDArray[np.int32]]]


class Contract(Blocking):
    """One instrument of one run.

    Prices are floats in currency per unit at the run's clock: those of the newest closed bar,
    `nan` before the contract's first live bar. `age` counts bars since it last had a live price;
    `price` is the newest live close. Contracts belong to one run: after a rewind, reading one
    from before it raises `StaleHandle`. When the session in which it settled is over its prices
    are let go; the last ones can still be read.
    """

    # Slots: a change of class (see `Followed`) makes CPython look up all others in a dict.
    __slots__ = (
        *("_clock", "_close", "_columns", "_desk", "_high", "_last", "_loaded", "_low", "_name"),
        *("_now_close", "_now_high", "_now_low", "_now_open", "_open", "asset", "expiry", "factor"),
        *("is_expired", "is_tradable", "lot", "right", "spec", "strike", "symbol", "tick"),
        "times_held",
    )
    _now_close: Price
    _now_high: Price
    _now_low: Price
    _now_open: Price

    def __init__(self, spec: ContractSpec, clock: Clock, desk: Trader) -> None:
        self.spec = spec
        self.asset: AssetType = spec.asset
        self.symbol = spec.symbol
        self.expiry: date | None = spec.expiry
        self.strike: float | None = spec.strike
        self.right: Right | None = spec.right
        self.lot = spec.lot
        self.tick: Price = spec.tick / spec.scale
        self.is_expired = False
        self.is_tradable = spec.asset != "index"  # whether orders in it make sense
        self.factor = MONEY_SCALE // spec.scale  # raw price × units × factor = raw money
        if self.factor * spec.scale != MONEY_SCALE:
            raise InvariantError(f"{self.name}: price scale {spec.scale} does not divide 10,000.")
        self._clock = clock
        self._desk = desk
        self._name = ""  # made when first asked for
        self._loaded = False
        self._columns: PriceColumns | None = None
        self._last: _Last | None = None  # once its prices are let go
        self.times_held: list[tuple[Ordinal, Ordinal]] = []  # first and last bar; over by now
        self._open: Sequence[Price] = ()
        self._high: Sequence[Price] = ()
        self._low: Sequence[Price] = ()
        self._close: Sequence[Price] = ()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def name(self) -> str:
        """How tables write it: `NIFTY 2024-02-29 22000 CE`."""
        # Not a cached_property: it would touch the instance's __dict__, which slows every other
        # attribute of the instance from then on (CPython keeps them in place only until then).
        if not self._name:
            self._name = str(self.spec)
        return self._name

    @property
    def _prices(self) -> PriceColumns | None:
        """The price columns, loaded when first asked for; None: no live bar in this run.

        For the engine alone: they hold the future.
        """
        if not self._loaded:
            if self._last is not None:  # let go: they are lent, and not kept again
                return self._desk.columns(self.spec)
            self._columns = self._desk.columns(self.spec)
            self._loaded = True  # last: another thread may be reading
        return self._columns

    def let_go(self) -> None:
        """Give up the prices of a contract that has settled, but for the last and those held."""
        columns = self._columns
        if columns is None:
            return
        first, newest = columns.first, columns.n - 1
        if not columns.all_live:
            newest -= int(columns.live[::-1].argmax())
        marks = columns.marks
        held: list[tuple[Ordinal, npt.NDArray[np.int32]]] = []
        for opened, closed in self.times_held:
            held.append((opened, marks[opened - first : closed + 1 - first].copy()))
        self._last = _Last(
            first + newest,
            columns.points.item(-1) / columns.scale,
            marks.item(-1),
            columns.last("volume"),
            columns.last("oi"),
            None if columns.bid is None else self.bid,
            None if columns.ask is None else self.ask,
            held,
        )
        # Last: another thread may be reading.
        self._loaded, self._columns = False, None
        self.unread()

    def marks(self, bar: Ordinal, until: Ordinal) -> npt.NDArray[np.int32]:
        """Raw marks of bars of one time that it was held, shape ``(until − bar,)``."""
        columns = self._columns
        if columns is None and self._last is not None:
            held = self._last.held
            first, marks = held[bisect_right(held, bar, key=itemgetter(0)) - 1]
            return marks[bar - first : until - first]
        if columns is None:
            raise InvariantError(f"{self.name} was held and has no price.")
        return columns.marks[bar - columns.first : until - columns.first]

    # Prices at the clock. What is watched at every bar costs one index into a tuple with an entry
    # for each bar of the grid, made when first read; the entry behind the last serves a clock that
    # stands before the first bar (−1).

    def _fill_in(self, column: str) -> Price:
        """Make the tuple of a column at its first read; return its price at the clock."""
        if self._last is not None:
            return self._last.price
        prices, bars = self._prices, self._desk.grid.n
        made = (_NAN,) * (bars + 1) if prices is None else prices.on_grid(column, bars)
        setattr(self, f"_{column}", made)
        columns = self._open, self._high, self._low, self._close
        if all(columns):
            self._desk.follow(self, columns)
        return made[self._clock.bar]

    def unread(self) -> None:
        """Forget which columns have been read."""
        self._open = self._high = self._low = self._close = ()

    @property
    def price(self) -> Price:
        """Newest live close."""
        try:
            return self._close[self._clock.bar]
        except IndexError:
            return self._fill_in("close")

    close = price

    @property
    def open(self) -> Price:
        """Open of the newest closed bar (of a stale one: the last live close)."""
        try:
            return self._open[self._clock.bar]
        except IndexError:
            return self._fill_in("open")

    @property
    def high(self) -> Price:
        """High of the newest closed bar."""
        try:
            return self._high[self._clock.bar]
        except IndexError:
            return self._fill_in("high")

    @property
    def low(self) -> Price:
        """Low of the newest closed bar."""
        try:
            return self._low[self._clock.bar]
        except IndexError:
            return self._fill_in("low")

    def _offset(self) -> int:
        """Index of the newest closed bar in the columns; -1 where there is none."""
        columns = self._prices
        if columns is None:
            return -1
        return min(self._clock.bar - columns.first, columns.n - 1)

    def _age(self) -> int | None:
        """Bars since the last live price, 0 when this bar is live; None before the first."""
        if self._last is not None:
            return self._clock.bar - self._last.newest
        columns = self._columns or self._prices
        if columns is None or (since := self._clock.bar - columns.first) < 0:
            return None
        i = since if since < columns.n else columns.n - 1
        return since - (i if columns.all_live or columns.live[i] else columns.newest[i])

    age = property(_age)

    @property
    def volume(self) -> int | None:
        """Units traded in the newest closed bar; None where the source has no volume."""
        return self._count("volume")

    @property
    def oi(self) -> int | None:
        """Open interest in units at the newest closed bar; None where the source has none."""
        return self._count("oi")

    def _count(self, column: Literal["volume", "oi"]) -> int | None:
        if self._last is not None:
            return self._last.volume if column == "volume" else self._last.oi
        i = self._offset()
        array = getattr(self._prices, column) if i >= 0 else None
        return None if array is None else int(array[i])

    @property
    def bid(self) -> Price | None:
        """Best bid at the newest bar's close; None where there was none."""
        return self._quote("bid")

    @property
    def ask(self) -> Price | None:
        """Best ask at the newest bar's close; None where there was none."""
        return self._quote("ask")

    def _quote(self, side: Literal["bid", "ask"]) -> Price | None:
        if self._last is not None:
            return self._last.bid if side == "bid" else self._last.ask
        i = self._offset()
        array = getattr(self._prices, side) if i >= 0 else None
        raw = 0 if array is None else int(array[i])
        return raw / self.spec.scale if raw > 0 else None

    @property
    def mark(self) -> RawPrice:
        """Raw price the books are marked with; 0 before the first.

        The newest live close, or the middle of bid and ask where that bar has both.
        """
        if self._last is not None:
            return self._last.mark
        columns = self._columns or self._prices
        if columns is None:
            return 0
        i = min(self._clock.bar, columns.end - 1) - columns.first
        return columns.marks.item(i) if i >= 0 else 0

    def above(self, level: Price) -> bool:
        """Whether its price is above a level; False while it has no price."""
        return self.price > level

    def below(self, level: Price) -> bool:
        """Whether its price is below a level; False while it has no price."""
        return self.price < level

    def bars(self, timeframe: str, n: int | None = None) -> npt.NDArray[np.void]:
        """Return the newest closed bars of a timeframe, oldest first.

        A bar that has not closed yet is not among them: nothing of the future is seen.

        Parameters
        ----------
        timeframe
            `"5min"`, `"1h"`: a multiple of the run's bar, aligned to each session's open; the last
            of a session may be shorter.
        n
            How many, one or more; fewer where there are no more. Without it: all since its first
            live bar, warm-up sessions included.

        Returns
        -------
        numpy.ndarray
            Structured, shape ``(n,)``: time (the bar's start, exchange local), open, high, low,
            close (currency per unit), volume and oi (units; nan where the source has none). A
            timeframe bar without a trade repeats the last close.

        Raises
        ------
        UsageError
            For a timeframe that is no multiple of the run's bar, or no number of bars.

        Examples
        --------
        >>> from bestbt.engine.strategy import Strategy
        >>> from bestbt.testing import MemoryFeed, simulate
        >>> class Reader(Strategy):
        ...     def on_bar(self):
        ...         closed = self.spot.bars("2min", 2)
        ...         self.log(str(closed["close"].tolist()))
        >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
        >>> feed.add_index([100, 101, 102, 103, 104])
        >>> [line.text for line in simulate(Reader, feed).result.log]
        ['[]', '[101.0]', '[101.0]', '[101.0, 103.0]', '[103.0, 104.0]']
        """
        return self._desk.bars(self, timeframe, n)

    # Greeks, per unit: those of whatever is no option, which moves with itself.

    @property
    def iv(self) -> float:
        """Implied volatility a year, as a fraction (0.15 is 15 %); nan where there is none."""
        return _NAN

    @property
    def delta(self) -> float:
        """Change of the price when the underlying's forward rises by 1."""
        return 1.0

    @property
    def gamma(self) -> float:
        """Change of delta when the forward rises by 1."""
        return 0.0

    @property
    def theta(self) -> float:
        """Change of the price in a calendar day."""
        return 0.0

    @property
    def vega(self) -> float:
        """Change of the price per vol point."""
        return 0.0

    # State and verbs.

    @property
    def state(self) -> ContractState:
        """Whether the contract is inactive, active or expired."""
        if self.is_expired:
            return ContractState.EXPIRED
        return ContractState.ACTIVE if self._loaded else ContractState.INACTIVE

    @property
    def is_active(self) -> bool:
        """Whether its prices are loaded and it is not settled."""
        return self.state is ContractState.ACTIVE

    @property
    def dte(self) -> int | None:
        """Sessions left until expiry, 0 on its day; None where nothing expires."""
        return None if self.expiry is None else self._desk.sessions_left(self.expiry)

    @property
    def position(self) -> Position | None:
        """The open position in this contract."""
        return self._desk.position(self)

    def buy(self, lots: int | None = None, **terms: Any) -> Order | None:
        """Buy; see `Strategy.buy`."""
        return self._desk.enter(self, +1, lots=lots, **_known("buy", terms))

    def sell(self, lots: int | None = None, **terms: Any) -> Order | None:
        """Sell; see `Strategy.sell`."""
        return self._desk.enter(self, -1, lots=lots, **_known("sell", terms))

    def exit(self) -> Order | None:
        """Close what is held of it at the next bar."""
        return self._desk.exit(self)

    def roll(
        self,
        to: Contract | date | str | None = None,
        expiry: date | str | None = None,
        if_unfilled: Literal["exit", "keep"] = "exit",
    ) -> Order | None:
        """Close what is held of it and open the twin in another contract; see `Strategy.roll`."""
        return self._desk.roll(self, to, expiry, if_unfilled)

    def set_sl(self, level: Price | str | None) -> Order | None:
        """Put one stop on all that is held of it; see `Position.set_sl`."""
        return self._desk.set_exit(self, "stop", level)

    def set_target(self, level: Price | str | None) -> Order | None:
        """Put one target on all that is held of it; see `Position.set_target`."""
        return self._desk.set_exit(self, "target", level)

    def add(self, lots: int | None = None, **terms: Any) -> Order | None:
        """Buy more of what is long, sell more of what is short; see `Position.add`."""
        position = self.position
        if position is None:
            raise OrderError(f"add({self.name}): nothing of it is held; buy or sell.")
        return position.add(lots, **terms)

    def get_pnl(self) -> Money:
        """Realized and unrealized profit in this contract, before charges."""
        return self._desk.pnl(self)

    @property
    def blocked(self) -> bool:
        """Whether a block is on over untagged entries in its underlying."""
        return self._desk.blocked(self.symbol)

    def _blocking(self, verb: str, *args: Any, **terms: Any) -> None:
        """Say a verb of blocks for its underlying."""
        asked = terms.pop("symbol", None)
        if asked not in (None, self.symbol):
            raise UsageError(
                f"{self.name}.{verb}(symbol={asked!r}): its symbol is {self.symbol!r}; block "
                "another one from the strategy."
            )
        self._desk.blocking(verb, *args, symbol=self.symbol, **terms)


def _known(verb: str, terms: dict[str, Any]) -> dict[str, Any]:
    """Refuse an unknown option of an order by name."""
    for name in terms:
        if name not in _TERMS:
            raise OrderError(f"{verb}() has no option {name!r}. {did_you_mean(name, _TERMS)}")
    return terms


class Followed(Contract):
    """A contract of which a strategy reads whole bars, for as long as the bare loop lasts.

    Its prices are plain attributes, set by the loop at each bar: all four cost less than two of
    the calls that a property is. Outside of the loop it is a plain `Contract`.
    """

    __slots__ = ()
    open = Contract._now_open
    high = Contract._now_high
    low = Contract._now_low
    price = close = Contract._now_close

    @staticmethod
    def begin(contract: Contract) -> None:
        """Turn a contract into a followed one; its prices stay those at the clock."""
        bar = contract._clock.bar
        contract._now_open, contract._now_high = contract._open[bar], contract._high[bar]
        contract._now_low, contract._now_close = contract._low[bar], contract._close[bar]
        contract.__class__ = Followed  # last: another thread may be reading

    @staticmethod
    def end(contract: Contract) -> None:
        """Turn it into a plain contract again."""
        contract.__class__ = Contract


class Option(Contract):
    """An option. They are many and their lives short: columns of their own, not of the grid."""

    __slots__ = ()

    def _at_clock(self, column: str) -> Price:
        if self._last is not None:
            return self._last.price
        columns = self._columns or self._prices
        if columns is None or (i := self._clock.bar - columns.first) < 0:
            return _NAN
        if i >= columns.n:  # it is over: its last price
            i, column = -1, "close"
        view: memoryview = getattr(columns, column)
        return view[i]

    @property
    def price(self) -> Price:
        """Newest live close; the last one after its end."""
        return self._at_clock("close")

    close = price

    @property
    def open(self) -> Price:
        """Open of the newest closed bar (of a stale one: the last live close)."""
        return self._at_clock("open")

    @property
    def high(self) -> Price:
        """High of the newest closed bar."""
        return self._at_clock("high")

    @property
    def low(self) -> Price:
        """Low of the newest closed bar."""
        return self._at_clock("low")

    # Greeks are those of its row in the chain: told for all rows at once, at most once a bar. nan
    # where the price is older than five bars or tells no volatility, and after the expiry.

    def _greek(self, name: str) -> float:
        if self.expiry is None or self.is_expired:
            return _NAN
        return self._desk.chain(self.symbol, self.expiry).greek(self, name)

    @property
    def iv(self) -> float:
        """Implied volatility a year, as a fraction (0.15 is 15 %): Black-76 on the forward."""
        return self._greek("iv")

    @property
    def delta(self) -> float:
        """Change of the price when the forward rises by 1: 0 to 1 for a call, −1 to 0 for a put."""
        return self._greek("delta")

    @property
    def gamma(self) -> float:
        """Change of delta when the forward rises by 1."""
        return self._greek("gamma")

    @property
    def theta(self) -> float:
        """Change of the price in a calendar day, all else unchanged."""
        return self._greek("theta")

    @property
    def vega(self) -> float:
        """Change of the price per vol point: from 15 % to 16 %."""
        return self._greek("vega")
