"""What the engine costs: CPU time of each job, and its ratio to a floor measured in the same run.

    python benchmarks/engine.py            all jobs
    python benchmarks/engine.py straddles  one of them, with --profile for where it goes

Prices are made here from a seed and are in memory. Each figure is the best of several runs, in
CPU seconds of this process; engine and floor take turns, so that both meet the same machine. The
floor is plain Python doing the least that any engine must; of what must not grow, the same
without what it must not grow with.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from bestbt import Strategy, at
from bestbt.engine.ports import ContractSpec, Expiry, FeeModel, Listing
from bestbt.engine.prices import PriceColumns
from bestbt.engine.simulation import Simulation
from bestbt.markets.india_fees import fees
from bestbt.testing import MemoryFeed, simulate

DAYS, MINUTES, LOT = 250, 375, 50
BARS = DAYS * MINUTES
MONTH, MONTHS = 21, 24  # sessions of a month; months of two years
FUTURE = ContractSpec("future", "NIFTY", date(2030, 1, 31), lot=LOT)
HELD = tuple(  # options that live all year
    ContractSpec("option", "NIFTY", date(2030, 1, 31), 15_000.0 + 1_000 * i, "CE", lot=LOT)
    for i in range(10)
)


class MadeFeed(MemoryFeed):
    """Minutes of an index, its future, and options around the money that expire each week.

    Parameters
    ----------
    days
        Sessions.
    week
        Sessions from one expiry to the next.
    strikes, apart
        Of each expiry, and the points between them. They trade in the expiry's own week.
    untouched
        Strikes of each expiry that nobody asks for: listed and without a price.
    """

    def __init__(
        self,
        days: int = DAYS,
        week: int = 1,
        strikes: int = 3,
        apart: int = 50,
        untouched: int = 0,
    ) -> None:
        dates = [date(2023, 1, 2)]
        while len(dates) < days:
            dates.append(dates[-1] + timedelta(days=3 if dates[-1].weekday() == 4 else 1))
        super().__init__("NIFTY", dates)
        rng, bars = np.random.default_rng(7), days * MINUTES
        path = 2_000_000 * np.exp(np.cumsum(rng.normal(0, 1e-4, 4 * bars)))
        points = (np.rint(path / 5) * 5).astype(np.int32)
        live = np.ones(bars, dtype=bool)
        for spec in (ContractSpec("index", "NIFTY"), FUTURE):
            self._columns[spec] = PriceColumns(0, points, live, 100)
        for spec in HELD:
            walk = 25_000 + np.abs(np.cumsum(rng.normal(0, 3, 4 * bars)))
            raw = (np.rint(walk / 5) * 5).astype(np.int32)
            self._columns[spec] = PriceColumns(0, raw, live, 100)
        self._listings: dict[date, list[Listing]] = {}
        for number in range(0, days, week):
            last = min(number + week, days) - 1
            first, size = MINUTES * number, MINUTES * (last + 1 - number)
            near = round(points[4 * first + 16] / 5000) * 50
            below = near - strikes // 2 * apart
            traded = [below + apart * i for i in range(strikes)]
            above = [traded[-1] + apart * (i + 1) for i in range(untouched)]
            rows = []
            for strike in (*traded, *above):
                for right in ("CE", "PE"):
                    spec = ContractSpec(
                        "option", "NIFTY", dates[last], float(strike), right, lot=LOT
                    )
                    rows.append(Listing(spec, first))
                    if strike <= traded[-1]:
                        walk = 25_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 4 * size)))
                        raw = np.maximum(np.rint(walk / 5) * 5, 5).astype(np.int32)
                        self._columns[spec] = PriceColumns(first, raw, live[:size], 100)
            self._listings[dates[last]] = rows
        late = HELD[0].expiry or dates[-1]
        self._listings[late] = [Listing(spec, 0) for spec in HELD]
        self._expiries = [Expiry(day, "weekly") for day in self._listings]

    def expiries(self, symbol: str, asset: str = "option") -> list[Expiry]:
        return self._expiries

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        return self._listings[expiry]


class Nothing(Strategy):
    def on_bar(self) -> None:
        pass


class Idle(Nothing):
    """Ten positions and ten stops that are never met."""

    def on_session_start(self) -> None:
        if self.bar == MINUTES - 1:
            for spec in HELD:
                self.sell(self.contract(str(spec)), lots=1, sl="900%")


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


def floor_crossover(feed: MadeFeed) -> Callable[[], None]:
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


def floor_straddles(feed: MadeFeed) -> Callable[[], None]:
    """The straddles by hand with numpy: strike, entry, first touch of the stop, exit."""
    spot = np.asarray(feed._columns[ContractSpec("index", "NIFTY")].points)

    def run() -> None:
        cash = 0.0
        for number, rows in enumerate(list(feed._listings.values())[:-1]):
            base = 4 * MINUTES * number
            at_money = spot[base + 19]
            for right in ("CE", "PE"):
                legs = [r for r in rows if r.spec.right == right]
                away = [abs((r.spec.strike or 0) * 100 - at_money) for r in legs]
                leg = legs[away.index(min(away))]
                points = feed._columns[leg.spec].points
                entry = int(points[20])
                path = points[20:1440]
                hits = path >= entry * 1.25
                k = int(hits.argmax())
                out = entry * 1.25 if hits[k] else int(points[1440])
                cash += LOT * (entry - out)

    return run


class Job(NamedTuple):
    """What is measured: the engine's part and its floor, each made anew for every run."""

    name: str
    engine: Callable[[], Callable[[], object]]
    floor: Callable[[], Callable[[], object]]
    bars: int | None  # None: milliseconds of the whole; else microseconds a bar
    limit: str
    beyond: bool = False  # whether the engine's figure is what it takes beyond the floor


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def import_seconds(module: str) -> float:
    """CPU seconds of importing a module in a fresh interpreter, its start left out."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    runs = (subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(5))
    return min(float(run.stdout) for run in runs)


def jobs() -> Iterator[Job]:
    def ready(
        strategy: type[Strategy], feed: MadeFeed, fees: FeeModel | None = None
    ) -> Callable[[], Callable[[], Simulation]]:
        return lambda: simulate(strategy, feed, fees=fees, run=False).run

    year = MadeFeed()
    crossover, straddles = floor_crossover(year), floor_straddles(year)
    yield Job("nothing", ready(Nothing, year), lambda: floor_calls, BARS, "0.15 us/bar")
    yield Job("idle", ready(Idle, year), ready(Nothing, year), BARS, "0.1 us/bar", beyond=True)
    yield Job("crossover", ready(Crossover, year), lambda: crossover, BARS, "1 us/bar")
    yield Job("straddles", ready(Straddles, year), lambda: straddles, None, "40 ms")
    yield Job("charged", ready(Straddles, year, fees()), lambda: straddles, None, "80 ms")
    few = MadeFeed(4 * MONTH, week=5, strikes=10, apart=200)
    many = MadeFeed(4 * MONTH, week=5, strikes=10, apart=200, untouched=990)
    yield Job("listed", ready(Straddles, many), ready(Straddles, few), None, "1.1 x")


def months(feed: MadeFeed, times: int) -> tuple[float, float]:
    """CPU seconds of the last month of two years, and of the first."""
    taken: list[list[float]] = [[] for _ in range(MONTHS)]
    for _ in range(times):
        sim = simulate(Straddles, feed, run=False)
        for number, month in enumerate(taken):
            end = MONTH * MINUTES * (number + 1) - 1
            month.append(cpu(partial(sim.run_to, end)))
    return min(taken[-1]), min(taken[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", nargs="?")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    print(f"{'job':<12}{'engine':>15}{'floor':>15}{'ratio':>8}{'limit':>15}{'fills':>8}")

    def show(name: str, engine: str, floor: str, ratio: float, limit: str, fills: str = "") -> None:
        print(f"{name:<12}{engine:>15}{floor:>15}{ratio:>8.2f}{limit:>15}{fills:>8}")

    for job in jobs():
        if given.job not in (None, job.name):
            continue
        if given.profile:
            profile = cProfile.Profile()
            profile.runcall(job.engine())
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        run = job.engine()()
        fills = str(len(run.result.fills)) if isinstance(run, Simulation) else ""
        gc.collect()
        gc.freeze()  # the made market is not what is measured
        pairs = [(cpu(job.engine()), cpu(job.floor())) for _ in range(given.times)]
        engine, floor = (min(seconds) for seconds in zip(*pairs, strict=True))
        ratio = engine / floor
        unit, scale = ("us/bar", 1e6 / job.bars) if job.bars else ("ms", 1e3)
        if job.beyond:
            engine -= floor
        ours, least = (f"{seconds * scale:.3f} {unit}" for seconds in (engine, floor))
        show(job.name, ours, least, ratio, job.limit, fills)
    if given.job in (None, "months"):
        last, first = months(MadeFeed(MONTH * MONTHS), given.times)
        show("months", f"{last * 1e3:.3f} ms", f"{first * 1e3:.3f} ms", last / first, "1.2 x")
    if given.job in (None, "import"):
        own, json = import_seconds("bestbt"), import_seconds("json")
        show("import", f"{own:.3f} s", f"{json:.3f} s", own / json, "0.2 s")


if __name__ == "__main__":
    main()
