"""Rules that turn a file's rows into ticks of its sessions; what does not fit is set aside.

    rows ──prices──> ──sessions──> ──order, once──> ──outliers──> ──volume──> ticks

As with bars, each rule takes rows away (quarantine), changes them (repair) or remarks on them
(note), and tells the report how many. No rule invents a price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Session
from bestbt.engine.ports import ContractSpec
from bestbt.store.quality import QualityReport
from bestbt.store.sanitise import Calendar, local_days, reason_outside
from bestbt.store.schema import KINDS
from bestbt.store.sessions import today
from bestbt.store.sheet import Columns
from bestbt.store.ticks import Ticks, checked_ticks
from bestbt.units import DAY

__all__ = ["CLOCK_SET", "TickRows", "TickSheet", "Volumes", "sanitise_ticks"]

Volumes: TypeAlias = Literal["total", "each"]

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_EPOCH = date(1970, 1, 1).toordinal()
CLOCK_SET = (date(1990, 1, 1).toordinal() - _EPOCH) * DAY  # an unset clock starts at 1970
_FAR = 5.0  # so many times another price is no move of an option
_FAR_LINEAR = 1.1  # the same of an index, a share or a future
_FAR_TICKS = 100  # and so many ticks: a premium of 0.10 may well become 0.60
_ENOUGH = 8  # changes of the volume from which its kind is told
_FALLS = 0.05  # share of changes that are falls, up to which it is the day's so far


@dataclass(slots=True)
class TickRows(Columns):
    """Rows of a file as columns, and the contract of each (`specs[code]`)."""

    line: _I64
    code: _I64
    time: _I64
    price: _F64  # in currency; NaN or 0 where the row shows no trade
    volume: _F64 | None
    oi: _F64 | None
    bid: _F64 | None
    ask: _F64 | None
    rest: _I64 | None = None  # a number for all that is not stored: rows differ if theirs does


@dataclass(slots=True)
class TickSheet:
    """A file of ticks as its importer understood it; nothing is judged yet.

    `volumes` is what the format's volume is, the day's so far or each tick's own; `sure` says that
    it need not be looked at. `show` writes out a row by its number in the file.
    """

    rows: TickRows
    specs: list[ContractSpec]
    report: QualityReport
    show: Callable[[int], str]
    volumes: Volumes
    sure: bool = False


def sanitise_ticks(sheet: TickSheet, calendar: Calendar) -> Iterator[tuple[ContractSpec, Ticks]]:
    """Yield the ticks of each contract, in order of `sheet.specs`; the sheet is used up."""
    rows, specs, report = sheet.rows, sheet.specs, sheet.report
    repairs: list[tuple[str, _I64]] = []

    def quarantine(reason: str, mask: _Mask) -> None:
        if mask.any():
            report.add_lines("quarantined", reason, rows.line[mask].tolist(), sheet.show)
            rows.keep(~mask)

    def repair(rule: str, mask: _Mask) -> None:
        repairs.append((rule, rows.line[mask]))

    _prices(rows, specs, quarantine, repair)
    _sessions(rows, specs, calendar, report, quarantine)
    _in_order(rows, report, repair)
    quarantine("tick-again", _again(rows))
    days = local_days(rows.time, calendar.market.tz)
    quarantine("outlier", _outliers(rows, specs, days))
    days = local_days(rows.time, calendar.market.tz)
    totals = _volume(rows, specs, days, sheet, repair)
    _untraded(rows, specs, local_days(rows.time, calendar.market.tz), repair)
    for rule, lines in repairs:
        stored = np.sort(lines[np.isin(lines, rows.line)])
        report.add_lines("repaired", rule, stored.tolist(), sheet.show)
    derivative = np.array([s.expiry is not None for s in specs], dtype=bool)
    tick = np.array([s.tick for s in specs], dtype=np.int64)[rows.code]
    off = derivative[rows.code] & (rows.price % tick != 0)
    report.add_lines("noted", "off-tick", rows.line[off].tolist(), sheet.show)
    heads = np.flatnonzero(np.diff(rows.code, prepend=-1))
    for head, tail in zip(heads, [*heads[1:], len(rows.code)], strict=True):
        spec, here = specs[int(rows.code[head])], slice(head, tail)
        price = rows.price[here].astype(np.int32)
        if spec.asset == "index":
            yield spec, Ticks(rows.time[here], price)
            continue
        volume, oi, bid, ask = (
            None if column is None else column[here].astype(np.int64)
            for column in (rows.volume, rows.oi, rows.bid, rows.ask)
        )
        if not any(side is not None and side.any() for side in (bid, ask)):
            bid = ask = None  # the source has no quotes: a run must not wait for them
        yield (
            spec,
            checked_ticks(rows.time[here], price, volume, oi, bid, ask, totals=totals),
        )


_Rule = Callable[[str, _Mask], None]


def _prices(
    rows: TickRows, specs: Sequence[ContractSpec], quarantine: _Rule, repair: _Rule
) -> None:
    """Make prices whole; afterwards rows hold raw prices (as floats), 0 where there is none."""
    scale = np.array([s.scale for s in specs], dtype=np.int64)
    most = np.iinfo(np.int32).max
    for side in ("bid", "ask"):
        if (quote := getattr(rows, side)) is not None:
            raw = np.rint(quote * scale[rows.code])
            setattr(rows, side, np.where((raw > 0) & (raw <= most), raw, 0))  # NaN is none
    if rows.bid is not None and rows.ask is not None:
        crossed = (rows.bid > rows.ask) & (rows.ask > 0)
        repair("crossed-quotes", crossed)
        rows.bid, rows.ask = (np.where(crossed, 0, q) for q in (rows.bid, rows.ask))
    quoted = np.zeros(len(rows.line), dtype=bool)
    for side in ("bid", "ask"):
        if (quote := getattr(rows, side)) is not None:
            quoted |= quote > 0
    quarantine("price-not-positive", (rows.price < 0) | ((rows.price == 0) & ~quoted))
    quarantine("price-too-large", rows.price * scale[rows.code] > most)
    price = np.where(np.isfinite(rows.price), rows.price, 0) * scale[rows.code]
    rows.price = np.rint(price)
    none = rows.price == 0
    for side in ("bid", "ask"):
        if (quote := getattr(rows, side)) is not None:
            none &= quote == 0
    quarantine("no-price", none)


def _sessions(
    rows: TickRows,
    specs: Sequence[ContractSpec],
    calendar: Calendar,
    report: QualityReport,
    quarantine: _Rule,
) -> None:
    """Set aside what lies outside the sessions, and say why."""
    quarantine("future", local_days(rows.time, calendar.market.tz) > today(calendar.market.tz))
    days = local_days(rows.time, calendar.market.tz)
    expires = np.array([(s.expiry or date.max).toordinal() - _EPOCH for s in specs], dtype=np.int64)
    hours_of = np.array([KINDS[s.asset].hours for s in specs], dtype="U20")[rows.code]
    why = np.full(len(days), "", dtype="U20")
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    unsourced: list[str] = []
    for hours in np.unique(hours_of).tolist():
        mine = hours_of == hours
        sessions: list[Session] = []
        for month in np.unique(months[mine]).tolist():
            known, unknown = calendar.month(hours, month)
            sessions += known
            for day, text in unknown.items():
                here = mine & (days == day.toordinal() - _EPOCH)
                why[here] = "no-schedule"
                unsourced += [text.partition(";")[0]] if here.any() else []
        outside = reason_outside(rows.time[mine], days[mine], sessions, 1)
        why[mine] = np.where(why[mine] == "", outside, why[mine])
    report.remarks += unsourced[:3]
    why = np.where((why == "") & (days > expires[rows.code]), "after-expiry", why)
    for reason in np.unique(why[why != ""]).tolist():
        mask = why == reason
        quarantine(reason, mask)
        why = why[~mask]


def _in_order(rows: TickRows, report: QualityReport, repair: _Rule) -> None:
    """Put rows in order by contract and time; those of one time stay as the file has them.

    A file may be written newest first: then it is read from its end.
    """
    rows.keep(np.lexsort((rows.line, rows.code)))
    same = np.diff(rows.code) == 0
    steps = np.diff(rows.time)[same]
    if int((steps < 0).sum()) > int((steps > 0).sum()):
        report.remarks.append("newest first: read from its end")
        rows.keep(np.lexsort((-rows.line, rows.code)))
    moments, rank = np.unique(rows.time, return_inverse=True)
    place = rows.code * len(moments) + rank  # grows with time, and from one contract to the next
    if len(place):
        repair("sorted", place < np.maximum.accumulate(place))
    rows.keep(np.lexsort((np.arange(len(rows.line)), rows.time, rows.code)))


def _again(rows: TickRows) -> _Mask:
    """Which rows repeat another of the same time in everything; the last of them stands."""
    names = [n for n in rows.__slots__ if n != "line" and getattr(rows, n) is not None]
    frame = pd.DataFrame({n: getattr(rows, n) for n in names})
    return np.asarray(frame.duplicated(keep="last").to_numpy(dtype=bool))


def _outliers(rows: TickRows, specs: Sequence[ContractSpec], days: _I64) -> _Mask:
    """Which trades are far from the trades on both sides of them, and from the quotes beside them.

    Only a price that comes and goes is one: a market that has moved stays where it is.
    """
    found = np.zeros(len(rows.line), dtype=bool)
    at = np.flatnonzero(rows.price > 0)
    if len(at) < 3:
        return found
    price, code, day = rows.price[at], rows.code[at], days[at]
    # Runs of one price: what stood for a while is compared with what stood before and after.
    new = (np.diff(price) != 0) | (np.diff(code) != 0) | (np.diff(day) != 0)
    heads = np.flatnonzero(np.concatenate(([True], new)))
    level, of, on = price[heads], code[heads], day[heads]
    linear = np.array([s.asset != "option" for s in specs], dtype=bool)[of]
    least = np.array([s.tick for s in specs], dtype=np.int64)[of] * _FAR_TICKS
    factor = np.where(linear, _FAR_LINEAR, _FAR)

    def far(a: _F64, b: _F64, i: slice) -> _Mask:
        ratio = np.maximum(a, b) / np.minimum(a, b)
        return np.asarray((ratio > factor[i]) & (np.abs(a - b) > least[i]))

    middle = slice(1, -1)
    alone = np.zeros(len(level), dtype=bool)
    alone[middle] = (
        far(level[1:-1], level[:-2], middle)
        & far(level[1:-1], level[2:], middle)
        & (of[:-2] == of[2:])
        & (on[:-2] == on[2:])
    )
    size = np.diff(np.append(heads, len(at)))
    spike, width = np.repeat(alone, size), np.repeat(factor, size)
    for quote in (rows.bid, rows.ask):
        if quote is not None:  # somebody offered to trade near it: it may well be true
            side = np.where(quote[at] > 0, quote[at], np.inf)
            spike &= np.maximum(price, side) / np.minimum(price, side) > width
    found[at[spike]] = True
    return found


def _volume(
    rows: TickRows,
    specs: Sequence[ContractSpec],
    days: _I64,
    sheet: TickSheet,
    repair: _Rule,
) -> bool:
    """Make volume and open interest whole; return whether volume is the day's so far."""
    if rows.oi is not None:
        unknown = ~(rows.oi >= 0)
        derivative = np.array([s.expiry is not None for s in specs], dtype=bool)[rows.code]
        repair("oi-carried", unknown & derivative)
        at = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(rows.oi))))
        mine = (at >= 0) & (rows.code[np.maximum(at, 0)] == rows.code)
        rows.oi = np.where(mine, np.rint(rows.oi[np.maximum(at, 0)]), 0)
    if rows.volume is None:
        return False
    tradable = np.array([s.asset != "index" for s in specs], dtype=bool)[rows.code]
    wrong = ~(rows.volume >= 0)
    repair("volume-mended", wrong & tradable)
    rows.volume = np.where(wrong, 0, np.rint(rows.volume))
    group = _days_of(rows, days)
    kind = sheet.volumes
    if not sheet.sure and tradable.any():
        same = (np.diff(group) == 0) & tradable[1:]
        change = np.diff(rows.volume)[same]
        change = change[change != 0]
        falls = int((change < 0).sum())
        if len(change) >= _ENOUGH:
            kind = "total" if falls <= _FALLS * len(change) else "each"
            seen = f"it fell in {falls} of {len(change)} changes"
        else:
            seen = "too few changes to tell: as the format has it"
        what = {"total": "the day's so far", "each": "each tick's own"}[kind]
        sheet.report.remarks.append(f"volume is {what} ({seen})")
    if kind == "each":
        return False
    # At one time the total tells the order, which files lose; and it never falls.
    order = np.lexsort((np.arange(len(group)), rows.volume, rows.time, group))
    if not np.array_equal(order, np.arange(len(order))):
        rows.keep(order)
    highest = pd.Series(rows.volume).groupby(group).cummax().to_numpy()
    repair("volume-fell", (rows.volume < highest) & tradable)
    rows.volume = np.asarray(highest)
    return True


def _days_of(rows: TickRows, days: _I64) -> _I64:
    """Return a number for each contract and day, growing with the rows."""
    changes = (np.diff(rows.code) != 0) | (np.diff(days) != 0)
    return np.concatenate(([0], np.cumsum(changes))).astype(np.int64)[: len(days)]


def _untraded(rows: TickRows, specs: Sequence[ContractSpec], days: _I64, repair: _Rule) -> None:
    """Take the price from rows before a day's first trade: it is that of another day.

    The first trade is the first row with a volume, or with another price than the day's first.
    """
    if rows.volume is None or not len(days):
        return
    group = _days_of(rows, days)
    price = pd.Series(np.where(rows.price > 0, rows.price, np.nan))
    first = price.groupby(group).transform("first")
    moved = (price != first) & price.notna()
    begun = (moved | (rows.volume > 0)).groupby(group).cummax().to_numpy(dtype=bool)
    tradable = np.array([s.asset != "index" for s in specs], dtype=bool)[rows.code]
    early = ~begun & (rows.price > 0) & tradable
    repair("not-traded-yet", early)
    rows.price = np.where(early, 0, rows.price)
