"""Ticks of one contract and day: irregular times, as many at one time as came, in their order.

    ticks ──merge──> ticks ──pack──> row of blobs ──unpack──> ticks

A day is a row: a file brings a day, and then nothing else is written anew. Times are stored as
what they lie apart; prices, quotes and volumes beside them, each blob with its crc32.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numcodecs import Blosc

from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.schema import TICK_BLOBS
from bestbt.units import Ns

__all__ = [
    "TICK_CODEC",
    "Ticks",
    "checked_ticks",
    "merge_ticks",
    "pack_ticks",
    "tick_digest_holds",
    "unpack_ticks",
]

TICK_CODEC = "ticks/blosc-lz4-5-shuffle"
_BLOSC = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
_DTYPES = {"times": "<i8", "price": "<i4", "volume": "<i8", "oi": "<i8", "bid": "<i4", "ask": "<i4"}
_OPTIONAL = ("volume", "oi", "bid", "ask")

_I32 = npt.NDArray[np.int32]
_I64 = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks of one contract and day, in order.

    Attributes
    ----------
    times
        UTC ns, never falling, shape ``(n,)``.
    price
        The last traded price of that day, raw; 0 where nothing was traded yet.
    volume
        In units: what the day had traded by then if `totals`, else what the tick itself traded.
    oi, bid, ask
        As the source had them; raw quotes, 0 where a side was missing.

    Examples
    --------
    >>> day = checked_ticks([10, 10, 30], [500, 505, 505], [50, 125, 125], totals=True)
    >>> day.quantity.tolist(), day.traded.tolist()
    ([50, 75, 0], [True, True, False])
    """

    times: _I64
    price: _I32
    volume: _I64 | None = None
    oi: _I64 | None = None
    bid: _I32 | None = None
    ask: _I32 | None = None
    totals: bool = False

    def __len__(self) -> int:
        return len(self.times)

    def take(self, which: npt.NDArray[Any] | slice) -> Ticks:
        """Return some of the ticks."""
        rest = {k: None if (v := getattr(self, k)) is None else v[which] for k in _OPTIONAL}
        return Ticks(self.times[which], self.price[which], **rest, totals=self.totals)

    @property
    def quantity(self) -> _I64:
        """Units traded by each tick; a total that falls has not grown."""
        if self.volume is None:
            return np.zeros(len(self), dtype=np.int64)
        if not self.totals:
            return self.volume
        return np.diff(np.maximum.accumulate(self.volume), prepend=0)

    @property
    def traded(self) -> _Mask:
        """Which ticks are trades: some quantity, or another price than before.

        Some feeds bring a trade's price seconds before its volume. Without any volume (an index)
        every price is one.
        """
        if self.volume is None:
            return np.asarray(self.price > 0)
        last = _carried(self.price)
        moved = last != np.concatenate(([0], last[:-1]))
        return np.asarray((self.price > 0) & (moved | (self.quantity > 0)))

    @property
    def quoted(self) -> _Mask:
        """Which ticks have a bid or an ask."""
        there = np.zeros(len(self), dtype=bool)
        for side in (self.bid, self.ask):
            if side is not None:
                there |= side > 0
        return there

    @property
    def known(self) -> _I32:
        """The price known at each tick: the last traded of the day, before it the quotes' middle.

        0 before there was either.
        """
        price = self.price
        if self.bid is not None and self.ask is not None:
            both = (self.bid > 0) & (self.ask > 0)
            middle = (self.bid.astype(np.int64) + self.ask + 1) // 2
            traded_before = _carried(price) > 0
            price = np.where(both & ~traded_before, middle, price).astype(np.int32)
        return _carried(price)

    @property
    def live(self) -> _Mask:
        """Which ticks make their bar live: a trade, or a quote where a price is known."""
        return np.asarray((self.known > 0) & (self.traded | self.quoted))


def _carried(price: _I32) -> _I32:
    """Carry each price on over the zeros behind it."""
    at = np.maximum.accumulate(np.where(price > 0, np.arange(len(price)), 0))
    return np.asarray(price[at])


def checked_ticks(
    times: Any,
    price: Any,
    volume: Any = None,
    oi: Any = None,
    bid: Any = None,
    ask: Any = None,
    *,
    totals: bool = False,
) -> Ticks:
    """Return ticks in the dtypes of the store; `UsageError` if they are no ticks."""
    n = len(times)
    given = {"times": times, "price": price, "volume": volume, "oi": oi, "bid": bid, "ask": ask}
    made: dict[str, Any] = {}
    for name, values in given.items():
        if values is None:
            continue
        column = np.asarray(values)
        if column.shape != (n,) or (n and column.dtype.kind not in "iu"):
            raise UsageError(
                f"Ticks need {name} as whole numbers of shape ({n},); found {column.dtype} of "
                f"shape {column.shape}."
            )
        if name != "times" and n and int(column.min()) < 0:
            raise UsageError(f"Ticks need {name} of zero or more; found {int(column.min())}.")
        made[name] = column.astype(_DTYPES[name], copy=False)
    if n > 1 and not bool(np.all(np.diff(made["times"]) >= 0)):
        raise UsageError("Ticks need times that never fall; sort them.")
    return Ticks(**made, totals=totals and volume is not None)


def merge_ticks(old: Ticks, new: Ticks, where: str = "a contract") -> Ticks:
    """Return the ticks of both in time order, those that both have once.

    The same tick may have come several times in one: it stands as often as in the one that has it
    more often. So a file that is merged twice adds nothing.

    Raises
    ------
    UsageError
        One has the volume of the day, the other that of each tick: two sources, whose trades
        would be counted twice.
    """
    if old.volume is not None and new.volume is not None and old.totals != new.totals:
        kinds = ("each tick's own volume", "the day's volume so far")
        raise UsageError(
            f"{where} is stored with ticks that carry {kinds[old.totals]}; those now given carry "
            f"{kinds[new.totals]}: they come from another source. Use another store for these."
        )
    names = [n for n in TICK_BLOBS if getattr(old, n) is not None or getattr(new, n) is not None]
    frames = []
    for ticks in (old, new):
        columns = {n: getattr(ticks, n) for n in names}
        zeros = np.zeros(len(ticks), dtype=np.int64)
        frame = pd.DataFrame({n: zeros if c is None else c for n, c in columns.items()})
        frames.append(frame.assign(again=frame.groupby(names).cumcount()))
    both = pd.concat(frames, ignore_index=True).drop_duplicates()
    totals = old.totals or new.totals
    keys = ["volume", "times"] if totals else ["times"]  # the day's volume never falls
    both = both.iloc[np.lexsort([both[key] for key in keys])]
    columns = {n: both[n].to_numpy().astype(_DTYPES[n]) for n in names}
    return Ticks(**columns, totals=totals)


def pack_ticks(ticks: Ticks, t0: Ns) -> dict[str, Any]:
    """Return the columns of a row: of one day's ticks, at least one, and the day's key."""
    row: dict[str, Any] = {
        "ticks": len(ticks),
        "first": int(ticks.times[0]),
        "last": int(ticks.times[-1]),
        "codec": TICK_CODEC,
        "totals": ticks.totals,
    }
    digest = hashlib.blake2b(b"totals" if ticks.totals else b"", digest_size=16)
    for name in TICK_BLOBS:
        column = np.diff(ticks.times, prepend=t0) if name == "times" else getattr(ticks, name)
        if column is None:
            row[name] = row[f"{name}_crc"] = None
            continue
        raw = np.ascontiguousarray(column, dtype=_DTYPES[name])
        digest.update(name.encode() + raw.tobytes())
        row[name] = bytes(_BLOSC.encode(raw))
        row[f"{name}_crc"] = zlib.crc32(row[name])
    row["digest"] = digest.hexdigest()
    return row


def unpack_ticks(row: Mapping[str, Any], where: str) -> Ticks:
    """Decode a row, each blob checked against its crc32 first.

    Raises
    ------
    StoreCorrupt
        Naming *where* (contract and day) and the blob.
    """
    if row["codec"] != TICK_CODEC:
        raise _corrupt(where, "codec", f"is {row['codec']!r}, unknown to this version")
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in TICK_BLOBS:
        blob, crc = row.get(name), row.get(f"{name}_crc")
        if blob is None and crc is None:
            continue
        if blob is None or zlib.crc32(blob) != crc:
            raise _corrupt(where, name, "fails its checksum")
        columns[name] = np.frombuffer(_BLOSC.decode(blob), dtype=_DTYPES[name])
    if {len(c) for c in columns.values()} != {int(row["ticks"])}:
        raise _corrupt(where, "row", "has blobs of different lengths")
    columns["times"] = int(row["t0"]) + np.cumsum(columns["times"])
    if (columns["times"][0], columns["times"][-1]) != (row["first"], row["last"]):
        raise _corrupt(where, "times", "are not those of its row")
    return Ticks(**columns, totals=bool(row.get("totals")))


def tick_digest_holds(row: Mapping[str, Any], where: str) -> None:
    """Check that what a row decodes to is what was packed; `StoreCorrupt` as by `unpack_ticks`."""
    if pack_ticks(unpack_ticks(row, where), row["t0"])["digest"] != row["digest"]:
        raise _corrupt(where, "digest", "is not that of the content")


def _corrupt(where: str, blob: str, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f"The stored ticks of {where} are damaged: `{blob}` {what}. "
        "Nothing of them was used; put back a copy of the store, or import that day again, with "
        "again=True."
    )
