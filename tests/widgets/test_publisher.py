"""When a view is drawn, and on which thread: no clock but a list, no sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bestbt.widgets.publisher import Pace, Publisher


class Bench:
    """A publisher whose clock and thread are moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.errors: list[tuple[str, Exception]] = []
        self.spawned = 0
        self.publisher = Publisher(
            lambda name, error: self.errors.append((name, error)),
            clock=lambda: self.now,
            spawn=self.spawn,
        )

    def spawn(self, _: Callable[[], None]) -> None:
        self.spawned += 1

    def post(self, name: str, after: float = 0.0) -> None:
        self.publisher.post(name, lambda: self.done.append(name), after)


def test_work_is_done_soonest_first() -> None:
    bench = Bench()
    bench.post("late", 0.5)
    bench.post("one")
    bench.post("two")
    assert bench.publisher.step() == pytest.approx(0.5)
    bench.now = 0.5
    assert bench.publisher.step() is None
    assert bench.done == ["one", "two", "late"]


def test_posting_again_puts_off() -> None:
    bench = Bench()
    for tenth in range(5):  # an axis that moves every 40 ms is drawn once it rests
        bench.now = tenth * 0.04
        bench.post("draw", 0.06)
        assert bench.publisher.step() == pytest.approx(0.06)
    bench.now += 0.06
    bench.publisher.step()
    assert bench.done == ["draw"]


def test_work_that_raises_is_told_and_the_rest_goes_on() -> None:
    bench = Bench()

    def broken() -> None:
        raise ValueError("no such pane")

    bench.publisher.post("price", broken)
    bench.post("equity")
    bench.publisher.step()
    assert bench.done == ["equity"]
    assert [(name, str(error)) for name, error in bench.errors] == [("price", "no such pane")]


def test_telling_may_fail_too() -> None:
    def lost(name: str, error: Exception) -> None:
        raise ConnectionError("the page is closed")

    publisher = Publisher(lost, clock=lambda: 0.0, spawn=lambda run: None)
    done: list[str] = []
    publisher.post("a", lambda: done.append(str(1 // 0)))
    publisher.post("b", lambda: done.append("b"))
    assert publisher.step() is None
    assert done == ["b"]


def test_after_closing_nothing_is_done() -> None:
    bench = Bench()
    bench.post("a")
    bench.publisher.close()
    bench.post("b")
    assert bench.publisher.step() is None
    assert bench.done == []


def test_one_thread_at_most_and_none_when_idle() -> None:
    threads: set[str] = set()
    ended, release = threading.Event(), threading.Event()
    started: list[threading.Thread] = []

    def spawn(run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        started.append(thread)
        thread.start()

    publisher = Publisher(lambda name, error: None, spawn=spawn)

    def first() -> None:
        threads.add(threading.current_thread().name)
        release.wait(10)

    def second() -> None:
        threads.add(threading.current_thread().name)
        ended.set()

    publisher.post("first", first)
    publisher.post("second", second)
    release.set()
    assert ended.wait(10)
    started[0].join(10)
    assert publisher.idle
    assert len(threads) == len(started) == 1
    assert threading.current_thread().name not in threads

    ended.clear()
    publisher.post("second", second)  # it comes back for new work
    assert ended.wait(10)
    started[1].join(10)
    assert publisher.idle


class Paced:
    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(least=0.25, patience=1.0, clock=lambda: self.now)


def test_a_browser_that_paints_at_once_gets_four_a_second() -> None:
    it = Paced()
    sent = 0
    for tick in range(80):  # ten seconds of looks
        it.now = tick / 8
        if it.pace.ready():
            it.pace.painted(it.pace.sent())
            sent += 1
    assert sent == 40


def test_what_drawing_takes_does_not_delay_the_next_update() -> None:
    it = Paced()
    it.pace.begin()
    it.now = 0.2  # drawn
    it.pace.painted(it.pace.sent())
    assert not it.pace.ready()
    it.now = 0.25
    assert it.pace.ready()


def test_a_browser_that_does_not_answer_gets_one_a_second() -> None:
    it = Paced()
    sent = 0
    for tick in range(80):
        it.now = tick / 8
        if it.pace.ready():
            it.pace.sent()
            sent += 1
    assert sent == 1 + 10  # one is sent ahead of any answer


def test_a_browser_that_answers_every_other_one_gets_as_many() -> None:
    it = Paced()
    sent = 0
    for tick in range(80):
        it.now = tick / 8
        if it.pace.ready():
            sent = it.pace.sent()
            if sent % 2 == 0:
                it.pace.painted(sent)
    assert sent == 40


def test_an_old_answer_does_not_count() -> None:
    it = Paced()
    first, second, third = it.pace.sent(), it.pace.sent(), it.pace.sent()
    it.now = 0.5
    it.pace.painted(first)
    assert not it.pace.ready()
    it.pace.painted(third)
    assert it.pace.ready()
    it.pace.painted(second)
    assert it.pace.ready()


class Busy:
    """An engine at full speed, and a view whose updates take so much of the processor."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0
        self.pace = Pace(clock=lambda: self.now, cpu=lambda: self.cpu)

    def update(self, cpu: float, engine: float = 0.0) -> float:
        """Draw one; return the seconds until the next."""
        self.pace.begin()
        self.cpu += cpu
        self.pace.also(engine)
        self.pace.painted(self.pace.sent())
        wait = self.pace.due(sparing=True)
        self.now += wait
        return wait


def test_an_engine_at_full_speed_is_spared() -> None:
    it = Busy()
    waits = [it.update(0.05) for _ in range(20)]
    assert waits[-1] == pytest.approx(20 * 0.05, rel=0.01)
    it.now -= 0.6
    assert it.pace.ready()  # it stands, or waits for its next bar: nobody is slowed down
    assert not it.pace.ready(sparing=True)
    assert [it.update(0.001) for _ in range(20)][-1] == 0.19


def test_what_an_update_takes_of_the_engine_counts() -> None:
    here, there = Busy(), Busy()
    assert [here.update(0.05) for _ in range(9)] == pytest.approx(
        [there.update(0.02, 0.03) for _ in range(9)]
    )


def test_an_update_that_takes_long_does_not_hold_the_next_ones_up() -> None:
    it = Busy()
    for _ in range(20):
        it.update(0.02)
    began = it.now
    waits = [it.update(0.15), *(it.update(0.02) for _ in range(20))]
    assert max(waits) < 1.3
    assert it.now - began == pytest.approx(20 * (0.15 + 20 * 0.02), rel=0.05), "all is spared"
