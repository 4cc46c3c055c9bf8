"""An indicator never looks ahead: at each bar it is what the bars so far alone would give."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, NEXT, call

BARS = 23  # of a day; the last five-minute bar has three


def mean(x: Any, n: int) -> Any:
    """Return the mean of the last n values; nan before there are as many."""
    out = np.full(len(x), np.nan)
    for i in range(n - 1, len(x)):
        out[i] = x[i - n + 1 : i + 1].mean()
    return out


def walked(first: int = 0) -> tuple[MemoryFeed, list[Any]]:
    rng = random.Random(7)
    bars: list[Any] = []
    for _ in range(2 * BARS - first):
        o, c = rng.randint(50, 150), rng.randint(50, 150)
        bars.append([o, max(o, c) + rng.randint(0, 9), min(o, c) - rng.randint(0, 9), c])
    for i in rng.sample(range(1, len(bars)), 8):
        bars[i] = None
    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=BARS)
    feed.add_index([100] * 2 * BARS)
    feed.add_option("2024-01-04", 100, "CE", bars, first=first)
    return feed, [None] * first + bars


def frames(bars: list[Any], until: int, step: int) -> list[list[float]]:
    """Return the closed bars of a timeframe at the end of a bar, recomputed from the start.

    Stale bars are no part of it; a frame without a live bar repeats the last close.
    """
    out: list[list[float]] = []
    last: float | None = None
    for day in range(2):
        for begin in range(0, BARS, step):
            end = min(begin + step, BARS)
            rows = []
            for bar in range(day * BARS + begin, day * BARS + end):
                if bars[bar] is not None:
                    rows.append(bars[bar])
            rows = rows or ([] if last is None else [[last] * 4])
            last = rows[-1][3] if rows else None
            if rows and day * BARS + end - 1 <= until:
                high, low = max(r[1] for r in rows), min(r[2] for r in rows)
                out.append([rows[0][0], high, low, rows[-1][3]])
    return out


@pytest.mark.parametrize(("bar", "step"), [(None, 1), ("5min", 5), ("1min", 1), ("30min", 30)])
@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_its_value_is_that_of_the_bars_closed_so_far(
    bar: str | None, step: int, first: int, column: str
) -> None:
    feed, bars = walked(first)
    seen: list[tuple[float, float]] = []

    class Watch(Strategy):
        def init(self) -> None:
            self.mean = self.indicator(mean, column, 2, of=call(self), bar=bar)

        def on_bar(self) -> None:
            seen.append((self.mean[0], self.mean[-1]))

    simulate(Watch, feed)
    at = ["open", "high", "low", "close"].index(column)
    for i, (now, before) in enumerate(seen):
        values = [row[at] for row in frames(bars, i, step)]
        want = sum(values[-2:]) / 2 if len(values) > 1 else math.nan
        was = sum(values[-3:-1]) / 2 if len(values) > 2 else math.nan
        np.testing.assert_equal((now, before), (want, was))


def test_a_crossing_is_seen_once_at_its_bar() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=6)
    feed.add_index([1, 2, 3, 4, 3, 5])
    crossed = []

    class Watch(Strategy):
        def init(self) -> None:
            self.close = self.indicator(np.array, "close")

        def on_bar(self) -> None:
            if self.crossed_above(self.close, 3):
                crossed.append(self.bar)

    simulate(Watch, feed)
    assert crossed == [3, 5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.indicator(np.array, "close")[1], "is the future; 0 is now"),
        (lambda s: s.indicator(np.mean, "close"), "one value a bar is needed"),
        (lambda s: s.indicator(np.array, "closing"), "'closing' is no price column of NIFTY"),
        (lambda s: s.indicator(np.array, "volume"), "'volume' is no price column of NIFTY"),
        (lambda s: s.indicator(np.array, "close", bar="90s"), "must be a multiple of the run's"),
        (lambda s: s.indicator(np.array, "close", bar="5 bars"), "is no duration"),
    ],
)
def test_an_indicator_that_makes_no_sense_is_refused(make: Any, message: str) -> None:
    class Watch(Strategy):
        def init(self) -> None:
            make(self)

    with pytest.raises(UsageError, match=message):
        simulate(Watch, walked()[0])


def test_a_crossing_of_a_coarser_timeframe_is_seen_once_when_its_bar_closes() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=20)
    feed.add_index([10] * 5 + [12] * 5 + [10] * 10)
    seen: list[tuple[int, bool, bool]] = []

    class Watch(Strategy):
        def init(self) -> None:
            self.five = self.indicator(lambda close: close, "close", bar="5min")
            self.line = self.indicator(lambda close: close * 0 + 11, "close")

        def on_bar(self) -> None:
            up, down = self.crossed_above(self.five, 11), self.crossed_above(self.line, self.five)
            if up or down:
                seen.append((self.bar, up, down))

    simulate(Watch, feed)
    assert seen == [(9, True, False), (14, False, True)]
