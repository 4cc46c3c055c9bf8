"""The verb `runs`, for a terminal and a notebook alike: list, show, compare, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from bestbt.errors import UsageError, did_you_mean
from bestbt.report.compare import compare
from bestbt.store.runs import StoredRun
from bestbt.store.store import Store

__all__ = ["RUNS_HELP", "runs_verb"]

RUNS_HELP = "nothing, `show RUN`, `compare RUN RUN` or `delete RUN`"
_SHOWN = ["run_id", "name", "created", "state", "played_to", "trades", "pnl", "hash"]


def runs_verb(store: Store, words: Sequence[str]) -> pd.DataFrame | StoredRun | str:
    """Do what the words behind `runs` say; a run is named by its number or its name.

    Returns
    -------
    DataFrame, StoredRun or str
        The list or the comparison; the run that was shown; what was deleted.

    Raises
    ------
    UsageError
        For an unknown word, too few or too many, or a run that is not there.
    """
    verbs: Mapping[str, tuple[int, Callable[..., pd.DataFrame | StoredRun | str]]] = {
        "list": (0, lambda: _list(store)),
        "show": (1, store.open_run),
        "compare": (2, lambda a, b: compare(store.open_run(a), store.open_run(b))),
        "delete": (1, lambda which: _delete(store, which)),
    }
    verb, *which = words or ["list"]
    if verb not in verbs:
        raise UsageError(f"runs {verb}: {did_you_mean(verb, verbs)}")
    count, do = verbs[verb]
    if len(which) != count:
        raise UsageError(f"runs {' '.join(words)}: behind `runs` stands {RUNS_HELP}.")
    return do(*which)


def _list(store: Store) -> pd.DataFrame:
    table = store.runs()
    for name in ("trades", "pnl"):  # of those that have ended
        table[name] = pd.Series([stats.get(name) for stats in table["stats"]], dtype="Float64")
    return table.assign(trades=table["trades"].astype("Int64"))[_SHOWN]


def _delete(store: Store, which: str) -> str:
    run = store.delete_run(which)
    return f"Run {run.run_id}, {run.name}, is deleted."
