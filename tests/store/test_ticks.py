"""Ticks in the store, the bars made of them, and bars of a second."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bestbt.engine.grid import Grid, Session
from bestbt.engine.ports import ContractSpec
from bestbt.errors import DataGap, StoreCorrupt, UsageError
from bestbt.markets.india import INDIA
from bestbt.store.coarser import of_ticks
from bestbt.store.schema import KINDS, TICK_BLOBS
from bestbt.store.segments import CODEC, RUNS_CODEC, Bars, pack, unpack
from bestbt.store.store import Store
from bestbt.store.ticks import Ticks, checked_ticks, merge_ticks, pack_ticks, unpack_ticks
from bestbt.units import DAY, MINUTE, SECOND

NIFTY = ContractSpec("index", "NIFTY")
CALL = ContractSpec("option", "NIFTY", date(2024, 2, 8), 22000.0, "CE", lot=50)
ON = date(2024, 2, 1)
SESSION = INDIA.sessions(ON, ON)[0]
OPEN = SESSION.open
T0 = (ON - date(1970, 1, 1)).days * DAY

small = st.integers(0, 4)


@st.composite
def days(draw: st.DrawFn, most: int = 40) -> Ticks:
    """A day's ticks of few prices and times, so that much of it coincides."""
    n = draw(st.integers(1, most))

    def column(of: st.SearchStrategy[int]) -> list[int]:
        return draw(st.lists(of, min_size=n, max_size=n))

    times = OPEN + SECOND * np.sort(np.array(column(st.integers(0, 40)), dtype=np.int64))
    totals = draw(st.booleans())
    volume = np.array(column(st.sampled_from([0, 0, 50, 100])), dtype=np.int64)
    return checked_ticks(
        times,
        np.array(column(st.sampled_from([0, 500, 505, 510]))),
        np.maximum(np.cumsum(volume) - 20, 0) if totals else volume,
        np.array(column(small)),
        np.array(column(st.sampled_from([0, 495, 500]))),
        np.array(column(st.sampled_from([0, 506, 511]))),
        totals=totals,
    )


def same(a: Ticks, b: Ticks) -> bool:
    pairs = [(getattr(a, n), getattr(b, n)) for n in TICK_BLOBS]
    return a.totals == b.totals and all(
        x is y if x is None or y is None else np.array_equal(x, y) for x, y in pairs
    )


def slowly(day: Ticks, grid: Grid) -> dict[int, tuple[Any, ...]]:
    """Bars of a day's ticks, one tick after the other, as the documents say."""
    assert day.volume is not None
    assert day.oi is not None
    assert day.bid is not None
    assert day.ask is not None
    made: dict[int, dict[str, Any]] = {}
    last = known = total = 0
    for i, time in enumerate(day.times.tolist()):
        price, bid, ask = int(day.price[i]), int(day.bid[i]), int(day.ask[i])
        if day.totals:
            quantity = max(int(day.volume[i]) - total, 0)
            total = max(total, int(day.volume[i]))
        else:
            quantity = int(day.volume[i])
        trade = price > 0 and (quantity > 0 or price != last)
        if price:
            last = known = price
        elif not last and bid and ask:
            known = -(-(bid + ask) // 2)  # halves up
        live = trade or (bool(bid or ask) and known > 0)
        here = [b for b in range(grid.n) if grid.time(b) <= time < grid.end(b)]
        if not here:
            continue
        bar = made.setdefault(here[0], {"trades": [], "volume": 0, "live": False})
        bar["trades"] += [price] if trade else []
        bar["volume"] += quantity
        bar["live"] |= live
        bar |= {"known": known, "beside": (int(day.oi[i]), bid, ask)}
    found = {}
    for at, bar in made.items():
        path = bar["trades"] or [bar["known"]]
        high, low = path.index(max(path)), path.index(min(path))
        inner = (max(path), min(path)) if high < low else (min(path), max(path))
        if bar["live"]:
            found[at] = (path[0], *inner, path[-1], bar["volume"], *bar["beside"])
    return found


@given(days(), st.sampled_from([1, 2, 5, 15, 60]))
@settings(deadline=None, max_examples=200)
def test_bars_of_ticks_are_those_of_a_slow_loop(day: Ticks, seconds: int) -> None:
    # Two parts, and less than the ticks reach: some lie on no bar.
    parts = ((OPEN + 2 * SECOND, OPEN + 16 * SECOND), (OPEN + 20 * SECOND, OPEN + 37 * SECOND))
    grid = Grid([Session(ON, parts)], seconds * SECOND)
    ordinals, bars = of_ticks(day, grid)
    assert bars.starts.tolist() == [grid.time(i) for i in ordinals.tolist()]
    columns = (getattr(bars, name) if len(bars) else [] for name in ("volume", "oi", "bid", "ask"))
    rows = zip(bars.points.reshape(-1, 4).tolist(), *columns, strict=True)
    found = {
        int(at): (*points, *map(int, rest))
        for at, (points, *rest) in zip(ordinals, rows, strict=True)
    }
    assert found == slowly(day, grid)


@given(days())
@settings(deadline=None)
def test_ticks_come_back_from_their_row(day: Ticks) -> None:
    row = pack_ticks(day, T0) | {"t0": T0}
    assert same(unpack_ticks(row, "x"), day)
    assert (row["ticks"], row["first"], row["last"]) == (len(day), day.times[0], day.times[-1])


@given(days(), st.data())
@settings(deadline=None)
def test_merging_adds_what_is_new_once(day: Ticks, data: st.DataObject) -> None:
    assert same(merge_ticks(day, day), merge_ticks(day, day.take(slice(0, 0))))
    cut = data.draw(st.integers(0, len(day)))
    while 0 < cut < len(day) and day.times[cut] == day.times[cut - 1]:
        cut += 1
    low = data.draw(st.integers(0, cut))
    first, second = day.take(slice(0, cut)), day.take(slice(low, None))
    ordered = merge_ticks(day, day)  # of one time by their total
    assert same(merge_ticks(first, second), ordered) or day.totals is False
    both = merge_ticks(first, second)
    assert len(both) == len(day)
    assert sorted(zip(both.times, both.price, strict=True)) == sorted(
        zip(day.times, day.price, strict=True)
    )


def test_a_tick_that_came_twice_stands_twice() -> None:
    two = checked_ticks([OPEN, OPEN], [500, 500], [50, 50])
    assert len(merge_ticks(two, two)) == 2
    assert len(merge_ticks(two, two.take(slice(0, 1)))) == 2
    with pytest.raises(UsageError, match="another source"):
        merge_ticks(two, checked_ticks([OPEN], [500], [50], totals=True))


def test_what_is_no_tick_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="never fall"):
        checked_ticks([2, 1], [5, 5])
    with pytest.raises(UsageError, match="whole numbers"):
        checked_ticks([1], [5.5])
    with pytest.raises(UsageError, match="zero or more"):
        checked_ticks([1], [5], bid=[-1])

    def late() -> None:
        with store.importing("late") as tx:
            tx.write_ticks(CALL, np.array([SESSION.close]), np.array([500]), np.array([50]))

    with pytest.raises(UsageError, match="1 ticks of 2024-02-01 lie outside its session"):
        late()
    assert store.is_empty


@pytest.fixture
def ticked(store: Store) -> Store:
    """NIFTY in seconds on 1 February, in minutes on the 2nd; ticks of a call on the 1st."""
    minutes = INDIA.sessions(date(2024, 2, 2), date(2024, 2, 2))[0]
    with store.importing("made") as tx:
        times = np.arange(OPEN, SESSION.close, SECOND)
        tx.write_ticks(NIFTY, times, 2170000 + np.arange(len(times)) % 700)
        starts = np.arange(minutes.open, minutes.close, MINUTE)
        tx.write(NIFTY, starts, np.full(4 * len(starts), 2170000))
        at = OPEN + np.array([61, 61, 62, 300]) * SECOND
        price, volume = np.array([0, 500, 510, 505]), np.array([0, 50, 150, 200])
        bid, ask = np.array([490, 495, 0, 500]), np.array([500, 505, 0, 0])
        tx.write_ticks(CALL, at, price, volume, volume * 10, bid, ask, totals=True)
    return store


def test_coverage_and_prices_of_ticks(ticked: Store) -> None:
    rows = ticked.coverage().set_index(["kind", "bar"])
    assert set(rows.index) == {("index", "tick"), ("index", "1min"), ("option", "tick")}
    assert rows.loc[("index", "tick"), "rows"] == 22500
    assert str(rows.loc[("option", "tick"), "start"]) == "2024-02-01 09:16:01+05:30"
    table = ticked.prices(str(CALL), bar=None)
    assert table["price"].tolist()[1:] == [5.0, 5.1, 5.05]
    assert np.isnan(table["price"].iloc[0])
    assert table["volume"].tolist() == [0, 50, 100, 50]
    minutes = ticked.prices(str(CALL))
    assert [str(t)[11:16] for t in minutes.index] == ["09:16", "09:20"]
    assert minutes["volume"].tolist() == [150, 50]
    seconds = ticked.prices("NIFTY", ON, ON, bar="15s")
    assert len(seconds) == 1500
    with pytest.raises(DataGap, match="no ticks from 2024-02-02"):
        ticked.prices("NIFTY", "2024-02-02", bar=None)


def test_a_run_takes_ticks_where_they_are_and_refuses_seconds_of_minutes(ticked: Store) -> None:
    feed = ticked.feed("NIFTY", ON, ON, step=SECOND)
    assert feed.grid.n == 22500
    index, call = feed.columns(NIFTY), feed.columns(CALL)
    assert index is not None
    assert call is not None
    assert (index.first, index.all_live, call.first) == (0, True, 61)
    assert call.live.nonzero()[0].tolist() == [0, 1, 239]
    assert [row.first for row in feed.listed("NIFTY", date(2024, 2, 8))] == [61]
    both = ticked.feed("NIFTY", ON, "2024-02-02")
    assert both.grid.n == 750
    for step in (SECOND, 15 * SECOND, 7 * SECOND):
        with pytest.raises(DataGap, match=r"bars of 60 s on 2024-02-02.*import seconds or ticks"):
            ticked.feed("NIFTY", ON, "2024-02-02", step=step)


def test_ticks_stand_before_the_bars_they_make(ticked: Store) -> None:
    with ticked.importing("minutes too") as tx:
        starts = OPEN + np.arange(10) * MINUTE
        tx.write(CALL, starts, np.full(40, 700), np.full(10, 75), np.full(10, 9))
    table = ticked.prices(str(CALL))
    assert table["close"].tolist() == [7, 5.1, 7, 7, 7, 5.05, 7, 7, 7, 7]
    assert table["bid"].notna().sum() == 1
    feed = ticked.feed("NIFTY", ON, ON)
    assert feed.columns(CALL) is not None
    with pytest.raises(DataGap, match="bars of 60 s"):
        ticked.prices(str(NIFTY), "2024-02-02", "2024-02-02", bar="1s")


def test_a_flipped_bit_is_found_and_named(ticked: Store) -> None:
    table = KINDS["option"].ticks
    for name in TICK_BLOBS:
        with ticked.engine.begin() as connection:
            blob = bytearray(connection.execute(select(table.c[name])).scalar_one())
            blob[len(blob) // 2] ^= 8
            connection.execute(update(table).values({name: bytes(blob)}))
        with pytest.raises(StoreCorrupt, match=rf"22000 CE on 2024-02-01 are damaged: `{name}`"):
            ticked.prices(str(CALL), bar=None)
        with ticked.engine.begin() as connection:
            blob[len(blob) // 2] ^= 8
            connection.execute(update(table).values({name: bytes(blob)}))
    assert len(ticked.prices(str(CALL), bar=None)) == 4
    assert len(ticked.prices("NIFTY", ON, ON)) == 375


def test_the_fingerprint_knows_ticks(ticked: Store) -> None:
    before = ticked.fingerprint(["NIFTY"], ON, ON)
    with ticked.importing("one more") as tx:
        tx.write_ticks(
            CALL, OPEN + np.array([400 * SECOND]), np.array([505]), np.array([250]), totals=True
        )
    assert ticked.fingerprint(["NIFTY"], ON, ON) != before
    assert ticked.fingerprint(["NIFTY"], "2024-03-01", "2024-03-01") != before


# --- bars of a second ----------------------------------------------------------------------------


@given(st.sets(st.integers(0, 400), min_size=1, max_size=60), st.integers(0, 9))
@settings(deadline=None)
def test_seconds_are_stored_as_runs_of_live_bars(at: set[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = OPEN + SECOND * np.array(sorted(at), dtype=np.int64)
    points = rng.integers(500, 600, 4 * len(starts)).astype(np.int32)
    volume = rng.integers(1, 9, len(starts)) * 50
    bars = Bars(starts, points, volume)
    row = pack(bars, np.arange(OPEN, SESSION.close, SECOND), SECOND)
    assert (row["codec"], row["bars"], row["live_bars"]) == (RUNS_CODEC, len(at), len(at))
    back = unpack(row, "x")
    assert back.step == SECOND
    assert np.array_equal(back.bars().starts, starts)
    assert np.array_equal(back.bars().points, points)
    found = back.bars().volume
    assert found is not None
    assert np.array_equal(found, volume)
    assert pack(bars, np.arange(OPEN, SESSION.close, MINUTE), MINUTE)["codec"] == CODEC


def test_seconds_are_imported_and_run_at_any_multiple(store: Store, tmp_path: Path) -> None:
    """Sparse seconds of an index and an option: dense where they are, absent elsewhere."""
    index = [f"NIFTY,20240201,{9 + (15 + i // 60) // 60:02}:{(15 + i // 60) % 60:02}:{i % 60:02},"
             f"21700,2170{i % 10},21699,21700,0,0" for i in range(600)]  # fmt: skip
    call = "NIFTY 2024-02-08 22000 CE"
    some = [f"{call},20240201,09:1{5 + i // 60}:{i % 60:02},5,6,4,5.5,50,500" for i in (7, 8, 99)]
    file = tmp_path / "seconds.csv"
    file.write_text("symbol,date,time,open,high,low,close,volume,oi\n" + "\n".join(index + some))
    report = store.import_file(file, progress=False)
    assert report.balanced
    assert report.stored == 603
    assert "bars of 1 s" in report.remarks
    assert set(store.coverage()["bar"]) == {"1s"}
    feed = store.feed("NIFTY", ON, ON, step=SECOND)
    columns = feed.columns(CALL)
    assert columns is not None
    assert (columns.first, columns.live.nonzero()[0].tolist()) == (7, [0, 1, 92])
    assert store.prices(call)["volume"].tolist() == [100, 50]
    assert len(store.prices("NIFTY", bar="5s")) == 120
    with pytest.raises(DataGap, match=r"bars of 1 s on 2024-02-01; bars of 2.5 s"):
        store.feed("NIFTY", ON, ON, step=5 * SECOND // 2)
