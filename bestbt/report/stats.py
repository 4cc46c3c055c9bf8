"""Statistics of a run: how each is defined, and where the definition comes from."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.order import Order
from bestbt.engine.result import Result
from bestbt.report.tables import charges_by_fill, charges_by_match, flat_to_flat
from bestbt.units import MINUTE, MONEY_SCALE, Ordinal, RawMoney, money

__all__ = ["Drawdown", "daily_equity", "deepest_drawdown", "is_estimated", "net_by_match", "stats"]

YEAR = 252  # sessions
_NAN = math.nan
_Floats = npt.NDArray[np.float64]


def stats(result: Result) -> pd.Series[Any]:
    """Statistics by name; NaN where one is not defined, never a zero in its place.

    Money is in the currency. The PnL of a trade or a day is after charges, and a trade is won
    when that is above zero. Daily values are those of each session's end (in an unfinished
    session: of the newest bar); a year has 252 sessions; the risk-free rate is 0; standard
    deviations divide by n − 1.

    Parameters
    ----------
    result
        Finished or not: what is booked counts.

    Returns
    -------
    Series of object
        start, end : dates of the first and the newest session played (`end` is None before the
        first bar).

        capital, final_equity, pnl, charges : `pnl` is what equity has gained, charges paid.

        slippage_cost : Σ units × slippage of all fills.

        return_pct : `pnl` in percent of the capital.

        cagr_pct : the return a year of 252 sessions at which capital compounds to final equity.

        volatility_pct : standard deviation of daily returns × √252, in percent.

        sharpe : mean daily return over its standard deviation, × √252 [1]_.

        sortino : mean daily return over the root of the mean square of losses (gains count as
        0), × √252 [2]_.

        calmar : `cagr_pct` over the size of `max_drawdown_pct` [3]_, of the whole run.

        max_drawdown, max_drawdown_pct : the deepest fall of equity below its highest value
        before, on the close of every bar, the capital counting as the first; 0 or negative. In
        money and in percent of that highest value, each deepest on its own.

        max_drawdown_days : calendar days from the top before the deepest fall in percent to the
        day on which it was reached again, or to the end.

        return_over_maxdd : `pnl` over the size of `max_drawdown`.

        trades : closed trades, as in `tables.trades`.

        win_rate_pct : share of trades won.

        win_days_pct : share of days won among those on which equity changed.

        profit_factor : what won trades made over what lost trades cost.

        expectancy : mean PnL of a trade.

        exposure_pct : share of bars at whose close something was held.

        best_day, worst_day : greatest and least PnL of a day.

        max_losing_streak : most trades lost in a row, by exit.

        stale_waits : market orders that found no live price in the first bar in which they could
        have traded. One that was taken back meanwhile is not counted.

        large_fills : fills of more than `max_participation` of what their bar has traded.

        odd_lots : positions of which a part could not be traded any more: their lot had changed.

        estimated_settlements : contracts settled on neither an official close nor the closing
        auction.

        rejected_orders : orders the market refused.

        first_minute_pnl : PnL of the trades entered in a session's first minute, where prices
        are least certain.

    References
    ----------
    .. [1] W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1), 1994.
    .. [2] F. A. Sortino and L. N. Price, "Performance Measurement in a Downside Risk
       Framework", Journal of Investing 3 (3), 1994.
    .. [3] T. W. Young, "Calmar Ratio: A Smoother Tool", Futures 20 (1), 1991.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> s = stats(example_result())
    >>> s["pnl"], s["trades"], s["win_rate_pct"], s["exposure_pct"], s["sharpe"]
    (-100.0, 1, 0.0, 40.0, nan)
    """
    grid, capital = result.grid, money(result.capital)
    bars = result.end - result.start
    equity = result.equity() / MONEY_SCALE
    final = float(equity[-1]) if bars else capital
    pnl = final - capital
    days = np.concatenate(([capital], daily_equity(result)))
    gains = np.diff(days)
    moved = gains[gains != 0]
    fall = deepest_drawdown(result)
    cagr = _growth(days)
    volatility, sharpe, sortino = _ratios(days)
    nets = net_by_match(result)
    won, lost = [n for n in nets if n > 0], [n for n in nets if n < 0]
    streaks = [len(list(run)) for is_lost, run in groupby(nets, lambda n: n < 0) if is_lost]
    return pd.Series(
        {
            "start": grid.day(result.start),
            "end": grid.day(result.end - 1) if bars else None,
            "capital": capital,
            "final_equity": final,
            "pnl": pnl,
            "charges": money(sum(charges_by_fill(result))),
            "slippage_cost": money(
                sum(abs(f.qty) * f.raw_slippage * f.contract.factor for f in result.fills)
            ),
            "return_pct": 100 * pnl / capital,
            "cagr_pct": cagr,
            "volatility_pct": volatility,
            "sharpe": sharpe,
            "sortino": sortino,
            "calmar": _over(cagr, -fall.percent),
            "max_drawdown": fall.money,
            "max_drawdown_pct": fall.percent,
            "max_drawdown_days": fall.days,
            "return_over_maxdd": _over(pnl, -fall.money),
            "trades": len(nets),
            "win_rate_pct": _over(100 * len(won), len(nets)),
            "win_days_pct": _over(100 * int((moved > 0).sum()), len(moved)),
            "profit_factor": _over(sum(won), -sum(lost)),
            "expectancy": _over(money(sum(nets)), len(nets)),
            "exposure_pct": _over(100 * _exposed(result), bars),
            "best_day": float(gains.max()) if len(gains) else _NAN,
            "worst_day": float(gains.min()) if len(gains) else _NAN,
            "max_losing_streak": max(streaks, default=0),
            "ambiguous_bars": result.ambiguous,
            "stale_waits": _stale_waits(result),
            "stop_skipped": sum(o.skipped for o in result.orders),
            "large_fills": sum(entry.kind == "large-fill" for entry in result.log),
            "odd_lots": sum(entry.kind == "odd-lot" for entry in result.log),
            "estimated_settlements": sum(is_estimated(source) for _, source in result.estimated),
            "rejected_orders": sum(o.status == "rejected" for o in result.orders),
            "first_minute_pnl": _first_minute(result, nets),
        },
        dtype=object,
    )


# Equity


def daily_equity(result: Result) -> _Floats:
    """Equity at the end of each session played, in the currency; of an unfinished one, so far.

    >>> from bestbt.testing import example_result
    >>> daily_equity(example_result()).tolist()
    [999900.0]
    """
    equity = result.equity() / MONEY_SCALE
    sessions = result.grid.session_of[result.start : result.end]
    ends = np.flatnonzero(np.diff(sessions, append=sessions[-1:] + 1))
    return np.asarray(equity[ends])


class Drawdown(NamedTuple):
    """The deepest fall in money and in percent (0 or negative), and its calendar days."""

    money: float
    percent: float
    days: int


def deepest_drawdown(result: Result) -> Drawdown:
    """The deepest fall of equity below its highest value before, on the close of every bar.

    >>> from bestbt.testing import example_result
    >>> deepest_drawdown(example_result())
    Drawdown(money=-100.0, percent=-0.01, days=0)
    """
    raw = result.equity()
    if not len(raw):
        return Drawdown(0.0, 0.0, 0)
    top = np.maximum(np.maximum.accumulate(raw), result.capital)
    fall = raw - top
    share = fall / top
    low = int(share.argmin())
    if fall[low] == 0:
        return Drawdown(0.0, 0.0, 0)
    # From the newest bar that stood at the top (the start, if that was the capital) …
    at_top = np.flatnonzero(raw[:low] == top[low])
    since = int(at_top[-1]) if len(at_top) else 0
    # … to the first that is there again.
    back = np.flatnonzero(raw[low:] >= top[low])
    until = low + int(back[0]) if len(back) else len(raw) - 1
    day = result.grid.day
    days = (day(result.start + until) - day(result.start + since)).days
    return Drawdown(float(fall.min()) / MONEY_SCALE, 100 * float(share[low]), days)


def _growth(days: _Floats) -> float:
    """Percent a year; an account that ends below zero has no rate."""
    if len(days) < 2 or days[-1] < 0:
        return _NAN
    if days[-1] == 0:
        return -100.0
    rate = math.log(days[-1] / days[0]) * YEAR / (len(days) - 1)
    return 100 * math.expm1(rate) if rate < 700 else math.inf  # e^710 is beyond a float


def _ratios(days: _Floats) -> tuple[float, float, float]:
    """Volatility, Sharpe and Sortino; undefined under two days, and from zero equity on."""
    if len(days) < 3 or (days[:-1] <= 0).any():
        return _NAN, _NAN, _NAN
    returns = days[1:] / days[:-1] - 1
    mean = float(returns.mean())
    # Equal returns have no deviation, whatever rounding leaves of it.
    deviation = float(returns.std(ddof=1)) if np.ptp(returns) > 0 else 0.0
    downside = math.sqrt(float((np.minimum(returns, 0) ** 2).mean()))
    year = math.sqrt(YEAR)
    return 100 * deviation * year, _over(mean, deviation) * year, _over(mean, downside) * year


def _over(value: float, divisor: float) -> float:
    return value / divisor if divisor else _NAN


# Trades


def net_by_match(result: Result) -> list[RawMoney]:
    """Raw PnL after charges of each of `result.matches`."""
    charges = charges_by_match(result)
    return [m.raw_pnl - c for m, c in zip(result.matches, charges, strict=True)]


def _first_minute(result: Result, nets: list[RawMoney]) -> float:
    grid = result.grid

    def is_first(bar: int) -> bool:
        return grid.time(bar) < grid.sessions[grid.session(bar)].open + MINUTE

    rows = zip(result.matches, nets, strict=True)
    return money(sum(net for match, net in rows if is_first(match.entry.bar)))


# Events


def _exposed(result: Result) -> int:
    """Bars at whose close something was held."""
    periods = flat_to_flat(result)
    held = sum(fills[-1].bar - fills[0].bar for fills in periods)
    if periods and result.positions:
        held += result.end - periods[-1][-1].bar  # the last period goes on
    return held


def _stale_waits(result: Result) -> int:
    """Market orders that found no live price in their first bar."""
    filled = {fill.order.id: fill.bar for fill in result.fills}
    return sum(_waited(result, o, filled.get(o.id)) for o in result.orders)


def _waited(result: Result, order: Order, filled: Ordinal | None) -> bool:
    if order.type != "market" or order.kind == "settlement" or order.status == "cancelled":
        return False
    first = order.first
    if order.status == "filled":
        return filled is not None and filled > first
    if order.status == "rejected":
        return True
    if first >= result.end:  # it has not had a bar yet
        return False
    expiry = order.contract.expiry
    # A lapsed exit whose contract settled before its first bar has waited for nothing.
    return order.status == "working" or expiry is None or result.grid.day(first) <= expiry


def is_estimated(source: str) -> bool:
    """Whether a settlement's source is an estimate rather than the exchange's own value."""
    return source not in ("official", "auction")
