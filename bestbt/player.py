"""Player: plays a simulation in a thread of its own, and can be paused and stopped at any time.

The engine thread is the only one that moves the simulation. It ends when the run pauses and a
new one begins when it goes on, so that a paused run belongs to whoever steps it. Commands only
set flags and return at once; they may come from any thread.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Literal, TypeAlias, TypeVar

from bestbt.engine.simulation import Simulation
from bestbt.errors import UsageError
from bestbt.units import Ordinal

__all__ = ["Player", "State"]

State: TypeAlias = Literal["running", "paused", "finished", "stopped", "failed"]

_GRACE = 0.03  # seconds a hook has to return after a stop, before it is broken off
_LAG = 0.05  # seconds that paced bars may catch up
_LOOK = 0.2  # seconds between two looks for an interrupt while waiting

T = TypeVar("T")


class _Stopped(BaseException):
    """Raised inside a hook that does not return after a stop; no `except Exception` catches it."""


class _Question:
    """Something that wants to read the simulation between two bars."""

    def __init__(self, look: Callable[[Simulation], Any]) -> None:
        self.look = look
        self.asked = False  # of the engine's thread
        self.answered = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None

    def ask(self, simulation: Simulation) -> None:
        """Read it, in the thread that holds it."""
        try:
            self.answer = self.look(simulation)
        except Exception as error:  # it is the asker's
            self.error = error
        self.answered.set()


class Player:
    """Plays one simulation.

    Attributes
    ----------
    done : threading.Event
        Set once the run is finished, stopped or failed.
    error : BaseException or None
        What the strategy raised.
    refused : UsageError or None
        Why it came to rest where a breakpoint could not be read.
    moving : callable
        Called whenever the simulation begins to be moved, and at its end; it returns at once.
    rested : callable
        Called when it has played and come to rest, or to its end; it returns at once.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.state: State = "paused"
        self.error: BaseException | None = None
        self.refused: UsageError | None = None
        self.moving: Callable[[], object] = lambda: None
        self.rested: Callable[[], object] = lambda: None
        self.done = threading.Event()
        self._idle = threading.Event()  # set while nobody moves the simulation
        self._idle.set()
        self._held = threading.Lock()  # whoever moves or reads the simulation has it
        self._questions: list[_Question] = []
        self._pace: float | None = None  # bars a second; None: as fast as it goes
        self._due = 0.0  # time of the next paced bar
        self._nudge = threading.Event()  # ends the wait for a paced bar
        self._guard = threading.Lock()  # around all that follows
        self._playing = self._pausing = self._stopping = False
        self._thread: int | None = None  # of whoever may be broken off
        self._seconds = 0.0  # played so far, pauses left out
        self._since: float | None = None

    def start(self) -> None:
        """Play on in a daemon thread; returns at once."""
        self._begin()
        self._spawn()

    def play(self) -> None:
        """Play on in this thread; raises what the strategy raises."""
        self._begin()
        self._play()
        if self.error is not None:
            raise self.error
        if self.refused is not None:
            raise self.refused

    def pause(self) -> None:
        """Stop after the bar being played."""
        with self._guard:
            self._pausing = True
            self._interrupt()

    @property
    def pace(self) -> float | None:
        """Bars a second at which it plays; None: as fast as it goes."""
        return self._pace

    @pace.setter
    def pace(self, bars: float | None) -> None:
        if bars is not None and not (isinstance(bars, int | float) and bars > 0):
            raise UsageError(f"pace={bars!r}: bars a second, above zero; None is full speed.")
        self._pace, self._due = bars, 0.0
        with self._guard:
            if self._playing:
                self._interrupt()

    def read(self, look: Callable[[Simulation], T], timeout: float = 1.0) -> T | None:
        """Return what *look* reads of the simulation while it stands between two bars.

        A run under way stands still for it and goes on, which changes nothing in it; that of a
        hook that does not return within *timeout* seconds cannot be read, and gives None. *look*
        may take longer, and must not move the simulation.
        """
        question = _Question(look)
        until = time.monotonic() + timeout
        while not question.answered.is_set():
            if self._held.acquire(blocking=False):
                try:
                    question.ask(self.simulation)
                finally:
                    self._held.release()
                break
            with self._guard:
                if self._playing and not question.asked:
                    question.asked = True
                    self._questions.append(question)
                    self._interrupt()
            left = until - time.monotonic()
            if left <= 0:
                break
            question.answered.wait(min(left, 0.01))
        with self._guard:
            taken = question.asked and question not in self._questions
            if not taken and question.asked:
                self._questions.remove(question)
        # What the engine's thread has begun to answer has been paid for, and no hook is in its way.
        while taken and not question.answered.wait(_LOOK) and not self.done.is_set():
            pass
        if not question.answered.is_set():
            return None
        if question.error is not None:
            raise question.error
        answer: T = question.answer
        return answer

    def resume(self, to: Ordinal | str | date | None = None) -> None:
        """Take a pause back, reached or not; nothing where the run is over or moved by hand.

        It plays to the end, or comes to rest where `Simulation.run_to` would.
        """
        with self._guard:
            idle = self.state == "paused" and self._idle.is_set()
            if not idle and not self._playing:
                return
            self.simulation.aim(to)
            self._pausing = False
            if self._playing:
                self._interrupt()  # it goes on to its new aim
                return
            self._take()
        self._spawn()

    def _interrupt(self) -> None:
        """Let the engine's thread come back between two bars; unless it is paused it goes on."""
        self.simulation.pause()
        self._nudge.set()

    def stop(self) -> None:
        """End the run. A hook that does not return is broken off."""
        with self._guard:
            if self.done.is_set() or self._stopping:
                return
            self._stopping = True
            self._interrupt()
            if not self._playing and self._idle.is_set():
                self._end("stopped")
                return
        threading.Thread(target=self._break_off, name="bt-stop", daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nobody plays (ended or paused); False when the time ran out first.

        An interrupt while waiting pauses the run. (Never `Thread.join`: an interrupt inside it
        marks a living thread as dead on Python 3.11.)
        """
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._idle.wait(_LOOK):
                if until is not None and time.monotonic() >= until:
                    return False
        except KeyboardInterrupt:
            self.pause()
            return self._idle.wait(2.0)
        return True

    @property
    def standing(self) -> bool:
        """Whether nobody moves the simulation now."""
        return self._idle.is_set()

    @property
    def seconds(self) -> float:
        """Seconds played so far, pauses left out."""
        since = self._since
        return self._seconds + (time.monotonic() - since if since is not None else 0.0)

    @contextmanager
    def by_hand(self, rewinding: bool = False) -> Iterator[Simulation]:
        """Hold the simulation, to step or act on; refused while it plays or after its end.

        One that was stopped or has failed can still be rewound, and goes on from there. What the
        strategy raises ends the run; what is wrong with the call itself does not.
        """
        with self._guard:
            if not self._idle.is_set():
                raise UsageError("The run is playing; pause it first: run.pause(), or the button.")
            if self.state in ("stopped", "failed") and not rewinding:
                raise UsageError(
                    f"The run has {self.state}; rewind it with back() or go_to(), or start it anew."
                )
            failure, self.error, self._stopping = self.error, None, False
            self._idle.clear()
            self.simulation.resume()
        was, stood = self.state, (self.simulation.desk, self.simulation.bar)
        held = False
        try:
            held = self._held.acquire()  # only a reader may have it, for a moment
            if threading.current_thread() is not threading.main_thread():
                with self._guard:
                    self._thread = threading.get_ident()  # a stop breaks it off, too
            self.moving()
            yield self.simulation
        except _Stopped:
            pass
        except BaseException as error:
            if self.simulation.failed:  # anew, or it could not be moved because it had
                self.error = failure or error
            raise
        finally:
            moved = stood != (self.simulation.desk, self.simulation.bar)
            try:
                self._let_go(held, was, moved)
            except _Stopped:  # it struck late
                self._let_go(False, was, moved)

    def _let_go(self, held: bool, was: State, moved: bool) -> None:
        """Say how a move by hand has left the run."""
        with self._guard:  # from here on nothing is broken off
            self._thread = None
            if held:
                self._held.release()
            self._idle.set()
            if self._stopping or (was == "stopped" and not moved):
                self._end("stopped")
            elif self.error is not None:
                self._end("failed")
            elif self.simulation.finished:
                self._end("finished")
            elif self.done.is_set():  # rewound
                self.state = "paused"
                self.done.clear()

    def _begin(self) -> None:
        with self._guard:
            if not self._idle.is_set():
                raise UsageError("The run is playing already.")
            if self.state != "paused":
                raise UsageError(f"The run has {self.state}; start a new one.")
            self._take()

    def _take(self) -> None:
        self.simulation.resume()
        self.simulation.arrived = False
        self.refused = None
        self._pausing = False
        self._playing = True
        self.state = "running"
        self._idle.clear()
        self.moving()

    def _spawn(self) -> None:
        threading.Thread(target=self._play, name="bt-engine", daemon=True).start()

    def _play(self) -> None:
        self._since = time.monotonic()
        over = False
        while not over:
            try:
                self._simulate()
                over = self._finish()
            except _Stopped:  # strikes anywhere up to the end of `_finish`, which is then repeated
                pass
        self.rested()

    def _simulate(self) -> None:
        with self._guard:
            if self._stopping:
                return
            self._thread = threading.get_ident()
        try:
            with self._held:
                while self._pace is not None and self._paced(self._pace):
                    pass
                if self._pace is None:
                    self.simulation.run()
                self._answer()
        except _Stopped:
            raise
        except BaseException as error:
            if isinstance(error, UsageError) and not self.simulation.failed:
                # A breakpoint that cannot be read: no bar is half played.
                self.refused, self._pausing = error, True
                self.simulation.met = str(error)
            else:
                self.error = error

    def _paced(self, pace: float) -> bool:
        """Wait for the next bar's time and play it; False when there is something else to do."""
        self._nudge.clear()
        if self._pausing or self._stopping or self._questions or pace != self._pace:
            return False
        wait = self._due - time.monotonic()
        if wait > 0 and self._nudge.wait(wait):
            return False
        simulation = self.simulation
        before = simulation.bar
        self._due = max(self._due, time.monotonic() - _LAG) + 1 / pace
        simulation.run(bars=1)
        return simulation.bar > before and not simulation.finished and not simulation.arrived

    def _answer(self) -> None:
        """Let those read it who have asked."""
        with self._guard:
            asked, self._questions = self._questions, []
        for question in asked:
            question.ask(self.simulation)

    def _finish(self) -> bool:
        """Say how it ended; False when a pause was taken back and there is more to play."""
        with self._guard:  # from here on nothing is broken off
            self._thread = None
            simulation = self.simulation
            over = self._stopping or self.error is not None or simulation.finished
            if not over and not self._pausing and not simulation.arrived:
                if not self._questions:  # one that came since is answered first
                    simulation.resume()
                return False
            if self._since is not None:
                self._seconds += time.monotonic() - self._since
                self._since = None
            self._playing = False
            if self._stopping:
                self._end("stopped")
            elif self.error is not None:
                self._end("failed")
            elif self.simulation.finished:
                self._end("finished")
            else:
                self.state = "paused"
                self._idle.set()
            return True

    def _end(self, state: State) -> None:
        self.state = state
        if state == "stopped":
            self.error = None
        self.done.set()
        self._idle.set()
        self.moving()

    def _break_off(self) -> None:
        while not self.done.wait(_GRACE):
            with self._guard:
                if self._thread is not None:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._thread), ctypes.py_object(_Stopped)
                    )
