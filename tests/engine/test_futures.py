"""A future moves no notional: its profit is paid each session's end, and the rest when closed."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy, at
from bestbt.testing import MemoryFeed, PlainMarket, simulate
from bestbt.units import MINUTE
from tests.engine.reference_futures import Contract, play

SPEC = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)
DAYS = ["2024-01-01", "2024-01-02"]


def feed() -> MemoryFeed:
    made = MemoryFeed("NIFTY", DAYS, minutes=3)
    made.add_index([100] * 6)
    made.add(SPEC, [101, 103, 105, 110, 112, 115])
    return made


class Holds(Strategy):
    @at("open+1min", weekdays="Mon")
    def enter(self) -> None:
        self.buy(self.futures(), lots=2)

    @at("open+2min", weekdays="Tue")
    def leave(self) -> None:
        self.exit_all()


def test_the_cash_moves_by_the_profit_and_the_books_balance_at_every_bar() -> None:
    run = simulate(Holds, feed(), capital=10_000, run=False)
    seen = []
    while not run.finished:
        run.step()
        books = run.desk.portfolio
        pnl = books.realized + books.unrealized - books.charges
        assert books.equity - books.capital == pnl
        seen.append((books.cash // 10_000, books.equity // 10_000))
    # bought 100 units at 103; the day settles on the mean of its bars (101 + 103 + 105) / 3 = 103
    assert seen == [
        (10_000, 10_000),
        (10_000, 10_000),
        (10_000, 10_200),
        (10_000, 10_700),
        (10_000, 10_900),
        (11_200, 11_200),  # closed at 115: (115 - 103) * 100
    ]
    result = run.result
    np.testing.assert_array_equal(result.equity() // 10_000, [equity for _, equity in seen])
    assert [p.account for p in result.ledger] == ["capital", "variation"]


def test_a_future_is_settled_daily_on_its_last_half_hour_and_counted_once() -> None:
    made = feed()
    made._columns[SPEC] = columns_of([101, 103, [105, 120, 102, 109], 110, 112, 115])
    run = simulate(Holds, made, capital=10_000, run=False)
    run.step(3)
    # mean of (O+H+L+C)/4: (101 + 103 + 109) / 3 = 104.33
    assert run.desk.portfolio.cash == (10_000 + 133) * 10_000
    assert run.desk.portfolio.equity == (10_000 + 600) * 10_000
    run.run()
    assert run.desk.portfolio.cash == run.desk.portfolio.equity == 11_200 * 10_000
    assert run.result.equity()[-1] == 11_200 * 10_000


def columns_of(prices: list[object]) -> object:
    made = MemoryFeed("NIFTY", DAYS, minutes=3)
    made.add(SPEC, prices)
    return made._columns[SPEC]


def test_prices_of_an_index_are_said_to_the_paisa() -> None:
    made = MemoryFeed("NIFTY", DAYS, minutes=3)
    made.add_index([21664.45] * 6)
    made.add(SPEC, [21664.45] * 6)

    class Waits(Strategy):
        @at("open+1min", weekdays="Mon")
        def enter(self) -> None:
            self.buy(self.futures(), lots=1, type="limit", price=21660.05)
            self.buy(self.futures(), lots=1)

    run = simulate(Waits, made)
    limit, market = run.result.orders
    assert "limit 21660.05," in repr(limit)
    (fill,) = run.result.fills
    assert f"at {fill.price:.2f}," in repr(fill)
    assert repr(market.contract.position).endswith(f"at {fill.price:.2f}>")


# Stored settlement prices

MONDAY, TUESDAY = date(2024, 1, 1), date(2024, 1, 2)


def test_a_stored_settlement_price_comes_before_the_mean_and_is_told() -> None:
    made = feed()
    made.settlements[SPEC, MONDAY] = 10_475
    run = simulate(Holds, made, capital=10_000, run=False)
    run.step(3)
    # 100 units bought at 103, settled for the day at 104.75
    assert run.desk.portfolio.cash == (10_000 + 175) * 10_000
    assert run.desk.portfolio.equity == (10_000 + 200) * 10_000  # marked at its last close, 105
    (entry,) = [e for e in run.result.log if e.kind == "variation"]
    assert entry.values == {"source": "official", "value": 104.75}
    assert entry.text == "NIFTY 2024-01-25 FUT settled for the day at 104.75 (official)"
    run.run()
    assert run.desk.portfolio.cash == run.result.equity()[-1] == 11_200 * 10_000
    without = simulate(Holds, feed(), capital=10_000)
    assert [f.raw_price for f in without.result.fills] == [f.raw_price for f in run.result.fills]
    assert without.result.hash != run.result.hash  # the ledger has other postings


def test_where_nothing_is_stored_the_log_says_what_the_day_was_settled_on() -> None:
    made = MemoryFeed("NIFTY", DAYS, minutes=40)
    made.add_index([100] * 80)
    made.add(SPEC, [101, 103, 104, *[None] * 37, *[110] * 2, *[111] * 38])
    run = simulate(Holds, made, capital=10_000, run=False)
    run.step(41)
    (entry,) = [e for e in run.result.log if e.kind == "variation"]
    assert entry.values == {"source": "mark", "value": 104.0}


def expiring() -> MemoryFeed:
    made = MemoryFeed("NIFTY", ["2024-01-24", "2024-01-25"], minutes=3)
    made.add_index([100, 100, 100, 104, 106, 108])
    made.add(SPEC, [101, 103, 105, 110, 112, 115])
    return made


class Keeps(Strategy):
    @at("open+1min", weekdays="Wed")
    def enter(self) -> None:
        self.buy(self.futures(), lots=1)


def settled(made: MemoryFeed) -> tuple[float, str]:
    run = simulate(Keeps, made)
    assert run.result.fills[-1].kind == "settlement"
    (entry,) = [e for e in run.result.log if e.kind == "settlement"]
    return run.result.fills[-1].price, entry.values["source"]


def test_a_future_settles_at_last_on_the_official_close_else_on_its_own_stored_price() -> None:
    last = date(2024, 1, 25)
    assert settled(expiring()) == (106.0, "estimated")
    own = expiring()
    own.settlements[SPEC, last] = 10_675
    assert settled(own) == (106.75, "official")
    own.closes["NIFTY", last] = 10_725
    assert settled(own) == (107.25, "official")


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[int], Contract, Any, dict[int, int], dict[int, int]]:
    sessions = [draw(st.sampled_from([1, 3, 34, 40])) for _ in range(draw(st.integers(1, 4)))]
    n = sum(sessions)
    rng = random.Random(draw(st.integers(0, 2**32)))
    stale = draw(st.sampled_from([0.0, 0.3, 0.97]))

    def quad() -> tuple[int, int, int, int]:
        o, c = rng.randint(1900, 2100) * 5, rng.randint(1900, 2100) * 5
        return o, max(o, c) + 5 * rng.randint(0, 9), min(o, c) - 5 * rng.randint(0, 9), c

    bars = [quad() if i == 0 or rng.random() >= stale else None for i in range(n)]
    index = tuple(quad() for _ in range(n))
    last = draw(st.integers(0, len(sessions)))
    days = range(len(sessions))
    stored = {d: rng.randint(9_000, 11_000) for d in days if rng.random() < 0.5}
    official = {d: rng.randint(9_000, 11_000) for d in days if rng.random() < 0.3}
    trades = {
        rng.randrange(n): rng.choice((-2, -1, 1, 2, 3)) * 50 for _ in range(draw(st.integers(0, 8)))
    }
    return sessions, Contract(tuple(bars), last, stored), index, official, trades


@settings(max_examples=120, deadline=None, derandomize=True)
@given(markets())
def test_equals_the_reference_account(market: Any) -> None:
    sessions, future, index, official, trades = market
    dates = [date(2024, 1, 1) + timedelta(days=i) for i in range(len(sessions))]
    made = MemoryFeed("NIFTY", [])
    made.grid = Grid(
        [PlainMarket(count).session(day) for count, day in zip(sessions, dates, strict=True)],
        MINUTE,
    )
    spec = ContractSpec(
        "future", "NIFTY", date(2024, 1, 1) + timedelta(future.last_session), lot=50
    )
    over = sum(sessions[: future.last_session + 1])
    own = [b if i < over else None for i, b in enumerate(future.bars)]
    made.add_index([[x / 100 for x in q] for q in index])
    made.add(spec, [None if q is None else [x / 100 for x in q] for q in own])
    made.closes = {("NIFTY", dates[d]): raw for d, raw in official.items()}
    made.settlements = {(spec, dates[d]): raw for d, raw in future.stored.items()}
    cash = []

    class Trades(Strategy):
        def on_bar(self) -> None:
            units, future = trades.get(self.bar), self._desk.contract(spec)
            if units and self.bar < over - 1:
                (self.buy if units > 0 else self.sell)(future, qty=abs(units))

    run = simulate(Trades, made, capital=1_000_000, run=False)
    while not run.finished:
        run.step()
        books = run.desk.portfolio
        assert books.equity - books.capital == books.realized + books.unrealized
        if run.bar in made.grid.lasts:
            cash.append(books.cash)
    paths = play(
        sessions,
        Contract(tuple(own), future.last_session, future.stored),
        index,
        official,
        {bar: units for bar, units in trades.items() if bar < over - 1},
        1_000_000 * 10_000,
    )
    assert run.result.equity().tolist() == paths.equity
    assert sum(p.qty for p in run.result.positions) == paths.held
    variations = [e.values["source"] for e in run.result.log if e.kind == "variation"]
    assert variations == paths.sources
    assert cash == paths.cash


class Adds(Strategy):
    """Buys a lot in each of the first two bars of the first day, sells one on the next."""

    def on_bar(self) -> None:
        if self.bar < 2:
            self.buy(self.futures(), lots=1)
        elif self.bar == 3:
            self.sell(self.futures(), lots=1)


def test_a_future_at_average_cost_is_paid_the_same() -> None:
    first, average = (simulate(Adds, feed(), cost=cost) for cost in ("fifo", "average"))
    assert first.result.hash == average.result.hash
    assert first.result.equity().tolist() == average.result.equity().tolist()
    # bought at 103 and 105; of the two, one is sold at 112; the other stands at 115
    assert [run.desk.portfolio.realized // 10_000 for run in (first, average)] == [450, 400]
    assert [run.desk.portfolio.unrealized // 10_000 for run in (first, average)] == [500, 550]
