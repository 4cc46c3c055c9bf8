"""One file per vendor format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers import chain_snapshots, index_closes, long_bars
from bestbt.store.importers.index_closes import Close, Closes
from bestbt.store.importers.long_bars import contract
from bestbt.store.sanitise import Sheet

__all__ = ["FORMATS", "Close", "Closes", "contract", "read"]

FORMATS: dict[str, Callable[..., Sheet | Closes]] = {
    "long-bars": long_bars.read,
    "chain-snapshots": chain_snapshots.read,
    "index-closes": index_closes.read,
}


def read(
    file: Path, market: India, *, format: str | None, symbol: str | None, **options: Any
) -> Sheet | Closes:
    """Read a file in the format named, or in the one that its content shows."""
    if format is not None and format not in FORMATS:
        raise ImportRefused(f"No format {format!r}. {did_you_mean(format, FORMATS)}")
    return FORMATS[format or _shown(file)](file, market, symbol=symbol, **options)


def _shown(file: Path) -> str:
    if chain_snapshots.is_archive(file):
        return "chain-snapshots"
    return "index-closes" if index_closes.shows_closes(file) else "long-bars"
