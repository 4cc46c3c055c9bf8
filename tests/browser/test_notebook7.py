"""Notebook 7, which shows one notebook in a page: the view is the one of JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import CELL_MS, Lab, Server
from tests.browser.test_cockpit import CELL, Cockpit


class Notebook7(Lab):
    """Its page, in the words of its user."""

    def visit(self) -> None:
        self.page.goto(f"{self.server.url}/notebooks/{self.name}")

    def wait_ready(self) -> None:
        for _ in range(CELL_MS // 100):  # its page shows nothing of a kernel that is starting
            kernels = [session["kernel"] for session in self.server.sessions(self.name)]
            if any(k["connections"] and k["execution_state"] == "idle" for k in kernels):
                break
            self.page.wait_for_timeout(100)
        idle = self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        expect(idle).to_be_attached(timeout=CELL_MS)


@pytest.fixture
def notebook(page: Page, server: Server, pictures: Path) -> Iterator[Notebook7]:
    made = Notebook7(page, server, pictures, f"{uuid4().hex[:8]}.ipynb")
    yield made
    server.end_kernel(made.name)


def test_a_run_is_seen_moved_and_found_again(notebook: Notebook7) -> None:
    notebook.open_notebook(["%load_ext bestbt", CELL, "1"])
    for number in range(3):
        notebook.run_cell(number)
    it = Cockpit(notebook)
    expect(it.view.locator(".bt-state")).to_have_text("Paused")
    it.press("]")
    it.stands("Mon 01 Jan 2024 09:21")
    expect(it.rows(".bt-positions")).to_have_count(2)
    it.press("ArrowRight", "b")  # keys that a notebook would take for commands
    it.stands("Mon 01 Jan 2024 09:22")
    expect(notebook.page.locator(".jp-Cell")).to_have_count(3)
    chain = it.view.locator(".bt-chain").first
    expect(chain.locator("tbody tr")).to_have_count(15)
    expect(it.view.locator(".bt-price path.line").first).to_be_visible()
    notebook.screenshot("notebook-7")
    assert it.ask("print(run.progress.bar, len(run.fills))") == "7 2"

    notebook.save()
    notebook.page.reload()
    notebook.wait_ready()
    it.stands("Mon 01 Jan 2024 09:22")
    it.press("[")
    it.stands("Mon 01 Jan 2024 09:21")
