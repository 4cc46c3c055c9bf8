"""Where a cell stands: the file name IPython gave it, its exact text, the lines before its body.

With these, tracebacks read `Cell In[9], line 3` and breakpoints set beside the cell are hit.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Place", "locate"]


@dataclass(frozen=True, slots=True)
class Place:
    """A cell's file name and text; `offset` lines of the text stand before the body."""

    filename: str
    text: str
    offset: int


def locate(shell: Any, line: str, body: str, magic: str = "backtest") -> Place:
    """Find the cell whose magic is running and let tracebacks show its text.

    Parameters
    ----------
    shell
        The `InteractiveShell`.
    line, body
        As the cell magic received them.
    magic
        Name of the magic, to write the first line where the exact text is not to be had.
    """
    text = _sent(shell)
    offset = _offset(text, body)
    if offset is None:
        text, offset = f"%%{magic} {line}".rstrip() + f"\n{body}", 1
    filename = _running(shell) or shell.compile.cache(text, shell.execution_count)
    lines = text.splitlines(keepends=True)
    linecache.cache[filename] = (len(text), None, lines, filename)
    return Place(filename, text, offset)


def _running(shell: Any) -> str | None:
    """Name of the cell on the stack: breakpoints are set on that one."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in shell.compile._filename_map:
            return frame.f_code.co_filename
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


def _sent(shell: Any) -> str:
    """Return the text as the front end sent it; empty outside a kernel."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else None
    if not parent:
        return ""
    return str(parent.get("content", {}).get("code", ""))


def _offset(text: str, body: str) -> int | None:
    """Lines of `text` before `body`; None when it does not end in it (another cell's text)."""
    whole, part = text.rstrip().splitlines(), body.rstrip().splitlines()
    before = len(whole) - len(part)
    if before < 1 or not part or [x.strip() for x in whole[before:]] != [x.strip() for x in part]:
        return None
    return before
