"""Small words for small tests: a call option over one day, and what a run did to it."""

from __future__ import annotations

from typing import Any

from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy
from bestbt.testing import MemoryFeed, simulate

DAY = "2024-01-01"  # a Monday
NEXT = "2024-01-02"


def market(*prices: Any, expiry: str = "2024-01-04", days: tuple[str, ...] = (DAY,)) -> MemoryFeed:
    """Return a feed with an index at 100 and its 100 call at the prices, minute by minute.

    With several days the prices are divided evenly among them.
    """
    feed = MemoryFeed("NIFTY", days=days, minutes=len(prices) // len(days))
    feed.add_index([100] * len(prices))
    feed.add_option(expiry, 100, "CE", prices)
    return feed


def script(**by_bar: Any) -> type[Strategy]:
    """Return a strategy that calls `b3(self, call)` when bar 3 has closed, and so on."""

    class Script(Strategy):
        def on_bar(self) -> None:
            do = by_bar.get(f"b{self.bar}")
            if do is not None:
                do(self, call(self))

    return Script


def call(strategy: Strategy) -> Any:
    return strategy._desk.contract(
        next(r.spec for e in strategy._desk.feed.expiries("NIFTY")
             for r in strategy._desk.feed.listed("NIFTY", e.day) if r.spec.right == "CE")
    )  # fmt: skip


def fills(run: Simulation) -> list[tuple[str, int, float, str, str]]:
    """Return (time, signed units, price, reason, kind) of each fill."""
    return [(f.time.strftime("%H:%M"), f.qty, f.price, f.reason, f.kind) for f in run.result.fills]


def play(feed: MemoryFeed, /, slippage: Any = 0, **by_bar: Any) -> list[Any]:
    """Run a script of functions by bar; return its fills."""
    return fills(simulate(script(**by_bar), feed, slippage=slippage))


def buy(**terms: Any) -> Any:
    return lambda s, c: s.buy(c, **({"lots": 1} | terms))


def sell(**terms: Any) -> Any:
    return lambda s, c: s.sell(c, **({"lots": 1} | terms))


def leave(s: Strategy, c: Any) -> None:
    s.exit(c)
