"""A run in the store is the run: whatever it booked, however it was moved, and if writing fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal
from sqlalchemy import event

import bestbt
from bestbt import Backtest, Run, Store, Strategy, UsageError, at
from bestbt.errors import NotRepeatable
from bestbt.store.run_writer import checked_name
from bestbt.store.runs import StoredRun
from tests.face.strategies import ShortStraddle

TABLES = ("fills", "orders", "trades", "ledger", "log")


class Churner(Strategy):
    """Enters, adds, cuts and protects at random, overnight too, and notes odd things."""

    rate = 0.05

    def on_bar(self) -> None:
        if self.random.random() > self.rate:
            return
        right = self.random.choice(("CE", "PE"))
        contract = self.get_atm(right, offset=self.random.choice((-1, 0, 1)))
        draw = self.random.random()
        if draw < 0.15:
            self.exit_all()
        elif draw < 0.5:
            tif = self.random.choice(("day", "gtc"))
            trade = self.random.choice((self.buy, self.sell))
            trade(contract, lots=1, type="limit", price=contract.price, tif=tif, tag="é\0" * 200)
        else:
            self.sell(contract, lots=1 + int(draw * 3), sl="20%", trail="30%", target="10%")
        self.log("traded", draw=draw, lots=3, at=[1, None, {"x": True}], none=None)

    def on_end(self) -> None:
        self.log("the end")


@pytest.fixture
def mine(own: Path) -> Iterator[Store]:
    """A demo week that may be written to."""
    store = Store.open(own)
    yield store
    store.close()


def same(stored: StoredRun, run: Run, *, ended: bool = True, told: bool = False) -> None:
    """Every table is the same to the last bit and type."""
    assert (run.unsaved is not None) == told
    for name in TABLES:
        assert_frame_equal(getattr(stored, name), texts(getattr(run, name)), check_exact=True)
    if ended:
        assert stored.state == run.state
        assert stored.hash == run.hash
        assert_series_equal(stored.equity, run.equity, check_exact=True)
        assert_series_equal(stored.stats, run.stats)
        assert [type(v) for v in stored.stats] == [type(v) for v in run.stats]


def texts(table: pd.DataFrame) -> pd.DataFrame:
    """A NUL has no place in a database: it is stored as the sign for what cannot be shown."""
    if "tag" in table:
        table = table.assign(tag=table["tag"].str.replace("\0", "\ufffd"))
    return table


def test_a_run_that_was_written_while_it_played_is_the_run(mine: Store) -> None:
    run = Backtest(Churner, mine, "NIFTY", save="churned").run()
    assert len(run.fills) > 100
    assert run.trades["charges"].gt(0).all()
    same(mine.open_run("churned"), run)
    assert mine.open_run("churned").run_id == run.saved


@pytest.mark.parametrize("rows", [1, 40, 1_000_000])
def test_whatever_makes_a_batch(mine: Store, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr("bestbt.recorder._ROWS", rows)
    monkeypatch.setattr("bestbt.recorder._LOOK", 0.0)
    monkeypatch.setattr("bestbt.recorder._SHARE", 0.0)
    run = Backtest(Churner, mine, "NIFTY", save="churned").run()
    same(mine.open_run("churned"), run)


def test_save_at_the_end_writes_the_same_as_save_from_the_start(mine: Store) -> None:
    run = Backtest(Churner, mine, "NIFTY", save="early").run()
    late = mine.open_run(run.save("late"))
    early = mine.open_run("early")
    assert late.run_id != early.run_id
    for name in TABLES:
        assert_frame_equal(getattr(early, name), getattr(late, name))
    assert_series_equal(early.stats, late.stats)
    assert early.options == late.options
    assert early.fingerprint == late.fingerprint


def test_a_comparison_of_runs_played_and_stored(mine: Store) -> None:
    wide = Backtest(ShortStraddle, mine, "NIFTY", params={"stop": "80%"}, save="wide").run()
    tight = Backtest(ShortStraddle, mine, "NIFTY", params={"stop": "5%"}, save="tight").run()
    table = bestbt.compare(wide, tight)
    assert list(table) == ["wide", "tight", "difference"]
    assert list(table.index) == list(wide.stats.index)
    assert table.loc["pnl", "difference"] == tight.stats["pnl"] - wide.stats["pnl"] != 0
    assert np.isnan(table.loc["start", "difference"])
    assert_frame_equal(bestbt.compare(mine.open_run("wide"), tight), table)
    curves = bestbt.compare(wide, mine.open_run("tight"), equity=True)
    assert_series_equal(curves["wide"], wide.equity, check_names=False)
    assert_series_equal(curves["tight"], tight.equity, check_names=False)
    assert list(bestbt.compare(wide, wide)) == ["wide 1", "wide 2", "difference"]
    something: Any = "wide"
    with pytest.raises(UsageError, match="open_run"):
        bestbt.compare(wide, something)


# --- moved by hand


def settled(run: Run) -> None:
    """Wait until what has been booked of a run that stands is written."""
    recorder = run.bt.recorder
    assert recorder is not None
    assert recorder.wait(30)


def test_a_run_that_stands_in_the_middle_of_a_day_is_written_so_far(mine: Store) -> None:
    backtest = Backtest(Churner, mine, "NIFTY", save="slow")
    run = backtest.step(700)
    settled(run)
    kept = mine.open_run("slow")
    assert kept.state == "paused"
    assert kept.hash == ""
    assert run.saved is None
    assert kept.played_to == run.progress.time
    same(kept, run, ended=False)
    assert list(kept.equity) == [run.equity.iloc[374]]  # the one session end so far
    figures = kept.stats
    assert figures["trades"] == run.stats["trades"]
    assert figures["win_rate_pct"] == run.stats["win_rate_pct"]
    assert figures["charges"] == pytest.approx(run.stats["charges"])
    with pytest.raises(UsageError, match="is paused; stop it"):
        mine.delete_run("slow")
    run.stop()
    run.wait()
    same(mine.open_run("slow"), run)
    assert mine.open_run("slow").state == "stopped"


def test_a_run_that_goes_back_and_another_way_leaves_the_way_it_went(mine: Store) -> None:
    backtest = Backtest(Churner, mine, "NIFTY", save="twice")
    run = backtest.run_to("2024-01-04 12:00")
    settled(run)
    many = len(mine.open_run("twice").fills)
    backtest.back(800)
    settled(run)
    kept = mine.open_run("twice")
    assert 0 < len(kept.fills) < many
    same(kept, run, ended=False)
    backtest.exit_all()
    backtest.block_for_day()
    backtest.run_to("2024-01-05 15:30")
    same(mine.open_run("twice"), run)
    backtest.back(5)  # from its end: it is paused again
    settled(run)
    kept = mine.open_run("twice")
    assert (kept.state, kept.hash, run.saved) == ("paused", "", None)
    same(kept, run, ended=False)
    backtest.step(5)
    same(mine.open_run("twice"), run)


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(1, 500)),
        st.tuples(st.just("back"), st.integers(1, 600)),
        st.tuples(st.just("exit_all"), st.none()),
        st.tuples(st.just("settled"), st.none()),
    ),
    max_size=8,
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moves=MOVES, rows=st.sampled_from([1, 30, 10_000]))
def test_however_it_is_moved_the_record_is_the_run(
    mine: Store, moves: list[tuple[str, int | None]], rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bestbt.recorder._ROWS", rows)
        patch.setattr("bestbt.recorder._LOOK", 0.001)
        patch.setattr("bestbt.recorder._SHARE", 0.0)
        backtest = Backtest(Churner, mine, "NIFTY", start="2024-01-03", save="moved")
        run = backtest.step()
        for verb, bars in moves:
            if verb == "settled":
                settled(run)
                same(mine.open_run("moved"), run, ended=False)
            elif verb == "exit_all":
                if run.state == "paused":
                    backtest.exit_all()
            else:
                getattr(backtest, verb)(bars)
        if run.state == "paused":
            run.resume()
        run.wait()
        same(mine.open_run("moved"), run)


def test_a_run_that_cannot_be_repeated_is_stored_as_the_replay_went(mine: Store) -> None:
    seen: list[int] = []

    class Forgetful(Strategy):
        @at("09:20")
        def enter(self) -> None:
            seen.append(1)
            self.sell(self.get_atm("CE", offset=len(seen) % 2), lots=1)

    backtest = Backtest(Forgetful, mine, "NIFTY", save="odd")
    run = backtest.step(60)
    with pytest.raises(NotRepeatable):
        backtest.back(10)
    settled(run)
    same(mine.open_run("odd"), run, ended=False)


# --- its end


def test_a_run_that_fails_says_why_in_the_store(mine: Store) -> None:
    class Failing(Strategy):
        @at("09:20")
        def enter(self) -> None:
            self.sell(self.get_atm("CE"), lots=1)
            if self.today.day == 3:
                raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        Backtest(Failing, mine, "NIFTY", save="failing").run()
    kept = mine.open_run("failing")
    assert kept.state == "failed"
    assert kept.failure is not None
    assert "ZeroDivisionError: by nothing" in kept.failure
    assert len(kept.orders) == 3 + (kept.orders["type"] != "market").sum()


def test_names_numbers_and_what_is_not_there(mine: Store) -> None:
    assert mine.runs().empty
    with pytest.raises(UsageError, match="there is none yet"):
        mine.open_run("morning")
    first = Backtest(ShortStraddle, mine, "NIFTY", save="morning").run().saved
    second = Backtest(ShortStraddle, mine, "NIFTY", save="morning").run().saved
    assert mine.open_run("morning").run_id == second
    assert mine.open_run(str(first)).run_id == first
    with pytest.raises(UsageError, match="Did you mean 'morning'"):
        mine.open_run("mornin")
    gone = mine.delete_run("morning")
    assert gone.run_id == second
    assert len(gone.fills) == 0
    assert list(mine.runs()["run_id"]) == [first]
    assert len(mine.open_run("morning").fills) > 0  # the other's


@pytest.mark.parametrize("name", ["", " ", "7", "a\nb", "a\0b", "x" * 201, 7])
def test_what_is_no_name(mine: Store, name: Any) -> None:
    with pytest.raises(UsageError, match="name"):
        checked_name(name)
    with pytest.raises(UsageError, match="name"):
        Backtest(ShortStraddle, mine, "NIFTY", save=name)


# --- a store that does not take it


class Broken:
    """Lets no statement that changes the runs through while it is on."""

    def __init__(self, store: Store) -> None:
        self.on = True
        self.tried = threading.Event()
        event.listen(store.engine, "before_cursor_execute", self._look)

    def _look(self, _c: Any, _u: Any, statement: str, *_: Any) -> None:
        if self.on and statement.startswith(("INSERT INTO run", "UPDATE run")):
            self.tried.set()
            raise OSError("no room for it")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr("bestbt.recorder._RETRY", 0.0)
    monkeypatch.setattr("bestbt.recorder._LOOK", 0.001)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_takes_nothing_ends_no_run_and_is_told_once(mine: Store) -> None:
    broken = Broken(mine)
    run = Backtest(Churner, mine, "NIFTY", save="lost").run()
    plain = Backtest(Churner, mine, "NIFTY").run()
    assert (run.state, run.saved) == ("finished", None)
    assert run.hash == plain.hash
    assert run.unsaved == "Not written to the store: no room for it"
    assert run.unsaved in run.summary()
    assert list(run.log["kind"]).count("unsaved") == 1
    assert mine.runs().empty
    with pytest.raises(OSError, match="no room"):
        run.save("lost")
    broken.on = False
    number = run.save("lost")
    assert run.saved == number
    assert run.unsaved is None
    same(mine.open_run("lost"), run)
    assert run.save("lost") != number  # it is whole: this is another record


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_away_for_a_while_misses_nothing(mine: Store) -> None:
    broken = Broken(mine)
    backtest = Backtest(Churner, mine, "NIFTY", save="late")
    run = backtest.run_to("2024-01-03 12:00")
    assert broken.tried.wait(10)
    settled(run)  # given up while it stands
    assert run.unsaved is not None
    broken.on = False
    backtest.run_to("2024-01-05 15:30")
    assert run.unsaved is None
    assert list(run.log["kind"]).count("unsaved") == 1
    same(mine.open_run("late"), run)


def test_a_record_that_is_deleted_meanwhile_ends_no_run(
    mine: Store, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = Backtest(ShortStraddle, mine, "NIFTY", save="gone")
    run = backtest.step(500)
    settled(run)
    monkeypatch.setattr("bestbt.store.runs.is_writing", lambda *_: False)  # as another machine sees
    assert mine.delete_run("gone").state == "unfinished"
    backtest.run_to("2024-01-05 15:30")
    assert run.unsaved is not None
    assert "deleted" in run.unsaved
    same(mine.open_run(run.save("again")), run, told=True)


def test_a_run_is_in_the_list_while_it_plays(mine: Store) -> None:
    there, go = threading.Event(), threading.Event()

    class Waiting(Strategy):
        @at("10:00")
        def wait(self) -> None:
            if self.today.day == 4:
                there.set()
                go.wait(30)

    run = Backtest(Waiting, mine, "NIFTY", save="under way").start()
    assert there.wait(30)
    recorder = run.bt.recorder
    assert recorder is not None
    while mine.runs()["played_to"].notna().sum() == 0:
        assert not recorder.wait(0.01)
    (row,) = mine.runs().to_dict("records")
    assert (row["state"], row["name"]) == ("running", "under way")
    assert f"{row['played_to']:%Y-%m-%d %H:%M}" == "2024-01-03 15:30"  # whole sessions
    go.set()
    run.wait()
    assert list(mine.runs()["state"]) == ["finished"]
