"""Dealing: the orders of a run: placed, changed, ended; and what has come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from numbers import Integral
from typing import Any, NamedTuple

from bestbt.engine.catalogue import Catalogue, Host
from bestbt.engine.contract import Columns, Contract
from bestbt.engine.costing import Cost, check_cost
from bestbt.engine.lots import whole_lots
from bestbt.engine.matching import MatchRules, SimulatedExchange, Slippage
from bestbt.engine.order import Change, Level, Order, OrderKind, OrderStatus
from bestbt.engine.portfolio import Portfolio
from bestbt.engine.ports import Exchange, Feed, Market
from bestbt.engine.position import Position
from bestbt.engine.ticket import LEAVE, Ticket, limit_and_trigger, units
from bestbt.errors import OrderError, StaleHandle
from bestbt.units import (
    MINUTE,
    POINTS,
    Money,
    Ns,
    Ordinal,
    Price,
    Qty,
    RawMoney,
    RawPrice,
    half_up,
    money,
)

__all__ = ["Dealing", "LogEntry"]

_MAX_WAIT = 5 * MINUTE  # a market entry waits this long for a live bar, or one bar if longer


class LogEntry(NamedTuple):
    """One line of a run's log."""

    bar: Ordinal
    time: Ns  # UTC, at which it was written
    kind: str
    text: str
    values: Mapping[str, Any]


class Dealing(Catalogue):
    """The orders, positions and log of one run.

    `dirty` is set by whatever can change when the next thing happens; it ends the feeder's bare
    loop over `on_bar`.
    """

    __slots__ = (
        *(
            "at_close",
            "dirty",
            "exchange",
            "fill_at_close",
            "followed",
            "log",
            "max_wait",
            "orders",
        ),
        *("portfolio", "why"),
    )

    def __init__(
        self,
        feed: Feed,
        market: Market,
        symbols: tuple[str, ...],
        desk: Host,
        *,
        capital: RawMoney,
        start: Ordinal,
        slippage: Slippage,
        fill_at_close: bool,
        rules: MatchRules,
        cost: Cost,
    ) -> None:
        super().__init__(feed, market, symbols, start, desk)
        self.fill_at_close = fill_at_close
        self.at_close = False  # a market order placed now still trades at the bar's close
        self.portfolio = Portfolio(capital, start, average=check_cost(cost))
        self.exchange: Exchange = SimulatedExchange(self.grid, slippage, rules)
        self.orders: list[Order] = []
        self.log: list[LogEntry] = []
        self.why = ""  # the reason of fills of orders placed now, where it is not the price's
        self.dirty = False
        # Contracts whose whole bars are read in this session, with their columns.
        self.followed: list[tuple[Contract, *Columns]] = []
        self.max_wait = max(_MAX_WAIT // self.grid.step, 1)  # bars

    def note(self, kind: str, text: str, **values: Any) -> None:
        """Write a line into the run's log."""
        self.log.append(LogEntry(self.clock.bar, self.now, kind, text, values))

    def follow(self, contract: Contract, columns: Columns) -> None:
        """Take note that all four columns of a contract are read in this session."""
        self.followed.append((contract, *columns))
        self.dirty = True  # the bare loop begins anew, with it

    def unfollow(self) -> None:
        """Begin a session: what is read in it shows anew."""
        for contract, *_ in self.followed:
            contract.unread()
        self.followed.clear()

    def _check_ours(self, verb: str, contract: Contract) -> None:
        if not isinstance(contract, Contract):
            raise OrderError(f"{verb}({contract!r}): a contract is needed.")
        if (
            contract._desk is not self._desk or self.clock.bar < -1
        ):  # a rewound clock raises when read
            raise StaleHandle(
                f"{verb}({contract.name}): it belongs to another run, or to this one before it was "
                "rewound; ask the run for it anew."
            )

    # Placing and ending orders

    def place(
        self,
        contract: Contract,
        qty: Qty,
        ticket: Ticket,
        kind: OrderKind,
        tag: str = "",
    ) -> Order:
        """Place an order that works from the next bar on."""
        bar = self.clock.bar
        type, raw_price, raw_trigger, brackets, tif, until = ticket
        since = POINTS * (bar + 1)
        if self.at_close and type == "market":
            since -= 1
        order = Order(
            len(self.orders), contract, qty, type, kind, bar, self.moment(), since, tag, tif
        )
        order.brackets = brackets
        if type == "market":
            order.why = self.why
            if kind == "entry":
                order.until = bar + self.max_wait
        else:
            order.raw_price, order.raw_trigger = raw_price, raw_trigger
            if until is not None:
                order.lifetime = self._last_bar(until, bar)
        self.send(order)
        return order

    def send(self, order: Order, legs: Sequence[Order] = ()) -> None:
        """Let an order work."""
        self.orders.append(order)
        self.exchange.submit(order, legs)
        self.dirty = True

    def _last_bar(self, day: date, bar: Ordinal) -> Ordinal:
        """Last bar of the sessions up to a day; refused when no bar is left of them."""
        after = self.grid.session_from(day + timedelta(days=1))
        last = self.grid.lasts[after - 1]
        if last <= bar and day <= self.today:
            raise OrderError(f"until={day}: no bar of that day is left; the order could not trade.")
        return last

    def exit(self, contract: Contract) -> Order | None:
        """Close what is held of a contract at its next live bar; None when nothing is."""
        self._check_ours("exit", contract)
        position = self.portfolio.positions.get(contract)
        if position is None:
            return None
        leaving = [
            order
            for order in self.exchange.working
            if order.contract is contract and order.kind == "exit" and order.type == "market"
        ]
        held = position.whole_qty if self.lots.changed else position.qty
        if not held:
            self._refuse_odd("exit", position)
            return None
        rest = -held
        if leaving:
            lot = contract.lot  # what an exit from before a change of it will trade
            rest -= sum(whole_lots(order.left, lot) for order in leaving if order.is_exit)
            if rest * held >= 0:
                return leaving[0]  # all of it is on its way
        return self.place(contract, rest, LEAVE, "exit", position.tag)

    def _refuse_odd(self, verb: str, position: Position) -> None:
        contract = position.contract
        why = f"{abs(position.qty)} units are less than a lot of {contract.lot}; they settle"
        self.note("refused", f"{verb}({contract.name}): {why}")

    def exit_all(self) -> None:
        """Close every open position at its next live bar; cancel entries still waiting."""
        for order in [o for o in self.exchange.working if not o.is_exit]:
            if order.status == "working":
                self.end(order, "cancelled", "exit_all")
        for contract in list(self.portfolio.positions):
            self.exit(contract)

    def end(self, order: Order, status: OrderStatus, reason: str) -> None:
        """Take a working order off the exchange."""
        self.exchange.remove(order)
        order.status, order.reason = status, reason
        self.dirty = True

    # Changing working orders

    def working(self, verb: str, order: Order | int) -> Order:
        """Return a working order by itself or by its id; `OrderError` when it is none."""
        if isinstance(order, Order):
            found = order
        elif isinstance(order, Integral) and 0 <= int(order) < len(self.orders):
            found = self.orders[int(order)]
        else:
            have = f"ids 0 to {len(self.orders) - 1}" if self.orders else "no order yet"
            raise OrderError(f"{verb}({order!r}): there is no such order; the run has {have}.")
        self._check_ours(verb, found.contract)
        if found.status != "working":
            raise OrderError(f"{verb}({found.id}): {found} works no more.")
        return found

    def cancel(self, order: Order | int) -> Order:
        """Take back a working order."""
        found = self.working("cancel_order", order)
        self.end(found, "cancelled", "cancel_order")
        return found

    def cancel_all(self) -> None:
        """Take back every working order, stops and targets too."""
        for order in list(self.exchange.working):
            if order.status == "working":  # and not ended with the other leg of its roll
                self.end(order, "cancelled", "cancel_all")

    def modify(
        self,
        order: Order | int,
        price: Price | None = None,
        trigger: Price | None = None,
        lots: int | None = None,
        qty: Qty | None = None,
    ) -> Order:
        """Change a working order; the new terms work from the next bar on."""
        found = self.working("modify_order", order)
        if price is None and trigger is None and lots is None and qty is None:
            raise OrderError(
                f"modify_order({found.id}): say what: price=, trigger=, lots= or qty=."
            )
        if found.type in ("market", "trail"):
            raise OrderError(
                f"modify_order({found.id}): a {found.type} order has no terms to change."
            )
        size = found.qty
        if lots is not None or qty is not None:
            if found.is_exit:
                raise OrderError(
                    f"modify_order({found.id}): an exit's size follows its position; close a part "
                    "of it with an order of the other side."
                )
            asked = units("modify_order", found.contract, lots, qty)
            size = asked if found.qty > 0 else -asked
        spec, type = found.contract.spec, found.type
        if found.skipped and trigger is not None:
            raise OrderError(f"modify_order({found.id}): it was triggered; only price= is left.")
        raw_limit, raw_trigger = limit_and_trigger(
            "modify_order",
            spec,
            type,
            found.price if price is None else price,
            found.trigger if trigger is None else trigger,
        )
        was = Change(self.now, found.raw_trigger, found.raw_price, found.qty)
        found.changes = (*found.changes, was)
        found.raw_price, found.raw_trigger = raw_limit, raw_trigger
        found.qty = size
        if not found.is_exit:
            found.left = size
        found.start_price = found.level = None
        found.since = POINTS * (self.clock.bar + 1)
        self.exchange.renew(found)
        self.dirty = True
        return found

    # A position's own exits

    def set_exit(
        self, contract: Contract, kind: OrderKind, level: Price | str | None
    ) -> Order | None:
        """Put one stop or target on a whole position in place of all that it has; None: on none."""
        verb = f"set_{'sl' if kind == 'stop' else 'target'}"
        self._check_ours(verb, contract)
        position = self.portfolio.positions.get(contract)
        if position is None:
            raise OrderError(f"{verb}({contract.name}): nothing of it is held.")
        held = position.whole_qty if self.lots.changed else position.qty
        if not held:
            self._refuse_odd(verb, position)
            return None
        parsed = None if level is None or level == "cost" else Level.parse(level)
        raw = None if level is None else self._level_of(position, kind, parsed)
        for order in self._exits(contract, kind):
            self.end(order, "cancelled", verb)
        if raw is None:
            return None
        ticket = (
            Ticket("slm", raw_trigger=raw, tif="gtc")
            if kind == "stop"
            else Ticket("limit", raw_price=raw, tif="gtc")
        )
        order = self.place(contract, -held, ticket, kind, position.tag)
        order.level = parsed
        return order

    def _level_of(self, position: Position, kind: OrderKind, level: Level | None) -> RawPrice:
        """Raw price of a level measured from the average entry price, on the tick; None: that."""
        spec, side = position.contract.spec, 1 if position.qty > 0 else -1
        away = side if kind == "stop" else -side
        # The average is a fraction: everything is multiplied by the units, and rounded once.
        units, total = abs(position.qty) * position.contract.factor, abs(position.raw_cost)
        if level is None:
            return max(half_up(total, units * spec.tick), 1) * spec.tick
        return level.away(total, away, spec.tick, spec.scale, units)

    def _exits(self, contract: Contract, kind: OrderKind) -> list[Order]:
        return [o for o in self.exchange.working if o.contract is contract and o.kind == kind]

    def waiting_price(self, contract: Contract, kind: OrderKind) -> Price | None:
        """Price of the stop or target that comes first, as known now; None where there is none."""
        point = POINTS * (self.clock.bar + 1)
        exits = self._exits(contract, kind)
        if not exits:
            return None
        # A sale's stop and a purchase's target are met from above: the highest comes first.
        from_above = (exits[0].qty < 0) == (kind == "stop")
        levels = [self.exchange.level(o, point) for o in exits]
        return (max(levels) if from_above else min(levels)) / contract.spec.scale

    # Reading

    def position(self, contract: Contract) -> Position | None:
        """Return the open position in a contract."""
        self._check_ours("position", contract)
        return self.portfolio.positions.get(contract)

    def realized(self, contract: Contract | None = None, tag: str | None = None) -> Money:
        """Realized profit before charges: of all, of a contract, of what was entered with a tag."""
        if contract is not None:
            self._check_ours("get_pnl", contract)
        return money(self.portfolio.realized_of(contract, tag))

    def unrealized(self, contract: Contract | None = None, tag: str | None = None) -> Money:
        """Unrealized profit at the newest marks."""
        if contract is not None:
            self._check_ours("get_pnl", contract)
        return money(self.portfolio.unrealized_of(contract, tag))

    def pnl(self, contract: Contract) -> Money:
        """Realized and unrealized profit in a contract, before charges."""
        return self.realized(contract) + self.unrealized(contract)
