"""TrueData's ticks by the second: no header, and the contract is the file's name.

    20240103,09:15:02,152.3,75,1204500,152.1,75,152.4,150       NIFTY24010421700CE.csv
    date, time, last price, volume, open interest, bid, its quantity, ask, its quantity

An index has five columns, the last two of them 0. Volume is each row's own or the day's so far:
archives have either, so it is seen from the rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bestbt.errors import ImportRefused
from bestbt.markets.india import India
from bestbt.store.importers.columns import read_numbers
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import read_table
from bestbt.store.importers.tick_table import (
    moments,
    named_by_file,
    no_options,
    number_rows,
    table_report,
    tick_sheet,
    volume_kind,
)
from bestbt.store.tick_rules import TickSheet

__all__ = ["read", "shows"]

_COLUMNS = ("date", "time", "price", "volume", "oi", "bid", "bid_qty", "ask", "ask_qty")
_OF_INDEX = 5
_ROW = re.compile(r"\d{8},\d\d:\d\d:\d\d(?:\.\d+)?,[^,]*(?:,0,0|(?:,[^,]*){6})")


def shows(source: Source) -> bool:
    """Whether the first row has five or nine fields: a date, a time of day and numbers."""
    lines = [line for line in source.lines[:20] if line.strip()]
    return bool(lines) and _ROW.fullmatch(lines[0].strip()) is not None


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    volumes: object = None,
    **unknown: object,
) -> TickSheet:
    """Read a file of TrueData's ticks.

    Parameters
    ----------
    symbol
        The contract, in place of what the file's name says.
    volumes
        `"each"` (each row's own) or `"total"` (the day's so far); default: seen from the rows.

    Raises
    ------
    ImportRefused
        The name says no contract, and none is given; the columns are not five or nine.
    """
    no_options(unknown, "ticks of TrueData", ("symbol", "volumes", "again", "check_level"))
    kind = volume_kind(volumes, "each")
    if not shows(source):
        raise ImportRefused(
            f"{source.name} has no rows such as 20240103,09:15:02,152.3,75,1204500,152.1,75,152.4,"
            "150 (or five columns, of an index)."
        )
    width = len(source.header)
    header = _COLUMNS if width > _OF_INDEX else _COLUMNS[:_OF_INDEX]

    def places(headers: Sequence[str]) -> dict[str, int]:
        return {name: i for i, name in enumerate(headers)}

    table = read_table(source, places, format="truedata-seconds", header=header)
    report = table_report(source.name, table)
    name = named_by_file(source, symbol, report)
    time = moments(table, market.tz, "%Y%m%d")
    columns = {n: read_numbers(c) for n, c in table.columns.items() if n not in ("date", "time")}
    quantities = [columns[n] for n in ("bid_qty", "ask_qty") if n in columns]
    rest = number_rows(quantities or [np.zeros(len(time))])
    which = np.zeros(len(time), dtype=np.int64)
    line, show = table.line, table.show
    return tick_sheet(market, report, line, show, [name], which, time, columns, rest, kind)
