"""What units cost that leave a position, where a run counts at average cost."""

from __future__ import annotations

from typing import Literal, TypeAlias

from bestbt.engine.order import Fill
from bestbt.errors import UsageError, did_you_mean
from bestbt.units import Qty, RawMoney, half_up

__all__ = ["AverageCost", "Cost", "check_cost"]

Cost: TypeAlias = Literal["fifo", "average"]


def check_cost(cost: str) -> bool:
    """Return whether a run counts at average cost; `UsageError` for what is no choice."""
    if cost not in ("fifo", "average"):
        raise UsageError(
            f"cost={cost!r} is no choice. {did_you_mean(str(cost), ('fifo', 'average'))}"
        )
    return cost == "average"


class AverageCost:
    """What the units of one contract have cost, one sum for each tag.

    Units of a tag have one price: what one part of a strategy does never moves the profit of
    another. What leaves takes its share of the sum, rounded to the nearest raw money, halves away
    from zero; what stays keeps the rest, and the last unit takes all of it. So nothing is lost.

    >>> halves = AverageCost.share(7, 1, 2)
    >>> halves, 7 - halves
    (4, 3)
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Qty, RawMoney]] = {}

    def add(self, fill: Fill, qty: Qty, cost: RawMoney) -> None:
        """Count units that a fill has opened."""
        held, paid = self._held.get(fill.order.tag, (0, 0))
        self._held[fill.order.tag] = held + qty, paid + cost

    def take(self, entry: Fill, qty: Qty) -> RawMoney:
        """Return what units of an entry have cost that are closed now."""
        held, paid = self._held.pop(entry.order.tag)
        cost = self.share(paid, qty, held)
        if held != qty:
            self._held[entry.order.tag] = held - qty, paid - cost
        return cost

    def held(self, tag: str) -> tuple[Qty, RawMoney]:
        """Return the units held of a tag, and what they have cost."""
        return self._held.get(tag, (0, 0))

    @staticmethod
    def share(paid: RawMoney, qty: Qty, held: Qty) -> RawMoney:
        """Return the part of a sum that goes with some of the units held."""
        return half_up(paid * abs(qty), abs(held))
