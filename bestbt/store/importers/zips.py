"""The files of a zip archive, each read once; what is not safe to unpack is refused."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bestbt.errors import ImportRefused

__all__ = ["entries", "names"]

_MOST = 2 << 30  # bytes of an archive, unpacked
_RATIO = 200  # text of prices packs to a tenth or twentieth
_SMALL = 1 << 20  # up to here any ratio will do


def names(path: Path) -> list[str]:
    """Return the names in an archive; none of a file that is no zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return []


def entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file in an archive.

    Raises
    ------
    ImportRefused
        For names that lead out of the archive, a size that no data file has, a password, damage.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            _check(path.name, files)
            for info in files:
                yield info.filename, archive.read(info)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ImportRefused(
            f"{path.name} cannot be unpacked ({str(error).splitlines()[0]}); it may be cut off: "
            "get it again."
        ) from None


def _check(name: str, files: list[zipfile.ZipInfo]) -> None:
    for info in files:
        inside = PurePosixPath(info.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or ":" in inside.name:
            raise ImportRefused(
                f"{name} holds a file called {info.filename[:80]!r}, which leads out of the "
                "archive; it was not made by a vendor of data."
            )
        if info.flag_bits & 1:
            raise ImportRefused(f"{name} is locked with a password; unpack it and zip it anew.")
    size, packed = sum(i.file_size for i in files), sum(i.compress_size for i in files)
    if size > _MOST or (size > _SMALL and size > _RATIO * packed):
        raise ImportRefused(
            f"{name} unpacks from {packed:,} to {size:,} bytes; no file of prices does. It was "
            "not opened."
        )
