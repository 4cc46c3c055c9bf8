"""Bars of a grid, made of shorter bars or of ticks. The true order of the extremes is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid
from bestbt.store.segments import Bars
from bestbt.store.ticks import Ticks
from bestbt.units import POINTS

__all__ = ["longer", "of_ticks"]

_I64 = npt.NDArray[np.int64]


def longer(at: _I64, bars: Bars, grid: Grid) -> tuple[_I64, Bars]:
    """Join the bars of each longer bar; which extreme came first is known from them."""
    if not len(at):
        return at, bars
    heads, tails = _ends(at)
    points = bars.points.reshape(-1, POINTS)
    high = np.maximum.reduceat(points.max(axis=1), heads)
    low = np.minimum.reduceat(points.min(axis=1), heads)
    size = np.diff(np.append(heads, len(at)))
    number = np.arange(points.size).reshape(points.shape)
    late = points.size
    is_high = points == np.repeat(high, size)[:, None]
    is_low = points == np.repeat(low, size)[:, None]
    high_at = np.minimum.reduceat(np.where(is_high, number, late).min(axis=1), heads)
    low_at = np.minimum.reduceat(np.where(is_low, number, late).min(axis=1), heads)
    high_first = high_at < low_at
    made = np.stack(
        (
            points[heads, 0],
            np.where(high_first, high, low),
            np.where(high_first, low, high),
            points[tails, 3],
        ),
        axis=1,
    )
    last: dict[str, Any] = {
        name: None if (v := getattr(bars, name)) is None else v[tails]
        for name in ("oi", "bid", "ask")
    }
    volume = None if bars.volume is None else np.add.reduceat(bars.volume, heads)
    ordinals = at[heads]
    return ordinals, Bars(grid.starts[ordinals], made.ravel().astype(np.int32), volume, **last)


def of_ticks(day: Ticks, grid: Grid) -> tuple[_I64, Bars]:
    """Return the live bars that a day's ticks make on a grid, and their ordinals.

    A bar's path is that of its trades. One that was only quoted shows the last price known on that
    day, as a snapshot does: the last traded, before the first trade the middle of the quotes. Its
    quotes and open interest are those of its last tick.
    """
    at = np.searchsorted(grid.starts, day.times, side="right") - 1
    inside = (at >= 0) & (day.times < grid.ends[np.maximum(at, 0)])
    at = at[inside]
    live, known, traded = day.live[inside], day.known[inside], day.traded[inside]
    quantity, day = day.quantity[inside], day.take(inside)
    if not live.any():
        return at[:0], Bars(at[:0], day.price[:0])
    heads, tails = _ends(at)
    shown = np.logical_or.reduceat(live, heads)
    ordinals = at[heads]
    points = np.repeat(known[tails], POINTS).reshape(-1, POINTS)
    trades = Bars(day.times[traded], np.repeat(day.price[traded], POINTS))
    which, paths = longer(at[traded], trades, grid)
    points[np.searchsorted(ordinals, which)] = paths.points.reshape(-1, POINTS)
    last: dict[str, Any] = {
        name: None if (v := getattr(day, name)) is None else v[tails]
        for name in ("oi", "bid", "ask")
    }
    volume = None if day.volume is None else np.add.reduceat(quantity, heads)
    made = Bars(grid.starts[ordinals], points.ravel(), volume, **last)
    return ordinals[shown], made.take(shown)


def _ends(at: _I64) -> tuple[_I64, _I64]:
    """First and last place of each bar's rows."""
    heads = np.flatnonzero(np.diff(at, prepend=-1))
    return heads, np.append(heads[1:], len(at)) - 1
