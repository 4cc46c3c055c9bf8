"""What the browser tests do in JupyterLab, in the words of its user."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

from playwright.sync_api import Page, expect

CELL_MS = 60_000  # no cell of a test takes longer


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address, the folder it shows, the store its kernels use."""

    url: str
    root: Path
    store: Path

    def end_kernels(self) -> None:
        """Close every notebook's session."""
        with urlopen(f"{self.url}/api/sessions") as answer:
            sessions = json.load(answer)
        for session in sessions:
            address = f"{self.url}/api/sessions/{session['id']}"
            with urlopen(Request(address, method="DELETE")):
                pass


def notebook_of(sources: list[str]) -> dict[str, object]:
    """Return a notebook with these code cells, none of them run."""
    cells: list[dict[str, object]] = [
        {
            "id": f"cell-{i}",
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for i, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@dataclass
class Lab:
    """What a test does in JupyterLab. `page` is Playwright's, for everything else.

    ``open_notebook`` takes a file, or cells of code from which it makes one.
    """

    page: Page
    server: Server
    pictures: Path
    name: str = ""  # of the notebook's file

    @property
    def file(self) -> Path:
        """The notebook on the disk."""
        return self.server.root / self.name

    def open_notebook(self, notebook: Path | list[str]) -> None:
        """Show a copy of the notebook alone in a new workspace, its kernel ready."""
        name = f"{uuid4().hex[:8]}.ipynb"
        if isinstance(notebook, Path):
            shutil.copy(notebook, self.server.root / name)
        else:
            (self.server.root / name).write_text(json.dumps(notebook_of(notebook)))
        self.name = name
        self.visit()
        self.wait_idle()

    def visit(self) -> None:
        """Go to the notebook in a new workspace; its kernel goes on if there is one."""
        self.page.goto(f"{self.server.url}/lab/workspaces/{uuid4().hex}/tree/{self.name}?reset")

    def choose(self, menu: str, command: str) -> None:
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        self.page.locator(f".lm-Menu-item[data-command='{command}']").first.click()

    def save(self) -> None:
        """Save the notebook, and wait until it is on the disk."""
        self.choose("File", "docmanager:save")
        dirty = self.page.locator("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-dirty")
        expect(dirty).to_have_count(0)

    def run_cell(self, number: int, wait: bool = True) -> None:
        """Run one cell; *wait* until it has returned."""
        cell = self.page.locator(".jp-CodeCell").nth(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        if wait:
            prompt = cell.locator(".jp-InputPrompt")
            expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=CELL_MS)
            self.wait_idle()

    def run_all(self) -> None:
        """Run every cell and wait until all have returned."""
        self.start_all()
        # a prompt reads [*] while its cell is queued or running, and stays so if it never ends
        expect(self.page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text(
            re.compile(r"\[\d+\]:"), timeout=CELL_MS
        )
        self.wait_idle()

    def start_all(self) -> None:
        """Run every cell, and return at once."""
        self.choose("Run", "runmenu:run-all")

    def wait_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        page = self.page
        idle = page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        expect(idle).to_be_attached(timeout=CELL_MS)
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=CELL_MS)
        page.wait_for_timeout(500)  # idle is shown a moment before the last outputs are

    def screenshot(self, name: str) -> Path:
        """Save what is seen, under BESTBT_SCREENSHOTS if that names a folder."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path)
        return path
