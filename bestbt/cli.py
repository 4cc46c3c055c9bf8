"""The same verbs for a terminal: `bestbt demo`, `import`, `export`, `quarantine`, `run` …"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pandas as pd

from bestbt.cell.check import check
from bestbt.cell.compile import CompiledCell, compile_cell, render_problems_text
from bestbt.cell.options import RUN_OPTIONS, CellOptions, first_day, last_day, parse_options
from bestbt.cell.surface import Surface
from bestbt.engine.strategy import Strategy
from bestbt.errors import (
    BestbtError,
    CellError,
    ImportRefused,
    Interrupted,
    StoreUnreachable,
    UsageError,
    without_secrets,
)
from bestbt.import_verb import SET_HELP, import_options
from bestbt.markets.demo import write_demo
from bestbt.progress import progress_bar
from bestbt.report.saved import saved_summary
from bestbt.run import Backtest, Run
from bestbt.run_verbs import RUNS_HELP, runs_verb
from bestbt.store.quality import RULES
from bestbt.store.runs import StoredRun
from bestbt.store.store import Store
from bestbt.store_verbs import add_store_verbs

__all__ = ["main"]

_PRODUCT = "A backtester for people who trade options and think in notebooks."
_LOOK = 0.2  # seconds between two looks at a run
_SHOWN = 50  # rows of a long table
_TUTORIALS = Path(__file__).parent / "tutorials"  # of a wheel; a checkout has `notebooks`
if not _TUTORIALS.exists():
    _TUTORIALS = Path(__file__).parent.parent / "notebooks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. A user's mistake is one line on standard error."""
    try:
        given = _parser().parse_args(arguments)
        given.verb(given)
    except (BestbtError, OSError) as error:
        print(f"bestbt: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        said = f": {error}" if isinstance(error, Interrupted) else ""
        print(f"bestbt: interrupted{said}", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(without_secrets(message))  # it may quote an address


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="bestbt", description=_PRODUCT)
    parser.add_argument(
        "--store", help="path or URL of the store; default: BESTBT_STORE or your data folder"
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = verbs.add_parser("demo", help="load the synthetic demo market")
    demo.add_argument("symbol", nargs="?", default="NIFTY")
    demo.add_argument("--from", dest="start", type=first_day, metavar="DAY")
    demo.add_argument("--to", dest="end", type=last_day, metavar="DAY")
    demo.add_argument("--seed", type=int)
    demo.add_argument("--if-empty", action="store_true", help="only when the store is empty")
    demo.set_defaults(verb=_demo)

    imports = verbs.add_parser("import", help="import files of market data, or folders of them")
    imports.add_argument("paths", nargs="+", metavar="PATH")
    imports.add_argument("--format", help="how to read them; default: guessed from the content")
    imports.add_argument("--symbol", help="whose prices they are, where a file says it wrong")
    imports.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help=SET_HELP
    )
    imports.set_defaults(verb=_import)

    quarantine = verbs.add_parser("quarantine", help="list the rows that imports set aside")
    quarantine.add_argument("--reason", metavar="RULE", help="of one rule only, such as spike")
    quarantine.add_argument("--import", dest="number", type=int, metavar="N", help="of one import")
    quarantine.add_argument("--readmit", action="store_true", help="store those of RULE after all")
    quarantine.set_defaults(verb=_quarantine)

    coverage = verbs.add_parser("coverage", help="say what is in the store")
    coverage.set_defaults(verb=_coverage)

    export = verbs.add_parser("export", help="write stored bars and ticks to a Parquet file")
    export.add_argument("symbol", help="with its futures and options; or one contract, quoted")
    export.add_argument("path")
    export.add_argument("--from", dest="start", type=first_day, metavar="DAY")
    export.add_argument("--to", dest="end", type=last_day, metavar="DAY")
    export.add_argument(
        "--bar",
        help="length of the bars, made of ticks too; default: bars and ticks as they are stored",
    )
    export.set_defaults(verb=_export)

    run = verbs.add_parser("run", help="run the strategy of a file, with the options of %%backtest")
    run.add_argument("file")
    run.add_argument("options", nargs=argparse.REMAINDER, metavar="SYMBOL …")
    run.set_defaults(verb=_run)

    checks = verbs.add_parser("check", help="check the strategy of a file without running it")
    checks.add_argument("file")
    checks.set_defaults(verb=_check)

    runs = verbs.add_parser("runs", help="list, show, compare or delete the saved runs")
    runs.add_argument("words", nargs="*", metavar="…", help=f"{RUNS_HELP}; a number or a name")
    runs.set_defaults(verb=_runs)

    add_store_verbs(verbs)

    lab = verbs.add_parser("lab", help="open JupyterLab on the tutorials")
    lab.add_argument("--port", type=int, default=8888)
    lab.set_defaults(verb=_lab)
    return parser


def _demo(given: argparse.Namespace) -> None:
    seed = {} if given.seed is None else {"seed": given.seed}
    with closing(Store.open(given.store)) as store:
        if given.if_empty and not store.is_empty:
            print(f"{store!r} has data already; the demo market is left out.")
            return
        with progress_bar("synthetic market", " expiries") as tell:
            written = write_demo(store, given.symbol, given.start, given.end, progress=tell, **seed)
        print(written)


def _import(given: argparse.Namespace) -> None:
    """Import each path; one that is refused does not keep the others out."""
    options = import_options(given.settings)
    files, refused = 0, 0
    with closing(Store.open(given.store)) as store:
        for path in given.paths:
            try:
                report = store.import_file(path, given.format, given.symbol, **options)
            except (UsageError, OSError) as error:
                if len(given.paths) == 1 or isinstance(error, StoreUnreachable):
                    raise
                print(f"bestbt: {error}", file=sys.stderr, flush=True)
                files, refused = files + 1, refused + 1
            else:
                print(report, flush=True)  # before the next one's progress
                files += report.files + len(report.refused)
                refused += len(report.refused)
    if refused:
        raise ImportRefused(f"{refused:,} of {files:,} files refused, each with its reason above.")


def _coverage(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        table = store.coverage()
    print(_text(table) if len(table) else "The store is empty: `bestbt demo`, or `bestbt import`.")


def _quarantine(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        if given.readmit:
            if given.reason is None:
                raise UsageError("--readmit stores the rows of one rule; name it with --reason.")
            ids = store.quarantine(given.number, given.reason)["id"]
            print(store.readmit(ids))
            return
        table = store.quarantine(given.number, given.reason)
    if not len(table):
        print("Nothing is in quarantine.")
        return
    shown = table[["id", "file", "reason", "contract", "time", "text"]].head(_SHOWN)
    print(_text(shown.assign(text=shown["text"].str.slice(0, 80)).fillna("")))
    for reason, rows in table.groupby("reason", sort=False)["rows"].sum().items():
        print(f"{rows:>10,}  {reason}: {RULES.get(str(reason), '')}")
    if len(table) > _SHOWN:
        print(f"The first {_SHOWN} of {len(table):,} are shown; store.quarantine() has all.")


def _export(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        count = store.export(given.symbol, given.path, given.start, given.end, given.bar)
    print(f"{count:,} rows of {given.symbol} written to {given.path}.")


def _runs(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        found = runs_verb(store, given.words)
        if isinstance(found, StoredRun):
            found = saved_summary(found)
    if isinstance(found, str):
        print(found)
    elif "run_id" not in found:
        print(found.map(lambda v: f"{v:.2f}" if isinstance(v, float) else v).to_string())
    else:
        print(_text(found) if len(found) else "No run is saved.")


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False)


def _source(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{file} is not there.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text; give a Python file with a strategy.") from None


def _check(given: argparse.Namespace) -> None:
    problems = check(_source(given.file), Surface.of(Strategy), ())
    if problems:
        print(render_problems_text(problems, _source(given.file)))
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        raise CellError(f"{count} in {given.file}.", errors)
    if not problems:
        print(f"{given.file}: nothing to mend.")


def _run(given: argparse.Namespace) -> None:
    source = _source(given.file)
    options = parse_options(shlex.join(given.options), given.file)
    if options.help:
        print(options.help)
        return
    if options.step:
        raise UsageError("--step is for notebooks; in Python, bestbt.Backtest(…) has step().")
    _check(given)
    if options.check_only:
        return
    compiled = compile_cell(source, os.path.abspath(given.file), {})
    with closing(Store.open(options.store or given.store)) as store:
        _play(compiled, store, options)


def _play(compiled: CompiledCell, store: Store, options: CellOptions) -> None:
    chosen = {name: value for name in RUN_OPTIONS if (value := getattr(options, name)) is not None}
    backtest = Backtest(
        compiled,
        store,
        *options.symbols,
        start=options.start,
        end=options.end,
        warmup=options.warmup,
        params=options.params,
        **chosen,
    )
    try:
        run = _watched(backtest, options.save)
    except Exception as error:  # told by the lines of the file, as a notebook does
        sys.exit(f"bestbt: {backtest.failure or error}")
    print(run.summary())
    if options.save:  # once more, where the store has not taken all of it
        print(f"Saved as run {run.saved or run.save(options.save)}.")


def _watched(backtest: Backtest, name: str | None) -> Run:
    """Play to the end under a progress bar; an interrupt ends the run."""
    run = backtest.start()
    try:
        with progress_bar(run.title, " bars") as tell:
            while not run.done.wait(_LOOK):
                reached = run.progress
                tell(reached.bar, reached.bars, f"{reached.time:%Y-%m-%d}" if reached.time else "")
    except KeyboardInterrupt:
        run.stop()
        run.wait()
        kept = "nothing of it is kept"
        if name is not None:
            kept = f"up to there it is saved as run {run.saved or run.save(name)}"
        at = run.progress.time
        when = f"at {at:%Y-%m-%d %H:%M}" if at else "before the first bar"
        raise Interrupted(f"the run was ended {when}; {kept}.") from None
    return run.wait()


def _lab(given: argparse.Namespace) -> None:
    """Copy the tutorials where they are not yet and give the terminal to JupyterLab."""
    folder = Path("notebooks")
    if not folder.exists():
        if not _TUTORIALS.exists():
            raise UsageError("No tutorials here: run it in a checkout, or install the wheel.")
        shutil.copytree(_TUTORIALS, folder, ignore=shutil.ignore_patterns(".*"))
        print(f"The tutorials are copied into {folder.absolute()}.")
    command = [sys.executable, "-m", "jupyterlab", f"--port={given.port}"]
    command += ["--ServerApp.port_retries=0", str(folder / "01-first-backtest.ipynb")]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    os.execv(sys.executable, command)


if __name__ == "__main__":
    sys.exit(main())
