"""The books of the reference engine: fills, lots, cash, and what is held is worth."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from tests.engine.programs import CAPITAL, Rules
from tests.engine.reference_matching import RefOrder, half_up
from tests.engine.worlds import Option


class RefFill(NamedTuple):
    point: int
    order: RefOrder
    qty: int
    price: int
    slippage: int
    reason: str
    kind: str


@dataclass
class Lot:
    """Units still held of an entry fill."""

    fill: int
    price: int
    qty: int
    tag: str


@dataclass
class Position:
    """What is known of a contract since it was last flat."""

    realized: int = 0
    carried: int = 0  # realized in the contracts that it was rolled from
    kind: str = ""  # of the expiries that the chain of rolls goes by
    frozen: bool = False  # left to its stops


class Books:
    """What is owned at a bar; `charged` says whether orders pay charges.

    At average cost the units of a contract that have a tag have one price: `paid` has what they
    have cost together. Which units leave is the same either way.
    """

    bar: int
    charged: bool
    rules: Rules

    def open_books(self) -> None:
        self.cash, self.charges = CAPITAL, 0
        self.fills: list[RefFill] = []
        self.held: dict[Option, list[Lot]] = {}  # oldest lot first
        self.positions: dict[Option, Position] = {}
        self.realized: dict[tuple[Option, str], int] = {}  # by the tag of the entry
        self.taxes: dict[Option, int] = {}  # of the day
        self.paid: dict[tuple[Option, str], int] = {}

    def qty(self, option: Option) -> int:
        return sum(part.qty for part in self.held.get(option, ()))

    def tag(self, option: Option) -> str:
        """The tag of a position: that of its oldest entry."""
        return self.held[option][0].tag

    def mark(self, option: Option) -> int:
        """What a unit is worth: the middle of a quote where there is one, else the last close."""
        for i in range(self.bar, -1, -1):
            bar = option.bars[i]
            if bar is not None:
                bid, ask = option.quotes[i] if option.quotes is not None else (0, 0)
                return half_up(Fraction(bid + ask, 2)) if bid and ask else bar[3]
        return 0

    def worth(self) -> int:
        """Equity: cash and what is held at the newest marks."""
        return self.cash + sum(self.qty(o) * self.mark(o) * 100 for o in self.held)

    def gains(self, tag: str | None, option: Option | None = None) -> tuple[int, int]:
        """Realized and unrealized profit of entries with a tag."""
        realized = sum(
            gain
            for (of, entry_tag), gain in self.realized.items()
            if tag in (None, entry_tag) and option in (None, of)
        )
        worth = sum(
            lot.qty * self.mark(of) * 100
            for of, lots in self.held.items()
            for lot in lots
            if tag in (None, lot.tag) and option in (None, of)
        )
        return realized, worth - self.cost(tag, option)

    def cost(self, tag: str | None, option: Option | None = None) -> int:
        """What is held has cost."""
        if self.rules.cost == "average":
            return sum(
                paid
                for (of, own), paid in self.paid.items()
                if option in (None, of) and tag in (None, own)
            )
        return sum(
            lot.qty * lot.price * 100
            for of, lots in self.held.items()
            for lot in lots
            if tag in (None, lot.tag) and option in (None, of)
        )

    def cost_of(self, option: Option, lot: Lot, part: int) -> int:
        """What a part of a lot has cost; at average cost that sum is taken out of the others."""
        if self.rules.cost != "average":
            return part * lot.price * 100
        together = sum(x.qty for x in self.held[option] if x.tag == lot.tag)
        exact = abs(self.paid[option, lot.tag] * Fraction(part, together))
        share = half_up(exact) if part > 0 else -half_up(exact)
        self.paid[option, lot.tag] -= share
        return share

    def book(self, fill: RefFill) -> list[tuple[int, int]]:
        """Move cash and lots; return (entry fill, its units) that were closed, oldest first."""
        option, left, closed = fill.order.option, fill.qty, []
        lots = self.held.setdefault(option, [])
        while left and lots and lots[0].qty * left < 0:
            part = min(abs(left), abs(lots[0].qty)) * (1 if lots[0].qty > 0 else -1)
            closed.append((lots[0].fill, part))
            of = option, lots[0].tag
            gain = part * fill.price * 100 - self.cost_of(option, lots[0], part)
            self.realized[of] = self.realized.get(of, 0) + gain
            self.positions[option].realized += gain
            lots[0].qty -= part
            left += part
            if not lots[0].qty:
                lots.pop(0)
        if left:
            if not lots:
                self.positions[option] = Position()
            lots.append(Lot(len(self.fills), fill.price, left, fill.order.tag))
            of = option, fill.order.tag
            self.paid[of] = self.paid.get(of, 0) + left * fill.price * 100
        if not lots:
            del self.held[option], self.positions[option]
        self.fills.append(fill)
        self.cash -= fill.qty * fill.price * 100
        value = abs(fill.qty) * fill.price * 100
        if fill.kind == "settlement":
            tax = value // 800 if fill.qty < 0 else 0  # the holder of a long pays
        else:
            self.pay(200_000)
            tax = value // 1000 if fill.qty < 0 else 0
        self.pay(tax)
        self.taxes[option] = self.taxes.get(option, 0) + tax
        return closed

    def pay(self, amount: int) -> None:
        if self.charged:
            self.cash -= amount
            self.charges += amount

    def round_taxes(self) -> None:
        """Make each contract's tax of the day whole rupees."""
        for tax in self.taxes.values():
            self.pay(half_up(Fraction(tax, 10_000)) * 10_000 - tax)
        self.taxes = {}
