"""What the checker must know of the engine: the names a strategy has, and when it can act."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from bestbt.engine.strategy import HOOKS

__all__ = ["LATER", "LATER_ARGUMENTS", "LIMITS", "SCHEDULE", "Surface"]

SCHEDULE = ("at", "every", "when", "on_expiry_day")
LIMITS = frozenset(
    ("max_loss", "max_profit", "max_loss_day", "max_profit_day", "lock_profit", "trail_profit")
)
# Promised by the manual, not there yet: whoever writes them is told so.
LATER = LIMITS | {
    *("on_margin_call", "after", "on_price", "signal", "plot"),
    *("group", "reverse", "range", "crossed_below"),
    *("margin_used", "margin_free", "margin_if", "this_cycle_pnl"),
}
_SIZE = "Size with lots= or qty=."
_LATER_ORDER = {
    **dict.fromkeys(("notional", "pct_balance", "risk", "pct_margin"), _SIZE),
    **dict.fromkeys(("reenter", "max_reentries"), "Order again in on_stop."),
    "product": "Leave with @at and exit_all().",
    "group": "Mark orders with tag=.",
}
_LATER_FILTER = {"group": "Mark orders with tag=, and ask with tag=."}
# The same of arguments, by the verb that is to take them, each with what to do until then.
LATER_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "buy": _LATER_ORDER,
    "sell": _LATER_ORDER,
    **dict.fromkeys(("get_pnl", "get_realized_pnl", "get_unrealized_pnl"), _LATER_FILTER),
}


@dataclass(frozen=True)
class Surface:
    """The face a strategy sees, as plain data, so that checking needs no engine.

    `verbs` are methods with their signatures (without `self`), `values` are read only (`now`),
    `settings` are class attributes meant to be set (`max_loss`), `hooks` are called by the engine
    and give their number of arguments. `schedule` holds the signatures of the decorators.
    `open` and `close` are the session's times of day, exchange local.
    """

    verbs: Mapping[str, inspect.Signature]
    values: frozenset[str]
    settings: frozenset[str]
    hooks: Mapping[str, int]
    schedule: Mapping[str, inspect.Signature]
    open: str = "09:15"
    close: str = "15:30"

    @property
    def members(self) -> frozenset[str]:
        """Every name a strategy has without defining it."""
        return frozenset(self.verbs) | self.values | self.settings | frozenset(self.hooks)

    @classmethod
    def of(cls, strategy_class: type, open: str = "09:15", close: str = "15:30") -> Surface:
        """Read a surface off the class users subclass.

        Parameters
        ----------
        strategy_class
            The base of strategies; its module holds the decorators.
        open, close
            Session's first moment and its last bar's end, `"HH:MM"`, exchange local.

        >>> class Base:
        ...     max_loss = None
        ...     def buy(self, contract, lots=1): ...
        ...     def on_fill(self, fill): ...
        >>> face = Surface.of(Base)
        >>> list(face.verbs), face.settings, face.hooks
        (['buy'], frozenset({'max_loss'}), {'on_fill': 1})
        """
        verbs: dict[str, inspect.Signature] = {}
        values: set[str] = set()
        settings: set[str] = set()
        hooks: dict[str, int] = {}
        for name in dir(strategy_class):
            if name in _OBJECT:
                continue
            found = inspect.getattr_static(strategy_class, name)
            if name in HOOKS and inspect.isfunction(found):
                hooks[name] = len(_without_self(found).parameters)
            elif inspect.isfunction(found):
                verbs[name] = _without_self(found)
            elif isinstance(found, classmethod | staticmethod):
                verbs[name] = inspect.signature(getattr(strategy_class, name))
            elif name.startswith("_") or hasattr(type(found), "__get__"):
                values.add(name)
            else:
                settings.add(name)
        values |= _instance_names(strategy_class) - set(verbs) - settings - set(hooks)
        module = sys.modules.get(strategy_class.__module__)
        schedule = {
            name: inspect.signature(decorator)
            for name in SCHEDULE
            if inspect.isfunction(decorator := getattr(module, name, None))
        }
        return cls(verbs, frozenset(values), frozenset(settings), hooks, schedule, open, close)


_OBJECT = frozenset(dir(type("Empty", (), {})))


def _without_self(function: object) -> inspect.Signature:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _instance_names(strategy_class: type) -> set[str]:
    """Names that instances have: a base class annotates what it assigns to `self`."""
    return {
        name
        for klass in strategy_class.__mro__[:-1]
        for name in vars(klass).get("__annotations__", ())
    }
