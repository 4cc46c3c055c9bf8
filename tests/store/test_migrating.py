"""Older stores are brought up to date, on both databases, to what `schema.py` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, delete, inspect, select, text

from bestbt.cli import main
from bestbt.errors import UsageError
from bestbt.store.dialects import connect, locate, writing
from bestbt.store.migrating import migrate, upgrade
from bestbt.store.schema import VERSION, Quarantine, StoreInfo
from bestbt.store.store import Store
from bestbt.store.versions import note, version_of
from tests.postgres import Databases
from tests.store.clean_market import clean, save


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Return what gives addresses of databases without tables."""
    if request.param == "sqlite":
        yield lambda: str(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")
        return
    databases: Databases = request.getfixturevalue("databases")
    made: list[str] = []
    yield lambda: made.append(databases.new()) or made[-1]  # type: ignore[func-returns-value]
    for address in made:
        databases.drop(address)


@pytest.fixture
def nothing(empty: Callable[[], str]) -> str:
    """Return the address of a database without tables."""
    return empty()


def built(address: str, version: int) -> Engine:
    """Make a store of a version by the revisions alone."""
    engine = connect(locate(address))
    with writing(engine).begin() as connection:
        upgrade(connection, 0, version)
    return engine


def anatomy(engine: Engine) -> dict[str, Any]:
    """Everything a database says about its tables, in no order."""
    plain = create_engine(engine.url)
    there = inspect(plain)
    found: dict[str, Any] = {}
    for table in there.get_table_names():
        found[table] = {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], c["default"])
                for c in there.get_columns(table)
            },
            "key": there.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (f["constrained_columns"], f["referred_table"], f["referred_columns"])
                for f in there.get_foreign_keys(table)
            ),
            "unique": sorted(
                sorted(u["column_names"]) for u in there.get_unique_constraints(table)
            ),
            "indexes": sorted((i["name"], i["column_names"]) for i in there.get_indexes(table)),
        }
    if plain.dialect.name == "postgresql":
        asked = "SELECT attrelid::regclass::text, attname, attstorage::text FROM pg_attribute "
        asked += "WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' "
        asked += "AND relnamespace = 'public'::regnamespace)"
        with plain.connect() as connection:
            found["storage"] = {tuple(row) for row in connection.execute(text(asked))}
    plain.dispose()
    return found


def test_the_revisions_make_what_the_schema_says(empty: Callable[[], str]) -> None:
    revised = built(empty(), VERSION)
    store = Store.open(empty())
    made = store.engine
    assert anatomy(revised) == anatomy(made)
    with revised.connect() as connection:
        assert version_of(connection) == VERSION
    if revised.dialect.name == "postgresql":
        assert ("options_segment", "points", "e") in anatomy(revised)["storage"]
    store.close()
    revised.dispose()


def test_an_older_store_says_what_to_do_and_is_brought_up(nothing: str) -> None:
    engine = built(nothing, 1)
    row = {"contract_id": 7, "symbol": "NIFTY", "exchange": "NSE", "lot_size": 1, "tick_size": 5}
    row |= {"price_scale": 100, "first_time": 1, "last_time": 2, "synthetic": False}
    table = inspect_table(engine, "index_contract")
    with writing(engine).begin() as connection:
        connection.execute(table.insert(), row)
    with pytest.raises(UsageError) as refused:
        Store.open(nothing)
    told = str(refused.value)
    assert "\n" not in told
    assert "version 1" in told
    assert "`bestbt store migrate " in told
    assert migrate(engine) == (1, VERSION)
    Store.open(nothing).close()
    with engine.connect() as connection:
        kept = connection.execute(select(table)).mappings().one()
    assert {name: kept[name] for name in row} == row
    before = anatomy(engine)
    assert migrate(engine) == (VERSION, VERSION)  # again: nothing is changed
    assert anatomy(engine) == before
    engine.dispose()


def inspect_table(engine: Engine, name: str) -> Any:
    plain = create_engine(engine.url)
    table = Table(name, MetaData(), autoload_with=plain)
    plain.dispose()
    return table


@pytest.mark.parametrize("version", ["999", "next"])
def test_a_newer_store_is_refused_and_left_alone(address: str, version: str) -> None:
    Store.open(address).close()
    engine = connect(locate(address))
    with writing(engine).begin() as connection:
        note(connection, "version", version)
    with pytest.raises(UsageError, match=f"reads version {VERSION}. Use the bestbt that made it"):
        Store.open(address)
    with pytest.raises(UsageError, match="Use the bestbt that made it"):
        migrate(engine)
    with engine.connect() as connection:
        asked = select(StoreInfo.value).where(StoreInfo.name == "version")
        assert connection.execute(asked).scalar() == version
    engine.dispose()


def test_what_is_no_store_is_not_migrated(nothing: str) -> None:
    engine = connect(locate(nothing))
    with pytest.raises(UsageError, match="There is no store at"):
        migrate(engine)
    assert anatomy(engine).keys() <= {"storage"}
    engine.dispose()


def test_tables_of_somebody_else_are_left_alone(nothing: str) -> None:
    engine = connect(locate(nothing))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (distance INTEGER)"))
    with pytest.raises(UsageError, match=r"is no store, but has tables of the same names \(runs\)"):
        Store.open(nothing)
    engine.dispose()


def test_rows_that_version_1_set_aside_come_back(
    nothing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counted them, and kept none: a file that is imported once more brings them."""
    built(nothing, 1).dispose()
    assert main(["store", "migrate", nothing]) == 0
    assert "is brought from version 1 to 2.\nRows that were set aside" in capsys.readouterr().out
    table = clean(strikes=(22000,))
    sunday = table.assign(time=table["time"] - pd.Timedelta(days=1))
    file = save(pd.concat([sunday, table]), tmp_path / "a.csv")
    with closing(Store.open(nothing)) as store:
        aside = store.import_file(file, progress=False).quarantined["no-session"]
        assert store.import_file(file, progress=False).remarks == []
        with writing(store.engine).begin() as connection:  # as version 1 left it
            connection.execute(delete(Quarantine))
        [remark] = store.import_file(file, progress=False).remarks
        assert remark.startswith(f"{aside:,} of its rows were set aside and are not in quarantine")
        store.import_file(file, again=True, progress=False)
        assert len(store.quarantine()) == aside
        assert store.import_file(file, progress=False).remarks == []
