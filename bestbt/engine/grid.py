"""The trading grid: bars numbered 0, 1, 2 … across days; nights and holidays do not exist on it.

A bar is named by its start and covers ``[start, start + step)``. A session is one trading day
of the exchange's local date, in however many parts (a two-part Saturday is one session).
`Clock` is the one slot that says which bar has closed last; only `feeder.py` writes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from bestbt.errors import UsageError
from bestbt.units import DAY, MINUTE, SECOND, Ns, Ordinal

__all__ = ["Clock", "Grid", "Session", "duration", "time_of_day", "utc_ns"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_ns(moment: datetime) -> Ns:
    """Return an aware datetime as UTC nanoseconds, exactly.

    >>> utc_ns(datetime(2024, 1, 1, 9, 15, tzinfo=ZoneInfo("Asia/Kolkata")))
    1704080700000000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def time_of_day(text: str) -> Ns:
    """Return nanoseconds since local midnight of `"09:20"` or `"09:20:30"`.

    >>> time_of_day("09:20") // MINUTE
    560
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no time of day; write it as '09:20' or '09:20:30'.")
    parts = text.strip().split(":")
    if len(parts) not in (2, 3) or not all(p.isdigit() and len(p) <= 2 for p in parts):
        raise UsageError(f"{text!r} is no time of day; write it as '09:20' or '09:20:30'.")
    h, m, s = (*map(int, parts), 0)[:3]
    if h > 23 or m > 59 or s > 59:
        raise UsageError(f"{text!r} is no time of day; write it as '09:20' or '09:20:30'.")
    return (h * 3600 + m * 60 + s) * SECOND


_UNITS = {"ms": SECOND // 1000, "s": SECOND, "sec": SECOND, "min": MINUTE, "m": MINUTE}
_UNITS |= {"h": 60 * MINUTE, "hour": 60 * MINUTE, "d": DAY}


def duration(text: str) -> Ns:
    """Return nanoseconds of `"5min"`, `"30s"`, `"1h"`.

    >>> duration("5min") // MINUTE
    5
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no duration; write it as '5min', '30s' or '1h'.")
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip()[len(number) :]
    if not number.strip().isdigit() or unit not in _UNITS or int(number) == 0:
        raise UsageError(f"{text!r} is no duration; write it as '5min', '30s' or '1h'.")
    return int(number) * _UNITS[unit]


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: its local date and its parts as half-open UTC intervals, in order."""

    day: date
    parts: tuple[tuple[Ns, Ns], ...]

    @property
    def open(self) -> Ns:
        """Start of the first part."""
        return self.parts[0][0]

    @property
    def close(self) -> Ns:
        """End of the last part."""
        return self.parts[-1][1]


class Clock:
    """Which bar has closed last; -1 before the first. Only the feeder writes `bar`."""

    def __init__(self) -> None:
        self.bar: Ordinal = -1


class Grid:
    """The bars of a run.

    Parameters
    ----------
    sessions
        Trading days in order; the bars of each part start at its open, one every *step*.
    step
        Length of a bar in nanoseconds.
    tz
        IANA name of the exchange's time zone; times of day are read in it.

    Attributes
    ----------
    starts, ends : ndarray of int64, shape (n,)
        UTC start and end of each bar, strictly increasing, read-only.
    session_of : ndarray of int32, shape (n,)
        Number of the session of each bar.
    firsts, lasts : list of int
        First and last bar of each session.

    Examples
    --------
    >>> from bestbt.units import MINUTE
    >>> nine = utc_ns(datetime(2024, 1, 1, 9, 15, tzinfo=ZoneInfo("Asia/Kolkata")))
    >>> grid = Grid([Session(date(2024, 1, 1), ((nine, nine + 375 * MINUTE),))], MINUTE)
    >>> grid.n, grid.local(0).strftime("%H:%M"), grid.at_or_before(nine + 90 * SECOND)
    (375, '09:15', 1)
    """

    def __init__(
        self, sessions: Sequence[Session], step: Ns = MINUTE, tz: str = "Asia/Kolkata"
    ) -> None:
        self.sessions = tuple(sessions)
        self.step = step
        self.tz = ZoneInfo(tz)
        empty = [np.empty(0, dtype=np.int64)]
        parts = [part for s in sessions for part in s.parts]
        runs = [np.arange(a, b, step, dtype=np.int64) for a, b in parts]
        self.starts: npt.NDArray[np.int64] = np.concatenate(runs or empty)
        # A part's last bar may be shorter than a step: it ends when trading does.
        closes = [np.minimum(run + step, b) for run, (_, b) in zip(runs, parts, strict=True)]
        self.ends: npt.NDArray[np.int64] = np.concatenate(closes or empty)
        if len(self.starts) > 1 and not bool((np.diff(self.starts) > 0).all()):
            raise UsageError("Sessions overlap or are out of order.")
        counts = [sum(-((a - b) // step) for a, b in s.parts) for s in sessions]
        self.session_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        for array in (self.starts, self.ends, self.session_of):
            array.flags.writeable = False
        self.n = len(self.starts)
        ends = np.cumsum(counts, dtype=np.int64).tolist()
        self.lasts: list[Ordinal] = [e - 1 for e in ends]
        self.firsts: list[Ordinal] = [e - c for e, c in zip(ends, counts, strict=True)]
        self._start = self.starts.data  # one item of it is a plain int: 4 × faster
        self._end = self.ends.data
        self._session = self.session_of.data
        self._midnights: dict[int, Ns] = {}

    def __repr__(self) -> str:
        if not self.n:
            return "<Grid of no bars>"
        return f"<Grid {self.sessions[0].day} … {self.sessions[-1].day}, {self.n} bars>"

    def time(self, bar: Ordinal) -> Ns:
        """UTC start of a bar."""
        return self._start[bar]

    def end(self, bar: Ordinal) -> Ns:
        """UTC end of a bar: the moment at which it has closed."""
        return self._end[bar]

    def session(self, bar: Ordinal) -> int:
        """Number of the session that holds a bar."""
        return self._session[bar]

    def day(self, bar: Ordinal) -> date:
        """Local date of a bar's session."""
        return self.sessions[self._session[bar]].day

    def local(self, bar: Ordinal) -> datetime:
        """Exchange local time of a bar's start."""
        return self.to_local(self._start[bar])

    def to_local(self, ns: Ns) -> datetime:
        """Exchange local time of a UTC time, to the microsecond."""
        return (_EPOCH + timedelta(microseconds=ns // 1000)).astimezone(self.tz)

    def at_or_before(self, ns: Ns) -> Ordinal:
        """Newest bar that has started at *ns*; -1 when none has."""
        return int(np.searchsorted(self.starts, ns, side="right")) - 1

    def closed_by(self, ns: Ns) -> Ordinal:
        """Newest bar that has closed by *ns*; -1 when none has."""
        return int(np.searchsorted(self.ends, ns, side="right")) - 1

    def at_or_after(self, ns: Ns) -> Ordinal:
        """First bar that starts at or after *ns*; `n` when none does."""
        return int(np.searchsorted(self.starts, ns, side="left"))

    def midnight(self, session: int) -> Ns:
        """UTC time of local midnight by the offset in force at the session's open."""
        if session not in self._midnights:
            opened = self.sessions[session].open
            at = self.to_local(opened)
            since = (at.hour * 3600 + at.minute * 60 + at.second) * SECOND
            self._midnights[session] = opened - since
        return self._midnights[session]

    def closing_at(self, session: int, moment: Ns) -> Ordinal:
        """First bar of the session that has closed at or after a UTC time; -1 when none has."""
        first, last = self.firsts[session], self.lasts[session]
        at = bisect_left(self._end, moment, first, last + 1)
        return at if at <= last else -1

    def session_from(self, day: date) -> int:
        """First session on or after a local date; `len(sessions)` when there is none."""
        lo, hi = 0, len(self.sessions)
        while lo < hi:
            mid = (lo + hi) // 2
            if self.sessions[mid].day < day:
                lo = mid + 1
            else:
                hi = mid
        return lo
