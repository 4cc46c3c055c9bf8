"""A server that cannot be reached is told in one line, and no password is ever told."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from sqlalchemy import make_url

from bestbt.errors import StoreUnreachable, UsageError
from bestbt.store.store import Store
from tests.conftest import ROOT
from tests.face.shell import Notebook
from tests.face.strategies import STRADDLE
from tests.postgres import Server

SECRET = "hush-4711"


def text(address: str, **changed: object) -> str:
    url = make_url(address)._replace(**changed)  # type: ignore[arg-type]
    return url.render_as_string(hide_password=False)


def refusal(address: str, caplog: pytest.LogCaptureFixture) -> str:
    """Return what opening an address is refused with, once nothing around it has the secret."""
    with caplog.at_level(logging.DEBUG), pytest.raises(UsageError) as refused:
        Store.open(address)
    told = str(refused.value)
    assert "\n" not in told
    here = "".join(traceback.format_exception(refused.value)).replace("Store.open(address)", "")
    for said in (told, repr(refused.value), here, caplog.text):
        assert SECRET not in said
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    return told


def test_a_wrong_password(address: str, caplog: pytest.LogCaptureFixture) -> None:
    told = refusal(text(address, password=SECRET), caplog)
    assert "refuses the user or the password" in told
    assert f"postgresql://bestbt@127.0.0.1:{make_url(address).port}/" in told
    assert "PGPASSWORD" in told
    in_query = text(address, password=None) + f"?password={SECRET}"
    assert refusal(in_query, caplog) == told


def test_a_user_that_is_not_there(address: str, caplog: pytest.LogCaptureFixture) -> None:
    told = refusal(text(address, username="nobody", password=SECRET), caplog)
    assert "nobody@" in told
    assert "the user or the password" in told


def test_no_password(
    address: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PGPASSWORD" in refusal(text(address, password=None), caplog)
    monkeypatch.setenv("PGPASSWORD", str(make_url(address).password))
    Store.open(text(address, password=None)).close()


def test_a_database_that_is_not_there(address: str, caplog: pytest.LogCaptureFixture) -> None:
    told = refusal(text(address, database="prises"), caplog)
    assert "has no such database" in told
    assert "`createdb prises`" in told


def test_a_host_that_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    told = refusal(f"postgresql://me:{SECRET}@no-such-host.invalid/prices", caplog)
    assert "no machine of that name" in told
    assert "no-such-host.invalid" in told


def test_a_port_where_nobody_listens(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = refusal(text(address, port=port, password=SECRET), caplog)
    assert f"127.0.0.1:{port}" in told
    assert "no PostgreSQL answers there" in told
    assert "refused" in told


def test_a_server_that_is_stopped(
    address: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    told = refusal(text(address, password=SECRET), caplog)
    assert "Start the server, or correct host and port" in told


@pytest.fixture
def stranger() -> Iterator[int]:
    """Return a port at which something answers that is no PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    found, _ = listening.accept()
                except OSError:
                    return
                with found:
                    found.recv(1000)
                    found.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_port_of_something_else(stranger: int, caplog: pytest.LogCaptureFixture) -> None:
    told = refusal(f"postgresql://me:{SECRET}@127.0.0.1:{stranger}/prices", caplog)
    assert "no PostgreSQL answers there" in told


@pytest.mark.parametrize(
    ("address", "part"),
    [
        (f"postgresql://me:{SECRET}@host:port/prices", "no address of a store"),
        (f"postgresql:/me:{SECRET}@host/prices", "lacks the //"),
        (
            f"postgresql://me:{SECRET}@host",
            "names no database; write postgresql://me@host/DATABASE",
        ),
        (f"postgresql+asyncpg://me:{SECRET}@host/prices", "write postgresql://"),
        (f"mysql://me:{SECRET}@host/prices", "'mysql' store"),
        (f"://me:{SECRET}@host/prices", "no address of a store"),
        (f"postgresql://me:{SECRET}@127.0.0.1/prices?no_such_option=1", "no_such_option"),
        (f"postgresql://me:{SECRET}@127.0.0.1/prices?sslmode=maybe", "sslmode"),
        (f"postgresql://me:{SECRET}@127.0.0.1/pri\0ces", "NUL"),
        (f"postgresql://me:{SECRET}\0@127.0.0.1/prices", "NUL"),
    ],
)
def test_an_address_that_is_none(address: str, part: str, caplog: pytest.LogCaptureFixture) -> None:
    assert part in refusal(address, caplog)


def test_a_store_does_not_show_its_password(address: str) -> None:
    secret = str(make_url(address).password)
    store = Store.open(address)
    assert repr(store).startswith("<Store postgresql://bestbt@127.0.0.1:")
    assert repr(store).endswith(", empty>")
    for shown in (repr(store), repr(store.engine), str(store.engine.url), repr(store.engine.url)):
        assert secret not in shown
    store.close()
    store = Store.open(text(address, password=None) + f"?password={secret}")
    for shown in (repr(store), repr(store.engine), str(store.engine.url), repr(store.engine.url)):
        assert secret not in shown
    store.close()


def test_a_store_whose_server_has_gone_can_still_be_shown(address: str, server: Server) -> None:
    store = Store.open(address)
    server.stop()
    assert repr(store).endswith(", out of reach>")
    with pytest.raises(StoreUnreachable), store.importing("x"):
        pass
    server.start()
    assert repr(store).endswith(", empty>")
    store.close()


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("BESTBT_STORE", str(tmp_path / "own.sqlite"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    made = Notebook()
    yield made
    made.shell.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    "cell",
    [
        "%bestbt store ADDRESS",
        '%bestbt store "ADDRESS',
        "%%backtest NIFTY --store ADDRESS\n" + STRADDLE,
        "%%backtest NIFTY --stoer ADDRESS\n" + STRADDLE,
        'import bestbt\nstore = bestbt.Store.open("ADDRESS")',
        'import bestbt\nbestbt.Store.open(\n    "ADDRESS",\n)',
    ],
)
def test_a_notebook_shows_no_password(
    notebook: Notebook, address: str, cell: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = notebook(cell.replace("ADDRESS", text(address, password=SECRET)))
    assert isinstance(answer.error, UsageError), answer.told
    assert answer.told.strip()
    streams = capfd.readouterr()
    for shown in (answer.told, str(answer.shown), streams.out, streams.err):
        assert SECRET not in shown
        assert "Traceback" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ["--store", "ADDRESS", "coverage"],
        ["store", "verify", "ADDRESS"],
        ["store", "migrate", "ADDRESS"],
        ["store", "copy", "ADDRESS", "somewhere.sqlite"],
        ["coverage", "ADDRESS"],
    ],
)
def test_a_terminal_shows_no_password(address: str, words: list[str], tmp_path: Path) -> None:
    wrong = text(address, password=SECRET)
    done = subprocess.run(
        [sys.executable, "-m", "bestbt.cli", *(w.replace("ADDRESS", wrong) for w in words)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (1, 2)
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
