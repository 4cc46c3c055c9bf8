"""By hand: what can be done to a paused run, recorded at its bar and replayed with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bestbt.engine.blocks import BLOCK_VERBS, Blocking
from bestbt.engine.contract import Contract
from bestbt.engine.desk import Desk
from bestbt.engine.order import Order
from bestbt.engine.position import Position
from bestbt.errors import OrderError
from bestbt.units import Price

__all__ = ["NAMING_AN_ORDER", "ByHand", "perform"]

NAMING_AN_ORDER = ("cancel_order", "modify_order")


class ByHand(Blocking):
    """The verbs of a paused run; blocks are among them.

    A contract is given by its name in tables, by itself, or by its position; an order by itself or
    by its id. What is ordered works from the next bar on, and market orders fill with the reason
    `intervention`.
    """

    def exit_all(self) -> None:
        """Close everything at the next bar; cancel entries still waiting."""
        self._by_hand("exit_all")

    def exit(self, what: Contract | Position | str) -> None:
        """Close what is held of a contract."""
        self._by_hand("exit", _name("exit", what))

    def buy(self, what: Contract | str, lots: int | None = None, **terms: Any) -> None:
        """Buy a contract; the terms are those of `Strategy.buy`."""
        self._by_hand("buy", _name("buy", what), lots, **terms)

    def sell(self, what: Contract | str, lots: int | None = None, **terms: Any) -> None:
        """Sell a contract; the terms are those of `Strategy.buy`."""
        self._by_hand("sell", _name("sell", what), lots, **terms)

    def roll(self, what: Contract | Position | str, to: Any = None, **terms: Any) -> None:
        """Close a position and open its twin in another contract; see `Strategy.roll`."""
        target = to.name if isinstance(to, Contract) else to
        self._by_hand("roll", _name("roll", what), target, **terms)

    def set_sl(self, what: Contract | Position | str, level: Price | str | None) -> None:
        """Put one stop on a whole position; see `Position.set_sl`."""
        self._by_hand("set_sl", _name("set_sl", what), level)

    def set_target(self, what: Contract | Position | str, level: Price | str | None) -> None:
        """Put one target on a whole position; see `Position.set_sl`."""
        self._by_hand("set_target", _name("set_target", what), level)

    def cancel_order(self, order: Order | int) -> None:
        """Take back a working order."""
        self._by_hand("cancel_order", order)

    def cancel_all(self) -> None:
        """Take back every working order, stops and targets too."""
        self._by_hand("cancel_all")

    def modify_order(self, order: Order | int, **terms: Any) -> None:
        """Change a working order; see `Strategy.modify_order`."""
        self._by_hand("modify_order", order, **terms)

    def _blocking(self, verb: str, *args: Any, **terms: Any) -> None:
        self._by_hand(verb, *args, **terms)

    def _by_hand(self, verb: str, *args: Any, **terms: Any) -> None:
        """Do it now, and record it."""
        raise NotImplementedError


def _name(verb: str, what: Contract | Position | str) -> str:
    if isinstance(what, Position):
        what = what.contract
    if isinstance(what, Contract):
        return what.name
    if not isinstance(what, str):
        raise OrderError(f"{verb}({what!r}): name a contract as in tables, or give a position.")
    return what


# By verb: what it does to a desk, with contracts named as in tables.
_VERBS: dict[str, Callable[..., object]] = {
    "exit_all": Desk.exit_all,
    "exit": lambda desk, name: desk.exit(desk.named(name)),
    "buy": lambda desk, name, lots, **terms: desk.named(name).buy(lots, **terms),
    "sell": lambda desk, name, lots, **terms: desk.named(name).sell(lots, **terms),
    "roll": lambda desk, name, to, **terms: desk.roll(desk.named(name), to, **terms),
    "set_sl": lambda desk, name, level: desk.set_exit(desk.named(name), "stop", level),
    "set_target": lambda desk, name, level: desk.set_exit(desk.named(name), "target", level),
    "cancel_order": Desk.cancel,
    "cancel_all": Desk.cancel_all,
    "modify_order": Desk.modify,
}


def perform(desk: Desk, verb: str, args: tuple[Any, ...], terms: dict[str, Any]) -> None:
    """Do what a verb says, and write it into the log."""
    desk.why = "intervention"
    try:
        if verb in BLOCK_VERBS:
            desk.blocking(verb, *args, **terms)
        else:
            _VERBS[verb](desk, *args, **terms)
    finally:
        desk.why = ""
    given = {name: value for name, value in terms.items() if value not in (None, "", False)}
    said = [
        verb,
        *(str(a) for a in args if a is not None),
        *(f"{name}={value}" for name, value in given.items()),
    ]
    desk.note("intervention", " ".join(said))
