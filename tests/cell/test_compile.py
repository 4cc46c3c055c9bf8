"""Compiling a cell: the strategy, fresh copies, line numbers, errors in a real shell."""

from __future__ import annotations

import io
import linecache
import re
import traceback
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from bestbt.cell import names
from bestbt.cell.compile import compile_cell
from bestbt.cell.place import Place, locate
from bestbt.cell.show import author_lines, own_lines, short_error
from bestbt.engine.strategy import Strategy
from bestbt.errors import CellError, OrderError, UsageError

CELL = """import numpy as np
SEEN = []
class S(Strategy):
    stop = WIDTH
    def on_bar(self):
        SEEN.append(1)
        return len(SEEN)
"""


def test_the_strategy_and_what_the_cell_bound():
    notebook = {"WIDTH": 3, "np": np, "other": 1}
    cell = compile_cell(CELL, "cell", notebook)

    assert issubclass(cell.strategy, Strategy)
    assert cell.strategy.stop == 3
    assert set(cell.names) == {"np", "SEEN", "S"}
    assert set(notebook) == {"WIDTH", "np", "other"}
    assert (cell.source, cell.filename) == (CELL, "cell")


def test_a_replay_starts_from_the_names_as_they_were():
    notebook = {"WIDTH": 3}
    cell = compile_cell(CELL, "cell", notebook)
    cell.strategy().on_bar()
    notebook["WIDTH"] = 9
    again = cell.make()

    assert again is not cell.strategy
    assert again.stop == 3
    assert again().on_bar() == 1  # its own SEEN
    assert cell.strategy().on_bar() == 2


def test_names_that_need_no_import():
    body = (
        "class S(Strategy):\n    @at('09:20')\n    def go(self): return np.ones(1), crossed_above\n"
    )
    cell = compile_cell(body, "cell", {})

    assert set(cell.names) == {"S"}
    assert cell.strategy().go()[0][0] == 1.0


def test_a_library_that_is_absent_is_missed_only_when_used(monkeypatch):
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    body = "class S(Strategy):\n    def init(self): talib.EMA"
    strategy = compile_cell(body, "cell", {}).strategy

    with pytest.raises(UsageError, match=r"talib\.EMA needs .*%pip install TA-Lib"):
        strategy().init()


def test_the_notebooks_own_names_win():
    cell = compile_cell("class S(Strategy):\n    x = np", "cell", {"np": "mine"})

    assert cell.strategy.x == "mine"


def test_the_leaf_of_a_family_is_meant():
    body = "class A(Strategy): pass\nclass B(A): pass\nclass Other: pass\nAlias = B\n"

    assert compile_cell(body, "cell", {}).strategy.__name__ == "B"


def test_a_base_from_an_earlier_cell_is_no_second_strategy():
    first = compile_cell("class A(Strategy): pass", "one", {})
    second = compile_cell("class B(A): pass", "two", dict(first.names))

    assert second.strategy.__name__ == "B"
    assert issubclass(second.strategy, first.strategy)


def test_a_cell_run_twice_gives_the_new_class():
    first = compile_cell("class A(Strategy): n = 1", "one", {})
    second = compile_cell("class A(Strategy): n = 2", "one", dict(first.names))

    assert second.strategy.n == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x = 1", "The cell has no strategy: no class in it derives from Strategy"),
        ("class A: pass", "no class in it derives"),
        ("class A(Strategy): pass\nclass B(Strategy): pass", "2 strategies: A, B"),
        ("from bestbt.engine.strategy import Strategy as A", "no class in it derives"),
        ("class Strategy: pass\nclass A(Strategy): pass", "`Strategy` in this notebook is"),
    ],
)
def test_no_strategy_or_two(body, said):
    with pytest.raises(CellError) as refused:
        compile_cell(body, "cell", {})

    assert said in str(refused.value)


def test_the_cells_code_inherits_no_future_of_ours():
    body = "class S(Strategy):\n    n: int = 3\n"

    assert compile_cell(body, "cell", {}).strategy.__annotations__ == {"n": int}


def test_line_numbers_are_those_beside_the_cell():
    with pytest.raises(ZeroDivisionError) as failed:
        compile_cell("x = 1\n1 / 0\n", "the cell", {}, offset=1)

    assert traceback.extract_tb(failed.value.__traceback__)[-1].lineno == 3


# --- in a shell ---


@pytest.fixture
def shell(tmp_path):
    """A shell with a magic that compiles its cell; `shell.place` is where it stood."""
    config = Config(HistoryManager={"enabled": False})
    shell = InteractiveShell.instance(config=config, ipython_dir=str(tmp_path))
    shell.colors = "nocolor"
    seen = SimpleNamespace(place=None, cell=None)

    def backtest(line, body):
        seen.place = locate(shell, line, body)
        try:
            seen.cell = compile_cell(body, seen.place.filename, shell.user_ns, seen.place.offset)
        except UsageError as error:
            raise short_error(error, seen.place.filename, seen.place.offset) from None
        except Exception as error:
            author_lines(error, shell, seen.place.filename, seen.place.offset)
            raise

    shell.register_magic_function(backtest, "cell", "backtest")
    shell.seen = seen
    shell.reset()
    yield shell
    InteractiveShell.clear_instance()


def run(shell, text):
    out = io.StringIO()
    with redirect_stdout(out):
        result = shell.run_cell(text, store_history=True)
    return result, re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


def test_the_cell_is_found_by_its_frame_and_its_text_put_in_place(shell):
    run(shell, "%%backtest NIFTY\n\nclass S(Strategy):\n    pass\n")
    place = shell.seen.place

    assert place.filename in shell.compile._filename_map
    assert (place.offset, place.text.splitlines()[0]) == (1, "%%backtest NIFTY")
    assert linecache.getline(place.filename, 3) == "class S(Strategy):\n"
    assert shell.seen.cell.strategy.__init__ is Strategy.__init__


def test_the_exact_text_of_a_front_end_counts_its_leading_lines(shell):
    text = "\n\n%%backtest NIFTY\nclass S(Strategy):\n    pass"
    shell.get_parent = lambda: {"content": {"code": text}}
    try:
        place = locate(shell, "NIFTY", "class S(Strategy):\n    pass\n")
        other = locate(shell, "NIFTY", "class Other(Strategy):\n    pass\n")
    finally:
        del shell.get_parent

    assert place == Place(place.filename, text, 3)
    assert other.offset == 1
    assert other.text.startswith("%%backtest NIFTY\nclass Other")


def test_an_error_of_the_body_is_shown_by_the_authors_lines(shell):
    result, shown = run(shell, "%%backtest NIFTY\nx = 1\ny = x / 0\nclass S(Strategy): pass\n")

    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert re.search(r"Cell In\[\d+\], line 3", shown)
    assert "y = x / 0" in shown
    assert "compile.py" not in shown
    assert "run_cell_magic" not in shown


def test_an_error_in_a_hook_called_by_the_engine(shell):
    run(
        shell, "%%backtest NIFTY\nclass S(Strategy):\n    def on_bar(self):\n        helper(self)\n"
    )
    run(shell, "def helper(s):\n    raise KeyError('lost')")
    seen = shell.seen
    seen.cell.strategy.on_bar.__globals__["helper"] = shell.user_ns["helper"]
    with pytest.raises(KeyError) as failed:
        seen.cell.strategy().on_bar()
    lines = traceback.extract_tb(own_lines(failed.value.__traceback__, seen.place.filename, 1))

    assert [line.name for line in lines] == ["on_bar", "helper"]
    assert lines[0].lineno == 4


def test_a_users_mistake_is_one_short_message_with_its_line(shell):
    result, shown = run(
        shell, "%%backtest NIFTY\nclass S(Strategy):\n    @at('25:00')\n    def go(self): pass\n"
    )

    assert isinstance(result.error_in_exec, UsageError)
    assert shown.splitlines() == [
        "UsageError: '25:00' is no time of day; write it as '09:20' or '09:20:30'.",
        "  line 3: @at('25:00')",
    ]


def test_a_cell_without_strategy_is_one_line(shell):
    result, shown = run(shell, "%%backtest NIFTY\nx = 1\n")

    assert isinstance(result.error_in_exec, CellError)
    assert len(shown.splitlines()) == 1
    assert shown.startswith("CellError: The cell has no strategy")


def test_short_errors_show_the_innermost_line_of_the_cell():
    linecache.cache["a cell"] = (0, None, ["%%x\n", "def f(): raise E\n", "f()\n"], "a cell")
    with pytest.raises(OrderError) as failed:
        exec(compile("\ndef f(): raise E('zero lots')\nf()\n", "a cell", "exec"), {"E": OrderError})
    shown = short_error(failed.value, "a cell", 1)._render_traceback_()

    assert shown == ["OrderError: zero lots", "  line 2: def f(): raise E"]


def test_a_bug_of_ours_keeps_its_traceback(shell):
    with pytest.raises(ValueError, match="ours") as failed:
        raise ValueError("ours")
    shown = "\n".join(author_lines(failed.value, shell, "a cell")._render_traceback_())

    assert "test_compile.py" in shown
