"""Strategy: what users subclass. Parameters, hooks, and when they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from datetime import date
from numbers import Real
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Grid, duration, time_of_day
from bestbt.engine.order import Fill, Order
from bestbt.engine.strategy_base import StrategyBase
from bestbt.errors import ParamError, UsageError, did_you_mean
from bestbt.units import Ns, Ordinal

__all__ = ["HOOKS", "Param", "Schedule", "Strategy", "at", "every", "on_expiry_day", "param"]

# Hooks by name, with the number of arguments they take besides self.
HOOKS = {
    "init": 0,
    "on_bar": 0,
    "on_fill": 1,
    "on_stop": 1,
    "on_target": 1,
    "on_reject": 1,
    "on_expiry": 1,
    "on_session_start": 0,
    "on_session_end": 0,
    "on_end": 0,
}
_BASES: tuple[Literal["open", "close"], ...] = ("open", "close")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_F = TypeVar("_F", bound=Callable[..., Any])


class SessionFacts(Protocol):
    """What a schedule may ask about a session: its nearest expiry."""

    def sessions_to_expiry(self, symbol: str | None) -> int | None:
        """Sessions to the nearest expiry of a symbol, or the first; None when none is listed."""
        ...

    def expiry_kind(self, symbol: str | None) -> str | None:
        """Kind of that expiry."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day, or an offset from a session's open or close."""

    base: Literal["midnight", "open", "close"]
    offset: Ns

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read `"09:20"`, `"open"`, `"open+5min"` or `"close-15min"`."""
        if not isinstance(text, str):
            raise UsageError(
                f"{text!r} is no time; write it as '09:20', 'open+5min' or 'close-15min'."
            )
        word = text.strip()
        for base in _BASES:
            if word == base:
                return cls(base, 0)
            if word.startswith(base) and word[len(base)] in "+-":
                sign = 1 if word[len(base)] == "+" else -1
                return cls(base, sign * duration(word[len(base) + 1 :]))
        return cls("midnight", time_of_day(word))

    def at(self, grid: Grid, session: int) -> Ns:
        """UTC time of the moment in a session."""
        if self.base == "midnight":
            return grid.midnight(session) + self.offset
        day = grid.sessions[session]
        return (day.open if self.base == "open" else day.close) + self.offset


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a method is called: at a time of day, or every so often between two."""

    start: Moment | None  # None: one step after the open
    end: Moment | None = None  # None: one bar before the close
    step: Ns | None = None  # None: once, at start
    dte: frozenset[int] | None = None
    weekdays: frozenset[int] | None = None
    kind: str | None = None
    symbol: str | None = None  # whose expiry; None: the first's

    def bars(self, grid: Grid, session: int, facts: SessionFacts) -> list[Ordinal]:
        """Bars of a session after which it is due; the bar before its first means "at the open".

        A time outside the session's hours does not come in it; in a gap it is due at the first
        bar that closes after it.
        """
        day = grid.sessions[session]
        if self.weekdays is not None and day.day.weekday() not in self.weekdays:
            return []
        if self.dte is not None and facts.sessions_to_expiry(self.symbol) not in self.dte:
            return []
        if self.kind is not None and facts.expiry_kind(self.symbol) != self.kind:
            return []
        opened, closed, first = day.open, day.close, grid.firsts[session]
        bars: list[Ordinal] = []
        for time in self._moments(grid, session):
            if opened <= time < closed:
                bar = first - 1 if time == opened else grid.closing_at(session, time)
                if not bars or bars[-1] != bar:
                    bars.append(bar)
        return bars

    def _moments(self, grid: Grid, session: int) -> Iterable[Ns]:
        if self.step is None and self.start is not None:
            return (self.start.at(grid, session),)
        step = self.step or grid.step
        opened, closed = grid.sessions[session].open, grid.sessions[session].close
        start = self.start.at(grid, session) if self.start else opened + step
        end = self.end.at(grid, session) if self.end else closed - grid.step
        return range(start, end + 1, step)


def _scheduled(schedule: Schedule) -> Callable[[_F], _F]:
    def mark(function: _F) -> _F:
        function.__dict__.setdefault("_schedules", []).append(schedule)
        return function

    return mark


def at(
    time: str,
    dte: int | Iterable[int] | None = None,
    weekdays: str | int | Iterable[str | int] | None = None,
    kind: str | None = None,
) -> Callable[[_F], _F]:
    """Call a method when the wall clock reads a time: the bar before it is the newest it sees.

    Parameters
    ----------
    time
        Exchange local time `"09:20"`, or `"open"` (before the first bar), `"open+5min"`,
        `"close-15min"`. Outside a session's hours it does not come that day.
    dte
        Only on days with this many sessions left to the nearest expiry (0: expiry day).
    weekdays
        Only on these: `"Thu"`, `3` (Monday is 0), or several.
    kind
        Only when the nearest expiry is `"weekly"` or `"monthly"`.
    """
    return _scheduled(
        Schedule(Moment.parse(time), dte=_dtes(dte), weekdays=_weekdays(weekdays), kind=_kind(kind))
    )


def every(step: str, start: str | None = None, end: str | None = None) -> Callable[[_F], _F]:
    """Call a method every so often; *end* is included.

    Without *start*, first one step after the open; without *end*, for the last time one bar
    before the close, so that an order can still fill.
    """
    first = Moment.parse(start) if start is not None else None
    last = Moment.parse(end) if end is not None else None
    return _scheduled(Schedule(first, last, duration(step)))


def on_expiry_day(
    at: str = "15:00", symbol: str | None = None, kind: str | None = None
) -> Callable[[_F], _F]:
    """Call a method at a time on days on which the nearest expiry settles.

    Parameters
    ----------
    at
        Exchange local time, as for `at`.
    symbol
        Whose expiry: another underlying, such as `"BANKNIFTY"`; by default the run's first.
    kind
        Only when it is a `"weekly"` or a `"monthly"` one.
    """
    if symbol is not None and not (isinstance(symbol, str) and symbol.strip()):
        raise UsageError(f"symbol={symbol!r}: name an underlying, such as 'BANKNIFTY'.")
    named = None if symbol is None else symbol.strip().upper()
    if named in ("WEEKLY", "MONTHLY"):
        raise UsageError(f"symbol={symbol!r} is no underlying; write kind={symbol!r}.")
    moment, today = Moment.parse(at), frozenset((0,))
    return _scheduled(Schedule(moment, dte=today, kind=_kind(kind), symbol=named))


def _dtes(given: int | Iterable[int] | None) -> frozenset[int] | None:
    if given is None:
        return None
    days = (given,) if isinstance(given, int | str) else tuple(given)
    if not all(isinstance(day, int) and day >= 0 for day in days):
        raise UsageError(f"dte={given!r}: give whole sessions to expiry, 0 for expiry day.")
    return frozenset(days)


def _kind(given: str | None) -> str | None:
    if given in (None, "weekly", "monthly"):
        return given
    hint = did_you_mean(str(given).lower(), ("weekly", "monthly"))
    raise UsageError(f"kind={given!r} is no kind of expiry. {hint}")


def _weekdays(given: str | int | Iterable[str | int] | None) -> frozenset[int] | None:
    if given is None:
        return None
    days = (given,) if isinstance(given, str | int) else given
    numbers = set()
    for day in days:
        name = str(day).strip().lower()[:3]
        number = day if isinstance(day, int) else _WEEKDAYS.index(name) if name in _WEEKDAYS else -1
        if not 0 <= number <= 6:
            raise UsageError(f"{day!r} is no weekday; write 'Mon' … 'Sun', or 0 for Monday.")
        numbers.add(number)
    return frozenset(numbers)


@dataclass(frozen=True, slots=True)
class Param:
    """A declared parameter of a strategy."""

    default: Any
    min: Any = None
    max: Any = None
    step: Any = None
    choices: tuple[Any, ...] | None = None
    help: str = ""

    def check(self, owner: str, name: str, value: Any) -> Any:
        """Return the value if the parameter takes it; `ParamError` otherwise."""
        number = isinstance(value, Real) and not isinstance(value, bool)
        wants = isinstance(self.default, int | float) and not isinstance(self.default, bool)
        if wants and not number:
            raise ParamError(f"{owner}.{name} is a number ({self.default!r}); got {value!r}.")
        if isinstance(self.default, bool) and not isinstance(value, bool):
            raise ParamError(f"{owner}.{name} is True or False; got {value!r}.")
        if self.choices is not None and value not in self.choices:
            raise ParamError(f"{owner}.{name}={value!r}: it is one of {list(self.choices)}.")
        low, high = self.min, self.max
        if (low is not None and value < low) or (high is not None and value > high):
            raise ParamError(f"{owner}.{name}={value!r} is outside {low} … {high}.")
        return value


def param(
    default: Any,
    min: Any = None,
    max: Any = None,
    step: Any = None,
    choices: Iterable[Any] | None = None,
    help: str = "",
) -> Any:
    """Declare a parameter with its range, choices and meaning."""
    return Param(default, min, max, step, tuple(choices) if choices is not None else None, help)


class Strategy(StrategyBase):
    """What a backtest runs. Subclass it; give it parameters and hooks.

    Class attributes with plain values are parameters: `Strategy(stop="30%")` overrides them, an
    unknown one is refused. Hooks are methods of the names below, or decorated with `at`,
    `every`, `on_expiry_day`.
    """

    _params: ClassVar[dict[str, Any]] = {}

    def __init__(self, **params: Any) -> None:
        known = type(self).params()
        for name, value in known.items():
            # a copy: a list that the strategy changes must not be changed for the next replay
            setattr(self, name, copy(value.default if isinstance(value, Param) else value))
        for name, value in params.items():
            if name not in known:
                raise ParamError(
                    f"{type(self).__name__} has no parameter {name!r}. {did_you_mean(name, known)}"
                )
            declared = known[name]
            if not isinstance(declared, Param):
                declared = Param(declared)
            setattr(self, name, copy(declared.check(type(self).__name__, name, value)))

    @classmethod
    def params(cls) -> dict[str, Any]:
        """Return the parameters by name: their plain defaults, or what `param` declared."""
        found: dict[str, Any] = {}
        for klass in reversed(cls.__mro__):
            if not issubclass(klass, Strategy) or klass is Strategy:
                continue
            for name, value in vars(klass).items():
                plain = isinstance(value, Param | bool | int | float | str | tuple | list | date)
                if not name.startswith("_") and (plain or value is None):
                    found[name] = value
        return found

    @classmethod
    def scheduled(cls) -> list[tuple[str, Schedule]]:
        """Names of the scheduled methods with their schedules, in order of definition."""
        order: dict[str, None] = {}
        for klass in reversed(cls.__mro__):
            order |= dict.fromkeys(vars(klass))
        return [
            (name, schedule)
            for name in order
            for schedule in getattr(getattr(cls, name, None), "_schedules", ())
        ]

    # Hooks: do nothing unless a subclass says otherwise

    def init(self) -> None:
        """Prepare indicators; called once, before the first bar."""

    def on_bar(self) -> None:
        """Act on each closed bar."""

    def on_fill(self, fill: Fill) -> None:
        """Act on a fill; an order placed here works from the next bar on."""

    def on_stop(self, fill: Fill) -> None:
        """Act on the fill of a stop, after `on_fill`."""

    def on_target(self, fill: Fill) -> None:
        """Act on the fill of a target, after `on_fill`."""

    def on_reject(self, order: Order) -> None:
        """Act on an order that the market refused; its `reason` says why."""

    def on_expiry(self, contract: Contract) -> None:
        """Act on a held contract that has just settled."""

    def on_session_start(self) -> None:
        """Act before a session's first bar."""

    def on_session_end(self) -> None:
        """Act when a session's last bar has closed, before settlement."""

    def on_end(self) -> None:
        """Look back once, after the last bar; what is ordered here is cancelled."""
