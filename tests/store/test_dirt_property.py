"""Random dirt of known kinds is counted under its names, and what was clean is what is stored."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bestbt.store.store import Store
from tests.store.clean_market import CALL, PRICES, clean, name, save, seen

DAY = "2024-02-05"
SOURCE = clean((DAY,), strikes=(22000,)).astype({"time": object})
SYMBOLS = ("NIFTY", CALL, CALL.replace("CE", "PE"))
OPTIONS = SYMBOLS[1:]
SLOTS = range(4, 370, 5)  # apart, so that a bar's neighbours are clean


class Dirt(NamedTuple):
    """A kind of dirt: what it does to a row, where that is counted, and what is stored of it."""

    spoil: Callable[[pd.Series], pd.Series]
    dealt: str
    rule: str
    added: bool = False  # a row beside the clean one, which stays
    first: bool = False  # … at the beginning of the file
    only: tuple[str, ...] = SYMBOLS


def put(**values: object) -> Callable[[pd.Series], pd.Series]:
    return lambda row: row.where(~row.index.isin(list(values)), pd.Series(values))


def times(factor: float, *columns: str) -> Callable[[pd.Series], pd.Series]:
    def spoil(row: pd.Series) -> pd.Series:
        row = row.copy()
        for column in columns:
            row[column] = round(row[column] * factor, 2)
        return row

    return spoil


def plus(value: float, *columns: str) -> Callable[[pd.Series], pd.Series]:
    def spoil(row: pd.Series) -> pd.Series:
        row = row.copy()
        for column in columns:
            row[column] = round(row[column] + value, 2)
        return row

    return spoil


def at(text: str) -> Callable[[pd.Series], pd.Series]:
    return put(time=text)


def crossed(row: pd.Series) -> pd.Series:
    row = row.copy()
    row["high"], row["low"] = row["low"], row["high"]
    return row


KINDS: dict[str, Dirt] = {
    "no prices": Dirt(put(**dict.fromkeys(PRICES, np.nan)), "quarantined", "no-price"),
    "no open": Dirt(put(open=np.nan), "quarantined", "open-missing"),
    "no close": Dirt(put(close=np.nan), "repaired", "close-missing"),
    "no high": Dirt(put(high=np.nan), "repaired", "extremes-missing"),
    "a zero": Dirt(put(low=0.0), "quarantined", "price-not-positive"),
    "below zero": Dirt(times(-1, *PRICES), "quarantined", "price-not-positive"),
    "too large": Dirt(put(high=3e7), "quarantined", "price-too-large"),
    "high below low": Dirt(crossed, "repaired", "extremes-mended"),
    "no trade": Dirt(put(volume=0.0), "quarantined", "no-trade", only=OPTIONS),
    "negative volume": Dirt(put(volume=-5.0), "repaired", "volume-mended", only=OPTIONS),
    "no oi": Dirt(put(oi=np.nan), "repaired", "oi-carried", only=OPTIONS),
    "off the tick": Dirt(plus(0.02, "close", "high"), "noted", "off-tick", only=OPTIONS),
    "odd lot": Dirt(plus(1, "volume"), "noted", "odd-lot-volume", only=OPTIONS),
    "spike": Dirt(plus(900, *PRICES), "quarantined", "spike", only=OPTIONS),
    "index spike": Dirt(times(0.95, *PRICES), "quarantined", "spike", only=("NIFTY",)),
    "again": Dirt(lambda row: row, "quarantined", "duplicate", added=True),
    "otherwise": Dirt(
        plus(0.05, "high"), "quarantined", "duplicate-conflict", added=True, first=True
    ),
    "before": Dirt(at(f"{DAY} 09:00:00"), "quarantined", "before-open", added=True),
    "at the close": Dirt(at(f"{DAY} 15:30:00"), "quarantined", "at-close", added=True),
    "after": Dirt(at(f"{DAY} 16:00:00"), "quarantined", "after-close", added=True),
    "on a Sunday": Dirt(at("2024-02-04 10:00:00"), "quarantined", "no-session", added=True),
    "half past": Dirt(at(f"{DAY} 10:00:30"), "quarantined", "off-grid", added=True),
    "when expired": Dirt(
        at("2024-02-09 10:00:00"), "quarantined", "after-expiry", added=True, only=OPTIONS
    ),
    "never": Dirt(at("never"), "quarantined", "unreadable-time", added=True),
    "nobody": Dirt(put(symbol="NIFTY08FEB24CE"), "quarantined", "unreadable-symbol", added=True),
}

dirt = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(SYMBOLS), st.sampled_from(SLOTS)),
    max_size=30,
    unique_by=lambda d: d[1:],
)


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(dirt)
def test_dirt_is_counted_by_name_and_the_clean_is_stored(
    chosen: list[tuple[str, str, int]],
) -> None:
    chosen = [(kind, symbol, slot) for kind, symbol, slot in chosen if symbol in KINDS[kind].only]
    table = SOURCE.copy()
    before: list[Any] = []
    behind: list[Any] = []
    touched: dict[str, set[int]] = {symbol: set() for symbol in SYMBOLS}
    expected = {dealt: Counter[str]() for dealt in ("quarantined", "repaired", "noted")}
    lost = 0
    for kind, symbol, slot in chosen:
        how = KINDS[kind]
        place = SOURCE.index[SOURCE["symbol"] == symbol][slot]
        spoilt = how.spoil(SOURCE.loc[place])
        if how.added:
            (before if how.first else behind).append(spoilt)
        else:
            table.loc[place] = spoilt
            touched[symbol].add(slot)
            lost += how.dealt == "quarantined"
        expected[how.dealt][how.rule] += 1
    if lost:
        expected["noted"]["gaps"] = lost
    first, last = (pd.DataFrame(rows, columns=table.columns) for rows in (before, behind))
    dirty: pd.DataFrame = pd.concat([part for part in (first, table, last) if len(part)])
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "prices.sqlite")
        report = store.import_file(save(dirty, Path(folder) / "bars.csv"), progress=False)
        assert report.rows == len(dirty)
        assert report.balanced
        assert report.quarantined == expected["quarantined"]
        repaired = {k: v for k, v in report.repaired.items() if k != "sorted"}
        assert repaired == expected["repaired"]
        noted = {k: v for k, v in report.noted.items() if k != "short-session"}
        # a repair leaves what it must: a volume of 0 is a whole lot, an open is on the tick
        assert noted == expected["noted"]
        for symbol in SYMBOLS:
            got, source = store.prices(name(symbol)), seen(clean_source(), symbol)
            untouched = source.drop(source.index[sorted(touched[symbol])])
            stored = got.loc[got.index.isin(untouched.index)]
            pd.testing.assert_frame_equal(stored, untouched, check_exact=True, check_freq=False)
        assert len(store.quarantine()) == sum(report.quarantined.values())
        store.close()


def clean_source() -> pd.DataFrame:
    """Return the source with its times as times."""
    return SOURCE.assign(time=pd.to_datetime(SOURCE["time"]))


def test_every_kind_alone_is_what_it_says() -> None:
    """Each kind is drawn by the property sooner or later; here each is for certain."""
    for kind, how in KINDS.items():
        chosen = [(kind, symbol, 50 + 5 * i) for i, symbol in enumerate(how.only)]
        test_dirt_is_counted_by_name_and_the_clean_is_stored.hypothesis.inner_test(chosen)  # type: ignore[attr-defined]
