"""Whole bars read in `on_bar`: the loop sets them at each bar, and nothing can tell."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.contract import Contract, Followed
from bestbt.engine.ports import ContractSpec
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import StaleHandle
from bestbt.testing import MemoryFeed, simulate

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
BARS = 8  # a day
# Open, high, low, close; None is a bar without a trade.
PRICES: list[Any] = [(10 + i, 13 + i, 8 + i, 11 + i) for i in range(len(DAYS) * BARS)]
PRICES[5] = PRICES[10] = None


def expected(bar: int) -> tuple[float, float, float, float]:
    if PRICES[bar] is None:
        (*_, close) = PRICES[bar - 1]
        return (close,) * 4
    found: tuple[float, float, float, float] = PRICES[bar]
    return found


def feed() -> MemoryFeed:
    made = MemoryFeed("NIFTY", days=DAYS, minutes=BARS)
    made.add_index([100] * len(PRICES))
    made.add(ContractSpec("future", "NIFTY", date(2024, 1, 25)), PRICES)
    return made


class Reads(Strategy):
    """Reads whole bars on all days but the second, and trades now and then."""

    def init(self) -> None:
        self.seen: dict[int, tuple[float, ...]] = {}
        self.kinds: dict[str, set[type]] = {"on_bar": set(), "timed": set()}
        self.future = self.contract("NIFTY 2024-01-25 FUT")

    def read(self) -> tuple[float, float, float, float]:
        future = self.future
        assert future.close == future.price
        return future.open, future.high, future.low, future.price

    @at("09:19")
    def timed(self) -> None:
        self.seen[1000 + self.bar] = self.read()
        self.kinds["timed"].add(type(self.future))

    def on_bar(self) -> None:
        if self.today.day != 2:
            self.seen[self.bar] = self.read()
            self.kinds["on_bar"].add(type(self.future))
        if self.bar % 5 == 3:
            self.buy(self.future, qty=1)
        elif self.bar % 7 == 4:
            self.exit(self.future)


def ready(**terms: Any) -> Simulation:
    return simulate(Reads, feed(), run=False, **terms)


@pytest.mark.parametrize("fill_at_close", [False, True])
def test_what_is_read_is_the_bar_that_has_closed(fill_at_close: bool) -> None:
    run = ready(fill_at_close=fill_at_close).run()
    seen = run.strategy.seen
    assert len(run.result.fills) > 4
    timed = {1000 + 3 + BARS * i: expected(3 + BARS * i) for i in range(len(DAYS))}
    read = {i: expected(i) for i in range(len(PRICES)) if not BARS <= i < 2 * BARS}
    assert seen == timed | read
    # In the first bar of a loop it is a plain contract, of which four columns are read.
    assert run.strategy.kinds == {"on_bar": {Contract, Followed}, "timed": {Contract}}

    stepped = ready(fill_at_close=fill_at_close)
    while not stepped.finished:
        stepped.step()
    assert stepped.strategy.seen == seen
    assert stepped.result.hash == run.result.hash


def test_outside_of_the_loop_it_reads_the_clock() -> None:
    run = ready()
    for bar in (2, 6, 9, 23):
        future = run.run_to(bar).strategy.future
        assert type(future) is Contract
        assert run.strategy.read() == expected(bar)
    run.back(20)
    for name in ("open", "high", "low", "close", "price"):
        with pytest.raises(StaleHandle, match="rewound"):
            getattr(future, name)
    assert run.strategy.read() == expected(3)


def test_a_hook_that_raises_leaves_it_at_the_clock() -> None:
    class Raises(Reads):
        def on_bar(self) -> None:
            super().on_bar()
            if self.bar == 6:
                raise RuntimeError("mine")

    run = simulate(Raises, feed(), run=False)
    with pytest.raises(RuntimeError, match="mine"):
        run.run()
    future = run.strategy.future
    assert type(future) is Contract
    assert run.strategy.read() == expected(6)
    run.back()
    with pytest.raises(StaleHandle, match="rewound"):
        _ = future.price


def test_only_what_is_read_whole_in_a_session_is_followed() -> None:
    run = ready()
    follows = {}
    for bar in (0, 7, 8, 11, 15, 16):
        run.run_to(bar)
        follows[bar] = [contract.name for contract, *_ in run.desk.followed]
    there = ["NIFTY 2024-01-25 FUT"]
    assert follows == {0: there, 7: there, 8: [], 11: there, 15: there, 16: there}
