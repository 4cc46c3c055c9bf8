"""What looking back costs, from the middle of a year of minutes: no browser, one run in memory.

    python benchmarks/rewind.py                      a year, made in a temporary file (a minute)
    python benchmarks/rewind.py --keep year.sqlite   made once, used again
    python benchmarks/rewind.py --profile            and where one step back spends its time

The prices are those of the demo market. A run is played to the middle of the year, so all that it
reads is in memory, as it is for one who steps back. Told are the best and the median of several,
wall clock, beside the CPU seconds of the best. A scene is what the view shows of a bar: where the
run stands, what it holds with its greeks, and the chain of the nearest expiry. Cold is the first
of a bar at which nobody has looked before; warm follows a step of one bar.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bestbt import Store, Strategy, at
from bestbt.markets.demo import write_demo
from bestbt.run import Backtest

SYMBOL, START, END, MIDDLE = "NIFTY", date(2024, 1, 1), date(2024, 12, 31), "2024-07-01 12:00"


class Straddle(Strategy):
    """Two stopped legs a day: a scheduled strategy."""

    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="25%")

    @at("15:15")
    def leave(self) -> None:
        self.exit_all()


def sma(close: np.ndarray, n: int) -> np.ndarray:
    total = np.cumsum(np.insert(close, 0, 0.0))
    out = np.full(len(close), np.nan)
    out[n - 1 :] = (total[n:] - total[:-n]) / n
    return out


class Crossover(Strategy):
    """Long of the call at the money while the index is above its average: looks at each bar."""

    def init(self) -> None:
        self.average = self.indicator(sma, "close", 600)
        self.above = False

    def on_bar(self) -> None:
        above = self.spot.price > self.average[0]
        if above != self.above:
            self.above = above
            if above:
                self.buy(self.get_atm("CE"), lots=1, sl="30%")
            else:
                self.exit_all()


class Row(NamedTuple):
    what: str
    aim: float | None  # ms
    wall: list[float]
    cpu: list[float]


def timed(what: str, aim: float | None, times: int, work: Callable[[], object]) -> Row:
    row = Row(what, aim, [], [])
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        row.wall.append(1e3 * (time.perf_counter() - wall))
        row.cpu.append(1e3 * (time.process_time() - cpu))
    return row


def look(run: Backtest) -> None:
    """Read what the view reads at each update."""
    run._run.seen()


def measured(store: Store, strategy: type[Strategy], aim: float, times: int) -> list[Row]:
    name = strategy.__name__
    bt = Backtest(strategy, store, SYMBOL, start=START, end=END)
    began = time.perf_counter()
    bt.run_to(MIDDLE)
    print(
        f"{name}: {bt.simulation.bar + 1:,} bars played in {time.perf_counter() - began:.1f} s "
        f"with loading; {len(bt.simulation.result.fills)} fills"
    )
    cold = timed(f"{name}: scene and chain, cold", None, 1, lambda: look(bt))
    rows = [cold, timed(f"{name}: back(1)", aim, times, bt.back)]
    rows.append(timed(f"{name}: why()", None, times, bt.why))
    rows.append(timed(f"{name}: scene and chain, after a step back", None, 1, lambda: look(bt)))
    warm, scene = Row(f"{name}: scene and chain, warm", None, [], []), Row("", None, [], [])
    for _ in range(20):
        bt.step()
        for row, read in ((scene, bt._run.scene), (warm, bt._run.chain_scene)):
            once = timed("", None, 1, read)
            row.wall.extend(once.wall)
            row.cpu.extend(once.cpu)
    for part in ("wall", "cpu"):
        both, first = getattr(warm, part), getattr(scene, part)
        both[:] = map(sum, zip(both, first, strict=True))
    return [*rows, warm, scene._replace(what=f"{name}: scene alone, warm")]


def profile(store: Store, strategy: type[Strategy]) -> None:
    bt = Backtest(strategy, store, SYMBOL, start=START, end=END)
    bt.run_to(MIDDLE)
    profiler = cProfile.Profile()
    profiler.runcall(bt.back)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", help="path of the file; default: a temporary one")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(given.keep or str(Path(folder) / "year.sqlite"))
        if SYMBOL not in set(store.coverage()["symbol"]):
            print("making the year …")
            write_demo(store, SYMBOL, START, END)
        print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
        rows = []
        for strategy, aim in ((Straddle, 300.0), (Crossover, 1000.0)):
            if given.profile:
                profile(store, strategy)
            else:
                rows += measured(store, strategy, aim, given.times)
        store.close()
    print(f"{'':45} {'best':>9} {'median':>9} {'CPU':>9}  aim, ms")
    for row in rows:
        best, middle, cpu = min(row.wall), statistics.median(row.wall), min(row.cpu)
        aimed = "" if row.aim is None else f"{row.aim:6.0f}"
        print(f"{row.what:45} {best:9.1f} {middle:9.1f} {cpu:9.1f}  {aimed}")
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
