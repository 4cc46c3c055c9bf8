"""Hand: moves a run for those who look at it, one thing after another, in a thread of its own.

A click returns at once. What it asks for is done when the run stands: one that plays is paused
first. What a run refuses is told, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from bestbt.errors import BestbtError, UsageError
from bestbt.widgets.protocol import Movable, Viewable
from bestbt.widgets.publisher import Publisher

__all__ = ["Hand"]

OnError = Callable[[str, Exception], None]


def _worker(failed: OnError) -> Publisher:
    return Publisher(failed, thread="bt-hand")


class Hand:
    """What the buttons, the keys and the tables of a view can ask of its run.

    Parameters
    ----------
    run
        The run.
    tell
        Called with what was refused, and with nothing when something is asked; any thread.
    worker
        Makes what does the work; tests give their own.
    """

    def __init__(
        self,
        run: Viewable,
        tell: Callable[[str], object],
        worker: Callable[[OnError], Publisher] = _worker,
    ) -> None:
        self._run, self._tell = run, tell
        self._worker = worker(self._failed)
        self._playing = False  # whether to play on waits
        self._bars = 0  # steps that wait: a key held down must not leave a queue behind
        self._numbers = count()

    def close(self) -> None:
        """Forget what waits."""
        self._worker.close()

    def toggle(self) -> None:
        """Pause at once, or play on to the end when what was asked before is done."""
        self._tell("")
        if self._run.state == "running":
            self._run.pause()
        else:
            self._playing = not self._playing  # twice is not at all
            self._worker.post("play", self._play)

    def stop(self) -> None:
        """End the run."""
        self._tell("")
        self._run.stop()

    def step(self, bars: int) -> None:
        """Play bars, or go back by them."""
        self._bars += bars
        self._worker.post("step", self._step)

    def to(self, event: str) -> None:
        """Play to an event, a condition or a time; a time that is past is gone back to."""
        self._post(lambda bt: self._forward(bt, event))

    def back_to(self, event: str) -> None:
        """Go back to the event before."""
        self._post(lambda bt: bt.back_to(event))

    def go_to(self, bar: int) -> None:
        """Play or go back to a bar."""
        self._post(lambda bt: bt.go_to(bar))

    def do(self, work: Callable[[Movable], object]) -> None:
        """Do something by hand."""
        self._post(work)

    def look(self, name: str, work: Callable[[], object]) -> None:
        """Look into something that takes a while; what waits under the name is replaced."""
        self._worker.post(name, work)

    def _step(self) -> None:
        bars, self._bars = self._bars, 0
        if bars:
            self._act(lambda bt: bt.step(bars) if bars > 0 else bt.back(-bars))

    def _forward(self, bt: Movable, event: str) -> None:
        if event[:4].isdigit() or ":" in event[:3]:
            bt.go_to(self._run.moment(event))
        else:
            self._play_on(event)

    def _play(self) -> None:
        asked, self._playing = self._playing, False
        if asked and self._run.state != "running":  # to an event that was asked for before
            self._play_on()

    def _play_on(self, event: str | None = None) -> None:
        if self._run.done.is_set():
            raise UsageError(f"The run is {self._run.state}: go back, and it plays on from there.")
        self._run.resume(event)

    def _post(self, work: Callable[[Movable], object]) -> None:
        self._worker.post(f"work {next(self._numbers)}", lambda: self._act(work))

    def _act(self, work: Callable[[Movable], object]) -> None:
        self._tell("")
        self._run.stand()
        work(self._run.bt)

    def _failed(self, _: str, error: Exception) -> None:
        told = str(error) if isinstance(error, BestbtError) else f"{type(error).__name__}: {error}"
        self._tell(told.splitlines()[0] if told else type(error).__name__)
