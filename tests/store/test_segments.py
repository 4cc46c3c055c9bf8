"""A segment gives back the bars that it was made of, or says that it is damaged."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bestbt.engine.grid import Grid, Session
from bestbt.engine.ports import ContractSpec
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.markets.india import INDIA
from bestbt.store.schema import BLOBS, KINDS
from bestbt.store.segments import Bars, checked, merge, pack, unpack
from bestbt.store.store import Store
from bestbt.units import MINUTE

SESSIONS = INDIA.sessions(date(2024, 3, 1), date(2024, 3, 6))  # a two-part Saturday inside
GRID = Grid(SESSIONS, MINUTE)


@st.composite
def live_bars(draw: st.DrawFn) -> Bars:
    which = sorted(draw(st.sets(st.integers(0, GRID.n - 1), min_size=1, max_size=60)))
    n = len(which)
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    rest: dict[str, Any] = {}
    for name, dtype, most in (
        ("volume", np.int64, 2**40),
        ("oi", np.int64, 2**40),
        ("bid", np.int32, 2**31 - 1),
        ("ask", np.int32, 2**31 - 1),
    ):
        if draw(st.booleans()):
            rest[name] = rng.integers(0, most, n).astype(dtype)
    points = rng.integers(1, 2**31 - 1, 4 * n).astype(np.int32)
    return Bars(GRID.starts[which], points, **rest)


def same(a: Bars, b: Bars) -> bool:
    for name in ("starts", "points", "volume", "oi", "bid", "ask"):
        left, right = getattr(a, name), getattr(b, name)
        if (left is None) != (right is None):
            return False
        if left is not None and not np.array_equal(left, right):
            return False
    return True


@given(live_bars())
@settings(deadline=None, max_examples=60)
def test_what_is_packed_is_unpacked(bars: Bars) -> None:
    segment = unpack(pack(bars, GRID.starts, MINUTE), "it")
    assert same(segment.bars(), bars)
    assert segment.dense.starts[0] == bars.starts[0]  # nothing before the first live bar
    assert segment.dense.starts[-1] == bars.starts[-1]
    inside = (GRID.starts >= bars.starts[0]) & (GRID.starts <= bars.starts[-1])
    assert np.array_equal(segment.dense.starts, GRID.starts[inside])


@given(live_bars())
@settings(deadline=None, max_examples=40)
def test_a_stale_bar_repeats_the_last_live_close(bars: Bars) -> None:
    segment = unpack(pack(bars, GRID.starts, MINUTE), "it")
    close: list[int] = []
    oi = 0
    for i, live in enumerate(segment.live):
        quad = segment.dense.points[4 * i : 4 * i + 4].tolist()
        if live:
            close = [quad[3]] * 4
            oi = 0 if segment.dense.oi is None else int(segment.dense.oi[i])
            continue
        assert quad == close
        if segment.dense.volume is not None:
            assert segment.dense.volume[i] == 0
        if segment.dense.oi is not None:
            assert segment.dense.oi[i] == oi
        if segment.dense.bid is not None:
            assert segment.dense.bid[i] == 0


@given(live_bars(), live_bars())
@settings(deadline=None, max_examples=40)
def test_merging_replaces_bar_by_bar(old: Bars, new: Bars) -> None:
    expected = {int(t): old.points[4 * i : 4 * i + 4].tolist() for i, t in enumerate(old.starts)}
    expected |= {int(t): new.points[4 * i : 4 * i + 4].tolist() for i, t in enumerate(new.starts)}
    merged = merge(old, new)
    assert merged.starts.tolist() == sorted(expected)
    assert merged.points.reshape(-1, 4).tolist() == [expected[t] for t in sorted(expected)]


def test_bars_on_no_session_known_now_are_kept() -> None:
    """The session tables may change after a segment was written; what is stored stays."""
    bars = Bars(GRID.starts[[0, 5, 400]], np.arange(1, 13, dtype=np.int32))
    only_first_day = Grid(SESSIONS[:1], MINUTE).starts
    assert same(unpack(pack(bars, only_first_day, MINUTE), "it").bars(), bars)


@pytest.mark.parametrize(
    ("starts", "points", "said"),
    [
        ([2, 1], [1] * 8, "increase"),
        ([1, 2], [1] * 7, "shape"),
        ([1, 2], [1.5] * 8, "whole numbers"),
    ],
)
def test_what_is_no_bar_is_refused(starts: list[int], points: list[float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked(np.array(starts), np.array(points))


def option(right: str = "CE") -> ContractSpec:
    day = date(2024, 3, 28)
    return ContractSpec("option", "NIFTY", day, 22000.0, right, lot=50)  # type: ignore[arg-type]


def fill(store: Store) -> None:
    rng = np.random.default_rng(7)
    n = GRID.n
    columns = [rng.integers(1, 9999, n) for _ in range(4)]
    points = rng.integers(1, 99999, 4 * n).astype(np.int32)
    with store.importing("made") as tx:
        tx.write(ContractSpec("index", "NIFTY"), GRID.starts, points)
        tx.write(option(), GRID.starts, points, *columns)


@pytest.mark.parametrize("blob", BLOBS)
def test_a_flipped_bit_in_any_blob_is_found(store: Store, blob: str) -> None:
    fill(store)
    table = KINDS["option"].segments
    with store.engine.begin() as connection:
        stored: bytes = connection.execute(select(table.c[blob])).scalar_one()
    rng = np.random.default_rng(len(stored))
    for _ in range(8):
        damaged = bytearray(stored)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        with store.engine.begin() as connection:
            connection.execute(update(table).values({blob: bytes(damaged)}))
        with pytest.raises(StoreCorrupt, match=f"NIFTY 2024-03-28 22000 CE in 2024-03.*`{blob}`"):
            store.prices("NIFTY 2024-03-28 22000 CE")
        feed = store.feed("NIFTY", "2024-03-01", "2024-03-06")
        with pytest.raises(StoreCorrupt):
            feed.columns(option())


def test_a_blob_that_went_missing_is_found(store: Store) -> None:
    fill(store)
    with store.engine.begin() as connection:
        connection.execute(update(KINDS["option"].segments).values(oi=None))
    with pytest.raises(StoreCorrupt, match="oi"):
        store.prices("NIFTY 2024-03-28 22000 CE")


def test_the_row_must_fit_its_blobs(store: Store) -> None:
    fill(store)
    with store.engine.begin() as connection:
        connection.execute(update(KINDS["option"].segments).values(bars=7))
    with pytest.raises(StoreCorrupt):
        store.prices("NIFTY 2024-03-28 22000 CE")


def test_a_session_is_a_row_of_its_parts() -> None:
    saturday = next(s for s in SESSIONS if s.day == date(2024, 3, 2))
    assert isinstance(saturday, Session)
    assert len(saturday.parts) == 2
