"""Names that somebody could break a database with are kept as they are, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, ImportRefused, UsageError
from bestbt.store.run_writer import checked_name
from bestbt.store.store import Store
from tests.store.test_feed import WEEK, points

KEPT = [
    "O'HARE", 'A"B', "X; DROP TABLE runs; --", "%s%(a)s", ":name", "100%_", "\\", "निफ्टी", "a\tb",
    "  ", "x" * 40, "$1", "{}", "/* */", "NULL",
]  # fmt: skip
REFUSED = ["NIFTY\0", "\0", "x" * 41, "x" * 10_000, "';--" * 3000, "half \ud800"]


@pytest.fixture
def bars() -> tuple[np.ndarray, np.ndarray]:
    return WEEK.starts[:3], points(3)


@pytest.mark.parametrize("name", KEPT)
def test_a_symbol_is_kept_as_it_is(
    store: Store, name: str, bars: tuple[np.ndarray, np.ndarray]
) -> None:
    with store.importing(name * 5) as tx:
        tx.write(ContractSpec("index", name), *bars)
        tx.close(name, WEEK.sessions[0].day, 100, name)
    assert store.coverage()["symbol"].tolist() == [name]
    assert len(store.prices(name)) == 3
    assert store.closes(name).tolist() == [1.0]
    assert store.imports()["file"].tolist() == [name * 5]
    record = {"name": name, "source": name, "parameters": {name: name}, "options": {}}
    run = store.run_writer({**record, "fingerprint": ""}).write({"state": "finished"})
    assert store.open_run(run).source == name
    assert store.open_run(name).parameters == {name: name}
    assert store.delete_run(name).run_id == run
    assert store.runs().empty
    feed = store.feed(name, WEEK.sessions[0].day, WEEK.sessions[0].day)
    assert feed.columns(ContractSpec("index", name)) is not None


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_database_keeps_is_refused_and_nothing_is_stored(
    store: Store, name: str, bars: tuple[np.ndarray, np.ndarray]
) -> None:
    def write() -> None:
        with store.importing("fine") as tx:
            tx.write(ContractSpec("index", "NIFTY"), *bars)
            tx.write(ContractSpec("index", name), *bars)

    asked = [
        write,
        lambda: store.prices(name),
        lambda: store.feed(name, "2024-02-01", "2024-02-02"),
    ]
    for ask in asked:
        with pytest.raises(UsageError) as refused:
            ask()
        assert len(str(refused.value)) < 300
        assert "\0" not in str(refused.value)
    assert store.is_empty
    assert store.imports().empty


@pytest.mark.parametrize("name", ["a\0b", "x" * 10_000])
def test_a_run_of_a_name_that_cannot_be_kept(store: Store, name: str) -> None:
    for ask in (store.open_run, store.delete_run):
        with pytest.raises(UsageError) as refused:
            ask(name)
        assert len(str(refused.value)) < 300
    with pytest.raises(UsageError):
        checked_name(name)


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 10_000, "/" + "y/" * 5000, "';--\".csv"])
def test_a_path_that_is_none(store: Store, path: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        store.import_file(path, progress=False)
    assert len(str(refused.value)) < 300
    with pytest.raises(ContractNotFound):
        store.prices("NIFTY")


@pytest.mark.parametrize("path", ["a\0b", "x" * 10_000, "y/" * 5000 + "z"])
def test_a_store_at_a_path_that_is_none(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        Store.open(path)
    assert len(str(refused.value)) < 300
    assert list(tmp_path.iterdir()) == []


def test_a_store_and_a_file_with_quotes_in_their_names(store: Store, tmp_path: Path) -> None:
    name = "o'hare\"; DROP TABLE runs; -- %s.csv"
    (tmp_path / name).write_text("time,open,high,low,close\n2024-01-03 09:15,1,4,1,3\n")
    assert store.import_file(tmp_path / name, symbol="NIFTY", progress=False).stored == 1
    assert store.imports()["file"].tolist() == [name]
    odd = Store.open(tmp_path / "o'hare; --?x=1#%20.sqlite")
    assert odd.is_empty
    odd.close()
