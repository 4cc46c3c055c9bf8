"""What a `%%backtest` cell shows: a run under way, then its result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
import pandas as pd

from bestbt.errors import ParamError, did_you_mean
from bestbt.widgets.charts import Charts
from bestbt.widgets.header import Header, status
from bestbt.widgets.markers import ordinals
from bestbt.widgets.pacer import Pacer
from bestbt.widgets.protocol import Viewable
from bestbt.widgets.publisher import Pace, Publisher
from bestbt.widgets.stats_table import failure_html, live_html, stats_html
from bestbt.widgets.trades_table import TradesTable

__all__ = ["RunView"]

_LOOK = 0.03  # seconds between two looks at the run: a few attribute reads


class RunView(widgets.VBox):  # type: ignore[misc]
    """The live view of a run.

    Parameters
    ----------
    run
        The run to watch; it may be under way or over.
    height
        Height of the price chart in pixels; the other panes follow it.

    Raises
    ------
    ParamError
        On a keyword it does not take, by name.

    Notes
    -----
    Only the publisher's thread changes what is seen. It looks at the run thirty times a second
    and sends at most five updates a second, each when the browser has painted the last. It ends
    when the result is drawn, and comes back for as long as a zoom takes to draw, or when the run
    goes on.
    """

    def __init__(self, run: Viewable, *, height: int = 236, **unknown: Any) -> None:
        for name in unknown:
            raise ParamError(f"RunView does not take {name!r}. {did_you_mean(name, ['height'])}")
        self._run = run
        self._problem = ""
        self._shown: tuple[str, int] | None = None  # state and bar as last drawn
        self._over = False
        self._pace = Pace()
        self._pacer = Pacer()
        self._pacer.observe(lambda change: self._pace.painted(change["new"]), "ack")
        self._publisher = Publisher(self._failed)
        self._header = Header(run, self._look_now)
        self._panel = widgets.HTML()
        self._panel.add_class("bt-panel")
        self._charts = Charts(run, self._publisher, height)
        self._trades = TradesTable(self._show_trade)
        super().__init__(
            [self._header.box, self._panel, self._charts.box, self._trades, self._pacer]
        )
        self.add_class("bt-view")
        self._look_now()

    def __repr__(self) -> str:
        return f"<RunView {self._run.title.split(' · ')[0]} {self._run.symbol}>"

    def close(self) -> None:
        """Take the view away; its thread ends. The run goes on."""
        if not hasattr(self, "_publisher"):
            return  # refused before it was made; Python closes it all the same
        self._publisher.close()
        # The library keeps every widget alive until it is closed, and with it this run's arrays.
        for widget in _reach([self, *self._charts.movers]) - {self}:
            widget.close()
        super().close()

    def wake(self) -> None:
        """Look at the run again, which has been moved by hand; any thread."""
        self._publisher.post("wake", self._wake)

    def _wake(self) -> None:
        # A problem may come of reading the run while it was moved: draw it anew.
        if self._problem or self._run.unsaved:
            self._problem, self._shown = "", None
        if self._over:
            self._over, self._shown = False, None
            self._publisher.post("fills", self._charts.reopen)
            self._publisher.post("trades", self._trades.clear)
        self._look()

    def _look_now(self) -> None:
        self._publisher.post("look", self._look)

    def _look(self) -> None:
        """Draw what has changed, if the browser is ready for it; look again unless it is over."""
        if self._over:
            return
        if self._run.done.is_set():
            self._over = True
            self._finish()
            return
        self._publisher.post("look", self._look, after=_LOOK)
        state, bar = self._run.state, self._run.progress.bar
        if self._shown == (state, bar):
            return
        if self._pace.ready() or self._shown is None or self._shown[0] != state:
            self._shown = state, bar
            # Three works, not one: what fails in one must not keep the others away.
            self._publisher.post("header", self._draw_header)
            self._publisher.post("charts", self._charts.grow)
            self._publisher.post("pace", self._draw_pace)

    def _finish(self) -> None:
        for name, work in (
            ("header", self._draw_header),
            ("equity", self._charts.finish_equity),
            ("fills", self._charts.finish_price),
            ("charts", self._charts.draw),
            ("trades", lambda: self._trades.fill(self._run.trades, self._run.currency)),
        ):
            self._publisher.post(name, work)

    def _draw_header(self) -> None:
        run = self._run
        state, progress = run.state, run.progress
        self._header.draw(state, progress)
        self._header.tell(status(state, progress, run.currency), self._problem or run.unsaved or "")
        if not self._over:
            self._panel.value = live_html(progress, run.currency)
        elif run.failure is not None:
            self._panel.value = failure_html(run.failure, progress)
        else:
            self._panel.value = stats_html(run.stats, run.currency)

    def _draw_pace(self) -> None:
        self._pacer.seq = self._pace.sent()

    def _failed(self, name: str, error: Exception) -> None:
        self._problem = f"This view could not draw its {name}: {type(error).__name__}: {error}"
        run = self._run
        self._header.tell(status(run.state, run.progress, run.currency), self._problem)

    def _show_trade(self, row: int) -> None:
        self._publisher.post("trade", lambda: self._zoom(row))

    def _zoom(self, row: int) -> None:
        trade = self._run.trades.iloc[row]
        times = pd.DatetimeIndex([trade["entry_time"], trade["exit_time"]])
        first, last = ordinals(self._run.grid, times).tolist()
        around = max(30, (last - first) // 2)
        self._charts.show(first - around, last + around)


def _reach(roots: Iterable[Any]) -> set[Any]:
    """Return these widgets and all that their state holds: marks, scales, layouts, styles."""
    found: set[Any] = set()
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if isinstance(value, widgets.Widget) and value not in found:
            found.add(value)
            waiting += [getattr(value, name) for name in value.keys]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return found
