"""The exchange's end of day: three layouts, each row's fate, and what a run settles on then."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt import Backtest, Strategy
from bestbt.engine.grid import utc_ns
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused
from bestbt.markets.demo import write_demo
from bestbt.markets.india import INDIA
from bestbt.store.importers import FORMATS
from bestbt.store.importers.source import Source
from bestbt.store.quality import RULES, QualityReport
from bestbt.store.store import Store
from tests.vendors import bhavcopy
from tests.vendors.bhavcopy import DayRow

BEFORE, LAST = date(2024, 1, 24), date(2024, 1, 25)  # LAST: a monthly expiry
FEB, MARCH = date(2024, 2, 29), date(2024, 3, 28)
WEEK = date(2024, 2, 1)
LOT = 50

Write = Callable[[list[DayRow], date], str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(tmp_path_factory.mktemp("demo") / "prices.sqlite")
    write_demo(opened, "NIFTY", BEFORE, LAST)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def days(demo: Store) -> dict[date, list[DayRow]]:
    """What the demo market's contracts did on two days: three futures, two expiries of options."""
    return {day: bhavcopy.day_rows(demo, "NIFTY", day, LOT, (LAST, WEEK)) for day in (BEFORE, LAST)}


def put(folder: Path, content: str | bytes, name: str = "bhavcopy.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def load(store: Store, file: Path, **options: Any) -> QualityReport:
    found = store.import_file(file, progress=False, **options)
    assert found.balanced
    assert {f.rule for f in found.findings} <= set(RULES)
    return found


def futures(rows: list[DayRow]) -> dict[date, float]:
    return {r.expiry: r.settlement for r in rows if r.is_future}


def stored(store: Store, day: date) -> dict[date, float]:
    row: Any = store.settlements("NIFTY").loc[str(day)].dropna()
    return {expiry.date(): float(price) for expiry, price in row.items()}


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("write", [bhavcopy.legacy, bhavcopy.udiff], ids=["legacy", "udiff"])
def test_a_bhavcopy_of_each_layout_comes_back(
    store: Store, demo: Store, days: dict[date, list[DayRow]], tmp_path: Path, write: Write
) -> None:
    for day, rows in days.items():
        found = load(store, put(tmp_path, write(rows, day), f"{day}.csv"))
        options = sum(not r.is_future for r in rows)
        assert options >= 20
        assert found.rows == len(rows)
        assert found.stored == 3
        assert found.quarantined == {"day-bar": options}
        assert stored(store, day) == futures(rows)
        assert (found.start, found.end) == (str(day), str(day))
        assert found.remarks == [f"contracts listed: NIFTY 3 futures, {options} options"]
    # only of a day on which something expires is the close told
    assert store.closes("NIFTY").to_dict() == {
        pd.Timestamp(LAST): float(demo.closes("NIFTY")[str(LAST)])
    }
    assert stored(store, LAST)[LAST] == float(demo.closes("NIFTY")[str(LAST)])


def test_the_report_has_no_settlement_of_the_last_day_and_no_close(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    for day, rows in days.items():
        packed = bhavcopy.report_zip(*bhavcopy.report(rows, day), day)
        found = load(store, put(tmp_path, packed, f"fo{day:%d%m%Y}.zip"))
        traded = [r for r in rows if r.volume]
        aside = {"day-bar": sum(not r.is_future for r in traded), "footnote": 2}
        if day == LAST:
            aside["last-day"] = 1
        assert found.quarantined == aside
        assert found.rows == len(traded) + 2
        assert "2 files in it that list no contracts: " in found.remarks[0]
    assert stored(store, BEFORE) == futures(days[BEFORE])
    assert stored(store, LAST) == {FEB: pytest.approx(futures(days[LAST])[FEB]),
                                   MARCH: pytest.approx(futures(days[LAST])[MARCH])}  # fmt: skip
    assert store.closes("NIFTY").empty


def test_packed_or_not_it_is_the_same(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    rows = days[LAST]
    text = bhavcopy.udiff(rows, LAST)
    name = "BhavCopy_NSE_FO_0_0_0_20240125_F_0000.csv"
    kinds = {
        "plain.csv": text.encode(),
        "packed.csv.gz": gzip.compress(text.encode()),
        "packed.csv.zip": bhavcopy.zipped({name: text}),
        "marked.csv": b"\xef\xbb\xbf" + text.encode(),
    }
    for i, (file_name, content) in enumerate(kinds.items()):
        other = Store.open(tmp_path / f"{i}.sqlite")
        load(other, put(tmp_path, content, file_name))
        assert stored(other, LAST) == futures(rows)
        assert len(other.closes("NIFTY")) == 1
        other.close()


def test_a_loose_file_of_a_report_takes_its_day_from_its_name_or_from_you(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    text, options = bhavcopy.report(days[BEFORE], BEFORE)
    load(store, put(tmp_path, text, "fo24012024.csv"))
    assert stored(store, BEFORE) == futures(days[BEFORE])
    file = put(tmp_path, text + "\n", "report.csv")
    with pytest.raises(ImportRefused, match=r'does not say its day.*day="2025-11-14"'):
        store.import_file(file, progress=False)
    load(store, file, day="2024-01-23")
    assert stored(store, date(2024, 1, 23)) == futures(days[BEFORE])
    with pytest.raises(ImportRefused, match=r"(?s)No row of op24012024.csv.*day-bar"):
        store.import_file(put(tmp_path, options, "op24012024.csv"), progress=False)


# ---------------------------------------------------------------- dirt


def legacy_row(
    what: str = "FUTIDX", symbol: str = "NIFTY", expiry: str = "29-Feb-2024",
    settle: str = "21600.5", day: str = "24-JAN-2024", strike: str = "0", right: str = "XX",
) -> str:  # fmt: skip
    return f"{what},{symbol},{expiry},{strike},{right},1,2,1,2,{settle},9,9.5,450,0,{day},"


def test_where_each_row_went(store: Store, tmp_path: Path) -> None:
    rows = (
        legacy_row(settle="21600.5"),  # the same again below
        legacy_row(settle="21600.5"),
        legacy_row(expiry="28-Mar-2024", settle="21700"),  # another value below
        legacy_row(expiry="28-Mar-2024", settle="21705.123"),  # stored, rounded
        legacy_row("FUTSTK", "RELIANCE", "29-Feb-2024"),
        legacy_row("OPTSTK", "RELIANCE", "29-Feb-2024", strike="2700", right="CE"),
        legacy_row("FUTIDX", "NIFTYMID50"),
        legacy_row("FUTIVX", "INDIAVIX"),
        legacy_row(settle="0", expiry="25-Apr-2024"),
        legacy_row(settle="", expiry="25-Apr-2024"),
        legacy_row(settle="99999999", expiry="25-Apr-2024"),
        legacy_row(expiry="27-Feb-2024"),  # a Tuesday
        legacy_row(expiry="28-Dec-2023"),  # over
        legacy_row(expiry="soon"),
        legacy_row(day="27-JAN-2024"),  # a Saturday
        legacy_row(day="-"),
        legacy_row("OPTIDX", strike="21500", right="CE", settle="310.55"),
        "FUTIDX,NIFTY,29-Feb-2024",
        legacy_row()[:-1] + ",7,7",
        "",
        "* a note",
    )
    text = bhavcopy.LEGACY + "\n" + "\n".join(rows) + "\n"
    found = load(store, put(tmp_path, text))
    assert found.quarantined == {
        "duplicate-settlement": 1,
        "duplicate-settlement-conflict": 1,
        "of-a-share": 2,
        "no-derivative": 1,
        "other-index": 1,
        "no-settlement": 2,
        "price-too-large": 1,
        "no-such-expiry": 1,
        "after-expiry": 1,
        "unreadable-time": 2,
        "no-session": 1,
        "ragged-row": 2,
        "footnote": 1,
        "day-bar": 1,
    }
    assert found.repaired == {"rounded": 1}
    assert (found.rows, found.stored) == (20, 2)
    assert stored(store, BEFORE) == {FEB: 21600.5, MARCH: 21705.12}
    (conflict,) = [f for f in found.findings if f.rule == "duplicate-settlement-conflict"]
    assert conflict.samples == ["line 4: NIFTY 2024-03-28 FUT 2024-01-24 21700.00"]


def test_a_header_without_its_last_comma_and_the_other_name_of_a_column(
    store: Store, tmp_path: Path
) -> None:
    header = bhavcopy.LEGACY.removesuffix(",").replace("OPTION_TYP", "OPTIONTYPE")
    load(store, put(tmp_path, f"{header}\n{legacy_row()}\n{legacy_row()[:-1]}\n"))
    assert stored(store, BEFORE) == {FEB: 21600.5}


def test_the_close_is_what_most_rows_of_an_expiry_tell(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    """One row with another value is told of; where no value has most rows, none is taken."""
    rows = days[LAST]
    truth = rows[0].underlying
    expiring = [r for r in rows if r.expiry == LAST]
    odd = [replace(r, underlying=1.0) if r is expiring[5] else r for r in rows]
    found = load(store, put(tmp_path, bhavcopy.udiff(odd, LAST)))
    assert found.noted == {"close-disputed": 1}
    assert store.closes("NIFTY").tolist() == [truth]
    own = [replace(r, settlement=r.prices[3]) for r in rows]  # each its own price: no close
    other = Store.open(tmp_path / "other.sqlite")
    found = load(other, put(tmp_path, bhavcopy.legacy(own, LAST), "own.csv"))
    assert found.noted == {"close-unclear": len(expiring)}
    assert other.closes("NIFTY").empty
    other.close()


def test_a_weekly_expiry_has_no_future_and_its_close_is_told_by_an_option(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    options = [r for r in days[LAST] if not r.is_future]
    for i, text in enumerate((bhavcopy.udiff(options, LAST), bhavcopy.legacy(options, LAST))):
        found = load(store, put(tmp_path, text, f"{i}.csv"), again=True)
        assert found.stored == 1
        assert found.quarantined == {"day-bar": len(options) - 1}
        assert found.symbols == {"NIFTY official close": 1}
        assert store.closes("NIFTY").tolist() == [options[0].underlying]


def test_another_file_of_the_same_day_is_told_of(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    rows = days[LAST]
    one = put(tmp_path, bhavcopy.legacy(rows, LAST), "one.csv")
    load(store, one)
    assert store.import_file(one, progress=False).already
    before = store.fingerprint(["NIFTY"], BEFORE, LAST)
    found = load(store, put(tmp_path, bhavcopy.udiff(rows, LAST), "two.csv"))
    assert found.noted == {"close-known": 1, "settlement-known": 3}
    assert store.fingerprint(["NIFTY"], BEFORE, LAST) == before
    other = [replace(r, settlement=r.settlement + 1) if r.expiry == FEB else r for r in rows]
    found = load(store, put(tmp_path, bhavcopy.udiff(other, LAST), "three.csv"))
    assert found.noted == {"close-known": 1, "settlement-known": 2, "settlement-changed": 1}
    assert store.fingerprint(["NIFTY"], BEFORE, LAST) != before
    assert stored(store, LAST)[FEB] == futures(rows)[FEB] + 1


# ---------------------------------------------------------------- lots


def test_a_lot_that_is_not_the_tables_is_told_of_and_theirs_stands(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    assert INDIA.lot_size("NIFTY", FEB) == 50
    rows = [replace(r, lot=25, volume=r.volume // 25 * 25) for r in days[BEFORE]]
    found = load(store, put(tmp_path, bhavcopy.udiff(rows, BEFORE)))
    assert found.noted == {"lot-differs": 5}  # three futures, options of two expiries
    (told,) = [f for f in found.findings if f.rule == "lot-differs"]
    assert told.samples[0].startswith("NIFTY 2024-01-25 futures: 25, by the dated tables 50 (line")
    lots = [c.spec.lot for c in store._reader.contracts("future", "NIFTY")]
    assert lots == [50, 50, 50]


@pytest.mark.parametrize("kind", ["udiff", "report"])
def test_contracts_whose_lot_is_unknown_get_the_files(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path, kind: str
) -> None:
    """NIFTY's lot of 2015 is in no table: its contracts had none."""
    day, expiry = date(2015, 5, 27), date(2015, 5, 28)
    call = ContractSpec("option", "NIFTY", expiry, 8300.0, "CE", lot=1)
    other = ContractSpec("option", "NIFTY", expiry, 8300.0, "PE", lot=75)
    nine = utc_ns(pd.Timestamp("2015-05-27 09:15", tz="Asia/Kolkata").to_pydatetime())
    with store.importing("by hand") as tx:
        for spec in (call, other):
            tx.write(spec, np.array([nine]), np.array([1, 1, 1, 1], np.int32))
    row = replace(days[BEFORE][0], expiry=expiry, lot=25, volume=2500)
    option = replace(row, strike=8300.0, right="CE")
    if kind == "udiff":
        file = put(tmp_path, bhavcopy.udiff([row, option], day))
    else:
        parts = bhavcopy.report([row, option], day)
        file = put(tmp_path, bhavcopy.report_zip(*parts, day), "fo27052015.zip")
    found = load(store, file)
    assert found.noted == {"lot-given": 1}
    chain = store._reader.contracts("option", "NIFTY", expiry)
    assert [c.spec.lot for c in chain] == [25, 75]
    (future,) = store._reader.contracts("future", "NIFTY", expiry)
    assert future.spec.lot == 25
    with store.importing("minutes of an unknown lot") as tx:  # they do not take it away again
        tx.write(call, np.array([nine]), np.array([2, 2, 2, 2], np.int32))
    assert [c.spec.lot for c in store._reader.contracts("option", "NIFTY", expiry)] == [25, 75]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "content", "options", "why"),
    [
        ("a.csv", bhavcopy.UDIFF + "\n", {}, "has a header and no rows"),
        ("a.csv", "date,settle\n1,2\n", {"format": "end-of-day"}, "is no end of day. Col"),
        ("a.csv", bhavcopy.LEGACY + "\nx\n", {"symbol": "NIFTY"}, "each row of .* its own"),
        ("a.csv", bhavcopy.LEGACY + "\nx\n", {"day": "soon"}, "day='soon' is no date"),
        ("a.csv", bhavcopy.LEGACY + "\nx\n", {"dya": "2024-01-25"}, r"'dya' for the end.*'day'"),
        ("a.csv", bhavcopy.UDIFF + "\n" + "x,\n", {}, "(?s)No row of a.csv.*ragged-row"),
        ("a.zip", bhavcopy.zipped({"note.csv": "a,b\n"}), {}, r"a\.zip/note\.csv lacks open"),
        ("a.zip", bhavcopy.zipped({"a.csv": bhavcopy.LEGACY})[:-30], {}, "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_refused(
    store: Store, tmp_path: Path, name: str, content: str | bytes, options: Any, why: str
) -> None:
    with pytest.raises(ImportRefused, match=why):
        store.import_file(put(tmp_path, content, name), progress=False, **options)
    assert store.imports().empty


def test_a_damaged_archive_and_one_that_unpacks_to_too_much(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = bhavcopy.LEGACY + "\n" + "\n".join(legacy_row(settle=str(n)) for n in range(4000)) + "\n"
    packed = bytearray(bhavcopy.zipped({"../../fo.csv": text}))
    with pytest.raises(ImportRefused, match="a name that reaches outside the archive"):
        store.import_file(put(tmp_path, bytes(packed), "named.zip"), progress=False)
    assert not (tmp_path.parent.parent / "fo.csv").exists()
    packed = bytearray(bhavcopy.zipped({"fo.csv": text}))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(ImportRefused, match=r"damaged\.zip/fo\.csv cannot be unpacked"):
        store.import_file(put(tmp_path, bytes(packed), "damaged.zip"), progress=False)
    monkeypatch.setattr("bestbt.store.importers.source.FREE", 1000)
    monkeypatch.setattr("bestbt.store.importers.source.RATIO", 2)
    with pytest.raises(ImportRefused, match="unpacks to more than 2 times its size"):
        store.import_file(put(tmp_path, bhavcopy.zipped({"a.csv": text}), "b.zip"), progress=False)


def test_which_files_it_is(tmp_path: Path) -> None:
    def shown(content: str) -> str:
        source = Source(put(tmp_path, content))
        return next(name for name, known in FORMATS.items() if known.shows(source))

    for header in (bhavcopy.LEGACY, bhavcopy.UDIFF, bhavcopy.FUTURES, bhavcopy.OPTIONS):
        assert shown(header + "\n") == "end-of-day"
    assert shown("symbol,date,close\n") == "index-closes"
    assert shown("Instrument,Symbol,Date,Time,Open,High,Low,Close\n") == "long-bars"


# ---------------------------------------------------------------- in a store with bars


def copied(demo: Store, store: Store) -> None:
    """Put bars of the demo market into a store, as if they were real."""
    names = ["NIFTY", *(f"NIFTY {e} FUT" for e in (LAST, FEB, MARCH))]
    for name in names:
        frame: Any = demo.prices(name, BEFORE, LAST)
        parts = name.split()
        spec = ContractSpec("index", "NIFTY")
        if len(parts) == 3:
            spec = ContractSpec("future", "NIFTY", date.fromisoformat(parts[1]), lot=LOT)
        with store.importing(name) as tx:
            starts = frame.index.tz_convert("UTC").as_unit("ns").asi8
            quads = (frame[["open", "low", "high", "close"]].to_numpy() * 100).round()
            tx.write(spec, starts, quads.astype(np.int32).ravel())


class Holds(Strategy):
    """Buys the near future and the next one, and keeps them."""

    def on_bar(self) -> None:
        if self.bar == 3:
            for expiry in (LAST, FEB):
                self.buy(self.contract(f"NIFTY {expiry} FUT"), lots=1)


def played(store: Store) -> Any:
    return Backtest(Holds, store, "NIFTY", start=BEFORE, end=LAST, fees="none", slippage=0).run()


def told(run: Any, kind: str) -> list[tuple[float, str]]:
    values = run.log[run.log["kind"] == kind]["values"]
    return [(v["value"], v["source"]) for v in values]


@pytest.mark.parametrize("write", [bhavcopy.legacy, bhavcopy.udiff], ids=["legacy", "udiff"])
def test_a_run_marks_to_market_and_settles_on_what_the_exchange_said(
    store: Store, demo: Store, days: dict[date, list[DayRow]], tmp_path: Path, write: Write
) -> None:
    copied(demo, store)
    estimated, before = played(store), store.fingerprint(["NIFTY"], BEFORE, LAST)
    assert {source for _, source in told(estimated, "variation")} == {"estimated"}
    shifted = {  # so that neither is what a run would have estimated
        day: [replace(r, settlement=r.settlement + 7, underlying=r.underlying + 7) for r in rows]
        for day, rows in days.items()
    }
    for day, rows in shifted.items():
        load(store, put(tmp_path, write(rows, day), f"{day}.csv"))
    run = played(store)
    first, last = (futures(shifted[day]) for day in (BEFORE, LAST))
    assert told(run, "variation") == [
        (first[LAST], "official"), (first[FEB], "official"), (last[FEB], "official"),
    ]  # fmt: skip
    official = shifted[LAST][0].underlying
    assert told(run, "settlement") == [(official, "official")]
    bought = run.fills["price"].tolist()[:2]
    assert run.fills["price"].iloc[-1] == official
    paid = run.ledger[run.ledger["account"] == "variation"]["amount"].tolist()
    assert paid == pytest.approx([
        (first[LAST] - bought[0]) * LOT, (first[FEB] - bought[1]) * LOT,
        (official - first[LAST]) * LOT, (last[FEB] - first[FEB]) * LOT,
    ])  # fmt: skip
    assert store.fingerprint(["NIFTY"], BEFORE, LAST) != before
    assert run.hash != estimated.hash


def test_prices_far_from_the_days_bars_are_set_aside(
    store: Store, demo: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    copied(demo, store)
    far = [replace(r, settlement=r.settlement * 1.06, underlying=r.underlying * 1.06)
           for r in days[LAST] if r.is_future]  # fmt: skip
    file = put(tmp_path, bhavcopy.udiff(far, LAST))
    with pytest.raises(ImportRefused, match=r"(?s)No row of bhavcopy.csv.*far-settlement"):
        store.import_file(file, progress=False)
    found = load(store, file, check_level=False)
    assert found.stored == 3


def test_a_made_up_market_keeps_its_own(
    store: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    write_demo(store, "NIFTY", LAST, LAST)
    before = store.closes("NIFTY")
    file = put(tmp_path, bhavcopy.udiff(days[LAST], LAST))
    with pytest.raises(ImportRefused, match=r"(?s)No row.*synthetic-index"):
        store.import_file(file, progress=False)
    assert store.closes("NIFTY").equals(before)


def test_a_future_known_by_its_settlement_alone_cannot_be_traded(
    store: Store, demo: Store, days: dict[date, list[DayRow]], tmp_path: Path
) -> None:
    with store.importing("index") as tx:
        frame: Any = demo.prices("NIFTY", BEFORE, LAST)
        quads = (frame[["open", "low", "high", "close"]].to_numpy() * 100).round()
        starts = frame.index.tz_convert("UTC").as_unit("ns").asi8
        tx.write(ContractSpec("index", "NIFTY"), starts, quads.astype(np.int32).ravel())
    load(store, put(tmp_path, bhavcopy.udiff(days[BEFORE], BEFORE)))
    feed = store.feed("NIFTY", BEFORE, LAST)
    assert list(feed.expiries("NIFTY", "future")) == []
    assert feed.future("NIFTY", FEB) is None
    spec = ContractSpec("future", "NIFTY", FEB, lot=LOT)
    assert feed.settlement_price(spec, BEFORE) == round(futures(days[BEFORE])[FEB] * 100)
    assert feed.settlement_price(spec, LAST) is None
    assert store.coverage()["kind"].tolist() == ["index"]


# ---------------------------------------------------------------- the real files


@pytest.mark.parametrize("stamp", ["14112025", "17112025"])
def test_the_real_reports(store: Store, shared: Path, stamp: str) -> None:
    """Every row is counted once more here, by Python's own reader over the raw files."""
    path = shared / "data" / "eod" / f"fo{stamp}.zip"
    found = load(store, path)
    ours = {"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY"}
    count: Counter[str] = Counter()
    settled: dict[tuple[str, date], float] = {}
    with zipfile.ZipFile(path) as archive:
        for part in (f"fo{stamp}.csv", f"op{stamp}.csv"):
            text = io.TextIOWrapper(archive.open(part), "ascii", newline="")
            _, *rows = csv.reader(text)
            for fields in rows:
                what, symbol = fields[0].strip(), fields[1].strip() if len(fields) > 1 else ""
                if what.startswith("*"):
                    count["footnote"] += 1
                elif what.endswith("STK"):
                    count["of-a-share"] += 1
                elif symbol not in ours:
                    count["other-index"] += 1
                elif what == "OPTIDX":
                    count["day-bar"] += 1
                else:
                    day, month, year = map(int, fields[2].split("/"))
                    settled[symbol, date(year, month, day)] = float(fields[6])
    assert found.quarantined == dict(count)
    assert found.rows == count.total() + len(settled)
    assert found.stored == len(settled) == 11
    on = pd.Timestamp(f"{stamp[4:]}-{stamp[2:4]}-{stamp[:2]}")
    for (symbol, expiry), price in settled.items():
        assert store.settlements(symbol)[pd.Timestamp(expiry)][on] == price
    # Six expiries of options whose lot is to change before they are over.
    assert found.noted == {"lot-differs": 6}


def test_figures_of_the_real_reports(store: Store, shared: Path) -> None:
    for stamp, rows, listed in (
        ("14112025", 15_764, "NIFTY 3 futures, 1,101 options"),
        ("17112025", 16_806, "NIFTY 3 futures, 1,094 options"),
    ):
        found = load(store, shared / "data" / "eod" / f"fo{stamp}.zip")
        assert found.rows == rows
        assert listed in found.remarks[-1]
    near = store.settlements("NIFTY")[pd.Timestamp("2025-11-25")]
    assert near.tolist() == [25_951.4, 26_060.1]
    lots = {c.spec.expiry: c.spec.lot for c in store._reader.contracts("future", "BANKNIFTY")}
    assert lots == {date(2025, 11, 25): 35, date(2025, 12, 30): 35, date(2026, 1, 27): 30}
