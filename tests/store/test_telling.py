"""What an import tells of how far it has come."""

from __future__ import annotations

import gzip
import re
from contextlib import redirect_stderr
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bestbt.store.importers.parquet import read_columns
from bestbt.store.importers.source import Source
from bestbt.store.store import Store
from tests.screen import Screen
from tests.store.test_import_dirty import CALL, DAY, write


def test_each_stage_has_a_bar_of_its_own(store: Store, tmp_path: Path) -> None:
    rows = [f"{CALL},{DAY},09:15,10,12,9,11,50,100", f"NIFTY,{DAY},09:15,1,1,1,1,0,0"]
    file = write(tmp_path, *rows)
    with redirect_stderr(Screen()) as screen:
        store.import_file(file)
    shown = [re.search(r"(\S+) \[.*, (.*?)\]", part) for part in screen.getvalue().split("\r")]
    told = [(one[1].rpartition("/")[2], one[2]) for one in shown if one]
    assert told[0] == (f"{file.stat().st_size}", "taking it apart")
    assert ("13", "off chain") in told
    assert told[-1] == ("2", "stored")
    assert screen.left == ""


@pytest.mark.parametrize("packed", [False, True])
def test_how_much_of_a_file_is_read_is_told(tmp_path: Path, packed: bool) -> None:
    text = "".join(f"NIFTY,2024-01-01,{n}\n" for n in range(200_000)).encode()
    file = tmp_path / "a.csv"
    file.write_bytes(gzip.compress(text, 1) if packed else text)
    told: list[tuple[int, int, str]] = []
    source = Source(file, tell=lambda *now: told.append(now))
    with source.open() as stream:
        assert stream.read() == text
    size = file.stat().st_size
    assert told[-1] == (size, size, "taking it apart")
    assert len(told) > 1 or packed
    assert [done for done, *_ in told] == sorted({done for done, *_ in told})
    assert {total for _, total, _ in told} == {size}


def test_how_much_of_a_parquet_file_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"a": list(range(100)), "b": ["x", "y"] * 50})
    file = tmp_path / "a.parquet"
    pq.write_table(table, file, row_group_size=25)
    told: list[tuple[int, int, str]] = []
    source = Source(file, tell=lambda *now: told.append(now))
    monkeypatch.setattr("bestbt.store.importers.parquet._ROWS", 40)  # two groups
    assert read_columns(source, ["a", "b"]).equals(table)
    size = file.stat().st_size
    assert [done for done, *_ in told] == [size * n // 4 for n in (2, 4)]
