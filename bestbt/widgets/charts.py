"""The panes on one time axis, what moves that axis, and when they are drawn again."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from bestbt.units import Ordinal
from bestbt.widgets.equity_chart import EquityChart
from bestbt.widgets.format import date_time
from bestbt.widgets.markers import ordinals
from bestbt.widgets.plots import PanZoom, bqplot, send
from bestbt.widgets.price_chart import PriceChart
from bestbt.widgets.protocol import Viewable
from bestbt.widgets.publisher import Publisher
from bestbt.widgets.ticks import Ticks

__all__ = ["Charts"]

SETTLE = 0.06  # seconds the axis must rest before detail is made anew
_LEGEND = (
    '<span class="bt-legend"><b class="bt-buy">▲</b> buy <b class="bt-sell">▼</b> sell '
    "<i>full: entry, hollow: exit</i></span>"
)


class Charts:
    """Price, equity and drawdown of a run; everything it draws, it draws on the publisher."""

    def __init__(self, run: Viewable, publisher: Publisher, height: int) -> None:
        self._run, self._publisher = run, publisher
        self._ticks = Ticks(run.grid, run.first_bar, run.last_bar)
        self._whole = (run.first_bar - 0.5, run.last_bar + 0.5)
        self._x = bqplot.LinearScale(min=self._whole[0], max=self._whole[1], allow_padding=False)
        self._axis = axis = bqplot.Axis(
            scale=self._x,
            grid_lines="none",
            tick_labels=self._ticks.labels,
            tick_values=self._values(*self._whole),
        )
        self.price = PriceChart(run, self._x, axis, height)
        self.equity = EquityChart(run.capital, run.first_bar, self._x, axis, height * 4 // 9)
        self._panes = (self.price.figure, self.equity.equity, self.equity.drawdown)
        self.movers = [PanZoom(scales={"x": [self._x]}) for _ in self._panes]

        self._mode = widgets.ToggleButtons(
            options=[("Hover", False), ("Pan & zoom", True)],
            value=False,
            tooltips=["point at a marker to read it", "drag to move, turn the wheel to zoom"],
        )
        self._mode.add_class("bt-mode")
        self._reset = widgets.Button(description="Whole run", tooltip="show the whole run again")
        self._reset.add_class("bt-whole")
        self._told = widgets.HTML()
        self._told.add_class("bt-told")
        self._mode.observe(lambda _: publisher.post("mode", self._switch), "value")
        self._reset.on_click(lambda _: self.show(*self._whole))
        self._x.observe(self._moved, ["min", "max"])
        bar = widgets.HBox([self._mode, self._reset, self._told, widgets.HTML(_LEGEND)])
        bar.add_class("bt-toolbar")
        self.price_box = widgets.VBox([bar, _titled(run.symbol, self.price.figure)])
        self.pnl_box = widgets.VBox(
            [
                _titled(f"Profit and loss, {run.currency}", self.equity.equity),
                _titled(f"Drawdown, {run.currency}", self.equity.drawdown, low=True),
            ]
        )
        for box in (self.price_box, self.pnl_box):
            box.add_class("bt-charts")

    @property
    def seen(self) -> tuple[float, float]:
        """The stretch that is shown, in ordinals."""
        lo, hi = self._x.min, self._x.max
        return (lo, hi) if lo is not None and hi is not None and lo < hi else self._whole

    def show(self, lo: float, hi: float) -> None:
        """Move the axis, at most to the whole run; any thread."""
        lo, hi = max(lo, self._whole[0]), min(hi, self._whole[1])
        self._publisher.post("show", lambda: send(self._x, min=lo, max=hi))

    def grow(self) -> None:
        """Draw what the run has seen so far."""
        bars, equity = self._run.equity_so_far()
        newest, pnl = self._newest(), self._run.progress.pnl
        if not len(bars) or newest > bars[-1]:  # within a session the line ends where the run is
            bars = np.append(bars, newest)
            equity = np.append(equity, self._run.capital + pnl)
        self.equity.take(bars, equity)
        self.draw()

    def finish_equity(self) -> None:
        """Take the equity of every bar of a run that has ended."""
        equity = self._run.equity
        bars = ordinals(self._run.grid, pd.DatetimeIndex(equity.index))
        self.equity.take(bars, np.asarray(equity, np.float64))

    def finish_price(self) -> None:
        """Take the fills; a run that ended early is not shown as if it had gone on."""
        self.price.finish()
        seen, whole = self.seen, self._whole
        self._whole = (whole[0], max(self._newest() + 0.5, whole[0] + 30))
        if seen == whole != self._whole:
            send(self._x, min=self._whole[0], max=self._whole[1])

    def reopen(self) -> None:
        """Take the fills away: the run has been taken back to before its end."""
        self.price.reopen()

    def draw(self) -> None:
        """Draw the stretch that is shown."""
        lo, hi = self.seen
        newest = self._newest()
        self.equity.draw(lo, hi)
        drawn = self.price.draw(lo, hi, newest, self._ticks.separators(lo, hi))
        first = min(max(int(np.ceil(lo)), self._run.first_bar), self._run.last_bar)
        last = max(min(int(np.floor(hi)), self._run.last_bar), first)
        grid = self._run.grid
        span = f"{date_time(grid.local(first))} … {date_time(grid.local(last))}"
        self._told.value = f"<span>{span} · {escape(drawn)}</span>"

    def _newest(self) -> Ordinal:
        return self._run.first_bar + self._run.progress.bar - 1

    def _values(self, lo: float, hi: float) -> Any:
        return self._ticks.within(lo, hi).astype(np.float64)

    def _moved(self, _: object) -> None:
        self._publisher.post("draw", self._redraw, after=SETTLE)

    def _redraw(self) -> None:
        self._axis.tick_values = self._values(*self.seen)
        self.draw()

    def _switch(self) -> None:
        for pane, mover in zip(self._panes, self.movers, strict=True):
            pane.interaction = mover if self._mode.value else None


def _titled(title: str, pane: Any, low: bool = False) -> Any:
    """Put a pane's title in its upper left corner; in the lower one where the line runs above."""
    label = widgets.HTML(f'<span class="bt-pane-title">{escape(title)}</span>')
    box = widgets.Box([label, pane])
    box.add_class("bt-pane")
    if low:
        box.add_class("bt-low")
    return box
