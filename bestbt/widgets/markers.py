"""What is marked on the price chart: blocks, and fills.

All fills while they are few; those that matter, when not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
    "mark_fills",
    "ordinals",
    "select",
]

KINDS = ("buy entry", "sell entry", "buy exit", "sell exit")
_LISTED = 4  # fills told by one marker


@dataclass(frozen=True, slots=True)
class Marked:
    """Fills ready to be marked, in time order; arrays of one length.

    `kind` indexes `KINDS`; `weight` says which of two that share a place is told first.
    """

    bar: Ordinals
    kind: npt.NDArray[np.int8]
    weight: Floats
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Markers of one kind: the bars they stand at and what they tell."""

    x: Floats
    text: list[str]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the chart in which a block was on, from the bar behind which it began."""

    start: float
    end: float
    text: str


def ordinals(grid: Grid, times: pd.DatetimeIndex) -> Ordinals:
    """Return the bar in which each tz-aware time lies; -1 before the first."""
    return np.searchsorted(grid.starts, times.as_unit("ns").asi8, side="right") - 1


def mark_fills(run: Viewable) -> Marked:
    """Prepare the fills of a run that has ended."""
    fills, trades = run.fills, run.trades
    bars = ordinals(run.grid, pd.DatetimeIndex(fills["time"]))
    won: dict[tuple[str, pd.Timestamp], float] = {}  # what each leaving fill booked
    for symbol, time, pnl in zip(trades["symbol"], trades["exit_time"], trades["pnl"], strict=True):
        won[symbol, time] = won.get((symbol, time), 0.0) + float(pnl)
    kinds, weights, texts = [], [], []
    rows: Iterable[Any] = fills.itertuples(index=False)
    for f in rows:
        pnl = won.get((f.symbol, f.time))
        # Both legs of a roll are of one kind: the one that booked a PnL is the leaving one.
        leaves = f.kind != "entry" and (f.kind != "roll" or pnl is not None)
        kinds.append((f.side == "SELL") + 2 * leaves)
        weights.append(abs(pnl) if leaves and pnl is not None else 0.0)
        side = "Sell" if f.side == "SELL" else "Buy"
        why = f.kind if f.reason in ("", f.kind) else f"{f.kind} ({f.reason})"
        booked = f", PnL {signed(pnl, run.currency)}" if leaves and pnl is not None else ""
        seconds = ":%S" if f.time.second else ""
        texts.append(
            f"{f.time:%d %b %H:%M{seconds}}  {side} {count(f.qty)} {f.symbol} "
            f"at {decimal(f.price)}, {why}{booked}"
        )
    return Marked(bars, np.asarray(kinds, np.int8), np.asarray(weights, np.float64), tuple(texts))


def block_spans(run: Viewable) -> list[Span]:
    """Read from the log when each block was on; one that never ended lasts to the end."""
    log = run.log
    rows = log[log["kind"].isin(["block", "unblock"])]
    bars = ordinals(run.grid, pd.DatetimeIndex(rows["time"]))
    begun: dict[int, tuple[float, str]] = {}
    spans: dict[int, Span] = {}
    for bar, kind, text, values in zip(
        bars, rows["kind"], rows["text"], rows["values"], strict=True
    ):
        number = values.get("number")
        if number is None:  # positions left to their stops: no block of entries
            continue
        if kind == "block":
            begun[number] = float(bar), text
            spans[number] = Span(float(bar), float(run.last_bar), text)
        elif number in begun:
            start, said = begun[number]
            spans[number] = Span(start, float(bar), said)
    return list(spans.values())


def select(
    marked: Marked, lo: float, hi: float, budget: int, slots: int
) -> tuple[list[Selection], int, int]:
    """Choose the markers of ``lo … hi``.

    Fills of one kind that share a slot (a few pixels) become one marker, which stands where
    the most important of them is and tells the first of them by importance. Slots widen until
    no more than *budget* markers are left.

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
    while True:
        keys = marked.bar[seen] // width * len(KINDS) + marked.kind[seen]
        groups, group = np.unique(keys, return_inverse=True)
        if len(groups) <= budget or width > hi - lo:
            break
        width *= 2
    order = np.lexsort((seen, -marked.weight[seen], group))
    cuts = np.searchsorted(group[order], np.arange(len(groups)))
    chosen: list[list[tuple[float, str]]] = [[] for _ in KINDS]
    for members in np.split(seen[order], cuts[1:]) if len(groups) else []:
        lines = [marked.text[i] for i in members[:_LISTED]]
        if len(members) > _LISTED:
            lines.append(f"… and {len(members) - _LISTED} more")
        at = int(members[0])
        chosen[int(marked.kind[at])].append((float(marked.bar[at]), "\n".join(lines)))
    picked = [
        Selection(np.asarray([x for x, _ in one], np.float64), [text for _, text in one])
        for one in chosen
    ]
    return picked, len(groups), len(seen)
