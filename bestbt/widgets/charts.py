"""The panes on one time axis, what moves that axis, and when they are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.charted import Charted
from bestbt.errors import UsageError
from bestbt.units import Ordinal
from bestbt.widgets.equity_chart import EquityChart
from bestbt.widgets.format import date_time
from bestbt.widgets.indicator_panes import IndicatorPane
from bestbt.widgets.lod import bars_of
from bestbt.widgets.markers import ordinals
from bestbt.widgets.plots import bqplot, send
from bestbt.widgets.pointer import Level, Pointer, clock
from bestbt.widgets.price_chart import CANDLES, PriceChart
from bestbt.widgets.protocol import Floats, Viewable
from bestbt.widgets.publisher import Publisher
from bestbt.widgets.ticks import Ticks

__all__ = ["Charts"]

SETTLE = 0.06  # seconds the axis must rest before detail is made anew
_TOOLBAR, _CAPTION, _INDICATOR = 28, 18, 76  # px
_PANES = 2  # of indicators
_AUTO, _FITS = "Auto", ""  # its value must not be None: that is no choice at all
_FRAMES = {"1m": "1 min", "5m": "5 min", "15m": "15 min", "1h": "1 hour", "1D": "session"}
_NAMED = {"session": "1 day", "week": "1 week"}
_FLAGS = 24  # expiry days marked at most
_PICKED = 8  # symbols remembered
_TRADED = 30  # contracts offered
_LEGEND = (
    '<div class="bt-legend" tabindex="0">Legend<div>'
    "<p><b class='bt-as-buy'>▲</b> bought, entry <b class='bt-as-buy'>△</b> bought, exit</p>"
    "<p><b class='bt-as-sell'>▼</b> sold, entry <b class='bt-as-sell'>▽</b> sold, exit</p>"
    "<p><b class='bt-as-stop'>✚</b> stop <b class='bt-as-target'>●</b> target"
    " <b class='bt-as-roll'>◆</b> roll</p>"
    "<p><b class='bt-as-settled'>■</b> settlement <b class='bt-as-block'>▮</b> block"
    " <b class='bt-as-hand'>↑</b> by hand</p>"
    "<p>W, M: weekly, monthly expiry</p>"
    "<p>Drag moves, the wheel zooms,<br>a double click shows all.</p>"
    "</div></div>"
)


class Charts:
    """Price, equity and drawdown of a run; everything it draws, it draws on the publisher.

    Parameters
    ----------
    run
        What is shown.
    publisher
        Does the drawing.
    height, pnl_height
        Of `price_box` and of `pnl_box`, in pixels. They are of one width: put them into one
        column, and what is above each other in them is at one time.
    jumped
        Called with the bar of a click, on the thread on which clicks come; it returns at once.
    picked
        Called on the publisher's thread when something else is charted, before it is drawn; levels
        are gone then.
    made
        Called with a pane that has been made later than the others.
    """

    def __init__(
        self,
        run: Viewable,
        publisher: Publisher,
        height: int,
        *,
        pnl_height: int = 200,
        jumped: Callable[[Ordinal], None] | None = None,
        picked: Callable[[Charted], None] | None = None,
        made: Callable[[widgets.Widget], object] = lambda _: None,
    ) -> None:
        self._run, self._publisher = run, publisher
        self._jumped, self._picked, self._made = jumped, picked, made
        self._problem = ""
        self._followed: Ordinal | None = None
        self._expiries: dict[str, Sequence[tuple[Ordinal, str]]] = {}
        self._recent: list[str] = []
        self._ticks = Ticks(run.grid, run.first_bar, run.last_bar)
        self._whole = (run.first_bar - 0.5, run.last_bar + 0.5)
        self._x = bqplot.LinearScale(min=self._whole[0], max=self._whole[1], allow_padding=False)
        self._axis = axis = bqplot.Axis(
            scale=self._x,
            grid_lines="none",
            tick_labels=self._ticks.labels,
            tick_values=self._values(*self._whole),
        )
        self._room = height - _TOOLBAR - _CAPTION
        self.price = PriceChart(run, self._x, axis, self._room)
        self.equity = EquityChart(run.capital, run.first_bar, self._x, axis, pnl_height)
        self._clock = clock(run.grid, run.first_bar, run.last_bar)
        sign = run.currency
        self._over_price = self._pointer(self.price.figure, timed=True)
        self._over_equity = self._pointer(self.equity.equity, currency=sign, title="PnL")
        self._over_under = self._pointer(
            self.equity.drawdown, currency=sign, title="Drawdown", timed=True
        )
        self._pointers = [self._over_price, self._over_equity, self._over_under]
        self._panes: dict[str, tuple[IndicatorPane, Pointer, Any]] = {}
        self.movers: list[Any] = []  # widgets that no box holds

        self._toolbar = self._make_toolbar()
        self._told = widgets.HTML()
        self._told.add_class("bt-told")
        self._x.observe(self._moved, ["min", "max"])
        self._stack = widgets.VBox([_pane(self.price.figure, self._over_price)])
        self._stack.add_class("bt-stack")
        self.price_box = widgets.VBox([self._toolbar, self._told, self._stack])
        self.pnl_box = widgets.VBox(
            [
                _pane(self.equity.equity, self._over_equity),
                _pane(self.equity.drawdown, self._over_under),
            ]
        )
        for box in (self.price_box, self.pnl_box):
            box.add_class("bt-charts")

    def _make_toolbar(self) -> Any:
        post, grid = self._publisher.post, self._run.grid
        self._symbol = widgets.Combobox(
            placeholder="Symbol, STRADDLE 22000 …",
            options=tuple(self._run.symbols),
            continuous_update=False,
            tooltip="chart an index, a future, an option such as 22000 CE, or STRADDLE 22000",
        )
        self._symbol.add_class("bt-symbol")
        self._symbol.observe(lambda change: self.chart(change["new"]), "value")
        frames = [(f, t) for f, t in _FRAMES.items() if bars_of(grid, t) is not None]
        self._frame = widgets.ToggleButtons(
            options=[(_AUTO, _FITS), *frames],
            value=_FITS,
            tooltips=["the finest that fits", *[f"candles of {_told_as(t)}" for _, t in frames]],
        )
        self._frame.add_class("bt-frames")
        self._frame.observe(lambda _: post("frame", self._reframe), "value")
        self._reset = widgets.Button(description="Whole run", tooltip="show the whole run again")
        self._reset.add_class("bt-whole")
        self._reset.on_click(lambda _: self.show_whole())
        self._legend = widgets.HTML(_LEGEND)
        bar = widgets.HBox([self._symbol, self._frame, self._reset, self._legend])
        bar.add_class("bt-toolbar")
        return bar

    def _pointer(self, figure: Any, **traits: Any) -> Pointer:
        return Pointer(
            self._x,
            figure.scale_y,
            self._clicked,
            self.show_whole,
            clock=self._clock,
            extent=list(self._whole),
            **traits,
        )

    # What may be asked of it, from any thread

    @property
    def seen(self) -> tuple[float, float]:
        """The stretch that is shown, in ordinals."""
        lo, hi = self._x.min, self._x.max
        return (lo, hi) if lo is not None and hi is not None and lo < hi else self._whole

    @property
    def charted(self) -> Charted:
        """What the price pane shows."""
        return self.price.charted

    def show(self, lo: float, hi: float) -> None:
        """Move the axis, at most to the whole run and to what the timeframe allows."""
        lo, hi = max(lo, self._whole[0]), min(hi, self._whole[1])
        self._publisher.post("show", lambda: self._show(lo, hi))

    def show_whole(self) -> None:
        """Show the whole run, in the timeframe that fits."""
        self._publisher.post("show", self._all_of_it)

    def chart(self, name: str) -> None:
        """Chart something else: any contract by name, or a straddle; see `bestbt.charted`."""
        if name.strip():
            self._publisher.post("symbol", lambda: self._chart(name))

    def frame(self, number: int) -> None:
        """Choose a timeframe: 1, 2 … from the finest; one that there is not changes nothing."""
        choices = [value for _, value in self._frame.options if value != _FITS]
        if 1 <= number <= len(choices):
            self._frame.value = choices[number - 1]

    def compare(
        self, bars: npt.NDArray[Any] | None, equity: Floats | None, label: str = ""
    ) -> None:
        """Draw a second curve beside the equity, dashed, called *label*; None: none."""
        self._publisher.post("compare", lambda: self._compare(bars, equity, label))

    # What the view has drawn, on the publisher's thread

    def take_levels(self, levels: Sequence[Level]) -> None:
        """Take what lies across the prices of what is charted now; it is drawn with the rest."""
        self.price.levels = tuple(levels)

    def take_premium(
        self, bars: npt.NDArray[Any] | None, premium: Floats | None, label: str = "Premium"
    ) -> None:
        """Take the combined premium of a group, which is drawn instead of the drawdown; or None."""
        self.equity.premium(bars, premium)
        there = bars is not None
        currency = "" if there else self._run.currency
        send(self._over_under, title=label if there else "Drawdown", currency=currency)

    def grow(self) -> None:
        """Draw what the run has seen so far."""
        newest, pnl = self._newest(), self._run.progress.pnl
        if self._run.state == "paused" and newest >= self._run.first_bar:
            self.finish_equity()  # of every bar, while there is time for it
            self._follow(newest)
            self._book()
            self.draw()
            return
        bars, equity = self._run.equity_so_far()
        if not len(bars) or newest > bars[-1]:  # within a session the line ends where the run is
            bars = np.append(bars, newest)
            equity = np.append(equity, self._run.capital + pnl)
        self.equity.take(bars, equity)
        self._follow(newest)
        self._book()
        self.draw()

    def finish_equity(self) -> None:
        """Take the equity of every bar of a run that has ended."""
        equity = self._run.equity
        bars = ordinals(self._run.grid, pd.DatetimeIndex(equity.index))
        self.equity.take(bars, np.asarray(equity, np.float64))

    def finish_price(self) -> None:
        """Take the fills; a run that ended early is not shown as if it had gone on."""
        self._book(final=True)
        seen, whole = self.seen, self._whole
        self._bound(max(self._newest() + 0.5, whole[0] + 30))
        if seen == whole != self._whole:
            send(self._x, min=self._whole[0], max=self._whole[1])

    def reopen(self) -> None:
        """Take the fills away: the run has been taken back to before its end."""
        self.price.reopen()
        self._bound(self._run.last_bar + 0.5)

    def draw(self) -> None:
        """Draw the stretch that is shown."""
        lo, hi = self.seen
        newest = self._newest()
        self.equity.draw(lo, hi)
        told = self.price.draw(
            lo,
            hi,
            newest,
            self._ticks.separators(lo, hi),
            self._frame.value or None,
            0.0 if (lo, hi) == self._whole else (hi - lo) / 2,
        )
        self._draw_panes(lo, hi, newest)
        self._label(newest)
        self._flag(lo, hi, newest)
        first = min(max(int(np.ceil(lo)), self._run.first_bar), self._run.last_bar)
        last = max(min(int(np.floor(hi)), self._run.last_bar), first)
        grid = self._run.grid
        parts = [f"{date_time(grid.local(first))} … {date_time(grid.local(last))}", told]
        if self._frame.value:
            parts.append(f"at most {CANDLES} candles at once")
        text = escape(" · ".join(part for part in parts if part))
        problem = f'<b class="bt-problem">{escape(self._problem)}</b> ' if self._problem else ""
        value = f'<span title="{escape(self._problem)} {text}">{problem}{text}</span>'
        send(self._told, value=value)

    # How

    def _newest(self) -> Ordinal:
        return self._run.first_bar + self._run.progress.bar - 1

    def _values(self, lo: float, hi: float) -> Any:
        return self._ticks.within(lo, hi).astype(np.float64)

    def _moved(self, _: object) -> None:
        self._publisher.post("draw", self._redraw, after=SETTLE)

    def _redraw(self) -> None:
        send(self._axis, tick_values=self._values(*self.seen))
        self.draw()

    def _clicked(self, bar: Ordinal) -> None:
        if self._jumped is not None:
            self._jumped(bar)

    def _bound(self, end: float) -> None:
        self._whole = (self._whole[0], end)
        for pointer in self._pointers:
            send(pointer, extent=list(self._whole))

    def _show(self, lo: float, hi: float) -> None:
        """Move the axis; of a wish that is too wide the end, up to the newest bar, is kept."""
        widest = self._widest()
        if hi - lo > widest:
            hi = max(min(hi, self._newest() + widest * 0.05), self._whole[0] + widest)
            lo = hi - widest
        send(self._x, min=float(lo), max=float(hi))

    def _all_of_it(self) -> None:
        self._frame.value = _FITS
        send(self._x, min=self._whole[0], max=self._whole[1])

    def _widest(self) -> float:
        bars = bars_of(self._run.grid, self._frame.value) if self._frame.value else None
        span = self._whole[1] - self._whole[0]
        return span if bars is None else min(float(CANDLES * bars), span)

    def _reframe(self) -> None:
        self._problem = ""
        for pointer in self._pointers:
            send(pointer, widest=self._widest())
        self._show(*self.seen)
        self.draw()

    def _chart(self, name: str) -> None:
        try:
            charted = self._run.charted(name.strip())
            self._run.columns(charted.name)  # that there are prices is known before it is shown
        except UsageError as error:
            self._problem = str(error)
            self.draw()
            return
        self._problem = ""
        self.price.show(charted)
        if charted.name not in self._run.symbols:
            kept = [n for n in self._recent if n != charted.name]
            self._recent = [charted.name, *kept][:_PICKED]
        self._offer()
        self._symbol.value = ""  # so that the list offers all again
        if self._picked is not None:
            self._picked(charted)
        self.draw()

    def _offer(self) -> None:
        names = [*self._run.symbols, *self._recent, *self.price.traded(_TRADED)]
        send(self._symbol, options=tuple(dict.fromkeys(names)))

    def _book(self, final: bool = False) -> None:
        if self.price.book(final):
            self._offer()

    def _compare(self, bars: Any, equity: Any, label: str) -> None:
        self.equity.compare(bars, equity)
        title = "PnL" if bars is None else f"PnL · dashed: {label}"
        send(self._over_equity, title=title)
        self.draw()

    def _follow(self, newest: Ordinal) -> None:
        """Keep the newest bar in sight, if it was; that of a run moved by hand comes into it."""
        lo, hi = self.seen
        before, self._followed = self._followed, newest
        if (lo, hi) == self._whole or before is None or before == newest:
            return
        span = hi - lo
        watched = lo <= before <= hi or self._run.state == "paused"
        if watched and not lo <= newest <= hi - span * 0.02:
            at = newest + span * (0.1 if newest > before else 0.4)
            hi = min(max(at, self._whole[0] + span), self._whole[1])
            send(self._x, min=hi - span, max=hi)
            send(self._axis, tick_values=self._values(hi - span, hi))

    def _draw_panes(self, lo: float, hi: float, newest: Ordinal) -> None:
        """Draw the indicators that have panes of their own; make these when there are new ones."""
        shown = [i for i in self._run.indicators if i.pane != "price"]
        names = list(dict.fromkeys(i.pane for i in shown))[:_PANES]
        if names != list(self._panes):
            for _, pointer, box in self._panes.values():
                for widget in (pointer, box):
                    widget.close()
            self._panes = {name: self._make_pane(name) for name in names}
            own = [self._over_price, self._over_equity, self._over_under]
            self._pointers = own + [pointer for _, pointer, _ in self._panes.values()]
            self.price.resize(self._room - _INDICATOR * len(names))
            first = self._stack.children[0]
            self._stack.children = [first, *[box for *_, box in self._panes.values()]]
        for name, (pane, pointer, _) in self._panes.items():
            curves = [(i, self.price.curve(i)) for i in shown if i.pane == name]
            label = pane.draw(curves, lo, hi, self._run.first_bar, newest)
            send(pointer, title=" · ".join(part for part in (name, label) if part))

    def _make_pane(self, name: str) -> tuple[IndicatorPane, Pointer, Any]:
        pane = IndicatorPane(name, self._x, _INDICATOR)
        pointer = self._pointer(pane.figure)
        pointer.widest = self._widest()
        box = _pane(pane.figure, pointer)
        self._made(box)
        return pane, pointer, box

    def _label(self, newest: Ordinal) -> None:
        """Say what is shown, tell of each candle, and mark prices on the scale."""
        price, over = self.price, self._over_price
        seen = price.seen
        if seen is None:
            over.tell()
            send(over, title=price.charted.name)
            over.tag(price.levels)
        else:
            frame = _told_as(seen.timeframe)
            send(over, title=" · ".join([f"{price.charted.name} · {frame}", *price.named]))
            over.tell(x=seen.x, O=seen.open, H=seen.high, L=seen.low, C=seen.close)
            close, rising = price.last or (None, True)
            over.tag(price.levels, close, rising)
        x, pnl = self.equity.shown
        self._over_equity.tell(x=x, _=pnl)
        last = self.equity.last
        self._over_equity.tag((), last, last is None or last >= 0)

    def _flag(self, lo: float, hi: float, newest: Ordinal) -> None:
        """Mark where a run stands, and the expiry days of what is charted."""
        run = self._run
        standing = run.state == "paused" and run.progress.bar > 0
        stand = [{"kind": "stand", "bar": newest, "text": ""}] if standing else []
        charted = self.price.charted
        symbol = charted.legs[0].symbol if charted.legs else run.symbol
        if symbol not in self._expiries:
            self._expiries[symbol] = run.expiries(symbol)
        span = hi - lo
        near = [e for e in self._expiries[symbol] if lo - span <= e[0] <= hi + span]
        for kinds in (("weekly", "monthly"), ("monthly",)):
            flags = [e for e in near if e[1] in kinds]
            if sum(lo <= bar <= hi for bar, _ in flags) <= _FLAGS:
                break
        else:
            flags = []
        days = [
            {"kind": kind, "bar": bar, "text": f"{kind} expiry, {run.grid.day(bar):%d %b %Y}"}
            for bar, kind in flags
        ]
        send(self._over_price, marks=[*stand, *days])
        for pointer in self._pointers[1:]:
            send(pointer, marks=stand)


def _told_as(timeframe: str) -> str:
    return _NAMED.get(timeframe, timeframe)


def _pane(figure: Any, pointer: Pointer) -> Any:
    box = widgets.Box([figure, pointer])
    box.add_class("bt-pane")
    return box
