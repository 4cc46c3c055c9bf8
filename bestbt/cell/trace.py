"""Play one bar of a run again under trace, and say what its hooks did and why.

A run itself is never traced and pays nothing: the bar is played again by a simulation of its own.
From Python 3.12 on the lines of the strategy's own code are watched with `sys.monitoring`, beside a
debugger; on 3.11 with `sys.settrace`, which there can be only one of: where a debugger is attached
the result says so, and has everything but the lines.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date, datetime
from types import CellType, CodeType, FrameType, FunctionType, TracebackType
from typing import Any, NamedTuple

from bestbt.cell.pure import Scope, truth
from bestbt.cell.shown import exact, short
from bestbt.cell.steps import Step, Text, steps_of
from bestbt.cell.why import Call, Change, Line, Note, Placed, Value, Why
from bestbt.engine.desk import Desk
from bestbt.engine.grid import Grid, utc_ns
from bestbt.engine.indicators import Indicator
from bestbt.engine.order import Fill, Order
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy
from bestbt.engine.strategy_base import StrategyBase
from bestbt.errors import NotRepeatable, UsageError
from bestbt.units import Ordinal

__all__ = ["CellText", "trace"]

_MOST_LOOKS = 20_000  # a loop that runs longer is counted and not looked at
_BASE = {*StrategyBase.__annotations__, *Strategy.__annotations__}  # not the author's
_DEBUGGER = (
    "The lines are missing: a debugger (or a coverage tool) is attached, and on Python 3.11 only "
    "one can watch. Detach it, or use Python 3.12 or newer."
)
_FULL = "The lines are missing: all places for tools that watch the program are taken."


class CellText(NamedTuple):
    """Where a strategy's text is when it is a cell's: its file name, lines before it, its body."""

    filename: str
    offset: int
    source: str


def trace(
    simulation: Simulation,
    at: Ordinal | str | date,
    title: str = "",
    cell: CellText | None = None,
    run: Simulation | None = None,
) -> Why:
    """Play a fresh simulation to a bar, and that bar under trace.

    Parameters
    ----------
    simulation
        Fresh, with what was done by hand (`redo`); nobody else's. It stands at the bar afterwards.
    at
        A bar, or a moment as for `run_to`: the bar that has closed by then.
    title
        Of the run.
    cell
        The text of a cell; of a file it is found.
    run
        The one that is asked about. Where the replay places other orders the result says so.

    Raises
    ------
    UsageError
        For a bar that the run does not have, or one behind that at which the strategy raises.

    Examples
    --------
    >>> from bestbt.engine.strategy import Strategy
    >>> from bestbt.testing import MemoryFeed, simulate
    >>> class Late(Strategy):
    ...     level = 104
    ...     def on_bar(self):
    ...         if self.spot.price > self.level:
    ...             self.log("above")
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    >>> feed.add_index([100, 101, 102, 103, 104])
    >>> why = trace(simulate(Late, feed, run=False), "2024-01-01 09:20", "Late")
    >>> [(line, condition.shown) for line, condition in why.false]
    [(4, '104.00 > 104')]
    """
    grid = simulation.grid
    bar = at if isinstance(at, int) else _bar_at(grid, at)
    if bar == simulation.start - 1:
        return Why(title, -1, None, (), (), (), (), (), next=_next(simulation))
    if not simulation.start <= bar < grid.n:
        raise UsageError(
            f"why({at!r}): the run has bars {simulation.start} to {grid.n - 1}, from "
            f"{grid.local(simulation.start):%Y-%m-%d %H:%M} on."
        )
    _play_to(simulation, bar - 1, at)
    desk, strategy = simulation.desk, simulation.strategy
    before = _attributes(strategy)
    seen = len(desk.orders), len(desk.portfolio.fills), len(desk.log)
    recorder = _Recorder(strategy, cell)
    watching, remarks = _watching(recorder)
    error: Exception | None = None
    try:
        with watching:
            simulation.run_to(bar)
    except Exception as raised:  # the strategy's: it is what is asked for
        error = raised
        recorder.blame(raised)
    try:
        if run is not None and run.bar >= bar:
            simulation._check_repeated(list(run.desk.orders))
    except NotRepeatable as differs:
        remarks.append(str(differs))
    if recorder.looks > _MOST_LOOKS:
        remarks.append(f"After {_MOST_LOOKS:,} lines they are counted; values are from before.")
    hooks = recorder.hooks()
    return Why(
        title,
        bar,
        grid.to_local(grid.end(bar)),
        hooks,
        _changes(before, _attributes(strategy)),
        tuple(_fill(fill) for fill in desk.portfolio.fills[seen[1] :]),
        tuple(_placed(order) for order in desk.orders[seen[0] :]),
        tuple(Note(entry.kind, entry.text) for entry in desk.log[seen[2] :]),
        _error(error),
        "" if hooks or error is not None else _next(simulation),
        tuple(remarks),
    )


def _bar_at(grid: Grid, at: object) -> Ordinal:
    moment = at
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if not isinstance(moment, datetime):
        raise UsageError(f"why({at!r}): give a bar, or a time as '2024-02-01 09:30'.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=grid.tz)
    return grid.closed_by(utc_ns(moment))


def _play_to(simulation: Simulation, bar: Ordinal, at: object) -> None:
    if bar < simulation.start:
        return
    try:
        simulation.run_to(bar)
    except Exception as error:
        failed = simulation.desk.now
        raise UsageError(
            f"why({at!r}): the strategy raises {type(error).__name__} at "
            f"{simulation.grid.to_local(failed):%Y-%m-%d %H:%M} and gets no further."
        ) from error


def _error(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"


# What the bar has changed


def _attributes(strategy: Strategy) -> dict[str, tuple[object, str, str]]:
    """The author's attributes: each itself, in short, and with all its digits."""
    own = {name: v for name, v in vars(strategy).items() if name not in _BASE}
    own |= {f"day.{name}": value for name, value in vars(strategy.day).items()}
    return {name: (value, short(value), exact(value)) for name, value in own.items()}


def _changes(
    before: Mapping[str, tuple[object, str, str]], after: Mapping[str, tuple[object, str, str]]
) -> tuple[Change, ...]:
    found = []
    for name in dict.fromkeys([*before, *after]):
        was, is_ = before.get(name), after.get(name)
        if was is None or is_ is None:
            found.append(Change(name, was[1] if was else "", is_[1] if is_ else ""))
        elif was[2] != is_[2] and not (was[0] is is_[0] and isinstance(was[0], Indicator)):
            full = was[1] == is_[1] and len(was[2]) <= 60 and len(is_[2]) <= 60
            shown = (was[2], is_[2]) if full else (was[1], is_[1])
            found.append(Change(name, *shown))
    return tuple(found)


def _fill(fill: Fill) -> str:
    return f"{short(fill, 100)}, {fill.kind} ({fill.reason})"


def _placed(order: Order) -> Placed:
    side = "BUY" if order.qty > 0 else "SELL"
    at = f" at {order.trigger:,.2f}" if order.trigger is not None else ""
    limit = f" limit {order.price:,.2f}" if order.price is not None else ""
    text = f"{side} {abs(order.qty)} {order.contract.name}, {order.kind}, {order.type}{at}{limit}"
    return Placed(order.id, text, order.status, order.reason)


# When something will run


class _FactsOf:
    """The nearest expiry as it will be known in a session to come."""

    def __init__(self, desk: Desk, session: int) -> None:
        self._desk, self._session = desk, session

    def _nearest(self, symbol: str | None) -> date | None:
        day = self._desk.grid.sessions[self._session].day
        return self._desk.calendar(self._desk.check_symbol(symbol)).nearest(day)

    def sessions_to_expiry(self, symbol: str | None) -> int | None:
        nearest = self._nearest(symbol)
        if nearest is None:
            return None
        return self._desk.sessions_left(nearest) - (self._session - self._desk.session)

    def expiry_kind(self, symbol: str | None) -> str | None:
        nearest = self._nearest(symbol)
        calendar = self._desk.calendar(self._desk.check_symbol(symbol))
        return None if nearest is None else calendar.kind(nearest)


def _next(simulation: Simulation) -> str:
    """When a hook runs next and which, as far as the schedule knows."""
    grid, desk, cls = simulation.grid, simulation.desk, type(simulation.strategy)
    now = simulation.bar
    fixed = [(n, own) for n in ("on_session_start", "on_session_end") if (own := _own(cls, n))]
    scheduled = cls.scheduled()
    if _own(cls, "on_bar"):
        return f"on_bar() at {_moment(grid, now + 1)}" if now + 1 < grid.n else ""
    if not scheduled and not fixed:
        return ""
    for session in range(grid.session(max(now, simulation.start)), len(grid.sessions)):
        facts = _FactsOf(desk, session)
        first, last = grid.firsts[session], grid.lasts[session]
        due: list[tuple[Ordinal, str]] = []
        for name, schedule in scheduled:
            due += [(bar, name) for bar in schedule.bars(grid, session, facts)]
        due += [(first - 1 if n == "on_session_start" else last, n) for n, _ in fixed]
        # The bar before a session's first stands for its open.
        coming = [(b, n) for b, n in due if b > now or (b == first - 1 and now < first)]
        if coming:
            bar = min(b for b, _ in coming)
            names = ", ".join(f"{n}()" for n in dict.fromkeys(n for b, n in coming if b == bar))
            opens = f"{grid.to_local(grid.sessions[session].open):%Y-%m-%d %H:%M}"
            return f"{names} at {opens if bar < first else _moment(grid, bar)}"
    return ""


def _moment(grid: Grid, bar: Ordinal) -> str:
    time = grid.to_local(grid.end(bar))
    return f"{time:%Y-%m-%d %H:%M:%S}" if time.second else f"{time:%Y-%m-%d %H:%M}"


def _own(cls: type[Strategy], name: str) -> bool:
    return getattr(cls, name) is not getattr(Strategy, name)


# Watching


class _Act:
    """A function of the author's at work: its steps, and what became of it."""

    def __init__(self, code: CodeType, source: Text) -> None:
        self.code, self.source = code, source
        self.count = 0
        self.numbers, self.steps = steps_of(code, source)
        self.locals: tuple[Value, ...] = ()
        self.returned = self.error = ""
        self.inner: dict[CodeType, _Act] = {}

    def frozen(self) -> Call:
        lines = []
        for number in self.numbers:
            step, text = self.steps.get(number), self.source.line(number)
            lines.append(Line(number, text) if step is None else step.line(number, text))
        calls = tuple(act.frozen() for act in self.inner.values())
        return Call(
            self.code.co_name, self.count, tuple(lines), self.locals, self.returned, self.error,
            calls,
        )  # fmt: skip


class _Pass:
    """One call of an act: where its frame is."""

    def __init__(self, act: _Act) -> None:
        self.act = act
        self.step: Step | None = None
        self.offset = -1  # of the newest instruction in it
        self.raising = False


class _Recorder:
    """Hears of frames of the author's code in this thread, line by line."""

    def __init__(self, strategy: Strategy, cell: CellText | None) -> None:
        self._strategy, self._cell = strategy, cell
        self.thread = threading.get_ident()
        self.codes = _codes(type(strategy))
        self.files = {code.co_filename for code in self.codes}
        self.looks = 0
        self._texts: dict[str, Text] = {}
        self._acts: list[_Act] = []  # hooks
        self._passes: dict[FrameType, _Pass] = {}
        self._stack: list[FrameType] = []

    def hooks(self) -> tuple[Call, ...]:
        """What was heard, as data."""
        return tuple(act.frozen() for act in self._acts)

    def _text(self, filename: str) -> Text:
        found = self._texts.get(filename)
        if found is None:
            cell = self._cell
            if cell is not None and cell.filename == filename:
                found = Text(cell.source, cell.offset)
            else:
                found = Text.of_file(filename)
            self._texts[filename] = found
        return found

    def enter(self, frame: FrameType) -> bool:
        """Whether a frame that begins (or goes on, of a generator) is to be watched."""
        code = frame.f_code
        if code.co_filename not in self.files or code.co_name.startswith("<"):
            return False  # a comprehension belongs to its line
        if frame in self._passes:
            self._stack.append(frame)
            return True
        if self._stack:
            inner = self._passes[self._stack[0]].act.inner
            act = inner.get(code)
            if act is None:
                act = inner[code] = _Act(code, self._text(code.co_filename))
        elif self._is_hook(frame):
            act = _Act(code, self._text(code.co_filename))
            self._acts.append(act)
        else:
            return False  # called by the engine otherwise: a slippage function, say
        act.count += 1
        self._passes[frame] = _Pass(act)
        self._stack.append(frame)
        return True

    def _is_hook(self, frame: FrameType) -> bool:
        code, names = frame.f_code, frame.f_locals
        first = names.get(code.co_varnames[0]) if code.co_varnames else None
        if not code.co_argcount and isinstance(first, tuple):  # *args of a decorator's wrapper
            first = first[0] if first else None
        return first is self._strategy

    def line(self, frame: FrameType, number: int) -> None:
        """Hear of a line that is about to run."""
        now = self._passes.get(frame)
        step = None if now is None else now.act.steps.get(number)
        if now is None or step is None:
            return
        now.raising = False
        offset, on = frame.f_lasti, now.offset
        now.offset = offset
        if step is now.step and (offset > on or step.repeats):
            return  # another line of it, or its first again
        self._settle(now, frame, number)
        now.step = step
        step.count += 1
        self.looks += 1
        if self.looks <= _MOST_LOOKS:
            step.look(Scope(frame.f_locals, frame.f_globals), now.act.source)

    def leave(self, frame: FrameType, value: object) -> None:
        """Hear of the end of a frame (or of a rest, of a generator)."""
        now = self._passes.get(frame)
        if now is None:
            return
        if frame in self._stack:
            del self._stack[self._stack.index(frame) :]
        if now.step is not None and now.step.gives_back and now.step.verdicts and not now.raising:
            now.step.verdicts[0].infer(truth(value))
        self._settle(now, frame, None)
        now.step = None
        act, code, names = now.act, frame.f_code, frame.f_locals
        act.returned = "" if value is None else short(value)
        own = dict.fromkeys([*code.co_varnames, *code.co_cellvars])
        act.locals = tuple(
            Value(name, short(names[name]))
            for name in own
            if name in names and names[name] is not self._strategy and not name.startswith(".")
        )

    def _settle(self, now: _Pass, frame: FrameType, number: int | None) -> None:
        if now.step is None or self.looks > _MOST_LOOKS:
            return
        if not now.raising:
            now.step.settle(Scope(frame.f_locals, frame.f_globals), now.act.source, number)
        now.step.tally()

    def raising(self, frame: FrameType) -> None:
        """Hear of an exception in a frame; whether it is caught there is seen later."""
        now = self._passes.get(frame)
        if now is not None:
            now.raising = True

    def blame(self, error: BaseException) -> None:
        """Put an error that nobody has caught at the lines that it came through."""
        text = _error(error)
        at: TracebackType | None = error.__traceback__
        while at is not None:
            now = self._passes.get(at.tb_frame)
            if now is not None:
                now.act.error = text
                step = now.act.steps.get(at.tb_lineno)
                if step is not None:
                    step.error = text
            at = at.tb_next


def _codes(cls: type[Strategy]) -> set[CodeType]:
    """Code of a strategy: its methods, and the functions of its files that they can reach."""
    found: set[CodeType] = set()
    functions: dict[int, FunctionType] = {}

    def take(value: object) -> None:
        if isinstance(value, staticmethod | classmethod):
            take(value.__func__)
        elif isinstance(value, property):
            take(value.fget)
        elif isinstance(value, CellType):
            try:
                take(value.cell_contents)
            except ValueError:  # not filled yet
                return
        elif isinstance(value, FunctionType) and id(value) not in functions:
            functions[id(value)] = value
            for cell in value.__closure__ or ():
                take(cell)
            take(getattr(value, "__wrapped__", None))

    for klass in cls.__mro__:
        if klass not in Strategy.__mro__:
            for value in vars(klass).values():
                take(value)
    files = {function.__code__.co_filename for function in functions.values()}
    for function in list(functions.values()):
        for value in list(function.__globals__.values()):
            if isinstance(value, FunctionType) and value.__code__.co_filename in files:
                take(value)
    todo = [function.__code__ for function in functions.values()]
    while todo:
        code = todo.pop()
        if code not in found:
            found.add(code)
            todo += [const for const in code.co_consts if isinstance(const, CodeType)]
    return found


def _watching(recorder: _Recorder) -> tuple[AbstractContextManager[None], list[str]]:
    """Return what lets the recorder hear, and what to say of it."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is not None:
        # Numbers that the manual keeps for debuggers and the like come last.
        free = [tool for tool in (3, 4, 1, 2, 5, 0) if monitoring.get_tool(tool) is None]
        if free:
            return _monitored(recorder, monitoring, free[0]), []
        return nullcontext(), [_FULL]
    if sys.gettrace() is not None:
        return nullcontext(), [_DEBUGGER]
    return _traced(recorder), []


@contextmanager
def _traced(recorder: _Recorder) -> Iterator[None]:
    """Hear of this thread by `sys.settrace`."""

    def inside(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == "line":
            recorder.line(frame, frame.f_lineno)
        elif event == "exception":
            recorder.raising(frame)
        elif event == "return":
            recorder.leave(frame, arg)
        return inside

    def begin(frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        return inside if recorder.enter(frame) else None

    sys.settrace(begin)
    try:
        yield
    finally:
        sys.settrace(None)  # there was none


@contextmanager
def _monitored(recorder: _Recorder, monitoring: Any, tool: int) -> Iterator[None]:
    """Hear of the strategy's code alone, by `sys.monitoring`."""
    events = monitoring.events

    def ours() -> bool:
        return threading.get_ident() == recorder.thread  # the run itself may be playing

    def on_start(_code: CodeType, _offset: int) -> None:
        if ours():
            recorder.enter(sys._getframe(1))

    def on_line(_code: CodeType, number: int) -> None:
        if ours():
            recorder.line(sys._getframe(1), number)

    def on_end(_code: CodeType, _offset: int, value: object) -> None:
        if ours():
            recorder.leave(sys._getframe(1), value)

    def on_unwind(code: CodeType, _offset: int, _error: BaseException) -> None:
        if ours() and code in recorder.codes:
            recorder.raising(sys._getframe(1))
            recorder.leave(sys._getframe(1), None)

    hears = {
        events.PY_START: on_start,
        events.PY_RESUME: on_start,
        events.LINE: on_line,
        events.PY_RETURN: on_end,
        events.PY_YIELD: on_end,
        events.PY_UNWIND: on_unwind,
    }
    local = sum(event for event in hears if event != events.PY_UNWIND)
    monitoring.use_tool_id(tool, "bestbt")
    try:
        for event, hear in hears.items():
            monitoring.register_callback(tool, event, hear)
        for code in recorder.codes:
            monitoring.set_local_events(tool, code, local)
        monitoring.set_events(tool, events.PY_UNWIND)  # it cannot be had for some code alone
        yield
    finally:
        monitoring.set_events(tool, 0)
        for code in recorder.codes:
            monitoring.set_local_events(tool, code, 0)
        for event in hears:
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
