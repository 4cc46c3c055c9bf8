"""A file to import: its name and its first bytes, unpacked, from which its format is seen."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedIOBase
from pathlib import Path

from bestbt.errors import ImportRefused

__all__ = ["Source"]

_HEAD = 1 << 16


@dataclass(frozen=True)
class Source:
    r"""A file, or a folder, as an importer meets it.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "bars.csv"
    >>> _ = file.write_text("date, close\n2024-01-01, 5\n")
    >>> Source(file).header
    ['date', 'close']
    """

    path: Path

    @property
    def name(self) -> str:
        """The file's name, without its folders."""
        return self.path.name

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
        """Open the content, unpacked; a damaged file is refused."""
        try:
            if self.gzipped:
                with gzip.open(self.path) as stream:
                    yield stream
            else:
                with self.path.open("rb") as stream:
                    yield stream
        except (OSError, EOFError, zlib.error) as error:
            raise ImportRefused(
                f"{self.name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: "
                "get it again."
            ) from None
