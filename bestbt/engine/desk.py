"""Desk: what the verbs of a run act on: its contracts, orders, positions and log.

A strategy, a contract, a position and a hand on a paused run all reach the market through the
same desk, so an order means the same wherever it comes from.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from bestbt.engine.blocks import Block, BlockBook, Scope, check_terms, end_day
from bestbt.engine.chain import OptionChain
from bestbt.engine.contract import Contract, Option
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import Clock, duration
from bestbt.engine.matching import MatchRules, SimulatedExchange, Slippage
from bestbt.engine.order import (
    Buy,
    Change,
    Combo,
    Level,
    Order,
    OrderKind,
    OrderStatus,
    OrderType,
    Sell,
    TimeInForce,
)
from bestbt.engine.portfolio import Portfolio
from bestbt.engine.ports import ContractSpec, Exchange, Feed, FeeModel, Market
from bestbt.engine.position import Position
from bestbt.engine.prices import PriceColumns
from bestbt.engine.ticket import LEAVE, Ticket, limit_and_trigger, read_ticket, units
from bestbt.engine.touch import NEVER
from bestbt.errors import ContractNotFound, OrderError, StaleHandle, UsageError
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

__all__ = ["Desk", "LogEntry"]

_MAX_WAIT = 5 * MINUTE  # a market entry waits this long for a live bar, or one bar if longer


class LogEntry(NamedTuple):
    """One line of a run's log."""

    bar: Ordinal
    time: Ns  # UTC, at which it was written
    kind: str
    text: str
    values: Mapping[str, Any]


class Desk:
    """The state of one run; moved by `PriceFeeder`, acted on by verbs.

    `dirty` is set by whatever can change when the next thing happens; it ends the feeder's bare
    loop over `on_bar`.
    """

    def __init__(
        self,
        feed: Feed,
        market: Market,
        symbols: tuple[str, ...],
        *,
        capital: RawMoney,
        start: Ordinal,
        slippage: Slippage,
        fees: FeeModel,
        fill_at_close: bool = False,
        rules: MatchRules | None = None,
    ) -> None:
        self.feed, self.market, self.symbols = feed, market, symbols
        self.grid = feed.grid
        self.clock = Clock()
        self.clock.bar = start - 1
        self.start = start
        self.session = self.grid.session(start)
        self.before_open = True  # between sessions: a hook runs before the first bar
        self.unsettled_from: date = self.grid.sessions[self.session].day
        self.fees = fees
        self.fill_at_close = fill_at_close
        self.at_close = False  # a market order placed now still trades at the bar's close
        self.portfolio = Portfolio(capital, start)
        self.exchange: Exchange = SimulatedExchange(self.grid, slippage, rules or MatchRules())
        self.orders: list[Order] = []
        self.log: list[LogEntry] = []
        self.combos: dict[int, Combo] = {}  # by the order of each leg that still works
        self.why = ""  # the reason of fills of orders placed now, where it is not the price's
        self.dirty = False
        self._max_wait = max(_MAX_WAIT // self.grid.step, 1)  # bars
        self.why_none = "it is None"  # why the newest pick found nothing
        self.estimated: list[tuple[Contract, str]] = []  # settlements not on an official close
        self.blocks = BlockBook()
        self.frozen: dict[Position, str] = {}  # not added to, not rolled, and why
        self._cooling: dict[str, Ns] = {}
        self._contracts: dict[ContractSpec, Contract] = {}
        self.expiring: dict[date, list[Contract]] = {}  # not yet settled
        self._spots: dict[str, Contract] = {}
        self._chains: dict[tuple[str, date], OptionChain] = {}
        self._calendars: dict[tuple[str, str], ExpiryCalendar] = {}
        self._days: list[date] = [s.day for s in self.grid.sessions]

    # Finding contracts

    def contract(self, spec: ContractSpec) -> Contract:
        """Return the run's one contract of a spec."""
        found = self._contracts.get(spec)
        if found is None:
            kind = Option if spec.asset == "option" else Contract
            found = self._contracts[spec] = kind(spec, self.clock, self)
            if spec.expiry is not None:
                found.is_expired = spec.expiry < self.unsettled_from
                self.expiring.setdefault(spec.expiry, []).append(found)
        return found

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Load the prices of a contract."""
        return self.feed.columns(spec)

    def spot(self, symbol: str) -> Contract:
        """Return the index or equity of a name."""
        found = self._spots.get(symbol)
        if found is None:
            found = self._spots[symbol] = self.contract(self.feed.spot(symbol))
        return found

    def named(self, name: str) -> Contract:
        """Return a contract by the name it is written with in tables."""
        if not isinstance(name, str):
            raise ContractNotFound(f"contract({name!r}): give a name, such as 'NIFTY'.")
        parts = name.upper().split()
        try:
            if len(parts) == 4 and parts[3] in ("CE", "PE"):
                chain = self.chain(parts[0], date.fromisoformat(parts[1]))
                pick = chain.call if parts[3] == "CE" else chain.put
                return pick(float(parts[2]))
            if len(parts) == 3 and parts[2] == "FUT":
                spec = self.feed.future(parts[0], date.fromisoformat(parts[1]))
                if spec is None:
                    raise ContractNotFound(f"No future {name!r} in the store.")
                return self.contract(spec)
        except ValueError:
            raise ContractNotFound(
                f"{name!r} is no contract; write it as in the tables: 'NIFTY', "
                "'NIFTY 2024-02-29 FUT' or 'NIFTY 2024-02-29 22000 CE'."
            ) from None
        return self.spot(name.strip().upper())

    def calendar(self, symbol: str, asset: str = "option") -> ExpiryCalendar:
        """Return the listed expiries of a symbol."""
        key = (symbol, asset)
        found = self._calendars.get(key)
        if found is None:
            kind: Any = asset
            found = ExpiryCalendar(symbol, self.feed.expiries(symbol, kind), self.clock)
            self._calendars[key] = found
        return found

    def chain(self, symbol: str, expiry: date) -> OptionChain:
        """Return the chain of an expiry."""
        found = self._chains.get((symbol, expiry))
        if found is None:
            listings = self.feed.listed(symbol, expiry)
            found = OptionChain(self.spot(symbol), expiry, listings, self.clock, self.contract)
            self._chains[symbol, expiry] = found
        return found

    def sessions_left(self, expiry: date) -> int:
        """Sessions from today to an expiry; 0 on its day."""
        if expiry > self._days[-1]:
            after = self._days[-1] + timedelta(days=1)
            self._days += [s.day for s in self.market.sessions(after, expiry)]
        return bisect_left(self._days, expiry) - bisect_left(self._days, self.today)

    @property
    def now(self) -> Ns:
        """UTC time at which hooks run: the newest bar has just closed, or the session opens."""
        if self.before_open:
            return self.grid.sessions[self.session].open
        return self.grid.end(self.clock.bar)

    @property
    def today(self) -> date:
        """Local date of the current session."""
        return self.grid.sessions[self.session].day

    # Placing and ending orders

    def enter(
        self,
        contract: Contract | None,
        side: int,
        lots: int | None = None,
        qty: Qty | None = None,
        type: OrderType = "market",
        price: Price | None = None,
        trigger: Price | None = None,
        sl: Price | str | None = None,
        target: Price | str | None = None,
        trail: Price | str | None = None,
        tif: TimeInForce = "day",
        until: date | None = None,
        tag: str = "",
    ) -> Order | None:
        """Place an order that opens or adds; see `Strategy.buy`."""
        verb = "buy" if side > 0 else "sell"
        if contract is None:
            self.note("refused", f"{verb}(None): {self.why_none}")
            return None
        size = self._checked_units(verb, contract, lots, qty)
        ticket = read_ticket(
            verb, contract.spec, self.today, type, price, trigger, sl, target, trail, tif, until
        )
        refusal = self.refusal(contract, tag)
        if refusal:
            self.note("refused", f"{verb}({contract.name}): {refusal}")
            return None
        return self.place(contract, side * size, ticket, "entry", tag)

    def _checked_units(
        self, verb: str, contract: Contract, lots: int | None, qty: Qty | None
    ) -> Qty:
        """Check what is asked of a contract; return the units of the order."""
        if not isinstance(contract, Contract):
            raise OrderError(
                f"{verb}({contract!r}): a contract is needed, such as self.get_atm('CE')."
            )
        self._check_ours(verb, contract)
        if not contract.is_tradable:
            raise OrderError(
                f"{verb}({contract.name}): an index cannot be traded; trade its future or options."
            )
        if contract.is_expired:
            raise OrderError(f"{verb}({contract.name}): it expired on {contract.expiry}.")
        return units(verb, contract, lots, qty)

    def _check_ours(self, verb: str, contract: Contract) -> None:
        if not isinstance(contract, Contract):
            raise OrderError(f"{verb}({contract!r}): a contract is needed.")
        if contract._desk is not self or self.clock.bar < -1:  # a rewound clock raises when read
            raise StaleHandle(
                f"{verb}({contract.name}): it belongs to another run, or to this one before it was "
                "rewound; ask the run for it anew."
            )

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
        type = ticket.type
        at_close = self.at_close and type == "market"
        order = Order(
            len(self.orders),
            contract,
            qty,
            type=type,
            kind=kind,
            placed=bar,
            time=self.now,
            since=POINTS * bar + POINTS - 1 if at_close else POINTS * (bar + 1),
            raw_trigger=ticket.raw_trigger,
            raw_price=ticket.raw_price,
            until=bar + self._max_wait if kind == "entry" and type == "market" else None,
            lifetime=None if ticket.until is None else self._last_bar(ticket.until),
            brackets=ticket.brackets,
            tif=ticket.tif,
            tag=tag,
            why=self.why,
        )
        self.send(order)
        return order

    def send(self, order: Order, legs: Sequence[Order] = ()) -> None:
        """Let an order work."""
        self.orders.append(order)
        self.exchange.submit(order, legs)
        self.dirty = True

    def _last_bar(self, day: date) -> Ordinal:
        """Last bar of the sessions up to a day."""
        after = self.grid.session_from(day + timedelta(days=1))
        return self.grid.lasts[after - 1]

    def exit(self, contract: Contract) -> Order | None:
        """Close what is held of a contract at its next live bar; None when nothing is."""
        self._check_ours("exit", contract)
        position = self.portfolio.positions.get(contract)
        if position is None:
            return None
        for order in self.exchange.working:
            if order.contract is contract and order.kind == "exit" and order.type == "market":
                return order  # one exit is on its way
        return self.place(contract, -position.qty, LEAVE, "exit", position.tag)

    def exit_all(self) -> None:
        """Close every open position at its next live bar; cancel entries still waiting."""
        for order in [o for o in self.exchange.working if not o.is_exit]:
            self.end(order, "cancelled", "exit_all")
        for contract in list(self.portfolio.positions):
            self.exit(contract)

    def end(self, order: Order, status: OrderStatus, reason: str) -> None:
        """Take a working order off the exchange."""
        self.exchange.remove(order)
        order.status, order.reason = status, reason
        self.dirty = True

    # Blocks

    def refusal(self, contract: Contract, tag: str) -> str:
        """Why nothing may be entered in a contract now; empty when it may."""
        block = self.blocks.over(contract.symbol, tag)
        if block is not None:
            return f"blocked until {block.end}: {block.reason}"
        held = self.portfolio.positions.get(contract) if self.frozen else None
        if held is not None and held in self.frozen:
            return f"its position is left to its stops until unblock(): {self.frozen[held]}"
        return ""

    def blocking(
        self,
        verb: str,
        n: Any = 1,
        *,
        symbol: str | None = None,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Do what a verb of `blocks.Blocking` says."""
        check_terms(verb, symbol, tag, reason, close_positions)
        self._check_fresh()
        if symbol is not None:
            symbol = self.spot(symbol.strip().upper()).symbol
        scope = Scope(symbol, tag)
        if verb == "unblock":
            self._unblock(scope)
        elif verb == "deactivate_positions":
            self._freeze(scope, reason or verb)
        elif verb == "block_till_monthly_expiry":
            self._begin_block(scope, reason or verb, self._monthly(symbol), True, close_positions)
        else:
            until = end_day(verb, n, self.grid, self.session)
            self._begin_block(scope, reason or verb, until, False, close_positions)
        self.dirty = True

    def _check_fresh(self) -> Ordinal:
        """Refuse the desk of a run that has been rewound: its clock raises when read."""
        return self.clock.bar

    def _monthly(self, symbol: str | None) -> date:
        symbol = self.check_symbol(symbol)
        asset = "option" if self.feed.expiries(symbol, "option") else "future"
        return self.calendar(symbol, asset).monthly(self.unsettled_from)

    def _begin_block(
        self, scope: Scope, reason: str, until: date | None, settles: bool, close_positions: bool
    ) -> None:
        block = self.blocks.begin(scope, reason, until, settles)
        if close_positions:  # first: all of it, before a combo's traded legs leave by themselves
            for contract in [p.contract for p in self._held(scope)]:
                self.exit(contract)
        cancelled = self._withdraw(
            [
                o
                for o in self.exchange.working
                if not o.is_exit and scope.covers(o.contract.symbol, o.tag)
            ],
            f"blocked: {reason}",
        )
        if block is not None:
            self.note(
                "block",
                f"{scope} until {block.end}: {reason}",
                number=block.number,
                until=None if until is None else str(until),
                cancelled=cancelled,
            )

    def _held(self, scope: Scope) -> list[Position]:
        held = self.portfolio.positions.values()
        return [p for p in held if scope.covers(p.contract.symbol, p.tag)]

    def _freeze(self, scope: Scope, reason: str) -> None:
        held = {p.contract: p for p in self._held(scope)}
        cancelled = self._withdraw(
            [o for o in self.exchange.working if o.contract in held and o.kind != "stop"],
            f"deactivated: {reason}",
        )
        self.frozen |= dict.fromkeys(held.values(), reason)
        names = ", ".join(c.name for c in held) or "nothing is held"
        self.note(
            "block",
            f"left to their stops until unblock(): {reason} ({names})",
            cancelled=cancelled,
        )

    def _withdraw(self, orders: list[Order], reason: str) -> list[int]:
        """Cancel orders, and the whole combo of a leg: its other legs too, what has traded left.

        Return the ids of those cancelled.
        """
        cancelled = []
        for order in orders:
            combo = self.combos.get(order.id)
            for one in (order,) if combo is None else combo.orders:
                if one.status == "working":
                    self.combos.pop(one.id, None)
                    self.end(one, "cancelled", reason)
                    cancelled.append(one.id)
            if combo is not None:
                self.undo(combo)
        return cancelled

    def undo(self, combo: Combo) -> None:
        """Leave the legs of a combo that have traded: it will not be whole."""
        for filled in combo.filled:
            self.place(filled.contract, -filled.qty, LEAVE, "exit", filled.tag)
        combo.filled.clear()

    def _unblock(self, scope: Scope) -> None:
        for block in self.blocks.lift(scope):
            self._note_end(block, "unblock()")
        for position in self._held(scope):
            if self.frozen.pop(position, None) is not None:
                self.note("unblock", f"{position.contract.name} is active again: unblock()")

    def end_blocks(self, settled: bool = True) -> None:
        """End the blocks whose end has come: a session has opened, or an expiry has settled.

        Without *settled* an expiry from before this session has not done so yet.
        """
        if self.blocks.on:
            for block in self.blocks.due(self.today, self.unsettled_from if settled else date.min):
                self._note_end(block, block.end)
        if self.frozen:  # what has been closed since
            self.frozen = {p: why for p, why in self.frozen.items() if p.qty}

    def _note_end(self, block: Block, why: str) -> None:
        self.note("unblock", f"{block.scope}: {why} ({block.reason})", number=block.number)

    def blocked(self, symbol: str, tag: str = "") -> bool:
        """Whether an entry would be refused by a block."""
        self._check_fresh()
        return self.blocks.over(symbol, tag) is not None

    def cooldown(self, name: str, time: str) -> bool:
        """Start a named wait unless it is running; see `Strategy.cooldown`."""
        if not isinstance(name, str):
            raise UsageError(f"cooldown({name!r}, …): name it with a text, such as 'entry'.")
        wait, last = duration(time), self._cooling.get(name)
        if last is not None and self.now - last < wait:
            return False
        self._cooling[name] = self.now
        return True

    # Changing working orders

    def working(self, verb: str, order: Order | int) -> Order:
        """Return a working order by itself or by its id; `OrderError` when it is none."""
        if isinstance(order, Order):
            found = order
        elif type(order) is int and 0 <= order < len(self.orders):
            found = self.orders[order]
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
        found.start_price = None
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
        raw = None if level is None else self._level_of(position, kind, level)
        for order in [
            o for o in self.exchange.working if o.contract is contract and o.kind == kind
        ]:
            self.end(order, "cancelled", verb)
        if raw is None:
            return None
        ticket = (
            Ticket("slm", raw_trigger=raw, tif="gtc")
            if kind == "stop"
            else Ticket("limit", raw_price=raw, tif="gtc")
        )
        return self.place(contract, -position.qty, ticket, kind, position.tag)

    def _level_of(self, position: Position, kind: OrderKind, level: Price | str) -> RawPrice:
        """Raw price of a level measured from the average entry price, on the tick."""
        spec, side = position.contract.spec, 1 if position.qty > 0 else -1
        parsed = None if level == "cost" else Level.parse(level)
        away = side if kind == "stop" else -side
        # The average is a fraction: everything is multiplied by the units, and rounded once.
        units, total = abs(position.qty), abs(position.raw_cost) // position.contract.factor
        if parsed is None:
            return max(half_up(total, units * spec.tick), 1) * spec.tick
        return parsed.away(total, away, spec.tick, spec.scale, units)

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

    # Several at once

    def combo(self, legs: Sequence[Buy | Sell], atomic: bool = False, tag: str = "") -> list[Order]:
        """Place entries that belong together; see `Strategy.combo`."""
        given = list(legs)
        if len(given) < 2 or not all(isinstance(leg, Buy | Sell) for leg in given):
            raise OrderError(
                "combo(): give two legs or more: combo([Sell(call, 1), Buy(wing, 1)])."
            )
        missing = next((leg for leg in given if leg.contract is None), None)
        if missing is not None:
            self.note("refused", f"combo({type(missing).__name__}(None)): {self.why_none}")
            return []
        asked = []
        for leg in sorted(given, key=lambda leg: -leg.side):  # protective longs first
            if leg.contract is None:
                continue
            verb = "buy" if leg.side > 0 else "sell"
            asked.append(
                (leg, leg.contract, self._checked_units(verb, leg.contract, leg.lots, None))
            )
        if len({contract for _, contract, _ in asked}) < len(asked):
            raise OrderError("combo(): each contract once; add up the lots of the same.")
        for _, contract, _ in asked:
            refusal = self.refusal(contract, tag)
            if refusal:
                self.note("refused", f"combo({contract.name}): {refusal}")
                return []
        bar = self.clock.bar
        orders = [
            Order(
                len(self.orders) + i,
                contract,
                leg.side * size,
                type="market",
                kind="entry",
                placed=bar,
                time=self.now,
                since=POINTS * (bar + 1),
                until=bar + self._max_wait,
                tag=tag,
                why=self.why,
            )
            for i, (leg, contract, size) in enumerate(asked)
        ]
        mates = Combo(orders)
        for order in orders:
            self.combos[order.id] = mates
            if not atomic and order.qty < 0 and mates.waits:
                order.since = NEVER  # until what protects it is bought
            self.send(order, orders if atomic else ())
        return orders

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

    def note(self, kind: str, text: str, **values: Any) -> None:
        """Write a line into the run's log."""
        self.log.append(LogEntry(self.clock.bar, self.now, kind, text, values))

    def check_symbol(self, symbol: str | None) -> str:
        """Return a symbol of the run: the first unless told otherwise."""
        if symbol is None:
            return self.symbols[0]
        if not isinstance(symbol, str):
            raise UsageError(f"of={symbol!r}: name a symbol, such as 'NIFTY'.")
        return symbol
