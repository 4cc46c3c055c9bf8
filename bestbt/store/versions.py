"""Which tables a database has: made where there are none, looked at before they are used.

nothing ──> made, version VERSION
older   ──> refused: `bestbt store migrate` brings it up
newer   ──> refused: a newer bestbt made it
a copy that has not ended ──> refused: `bestbt store copy` goes on with it
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import Connection, Engine, delete, inspect, select

from bestbt.errors import UsageError
from bestbt.store.dialects import (
    connect,
    create,
    is_made,
    is_missing,
    locate,
    shown,
    upsert,
    writing,
)
from bestbt.store.schema import VERSION, Base, StoreInfo

__all__ = ["UNFINISHED", "existing", "is_store", "look", "make", "note", "noted", "version_of"]

UNFINISHED = "unfinished copy"  # the fact that stands in a store while it is copied into

_INFO: Any = StoreInfo.__table__


def is_store(connection: Connection) -> bool:
    """Whether the database has a store's tables."""
    return is_made(connection, StoreInfo.__tablename__)


def existing(address: str | os.PathLike[str] | None) -> Engine:
    """Return the engine of a store that is there, of any version; none is made."""
    url = locate(address)
    engine = None if is_missing(url) else connect(url)
    if engine is not None:
        with engine.connect() as connection:
            if is_store(connection):
                return engine
        engine.dispose()
    raise UsageError(f"There is no store at {shown(url)}; correct the address.")


def make(engine: Engine) -> None:
    """Make the tables where there are none."""
    with engine.connect() as connection:
        if is_store(connection):
            return
    with writing(engine).begin() as connection:
        if is_store(connection):  # another process was quicker
            return
        taken = set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
        if taken:
            raise UsageError(
                f"{shown(engine.url)} is no store, but has tables of the same names "
                f"({', '.join(sorted(taken))}); use a database of its own."
            )
        create(connection, Base.metadata)
        note(connection, "version", str(VERSION))


def look(engine: Engine, *, to_fill: bool = False) -> None:
    """Refuse a store whose tables are not those of this version, or whose copy has not ended.

    *to_fill* lets one pass that a copy was broken off to.
    """
    where = shown(engine.url)
    with engine.connect() as connection:
        found = version_of(connection)
        unfinished = noted(connection, UNFINISHED)
    if found is None or found > VERSION:
        raise UsageError(
            f"{where} has tables of version {found}; this bestbt reads version {VERSION}. Use the "
            "bestbt that made it, or another store."
        )
    if found < VERSION:
        raise UsageError(
            f"{where} has tables of version {found}, and this bestbt reads version {VERSION}: run "
            f"`bestbt store migrate {where}` once (stop other notebooks that use it)."
        )
    if unfinished is not None and not to_fill:
        raise UsageError(
            f"{where} is a copy that was broken off: run the same `bestbt store copy` again, and "
            "it goes on."
        )


def version_of(connection: Connection) -> int | None:
    """Return the version of a store's tables; None if it says none."""
    found = noted(connection, "version")
    return int(found) if found is not None and found.isdecimal() else None


def noted(connection: Connection, name: str) -> str | None:
    """Return a fact about the store."""
    return connection.execute(select(_INFO.c.value).where(_INFO.c.name == name)).scalar()


def note(connection: Connection, name: str, value: str | None) -> None:
    """Keep a fact about the store; None takes it away."""
    if value is None:
        connection.execute(delete(_INFO).where(_INFO.c.name == name))
        return
    row = {"name": name, "value": value}
    connection.execute(upsert(connection, _INFO, row), row)
