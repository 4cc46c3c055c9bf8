"""Desk: what the verbs of a run act on: its entries, combos and blocks.

A strategy, a contract, a position and a hand on a paused run all reach the market through the
same desk, so an order means the same wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

from bestbt.engine.blocks import Block, BlockBook, Scope, check_terms, end_day
from bestbt.engine.contract import Contract
from bestbt.engine.costing import Cost
from bestbt.engine.dealing import Dealing, LogEntry
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import duration
from bestbt.engine.lots import whole_lots
from bestbt.engine.matching import MatchRules, Slippage
from bestbt.engine.order import (
    Brackets,
    Buy,
    Combo,
    Level,
    Order,
    OrderStatus,
    OrderType,
    Sell,
    TimeInForce,
)
from bestbt.engine.participation import Participation
from bestbt.engine.ports import Feed, FeeModel, Market
from bestbt.engine.position import Position
from bestbt.engine.rolling import NothingListed, Roll, StrikeRule
from bestbt.engine.ticket import LEAVE, read_ticket, units
from bestbt.engine.touch import NEVER
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError, UsageError
from bestbt.units import POINTS, Ns, Ordinal, Price, Qty, RawMoney

__all__ = ["Desk", "LogEntry"]


class Desk(Dealing):
    """The state of one run; moved by `PriceFeeder`, acted on by verbs."""

    __slots__ = (
        *("_cooling", "blocks", "close_at_end", "combos", "estimated", "fees", "frozen"),
        *("participation", "rate", "rolls", "why_none"),
    )

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
        cost: Cost = "fifo",
        max_participation: float | str | None = 0.1,
        rate: float = 0.0,
        close_at_end: bool = False,
    ) -> None:
        super().__init__(
            feed,
            market,
            symbols,
            self,
            capital=capital,
            start=start,
            slippage=slippage,
            fill_at_close=fill_at_close,
            rules=rules or MatchRules(),
            cost=cost,
        )
        self.close_at_end = close_at_end
        self.participation = Participation.parse(max_participation)
        self.rate = rate  # a year, continuously compounded
        self.fees = fees
        self.why_none = "it is None"  # why the newest pick found nothing
        self.estimated: list[tuple[Contract, str]] = []  # settlements not on an official close
        self.combos: dict[int, Combo] = {}  # by the order of each leg that still works
        self.rolls: dict[int, Roll] = {}  # the same
        self.blocks = BlockBook()
        self.frozen: dict[Position, str] = {}  # not added to, not rolled, and why
        self._cooling: dict[str, Ns] = {}

    # Entries

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
        if not isinstance(tag, str):
            raise OrderError(f"{verb}(tag={tag!r}): a tag is a text.")
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

    def combo(self, legs: Sequence[Buy | Sell], atomic: bool = False, tag: str = "") -> list[Order]:
        """Place entries that belong together; see `Strategy.combo`."""
        given = list(legs) if isinstance(legs, list | tuple) else []
        if len(given) < 2 or not all(isinstance(leg, Buy | Sell) for leg in given):
            raise OrderError(
                "combo(): give two legs or more: combo([Sell(call, 1), Buy(wing, 1)])."
            )
        if not isinstance(tag, str):
            raise OrderError(f"combo(tag={tag!r}): a tag is a text.")
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
        at_close = self.at_close and not atomic
        since, number = POINTS * (bar + 1) - at_close, len(self.orders)
        orders = [
            Order(
                number + i, contract, leg.side * size, "market", "entry", bar, self.now, since, tag
            )
            for i, (leg, contract, size) in enumerate(asked)
        ]
        mates = Combo(orders)
        for order in orders:
            order.until, order.why = bar + self.max_wait, self.why
            self.combos[order.id] = mates
            if not atomic and order.qty < 0 and mates.waits:
                order.since = NEVER  # until what protects it is bought
            self.send(order, orders if atomic else ())
        return orders

    # Rolls

    def roll(
        self,
        contract: Contract,
        to: Contract | date | str | None = None,
        expiry: date | str | None = None,
        if_unfilled: Literal["exit", "keep"] = "exit",
    ) -> Order | None:
        """Leave a contract and enter its twin in another; see `Strategy.roll`."""
        self._check_ours("roll", contract)
        if isinstance(expiry, str) and expiry not in ("weekly", "monthly"):
            raise OrderError(f"roll(expiry={expiry!r}): a date, 'weekly' or 'monthly' is needed.")
        if if_unfilled not in ("exit", "keep"):
            raise OrderError(f"roll(if_unfilled={if_unfilled!r}): it is 'exit' or 'keep'.")
        position = self.portfolio.positions.get(contract)
        if position is None:
            self.note("refused", f"roll({contract.name}): nothing of it is held")
            return None
        if position in self.frozen:
            self.note("refused", f"roll({contract.name}): {self.refusal(contract, position.tag)}")
            return None
        for working in self.exchange.working:
            roll = self.rolls.get(working.id)
            if roll is not None and roll.leave.contract is contract:
                return roll.enter  # one is on its way
        blocked, target = self.refusal(contract, position.tag, leaving=True), None
        if not blocked:
            try:
                target = self._target(position, to, expiry)
            except NothingListed as error:  # the data end here, or it is not listed yet
                self.note("refused", f"roll({contract.name}): {error}")
                return None
            blocked = self.refusal(target, position.tag) if target is not None else ""
        if blocked:
            self.note("roll", f"{contract.name} is closed and not rolled: {blocked}")
            return self.exit(contract)
        if target is None:
            self.note("refused", f"roll({contract.name}): {self.why_none}")
            return None
        if contract.expiry == self.today and self.clock.bar == self.grid.lasts[self.session]:
            self.note("refused", f"roll({contract.name}): it settles before the next bar")
            return None
        kind = expiry if isinstance(expiry, str) else self._kind(position)
        return self._place_roll(position, target, if_unfilled == "keep", kind)

    def _place_roll(self, position: Position, target: Contract, keep: bool, kind: str) -> Order:
        bar, old = self.clock.bar, position.contract
        side, lots = (1 if position.qty > 0 else -1), position.lots
        if not lots:
            raise OrderError(f"roll({old.name}): less than a lot of it is held; it settles.")
        since, number, tag = POINTS * (bar + 1), len(self.orders), position.tag
        leave, enter = (
            Order(number + i, contract, qty, "market", "roll", bar, self.now, since, tag, "gtc")
            for i, (contract, qty) in enumerate(
                ((old, -position.whole_qty), (target, side * lots * target.lot))
            )
        )
        enter.is_exit, enter.brackets = False, self._travelling(old)
        roll = Roll(leave, enter, position, keep, kind)
        for order in (leave, enter):
            order.until, order.why = bar + self.max_wait, "roll"
            self.rolls[order.id] = roll
            self.send(order, (leave, enter))
        size = f"{lots} lot{'s' if lots > 1 else ''}"
        self.note("roll", f"{old.name} to {target.name}, {size}", order=leave.id)
        return enter

    def _travelling(self, contract: Contract) -> Brackets | None:
        """The exits of a position that were said in percent or points: a twin is to have them."""
        found: dict[str, Level] = {}
        for order in self.exchange.working:
            level = order.level
            if order.contract is contract and level is not None and level.unit != "price":
                name = "trail" if order.type == "trail" else order.kind
                found.setdefault(name, level)
        if not found:
            return None
        return Brackets(found.get("stop"), found.get("trail"), found.get("target"))

    def _target(
        self, position: Position, to: Contract | date | str | None, expiry: date | str | None
    ) -> Contract | None:
        """Return what a roll goes to; None when a picker found nothing, with `why_none`."""
        contract = position.contract
        if isinstance(to, str) and " " in to.strip():
            to = self.named(to)
        if isinstance(to, Contract):
            self._check_ours("roll", to)
            if expiry is not None:
                raise OrderError(f"roll(to={to.name}, expiry={expiry}): the contract has its own.")
            if not to.is_tradable or to.is_expired or to is contract:
                why = "it is held already" if to is contract else "it cannot be traded"
                raise OrderError(f"roll({contract.name}, to={to.name}): {why}.")
            return to
        if contract.expiry is None:
            raise OrderError(f"roll({contract.name}): it has no expiry to roll from.")
        if isinstance(to, date):
            if expiry is not None:
                raise OrderError(f"roll(to={to}, expiry={expiry}): give the date once.")
            to, expiry = None, to
        if to is not None and not isinstance(to, str):
            raise OrderError(
                f"roll(to={to!r}): give a contract, a date, or a rule such as 'atm' or 'delta:0.2'."
            )
        rule = StrikeRule.parse(to or "same")
        calendar, asked = self.calendar(contract.symbol, contract.asset), expiry
        if expiry is None or isinstance(expiry, str):
            expiry = self._next_expiry(position, calendar, expiry)
        elif expiry not in calendar or expiry < self.unsettled_from:
            listed = ", ".join(str(d) for d in calendar.from_day(self.unsettled_from)[:3])
            raise ExpiryNotFound(
                f"roll({contract.name}): {contract.symbol} has no expiry on {expiry}; the next "
                f"listed are {listed or 'none'}."
            )
        if contract.right is None or contract.strike is None:
            spec = self.feed.future(contract.symbol, expiry)
            if spec is None:
                raise ContractNotFound(f"No {contract.symbol} future of {expiry} in the store.")
            return self.contract(spec)
        chain, right = self.chain(contract.symbol, expiry), contract.right
        if rule.name == "same":
            try:
                found: Contract | None = chain.option(contract.strike, right)
            except ContractNotFound as error:
                if asked is not None:
                    raise
                raise NothingListed(str(error)) from None
        elif rule.name == "atm":
            found = chain.offset(right)
        elif rule.name == "delta":
            found = chain.by_delta(right, rule.value)
        elif rule.name == "premium":
            found = chain.by_premium(right, rule.value)
        else:
            found = chain.by_percent(right, rule.value)
        if found is contract:
            raise OrderError(f"roll({contract.name}): it would go to the contract it comes from.")
        return found

    def _next_expiry(self, position: Position, calendar: ExpiryCalendar, kind: str | None) -> date:
        """Return the next expiry of a kind; by default of the kind a chain of rolls began with."""
        expiry = position.contract.expiry or self.today
        after = max(expiry + timedelta(days=1), self.unsettled_from)
        try:
            if (kind or self._kind(position)) == "monthly":
                return calendar.monthly(after)
            return calendar.weekly(after)
        except ExpiryNotFound as error:
            raise NothingListed(str(error)) from None

    def _kind(self, position: Position) -> str:
        """Return the kind of expiry that a position is rolled by."""
        contract = position.contract
        if position.rolled_by or contract.expiry is None:
            return position.rolled_by
        calendar = self.calendar(contract.symbol, contract.asset)
        return calendar.kind(contract.expiry) if contract.expiry in calendar else "weekly"

    def end(self, order: Order, status: OrderStatus, reason: str) -> None:
        """Take a working order off the exchange; see to the other legs of what it belongs to."""
        super().end(order, status, reason)
        combo = self.combos.pop(order.id, None) if self.combos and status == "lapsed" else None
        if combo is not None:
            self.undo(combo)
        roll = self.rolls.pop(order.id, None) if self.rolls else None
        if roll is None:
            return
        mate = roll.leave if order is roll.enter else roll.enter
        self.rolls.pop(mate.id, None)
        if mate.status == "working":
            super().end(mate, "cancelled", f"roll: {reason}")

    def part(self, roll: Roll, status: OrderStatus, reason: str) -> None:
        """Give up a roll that will not be whole: its old leg goes on alone, or is kept."""
        for order in (roll.leave, roll.enter):
            self.rolls.pop(order.id, None)
        self.end(roll.enter, status, reason)
        name = roll.leave.contract.name
        if roll.keep:
            self.end(roll.leave, "cancelled", f"roll: {reason}")
            self.note("roll-incomplete", f"{name} is kept: {reason}", order=roll.enter.id)
        else:
            self._leave_alone(roll, reason)

    def _leave_alone(self, roll: Roll, reason: str) -> None:
        """Close the old leg of a roll that will not be whole, at its next live bar."""
        order = roll.leave
        order.until = None
        order.since = POINTS * (self.clock.bar + 1)
        self.exchange.renew(order)
        self.note(
            "roll-incomplete",
            f"{order.contract.name} is closed alone: {reason}",
            order=order.id,
        )

    # Lots

    def change_lots(self) -> None:
        """Give running contracts the lots of a session that opens.

        Entries that are no whole lots now are cancelled, and exits of less than one. What is held
        stays as many units.
        """
        changed = []
        for symbol, expiry in self.lots.changing:
            for contract in self.expiring.get(expiry, ()):
                lot = self.lots.of(contract.spec, self.today)
                if contract.symbol == symbol and contract.lot != lot and not contract.is_expired:
                    contract.lot = lot
                    changed.append(contract)
        if not changed:
            return
        self.lots.changed = True
        working = [o for o in self.exchange.working if o.contract in changed]
        positions = self.portfolio.positions
        for order in working:  # exits first: what cannot leave is not rolled either
            held = positions.get(order.contract)
            if order.status == "working" and order.is_exit and held and not held.whole_qty:
                self.end(order, "cancelled", "less than a lot is held: the lot has changed")
        entries = [o for o in working if not o.is_exit and o.left % o.contract.lot]
        for cancelled in self._withdraw(entries, "no whole lots any more: the lot has changed"):
            order = self.orders[cancelled]
            self.note("refused", f"{order.contract.name}: {order.reason}", order=cancelled)
        for contract, held in positions.items():
            if contract in changed and held.odd_qty:
                self.note(
                    "odd-lot",
                    f"{contract.name}: a lot is {contract.lot} now, so {abs(held.odd_qty)} of the "
                    f"{abs(held.qty)} units held cannot be traded; they settle",
                    qty=held.odd_qty,
                )

    # Blocks

    def refusal(self, contract: Contract, tag: str, leaving: bool = False) -> str:
        """Why nothing may be entered in a contract now; empty when it may.

        With *leaving*, why it may not be left for another one.
        """
        block = self.blocks.over(contract.symbol, tag) if self.blocks.on else None
        if block is not None:
            return f"blocked until {block.end}: {block.reason}"
        held = self.portfolio.positions.get(contract) if self.frozen else None
        if held is not None and held in self.frozen:
            return f"its position is left to its stops until unblock(): {self.frozen[held]}"
        if contract.expiry == self.today and not leaving:
            return self.delivery(contract)
        return ""

    def delivery(self, contract: Contract) -> str:
        """Why a contract may not be held into its expiry: it settles in shares; else empty."""
        expiry = contract.expiry
        if expiry is None or self.spot(contract.symbol).asset != "equity":
            return ""
        if not self.market.settles_in_kind(contract.symbol, expiry):
            return ""
        return (
            f"it expires on {expiry} and settles in shares, which is not played; what is held can "
            "be left with exit()"
        )

    def withdraw_deliverable(self) -> None:
        """Take back entries that still wait in what settles in shares today."""
        doomed = [
            order
            for order in self.exchange.working
            if not order.is_exit and order.contract.expiry == self.today
        ]
        for order in doomed:
            why = self.delivery(order.contract)
            if why and order.status == "working":  # and not ended with another leg
                self._withdraw([order], why)
                self.note("refused", f"{order.contract.name}: {why}", order=order.id)

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
            roll = self.rolls.get(order.id)
            if roll is not None and order is roll.enter:
                self.part(roll, "cancelled", reason)
                cancelled.append(order.id)
                continue
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
            qty = whole_lots(filled.qty, filled.contract.lot)
            if qty and not filled.contract.is_expired:
                exit = self.place(filled.contract, -qty, LEAVE, "exit", filled.tag)
                exit.is_exit = filled.id in combo.opened  # what was closed is opened again
                exit.since = POINTS * (self.clock.bar + 1)  # also where others trade at the close
                self.exchange.renew(exit)
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
