"""The rules for ticks, one by one, on a handful of rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused
from bestbt.markets.india import INDIA
from bestbt.store.quality import QualityReport
from bestbt.store.sanitise import Calendar
from bestbt.store.store import Store
from bestbt.store.tick_rules import TickRows, TickSheet, sanitise_ticks
from bestbt.store.ticks import Ticks
from bestbt.units import SECOND
from tests.vendors import ticks as vendor
from tests.vendors.ticks import demo_ticks

NIFTY = ContractSpec("index", "NIFTY")
CALL = ContractSpec("option", "NIFTY", date(2024, 2, 8), 22000.0, "CE", lot=50)
OPEN = INDIA.sessions(date(2024, 2, 1), date(2024, 2, 1))[0].open


def sanitised(
    *rows: tuple[Any, ...], spec: ContractSpec = CALL, volumes: Any = "each", sure: bool = True
) -> tuple[Ticks, QualityReport]:
    """Return rows of (second, price, volume, oi, bid, ask) as ticks, and the report."""
    columns = [np.array(c, dtype=np.float64) for c in zip(*rows, strict=True)]
    second, price, volume, oi, bid, ask = columns
    n = len(rows)
    time = OPEN + SECOND * second.astype(np.int64)
    line, code = np.arange(1, n + 1), np.zeros(n, dtype=np.int64)
    report = QualityReport("rows", "made", rows=n)
    sheet = TickSheet(
        TickRows(line, code, time, price, volume, oi, bid, ask), [spec], report, str, volumes, sure
    )
    ((_, ticks),) = sanitise_ticks(sheet, Calendar(INDIA))
    report.stored = len(ticks)
    assert report.balanced
    return ticks, report


def test_a_price_that_comes_and_goes_is_an_outlier() -> None:
    flat = [(i, 100, 50, 9, 0, 0) for i in range(5)]
    _, report = sanitised(*flat[:2], (2, 600, 50, 9, 0, 0), *flat[3:])
    assert report.quarantined == {"outlier": 1}
    # Less than five times; with a quote near it; for good; a few ticks of a small premium: not.
    for rows in (
        [*flat[:2], (2, 450, 50, 9, 0, 0), *flat[3:]],
        [*flat[:2], (2, 600, 50, 9, 590, 0), *flat[3:]],
        [*flat[:2], (2, 600, 50, 9, 0, 0), (3, 600, 50, 9, 0, 0), (4, 590, 50, 9, 0, 0)],
        [(0, 0.1, 50, 9, 0, 0), (1, 0.9, 50, 9, 0, 0), (2, 0.1, 50, 9, 0, 0)],
    ):
        assert sanitised(*rows)[1].quarantined == {}


def test_an_index_does_not_jump_by_a_tenth_and_back() -> None:
    def rows(price: float) -> list[tuple[Any, ...]]:
        return [(i, p, 0, 0, 0, 0) for i, p in enumerate((21700, 21701, price, 21702))]

    ticks, report = sanitised(*rows(24000), spec=NIFTY)
    assert report.quarantined == {"outlier": 1}
    assert ticks.price.tolist() == [2170000, 2170100, 2170200]
    assert ticks.volume is None
    assert sanitised(*rows(23000), spec=NIFTY)[1].quarantined == {}


def test_open_interest_and_volume_that_are_missing() -> None:
    nan = np.nan
    ticks, report = sanitised(
        (0, 100, 50, nan, 0, 0), (1, 101, nan, 900, 0, 0), (2, 102, -5, nan, 0, 0)
    )
    assert report.repaired == {"oi-carried": 2, "volume-mended": 2}
    assert ticks.oi is not None
    assert ticks.oi.tolist() == [0, 900, 900]
    assert ticks.quantity.tolist() == [50, 0, 0]
    assert ticks.traded.tolist() == [True, True, True]  # another price is a trade


def test_a_total_that_falls_has_not_grown() -> None:
    rows = [(i, 100, v, 9, 0, 0) for i, v in enumerate((50, 100, 0, 150, 150))]
    ticks, report = sanitised(*rows, volumes="total")
    assert report.repaired == {"volume-fell": 1}
    assert ticks.quantity.tolist() == [50, 50, 0, 50, 0]


@pytest.mark.parametrize(
    ("volume", "kind", "seen"),
    [
        (range(50, 1000, 50), True, "the day's so far (it fell in 0 of 18 changes)"),
        ([50, 0] * 9, False, "each tick's own (it fell in 9 of 17 changes)"),
        ([50, 100, 150], False, "each tick's own (too few changes to tell"),
    ],
)
def test_what_volume_is_is_seen(volume: Any, kind: bool, seen: str) -> None:
    rows = [(i, 100 + i % 2, v, 9, 0, 0) for i, v in enumerate(volume)]
    ticks, report = sanitised(*rows, sure=False)
    assert ticks.totals is kind
    assert any(seen in remark for remark in report.remarks)


def test_a_price_of_another_day_is_left_out() -> None:
    rows = [(0, 90, 0, 9, 99, 101), (1, 90, 0, 9, 99, 102), (2, 100, 50, 9, 99, 101)]
    ticks, report = sanitised(*rows)
    assert report.repaired == {"not-traded-yet": 2}
    assert ticks.price.tolist() == [0, 0, 10000]
    assert ticks.known.tolist() == [10000, 10050, 10000]
    assert ticks.live.all()
    assert not ticks.traded[0]


def test_without_any_quote_there_are_no_sides() -> None:
    ticks, _ = sanitised((0, 100, 50, 9, 0, 0), (1, 101, 50, 9, 0, 0))
    assert ticks.bid is None
    assert ticks.ask is None


def test_the_close_itself_is_outside() -> None:
    last = 375 * 60
    _, report = sanitised((last - 1, 100, 50, 9, 0, 0), (last, 100, 50, 9, 0, 0))
    assert report.quarantined == {"at-close": 1}


def test_another_index_is_refused(store: Store, tmp_path: Path) -> None:
    day = date(2024, 1, 3)
    made = demo_ticks(day, ("NIFTY",))["NIFTY"]
    starts = made.bars.starts
    with store.importing("BANKNIFTY's level") as tx:
        tx.write(NIFTY, starts, np.full(4 * len(starts), 4_800_000))
    file = vendor.write_gdfl(tmp_path, [made])
    with pytest.raises(ImportRefused, match="it looks like another index"):
        store.import_file(file, progress=False)
    assert store.import_file(file, progress=False, check_level=False).stored == len(made.ticks)
