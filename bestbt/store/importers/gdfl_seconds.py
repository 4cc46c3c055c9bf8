"""GDFL's ticks by the second: last price, best bid and ask, what was traded; one row a change.

    Ticker,Date,Time,LTP,BuyPrice,BuyQty,SellPrice,SellQty,LTQ,OpenInterest
    NIFTY03JUL2522800CE.NFO,01/07/2025,09:15:02,152.3,152.1,75,152.4,150,75,1204500

One file a contract or many. Dates have the day first. LTQ is each row's own: 0 is a quote alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from bestbt.errors import ImportRefused
from bestbt.markets.india import India
from bestbt.store.importers.columns import coded, plain, read_numbers
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import read_table
from bestbt.store.importers.tick_table import (
    moments,
    no_options,
    number_rows,
    table_report,
    tick_sheet,
    volume_kind,
)
from bestbt.store.tick_rules import TickSheet

__all__ = ["read", "shows"]

_ROLES = {
    "ticker": "symbol",
    "date": "date",
    "time": "time",
    "ltp": "price",
    "buyprice": "bid",
    "buyqty": "bid_qty",
    "sellprice": "ask",
    "sellqty": "ask_qty",
    "ltq": "volume",
    "openinterest": "oi",
}
_NUMBERS = ("price", "volume", "oi", "bid", "ask")


def shows(source: Source) -> bool:
    """Whether the header has all these columns, in any order."""
    return {plain(field) for field in source.header} >= _ROLES.keys()


def _places(headers: Sequence[str]) -> dict[str, int]:
    seen = {plain(header): i for i, header in enumerate(headers)}
    missing = [name for name in _ROLES if name not in seen]
    if missing:
        raise ImportRefused(
            f"Ticks of GDFL have the columns {', '.join(_ROLES)}; missing: {', '.join(missing)}."
        )
    return {role: seen[name] for name, role in _ROLES.items()}


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    volumes: object = None,
    **unknown: object,
) -> TickSheet:
    """Read a file of GDFL's ticks.

    Parameters
    ----------
    symbol
        Name of the only instrument in it, in place of what the file says.
    volumes
        `"each"` (each row's own, as the vendor has it) or `"total"` (the day's so far); default:
        seen from the rows.
    """
    no_options(unknown, "ticks of GDFL", ("symbol", "volumes", "again", "check_level"))
    kind = volume_kind(volumes, "each")
    table = read_table(source, _places, format="gdfl-seconds")
    report = table_report(source.name, table)
    which, names = coded(table.columns["symbol"])
    if symbol is not None:
        if len(names) > 1:
            raise ImportRefused(
                f"symbol={symbol!r} was given, but {source.name} names {len(names)} instruments; "
                "leave it out."
            )
        names = [symbol]
    time = moments(table, market.tz, "%d/%m/%Y")
    numbers = {name: read_numbers(table.columns[name]) for name in _NUMBERS}
    rest = number_rows([read_numbers(table.columns[n]) for n in ("bid_qty", "ask_qty")])
    line, show = table.line, table.show
    return tick_sheet(market, report, line, show, names, which, time, numbers, rest, kind)
