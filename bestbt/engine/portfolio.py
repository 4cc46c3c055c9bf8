"""Portfolio: cash, ledger and positions, moved together by fills and by nothing else."""

from __future__ import annotations

from typing import NamedTuple

from bestbt.engine.contract import Contract
from bestbt.engine.order import Fill
from bestbt.engine.position import Match, Position
from bestbt.units import Ordinal, RawMoney

__all__ = ["Portfolio", "Posting"]


class Posting(NamedTuple):
    """One movement of cash.

    `account` is capital, premium, settlement, variation (a future's profit as it is paid), or a
    charge's name.
    """

    bar: Ordinal
    account: str
    contract: Contract | None
    amount: RawMoney
    fill: int | None


class Portfolio:
    """Cash and open positions.

    At every bar, exactly: ``equity − capital = realized + unrealized − charges``. All amounts
    are raw money; `matches` are the closed round trips in booking order. With *average*, profit is
    counted at average cost; cash, equity and the ledger are the same.
    """

    def __init__(self, capital: RawMoney, bar: Ordinal, average: bool = False) -> None:
        self.capital = capital
        self._average = average
        self.cash: RawMoney = capital
        self.realized: RawMoney = 0
        self.charges: RawMoney = 0
        self.positions: dict[Contract, Position] = {}  # open ones only
        self.fills: list[Fill] = []
        self.matches: list[Match] = []
        self.ledger: list[Posting] = [Posting(bar, "capital", None, capital, None)]
        # Of futures: what their profit is counted from after each change, for equity by bar.
        self.bases: list[tuple[Ordinal, Contract, RawMoney]] = []
        self.realized_by: dict[Contract, RawMoney] = {}
        # The same by the tag of the entry, and by contract and tag.
        self.realized_tagged: dict[str | tuple[Contract, str], RawMoney] = {}
        self.charged_today: dict[Contract, dict[str, RawMoney]] = {}
        # Equity before the current day, ISO week, month and year; set by the feeder.
        self.base: dict[str, RawMoney] = dict.fromkeys(("day", "week", "month", "year"), capital)

    @property
    def unrealized(self) -> RawMoney:
        """Profit of the open positions at their newest marks."""
        return sum(p.raw_unrealized for p in self.positions.values())

    def realized_of(self, contract: Contract | None, tag: str | None) -> RawMoney:
        """Realized profit of all, of a contract, of what was entered with a tag, or of both."""
        if tag is None:
            return self.realized if contract is None else self.realized_by.get(contract, 0)
        return self.realized_tagged.get(tag if contract is None else (contract, tag), 0)

    def unrealized_of(self, contract: Contract | None, tag: str | None) -> RawMoney:
        """Unrealized profit of the same."""
        if contract is None:
            held = list(self.positions.values())
        else:
            held = [p for p in (self.positions.get(contract),) if p is not None]
        return sum(p.raw_unrealized if tag is None else p.unrealized_of(tag) for p in held)

    @property
    def equity(self) -> RawMoney:
        """Cash and the worth of the open positions at their newest marks."""
        return self.cash + sum(p.raw_worth for p in self.positions.values())

    def book(self, fill: Fill) -> Position:
        """Apply a fill: positions, cash and ledger together. Return its position."""
        contract, bar = fill.contract, fill.point // 4
        position = self.positions.get(contract)
        if position is None:
            position = self.positions[contract] = Position(contract, bar, self._average)
        basis = position.raw_basis
        matches = position.apply(fill)
        if matches:
            gained, tagged = 0, self.realized_tagged
            for match in matches:
                gain = match.raw_pnl
                gained += gain
                tag = match.entry.order.tag
                tagged[tag] = tagged.get(tag, 0) + gain
                tagged[contract, tag] = tagged.get((contract, tag), 0) + gain
            self.realized += gained
            self.realized_by[contract] = self.realized_by.get(contract, 0) + gained
            self.matches += matches
        if not position.qty:
            del self.positions[contract]
            contract.times_held.append((position.opened, bar))
        notional = fill.qty * fill.raw_price * contract.factor
        if contract.asset == "future":
            # No notional moves: what this fill closes pays the profit since it was last paid.
            self.pay(bar, "variation", position, position.raw_basis - basis - notional, fill.id)
        else:
            account = "settlement" if fill.kind == "settlement" else "premium"
            self.cash -= notional
            self.ledger.append(Posting(bar, account, contract, -notional, fill.id))
        self.fills.append(fill)
        if fill.raw_charges:
            self.charge(bar, contract, fill.raw_charges, fill.id)
        return position

    def pay(
        self,
        bar: Ordinal,
        account: str,
        position: Position,
        amount: RawMoney,
        fill: int | None,
    ) -> None:
        """Post a future's variation margin, and remember what of its profit is still unpaid."""
        self.bases.append((bar, position.contract, position.raw_basis if position.qty else 0))
        if amount:
            self.cash += amount
            self.ledger.append(Posting(bar, account, position.contract, amount, fill))

    def charge(
        self, bar: Ordinal, contract: Contract, charges: dict[str, RawMoney], fill: int | None
    ) -> None:
        """Take named charges (a negative one is a correction) out of the cash."""
        today = self.charged_today.setdefault(contract, {})
        for name, amount in charges.items():
            today[name] = today.get(name, 0) + amount
            self.ledger.append(Posting(bar, name, contract, -amount, fill))
        total = sum(charges.values())
        self.charges += total
        self.cash -= total
