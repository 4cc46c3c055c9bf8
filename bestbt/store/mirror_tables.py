"""The tables of rows that people query in SQL, in both of their layouts.

hypertables   where TimescaleDB is installed in the database: compressed, continuous aggregates
partitions    elsewhere: a partition a month with a BRIN index, materialised views

Names and columns are the same in both, and do not change: queries of other people hang on them.

options_data, futures_data, equity_data   contract_id, time, price, volume, oi
index_data                                contract_id, time, price
options_15m, options_1d, …                contract_id, time, open, high, low, close, volume, oi
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, text

from bestbt.errors import UsageError
from bestbt.store.reading import month_name
from bestbt.store.schema import KINDS, Kind
from bestbt.units import Ns

__all__ = ["LAYOUTS", "TABLES", "Hypertables", "Layout", "Month", "Partitions", "RowTable", "do"]

_QUARTER = "15 minutes"  # every time zone is whole quarters from UTC, so these need none


@dataclass(frozen=True, slots=True)
class RowTable:
    """The table of one kind of contract, and its two summaries."""

    kind: Kind

    @property
    def stem(self) -> str:
        """What its names begin with: `options`."""
        return self.kind.segments.name.removesuffix("_segment")

    @property
    def name(self) -> str:
        """`options_data`."""
        return f"{self.stem}_data"

    @property
    def summaries(self) -> tuple[str, str]:
        """By quarters of an hour and by days; the second is made from the first."""
        return f"{self.stem}_15m", f"{self.stem}_1d"

    @property
    def traded(self) -> bool:
        """Whether it has volume and open interest."""
        return "volume" in self.kind.blobs

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""
        return ("contract_id", "time", "price", *(("volume", "oi") if self.traded else ()))

    @property
    def ddl(self) -> str:
        """The statement that makes it, to its closing bracket."""
        more = ", volume bigint, oi bigint" if self.traded else ""
        return (
            f"CREATE TABLE {self.name} (contract_id integer NOT NULL, "
            f"time timestamptz NOT NULL, price double precision NOT NULL{more})"
        )


TABLES = tuple(RowTable(kind) for kind in KINDS.values())


class Layout(Protocol):
    """How the rows are kept; *months* are pairs of their key and the times they go from and to."""

    name: str

    def make(self, connection: Connection, table: RowTable, tz: str) -> None:
        """Make a table and its summaries, empty."""

    def admit(self, connection: Connection, table: RowTable, month: Month) -> None:
        """Make ready for rows of a month, in the transaction that writes them."""

    def settle(self, connection: Connection, table: RowTable, months: Sequence[Month]) -> Steps:
        """Bring the summaries up to date, outside of a transaction; say what is being done."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the exchange: its key in segments, and the times it begins and ends, ISO."""

    t0: Ns
    begin: str
    end: str


Steps = Iterator[str]


class Partitions:
    """Plain PostgreSQL."""

    name = "partitions"

    def make(self, connection: Connection, table: RowTable, tz: str) -> None:
        """Make a partitioned table and its views; a partition comes with its month."""
        version = connection.execute(text("SHOW server_version_num")).scalar_one()
        if int(version) < 140000:
            raise UsageError(
                f"The server is PostgreSQL {int(version) // 10000}, and rows for SQL need 14; "
                "use a newer server, or TimescaleDB."
            )
        do(connection, f"{table.ddl} PARTITION BY RANGE (time)")
        do(
            connection,  # rows come by contract: both columns are nearly in order on the disk
            f"CREATE INDEX {table.name}_brin ON {table.name} USING brin (contract_id, time) "
            "WITH (pages_per_range = 32, autosummarize = on)",
        )
        buckets = (
            f"date_bin('{_QUARTER}', time, '2000-01-01 00:00+00')",
            f"date_trunc('day', time, '{tz}')",
        )
        first, last = (f"(array_agg({{}} ORDER BY time{order}))[1]" for order in ("", " DESC"))
        for name, asked in _summaries(table, buckets, first, last):
            do(connection, f"CREATE MATERIALIZED VIEW {name} AS {asked} WITH DATA")
            do(connection, f"CREATE UNIQUE INDEX {name}_key ON {name} (contract_id, time)")

    def admit(self, connection: Connection, table: RowTable, month: Month) -> None:
        """Make the month's partition, if it is not there."""
        name = f"{table.name}_{month_name(month.t0).replace('-', '_')}"
        do(
            connection,
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table.name} "
            f"FOR VALUES FROM ('{month.begin}') TO ('{month.end}')",
        )

    def settle(self, connection: Connection, table: RowTable, months: Sequence[Month]) -> Steps:
        """Index new pages, tell the planner of them, and compute the views anew."""
        yield "index"
        do(
            connection,
            "SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i "
            "JOIN pg_inherits h ON h.inhrelid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid "
            f"JOIN pg_am a ON a.oid = c.relam WHERE h.inhparent = '{table.name}'::regclass "
            "AND a.amname = 'brin'",
        )
        do(connection, f"ANALYZE {table.name}")
        for name in table.summaries:
            yield name
            do(connection, f"REFRESH MATERIALIZED VIEW {name}")
            do(connection, f"ANALYZE {name}")


class Hypertables:
    """TimescaleDB, its community edition."""

    name = "hypertables"

    def make(self, connection: Connection, table: RowTable, tz: str) -> None:
        """Make a compressed hypertable and its continuous aggregates."""
        do(connection, table.ddl)
        do(
            connection,
            f"SELECT create_hypertable('{table.name}', 'time', "
            "chunk_time_interval => interval '1 month', create_default_indexes => false)",
        )
        do(
            connection,
            f"ALTER TABLE {table.name} SET (timescaledb.compress, timescaledb.compress_segmentby "
            "= 'contract_id', timescaledb.compress_orderby = 'time')",
        )
        buckets = f"time_bucket('{_QUARTER}', time)", f"time_bucket('1 day', time, '{tz}')"
        for name, asked in _summaries(table, buckets, "first({}, time)", "last({}, time)"):
            do(
                connection,
                f"CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, "
                f"timescaledb.materialized_only = true) AS {asked} WITH NO DATA",
            )

    def admit(self, connection: Connection, table: RowTable, month: Month) -> None:
        """Let rows be compressed as they come, and compressed ones be replaced.

        Older versions lack some of these settings; what is not compressed here is in `settle`.
        """
        for name, value in (
            ("enable_direct_compress_copy", "on"),
            ("enable_direct_compress_copy_client_sorted", "on"),  # by contract, then by time
            ("max_tuples_decompressed_per_dml_transaction", "0"),  # no limit
        ):
            connection.execute(
                text("SELECT set_config(name, :value, true) FROM pg_settings WHERE name = :name"),
                {"name": f"timescaledb.{name}", "value": value},
            )

    def settle(self, connection: Connection, table: RowTable, months: Sequence[Month]) -> Steps:
        """Compress what is not, and bring the aggregates up to date, a month at a time."""
        yield "compressing"
        chunks = connection.execute(text(f"SELECT show_chunks('{table.name}')::text")).scalars()
        for chunk in chunks.all():
            for _ in range(2):  # the second time puts in order what the first merged
                do(connection, f"SELECT compress_chunk('{chunk}', true)")
        do(connection, f"ANALYZE {table.name}")
        asked = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        version = str(connection.execute(text(asked)).scalar_one()).split(".")
        # from 2.28 on a window is cut into ten buckets a transaction, unless told otherwise
        whole = """, options => '{"buckets_per_batch": 0}'"""
        more = whole if (int(version[0]), int(version[1])) >= (2, 28) else ""
        for name in table.summaries:
            for month in months:
                yield f"{name} {month_name(month.t0)}"
                window = f"'{month.begin}', '{month.end}'"
                do(connection, f"CALL refresh_continuous_aggregate('{name}', {window}{more})")
            # months whose last rows have gone
            do(connection, f"CALL refresh_continuous_aggregate('{name}', NULL, NULL{more})")


LAYOUTS: dict[str, Layout] = {each.name: each for each in (Hypertables(), Partitions())}


def _summaries(
    table: RowTable, buckets: tuple[str, str], first: str, last: str
) -> Iterator[tuple[str, str]]:
    """Yield the names of a table's summaries and the questions that they answer.

    Quarters of an hour are made of rows, four times their price; days are made of the quarters.
    """
    sources = (table.name, ["price"] * 4), (table.summaries[0], ["open", "high", "low", "close"])
    for name, bucket, (source, prices) in zip(table.summaries, buckets, sources, strict=True):
        opened, high, low, close = prices
        columns = [
            f"{first.format(opened)} AS open",
            f"max({high}) AS high",
            f"min({low}) AS low",
            f"{last.format(close)} AS close",
        ]
        if table.traded:
            columns += ["sum(volume)::bigint AS volume", f"{last.format('oi')} AS oi"]
        yield (
            name,
            f"SELECT contract_id, {bucket} AS time, {', '.join(columns)} "
            f"FROM {source} GROUP BY 1, 2",
        )


def do(connection: Connection, statement: str) -> None:
    """Run a statement that has no parameters."""
    connection.exec_driver_sql(statement)
