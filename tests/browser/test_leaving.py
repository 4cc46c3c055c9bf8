"""A run is safe to leave: the page may go and come back, the kernel may be stopped and restarted.

A run that must not end too soon plays slowly until the test makes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import SIZE
from tests.browser.driver import Desk, Lab

SLOW = """\
%%backtest NIFTY --as slow
class Slow(Strategy):
    def on_bar(self):
        for _ in range(20_000):
            pass
"""
ENGINES = "import threading; print([t.name for t in threading.enumerate()].count('bt-engine'))"
PATIENT = """\
%%backtest NIFTY --to 2024-01-03 --as patient --step
class Patient(Strategy):
    @at("09:20")
    def enter(self):
        self.sell(self.get_atm("CE"), lots=1)

    @at("15:15")
    def leave(self):
        self.exit_all()
"""
LET_GO = """\
import threading, time
from pathlib import Path

def go():
    while not Path("{go}").exists():
        time.sleep(0.05)
    patient.pace = None
    while not patient.done.wait(0.1):
        pass
    Path("{over}").touch()

patient.pace = 10
patient.resume()
threading.Thread(target=go, daemon=True).start()
"""
QUICK = """\
%%backtest NIFTY --to 2024-01-05 --as quick
class Quick(Strategy):
    @at("09:20")
    def enter(self):
        self.sell(self.get_atm("CE"), lots=1)

    @at("15:15")
    def leave(self):
        self.exit_all()
"""
LOADED = "%load_ext bestbt"


@pytest.fixture
def again(lab: Lab, browser: Browser) -> Iterator[Lab]:
    """The tab closed and the notebook opened in another browser window."""
    context = browser.new_context(viewport=SIZE)
    yield Lab(context.new_page(), lab.server, lab.pictures)
    context.close()


def state(view: Locator) -> Locator:
    return view.locator(".bt-state")


def goes_on(view: Locator) -> None:
    """The status line moves, pause answers, play answers."""
    status = view.locator(".bt-status")
    expect(state(view)).to_have_text("Running")
    stands = status.inner_text()
    expect(status).not_to_have_text(stands)
    view.locator(".bt-pause").click()
    expect(state(view)).to_have_text("Paused")
    view.locator(".bt-pause").click()
    expect(state(view)).to_have_text("Running")


def test_a_run_goes_on_when_the_page_is_loaded_again(lab: Lab) -> None:
    lab.open_notebook([LOADED, SLOW, ENGINES])
    lab.run_all()
    expect(state(lab.page.locator(".bt-view"))).to_have_text("Running")
    lab.save()

    lab.page.reload()
    lab.wait_idle()

    view = lab.page.locator(".bt-view")
    expect(view).to_have_count(1)
    goes_on(view)
    expect(view.locator(".bqplot path.line").first).to_be_attached()
    view.locator(".bt-stop").click()
    expect(state(view)).to_have_text("Stopped")


LATE = """
const wait = window.setTimeout;  // the library's look for a widget, each tenth of a second
window.setTimeout = (then, ms, ...rest) => wait(then, ms === 100 ? 4000 : ms, ...rest);
"""


def test_a_view_that_the_page_gave_up_on_is_put_back(lab: Lab) -> None:
    """JupyterLab looks for two seconds, and not again when the kernel's answer comes just then."""
    lab.open_notebook([LOADED, SLOW, ENGINES])
    lab.run_all()
    expect(state(lab.page.locator(".bt-view"))).to_have_text("Running")
    lab.save()

    gave_up = []
    lab.page.on("console", lambda said: gave_up.append(said.text))
    lab.page.add_init_script(LATE)
    lab.page.reload()
    lab.wait_idle()

    view = lab.page.locator(".bt-view")
    expect(view).to_have_count(1, timeout=20_000)
    assert any("widget model not found" in text for text in gave_up), gave_up
    expect(lab.page.locator(".jp-CodeCell").nth(1).locator(".bt-view")).to_have_count(1)
    expect(lab.page.get_by_text("model not found")).to_have_count(0)
    goes_on(view)
    expect(view.locator(".bqplot path.line").first).to_be_attached()
    lab.screenshot("put-back")

    lab.page.on("pageerror", lambda error: gave_up.append(f"thrown: {error}"))
    lab.run_cell(1)
    expect(view).to_have_count(1)
    goes_on(view)
    assert not [text for text in gave_up if text.startswith("thrown")]


def test_a_closed_tab_is_opened_again(lab: Lab, again: Lab) -> None:
    lab.open_notebook([LOADED, SLOW])
    lab.run_all()
    expect(state(lab.page.locator(".bt-view"))).to_have_text("Running")
    lab.save()
    lab.page.close()

    again.name = lab.name
    again.visit()
    again.wait_idle()

    goes_on(again.page.locator(".bt-view"))


def test_a_page_that_comes_later_shows_what_the_first_one_shows(lab: Lab, again: Lab) -> None:
    """Updates go on while it loads: what they brought it must be told."""
    lab.open_notebook([LOADED, SLOW])
    lab.run_all()
    view = lab.page.locator(".bt-view")
    expect(state(view)).to_have_text("Running")
    lab.save()

    again.name = lab.name
    again.visit()
    again.wait_idle()
    goes_on(again.page.locator(".bt-view"))
    view.locator(".bt-pause").click()

    expect(state(view)).to_have_text("Paused")
    later = again.page.locator(".bt-view")
    expect(state(later)).to_have_text("Paused")
    parts = ".bt-facts", ".bt-status", ".bt-told", ".bt-compact tbody", ".bt-pane-title"
    for part in parts:
        text = view.locator(part).first.text_content()
        expect(later.locator(part).first).to_have_text(text or "")
    lines = [p.locator(".bt-price path.line").all() for p in (view, later)]
    drawn = [[line.get_attribute("d") for line in some] for some in lines]
    assert drawn[0] == drawn[1]


def test_a_run_that_ended_while_the_tab_was_closed_is_shown_ended(
    lab: Lab, again: Lab, tmp_path: Path
) -> None:
    go, over = tmp_path / "go", tmp_path / "over"
    lab.open_notebook([LOADED, PATIENT, LET_GO.format(go=go, over=over)])
    lab.run_all()
    expect(state(lab.page.locator(".bt-view"))).to_have_text("Running")
    lab.save()
    lab.page.close()
    assert not over.exists()

    go.touch()
    for _ in range(300):
        if over.exists():
            break
        again.page.wait_for_timeout(100)
    again.name = lab.name
    again.visit()
    again.wait_idle()

    view = again.page.locator(".bt-view")
    expect(state(view)).to_have_text("Finished")
    expect(view).to_contain_text("Largest drawdown")
    expect(view.locator(".bqplot path.line").first).to_be_attached()
    expect(view.locator(".bt-stop")).to_be_disabled()


def test_a_restarted_kernel_is_told_and_the_cell_runs_again(desk: Desk) -> None:
    desk.open_notebook([LOADED, SLOW, ENGINES])
    desk.run_all()
    view = desk.page.locator(".bt-view")
    expect(state(view)).to_have_text("Running")

    desk.choose("Kernel", "kernelmenu:restart")
    desk.page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(view).to_have_class(re.compile("jupyter-widgets-disconnected"))
    desk.wait_idle()
    said = view.evaluate("view => getComputedStyle(view, '::before').content")
    assert "run the cell again" in said
    for false_now in (".bt-transport", ".bt-status"):
        expect(view.locator(false_now)).not_to_be_visible()
    view.scroll_into_view_if_needed()
    desk.screenshot("kernel-restarted")

    desk.run_cell(0)
    desk.run_cell(1)
    view = desk.page.locator(".bt-view")
    expect(view).to_have_count(1)
    goes_on(view)


def test_running_the_cell_again_leaves_one_engine(desk: Desk) -> None:
    desk.open_notebook([LOADED, SLOW, ENGINES])
    desk.run_all()
    expect(state(desk.page.locator(".bt-view"))).to_have_text("Running")
    desk.run_cell(1)
    desk.run_cell(1)

    view = desk.page.locator(".bt-view")
    expect(view).to_have_count(1)
    goes_on(view)
    desk.run_cell(2)
    said = desk.page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output pre")
    expect(said).to_have_text("1")


def test_an_interrupt_of_a_waiting_cell_pauses_the_run(desk: Desk) -> None:
    desk.open_notebook([LOADED, SLOW, "slow.wait()\nprint(slow.state)"])
    desk.run_cell(0)
    desk.run_cell(1)
    view = desk.page.locator(".bt-view")
    desk.run_cell(2, wait=False)
    expect(desk.page.locator(".jp-CodeCell").nth(2).locator(".jp-InputPrompt")).to_have_text("[*]:")
    expect(state(view)).to_have_text("Running")

    desk.choose("Kernel", "kernelmenu:interrupt")

    expect(state(view)).to_have_text("Paused")
    said = desk.page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output pre")
    expect(said).to_have_text("paused")
    view.locator(".bt-pause").click()
    expect(state(view)).to_have_text("Running")


def test_two_views_of_one_run_follow_each_other(desk: Desk) -> None:
    desk.open_notebook([LOADED, SLOW, "slow.view()", "slow.view()"])
    desk.run_all()
    views = desk.page.locator(".bt-view")
    expect(views).to_have_count(3)
    for view in views.all():
        expect(state(view)).to_have_text("Running")

    views.nth(1).locator(".bt-pause").click()
    for view in views.all():
        expect(state(view)).to_have_text("Paused")
        expect(view.locator(".bt-status")).to_contain_text("Paused at")
    views.nth(2).locator(".bt-pause").click()
    for view in views.all():
        expect(state(view)).to_have_text("Running")
    views.nth(0).locator(".bt-stop").click()
    for view in views.all():
        expect(state(view)).to_have_text("Stopped")


def test_a_saved_notebook_shows_the_run_without_its_kernel(lab: Lab) -> None:
    lab.open_notebook([LOADED, QUICK, "quick.wait();"])
    lab.run_all()
    view = lab.page.locator(".bt-view")
    expect(state(view)).to_have_text("Finished")
    still = lab.page.locator(".bt-still")
    expect(still).to_be_attached()
    expect(still).not_to_be_visible()  # the view is there
    lab.save()

    saved = json.loads(lab.file.read_text("utf-8"))
    shown = [output["data"] for output in saved["cells"][1]["outputs"]]
    assert ["text/html"] in [list(data) for data in shown]
    # as on another machine: no kernel has its widgets, and nobody has trusted it
    lab.server.end_kernel(lab.name)
    for cell in saved["cells"]:
        cell["metadata"].pop("trusted", None)
    other = lab.file.with_name(f"other-{lab.name}")
    other.write_text(json.dumps(saved), "utf-8")
    lab.name = other.name
    lab.visit()
    lab.wait_idle()

    expect(lab.page.locator(".bt-view")).to_have_count(0)
    expect(still).to_be_visible()
    picture = still.locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.complete && img.naturalWidth") > 500
    expect(still).to_contain_text("Final equity")
    still.scroll_into_view_if_needed()
    lab.screenshot("saved-notebook")
