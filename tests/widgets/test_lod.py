"""What is sent for the stretch seen: candles and lines, against loops anyone can read."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.grid import Grid
from bestbt.units import MINUTE, SECOND
from bestbt.widgets.lod import LADDER, candles, thin
from bestbt.widgets.ticks import Ticks, round_values
from tests.widgets.fake_run import KOLKATA, make_grid, make_prices

GRID = make_grid(23, minutes=97)  # no timeframe divides the session
PRICES = make_prices(GRID.n - 40, first=40)
MINUTES = {"1 min": 1, "3 min": 3, "5 min": 5, "15 min": 15, "30 min": 30, "1 hour": 60}


def bucket(bar: int, timeframe: str) -> object:
    """Return what two bars of one candle have in common, from their local times alone."""
    local = GRID.local(bar)
    if timeframe == "week":
        return local.isocalendar()[:2]
    if timeframe == "session":
        return local.date()
    opened = datetime(local.year, local.month, local.day, 9, 15, tzinfo=KOLKATA)
    minutes = int((local - opened).total_seconds()) // 60
    return local.date(), minutes // MINUTES[timeframe]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(-20, GRID.n + 20),
    st.integers(0, GRID.n),
    st.integers(5, 400),
    st.integers(0, GRID.n - 1),
)
def test_candles_are_those_of_a_loop(lo: int, length: int, budget: int, newest: int) -> None:
    hi = lo + length
    last = min(newest, PRICES.end - 1)
    seen = candles(GRID, PRICES, lo, hi, budget, newest)
    bars = range(max(lo, PRICES.first), min(hi, last) + 1)
    if not bars:
        assert seen is None
        return
    assert seen is not None
    assert len(seen.x) <= budget
    groups: dict[object, list[int]] = {}
    for bar in range(PRICES.first, last + 1):
        groups.setdefault(bucket(bar, seen.timeframe), []).append(bar)
    wanted = [g for g in groups.values() if g[-1] >= bars[0] and g[0] <= bars[-1]][-budget:]
    rows = [
        (
            (g[0] + g[-1]) / 2,
            PRICES.open[g[0] - PRICES.first],
            max(PRICES.high[b - PRICES.first] for b in g),
            min(PRICES.low[b - PRICES.first] for b in g),
            PRICES.close[g[-1] - PRICES.first],
        )
        for g in wanted
    ]
    got = list(zip(seen.x, seen.open, seen.high, seen.low, seen.close, strict=True))
    assert got == rows
    assert all(array.dtype == np.float64 for array in (seen.x, seen.open, seen.high, seen.close))


def test_the_finest_timeframe_that_fits_is_taken() -> None:
    def timeframe(bars: int, budget: int) -> str:
        seen = candles(GRID, PRICES, 97, 97 + bars - 1, budget, GRID.n)
        assert seen is not None
        return seen.timeframe

    assert timeframe(97, 97) == "1 min"
    assert timeframe(97, 96) == "3 min"
    assert timeframe(97 * 10, 10) == "session"
    assert timeframe(97 * 10, 9) == "week"


def test_a_bar_of_five_minutes_has_no_finer_candles() -> None:
    grid = Grid(GRID.sessions, 5 * MINUTE)
    seen = candles(grid, make_prices(grid.n), 0, 10, 500, grid.n)
    assert seen is not None
    assert seen.timeframe == "5 min"
    assert LADDER.index("5 min") < LADDER.index("session")


def test_seconds_have_candles_of_seconds() -> None:
    grid = Grid(GRID.sessions[:1], SECOND)
    prices = make_prices(grid.n)
    for bars, timeframe in ((90, "1 s"), (400, "5 s"), (1400, "15 s"), (5000, "1 min")):
        seen = candles(grid, prices, 100, 100 + bars, 100, grid.n)
        assert seen is not None
        assert seen.timeframe == timeframe


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(10, 300), st.integers(0, 9))
def test_a_thinned_line_keeps_its_extremes_and_its_ends(
    lo: int, hi: int, budget: int, seed: int
) -> None:
    lo, hi = min(lo, hi), max(lo, hi)
    x = np.arange(3000, dtype=np.float64)
    y = np.cumsum(np.random.default_rng(seed).normal(size=3000))
    some_x, some_y = thin(x, y, lo, hi, budget)
    seen = [(a, b) for a, b in zip(x, y, strict=True) if lo - 1 <= a <= hi + 1]
    assert len(some_x) <= budget + 2
    assert set(zip(some_x, some_y, strict=True)) <= set(seen)
    assert (np.diff(some_x) > 0).all()
    assert (some_x[0], some_x[-1]) == (seen[0][0], seen[-1][0])
    assert (some_y.min(), some_y.max()) == (min(b for _, b in seen), max(b for _, b in seen))


def test_every_tick_that_can_be_shown_has_its_label() -> None:
    grid = make_grid(130)
    ticks = Ticks(grid, 0, grid.n - 1)
    for length in (20, 100, 375, 2_000, 9_000, grid.n):
        for lo in range(0, grid.n - length + 1, 7_777):
            shown = ticks.within(lo - 0.5, lo + length)
            assert len(shown) <= 11
            for bar in shown.tolist():
                local = grid.local(bar)
                text = local.strftime("%d %b" if bar in grid.firsts else "%H:%M")
                assert ticks.labels[str(bar)] == text
    assert len(ticks.labels) < 15_000


def test_days_are_separated_while_they_can_be_told_apart() -> None:
    grid = make_grid(60)
    ticks = Ticks(grid, 0, grid.n - 1)
    assert ticks.separators(0, 375 * 3).tolist() == [0, 375, 750]
    assert ticks.separators(0, grid.n).tolist() == []


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 1.0), (-1.0, 0.0), (-12_345.6, 99.0), (2e4, 2e4 + 3)])
def test_values_on_an_axis_are_round_and_few(lo: float, hi: float) -> None:
    values = round_values(lo, hi, 6)
    assert 2 <= len(values) <= 7
    assert lo <= values[0]
    assert values[-1] <= hi
    (step,) = {float(f"{d:.9g}") for d in np.diff(values)}
    assert f"{step:e}"[0] in "125"
    assert all(abs(v / step - round(v / step)) < 1e-9 for v in values)
