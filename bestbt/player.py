"""Player: plays a simulation in a thread of its own, and can be paused and stopped at any time.

The engine thread is the only one that moves the simulation. It ends when the run pauses and a
new one begins when it goes on, so that a paused run belongs to whoever steps it. Commands only
set flags and return at once; they may come from any thread.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Literal, TypeAlias

from bestbt.engine.simulation import Simulation
from bestbt.errors import UsageError

__all__ = ["Player", "State"]

State: TypeAlias = Literal["running", "paused", "finished", "stopped", "failed"]

_GRACE = 0.05  # seconds a hook has to return after a stop, before it is broken off


class _Stopped(BaseException):
    """Raised inside a hook that does not return after a stop; no `except Exception` catches it."""


class Player:
    """Plays one simulation.

    Attributes
    ----------
    done : threading.Event
        Set once the run is finished, stopped or failed.
    error : BaseException or None
        What the strategy raised.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.state: State = "paused"
        self.error: BaseException | None = None
        self.done = threading.Event()
        self._idle = threading.Event()  # set while nobody plays
        self._idle.set()
        self._stopping = False
        self._thread: int | None = None  # of whoever plays
        self._guard = threading.Lock()  # around who plays, and breaking it off
        self._seconds = 0.0  # played so far, pauses left out
        self._since: float | None = None

    def start(self) -> None:
        """Play on in a daemon thread; returns at once."""
        self._begin()
        threading.Thread(target=self._play, name="bt-engine", daemon=True).start()

    def play(self) -> None:
        """Play on in this thread; raises what the strategy raises."""
        self._begin()
        self._play()
        if self.error is not None:
            raise self.error

    def pause(self) -> None:
        """Stop after the bar being played."""
        self.simulation.pause()

    def stop(self) -> None:
        """End the run. A hook that does not return is broken off."""
        with self._guard:
            if self.done.is_set():
                return
            self._stopping = True
            self.simulation.pause()
            if self._thread is None:
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
            while not self._idle.wait(0.2):
                if until is not None and time.monotonic() >= until:
                    return False
        except KeyboardInterrupt:
            self.pause()
            self._idle.wait(2.0)
        return True

    @property
    def seconds(self) -> float:
        """Seconds played so far, pauses left out."""
        since = self._since
        return self._seconds + (time.monotonic() - since if since is not None else 0.0)

    def by_hand(self) -> Simulation:
        """Return the simulation to step or act on; refused while it plays or after its end."""
        if not self._idle.is_set():
            raise UsageError("The run is playing; pause it first: run.pause(), or the button.")
        if self.state in ("stopped", "failed"):
            raise UsageError(f"The run has {self.state}; start it anew.")
        return self.simulation

    def moved(self) -> None:
        """Say that the simulation was stepped or rewound by hand."""
        with self._guard:
            if self.simulation.finished:
                self._end("finished")
            elif self.state == "finished":  # rewound
                self.state = "paused"
                self.done.clear()

    def _begin(self) -> None:
        with self._guard:
            if self._thread is not None or not self._idle.is_set():
                raise UsageError("The run is playing already.")
            if self.state in ("stopped", "failed", "finished"):
                raise UsageError(f"The run has {self.state}; start a new one.")
            self.simulation.resume()
            self.state = "running"
            self._idle.clear()

    def _play(self) -> None:
        self._since = time.monotonic()
        try:
            with self._guard:
                self._thread = threading.get_ident()
                if self._stopping:
                    return
            self.simulation.run()
        except _Stopped:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self._finish()

    def _finish(self) -> None:
        with self._guard:  # from here on nothing is broken off
            self._thread = None
            if self._since is not None:
                self._seconds += time.monotonic() - self._since
                self._since = None
            if self._stopping:
                self._end("stopped")
            elif self.error is not None:
                self._end("failed")
            elif self.simulation.finished:
                self._end("finished")
            else:
                self.state = "paused"
                self._idle.set()

    def _end(self, state: State) -> None:
        self.state = state
        if state == "stopped":
            self.error = None
        self.done.set()
        self._idle.set()

    def _break_off(self) -> None:
        while not self.done.wait(_GRACE):
            with self._guard:
                if self._thread is not None:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._thread), ctypes.py_object(_Stopped)
                    )
