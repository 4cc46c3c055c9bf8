"""The progress bar of long work, in a terminal and under a cell alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from typing import Any

__all__ = ["expiry_bar", "progress_bar"]


@contextmanager
def progress_bar(text: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function to be told ``(done, total, newest)``; a *total* of 0 is not known.

    The bar appears when something is done and is taken away at the end, also by an error, so that
    nothing stands before a message. What is no terminal and no notebook is spared it, and so is
    everybody where tqdm's variable ``TQDM_DISABLE`` is set: its bar for notebooks does not read it.
    """
    shown: list[Any] = []

    def tell(done: int, total: int, newest: str) -> None:
        if not done or os.environ.get("TQDM_DISABLE"):
            return
        if not shown:
            from tqdm.auto import tqdm  # heavy, and only for people who watch

            more = {"total": total or None, "initial": done, "postfix": newest}
            shown.append(tqdm(desc=text, unit=unit, leave=False, disable=None, **more))
        (bar,) = shown
        bar.set_postfix_str(newest, refresh=False)
        bar.update(done - bar.n)

    try:
        yield tell
    finally:
        for bar in shown:
            bar.total = bar.n  # in a notebook a bar that is not full stays, as a failure
            bar.close()


@contextmanager
def expiry_bar(text: str) -> Iterator[Callable[[date], None]]:
    """Show how many expiries are done and the newest one's date."""
    done = count(1)
    with progress_bar(text, " expiries") as tell:
        yield lambda newest: tell(next(done), 0, str(newest))
