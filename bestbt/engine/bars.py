"""Bars of a coarser timeframe, made of those of the run; and those of them that have closed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.units import POINTS, Ns, Ordinal

__all__ = ["ROW", "Bars", "coarser", "series_of", "timeframe_bars"]

_Floats = npt.NDArray[np.float64]
_VALUES = ("open", "high", "low", "close", "volume", "oi")
ROW = np.dtype([("time", "M8[s]"), *((name, "f8") for name in _VALUES)])


class Bars:
    """All bars of a contract in one timeframe. For the engine alone: they hold the future."""

    def __init__(self, grid: Grid, columns: PriceColumns, step: Ns) -> None:
        made, self._ends = coarser(grid, columns, series_of(columns), step)
        starts = timeframe_bars(grid, step)
        firsts = starts[np.searchsorted(starts, self._ends + columns.first - 1, side="right") - 1]
        self._first = columns.first
        self._rows = np.empty(len(firsts), dtype=ROW)
        self._rows["time"] = [_local(grid, int(bar)) for bar in firsts]
        for name in _VALUES:
            self._rows[name] = made.get(name, math.nan)

    def until(self, bar: Ordinal, n: int | None) -> npt.NDArray[np.void]:
        """Return the newest *n* that have closed with a bar of the run: a copy."""
        closed = int(np.searchsorted(self._ends, bar + 1 - self._first, side="right"))
        return self._rows[0 if n is None else max(closed - n, 0) : closed].copy()


def _local(grid: Grid, bar: Ordinal) -> np.datetime64:
    return np.datetime64(grid.local(bar).replace(tzinfo=None), "s")


def timeframe_bars(grid: Grid, step: Ns) -> npt.NDArray[np.int64]:
    """First ordinal of each bar of a coarser timeframe, aligned to the session's open.

    A timeframe bar never spans two sessions; the last of a session may be shorter.
    """
    opened = np.array([s.open for s in grid.sessions], dtype=np.int64)[grid.session_of]
    frame = (grid.starts - opened) // step
    new = np.ones(grid.n, dtype=bool)
    new[1:] = (frame[1:] != frame[:-1]) | (grid.session_of[1:] != grid.session_of[:-1])
    return np.flatnonzero(new)


def coarser(
    grid: Grid, columns: PriceColumns, series: dict[str, _Floats], step: Ns
) -> tuple[dict[str, _Floats], npt.NDArray[np.int64]]:
    """Return the columns of a coarser timeframe and where each of its bars ends."""
    starts = timeframe_bars(grid, step)
    ends = np.minimum(np.append(starts[1:], grid.n), columns.end)
    starts = np.maximum(starts, columns.first)
    kept = starts < ends
    starts, ends = starts[kept] - columns.first, ends[kept] - columns.first
    # Stale bars repeat an old close: they are no points of the timeframe bar, unless it has none.
    live, n = columns.live, columns.n
    place = np.minimum.reduceat(np.where(live, np.arange(n), n), starts)
    last = series["close"][ends - 1]
    none = place >= ends
    traded = np.minimum(place, n - 1)
    out = {
        "open": np.where(none, last, series["open"][traded]),
        "high": np.maximum.reduceat(np.where(live, series["high"], -np.inf), starts),
        "low": np.minimum.reduceat(np.where(live, series["low"], np.inf), starts),
        "close": last,
    }
    out["high"], out["low"] = (np.where(none, last, out[name]) for name in ("high", "low"))
    if "volume" in series:
        out["volume"] = np.add.reduceat(series["volume"], starts)
    if "oi" in series:
        out["oi"] = series["oi"][ends - 1]
    return out, ends


def series_of(columns: PriceColumns) -> dict[str, _Floats]:
    """Return price columns by name as floats, shape ``(n,)`` each."""
    quads = columns.points.reshape(-1, POINTS) / columns.scale
    series = {
        "open": quads[:, 0],
        "high": np.maximum(quads[:, 1], quads[:, 2]),
        "low": np.minimum(quads[:, 1], quads[:, 2]),
        "close": np.ascontiguousarray(quads[:, 3]),
    }
    for name in ("volume", "oi"):
        array = getattr(columns, name)
        if array is not None:
            series[name] = array.astype(np.float64)
    return series
