"""LEAN's zips: what they hold comes back joined, what is not safe or not ours is refused."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bestbt.errors import ImportRefused
from bestbt.markets.demo import DemoSeries, generate
from bestbt.store.store import Store
from tests.vendors import lean

DAY = date(2024, 1, 3)
NEVER = "european_call_217000000_20240105"  # no NIFTY contract expires on a Friday
CALL = "NIFTY 2024-01-04 21700 CE"


@pytest.fixture(scope="module")
def market() -> list[DemoSeries]:
    names = {"NIFTY", CALL, "NIFTY 2024-01-04 21500 PE"}
    return [s for s in generate("NIFTY", DAY, DAY) if str(s.spec) in names]


def zipped(folder: Path, texts: dict[str, str], name: str = "20240103_trade.zip") -> Path:
    file = folder / name
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in texts.items():
            archive.writestr(entry, text)
    return file


def test_a_folder_comes_back_joined(store: Store, market: list[DemoSeries], tmp_path: Path) -> None:
    report = store.import_file(lean.write(tmp_path, market), progress=False)
    index = market[0]
    assert report.quarantined == {
        "other-day": len(index.starts) + 2,
        "before-open": 1,
        "at-close": 1,
    }
    assert report.stored == sum(len(s.starts) for s in market)
    assert report.balanced
    assert report.contracts == 3
    for source in market:
        seen: Any = store.prices(str(source.spec))
        assert np.array_equal(seen.index.as_unit("ns").asi8, source.starts)
        quads = source.points.reshape(-1, 4)
        wanted = (quads[:, 0], quads.max(axis=1), quads.min(axis=1), quads[:, 3])
        for column, values in zip(("open", "high", "low", "close"), wanted, strict=True):
            assert np.array_equal(np.rint(seen[column] * 100), values)
        if source.volume is None:
            assert "bid" not in seen
            continue
        assert np.array_equal(seen["volume"], source.volume)  # contracts times the lot
        assert source.oi is not None
        assert np.array_equal(seen["oi"], source.oi)
        assert np.array_equal(np.rint(seen["bid"] * 100), quads[:, 3] - 5)
        assert np.array_equal(np.rint(seen["ask"] * 100), quads[:, 3] + 5)


def test_one_zip_of_trades_has_no_quotes(
    store: Store, market: list[DemoSeries], tmp_path: Path
) -> None:
    folder = lean.write(tmp_path, market)
    (trades,) = folder.rglob("20240103_trade_european.zip")
    assert store.import_file(trades, progress=False).contracts == 2
    assert list(store.prices(CALL)) == ["open", "high", "low", "close", "volume"]


def test_quotes_without_a_trade_give_their_middle(store: Store, tmp_path: Path) -> None:
    rows = [
        "33300000,995000,1005000,985000,995000,1,1005000,1015000,1000000,1006000,1",
        "33360000,,,,,0,1005000,1005000,1005000,1005000,1",  # an ask alone
        "33420000,995000,995000",  # cut off
    ]
    entry = "20240103_nifty_minute_quote_european_call_217000000_20240104.csv"
    file = zipped(tmp_path, {entry: "\n".join(rows)}, "20240103_quote_european.zip")
    report = store.import_file(file, progress=False)
    assert report.quarantined == {"ragged-row": 1, "one-quote": 1}
    assert report.repaired == {"mid-of-quotes": 1}
    assert (report.rows, report.stored) == (3, 1)
    (row,) = store.prices(CALL).to_dict("records")
    assert row == {
        **{"open": 100, "high": 101, "low": 99.25, "close": 100.05},
        **{"volume": 0, "bid": 99.5, "ask": 100.6},
    }


def test_trades_of_a_share_are_ten_thousandths(store: Store, tmp_path: Path) -> None:
    file = zipped(
        tmp_path, {"20240103_sbin_minute_trade.csv": "33300000,6410500,6420000,6400000,6411000,75"}
    )
    store.import_file(file, progress=False)
    (row,) = store.prices("SBIN").to_dict("records")
    assert row == {"open": 641.05, "high": 642, "low": 640, "close": 641.1, "volume": 75}


def test_a_folder_is_imported_once(store: Store, market: list[DemoSeries], tmp_path: Path) -> None:
    folder = lean.write(tmp_path, market)
    store.import_file(folder, progress=False)
    assert store.import_file(folder, progress=False).already


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"20240103_spx_minute_trade.csv": "33300000,3764.61,3769.9,3764.6,3766.6,5"}, "of SPX"),
        (
            {"20240103_goog_minute_trade_american_call_7500000_20240119.csv": "33300000,1,1,1,1,1"},
            "of GOOG; bestbt knows the sessions and expiries of Indian",
        ),
        ({"20240103_nifty_second_trade.csv": "33300000,1,1,1,1,0"}, "second data"),
        (
            {"../20240103_nifty_minute_trade.csv": "1", "20240103_nifty_minute_trade.csv": "1"},
            "reaches outside the archive",
        ),
        ({"20240103_nifty_minute_trade.csv": "0" * (20 << 20)}, "as a decompression bomb does"),
        (
            {f"20240103_nifty_minute_trade_{NEVER}.csv": "33300000,1,1,1,1,1"},
            "no NIFTY contract expires then",
        ),
        ({"20240103_nifty_minute_trade.csv": "never,1,1,1,1,1"}, "no trades and no quotes"),
    ],
)
def test_what_is_not_ours_or_not_safe_is_refused(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: dict[str, str],
    says: str,
) -> None:
    monkeypatch.setattr("bestbt.store.importers.source.FREE", 1 << 20)
    with pytest.raises(ImportRefused, match=says):
        store.import_file(zipped(tmp_path, texts), progress=False)
    assert store.is_empty


def test_a_market_is_seen_from_the_folders(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "equity" / "usa" / "minute" / "spy"
    folder.mkdir(parents=True)
    file = zipped(folder, {"20240103_spy_minute_trade.csv": "33300000,1,1,1,1,1"})
    with pytest.raises(ImportRefused, match="of the market 'usa'"):
        store.import_file(file, progress=False)


def test_a_zip_cut_off_is_refused(store: Store, market: list[DemoSeries], tmp_path: Path) -> None:
    folder = lean.write(tmp_path, market)
    (file,) = folder.rglob("20240103_trade.zip")
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(ImportRefused, match="cannot be unpacked"):
        store.import_file(file, progress=False)
