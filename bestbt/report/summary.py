"""What a person reads after a run, and its trades by weekday, month, hour and so on.

The text says nothing that differs between two runs of the same thing: no timings, no ids.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from bestbt.engine.result import Result
from bestbt.errors import UsageError, did_you_mean
from bestbt.report.stats import is_estimated, net_by_match, stats
from bestbt.report.tables import open_positions, sessions_to, trades

__all__ = ["amount", "by", "choices", "figure_rows", "lay_out", "summary", "summary_html"]

_WIDTH, _LABEL = 80, 17
_MINUS = "−"
_NEAR = 15  # points within which an estimated settlement may be on the wrong side of a strike
_LISTED = 10  # open positions written out

# Row of a summary: its label, and lines of text.
_Row = tuple[str, list[str]]


def amount(value: float, currency: str = "₹") -> str:
    """Write money to two places; rupees in lakh and crore.

    >>> amount(1234567.5), amount(-999.999), amount(1234567.5, "$"), amount(float("nan"))
    ('₹12,34,567.50', '−₹1,000.00', '$1,234,567.50', '–')
    """
    if not math.isfinite(value):
        return "–"
    digits = f"{abs(value):.2f}"
    sign = _MINUS if value < 0 and float(digits) else ""
    whole, places = digits.split(".")
    if currency == "₹":
        head, whole = whole[:-3], whole[-3:]
        while head:
            head, whole = head[:-2], f"{head[-2:]},{whole}"
    else:
        whole = f"{int(whole):,}"
    return f"{sign}{currency}{whole}.{places}"


def _percent(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f} %".replace("-", _MINUS) if round(value, 2) else "0.00 %"


def summary(result: Result, title: str, options: Mapping[str, Any] | None = None) -> str:
    """Return a run in a page of text.

    Parameters
    ----------
    result
        Finished or not.
    title
        First line.
    options
        Choices the run was made with, by the names of the magic's options (`slippage`, `fees`,
        `fill_at`, `path` …; `band` as the two PnLs); None means the default. Beside them:
        `synthetic` (bool), `state` (said unless it is ``"finished"``), `currency` (its sign) and
        `unsaved` (why it is not in the store). Others are left out.

    Returns
    -------
    str
        Lines of 80 columns at most; the same for the same run, everywhere.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> print(summary(example_result(), "Buyer · NIFTY", {"slippage": 0, "fees": "none"}))
    Buyer · NIFTY
    Period           2024-01-01 … 2024-01-01 (1 session)
    Capital          ₹10,00,000.00
    Final equity     ₹9,99,900.00
    PnL              −₹100.00 (−0.01 %), charges paid
    Max drawdown     −₹100.00 (−0.01 %), 0 days
    Trades           1, 0.00 % won
    Charges          ₹0.00
    Slippage cost    ₹0.00
    PnL by slippage  0× −₹100.00 · 1× −₹100.00 · 2× −₹100.00
                     (0× and 2× are approximate: the same trades at other prices)
    Open positions   none
    Warnings         1 settlement on an estimate of the index, 1 of them with the
                     strike within 15 points of it
    Made with        path nearest · slippage 0
                     fees none · fill_at next_open
    """
    return lay_out(title, _rows(result, options or {}))


def lay_out(title: str, rows: Sequence[_Row]) -> str:
    """Return labelled lines as a page of text."""
    out = textwrap.wrap(title, _WIDTH)
    for label, lines in rows:
        head = label.ljust(_LABEL)
        for line in lines:
            for part in textwrap.wrap(line, _WIDTH - _LABEL) or [""]:
                out.append(head + part)
                head = " " * _LABEL
    return "\n".join(out)


def summary_html(result: Result, title: str, options: Mapping[str, Any] | None = None) -> str:
    """Return what `summary` says as an HTML table, for `_repr_html_`.

    >>> from bestbt.testing import example_result
    >>> "<th>Capital</th><td>₹10,00,000.00</td>" in summary_html(example_result(), "Buyer")
    True
    """
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td>{'<br>'.join(map(escape, lines))}</td></tr>"
        for label, lines in _rows(result, options or {})
    )
    return f'<table class="bt-summary"><caption>{escape(title)}</caption>{rows}</table>'


def _rows(result: Result, options: Mapping[str, Any]) -> list[_Row]:
    figures = stats(result)
    currency = str(options.get("currency", "₹"))

    def write(value: float) -> str:
        return amount(value, currency)

    rows: list[_Row] = []
    if options.get("synthetic"):
        rows.append(("Data", ["synthetic data: made up, no market's prices"]))
    if options.get("state", "finished") != "finished":
        rows.append(("State", [f"{options['state']}: what is booked so far"]))
    rows += figure_rows(figures, _period(result, figures), currency)
    rows.append(("Open positions", _open(result, write)))
    if options.get("band"):
        low, high = options["band"]
        rows.append(("PnL band", [f"pessimistic {write(low)} · optimistic {write(high)}"]))
    warnings = _warnings(result, figures, options)
    if warnings:
        rows.append(("Warnings", warnings))
    rows.append(("Made with", choices(options)))
    return rows


def figure_rows(figures: pd.Series[Any], period: str, currency: str) -> list[_Row]:
    """Return the lines of a run's figures; those that it does not have are left out."""

    def write(value: float) -> str:
        return amount(value, currency)

    rows: list[_Row] = [
        ("Period", [period]),
        ("Capital", [write(figures["capital"])]),
        ("Final equity", [write(figures["final_equity"])]),
        ("PnL", [f"{write(figures['pnl'])} ({_percent(figures['return_pct'])}), charges paid"]),
    ]
    if "max_drawdown" in figures:
        fall = f"{write(figures['max_drawdown'])} ({_percent(figures['max_drawdown_pct'])})"
        days = _count(figures["max_drawdown_days"], "day")
        rows.append(("Max drawdown", [f"{fall}, {days}"]))
    rows.append(("Trades", [_trades(figures)]))
    rows.append(("Charges", [write(figures["charges"])]))
    if "slippage_cost" in figures:
        pnl, cost = figures["pnl"], figures["slippage_cost"]
        lines = [
            f"0× {write(pnl + cost)} · 1× {write(pnl)} · 2× {write(pnl - cost)}",
            "(0× and 2× are approximate: the same trades at other prices)",
        ]
        rows += [("Slippage cost", [write(cost)]), ("PnL by slippage", lines)]
    return rows


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _period(result: Result, figures: pd.Series[Any]) -> str:
    if figures["end"] is None:
        return "no bar played yet"
    grid = result.grid
    sessions = grid.session(result.end - 1) - grid.session(result.start) + 1
    return f"{figures['start']} … {figures['end']} ({_count(sessions, 'session')})"


def _trades(figures: pd.Series[Any]) -> str:
    if not figures["trades"]:
        return "none"
    return f"{figures['trades']}, {_percent(figures['win_rate_pct'])} won"


def _open(result: Result, write: Callable[[float], str]) -> list[str]:
    held = open_positions(result)
    if held.empty:
        return ["none"]
    lines = [
        f"{row.side} {row.qty} {row.symbol} at {row.entry_price:.2f}, now {row.price:.2f}: "
        f"{write(pnl)}"
        for row, pnl in zip(held.head(_LISTED).itertuples(), held["pnl"], strict=False)
    ]
    if len(held) > _LISTED:
        lines.append(f"and {len(held) - _LISTED} more, {write(held['pnl'].sum())} together")
    return lines


def _warnings(result: Result, figures: pd.Series[Any], options: Mapping[str, Any]) -> list[str]:
    lines = []
    missing = options.get("missing_days", ())
    if missing:
        shown = ", ".join(str(day) for day in missing[:3]) + (" …" if len(missing) > 3 else "")
        lines.append(f"{_count(len(missing), 'trading day')} left out, no bars stored: {shown}")
    estimated = figures["estimated_settlements"]
    if estimated:
        lines.append(
            f"{_count(estimated, 'settlement')} on an estimate of the index, "
            f"{_near_strikes(result)} of them with the strike within {_NEAR} points of it"
        )
    if figures["ambiguous_bars"]:
        lines.append(
            f"{_count(figures['ambiguous_bars'], 'bar')} in which stop and target both lay; the "
            "assumed path decided"
        )
    if figures["stop_skipped"]:
        lines.append(f"{_count(figures['stop_skipped'], 'stop-limit')} run past")
    if figures["large_fills"]:
        lines.append(f"{_count(figures['large_fills'], 'fill')} large for what the bar has traded")
    if figures["odd_lots"]:
        odd = _count(figures["odd_lots"], "position")
        lines.append(f"{odd} with units that were no whole lot any more: they could only settle")
    if figures["rejected_orders"]:
        lines.append(f"{_count(figures['rejected_orders'], 'order')} rejected")
    if figures["stale_waits"]:
        lines.append(f"{_count(figures['stale_waits'], 'order')} had to wait for a live price")
    if options.get("unsaved"):
        lines.append(options["unsaved"])
    return lines


def _near_strikes(result: Result) -> int:
    """Estimated settlements that a slightly other value would have settled differently."""
    logged = (
        entry.values
        for entry in result.log
        if entry.kind == "settlement" and entry.values.get("source", "official") != "official"
    )
    return sum(
        is_estimated(source)
        and contract.strike is not None
        and abs(values["value"] - contract.strike) <= _NEAR
        for (contract, source), values in zip(result.estimated, logged, strict=True)
    )


_DEFAULTS = {"path": "nearest", "slippage": "default", "fees": "market", "fill_at": "next_open"}
_UNSAID = {
    "limit_touch": False,
    "stop_check": "touch",
    "close_at_end": False,
    "cost": "fifo",
    "max_participation": 0.1,
}  # said only where they are otherwise


def choices(options: Mapping[str, Any]) -> list[str]:
    """Say which choices a run was made with."""
    said = []
    for name, default in _DEFAULTS.items():
        given = options.get(name)
        value = default if given is None else given
        if callable(value):  # never its repr: an address differs from run to run
            value = getattr(value, "__name__", type(value).__name__)
        said.append(f"{name} {value}")
    lines = [" · ".join(said[:2]), " · ".join(said[2:])]
    others = [f"{n} {options[n]}" for n, usual in _UNSAID.items() if options.get(n, usual) != usual]
    if others:
        lines.append(" · ".join(others))
    if options.get("rate"):
        lines.append(f"rate {options['rate']:g}")
    if options.get("fill_at") == "close":
        lines.append("optimistic: orders trade at the close that was just seen")
    return lines


# Trades by …

_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_KEYS = ("weekday", "month", "hour", "dte", "exit_reason", "symbol")


def by(result: Result, key: str) -> pd.DataFrame:
    """Trades in groups.

    Parameters
    ----------
    key
        `"weekday"`, `"month"` or `"hour"` (exchange local) of the entry, `"dte"` (sessions from
        the entry to the contract's expiry; NA where that lies beyond the data),
        `"exit_reason"` or `"symbol"`.

    Returns
    -------
    DataFrame
        Indexed by the key, in its natural order, groups without trades left out: trades, pnl
        (before charges), charges, win_rate_pct (won after charges).

    Raises
    ------
    UsageError
        For another key.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> by(example_result(), "weekday")
             trades    pnl  charges  win_rate_pct
    weekday
    Monday        1 -100.0      0.0           0.0
    """
    if key not in _KEYS:
        raise UsageError(f"by({key!r}): trades have no such key. {did_you_mean(str(key), _KEYS)}")
    rows = trades(result)
    won = pd.Series([net > 0 for net in net_by_match(result)], dtype=float)
    return (
        rows.assign(won=100 * won)
        .groupby(_keys(result, rows, key).rename(key), dropna=False, observed=True)
        .agg(
            trades=("qty", "size"),
            pnl=("pnl", "sum"),
            charges=("charges", "sum"),
            win_rate_pct=("won", "mean"),
        )
    )


def _keys(result: Result, rows: pd.DataFrame, key: str) -> pd.Series[Any]:
    entered = pd.DatetimeIndex(rows["entry_time"])
    if key == "weekday":
        days = pd.CategoricalDtype(_WEEKDAYS, ordered=True)
        return pd.Series([_WEEKDAYS[d] for d in entered.day_of_week], dtype=days)
    if key == "month":
        return pd.Series(entered.strftime("%Y-%m"), dtype=str)
    if key == "hour":
        return pd.Series(entered.hour)
    if key == "dte":
        grid = result.grid
        left = [sessions_to(grid, m.entry.bar, m.entry.contract.expiry) for m in result.matches]
        return pd.Series(left, dtype="Int64")
    return rows[key]
