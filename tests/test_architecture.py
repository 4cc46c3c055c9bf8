"""Who may know whom, as data, held against what the files import."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module imports from the rows above its own, and from its own package. `bestbt/__init__.py`
# stands below all of them: nobody imports it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "units"),
    ("engine",),
    ("markets", "testing", "progress", "charted"),
    ("store",),
    ("report",),
    ("sweep", "cell"),
    ("widgets",),
    ("player", "asked", "run_verbs", "store_verbs", "import_verb"),
    ("recorder",),
    ("run",),
    ("magics", "cli"),
)

# The engine is read top to bottom: a file imports only files above it.
ENGINE: tuple[str, ...] = (
    "grid",
    "prices",
    "bars",
    "ports",
    "lots",
    "expiries",
    "pricing",
    "blocks",  # no orders in it: a contract has its verbs
    "contract",
    "board",
    "chain_base",
    "chain",
    "order",
    "costing",
    "position",
    "fees",
    "margin",
    "portfolio",
    "groups",
    "sizing",
    "rolling",
    "limits",
    "touch",
    "matching",
    "settlement",
    "participation",
    "ticket",
    "catalogue",
    "dealing",
    "desk",
    "clearing",
    "by_hand",
    "indicators",
    "strategy_base",
    "strategy",
    "feeder",
    "result",
    "lines",
    "events",
    "simulation",
)

# What each layer may import from outside, at the top of a file.
THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "engine": {"numpy"},
    "markets": {"numpy"},
    "testing": {"numpy"},
    "charted": {"numpy"},
    "store": {"alembic", "numcodecs", "numpy", "pandas", "platformdirs", "pyarrow", "sqlalchemy"},
    "report": {"numpy", "pandas"},
    "sweep": {"numpy", "pandas"},
    "cell": {"numpy", "pyflakes"},
    "widgets": {"IPython", "anywidget", "bqplot", "ipywidgets", "numpy", "pandas", "traitlets"},
    "player": set(),
    "asked": {"numpy"},
    "run_verbs": {"pandas"},
    "import_verb": set(),
    "recorder": {"numpy"},
    "progress": set(),
    "run": {"numpy", "pandas"},
    "store_verbs": set(),
    "magics": {"IPython"},
    "cli": {"pandas"},
    "": set(),  # bestbt/__init__.py
}

# Imports inside a function: only a heavy library behind a method that most users never call.
INSIDE_FUNCTIONS: dict[str, set[str]] = {
    "bestbt.engine.chain": {"pandas"},  # OptionChain.to_frame
    "bestbt.run": {"bestbt"},  # Run.view: the widgets
    "bestbt.progress": {"tqdm"},
    "bestbt.store.dialects": {"psycopg"},  # only for those who have a server
    "bestbt.store.migrating": {"alembic"},
}

# `import bestbt` must stay quick: none of these before something needs it.
HEAVY = {"IPython", "anywidget", "bqplot", "ipywidgets", "numcodecs", "pandas", "pyarrow"}
HEAVY |= {"pyflakes", "sqlalchemy", "tqdm"}

# A path that is only there on the machine of whoever wrote it.
SOMEBODYS_PATH = re.compile(r"(?<![\w.:/~])/(?:home|media|mnt|root|tmp|Users|work)/\w")


class Import(NamedTuple):
    """One import: who, whom, on which line, and whether it happens when the file is loaded."""

    importer: str
    target: str  # full name of the module
    line: int
    place: str  # "top", "typing" (never executed), "function" or "string" (by import_module)

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "bestbt").rglob("*.py"))}


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def height(module: str) -> int:
    layer = layer_of(module)
    return next((i for i, row in enumerate(LAYERS) if layer in row), len(LAYERS))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def targets(node: ast.AST, importer: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{importer}:{node.lineno} imports relatively: write it in full"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in MODULES else str(node.module)


def walk(node: ast.AST, importer: str, place: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for target in targets(child, importer):
            yield Import(importer, target, getattr(child, "lineno", 0), place)
        if isinstance(child, ast.Constant) and child.value in MODULES and child.value != "bestbt":
            yield Import(importer, str(child.value), child.lineno, "string")
        inner = place
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = "function"
        elif is_type_checking(child):
            inner = "typing"
        yield from walk(child, importer, inner)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for module, path in MODULES.items()
        for found in walk(ast.parse(path.read_text("utf-8"), str(path)), module, "top")
    )


def own() -> list[Import]:
    return [i for i in all_imports() if i.target.split(".")[0] == "bestbt"]


def foreign() -> list[Import]:
    ours = sys.stdlib_module_names | {"bestbt"}
    return [i for i in all_imports() if i.target.split(".")[0] not in ours]


def test_every_module_has_a_layer() -> None:
    known = {name for row in LAYERS for name in row} | {""}
    assert [m for m in MODULES if layer_of(m) not in known] == []
    assert set(THIRD_PARTY) == known


def test_modules_import_only_from_layers_before_theirs() -> None:
    wrong = [
        str(i)
        for i in own()
        if layer_of(i.importer) != layer_of(i.target) and height(i.importer) <= height(i.target)
    ]
    assert wrong == []


def test_every_engine_file_has_its_place() -> None:
    files = {m.removeprefix("bestbt.engine.") for m in MODULES if m.startswith("bestbt.engine.")}
    assert files - set(ENGINE) == set()


def test_the_engine_reads_top_to_bottom() -> None:
    place = {f"bestbt.engine.{name}": i for i, name in enumerate(ENGINE)}
    place["bestbt.engine"] = len(ENGINE)  # the package may gather its files; none may ask it
    wrong = [
        str(i)
        for i in own()
        if i.importer in place and i.target in place and i.place != "typing"
        if place[i.importer] <= place[i.target]
    ]
    assert wrong == []


def test_no_cycles() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in own():
        if found.place in {"top", "function"}:
            graph[found.importer].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_each_layer_uses_only_its_libraries() -> None:
    wrong = [
        str(i)
        for i in foreign()
        if i.place != "function"
        and i.target.split(".")[0] not in THIRD_PARTY.get(layer_of(i.importer), set())
    ]
    assert wrong == []


def test_imports_inside_functions_are_the_named_ones() -> None:
    wrong = [
        str(i)
        for i in all_imports()
        if i.place == "function"
        and i.target.split(".")[0] not in INSIDE_FUNCTIONS.get(i.importer, set())
    ]
    assert wrong == []


def in_fresh_python(code: str) -> object:
    """Run code in an interpreter that has imported nothing, and return the JSON it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_bestbt_is_light() -> None:
    loaded = in_fresh_python(
        "import bestbt, json, sys; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    assert isinstance(loaded, list)
    assert HEAVY & set(loaded) == set()


def test_public_names_are_all_there_and_no_others() -> None:
    found = in_fresh_python(
        """
import bestbt, json
own = [n for n, v in vars(bestbt).items() if getattr(v, "__module__", "").startswith("bestbt")]
print(json.dumps({
    "all": bestbt.__all__,
    "dir": dir(bestbt),
    "defined": sorted(n for n in own if not n.startswith("_")),
    "missing": [n for n in bestbt.__all__ if not hasattr(bestbt, n)],
    "unknown": hasattr(bestbt, "no_such_name"),
}))
"""
    )
    assert isinstance(found, dict)
    assert found["all"] == sorted(set(found["all"]))
    assert set(found["all"]) <= set(found["dir"])
    # IPython calls it by this name; nobody types it
    assert set(found["defined"]) - {"load_ipython_extension"} <= set(found["all"])
    assert found["missing"] == []
    assert found["unknown"] is False


@pytest.mark.parametrize("folder", ["bestbt", "docs", "notebooks"])
def test_no_file_names_a_path_of_somebodys_machine(folder: str) -> None:
    kinds = {".css", ".html", ".ipynb", ".js", ".json", ".md", ".py", ".toml"}
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in kinds and ".ipynb_checkpoints" not in path.parts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SOMEBODYS_PATH.search(line)
    ]
    assert wrong == []
