"""Two days of the demo market, from which vendors' files are written and to which they return."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import pandas as pd

from bestbt.markets.demo import DemoSeries, generate
from bestbt.store.store import Store

START, END = date(2024, 1, 3), date(2024, 1, 4)  # the second is an expiry day
WEEKLY, MONTHLY = date(2024, 1, 4), date(2024, 1, 25)


@lru_cache(maxsize=1)
def series() -> tuple[DemoSeries, ...]:
    """Index, volatility index, futures and options of NIFTY."""
    return tuple(generate("NIFTY", START, END))


@lru_cache(maxsize=1)
def chosen() -> tuple[DemoSeries, ...]:
    """Of them a few of each kind: what one file holds."""
    everything = series()
    index, vix = everything[:2]
    future = next(s for s in everything if s.spec.asset == "future")
    near = [s for s in everything if s.spec.expiry == WEEKLY and abs(_strike(s) - 21_700) <= 100]
    far = [s for s in everything if s.spec.expiry == MONTHLY and _strike(s) == 21_500]
    return (index, vix, future, *near, *far)


def weekly() -> list[DemoSeries]:
    """Options of the nearest expiry."""
    return [s for s in series() if s.spec.expiry == WEEKLY]


def _strike(one: DemoSeries) -> float:
    return one.spec.strike or 0.0


def bars(one: DemoSeries) -> pd.DataFrame:
    """A series as `Store.prices` returns it."""
    quads = one.points.reshape(-1, 4) / one.spec.scale
    table = {
        "open": quads[:, 0],
        "high": quads.max(axis=1),
        "low": quads.min(axis=1),
        "close": quads[:, 3],
    }
    for name in ("volume", "oi"):
        if (values := getattr(one, name)) is not None:
            table[name] = values
    index = pd.DatetimeIndex(one.starts, tz="UTC").tz_convert("Asia/Kolkata").rename("time")
    return pd.DataFrame(table, index=index)


def returned(store: Store, expected: Sequence[DemoSeries]) -> None:
    """Hold the store's bars of these series, all of them and no more, against their source."""
    for one in expected:
        got = store.prices(str(one.spec))
        pd.testing.assert_frame_equal(got, bars(one), check_exact=True, check_freq=False)
    assert int(store.coverage()["rows"].sum()) == sum(len(one.starts) for one in expected)
