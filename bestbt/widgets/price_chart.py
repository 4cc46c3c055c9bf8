"""Price with entries and exits."""

from __future__ import annotations

from typing import Any

import numpy as np

from bestbt.units import Ordinal
from bestbt.widgets.lod import Candles, Ordinals, candles
from bestbt.widgets.markers import KINDS, Marked, Span, block_spans, mark_fills, select
from bestbt.widgets.plots import (
    BUY,
    DOWN,
    GREY,
    NOTHING,
    SELL,
    UP,
    ValueAxis,
    bqplot,
    figure,
    send,
)
from bestbt.widgets.protocol import Floats, Viewable

__all__ = ["PriceChart"]

CANDLES = 500  # two pixels each on a common screen
MARKERS = 200
_SLOTS = 120  # markers side by side
_PAPER = "var(--jp-layout-color0)"


class PriceChart:
    """Candles of the run's first symbol, and its fills once they are complete.

    A candle is drawn as a path: three lines with gaps (wicks, rising and falling bodies) cost
    the browser a third of a candle mark.
    """

    def __init__(self, run: Viewable, x: Any, time_axis: Any, height: int) -> None:
        self._run = run
        self._marked: Marked | None = None
        self._spans: list[Span] = []
        self._y = ValueAxis(6)
        self._unit = bqplot.LinearScale(min=0.0, max=1.0)
        scales = {"x": x, "y": self._y.scale}

        def path(colour: str, **traits: Any) -> Any:
            return bqplot.Lines(
                x=NOTHING, y=NOTHING, scales=scales, colors=[colour], stroke_width=1.0, **traits
            )

        def body(colour: str) -> Any:
            return path(colour, fill="inside", fill_colors=[colour], close_path=True)

        self._wicks = path(GREY)
        self._up, self._down = body(UP), body(DOWN)
        self._days = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": x, "y": self._unit},
            colors=[GREY],
            stroke_width=1.0,
            opacities=[0.6],
            line_style="dashed",
        )
        self._blocks = bqplot.Lines(
            x=NOTHING,
            y=NOTHING,
            scales={"x": x, "y": self._unit},
            colors=[GREY],
            stroke_width=0.0,
            fill="inside",
            fill_colors=[GREY],
            fill_opacities=[0.18],
            close_path=True,
        )
        tooltip = bqplot.Tooltip(fields=["name"], labels=[""], show_labels=False)
        self._markers = [
            bqplot.Scatter(
                x=NOTHING,
                y=NOTHING,
                names=NOTHING,
                display_names=False,
                scales=scales,
                marker=shape,
                colors=[fill],
                stroke=line,
                stroke_width=1.5,
                tooltip=tooltip,
                tooltip_style={"opacity": 1},
            )
            for shape, fill, line in (  # in the order of KINDS: entries are full, exits hollow
                ("triangle-up", BUY, BUY),
                ("triangle-down", SELL, SELL),
                ("triangle-up", _PAPER, BUY),
                ("triangle-down", _PAPER, SELL),
            )
        ]
        marks = [self._blocks, self._days, self._wicks, self._up, self._down, *self._markers]
        self.figure = figure(marks, [time_axis, self._y.axis], x, self._y.scale, height, bottom=26)
        self.figure.add_class("bt-price")

    def finish(self) -> None:
        """Take the fills and blocks of a run that has ended."""
        self._marked = mark_fills(self._run)
        self._spans = block_spans(self._run)

    def reopen(self) -> None:
        """Forget the fills and blocks: the run goes on."""
        self._marked = None
        self._spans = []
        for mark in self._markers:
            send(mark, x=NOTHING, y=NOTHING, names=NOTHING)

    def draw(self, lo: float, hi: float, newest: Ordinal, days: Ordinals) -> str:
        """Show ``lo … hi`` as far as bar *newest*; return what was drawn, in words."""
        self._separate(days)
        shaded = self._shade(lo, hi)
        prices = self._run.columns(self._run.symbol)
        seen = candles(self._run.grid, prices, lo, hi, CANDLES, newest)
        if seen is None:
            for mark in (self._wicks, self._up, self._down):
                send(mark, x=NOTHING, y=NOTHING)
            return "no prices here"
        self._fit(seen)
        x, y = _wicks(seen)
        send(self._wicks, x=x, y=y)
        rising = seen.close >= seen.open
        for mark, which in ((self._up, rising), (self._down, ~rising)):
            x, y = _bodies(seen, which)
            send(mark, x=x, y=y)
        told = [f"{seen.timeframe} candles"]
        if self._marked is not None:
            told.append(self._mark(self._marked, seen, lo, hi))
        if shaded:
            told.append(shaded)
        return " · ".join(told)

    def _fit(self, seen: Candles) -> None:
        low, high = float(seen.low.min()), float(seen.high.max())
        pad = (high - low or abs(high) or 1.0) * 0.1
        self._y.show(low - pad, high + pad)

    def _separate(self, days: Ordinals) -> None:
        if len(days):
            x = np.repeat(days - 0.5, 3)
            send(self._days, x=x[:-1], y=np.tile([0.0, 1.0, np.nan], len(days))[:-1])
        else:
            send(self._days, x=NOTHING, y=NOTHING)

    def _shade(self, lo: float, hi: float) -> str:
        """Shade the stretches in which a block was on; say which, while they are few."""
        seen = [s for s in self._spans if s.start <= hi and s.end >= lo]
        joined: list[tuple[float, float]] = []
        for one in sorted(seen, key=lambda s: s.start):
            if joined and one.start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], one.end)
            else:
                joined.append((one.start, one.end))
        if not joined:
            send(self._blocks, x=NOTHING, y=NOTHING)
            return ""
        left, right = np.asarray(joined).T
        x = np.stack((left, left, right, right, left, left), axis=1).ravel()
        y = np.tile([0.0, 1.0, 1.0, 0.0, 0.0, np.nan], len(joined))
        send(self._blocks, x=x[:-1], y=y[:-1])
        return f"blocked: {seen[0].text}" if len(seen) == 1 else f"{len(seen)} blocks (shaded)"

    def _mark(self, marked: Marked, seen: Candles, lo: float, hi: float) -> str:
        """Put markers clear of the candles: what is bought below them, what is sold above."""
        picked, shown, total = select(marked, lo, hi, MARKERS, _SLOTS)
        gap = float(seen.high.max() - seen.low.min()) * 0.035
        edges = seen.x[:-1] + np.diff(seen.x) / 2
        for mark, kind, one in zip(self._markers, KINDS, picked, strict=True):
            at = np.searchsorted(edges, one.x)
            y = seen.low[at] - gap if kind.startswith("buy") else seen.high[at] + gap
            size = 64 if shown <= _SLOTS // 2 else 28
            send(mark, x=one.x, y=y, names=np.asarray(one.text), default_size=size)
        if not total:
            return "no fills here"
        return f"{total} fills" if shown == total else f"{total} fills in {shown} markers"


def _wicks(c: Candles) -> tuple[Floats, Floats]:
    x = np.repeat(c.x, 3)
    y = np.stack((c.low, c.high, np.full(len(c.x), np.nan)), axis=1).ravel()
    return x[:-1], y[:-1]  # a last NaN would leave the library without a place for its label


def _bodies(c: Candles, which: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Floats, Floats]:
    if not which.any():
        return NOTHING, NOTHING
    middle, first, last = c.x[which], c.open[which], c.close[which]
    left, right = middle - 0.36 * c.width, middle + 0.36 * c.width
    x = np.stack((left, right, right, left, left, left), axis=1).ravel()
    y = np.stack((first, first, last, last, first, np.full(len(first), np.nan)), axis=1).ravel()
    return x[:-1], y[:-1]
