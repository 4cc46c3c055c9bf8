"""Decoded prices in memory: the least recently used go first. Shared by all runs of a store.

What a run still holds is shared with the next one even when it is kept here no more, so that no
two copies of one contract's prices are ever in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from bestbt.engine.prices import PriceColumns

__all__ = ["Slabs"]

_DERIVED = 48  # bytes a bar at least of the columns that a strategy's reading makes later


class Slabs:
    """A cache of price columns, bounded in bytes; None (no live bar) is remembered too.

    Examples
    --------
    >>> slabs = Slabs(limit=1 << 20)
    >>> slabs.get("a", lambda: None), slabs.get("a", lambda: 1 / 0), slabs.loads
    (None, None, 1)
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.loads = 0  # how often something had to be read from the store
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[PriceColumns | None, int]] = OrderedDict()
        self._held: WeakValueDictionary[Hashable, PriceColumns] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], PriceColumns | None]) -> PriceColumns | None:
        """Return what *key* names, loading it at first use; others wait for nobody's loading."""
        with self._lock:
            there, columns = self._find(key)
            if there:
                return self._keep(key, columns)
        columns = load()
        with self._lock:
            self.loads += 1
            there, first = self._find(key)  # another thread was quicker: all share its arrays
            return self._keep(key, first if there else columns)

    def add(self, key: Hashable, columns: PriceColumns | None) -> None:
        """Keep what was read along with something else."""
        with self._lock:
            self.loads += 1
            there, first = self._find(key)
            self._keep(key, first if there else columns)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return self._find(key)[0]

    def _find(self, key: Hashable) -> tuple[bool, PriceColumns | None]:
        if key in self._kept:
            return True, self._kept[key][0]
        held = self._held.get(key)
        return held is not None, held

    def _keep(self, key: Hashable, columns: PriceColumns | None) -> PriceColumns | None:
        """Make it the most recently used."""
        self.bytes -= self._kept.pop(key, (None, 0))[1]
        size = 0 if columns is None else _size(columns)  # again: it grows as it is read
        self._kept[key] = (columns, size)
        self.bytes += size
        if columns is not None:
            self._held[key] = columns
        while self.bytes > self.limit and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1][1]
        return columns

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._held.clear()
            self.bytes = 0


def _size(c: PriceColumns) -> int:
    arrays = (c.points, c.live, c.volume, c.oi, c.bid, c.ask)
    given = sum(a.nbytes for a in arrays if a is not None)
    return given + max(c.derived_nbytes, _DERIVED * c.n)
