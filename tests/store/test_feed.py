"""What a run reads: its grid, its contracts, their prices; and from where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import path_points
from bestbt.errors import ContractNotFound, DataGap, UsageError
from bestbt.markets.india import INDIA
from bestbt.store.store import Store
from bestbt.units import MINUTE

NIFTY = ContractSpec("index", "NIFTY")
WEEK = Grid(INDIA.sessions(date(2024, 2, 1), date(2024, 2, 9)), MINUTE)  # Thursday to Friday
EXPIRY = date(2024, 2, 8)
CALL = ContractSpec("option", "NIFTY", EXPIRY, 22000.0, "CE", lot=50)
PUT = ContractSpec("option", "NIFTY", EXPIRY, 22000.0, "PE", lot=50)
FAR = ContractSpec("option", "NIFTY", date(2024, 2, 29), 21000.0, "PE", lot=50)


def points(n: int, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    o, c = rng.integers(9000, 9999, (2, n))
    return path_points(o, np.maximum(o, c) + 7, np.minimum(o, c) - 9, c)


@pytest.fixture
def week(store: Store) -> Store:
    """NIFTY on 1, 2, 6, 7, 8 and 9 February (not the 5th), a call from the second day on."""
    there = WEEK.starts[np.array([WEEK.day(i) != date(2024, 2, 5) for i in range(WEEK.n)])]
    with store.importing("made", synthetic=True) as tx:
        tx.write(NIFTY, there, points(len(there)))
        some = WEEK.starts[[400, 402, 800, 2000, WEEK.lasts[6]]]  # the last: after the expiry
        volume, oi = np.arange(1, 6) * 50, np.arange(1, 6) * 500
        tx.write(CALL, some, points(5, 2), volume, oi, bid=points(20, 3)[:5], ask=points(20, 4)[:5])
        tx.write(PUT, WEEK.starts[:3], points(3, 5), np.full(3, 50), np.full(3, 50))
        tx.write(FAR, WEEK.starts[-1:], points(1, 6), np.full(1, 50), np.full(1, 50))
        tx.close("NIFTY", EXPIRY, 2171795, "by hand")
    return store


@pytest.fixture
def asked(week: Store) -> Iterator[list[str]]:
    """Every statement sent to the database, in order."""
    seen: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(week.engine, "before_cursor_execute", note)
    yield seen
    event.remove(week.engine, "before_cursor_execute", note)


def test_the_grid_has_the_days_with_an_index(week: Store) -> None:
    feed = week.feed("NIFTY", "2024-02-02", "2024-02-08")
    assert [s.day.day for s in feed.grid.sessions] == [2, 6, 7, 8]
    assert feed.missing_days == (date(2024, 2, 5),)
    assert feed.start_bar == 0
    warm = week.feed(["NIFTY"], date(2024, 2, 6), date(2024, 2, 8), warmup=2)
    assert [s.day.day for s in warm.grid.sessions] == [1, 2, 6, 7, 8]
    assert warm.start_bar == 750
    assert warm.grid.day(warm.start_bar) == date(2024, 2, 6)


def test_a_weekend_is_no_gap(week: Store) -> None:
    assert week.feed("NIFTY", "2024-02-01", "2024-02-11").grid.n == 6 * 375


def test_stale_bars_and_ends(week: Store) -> None:
    feed = week.feed("NIFTY", "2024-02-02", "2024-02-09")
    grid = feed.grid
    columns = feed.columns(CALL)
    assert columns is not None
    live = [grid.at_or_before(int(WEEK.starts[i])) for i in (400, 402, 800, 2000)]
    assert grid.sessions[1].day == date(2024, 2, 6)
    kept = [bar for bar, i in zip(live, (400, 402, 800, 2000), strict=True) if WEEK.day(i).day != 5]
    assert columns.first == kept[0]
    assert np.flatnonzero(columns.live).tolist() == [bar - columns.first for bar in kept]
    expiry = grid.session_from(EXPIRY)
    assert columns.end == grid.lasts[expiry] + 1
    assert columns.oi is not None
    assert columns.volume is not None
    assert columns.bid is not None
    assert columns.oi[1] == columns.oi[0] == 500
    assert columns.volume[1] == 0
    assert columns.bid[1] == 0
    assert columns.close[1] == columns.open[1] == columns.close[0]
    with pytest.raises(ValueError, match="read-only"):
        columns.points[0] = 1


def test_a_contract_without_a_bar_on_the_grid_has_no_prices(week: Store) -> None:
    feed = week.feed("NIFTY", "2024-02-06", "2024-02-08")
    assert feed.columns(PUT) is None


def test_listed_reads_no_prices(week: Store, asked: list[str]) -> None:
    feed = week.feed("NIFTY", "2024-02-02", "2024-02-08")
    asked.clear()
    chain = feed.listed("NIFTY", EXPIRY)
    assert [(x.spec, x.first) for x in chain] == [(CALL, 25), (PUT, 0)]
    assert feed.listed("NIFTY", EXPIRY) is chain
    assert sum("options_contract" in s for s in asked) == 1
    assert not any("segment" in s for s in asked)
    assert feed.listed("NIFTY", date(2024, 2, 29)) == []  # it trades only after the grid's end


def test_a_second_run_reads_no_prices(week: Store, asked: list[str]) -> None:
    def run() -> list[Any]:
        feed = week.feed("NIFTY", "2024-02-01", "2024-02-08")
        return [feed.columns(spec) for spec in (feed.spot("NIFTY"), CALL, PUT)]

    first = run()
    assert any("segment" in s for s in asked)
    asked.clear()
    second = run()
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert not any("segment" in s for s in asked)


def test_an_import_is_seen_by_the_next_run(week: Store) -> None:
    before = week.feed("NIFTY", "2024-02-01", "2024-02-08")
    print_before = week.fingerprint(["NIFTY"], "2024-02-01", "2024-02-08")
    old = before.columns(before.spot("NIFTY"))
    with week.importing("more") as tx:
        day = WEEK.starts[(WEEK.starts >= WEEK.sessions[2].open)][:375]
        tx.write(NIFTY, day, points(375, 9))
    after = week.feed("NIFTY", "2024-02-01", "2024-02-08")
    new = after.columns(after.spot("NIFTY"))
    assert old is not None
    assert new is not None
    assert (old.n, new.n) == (5 * 375, 6 * 375)
    assert after.missing_days == ()
    assert week.fingerprint(["NIFTY"], "2024-02-01", "2024-02-08") != print_before


def test_the_fingerprint_is_of_the_content(week: Store, tmp_path: Path) -> None:
    """The same bars written in another order, in parts, to another store."""
    other = Store.open(tmp_path / "other.sqlite")
    starts = WEEK.starts[:750]
    values = points(750)
    for number, store in enumerate((other, Store.open(tmp_path / "third.sqlite"))):
        with store.importing("x") as tx:
            halves = (
                (slice(0, 375), slice(375, 750)) if number else (slice(375, 750), slice(0, 375))
            )
            for half in halves:
                tx.write(NIFTY, starts[half], values.reshape(-1, 4)[half].ravel())
        if number:
            days = ("2024-02-01", "2024-02-09")
            assert store.fingerprint(["NIFTY"], *days) == other.fingerprint(["NIFTY"], *days)
            assert store.fingerprint(["NIFTY"], *days) != week.fingerprint(["NIFTY"], *days)
        store.close()


def test_longer_bars_keep_the_order_of_extremes(week: Store) -> None:
    fine = week.feed("NIFTY", "2024-02-01", "2024-02-02")
    coarse = week.feed("NIFTY", "2024-02-01", "2024-02-02", step=10 * MINUTE)
    a, b = fine.columns(fine.spot("NIFTY")), coarse.columns(coarse.spot("NIFTY"))
    assert a is not None
    assert b is not None
    assert coarse.grid.n == 2 * 38
    at = 0
    for i in range(coarse.grid.n):
        size = 5 if i in (37, 75) else 10
        path = a.points[4 * at : 4 * (at + size)].tolist()
        extremes = sorted((path.index(max(path)), path.index(min(path))))
        assert b.points[4 * i : 4 * i + 4].tolist() == [
            *(path[0], path[extremes[0]], path[extremes[1]], path[-1])
        ]
        at += size
    with pytest.raises(DataGap, match="multiple"):
        week.feed("NIFTY", "2024-02-01", "2024-02-02", step=MINUTE // 2)


def test_official_closes(week: Store) -> None:
    feed = week.feed("NIFTY", "2024-02-01", "2024-02-08")
    assert feed.official_close("NIFTY", EXPIRY) == 2171795
    assert feed.official_close("NIFTY", date(2024, 2, 7)) is None


def test_what_is_asked_and_not_there_is_told(week: Store) -> None:
    with pytest.raises(ContractNotFound, match=r"No 'NIFTI' in the store; it has NIFTY"):
        week.feed("NIFTI", "2024-02-01", "2024-02-02")
    with pytest.raises(DataGap, match="NIFTY from 2024-02-01 to 2024-02-09"):
        week.feed("NIFTY", "2024-01-01", "2024-02-02")
    with pytest.raises(DataGap, match="no bar from 2024-02-05"):
        week.feed("NIFTY", "2024-02-05", "2024-02-05")
    with pytest.raises(DataGap, match="no trading day"):
        week.feed("NIFTY", "2024-02-03", "2024-02-04")
    with pytest.raises(DataGap, match="warm-up of 9 sessions"):
        week.feed("NIFTY", "2024-02-08", "2024-02-08", warmup=9)
    with pytest.raises(UsageError, match="ends before it starts"):
        week.feed("NIFTY", "2024-02-08", "2024-02-01")
    with pytest.raises(UsageError, match="is no day"):
        week.feed("NIFTY", "8 Feb", "2024-02-09")
    feed = week.feed("NIFTY", "2024-02-01", "2024-02-08")
    with pytest.raises(ContractNotFound, match="99999 CE"):
        feed.columns(ContractSpec("option", "NIFTY", EXPIRY, 99999.0, "CE"))


def test_an_empty_store_says_how_to_fill_it(store: Store) -> None:
    assert store.is_empty
    assert store.coverage().empty
    with pytest.raises(ContractNotFound, match="bestbt demo"):
        store.feed("NIFTY", "2024-02-01", "2024-02-02")


def test_synthetic_is_marked(week: Store) -> None:
    assert week.synthetic("NIFTY")
    assert week.coverage()["synthetic"].all()
    assert not week.synthetic("BANKNIFTY")


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_contract_is_listed_with_the_bar_that_holds_its_first_price(
    week: Store, minutes: int
) -> None:
    feed = week.feed("NIFTY", date(2024, 2, 1), date(2024, 2, 9), step=minutes * MINUTE)
    for row in feed.listed("NIFTY", EXPIRY):
        columns = feed.columns(row.spec)
        assert columns is not None
        assert row.first == columns.first
    (expiry, *_) = feed.expiries("NIFTY")
    assert (expiry.day, expiry.first) == (EXPIRY, 0)


def test_symbols_are_run_on_days_that_all_of_them_cover(week: Store) -> None:
    later = WEEK.starts[WEEK.firsts[3] :]
    with week.importing("made too", synthetic=True) as tx:
        tx.write(ContractSpec("index", "BANKNIFTY"), later, points(len(later), 9))
    with pytest.raises(DataGap, match=r"BANKNIFTY.* from 2024-02-06"):
        week.feed(["NIFTY", "BANKNIFTY"], date(2024, 2, 1), date(2024, 2, 9))
    assert week.feed(["NIFTY", "BANKNIFTY"], date(2024, 2, 6), date(2024, 2, 9)).grid.n == 4 * 375
