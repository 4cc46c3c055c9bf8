"""The progress bar of long work, in a terminal and under a cell alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Bar", "progress_bar"]

_SOON = 1e-9  # seconds


class Bar:
    """What is told how far some work has come."""

    def __init__(self, text: str, unit: str) -> None:
        self._text, self._unit = text, unit
        self._begins = False  # whether the next stage's first figures are to come
        self.shown: list[Any] = []

    def stage(self, unit: str) -> Bar:
        """Begin to count something else, from nothing; the bar stays the same."""
        self._unit, self._begins = unit, True
        return self

    def __call__(self, done: int, total: int, newest: str) -> None:
        """Show it; a *total* of 0 is not known."""
        if not done or os.environ.get("TQDM_DISABLE"):
            return
        if not self.shown:
            from tqdm.auto import tqdm  # heavy, and only for people who watch

            # Not drawn before it is in the list: an interrupt of its first drawing would leave it.
            more: dict[str, Any] = {"total": total or None, "initial": done, "delay": _SOON}
            more |= {"unit": self._unit, "unit_scale": self._unit == "B"}
            self.shown.append(tqdm(desc=self._text, leave=False, disable=None, **more))
            self.shown[0].set_postfix_str(newest)
        (bar,) = self.shown
        bar.set_postfix_str(newest, refresh=False)
        if self._begins:
            bar.unit, bar.unit_scale = self._unit, self._unit == "B"
            bar.initial = bar.miniters = 0  # it draws as seldom as its former figures grew
            bar.reset(total or None)
        self._begins = False
        bar.total = total or None
        bar.update(done - bar.n)
        if done == total:
            bar.refresh()  # what comes after the last of them may take a while


@contextmanager
def progress_bar(text: str, unit: str) -> Iterator[Bar]:
    """Give a bar, to be told what is done.

    The *unit* `"B"` is bytes. The bar appears when something is done and is taken away at the end,
    also by an error, so that nothing stands before a message. What is no terminal and no notebook
    is spared it, and so is everybody where tqdm's variable ``TQDM_DISABLE`` is set: its bar for
    notebooks does not read it.
    """
    made = Bar(text, unit)
    try:
        yield made
    except KeyboardInterrupt:
        for bar in made.shown:
            bar.refresh()  # amid a drawing it would not know how much there is to wipe
        raise
    finally:
        for bar in made.shown:
            bar.delay = 0  # else one that was never updated counts as not drawn
            bar.total = bar.n  # in a notebook a bar that is not full stays, as a failure
            bar.close()
