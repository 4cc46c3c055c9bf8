"""Read every stored price and hold it against its checksums: `bestbt store verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select, tuple_

from bestbt.errors import StoreCorrupt
from bestbt.store.dialects import integrity, snapshot
from bestbt.store.reading import day_name, month_name, spec_of
from bestbt.store.schema import KINDS, Kind
from bestbt.store.segments import digest_holds
from bestbt.store.ticks import tick_digest_holds

__all__ = ["KEPT", "Verified", "pages", "verify", "whereabouts"]

KEPT = [(table, kind) for kind in KINDS.values() for table in (kind.segments, kind.ticks)]
PAGE = 128  # segments in memory at a time


@dataclass(frozen=True, slots=True)
class Verified:
    """How many segments were read, and what is wrong, one line each."""

    segments: int
    damage: tuple[str, ...]

    def __str__(self) -> str:
        said = f"{self.segments:,} segments were read"
        if not self.damage:
            return f"{said}, and every price is as it was stored."
        return f"{said}; damaged: {len(self.damage):,}."


def verify(engine: Engine, tell: Callable[[int, int, str], object]) -> Verified:
    """Check every segment's blobs, counts and digest, and a file's own structure.

    Parameters
    ----------
    engine
        Of a store.
    tell
        Called with ``(done, total, text)``, in segments.
    """
    damage: list[str] = []
    done = 0
    with snapshot(engine).connect() as connection:
        damage += _sound(connection)
        total = sum(_count(connection, table) for table, _ in KEPT)
        for table, kind in KEPT:
            holds = digest_holds if table is kind.segments else tick_digest_holds
            try:
                for rows in pages(connection, table, PAGE):
                    where = whereabouts(connection, kind, rows, table)
                    for row, name in zip(rows, where, strict=True):
                        try:
                            holds(row, name)
                        except StoreCorrupt as error:
                            damage.append(str(error))
                    done += len(rows)
                    tell(done, total, table.name)
            except StoreCorrupt as error:  # of the file: what follows in this table is lost
                damage.append(f"{table.name}: {error}")
    return Verified(done, tuple(damage))


def _sound(connection: Connection) -> list[str]:
    try:
        return integrity(connection)
    except StoreCorrupt as error:
        return [str(error)]


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def pages(
    connection: Connection, table: Table, size: int, after: tuple[Any, ...] | None = None
) -> Iterator[list[Mapping[str, Any]]]:
    """Give a table's rows in the order of their key, some at a time, from after a key on."""
    key = list(table.primary_key)
    while True:
        asked = select(table).order_by(*key).limit(size)
        if after is not None:
            asked = asked.where(tuple_(*key) > after)
        rows: list[Mapping[str, Any]] = [*connection.execute(asked).mappings()]
        if not rows:
            return
        yield rows
        after = tuple(rows[-1][column.name] for column in key)


def whereabouts(
    connection: Connection, kind: Kind, rows: list[Mapping[str, Any]], kept: Table
) -> list[str]:
    """Say which contract and month each segment is, or which contract and day of ticks."""
    table, by_month = kind.contracts, kept is kind.segments
    ids = {row["contract_id"] for row in rows}
    asked = select(table).where(table.c.contract_id.in_(ids))
    specs = {
        row["contract_id"]: spec_of(kind.asset, dict(row))
        for row in connection.execute(asked).mappings()
    }
    return [
        f"{specs.get(row['contract_id'], 'an unknown contract')} "
        + (f"in {month_name(row['t0'])}" if by_month else f"on {day_name(row['t0'])}")
        for row in rows
    ]
