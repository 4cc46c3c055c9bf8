"""Prices in memory: one copy of each for all runs, and no more than is allowed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns
from bestbt.store.slabs import Slabs
from bestbt.store.store import Store
from tests.store.test_feed import CALL, week

NIFTY = ContractSpec("index", "NIFTY")
__all__ = ["week"]  # a fixture


def made(bars: int = 100) -> Callable[[], PriceColumns]:
    def load() -> PriceColumns:
        points = np.full(4 * bars, 500, dtype=np.int32)
        return PriceColumns(0, points, np.ones(bars, dtype=bool), 100)

    return load


def test_two_runs_at_once_share_their_arrays_even_when_the_store_keeps_nothing(
    week: Store,
) -> None:
    week.slabs.limit = 0
    feeds = [week.feed("NIFTY", "2024-02-01", "2024-02-08") for _ in range(2)]
    one = [feeds[0].columns(spec) for spec in (NIFTY, CALL)]
    two = [feeds[1].columns(spec) for spec in (NIFTY, CALL)]
    assert None not in one
    assert all(a is b for a, b in zip(one, two, strict=True))
    assert week.slabs.loads == 2


def test_what_no_run_holds_goes_when_there_is_no_room() -> None:
    slabs = Slabs(limit=0)
    first: Any = slabs.get("first", made())
    gone = weakref.ref(first)
    del first
    assert gone() is not None, "the newest is kept in any case"
    second = slabs.get("second", made())
    gc.collect()
    assert gone() is None
    assert slabs.get("second", made()) is second
    assert slabs.loads == 2


def test_the_least_recently_used_go_first() -> None:
    size = Slabs()
    size.get("x", made())
    slabs = Slabs(limit=2 * size.bytes)
    for key in ("a", "b", "a", "c"):
        slabs.get(key, made())
    assert slabs.bytes == slabs.limit
    assert slabs.loads == 3
    slabs.get("a", made())
    assert slabs.loads == 3
    slabs.get("b", made())
    assert slabs.loads == 4


def test_what_was_asked_for_of_what_was_read_together_stays_and_goes_together() -> None:
    slabs = Slabs(limit=1 << 30)
    slabs.add({"a": made()(), "b": made()(), "none": None})
    each = slabs.bytes // 2
    slabs.limit = 3 * each
    for key in ("a", "b", "none"):
        slabs.get(key, made())
    slabs.get("c", made())
    slabs.get("a", made())  # one of them is enough: they are now used later than c
    slabs.get("d", made())
    assert ["a" in slabs, "b" in slabs, "none" in slabs, "c" in slabs] == [True, True, True, False]
    slabs.get("e", made())
    slabs.get("f", made())
    assert ["a" in slabs, "b" in slabs, "none" in slabs] == [False, False, False]
    assert slabs.bytes == 3 * each


def test_what_was_only_read_along_goes_first() -> None:
    slabs = Slabs(limit=1 << 30)
    points = np.arange(800, dtype=np.int32)
    shared = {
        key: PriceColumns(0, points[at : at + 400], np.ones(100, dtype=bool), 100)
        for key, at in (("a", 0), ("b", 400))
    }
    wanted = shared["a"].points.copy()
    slabs.add(dict(shared))
    gone = weakref.ref(shared.pop("b"))
    slabs.limit = slabs.bytes
    a = slabs.get("a", made())
    assert a is shared["a"]
    slabs.get("c", made())
    assert ["a" in slabs, "b" in slabs, "c" in slabs] == [True, False, True]
    gc.collect()
    assert gone() is None
    assert slabs.bytes == slabs.limit
    assert not np.shares_memory(a.points, points)
    assert not np.shares_memory(a.marks, points)
    assert np.array_equal(a.points, wanted)
    assert np.array_equal(a.marks, wanted[3::4])
    assert not a.points.flags.writeable


def test_what_comes_twice_is_kept_once() -> None:
    slabs = Slabs()
    first = slabs.get("a", made())
    size = slabs.bytes
    slabs.add({"a": made()(), "b": None})
    assert slabs.get("a", made()) is first
    assert slabs.bytes == size
    slabs.limit = 0
    slabs.get("x", made())  # a is held by nobody but this test
    slabs.add({"a": made()(), "b": made()()})
    assert slabs.get("a", made()) is first


def test_what_reading_makes_of_prices_is_counted() -> None:
    slabs = Slabs()
    columns = slabs.get("a", made(1_000))
    assert columns is not None
    before = slabs.bytes
    for name in ("open", "high", "low", "close"):
        columns.on_grid(name, 1_000)
    slabs.get("a", made())
    lists = 4 * 1_000 * (8 + 24)  # a pointer and a float for each bar
    assert slabs.bytes - before > lists - 48 * 1_000


def test_a_closed_store_keeps_nothing(week: Store) -> None:
    feed = week.feed("NIFTY", "2024-02-01", "2024-02-08")
    columns: Any = feed.columns(CALL)
    gone = weakref.ref(columns)
    week.close()
    del columns
    assert gone() is None
    assert week.slabs.bytes == 0


def test_a_feed_remembers_the_contracts_of_some_expiries(week: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr("bestbt.store.feed._CHAINS", 1)
    feed = week.feed("NIFTY", "2024-02-01", "2024-02-09")
    (near, far) = (e.day for e in feed.expiries("NIFTY"))
    first = list(feed.listed("NIFTY", near))
    feed.listed("NIFTY", far)
    assert list(feed._chains) == [("NIFTY", far)]
    assert {spec.expiry for spec in feed._stored} == {far}
    assert feed.listed("NIFTY", near) == first
    assert feed.columns(CALL) is not None
