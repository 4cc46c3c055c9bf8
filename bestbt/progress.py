"""The progress bar of long work, in a terminal and under a cell alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress_bar"]

_SOON = 1e-9  # seconds


@contextmanager
def progress_bar(text: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function to be told ``(done, total, newest)``; a *total* of 0 is not known.

    The *unit* `"B"` is bytes. The bar appears when something is done and is taken away at the end,
    also by an error, so that nothing stands before a message. What is no terminal and no notebook
    is spared it, and so is everybody where tqdm's variable ``TQDM_DISABLE`` is set: its bar for
    notebooks does not read it.
    """
    shown: list[Any] = []

    def tell(done: int, total: int, newest: str) -> None:
        if not done or os.environ.get("TQDM_DISABLE"):
            return
        if not shown:
            from tqdm.auto import tqdm  # heavy, and only for people who watch

            # Not drawn before it is in the list: an interrupt of its first drawing would leave it.
            more = {"total": total or None, "initial": done, "delay": _SOON}
            more["unit_scale"] = unit == "B"
            shown.append(tqdm(desc=text, unit=unit, leave=False, disable=None, **more))
            shown[0].set_postfix_str(newest)
        (bar,) = shown
        bar.total = total or None
        bar.set_postfix_str(newest, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.refresh()  # what comes after the last of them may take a while

    try:
        yield tell
    except KeyboardInterrupt:
        for bar in shown:
            bar.refresh()  # amid a drawing it would not know how much there is to wipe
        raise
    finally:
        for bar in shown:
            bar.delay = 0  # else one that was never updated counts as not drawn
            bar.total = bar.n  # in a notebook a bar that is not full stays, as a failure
            bar.close()
