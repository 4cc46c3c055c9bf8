"""Months that are taken out of a store: it is as if they had never been imported."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bestbt.cli import main
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, DataGap, UsageError
from bestbt.markets.india import INDIA
from bestbt.store.store import Store
from bestbt.units import MINUTE, SECOND
from tests.store.clean_market import CALL, PRICES, clean, name, save

CALL_OF = name(CALL)


def prints(store: Store) -> str:
    return store.fingerprint(["NIFTY"], "2020-01-01", "2030-01-01")


def test_a_month_goes_and_its_files_can_come_again(store: Store, tmp_path: Path) -> None:
    dirty = clean(strikes=(22000,))
    mine = dirty.index[dirty["symbol"] == CALL]
    dirty.loc[mine[50], PRICES] += 900
    january = save(clean(days=("2024-01-31",), strikes=(22000,)), tmp_path / "january.csv")
    store.import_file(january, progress=False)
    before = prints(store)
    february = save(dirty, tmp_path / "february.csv")
    report = store.import_file(february, progress=False)
    whole, seen = prints(store), store.prices(CALL_OF)
    assert len(store.quarantine()) == 1
    feed = store.feed("NIFTY", "2024-01-31", "2024-02-05")  # what is in memory must not stay
    assert feed.grid.n == 750
    assert store.forget(CALL_OF, "2024-02") == 374
    assert store.prices(CALL_OF).index.max().month == 1
    assert store.quarantine().empty
    [first, second, told] = store.imports().to_dict("records")
    assert (first["file"], second["file"]) == ("january.csv", "february.csv")
    assert second["report"].forgotten == [f"{CALL_OF} from 2024-02-01 to 2024-02-29"]
    assert "forgotten since" in str(second["report"])
    assert first["report"].forgotten == []
    assert (told["format"], told["file"]) == ("forgotten", second["report"].forgotten[0])
    again = store.import_file(february, progress=False)
    assert (again.stored, again.already) == (report.stored, "")
    assert again.noted["replaced"] == report.stored - 374
    assert prints(store) == whole
    pd.testing.assert_frame_equal(store.prices(CALL_OF), seen)
    assert len(store.quarantine()) == 1  # not twice
    assert store.import_file(february, progress=False).already
    assert store.import_file(january, progress=False).already
    # all of the month: nothing of that file is left, and so its record goes
    assert store.forget("NIFTY", "2024-02-05", derivatives=True) == report.stored
    assert "february.csv" not in store.imports()["file"].tolist()
    assert store.quarantine().empty
    assert prints(store) == before
    with pytest.raises(DataGap):
        store.feed("NIFTY", "2024-02-05", "2024-02-05")
    assert store.import_file(february, progress=False).stored == report.stored
    assert prints(store) == whole


def test_ticks_go_too_and_the_ends_are_those_left(store: Store) -> None:
    spec = ContractSpec("option", "NIFTY", date(2024, 3, 28), 22_000.0, "CE", lot=50)
    sessions = [
        INDIA.sessions(day, day, "derivatives")[0]
        for day in (date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2), date(2024, 3, 1))
    ]
    with store.importing("by hand") as tx:
        for number in (0, 1, 3):
            starts = sessions[number].open + MINUTE * np.arange(3, 6)
            tx.write(spec, starts, np.full(12, 500, dtype=np.int32), np.full(3, 50))
        for number in (0, 2, 3):
            times = sessions[number].open + SECOND * np.arange(10)
            tx.write_ticks(spec, times, np.full(10, 500), np.full(10, 50))
    assert store.forget(str(spec), "2024-01", "2024-02") == 3 + 3 + 10 + 10
    found = store._reader.contract(spec)
    assert found is not None
    assert (found.first, found.last) == (sessions[3].open, sessions[3].open + 5 * MINUTE)
    assert store.coverage()["rows"].tolist() == [10, 3]
    assert store.forget(str(spec), "2024-03") == 13
    assert store.is_empty
    assert store.verify(progress=False).damage == ()


def test_what_is_not_there_is_said(store: Store, tmp_path: Path) -> None:
    store.import_file(save(clean(strikes=(22000,)), tmp_path / "a.csv"), progress=False)
    whole = prints(store)
    with pytest.raises(ContractNotFound, match="No 'SENSEX' in the store"):
        store.forget("SENSEX", "2024-02")
    with pytest.raises(DataGap, match=r"Nothing of NIFTY is stored from 2024-03-01 to 2024-03-31"):
        store.forget("NIFTY", "2024-03")
    with pytest.raises(UsageError, match="end before they start"):
        store.forget("NIFTY", "2024-03", "2024-02")
    with pytest.raises(UsageError, match="is no day"):
        store.forget("NIFTY", "2024-13")
    assert prints(store) == whole
    assert len(store.imports()) == 1


def test_the_terminal_forgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store", os.fspath(tmp_path / "prices.sqlite")]
    file = os.fspath(save(clean(strikes=(22000,)), tmp_path / "a.csv"))
    assert main([*where, "import", file]) == 0
    capsys.readouterr()
    assert main([*where, "store", "forget", CALL_OF, "2024-02"]) == 0
    assert capsys.readouterr().out == (
        f"375 bars and ticks of {CALL_OF} were taken out; import its files again.\n"
    )
    assert main([*where, "store", "forget", CALL_OF, "2024-02"]) == 1
    assert "in the store" in capsys.readouterr().err
