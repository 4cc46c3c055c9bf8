"""Decoded prices in memory: the least recently used go first. Shared by all runs of a store.

What was read together lies in one piece of memory. Where room is needed, first goes what was only
read along and that nobody has asked for; what was asked for stays together, and goes together.
So a run that is rewound, and asks for the same contracts again, finds months of them.

What a run still holds is shared with the next one even when it is kept here no more, so that no
two copies of one contract's prices are ever in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from weakref import WeakValueDictionary

from bestbt.engine.prices import PriceColumns

__all__ = ["Slabs"]

_DERIVED = 48  # bytes a bar at least of the columns that a strategy's reading makes later


class _Slab:
    """What was read together, with the bytes of each."""

    def __init__(self, columns: dict[Hashable, PriceColumns | None]) -> None:
        self.columns = columns
        self.sizes = dict.fromkeys(columns, 0)
        self.asked: set[Hashable] = set()
        self.whole = True  # with what was read along


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
        self._kept: OrderedDict[int, _Slab] = OrderedDict()  # by number, the newest last
        self._of: dict[Hashable, int] = {}
        self._next = 0
        self._held: WeakValueDictionary[Hashable, PriceColumns] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], PriceColumns | None]) -> PriceColumns | None:
        """Return what *key* names, loading it at first use; others wait for nobody's loading.

        What *load* reads besides it, and reads with it, it may `add` itself.
        """
        with self._lock:
            there, columns = self._find(key)
            if there:
                return columns
        columns = load()
        with self._lock:
            there, first = self._find(key)  # another thread was quicker: all share its arrays
            if there:
                return first
            self._add({key: columns})
            return self._find(key)[1]

    def add(self, read: Mapping[Hashable, PriceColumns | None]) -> None:
        """Keep what was read together."""
        with self._lock:
            self._add(read)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._of or key in self._held

    def _find(self, key: Hashable) -> tuple[bool, PriceColumns | None]:
        """Return whether it is in memory, and what it is; kept, it is the most recently used."""
        number = self._of.get(key)
        if number is None:
            held = self._held.get(key)
            return held is not None, held
        slab = self._kept[number]
        self._kept.move_to_end(number)
        columns = slab.columns[key]
        slab.asked.add(key)
        self._count(slab, key, columns)  # again: it grows as it is read
        self._make_room()
        return True, columns

    def _add(self, read: Mapping[Hashable, PriceColumns | None]) -> None:
        self.loads += len(read)
        slab = _Slab({key: read[key] for key in read if key not in self._of})
        for key, columns in slab.columns.items():
            if columns is not None:
                # What a run holds already is kept in its place.
                slab.columns[key] = columns = self._held.setdefault(key, columns)
            self._of[key] = self._next
            self._count(slab, key, columns)
        if slab.columns:
            self._kept[self._next] = slab
            self._next += 1
        self._make_room()

    def _count(self, slab: _Slab, key: Hashable, columns: PriceColumns | None) -> None:
        size = 0 if columns is None else _size(columns)
        self.bytes += size - slab.sizes[key]
        slab.sizes[key] = size

    def _make_room(self) -> None:
        if self.bytes <= self.limit:
            return
        for slab in list(self._kept.values())[:-1]:  # the newest is being asked for
            if slab.whole and slab.asked:
                self._thin(slab)
                if self.bytes <= self.limit:
                    return
        while self.bytes > self.limit and len(self._kept) > 1:
            slab = self._kept.popitem(last=False)[1]
            self.bytes -= sum(slab.sizes.values())
            for key in slab.columns:
                del self._of[key]

    def _thin(self, slab: _Slab) -> None:
        """Let go of what nobody has asked for."""
        slab.whole = False
        along = slab.columns.keys() - slab.asked
        for key in along:
            del self._of[key], slab.columns[key]
            self.bytes -= slab.sizes.pop(key)
        if along:
            for columns in slab.columns.values():
                if columns is not None:
                    columns.part()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._of.clear()
            self._held.clear()
            self.bytes = 0


def _size(columns: PriceColumns) -> int:
    return columns.nbytes + max(columns.derived_nbytes, _DERIVED * columns.n)
