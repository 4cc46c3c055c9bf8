"""What a trade in India costs, and how large one order may be: dated rows, each with its source.

As in `india_tables`, a row holds from its first to its last day, both included, None is open, and
what no source tells is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from bestbt.markets.india_tables import day_or_none as _d

__all__ = ["CHARGES", "FREEZES", "FREEZE_BANDS", "LEAST_FREEZE", "Charge", "Freeze", "Traded"]

# What is charged alike: shares that are delivered, or bought and sold in a day, are not.
Traded: TypeAlias = Literal["", "option", "future", "delivery", "intraday"]


@dataclass(frozen=True, slots=True)
class Charge:
    """A rate in percent of the turnover (brokerage: rupees an order), as the source writes it."""

    traded: Traded  # "" is any
    exchange: str  # "" is any
    name: str
    rate: str
    first: date | None
    last: date | None
    source: str


def _charge(
    traded: Traded, exchange: str, name: str, rate: str, first: str, last: str, source: str
) -> Charge:
    return Charge(traded, exchange, name, rate, _d(first), _d(last), source)


_STT_2023 = "community.dhan.co/t/7768 (Finance Bill 2023)"
_STT_2026 = "cleartax.in; devadhaantu.in (Finance Bill 2026)"
_STT_SHARES = "tradingqna.com/t/185139 (all rates since 2004); proficientequities.com (2026)"
_STT_VALUE = "taxguru.in (section 99 until 2019-08-31); tradingqna.com/t/185139; BSE 20190823-28"
_FLAT = "scribd.com/document/353210080 (2017); ussagar.org 2020-02-07; inquisitordev 2020-06"
_IPFT = "thehindu.com 2023-03-24; community.dhan.co/t/7768; investor fund levy included"
_OCTOBER = "goodreturns.in 2024-09; shareindia.com; investor fund levy included"
_OCTOBER_BSE = "hindustantimes.com 2024-09-27; financialexpress.com 2024-09-30 (none, unchanged)"
_SHARES_2021 = "garvthakur.com (0.00325 % and the 6 % rise of 2021)"
_SHARES_2023 = "thehindu.com 2023-03-24 (the rise taken back); investor fund levy included"
_SHARES_2024 = "goodreturns.in 2024-09; proficientequities.com; investor fund levy included"
_STAMP = "zerodha.com/marketintel/bulletin/259741"
# Until June 2020 each state had its own; that of Maharashtra was also Delhi's and Gujarat's.
_STAMP_STATE = "samco.in; help.tradesmartonline.in (Maharashtra); tradejini.com (both sides)"
_SEBI_HALF = "thehindu.com 2020-04-27 (half of the fee, June 2020 to March 2021)"
_SEBI = "taxguru.in 2019-03-22 (10 per crore); ussagar.org 2020-02-07; brokers' pages"
_GST = "brokers' pages (18 % from 2017-07-01)"
_PLANS = "shareindia.com; tradesee.in (the smaller of the two)"

CHARGES: tuple[Charge, ...] = (
    _charge("", "", "sebi", "0.0001", "2019-04-01", "2020-05-31", _SEBI),
    _charge("", "", "sebi", "0.00005", "2020-06-01", "2021-03-31", _SEBI_HALF),
    _charge("", "", "sebi", "0.0001", "2021-04-01", "", _SEBI),
    _charge("", "", "gst", "18", "2017-07-01", "", _GST),
    _charge("option", "", "brokerage", "20", "", "", "zerodha.com"),
    _charge("option", "", "stt", "0.017", "", "2016-05-31", "investorzclub 2016-05"),
    _charge("option", "", "stt", "0.05", "2016-06-01", "2023-03-31", "investorzclub 2016-05"),
    _charge("option", "", "stt", "0.0625", "2023-04-01", "2024-09-30", _STT_2023),
    _charge("option", "", "stt", "0.1", "2024-10-01", "2026-03-31", "nithinkamath.me 2024-10-01"),
    _charge("option", "", "stt", "0.15", "2026-04-01", "", _STT_2026),
    _charge("option", "", "stt_value", "0.125", "2008-06-01", "2019-08-31", _STT_VALUE),
    _charge("option", "", "stt_exercise", "0.125", "2019-09-01", "2026-03-31", "zerodha.com"),
    _charge("option", "", "stt_exercise", "0.15", "2026-04-01", "", "cleartax.in"),
    _charge("option", "NSE", "exchange", "0.05", "2017-07-01", "2020-12-31", _FLAT),
    _charge("option", "NSE", "exchange", "0.053", "2021-01-01", "2023-03-31", _IPFT),
    _charge("option", "NSE", "exchange", "0.05", "2023-04-01", "2024-09-30", _IPFT),
    _charge("option", "NSE", "exchange", "0.03553", "2024-10-01", "", _OCTOBER),
    _charge("option", "BSE", "exchange", "0.0325", "2024-10-01", "", _OCTOBER_BSE),
    _charge("option", "", "stamp", "0.002", "2017-07-01", "2020-06-30", _STAMP_STATE),
    _charge("option", "", "stamp_sell", "0.002", "2017-07-01", "2020-06-30", _STAMP_STATE),
    _charge("option", "", "stamp", "0.003", "2020-07-01", "", _STAMP),
    _charge("future", "", "brokerage", "20", "", "", _PLANS),
    _charge("future", "", "brokerage_rate", "0.03", "", "", _PLANS),
    _charge("future", "", "stt", "0.01", "2013-06-01", "2023-03-31", _STT_2023),
    _charge("future", "", "stt", "0.0125", "2023-04-01", "2024-09-30", _STT_2023),
    _charge("future", "", "stt", "0.02", "2024-10-01", "2026-03-31", "shareindia.com"),
    _charge("future", "", "stt", "0.05", "2026-04-01", "", "proficientequities.com"),
    _charge("future", "NSE", "exchange", "0.0019", "2017-07-01", "2020-12-31", _FLAT),
    _charge("future", "NSE", "exchange", "0.002", "2021-01-01", "2024-09-30", _IPFT),
    _charge("future", "NSE", "exchange", "0.00183", "2024-10-01", "", _OCTOBER),
    _charge("future", "BSE", "exchange", "0", "2024-10-01", "", _OCTOBER_BSE),
    _charge("future", "", "stamp", "0.002", "2017-07-01", "2020-06-30", _STAMP_STATE),
    _charge("future", "", "stamp_sell", "0.002", "2017-07-01", "2020-06-30", _STAMP_STATE),
    _charge("future", "", "stamp", "0.002", "2020-07-01", "", _STAMP),
    _charge("delivery", "", "brokerage", "0", "", "", "zerodha.com; tradesee.in"),
    _charge("delivery", "", "stt", "0.1", "2013-06-01", "", _STT_SHARES),
    _charge("delivery", "", "stt_buy", "0.1", "2013-06-01", "", _STT_SHARES),
    _charge("delivery", "", "stamp", "0.015", "2020-07-01", "", _STAMP),
    _charge("intraday", "", "brokerage", "20", "", "", _PLANS),
    _charge("intraday", "", "brokerage_rate", "0.03", "", "", _PLANS),
    _charge("intraday", "", "stt", "0.025", "2006-06-01", "", _STT_SHARES),
    _charge("intraday", "", "stamp", "0.003", "2020-07-01", "", _STAMP),
    *(
        _charge(traded, "NSE", "exchange", rate, first, last, source)
        for traded in ("delivery", "intraday")
        for rate, first, last, source in (
            ("0.00325", "2017-07-01", "2020-12-31", _FLAT),
            ("0.00345", "2021-01-01", "2023-03-31", _SHARES_2021),
            ("0.00335", "2023-04-01", "2024-09-30", _SHARES_2023),
            ("0.00307", "2024-10-01", "", _SHARES_2024),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Most units of a symbol's contracts that one order may have."""

    symbol: str
    units: int
    first: date
    last: date | None
    source: str


def _freeze(symbol: str, units: int, first: str, last: str, source: str) -> Freeze:
    return Freeze(symbol, units, date.fromisoformat(first), _d(last), source)


_AUGUST = "tradingqna.com/t/115834; 5paisa.com (NSE circular of 2021-07-31)"
_RULE = "the rule, on the months' last closes (StockWatch's list; firstpost.com 2022-01-31)"
_NOTICES = "NSE, by madefortrade.in/t/4037, angelone.in 2023-04, 2024-08, 2025-03"
_FEBRUARY = "icicidirect.com (since when is not told)"

# The exchange announces limits for a month. A row ends where a notice, or a month without one,
# may have changed it; it goes on where the notices on both sides agree.
FREEZES: tuple[Freeze, ...] = (
    _freeze("NIFTY", 5000, "2021-07-30", "2021-08-01", "tradingqna.com/t/115834 (the old limit)"),
    _freeze("NIFTY", 2800, "2021-08-02", "2021-08-31", _AUGUST),
    _freeze("NIFTY", 2800, "2021-09-01", "2021-09-30", _RULE),
    _freeze("NIFTY", 1800, "2021-10-01", "2021-11-30", _RULE),
    _freeze("NIFTY", 2800, "2021-12-01", "2021-12-31", _RULE),
    _freeze("NIFTY", 1800, "2022-01-01", "2022-02-28", _RULE),
    _freeze("NIFTY", 1800, "2022-11-01", "", f"{_NOTICES}; moneycontrol.com; icicidirect.com"),
    _freeze("BANKNIFTY", 2500, "2021-07-30", "2021-08-01", "tradingqna.com/t/115834"),
    _freeze("BANKNIFTY", 1200, "2021-08-02", "2021-08-31", _AUGUST),
    _freeze("BANKNIFTY", 1200, "2021-09-01", "2022-02-28", _RULE),
    _freeze("BANKNIFTY", 900, "2022-11-01", "2025-04-30", f"{_NOTICES}; gizfy.com (until May)"),
    _freeze("BANKNIFTY", 600, "2025-05-01", "2025-08-31", "gizfy.com; moneycontrol.com 2025-08-30"),
    _freeze("BANKNIFTY", 900, "2025-09-01", "2025-11-02", "moneycontrol.com 2025-08-30"),
    _freeze("BANKNIFTY", 600, "2025-11-03", "", "NSE notice of 2025-10-31; icicidirect.com"),
    _freeze("FINNIFTY", 1800, "2022-11-01", "2025-11-30", f"{_NOTICES}; NSE 2025-10-31"),
    _freeze("FINNIFTY", 1200, "2025-12-01", "2025-12-31", "icicidirect.com"),
    _freeze("FINNIFTY", 1800, "2026-02-01", "", "NSE notice of 2026-01-30; icicidirect.com"),
    _freeze("MIDCPNIFTY", 5500, "2022-11-01", "2023-04-30", _NOTICES),
    _freeze("MIDCPNIFTY", 2800, "2024-08-01", "2024-08-31", _NOTICES),
    _freeze("MIDCPNIFTY", 4200, "2025-03-03", "2025-03-31", _NOTICES),
    _freeze("MIDCPNIFTY", 2800, "2025-07-01", "", "moneycontrol.com 2025-08-30; icicidirect.com"),
    _freeze("SENSEX", 1000, "2026-02-01", "", _FEBRUARY),
)

# The NSE's rule from 2021-08-02: highest level of the index at the end of the month before, units.
FREEZE_BANDS: tuple[tuple[float, int], ...] = (
    (5_750, 8_500),
    (8_625, 5_500),
    (11_500, 4_200),
    (17_250, 2_800),
    (27_500, 1_800),
    (40_000, 1_200),
    (55_000, 900),
    (float("inf"), 600),
)

LEAST_FREEZE = 600  # the lowest of the rule, and of all notices
