"""What a chart may show by name: an index, a future, an option, or a straddle of two options."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from bestbt.engine.ports import AssetType, ContractSpec, Feed
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.errors import ContractNotFound
from bestbt.units import POINTS, Right

__all__ = ["Charted", "find", "prices"]

_RIGHTS: dict[str, tuple[Right, ...]] = {"CE": ("CE",), "PE": ("PE",), "STRADDLE": ("CE", "PE")}


class Charted(NamedTuple):
    """What is charted: its full name, and the contracts that it is the sum of."""

    name: str
    legs: tuple[ContractSpec, ...]


class _Asked(NamedTuple):
    """The words of a name, told apart by their form; they may come in any order."""

    symbol: str
    what: str  # "" of an index, else FUT, CE, PE, STRADDLE
    strike: float | None
    expiry: date | None


def find(feed: Feed, text: str, symbols: Sequence[str], today: date) -> Charted:
    """Return what a name means on a day.

    Parameters
    ----------
    feed
        Where contracts are looked up.
    text
        `"NIFTY"`, `"NIFTY 2024-01-25 21500 CE"`, `"NIFTY 2024-01-25 FUT"`, `"STRADDLE 22000"`,
        `"22000 PE"`; capitals or not. The symbol is the first of *symbols* unless it is named,
        the expiry the first that is not before *today*.

    Raises
    ------
    ContractNotFound
        Where there is no such contract; says what there is.

    Examples
    --------
    >>> from bestbt.testing import MemoryFeed
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=2)
    >>> for right in ("CE", "PE"):
    ...     call_or_put = feed.add_option("2024-01-04", 21500, right, [100, 101])
    >>> found = find(feed, "straddle 21500", ("NIFTY",), date(2024, 1, 1))
    >>> found.name, [str(leg) for leg in found.legs]
    ('NIFTY 2024-01-04 21500 STRADDLE', ['NIFTY 2024-01-04 21500 CE', 'NIFTY 2024-01-04 21500 PE'])
    """
    asked = _read(text, symbols[0])
    if not asked.what:
        spec = feed.spot(asked.symbol)
        return Charted(str(spec), (spec,))
    expiry = asked.expiry or _nearest(feed, asked, today)
    if asked.what == "FUT":
        future = feed.future(asked.symbol, expiry)
        if future is None:
            raise ContractNotFound(f"No future of {asked.symbol} of {expiry} in this run.")
        return Charted(str(future), (future,))
    if asked.strike is None:
        raise ContractNotFound(f"{text!r} has no strike; write it like '22000 {asked.what}'.")
    legs = tuple(_option(feed, asked, expiry, right) for right in _RIGHTS[asked.what])
    if len(legs) == 1:
        return Charted(str(legs[0]), legs)
    return Charted(f"{asked.symbol} {expiry} {asked.strike:g} STRADDLE", legs)


def _read(text: str, symbol: str) -> _Asked:
    names, what = [], ""
    strike: float | None = None
    expiry: date | None = None
    for word in text.upper().split():
        if word in _RIGHTS or word == "FUT":
            what = word
        elif word.replace(".", "", 1).isdigit():
            strike = float(word)
        elif word[:1].isdigit() and word.count("-") == 2:
            try:
                expiry = date.fromisoformat(word)
            except ValueError:
                raise ContractNotFound(f"{word!r} in {text!r} is no date.") from None
        else:
            names.append(word)
    if not what and (strike is not None or expiry is not None):
        raise ContractNotFound(f"{text!r}: write CE, PE, STRADDLE or FUT with it.")
    return _Asked(" ".join(names) or symbol, what, strike, expiry)


def _nearest(feed: Feed, asked: _Asked, today: date) -> date:
    asset: AssetType = "future" if asked.what == "FUT" else "option"
    days = [e.day for e in feed.expiries(asked.symbol, asset) if e.day >= today]
    if not days:
        raise ContractNotFound(f"No {asset} of {asked.symbol} expires on {today} or later here.")
    return min(days)


def _option(feed: Feed, asked: _Asked, expiry: date, right: Right) -> ContractSpec:
    listed = [row.spec for row in feed.listed(asked.symbol, expiry) if row.spec.right == right]
    for spec in listed:
        if spec.strike == asked.strike:
            return spec
    strikes = [spec.strike for spec in listed if spec.strike is not None]
    there = f"strikes go from {min(strikes):g} to {max(strikes):g}" if strikes else "none is listed"
    raise ContractNotFound(f"No {asked.symbol} {expiry} {asked.strike:g} {right}: {there}.")


def prices(feed: Feed, charted: Charted) -> PriceColumns:
    """Return the prices of what is charted.

    A straddle's bar is live where both legs' are. Its open and close are their sums exactly; its
    high and low are the sums of theirs, which it cannot have gone beyond but need not have
    reached, for the legs' extremes come at different moments. It has no volume.

    Raises
    ------
    ContractNotFound
        Where there is no price.
    """
    found = []
    for leg in charted.legs:
        columns = feed.columns(leg)
        if columns is None:
            raise ContractNotFound(f"{leg} has no price in this run.")
        found.append(columns)
    if len(found) == 1:
        return found[0]
    first, end = max(c.first for c in found), min(c.end for c in found)
    live = np.ones(max(end - first, 0), dtype=bool)
    total = np.zeros((len(live), POINTS), dtype=np.int64)  # open, high, low, close
    for c in found:
        part = slice(first - c.first, first - c.first + len(live))
        live &= c.live[part]
        quads = c.points.reshape(-1, POINTS)[part]
        inner = np.sort(quads[:, 1:3], axis=1)
        total += np.stack((quads[:, 0], inner[:, 1], inner[:, 0], quads[:, 3]), axis=1)
    if not live.any():
        raise ContractNotFound(f"{charted.name}: in no bar of this run do both legs trade.")
    bars = np.flatnonzero(live) + first
    points = path_points(*total[live].T)
    return PriceColumns.from_live(bars, points, found[0].scale, end=end)
