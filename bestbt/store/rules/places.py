"""Rules for where a row lies: on a session's bar, alone on it, and only on that day's."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid, Session
from bestbt.store.rules.bench import Bench, Floats, Ints, Mask
from bestbt.store.sessions import EPOCH, OUTSIDE, outside, today
from bestbt.units import DAY

__all__ = ["frozen", "one_row_a_bar", "sessions", "stale_days"]

_REPEATED = 10  # bars of a day, to call it the repeat of another
_MOVES = 3  # times that its close must change: days without a move are alike by themselves
_STANDING = 10  # bars; of two years of real index minutes none stood still for longer than 5

_U64 = np.uint64
_NO_SCHEDULE, _EXPIRED = len(OUTSIDE), len(OUTSIDE) + 1


def sessions(bench: Bench) -> None:
    """Set aside what lies on no bar of a session, and say why."""
    rows, report = bench.rows, bench.report
    days = bench.days()
    future = days > today(bench.calendar.market.tz)
    bench.quarantine("future", future)
    days = days[~future]
    spot = np.array([s.expiry is None for s in bench.specs], dtype=bool)[rows.code]
    names, number = bench.hours
    hours = number[rows.code]
    why = np.zeros(len(days), dtype=np.int8)
    unsourced: dict[str, date] = {}
    for i, name in enumerate(names):
        mine = hours == i if len(names) > 1 else np.ones(len(days), dtype=bool)
        known, unknown = bench.known_sessions(name, days[mine])
        why[mine] = outside(rows.start[mine], days[mine], known, bench.step)
        for day, text in unknown.items():
            here = mine & (days == day.toordinal() - EPOCH)
            if here.any():
                why[here] = _NO_SCHEDULE
                unsourced.setdefault(text.partition(";")[0], day)
        of_spot = mine & spot
        if known and of_spot.any():
            _spot_notes(bench, rows.start[of_spot], why[of_spot] == 0, known)
    report.remarks += list(unsourced)[:3]
    why[(why == 0) & (days > bench.expires[rows.code])] = _EXPIRED
    reasons = (*OUTSIDE, "no-schedule", "after-expiry")
    for place in sorted(np.flatnonzero(np.bincount(why)), key=lambda k: reasons[k]):
        if place:
            mask = why == place
            bench.quarantine(reasons[place], mask)
            why = why[~mask]


def _spot_notes(bench: Bench, starts: Ints, inside: Mask, known: list[Session]) -> None:
    """Remark on the index's days: absent, short, or stamped by the end of their bars."""
    good = np.unique(starts[inside])
    if not len(good):
        return
    grid = Grid(known, bench.step)
    of = grid.session_of[np.searchsorted(grid.starts, good)]
    counts = np.bincount(of, minlength=len(known))
    sizes = np.bincount(grid.session_of, minlength=len(known))
    present = np.flatnonzero(counts)
    within = np.arange(present[0], present[-1] + 1)
    absent = within[counts[within] == 0]
    short = present[counts[present] * 2 < sizes[present]]
    opens = np.array([s.open for s in known])
    closes = np.array([s.close for s in known])
    shifted = ~np.isin(opens, good) & np.isin(opens + bench.step, good) & np.isin(closes, starts)
    for rule, which in (
        ("missing-session", absent),
        ("short-session", short),
        ("looks-end-stamped", np.flatnonzero(shifted)),
    ):
        samples = [f"{known[i].day}: {counts[i]} of {sizes[i]} bars" for i in which]
        bench.report.add("noted", rule, len(which), samples)


def one_row_a_bar(bench: Bench) -> None:
    """Put rows in order by contract and time, and keep one of those that name the same bar.

    It is the last in the file, or one that a person has admitted.
    """
    rows = bench.rows
    rows.keep(np.lexsort((rows.line, rows.code)))
    moments, rank = np.unique(rows.start, return_inverse=True)
    # grows with time within a contract, and from one to the next
    place = rows.code * len(moments) + rank
    bench.repair("sorted", place < np.maximum.accumulate(place))
    order: tuple[npt.NDArray[Any], ...] = (rows.line, rows.start, rows.code)
    if rows.admitted is not None:
        order = (rows.line, rows.admitted, rows.start, rows.code)
    rows.keep(np.lexsort(order))
    same = np.zeros(len(rows.line), dtype=bool)
    same[:-1] = (np.diff(rows.code) == 0) & (np.diff(rows.start) == 0)
    alike = same.copy()
    values = [rows.open, rows.high, rows.low, rows.close, rows.volume, rows.oi]
    for column in (v for v in values if v is not None):
        next_equal = (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
        alike[:-1] &= next_equal
    conflict = same & ~alike
    bench.quarantine("duplicate-conflict", conflict)
    bench.quarantine("duplicate", alike[~conflict])


def stale_days(bench: Bench) -> None:
    """Take away a contract's day that repeats an earlier one of it, number for number."""
    rows = bench.rows
    if len(rows.line) < 2 * _REPEATED:
        return
    days = bench.days()
    heads = np.flatnonzero((np.diff(rows.code, prepend=-1) != 0) | (np.diff(days, prepend=-1) != 0))
    sizes = np.diff(np.append(heads, len(days)))
    clock = rows.start - days * DAY
    moved = np.append(0, np.diff(rows.close) != 0)
    moved[heads] = 0
    lively = (sizes >= _REPEATED) & (np.add.reduceat(moved, heads) >= _MOVES)
    digest = np.zeros(len(days), dtype=_U64)
    for column in (clock, rows.open, rows.high, rows.low, rows.close, rows.volume):
        if column is not None:
            digest = _mixed(digest ^ np.nan_to_num(column, nan=-1.0).astype(np.int64).view(_U64))
    seen = np.stack((rows.code[heads].astype(_U64), np.add.reduceat(digest, heads)), axis=1)
    _, first, number = np.unique(seen, axis=0, return_index=True, return_inverse=True)
    again = lively & (first[number.ravel()] < np.arange(len(heads)))
    bench.quarantine("stale-day", np.repeat(again, sizes), judged=True)


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread the bits of numbers, so that sums of them tell different days apart."""
    value = (value ^ (value >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> _U64(27))) * _U64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> _U64(31)))


def frozen(bench: Bench) -> None:
    """Take away an index's bars in which it was not disseminated, on days on which it moves."""
    rows = bench.rows
    index = bench.of("index")
    if not index.any():
        return
    days = bench.days()
    follows = np.append(False, (np.diff(rows.code) == 0) & (np.diff(days) == 0))
    printed = index & _after_the_auction(bench)
    late = printed & follows & np.append(False, printed[:-1])
    bench.quarantine("after-print", late)
    index, follows = index[~late], follows[~late]
    same = rows.close == _before(rows.close)
    session = np.cumsum(~follows) - 1
    lively = np.bincount(session[~same & follows], minlength=len(follows)) >= _MOVES
    flat: Mask = index & follows & same & (rows.high == rows.low) & lively[session]
    run = np.cumsum(~flat)
    still = np.bincount(run[flat], minlength=len(flat) + 1)
    bench.quarantine("frozen", flat & (still[run] >= _STANDING), judged=True)


def _before(values: Floats) -> Floats:
    return np.append(np.nan, values[:-1])


def _after_the_auction(bench: Bench) -> Mask:
    """Whether each row lies where an index prints once after the closing auction."""
    starts = bench.rows.start
    prints = np.array(sorted(bench.calendar.prints.values()), dtype=np.int64).reshape(-1, 2)
    if not len(prints) or not len(starts):
        return np.zeros(len(starts), dtype=bool)
    at = np.searchsorted(prints[:, 0], starts, side="right") - 1
    return np.asarray((at >= 0) & (starts < prints[np.maximum(at, 0), 1]))
