"""Clearing: what a trade does to the books and to the orders around it; settlement.

Positions and cash change here and nowhere else.
"""

from __future__ import annotations

from datetime import date, timedelta

from bestbt.engine.contract import Contract
from bestbt.engine.desk import Desk
from bestbt.engine.lots import whole_lots
from bestbt.engine.order import Brackets, Fill, Order, OrderKind, OrderType, Trail, made
from bestbt.engine.participation import Participation
from bestbt.engine.ports import Trade
from bestbt.engine.prices import PriceColumns
from bestbt.engine.settlement import intrinsic, mean_of_last, settlement_value
from bestbt.engine.touch import NEVER
from bestbt.errors import InvariantError, OrderError
from bestbt.units import MINUTE, POINTS, Ordinal, Point, Qty, RawPrice, money

__all__ = ["Clearing"]

# What becomes of each of an entry's brackets, in their order.
_EXITS: tuple[tuple[OrderType, OrderKind], ...] = (
    ("slm", "stop"),
    ("trail", "stop"),
    ("limit", "target"),
)
_SETTLING = 30 * MINUTE  # a future settles each day on the mean of this last part of it


class Clearing:
    """Books the trades and settlements of one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # (contract, bar) in which the assumed order of a bar's extremes decided between two exits
        self.ambiguous: set[tuple[Contract, Ordinal]] = set()

    # Trades

    def execute(self, trade: Trade) -> Fill | None:
        """Book a trade where it fires; None when nothing was traded.

        That is so of an exit with nothing left to close, and of a stop-limit whose price has run
        past its limit.
        """
        desk, order, point = self._desk, trade.order, trade.fire
        contract, exchange = order.contract, desk.exchange
        if point is None:
            raise InvariantError(f"{order} trades nowhere.")
        if trade.skips:
            self._skip(order, point)
            return None
        qty = order.left
        if order.is_exit:
            held = desk.portfolio.positions.get(contract)
            open_qty = held.qty if held is not None else 0
            if desk.lots.changed:
                open_qty = whole_lots(open_qty, contract.lot)
                # an entry's own exit takes whole each lot it reaches into: none is left unguarded
                qty = whole_lots(qty, contract.lot, up=order.parent is not None)
            if open_qty * qty >= 0:
                desk.end(order, "cancelled", "position is closed")
                return None
            # a stop or target of a whole position closes all that is held by now
            whole = order.parent is None and order.kind in ("stop", "target")
            if whole or abs(qty) > abs(open_qty):
                qty = -open_qty
        seen, slip = trade.price, exchange.slippage(trade, point)
        price = seen + slip if qty > 0 else seen - slip
        if qty < 0 and price < contract.spec.tick:  # nothing is sold for less
            price = contract.spec.tick
        if order.parent is not None and point % POINTS:
            self._note_ambiguous(order, point)
        if order.type == "trail":
            order.raw_trigger = exchange.level(order, point)
        reason = order.why or trade.reason
        fill = self._book(point, order, qty, price, abs(price - seen), reason, order.kind)
        exchange.remove(order)
        order.status, order.reason = "filled", reason
        if trade.reason == "trigger-passed":
            at = f"{order.raw_trigger / contract.spec.scale:.10g}"
            desk.note(
                "trigger-passed",
                f"{contract.name}: the stop at {at} was already through when it began to work",
                order=order.id,
            )
        columns = trade.columns
        if desk.participation is not None and columns is not None and columns.has_volume:
            self._note_large(fill, columns, desk.participation)
        if desk.combos and order.id in desk.combos:
            self._release(order, point)
        if desk.rolls and order.id in desk.rolls:
            self._rolled(order, fill)
        if exchange.working or order.brackets is not None:
            self._after(order, fill, trade)
        return fill

    def _book(
        self,
        point: Point,
        order: Order,
        qty: Qty,
        price: RawPrice,
        slippage: RawPrice,
        reason: str,
        kind: OrderKind,
    ) -> Fill:
        desk, contract, portfolio = self._desk, order.contract, self._desk.portfolio
        if kind == "settlement":
            charges = desk.fees.exercise(desk.today, contract.spec, -qty, price)
        else:
            charges = desk.fees.fill(desk.today, contract.spec, qty, price)
        number = len(portfolio.fills)
        fill = made(Fill, (
            number, point, order, contract, qty, price, slippage, reason, kind, {**charges},
            desk.grid,
        ))  # fmt: skip
        portfolio.book(fill)
        desk.dirty = True
        return fill

    def _skip(self, order: Order, point: Point) -> None:
        desk = self._desk
        order.skipped = True
        desk.exchange.rest(order, point)
        desk.note(
            "stop-skipped",
            f"{order.contract.name}: the price ran from the trigger at {order.trigger:.10g} past "
            f"the limit at {order.price:.10g}; the limit goes on working",
            order=order.id,
        )

    def _note_large(self, fill: Fill, columns: PriceColumns, most: Participation) -> None:
        """Log a fill that is more than its share of what its bar has traded."""
        traded = columns.volume
        volume = 0 if traded is None else traded.item(fill.bar - columns.first)
        if most.exceeded_by(fill.qty, volume):
            self._desk.note(
                "large-fill",
                f"{fill.contract.name}: {abs(fill.qty)} of {volume} units that its bar has traded",
                order=fill.order.id,
                volume=volume,
            )

    def _note_ambiguous(self, order: Order, point: Point) -> None:
        """Count a bar whose other extreme would have filled the other exit of the same entry."""
        desk, contract = self._desk, order.contract
        columns = contract._prices
        if columns is None or columns.quoted:
            return
        at = POINTS * (point // POINTS - columns.first)
        low, high = sorted(columns.points[at + 1 : at + 3].tolist())
        for other in desk.exchange.working:
            other_way = (other.type == "limit") != (order.type == "limit")
            sibling = other.parent == order.parent and other_way
            if sibling and low <= desk.exchange.level(other, point) <= high:
                self.ambiguous.add((contract, point // POINTS))

    def _after(self, order: Order, fill: Fill, trade: Trade) -> None:
        """Keep exits no larger than what is held, and attach the brackets of an entry."""
        desk, contract, qty = self._desk, order.contract, fill.qty
        working = desk.exchange.working
        held = desk.portfolio.positions.get(contract)
        open_qty = held.qty if held is not None else 0
        if desk.lots.changed:
            open_qty = whole_lots(open_qty, contract.lot)
        for other in tuple(working):
            if other.contract is contract and other.is_exit and open_qty * other.qty >= 0:
                desk.end(other, "cancelled", "position is closed")
        if working:
            if order.parent is not None:  # a lot's own exit: the stops of older lots stay
                self._shrink(order.parent, qty)
            else:
                self._shrink_closed(fill)
        if order.brackets is not None and open_qty * qty > 0:
            self._attach(order, order.brackets, fill, trade, min(abs(qty), abs(open_qty)))

    def _shrink_closed(self, fill: Fill) -> None:
        """Cut the brackets of entries that a fill has closed."""
        matches = self._desk.portfolio.matches
        at = len(matches) - 1
        while at >= 0 and matches[at].exit is fill:
            self._shrink(matches[at].entry.id, -matches[at].qty)
            at -= 1

    def _shrink(self, entry: int, qty: Qty) -> None:
        """Cut what brackets of an entry would still trade by what has been traded for them."""
        desk = self._desk
        for other in [o for o in desk.exchange.working if o.parent == entry]:
            other.left -= qty
            if other.left * qty <= 0:
                desk.end(other, "cancelled", "position is closed")

    def _attach(
        self, order: Order, brackets: Brackets, fill: Fill, trade: Trade, size: Qty
    ) -> None:
        """Place the exits of an entry's fill; they work from where it traded."""
        desk, contract, point = self._desk, order.contract, fill.point
        side, entry, spec = (1 if fill.qty > 0 else -1), fill.raw_price, contract.spec
        quoted = trade.columns is not None and trade.columns.quoted
        for (type, kind), level in zip(_EXITS, brackets, strict=True):
            if level is None:
                continue
            exit = Order(
                len(desk.orders), contract, -side * size, type, kind, point // POINTS,
                desk.moment(), point + quoted, order.tag, "gtc",
            )  # fmt: skip
            target = kind == "target"
            price = level.away(entry, -side if target else side, spec.tick, spec.scale)
            if target:
                exit.raw_price = price
            else:
                exit.raw_trigger = price
            if type == "trail":
                exit.trail = Trail(level, entry)
            exit.level, exit.parent = level, fill.id
            exit.start_price = None if quoted else trade.price
            desk.send(exit)

    # Combos

    def _release(self, order: Order, point: Point) -> None:
        """Let a combo's sales work from where the last of its purchases has traded."""
        desk = self._desk
        combo = desk.combos.pop(order.id)
        combo.filled.append(order)
        held = desk.portfolio.positions.get(order.contract)
        if held is not None and held.qty * order.qty > 0:
            combo.opened.add(order.id)
        if order.qty > 0 and not combo.waits:
            for other in combo.orders:
                if other.status == "working" and other.since > point:
                    columns = other.contract._prices
                    anywhere = desk.fill_at_close or (columns is not None and columns.quoted)
                    other.since = point if anywhere else -(-point // POINTS) * POINTS
                    desk.exchange.renew(other)

    # Rolls

    def _rolled(self, order: Order, fill: Fill) -> None:
        """Count a leg of a roll; when both have traded, hand the chain's profit on and log it."""
        desk = self._desk
        roll = desk.rolls.pop(order.id)
        roll.charges += sum(fill.raw_charges.values())
        roll.slippage += abs(fill.qty) * fill.raw_slippage * order.contract.factor
        new = roll.enter
        if order is roll.leave and abs(fill.qty) < abs(order.qty):  # a part was closed meanwhile
            lots = abs(fill.qty) // order.contract.lot
            new.left = lots * new.contract.lot * (1 if new.qty > 0 else -1)
        if roll.leave.id in desk.rolls or new.id in desk.rolls:
            return
        entered = desk.portfolio.positions.get(new.contract)
        if entered is not None:
            entered.rolled_by = roll.by
            entered.raw_carried += roll.position.raw_carried + roll.position.raw_realized
        desk.note(
            "rolled",
            f"{roll.leave.contract.name} to {new.contract.name}",
            charges=money(roll.charges),
            slippage=money(roll.slippage),
            order=new.id,
        )

    # Waiting

    def wait_is_over(self, order: Order, bar: Ordinal) -> bool:
        """End what found no live price in its time; whether that was a rejection.

        A combo that will not be whole is undone; of a roll the old leg goes on alone.
        """
        desk = self._desk
        if order.status != "working":  # it ended with the other leg of its roll
            return order.status == "rejected"
        roll = desk.rolls.get(order.id)
        if roll is not None:  # the old leg comes first; the new one is told of below
            desk.part(roll, "rejected", "no bar in which both legs of the roll could trade")
            return False
        why = "no live price" if order.since < NEVER else "what the combo buys was not bought"
        desk.end(order, "rejected", f"{why} in {bar - order.placed} bars")
        desk.note("rejected", f"{order.contract.name}: {order.reason}", order=order.id)
        combo = desk.combos.pop(order.id, None)
        if combo is not None:
            desk.undo(combo)
        return True

    # Expiries

    def missed_expiry(self) -> bool:
        """Refuse orders in what expired since the last session; whether there is any."""
        desk = self._desk
        missed = [e for e in desk.expiring if e < desk.today]
        for expiry in missed:
            for contract in desk.expiring[expiry]:
                contract.is_expired = True
        return bool(missed)

    def settle(self, bar: Ordinal, before: date | None = None) -> list[Contract]:
        """Settle every contract that expires by the session of a bar; return those held.

        With *before*, only what should have settled before that day and could not.
        """
        desk = self._desk
        day = before - timedelta(days=1) if before is not None else desk.today
        held, due = desk.portfolio.positions, []
        if held:
            due = [c for c in held if c.expiry is not None and c.expiry <= day]
        for contract in due:
            self._settle_one(contract, bar)
        for expiry in [e for e in desk.expiring if e <= day]:
            for contract in desk.expiring.pop(expiry):
                contract.is_expired = True
        for order in tuple(desk.exchange.working):
            # It may have ended with the other leg of its roll.
            if order.contract.is_expired and order.status == "working":
                desk.end(order, "lapsed", "contract expired")
        desk.unsettled_from = day + timedelta(days=1)
        return due

    def _settle_one(self, contract: Contract, bar: Ordinal) -> None:
        desk = self._desk
        position = desk.portfolio.positions[contract]
        index = desk.spot(contract.symbol)
        expiry = contract.expiry or desk.today
        if desk.delivery(contract):
            raise OrderError(
                f"{contract.name}: {position.qty:+} units are held into its expiry on {expiry}. "
                "Options and futures of shares settle in shares, which is not played: exit or roll "
                "what is held by that day's last bar."
            )
        value = settlement_value(desk.feed, desk.market, index, expiry, bar)
        worth = intrinsic(contract.spec, value.raw, index.spec.scale)
        number, point = len(desk.orders), POINTS * bar + POINTS - 1
        order = Order(
            number, contract, -position.qty, "market", "settlement", bar, desk.now, point,
            position.tag,
        )  # fmt: skip
        order.status, order.reason = "filled", "settlement"
        desk.orders.append(order)
        self._book(point, order, -position.qty, worth, 0, "settlement", "settlement")
        desk.note(
            "settlement",
            f"{contract.name} settled at {worth / contract.spec.scale:.10g} "
            f"({value.source} {index.symbol} {value.raw / index.spec.scale:.10g})",
            source=value.source,
            value=value.raw / index.spec.scale,
        )
        if value.source != "official":
            desk.estimated.append((contract, value.source))

    def close_out(self, bar: Ordinal) -> None:
        """Close everything at its newest mark: the run ends, and wants nothing held."""
        desk, point = self._desk, POINTS * bar + POINTS - 1
        for contract, position in list(desk.portfolio.positions.items()):
            if not position.whole_qty:
                continue
            number, qty = len(desk.orders), -position.whole_qty
            order = Order(
                number, contract, qty, "market", "exit", bar, desk.now, point, position.tag
            )
            order.status, order.reason = "filled", "square-off"
            desk.orders.append(order)
            self._book(point, order, order.qty, contract.mark, 0, "square-off", "exit")
        while desk.exchange.working:  # a combo that ends unfinished leaves what it has bought
            desk.end(desk.exchange.working[0], "lapsed", "end of the run")

    def mark_to_market(self, bar: Ordinal) -> None:
        """Pay the day's profit of futures in cash, at the day's settlement price.

        That is the stored one, else the mean of their last half hour, else, without a live bar
        in it, their newest mark.
        """
        desk, day = self._desk, self._desk.today
        for contract, position in desk.portfolio.positions.items():
            if contract.asset != "future" or contract._prices is None:
                continue
            price, source = desk.feed.settlement_price(contract.spec, day), "official"
            if price is None:
                price = mean_of_last(desk.grid, contract._prices, bar, _SETTLING)
                source = "estimated"
            if price is None:
                price, source = contract.mark, "mark"
            paid = position.mark_to_market(price)
            desk.portfolio.pay(bar, "variation", position, paid, None)
            value = price / contract.spec.scale
            desk.note(
                "variation",
                f"{contract.name} settled for the day at {value:.10g} ({source})",
                source=source,
                value=value,
            )
