"""What a run holds in memory: what is listed around now, and what is booked."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, overload

import numpy as np
import pytest

from bestbt.engine.contract import Contract, ContractState
from bestbt.engine.ports import ContractSpec, Listing
from bestbt.engine.prices import PriceColumns
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.testing import MemoryFeed, simulate

MINUTES, SESSIONS = 6, 12
STRIKES = (95, 100, 105)


class LendingFeed(MemoryFeed):
    """Makes prices anew at each question and counts those that somebody still has.

    Each session is the expiry of six options, listed from the session before.
    """

    def __init__(self, sessions: int = SESSIONS) -> None:
        day, days = date(2024, 1, 1), list[date]()
        while len(days) < sessions:
            days.append(day)
            day += timedelta(days=3 if day.weekday() == 4 else 1)
        super().__init__("NIFTY", days, minutes=MINUTES)
        rng = np.random.default_rng(5)
        self.add_index(np.round(100 + np.cumsum(rng.normal(0, 0.5, sessions * MINUTES)), 1))
        for number, expiry in enumerate(days):
            first = max(number - 1, 0) * MINUTES
            for strike in STRIKES:
                for right in ("CE", "PE"):
                    size = (number + 1) * MINUTES - first
                    prices: list[Any] = np.round(5 + rng.random(size) * 4, 1).tolist()
                    prices[2] = None  # a stale bar
                    units = rng.integers(1, 9, size) * 50
                    self.add_option(
                        expiry, strike, right, prices, first, volume=units, oi=units * 10
                    )
        self.lent: weakref.WeakSet[PriceColumns] = weakref.WeakSet()
        self.most = 0  # prices alive at a time
        self.questions = 0  # of what is listed

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        self.asked.append(spec)
        own = self._columns[spec]
        made = PriceColumns(own.first, own.points, own.live, own.scale, own.volume, own.oi)
        self.lent.add(made)
        self.most = max(self.most, len(self.lent))
        return made

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        self.questions += 1
        return super().listed(symbol, expiry)


class Reader(Strategy):
    """Looks at every option of the nearest expiry, trades two, keeps one to the settlement."""

    @at("09:16")
    def enter(self) -> None:
        chain = self.chain()
        self.look = chain.straddle_premium, chain.pcr, chain.iv_smile()
        self.sell(chain.call(100), lots=1, sl="20%")
        self.buy(chain.put(105), lots=1)

    @at("09:18")
    def turn(self) -> None:
        self.exit(self.chain().put(105))

    @at("09:19")
    def again(self) -> None:
        self.buy(self.chain().put(105), lots=2)


def play(strategy: type[Strategy], feed: MemoryFeed) -> tuple[Simulation, list[int]]:
    """Step to the end; return equity bar by bar as the books had it."""
    sim, seen = simulate(strategy, feed, run=False), []
    while not sim.finished:
        sim.step()
        seen.append(sim.desk.portfolio.equity)
    return sim, seen


def test_a_long_run_holds_the_prices_of_what_is_listed_around_now() -> None:
    peaks = []
    for sessions in (SESSIONS, 3 * SESSIONS):
        feed = LendingFeed(sessions)
        gc.collect()
        gc.disable()  # nothing waits for the collector
        try:
            sim, by_hand = play(Reader, feed)
        finally:
            gc.enable()
        peaks.append(feed.most)
        assert len(feed.asked) == 1 + 6 * sessions, "each is loaded once"
        assert sim.result.equity().tolist() == by_hand
        assert len(feed.asked) == 1 + 6 * sessions, "equity asks for none again"
        assert len(sim.result.fills) > 4 * sessions
    assert peaks == [1 + 6, 1 + 6], "the index, and today's options"


def test_what_the_run_looks_things_up_in_does_not_grow() -> None:
    feed = LendingFeed(3 * SESSIONS)
    sim = simulate(Reader, feed, run=False)
    sizes = set()
    while not sim.finished:
        sim.run_to("session")
        desk = sim.desk
        kept = (desk._chains, desk._unreleased, desk.expiring, desk._settled)
        sizes.add(tuple(len(x) for x in (*kept, sim.feeder._due, desk.portfolio.charged_today)))
    assert sizes == {(1, 1, 0, 0, 0, 0)}
    assert feed.questions == 3 * SESSIONS, "once an expiry"


def test_a_result_taken_while_something_was_held_is_not_lost() -> None:
    sim = simulate(Reader, LendingFeed(), run=False)
    sim.run_to(2 * MINUTES - 2)
    early = sim.result
    equity = early.equity().tolist()
    assert early.positions
    sim.run()
    assert early.equity().tolist() == equity
    assert sim.result.equity().tolist()[: len(equity)] == equity


def test_the_marks_of_every_bar_in_which_something_was_held_stay() -> None:
    feed = LendingFeed()
    contracts = {f.contract for f in simulate(Reader, feed).result.fills}
    times = 0
    for contract in contracts:
        own = feed._columns[contract.spec]
        for opened, closed in contract.times_held:
            times += 1
            kept = contract.marks(opened, closed + 1)
            assert kept.tolist() == own.marks[opened - own.first :][: len(kept)].tolist()
            assert len(kept) == closed + 1 - opened, "the bar of the last fill too"
    assert times >= 3 * SESSIONS - 2


class Keeper(Reader):
    """Has two contracts of the first expiry: one it has traded, one it has looked at."""

    def init(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def on_session_end(self) -> None:
        if not self.told:
            self.kept = [self.chain().call(100), self.chain().call(95)]
        expired = [c.is_expired for c in self.kept]
        self.told.append(tuple((c.price, c.age, c.volume, c.oi, c.mark) for c in self.kept))
        if len(self.told) > 1:
            assert expired == [True, True]
            assert [c.open for c in self.kept] == [c.price for c in self.kept]
            assert self.contract(self.kept[0].name) is self.kept[0]
            assert self.contract(self.kept[1].name) is self.kept[1]


def test_what_has_expired_answers_with_its_last_prices() -> None:
    feed = LendingFeed()
    sim = simulate(Keeper, feed)
    assert isinstance(sim.strategy, Keeper)
    told = sim.strategy.told
    for number, (first, later) in enumerate(zip(told[0], told[-1], strict=True)):
        price, age, *rest = first
        assert later == (price, age + MINUTES * (SESSIONS - 1), *rest)
        own = feed._columns[sim.strategy.kept[number].spec]
        assert price == own.close[-1]
        assert sim.strategy.kept[number].state is ContractState.EXPIRED
    assert len(feed.asked) == 1 + 6 * SESSIONS, "none is loaded again"


def test_prices_that_are_gone_can_be_read_again_and_are_not_kept() -> None:
    feed = LendingFeed()
    sim = simulate(Keeper, feed)
    assert isinstance(sim.strategy, Keeper)
    before = len(feed.lent)
    columns = sim.strategy.kept[0]._prices
    assert columns is not None
    assert columns.n == MINUTES
    assert len(feed.lent) == before + 1
    del columns
    assert len(feed.lent) == before


def test_a_contract_that_nobody_has_is_forgotten() -> None:
    sim = simulate(Reader, LendingFeed())
    first = sim.grid.sessions[0].day
    unheld = sim.desk.contract(ContractSpec("option", "NIFTY", first, 95.0, "CE", lot=50))
    assert unheld.is_expired
    assert sim.desk.contract(unheld.spec) is unheld
    gone = weakref.ref(unheld)
    del unheld
    assert gone() is None
    traded = next(f.contract for f in sim.result.fills)
    assert sim.desk.contract(traded.spec) is traded


def test_a_run_takes_its_prices_along() -> None:
    feed = LendingFeed()
    sim = simulate(Reader, feed, run=False).run_to(3 * MINUTES + 2)
    assert len(feed.lent) == 1 + 6
    desk = weakref.ref(sim.desk)
    sim.back(2)
    gc.collect()
    assert desk() is None, "a rewound run is gone but for what the user kept of it"
    assert len(feed.lent) == 1 + 6
    result = sim.result
    contract: weakref.ref[Contract] = weakref.ref(result.fills[-1].contract)
    del sim, result
    gc.collect()
    assert contract() is None
    assert not feed.lent


class Rows(Sequence[Listing]):
    """Listed options that count how often one is looked at."""

    def __init__(self, rows: Sequence[Listing]) -> None:
        self.rows, self.reads = rows, 0

    @overload
    def __getitem__(self, at: int) -> Listing: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Listing]: ...
    def __getitem__(self, at: int | slice) -> Listing | Sequence[Listing]:
        found = self.rows[at]
        self.reads += 1 if isinstance(at, int) else len(self.rows[at])
        return found

    def __len__(self) -> int:
        return len(self.rows)


@pytest.mark.parametrize("count", [20, 2_000])
def test_options_that_nobody_asks_for_are_not_looked_at(count: int) -> None:
    class Picker(Strategy):
        @at("09:17")
        def look(self) -> None:
            picked = self.get_atm("CE"), self.get_atm("PE", offset=2), self.option(95, "CE")
            assert [str(c and c.strike) for c in picked] == ["100.0", "98.0", "95.0"]

    feed = MemoryFeed("NIFTY", ["2024-01-01"], minutes=5)
    feed.add_index([100.3] * 5)
    rows = [
        Listing(feed.add_option("2024-01-04", strike, right, [5] * 5), 0)
        for strike in range(95, 95 + count // 2)
        for right in ("CE", "PE")
    ]
    listing = Rows(rows)
    feed.listed = lambda symbol, expiry: listing  # type: ignore[assignment,method-assign,return-value]
    simulate(Picker, feed)
    assert listing.reads < 70
    assert len(feed.asked) == 1 + 2, "prices of the index and of the two that were picked"
