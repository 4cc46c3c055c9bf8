"""Candles of what is charted, with fills, levels and indicators."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.charted import Charted
from bestbt.engine.indicators import Indicator
from bestbt.units import Ordinal
from bestbt.widgets.lod import Candles, Ordinals, candles
from bestbt.widgets.markers import KINDS, Marked, select
from bestbt.widgets.marks import Marks
from bestbt.widgets.plots import (
    BUY,
    DOWN,
    GREY,
    INK,
    NOTHING,
    SELL,
    UP,
    ValueAxis,
    bqplot,
    figure,
    send,
)
from bestbt.widgets.pointer import Level
from bestbt.widgets.protocol import Floats, Viewable

__all__ = ["CANDLES", "PriceChart"]

CANDLES = 500  # seen at once; as many again lie beside them, for moving the chart
MARKERS = 200
_SLOTS = 60  # markers side by side
_PAPER = "var(--jp-layout-color0)"
_REST = 20.0  # times as long as marking fills takes, none are marked again while the run plays
_REACH = 0.35  # of the candles' height: levels that near are brought into the picture
_LINES = 6  # indicators on the price pane
_BOTTOM, _TOP = 22, 20

# In the order of KINDS: shape, fill, outline. Entries are full, exits hollow.
_SHAPES = (
    ("triangle-up", BUY, BUY),
    ("triangle-down", SELL, SELL),
    ("triangle-up", _PAPER, BUY),
    ("triangle-down", _PAPER, SELL),
    ("cross", "#e5484d", _PAPER),
    ("circle", "#00a3a3", _PAPER),
    ("diamond", "#a259d9", _PAPER),
    ("square", GREY, _PAPER),
    ("rectangle", "#b58a00", _PAPER),
    ("arrow", "#2f7fd8", _PAPER),
)
_NO_FILLS = [KINDS.index("block"), KINDS.index("by hand")]


class PriceChart:
    """Candles of one symbol, and what the run did there.

    A candle is drawn as a path: three lines with gaps (wicks, rising and falling bodies) cost
    the browser a third of a candle mark.
    """

    def __init__(self, run: Viewable, x: Any, time_axis: Any, height: int) -> None:
        self._run = run
        self._height = height
        self.charted = Charted(run.symbol, ())
        self.levels: Sequence[Level] = ()
        self.last: tuple[float, bool] | None = None  # newest price, and whether its candle rises
        self.seen: Candles | None = None  # as last drawn
        self._marks = Marks(run)
        self._rested = 0.0
        self._stretch: tuple[str, float, float] | None = None  # as last drawn
        self.named: list[str] = []  # indicators drawn
        self._marked: Marked | None = None  # those of what is charted; None before the first look
        self._placed: tuple[Any, ...] = ()  # what the places of the markers were made of
        self._told = ""
        self._curves: dict[int, tuple[Indicator, Floats]] = {}
        self._y = ValueAxis(6)
        self._unit = bqplot.LinearScale(min=0.0, max=1.0)
        scales = {"x": x, "y": self._y.scale}

        def path(colour: str, **traits: Any) -> Any:
            traits = {"scales": scales, "stroke_width": 1.0} | traits
            return bqplot.Lines(x=NOTHING, y=NOTHING, colors=[colour], **traits)

        def body(colour: str) -> Any:
            return path(colour, fill="inside", fill_colors=[colour], close_path=True)

        whole = {"x": x, "y": self._unit}
        self._wicks = path(GREY)
        self._up, self._down = body(UP), body(DOWN)
        self._lines = [path(INK[i % len(INK)], stroke_width=1.4) for i in range(_LINES)]
        self._days = path(GREY, scales=whole, opacities=[0.6], line_style="dashed")
        self._blocks = path(
            GREY,
            scales=whole,
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
                stroke=outline,
                stroke_width=1.5 if fill == _PAPER else 1.0,
                tooltip=tooltip,
                tooltip_style={"opacity": 1},
            )
            for shape, fill, outline in _SHAPES
        ]
        marks = [self._blocks, self._days, self._wicks, self._up, self._down]
        marks += [*self._lines, *self._markers]
        self.figure = figure(
            marks, [time_axis, self._y.axis], x, self._y.scale, height, _BOTTOM, _TOP
        )
        self.figure.add_class("bt-price")

    def resize(self, height: int) -> None:
        """Make room for other panes."""
        self._height = height
        self.figure.layout.height = f"{height}px"

    def show(self, charted: Charted) -> None:
        """Chart something else."""
        self.charted = charted
        self.levels = ()
        if self._marked is not None:
            self._choose()

    def book(self, final: bool = False) -> bool:
        """Take the fills and blocks booked so far; return whether there were new ones.

        While a run plays this rests for a multiple of the time it takes: the engine needs the
        same interpreter.
        """
        if not final:
            rests = self._run.state == "running" and time.monotonic() < self._rested
            if self._marks.fresh or (rests and not self._marks.rewound):
                return False
        began = time.monotonic()
        self._marks.look()
        now = time.monotonic()
        self._rested = now + (now - began) * _REST
        self._choose()
        return True

    def traded(self, most: int) -> list[str]:
        """Return the contracts marked last, newest first."""
        symbols = reversed(self._marks.all.symbol)
        names = (name for symbol in symbols for name in symbol.split("\n") if name)
        return list(dict.fromkeys(names))[:most]

    def reopen(self) -> None:
        """Forget the fills and blocks, the indicators too: the run has been taken back."""
        self._marks.forget()
        self._marked, self._rested = None, 0.0
        self._curves = {}
        self._placed = ()
        for mark in self._markers:
            send(mark, x=NOTHING, y=NOTHING, names=NOTHING)

    def _choose(self) -> None:
        """Keep the marks of what is charted: of an underlying those of all its contracts."""
        names = {str(leg) for leg in self.charted.legs} or {self.charted.name}
        if any(leg.expiry is not None for leg in self.charted.legs):
            self._marked = self._marks.all.of(lambda symbol: bool(names & set(symbol.split("\n"))))
        else:
            own = f"{self.charted.name} "
            self._marked = self._marks.all.of(lambda s: s in names or s.startswith(own))

    def draw(
        self,
        lo: float,
        hi: float,
        newest: Ordinal,
        days: Ordinals,
        timeframe: str | None = None,
        beside: float = 0.0,
    ) -> str:
        """Show ``lo … hi`` as far as bar *newest*; return what was drawn, in words."""
        self._separate(days)
        shaded = self._shade(lo, hi)
        prices = self._run.columns(self.charted.name)
        self.last, self.named = None, []
        at = min(newest, prices.end - 1) - prices.first
        self.seen = seen = candles(
            self._run.grid,
            prices,
            lo,
            hi,
            CANDLES,
            newest,
            timeframe=timeframe,
            beside=beside,
        )
        if seen is None:
            self._placed = ()
            for mark in (self._wicks, self._up, self._down, *self._lines, *self._markers):
                send(mark, x=NOTHING, y=NOTHING)
            return "no prices here"
        self.last = float(prices.close[at]), bool(seen.close[-1] >= seen.open[-1])
        within = (seen.x >= lo - seen.width) & (seen.x <= hi + seen.width)
        if not within.any():
            within[:] = True
        low, high = float(seen.low[within].min()), float(seen.high[within].max())
        x, y = _wicks(seen)
        send(self._wicks, x=x, y=y)
        rising = seen.close >= seen.open
        for mark, which in ((self._up, rising), (self._down, ~rising)):
            x, y = _bodies(seen, which)
            send(mark, x=x, y=y)
        stretch = (self.charted.name, lo, hi)
        steady, self._stretch = stretch == self._stretch, stretch
        self._fit(low, high, self._overlay(seen, within), steady)
        told = []
        if self._marked is not None:
            told.append(self._mark(self._marked, seen, lo, hi))
        if shaded:
            told.append(shaded)
        return " · ".join(told)

    def _fit(self, low: float, high: float, others: list[float], steady: bool) -> None:
        """Fit the scale to the candles; of levels and indicators only what is near them."""
        room = high - low or abs(high) * 0.01 or 1.0
        others = [v.price for v in self.levels] + others
        reach = room * _REACH
        near = [price for price in others if low - reach < price < high + reach]
        low, high = min([low, *near]), max([high, *near])
        pad = (high - low or room) * 0.1
        self._y.show(low, high, pad, pad, steady)

    def _overlay(self, seen: Candles, within: npt.NDArray[np.bool_]) -> list[float]:
        """Draw the indicators of this symbol that belong on its prices; return their extremes."""
        self.named = []
        alive = {id(i) for i in self._run.indicators}
        self._curves = {key: kept for key, kept in self._curves.items() if key in alive}
        mine = [i for i in self._run.indicators if i.pane == "price" and i.of == self.charted.name]
        extremes: list[float] = []
        for number, line in enumerate(self._lines):
            if number >= len(mine):
                send(line, x=NOTHING, y=NOTHING)
                continue
            y = self.curve(mine[number])[seen.last]
            there = np.isfinite(y)
            send(line, x=seen.last[there].astype(np.float64), y=y[there])
            self.named.append(mine[number].label)
            if (there & within).any():
                extremes += [float(y[there & within].min()), float(y[there & within].max())]
        return extremes

    def curve(self, indicator: Indicator) -> Floats:
        """Return an indicator's values by bar, made once."""
        kept = self._curves.get(id(indicator))
        if kept is None:  # with the indicator itself, so that no other gets its id
            kept = self._curves[id(indicator)] = indicator, indicator.by_bar()
        return kept[1]

    def _separate(self, days: Ordinals) -> None:
        if len(days):
            x = np.repeat(days - 0.5, 3)
            send(self._days, x=x[:-1], y=np.tile([0.0, 1.0, np.nan], len(days))[:-1])
        else:
            send(self._days, x=NOTHING, y=NOTHING)

    def _shade(self, lo: float, hi: float) -> str:
        """Shade the stretches in which a block was on; say which, while they are few."""
        seen = [s for s in self._marks.spans if s.start <= hi and s.end >= lo]
        joint: list[tuple[float, float]] = []
        for one in sorted(seen, key=lambda s: s.start):
            if joint and one.start <= joint[-1][1]:
                joint[-1] = joint[-1][0], max(joint[-1][1], one.end)
            else:
                joint.append((one.start, one.end))
        if not joint:
            send(self._blocks, x=NOTHING, y=NOTHING)
            return ""
        left, right = np.asarray(joint).T
        x = np.stack((left, left, right, right, left, left), axis=1).ravel()
        y = np.tile([0.0, 1.0, 1.0, 0.0, 0.0, np.nan], len(joint))
        send(self._blocks, x=x[:-1], y=y[:-1])
        return f"blocked: {seen[0].text}" if len(seen) == 1 else f"{len(seen)} blocks (shaded)"

    def _mark(self, marked: Marked, seen: Candles, lo: float, hi: float) -> str:
        """Put markers clear of the candles: what is bought below them, what is sold above.

        On an option's own chart they stand at the price of the fill. While the run plays nothing of
        it changes but the newest candle: as long as no marker is there, all stay where they are.
        """
        edges = seen.x[:-1] + np.diff(seen.x) / 2
        at = int(np.searchsorted(edges, marked.bar[-1])) if len(marked.bar) else 0
        scale = self._y.scale.min, self._y.scale.max, self._height
        placed = marked, lo, hi, scale, seen.timeframe, seen.low[at], seen.high[at]
        if placed != self._placed:
            self._placed, self._told = placed, self._place(marked, seen, edges, lo, hi)
        return self._told

    def _place(self, marked: Marked, seen: Candles, edges: Floats, lo: float, hi: float) -> str:
        picked, shown, total = select(marked, lo, hi, MARKERS, _SLOTS)
        pixel = (self._y.scale.max - self._y.scale.min) / max(self._height - _TOP - _BOTTOM, 1)
        side = 0.009 * (hi - lo)  # half a marker: one at the edge is seen whole
        many = shown > _SLOTS // 2
        own = len(self.charted.legs) == 1 and self.charted.legs[0].expiry is not None
        for mark, one in zip(self._markers, picked, strict=True):
            at = np.searchsorted(edges, one.x)
            away = (9 + 12 * one.stack) * pixel
            y = np.where(one.below, seen.low[at] - away, seen.high[at] + away)
            if own:
                y = np.where(np.isfinite(one.price), one.price, y)
            y = np.clip(y, self._y.scale.min + 6 * pixel, self._y.scale.max - 6 * pixel)
            size = 42 if many else 64
            x = np.clip(one.x, lo + side, hi - side)
            send(mark, x=x, y=y, names=np.asarray(one.text), default_size=size)
        others = np.isin(marked.kind[_between(marked, lo, hi)], _NO_FILLS)
        fills = total - int(others.sum())
        if not fills:
            return "no fills here"
        markers = shown - sum(len(picked[kind].x) for kind in _NO_FILLS)
        return f"{fills:,} fills" if markers == fills else f"{fills:,} fills in {markers} markers"


def _between(marked: Marked, lo: float, hi: float) -> Any:
    return (marked.bar >= lo) & (marked.bar <= hi)


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
