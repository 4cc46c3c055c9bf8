"""Remarks on rows that are stored as they came."""

from __future__ import annotations

from datetime import date

import numpy as np

from bestbt.engine.grid import Grid
from bestbt.store.rules.bench import Bench
from bestbt.store.sessions import EPOCH

__all__ = ["absent", "odd_values"]


def odd_values(bench: Bench) -> None:
    """Remark on prices off the tick and volumes that are no whole lots."""
    rows = bench.rows
    derivative = bench.of("option", "future")
    tick = np.array([s.tick for s in bench.specs])[rows.code]
    four = np.stack((rows.open, rows.high, rows.low, rows.close))
    bench.note("off-tick", derivative & (four % tick != 0).any(axis=0))
    if rows.volume is not None:
        bench.note("odd-lot-volume", derivative & (rows.volume % bench.lot[rows.code] != 0))


def absent(bench: Bench) -> None:
    """Remark on bars that a contract lacks: before its first, and between others of a session.

    The store has them all the same, from the first on: stale, at the price before.
    """
    rows, specs = bench.rows, bench.specs
    days = bench.days()
    first, last = (date.fromordinal(EPOCH + int(d)) for d in (days.min(), days.max()))
    names, number = bench.hours
    hours_of = number[rows.code]
    between, before = (np.zeros(len(specs), dtype=np.int64) for _ in range(2))
    for i, hours in enumerate(names):
        mine = hours_of == i
        if not mine.any():
            continue
        sessions = bench.calendar.between(hours, first, last)
        grid = Grid(sessions, bench.step, bench.calendar.market.tz)
        bar, code = np.searchsorted(grid.starts, rows.start[mine]), rows.code[mine]
        session = grid.session_of[bar]
        next_of_same = (np.diff(code) == 0) & (np.diff(session) == 0)
        lacks = np.diff(bar)[next_of_same] - 1
        between += np.bincount(code[1:][next_of_same], lacks, len(specs)).astype(np.int64)
        heads = np.flatnonzero(np.diff(code, prepend=-1))
        before[code[heads]] = bar[heads] - np.array(grid.firsts)[session[heads]]
    for rule, counts in (("gaps", between), ("first-bars", before)):
        worst = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        samples = [f"{specs[i]}: {counts[i]}" for i in worst[:20]]
        bench.report.add("noted", rule, int(counts.sum()), samples)
