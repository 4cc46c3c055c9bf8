"""How fast the option chain is painted: 60 strikes, the whole table, in a real browser.

    python -m pytest -q -s -p tests.browser.conftest benchmarks/chain_view.py

A run in memory is stepped, read and shown; the next update goes out when the browser has painted
the last. Printed are updates painted per second, the time from a step to its paint, and what an
update costs: CPU of the kernel to read the chain and to send it, and time of the page's main thread
to draw it.
"""

from __future__ import annotations

import json
import time

from playwright.sync_api import expect

from tests.browser.driver import Lab

CELL = """\
import json, pathlib, threading, time
import ipywidgets as widgets
import numpy as np
from bestbt.engine.pricing import black76
from bestbt.engine.strategy import Strategy
from bestbt.testing import MemoryFeed, simulate
from bestbt.widgets.chain_scene import read_chain
from bestbt.widgets.chain_table import ChainTable
from bestbt.widgets.pacer import Pacer

UPDATES, WARM = 100, 20
rng = np.random.default_rng(7)
bars = UPDATES + WARM + 1
spot = np.round(23_000 * np.exp(np.cumsum(rng.normal(0, 2e-4, bars))), 2)
feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=bars)
feed.add_index(spot)
for strike in range(21_500, 24_500, 50):
    for right in ("CE", "PE"):
        price = np.maximum(np.round(black76(spot, strike, 4 / 365, 0.13, right) * 20) / 20, 0.05)
        volume, oi = rng.integers(1, 999, bars) * 75, np.cumsum(rng.integers(0, 999, bars)) * 75
        feed.add_option("2024-01-04", strike, right, price, lot=75, volume=volume, oi=oi)
run = simulate(Strategy, feed, run=False)

table, pacer = ChainTable(around=None), Pacer()
painted = threading.Event()
pacer.observe(lambda change: painted.set(), "ack")

def play():
    read, send, lag = [], [], []
    for number in range(1, UPDATES + WARM + 1):
        if number == WARM + 1:
            began = time.perf_counter()
        run.step()
        before, cpu = time.perf_counter(), time.thread_time()
        scene = read_chain(run.strategy)
        read.append(time.thread_time() - cpu)
        cpu = time.thread_time()
        table.show(scene)
        painted.clear()
        pacer.seq = 2 * number  # the page answers every other one
        send.append(time.thread_time() - cpu)
        if not painted.wait(5):
            raise RuntimeError("the browser does not answer")
        lag.append(time.perf_counter() - before)
    seconds = time.perf_counter() - began
    ms = lambda times: round(1e3 * float(np.median(times[WARM:])), 2)
    told = json.dumps({
        "painted per second": round(UPDATES / seconds, 1),
        "step to paint, ms": ms(lag),
        "the slowest tenth, ms": round(1e3 * float(np.quantile(lag[WARM:], 0.9)), 2),
        "kernel reads, CPU ms": ms(read),
        "kernel sends, CPU ms": ms(send),
    })
    pathlib.Path("told.tmp").write_text(told)
    pathlib.Path("told.tmp").rename("told.json")

widgets.VBox([table, pacer])
"""
START = "time.sleep(1); threading.Thread(target=play).start()"
UPDATES = 120


def test_how_fast_the_chain_is_painted(lab: Lab) -> None:
    lab.page.set_viewport_size({"width": 1800, "height": 1000})
    lab.open_notebook([CELL, START])
    devtools = lab.page.context.new_cdp_session(lab.page)
    devtools.send("Performance.enable")

    def busy() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

    lab.start_all()
    expect(lab.page.locator(".bt-chain tbody tr")).to_have_count(60, timeout=60_000)
    before = busy()
    told = lab.server.root / "told.json"
    while not told.exists():  # to ask the page would keep it from drawing
        time.sleep(0.5)
    found = json.loads(told.read_text())
    found["page works, ms"] = round(1e3 * (busy() - before) / UPDATES, 2)
    print()
    for what, value in found.items():
        print(f"{what:24} {value:10,}")
