"""Board: every listed option of one expiry at one bar, as arrays.

    columns of each contract --newest live closes--> Board --one solve--> volatilities, greeks

Rows are ordered by strike, the call before the put, so that the first of several rows that fit
equally well is the one of the lowest strike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from bestbt.engine.contract import Contract
from bestbt.engine.prices import PriceColumns
from bestbt.engine.pricing import Bools, Floats, Greeks, greeks, implied_vol
from bestbt.units import Ordinal, Price, RawPrice, Right

__all__ = ["NEVER", "NO_ROWS", "Board", "Reference", "Rows"]

Ints: TypeAlias = npt.NDArray[np.int64]

NEVER = 1 << 62  # the age of a row that has no price yet


class Reference(NamedTuple):
    """What strikes are measured from, and where it was read.

    Attributes
    ----------
    value
        Currency per unit of the underlying.
    source
        `"spot"`, `"synthetic"` (K + C − P where call and put cost nearly the same) or `"future"`.
    age
        Bars since its price was live; of a synthetic the older of its two rows.
    """

    value: Price
    source: Literal["spot", "synthetic", "future"]
    age: int


class Rows:
    """The contracts of a board; a new one is made only when another contract is listed.

    Parameters
    ----------
    contracts
        Options of one expiry by strike, calls before puts. Their prices are loaded here.
    """

    def __init__(self, contracts: Sequence[Contract]) -> None:
        self.contracts = tuple(contracts)
        self.at = {contract: i for i, contract in enumerate(self.contracts)}
        self.scale = self.contracts[0].spec.scale if contracts else 1
        strikes = [c.strike or 0.0 for c in self.contracts]
        self.strike: Floats = np.array(strikes, dtype=np.float64)
        self.raw_strike: Ints = np.rint(self.strike * self.scale).astype(np.int64)
        self.call: Bools = np.array([c.right == "CE" for c in self.contracts], dtype=np.bool_)
        # Rows of the calls whose strike has a put too: it is the row behind.
        both = self.call[:-1] & ~self.call[1:] & (self.strike[:-1] == self.strike[1:])
        self.pairs: Ints = np.flatnonzero(both)
        self._feeds = [_feed(c._prices) for c in self.contracts]

    def newest(self, bar: Ordinal) -> tuple[Ints, Ints]:
        """Return what each row is marked with, raw, and its age in bars.

        The newest live close, or the middle of bid and ask where that bar has both: a last trade
        may lie far outside its quotes.

        0 and `NEVER` before the first.
        """
        prices, ages = [0] * len(self._feeds), [NEVER] * len(self._feeds)
        for row, feed in enumerate(self._feeds):
            if feed is None:
                continue
            columns, marks, live, first, last = feed
            since = bar - first
            if since >= 0:
                i = since if since < last else last
                prices[row] = marks[i]
                ages[row] = since - (i if live[i] else columns.newest[i])
        return np.array(prices, dtype=np.int64), np.array(ages, dtype=np.int64)

    def traded(self, first: Ordinal, bar: Ordinal) -> Floats:
        """Units traded in the bars from *first* to *bar*; nan where the source has no volume."""
        total = np.full(len(self._feeds), np.nan)
        for row, feed in enumerate(self._feeds):
            if feed is not None and feed[0].volume is not None:
                begin = max(first - feed[3], 0)
                total[row] = feed[0].volume[begin : max(bar + 1 - feed[3], 0)].sum()
        return total


_Feed: TypeAlias = "tuple[PriceColumns, memoryview, memoryview, Ordinal, int] | None"


def _feed(columns: PriceColumns | None) -> _Feed:
    """Return what is read of a contract at every bar; an item of a memoryview is a plain number."""
    if columns is None:
        return None
    return columns, columns.marks.data, columns.live.data, columns.first, columns.n - 1


NO_ROWS = Rows(())  # shared: to make one takes longer than to find an option


class Board:
    """One bar of a chain.

    Parameters
    ----------
    rows
        The contracts.
    bar
        The newest closed bar.
    session
        First bar of its session.
    years
        Time to expiry; nan when it is over.
    max_age
        Rows whose price is older, in bars, or was made in an earlier session, are stale: no
        volatility, not picked.
    otherwise
        Gives the forward where no call and put are fresh.

    Attributes
    ----------
    raw, price
        What the rows are marked with, raw (0: none yet) and as floats (nan).
    age
        Bars since the price was live; `NEVER` before the first.
    fresh
        Rows that are not stale.
    forward
        What the expiry's options are priced on; None where nothing is known.
    """

    def __init__(
        self,
        rows: Rows,
        bar: Ordinal,
        session: Ordinal,
        years: float,
        max_age: int,
        otherwise: Callable[[], Reference | None],
    ) -> None:
        self.rows, self.max_age = rows, max_age
        self.raw, self.age = rows.newest(bar)
        self.fresh: Bools = self.age <= min(max_age, bar - session)  # made in this session
        self.price: Floats = np.where(self.raw > 0, self.raw / rows.scale, np.nan)
        self._bar, self._session, self._years = bar, session, years
        self.synthetic = self._synthetic()
        self.forward = self.synthetic or otherwise()

    def _synthetic(self) -> Reference | None:
        """K + C − P at the strike where fresh call and put differ least, the lowest on a tie."""
        calls = self.rows.pairs
        calls = calls[self.fresh[calls] & self.fresh[calls + 1]]
        if not len(calls):
            return None
        differ = self.raw[calls] - self.raw[calls + 1]
        best = int(np.abs(differ).argmin())
        at = int(calls[best])
        value = int(self.rows.raw_strike[at] + differ[best]) / self.rows.scale
        age = int(self.age[at : at + 2].max())
        return Reference(value, "synthetic", age) if value > 0 else None

    @cached_property
    def iv(self) -> Floats:
        """Implied volatility a year, as a fraction; nan where stale, or none gives the price."""
        price = np.where(self.fresh, self.price, np.nan)
        return implied_vol(price, self._on, self.rows.strike, self._years, self.rows.call)

    @cached_property
    def greeks(self) -> Greeks[Floats]:
        """Delta, gamma, theta and vega of the rows; nan where there is no volatility."""
        return greeks(self._on, self.rows.strike, self._years, self.iv, self.rows.call)

    @property
    def _on(self) -> float:
        return self.forward.value if self.forward is not None else np.nan

    @cached_property
    def oi(self) -> Floats:
        """Open interest in units; nan where the source has none."""
        found = (contract.oi for contract in self.rows.contracts)
        return np.array([np.nan if oi is None else oi for oi in found], dtype=np.float64)

    @cached_property
    def day_volume(self) -> Floats:
        """Units traded in the session so far; nan where the source has no volume."""
        return self.rows.traded(self._session, self._bar)

    def fit(self, right: Right, min_oi: int = 0, min_volume: int = 0) -> Bools:
        """Rows of a right that are fresh and have the interest and the session's volume asked."""
        fit = self.fresh & (self.rows.call if right == "CE" else ~self.rows.call)
        if min_oi > 0:
            fit &= self.oi >= min_oi
        if min_volume > 0:
            fit &= self.day_volume >= min_volume
        return fit

    def straddle(self, strike: RawPrice) -> Price | None:
        """Price of call and put of a raw strike; None unless both are fresh."""
        found = np.flatnonzero((self.rows.raw_strike == strike) & self.fresh)
        return int(self.raw[found].sum()) / self.rows.scale if len(found) == 2 else None

    @property
    def pcr(self) -> float | None:
        """Open interest of puts over that of calls; None where there is none."""
        calls = float(np.nansum(self.oi[self.rows.call]))
        return float(np.nansum(self.oi[~self.rows.call])) / calls if calls > 0 else None

    @property
    def max_pain(self) -> float | None:
        """Strike at which holders would be paid least, the lowest on a tie; None without OI."""
        units = np.nan_to_num(self.oi).astype(np.int64)
        if not units.any():
            return None
        strikes = np.unique(self.rows.raw_strike)
        beyond = strikes[:, None] - self.rows.raw_strike
        paid = np.maximum(np.where(self.rows.call, beyond, -beyond), 0) @ units
        return float(strikes[paid.argmin()] / self.rows.scale)


def nearest(distance: Ints, fit: Bools) -> int:
    """Return the row of the smallest distance among those that fit, the first on a tie; -1: none.

    >>> nearest(np.array([5, 2, 2]), np.array([True, True, True]))
    1
    """
    rows = np.flatnonzero(fit)
    return int(rows[distance[rows].argmin()]) if len(rows) else -1
