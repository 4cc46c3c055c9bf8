"""Result: what a run booked, as facts and arrays; and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bestbt.engine.contract import Contract
from bestbt.engine.desk import Desk, LogEntry
from bestbt.engine.order import Fill, Order
from bestbt.engine.portfolio import Posting
from bestbt.engine.position import Match, Position
from bestbt.units import POINTS, Ordinal, RawMoney

__all__ = ["Result"]


class Result:
    """What is booked up to the bar the run stands at.

    Attributes
    ----------
    start, end : int
        First bar of the run, and one past the newest.
    capital : int
        Raw money.
    fills, orders, matches, ledger, log
        In booking order.
    positions
        Still open.
    closed : list of (int, int)
        Bar and raw equity at each session's end.
    ambiguous : int
        Bars of a contract in which the assumed order of the extremes decided which exit filled.
    """

    def __init__(
        self,
        desk: Desk,
        closed: Sequence[tuple[Ordinal, RawMoney]],
        ambiguous: Collection[tuple[Contract, Ordinal]] = (),
    ) -> None:
        portfolio = desk.portfolio
        self.grid = desk.grid
        self.start = desk.start
        self.capital = portfolio.capital
        # The engine may be playing in another thread: the fills are taken first, and everything
        # else is cut to what belongs to them.
        self.fills: list[Fill] = list(portfolio.fills)
        n = len(self.fills)
        newest = self.fills[-1].bar if self.fills else self.start - 1
        self.end = max(desk.clock.bar, newest) + 1
        self.matches: list[Match] = [m for m in list(portfolio.matches) if m.exit.id < n]
        self.ledger: list[Posting] = [
            p for p in list(portfolio.ledger) if p.bar < self.end and (p.fill is None or p.fill < n)
        ] or portfolio.ledger[:1]
        self.bases = [b for b in list(portfolio.bases) if b[0] < self.end]
        self.orders: list[Order] = list(desk.orders)
        self.estimated = list(desk.estimated)
        self.log: list[LogEntry] = list(desk.log)
        self.positions: list[Position] = list(portfolio.positions.values())
        self.closed = list(closed)
        self.ambiguous = len(ambiguous)

    def equity(self) -> npt.NDArray[np.int64]:
        """Raw equity at the close of each bar from `start` on, shape ``(end − start,)``."""
        n = self.end - self.start
        moved = np.zeros(n + 1, dtype=np.int64)
        for posting in self.ledger:
            moved[posting.bar - self.start] += posting.amount
        counted: dict[Contract, RawMoney] = {}
        for bar, contract, basis in self.bases:  # of a future only the unpaid profit is ours
            moved[bar - self.start] -= basis - counted.get(contract, 0)
            counted[contract] = basis
        equity = np.cumsum(moved[:n])
        for contract, steps in self._holdings().items():
            for (bar, qty), (until, _) in pairwise([*steps, (self.end, 0)]):
                if qty and bar < until:
                    held = contract.marks(bar, until).astype(np.int64)
                    equity[bar - self.start : until - self.start] += held * (qty * contract.factor)
        return equity

    def _holdings(self) -> dict[Contract, list[tuple[Ordinal, int]]]:
        """Quantity held of each contract after each bar in which it changed."""
        steps: dict[Contract, list[tuple[Ordinal, int]]] = {}
        for fill in self.fills:
            path = steps.setdefault(fill.contract, [])
            qty = fill.qty + (path[-1][1] if path else 0)
            if path and path[-1][0] == fill.bar:
                path[-1] = (fill.bar, qty)
            else:
                path.append((fill.bar, qty))
        return steps

    @property
    def hash(self) -> str:
        """SHA-256 over orders, fills and ledger as integers and UTC times, in booking order."""
        digest = hashlib.sha256()
        time = self.grid.time
        for o in self.orders:
            row = (
                o.id,
                o.time,
                o.contract.name,
                o.qty,
                o.type,
                o.kind,
                o.raw_trigger,
                o.raw_price,
                o.status,
            )
            digest.update(repr(row).encode())
        for f in self.fills:
            charges = sorted(f.raw_charges.items())
            at = (time(f.bar), f.point % POINTS)
            row2 = (f.id, at, f.order.id, f.qty, f.raw_price, f.raw_slippage, f.reason, charges)
            digest.update(repr(row2).encode())
        for p in self.ledger:
            name = p.contract.name if p.contract is not None else ""
            digest.update(repr((time(p.bar), p.account, name, p.amount, p.fill)).encode())
        return digest.hexdigest()
