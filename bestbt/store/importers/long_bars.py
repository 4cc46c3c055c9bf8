"""Minute bars in long form: one row a bar, the instrument's name in a column. Parquet or CSV.

bytes ──> table of the columns that matter ──> times, contracts, numbers ──> Sheet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.bars import PRICES, SYMBOL, bars_sheet
from bestbt.store.importers.columns import plain
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import read_table
from bestbt.store.sanitise import Sheet

__all__ = ["ALIASES", "read"]

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": SYMBOL,
    "datetime": ("datetime", "timestamp", "dateandtime", "datetimeist"),
    "date": ("date", "day", "tradedate"),
    "time": ("time", "bartime", "tradetime"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v", "tradedvolume", "tradedqty"),
    "oi": ("oi", "openinterest", "openint"),
}


def _map(headers: Sequence[str], given: Mapping[str, str], name: str) -> dict[str, int]:
    """Return which column means what, by its place; refuse, saying what was tried."""
    seen = [plain(h) for h in headers]
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
        tried = "; ".join(f"{r}: {', '.join(ALIASES[r])}" for r in ALIASES if r not in found)
        known = ", ".join(f"{r} = {headers[i]}" for r, i in found.items()) or "none"
        raise ImportRefused(
            f"{name} lacks {', '.join(missing)}. Columns found: {', '.join(headers)}. "
            f"Understood: {known}. Names tried for the others: {tried}. "
            f'Name them yourself, such as columns={{"{missing[0].split()[0]}": "…"}}.'
        )
    return found


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    stamp: str | None = None,
    bar: str | None = None,
    tz: str | None = None,
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

    Raises
    ------
    ImportRefused
        No such columns, nothing that can be read, or a name that contradicts the file's.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(
            name, ("symbol", "columns", "stamp", "bar", "tz", "again", "check_level")
        )
        raise ImportRefused(f"No option {name!r} for minute bars. {hint}")
    pick = partial(_map, given=columns or {}, name=source.name)
    table = read_table(source, pick, format="long-bars")
    return bars_sheet(source.name, table, market, symbol=symbol, stamp=stamp, bar=bar, tz=tz)
