"""Final settlement: the value of the index on which a whole expiry settles, in one step."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec, Feed, Market
from bestbt.engine.prices import PriceColumns
from bestbt.errors import DataGap
from bestbt.units import POINTS, Ns, Ordinal, RawPrice, half_up

__all__ = ["SettlementValue", "intrinsic", "mean_of_last", "settlement_value"]


class SettlementValue(NamedTuple):
    """A raw index value and where it comes from.

    `source` is official, estimated, auction, or missing-day (the expiry day is not in the data:
    the index's first value after it).
    """

    raw: RawPrice
    source: str


def intrinsic(spec: ContractSpec, value: RawPrice, value_scale: int) -> RawPrice:
    """Raw worth of one unit of a contract at settlement, with the underlying at *value*.

    Options have no worth below zero; a future is worth the underlying.

    >>> put = ContractSpec("option", "NIFTY", date(2024, 2, 29), 22000.0, "PE")
    >>> intrinsic(put, 2190000, 100)
    10000
    """
    worth = half_up(value * spec.scale, value_scale)
    if spec.asset == "future":
        return worth
    strike = round((spec.strike or 0.0) * spec.scale)
    return max(worth - strike if spec.right == "CE" else strike - worth, 0)


def mean_of_last(grid: Grid, columns: PriceColumns, bar: Ordinal, window: Ns) -> RawPrice | None:
    """Mean of (O+H+L+C)/4 over the live bars that end in the last *window* of a session.

    Rounded to the nearest raw price, halves up. None where no bar is live.

    Parameters
    ----------
    bar
        Last bar of the session.
    """
    session = grid.session(bar)
    first = grid.closing_at(session, grid.end(bar) - window + 1)
    first = max(first, grid.firsts[session], columns.first)
    if first > bar:
        return None
    low, high = first - columns.first, bar + 1 - columns.first
    points, count = columns.points[POINTS * low : POINTS * high], high - low
    if not columns.all_live:
        live = columns.live[low:high]
        points, count = points.reshape(-1, POINTS)[live].ravel(), int(live.sum())
    if not count:
        return None
    return half_up(int(points.sum(dtype=np.int64)), POINTS * count)


def settlement_value(
    feed: Feed,
    market: Market,
    index: Contract,
    expiry: date,
    bar: Ordinal,
) -> SettlementValue:
    """Return what an expiry of an index settles on, at the last bar of its session.

    All that expires settles on one value, the first that exists of: the stored official close; the
    stored settlement price of the future that expires, which is the same; by the market's rule of
    that day, the mean of (O+H+L+C)/4 over the last minutes of the session (live bars only, rounded
    to the nearest raw price, halves up), or the index's first value after the closing auction.

    Raises
    ------
    DataGap
        If the index has none of these.
    """
    official = feed.official_close(index.symbol, expiry)
    if official is not None:
        return SettlementValue(official, "official")
    future = feed.future(index.symbol, expiry)
    own = None if future is None else feed.settlement_price(future, expiry)
    if future is not None and own is not None:
        return SettlementValue(half_up(own * index.spec.scale, future.scale), "official")
    grid: Grid = feed.grid
    session = grid.session(bar)
    columns = index._prices
    if columns is not None and bar < columns.first:
        columns = None  # no value of it is known yet
    if columns is not None and grid.day(bar) > expiry:
        return SettlementValue(int(columns.points[POINTS * (bar - columns.first)]), "missing-day")
    rule = market.settlement(index.symbol, expiry)
    if columns is not None and rule.after is not None:
        after = grid.midnight(session) + rule.after
        first = max(grid.closing_at(session, after + 1), grid.firsts[session])
        at = columns.next_live(first)
        if first <= at <= bar:
            early = grid.time(at) < after  # a coarse bar: only its end is surely after it
            point = POINTS * (at - columns.first) + (POINTS - 1 if early else 0)
            return SettlementValue(int(columns.points[point]), "auction")
    elif columns is not None:
        mean = mean_of_last(grid, columns, bar, rule.window or 0)
        if mean is not None:
            return SettlementValue(mean, "estimated")
    raise DataGap(
        f"{index.symbol} has no value to settle the expiry of {expiry} on: no official close is "
        "stored and the index has no bar in the settlement window. Import the day's official "
        "closes (a daily file), or end the run before that expiry."
    )
