"""India: expiries, lots, ticks, sessions, charges and settlement of index derivatives, by date.

The functions are what people type; `INDIA` answers the same names to a run. Facts are typed into
`india_tables`, `india_charges` and `india_holidays`, row by row with their sources; charges are
worked out in `india_fees`. What is not sourced is refused with `NoSchedule`, which says what is
missing; nothing is guessed.

    >>> from datetime import date
    >>> expiry_dates("NIFTY", date(2024, 3, 25), date(2024, 4, 11))
    [datetime.date(2024, 3, 28), datetime.date(2024, 4, 4), datetime.date(2024, 4, 10)]

The weekdays on which the exchanges are closed are known for 2019 to 2026. In other years an expiry
is the date that was scheduled, and every weekday is a possible session.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Literal, NamedTuple

from bestbt.engine.grid import Session, time_of_day
from bestbt.engine.ports import Expiry, ExpiryKind, LotChange, SettlementRule
from bestbt.errors import ExpiryNotFound, NoSchedule, UsageError, did_you_mean
from bestbt.markets.india_fees import charges, fees, freeze_quantity
from bestbt.markets.india_holidays import HOLIDAY_YEARS, HOLIDAYS
from bestbt.markets.india_tables import (
    BSE,
    EXPIRY_RULES,
    FUTURE_TICKS,
    HOURS,
    IN_KIND_FROM,
    LOTS,
    OPTION_TICK,
    RELOTS,
    SPECIAL_SESSIONS,
    SYMBOLS,
    ExpiryRule,
    holds,
    known,
)
from bestbt.units import DAY, MINUTE, Ns, Price

__all__ = [
    "INDIA",
    "SYMBOLS",
    "India",
    "charges",
    "exchange_of",
    "expiry_dates",
    "expiry_kind",
    "fees",
    "find_expiry",
    "freeze_quantity",
    "is_trading_day",
    "lot_changes",
    "lot_size",
    "sessions",
    "settlement",
    "settles_in_kind",
    "tick_size",
    "why_closed",
]

_SEGMENTS = tuple(dict.fromkeys(row.segment for row in HOURS))
_SPECIAL = {row.day: row for row in SPECIAL_SESSIONS}
_ONE = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_OFFSET: Ns = 330 * MINUTE  # IST is UTC+5:30 all year
_LISTED_AHEAD = timedelta(days=60)  # weeklies are listed at most this long before they expire
_CLOSING_AUCTION = date(2026, 8, 3)


def exchange_of(symbol: str) -> str:
    """Exchange on which a symbol's derivatives trade.

    >>> exchange_of("SENSEX"), exchange_of("NIFTY")
    ('BSE', 'NSE')
    """
    return "BSE" if known(symbol) in BSE else "NSE"


# ---------------------------------------------------------------- trading days and sessions


def _expires_on(day: date) -> bool:
    """Whether a contract may expire on a day: a full session."""
    special = _SPECIAL.get(day)
    if special is not None:
        return special.expires
    return day.weekday() < 5 and day not in HOLIDAYS


def why_closed(day: date) -> str | None:
    """Why a day has no session; None when it has one.

    >>> why_closed(date(2024, 1, 26))
    'Republic Day (NSE/FAOP/59723)'
    >>> why_closed(date(2024, 1, 25)) is None
    True
    """
    special = _SPECIAL.get(day)
    if special is not None:
        if special.parts:
            return None
        return f"{special.kind} session of unknown hours ({special.source})"
    if day in HOLIDAYS:
        return "{} ({})".format(*HOLIDAYS[day])
    return None if day.weekday() < 5 else "weekend"


def is_trading_day(day: date) -> bool:
    """Whether a day has a session of known hours, special ones included.

    Outside 2019 to 2026 every weekday is one, for want of a list of holidays.

    >>> is_trading_day(date(2024, 1, 20)), is_trading_day(date(2024, 1, 22))
    (True, False)
    """
    return why_closed(day) is None


def _part(day: date, opens: str, closes: str) -> tuple[Ns, Ns]:
    midnight = (day - _EPOCH).days * DAY - _OFFSET
    return midnight + time_of_day(opens), midnight + time_of_day(closes)


def sessions(start: date, end: date, segment: str = "derivatives") -> list[Session]:
    """Trading days of a range with their hours, special sessions included.

    A drill in two parts is one session with two parts; a day of halts or an outage keeps its outer
    hours, and its bars without trades are stale. A muhurat session whose hours are not known
    (2026-11-08) is left out; `why_closed` says so.

    Parameters
    ----------
    start, end
        First and last local date, both included.
    segment
        `"derivatives"`, or `"index"` (indices and the cash market).

    Returns
    -------
    list of Session
        In order; parts are half-open intervals of UTC nanoseconds. Outside 2019 to 2026 no list of
        holidays is sourced and **every weekday is a possible session**: leave out those on which
        the index has no data.

    Raises
    ------
    NoSchedule
        Where no source tells the hours: derivatives before 2010-10-18.

    Examples
    --------
    >>> len(sessions(date(2024, 5, 13), date(2024, 5, 20)))  # a Saturday in two parts, a holiday
    6
    >>> (sessions(date(2026, 8, 3), date(2026, 8, 3), "index")[0].close // MINUTE + 330) % 1440
    915
    """
    if segment not in _SEGMENTS:
        raise UsageError(f"No segment {segment!r}. {did_you_mean(segment, _SEGMENTS)}")
    if end < start:
        raise UsageError(f"The range ends before it starts: {start} to {end}.")
    out = []
    for n in range((end - start).days + 1):
        day = start + n * _ONE
        if why_closed(day) is not None:
            continue
        special = _SPECIAL.get(day)
        hours = special.parts if special is not None else (_normal_hours(segment, day),)
        out.append(Session(day, tuple(_part(day, opens, closes) for opens, closes in hours)))
    return out


def _normal_hours(segment: str, day: date) -> tuple[str, str]:
    for row in HOURS:
        if row.segment == segment and holds(row.first, row.last, day):
            return row.open, row.close
    raise NoSchedule(
        f"No sourced trading hours of {segment} for {day}: they are known from 2010-10-18 on. "
        'For index data before that ask for segment="index".'
    )


# ---------------------------------------------------------------- expiries


class _Scheduled(NamedTuple):
    planned: date  # by the weekday rule
    day: date  # after holidays
    kind: ExpiryKind


def _last_weekday(year: int, month: int, weekday: int) -> date:
    after = date(year + month // 12, month % 12 + 1, 1)
    return after - timedelta(days=(after.weekday() - weekday - 1) % 7 + 1)


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def _weekdays(year: int, weekday: int) -> Iterator[date]:
    day = date(year, 1, 1)
    day += timedelta(days=(weekday - day.weekday()) % 7)
    while day.year == year:
        yield day
        day += 7 * _ONE


def _planned(rule: ExpiryRule, year: int) -> Iterator[date]:
    """Dates of a rule in a year, whether or not it is in force then."""
    if rule.kind == "weekly":
        return _weekdays(year, rule.weekday)
    return (_last_weekday(year, month, rule.weekday) for month in range(1, 13))


def _shifted(planned: date) -> date:
    """Return the previous trading day, where the planned one is none."""
    day = planned
    while not _expires_on(day):
        day -= _ONE
    return day


@cache
def _months(symbol: str, year: int) -> tuple[date, ...]:
    return tuple(
        day
        for rule in EXPIRY_RULES
        if rule.symbol == symbol and rule.kind == "monthly"
        for day in _planned(rule, year)
        if holds(rule.first, rule.last, day)
    )


@cache
def _year(symbol: str, year: int) -> tuple[_Scheduled, ...]:
    """Expiries planned in a year, by date. A monthly is its own week's: no weekly beside it."""
    months = _months(symbol, year)
    taken = {_week(day) for y in (year - 1, year, year + 1) for day in _months(symbol, y)}
    weeks = (
        day
        for rule in EXPIRY_RULES
        if rule.symbol == symbol and rule.kind == "weekly"
        for day in _planned(rule, year)
        if holds(rule.first, rule.last, day) and _week(day) not in taken
    )
    rows = [_Scheduled(day, _shifted(day), "monthly") for day in months]
    rows += [_Scheduled(day, _shifted(day), "weekly") for day in weeks]
    return tuple(sorted(rows))


def _around(symbol: str, start: date, end: date) -> Iterator[_Scheduled]:
    for year in range(start.year, (end + 7 * _ONE).year + 1):  # a holiday moves one back only
        yield from _year(symbol, year)


def expiry_dates(
    symbol: str, start: date, end: date, kind: Literal["all", "weekly", "monthly"] = "all"
) -> list[date]:
    """Expiry dates of a symbol's options in a range.

    Parameters
    ----------
    symbol
        One of `SYMBOLS`.
    start, end
        First and last local date, both included.
    kind
        `"monthly"` dates are those of the futures too; `"weekly"` ones are all others.

    Returns
    -------
    list of date
        In order, moved to the previous trading day where the planned one is a holiday. Outside 2019
        to 2026 holidays are not known and the dates are the planned ones.

    Examples
    --------
    >>> expiry_dates("BANKNIFTY", date(2024, 11, 1), date(2025, 1, 31))
    [datetime.date(2024, 11, 6), datetime.date(2024, 11, 13), datetime.date(2024, 11, 27),
     datetime.date(2024, 12, 24), datetime.date(2025, 1, 30)]
    """
    if kind not in ("all", "weekly", "monthly"):
        raise UsageError(f"No kind {kind!r} of expiry; it is 'all', 'weekly' or 'monthly'.")
    name = known(symbol)
    return [
        row.day
        for row in _around(name, start, end)
        if start <= row.day <= end and kind in ("all", row.kind)
    ]


def find_expiry(symbol: str, named: date) -> Expiry | None:
    """Return the expiry of the contract that is, or once was, listed under a date.

    A contract keeps its life when the exchange moves its expiry, so it is found under the date it
    had before: the planned one (a holiday was declared) or that of the weekday rule that was in
    force when it was listed. Before 2019, whose holidays are not known, a weekday up to four days
    before a planned date is taken for it, moved.

    Returns
    -------
    Expiry or None
        None when no contract of the symbol was ever to expire on that date.

    Examples
    --------
    >>> find_expiry("BANKNIFTY", date(2023, 9, 7))  # listed as a Thursday, re-dated
    Expiry(day=datetime.date(2023, 9, 6), kind='weekly', first=0)
    """
    name = known(symbol)
    near = list(_around(name, named, named))
    for row in near:
        if row.day == named:
            return Expiry(row.day, row.kind)
    for row in near:
        if row.planned == named:
            return Expiry(row.day, row.kind)
        unknown = named.year < HOLIDAY_YEARS.start and named.weekday() < 5
        if unknown and row.planned - 4 * _ONE <= named < row.planned:
            return Expiry(named, row.kind)
    return _redated(name, named)


def _redated(symbol: str, named: date) -> Expiry | None:
    """Expiry that took over from one planned by a rule no longer in force."""
    # Monthly rules first: the last weekday of a month is the monthly's, not a weekly's.
    for old in sorted(EXPIRY_RULES, key=lambda rule: rule.kind):
        if old.symbol != symbol or old.last is None or named <= old.last:
            continue
        if old.kind == "weekly" and named > old.last + _LISTED_AHEAD:
            continue
        planned = list(_planned(old, named.year))
        if named not in planned and named not in map(_shifted, planned):
            continue
        for row in _around(symbol, named - 7 * _ONE, named + 7 * _ONE):
            same_week = _week(row.planned) == _week(named)
            same_month = (row.planned.year, row.planned.month) == (named.year, named.month)
            if row.kind == old.kind and (same_week if old.kind == "weekly" else same_month):
                return Expiry(row.day, row.kind)
    return None


def _expiry(symbol: str, day: date) -> Expiry:
    found = find_expiry(symbol, day)
    if found is None:
        near = sorted(
            expiry_dates(symbol, day - 40 * _ONE, day + 40 * _ONE), key=lambda d: abs(d - day)
        )
        tail = (
            f"the nearest are {', '.join(map(str, sorted(near[:3])))}" if near else "none is near"
        )
        raise ExpiryNotFound(f"No {symbol} contract expires on {day}; {tail}.")
    return found


def expiry_kind(symbol: str, expiry: date) -> ExpiryKind:
    """Whether an expiry date is a weekly or a monthly one.

    Raises
    ------
    ExpiryNotFound
        When no contract of the symbol expires on that date.

    Examples
    --------
    >>> expiry_kind("NIFTY", date(2023, 1, 25)), expiry_kind("NIFTY", date(2023, 2, 2))
    ('monthly', 'weekly')
    """
    return _expiry(symbol, expiry).kind


def settlement(symbol: str, day: date) -> SettlementRule:
    """How an expiry's final settlement value comes about without the stored official close.

    Until 2026-08-02 it is estimated over the session's last 30 minutes; from then on it is the
    index's first value after the closing auction, at 15:35.

    >>> settlement("NIFTY", date(2024, 2, 29)).window == 30 * MINUTE
    True
    """
    known(symbol)
    if day < _CLOSING_AUCTION:
        return SettlementRule(window=30 * MINUTE)
    return SettlementRule(window=None, after=time_of_day("15:35"))


def settles_in_kind(symbol: str, expiry: date) -> bool:
    """Whether options and futures that expire on a date settle in shares.

    Those of an index never do; those of shares do from the expiries of October 2019 on.

    >>> settles_in_kind("RELIANCE", date(2019, 10, 31)), settles_in_kind("NIFTY", date(2024, 2, 29))
    (True, False)
    """
    return symbol.upper() not in SYMBOLS and expiry >= IN_KIND_FROM


# ---------------------------------------------------------------- lots and ticks


def lot_size(symbol: str, expiry: date) -> int:
    """Units in a lot of the contracts of an expiry, on the day they expire.

    A lot changed under a running contract is given as it was at the end; see `lot_changes`.

    Raises
    ------
    ExpiryNotFound
        When no contract of the symbol expires on that date.
    NoSchedule
        Where the lot is not sourced.

    Examples
    --------
    >>> lot_size("NIFTY", date(2025, 1, 23)), lot_size("NIFTY", date(2025, 1, 30))
    (75, 25)
    """
    name = known(symbol)
    found = _expiry(name, expiry)
    held = None
    for row in LOTS:
        if row.symbol == name and found.day >= getattr(row, found.kind):
            held = row
    if held is None or held.units is None:
        why = held.source if held is not None else "nothing that old is sourced"
        raise NoSchedule(
            f"No lot size of {name} for the expiry of {expiry}: {why}. Give it, with `lot=`."
        )
    return held.units


def lot_changes(symbol: str, expiry: date) -> list[LotChange]:
    """Return sourced changes of lot in the life of the contracts of an expiry, by day.

    An exchange that revises a lot gives it as a rule to contracts that it lists from then on.
    Quarterly ones, listed for years, and sometimes all have got the new lot while they ran.

    Examples
    --------
    >>> [(str(day), lot) for day, lot in lot_changes("NIFTY", date(2025, 6, 26))]
    [('2024-04-26', 50), ('2024-12-27', 25)]
    >>> lot_changes("NIFTY", date(2025, 1, 30))
    []
    """
    return [
        LotChange(row.day, row.before)
        for row in RELOTS
        if row.symbol == symbol
        and row.first <= expiry <= row.last
        and (not row.quarterly or expiry.month % 3 == 0)
    ]


def tick_size(
    symbol: str,
    kind: Literal["option", "future"],
    day: date,
    level: Price | None = None,
) -> Price:
    """Smallest step of a price on a day.

    Parameters
    ----------
    symbol
        One of `SYMBOLS`.
    kind
        `"option"` or `"future"`; an index is not traded and has none.
    day
        Local date.
    level
        Value of the index: from 2025-04-12 a future's tick depends on it, as the exchange reviews
        it every month.

    Raises
    ------
    NoSchedule
        For a future from 2025-04-12 on without *level*, and for futures of the BSE.

    Examples
    --------
    >>> tick_size("NIFTY", "option", date(2025, 11, 14))
    0.05
    >>> tick_size("BANKNIFTY", "future", date(2025, 11, 14), level=58_517.55)
    0.2
    """
    name = known(symbol)
    if kind == "option":
        return OPTION_TICK
    if kind != "future":
        raise UsageError(f"No tick of {kind!r}; it is for 'option' or 'future'.")
    if name in BSE:
        raise NoSchedule(f"No sourced tick size of {name} futures: pass `tick=`.")
    bands = [bands for first, bands, _ in FUTURE_TICKS if first <= day][-1]
    if len(bands) == 1:
        return bands[0][1]
    if level is None:
        raise NoSchedule(
            f"The tick of {name} futures on {day} depends on the index: pass `level=`, its value."
        )
    return next(tick for highest, tick in bands if level <= highest)


# ---------------------------------------------------------------- the market, as a run sees it


class India:
    """The Indian market (`bestbt.engine.ports.Market`): the functions of this module.

    >>> INDIA.settlement("NIFTY", date(2026, 8, 4)).window is None
    True
    """

    tz = "Asia/Kolkata"
    currency = "₹"
    sessions = staticmethod(sessions)
    is_trading_day = staticmethod(is_trading_day)
    expiry_dates = staticmethod(expiry_dates)
    expiry_kind = staticmethod(expiry_kind)
    lot_size = staticmethod(lot_size)
    lot_changes = staticmethod(lot_changes)
    tick_size = staticmethod(tick_size)
    freeze_quantity = staticmethod(freeze_quantity)
    settlement = staticmethod(settlement)
    settles_in_kind = staticmethod(settles_in_kind)
    charges = staticmethod(charges)
    fees = staticmethod(fees)

    def vix(self, symbol: str) -> str | None:
        """Name of the volatility index: NIFTY's, which traders read for every Indian index."""
        return "INDIAVIX" if symbol in SYMBOLS else None


INDIA = India()
