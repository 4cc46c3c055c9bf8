"""The market's sessions, asked once, and where on them a time lies."""

from __future__ import annotations

import time
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Session
from bestbt.engine.ports import Market
from bestbt.errors import NoSchedule
from bestbt.units import DAY, SECOND, Ns

__all__ = [
    "EPOCH",
    "OUTSIDE",
    "Calendar",
    "local_days",
    "local_midnight",
    "outside",
    "reason_outside",
    "today",
]

_I64 = npt.NDArray[np.int64]

EPOCH = date(1970, 1, 1).toordinal()
_AN_INDEX = "NIFTY"  # the auction is at the same time for all


def local_days(starts: _I64, tz: str) -> _I64:
    """Return the exchange's local date of UTC times, as days since 1970.

    >>> local_days(np.array([1704080700000000000]), "Asia/Kolkata").tolist()
    [19723]
    """
    if not len(starts):
        return np.empty(0, dtype=np.int64)
    low, high = int(starts.min()), int(starts.max())
    shift = _offset(low, tz)
    if high - low < 90 * DAY and shift == _offset(high, tz):  # no clock changes twice in so little
        return np.asarray((starts + shift) // DAY)
    local = pd.DatetimeIndex(starts, tz="UTC").tz_convert(tz).tz_localize(None)
    return np.asarray(local.as_unit("ns").asi8 // DAY)


def local_midnight(time: Ns, tz: str) -> Ns:
    """Return the UTC time at which the local day of a time began.

    >>> (1704080700000000000 - local_midnight(1704080700000000000, "Asia/Kolkata")) / 60e9
    555.0
    """
    shift = _offset(time, tz)
    return (time + shift) // DAY * DAY - shift


def _offset(time: Ns, tz: str) -> Ns:
    away = datetime.fromtimestamp(time // SECOND, ZoneInfo(tz)).utcoffset() or timedelta()
    return int(away.total_seconds()) * SECOND


def today(tz: str) -> int:
    """Return the exchange's local date, as days since 1970."""
    return int(local_days(np.array([time.time_ns()]), tz)[0])


class Calendar:
    """The market's sessions by kind of hours and month, asked once.

    Since 2026-08-03 an index stops at 15:15 and prints once more after the closing auction, while
    its derivatives trade on: for bars of an index that time is a second part of its session.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.prints: dict[date, tuple[Ns, Ns]] = {}  # when an index prints after the auction
        self._month = lru_cache(maxsize=4096)(self._ask)

    def _ask(self, hours: str, month: int) -> tuple[tuple[Session, ...], dict[date, str]]:
        year, m = 1970 + month // 12, month % 12 + 1
        days = [date(year, m, d + 1) for d in range(monthrange(year, m)[1])]
        try:
            return self._printing(self.market.sessions(days[0], days[-1], hours), hours), {}
        except NoSchedule:
            pass  # one unknown day must not hide the others of its month
        known: list[Session] = []
        unknown: dict[date, str] = {}
        for day in days:
            try:
                known += self.market.sessions(day, day, hours)
            except NoSchedule as error:
                unknown[day] = str(error)
        return self._printing(known, hours), unknown

    def _printing(self, sessions: Sequence[Session], hours: str) -> tuple[Session, ...]:
        """Add the time in which an index prints after the closing auction."""
        if hours != "index" or not sessions:
            return tuple(sessions)
        made = []
        for session in sessions:
            after = self.market.settlement(_AN_INDEX, session.day).after
            if after is not None:
                [traded] = self.market.sessions(session.day, session.day, "derivatives")
                midnight = local_midnight(session.open, self.market.tz)
                if session.close <= midnight + after < traded.close:
                    late = (midnight + after, traded.close)
                    session = Session(session.day, (*session.parts, late))
                    self.prints[session.day] = late
            made.append(session)
        return tuple(made)

    def month(self, hours: str, month: int) -> tuple[tuple[Session, ...], dict[date, str]]:
        """Return the known sessions of a month, and why others are not known, by date.

        *month* counts from January 1970.
        """
        return self._month(hours, month)

    def between(self, hours: str, start: date, end: date) -> list[Session]:
        """Sessions of an inclusive range of dates; `NoSchedule` where unknown."""
        first, last = ((d.year - 1970) * 12 + d.month - 1 for d in (start, end))
        found: list[Session] = []
        for month in range(first, last + 1):
            sessions, unknown = self.month(hours, month)
            for day, why in unknown.items():
                if start <= day <= end:
                    raise NoSchedule(why)
            found += [s for s in sessions if start <= s.day <= end]
        return found


OUTSIDE = (
    "",
    "no-session",
    "before-open",
    "at-close",
    "after-close",
    "between-parts",
    "off-grid",
)


def reason_outside(
    starts: _I64, days: _I64, sessions: Sequence[Session], step: Ns
) -> npt.NDArray[Any]:
    """Return why each start is no bar of the sessions; "" where it is one.

    *days* are the starts' local dates, as days since 1970.
    """
    return np.array(OUTSIDE)[outside(starts, days, sessions, step)]


def outside(
    starts: _I64, days: _I64, sessions: Sequence[Session], step: Ns
) -> npt.NDArray[np.int8]:
    """Return the same as places in `OUTSIDE`: millions of texts would take long."""
    found = np.ones(len(starts), dtype=np.int8)
    if not sessions or not len(starts):
        return found
    session_days = np.array([s.day.toordinal() - EPOCH for s in sessions])
    first, last = int(session_days[0]), int(session_days[-1])
    of_day = np.full(last - first + 1, -1)
    of_day[session_days - first] = np.arange(len(sessions))
    at = of_day[np.clip(days - first, 0, last - first)]
    at = np.where((days >= first) & (days <= last), at, -1)
    opens, closes = (np.array([getattr(s, a) for s in sessions])[at] for a in ("open", "close"))
    parts = np.array([p for s in sessions for p in s.parts])
    part = np.maximum(np.searchsorted(parts[:, 0], starts, side="right") - 1, 0)
    since = starts - parts[part, 0]
    inside = (since >= 0) & (starts < parts[part, 1])
    found[:] = np.where(inside, np.where(since % step == 0, 0, 6), 5)
    found[starts > closes] = 4
    found[starts == closes] = 3
    found[starts < opens] = 2
    found[at < 0] = 1
    return found
