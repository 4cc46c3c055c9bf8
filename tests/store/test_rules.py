"""Every rule of sanitising by its name: dirt that it finds, and the like of it that it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.quality import RULES, QualityReport
from bestbt.store.store import Store
from tests.store.clean_market import CALL, PRICES, clean, name, save, seen

PUT = CALL.replace("CE", "PE")


class Imports:
    """Imports tables into a store of its own."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self._folder, self._count = store, folder, 0

    def __call__(self, table: pd.DataFrame, **options: Any) -> QualityReport:
        self._count += 1
        file = save(table, self._folder / f"bars{self._count}.csv")
        report = self.store.import_file(file, progress=False, **options)
        assert report.balanced
        assert {f.rule for f in report.findings} <= RULES.keys()
        return report

    def prices(self, symbol: str) -> pd.DataFrame:
        return self.store.prices(name(symbol))


@pytest.fixture
def imports(store: Store, tmp_path: Path) -> Imports:
    return Imports(store, tmp_path)


def rows(table: pd.DataFrame, symbol: str) -> Any:
    """Return the places of a contract's rows, in order of time."""
    return table.index[table["symbol"] == symbol]


def test_clean_is_clean(imports: Imports) -> None:
    table = clean()
    report = imports(table)
    assert (report.quarantined, report.repaired, report.noted) == ({}, {}, {})
    for symbol in table["symbol"].unique():
        pd.testing.assert_frame_equal(
            imports.prices(symbol), seen(table, symbol), check_exact=True, check_freq=False
        )


# --- missing prices ------------------------------------------------------------------------------


def test_missing_prices_have_four_names(imports: Imports) -> None:
    table = clean()
    at = rows(table, CALL)
    table.loc[at[:3], PRICES] = np.nan  # not listed yet
    table.loc[at[10], PRICES] = np.nan  # no trade in between
    table.loc[at[12], "close"] = np.nan
    table.loc[at[14], ["high", "close"]] = np.nan
    table.loc[at[16], "low"] = np.nan
    table.loc[at[18], "open"] = np.nan
    report = imports(table)
    assert report.quarantined == {"before-first-price": 3, "no-price": 1, "open-missing": 1}
    assert report.repaired == {"close-missing": 2, "extremes-missing": 1}
    assert report.noted == {"gaps": 2, "first-bars": 3}
    source, got = seen(table, CALL), imports.prices(CALL)
    assert list(got.index) == [t for i, t in enumerate(source.index) if i not in (0, 1, 2, 10, 18)]
    for i in (12, 14):  # the open traded: it stands for the close
        assert got["close"][source.index[i]] == source["open"].iloc[i]
    half = source.iloc[16]
    assert got["low"][source.index[16]] == min(half["open"], half["close"])
    assert got["high"][source.index[14]] == source["open"].iloc[14]
    assert got["high"][source.index[12]] == source["high"].iloc[12]


def test_a_contract_that_never_has_a_price_is_not_called_early(imports: Imports) -> None:
    table = clean(minutes=5)
    table.loc[rows(table, CALL), PRICES] = np.nan
    assert imports(table).quarantined == {"no-price": 5}


# --- the clock -----------------------------------------------------------------------------------

LONG = ("2024-02-05", "2024-02-06", "2024-02-07")


def moved(table: pd.DataFrame, minutes: int) -> pd.DataFrame:
    return table.assign(time=table["time"] + pd.Timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("minutes", "zone"),
    [(-330, "UTC"), (-630, "America/New_York"), (150, "Asia/Singapore")],
)
def test_another_clock_is_refused_by_name(imports: Imports, minutes: int, zone: str) -> None:
    """The option that the message names mends it."""
    table = clean(LONG, strikes=(22000,))
    foreign = moved(table, minutes)
    with pytest.raises(ImportRefused, match=f'tz="{zone}"'):
        imports(foreign)
    assert imports.store.is_empty
    report = imports(foreign, tz=zone)
    assert (report.stored, report.quarantined) == (len(table), {})
    pd.testing.assert_frame_equal(imports.prices(CALL), seen(table, CALL), check_freq=False)


@pytest.mark.parametrize("shape", ["csv", "epoch", "parquet"])
def test_exchange_times_marked_as_utc(store: Store, tmp_path: Path, shape: str) -> None:
    table = clean(LONG, strikes=(22000,))
    file = tmp_path / "bars"
    wrong = table.assign(time=table["time"].dt.tz_localize("UTC"))
    if shape == "parquet":
        wrong.to_parquet(file)
    elif shape == "epoch":
        seconds = (table["time"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
        wrong.assign(time=seconds).to_csv(file, index=False)
    else:
        wrong.to_csv(file, index=False)
    with pytest.raises(ImportRefused, match=r'marked as UTC.*tz="Asia/Kolkata"'):
        store.import_file(file, progress=False)
    report = store.import_file(file, progress=False, tz="Asia/Kolkata")
    assert report.quarantined == {}
    pd.testing.assert_frame_equal(store.prices(name(CALL)), seen(table, CALL), check_freq=False)


def test_a_few_rows_outside_are_not_another_clock(imports: Imports) -> None:
    table = clean(LONG, strikes=(22000,))
    early = table[table["time"].dt.hour.isin([12, 13])].head(300)
    report = imports(pd.concat([table, moved(early, -330)]))
    assert report.quarantined == {"before-open": 300}
    with pytest.raises(ImportRefused, match="'Mars/Base'"):
        imports(table, tz="Mars/Base")


def test_bars_named_by_their_ends_are_moved(imports: Imports) -> None:
    table = clean(LONG, strikes=(22000,))
    report = imports(moved(table, 1))
    assert report.repaired == {"end-stamps-seen": len(table)}
    assert report.quarantined == {}
    pd.testing.assert_frame_equal(imports.prices(CALL), seen(table, CALL), check_freq=False)
    with pytest.raises(ImportRefused, match="no-such-thing"):
        imports(table, stamp="no-such-thing")


def test_ends_are_not_guessed(imports: Imports) -> None:
    """One day of one option without its first minute may be either; so may what a person named."""
    table = clean(LONG, strikes=(22000,))
    late = moved(table, 1)
    report = imports(late, stamp="start")
    assert report.quarantined == {"at-close": 3 * 3}
    one = late[(late["symbol"] == CALL) & (late["time"].dt.day == 5)]
    lacks = one.drop(one.index[50])
    assert "end-stamps-seen" not in imports(lacks).repaired
    assert imports(one).repaired == {"end-stamps-seen": 375}  # all its bars: no doubt


# --- lots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False])
def test_volume_in_lots(imports: Imports, told: bool) -> None:
    table = clean()
    counted = table.assign(volume=table["volume"] / 50)
    report = imports(counted, **({"volume": "lots"} if told else {}))
    options = int((table["symbol"] != "NIFTY").sum())
    assert report.repaired == {"volume-in-lots": options}
    pd.testing.assert_frame_equal(imports.prices(CALL), seen(table, CALL), check_freq=False)


def test_open_interest_that_may_be_in_lots_is_noted(imports: Imports) -> None:
    """Thousands of lots lie above a lot's size as thousands of units do: there is a doubt."""
    table = clean()
    counted = table.assign(oi=table["oi"] / 50)
    options = int((table["symbol"] != "NIFTY").sum())
    assert imports(counted).noted == {"looks-like-lots": options}
    assert imports.prices(CALL)["oi"].max() < 9000
    assert imports(counted.iloc[::-1], oi="lots").repaired["oi-in-lots"] == options
    pd.testing.assert_frame_equal(imports.prices(CALL), seen(table, CALL), check_freq=False)


def test_units_stay_units_when_told(imports: Imports) -> None:
    table = clean()
    counted = table.assign(volume=table["volume"] / 50)
    report = imports(counted, volume="units")
    assert "volume-in-lots" not in report.repaired
    assert report.noted["odd-lot-volume"] > 0
    with pytest.raises(ImportRefused, match='it is "lots" or "units"'):
        imports(table, oi="crores")


# --- repeats -------------------------------------------------------------------------------------


def test_a_day_that_repeats_another_is_taken_away(imports: Imports) -> None:
    days = clean(LONG, strikes=(22000,))
    monday = days[days["time"].dt.day == 5]
    others = days[days["time"].dt.day != 6]
    copied = pd.concat([others, moved(monday, 24 * 60)])
    report = imports(copied)
    assert report.quarantined == {"stale-day": len(monday)}
    assert sorted({t.day for t in imports.prices(CALL).index}) == [5, 7]


def test_a_day_that_differs_in_one_price_is_kept(imports: Imports) -> None:
    days = clean(LONG, strikes=(22000,))
    monday = moved(days[(days["time"].dt.day == 5)], 24 * 60).reset_index(drop=True)
    for symbol in monday["symbol"].unique():
        monday.loc[rows(monday, symbol)[100], "high"] += 0.05
    others = days[days["time"].dt.day != 6]
    assert imports(pd.concat([others, monday])).quarantined == {}


def test_an_index_that_stands_still_is_not_disseminated(imports: Imports) -> None:
    table = clean()
    at = rows(table, "NIFTY")
    level = float(table.loc[at[99], "close"])
    table.loc[at[100:115], PRICES] = level  # a quarter of an hour
    table.loc[at[200:209], PRICES] = float(table.loc[at[199], "close"])  # nine minutes may be
    report = imports(table)
    assert report.quarantined == {"frozen": 15}
    feed = imports.store.feed("NIFTY", "2024-02-05", "2024-02-05")
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    assert np.flatnonzero(~columns.live).tolist() == list(range(100, 115))
    assert columns.close[114] == level


# --- outliers ------------------------------------------------------------------------------------


def test_a_spike_of_the_index_is_taken_away_and_a_fall_is_not(imports: Imports) -> None:
    table = clean(strikes=(22000,))
    at = rows(table, "NIFTY")
    table.loc[at[50], PRICES] *= 1.05  # and back
    table.loc[at[60], "low"] *= 0.95  # a wrong low alone: no trade makes an index
    table.loc[at[70], PRICES] *= 1.013  # some way off
    table.loc[at[80:], PRICES] = (table.loc[at[80:], PRICES] * 0.93).round(2)  # a crash
    report = imports(table)
    assert report.quarantined == {"spike": 2}
    assert report.noted == {"maybe-spike": 1, "gaps": 2, "maybe-off-chain": ANY}


def test_a_spike_of_an_option_must_be_all_of_its_bar(imports: Imports) -> None:
    table = clean(strikes=(22000,))
    at = rows(table, CALL)
    table.loc[at[50], PRICES] += 900
    table.loc[at[60], "high"] += 900  # one trade may have been there
    table.loc[at[70], PRICES] += 250  # more than a tenth of what would be sure
    table.loc[at[80:], PRICES] += 900  # it stays there: no spike, whatever it is
    report = imports(table.drop(rows(table, "NIFTY")))
    assert report.quarantined == {"spike": 1}
    assert report.noted["far-extreme"] == 1
    assert 50 not in [(t.hour - 9) * 60 + t.minute - 15 for t in imports.prices(CALL).index]


class _Any:
    """Equal to every count above none."""

    def __eq__(self, other: object) -> bool:
        return bool(other)

    __hash__ = None  # type: ignore[assignment]


ANY = _Any()


def test_a_price_outside_the_chain_is_taken_away(imports: Imports) -> None:
    table = clean()
    at = {s: rows(table, s) for s in table["symbol"].unique()}
    table.loc[at[CALL][20:22], PRICES] += 30_000  # above the index itself
    table.loc[at[PUT][30:32], PRICES] += 23_000  # above the strike
    table.loc[at[CALL][40:43], PRICES] += 700  # dearer than two lower strikes, far
    table.loc[at[CALL.replace("22000", "21900")][50:52], PRICES] = 0.05  # cheaper than higher ones
    table.loc[at[CALL][60:63], PRICES] += 200  # by less
    report = imports(table)
    assert report.quarantined == {"off-chain": 2 + 2 + 3}
    assert report.noted["maybe-off-chain"] >= 3


def test_a_price_below_what_the_option_pays_is_taken_away(imports: Imports) -> None:
    table = clean(strikes=(18000, 22000))
    low = "NIFTY08FEB2418000CE"  # pays 4000
    table.loc[rows(table, low)[20:25], PRICES] = 1500
    table.loc[rows(table, low)[30:35], PRICES] = 3200
    report = imports(table)
    assert report.quarantined == {"off-chain": 5}
    assert report.noted["maybe-off-chain"] == 5


def test_an_index_that_its_options_contradict_is_taken_away(imports: Imports) -> None:
    """Ten minutes of another level: no spike, for it does not come back at once."""
    table = clean()
    at = rows(table, "NIFTY")
    table.loc[at[100:110], PRICES] = (table.loc[at[100:110], PRICES] * 1.06).round(2)
    table.loc[at[200:210], PRICES] = (table.loc[at[200:210], PRICES] * 1.01).round(2)
    report = imports(table)
    assert report.quarantined == {"spot-off-chain": 10}
    assert len(imports.prices(CALL)) == 375
