"""Rows for SQL are the stored bars, in four rows each, whatever was imported, killed or damaged.

The server is PostgreSQL without TimescaleDB; the same tests hold on one with it, named by
`BESTBT_TEST_PG`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event, text, update

from bestbt import cli
from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.errors import StoreUnreachable, UsageError
from bestbt.markets.india import INDIA
from bestbt.store import mirror as mirror_module
from bestbt.store.mirror_tables import TABLES, Partitions
from bestbt.store.schema import KINDS, Base
from bestbt.store.store import Store
from bestbt.units import DAY, MINUTE, SECOND, Ns
from tests.postgres import Server
from tests.store.row_market import CHAIN, EVERYTHING, FUTURE, INDEX, SHARE, write

NAMES = [n for table in TABLES for n in (table.name, *table.summaries)]


def ask(store: Store, query: str, **values: Any) -> pd.DataFrame:
    with store.engine.connect() as connection:
        return pd.read_sql(text(query), connection, params=values)


def rows_of(store: Store, table: str, contract_id: int) -> pd.DataFrame:
    return ask(store, f"SELECT * FROM {table} WHERE contract_id = {contract_id} ORDER BY time")


def content(store: Store) -> list[Any]:
    """Every row of every table and summary."""
    with store.engine.connect() as connection:
        asked = (text(f"SELECT * FROM {name} ORDER BY 1, 2") for name in NAMES)
        return [[tuple(row) for row in connection.execute(each)] for each in asked]


def stored(store: Store, spec: ContractSpec) -> Any:
    """Return a contract's number and its bars, as the engine is given them."""
    found = store._reader.contract(spec)
    assert found is not None
    assert found.first is not None
    assert found.last is not None
    return found.id, [s.bars() for s in store._reader.segments(found, found.first, found.last)]


def check(store: Store) -> None:
    """Hold every row against the bars, a point at a time."""
    for table in TABLES:
        specs = [spec for spec in EVERYTHING if spec.asset == table.kind.asset]
        count = 0
        for spec in specs:
            number, months = stored(store, spec)
            found = rows_of(store, table.name, number)
            expected = []
            for bars in months:
                for i, start in enumerate(bars.starts.tolist()):
                    for at, second in enumerate((0, 20, 40, 59)):
                        time = pd.Timestamp(start + second * SECOND, tz="UTC")
                        row = [number, time, int(bars.points[4 * i + at]) / 100]
                        if table.traded:
                            ends = at == 3
                            row += [int(bars.volume[i]) if ends else None]
                            row += [int(bars.oi[i]) if ends else None]
                        expected.append(tuple(row))
            there = [
                tuple(None if pd.isna(value) else value for value in row)
                for row in found.itertuples(index=False)
            ]
            assert there == expected
            count += len(expected)
        assert ask(store, f"SELECT count(*) AS n FROM {table.name}")["n"].item() == count


# --- what the rows are -------------------------------------------------------------------------


def test_each_live_bar_is_four_rows_in_path_order(march: Store) -> None:
    done = march.mirror(progress=False)
    bars = sum(r["rows"] for r in march.coverage().to_dict("records"))
    assert (done.segments, done.rows, done.removed) == (len(EVERYTHING), 4 * bars, 0)
    assert done.layout in ("partitions", "hypertables")
    check(march)


def test_rows_are_what_prices_say(march: Store) -> None:
    march.mirror(progress=False)
    name = "NIFTY 2024-03-28 22000 CE"
    prices = march.prices(name)
    number, _ = stored(march, CHAIN[2])
    rows = rows_of(march, "options_data", number)
    bars = rows.groupby(rows["time"].dt.floor("min"))
    assert bars["price"].first().tolist() == prices["open"].tolist()
    assert bars["price"].max().tolist() == prices["high"].tolist()
    assert bars["price"].min().tolist() == prices["low"].tolist()
    assert bars["price"].last().tolist() == prices["close"].tolist()
    local = pd.DatetimeIndex(prices.index)
    assert bars["price"].first().index.equals(local.tz_convert("UTC").as_unit("us"))
    by_day = rows.groupby(rows["time"].dt.tz_convert("Asia/Kolkata").dt.date)["volume"].sum()
    assert by_day.tolist() == prices["volume"].groupby(local.date).sum().tolist()


@pytest.mark.parametrize(("rule", "which"), [("15min", 0), ("1D", 1)])
def test_summaries_are_those_of_the_rows(march: Store, rule: str, which: int) -> None:
    march.mirror(progress=False)
    for spec in (INDEX, FUTURE, SHARE, CHAIN[0]):
        table = next(t for t in TABLES if t.kind.asset == spec.asset)
        number, _ = stored(march, spec)
        rows = rows_of(march, table.name, number)
        rows["time"] = rows["time"].dt.tz_convert("Asia/Kolkata")
        groups = rows.groupby(rows["time"].dt.floor(rule))
        expected = groups["price"].ohlc()
        if table.traded:
            expected["volume"] = groups["volume"].sum().astype(np.int64)
            expected["oi"] = groups["oi"].last().astype(np.int64)
        found = rows_of(march, table.summaries[which], number)
        assert found["time"].dt.tz_convert("Asia/Kolkata").tolist() == expected.index.tolist()
        assert list(found.columns) == ["contract_id", "time", *expected.columns]
        for name in expected:
            assert found[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize("step", [SECOND, 5 * MINUTE, 60 * MINUTE, DAY])
def test_bars_of_other_lengths(server_store: Store, step: Ns) -> None:
    write(server_store, [INDEX], date(2024, 3, 1), date(2024, 3, 1), step=step, alive=1)
    server_store.mirror(progress=False)
    number, (bars,) = stored(server_store, INDEX)
    rows = rows_of(server_store, "index_data", number)
    times = rows["time"].dt.as_unit("ns").astype("int64").to_numpy()
    assert np.all(np.diff(times) > 0)
    for start, points in zip(bars.starts.tolist(), times.reshape(-1, 4).tolist(), strict=True):
        closes = pd.Timestamp("2024-03-01 15:30", tz="Asia/Kolkata").value
        long = min(step, closes - start)  # the last bar ends when trading does
        last = 1000 if step == SECOND else SECOND
        expected = [0, long // 3, 2 * long // 3, long - last]
        assert [point - start for point in points] == [at // 1000 * 1000 for at in expected]
    assert rows["price"].tolist() == (bars.points / 100).tolist()


def test_bars_without_volume_have_none(server_store: Store) -> None:
    grid = Grid(INDIA.sessions(date(2024, 3, 1), date(2024, 3, 1)), MINUTE)
    with server_store.importing("prices alone") as tx:
        tx.write(FUTURE, grid.starts[:2], np.arange(1, 9, dtype=np.int32))
        tx.write(SHARE, grid.starts[:2], np.arange(1, 9, dtype=np.int32), oi=np.array([3, 0]))
    server_store.mirror(progress=False)
    futures = ask(server_store, "SELECT volume, oi FROM futures_data")
    assert futures.isna().to_numpy().all()
    shares = ask(server_store, "SELECT volume, oi FROM equity_data ORDER BY time")
    assert shares["volume"].isna().all()
    assert shares["oi"].dropna().tolist() == [3, 0]


# --- a little at a time ------------------------------------------------------------------------


def test_again_nothing_is_written(march: Store) -> None:
    march.mirror(progress=False)
    before = content(march)
    done = march.mirror(progress=False)
    assert (done.segments, done.rows, done.removed) == (0, 0, 0)
    assert "up to date" in str(done)
    assert content(march) == before


def test_another_file_adds_only_its_months(march: Store) -> None:
    march.mirror(progress=False)
    write(march, [INDEX, FUTURE], date(2024, 4, 1), date(2024, 4, 2), seed=2)
    done = march.mirror(progress=False)
    assert done.segments == 2
    _, (_, index) = stored(march, INDEX)
    _, (_, future) = stored(march, FUTURE)
    assert done.rows == 4 * (len(index) + len(future))
    check(march)


def test_a_month_that_changed_is_replaced(march: Store) -> None:
    march.mirror(progress=False)
    write(march, CHAIN[:2], date(2024, 3, 2), date(2024, 3, 4), seed=3)
    done = march.mirror(progress=False)
    assert done.segments == 2
    check(march)
    fresh = content(march)
    march.drop_mirror()
    march.mirror(progress=False)
    assert content(march) == fresh


def test_what_is_no_longer_stored_goes(march: Store) -> None:
    march.mirror(progress=False)
    with march.engine.begin() as connection:
        for kind in KINDS.values():
            connection.execute(kind.segments.delete())
    done = march.mirror(progress=False)
    assert (done.segments, done.removed) == (0, len(EVERYTHING))
    assert content(march) == [[]] * len(NAMES)


def test_progress_counts_segments(march: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_ROWS", 1)
    told: list[tuple[int, int]] = []
    march.mirror(progress=lambda done, total, text: told.append((done, total)))
    assert [t for t, _ in told] == sorted(t for t, _ in told)
    assert {total for _, total in told} == {len(EVERYTHING)}
    assert {done for done, _ in told} == set(range(1, len(EVERYTHING) + 1))


# --- broken off --------------------------------------------------------------------------------

# Mirrors, a contract a batch, and stops where it is told until it is told to go on.
MIRRORER = """
import sys
from bestbt.store import mirror
from bestbt.store.store import Store

mirror._ROWS = 1

def tell(done, total, text):
    if str(done) == sys.argv[2] or text.startswith(sys.argv[2]):
        print("there", flush=True)
        sys.stdin.readline()

Store.open(sys.argv[1]).mirror(progress=tell)
"""


@pytest.mark.parametrize("where", ["1", "9", "options_data: options_15m"])
def test_a_mirror_that_is_killed_goes_on(march: Store, on_server: str, where: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", MIRRORER, on_server, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    write(march, [SHARE], date(2024, 4, 1), date(2024, 4, 1), seed=4)  # imports do not wait for it
    process.send_signal(signal.SIGKILL)
    process.communicate()
    march.mirror(progress=False)
    check(march)
    fresh = content(march)
    march.drop_mirror()
    march.mirror(progress=False)
    assert content(march) == fresh


def test_only_one_mirrors_at_a_time(march: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_PATIENCE", "10ms")
    other = Store.open(march.engine.url.render_as_string(hide_password=False))
    refused: list[str] = []

    def tell(done: int, total: int, text: str) -> None:
        with pytest.raises(UsageError) as error:
            other.mirror(progress=False)
        refused.append(str(error.value))

    march.mirror(progress=tell)
    assert "by another process" in refused[0]
    other.mirror(progress=False)
    other.close()
    check(march)


def test_a_server_that_goes_away_is_one_line_and_the_rest_comes_later() -> None:
    server = Server()
    address = server.url.render_as_string(hide_password=False)
    store = Store.open(address)
    write(store, EVERYTHING, date(2024, 3, 1), date(2024, 3, 2))

    def tell(done: int, total: int, text: str) -> None:
        server.stop(signal.SIGQUIT)

    with pytest.raises(StoreUnreachable) as error:
        store.mirror(progress=tell)
    assert "\n" not in str(error.value)
    assert server.password not in str(error.value)
    server.start()
    store.mirror(progress=False)
    check(store)
    store.close()
    server.remove()


# --- what stands in the way --------------------------------------------------------------------


def test_a_damaged_segment_is_named_and_the_others_are_mirrored(
    march: Store, capsys: pytest.CaptureFixture[str], on_server: str
) -> None:
    number, _ = stored(march, CHAIN[2])
    table = KINDS["option"].segments
    with march.engine.begin() as connection:
        connection.execute(update(table).where(table.c.contract_id == number).values(points_crc=7))
    assert cli.main(["store", "mirror", on_server]) == 1
    said = capsys.readouterr()
    assert "NIFTY 2024-03-28 22000 CE in 2024-03" in said.out
    assert "damaged: 1" in said.err
    assert rows_of(march, "options_data", number).empty
    assert ask(march, "SELECT count(DISTINCT contract_id) AS n FROM options_data")["n"].item() == 5
    write(march, CHAIN[:1], date(2024, 3, 5), date(2024, 3, 5))  # the damaged one is tried again
    done = march.mirror(progress=False)
    assert (done.segments, len(done.damage)) == (1, 1)


def test_a_file_is_told_how_to_move(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "prices.sqlite"
    Store.open(path).close()
    assert cli.main(["store", "mirror", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"bestbt store copy {path} postgresql://" in said
    assert cli.main(["store", "mirror", str(tmp_path / "none.sqlite")]) == 1
    assert "There is no store" in capsys.readouterr().err


def test_a_server_that_is_too_old_for_rows_is_refused(server_store: Store) -> None:
    old = Partitions()
    with server_store.engine.connect() as connection:

        @event.listens_for(connection, "before_cursor_execute", retval=True)
        def older(_c: Any, _k: Any, statement: str, values: Any, *_: Any) -> tuple[str, Any]:
            return statement.replace("SHOW server_version_num", "SELECT '130018'"), values

        with pytest.raises(UsageError, match="is PostgreSQL 13, and rows for SQL need 14"):
            old.make(connection, TABLES[0], "Asia/Kolkata")


def test_tables_of_somebody_else_are_left_alone(march: Store) -> None:
    with march.engine.begin() as connection:
        connection.execute(text("CREATE TABLE options_data (mine integer)"))
    with pytest.raises(UsageError, match=r"somebody else .*\(options_data\)"):
        march.mirror(progress=False)
    assert not march.drop_mirror()
    assert ask(march, "SELECT * FROM options_data").columns.tolist() == ["mine"]
    with march.engine.begin() as connection:
        connection.execute(text("DROP TABLE options_data"))


def test_the_rows_can_be_taken_away(
    march: Store, capsys: pytest.CaptureFixture[str], on_server: str
) -> None:
    def tables() -> set[str]:
        return set(
            ask(march, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")["tablename"]
        )

    before = tables()
    for said in ("segments were written", "up to date"):
        assert cli.main(["store", "mirror", on_server]) == 0
        assert said in capsys.readouterr().out
    with march.engine.begin() as connection:
        connection.execute(text("CREATE VIEW mine AS SELECT * FROM index_data"))
    assert cli.main(["store", "mirror", "--drop", on_server]) == 1
    assert "view mine depends on" in capsys.readouterr().err
    check(march)
    with march.engine.begin() as connection:
        connection.execute(text("DROP VIEW mine"))
    assert cli.main(["store", "mirror", "--drop", on_server]) == 0
    assert tables() == before == {table.name for table in Base.metadata.sorted_tables}
    assert cli.main(["store", "mirror", "--drop", on_server]) == 0
    assert "no rows" in capsys.readouterr().out


def test_a_table_that_somebody_dropped_is_told(march: Store) -> None:
    march.mirror(progress=False)
    with march.engine.begin() as connection:
        connection.execute(text("DROP MATERIALIZED VIEW futures_1d"))
    with pytest.raises(UsageError, match="--drop"):
        march.mirror(progress=False)
    march.drop_mirror()
    march.mirror(progress=False)
    check(march)
