"""Opening a Parquet file, once what it would take in memory has been counted from its footer.

A page of a constant column packs a million values into a few bytes, so the size on disk says
little. The footer says how many rows there are and how large their pages are, unpacked; how long a
dictionary's texts are when they stand in every row is seen from the dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from bestbt.store.importers.source import Budget, Source

__all__ = ["opened", "read_columns"]

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}
_ROWS = 1 << 18  # read at once: groups may be small and many
_CODE = 4  # bytes of a text's number in its dictionary
_INSTEAD = "write it anew as several files of fewer rows"


@contextmanager
def opened(
    source: Source, columns: Sequence[str] | None = None, *, checked_pages: bool = False
) -> Iterator[pa.parquet.ParquetFile]:
    """Open a file whose texts come as dictionaries; a bomb is refused before a page is read.

    Parameters
    ----------
    source
        A Parquet file.
    columns
        Those that will be read; default: all.
    checked_pages
        Whether pages carry checksums that are to hold.

    Raises
    ------
    ImportRefused
        If its columns would take too much memory for its size.
    """
    metadata = pa.parquet.read_metadata(source.path)
    _count(source, metadata, columns)
    flat = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    with pa.parquet.ParquetFile(
        source.path,
        metadata=metadata,
        read_dictionary=[c.path for c in flat if c.physical_type == "BYTE_ARRAY"],
        page_checksum_verification=checked_pages,
    ) as file:
        yield file


def read_columns(source: Source, columns: Sequence[str]) -> pa.Table:
    """Return columns of a file, texts written out.

    Raises
    ------
    ImportRefused
        As by `opened`; also for short pages whose texts would be long when written out.
    """
    with opened(source, columns) as file:
        table = _read(source, file, list(columns))
    budget = _budget(source)
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(place)
            budget.take(sum(_written_out(chunk) for chunk in column.chunks))
            table = table.set_column(place, field.name, column.cast(field.type.value_type))
    return table


def _read(source: Source, file: pa.parquet.ParquetFile, columns: list[str]) -> pa.Table:
    """Read a file, and tell how far it has come."""
    total, size = file.metadata.num_rows, source.path.stat().st_size
    if file.num_row_groups < 2 or total < _ROWS:
        return file.read(columns=columns)
    parts: list[pa.Table] = []
    groups: list[int] = []
    done = waiting = 0
    for group in range(file.num_row_groups):
        groups.append(group)
        waiting += file.metadata.row_group(group).num_rows
        if waiting >= _ROWS or group == file.num_row_groups - 1:
            parts.append(file.read_row_groups(groups, columns=columns))
            done, waiting, groups = done + waiting, 0, []
            source.tell(size * done // total, size, "reading")
    return pa.concat_tables(parts)


def _budget(source: Source) -> Budget:
    return Budget(source.name, source.path.stat().st_size, _INSTEAD)


def _count(
    source: Source, metadata: pa.parquet.FileMetaData, columns: Sequence[str] | None
) -> None:
    budget = _budget(source)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk, column = group.column(place), metadata.schema.column(place)
            if columns is None or column.path.partition(".")[0] in columns:
                width = _WIDTHS.get(column.physical_type, max(column.length, _CODE))
                values = max(chunk.num_values, group.num_rows)
                budget.take(max(chunk.total_uncompressed_size, values * width))


def _written_out(chunk: pa.DictionaryArray) -> int:
    """Bytes of a dictionary's texts when each stands where it is used."""
    if not len(chunk.dictionary):
        return 0
    lengths = pc.cast(pc.binary_length(chunk.dictionary), pa.int64())
    return int(pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0)
