"""Lots that change while their contracts run: who knows it, and what is then left over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bestbt.engine.ports import ContractSpec, LotChange, Market
from bestbt.units import Qty

__all__ = ["Lots", "whole_lots"]


def whole_lots(qty: Qty, lot: int, up: bool = False) -> Qty:
    """Return the part of signed units that is whole lots; with *up*, the lots they reach into.

    >>> whole_lots(125, 50), whole_lots(-125, 50), whole_lots(25, 50)
    (100, -100, 0)
    >>> whole_lots(25, 50, up=True), whole_lots(-125, 50, up=True)
    (50, -150)
    """
    odd = abs(qty) % lot
    if up and odd:
        odd -= lot
    return qty - odd if qty > 0 else qty + odd


class Lots:
    """What a market knows of the lots of running contracts, by symbol and expiry.

    Attributes
    ----------
    changing
        Those asked for so far that change in their life; of the others nothing is kept in mind.
    changed
        Whether any has changed in this run: before that all that is held is whole lots.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._asked: dict[tuple[str, date], Sequence[LotChange]] = {}
        self.changing: dict[tuple[str, date], Sequence[LotChange]] = {}
        self.changed = False

    def of(self, spec: ContractSpec, day: date) -> int:
        """Return the lot of a contract in a day's session."""
        if spec.expiry is None:
            return spec.lot
        key = spec.symbol, spec.expiry
        changes = self._asked.get(key)
        if changes is None:
            changes = self._asked[key] = self._market.lot_changes(*key)
            if changes:
                self.changing[key] = changes
        lot = spec.lot
        for change in reversed(changes):
            if change.day <= day:
                break
            lot = change.before
        return lot
