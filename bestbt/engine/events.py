"""Events: what a run can be played to, and what can make it stand still.

An event is one of `EVENTS`; or a line of the strategy (`line 12`), as tracebacks count it; or a
condition: a Python expression over the names of the strategy (`today_pnl < -2000`,
`spot.price > 22_000 and not blocked`) and `pnl`, the run's own. A condition is read after each bar
and happens in the bar in which it becomes true.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from bestbt.engine.feeder import PriceFeeder
from bestbt.engine.lines import LineWatch
from bestbt.engine.strategy import Strategy
from bestbt.errors import BestbtError, ContractNotFound, UsageError, did_you_mean
from bestbt.units import money

__all__ = ["EVENTS", "check_event", "watch"]

EVENTS = ("fill", "order", "stop", "roll", "block", "expiry", "session")
"""A trade; an order placed; a stop that filled; a roll that filled; a block that begins; the close
of a day on which options or futures of the first symbol expire; the close of a day."""

_LINE = re.compile(r"line\s+(\d+)")


class Watch(Protocol):
    """Says, asked after each bar, whether its event has happened in it."""

    def __call__(self) -> bool: ...

    def close(self) -> None:
        """Stop watching."""


def check_event(event: Any, strategy: Strategy) -> str:
    """Return an event as it was given.

    Raises
    ------
    UsageError
        For what is neither an event nor an expression over the names of the strategy.

    Examples
    --------
    >>> check_event("today_pnl < -2000", Strategy())
    'today_pnl < -2000'
    >>> check_event("todays_pnl < -2000", Strategy())
    Traceback (most recent call last):
    bestbt.errors.UsageError: 'todays_pnl < -2000': the strategy has no 'todays_pnl'. Did...
    """
    if not isinstance(event, str):
        raise UsageError(
            f"{event!r} is no event: give one of {', '.join(EVENTS)}, or a condition as text, "
            "such as 'today_pnl < -2000'."
        )
    if line := _LINE.fullmatch(event):
        LineWatch({int(line[1])}, strategy).close()
    elif event not in EVENTS:
        read = [n for n in ast.walk(_parsed(event)) if isinstance(n, ast.Name)]
        own = {n.id for n in read if not isinstance(n.ctx, ast.Load)} | {"self", "pnl"}
        known = own | {n for n in dir(strategy) if not n.startswith("_")} | set(dir(builtins))
        for name in (n.id for n in read):
            if name not in known:
                if name == event:
                    raise UsageError(f"{event!r} is no event. {did_you_mean(event, EVENTS)}")
                names = known - set(dir(builtins))
                near = did_you_mean(name, names)
                hint = near if near.startswith("Did") else ""
                raise UsageError(f"{event!r}: the strategy has no {name!r}. {hint}".rstrip())
    return event


def watch(events: Sequence[str], feeder: PriceFeeder) -> dict[str, Watch]:
    """Return what says of each event, asked after each bar from now on, whether it has happened."""
    found: dict[str, Watch] = {}
    numbers = {event: int(line[1]) for event in events if (line := _LINE.fullmatch(event))}
    for event in events:
        if event in EVENTS:
            found[event] = _Happening(event, feeder)
        elif event not in numbers:
            found[event] = _Condition(event, feeder)
    if numbers:  # last: it is the only one that must be closed
        lines = LineWatch(set(numbers.values()), feeder.strategy)
        found |= {event: _Line(lines, number) for event, number in numbers.items()}
    return found


class _Line:
    """A line of the strategy; all that are asked for share one watch."""

    def __init__(self, lines: LineWatch, number: int) -> None:
        self._lines, self._number = lines, number

    def __call__(self) -> bool:
        return self._lines.took(self._number)

    def close(self) -> None:
        """Watch no longer."""
        self._lines.close()


class _Happening:
    """One of `EVENTS`."""

    def __init__(self, event: str, feeder: PriceFeeder) -> None:
        self._expiry, self._feeder = event == "expiry", feeder
        desk = feeder.desk
        records: dict[str, Sequence[Any]] = {
            "order": desk.orders,
            "session": feeder.closed,
            "block": desk.log,
        }
        self._records = records.get(event, desk.portfolio.fills)
        # Of a fill, or of a line of the log.
        self._kind = event if event in ("stop", "roll", "block") else None
        self._seen = len(self._records)

    def __call__(self) -> bool:
        if self._expiry:
            return _expires(self._feeder)
        new = self._records[self._seen :]
        self._seen += len(new)
        return any(self._kind is None or one.kind == self._kind for one in new)

    def close(self) -> None:
        """It only looks when it is asked."""


def _expires(feeder: PriceFeeder) -> bool:
    desk = feeder.desk
    if desk.clock.bar != desk.grid.lasts[desk.session]:
        return False
    return desk.is_expiry(desk.today)


class _Condition:
    """A condition that was false and has become true."""

    def __init__(self, text: str, feeder: PriceFeeder) -> None:
        self._text = text
        self._code = compile(_parsed(text), "<condition>", "eval")
        self._feeder = feeder
        self._names = _Names(feeder)
        self._was = feeder.desk.clock.bar >= feeder.desk.start and self._holds()

    def __call__(self) -> bool:
        was, self._was = self._was, self._holds()
        return self._was and not was

    def close(self) -> None:
        """It only looks when it is asked."""

    def _holds(self) -> bool:
        desk = self._feeder.desk
        try:
            return bool(eval(self._code, {}, self._names))
        except ContractNotFound:
            return False  # what it names is not listed yet
        except (BestbtError, ArithmeticError, LookupError, NameError, TypeError, ValueError) as e:
            at = desk.grid.to_local(desk.now)
            raise UsageError(f"The condition {self._text!r} at {at:%Y-%m-%d %H:%M}: {e}") from None


class _Names(Mapping[str, Any]):
    """What a condition may name: what the strategy has, `self`, and `pnl`."""

    def __init__(self, feeder: PriceFeeder) -> None:
        self._feeder = feeder

    def __getitem__(self, name: str) -> Any:
        if name == "self":
            return self._feeder.strategy
        if name == "pnl":
            portfolio = self._feeder.desk.portfolio
            return money(portfolio.equity - portfolio.capital)
        try:
            return getattr(self._feeder.strategy, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(dir(self._feeder.strategy))

    def __len__(self) -> int:
        return len(dir(self._feeder.strategy))


def _parsed(text: str) -> ast.Expression:
    try:
        return ast.parse(text.strip(), "<condition>", "eval")
    except (SyntaxError, ValueError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(
            f"{text!r} is no event ({', '.join(EVENTS)}) and cannot be read as a condition: {why}."
        ) from None
