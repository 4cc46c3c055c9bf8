"""Rows that an import did not store: kept with the reason, to be looked at and taken back.

    import ──keep──> quarantine ──listing──> DataFrame
                         └──pending──> rows ──sanitise──> bars      (Store.readmit)

A row that was taken back is marked, and `admitted` tells every later import not to judge it again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, bindparam, delete, select, update

from bestbt.engine.ports import ContractSpec
from bestbt.errors import UsageError
from bestbt.store.quality import Aside, Parsed, QualityReport
from bestbt.store.schema import Import, Quarantine
from bestbt.store.sheet import Rows, Sheet
from bestbt.units import Ns

__all__ = ["OF_WHOLES", "admitted", "keep", "listing", "mark", "pending", "reasons", "sheets"]

_TABLE: Any = Quarantine.__table__
_IMPORTS: Any = Import.__table__
_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume", "oi", "bid", "ask")
_TERMS = ("asset", "symbol", "expiry", "strike", "right", "lot", "tick", "scale", "exchange")
_TICKS = ("depth ticks", "gdfl-seconds", "truedata-seconds")
_TEXT = 1000  # characters of a row's text
_MANY = 500  # ids in one statement

# Notes on what is absent beside a row: true of a whole file, not of single rows taken back.
OF_WHOLES = ("gaps", "first-bars", "missing-session", "short-session", "looks-end-stamped")


def keep(
    connection: Connection, import_id: int, sha256: str | None, aside: Sequence[Aside]
) -> None:
    """Store what an import set aside, in place of what an earlier one of that file did."""
    if sha256 is not None:
        earlier = select(_IMPORTS.c.import_id).where(
            _IMPORTS.c.sha256 == sha256, _IMPORTS.c.import_id != import_id
        )
        gone = delete(_TABLE).where(
            _TABLE.c.import_id.in_(earlier), _TABLE.c.readmitted_at.is_(None)
        )
        connection.execute(gone)
    if aside:
        connection.execute(_TABLE.insert(), [_row(import_id, a) for a in aside])


def _row(import_id: int, aside: Aside) -> dict[str, Any]:
    parsed = aside.parsed
    return {
        "import_id": import_id,
        "reason": aside.reason,
        "line": aside.line,
        "rows": aside.rows,
        "text": aside.text.replace("\0", " ")[:_TEXT],
        "contract": None if parsed is None else str(parsed.spec)[:100],
        "start": None if parsed is None else parsed.start,
        "parsed": None if parsed is None else _to_json(parsed),
        "readmitted_at": None,
    }


def _to_json(parsed: Parsed) -> dict[str, Any]:
    terms = {name: getattr(parsed.spec, name) for name in _TERMS}
    terms["expiry"] = None if parsed.spec.expiry is None else parsed.spec.expiry.isoformat()
    return {**terms, "step": parsed.step, **parsed.values}


def _spec(parsed: Mapping[str, Any]) -> ContractSpec:
    terms = {name: parsed[name] for name in _TERMS}
    if terms["expiry"] is not None:
        terms["expiry"] = date.fromisoformat(terms["expiry"])
    return ContractSpec(**terms)


def listing(
    connection: Connection, import_id: int | None, reason: str | None, tz: str
) -> pd.DataFrame:
    """Return quarantined rows in the order in which they came; see `Store.quarantine`."""
    asked = select(_TABLE, _IMPORTS.c.file_name).join(
        _IMPORTS, _TABLE.c.import_id == _IMPORTS.c.import_id
    )
    if import_id is not None:
        asked = asked.where(_TABLE.c.import_id == import_id)
    if reason is not None:
        asked = asked.where(_TABLE.c.reason == reason)
    found = connection.execute(asked.order_by(_TABLE.c.quarantine_id)).mappings().all()
    values = [row["parsed"] or {} for row in found]
    table: dict[str, Any] = {
        "id": [row["quarantine_id"] for row in found],
        "import_id": [row["import_id"] for row in found],
        "file": [row["file_name"] for row in found],
        "line": pd.array([row["line"] for row in found], dtype="Int64"),
        "reason": [row["reason"] for row in found],
        "rows": [row["rows"] for row in found],
        "contract": [row["contract"] for row in found],
        "time": _stamps([row["start"] for row in found], tz),
    }
    for name in _NUMBERS:
        table[name] = np.array([_number(v.get(name)) for v in values], dtype=np.float64)
    table["text"] = [row["text"] for row in found]
    table["readmitted"] = _stamps([row["readmitted_at"] for row in found], tz)
    return pd.DataFrame(table)


def _stamps(times: Sequence[Ns | None], tz: str) -> pd.DatetimeIndex:
    none = np.iinfo(np.int64).min  # NaT
    values = np.array([none if t is None else t for t in times], dtype=np.int64)
    return pd.DatetimeIndex(values, tz="UTC").tz_convert(tz)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def reasons(connection: Connection) -> list[str]:
    """Return the rules by which rows are in quarantine."""
    return list(connection.execute(select(_TABLE.c.reason).distinct()).scalars())


def pending(
    connection: Connection, ids: Iterable[int] | None, reason: str | None
) -> tuple[list[Mapping[str, Any]], int]:
    """Return the rows named that are still in quarantine, and how many others have left it.

    Raises
    ------
    UsageError
        If a number is that of no row.
    """
    asked = select(_TABLE, _IMPORTS.c.file_name, _IMPORTS.c.format).join(
        _IMPORTS, _TABLE.c.import_id == _IMPORTS.c.import_id
    )
    if reason is not None:
        asked = asked.where(_TABLE.c.reason == reason)
    asked = asked.order_by(_TABLE.c.quarantine_id)
    found: list[Any] = []
    if ids is None:
        found += connection.execute(asked).mappings().all()
    else:
        wanted = sorted(set(ids))
        for head in range(0, len(wanted), _MANY):
            some = asked.where(_TABLE.c.quarantine_id.in_(wanted[head : head + _MANY]))
            found += connection.execute(some).mappings().all()
        known = {row["quarantine_id"] for row in found}
        unknown = [] if reason else [i for i in wanted if i not in known]
        if unknown:
            raise UsageError(
                f"No row {unknown[0]} is in quarantine; `store.quarantine()` has their numbers in "
                "its column `id`."
            )
    waiting = [row for row in found if row["readmitted_at"] is None]
    return waiting, len(found) - len(waiting)


def sheets(waiting: Sequence[Mapping[str, Any]], report: QualityReport) -> list[Sheet]:
    """Return rows that have prices as sheets, one for each length of a bar; tell of the others.

    A row's number is its id. All are admitted: what judged them does so no more.
    """
    texts = {row["quarantine_id"]: row["text"] for row in waiting}
    steps: dict[Ns, list[Mapping[str, Any]]] = {}
    for row in waiting:
        parsed = row["parsed"]
        if parsed is None or any(parsed.get(name) is None for name in _PRICES):
            report.add("quarantined", row["reason"], row["rows"], [row["text"]])
            remark = _instead(row)
            if remark not in report.remarks:
                report.remarks.append(remark)
        else:
            steps.setdefault(parsed["step"], []).append(row)

    def show(line: int) -> str:
        return str(texts[line])

    made = []
    for step, rows in steps.items():
        specs = list(dict.fromkeys(_spec(row["parsed"]) for row in rows))
        number = {spec: i for i, spec in enumerate(specs)}
        columns = {}
        for name in _NUMBERS:
            values = [row["parsed"].get(name) for row in rows]
            none = all(v is None for v in values)
            columns[name] = None if none else np.array([_number(v) for v in values])
        made.append(
            Sheet(
                Rows(
                    np.array([row["quarantine_id"] for row in rows], dtype=np.int64),
                    np.array([number[_spec(row["parsed"])] for row in rows], dtype=np.int64),
                    np.array([row["start"] for row in rows], dtype=np.int64),
                    **columns,  # type: ignore[arg-type]
                    admitted=np.ones(len(rows), dtype=bool),
                ),
                specs,
                step,
                report,
                show,
                stamped=True,
                zoned=True,
                volume_in="units",
                oi_in="units",
            )
        )
    return made


def _instead(row: Mapping[str, Any]) -> str:
    """Say what can be done for a row that has no bar to be stored."""
    if row["format"].startswith("chain snapshots") and row["rows"] > 1:
        return "whole pages cannot be taken back: import such a page in a folder of its own"
    if any(name in row["format"] for name in _TICKS):
        return "ticks cannot be taken back: mend the file and import it, what is stored stays once"
    return "rows without prices cannot be taken back: mend the file and import it"


def mark(connection: Connection, ids: Sequence[int]) -> None:
    """Mark rows as taken back."""
    if ids:
        which = _TABLE.c.quarantine_id == bindparam("the_id")
        change = update(_TABLE).where(which).values(readmitted_at=time.time_ns())
        connection.execute(change, [{"the_id": i} for i in ids])


def admitted(connection: Connection) -> pd.DataFrame:
    """Return the bars that were taken back: contract, start, and raw prices."""
    asked = select(_TABLE.c.contract, _TABLE.c.start, _TABLE.c.parsed)
    rows = connection.execute(asked.where(_TABLE.c.readmitted_at.is_not(None))).all()
    found = [
        (row.contract, row.start, *(round(row.parsed[n] * row.parsed["scale"]) for n in _PRICES))
        for row in rows
    ]
    return pd.DataFrame(found, columns=["contract", "start", *_PRICES])
