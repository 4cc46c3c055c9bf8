"""A fill that is large for its bar is said to be, and stands."""

from __future__ import annotations

from typing import Any

import pytest

from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, call


class Trades(Strategy):
    """Buys three lots of 50, and sells them again."""

    def on_bar(self) -> None:
        if self.bar == 0:
            self.buy(call(self), lots=3)
        elif self.bar == 1:
            self.exit(call(self))


def large(volume: Any, **terms: Any) -> list[tuple[int, dict[str, Any]]]:
    feed = MemoryFeed("NIFTY", [DAY], minutes=4)
    feed.add_index([100] * 4)
    feed.add_option("2024-01-04", 100, "CE", [5] * 4, volume=volume)
    run = simulate(Trades, feed, **terms)
    assert [f.qty for f in run.result.fills] == [150, -150], "it is never refused"
    return [(e.bar, dict(e.values)) for e in run.result.log if e.kind == "large-fill"]


def test_more_than_a_tenth_of_a_bar_is_said() -> None:
    assert large([0, 1500, 1499, 0]) == [(2, {"order": 1, "volume": 1499})]
    assert large([0, 1500, 0, 0]) == [(2, {"order": 1, "volume": 0})]


def test_the_share_is_what_is_written() -> None:
    assert large([0, 2000, 2000, 0], max_participation="7.5%") == []
    assert len(large([0, 2000, 1999, 0], max_participation=0.075)) == 1
    assert large([0, 1, 1, 0], max_participation=None) == []
    assert large([0, 1, 1, 0], max_participation="none") == []


def test_without_volume_there_is_nothing_to_say() -> None:
    assert large(None) == []


@pytest.mark.parametrize(
    "share", [0, -0.1, 1.5, "much", "10 pct", "1/0", True, float("nan"), float("inf")]
)
def test_what_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(UsageError, match="max_participation="):
        large(None, max_participation=share)
