"""A backtester for people who trade options and think in notebooks.

Names are loaded on first use, so that importing bestbt costs nothing a notebook would notice.

>>> import bestbt
>>> bestbt.Strategy.__name__
'Strategy'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bestbt.engine.contract import Contract
    from bestbt.engine.order import Buy, Fill, Order, Sell
    from bestbt.engine.position import Position
    from bestbt.engine.strategy import Strategy, at, every, on_expiry_day, param
    from bestbt.errors import BestbtError, UsageError
    from bestbt.report.compare import compare
    from bestbt.run import Backtest, Run
    from bestbt.store.store import Store

_HOME = {
    "Backtest": "bestbt.run",
    "BestbtError": "bestbt.errors",
    "Buy": "bestbt.engine.order",
    "Contract": "bestbt.engine.contract",
    "Fill": "bestbt.engine.order",
    "Order": "bestbt.engine.order",
    "Position": "bestbt.engine.position",
    "Run": "bestbt.run",
    "Sell": "bestbt.engine.order",
    "Store": "bestbt.store.store",
    "Strategy": "bestbt.engine.strategy",
    "UsageError": "bestbt.errors",
    "at": "bestbt.engine.strategy",
    "compare": "bestbt.report.compare",
    "every": "bestbt.engine.strategy",
    "on_expiry_day": "bestbt.engine.strategy",
    "param": "bestbt.engine.strategy",
}

__all__ = [
    "Backtest",
    "BestbtError",
    "Buy",
    "Contract",
    "Fill",
    "Order",
    "Position",
    "Run",
    "Sell",
    "Store",
    "Strategy",
    "UsageError",
    "at",
    "compare",
    "every",
    "on_expiry_day",
    "param",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bestbt' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Entry point of `%load_ext bestbt`."""
    import_module("bestbt.magics").register(shell)
