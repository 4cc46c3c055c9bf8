"""Candles of a day each: one row a date, as exchanges and vendors publish them.

    Date,Open,High,Low,Close,Shares_Traded        14-AUG-2025, 2025-08-14, 2025-08-14 00:00:00+05:30

The columns are those of bars in long form; what makes them daily is that no row has a time of
day. Each becomes one bar, from the open of its session to its close; in a session of two parts it
is the bar of the last part, so that nothing of it is known too early. The closes of an index are
also kept as its official closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.columns import EPOCH, read_dates
from bestbt.store.importers.long_bars import has_prices, pick
from bestbt.store.importers.parquet import opened
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import Table, read_table
from bestbt.store.sanitise import Calendar, Sheet, local_days
from bestbt.store.schema import KINDS
from bestbt.units import DAY

__all__ = ["are_days", "day_sheet", "read", "shows"]

_OPTIONS = ("symbol", "columns", "dates", "official_closes", "again", "check_level")
_WEEK = 5  # days: candles that are mostly further apart are of weeks or months
_LOOK = 50  # rows that are looked at


def shows(source: Source) -> bool:
    """Whether a file is a table of bars whose rows have a date and no time of day."""
    try:
        if source.head[:4] == b"PAR1":
            return _parquet_shows(source)
        places = pick(source.header, {}, source.name)
    except (ImportRefused, OSError, pa.ArrowException):
        return False
    if {"date", "time"} <= places.keys() or {"datetime", "time"} <= places.keys():
        return False
    at = places.get("datetime", places.get("date", 0))
    rows = (line.split(source.delimiter) for line in source.lines[source.first + 1 :][:_LOOK])
    return _no_clock([row[at].strip(' "') for row in rows if len(row) > at])


def _parquet_shows(source: Source) -> bool:
    headers = pa.parquet.read_schema(source.path).names
    places = pick(headers, {}, source.name)
    if "time" in places:
        return False
    at = headers[places.get("datetime", places.get("date", 0))]
    with opened(source, [at]) as file:
        first = next(file.iter_batches(batch_size=_LOOK, columns=[at]), None)
    return first is not None and _no_clock([str(v) for v in first.column(0).to_pylist() if v])


def are_days(table: Table) -> bool:
    """Whether the first rows of a table of bars have a date and no time of day."""
    columns = table.columns
    if "time" in columns:
        return False
    column = columns.get("datetime", columns.get("date"))
    if column is None:
        return False
    return _no_clock([str(v) for v in column.slice(0, _LOOK).to_pylist() if v is not None])


def _no_clock(texts: list[str]) -> bool:
    """Whether texts are dates; a midnight, of whichever zone, is no time of day."""
    days = pd.Series([t for t in texts if t], dtype=object)
    days = days.str.replace(r"[T ]00:00(:00(\.0+)?)?(Z|[+-]\d\d:?\d\d)?$", "", regex=True)
    if not len(days) or days.str.contains(":").any():
        return False
    return bool((read_dates(days.unique().tolist(), lambda *_: None) > 0).mean() > 0.5)


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    dates: str | None = None,
    official_closes: bool = True,
    **unknown: object,
) -> Sheet:
    """Read a file of daily candles.

    Parameters
    ----------
    symbol
        Name of the only instrument in it, in place of what the file says.
    columns
        Names of columns that the alias table does not know: ``{"close": "Price"}``.
    dates
        As of bars in long form.
    official_closes
        Whether the closes of an index are its official closes too.

    Raises
    ------
    ImportRefused
        No such columns, candles of weeks, or a name that contradicts the file's.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, _OPTIONS)
        raise ImportRefused(f"No option {name!r} for daily candles. {hint}")
    choose = partial(pick, given=columns or {}, name=source.name)
    table = has_prices(read_table(source, choose, format="daily-candles"), source.name)
    return day_sheet(
        source.name, table, market, symbol=symbol, dates=dates, official_closes=official_closes
    )


def day_sheet(
    name: str,
    table: Table,
    market: India,
    *,
    symbol: str | None = None,
    dates: str | None = None,
    official_closes: bool = True,
) -> Sheet:
    """Return a table of daily candles as a sheet of bars that span their sessions.

    Parameters
    ----------
    name
        The file's, for the report.
    symbol
        Name of the only instrument in it, in place of what the file says.
    dates
        As of `bars_sheet`.
    official_closes
        Whether the closes of an index are its official closes too.
    """
    sheet = bars_sheet(name, table, market, symbol=symbol, bar="1d", dates=dates)
    sheet.report.remarks = [r for r in sheet.report.remarks if not r.startswith("bars of ")]
    rows = sheet.rows
    days = local_days(rows.start, market.tz)
    apart = np.diff(np.unique(days))
    if len(apart) and np.median(apart) >= _WEEK:
        raise ImportRefused(
            f"The rows of {name} are mostly {int(np.median(apart))} days apart: candles of weeks "
            "or months. A bar is a day at most; get daily candles."
        )
    calendar = Calendar(market)
    hours_of = np.array([KINDS[s.asset].hours for s in sheet.specs], dtype="U20")
    for hours in np.unique(hours_of[rows.code]):
        mine = hours_of[rows.code] == hours
        months = np.unique(days[mine].astype("datetime64[D]").astype("datetime64[M]"))
        for month in months.astype(np.int64).tolist():
            for session in calendar.month(str(hours), month)[0]:
                of_day = mine & (days == session.day.toordinal() - EPOCH)
                rows.start[of_day] = session.parts[-1][0]
    sheet.step = DAY
    sheet.official = official_closes
    return sheet
