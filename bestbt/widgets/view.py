"""What a `%%backtest` cell shows: the cockpit of a run.

status      where it stands, what it has made, what moves it
price       the chart                     | positions, net greeks
profit      PnL on the chart's time axis  | the chain around the money
tabs        report, trades, fills, orders, log, …
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import date
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from bestbt.errors import ParamError, did_you_mean
from bestbt.widgets.breakpoints import Breakpoints
from bestbt.widgets.chain_charts import ChainCharts
from bestbt.widgets.chain_scene import ChainScene
from bestbt.widgets.chain_table import ChainTable
from bestbt.widgets.charts import Charts
from bestbt.widgets.days import Days, day_pnl
from bestbt.widgets.hand import Hand
from bestbt.widgets.hand_panel import HandPanel
from bestbt.widgets.header import Header, status
from bestbt.widgets.keys import Keys, help_html
from bestbt.widgets.levels import levels, premium
from bestbt.widgets.markers import ordinals
from bestbt.widgets.pacer import Pacer
from bestbt.widgets.parcel import Parcel
from bestbt.widgets.payoff import payoff
from bestbt.widgets.payoff_chart import PayoffChart
from bestbt.widgets.positions import Positions
from bestbt.widgets.protocol import Viewable
from bestbt.widgets.publisher import Pace, Publisher
from bestbt.widgets.question import Question
from bestbt.widgets.scene import Scene
from bestbt.widgets.stats_table import failure_html, live_html, stats_html
from bestbt.widgets.table import FILLS, LOG, ORDERS, ROWS, Table, fill_rows, log_rows, order_rows
from bestbt.widgets.tabs import Drawn, Tab, Tabs
from bestbt.widgets.trades_table import TradesTable

__all__ = ["RunView"]

_LOWER = 212  # pixels of PnL and of the chain beside it
_TABS = 132  # pixels of what is under the tabs
_TABLES = ("Report", "Trades", "Fills", "Orders", "Log")
_LOOK = 0.02  # seconds between two looks at the run: a few attribute reads
_REST = 0.5  # seconds that a run has to stand before it is kept: steps come fast


class RunView(widgets.VBox):  # type: ignore[misc]
    """The live view of a run.

    Parameters
    ----------
    run
        The run to watch and to move; it may be under way or over.
    height
        Height of the price chart in pixels; the other panes follow it.

    Raises
    ------
    ParamError
        On a keyword it does not take, by name.

    Notes
    -----
    Only the publisher's thread changes what is seen. It sends at most five updates a second, as
    long as the browser keeps up with them, and fewer where they would take more than a tenth of
    the time of an engine at full speed. That it looks at only when an update is due, at any other
    run fifty times a second. It ends when
    the result is drawn, and comes back for as long as a zoom takes to draw, or when the run goes
    on. What is clicked is done by a `Hand`, on a thread of its own.
    """

    def __init__(self, run: Viewable, *, height: int = 260, **unknown: Any) -> None:
        for name in unknown:
            raise ParamError(f"RunView does not take {name!r}. {did_you_mean(name, ['height'])}")
        self._run = run
        self._scene: Scene | None = None
        self._chained: ChainScene | None = None
        self._premium = False  # whether it is drawn
        self._problem = self._refused = ""
        self._shown: tuple[str, int, int] | None = None  # state, bar and moves as last drawn
        self._moves = 0  # how often the run has been moved by hand
        self._over = False
        self._keep: Callable[[], object] | None = None
        self._pace = Pace()
        self._pacer = Pacer()
        self._pacer.observe(lambda change: self._painted(change["new"]), "ack")
        self._parcel = Parcel(self._pacer)
        self._publisher = Publisher(self._failed)
        self._pacer.on_msg(lambda *_: self._publisher.post("again", self._parcel.again))
        self._hand = Hand(run, self._refuse)
        self._header = Header(run, self._hand, self._look_now)
        self._question = Question()
        self._charts = Charts(
            run,
            self._publisher,
            height,
            pnl_height=_LOWER,
            jumped=self._hand.go_to,
            picked=lambda _: self._level(),
            made=self._take,
        )
        self._positions = Positions(self._acted)
        self._tabs = self._make_tabs()
        self._help = widgets.HTML(help_html(), layout={"display": "none"})
        upper = _row(self._charts.price_box, self._positions, "bt-upper")
        self._expiry: date | None = None  # of the chain; None: the nearest
        self._near = ChainTable(self._picked, self._choose_expiry, around=7)
        lower = _row(self._charts.pnl_box, self._near, "bt-lower")
        super().__init__(
            [
                self._header.box,
                self._question.box,
                self._help,
                upper,
                lower,
                self._tabs.box,
                self._pacer,
                Keys(self._keys()),
            ]
        )
        self.add_class("bt-view")
        self._pacer.view = self.model_id
        self._take(self)
        self._look_now()

    def __repr__(self) -> str:
        return f"<RunView {self._run.title.split(' · ')[0]} {self._run.symbol}>"

    def close(self) -> None:
        """Take the view away; its threads end. The run goes on."""
        if not hasattr(self, "_charts"):
            return  # refused before it was made; Python closes it all the same
        self._hand.close()
        self._publisher.close()
        # The library keeps every widget alive until it is closed, and with it this run's arrays.
        unseen = [w for w in vars(self).values() if isinstance(w, widgets.Widget)]
        unseen += [*self._charts.movers, *self._tabs.panes]
        for widget in _reach([self, *unseen]) - {self}:
            widget.close()
        super().close()

    def look(self) -> None:
        """Look at the run, which has come to rest or plays at another pace; any thread."""
        self._look_now()

    def wake(self) -> None:
        """Look at the run again, which has been moved by hand; any thread."""
        self._publisher.post("wake", self._wake)

    def on_rest(self, keep: Callable[[], object]) -> None:
        """Have *keep* called on the publisher's thread whenever the run has come to stand."""
        self._keep = keep

    # Its parts

    def _make_tabs(self) -> Tabs:
        self._panel = widgets.HTML()
        self._panel.add_class("bt-panel")
        self._trades = TradesTable(self._show_trade)
        self._fills = Table(FILLS, self._to_fill, hint="go to this bar")
        self._orders = Table(ORDERS, self._to_order, hint="go to the bar at which it was placed")
        self._log = Table(LOG, self._to_line, hint="go to this bar")
        self._by_hand: HandPanel | None = None
        self._named = ""  # the contract clicked last
        self._why = widgets.HTML()
        self._why.add_class("bt-why-pane")
        self._source = widgets.HTML()
        self._source.add_class("bt-day-source")

        def now() -> Hashable:
            return self._shown

        def counted(what: str) -> Callable[[], Hashable]:
            return lambda: (getattr(self._scene, what, 0), self._moves)

        return Tabs(
            [
                Tab("Report", lambda: (self._panel, self._draw_report), now),
                Tab("Why", lambda: (self._why, self._draw_why), now),
                Tab("Trades", lambda: (self._trades, self._draw_trades), counted("fills")),
                Tab("Fills", lambda: (self._fills, self._draw_fills), counted("fills")),
                Tab("Orders", lambda: (self._orders, self._draw_orders), now),
                Tab("Log", lambda: (self._log, self._draw_log), counted("logged")),
                Tab("Chain", self._make_chain, now),
                Tab("OI & smile", self._make_pictures, now),
                Tab("Payoff", self._make_payoff, now),
                Tab("Days", self._make_days, now),
                Tab("By hand", self._make_by_hand, now),
                Tab("Breakpoints", self._make_breakpoints, now),
            ],
            self._look_now,
            self._take,
        )

    def _take(self, *made: widgets.Widget) -> None:
        """Have what these and their parts send go with the rest of an update."""
        self._parcel.take(_reach(made))

    def _make_chain(self) -> Drawn:
        height = _TABS - 24
        table = ChainTable(self._picked, self._choose_expiry, around=None, height=height)
        return table, lambda: table.show(self._chained)

    def _make_pictures(self) -> Drawn:
        pictures = ChainCharts(_TABS)
        return pictures, lambda: pictures.show(self._chained)

    def _make_payoff(self) -> Drawn:
        chart = PayoffChart(_TABS, self._run.currency)
        return chart.box, lambda: chart.show(None if self._scene is None else payoff(self._scene))

    def _make_days(self) -> Drawn:
        run, days = self._run, Days(self._to_day)
        box = widgets.HBox([days, self._source])
        box.add_class("bt-days-pane")
        return box, lambda: days.show(day_pnl(run), run.currency)

    def _make_by_hand(self) -> Drawn:
        panel = self._by_hand = HandPanel(self._run, self._hand, self._compare)
        panel.name(self._named)
        return panel.box, panel.draw

    def _make_breakpoints(self) -> Drawn:
        panel = Breakpoints(self._run, self._hand, self.wake)
        return panel.box, panel.draw

    def _keys(self) -> dict[str, Callable[[], object]]:
        hand = self._hand
        return {
            " ": hand.toggle,
            "ArrowLeft": lambda: hand.step(-1),
            "ArrowRight": lambda: hand.step(1),
            "Shift+ArrowLeft": lambda: hand.step(-15),
            "Shift+ArrowRight": lambda: hand.step(15),
            "[": lambda: hand.back_to("fill"),
            "]": lambda: hand.to("fill"),
            ",": lambda: hand.back_to("session"),
            ".": lambda: hand.to("session"),
            "s": lambda: hand.to("stop"),
            "e": lambda: hand.to("expiry"),
            "b": lambda: hand.do(lambda bt: bt.block_for_day()),
            "c": lambda: self._tabs.show("Chain"),
            "w": lambda: self._tabs.show("Why"),
            "x": self._ask_exit,
            "?": self._show_help,
            **{str(n): partial(self._charts.frame, n) for n in range(1, 6)},
        }

    # What is clicked

    def _ask_exit(self) -> None:
        held = len(self._scene.held) if self._scene is not None else 0
        if held:
            text = f"Exit all {held} open positions at the next bar?"
            self._question.ask(text, lambda: self._hand.do(lambda bt: bt.exit_all()))

    def _acted(self, name: str, action: str, value: str) -> None:
        hand = self._hand
        if action == "chart":
            self._charts.chart(name)
        elif action == "exit":
            hand.do(lambda bt: bt.exit(name))
        elif action == "add":
            held = (
                next((h for h in self._scene.held if h.name == name), None) if self._scene else None
            )
            if held is not None:
                hand.do(lambda bt: (bt.buy if held.qty > 0 else bt.sell)(name, 1, tag=held.tag))
        elif action == "roll":
            hand.do(lambda bt: bt.roll(name, _target(value)))
        elif action == "stop":
            level = float(value) if _is_number(value) else value or None
            hand.do(lambda bt: bt.set_sl(name, level))

    def _show_help(self) -> None:
        hidden = self._help.layout.display == "none"
        self._help.layout.display = None if hidden else "none"

    def _picked(self, name: str) -> None:
        """A contract of the chain was clicked."""
        self._charts.chart(name)
        self._named = name
        if self._by_hand is not None:
            self._by_hand.name(name)

    def _choose_expiry(self, expiry: date | None) -> None:
        self._expiry = expiry
        self.wake()

    def _to_day(self, day: date) -> None:
        """Go to the first fill of a day, else to its first bar; say where its PnL came from."""
        self._hand.look("day", lambda: self._explain(day))
        run = self._run
        first = run.grid.firsts[run.grid.session_from(day)]
        times = run.fills["time"]
        traded = times[times.dt.date == day] if len(times) else times
        if len(traded):
            first = int(ordinals(run.grid, pd.DatetimeIndex(traded.iloc[:1]))[0])
        self._hand.go_to(first)

    def _to_fill(self, row: int) -> None:
        fills = self._run.fills
        if row < len(fills):  # its time is that at which its bar begins
            times = pd.DatetimeIndex(fills["time"].iloc[[len(fills) - 1 - row]])
            self._hand.go_to(int(ordinals(self._run.grid, times)[0]))

    def _to_order(self, row: int) -> None:
        self._to_time(self._run.orders, row)

    def _to_line(self, row: int) -> None:
        self._to_time(self._run.log, row)

    def _to_time(self, table: pd.DataFrame, row: int) -> None:
        """Go to the newest bar that had closed at the time of a row; the newest row is first."""
        if row < len(table):
            time = table["time"].iloc[len(table) - 1 - row]
            at = self._run.grid.closed_by(time.as_unit("ns").value)
            self._hand.go_to(max(at, self._run.first_bar))

    # What is drawn

    def _wake(self) -> None:
        # A problem may come of reading the run while it was moved: draw it anew.
        if self._problem or self._run.unsaved:
            self._problem, self._shown = "", None
        self._moves += 1
        if self._over:
            self._over, self._shown = False, None
            self._publisher.post("fills", self._charts.reopen)
        self._tabs.forget()
        self._look()

    def _look_now(self) -> None:
        self._publisher.post("look", self._look)

    def _look(self) -> None:
        """Draw what has changed, if the browser is ready for it; look again unless it is over."""
        over = self._run.done.is_set()
        if over and self._over:
            self._publisher.post("tabs", self._tabs.draw)
            return
        self._over = over
        if not over:
            self._publisher.post("look", self._look, after=_LOOK)
        shown = self._run.state, self._run.progress.bar, self._moves
        if self._shown == shown and not over:
            self._publisher.post("tabs", self._tabs.draw)
            return
        if (
            over
            or self._shown is None
            or self._shown[0] != shown[0]
            or self._pace.ready(self._sparing)
        ):
            self._shown = shown
            self._draw()
        elif self._sparing:  # too early, such as by a click on a tab
            self._publisher.post("tabs", self._tabs.draw)
            self._look_when_due()

    @property
    def _sparing(self) -> bool:
        """Whether the engine wants all of the processor; it says itself when it comes to rest."""
        return self._run.state == "running" and self._run.pace is None

    def _painted(self, seq: int) -> None:
        """Hear that the browser has drawn an update."""
        self._pace.painted(seq)
        if self._sparing:
            self._look_when_due()

    def _look_when_due(self) -> None:
        self._publisher.post("look", self._look, after=max(self._pace.due(sparing=True), _LOOK))
        if not self._sparing:  # it has come to rest meanwhile, and said so before this
            self._look_now()

    def _draw(self) -> None:
        self._pace.begin()
        self._parcel.open()
        # Several works, not one: what fails in one must not keep the others away.
        works: list[tuple[str, Callable[[], object]]] = [
            ("scene", self._read),
            ("header", self._draw_header),
            ("positions", self._draw_positions),
            ("chain", lambda: self._near.show(self._chained)),
            ("levels of positions", self._level),
        ]
        if self._over:
            works.append(("equity", self._charts.finish_equity))
            works.append(("fills", self._charts.finish_price))
            works.append(("charts", self._charts.draw))
        else:
            works.append(("charts", self._charts.grow))
        # Once it is over the tables are drawn too: a notebook is saved with what they hold.
        tabs = dict.fromkeys((self._tabs.seen, *(_TABLES if self._over else ())))
        works += [(f"tab {n}", lambda n=n: self._tabs.draw(n)) for n in tabs]  # type: ignore[misc]
        works.append(("pace", self._draw_pace))
        for name, work in works:
            self._publisher.post(name, work)
        if self._keep is not None and self._run.state != "running":
            self._publisher.post("still picture", self._keep, after=_REST)

    def _read(self) -> None:
        seen = self._run.seen(self._expiry)
        if seen is not None:
            self._pace.also(seen.cpu)
            self._scene = seen.scene
            if seen.problem is not None:
                raise seen.problem
            self._chained = seen.chain

    def _draw_header(self) -> None:
        run = self._run
        state, progress = run.state, run.progress
        self._header.draw(state, progress, self._scene)
        met = self._scene.met if self._scene is not None else ""
        self._header.tell(
            status(state, progress, run.currency, met),
            self._refused or self._problem or run.unsaved or "",
        )

    def _draw_positions(self) -> None:
        if self._scene is not None:
            can = self._run.state in ("running", "paused")
            self._positions.show(self._scene, open_=can, currency=self._run.currency)

    def _level(self) -> None:
        """Hand the charts what is marked of the positions; they are drawn after it."""
        scene = self._scene
        if scene is not None:
            self._charts.take_levels(levels(scene, self._charts.charted, payoff(scene)))
            bars, cost = premium(scene, self._run.columns) or (None, None)
            if self._premium or bars is not None:
                self._premium = bars is not None
                self._charts.take_premium(bars, cost, f"Premium to close, {self._run.currency}")

    def _draw_report(self) -> None:
        run = self._run
        if not self._over:
            self._panel.value = live_html(run.progress, run.currency)
        elif run.failure is not None:
            self._panel.value = failure_html(run.failure, run.progress)
        else:
            self._panel.value = stats_html(run.stats, run.currency)

    def _draw_trades(self) -> None:
        self._trades.show(self._run.trades, self._run.currency)

    def _draw_fills(self) -> None:
        fills = self._run.fills
        note = "" if len(fills) else "Nothing has traded yet."
        self._fills.fill(fill_rows(fills, self._run.currency), note)

    def _draw_orders(self) -> None:
        orders = self._run.orders
        self._orders.fill(order_rows(orders), "" if len(orders) else "No orders yet.")

    def _compare(self, other: Viewable) -> None:
        """Draw what would have been without the hand beside what was."""
        equity = other.equity
        bars = ordinals(self._run.grid, pd.DatetimeIndex(equity.index))
        self._charts.compare(bars, np.asarray(equity, np.float64), "without the hand")

    def _draw_log(self) -> None:
        self._log.fill(log_rows(self._run.log.iloc[-ROWS:]))

    def _draw_why(self) -> None:
        """Have the bar played again; what was seen before stays until that is done."""
        if self._run.state == "running":
            self._why.value = '<div class="bt-note">Pause, and this says what the cell did.</div>'
        elif self._tabs.seen == "Why":
            self._hand.look("why", self._explain_bar)

    def _explain_bar(self) -> None:
        run, scene = self._run, self._scene
        parts = [run.bt.why().to_html()]
        if scene is not None:
            fills = ordinals(run.grid, pd.DatetimeIndex(run.fills["time"]))
            parts += [run.why_fill(int(n)).to_html() for n in np.flatnonzero(fills == scene.bar)]
        self._publisher.post("why", lambda: setattr(self._why, "value", "".join(parts)))

    def _explain(self, day: date) -> None:
        told = self._run.attribution(day).to_html()
        self._publisher.post("day", lambda: setattr(self._source, "value", told))

    def _draw_pace(self) -> None:
        self._pacer.seq = self._pace.sent()
        self._parcel.send()
        self._pace.spent()  # packing what is sent takes its share
        if self._sparing:  # each look would take the interpreter from the engine
            self._look_when_due()

    def _refuse(self, why: str) -> None:
        if why != self._refused:
            self._refused = why
            self._publisher.post("header", self._draw_header)

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


def _row(left: widgets.Widget, right: widgets.Widget, name: str) -> widgets.HBox:
    left.add_class("bt-left")
    right.add_class("bt-right")
    row = widgets.HBox([left, right])
    row.add_class(name)
    row.add_class("bt-row")
    return row


def _target(text: str) -> date | str | None:
    """Read where a position is rolled to: a day, a rule or a contract; None: the next expiry."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text or None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
