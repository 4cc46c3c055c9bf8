"""Equity, how far it lies under its highest so far, and what another run would have made."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.units import Money, Ordinal
from bestbt.widgets.lod import thin
from bestbt.widgets.plots import DOWN, GREY, LINE, NOTHING, SELL, ValueAxis, bqplot, figure, send
from bestbt.widgets.protocol import Floats

__all__ = ["EquityChart"]

POINTS = 1_500

_Curve = tuple[Floats, Floats]
_NONE: _Curve = (NOTHING, NOTHING)


class EquityChart:
    """Two panes on the shared time axis: profit and loss; drawdown, or the premium of a group.

    Equity is drawn less the capital, so that zero is the line between gain and loss.
    """

    def __init__(
        self, capital: Money, first_bar: Ordinal, x: Any, time_axis: Any, height: int
    ) -> None:
        self._capital, self._first = capital, first_bar
        self._stretch: tuple[float, float, bool] | None = None  # as last drawn, and what below
        self._other: _Curve = _NONE
        self._worth: _Curve = _NONE
        self.take(np.empty(0), np.empty(0))
        self._gain_y, self._under_y = ValueAxis(4), ValueAxis(3)

        def line(y: ValueAxis, colour: str, width: float, **traits: Any) -> Any:
            return bqplot.Lines(
                x=NOTHING,
                y=NOTHING,
                scales={"x": x, "y": y.scale},
                colors=[colour],
                stroke_width=width,
                **traits,
            )

        self._line = line(self._gain_y, LINE, 1.6)
        self._zero = line(self._gain_y, GREY, 1.0, line_style="dashed")
        self._without = line(self._gain_y, SELL, 1.4, line_style="dashed")
        self._below = line(
            self._under_y, DOWN, 1.2, fill="top", fill_colors=[DOWN], fill_opacities=[0.25]
        )
        self._premium = line(self._under_y, SELL, 1.4)
        bare = bqplot.Axis(scale=x, grid_lines="none", num_ticks=0, visible=False)
        gain, under = self._gain_y, self._under_y
        upper = height * 14 // 25
        self.equity = figure(
            [self._zero, self._without, self._line], [bare, gain.axis], x, gain.scale, upper, 4, 18
        )
        self.drawdown = figure(
            [self._below, self._premium],
            [time_axis, under.axis],
            x,
            under.scale,
            height - upper,
            22,
            16,
        )
        self.equity.add_class("bt-equity")
        self.drawdown.add_class("bt-drawdown")

    def take(self, bars: np.ndarray[Any, Any], equity: Floats) -> None:
        """Take the equity known so far, at these ordinals in order.

        The capital before the first bar counts as a height too: a run that only loses is all
        drawdown.
        """
        self._x, self._pnl = self._less_capital(bars, equity)
        self._under = self._pnl - np.maximum.accumulate(self._pnl)

    @property
    def shown(self) -> _Curve:
        """The points of the line that is drawn."""
        return self._line.x, self._line.y

    @property
    def last(self) -> Money | None:
        """Newest profit or loss; None before the first bar."""
        return float(self._pnl[-1]) if len(self._pnl) > 1 else None

    def compare(self, bars: npt.NDArray[Any] | None, equity: Floats | None) -> None:
        """Draw another run's equity beside this one's, dashed; None takes it away."""
        other = bars is not None and equity is not None
        self._other = self._less_capital(bars, equity) if other else _NONE

    def premium(self, bars: npt.NDArray[Any] | None, worth: Floats | None) -> None:
        """Draw the premium of a group instead of the drawdown; None: the drawdown again."""
        if bars is None or worth is None:
            self._worth = _NONE
        else:
            self._worth = np.asarray(bars, np.float64), np.asarray(worth, np.float64)

    def _less_capital(self, bars: Any, equity: Any) -> _Curve:
        x = np.concatenate(([self._first - 0.5], np.asarray(bars, np.float64)))
        return x, np.concatenate(([0.0], np.asarray(equity, np.float64) - self._capital))

    def draw(self, lo: float, hi: float) -> None:
        """Show ``lo … hi``."""
        stretch = (lo, hi, len(self._worth[0]) > 0)
        steady, self._stretch = self._stretch == stretch, stretch
        x, y = thin(self._x, self._pnl, lo, hi, POINTS)
        other_x, other_y = thin(*self._other, lo, hi, POINTS)
        both = np.concatenate((y, other_y))
        low, high = float(both.min()), float(both.max())
        pad = max((high - low) * 0.08, 1.0)
        self._gain_y.show(low, high, pad, pad, steady)
        send(self._zero, x=np.asarray([lo, hi]), y=np.zeros(2))
        send(self._line, x=x, y=y)
        send(self._without, x=other_x, y=other_y)
        if len(self._worth[0]):
            x, y = thin(*self._worth, lo, hi, POINTS)
            send(self._below, x=NOTHING, y=NOTHING)
            send(self._premium, x=x, y=y)
            pad = max((float(y.max()) - float(y.min())) * 0.08, 0.5)
            self._under_y.show(float(y.min()), float(y.max()), pad, pad, steady)
            return
        x, y = thin(self._x, self._under, lo, hi, POINTS)
        deepest = min(float(y.min()), -1.0)
        self._under_y.show(deepest, 0.0, -deepest * 0.08, 0.0, steady)
        send(self._premium, x=NOTHING, y=NOTHING)
        send(self._below, x=x, y=y)
