"""What a trader does with a paused run, in a browser: step, rewind, ask why, take the controls."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.driver import Desk, Lab

CELL = """\
%%backtest NIFTY --from 2024-01-01 --to 2024-01-12 --as run --step
class Straddle(Strategy):
    quiet = 40

    def init(self):
        self.waited = 0

    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=2, sl="25%")

    @every("5min", start="10:00", end="14:00")
    def watch(self):
        self.waited += 1
        if self.spot.price < self.quiet:
            self.exit_all()

    @at("15:15")
    def leave(self):
        self.exit_all()
"""
LINE = 16  # of `if self.spot.price < self.quiet:`
EXIT = 17


class Cockpit:
    """The view of the run, in the words of who looks at it."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.page = lab, lab.page
        self.view = lab.page.locator(".bt-view").first

    def stands(self, time: str) -> None:
        """Wait until the run is seen to stand at a time."""
        expect(self.view.locator(".bt-fact-time b")).to_have_text(re.compile(time))

    def go(self, where: str) -> None:
        box = self.view.locator(".bt-goto input")
        box.fill(where)
        box.press("Enter")

    def press(self, *keys: str) -> None:
        self.view.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def tab(self, name: str) -> None:
        self.view.locator(".bt-tabs button", has_text=re.compile(f"^{re.escape(name)}$")).click()

    def rows(self, pane: str) -> Locator:
        return self.view.locator(f"{pane} tbody tr")

    def ask(self, code: str) -> str:
        """Ask the kernel, in a cell of its own."""
        return _ask(self.page, self.lab, code)


def _ask(page: Page, lab: Lab, code: str) -> str:
    cell = page.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    lab.wait_idle()
    return cell.locator(".jp-OutputArea-output pre").last.inner_text().strip()


@pytest.fixture
def cockpit(desk: Desk) -> Cockpit:
    desk.page.set_viewport_size({"width": 1280, "height": 800})
    desk.open_notebook(["%load_ext bestbt", CELL, "1"])
    desk.show_files(False)
    desk.run_all()
    made = Cockpit(desk)
    made.view.scroll_into_view_if_needed()
    expect(made.view.locator(".bt-state")).to_have_text("Paused")
    return made


def test_stepping_adds_the_bar_and_stepping_back_takes_it_and_its_fills_away(
    cockpit: Cockpit,
) -> None:
    it = cockpit
    it.go("09:20")
    it.stands("Mon 01 Jan 2024 09:20")
    it.tab("Fills")
    expect(it.view.locator(".bt-tab-panes .bt-note:visible")).to_contain_text("Nothing has traded")
    it.view.locator(".bt-step").click()
    it.stands("09:21")
    expect(it.rows(".bt-tab-panes .bt-table:visible")).to_have_count(2)
    expect(it.rows(".bt-positions")).to_have_count(2)
    newest = it.ask("print(run.progress.bar, len(run.fills))")
    assert newest == "6 2"
    it.view.locator(".bt-back").click()
    it.stands("09:20")
    expect(it.rows(".bt-tab-panes .bt-table:visible")).to_have_count(0)
    expect(it.rows(".bt-positions")).to_have_count(0)
    assert it.ask("print(run.progress.bar, len(run.fills))") == "5 0"


def test_keys_move_the_run_and_the_notebook_does_not_see_them(cockpit: Cockpit) -> None:
    it = cockpit
    cells = it.page.locator(".jp-Cell").count()
    it.press("ArrowRight")
    it.stands("09:16")
    it.press("Shift+ArrowRight")
    it.stands("09:31")
    it.press("ArrowLeft")
    it.stands("09:30")
    it.press(".")
    it.stands("Mon 01 Jan 2024 15:30")
    it.press(",")  # nothing closed before it
    it.stands("–")
    it.press("]")
    it.stands("Mon 01 Jan 2024 09:21")
    it.press("s")
    expect(it.view.locator(".bt-status")).to_contain_text("(stop)")
    it.press("e")
    it.stands("Thu 04 Jan 2024 15:30")
    it.press("[")
    expect(it.view.locator(".bt-fact-time b")).not_to_have_text(re.compile("15:30"))
    it.press("w")
    expect(it.view.locator(".bt-tabs .mod-active")).to_have_text("Why")
    it.press("c")
    expect(it.view.locator(".bt-tabs .mod-active")).to_have_text("Chain")
    it.press("5")
    expect(it.view.locator(".bt-frames .mod-active")).to_have_text("1D")
    it.press("?")
    expect(it.view.locator(".bt-help")).to_contain_text("the next fill")
    it.press("?")
    expect(it.view.locator(".bt-help")).to_be_hidden()
    it.press("g")
    expect(it.view.locator(".bt-goto input")).to_be_focused()
    it.page.keyboard.press("Escape")
    expect(it.view).to_be_focused()
    it.press("b")
    expect(it.view.locator(".bt-blocked")).to_have_text("blocked")
    assert it.page.locator(".jp-Cell").count() == cells, "x, b and c are not the notebook's"


def test_exit_all_asks_and_does_it_at_the_next_bar(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("09:30")
    it.stands("09:30")
    expect(it.rows(".bt-positions")).to_have_count(2)
    it.press("x")
    question = it.view.locator(".bt-question")
    expect(question).to_contain_text("Exit all 2 open positions")
    question.locator(".bt-no").click()
    expect(question).to_be_hidden()
    it.press("x")
    question.locator(".bt-yes").click()
    it.press("ArrowRight")
    it.stands("09:31")
    expect(it.rows(".bt-positions")).to_have_count(0)
    it.tab("By hand")
    expect(it.view.locator(".bt-col-record")).to_contain_text("exit_all()")


def test_a_block_is_seen_and_no_entry_comes_until_it_is_taken_back(cockpit: Cockpit) -> None:
    it = cockpit
    it.tab("By hand")
    it.view.locator(".bt-block").click()
    expect(it.view.locator(".bt-blocked")).to_have_text("blocked")
    it.go("09:30")
    it.stands("09:30")
    expect(it.rows(".bt-positions")).to_have_count(0)
    it.tab("Log")
    expect(it.view.locator(".bt-tab-panes .bt-table:visible")).to_contain_text("all entries until")
    it.tab("By hand")
    it.rows(".bt-col-record .bt-table").first.click()  # takes it back, and the day is played again
    expect(it.rows(".bt-positions")).to_have_count(2)
    expect(it.view.locator(".bt-blocked")).to_have_count(0)


def test_a_position_is_stopped_rolled_and_left_from_its_row(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("09:30")
    it.stands("09:30")
    row = it.rows(".bt-positions").first
    row.locator(".bt-edit").click()
    row.locator("input").fill("400")
    row.locator("input").press("Enter")
    expect(row.locator(".bt-edit")).to_have_text("400.00")
    it.page.keyboard.press("Enter")  # the cell has the focus, and no mouse is needed
    row.locator("input").fill("410")
    row.locator("input").press("Enter")
    expect(row.locator(".bt-edit")).to_have_text("410.00")
    it.page.keyboard.press("Escape")
    expect(row.locator("input")).to_have_count(0)
    row.locator(".bt-roll").click()
    row.locator("input").press("Escape")
    row.locator(".bt-roll").click()
    row.locator("input").fill("2024-01-11")
    row.locator("input").press("Enter")
    it.press("]")  # at the first bar in which both contracts trade
    it.tab("Fills")
    fills = it.rows(".bt-tab-panes .bt-table:visible")
    expect(fills).to_have_count(4)
    expect(fills.first).to_contain_text("roll")
    assert it.ask("print(run.fills['kind'].eq('roll').sum())") == "2"
    expect(it.rows(".bt-positions")).to_have_count(2)
    it.rows(".bt-positions").first.locator(".bt-exit").click()
    it.press("ArrowRight")
    expect(it.rows(".bt-positions")).to_have_count(1)

    it.view.locator(".bt-tab-panes .bt-table:visible").focus()
    for key in ["ArrowDown"] * 5 + ["Enter"]:  # the oldest fill, by its row
        it.view.page.keyboard.press(key)
    it.stands("Mon 01 Jan 2024 09:21")


def test_the_trace_shows_the_line_whose_condition_was_false(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("10:05")
    it.stands("10:05")
    it.tab("Why")
    why = it.view.locator(".bt-why-pane")
    expect(why).to_contain_text("self.spot.price < self.quiet")
    expect(why).to_contain_text(re.compile(r"[\d,]+\.\d+ < 40"))
    expect(why).to_contain_text("false")
    expect(why).to_contain_text("waited")
    it.go("09:21")
    it.stands("09:21")
    expect(why).to_contain_text("Slippage")  # why this fill
    it.lab.screenshot("cockpit-why")


def test_the_chain_follows_and_a_click_charts_a_row(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("09:30")
    it.stands("09:30")
    near = it.view.locator(".bt-lower .bt-right")
    before = near.inner_text()
    it.go("11:30")
    it.stands("11:30")
    expect(near).not_to_have_text(before)
    near.locator("tbody td").filter(has_text=re.compile(r"^\d+\.\d\d$")).first.click()
    expect(it.view.locator(".bt-upper .bt-left")).to_contain_text(
        re.compile(r"NIFTY 2024-01-04 \d+")
    )


def test_the_run_comes_to_rest_at_conditions_and_breakpoints(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("bar >= 3")
    it.stands("09:19")
    expect(it.view.locator(".bt-status")).to_contain_text("(bar >= 3)")
    it.tab("Breakpoints")
    box = it.view.locator(".bt-break-at input")
    box.fill(f"line {LINE}")
    box.press("Enter")
    expect(it.rows(".bt-breakpoints .bt-table")).to_have_count(1)
    it.press(" ")
    it.stands("10:00")
    expect(it.view.locator(".bt-status")).to_contain_text(f"(line {LINE})")
    box.fill("todays_pnl < 3")
    box.press("Enter")
    expect(it.view.locator(".bt-problem")).to_contain_text("Did you mean 'today_pnl'")
    it.rows(".bt-breakpoints .bt-table").first.click()
    expect(it.rows(".bt-breakpoints .bt-table")).to_have_count(0)
    it.press(" ")
    expect(it.view.locator(".bt-state")).to_have_text("Finished")


def test_the_worst_day_is_clicked_and_its_pnl_explained(cockpit: Cockpit) -> None:
    it = cockpit
    it.press(" ")
    expect(it.view.locator(".bt-state")).to_have_text("Finished")
    it.tab("Days")
    worst = it.view.locator(".bt-rank").first
    day = worst.locator("span").inner_text()
    worst.click()
    it.stands("09:21")
    assert it.ask("print(run.progress.time.date())") == day
    expect(it.view.locator(".bt-day-source")).to_contain_text("theta")
    it.tab("Payoff")
    expect(it.view.locator(".bt-payoff-said")).to_contain_text("Breakeven")


def test_what_if_without_the_hand_is_a_second_curve(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("09:40")
    it.stands("09:40")
    it.press("x")
    it.view.locator(".bt-yes").click()
    it.press(".")
    it.stands("15:30")
    it.tab("By hand")
    it.view.locator(".bt-compare").click()
    expect(it.view.locator(".bt-hand-said")).to_contain_text("the hand made")
    expect(it.view.locator(".bt-lower .bt-left")).to_contain_text("without the hand")
    it.view.locator(".bt-python").click()
    expect(it.view.locator(".bt-hand-said")).to_contain_text("bt.exit_all()")
    it.lab.screenshot("cockpit-what-if")


def test_all_of_it_fits_on_the_first_screen(cockpit: Cockpit) -> None:
    it = cockpit
    it.go("11:00")
    it.stands("11:00")
    box = it.view.bounding_box()
    assert box is not None
    assert box["height"] <= 720
    assert it.view.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    cut = it.view.evaluate(
        """e => [...e.querySelectorAll('.bt-positions td, .bt-lower .bt-right td, .bt-facts b')]
            .filter(c => c.offsetParent && c.scrollWidth > c.clientWidth + 1)
            .map(c => c.textContent)"""
    )
    assert cut == []
    chain = it.view.locator(".bt-lower .bt-compact")
    expect(chain.locator("tbody tr")).to_have_count(15)
    last = chain.locator("tbody tr").last.bounding_box()
    lower = it.view.locator(".bt-lower").bounding_box()
    assert last is not None
    assert lower is not None
    assert last["y"] + last["height"] <= lower["y"] + lower["height"]
    it.lab.screenshot("cockpit")


@pytest.mark.parametrize("width", [900, 700])
def test_it_folds_and_keeps_what_is_worth_most(cockpit: Cockpit, width: int) -> None:
    it = cockpit
    it.go("11:00")
    it.stands("11:00")
    it.page.set_viewport_size({"width": width, "height": 1000})
    seen = it.view.locator(".bt-fact").evaluate_all(
        """all => all.filter(e => {
            const box = e.getBoundingClientRect();
            const room = e.closest(".bt-facts").getBoundingClientRect();
            return box.bottom <= room.bottom + 1 && box.right <= room.right + 1;
        }).map(e => e.firstElementChild.textContent)"""
    )
    assert seen[:3] == ["symbol", "time", "spot"]
    it.page.wait_for_function(  # charts follow a moment later
        """() => {
            const view = document.querySelector(".bt-view").getBoundingClientRect();
            const inside = e => {
                const box = e.getBoundingClientRect();
                return box.right <= view.right + 1;
            };
            const parts = ".bt-transport, .bt-tabs button, .bt-compact, .bqplot g.axis";
            return [...document.querySelector(".bt-view").querySelectorAll(parts)].every(inside);
        }"""
    )
    it.lab.screenshot(f"cockpit-{width}")
