"""The tools the other browser tests stand on: JupyterLab opens, runs cells, draws widgets."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.driver import Desk, Lab


def test_a_cell_runs_and_shows_its_value(lab: Lab) -> None:
    lab.open_notebook(["1 + 1"])
    expect(lab.page.locator(".jp-OutputArea-output")).to_have_count(0)
    lab.run_all()
    expect(lab.page.locator(".jp-OutputArea-output")).to_have_text("2")
    lab.screenshot("lab-cell")


def test_a_chart_is_drawn(desk: Desk) -> None:
    desk.open_notebook(
        [
            "import numpy as np\n"
            "from bqplot import pyplot as plt\n"
            "plt.plot(np.arange(50.0), np.arange(50.0) ** 2)\n"
            "plt.show()"
        ]
    )
    desk.run_all()
    line = desk.page.locator(".bqplot path.line").first
    expect(line).to_be_visible()
    desk.page.wait_for_function(  # it is drawn small first
        "line => (b => b.width > 100 && b.height > 100)(line.getBoundingClientRect())",
        arg=line.element_handle(),
    )
    desk.screenshot("lab-chart")
