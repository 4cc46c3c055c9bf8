"""The chart in a browser: what the pointer does, what it is told, and what is drawn where."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from bestbt import Store
from tests.browser.driver import Desk, Server

CELL = """\
%%backtest NIFTY --from 2024-01-01 --to 2024-01-12 --as run
class Rolls(Strategy):
    def init(self):
        import numpy as np
        def mean(close, n):
            return np.convolve(close, np.ones(n) / n)[: len(close)]
        self.mean = self.indicator(mean, "close", 20, bar="5min", pane="price")
        self.swing = self.indicator(lambda c: c - np.maximum.accumulate(c), "close", pane="swing")

    @at("09:20")
    def enter(self):
        if not self.get_opened_positions():
            for right in ("CE", "PE"):
                self.sell(self.get_atm(right), lots=1, sl="60%")

    @at("15:00", weekdays="Wed")
    def onward(self):
        for position in self.get_opened_positions():
            position.roll(expiry="weekly")
"""

# What a view makes of the charts is its own affair: here they are shown alone.
ALONE = """\
run.wait()
import ipywidgets as w
from bestbt.widgets.charts import Charts
from bestbt.widgets.pointer import Level
from bestbt.widgets.publisher import Publisher

said, wrong = w.HTML("nothing"), w.HTML("")
said.add_class("said")
wrong.add_class("wrong")

def failed(name, error):
    wrong.value = f"{name}: {error!r}"

def jumped(bar):
    said.value = f"bar {bar}, {run.grid.local(bar):%d %b %Y %H:%M}"

charts = Charts(run, Publisher(failed), 330, jumped=jumped)
charts.finish_equity()
charts.finish_price()
charts.draw()
both = w.VBox([charts.price_box, charts.pnl_box], layout=dict(width="720px"))
both.add_class("bt-view")
both.add_class("alone")
w.VBox([both, said, wrong])
"""

SESSIONS = [d for d in (date(2024, 1, 1) + timedelta(n) for n in range(12)) if d.weekday() < 5]
MINUTES = 375


def time_of(bar: int) -> str:
    """Return what a bar of the run is called, from the exchange's hours alone."""
    day, minute = divmod(bar, MINUTES)
    opened = datetime.combine(SESSIONS[day], datetime.min.time()).replace(hour=9, minute=15)
    return f"{opened + timedelta(minutes=minute):%d %b %Y %H:%M}"


@dataclass
class Pane:
    """One pane, and what its axes say of the places in it."""

    pane: Locator

    @property
    def plot(self) -> dict[str, float]:
        box = self.pane.locator(".plotarea_events").bounding_box()
        assert box is not None
        return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}

    def price_at(self, y: float) -> float:
        """Return the value at a height of the page, from two labels of the axis."""
        ticks: list[tuple[float, float]] = self.pane.evaluate(
            """pane => [...pane.querySelectorAll('.bqplot .axis')]
                .filter(axis => axis.querySelector('.tick line')?.getAttribute('x2') != null)
                .flatMap(axis => [...axis.querySelectorAll('.tick')])
                .map(tick => {
                    const box = tick.querySelector('line').getBoundingClientRect();
                    return [box.top + box.height / 2, tick.querySelector('text').textContent];
                })
                .map(([y, text]) => [y, Number(text.replace(/,/g, '').replace('−', '-'))])
                .filter(([y, value]) => Number.isFinite(value))"""
        )
        (y1, v1), (y2, v2) = ticks[0], ticks[-1]
        return v1 + (y - y1) * (v2 - v1) / (y2 - y1)

    def text(self, name: str) -> str:
        return self.pane.locator(f".{name}").inner_text()


@dataclass
class Shown:
    """The charts on the page."""

    desk: Desk
    box: Locator

    @property
    def price(self) -> Pane:
        return Pane(self.box.locator(".bt-pane").first)

    @property
    def title(self) -> Locator:
        return self.price.pane.locator(".bt-pane-name")

    @property
    def told(self) -> Locator:
        return self.box.locator(".bt-told")

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Point at a share of the price pane's width and height; return where on the page."""
        plot = self.price.plot
        at = round(plot["x"] + plot["width"] * x), round(plot["y"] + plot["height"] * y)
        self.desk.page.mouse.move(*at)
        return at

    def span(self) -> tuple[str, str]:
        """Return the first and last time that are seen, as the caption tells them."""
        found = re.match(r"(.{17}) … (.{17})", self.told.inner_text())
        assert found is not None
        return found[1], found[2]

    def picture(self, name: str) -> None:
        box = self.box.bounding_box()
        assert box is not None
        self.desk.pictures.mkdir(parents=True, exist_ok=True)
        path = self.desk.pictures / f"{name}.png"
        x, y, width, height = (box[k] for k in ("x", "y", "width", "height"))
        clip: Any = {"x": x, "y": y, "width": width, "height": height}
        self.desk.page.screenshot(path=path, clip=clip)


def show(desk: Desk, *more: str, theme: str = "Light") -> Shown:
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    desk.open_notebook(["%load_ext bestbt", CELL, ALONE, *more])
    if theme != "Light":
        desk.choose_theme(f"JupyterLab {theme}")
    desk.run_all()
    box = desk.page.locator(".alone")
    expect(box.locator(".bt-line.bt-is-last").first).to_be_attached()
    expect(box.locator(".bqplot path.line").first).to_be_attached()
    box.scroll_into_view_if_needed()
    desk.page.wait_for_timeout(300)
    return Shown(desk, box)


@pytest.fixture
def shown(desk: Desk) -> Iterator[Shown]:
    found = show(desk)
    yield found
    expect(desk.page.locator(".wrong .widget-html-content")).to_have_text("")


def wait(work: Callable[[], bool], page: Any) -> None:
    for _ in range(50):
        if work():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come about in five seconds")


def settled(read: Callable[[], object], page: Any) -> None:
    """Wait until what is read stays as it is."""
    seen: list[object] = []

    def stays() -> bool:
        seen.append(read())
        return len(seen) > 5 and all(was == seen[-1] for was in seen[-5:])

    wait(stays, page)


def test_the_crosshair_tells_price_and_time_in_every_pane(shown: Shown) -> None:
    x, y = shown.point(0.37, 0.5)
    price = shown.price
    plot = price.plot
    bars = len(SESSIONS) * MINUTES
    bar = round(-0.5 + (x - plot["x"]) / plot["width"] * bars)
    expect(price.pane.locator(".bt-cross-time")).to_have_text(time_of(bar))
    told = float(price.text("bt-cross-value").replace(",", ""))
    pixel = abs(price.price_at(y + 1) - price.price_at(y))
    assert told == pytest.approx(price.price_at(y), abs=2 * pixel)
    assert re.fullmatch(r"\d\d,\d{3}\.\d\d", price.text("bt-cross-value"))

    lines = shown.box.locator(".bt-cross-x:visible")
    expect(lines).to_have_count(4)  # price, indicator, equity, drawdown
    places = [box["x"] for i in range(4) if (box := lines.nth(i).bounding_box())]
    assert max(places) - min(places) < 1
    assert abs(places[0] - x) < plot["width"] / bars + 1
    expect(shown.box.locator(".bt-cross-y:visible")).to_have_count(1)
    last = shown.box.locator(".bt-pane").last
    expect(last.locator(".bt-cross-time")).to_have_text(time_of(bar))

    # in the pane of equity it is money
    equity = Pane(shown.box.locator(".bt-pane").nth(2))
    shown.desk.page.mouse.move(x, equity.plot["y"] + 40)
    expect(equity.pane.locator(".bt-cross-value")).to_have_text(re.compile(r"^−?₹[\d,]+$"))
    shown.picture("chart-crosshair")
    shown.desk.page.mouse.move(2, 2)
    expect(lines).to_have_count(0)


def test_the_candle_pointed_at_is_told(shown: Shown, server: Server) -> None:
    shown.box.get_by_role("button", name="1D").click()
    expect(shown.title).to_contain_text("NIFTY · 1 day")
    shown.point(0.25, 0.5)  # the third of ten sessions
    store = Store.open(server.store)
    feed = store.feed(("NIFTY",), SESSIONS[0], SESSIONS[-1])
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    day = slice(2 * MINUTES, 3 * MINUTES)
    told = (
        columns.open[day][0],
        max(columns.high[day]),
        min(columns.low[day]),
        columns.close[day][-1],
    )
    store.close()
    words = [f"{name} {value:,.2f}" for name, value in zip("OHLC", told, strict=True)]
    expect(shown.price.pane.locator(".bt-readout")).to_have_text("  ".join(words))


def test_the_wheel_zooms_and_a_drag_pans_and_a_double_click_shows_all(shown: Shown) -> None:
    page = shown.desk.page
    whole = shown.span()
    assert whole == (time_of(0), time_of(len(SESSIONS) * MINUTES - 1))
    x, y = shown.point(0.5, 0.5)
    before = shown.price.text("bt-cross-time")
    for _ in range(4):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(60)
    expect(shown.title).to_contain_text("NIFTY · 3 min")
    settled(shown.span, page)
    assert shown.span() != whole
    first, last = (datetime.strptime(t, "%d %b %Y %H:%M") for t in shown.span())
    assert first > datetime(2024, 1, 3)
    assert last < datetime(2024, 1, 10)
    shown.point(0.5, 0.5)
    there = datetime.strptime(shown.price.text("bt-cross-time"), "%d %b %Y %H:%M")
    was = datetime.strptime(before, "%d %b %Y %H:%M")
    assert abs(there - was) < timedelta(minutes=10), "the bar under the pointer stays there"

    page.mouse.down()
    page.mouse.move(x + 100, y, steps=5)
    page.mouse.up()
    wait(lambda: datetime.strptime(shown.span()[0], "%d %b %Y %H:%M") < first, page)
    expect(shown.box.page.locator(".said .widget-html-content")).to_have_text("nothing")
    shown.picture("chart-zoomed")

    page.mouse.dblclick(x, y)
    wait(lambda: shown.span() == whole, page)
    page.wait_for_timeout(400)
    expect(page.locator(".said .widget-html-content")).to_have_text("nothing")


def test_a_click_tells_the_kernel_its_bar(shown: Shown) -> None:
    page = shown.desk.page
    x, y = shown.point(0.42, 0.4)
    plot = shown.price.plot
    bar = round(-0.5 + (x - plot["x"]) / plot["width"] * len(SESSIONS) * MINUTES)
    page.mouse.click(x, y)
    expect(page.locator(".said .widget-html-content")).to_have_text(f"bar {bar}, {time_of(bar)}")


def test_a_marker_under_the_pointer_tells_what_it_is(shown: Shown) -> None:
    page = shown.desk.page
    marks = shown.price.pane.locator(".bt-price .dot.element")
    said = []
    tooltip = page.locator(".bqplot_mark_tooltip:visible")
    for i in range(marks.count()):
        box = marks.nth(i).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 1)
        expect(tooltip.first).to_be_visible()
        page.wait_for_timeout(60)
        said += [t for t in tooltip.all_inner_texts() if t.strip()]
        expect(shown.price.pane.locator(".bt-cross-x")).to_be_visible()
        if "Roll" in said[-1]:
            shown.picture("chart-marker")
    told = "\n".join(said)
    assert re.search(r"01 Jan 09:20\s+Sell 50 NIFTY 2024-01-04 2\d{4} [CP]E at [\d.]+, entry", told)
    assert re.search(r"Roll 50 NIFTY 2024-01-04 .*\n\s+to 50 NIFTY 2024-01-11 .*PnL [+−]₹", told)
    rolls = [t for t in said if "Roll" in t]
    assert len({t.split("\n")[0] for t in rolls}) <= 4, "a roll's two fills are one marker"


def test_the_timeframe_makes_other_candles_and_narrows_the_stretch(shown: Shown) -> None:
    def candles() -> int:
        """Count the wicks that are drawn: each begins with a move."""
        paths = shown.price.pane.locator(".bt-price path.line").all()
        return max(len(re.findall("M", p.get_attribute("d") or "")) for p in paths)

    shown.box.get_by_role("button", name="1D").click()
    expect(shown.title).to_contain_text("NIFTY · 1 day")
    wait(lambda: candles() == len(SESSIONS), shown.desk.page)
    shown.box.get_by_role("button", name="1h").click()
    expect(shown.title).to_contain_text("NIFTY · 1 hour")
    wait(lambda: candles() == 7 * len(SESSIONS), shown.desk.page)
    shown.box.get_by_role("button", name="1m").click()
    expect(shown.title).to_contain_text("NIFTY · 1 min")
    expect(shown.told).to_contain_text("at most 500 candles at once")
    first, last = (datetime.strptime(t, "%d %b %Y %H:%M") for t in shown.span())
    assert last.date() == SESSIONS[-1]
    assert first.date() == SESSIONS[-2]
    shown.picture("chart-1m")
    shown.box.get_by_role("button", name="Whole run").click()
    expect(shown.box.get_by_role("button", name="Auto")).to_have_class(re.compile("mod-active"))
    wait(lambda: shown.span()[0] == time_of(0), shown.desk.page)


def test_options_and_straddles_are_charted_by_name(shown: Shown, server: Server) -> None:
    asked = shown.box.locator(".bt-symbol input")
    store = Store.open(server.store)
    feed = store.feed(("NIFTY",), SESSIONS[0], SESSIONS[-1])
    listed = [row.spec for row in feed.listed("NIFTY", date(2024, 1, 18))]
    strikes = sorted({spec.strike for spec in listed if spec.strike is not None})
    strike = strikes[bisect_left(strikes, 21_500.0)]
    legs = [feed.columns(s) for s in listed if s.strike == strike]
    closes = [c.close[-1] for c in legs if c is not None]
    store.close()

    asked.fill(f"{strike:g} ce 2024-01-18")
    asked.press("Enter")
    expect(shown.title).to_contain_text(f"NIFTY 2024-01-18 {strike:g} CE · ")
    tag = shown.price.pane.locator(".bt-level.bt-is-last")
    expect(tag).to_have_text(f"{closes[0]:,.2f}")
    expect(asked).to_have_value("")

    asked.fill(f"straddle {strike:g} 2024-01-18")
    asked.press("Enter")
    expect(shown.title).to_contain_text(f"NIFTY 2024-01-18 {strike:g} STRADDLE · ")
    told = float(tag.inner_text().replace(",", ""))
    assert told == pytest.approx(sum(closes), rel=0.1)  # its last bar is one where both trade
    shown.picture("chart-straddle")

    asked.fill("99999 CE")
    asked.press("Enter")
    expect(shown.told).to_contain_text("No NIFTY 2024-01-18 99999 CE: strikes go from")
    expect(shown.title).to_contain_text("STRADDLE")
    asked.fill("NIFTY")
    asked.press("Enter")
    expect(shown.title).to_contain_text("NIFTY · ")
    expect(shown.told).not_to_contain_text("99999")


LEVELS = """\
import time
near = run.columns("NIFTY").close[-1]
charts.take_levels([  # drawn with the second curve
    Level("strike", round(near) + 40, "CE −50"),
    Level("strike", round(near) + 44, "PE −50"),
    Level("breakeven", round(near) - 120, "breakeven"),
    Level("target", round(near) + 120, "target"),
    Level("stop", near * 2, "stop"),
])
bars, equity = charts.equity._x[1:], charts.equity._pnl[1:] * 0.5 + run.capital
charts.compare(bars, equity, "without the stop")
print(round(near))
"""


def test_levels_lie_where_their_prices_are(desk: Desk) -> None:
    shown = show(desk, LEVELS)
    near = int(desk.page.locator(".jp-OutputArea-output pre").last.inner_text())
    price = shown.price
    lines = price.pane.locator(".bt-line:not(.bt-is-last)")
    expect(lines).to_have_count(4)  # that of the stop is far out of sight
    for name, at in (("breakeven", near - 120), ("target", near + 120)):
        box = price.pane.locator(f".bt-line.bt-is-{name}").bounding_box()
        assert box is not None
        pixel = abs(price.price_at(1) - price.price_at(0))
        assert price.price_at(box["y"]) == pytest.approx(at, abs=2.5 * pixel)
        expect(price.pane.locator(f".bt-level.bt-is-{name}")).to_have_text(f"{at:,}.00")
    expect(price.pane.locator(".bt-said.bt-is-stop")).to_have_text("↑ stop")
    labels = price.pane.locator(".bt-level")
    places = sorted(b["y"] for i in range(labels.count()) if (b := labels.nth(i).bounding_box()))
    assert len(places) == 6
    assert min(b - a for a, b in pairwise(places)) >= 15.9, "none hides another"
    expect(shown.box.get_by_text("PnL · dashed: without the stop")).to_be_visible()
    shown.point(0.3, 0.3)
    shown.picture("chart-levels")


STAND = """\
run.bt.back(700)
charts.reopen()
charts.grow()
"""
STEP = """\
run.bt.step(30)
charts.grow()
print(f"{run.columns('NIFTY').close[run.progress.bar - 1]:,.2f}")
"""


def test_a_run_that_stands_is_shown_as_far_as_it_is(desk: Desk) -> None:
    shown = show(desk, STAND, STEP)
    newest = len(SESSIONS) * MINUTES - 1 - 700 + 30
    close = desk.page.locator(".jp-OutputArea-output pre").last.inner_text()
    expect(shown.price.pane.locator(".bt-level.bt-is-last")).to_have_text(close)
    plot = shown.price.plot
    lines = shown.box.locator(".bt-stand")
    expect(lines).to_have_count(4)
    for i in range(4):
        box = lines.nth(i).bounding_box()
        assert box is not None
        share = (box["x"] - plot["x"]) / plot["width"]
        assert share == pytest.approx((newest + 0.5) / (len(SESSIONS) * MINUTES), abs=0.003)
    edge = plot["x"] + plot["width"] * (newest + 30) / (len(SESSIONS) * MINUTES)
    candles = shown.price.pane.locator(".bt-price path.line[style*='dasharray: none']")
    ends = [b["x"] + b["width"] for p in candles.all() if (b := p.bounding_box())]
    assert len(ends) > 3
    assert max(ends) < edge, "nothing is drawn of what is to come"
    shown.picture("chart-standing")


def test_it_can_be_read_in_both_themes(desk: Desk, theme: str) -> None:
    shown = show(desk, LEVELS, theme=theme)
    shown.point(0.6, 0.5)
    shown.picture(f"chart-{theme.lower()}")
    for name in ("bt-cross-value", "bt-pane-name", "bt-said", "bt-level", "bt-told"):
        assert contrast(shown.box.locator(f".{name}").first) > 3, name
    ticks = shown.box.locator(".bqplot .axis text")
    assert contrast(ticks.first, paint="fill") > 3


def contrast(of: Locator, paint: str = "color") -> float:
    """Return how far a text stands out from what it is written on (1 … 21)."""
    ratio: float = of.evaluate(
        """(e, paint) => {
            const canvas = new OffscreenCanvas(1, 1).getContext('2d');
            const rgba = colour => {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const light = rgb => {
                const [r, g, b] = rgb.map(v => v / 255).map(
                    v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let paper = [255, 255, 255];
            for (let at = e; at; at = at.parentElement) {
                const found = rgba(getComputedStyle(at).backgroundColor);
                if (found[3] > 128) { paper = found.slice(0, 3); break; }
            }
            const [a, b] = [light(rgba(getComputedStyle(e)[paint]).slice(0, 3)), light(paper)];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }""",
        paint,
    )
    return ratio


def test_the_browser_keeps_up(desk: Desk) -> None:
    """Each update of a live chart of one session is painted; how long they take is kept."""
    show(desk, FAST)
    out = desk.page.locator(".jp-OutputArea-output pre").last
    expect(out).to_contain_text("painted", timeout=30_000)
    each = float(re.findall(r"([\d.]+) ms", out.inner_text())[0])
    Path(desk.pictures, "chart-speed.txt").write_text(out.inner_text())
    assert "painted 25 in" in out.inner_text()
    assert each < 1000  # a fifth of that where nothing else keeps the machine busy


FAST = """\
import asyncio, statistics, threading, time
from bestbt.widgets.pacer import Pacer
from IPython.display import display
for view in list(run._views):
    view.close()  # this is about one chart
run.bt.back(300)
charts.reopen()
charts.show(3150, 3524)  # a session's worth of candles
pacer = Pacer()
display(pacer)
took = []
answered = threading.Event()
out = w.Output()
pacer.observe(lambda change: answered.set(), "ack")

def stream():
    time.sleep(1.5)
    for i in range(25):
        run.bt.step(1)
        began = time.perf_counter()
        charts.grow()
        answered.clear()
        pacer.seq = 2 * (i + 1)  # of the others no answer comes
        if not answered.wait(5): break
        took.append(time.perf_counter() - began)
    out.append_stdout(f"painted {len(took)} in {statistics.median(took) * 1000:.0f} ms each")

threading.Thread(target=stream, daemon=True).start()
out
"""
