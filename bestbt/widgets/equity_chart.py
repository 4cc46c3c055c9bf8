"""Equity, and how far it lies under its highest so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from bestbt.units import Money, Ordinal
from bestbt.widgets.lod import thin
from bestbt.widgets.plots import DOWN, GREY, LINE, NOTHING, ValueAxis, bqplot, figure, send
from bestbt.widgets.protocol import Floats

__all__ = ["EquityChart"]

POINTS = 1_500


class EquityChart:
    """Two panes on the shared time axis: profit and loss, and drawdown.

    Equity is drawn less the capital, so that zero is the line between gain and loss.
    """

    def __init__(
        self, capital: Money, first_bar: Ordinal, x: Any, time_axis: Any, height: int
    ) -> None:
        self._capital, self._first = capital, first_bar
        self.take(np.empty(0), np.empty(0))
        self._gain_y, self._under_y = ValueAxis(4), ValueAxis(3)
        self._line = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": x, "y": self._gain_y.scale},
            colors=[LINE],
            stroke_width=1.6,
        )
        self._zero = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": x, "y": self._gain_y.scale},
            colors=[GREY],
            stroke_width=1.0,
            line_style="dashed",
        )
        self._below = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": x, "y": self._under_y.scale},
            colors=[DOWN],
            stroke_width=1.2,
            fill="top",
            fill_colors=[DOWN],
            fill_opacities=[0.25],
        )
        bare = bqplot.Axis(scale=x, grid_lines="none", num_ticks=0, visible=False)
        gain, under = self._gain_y, self._under_y
        self.equity = figure(
            [self._zero, self._line], [bare, gain.axis], x, gain.scale, height, bottom=8
        )
        self.drawdown = figure(
            [self._below], [time_axis, under.axis], x, under.scale, height * 3 // 4 + 18, bottom=26
        )
        self.equity.add_class("bt-equity")
        self.drawdown.add_class("bt-drawdown")

    def take(self, bars: np.ndarray[Any, Any], equity: Floats) -> None:
        """Take the equity known so far, at these ordinals in order.

        The capital before the first bar counts as a height too: a run that only loses is all
        drawdown.
        """
        self._x = np.concatenate(([self._first - 0.5], bars))
        self._pnl = np.concatenate(([0.0], equity - self._capital))
        self._under = self._pnl - np.maximum.accumulate(self._pnl)

    def draw(self, lo: float, hi: float) -> None:
        """Show ``lo … hi``."""
        x, y = thin(self._x, self._pnl, lo, hi, POINTS)
        low, high = float(y.min()), float(y.max())
        pad = max((high - low) * 0.06, 1.0)
        self._gain_y.show(low - pad, high + pad)
        send(self._zero, x=np.asarray([lo, hi]), y=np.zeros(2))
        send(self._line, x=x, y=y)
        x, y = thin(self._x, self._under, lo, hi, POINTS)
        self._under_y.show(min(float(y.min()) * 1.08, -1.0), 0.0)
        send(self._below, x=x, y=y)
