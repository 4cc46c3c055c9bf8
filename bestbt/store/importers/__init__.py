"""One file per vendor format; which it is, is seen from the content.

A format has two functions: `shows(source)` says whether a file is of it, and
``read(source, market, *, symbol, **options)`` reads it as a `Sheet` of bars, as
`Closes`, or, of what a store has written, as `Exported`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers import (
    bhavcopy,
    chain_snapshots,
    daily_candles,
    exported,
    index_closes,
    lean,
    long_bars,
    tradingview,
)
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.contracts import contract
from bestbt.store.importers.exported import Exported
from bestbt.store.importers.index_closes import Close, Closes, Settlement
from bestbt.store.importers.source import Source
from bestbt.store.sanitise import Sheet

__all__ = [
    "FORMATS",
    "Close",
    "Closes",
    "Exported",
    "Format",
    "Read",
    "Settlement",
    "contract",
    "frame",
    "read",
]

Read: TypeAlias = Sheet | Closes | Exported


class Format(NamedTuple):
    """How a format is recognised and read."""

    shows: Callable[[Source], bool]
    read: Callable[..., Read]


def _any(source: Source) -> bool:
    return True


# The first that a file shows is it: from those that are told by one look to the most general.
FORMATS: dict[str, Format] = {
    "bestbt-export": Format(exported.shows, exported.read),
    "lean": Format(lean.shows, lean.read),
    "chain-snapshots": Format(chain_snapshots.shows, chain_snapshots.read),
    "end-of-day": Format(bhavcopy.shows, bhavcopy.read),
    "index-closes": Format(index_closes.shows, index_closes.read),
    "tradingview": Format(tradingview.shows, tradingview.read),
    "daily-candles": Format(daily_candles.shows, daily_candles.read),
    "long-bars": Format(_any, long_bars.read),
}


def read(
    file: Path, market: India, *, format: str | None, symbol: str | None, **options: Any
) -> Read:
    """Read a file in the format named, or in the one that its content shows."""
    if format is not None and format not in FORMATS:
        raise ImportRefused(f"No format {format!r}. {did_you_mean(format, FORMATS)}")
    source = Source(file)
    name = format or next(name for name, known in FORMATS.items() if known.shows(source))
    return FORMATS[name].read(source, market, symbol=symbol, **options)


def frame(
    values: pd.DataFrame,
    name: str,
    market: India,
    *,
    symbol: str | None,
    columns: Mapping[str, str] | None,
    stamp: str,
    bar: str | None,
    official_closes: bool,
) -> Sheet:
    """Read a frame of bars: of minutes, or of days where its times have no time of day."""
    table = long_bars.table_of(values, name, columns)
    if bar in ("1d", None) and daily_candles.are_days(table):
        return daily_candles.day_sheet(
            name, table, market, symbol=symbol, official_closes=official_closes
        )
    return bars_sheet(name, table, market, symbol=symbol, stamp=stamp, bar=bar)
