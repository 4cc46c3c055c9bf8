"""What is marked on the price chart: fills, blocks, and what was done by hand."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from bestbt.engine.desk import LogEntry
from bestbt.units import Ns, Ordinal, Price
from bestbt.widgets.format import count, decimal, signed
from bestbt.widgets.markers import KINDS, Marked
from bestbt.widgets.protocol import Traded, Viewable

__all__ = ["Marks", "Span"]


class Span(NamedTuple):
    """A stretch of the chart in which a block was on, from the bar behind which it began."""

    start: float
    end: float
    text: str
    when: str


class _Mark(NamedTuple):
    bar: Ordinal
    kind: str
    below: bool
    weight: float
    price: Price
    symbol: str
    text: str


class Marks:
    """The marks of a run, which grow with what it books.

    Attributes
    ----------
    all : Marked
        In time order.
    spans : list of Span
        When each block was on; one that is on lasts to the day it ends on.
    """

    def __init__(self, run: Viewable) -> None:
        self._run = run
        self.forget()

    def forget(self) -> None:
        """Begin anew at the next look."""
        self._booked: tuple[object, int, int] = (None, 0, 0)
        self._fills: list[_Mark] = []
        self._hands: list[_Mark] = []
        self._leaving: dict[Ordinal, list[tuple[int, Traded]]] = {}  # rolls, and where they stand
        self._blocks: dict[int, Span] = {}
        self.spans: list[Span] = []
        self.all = _marked([])

    @property
    def fresh(self) -> bool:
        """Whether nothing has been booked since the last look; cheap."""
        return self._booked == self._run.booked

    @property
    def rewound(self) -> bool:
        """Whether they are those of a book that is no longer kept."""
        return self._booked[0] is not self._run.booked[0]

    def look(self) -> None:
        """Mark what has been booked since the last look; all of it in the book of a rewound run."""
        run = self._run
        booked = run.booked
        if booked[0] is not self._booked[0]:
            self.forget()
        _, fills, lines = self._booked
        for fill in run.fills_since(fills)[: booked[1] - fills]:
            self._fill(fill)
        for line in run.log_since(lines)[: booked[2] - lines]:
            self._line(line)
        self._booked = booked
        self.spans = list(self._blocks.values())
        blocks = (
            _Mark(int(s.start), "block", False, 0.0, np.nan, "", f"{s.when}  Blocked: {s.text}")
            for s in self.spans
        )
        marks = [*self._fills, *blocks, *self._hands]
        self.all = _marked(sorted(marks, key=lambda mark: mark.bar))

    def _fill(self, fill: Traded) -> None:
        """Mark a fill; the two of a roll are one mark."""
        if fill.kind == "roll":
            # Both legs of a roll are of one kind: the one that booked a PnL is the leaving one.
            waiting = self._leaving.setdefault(fill.bar, [])
            if fill.pnl is not None:
                waiting.append((len(self._fills), fill))
            elif waiting:
                at, left = waiting.pop(0)
                self._fills[at] = self._rolled(self._fills[at], left, fill)
                return
        self._fills.append(self._lone(fill))

    def _lone(self, f: Traded) -> _Mark:
        pnl = f.pnl if f.kind != "entry" else None
        kind = f.kind
        if kind in ("entry", "exit"):
            kind = f"{'sell' if f.sold else 'buy'} {kind}"
        why = f.kind if f.reason in ("", f.kind) else f"{f.kind} ({f.reason})"
        booked = "" if pnl is None else f", PnL {signed(pnl, self._run.currency)}"
        text = (
            f"{self._began(f.bar)}  {'Sell' if f.sold else 'Buy'} {count(f.qty)} {f.symbol} "
            f"at {decimal(f.price)}, {why}{booked}"
        )
        return _Mark(f.bar, kind, not f.sold, abs(pnl or 0.0), f.price, f.symbol, text)

    def _rolled(self, mark: _Mark, left: Traded, entered: Traded) -> _Mark:
        text = (
            f"{self._began(left.bar)}  Roll {count(left.qty)} {left.symbol} at "
            f"{decimal(left.price)}\n"
            f"    to {count(entered.qty)} {entered.symbol} at {decimal(entered.price)}"
            f", PnL {signed(left.pnl or 0.0, self._run.currency)}"
        )
        return mark._replace(text=text, symbol=f"{left.symbol}\n{entered.symbol}")

    def _line(self, line: LogEntry) -> None:
        """Mark what a line of the log tells of a block, or of a hand."""
        if line.kind == "intervention":
            text = f"{self._when(line.time)}  By hand: {line.text}"
            stood = self._stood(line.time)
            self._hands.append(_Mark(stood, "by hand", True, 0.0, np.nan, "", text))
        elif line.kind in ("block", "unblock"):
            number = line.values.get("number")
            if number is None:  # positions left to their stops: no block of entries
                return
            at = float(self._stood(line.time))
            if line.kind == "block":
                end = float(self._until(line.values.get("until")))
                self._blocks[number] = Span(at, end, line.text, self._when(line.time))
            elif number in self._blocks:
                self._blocks[number] = self._blocks[number]._replace(end=at)

    def _stood(self, time: Ns) -> Ordinal:
        """Return where the run stood at a time: the newest closed bar, at an open the first."""
        grid = self._run.grid
        closed = int(np.searchsorted(grid.ends, time, side="right")) - 1
        begun = int(np.searchsorted(grid.starts, time, side="right")) - 1
        opened = closed < 0 or grid.session(closed) != grid.session(begun)
        return max(begun if opened else closed, self._run.first_bar)

    def _until(self, day: str | None) -> Ordinal:
        """Return the bar at which a block ends that is on until a day opens, else the last."""
        run = self._run
        session = None if day is None else run.grid.session_from(date.fromisoformat(day))
        if session is None or session >= len(run.grid.sessions):
            return run.last_bar
        return run.grid.firsts[session]

    def _began(self, bar: Ordinal) -> str:
        return _told(self._run.grid.local(bar))

    def _when(self, time: Ns) -> str:
        return _told(self._run.grid.to_local(time))


def _told(time: datetime) -> str:
    return f"{time:%d %b %H:%M:%S}" if time.second else f"{time:%d %b %H:%M}"


def _marked(marks: list[_Mark]) -> Marked:
    return Marked(
        np.asarray([m.bar for m in marks], dtype=np.int64),
        np.asarray([KINDS.index(m.kind) for m in marks], dtype=np.int8),
        np.asarray([m.below for m in marks], dtype=bool),
        np.asarray([m.weight for m in marks], dtype=np.float64),
        np.asarray([m.price for m in marks], dtype=np.float64),
        tuple(m.symbol for m in marks),
        tuple(m.text for m in marks),
    )
