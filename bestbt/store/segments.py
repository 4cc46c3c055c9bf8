"""A price segment: one calendar month of one contract's bars, compressed.

    live bars ──merge──> live bars ──pack──> row of blobs ──unpack──> live bars

Inside, a segment is dense: in every session with a live bar all bars exist from the first live
one to the last, and a stale one repeats the last live close with no volume. So no time column
is stored, only `spans`: where a run of bars starts and how many there are. Spans and not the
session tables say what a segment's bars are: it decodes the same when the tables learn more.

Seconds are mostly absent. A segment of bars shorter than a minute has live bars alone, in many
short runs, and packs its spans too.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc
from numcodecs.blosc import decompress

from bestbt.engine.prices import PriceColumns
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.schema import BLOBS
from bestbt.units import MINUTE, POINTS, Ns

__all__ = [
    "CODEC",
    "DTYPES",
    "OPTIONAL",
    "RUNS_CODEC",
    "Bars",
    "Packed",
    "Segment",
    "checked",
    "concatenate",
    "crcs_hold",
    "digest_holds",
    "merge",
    "pack",
    "unpack",
    "unpack_blob",
]

CODEC = "bars/blosc-lz4-5-shuffle"
RUNS_CODEC = "runs/blosc-lz4-5-shuffle"
_BLOSC = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
DTYPES = {"spans": "<i8", "points": "<i4", "live": "|u1", "volume": "<i8", "oi": "<i8"}
DTYPES |= {"bid": "<i4", "ask": "<i4"}
OPTIONAL = ("volume", "oi", "bid", "ask")

_I32 = npt.NDArray[np.int32]
_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Live bars of one contract: UTC starts, four raw prices each in path order, and the rest."""

    starts: _I64
    points: _I32
    volume: _I64 | None = None
    oi: _I64 | None = None
    bid: _I32 | None = None
    ask: _I32 | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, which: npt.NDArray[Any] | slice) -> Bars:
        """Return some of the bars."""
        rest = {k: None if (v := getattr(self, k)) is None else v[which] for k in OPTIONAL}
        points = self.points.reshape(-1, POINTS)[which].ravel()
        return Bars(self.starts[which], points, **rest)


def checked(
    starts: Any, points: Any, volume: Any = None, oi: Any = None, bid: Any = None, ask: Any = None
) -> Bars:
    """Return bars in the dtypes of the store; `UsageError` if they are no bars."""
    n = len(starts)
    given = {"points": points, "volume": volume, "oi": oi, "bid": bid, "ask": ask}
    made: dict[str, Any] = {}
    for name, values in ({"starts": starts} | given).items():
        if values is None:
            continue
        column = np.asarray(values)
        want = POINTS * n if name == "points" else n
        if column.dtype.kind not in "iu" or column.shape != (want,):
            raise UsageError(
                f"Bars need {name} as whole numbers of shape ({want},) for {n} bars; "
                f"found {column.dtype} of shape {column.shape}."
            )
        made[name] = column.astype(DTYPES.get(name, "<i8"), copy=False)
    if n > 1 and not bool(np.all(np.diff(made["starts"]) > 0)):
        raise UsageError("Bars need starts that increase; sort them and drop repeated ones.")
    return Bars(**made)


@dataclass(frozen=True, slots=True)
class Segment:
    """A decoded segment; all arrays are dense except `spans`, of shape (k, 2)."""

    step: Ns
    spans: _I64
    live: npt.NDArray[np.bool_]
    dense: Bars

    def bars(self) -> Bars:
        """Return the live bars alone."""
        return self.dense if bool(self.live.all()) else self.dense.take(self.live)


def concatenate(parts: list[Bars]) -> Bars:
    """Join bars of one contract end to end; a column that only some have is 0 in the others."""
    if len(parts) == 1:
        return parts[0]
    rest: dict[str, Any] = {}
    for name in OPTIONAL:
        columns = [getattr(p, name) for p in parts]
        if all(c is None for c in columns):
            rest[name] = None
            continue
        zeros = (np.zeros(len(p), dtype=DTYPES[name]) for p in parts)
        rest[name] = np.concatenate(
            [z if c is None else c for c, z in zip(columns, zeros, strict=True)]
        )
    return Bars(
        np.concatenate([p.starts for p in parts]),
        np.concatenate([p.points for p in parts]),
        **rest,
    )


def merge(old: Bars, new: Bars) -> Bars:
    """Return both in time order; where both have a bar, the new one stands.

    A column that the new bars lack altogether says nothing of them: what was known stays.
    """
    again, here, there = np.intersect1d(
        new.starts, old.starts, assume_unique=True, return_indices=True
    )
    known: dict[str, Any] = {}
    for name in OPTIONAL:
        stored = getattr(old, name)
        if len(again) and stored is not None and getattr(new, name) is None:
            known[name] = np.zeros(len(new), dtype=DTYPES[name])
            known[name][here] = stored[there]
    kept = old.take(~np.isin(old.starts, again, assume_unique=True))
    both = concatenate([kept, replace(new, **known)])
    return both.take(np.argsort(both.starts, kind="stable"))


def pack(bars: Bars, session_bars: _I64, step: Ns) -> dict[str, Any]:
    """Return the columns of a segment's row.

    Parameters
    ----------
    bars
        Live bars of one month, in order, at least one.
    session_bars
        Starts of all bars of the sessions they lie in, in order.
    step
        Length of a bar.
    """
    runs = step < MINUTE
    low, high = np.searchsorted(session_bars, (bars.starts[0], bars.starts[-1] + 1))
    starts = bars.starts if runs else session_bars[low:high]
    at = np.minimum(np.searchsorted(starts, bars.starts), max(len(starts) - 1, 0))
    if not len(starts) or not np.array_equal(starts[at], bars.starts):
        starts = np.union1d(starts, bars.starts)  # bars of a session that the tables lack now
        at = np.searchsorted(starts, bars.starts)
    filled = PriceColumns.from_live(
        at,
        bars.points,
        1,
        end=len(starts),
        volume=bars.volume,
        oi=bars.oi,
        bid=bars.bid,
        ask=bars.ask,
    )
    breaks = np.flatnonzero(np.diff(starts) != step) + 1
    heads = np.concatenate(([0], breaks))
    counts = np.diff(np.concatenate((heads, [len(starts)])))
    arrays: dict[str, npt.NDArray[Any] | None] = {
        "spans": np.stack((starts[heads], counts), axis=1),
        "points": filled.points,
        "live": np.packbits(filled.live),
        "volume": filled.volume,
        "oi": filled.oi,
        "bid": filled.bid,
        "ask": filled.ask,
    }
    row: dict[str, Any] = {
        "step": step,
        "bars": len(starts),
        "live_bars": len(bars),
        "codec": RUNS_CODEC if runs else CODEC,
    }
    digest = hashlib.blake2b(digest_size=16)
    for name, array in arrays.items():
        if array is None:
            row[name] = row[f"{name}_crc"] = None
            continue
        raw = np.ascontiguousarray(array, dtype=DTYPES[name])
        digest.update(name.encode() + raw.tobytes())
        if name == "spans" and runs:
            raw = np.diff(raw, axis=0, prepend=0)
        plain = name == "spans" and not runs
        row[name] = raw.tobytes() if plain else bytes(_BLOSC.encode(raw.ravel()))
        row[f"{name}_crc"] = zlib.crc32(row[name])
    row["digest"] = digest.hexdigest()
    return row


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment whose bars are still compressed; its blobs have passed their checksums."""

    step: Ns
    n: int  # bars, dense
    spans: _I64
    live: npt.NDArray[np.bool_]
    blobs: dict[str, bytes]  # by name; those of the dense columns that it has

    @classmethod
    def read(cls, row: Mapping[str, Any], where: object) -> Packed:
        """Return a row's segment, each blob checked against its crc32 first.

        Raises
        ------
        StoreCorrupt
            Naming *where* (contract and month) and the blob.
        """
        crcs_hold(row, where)
        blobs = {name: blob for name in BLOBS if (blob := row.get(name)) is not None}
        if row["codec"] not in (CODEC, RUNS_CODEC):
            raise _corrupt(where, "codec", f"is {row['codec']!r}, unknown to this version")
        n = int(row["bars"])
        runs, raw = row["codec"] == RUNS_CODEC, blobs.pop("spans")
        spans = np.frombuffer(unpack_blob(raw) if runs else raw, dtype=DTYPES["spans"])
        spans = spans.reshape(-1, 2)
        if runs:
            spans = np.cumsum(spans, axis=0)
        bits = np.frombuffer(unpack_blob(blobs.pop("live")), dtype=np.uint8)
        live = np.unpackbits(bits, count=n).view(np.bool_)
        sizes = {k: _unpacked(b) // np.dtype(DTYPES[k]).itemsize for k, b in blobs.items()}
        lengths = {size // (POINTS if k == "points" else 1) for k, size in sizes.items()}
        whole = np.count_nonzero(live) == row["live_bars"] and int(spans[:, 1].sum()) == n
        if lengths != {n} or len(bits) != -(-n // 8) or not whole:
            raise _corrupt(where, "row", "has blobs of different lengths")
        return cls(int(row["step"]), n, spans, live, blobs)

    def column(self, name: str) -> npt.NDArray[Any] | None:
        """Return a dense column; None where the segment has none of it."""
        blob = self.blobs.get(name)
        return None if blob is None else np.frombuffer(unpack_blob(blob), dtype=DTYPES[name])

    def decode(self) -> Segment:
        """Return the segment with all its columns."""
        counts = self.spans[:, 1]
        offsets = np.arange(self.n) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(self.spans[:, 0], counts) + offsets * self.step
        columns = {name: self.column(name) for name in self.blobs}
        return Segment(self.step, self.spans, self.live, Bars(starts, **columns))  # type: ignore[arg-type]


def unpack_blob(blob: bytes, out: npt.NDArray[Any] | None = None) -> bytes:
    """Return what a blob unpacks to, or write it to where it is wanted, without a copy.

    The codec's own `decode` does the same, and takes as long again before it begins.
    """
    unpacked: bytes = decompress(blob, out)
    return unpacked


def _unpacked(blob: bytes) -> int:
    """Bytes that a blob unpacks to, as its own head tells (bytes 4 to 7 of Blosc's format)."""
    return int.from_bytes(blob[4:8], "little")


def unpack(row: Mapping[str, Any], where: str) -> Segment:
    """Decode a row; see `Packed.read`."""
    return Packed.read(row, where).decode()


def crcs_hold(row: Mapping[str, Any], where: object, blobs: Iterable[str] = BLOBS) -> None:
    """Check the crc32 of every blob of a row; `StoreCorrupt` as by `unpack`."""
    for name in blobs:
        blob, crc = row.get(name), row.get(f"{name}_crc")
        if (blob is None) != (crc is None) or (blob is not None and zlib.crc32(blob) != crc):
            raise _corrupt(where, name, "fails its checksum")


def digest_holds(row: Mapping[str, Any], where: str) -> None:
    """Check that what a row decodes to is what was packed; `StoreCorrupt` as by `unpack`."""
    packed = Packed.read(row, where)
    found = hashlib.blake2b(digest_size=16)
    for name in BLOBS:
        blob = row.get(name)
        if blob is not None:
            raw = packed.spans.tobytes() if name == "spans" else unpack_blob(blob)
            found.update(name.encode() + raw)
    if found.hexdigest() != row["digest"]:
        raise _corrupt(where, "digest", "is not that of the content")


def _corrupt(where: object, blob: str, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f"The stored prices of {where} are damaged: `{blob}` {what}. "
        "Nothing of them was used; put back a copy of the store, or import that month again, with "
        "again=True."
    )
