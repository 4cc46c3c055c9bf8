"""What the checker found in a cell, and how it is shown under it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

__all__ = ["Problem", "Severity", "render_problems_html", "render_problems_text", "source_lines"]

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: `line` counts from 1 in the cell's body, `column` from 0 in that line.

    An error keeps the cell from running, a warning does not. `code` is a short stable name
    (`"look-ahead"`), `hint` says what to do and may be empty.

    >>> print(Problem(3, 8, "error", "name", "undefined name 'legg'", "Did you mean 'leg'?"))
    line 3: undefined name 'legg'. Did you mean 'leg'?
    """

    line: int
    column: int
    severity: Severity
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}. {self.hint}".rstrip()


def source_lines(source: str) -> list[str]:
    """Split as Python counts lines; `splitlines` would also split at a form feed."""
    return re.split(r"\r\n|\r|\n", source)


def render_problems_text(problems: Iterable[Problem], source: str, offset: int = 0) -> str:
    r"""Return problems as text: line, what is wrong, the line itself, a caret, what to do.

    Parameters
    ----------
    problems
        As the checker returned them.
    source
        The body that was checked.
    offset
        Lines of the cell before the body (the magic's own line), added to what is printed, so that
        numbers are those beside the cell.

    >>> slip = Problem(2, 8, "error", "method", "no method get_amt", "Did you mean 'get_atm'?")
    >>> print(render_problems_text([slip], "def go(self):\n    self.get_amt('CE')", offset=1))
    line 3: error: no method get_amt
        self.get_amt('CE')
            ^
        Did you mean 'get_atm'?
    """
    lines = source_lines(source)
    blocks = []
    for problem in problems:
        text, column = _shown(lines, problem)
        block = [f"line {problem.line + offset}: {problem.severity}: {problem.message}"]
        if text:
            block += [f"    {text}", f"    {' ' * column}^"]
        if problem.hint:
            block.append(f"    {problem.hint}")
        blocks.append("\n".join(block))
    return "\n".join(blocks)


def render_problems_html(problems: Iterable[Problem], source: str, offset: int = 0) -> str:
    """Return problems as HTML that takes its colours from JupyterLab's theme, light or dark.

    Parameters are those of `render_problems_text`; everything is escaped.

    >>> "&lt;b&gt;" in render_problems_html([Problem(1, 0, "error", "name", "no <b>")], "<b>")
    True
    """
    lines = source_lines(source)
    items = "".join(_item(lines, problem, offset) for problem in problems)
    return f'<div class="bt-problems" style="{_BOX}">{items}</div>'


_BOX = (
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);"
    "line-height:1.4;color:var(--jp-ui-font-color1,inherit);background:transparent"
)
_COLOUR = {
    "error": "var(--jp-error-color1,#d32f2f)",
    "warning": "var(--jp-warn-color1,#b26a00)",
}


def _item(lines: Sequence[str], problem: Problem, offset: int) -> str:
    text, column = _shown(lines, problem)
    colour = _COLOUR[problem.severity]
    source = (
        f'<pre style="margin:2px 0;color:var(--jp-ui-font-color1,inherit);'
        f'background:transparent;white-space:pre">{escape(text)}\n'
        f'<span style="color:{colour}">{" " * column}^</span></pre>'
        if text
        else ""
    )
    hint = (
        f'<div style="color:var(--jp-ui-font-color2,inherit)">{escape(problem.hint)}</div>'
        if problem.hint
        else ""
    )
    return (
        f'<div class="bt-problem bt-{problem.severity}" style="margin:4px 0;padding:2px 8px;'
        f'border-left:3px solid {colour}">'
        f'<div><span style="color:{colour};font-weight:bold">line {problem.line + offset}: '
        f"{problem.severity}:</span> {escape(problem.message)}</div>{source}{hint}</div>"
    )


def _shown(lines: Sequence[str], problem: Problem) -> tuple[str, int]:
    """Return the source line without its indent or tabs, and the caret's column in it."""
    if not 1 <= problem.line <= len(lines):
        return "", 0
    line = lines[problem.line - 1].replace("\t", " ")
    text = line.strip()
    indent = len(line) - len(line.lstrip())
    return text, min(max(problem.column - indent, 0), len(text))
