from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.engine.result import Result
from bestbt.engine.strategy import Strategy
from bestbt.report.stats import stats
from bestbt.report.tables import trades
from bestbt.testing import MemoryFeed, simulate
from tests.report.runs import Churner, Idle, Morning, churned, feed, fees

NAMES = (
    "start end capital final_equity pnl charges slippage_cost return_pct cagr_pct volatility_pct "
    "sharpe sortino calmar max_drawdown max_drawdown_pct max_drawdown_days return_over_maxdd "
    "trades win_rate_pct win_days_pct profit_factor expectancy exposure_pct best_day worst_day "
    "max_losing_streak ambiguous_bars stale_waits stop_skipped large_fills odd_lots "
    "estimated_settlements rejected_orders first_minute_pnl"
)


def slowly(result: Result) -> dict[str, Any]:
    """Every statistic from fills, postings and closes in plain Python, bar by bar."""
    grid = result.grid
    capital = result.capital / 10_000
    cash: dict[int, float] = defaultdict(float)
    for posting in result.ledger:
        cash[posting.bar] += posting.amount / 10_000
    by_bar = defaultdict(list)
    for fill in result.fills:
        by_bar[fill.bar].append(fill)
    held: dict[Any, int] = defaultdict(int)
    money, equity, exposed = 0.0, [], 0
    for bar in range(result.start, result.end):
        money += cash[bar]
        for fill in by_bar[bar]:
            held[fill.contract] += fill.qty
        worth = 0.0
        for contract, qty in held.items():
            if qty:
                columns = contract._prices
                worth += qty * columns.close[bar - columns.first]
        equity.append(money + worth)
        exposed += any(held.values())
    # Days
    days: dict[date, float] = {}
    for bar, value in zip(range(result.start, result.end), equity, strict=True):
        days[grid.day(bar)] = value
    levels = [capital, *days.values()]
    gains = [round(b - a, 6) for a, b in pairwise(levels)]
    returns = [b / a - 1 for a, b in pairwise(levels)]
    years = len(days) / 252
    cagr = 100 * ((levels[-1] / capital) ** (1 / years) - 1)
    losses = [min(r, 0) ** 2 for r in returns]
    # Drawdown
    top, top_bar, fall, share, low = capital, 0, 0.0, 0.0, (0, 0)
    for i, value in enumerate(equity):
        if value >= top - 1e-9:
            top, top_bar = value, i
        fall = min(fall, value - top)
        if (value - top) / top < share - 1e-15:
            share, low = (value - top) / top, (top_bar, i)
    peak = max(capital, equity[low[0]])
    back = next((i for i in range(low[1], len(equity)) if equity[i] >= peak - 1e-9), None)
    until = len(equity) - 1 if back is None else back
    dd_days = (grid.day(result.start + until) - grid.day(result.start + low[0])).days
    # Trades
    table = trades(result)
    net = (table["pnl"] - table["charges"]).tolist()
    won, lost = [x for x in net if x > 0], [x for x in net if x < 0]
    streak = longest = 0
    for x in net:
        streak = streak + 1 if x < 0 else 0
        longest = max(longest, streak)
    firsts = table["entry_time"].dt.strftime("%H:%M") == "09:15"
    waits = 0
    for order in result.orders:
        if order.type == "market" and order.kind != "settlement" and order.status != "cancelled":
            first, columns = order.placed + 1, order.contract._prices
            assert columns is not None
            waits += first < columns.end and not columns.live[first - columns.first]
    moved = [g for g in gains if g]
    return {
        "start": grid.day(result.start),
        "end": grid.day(result.end - 1),
        "capital": capital,
        "final_equity": equity[-1],
        "pnl": equity[-1] - capital,
        "charges": -sum(
            p.amount / 10_000
            for p in result.ledger
            if p.account in ("brokerage", "exchange", "sebi", "stamp", "stt", "gst")
        ),
        "slippage_cost": sum(abs(f.qty) * f.slippage for f in result.fills),
        "return_pct": 100 * (equity[-1] / capital - 1),
        "cagr_pct": cagr,
        "volatility_pct": 100 * statistics.stdev(returns) * math.sqrt(252),
        "sharpe": statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(252),
        "sortino": statistics.mean(returns) / math.sqrt(statistics.mean(losses)) * math.sqrt(252),
        "calmar": cagr / (-100 * share),
        "max_drawdown": fall,
        "max_drawdown_pct": 100 * share,
        "max_drawdown_days": dd_days,
        "return_over_maxdd": (equity[-1] - capital) / -fall,
        "trades": len(net),
        "win_rate_pct": 100 * len(won) / len(net),
        "win_days_pct": 100 * sum(g > 0 for g in moved) / len(moved),
        "profit_factor": sum(won) / -sum(lost),
        "expectancy": statistics.mean(net),
        "exposure_pct": 100 * exposed / len(equity),
        "best_day": max(gains),
        "worst_day": min(gains),
        "max_losing_streak": longest,
        "ambiguous_bars": 0,  # the programs have no targets, nor stop-limits
        "stale_waits": waits,
        "stop_skipped": 0,
        "large_fills": 0,
        "odd_lots": 0,
        "estimated_settlements": len({f.contract for f in result.fills if f.kind == "settlement"}),
        "rejected_orders": sum("no live price" in o.reason for o in result.orders),
        "first_minute_pnl": sum(x for x, first in zip(net, firsts, strict=True) if first),
    }


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_every_statistic_equals_a_slow_calculation(seed: int) -> None:
    result = churned(seed)
    expected, got = slowly(result), stats(result)
    assert list(got.index) == NAMES.split() == list(expected)
    assert [got["start"], got["end"]] == [expected.pop("start"), expected.pop("end")]
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-6), name


def test_the_runs_compared_have_what_the_statistics_speak_of() -> None:
    seen = [stats(churned(seed)) for seed in (1, 2, 3, 4, 5)]
    for name in ("stale_waits", "estimated_settlements", "first_minute_pnl", "slippage_cost"):
        assert any(s[name] for s in seen), name


UNDEFINED = (
    "sharpe sortino calmar return_over_maxdd win_rate_pct win_days_pct profit_factor expectancy"
)


def test_an_idle_run_has_no_ratios_and_no_false_zeros() -> None:
    s = stats(simulate(Idle, feed(5)).result)
    assert all(math.isnan(s[name]) for name in UNDEFINED.split())
    zeros = "pnl charges return_pct cagr_pct volatility_pct max_drawdown max_drawdown_pct trades"
    assert all(s[name] == 0 for name in [*zeros.split(), "exposure_pct", "max_drawdown_days"])
    assert s["final_equity"] == s["capital"] == 1_000_000
    assert (s["start"], s["end"]) == (date(2024, 1, 1), date(2024, 1, 5))


def test_a_run_of_one_day_has_no_deviation() -> None:
    s = stats(simulate(Morning, feed(1)).result)
    assert s["trades"] == 1
    assert all(math.isnan(s[n]) for n in ("volatility_pct", "sharpe", "sortino"))
    assert s["best_day"] == s["worst_day"] == pytest.approx(s["pnl"])
    assert math.isfinite(s["cagr_pct"])


def test_a_run_that_has_not_begun_has_capital_and_nothing_else() -> None:
    s = stats(simulate(Idle, feed(2), run=False).result)
    assert s["final_equity"] == 1_000_000
    assert s["end"] is None
    assert all(math.isnan(s[n]) for n in ("cagr_pct", "best_day", "worst_day", "exposure_pct"))


def test_an_unfinished_session_counts_as_far_as_it_went() -> None:
    simulation = simulate(Churner, feed(4, 2), fees=fees(), seed=2, run=False).step(150)
    result = simulation.result
    assert len(result.closed) == 2
    expected, got = slowly(result), stats(result)
    for name in ("final_equity", "sharpe", "max_drawdown", "exposure_pct", "best_day", "pnl"):
        assert got[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-6), name


class Once(Strategy):
    def on_bar(self) -> None:
        if self.bar == 0:
            self.buy(self.option(100, "CE"), lots=1)
        if self.bar == 3:
            self.exit_all()


def once(closes: list[float], capital: float = 1_000_000.0) -> Result:
    made = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02", "2024-01-03"], minutes=2)
    made.add_index([100.0] * 6)
    made.add_option("2024-02-29", 100, "CE", closes)
    return simulate(Once, made, capital=capital).result


def test_a_run_without_a_loss_has_no_profit_factor() -> None:
    s = stats(once([10, 10, 11, 12, 13, 13]))
    assert s["win_rate_pct"] == 100
    assert s["expectancy"] == 150
    assert math.isnan(s["profit_factor"])
    assert math.isnan(s["sortino"])


def test_losing_more_than_everything_leaves_ratios_undefined_not_wrong() -> None:
    made = MemoryFeed("NIFTY", days=["2024-01-01", "2024-01-02", "2024-01-03"], minutes=2)
    made.add_index([100.0] * 6)
    made.add_option("2024-02-29", 100, "CE", [10, 10, 20, 90, 90, 90])

    class Short(Strategy):
        def on_bar(self) -> None:
            if self.bar == 0:
                self.sell(self.option(100, "CE"), lots=1)

    s = stats(simulate(Short, made, capital=1000).result)
    assert s["final_equity"] == -3000
    assert all(math.isnan(s[n]) for n in ("cagr_pct", "volatility_pct", "sharpe", "sortino"))
    assert s["max_drawdown_pct"] == -400


def test_the_fall_is_measured_from_the_capital_when_it_was_never_exceeded() -> None:
    s = stats(once([10, 10, 9, 8, 8, 8], capital=1000))
    assert s["max_drawdown"] == -100
    assert s["max_drawdown_pct"] == -10
    assert s["max_drawdown_days"] == 2
    assert s["max_losing_streak"] == 1


# Outside check: the same trades of a moving-average crossover on daily prices, as another
# backtester made them, with the figures its project publishes for that run.

PUBLISHED = {
    "final_equity": 51422.98999999996,
    "return_pct": 414.2298999999996,
    "cagr_pct": 21.180255813792282,
    "max_drawdown_pct": -47.98012705007589,
    "max_drawdown_days": 584,
    "trades": 66,
    "win_rate_pct": 46.96969696969697,
}


@pytest.fixture(scope="module")
def crossover(shared: Path) -> tuple[Result, list[float]]:
    folder = shared / "data" / "outside"

    def read(name: str) -> list[dict[str, str]]:
        with (folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    prices, taken = read("goog_daily.csv"), read("goog_smacross_trades.csv")
    points = [float(row["Equity"]) for row in read("goog_smacross_equity.csv")]
    # A bar a day; orders of one trade at the open of the next.
    made = MemoryFeed("GOOG", days=[row[""] for row in prices], minutes=1)
    rows = [[float(row[c]) for c in ("Open", "High", "Low", "Close")] for row in prices]
    made.add_index(rows)
    share = ContractSpec("equity", "GOOG", tick=1)
    made.add(share, rows)

    class Replayed(Strategy):
        def on_bar(self) -> None:
            contract = self._desk.contract(share)
            for trade in taken:
                if int(trade["ExitBar"]) == self.bar + 1:
                    contract.exit()
                if int(trade["EntryBar"]) == self.bar + 1:
                    size = int(trade["Size"])
                    (self.buy if size > 0 else self.sell)(contract, qty=abs(size))

    return simulate(Replayed, made, capital=10_000).result, points


def test_equity_is_that_of_another_backtester_on_every_day(
    crossover: tuple[Result, list[float]],
) -> None:
    result, points = crossover
    assert (result.equity() / 10_000).tolist() == pytest.approx(points, abs=1e-6)


def test_statistics_are_those_another_backtester_publishes(
    crossover: tuple[Result, list[float]],
) -> None:
    got = stats(crossover[0])
    for name, value in PUBLISHED.items():
        assert got[name] == pytest.approx(value, rel=1e-9), name
