"""`%%backtest` in a real kernel: the cell returns at once, and the engine obeys while it is busy.

Latencies are measured and told (`pytest -rP`), not judged: a slow machine fails no test.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from tests.conftest import ROOT
from tests.face.kernel import LONG, FrontEnd
from tests.face.strategies import STRADDLE, cell

pytestmark = pytest.mark.kernel

BUSY = """
class Busy(Strategy):
    "Works two milliseconds a bar."

    def on_bar(self):
        for _ in range(turns):
            pass
"""

HANGING = """
class Hanging(Strategy):
    def on_bar(self):
        while True:  # bestbt: ok
            pass
"""

STUBBORN = """
class Stubborn(Strategy):
    def on_bar(self):
        while True:  # bestbt: ok
            try:
                while True:  # bestbt: ok
                    pass
            except Exception:
                pass
"""

PREPARE = """
%load_ext bestbt
import threading, time

def two_milliseconds():
    "Turns of an empty loop that take them here, at best of several tries."
    def once(n=100_000):
        began = time.perf_counter()
        for _ in range(n):
            pass
        return (time.perf_counter() - began) / n
    return int(0.002 / min(once() for _ in range(7)))

turns = two_milliseconds()

def watch(run):
    "Note when the engine has come to stand."
    def go():
        run._player._idle.wait()
        stood.append(time.time())
        seen.set()
    seen.clear()
    threading.Thread(target=go, daemon=True).start()

stood, seen = [], threading.Event()
"""


@pytest.fixture(scope="module")
def page(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    folder = tmp_path_factory.mktemp("kernel")
    given = {
        **os.environ,
        "BESTBT_STORE": str(demo),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    manager = KernelManager(connection_file=str(folder / "kernel.json"))
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv[0] = sys.executable  # this Python, whatever is installed beside it
    manager.start_kernel(env=given, cwd=str(folder))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=LONG)
        front = FrontEnd(client)
        prepared = front.run(PREPARE)
        assert prepared.status == "ok", prepared.text
        yield front
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture(autouse=True)
def ended(page: FrontEnd) -> Iterator[None]:
    """End the run of a test, whatever came of it."""
    yield
    assert page.ask("'run' not in globals() or (run.stop(), run.done.wait(30))[1]")


@pytest.fixture
def latency(
    page: FrontEnd, record_property: Callable[[str, object], None]
) -> Callable[[str, list[float]], None]:
    """Tell measured latencies in the test's output."""

    def tell(name: str, seconds: list[float]) -> None:
        median, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
        record_property(name, f"median {median:.0f} ms, worst {worst:.0f} ms of {len(seconds)}")
        print(f"{name}: median {median:.0f} ms, worst {worst:.0f} ms of {len(seconds)} tries")

    return tell


def still(page: FrontEnd) -> int:
    """Say at which bar the run stands, having read it twice."""
    first, second = page.ask("run.bt.simulation.bar"), page.ask("run.bt.simulation.bar")
    assert first == second
    return int(first)


def test_the_cell_returns_while_the_run_goes_on(page: FrontEnd) -> None:
    reply = page.run("%%backtest NIFTY --no-view" + BUSY, "run.state", "run.progress.bars")
    assert reply.status == "ok", reply.text
    assert reply.values == {"run.state": "running", "run.progress.bars": 5 * 375}


def test_text_is_the_same_in_two_executions(page: FrontEnd) -> None:
    first, second = page.run(cell()), page.run(cell())
    assert first.status == "ok", first.text
    assert (first.text, first.shown) == (second.text, second.shown)
    assert "ShortStraddle · NIFTY · 2024-01-01 … 2024-01-05" in first.text


def test_pause_from_another_cell(page: FrontEnd, latency: Callable[..., None]) -> None:
    page.run("%%backtest NIFTY --no-view" + BUSY)
    took = []
    for _ in range(10):
        page.run("watch(run); asked = time.time(); run.pause(); met = seen.wait(30)")
        assert page.ask("(met, run.state)") == (True, "paused")
        took.append(page.ask("stood[-1] - asked"))
        before = still(page)
        page.run("run.resume()")
        assert page.ask("run.state") == "running"
    page.run("run.pause(); run.wait()")
    assert still(page) > before
    latency("run.pause() in a cell until the engine stands", took)


def test_the_pause_button(page: FrontEnd, latency: Callable[..., None]) -> None:
    page.run("%%backtest NIFTY" + BUSY)
    button = page.button("bt-pause")
    took = []
    for _ in range(10):
        page.run("watch(run)")
        clicked = page.click(button)
        assert page.ask("(seen.wait(30), run.state)") == (True, "paused")
        took.append(page.ask("stood[-1]") - clicked)
        still(page)
        page.until(lambda: page.widgets[button]["icon"] == "play")
        page.click(button)
        page.until(lambda: page.widgets[button]["icon"] == "pause")
        assert page.ask("run.state") == "running"
    latency("click on Pause until the engine stands", took)


def test_the_stop_button(page: FrontEnd) -> None:
    page.run("%%backtest NIFTY" + BUSY)
    button = page.button("bt-stop")
    page.click(button)
    assert page.ask("(run.done.wait(30), run.state)") == (True, "stopped")
    page.until(lambda: page.widgets[button]["disabled"])


@pytest.mark.parametrize("body", [HANGING, STUBBORN], ids=["hanging", "stubborn"])
def test_the_stop_button_ends_a_hook_that_does_not_return(
    page: FrontEnd, body: str, latency: Callable[..., None]
) -> None:
    reply = page.run("%%backtest NIFTY" + body)
    assert reply.status == "ok", reply.text
    page.run("watch(run)")
    clicked = page.click(page.button("bt-stop"))
    assert page.ask("(run.done.wait(30), run.state)") == (True, "stopped")
    latency("click on Stop until a hanging hook is ended", [page.ask("stood[-1]") - clicked])
    assert page.ask("[t.name for t in threading.enumerate() if t.name == 'bt-engine']") == []


def test_an_interrupt_while_waiting_pauses(page: FrontEnd) -> None:
    page.run("%%backtest NIFTY --no-view" + BUSY)
    reply = page.run(
        """
import os, signal, sys
from bestbt.player import Player

def interrupt():
    "As soon as the cell waits: press the kernel's stop button."
    main = threading.main_thread().ident
    while True:
        frame = sys._current_frames()[main].f_back  # what called what runs now
        while frame is not None and frame.f_code is not Player.wait.__code__:
            frame = frame.f_back
        if frame is not None:
            return os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
run.wait()
print(run.state)
"""
    )
    assert (reply.status, reply.text) == ("ok", "paused\n")
    still(page)


def test_the_view_has_a_stable_text(page: FrontEnd) -> None:
    texts = []
    for _ in range(2):
        reply = page.run("%%backtest NIFTY --wait\n" + STRADDLE)
        assert reply.status == "ok", reply.text
        assert reply.text == ""
        data, still = reply.shown
        assert still == {}  # filled later, and nbval does not see that
        assert "application/vnd.jupyter.widget-view+json" in data
        texts.append(data["text/plain"])
    assert texts == ["<RunView ShortStraddle NIFTY>"] * 2


def test_a_finished_view_has_its_buttons_off(page: FrontEnd) -> None:
    page.run("%%backtest NIFTY --wait\n" + STRADDLE)
    buttons = [page.button("bt-pause"), page.button("bt-stop")]
    page.until(lambda: all(page.widgets[b].get("disabled") for b in buttons))


SHOWN = "%%backtest NIFTY --wait\n" + STRADDLE
LET_GO = """
import gc, weakref
class Gone:
    "Whether a run is still held."
    def __init__(self, run): self.run = weakref.ref(run)
    def __bool__(self): return gc.collect() >= 0 and self.run() is None
"""


def views(page: FrontEnd) -> list[bool]:
    """Whether the views of the runs so far are still there, oldest first."""
    shown = [state for state in page.widgets.values() if "bt-view" in state.get("_dom_classes", ())]
    return [not state.get("closed", False) for state in shown]


def test_running_a_cell_again_lets_go_of_the_run_it_showed(page: FrontEnd) -> None:
    before = len(views(page))
    page.run(LET_GO)
    page.run(SHOWN, cell="here")
    page.run("old = Gone(run)")
    assert page.ask("bool(old)") is False
    page.run(SHOWN, cell="here")
    page.until(lambda: views(page)[before:] == [False, True])
    assert page.ask("bool(old)") is True


def test_running_a_cell_leaves_the_view_of_another(page: FrontEnd) -> None:
    before = len(views(page))
    page.run(LET_GO)
    page.run(SHOWN, cell="one")
    page.run("old = Gone(run)")
    page.run(SHOWN, cell="two")
    page.run(cell(), cell="three")  # the same variable, and no view
    assert page.ask("bool(old)") is False
    assert views(page)[before:] == [True, True]
    page.run(cell(), cell="one")
    page.until(lambda: views(page)[before:] == [False, True])
    assert page.ask("bool(old)") is True


def test_without_ids_of_cells_the_variable_tells_views_apart(page: FrontEnd) -> None:
    before = len(views(page))
    page.run(SHOWN.replace("--wait", "--wait --as first"))
    page.run(SHOWN)
    assert views(page)[before:] == [True, True]
    page.run(SHOWN)
    page.until(lambda: views(page)[before:] == [True, False, True])


def test_a_view_comes_alive_again_when_its_run_is_rewound(page: FrontEnd) -> None:
    page.run(SHOWN)
    button = page.button("bt-pause")
    page.until(lambda: page.widgets[button].get("disabled"))
    reply = page.run("run.bt.back(400)")
    assert reply.status == "ok", reply.text
    page.until(lambda: page.widgets[button]["icon"] == "play")
    page.until(lambda: not page.widgets[button]["disabled"])
    page.click(button)
    assert page.ask("(run.wait(30).state, run.done.wait(30))") == ("finished", True)
    page.until(lambda: page.widgets[button]["disabled"])


def test_a_mistake_is_told_by_the_line_of_the_cell(page: FrontEnd) -> None:
    code = cell(body=STRADDLE.replace("lots=1", "lots=0"))
    reply = page.run(code)
    assert reply.status == "error"
    line = next(n for n, text in enumerate(code.splitlines(), 1) if "lots=0" in text)
    assert reply.text.splitlines()[1].startswith(f"  line {line}: self.sell(")
    assert len(reply.text.splitlines()) == 2


def test_a_bug_reads_the_lines_of_the_cell(page: FrontEnd) -> None:
    code = cell(body=STRADDLE.replace("self.exit_all()", "1 / 0"))
    reply = page.run(code)
    line = next(n for n, text in enumerate(code.splitlines(), 1) if "1 / 0" in text)
    assert "Cell In[" in reply.text
    assert f"> {line}" in reply.text
    assert "site-packages" not in reply.text
    assert "bestbt/" not in reply.text


INTERRUPT = """
import os, signal, sys, threading, time
from bestbt.store.writer import Importing

def interrupt():
    "As soon as the cell writes its third contract: press the kernel's stop button."
    main, seen, calls = threading.main_thread().ident, None, 0
    while calls < 3:
        frame = sys._current_frames()[main]
        while frame is not None and frame.f_code is not Importing.write.__code__:
            frame = frame.f_back
        if frame is not None and frame is not seen:
            seen, calls = frame, calls + 1
    pressed.append(time.time())
    os.kill(os.getpid(), signal.SIGINT)

pressed = []
threading.Thread(target=interrupt, daemon=True).start()
"""


def bars(page: FrontEnd) -> list[str]:
    """What the bars of this page have said beside themselves."""
    return [v for w in page.widgets.values() if isinstance(v := w.get("value"), str)]


def test_an_interrupt_ends_a_demo_and_says_what_is_kept(
    page: FrontEnd, latency: Callable[..., None]
) -> None:
    page.run(INTERRUPT)
    reply = page.run("%bestbt demo BANKNIFTY")
    assert reply.status == "error"
    assert reply.text == ("Interrupted: nothing of the synthetic market is stored; make it again.")
    latency("stop button until a demo has ended", [page.ask("time.time() - pressed[-1]")])
    assert page.ask("'BANKNIFTY' in str(__import__('bestbt').Store.open().coverage())") is False


def test_an_interrupt_ends_an_import_and_says_what_is_kept(
    page: FrontEnd, latency: Callable[..., None]
) -> None:
    page.run("import bestbt; bestbt.Store.open().export('NIFTY', 'nifty.parquet', progress=False)")
    page.run("%bestbt store imported.sqlite")
    page.run(INTERRUPT)
    reply = page.run("%bestbt import nifty.parquet")
    page.run("ended = time.time()")
    assert (reply.status, reply.text) == (
        "error",
        "Interrupted: nothing of nifty.parquet is stored; import it again.",
    )
    latency("stop button until an import has ended", [page.ask("ended - pressed[-1]")])
    assert page.ask("bestbt.Store.open('imported.sqlite').is_empty") is True
    again = page.run("%bestbt import nifty.parquet")
    assert again.status == "ok", again.text
    assert any("%" in said for said in bars(page))
    rate = r"\d+/\d+.*\[\d\d:\d\d.*contracts/s"  # after the percent: done, time left and rate
    assert any(re.search(rate, said) for said in bars(page)), bars(page)[-12:]
    page.run("%bestbt store default")
