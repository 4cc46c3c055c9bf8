"""A slow, obviously right account of futures, written from the rules alone.

A future moves no notional. At the end of each session cash is what it would be if everything held
were closed at the day's settlement price: the stored one, else the mean of the last half hour,
else the newest close. On its last day a future is closed at the final settlement value.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.engine.reference_matching import half_up

Quad = tuple[int, int, int, int]  # open, high, low, close; raw
WINDOW = 30  # minutes


@dataclass(frozen=True)
class Contract:
    """A future: its bars by number (None: no trade), its last session, its stored prices."""

    bars: tuple[Quad | None, ...]
    last_session: int  # with which it expires; beyond the data: it does not
    stored: dict[int, int]  # by session


@dataclass(frozen=True)
class Paths:
    """Cash at each session's end, equity at each bar, units held at the end, and the sources."""

    cash: list[int]
    equity: list[int]
    held: int
    sources: list[str]


def play(
    sessions: list[int],  # bars of each
    future: Contract,
    index: tuple[Quad, ...],
    official: dict[int, int],
    trades: dict[int, int],  # signed units ordered when a bar has closed
    capital: int,
) -> Paths:
    """Play market orders in one future; amounts are 1/10,000, prices 1/100."""
    waiting: list[tuple[int, int]] = []  # (bar from which it waits, units)
    bought: list[tuple[int, int]] = []  # (units, price) of all fills
    cash_paths, equity, sources = [], [], []
    bar = 0
    settled_up = 0  # what has been paid into cash
    for session, count in enumerate(sessions):
        first = bar
        for bar in range(first, first + count):
            quad = future.bars[bar] if session <= future.last_session else None
            if quad is not None:
                bought += [(units, quad[0]) for _, units in waiting]
                waiting = []
            waiting = [w for w in waiting if bar - w[0] < 5]  # five minutes
            if bar in trades:
                waiting.append((bar, trades[bar]))
            if bar == first + count - 1:
                waiting = [w for w in waiting if w[0] == bar]  # the others' day is over
                held = sum(units for units, _ in bought)
                if session == future.last_session:
                    value = final(future, index, official, session, first, bar)
                    if held:
                        bought.append((-held, value))
                elif held:
                    price, source = daily(future, session, first, bar)
                    sources.append(source)
                    settled_up = worth(bought, price)
                if not sum(units for units, _ in bought):
                    settled_up = worth(bought, 0)
                cash_paths.append(capital + settled_up)
            mark = next((q[3] for q in reversed(future.bars[: bar + 1]) if q is not None), 0)
            equity.append(capital + worth(bought, mark))
        bar += 1
    return Paths(cash_paths, equity, sum(units for units, _ in bought), sources)


def worth(fills: list[tuple[int, int]], price: int) -> int:
    """Profit of fills if everything were closed at a price."""
    return sum(units * (price - at) for units, at in fills) * 100


def daily(future: Contract, session: int, first: int, bar: int) -> tuple[int, str]:
    if session in future.stored:
        return future.stored[session], "official"
    window = [q for q in future.bars[max(first, bar + 1 - WINDOW) : bar + 1] if q is not None]
    if window:
        return half_up(Fraction(sum(map(sum, window)), 4 * len(window))), "estimated"
    return next(q[3] for q in reversed(future.bars[: bar + 1]) if q is not None), "mark"


def final(
    future: Contract,
    index: tuple[Quad, ...],
    official: dict[int, int],
    session: int,
    first: int,
    bar: int,
) -> int:
    """The official close of the index, else its own stored price, else the index's last mean."""
    if session in official:
        return official[session]
    if session in future.stored:
        return future.stored[session]
    window = index[max(first, bar + 1 - WINDOW) : bar + 1]
    return half_up(Fraction(sum(map(sum, window)), 4 * len(window)))
