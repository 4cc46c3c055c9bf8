"""Files whose rows try to break a database, or hold what none can keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from bestbt.cli import main
from bestbt.errors import ImportRefused, UsageError
from bestbt.store.store import Store

SYMBOLS = [
    "NIF'TY", 'NIF""TY', "X'; DROP TABLE imports;--", "NIFTY\0", "\0", "N" * 10_000,
    "';--" * 2_500, "NIFTY24104'21000CE", "%s%n:x", "\x1b[2J", "half\ud800",
]  # fmt: skip
HEADER = "symbol,datetime,open,high,low,close\n"
GOOD = "NIFTY,2024-01-03 09:15,1,4,1,3\n"


def written(file: Path, symbol: str) -> Path:
    text = HEADER + GOOD + f'"{symbol}",2024-01-03 09:15,1,4,1,3\n'
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return file


def check(refused: UsageError) -> None:
    assert len(str(refused)) < 1000
    assert "\0" not in str(refused)


@pytest.mark.parametrize("symbol", SYMBOLS, ids=range(len(SYMBOLS)))
def test_a_symbol_in_a_file(either: str, tmp_path: Path, symbol: str) -> None:
    """The good row is stored; the other is stored as it is, set aside, or refuses the file."""
    store = Store.open(either)
    try:
        report = store.import_file(written(tmp_path / "in.csv", symbol), progress=False)
    except ImportRefused as refused:
        check(refused)
        assert store.is_empty
        assert store.imports().empty
    else:
        assert (report.rows, report.balanced) == (2, True)
        assert len(store.imports()) == 1
        assert len(store.prices("NIFTY")) == 1
        assert store.coverage()["rows"].sum() == report.stored
        assert len(str(report)) < 3000
        assert all(len(text) <= 1000 and "\0" not in text for text in store.quarantine()["text"])
    assert store.verify(progress=False).damage == ()
    store.close()


@pytest.mark.parametrize("symbol", SYMBOLS, ids=range(len(SYMBOLS)))
def test_a_symbol_that_is_given(
    either: str, tmp_path: Path, symbol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `symbol=`, and in questions."""
    store = Store.open(either)
    file = tmp_path / "in.csv"
    file.write_text("datetime,open,high,low,close\n2024-01-03 09:15,1,4,1,3\n")
    for ask in (
        lambda: store.import_file(file, symbol=symbol, progress=False),
        lambda: store.export(symbol, tmp_path / "out.parquet", progress=False),
        lambda: store.fingerprint([symbol], "2024-01-01", "2024-01-31"),
        lambda: store.closes(symbol),
        lambda: store.settlements(symbol),
        lambda: store.synthetic(symbol),
    ):
        try:
            ask()
        except UsageError as refused:
            check(refused)
    assert len(store.coverage()) == len(store.imports())
    store.close()
    capsys.readouterr()
    code = main(["--store", either, "export", symbol, str(tmp_path / "again.parquet")])
    assert code in (0, 1)
    assert len(capsys.readouterr().err.splitlines()) <= 2
