"""The view of a run: what it shows in each state, and that looking changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from ipywidgets.widgets.widget import _instances as instances

from bestbt.errors import ParamError, StoreCorrupt
from bestbt.widgets import view as viewing
from bestbt.widgets.hand import Hand
from bestbt.widgets.publisher import Pace, Publisher
from bestbt.widgets.table import ROWS, trade_rows
from bestbt.widgets.view import RunView
from tests.widgets.fake_run import FakeRun


class Stage:
    """A run and its view, both moved by hand on the test's own thread."""

    def __init__(self, patch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now = 0.0

        def publisher(failed: Any) -> Publisher:
            return Publisher(failed, clock=lambda: self.now, spawn=lambda run: None)

        patch.setattr(viewing, "Publisher", publisher)
        patch.setattr(viewing, "Hand", partial(Hand, worker=publisher))
        patch.setattr(viewing, "Pace", lambda: Pace(clock=lambda: self.now))
        self.run = FakeRun(**options)
        self.view = RunView(self.run)
        self.run.rested = self.view.look

    def later(self, seconds: float = 0.1) -> None:
        self.now += seconds
        self.view._publisher.step()

    @property
    def text(self) -> str:
        parts: list[str] = []
        reader = HTMLParser()
        reader.handle_data = parts.append  # type: ignore[method-assign]
        for widget in viewing._reach([self.view]):
            if isinstance(widget, widgets.HTML):
                reader.feed(widget.value)
        return " ".join(parts)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**options: Any) -> Stage:
        made.append(Stage(monkeypatch, **options))
        return made[-1]

    yield make
    for one in made:
        one.view.close()


def test_a_run_that_the_store_does_not_take_says_so(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.later()
    assert "Not written" not in it.text
    it.run.unsaved = "Not written to the store: no room"
    it.view.wake()
    it.later()
    assert it.run.unsaved in it.text


def test_the_repr_is_stable(stage: Callable[..., Stage]) -> None:
    it = stage()
    assert repr(it.view) == "<RunView ShortStraddle NIFTY>"
    assert repr(stage().view) == repr(it.view)
    assert it.view._repr_mimebundle_()["text/plain"] == repr(it.view)


def test_an_unknown_keyword_is_refused_by_name() -> None:
    with pytest.raises(ParamError, match=r"does not take 'heigth'. Did you mean 'height'?"):
        RunView(FakeRun(sessions=2, trades=0), heigth=300)


def test_a_run_under_way(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=10, trades=20)
    it.run.advance(1000)
    it.later()
    assert "ShortStraddle · NIFTY" in it.text
    assert "synthetic data" in it.text
    assert "27%" in it.text
    assert "Date reached 03 Jan 2024 13:24" in it.text
    assert "1,000 of 3,750" in it.text
    assert it.view._pacer.seq == 1
    drawn = it.view._charts.price._wicks
    assert np.nanmax(drawn.x) < 1000, "the chart must not show what the run has not seen"


def test_it_waits_for_the_browser(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=10, trades=0)
    it.later()
    seqs = []
    for _ in range(16):  # two seconds in which nothing answers
        it.run.advance(10)
        it.later(0.125)
        seqs.append(it.view._pacer.seq)
    assert seqs[-1] == 3
    it.view._pacer.ack = it.view._pacer.seq
    it.run.advance(10)
    it.later(0.2)
    assert it.view._pacer.seq == 4


def test_an_engine_at_full_speed_is_looked_at_only_when_an_update_is_due(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = stage(sessions=10, trades=0)
    looked: list[float] = []
    whole = FakeRun.seen

    def counted(run: FakeRun, expiry: Any = None) -> Any:
        looked.append(it.now)
        seen = whole(run, expiry)
        assert seen is not None
        return seen._replace(cpu=0.05)  # of the engine's

    monkeypatch.setattr(FakeRun, "seen", counted)
    waits = []
    it.later(0)
    it.view._pacer.ack = 1 << 40  # a page that paints at once
    it.now = 2.0
    for _ in range(4):
        it.run.advance(10)
        it.later(0)
        waits.append(it.view._publisher._waiting["look"][0] - it.now)
        it.now += waits[-1] + 1e-6
    assert all(wait > 0.3 for wait in waits), f"looks in between: {waits}"
    assert len(looked) == 1 + 4
    it.run.pause()
    it.later(0)
    assert "Paused" in it.text, "the run says itself that it rests"


def test_a_chain_that_cannot_be_read_is_told_and_the_rest_is_drawn(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = stage(sessions=10, trades=0)
    problem = StoreCorrupt("NIFTY 21700 CE: damaged")
    whole = FakeRun.seen

    def damaged(run: FakeRun, expiry: Any = None) -> Any:
        seen = whole(run, expiry)
        assert seen is not None
        return seen._replace(problem=problem)

    monkeypatch.setattr(FakeRun, "seen", damaged)
    it.run.advance(1000)
    it.later()
    assert "could not draw its scene: StoreCorrupt: NIFTY 21700 CE: damaged" in it.text
    assert "Date reached 03 Jan 2024 13:24" in it.text
    assert it.view._scene is not None
    assert it.view._scene.bar == 999


def test_nothing_new_is_not_sent(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=2, trades=0)
    for _ in range(50):
        it.later()
    assert it.view._pacer.seq == 1


def test_the_buttons_ask_the_run_at_once(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=3, trades=0)
    it.later()
    pause, stop = it.view._header._pause, it.view._header._stop
    pause.click()
    assert it.run.calls == ["pause"]
    it.later(0)  # a change of state does not wait for the browser
    assert pause.icon == "play"
    assert "Paused" in it.text
    pause.click()
    it.view._hand._worker.step()
    stop.click()
    assert it.run.calls == ["pause", "resume", "stop"]
    it.later(0)
    assert pause.disabled
    assert stop.disabled
    assert "Stopped by you" in it.text


def test_a_finished_run(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    assert it.view._problem == ""
    assert "Finished at 21 Mar 2024 15:29" in it.text
    assert "260 fills in" in it.text
    assert "Trades won 56.90 %" in it.text
    assert "Capital ₹10,00,000" in it.text
    assert "rejected" in it.text
    assert len(it.view._trades.rows) == 130
    markers = it.view._charts.price._markers
    assert 0 < sum(len(m.x) for m in markers) <= 200
    for mark in (*markers, *it.view._charts.price.figure.marks):
        assert mark.x.dtype == mark.y.dtype == np.float64
        assert len(mark.x) == len(mark.y)
    equity = it.view._charts.equity
    assert len(equity._line.x) <= 2000
    assert equity._below.y.max() == 0
    curve = it.run.equity.to_numpy()
    deepest = (curve - np.maximum(np.maximum.accumulate(curve), it.run.capital)).min()
    assert equity._below.y.min() == pytest.approx(deepest)
    assert it.view._publisher.step() is None, "nothing is left to do once the result is drawn"


def test_blocks_are_shaded_and_told(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=3, trades=4)
    chart = it.view._charts.price
    for bar, kind, number in ((100, "block", 0), (150, "block", 1), (374, "unblock", 0)):
        time = pd.Timestamp(it.run.grid.end(bar), tz="UTC").tz_convert("Asia/Kolkata")
        it.run.noted.append((time, kind, "all entries until noon: <b>3</b>", {"number": number}))
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    assert it.view._problem == ""
    assert "2 blocks (shaded)" in it.text
    assert (chart._blocks.x.min(), chart._blocks.x.max()) == (100, it.run.last_bar)
    assert np.isfinite(chart._blocks.x).all(), "two that overlap are one stretch"
    it.run.noted.pop(1)
    it.run.book = object()
    it.view._charts.finish_price()
    it.view._charts.draw()
    said = "blocked: all entries until noon: <b>3</b>"
    assert said in it.text, "what a strategy says is text, not markup"
    assert said in chart.draw(0, 375, 1124, np.asarray([]))
    assert "blocked" not in chart.draw(400, 1124, 1124, np.asarray([]))
    assert len(chart._blocks.x) == 0


def test_a_view_comes_alive_again_when_its_run_is_rewound(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=10, trades=20)
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    assert len(it.view._trades.rows) == 20
    it.run.done.clear()
    it.run.state = "paused"
    it.run.advance(1000 - it.run.grid.n)
    it.view.wake()
    it.later()
    assert "Paused at" in it.text
    assert "1,000 of 3,750" in it.text
    pause, stop = it.view._header._pause, it.view._header._stop
    assert (pause.icon, pause.disabled, stop.disabled) == ("play", False, False)
    chart = it.view._charts.price
    marked = np.concatenate([mark.x for mark in chart._markers])
    assert 0 < marked.max() < 1000
    assert np.nanmax(chart._wicks.x) < 1000, "the chart must not show what is to come again"
    assert it.view._charts.equity._line.x.max() < 1000
    assert len(it.view._trades.rows) == 20, "a tab that is not seen is drawn when it is"
    it.view._tabs.show("Trades")
    it.later()
    assert len(it.view._trades.rows) == len(it.run.trades) < 20
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    assert "Finished at" in it.text
    assert len(it.view._trades.rows) == 20
    assert sum(len(mark.x) for mark in chart._markers) > 0
    assert pause.disabled


def test_waking_a_view_that_is_awake_or_closed_changes_nothing(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=2, trades=0)
    it.later()
    seq = it.view._pacer.seq
    it.view.wake()
    it.later()
    assert it.view._pacer.seq == seq
    it.view.close()
    it.view.wake()
    assert it.view._publisher.step() is None


@pytest.mark.parametrize("seen", [False, True])
def test_closing_a_view_leaves_no_widget(stage: Callable[..., Stage], seen: bool) -> None:
    before = set(map(id, instances.values()))
    it = stage(sessions=2, trades=3)
    it.later()
    if seen:
        for name in it.view._tabs._strip.options:
            it.view._tabs.show(name)
            it.later()
    it.view.close()
    left = [type(w).__name__ for w in instances.values() if id(w) not in before]
    assert left == []


def test_a_run_that_is_stopped_is_shown_as_far_as_it_went(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=10, trades=20)
    it.run.advance(1000)
    it.later()
    assert it.view._charts.seen == (-0.5, 3749.5)
    it.run.stop()
    it.later()
    it.later()
    assert it.view._charts.seen == (-0.5, 999.5)
    it.view._charts.show(100, 200)
    it.later()
    it.view._charts._reset.click()
    it.later()
    assert it.view._charts.seen == (-0.5, 999.5)


def test_the_timeframe_does_not_change_while_the_run_goes_on(
    stage: Callable[..., Stage],
) -> None:
    it = stage()
    told = set()
    for _ in range(20):
        it.run.advance(1100)
        it.later(1)
        told.add(it.view._charts._over_price.title)
    assert len(told) == 1


def test_a_failed_run_says_why_and_escapes_it(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=3, trades=4)
    it.run.advance(500)
    it.run.end("failed", "KeyError: '<script>x</script>'\n  Cell In[2], line 4")
    it.later()
    assert "Failed at 02 Jan 2024 11:19" in it.text
    assert "<script>" not in it.view._panel.value
    assert "&lt;script&gt;" in it.view._panel.value
    assert "<pre>" in it.view._panel.value


def test_a_title_is_escaped(stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRun, "title", "<b>x</b> · NIFTY")
    monkeypatch.setattr(FakeRun, "symbol", "<i>M&M</i>")
    it = stage(sessions=2, trades=0)
    it.later()
    html = [w.value for w in viewing._reach([it.view]) if isinstance(w, widgets.HTML)]
    assert not any("<b>x" in value or "<i>M" in value for value in html)
    assert "<b>x</b> · NIFTY" in it.text


def test_a_pane_that_cannot_be_drawn_is_told_and_the_others_are(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = stage(sessions=5, trades=10)

    def broken(_: str) -> Any:
        raise OSError("disk <gone>")

    monkeypatch.setattr(it.run, "columns", broken)
    it.run.advance(500)
    it.later()
    assert "could not draw its charts: OSError: disk <gone>" in it.text
    assert "disk <gone>" not in it.view._header._status.value
    assert not it.run.done.is_set()
    assert it.run.calls == []
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    assert "Finished" in it.text
    assert "could not draw its charts" in it.text
    assert len(it.view._trades.rows) == 10


def test_what_cannot_be_drawn_is_not_tried_without_end(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = stage(sessions=5, trades=0)
    it.later()
    tried: list[str] = []

    def broken(symbol: str) -> Any:
        tried.append(symbol)
        raise OSError("disk gone")

    monkeypatch.setattr(it.run, "columns", broken)
    it.run.advance(500)
    for _ in range(50):  # five seconds in which the run stands
        it.later()
    assert len(tried) == 1


def test_what_failed_while_the_run_was_moved_is_drawn_anew(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=5, trades=0)
    it.run.advance(500)
    with pytest.MonkeyPatch.context() as moving:

        def moved(_: str) -> Any:
            raise OSError("read while it was moved")

        moving.setattr(it.run, "columns", moved)
        it.later()
    assert "could not draw its charts" in it.text
    chart = it.view._charts.price
    assert len(chart._wicks.x) == 0
    it.view.wake()
    it.later()
    assert "could not draw" not in it.text
    assert len(chart._wicks.x) > 0


def test_zooming_makes_detail_once_the_axis_rests(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    charts = it.view._charts
    assert charts._over_price.title == "NIFTY · 1 hour"
    charts._x.min, charts._x.max = 3000.0, 3300.0
    it.later(0.05)
    assert charts._over_price.title == "NIFTY · 1 hour"
    it.later(0.02)
    assert charts._over_price.title == "NIFTY · 1 min"
    assert set(charts._axis.tick_values.astype(int).astype(str)) <= set(charts._axis.tick_labels)
    charts._reset.click()
    it.later()
    it.later()
    assert charts.seen == (-0.5, it.run.last_bar + 0.5)
    assert charts._over_price.title == "NIFTY · 1 hour"


def test_a_click_on_a_trade_shows_it(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.run.advance(it.run.grid.n)
    it.run.end("finished")
    it.later()
    it.view._trades._handle_custom_msg({"row": 6}, [])
    it.later()
    lo, hi = it.view._charts.seen
    trade = it.run.trades.iloc[6]
    starts = pd.DatetimeIndex(it.run.grid.starts, tz="UTC")
    assert starts[int(lo)] < trade["entry_time"] < trade["exit_time"] < starts[int(hi)]
    assert hi - lo < 1000
    for odd in ({"row": 999}, {"row": "1"}, {}, None):
        it.view._trades._handle_custom_msg(odd, [])
    it.later()
    assert it.view._charts.seen == (lo, hi)


def test_a_long_table_says_what_it_leaves_out() -> None:
    run = FakeRun(trades=ROWS + 5)
    rows, tones = trade_rows(run._trades, "₹")
    assert len(rows) == ROWS + 5
    for row, tone, pnl in zip(rows, tones, run._trades["pnl"], strict=True):
        assert row[8].startswith({1: "+₹", -1: "−₹"}[tone])
        assert tone == np.sign(pnl)
    table = viewing.TradesTable(lambda row: None)
    table.show(run._trades, "₹")
    assert len(table.rows) == ROWS
    assert "first 1,000 of 1,005" in table.note
    table.close()


def test_a_run_without_trades(stage: Callable[..., Stage]) -> None:
    it = stage(sessions=2, trades=0)
    it.run.end("stopped")
    it.later()
    assert it.view._problem == ""
    assert it.view._trades.note == "No trade has been closed yet."


def test_closing_ends_the_thread_and_leaves_the_run_alone() -> None:
    before = set(threading.enumerate())
    run = FakeRun(sessions=2, trades=0)
    view = RunView(run)
    mine = [t for t in set(threading.enumerate()) - before if t.name == "bt-view"]
    assert all(t.daemon for t in mine)
    parts = viewing._reach([view])
    view.close()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()
    assert all(part.comm is None for part in parts)
    assert run.calls == []


def test_the_thread_ends_with_the_run() -> None:
    run = FakeRun(sessions=2, trades=3)
    run.advance(run.grid.n)
    run.end("finished")
    view = RunView(run)
    for thread in threading.enumerate():
        if thread.name == "bt-view":
            thread.join(10)
    assert view._publisher.idle
    assert len(view._trades.rows) == 3
    view.close()
