"""The forward of an expiry at each bar of a day, by the rule of the chain, in one pass over arrays.

`OptionChain.reference_by("forward")` reads it at a run's clock; this is the same for bars that a
run has left behind.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bestbt.engine.chain_base import MAX_AGE, close_of_expiry
from bestbt.engine.ports import Feed, Market
from bestbt.engine.prices import PriceColumns
from bestbt.engine.pricing import years_to
from bestbt.units import MINUTE, Ordinal

__all__ = ["Forwards", "Window", "forwards", "window"]

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_NO = 1 << 62


class Window(NamedTuple):
    """One contract over some bars: raw marks (0 before its first), and which bars are live."""

    marks: _Ints
    live: _Bools


class Forwards(NamedTuple):
    """Of one expiry over some bars.

    Attributes
    ----------
    value
        Currency per unit; nan where it is not known.
    age
        Bars since what it was read from was live.
    years
        To the expiry; nan when it is over.
    """

    value: _Floats
    age: _Ints
    years: _Floats


def window(columns: PriceColumns | None, low: Ordinal, high: Ordinal) -> Window:
    """Read the bars from *low* to before *high*; behind its end a contract keeps its last mark."""
    marks, live = np.zeros(high - low, dtype=np.int64), np.zeros(high - low, dtype=np.bool_)
    if columns is not None and high > columns.first:
        begin = max(columns.first - low, 0)
        a = max(low - columns.first, 0)
        b = min(high - columns.first, columns.n)
        if a < b:
            marks[begin : begin + b - a] = columns.marks[a:b]
            live[begin : begin + b - a] = columns.live[a:b]
        marks[begin + max(b - a, 0) :] = columns.marks[-1] if b == columns.n else 0
    return Window(marks, live)


def forwards(
    feed: Feed,
    market: Market,
    symbol: str,
    expiry: date,
    low: Ordinal,
    high: Ordinal,
    rate: float = 0.0,
) -> Forwards:
    """Return an expiry's forward at the bars from *low* to before *high*.

    The synthetic future K + C − P of the strike whose call and put differ least, of those made in
    the last five bars of the session; where there is none the future of the expiry; else the spot
    carried at *rate*.
    """
    grid = feed.grid
    early = max(low - MAX_AGE, 0)
    bars = np.arange(early, high)
    since = bars - np.array(grid.firsts, dtype=np.int64)[grid.session_of[early:high]]
    oldest = np.minimum(since, MAX_AGE)
    closing = close_of_expiry(market, grid, grid.session(high - 1), expiry)
    left = (closing - grid.ends[early:high]) / MINUTE
    years = np.where(left >= 0, years_to(left), np.nan)
    value, age = np.full(len(bars), np.nan), np.full(len(bars), _NO)
    spec = feed.future(symbol, expiry)
    index = feed.columns(feed.spot(symbol))
    others: list[tuple[PriceColumns | None, bool]] = [(index, False)]
    if spec is not None:
        others.append((feed.columns(spec), True))
    for columns, is_future in others:
        if columns is None:
            continue
        close, old = _closes(columns, early, high)
        known = old <= (oldest if is_future else _NO - 1)
        carried = close if is_future else close * np.exp(rate * np.nan_to_num(years))
        value, age = np.where(known, carried, value), np.where(known, old, age)
    pairs = _pairs(feed, symbol, expiry, early, high)
    if pairs is not None:
        strikes, calls, puts, scale = pairs
        old = np.maximum(_ages(calls.live), _ages(puts.live))
        differ = calls.marks - puts.marks
        miss = np.where(old <= oldest, np.abs(differ), _NO)
        best, at = miss.argmin(axis=0), np.arange(len(bars))
        synthetic = (strikes[best] + differ[best, at]) / scale
        known = (miss[best, at] < _NO) & (synthetic > 0)
        value, age = np.where(known, synthetic, value), np.where(known, old[best, at], age)
    cut = slice(low - early, None)
    return Forwards(value[cut], age[cut], years[cut])


def _closes(columns: PriceColumns, low: Ordinal, high: Ordinal) -> tuple[_Floats, _Ints]:
    """Newest live close at each bar, and its age."""
    at = np.clip(np.arange(low, high) - columns.first, 0, columns.n - 1)
    close = np.asarray(columns.close)[at]
    newest = np.asarray(columns.newest)[at] + columns.first
    bars = np.arange(low, high)
    return close, np.where(bars >= columns.first, bars - newest, _NO)


def _ages(live: _Bools) -> _Ints:
    """Bars since each row was live, within the bars given."""
    at = np.arange(live.shape[-1])
    newest = np.maximum.accumulate(np.where(live, at, -1), axis=-1)
    return np.where(newest >= 0, at - newest, _NO)


def _pairs(
    feed: Feed, symbol: str, expiry: date, low: Ordinal, high: Ordinal
) -> tuple[_Ints, Window, Window, int] | None:
    """Call and put of each strike that has both, by strike: raw strikes, and their bars."""
    rights: dict[float, dict[str, Window]] = {}
    scale = 1
    for row in feed.listed(symbol, expiry):
        if row.first < high and row.spec.strike is not None and row.spec.right is not None:
            columns = feed.columns(row.spec)
            if columns is not None and columns.first < high:
                scale = row.spec.scale
                found = rights.setdefault(row.spec.strike, {})
                found[row.spec.right] = window(columns, low, high)
    both = sorted((strike, found) for strike, found in rights.items() if len(found) == 2)
    if not both:
        return None
    strikes = np.rint(np.array([strike for strike, _ in both]) * scale).astype(np.int64)
    calls, puts = (
        Window(
            np.stack([found[right].marks for _, found in both]),
            np.stack([found[right].live for _, found in both]),
        )
        for right in ("CE", "PE")
    )
    return strikes, calls, puts, scale
