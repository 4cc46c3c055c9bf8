"""LineWatch: tells when a line of the strategy is reached.

The lines of a class are watched while a run goes to them and at no other time, so a run without
breakpoints on lines pays nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

from bestbt.engine.strategy import Strategy
from bestbt.errors import UsageError

__all__ = ["LineWatch"]

_TOOL = 4  # of sys.monitoring; debuggers and profilers have the numbers of their own


class LineWatch:
    """Watches one line of a strategy's file, in the thread that makes it, until it is closed.

    Raises
    ------
    UsageError
        Where the strategy has no code on that line, or a debugger watches the lines already.
    """

    def __init__(self, line: int, strategy: Strategy) -> None:
        codes = list(_codes(type(strategy)))
        lines = {at for code in codes for _, _, at in code.co_lines() if at}
        if line not in lines:
            near = sorted(lines, key=lambda at: abs(at - line))[:3]
            told = ", ".join(map(str, sorted(near))) or "none"
            raise UsageError(f"line {line}: the strategy runs no code there; near it: {told}.")
        self._line = line
        self._codes = {c for c in codes if any(at == line for _, _, at in c.co_lines())}
        self._hit = False
        self._monitoring: Any = getattr(sys, "monitoring", None)  # from Python 3.12
        if self._monitoring is not None:
            self._monitor()
            return
        if sys.gettrace() is not None:
            raise UsageError(
                f"line {line}: a debugger is attached and watches the lines; set the breakpoint "
                "in it."
            )
        sys.settrace(self._called)

    def __call__(self) -> bool:
        """Say whether the line was reached since this was last asked."""
        hit, self._hit = self._hit, False
        return hit

    def close(self) -> None:
        """Watch no longer."""
        if self._monitoring is None:
            sys.settrace(None)
            return
        for code in self._codes:
            self._monitoring.set_local_events(_TOOL, code, 0)
        self._monitoring.free_tool_id(_TOOL)

    def _monitor(self) -> None:
        monitoring, line = self._monitoring, self._monitoring.events.LINE
        if monitoring.get_tool(_TOOL) is not None:
            raise UsageError(f"line {self._line}: another tool watches the lines; end it first.")
        monitoring.use_tool_id(_TOOL, "bestbt lines")
        monitoring.register_callback(_TOOL, line, self._lined)
        for code in self._codes:
            monitoring.set_local_events(_TOOL, code, line)

    def _lined(self, _: CodeType, line: int) -> None:
        self._hit |= line == self._line

    def _called(self, frame: FrameType, _event: str, _arg: object) -> Any:
        return self._traced if frame.f_code in self._codes else None

    def _traced(self, frame: FrameType, event: str, _arg: object) -> Any:
        self._hit |= event == "line" and frame.f_lineno == self._line
        return self._traced


def _codes(cls: type) -> Iterator[CodeType]:
    """Yield the code of a strategy's functions, and of the functions in them."""
    own = cls.__mro__[: cls.__mro__.index(Strategy)]
    waiting = [f.__code__ for c in own for f in vars(c).values() if isinstance(f, FunctionType)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
