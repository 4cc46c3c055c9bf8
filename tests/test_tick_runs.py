"""Runs over ticks: a day of seconds and of minutes from the same ticks, end to end."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt import Backtest, Run, Store, Strategy, at, every
from bestbt.engine.ports import ContractSpec
from bestbt.errors import DataGap
from bestbt.markets.india import INDIA
from bestbt.units import MINUTE
from tests.vendors import ticks as vendor
from tests.vendors.ticks import Contract, demo_ticks

DAY = date(2024, 1, 3)
NAMES = ("NIFTY", "NIFTY 2024-01-04 21700 CE", "NIFTY 2024-01-04 21700 PE")
STEPS = {"1s": 1, "15s": 15, "1min": 60, "5min": 300}


class Straddle(Strategy):
    """Sells the straddle in the middle of a minute, with stops; buys one wing again later."""

    max_age = 300  # bars: as many seconds

    def init(self) -> None:
        self.beats: list[str] = []

    @at("09:20:30")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right, max_age=self.max_age), lots=1, sl="20%", target="60%")

    @at("11:00:07")
    def again(self) -> None:
        self.buy(self.get_atm("CE", max_age=self.max_age), lots=1, trail="15%")

    @every("5s", start="09:30", end="09:31")
    def beat(self) -> None:
        self.beats.append(f"{self.now:%H:%M:%S}")

    @at("15:15")
    def leave(self) -> None:
        self.exit_all()


@pytest.fixture(scope="module", params=["quoted", "unquoted"])
def ticked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, dict[str, Contract], bool]]:
    """A store with ticks of an index and two options, and those ticks."""
    folder = tmp_path_factory.mktemp("ticks")
    made = demo_ticks(DAY, NAMES)
    if request.param == "unquoted":
        for each in made.values():
            each.ticks[:] = [replace(t, bid=0, ask=0) for t in each.ticks if t.qty or not t.bid]
    store = Store.open(folder / "prices.sqlite")
    store.import_file(vendor.write_gdfl(folder, made.values()), progress=False)
    yield store, made, request.param == "quoted"
    store.close()


def play(store: Store, bar: str, **options: Any) -> Run:
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": DAY, "end": DAY, "bar": bar}
    return Backtest(Straddle, store, "NIFTY", **(free | options)).run()


@pytest.mark.parametrize("bar", STEPS)
def test_every_fill_lies_on_the_ticks(
    ticked: tuple[Store, dict[str, Contract], bool], bar: str
) -> None:
    store, made, quoted = ticked
    run = play(store, bar)
    step = STEPS[bar] * MINUTE // 60
    assert run.progress.bars == 375 * 60 // STEPS[bar]
    assert len(run.fills) >= 4
    assert set(run.fills["symbol"]) == set(NAMES[1:])
    for fill in run.fills.to_dict("records"):
        ticks = made[fill["symbol"]].ticks
        start = fill["time"].value // step * step if step <= MINUTE else fill["time"].value
        inside = [t for t in ticks if start <= t.time < start + step]
        raw = round(fill["price"] * 100)
        if quoted:
            assert raw == (inside[-1].ask if fill["side"] == "BUY" else inside[-1].bid)
        else:
            prices = [t.price for t in inside]
            assert min(prices) <= raw <= max(prices)
            if fill["reason"] == "open":
                assert raw == prices[0]


def test_an_order_in_seconds_works_from_the_next_second(
    ticked: tuple[Store, dict[str, Contract], bool],
) -> None:
    store, made, quoted = ticked
    run = play(store, "1s")
    first = run.fills.groupby("symbol").first()
    for name, fill in first.iterrows():
        moment = pd.Timestamp(f"{DAY} 09:20:30", tz="Asia/Kolkata").value
        later = next(t for t in made[str(name)].ticks if t.time >= moment)
        assert fill["time"].value == later.time
        if not quoted:
            assert round(fill["price"] * 100) == later.price
    strategy = run.bt.simulation.strategy
    assert isinstance(strategy, Straddle)
    assert strategy.beats == [f"09:30:{s:02}" for s in range(0, 60, 5)] + ["09:31:00"]
    assert play(store, "1s").hash == run.hash


def test_an_indicator_of_minutes_over_seconds_is_that_of_minutes(
    ticked: tuple[Store, dict[str, Contract], bool],
) -> None:
    """On seconds, a minute's close is known when the minute is over, and not before."""
    store, _, _ = ticked

    class Watch(Strategy):
        def init(self) -> None:
            self.seen: dict[str, float] = {}
            self.close = self.indicator(lambda close: close, "close", bar="1min")

        @every("1min", start="10:00", end="10:20")
        def look(self) -> None:
            self.seen[f"{self.now:%H:%M:%S}"] = self.close[0]

        @at("10:05:59")
        def inside(self) -> None:
            self.seen["inside"] = self.close[0]

    options: dict[str, Any] = {"slippage": 0, "fees": "none", "start": DAY, "end": DAY}
    found = {}
    for bar in ("1s", "1min"):
        strategy = Backtest(Watch, store, "NIFTY", bar=bar, **options).run().bt.simulation.strategy
        assert isinstance(strategy, Watch)
        found[bar] = strategy.seen
    assert found["1s"]["inside"] == found["1s"]["10:05:00"]
    del found["1s"]["inside"], found["1min"]["inside"]
    assert len(found["1s"]) == 21
    assert found["1s"] == found["1min"]


def test_what_is_shown_has_seconds(ticked: tuple[Store, dict[str, Contract], bool]) -> None:
    store, _, _ = ticked
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": DAY, "end": DAY}
    backtest = Backtest(Straddle, store, "NIFTY", bar="1s", **free)
    run = backtest.run_to(f"{DAY} 10:00:30")
    assert "paused at 2024-01-03 10:00:30" in repr(run)
    first = backtest.simulation.result.fills[0]
    assert f"{first.time:%Y-%m-%d %H:%M:%S}" in repr(first)


def test_stepping_through_seconds_is_the_same_run(
    ticked: tuple[Store, dict[str, Contract], bool],
) -> None:
    store, _, _ = ticked
    whole = play(store, "1s")
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": DAY, "end": DAY}
    stepped = Backtest(Straddle, store, "NIFTY", bar="1s", **free)
    stepped.run_to(f"{DAY} 10:00:30")
    assert f"{stepped.simulation.grid.local(stepped.simulation.bar):%H:%M:%S}" == "10:00:29"
    stepped.step(1000)
    assert stepped.run().hash == whole.hash


def test_an_index_of_minutes_serves_no_seconds(tmp_path: Path) -> None:
    """What lies inside a minute is not known: it is said, and what to do."""
    made = demo_ticks(DAY, NAMES)
    index = made.pop("NIFTY")
    store = Store.open(tmp_path / "prices.sqlite")
    store.import_file(vendor.write_gdfl(tmp_path, made.values()), progress=False)
    with store.importing("minutes") as tx:
        tx.write(index.spec, index.bars.starts, index.bars.points)
    with pytest.raises(DataGap, match=r"NIFTY is stored in bars of 60 s.*import seconds or ticks"):
        play(store, "1s")
    assert len(play(store, "1min").fills) == 6
    store.close()


class SellAndBuyBack(Strategy):
    """Sells the put of the real day at ten, and buys it back at eleven."""

    @at("10:00:00")
    def enter(self) -> None:
        self.sell(self.get_atm("PE", max_age=3600), lots=1)

    @at("11:00:00")
    def leave(self) -> None:
        self.exit_all()


@pytest.mark.parametrize(("bar", "seconds"), [("1s", 1), ("1min", 60)])
def test_a_run_over_real_ticks_trades_at_their_quotes(
    shared: Path, tmp_path: Path, bar: str, seconds: int
) -> None:
    """The index of that day is not there: a flat one stands for it."""
    file = shared / "data" / "ticks" / "BANKNIFTY21SEP35300PE_2021_08_20.txt.gz"
    day = date(2021, 8, 20)
    (session,) = INDIA.sessions(day, day)
    store = Store.open(tmp_path / "prices.sqlite")
    store.import_file(file, progress=False)
    with store.importing("flat") as tx:
        times = np.arange(session.open, session.close, MINUTE // 60)
        index = ContractSpec("index", "BANKNIFTY")
        tx.write_ticks(index, times, np.full(len(times), 3_530_000))
    options: dict[str, Any] = {"slippage": 0, "fees": "none", "start": day, "end": day}
    run = Backtest(SellAndBuyBack, store, "BANKNIFTY", bar=bar, **options).run()
    store.close()
    # The quotes of the last line of each bar, read from the file by patterns: newest first.
    best = r".*?'price': ([\d.]+)"
    quote = re.compile(rf"'timestamp': '2021-08-20T([\d:]+)'.*'buy': {best}.*'sell': {best}")
    last: dict[int, tuple[float, float]] = {}
    for line in reversed(gzip.decompress(file.read_bytes()).decode().splitlines()):
        if found := quote.search(line):
            h, m, s = map(int, found[1].split(":"))
            last[(h * 3600 + m * 60 + s) // seconds] = float(found[2]), float(found[3])
    ten, eleven = (min(b for b in last if b * seconds >= h * 3600) for h in (10, 11))
    assert run.fills["price"].tolist() == [last[ten][0], last[eleven][1]]
    clock = [t.hour * 3600 + t.minute * 60 + t.second for t in run.fills["time"]]
    assert clock == [ten * seconds, eleven * seconds]
