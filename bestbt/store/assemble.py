"""From stored segments to the price columns of a run, without a detour over their live bars.

A segment is dense already: where its sessions lie on the run's grid in one piece, its blobs are
unpacked straight into the columns. What lies between the pieces repeats the last close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.store.segments import DTYPES, OPTIONAL, Packed
from bestbt.units import MINUTE, POINTS, Ordinal

__all__ = ["Piece", "Places", "assemble"]

Piece = tuple[Packed, int, int, Ordinal]  # a segment, its bars from and to, and their place


def assemble(pieces: Sequence[Piece], end: Ordinal, scale: int) -> PriceColumns | None:
    """Return the prices of one contract from its first live bar on the grid up to *end*.

    Parameters
    ----------
    pieces
        Of all its segments in order, as `Places` found them.
    end
        One past the last bar that has a price.
    scale
        Raw price of one unit of currency.

    Returns
    -------
    PriceColumns or None
        None when no live bar lies on the grid before *end*.
    """
    left = [(p, a, min(b, a + end - at), at) for p, a, b, at in pieces if at < end]
    while left:  # columns begin with a live bar
        segment, a, b, at = left[0]
        ahead = segment.live[a:b]
        dead = int(ahead.argmax())
        if ahead[dead]:
            left[0] = (segment, a + dead, b, at + dead)
            names = [name for name in OPTIONAL if any(name in p.blobs for p, *_ in pieces)]
            return _filled(left, names, end, scale)
        del left[0]
    return None


class Places:
    """Where segments lie on a grid; those of a month mostly have the same bars, looked up once."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._known: dict[bytes, list[tuple[int, int, Ordinal]] | None] = {}

    def of(self, segment: Packed) -> list[Piece] | None:
        """Return the pieces in which a segment lies on the grid; None: its spans are cut by it.

        Nor are there pieces of seconds: thousands of short runs are placed at once, not each.
        """
        if segment.step != self._grid.step or segment.step < MINUTE:
            return None
        key = segment.spans.tobytes()
        if key not in self._known:
            self._known[key] = _places(segment.spans, self._grid)
        found = self._known[key]
        return None if found is None else [(segment, *place) for place in found]


def _places(spans: npt.NDArray[np.int64], grid: Grid) -> list[tuple[int, int, Ordinal]] | None:
    heads, counts = spans[:, 0], spans[:, 1]
    tails = heads + (counts - 1) * grid.step
    at = np.searchsorted(grid.starts, heads)
    last = at + counts - 1
    inside = np.searchsorted(grid.starts, tails, side="right") > at  # some bar of it is there
    fits = last < grid.n
    fits[fits] = (grid.starts[at[fits]] == heads[fits]) & (grid.starts[last[fits]] == tails[fits])
    if not bool((fits | ~inside).all()):
        return None
    offsets = np.cumsum(counts) - counts
    apart = np.diff(at - offsets) != 0  # on the grid
    cuts = np.flatnonzero(apart | ~inside[1:] | ~inside[:-1]) + 1
    found = []
    for i, j in zip([0, *cuts.tolist()], [*cuts.tolist(), len(at)], strict=True):
        if inside[i]:
            found.append((int(offsets[i]), int(offsets[j - 1] + counts[j - 1]), int(at[i])))
    return found


def _filled(
    pieces: Sequence[Piece], names: Sequence[str], end: Ordinal, scale: int
) -> PriceColumns:
    """Copy pieces to their places; the first begins with a live bar."""
    first = pieces[0][3]
    n = end - first
    live = np.zeros(n, dtype=np.bool_)
    made: dict[str, npt.NDArray[Any]] = {"points": np.empty(POINTS * n, dtype=np.int32)}
    for name in names:
        made[name] = np.zeros(n, dtype=DTYPES[name])
    done = 0  # bars that are filled
    for segment, a, b, ordinal in pieces:
        at = ordinal - first
        _repeat(made, done, at)
        done = at + b - a
        live[at:done] = segment.live[a:b]
        for name, column in made.items():
            if name in segment.blobs:
                width = POINTS if name == "points" else 1
                place = column[width * at : width * done]
                if b - a == segment.n:
                    segment.unpack_into(place, name)
                elif (dense := segment.column(name)) is not None:
                    place[:] = dense[width * a : width * b]
        if a and at and not segment.live[a]:  # it repeats a bar that the grid does not have
            ahead = segment.live[a:b]
            _repeat(made, at, at + (int(ahead.argmax()) if ahead.any() else b - a))
    _repeat(made, done, n)
    rest = {name: made.get(name) for name in OPTIONAL}
    return PriceColumns(first, made["points"], live, scale, **rest)


def _repeat(made: dict[str, npt.NDArray[Any]], done: int, until: int) -> None:
    """Repeat the last close and open interest over bars that no piece has."""
    if 0 < done < until:
        points = made["points"]
        points[POINTS * done : POINTS * until] = points[POINTS * done - 1]
        if "oi" in made:
            made["oi"][done:until] = made["oi"][done - 1]
