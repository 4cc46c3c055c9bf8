"""All the real data that can be imported, in one store on each database: the same to the last bit.

How many rows each file has and what of them is stored is held against counts of the raw files in
the tests of their importers; here the numbers are those of both stores together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bestbt.store.store import Store
from tests.postgres import Databases

FILES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("minute/banknifty_20221230.parquet", {}),
    ("minute/nifty_spot_2009.csv.gz", {}),
    ("minute/nifty_spot_2024.csv.gz", {}),
    ("minute/banknifty_spot_2024.csv.gz", {"symbol": "BANKNIFTY"}),
    ("reference_sets/nifty_gold_sample.parquet", {}),
    ("odd/nifty50_history.csv", {"symbol": "NIFTY"}),
    ("odd/option_contract_data.csv", {"symbol": "BANKNIFTY10FEB2238500CE"}),
    ("ticks", {}),
    ("eod", {}),
    ("chain_2019/nse_index_chains_20190516_20190731.tar.xz", {}),
)
ONE_PRICE = {"columns": dict.fromkeys(("open", "high", "low", "close"), "<close>")}


def fill(address: str, data: Path) -> tuple[str, pd.DataFrame, dict[str, int]]:
    """Import everything; return fingerprint, coverage and rows stored by file."""
    store = Store.open(address)
    stored = {}
    for name, options in FILES:
        said = options | (ONE_PRICE if "contract_data" in name else {})
        report = store.import_file(data / name, progress=False, **said)
        assert report.balanced, report
        stored[name] = report.stored
    found = store.fingerprint(["NIFTY", "BANKNIFTY"], "2009-01-01", "2026-12-31")
    coverage = store.coverage()
    assert store.verify(progress=False).damage == ()
    store.close()
    return found, coverage, stored


def test_all_real_data_are_the_same_on_both(
    shared: Path, tmp_path: Path, databases: Databases
) -> None:
    data = shared / "data"
    address = databases.take()
    try:
        server = fill(address, data)
    finally:
        databases.give_back(address)
    file = fill(str(tmp_path / "all.sqlite"), data)
    assert server[0] == file[0]
    pd.testing.assert_frame_equal(server[1], file[1])
    assert server[2] == file[2]
    rows = file[1].set_index(["symbol", "kind", "bar"])["rows"]
    bars = sum(n for name, n in file[2].items() if name not in ("eod", "ticks"))
    of_ticks = int(rows[rows.index.get_level_values("bar") == "tick"].sum())
    assert int(rows.sum()) - of_ticks == bars
    assert of_ticks == file[2]["ticks"]
