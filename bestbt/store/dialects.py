"""The only file that knows one database from another: addresses, pragmas, upserts, its errors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from platformdirs import user_data_dir
from sqlalchemy import URL, Connection, Engine, ExceptionContext, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql import Executable

from bestbt.errors import BestbtError, StoreCorrupt, UsageError

__all__ = ["connect", "default_path", "locate", "upsert", "writing"]

_PRAGMAS = (
    "journal_mode=wal",  # others read while one writes
    "synchronous=normal",
    "foreign_keys=on",
    "busy_timeout=10000",
    f"mmap_size={8 << 30}",
)
_WRITING = "bestbt_writing"


def default_path() -> Path:
    """Return the file that is used when nobody names another."""
    return Path(user_data_dir("bestbt", appauthor=False)) / "bestbt.sqlite"


def locate(url_or_path: str | os.PathLike[str] | None) -> URL:
    """Return the address of a store.

    A path or `sqlite:///path` is a SQLite file; None is what the variable `BESTBT_STORE` says,
    else `default_path()`.

    >>> locate("sqlite:///prices.sqlite").database
    'prices.sqlite'
    """
    text = os.fspath(url_or_path or os.environ.get("BESTBT_STORE") or default_path())
    if "\0" in text:
        raise UsageError("The address of a store cannot hold a NUL character.")
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).expanduser()))
    try:
        url = make_url(text)
    except ArgumentError:
        raise UsageError(
            f"{text!r} is no address of a store; give a path or sqlite:///path."
        ) from None
    name = url.get_backend_name()
    if name in ("postgresql", "postgres", "timescaledb"):
        raise UsageError(
            "A PostgreSQL server was asked for as the store; the server store is not in this "
            "version. Give a path, or nothing for the file in your data folder."
        )
    if name != "sqlite":
        raise UsageError(f"A {name!r} store was asked for; give a path or sqlite:///path.")
    if url.database in (None, "", ":memory:"):
        raise UsageError("A store is a file; give a path or sqlite:///path.")
    return url


def connect(url: URL) -> Engine:
    """Return an engine for an address, its folder made, with errors that say what to do."""
    path = Path(url.database or "")
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder; a store is a file, such as {path / 'bestbt.sqlite'}."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"No store can be made at {path}: {error.strerror}. Set BESTBT_STORE to a path "
            "that you can write to."
        ) from None
    engine = create_engine(url)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _on_error)
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that read before they write: they take turns."""
    return engine.execution_options(**{_WRITING: True})


def upsert(table: Table, columns: Iterable[str]) -> Executable:
    """Return a statement that adds rows, or replaces these columns of rows with the same key."""
    statement = sqlite.insert(table)
    keys = [c.name for c in table.primary_key]
    new = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


def _on_connect(connection: Any, record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own comes too late
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _on_error(context: ExceptionContext) -> None:
    text = str(context.original_exception)
    where = context.engine.url.database if context.engine else "the store"
    error: BestbtError | None = None
    if "not a database" in text:
        error = UsageError(f"{where} is no store: it is not a SQLite file. Give another path.")
    elif "malformed" in text:
        error = StoreCorrupt(f"{where} is damaged ({text}). Put back a copy, or import again.")
    elif "disk is full" in text:
        error = UsageError(f"The disk that holds {where} is full; what was stored before is kept.")
    elif "locked" in text or "busy" in text:
        error = UsageError(f"{where} is being written by another process; try again when it ends.")
    elif "readonly" in text or "unable to open" in text:
        error = UsageError(f"{where} cannot be opened for writing ({text}); give another path.")
    if error is not None:
        raise error from context.original_exception
