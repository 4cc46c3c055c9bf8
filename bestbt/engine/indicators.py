"""Indicators: computed once over the whole grid, read at the clock.

The function must be causal: its value at a bar may depend on that bar and earlier ones only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Clock, Grid
from bestbt.engine.prices import PriceColumns
from bestbt.errors import UsageError
from bestbt.units import POINTS, Ns

__all__ = ["Indicator", "crossed_above", "timeframe_bars"]

_Floats = npt.NDArray[np.float64]
_COLUMNS = ("open", "high", "low", "close", "volume", "oi")


def timeframe_bars(grid: Grid, step: Ns) -> npt.NDArray[np.int64]:
    """First ordinal of each bar of a coarser timeframe, aligned to the session's open.

    A timeframe bar never spans two sessions; the last of a session may be shorter.
    """
    opened = np.array([s.open for s in grid.sessions], dtype=np.int64)[grid.session_of]
    frame = (grid.starts - opened) // step
    new = np.ones(grid.n, dtype=bool)
    new[1:] = (frame[1:] != frame[:-1]) | (grid.session_of[1:] != grid.session_of[:-1])
    return np.flatnonzero(new)


class Indicator:
    """A causal function of price columns, as a series read at the clock.

    ``ind[0]`` is its value at the newest closed bar of its timeframe, ``ind[-1]`` the one
    before; `nan` where there is none. A positive index is the future and is refused.
    """

    def __init__(
        self,
        clock: Clock,
        grid: Grid,
        columns: PriceColumns,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        step: Ns | None = None,
        name: str = "",
    ) -> None:
        self._clock = clock
        self._first = columns.first
        self._at: memoryview | None = None  # grid bar -> newest closed bar of the timeframe
        series = _series(columns, grid)
        if step is not None and step != grid.step:
            if step % grid.step:
                raise UsageError(
                    f"bar= of an indicator must be a multiple of the run's bar, {name}."
                )
            series = self._coarser(grid, columns, series, step)
        names = [a for a in args if isinstance(a, str)]
        wrong = [a for a in names if a not in series]
        if wrong:
            raise UsageError(f"{wrong[0]!r} is no price column of {name}: {', '.join(series)}.")
        inputs = [series[a] if isinstance(a, str) else a for a in args]
        values = np.asarray(function(*inputs), dtype=np.float64)
        length = len(series["close"])
        if values.shape != (length,):
            raise UsageError(
                f"The indicator function returned shape {values.shape}; one value a bar is needed: "
                f"({length},)."
            )
        self.values = values
        self._values = np.ascontiguousarray(values).data

    def _coarser(
        self, grid: Grid, columns: PriceColumns, series: dict[str, _Floats], step: Ns
    ) -> dict[str, _Floats]:
        starts = timeframe_bars(grid, step)
        ends = np.append(starts[1:], grid.n)
        whole = ends > columns.first  # frames that hold a bar of the columns
        starts, ends = np.maximum(starts[whole], columns.first), ends[whole]
        ends = np.minimum(ends, columns.end)
        kept = starts < ends
        starts, ends = starts[kept] - columns.first, ends[kept] - columns.first
        out = {
            "open": series["open"][starts],
            "high": np.maximum.reduceat(series["high"], starts),
            "low": np.minimum.reduceat(series["low"], starts),
            "close": series["close"][ends - 1],
        }
        if "volume" in series:
            out["volume"] = np.add.reduceat(series["volume"], starts)
        if "oi" in series:
            out["oi"] = series["oi"][ends - 1]
        closed = np.searchsorted(ends, np.arange(1, columns.n + 1), side="right") - 1
        self._at = closed.astype(np.int64).data
        return out

    def __getitem__(self, back: int) -> float:
        i = self._clock.bar - self._first
        if self._at is not None:
            i = self._at[i] if 0 <= i < len(self._at) else -1
        i += back
        if back > 0:
            raise UsageError(f"indicator[{back}] is the future; 0 is now, -1 the bar before.")
        return self._values[i] if 0 <= i < len(self._values) else math.nan

    def __repr__(self) -> str:
        return f"<Indicator now {self[0]:g}>"


def crossed_above(a: Indicator | float, b: Indicator | float) -> bool:
    """Whether *a* has gone from at or below *b* to above it with the newest closed bar."""
    a0, a1 = (a[0], a[-1]) if isinstance(a, Indicator) else (a, a)
    b0, b1 = (b[0], b[-1]) if isinstance(b, Indicator) else (b, b)
    return a1 <= b1 and a0 > b0


def _series(columns: PriceColumns, grid: Grid) -> dict[str, _Floats]:
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
