"""Bars as TradingView exports them from a chart: `NSE_NIFTY, 30.csv`.

    time,open,high,low,close,Volume,MA,MA,RSI        time: 2018-01-01T09:15:00+05:30 or 1514778300

The instrument and the length of a bar stand in the file's name alone. Columns of indicators,
whatever they are called and however often, are not read. Options and futures have names of their
own: `NIFTY240229C22000`, `NIFTY1!` (the near future), `NIFTYG2024` (that of February).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.daily_candles import are_days, day_sheet
from bestbt.store.importers.long_bars import has_prices
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import read_table
from bestbt.store.sanitise import Sheet, local_days

__all__ = ["read", "shows"]

_FIRST = ["time", "open", "high", "low", "close"]
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$|\d{9,10}$")
_NAME = re.compile(
    r"^(?:(?:NSE|BSE|NFO|BFO|NSEIX)_)?(?:DLY_)?(?P<symbol>[^,]+), ?"
    r"(?P<length>\d*[SDWM]?)(?:_[0-9a-f]+)?(?: ?\(\d+\))?\.csv(?:\.gz)?$"
)
_OPTION = re.compile(r"^([A-Z]+)(\d\d)(\d\d)(\d\d)([CP])(\d+(?:\.\d+)?)$")
_SERIAL = re.compile(r"^([A-Z]+)([123])!$")
_MONTHLY = re.compile(r"^([A-Z]+?)([FGHJKMNQUVXZ])20(\d\d)$")
_MONTHS = {"F": "JAN", "G": "FEB", "H": "MAR", "J": "APR", "K": "MAY", "M": "JUN"}
_MONTHS |= {"N": "JUL", "Q": "AUG", "U": "SEP", "V": "OCT", "X": "NOV", "Z": "DEC"}
_OPTIONS = ("symbol", "bar", "official_closes", "again", "check_level")


class _Chart(NamedTuple):
    symbol: str | None
    bar: str | None  # None: the name does not say


def shows(source: Source) -> bool:
    """Whether a file has TradingView's header and its times."""
    header = source.header
    if header[:5] != _FIRST or {"oi", "symbol"} & {h.lower() for h in header}:
        return False
    rows = [line for line in source.lines[source.first + 1 :] if line.strip()]
    return bool(rows) and bool(_TIME.match(rows[0].split(",")[0]))


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    bar: str | None = None,
    official_closes: bool = True,
    **unknown: object,
) -> Sheet:
    """Read an exported chart.

    Parameters
    ----------
    symbol
        The instrument, for a file whose name was changed.
    bar
        Length of a bar; default: what the file's name says, else seen from the rows.
    official_closes
        Whether the closes of an index by day are its official closes too.

    Raises
    ------
    ImportRefused
        No instrument is known, or the bars are of seconds, weeks or months.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, _OPTIONS)
        raise ImportRefused(f"No option {name!r} for charts of TradingView. {hint}")
    chart = _chart(source.own_name)
    symbol = symbol or chart.symbol
    if symbol is None:
        raise ImportRefused(
            f"{source.name} is a chart of TradingView, which names its instrument in the file's "
            'name alone (NSE_NIFTY, 30.csv), and this is another; say symbol="NIFTY".'
        )
    table = has_prices(read_table(source, _pick, format="tradingview"), source.name)
    bar = bar or chart.bar
    if bar == "1d" or (bar is None and are_days(table)):
        return day_sheet(source.name, table, market, symbol=symbol, official_closes=official_closes)
    sheet = bars_sheet(source.name, table, market, symbol=symbol, bar=bar)
    days = local_days(sheet.rows.start, market.tz)
    if bar is None and len(days) > 1 and len(np.unique(days)) == len(days):
        raise ImportRefused(
            f"{source.name} has one row a day, each at a time of day, and its name does not say "
            'how long its bars are; say bar="1d", or what they are.'
        )
    return sheet


def _pick(headers: Sequence[str]) -> dict[str, int]:
    places = {role: headers.index(role) for role in _FIRST[1:]} | {"datetime": 0}
    volume = [i for i, header in enumerate(headers) if header.lower() == "volume"]
    return places | ({"volume": volume[0]} if volume else {})


def _chart(name: str) -> _Chart:
    """Return what the name of an exported file says."""
    found = _NAME.match(name)
    if found is None:
        return _Chart(None, None)
    length = found["length"]
    if length.endswith("S"):
        raise ImportRefused(f"{name} has bars of {length[:-1]} seconds: export minutes or longer.")
    if length.endswith(("W", "M")):
        raise ImportRefused(f"{name} has bars of weeks or months: export days or shorter.")
    if length.endswith("D"):
        if length not in ("D", "1D"):
            raise ImportRefused(f"{name} has bars of {length[:-1]} days: export single days.")
        return _Chart(_named(found["symbol"]), "1d")
    return _Chart(_named(found["symbol"]), f"{int(length)}min" if length else None)


def _named(text: str) -> str:
    """Return TradingView's name of an instrument as others write it."""
    name = text.strip().upper()
    if option := _OPTION.match(name):
        symbol, year, month, day, side, strike = option.groups()
        return f"{symbol} 20{year}-{month}-{day} {strike} {side}E"
    if serial := _SERIAL.match(name):
        return f"{serial[1]}-{'I' * int(serial[2])}"
    if monthly := _MONTHLY.match(name):
        return f"{monthly[1]}{monthly[3]}{_MONTHS[monthly[2]]}FUT"
    return name
