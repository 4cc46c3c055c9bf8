"""The demo market: a synthetic index with its volatility index, futures and options.

Deterministic from a seed, realistic enough to learn and to test on, and never real: whoever shows
it says "synthetic". `demo_index` draws the index; `demo_options` prices what hangs on it; here the
two meet the calendar, and the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Session, utc_ns
from bestbt.engine.ports import ContractSpec, SettlementRule
from bestbt.errors import ContractNotFound, Interrupted, UsageError, did_you_mean
from bestbt.markets.demo_index import MARKET_VOL, SCALE, TICK, Clock, Day, Underlying, simulate
from bestbt.markets.demo_options import DatedExpiry, Series, futures, options, trades_a_minute
from bestbt.markets.india import INDIA
from bestbt.units import RawPrice

__all__ = ["SEED", "UNDERLYINGS", "VIX", "DemoSeries", "DemoSummary", "generate", "write_demo"]

SEED = 11
START, END = date(2024, 1, 1), date(2024, 3, 28)
FORMAT = 1  # of the model: raised when the same seed gives another market
VIX = "INDIAVIX"
LISTED_AHEAD = timedelta(days=130)  # no weekly or monthly here is listed longer before it expires
UNDERLYINGS = {
    "NIFTY": Underlying("NIFTY", 21_700.0, MARKET_VOL, 1.0, 50, 100, 500),
    "BANKNIFTY": Underlying("BANKNIFTY", 48_000.0, 0.145, 0.85, 100, 500, 1000),
}


class Calendar(Protocol):
    """The dated facts that the demo market needs of a market."""

    @property
    def tz(self) -> str:
        """IANA time zone of the exchange."""
        ...

    def sessions(self, start: date, end: date, segment: str = ...) -> Sequence[Session]:
        """Trading days of an inclusive range."""
        ...

    def expiry_dates(
        self, symbol: str, start: date, end: date, kind: Literal["all", "monthly"] = ...
    ) -> Sequence[date]:
        """Expiry dates in an inclusive range, all or the monthly ones."""
        ...

    def lot_size(self, symbol: str, expiry: date) -> int:
        """Units in a lot of an expiry."""
        ...

    def settlement(self, symbol: str, day: date) -> SettlementRule:
        """Return the rule for final settlement on a day."""
        ...


class Transaction(Protocol):
    """What is written to while a store imports; all of it is kept, or nothing."""

    already: int | None  # when the same was imported before; then nothing is written

    def write(
        self,
        spec: ContractSpec,
        starts: npt.NDArray[np.int64],
        points: npt.NDArray[np.int32],
        *,
        volume: npt.NDArray[np.int64] | None = None,
        oi: npt.NDArray[np.int64] | None = None,
    ) -> object:
        """Add the live bars of one contract."""
        ...

    def close(self, symbol: str, day: date, raw: RawPrice) -> object:
        """Add the official close of an index."""
        ...


class Writable(Protocol):
    """A store, seen from here."""

    def importing(
        self, source: str, *, sha256: str, format: str, synthetic: bool
    ) -> AbstractContextManager[Transaction]:
        """Open one import."""
        ...


@dataclass(frozen=True, slots=True)
class DemoSeries:
    """One contract's whole life, as a store takes it.

    Attributes
    ----------
    spec
        The contract.
    starts : ndarray of int64, shape (n,)
        UTC nanoseconds of the starts of its live bars, strictly increasing.
    points : ndarray of int32, shape (4 n,)
        Raw prices: open, the two extremes in the order in which they came, close.
    volume, oi : ndarray of int64, shape (n,), or None
        In units of the underlying; None for an index.
    closes
        For the index itself, its official raw close of each day: the mean of the last half hour.
    """

    spec: ContractSpec
    starts: npt.NDArray[np.int64]
    points: npt.NDArray[np.int32]
    volume: npt.NDArray[np.int64] | None = None
    oi: npt.NDArray[np.int64] | None = None
    closes: Mapping[date, RawPrice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What `write_demo` wrote; nothing when the store had it already."""

    symbol: str
    start: date
    end: date
    seed: int
    contracts: int
    bars: int
    already: bool = False

    def __str__(self) -> str:
        if self.already:
            return (
                f"Synthetic market (seed {self.seed}): {self.symbol} from {self.start} to "
                f"{self.end} is in the store already; nothing was written."
            )
        return (
            f"Synthetic market (seed {self.seed}): {self.symbol} from {self.start} to {self.end}, "
            f"{self.contracts:,} contracts, {self.bars:,} one-minute bars. No real prices."
        )


def generate(
    symbol: str = "NIFTY",
    start: date | None = None,
    end: date | None = None,
    seed: int = SEED,
    market: Calendar = INDIA,
) -> Iterator[DemoSeries]:
    """Yield the synthetic market: the index, its volatility index, then expiry by expiry.

    Parameters
    ----------
    symbol
        `NIFTY` or `BANKNIFTY`.
    start, end
        Inclusive days; 2024-01-01 … 2024-03-28 by default, a quarter when only one is given. The
        index begins at the same level whatever the start.
    seed
        A non-negative integer. The same seed, symbol, start and market give the same bytes on any
        machine, and a later end leaves the bars of the days before it as they are.
    market
        Sessions, expiries, lots and settlement rules.

    Yields
    ------
    DemoSeries
        For each expiry its future (monthlies), then its options by strike, calls before puts.
        Contracts that never traded are left out.

    Raises
    ------
    ContractNotFound
        For another symbol.
    UsageError
        For a range without a trading day, or a seed that is no such integer.
    NoSchedule
        Where the market does not know the days up to the last listed expiry.

    Examples
    --------
    >>> day = date(2024, 1, 1)
    >>> index, vix, *rest = generate(start=day, end=day)
    >>> print(index.spec, len(index.starts), vix.spec, rest[0].spec)
    NIFTY 375 INDIAVIX NIFTY 2024-01-04 20600 CE
    """
    start, end = _range(start, end)
    if symbol not in UNDERLYINGS:
        raise ContractNotFound(
            f"There is no demo market of {symbol!r}. {did_you_mean(symbol, UNDERLYINGS)}"
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"The seed is {seed!r}; give a whole number, 0 or more.")
    return _generate(UNDERLYINGS[symbol], start, end, seed, market)


def _range(start: date | None, end: date | None) -> tuple[date, date]:
    quarter = END - START
    if start is None:
        start = START if end is None else end - quarter
    if end is None:
        end = start + quarter
    if start > end:
        raise UsageError(f"The range runs from {start} to {end}: give a start before its end.")
    return start, end


def _generate(
    asset: Underlying, start: date, end: date, seed: int, market: Calendar
) -> Iterator[DemoSeries]:
    clocks, expiries, monthlies = _calendar(asset.symbol, start, end, market)
    days = list(simulate(asset, [c for c in clocks if c.day <= end], seed))

    def bars(points: Sequence[npt.NDArray[np.integer]]) -> npt.NDArray[np.int32]:
        lived = [p[:, d.live].T.ravel() for p, d in zip(points, days, strict=True)]
        return np.concatenate(lived).astype(np.int32)

    starts = np.concatenate([d.clock.starts[d.live] for d in days])
    closes = {d.clock.day: d.close for d in days}
    index = ContractSpec("index", asset.symbol, tick=TICK, scale=SCALE)
    yield DemoSeries(index, starts, bars([d.spot for d in days]), closes=closes)
    vix = ContractSpec("index", VIX, tick=1, scale=SCALE)
    yield DemoSeries(vix, starts, bars([d.vix for d in days]))

    for expiry in _listed_expiries(asset.symbol, clocks, expiries, monthlies, days, market):
        if expiry.kind == "monthly":
            yield _demo(futures(asset, expiry, seed))
        yield from map(_demo, options(asset, expiry, seed))


def _demo(series: Series) -> DemoSeries:
    return DemoSeries(series.spec, series.starts, series.points, series.volume, series.oi)


def _calendar(
    symbol: str, start: date, end: date, market: Calendar
) -> tuple[list[Clock], list[date], list[date]]:
    """Clocks from *start* to the last expiry listed at *end*; all expiries; the monthly ones."""
    horizon = end + LISTED_AHEAD
    monthlies = sorted(market.expiry_dates(symbol, start, horizon, kind="monthly"))
    expiries = sorted(market.expiry_dates(symbol, start, horizon, kind="all"))
    last = max((e for e in expiries if _trades(expiries, monthlies, end, e)), default=end)
    sessions = market.sessions(start, max(last, end))
    if not sessions or sessions[0].day > end:
        raise UsageError(f"There is no trading day from {start} to {end}: give a longer range.")
    index_parts = {s.day: s.parts for s in market.sessions(start, max(last, end), "index")}
    tz = ZoneInfo(market.tz)
    clocks = []
    for session in sessions:
        midnight = utc_ns(datetime(session.day.year, session.day.month, session.day.day, tzinfo=tz))
        rule = market.settlement(symbol, session.day)
        clocks.append(Clock(session, rule, midnight, index_parts[session.day]))
    return clocks, expiries, monthlies


def _trades(expiries: list[date], monthlies: list[date], day: date, expiry: date) -> float:
    """Trades a minute at the money of an expiry on a day; 0 where it is not listed."""
    near = bisect_left(expiries, expiry) - bisect_left(expiries, day)
    month = bisect_left(monthlies, expiry) - bisect_left(monthlies, day)
    return trades_a_minute(near, month if expiry in monthlies else None)


def _listed_expiries(
    symbol: str,
    clocks: list[Clock],
    expiries: list[date],
    monthlies: list[date],
    days: list[Day],
    market: Calendar,
) -> Iterator[DatedExpiry]:
    """Give each expiry the days on which it is listed; those listed on none are left out."""
    number = {clock.day: i for i, clock in enumerate(clocks)}
    spent = list(accumulate(clock.total for clock in clocks))  # by each day's close
    for expiry in expiries:
        listed = [
            day
            for day in days
            if day.clock.day <= expiry and _trades(expiries, monthlies, day.clock.day, expiry)
        ]
        if not listed:
            continue
        clock = clocks[number[expiry]]
        before = spent[number[expiry]] - clock.total
        dates = [day.clock.day for day in listed]
        yield DatedExpiry(
            day=expiry,
            kind="monthly" if expiry in monthlies else "weekly",
            lot=market.lot_size(symbol, expiry),
            clock=clock,
            days=listed,
            seasoned=bool(
                listed[0] is days[0]
                and _trades(expiries, monthlies, dates[0] - timedelta(days=1), expiry)
            ),
            trades=[_trades(expiries, monthlies, d, expiry) for d in dates],
            month=[bisect_left(monthlies, expiry) - bisect_left(monthlies, d) for d in dates],
            ahead=[before - spent[number[d]] + clock.expiring_total for d in dates],
        )


def write_demo(
    store: Writable,
    symbol: str = "NIFTY",
    start: date | None = None,
    end: date | None = None,
    seed: int = SEED,
    progress: Callable[[int, int, str], object] | None = None,
    market: Calendar = INDIA,
) -> DemoSummary:
    """Write the synthetic market of a range into a store, as one import: all of it or nothing.

    Parameters
    ----------
    store
        An open `Store`.
    symbol, start, end, seed, market
        As of `generate`.
    progress
        Called as expiries are done with their number, that of all, and the newest one's date.

    Returns
    -------
    DemoSummary
        What was written; as text it says "synthetic".

    Raises
    ------
    Interrupted
        When it was; nothing is stored then.

    Examples
    --------
    >>> from contextlib import nullcontext
    >>> from types import SimpleNamespace
    >>> nothing = lambda *args, **more: None
    >>> tx = SimpleNamespace(already=None, write=nothing, close=nothing)
    >>> store = SimpleNamespace(importing=lambda source, **how: nullcontext(tx))
    >>> print(write_demo(store, start=date(2024, 1, 1), end=date(2024, 1, 1), seed=1))
    Synthetic market (seed 1): NIFTY from 2024-01-01 to 2024-01-01, ... No real prices.
    """
    start, end = _range(start, end)
    name = f"synthetic market {symbol} {start} {end} seed {seed}"
    digest = sha256(f"bestbt demo {FORMAT}: {name}".encode()).hexdigest()
    contracts = bars = 0
    series = generate(symbol, start, end, seed, market)
    seen: list[date] = []  # expiries begun
    try:
        with store.importing(name, sha256=digest, format="demo", synthetic=True) as tx:
            if tx.already is not None:
                return DemoSummary(symbol, start, end, seed, 0, 0, already=True)
            tell = _teller(symbol, start, end, market, progress)
            for one in series:
                expiry = one.spec.expiry
                if expiry is not None and expiry not in seen[-1:]:
                    tell(seen)
                    seen.append(expiry)
                tx.write(one.spec, one.starts, one.points, volume=one.volume, oi=one.oi)
                for day, raw in one.closes.items():
                    tx.close(one.spec.symbol, day, raw)
                contracts += 1
                bars += len(one.starts)
            tell(seen)
    except KeyboardInterrupt:
        raise Interrupted("nothing of the synthetic market is stored; make it again.") from None
    return DemoSummary(symbol, start, end, seed, contracts, bars)


def _teller(
    symbol: str,
    start: date,
    end: date,
    market: Calendar,
    progress: Callable[[int, int, str], object] | None,
) -> Callable[[Sequence[date]], None]:
    """Return what tells of the expiries done, of all that are listed in a range."""
    clocks, expiries, monthlies = _calendar(symbol, start, end, market)
    days = [clock.day for clock in clocks if clock.day <= end]
    total = sum(
        any(day <= e and _trades(expiries, monthlies, day, e) for day in days) for e in expiries
    )

    def tell(done: Sequence[date]) -> None:
        if progress is not None and done:
            progress(len(done), total, str(done[-1]))

    return tell
