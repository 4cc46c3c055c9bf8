"""What loading prices costs: each way of loading, on the embedded file and on a server.

    python benchmarks/store.py                         a month, made in a temporary file
    python benchmarks/store.py --from 2023-08-01 --to 2024-12-31
    python benchmarks/store.py --keep year.sqlite      made once, used again
    python benchmarks/store.py --url postgresql://…    the same on a server, which must be empty
                                                       or hold what this script put there

The prices are those of the demo market. Bars are those of the complete grid: of every contract,
from its first bar to its last. Each figure is the best of several; seconds are those of the wall
clock, as a server's work is not this process's. Memory is of the arrays that loading makes (volume
and open interest come later, if they are read at all), bytes those of the compressed blobs that
were read.

The floor is the least that any reader of these tables must do: ask the driver for the same rows,
hold each blob against its checksum, and unpack prices and live bits, one after the other, into one
array. It takes turns with the loading beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numcodecs import Blosc
from numcodecs.blosc import decompress
from sqlalchemy import func, select

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.markets.demo import write_demo
from bestbt.store.feed import StoreFeed
from bestbt.store.reading import month_of
from bestbt.store.schema import KINDS
from bestbt.store.slabs import Slabs
from bestbt.store.store import Store

SYMBOL = "NIFTY"
AIMS = {"one contract": (1.5, 5), "one expiry": (40, 60), "one month": (600, 900)}  # ms


class Figure(NamedTuple):
    """What one way of loading took."""

    seconds: float
    floor: float
    contracts: int
    bars: int
    memory: int
    read: int


def held(columns: PriceColumns | None) -> int:
    if columns is None:
        return 0
    c = columns
    arrays = (c.points, c.live, c._volume, c._oi, c.bid, c.ask)  # those that are made
    return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))


class Counting(Slabs):
    """Slabs without a limit, that count what came in."""

    def __init__(self) -> None:
        super().__init__(limit=1 << 62)

    def counts(self) -> tuple[int, int, int]:
        kept = [c for slab in self._kept.values() for c in slab.columns.values() if c is not None]
        return len(kept), sum(c.n for c in kept), sum(held(c) for c in kept)


def measure(
    store: Store, start: date, end: date, load: str, ask: Callable[[StoreFeed], None], times: int
) -> Figure:
    """Load with fresh slabs, several times; the feed's own lists are made before."""
    best = least = float("inf")
    counts = (0, 0, 0)
    read = 0
    for _ in range(times):
        store.slabs = Counting()
        feed = store.feed(SYMBOL, start, end, load=load)
        for expiry in feed.expiries(SYMBOL):
            feed.listed(SYMBOL, expiry.day)
        began = time.perf_counter()
        ask(feed)
        best = min(best, time.perf_counter() - began)
        counts = store.slabs.counts()
        store.slabs = Counting()
        read, asked = _what_is_read(store.feed(SYMBOL, start, end, load=load), ask)
        store.slabs = Counting()
        began = time.perf_counter()
        kept = [_floor(store, *batch) for batch in asked]
        least = min(least, time.perf_counter() - began)
        del kept
    return Figure(best, least, *counts, read)


Batch = tuple[list[int], int, int]  # contracts, and the first and last month


def _what_is_read(feed: StoreFeed, ask: Callable[[StoreFeed], None]) -> tuple[int, list[Batch]]:
    """Return how many bytes of blobs are read, and which contracts together."""
    packed, tz = feed._reader.packed, feed._reader.tz
    blobs, asked = 0, []

    def counted(contracts, first, last):  # type: ignore[no-untyped-def]
        nonlocal blobs
        asked.append(([c.id for c in contracts], month_of(first, tz), month_of(last, tz)))
        found = packed(contracts, first, last)
        blobs += sum(len(b) for rows in found.values() for p in rows for b in p.blobs.values())
        return found

    feed._reader.packed = counted  # type: ignore[method-assign]
    ask(feed)
    del feed._reader.packed
    return blobs, asked


def _floor(store: Store, contracts: list[int], first: int, last: int) -> object:
    connection = store.engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute(
        "SELECT bars, live, points, spans, volume, oi FROM options_segment "
        f"WHERE contract_id IN ({', '.join(map(str, contracts))}) "
        f"AND t0 BETWEEN {first} AND {last} ORDER BY contract_id, t0"
    )
    rows = cursor.fetchall()
    connection.close()
    bars = sum(row[0] for row in rows)
    points, live = np.empty(4 * bars, dtype=np.int32), np.empty(bars, dtype=np.uint8)
    at = 0
    for n, bits, prices, *rest in rows:
        for blob in (bits, prices, *rest):
            zlib.crc32(blob or b"")
        live[at : at + n] = np.unpackbits(np.frombuffer(decompress(bits), np.uint8), count=n)
        decompress(prices, points[4 * at : 4 * (at + n)])
        at += n
    return points, live, [row[4:] for row in rows]


def ways(feed: StoreFeed) -> Iterator[tuple[str, str, Callable[[StoreFeed], None]]]:
    """Name, way of loading, and what is asked for."""
    days = [e.day for e in feed.expiries(SYMBOL)]
    sizes = feed._sizes(SYMBOL)
    busiest = max(days, key=lambda d: sizes[d])
    weekly = days[len(days) // 2]
    chain = feed.listed(SYMBOL, weekly)
    middle = chain[len(chain) // 2].spec

    def one(feed: StoreFeed) -> None:
        feed.columns(middle)

    def expiry(day: date) -> Callable[[StoreFeed], None]:
        def ask(feed: StoreFeed) -> None:
            feed.columns(feed.listed(SYMBOL, day)[0].spec)

        return ask

    yield "one contract", "contract", one
    yield "nearest 10 strikes, all coming expiries", "strikes:10", one
    yield "one expiry", "expiry", one
    yield f"largest expiry ({busiest})", "expiry", expiry(busiest)
    yield "one month, all its expiries", "month", one
    yield "three months", "quarter", one
    yield "whole range", "range", one


def timestamps(feed: StoreFeed) -> None:
    """The starts of a range's bars: made from the session table, or unpacked as stored times."""
    grid = feed.grid
    codec = Blosc("lz4", 5, Blosc.SHUFFLE)
    blob = codec.encode(np.diff(grid.starts, prepend=0))

    def made() -> None:
        Grid(grid.sessions, grid.step)

    def fetched() -> None:
        np.cumsum(np.frombuffer(codec.decode(blob), dtype=np.int64))

    for name, work in (("made from sessions", made), ("unpacked", fetched)):
        best = min(_seconds(work) for _ in range(9))
        size = len(blob) if work is fetched else 0
        print(f"timestamps of {grid.n:,} bars, {name}: {best * 1e3:.2f} ms, {size:,} bytes")


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bars_stored(store: Store) -> int:
    total = 0
    with store.engine.connect() as connection:
        for kind in KINDS.values():
            asked = select(func.sum(kind.segments.c.bars))
            total += int(connection.execute(asked).scalar() or 0)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="start", type=date.fromisoformat, default=date(2024, 1, 1))
    parser.add_argument("--to", dest="end", type=date.fromisoformat, default=date(2024, 1, 31))
    parser.add_argument("--keep", help="path of the file; default: a temporary one")
    parser.add_argument("--url", help="measure a server too")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(given.keep) if given.keep else Path(folder) / "prices.sqlite"
        for where in (str(path), *([given.url] if given.url else [])):
            _measure_store(where, given.start, given.end, given.times)


def _measure_store(where: str, start: date, end: date, times: int) -> None:
    store = Store.open(where)
    if store.is_empty:
        began = time.perf_counter()
        write_demo(store, SYMBOL, start, end)
        print(f"written in {time.perf_counter() - began:.1f} s")
    else:
        start, end = store.bounds(SYMBOL)
    bars = bars_stored(store)
    print(f"\n{store.engine.dialect.name}: {bars:,} bars, {start} to {end}")
    if store.engine.dialect.name == "sqlite":
        size = Path(store.engine.url.database or "").stat().st_size
        print(f"{size:,} bytes, {size / bars:.2f} a bar (aim: under 7)")
    feed = store.feed(SYMBOL, start, end)
    print(
        f"{'':<42}{'ms':>9}{'floor':>9}{'contracts':>11}{'bars':>13}{'memory MB':>11}{'read MB':>9}"
    )
    for name, load, ask in ways(feed):
        found = measure(store, start, end, load, ask, times)
        _show(name, found)
    life = start + timedelta(days=(end - start).days // 2)
    bounded = measure(store, life, min(life + timedelta(days=14), end), "contract",
                      lambda f: _any(f), times)  # fmt: skip
    _show("one contract, two weeks of its life", bounded)
    second = store.feed(SYMBOL, start, end, load="expiry")
    _any(second)
    loads = store.slabs.loads
    _any(store.feed(SYMBOL, start, end, load="expiry"))
    print(f"second run of the same: {store.slabs.loads - loads} reads of prices")
    timestamps(feed)
    store.close()


def _any(feed: StoreFeed) -> None:
    chain = feed.listed(SYMBOL, feed.expiries(SYMBOL)[0].day)
    feed.columns(chain[len(chain) // 2].spec)


def _show(name: str, found: Figure) -> None:
    print(
        f"{name:<42}{found.seconds * 1e3:>9.1f}{found.floor * 1e3:>9.1f}"
        f"{found.contracts:>11,}{found.bars:>13,}"
        f"{found.memory / 1e6:>11.1f}{found.read / 1e6:>9.1f}"
    )


if __name__ == "__main__":
    main()
