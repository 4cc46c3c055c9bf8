"""Panes of the indicators that do not belong on prices, one for each name."""

from __future__ import annotations

from typing import Any

import numpy as np

from bestbt.engine.indicators import Indicator
from bestbt.units import Ordinal
from bestbt.widgets.lod import thin
from bestbt.widgets.plots import INK, NOTHING, ValueAxis, bqplot, figure, send
from bestbt.widgets.protocol import Floats

__all__ = ["IndicatorPane"]

_POINTS = 1_000
_LINES = 3


class IndicatorPane:
    """One pane on the shared time axis: up to three lines."""

    def __init__(self, name: str, x: Any, height: int) -> None:
        self.name = name
        self._stretch: tuple[list[str], float, float] | None = None  # as last drawn
        self._y = ValueAxis(2)
        self._lines = [
            bqplot.Lines(
                x=NOTHING,
                y=NOTHING,
                scales={"x": x, "y": self._y.scale},
                colors=[INK[i]],
                stroke_width=1.4,
            )
            for i in range(_LINES)
        ]
        bare = bqplot.Axis(scale=x, grid_lines="none", num_ticks=0, visible=False)
        self.figure = figure(
            list(self._lines), [bare, self._y.axis], x, self._y.scale, height, 2, 14
        )
        self.figure.add_class("bt-indicator")

    def draw(
        self,
        curves: list[tuple[Indicator, Floats]],
        lo: float,
        hi: float,
        first: Ordinal,
        newest: Ordinal,
    ) -> str:
        """Show the indicators from bar *first* to *newest*; return their names."""
        low, high = np.inf, -np.inf
        x = np.arange(first, newest + 1, dtype=np.float64)
        for number, line in enumerate(self._lines):
            if number >= len(curves) or newest < first:
                send(line, x=NOTHING, y=NOTHING)
                continue
            y = curves[number][1][first : newest + 1]
            there = np.isfinite(y)
            some_x, some_y = thin(x[there], y[there], lo, hi, _POINTS)
            send(line, x=some_x, y=some_y)
            if len(some_y):
                low, high = min(low, float(some_y.min())), max(high, float(some_y.max()))
        stretch = [i.label for i, _ in curves], lo, hi
        steady, self._stretch = stretch == self._stretch, stretch
        if np.isfinite(low):
            pad = (high - low or abs(high) or 1.0) * 0.08
            self._y.show(low, high, pad, pad, steady)
        return "  ".join(i.label for i, _ in curves[:_LINES])
