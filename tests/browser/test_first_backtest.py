"""What a trader does first, in a browser: run a cell, look, pause, stop."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.driver import Desk, Lab

STRADDLE = """\
%%backtest NIFTY --from 2024-01-01 --to 2024-01-12 --capital 10L --as straddle
class ShortStraddle(Strategy):
    stop = "25%"

    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl=self.stop)

    @at("15:15")
    def leave(self):
        self.exit_all()
"""

# two milliseconds of work a bar: the engine is busy all the time
BUSY = """\
%%backtest NIFTY --to 2024-01-12 --as busy
class Busy(Strategy):
    def on_bar(self):
        total = 0
        for i in range(self.rounds):
            total += i
"""

HANGS = """\
%%backtest NIFTY --as hung
class Hangs(Strategy):
    @at("10:00")
    def wait_for_ever(self):
        while True:  # bestbt: ok
            pass
"""


NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01-first-backtest.ipynb"


def test_a_straddle_runs_and_its_result_is_drawn(desk: Desk) -> None:
    desk.open_notebook(["%load_ext bestbt", STRADDLE, "straddle.wait(); len(straddle.trades)"])
    desk.run_all()
    view = desk.page.locator(".bt-view").first

    expect(view.locator(".bt-state")).to_have_text("Finished")
    expect(view.locator(".bt-badge")).to_have_text("synthetic data")
    trades = int(desk.page.locator(".jp-OutputArea-output pre").last.inner_text())
    assert trades == 20  # two legs on each of ten days
    expect(view).to_contain_text("Largest drawdown")
    candles = view.locator(".bqplot path.line")
    expect(candles.first).to_be_attached()
    drawn = [box for i in range(candles.count()) if (box := candles.nth(i).bounding_box())]
    assert max(box["width"] for box in drawn) > 300  # a chart, not a dot
    view.scroll_into_view_if_needed()
    desk.screenshot("straddle-finished")


def test_pause_and_stop_answer_while_the_engine_is_busy(desk: Desk) -> None:
    calibrate = (
        "import time\n"
        "rounds = 1000\n"
        "while True:\n"
        "    began = time.thread_time()\n"  # of work: others may take turns
        "    for i in range(rounds): pass\n"
        "    if time.thread_time() - began > 0.002: break\n"
        "    rounds *= 2"
    )
    desk.open_notebook(["%load_ext bestbt", calibrate, BUSY.replace("self.rounds", "rounds")])
    desk.run_all()
    view = desk.page.locator(".bt-view").first
    state = view.locator(".bt-state")
    expect(state).to_have_text("Running")
    view.scroll_into_view_if_needed()
    desk.screenshot("busy-running")

    view.locator(".bt-pause").click()
    expect(state).to_have_text("Paused")
    status = view.locator(".bt-status")
    expect(status).to_contain_text("Paused at")
    stands = status.inner_text()
    desk.page.wait_for_timeout(500)
    assert status.inner_text() == stands
    desk.screenshot("busy-paused")

    view.locator(".bt-pause").click()
    expect(state).to_have_text("Running")
    expect(status).not_to_have_text(stands)
    view.locator(".bt-stop").click()
    expect(state).to_have_text("Stopped")
    desk.screenshot("busy-stopped")


def test_stop_ends_a_hook_that_hangs(desk: Desk) -> None:
    desk.open_notebook(["%load_ext bestbt", HANGS])
    desk.run_all()
    view = desk.page.locator(".bt-view").first
    expect(view.locator(".bt-state")).to_have_text("Running")

    view.locator(".bt-stop").click()

    expect(view.locator(".bt-state")).to_have_text("Stopped")


def test_a_mistake_is_shown_by_the_line_of_the_cell(desk: Desk) -> None:
    wrong = STRADDLE.replace("self.get_atm", "self.get_amt")
    desk.open_notebook(["%load_ext bestbt", wrong])
    desk.start_all()
    output = desk.page.locator(".jp-OutputArea").last
    expect(output).to_contain_text("1 mistake in the cell; nothing was run")
    expect(output).to_contain_text(re.compile("line 8.*get_atm", re.DOTALL))
    desk.wait_idle()
    desk.screenshot("mistake")


def test_the_first_notebook_runs_from_top_to_bottom(lab: Lab) -> None:
    lab.open_notebook(NOTEBOOK)
    lab.page.get_by_text("Edit", exact=True).first.click()
    lab.page.locator(".lm-Menu-item[data-command='editmenu:clear-all']").click()
    expect(lab.page.locator(".jp-OutputArea-output")).to_have_count(0)

    lab.run_all()

    views = lab.page.locator(".bt-view")
    expect(views.first.locator(".bt-state")).to_have_text("Finished")
    expect(views.first.locator(".bqplot path.line").first).to_be_attached()
    expect(views.nth(1).locator(".bt-state")).to_have_text("Paused")  # the one that is stepped
    expect(lab.page.get_by_text("Did you mean self.get_atm?").first).to_be_attached()
    errors = lab.page.locator("[data-mime-type='application/vnd.jupyter.error']")
    expect(errors).to_have_count(0)
    views.first.scroll_into_view_if_needed()
    lab.screenshot("notebook")
