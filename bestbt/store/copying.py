"""Move a store to another database: `bestbt store copy`.

Tables are copied in the order of their foreign keys, rows in the order of their keys, some at a
time, each batch a transaction. Until all is there and compared, the destination is marked as
unfinished, and no run can mistake it for the whole. The same copy again goes on after the last row
that arrived; when the source has changed since, it begins anew.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, select

from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.dialects import number_on, shown, snapshot, upsert, writing
from bestbt.store.schema import BLOBS, TICK_BLOBS, Base, StoreInfo
from bestbt.store.segments import crcs_hold
from bestbt.store.verifying import KEPT, pages, whereabouts
from bestbt.store.versions import UNFINISHED, note, noted

__all__ = ["copy"]

_PAGE = 128  # rows with blobs at a time
_LINES = 4096  # rows without

_PACKED = {table.name: kind for table, kind in KEPT}
_TABLES = [t for t in Base.metadata.sorted_tables if t.name != StoreInfo.__tablename__]

Tell = Callable[[int, int, str], object]


def copy(source: Engine, target: Engine, tell: Tell) -> int:
    """Copy every row of a store into an empty one, compare both, and return how many there are.

    Parameters
    ----------
    source, target
        Stores of this version; the target empty, or what an earlier copy of this source left.
    tell
        Called with ``(done, total, text)``, in rows.

    Raises
    ------
    UsageError
        If the target holds something else.
    StoreCorrupt
        If a segment of the source fails its checksum, or what arrived is not what was sent. The
        target stays unfinished.
    """
    with snapshot(source).connect() as reader:
        state = _state(reader)
        _begin(target, source, state)
        total = sum(count for count, _ in state.values())
        done = 0
        for table in _TABLES:
            done = _copy_table(reader, target, table, done, total, tell)
        for table in _TABLES:
            tell(done, total, f"comparing {table.name}")
            _compare(reader, target, table)
    with writing(target).begin() as writer:
        number_on(writer, Base.metadata)
        note(writer, UNFINISHED, None)
    return total


def _begin(target: Engine, source: Engine, state: Mapping[str, object]) -> None:
    """Mark the target as unfinished; what a copy of another state left there is removed."""
    told = json.dumps([shown(source.url), state], default=str)
    mark = hashlib.sha256(told.encode()).hexdigest()
    with writing(target).begin() as writer:
        found = noted(writer, UNFINISHED)
        if found is None and any(count for count, _ in _state(writer).values()):
            raise UsageError(
                f"{shown(target.url)} holds data already, and a copy needs an empty store; name "
                "another."
            )
        if found not in (None, mark):
            for table in reversed(_TABLES):
                writer.execute(delete(table))
        note(writer, UNFINISHED, mark)


def _state(connection: Connection) -> dict[str, tuple[int, object]]:
    """Count each table's rows, and find its newest: what changes with every import and run."""
    found = {}
    for table in _TABLES:
        newest = func.max(next(iter(table.primary_key)))
        row = connection.execute(select(func.count(), newest).select_from(table)).one()
        found[table.name] = (int(row[0]), row[1])
    return found


def _copy_table(
    reader: Connection, target: Engine, table: Table, done: int, total: int, tell: Tell
) -> int:
    kind = _PACKED.get(table.name)
    with target.connect() as connection:
        there = connection.execute(select(func.count()).select_from(table)).scalar_one()
        last = _last(connection, table) if there else None
    done += there if last is not None else 0
    for rows in pages(reader, table, _PAGE if kind else _LINES, last):
        if kind:
            blobs = BLOBS if table is kind.segments else TICK_BLOBS
            for row, where in zip(rows, whereabouts(reader, kind, rows, table), strict=True):
                crcs_hold(row, where, blobs)
        with writing(target).begin() as writer:
            writer.execute(upsert(writer, table, rows[0]), rows)
        done += len(rows)
        tell(done, total, table.name)
    return done


def _last(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    """Return the key of the last row that arrived; None to send all again.

    Each database sorts texts in its own way: rows with such a key are sent again, and replace
    themselves.
    """
    key = list(table.primary_key)
    if any(column.type.python_type is str for column in key):
        return None
    asked = select(*key).order_by(*(column.desc() for column in key)).limit(1)
    row = connection.execute(asked).first()
    return None if row is None else tuple(row)


def _compare(reader: Connection, target: Engine, table: Table) -> None:
    """Read what arrived, blobs and all, and hold it against what was sent."""
    with snapshot(target).connect() as connection:
        if _sum(connection, table) != _sum(reader, table):
            raise StoreCorrupt(
                f"What arrived at {shown(target.url)} in `{table.name}` is not what was sent. Drop "
                "that store and copy again; if it is the same then, its disk or server is at fault."
            )


def _sum(connection: Connection, table: Table) -> tuple[int, int]:
    """Count the rows and add their digests up: the same for the same rows in any order."""
    count, added = 0, 0
    for rows in pages(connection, table, _PAGE if table.name in _PACKED else _LINES):
        for row in rows:
            plain = {
                name: [len(value), zlib.crc32(value)] if isinstance(value, bytes) else value
                for name, value in row.items()
            }
            told = json.dumps(plain, sort_keys=True, default=str)
            digest = hashlib.blake2b(told.encode(), digest_size=16).digest()
            added = (added + int.from_bytes(digest, "little")) % (1 << 128)
        count += len(rows)
    return count, added
