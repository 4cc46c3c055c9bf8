"""Rules that turn a file's rows into bars on the market's sessions; what does not fit is set aside.

    rows ──clock──> ──prices──> ──sessions──> ──one row a bar──> ──volume──> ──outliers──> live bars

Each rule takes rows away (quarantine), changes them (repair) or remarks on them (note), and tells
the report how many. No rule invents a price: one that traded may stand for another of its bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import path_points
from bestbt.store.rules import clock, notes, outliers, places, values
from bestbt.store.rules.bench import Bench
from bestbt.store.segments import Bars
from bestbt.store.sessions import Calendar, local_days, reason_outside
from bestbt.store.sheet import Rows, Sheet
from bestbt.store.telling import Tell, silent

__all__ = ["Calendar", "Rows", "Sheet", "local_days", "reason_outside", "sanitise"]


def sanitise(
    sheet: Sheet, calendar: Calendar, tell: Tell = silent
) -> Iterator[tuple[ContractSpec, Bars]]:
    """Yield the live bars of each contract, in order of `sheet.specs`; *tell* hears of each rule.

    The sheet is used up: its rows are changed in place, and at the end are those stored. Its
    report is told of every row that is not stored as it came; a repair counts only if its row is
    stored.

    Raises
    ------
    ImportRefused
        If the times are of another zone's clock.
    """
    bench = Bench(sheet, calendar)
    rules: tuple[Callable[[Bench], object], ...] = (
        clock.time_zone,
        clock.end_stamps,
        values.lots,
        values.prices,
        places.sessions,
        admit,
        places.one_row_a_bar,
        values.volume,
        places.stale_days,
        places.frozen,
        outliers.spikes,
        outliers.spot_off_chain,
        outliers.off_chain,
    )
    for done, rule in enumerate(rules, 1):
        tell(done, len(rules), rule.__name__.replace("_", " "))
        rule(bench)
    bench.count_repairs()
    rows = bench.rows
    if not len(rows.line):
        return
    notes.odd_values(bench)
    notes.absent(bench)
    heads = np.flatnonzero(np.diff(rows.code, prepend=-1))
    for head, tail in zip(heads, [*heads[1:], len(rows.code)], strict=True):
        here = slice(head, tail)
        prices = (rows.open, rows.high, rows.low, rows.close)
        yield (
            sheet.specs[int(rows.code[head])],
            Bars(
                rows.start[here],
                path_points(*(price[here].astype(np.int64) for price in prices)),
                None if rows.volume is None else rows.volume[here].astype(np.int64),
                None if rows.oi is None else rows.oi[here].astype(np.int64),
                None if rows.bid is None else rows.bid[here].astype(np.int32),
                None if rows.ask is None else rows.ask[here].astype(np.int32),
            ),
        )


def admit(bench: Bench) -> None:
    """Mark the rows that a person took out of quarantine: by contract, time and prices."""
    rows, known = bench.rows, bench.sheet.admitted
    if known is None or known.empty or rows.admitted is not None:
        return
    names = {str(spec): i for i, spec in enumerate(bench.specs)}
    known = known[known["contract"].isin(names)]
    near = np.flatnonzero(np.isin(rows.start, known["start"].to_numpy()))
    raw = ["open", "high", "low", "close"]
    table = known.assign(code=known["contract"].map(names))[["code", "start", *raw]]
    here = {name: getattr(rows, name)[near] for name in ("code", "start", *raw)}
    wanted = set(map(tuple, table.astype("int64").to_numpy().tolist()))
    mine = np.stack([here[n].astype(np.int64) for n in ("code", "start", *raw)], axis=1)
    rows.admitted = np.zeros(len(rows.line), dtype=bool)
    rows.admitted[near] = [tuple(row) in wanted for row in mine.tolist()]
