"""The option chain on the screen: what it shows is what the run says, and clicks reach Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
from playwright.sync_api import Locator, expect

from bestbt import Backtest, Store, Strategy, at
from bestbt.widgets.format import count, decimal
from tests.browser.driver import Desk, Server

PAUSED = """\
import ipywidgets as widgets
from bestbt import Backtest, Store, Strategy, at
from bestbt.widgets.chain_charts import ChainCharts
from bestbt.widgets.chain_scene import read_chain
from bestbt.widgets.chain_table import ChainTable

class Condor(Strategy):
    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right, offset=1), lots=2)
            self.buy(self.get_atm(right, offset=4), lots=2)

bt = Backtest(Condor, Store.open(), "NIFTY", start="2024-01-01", end="2024-01-12")
bt.run_to("2024-01-03 11:00")
chosen = None

def look():
    scene = read_chain(bt.simulation.strategy, chosen)
    for one in shown:
        one.show(scene)

def choose(day):
    global chosen
    chosen = day
    look()

def step(_):
    bt.step()
    look()

def pick(name):
    told.value = name

told, go = widgets.HTML(), widgets.Button(description="step")
told.add_class("told")
go.add_class("go")
go.on_click(step)
shown = []
"""

TABLE = """\
table = ChainTable(pick, choose, around={around})
table.layout.width = "{width}"
shown.append(table)
look()
widgets.VBox([table, go, told])
"""

CHARTS = """\
charts = ChainCharts()
shown.append(charts)
look()
charts
"""


class Condor(Strategy):
    """The same, here: what the screen shows is held against a run of our own."""

    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right, offset=1), lots=2)
            self.buy(self.get_atm(right, offset=4), lots=2)


@pytest.fixture
def run(server: Server) -> Iterator[Backtest]:
    store = Store.open(server.store)
    bt = Backtest(Condor, store, "NIFTY", start="2024-01-01", end="2024-01-12")
    bt.run_to("2024-01-03 11:00")
    yield bt
    store.close()


def cells(table: Locator, strike: float) -> list[str]:
    """Return the texts of a strike's row."""
    row = table.locator("tbody tr").filter(
        has=table.page.locator("td.bt-col-strike", has_text=re.compile(f"^{strike:g}$"))
    )
    return row.locator("td:not(.bt-greek)").all_inner_texts()


def texts(run: Backtest, strike: float, expiry: date | None = None) -> list[str]:
    """Return what the row of a strike is to say, from the run's own chain and open positions."""
    chain = run.chain(expiry)
    frame = chain.to_frame().set_index(["strike", "right"])
    grid = run.simulation.grid
    day = grid.session(run.simulation.bar)
    sides: dict[str, list[str]] = {}
    for right in ("CE", "PE"):
        row = frame.loc[strike, right]
        option = chain.option(strike, right)
        columns = run.feed.columns(option.spec)
        assert columns is not None
        change = row.oi - columns.oi[grid.lasts[day - 1] - columns.first]
        sides[right] = [
            count(row.oi, "₹"),
            ("+" if change > 0 else "") + count(change, "₹"),
            count(row.day_volume, "₹"),
            decimal(100 * row.iv, 1),
            decimal(row.delta),
            "–",
            "–",
            decimal(row.price),
            str(row.age),
        ]
    straddle = frame.price[strike].sum() if (frame.age[strike] <= 5).all() else float("nan")
    return [*sides["CE"], f"{strike:g}", decimal(straddle), *reversed(sides["PE"])]


def without_own(row: list[str]) -> list[str]:
    return row[:11] + row[12:]


def cut_off(table: Locator) -> list[str]:
    """Return the numbers for which their cells have no room."""
    found: list[str] = table.locator("td, th").evaluate_all(
        "all => all.filter(td => td.scrollWidth > td.clientWidth).map(td => td.textContent)"
    )
    return found


def test_a_row_says_what_the_run_says_and_follows_it(desk: Desk, run: Backtest) -> None:
    desk.page.set_viewport_size({"width": 1800, "height": 1000})  # room for whole numbers
    desk.open_notebook([PAUSED, TABLE.format(around=None, width="100%")])
    desk.run_all()
    table = desk.page.locator(".bt-full")
    money = run.chain().atm
    assert money is not None

    for strike in (money - 300, money, money + 250):
        assert without_own(cells(table, strike)) == texts(run, strike)
    expect(table.locator("td.bt-col-strike.bt-atm")).to_have_text(f"{money:g}")
    assert table.locator("tbody tr").count() == len(run.chain().strikes)
    expect(table.locator(".bt-chain-facts")).to_have_text(
        f"1 session left · forward {run.chain().forward:,.2f} synthetic · lot 50 · freeze 1,800"
    )

    # what is held stands at its row, on its side
    held = run.simulation.strategy.get_opened_positions()
    assert len(held) == 8
    for p in held:
        c = p.contract
        assert cells(table, c.strike or 0)[11] == f"{p.qty:+d} {(c.right or '')[0]}".replace(
            "-", "−"
        )
    assert table.locator("td.bt-col-last.bt-short").count() == sum(p.qty < 0 for p in held)
    assert table.locator("td.bt-col-last.bt-long").count() == sum(p.qty > 0 for p in held)
    assert cut_off(table) == []

    # the money is in the middle at first; where the reader scrolls to, it stays
    scroll = table.locator(".bt-chain-scroll")
    box, row = scroll.bounding_box(), table.locator("td.bt-atm").first.bounding_box()
    assert box is not None
    assert row is not None
    assert abs(row["y"] - (box["y"] + box["height"] / 2)) < 40
    scroll.evaluate("el => { el.scrollTop = 7; el.querySelector('tbody td').kept = true }")
    for _ in range(3):
        desk.page.locator(".go").click()
    run.step(3)
    money = run.chain().atm or 0
    expect(table.locator("tbody tr", has_text=f"{money:g}").first).to_contain_text(
        texts(run, money)[2]  # its volume of the session
    )
    for strike in (money, money - 100):
        assert without_own(cells(table, strike)) == texts(run, strike)
    assert scroll.evaluate("el => el.scrollTop") == 7
    assert scroll.evaluate("el => el.querySelector('tbody td').kept")  # the same cells as before

    # a click takes what is under the mouse, however far from the money; keys go on from there
    told, strikes = desk.page.locator(".told"), run.chain().strikes
    table.locator("td.bt-col-strike").nth(3).click()
    expect(told).to_have_text(f"STRADDLE {strikes[3]:g}")
    scroll.focus()
    for key in ["ArrowDown"] * 40 + ["ArrowUp"] * 39 + ["Enter"]:
        desk.page.keyboard.press(key)
    expect(told).to_have_text(f"STRADDLE {strikes[4]:g}")
    framed, head = table.locator("td[aria-current]").bounding_box(), table.locator("thead th").first
    over = head.bounding_box()
    assert framed is not None
    assert over is not None
    assert framed["y"] >= over["y"] + over["height"] - 1  # not under the head


def test_clicks_and_another_expiry(desk: Desk, run: Backtest) -> None:
    desk.open_notebook([PAUSED, TABLE.format(around=7, width="456px")])
    desk.run_all()
    table, told = desk.page.locator(".bt-compact"), desk.page.locator(".told")
    money = run.chain().atm or 0
    strikes = table.locator("td.bt-col-strike")
    expect(strikes.nth(7)).to_have_text(f"{money:g}")
    listed = run.chain().strikes
    at = listed.index(money)
    assert strikes.all_inner_texts() == [f"{k:g}" for k in listed[at - 7 : at + 8]]

    row = table.locator("tbody tr").nth(9)
    strike = listed[at + 2]
    for cell, name in (
        (row.locator("td").first, f"NIFTY 2024-01-04 {strike:g} CE"),
        (row.locator("td").last, f"NIFTY 2024-01-04 {strike:g} PE"),
        (row.locator(".bt-col-strike"), f"STRADDLE {strike:g}"),
    ):
        cell.click()
        expect(told).to_have_text(name)

    table.locator(".bt-chain-scroll").focus()
    framed = table.locator("td[aria-current]")
    for keys, name in (  # from the one that was clicked
        (["ArrowDown", "Enter"], f"STRADDLE {listed[at + 3]:g}"),
        (["Home", "Enter"], f"NIFTY 2024-01-04 {listed[at + 3]:g} CE"),
        (["Home", "End", "End", "ArrowUp", "Enter"], f"NIFTY 2024-01-04 {strike:g} PE"),
    ):
        for key in keys:
            desk.page.keyboard.press(key)
        expect(told).to_have_text(name)
    expect(framed).to_have_class(re.compile("bt-col-last"))

    expiry = table.locator(".bt-chain-expiry")
    days = [day.isoformat() for day in run.simulation.strategy.expiries()]
    options = expiry.locator("option").evaluate_all("all => all.map(one => one.value)")
    assert options == ["", *days]
    expiry.select_option("2024-01-25")
    later = run.chain(date(2024, 1, 25))
    expect(table.locator(".bt-chain-facts")).to_contain_text(f"F {later.forward:,.2f} syn")
    expect(table.locator(".bt-chain-facts")).to_contain_text("16d")
    middle = table.locator("tbody tr").nth(7)
    expect(middle.locator("td.bt-col-straddle")).to_have_text(decimal(later.straddle_premium or 0))
    expect(expiry).to_have_value("2024-01-25")
    desk.page.locator(".go").click()  # it stays with the one chosen
    run.step()
    later = run.chain(date(2024, 1, 25))
    expect(table.locator(".bt-chain-facts")).to_contain_text(f"F {later.forward:,.2f} syn")
    expiry.select_option("")
    expect(table.locator(".bt-chain-facts")).to_contain_text(f"F {run.chain().forward:,.2f} syn")

    assert cut_off(table) == []
    box = table.bounding_box()
    assert box is not None
    assert (round(box["width"]), box["height"] < 220) == (456, True)


def test_in_both_themes_it_can_be_read(desk: Desk, theme: str) -> None:
    tables = [TABLE.format(around=7, width="456px"), TABLE.format(around=None, width="100%")]
    desk.open_notebook([PAUSED, *tables, CHARTS])
    desk.choose_theme(f"JupyterLab {theme}")
    desk.run_all()
    page = desk.page
    compact, full = page.locator(".bt-compact"), page.locator(".bt-full")
    charts = page.locator(".bt-chain-charts")
    expect(charts.locator(".bqplot path.dot").first).to_be_attached()
    for one in (compact, full):
        text, paper = one.locator("td").first.evaluate(
            """td => {
              const light = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
                return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
              };
              return [light(getComputedStyle(td).color),
                      light(getComputedStyle(document.querySelector(".jp-Notebook")).backgroundColor)];
            }"""
        )
        assert abs(text - paper) > 0.5
    desk.pictures.mkdir(parents=True, exist_ok=True)
    for part, one in (("compact", compact), ("full", full), ("charts", charts)):
        one.screenshot(path=desk.pictures / f"chain-{part}-{theme.lower()}.png")
    more = page.locator(".bt-chain-more")
    expect(full.locator("th.bt-greek").first).to_be_hidden()
    more.click()
    expect(full.locator("th.bt-greek").first).to_be_visible()
    assert cut_off(full) == cut_off(compact) == []
    full.screenshot(path=desk.pictures / f"chain-greeks-{theme.lower()}.png")


def test_a_symbol_without_options_says_so(desk: Desk) -> None:
    desk.open_notebook([PAUSED, "table = ChainTable()\ntable.show(None)\ntable"])
    desk.run_all()
    table = desk.page.locator(".bt-chain")
    expect(table.locator(".bt-chain-note")).to_have_text(
        "No options of this symbol are listed at this bar."
    )
    expect(table.locator("table")).to_be_hidden()
