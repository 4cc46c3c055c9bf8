"""Files with few rows: what they do not show by themselves, the files of their folder tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bestbt.store.importers.columns import bar_length
from bestbt.store.store import Store
from bestbt.units import MINUTE
from tests.store.clean_market import clean, save

HEADER = "symbol,date,time,open,high,low,close,volume,oi"
OPEN = 1_706_759_100 * 10**9  # 2024-02-01 09:15 in India


def written(folder: Path, name: str, minutes: Sequence[int], volume: int = 50) -> Path:
    """A file of one call's rows, so many minutes after the open."""
    rows = [
        f"NIFTY24FEB{name}CE,20240201,{9 + (15 + m) // 60:02}:{(15 + m) % 60:02},9,9,9,9,{volume},0"
        for m in minutes
    ]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join([HEADER, *rows, ""]))
    return folder / f"{name}.csv"


@pytest.mark.parametrize(
    ("minutes", "found", "thin"),
    [
        ([0, 2], 1, 2),  # 09:15 and 09:17
        ([0, 15], 1, 15),
        ([0, 15, 30, 45], 15, None),
        ([0, 5, 10, 15, 25], 5, None),
        ([0, 2, 4, 6, 8], 1, 2),
        (range(0, 60, 2), 2, None),  # ten and more that are alike are no chance
        ([3, 5, 12], 1, None),
        ([30], 1, 30),
        ([0], 1, 0),
    ],
)
def test_how_long_the_bars_of_few_rows_are(
    minutes: Sequence[int], found: int, thin: int | None
) -> None:
    at = np.array([OPEN + m * MINUTE for m in minutes])
    length, apart = bar_length(at, np.zeros(len(at), dtype=np.int64), "Asia/Kolkata")
    assert (length // MINUTE, None if apart is None else apart // MINUTE) == (found, thin)


def test_minutes_follow_a_thin_contract(store: Store, tmp_path: Path) -> None:
    store.import_file(written(tmp_path, "22000", [0, 2]), progress=False)
    assert store.coverage()["bar"].tolist() == ["1min"]
    (tmp_path / "more.csv").write_text((tmp_path / "22000.csv").read_text().replace(":17", ":18"))
    store.import_file(tmp_path / "more.csv", progress=False)
    assert len(store.prices("NIFTY 2024-02-29 22000 CE")) == 3


def test_a_thin_file_has_the_bars_of_its_folder(store: Store, tmp_path: Path) -> None:
    for name, minutes in (("21000", [0, 30]), ("21100", [30]), ("21200", [0, 10])):
        written(tmp_path / "in", name, minutes)
    for name in ("22000", "22100"):
        written(tmp_path / "in", name, range(0, 300, 15))
    report = store.import_file(tmp_path / "in", progress=False)
    assert (report.files, report.stored, report.refused) == (5, 45, {})
    found = store.coverage().set_index("bar")["contracts"]
    assert found.to_dict() == {"1min": 1, "15min": 4}  # one does not fit: it has minutes
    written(tmp_path / "in", "20900", [45])  # tomorrow's; those that were there tell it still
    again = store.import_file(tmp_path / "in", progress=False)
    assert again.stored == 1
    assert store.coverage().set_index("bar")["contracts"]["15min"] == 5


@pytest.mark.parametrize("counted", ["lots", "units"])
def test_volume_is_judged_over_a_folder(store: Store, tmp_path: Path, counted: str) -> None:
    """One file a contract: few of them have the numbers that it takes alone."""
    table = clean(strikes=(21900, 22000, 22100))
    options = table["symbol"].str.contains("CE|PE")
    units = (1 + np.arange(len(table)) * 7 % 61).astype(float) * 50
    table["volume"] = np.where(options, units / 50 if counted == "lots" else units, 0.0)
    folder = tmp_path / "in"
    folder.mkdir()
    for number, (name, mine) in enumerate(table.groupby("symbol")):
        short = mine.iloc[:: 40 if number % 2 else 1]
        save(short, folder / f"{name}.csv")
    report = store.import_file(folder, progress=False)
    rows = sum(len(store.prices(spec)) for spec in names(store))
    assert report.repaired == ({"volume-in-lots": rows} if counted == "lots" else {})
    for spec in names(store):
        volume = store.prices(spec)["volume"]
        assert (volume % 50 == 0).all()
        assert volume.max() <= 61 * 50
    fingerprint = store.fingerprint(["NIFTY"], "2024-01-01", "2024-12-31")
    thin = min(folder.iterdir(), key=lambda f: f.stat().st_size)
    first = thin.read_text()
    thin.write_text(first + "\n")  # another file by its content; judged with what the others told
    store.import_file(folder, progress=False)
    assert store.fingerprint(["NIFTY"], "2024-01-01", "2024-12-31") == fingerprint


def names(store: Store) -> list[str]:
    stored = store._reader.contracts("option", "NIFTY")
    return [str(contract.spec) for contract in stored]
