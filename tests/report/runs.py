"""Runs to report on, each made to have something that a table or a statistic must get right."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from bestbt.engine.fees import FeeSchedule, ScheduledFees
from bestbt.engine.result import Result
from bestbt.engine.strategy import Strategy, at
from bestbt.testing import MemoryFeed, simulate
from bestbt.units import Right

MINUTES = 60
STRIKES = (90.0, 100.0, 110.0)
RIGHTS: tuple[Right, ...] = ("CE", "PE")
FIRST, FAR = date(2024, 1, 1), date(2024, 12, 26)


def fees() -> ScheduledFees:
    """Rates that leave odd fractions, and a tax that is rounded to the rupee each day."""
    schedule = FeeSchedule(
        brokerage=203_333, exchange=350_300, sebi=1_000, stamp=30_000, stt=1_250_000,
        stt_exercise=1_250_000, gst=180_000_000,
    )  # fmt: skip
    return ScheduledFees(lambda day, asset, exchange: schedule)


def feed(days: int, seed: int = 0) -> MemoryFeed:
    """Random walks with gaps on weekdays from Monday 2024-01-01.

    One expiry on the last day but one, settled on an estimate; another beyond the data.
    """
    dates = [FIRST + timedelta(days=i) for i in range(2 * days + 2)]
    dates = [d for d in dates if d.weekday() < 5][:days]
    made = MemoryFeed("NIFTY", days=dates, minutes=MINUTES)
    rng = np.random.default_rng(seed)
    n = made.grid.n

    def walk(start: float, by: float) -> Any:
        closes = np.maximum(start + np.cumsum(rng.normal(0, by, n)), 1)
        opens = np.maximum(closes + rng.normal(0, by, n), 1)
        high, low = np.maximum(opens, closes) + by, np.maximum(np.minimum(opens, closes) - by, 0.5)
        return np.round(np.stack((opens, high, low, closes), axis=1), 1)

    made.add_index(walk(100, 0.3))
    for expiry, bars in ((dates[-2:][0], n - MINUTES), (FAR, n)):
        for strike in STRIKES if bars else ():
            for right in RIGHTS:
                rows: list[Any] = list(walk(20, 0.5)[:bars])
                for i in rng.choice(np.arange(1, bars), bars // 5, replace=False):
                    rows[i] = None
                made.add_option(expiry, strike, right, rows)
    return made


class Churner(Strategy):
    """Buys, adds, cuts, reverses and exits at random."""

    rate = 0.3

    def on_bar(self) -> None:
        if self.random.random() > self.rate:
            return
        contract = self.option(self.random.choice(STRIKES), self.random.choice(RIGHTS))
        draw = self.random.random()
        if draw < 0.06:
            self.exit_all()
        elif draw < 0.2:
            contract.exit()
        else:
            trade = self.buy if draw < 0.6 else self.sell
            lots = 1 + int(self.random.random() * 3)
            trade(contract, lots=lots, sl="20%" if draw > 0.4 else None, tag=f"t{lots}")


def churned(seed: int, days: int = 6, **options: Any) -> Result:
    """A busy run with charges and slippage."""
    terms: dict[str, Any] = {"slippage": "0.5%", "fees": fees(), "seed": seed} | options
    return simulate(Churner, feed(days, seed), **terms).result


class Idle(Strategy):
    """Does nothing."""


class Morning(Strategy):
    """Sells one call each day at 09:16 and exits at 09:40."""

    @at("09:16")
    def enter(self) -> None:
        self.sell(self.option(100, "CE"), lots=1)

    @at("09:40")
    def leave(self) -> None:
        self.exit_all()
