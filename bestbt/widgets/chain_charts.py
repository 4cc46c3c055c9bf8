"""Two pictures of a chain: open interest by strike, and the smile of its volatilities."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from bestbt.widgets.chain_scene import ChainScene, Side
from bestbt.widgets.plots import (
    BUY,
    GREY,
    NOTHING,
    SELL,
    ValueAxis,
    bqplot,
    figure,
    send,
)
from bestbt.widgets.protocol import Floats
from bestbt.widgets.ticks import round_values

__all__ = ["ChainCharts"]

CALL, PUT = BUY, SELL  # blue and orange: told apart by every eye
_SIDES = f'<b style="color:{CALL}">calls</b>, <b style="color:{PUT}">puts</b>'
_OI = "Open interest, {unit}: " + _SIDES + "; light: new today, hollow: gone today"
_IV = f"Implied volatility, %: {_SIDES}; line: out of the money"


class ChainCharts(widgets.HBox):  # type: ignore[misc]
    """Open interest by strike and the smile, side by side.

    Parameters
    ----------
    height
        Of both, in pixels.
    """

    def __init__(self, height: int = 150) -> None:
        self._oi, self._smile = _Interest(height - 16), _Smile(height - 16)
        super().__init__([self._oi.box, self._smile.box])
        self.add_class("bt-chain-charts")

    def __repr__(self) -> str:
        return "<ChainCharts>"

    def show(self, scene: ChainScene | None) -> None:
        """Draw a chain; nothing where there is none."""
        self._oi.show(scene)
        self._smile.show(scene)


class _Pane:
    """A titled figure over strikes, with a line where the forward is."""

    def __init__(self, height: int) -> None:
        self._x = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        self._strikes = bqplot.Axis(scale=self._x, grid_lines="none", tick_format="d")
        self._y = ValueAxis(3)
        self._unit = bqplot.LinearScale(min=0.0, max=1.0)
        self._forward = self.path(GREY, self._unit, line_style="dashed")
        marks = [self._forward, *self.marks()]
        self.figure = figure(
            marks, [self._strikes, self._y.axis], self._x, self._y.scale, height, bottom=22
        )
        self._title = widgets.HTML(layout={"height": "16px", "margin": "0"})
        self.box = widgets.VBox([self._title, self.figure], layout={"width": "50%"})

    def call(self, title: str) -> None:
        """Set the title."""
        self._title.value = f'<span class="bt-pane-title">{title}</span>'

    def marks(self) -> list[Any]:
        """Return what is drawn, made once."""
        raise NotImplementedError

    def path(self, colour: str, y: Any = None, **traits: Any) -> Any:
        scales = {"x": self._x, "y": y or self._y.scale}
        traits = {"stroke_width": 1.0} | traits
        return bqplot.Lines(x=NOTHING, y=NOTHING, scales=scales, colors=[colour], **traits)

    def place(self, scene: ChainScene | None) -> float:
        """Fit the strikes and mark the forward; return the least distance of two strikes."""
        if scene is None or not len(scene.strikes):
            send(self._forward, x=NOTHING, y=NOTHING)
            return 0.0
        strikes = scene.strikes
        step = float(np.diff(strikes).min()) if len(strikes) > 1 else 1.0
        lo, hi = float(strikes[0]) - step, float(strikes[-1]) + step
        if (self._x.min, self._x.max) != (lo, hi):
            send(self._x, min=lo, max=hi)
            self._strikes.tick_values = round_values(lo, hi, 6)
        if scene.forward is None:
            send(self._forward, x=NOTHING, y=NOTHING)
        else:
            send(self._forward, x=np.full(2, scene.forward.value), y=np.asarray([0.0, 1.0]))
        return step


class _Interest(_Pane):
    """Calls left of the strike, puts right; what is new today light on top, what is gone hollow."""

    def marks(self) -> list[Any]:
        def kinds(colour: str) -> list[Any]:
            full = {"fill": "inside", "fill_colors": [colour], "close_path": True}
            return [
                self.path(colour, stroke_width=0.0, fill_opacities=[0.9], **full),
                self.path(colour, stroke_width=0.0, fill_opacities=[0.4], **full),
                self.path(colour, close_path=True),
            ]

        self._kinds = [kinds(CALL), kinds(PUT)]
        return [mark for some in self._kinds for mark in some]

    def show(self, scene: ChainScene | None) -> None:
        """Draw the bars of each strike."""
        step = self.place(scene)
        lakh = scene is not None and scene.currency == "₹"
        unit = 1e5 if lakh else 1e6
        self.call(_OI.format(unit="lakh" if lakh else "millions"))
        highest = 0.0
        for kinds, right in zip(self._kinds, ("calls", "puts"), strict=True):
            parts = _parts(scene, getattr(scene, right)) if scene is not None else None
            for i, mark in enumerate(kinds):
                if parts is None or scene is None:
                    send(mark, x=NOTHING, y=NOTHING)
                    continue
                middle = scene.strikes + (-0.21 if right == "calls" else 0.21) * step
                low, high = parts[i]
                x, y = _bars(middle, low / unit, high / unit, 0.2 * step)
                highest = max(highest, float(y[~np.isnan(y)].max(initial=0.0)))
                send(mark, x=x, y=y)
        self._y.show(0.0, highest * 1.05 or 1.0)


def _parts(scene: ChainScene, side: Side) -> tuple[tuple[Floats, Floats], ...]:
    """Return from where to where each kind of bar reaches: kept, new and gone."""
    change = np.nan_to_num(side.oi_change)
    before = side.oi - change
    kept = np.minimum(side.oi, before)
    nothing = np.full(len(scene.strikes), np.nan)
    return (
        (np.zeros(len(kept)), kept),
        (kept, np.where(change > 0, side.oi, nothing)),
        (kept, np.where(change < 0, before, nothing)),
    )


def _bars(middle: Floats, low: Floats, high: Floats, half: float) -> tuple[Floats, Floats]:
    """Return a path around each bar, with gaps between them."""
    there = high > low  # nan: there is none
    if not there.any():
        return NOTHING, NOTHING
    middle, low, high = middle[there], low[there], high[there]
    left, right = middle - half, middle + half
    x = np.stack((left, left, right, right, left, left), axis=1).ravel()
    y = np.stack((low, high, high, low, low, np.full(len(low), np.nan)), axis=1).ravel()
    return x[:-1], y[:-1]  # a last NaN would leave the library without a place for its label


class _Smile(_Pane):
    """Points of calls and puts, and a line through those that are out of the money."""

    def marks(self) -> list[Any]:
        scales = {"x": self._x, "y": self._y.scale}
        self._points = [
            bqplot.Scatter(
                x=NOTHING, y=NOTHING, scales=scales, colors=[colour], default_size=size, stroke=None
            )
            for colour, size in ((CALL, 30), (PUT, 10))  # a put's lies on the call's
        ]
        self._line = self.path(GREY, stroke_width=1.4)
        return [self._line, *self._points]

    def show(self, scene: ChainScene | None) -> None:
        """Draw the volatilities of each strike."""
        self.place(scene)
        self.call(_IV)
        seen: list[Floats] = []
        if scene is None:
            curves = [np.empty(0)] * 3
            strikes = np.empty(0)
        else:
            strikes, curves = scene.strikes, [scene.smile, scene.calls.iv, scene.puts.iv]
        for mark, iv in zip((self._line, *self._points), curves, strict=True):
            there = ~np.isnan(iv)
            send(mark, x=strikes[there], y=100 * iv[there])
            seen.append(100 * iv[there])
        if len(values := np.concatenate(seen)):
            # Deep in the money a tick moves the volatility by a lot: it may leave the picture.
            line = seen[0] if len(seen[0]) else values
            low, high = float(line.min()), float(line.max())
            pad = max((high - low) * 0.15, 0.5)
            self._y.show(max(low - pad, 0.0), high + pad)
