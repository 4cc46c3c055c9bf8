"""LineWatch: tells when lines of the strategy are reached.

The lines of a class are watched while a run goes to them and at no other time, so a run without
breakpoints on lines pays nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Set
from types import CodeType, FrameType, FunctionType
from typing import Any

from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError

__all__ = ["LineWatch"]

_TOOLS = (4, 3)  # of sys.monitoring; debuggers and profilers have the numbers of their own


class LineWatch:
    """Watches lines of a strategy's file, in the thread that makes it, until it is closed.

    Raises
    ------
    UsageError
        Where the strategy has no code on a line, or a debugger watches the lines already.
    """

    def __init__(self, lines: Set[int], strategy: Strategy) -> None:
        codes = list(_codes(type(strategy)))
        known = {at for code in codes for _, _, at in code.co_lines() if at}
        for line in sorted(lines - known):
            near = sorted(known, key=lambda at: abs(at - line))[:3]
            told = ", ".join(map(str, sorted(near))) or "none"
            raise UsageError(f"line {line}: the strategy runs no code there; near it: {told}.")
        self._lines = lines
        self._codes = {c for c in codes if any(at in lines for _, _, at in c.co_lines())}
        self._hits: set[int] = set()
        self._tool: int | None = None
        self._monitoring: Any = getattr(sys, "monitoring", None)  # from Python 3.12
        told = ", ".join(f"line {line}" for line in sorted(lines))
        if self._monitoring is not None:
            self._monitor(told)
            return
        if sys.gettrace() is not None:
            raise UsageError(
                f"{told}: a debugger is attached and watches the lines; set the breakpoint in it."
            )
        sys.settrace(self._called)

    def took(self, line: int) -> bool:
        """Say whether a line was reached since this was last asked of it."""
        hit = line in self._hits
        self._hits.discard(line)
        return hit

    def close(self) -> None:
        """Watch no longer; a second time does nothing."""
        if self._monitoring is None:
            if sys.gettrace() == self._called:
                sys.settrace(None)
        elif self._tool is not None:
            for code in self._codes:
                self._monitoring.set_local_events(self._tool, code, 0)
            self._monitoring.free_tool_id(self._tool)
            self._tool = None

    def _monitor(self, told: str) -> None:
        monitoring, line = self._monitoring, self._monitoring.events.LINE
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None]
        if not free:
            raise UsageError(f"{told}: other tools watch the lines; end one of them first.")
        self._tool = free[0]
        monitoring.use_tool_id(self._tool, "bestbt lines")
        monitoring.register_callback(self._tool, line, self._lined)
        for code in self._codes:
            monitoring.set_local_events(self._tool, code, line)

    def _lined(self, _: CodeType, line: int) -> None:
        if line in self._lines:
            self._hits.add(line)

    def _called(self, frame: FrameType, _event: str, _arg: object) -> Any:
        return self._traced if frame.f_code in self._codes else None

    def _traced(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line" and frame.f_lineno in self._lines:
            self._hits.add(frame.f_lineno)
        return self._traced


def _codes(cls: type) -> Iterator[CodeType]:
    """Yield the code of a strategy's functions, and of the functions in them."""
    own = cls.__mro__[: cls.__mro__.index(Strategy)]
    waiting = [f.__code__ for c in own for f in vars(c).values() if isinstance(f, FunctionType)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
