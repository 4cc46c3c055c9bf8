"""Position: what is held of one contract; units leave first in, first out."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from bestbt.engine.blocks import Blocking
from bestbt.engine.contract import Contract
from bestbt.engine.costing import AverageCost
from bestbt.engine.lots import whole_lots
from bestbt.engine.order import Fill, made
from bestbt.errors import OrderError
from bestbt.units import POINTS, Money, Ordinal, Price, Qty, RawMoney, RawPrice, money

if TYPE_CHECKING:  # what `exit` hands back
    from bestbt.engine.order import Order

__all__ = ["Match", "Position"]


class Match(NamedTuple):
    """A part of an entry fill closed by a part of an exit fill; `qty` has the entry's sign."""

    entry: Fill
    exit: Fill
    qty: Qty
    raw_cost: RawMoney  # what the units had cost: qty × price × factor, at the run's way to count

    @property
    def raw_pnl(self) -> RawMoney:
        """Profit before charges."""
        return self.qty * self.exit.raw_price * self.entry.contract.factor - self.raw_cost

    @property
    def entry_price(self) -> Price:
        """What a unit had cost: the entry's price, or the average."""
        contract = self.entry.contract
        return self.raw_cost / (self.qty * contract.factor * contract.spec.scale)


class Position(Blocking):
    """An open position; `qty` is signed units.

    `raw_cost` is what the units still held have cost, Σ qty × entry price × factor, so that the
    unrealized profit is one multiplication. Units leave first in, first out, with their tag and
    their stops; with *average*, at the average cost of those of their tag. `raw_basis` is the same
    at the prices up to which profit has been paid in cash: a future's at its newest settlement
    (its entry, if that came later); an option's premium is paid at once, so it has none.
    """

    def __init__(self, contract: Contract, opened: Ordinal = 0, average: bool = False) -> None:
        self.contract = contract
        self.opened = opened  # bar of its first fill
        self.qty: Qty = 0
        self.raw_cost: RawMoney = 0
        self.raw_basis: RawMoney = 0
        self.raw_realized: RawMoney = 0  # since it was last flat
        self.raw_carried: RawMoney = 0  # realized in the contracts it was rolled from
        self.rolled_by = ""  # "weekly" or "monthly", as its chain of rolls began
        self.tag = ""
        self._pays_daily = contract.asset == "future"
        self._lots: list[tuple[Fill, Qty, RawPrice]] = []  # with their basis; oldest first; few
        self._averages = AverageCost() if average else None

    def __repr__(self) -> str:
        return f"<Position {self.qty:+d} {self.contract.name} at {self.entry_price:.8g}>"

    def apply(self, fill: Fill) -> list[Match]:
        """Add a fill's units, or close the oldest lots with it; return what was closed.

        >>> # a property test in tests/engine/test_position.py compares this with a naive list
        """
        left, lots, averages = fill.qty, self._lots, self._averages
        price, factor = fill.raw_price, self.contract.factor
        matches: list[Match] = []
        while left and lots and (left > 0) != (self.qty > 0):
            entry, held, basis = lots[0]
            part = held if abs(held) <= abs(left) else -left
            if averages is None:
                cost = part * entry.raw_price * factor
            else:
                cost = averages.take(entry, part)
            matches.append(made(Match, (entry, fill, part, cost)))
            if part == held:
                del lots[0]
                if lots:  # that of the oldest lot held
                    self.tag = lots[0][0].order.tag
            else:
                lots[0] = (entry, held - part, basis)
            self.qty -= part
            left += part
            self.raw_cost -= cost
            if self._pays_daily:
                self.raw_basis -= part * basis * factor
            self.raw_realized += part * price * factor - cost
        if left:
            if not lots:
                self.tag = fill.order.tag
                if matches:  # it has changed sides: what was made on the other is over
                    self.raw_realized = self.raw_carried = 0
                    self.rolled_by = ""
            lots.append((fill, left, price))
            cost = left * price * factor
            self.qty += left
            self.raw_cost += cost
            if averages is not None:
                averages.add(fill, left, cost)
            if self._pays_daily:
                self.raw_basis += cost
        return matches

    def mark_to_market(self, price: RawPrice) -> RawMoney:
        """Pay a future's profit up to a settlement price in cash; return how much."""
        basis = self.qty * price * self.contract.factor
        paid, self.raw_basis = basis - self.raw_basis, basis
        self._lots = [(fill, qty, price) for fill, qty, _ in self._lots]
        return paid

    @property
    def raw_worth(self) -> RawMoney:
        """What it adds to cash at the newest mark: an option's worth, a future's unpaid profit."""
        return self.qty * self.contract.mark * self.contract.factor - self.raw_basis

    @property
    def side(self) -> str:
        """`"long"`, `"short"`, or `"flat"` once it is closed."""
        return "long" if self.qty > 0 else "short" if self.qty < 0 else "flat"

    @property
    def lots(self) -> int:
        """Whole lots held, without sign."""
        return abs(self.qty) // self.contract.lot

    @property
    def whole_qty(self) -> Qty:
        """Signed units that are whole lots: all, unless a lot has changed while it was held."""
        return whole_lots(self.qty, self.contract.lot)

    @property
    def odd_qty(self) -> Qty:
        """Signed units that are no whole lot any more: they cannot be traded, and settle."""
        return self.qty - self.whole_qty

    @property
    def entry_price(self) -> Price:
        """Average price of the units still held; `nan` when flat."""
        if not self.qty:
            return float("nan")
        return self.raw_cost / (self.qty * self.contract.factor * self.contract.spec.scale)

    @property
    def entry_time(self) -> datetime | None:
        """Exchange local time of the oldest fill still held."""
        return self._lots[0][0].time if self._lots else None

    @property
    def raw_unrealized(self) -> RawMoney:
        """Profit of what is held at the newest mark."""
        return self.qty * self.contract.mark * self.contract.factor - self.raw_cost

    @property
    def mae(self) -> Money:
        """Worst profit, zero or less, that what is held showed since its oldest entry.

        At the extremes of bars, before charges; of the units held now, from their average price.
        """
        return min(money(self._excursion(worst=True)), 0.0)

    @property
    def mfe(self) -> Money:
        """Best profit, zero or more, that what is held showed since its oldest entry; see `mae`."""
        return max(money(self._excursion(worst=False)), 0.0)

    def _excursion(self, worst: bool) -> RawMoney:
        columns = self.contract._prices
        if not self.qty or columns is None:
            return 0
        seen = columns.points[
            self._lots[0][0].point - POINTS * columns.first :
            POINTS * (self.contract._clock.bar + 1 - columns.first)
        ]  # fmt: skip
        if not len(seen):
            return 0
        extreme = int(seen.min() if (self.qty > 0) == worst else seen.max())
        return self.qty * extreme * self.contract.factor - self.raw_cost

    # Greeks of all units together; nan where the contract has none

    @property
    def delta(self) -> float:
        """Units of the underlying that it moves with."""
        return self.qty * self.contract.delta

    @property
    def gamma(self) -> float:
        """Change of delta when the forward rises by 1."""
        return self.qty * self.contract.gamma

    @property
    def theta(self) -> float:
        """Money it gains in a calendar day in which nothing moves."""
        return self.qty * self.contract.theta

    @property
    def vega(self) -> float:
        """Money it gains per vol point."""
        return self.qty * self.contract.vega

    def unrealized_of(self, tag: str) -> RawMoney:
        """Profit at the newest mark of the lots that were entered with a tag."""
        mark, factor = self.contract.mark, self.contract.factor
        if self._averages is not None:
            qty, cost = self._averages.held(tag)
            return qty * mark * factor - cost
        return sum(
            qty * (mark - entry.raw_price) * factor
            for entry, qty, _ in self._lots
            if entry.order.tag == tag
        )

    @property
    def sl(self) -> Price | None:
        """Price of the stop that comes first, as known now; None where nothing stops it."""
        return self.contract._desk.waiting_price(self.contract, "stop") if self.qty else None

    @property
    def target(self) -> Price | None:
        """Price of the target that comes first; None where there is none."""
        return self.contract._desk.waiting_price(self.contract, "target") if self.qty else None

    def set_sl(self, level: Price | str | None) -> Order | None:
        """Put one stop on all that is held, in place of every stop it has.

        Parameters
        ----------
        level
            A price; `"25%"` or `"30pts"` from the average entry price to the adverse side;
            `"cost"`, that price itself; None for no stop at all. It works from the next bar on, for
            what is held when it fires, as long as the position lives.
        """
        self._check_open("set_sl")
        return self.contract.set_sl(level)

    def set_target(self, level: Price | str | None) -> Order | None:
        """Put one target on all that is held, in place of every target it has; see `set_sl`."""
        self._check_open("set_target")
        return self.contract.set_target(level)

    def _check_open(self, verb: str) -> None:
        if not self.qty:
            raise OrderError(f"{verb}({self.contract.name}): this position is closed.")

    def add(self, lots: int | None = None, **terms: Any) -> Order | None:
        """Buy more of what is long, sell more of what is short; see `Strategy.buy`."""
        self._check_open("add")
        trade = self.contract.buy if self.qty > 0 else self.contract.sell
        return trade(lots, **{"tag": self.tag, **terms})

    def get_pnl(self, rolled: bool = False) -> Money:
        """Realized and unrealized profit since it was last flat, before charges.

        With *rolled*, that of the contracts it was rolled from as well.
        """
        carried = self.raw_carried if rolled else 0
        return money(carried + self.raw_realized + self.raw_unrealized)

    def roll(self, to: Contract | date | str | None = None, **terms: Any) -> Order | None:
        """Close it and open its twin in another contract; see `Strategy.roll`."""
        return self.contract.roll(to, **terms)

    def exit(self) -> Order | None:
        """Close it at the next bar."""
        return self.contract.exit()

    @property
    def blocked(self) -> bool:
        """Whether a block is on over entries in its underlying with its tag."""
        return self.contract._desk.blocked(self.contract.symbol, self.tag)

    def _blocking(self, verb: str, *args: Any, **terms: Any) -> None:
        """Say a verb of blocks for its underlying."""
        self.contract._blocking(verb, *args, **terms)
