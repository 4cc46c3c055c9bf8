"""What `store.prices` gives, written to a file by pandas, comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from bestbt.errors import ContractNotFound, ImportRefused
from bestbt.markets.demo import write_demo
from bestbt.store.store import Store

NAMES = ["NIFTY", "NIFTY 2024-01-04 21700 CE", "NIFTY 2024-01-25 FUT"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(tmp_path_factory.mktemp("demo") / "prices.sqlite")
    write_demo(opened, "NIFTY", date(2024, 1, 3), date(2024, 1, 4))
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_prices_come_back_as_they_were(
    store: Store, demo: Store, tmp_path: Path, name: str, kind: str
) -> None:
    file = tmp_path / f"bars.{kind}"
    written = demo.prices(name)
    getattr(written, f"to_{kind}")(file)  # one column `time` with date, time and zone
    report = store.import_file(file, symbol=name, progress=False)
    assert (report.rows, report.stored) == (len(written), len(written))
    assert report.findings == [f for f in report.findings if f.dealt == "noted"]
    pd.testing.assert_frame_equal(store.prices(name), written, check_exact=True, check_freq=False)


@pytest.mark.parametrize(
    ("name", "contract"),
    [
        ("NIFTY04JAN2421700CE", "NIFTY 2024-01-04 21700 CE"),
        ("NFO:nifty2410421700ce", "NIFTY 2024-01-04 21700 CE"),
        ("NIFTY24JAN21700CE", "NIFTY 2024-01-25 21700 CE"),  # or 24 January 2021, at 700
        ("NIFTY24JANFUT", "NIFTY 2024-01-25 FUT"),
        ("NIFTY 50", "NIFTY"),
    ],
)
def test_prices_are_found_by_the_names_of_exchanges(demo: Store, name: str, contract: str) -> None:
    assert demo.prices(name).equals(demo.prices(contract))


@pytest.mark.parametrize("name", ["NIFTY04JAN2499900CE", "NIFTY11JAN2322000CE", "NIFTYXXCE"])
def test_names_of_what_is_not_stored_are_refused(demo: Store, name: str) -> None:
    with pytest.raises(ContractNotFound, match="in the store; it has INDIAVIX, NIFTY"):
        demo.prices(name)


@pytest.mark.parametrize("header", ["time", "Date", "timestamp", "DateTime", "Bar Time"])
@pytest.mark.parametrize(
    "moment", ["2024-01-03 09:15:00+05:30", "2024-01-03T03:45:00Z", "03-01-2024 09:15"]
)
def test_a_single_column_of_time_may_have_any_of_the_names(
    store: Store, tmp_path: Path, header: str, moment: str
) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(f"{header},open,high,low,close\n{moment},1,4,1,3\n")
    store.import_file(file, symbol="NIFTY", progress=False)
    assert [str(t) for t in store.prices("NIFTY").index] == ["2024-01-03 09:15:00+05:30"]


def test_times_of_day_without_a_date_are_refused(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("time,open,high,low,close\n09:15,1,4,1,3\n09:16,1,4,1,3\n")
    with pytest.raises(ImportRefused, match=r"(?s)No row.*unreadable-time.*datetime = time"):
        store.import_file(file, symbol="NIFTY", progress=False)
    assert store.is_empty


def test_columns_are_told_where_their_names_differ(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    rows = "2024-01-03 09:15,1,4,1,3\n"
    file.write_text(f"datetime,Open,High,Low,LTP\n{rows}")
    told = str(store.import_file(file, symbol="NIFTY", columns={"close": "LTP"}, progress=False))
    assert "  columns: close = LTP\n" in told
    file.write_text(f"datetime,Open,High,Low,Close\n{rows}")
    assert "columns" not in str(store.import_file(file, symbol="NIFTY", progress=False))
