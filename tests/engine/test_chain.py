"""At the money, prices at the clock, and the expiry calendar."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.strategy import Strategy
from bestbt.errors import ContractNotFound
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, NEXT, script


def chained(spot: Any, strikes: Any = (90, 100, 110), **late: int) -> MemoryFeed:
    feed = MemoryFeed("NIFTY", [DAY], minutes=len(spot))
    feed.add_index(spot)
    for strike in strikes:
        first = late.get(f"k{strike}", 0)
        for right in ("CE", "PE"):
            feed.add_option("2024-01-04", strike, right, [5] * (len(spot) - first), first=first)
    return feed


def picks(feed: MemoryFeed, right: Any = "CE", **terms: Any) -> list[float | None]:
    """Return the strike at the money at each bar."""
    found: list[float | None] = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            got = self.get_atm(right, **terms)
            found.append(None if got is None else got.strike)

    simulate(Watch, feed)
    return found


def test_at_the_money_is_the_nearest_strike_the_lower_on_a_tie() -> None:
    assert picks(chained([94.9, 95, 95.05, 105, 105.05, 300, 1])) == [
        90, 90, 100, 100, 110, 110, 90,
    ]  # fmt: skip


def test_a_strike_counts_from_the_bar_of_its_listing() -> None:
    assert picks(chained([100] * 4, k100=2)) == [90, 90, 100, 100]


def test_offset_counts_strikes_out_of_the_money_for_either_right() -> None:
    feed = chained([100], strikes=(80, 90, 100, 110, 120))
    assert picks(feed, "CE", offset=2) == [120]
    assert picks(feed, "PE", offset=2) == [80]
    assert picks(feed, "CE", offset=-1) == [90]
    assert picks(feed, "PE", offset=-1) == [110]
    assert picks(feed, "CE", offset=3) == [None]


def test_offset_skips_strikes_that_are_not_listed_yet() -> None:
    assert picks(chained([100, 100], strikes=(100, 110, 120), k110=1), offset=1) == [120, 110]


def test_a_row_that_is_too_old_is_not_exchanged_for_a_neighbour() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=9)
    feed.add_index([100] * 9)
    feed.add_option("2024-01-04", 100, "CE", [5, *[None] * 7, 5])
    feed.add_option("2024-01-04", 110, "CE", [5] * 9)
    assert picks(feed) == [100] * 6 + [None] * 2 + [100]
    assert picks(feed, max_age=1) == [100] * 2 + [None] * 6 + [100]
    run = simulate(script(b7=lambda s, c: s.buy(s.get_atm("CE"), lots=1)), feed)
    assert [e.text for e in run.result.log] == [
        "get_atm('CE'): NIFTY 2024-01-04 100 CE has a price 7 bars old (max_age=5)",
        "buy(None): NIFTY 2024-01-04 100 CE has a price 7 bars old (max_age=5)",
    ]


def test_without_a_spot_price_there_is_no_money_to_be_at() -> None:
    assert picks(chained([None, 100])) == [None, 100]


def test_what_a_contract_shows_at_the_clock() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=4)
    feed.add_index([100] * 4)
    spec = feed.add_option(DAY, 100, "CE", [[5, 9, 4, 6], None, [7, 8, 7, 8]], first=1)
    seen = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            c = self._desk.contract(spec)
            seen.append((c.open, c.high, c.low, c.close, c.price, c.age, c.is_active))

    simulate(Watch, feed)
    nan = float("nan")
    assert str(seen[0]) == str((nan, nan, nan, nan, nan, None, True))
    assert seen[1:] == [
        (5, 9, 4, 6, 6, 0, True),
        (6, 6, 6, 6, 6, 1, True),
        (7, 8, 7, 8, 8, 0, True),
    ]


def test_expiries_are_counted_from_what_is_not_settled() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-25", "2024-01-29"], minutes=2)
    feed.add_index([100] * 4)
    for day in ("2024-01-25", "2024-02-01", "2024-02-08", "2024-02-29"):
        feed.add_option(day, 100, "CE", [5, 5])
    seen: list[list[date]] = []

    class Watch(Strategy):
        def on_session_end(self) -> None:
            seen.append([self.get_closest_expiry(), self.get_weekly_expiry(1),
                         self.get_monthly_expiry()])  # fmt: skip
            assert self.expiries()[0] == seen[-1][0]

    simulate(Watch, feed)
    jan, feb, next_, last = (date(2024, m, d) for m, d in ((1, 25), (2, 1), (2, 8), (2, 29)))
    assert seen == [[jan, feb, jan], [feb, next_, last]]


def test_days_to_expiry_are_sessions_and_zero_on_its_day() -> None:
    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=1)
    feed.add_index([100] * 2)
    near, far = (feed.add_option(d, 100, "CE", [5]) for d in (NEXT, "2024-01-08"))
    seen = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            contracts = [self._desk.contract(s) for s in (near, far)]
            seen.append([self.dte(c) for c in (*contracts, self.spot)])

    simulate(Watch, feed)
    assert seen == [[1, 5, None], [0, 4, None]]


def test_contracts_are_found_by_the_name_they_are_shown_with() -> None:
    def find(s: Any, _: Any) -> None:
        option = s.contract("NIFTY 2024-01-04 100 CE")
        assert option is s.option(100, "CE")
        assert s.contract("NIFTY") is s.spot
        for name in ("NIFTY soon 100 CE", "BANKEX", "NIFTY 2024-01-04 FUT"):
            with pytest.raises(ContractNotFound):
                s.contract(name)

    simulate(script(b0=find), chained([100]))


def test_an_expiry_is_not_seen_before_a_contract_of_it_is_listed() -> None:
    feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=4)
    feed.add_index([100] * 4)
    feed.add_option("2024-01-04", 100, "CE", [5] * 4)
    feed.add_option("2024-01-11", 100, "CE", [6, 6], first=2)
    feed.add_option("2024-01-25", 100, "CE", [7] * 4)
    seen: list[tuple[str, ...]] = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            seen.append(tuple(day.isoformat()[-2:] for day in self.expiries()))

    simulate(Watch, feed)
    assert seen == [("04", "25")] * 2 + [("04", "11", "25")] * 2
