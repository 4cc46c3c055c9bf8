"""Every real minute file, its counts checked against a count made here without the importer."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused
from bestbt.store.quality import QualityReport
from bestbt.store.store import Store

DAY_FILE = "banknifty_20221230.parquet"


def rows_of(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def raw(minute: Path) -> pd.DataFrame:
    frame = pd.read_parquet(minute / DAY_FILE)
    for name in ("open", "high", "low", "close", "volume", "oi"):
        frame[name] = frame[name].astype(float)
    return frame


def test_the_real_day(real: tuple[Store, QualityReport], raw: pd.DataFrame) -> None:
    store, report = real
    at_close = raw["time"] == "15:30:00"
    kept = raw[~at_close]
    assert report.rows == len(raw) == 38758
    assert report.quarantined == {"at-close": int(at_close.sum())} == {"at-close": 48}
    assert report.stored == len(kept)
    assert report.balanced
    assert report.contracts == raw["symbol"].nunique() == 131
    is_option = kept["symbol"].str.contains(r"\d(?:CE|PE)$")
    assert report.symbols == {
        "BANKNIFTY option": int(is_option.sum()),
        "BANKNIFTY future": int((kept["symbol"] == "BANKNIFTY-I").sum()),
        "BANKNIFTY index": int((kept["symbol"] == "BANKNIFTY").sum()),
    }
    paise = kept[["open", "high", "low", "close"]].to_numpy() * 100
    coarse = (np.abs(paise - paise.round()) > 0.001).any(axis=1)
    assert report.repaired == {"rounded": int(coarse.sum())}
    assert report.noted.keys() == {"odd-lot-volume", "gaps", "first-bars"}
    derivative = kept[kept["symbol"] != "BANKNIFTY"]
    assert report.noted["odd-lot-volume"] == int((derivative["volume"] % 25 != 0).sum())
    gaps = 0
    for _, rows in kept.groupby("symbol"):
        minutes = pd.to_timedelta(rows["time"]).dt.total_seconds() / 60
        gaps += int(minutes.max() - minutes.min()) + 1 - len(rows)
    assert report.noted["gaps"] == gaps
    coverage = store.coverage().set_index("kind")
    assert coverage.to_dict()["contracts"]["option"] == 129
    assert coverage.to_dict()["rows"]["option"] == int(is_option.sum())
    assert str(coverage.loc["index", "start"]) == "2022-12-30 09:15:00+05:30"
    assert not coverage["synthetic"].any()


def test_columns_equal_the_raw_file(real: tuple[Store, QualityReport], raw: pd.DataFrame) -> None:
    """400 rows drawn at random, by names read here with a pattern of our own."""
    feed = real[0].feed("BANKNIFTY", "2022-12-30", "2022-12-30")
    chain = [x.spec for x in feed.listed("BANKNIFTY", date(2023, 1, 5))]
    listed: dict[Any, ContractSpec] = {(spec.strike, spec.right): spec for spec in chain}
    future = feed.future("BANKNIFTY", date(2023, 1, 25))
    assert future is not None
    inside = raw[raw["time"] != "15:30:00"]
    for row in inside.sample(400, random_state=3).to_dict("records"):
        option = re.fullmatch(r"BANKNIFTY05JAN23(\d+)(CE|PE)", row["symbol"])
        if option:
            spec = listed[(float(option[1]), option[2])]
        else:
            spec = feed.spot("BANKNIFTY") if row["symbol"] == "BANKNIFTY" else future
        hour, minute, _ = map(int, row["time"].split(":"))
        columns = feed.columns(spec)
        assert columns is not None
        i = hour * 60 + minute - 555 - columns.first
        assert columns.live[i]
        got = (columns.open[i], columns.high[i], columns.low[i], columns.close[i])
        wanted = [round(row[name], 2) for name in ("open", "high", "low", "close")]
        assert np.allclose(got, wanted, atol=1e-9)
        if spec.expiry is None:
            assert columns.volume is None
        else:
            assert columns.volume is not None
            assert columns.oi is not None
            assert (columns.volume[i], columns.oi[i]) == (row["volume"], row["oi"])
    for spec in listed.values():
        columns = feed.columns(spec)
        assert columns is not None
        name = f"BANKNIFTY05JAN23{spec.strike:.0f}{spec.right}"
        assert int(columns.live.sum()) == int((inside["symbol"] == name).sum())


def test_lots_and_expiries_are_dated(real: tuple[Store, QualityReport]) -> None:
    feed = real[0].feed("BANKNIFTY", "2022-12-30", "2022-12-30")
    chain = feed.listed("BANKNIFTY", date(2023, 1, 5))
    assert {(x.spec.lot, x.spec.tick) for x in chain} == {(25, 5)}
    keys = [(x.spec.strike, x.spec.right) for x in chain]
    assert keys == sorted(keys)
    assert [(e.day, e.kind) for e in feed.expiries("BANKNIFTY")] == [(date(2023, 1, 5), "weekly")]
    futures = feed.expiries("BANKNIFTY", "future")
    assert [(e.day, e.kind) for e in futures] == [(date(2023, 1, 25), "monthly")]


@pytest.mark.parametrize("name", ["nifty", "banknifty"])
def test_the_index_of_2024(store: Store, minute: Path, name: str) -> None:
    file = minute / f"{name}_spot_2024.csv.gz"
    given = "BANKNIFTY" if name == "banknifty" else None
    report = store.import_file(file, symbol=given, progress=False)
    rows = rows_of(file)
    late = Counter(r["Time"] == "15:30" for r in rows if r["Time"] >= "15:30")
    assert report.rows == len(rows) == 58127
    assert report.quarantined == {"after-close": late[False], "at-close": late[True]}
    assert report.quarantined == {"after-close": 166, "at-close": 1}
    assert report.stored == len(rows) - 167 == 57960
    assert report.balanced
    assert report.repaired == ({"symbol-given": 57960} if given else {})
    symbol = name.upper()
    for day in (date(2024, 3, 2), date(2024, 5, 18)):  # Saturdays in two parts
        seen = store.prices(symbol, day, day)
        times = [f"{t:%H:%M}" for t in seen.index]
        assert times == [r["Time"] for r in rows if r["Date"] == f"{day:%Y%m%d}"]
        assert len(times) == 105
    assert len(store.prices(symbol, "2024-01-20", "2024-01-20")) == 375
    pick = np.random.default_rng(5).choice(len(rows), 200, replace=False)
    prices: dict[Any, Any] = store.prices(symbol).to_dict("index")
    for i in pick:
        row = rows[i]
        if row["Time"] >= "15:30":
            continue
        at = pd.Timestamp(f"{row['Date']} {row['Time']}", tz="Asia/Kolkata")
        wanted = [float(row[c]) for c in ("Open", "High", "Low", "Close")]
        assert list(prices[at].values()) == wanted


def test_the_index_of_2009(store: Store, minute: Path) -> None:
    file = minute / "nifty_spot_2009.csv.gz"
    report = store.import_file(file, progress=False)
    rows = rows_of(file)
    at_close = sum(r["Time"] == "15:30" for r in rows)
    assert report.rows == len(rows) == 76897
    assert report.quarantined == {"at-close": at_close} == {"at-close": 227}
    assert report.stored == len(rows) - at_close
    assert report.balanced
    short = next(f for f in report.findings if f.rule == "short-session")
    assert (short.rows, short.samples) == (1, ["2009-05-18: 2 of 335 bars"])
    by_day = Counter(r["Date"] for r in rows)
    first = {day: min(r["Time"] for r in rows if r["Date"] == day) for day in list(by_day)[-45:]}
    stamped = sum(t == "09:56" for t in first.values())
    assert report.noted["looks-end-stamped"] == stamped
    feed = store.feed("NIFTY", "2009-05-15", "2009-05-19")
    columns = feed.columns(feed.spot("NIFTY"))
    assert columns is not None
    assert len(feed.grid.sessions) == 3
    middle = columns.live[335:670]
    assert np.flatnonzero(middle).tolist() == [0, 120]  # 09:55 and 11:55
    assert columns.close[335 + 334] == 4308.05  # carried to the close


def test_stamps_of_bar_ends_are_moved(store: Store, minute: Path) -> None:
    report = store.import_file(minute / "nifty_spot_2009.csv.gz", stamp="end", progress=False)
    assert report.repaired["end-stamped"] == report.stored
    last = store.prices("NIFTY", "2009-12-31", "2009-12-31")
    assert len(last) == 335
    assert f"{last.index[0]:%H:%M} {last.index[-1]:%H:%M}" == "09:55 15:29"


def test_a_wrong_instrument_name_is_seen(store: Store, minute: Path) -> None:
    file = minute / "banknifty_spot_2024.csv.gz"
    with pytest.raises(ImportRefused, match='symbol="BANKNIFTY"'):
        store.import_file(file, progress=False)
    assert store.is_empty
    assert store.import_file(file, symbol="BANKNIFTY", progress=False).stored == 57960


def test_a_wrong_instrument_level_is_seen(store: Store, minute: Path, tmp_path: Path) -> None:
    """Under a name that says nothing, the level of what is stored tells."""
    store.import_file(minute / "nifty_spot_2024.csv.gz", progress=False)
    plain = tmp_path / "spot_2024.csv.gz"
    plain.write_bytes((minute / "banknifty_spot_2024.csv.gz").read_bytes())
    before = store.fingerprint(["NIFTY"], "2024-01-01", "2024-08-31")
    with pytest.raises(ImportRefused, match="looks like another index"):
        store.import_file(plain, progress=False)
    with pytest.raises(ImportRefused, match="the name given is wrong"):
        store.import_file(plain, symbol="NIFTY", progress=False)
    assert store.fingerprint(["NIFTY"], "2024-01-01", "2024-08-31") == before
    assert store.import_file(plain, symbol="BANKNIFTY", progress=False).repaired
    assert store.feed(["NIFTY", "BANKNIFTY"], "2024-01-01", "2024-01-05").grid.n == 5 * 375


def test_synthetic_is_said_per_symbol(real: tuple[Store, QualityReport]) -> None:
    assert not real[0].synthetic("BANKNIFTY")
    assert real[0].bounds("BANKNIFTY") == (date(2022, 12, 30), date(2022, 12, 30))


def test_the_report_is_kept_with_the_import(real: tuple[Store, QualityReport]) -> None:
    store, report = real
    kept = store.imports()
    assert kept["rows"].tolist() == [38758]
    assert kept["report"][0] == report
    assert "38,758 rows read, 38,710 stored" in str(report)
    assert "at-close" in report._repr_html_()
    assert report.to_frame()["rows"].sum() == sum(f.rows for f in report.findings)
    finding = next(f for f in report.findings if f.rule == "at-close")
    assert len(finding.samples) == 20
    assert finding.samples[0].startswith("row 350: BANKNIFTY05JAN2336500PE,2022-12-30,15:30:00")
