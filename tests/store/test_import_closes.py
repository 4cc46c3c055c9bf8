"""Official closes: two shapes of file, each row's fate, and what a run settles on then."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt import Backtest, Strategy
from bestbt.errors import ImportRefused
from bestbt.markets.demo import write_demo
from bestbt.markets.india import INDIA
from bestbt.store.importers import index_closes
from bestbt.store.importers.source import Source
from bestbt.store.quality import RULES
from bestbt.store.store import Store
from tests.store.closes_2019 import CLOSES

# The exchange's daily report: its header, and rows in its manner.
REPORT = """Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,\
Closing Index Value,Points Change,Change(%),Volume,Turnover (Rs. Cr.),P/E,P/B,Div Yield
Nifty 50,26-11-2020,12906.45,13018,12790.4,12987,128.6,1,690264431,40412.83,35.91,3.73,1.17
Nifty Bank,26-11-2020,29225.75,29707.2,28823.05,29549.75,353.35,1.21,352210000,15310.1,32.24,2.5,.35
Nifty Auto,26-11-2020,8759.7,8887.05,8657.7,8829.5,80,.91,60345222,2500.2,-,3.9,.9
India VIX,26-11-2020,23.1,23.1,19.5,20.11,-2.99,-12.94,-,-,-,-,-
Nifty Financial Services,26-11-2020,14000,14200,13800,14150.5,100,.7,-,-,-,-,-
Nifty50 PR 1x Inverse,26-11-2020,-,-,-,170.34,-1.7,-.99,-,-,-,-,-
"""
DAY = date(2020, 11, 26)


def write(folder: Path, text: str, name: str = "ind_close_all_26112020.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_the_exchanges_daily_report(store: Store, tmp_path: Path) -> None:
    report = store.import_file(write(tmp_path, REPORT), progress=False)
    assert report.format == "official index closes"
    assert (report.rows, report.stored, report.quarantined) == (6, 4, {"other-index": 2})
    assert report.balanced
    assert (report.start, report.end) == ("2020-11-26", "2020-11-26")
    want = {"NIFTY": 12987.0, "BANKNIFTY": 29549.75, "INDIAVIX": 20.11, "FINNIFTY": 14150.5}
    assert {name: store.closes(name).loc["2020-11-26"] for name in want} == want
    assert report.symbols == {f"{name} official close": 1 for name in want}
    assert store.imports()["format"].tolist() == ["official index closes"]


def test_columns_in_any_order_and_dates_of_several_kinds(store: Store, tmp_path: Path) -> None:
    text = (
        "\n"
        "Close;Symbol;Date\n"
        "11,257.10;nifty;2019-05-16\n"
        '"11,657.05";NIFTY 50;23-05-2019\n'
        "11945.9;NSE NIFTY;30/05/2019\n"
        "11945.9;Nifty50;30-May-2019\n"
        "30857.4;NIFTY BANK;20190606\n"
    )
    report = store.import_file(write(tmp_path, text, "mine.csv"), progress=False)
    assert report.quarantined == {"other-index": 1}
    assert store.closes("NIFTY").tolist() == [11257.1, 11657.05, 11945.9]
    assert store.closes("BANKNIFTY").to_dict() == {pd.Timestamp("2019-06-06"): 30857.4}


def test_where_each_row_went(store: Store, tmp_path: Path) -> None:
    rows = (
        "NIFTY,2024-02-05,21771.70",  # stored
        "NIFTY,2024-02-06,21929.40",  # the same day again below, with another value
        "NIFTY,2024-02-06,21929.45",  # stored
        "NIFTY,2024-02-07,21930.50",
        "NIFTY,2024-02-07,21930.50",  # the same again
        "NIFTY,2024-02-08,",
        "NIFTY,2024-02-08,closed",
        "NIFTY,2024-02-08,nan",
        "NIFTY,2024-02-08,-21717.95",
        "NIFTY,2024-02-08,99999999",
        "NIFTY,2024-02-10,21782.50",  # a Saturday
        "NIFTY,2024-01-26,21352.60",  # Republic Day
        "NIFTY,soon,21352.60",
        "RELIANCE,2024-02-08,2900",
        "NIFTY,2024-02-08",
        "NIFTY,2024-02-09,21782.503",  # rounded to the paisa
        "",
    )
    file = write(tmp_path, "symbol,date,close\n" + "\n".join(rows) + "\n", "mine.csv")
    report = store.import_file(file, progress=False)
    assert report.quarantined == {
        "duplicate-close-conflict": 1,
        "duplicate-close": 1,
        "no-close": 3,
        "price-not-positive": 1,
        "price-too-large": 1,
        "no-session": 2,
        "unreadable-time": 1,
        "other-index": 1,
        "ragged-row": 1,
    }
    assert report.repaired == {"rounded": 1}
    assert (report.rows, report.stored, report.balanced) == (16, 4, True)
    assert set(report.quarantined) <= set(RULES)
    assert store.closes("NIFTY").tolist() == [21771.7, 21929.45, 21930.5, 21782.5]
    (conflict,) = [f for f in report.findings if f.rule == "duplicate-close-conflict"]
    assert conflict.samples == ["line 3: NIFTY 2024-02-06 21929.40"]
    (ragged,) = [f for f in report.findings if f.rule == "ragged-row"]
    assert ragged.samples == ["line 16: NIFTY,2024-02-08"]


def test_a_file_again_is_stored_once_and_another_replaces(store: Store, tmp_path: Path) -> None:
    one = write(tmp_path, "symbol,date,close\nNIFTY,2024-02-05,21771.70\n", "one.csv")
    store.import_file(one, progress=False)
    assert store.import_file(one, progress=False).already
    before = store.fingerprint(["NIFTY"], "2024-02-01", "2024-02-29")
    rows = "symbol,date,close\nNIFTY,2024-02-05,21771.75\nNIFTY,2024-02-06,21929.40\n"
    report = store.import_file(write(tmp_path, rows, "two.csv"), progress=False)
    assert report.noted == {"close-changed": 1}
    (changed,) = report.findings
    assert changed.samples == ["line 2: NIFTY 2024-02-05 21771.75, before it 21771.70"]
    assert store.closes("NIFTY").tolist() == [21771.75, 21929.4]
    assert store.fingerprint(["NIFTY"], "2024-02-01", "2024-02-29") != before
    report = store.import_file(write(tmp_path, rows + "\n", "three.csv"), progress=False)
    assert report.noted == {"close-known": 2}


def test_a_close_far_from_the_days_bars_is_set_aside(store: Store, tmp_path: Path) -> None:
    bars(store, tmp_path)
    text = "symbol,date,close\nBANKNIFTY,2020-11-26,12987.00\nBANKNIFTY,2020-11-25,29196.40\n"
    report = store.import_file(write(tmp_path, text, "wrong.csv"), progress=False)
    assert report.quarantined == {"far-close": 1}
    assert store.closes("BANKNIFTY").index.tolist() == [pd.Timestamp("2020-11-25")]
    report = store.import_file(
        write(tmp_path, text + "\n", "forced.csv"), check_level=False, progress=False
    )
    assert report.stored == 2


def test_a_made_up_market_keeps_its_own_closes(store: Store, tmp_path: Path) -> None:
    day = date(2024, 1, 1)
    write_demo(store, "NIFTY", day, day)
    before = store.closes("NIFTY")
    text = "symbol,date,close\nNIFTY,2024-01-01,21741.90\nBANKNIFTY,2024-01-01,48234.30\n"
    report = store.import_file(write(tmp_path, text, "real.csv"), progress=False)
    assert report.quarantined == {"synthetic-index": 1}
    assert store.closes("NIFTY").equals(before)
    assert store.closes("BANKNIFTY").tolist() == [48_234.3]


def test_a_file_of_one_index_that_names_none(store: Store, tmp_path: Path) -> None:
    text = "Date,Close\n05-FEB-2024,21771.7\n"
    file = write(tmp_path, text, "history.csv")
    with pytest.raises(ImportRefused, match=r'lacks symbol.*symbol="NIFTY"'):
        store.import_file(file, progress=False)
    with pytest.raises(ImportRefused, match="symbol='NFITY' was given; official closes are of"):
        store.import_file(file, symbol="NFITY", progress=False)
    assert store.import_file(file, symbol="Nifty 50", progress=False).stored == 1
    daily = "Date,Open,High,Low,Close\n06-FEB-2024,21825,21951.4,21737.55,21929.4\n"
    file = write(
        tmp_path, daily, "daily.csv"
    )  # daily bars look like bars: say that they are closes
    store.import_file(file, format="index-closes", symbol="NIFTY", progress=False)
    file = write(tmp_path, "Tag,Wert\n2024-02-07,21930.5\n", "named.csv")
    named = {"date": "Tag", "close": "Wert"}
    kind = "index-closes"
    store.import_file(file, kind, "NIFTY", False, columns=named)
    assert store.closes("NIFTY").tolist() == [21771.7, 21929.4, 21930.5]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"symbol,date,close\n", "a header and no rows"),
        (b"symbol,date,close\nRELIANCE,2024-02-05,2900\n", r"No row .*(\n.*)*other-index"),
        (b"symbol,date,value\nNIFTY,2024-02-05,2900\n", "lacks close. Columns found"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b"", "no text"),
    ],
)
def test_files_that_are_refused(store: Store, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "closes.csv"
    file.write_bytes(content)
    with pytest.raises(ImportRefused, match=says):
        store.import_file(file, format="index-closes", progress=False)
    assert store.imports().empty
    with pytest.raises(ImportRefused, match="No option 'stamp' for official closes"):
        index_closes.read(Source(file), INDIA, stamp="end")


def test_what_shows_closes_and_what_does_not(tmp_path: Path) -> None:
    shows = {
        REPORT: True,
        "symbol,date,close\n": True,
        "Date;Symbol;Close\n": True,
        "symbol,date,time,open,high,low,close\n": False,
        "symbol,date,open,high,low,close\n": False,
        "symbol,datetime,close\n": False,
        "hello\n": False,
        "": False,
    }
    for i, (text, want) in enumerate(shows.items()):
        file = write(tmp_path, text, f"{i}.csv")
        assert index_closes.shows(Source(file)) == want, text
        zipped = tmp_path / f"{i}.csv.gz"
        zipped.write_bytes(gzip.compress(text.encode()))
        assert index_closes.shows(Source(zipped)) == want, text
    assert not index_closes.shows(Source(tmp_path))


def test_a_zipped_report(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "ind_close_all_26112020.csv.gz"
    file.write_bytes(gzip.compress(REPORT.encode()))
    assert store.import_file(file, progress=False).stored == 4


trading = [s.day for s in INDIA.sessions(date(2019, 5, 1), date(2019, 8, 1))]
days = st.dates(date(2020, 1, 1), date(2024, 12, 31))


@given(st.dictionaries(days, st.integers(1, 10**7), min_size=1, max_size=12), st.randoms())
def test_every_row_is_somewhere_whatever_its_order(
    tmp_path_factory: Any, values: dict[date, int], random: Any
) -> None:
    rows = [f"NIFTY,{day:%d-%m-%Y},{raw // 100}.{raw % 100:02}" for day, raw in values.items()]
    random.shuffle(rows)
    file = tmp_path_factory.mktemp("closes") / "closes.csv"
    file.write_text("symbol,date,close\n" + "\n".join(rows) + "\n")
    closes = index_closes.read(Source(file), INDIA)
    open_days = {day: raw for day, raw in values.items() if INDIA.is_trading_day(day)}
    assert {c.day: c.raw for c in closes.rows} == open_days
    assert [c.day for c in closes.rows] == sorted(open_days)
    assert closes.report.rows == len(closes.rows) + sum(closes.report.quarantined.values())


# ---------------------------------------------------------------- settlement


def bars(store: Store, folder: Path) -> None:
    """Minutes of BANKNIFTY on 2020-11-26 that end at 29603.20, and of two options of that day."""
    lines = ["symbol,date,time,open,high,low,close,volume,oi"]
    for n in range(375):
        time = f"{9 + (15 + n) // 60:02}:{(15 + n) % 60:02}"
        level = 29_500 if n < 374 else 29_603.2
        lines.append(f"BANKNIFTY,2020-11-26,{time},{level},{level},{level},{level},,")
        for name in ("29500CE", "29600PE"):
            lines.append(f"BANKNIFTY26NOV20{name},2020-11-26,{time},80,80,80,80,250,1000")
    file = folder / "bars.csv"
    file.write_text("\n".join(lines) + "\n")
    assert store.import_file(file, progress=False).stored == 3 * 375


class Holds(Strategy):
    def on_bar(self) -> None:
        if not self.get_opened_positions():
            expiry = date(2020, 11, 26)
            self.buy(self.option(29500, "CE", expiry), lots=1)
            self.sell(self.option(29600, "PE", expiry), lots=1)


def settled(store: Store) -> tuple[dict[str, float], list[Any]]:
    run = Backtest(Holds, store, "BANKNIFTY", start=DAY, end=DAY, slippage=0).run()
    fills = run.fills[run.fills["kind"] == "settlement"]
    log = run.log[run.log["kind"] == "settlement"]
    return dict(zip(fills["symbol"], fills["price"], strict=True)), [
        v["source"] for v in log["values"]
    ]


def test_a_run_settles_on_the_imported_close(store: Store, tmp_path: Path, shared: Path) -> None:
    """Worked example D: the last minute closed at 29603.20, the exchange's close was 29549.75."""
    text = (shared / "reference/worked_examples.json").read_text()
    example = json.loads(text)["D_settlement"]
    assert date.fromisoformat(example["date"]) == DAY
    bars(store, tmp_path)
    call, put = f"BANKNIFTY {DAY} 29500 CE", f"BANKNIFTY {DAY} 29600 PE"
    prices, sources = settled(store)
    estimate = (29 * 29_500 + 29_603.2) / 30  # the mean of the last thirty minutes
    assert prices == {call: round(estimate - 29_500, 2), put: round(29_600 - estimate, 2)}
    assert set(sources) == {"estimated"}
    store.import_file(write(tmp_path, REPORT), progress=False)
    prices, sources = settled(store)
    official = example["official_close_and_final_settlement"]
    assert prices == {call: official - 29_500, put: 29_600 - official} == {call: 49.75, put: 50.25}
    assert set(sources) == {"official"}


# ---------------------------------------------------------------- the archive of 2019


def test_the_closes_of_2019_are_those_of_every_expiry_of_the_archive() -> None:
    for symbol in ("NIFTY", "BANKNIFTY"):
        days = INDIA.expiry_dates(symbol, date(2019, 5, 16), date(2019, 7, 31))
        assert [c.day for c in CLOSES if c.symbol == symbol] == days
    assert all(c.source for c in CLOSES)


def test_the_closes_of_2019_agree_with_a_chart_of_that_time(shared: Path) -> None:
    """Half-hour bars of another vendor: their last price is within 0.4 % of the official close."""
    frame = pd.read_csv(shared / "data/odd/nifty_30m_tradingview.csv.gz")
    at = pd.to_datetime(frame["time"])
    for close in (c for c in CLOSES if c.symbol == "NIFTY"):
        day = frame[at.dt.date == close.day]
        assert len(day) == 13, close
        assert abs(day["close"].iloc[-1] / close.value - 1) < 0.004, close


def test_the_closes_of_2019_are_those_that_the_archive_shows(shared: Path) -> None:
    """Its pages after 15:40, and those before the next session's open, still show the close."""
    shown: dict[tuple[str, date], set[float]] = {}
    name = re.compile(r"([A-Z]+)/\w+/\1_(\d\d)-(\d\d)-(\d{4})\D(\d\d)\D(\d\d)\.csv$")
    (archive,) = (shared / "data/chain_2019").glob("*.tar.xz")
    with tarfile.open(archive) as pages:
        for page in pages:
            if (found := name.search(page.name)) is None:
                continue
            symbol, day, month, year, hour, minute = found.groups()
            on, at = date(int(year), int(month), int(day)), (int(hour), int(minute))
            content = pages.extractfile(page)
            if content is None or (9, 15) <= at < (15, 40):
                continue
            lines = content.read().splitlines()
            value = lines[1].rpartition(b",")[2] if len(lines) > 1 else b""
            if re.fullmatch(rb"\d+(\.\d+)?", value):
                if at < (9, 15):
                    on = max(d for d in trading if d < on)
                shown.setdefault((symbol, on), set()).add(float(value))
    confirmed = [c for c in CLOSES if c.value in shown.get((c.symbol, c.day), set())]
    assert [(c.symbol, str(c.day)) for c in CLOSES if c not in confirmed] == [
        ("NIFTY", "2019-07-04"),
        ("BANKNIFTY", "2019-05-30"),
        ("BANKNIFTY", "2019-07-04"),
    ]


def test_the_closes_of_2019_import(store: Store, tmp_path: Path) -> None:
    lines = [f"{c.symbol},{c.day},{c.value}" for c in CLOSES]
    text = "symbol,date,close\n" + "\n".join(lines) + "\n"
    report = store.import_file(write(tmp_path, text, "closes_2019.csv"), progress=False)
    assert (report.stored, report.quarantined) == (22, {})
    assert store.closes("NIFTY").loc["2019-05-23"] == 11_657.05
    assert max(CLOSES, key=lambda c: c.day).day + timedelta(days=7) == date(2019, 8, 1)
