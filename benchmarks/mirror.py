"""Segments against rows against hypertables: size, time to write, latency of three questions.

    python benchmarks/mirror.py postgresql://USER@HOST/DATABASE

Two databases of their own are made on the server, and dropped at the end; the second has
TimescaleDB, if the server has it (USER may make databases and extensions). Both hold the demo
market of some months. Latencies are medians of several runs, wall time, after one that is not
counted: of segments up to decoded arrays; of rows up to the last byte in PostgreSQL's binary form,
which the asker has yet to parse; of a question's answer, its rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import create_engine, text

from bestbt.markets.demo import write_demo
from bestbt.store.dialects import locate
from bestbt.store.mirror_tables import TABLES
from bestbt.store.schema import KINDS
from bestbt.store.store import Store

STRADDLE = """
SELECT time, sum(close) FROM options_15m JOIN options_contract USING (contract_id)
WHERE "index" = 'NIFTY' AND expiration_date = '{expiry}' AND strike_price = {strike}
GROUP BY time HAVING count(*) = 2 ORDER BY time
"""
STRADDLE_OF_ROWS = """
WITH last AS (
    SELECT DISTINCT ON (1, 2) date_bin('15 minutes', time, '2000-01-01 00:00+00') AS quarter,
        contract_id, price
    FROM options_data WHERE contract_id IN (
        SELECT contract_id FROM options_contract WHERE "index" = 'NIFTY'
        AND expiration_date = '{expiry}' AND strike_price = {strike})
    ORDER BY 1, 2, time DESC)
SELECT quarter, sum(price) FROM last GROUP BY quarter HAVING count(*) = 2 ORDER BY quarter
"""
TIMES = 9


def milliseconds(job: Callable[[], object]) -> str:
    took = []
    job()
    for _ in range(TIMES):
        began = time.perf_counter()
        job()
        took.append(1e3 * (time.perf_counter() - began))
    return f"{statistics.median(took):,.1f} ms"


class Bench:
    """One database: a store with the demo market in it, mirrored."""

    def __init__(self, address: str, start: date, end: date) -> None:
        self.store = Store.open(address)
        write_demo(self.store, start=start, end=end)
        began = time.perf_counter()
        self.took: dict[str, float] = {}  # s, to the end of the rows and to the end

        def tell(done: int, total: int, said: str) -> None:
            if ": " in said:  # a step after the last row
                self.took.setdefault("rows", time.perf_counter() - began)

        self.done = self.store.mirror(progress=tell)
        self.took["all"] = time.perf_counter() - began
        self.bars = self.done.rows // 4
        reader = self.store._reader
        sizes = reader.counts("option", "NIFTY")
        self.expiry = max(sizes, key=lambda e: (sizes[e], e))
        self.chain = reader.contracts("option", "NIFTY", self.expiry)
        spot = self.store.prices("NIFTY")["close"].iloc[-1]
        self.contract = min(self.chain, key=lambda c: abs((c.spec.strike or 0) - spot))
        self.spans = (min(c.first or 0 for c in self.chain), max(c.last or 0 for c in self.chain))

    def written(self) -> str:
        rows, whole = self.took["rows"], self.took["all"]
        return f"{self.done.rows / rows / 1e6:.2f} M rows/s, then {whole - rows:.1f} s"

    def ask(self, statement: str) -> list[Any]:
        with self.store.engine.connect() as connection:
            return [*connection.execute(text(statement))]

    def copied(self, statement: str) -> int:
        """Return how many bytes the answer has in binary."""
        with self.store.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            with (
                raw.cursor() as cursor,
                cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)") as copy,
            ):
                return sum(len(block) for block in copy)

    def decoded(self, contracts: list[Any]) -> int:
        found = self.store._reader.packed(contracts, *self.spans)
        return sum(len(packed.decode().dense) for own in found.values() for packed in own)

    def size(self, *tables: str) -> float:
        """Return bytes of tables, their partitions or chunks, and their indexes, for each bar."""
        name = (
            "hypertable_size('{}')"
            if self.done.layout == "hypertables"
            else ("(SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{}'))")
        )
        return sum(float(self.ask(f"SELECT {name.format(t)}")[0][0]) for t in tables) / self.bars

    def plain_size(self, *tables: str) -> float:
        asked = (f"SELECT pg_total_relation_size('{t}')" for t in tables)
        return sum(float(self.ask(each)[0][0]) for each in asked) / self.bars

    def rows(self) -> dict[str, str]:
        """Return what was measured of the rows."""
        names = [t.name for t in TABLES]
        summaries = [name for t in TABLES for name in t.summaries]
        of_views = self.size if self.done.layout == "hypertables" else self.plain_size
        own = f"contract_id = {self.contract.id}"
        ids = ", ".join(str(c.id) for c in self.chain)
        which = {"expiry": self.expiry, "strike": self.contract.spec.strike}
        columns = "SELECT contract_id, time, price, volume, oi FROM options_data"
        return {
            "bytes a bar": f"{self.size(*names):.1f} (summaries {of_views(*summaries):.1f})",
            "written": self.written(),
            "one contract": milliseconds(
                lambda: self.copied(f"{columns} WHERE {own} ORDER BY time")
            ),
            "one expiry": milliseconds(
                lambda: self.copied(f"{columns} WHERE contract_id IN ({ids})")
            ),
            "straddle by 15 minutes": (
                f"{milliseconds(lambda: self.ask(STRADDLE.format(**which)))} (from the rows "
                f"{milliseconds(lambda: self.ask(STRADDLE_OF_ROWS.format(**which)))})"
            ),
        }

    def segments(self) -> dict[str, str]:
        """Return what was measured of the segments."""
        tables = [kind.segments.name for kind in KINDS.values()]
        name = f"NIFTY {self.expiry} {self.contract.spec.strike:g}"

        def straddle() -> pd.Series[float]:
            legs = (self.store.prices(f"{name} {right}")["close"] for right in ("CE", "PE"))
            return sum(leg.resample("15min").last() for leg in legs)  # type: ignore[return-value]

        return {
            "bytes a bar": f"{self.plain_size(*tables):.1f}",
            "written": "",
            "one contract": milliseconds(lambda: self.decoded([self.contract])),
            "one expiry": milliseconds(lambda: self.decoded(self.chain)),
            "straddle by 15 minutes": milliseconds(straddle),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", metavar="postgresql://USER@HOST/DATABASE")
    parser.add_argument("--from", dest="start", type=date.fromisoformat, default=date(2024, 2, 1))
    parser.add_argument("--to", dest="end", type=date.fromisoformat, default=date(2024, 2, 29))
    given = parser.parse_args()
    url = locate(given.server)
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:

        def do(statement: str) -> Any:
            found = connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None

        available = "FROM pg_available_extensions WHERE name = 'timescaledb'"
        timescale = do(f"SELECT default_version {available}")
        print(
            f"{date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, PostgreSQL "
            f"{do('SHOW server_version')}, TimescaleDB {timescale or 'none'}"
        )
        columns: dict[str, dict[str, str]] = {}
        for extension in (None, "timescaledb") if timescale else (None,):
            name = f"bestbt_bench_{os.getpid()}"
            do(f'CREATE DATABASE "{name}"')
            own = url.set(database=name)
            try:
                if extension:
                    made = create_engine(own, isolation_level="AUTOCOMMIT")
                    with made.connect() as inside:
                        inside.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
                    made.dispose()
                bench = Bench(own.render_as_string(hide_password=False), given.start, given.end)
                if not columns:
                    print(f"{bench.bars:,} bars, {bench.done.segments:,} segments")
                    bars = bench.decoded(bench.chain)
                    print(
                        f"one expiry: {len(bench.chain)} contracts, {bars:,} bars with stale ones"
                    )
                    columns["segments"] = bench.segments()
                columns[bench.done.layout] = bench.rows()
                bench.store.close()
            finally:
                do(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.dispose()
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for what in columns["segments"]:
        print(f"| {what} | {' | '.join(column[what] for column in columns.values())} |")


if __name__ == "__main__":
    main()
