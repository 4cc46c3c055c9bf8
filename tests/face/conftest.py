"""One small demo market for every test of the face, and a fresh copy of it to write to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from bestbt import Run
from bestbt.store.store import Store
from tests.conftest import DemoStores
from tests.face.shell import Notebook

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 5)  # a week with an expiry (the 4th) in it


@pytest.fixture(scope="session")
def demo(demo_stores: DemoStores, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store's file with a week of the demo market; not to be written to."""
    path = tmp_path_factory.mktemp("face") / "demo.sqlite"
    return Path(shutil.copy(demo_stores(FIRST, LAST), path))


@pytest.fixture(scope="session")
def store(demo: Path) -> Iterator[Store]:
    """Return the demo week, open, for reading."""
    store = Store.open(demo)
    yield store
    store.close()


@pytest.fixture
def own(demo: Path, tmp_path: Path) -> Path:
    """Return a copy of the demo week that the test may write to."""
    return Path(shutil.copy(demo, tmp_path / "own.sqlite"))


@pytest.fixture
def notebook(demo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Notebook]:
    monkeypatch.setenv("BESTBT_STORE", str(demo))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    made = Notebook()
    yield made
    for value in made.names.values():
        if isinstance(value, Run):
            value.stop()
            assert value.done.wait(10)
    for magic in made.shell.magics_manager.registry.values():
        for store in getattr(magic, "_stores", {}).values():
            store.close()
    made.shell.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture
def writing(notebook: Notebook, own: Path, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """Return the notebook over a store that may be written to."""
    monkeypatch.setenv("BESTBT_STORE", str(own))
    return notebook
