"""What the two commands say on a machine that is not ready, and what the lock must hold."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def make(*arguments: str) -> tuple[int, list[str]]:
    """Run make as from a fresh shell; return its status and what it said, its own lines apart."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, [x for x in done.stdout.splitlines() if not x.startswith("make")]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return where an environment would go; a refusal leaves nothing there."""
    return tmp_path / "venv"


def pretend(folder: Path, change: str) -> Path:
    """Write a Python that is this one, except for one change made before it runs a file."""
    path = folder / "python3"
    code = f"import runpy, sys; {change}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], "
    code += "run_name='__main__')"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("command", ["lab", "test", "lint"])
def test_an_old_python_is_named(command: str, venv: Path, tmp_path: Path) -> None:
    old = pretend(tmp_path, "sys.version_info = (3, 9, 2, 'final', 0)")
    status, said = make(command, f"PYTHON={old}", f"VENV={venv}")
    assert status != 0
    assert len(said) == 1
    assert "needs Python 3.11 or newer" in said[0]
    assert "is 3.9" in said[0]
    assert not venv.exists()


@pytest.mark.parametrize("command", ["lab", "test"])
def test_a_python_without_venv_is_told_what_to_install(
    command: str, venv: Path, tmp_path: Path
) -> None:
    bare = pretend(tmp_path, "sys.modules['ensurepip'] = None")
    status, said = make(command, f"PYTHON={bare}", f"VENV={venv}")
    assert status != 0
    assert len(said) == 1
    assert "apt install python3-venv" in said[0]
    assert not venv.exists()


def test_a_python_that_is_not_there(venv: Path) -> None:
    status, said = make("test", "PYTHON=no-such-python", f"VENV={venv}")
    assert status != 0
    assert len(said) == 1
    assert "no-such-python" in said[0]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_taken_port_is_named_and_a_free_one_offered(taken: int, venv: Path) -> None:
    status, said = make("lab", f"PORT={taken}", f"VENV={venv}")
    assert status != 0
    assert len(said) == 1
    assert f"Port {taken} is taken" in said[0]
    offered = re.search(r"make lab PORT=(\d+)", said[0])
    assert offered
    assert int(offered[1]) > taken
    assert not venv.exists()


@pytest.mark.parametrize("port", ["eighty", "80", "99999", "-1"])
def test_a_port_that_is_none(port: str, venv: Path) -> None:
    status, said = make("lab", f"PORT={port}", f"VENV={venv}")
    assert status != 0
    assert len(said) == 1
    assert f"PORT={port} is not a port" in said[0]


def test_an_environment_that_is_ready_is_left_alone(venv: Path) -> None:
    venv.mkdir()
    (venv / "installed").touch()
    status, said = make("lint", "--dry-run", f"VENV={venv}")
    assert status == 0
    assert not any("pip install" in line for line in said)

    old = (ROOT / "requirements-dev.lock").stat().st_mtime - 1
    os.utime(venv / "installed", (old, old))
    status, said = make("lint", "--dry-run", f"VENV={venv}")
    assert any("pip install" in line for line in said)


def test_without_chromium_the_browser_tests_are_left_out_in_one_line(venv: Path) -> None:
    status, said = make("test", "--dry-run", "BESTBT_CHROMIUM=", f"VENV={venv}")
    assert status == 0
    assert sum("browser tests are left out" in line for line in said) == 1
    assert any('-m "not browser"' in line for line in said)

    status, said = make("test", "--dry-run", "BESTBT_CHROMIUM=/a/chromium", f"VENV={venv}")
    assert status == 0
    assert not any("not browser" in line for line in said)


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements-dev.lock").read_text().splitlines()
    pins: dict[str, Version] = {}
    for line in lines:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.+!]*)", line)
        assert found, f"not a name and a version: {line!r}"
        pins[canonicalize_name(found[1])] = Version(found[2])
    assert len(pins) == len(lines)
    return pins


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(text)
        for text in project["dependencies"] + project["optional-dependencies"]["dev"]
    ]


def test_the_lock_satisfies_every_bound() -> None:
    pins = locked()
    for wanted in declared():
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier, str(wanted)


def test_every_dependency_has_a_lower_bound_and_a_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    for wanted in declared():
        assert [s.operator for s in wanted.specifier] == [">="], str(wanted)
        assert f"| {wanted.name} |" in reasons, f"docs/dependencies.md does not say why {wanted}"


def test_the_lock_holds_what_its_packages_need() -> None:
    """What is not pinned is installed as the day has it, and two machines differ."""
    pins, missing = locked(), set()
    todo = [(canonicalize_name(r.name), frozenset(r.extras)) for r in declared()]
    seen = set(todo)
    while todo:
        name, extras = todo.pop()
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            needs = []
        if name not in pins:
            missing.add(name)
        for wanted in map(Requirement, needs):
            applies = not wanted.marker or any(
                wanted.marker.evaluate({"extra": extra}) for extra in {"", *extras}
            )
            step = (canonicalize_name(wanted.name), frozenset(wanted.extras))
            if applies and step not in seen:
                seen.add(step)
                todo.append(step)
    assert missing == set()
