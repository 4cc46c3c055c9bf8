"""Two runs side by side."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from bestbt.errors import UsageError

__all__ = ["Comparable", "compare"]


class Comparable(Protocol):
    """A run, played or stored, as a comparison sees it."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def stats(self) -> pd.Series[Any]:
        """Statistics by name."""
        ...

    @property
    def equity(self) -> pd.Series[float]:
        """Equity by bar start."""
        ...


def compare(run: Comparable, other: Comparable, *, equity: bool = False) -> pd.DataFrame:
    """Compare two runs, played or stored.

    Parameters
    ----------
    run, other
        `Run` objects, or what `Store.open_run` gives.
    equity
        Return the equity curves instead of the statistics.

    Returns
    -------
    DataFrame
        One row a statistic, one column a run under its name, and `difference`: the other's value
        less the first's; NaN where there is none, such as between dates. With *equity* one row a
        bar (exchange local start) of either, NaN where a run has none.

    Raises
    ------
    UsageError
        For something that is no run.

    Examples
    --------
    >>> from types import SimpleNamespace as Made
    >>> tight = Made(name="tight", stats=pd.Series({"pnl": 50.0, "trades": 4}), equity=None)
    >>> wide = Made(name="wide", stats=pd.Series({"pnl": 75.0, "trades": 2}), equity=None)
    >>> compare(tight, wide)
           tight  wide difference
    pnl     50.0  75.0       25.0
    trades   4.0   2.0       -2.0
    """
    for given in (run, other):
        if not all(hasattr(given, name) for name in ("name", "stats", "equity")):
            raise UsageError(
                f"compare({given!r}): a run is needed; `store.open_run(name)` gives a stored one."
            )
    names = [run.name, other.name]
    if names[0] == names[1]:
        names = [f"{name} {number}" for number, name in enumerate(names, 1)]
    if equity:
        return pd.concat([run.equity, other.equity], axis=1, keys=names)
    first, second = run.stats, other.stats
    index = [*first.index, *(name for name in second.index if name not in first.index)]
    columns = [figures.reindex(index).tolist() for figures in (first, second)]
    table = dict(zip(names, columns, strict=True))
    table["difference"] = [_difference(*pair) for pair in zip(*columns, strict=True)]
    return pd.DataFrame(table, index=index, dtype=object)


def _difference(first: Any, second: Any) -> float:
    numbers = all(isinstance(v, int | float) for v in (first, second))
    return second - first if numbers else float("nan")
