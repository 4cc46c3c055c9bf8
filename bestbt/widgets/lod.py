"""Level of detail: what of a long run is worth sending for the stretch that is seen.

Candles are made of whole buckets that start with a session (or a week), so panning never
changes one; a line keeps the lowest and highest point of every slot. All of it is numpy over
the visible bars: about a millisecond for a quarter of minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.units import MINUTE, SECOND, Ordinal
from bestbt.widgets.protocol import Floats

__all__ = ["LADDER", "Candles", "Ordinals", "bars_of", "buckets", "candles", "thin"]

Ordinals: TypeAlias = npt.NDArray[np.integer[Any]]

_STEPS = {"1 s": SECOND, "5 s": 5 * SECOND, "15 s": 15 * SECOND, "1 min": MINUTE}
_STEPS |= {"3 min": 3 * MINUTE, "5 min": 5 * MINUTE, "15 min": 15 * MINUTE}
_STEPS |= {"30 min": 30 * MINUTE, "1 hour": 60 * MINUTE}
LADDER = (*_STEPS, "session", "week")
_WHOLE_BUDGET = 1_000  # candles sent at most, those beside what is seen included


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles to draw.

    `x` is the middle of each in ordinals, `width` that of a full one, `last` the ordinal of the
    bar whose close it has.
    """

    timeframe: str
    width: float
    x: Floats
    last: Ordinals
    open: Floats
    high: Floats
    low: Floats
    close: Floats


def bars_of(grid: Grid, timeframe: str) -> int | None:
    """Bars of a full candle (the longest session's of one of a day); None where it has no such.

    >>> bars_of(Grid([], MINUTE), "5 min"), bars_of(Grid([], MINUTE), "5 s")
    (5, None)
    """
    if timeframe in _STEPS:
        bars, rest = divmod(_STEPS[timeframe], grid.step)
        return bars if bars and not rest else None
    longest = max((b - a + 1 for a, b in zip(grid.firsts, grid.lasts, strict=True)), default=1)
    return longest if timeframe == "session" else longest * 5


def buckets(grid: Grid, timeframe: str, lo: Ordinal, hi: Ordinal) -> Ordinals | None:
    """Return the first bar of every candle that overlaps ``lo … hi``, and one past the last.

    None when the grid's bar does not divide the timeframe (or is longer).
    """
    a, b = grid.session(lo), grid.session(hi)
    firsts = np.asarray(grid.firsts[a : b + 1])
    if timeframe in _STEPS:
        bars = bars_of(grid, timeframe)
        if bars is None:
            return None
        start = int(firsts[0]) + (lo - int(firsts[0])) // bars * bars
        each = np.arange(start, hi + 1)
        starts = each[(each - firsts[grid.session_of[each] - a]) % bars == 0]
        end = min(int(starts[-1]) + bars, grid.lasts[b] + 1)
        return np.append(starts, end)
    if timeframe == "session":
        return np.append(firsts, grid.lasts[b] + 1)
    weeks = [s.day.isocalendar()[:2] for s in grid.sessions]
    while a and weeks[a - 1] == weeks[a]:
        a -= 1
    while b + 1 < len(weeks) and weeks[b + 1] == weeks[b]:
        b += 1
    heads = [grid.firsts[i] for i in range(a, b + 1) if i == a or weeks[i] != weeks[i - 1]]
    return np.asarray([*heads, grid.lasts[b] + 1])


def candles(
    grid: Grid,
    prices: PriceColumns,
    lo: float,
    hi: float,
    budget: int,
    newest: Ordinal,
    *,
    timeframe: str | None = None,
    beside: float = 0.0,
) -> Candles | None:
    """Return at most *budget* candles of the finest timeframe that fits ``lo … hi``.

    Parameters
    ----------
    lo, hi
        What is seen, in ordinals; may reach beyond the grid.
    newest
        Last bar that may be drawn: a live chart does not show what the run has not seen.
    timeframe
        One of `LADDER` instead of the finest; it must not be finer than a bar.
    beside
        Bars to either side of what is seen that get candles too, so that moving the chart does
        not lay bare an empty one.

    Returns
    -------
    Candles or None
        None where there are no prices. A candle in which nothing traded is left out.
    """
    end = min(prices.end, grid.n) - 1
    a, b = max(int(np.floor(lo)), prices.first, 0), min(int(np.ceil(hi)), end)
    last = min(newest, end)
    if a > min(b, last):
        return None
    for step in LADDER if timeframe is None else (timeframe,):
        # By what is seen, not by what is drawn: it must not change while the run goes on.
        bars = bars_of(grid, step)
        wanted = timeframe is not None or step == LADDER[-1]
        if bars is None or (not wanted and (b - a + 1) / bars > budget):
            continue
        edges = buckets(grid, step, a, b)
        if edges is None or not (wanted or len(edges) - 1 <= budget):
            continue
        most = max(budget, len(edges) - 1) if wanted else budget
        if beside:
            most = _WHOLE_BUDGET
            a, b = max(a - int(beside), prices.first, 0), min(b + int(beside), end)
            edges = buckets(grid, step, a, b)
            assert edges is not None
        kept = edges[: int(np.searchsorted(edges, last, side="right")) + 1]
        return _aggregate(prices, step, kept[-most - 1 :], last)
    return None


def _aggregate(
    prices: PriceColumns, timeframe: str, edges: Ordinals, last: Ordinal
) -> Candles | None:
    width = float(np.diff(edges).max())
    edges = np.clip(edges, prices.first, last + 1) - prices.first
    x = prices.first + (edges[:-1] + edges[1:] - 1) / 2.0
    high, low = np.asarray(prices.high)[: edges[-1]], np.asarray(prices.low)[: edges[-1]]
    starts, ends, cuts = edges[:-1], edges[1:] - 1, edges[:-1]
    if not prices.all_live:  # a bar without a trade repeats a close, which is no price of its own
        live = edges[0] + np.flatnonzero(prices.live[edges[0] : edges[-1]])
        of = np.searchsorted(live, edges)
        traded = of[1:] > of[:-1]
        if not traded.any():
            return None
        cuts, x = of[:-1][traded], x[traded]
        starts, ends = live[cuts], live[of[1:][traded] - 1]
        high, low = high[live], low[live]
    return Candles(
        timeframe,
        width,
        x,
        prices.first + ends,
        np.asarray(prices.open)[starts],
        np.maximum.reduceat(high, cuts),
        np.minimum.reduceat(low, cuts),
        np.asarray(prices.close)[ends],
    )


def thin(x: Floats, y: Floats, lo: float, hi: float, budget: int) -> tuple[Floats, Floats]:
    """Return the points of a line worth sending for ``lo … hi``: at most about *budget*.

    One point on either side is kept, so that the line runs to the edges; every slot keeps its
    lowest and its highest point, where they are.

    >>> x = np.arange(1000.0)
    >>> some = thin(x, np.sin(x), 0, 999, 100)
    >>> len(some[0]) <= 102, float(some[1].max()) == float(np.sin(x).max())
    (True, True)
    """
    a = max(int(np.searchsorted(x, lo)) - 1, 0)
    b = min(int(np.searchsorted(x, hi, side="right")) + 1, len(x))
    x, y = x[a:b], y[a:b]
    n = len(x)
    if n <= budget:
        return x, y
    size = -(-n // (budget // 2))
    slots = -(-n // size)
    padded = np.concatenate((y, np.full(slots * size - n, y[-1]))).reshape(slots, size)
    base = np.arange(slots) * size
    keep = np.concatenate(([0, n - 1], base + padded.argmin(axis=1), base + padded.argmax(axis=1)))
    keep = np.unique(np.minimum(keep, n - 1))
    return x[keep], y[keep]
