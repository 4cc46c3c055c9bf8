"""How long work of a store tells what it has done: a bar, a function of the caller's, or nobody.

And what is kept of it when it is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from bestbt.errors import Interrupted
from bestbt.progress import progress_bar

__all__ = ["Progress", "Tell", "saying", "silent", "telling"]

Tell: TypeAlias = Callable[[int, int, str], object]
Progress: TypeAlias = bool | Tell


def silent(done: int, total: int, text: str) -> None:
    """Tell nobody."""


@contextmanager
def telling(progress: Progress, name: str, unit: str) -> Iterator[Tell]:
    """Give a function to tell progress to."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield silent
        return
    with progress_bar(name, unit) as tell:
        yield tell


@contextmanager
def saying(kept: Callable[[], str]) -> Iterator[None]:
    """Let an interrupt say what is kept; what was half done has been taken back by then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept()) from None
