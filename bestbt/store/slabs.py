"""Decoded prices in memory: the least recently used go first. Shared by all runs of a store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from bestbt.engine.prices import PriceColumns

__all__ = ["Slabs"]

_DERIVED = 48  # bytes a bar of the float columns that a strategy's reading makes later


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
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], PriceColumns | None]) -> PriceColumns | None:
        """Return what *key* names, loading it at first use; others wait for nobody's loading."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found[0]
        columns = load()
        size = 0 if columns is None else _size(columns)
        with self._lock:
            self.loads += 1
            first = self._kept.get(key)
            if first is not None:  # another thread was quicker: all share its arrays
                return first[0]
            self._kept[key] = (columns, size)
            self.bytes += size
            while self.bytes > self.limit and len(self._kept) > 1:
                self.bytes -= self._kept.popitem(last=False)[1][1]
        return columns

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0


def _size(c: PriceColumns) -> int:
    arrays = (c.points, c.live, c.volume, c.oi, c.bid, c.ask)
    return sum(a.nbytes for a in arrays if a is not None) + _DERIVED * c.n
