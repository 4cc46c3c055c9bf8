"""What a store writes comes back as it was: the same segments, terms and closes, by digest."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from bestbt.cli import main
from bestbt.engine.grid import Session
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, DataGap, ImportRefused, Interrupted, UsageError
from bestbt.markets.demo import write_demo
from bestbt.markets.india import INDIA
from bestbt.store.store import Store
from bestbt.units import MINUTE, SECOND

FIRST, LAST = date(2024, 1, 30), date(2024, 2, 2)  # the turn of a month: segments are of months
CALL = "NIFTY 2024-02-01 21600 CE"
CALL_TICKED = "NIFTY 2024-02-29 21600 CE"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(tmp_path_factory.mktemp("demo") / "prices.sqlite")
    write_demo(opened, "NIFTY", FIRST, LAST)
    yield opened
    opened.close()


def same(a: Store, b: Store, symbol: str = "NIFTY") -> bool:
    whole = date(2010, 1, 1), date(2030, 1, 1)
    return a.fingerprint([symbol], *whole) == b.fingerprint([symbol], *whole)


def test_a_symbol_with_its_derivatives_comes_back(
    store: Store, demo: Store, tmp_path: Path
) -> None:
    file = tmp_path / "nifty.parquet"
    count = demo.export("NIFTY", file, progress=False)
    report = store.import_file(file, progress=False)
    closes = len(demo.closes("NIFTY"))
    assert closes == 4
    assert report.format == "bestbt-export Parquet"
    assert report.stored == report.rows == count + closes
    assert report.balanced
    wanted = demo.coverage().set_index(["symbol", "kind"])
    wanted = wanted.drop(index=("INDIAVIX", "index"))
    pd.testing.assert_frame_equal(store.coverage().set_index(["symbol", "kind"]), wanted)
    assert same(store, demo)
    assert store.synthetic("NIFTY")  # what is made up stays so
    again = tmp_path / "again.parquet"
    assert store.export("NIFTY", again, progress=False) == count
    assert again.read_bytes() == file.read_bytes()
    assert store.import_file(again, progress=False).already


def test_every_column_and_order_comes_back(store: Store, tmp_path: Path) -> None:
    """Quotes, missing quotes, months with and without open interest, extremes in either order."""
    one, two = (Store.open(tmp_path / f"{n}.sqlite") for n in "ab")
    sessions: list[Session] = []
    for month in (1, 2):
        sessions += INDIA.sessions(date(2024, month, 3), date(2024, month, 6), "derivatives")
    starts = np.array([s.open + i * MINUTE for s in sessions for i in range(0, 300, 7)])
    n, draw = len(starts), np.random.default_rng(7)
    points = draw.integers(1_000, 9_000, 4 * n).astype(np.int32).reshape(n, 4)
    points[:, 0] = np.clip(points[:, 0], points[:, 1:3].min(axis=1), points[:, 1:3].max(axis=1))
    points[:, 3] = np.clip(points[:, 3], points[:, 1:3].min(axis=1), points[:, 1:3].max(axis=1))
    volume = draw.integers(0, 3, n) * 50  # 0: live by its quote
    bid = np.where(draw.random(n) < 0.2, 0, points[:, 3] - 5).astype(np.int32)
    spec = ContractSpec("option", "NIFTY", date(2024, 2, 29), 21_550.0, "PE", lot=50)
    late = starts >= sessions[-3].open
    for mask, oi in ((~late, None), (late, draw.integers(0, 9, int(late.sum())) * 50)):
        with one.importing("by hand") as tx:
            rest = volume[mask], oi, bid[mask], (bid + 9)[mask]
            tx.write(spec, starts[mask], points[mask].ravel(), *rest)
    with one.importing("slow") as tx:
        tx.write(ContractSpec("future", "NIFTY", date(2024, 2, 29), lot=50), starts[:1], points[0])
        days = np.array([s.open for s in sessions])
        index = ContractSpec("index", "NIFTY")
        tx.write(index, days, points[: len(days)].ravel(), step=15 * MINUTE)
    file = tmp_path / "all.parquet"
    one.export("NIFTY", file, progress=False)
    assert set(pd.read_parquet(file)["bar"]) == {"1min", "15min"}
    two.import_file(file, progress=False)
    assert same(one, two)
    name = "NIFTY 2024-02-29 21550 PE"
    pd.testing.assert_frame_equal(two.prices(name), one.prices(name))
    assert list(one.prices(name)) == ["open", "high", "low", "close", "volume", "oi", "bid", "ask"]
    assert one.prices(name)["bid"].isna().any()
    for opened in (one, two):
        opened.close()


@pytest.fixture
def ticked(tmp_path: Path) -> Iterator[Store]:
    """Bars of an index and its call; ticks of both, of two days and of either kind of volume."""
    opened = Store.open(tmp_path / "ticked.sqlite")
    draw = np.random.default_rng(3)
    index = ContractSpec("index", "NIFTY")
    call, put = (
        ContractSpec("option", "NIFTY", date(2024, 2, 29), 21_600.0, right, lot=50)
        for right in ("CE", "PE")
    )
    days = INDIA.sessions(date(2024, 1, 31), date(2024, 2, 1), "derivatives")
    with opened.importing("by hand") as tx:
        starts = np.array([s.open + i * MINUTE for s in days for i in range(0, 375, 25)])
        for spec in (index, call):
            points = draw.integers(9_000, 9_900, (len(starts), 1)).repeat(4, axis=1)
            tx.write(spec, starts, points.astype(np.int32).ravel(), step=5 * MINUTE)
        for number, day in enumerate(days):
            times = day.open + np.sort(draw.integers(0, 300, 90)) * SECOND  # several at a time
            price = draw.integers(9_000, 9_050, 90) * (np.arange(90) > 4)  # none traded at first
            volume = np.cumsum(draw.integers(0, 2, 90) * 50)
            quotes = price + 9_000, np.where(draw.random(90) < 0.3, 0, price + 9_100)
            tx.write_ticks(index, times, draw.integers(9_000, 9_050, 90))
            for spec in (call, put):
                totals = spec.right == "CE"
                counted = volume if totals else np.diff(volume, prepend=0)
                rest = (None, None, None) if number else (volume, *quotes)
                tx.write_ticks(spec, times, price, counted, *rest, totals=totals)
    yield opened
    opened.close()


def test_ticks_come_back_beside_bars(store: Store, ticked: Store, tmp_path: Path) -> None:
    file = tmp_path / "nifty.parquet"
    count = ticked.export("NIFTY", file, progress=False)
    known = ticked.coverage()
    assert count == known["rows"].sum() == 2 * 30 + 6 * 90
    assert set(known["bar"]) == {"tick", "5min"}
    report = store.import_file(file, progress=False)
    assert (report.rows, report.stored, report.contracts) == (count, count, 3)
    assert report.balanced
    pd.testing.assert_frame_equal(store.coverage(), known)
    assert same(store, ticked)
    for name in ("NIFTY", CALL_TICKED, CALL_TICKED.replace("CE", "PE")):
        wanted = ticked.prices(name, bar=None)
        pd.testing.assert_frame_equal(store.prices(name, bar=None), wanted)
    again = store.import_file(file, again=True, progress=False)
    assert again.noted == {"replaced": 60, "tick-known": 540}
    assert same(store, ticked)


def test_a_row_of_a_tick_can_be_read_by_itself(ticked: Store, tmp_path: Path) -> None:
    file = tmp_path / "call.parquet"
    ticked.export(CALL_TICKED, file, "2024-02-01", "2024-02-01", progress=False)
    frame = pd.read_parquet(file)
    ticks = frame[frame["bar"] == "tick"].set_index("time")
    wanted = ticked.prices(CALL_TICKED, "2024-02-01", "2024-02-01", bar=None)
    assert len(ticks) == len(wanted) == 90
    assert ticks["totals"].all()
    np.testing.assert_array_equal(ticks["close"], wanted["price"])
    assert ticks[["open", "high", "low", "high_first"]].isna().all(axis=None)
    assert ticks["volume"].diff().iloc[1:].tolist() == wanted["volume"].iloc[1:].tolist()
    assert frame["totals"].isna().sum() == len(frame) - 90


def test_longer_bars_are_made_of_ticks_too(store: Store, ticked: Store, tmp_path: Path) -> None:
    """As a run sees them: where there are ticks, in place of stored bars."""
    file = tmp_path / "slow.parquet"
    ticked.export("NIFTY", file, bar="15min", progress=False)
    store.import_file(file, progress=False)
    for name in ("NIFTY", CALL_TICKED, CALL_TICKED.replace("CE", "PE")):
        wanted = ticked.prices(name, bar="15min")
        assert len(wanted) > 0
        pd.testing.assert_frame_equal(store.prices(name, bar="15min"), wanted)
    assert set(store.coverage()["bar"]) == {"15min"}


def test_settlement_prices_come_back(store: Store, tmp_path: Path) -> None:
    """Of a future that has bars, and of one that has none yet."""
    one = Store.open(tmp_path / "a.sqlite")
    near, far = (
        ContractSpec("future", "NIFTY", day, lot=50)
        for day in (date(2024, 2, 29), date(2024, 3, 28))
    )
    (session,) = INDIA.sessions(date(2024, 2, 5), date(2024, 2, 5), "derivatives")
    with one.importing("by hand") as tx:
        tx.write(near, np.array([session.open]), np.array([1, 1, 3, 2], dtype=np.int32))
        for spec, raw in ((near, 2_180_005), (far, 2_195_010)):
            tx.settlement(spec, session.day, raw)
    file = tmp_path / "a.parquet"
    assert one.export("NIFTY", file, progress=False) == 1
    report = store.import_file(file, progress=False)
    assert (report.rows, report.stored) == (3, 3)
    assert same(one, store)
    assert store.settlements("NIFTY").to_numpy().tolist() == [[21800.05, 21950.1]]
    one.close()


def test_one_contract_a_range_and_longer_bars(store: Store, demo: Store, tmp_path: Path) -> None:
    file = tmp_path / "call.parquet"
    count = demo.export(CALL, file, "2024-01-31", "2024-01-31", progress=False)
    seen = demo.prices(CALL, "2024-01-31", "2024-01-31")
    assert count == len(seen) > 300
    frame = pd.read_parquet(file).set_index("time")
    wanted = seen[["open", "high", "low", "close", "volume", "oi"]]
    pd.testing.assert_frame_equal(
        frame[list(wanted)], wanted, check_dtype=False, check_index_type=False, check_freq=False
    )
    demo.export("NIFTY", file, bar="5min", derivatives=False, progress=False)
    store.import_file(file, progress=False)
    slow = demo.prices("NIFTY", bar="5min")
    pd.testing.assert_frame_equal(store.prices("NIFTY", bar="5min"), slow)
    assert store.coverage()["bar"].tolist() == ["5min"]


def test_derivatives_alone_can_be_exported(store: Store, demo: Store, tmp_path: Path) -> None:
    store.import_frame(demo.prices(CALL), symbol=CALL)
    with pytest.raises(ContractNotFound):
        store.prices("NIFTY")
    assert store.export("NIFTY", tmp_path / "a.parquet", progress=False) == len(demo.prices(CALL))


def test_a_file_that_others_wrote_again_is_read_as_any_other(
    store: Store, demo: Store, tmp_path: Path
) -> None:
    file = tmp_path / "call.parquet"
    demo.export(CALL, file, progress=False)
    pd.read_parquet(file).to_parquet(file)
    report = store.import_file(file, progress=False)
    assert report.format == "long-bars Parquet"
    pd.testing.assert_frame_equal(store.prices(CALL), demo.prices(CALL))


def test_what_cannot_be_written_leaves_nothing(demo: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    with pytest.raises(DataGap, match="No bar or tick of NIFTY lies from 2020-01-01 to 2020-02-01"):
        demo.export("NIFTY", file, "2020-01-01", "2020-02-01", progress=False)
    with pytest.raises(DataGap, match="bars of 60 s on 2024-01-30; bars of 30 s cannot"):
        demo.export("NIFTY", file, bar="30s", progress=False)
    with pytest.raises(ContractNotFound, match="No 'SENSEX' in the store"):
        demo.export("SENSEX", file, progress=False)
    with pytest.raises(UsageError, match="There is no folder"):
        demo.export("NIFTY", tmp_path / "no" / "a.parquet", progress=False)
    assert not list(tmp_path.iterdir())


def test_an_export_that_is_interrupted_leaves_the_file_as_it_was(
    demo: Store, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int, text: str) -> None:
        raise KeyboardInterrupt

    file = tmp_path / "nifty.parquet"
    file.write_text("mine")
    with pytest.raises(Interrupted, match=r"nifty\.parquet is as it was; export it again"):
        demo.export("NIFTY", file, progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "mine"


def test_an_export_says_itself_what_it_holds(store: Store, demo: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    demo.export(CALL, file, progress=False)
    with pytest.raises(ImportRefused, match="says itself what it holds; leave symbol= out"):
        store.import_file(file, symbol="NIFTY", progress=False)
    whole = file.read_bytes()
    middle = len(whole) // 3
    file.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    with pytest.raises(ImportRefused, match="export it again"):
        store.import_file(file, progress=False)
    assert store.is_empty


def test_memory_does_not_grow_with_the_number_of_contracts(demo: Store, tmp_path: Path) -> None:
    """Rows are held up to one row group; a group has many contracts."""
    file = tmp_path / "a.parquet"
    tracemalloc.start()
    count = demo.export("NIFTY", file, progress=False)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    groups = pyarrow.parquet.ParquetFile(file).metadata.num_row_groups
    assert 1 < groups == -(-count // (1 << 17))
    assert held < 64 << 20


def test_the_terminal_exports(
    demo: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", os.fspath(demo.engine.url.database or "")]
    file = tmp_path / "a.parquet"
    verb = ["export", CALL, str(file), "--from", "2024-01-31", "--to", "2024-01-31"]
    assert main([*store, *verb]) == 0
    count = len(demo.prices(CALL, "2024-01-31", "2024-01-31"))
    assert capsys.readouterr().out == f"{count:,} rows of {CALL} written to {file}.\n"
    assert len(pd.read_parquet(file)) == count
    assert main([*store, "export", "SENSEX", str(file)]) == 1
    assert "No 'SENSEX' in the store" in capsys.readouterr().err
