"""Dated facts of Indian index derivatives, each row with its source; charges are next door.

Facts change and are corrected, so nothing of this is a constant in code. A row holds from its
first to its last day, both included; None is open. What no source tells is not here, and asking
for it is refused. Two announced changes were withdrawn and must never be applied: BANKNIFTY
weeklies on Fridays from 2023-07-07, and NIFTY on Mondays from 2025-04-04.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from bestbt.engine.ports import ExpiryKind
from bestbt.errors import UsageError, did_you_mean

__all__ = [
    "BSE",
    "EXPIRY_RULES",
    "FUTURE_TICKS",
    "HOURS",
    "LOTS",
    "OPTION_TICK",
    "SPECIAL_SESSIONS",
    "SYMBOLS",
    "ExpiryRule",
    "Hours",
    "Lot",
    "SpecialSession",
    "day_or_none",
    "holds",
    "known",
]

MON, TUE, WED, THU, FRI = range(5)


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """Weekday on which a symbol's contracts of one kind expire; monthly: its last of the month.

    `first` and `last` are scheduled dates, before a holiday moves one.
    """

    symbol: str
    kind: ExpiryKind
    weekday: int
    first: date | None
    last: date | None
    source: str


def day_or_none(text: str) -> date | None:
    """Read a date; an empty text is an open end."""
    return date.fromisoformat(text) if text else None


def holds(first: date | None, last: date | None, day: date) -> bool:
    """Whether a row holds on a day."""
    return (first is None or first <= day) and (last is None or day <= last)


def _rule(
    symbol: str, kind: ExpiryKind, weekday: int, first: str, last: str, source: str
) -> ExpiryRule:
    return ExpiryRule(symbol, kind, weekday, day_or_none(first), day_or_none(last), source)


_TUESDAY = "NSE/FAOP/68685 and 68747"
_THURSDAY = "NSE/FAOP/65336"
_MIDCAP_TUE = "finideas.com (launch 2022-01-24); tradingqna.com/t/144954"
_MIDCAP_MON = "financialexpress.com 2023-07-13; NSE/FAOP/64506"
_FIN_TUE = "flattrade.in 2021-10 (first Tuesday 2021-10-19); NSE/FAOP/64506"
_SENSEX_FRI = "livemint.com 2023-03-28; business-standard.com 2024-11-28; latestly.com"
_SENSEX_TUE = "business-standard.com 2024-11-28"
_SENSEX_THU = "business-standard.com 2025-06-17; madefortrade.in/t/52044"

EXPIRY_RULES: tuple[ExpiryRule, ...] = (
    _rule("NIFTY", "weekly", THU, "2019-02-14", "2025-08-28", "exchange files; NSE/FAOP/68747"),
    _rule("NIFTY", "weekly", TUE, "2025-09-02", "", _TUESDAY),
    _rule("NIFTY", "monthly", THU, "", "2025-08-28", "NSE/FAOP/68747"),
    _rule("NIFTY", "monthly", TUE, "2025-09-30", "", _TUESDAY),
    _rule("BANKNIFTY", "weekly", THU, "2017-01-05", "2023-08-31", "exchange files; livemint.com"),
    _rule("BANKNIFTY", "weekly", WED, "2023-09-06", "2024-11-13", "NSE/FAOP/64506; livemint.com"),
    _rule("BANKNIFTY", "monthly", THU, "", "2024-02-29", "livemint.com 2023-12-28"),
    _rule(
        "BANKNIFTY", "monthly", WED, "2024-03-27", "2024-12-25", "livemint.com 2023-12-28; 65336"
    ),
    _rule("BANKNIFTY", "monthly", THU, "2025-01-30", "2025-08-28", _THURSDAY),
    _rule("BANKNIFTY", "monthly", TUE, "2025-09-30", "", _TUESDAY),
    _rule("FINNIFTY", "weekly", THU, "2021-01-14", "2021-10-14", "exchange files"),
    _rule("FINNIFTY", "weekly", TUE, "2021-10-19", "2024-11-19", _FIN_TUE),
    _rule(
        "FINNIFTY", "monthly", THU, "2021-01-28", "2021-09-30", "thehindubusinessline.com 2021-09"
    ),
    _rule("FINNIFTY", "monthly", TUE, "2021-10-26", "2024-12-31", _THURSDAY),
    _rule("FINNIFTY", "monthly", THU, "2025-01-30", "2025-08-28", _THURSDAY),
    _rule("FINNIFTY", "monthly", TUE, "2025-09-30", "", _TUESDAY),
    _rule("MIDCPNIFTY", "weekly", TUE, "2022-01-25", "2023-04-25", _MIDCAP_TUE),
    _rule("MIDCPNIFTY", "weekly", WED, "2023-05-03", "2023-08-16", "tradingqna.com/t/144954"),
    _rule("MIDCPNIFTY", "weekly", MON, "2023-08-21", "2024-11-18", _MIDCAP_MON),
    _rule("MIDCPNIFTY", "monthly", TUE, "2022-01-25", "2023-04-25", _MIDCAP_TUE),
    _rule("MIDCPNIFTY", "monthly", WED, "2023-05-31", "2023-07-26", "tradingqna.com/t/144954"),
    _rule("MIDCPNIFTY", "monthly", MON, "2023-08-28", "2024-12-30", _MIDCAP_MON),
    _rule(
        "MIDCPNIFTY", "monthly", THU, "2025-01-30", "2025-08-28", "business-standard.com 2024-11-30"
    ),
    _rule("MIDCPNIFTY", "monthly", TUE, "2025-09-30", "", _TUESDAY),
    _rule("SENSEX", "weekly", FRI, "2023-05-19", "2025-01-03", _SENSEX_FRI),
    _rule("SENSEX", "weekly", TUE, "2025-01-07", "2025-08-26", _SENSEX_TUE),
    _rule("SENSEX", "weekly", THU, "2025-09-04", "", _SENSEX_THU),
    _rule("SENSEX", "monthly", FRI, "2023-05-26", "2024-12-27", _SENSEX_FRI),
    _rule("SENSEX", "monthly", TUE, "2025-01-28", "2025-08-26", _SENSEX_TUE),
    _rule("SENSEX", "monthly", THU, "2025-09-25", "", _SENSEX_THU),
)

SYMBOLS: tuple[str, ...] = tuple(dict.fromkeys(rule.symbol for rule in EXPIRY_RULES))
BSE = frozenset({"SENSEX"})


def known(symbol: str) -> str:
    """Return a symbol as it is written here; refuse one without dated facts."""
    name = symbol.upper()
    if name not in SYMBOLS:
        raise UsageError(
            f"No dated facts for {symbol!r}: bestbt knows {', '.join(SYMBOLS)}. "
            f"{did_you_mean(name, SYMBOLS)}"
        )
    return name


@dataclass(frozen=True, slots=True)
class Relot:
    """A lot that changed under running contracts: of the expiries from one day to another.

    With `quarterly` only those of March, June, September and December, which are listed for years.
    """

    symbol: str
    day: date  # the first with the new lot
    before: int
    first: date
    last: date
    quarterly: bool
    source: str


@dataclass(frozen=True, slots=True)
class Lot:
    """Units per lot from the first weekly and the first monthly expiry that has it.

    None as `units` says from when on the lot is not known; the source says why.
    """

    symbol: str
    units: int | None
    weekly: date
    monthly: date
    source: str


def _lot(symbol: str, units: int | None, weekly: str, monthly: str, source: str) -> Lot:
    return Lot(symbol, units, date.fromisoformat(weekly), date.fromisoformat(monthly), source)


LOTS: tuple[Lot, ...] = (
    _lot("NIFTY", 50, "2014-10-30", "2014-10-30", "justtrading.in; since when is not sourced"),
    _lot("NIFTY", 25, "2014-10-31", "2014-10-31", "justtrading.in (NSE notice of October 2014)"),
    _lot("NIFTY", None, "2015-01-01", "2015-01-01", "25 became 75 in 2015, the date is unknown"),
    _lot("NIFTY", 75, "2016-01-01", "2016-01-01", "NSE/FAOP/47854 (the lot it replaced)"),
    _lot("NIFTY", 50, "2021-08-05", "2021-07-29", "NSE/FAOP/47854"),
    _lot("NIFTY", 25, "2024-05-02", "2024-05-30", "NSE/FAOP/61415"),
    _lot("NIFTY", 75, "2025-01-02", "2025-02-27", "NSE/FAOP/64625"),
    _lot("NIFTY", 65, "2026-01-06", "2026-01-27", "NSE/FAOP/70616"),
    _lot("BANKNIFTY", 40, "2018-10-25", "2018-10-25", "zerodha.com; since when is not sourced"),
    _lot("BANKNIFTY", 20, "2018-10-26", "2018-10-26", "zerodha.com/marketintel/bulletin/199104"),
    _lot("BANKNIFTY", 25, "2020-07-30", "2020-07-30", "tradingqna.com/t/82105"),
    _lot("BANKNIFTY", 15, "2023-08-03", "2023-07-27", "tradingqna.com/t/145259; livemint.com"),
    _lot(
        "BANKNIFTY", 30, "2025-02-27", "2025-02-27", "NSE/FAOP/64625; angelone.in (lots, BSE too)"
    ),
    _lot("BANKNIFTY", 35, "2025-07-31", "2025-07-31", "fyers.in; ndtvprofit.com 2025-03-28"),
    _lot("BANKNIFTY", 30, "2026-01-27", "2026-01-27", "NSE/FAOP/70616"),
    _lot("FINNIFTY", 40, "2021-01-14", "2021-01-28", "NSE/FAOP/61415 (the lot it replaced)"),
    _lot("FINNIFTY", 25, "2024-08-06", "2024-07-30", "NSE/FAOP/61415"),
    _lot("FINNIFTY", 65, "2025-02-27", "2025-02-27", "NSE/FAOP/64625"),
    _lot("FINNIFTY", 60, "2026-01-27", "2026-01-27", "NSE/FAOP/70616"),
    _lot("MIDCPNIFTY", 75, "2022-01-25", "2022-01-25", "finideas.com; investorq.com (launch)"),
    _lot("MIDCPNIFTY", 50, "2024-08-05", "2024-07-29", "NSE/FAOP/61415; zerodha.com 375282"),
    _lot("MIDCPNIFTY", 120, "2025-02-27", "2025-02-27", "NSE/FAOP/64625"),
    _lot("MIDCPNIFTY", 140, "2025-07-31", "2025-07-31", "fyers.in; ndtvprofit.com 2025-03-28"),
    _lot("MIDCPNIFTY", 120, "2026-01-27", "2026-01-27", "NSE/FAOP/70616"),
    _lot("SENSEX", 10, "2023-05-19", "2023-05-26", "livemint.com 2023-03-28"),
    _lot("SENSEX", 20, "2025-01-07", "2025-02-25", "angelone.in (2025-01-10 and 02-28 re-dated)"),
)


def _relot(symbol: str, day: str, before: int, first: str, last: str, source: str) -> Relot:
    quarterly = not last
    start, end = date.fromisoformat(first), date.fromisoformat(last or "2025-12-31")
    return Relot(symbol, date.fromisoformat(day), before, start, end, quarterly, source)


# Contracts of any expiry that were listed then, up to a last one; or of quarterly ones alone, up to
# the end of 2025: on which day longer ones got their last lot is not sourced.
RELOTS: tuple[Relot, ...] = (
    _relot("BANKNIFTY", "2018-10-26", 40, "2018-10-26", "2019-01-31",
           "zerodha.com/marketintel/bulletin/199104"),
    _relot("NIFTY", "2024-04-26", 50, "2024-05-02", "2024-06-27", "NSE/FAOP/61415"),
    _relot("NIFTY", "2024-04-26", 50, "2024-09-01", "", "NSE/FAOP/61415"),
    _relot("NIFTY", "2024-12-27", 25, "2025-03-01", "", "NSE/FAOP/64625 (evening before)"),
    _relot("BANKNIFTY", "2024-12-25", 15, "2025-03-01", "", "NSE/FAOP/64625 (evening before)"),
    _relot("BANKNIFTY", "2025-04-25", 30, "2025-09-01", "", "fyers.in; ndtvprofit.com 2025-03-28"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hours:
    """Normal hours of a segment in local time, `"09:15"` to `"15:30"`."""

    segment: str
    open: str
    close: str
    first: date | None
    last: date | None
    source: str


_CLOSING_AUCTION = "NSE circular of May 2026 (webindia123.com 2026-05-30, livemint.com)"


def _hours(segment: str, hours: str, first: str, last: str, source: str) -> Hours:
    opens, closes = hours.split("-")
    return Hours(segment, opens, closes, day_or_none(first), day_or_none(last), source)


_CLOCK_2010 = "atulkarmarkar.com 2009-12 (deferred to January 4); learnstockmarket.in"
_CALENDARS = "exchange calendars"

HOURS: tuple[Hours, ...] = (
    _hours("index", "09:55-15:30", "", "2010-01-03", "indiatoday.in 2009-12-16"),
    _hours("index", "09:00-15:30", "2010-01-04", "2010-10-17", _CLOCK_2010),
    _hours("index", "09:15-15:30", "2010-10-18", "2026-08-02", _CALENDARS),
    _hours("index", "09:15-15:15", "2026-08-03", "", _CLOSING_AUCTION),
    _hours("derivatives", "09:15-15:30", "2010-10-18", "2026-08-02", _CALENDARS),
    _hours("derivatives", "09:15-15:40", "2026-08-03", "", _CLOSING_AUCTION),
)


@dataclass(frozen=True, slots=True)
class SpecialSession:
    """A day with hours of its own, in both segments. No parts: its hours are not known.

    `expires` says whether a contract may expire on it: a full Saturday takes over from a Monday
    that was made a holiday (2024-01-20), a drill or a muhurat evening does not (2024-05-18).
    """

    day: date
    kind: str
    parts: tuple[tuple[str, str], ...]
    source: str
    expires: bool = False


def _special(day: str, kind: str, hours: str, source: str, expires: bool = False) -> SpecialSession:
    parts = tuple(part.split("-") for part in hours.split())
    return SpecialSession(
        date.fromisoformat(day), kind, tuple((a, b) for a, b in parts), source, expires
    )


SPECIAL_SESSIONS: tuple[SpecialSession, ...] = (
    _special("2019-10-27", "muhurat", "18:15-19:15", "date and half-hour bars in NIFTY files"),
    _special("2020-02-01", "Union Budget", "09:15-15:30", "thirteen half-hour NIFTY bars", True),
    _special("2020-11-14", "muhurat", "18:15-19:15", "ndtv.com 2020-11-14; indianexpress.com"),
    _special(
        "2021-02-24",
        "outage, reopened 15:45",
        "09:15-17:00",
        "freepressjournal.in; money9.com",
        True,
    ),
    _special("2021-11-04", "muhurat", "18:15-19:15", "NSE/FAOP/46625; freepressjournal.in"),
    _special("2022-10-24", "muhurat", "18:15-19:15", "NSE/FAOP/50561; pandas_market_calendars"),
    _special("2023-11-12", "muhurat", "18:15-19:15", "NSE/FAOP/54759; angelone.in"),
    _special("2024-01-20", "full Saturday", "09:15-15:30", "NSE/MSD/60340; zerodha.com", True),
    _special("2024-03-02", "two-part drill", "09:15-10:00 11:30-12:30", "NSE/MSD/60677"),
    _special("2024-05-18", "two-part drill", "09:15-10:00 11:30-12:30", "NSE/MSD/61893"),
    _special("2024-11-01", "muhurat", "18:00-19:00", "NSE/FAOP/59723; ndtvprofit.com"),
    _special("2025-02-01", "Union Budget", "09:15-15:30", "NSE/FAOP/65730", True),
    _special("2025-10-21", "muhurat", "13:45-14:45", "NSE/FAOP/65588; ndtvprofit.com"),
    _special("2026-02-01", "Union Budget", "09:15-15:30", "NSE/FAOP/72352", True),
    _special("2026-11-08", "muhurat", "", "NSE/FAOP/71777: its hours were to be told later"),
)


# Options and futures of all shares that expire from then on settle in shares. (Smaller ones did so
# from the expiries of April and July 2019; which these were is not sourced.)
IN_KIND_FROM = date(2019, 10, 1)
IN_KIND_SOURCE = "SEBI/HO/MRD/DOPI/CIR/P/2018/161; thehindubusinessline.com 2018-12-31"


OPTION_TICK = 0.05  # NSE contract files; kept when futures changed (fyers.in 2025-03-17)

# First day, and (highest index level, tick) in order; the exchange reviews the level monthly.
FUTURE_TICKS: tuple[tuple[date, tuple[tuple[float, float], ...], str], ...] = (
    (date.min, ((float("inf"), 0.05),), "fyers.in 2025-03-17 (the tick it replaced)"),
    (
        date(2025, 4, 12),
        ((15_000, 0.05), (30_000, 0.10), (float("inf"), 0.20)),
        "fyers.in 2025-03-17; marketcalls.in",
    ),
)
