"""GDFL's minutes, as its files of a day or of a contract have them.

    Ticker,Date,Time,Open,High,Low,Close,Volume,Open Interest
    NIFTY03JUL2522800CE.NFO,01/07/2025,10:58:59,100,102,99,101,35,6155

Global Datafeeds sells them for derivatives (``.NFO``, ``.BFO``), shares (``.NSE``) and indices
(``.NSE_IDX``, ``.BSE_IDX``). The day comes first in a date, and a time is the last second of its
minute. Only minutes with a trade are there; volume and open interest are in units.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.columns import plain
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import read_table
from bestbt.store.sanitise import Sheet

__all__ = ["read", "shows"]

_ROLES = {
    "ticker": "symbol",
    "date": "date",
    "time": "time",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "openinterest": "oi",
}
_TICKER = re.compile(r"\.(?:NFO|BFO|NSE|BSE|NSE_IDX|BSE_IDX|MCX|CDS|NCX)$")
_DATE = re.compile(r"\d\d/\d\d/\d{4}$")
_TIME = re.compile(r"\d\d:\d\d:59$")
_LOOK = 200  # rows


def shows(source: Source) -> bool:
    """Whether the header is GDFL's, and so are most of the first tickers, dates and times."""
    header = [plain(h) for h in source.header]
    if sorted(header) != sorted(_ROLES):
        return False
    places = [header.index(name) for name in ("ticker", "date", "time")]
    lines = source.lines[source.first + 1 :][:_LOOK]
    rows = [r for r in csv.reader(lines, delimiter=source.delimiter) if len(r) == len(_ROLES)]
    alike = [
        all(
            form.search(row[at].strip())
            for form, at in zip((_TICKER, _DATE, _TIME), places, strict=True)
        )
        for row in rows
    ]
    return 2 * sum(alike) > len(alike)


def read(source: Source, market: India, *, symbol: str | None = None, **unknown: object) -> Sheet:
    """Read a file of GDFL's minutes.

    Parameters
    ----------
    symbol
        Name of the only instrument in it, in place of what the file says.

    Raises
    ------
    ImportRefused
        Another header, nothing that can be read, or an unknown option.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, ("symbol", "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for GDFL's minutes. {hint}")

    def pick(headers: Sequence[str]) -> dict[str, int]:
        found = {_ROLES[h]: i for i, h in enumerate(map(plain, headers)) if h in _ROLES}
        if lacking := [name for name, role in _ROLES.items() if role not in found]:
            raise ImportRefused(
                f"{source.name} lacks {', '.join(lacking)} of GDFL's columns; it has "
                f"{', '.join(headers)}."
            )
        return found

    table = read_table(source, pick, format="GDFL minutes")
    return bars_sheet(
        source.name,
        table,
        market,
        symbol=symbol,
        stamp="last-second",
        bar="1min",
        dates="%d/%m/%Y",
    )
