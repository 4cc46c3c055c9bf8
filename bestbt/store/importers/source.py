"""A file to import: its name and its first bytes, unpacked, from which its format is seen.

Nothing that is read is trusted: what comes out of a packed file is counted, and a file that
changes while it is read is refused.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from bestbt.errors import ImportRefused
from bestbt.store.telling import Tell, silent

__all__ = ["FREE", "MOST", "RATIO", "Budget", "Source", "Watch"]

MOST = 16 << 30  # bytes that come out of one packed file
RATIO = 200  # times its size, of what is larger than FREE: market data pack 5 to 30 times
FREE = 64 << 20
_HEAD = 1 << 16
_BLOCK = 1 << 20


class Budget:
    """How much may come out of a packed file before it is taken for a bomb.

    Examples
    --------
    >>> budget = Budget("day.csv.gz", packed=1000)
    >>> budget.take(5_000_000)
    >>> budget.take(80_000_000)
    Traceback (most recent call last):
    bestbt.errors.ImportRefused: day.csv.gz unpacks to more than 200 times its size, ...
    """

    def __init__(
        self, name: str, packed: int, instead: str = "unpack it yourself and import what is inside"
    ) -> None:
        self._name = name
        self._packed = packed
        self._instead = instead
        self._taken = 0

    def take(self, size: int) -> None:
        """Count bytes that came out, or that are said to; refuse too many."""
        self._taken += size
        most = f"{MOST >> 30} GiB" if self._taken > MOST else ""
        if not most and self._taken > max(FREE, RATIO * self._packed):
            most = f"{RATIO} times its size"
        if most:
            raise ImportRefused(
                f"{self._name} unpacks to more than {most}, as a decompression bomb does. If it "
                f"is none, {self._instead}."
            )


class _Counted(RawIOBase):
    """A stream out of a packed file that refuses to give more than its budget."""

    def __init__(self, stream: BufferedIOBase, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self._budget.take(count)
        return count


class _Told(RawIOBase):
    """A file that tells how much of it has been read."""

    def __init__(self, file: RawIOBase, size: int, tell: Tell) -> None:
        self._file, self._size, self._tell = file, size, tell
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._done += count
        if count:
            text = "reading" if self._done < self._size else "taking it apart"
            self._tell(self._done, self._size, text)
        return count


_State: TypeAlias = tuple[tuple[int, int, int], ...]


class Watch:
    """Tells whether a file, or a file of a folder, changed since the watch began."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = self._state()

    def _state(self) -> _State:
        path = self._source.path
        files = sorted(path.rglob("*.csv")) if path.is_dir() else [path]
        try:
            return tuple((s.st_size, s.st_mtime_ns, s.st_ino) for s in (f.stat() for f in files))
        except FileNotFoundError:
            return ()

    def check(self) -> None:
        """Refuse what changed: its reader saw a part of it."""
        if self._state() != self._seen:
            raise ImportRefused(
                f"{self._source.name} changed while it was read: something is writing it. Import "
                "it when it is whole."
            )


@dataclass(frozen=True)
class Source:
    r"""A file, or a folder, as an importer meets it.

    Attributes
    ----------
    path
        Where its content is: of a file of an archive, a copy that is gone after its import.
    label
        What it is called in reports, such as `jan.zip/day.csv`; default: the file's name.
    tell
        Is told how many of its bytes have been read.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "bars.csv"
    >>> _ = file.write_text("date, close\n2024-01-01, 5\n")
    >>> Source(file).header
    ['date', 'close']
    """

    path: Path
    label: str = ""
    tell: Tell = field(default=silent, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What the file is called in reports and messages."""
        return self.label or self.path.name

    @property
    def own_name(self) -> str:
        """The file's own name, without folders and archives around it."""
        return PurePosixPath(self.name).name

    @cached_property
    def gzipped(self) -> bool:
        """Whether the file is packed with gzip."""
        return self._raw[:2] == b"\x1f\x8b"

    @cached_property
    def _raw(self) -> bytes:
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as stream:
            return stream.read(_HEAD)

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB of the content, unpacked; empty for a folder or a damaged file."""
        if not self.gzipped:
            return self._raw
        try:
            return zlib.decompressobj(31).decompress(self._raw, _HEAD)
        except zlib.error:
            return b""

    @property
    def is_text(self) -> bool:
        """Whether the head may be text."""
        return bool(self.head.strip()) and b"\0" not in self.head

    @property
    def encoding(self) -> str:
        """`utf-8-sig`, or `latin-1` where the head is not that."""
        try:
            self.head[: self.head.rfind(b"\n") + 1 or None].decode("utf-8-sig")
        except UnicodeDecodeError:
            return "latin-1"
        return "utf-8-sig"

    @cached_property
    def lines(self) -> list[str]:
        """The whole lines of the head, of a text; the last may be cut off."""
        if not self.is_text:
            return []
        whole = self.head[: self.head.rfind(b"\n") + 1] or self.head
        return whole.decode(self.encoding, errors="replace").splitlines()

    @property
    def first(self) -> int:
        """Number of the first line that is not blank, from 0."""
        return next((i for i, line in enumerate(self.lines) if line.strip()), 0)

    @property
    def delimiter(self) -> str:
        """What stands between the fields of the first line."""
        line = self.lines[self.first] if self.lines else ""
        return max(",;\t|", key=line.count)

    @property
    def header(self) -> list[str]:
        """The fields of the first line that is not blank."""
        if not self.lines:
            return []
        row = next(csv.reader([self.lines[self.first]], delimiter=self.delimiter))
        return [field.strip() for field in row]

    @contextmanager
    def open(self) -> Iterator[BufferedIOBase]:
        """Open the content, unpacked; a damaged file is refused, and a bomb."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb", buffering=0) as file:
                stream = BufferedReader(_Told(file, size, self.tell), _BLOCK)
                if self.gzipped:
                    with gzip.open(stream) as packed:
                        yield BufferedReader(_Counted(packed, Budget(self.name, size)), _BLOCK)
                else:
                    yield stream
        except (OSError, EOFError, zlib.error) as error:
            raise ImportRefused(
                f"{self.name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: "
                "get it again."
            ) from None
