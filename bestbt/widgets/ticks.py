"""Ticks: dates and times of day on the ordinal axis, round numbers on the others.

The chart library reads labels once, so all that can ever be needed are made at the start and
zooming only picks which of them to show. Its own ticks divide an axis evenly, which is no help
to anyone who reads 21,193.6.
"""

from __future__ import annotations

import math

import numpy as np

from bestbt.engine.grid import Grid
from bestbt.units import MINUTE, Ordinal
from bestbt.widgets.lod import Ordinals
from bestbt.widgets.protocol import Floats

__all__ = ["Ticks", "round_values"]

_INTRADAY = (5, 15, 30, 60, 120)  # minutes between ticks
_SESSIONS = (1, 2, 5, 10)  # sessions between ticks
_MONTHS = (1, 3, 12)
_LABELS = 10_000  # more would be slow to send: long runs go without the finest


class Ticks:
    """Ticks of the bars ``first … last``.

    Attributes
    ----------
    labels : dict of str to str
        Text of every tick that can be shown, by ordinal.
    """

    def __init__(self, grid: Grid, first: Ordinal, last: Ordinal) -> None:
        a, b = grid.session(first), grid.session(last)
        heads = np.asarray([max(grid.firsts[s], first) for s in range(a, b + 1)])
        days = [grid.sessions[s].day for s in range(a, b + 1)]
        style = "%d %b" if days[0].year == days[-1].year else "%d %b %y"
        dated = {int(h): d.strftime(style) for h, d in zip(heads, days, strict=True)}

        bars = np.arange(first, last + 1)
        midnights = np.asarray([grid.midnight(s) for s in range(a, b + 1)])
        session = grid.session_of[bars] - a
        minute, seconds = np.divmod(grid.starts[bars] - midnights[session], MINUTE)
        after_head = minute - minute[heads[session] - first]
        tails = np.asarray([min(grid.lasts[s], last) for s in range(a, b + 1)])
        before_tail = minute[tails[session] - first] - minute
        clock: dict[int, str] = {}
        self._levels: list[Ordinals] = []  # finest first
        for step in _INTRADAY:
            # A time right after a date would be written over it, and one right before it.
            which = (minute % step == 0) & (seconds == 0) & (after_head > step // 2)
            which &= before_tail >= step // 2
            if np.count_nonzero(which) > _LABELS:
                continue
            at = bars[which].tolist()
            clock |= {
                i: f"{m // 60:02d}:{m % 60:02d}"
                for i, m in zip(at, minute[which].tolist(), strict=True)
            }
            self._levels.append(np.union1d(at, heads))
        self._levels += [heads[::every] for every in _SESSIONS]
        months = [i for i, d in enumerate(days) if i == 0 or d.month != days[i - 1].month]
        self._levels += [heads[months][::every] for every in _MONTHS]
        self.labels = {str(i): text for i, text in (clock | dated).items()}
        self._heads = heads

    def within(self, lo: float, hi: float, most: int = 8) -> Ordinals:
        """Return the finest ticks of which no more than *most* are seen in ``lo … hi``."""
        for level in self._levels:
            a, b = np.searchsorted(level, (lo, hi))
            if b - a <= most:
                return level[a:b]
        return level[a:b][:: -(-(b - a) // most)]

    def separators(self, lo: float, hi: float, most: int = 45) -> Ordinals:
        """Return the first bars of the sessions seen, none when they would lie too close."""
        a, b = np.searchsorted(self._heads, (lo, hi))
        return self._heads[a:b] if b - a <= most else self._heads[:0]


def round_values(lo: float, hi: float, most: int) -> Floats:
    """Return round numbers within ``lo … hi``, at most *most* + 1 of them.

    >>> round_values(20_577.6, 22_117.6, 6).tolist()
    [21000.0, 21500.0, 22000.0]
    """
    rough = (hi - lo) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough)
    return np.asarray([k * step for k in range(math.ceil(lo / step), math.floor(hi / step) + 1)])
