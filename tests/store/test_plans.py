"""How much is read at once: what of it, how often the database is asked, and the same prices."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.grid import Grid, Session
from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.assemble import Room, assemble, places
from bestbt.store.feed import StoreFeed, on_grid
from bestbt.store.plans import Loading, allowed_memory, parse_loading
from bestbt.store.reading import Reader
from bestbt.store.segments import Bars, Packed, pack, unpack_blob
from bestbt.store.store import Store
from bestbt.units import MINUTE
from tests.conftest import DemoStores

DAYS = ("2024-01-01", "2024-01-12")


@pytest.fixture(scope="module")
def path(demo_stores: DemoStores, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fortnight of the demo market."""
    fortnight = demo_stores(date(2024, 1, 1), date(2024, 1, 12))
    return Path(shutil.copy(fortnight, tmp_path_factory.mktemp("plans") / "prices.sqlite"))


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path)
    yield opened
    opened.close()


class Asked:
    """Counts what a reader is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contracts: list[list[str]] = []
        read = Reader.packed

        def packed(reader: Reader, contracts, start, end):  # type: ignore[no-untyped-def]
            self.contracts.append([str(c.spec) for c in contracts])
            return read(reader, contracts, start, end)

        monkeypatch.setattr(Reader, "packed", packed)


def same(a: PriceColumns | None, b: PriceColumns | None) -> bool:
    if a is None or b is None:
        return a is b
    if (a.first, a.n, a.scale) != (b.first, b.n, b.scale):
        return False
    for name in ("points", "live", "volume", "oi", "bid", "ask", "marks"):
        x, y = getattr(a, name), getattr(b, name)
        if (x is None) != (y is None) or (x is not None and not np.array_equal(x, y)):
            return False
        if x is not None and (x.dtype != y.dtype or y.flags.writeable != x.flags.writeable):
            return False
    return True


def options(feed: StoreFeed) -> list[ContractSpec]:
    return [row.spec for e in feed.expiries("NIFTY") for row in feed.listed("NIFTY", e.day)]


@pytest.mark.parametrize("load", ["contract", "strikes:3", "expiry", "month", "quarter", "range"])
def test_every_way_of_loading_gives_the_same_prices(store: Store, load: str) -> None:
    auto = store.feed("NIFTY", *DAYS)
    mine = options(auto)
    want = [auto.columns(spec) for spec in mine]
    store.slabs.clear()
    other = store.feed("NIFTY", *DAYS, load=load)
    assert len(mine) > 100
    assert all(same(a, other.columns(spec)) for a, spec in zip(want, mine, strict=True))


def test_a_contract_is_read_alone_and_the_rest_of_its_expiry_with_the_eighth(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, asked = store.feed("NIFTY", *DAYS), Asked(monkeypatch)
    day = feed.expiries("NIFTY")[0].day
    chain = [row.spec for row in feed.listed("NIFTY", day)]
    for spec in chain[:7]:
        feed.columns(spec)
    assert asked.contracts == [[str(spec)] for spec in chain[:7]]
    feed.columns(chain[7])
    assert sorted(asked.contracts[-1]) == sorted(map(str, chain[7:]))
    for spec in chain:
        feed.columns(spec)
    assert len(asked.contracts) == 8


def test_an_expiry_too_large_for_the_memory_is_read_contract_by_contract(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(path, memory="2MB")
    feed, asked = store.feed("NIFTY", *DAYS), Asked(monkeypatch)
    assert feed.remarks[0].startswith("prices are loaded contract by contract: of ")
    assert feed.remarks[0].endswith("with 2 MB allowed")
    chain = [row.spec for row in feed.listed("NIFTY", feed.expiries("NIFTY")[0].day)]
    for spec in chain[:20]:
        feed.columns(spec)
    assert asked.contracts == [[str(spec)] for spec in chain[:20]]
    store.close()


def test_the_log_says_how_prices_are_loaded(store: Store) -> None:
    assert (
        "an expiry whole once eight of it were asked for" in store.feed("NIFTY", *DAYS).remarks[0]
    )
    by_month = store.feed("NIFTY", *DAYS, load="month").remarks
    assert by_month == ["prices are loaded by month, into 1,024 MB"]


def test_what_is_read_along(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(load: str) -> set[tuple[date | None, float | None]]:
        store.slabs.clear()
        feed = store.feed("NIFTY", *DAYS, load=load)
        expiry = feed.expiries("NIFTY")[1].day
        chain = [row.spec for row in feed.listed("NIFTY", expiry)]
        asked.contracts.clear()
        feed.columns(chain[len(chain) // 2])
        names = [name.split() for batch in asked.contracts for name in batch]
        return {(date.fromisoformat(day), float(strike)) for _, day, strike, _ in names}

    asked = Asked(monkeypatch)
    feed = store.feed("NIFTY", *DAYS)
    days = [e.day for e in feed.expiries("NIFTY")]
    assert {day for day, _ in read("expiry")} == {days[1]}
    assert {day for day, _ in read("month")} == {d for d in days if (d.year, d.month) == (2024, 1)}
    assert {d for d, _ in read("quarter")} == {d for d in days if d.year == 2024 and d.month <= 3}
    assert {day for day, _ in read("range")} == set(days)
    near = read("strikes:2")
    assert {day for day, _ in near} == set(days[1:])
    per_day = {day: len({s for d, s in near if d == day}) for day in days[1:]}
    assert max(per_day.values()) <= 6  # five, and the one that was asked for where it is not near
    assert per_day[days[1]] == 5


def test_the_second_run_reads_no_prices_from_the_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = store.feed("NIFTY", *DAYS)
    for spec in options(feed)[:40]:
        feed.columns(spec)
    feed.columns(feed.spot("NIFTY"))
    asked = Asked(monkeypatch)
    again = store.feed("NIFTY", *DAYS)
    for spec in options(again)[:40]:
        again.columns(spec)
    again.columns(again.spot("NIFTY"))
    assert asked.contracts == []


@pytest.mark.parametrize("text", ["fast", "strikes", "strikes:0", "expiry:3", "", "strikes:-1"])
def test_unknown_ways_are_refused(store: Store, text: str) -> None:
    with pytest.raises(UsageError, match="load="):
        store.feed("NIFTY", *DAYS, load=text)


def test_a_way_is_written_as_it_is_read() -> None:
    assert str(parse_loading("Strikes:10")) == "strikes:10"
    assert parse_loading("range") == Loading("range")


def test_memory_is_bytes_or_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BESTBT_MEMORY", raising=False)
    assert allowed_memory() == 1 << 30
    monkeypatch.setenv("BESTBT_MEMORY", "1.5GB")
    assert allowed_memory() == 3 << 29
    assert allowed_memory(4096) == 4096
    for wrong in ("much", "-1GB", "0", "infGB"):
        with pytest.raises(UsageError, match="memory="):
            allowed_memory(wrong)


def test_volume_and_open_interest_are_unpacked_when_they_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = store.feed("NIFTY", *DAYS, load="expiry")
    columns = feed.columns(options(feed)[40])
    assert columns is not None
    promised, counted = columns.nbytes, store.slabs.bytes
    last = columns.last("volume"), columns.last("oi")
    unpacked: list[bytes] = []

    def unpack(blob: bytes, out: Any = None) -> bytes:
        unpacked.append(blob)
        return unpack_blob(blob, out)

    monkeypatch.setattr("bestbt.store.assemble.unpack_blob", unpack)
    volume, oi = columns.volume, columns.oi
    assert volume is not None
    assert oi is not None
    assert len(unpacked) == 2, "one month of each"
    assert columns.volume is volume
    assert columns.oi is oi
    assert len(unpacked) == 2
    assert not volume.flags.writeable
    assert not oi.flags.writeable
    assert last == (volume[-1], oi[-1])
    assert (columns.nbytes, store.slabs.bytes) == (promised, counted)


@pytest.mark.parametrize("load", ["expiry", "range"])
def test_a_damaged_contract_does_not_keep_back_those_that_are_read_with_it(
    path: Path, tmp_path: Path, load: str
) -> None:
    file = Path(shutil.copy(path, tmp_path / "damaged.sqlite"))
    store = Store.open(file)
    feed = store.feed("NIFTY", *DAYS, load=load)
    mine = options(feed)
    sound, damaged = mine[10], mine[12]
    with sqlite3.connect(file) as connection:
        connection.execute(
            "UPDATE options_segment SET volume_crc = volume_crc + 1 WHERE contract_id = ?",
            (feed._stored[damaged].id,),
        )
    connection.close()
    with pytest.raises(StoreCorrupt, match=f"{damaged} in 2024-01 are damaged: `volume`"):
        feed.columns(damaged)
    assert feed.columns(sound) is not None
    reads = store.slabs.loads
    assert all(feed.columns(spec) is not None for spec in mine[:10])
    assert store.slabs.loads == reads
    with pytest.raises(StoreCorrupt, match=f"{damaged} in 2024-01"):
        feed.columns(damaged)
    store.close()


# --- assembling --------------------------------------------------------------------------------

OPEN = 1704080700000000000  # 2024-01-01 09:15 in India
NIGHT = 24 * 60 * MINUTE


def sessions(days: int, minutes: int) -> list[Session]:
    return [
        Session(date(2024, 1, 1 + d), ((OPEN + d * NIGHT, OPEN + d * NIGHT + minutes * MINUTE),))
        for d in range(days)
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Packed], Grid, int]:
    """Segments of random live bars, a grid of some of their sessions, and where prices end."""
    days, minutes = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    all_days = sessions(days, minutes)
    whole = Grid(all_days, MINUTE)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chance = draw(st.sampled_from([0.2, 0.6, 1.0]))
    cut = draw(st.integers(0, days))
    columns = {name: draw(st.booleans()) for name in ("volume", "oi", "bid", "ask")}
    packed = []
    for part in (range(cut), range(cut, days)):
        bars = np.array([b for b in range(whole.n) if whole.session(b) in part], dtype=np.int64)
        live = bars[rng.random(len(bars)) < chance]
        if not len(live):
            continue
        prices = rng.integers(100, 200, (4, len(live)))
        low, high = prices.min(axis=0), prices.max(axis=0)
        rest = {
            name: rng.integers(1, 99, len(live)).astype(
                np.int64 if name in ("volume", "oi") else np.int32
            )
            for name, there in columns.items()
            if there and (name not in ("volume",) or rng.random() < 0.8)
        }
        traded = np.isin(whole.session_of, whole.session_of[live])
        made = Bars(whole.starts[live], path_points(prices[0], high, low, prices[3]), **rest)  # type: ignore[arg-type]
        packed.append(Packed.read(pack(made, whole.starts[traded], MINUTE), "it"))
    first = draw(st.integers(0, days - 1))
    last = draw(st.integers(first, days - 1))
    skipped = draw(st.integers(0, days))
    kept = [s for i, s in enumerate(all_days) if first <= i <= last and i != skipped]
    grid = Grid(kept or all_days[:1], MINUTE)
    return packed, grid, draw(st.integers(1, grid.n))


@given(cases())
@settings(deadline=None, max_examples=300)
def test_assembled_prices_are_those_of_the_live_bars(case: tuple[list[Packed], Grid, int]) -> None:
    packed, grid, end = case
    pieces = places(packed, grid)
    found = assemble([p for some in pieces for p in some or ()], end, 100, Room(grid.n))
    want: PriceColumns | None = None
    live = on_grid([segment.decode() for segment in packed], grid) if packed else None
    if live is not None:
        inside = live[0] < end
        if inside.any():
            bars = live[1].take(inside)
            want = PriceColumns.from_live(
                live[0][inside], bars.points, 100, end=end,
                volume=bars.volume, oi=bars.oi, bid=bars.bid, ask=bars.ask,
            )  # fmt: skip
    assert None not in pieces
    if found is not None and want is not None:  # before they are unpacked
        assert [found.last("volume"), found.last("oi")] == [want.last("volume"), want.last("oi")]
    assert same(found, want)


def test_a_stale_bar_repeats_no_price_of_a_day_that_the_grid_lacks() -> None:
    days = sessions(3, 3)
    whole = Grid(days, MINUTE)
    live = np.array([1, 2, 3, 8])  # of the second day the first bar, of the third the last
    bars = Bars(whole.starts[live], np.repeat([100, 101, 150, 102], 4).astype(np.int32))
    segment = Packed.read(pack(bars, whole.starts, MINUTE), "it")
    grid = Grid([days[0], days[2]], MINUTE)
    found = assemble(places([segment], grid)[0] or [], grid.n, 100, Room(grid.n))
    assert found is not None
    assert found.points[3::4].tolist() == [100, 101, 101, 101, 102]
    assert found.live.tolist() == [True, True, False, False, True]


def test_a_grid_that_cuts_a_span_is_not_laid_in_pieces() -> None:
    whole = Grid(sessions(1, 4), MINUTE)
    bars = Bars(whole.starts.copy(), np.full(16, 100, dtype=np.int32))
    segment = Packed.read(pack(bars, whole.starts, MINUTE), "it")
    assert places([segment], Grid(sessions(1, 3), MINUTE)) == [None]
    assert places([segment], Grid(sessions(1, 4), 2 * MINUTE)) == [None]
    assert places([], whole) == []


def test_a_blob_of_another_length_is_damage() -> None:
    whole = Grid(sessions(1, 4), MINUTE)
    row = pack(Bars(whole.starts.copy(), np.full(16, 100, dtype=np.int32)), whole.starts, MINUTE)
    with pytest.raises(StoreCorrupt, match="different lengths"):
        Packed.read({**row, "bars": 5, "live_bars": 4}, "it")
