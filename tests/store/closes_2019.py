"""Official closes of NIFTY and BANKNIFTY on the expiry days of 16 May to 31 July 2019.

For runs over the archive of option chains of those weeks. All are from a public list of daily
closes (github.com/0xlakshya/StockWatch, server/src/lib/constants.ts). Where the archive has a page
that was written after the close, or before the next day's open, it shows the same value; the two
days of which it has none are confirmed by the press or by the archive's own intraday values.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

__all__ = ["CLOSES", "OfficialClose"]


class OfficialClose(NamedTuple):
    """What an index closed at, and what else says so beside the list."""

    symbol: str
    day: date
    value: float
    source: str


_AFTER = "the archive's page after the close"
_NEXT = "the archive's first page of the next session"
_EVE = "business-standard.com 2019-07-04; zeebiz.com 2019-07-05"


def _row(symbol: str, day: str, value: float, source: str) -> OfficialClose:
    return OfficialClose(symbol, date.fromisoformat(day), value, source)


CLOSES: tuple[OfficialClose, ...] = (
    _row("NIFTY", "2019-05-16", 11_257.10, _AFTER),
    _row("NIFTY", "2019-05-23", 11_657.05, _AFTER),
    _row("NIFTY", "2019-05-30", 11_945.90, f"{_AFTER}; hindustantimes.com 2019-05-30"),
    _row("NIFTY", "2019-06-06", 11_843.75, _NEXT),
    _row("NIFTY", "2019-06-13", 11_914.05, _AFTER),
    _row("NIFTY", "2019-06-20", 11_831.75, _NEXT),
    _row("NIFTY", "2019-06-27", 11_841.55, _NEXT),
    _row("NIFTY", "2019-07-04", 11_946.75, _EVE),
    _row("NIFTY", "2019-07-11", 11_582.90, _NEXT),
    _row("NIFTY", "2019-07-18", 11_596.90, _AFTER),
    _row("NIFTY", "2019-07-25", 11_252.15, _AFTER),
    _row("BANKNIFTY", "2019-05-16", 28_855.30, _AFTER),
    _row("BANKNIFTY", "2019-05-23", 30_409.10, _AFTER),
    _row("BANKNIFTY", "2019-05-30", 31_537.10, "the archive at 14:01 within 0.1 %"),
    _row("BANKNIFTY", "2019-06-06", 30_857.40, _NEXT),
    _row("BANKNIFTY", "2019-06-13", 30_976.10, _AFTER),
    _row("BANKNIFTY", "2019-06-20", 30_781.10, _NEXT),
    _row("BANKNIFTY", "2019-06-27", 31_269.50, _NEXT),
    _row("BANKNIFTY", "2019-07-04", 31_471.85, _EVE),
    _row("BANKNIFTY", "2019-07-11", 30_716.55, _NEXT),
    _row("BANKNIFTY", "2019-07-18", 30_430.60, _AFTER),
    _row("BANKNIFTY", "2019-07-25", 29_043.05, _AFTER),
)
