"""Long work under a cell: how far it is can be seen, and it can be stopped."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.driver import Desk

CELLS = ["%load_ext bestbt", "%bestbt store mine.sqlite", "%bestbt demo", "%bestbt coverage"]
# As tqdm writes them: percent; done of all, time passed and left, and the rate.
PERCENT = re.compile(r"\d+%")
REST = re.compile(r"\d+/\d+\s\[\d\d:\d\d<\d\d:\d\d,\s+[\d.]+\s?\S*\s?expiries")


def test_a_market_that_is_being_made_shows_its_progress_and_is_stopped(desk: Desk) -> None:
    desk.open_notebook(CELLS)
    desk.run_cell(0)
    desk.run_cell(1)
    output = desk.page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea")

    desk.run_cell(2, wait=False)
    expect(output).to_contain_text(PERCENT, timeout=20_000)
    expect(output).to_contain_text(REST, timeout=20_000)
    desk.choose("Kernel", "kernelmenu:interrupt")

    expect(output).to_contain_text(
        "Interrupted: nothing of the synthetic market is stored; make it again.", timeout=20_000
    )
    desk.wait_idle()
    desk.run_cell(3)
    said = desk.page.locator(".jp-CodeCell").nth(3).locator(".jp-OutputArea")
    expect(said).to_contain_text("contracts")  # a heading of what is in the store
    expect(said.locator("tbody tr")).to_have_count(0)
