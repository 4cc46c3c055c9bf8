"""The panes: what they show of which symbol, how far the axis goes, and what is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from bestbt.charted import find, prices
from bestbt.engine.grid import Clock
from bestbt.engine.indicators import CoarserIndicator, Indicator
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.errors import ContractNotFound
from bestbt.testing import MemoryFeed
from bestbt.units import MINUTE
from bestbt.widgets.charts import Charts
from bestbt.widgets.lod import candles
from bestbt.widgets.plots import send
from bestbt.widgets.pointer import Level, Pointer, clock
from bestbt.widgets.price_chart import CANDLES
from bestbt.widgets.publisher import Publisher
from bestbt.widgets.view import _reach
from tests.widgets.fake_run import FakeRun, make_grid, make_prices


class Stage:
    """Charts of a run, drawn on the test's own thread."""

    def __init__(self, **options: Any) -> None:
        self.now = 0.0
        self.wrong: list[Any] = []
        self.clicked: list[int] = []
        self.picked: list[str] = []
        self.publisher = Publisher(
            lambda name, error: self.wrong.append((name, error)),
            clock=lambda: self.now,
            spawn=lambda run: None,
        )
        self.run = FakeRun(**options)
        self.charts = Charts(
            self.run,
            self.publisher,
            330,
            jumped=self.clicked.append,
            picked=lambda charted: self.picked.append(charted.name),
        )

    def played(self, bars: int) -> Stage:
        self.run.advance(bars)
        self.charts.grow()
        return self

    def settle(self) -> None:
        for _ in range(2):  # what is done may ask for more
            self.now += 1.0
            self.publisher.step()
        assert self.wrong == []

    @property
    def title(self) -> str:
        return str(self.charts._over_price.title)


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**options: Any) -> Stage:
        made.append(Stage(**options))
        return made[-1]

    yield make
    for one in made:
        for widget in _reach([one.charts.price_box, one.charts.pnl_box]):
            widget.close()


def feed_of_a_straddle() -> MemoryFeed:
    feed = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02"], minutes=3)
    feed.add_index([21500 + i for i in range(6)])
    feed.add_option("2024-01-04", 21500, "CE", [100, 101, 102, 103, 104, 105])
    feed.add_option("2024-01-04", 21500, "PE", [50, 51, 52, 53, 54, 55])
    return feed


def test_a_straddle_is_the_sum_of_its_legs_where_both_trade() -> None:
    feed = feed_of_a_straddle()
    found = find(feed, "straddle 21500", ("NIFTY",), date(2024, 1, 1))
    legs = [feed.columns(spec) for spec in found.legs]
    both = prices(feed, found)
    for at in range(both.n):
        bars = [leg for leg in legs if leg is not None]
        assert both.open[at] == pytest.approx(sum(c.open[at] for c in bars))
        assert both.close[at] == pytest.approx(sum(c.close[at] for c in bars))
        assert both.high[at] == pytest.approx(sum(c.high[at] for c in bars))
        assert both.low[at] == pytest.approx(sum(c.low[at] for c in bars))
    assert both.volume is None


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("nifty", "NIFTY"),
        ("21500 pe", "NIFTY 2024-01-04 21500 PE"),
        ("NIFTY 2024-01-04 21500 CE", "NIFTY 2024-01-04 21500 CE"),
        ("STRADDLE 21500 2024-01-04", "NIFTY 2024-01-04 21500 STRADDLE"),
        ("NIFTY 2024-01-04 21500 STRADDLE", "NIFTY 2024-01-04 21500 STRADDLE"),
    ],
)
def test_words_of_a_name_come_in_any_order(asked: str, name: str) -> None:
    assert find(feed_of_a_straddle(), asked, ("NIFTY",), date(2024, 1, 1)).name == name


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("21700 CE", "strikes go from 21500 to 21500"),
        ("STRADDLE", "has no strike"),
        ("21500", "write CE, PE, STRADDLE or FUT"),
        ("21500 CE 2024-13-40", "is no date"),
        ("2024-01-25 FUT", "No future of NIFTY"),
        ("BANKEX", "BANKEX"),
    ],
)
def test_what_is_not_there_is_refused_in_words(asked: str, why: str) -> None:
    with pytest.raises(ContractNotFound, match=why):
        find(feed_of_a_straddle(), asked, ("NIFTY",), date(2024, 1, 1))


def test_the_browser_can_tell_the_time_of_every_bar() -> None:
    grid = make_grid(7, minutes=11)
    told = clock(grid, 5, 70)
    assert told["step"] == 60
    for bar in range(5, 71):
        part = max(i for i, first in enumerate(told["bars"]) if first <= bar)
        seconds = told["seconds"][part] + (bar - told["bars"][part]) * told["step"]
        naive = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        assert naive == grid.local(bar).replace(tzinfo=None)
    assert len(told["bars"]) == 7


def test_a_candle_is_made_of_traded_bars_alone() -> None:
    grid = make_grid(1, minutes=15)
    bars = np.asarray([0, 3, 4, 12])
    value = np.asarray([100, 110, 90, 120]) * 100
    columns = PriceColumns.from_live(
        bars, path_points(value, value + 100, value - 100, value), 100, end=15
    )
    seen = candles(grid, columns, 0, 14, 500, 14, timeframe="5 min")
    assert seen is not None
    assert seen.x.tolist() == [2.0, 12.0], "the middle candle has no trade"
    assert seen.open.tolist() == [100.0, 120.0]
    assert seen.close.tolist() == [90.0, 120.0]
    assert (seen.high.tolist(), seen.low.tolist()) == ([111.0, 121.0], [89.0, 119.0])
    single = candles(grid, columns, 0, 14, 500, 14)
    assert single is not None
    assert single.x.tolist() == [0.0, 3.0, 4.0, 12.0]


def test_candles_beside_what_is_seen_are_those_seen_when_moved() -> None:
    grid = make_grid(20)
    columns = make_prices(grid.n)
    wide = candles(grid, columns, 2000, 2300, 500, grid.n, beside=150)
    narrow = candles(grid, columns, 2300, 2400, 500, grid.n, timeframe="1 min")
    assert wide is not None
    assert narrow is not None
    assert wide.timeframe == "1 min"
    assert (wide.x[0], wide.x[-1]) == (1850, 2450)
    same = np.isin(wide.x, narrow.x)
    assert wide.close[same].tolist() == narrow.close.tolist()


def test_a_timeframe_narrows_what_is_seen_and_the_whole_run_widens_it(
    stage: Callable[..., Stage],
) -> None:
    it = stage(trades=0).played(22_125)
    assert it.title == "NIFTY · 1 hour"
    it.charts._frame.value = "1 min"
    it.settle()
    lo, hi = it.charts.seen
    assert hi - lo == CANDLES
    assert hi >= it.run.last_bar
    assert it.title == "NIFTY · 1 min"
    assert f"at most {CANDLES} candles at once" in it.charts._told.value
    assert {p.widest for p in it.charts._pointers} == {float(CANDLES)}
    it.charts.show(100, 9_000)
    it.settle()
    lo, hi = it.charts.seen
    assert (lo, hi) == (8_500, 9_000)
    it.charts.show_whole()
    it.settle()
    assert it.charts.seen == (-0.5, it.run.last_bar + 0.5)
    assert it.charts._frame.value == ""
    assert it.title == "NIFTY · 1 hour"


def test_bars_of_five_minutes_offer_no_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Stage(sessions=2, trades=0)
    assert [label for label, _ in it.charts._frame.options][:3] == ["Auto", "1m", "5m"]
    it.run.grid.step = 5 * MINUTE
    charts = Charts(it.run, it.publisher, 330)
    assert [label for label, _ in charts._frame.options][:2] == ["Auto", "5m"]


def test_another_symbol_is_charted_and_an_unknown_one_is_not(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=5, trades=10)
    it.run.others["OTHER"] = make_prices(it.run.grid.n, seed=3)
    it.played(1000)
    it.charts.take_levels([Level("strike", 22_000.0, "22000 CE")])
    it.charts.draw()
    assert it.charts._over_price.tags[0]["text"] == "22000 CE"
    it.charts._symbol.value = "OTHER"
    it.settle()
    assert it.title.startswith("OTHER · ")
    assert it.picked == ["OTHER"]
    assert it.charts.charted.name == "OTHER"
    last = it.charts._over_price.tags
    assert [tag["price"] for tag in last] == [it.run.others["OTHER"].close[999]]
    assert it.charts._symbol.value == ""
    assert set(it.charts._symbol.options) >= {"NIFTY", "OTHER"}
    assert sum(len(m.x) for m in it.charts.price._markers) == 0, "nothing of it was traded"
    it.charts.chart("<b>NONE</b>")
    it.settle()
    assert it.title.startswith("OTHER · ")
    assert "No &lt;b&gt;NONE&lt;/b&gt; here." in it.charts._told.value
    it.charts.chart("NIFTY")
    it.settle()
    assert "NONE" not in it.charts._told.value
    assert sum(len(m.x) for m in it.charts.price._markers) > 0


def test_the_newest_bar_stays_in_sight(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=10, trades=0).played(1000)
    it.charts.show(800, 1010)
    it.settle()
    it.played(50)
    lo, hi = it.charts.seen
    assert lo < 1049 < hi
    assert hi - lo == 210
    it.charts.show(0, 200)  # the user looks elsewhere: let him
    it.settle()
    it.played(50)
    it.played(50)
    assert it.charts.seen == (0, 200)


def test_where_a_run_stands_is_marked_in_every_pane(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=4, trades=0).played(700)
    assert not any(m["kind"] == "stand" for p in it.charts._pointers for m in p.marks)
    it.run.pause()
    it.charts.draw()
    for pointer in it.charts._pointers:
        assert [m["bar"] for m in pointer.marks if m["kind"] == "stand"] == [699]
    flags = [m["bar"] for m in it.charts._over_price.marks if m["kind"] == "weekly"]
    assert flags == [bar for bar, _ in it.run.expiries("NIFTY")] == [4 * 375 - 1]


def test_fills_are_read_again_only_when_there_are_new_ones(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = stage(sessions=5, trades=10).played(1000)
    read: list[int] = []
    monkeypatch.setattr(FakeRun, "booked", property(lambda run: (run.book, 20, 0)))
    whole = FakeRun.fills_since

    def counted(run: FakeRun, n: int) -> Any:
        read.append(run.progress.bar)
        return whole(run, n)

    monkeypatch.setattr(FakeRun, "fills_since", counted)
    it.run.state = "paused"
    it.played(1)
    it.played(1)
    it.played(1)
    assert read == [1001]
    it.played(-2)
    assert read == [1001, 1001], "of a run that went back they are other ones"


def test_fills_of_a_rewound_run_do_not_wait(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=5, trades=10).played(1000)
    chart = it.charts.price
    chart._rested = math.inf  # as after a look that took long
    it.played(400)
    assert not chart._marks.fresh
    it.played(-700)
    assert chart._marks.fresh


def test_indicators_are_drawn_where_they_belong(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=4, trades=0)
    run = it.run
    here = Clock()

    def shifted(close: Any) -> Any:
        return close + 10

    for pane, of in (("price", "NIFTY"), ("price", "OTHER"), ("rsi", "NIFTY")):
        made = Indicator(here, run.grid, run.prices, shifted, ("close",), of)
        made.pane, made.label = pane, f"{pane} of {of}"
        run.indicators.append(made)
    it.played(900)
    line = it.charts.price._lines[0]
    assert line.x.max() < 900
    at = line.x.astype(int)
    assert line.y.tolist() == [run.prices.close[i] + 10 for i in at]
    assert len(it.charts.price._lines[1].x) == 0
    assert it.title.endswith("price of NIFTY")
    assert list(it.charts._panes) == ["rsi"]
    drawn, pointer, _ = it.charts._panes["rsi"]
    assert drawn._lines[0].x.max() == 899
    assert pointer.title == "rsi · rsi of NIFTY"
    heights = [box.children[0].layout.height for box in it.charts._stack.children]
    assert sum(int(h.removesuffix("px")) for h in heights) == 330 - 28 - 18
    run.indicators.clear()
    it.charts.draw()
    assert it.charts._panes == {}


def test_an_indicator_of_coarser_bars_is_drawn_as_it_is_read() -> None:
    run = FakeRun(sessions=2, trades=0)
    at = Clock()
    made = CoarserIndicator(
        at, run.grid, run.prices, lambda c: c, ("close",), "NIFTY", step=5 * MINUTE
    )
    values = made.by_bar()
    for bar in range(run.grid.n):
        at.bar = bar
        assert values[bar] == made[0] or (np.isnan(values[bar]) and np.isnan(made[0]))


def test_a_second_curve_and_a_premium(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=4, trades=0).played(900)
    bars = np.arange(0, 900, 10)
    it.charts.compare(bars, np.full(90, it.run.capital + 500.0), "without <the> stop")
    it.charts.take_premium(bars, np.linspace(200, 90, 90), "Premium of pair")
    it.settle()
    equity = it.charts.equity
    assert set(equity._without.y.tolist()) == {0.0, 500.0}
    assert it.charts._over_equity.title == "PnL · dashed: without <the> stop"
    assert it.charts._over_under.title == "Premium of pair"
    assert len(equity._below.x) == 0
    assert equity._premium.y.tolist() == np.linspace(200, 90, 90).tolist()
    it.charts.compare(None, None)
    it.charts.take_premium(None, None)
    it.settle()
    assert len(equity._without.x) == len(equity._premium.x) == 0
    assert len(equity._below.x) > 0
    assert it.charts._over_under.title == "Drawdown"


def test_a_click_is_told_and_nonsense_is_not(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=2, trades=0).played(100)
    over: Pointer = it.charts._over_price
    for content in ({"click": 57}, {"click": -5}, {"click": 10**9}, {"click": "7"}, {}, None, 3):
        over._handle_custom_msg(content, [])
    assert it.clicked == [57]
    it.charts.show(10, 50)
    it.settle()
    over._handle_custom_msg({"whole": True}, [])
    it.settle()
    assert it.charts.seen == (-0.5, 749.5)


def test_only_what_has_changed_is_sent(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=4, trades=6).played(900)
    sent: list[str] = []
    for widget in _reach([it.charts.price_box, it.charts.pnl_box]):
        widget.observe(lambda change: sent.append(change["name"]))
    it.charts.draw()
    assert sent == []
    line = it.charts.equity._line
    send(line, x=line.x.copy(), y=line.y + 1)
    assert sent == ["y"]
