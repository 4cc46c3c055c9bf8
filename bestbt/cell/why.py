"""Why: what a strategy did at one bar and from which values, as data, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape

from bestbt.units import Ordinal

__all__ = ["Call", "Change", "Condition", "Line", "Note", "Placed", "Value", "Why"]


@dataclass(frozen=True)
class Value:
    """A name (or attribute, or item) as it is written, and what it was."""

    name: str
    text: str


@dataclass(frozen=True)
class Condition:
    """A condition as it is written and with its values, and how it came out.

    Attributes
    ----------
    text, shown
        `self.fast > self.slow`, and `21,512.40 > 21,520.10`. What could not be evaluated without
        side effects is as written in both.
    truth
        How it came out, the last time; None where it was not reached or cannot be told.
    reached
        False where an `and` or `or` was decided before it.
    trues
        How often it was true at this bar, in all passes of its line.
    parts
        Of an `and` or `or`.
    """

    text: str
    shown: str
    truth: bool | None
    reached: bool = True
    trues: int = 0
    parts: tuple[Condition, ...] = ()

    @property
    def verdict(self) -> str:
        """One of true, false, not reached, not known."""
        if not self.reached:
            return "not reached"
        return "not known" if self.truth is None else "true" if self.truth else "false"

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Condition]]:
        """Itself and its parts, each with its depth."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)


@dataclass(frozen=True)
class Line:
    """A line of the source beside what it did; values are those of its last pass.

    Attributes
    ----------
    number, text
        As beside the cell (or in the file).
    count
        How often it ran; 0: it did not; None: nothing of it runs (blank, comment, `else:`).
    values
        What is named on it, as it was just before it ran.
    assigned
        What it gave a new value.
    conditions
        Its conditions; the parts of an `and` are in it.
    error
        What it raised; empty when nothing.
    """

    number: int
    text: str
    count: int | None = None
    values: tuple[Value, ...] = ()
    assigned: tuple[Value, ...] = ()
    conditions: tuple[Condition, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Call:
    """A hook that ran, or a function of the author's that it called.

    Attributes
    ----------
    name, count
        Of a function that a hook called several times the count is theirs together, and values
        are those of the last.
    lines
        All lines of the function, those that did not run too.
    locals
        Its names at its end.
    returned
        What it returned; empty for nothing.
    error
        What it raised; empty when nothing.
    calls
        Functions of the author's called from the hook, in the order of their first call.
    """

    name: str
    count: int
    lines: tuple[Line, ...]
    locals: tuple[Value, ...] = ()
    returned: str = ""
    error: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def false(self) -> tuple[tuple[int, Condition], ...]:
        """Conditions that were false, with their lines; parts that decided it come instead."""
        found: list[tuple[int, Condition]] = []
        for call in (self, *self.calls):
            for line in call.lines:
                for whole in line.conditions:
                    wrong = [c for _, c in whole.walk() if c.truth is False and not c.parts]
                    if whole.truth is False:
                        found += [(line.number, c) for c in wrong or [whole]]
        return tuple(found)


@dataclass(frozen=True)
class Change:
    """An attribute of the strategy before the bar and after it; empty where it was not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Placed:
    """An order placed at the bar, and how it stood at its end."""

    id: int
    text: str
    status: str
    reason: str


@dataclass(frozen=True)
class Note:
    """A line of the run's log."""

    kind: str
    text: str


@dataclass(frozen=True)
class Why:
    """What happened at one bar of a run, and why.

    Attributes
    ----------
    title
        Of the run.
    bar
        Its number; before the first there is none: −1 with `time` None.
    time
        Exchange local time at which the bar has closed: when its hooks run.
    hooks
        Those that ran at it, in order.
    changed
        Attributes of the strategy that the bar has changed; those of `self.day` as `day.name`.
    fills, orders, log
        What traded, was placed and was noted at the bar.
    error
        What the strategy raised; empty when nothing.
    next
        Where no hook ran: when one will, if the schedule knows.
    remarks
        What to know of this trace itself.
    """

    title: str
    bar: Ordinal
    time: datetime | None
    hooks: tuple[Call, ...]
    changed: tuple[Change, ...]
    fills: tuple[str, ...]
    orders: tuple[Placed, ...]
    log: tuple[Note, ...]
    error: str = ""
    next: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[str, ...]:
        """What was refused at the bar, with the reason."""
        return tuple(note.text for note in self.log if note.kind == "refused")

    @property
    def false(self) -> tuple[tuple[int, Condition], ...]:
        """Conditions that were false at the bar, with the numbers of their lines."""
        return tuple(each for hook in self.hooks for each in hook.false)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    # As text

    def to_text(self) -> str:
        """Return it as a page of text; the same for the same bar, everywhere."""
        out = [self._head()]
        for hook in self.hooks:
            out += ["", *_call_text(hook)]
        if not self.hooks:
            out += ["", self._nothing()]
        for label, lines in self._lists():
            out += ["", label, *(f"  {line}" for line in lines)]
        return "\n".join(out)

    def _head(self) -> str:
        if self.time is None:
            return f"{self.title} · before its first bar"
        seconds = ":%S" if self.time.second else ""
        return f"{self.title} · {self.time:%Y-%m-%d %H:%M{seconds}} · bar {self.bar}"

    def _nothing(self) -> str:
        return f"No hook ran at this bar.{f' Next: {self.next}.' if self.next else ''}"

    def _lists(self) -> list[tuple[str, list[str]]]:
        changed = [f"self.{c.name}  {c.before or '–'} → {c.after or '–'}" for c in self.changed]
        shown = [
            ("Changed", changed),
            ("Fills", list(self.fills)),
            ("Orders", [_placed(order) for order in self.orders]),
            ("Log", [f"{note.kind}: {note.text}" for note in self.log]),
            ("Raised", [self.error] if self.error else []),
            ("Remarks", list(self.remarks)),
        ]
        return [(label, lines) for label, lines in shown if lines]

    # As HTML

    def to_html(self) -> str:
        """Return it as HTML that takes its colours from JupyterLab's theme, light or dark."""
        parts = [f'<div class="bt-why-head" style="{_HEAD}">{escape(self._head())}</div>']
        parts += [_call_html(hook) for hook in self.hooks]
        if not self.hooks:
            parts.append(f"<div>{escape(self._nothing())}</div>")
        for label, lines in self._lists():
            colour = f"color:{_BAD}" if label == "Raised" else ""
            items = "".join(f'<div style="{colour}">{escape(line)}</div>' for line in lines)
            parts.append(f'<div style="{_LABEL}">{label}</div>{items}')
        return f'<div class="bt-why" style="{_BOX}">{"".join(parts)}</div>'


def _placed(order: Placed) -> str:
    return f"{order.text}: {order.status}{f' ({order.reason})' if order.reason else ''}"


# Rows of a call: what both forms show, once


def _beside(line: Line) -> list[tuple[str, str]]:
    """What stands beside a line: kind and text."""
    rows: list[tuple[str, str]] = []
    for whole in line.conditions:
        for depth, one in whole.walk():
            result = one.verdict
            if line.count and line.count > 1 and one.truth is not None:
                result += f", {one.trues} of {line.count} times true"
            # what an `and` is made of is told part by part
            plain = one.parts or one.shown in (one.text, "True", "False")
            rows.append(
                (
                    one.verdict,
                    f"{'  ' * depth}{one.text}{'' if plain else f'  →  {one.shown}'}  {result}",
                )
            )
    leaves = [c for whole in line.conditions for _, c in whole.walk() if not c.parts]
    told = [leaf.text for leaf in leaves if leaf.shown != leaf.text or not leaf.reached]
    untold = [v for v in line.values if not any(v.name in text for text in told)]
    rows += [("value", f"{value.name} is {value.text}") for value in untold]
    rows += [("value", f"{value.name} = {value.text}") for value in line.assigned]
    if line.error:
        rows.append(("error", line.error))
    return rows


def _title(call: Call) -> str:
    return f"{call.name}()" + (f", {call.count} calls" if call.count > 1 else "")


def _tail(call: Call) -> list[tuple[str, str]]:
    rows = []
    if call.locals:
        rows.append(("at its end", ", ".join(f"{v.name} = {v.text}" for v in call.locals)))
    if call.returned:
        rows.append(("returned", call.returned))
    if call.error:
        rows.append(("raised", call.error))
    return rows


def _times(line: Line) -> str:
    return "" if line.count is None or line.count == 1 else f"×{line.count}" if line.count else "·"


def _call_text(call: Call) -> list[str]:
    out = [_title(call)]
    width = len(str(call.lines[-1].number)) if call.lines else 1
    for line in call.lines:
        out.append(f"{_times(line):>4} {line.number:>{width}} | {line.text}".rstrip())
        indent = " " * (len(line.text) - len(line.text.lstrip()) + 4)
        out += [f"{'':>4} {'':>{width}} |{indent} {text}" for _, text in _beside(line)]
    out += [f"  {label}: {text}" for label, text in _tail(call)]
    for inner in call.calls:
        out += ["", *_call_text(inner)]
    return out


_BOX = (
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);"
    "line-height:1.4;color:var(--jp-ui-font-color1,inherit);background:transparent;overflow-x:auto"
)
_TABLE = "border-collapse:collapse;table-layout:auto;font:inherit;color:inherit;margin:2px 0"
_HEAD = "font-weight:bold;margin-bottom:4px"
_LABEL = "margin-top:6px;color:var(--jp-ui-font-color2,inherit)"
_BAD = "var(--jp-error-color1,#d32f2f)"
_GOOD = "var(--jp-success-color1,#388e3c)"
_FAINT = "var(--jp-ui-font-color3,#9e9e9e)"
_COLOUR = {"true": _GOOD, "false": _BAD, "error": _BAD}
_CELL = "padding:0 8px;text-align:left;vertical-align:top;white-space:pre;border:0"


def _call_html(call: Call) -> str:
    rows = "".join(_line_html(line) for line in call.lines)
    tail = "".join(
        f'<div><span style="color:var(--jp-ui-font-color2,inherit)">{label}:</span> '
        f"{escape(text)}</div>"
        for label, text in _tail(call)
    )
    return (
        f'<div class="bt-why-call"><div style="{_LABEL}">{escape(_title(call))}</div>'
        f'<table style="{_TABLE}">{rows}</table>{tail}'
        f"{''.join(_call_html(inner) for inner in call.calls)}</div>"
    )


def _line_html(line: Line) -> str:
    faint = f"color:{_FAINT};" if line.count == 0 else ""
    beside = "".join(
        f'<div style="color:{_COLOUR.get(kind, "inherit")}">{escape(text)}</div>'
        for kind, text in _beside(line)
    )
    ran = "bt-ran" if line.count else "bt-not-run" if line.count == 0 else "bt-no-code"
    return (
        f'<tr class="{ran}" style="background:transparent">'
        f'<td style="{_CELL};text-align:right;color:{_FAINT}">{_times(line)}</td>'
        f'<td style="{_CELL};text-align:right;color:{_FAINT}">{line.number}</td>'
        f'<td style="{_CELL};{faint}">{escape(line.text)}</td>'
        f'<td style="{_CELL}">{beside}</td></tr>'
    )
