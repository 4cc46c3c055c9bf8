"""Times that show another clock, or the end of a bar: seen from where the sessions are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Session
from bestbt.errors import ImportRefused
from bestbt.store.rules.bench import Bench, Ints
from bestbt.store.sessions import EPOCH, local_days, reason_outside
from bestbt.units import Ns

__all__ = ["end_stamps", "time_zone"]

# Clocks that data of an Indian exchange are seen in; of those that agree, the first is told.
_ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "Asia/Singapore",
    "Asia/Dubai",
    "Europe/Berlin",
    "America/Chicago",
)
_SAMPLE = 20_000  # rows are enough to see a clock
_FEWEST = 30  # below it nothing can be told
_FITS, _MISFITS = 0.97, 0.9  # share of the rows in a session
_SURE_DAYS = 3  # so many days without a first bar and with one at the close are no accident
_MOST_DAYS = 0.9


def time_zone(bench: Bench) -> None:
    """Refuse a file whose times lie in the sessions only when read on another clock."""
    if bench.sheet.zoned or len(bench.rows.start) < _FEWEST:
        return
    which = np.linspace(0, len(bench.rows.start) - 1, _SAMPLE).astype(np.int64)
    which = np.unique(which)
    starts, hours = bench.rows.start[which], bench.hours[1][bench.rows.code[which]]
    inside = _share_inside(bench, starts, hours)
    if inside >= _MISFITS:
        return
    home = bench.calendar.market.tz
    for zone in _ZONES:
        for read_as, moved in ((zone, _reread(starts, home, zone)), (home, None)):
            if moved is None:
                moved = _reread(starts, zone, home)
            share = _share_inside(bench, moved, hours)
            if share < _FITS:
                continue
            truth = f"those of {zone}" if read_as == zone else f"of the exchange, marked as {zone}"
            raise ImportRefused(
                f"{1 - inside:.0%} of the times in {bench.report.file} lie outside the trading "
                f"session, and {share:.0%} inside it if they are {truth}. If so, import it with "
                f'tz="{read_as}"; if they are right as they are, the file is not of that market.'
            )


def _reread(starts: Ints, shown: str, truth: str) -> Ints:
    """Take the wall clock that times show in one zone for that of another."""
    wall = pd.DatetimeIndex(starts, tz="UTC").tz_convert(shown).tz_localize(None)
    there = wall.tz_localize(truth, ambiguous="NaT", nonexistent="NaT")
    return np.asarray(there.as_unit("ns").asi8)


def _share_inside(bench: Bench, starts: Ints, hours: npt.NDArray[np.int8]) -> float:
    known = starts != np.iinfo(np.int64).min
    good = 0
    for i, name in enumerate(bench.hours[0]):
        mine = starts[known & (hours == i)]
        days = local_days(mine, bench.calendar.market.tz)
        why = reason_outside(mine, days, bench.known_sessions(name, days)[0], bench.step)
        good += int(np.isin(why, ("", "at-close", "off-grid")).sum())
    return good / max(len(starts), 1)


def end_stamps(bench: Bench) -> None:
    """Move the times of a whole file from the ends of bars to their starts, if that is certain.

    No session has a row at its open, nine in ten have one at the end of a part and one at the
    second bar; and there are at least three, or a contract has all its bars so stamped.
    """
    rows, step = bench.rows, bench.step
    if bench.sheet.stamped or not len(rows.start):
        return
    names, number = bench.hours
    hours, days = number[rows.code], bench.days()
    count, at_second, at_end, whole = 0, 0, 0, False
    for i, name in enumerate(names):
        mine = hours == i if len(names) > 1 else np.ones(len(days), dtype=bool)
        starts, of_day = rows.start[mine], days[mine]
        known, _ = bench.known_sessions(name, of_day)
        if not known:
            return
        opens = np.array([s.open for s in known])
        at = np.minimum(np.searchsorted(opens, starts), len(opens) - 1)
        if (opens[at] == starts).any():  # as nearly every file has it
            return
        present = set(np.unique(of_day).tolist())
        known = [s for s in known if s.day.toordinal() - EPOCH in present]
        moments = np.unique(starts)
        count += len(known)
        at_second += int(np.isin([s.open + step for s in known], moments).sum())
        at_end += sum(bool(np.isin([b for _, b in s.parts], moments).any()) for s in known)
        whole = whole or _has_whole_session(starts, rows.code[mine], known, step)
    if not count or min(at_second, at_end) < _MOST_DAYS * count:
        return
    if count >= _SURE_DAYS or whole:
        rows.start = rows.start - step
        bench.repair("end-stamps-seen", np.ones(len(rows.start), dtype=bool))


def _has_whole_session(starts: Ints, codes: Ints, sessions: list[Session], step: Ns) -> bool:
    for session in sessions:
        inside = (starts > session.open) & (starts <= session.close)
        bars = sum(-((a - b) // step) for a, b in session.parts)
        if inside.any() and int(np.bincount(codes[inside]).max()) >= bars:
            return True
    return False
