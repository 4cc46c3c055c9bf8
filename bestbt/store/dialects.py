"""The only file that knows one database from another.

    locate ──> connect ──> read (waits for a server that has gone), writing (writers take turns)

SQLite is a file, PostgreSQL a server. Both hold the same tables and segments; addresses, pragmas,
upserts, locks and the errors of each are here. No message holds a password: an address is
written by `shown`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_dir
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    LargeBinary,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql import Executable

from bestbt.errors import BestbtError, StoreCorrupt, StoreUnreachable, UsageError, without_secrets

__all__ = [
    "connect",
    "copy_in",
    "create",
    "default_path",
    "integrity",
    "is_made",
    "is_missing",
    "locate",
    "number_on",
    "read",
    "reading",
    "shown",
    "snapshot",
    "tune",
    "upsert",
    "writing",
]

T = TypeVar("T")

_PRAGMAS = (
    "journal_mode=wal",  # others read while one writes
    "synchronous=normal",
    "foreign_keys=on",
    "busy_timeout=10000",
    f"mmap_size={8 << 30}",
)
_WRITING = "bestbt_writing"
_TURN = 0x62657374_62740001  # the key of the lock that writers of one database take turns by
_PATIENCE = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)  # s between tries to read: half a minute
_GONE = ("57P01", "57P02", "57P03", "57P05")  # the server ends, or begins, or ends the session
_ADDRESS = "give a path, sqlite:///path or postgresql://USER@HOST/DATABASE"


# --- addresses ---------------------------------------------------------------------------------


def default_path() -> Path:
    """Return the file that is used when nobody names another."""
    return Path(user_data_dir("bestbt", appauthor=False)) / "bestbt.sqlite"


def locate(url_or_path: str | os.PathLike[str] | None) -> URL:
    """Return the address of a store.

    A path or `sqlite:///path` is a SQLite file, `postgresql://…` a database of a server; None is
    what the variable `BESTBT_STORE` says, else `default_path()`.

    >>> locate("sqlite:///prices.sqlite").database
    'prices.sqlite'
    >>> shown(locate("postgresql://me:secret@server/prices"))
    'postgresql://me@server/prices'
    """
    given = os.fspath(url_or_path or os.environ.get("BESTBT_STORE") or default_path())
    if "\0" in given:
        raise UsageError("The address of a store cannot hold a NUL character.")
    if "://" not in given:
        if re.match(r"(sqlite|postgres(ql)?)(\+\w+)?:", given):
            raise UsageError(f"{without_secrets(given)!r} lacks the // after the colon.")
        return URL.create("sqlite", database=str(Path(given).expanduser()))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = None  # what is raised here would have the password in its context
    if url is None:
        raise UsageError(f"{without_secrets(given)!r} is no address of a store; {_ADDRESS}.")
    if url.get_backend_name() in ("postgresql", "postgres"):
        return _server_address(url)
    if url.get_backend_name() != "sqlite":
        raise UsageError(f"A {url.get_backend_name()!r} store was asked for; {_ADDRESS}.")
    if url.database in (None, "", ":memory:"):
        raise UsageError("A store is a file; give a path or sqlite:///path.")
    return url


def _server_address(url: URL) -> URL:
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise UsageError(f"{url.drivername}:// was asked for; write postgresql://.")
    secret = url.query.get("password")
    if isinstance(secret, str):  # where no `repr` shows it
        url = url.difference_update_query(["password"]).set(password=secret)
    if not (url.database or url.query.get("dbname") or url.query.get("service")):
        raise UsageError(f"{shown(url)} names no database; write {shown(url)}/DATABASE.")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return an address as it may be shown: a file's path, or a server's URL without password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or ""
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    database = url.database or url.query.get("dbname") or url.query.get("service") or ""
    return f"postgresql://{user}{host}{port}" + (f"/{database}" if database else "")


# --- connections -------------------------------------------------------------------------------


def connect(url: URL) -> Engine:
    """Return an engine for an address, with errors that say what to do; a file's folder is made."""
    return _server(url) if url.get_backend_name() == "postgresql" else _file(url)


def is_missing(url: URL) -> bool:
    """Whether an address names a file that is not there."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


def reading(engine: Engine) -> Engine:
    """Return the engine for single questions: a server is spared BEGIN and ROLLBACK around each."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine


def snapshot(engine: Engine) -> Engine:
    """Return the engine for transactions that see the store as it was at their first question."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that read before they write: they take turns."""
    return engine.execution_options(**{_WRITING: True})


def read(engine: Engine, ask: Callable[[Connection], T], *, patient: bool = True) -> T:
    """Return what *ask* returns for a connection; a server that has gone is waited for.

    A server that is started anew is away for seconds, and a run of an hour should outlive that.
    """
    for wait in _PATIENCE if patient else ():
        try:
            with engine.connect() as connection:
                return ask(connection)
        except StoreUnreachable:
            time.sleep(wait)
    with engine.connect() as connection:
        return ask(connection)


# --- a file ------------------------------------------------------------------------------------


def _file(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        if path.is_dir():
            raise UsageError(
                f"{path} is a folder; a store is a file, such as {path / 'bestbt.sqlite'}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        name = str(path) if len(str(path)) < 300 else f"{str(path)[:60]}…"
        raise UsageError(
            f"No store can be made at {name}: {error.strerror}. Set BESTBT_STORE to a path "
            "that you can write to."
        ) from None
    engine = create_engine(url, hide_parameters=True)  # a message has no use for blobs
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _on_file_error)
    return engine


def _on_connect(connection: Any, record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own comes too late
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _on_file_error(context: ExceptionContext) -> None:
    said = str(context.original_exception)
    where = context.engine.url.database if context.engine else "the store"
    error: BestbtError | None = None
    if "not a database" in said:
        error = UsageError(f"{where} is no store: it is not a SQLite file. Give another path.")
    elif "malformed" in said:
        error = StoreCorrupt(f"{where} is damaged ({said}). Put back a copy, or import again.")
    elif "disk is full" in said:
        error = UsageError(
            f"The disk that holds {where} is full; what was stored before is kept. Make room and "
            "try again."
        )
    elif "disk I/O error" in said:
        error = UsageError(
            f"The disk that holds {where} refuses to be read or written: a quota, a limit on the "
            "size of files, or a disk that fails. Nothing of this was stored; mend that and try "
            "again."
        )
    elif "locked" in said or "busy" in said:
        error = UsageError(f"{where} is being written by another process; try again when it ends.")
    elif "readonly" in said or "unable to open" in said:
        error = UsageError(f"{where} cannot be opened for writing ({said}); give another path.")
    if error is not None:
        raise error from context.original_exception


# --- a server ----------------------------------------------------------------------------------


def _server(url: URL) -> Engine:
    import psycopg  # only for those who have a server

    def binary(*given: Any, **more: Any) -> psycopg.Cursor[Any]:
        cursor = psycopg.Cursor(*given, **more)
        cursor.format = psycopg.pq.Format.BINARY  # as text a blob is twice as long, and in hex
        return cursor

    def reach(dialect: object, record: object, given: Any, options: Any) -> Any:
        try:
            return psycopg.connect(*given, **options)
        except psycopg.Error as error:
            said = str(error)
        raise _not_reached(url, said)  # here, so that no chained exception knows the address

    wanted = {"connect_timeout": 10, "keepalives_idle": 30, "application_name": "bestbt"}
    options = {name: value for name, value in wanted.items() if name not in url.query}
    engine = create_engine(
        url,
        connect_args={**options, "cursor_factory": binary},
        hide_parameters=True,
        pool_pre_ping=True,  # connections to a server that was started anew are made anew
        use_native_hstore=False,
    )
    event.listen(engine, "do_connect", reach)
    event.listen(engine, "begin", _take_turn)
    event.listen(engine, "handle_error", _on_server_error)
    return engine


def _take_turn(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING):
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")


def _not_reached(url: URL, said: str) -> UsageError:
    """Return what to tell of a connection that could not be made."""
    where = shown(url)
    found = re.findall(r"failed: (?:FATAL: *)?(?!connection to)(.*)", said)
    reason = (found[-1] if found else said.strip().partition("\n")[0]).rstrip(".")
    if url.password and str(url.password) in reason:
        reason = "its answer is not shown"
    if "password" in said or "authentication failed" in said:
        return UsageError(
            f"{where} was asked for, and the server refuses the user or the password. Correct "
            "the address; a password may also stand in PGPASSWORD or ~/.pgpass."
        )
    if re.search(r'role ".*" does not exist', said):
        return UsageError(
            f"{where} was asked for, and the server knows no such user; `createuser` makes one."
        )
    if re.search(r'database ".*" does not exist', said):
        return UsageError(
            f"{where} was asked for, and the server has no such database. Correct the name, or "
            f"make it: `createdb {url.database}`."
        )
    if "translate host name" in said or "resolve" in said:
        return UsageError(
            f"{where} was asked for, and no machine of that name is known; correct the host."
        )
    if "pg_hba.conf" in said:
        return UsageError(
            f"{where} was asked for, and the server admits no such connection ({reason}); whoever "
            "keeps the server can admit it in pg_hba.conf."
        )
    return StoreUnreachable(
        f"{where} was asked for, and no PostgreSQL answers there ({reason}). Start the server, or "
        "correct host and port."
    )


def _on_server_error(context: ExceptionContext) -> None:
    said = context.original_exception
    state = getattr(said, "sqlstate", None) or ""
    if context.is_pre_ping or context.sqlalchemy_exception is None:
        return  # the pool connects anew; an interrupt is no error of the database
    where = shown(context.engine.url) if context.engine else "the store"
    error = _of_server(where, state, str(said), gone=context.is_disconnect)
    if error is not None:
        raise error from None


def _of_server(where: str, state: str, said: str, *, gone: bool) -> BestbtError | None:
    """Return what to tell of an error of a server; None for what is a fault of ours."""
    if gone or state in _GONE or state.startswith("08"):
        return StoreUnreachable(
            f"{where} went away while it was used. What was being written was not stored; try "
            "again when the server is back."
        )
    if state == "53100":
        return UsageError(
            f"The disk of {where} is full; what was stored before is kept. Make room and try again."
        )
    if state == "55P03":
        return UsageError(f"{where} is being written by another process; try again when it ends.")
    if state in ("42501", "25006"):
        return UsageError(
            f"{where} does not let its user do this ({said.splitlines()[0]}); grant it, or "
            "use another database."
        )
    if state in ("XX001", "XX002"):
        return StoreCorrupt(f"{where} is damaged ({said.splitlines()[0]}). Put back a copy.")
    return None


# --- tables and rows ---------------------------------------------------------------------------


def is_made(connection: Connection, table: str) -> bool:
    """Whether the database has a table."""
    return connection.dialect.has_table(connection, table)


def create(connection: Connection, metadata: MetaData) -> None:
    """Make all tables."""
    metadata.create_all(connection)
    tune(connection, metadata)


def tune(connection: Connection, metadata: MetaData) -> None:
    """Say how tables are kept, where a database can be told. Told again, it changes nothing."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        blobs = [c.name for c in table.columns if isinstance(c.type, LargeBinary)]
        kept = ", ".join(f'ALTER COLUMN "{name}" SET STORAGE EXTERNAL' for name in blobs)
        if kept:  # they are compressed already: another try would cost time only
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" {kept}')


def upsert(connection: Connection, table: Table, columns: Iterable[str]) -> Executable:
    """Return a statement that adds rows, or replaces these columns of rows with the same key."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    keys = [c.name for c in table.primary_key]
    new = {name: statement.excluded[name] for name in columns if name not in keys}
    if not new:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


def copy_in(
    connection: Connection, table: str, columns: Iterable[str], blocks: Iterable[bytes]
) -> None:
    """Add rows that are in PostgreSQL's binary form already: ten times as quick as statements."""
    import psycopg

    raw: Any = connection.connection.driver_connection
    head, end = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for block in (head, *blocks, end):
                copy.write(block)
    except psycopg.Error as error:  # the driver's own: SQLAlchemy has no word for COPY
        state = error.sqlstate or ""
        told = _of_server(shown(connection.engine.url), state, str(error), gone=raw.broken)
        if told is None:
            raise
        raise told from None


def number_on(connection: Connection, metadata: MetaData) -> None:
    """Let new rows be numbered after those there, where rows came with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            newest = connection.execute(select(func.max(column))).scalar()
            sequence = func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            connection.execute(select(func.setval(sequence, newest or 1, newest is not None)))


def integrity(connection: Connection) -> list[str]:
    """Return what the database itself finds wrong with its file; a server checks its own."""
    if connection.dialect.name == "postgresql":
        return []
    found = connection.execute(text("PRAGMA integrity_check(20)")).scalars().all()
    return [str(line) for line in found if line != "ok"]
