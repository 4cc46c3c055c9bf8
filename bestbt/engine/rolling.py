"""Rolling: what a roll is asked to go to, and the two orders that are one decision."""

from __future__ import annotations

import math
from typing import NamedTuple

from bestbt.engine.order import Order
from bestbt.engine.position import Position
from bestbt.errors import ExpiryNotFound, OrderError, did_you_mean
from bestbt.units import RawMoney

__all__ = ["NothingListed", "Roll", "StrikeRule"]

_RULES = ("same", "atm", "delta", "premium", "percent")
_BARE = ("same", "atm")


class NothingListed(ExpiryNotFound):
    """No expiry is listed behind the one that is held."""


class StrikeRule(NamedTuple):
    """How the new leg's strike is found: as it is, at the money, or by a number.

    >>> StrikeRule.parse("delta:0.2")
    StrikeRule(name='delta', value=0.2)
    """

    name: str
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> StrikeRule:
        """Read `"same"`, `"atm"`, `"delta:0.2"`, `"premium:60"` or `"percent:4"`."""
        name, colon, number = text.strip().lower().partition(":")
        if name not in _RULES:
            raise OrderError(f"roll(to={text!r}): {did_you_mean(name, _RULES)}")
        try:
            value = float(number) if colon else 0.0
        except ValueError:
            value = math.nan
        if bool(colon) == (name in _BARE) or not math.isfinite(value):
            example = name if name in _BARE else f"{name}:{'0.2' if name == 'delta' else '60'}"
            raise OrderError(f"roll(to={text!r}): write it as {example!r}.")
        return cls(name, value)


class Roll:
    """The order that leaves the old contract and the one that enters the new.

    With `keep` the old one stays held when the two find no bar in which both can trade; without,
    it is closed alone. `position` is what is left, `by` the kind of expiry it is rolled by.
    """

    __slots__ = ("by", "charges", "enter", "keep", "leave", "position", "slippage")

    def __init__(self, leave: Order, enter: Order, position: Position, keep: bool, by: str) -> None:
        self.leave, self.enter, self.position = leave, enter, position
        self.keep, self.by = keep, by
        self.charges: RawMoney = 0  # of both legs
        self.slippage: RawMoney = 0
