"""Rows that were set aside: listed, taken back, traded, and never set aside again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from bestbt import Backtest, Strategy, at
from bestbt.errors import UsageError
from bestbt.store import quality
from bestbt.store.quality import QualityReport
from bestbt.store.schema import Quarantine
from bestbt.store.store import Store
from tests.store.clean_market import CALL, PRICES, clean, name, save, seen


def dirty() -> pd.DataFrame:
    """Return a clean day with a spike at 10:05, a bar without trade, a double and a holiday."""
    table = clean(strikes=(22000,))
    mine = table.index[table["symbol"] == CALL]
    table.loc[mine[50], PRICES] += 900
    table.loc[mine[60], "volume"] = 0
    table.loc[mine[70], PRICES] = np.nan
    again = table.loc[[mine[80]]].assign(close=table.loc[mine[80], "open"])
    sunday = table.loc[[mine[90]]].assign(time=pd.Timestamp("2024-02-04 10:00"))
    return pd.concat([table, again, sunday], ignore_index=True)


@pytest.fixture
def imported(store: Store, tmp_path: Path) -> QualityReport:
    return store.import_file(save(dirty(), tmp_path / "bars.csv"), progress=False)


REASONS = {"spike": 1, "no-trade": 1, "no-price": 1, "duplicate-conflict": 1, "no-session": 1}


def test_rows_are_listed_as_they_came(store: Store, imported: QualityReport) -> None:
    assert imported.quarantined == REASONS
    listed = store.quarantine()
    assert listed["reason"].value_counts().to_dict() == REASONS
    assert listed["readmitted"].isna().all()
    table = dirty()
    for row in listed.to_dict("records"):
        source = table.iloc[row["line"] - 2]  # after the header, counted from 1
        assert row["text"].startswith(f"line {row['line']}: {CALL},")
        assert str(source["time"]) in row["text"]
        assert (row["file"], row["contract"], row["rows"]) == ("bars.csv", name(CALL), 1)
        assert row["time"] == source["time"].tz_localize("Asia/Kolkata")
        got = [row[column] for column in (*PRICES, "volume", "oi")]
        np.testing.assert_allclose(got, source[[*PRICES, "volume", "oi"]].astype(float))
        assert np.isnan(row["bid"])
    assert store.quarantine(reason="spike")["reason"].tolist() == ["spike"]
    assert len(store.quarantine(import_id=int(listed["import_id"][0]))) == 5
    assert store.quarantine(import_id=99).empty
    assert store.quarantine(import_id=99).columns.tolist() == listed.columns.tolist()


class Buyer(Strategy):
    """Buys the call at 10:05, for what its bar opens at."""

    @at("10:05")
    def enter(self) -> None:
        self.buy(self.get_atm("CE"), lots=1)


def bought(store: Store) -> tuple[str, float]:
    free: dict[str, Any] = {"slippage": 0, "fees": "none"}
    run = Backtest(Buyer, store, "NIFTY", start="2024-02-05", end="2024-02-05", **free).run()
    [fill] = run.fills.to_dict("records")
    return f"{fill['time']:%H:%M}", fill["price"]


def test_a_row_taken_back_is_traded_like_any_other(store: Store, imported: QualityReport) -> None:
    source = seen(dirty().iloc[:-2], CALL)
    spike, after = source.iloc[50], source.iloc[51]
    assert bought(store) == ("10:06", after["open"])  # 10:05 is stale: nothing trades on it
    report = store.readmit(reason="spike")
    assert (report.rows, report.stored, report.balanced) == (1, 1, True)
    assert bought(store) == ("10:05", spike["open"])  # what is in memory is of the store before
    got = store.prices(name(CALL)).loc[source.index[50]]
    assert got.tolist() == spike.tolist()
    marked = store.quarantine().set_index("reason")["readmitted"]
    assert marked.notna().sum() == 1
    assert marked["spike"] > pd.Timestamp("2024-01-01", tz="UTC")
    assert store.imports()["format"].tolist()[-1] == "re-admitted"


def test_the_report_on_a_row_taken_back_says_nothing_of_the_bars_around_it(
    store: Store, imported: QualityReport
) -> None:
    told = str(store.readmit(reason="spike"))
    assert told.splitlines() == [
        "bars.csv (re-admitted): 1 row read, 1 stored",
        "  NIFTY option: 1",
    ]


def test_taking_back_twice_changes_nothing(store: Store, imported: QualityReport) -> None:
    ids = store.quarantine(reason="spike")["id"]
    store.readmit(ids)
    before = store.fingerprint(["NIFTY"], "2024-02-01", "2024-02-29")
    count = len(store.imports())
    again = store.readmit(ids)
    assert (again.rows, again.stored, again.noted) == (0, 0, {"readmitted-before": 1})
    assert again.balanced
    assert len(store.imports()) == count
    assert store.fingerprint(["NIFTY"], "2024-02-01", "2024-02-29") == before


def test_what_no_bar_can_hold_stays(store: Store, imported: QualityReport) -> None:
    report = store.readmit(store.quarantine()["id"])
    assert (report.rows, report.stored) == (5, 3)
    assert report.quarantined == {"no-price": 1, "no-session": 1}
    assert report.balanced
    assert len(store.quarantine()) == 5  # nothing is listed twice
    got = store.prices(name(CALL))
    assert got["volume"].iloc[60] == 0
    first = seen(dirty().iloc[:-2], CALL)
    assert (
        got["close"][first.index[80]] == first["close"].iloc[80]
    )  # of the two, the one taken back
    with pytest.raises(UsageError, match="Say which rows"):
        store.readmit()


def test_later_imports_do_not_judge_it_again(
    store: Store, imported: QualityReport, tmp_path: Path
) -> None:
    file = tmp_path / "bars.csv"
    for reason in ("spike", "no-trade", "duplicate-conflict"):
        store.readmit(reason=reason)
    whole = store.prices(name(CALL))
    repeated = store.import_file(file, again=True, progress=False)
    # of the two that name one bar, the other one now gives way
    assert repeated.quarantined == {"no-price": 1, "no-session": 1, "duplicate-conflict": 1}
    pd.testing.assert_frame_equal(store.prices(name(CALL)), whole)
    assert len(store.quarantine()) == 3 + 3  # those of the first import are replaced
    same = save(dirty().iloc[::-1], tmp_path / "other.csv")  # another file with these rows
    assert "spike" not in store.import_file(same, progress=False).quarantined
    worse = dirty()
    worse.loc[worse.index[worse["symbol"] == CALL][50], PRICES] += 100  # another price: judged
    assert store.import_file(save(worse, file), progress=False).quarantined["spike"] == 1


def test_counts_are_exact_and_what_is_kept_is_bounded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "KEPT", 40)
    table = clean(strikes=(22000,))
    table.loc[table.index[table["symbol"] == CALL][100:300], "volume"] = 0
    table.loc[table.index[table["symbol"] == CALL][320:330], PRICES] = 0
    report = store.import_file(save(table, tmp_path / "bars.csv"), progress=False)
    assert report.quarantined == {"no-trade": 200, "price-not-positive": 10}
    assert report.noted["quarantine-bounded"] == 160
    kept = store.quarantine()["reason"].value_counts().to_dict()
    assert kept == {"no-trade": 40, "price-not-positive": 10}
    assert store.readmit(reason="no-trade").stored == 40


def test_rows_that_were_not_understood_are_kept_too(store: Store, tmp_path: Path) -> None:
    file = save(clean(minutes=20, strikes=(22000,)), tmp_path / "bars.csv")
    with file.open("a") as stream:
        stream.write("NIFTY,never,1,1,1,1,0,0\nNIFTY,2024-02-05 10:00,1\n")
    store.import_file(file, progress=False)
    listed = store.quarantine().set_index("reason")
    assert listed.loc["ragged-row", "text"] == "line 63: NIFTY,2024-02-05 10:00,1"
    assert listed["line"].to_dict() == {"unreadable-time": 62, "ragged-row": 63}
    assert listed["contract"].isna().all()
    report = store.readmit(listed["id"])
    assert (report.stored, report.quarantined) == (0, {"unreadable-time": 1, "ragged-row": 1})


def test_a_refused_file_leaves_nothing(store: Store, tmp_path: Path) -> None:
    table = clean(minutes=5)
    table[PRICES] = 0
    with pytest.raises(Exception, match="No row"):
        store.import_file(save(table, tmp_path / "bars.csv"), progress=False)
    with store.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Quarantine)).scalar() == 0


def test_of_rows_of_one_bar_taken_back_together_the_last_stands(
    store: Store, tmp_path: Path
) -> None:
    table = clean(strikes=(22000,))
    bar = table.index[table["symbol"] == CALL][80]
    close = [table.loc[bar, "open"], table.loc[bar, "high"]]
    doubles = [table.loc[[bar]].assign(close=c) for c in close]
    table = pd.concat([*doubles, table], ignore_index=True)
    report = store.import_file(save(table, tmp_path / "bars.csv"), progress=False)
    assert report.quarantined == {"duplicate-conflict": 2}
    first = store.readmit(reason="duplicate-conflict")
    assert (first.rows, first.stored, first.balanced) == (2, 1, True)
    assert store.prices(name(CALL))["close"].iloc[80] == close[1]
    again = store.readmit(reason="duplicate-conflict")  # did store the other one
    assert (again.rows, again.noted) == (0, {"readmitted-before": 2})
    assert store.prices(name(CALL))["close"].iloc[80] == close[1]


def test_a_row_taken_back_says_nothing_of_the_bars_around_it(
    store: Store, imported: QualityReport
) -> None:
    assert store.readmit(reason="spike").noted == {}  # the store has all bars before it


def test_what_is_not_in_quarantine_is_told(store: Store, imported: QualityReport) -> None:
    for ask in (store.quarantine, store.readmit):
        with pytest.raises(UsageError, match=r"No rule is called 'spikes'\. Did you mean 'spike'"):
            ask(reason="spikes")
    with pytest.raises(UsageError, match="No row 999 is in quarantine"):
        store.readmit([1, 999])
    assert store.quarantine()["readmitted"].isna().all()
    assert store.quarantine(reason="frozen").empty  # a rule by which nothing was set aside
