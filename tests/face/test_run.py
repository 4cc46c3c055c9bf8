"""Backtest and Run: what the options do, what the tables hold, what is saved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt import Backtest, Run, Store, Strategy, UsageError, at
from bestbt.errors import StaleHandle
from bestbt.markets import us
from tests.conftest import ROOT
from tests.face.conftest import FIRST, LAST
from tests.face.strategies import ShortStraddle

DAY = "2024-01-02"
MORNING = pd.Timestamp("2024-01-02 09:20", tz="Asia/Kolkata")


class Once(Strategy):
    """Buys one at-the-money call in the morning, sells it in the afternoon."""

    lots = 1

    @at("09:20")
    def enter(self) -> None:
        self.buy(self.get_atm("CE"), lots=self.lots)

    @at("15:15")
    def leave(self) -> None:
        self.exit_all()


def day(store: Store, strategy: type[Strategy] = Once, **options: Any) -> Run:
    """Play one day without costs, but for what the options say."""
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": DAY, "end": DAY}
    return Backtest(strategy, store, "NIFTY", **(free | options)).run()


@pytest.fixture(scope="module")
def plain(store: Store) -> Run:
    return day(store)


@pytest.fixture(scope="module")
def prices(store: Store, plain: Run) -> Callable[[str, str], float]:
    """Tell a price of the contract bought at a time of the day, read past the engine."""
    table = store.prices(plain.fills["symbol"][0], DAY, DAY)
    times = [f"{time:%H:%M}" for time in table.index]
    return lambda column, time: float(table[column].iloc[times.index(time)])


# --- dates


def test_by_default_a_run_covers_what_the_store_does(store: Store) -> None:
    run = Backtest(Once, store, "NIFTY").run()
    assert (run.bt.first_day, run.bt.last_day) == (FIRST, LAST)
    assert run.progress.bars == 5 * 375
    assert run.equity.index[0] == pd.Timestamp("2024-01-01 09:15", tz="Asia/Kolkata")
    assert run.equity.index[-1] == pd.Timestamp("2024-01-05 15:29", tz="Asia/Kolkata")


def test_days_may_be_dates_or_text_and_one_may_be_left_out(store: Store) -> None:
    run = Backtest(Once, store, "NIFTY", start=date(2024, 1, 4))
    assert (run.first_day, run.last_day) == (date(2024, 1, 4), LAST)
    run = Backtest(Once, store, "NIFTY", end="2024-01-02")
    assert (run.first_day, run.last_day) == (FIRST, date(2024, 1, 2))


def test_warmup_is_read_and_not_played(store: Store) -> None:
    seen: list[float] = []

    class Counting(Strategy):
        def init(self) -> None:
            self.count = self.indicator(lambda close: np.arange(1.0, len(close) + 1), "close")

        def on_bar(self) -> None:
            seen.append(self.count[0])

    run = day(store, Counting, warmup=1)
    assert (run.progress.bars, run.first_bar) == (375, 375)
    assert seen == [float(n) for n in range(376, 751)]  # a day's minutes came before
    assert run.equity.index[0].date() == date(2024, 1, 2)


# --- options


def test_a_market_order_trades_at_the_next_open(
    plain: Run, prices: Callable[[str, str], float]
) -> None:
    bought = plain.fills.iloc[0]
    assert bought["time"] == MORNING
    assert bought["price"] == prices("open", "09:20")


def test_fill_at_close_trades_at_the_close_just_seen(
    store: Store, prices: Callable[[str, str], float]
) -> None:
    bought = day(store, fill_at="close").fills.iloc[0]
    assert bought["price"] == prices("close", "09:19")


def test_slippage_in_ticks_percent_or_by_function(store: Store, plain: Run) -> None:
    fair = plain.fills["price"].to_numpy()
    signs = np.array([1, -1])
    assert np.allclose(day(store, slippage="3ticks").fills["price"], fair + 0.15 * signs)
    percent = day(store, slippage="10%").fills["price"].to_numpy()
    assert np.allclose(percent, fair * (1 + 0.1 * signs), atol=0.05)
    by_function = day(store, slippage=lambda order, price: 1.0)
    assert np.allclose(by_function.fills["price"], fair + signs)


def test_fees_by_market_none_or_function(store: Store, plain: Run) -> None:
    assert (plain.fills["charges"] == 0).all()
    dated = day(store, fees="market")
    assert (dated.fills["charges"] > 20).all()  # brokerage alone is that

    def flat(day: date, contract: Any, qty: int, price: float) -> Mapping[str, float]:
        return {"flat": 7.5}

    flatly = day(store, fees=flat)
    assert list(flatly.fills["charges"]) == [7.5, 7.5]
    assert flatly.stats["charges"] == 15.0
    assert flatly.stats["pnl"] == plain.stats["pnl"] - 15.0
    by_contract = day(store, fees="us")
    assert list(by_contract.fills["charges"]) == [0.65, 0.65]  # a lot each way
    assert list(day(store, fees=us.fees(2.0)).fills["charges"]) == [2.0, 2.0]


def test_params_reach_the_strategy(store: Store, plain: Run) -> None:
    double = day(store, params={"lots": 2})
    assert list(double.fills["qty"]) == [100, 100]
    assert double.stats["pnl"] == pytest.approx(2 * plain.stats["pnl"])
    assert Once.lots == 1


def test_bars_of_five_minutes(store: Store, prices: Callable[[str, str], float]) -> None:
    run = day(store, bar="5min")
    assert run.progress.bars == 75
    assert run.fills["time"][0] == MORNING
    assert run.fills["price"][0] == prices("open", "09:20")


def test_capital_moves_equity_and_nothing_else(store: Store, plain: Run) -> None:
    rich = day(store, capital=5_000_000)
    assert (rich.capital, plain.capital) == (5_000_000, 1_000_000)
    assert np.allclose(rich.equity - plain.equity, 4_000_000)
    assert rich.fills.equals(plain.fills)


def test_two_symbols_make_one_run(store: Store) -> None:
    run = Backtest(Once, store, "NIFTY", "INDIAVIX", start=DAY, end=DAY).run()
    assert run.bt.symbols == ("NIFTY", "INDIAVIX")
    assert "NIFTY, INDIAVIX" in run.title


# --- what a run gives


def test_pnl_is_what_the_prices_say(plain: Run, prices: Callable[[str, str], float]) -> None:
    earned = 50 * (prices("open", "15:15") - prices("open", "09:20"))
    assert plain.stats["pnl"] == pytest.approx(earned)
    assert plain.trades["pnl"].sum() == pytest.approx(earned)
    assert plain.equity.iloc[-1] == pytest.approx(1_000_000 + earned)
    assert plain.progress.pnl == pytest.approx(earned)


def test_tables_are_made_once_when_the_run_is_over(plain: Run) -> None:
    assert plain.fills is plain.fills
    assert plain.stats is plain.stats


def test_tables_of_an_unfinished_run_grow(store: Store) -> None:
    backtest = Backtest(ShortStraddle, store, "NIFTY", start=DAY, end=DAY)
    run = backtest.run_to("2024-01-02 09:15")
    for table in (run.fills, run.orders, run.trades, run.cycles, run.open_positions):
        assert len(table) == 0
    assert run.stats["trades"] == 0
    assert "paused" in run.summary()
    backtest.run_to("fill")
    assert len(run.fills) >= 1
    assert len(run.open_positions) >= 1
    assert len(run.equity) == run.progress.bar
    backtest.run_to("2024-01-02 15:30")
    assert run.state == "finished"
    assert len(run.open_positions) == 0
    assert len(run.trades) == 2


def test_times_are_exchange_local(plain: Run) -> None:
    equity: Any = plain.equity.index
    for times in (plain.fills["time"].dt, plain.orders["time"].dt, equity):
        assert str(times.tz) == "Asia/Kolkata"


def test_a_run_over_the_demo_market_says_so(plain: Run) -> None:
    assert plain.synthetic is True
    assert "synthetic" in plain.summary()


def test_a_run_over_real_prices_does_not(shared: Path, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "real.sqlite")
    store.import_file(shared / "data/minute/banknifty_20221230.parquet", progress=False)
    run = Backtest(Once, store, "BANKNIFTY").run()
    assert run.synthetic is False
    assert "synthetic" not in run.summary()
    store.close()


def test_grouping_and_summary(plain: Run) -> None:
    assert list(plain.by("weekday").index) == ["Tuesday"]
    with pytest.raises(UsageError, match="weekday"):
        plain.by("weekdy")
    assert plain.summary() == plain.summary()
    assert plain.summary().startswith("Once · NIFTY · 2024-01-02 … 2024-01-02")


def test_the_hash_is_the_same_in_another_process(store: Store, demo: Path) -> None:
    here = Backtest(ShortStraddle, store, "NIFTY").run().hash
    there = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from bestbt import Backtest, Store\n"
            "from tests.face.strategies import ShortStraddle\n"
            "print(Backtest(ShortStraddle, Store.open(sys.argv[1]), 'NIFTY').run().hash)",
            str(demo),
        ],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "7", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert there.strip() == here
    assert len(here) == 64


def test_other_orders_have_another_hash(store: Store, plain: Run) -> None:
    assert day(store).hash == plain.hash
    assert day(store, params={"lots": 2}).hash != plain.hash


def test_a_run_says_where_it_stands(store: Store) -> None:
    backtest = Backtest(Once, store, "NIFTY", start=DAY)
    title = f"Once · NIFTY · {DAY} … 2024-01-05"
    run = backtest._run
    assert repr(run) == f"<Run {title}, paused before the first bar>"
    backtest.step(16)
    assert repr(run) == f"<Run {title}, paused at 2024-01-02 09:31>"
    backtest.run_to("2024-01-05 15:30")
    assert repr(run) == f"<Run {title}, finished>"


def test_no_bar_is_played_in_the_warmup(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    backtest = Backtest(Once, store, "NIFTY", start="2024-01-04", warmup=2)
    for bar in (-1, 0, 749):
        monkeypatch.setattr(backtest.simulation.desk.clock, "bar", bar)
        assert backtest._run.progress.bar == 0
        assert backtest._run.progress.time is None


# --- saving


def test_a_saved_run_comes_back(own: Path) -> None:
    store = Store.open(own)
    run = Backtest(
        ShortStraddle, store, "NIFTY", start=DAY, slippage=0, params={"stop": "30%"}
    ).run()
    number = run.save("morning")
    store.close()

    store = Store.open(own)
    kept = store.open_run(number)
    assert (kept.name, kept.state, kept.hash) == ("morning", "finished", run.hash)
    assert "class ShortStraddle(Strategy):" in kept.source
    assert kept.parameters == {"stop": "'30%'"}
    assert kept.options["symbols"] == ["NIFTY"]
    assert kept.options["start"] == DAY
    assert kept.options["end"] == "2024-01-05"
    assert kept.options["slippage"] == 0
    assert kept.title == run.title
    assert list(store.runs()["run_id"]) == [number]
    store.close()


def test_a_run_without_trades_is_saved_too(own: Path) -> None:
    class Idle(Strategy):
        def on_end(self) -> None:
            pass

    store = Store.open(own)
    kept = store.open_run(Backtest(Idle, store, "NIFTY").run().save("nothing"))
    assert (kept.stats["trades"], len(kept.orders), len(kept.fills)) == (0, 0, 0)
    store.close()


def test_an_unfinished_run_is_not_saved(own: Path) -> None:
    store = Store.open(own)
    run = Backtest(Once, store, "NIFTY").step(30)
    with pytest.raises(UsageError, match="The run is paused; only one that has ended"):
        run.save("half")
    assert len(store.runs()) == 0
    store.close()


class Scalps(Strategy):
    """Sells a straddle with a stop and a target so near that one minute may hold both."""

    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl="0.4%", target="0.4%")


def test_the_path_decides_between_stop_and_target_and_the_band_holds_both_ends(
    store: Store,
) -> None:
    pnl = {
        path: day(store, Scalps, path=path, end=LAST).stats["pnl"]
        for path in ("nearest", "pessimistic", "optimistic")
    }
    assert pnl["pessimistic"] < pnl["nearest"] < pnl["optimistic"]
    run = day(store, Scalps, band=True, end=LAST)
    assert run.band() == (pnl["pessimistic"], pnl["optimistic"])
    assert run.stats["ambiguous_bars"] > 0
    assert f"pessimistic {run.currency}" in run.summary().replace("−", "")
    with pytest.raises(UsageError, match=r"path='worst' is no choice\. It has: nearest"):
        day(store, Scalps, path="worst")


def test_a_limit_that_need_only_be_touched_trades_no_later(store: Store) -> None:
    class Limits(Strategy):
        @at("09:20")
        def enter(self) -> None:
            call = self.get_atm("CE")
            self.buy(call, lots=1, type="limit", price=call.price - 2, tif="gtc")

    through, touched = day(store, Limits), day(store, Limits, limit_touch=True)
    assert touched.fills["time"][0] <= through.fills["time"][0]
    assert "limit_touch True" in touched.summary()
    assert "limit_touch" not in through.summary()


def test_a_stop_checked_at_the_close_trades_at_the_next_open(
    store: Store, prices: Callable[[str, str], float]
) -> None:
    class Stopped(Strategy):
        @at("09:20")
        def enter(self) -> None:
            self.buy(self.get_atm("CE"), lots=1, sl="2%")

    stop = day(store, Stopped, stop_check="close").fills.iloc[1]
    assert stop["reason"] == "trigger"
    assert stop["price"] == prices("open", f"{stop['time']:%H:%M}")


def test_the_chain_of_a_paused_run_is_that_of_its_bar(store: Store) -> None:
    backtest = Backtest(ShortStraddle, store, "NIFTY")
    backtest.run_to("2024-01-02 11:00")
    chain = backtest.chain()
    assert chain.expiry == date(2024, 1, 4)
    [seen] = store.prices("NIFTY", "2024-01-02", "2024-01-02").between_time("10:59", "10:59")[
        "close"
    ]
    assert chain.spot.price == seen
    assert chain.atm == min(chain.strikes, key=lambda k: (abs(k - seen), k))
    backtest.step()
    assert chain.reference == backtest.chain().reference
    backtest.back()
    with pytest.raises(StaleHandle):
        _ = chain.atm


def test_a_still_picture_has_what_the_summary_says(plain: Run) -> None:
    told = plain.still()
    assert "data:image/svg+xml" in told
    assert f"<caption>{plain.title}</caption>" in told
    assert "<th>Final equity</th>" in told
    assert "<script" not in told
    assert told == plain.still()  # the same for the same run


def test_a_run_that_stands_before_its_first_bar_has_a_still_picture(store: Store) -> None:
    fresh = Backtest(Once, store, "NIFTY", start=DAY, end=DAY)
    assert "paused: what is booked so far" in fresh._run.still()
