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

from bestbt.widgets.ticks import round_values

__all__ = [
    "BUY",
    "DOWN",
    "GREY",
    "INK",
    "LINE",
    "MARGIN",
    "NOTHING",
    "SELL",
    "UP",
    "ValueAxis",
    "bqplot",
    "figure",
    "send",
]

# Chosen to be read on white and on near black.
UP, DOWN, LINE = "#26a69a", "#ef5350", "#4c8dff"
BUY, SELL, GREY = "#2979ff", "#ff8f00", "#8a8f98"
INK = ("#2979ff", "#ff8f00", "#a259d9", "#00a3a3", "#d94f9a")  # lines that lie side by side

NOTHING = np.empty(0)  # for a mark with no data yet: the library cannot place a lone NaN

MARGIN = {"left": 22, "right": 68}  # the same everywhere, so that the panes line up


def figure(
    marks: list[Any], axes: list[Any], x: Any, y: Any, height: int, bottom: int, top: int = 6
) -> Any:
    """Return a chart as wide as its box and *height* px high."""
    return bqplot.Figure(
        marks=marks,
        axes=axes,
        scale_x=x,
        scale_y=y,
        fig_margin={**MARGIN, "top": top, "bottom": bottom},
        min_aspect_ratio=0.01,
        max_aspect_ratio=100.0,
        padding_x=0.0,
        padding_y=0.0,
        animation_duration=0,
        display_toolbar=False,  # it would sit on the candles, and ours says what it does
        layout={"width": "100%", "height": f"{height}px", "min_width": "0"},
    )


class ValueAxis:
    """The scale of money or prices at the right of a pane, with round ticks."""

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        # With padding the library would shrink the range by the size of a pane's markers.
        self.scale = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        self.axis = bqplot.Axis(
            scale=self.scale, side="right", grid_lines="none", tick_format=",.10~g"
        )

    def show(
        self, lo: float, hi: float, below: float = 0.0, above: float = 0.0, steady: bool = False
    ) -> None:
        """Let the pane reach from *lo* to *hi*, and so much more *below* and *above*.

        A *steady* one is left as it is while it shows all of that and is not much too wide, and
        given more room when it is not: a scale that moves with every bar jumps, and makes the
        browser draw everything again.
        """
        low, high = self.scale.min, self.scale.max
        if steady:
            if low <= lo and hi <= high and hi - lo + below + above > 0.6 * (high - low):
                return
            below, above = 2 * below, 2 * above
        send(self.scale, min=lo - below, max=hi + above)
        send(self.axis, tick_values=round_values(lo - below, hi + above, self._ticks))


def send(mark: Any, **traits: Any) -> None:
    """Set what has changed of several traits, in one message: x and y must not be seen apart."""
    changed = {name: value for name, value in traits.items() if _differs(mark, name, value)}
    if not changed:
        return
    with mark.hold_sync():
        for name, value in changed.items():
            setattr(mark, name, value)


def _differs(mark: Any, name: str, value: Any) -> bool:
    old = getattr(mark, name)
    if old is value:
        return False
    if not isinstance(value, np.ndarray):
        return bool(old != value)
    if not isinstance(old, np.ndarray) or old.shape != value.shape or old.dtype != value.dtype:
        return True
    return old.tobytes() != value.tobytes()  # a tenth of the time of a comparison that knows NaN
