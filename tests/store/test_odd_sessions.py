"""Days that are not like others: each stored on its own bars, and stale where nothing traded."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt import Backtest, Strategy, at
from bestbt.markets.demo import write_demo
from bestbt.store.store import Store
from tests.store.clean_market import CALL, PRICES, clean, name, save, seen


def stored(store: Store, folder: Path, table: pd.DataFrame) -> Any:
    report = store.import_file(save(table, folder / "bars.csv"), progress=False)
    assert report.balanced
    return report


def times(store: Store, symbol: str, day: str) -> list[str]:
    return [f"{t:%H:%M}" for t in store.prices(symbol, day, day).index]


@pytest.mark.parametrize("day", ["2024-03-02", "2024-05-18"])
def test_a_real_saturday_in_two_parts(store: Store, minute: Path, day: str) -> None:
    with gzip.open(minute / "nifty_spot_2024.csv.gz", "rt") as stream:
        raw = pd.read_csv(stream)
    store.import_file(minute / "nifty_spot_2024.csv.gz", progress=False)
    mine = raw[pd.to_datetime(raw["Date"].astype(str), format="mixed").dt.date.astype(str) == day]
    inside = sorted(t[:5] for t in mine["Time"] if "09:15" <= t < "10:00" or "11:30" <= t < "12:30")
    assert times(store, "NIFTY", day) == inside
    feed = store.feed("NIFTY", day, day)
    assert len(feed.grid.sessions) == 1  # one session, and no bar between its parts
    assert feed.grid.n == 45 + 60


def test_a_real_full_saturday_ends_when_it_does(store: Store, minute: Path) -> None:
    """The file goes on for 166 minutes at the last value: they are after the close."""
    report = store.import_file(minute / "nifty_spot_2024.csv.gz", progress=False)
    assert report.quarantined == {"after-close": 166, "at-close": 1}
    assert times(store, "NIFTY", "2024-01-20")[-1] == "15:29"
    kept = store.quarantine(reason="after-close")
    assert len(kept) == 166
    assert {f"{t:%Y-%m-%d}" for t in kept["time"]} == {"2024-01-20"}
    assert (kept["high"] == kept["low"]).sum() >= 163


def test_two_parts_of_a_generated_saturday(store: Store, tmp_path: Path) -> None:
    table = clean(["2024-03-02"], expiry="07MAR24", strikes=(22000,))
    between = table.iloc[[10]].assign(time=pd.Timestamp("2024-03-02 10:30"))
    report = stored(store, tmp_path, pd.concat([table, between]))
    assert report.quarantined == {"between-parts": 1}
    assert report.noted == {}  # the time between is no gap
    assert len(times(store, "NIFTY", "2024-03-02")) == 105


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [("2023-11-12", "18:15", "19:14"), ("2025-10-21", "13:45", "14:44")],
)
def test_a_muhurat_session(store: Store, tmp_path: Path, day: str, first: str, last: str) -> None:
    expiry = {"2023-11-12": "16NOV23", "2025-10-21": "28OCT25"}[day]
    table = clean([day], expiry=expiry, strikes=(22000,))
    usual = table.iloc[[0]].assign(time=pd.Timestamp(f"{day} 10:00"))
    report = stored(store, tmp_path, pd.concat([table, usual]))
    assert report.quarantined == {"before-open": 1}
    seen_times = times(store, "NIFTY", day)
    assert (len(seen_times), seen_times[0], seen_times[-1]) == (60, first, last)


def test_the_outage_of_2021(store: Store, tmp_path: Path) -> None:
    """Halted from 11:43 to 15:45, the index frozen since 10:06, open until 17:00."""
    table = clean(["2021-02-24"], expiry="25FEB21", strikes=(22000,))
    clock = table["time"].dt.strftime("%H:%M")
    index = table["symbol"] == "NIFTY"
    halted = (clock >= "11:43") & (clock < "15:45")
    froze = index & (clock >= "10:06") & (clock < "15:45")
    level = float(table.loc[index & (clock == "10:05"), "close"].iloc[0])
    table.loc[froze, PRICES] = level
    # the feed went on to send its last value; the derivatives' rows stop
    report = stored(store, tmp_path, table[~(halted & ~index)])
    assert report.quarantined == {"frozen": int(froze.sum())}
    assert report.noted["gaps"] == 2 * 242 + int(froze.sum())
    feed = store.feed("NIFTY", "2021-02-24", "2021-02-24")
    assert feed.grid.n == 7 * 60 + 45
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    assert not columns.live[51:390].any()
    assert columns.live[390:].all()
    option = feed.columns(feed.listed("NIFTY", date(2021, 2, 25))[0].spec)
    assert option is not None
    assert np.flatnonzero(~option.live).tolist() == list(range(148, 390))


def test_a_circuit_day_of_two_bars(store: Store, minute: Path) -> None:
    report = store.import_file(minute / "nifty_spot_2009.csv.gz", progress=False)
    assert report.quarantined == {"at-close": 227}  # neither spike nor frozen
    assert times(store, "NIFTY", "2009-05-18") == ["09:55", "11:55"]
    feed = store.feed("NIFTY", "2009-05-18", "2009-05-18")
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    assert (feed.grid.n, int(columns.live.sum())) == (335, 2)


# --- since 2026-08-03 the index stops at 15:15 and prints once after the closing auction ---------


def auction_day(day: str = "2026-08-04") -> pd.DataFrame:
    """Return a day of options to 15:40, the index to 15:15, and its value of 15:35 three times."""
    table = clean([day], expiry="04AUG26", strikes=(22000,), lot=65)
    index = table["symbol"] == "NIFTY"
    clock = table["time"].dt.strftime("%H:%M")
    late = index & (clock >= "15:35")
    table.loc[late, PRICES] = 22_111.0
    kept: pd.DataFrame = table[~index | (clock < "15:15") | (late & (clock < "15:38"))]
    return kept


def test_an_index_prints_once_after_the_auction(store: Store, tmp_path: Path) -> None:
    report = stored(store, tmp_path, auction_day())
    assert report.quarantined == {"after-print": 2}
    assert report.noted.keys() <= {"gaps"}
    assert times(store, "NIFTY", "2026-08-04")[-2:] == ["15:14", "15:35"]
    assert times(store, "NIFTY 2026-08-04 22000 CE", "2026-08-04")[-1] == "15:39"
    feed = store.feed("NIFTY", "2026-08-04", "2026-08-04")
    assert feed.grid.n == 385
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    assert np.flatnonzero(columns.live)[-2:].tolist() == [359, 380]


class Holder(Strategy):
    """Holds a call into its settlement."""

    @at("10:00")
    def enter(self) -> None:
        self.buy(self.get_atm("CE"), lots=1)


def test_options_settle_on_that_print(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path, auction_day())
    days: dict[str, Any] = {"start": "2026-08-04", "end": "2026-08-04"}
    run = Backtest(Holder, store, "NIFTY", slippage=0, fees="none", **days).run()
    [last] = [f for f in run.fills.to_dict("records") if f["kind"] == "settlement"]
    assert last["price"] == 111.0


def test_rows_of_the_index_between_are_set_aside(store: Store, tmp_path: Path) -> None:
    table = auction_day()
    held = table[table["symbol"] == "NIFTY"].iloc[[-4]]  # of 15:14
    more = [held.assign(time=pd.Timestamp(f"2026-08-04 15:{m}")) for m in (15, 20, 34)]
    report = stored(store, tmp_path, pd.concat([table, *more]))
    assert report.quarantined == {"between-parts": 3, "after-print": 2}


def test_the_demo_market_of_those_days_is_stored(store: Store) -> None:
    write_demo(store, "NIFTY", date(2026, 8, 3), date(2026, 8, 4))
    assert times(store, "NIFTY", "2026-08-04")[-2:] == ["15:14", "15:35"]


# --- a whole grid, and nothing trades on what was filled -----------------------------------------


class Patient(Strategy):
    """Wants the call in the middle of its gap; an exit is due in another."""

    @at("10:00")
    def enter(self) -> None:
        self.buy(self.get_atm("CE"), lots=1)

    @at("11:00")
    def leave(self) -> None:
        self.exit_all()

    @at("12:00")
    def again(self) -> None:
        self.buy(self.get_atm("CE"), lots=1)


def test_filled_bars_are_there_and_never_trade(store: Store, tmp_path: Path) -> None:
    """Gaps of 3, 40 and 6 minutes, an absent day, and nothing before the first price."""
    days = ("2024-02-05", "2024-02-06", "2024-02-07")
    table = clean(days, strikes=(22000,))
    mine = table["symbol"] == CALL
    day, clock = table["time"].dt.day, table["time"].dt.strftime("%H:%M")
    gone = mine & (day == 5) & (clock < "09:45")
    gone |= mine & (day == 6)
    for first, last in (("10:00", "10:02"), ("11:00", "11:39"), ("12:00", "12:05")):
        gone |= mine & (day == 7) & (clock >= first) & (clock <= last)
    empty = table[gone & (clock >= "10:01") & (clock < "11:00")].assign(volume=0)  # rows, no trade
    report = stored(store, tmp_path, pd.concat([table[~gone], empty]))
    assert report.quarantined == {"no-trade": len(empty)}
    assert report.noted == {"gaps": 3 + 40 + 6, "first-bars": 30}
    feed = store.feed("NIFTY", days[0], days[-1])
    columns = feed.columns(feed.listed("NIFTY", date(2024, 2, 8))[0].spec)
    assert columns is not None
    assert (columns.first, columns.end) == (30, 3 * 375)
    source = seen(table, CALL)
    live = ~gone[mine].to_numpy()[30:]
    assert columns.live.tolist() == live.tolist()
    carried = source["close"].where(~gone[mine].to_numpy()).ffill().iloc[30:]
    np.testing.assert_allclose(list(columns.close), carried)
    assert columns.volume is not None
    assert not columns.volume[~live].any()
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": days[2], "end": days[2]}
    run = Backtest(Patient, store, "NIFTY", **free).run()
    got = [(f"{f['time']:%H:%M}", f["price"]) for f in run.fills.to_dict("records")]
    opens = source["open"].loc[days[2]]
    assert got == [
        ("10:03", opens.loc[f"{days[2]} 10:03+05:30"]),
        ("11:40", opens.loc[f"{days[2]} 11:40+05:30"]),  # an exit waits, however long
    ]
    assert run.orders["status"].tolist()[-1] == "rejected"  # an entry for five minutes
    assert name(CALL) in str(run.orders["symbol"].tolist()[-1])
