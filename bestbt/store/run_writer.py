"""Writing a run: its record from the start, and its tables piece by piece, in order."""

from __future__ import annotations

import os
import platform
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Connection, Engine, delete, insert, update

from bestbt.errors import UsageError
from bestbt.store.dialects import upsert, writing
from bestbt.store.schema import Run, RunFill, RunLedger, RunLog, RunOrder, RunTrade

__all__ = [
    "RUN_TABLES",
    "Piece",
    "RunWriter",
    "checked_name",
    "is_writing",
    "pack_curve",
    "unpack_curve",
]

# A number from which on a table's rows are these: what was stored from there on goes.
Piece: TypeAlias = tuple[int, pd.DataFrame]

RUN_TABLES: dict[str, Any] = {
    "orders": RunOrder.__table__,
    "fills": RunFill.__table__,
    "trades": RunTrade.__table__,
    "ledger": RunLedger.__table__,
    "log": RunLog.__table__,
}

_SILENT = 60_000_000_000  # ns after which a running run that has not been heard of is given up
_LONGEST = 200  # characters of a run's name


def checked_name(name: str) -> str:
    """Return a run's name; `UsageError` for one that could not be stored or asked for.

    >>> checked_name("straddle 25%")
    'straddle 25%'
    """
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        raise UsageError(
            f"save={str(name)[:40]!r}: a run's name is a text of 1 to {_LONGEST} characters."
        )
    if not name.isprintable():
        raise UsageError(f"save={name!r}: a run's name has no line breaks or control characters.")
    if name.strip().isdigit():
        raise UsageError(
            f"save={name!r}: this name would be taken for a run's number; add a letter."
        )
    return name


class RunWriter:
    """Writes one run. Each `write` is a transaction that may be made again.

    A piece says from which number on a table's rows are these. So a batch whose commit was lost on
    the way can be written once more, and a run that was rewound is written from 0 on.

    Attributes
    ----------
    run_id : int or None
        The run's number, once its record is stored.
    """

    def __init__(self, engine: Engine, record: Mapping[str, Any]) -> None:
        self.run_id: int | None = None
        self._engine = engine
        self._record = {"created": time.time_ns(), "hash": "", "stats": {}, **record}
        self._record["writer"] = _process()

    def write(
        self,
        facts: Mapping[str, Any],
        pieces: Mapping[str, Piece] | None = None,
        changed: pd.DataFrame | None = None,
    ) -> int:
        """Store facts of the record, pieces of its tables, and orders that have changed since.

        Returns
        -------
        int
            The run's number.
        """
        facts = {**facts, "seen": time.time_ns()}
        with writing(self._engine).begin() as connection:
            run_id = self._touch(connection, facts)
            for name, (number, frame) in (pieces or {}).items():
                _replace(connection, RUN_TABLES[name], run_id, number, frame)
            if changed is not None and len(changed):
                rows = _rows(run_id, changed)
                connection.execute(upsert(connection, RUN_TABLES["orders"], rows[0]), rows)
        self.run_id = run_id  # only now is it stored
        return run_id

    def _touch(self, connection: Connection, facts: Mapping[str, Any]) -> int:
        table: Any = Run.__table__
        facts = facts if self.run_id is not None else {**self._record, **facts}
        facts = {k: v if isinstance(v, bytes) else _json(v) for k, v in facts.items()}
        if self.run_id is None:
            made = connection.execute(insert(table), facts)
            return int(made.inserted_primary_key[0])  # type: ignore[index]
        done = connection.execute(update(table).where(table.c.run_id == self.run_id), facts)
        if not done.rowcount:
            raise UsageError(
                f"Run {self.run_id} has been deleted from the store; save it under another name."
            )
        return self.run_id


def _replace(
    connection: Connection, table: Any, run_id: int, number: int, frame: pd.DataFrame
) -> None:
    order = table.c.id if "id" in table.c else table.c.number
    connection.execute(delete(table).where(table.c.run_id == run_id, order >= number))
    if len(frame):
        if order.name not in frame:
            frame = frame.assign(number=range(number, number + len(frame)))
        connection.execute(insert(table), _rows(run_id, frame))


def _rows(run_id: int, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as they are stored: times in UTC ns, nan as None, texts that fit."""
    plain = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            values = column.dt.tz_convert("UTC").dt.as_unit("ns").astype("int64").tolist()
        elif name == "values":
            values = [_json(value) for value in column]
        else:
            values = column.astype(object).where(column.notna(), None).tolist()
            if isinstance(column.dtype, pd.StringDtype):
                values = [_text(value) for value in values]
        plain[str(name)] = values
    names = list(plain)
    return [
        {"run_id": run_id, **dict(zip(names, row, strict=True))}
        for row in zip(*plain.values(), strict=True)
    ]


def _text(value: str) -> str:
    """Return a text as every database takes it: without NULs and halves of characters."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _json(value: Any) -> Any:
    """Return a value as JSON and every database take it; what has no place there becomes text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_text(str(k)): _json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return _text(str(value))


# Equity


def pack_curve(times: npt.NDArray[np.int64], raw: npt.NDArray[np.int64]) -> bytes:
    """Return times and raw equity as bytes: from one bar to the next little changes.

    >>> curve = unpack_curve(pack_curve(np.array([60, 120]), np.array([10_000, 9_990])))
    >>> [column.tolist() for column in curve]
    [[60, 120], [10000, 9990]]
    """
    steps = np.diff(np.stack((times, raw)).astype("<i8"), prepend=0)
    return zlib.compress(steps.tobytes(), 1)


def unpack_curve(packed: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return what `pack_curve` was given."""
    steps = np.frombuffer(zlib.decompress(packed), dtype="<i8").reshape(2, -1)
    times, raw = np.cumsum(steps, axis=1, dtype=np.int64)
    return times, raw


# Who writes


def _process(pid: int | None = None) -> str:
    """Return what tells this process from all others, also from a later one of its number."""
    pid = os.getpid() if pid is None else pid
    return f"{platform.node()[:200]} {pid} {_begun(pid)}"


def _begun(pid: int) -> str:
    """Return when a process began, in its system's own words; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else "unknown"  # a system without /proc
    except (ProcessLookupError, PermissionError):
        return ""


def is_writing(state: str, writer: str, seen: int) -> bool:
    """Whether the process that plays a run is there still."""
    machine, pid, begun = writer.rsplit(" ", 2)
    silent = state == "running" and time.time_ns() - seen > _SILENT
    if machine != platform.node()[:200]:
        return not silent
    return begun == _begun(int(pid)) and not silent
