"""Bars of a timeframe are those that have closed: what the bars so far alone would give."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, call, market, script
from tests.engine.test_indicators import BARS, frames, walked


@pytest.mark.parametrize("first", [0, 7])
@pytest.mark.parametrize("step", [1, 5, 4])
def test_they_are_the_closed_ones_at_each_bar(first: int, step: int) -> None:
    feed, bars = walked(first)
    seen: list[Any] = []
    spec = feed.listed("NIFTY", date(2024, 1, 4))[0].spec

    class Watch(Strategy):
        def on_bar(self) -> None:
            closed = self._desk.contract(spec)
            table = closed.bars(f"{step}min")
            newest = closed.bars(f"{step}min", 2)
            assert str(newest) == str(table[-2:])
            seen.append([[round(float(r[n]), 6) for n in ("open", "high", "low", "close")]
                         for r in table])  # fmt: skip

    simulate(Watch, feed)
    assert seen == [frames(bars, bar, step) for bar in range(2 * BARS)]


def test_each_says_when_it_began_and_what_was_traded() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=5)
    feed.add_index([100] * 5)
    feed.add_option("2024-01-04", 100, "CE", [5] * 5, volume=[1, 2, 3, 4, 5], oi=[6, 7, 8, 9, 10])
    found: list[Any] = []

    def look(s: Any, c: Any) -> None:
        found.extend((c.bars("2min"), s.spot.bars("2min", 1), c.bars("2min", 9)))

    simulate(script(b4=look), feed)
    table, spot, all_of_them = found
    assert [str(t) for t in table["time"]] == [f"2024-01-01T09:{m}:00" for m in (15, 17, 19)]
    assert (table["volume"].tolist(), table["oi"].tolist()) == ([3, 7, 5], [7, 9, 10])
    assert math.isnan(spot["volume"][0])
    assert len(all_of_them) == 3
    assert table.base is None, "no view of what is to come"


def test_before_the_first_bar_there_are_none() -> None:
    found: list[int] = []

    class Watch(Strategy):
        def on_session_start(self) -> None:
            found.append(len(self.spot.bars("1min", 3)))

    simulate(Watch, market(5, 5))
    assert found == [0]


@pytest.mark.parametrize("timeframe", ["90s", "5", "1min2"])
def test_a_timeframe_that_the_run_cannot_tell_is_refused(timeframe: str) -> None:
    with pytest.raises(UsageError):
        simulate(script(b0=lambda s, c: c.bars(timeframe)), market(5, 5))


@pytest.mark.parametrize("n", [0, -1, 1.5, True])
def test_no_number_of_bars_is_refused(n: Any) -> None:
    with pytest.raises(UsageError, match="how many bars"):
        simulate(script(b0=lambda s, c: c.bars("1min", n)), market(5, 5))


def test_above_and_below_ask_for_the_price() -> None:
    found: list[Any] = []

    class Watch(Strategy):
        def on_session_start(self) -> None:
            found.append((self.spot.above(0), self.spot.below(1000)))

        def on_bar(self) -> None:
            of = call(self)
            found.append((of.above(5), of.below(5)))

    simulate(Watch, market(4, 5, 6))
    no, yes = False, True
    assert found == [(no, no), (no, yes), (no, no), (yes, no)]
