"""One file per vendor format; which it is, is seen from the content.

A format has two functions: `shows(source)` says whether a file is of it, and
``read(source, market, *, symbol, **options)`` reads it as a `Sheet` of bars or as `Closes`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers import bhavcopy, chain_snapshots, index_closes, long_bars
from bestbt.store.importers.contracts import contract
from bestbt.store.importers.index_closes import Close, Closes, Settlement
from bestbt.store.importers.source import Source
from bestbt.store.sanitise import Sheet

__all__ = ["FORMATS", "Close", "Closes", "Format", "Settlement", "contract", "read"]

Read: TypeAlias = Sheet | Closes


class Format(NamedTuple):
    """How a format is recognised and read."""

    shows: Callable[[Source], bool]
    read: Callable[..., Read]


def _any(source: Source) -> bool:
    return True


# The first that a file shows is it: from those that are told by one look to the most general.
FORMATS: dict[str, Format] = {
    "chain-snapshots": Format(chain_snapshots.shows, chain_snapshots.read),
    "end-of-day": Format(bhavcopy.shows, bhavcopy.read),
    "index-closes": Format(index_closes.shows, index_closes.read),
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
