"""Vendors' ticks: what was written comes back; dirt is named and counted; the real files."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.store import Store
from tests.vendors import ticks as vendor
from tests.vendors.ticks import Contract, Tick, demo_ticks

DAY = date(2024, 1, 3)
INDEX, FUTURE = "NIFTY", "NIFTY 2024-01-25 FUT"
CALL, PUT = "NIFTY 2024-01-04 21700 CE", "NIFTY 2024-01-04 21700 PE"
IST = ZoneInfo("Asia/Kolkata")
REAL = ("BANKNIFTY21SEP35300CE_2021_08_20.txt.gz", "BANKNIFTY21SEP35300PE_2021_08_20.txt.gz")


@pytest.fixture(scope="module")
def made() -> dict[str, Contract]:
    return demo_ticks(DAY, (INDEX, FUTURE, CALL, PUT))


def moments(table: pd.DataFrame) -> list[int]:
    return [int(time) for time in pd.DatetimeIndex(table.index).as_unit("ns").asi8]


def told(ticks: list[Tick]) -> list[tuple[int, float, int, int]]:
    return [(t.time, t.price / 100, t.qty, t.oi) for t in ticks]


def stored(store: Store, name: str) -> list[tuple[int, float, int, int]]:
    table = store.prices(name, bar=None)
    zeros = np.zeros(len(table), dtype=int)
    volume, oi = (table.get(c, zeros) for c in ("volume", "oi"))
    return list(zip(moments(table), table["price"], volume, oi, strict=True))


def bars_again(store: Store, each: Contract) -> None:
    """The minutes made of the ticks are those that the ticks were made in."""
    table = store.prices(str(each.spec))
    quads = each.bars.points.reshape(-1, 4) / 100
    assert moments(table) == each.bars.starts.tolist()
    assert np.array_equal(table["open"], quads[:, 0])
    assert np.array_equal(table["high"], quads.max(axis=1))
    assert np.array_equal(table["low"], quads.min(axis=1))
    assert np.array_equal(table["close"], quads[:, 3])
    if each.bars.volume is not None and each.bars.oi is not None:
        assert table["volume"].tolist() == each.bars.volume.tolist()
        assert table["oi"].tolist() == each.bars.oi.tolist()


def path_again(store: Store, each: Contract) -> None:
    """So is the order of their extremes."""
    feed = store.feed("NIFTY", DAY, DAY)
    columns = feed.columns(each.spec)
    assert columns is not None
    found = columns.points.reshape(-1, 4)[columns.live].tolist()
    for bar, path in zip(found, each.bars.points.reshape(-1, 4).tolist(), strict=True):
        first, second = sorted((path.index(max(path)), path.index(min(path))))
        assert bar == [path[0], path[first], path[second], path[-1]]


def test_a_brokers_ticks_come_back(store: Store, made: dict[str, Contract], tmp_path: Path) -> None:
    report = store.import_file(vendor.write_depth(tmp_path, made[CALL]), progress=False)
    assert report.balanced
    assert report.quarantined == report.repaired == {}
    assert report.stored == len(made[CALL].ticks)
    assert stored(store, CALL) == told(made[CALL].ticks)
    bars_again(store, made[CALL])
    row = store.coverage().iloc[0]
    assert (row["bar"], row["contracts"], row["rows"]) == ("tick", 1, report.stored)
    assert row["start"] == pd.Timestamp(made[CALL].ticks[0].time, tz="UTC")
    assert row["end"] == pd.Timestamp(made[CALL].ticks[-1].time, tz="UTC")


def test_a_brokers_dirt_is_named(store: Store, made: dict[str, Contract], tmp_path: Path) -> None:
    put = made[PUT]
    report = store.import_file(vendor.write_depth(tmp_path, put, dirt=True), progress=False)
    assert report.balanced
    assert report.rows == len(put.ticks) + 9
    assert report.quarantined == {
        **{"unreadable-row": 2, "clock-unset": 1, "after-close": 1},
        **{"tick-again": 3, "before-open": 2},
    }
    assert report.repaired["sorted"] == 1
    assert stored(store, PUT) == told(put.ticks)
    bars_again(store, put)


def test_gdfl_comes_back(store: Store, made: dict[str, Contract], tmp_path: Path) -> None:
    file = vendor.write_gdfl(tmp_path, made.values())
    report = store.import_file(file, progress=False)
    assert report.balanced
    assert report.quarantined == {}
    assert report.contracts == 4
    assert any(r.startswith("volume is each tick's own (it fell") for r in report.remarks)
    for name, each in made.items():
        assert stored(store, name) == told(each.ticks)
        bars_again(store, each)
        path_again(store, each)


def test_gdfls_dirt_is_named(store: Store, made: dict[str, Contract], tmp_path: Path) -> None:
    file = vendor.write_gdfl(tmp_path, [made[CALL], made[FUTURE]], dirt=True)
    report = store.import_file(file, progress=False)
    assert report.balanced
    assert report.quarantined == {
        **{"ragged-row": 1, "price-not-positive": 2, "after-close": 1, "before-open": 1},
        **{"tick-again": 1, "outlier": 1},
    }
    assert report.repaired == {"crossed-quotes": 1, "sorted": 1}
    bars_again(store, made[CALL])
    kept = [row for row in stored(store, CALL) if row[2]]
    assert Counter(kept) == Counter(row for row in told(made[CALL].ticks) if row[2])


@pytest.mark.parametrize("totals", [True, False])
def test_truedata_comes_back(
    store: Store, made: dict[str, Contract], tmp_path: Path, totals: bool
) -> None:
    for name in (CALL, FUTURE, INDEX):
        file = vendor.write_truedata(tmp_path, made[name], totals=totals)
        report = store.import_file(file, progress=False)
        assert report.balanced
        assert report.quarantined == {}
        kind = "the day's so far" if totals else "each tick's own"
        assert name == INDEX or any(r.startswith(f"volume is {kind}") for r in report.remarks)
        assert stored(store, name) == told(made[name].ticks)
        bars_again(store, made[name])


def test_a_file_twice_and_a_later_part_add_what_is_new(
    store: Store, made: dict[str, Contract], tmp_path: Path
) -> None:
    """A recording of the morning, then of the whole day, then the same again."""
    each, half = made[CALL], len(made[CALL].ticks) // 2
    while each.ticks[half].time == each.ticks[half - 1].time:  # nobody knows the order across files
        half += 1
    morning = store.import_file(
        vendor.write_depth(tmp_path, each, part=slice(0, half)), progress=False
    )
    assert morning.stored == half
    whole = vendor.write_depth(tmp_path, each)
    report = store.import_file(whole, progress=False)
    assert report.noted["tick-known"] == half
    assert stored(store, CALL) == told(each.ticks)
    before = store.fingerprint(["NIFTY"], DAY, DAY)
    assert store.import_file(whole, progress=False).already
    again = store.import_file(whole, progress=False, again=True)
    assert again.noted["tick-known"] == len(each.ticks)
    assert store.fingerprint(["NIFTY"], DAY, DAY) == before
    other = Store.open(tmp_path / "other.sqlite")
    for part in (slice(half, None), slice(0, half)):  # the afternoon first
        other.import_file(vendor.write_depth(tmp_path, each, part=part), progress=False)
    assert other.fingerprint(["NIFTY"], DAY, DAY) == before
    other.close()


def test_ticks_of_two_kinds_of_volume_are_not_mixed(
    store: Store, made: dict[str, Contract], tmp_path: Path
) -> None:
    store.import_file(vendor.write_depth(tmp_path, made[CALL]), progress=False)
    with pytest.raises(ImportRefused, match="come from another source"):
        store.import_file(vendor.write_gdfl(tmp_path, [made[CALL]]), progress=False)
    assert stored(store, CALL) == told(made[CALL].ticks)


def test_what_cannot_be_read_is_told(store: Store, tmp_path: Path) -> None:
    rows = "20240103,09:15:02,152.3,75,100,152.1,75,152.4,150\n"
    file = tmp_path / "my_prices.csv"
    file.write_text(rows)
    with pytest.raises(
        ImportRefused, match=r"(?s)unreadable-symbol.*my_prices, from the file's name"
    ):
        store.import_file(file, progress=False)
    report = store.import_file(file, symbol=CALL, progress=False)
    assert any("too few changes to tell" in r for r in report.remarks)
    with pytest.raises(ImportRefused, match='"total"'):
        store.import_file(file, symbol=CALL, progress=False, again=True, volumes="daily")
    with pytest.raises(ImportRefused, match=r"No option 'bar' for ticks of TrueData"):
        store.import_file(file, symbol=CALL, progress=False, again=True, bar="1s")
    two = tmp_path / "two.txt"
    line = "{{'instrument_token': {}, 'last_price': 1.0, 'timestamp': '2024-01-03T09:20:00'}}\n"
    two.write_text(line.format(1) + line.format(2))
    with pytest.raises(ImportRefused, match="2 instruments"):
        store.import_file(two, progress=False)
    deep = tmp_path / "deep.txt"
    deep.write_text(line.format(1) + "{'last_price': " + "[" * 5000 + "\n")
    report = store.import_file(deep, symbol="NIFTY", progress=False)
    assert report.quarantined == {"unreadable-row": 1}


# --- the real files ------------------------------------------------------------------------------


def raw_lines(path: Path) -> list[tuple[str, str, float, int, int, float, float]]:
    """Return (line, time, price, volume, oi, bid, ask) in the file's order."""
    found = []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():

        def one(pattern: str, line: str = line) -> str:
            match = re.search(pattern, line)
            assert match is not None
            return match[1]

        price = r": \[\{'quantity': \d+, 'price': ([\d.]+)"
        found.append(
            (
                line,
                one(r" 'timestamp': '([^']+)'"),
                float(one(r"'last_price': ([\d.]+)")),
                int(one(r"'volume': (\d+)")),
                int(one(r"'oi': (\d+)")),
                float(one(f"'buy'{price}")),
                float(one(f"'sell'{price}")),
            )
        )
    return found


@pytest.mark.parametrize(
    ("file", "rows", "twice", "trades", "volume"),
    [(REAL[0], 3654, 112, 694, 21575), (REAL[1], 15504, 560, 515, 15975)],
)
def test_the_real_files(
    store: Store, shared: Path, file: str, rows: int, twice: int, trades: int, volume: int
) -> None:
    path = shared / "data" / "ticks" / file
    lines = raw_lines(path)
    report = store.import_file(path, progress=False)
    day = "2021-08-20"
    inside = [x for x in lines if f"{day}T09:15:00" <= x[1] < f"{day}T15:30:00"]
    assert len(lines) == report.rows == rows
    assert len(lines) - len({x[0] for x in lines}) == twice
    assert report.quarantined == {
        "clock-unset": sum(x[1].startswith("1970") for x in lines),
        "after-close": sum(x[1] >= f"{day}T15:30:00" for x in lines),
        "tick-again": twice,
    }
    assert report.balanced
    assert report.stored == len({x[0] for x in inside})
    table = store.prices(f"BANKNIFTY 2021-09-30 35300 {file[19:21]}", bar=None)
    assert len(table) == report.stored
    assert int(table["volume"].sum()) == max(x[3] for x in lines) == volume
    # Trades: in the file's reversed order, the price or the volume is another than before.
    unique = list(dict.fromkeys(x[0] for x in lines))
    by_line = {x[0]: x for x in inside}
    kept = [by_line[text] for text in reversed(unique) if text in by_line]
    times = [datetime.fromisoformat(x[1]).replace(tzinfo=IST) for x in kept]
    assert times == [t.to_pydatetime() for t in table.index]
    moved = sum(b[3] > a[3] or b[2] != a[2] for a, b in pairwise(kept))
    assert moved == trades
    assert [x[4] for x in kept] == table["oi"].tolist()
    assert [x[5] for x in kept] == table["bid"].fillna(0).tolist()
    assert [x[6] for x in kept] == table["ask"].fillna(0).tolist()
    begun = next(i for i, x in enumerate(kept) if x[3] or x[2] != kept[0][2])
    assert table["price"].isna().sum() == begun
    assert [x[2] for x in kept[begun:]] == table["price"].iloc[begun:].tolist()
    # Minutes: the open, extremes and close of the trades in each, counted one by one.
    minutes: dict[str, list[float]] = {}
    for a, b in zip([kept[0], *kept], kept, strict=False):
        if b[3] > a[3] or b[2] != a[2]:
            minutes.setdefault(b[1][:16], []).append(b[2])
    bars = store.prices(f"BANKNIFTY 2021-09-30 35300 {file[19:21]}")
    assert len(bars) == len({x[1][:16] for x in kept})  # quoted in every minute there is
    for minute, prices in minutes.items():
        bar = bars.loc[pd.Timestamp(minute, tz=IST)]
        four = (prices[0], max(prices), min(prices), prices[-1])
        assert (bar["open"], bar["high"], bar["low"], bar["close"]) == four
