"""The option chain on the screen: what it shows is what the run says, and clicks reach Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Locator, expect

from bestbt import Backtest, Store, Strategy, at
from bestbt.markets.demo import write_demo
from tests.browser.driver import Lab, Server

PAUSED = """\
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
chosen, picks = None, []

def look():
    scene = read_chain(bt.simulation.strategy, chosen)
    table.show(scene)
    charts.show(scene)

def choose(day):
    global chosen
    chosen = day
    look()
"""

SHOW = """\
table, charts = ChainTable(picks.append, choose, around={around}), ChainCharts()
look()
table.layout.width = "{width}"
table
"""


@pytest.fixture(scope="module", autouse=True)
def demo(server: Server) -> None:
    store = Store.open(server.store)
    write_demo(store)
    store.close()


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


def theme(server: Server, name: str) -> None:
    folder = server.root.parent / "settings" / "@jupyterlab" / "apputils-extension"
    told = json.dumps({"theme": f"JupyterLab {name}"})
    (folder / "themes.jupyterlab-settings").write_text(told)


@pytest.mark.parametrize("name", ["Light", "Dark"])
def test_shots(lab: Lab, server: Server, name: str) -> None:
    theme(server, name)
    lab.open_notebook(
        [PAUSED, SHOW.format(around=7, width="456px"), SHOW.format(around=None, width="100%"), "charts"]
    )
    lab.run_all()
    lab.page.wait_for_timeout(1000)
    lab.page.locator(".bt-compact").screenshot(path=f"/tmp/shots/chain/compact-{name}.png")
    lab.page.locator(".bt-full").screenshot(path=f"/tmp/shots/chain/full-{name}.png")
    lab.page.locator(".bt-chain-more").click()
    lab.page.locator(".bt-full").screenshot(path=f"/tmp/shots/chain/greeks-{name}.png")
    lab.page.locator(".bt-chain-charts").screenshot(path=f"/tmp/shots/chain/charts-{name}.png")
