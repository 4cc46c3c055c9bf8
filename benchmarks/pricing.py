"""What greeks cost: CPU time of each job, and its ratio to a floor measured in the same run.

    python benchmarks/pricing.py          all jobs
    python benchmarks/pricing.py chain    one of them

Each figure is the best of several runs, in CPU milliseconds of this process. The floor is a
logarithm, a root and an exponential of each row: the least that any formula for it must compute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bestbt.engine.pricing import black76, greeks, implied_vol, years_to

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


if __name__ == "__main__":
    main()
