"""Chain snapshots: three real days against counts made here, and hand-made pages of every dirt."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bestbt import Backtest, Strategy, at
from bestbt.errors import ImportRefused
from bestbt.store.importers import source
from bestbt.store.quality import QualityReport
from bestbt.store.store import Store
from bestbt.units import MINUTE

ARCHIVE = "nse_index_chains_20190516_20190731.tar.xz"
DAYS = ("25-07-2019", "26-07-2019", "29-07-2019")
EXPIRY = date(2019, 8, 1)

HEAD = (
    ",CallOI,CallChnginOI,CallVolume,CallIV,CallLTP,CallNetChng,CallBidQty,CallBidPrice,"
    "CallAskPrice,CallAskQty,StrikePrice,PutBidQty,PutBidPrice,PutAskPrice,PutAskQty,PutNetChng,"
    "PutLTP,PutIV,PutVolume,PutChnginOI,PutOI,CurrentVal"
)


# --- three real days -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the pages of three whole days: a Thursday, a Friday and a Monday."""
    made = tmp_path_factory.mktemp("chain")
    with tarfile.open(shared / "data" / "chain_2019" / ARCHIVE) as archive:
        wanted = [m for m in archive if any(day in m.name for day in DAYS)]
        # Older Pythons know no filter, newer ones warn without.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(made, wanted)
    return made


@pytest.fixture(scope="module")
def three(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, QualityReport]]:
    opened = Store.open(tmp_path_factory.mktemp("three") / "prices.sqlite")
    report = opened.import_file(folder, progress=False)
    yield opened, report
    opened.close()


def page_of(folder: Path, symbol: str, expiry: str, stamp: str) -> list[dict[str, str]]:
    [file] = folder.glob(f"**/{symbol}/{expiry}/{symbol}_{stamp}.csv")
    with file.open() as stream:
        return list(csv.DictReader(stream))


def number(text: str) -> float:
    return 0.0 if text == "-" else float(text)


def test_every_row_is_accounted_for(three: tuple[Store, QualityReport], folder: Path) -> None:
    store, report = three
    files = list(folder.rglob("*.csv"))
    lines = sum(len(file.read_text().splitlines()) - 1 for file in files)
    empty = sum(len(file.read_text().splitlines()) == 1 for file in files)
    assert report.rows == len(files) + 2 * lines
    assert report.balanced
    assert report.quarantined["empty-page"] == empty
    assert sum(report.symbols.values()) == report.stored
    # 25 bars a day, fewer where the vendor wrote nothing in a bar's window
    for symbol in ("NIFTY", "BANKNIFTY"):
        windows = set()
        for file in folder.glob(f"**/{symbol}/*/*.csv"):
            stamp = datetime.strptime(file.stem.partition("_")[2], "%d-%m-%Y_%H:%M")
            if len(file.read_text().splitlines()) > 1 and "09:20" <= f"{stamp:%H:%M}" < "15:35":
                late = stamp + timedelta(minutes=10)
                windows.add(late.replace(minute=late.minute // 15 * 15))
        assert report.symbols[f"{symbol} index"] == len(windows)
    assert not store.coverage()["synthetic"].any()
    assert set(store.coverage()["bar"]) == {"15min"}


def test_no_real_price_is_judged_an_outlier(three: tuple[Store, QualityReport]) -> None:
    rules = {"spike", "off-chain", "spot-off-chain", "stale-day", "frozen", "maybe-spike"}
    rules |= {"maybe-off-chain", "far-extreme", "volume-in-lots", "oi-in-lots", "looks-like-lots"}
    assert not rules & {finding.rule for finding in three[1].findings}


@pytest.mark.parametrize(("symbol", "lot"), [("NIFTY", 75), ("BANKNIFTY", 20)])
def test_a_page_equals_its_file(
    three: tuple[Store, QualityReport], folder: Path, symbol: str, lot: int
) -> None:
    feed = three[0].feed(symbol, "2019-07-26", "2019-07-26", step=15 * MINUTE)
    earlier = page_of(folder, symbol, "1AUG2019", "26-07-2019_11:4[5-9]")
    later = page_of(folder, symbol, "1AUG2019", "26-07-2019_12:0[0-4]")
    bar = feed.grid.at_or_before(feed.grid.time(0) + (11 * 60 + 45 - 555) * MINUTE)
    assert f"{feed.grid.to_local(feed.grid.time(bar)):%H:%M}" == "11:45"
    index = feed.columns(feed.spot(symbol))
    assert index is not None
    assert abs(index.close[bar - index.first] / float(later[0]["CurrentVal"]) - 1) < 1e-3
    compared = 0
    before = {row["StrikePrice"]: row for row in earlier}
    listed: dict[Any, Any] = {
        (x.spec.strike, x.spec.right): x.spec for x in feed.listed(symbol, EXPIRY)
    }
    for row in later:
        for side, right in (("Call", "CE"), ("Put", "PE")):
            bid, ask, last = (number(row[side + n]) for n in ("BidPrice", "AskPrice", "LTP"))
            if not (bid and ask):
                continue
            spec = listed[float(row["StrikePrice"]), right]
            columns = feed.columns(spec)
            assert columns is not None
            assert (spec.lot, spec.tick) == (lot, 5)
            assert columns.bid is not None
            assert columns.ask is not None
            assert columns.oi is not None
            assert columns.volume is not None
            i = bar - columns.first
            assert columns.live[i]
            assert (columns.bid[i], columns.ask[i]) == (round(bid * 100), round(ask * 100))
            assert columns.close[i] == pytest.approx(last or (bid + ask) / 2, abs=0.0051)
            assert columns.open[i] == columns.high[i] == columns.low[i] == columns.close[i]
            assert columns.oi[i] == number(row[f"{side}OI"])
            old = before.get(row["StrikePrice"])
            if old is not None and last:
                grown = number(row[f"{side}Volume"]) - number(old[f"{side}Volume"])
                assert columns.volume[i] == grown * lot
                compared += 1
    assert compared > 40


class Buyer(Strategy):
    """Buys the call at the money at half past ten and leaves at two."""

    @at("10:30")
    def enter(self) -> None:
        self.buy(self.get_atm("CE"), lots=1)

    @at("14:00")
    def leave(self) -> None:
        self.exit_all()


def test_a_run_on_bars_of_fifteen_minutes(three: tuple[Store, QualityReport], folder: Path) -> None:
    """An order placed on what the page of 10:30 shows meets that of 10:45."""
    day = "2019-07-26"
    free: dict[str, Any] = {"slippage": 0, "fees": "none", "start": day, "end": day}
    run = Backtest(Buyer, three[0], "NIFTY", bar="15min", **free).run()
    spot = float(page_of(folder, "NIFTY", "1AUG2019", "26-07-2019_10:3[0-4]")[0]["CurrentVal"])
    strike = round(spot / 50) * 50
    assert run.fills["symbol"].tolist() == [f"NIFTY 2019-08-01 {strike} CE"] * 2
    stamps = (("10:4[5-9]", "CallAskPrice"), ("14:1[5-9]", "CallBidPrice"))
    for price, (stamp, quote) in zip(run.fills["price"], stamps, strict=True):
        page = page_of(folder, "NIFTY", "1AUG2019", f"26-07-2019_{stamp}")
        [row] = [row for row in page if float(row["StrikePrice"]) == strike]
        assert price in (float(row["CallLTP"]), float(row[quote]))


# --- hand-made pages -----------------------------------------------------------------------------


def side(bid: str = "-", ask: str = "-", last: str = "-", volume: str = "-", oi: str = "-") -> Any:
    return {"bid": bid, "ask": ask, "last": last, "volume": volume, "oi": oi}


def write(
    folder: Path,
    stamp: str,
    spot: str,
    call: dict[str, str],
    put: dict[str, str] | None = None,
    *,
    expiry: str = "1AUG2019",
    day: str = "26-07-2019",
) -> Path:
    """Write a page of one strike, 11300."""
    p = put or side("10.00", "11.00")
    c = call
    left = f"0,{c['oi']},-,{c['volume']},-,{c['last']},-,75,{c['bid']},{c['ask']},75"
    right = f"75,{p['bid']},{p['ask']},75,-,{p['last']},-,{p['volume']},-,{p['oi']}"
    file = folder / "NIFTY" / expiry / f"NIFTY_{day}_{stamp}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEAD}\n{left},11300.00,{right},{spot}\n")
    return file


def imported(store: Store, folder: Path) -> QualityReport:
    report = store.import_file(folder, progress=False)
    assert report.balanced
    return report


def test_when_a_snapshot_is_seen(store: Store, tmp_path: Path) -> None:
    """A bar ends from ten minutes after to five before its snapshot; the latest cycle stands."""
    for n, stamp in enumerate(("09:30", "09:34", "09:50", "10:00", "10:05", "15:34")):
        write(
            tmp_path, stamp, f"{11300 + n}", side(f"{n + 1}", f"{n + 2}", f"{n + 1}.5", "1", "75")
        )
    report = imported(store, tmp_path)
    prices = store.prices("NIFTY 2019-08-01 11300 CE", bar="15min")
    seen = {f"{time:%H:%M}": row.bid for time, row in prices.iterrows()}
    # 09:30 and 09:34 are one cycle; 09:50 waits for the bar that ends at 10:00, where 10:00 is
    # newer; 10:05 is the next bar's
    assert seen == {"09:15": 2.0, "09:45": 4.0, "10:00": 5.0, "15:15": 6.0}
    assert report.quarantined == {"superseded": 2 * 3}


def test_a_day_of_dirt(store: Store, tmp_path: Path) -> None:
    write(tmp_path, "09:03", "11250.05", side("5", "6", "5", "900", "150"))  # yesterday's
    write(tmp_path, "09:30", "11300", side("5", "6", "5.55", "2", "150"))
    write(tmp_path, "09:45", "11250.05", side("5", "6", "5", "901", "150"))  # still yesterday's
    copied = write(tmp_path, "10:00", "11301", side("-", "-", "5.60", "5", "150"))
    again = tmp_path / "NIFTY" / "1AUG2019" / "NIFTY_26-07-2019_10:15.csv"
    again.write_bytes(copied.read_bytes())
    write(tmp_path, "10:30", "11302", side("-", "-", "5.60", "5", "150"))  # nothing happened
    write(tmp_path, "10:45", "10700", side("7", "8", "7", "6", "150"))  # 5 % off
    write(tmp_path, "11:00", "11303", side("7", "-", "-", "-", "-"))  # one side
    write(tmp_path, "11:15", "11304", side(), side())
    write(tmp_path, "11:30", "-", side("7", "8.05", "-", "-", "-"))  # no index
    write(tmp_path, "11:45", "11305", side("7", "8", "7.5", "4", "-"))  # volume fell
    write(tmp_path, "15:45", "11306", side("7", "8", "7.5", "9", "-"))
    write(tmp_path, "12:00", "11307", side("7", "8"), expiry="2AUG2019")  # a Friday
    broken = write(tmp_path, "12:15", "11308", side("7", "8"))
    broken.write_text(f"{HEAD}\n0,-,,,,,,,,,,,,,,,,,,,,,11308\n1,,-,,,,,,,,,,,,,,,,,,,,11308\n")
    write(tmp_path, "12:30", "11309", side("7", "8")).write_text(HEAD + "\n")
    odd = tmp_path / "NIFTY" / "1AUG2019" / "NIFTY_today.csv"
    odd.write_text(f"{HEAD}\n")
    report = imported(store, tmp_path)
    assert report.quarantined == {
        "unreadable-name": 1,
        "no-such-expiry": 3,
        "empty-page": 1,
        "stale-page": 3 + 3,
        "broken-page": 5,
        "wrong-spot": 3,
        "before-open": 3,
        "at-close": 3,
        "unchanged": 1,
        "no-quote": 2,
        "no-spot": 1,
    }
    assert report.repaired == {"mid-price": 6 + 1, "price-carried": 1, "volume-fell": 3}
    prices = store.prices("NIFTY 2019-08-01 11300 CE", bar="15min")
    got = [
        (f"{time:%H:%M}", row.close, row.volume, row.oi, row.bid, row.ask)
        for time, row in prices.fillna(0).iterrows()
    ]
    assert got == [
        ("09:15", 5.55, 150, 150, 5, 6),  # yesterday's 900 lots do not count
        ("09:45", 5.60, 225, 150, 0, 0),
        ("10:45", 5.60, 0, 0, 7, 0),
        ("11:15", 7.53, 0, 0, 7, 8.05),
        ("11:30", 7.50, 0, 0, 7, 8),
    ]
    index = store.prices("NIFTY", bar="15min")
    assert index["close"].tolist() == [11300, 11301, 11302, 11303, 11304, 11305]


def test_a_lone_quote_does_not_make_yesterdays_price_new(store: Store, tmp_path: Path) -> None:
    """It was live, and its price of the day before was picked by as if it were of this moment."""
    put = side("10.00", "11.00", "10.50", "1", "75")
    write(tmp_path, "15:15", "11300", side("149", "150", "149.45", "2", "150"), put)
    monday = {"day": "29-07-2019"}
    write(tmp_path, "10:30", "11310", side("60.80"), put, **monday)
    write(tmp_path, "10:45", "11311", side("60.80", last="250", volume="1"), put, **monday)
    write(tmp_path, "11:00", "11312", side("60.85"), put, **monday)
    report = imported(store, tmp_path)
    assert report.quarantined == {"one-sided": 1}
    assert report.repaired["price-carried"] == 1
    prices = store.prices("NIFTY 2019-08-01 11300 CE", bar="15min")
    assert {f"{time:%d %H:%M}": row.close for time, row in prices.iterrows()} == {
        "26 15:00": 149.45,
        "29 10:30": 250.0,
        "29 10:45": 250.0,
    }


def test_a_market_that_falls_is_believed(store: Store, tmp_path: Path) -> None:
    for n in range(20):
        stamp = (datetime(2019, 7, 26, 9, 30) + timedelta(minutes=15 * n)).strftime("%H:%M")
        write(tmp_path, stamp, f"{11300 + n if n < 12 else 10700 + n}", side("7", "8", f"{n + 1}"))
    assert imported(store, tmp_path).symbols["NIFTY index"] == 20


def test_the_same_pages_as_an_archive(store: Store, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    write(pages, "09:30", "11300", side("5", "6", "5.5", "2", "150"))
    archive = tmp_path / "chain.tar.xz"
    with tarfile.open(archive, "w:xz") as made:
        made.add(pages / "NIFTY", "index/NIFTY")
    assert imported(store, archive).stored == 3
    assert imported(store, archive).already
    assert imported(store, pages).noted["replaced"] == 3
    assert imported(store, pages).already
    zipped = tmp_path / "chain.zip"
    with zipfile.ZipFile(zipped, "w") as packed:
        for page in sorted(pages.rglob("*.csv")):
            packed.write(page, page.relative_to(pages))
    assert imported(store, zipped).noted["replaced"] == 3


def test_an_archive_that_unpacks_without_end_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "FREE", 1 << 16)
    bomb = tmp_path / "chain.tar.xz"
    with tarfile.open(bomb, "w:xz") as made:
        info = tarfile.TarInfo("NIFTY/27JUN2019/NIFTY_06-06-2019_12:45.csv")
        info.size = 1 << 22
        made.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(ImportRefused, match="200 times its size, as a decompression bomb"):
        imported(store, bomb)


def test_what_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="is a folder; give the path"):
        store.import_file(tmp_path, progress=False)
    write(tmp_path, "08:00", "11300", side("5", "6"))
    with pytest.raises(ImportRefused, match=r"No page of .* can be stored"):
        store.import_file(tmp_path, progress=False)
    with pytest.raises(ImportRefused, match="No option 'symbol'"):
        store.import_file(tmp_path, symbol="NIFTY", progress=False)
    write(tmp_path, "09:30", "11300", side("5", "6"))
    whole = tmp_path / "chain.tar.xz"
    with tarfile.open(whole, "w:xz") as made:
        made.add(tmp_path / "NIFTY", "NIFTY")
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(whole.read_bytes()[:-60])
    with pytest.raises(ImportRefused):
        store.import_file(cut, progress=False)
    assert store.is_empty
