"""Taking prices back out of a store: whole months of contracts, bars and ticks.

Rows of several imports are merged in one segment, so that a file cannot be taken out of it again;
a contract's month can. The imports that may have brought it may be repeated afterwards: their
records say that something was forgotten, or go if nothing that they brought is left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from bestbt.store.quality import QualityReport
from bestbt.store.reading import Stored, day_name, month_name
from bestbt.store.schema import KINDS, Import, Kind, Quarantine
from bestbt.store.segments import unpack
from bestbt.store.sessions import EPOCH, local_days
from bestbt.store.ticks import unpack_ticks
from bestbt.units import DAY, Ns

__all__ = ["forget"]

_IMPORTS: Any = Import.__table__
_QUARANTINE: Any = Quarantine.__table__
_MANY = 500  # ids in one statement


def forget(
    connection: Connection, contracts: Sequence[Stored], first: date, until: date, tz: str
) -> int:
    """Take the bars and ticks of contracts out of a store; return how many that were.

    Parameters
    ----------
    contracts
        Of one symbol.
    first, until
        The first day of a month and the last day of one.
    tz
        Of the exchange.
    """
    low, high = _number(first) * DAY, _number(until) * DAY
    gone = 0
    for contract in contracts:
        kind = KINDS[contract.spec.asset]
        taken = 0
        for table, count in ((kind.segments, "live_bars"), (kind.ticks, "ticks")):
            here = (table.c.contract_id == contract.id) & table.c.t0.between(low, high)
            rows = select(func.sum(table.c[count])).where(here)
            taken += int(connection.execute(rows).scalar() or 0)
            connection.execute(delete(table).where(here))
        if taken:
            ends = {"first_time": _outer(connection, kind, contract, 0)}
            ends["last_time"] = _outer(connection, kind, contract, -1)
            own = kind.contracts.c.contract_id == contract.id
            connection.execute(update(kind.contracts).where(own).values(ends))
            gone += taken
    if gone:
        _let_go(connection, contracts, first, until, gone, tz)
    return gone


def _outer(connection: Connection, kind: Kind, contract: Stored, which: int) -> Ns | None:
    """Return the time of the first live bar or tick that is left, or of the last (-1)."""
    found: list[Ns] = []
    for table in (kind.segments, kind.ticks):
        order = table.c.t0.desc() if which else table.c.t0
        asked = select(table).where(table.c.contract_id == contract.id).order_by(order)
        for row in connection.execute(asked).mappings():
            if table is kind.segments:
                where = f"{contract.spec} in {month_name(row['t0'])}"
                times = unpack(dict(row), where).bars().starts
            else:
                ticks = unpack_ticks(dict(row), f"{contract.spec} on {day_name(row['t0'])}")
                times = ticks.times[ticks.live]
            if len(times):
                found.append(int(times[which]))
                break
    return (max if which else min)(found, default=None)


def _let_go(
    connection: Connection,
    contracts: Sequence[Stored],
    first: date,
    until: date,
    gone: int,
    tz: str,
) -> None:
    """Let the imports that may have brought it be repeated; write down that it was forgotten."""
    names = {str(contract.spec) for contract in contracts}
    kinds = {f"{c.spec.symbol} {c.spec.asset}" for c in contracts}
    what = min(names) if len(names) == 1 else f"{len(names):,} contracts of {min(kinds).split()[0]}"
    told = f"{what} from {first} to {until}"
    asked = select(_IMPORTS.c.import_id, _IMPORTS.c.report).order_by(_IMPORTS.c.import_id)
    for import_id, values in connection.execute(asked).all():
        report = QualityReport.from_json(values)
        known = bool(report.symbols and report.start and report.end)  # else it may have brought any
        if known and not (kinds & report.symbols.keys() and _touches(report, first, until)):
            continue
        own = _QUARANTINE.c.import_id == import_id
        if known and not _left(connection, report):
            connection.execute(delete(_QUARANTINE).where(own))
            connection.execute(delete(_IMPORTS).where(_IMPORTS.c.import_id == import_id))
            continue
        aside = _aside(connection, own, names, first, until, tz)
        for head in range(0, len(aside), _MANY):
            some = _QUARANTINE.c.quarantine_id.in_(aside[head : head + _MANY])
            connection.execute(delete(_QUARANTINE).where(some))
        report.forgotten.append(told)
        change = update(_IMPORTS).where(_IMPORTS.c.import_id == import_id)
        connection.execute(change.values(report=report.to_json()))
    # A record of its own, newer than all: who has prices in memory sees that they are others now.
    report = QualityReport(told, "forgotten")
    report.remarks.append(f"{gone:,} bars and ticks were taken out")
    row: dict[str, Any] = {"file_name": told, "sha256": None, "format": report.format, "rows": 0}
    row |= {"report": report.to_json(), "imported_at": time.time_ns(), "synthetic": False}
    connection.execute(_IMPORTS.insert(), row)


def _touches(report: QualityReport, first: date, until: date) -> bool:
    """Whether an import has rows from one day to another, as far as its outer ones tell."""
    start, end = (report.start or "")[:10], (report.end or "")[:10]
    return start <= str(until) and end >= str(first)


def _left(connection: Connection, report: QualityReport) -> bool:
    """Whether anything is left that an import may have brought, official closes among it."""
    start, end = (date.fromisoformat((t or "")[:10]) for t in (report.start, report.end))
    low, high = (_number(day) * DAY for day in (start.replace(day=1), end))
    for name in report.symbols:
        symbol, _, asset = name.rpartition(" ")
        kind = next((kind for kind in KINDS.values() if kind.asset == asset), None)
        if kind is None:  # "NIFTY official close"
            return True
        for table in (kind.segments, kind.ticks):
            asked = (
                select(table.c.t0)
                .join(kind.contracts, kind.contracts.c.contract_id == table.c.contract_id)
                .where(kind.symbol == symbol, table.c.t0.between(low, high))
            )
            if connection.execute(asked.limit(1)).first() is not None:
                return True
    return False


def _aside(
    connection: Connection,
    own: ColumnElement[bool],
    names: set[str],
    first: date,
    until: date,
    tz: str,
) -> list[int]:
    """Return the numbers of an import's quarantined rows of contracts between two days."""
    table = _QUARANTINE.c
    asked = select(table.quarantine_id, table.contract, table.start)
    rows = [
        (number, start)
        for number, contract, start in connection.execute(asked.where(own))
        if contract in names and start is not None
    ]
    days = local_days(np.array([start for _, start in rows], dtype=np.int64), tz)
    low, high = _number(first), _number(until)
    pairs = zip(rows, days.tolist(), strict=True)
    return [number for (number, _), day in pairs if low <= day <= high]


def _number(day: date) -> int:
    """Return a day as its number since 1970."""
    return day.toordinal() - EPOCH
