"""The chart library, imported in silence.

Importing bqplot warns that its scales use an old way of naming traits. That says nothing to
our users and nothing else is silenced.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"metadata .* was set", category=DeprecationWarning)
    import bqplot
    from bqplot.interacts import PanZoom

from bestbt.widgets.ticks import round_values

__all__ = [
    "BUY",
    "DOWN",
    "GREY",
    "LINE",
    "NOTHING",
    "SELL",
    "UP",
    "PanZoom",
    "ValueAxis",
    "bqplot",
    "figure",
    "send",
]

# Chosen to be read on white and on near black.
UP, DOWN, LINE = "#26a69a", "#ef5350", "#4c8dff"
BUY, SELL, GREY = "#2979ff", "#ff8f00", "#8a8f98"

NOTHING = np.empty(0)  # for a mark with no data yet: the library cannot place a lone NaN

_MARGIN = {"left": 66, "right": 26}  # the same everywhere, so that the panes line up


def figure(marks: list[Any], axes: list[Any], x: Any, y: Any, height: int, bottom: int) -> Any:
    """Return a chart as wide as the cell and *height* px high."""
    return bqplot.Figure(
        marks=marks,
        axes=axes,
        scale_x=x,
        scale_y=y,
        fig_margin={**_MARGIN, "top": 8, "bottom": bottom},
        min_aspect_ratio=0.01,
        max_aspect_ratio=100.0,
        padding_x=0.0,
        padding_y=0.0,
        animation_duration=0,
        display_toolbar=False,  # it would sit on the candles, and ours says what it does
        layout={"width": "100%", "height": f"{height}px", "min_width": "0"},
    )


class ValueAxis:
    """The scale of money or prices at the left of a pane, with round ticks."""

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self.scale = bqplot.LinearScale(min=0.0, max=1.0)
        self.axis = bqplot.Axis(
            scale=self.scale, side="left", grid_lines="none", tick_format=",.10~g"
        )

    def show(self, lo: float, hi: float) -> None:
        """Let the pane reach from *lo* to *hi*."""
        send(self.scale, min=lo, max=hi)
        self.axis.tick_values = round_values(lo, hi, self._ticks)


def send(mark: Any, **traits: Any) -> None:
    """Set several traits of a widget in one message: x and y must not be seen apart."""
    with mark.hold_sync():
        for name, value in traits.items():
            setattr(mark, name, value)
