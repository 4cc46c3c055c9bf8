"""A small Parquet file that would fill the memory is refused before it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from bestbt.errors import ImportRefused
from bestbt.store.importers import source as sources
from bestbt.store.store import Store
from tests.conftest import ROOT

PRICES = ("open", "high", "low", "close")
TIME = "2024-01-03 09:15:00"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "prices.sqlite")


def table(rows: int, symbol: str = "NIFTY", **other: pa.Array) -> pa.Table:
    columns = {"symbol": _same(symbol, rows), "datetime": _same(TIME, rows)}
    columns |= {name: pa.array(np.full(rows, 5.0)) for name in PRICES}
    return pa.table(columns | other)


def _same(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text]).cast(pa.string())


def bomb(file: Path, what: str) -> None:
    """Write a file of some KB that takes more than 8 MB in memory."""
    if what == "many rows":
        pa.parquet.write_table(table(300_000), file)
    elif what == "long texts":
        pa.parquet.write_table(table(1_000, "N" * 10_000), file)
    else:
        close = _same("0" * 10_000, 1_000)
        pa.parquet.write_table(
            table(1_000, close=close), file, use_dictionary=False, compression="zstd"
        )


@pytest.mark.parametrize("what", ["many rows", "long texts", "pages that pack well"])
def test_a_bomb_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(sources, "FREE", 4 << 20)
    file = tmp_path / "bomb.parquet"
    bomb(file, what)
    assert file.stat().st_size < 20_000
    with pytest.raises(ImportRefused, match=r"more than 200 times its size.*fewer rows") as refused:
        store.import_file(file, progress=False)
    assert "\n" not in str(refused.value)
    assert store.is_empty
    store.close()


def test_lists_and_records_are_no_prices(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    for nested in ([[TIME]], [{"at": TIME}]):
        pa.parquet.write_table(table(1, datetime=pa.array(nested)), file)
        with pytest.raises(ImportRefused, match="lists or records in its column 'datetime'"):
            store.import_file(file, progress=False)
    store.close()


def test_an_export_that_is_a_bomb_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = pd.date_range("2024-01-03 09:15", periods=2, freq="min")
    frame = pd.DataFrame(dict.fromkeys(PRICES, 5.0), index=times)
    store.import_frame(frame, symbol="NIFTY")
    store.export("NIFTY", tmp_path / "two.parquet", progress=False)
    rows = pa.parquet.read_table(tmp_path / "two.parquet")
    many = rows.take(np.zeros(200_000, np.int64)).unify_dictionaries()
    pa.parquet.write_table(many, tmp_path / "many.parquet", compression="zstd")
    monkeypatch.setattr(sources, "FREE", 4 << 20)
    with pytest.raises(ImportRefused, match="more than 200 times its size"):
        store.import_file(tmp_path / "many.parquet", progress=False)
    assert len(store.imports()) == 1
    store.close()


def test_prices_that_pack_well_are_no_bomb(store: Store, tmp_path: Path) -> None:
    pa.parquet.write_table(table(2_000), tmp_path / "same.parquet", compression="zstd")
    report = store.import_file(tmp_path / "same.parquet", progress=False)
    assert (report.rows, report.stored) == (2_000, 1)
    store.close()


# Imports a file and says what it was told, and how many KiB of memory that took.
GREEDY = """
import resource, sys
from bestbt.store.store import Store

store = Store.open(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    store.import_file(sys.argv[2], progress=False)
except Exception as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_refusal_takes_no_memory(tmp_path: Path) -> None:
    """Of the 2 GB that forty million rows would take."""
    file = tmp_path / "bomb.parquet"
    rows = table(1_000_000)
    with pa.parquet.ParquetWriter(file, rows.schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(rows)
    done = subprocess.run(
        [sys.executable, "-c", GREEDY, str(tmp_path / "prices.sqlite"), str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    kind, kib = done.stdout.split()
    assert kind == "ImportRefused"
    assert int(kib) < 100 << 10
