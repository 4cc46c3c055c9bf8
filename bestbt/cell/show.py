"""How an error of a cell is shown: a user's mistake in a line or two, a failing strategy by the
lines its author wrote.

IPython asks an exception for `_render_traceback_`; giving it one needs no patched shell.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from bestbt.errors import without_secrets

__all__ = ["author_lines", "own_lines", "short_error"]

_E = TypeVar("_E", bound=BaseException)
_PACKAGE = str(Path(__file__).resolve().parent.parent)


def short_error(error: _E, filename: str | None = None, offset: int = 0) -> _E:
    """Let a notebook show an error as its message, without traceback; return the error.

    Parameters
    ----------
    error
        Any exception; raise what is returned.
    filename, offset
        The cell's (see `Place`): where the error passed through a line of it, that line is shown.

    >>> short_error(ValueError("no lots"))._render_traceback_()
    ['ValueError: no lots']
    """

    def render() -> list[str]:
        shown = [f"{type(error).__name__}: {error}"]
        for number in _lines_in(error.__traceback__, filename, offset):
            source = without_secrets(linecache.getline(filename or "", number).strip())
            shown[1:] = [f"  line {number}: {source}"]  # of several, the innermost
        return shown

    error._render_traceback_ = render  # type: ignore[attr-defined]
    return error


def author_lines(error: _E, shell: Any, filename: str, offset: int = 0) -> _E:
    """Let a notebook show an error with the traceback of the author's lines only; return it.

    What lies between the cell and the author's function (bestbt, IPython) is left out. An error
    that passed through no line of the author's keeps its traceback: it is a bug of ours.
    """

    def render() -> list[str]:
        tb = own_lines(error.__traceback__, filename, offset) or error.__traceback__
        shown: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, tb)
        return shown

    error._render_traceback_ = render  # type: ignore[attr-defined]
    return error


def own_lines(
    traceback: TracebackType | None, filename: str, offset: int = 0
) -> TracebackType | None:
    """Return a traceback from the cell's first own line on, without bestbt's frames.

    The magic's own line, among the first `offset`, is no line of the author's. None if there is no
    line of the cell.
    """
    kept: list[TracebackType] = []
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        in_cell = file == filename and traceback.tb_lineno > offset
        if in_cell or (kept and file != filename and not file.startswith(_PACKAGE)):
            kept.append(traceback)
        traceback = traceback.tb_next
    own: TracebackType | None = None
    for one in reversed(kept):
        own = TracebackType(own, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return own


def _lines_in(traceback: TracebackType | None, filename: str | None, offset: int) -> Iterator[int]:
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename and traceback.tb_lineno > offset:
            yield traceback.tb_lineno
        traceback = traceback.tb_next
