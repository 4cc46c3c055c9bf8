"""The whole from a PostgreSQL: the same run, the same hash, the same notebook."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bestbt import Backtest, Run, Store
from tests.face.shell import Notebook
from tests.face.strategies import STRADDLE, ShortStraddle
from tests.postgres import Databases


@pytest.fixture(scope="module")
def moved(demo: Path, databases: Databases) -> str:
    """Return the address of the demo week on the server."""
    address = databases.take()
    embedded = Store.open(demo)
    embedded.copy_to(address, progress=False)
    embedded.close()
    return address


def test_the_same_run_has_the_same_hash_and_is_saved(store: Store, moved: str) -> None:
    server = Store.open(moved)
    assert repr(server).startswith("<Store postgresql://")
    here, there = (Backtest(ShortStraddle, s, "NIFTY").run() for s in (store, server))
    assert here.hash == there.hash
    assert here.summary() == there.summary()
    assert len(here.fills) > 10
    number = there.save("on the server")
    kept = server.open_run(number)
    assert kept.hash == here.hash
    for name in ("orders", "fills", "trades", "ledger"):
        pd.testing.assert_frame_equal(getattr(kept, name), getattr(here, name))
    pd.testing.assert_series_equal(kept.equity, here.equity, check_freq=False)
    server.close()


def test_a_notebook_over_a_server(
    notebook: Notebook, moved: str, store: Store, databases: Databases
) -> None:
    answer = notebook(f"%bestbt store {moved}")
    assert repr(answer.value).startswith("<Store postgresql://")
    assert str(databases.url.password) not in repr(answer.value)
    assert notebook("%bestbt coverage").value.equals(store.coverage())
    answer = notebook("%%backtest NIFTY --no-view --wait --save morning\n" + STRADDLE)
    assert answer.error is None, answer.told
    run = notebook.names["run"]
    assert isinstance(run, Run)
    assert run.hash == Backtest(ShortStraddle, store, "NIFTY").run().hash
    assert "morning" in notebook("%bestbt runs").value["name"].tolist()
    notebook("%bestbt store default")
    assert repr(notebook("%bestbt store").value).startswith("<Store demo.sqlite")


def test_a_server_named_by_the_environment(
    moved: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESTBT_STORE", moved)
    opened = Store.open()
    assert opened.coverage().equals(store.coverage())
    opened.close()
