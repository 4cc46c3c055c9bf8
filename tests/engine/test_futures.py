"""A future moves no notional: its profit is paid each session's end, and the rest when closed."""

from __future__ import annotations

from datetime import date

import numpy as np

from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy, at
from bestbt.testing import MemoryFeed, simulate

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
