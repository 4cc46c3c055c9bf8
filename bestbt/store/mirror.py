"""Rows for people who query in SQL: `bestbt store mirror`, on a PostgreSQL server.

    segments ──digest not the one mirrored──> a batch: old rows out, new rows in, digest noted
                                                 └──> when all are written: summaries refreshed

Each live bar is four rows, in the order of its price path; what bestbt itself reads are the
segments, never these. A batch is a transaction, so that a mirror that is broken off goes on where
it was. Only one process mirrors a store at a time; imports and runs go on beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.dialects import copy_in, is_made, reading, shown, upsert
from bestbt.store.mirror_tables import LAYOUTS, TABLES, Layout, Month, RowTable, do
from bestbt.store.reading import month_name, spec_of
from bestbt.store.segments import Bars, unpack
from bestbt.store.sessions import Calendar
from bestbt.store.versions import note, noted
from bestbt.units import MINUTE, POINTS, SECOND, Ns

__all__ = ["Mirrored", "drop_mirror", "mirror", "point_times"]

_ROWS = 500_000  # in a batch, about: 30 MB of memory, and half a second lost by a kill
_PATIENCE = "10s"  # how long another mirror is waited for
_TURN = 0x62657374_62740002  # the key of the lock of the one that mirrors
_EPOCH = 946_684_800 * SECOND  # PostgreSQL counts from 2000
_LENGTH = "bytes of "
_NULL = -1  # the length of a field that is not there
_LAYOUT = "mirror"  # the fact about a store that says how its rows are kept
_STALE = "mirror stale {}"  # … that a table's summaries are older than its rows

_MIRRORED = Table(  # not in `schema.py`: a store on a file has none
    "mirrored_segment",
    MetaData(),
    Column("asset", String(10), primary_key=True),
    Column("contract_id", Integer, primary_key=True, autoincrement=False),
    Column("t0", BigInteger, primary_key=True),
    Column("digest", String(32), nullable=False),
)

_I64 = npt.NDArray[np.int64]
Tell = Callable[[int, int, str], object]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What was written: how rows are kept, segments, rows; segments that went; damaged ones."""

    layout: str
    segments: int
    rows: int
    removed: int
    damage: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not (self.segments or self.removed or self.damage):
            return f"The rows ({self.layout}) are up to date."
        said = f"{self.rows:,} rows of {self.segments:,} segments were written ({self.layout})"
        said += f", those of {self.removed:,} taken away" if self.removed else ""
        return said + (f"; damaged: {len(self.damage):,}." if self.damage else ".")


def point_times(starts: _I64, ends: _I64) -> tuple[_I64, ...]:
    """Return when the four prices of bars stand in their rows.

    At the start of a bar, a third and two thirds of it, and in its last second; in its last
    microsecond where it is of three seconds or less.

    >>> times = point_times(np.array([0]), np.array([60 * 10**9]))
    >>> [int(time[0]) // 10**9 for time in times]
    [0, 20, 40, 59]
    """
    length = ends - starts
    last = ends - np.where(length > 3 * SECOND, SECOND, 1000)
    return starts, starts + length // 3, starts + 2 * length // 3, last


# --- the whole of it ---------------------------------------------------------------------------


def mirror(engine: Engine, calendar: Calendar, tell: Tell) -> Mirrored:
    """Write the rows of all segments that changed since the last time, and take away old ones.

    Parameters
    ----------
    engine
        Of a store on a PostgreSQL server.
    calendar
        The market's sessions: a bar ends when trading does, and days are the market's.
    tell
        Called with ``(done, total, text)``, in segments.

    Raises
    ------
    UsageError
        On SQLite, beside another mirror, or over tables of somebody else.
    """
    tz = calendar.market.tz
    with _alone(engine) as apart:
        layout = _made(engine, tz)
        work = [(table, *_work(apart, table)) for table in TABLES]
        total = sum(len(new) + len(gone) for _, new, gone in work)
        done = written = rows = removed = 0
        damage: list[str] = []
        for table, new, gone in work:
            for month, batch in _batches(gone, tz):
                _remove(engine, layout, table, month, batch)
                done, removed = done + len(batch), removed + len(batch)
                tell(done, total, f"{table.name} {month_name(month.t0)}")
            for month, batch in _batches(new, tz):
                found, added = _write(engine, layout, table, month, batch, calendar)
                damage += found
                done, rows = done + len(batch), rows + added
                written += len(batch) - len(found)
                tell(done, total, f"{table.name} {month_name(month.t0)}")
        for table in TABLES:
            if noted(apart, _STALE.format(table.stem)):
                for step in layout.settle(apart, table, _months(apart, table, tz)):
                    tell(done, total, f"{table.name}: {step}")
                note(apart, _STALE.format(table.stem), None)
    return Mirrored(layout.name, written, rows, removed, tuple(damage))


def drop_mirror(engine: Engine) -> bool:
    """Take all rows and their summaries away; return whether there were any."""
    with _alone(engine), engine.begin() as connection:
        if noted(connection, _LAYOUT) is None:
            return False
        try:
            for table in TABLES:
                for name in reversed(table.summaries):
                    do(connection, f"DROP MATERIALIZED VIEW IF EXISTS {name}")
                do(connection, f"DROP TABLE IF EXISTS {table.name}")
                note(connection, _STALE.format(table.stem), None)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "2BP01":
                raise
            said = str(error.orig).splitlines()[:2]
            raise UsageError(
                f"The rows are still used: {' '.join(said)}; drop that first."
            ) from None
        _MIRRORED.drop(connection, checkfirst=True)
        note(connection, _LAYOUT, None)
    return True


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Give a connection outside of transactions, which holds the lock of those who mirror."""
    where = shown(engine.url)
    if engine.dialect.name != "postgresql":
        raise UsageError(
            f"{where} is a file, and rows for SQL are kept on a PostgreSQL server: run `bestbt "
            f"store copy {where} postgresql://USER@HOST/DATABASE`, then mirror that store."
        )
    with reading(engine).connect() as connection:
        do(connection, f"SET lock_timeout = '{_PATIENCE}'")
        try:
            do(connection, f"SELECT pg_advisory_lock({_TURN})")
        finally:
            do(connection, "RESET lock_timeout")
        try:
            yield connection
        finally:
            if not connection.invalidated:  # a server that went away has let go of it
                do(connection, f"SELECT pg_advisory_unlock({_TURN})")


# --- tables ------------------------------------------------------------------------------------


def _made(engine: Engine, tz: str) -> Layout:
    """Return how the rows are kept; the tables are made if there are none."""
    names = [name for table in TABLES for name in (table.name, *table.summaries)]
    names.append(_MIRRORED.name)
    where = shown(engine.url)
    with engine.begin() as connection:
        there = [n for n in names if is_made(connection, n)]
        known = noted(connection, _LAYOUT)
        if known is not None:
            if known not in LAYOUTS or there != names:
                raise UsageError(
                    f"The rows of {where} are not all there, or another version made them: run "
                    "`bestbt store mirror --drop` and mirror again."
                )
            return LAYOUTS[known]
        if there:
            raise UsageError(
                f"{where} has tables of somebody else under the names of the mirror "
                f"({', '.join(there)}); rename them, or use another database."
            )
        layout = LAYOUTS["hypertables" if _has_timescale(connection) else "partitions"]
        for table in TABLES:
            layout.make(connection, table, tz)
        _MIRRORED.create(connection)
        note(connection, _LAYOUT, layout.name)
        return layout


def _has_timescale(connection: Connection) -> bool:
    """Whether TimescaleDB is installed in the database, in the edition that compresses."""
    asked = text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
    if connection.execute(asked).scalar() is None:
        return False
    return str(connection.execute(text("SHOW timescaledb.license")).scalar()) == "timescale"


# --- what is to be done ------------------------------------------------------------------------


def _work(connection: Connection, table: RowTable) -> tuple[list[Row[Any]], list[Row[Any]]]:
    """Return the segments that are to be written, and the mirrored ones that are no more."""
    own, segments = _MIRRORED.c, table.kind.segments.c
    same = and_(
        own.asset == table.kind.asset,
        own.contract_id == segments.contract_id,
        own.t0 == segments.t0,
    )
    new = (
        select(segments.contract_id, segments.t0, segments.live_bars)
        .outerjoin_from(table.kind.segments, _MIRRORED, same)
        .where(own.digest.is_distinct_from(segments.digest))
        .order_by(segments.t0, segments.contract_id)
    )
    gone = (
        select(own.contract_id, own.t0, func.coalesce(segments.live_bars, 0).label("live_bars"))
        .outerjoin_from(_MIRRORED, table.kind.segments, same)
        .where(own.asset == table.kind.asset, segments.t0.is_(None))
        .order_by(own.t0, own.contract_id)
    )
    return [*connection.execute(new)], [*connection.execute(gone)]


def _batches(work: Sequence[Row[Any]], tz: str) -> Iterator[tuple[Month, list[int]]]:
    """Give contracts of one month, some at a time."""
    for t0, rows in groupby(work, key=lambda row: int(row.t0)):
        batch: list[int] = []
        size = 0
        for row in rows:
            batch.append(int(row.contract_id))
            size += POINTS * int(row.live_bars)
            if size >= _ROWS:
                yield _month(t0, tz), batch
                batch, size = [], 0
        if batch:
            yield _month(t0, tz), batch


def _months(connection: Connection, table: RowTable, tz: str) -> list[Month]:
    asked = select(_MIRRORED.c.t0).where(_MIRRORED.c.asset == table.kind.asset).distinct()
    found = connection.execute(asked.order_by(_MIRRORED.c.t0)).scalars()
    return [_month(int(t0), tz) for t0 in found]


@lru_cache
def _month(t0: Ns, tz: str) -> Month:
    """Return a month of the exchange by the key of its segments.

    >>> _month(1709251200000000000, "Asia/Kolkata").begin
    '2024-03-01T00:00:00+05:30'
    """
    first = datetime.fromtimestamp(t0 // SECOND, UTC).replace(tzinfo=ZoneInfo(tz))
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Month(t0, first.isoformat(), after.isoformat())


# --- rows --------------------------------------------------------------------------------------


def _write(
    engine: Engine,
    layout: Layout,
    table: RowTable,
    month: Month,
    contracts: list[int],
    calendar: Calendar,
) -> tuple[list[str], int]:
    """Write a month of some contracts in one transaction; return what is damaged, and the rows.

    The segments are read in that transaction: what is noted is what was written, whatever is
    imported meanwhile. A damaged one keeps the rows it had.
    """
    damage: list[str] = []
    blocks: list[bytes] = []
    notes: list[dict[str, Any]] = []
    rows = 0
    with engine.begin() as connection:
        layout.admit(connection, table, month)
        for row, spec in _segments(connection, table, month, contracts):
            try:
                segment = unpack(row, f"{spec} in {month_name(month.t0)}")
            except StoreCorrupt as error:
                damage.append(str(error))
                continue
            bars = segment.bars()
            ends = bar_ends(bars.starts, segment.step, _grid(calendar, table, month, segment.step))
            blocks.append(encode(row["contract_id"], bars, ends, spec.scale, table.traded))
            rows += POINTS * len(bars)
            key = {"asset": table.kind.asset, "contract_id": row["contract_id"], "t0": month.t0}
            notes.append({**key, "digest": row["digest"]})
        if notes:
            _delete(connection, table, month, [n["contract_id"] for n in notes])
            copy_in(connection, table.name, table.columns, blocks)
            connection.execute(upsert(connection, _MIRRORED, notes[0]), notes)
    return damage, rows


def _segments(
    connection: Connection, table: RowTable, month: Month, contracts: list[int]
) -> Iterator[tuple[Mapping[str, Any], ContractSpec]]:
    """Give the rows of segments in the order of their contracts, each with its contract."""
    terms, segments = table.kind.contracts, table.kind.segments
    asked = select(terms).where(terms.c.contract_id.in_(contracts))
    specs = {
        row["contract_id"]: spec_of(table.kind.asset, dict(row))
        for row in connection.execute(asked).mappings()
    }
    asked = select(segments).where(segments.c.t0 == month.t0, segments.c.contract_id.in_(contracts))
    for row in connection.execute(asked.order_by(segments.c.contract_id)).mappings():
        yield dict(row), specs[row["contract_id"]]


def _remove(
    engine: Engine, layout: Layout, table: RowTable, month: Month, contracts: list[int]
) -> None:
    with engine.begin() as connection:
        layout.admit(connection, table, month)
        _delete(connection, table, month, contracts)


def _delete(connection: Connection, table: RowTable, month: Month, contracts: list[int]) -> None:
    """Take the rows of a month of some contracts away where there are any, and their notes."""
    own = _MIRRORED.c
    noted_there = delete(_MIRRORED).where(
        own.asset == table.kind.asset, own.t0 == month.t0, own.contract_id.in_(contracts)
    )
    there = [*connection.execute(noted_there.returning(own.contract_id)).scalars()]
    if there:
        connection.execute(
            text(
                f"DELETE FROM {table.name} WHERE contract_id = ANY(:contracts) "
                f"AND time >= '{month.begin}' AND time < '{month.end}'"
            ),
            {"contracts": there},
        )
    note(connection, _STALE.format(table.stem), "yes")


@lru_cache(maxsize=8)
def _grid(calendar: Calendar, table: RowTable, month: Month, step: Ns) -> Grid:
    """Return all bars of a month that the market has."""
    number = int(np.datetime64(month.t0, "ns").astype("datetime64[M]").astype(np.int64))
    sessions, _ = calendar.month(table.kind.hours, number)
    return Grid(sessions, step, calendar.market.tz)


def bar_ends(starts: _I64, step: Ns, grid: Grid) -> _I64:
    """Return when bars end: a step later, or when trading does.

    What starts on no bar that the session tables have now is a minute long at most.
    """
    at = np.minimum(np.searchsorted(grid.starts, starts), max(grid.n - 1, 0))
    if not grid.n:
        return starts + min(step, MINUTE)
    return np.where(grid.starts[at] == starts, grid.ends[at], starts + min(step, MINUTE))


def encode(contract_id: int, bars: Bars, ends: _I64, scale: int, traded: bool) -> bytes:
    """Return bars as rows in PostgreSQL's binary form, four a bar.

    What was traded in a bar, and its open interest, are known at its end: they stand in its last
    row, and the other three have none.
    """
    volume, oi = (bars.volume, bars.oi) if traded else (None, None)
    form = _bar_form(traded, volume is not None, oi is not None)
    made = np.zeros(len(bars), dtype=form)
    points = bars.points.reshape(-1, POINTS) / scale
    for at, times in enumerate(point_times(bars.starts, ends)):
        row = made[f"row{at}"]
        there: Mapping[str, Any] = row.dtype.fields or {}
        for name in there:
            if name.startswith(_LENGTH):
                own = name.removeprefix(_LENGTH)
                row[name] = there[own][0].itemsize if own in there else _NULL
        row["fields"] = 5 if traded else 3
        row["contract_id"] = contract_id
        row["time"] = (times - _EPOCH) // 1000
        row["price"] = points[:, at]
    if volume is not None:
        made["row3"]["volume"] = volume
    if oi is not None:
        made["row3"]["oi"] = oi
    return made.tobytes()


@lru_cache
def _bar_form(traded: bool, volume: bool, oi: bool) -> np.dtype[np.void]:
    """Return the four rows of a bar as one record; each field has its length before it."""
    there = {"contract_id": ">i4", "time": ">i8", "price": ">f8"}
    last = there | ({"volume": ">i8"} if volume else {}) | ({"oi": ">i8"} if oi else {})
    names = (*there, *(("volume", "oi") if traded else ()))

    def row(columns: Mapping[str, str]) -> np.dtype[np.void]:
        fields = [("fields", ">i2")]
        for name in names:
            fields.append((_LENGTH + name, ">i4"))
            if name in columns:
                fields.append((name, columns[name]))
        return np.dtype(fields)

    return np.dtype([(f"row{at}", row(there)) for at in range(POINTS - 1)] + [("row3", row(last))])
