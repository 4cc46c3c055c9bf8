"""The magics: parse, call, return. `%%backtest` runs a cell, `%bestbt` does the rest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from IPython.core.display_functions import display as _display
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from bestbt.cell.check import Problem, check
from bestbt.cell.compile import (
    CompiledCell,
    compile_cell,
    render_problems_html,
    render_problems_text,
)
from bestbt.cell.options import RUN_OPTIONS, CellOptions, Parser, parse_options
from bestbt.cell.place import Place, locate
from bestbt.cell.show import author_lines, short_error
from bestbt.cell.surface import Surface
from bestbt.engine.strategy import Strategy
from bestbt.errors import CellError, UsageError, did_you_mean, without_secrets
from bestbt.import_verb import import_options
from bestbt.markets.demo import write_demo
from bestbt.progress import progress_bar
from bestbt.report.saved import saved_summary
from bestbt.run import Backtest, Run
from bestbt.run_verbs import runs_verb
from bestbt.store.runs import StoredRun
from bestbt.store.store import Store

__all__ = ["BestbtMagics", "register"]

display: Callable[..., Any] = _display

_HELP = """\
%%backtest SYMBOL… [options]   run the strategy written in the cell
%bestbt coverage               what is in the store
%bestbt demo                   load the synthetic demo market
%bestbt import PATH [SYMBOL]   import a file of market data, or a folder of them; `--set NAME=VALUE`
                               says an option of its format, `--format NAME` which format it is
%bestbt store [PATH or URL]    say which store is used, or use another; `default`: your own again
%bestbt runs                   runs saved in the store; `runs show RUN`, `runs compare RUN RUN`,
                               `runs delete RUN`, by number or name
%bestbt help                   this"""
# Where the notebook is trusted, without the front end's line that the view is not to be had.
_STILL = """<div class="bt-still">{}</div><style>
.jp-OutputArea:has(.bt-still):not(:has(.bt-view))
  .jp-OutputArea-child:has(> .jp-OutputArea-output.jupyter-widgets) {{ display: none; }}
</style>"""
_DEFAULT = "default"  # the word for the store used when none is named


@magics_class
class BestbtMagics(Magics):
    """`%%backtest` and `%bestbt`."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._stores: dict[str | None, Store] = {}
        self._default: str | None = None
        self._views: dict[tuple[str, str], Any] = {}  # what each cell shows

    @cell_magic
    def backtest(self, line: str, cell: str) -> None:
        """Check the strategy in the cell, run it, and show the run; `%bestbt help`."""
        shell: Any = self.shell
        place = locate(shell, line, cell)
        try:
            options = parse_options(line)
            if options.help:
                print(options.help)
                return
            errors = self._check(cell, place)
            if options.check_only:
                return
            if errors:
                count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
                raise CellError(f"{count} in the cell; nothing was run.", errors)
            compiled = compile_cell(cell, place.filename, self._names(cell), place.offset)
            backtest = self._backtest(compiled, options)
        except UsageError as error:
            raise short_error(error, place.filename, place.offset)  # noqa: B904 (it is the same)
        except Exception as error:
            raise author_lines(error, shell, place.filename, place.offset)  # noqa: B904
        self._end_former(options.name)
        run = backtest._run
        shell.push({**compiled.names, options.name: run})
        self._show(run, options, place)

    def _check(self, cell: str, place: Place) -> list[Problem]:
        """Show what is wrong with a cell by its lines; return what keeps it from running."""
        shell: Any = self.shell
        problems = check(cell, Surface.of(Strategy), shell.user_ns)
        if problems:
            text = render_problems_text(problems, cell, place.offset)
            html = render_problems_html(problems, cell, place.offset)
            display({"text/plain": text, "text/html": html}, raw=True)
        return [p for p in problems if p.severity == "error"]

    def _names(self, cell: str) -> dict[str, Any]:
        """Return the notebook's names, without runs that the cell does not name.

        A cell keeps its names for replays: with every older run among them, none would ever go.
        """
        shell: Any = self.shell
        return {
            name: value
            for name, value in shell.user_ns.items()
            if not isinstance(value, Run) or re.search(rf"\b{name}\b", cell)
        }

    def _backtest(self, compiled: CompiledCell, options: CellOptions) -> Backtest:
        chosen = {name: getattr(options, name) for name in RUN_OPTIONS}
        return Backtest(
            compiled,
            self._store(options.store),
            *options.symbols,
            start=options.start,
            end=options.end,
            warmup=options.warmup,
            params=options.params,
            **{name: value for name, value in chosen.items() if value is not None},
        )

    def _end_former(self, name: str) -> None:
        """Running a cell again ends the run it started before."""
        shell: Any = self.shell
        former = shell.user_ns.get(name)
        if isinstance(former, Run):
            former.stop()

    def _close_former(self, name: str) -> None:
        """Close what the cell showed before: its output is gone, and a widget lives until closed.

        With the view goes the last hold on the run's arrays.
        """
        former = self._views.pop(self._key(name), None)
        if former is not None:
            former.close()

    def _key(self, name: str) -> tuple[str, str]:
        """Tell cells apart by the id a notebook gives them; without one, by the run's variable."""
        parent: Any = getattr(self.shell, "get_parent", dict)()
        cell = parent.get("metadata", {}).get("cellId")
        return ("variable", name) if cell is None else ("cell", cell)

    def _show(self, run: Run, options: CellOptions, place: Place) -> None:
        self._close_former(options.name)
        if options.view:
            view = run.view()
            self._views[self._key(options.name)] = view
            display(view)
            self._keep_still(view, run)
        if not options.step:
            run.resume()
        if options.wait and not options.step:
            try:
                run.wait()
            except UsageError as error:
                raise short_error(error, place.filename, place.offset)  # noqa: B904
            except Exception as error:
                raise author_lines(error, self.shell, place.filename, place.offset)  # noqa: B904
            if not options.view:
                print(run.summary())
        elif not options.view:
            how = "paused at its start" if options.step else "running"
            print(f"{run.title}: {how}; it is the variable `{options.name}`.")

    def _keep_still(self, view: Any, run: Run) -> None:
        """Leave a second output, which shows the run where the saved notebook has no kernel.

        It is empty while the run plays, and hidden where the view is alive.
        """
        place = display({}, raw=True, display_id=True)
        if place is not None:  # a shell that shows nothing gives none
            view.on_rest(lambda: place.update({"text/html": _STILL.format(run.still())}, raw=True))

    def _store(self, address: str | None = None) -> Store:
        address = address or self._default
        if address not in self._stores:
            self._stores[address] = Store.open(address)
        return self._stores[address]

    @line_magic
    def bestbt(self, line: str) -> Any:
        """Coverage, demo, import, store, runs; `%bestbt help`."""
        verbs: Mapping[str, Callable[[list[str]], Any]] = {
            "coverage": self._coverage,
            "demo": self._demo,
            "help": self._help,
            "import": self._import,
            "runs": self._runs,
            "store": self._use,
        }
        try:
            words = _words(line) or ["help"]
            if words[0] not in verbs:
                raise UsageError(f"%bestbt {words[0]}: {did_you_mean(words[0], verbs)}")
            return verbs[words[0]](words[1:])
        except UsageError as error:
            raise short_error(error)  # noqa: B904

    def _coverage(self, _words: list[str]) -> Any:
        return self._store().coverage()

    def _runs(self, words: list[str]) -> Any:
        found = runs_verb(self._store(), words)
        if isinstance(found, str):
            print(found)
            return None
        if isinstance(found, StoredRun):
            print(saved_summary(found))
        return found

    def _demo(self, words: list[str]) -> None:
        symbol = words[0] if words else "NIFTY"
        with progress_bar("synthetic market", " expiries") as tell:
            written = write_demo(self._store(), symbol, progress=tell)
        print(written)  # as text it says that it is synthetic

    def _import(self, words: list[str]) -> Any:
        if not words:
            raise UsageError("%bestbt import needs a file: %bestbt import prices.parquet")
        parser = Parser(prog="%bestbt import", add_help=False, allow_abbrev=False)
        parser.add_argument("path")
        parser.add_argument("name", nargs="?")
        for option in ("--symbol", "--format"):
            parser.add_argument(option)
        parser.add_argument("--set", dest="settings", action="append", default=[])
        given = parser.parse_intermixed_args(words)
        options = import_options(given.settings)
        symbol = given.symbol or given.name
        return self._store().import_file(given.path, given.format, symbol, **options)

    def _use(self, words: list[str]) -> Any:
        if words == [_DEFAULT]:
            self._default = None
        elif words:
            Store.open(words[0]).close()  # refused here if it is no store
            self._default = words[0]
        return self._store()

    def _help(self, _words: list[str]) -> None:
        print(_HELP)
        print()
        print(parse_options("--help").help, end="")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        told = without_secrets(line)
        raise UsageError(f"%bestbt {told}: it cannot be read ({error}); close the quote.") from None


def register(shell: Any) -> None:
    """Give a shell the magics."""
    shell.register_magics(BestbtMagics)
