"""A data file as a table: columns by what they mean, rows by their numbers in the file.

Parquet or delimited text, gzipped or not. Nothing is decided here about what a row says: rows
with too many or too few fields are set aside, fields are texts or numbers as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from bestbt.errors import ImportRefused
from bestbt.store.importers.archives import excel
from bestbt.store.importers.columns import NULLS
from bestbt.store.importers.parquet import read_columns
from bestbt.store.importers.source import Source

__all__ = ["TEXTS", "Table", "frame_table", "read_table"]

TEXTS = ("symbol", "datetime", "date", "time")
"""Roles that are read as text; all others are numbers where every field is one."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
Pick: TypeAlias = Callable[[Sequence[str]], dict[str, int]]
_I64 = npt.NDArray[np.int64]


@dataclass(slots=True)
class Table:
    """Columns by what they mean, and the number of each row in the file."""

    columns: dict[str, pa.ChunkedArray]
    headers: dict[str, str]
    line: _I64
    word: str  # what a row is called: "line" of a text, "row" of a Parquet file
    kind: str
    ragged: list[tuple[int, str]]

    def add(self, role: str, text: str) -> None:
        """Add a column that says the same in every row."""
        self.columns[role] = pa.chunked_array([pa.array([text] * len(self.line), pa.string())])
        self.headers[role] = role

    def show(self, line: int) -> str:
        """Write a row out, as the columns that are read."""
        at = int(np.searchsorted(self.line, line))
        if at == len(self.line) or self.line[at] != line:
            return f"{self.word} {line}: {dict(self.ragged).get(line, '')}"
        values = (str(column[at].as_py()) for column in self.columns.values())
        return f"{self.word} {line}: {','.join(values)}"


def read_table(
    source: Source,
    pick: Pick,
    *,
    format: str,
    header: Sequence[str] | None = None,
    texts: Sequence[str] = TEXTS,
) -> Table:
    """Read the columns of a file that matter.

    Parameters
    ----------
    pick
        Tells from the headers which column has which role, by its place; it refuses what it
        cannot use.
    format
        Name of the format, for the report.
    header
        Names of the columns of a file that has no header.
    texts
        Roles whose fields are kept as text.

    Raises
    ------
    ImportRefused
        For what is empty, cut off, or no table.
    """
    if source.path.stat().st_size == 0:
        raise ImportRefused(f"{source.name} is empty (0 bytes); get the file again.")
    try:
        if source.head[:4] == b"PAR1":
            return _parquet(source, pick, format)
        return _csv(source, pick, format, header, texts)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise ImportRefused(
            f"{source.name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: "
            "get it again."
        ) from None


def _parquet(source: Source, pick: Pick, format: str) -> Table:
    schema = pa.parquet.read_schema(source.path)
    headers = schema.names
    places = pick(headers)
    for i in places.values():
        if headers.count(headers[i]) > 1:
            raise ImportRefused(
                f"{source.name} has {headers.count(headers[i])} columns called {headers[i]!r}; "
                "rename all but one."
            )
        if pa.types.is_nested(schema.field(i).type):
            raise ImportRefused(
                f"{source.name} has lists or records in its column {headers[i]!r}; write one value "
                "in a row."
            )
    table = read_columns(source, list(dict.fromkeys(headers[i] for i in places.values())))
    columns = {role: table.column(headers[i]) for role, i in places.items()}
    line = np.arange(1, table.num_rows + 1)
    names = {role: headers[i] for role, i in places.items()}
    return Table(columns, names, line, "row", f"{format} Parquet", [])


def frame_table(frame: pd.DataFrame, pick: Pick, *, format: str) -> Table:
    """Return a frame's columns that matter; an index that has a name or times is a column too.

    Parameters
    ----------
    pick
        As of `read_table`.
    format
        Name of the format, for the report.

    Raises
    ------
    ImportRefused
        For columns that are no table: of several levels, or of mixed kinds.
    """
    if frame.columns.nlevels > 1:
        raise ImportRefused(
            "The frame's columns have several levels; take one, such as frame.droplevel(1, axis=1)."
        )
    if not len(frame):
        raise ImportRefused("The frame has no rows.")
    index = frame.index
    if index.nlevels > 1 or index.name is not None:
        frame = frame.reset_index(allow_duplicates=True)
    elif isinstance(index, pd.DatetimeIndex):
        frame = frame.rename_axis("datetime").reset_index(allow_duplicates=True)
    headers = [str(name) for name in frame.columns]
    places = pick(headers)
    columns: dict[str, pa.ChunkedArray] = {}
    for role, i in places.items():
        try:
            array = pa.Array.from_pandas(frame.iloc[:, i])
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # such as numbers and "-" in one column
            array = pa.array(frame.iloc[:, i].map(lambda v: None if pd.isna(v) else str(v)))
        columns[role] = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    names = {role: headers[i] for role, i in places.items()}
    return Table(columns, names, np.arange(1, len(frame) + 1), "row", f"{format} frame", [])


def _csv(
    source: Source,
    pick: Pick,
    format: str,
    given: Sequence[str] | None,
    as_text: Sequence[str],
) -> Table:
    if source.gzipped and not source.head:
        raise ImportRefused(f"{source.name} cannot be read as gzip: get the file again.")
    if source.head.startswith(_UTF_16):
        raise ImportRefused(
            f'{source.name} is text in UTF-16, as Excel\'s "Unicode text" is; save it as CSV in '
            "UTF-8."
        )
    if source.head.startswith(_OLD_EXCEL):
        raise ImportRefused(excel(source.name))
    if not source.head.strip():
        raise ImportRefused(f"{source.name} holds no text; get the file again.")
    if not source.is_text:
        raise ImportRefused(
            f"{source.name} is neither Parquet nor text; give minute bars as Parquet, CSV or "
            "CSV.gz."
        )
    if source.head.lstrip()[:1] in (b"{", b"["):
        raise ImportRefused(f"{source.name} is JSON, and in it are no bars of a known shape.")
    headers = list(source.header if given is None else given)
    if len(headers) < 2:
        raise ImportRefused(
            f"{source.name} is text but no table: its first line is "
            f"{source.lines[source.first][:60]!r}; a header such as "
            "symbol,date,time,open,high,low,close was expected."
        )
    above = source.first + (given is None)  # lines before the first row
    places = pick(headers)
    names = [f"c{i}" for i in range(len(headers))]
    texts = {names[places[r]]: pa.string() for r in as_text if r in places}
    numbers = {names[i]: pa.string() for r, i in places.items() if r not in as_text}
    ragged: list[tuple[int, str]] = []
    blank: list[tuple[int, str]] = []  # lines that are no rows, and have a number all the same

    def set_aside(row: Any) -> str:
        (ragged if row.text.strip() else blank).append((row.number, row.text))
        return "skip"

    def load(types: dict[str, pa.DataType]) -> pa.Table:
        ragged.clear()
        blank.clear()
        with source.open() as stream:  # which tells what is read, and counts what is unpacked
            return pa.csv.read_csv(
                stream,
                pa.csv.ReadOptions(
                    use_threads=False,  # else the reader does not know a row's number
                    column_names=names,
                    skip_rows=above,
                    encoding="utf8" if source.encoding == "utf-8-sig" else "latin-1",
                ),
                pa.csv.ParseOptions(
                    delimiter=source.delimiter,
                    invalid_row_handler=set_aside,
                    ignore_empty_lines=False,
                ),
                pa.csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(dict.fromkeys(names[i] for i in places.values())),
                    null_values=NULLS,
                ),
            )

    try:
        table = load(texts)
        strange = any(
            not (pa.types.is_floating(t) or pa.types.is_integer(t) or pa.types.is_null(t))
            for t in (table.schema.field(n).type for n in numbers)
        )
        if strange:  # such as a column that looks like times of day: read it as what it says
            table = load(texts | numbers)
    except pa.ArrowInvalid:  # a number column turned out to hold text further down
        table = load(texts | numbers)
    aside = {number for number, _ in (*ragged, *blank)}
    count = table.num_rows + len(aside)
    first = above + 1
    line = np.array([n for n in range(first, first + count) if n not in aside], dtype=np.int64)
    empty = _empty(table)
    if empty.any():
        table, line = table.filter(pa.array(~empty)), line[~empty]
    if table.num_rows == 0 and not ragged:
        raise ImportRefused(f"{source.name} has a header and no rows; get the file again.")
    columns = {role: table.column(names[i]) for role, i in places.items()}
    kind = f"{format} CSV, gzipped" if source.gzipped else f"{format} CSV"
    header_of = {role: headers[i] for role, i in places.items()}
    return Table(columns, header_of, line, "line", kind, ragged)


def _empty(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows say nothing in any column that is read: blank lines, or delimiters alone."""
    empty = np.ones(table.num_rows, dtype=bool)
    for column in sorted(table.columns, key=lambda c: not pa.types.is_string(c.type)):
        if not empty.any():  # after the first column, as nearly always
            break
        if pa.types.is_string(column.type):
            nothing = pc.equal(pc.fill_null(column, ""), "")
        else:
            nothing = pc.is_null(column)
        empty &= nothing.to_numpy()
    return empty
