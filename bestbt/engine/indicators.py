"""Indicators: computed once over the whole grid, read at the clock.

The function must be causal: its value at a bar may depend on that bar and earlier ones only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.bars import coarser, series_of
from bestbt.engine.grid import Clock, Grid
from bestbt.engine.prices import PriceColumns
from bestbt.errors import UsageError
from bestbt.units import Ns

__all__ = ["CoarserIndicator", "Indicator", "crossed_above", "labelled"]

_Floats = npt.NDArray[np.float64]
_COLUMNS = ("open", "high", "low", "close", "volume", "oi")


class Indicator:
    """A causal function of price columns, as a series read at the clock.

    ``ind[0]`` is its value at the newest closed bar of its timeframe, ``ind[-1]`` the one
    before; `nan` where there is none. A positive index is the future and is refused.

    Parameters
    ----------
    clock, grid
        Of the run.
    columns
        Prices it is computed from.
    function, args
        Called with *args*, in which a column's name stands for its array.
    name
        Of the contract, for messages.

    Attributes
    ----------
    label, pane : str
        How a chart calls it and where it draws it; empty when it does not.
    of : str
        Name of the contract.
    """

    label = pane = ""

    def __init__(
        self,
        clock: Clock,
        grid: Grid,
        columns: PriceColumns,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        name: str = "",
    ) -> None:
        self._clock, self.of = clock, name
        values = _apply(function, args, series_of(columns), name)
        late = max(grid.n - columns.end, 0)
        padded = np.concatenate(
            (np.full(columns.first, math.nan), values, np.full(late, values[-1]))
        )
        # One entry a bar of the grid, so that a read is one index; the one behind the last serves
        # a clock that stands before the first bar (−1). A tuple of numbers, unlike a list, is not
        # looked through when garbage is collected.
        self._values: tuple[float, ...] = (*padded[: grid.n].tolist(), math.nan)

    def __getitem__(self, back: int) -> float:
        if back == 0:
            return self._values[self._clock.bar]
        i = self._clock.bar + back
        if i >= 0 and back <= 0:
            return self._values[i]
        return _before_the_first(back)

    def by_bar(self) -> _Floats:
        """Return what is read as ``ind[0]`` at each bar of the grid, those to come included.

        For charts, which draw it up to where the run stands; any thread may ask.
        """
        return np.asarray(self._values)

    def lately(self) -> tuple[float, float]:
        """Return what could be read one bar of the run ago, and what can be now."""
        bar = self._clock.bar
        return (self._values[bar - 1] if bar > 0 else math.nan), self[0]

    def __repr__(self) -> str:
        return f"<Indicator now {self[0]:g}>"


class CoarserIndicator(Indicator):
    """An indicator of a coarser timeframe: its newest bar is the last one that has closed."""

    def __init__(
        self,
        clock: Clock,
        grid: Grid,
        columns: PriceColumns,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        name: str = "",
        *,
        step: Ns,
    ) -> None:
        if step % grid.step:
            raise UsageError(f"bar= of an indicator of {name} must be a multiple of the run's bar.")
        self._clock, self.of = clock, name
        series, ends = coarser(grid, columns, series_of(columns), step)
        self._values = tuple(_apply(function, args, series, name).tolist())
        closed = np.searchsorted(ends, np.arange(grid.n) - columns.first + 1, side="right") - 1
        self._newest: tuple[int, ...] = tuple(closed.tolist())

    def __getitem__(self, back: int) -> float:
        bar = self._clock.bar
        i = self._newest[bar] + back if bar >= 0 else -1
        if i >= 0 and back <= 0:
            return self._values[i]
        return _before_the_first(back)

    def by_bar(self) -> _Floats:
        """Return what is read as ``ind[0]`` at each bar of the grid, those to come included."""
        newest = np.asarray(self._newest)
        return np.where(newest >= 0, np.asarray(self._values)[np.maximum(newest, 0)], math.nan)

    def lately(self) -> tuple[float, float]:
        """Return what could be read one bar of the run ago, and what can be now."""
        bar = self._clock.bar
        before = self._newest[bar - 1] if bar > 0 else -1
        return (self._values[before] if before >= 0 else math.nan), self[0]


def _before_the_first(back: int) -> float:
    if back > 0:
        raise UsageError(f"indicator[{back}] is the future; 0 is now, -1 the bar before.")
    return math.nan


def _apply(
    function: Callable[..., Any], args: tuple[Any, ...], series: dict[str, _Floats], name: str
) -> _Floats:
    wrong = [a for a in args if isinstance(a, str) and a not in series]
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
    return values


def crossed_above(a: Indicator | float, b: Indicator | float) -> bool:
    """Whether *a* went from at or below *b* to above it with the bar that has just closed.

    Both are compared as they could be read at that bar of the run and at the one before, also
    when their timeframes differ: a crossing is reported once.
    """
    a1, a0 = a.lately() if isinstance(a, Indicator) else (a, a)
    b1, b0 = b.lately() if isinstance(b, Indicator) else (b, b)
    return a1 <= b1 and a0 > b0


def labelled(function: Callable[..., Any], args: tuple[Any, ...], bar: str | None) -> str:
    """Name an indicator by how it was asked for.

    >>> def ema(close, length): ...
    >>> labelled(ema, ("close", 20), "5min")
    'ema(close, 20) 5min'
    """
    name = getattr(function, "__name__", type(function).__name__)
    shown = ", ".join(str(a) for a in args if isinstance(a, str | int | float))
    called = shown if name == "<lambda>" else f"{name}({shown})"
    return f"{called} {bar}" if bar else called
