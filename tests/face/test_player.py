"""The player: pausing, stopping and stepping at any moment, from any thread.

Strategies here stand still at a bar of the test's choosing, so that nothing depends on speed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bestbt import Backtest, Run, Store, Strategy, UsageError
from bestbt.errors import StaleHandle
from bestbt.player import _Stopped
from tests.face.strategies import ShortStraddle

LONG = 30.0  # seconds after which a test that waits has failed


class Stage:
    """Backtests that stand still at a bar until they are let go."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.made: list[Backtest] = []
        self.reached = threading.Event()
        self.gate = threading.Event()

    def straddle(self) -> Backtest:
        return self._made(ShortStraddle)

    def held(self, at: int = 10, then: Callable[[], object] = lambda: None) -> Backtest:
        """Return a backtest whose `on_bar` waits at a bar for the gate, then does something."""
        stage = self

        class Held(ShortStraddle):
            def on_bar(self) -> None:
                if self.bar == at:
                    stage.reached.set()
                    stage.gate.wait(LONG)
                    then()

        return self._made(Held)

    def hanging(self, body: Callable[[], object]) -> Backtest:
        """Return a backtest whose `on_bar` does not end by itself."""
        stage = self

        class Hanging(Strategy):
            def on_bar(self) -> None:
                stage.reached.set()
                body()

        return self._made(Hanging)

    def _made(self, strategy: type[Strategy]) -> Backtest:
        self.made.append(Backtest(strategy, self.store, "NIFTY"))
        return self.made[-1]


@pytest.fixture
def stage(store: Store) -> Iterator[Stage]:
    made = Stage(store)
    yield made
    made.gate.set()
    for backtest in made.made:
        backtest.player.stop()
        assert backtest.player.done.wait(LONG)
    engines = [t for t in threading.enumerate() if t.name in ("bt-engine", "bt-stop")]
    for thread in engines:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in engines)


@pytest.fixture(scope="module")
def whole(store: Store) -> Run:
    """Return the straddle played in one go."""
    return Backtest(ShortStraddle, store, "NIFTY").run()


def started(stage: Stage, backtest: Backtest) -> Run:
    """Start and stand at the held bar."""
    run = backtest.start()
    assert stage.reached.wait(LONG)
    return run


# --- from start to end


def test_a_run_plays_in_its_thread_and_none_is_left(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held())
    assert [t.name for t in threading.enumerate()].count("bt-engine") == 1
    assert (run.state, run.done.is_set()) == ("running", False)
    stage.gate.set()
    assert run.wait(LONG) is run
    assert (run.state, run.done.is_set()) == ("finished", True)
    assert run.hash == whole.hash
    assert run.progress.bar == run.progress.bars


def test_views_are_told_when_a_run_has_come_to_rest(stage: Stage) -> None:
    backtest = stage.held()
    told: list[str] = []
    backtest._run._player.rested = lambda: told.append(backtest._run.state)
    run = started(stage, backtest)
    run.pause()
    assert told == []
    stage.gate.set()
    assert run.wait(LONG)
    for thread in [t for t in threading.enumerate() if t.name == "bt-engine"]:
        thread.join(LONG)
    assert told == ["paused"]
    backtest.run()
    assert told == ["paused", "finished"]


def test_what_the_engine_has_begun_to_answer_is_waited_for(stage: Stage) -> None:
    backtest = stage.held()
    run = started(stage, backtest)
    answers: list[int | None] = []
    begun, answer = threading.Event(), threading.Event()

    def look(_: Any) -> int:
        begun.set()
        answer.wait(LONG)
        return 7

    assert run.bt.read(lambda _: 1, timeout=0.001) is None, "the hook does not return"
    asker = threading.Thread(target=lambda: answers.append(run.bt.read(look, timeout=2.0)))
    asker.start()
    stage.gate.set()
    assert begun.wait(LONG)
    asker.join(2.5)  # longer than it said it would wait for a hook
    assert asker.is_alive()
    answer.set()
    asker.join(LONG)
    assert answers == [7]


def test_views_look_at_a_run_that_plays_at_another_pace(stage: Stage) -> None:
    backtest = stage.held()
    run = started(stage, backtest)
    looked: list[float | None] = []

    class View:
        def look(self) -> None:
            looked.append(run.pace)

    view = View()
    run._views.add(view)
    run.pace = 5.0
    assert looked == [5.0]
    run.pace = None
    assert looked == [5.0, None]


def test_start_twice_is_refused(stage: Stage) -> None:
    backtest = stage.held()
    started(stage, backtest)
    for again in (backtest.start, backtest.run):
        with pytest.raises(UsageError, match="playing already"):
            again()


def test_start_after_the_end_is_refused(stage: Stage) -> None:
    backtest = stage.straddle()
    backtest.run()
    with pytest.raises(UsageError, match="has finished; start a new one"):
        backtest.start()


def test_many_starts_at_once_start_one(stage: Stage, whole: Run) -> None:
    backtest = stage.held()
    refusals = at_once([backtest.start] * 8)
    assert [str(e) for e in refusals if e is not None] == ["The run is playing already."] * 7
    stage.gate.set()
    assert backtest.player.wait(LONG)
    assert backtest._run.hash == whole.hash


def test_many_resumes_at_once_start_one(stage: Stage, whole: Run) -> None:
    backtest = stage.held()
    assert at_once([backtest.player.resume] * 8) == [None] * 8
    assert stage.reached.wait(LONG)
    assert [t.name for t in threading.enumerate()].count("bt-engine") == 1
    stage.gate.set()
    assert backtest.player.wait(LONG)
    assert backtest._run.hash == whole.hash


def at_once(calls: list[Callable[[], object]]) -> list[UsageError | None]:
    """Make calls from threads that are let go together; return what each raised."""
    line = threading.Barrier(len(calls))
    raised: list[UsageError | None] = [None] * len(calls)

    def one(number: int) -> None:
        line.wait(LONG)
        try:
            calls[number]()
        except UsageError as error:
            raised[number] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    return raised


# --- pause and resume


def test_a_pause_stands_at_the_bar_being_played(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held(at=10))
    run.pause()
    assert run.state == "running"  # the bar is not over
    stage.gate.set()
    run.wait(LONG)
    assert (run.state, run.done.is_set(), run.bt.simulation.bar) == ("paused", False, 10)
    run.resume()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


def test_a_pause_taken_back_before_it_was_reached_is_no_pause(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held())
    run.pause()
    run.resume()
    stage.gate.set()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


def test_a_pause_is_taken_back_even_while_the_thread_is_ending(stage: Stage, whole: Run) -> None:
    backtest = stage.held()
    player = backtest.player
    finish = player._finish

    def late() -> bool:  # the loop has seen the pause; the player has not said so yet
        if backtest.simulation.bar == 10:
            player.resume()
        return finish()

    player._finish = late  # type: ignore[method-assign]
    run = started(stage, backtest)
    run.pause()
    stage.gate.set()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


def test_the_last_of_pause_and_resume_counts(stage: Stage) -> None:
    run = started(stage, stage.held())
    for command in (run.pause, run.resume, run.pause):
        command()
    stage.gate.set()
    assert run.wait(LONG).state == "paused"


def test_a_strategy_may_pause_its_own_run(stage: Stage) -> None:
    backtest = stage.held(at=7, then=lambda: backtest.player.pause())
    stage.gate.set()
    backtest.start().wait(LONG)
    assert (backtest.player.state, backtest.simulation.bar) == ("paused", 7)


def test_tables_of_a_paused_run_hold_what_is_booked(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held(at=375 + 30))  # half an hour into the second day
    run.pause()
    stage.gate.set()
    run.wait(LONG)
    fills = run.fills
    assert fills.equals(whole.fills.iloc[: len(fills)])
    assert 4 <= len(fills) < len(whole.fills)
    assert len(run.open_positions) > 0
    run.resume()
    run.wait(LONG)
    assert run.fills.equals(whole.fills)


@given(st.lists(st.integers(1, 1800), min_size=1, max_size=6))
@settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pauses_anywhere_change_nothing(stage: Stage, whole: Run, bars: list[int]) -> None:
    pauses = set(bars)

    class Pausing(ShortStraddle):
        def on_bar(self) -> None:
            if self.bar in pauses:
                pauses.remove(self.bar)
                backtest.player.pause()

    backtest = Backtest(Pausing, stage.store, "NIFTY")
    run = backtest.start().wait(LONG)
    stops = 1
    while run.state == "paused":
        run.resume()
        run.wait(LONG)
        stops += 1
    assert (run.state, stops) == ("finished", len(set(bars)) + 1)
    assert run.hash == whole.hash


def test_commands_from_many_threads_leave_one_true_run(stage: Stage, whole: Run) -> None:
    """Pause and resume hail from eight threads; whatever order they land in, the run is whole."""
    run = started(stage, stage.held(at=3))
    stage.gate.set()

    def hail(seed: int) -> Callable[[], None]:
        def go() -> None:
            for choice in np.random.default_rng(seed).integers(0, 2, 200):
                (run.pause if choice else run.resume)()

        return go

    assert at_once([hail(seed) for seed in range(8)]) == [None] * 8
    run.resume()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


# --- wait


def test_wait_gives_up_after_its_time(stage: Stage) -> None:
    run = started(stage, stage.held())
    assert run.bt.player.wait(0.01) is False
    assert run.wait(0.01).state == "running"


def test_an_interrupt_while_waiting_pauses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(stage, stage.held())
    player = run.bt.player
    idle = player._idle

    class Interrupted:
        """Waits as the event does, and is struck by Ctrl-C the first time."""

        def __init__(self) -> None:
            self.struck = False

        def __getattr__(self, name: str) -> Any:
            return getattr(idle, name)

        def wait(self, timeout: float) -> bool:
            if not self.struck:
                self.struck = True
                stage.gate.set()
                signal.raise_signal(signal.SIGINT)
            return idle.wait(timeout)

    monkeypatch.setattr(player, "_idle", Interrupted())
    assert run.wait().state == "paused"
    run.resume()
    assert run.wait(LONG).state == "finished"


# --- stop


def test_stop_keeps_what_is_booked(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held(at=375 + 30))
    run.stop()
    stage.gate.set()
    assert run.done.wait(LONG)
    assert run.wait().state == "stopped"
    assert run.fills.equals(whole.fills.iloc[: len(run.fills)])
    assert len(run.fills) > 0
    assert run.failure is None


def test_stop_before_the_first_bar(stage: Stage) -> None:
    backtest = stage.straddle()
    backtest.player.stop()
    assert (backtest.player.state, backtest._run.progress.bar) == ("stopped", 0)
    with pytest.raises(UsageError, match="has stopped; start a new one"):
        backtest.start()


def test_stop_when_paused(stage: Stage) -> None:
    run = started(stage, stage.held())
    run.pause()
    stage.gate.set()
    run.wait(LONG)
    run.stop()
    assert (run.state, run.done.is_set()) == ("stopped", True)
    run.resume()
    assert run.state == "stopped"


def test_stop_twice_is_stop(stage: Stage) -> None:
    run = started(stage, stage.held())
    assert at_once([run.stop] * 8) == [None] * 8
    assert [t.name for t in threading.enumerate()].count("bt-stop") <= 1
    stage.gate.set()
    assert run.done.wait(LONG)
    run.stop()
    assert run.state == "stopped"


def test_stop_after_the_end_changes_nothing(stage: Stage) -> None:
    run = stage.straddle().run()
    run.stop()
    assert run.state == "finished"


def test_resume_does_not_undo_a_stop(stage: Stage) -> None:
    run = started(stage, stage.held())
    run.stop()
    run.resume()
    stage.gate.set()
    assert run.done.wait(LONG)
    assert run.state == "stopped"


def test_stop_ends_a_hook_that_hangs(stage: Stage) -> None:
    def forever() -> None:
        while True:
            pass

    run = started(stage, stage.hanging(forever))
    run.stop()
    assert run.done.wait(LONG)
    assert run.state == "stopped"


def test_stop_ends_a_hook_that_swallows_what_it_can(stage: Stage) -> None:
    def stubborn() -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:
                pass

    run = started(stage, stage.hanging(stubborn))
    run.stop()
    assert run.done.wait(LONG)
    assert run.wait().state == "stopped"


def test_what_a_stopped_hook_raises_is_no_failure(stage: Stage) -> None:
    def turning() -> None:
        try:
            while True:
                pass
        except BaseException:
            raise ValueError("changed") from None

    run = started(stage, stage.hanging(turning))
    run.stop()
    assert run.done.wait(LONG)
    assert (run.wait().state, run.failure) == ("stopped", None)


@pytest.mark.parametrize("where", ["before", "inside"])
def test_a_break_off_that_comes_too_late_is_harmless(stage: Stage, where: str) -> None:
    """A hook may return just as it is broken off: the strike then hits the player itself."""
    backtest = stage.held()
    player = backtest.player
    finish, strikes = player._finish, [_Stopped(), _Stopped()]

    def struck() -> bool:
        if where == "before" and strikes:
            raise strikes.pop()
        over = finish()
        if strikes:
            raise strikes.pop()
        return over

    player._finish = struck  # type: ignore[method-assign]
    run = started(stage, backtest)
    run.stop()
    stage.gate.set()
    assert run.done.wait(LONG)
    assert (run.wait(LONG).state, strikes) == ("stopped", [])


# --- errors


def test_an_error_of_the_strategy_fails_the_run(stage: Stage) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no lots")

    stage.gate.set()
    backtest = stage.held(at=20, then=broken)
    run = backtest.start()
    assert run.done.wait(LONG)
    assert run.state == "failed"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="no lots"):
            run.wait()
    assert "no lots" in str(run.failure)
    assert "test_player.py" in str(run.failure)
    assert "feeder.py" not in str(run.failure)
    assert len(run.fills) >= 2  # of 09:20, before it
    with pytest.raises(UsageError, match="has failed; start a new one"):
        backtest.start()
    with pytest.raises(UsageError, match="has failed; rewind it with back"):
        backtest.step()


def test_run_raises_what_the_strategy_raises(stage: Stage) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no lots")

    stage.gate.set()
    backtest = stage.held(at=20, then=broken)
    with pytest.raises(ZeroDivisionError, match="no lots"):
        backtest.run()
    assert backtest.player.state == "failed"


# --- by hand


OVER_BAR_20: dict[str, tuple[int, Callable[[Backtest], object]]] = {
    "step": (16, lambda backtest: backtest.step(10)),
    "run_to a bar": (16, lambda backtest: backtest.run_to(30)),
    "run_to a moment": (16, lambda backtest: backtest.run_to("2024-01-01 15:00")),
    "run_to an event": (16, lambda backtest: backtest.run_to("session")),
    "back": (26, lambda backtest: backtest.back()),
}


@pytest.mark.parametrize("error", [ZeroDivisionError("no lots"), UsageError("no lots")])
@pytest.mark.parametrize(("bars", "move"), OVER_BAR_20.values(), ids=OVER_BAR_20)
def test_a_strategy_that_raises_while_a_hand_moves_it_fails(
    stage: Stage, bars: int, move: Callable[[Backtest], object], error: Exception
) -> None:
    armed: list[Exception] = []

    def broken() -> None:
        if armed:
            raise armed[0]

    stage.gate.set()
    backtest = stage.held(at=20, then=broken)
    run = backtest.step(bars)
    armed.append(error)
    with pytest.raises(type(error), match="no lots"):
        move(backtest)
    assert (run.state, run.done.is_set(), run.bt.simulation.bar) == ("failed", True, 20)
    assert "no lots" in str(run.failure)
    assert "at 2024-01-01 09:36 of the run" in str(run.failure)
    with pytest.raises(type(error), match="no lots"):
        run.wait()
    with pytest.raises(UsageError, match="has failed; rewind it with back"):
        backtest.step()


def test_a_run_that_has_failed_can_be_rewound_and_fails_again(stage: Stage) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no lots")

    stage.gate.set()
    backtest = stage.held(at=20, then=broken)
    run = backtest.start()
    assert run.done.wait(LONG)
    with pytest.raises(UsageError, match="raised in the middle of a bar"):
        backtest.go_to(25)
    assert (run.state, run.done.is_set()) == ("failed", True)
    assert "no lots" in str(run.failure)
    backtest.back(3)
    assert (run.state, run.done.is_set(), run.failure) == ("paused", False, None)
    assert run.progress.bar == 18
    backtest.step(2)
    run.resume()
    assert run.done.wait(LONG)
    assert (run.state, run.progress.bar) == ("failed", 21)
    assert "no lots" in str(run.failure)


def test_a_run_that_was_stopped_can_be_rewound_and_goes_on(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest.step(500)
    run.stop()
    assert run.state == "stopped"
    backtest.back(10)
    assert (run.state, run.done.is_set()) == ("paused", False)
    run.resume()
    assert run.wait(LONG).hash == whole.hash


def test_what_is_wrong_with_a_call_leaves_the_run_as_it_was(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest.step(30)
    for call in (
        lambda: backtest.step(0),
        lambda: backtest.back(0),
        lambda: backtest.run_to("fil"),
        lambda: backtest.run_to("2024-01-01 09:20"),
        lambda: backtest.buy("NIFTY", 1),
        lambda: backtest.buy("NIFTY 2024-01-25 FUT", 0),
        lambda: backtest.exit("NIFTY 2024-01-25 99999 CE"),
    ):
        with pytest.raises(UsageError):
            call()
        assert (run.state, run.failure, run.done.is_set()) == ("paused", None, False)
    run.resume()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


def test_a_stop_under_way_counts_more_than_what_the_hook_raises(stage: Stage) -> None:
    def stopped() -> None:
        backtest.player.stop()
        raise ZeroDivisionError("no lots")

    stage.gate.set()
    backtest = stage.held(at=20, then=stopped)
    with pytest.raises(ZeroDivisionError):
        backtest.step(30)
    assert (backtest._run.state, backtest.failure) == ("stopped", None)


class Watching:
    """Counts how often it is told to look again."""

    def __init__(self, run: Run) -> None:
        self.run, self.seen = run, list[str]()
        run._views.add(self)

    def wake(self) -> None:
        self.seen.append(self.run.state)


def test_views_look_again_after_each_move_by_hand(stage: Stage) -> None:
    backtest = stage.straddle()
    view = Watching(backtest.run())
    backtest.back(400)
    backtest.exit_all()
    with pytest.raises(UsageError):
        backtest.step(0)
    backtest.run_to("2024-01-05 15:30")
    assert view.seen == ["paused", "paused", "paused", "finished"]


def test_a_run_does_not_keep_a_view(stage: Stage) -> None:
    run = stage.straddle().step()
    Watching(run)
    assert len(run._views) == 0


def test_a_hand_is_refused_while_it_plays(stage: Stage) -> None:
    backtest = stage.held()
    started(stage, backtest)
    for move in (
        backtest.step,
        backtest.back,
        lambda: backtest.run_to("fill"),
        backtest.exit_all,
        lambda: backtest.exit("NIFTY 2024-01-04 FUT"),
        lambda: backtest.buy("NIFTY 2024-01-04 FUT", 1),
        lambda: backtest.sell("NIFTY 2024-01-04 FUT", 1),
    ):
        with pytest.raises(UsageError, match="pause it first"):
            move()


def test_playing_is_refused_while_a_hand_moves_it(stage: Stage) -> None:
    backtest = stage.held()
    raised: list[UsageError | None] = []

    def hand() -> None:
        backtest.step(20)

    thread = threading.Thread(target=hand)
    thread.start()
    assert stage.reached.wait(LONG)
    raised += at_once([backtest.start, backtest.step, backtest.exit_all])
    assert all(isinstance(error, UsageError) for error in raised)
    backtest.player.resume()  # the button: nothing to take back, and nothing is started
    assert "bt-engine" not in [t.name for t in threading.enumerate()]
    stage.gate.set()
    thread.join(LONG)
    assert (backtest.simulation.bar, backtest.player.state) == (19, "paused")


def test_a_pause_stops_a_hand(stage: Stage) -> None:
    backtest = stage.held()
    thread = threading.Thread(target=lambda: backtest.run_to("2024-01-05 15:30"))
    thread.start()
    assert stage.reached.wait(LONG)
    backtest.player.pause()
    stage.gate.set()
    thread.join(LONG)
    assert (backtest.simulation.bar, backtest.player.state) == (10, "paused")


def test_a_stop_ends_a_hand(stage: Stage) -> None:
    backtest = stage.held()
    thread = threading.Thread(target=lambda: backtest.run_to("2024-01-05 15:30"))
    thread.start()
    assert stage.reached.wait(LONG)
    backtest.player.stop()
    stage.gate.set()
    thread.join(LONG)
    assert (backtest.simulation.bar, backtest.player.state) == (10, "stopped")


def test_stepping_back_and_on_gives_the_same_run(stage: Stage, whole: Run) -> None:
    run = started(stage, stage.held(at=10))
    run.pause()
    stage.gate.set()
    run.wait(LONG)
    backtest = run.bt
    backtest.step(40)
    assert backtest.simulation.bar == 50
    backtest.back(45)
    assert backtest.simulation.bar == 5
    backtest.run_to("2024-01-03 12:00")
    assert run.progress.time is not None
    assert f"{run.progress.time:%Y-%m-%d %H:%M}" == "2024-01-03 12:00"
    run.resume()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash


def test_stepping_to_the_end_finishes(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest.step(10_000)
    assert (run.state, run.done.is_set(), run.hash) == ("finished", True, whole.hash)


def test_a_finished_run_can_be_rewound(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest.run()
    assert len(run.trades) == len(whole.trades)  # read, and kept
    backtest.back(375)
    assert (run.state, run.done.is_set()) == ("paused", False)
    assert len(run.trades) == len(whole.trades) - 2
    run.resume()
    assert run.wait(LONG).state == "finished"
    assert run.hash == whole.hash
    assert len(run.trades) == len(whole.trades)


def test_what_was_held_before_rewinding_says_so(stage: Stage) -> None:
    backtest = stage.straddle()
    backtest.step(60)
    contract = backtest.simulation.desk.named("NIFTY")
    backtest.back(10)
    with pytest.raises(StaleHandle, match="rewound"):
        contract.price


def test_what_a_hand_did_is_replayed(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    backtest.run_to("2024-01-01 10:00")
    backtest.exit_all()
    run = backtest.start().wait(LONG)
    first = run.hash
    assert first != whole.hash
    assert "intervention" in set(run.log["kind"])
    backtest.back(1_800)
    run.resume()
    assert run.wait(LONG).hash == first


def test_a_block_by_hand_is_in_the_log_and_replayed(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    backtest.run_to("2024-01-01 10:00")
    backtest.block_for_n_days(3, reason="a holiday")
    assert backtest.blocked
    with pytest.raises(UsageError, match=r"block_for_n_days\(0\): a block lasts a whole number"):
        backtest.block_for_n_days(0)
    run = backtest.start().wait(LONG)
    first, log = run.hash, run.log
    assert len(run.trades) == len(whole.trades) - 4
    said = log[log["kind"].isin(["block", "unblock"])]["text"].tolist()
    assert said == [
        "all entries until 2024-01-04 opens: a holiday",
        "all entries: 2024-01-04 opens (a holiday)",
    ]
    assert (log["kind"] == "refused").sum() == 4
    backtest.back(1_800)
    run.resume()
    assert run.wait(LONG).hash == first


def test_seconds_leave_pauses_out(stage: Stage) -> None:
    run = started(stage, stage.held())
    run.pause()
    stage.gate.set()
    run.wait(LONG)
    seconds = run.bt.player.seconds
    assert seconds > 0
    assert run.bt.player.seconds == seconds
    assert run.progress.bars_per_second == run.progress.bar / seconds


# --- looking, going to, and the pace


def test_a_run_is_read_between_two_bars_while_it_plays(stage: Stage, whole: Run) -> None:
    seen: list[int] = []
    backtest = stage.held()

    def look(simulation: Any) -> int:
        seen.append(simulation.bar)
        return len(simulation.desk.orders)

    assert backtest.read(look) == 0  # before its start
    run = started(stage, backtest)
    assert backtest.read(look, timeout=0.02) is None  # its hook does not return
    stage.gate.set()
    while not run.done.is_set():
        backtest.read(look)
    assert seen == sorted(seen)
    assert backtest.read(look) == len(run.result.orders)
    assert run.hash == whole.hash


def test_what_reading_raises_is_the_readers(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest.start()
    with pytest.raises(ZeroDivisionError):
        backtest.read(lambda simulation: 1 // 0, timeout=LONG)
    assert run.wait(LONG).hash == whole.hash


def test_resume_to_an_event_comes_to_rest_there(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest._run
    run.resume("stop")
    assert backtest.player.wait(LONG)
    assert run.state == "paused"
    stops = whole.fills[whole.fills["kind"] == "stop"]
    assert run.fills["time"].iloc[-1] == stops["time"].iloc[0]
    run.resume()
    assert run.wait(LONG).hash == whole.hash


def test_a_breakpoint_rests_and_taking_it_out_lets_go(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    backtest.break_at("session")
    run = backtest.start()
    assert backtest.player.wait(LONG)
    assert (run.state, backtest.simulation.met) == ("paused", "session")
    backtest.breakpoints.clear()
    run.resume()
    assert run.wait(LONG).hash == whole.hash


def test_a_paced_run_gives_the_same_and_can_be_hurried(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    run = backtest._run
    run.pace = 0.001
    run.resume()
    while backtest.read(lambda simulation: simulation.bar) == -1:  # the first comes at once
        pass
    assert run.state == "running"
    run.pause()  # not after a thousand seconds
    assert backtest.player.wait(LONG)
    assert run.progress.bar == 1
    run.resume(5)
    run.pace = 1e6
    assert backtest.player.wait(LONG)
    assert run.progress.bar == 6
    run.pace = None
    run.resume()
    assert run.wait(LONG).hash == whole.hash


def test_what_would_have_been_without_the_hand(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    backtest.run_to("2024-01-02 11:00")
    backtest.block_for_day()
    backtest.exit_all()
    backtest.run_to("2024-01-03 11:00")
    other = backtest.without()
    assert other.progress.bar == backtest._run.progress.bar
    assert len(other.fills) > 0
    assert other.bt.interventions.empty
    assert backtest.without(1).hash != backtest._run.hash
    assert other.bt.run().hash == whole.hash
    again = stage.straddle()
    exec(backtest.to_python("again"), {"again": again})
    assert again.run().hash == backtest.run().hash
    assert list(backtest.interventions["what"]) == ["block_for_day()", "exit_all()"]
    backtest.undo(0)
    backtest.undo(0)
    assert backtest._run.hash == whole.hash


def test_play_after_a_paced_run_came_to_rest_is_not_lost(stage: Stage) -> None:
    backtest = stage.straddle()
    run = backtest._run
    run.pace = 5.0
    run.resume(3)
    assert backtest.player.wait(LONG)
    assert run.progress.bar == 4
    run.resume(5)
    backtest.read(lambda simulation: None)  # as a view does at once
    assert backtest.player.wait(LONG)
    assert run.progress.bar == 6


def test_what_is_read_is_read_once(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    looks: list[int] = []
    gate = threading.Event()

    def slow(simulation: Any) -> None:
        looks.append(simulation.bar)
        gate.wait(0.05)

    run = backtest.start()
    asked = 0
    while not run.done.is_set() and asked < 20:
        backtest.read(slow, timeout=LONG)
        asked += 1
    assert run.wait(LONG).hash == whole.hash
    assert len(looks) == asked


def test_a_breakpoint_that_cannot_be_read_brings_to_rest_and_says_why(
    stage: Stage, whole: Run
) -> None:
    backtest = stage.straddle()
    run = backtest._run
    backtest.break_at("1 / (bar - 30) > 99")
    run.resume()
    with pytest.raises(UsageError, match=r"condition .* at 2024-01-01 09:46: division by zero"):
        run.wait(LONG)
    assert run.state == "paused"
    assert "division by zero" in backtest.simulation.met
    backtest.breakpoints.clear()
    run.resume()
    assert run.wait(LONG).hash == whole.hash


def test_several_lines_are_watched_at_once(stage: Stage) -> None:
    backtest = stage.straddle()
    enter, leave = (
        getattr(ShortStraddle, name).__code__.co_firstlineno + 2 for name in ("enter", "leave")
    )
    for line in (enter, leave):
        backtest.break_at(f"line {line}")
    run = backtest._run
    met = []
    for _ in range(3):
        run.resume()
        assert backtest.player.wait(LONG)
        met.append((f"{run.progress.time:%d %H:%M}", backtest.simulation.met))
    told = f"line {enter}", f"line {leave}"
    assert met == [("01 09:20", told[0]), ("01 15:15", told[1]), ("02 09:20", told[0])]


def test_a_refused_rewind_leaves_a_stopped_run_stopped(stage: Stage) -> None:
    backtest = stage.straddle()
    run = backtest.step(500)
    run.stop()
    with pytest.raises(UsageError, match="one bar or more"):
        backtest.back(0)
    assert (run.state, run.done.is_set()) == ("stopped", True)


def test_a_hook_that_hangs_in_a_hand_of_its_own_is_broken_off(stage: Stage) -> None:
    backtest = stage.hanging(lambda: [None for _ in iter(int, 1)])
    run = backtest._run
    hand = threading.Thread(target=lambda: backtest.step(5), daemon=True)
    hand.start()
    assert stage.reached.wait(LONG)
    run.stop()
    assert run.done.wait(LONG)
    hand.join(LONG)
    assert not hand.is_alive()
    assert run.state == "stopped"


def test_at_the_close_the_days_pnl_is_that_of_the_day(stage: Stage, whole: Run) -> None:
    backtest = stage.straddle()
    before = 0.0
    while not backtest.simulation.finished:
        backtest.run_to("session")
        seen = backtest._run.seen()
        assert seen is not None
        scene = seen.scene
        assert scene.today == pytest.approx(scene.pnl - before)
        assert scene.today != 0.0
        before = scene.pnl
    assert backtest._run.hash == whole.hash


def test_what_was_done_by_hand_is_written_so_that_it_runs(stage: Stage) -> None:
    backtest = stage.straddle()
    backtest.run_to("2024-01-02 11:00")
    name = backtest._run.open_positions["symbol"].iloc[0]
    backtest.set_sl(name, None)
    nearest = backtest.simulation.strategy.expiries()
    backtest.roll(name, nearest[1])
    again = stage.straddle()
    exec(backtest.to_python("again"), {"again": again})
    assert again.run().hash == backtest.run().hash


def test_a_reason_to_rest_is_gone_once_the_run_is_moved(stage: Stage) -> None:
    backtest = stage.straddle()
    backtest.run_to("fill")
    assert backtest.simulation.met == "fill"
    backtest.step(3)
    assert backtest.simulation.met == ""
    backtest.run_to("fill")
    backtest.back(2)
    assert backtest.simulation.met == ""
