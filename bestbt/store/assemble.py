"""From stored segments to the price columns of a run, without a detour over their live bars.

    segments of contracts ──places──> pieces ──assemble──> columns, in one Room

A segment is dense already: where its sessions lie on the run's grid in one piece, its blobs are
unpacked straight into the columns. What lies between the pieces repeats the last close. Volume
and open interest stay packed until they are first read, as most strategies never do.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.store.segments import DTYPES, Packed, unpack_blob
from bestbt.units import MINUTE, POINTS, Ordinal

__all__ = ["Piece", "Room", "assemble", "places"]


class Piece(NamedTuple):
    """Some bars of a segment that follow each other on the grid too."""

    segment: Packed
    start: int  # of the segment's bars
    stop: int
    at: Ordinal


class Room:
    """One piece of memory for the prices of contracts that are read together.

    An array for each would be small, and what is small comes from the system page by page of
    4 kB, which takes longer than to unpack prices into it.

    Parameters
    ----------
    bars
        Of all contracts together, at most.
    """

    def __init__(self, bars: int) -> None:
        self._points = np.empty(POINTS * bars, dtype=np.int32)
        self._live = np.zeros(bars, dtype=np.bool_)
        self._taken = 0

    def take(self, bars: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Return arrays for the price points and the liveness of one contract, all stale yet."""
        a, b = self._taken, self._taken + bars
        self._taken = b
        return self._points[POINTS * a : POINTS * b], self._live[a:b]


def assemble(pieces: Sequence[Piece], end: Ordinal, scale: int, room: Room) -> PriceColumns | None:
    """Return the prices of one contract from its first live bar on the grid up to *end*.

    Parameters
    ----------
    pieces
        Of all its segments in order, as `places` found them.
    end
        One past the last bar that has a price.
    scale
        Raw price of one unit of currency.
    room
        For *end* less the place of the first piece, at most.

    Returns
    -------
    PriceColumns or None
        None when no live bar lies on the grid before *end*.
    """
    left = [Piece(p, a, min(b, a + end - at), at) for p, a, b, at in pieces if at < end]
    while left:  # columns begin with a live bar
        segment, a, b, at = left[0]
        ahead = segment.live[a:b]
        dead = int(ahead.argmax())
        if ahead[dead]:
            left[0] = Piece(segment, a + dead, b, at + dead)
            there = {name for piece in pieces for name in piece.segment.blobs}
            return _assembled(left, there, end, scale, room)
        del left[0]
    return None


def places(segments: Sequence[Packed], grid: Grid) -> list[list[Piece] | None]:
    """Return the pieces in which each segment lies on a grid; None: its spans are cut by it.

    Nor are there pieces of seconds: thousands of short runs are placed at once, not each.
    """
    found: list[list[Piece] | None] = [
        [] if s.step == grid.step and s.step >= MINUTE else None for s in segments
    ]
    numbers = [i for i, pieces in enumerate(found) if pieces is not None]
    if not numbers:
        return found
    spans = np.concatenate([segments[i].spans for i in numbers])
    own = np.repeat(numbers, [len(segments[i].spans) for i in numbers])
    heads, counts = spans[:, 0], spans[:, 1]
    tails = heads + (counts - 1) * grid.step
    at = np.searchsorted(grid.starts, heads)
    last = at + counts - 1
    fits = last < grid.n
    fits[fits] = (grid.starts[at[fits]] == heads[fits]) & (grid.starts[last[fits]] == tails[fits])
    inside = fits.copy()  # some bar of it is there
    inside[~fits] = np.searchsorted(grid.starts, tails[~fits], side="right") > at[~fits]
    for i in np.unique(own[inside & ~fits]).tolist():
        found[i] = None
    offsets = np.cumsum(counts) - counts
    begins = np.flatnonzero(np.diff(own, prepend=-1))  # its first span, for each segment
    offsets -= np.repeat(offsets[begins], np.diff(begins, append=len(own)))
    apart = (np.diff(at - offsets) != 0) | (np.diff(own) != 0)
    cuts = np.flatnonzero(apart | ~inside[1:] | ~inside[:-1]) + 1
    firsts = np.concatenate(([0], cuts))
    lasts = np.concatenate((cuts, [len(at)])) - 1
    kept = inside[firsts]
    firsts, lasts = firsts[kept], lasts[kept]
    for i, start, stop, place in zip(
        own[firsts].tolist(),
        offsets[firsts].tolist(),
        (offsets[lasts] + counts[lasts]).tolist(),
        at[firsts].tolist(),
        strict=True,
    ):
        pieces = found[i]
        if pieces is not None:
            pieces.append(Piece(segments[i], start, stop, place))
    return found


class _Part(NamedTuple):
    """What a piece brings to one column."""

    blob: bytes | None
    whole: bool  # all that the blob has
    start: int
    stop: int
    at: int  # in the column


def _assembled(
    pieces: Sequence[Piece], there: Container[str], end: Ordinal, scale: int, room: Room
) -> PriceColumns:
    """Copy pieces to their places; the first begins with a live bar."""
    first = pieces[0].at
    points, live = room.take(end - first)
    for segment, a, b, at in pieces:
        live[at - first : at - first + b - a] = segment.live[a:b]

    def column(name: str) -> _Column:
        parts = (_Part(s.blobs.get(name), b - a == s.n, a, b, at - first) for s, a, b, at in pieces)
        return _Column(name, list(parts), live)

    _fill(points, column("points"))
    quotes = {name: column(name)() for name in ("bid", "ask") if name in there}
    return PriceColumns(
        first,
        points,
        live,
        scale,
        column("volume") if "volume" in there else None,
        column("oi") if "oi" in there else None,
        **quotes,
    )


class _Column(NamedTuple):
    """A column that is still packed."""

    name: str
    parts: list[_Part]
    live: npt.NDArray[np.bool_]

    def __call__(self) -> npt.NDArray[Any]:
        made = np.zeros(len(self.live), dtype=DTYPES[self.name])
        _fill(made, self)
        return made

    def last(self) -> int:
        """Return the last value: no part before that of the newest live bar decides it."""
        newest = len(self.live) - 1 - int(self.live[::-1].argmax())
        i = max(k for k, part in enumerate(self.parts) if part.at <= newest)
        begin = self.parts[i].at
        tail = [part._replace(at=part.at - begin) for part in self.parts[i:]]
        return int(_Column(self.name, tail, self.live[begin:])()[-1])


def _fill(out: npt.NDArray[Any], column: _Column) -> None:
    """Unpack the parts of a column to their places; between them the last close is repeated."""
    name, parts, live = column
    width = POINTS if name == "points" else 1
    done = 0  # bars that are filled
    opened, dense = None, out
    for blob, whole, a, b, at in parts:
        _repeat(out, name, done, at)
        done = at + b - a
        place = out[width * at : width * done]
        if blob is not None and whole:
            unpack_blob(blob, place)
        elif blob is not None:
            if blob is not opened:
                opened, dense = blob, np.frombuffer(unpack_blob(blob), dtype=out.dtype)
            place[:] = dense[width * a : width * b]
        if a and at and not live[at]:  # it repeats a bar that the grid does not have
            ahead = live[at:done]
            _repeat(out, name, at, at + (int(ahead.argmax()) if ahead.any() else b - a))
    _repeat(out, name, done, len(live))


def _repeat(column: npt.NDArray[Any], name: str, done: int, until: int) -> None:
    """Repeat the last close or open interest over bars that no piece has."""
    if not 0 < done < until:
        return
    if name == "points":
        column[POINTS * done : POINTS * until] = column[POINTS * done - 1]
    elif name == "oi":
        column[done:until] = column[done - 1]
