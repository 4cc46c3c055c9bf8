"""A bit that flips where prices are kept: named, refused, found by `verify`; the rest is sound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from bestbt import Backtest, Strategy, at
from bestbt.cli import main
from bestbt.engine.ports import ContractSpec
from bestbt.errors import StoreCorrupt
from bestbt.markets.demo import write_demo
from bestbt.store.dialects import connect, locate
from bestbt.store.schema import BLOBS, KINDS, TICK_BLOBS, Base
from bestbt.store.store import Store
from bestbt.units import SECOND
from tests.faults.content import content
from tests.postgres import Databases

DAY = date(2024, 1, 3)
CALL = "NIFTY 2024-01-04 21700 CE"
PUT = "NIFTY 2024-01-04 21700 PE"
SEED = 7


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a day of the demo market, with ticks of two options."""
    address = str(tmp_path_factory.mktemp("demo") / "demo.sqlite")
    store = Store.open(address)
    write_demo(store, "NIFTY", DAY, DAY)
    opens = store.market.sessions(date(2024, 1, 2), date(2024, 1, 2))[0].open
    times = opens + np.arange(500) * SECOND
    price = np.random.default_rng(SEED).integers(1000, 2000, 500)
    with store.importing("ticks") as tx:
        for right in ("CE", "PE"):
            spec = ContractSpec("option", "NIFTY", date(2024, 1, 4), 21700.0, right, lot=50)
            tx.write_ticks(spec, times, price, price, price, price, price)
    store.close()
    return address


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, demo: str) -> Iterator[str]:
    """Return its address on every database; who damages it mends it."""
    if request.param == "sqlite":
        yield demo
        return
    databases: Databases = request.getfixturevalue("databases")
    address = databases.new()
    store = Store.open(demo)
    store.copy_to(address, progress=False)
    store.close()
    yield address
    databases.drop(address)


def flip(address: str, table: str, column: str, chance: float) -> int:
    """Flip one bit of the call's blob, of which its checksum knows nothing; return which."""
    engine = connect(locate(address))
    kept, contracts = Base.metadata.tables[table], KINDS["option"].contracts
    terms = {"strike_price": 21700.0, "option_type": "CE", "expiration_date": date(2024, 1, 4)}
    whose = select(contracts.c.contract_id).filter_by(**terms).scalar_subquery()
    with engine.begin() as connection:
        blob: bytes = connection.execute(
            select(kept.c[column]).where(kept.c.contract_id == whose)
        ).scalar_one()
        bit = int(8 * len(blob) * chance)
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        change = update(kept).where(kept.c.contract_id == whose)
        connection.execute(change.values({column: bytes(flipped)}))
    engine.dispose()
    return bit


class One(Strategy):
    """It trades one contract."""

    name = CALL

    @at("10:00")
    def enter(self) -> None:
        self.sell(self.contract(self.name), lots=1)


@pytest.mark.parametrize(
    ("table", "column"),
    [("options_segment", name) for name in BLOBS if name not in ("bid", "ask")]
    + [("options_ticks", name) for name in TICK_BLOBS],
)
def test_it_is_named_and_refused_and_the_rest_is_sound(
    stored: str, table: str, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(f"{SEED} {table} {column}").random()
    bit = flip(stored, table, column, chance)
    where = f"seed {SEED}: bit {bit} of {table}.{column}"
    ticks = table == "options_ticks"
    name = f"{CALL} {'on 2024-01-02' if ticks else 'in 2024-01'} are damaged: `{column}`"
    store = Store.open(stored)
    with pytest.raises(StoreCorrupt, match=name):
        store.prices(CALL, bar=None if ticks else "1min")
    assert len(store.prices(PUT, DAY, DAY)) > 350, where
    assert len(store.prices(PUT, bar=None)) == 500, where
    assert len(store.prices("NIFTY")) == 375
    if column == "points":
        assert Backtest(One, store, "NIFTY", params={"name": PUT}).run().state == "finished"
        with pytest.raises(StoreCorrupt, match=name):
            Backtest(One, store, "NIFTY").run()
    store.close()
    assert main(["store", "verify", stored]) == 1, where
    told = capsys.readouterr()
    (line,) = told.out.splitlines()
    assert name in line, where
    assert "segments were read; damaged: 1." in told.err
    assert flip(stored, table, column, chance) == bit  # back
    assert main(["store", "verify", stored]) == 0, where
    assert "every price is as it was stored" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["points", "live"])
def test_a_damaged_month_is_made_anew_when_its_file_is_imported_again(
    either: str, tmp_path: Path, column: str
) -> None:
    file = tmp_path / "in.csv"
    rows = ("NIFTY,2024-01-03 09:15,1,4,1,3", "NIFTY,2024-01-03 09:16,3,4,1,3")
    file.write_text("\n".join(["symbol,datetime,open,high,low,close", *rows, ""]))
    store = Store.open(either)
    store.import_file(file, progress=False)
    sound = content(store)["index_segment"]
    segments = KINDS["index"].segments
    with store.engine.begin() as connection:
        connection.execute(update(segments).values({column: b"no prices"}))
    more = tmp_path / "more.csv"
    more.write_text(file.read_text().replace("09:16", "09:17"))
    with pytest.raises(StoreCorrupt, match="import that month again, with again=True"):
        store.import_file(more, progress=False)  # it would hide what is lost
    assert len(store.imports()) == 1
    report = store.import_file(file, again=True, progress=False)
    assert "NIFTY in 2024-01 was damaged; it is made of this import alone now" in report.remarks
    assert content(store)["index_segment"] == sound
    assert store.verify(progress=False).damage == ()
    store.close()
