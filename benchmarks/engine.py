"""What the engine costs: CPU time of each job, and its ratio to a floor measured in the same run.

    python benchmarks/engine.py            all jobs
    python benchmarks/engine.py straddles  one of them, with --profile for where it goes

Prices are made here from a seed and are in memory. Each figure is the best of several runs, in
CPU seconds of this process; the floor is plain Python doing the least that any engine must.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from bestbt import Strategy, at
from bestbt.engine.ports import ContractSpec, Expiry, Listing
from bestbt.engine.prices import PriceColumns
from bestbt.engine.simulation import Simulation
from bestbt.testing import MemoryFeed, simulate

DAYS, MINUTES, LOT = 250, 375, 50
BARS = DAYS * MINUTES
FUTURE = ContractSpec("future", "NIFTY", date(2030, 1, 31), lot=LOT)


class YearFeed(MemoryFeed):
    """A year of minutes: an index, its future, and six options expiring each day."""

    def __init__(self) -> None:
        days = [date(2023, 1, 2)]
        while len(days) < DAYS:
            days.append(days[-1] + timedelta(days=3 if days[-1].weekday() == 4 else 1))
        super().__init__("NIFTY", days)
        rng = np.random.default_rng(7)
        path = 2_000_000 * np.exp(np.cumsum(rng.normal(0, 1e-4, 4 * BARS)))
        points = (np.rint(path / 5) * 5).astype(np.int32)
        live = np.ones(BARS, dtype=bool)
        for spec in (ContractSpec("index", "NIFTY"), FUTURE):
            self._columns[spec] = PriceColumns(0, points, live, 100)
        self._listings: dict[date, list[Listing]] = {}
        for number, day in enumerate(days):
            near = round(points[4 * MINUTES * number + 16] / 5000) * 50
            rows = []
            for strike in (near - 50, near, near + 50):
                for right in ("CE", "PE"):
                    spec = ContractSpec("option", "NIFTY", day, float(strike), right, lot=LOT)
                    walk = 25_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 4 * MINUTES)))
                    raw = np.maximum(np.rint(walk / 5) * 5, 5).astype(np.int32)
                    first = MINUTES * number
                    self._columns[spec] = PriceColumns(first, raw, live[:MINUTES], 100)
                    rows.append(Listing(spec, first))
            self._listings[day] = rows
        self._expiries = [Expiry(day, "weekly") for day in days]

    def expiries(self, symbol: str, asset: str = "option") -> list[Expiry]:
        return self._expiries

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        return self._listings[expiry]


class Nothing(Strategy):
    def on_bar(self) -> None:
        pass


def sma(close: np.ndarray, n: int) -> np.ndarray:
    total = np.cumsum(np.insert(close, 0, 0.0))
    out = np.full(len(close), np.nan)
    out[n - 1 :] = (total[n:] - total[:-n]) / n
    return out


class Crossover(Strategy):
    """Long while the price is above its moving average of 600 bars, flat below."""

    def init(self) -> None:
        self.future = self.contract(str(FUTURE))
        self.average = self.indicator(sma, "close", 600, of=self.future)
        self.held = False

    def on_bar(self) -> None:
        future = self.future
        o, h, l, c = future.open, future.high, future.low, future.price  # noqa: E741
        up = c > self.average[0]
        if up != self.held and h >= l and o > 0 and c > 0:
            self.held = up
            if up:
                self.buy(future, lots=1)
            else:
                self.exit(future)


class Straddles(Strategy):
    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="25%")

    @at("15:15")
    def leave(self) -> None:
        self.exit_all()


def floor_calls() -> None:
    """A year of calls of an empty function: the floor of any `on_bar`."""

    class Slot:
        bar = -1

    slot = Slot()

    def nothing() -> None:
        pass

    for bar in range(BARS):
        slot.bar = bar
        nothing()


def floor_crossover(feed: YearFeed) -> Callable[[], None]:
    """The crossover over precomputed averages and lists, with no engine around it."""
    columns = feed._columns[FUTURE]
    close = np.asarray(columns.close)
    average = sma(close, 600).tolist()
    views = [np.asarray(getattr(columns, n)).tolist() for n in ("open", "high", "low", "close")]

    def run() -> None:
        cash, held, fills = 0.0, False, []
        opens, highs, lows, closes = views
        for bar in range(BARS - 1):
            o, h, l, c = opens[bar], highs[bar], lows[bar], closes[bar]  # noqa: E741
            up = c > average[bar]
            if up != held and h >= l and o > 0 and c > 0:
                held = up
                cash -= (LOT if up else -LOT) * opens[bar + 1]
                fills.append((bar + 1, up, opens[bar + 1]))

    return run


def floor_straddles(feed: YearFeed) -> Callable[[], None]:
    """The straddles by hand with numpy: strike, entry, first touch of the stop, exit."""
    spot = np.asarray(feed._columns[ContractSpec("index", "NIFTY")].points)

    def run() -> None:
        cash = 0
        for number, rows in enumerate(feed._listings.values()):
            base = 4 * MINUTES * number
            at_money = spot[base + 19]
            for right in ("CE", "PE"):
                legs = [r for r in rows if r.spec.right == right]
                leg = min(legs, key=lambda r: abs(r.spec.strike * 100 - at_money))
                points = feed._columns[leg.spec].points
                entry = int(points[20])
                path = points[20:1440]
                hits = path >= entry * 1.25
                k = int(hits.argmax())
                out = entry * 1.25 if hits[k] else int(points[1440])
                cash += LOT * (entry - out)

    return run


class Job(NamedTuple):
    name: str
    engine: Callable[[], Callable[[], Simulation]]
    floor: Callable[[], None]
    bars: int | None  # None: milliseconds of the whole; else microseconds a bar
    limit: float


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def best(prepare: Callable[[], Callable[[], object]], times: int) -> float:
    return min(cpu(prepare()) for _ in range(times))


def import_seconds(module: str) -> float:
    """CPU seconds of importing a module in a fresh interpreter, its start left out."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    runs = (subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(5))
    return min(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", nargs="?")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    feed = YearFeed()

    def ready(strategy: type[Strategy]) -> Callable[[], Callable[[], Simulation]]:
        return lambda: simulate(strategy, feed, run=False).run

    jobs = [
        Job("nothing", ready(Nothing), floor_calls, BARS, 0.15),
        Job("crossover", ready(Crossover), floor_crossover(feed), BARS, 1.0),
        Job("straddles", ready(Straddles), floor_straddles(feed), None, 40.0),
    ]
    print(f"{'job':<12}{'engine':>12}{'floor':>12}{'ratio':>8}{'limit':>10}{'fills':>8}")
    for job in jobs:
        if given.job not in (None, job.name):
            continue
        if given.profile:
            profile = cProfile.Profile()
            profile.runcall(job.engine())
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        fills = len(job.engine()().result.fills)
        engine = best(job.engine, given.times)
        floor = best(lambda job=job: job.floor, given.times)
        unit, scale = ("us/bar", 1e6 / job.bars) if job.bars else ("ms", 1e3)
        shown = [f"{seconds * scale:.3f} {unit}" for seconds in (engine, floor)]
        limit = f"{job.limit:g} {unit}"
        print(
            f"{job.name:<12}{shown[0]:>13}{shown[1]:>13}{engine / floor:>8.1f}{limit:>12}{fills:>8}"
        )
    if given.job in (None, "import"):
        ours, floor = import_seconds("bestbt"), import_seconds("json")
        print(f"{'import':<12}{ours:>11.3f} s{floor:>11.3f} s{'':>8}{'0.2 s':>12}  (floor: json)")


if __name__ == "__main__":
    main()
