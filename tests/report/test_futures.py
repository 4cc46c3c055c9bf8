"""The tables of a run in a future: daily variation is cash, neither a charge nor a premium."""

from __future__ import annotations

from datetime import date

import pytest

from bestbt.engine.fees import FeeSchedule, ScheduledFees
from bestbt.engine.ports import ContractSpec
from bestbt.engine.result import Result
from bestbt.engine.strategy import Strategy, at
from bestbt.report.stats import stats
from bestbt.report.tables import cycles, equity, ledger, trades
from bestbt.testing import MemoryFeed, simulate

SPEC = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)


class Overnight(Strategy):
    @at("open+1min", weekdays="Mon")
    def enter(self) -> None:
        self.buy(self.futures(), lots=2)

    @at("open+2min", weekdays="Wed")
    def leave(self) -> None:
        self.exit_all()


@pytest.fixture
def result() -> Result:
    feed = MemoryFeed("NIFTY", ["2024-01-01", "2024-01-02", "2024-01-03"], minutes=4)
    feed.add_index([100] * 12)
    feed.add(SPEC, [101, 103, 105, 104, 108, 109, 107, 106, 112, 115, 118, 117])
    rates = FeeSchedule(brokerage=200_000, stt=125_000, stamp=20_000)
    return simulate(Overnight, feed, fees=ScheduledFees(lambda *_: rates)).result


def test_tables_and_statistics_agree_on_what_a_future_made(result: Result) -> None:
    (trade,) = trades(result).itertuples()
    assert (trade.entry_price, trade.exit_price, trade.pnl) == (103.0, 118.0, 1500.0)
    (cycle,) = cycles(result).itertuples()
    assert (cycle.pnl, cycle.premium_in, cycle.premium_out) == (1500.0, 0.0, 0.0)
    figures = stats(result)
    assert figures["charges"] == pytest.approx(trade.charges)
    assert figures["pnl"] == pytest.approx(1500.0 - trade.charges)
    assert equity(result).iloc[-1] == pytest.approx(1_000_000 + figures["pnl"])


def test_its_ledger_shows_the_variation_of_each_day(result: Result) -> None:
    rows = ledger(result)
    paid = rows[rows["account"] == "variation"]["amount"]
    assert paid.sum() == 1500.0
    # 100 units from 103: settled at 103.25, then 107.50, then closed at 118
    assert paid.tolist() == [25.0, 425.0, 1050.0]
