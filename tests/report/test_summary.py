from __future__ import annotations

import re
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import pytest

from bestbt.engine.strategy import Strategy, at
from bestbt.errors import UsageError
from bestbt.report.stats import stats
from bestbt.report.summary import amount, by, summary, summary_html
from bestbt.report.tables import trades
from bestbt.testing import MemoryFeed, example_result, simulate
from tests.report.runs import Churner, Idle, churned, feed, fees


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "₹0.00"),
        (-0.001, "₹0.00"),
        (999.995, "₹1,000.00"),
        (100_000, "₹1,00,000.00"),
        (1_234_567.5, "₹12,34,567.50"),
        (-98_765_432.1, "−₹9,87,65,432.10"),
    ],
)
def test_rupees_are_grouped_by_lakh_and_crore(value: float, text: str) -> None:
    assert amount(value, "₹") == text


def row(text: str, label: str) -> str:
    """A row's text on one line, without its label."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(label.ljust(17)))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][0] != " "), len(lines))
    return " ".join(line[17:].strip() for line in lines[start:end])


def test_the_same_run_gives_the_same_text_and_it_fits() -> None:
    title = (
        "A strategy with a name that goes on and on · NIFTY, BANKNIFTY · 2024-01-01 … 2024-03-28"
    )
    options = {"slippage": lambda order, price: 0.05, "fees": partial(print, 1), "currency": "₹"}
    one, two = (summary(churned(1), title, options) for _ in range(2))
    assert one == two
    assert max(map(len, one.splitlines())) <= 80
    assert "0x" not in one
    assert "slippage <lambda> fees partial" in row(one, "Made with")
    assert all(line == line.rstrip() for line in one.splitlines())


def test_figures_are_the_statistics() -> None:
    result = churned(2)
    text, s = summary(result, "Churner"), stats(result)
    assert row(text, "Final equity") == amount(s["final_equity"])
    assert row(text, "Charges") == amount(s["charges"])
    assert row(text, "Trades").startswith(f"{s['trades']}, ")
    assert row(text, "Period") == "2024-01-01 … 2024-01-08 (6 sessions)"
    pnl, cost = s["pnl"], s["slippage_cost"]
    assert cost > 0
    said = row(text, "PnL by slippage")
    assert f"0× {amount(pnl + cost)} · 1× {amount(pnl)} · 2× {amount(pnl - cost)}" in said
    assert "approximate" in said


def test_choices_are_said_and_optimism_is_called_so() -> None:
    result = simulate(Idle, feed(2)).result
    plain = row(summary(result, "Idle"), "Made with")
    assert plain == "path nearest · slippage default fees market · fill_at next_open"
    close = row(summary(result, "Idle", {"fill_at": "close", "slippage": 0}), "Made with")
    assert "slippage 0" in close
    assert "fill_at close optimistic" in close


def test_synthetic_data_and_an_unfinished_state_are_said_first() -> None:
    result = simulate(Idle, feed(2), run=False).step(10).result
    text = summary(result, "Idle", {"synthetic": True, "state": "paused"})
    assert text.splitlines()[1].startswith("Data             synthetic data")
    assert row(text, "State") == "paused: what is booked so far"
    assert "synthetic" not in summary(result, "Idle", {"synthetic": False})
    begun = simulate(Idle, feed(2), run=False).result
    assert row(summary(begun, "Idle"), "Period") == "no bar played yet"


class SellThree(Strategy):
    @at("09:17")
    def enter(self) -> None:
        for strike in (80, 100, 114):
            self.sell(self.option(strike, "CE"), lots=1)


def test_settlements_on_an_estimate_are_counted_and_those_near_the_strike() -> None:
    made = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    made.add_index([100.0] * 5)
    for strike in (80, 100, 114):
        made.add_option("2024-01-01", strike, "CE", [3] * 5)
    said = row(summary(simulate(SellThree, made).result, "Three"), "Warnings")
    assert said == (
        "3 settlements on an estimate of the index, 2 of them with the strike within 15 points "
        "of it"
    )
    made.closes["NIFTY", pd.Timestamp("2024-01-01").date()] = 10_000
    assert "Warnings" not in summary(simulate(SellThree, made).result, "Three")


def test_rejected_orders_and_waits_are_warnings() -> None:
    made = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=20)
    made.add_index([100.0] * 20)
    made.add_option("2024-02-29", 80, "CE", [3, 3] + [None] * 18)
    made.add_option("2024-02-29", 100, "CE", [3, 3, None, 3] + [3] * 16)
    made.add_option("2024-02-29", 114, "CE", [3] * 20)
    text = summary(simulate(SellThree, made).result, "Three")
    assert row(text, "Warnings") == "1 order rejected 2 orders had to wait for a live price"
    held = row(text, "Open positions")
    assert "SELL 50 NIFTY 2024-02-29 100 CE at 3.00, now 3.00: ₹0.00" in held
    assert "80 CE" not in held


def test_html_says_the_same_and_escapes() -> None:
    result = churned(1)
    page = summary_html(result, "<b>Mine</b> & yours", {"synthetic": True})
    assert "<caption>&lt;b&gt;Mine&lt;/b&gt; &amp; yours</caption>" in page
    labels = re.findall(r"<th>(.*?)</th>", page)
    text = summary(result, "Mine", {"synthetic": True})
    assert labels == [line[:17].strip() for line in text.splitlines()[1:] if line[0] != " "]


KEYS = {
    "weekday": lambda t: t.entry_time.strftime("%A"),
    "month": lambda t: t.entry_time.strftime("%Y-%m"),
    "hour": lambda t: t.entry_time.hour,
    "exit_reason": lambda t: t.exit_reason,
    "symbol": lambda t: t.symbol,
}


@pytest.mark.parametrize("key", KEYS)
def test_by_groups_trades(key: str) -> None:
    result = churned(2)
    table = by(result, key)
    assert table.index.name == key
    assert list(table) == ["trades", "pnl", "charges", "win_rate_pct"]
    groups: dict[Any, list[tuple[Any, Any]]] = {}
    for trade in trades(result).itertuples():
        groups.setdefault(KEYS[key](trade), []).append((trade.pnl, trade.charges))
    assert set(table.index) == set(groups)
    for name, rows in groups.items():
        got = table.loc[name]
        assert got["trades"] == len(rows)
        assert got["pnl"] == pytest.approx(sum(p for p, _ in rows))
        assert got["charges"] == pytest.approx(sum(c for _, c in rows))
        won = sum(p > c for p, c in rows) / len(rows)
        assert got["win_rate_pct"] == pytest.approx(100 * won)


def test_by_weekday_is_in_the_order_of_the_week() -> None:
    days = by(churned(2), "weekday").index.tolist()
    week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    assert days == [d for d in week if d in days]
    assert len(days) > 2


def test_by_dte_counts_sessions_and_says_so_where_they_are_not_known() -> None:
    result = churned(2)
    table = by(result, "dte")
    expected: dict[Any, int] = {}
    days = [s.day for s in result.grid.sessions]
    for match in result.matches:
        expiry, day = match.entry.contract.expiry, match.entry.time.date()
        left = days.index(expiry) - days.index(day) if expiry in days else None
        expected[left] = expected.get(left, 0) + 1
    assert None in expected
    got = {None if k is pd.NA else k: n for k, n in table["trades"].items()}
    assert got == expected


@pytest.mark.parametrize("key", [*KEYS, "dte"])
def test_by_of_no_trades_is_empty(key: str) -> None:
    table = by(simulate(Idle, feed(2)).result, key)
    assert table.empty
    assert list(table) == ["trades", "pnl", "charges", "win_rate_pct"]


def test_an_unknown_key_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match=r"by\('weekdays'\).*'weekday'"):
        by(churned(1), "weekdays")


def test_an_unfinished_run_is_summed_up_as_far_as_it_went() -> None:
    simulation = simulate(Churner, feed(4, 2), fees=fees(), seed=2, run=False).step(100)
    assert "(2 sessions)" in summary(simulation.result, "Churner")


def test_days_without_bars_are_named() -> None:
    options = {"missing_days": (date(2024, 1, 3), date(2024, 1, 4))}
    text = " ".join(summary(example_result(), "x", options).split())
    assert "2 trading days left out, no bars stored: 2024-01-03, 2024-01-04" in text
