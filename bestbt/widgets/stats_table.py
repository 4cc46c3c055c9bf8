"""The panel under the header: figures of a run under way, statistics of one that has ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd

from bestbt.widgets.format import (
    NOTHING,
    count,
    date_time,
    decimal,
    lasting,
    money,
    percent,
    signed,
    tone,
)
from bestbt.widgets.protocol import Progress

__all__ = ["failure_html", "live_html", "stats_html"]

_Write = Callable[[Any, str], str]


def _days(value: Any, _: str) -> str:
    return f"{count(value)} days"


def _date(value: Any, _: str) -> str:
    return str(value) if not hasattr(value, "strftime") else str(value.strftime("%d %b %Y"))


def _percent(value: Any, _: str) -> str:
    return percent(value)


def _ratio(value: Any, _: str) -> str:
    return decimal(value)


def _count(value: Any, _: str) -> str:
    return count(value)


# What a trader asks first comes first. A statistic that is not here is shown under its own name.
_STATS: dict[str, tuple[str, _Write]] = {
    "pnl": ("PnL after charges", signed),
    "max_drawdown": ("Largest drawdown", money),
    "trades": ("Trades", _count),
    "return_pct": ("Return", _percent),
    "max_drawdown_pct": ("Largest drawdown", _percent),
    "win_rate_pct": ("Trades won", _percent),
    "charges": ("Charges", money),
    "max_drawdown_days": ("Largest drawdown took", _days),
    "win_days_pct": ("Days won", _percent),
    "slippage_cost": ("Slippage cost", money),
    "return_over_maxdd": ("Return over drawdown", _ratio),
    "profit_factor": ("Profit factor", _ratio),
    "cagr_pct": ("Return a year", _percent),
    "sharpe": ("Sharpe ratio", _ratio),
    "expectancy": ("Mean PnL of a trade", signed),
    "volatility_pct": ("Volatility a year", _percent),
    "sortino": ("Sortino ratio", _ratio),
    "best_day": ("Best day", signed),
    "exposure_pct": ("Time in the market", _percent),
    "calmar": ("Calmar ratio", _ratio),
    "worst_day": ("Worst day", signed),
    "capital": ("Capital", money),
    "final_equity": ("Equity at the end", money),
    "max_losing_streak": ("Longest losing streak", _count),
    "margin_peak": ("Most margin used", money),
    "return_on_peak_margin_pct": ("Return on most margin", _percent),
    "first_minute_pnl": ("PnL of first minutes", signed),
    "ambiguous_bars": ("Bars of unknown order", _count),
    "stale_waits": ("Waits for a price", _count),
    "stop_skipped": ("Stops skipped", _count),
    "estimated_settlements": ("Estimated settlements", _count),
    "rejected_orders": ("Orders rejected", _count),
    "start": ("From", _date),
    "end": ("To", _date),
}
_COLOURED = {"pnl", "return_pct", "cagr_pct", "expectancy", "best_day", "worst_day"}


def stats_html(stats: pd.Series[Any], currency: str) -> str:
    """Return the statistics as a grid, the important first.

    >>> "Trades won" in stats_html(pd.Series({"win_rate_pct": 61.5}), "₹")
    True
    """
    names = [n for n in _STATS if n in stats.index]
    names += [str(n) for n in stats.index if n not in _STATS]
    cells = []
    for name in names:
        label, write = _STATS.get(name, (name.replace("_", " "), _plain))
        value = stats[name]
        absent = value is None or (isinstance(value, float) and math.isnan(value))
        text = NOTHING if absent else write(value, currency)
        colour = tone(value) if name in _COLOURED and not absent else ""
        cells.append(
            f'<div><span>{escape(label)}</span><b class="{colour}">{escape(text)}</b></div>'
        )
    return f'<div class="bt-stats">{"".join(cells)}</div>'


def _plain(value: Any, _: str) -> str:
    return decimal(value) if isinstance(value, float) else str(value)


def live_html(progress: Progress, currency: str) -> str:
    """Return what a run under way tells."""
    tiles = (
        ("PnL so far", signed(progress.pnl, currency), tone(round(progress.pnl))),
        ("Date reached", date_time(progress.time), ""),
        ("Time left", lasting(progress.seconds_left), ""),
        ("Bars per second", _speed(progress.bars_per_second), ""),
        ("Bars done", f"{count(progress.bar)} of {count(progress.bars)}", ""),
    )
    cells = "".join(
        f'<div><span>{label}</span><b class="{colour}">{escape(text)}</b></div>'
        for label, text, colour in tiles
    )
    return f'<div class="bt-live">{cells}</div>'


def _speed(bars_per_second: float) -> str:
    return count(bars_per_second) if bars_per_second >= 10 else decimal(bars_per_second, 1)


def failure_html(failure: str, progress: Progress) -> str:
    """Return why a run failed, and when on its way it did."""
    when = date_time(progress.time) if progress.time is not None else "before the first bar"
    return (
        f'<div class="bt-failure"><b>Failed at {escape(when)}</b><pre>{escape(failure)}</pre></div>'
    )
