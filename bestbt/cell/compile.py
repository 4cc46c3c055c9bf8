"""Compile a checked cell: execute it in a copy of the notebook's names, find its strategy.

The code is executed once for the run, and again for each replay: a strategy that keeps state in
its cell's names starts anew every time.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType

from bestbt.cell.names import bound_names
from bestbt.cell.problems import render_problems_html, render_problems_text
from bestbt.cell.scan import bound_in
from bestbt.errors import CellError

__all__ = ["CompiledCell", "compile_cell", "render_problems_html", "render_problems_text"]


@dataclass(frozen=True)
class CompiledCell:
    """A cell that was executed once.

    `strategy` is its class, `names` what the cell bound (to be published to the notebook), `source`
    the body, `filename` and `offset` place its lines.
    """

    source: str
    filename: str
    offset: int
    strategy: type
    names: Mapping[str, object]
    _code: CodeType = field(repr=False)
    _given: Mapping[str, object] = field(repr=False)  # names as they were when it was compiled
    _base: type = field(repr=False)

    def make(self) -> type:
        """Execute the cell again in a fresh copy of its names; return the fresh strategy class.

        What the names refer to is not copied: a list of the notebook that the cell appends to goes
        on growing.
        """
        __tracebackhide__ = True
        return _strategy_of(_execute(self._code, self._given), self._given, self._base)


def compile_cell(
    source: str,
    filename: str,
    user_ns: Mapping[str, object],
    offset: int = 0,
    bound: Mapping[str, object] | None = None,
) -> CompiledCell:
    """Execute a cell's body and return its one strategy.

    Parameters
    ----------
    source
        The body, as it passed `check`.
    filename
        The cell's name (`locate` finds it and shows its text in tracebacks).
    user_ns
        The notebook's names; they are copied, not changed.
    offset
        Lines before the body, so that line numbers are those beside the cell.
    bound
        Names that need no import; bestbt's (`BOUND`) unless given. The notebook's win over them.

    Raises
    ------
    CellError
        The cell has no strategy, or several. What the body itself raises passes through.

    Examples
    --------
    >>> class Strategy: ...
    >>> cell = compile_cell("class S(Strategy): stop = 3", "cell", {}, bound={"Strategy": Strategy})
    >>> cell.strategy.stop, cell.make() is cell.strategy, list(cell.names)
    (3, False, ['S'])
    """
    __tracebackhide__ = True  # IPython leaves such frames out: the author's lines matter
    given_by_us = bound_names() if bound is None else bound
    base = given_by_us["Strategy"]
    if not isinstance(base, type):
        raise TypeError(f"bound['Strategy'] must be a class, not {base!r}")
    given = {"__name__": "__main__", **given_by_us, **user_ns}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # the checker has told them
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = ast.parse(source, filename)
        ast.increment_lineno(tree, offset)
        code = compile(tree, filename, "exec", dont_inherit=True)
    namespace = _execute(code, given)
    strategy = _strategy_of(namespace, given, base)
    written = bound_in(tree)  # also what is bound to the object it had: `import numpy as np`
    names = {
        name: value
        for name, value in namespace.items()
        if (name in written or name not in given or given[name] is not value)
        and not (name.startswith("__") and name.endswith("__"))
    }
    return CompiledCell(source, filename, offset, strategy, names, code, given, base)


def _execute(code: CodeType, given: Mapping[str, object]) -> dict[str, object]:
    __tracebackhide__ = True
    namespace = dict(given)
    exec(code, namespace)
    return namespace


def _strategy_of(namespace: Mapping[str, object], given: Mapping[str, object], base: type) -> type:
    """Return the one leaf among the strategies that an execution defined."""
    old = {id(value) for value in given.values()}
    found = {
        id(value): value
        for value in namespace.values()
        if isinstance(value, type)
        and issubclass(value, base)
        and id(value) not in old
        and value.__module__ == namespace["__name__"]
    }.values()
    leaves = [one for one in found if not any(one in other.__mro__[1:] for other in found)]
    if len(leaves) == 1:
        return leaves[0]
    if leaves:
        names = ", ".join(sorted(one.__name__ for one in leaves))
        raise CellError(
            f"The cell has {len(leaves)} strategies: {names}. A cell runs one: move the others to "
            "cells of their own."
        )
    other = namespace.get("Strategy", base)
    if other is not base:
        where = getattr(other, "__module__", type(other).__name__)
        raise CellError(
            f"The cell has no strategy of bestbt: `Strategy` in this notebook is {where}'s. Put "
            "`from bestbt import Strategy` on the cell's first line."
        )
    raise CellError(
        "The cell has no strategy: no class in it derives from Strategy. Write "
        "`class MyStrategy(Strategy):` with `def on_bar(self):` in it."
    )
