"""Bars in long form: one row a bar, the instrument's name in a column. Parquet, CSV, a frame.

bytes ──> table of the columns that matter ──> times, contracts, numbers ──> Sheet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.bars import PRICES, SYMBOL, bars_sheet
from bestbt.store.importers.columns import plain, read_numbers
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import Table, frame_table, read_table
from bestbt.store.sanitise import Sheet

__all__ = ["ALIASES", "has_prices", "pick", "read", "table_of"]

INDEX = "indexlevel0"  # what pandas calls an index without a name in Parquet; in CSV it is ""

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": SYMBOL,
    "datetime": ("datetime", "timestamp", "dateandtime", "datetimeist", "timestampist", INDEX),
    "date": ("date", "day", "tradedate"),
    "time": ("time", "bartime", "tradetime"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v", "tradedvolume", "tradedqty"),
    "oi": ("oi", "openinterest", "openint"),
    "bid": ("bid", "bidprice", "bestbid"),
    "ask": ("ask", "askprice", "bestask"),
    "expiry": ("expiry", "expirydate", "actualexpirydate", "expiration", "expirationdate"),
    "strike": ("strike", "strikeprice"),
    "right": ("optiontype", "right", "callput", "cepe"),
}


def pick(headers: Sequence[str], given: Mapping[str, str], name: str) -> dict[str, int]:
    """Return which column means what, by its place; refuse, saying what was tried."""
    seen = [plain(h) for h in headers]
    if headers and not headers[0].strip():
        seen[0] = INDEX
    found: dict[str, int] = {}
    for role in given:
        if role not in ALIASES:
            raise ImportRefused(f"No column is called {role!r}. {did_you_mean(role, ALIASES)}")
    for role, aliases in ALIASES.items():
        wanted = (plain(given[role]),) if role in given else aliases
        for alias in wanted:
            places = [i for i, header in enumerate(seen) if header == alias]
            if len(places) > 1:
                raise ImportRefused(
                    f"{name} has {len(places)} columns that may be {role}: "
                    f"{', '.join(headers[i] for i in places)}; rename all but one."
                )
            if places:
                found[role] = places[0]
                break
        if role in given and role not in found:
            raise ImportRefused(
                f"{name} has no column {given[role]!r}, given for {role}; "
                f"it has {', '.join(headers)}."
            )
    missing = [role for role in PRICES if role not in found]
    if "time" in found and not {"datetime", "date"} & found.keys():
        found["datetime"] = found.pop("time")  # the only one: whether it holds the date is seen
    if "datetime" not in found and "date" not in found:
        missing.append("datetime (or date and time)")
    if missing:
        raise ImportRefused(_lacks(headers, found, missing, name))
    return found


def _lacks(
    headers: Sequence[str], found: Mapping[str, int], missing: Sequence[str], name: str
) -> str:
    """Say what is missing, what it could be called, and what can be done."""
    if any(_is_value(h) for h in headers):
        return (
            f"{name} has no header: its first line holds values ({', '.join(headers[:6])} …), so "
            "what its columns mean is not known. Write a header above it, or name all columns in "
            'order: header=["symbol", "datetime", "open", …].'
        )
    roles = [r for r in ALIASES if r in missing]
    if len(roles) < len(missing):  # nothing says when
        roles = ["datetime", "date", "time", *roles]
    tried = "; ".join(f"{r}: {', '.join(ALIASES[r])}" for r in roles)
    known = ", ".join(f"{r} = {headers[i] or '(no name)'}" for r, i in found.items()) or "none"
    said = (
        f"{name} lacks {', '.join(missing)}. Columns found: {', '.join(headers)}. "
        f"Understood: {known}. Names tried: {tried}. "
    )
    if list(missing) == [role for role in PRICES if role not in found] == list(PRICES[:3]):
        return said + _one_price(headers[found["close"]])
    one = missing[0].split()[0]
    return said + f'Name them yourself: columns={{"{one}": "…"}}, or --set columns.{one}=…'


def _is_value(header: str) -> bool:
    try:
        float(header)
    except ValueError:
        return False
    return True


def _one_price(header: str) -> str:
    given = ", ".join(f'"{role}": "{header}"' for role in PRICES)
    return (
        "It has one price a row; to store bars of that price alone, in which no stop or limit is "
        f"seen to be touched, say columns={{{given}}}."
    )


def has_prices(table: Table, name: str) -> Table:
    """Return a table, refused if a column of prices is there and holds nothing at all."""
    empty = [r for r in PRICES if not np.isfinite(read_numbers(table.columns[r])).any()]
    if empty:
        what = ", ".join(table.headers[role] for role in empty)
        raise ImportRefused(
            f"{name} has the columns {what}, and not one number in them: it holds no bars. If "
            'another column has the price, such as "ltp", name it for all four: '
            'columns={"open": "ltp", "high": "ltp", "low": "ltp", "close": "ltp"}.'
        )
    return table


def _known(unknown: Mapping[str, object], *names: str) -> None:
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, (*names, "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for minute bars. {hint}")


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    stamp: str | None = None,
    bar: str | None = None,
    tz: str | None = None,
    dates: str | None = None,
    header: Sequence[str] | None = None,
    **unknown: object,
) -> Sheet:
    """Read a file of bars in long form.

    Parameters
    ----------
    symbol
        Name of the only instrument in it, in place of what the file says.
    columns
        Names of columns that the alias table does not know: ``{"open": "LTP"}``.
    stamp
        `"start"` or `"end"`: what of its bar a time names; default: the start, unless there is no
        doubt that it is the end.
    bar
        Length of a bar, such as `"5min"`; default: seen from the rows.
    tz
        Whose clock the times show, such as `"UTC"`, also where they name a zone; default: the
        zone named, else the exchange's.
    dates
        `"day-first"` or `"month-first"`: how dates are read that can be read in both ways;
        default: seen from the rows, the day first where both fit.
    header
        Names of all columns in order, for a text without a header.

    Raises
    ------
    ImportRefused
        No such columns, nothing that can be read, or a name that contradicts the file's.
    """
    _known(unknown, "symbol", "columns", "stamp", "bar", "tz", "dates", "header")
    choose = partial(pick, given=columns or {}, name=source.name)
    table = read_table(source, choose, format="long-bars", header=header)
    has_prices(table, source.name)
    return bars_sheet(
        source.name, table, market, symbol=symbol, stamp=stamp, bar=bar, tz=tz, dates=dates
    )


def table_of(frame: pd.DataFrame, name: str, columns: Mapping[str, str] | None = None) -> Table:
    """Return a frame as a table of bars: its columns, and its index where that is one.

    Raises
    ------
    ImportRefused
        No such columns, or no rows.
    """
    choose = partial(pick, given=columns or {}, name=name)
    return has_prices(frame_table(frame, choose, format="long-bars"), name)
