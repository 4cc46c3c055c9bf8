"""Check a cell before anything runs: one parse, one walk by pyflakes, and the rules of trading.

    check     syntax, undefined names, which class is the strategy     (this file)
    members   names on `self`: misspelt, shadowed, called wrongly
    timing    hooks and schedule that cannot fire
    habits    the future, the wall clock, unseeded chance, endless loops

A false alarm costs more trust than a miss: a rule that cannot know stays silent.
"""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Collection, Iterator
from dataclasses import replace

from pyflakes import checker as pyflakes
from pyflakes import messages as flaws

from bestbt.cell.habits import habits
from bestbt.cell.members import members, nearest
from bestbt.cell.names import BOUND, LATER
from bestbt.cell.problems import Problem, source_lines
from bestbt.cell.scan import Scan, StrategyClass, bound_in
from bestbt.cell.surface import Surface
from bestbt.cell.timing import has_hooks, stray_hooks, timing

__all__ = ["Problem", "Surface", "check"]


def check(source: str, known: Surface, user_names: Collection[str] = ()) -> list[Problem]:
    r"""Find what is wrong with a `%%backtest` cell's body without running it.

    Parameters
    ----------
    source
        The body, without the magic's line.
    known
        The engine's face: names, signatures, session times.
    user_names
        Names the notebook holds already; they count as defined.

    Returns
    -------
    list of Problem
        By line and column; lines count from 1 in `source`. Any with severity `"error"` means that
        the cell must not run.

    Examples
    --------
    >>> class Base:
    ...     def sell(self, contract, lots=1): ...
    ...     def on_bar(self): ...
    >>> cell = "class S(Strategy):\n    def on_bar(self):\n        self.sel(1)"
    >>> print(*check(cell, Surface.of(Base)))
    line 3: S has no attribute or method 'sel'. Did you mean self.sell?
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            tree = ast.parse(source)
            compile(source, "<cell>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return [_syntax(source, error)]
        except ValueError as error:  # a null byte
            return [Problem(1, 0, "error", "syntax", str(error), "Type the cell again.")]
    scan = Scan(tree, user_names)
    found = [_doubtful(warning) for warning in said if issubclass(warning.category, SyntaxWarning)]
    found += _undefined(scan, known)
    found += _strategy_count(scan)
    found += stray_hooks(scan, known)
    for strategy in scan.strategies:
        if not (strategy.certain or has_hooks(scan, strategy, known)):
            continue  # most likely a class of another kind
        found += members(scan, strategy, known)
        found += timing(scan, strategy, known)
    lines = source_lines(source)
    found += [one for one in habits(scan) if not _waived(lines, one)]
    return sorted({_in_characters(lines, one) for one in found})


def _in_characters(lines: list[str], problem: Problem) -> Problem:
    """Count the column in characters: a syntax tree counts bytes."""
    line = lines[problem.line - 1]
    if line.isascii():
        return problem
    column = len(line.encode()[: problem.column].decode(errors="ignore"))
    return replace(problem, column=column)


def _waived(lines: list[str], problem: Problem) -> bool:
    _, _, comment = lines[problem.line - 1].rpartition("#")
    return comment.replace(" ", "").startswith("bestbt:ok")


# --- syntax ---


def _syntax(source: str, error: SyntaxError) -> Problem:
    lines = source_lines(source)
    line = min(error.lineno or 1, len(lines))
    text = lines[line - 1]
    hint = ""
    if text.lstrip()[:1] in ("%", "!", "?"):
        hint = "Notebook commands (%, !, ?) go into a cell of their own."
    elif "await" in text and "outside" in error.msg:
        hint = "A strategy's code does not await; do it in another cell."
    return Problem(line, max((error.offset or 1) - 1, 0), "error", "syntax", error.msg, hint)


def _doubtful(warning: warnings.WarningMessage) -> Problem:
    return Problem(warning.lineno, 0, "warning", "syntax", str(warning.message))


# --- names ---

_IMPORTS = {
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "numpy": "import numpy",
    "pandas": "import pandas",
    "math": "import math",
    "datetime": "from datetime import datetime",
    "date": "from datetime import date",
    "timedelta": "from datetime import timedelta",
    "time": "from datetime import time",
    "deque": "from collections import deque",
    "defaultdict": "from collections import defaultdict",
    "Counter": "from collections import Counter",
    "dataclass": "from dataclasses import dataclass",
    "Contract": "from bestbt import Contract",
    "Fill": "from bestbt import Fill",
    "Position": "from bestbt import Position",
    "Order": "from bestbt import Order",
}
_NOTEBOOK = frozenset({"display", "get_ipython", "exit", "quit", "__file__"})


def _undefined(scan: Scan, known: Surface) -> Iterator[Problem]:
    given = {*BOUND, *scan.user_names, *_NOTEBOOK}
    report = pyflakes.Checker(scan.tree, builtins=given)
    unread = _annotations_not_run(scan)
    for flaw in report.messages:
        if isinstance(flaw, flaws.UndefinedName):
            name = str(flaw.message_args[0])
            if (flaw.lineno, flaw.col) in unread:
                continue
            yield Problem(
                flaw.lineno,
                flaw.col,
                "error",
                "name",
                f"undefined name {name!r}",
                _name_hint(name, scan, known),
            )
        elif isinstance(flaw, flaws.UndefinedLocal):
            name = str(flaw.message_args[0])
            yield Problem(
                flaw.lineno,
                flaw.col,
                "error",
                "name",
                f"{name!r} is read before the function assigns it",
                f"Assign {name} first, or say `global {name}` if the outer one is meant.",
            )


def _name_hint(name: str, scan: Scan, known: Surface) -> str:
    attributes = {n for one in scan.strategies for c in one.family for n in bound_in(c)}
    if name == "self":
        return "Only a method has it: give it `self` as its first argument."
    if name in ("CE", "PE"):
        return f'Write "{name}", in quotes.'
    if name in known.members or name in attributes:
        return f"Write self.{name}."
    if name in LATER:
        return f"{name} is not in this version."
    if name in _IMPORTS:
        return f"Add `{_IMPORTS[name]}`."
    if name in scan.imports or name in scan.assigned:
        return "It is defined elsewhere, but not where this line can see it."
    names = {*BOUND, *scan.user_names, *scan.assigned, *scan.imports, *dir(builtins)}
    if near := nearest(name, {n for n in names | known.members if not n.startswith("_")}):
        return f"Did you mean {near if near in names else f'self.{near}'}?"
    return "Define it in this cell or in one run before."


def _annotations_not_run(scan: Scan) -> set[tuple[int, int]]:
    """Return where annotations stand that Python never evaluates: a name there may be missing."""
    deferred = any(
        isinstance(n, ast.ImportFrom)
        and n.module == "__future__"
        and n.names[0].name == "annotations"
        for n in scan.tree.body
    )
    places = set()
    for node in scan.nodes:
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for inner in ast.walk(part) if part is not None else ():
                quoted = isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                if isinstance(inner, ast.expr) and (deferred or quoted):
                    places.add((inner.lineno, inner.col_offset))
    return places


# --- strategies ---


def _strategy_count(scan: Scan) -> Iterator[Problem]:
    if not scan.strategies:
        yield Problem(1, 0, "error", "no-strategy", *_no_strategy(scan))
    certain = [one for one in scan.strategies if one.certain and one.leaf]
    if len(certain) > 1:
        yield Problem(
            certain[-1].node.lineno,
            certain[-1].node.col_offset,
            "error",
            "two-strategies",
            f"the cell has {len(certain)} strategies: {_listed(certain)}",
            "A cell runs one: move the others to cells of their own.",
        )


def _no_strategy(scan: Scan) -> tuple[str, str]:
    if scan.classes:
        names = ", ".join(scan.classes)
        first = next(iter(scan.classes))
        return (
            f"no class of the cell is a strategy (found: {names})",
            f"Derive from Strategy: `class {first}(Strategy):`.",
        )
    return (
        "the cell has no strategy",
        "Write `class MyStrategy(Strategy):` with `def on_bar(self):` or a method under "
        '@at("09:20").',
    )


def _listed(strategies: list[StrategyClass]) -> str:
    return ", ".join(f"{one.name} (line {one.node.lineno})" for one in strategies)
