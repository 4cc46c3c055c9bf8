"""What is marked on the price chart: fills, blocks, and what was done by hand.

All fills while they are few; those that matter, when not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Grid
from bestbt.widgets.format import count, decimal, signed
from bestbt.widgets.lod import Ordinals
from bestbt.widgets.protocol import Floats, Viewable

__all__ = [
    "KINDS",
    "Marked",
    "Selection",
    "Span",
    "block_spans",
    "joined",
    "mark_blocks",
    "mark_fills",
    "mark_hands",
    "ordinals",
    "select",
]

KINDS = (
    "buy entry",
    "sell entry",
    "buy exit",
    "sell exit",
    "stop",
    "target",
    "roll",
    "settlement",
    "block",
    "by hand",
)
_LISTED = 4  # fills told by one marker


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Fills ready to be marked, in time order; arrays of one length.

    `kind` indexes `KINDS`; `below` says on which side of the candles it stands; `weight` which
    of two that share a place is told first; `price` is that of the fill, `symbol` its contract.
    """

    bar: Ordinals
    kind: npt.NDArray[np.int8]
    below: npt.NDArray[np.bool_]
    weight: Floats
    price: Floats
    symbol: tuple[str, ...]
    text: tuple[str, ...]

    def of(self, keep: Callable[[str], bool]) -> Marked:
        """Return those of some contracts; what belongs to none of them (a block) stays."""
        kept = [i for i, symbol in enumerate(self.symbol) if not symbol or keep(symbol)]
        at = np.asarray(kept, dtype=np.intp)
        return Marked(
            self.bar[at],
            self.kind[at],
            self.below[at],
            self.weight[at],
            self.price[at],
            tuple(self.symbol[i] for i in kept),
            tuple(self.text[i] for i in kept),
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Markers of one kind: their bars, side, place in the stack, price, and what they tell."""

    x: Floats
    below: npt.NDArray[np.bool_]
    stack: npt.NDArray[np.int64]  # 0: next to the candles
    price: Floats
    text: list[str]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the chart in which a block was on, from the bar behind which it began."""

    start: float
    end: float
    text: str
    when: str


class _Mark(NamedTuple):
    bar: int
    kind: str
    below: bool
    weight: float
    price: float
    symbol: str
    text: str


def ordinals(grid: Grid, times: pd.DatetimeIndex) -> Ordinals:
    """Return the bar in which each tz-aware time lies; -1 before the first."""
    return np.searchsorted(grid.starts, times.as_unit("ns").asi8, side="right") - 1


def _stood(run: Viewable, times: pd.Series[Any]) -> Ordinals:
    """Return where the run stood at each time: the newest closed bar, at an open the first."""
    grid, at = run.grid, pd.DatetimeIndex(times).as_unit("ns").asi8
    closed = np.searchsorted(grid.ends, at, side="right") - 1
    begun = np.searchsorted(grid.starts, at, side="right") - 1
    opened = (closed < 0) | (grid.session_of[closed] != grid.session_of[begun])
    return np.maximum(np.where(opened, begun, closed), run.first_bar)


def mark_fills(run: Viewable) -> Marked:
    """Prepare what a run has booked so far; a roll's two fills are one."""
    fills, trades = run.fills, run.trades
    bars = ordinals(run.grid, pd.DatetimeIndex(fills["time"])).tolist()
    won: dict[tuple[str, pd.Timestamp], float] = {}  # what each leaving fill booked
    for symbol, time, pnl in zip(trades["symbol"], trades["exit_time"], trades["pnl"], strict=True):
        won[symbol, time] = won.get((symbol, time), 0.0) + float(pnl)
    marks: list[_Mark] = []
    leaving: dict[pd.Timestamp, list[tuple[Any, float]]] = {}  # rolls that wait for their other leg
    rows: Iterable[Any] = fills.itertuples(index=False)
    for bar, f in zip(bars, rows, strict=True):
        pnl = won.get((f.symbol, f.time))
        if f.kind == "roll":
            # Both legs of a roll are of one kind: the one that booked a PnL is the leaving one.
            waiting = leaving.setdefault(f.time, [])
            if pnl is not None:
                waiting.append((f, pnl))
                marks.append(_lone(bar, f, pnl, run.currency))
                continue
            if waiting:
                left, booked = waiting.pop(0)
                at = next(
                    i
                    for i in range(len(marks) - 1, -1, -1)
                    if marks[i].kind == "roll" and marks[i].symbol == left.symbol
                )
                marks[at] = _rolled(marks[at], left, f, booked, run.currency)
                continue
        marks.append(_lone(bar, f, pnl, run.currency))
    return _marked(marks)


def _lone(bar: int, f: Any, pnl: float | None, currency: str) -> _Mark:
    leaves = f.kind != "entry" and (f.kind != "roll" or pnl is not None)
    sold = f.side == "SELL"
    kind = f.kind
    if kind in ("entry", "exit"):
        kind = f"{'sell' if sold else 'buy'} {kind}"
    why = f.kind if f.reason in ("", f.kind) else f"{f.kind} ({f.reason})"
    booked = f", PnL {signed(pnl, currency)}" if leaves and pnl is not None else ""
    text = (
        f"{_when(f.time)}  {'Sell' if sold else 'Buy'} {count(f.qty)} {f.symbol} "
        f"at {decimal(f.price)}, {why}{booked}"
    )
    weight = abs(pnl) if leaves and pnl is not None else 0.0
    return _Mark(bar, kind, not sold, weight, float(f.price), f.symbol, text)


def _rolled(mark: _Mark, left: Any, entered: Any, pnl: float, currency: str) -> _Mark:
    text = (
        f"{_when(left.time)}  Roll {count(left.qty)} {left.symbol} at {decimal(left.price)}\n"
        f"    to {count(entered.qty)} {entered.symbol} at {decimal(entered.price)}"
        f", PnL {signed(pnl, currency)}"
    )
    return mark._replace(text=text, symbol=f"{left.symbol}\n{entered.symbol}")


def _when(time: pd.Timestamp) -> str:
    return f"{time:%d %b %H:%M:%S}" if time.second else f"{time:%d %b %H:%M}"


def mark_blocks(spans: Iterable[Span]) -> Marked:
    """Prepare a mark where each block began."""
    return _marked(
        [
            _Mark(
                int(span.start),
                "block",
                False,
                0.0,
                float("nan"),
                "",
                f"{span.when}  Blocked: {span.text}",
            )
            for span in spans
        ]
    )


def mark_hands(run: Viewable) -> Marked:
    """Prepare a mark at each bar after which something was done by hand."""
    log = run.log
    rows = log[log["kind"] == "intervention"]
    bars = _stood(run, rows["time"])
    return _marked(
        [
            _Mark(
                int(bar),
                "by hand",
                True,
                0.0,
                float("nan"),
                "",
                f"{_when(time)}  By hand: {text}",
            )
            for bar, time, text in zip(bars, rows["time"], rows["text"], strict=True)
        ]
    )


def joined(*parts: Marked) -> Marked:
    """Return several as one, in time order."""
    bar = np.concatenate([p.bar for p in parts])
    order = np.argsort(bar, kind="stable")
    symbols = [s for p in parts for s in p.symbol]
    texts = [t for p in parts for t in p.text]
    return Marked(
        bar[order],
        np.concatenate([p.kind for p in parts])[order],
        np.concatenate([p.below for p in parts])[order],
        np.concatenate([p.weight for p in parts])[order],
        np.concatenate([p.price for p in parts])[order],
        tuple(symbols[i] for i in order),
        tuple(texts[i] for i in order),
    )


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


def block_spans(run: Viewable) -> list[Span]:
    """Read from the log when each block was on; one that is on lasts to the day it ends on."""
    log = run.log
    rows = log[log["kind"].isin(["block", "unblock"])]
    bars = _stood(run, rows["time"])
    spans: dict[int, Span] = {}
    for bar, time, kind, text, values in zip(
        bars, rows["time"], rows["kind"], rows["text"], rows["values"], strict=True
    ):
        number = values.get("number")
        if number is None:  # positions left to their stops: no block of entries
            continue
        if kind == "block":
            end = float(_until(run, values.get("until")))
            spans[number] = Span(float(bar), end, text, _when(time))
        elif number in spans:
            spans[number] = replace(spans[number], end=float(bar))
    return list(spans.values())


def _until(run: Viewable, day: str | None) -> int:
    """Return the bar at which a block is over that is on until a day opens; the last without."""
    session = None if day is None else run.grid.session_from(date.fromisoformat(day))
    if session is None or session >= len(run.grid.sessions):
        return run.last_bar
    return run.grid.firsts[session]


def select(
    marked: Marked, lo: float, hi: float, budget: int, slots: int
) -> tuple[list[Selection], int, int]:
    """Choose the markers of ``lo … hi``.

    Fills of one kind and side that share a slot (a few pixels) become one marker, which stands
    where the most important of them is and tells the first of them by importance. Slots widen
    until no more than *budget* markers are left. Those that share a slot and a side and are of
    several kinds are stacked.

    Parameters
    ----------
    slots
        How many markers fit side by side.

    Returns
    -------
    list of Selection, int, int
        One per kind, how many markers, and of how many fills.
    """
    seen = np.flatnonzero((marked.bar >= lo) & (marked.bar <= hi))
    width = max(1, int((hi - lo) / slots))
    n = len(KINDS)
    while True:
        place = marked.bar[seen] // width * 2 + marked.below[seen]
        groups, group = np.unique(place * n + marked.kind[seen], return_inverse=True)
        if len(groups) <= budget or width > hi - lo:
            break
        width *= 2
    order = np.lexsort((seen, -marked.weight[seen], group))
    cuts = np.searchsorted(group[order], np.arange(len(groups)))
    chosen: list[list[tuple[int, int, str]]] = [[] for _ in KINDS]
    stacked: dict[int, int] = {}  # how many stand at a place already
    members_of = np.split(seen[order], cuts[1:]) if len(groups) else []
    for key, members in zip(groups.tolist(), members_of, strict=True):
        lines = [marked.text[i] for i in members[:_LISTED]]
        if len(members) > _LISTED:
            lines.append(f"… and {len(members) - _LISTED} more")
        at = int(members[0])
        above = stacked.get(key // n, 0)
        stacked[key // n] = above + 1
        chosen[key % n].append((at, above, "\n".join(lines)))
    picked = [_selection(marked, one) for one in chosen]
    return picked, len(groups), len(seen)


def _selection(marked: Marked, chosen: list[tuple[int, int, str]]) -> Selection:
    at = np.asarray([i for i, _, _ in chosen], dtype=np.intp)
    return Selection(
        marked.bar[at].astype(np.float64),
        marked.below[at],
        np.asarray([above for _, above, _ in chosen], dtype=np.int64),
        marked.price[at],
        [text for *_, text in chosen],
    )
