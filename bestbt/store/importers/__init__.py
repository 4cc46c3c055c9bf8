"""One file per vendor format; which it is, is seen from the content.

A format has two functions: `shows(source)` says whether a file is of it, and
``read(source, market, *, symbol, **options)`` reads it as a `Sheet` of bars, as a
`TickSheet`, as `Closes`, or, of what a store has written, as `Exported`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers import (
    arrays,
    bhavcopy,
    chain_snapshots,
    daily_candles,
    depth_ticks,
    dhan_rolling,
    exported,
    gdfl_minutes,
    gdfl_seconds,
    index_closes,
    lean,
    long_bars,
    tradingview,
    truedata_seconds,
)
from bestbt.store.importers.archives import KINDS, Part, Unpacker, is_zip, parts
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.contracts import contract
from bestbt.store.importers.exported import Exported
from bestbt.store.importers.index_closes import Close, Closes, Settlement
from bestbt.store.importers.source import Source, Watch
from bestbt.store.sanitise import Sheet
from bestbt.store.tick_rules import TickSheet

__all__ = [
    "FORMATS",
    "KINDS",
    "Close",
    "Closes",
    "Exported",
    "Format",
    "Part",
    "Read",
    "Settlement",
    "Source",
    "Unpacker",
    "Watch",
    "contract",
    "frame",
    "identity",
    "is_many",
    "parts",
    "read",
    "recognise",
]

Read: TypeAlias = Sheet | TickSheet | Closes | Exported


class Format(NamedTuple):
    """How a format is recognised and read.

    `named` tells whether its content says whose prices they are, `whole` whether it takes a folder
    or an archive as one.
    """

    shows: Callable[[Source], bool]
    read: Callable[..., Read]
    named: bool = True
    whole: bool = False


def _any(source: Source) -> bool:
    return True


# The first that a file shows is it: from those that are told by one look to the most general.
FORMATS: dict[str, Format] = {
    "bestbt-export": Format(exported.shows, exported.read),
    "lean": Format(lean.shows, lean.read, whole=True),
    "chain-snapshots": Format(chain_snapshots.shows, chain_snapshots.read, whole=True),
    "end-of-day": Format(bhavcopy.shows, bhavcopy.read, whole=True),
    "gdfl-minutes": Format(gdfl_minutes.shows, gdfl_minutes.read),
    "kite-candles": Format(arrays.KITE.shows, arrays.KITE.read, named=False),
    "upstox-candles": Format(arrays.UPSTOX.shows, arrays.UPSTOX.read, named=False),
    "fyers-candles": Format(arrays.FYERS.shows, arrays.FYERS.read, named=False),
    "dhan-rolling": Format(dhan_rolling.shows, dhan_rolling.read, named=False),
    "depth-ticks": Format(depth_ticks.shows, depth_ticks.read, named=False),
    "gdfl-seconds": Format(gdfl_seconds.shows, gdfl_seconds.read),
    "truedata-seconds": Format(truedata_seconds.shows, truedata_seconds.read, named=False),
    "index-closes": Format(index_closes.shows, index_closes.read),
    "tradingview": Format(tradingview.shows, tradingview.read, named=False),
    "daily-candles": Format(daily_candles.shows, daily_candles.read, named=False),
    "long-bars": Format(_any, long_bars.read),
}


def recognise(source: Source, format: str | None = None) -> str:
    """Return the format named, or the one that the content shows."""
    if format is not None and format not in FORMATS:
        raise ImportRefused(f"No format {format!r}. {did_you_mean(format, FORMATS)}")
    return format or next(name for name, known in FORMATS.items() if known.shows(source))


def read(
    source: Source, market: India, *, format: str, symbol: str | None = None, **options: Any
) -> Read:
    """Read a file in a format."""
    return FORMATS[format].read(source, market, symbol=symbol, **options)


def is_many(source: Source, format: str | None = None) -> bool:
    """Whether a path is a folder or an archive of files that are imported one by one."""
    if not (source.path.is_dir() or is_zip(source.path)):
        return False
    if format in FORMATS:
        return not FORMATS[format].whole
    return not any(known.whole and known.shows(source) for known in FORMATS.values())


def identity(source: Source, format: str, symbol: str | None, options: Mapping[str, Any]) -> str:
    """Return what, beside its content, makes an import of a file that import.

    What was said of it: with another symbol or zone it is stored as something else. And arrays of
    prices do not say whose they are: two far options may have the same one bar.
    """
    said = {name: str(value) for name, value in sorted(options.items())}
    if not FORMATS[format].named:
        return f"{source.own_name} {symbol} {said}"
    return f"{symbol} {said}" if symbol or said else ""


def frame(
    values: pd.DataFrame,
    name: str,
    market: India,
    *,
    symbol: str | None,
    columns: Mapping[str, str] | None,
    stamp: str,
    bar: str | None,
    dates: str | None,
    official_closes: bool,
) -> Sheet:
    """Read a frame of bars: of minutes, or of days where its times have no time of day."""
    table = long_bars.table_of(values, name, columns)
    if bar in ("1d", None) and daily_candles.are_days(table):
        return daily_candles.day_sheet(
            name, table, market, symbol=symbol, dates=dates, official_closes=official_closes
        )
    return bars_sheet(name, table, market, symbol=symbol, stamp=stamp, bar=bar, dates=dates)
