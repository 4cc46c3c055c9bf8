"""Files in vendors' shapes, written from the demo market; one module a vendor.

`VENDORS` lists one file of each shape with the format as which it is to be recognised; every
importer adds its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tests.vendors import bhavcopy, brokers, daily_candles, dhan, gdfl, tradingview
from tests.vendors.market import MONTHLY, START, chosen, weekly

__all__ = ["VENDORS", "Vendor"]


class Vendor(NamedTuple):
    """A shape: the format it is recognised as, and what writes a file of it into a folder."""

    format: str
    write: Callable[[Path], Path]


def _end_of_day(
    layout: Callable[[list[bhavcopy.DayRow], date], str],
) -> Callable[[Path], Path]:
    """Return what writes the end of a day, of one future, in a layout."""

    def write(folder: Path) -> Path:
        prices = (21_700.0, 21_800.0, 21_600.0, 21_750.0)
        row = bhavcopy.DayRow(
            "NIFTY", MONTHLY, 0, "", prices, 21_755.0, 21_700.0, volume=5000, oi=10_000, lot=50
        )
        file = folder / f"fo{START:%d%m%Y}.csv"
        file.write_text(layout([row], START))
        return file

    return write


VENDORS: dict[str, Vendor] = {
    "gdfl day": Vendor("gdfl-minutes", lambda folder: gdfl.by_day(folder, chosen())[0]),
    "gdfl contract": Vendor("gdfl-minutes", lambda folder: gdfl.by_contract(folder, chosen())[2]),
    "gdfl index": Vendor("gdfl-minutes", lambda folder: gdfl.by_contract(folder, chosen())[0]),
    "kite": Vendor("kite-candles", lambda folder: brokers.kite(folder, chosen()[3])),
    "kite index": Vendor("kite-candles", lambda folder: brokers.kite(folder, chosen()[0])),
    "upstox": Vendor("upstox-candles", lambda folder: brokers.upstox(folder, chosen()[3])),
    "fyers": Vendor("fyers-candles", lambda folder: brokers.fyers(folder, chosen()[3])),
    "fyers expired": Vendor(
        "fyers-candles", lambda folder: brokers.fyers_expired(folder, chosen()[3])
    ),
    "bhavcopy": Vendor("end-of-day", _end_of_day(bhavcopy.legacy)),
    "bhavcopy since 2024": Vendor("end-of-day", _end_of_day(bhavcopy.udiff)),
    "tradingview": Vendor("tradingview", lambda folder: tradingview.write(folder, chosen()[0])),
    "daily candles": Vendor(
        "daily-candles", lambda folder: daily_candles.write(folder, chosen()[0], "exchange")
    ),
    "dhan": Vendor("dhan-rolling", lambda folder: dhan.write_all(folder, weekly(), [0])[0]),
}
