"""Which markers of a chart are drawn: all while they are few, those that matter when not.

What they are made of is in `marks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Grid
from bestbt.widgets.lod import Ordinals
from bestbt.widgets.protocol import Floats

__all__ = [
    "KINDS",
    "Marked",
    "Selection",
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


def ordinals(grid: Grid, times: pd.DatetimeIndex) -> Ordinals:
    """Return the bar in which each tz-aware time lies; -1 before the first."""
    return np.searchsorted(grid.starts, times.as_unit("ns").asi8, side="right") - 1


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
