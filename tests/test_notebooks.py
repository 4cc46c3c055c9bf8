"""What is written for people is run: the notebooks, and the blocks of the README and the docs.

A document's Python blocks are made into a notebook; the `text` block behind one is what it must
print, a block marked `raises-exception` must fail so. Then pytest's nbval runs it all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bestbt.cell.check import check
from bestbt.cell.compile import render_problems_html
from bestbt.cell.options import parse_options
from bestbt.cell.surface import Surface
from bestbt.cli import _parser
from bestbt.engine.strategy import Strategy
from bestbt.magics import _HELP
from bestbt.widgets.keys import HELP
from tests.conftest import DemoStores
from tests.test_architecture import ENGINE

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("cells", "cockpit", "debugging", "importing")),
]

FENCE = re.compile(r"^```(?P<kind>\S*)(?P<marks>[^\n]*)\n(?P<body>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    kind: str
    marks: list[str]
    body: str


def blocks(path: Path) -> list[Block]:
    found = FENCE.finditer(path.read_text("utf-8"))
    return [Block(m["kind"], m["marks"].split(), m["body"].rstrip("\n")) for m in found]


def ids(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


# --- they run ---


@pytest.fixture(scope="module")
def demo(demo_stores: DemoStores, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that holds the demo market and nothing else."""
    path = tmp_path_factory.mktemp("demo") / "store.sqlite"
    shutil.copy(demo_stores(), path)
    return path


def nbval(demo: Path, home: Path, *notebooks: Path) -> None:
    """Run notebooks; what they print must be what is saved in them."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q"]
    command += ["-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings="]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "BESTBT_STORE": str(demo),
        "TQDM_DISABLE": "1",  # bars come and go by the clock
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(
        [*command, *map(str, notebooks)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.kernel
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=ids(NOTEBOOKS))
def test_a_notebook_prints_what_is_saved_in_it(notebook: Path, demo: Path, tmp_path: Path) -> None:
    nbval(demo, tmp_path, notebook)


def as_notebook(path: Path) -> dict[str, Any]:
    """Make a notebook of a document's Python blocks and of what they are said to print."""
    cells = []
    found = blocks(path)
    for block, following in zip(found, [*found[1:], Block("", [], "")], strict=True):
        if block.kind == "python":
            told = following.kind == "text"
            cells.append(
                {
                    "cell_type": "code",
                    "execution_count": 1,
                    "metadata": {"tags": block.marks + ([] if told else ["nbval-ignore-output"])},
                    "outputs": list(said(block, following.body)) if told else [],
                    "source": block.body,
                }
            )
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def said(block: Block, text: str) -> Iterator[dict[str, Any]]:
    """Yield outputs as the kernel sends them: an error's last line is its name and message."""
    if "raises-exception" not in block.marks:
        yield {"output_type": "stream", "name": "stdout", "text": text + "\n"}
        return
    problems, _, error = text.rpartition("\n")
    if problems:
        _, _, body = block.body.partition("\n")
        html = render_problems_html(check(body, Surface.of(Strategy)), body, offset=1)
        shown = {"text/plain": problems, "text/html": html}  # nbval wants both or none
        yield {"output_type": "display_data", "metadata": {}, "data": shown}
    name, _, message = error.partition(": ")
    yield {"output_type": "error", "ename": name, "evalue": message, "traceback": []}


@pytest.mark.kernel
def test_the_blocks_of_documents_print_what_they_say(demo: Path, tmp_path: Path) -> None:
    made = []
    for path in RUN:
        folder = tmp_path / path.stem
        folder.mkdir()
        for block in blocks(path):
            if block.kind == "csv":
                name = block.marks[0] if block.marks else "prices.csv"
                (folder / name).write_text(block.body + "\n", "utf-8")
        made.append(folder / f"{path.stem}.ipynb")
        made[-1].write_text(json.dumps(as_notebook(path)), "utf-8")
    nbval(demo, tmp_path, *made)


# --- they are fit to be read ---


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=ids(NOTEBOOKS))
def test_a_notebook_is_saved_as_run_from_the_top(notebook: Path) -> None:
    text = notebook.read_text("utf-8")
    saved = json.loads(text)
    cells = [cell for cell in saved["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    failed = [c for c in cells if any(o["output_type"] == "error" for o in c["outputs"])]
    assert failed == [c for c in cells if "raises-exception" in c["metadata"].get("tags", [])]
    # widgets of a kernel that has gone, addresses of objects, timings, somebody's folders
    assert re.findall(r"model_id|0x[0-9a-f]{6,}|\d+(?:\.\d+)?s/it|Traceback", text) == []
    assert set(saved["metadata"]) == {"kernelspec", "language_info"}
    assert saved["metadata"]["kernelspec"]["name"] == "python3"


def test_the_first_notebook_is_the_one_that_set_up_opens() -> None:
    assert NOTEBOOKS[0].name in (ROOT / "Makefile").read_text("utf-8")
    assert "synthetic" in NOTEBOOKS[0].read_text("utf-8")


# --- their commands exist ---


def commands(path: Path) -> list[str]:
    """Command lines in blocks and in the text; those that say `…` are no commands."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    lines = [line.partition(" #")[0].strip() for line in text.split("\n")]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [x for x in lines if re.match(r"(bestbt|make|%bestbt|%%backtest) ", x) and "…" not in x]


@pytest.mark.parametrize("path", [*TEXTS, *NOTEBOOKS], ids=ids([*TEXTS, *NOTEBOOKS]))
def test_commands_that_are_named_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for command in commands(path):
        program, *words = shlex.split(command)
        if program == "bestbt":
            given = _parser().parse_args(words)
            if words[0] == "run":
                parse_options(shlex.join(given.options))
        elif program == "make":
            for word in words:
                name, _, value = word.partition("=")
                pattern = rf"^{name} \?=" if value else rf"^{name}:"
                assert re.search(pattern, makefile, re.M), command
        elif program == "%bestbt":
            assert f"%bestbt {words[0]} " in _HELP, command
        else:
            parse_options(shlex.join(words))


def test_documents_hold_commands_at_all() -> None:
    """A rule that finds nothing proves nothing."""
    found = [command for path in TEXTS for command in commands(path)]
    for program in ("bestbt ", "make ", "%bestbt "):
        assert any(command.startswith(program) for command in found)


@pytest.mark.parametrize("path", TEXTS, ids=ids(TEXTS))
def test_links_lead_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text("utf-8"))
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", text):
        if target.startswith("https:"):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


def test_the_keys_of_the_cockpit_are_told_as_its_help_has_them() -> None:
    text = (ROOT / "docs" / "cockpit.md").read_text("utf-8")
    section = text.split("## Keys", 1)[1].split("\n## ", 1)[0]
    told = re.findall(r"^\| (`.+`) \| (.+) \|$", section, re.M)
    names = {"space": " ", "←": "ArrowLeft", "→": "ArrowRight"}
    read = []
    for keys, does in told:
        shift = ["Shift+" if k.startswith("Shift ") else "" for k in re.findall(r"`(.+?)`", keys)]
        bare = [k.removeprefix("Shift ") for k in re.findall(r"`(.+?)`", keys)]
        read.append((tuple(s + names.get(k, k) for s, k in zip(shift, bare, strict=True)), does))
    assert read == [(tuple(keys), does) for keys, does in HELP]


def test_the_reading_order_of_the_engine_is_the_one_that_holds() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.split("## The engine", 1)[1].split("\n## ", 1)[0]
    told = re.findall(r"^\| `(\w+)\.py`", section, re.M)
    there = {path.stem for path in (ROOT / "bestbt" / "engine").glob("*.py")}
    assert told == [name for name in ENGINE if name in there]


def test_changelog_fragments_are_named_by_kind() -> None:
    fragments = [p for p in (ROOT / "changelog.d").iterdir() if p.suffix == ".md"]
    assert fragments
    for path in fragments:
        assert re.fullmatch(r"[a-z-]+\.(added|changed|fixed|removed)\.md", path.name), path.name
        assert path.read_text("utf-8").strip()


def test_the_readme_shows_a_picture_with_words_for_those_who_cannot_see_it() -> None:
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert shown
    assert all(len(words) > 20 and target.startswith("docs/images/") for words, target in shown)
