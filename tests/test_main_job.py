"""The main job on real input: the 09:20 straddle of one real day, each fill checked by hand.

The check reads the raw file with pandas and Decimals and shares nothing with the engine.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd
import pytest

from bestbt import Backtest, Run, Store, Strategy, at

TICK = Decimal("0.05")
LOT = 25
DAY = "2022-12-30"


class PercentStop(Strategy):
    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="25%")

    @at("15:15")
    def leave(self):
        self.exit_all()


class PriceStop(PercentStop):
    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            leg = self.get_atm(right)
            self.sell(leg, lots=1, sl=leg.price * 1.25)


@pytest.fixture(scope="module")
def raw(shared: Path) -> pd.DataFrame:
    table = pd.read_parquet(shared / "data/minute/banknifty_20221230.parquet")
    for name in ("open", "high", "low", "close"):
        table[name] = table[name].map(Decimal)
    return table.set_index(["symbol", "time"]).sort_index()


@pytest.fixture(scope="module")
def store(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.open(tmp_path_factory.mktemp("main") / "real.sqlite")
    store.import_file(shared / "data/minute/banknifty_20221230.parquet", progress=False)
    return store


def run(strategy: type[Strategy], store: Store) -> Run:
    return Backtest(strategy, store, "BANKNIFTY", slippage=0, fees="none").run()


def by_hand(raw: pd.DataFrame, of_fill: bool) -> list[tuple[str, str, str, Decimal, str]]:
    """(time, side, right, price, why) of each fill, in time order."""
    spot = raw.loc[("BANKNIFTY", "09:19:00"), "close"]
    strikes = sorted(
        {int(name[16:21]) for name, _ in raw.index if name.startswith("BANKNIFTY05JAN23")}
    )
    strike = min(strikes, key=lambda k: (abs(k - spot), k))
    found = []
    for right in ("CE", "PE"):
        leg = raw.loc[f"BANKNIFTY05JAN23{strike}{right}"]
        entry = leg.loc["09:20:00", "open"]
        seen = entry if of_fill else leg.loc["09:19:00", "close"]
        stop = (seen * Decimal("1.25") / TICK).quantize(Decimal(1), ROUND_HALF_UP) * TICK
        found.append(("09:20", "SELL", right, entry, "open"))
        for time, bar in leg.loc["09:20:00":"15:14:00"].iterrows():
            if bar["high"] >= stop:
                gap = bar["open"] > stop and time != "09:20:00"
                price, why = (bar["open"], "gap") if gap else (stop, "trigger")
                found.append((time[:5], "BUY", right, price, why))
                break
        else:
            found.append(("15:15", "BUY", right, leg.loc["15:15:00", "open"], "open"))
    return sorted(found, key=lambda f: f[0])


@pytest.mark.parametrize(
    ("strategy", "of_fill", "pnl"), [(PercentStop, True, "1438.75"), (PriceStop, False, "1266.25")]
)
def test_the_straddle_of_a_real_day_fills_as_the_raw_file_says(store, raw, strategy, of_fill, pnl):
    done = run(strategy, store)
    expected = by_hand(raw, of_fill)

    got = [
        (f.time.strftime("%H:%M"), f.side, f.symbol[-2:], Decimal(str(f.price)), f.reason)
        for f in done.fills.itertuples()
    ]
    assert got == expected
    assert [f[4] for f in expected] == ["open", "open", "trigger", "open"]
    assert set(done.fills.symbol) == {
        "BANKNIFTY 2023-01-05 43300 CE",
        "BANKNIFTY 2023-01-05 43300 PE",
    }
    assert list(done.fills.kind) == ["entry", "entry", "stop", "exit"]
    assert (done.fills.qty == LOT).all()
    by_cash = sum((p if side == "SELL" else -p) * LOT for _, side, _, p, _ in expected)
    assert by_cash == Decimal(pnl) == Decimal(str(done.stats["pnl"]))


def test_the_hand_calculation_stands_on_numbers_read_in_the_file(raw):
    """Typed from the file, should the arithmetic above go wrong together with the engine."""
    put = raw.loc["BANKNIFTY05JAN2343300PE"]

    assert raw.loc[("BANKNIFTY", "09:19:00"), "close"] == Decimal("43263.2")  # so 43300
    assert put.loc["09:20:00", "open"] == Decimal("367.5")  # × 1.25 = 459.375 -> 459.40
    assert put.loc["09:19:00", "close"] == Decimal("373.05")  # × 1.25 = 466.3125 -> 466.30
    assert put.loc["09:20:00":"13:50:00", "high"].max() < Decimal("459.40")
    assert put.loc["13:51:00", "high"] == Decimal("491.0")
    assert by_hand(raw, True)[2] == ("13:51", "BUY", "PE", Decimal("459.40"), "trigger")
    assert by_hand(raw, False)[2] == ("13:51", "BUY", "PE", Decimal("466.30"), "trigger")
