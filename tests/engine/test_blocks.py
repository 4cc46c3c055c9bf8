"""Blocks: how long each lasts, what it stops, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from bestbt.engine.blocks import BlockBook, Scope, end_day
from bestbt.engine.grid import Grid
from bestbt.engine.order import Buy, Sell
from bestbt.engine.ports import ContractSpec, Expiry
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy
from bestbt.errors import ContractNotFound, ExpiryNotFound, StaleHandle, UsageError
from bestbt.markets import india
from bestbt.testing import MemoryFeed, PlainMarket, simulate
from tests.engine.kit import DAY, NEXT, buy, call, fills, leave, market, script, sell
from tests.engine.programs import ABOUT_BLOCKS, CAPITAL, Action, Program, Scripted, programs
from tests.engine.worlds import World, WorldFeed, worlds

# How long


def grid_of(*days: str) -> Grid:
    plain = PlainMarket(minutes=2)
    return Grid([plain.session(date.fromisoformat(day)) for day in days])


# Republic Day 2024 is a Friday, 8 March a Friday, 25 March a Monday, 29 March a Friday; 20 January
# is a Saturday with a session, and 22 January, the Monday after it, a holiday.
QUARTER = grid_of(*[str(s.day) for s in india.sessions(date(2024, 1, 1), date(2024, 4, 2))])


@pytest.mark.parametrize(
    ("verb", "n", "begun", "opens"),
    [
        ("block_for_day", 1, "2024-01-02", "2024-01-03"),
        ("block_for_day", 1, "2024-01-25", "2024-01-29"),  # over a holiday and a weekend
        ("block_for_day", 1, "2024-01-19", "2024-01-20"),  # a Saturday with a session
        ("block_for_day", 1, "2024-01-20", "2024-01-23"),
        ("block_for_n_days", 1, "2024-01-25", "2024-01-29"),
        ("block_for_n_days", 2, "2024-01-25", "2024-01-30"),
        ("block_for_n_days", 3.0, "2024-01-19", "2024-01-24"),
        ("block_this_week", 1, "2024-01-15", "2024-01-23"),  # the Saturday is this week's
        ("block_this_week", 1, "2024-01-20", "2024-01-23"),
        ("block_this_week", 1, "2024-01-25", "2024-01-29"),
        ("block_this_week", 1, "2024-03-22", "2024-03-26"),  # the week's Monday is a holiday
        ("block_for_month", 1, "2024-01-01", "2024-02-01"),
        ("block_for_month", 1, "2024-01-31", "2024-02-01"),
        ("block_for_month", 1, "2024-03-28", "2024-04-01"),
        ("block_for_day", 1, "2024-04-02", None),  # the data's last session
        ("block_for_n_days", 10**12, "2024-01-01", None),
        ("block_this_week", 1, "2024-04-01", None),
        ("block_for_month", 1, "2024-04-01", None),
    ],
)
def test_a_span_ends_with_the_opening_of_a_session(
    verb: str, n: Any, begun: str, opens: str | None
) -> None:
    session = QUARTER.session_from(date.fromisoformat(begun))
    assert str(QUARTER.sessions[session].day) == begun
    until = end_day(verb, n, QUARTER, session)
    assert until == (None if opens is None else date.fromisoformat(opens))


def test_iso_weeks_go_over_the_years_end_and_months_do_not() -> None:
    grid = grid_of("2024-12-30", "2024-12-31", "2025-01-01", "2025-01-03", "2025-01-06")
    assert end_day("block_this_week", 1, grid, 0) == date(2025, 1, 6)
    assert end_day("block_for_month", 1, grid, 0) == date(2025, 1, 1)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, False, "3", None, float("nan"), float("inf")])
def test_a_number_of_days_that_is_none_is_refused(n: Any) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(script(b0=lambda s, c: s.block_for_n_days(n)), market(5, 5))
    assert f"block_for_n_days({n!r}): a block lasts a whole number of sessions" in str(caught.value)


@pytest.mark.parametrize(
    ("terms", "error", "message"),
    [
        ({"symbol": 5}, UsageError, r"block_for_day\(symbol=5\): name an underlying"),
        ({"symbol": "NIFTTY"}, ContractNotFound, "No NIFTTY in this feed"),
        ({"tag": 5}, UsageError, r"block_for_day\(tag=5\): give the tag"),
        ({"reason": 5}, UsageError, r"block_for_day\(reason=5\): give it as text"),
        ({"close_positions": "yes"}, UsageError, r"close_positions='yes'\): it is True or False"),
    ],
)
def test_a_block_that_says_nothing_is_refused(
    terms: dict[str, Any], error: type[Exception], message: str
) -> None:
    def ask(s: Any, c: Any) -> None:
        with pytest.raises(error, match=message):
            s.block_for_day(**terms)
        assert not s.blocked

    run = simulate(script(b0=ask), market(5, 5))
    assert run.result.log == []


# The book


def test_the_longest_block_wins() -> None:
    book = BlockBook()
    for until, settles in (("2024-01-04", False), ("2024-01-05", False), ("2024-01-05", True)):
        book.begin(Scope(), f"{until} {settles}", date.fromisoformat(until), settles)
    assert book.over("NIFTY", "am").reason == "2024-01-05 True"  # type: ignore[union-attr]
    assert [b.number for b in book.due(date(2024, 1, 5), date(2024, 1, 5))] == [0, 1]
    assert book.over("NIFTY", "am").end == "the expiry of 2024-01-05 has settled"  # type: ignore[union-attr]
    book.begin(Scope(), "for good", None)
    assert book.over("NIFTY", "am").end == "the end of the run"  # type: ignore[union-attr]
    assert [b.number for b in book.due(date(2024, 2, 5), date(2024, 1, 6))] == [2]
    assert [b.reason for b in book.on] == ["for good"]


_scopes = st.builds(
    Scope, st.sampled_from([None, "NIFTY", "BANKNIFTY"]), st.sampled_from([None, "", "am"])
)


@given(st.lists(_scopes, max_size=6), _scopes)
def test_unblock_ends_what_lies_within_its_scope_and_nothing_else(
    begun: Sequence[Scope], asked: Scope
) -> None:
    book = BlockBook()
    for number, scope in enumerate(begun):
        book.begin(scope, str(number), date(2024, 1, 2))
    lifted = book.lift(asked)
    entries = [
        (symbol, tag) for symbol in ("NIFTY", "BANKNIFTY", "SENSEX") for tag in ("", "am", "x")
    ]
    for block in (*lifted, *book.on):
        inside = all(asked.covers(*e) for e in entries if block.scope.covers(*e))
        assert (block in lifted) == inside
    assert len(lifted) + len(book.on) == len(begun)


def test_the_same_block_said_again_is_one_block() -> None:
    run = simulate(
        script(**{f"b{i}": lambda s, c: s.block_for_day(reason="enough") for i in range(4)}),
        market(5, 5, 5, 5),
    )
    assert [e.kind for e in run.result.log] == ["block"]


# What it does


def kinds(run: Simulation, kind: str) -> list[str]:
    return [e.text for e in run.result.log if e.kind == kind]


def test_entries_are_cancelled_and_refused_until_the_next_session_opens() -> None:
    days = (DAY, NEXT)

    def block(s: Any, c: Any) -> None:
        s.buy(c, lots=1)  # works from the next bar on
        s.block_for_day(reason="two stops")
        assert s.blocked
        assert c.blocked
        assert s.buy(c, lots=1) is None
        assert c.sell(1) is None

    feed = market(5, 5, 5, 5, 6, 6, 6, 6, days=days)
    run = simulate(script(b1=block, b3=buy(), b5=buy()), feed)
    assert fills(run) == [("09:17", 50, 6.0, "open", "entry")]
    assert [(o.status, o.reason) for o in run.result.orders] == [
        ("cancelled", "blocked: two stops"),
        ("filled", "open"),
    ]
    assert kinds(run, "block") == ["all entries until 2024-01-02 opens: two stops"]
    assert kinds(run, "refused") == [
        "buy(NIFTY 2024-01-04 100 CE): blocked until 2024-01-02 opens: two stops",
        "sell(NIFTY 2024-01-04 100 CE): blocked until 2024-01-02 opens: two stops",
        "buy(NIFTY 2024-01-04 100 CE): blocked until 2024-01-02 opens: two stops",
    ]
    assert kinds(run, "unblock") == ["all entries: 2024-01-02 opens (two stops)"]


def test_it_has_ended_when_the_session_starts() -> None:
    class Early(Strategy):
        def init(self) -> None:
            self.free: list[bool] = []

        def on_session_start(self) -> None:
            self.free.append(not self.blocked)
            self.buy(call(self), lots=1)

        def on_session_end(self) -> None:
            self.block_for_day()
            self.free.append(not self.blocked)

    run = simulate(Early, market(5, 5, 5, 5, days=(DAY, NEXT)))
    assert run.strategy.free == [True, False, True, False]  # type: ignore[attr-defined]
    assert [f.bar for f in run.result.fills] == [0, 2]


def test_stops_and_exits_go_on_working() -> None:
    run = simulate(
        script(
            b0=sell(sl="20%"),
            b1=lambda s, c: s.block_for_month(),
            b5=buy(),  # refused
        ),
        market(10, 10, 10, 10, 13, 13, 13),
    )
    assert [(f[4], f[2]) for f in fills(run)] == [("entry", 10.0), ("stop", 13.0)]
    run = simulate(
        script(b0=sell(sl="20%"), b1=lambda s, c: s.block_for_month(), b2=leave),
        market(10, 10, 10, 10, 13, 13, 13),
    )
    assert [(f[4], f[0]) for f in fills(run)] == [("entry", "09:16"), ("exit", "09:18")]


def test_close_positions_exits_what_is_held_in_scope() -> None:
    def block(s: Any, c: Any) -> None:
        s.block_for_day(tag="pm", close_positions=True)
        assert [o.kind for o in s.get_orders("working")] == ["stop"]
        s.block_for_day(tag="am", close_positions=True)

    run = simulate(script(b0=sell(tag="am", sl=20), b1=block), market(10, 10, 11, 12))
    assert fills(run) == [
        ("09:16", -50, 10.0, "open", "entry"),
        ("09:17", 50, 11.0, "open", "exit"),
    ]


def test_only_its_scope_is_blocked() -> None:
    def block(s: Any, c: Any) -> None:
        s.buy(c, lots=1, tag="pm")
        s.buy(c, lots=2, tag="am")
        s.block_for_day(tag="am")
        assert not s.blocked, "entries without a tag are free"
        assert s.buy(c, lots=3, tag="am") is None
        s.block_for_day("OTHER")
        assert not c.blocked
        assert s.contract("OTHER").blocked

    feed = market(5, 5, 5)
    feed.add_index([100] * 3, "OTHER")
    run = simulate(script(b0=block, b1=buy()), feed)
    assert [f.qty for f in run.result.fills] == [50, 50]
    assert [f.tag for f in run.result.fills] == ["pm", ""]


def test_a_contract_and_a_position_block_their_underlying() -> None:
    feed = market(5, 5, 5, 5)
    feed.add_index([100] * 4, "OTHER")

    def block(s: Any, c: Any) -> None:
        c.position.block_for_n_days(2, reason="enough")
        assert s.blocked
        assert c.position.blocked
        assert not s.contract("OTHER").blocked
        with pytest.raises(UsageError, match=r"its symbol is 'NIFTY'; block another one from the"):
            c.block_for_day("OTHER")
        c.unblock()
        assert not s.blocked
        s.block_for_day()
        c.unblock()
        assert s.blocked, "a block on all entries is not the contract's to end"
        s.unblock()
        assert not s.blocked

    run = simulate(script(b0=buy(), b1=block, b2=buy()), feed)
    assert len(run.result.fills) == 2
    assert kinds(run, "block")[0] == "NIFTY entries until the end of the run: enough"
    assert kinds(run, "unblock") == [
        "NIFTY entries: unblock() (enough)",
        "all entries: unblock() (block_for_day)",
    ]


def test_a_longer_block_outlives_a_shorter_one_begun_after_it() -> None:
    def both(s: Any, c: Any) -> None:
        s.block_for_n_days(2, reason="long")
        s.block_for_day(reason="short")

    days = (DAY, NEXT, "2024-01-03")
    run = simulate(script(b0=both, b1=buy(), b3=buy(), b6=buy()), market(*[5] * 9, days=days))
    assert [f.bar for f in run.result.fills] == [7]
    assert [t.rpartition(": ")[2] for t in kinds(run, "refused")] == ["long", "long"]


def test_targets_and_trails_go_on_working_and_nothing_is_added() -> None:
    def block(s: Any, c: Any) -> None:
        s.block_for_day()
        assert c.position.add(1) is None
        c.position.set_target(13)

    run = simulate(script(b0=buy(target=20, trail="50%"), b1=block), market(10, 10, 10, 14, 14))
    assert [(f[4], f[2]) for f in fills(run)] == [("entry", 10.0), ("target", 14.0)]


def two_calls(second: Any) -> MemoryFeed:
    feed = market(5, 5, 5, 5, 5)
    feed.add_option("2024-01-04", 110, "CE", second)
    return feed


def test_a_combo_is_refused_whole() -> None:
    def enter(s: Any, c: Any) -> None:
        s.block_for_day(tag="fly")
        legs = [Sell(s.option(100, "CE"), 1), Buy(s.option(110, "CE"), 1)]
        assert s.combo(legs, tag="fly") == []
        assert len(s.combo(legs)) == 2

    run = simulate(script(b0=enter), two_calls([2] * 5))
    assert len(run.result.orders) == 2
    assert kinds(run, "refused") == [
        "combo(NIFTY 2024-01-04 110 CE): blocked until the end of the run: block_for_day"
    ]


@pytest.mark.parametrize("close", [False, True])
def test_a_block_undoes_a_combo_that_has_filled_in_part(close: bool) -> None:
    def enter(s: Any, c: Any) -> None:
        s.buy(s.option(110, "CE"), lots=1, tag="fly")
        s.combo([Sell(c, 1), Buy(s.option(110, "CE"), 1)], tag="fly")

    feed = MemoryFeed("NIFTY", [DAY], minutes=6)
    feed.add_index([100] * 6)
    feed.add_option("2024-01-04", 100, "CE", [5, None, None, 5, 5, 5])  # sold when it trades
    feed.add_option("2024-01-04", 110, "CE", [2] * 6)
    run = simulate(script(b0=enter, b1=lambda s, c: s.block_for_day(close_positions=close)), feed)
    left = -100 if close else -50
    assert [f.qty for f in run.result.fills] == [50, 50, left], "what the wing was bought for"
    assert [o.status for o in run.result.orders if o.qty < 0 and not o.is_exit] == ["cancelled"]


# Till the monthly expiry


def expiring(*days: str, monthly: str, other: str = "2024-02-29") -> MemoryFeed:
    """Two bars a day; contracts of one monthly expiry and of the one after it."""
    feed = MemoryFeed("NIFTY", days=days, minutes=2)
    n = 2 * len(days)
    feed.add_index([100] * n)
    left = 2 * sum(d <= monthly for d in days) or n
    feed.add_option(monthly, 100, "CE", [5] * left)
    feed.add_option(other, 100, "CE", [5] * n)
    return feed


class Evening(Strategy):
    """Blocks at a bar, and writes down the hooks at which it is free."""

    at_bar = 0

    def init(self) -> None:
        self.free: list[str] = []

    def look(self, hook: str) -> None:
        if not self.blocked:
            self.free.append(f"{self.now:%d %H:%M} {hook}")

    def on_session_start(self) -> None:
        self.look("start")

    def on_bar(self) -> None:
        if self.bar == 0:
            self.buy(self.option(100, "CE"), lots=1)
        if self.bar == self.at_bar:
            self.block_till_monthly_expiry()
        self.look("bar")

    def on_session_end(self) -> None:
        self.look("end")

    def on_expiry(self, contract: Any) -> None:
        self.look("expiry")


BEFORE = ["24 09:15 start", "24 09:16 bar", "24 09:17 bar", "24 09:17 end", "25 09:15 start",
          "25 09:16 bar"]  # fmt: skip


@pytest.mark.parametrize(("bar", "before"), [(1, 2), (2, 5), (3, 6)])
def test_it_ends_when_the_expiry_has_settled(bar: int, before: int) -> None:
    """Begun the day before, and in either bar of its own day."""
    feed = expiring("2024-01-24", "2024-01-25", "2024-01-29", monthly="2024-01-25")
    run = simulate(partial(Evening, at_bar=bar), feed)
    after = ["25 09:17 expiry", "29 09:15 start", "29 09:16 bar", "29 09:17 bar", "29 09:17 end"]
    assert run.strategy.free == BEFORE[:before] + after  # type: ignore[attr-defined]
    assert kinds(run, "unblock") == [
        "all entries: the expiry of 2024-01-25 has settled (block_till_monthly_expiry)"
    ]


def test_an_expiry_that_was_shifted_ends_it_on_the_day_it_is_on() -> None:
    feed = expiring(
        "2024-02-27", "2024-02-28", "2024-03-01", monthly="2024-02-28", other="2024-03-28"
    )
    run = simulate(partial(Evening, at_bar=1), feed)
    assert run.strategy.free[2] == "28 09:17 expiry"  # type: ignore[attr-defined]


def test_an_expiry_on_a_day_that_is_not_in_the_data_ends_it_once_settled() -> None:
    feed = expiring("2024-01-24", "2024-01-29", "2024-01-30", monthly="2024-01-25")
    run = simulate(partial(Evening, at_bar=1), feed)
    assert run.strategy.free[2:5] == [  # type: ignore[attr-defined]
        "29 09:16 expiry",  # settled at the first bar after
        "29 09:17 bar",
        "29 09:17 end",
    ]


def test_in_the_evening_it_is_the_next_monthly_expiry() -> None:
    class Late(Strategy):
        def on_expiry(self, contract: Any) -> None:
            self.block_till_monthly_expiry()

        def on_bar(self) -> None:
            if self.bar == 0:
                self.buy(self.option(100, "CE"), lots=1)

    run = simulate(Late, expiring("2024-01-25", "2024-01-29", monthly="2024-01-25"))
    assert run.blocked, "it lasts to the end of the data"
    assert kinds(run, "block") == [
        "all entries until the expiry of 2024-02-29 has settled: block_till_monthly_expiry"
    ]


def test_weeklies_do_not_end_it_and_a_calendar_without_a_monthly_says_so() -> None:
    feed = MemoryFeed("NIFTY", days=["2024-01-18"], minutes=2)
    feed.add_index([100] * 2)
    feed.add_option("2024-01-18", 100, "CE", [5] * 2)
    with pytest.raises(ExpiryNotFound, match="No NIFTY monthly expiry number 0 on or after"):
        simulate(partial(Evening, at_bar=1), feed)


def test_a_symbol_with_futures_only_has_its_futures_expiries() -> None:
    feed = MemoryFeed("NIFTY", days=["2024-01-24", "2024-01-25", "2024-01-29"], minutes=2)
    feed.add_index([100] * 6)
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50), [100] * 4)

    class Early(Strategy):
        def init(self) -> None:
            self.spot.block_till_monthly_expiry()

    run = simulate(Early, feed)
    assert "2024-01-25" in kinds(run, "block")[0]


# Deactivated positions


def test_what_is_deactivated_is_left_to_its_stops() -> None:
    def freeze(s: Any, c: Any) -> None:
        s.buy(c, lots=1)
        s.exit(c)
        s.deactivate_positions(reason="the news")
        assert not s.blocked
        assert c.buy(1) is None

    run = simulate(
        script(b0=buy(sl=3), b1=freeze, b2=buy(), b5=buy()), market(5, 5, 5, 5, 2, 2, 2, 2)
    )
    assert fills(run) == [
        ("09:16", 50, 5.0, "open", "entry"),
        ("09:19", -50, 2.0, "gap", "stop"),
        ("09:21", 50, 2.0, "open", "entry"),  # the position it was about is closed
    ]
    why = "its position is left to its stops until unblock(): the news"
    assert kinds(run, "refused") == [f"buy(NIFTY 2024-01-04 100 CE): {why}"] * 2
    assert kinds(run, "block") == [
        "left to their stops until unblock(): the news (NIFTY 2024-01-04 100 CE)"
    ]
    assert [o.reason for o in run.result.orders if o.status == "cancelled"] == [
        "deactivated: the news"
    ] * 2


def test_targets_are_not_left_to_a_deactivated_position() -> None:
    freeze = lambda s, c: s.deactivate_positions()  # noqa: E731
    run = simulate(script(b0=buy(sl=3, target=8), b1=freeze), market(5, 5, 5, 9, 2))
    assert [(f[4], f[2]) for f in fills(run)] == [("entry", 5.0), ("stop", 2.0)]


def test_unblock_makes_positions_active_again_and_an_exit_is_an_exit() -> None:
    def off(s: Any, c: Any) -> None:
        s.unblock(tag="other")
        assert c.buy(1) is None
        c.position.unblock()
        assert c.buy(1) is not None
        s.deactivate_positions()
        s.exit(c)

    freeze = lambda s, c: c.position.deactivate_positions()  # noqa: E731
    run = simulate(script(b0=buy(tag="am"), b1=freeze, b2=off), market(5, 5, 5, 5, 5))
    assert [(f[0], f[4]) for f in fills(run)] == [("09:16", "entry"), ("09:18", "exit")]


# Cooldown


def test_a_cooldown_runs_by_name_and_on_the_runs_clock() -> None:
    class Cool(Strategy):
        def init(self) -> None:
            self.used: list[tuple[str, str]] = []

        def on_bar(self) -> None:
            for name, time in (("a", "2min"), ("b", "3min")):
                if self.cooldown(name, time):
                    self.used.append((name, f"{self.now:%d %H:%M}"))

    run = simulate(Cool, market(5, 5, 5, 5, 5, 5, 5, 5, days=(DAY, NEXT)))
    expected = [
        *[("a", "01 09:16"), ("b", "01 09:16"), ("a", "01 09:18"), ("b", "01 09:19")],
        *[("a", "02 09:16"), ("b", "02 09:16"), ("a", "02 09:18"), ("b", "02 09:19")],
    ]
    assert run.strategy.used == expected  # type: ignore[attr-defined]
    run.back(3)
    assert len(run.strategy.used) == 6  # type: ignore[attr-defined]
    run.run()
    assert run.strategy.used == expected  # type: ignore[attr-defined]


def test_a_cooldown_wants_a_name_and_a_time() -> None:
    with pytest.raises(UsageError, match=r"cooldown\(5, …\): name it with a text"):
        simulate(script(b0=lambda s, c: s.cooldown(5, "1min")), market(5, 5))
    with pytest.raises(UsageError, match="'soon' is no duration"):
        simulate(script(b0=lambda s, c: s.cooldown("a", "soon")), market(5, 5))


# By hand


def test_a_hand_on_a_paused_run_blocks_and_the_replay_does_too() -> None:
    everything = {f"b{i}": buy() for i in range(7)}
    run = simulate(script(**everything), market(*[5] * 8, days=(DAY, NEXT)), run=False)
    run.step(2)
    run.block_for_day(reason="lunch")
    assert run.blocked
    with pytest.raises(UsageError, match=r"block_for_n_days\(-1\)"):
        run.block_for_n_days(-1)
    assert [(i.bar, i.verb) for i in run.interventions] == [(1, "block_for_day")]
    run.run()
    first = run.result
    assert [f.bar for f in first.fills] == [1, 5, 6, 7]
    assert "intervention" in [e.kind for e in first.log]
    run.back(5)
    assert run.blocked
    run.run()
    assert run.result.hash == first.hash
    assert run.result.log == first.log
    run.back(7)
    run.unblock()  # nothing is on yet
    run.step(2)
    run.unblock()
    run.run()
    assert [f.bar for f in run.result.fills] == [1, 4, 5, 6, 7]


def test_handles_from_before_a_rewind_block_nothing() -> None:
    run = simulate(script(b0=buy()), market(5, 5, 5, 5), run=False)
    run.step(3)
    strategy, contract = run.strategy, call(run.strategy)
    position = contract.position
    run.back(1)
    for handle in (strategy, contract, position):
        with pytest.raises(StaleHandle):
            handle.block_for_day()
        with pytest.raises(StaleHandle):
            _ = handle.blocked


# Laws


class Rule(NamedTuple):
    """A verb of blocks, said at the n-th look of a program."""

    verb: str
    n: int = 1
    terms: tuple[tuple[str, Any], ...] = ()


TAGS = ("", "am")
_terms = st.fixed_dictionaries(
    {}, optional={"symbol": st.just("NIFTY"), "tag": st.sampled_from(TAGS)}
)
_close = st.fixed_dictionaries({}, optional={"close_positions": st.booleans()})


_verbs = st.sampled_from(
    ["block_for_n_days", "block_till_monthly_expiry", "block_for_day", "deactivate_positions",
     "unblock", "block_this_week", "block_for_month", "block_for_day", "block_for_n_days"]
)  # fmt: skip


@st.composite
def _rules(draw: st.DrawFn) -> Rule:
    verb = draw(_verbs)
    terms = draw(_terms)
    if verb.startswith("block"):
        terms |= draw(_close)
    return Rule(verb, draw(st.integers(1, 3)), tuple(terms.items()))


plans = st.dictionaries(st.integers(0, 30), _rules(), min_size=3, max_size=9)


def say(face: Any, rule: Rule) -> None:
    args = (rule.n,) if rule.verb == "block_for_n_days" else ()
    getattr(face, rule.verb)(*args, **dict(rule.terms))


class MonthlyFeed(WorldFeed):
    """A world whose last expiry is a monthly one, and one more behind the data."""

    def expiries(self, symbol: str, asset: Any = "option") -> Any:
        found = super().expiries(symbol, asset)
        ends = {e.day for e in found[-1:]}
        kinds: Any = [Expiry(e.day, "monthly" if e.day in ends else "weekly") for e in found]
        return [*kinds, Expiry(date(2024, 12, 26), "monthly")]


class Said(NamedTuple):
    """What was said, after how many fills, in which session."""

    rule: Rule
    fills: int
    day: date
    expiry: date | None


class Ruled(Scripted):
    """A program with blocks: each is said at the start of a hook, before its orders."""

    def __init__(self, world: World, program: Program, plan: dict[int, Rule]) -> None:
        super().__init__(world, program)
        self.plan = plan
        self.said: list[Said] = []
        self.did: dict[int, tuple[list[int], list[str]]] = {}  # cancelled; exits placed
        self.skipped: set[int] = set()
        self.calls = 0

    def look(self, hook: str) -> None:
        super().look(hook)
        rule = self.plan.get(len(self.seen) - 1)
        if rule is not None and hook != "over":
            desk = self._desk
            monthly = rule.verb == "block_till_monthly_expiry"
            working, placed = list(desk.exchange.working), len(desk.orders)
            self.said.append(
                Said(rule, len(desk.portfolio.fills), self.today,
                     self.get_monthly_expiry() if monthly else None)
            )  # fmt: skip
            say(self, rule)
            self.did[len(self.seen) - 1] = (
                [o.id for o in working if o.status == "cancelled"],
                [o.contract.name for o in desk.orders[placed:]],
            )

    def one(self, a: Action) -> None:
        if a.verb in ABOUT_BLOCKS:  # it has a plan of its own
            return
        # what does not come through buy and sell
        if a.verb not in ("add", "combo", "strangle", "roll"):
            super().one(a)

    def order(self, place: Any, contract: Any, **terms: Any) -> Any:
        call_number, self.calls = self.calls, self.calls + 1
        placed = place(contract, **(terms | {"tag": TAGS[call_number % 2]}))
        if placed is None and contract is not None:
            self.skipped.add(call_number)
        return placed

    def buy(self, contract: Any, lots: Any = None, **terms: Any) -> Any:
        return self.order(super().buy, contract, lots=lots, **terms)

    def sell(self, contract: Any, lots: Any = None, **terms: Any) -> Any:
        return self.order(super().sell, contract, lots=lots, **terms)


class Abstaining(Ruled):
    """The same without blocks: it leaves those entries out and cancels those orders itself."""

    def __init__(self, world: World, program: Program, like: Ruled) -> None:
        super().__init__(world, program, {})
        self.like = like

    def look(self, hook: str) -> None:
        super().look(hook)
        cancelled, exits = self.like.did.get(len(self.seen) - 1, ([], []))
        for number in cancelled:
            self._desk.end(self._desk.orders[number], "cancelled", "by itself")
        for name in exits:
            self.exit(self.contract(name))

    def order(self, place: Any, contract: Any, **terms: Any) -> Any:
        if self.calls in self.like.skipped:
            self.calls += 1
            return None
        return super().order(place, contract, **terms)


def _with_bars(kind: Any) -> Any:
    def on_bar(self: Any) -> None:
        self.act("bar", (self.program.bars or {}).get(self.bar, ()))

    return type(f"{kind.__name__}Bars", (kind,), {"on_bar": on_bar})


RuledBars, AbstainingBars = _with_bars(Ruled), _with_bars(Abstaining)


def ruled(world: World, program: Program, plan: Any, close: bool = False) -> Simulation:
    """Return the engine, about to run a program with blocks, or another's without them."""
    kind: Any = Ruled if program.bars is None else RuledBars
    if isinstance(plan, Ruled):
        kind = Abstaining if program.bars is None else AbstainingBars
    feed = MonthlyFeed(world)
    return simulate_on(feed, lambda: kind(world, program, plan), close)


def simulate_on(feed: WorldFeed, make: Any, close: bool) -> Simulation:
    return simulate(
        make, feed, capital=CAPITAL // 10_000, slippage=None, run=False, fill_at_close=close
    )


few = settings(
    max_examples=80, deadline=None, derandomize=True, print_blob=True, report_multiple_bugs=False
)


def lasts(said: Said, day: date, days: Sequence[date]) -> bool:
    """Whether a block is on in a session, said plainly."""
    verb, begun = said.rule.verb, said.day
    if verb == "block_for_day":
        return day == begun
    if verb == "block_for_n_days":
        return days.index(day) - days.index(begun) < said.rule.n
    if verb == "block_this_week":
        return day.isocalendar()[:2] == begun.isocalendar()[:2]
    if verb == "block_for_month":
        return (day.year, day.month) == (begun.year, begun.month)
    return said.expiry is not None and day <= said.expiry


@few
@given(worlds(), programs(), plans, st.booleans())
def test_nothing_is_entered_inside_a_block(
    world: World, program: Program, plan: dict[int, Rule], close: bool
) -> None:
    sim = ruled(world, program, plan, close).run()
    strategy: Any = sim.strategy
    days = [d.date for d in world.days]
    for f in sim.result.fills:
        if f.kind != "entry":
            continue
        on: list[Said] = []
        for said in strategy.said:
            if said.fills > f.id:
                break
            terms = dict(said.rule.terms)
            tag = terms.get("tag")
            if said.rule.verb == "unblock":
                symbol = terms.get("symbol")
                on = [
                    s
                    for s in on
                    if (symbol is not None and dict(s.rule.terms).get("symbol") != symbol)
                    or (tag is not None and dict(s.rule.terms).get("tag") != tag)
                ]
            elif said.rule.verb != "deactivate_positions" and tag in (None, f.tag):
                on.append(said)
        assert [s for s in on if lasts(s, sim.grid.day(f.bar), days)] == []
    ended = [o for o in sim.result.orders if o.reason.startswith("blocked")]
    assert not any(o.is_exit for o in ended), "a block leaves exits alone"


@few
@given(worlds(), programs(), plans, st.booleans())
def test_a_block_does_what_leaving_those_entries_out_does_and_nothing_else(
    world: World, program: Program, plan: dict[int, Rule], close: bool
) -> None:
    sim = ruled(world, program, plan, close).run()
    strategy: Any = sim.strategy
    plain = ruled(world, program, strategy, close).run()
    assert plain.result.hash == sim.result.hash
    assert plain.strategy.seen == strategy.seen  # type: ignore[attr-defined]
    assert not any(e.kind in ("block", "unblock") for e in plain.result.log)


_moves = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["step", "step", "run_to", "fill", "session", "back"]),
            st.integers(1, 9),
        ),
        st.tuples(st.just("rule"), _rules()),
    ),
    max_size=14,
)


@few
@given(worlds(), programs(), plans, st.booleans(), _moves)
def test_jumping_stepping_and_rewinding_give_the_same_bytes_with_blocks_by_hand_too(
    world: World,
    program: Program,
    plan: dict[int, Rule],
    close: bool,
    moves: list[tuple[str, Any]],
) -> None:
    walked = ruled(world, program, plan, close)
    for move, what in moves:
        note(f"{move} {what} from {walked.bar}")
        if move == "rule":
            if not walked.finished:
                say(walked, what)
        elif move == "step":
            walked.step(what)
        elif move == "back":
            walked.back(what)
        elif move == "run_to":
            walked.run_to(min(walked.bar + what, walked.grid.n - 1))
        else:
            walked.run_to(move)
    walked.run()
    jumped, stepped = (with_hands(world, program, plan, close, walked) for _ in range(2))
    jumped.run()
    while not stepped.finished:
        stepped.step()
    assert jumped.result.hash == stepped.result.hash == walked.result.hash
    assert jumped.strategy.seen == stepped.strategy.seen == walked.strategy.seen  # type: ignore[attr-defined]
    assert jumped.result.log == stepped.result.log == walked.result.log


def with_hands(
    world: World, program: Program, plan: Any, close: bool, like: Simulation
) -> Simulation:
    """Return a fresh run with the interventions of another."""
    sim = ruled(world, program, plan, close)
    sim.interventions = list(like.interventions)
    sim._apply_interventions()
    return sim
