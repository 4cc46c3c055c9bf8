"""Desk: what the verbs of a run act on: its contracts, orders, positions and log.

A strategy, a contract, a position and a hand on a paused run all reach the market through the
same desk, so an order means the same wherever it comes from.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import date, timedelta
from numbers import Real
from typing import Any, Literal, NamedTuple

from bestbt.engine.chain import OptionChain
from bestbt.engine.contract import Contract, Option
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import Clock
from bestbt.engine.matching import SimulatedExchange, Slippage
from bestbt.engine.order import Fill, Level, Order, OrderKind, OrderType, raw_price
from bestbt.engine.portfolio import Portfolio
from bestbt.engine.ports import ContractSpec, Exchange, Feed, FeeModel, Market
from bestbt.engine.position import Position
from bestbt.engine.prices import PriceColumns
from bestbt.engine.settlement import intrinsic, mean_of_last, settlement_value
from bestbt.errors import (
    ContractNotFound,
    InvariantError,
    OrderError,
    StaleHandle,
    UsageError,
    did_you_mean,
)
from bestbt.units import MINUTE, POINTS, Money, Ns, Ordinal, Price, Qty, RawMoney, RawPrice, money

__all__ = ["Desk", "LogEntry"]

_MAX_WAIT = 5 * MINUTE  # a market entry waits this long for a live bar, or one bar if longer
_SETTLING = 30 * MINUTE  # a future settles each day on the mean of this last part of it
_TYPES = ("market", "slm")


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
        self.exchange: Exchange = SimulatedExchange(self.grid, slippage)
        self.orders: list[Order] = []
        self.log: list[LogEntry] = []
        self.dirty = False
        self._max_wait = max(_MAX_WAIT // self.grid.step, 1)  # bars
        self.why_none = "it is None"  # why the newest pick found nothing
        self.estimated: list[tuple[Contract, str]] = []  # settlements not on an official close
        self._contracts: dict[ContractSpec, Contract] = {}
        self._expiring: dict[date, list[Contract]] = {}  # not yet settled
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
                self._expiring.setdefault(spec.expiry, []).append(found)
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
        trigger: Price | None = None,
        sl: Price | str | None = None,
        tag: str = "",
    ) -> Order | None:
        """Place an order that opens or adds; see `Strategy.buy`."""
        verb = "buy" if side > 0 else "sell"
        if contract is None:
            self.note("refused", f"{verb}(None): {self.why_none}")
            return None
        units = self._units(verb, contract, lots, qty)
        if type not in _TYPES:
            raise OrderError(f"{verb}(type={type!r}): {did_you_mean(str(type), _TYPES)}")
        spec = contract.spec
        raw_trigger = 0
        if type == "slm":
            if not isinstance(trigger, int | float) or not trigger > 0:
                raise OrderError(f"{verb}(type='slm') needs trigger=, a price; got {trigger!r}.")
            raw_trigger = raw_price(trigger, spec.tick, spec.scale)
        elif trigger is not None:
            raise OrderError(f"{verb}(trigger={trigger!r}) goes with type='slm'.")
        level = None if sl is None else Level.parse(sl)
        until = self.clock.bar + self._max_wait if type == "market" else None
        return self._place(
            contract, side * units, type, "entry", tag, "day", raw_trigger, until, level
        )

    def _units(self, verb: str, contract: Contract, lots: int | None, qty: Qty | None) -> Qty:
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
        if (lots is None) == (qty is None):
            raise OrderError(f"{verb}({contract.name}): give lots= or qty= (units), one of them.")
        asked, unit = (lots, "lots") if lots is not None else (qty, "units")
        whole = type(asked) is int or (
            isinstance(asked, Real) and not isinstance(asked, bool) and asked % 1 == 0
        )
        if asked is None or not whole or asked <= 0:
            raise OrderError(f"{verb}({contract.name}): {asked!r} {unit}; whole and positive.")
        units = int(asked) * contract.lot if lots is not None else int(asked)
        if units % contract.lot:
            raise OrderError(
                f"{verb}({contract.name}): {units} units are no whole lots of {contract.lot}."
            )
        return units

    def _check_ours(self, verb: str, contract: Contract) -> None:
        if not isinstance(contract, Contract):
            raise OrderError(f"{verb}({contract!r}): a contract is needed.")
        if contract._desk is not self or self.clock.bar < -1:  # a rewound clock raises when read
            raise StaleHandle(
                f"{verb}({contract.name}): it belongs to another run, or to this one before it was "
                "rewound; ask the run for it anew."
            )

    def _place(
        self,
        contract: Contract,
        qty: Qty,
        type: OrderType,
        kind: OrderKind,
        tag: str,
        tif: Literal["day", "gtc"] = "day",
        trigger: RawPrice = 0,
        until: Ordinal | None = None,
        sl: Level | None = None,
        parent: int | None = None,
    ) -> Order:
        bar = self.clock.bar
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
            trigger=trigger,
            until=until,
            sl=sl,
            parent=parent,
            tif=tif,
            tag=tag,
        )
        self.orders.append(order)
        self.exchange.submit(order)
        self.dirty = True
        return order

    def exit(self, contract: Contract) -> Order | None:
        """Close what is held of a contract at its next live bar; None when nothing is."""
        self._check_ours("exit", contract)
        position = self.portfolio.positions.get(contract)
        if position is None:
            return None
        for order in self.exchange.working:
            if order.contract is contract and order.kind == "exit" and order.type == "market":
                return order  # one exit is on its way
        return self._place(
            contract, -position.qty, type="market", kind="exit", tif="gtc", tag=position.tag
        )

    def exit_all(self) -> None:
        """Close every open position at its next live bar; cancel entries still waiting."""
        for order in [o for o in self.exchange.working if not o.is_exit]:
            self.end(order, "cancelled", "exit_all")
        for contract in list(self.portfolio.positions):
            self.exit(contract)

    def end(self, order: Order, status: Any, reason: str) -> None:
        """Take a working order off the exchange."""
        self.exchange.remove(order)
        order.status, order.reason = status, reason
        self.dirty = True

    # What happened

    def execute(self, order: Order) -> Fill | None:
        """Book the trade of an order where it fires; None when an exit had nothing to close."""
        contract, point = order.contract, order.fire
        if point is None:
            raise InvariantError(f"{order} trades nowhere.")
        qty = order.left
        if order.is_exit:
            held = self.portfolio.positions.get(contract)
            open_qty = held.qty if held is not None else 0
            if open_qty * qty >= 0:
                self.end(order, "cancelled", "position is closed")
                return None
            qty = max(qty, -open_qty) if qty < 0 else min(qty, -open_qty)
        seen, slip, reason = (
            order.fire_price,
            self.exchange.slippage(order, point),
            order.fire_reason,
        )
        tick = contract.spec.tick  # nothing is sold for less
        price = seen + slip if qty > 0 else max(seen - slip, tick)
        fill = self._book(point, order, qty, price, abs(price - seen), reason, order.kind)
        self.exchange.remove(order)
        order.status, order.reason = "filled", reason
        if reason == "trigger-passed":
            at = f"{order.trigger / contract.spec.scale:g}"
            self.note(
                "trigger-passed",
                f"{contract.name}: the stop at {at} was already through when it began to work",
                order=order.id,
            )
        if self.exchange.working or order.sl is not None:
            self._after(order, fill)
        return fill

    def _book(
        self,
        point: int,
        order: Order,
        qty: Qty,
        price: int,
        slippage: int,
        reason: str,
        kind: OrderKind,
    ) -> Fill:
        contract = order.contract
        day = self.today
        if kind == "settlement":
            charges = self.fees.exercise(day, contract.spec, -qty, price)
        else:
            charges = self.fees.fill(day, contract.spec, qty, price)
        number = len(self.portfolio.fills)
        fill = Fill(
            number, point, order, contract, qty, price, slippage, reason, kind,
            dict(charges), self.grid,
        )  # fmt: skip
        self.portfolio.book(fill)
        self.dirty = True
        return fill

    def _after(self, order: Order, fill: Fill) -> None:
        """Keep exits no larger than what is held, and attach the stop of an entry."""
        contract = fill.contract
        held = self.portfolio.positions.get(contract)
        open_qty = held.qty if held is not None else 0
        for other in tuple(self.exchange.working):
            if other.contract is contract and other.is_exit and open_qty * other.qty >= 0:
                self.end(other, "cancelled", "position is closed")
        if order.kind != "stop" and self.exchange.working:
            self._shrink_brackets(fill)
        if order.sl is not None and open_qty * fill.qty > 0:
            spec, side = contract.spec, 1 if fill.qty > 0 else -1
            stop = self._place(
                contract,
                -side * min(abs(fill.qty), abs(open_qty)),
                type="slm",
                kind="stop",
                tif="gtc",
                tag=order.tag,
                trigger=order.sl.trigger(fill.raw_price, side, spec.tick, spec.scale),
                parent=fill.id,
            )
            stop.placed = fill.bar
            stop.since = stop.seen = fill.point  # it works from where its entry traded
            stop.start_price = order.fire_price

    def _shrink_brackets(self, fill: Fill) -> None:
        """Cut the stops of entries that another order than their stop has closed, oldest first."""
        for match in reversed(self.portfolio.matches):
            if match.exit is not fill:
                break
            for other in [o for o in self.exchange.working if o.parent == match.entry.id]:
                other.left += match.qty
                if not other.left:
                    self.end(other, "cancelled", "position is closed")

    def missed_expiry(self) -> bool:
        """Refuse orders in what expired since the last session; whether there is any."""
        missed = [e for e in self._expiring if e < self.today]
        for expiry in missed:
            for contract in self._expiring[expiry]:
                contract.is_expired = True
        return bool(missed)

    def settle(self, bar: Ordinal, before: date | None = None) -> list[Contract]:
        """Settle every contract that expires by the session of a bar; return those held.

        With *before*, only what should have settled before that day and could not.
        """
        day = before - timedelta(days=1) if before is not None else self.today
        due = [c for c in self.portfolio.positions if c.expiry is not None and c.expiry <= day]
        for contract in due:
            self._settle_one(contract, bar)
        for expiry in [e for e in self._expiring if e <= day]:
            for contract in self._expiring.pop(expiry):
                contract.is_expired = True
        for order in [o for o in self.exchange.working if o.contract.is_expired]:
            self.end(order, "lapsed", "contract expired")
        self.unsettled_from = day + timedelta(days=1)
        return due

    def _settle_one(self, contract: Contract, bar: Ordinal) -> None:
        position = self.portfolio.positions[contract]
        index = self.spot(contract.symbol)
        expiry = contract.expiry or self.today
        value = settlement_value(self.feed, self.market, index, expiry, bar)
        worth = intrinsic(contract.spec, value.raw, index.spec.scale)
        order = Order(
            len(self.orders),
            contract,
            -position.qty,
            type="market",
            kind="settlement",
            placed=bar,
            time=self.now,
            since=POINTS * bar + POINTS - 1,
            tag=position.tag,
        )
        order.status, order.reason = "filled", "settlement"
        self.orders.append(order)
        point = POINTS * bar + POINTS - 1
        self._book(point, order, -position.qty, worth, 0, "settlement", "settlement")
        self.note(
            "settlement",
            f"{contract.name} settled at {worth / contract.spec.scale:g} "
            f"({value.source} {index.symbol} {value.raw / index.spec.scale:g})",
            source=value.source,
            value=value.raw / index.spec.scale,
        )
        if value.source != "official":
            self.estimated.append((contract, value.source))

    def mark_to_market(self, bar: Ordinal) -> None:
        """Pay the day's profit of futures in cash, at the mean of their last half hour.

        Without a live bar in it: at the newest mark.
        """
        for contract, position in self.portfolio.positions.items():
            if contract.asset == "future" and contract.columns is not None:
                price = mean_of_last(self.grid, contract.columns, bar, _SETTLING)
                paid = position.mark_to_market(contract.mark if price is None else price)
                self.portfolio.pay(bar, "variation", position, paid, None)

    # Reading

    def position(self, contract: Contract) -> Position | None:
        """Return the open position in a contract."""
        self._check_ours("position", contract)
        return self.portfolio.positions.get(contract)

    def realized(self, contract: Contract) -> Money:
        """Realized profit in a contract, before charges."""
        self._check_ours("get_pnl", contract)
        return money(self.portfolio.realized_by.get(contract, 0))

    def unrealized(self, contract: Contract) -> Money:
        """Unrealized profit in a contract at its newest mark."""
        self._check_ours("get_pnl", contract)
        position = self.portfolio.positions.get(contract)
        return money(position.raw_unrealized) if position is not None else 0.0

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
