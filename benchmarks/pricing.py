"""What greeks cost: CPU time of each job, and its ratio to a floor measured in the same run.

    python benchmarks/pricing.py          all jobs
    python benchmarks/pricing.py chain    one of them

Each figure is the best of several runs, in CPU milliseconds of this process. The floor is a
logarithm, a root and an exponential of each row: the least that any formula for it must compute.

The job `clock` is what a strategy pays at a bar: prices of 60 strikes × 2 gathered at the clock (a
fifth of them stale), forward, volatilities, greeks, and the pick of a delta. Its floor reads the
price of each contract once. The first bar, which loads the prices, is not in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bestbt.engine.pricing import black76, greeks, implied_vol, years_to
from bestbt.engine.strategy import Strategy
from bestbt.testing import MemoryFeed, simulate

FORWARD, STEP, STRIKES, TICK = 23_011.35, 50.0, 60, 0.05


class Chain:
    """Calls and puts on 60 strikes with a smile, at prices on the tick, at one bar or many."""

    def __init__(self, bars: int) -> None:
        rng = np.random.default_rng(7)
        walk = np.exp(np.cumsum(rng.normal(0, 1e-4, bars)))
        self.forward = (FORWARD * walk)[:, None, None]
        self.strike = (23_000 + STEP * (np.arange(STRIKES) - STRIKES // 2))[:, None]
        self.years = years_to(4_000 - np.arange(bars))[:, None, None]
        self.call = np.array([True, False])
        vol = 0.12 + 3 * (self.strike / FORWARD - 1) ** 2
        price = black76(self.forward, self.strike, self.years, vol, self.call)
        self.price = np.maximum(np.rint(price / TICK) * TICK, TICK)

    def volatilities(self) -> np.ndarray:
        return implied_vol(self.price, self.forward, self.strike, self.years, self.call)

    def all(self) -> None:
        vol = self.volatilities()
        greeks(self.forward, self.strike, self.years, vol, self.call)

    def floor(self) -> None:
        rows = np.log(self.forward / self.strike) + np.sqrt(self.years) * self.price
        np.exp(-rows * rows)


def clock(bars: int) -> tuple[list[float], list[float]]:
    """Return the CPU milliseconds of each bar: of a pick by delta, and of its floor."""
    chain, rng = Chain(bars), np.random.default_rng(8)
    feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=bars)
    feed.add_index(np.round(chain.forward[:, 0, 0], 2))
    prices = np.where(rng.random(chain.price.shape) < 0.2, np.nan, chain.price)
    prices[0] = chain.price[0]
    for row, strike in enumerate(chain.strike[:, 0]):
        for side, right in enumerate(("CE", "PE")):
            feed.add_option("2024-01-04", strike, right, prices[:, row, side])
    picked: list[float] = []
    floor: list[float] = []

    class Picks(Strategy):
        def on_bar(self) -> None:
            began = time.process_time()
            found = self.get_by_delta("CE", 0.25)
            picked.append((time.process_time() - began) * 1e3)
            assert found is not None
            contracts = (*self.chain().calls, *self.chain().puts)
            began = time.process_time()
            for contract in contracts:
                _ = contract.price
            floor.append((time.process_time() - began) * 1e3)

    simulate(Picks, feed)
    return picked[1:], floor[1:]


class Job(NamedTuple):
    name: str
    bars: int
    limit: float | None  # milliseconds


def best(work: Callable[[], object], times: int) -> float:
    def cpu() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(cpu() for _ in range(times)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", nargs="?")
    parser.add_argument("--times", type=int, default=100)
    given = parser.parse_args()
    print(f"{'job':<8}{'rows':>8}{'iv':>12}{'iv+greeks':>12}{'floor':>12}{'ratio':>8}{'limit':>9}")
    for job in (Job("chain", 1, 2.0), Job("session", 375, None)):
        if given.job not in (None, job.name):
            continue
        chain = Chain(job.bars)
        times = max(given.times // job.bars, 5)
        jobs = (chain.volatilities, chain.all, chain.floor)
        iv, everything, floor = (best(work, times) for work in jobs)
        shown = "".join(f"{ms:>9.3f} ms" for ms in (iv, everything, floor))
        limit = f"{job.limit:g} ms" if job.limit else "-"
        rows = chain.price.size
        print(f"{job.name:<8}{rows:>8}{shown}{everything / floor:>8.0f}{limit:>9}")
    if given.job in (None, "clock"):
        picked, read = clock(375)
        least, floor = min(picked), min(read)
        shown = f"{'':>12}{least:>9.3f} ms{floor:>9.3f} ms{least / floor:>8.0f}{'2 ms':>9}"
        print(f"{'clock':<8}{2 * STRIKES:>8}{shown}  (median {np.median(picked):.3f} ms)")


if __name__ == "__main__":
    main()
