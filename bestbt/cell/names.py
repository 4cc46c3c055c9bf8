"""Names a `%%backtest` cell may use without importing them, and where they come from.

The checker counts them as defined and the compiler binds them: one table, so that the two cannot
disagree. A name the notebook or the cell binds itself wins over the one here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType

from bestbt.errors import UsageError

__all__ = ["BOUND", "LATER", "bound_names"]

BOUND = MappingProxyType(
    {
        "Strategy": "bestbt.engine.strategy",
        "at": "bestbt.engine.strategy",
        "every": "bestbt.engine.strategy",
        "on_expiry_day": "bestbt.engine.strategy",
        "param": "bestbt.engine.strategy",
        "Buy": "bestbt.engine.order",
        "Sell": "bestbt.engine.order",
        "crossed_above": "bestbt.engine.indicators",
        "np": "numpy",
        "talib": "talib",
    }
)

# Promised by the manual, not there yet: whoever writes them is told so.
LATER = frozenset({"crossed_below", "when"})


class _NotInstalled:
    """Stands for an optional library, so that only a cell that uses it hears of its absence."""

    def __init__(self, name: str, install: str) -> None:
        self.__name__ = name
        self._install = install

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("_"):  # looked for by copy, pickle, inspect: not a use
            raise AttributeError(attribute)
        raise UsageError(
            f"{self.__name__}.{attribute} needs a library that is not installed; "
            f"run `%pip install {self._install}`, or pass a numpy function instead."
        )

    def __repr__(self) -> str:
        return f"<{self.__name__}: not installed>"


def bound_names() -> dict[str, object]:
    """Return the objects behind `BOUND`, by name; a stand-in where TA-Lib is not installed.

    >>> bound_names()["np"].__name__
    'numpy'
    """
    return {name: _resolve(name, module) for name, module in BOUND.items()}


def _resolve(name: str, module: str) -> object:
    if name == "talib" and find_spec("talib") is None:
        return _NotInstalled("talib", "TA-Lib")
    found = import_module(module)
    return getattr(found, name) if module.startswith("bestbt.") else found
