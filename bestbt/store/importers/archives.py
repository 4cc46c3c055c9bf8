"""The files of a folder or a zip archive, each to be imported by itself.

An archive is unpacked one file at a time, into a temporary folder and under a name of ours, so no
name in it reaches the file system. Archives whose names would, that unpack to absurd sizes, or
that hold archives are refused.
"""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bestbt.errors import ImportRefused
from bestbt.store.importers.source import Budget, Source

__all__ = ["KINDS", "Part", "Unpacker", "excel", "is_zip", "parts"]

KINDS = (".csv", ".txt", ".tsv", ".json", ".parquet", ".pq", ".gz", ".zip", ".tar", ".tgz", ".xz")
"""Endings of the names of files that are tried; others in a folder or archive are left out."""

_BLOCK = 1 << 20
_LONGEST = 200  # characters of a name, in messages and records
_PACKED = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a folder or an archive; `refused` says why it is not even opened."""

    label: str
    path: Path
    inside: zipfile.ZipInfo | None = None
    whole: Budget | None = None
    refused: str = ""

    @property
    def name(self) -> str:
        """Its name in the archive, or in its folder."""
        return self.path.name if self.inside is None else self.inside.filename


class Unpacker:
    """Gives parts as sources, one at a time; an archive stays open until the next one is asked."""

    def __init__(self) -> None:
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(self, *how: object) -> None:
        if self._archive is not None:
            self._archive.close()

    @contextmanager
    def source(self, part: Part) -> Iterator[Source]:
        """Give a part as a source, which is there until the block ends."""
        if part.refused:
            raise ImportRefused(part.refused)
        if part.inside is None:
            yield Source(part.path, part.label)
            return
        with tempfile.TemporaryDirectory(prefix="bestbt-") as folder:
            copy = Path(folder) / "part"
            try:
                with copy.open("wb") as out:
                    for block in self._blocks(part, part.inside):
                        out.write(block)
            except OSError as error:
                raise ImportRefused(
                    f"{part.label} cannot be unpacked in {tempfile.gettempdir()} "
                    f"({error.strerror or error}). Make room there, or set TMPDIR to a folder "
                    "that has it."
                ) from None
            yield Source(copy, part.label)

    def content(self, part: Part) -> bytes:
        """Return a part's bytes."""
        if part.inside is None:
            return part.path.read_bytes()
        return b"".join(self._blocks(part, part.inside))

    def head(self, part: Part) -> bytes:
        """Return a part's first bytes, at most a block."""
        if part.inside is None:
            with part.path.open("rb") as stream:
                return stream.read(_BLOCK)
        return next(self._blocks(part, part.inside), b"")

    def _blocks(self, part: Part, info: zipfile.ZipInfo) -> Iterator[bytes]:
        budget = Budget(part.label, info.compress_size)
        first = True
        try:
            with self._opened(part.path).open(info) as packed:
                while block := packed.read(_BLOCK):
                    if first and block[:4] in _PACKED:
                        raise ImportRefused(
                            f"{part.label} is an archive in an archive; unpack the outer one and "
                            "import what is inside."
                        )
                    first = False
                    budget.take(len(block))
                    if part.whole is not None:
                        part.whole.take(len(block))
                    yield block
        except (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
            raise ImportRefused(
                f"{part.label} cannot be unpacked ({str(error).splitlines()[0]}); get the archive "
                "again."
            ) from None

    def _opened(self, path: Path) -> zipfile.ZipFile:
        if self._archive is None or self._archive.filename != str(path):
            self.__exit__()
            self._archive = zipfile.ZipFile(str(path))
        return self._archive


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) in _PACKED


def parts(path: Path, without: Collection[Path] = ()) -> tuple[list[Part], list[str]]:
    """Return the files of a folder or a zip archive to try, and the names of those left out.

    Parameters
    ----------
    path
        A folder, with the zip archives in it, or a zip archive.
    without
        Files that are not data, as the caller knows.

    Raises
    ------
    ImportRefused
        An archive that cannot be read, or that is not safe to unpack. One in a folder becomes a
        part that is refused.
    """
    if not path.is_dir():
        return _of_archive(path, path.name)
    found: list[Part] = []
    others: list[str] = []
    known = {file.resolve() for file in without}
    name = path.absolute().name  # that of "." too
    for file in sorted(path.rglob("*")):
        inner = file.relative_to(path)
        if not file.is_file() or _hidden(inner.parts) or file.resolve() in known:
            continue
        label = f"{name}/{inner.as_posix()}"
        if file.suffix.lower() not in KINDS:
            others.append(label)
        elif is_zip(file):
            try:
                inside, left_out = _of_archive(file, label)
            except ImportRefused as error:
                inside, left_out = [Part(label, file, refused=str(error))], []
            found += inside
            others += left_out
        else:
            found.append(Part(label, file))
    return found, others


def excel(name: str) -> str:
    """Return what is said of an Excel workbook."""
    return (
        f"{name} is an Excel workbook; save the sheet as CSV in UTF-8, or read it yourself: "
        "store.import_frame(pandas.read_excel(file))."
    )


def _of_archive(path: Path, name: str) -> tuple[list[Part], list[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ImportRefused(
            f"{name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: get it "
            "again."
        ) from None
    if any(info.filename.startswith("xl/workbook.") for info in infos):
        raise ImportRefused(excel(name))
    packed = path.stat().st_size
    found: list[Part] = []
    others: list[str] = []
    whole, said = Budget(name, packed), Budget(name, packed)
    for info in infos:
        if info.is_dir():
            continue
        _check(name, info)
        said.take(info.file_size)
        inner = PurePosixPath(info.filename)
        label = f"{name}/{_shown(info.filename)}"
        if inner.suffix.lower() not in KINDS or _hidden(inner.parts):
            others.append(label)
        else:
            found.append(Part(label, path, info, whole))
    return found, others


def _check(name: str, info: zipfile.ZipInfo) -> None:
    """Refuse an archive for what one of its names says."""
    path = info.filename.replace("\\", "/")
    shown = _shown(info.filename)
    if path.startswith("/") or ".." in path.split("/") or path[1:2] == ":":
        raise ImportRefused(
            f"{name} holds {shown!r}, a name that reaches outside the archive; nothing of it is "
            "read. Get it from another source."
        )
    if info.flag_bits & 1:
        raise ImportRefused(
            f"{name} is locked with a password; unpack it and import what is inside."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ImportRefused(f"{name} holds {shown!r}, a link and no file; nothing of it is read.")


def _hidden(names: tuple[str, ...]) -> bool:
    return any(name.startswith((".", "__MACOSX")) for name in names)


def _shown(name: str) -> str:
    """Return a name that is safe to print and to keep."""
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= _LONGEST else "…" + text[-_LONGEST:]
