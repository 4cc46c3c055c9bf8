"""One thread that does a view's drawing, so that nothing else touches its widgets.

Work is posted under a name, to be done now or after a while; posting the same name again
replaces what waits (which is all a debounce is). The thread starts when there is work and ends
when there is none: no run, no zooming, no thread. Work that raises is told to `on_error`, and
the rest goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Pace", "Publisher"]

_log = logging.getLogger("bestbt.widgets")

# An engine at full speed is left alone so many times as long as reading, drawing and packing an
# update take of the processor, by an average that follows this fast: one that reads a new expiry's
# prices takes five times as long as others, and the view should not stand still after it. Waiting
# for the interpreter's lock and taking the answer, on another thread, come on top.
_SHARE = 20
_FOLLOWS = 0.3

Work = Callable[[], object]
Clock = Callable[[], float]


class Publisher:
    """Does posted work on one daemon thread, soonest first.

    Parameters
    ----------
    on_error
        Called on that thread with the name of the work and what it raised.
    thread
        Name of the thread.
    clock, spawn
        Seconds that only grow, and how to start the thread; tests give their own.

    Examples
    --------
    >>> done = []
    >>> publisher = Publisher(lambda name, error: None, clock=lambda: 0.0, spawn=lambda run: None)
    >>> publisher.post("title", lambda: done.append("old"))
    >>> publisher.post("title", lambda: done.append("new"))
    >>> publisher.step(), done
    (None, ['new'])
    """

    def __init__(
        self,
        on_error: Callable[[str, Exception], None],
        *,
        thread: str = "bt-view",
        clock: Clock = time.monotonic,
        spawn: Callable[[Work], None] | None = None,
    ) -> None:
        self._on_error, self._clock, self._thread = on_error, clock, thread
        self._spawn = spawn or self._daemon
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[float, Work]] = {}
        self._running = self._closed = False

    def _daemon(self, target: Work) -> None:
        threading.Thread(target=target, name=self._thread, daemon=True).start()

    def post(self, name: str, work: Work, after: float = 0.0) -> None:
        """Have *work* done in *after* seconds, instead of what waits under *name*; any thread."""
        with self._changed:
            if self._closed:
                return
            self._waiting.pop(name, None)
            self._waiting[name] = (self._clock() + after, work)
            if self._running:
                self._changed.notify()
            else:
                self._running = True
                self._spawn(self._run)

    def close(self) -> None:
        """Forget what waits and take nothing more; the thread ends after its current work."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    @property
    def idle(self) -> bool:
        """Whether there is neither work nor a thread."""
        return not self._running

    def step(self) -> float | None:
        """Do what is due; return the seconds until more is, None when nothing waits."""
        while True:
            with self._changed:
                if not self._waiting:
                    return None
                name = min(self._waiting, key=lambda n: self._waiting[n][0])
                delay = self._waiting[name][0] - self._clock()
                if delay > 0:
                    return delay
                _, work = self._waiting.pop(name)
            self._do(name, work)

    def _do(self, name: str, work: Work) -> None:
        try:
            work()
        except Exception as error:  # a picture that fails must not end the others, nor the run
            _log.debug("view: %s failed", name, exc_info=True)
            try:
                self._on_error(name, error)
            except Exception:  # the browser is gone: there is nowhere left to show it
                _log.warning("view: %s failed and could not be shown", name, exc_info=True)

    def _run(self) -> None:
        while True:
            delay = self.step()
            with self._changed:
                if not self._waiting:  # asked again under the lock: `post` may have come between
                    self._running = False
                    return
                if delay is not None:
                    self._changed.wait(min(delay, self._soonest()))

    def _soonest(self) -> float:
        return max(min(at for at, _ in self._waiting.values()) - self._clock(), 0.0)


class Pace:
    """Says when the browser may be sent more: it keeps up, or *patience* is over.

    Sending without waiting for the browser lets it fall behind by many seconds.

    Parameters
    ----------
    least
        Seconds between two updates at the least.
    patience
        Seconds after which an answer is no longer waited for (the page may be closed).
    ahead
        Updates sent before an answer is waited for. The page answers as seldom.
    clock, cpu
        Seconds that only grow, and CPU seconds of the thread that draws; tests give their own.

    Examples
    --------
    >>> now = [0.0]
    >>> pace = Pace(clock=lambda: now[0])
    >>> pace.ready(), pace.sent(), pace.ready()
    (True, 1, False)
    >>> now[0] = 0.3
    >>> pace.ready(), pace.sent()
    (True, 2)
    >>> now[0] = 0.6
    >>> pace.ready(), pace.painted(2), pace.ready()
    (False, None, True)
    """

    def __init__(
        self,
        least: float = 0.19,
        patience: float = 1.0,
        ahead: int = 2,
        *,
        clock: Clock = time.monotonic,
        cpu: Clock = time.thread_time,
    ) -> None:
        self._least, self._patience, self._ahead = least, patience, ahead
        self._clock, self._cpu = clock, cpu
        self._seq = self._ack = 0
        self._at = float("-inf")
        self._began = self._before = self._cost = self._elsewhere = 0.0
        self._begun: float | None = None

    def begin(self) -> None:
        """Note that an update is begun, on the thread that draws it: the next is due from here."""
        self._began, self._begun = self._cpu(), self._clock()
        self._before, self._elsewhere = self._cost, 0.0

    def sent(self) -> int:
        """Note that an update goes out; return its number."""
        self._seq += 1
        self._at = self._clock() if self._begun is None else self._begun
        self._begun = None
        self.spent()
        return self._seq

    def spent(self) -> None:
        """Note what the update has taken of the processor by now."""
        took = self._cpu() - self._began + self._elsewhere
        self._cost = self._before + _FOLLOWS * (took - self._before)

    def also(self, seconds: float) -> None:
        """Note what the update has taken of the processor on another thread, the engine's."""
        self._elsewhere += seconds

    def painted(self, seq: int) -> None:
        """Note the browser's answer; an old one changes nothing."""
        self._ack = max(self._ack, seq)

    def ready(self, sparing: bool = False) -> bool:
        """Whether the next update may go out; *sparing* the engine, which shares the processor."""
        return self.due(sparing) <= 0

    def due(self, sparing: bool = False) -> float:
        """Seconds until the next update may go out, if no answer comes meanwhile."""
        least = self._least
        if self._seq - self._ack >= self._ahead:
            least = self._patience
        elif sparing:
            least = max(least, _SHARE * self._cost)
        return least - (self._clock() - self._at)
