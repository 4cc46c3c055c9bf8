"""A store moved to another database is the same store; a damaged one is told, and not moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event, select, text, update

from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.errors import Interrupted, StoreCorrupt, UsageError
from bestbt.store import copying
from bestbt.store.dialects import connect, locate
from bestbt.store.run_writer import pack_curve
from bestbt.store.schema import KINDS
from bestbt.store.store import Store
from bestbt.units import SECOND
from tests.store.test_feed import FAR, PUT, WEEK, points
from tests.store.test_segments import fill

CALL = "NIFTY 2024-03-28 22000 CE"
MARCH_ONLY = KINDS["option"].segments.c.step > SECOND  # the bars of `fill`
MARCH = ("2024-03-01", "2024-03-28")
CURVE = (np.array([60, 120]), np.array([10_000, 9_990]))
ORDER = {
    "id": 3, "time": 1, "symbol": "a 'quoted\"; -- name", "side": "buy", "type": "market",
    "qty": 50, "price": None, "trigger": 0.1, "tif": "day", "status": "filled", "reason": "",
    "group": None, "tag": "é",
}  # fmt: skip


def whole(store: Store) -> None:
    """Give a store something in every kind of table."""
    fill(store)
    with store.importing("more", sha256="ab" * 32) as tx:
        tx.close("NIFTY", pd.Timestamp("2024-03-01").date(), 2233875, "by hand")
        seconds = WEEK.starts[0] + SECOND * np.array([0, 1, 5])
        tx.write(PUT, seconds, points(3), np.full(3, 50), step=SECOND)
        times = WEEK.starts[[5, 5, 7]]
        tx.write_ticks(FAR, times, np.array([5, 7, 9]), np.array([50, 100, 50]))
        tx.write_ticks(ContractSpec("index", "NIFTY"), times, np.array([5, 7, 9]))
    for name in ("one", "two"):
        assert save(store, name) > 0


def save(store: Store, name: str) -> int:
    """Store a run with a row in each of its tables."""
    record = {"name": name, "source": f"class A: {name!r}", "parameters": {name: "25%"}}
    record |= {"options": {"symbols": ["NIFTY"], "capital": 1e6}, "fingerprint": "f" * 64}
    ended = {"state": "finished", "hash": "h" * 64, "stats": {"net": 0.1 + 0.2, "none": None}}
    line = {"time": 1, "kind": "note", "text": name, "values": {"a": [1, None, "é"]}}
    post = {"time": 1, "account": "premium", "symbol": "NIFTY", "amount": 1.5, "cash": -0.1}
    pieces = {
        "orders": (0, pd.DataFrame([ORDER])),
        "log": (0, pd.DataFrame([line])),
        "ledger": (0, pd.DataFrame([{**post, "fill": None}])),
    }
    return store.run_writer(record).write(ended | {"curve": pack_curve(*CURVE)}, pieces)


def content(store: Store) -> list[Any]:
    """Everything that can be asked of a store, in plain values."""
    imports, runs, kept = store.imports(), store.runs(), store.open_run("two")
    return [
        store.fingerprint(["NIFTY"], *MARCH),
        store.coverage().to_dict("records"),
        imports.drop(columns="report").to_dict("records"),
        [report.to_json() for report in imports["report"]],
        repr(runs.to_dict("records")),
        [repr(getattr(kept, name).to_dict("records")) for name in ("orders", "log", "ledger")],
        [kept.source, kept.hash, kept.options, kept.equity.to_dict()],
        store.closes("NIFTY").to_dict(),
        store.prices(CALL).to_dict("records"),
        store.prices(str(FAR), bar=None).to_dict("records"),
    ]


@pytest.fixture
def full(store: Store) -> Store:
    whole(store)
    return store


@pytest.fixture
def other(full: Store, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty store of the other database."""
    if full.engine.dialect.name == "postgresql":
        return str(tmp_path / "copy.sqlite")
    address: str = request.getfixturevalue("on_server")
    return address


def broken_off(store: Store, address: str, when: Callable[[int, str], bool]) -> None:
    def tell(done: int, total: int, text: str) -> None:
        if when(done, text):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.copy_to(address, progress=tell)


def test_a_copy_is_the_same_store(full: Store, other: str) -> None:
    seen: list[tuple[int, int]] = []
    rows = full.copy_to(other, progress=lambda done, total, text: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (rows, rows)
    moved = Store.open(other)
    assert content(moved) == content(full)
    assert moved.verify(progress=False).damage == ()
    number = save(moved, "three")  # new rows are numbered after those that came
    assert number == 3
    with moved.importing("even more") as tx:
        tx.close("BANKNIFTY", pd.Timestamp("2024-03-01").date(), 4728745, "by hand")
    assert len(moved.imports()) == 3
    moved.close()


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_copy_that_was_broken_off_goes_on(
    full: Store, other: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PAGE", "_LINES"):
        monkeypatch.setattr(copying, name, 1)
    broken_off(full, other, lambda done, text: done == after)
    with pytest.raises(UsageError, match="run the same `bestbt store copy` again"):
        Store.open(other)
    told: list[int] = []
    total = full.copy_to(other, progress=lambda done, total, text: told.append(done))
    assert told[0] > after  # what is there is not sent again
    assert told[-1] == total
    moved = Store.open(other)
    assert content(moved) == content(full)
    moved.close()


def test_a_copy_that_is_interrupted_says_that_it_goes_on(full: Store, other: str) -> None:
    def interrupt(done: int, total: int, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"what arrived stays; copy again, and it goes on"):
        full.copy_to(other, progress=interrupt)
    full.copy_to(other, progress=False)


def test_a_copy_begins_anew_when_its_source_has_changed(full: Store, other: str) -> None:
    broken_off(full, other, lambda done, text: text.startswith("comparing"))
    fill(full)
    told: list[int] = []
    full.copy_to(other, progress=lambda done, total, text: told.append(done))
    assert told[0] < told[-1]
    moved = Store.open(other)
    assert content(moved) == content(full)
    moved.close()


def test_a_copy_that_arrived_otherwise_is_refused(full: Store, other: str) -> None:
    broken_off(full, other, lambda done, text: text.startswith("comparing"))
    half = Store(connect(locate(other)))
    table = KINDS["option"].segments
    with half.engine.begin() as connection:
        stored: bytes = connection.execute(select(table.c.points).where(MARCH_ONLY)).scalar_one()
        flipped = bytes([stored[0] ^ 1]) + stored[1:]
        connection.execute(update(table).where(MARCH_ONLY).values(points=flipped))
    half.close()
    with pytest.raises(StoreCorrupt, match=r"`options_segment` is not what was sent"):
        full.copy_to(other, progress=False)
    with pytest.raises(UsageError, match="broken off"):
        Store.open(other)


def test_damage_is_not_copied(full: Store, other: str) -> None:
    flip(full, "points")
    with pytest.raises(StoreCorrupt, match=f"{CALL} in 2024-03.*`points`"):
        full.copy_to(other, progress=False)


def test_a_store_with_data_is_no_place_for_a_copy(full: Store, other: str) -> None:
    there = Store.open(other)
    fill(there)
    before = there.fingerprint(["NIFTY"], *MARCH)
    with pytest.raises(UsageError, match="holds data already"):
        full.copy_to(other, progress=False)
    assert there.fingerprint(["NIFTY"], *MARCH) == before
    there.close()


def flip(store: Store, column: str) -> None:
    table = KINDS["option"].segments
    with store.engine.begin() as connection:
        stored: bytes = connection.execute(select(table.c[column]).where(MARCH_ONLY)).scalar_one()
        at = len(stored) // 2
        flipped = stored[:at] + bytes([stored[at] ^ 16]) + stored[at + 1 :]
        connection.execute(update(table).where(MARCH_ONLY).values({column: flipped}))


@pytest.mark.parametrize("column", ["points", "live", "spans", "oi", "ask"])
def test_verify_names_what_is_damaged_and_the_rest_can_be_used(full: Store, column: str) -> None:
    assert full.verify(progress=False).damage == ()
    flip(full, column)
    found = full.verify(progress=False)
    assert found.segments == 5
    (line,) = found.damage
    assert f"{CALL} in 2024-03" in line
    assert f"`{column}`" in line
    with pytest.raises(StoreCorrupt, match=column):
        full.prices(CALL)
    assert len(full.prices("NIFTY"))


@pytest.mark.parametrize("asset", ["option", "index"])
@pytest.mark.parametrize("column", ["price", "times", "digest", "last"])
def test_verify_reads_ticks_too(full: Store, asset: AssetType, column: str) -> None:
    table = KINDS[asset].ticks
    with full.engine.begin() as connection:
        stored = connection.execute(select(table.c[column])).scalar_one()
        other = stored[:-1] + bytes([stored[-1] ^ 1]) if isinstance(stored, bytes) else None
        other = other or ("0" * 32 if isinstance(stored, str) else stored + 1)
        connection.execute(update(table).values({column: other}))
    (line,) = full.verify(progress=False).damage
    assert "on 2024-02-01" in line
    assert ("NIFTY 2024-02-29 21000 PE" if asset == "option" else "ticks of NIFTY on") in line


@pytest.mark.parametrize(
    ("column", "value"), [("digest", "0" * 32), ("live_bars", 5), ("points_crc", 7), ("bars", 9)]
)
def test_verify_finds_what_does_not_fit(full: Store, column: str, value: object) -> None:
    with full.engine.begin() as connection:
        connection.execute(
            update(KINDS["option"].segments).where(MARCH_ONLY).values({column: value})
        )
    assert len(full.verify(progress=False).damage) == 1


def test_verify_finds_a_file_whose_pages_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "prices.sqlite"
    store = Store.open(path)
    whole(store)
    with store.engine.connect() as connection:
        asked = "SELECT rootpage FROM sqlite_master WHERE name = 'imports'"
        page = connection.execute(text(asked)).scalar_one()
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
    store.close()
    raw = bytearray(path.read_bytes())
    raw[(page - 1) * size : page * size] = bytes(size)
    path.write_bytes(raw)
    store = Store.open(path)
    found = store.verify(progress=False)
    assert found.segments == 5
    assert found.damage
    store.close()


def test_blobs_come_from_a_server_in_binary(full: Store) -> None:
    """As text they would be twice as long, and decoding them would take longer than the rest."""
    formats: list[int] = []

    def note(conn: Any, cursor: Any, *rest: Any) -> None:
        if full.engine.dialect.name == "postgresql":
            formats.append(cursor.pgresult.fformat(0))

    event.listen(full.engine, "after_cursor_execute", note)
    full.prices(CALL)
    assert set(formats) == ({1} if full.engine.dialect.name == "postgresql" else set())
