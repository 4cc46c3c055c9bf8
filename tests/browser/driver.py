"""What the browser tests do in JupyterLab, in the words of its user."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Page, expect

CELL_MS = 60_000  # no cell of a test takes longer

# Leaves a kernel as one that is new, but for the modules it has read.
FORGET = """\
from bestbt import Run
from ipywidgets import Widget
for value in list(globals().values()):
    if isinstance(value, Run):
        value.stop()
        value.done.wait(20)
Widget.close_all()
get_ipython().extension_manager.loaded.discard("bestbt")
get_ipython().reset()
"""


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address, the folder it shows, the store its kernels use.

    *runtime* is where it keeps the connection files of its kernels.
    """

    url: str
    root: Path
    store: Path
    runtime: Path

    def sessions(self, notebook: str) -> list[dict[str, Any]]:
        """Return the sessions of a notebook: one if its kernel runs."""
        with urlopen(f"{self.url}/api/sessions") as answer:
            return [session for session in json.load(answer) if session["path"] == notebook]

    def end_kernel(self, notebook: str) -> None:
        """Close the session of a notebook."""
        for session in self.sessions(notebook):
            address = f"{self.url}/api/sessions/{session['id']}"
            with urlopen(Request(address, method="DELETE")):
                pass

    @contextmanager
    def client(self, notebook: str) -> Iterator[BlockingKernelClient]:
        """Speak to a notebook's kernel, behind the notebook's back."""
        (session,) = self.sessions(notebook)
        client = BlockingKernelClient()
        client.load_connection_file(str(self.runtime / f"kernel-{session['kernel']['id']}.json"))
        client.start_channels()
        try:
            yield client
        finally:
            client.stop_channels()


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
        self.name = f"{uuid4().hex[:8]}.ipynb"
        self.write(notebook)
        self.visit()
        self.wait_ready()

    def write(self, notebook: Path | list[str]) -> None:
        """Make the notebook's file."""
        if isinstance(notebook, Path):
            shutil.copy(notebook, self.file)
        else:
            self.file.write_text(json.dumps(notebook_of(notebook)))

    def visit(self) -> None:
        """Go to the notebook in a new workspace; its kernel goes on if there is one."""
        self.page.goto(f"{self.server.url}/lab/workspaces/{uuid4().hex}/tree/{self.name}?reset")

    def choose(self, menu: str, command: str) -> None:
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        self.page.locator(f".lm-Menu-item[data-command='{command}']").first.click()

    def choose_theme(self, name: str) -> None:
        """Choose a theme, as `JupyterLab Dark`, from the command palette."""
        page = self.page
        self.choose("View", "apputils:activate-command-palette")
        page.locator(".lm-CommandPalette-input").fill(name)
        command = page.locator(".lm-CommandPalette-item[data-command='apputils:change-theme']")
        command.filter(has_text=name).first.click()
        expect(page.locator(f"body[data-jp-theme-name='{name}']")).to_be_attached(timeout=CELL_MS)

    def save(self) -> None:
        """Save the notebook, and wait until it is on the disk."""
        # also what has not changed is written, and that shows in no mark
        with self.page.expect_response(
            lambda said: said.request.method == "PUT" and "/api/contents/" in said.url
        ):
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

    def show_files(self, shown: bool) -> None:
        """Show the file browser, or give its room to the notebook."""
        files = self.page.locator("#jp-left-stack")
        if files.is_visible() != shown:
            self.page.keyboard.press("Control+b")
        expect(files).to_be_visible(visible=shown)

    def wait_ready(self) -> None:
        """Wait until the kernel takes work."""
        idle = self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        expect(idle).to_be_attached(timeout=CELL_MS)
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=CELL_MS)

    def wait_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.wait_ready()
        self.page.wait_for_timeout(500)  # idle is shown a moment before the last outputs are

    def screenshot(self, name: str) -> Path:
        """Save what is seen, under BESTBT_SCREENSHOTS if that names a folder."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path)
        return path


class Desk(Lab):
    """JupyterLab that stays open: each notebook takes the place of the one before.

    The page and the kernel are those of the first; what ran before can be seen in neither.
    """

    def open_notebook(self, notebook: Path | list[str]) -> None:
        """Show a copy of the notebook, none of its cells run."""
        if not self.name:
            super().open_notebook(notebook)
            # what a run that has just been stopped still shows may come after the file was saved
            sure = self.page.locator(".jp-Dialog button", has_text="Reload")
            self.page.add_locator_handler(sure, lambda button: button.click())
            return
        with self.server.client(self.name) as client:
            reply = client.execute(FORGET, silent=True, reply=True, timeout=CELL_MS / 1000)
        assert reply["content"]["status"] == "ok", reply["content"]
        self.page.mouse.move(0, 0)
        self.save()  # what is not saved is asked about
        self.write(notebook)
        cells = self.page.locator(".jp-Cell")
        cells.evaluate_all("all => all.forEach(cell => { cell.dataset.former = true })")
        self.choose("File", "docmanager:reload")
        expect(self.page.locator(".jp-Cell[data-former]")).to_have_count(0)
        expect(cells.first).to_be_visible()
        self.show_files(True)
        self.wait_ready()
