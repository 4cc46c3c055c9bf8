"""What the view of a run costs, and how soon it answers, in a real browser.

    python benchmarks/view.py                     a minute of streaming
    python benchmarks/view.py --minutes 10        ten of them, for its memory
    python benchmarks/view.py --keep demo.sqlite  the demo market made once, used again
    python benchmarks/view.py -k slowdown         one of: picture, pause, slowdown, unpainted,
                                                  paced, stream

JupyterLab is driven as its user would. Strategies are `on_bar` ones that sell two stopped legs a
day and count in a loop, so that a run of the demo quarter lasts as long as is wanted. Times of
clicks and of what is seen are taken in the page, by observers of its document; times of the engine
in the kernel: both read the clock of one machine. `unpainted` has no browser: what answers the
view paints nothing, so that what is left is what the view itself costs the engine.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bestbt import Store  # noqa: E402
from bestbt.markets.demo import write_demo  # noqa: E402
from tests.browser.driver import Lab, Server  # noqa: E402
from tests.face.kernel import FrontEnd  # noqa: E402

LOOPS = """\
%load_ext bestbt
import json, os, pathlib, threading, time
from time import process_time, thread_time

def loops_for(seconds):
    "Loops that take so long, of CPU time."
    loops = 100_000
    best = 1e9
    for _ in range(5):
        began = thread_time()
        for i in range(loops): pass
        best = min(best, thread_time() - began)
    return max(int(seconds / best * loops), 1)

def tell(name, what):
    pathlib.Path("told.tmp").write_text(json.dumps(what))
    pathlib.Path("told.tmp").rename(name + ".json")

def when_over(name, run):
    "Tell what the run took, and how its view was painted."
    def wait():
        run.done.wait()
        busy = run.bt.simulation.strategy
        tell(name, {
            "seconds": run._player.seconds,
            "engine": busy.spent,
            "others": process_time() - busy.process - busy.spent,
            "sent": watched.get("sent", []), "ack": watched.get("ack", []),
        })
    threading.Thread(target=wait, daemon=True).start()

watched = {}

def watch(run):
    "Note when updates are sent and when they are painted."
    watched.update(sent=[], ack=[])
    pacer = next(iter(run._views))._pacer
    pacer.observe(lambda c: watched["sent"].append((c["new"], time.time())), "seq")
    pacer.observe(lambda c: watched["ack"].append((c["new"], time.time())), "ack")

def stands(run):
    "Note when the engine comes to stand."
    def wait():
        while not run.done.is_set():
            run._player._idle.wait()
            watched.setdefault("stood", []).append(time.time())
            tell("stood", watched["stood"])
            while run._player.standing and not run.done.is_set():
                time.sleep(0.01)
    threading.Thread(target=wait, daemon=True).start()

loops = 0
tell("pid", os.getpid())"""

CELL = """\
%%backtest NIFTY {options} --as {name}
class Busy(Strategy):
    began = spent = process = 0.0

    def on_bar(self):
        if not self.began:
            self.began, self.process = thread_time(), process_time()
        for i in range(loops):
            pass
        self.spent = thread_time() - self.began

    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="25%")

    @at("15:15")
    def leave(self):
        self.exit_all()"""

BARS = 60 * 375  # of the demo quarter, about

SEEN = """() => {
  // performance's clock, as Unix time: that of the kernel
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  window.seen = {click: [], state: [], key: 0, picture: 0};
  addEventListener("keydown", e => { if (e.key === "Enter" && e.shiftKey) {
    window.seen.key = now(); window.seen.picture = 0;
    const views = document.querySelectorAll(".bt-view").length;
    const look = () => {
      const all = document.querySelectorAll(".bt-view");
      const paths = all.length > views
        ? [...all[all.length - 1].querySelectorAll(".bqplot path.line")] : [];
      if (paths.some(p => p.getBoundingClientRect().width > 300)) {
        requestAnimationFrame(() => setTimeout(() => { window.seen.picture = now(); }, 0));
      } else requestAnimationFrame(look);
    };
    look();
  }}, true);
  addEventListener("click", e => {
    if (e.target.closest(".bt-pause")) window.seen.click.push(now());
  }, true);
  let was = "";
  new MutationObserver(() => {
    const is = document.querySelector(".bt-view .bt-state")?.textContent ?? "";
    if (is !== was) { was = is; window.seen.state.push([is, now()]); }
  }).observe(document, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture(scope="session", autouse=True)
def demo(server: Server, pytestconfig: pytest.Config) -> str:
    """Return what a cell says to read the demo market."""
    kept = pytestconfig.getoption("--keep")
    path = Path(kept).resolve() if kept else server.store  # which holds it
    if not path.exists():
        store = Store.open(path)
        write_demo(store)
        store.close()
    return f"--store {path}"


def cell(name: str, options: str) -> str:
    return CELL.format(name=name, options=options)


def run_cell(lab: Lab, number: int) -> None:
    """Run a cell as its user does: a click into it, and Shift+Enter."""
    lab.page.locator(".jp-CodeCell .cm-content").nth(number).click(position={"x": 5, "y": 5})
    lab.page.keyboard.press("Shift+Enter")


def told(folder: Path, name: str) -> Any:
    """Wait for a file of the kernel; to ask the page would keep it from drawing."""
    path = folder / f"{name}.json"
    while not path.exists():
        time.sleep(0.2)
    found = json.loads(path.read_text())
    path.unlink()
    return found


def resident(pid: int) -> float:
    """MB of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def processor(pid: int) -> float:
    """CPU seconds of a process."""
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


def renderer(lab: Lab) -> float:
    """CPU seconds of the processes that draw pages."""
    browser = lab.page.context.browser
    assert browser is not None
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return float(sum(p["cpuTime"] for p in found if p["type"] == "renderer"))


def say(what: str, aim: str = "", **values: float) -> None:
    each = ", ".join(f"{name.replace('_', ' ')} {value:,.6g}" for name, value in values.items())
    load = os.getloadavg()[0]
    print(f"\n{what}: {each}{f' (aim {aim})' if aim else ''} [load {load:.1f}]", flush=True)


def ms(seconds: float) -> float:
    return round(1e3 * seconds, 1)


def test_picture(lab: Lab, demo: str) -> None:
    names = ("cold", "one", "two", "three", "four", "five")
    lab.open_notebook([LOOPS, *(cell(name, demo) for name in names)])
    lab.page.evaluate(SEEN)
    run_cell(lab, 0)
    pid = told(lab.server.root, "pid")
    lab.wait_idle()
    found, kernel, page = [], [], []
    for number, _ in enumerate(names, 1):
        before = processor(pid), renderer(lab)
        run_cell(lab, number)
        lab.page.wait_for_function("window.seen.picture > 0", timeout=60_000)
        kernel.append(processor(pid) - before[0])
        page.append(renderer(lab) - before[1])
        seen = lab.page.evaluate("window.seen")
        found.append(seen["picture"] - seen["key"])
        view = lab.page.locator(".bt-view").last
        expect(view.locator(".bt-state")).to_have_text("Finished", timeout=60_000)
        lab.wait_idle()
    say("cell to first picture, ms, fresh kernel", first=ms(found[0]))
    middle = statistics.median
    say(
        "the same, warm kernel",
        "1500",
        median=ms(middle(found[1:])),
        least=ms(min(found[1:])),
        kernel_CPU=ms(middle(kernel[1:])),
        page_CPU=ms(middle(page[1:])),
    )


def test_pause(lab: Lab, demo: str) -> None:
    lab.open_notebook(
        [LOOPS, f"loops = loops_for({60 / BARS})", cell("busy", demo), "stands(busy)"]
    )
    lab.page.evaluate(SEEN)
    lab.run_all()
    view = lab.page.locator(".bt-view")
    state = view.locator(".bt-state")
    stood, paused = [], []
    for _ in range(10):
        expect(state).to_have_text("Running")
        lab.page.wait_for_timeout(700)
        view.locator(".bt-pause").click()
        expect(state).to_have_text("Paused")
        seen = lab.page.evaluate("window.seen")
        clicked = seen["click"][-1]
        stood.append(told(lab.server.root, "stood")[-1] - clicked)
        paused.append(next(at for is_, at in seen["state"] if at > clicked) - clicked)
        view.locator(".bt-pause").click()
    view.locator(".bt-stop").click()
    say(
        "click to engine standing, ms",
        "50",
        median=ms(statistics.median(stood)),
        most=ms(max(stood)),
    )
    say("click to Paused seen, ms", "", median=ms(statistics.median(paused)), most=ms(max(paused)))


def test_slowdown(lab: Lab, demo: str) -> None:
    cells = list(_in_turn(demo))
    lab.open_notebook([code for code, _ in cells])
    of: dict[str, list[dict[str, Any]]] = {"bare": [], "seen": []}
    for number, (_, name) in enumerate(cells):
        run_cell(lab, number)
        if name:
            of[name[:4]].append(told(lab.server.root, name))
            lab.page.wait_for_timeout(2000)
    _say_slowdown(of)


def test_unpainted(demo: str, tmp_path: Path) -> None:
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        front = Unpainted(client)
        of: dict[str, list[dict[str, Any]]] = {"bare": [], "seen": []}
        for code, name in _in_turn(demo):
            assert front.run(code).status == "ok"
            if name:
                front.listen(lambda name=name: (tmp_path / f"{name}.json").exists())
                of[name[:4]].append(told(tmp_path, name))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    _say_slowdown(of)


class Unpainted(FrontEnd):
    """It answers the view as a page does, 50 ms after an update, and shows nothing."""

    def listen(self, seen: Callable[[], bool]) -> None:
        """Answer until something has been seen."""
        while not seen():
            try:
                self._read(self.client.get_iopub_msg(timeout=0.2))
            except Empty:
                continue

    def _read(self, message: dict[str, Any]) -> None:
        super()._read(message)
        content = message["content"]
        if message["msg_type"] == "comm_open" and "ack" in content["data"].get("state", {}):
            self._send(content["comm_id"], {"method": "custom", "content": {"listens": True}})
        if message["msg_type"] != "comm_msg":
            return
        data = content["data"]
        updates = data.get("content", {}).get("updates", [])
        for state in [data.get("state", {}), *(one["state"] for _, one, _ in updates)]:
            if "seq" in state and state["seq"] % 2 == 0:
                time.sleep(0.05)
                answer = {"method": "update", "state": {"ack": state["seq"]}, "buffer_paths": []}
                self._send(content["comm_id"], answer)

    def _send(self, comm: str, data: dict[str, Any]) -> None:
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)


def _in_turn(demo: str, seconds: int = 8, pairs: int = 10) -> Iterator[tuple[str, str]]:
    """Cells of runs without a view and with one, and what is told when each is over."""
    yield LOOPS, ""
    yield f"loops = loops_for({seconds / BARS})", ""
    for number in range(2 * pairs + 1):
        name, more = (f"seen{number}", "") if number % 2 else (f"bare{number}", " --no-view")
        begin = f"watch({name})" if not more else "watched.clear()"
        yield cell(name, demo + more), ""
        yield f"when_over('{name}', {name})\n{begin}", name


def _say_slowdown(of: dict[str, list[dict[str, Any]]]) -> None:
    """Hold each run with a view against those before and after it: a machine's speed drifts."""
    bare, seen = of["bare"], of["seen"]
    for what in ("seconds", "engine"):
        around = [(a[what] + b[what]) / 2 for a, b in pairwise(bare)]
        more = [100 * (one[what] / by - 1) for one, by in zip(seen, around, strict=True)]
        low, middle, high = statistics.quantiles(more, n=4)
        say(f"slowdown, {what}, percent", "10", median=middle, quarter=low, three_quarters=high)
    updates = statistics.median(len(run["sent"]) / run["seconds"] for run in seen)
    others = statistics.median(run["others"] for run in seen)
    others -= statistics.median(run["others"] for run in bare)
    engine = statistics.median(run["engine"] for run in seen)
    say("updates a second", "", rate=updates)
    say("CPU of the view, of the engine's", "", percent=100 * others / engine)


def test_paced(lab: Lab, demo: str) -> None:
    cells = [LOOPS, cell("busy", demo + " --step")]
    cells += ["watch(busy); busy.pace = 100; busy.resume()", "busy.pause(); tell('paced', watched)"]
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    lab.open_notebook(cells)
    for number in range(3):
        run_cell(lab, number)
    lab.page.locator(".bt-view").scroll_into_view_if_needed()
    lab.page.wait_for_timeout(15_000)
    run_cell(lab, 3)
    found = told(lab.server.root, "paced")
    sent, acks = dict(map(tuple, found["sent"])), dict(map(tuple, found["ack"]))
    lags = [acks[seq] - sent[seq] for seq in acks if seq in sent]
    span = max(sent.values()) - min(sent.values())
    say(
        "played at 100 bars a second, updates a second",
        "5",
        rate=round((len(sent) - 1) / span, 2),
        lag_ms=ms(statistics.median(lags)),
        most=ms(max(lags)),
    )


def test_stream(lab: Lab, demo: str, pytestconfig: pytest.Config) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    length = 60 * pytestconfig.getoption("--minutes")
    # A run before it reads all prices: what grows from then on is the view's, and the run's books.
    cells = [LOOPS, cell("before", demo + " --no-view --wait")]
    cells += [f"loops = loops_for({length / BARS})", cell("busy", demo)]
    cells.append("watch(busy); when_over('over', busy)")
    lab.open_notebook(cells)
    devtools = lab.page.context.new_cdp_session(lab.page)
    devtools.send("Performance.enable")

    def page() -> dict[str, float]:
        devtools.send("HeapProfiler.collectGarbage")
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return {m["name"]: m["value"] for m in metrics}

    lab.run_all()
    pid = told(lab.server.root, "pid")
    lab.page.locator(".bt-view").scroll_into_view_if_needed()
    time.sleep(min(10.0, length / 4))
    kernel, before = resident(pid), page()
    found = told(lab.server.root, "over")
    after = page()
    sent, acks = dict(map(tuple, found["sent"])), dict(map(tuple, found["ack"]))
    lags = sorted(acks[seq] - sent[seq] for seq in acks if seq in sent)
    span = max(acks.values()) - min(acks.values())
    painted = max(acks) - min(acks)  # every other one is answered
    say("updates painted a second", "5", rate=round(painted / span, 2), of=len(sent))
    say(
        "from send to paint, ms",
        median=ms(statistics.median(lags)),
        ninety_five_percent=ms(lags[int(0.95 * len(lags))]),
        most=ms(lags[-1]),
    )
    say("kernel in memory, MB", start=kernel, end=resident(pid), minutes=found["seconds"] / 60)
    heap = [m["JSHeapUsedSize"] / 1e6 for m in (before, after)]
    nodes = [m["Nodes"] for m in (before, after)]
    say("page's heap, MB", start=heap[0], end=heap[1])
    say("page's nodes", start=nodes[0], end=nodes[1])
    busy = after["TaskDuration"] - before["TaskDuration"]
    say("page's main thread busy, share", share=busy / (after["Timestamp"] - before["Timestamp"]))


class Options:
    """The command line's, beside those of pytest."""

    @staticmethod
    def pytest_addoption(parser: pytest.Parser) -> None:
        parser.addoption("--minutes", type=float, default=1.0, help="how long it streams")
        parser.addoption("--keep", help="path of the demo market; default: a temporary one")


if __name__ == "__main__":
    words = ["-q", "-s", "-p", "no:cacheprovider"]
    words += ["-p", "tests.conftest", "-p", "tests.browser.conftest"]
    words += ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *sys.argv[1:], __file__]
    sys.exit(pytest.main(words, [Options()]))
