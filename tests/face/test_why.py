"""Why, why a fill and where a day's PnL came from, asked of runs of the demo market."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bestbt import Backtest, Run, Store, Strategy, UsageError, at
from bestbt.report.forwards import forwards
from tests.face.shell import Notebook
from tests.face.strategies import ShortStraddle, cell

DAY = "2024-01-02"


class Condor(Strategy):
    """Ten legs in, all of them out; some by their stops."""

    @at("09:20")
    def enter(self) -> None:
        for offset in range(5):
            for right in ("CE", "PE"):
                trade = self.sell if offset < 3 else self.buy
                trade(self.get_atm(right, offset=offset), lots=1, sl="15%")


@pytest.fixture(scope="module")
def straddle(store: Store) -> Run:
    return Backtest(ShortStraddle, store, "NIFTY", start=DAY, end="2024-01-04").run()


# --- why


def test_a_moment_of_a_finished_run(straddle: Run) -> None:
    before = straddle.hash, straddle.bt.simulation.bar
    why = straddle.bt.why(f"{DAY} 09:20")
    (hook,) = why.hooks
    assert hook.name == "enter"
    assert [line.count for line in hook.lines if "self.sell(" in line.text] == [2]
    assert [order.text.split(",")[1:] for order in why.orders] == [[" entry", " market"]] * 2
    placed = straddle.orders["symbol"].head(2)
    assert [order.text.split(" ", 2)[2].split(",")[0] for order in why.orders] == placed.tolist()
    assert why.title == straddle.title
    assert f"{why.time:%Y-%m-%d %H:%M}" == f"{DAY} 09:20"
    assert why.remarks == ()
    assert (straddle.hash, straddle.bt.simulation.bar) == before
    assert straddle.state == "finished"


def test_by_default_it_is_the_bar_where_the_run_stands(store: Store) -> None:
    bt = Backtest(ShortStraddle, store, "NIFTY", start=DAY, end=DAY)
    assert bt.why().time is None
    bt.run_to(f"{DAY} 09:20")
    assert [hook.name for hook in bt.why().hooks] == ["enter"]
    bt.step()
    why = bt.why()
    assert why.hooks == ()
    assert len(why.fills) == 2
    assert why.next == f"leave() at {DAY} 15:15"
    assert bt.simulation.bar == bt._run.first_bar + 5
    assert bt.run().state == "finished"


def test_what_was_done_by_hand_is_in_it(store: Store) -> None:
    bt = Backtest(ShortStraddle, store, "NIFTY", start=DAY, end=DAY)
    bt.run_to(f"{DAY} 09:18")
    bt.block_for_day()
    bt.run()
    why = bt.why(f"{DAY} 09:20")
    assert len(why.refused) == 2
    assert "blocked until" in why.refused[0]
    assert bt.why(f"{DAY} 09:18").log[-1].kind == "intervention"


def test_a_failed_run_is_asked_where_it_raised(store: Store) -> None:
    class AtOpen(Strategy):
        def on_session_start(self) -> None:
            if self.today.day == 3:
                raise ValueError("no session for me")

    bt = Backtest(AtOpen, store, "NIFTY", start=DAY, end="2024-01-04")
    with pytest.raises(ValueError, match="no session"):
        bt.run()
    why = bt.why()
    assert why.error == "ValueError: no session for me"
    assert [hook.name for hook in why.hooks] == ["on_session_start"]
    assert why.hooks[0].error == why.error
    with pytest.raises(UsageError, match="ValueError at 2024-01-03"):
        bt.why("2024-01-04 10:00")


RAISING = '''
class Raising(Strategy):
    """Divides by what is nothing at half past nine."""

    @at("09:30")
    def share(self):
        held = len(self.get_opened_positions())
        self.part = 100 / held
'''.lstrip()


def test_a_cell_that_raised_shows_its_line(notebook: Notebook) -> None:
    notebook(cell(f"--from {DAY} --to {DAY}", RAISING))
    why = notebook.names["run"].bt.why()
    (hook,) = why.hooks
    (failed,) = [line for line in hook.lines if line.error]
    assert failed.error == "ZeroDivisionError: division by zero"
    assert (failed.number, failed.text.strip()) == (8, "self.part = 100 / held")
    assert [(v.name, v.text) for v in failed.values] == [("held", "0")]


# --- why this fill


def test_every_fill_of_a_run_can_be_told(straddle: Run) -> None:
    table = straddle.fills
    for n, row in table.iterrows():
        story = straddle.why_fill(n)  # type: ignore[arg-type]
        assert (story.symbol, story.side, story.qty) == (row.symbol, row.side, row.qty)
        assert (story.price, story.slippage) == (row.price, row.slippage)
        assert sum(v for _, v in story.charges) == pytest.approx(row.charges)
        assert pd.Timestamp(story.time) == row.time
    stopped = table.index[table["kind"] == "stop"]
    assert "Stopped out" in straddle.why_fill(int(stopped[0])).to_text()


# --- where the day's PnL came from


@pytest.mark.parametrize("strategy", [ShortStraddle, Condor])
def test_the_days_add_up_to_the_run(store: Store, strategy: type[Strategy]) -> None:
    run = Backtest(strategy, store, "NIFTY").run()
    equity = run.equity.groupby(run.equity.index.date).last()  # type: ignore[attr-defined]
    made = equity.diff().fillna(equity - run.capital)
    for day, change in made.items():
        found = run.attribution(day)  # type: ignore[arg-type]
        assert found.pnl == pytest.approx(change, abs=1e-6)
        for frame in (found.by_leg, found.by_greek, found.by_cause):
            assert frame["pnl"].sum() == pytest.approx(change, abs=1e-6)
    worst = run.attribution()
    assert str(worst.day) == str(made.idxmin())
    assert worst.by_cause["stops"].sum() < 0


def test_what_was_sold_gains_from_time(straddle: Run) -> None:
    found = straddle.attribution("2024-01-04").by_greek.sum()
    assert found["theta"] > 0 > found["gamma"]


def test_the_forward_is_that_of_the_chain(store: Store) -> None:
    told: list[tuple[float, int]] = []

    class Watching(Strategy):
        def on_bar(self) -> None:
            found = self.chain().reference_by("forward")
            told.append((found.value, found.age) if found else (float("nan"), -1))

    bt = Backtest(Watching, store, "NIFTY", start=DAY, end=DAY)
    bt.run()
    expiry = bt.simulation.strategy.get_closest_expiry()
    first = bt.simulation.start
    found = forwards(bt.feed, bt.market, "NIFTY", expiry, first, first + 375)
    assert list(zip(found.value.tolist(), found.age.tolist(), strict=True)) == told


def test_a_new_store_file_is_not_needed(own: Path) -> None:
    """All three read what the run has read; nothing is written."""
    before = own.stat().st_mtime_ns
    store = Store.open(own)
    run = Backtest(ShortStraddle, store, "NIFTY", start=DAY, end=DAY).run()
    run.bt.why(f"{DAY} 09:20")
    run.why_fill(0)
    run.attribution()
    store.close()
    assert own.stat().st_mtime_ns == before
