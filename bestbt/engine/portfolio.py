"""Portfolio: cash, ledger and positions, moved together by fills and by nothing else."""

from __future__ import annotations

from typing import NamedTuple

from bestbt.engine.contract import Contract
from bestbt.engine.order import Fill, made
from bestbt.engine.position import Match, Position
from bestbt.units import POINTS, Ordinal, RawMoney

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
    are raw money; `matches` are the closed round trips in booking order: what they have realized
    is added up when it is asked. With *average*, profit is counted at average cost; cash, equity
    and the ledger are the same.
    """

    def __init__(self, capital: RawMoney, bar: Ordinal, average: bool = False) -> None:
        self.capital = capital
        self._average = average
        self.cash: RawMoney = capital
        self.charges: RawMoney = 0
        self.positions: dict[Contract, Position] = {}  # open ones only
        self.fills: list[Fill] = []
        self.matches: list[Match] = []
        self.ledger: list[Posting] = [Posting(bar, "capital", None, capital, None)]
        # Of futures: what their profit is counted from after each change, for equity by bar.
        self.bases: list[tuple[Ordinal, Contract, RawMoney]] = []
        # By contract and tag of the entry, None for all; of so many of the matches.
        self._realized: dict[tuple[Contract | None, str | None], RawMoney] = {}
        self._counted = 0
        self.charged_today: dict[Contract, dict[str, RawMoney]] = {}
        # Equity before the current day, ISO week, month and year; set by the feeder.
        self.base: dict[str, RawMoney] = dict.fromkeys(("day", "week", "month", "year"), capital)

    @property
    def unrealized(self) -> RawMoney:
        """Profit of the open positions at their newest marks."""
        return sum(p.raw_unrealized for p in self.positions.values())

    @property
    def realized(self) -> RawMoney:
        """Profit of all that has been closed."""
        return self.realized_of(None, None)

    def realized_of(self, contract: Contract | None, tag: str | None) -> RawMoney:
        """Realized profit of all, of a contract, of what was entered with a tag, or of both."""
        sums = self._realized
        for match in self.matches[self._counted :]:
            of, tagged, gain = match.entry.contract, match.entry.order.tag, match.raw_pnl
            for key in ((None, None), (of, None), (None, tagged), (of, tagged)):
                sums[key] = sums.get(key, 0) + gain
        self._counted = len(self.matches)
        return sums.get((contract, tag), 0)

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

    def book(self, fill: Fill) -> None:
        """Apply a fill: positions, cash and ledger together."""
        number, point, _, contract, qty, price, _, _, kind, charges, _ = fill
        bar, notional = point // POINTS, qty * price * contract.factor
        position = self.positions.get(contract)
        if position is None:
            position = self.positions[contract] = Position(contract, bar, self._average)
        basis = position.raw_basis
        self.matches += position.apply(fill)
        if not position.qty:
            del self.positions[contract]
            contract.times_held.append((position.opened, bar))
        if contract.asset == "future":
            # No notional moves: what this fill closes pays the profit since it was last paid.
            self.pay(bar, "variation", position, position.raw_basis - basis - notional, number)
        else:
            account = "settlement" if kind == "settlement" else "premium"
            self.cash -= notional
            self.ledger.append(made(Posting, (bar, account, contract, -notional, number)))
        self.fills.append(fill)
        if charges:
            self.charge(bar, contract, charges, number)

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
            self.ledger.append(made(Posting, (bar, account, position.contract, amount, fill)))

    def charge(
        self, bar: Ordinal, contract: Contract, charges: dict[str, RawMoney], fill: int | None
    ) -> None:
        """Take named charges (a negative one is a correction) out of the cash."""
        today = self.charged_today.setdefault(contract, {})
        for name, amount in charges.items():
            today[name] = today.get(name, 0) + amount
            self.ledger.append(made(Posting, (bar, name, contract, -amount, fill)))
        total = sum(charges.values())
        self.charges += total
        self.cash -= total
