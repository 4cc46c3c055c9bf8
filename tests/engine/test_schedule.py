"""When hooks run, in which order, and what they see."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bestbt.engine.grid import Grid, Session, utc_ns
from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy, at, every, on_expiry_day
from bestbt.errors import ContractNotFound, UsageError
from bestbt.testing import MemoryFeed, simulate
from bestbt.units import MINUTE, SECOND
from tests.engine.kit import DAY, NEXT, call, market

IST = ZoneInfo("Asia/Kolkata")


def times(decorate: Any, feed: MemoryFeed) -> list[str]:
    """Return the wall-clock times at which a decorated method was called."""
    called: list[str] = []

    class Watch(Strategy):
        @decorate  # type: ignore[untyped-decorator]
        def go(self) -> None:
            called.append(f"{self.now:%H:%M}")

    simulate(Watch, feed)
    return called


def parted(day: date, *parts: tuple[str, str], step: int = 1) -> MemoryFeed:
    """Return a flat index over a session in parts."""

    def ns(text: str) -> int:
        return utc_ns(datetime.combine(day, time.fromisoformat(text), IST))

    feed = MemoryFeed("NIFTY", [])
    feed.grid = Grid([Session(day, tuple((ns(a), ns(b)) for a, b in parts))], step * MINUTE)
    feed.add_index([100] * feed.grid.n)
    return feed


SATURDAY = parted(date(2024, 1, 20), ("09:15", "10:00"), ("11:30", "12:30"))


def test_at_a_time_the_bar_before_it_is_the_newest_seen() -> None:
    seen = []

    class Watch(Strategy):
        @at("09:17")
        def go(self) -> None:
            seen.append((self.now, self.bar, self.spot.price))

    feed = MemoryFeed("NIFTY", [DAY], minutes=5)
    feed.add_index([101, 102, 103, 104, 105])
    simulate(Watch, feed)
    assert seen == [(datetime(2024, 1, 1, 9, 17, tzinfo=IST), 1, 102.0)]


def test_at_the_open_runs_before_the_first_bar_and_sees_yesterdays_last() -> None:
    seen: list[Any] = []

    class Watch(Strategy):
        @at("open")
        def go(self) -> None:
            seen.append((f"{self.now:%d %H:%M}", self.bar, self.spot.price))

        @at("09:15")
        def same(self) -> None:
            seen.append("09:15")

    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=2)
    feed.add_index([101, 102, 103, 104])
    simulate(Watch, feed)
    assert str(seen[0]) == "('01 09:15', -1, nan)"
    assert seen[1:] == ["09:15", ("02 09:15", 1, 102.0), "09:15"]


@pytest.mark.parametrize(
    ("time", "called"),
    [
        ("09:30", ["09:30"]),
        ("10:00", ["10:00"]),  # the first part's last bar has just closed
        ("10:30", ["11:31"]),  # in the gap: at the first close after it
        ("11:31", ["11:31"]),
        ("12:29", ["12:29"]),
        ("12:30", []),  # nothing could fill
        ("09:00", []),
        ("15:15", []),
        ("open+5min", ["09:20"]),
        ("close-15min", ["12:15"]),
    ],
)
def test_at_on_a_saturday_of_two_parts(time: str, called: list[str]) -> None:
    assert times(at(time), SATURDAY) == called


def seconds(count: int) -> MemoryFeed:
    """Return a flat index over the first seconds of a day."""
    opened = utc_ns(datetime.combine(date(2024, 1, 1), time(9, 15), IST))
    feed = MemoryFeed("NIFTY", [])
    feed.grid = Grid([Session(date(2024, 1, 1), ((opened, opened + count * SECOND),))], SECOND)
    feed.add_index([100] * count)
    return feed


def test_schedules_by_the_second_on_bars_of_a_second() -> None:
    def at_seconds(decorate: Any) -> list[str]:
        called: list[str] = []

        class Watch(Strategy):
            @decorate  # type: ignore[untyped-decorator]
            def go(self) -> None:
                called.append(f"{self.now:%M:%S} after {self.bar}")

        simulate(Watch, seconds(120))
        return called

    assert at_seconds(at("09:15:30")) == ["15:30 after 29"]
    assert at_seconds(at("09:16")) == ["16:00 after 59"]
    assert at_seconds(at("open+5s")) == ["15:05 after 4"]
    assert at_seconds(at("close-1s")) == ["16:59 after 118"]
    twenties = every("20s", start="09:15:30", end="09:16:30")
    assert [c[:5] for c in at_seconds(twenties)] == ["15:30", "15:50", "16:10", "16:30"]
    assert len(at_seconds(every("5s"))) == 23
    # On minutes a second inside one is seen at the minute's end.
    assert times(at("09:20:30"), SATURDAY) == ["09:21"]


def test_an_evening_session_has_no_morning() -> None:
    muhurat = parted(date(2024, 11, 1), ("18:00", "19:00"))
    assert times(at("09:20"), muhurat) == []
    assert times(at("open+5min"), muhurat) == ["18:05"]


def test_on_a_coarser_grid_it_runs_at_the_first_close_after() -> None:
    coarse = parted(date(2024, 1, 1), ("09:15", "10:15"), step=15)
    assert times(at("09:20"), coarse) == ["09:30"]
    assert times(at("09:30"), coarse) == ["09:30"]


def test_every_includes_its_end_and_comes_once_after_a_gap() -> None:
    hour = parted(date(2024, 1, 1), ("09:15", "10:15"))
    quarter = every("15min", start="09:30", end="10:00")
    assert times(quarter, hour) == ["09:30", "09:45", "10:00"]
    assert times(every("20min"), hour) == ["09:35", "09:55"]
    half = every("15min", start="09:45", end="12:00")
    assert times(half, SATURDAY) == ["09:45", "10:00", "11:31", "11:45", "12:00"]


def test_weekdays_dte_and_kind_choose_the_days() -> None:
    days = ["2024-01-22", "2024-01-23", "2024-01-24", "2024-01-25", "2024-01-29"]

    def on(**rule: Any) -> list[int]:
        called: list[int] = []

        class Watch(Strategy):
            @at("09:16", **rule)
            def go(self) -> None:
                called.append(self.today.day)

        feed = MemoryFeed("NIFTY", days, minutes=3)
        feed.add_index([100] * 15)
        feed.add_option("2024-01-25", 100, "CE", [5] * 12)  # the last of its month
        feed.add_option("2024-02-01", 100, "CE", [5] * 15)
        simulate(Watch, feed)
        return called

    assert on() == [22, 23, 24, 25, 29]
    assert on(weekdays="Mon") == [22, 29]
    assert on(weekdays=["tuesday", 3]) == [23, 25]
    assert on(dte=0) == [25]
    assert on(dte=(1, 3)) == [22, 24, 29]  # from the 29th: 30, 31, 1
    assert on(kind="monthly") == [22, 23, 24, 25]
    assert on(kind="weekly") == [29]


def test_on_expiry_day_comes_at_its_time_on_that_day_alone() -> None:
    called = []

    class Watch(Strategy):
        @on_expiry_day(at="09:16")
        def go(self) -> None:
            called.append(self.today)

    feed = market(5, 5, 5, 5, 5, 5, expiry=NEXT, days=(DAY, NEXT))
    simulate(Watch, feed)
    assert called == [date(2024, 1, 2)]


def two_underlyings() -> MemoryFeed:
    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=3)
    feed.add_index([100] * 6)
    feed.add_index([200] * 6, "BANKNIFTY")
    feed.add_option(NEXT, 100, "CE", [5] * 6)
    spec = ContractSpec("option", "BANKNIFTY", date(2024, 1, 1), 200.0, "CE", lot=15)
    feed.add(spec, [5] * 3)
    return feed


def test_on_expiry_day_of_another_underlying() -> None:
    called = []

    class Watch(Strategy):
        @on_expiry_day("09:16", "banknifty")
        def go(self) -> None:
            called.append(self.today)

        @on_expiry_day("09:16", symbol="BANKNIFTY", kind="monthly")
        def never(self) -> None:
            called.append(date.min)

    simulate(Watch, two_underlyings())
    assert called == [date(2024, 1, 1)]


def test_an_expiry_day_of_nothing_is_refused() -> None:
    class Watch(Strategy):
        @on_expiry_day(symbol="BANKNITY")
        def go(self) -> None:
            """Never called."""

    with pytest.raises(ContractNotFound, match="BANKNITY"):
        simulate(Watch, two_underlyings())
    with pytest.raises(UsageError, match="write kind='monthly'"):
        on_expiry_day("09:16", "monthly")
    with pytest.raises(UsageError, match="name an underlying"):
        on_expiry_day(symbol="")


def test_what_is_ordered_in_on_end_is_cancelled() -> None:
    placed: list[Any] = []

    class Late(Strategy):
        def on_bar(self) -> None:
            if self.bar == 0:
                self.buy(call(self), lots=1, sl="50%")

        def on_end(self) -> None:
            self.exit_all()
            placed.append(self.sell(call(self), lots=1))

    run = simulate(Late, market(5, 5, 5))
    orders = run.result.orders
    assert [o.status for o in orders] == ["filled", "working", "cancelled", "cancelled"]
    assert placed[0].reason == "placed in on_end: the run is over"
    assert [e.kind for e in run.result.log] == ["refused", "refused"]
    assert [p.qty for p in run.result.positions] == [50]


def test_the_order_of_a_bar() -> None:
    order: list[str] = []

    class Watch(Strategy):
        def init(self) -> None:
            order.append("init")

        def on_session_end(self) -> None:
            order.append(f"end {self.bar}")

        @at("09:17")
        def zeta(self) -> None:
            order.append("zeta")
            self.buy(self.option(100, "CE"), lots=1, sl=3)

        def on_bar(self) -> None:
            order.append(f"bar {self.bar}")

        @at("09:17")
        def alpha(self) -> None:
            order.append("alpha")

        @at("open")
        def opening(self) -> None:
            order.append("opening")

        def on_session_start(self) -> None:
            order.append("start")

        def on_fill(self, fill: Any) -> None:
            order.append(f"fill {fill.kind}")

        def on_stop(self, fill: Any) -> None:
            order.append("stop")

        def on_expiry(self, contract: Any) -> None:
            order.append("expiry")

        def on_end(self) -> None:
            order.append("over")

    simulate(Watch, market(5, 5, [5, 5, 2, 4], 4, expiry=DAY))
    assert order == [
        "init", "start", "opening", "bar 0", "zeta", "alpha", "bar 1",
        "fill entry", "fill stop", "stop", "bar 2", "bar 3", "end 3", "over",
    ]  # fmt: skip


def test_the_namespace_of_the_day_is_emptied_each_session() -> None:
    found = []

    class Watch(Strategy):
        def on_session_start(self) -> None:
            found.append(vars(self.day).copy())

        def on_session_end(self) -> None:
            self.day.high = self.bar

    simulate(Watch, market(5, 5, 5, 5, days=(DAY, NEXT)))
    assert found == [{}, {}]


@pytest.mark.parametrize("text", ["9.20", "25:00", "09:60", "open+", "open*5min", "", "09:20am"])
def test_a_malformed_time_is_refused_where_it_is_written(text: str) -> None:
    with pytest.raises(UsageError, match="write it as"):
        at(text)


def test_a_malformed_step_or_weekday_is_refused() -> None:
    with pytest.raises(UsageError, match="is no duration"):
        every("5")
    with pytest.raises(UsageError, match="is no weekday"):
        at("09:20", weekdays="Someday")
