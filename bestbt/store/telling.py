"""How long work of a store tells what it has done: a bar, a function of the caller's, or nobody.

And what is kept of it when it is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from bestbt.errors import Interrupted
from bestbt.progress import progress_bar

__all__ = ["Progress", "Stage", "Tell", "saying", "silent", "stages", "telling"]

Tell: TypeAlias = Callable[[int, int, str], object]
Progress: TypeAlias = bool | Tell
Stage: TypeAlias = Callable[[str], Tell]


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
def stages(progress: Progress, name: str, main: str) -> Iterator[Stage]:
    """Give what begins a stage of some work, by its unit, and gives a function to tell progress to.

    They share a bar, which begins anew. A function of the caller's hears of the *main* stage alone:
    it counts one thing.
    """
    if callable(progress) or not progress:
        yield lambda unit: progress if callable(progress) and unit == main else silent
        return
    with progress_bar(name, main) as bar:
        yield bar.stage


@contextmanager
def saying(kept: Callable[[], str]) -> Iterator[None]:
    """Let an interrupt say what is kept; what was half done has been taken back by then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept()) from None
