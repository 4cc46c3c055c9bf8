"""Price columns of one contract on the run's grid, and how to read a bar's path from them.

A bar is four price points in path order: open, the extreme nearer to the open, the other
extreme, close. A bar is *live* when the source had a traded price (or, for an index, a row);
every other bar repeats the last live close, and nothing trades on it.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from bestbt.errors import InvariantError
from bestbt.units import POINTS, Ordinal

__all__ = ["Later", "PriceColumns", "path_points"]

_Ints = npt.NDArray[np.integer]
_I64 = npt.NDArray[np.int64]


def path_points(open_: _Ints, high: _Ints, low: _Ints, close: _Ints) -> npt.NDArray[np.int32]:
    """Return bars as price points in path order, shape ``(4 n,)``.

    The extreme nearer to the open comes first; on a tie the low does.

    >>> path_points(*(np.array([x]) for x in (100, 109, 95, 104))).tolist()
    [100, 95, 109, 104]
    """
    low_first = open_ - low <= high - open_
    near, far = np.where(low_first, low, high), np.where(low_first, high, low)
    return np.stack((open_, near, far, close), axis=1).astype(np.int32).ravel()


class Later(Protocol):
    """A column of units that is made when it is first read: most strategies read prices alone."""

    def __call__(self) -> npt.NDArray[np.int64]:
        """Return the column, shape ``(n,)``."""

    def last(self) -> int:
        """Return its last value, made without the others."""


class PriceColumns:
    """The prices of one contract from its first live bar on the grid; shared and read-only.

    Parameters
    ----------
    first
        Ordinal of the first bar; it must be live (there is no price before it).
    points
        Raw prices in path order, shape ``(4 n,)``, int32; stale bars repeat the last live close.
    live
        Shape ``(n,)``, bool.
    scale
        Raw price of one unit of currency (100 for paise).
    volume, oi
        Shape ``(n,)``, int64, in units; zero volume on stale bars, open interest carried on.
        None where the source has none (an index has no volume). Or `Later`.
    bid, ask
        Raw quotes at the bar's close, shape ``(n,)``, int32; 0 where that side was missing.

    Raises
    ------
    InvariantError
        If lengths disagree or the first bar is stale.

    Examples
    --------
    >>> c = PriceColumns(7, np.array([100, 95, 109, 104], np.int32), np.array([True]), 100)
    >>> c.end, c.close[0], c.high[0]
    (8, 1.04, 1.09)
    """

    def __init__(
        self,
        first: Ordinal,
        points: npt.NDArray[np.int32],
        live: npt.NDArray[np.bool_],
        scale: int,
        volume: _I64 | Later | None = None,
        oi: _I64 | Later | None = None,
        bid: npt.NDArray[np.int32] | None = None,
        ask: npt.NDArray[np.int32] | None = None,
    ) -> None:
        n = len(live)
        if len(points) != POINTS * n or not n or not live[0]:
            raise InvariantError(
                f"Price columns of {n} bars with {len(points)} points: every bar has four points, "
                "and the first bar is live."
            )
        self.first, self.n, self.end, self.scale = first, n, first + n, scale
        self.points, self.live, self.bid, self.ask = points, live, bid, ask
        self._volume, self._oi = volume, oi
        self.has_volume = volume is not None
        self.all_live = bool(live.all())
        self.quoted = bid is not None and ask is not None
        self._views: dict[str, memoryview] = {}
        self._tuples: dict[tuple[str, int], tuple[float, ...]] = {}
        self._paths: dict[tuple[str, bool], npt.NDArray[np.int32]] = {}
        # What the books are marked with: the close, or the middle of the quotes where there are.
        self.marks: npt.NDArray[np.int32] = points[POINTS - 1 :: POINTS]
        if bid is not None and ask is not None:
            both = (bid > 0) & (ask > 0)
            middle = (bid.astype(np.int64) + ask + 1) // 2
            own = np.where(both, middle, self.marks).astype(np.int32)
            self.marks = own[np.maximum.accumulate(np.where(live, np.arange(n), 0))]
        for array in (points, live, volume, oi, bid, ask):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    @property
    def volume(self) -> npt.NDArray[np.int64] | None:
        """Units traded in each bar."""
        if callable(self._volume):
            self._volume = self._made(self._volume)
        return self._volume

    @property
    def oi(self) -> npt.NDArray[np.int64] | None:
        """Open interest at each bar's close."""
        if callable(self._oi):
            self._oi = self._made(self._oi)
        return self._oi

    def _made(self, later: Later) -> _I64:
        column = later()
        if len(column) != self.n:
            raise InvariantError(f"A column of {len(column)} units came later to {self.n} bars.")
        column.flags.writeable = False
        return column

    def last(self, name: Literal["volume", "oi"]) -> int | None:
        """Return the last value of a column, which is not made for that."""
        column = self._volume if name == "volume" else self._oi
        if column is None:
            return None
        return column.last() if callable(column) else int(column[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of all given columns, those included that are still to be made."""
        units, quotes = (self._volume, self._oi), (self.bid, self.ask)
        optional = sum(8 for c in units if c is not None) + sum(4 for c in quotes if c is not None)
        return (4 * POINTS + 1 + optional) * self.n

    @classmethod
    def from_live(
        cls,
        bars: npt.NDArray[np.integer],
        points: npt.NDArray[np.int32],
        scale: int,
        *,
        end: Ordinal,
        volume: npt.NDArray[np.int64] | None = None,
        oi: npt.NDArray[np.int64] | None = None,
        bid: npt.NDArray[np.int32] | None = None,
        ask: npt.NDArray[np.int32] | None = None,
    ) -> PriceColumns:
        """Make dense columns from live bars alone: gaps repeat the last close and quote nothing.

        Parameters
        ----------
        bars
            Ordinals of the live bars, strictly increasing, shape ``(m,)``.
        points
            Their price points, shape ``(4 m,)``.
        end
            One past the last bar of the columns (the grid's end, or the expiry's).
        """
        first = int(bars[0])
        n = max(end, int(bars[-1]) + 1) - first
        live = np.zeros(n, dtype=bool)
        live[bars - first] = True
        newest = np.cumsum(live) - 1
        quads = points.reshape(-1, POINTS)
        dense = np.where(live[:, None], quads[newest], quads[newest, 3:4]).astype(np.int32)
        here = (None if x is None else np.where(live, x[newest], 0) for x in (volume, bid, ask))
        spread_volume, spread_bid, spread_ask = here
        spread_oi = None if oi is None else oi[newest]
        return cls(
            first, dense.ravel(), live, scale, spread_volume, spread_oi, spread_bid, spread_ask
        )

    def part(self) -> None:
        """Take the price points out of a piece of memory shared with others, which may then go."""
        points = self.points.copy()
        points.flags.writeable = False
        if not self.quoted:
            self.marks = points[POINTS - 1 :: POINTS]
        self.points = points  # the same numbers: whoever reads meanwhile may read either

    @property
    def derived_nbytes(self) -> int:
        """Bytes of what has been made of the prices so far, to be read quickly."""
        views = sum(view.nbytes for view in list(self._views.values()))
        paths = sum(path.nbytes for path in list(self._paths.values()))
        # A tuple has a pointer for each bar of the grid, to a float for each bar of its own.
        tuples = sum(8 * len(made) + 24 * self.n for made in list(self._tuples.values()))
        return views + paths + tuples

    # What a strategy reads: floats, one contiguous column each, made when first asked for.
    # One item of a memoryview is a plain number and costs a quarter of a numpy scalar.

    @property
    def open(self) -> memoryview:
        """Opens as floats, shape ``(n,)``."""
        return self._view("open")

    @property
    def high(self) -> memoryview:
        """Highs as floats."""
        return self._view("high")

    @property
    def low(self) -> memoryview:
        """Lows as floats."""
        return self._view("low")

    @property
    def close(self) -> memoryview:
        """Closes as floats."""
        return self._view("close")

    @property
    def newest(self) -> memoryview:
        """Offset from `first` of the newest live bar, for each bar."""
        return self._view("newest")

    def _view(self, name: str) -> memoryview:
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = self._column(name).data
        return view

    def _column(self, name: str) -> npt.NDArray[Any]:
        quads = self._quads
        if name == "newest":
            return np.maximum.accumulate(np.where(self.live, np.arange(self.n), 0))
        if name == "high":
            return np.maximum(quads[:, 1], quads[:, 2]) / self.scale
        if name == "low":
            return np.minimum(quads[:, 1], quads[:, 2]) / self.scale
        return quads[:, 0 if name == "open" else 3] / self.scale

    def on_grid(self, column: str, bars: int) -> tuple[float, ...]:
        """Return a column (`"close"` …) as a tuple with one float for each bar of a grid.

        `nan` before the first live bar, the last close after the end, and one `nan` more behind
        the last, so that index −1 (before the first bar) is no price.
        """
        if (column, bars) not in self._tuples:
            view: memoryview = getattr(self, column)
            late = max(bars - self.end, 0)
            # A tuple of numbers, unlike a list, is not looked through when garbage is collected.
            self._tuples[column, bars] = (
                *[math.nan] * self.first,
                *view[: bars - self.first].tolist(),
                *[self.close[-1]] * late,
                math.nan,
            )
        return self._tuples[column, bars]

    # What an order looks along: integers, made when first asked for.

    def ordered(self, low_first: bool) -> npt.NDArray[np.int32]:
        """Price points with one order of the extremes in every bar, shape ``(4 n,)``."""
        made = self._paths.get(("ordered", low_first))
        if made is None:
            quads = self._quads.copy()
            inner = np.sort(quads[:, 1:3], axis=1)
            quads[:, 1:3] = inner if low_first else inner[:, ::-1]
            made = self._paths["ordered", low_first] = quads.ravel()
        return made

    def taken(self, buys: bool) -> npt.NDArray[np.int32]:
        """The quote that an order of a side takes, shape ``(n,)``; 0 where there is none."""
        side = self.ask if buys else self.bid
        if side is None:
            raise InvariantError("Prices without quotes have no side to take.")
        return side

    @staticmethod
    def never(buys: bool) -> int:
        """A price that triggers no stop of a side."""
        return 0 if buys else int(np.iinfo(np.int32).max)

    def triggers(self, buys: bool) -> npt.NDArray[np.int32]:
        """What triggers a stop of a side where there are quotes, shape ``(4 n,)``.

        The price points of bars with a trade; in others the side it would take, at the close.
        Where there is neither: a price that triggers nothing.
        """
        made = self._paths.get(("triggers", buys))
        if made is None:
            never = self.never(buys)
            traded = self.live if self.volume is None else self.live & (self.volume > 0)
            quads = np.where(traded[:, None], self._quads, never).astype(np.int32)
            side = self.taken(buys)
            quads[:, 3] = np.where(traded, quads[:, 3], np.where(side > 0, side, never))
            made = self._paths["triggers", buys] = quads.ravel()
        return made

    @property
    def _quads(self) -> npt.NDArray[np.int32]:
        return self.points.reshape(-1, POINTS)

    def next_live(self, bar: Ordinal) -> Ordinal:
        """First live bar at or after *bar*; `end` when there is none."""
        i = max(bar - self.first, 0)
        if self.all_live or i >= self.n:
            return self.first + i
        ahead = self.live[i:]
        k = int(ahead.argmax())
        return self.first + i + k if ahead[k] else self.end
