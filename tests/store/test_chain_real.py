"""Real chains of 2019: what the engine tells of a snapshot, against its raw page and the vendor."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator
from datetime import date, datetime
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bestbt import Backtest, Strategy, at
from bestbt.engine.pricing import implied_vol
from bestbt.store.store import Store
from tests.engine.slow_chain import Row, SlowChain

ARCHIVE = "nse_index_chains_20190516_20190731.tar.xz"
DAY = "26-07-2019"
TIMES = {"10:30": "10:3[0-4]", "12:00": "12:0[0-4]", "14:00": "14:0[0-4]", "15:00": "15:0[0-4]"}
EXPIRIES = (date(2019, 8, 1), date(2019, 8, 8))
CASES = [(symbol, time, e) for symbol in ("NIFTY", "BANKNIFTY") for time in TIMES for e in EXPIRIES]
SIDES = (("Call", "CE"), ("Put", "PE"))


class Told(NamedTuple):
    """What a chain said."""

    frame: Any
    spot: float
    forward: float
    atm: float | None
    straddle: float | None
    picks: dict[str, float | None]


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chain")
    with tarfile.open(shared / "data" / "chain_2019" / ARCHIVE) as archive:
        wanted = [m for m in archive if DAY in m.name]
        # Older Pythons know no filter, newer ones warn without.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(made, wanted)
    return made


def picks(chain: Any) -> dict[str, float | None]:
    """Return the strike each rule picks."""
    found = {}
    for right in ("CE", "PE"):
        rules = {
            "delta": chain.by_delta(right, 0.25),
            "premium": chain.by_premium(right, 60),
            "above": chain.by_premium(right, 60, side="above"),
            "percent": chain.by_percent(right, 1.5),
            "straddle": chain.by_straddle(right, 1),
        }
        found |= {f"{rule} {right}": c and c.strike for rule, c in rules.items()}
    return found


@pytest.fixture(scope="module")
def told(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Any, Told]]:
    """Run over a day of both indexes; keep what the chains say at the snapshots."""
    found: dict[Any, Told] = {}

    class Reads(Strategy):
        def look(self, time: str) -> None:
            for expiry in EXPIRIES:
                chain = self.chain(expiry)
                forward = chain.forward
                assert forward is not None
                found[self.spot.symbol, time, expiry] = Told(
                    chain.to_frame(),
                    self.spot.price,
                    forward,
                    chain.atm,
                    chain.straddle_premium,
                    picks(chain),
                )

        @at("10:30")
        def first(self) -> None:
            self.look("10:30")

        @at("12:00")
        def second(self) -> None:
            self.look("12:00")

        @at("14:00")
        def third(self) -> None:
            self.look("14:00")

        @at("15:00")
        def fourth(self) -> None:
            self.look("15:00")

    store = Store.open(tmp_path_factory.mktemp("store") / "prices.sqlite")
    store.import_file(folder, progress=False)
    for symbol in ("NIFTY", "BANKNIFTY"):
        Backtest(Reads, store, symbol, bar="15min", fees="none").run()
    yield found
    store.close()


def page(folder: Path, symbol: str, time: str, expiry: date) -> tuple[datetime, list[Any]]:
    name = f"{expiry.day}{expiry:%b%Y}".upper()
    [file] = folder.glob(f"**/{symbol}/{name}/{symbol}_{DAY}_{TIMES[time]}.csv")
    with file.open() as stream:
        return datetime.strptime(file.stem.partition("_")[2], "%d-%m-%Y_%H:%M"), list(
            csv.DictReader(stream)
        )


def number(text: str) -> float:
    return 0.0 if text == "-" else float(text)


def slow(folder: Path, symbol: str, time: str, expiry: date, spot: float) -> SlowChain:
    """Return the raw page as a chain of one bar: the middle of the quotes, else last prices."""
    _, lines = page(folder, symbol, time, expiry)
    rows = []
    for line in lines:
        for side, right in SIDES:
            bid, ask, last = (number(line[side + n]) for n in ("BidPrice", "AskPrice", "LTP"))
            if last or (bid and ask):
                raw = floor(50 * (bid + ask) + 0.5 + 1e-6) if bid and ask else round(100 * last)
                oi = round(number(line[side + "OI"]))
                rows.append(Row(round(float(line["StrikePrice"])), right, [raw], [0], [oi]))
    close = datetime(expiry.year, expiry.month, expiry.day, 15, 30)
    hour, minute = map(int, time.split(":"))
    minutes = (close - datetime(2019, 7, 26, hour, minute)).total_seconds() / 60
    return SlowChain([round(spot * 100)], rows, [minutes], [0])


@pytest.mark.parametrize(("symbol", "time", "expiry"), CASES)
def test_figures_and_picks_are_those_of_the_raw_page(
    told: dict[Any, Told], folder: Path, symbol: str, time: str, expiry: date
) -> None:
    got = told[symbol, time, expiry]
    raw = slow(folder, symbol, time, expiry, got.spot)
    assert round(got.forward * 100) == raw.synthetic(0)
    assert got.atm == raw.atm(0, round(got.spot * 100))
    straddle = raw.straddle(0)
    assert straddle is not None
    assert got.straddle == straddle / 100
    for right, sign in (("CE", 1), ("PE", -1)):
        rows = raw.fresh(0, right)
        spot = got.spot * 100
        assert (got.picks[f"premium {right}"], right) == raw.by_premium(0, rows, 6000, "nearest")
        assert (got.picks[f"above {right}"], right) == raw.by_premium(0, rows, 6000, "above")
        away = raw.by_strike(rows, spot * (100 + sign * 1.5) / 100)
        assert (got.picks[f"percent {right}"], right) == away
        assert (got.picks[f"straddle {right}"], right) == raw.by_strike(
            rows, spot + sign * straddle
        )
        deltas = {r.strike: raw.greeks(r, 0).get("delta") for r in rows}
        miss = {k: abs(abs(d) - 0.25) for k, d in deltas.items() if d is not None}
        assert got.picks[f"delta {right}"] == min(miss, key=lambda k: (round(miss[k], 6), k))


@pytest.mark.parametrize(("symbol", "time", "expiry"), CASES)
def test_volatilities_are_near_those_of_the_vendor(
    told: dict[Any, Told], folder: Path, symbol: str, time: str, expiry: date
) -> None:
    """The vendor's are of the exchange: Black-Scholes on the spot, with 10 % interest.

    Its forward is not ours, which moves calls and puts of a strike apart by as much: their mean
    is what can be compared. In vol points, within 1.5 % of the spot: the median of the strikes
    within 0.6, each within 3 (theirs are of last prices, which may be minutes old; ours of the
    middle of the quotes).
    """
    got = told[symbol, time, expiry]
    ours = {(r.strike, r.right): 100 * r.iv for r in got.frame.itertuples() if r.age == 0}
    _, lines = page(folder, symbol, time, expiry)
    differ = []
    for line in lines:
        strike = float(line["StrikePrice"])
        theirs = [number(line[side + "IV"]) for side, _ in SIDES]
        mine = [ours.get((strike, right), np.nan) for _, right in SIDES]
        if all(theirs) and not np.isnan(mine).any() and abs(strike / got.spot - 1) < 0.015:
            differ.append(float(np.mean(mine) - np.mean(theirs)))
    assert len(differ) >= 4
    assert abs(np.median(differ)) < 0.6
    assert np.abs(differ).max() < 3


@pytest.mark.parametrize(("symbol", "time", "expiry"), CASES)
def test_on_the_vendors_terms_the_solver_gives_the_vendors_volatility(
    folder: Path, symbol: str, time: str, expiry: date
) -> None:
    """Spot carried at 10 %, calendar time: of the rows within 3 % half are within 0.6 points."""
    stamp, lines = page(folder, symbol, time, expiry)
    spot = float(lines[0]["CurrentVal"])
    close = datetime(expiry.year, expiry.month, expiry.day, 15, 30)
    years = (close - stamp).total_seconds() / 60 / 525_600
    differ = []
    for line in lines:
        strike = float(line["StrikePrice"])
        for side, right in SIDES:
            theirs, last = number(line[side + "IV"]), number(line[side + "LTP"])
            if theirs and last and abs(strike / spot - 1) < 0.03:
                vol = implied_vol(last, spot * np.exp(0.1 * years), strike, years, right, 0.1)  # type: ignore[arg-type]
                differ.append(abs(100 * float(vol) - theirs))
    assert len(differ) > 15
    assert np.nanmedian(differ) < 0.6
