"""A kit to test strategies with: a feed in memory, a market of plain rules.

>>> from bestbt.testing import MemoryFeed, simulate
>>> from bestbt.engine.strategy import Strategy, at
>>> class Buyer(Strategy):
...     @at("09:17")
...     def enter(self):
...         self.buy(self.option(100, "CE"), lots=1)
>>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
>>> feed.add_index([100, 101, 102, 103, 104])
>>> call = feed.add_option("2024-01-01", 100, "CE", [3, 3, 4, 4, 5])
>>> [(f.time.strftime("%H:%M"), f.price) for f in simulate(Buyer, feed).result.fills]
[('09:17', 4.0), ('09:19', 2.0)]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from bestbt.engine.fees import NoFees
from bestbt.engine.grid import Grid, Session, utc_ns
from bestbt.engine.matching import parse_slippage
from bestbt.engine.ports import (
    AssetType,
    ContractSpec,
    Expiry,
    ExpiryKind,
    FeeModel,
    Listing,
    LotChange,
    SettlementRule,
)
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.engine.result import Result
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import ContractNotFound
from bestbt.units import MINUTE, MONEY_SCALE, Money, Ns, RawPrice, Right

__all__ = ["MemoryFeed", "PlainMarket", "example_result", "simulate"]

_IST = ZoneInfo("Asia/Kolkata")


class PlainMarket:
    """A market without charges that trades every weekday from 09:15, with a 30-minute estimate."""

    tz = "Asia/Kolkata"
    currency = "₹"

    def __init__(self, minutes: int = 375, window: Ns = 30 * MINUTE) -> None:
        self._minutes, self._window = minutes, window

    def vix(self, symbol: str) -> str | None:
        """No volatility index."""
        return None

    def session(self, day: date) -> Session:
        """One part from 09:15."""
        opened = utc_ns(datetime(day.year, day.month, day.day, 9, 15, tzinfo=_IST))
        return Session(day, ((opened, opened + self._minutes * MINUTE),))

    def sessions(self, start: date, end: date, segment: str = "derivatives") -> list[Session]:
        """Every weekday of a range."""
        days = (start + timedelta(days=i) for i in range((end - start).days + 1))
        return [self.session(d) for d in days if d.weekday() < 5]

    def expiry_kind(self, symbol: str, expiry: date) -> ExpiryKind:
        """Monthly when a week later is another month."""
        return "monthly" if (expiry + timedelta(days=7)).month != expiry.month else "weekly"

    def lot_changes(self, symbol: str, expiry: date) -> Sequence[LotChange]:
        """None."""
        return ()

    def settlement(self, symbol: str, day: date) -> SettlementRule:
        """Mean of the last half hour."""
        return SettlementRule(self._window)

    def settles_in_kind(self, symbol: str, expiry: date) -> bool:
        """Derivatives of shares do."""
        return True

    def fees(self) -> FeeModel:
        """No charges."""
        return NoFees()


class MemoryFeed:
    """A `Feed` over bars in memory; `asked` lists the contracts whose prices were loaded.

    Prices are given as closes (then each bar is flat), or as rows of open, high, low, close;
    `None` or `nan` is a bar without trade. They start at the grid's first bar unless *first* is
    given.
    """

    def __init__(
        self, symbol: str, days: Sequence[str | date], minutes: int = 375, step: Ns = MINUTE
    ) -> None:
        self.symbol = symbol
        self.market = PlainMarket(minutes)
        dates = [date.fromisoformat(d) if isinstance(d, str) else d for d in days]
        self.grid = Grid([self.market.session(d) for d in dates], step)
        self.remarks: list[str] = []  # for the log of a run
        self.asked: list[ContractSpec] = []
        self.closes: dict[tuple[str, date], RawPrice] = {}
        self.settlements: dict[tuple[ContractSpec, date], RawPrice] = {}
        self._columns: dict[ContractSpec, PriceColumns] = {}

    def add(
        self, spec: ContractSpec, prices: Any, first: int = 0, volume: Any = None, oi: Any = None
    ) -> None:
        """Add a contract with its bars; volume and open interest are units for each of them."""
        rows = np.array(
            [[np.nan] * 4 if p is None else np.broadcast_to(p, 4) for p in prices], dtype=float
        )
        live = ~np.isnan(rows).any(axis=1)
        raw = np.rint(rows[live] * spec.scale).astype(np.int64)
        end = self.grid.n
        if spec.expiry is not None:
            after = self.grid.session_from(spec.expiry + timedelta(days=1))
            end = self.grid.firsts[after] if after < len(self.grid.firsts) else end
            if after < len(self.grid.firsts) and self.grid.sessions[after - 1].day < spec.expiry:
                end += 1  # an expiry day that is not in the data settles at the first bar after
        bars: npt.NDArray[np.int64] = np.flatnonzero(live) + first
        units = (None if x is None else np.array(x, np.int64)[live] for x in (volume, oi))
        traded, open_interest = units
        self._columns[spec] = PriceColumns.from_live(
            bars,
            path_points(*raw.T),
            spec.scale,
            end=max(end, int(bars[-1]) + 1),
            volume=traded,
            oi=open_interest,
        )

    def add_index(self, prices: Any, symbol: str | None = None) -> None:
        """Add an index: the underlying unless another symbol is given."""
        self.add(ContractSpec("index", symbol or self.symbol), prices)

    def add_option(
        self,
        expiry: str | date,
        strike: float,
        right: Right,
        prices: Any,
        first: int = 0,
        lot: int = 50,
        volume: Any = None,
        oi: Any = None,
    ) -> ContractSpec:
        """Add an option on the underlying."""
        day = date.fromisoformat(expiry) if isinstance(expiry, str) else expiry
        spec = ContractSpec("option", self.symbol, day, float(strike), right, lot=lot)
        self.add(spec, prices, first, volume, oi)
        return spec

    def spot(self, symbol: str) -> ContractSpec:
        """Return the index of a name."""
        spec = ContractSpec("index", symbol)
        if spec not in self._columns:
            raise ContractNotFound(f"No {symbol} in this feed.")
        return spec

    def expiries(self, symbol: str, asset: AssetType = "option") -> list[Expiry]:
        """Return the expiries of the contracts added, each from its first contract's first bar."""
        firsts: dict[date, int] = {}
        for spec, columns in self._columns.items():
            if spec.asset == asset and spec.symbol == symbol and spec.expiry is not None:
                firsts[spec.expiry] = min(columns.first, firsts.get(spec.expiry, columns.first))
        kind = self.market.expiry_kind
        return [Expiry(day, kind(symbol, day), first) for day, first in sorted(firsts.items())]

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        """Return the options of an expiry, listed from their first live bar."""
        rows = [
            Listing(s, c.first)
            for s, c in self._columns.items()
            if s.asset == "option" and s.symbol == symbol and s.expiry == expiry
        ]
        return sorted(rows, key=lambda r: (r.spec.strike or 0, r.spec.right or ""))

    def future(self, symbol: str, expiry: date) -> ContractSpec | None:
        """Return the future of an expiry."""
        for spec in self._columns:
            if spec.asset == "future" and spec.symbol == symbol and spec.expiry == expiry:
                return spec
        return None

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Return the prices of a contract, and remember that they were asked for."""
        self.asked.append(spec)
        return self._columns.get(spec)

    def official_close(self, symbol: str, day: date) -> RawPrice | None:
        """Return what the test has put into `closes`."""
        return self.closes.get((symbol, day))

    def settlement_price(self, spec: ContractSpec, day: date) -> RawPrice | None:
        """Return what the test has put into `settlements`."""
        return self.settlements.get((spec, day))


def simulate(
    strategy: Callable[[], Strategy],
    feed: MemoryFeed,
    *,
    capital: Money = 1_000_000.0,
    slippage: Any = 0,
    fees: FeeModel | None = None,
    run: bool = True,
    **options: Any,
) -> Simulation:
    """Run a strategy over a feed in memory; without slippage and charges unless given."""
    simulation = Simulation(
        strategy,
        feed,
        feed.market,
        (feed.symbol,),
        capital=round(capital * MONEY_SCALE),
        slippage=parse_slippage(slippage),
        fees=fees if fees is not None else NoFees(),
        **options,
    )
    return simulation.run() if run else simulation


def example_result() -> Result:
    """Return the smallest run with a trade: a call bought at 4 and settled at 2.

    >>> [(f.side, abs(f.qty), f.price, f.kind) for f in example_result().fills]
    [('BUY', 50, 4.0, 'entry'), ('SELL', 50, 2.0, 'settlement')]
    """

    class Buyer(Strategy):
        @at("09:17")
        def enter(self) -> None:
            self.buy(self.option(100, "CE"), lots=1)

    feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    feed.add_index([100, 101, 102, 103, 104])
    feed.add_option("2024-01-01", 100, "CE", [3, 3, 4, 4, 5])
    return simulate(Buyer, feed).result
