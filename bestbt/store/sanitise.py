"""Rules that turn a file's rows into bars on the market's sessions; what does not fit is set aside.

    rows ──prices──> ──sessions──> ──one row a bar──> ──volume──> live bars of each contract

Each rule takes rows away (quarantine), changes them (repair) or remarks on them (note), and tells
the report how many. No rule invents a price.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Grid, Session
from bestbt.engine.ports import ContractSpec, Market
from bestbt.engine.prices import path_points
from bestbt.errors import NoSchedule
from bestbt.store.quality import QualityReport
from bestbt.store.schema import KINDS
from bestbt.store.segments import Bars
from bestbt.units import DAY, SECOND, Ns

__all__ = ["Calendar", "Rows", "Sheet", "local_days", "reason_outside", "sanitise"]

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_EPOCH = date(1970, 1, 1).toordinal()
_NOISE = 1e-3  # of a price unit: a float64 that is off by less was meant to be whole


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


def _offset(time: Ns, tz: str) -> Ns:
    away = datetime.fromtimestamp(time // SECOND, ZoneInfo(tz)).utcoffset() or timedelta()
    return int(away.total_seconds()) * SECOND


def _as_date(day: int) -> date:
    return date.fromordinal(_EPOCH + int(day))


class Calendar:
    """The market's sessions by kind of hours and month, asked once."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._month = lru_cache(maxsize=4096)(self._ask)

    def _ask(self, hours: str, month: int) -> tuple[tuple[Session, ...], dict[date, str]]:
        year, m = 1970 + month // 12, month % 12 + 1
        days = [date(year, m, d + 1) for d in range(monthrange(year, m)[1])]
        try:
            return tuple(self.market.sessions(days[0], days[-1], hours)), {}
        except NoSchedule:
            pass  # one unknown day must not hide the others of its month
        known: list[Session] = []
        unknown: dict[date, str] = {}
        for day in days:
            try:
                known += self.market.sessions(day, day, hours)
            except NoSchedule as error:
                unknown[day] = str(error)
        return tuple(known), unknown

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


@dataclass(slots=True)
class Rows:
    """Rows of a file as columns, and the contract of each (`specs[code]`)."""

    line: _I64
    code: _I64
    start: _I64
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    volume: _F64 | None
    oi: _F64 | None
    bid: _F64 | None = None  # in currency, NaN where missing
    ask: _F64 | None = None

    def keep(self, mask: npt.NDArray[Any]) -> None:
        """Drop the rows outside a mask, or put them in an order."""
        for name in self.__slots__:
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, values[mask])


@dataclass(slots=True)
class Sheet:
    """A file as its importer understood it; nothing is judged yet but what it could not read.

    `show` writes out a row by its number in the file; `repairs` names rows, by their numbers, that
    the importer changed.
    """

    rows: Rows
    specs: list[ContractSpec]
    step: Ns
    report: QualityReport
    show: Callable[[int], str]
    repairs: list[tuple[str, _I64]] = field(default_factory=list)


def sanitise(sheet: Sheet, calendar: Calendar) -> Iterator[tuple[ContractSpec, Bars]]:
    """Yield the live bars of each contract, in order of `sheet.specs`.

    The sheet is used up: its rows are changed in place. Its report is told of every row that is
    not stored as it came; a repair counts only if its row is stored.
    """
    rows, specs, report = sheet.rows, sheet.specs, sheet.report
    repairs = list(sheet.repairs)

    def quarantine(reason: str, mask: _Mask) -> None:
        if mask.any():
            report.add_lines("quarantined", reason, rows.line[mask].tolist(), sheet.show)
            rows.keep(~mask)

    def repair(rule: str, mask: _Mask) -> None:
        repairs.append((rule, rows.line[mask]))

    scale = np.array([s.scale for s in specs], dtype=np.int64)
    _prices(rows, scale, quarantine, repair)
    _sessions(rows, specs, calendar, sheet.step, report, quarantine)
    _one_row_a_bar(rows, quarantine, repair)
    _volume(rows, specs, quarantine, repair)
    for rule, lines in repairs:
        stored = np.sort(lines[np.isin(lines, rows.line)])
        report.add_lines("repaired", rule, stored.tolist(), sheet.show)
    _notes(rows, specs, calendar, sheet.step, report, sheet.show)
    if not len(rows.line):
        return
    heads = np.flatnonzero(np.diff(rows.code, prepend=-1))
    for head, tail in zip(heads, [*heads[1:], len(rows.code)], strict=True):
        here = slice(head, tail)
        prices = (rows.open, rows.high, rows.low, rows.close)
        yield (
            specs[int(rows.code[head])],
            Bars(
                rows.start[here],
                path_points(*(price[here].astype(np.int64) for price in prices)),
                None if rows.volume is None else rows.volume[here].astype(np.int64),
                None if rows.oi is None else rows.oi[here].astype(np.int64),
                None if rows.bid is None else rows.bid[here].astype(np.int32),
                None if rows.ask is None else rows.ask[here].astype(np.int32),
            ),
        )


_Rule = Callable[[str, _Mask], None]


def _prices(rows: Rows, scale: _I64, quarantine: _Rule, repair: _Rule) -> None:
    """Make prices whole; afterwards rows hold raw prices (as floats, exactly)."""

    def four() -> _F64:
        return np.stack((rows.open, rows.high, rows.low, rows.close))

    quarantine("no-price", ~np.all(np.isfinite(four()), axis=0))
    quarantine("price-not-positive", np.any(four() <= 0, axis=0))
    most = np.iinfo(np.int32).max
    quarantine("price-too-large", np.any(four() * scale[rows.code] > most, axis=0))
    exact = four() * scale[rows.code]
    raw = np.rint(exact)
    repair("rounded", np.any(np.abs(raw - exact) > _NOISE, axis=0))
    high, low = raw.max(axis=0), raw.min(axis=0)
    repair("extremes-mended", (high != raw[1]) | (low != raw[2]))
    rows.open, rows.high, rows.low, rows.close = raw[0], high, low, raw[3]
    for side in ("bid", "ask"):
        if (quote := getattr(rows, side)) is not None:
            setattr(rows, side, np.rint(np.where(quote > 0, quote, 0) * scale[rows.code]))


def _sessions(
    rows: Rows,
    specs: Sequence[ContractSpec],
    calendar: Calendar,
    step: Ns,
    report: QualityReport,
    quarantine: _Rule,
) -> None:
    """Set aside what lies on no bar of a session, and say why."""
    tz = calendar.market.tz
    days = local_days(rows.start, tz)
    expires = np.array([(s.expiry or date.max).toordinal() - _EPOCH for s in specs], dtype=np.int64)
    spot = np.array([s.expiry is None for s in specs], dtype=bool)
    hours_of = np.array([KINDS[s.asset].hours for s in specs], dtype="U20")[rows.code]
    why = np.full(len(days), "", dtype="U20")
    months = (days.astype("datetime64[D]").astype("datetime64[M]")).astype(np.int64)
    unsourced: dict[str, date] = {}
    for hours in np.unique(hours_of):
        mine = hours_of == hours
        sessions: list[Session] = []
        for month in np.unique(months[mine]):
            known, unknown = calendar.month(str(hours), int(month))
            sessions += known
            for day, text in unknown.items():
                here = mine & (days == day.toordinal() - _EPOCH)
                if here.any():
                    why[here] = "no-schedule"
                    unsourced.setdefault(text.partition(";")[0], day)
        why[mine] = np.where(
            why[mine] == "", reason_outside(rows.start[mine], days[mine], sessions, step), why[mine]
        )
        of_spot = mine & spot[rows.code]
        if sessions and of_spot.any():
            _spot_notes(rows.start[of_spot], days[of_spot], why[of_spot], sessions, step, report)
    report.remarks += list(unsourced)[:3]
    why = np.where((why == "") & (days > expires[rows.code]), "after-expiry", why)
    for reason in np.unique(why[why != ""]):
        mask = why == reason
        quarantine(str(reason), mask)
        why = why[~mask]


def reason_outside(
    starts: _I64, days: _I64, sessions: Sequence[Session], step: Ns
) -> npt.NDArray[Any]:
    """Return why each start is no bar of the sessions; "" where it is one.

    *days* are the starts' local dates, as days since 1970.
    """
    if not sessions:
        return np.full(len(starts), "no-session", dtype="U20")
    session_days = np.array([s.day.toordinal() - _EPOCH for s in sessions])
    at = np.minimum(np.searchsorted(session_days, days), len(sessions) - 1)
    opens, closes = (np.array([getattr(s, a) for s in sessions])[at] for a in ("open", "close"))
    parts = np.array([p for s in sessions for p in s.parts])
    part = np.maximum(np.searchsorted(parts[:, 0], starts, side="right") - 1, 0)
    inside = (starts >= parts[part, 0]) & (starts < parts[part, 1])
    return np.select(
        [
            session_days[at] != days,
            starts < opens,
            starts == closes,
            starts > closes,
            ~inside,
            (starts - parts[part, 0]) % step != 0,
        ],
        ["no-session", "before-open", "at-close", "after-close", "between-parts", "off-grid"],
        "",
    )


def _spot_notes(
    starts: _I64,
    days: _I64,
    why: npt.NDArray[Any],
    sessions: Sequence[Session],
    step: Ns,
    report: QualityReport,
) -> None:
    """Remark on the index's days: absent, short, or stamped by the end of their bars."""
    good = np.unique(starts[why == ""])
    if not len(good):
        return
    grid = Grid(sessions, step)
    of = grid.session_of[np.searchsorted(grid.starts, good)]
    counts = np.bincount(of, minlength=len(sessions))
    sizes = np.bincount(grid.session_of, minlength=len(sessions))
    present = np.flatnonzero(counts)
    inside = np.arange(present[0], present[-1] + 1)
    absent = inside[counts[inside] == 0]
    short = present[counts[present] * 2 < sizes[present]]
    opens = np.array([s.open for s in sessions])
    closes = np.array([s.close for s in sessions])
    shifted = ~np.isin(opens, good) & np.isin(opens + step, good) & np.isin(closes, starts)
    for rule, which in (
        ("missing-session", absent),
        ("short-session", short),
        ("looks-end-stamped", np.flatnonzero(shifted)),
    ):
        samples = [f"{sessions[i].day}: {counts[i]} of {sizes[i]} bars" for i in which]
        report.add("noted", rule, len(which), samples)


def _one_row_a_bar(rows: Rows, quarantine: _Rule, repair: _Rule) -> None:
    """Put rows in order by contract and time, and keep one of those that name the same bar."""
    rows.keep(np.lexsort((rows.line, rows.code)))
    moments, rank = np.unique(rows.start, return_inverse=True)
    place = (
        rows.code * len(moments) + rank
    )  # grows with time within a contract, and from one to the next
    repair("sorted", place < np.maximum.accumulate(place))
    rows.keep(np.lexsort((rows.line, rows.start, rows.code)))
    same = np.zeros(len(rows.line), dtype=bool)
    same[:-1] = (np.diff(rows.code) == 0) & (np.diff(rows.start) == 0)
    alike = same.copy()
    values = [rows.open, rows.high, rows.low, rows.close, rows.volume, rows.oi]
    for column in (v for v in values if v is not None):
        next_equal = (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
        alike[:-1] &= next_equal
    conflict = same & ~alike
    quarantine("duplicate-conflict", conflict)
    quarantine("duplicate", alike[~conflict])


def _volume(rows: Rows, specs: Sequence[ContractSpec], quarantine: _Rule, repair: _Rule) -> None:
    """Make volume and open interest whole; a bar without a trade or quote is stale."""
    if rows.volume is not None:
        tradable = np.array([s.asset != "index" for s in specs], dtype=bool)[rows.code]
        quoted = np.zeros(len(rows.line), dtype=bool)
        for quote in (rows.bid, rows.ask):
            quoted |= False if quote is None else quote > 0
        quarantine("no-trade", (rows.volume == 0) & tradable & ~quoted)
        tradable = np.array([s.asset != "index" for s in specs], dtype=bool)[rows.code]
        wrong = ~(rows.volume >= 0)  # also where it is not a number
        repair("volume-mended", wrong & tradable)
        rows.volume = np.where(wrong, 0, np.rint(rows.volume))
    if rows.oi is not None:
        derivative = np.array([s.expiry is not None for s in specs], dtype=bool)[rows.code]
        unknown = ~(rows.oi >= 0)
        repair("oi-carried", unknown & derivative)
        at = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(rows.oi))))
        mine = (at >= 0) & (rows.code[np.maximum(at, 0)] == rows.code)
        rows.oi = np.where(mine, np.rint(rows.oi[np.maximum(at, 0)]), 0)


def _notes(
    rows: Rows,
    specs: Sequence[ContractSpec],
    calendar: Calendar,
    step: Ns,
    report: QualityReport,
    show: Callable[[int], str],
) -> None:
    """Remark on prices off the tick, volumes that are no whole lots, and absent bars."""
    if not len(rows.line):
        return
    derivative = np.array([s.expiry is not None for s in specs], dtype=bool)[rows.code]
    tick = np.array([s.tick for s in specs])[rows.code]
    four = np.stack((rows.open, rows.high, rows.low, rows.close))
    off = derivative & (four % tick != 0).any(axis=0)
    report.add_lines("noted", "off-tick", rows.line[off].tolist(), show)
    if rows.volume is not None:
        lot = np.array([s.lot for s in specs])[rows.code]
        odd = derivative & (rows.volume % lot != 0)
        report.add_lines("noted", "odd-lot-volume", rows.line[odd].tolist(), show)
    days = local_days(rows.start, calendar.market.tz)
    first, last = _as_date(days.min()), _as_date(days.max())
    hours_of = np.array([KINDS[s.asset].hours for s in specs], dtype="U20")[rows.code]
    absent = np.zeros(len(specs), dtype=np.int64)
    for hours in np.unique(hours_of):
        mine = hours_of == hours
        grid = Grid(calendar.between(str(hours), first, last), step, calendar.market.tz)
        bar, code = np.searchsorted(grid.starts, rows.start[mine]), rows.code[mine]
        session = grid.session_of[bar]
        next_of_same = (np.diff(code) == 0) & (np.diff(session) == 0)
        np.add.at(absent, code[1:][next_of_same], np.diff(bar)[next_of_same] - 1)
    worst = np.argsort(-absent, kind="stable")[: np.count_nonzero(absent)]
    report.add("noted", "gaps", int(absent.sum()), [f"{specs[i]}: {absent[i]}" for i in worst])
