"""Answers of brokers' data services, saved as JSON: read with care, and as a table of bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bestbt.errors import ImportRefused
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import Table

__all__ = ["answer_table", "load", "number", "shows_json"]


def shows_json(source: Source) -> str:
    """Return the beginning of a text that may be JSON; "" of another file."""
    if not source.is_text:
        return ""
    text = source.head.decode("utf-8-sig", errors="replace").lstrip()
    return text if text[:1] in ("{", "[") else ""


def load(source: Source) -> Any:
    """Return what a file of JSON holds; one that is broken is refused."""
    with source.open() as stream:
        content = stream.read()
    if not content:
        raise ImportRefused(f"{source.name} is empty (0 bytes); get the file again.")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ImportRefused(
            f"{source.name} is no whole JSON ({str(error).splitlines()[0]}); it may be cut off: "
            "get it again."
        ) from None


def number(value: object) -> float | None:
    """Return a number, or None for what is none.

    >>> number("21.5"), number(True), number(None)
    (21.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def answer_table(
    columns: Mapping[str, Sequence[Any]],
    line: Sequence[int],
    kind: str,
    word: str,
    ragged: Sequence[tuple[int, str]] = (),
) -> Table:
    """Return columns of an answer by role as a table; texts as they are, the rest as numbers."""
    made = {
        role: pa.chunked_array(
            [
                pa.array([None if v is None else str(v) for v in values], pa.string())
                if role in ("symbol", "datetime")
                else pa.array([number(v) for v in values], pa.float64())
            ]
        )
        for role, values in columns.items()
    }
    headers = {role: role for role in columns}
    return Table(made, headers, np.array(line, dtype=np.int64), word, kind, list(ragged))
