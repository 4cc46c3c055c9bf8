"""The hand of a view: what is clicked is done in order, once, on its own thread."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bestbt.errors import UsageError
from bestbt.widgets.hand import Hand
from bestbt.widgets.publisher import Publisher
from tests.widgets.fake_run import FakeRun


class Stage:
    """A hand whose thread is the test's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.run = FakeRun(sessions=2, trades=0)
        self.told: list[str] = []
        self.hand = Hand(self.run, self.told.append, self._worker)

    def _worker(self, failed: object) -> Publisher:
        return Publisher(failed, clock=lambda: self.now, spawn=lambda run: None)  # type: ignore[arg-type]

    def work(self) -> list[str]:
        self.hand._worker.step()
        calls = [c for c in self.run.calls if c != "stand"]
        self.run.calls.clear()
        return calls


def test_steps_that_wait_are_added_up() -> None:
    it = Stage()
    for bars in (1, 1, 15, -1):
        it.hand.step(bars)
    assert it.work() == ["step 16"]
    it.hand.step(-1)
    it.hand.step(-15)
    assert it.work() == ["back 16"]
    it.hand.step(1)
    it.hand.step(-1)
    assert it.work() == []


def test_what_is_asked_is_done_in_order_with_the_run_at_rest() -> None:
    it = Stage()
    it.hand.do(lambda bt: bt.exit("NIFTY FUT"))
    it.hand.back_to("fill")
    it.hand.go_to(7)
    assert it.run.state == "running"
    it.hand._worker.step()
    assert it.run.calls == ["stand", "exit NIFTY FUT", "stand", "back_to fill", "stand", "go_to 7"]
    assert it.run.state == "paused"


@pytest.mark.parametrize(
    ("asked", "calls"),
    [
        ("stop", ["resume to stop"]),
        ("pnl < -500", ["resume to pnl < -500"]),
        ("2024-01-01 10:30", ["go_to 2024-01-01 10:30:00"]),
    ],
)
def test_events_are_played_to_and_times_gone_to(asked: str, calls: list[str]) -> None:
    it = Stage()
    it.hand.to(asked)
    assert it.work() == calls


def test_space_pauses_at_once_and_plays_when_what_was_asked_before_is_done() -> None:
    it = Stage()
    it.hand.toggle()
    assert it.run.calls == ["pause"]
    it.hand.back_to("fill")
    it.hand.toggle()
    assert it.work() == ["pause", "back_to fill", "resume"]
    assert it.run.state == "running"


def test_space_leaves_what_was_asked_before_it_its_aim_and_twice_is_not_at_all() -> None:
    it = Stage()
    it.hand.toggle()
    assert it.run.state == "paused"
    it.hand.to("fill")
    it.hand.toggle()
    assert it.work() == ["pause", "resume to fill"]
    it.run.pause()
    it.hand.back_to("fill")
    it.hand.toggle()
    it.hand.toggle()
    assert it.work() == ["pause", "back_to fill"]


@pytest.mark.parametrize("ask", [Hand.toggle, lambda hand: hand.to("fill")])
def test_a_run_that_has_ended_says_how_it_is_played_on(ask: Callable[[Hand], None]) -> None:
    it = Stage()
    it.run.end("finished")
    ask(it.hand)
    assert it.work() == []
    assert it.told[-1] == "The run is finished: go back, and it plays on from there."


def test_what_is_refused_is_told_until_something_else_is_asked() -> None:
    it = Stage()

    def refuse(_: object) -> None:
        raise UsageError("No lots.\nSecond line.")

    it.hand.do(refuse)
    it.work()
    assert it.told == ["", "No lots."]
    it.hand.do(lambda bt: 1 // 0)
    it.work()
    assert it.told[-1].startswith("ZeroDivisionError: ")
    it.hand.step(1)
    assert it.work() == ["step 1"]
    assert it.told[-1] == ""
