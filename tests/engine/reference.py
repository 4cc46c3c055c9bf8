"""A slow, obviously right engine, written from the rules alone.

It goes bar by bar and, in a bar, price point by price point, with integers and fractions. It keeps
nothing it could look up again, jumps over nothing, and shares no code with the engine. When an
order trades is in `reference_matching`, what it owns in `reference_books`; here are the clock, the
hooks and the orders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from tests.engine.programs import (
    BLOCKS,
    FITS,
    PLAIN,
    TAGS,
    TIMES,
    Action,
    Actions,
    Level,
    Program,
    Rules,
    expiry_of,
)
from tests.engine.reference_books import Books, Position, RefFill
from tests.engine.reference_matching import (
    NEVER,
    TICK,
    Combo,
    RefOrder,
    Roll,
    Terms,
    Trade,
    away,
    half_up,
    look,
    to_tick,
)
from tests.engine.worlds import IST, Option, World

MIN = 60 * 10**9


class Refused(Exception):
    """An `OrderError`, or another error by its name."""


class Block(NamedTuple):
    """No entry with a tag (None: with any) until a session opens or an expiry has settled."""

    by_symbol: bool
    tag: str | None
    opens: int | None = None  # number of a session
    settles: date | None = None

    def covers(self, tag: str) -> bool:
        return self.tag in (None, tag)


def relative(terms: Terms | None) -> Terms | None:
    """Terms that can be measured from another price as well."""
    return None if terms is None or terms[0] == "price" else terms


@dataclass
class Reference(Books):
    """Plays a program over a world; afterwards `fills`, `orders`, `seen`, `equity` tell."""

    world: World
    program: Program
    slippage: str = "0"
    fill_at_close: bool = False
    rules: Rules = PLAIN
    charged: bool = True
    orders: list[RefOrder] = field(default_factory=list)
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[tuple[Any, ...]] = field(default_factory=list)
    equity: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)  # bars in which a stop-limit was
    large: list[tuple[int, int]] = field(default_factory=list)  # fills: bar, order
    ambiguous: set[tuple[int, str]] = field(default_factory=set)
    blocked: list[tuple[bool, ...]] = field(default_factory=list)  # at each hook
    carried: list[tuple[tuple[str, int], ...]] = field(default_factory=list)
    log: list[tuple[int, str]] = field(default_factory=list)  # of rolls: bar, kind

    def run(self) -> Reference:
        w = self.world
        self.open_books()
        self.bar = -1
        self.expired_before = w.days[0].date  # contracts of earlier expiries are settled
        self.blocks: list[Block] = []
        self.starts: list[int] = []
        self.closing = False  # the bar's close has been traded
        for day in w.days:
            for minute, bars in day.parts:
                midnight = self.midnight(day.date)
                self.starts += [midnight + (minute + i * w.step) * MIN for i in range(bars)]
        at = 0
        for number, day in enumerate(w.days):
            n = sum(bars for _, bars in day.parts)
            self.session(number, day.date, range(at, at + n))
            at += n
        before = len(self.orders)
        self.act("over", self.program.over)
        for order in self.orders[before:]:  # no bar comes any more
            if order.status == "working":
                self.end(order, "cancelled")
        return self

    # Facts

    def midnight(self, day: date) -> int:
        moment = datetime.combine(day, time(0), IST)
        return int(moment.timestamp()) * 10**9

    def quad(self, option: Option, bar: int) -> Any:
        return option.bars[bar] if bar < self.world.n else None

    def last_price(self, bars: Any) -> int | None:
        for i in range(self.bar, -1, -1):
            if bars[i] is not None:
                return int(bars[i][3])
        return None

    def age(self, option: Option) -> int | None:
        for i in range(self.bar, -1, -1):
            if option.bars[i] is not None:
                return self.bar - i
        return None

    def listed(self, option: Option) -> bool:
        if option.dead:
            return self.bar >= 0
        return self.last_price(option.bars) is not None

    def lot(self, option: Option) -> int:
        """Units in a lot, today."""
        if option.relot is not None and self.today < option.relot[0]:
            return option.relot[1]
        return option.lot

    def whole(self, option: Option, qty: int) -> int:
        """The part of signed units that is whole lots today."""
        lots = abs(qty) // self.lot(option)
        return lots * self.lot(option) * (1 if qty > 0 else -1)

    # A session

    def session(self, number: int, day: date, bars: range) -> None:
        w = self.world
        self.last_of_today = bars[-1]
        self.today, self.number = day, number
        opened, closed = self.starts[bars[0]], self.starts[bars[-1]] + w.step * MIN
        self.opened = opened
        missed = self.expired_before < day
        self.expired_before = max(self.expired_before, day)
        self.now, self.closing = opened, True
        self.blocks = [b for b in self.blocks if b.opens is None or b.opens > number]
        self.change_lots()
        self.act("start", self.program.starts.get(number, ()))
        due = self.due(day, opened, closed)
        for name, moment, actions in due:
            if moment == opened:
                self.act(name, actions)
        for bar in bars:
            end = self.starts[bar] + w.step * MIN
            self.bar, self.now = bar, end
            self.closing = False
            self.match(bar)
            for name, moment, actions in due:
                fresh = bar == bars[0] or self.starts[bar - 1] + w.step * MIN < moment
                if opened < moment < closed and fresh and moment <= end:
                    self.act(name, actions)
            if self.program.bars is not None:
                self.act("bar", self.program.bars.get(bar, ()))
            if bar == bars[-1]:
                self.act("end", self.program.ends.get(number, ()))
            self.closing = True
            if self.fill_at_close:
                self.match(bar)
            if missed and bar == bars[0]:
                self.settle(day - timedelta(days=1))
            if bar == bars[-1]:
                self.settle(day)
                for order in self.working():
                    if self.lapses(order, number):
                        self.lapse(order)
                self.round_taxes()
            self.equity.append(self.worth())

    def change_lots(self) -> None:
        """See to what is no whole lot any more, on the first day of another lot."""
        days = [day.date for day in self.world.days]
        changed = [
            o for o in self.world.options
            if o.relot is not None and self.number and o.relot[0] <= self.today <= o.expiry
            and days[self.number - 1] < o.relot[0] and self.lot(o) != o.relot[1]
        ]  # fmt: skip
        working = [o for o in self.working() if o.option in changed]
        for order in working:
            held = self.qty(order.option)
            if order.status == "working" and not order.opens and not self.whole(order.option, held):
                self.end(order, "cancelled")
        self.take_back([o for o in working if o.opens and self.whole(o.option, o.qty) != o.qty])
        for option in self.held:
            if option in changed and self.whole(option, self.qty(option)) != self.qty(option):
                self.log.append((self.bar, "odd-lot"))

    def lapse(self, order: RefOrder) -> None:
        if order.status != "working":  # it has ended with its fellow leg
            return
        self.end(order, "lapsed")
        if order.mates is not None:
            self.give_back(order.mates)

    def lapses(self, order: RefOrder, number: int) -> bool:
        """Whether an order ends with a session."""
        if order.tif == "day":
            return order.first_since // 4 <= self.bar
        if order.last_day is None:
            return False
        return all(order.last_day < day.date for day in self.world.days[number + 1 :])

    def due(self, day: date, opened: int, closed: int) -> list[tuple[str, int, Actions]]:
        out = []
        for i, text in enumerate(TIMES):
            if text == "open":
                moment = opened
            elif text.startswith("open+"):
                moment = opened + int(text[5:-3]) * MIN
            elif text.startswith("close-"):
                moment = closed - int(text[6:-3]) * MIN
            else:
                moment = self.midnight(day) + (int(text[:2]) * 60 + int(text[3:])) * MIN
            out.append((f"t{i}", moment, self.program.times[i]))
        return out

    def settle(self, until: date) -> None:
        """Settle what expires by a day; contracts of that day are expired from here on."""
        gone = []
        for option in [o for o in self.held if o.expiry <= until]:
            value = self.settlement_value(option.expiry)
            strike = option.strike * 100
            worth = max(value - strike if option.right == "CE" else strike - value, 0)
            qty = self.qty(option)
            order = self.place(option, -qty, "market", "settlement", since=4 * self.bar + 3)
            order.status = "filled"
            point = 4 * self.bar + 3
            self.book(RefFill(point, order, -qty, worth, 0, "settlement", "settlement"))
            gone.append(option)
        self.expired_before = until + timedelta(days=1)
        self.blocks = [b for b in self.blocks if b.settles is None or b.settles > until]
        for order in self.working():
            if order.option.expiry <= until:
                self.lapse(order)
        for option in gone:
            name = str(option.spec)
            self.act(f"expiry {name}", self.program.expiry)

    def settlement_value(self, expiry: date) -> int:
        w = self.world
        if expiry in w.official:
            return w.official[expiry]
        if expiry < self.today:  # that day is not in the data: the first value after it
            here = w.index[self.bar]
            return here[0] if here is not None else self.last_price(w.index) or 0
        how, minutes = w.rule
        today = [i for i in range(self.bar + 1) if self.starts[i] >= self.opened and w.index[i]]
        if how == "after":
            after = self.midnight(self.today) + minutes * MIN
            for i in today:
                bar = w.index[i] or (0, 0, 0, 0)
                if self.starts[i] >= after:
                    return bar[0]
                if self.starts[i] + w.step * MIN > after:  # of this bar only the end is after it
                    return bar[3]
        begins = self.starts[self.bar] + (w.step - minutes) * MIN
        bars = [w.index[i] for i in today if self.starts[i] + w.step * MIN > begins]
        return half_up(Fraction(sum(sum(b) for b in bars if b), 4 * len(bars)))

    # Hooks

    def look(self, hook: str) -> None:
        prices = tuple(self.last_price(o.bars) for o in self.world.options if o.listed)
        held = tuple(sorted((str(o.spec), self.qty(o)) for o in self.held))
        working = tuple(o.id for o in self.working())
        gains = tuple(self.gains(tag) for tag in (None, *TAGS))
        by_name = sorted(self.held, key=lambda o: str(o.spec))
        tags = "", *(self.tag(o) for o in by_name)
        self.blocked.append(tuple(any(b.covers(tag) for b in self.blocks) for tag in tags))
        of = [(str(o.spec), self.positions[o]) for o in by_name]
        self.carried.append(tuple((name, p.carried + p.realized) for name, p in of))
        self.seen.append((hook, self.bar, self.now, self.worth(), prices, held, working, gains))

    def act(self, hook: str, actions: Actions) -> None:
        self.look(hook)
        for action in actions:
            try:
                self.one(action)
            except Refused as error:
                self.refused.append((self.bar, action.verb, str(error)))

    def one(self, a: Action) -> None:
        if a.verb == "exit_all":
            for order in self.working():
                if order.opens:
                    self.end(order, "cancelled")
            for option in list(self.held):
                self.exit(option)
        elif a.verb == "cancel_all":
            for order in self.working():
                if order.status == "working":
                    self.end(order, "cancelled")
        elif a.verb in ("straddle", "strangle"):
            self.both(a)
        elif a.verb == "combo":
            self.combo([(self.pick(which), side * lots) for which, side, lots in a.legs], a)
        elif a.verb == "cancel_order":
            self.end(self.order(a), "cancelled")
        elif a.verb == "modify_order":
            self.modify(a)
        elif a.verb == "unblock":
            self.unblock(*a.scope)
        elif a.verb == "deactivate_positions":
            self.deactivate(a.scope[1])
        elif a.verb in BLOCKS:
            self.block(a)
        elif a.verb == "roll":
            self.roll(a, self.pick(a.option))
        else:
            self.trade(a, self.pick(a.option))

    def trade(self, a: Action, option: Option) -> None:
        qty = self.qty(option)
        if a.verb in ("buy", "sell"):
            self.enter(option, 1 if a.verb == "buy" else -1, a, a.tag)
        elif a.verb == "exit":
            self.exit(option)
        elif qty and a.verb == "add":
            self.enter(option, 1 if qty > 0 else -1, a, self.tag(option))
        elif qty:
            self.protect(option, a)

    def both(self, a: Action) -> None:
        """Sell the call and the put at the money, one by one or together."""
        found = []
        for right in ("CE", "PE"):
            ahead = [o.expiry for o in self.world.options if o.expiry >= self.expired_before]
            if not ahead:
                raise Refused("ExpiryNotFound")
            found.append(self.atm(min(ahead), right))
        if a.verb == "straddle":
            for option in found:
                if option is not None:
                    self.enter(option, -1, a, a.tag)
        elif found[0] is not None and found[1] is not None:
            self.combo([(option, -a.lots) for option in found if option is not None], a)

    def pick(self, which: int) -> Option:
        option = self.world.options[which % len(self.world.options)]
        if not self.listed(option):
            raise Refused("ContractNotFound")
        return option

    def atm(self, expiry: date, right: str) -> Option | None:
        rows = [o for o in self.world.options if o.expiry == expiry and self.listed(o)]
        spot = self.reference(expiry)
        if not rows or spot is None:
            return None
        strike = min({o.strike for o in rows}, key=lambda k: (abs(k * 100 - spot), k))
        for option in rows:
            if option.strike == strike and option.right == right:
                return option if self.is_fresh(option) else None
        return None

    def is_fresh(self, option: Option) -> bool:
        """Whether its price is at most five bars old, and of the newest bar's session."""
        age, day = self.age(option), 0
        for session in self.world.days:
            n = sum(bars for _, bars in session.parts)
            if day <= self.bar < day + n:
                return age is not None and age <= 5 and self.bar - age >= day
            day += n
        return False

    def reference(self, expiry: date) -> int | None:
        """The index; while it is frozen the synthetic future, if there is one."""
        spot = self.last_price(self.world.index)
        if spot is None or self.world.index[self.bar] is not None:
            return spot
        rows = [o for o in self.world.options if o.expiry == expiry and self.listed(o)]
        return self.synthetic(rows) or spot

    def synthetic(self, rows: list[Option]) -> int | None:
        found = []
        for strike in {o.strike for o in rows}:
            both = [
                o for right in ("CE", "PE") for o in rows if (o.strike, o.right) == (strike, right)
            ]
            if len(both) == 2 and all(self.is_fresh(o) for o in both):
                call, put = (self.mark(o) for o in both)
                found.append((abs(call - put), strike, strike * 100 + call - put))
        value = min(found)[2] if found else 0
        return value if value > 0 else None

    # Orders

    def working(self) -> list[RefOrder]:
        return [o for o in self.orders if o.status == "working"]

    def order(self, a: Action) -> RefOrder:
        """Return the order that is to be changed."""
        orders = self.orders if a.ended else self.working()
        if a.back >= len(orders) or orders[-1 - a.back].status != "working":
            raise Refused("OrderError")
        return orders[-1 - a.back]

    def end(self, order: RefOrder, status: str, barred: bool = False) -> None:
        """An order is over without a fill; of a roll, see to the other leg.

        What is entered may not be (it is barred) or cannot be (rejected): then the old leg goes on
        alone. Whoever takes one leg back takes back the roll.
        """
        order.status, roll = status, order.roll
        if roll is None:
            return
        if order is roll.leave:
            if roll.enter.status == "working":
                roll.enter.status = "cancelled"
        elif roll.leave.status == "working" and not (barred or status == "rejected"):
            roll.leave.status = "cancelled"
        elif roll.leave.status == "working":
            roll.leave.roll = None  # alone from here on
            self.log.append((self.bar, "roll-incomplete"))
            if roll.keep:
                roll.leave.status = "cancelled"
            else:
                roll.leave.start_over(4 * (self.bar + 1))

    def place(self, option: Option, qty: int, type: str, kind: str, **terms: Any) -> RefOrder:
        order = RefOrder(len(self.orders), self.now, option, qty, type, kind, **terms)
        self.orders.append(order)
        return order

    def next_point(self, type: str) -> int:
        """First price point at which an order placed now can trade."""
        if self.fill_at_close and type == "market" and not self.closing:
            return 4 * self.bar + 3
        return 4 * (self.bar + 1)

    def until(self) -> int:
        """Bar with whose end the wait of a market entry is over."""
        return self.bar + max(5 // self.world.step, 1)

    def price(self, option: Option | None, offset: int, beyond: int = 0) -> int:
        """A price some ticks from the one seen."""
        seen = self.last_price(option.bars) if option is not None else None
        trigger = max((100 if seen is None else seen) + offset * TICK, TICK)
        return max(trigger + beyond * TICK, TICK)

    def terms(self, level: Level | None, option: Option, priced: bool = True) -> Terms | None:
        """A bracket as it is measured once its entry has traded."""
        if level is None or (level.unit == "seen" and not priced):
            return None
        if level.unit == "seen":
            return "price", Fraction(self.price(option, int(level.value)))
        return "pts" if level.unit == "number" else level.unit, Fraction(level.value)

    def check_tradable(self, option: Option) -> None:
        if option.expiry < self.expired_before:
            raise Refused("OrderError")

    def enter(self, option: Option, side: int, a: Action, tag: str) -> None:
        self.check_tradable(option)
        last_day = self.today + timedelta(days=a.days) if a.tif == "gtd" else None
        if last_day is not None and last_day < self.today:
            raise Refused("OrderError")
        if a.type == "market" and a.tif != "day":
            raise Refused("OrderError")
        beyond = a.beyond if a.type == "sl" else 0
        triggered, limited = a.type in ("sl", "slm"), a.type in ("sl", "limit")
        priced = a.verb != "straddle"
        if self.barred(option, tag):
            return
        if last_day == self.today and self.bar == self.last_of_today:
            raise Refused("OrderError")  # no bar of that day is left
        self.place(
            option,
            side * a.lots * self.lot(option),
            a.type,
            "entry",
            since=self.next_point(a.type),
            trigger=self.price(option, a.offset) if triggered else 0,
            price=self.price(option, a.offset, beyond) if limited else 0,
            until=self.until() if a.type == "market" else None,
            sl=self.terms(a.sl, option, priced),
            target=self.terms(a.target, option, priced),
            trail=self.terms(a.trail, option, priced),
            tif=a.tif,
            last_day=last_day,
            tag=tag,
        )

    def combo(self, legs: list[tuple[Option, int]], a: Action) -> None:
        """Order legs together: buys first; sells wait for them unless all trade at once."""
        if len({option for option, _ in legs}) < max(len(legs), 2):
            raise Refused("OrderError")
        for option, _ in legs:
            self.check_tradable(option)
        if any(self.barred(option, a.tag) for option, _ in legs):
            return
        mates = Combo([], a.atomic)
        bought = [leg for leg in legs if leg[1] > 0]
        for option, lots in bought + [leg for leg in legs if leg[1] < 0]:
            waits = lots < 0 and bool(bought) and not a.atomic
            since = self.next_point("limit" if a.atomic else "market")  # atomic: at an open
            leg = self.place(option, lots * self.lot(option), "market", "entry", since=since,
                             until=self.until(), tif="day", tag=a.tag, mates=mates)  # fmt: skip
            if waits:
                leg.start_over(NEVER)
            mates.legs.append(leg)

    def release(self, mates: Combo, point: int) -> None:
        """Let the sells of a combo work once all of its buys have traded."""
        if all(leg.status == "filled" for leg in mates.legs if leg.buys):
            for leg in mates.legs:
                if leg.since == NEVER:
                    at_open = not self.fill_at_close and leg.option.quotes is None
                    leg.start_over(-(-point // 4) * 4 if at_open else point)

    def modify(self, a: Action) -> None:
        order = self.order(a)
        fits = set(FITS.get(order.type, ()))
        given = set(a.terms) - {"fit"} | (fits if "fit" in a.terms else set())
        if order.skipped:
            fits = {"price"}
        if order.kind == "entry" and fits:
            fits.add("lots")
        if not given or not given <= fits:
            raise Refused("OrderError")
        order.said = None  # a price is what it is now
        order.changes.append((self.now, order.trigger, order.price, order.asked))
        if "trigger" in given:
            order.trigger = self.price(order.option, a.offset)
        if "price" in given:
            order.price = self.price(order.option, a.offset, a.beyond)
        if "lots" in given:
            order.qty = order.asked = (1 if order.buys else -1) * a.lots * self.lot(order.option)
        order.start_over(4 * (self.bar + 1))

    def exit(self, option: Option) -> None:
        qty = self.whole(option, self.qty(option))
        on_its_way = [
            o for o in self.working()
            if o.option == option and o.kind == "exit" and o.type == "market"
        ]  # fmt: skip
        rest = -qty - sum(self.whole(option, o.qty) for o in on_its_way if not o.opens)
        if rest * qty < 0:  # what is not leaving already
            self.place(option, rest, "market", "exit", since=self.next_point("market"))

    def protect(self, option: Option, a: Action) -> None:
        """Put one stop, or one target, in the place of all there are of a position."""
        if not self.whole(option, self.qty(option)):
            return
        kind = "stop" if a.verb == "set_sl" else "target"
        for other in self.working():
            if other.option == option and other.kind == kind:
                self.end(other, "cancelled")
        if a.level is None:
            return
        qty, terms = self.qty(option), None
        cost = Fraction(self.cost(None, option), 100 * qty)
        if a.level.unit == "cost":
            level = max(to_tick(cost), TICK)
        else:
            terms = self.terms(a.level, option)
            assert terms is not None
            level = away(terms, cost, 1 if qty > 0 else -1, favourable=kind == "target")
        stops = kind == "stop"
        self.place(
            option, -self.whole(option, qty), "slm" if stops else "limit", kind, whole=True,
            since=4 * (self.bar + 1),
            trigger=level if stops else 0, price=0 if stops else level, said=relative(terms),
        )  # fmt: skip

    # Blocks

    def barred(self, option: Option, tag: str) -> bool:
        """Whether an entry is refused: by a block, or because its position is left alone."""
        position = self.positions.get(option)
        frozen = position is not None and position.frozen
        return frozen or any(block.covers(tag) for block in self.blocks)

    def block(self, a: Action) -> None:
        by_symbol, tag = a.scope
        if a.verb == "block_till_monthly_expiry":
            ahead = [e for e in self.world.monthly if e >= self.expired_before]
            if not ahead:
                raise Refused("ExpiryNotFound")
            block = Block(by_symbol, tag, settles=min(ahead))
        else:
            block = Block(by_symbol, tag, opens=self.session_after(a))
        self.blocks.append(block)
        if a.close:
            for option in list(self.held):
                if block.covers(self.tag(option)):
                    self.exit(option)
        self.take_back([o for o in self.working() if o.opens and block.covers(o.tag)])

    def session_after(self, a: Action) -> int:
        """The number of the session with which a block is over; it may be behind the data."""
        days = [day.date for day in self.world.days]
        if a.verb == "block_for_day":
            return self.number + 1
        if a.verb == "block_for_n_days":
            return self.number + a.lots
        for number in range(self.number + 1, len(days)):
            day, today = days[number], self.today
            if a.verb == "block_this_week":
                over = day.isocalendar()[:2] != today.isocalendar()[:2]
            else:
                over = (day.year, day.month) != (today.year, today.month)
            if over:
                return number
        return len(days)

    def take_back(self, entries: list[RefOrder]) -> None:
        """Cancel entries, and undo the combos they are of."""
        for order in entries:
            if order.status == "working":
                self.end(order, "cancelled", barred=True)
        for mates in dict.fromkeys(o.mates for o in entries if o.mates is not None):
            self.dissolve(mates)

    def unblock(self, by_symbol: bool, tag: str | None) -> None:
        self.blocks = [
            b for b in self.blocks
            if (by_symbol and not b.by_symbol) or (tag is not None and b.tag != tag)
        ]  # fmt: skip
        for option, position in self.positions.items():
            if tag in (None, self.tag(option)):
                position.frozen = False

    def deactivate(self, tag: str | None) -> None:
        """Leave positions to their stops."""
        frozen = [o for o in self.held if tag in (None, self.tag(o))]
        for option in frozen:
            self.positions[option].frozen = True
        ours = [o for o in self.working() if o.option in frozen and o.kind != "stop"]
        for order in ours:
            if not order.opens and order.status == "working":
                self.end(order, "cancelled", barred=True)
        self.take_back([o for o in ours if o.opens and o.status == "working"])

    # Rolls

    def roll(self, a: Action, option: Option) -> None:
        if self.held and option not in self.held:
            option = list(self.held)[-1]
        to = None
        if a.to == "contract":
            to = self.pick(self.world.options.index(option) + a.back)
        qty = self.qty(option)
        if not qty or self.positions[option].frozen:
            return
        if any(o.option == option and o.roll is not None and not o.opens for o in self.working()):
            return
        tag = self.tag(option)
        if self.barred(option, tag):
            self.exit(option)
            return
        to = to or self.target(a, option)
        if to == option:
            raise Refused("OrderError")
        if to is not None:
            self.check_tradable(to)
        if self.barred(to or option, tag):
            self.exit(option)
            return
        if to is None:
            return
        if self.bar == self.last_of_today and option.expiry == self.today:
            return
        travels: dict[str, Terms] = {}  # the first of each kind
        for order in self.working():
            if order.option == option and order.said is not None:
                name = {"slm": "sl", "trail": "trail", "limit": "target"}[order.type]
                travels.setdefault(name, order.said)
        since = 4 * (self.bar + 1)
        lots = self.whole(option, qty) // self.lot(option)
        if not lots:
            raise Refused("OrderError")
        leave = self.place(option, -self.whole(option, qty), "market", "roll", since=since, tag=tag)
        enter = self.place(
            to, lots * self.lot(to), "market", "roll", since=since, tag=tag, opens=True,
            until=self.until(), **travels,
        )  # fmt: skip
        leave.roll = enter.roll = Roll(leave, enter, a.keep, self.kind(option))

    def target(self, a: Action, option: Option) -> Option | None:
        """Where a roll goes to, by date or by rule."""
        listed = [o for o in self.world.options if self.listed(o)]
        # the calendar is known, whether a contract has traded yet or not
        ahead = {o.expiry for o in self.world.options if o.expiry >= self.expired_before}
        if a.to == "date" or a.expiry is not None:
            expiry = expiry_of(self.world, a.expiry)
            if expiry not in ahead:
                raise Refused("ExpiryNotFound")
        else:
            later = [e for e in ahead if e > option.expiry]
            if self.kind(option) == "monthly":
                later = [e for e in later if e in self.world.monthly]
            if not later:
                return None
            expiry = min(later)
        rows = [o for o in listed if o.expiry == expiry and o.right == option.right]
        if a.to in ("", "same", "date"):
            for row in rows:
                if row.strike == option.strike:
                    return row
            if a.to != "date" and a.expiry is None:
                return None
            raise Refused("ContractNotFound")
        if a.to == "atm":
            return self.atm(expiry, option.right)
        name, _, number = a.to.partition(":")
        fresh = [o for o in rows if self.is_fresh(o)]
        if not fresh:
            return None
        if name == "premium":
            wanted = Fraction(number) * 100
            return min(fresh, key=lambda o: (abs(self.mark(o) - wanted), o.strike))
        reference = self.reference(expiry)
        if reference is None:
            return None
        sign = 1 if option.right == "CE" else -1
        wanted = reference * (1 + sign * Fraction(number) / 100)
        return min(fresh, key=lambda o: (abs(o.strike * 100 - wanted), o.strike))

    def kind(self, option: Option) -> str:
        """Which expiries a position is rolled to: of the kind its chain began with."""
        own = "monthly" if option.expiry in self.world.monthly else "weekly"
        return self.positions[option].kind or own

    def rolled(self, order: RefOrder, roll: Roll, qty: int, left: Position | None) -> None:
        """A leg of a roll has traded."""
        if order is roll.leave:
            roll.left = left
            lots = abs(qty) // self.lot(order.option)
            if roll.enter.status == "working" and abs(qty) < abs(order.asked):
                sign = 1 if roll.enter.buys else -1
                roll.enter.qty = sign * lots * self.lot(roll.enter.option)
        if roll.leave.status == roll.enter.status == "filled":
            into = self.positions.get(roll.enter.option)
            if into is not None and roll.left is not None:
                into.kind = roll.kind
                into.carried += roll.left.carried + roll.left.realized
            self.log.append((self.bar, "rolled"))

    # Matching

    def match(self, bar: int) -> None:
        before = len(self.fills)
        for point in range(4 * bar, 4 * bar + 4):
            while self.trade_one(point):
                pass
        fills = list(range(before, len(self.fills)))
        rejected = [o for o in self.working() if o.until is not None and o.until <= bar]
        for order in rejected:
            self.end(order, "rejected")
        for mates in dict.fromkeys(o.mates for o in rejected if o.mates is not None):
            self.dissolve(mates)
        for number in fills:
            self.act(f"fill {number}", self.program.fills.get(number, ()))
        for order in rejected:
            few = order.id < 12
            self.act(f"reject {order.id}", self.program.rejects if few else ())

    def dissolve(self, mates: Combo) -> None:
        """A leg could not trade: the others do not, and those that have are given back."""
        for leg in mates.legs:
            if leg.status == "working":
                self.end(leg, "cancelled")
        self.give_back(mates)

    def give_back(self, mates: Combo) -> None:
        """Trade back what a combo has traded, once, unless it has settled.

        What it opened is only reduced; what it reduced is opened again.
        """
        if mates.given_back:
            return
        mates.given_back = True
        for fill in self.fills:
            if fill.order in mates.legs and fill.order.option.expiry >= self.expired_before:
                qty = self.whole(fill.order.option, fill.qty)
                if not qty:
                    continue
                since = 4 * (self.bar + 1)
                self.place(
                    fill.order.option, -qty, "market", "exit", since=since,
                    tag=fill.order.tag,
                    opens=fill.order in mates.reduced,
                )  # fmt: skip

    def trade_one(self, point: int) -> bool:
        for order in self.working():
            happens = look(order, point, self.rules)
            if isinstance(happens, Trade):
                self.execute(order, point, happens)
                return True
            if happens is not None:
                self.skipped.append(point // 4)
        return False

    def slip(self, order: RefOrder, trade: Trade, point: int) -> int:
        if self.slippage == "0" or trade.quoted or order.type in ("limit", "sl"):
            return 0
        if self.slippage.endswith("ticks"):
            return int(self.slippage[:-5]) * TICK
        if self.slippage.endswith("%"):
            return to_tick(trade.price * Fraction(self.slippage[:-1]) / 100)
        stops = order.type in ("slm", "trail")
        ticks, share = (2, Fraction(1, 100)) if stops else (1, Fraction(1, 200))
        slip = max(ticks * TICK, to_tick(trade.price * share))
        return 2 * slip if self.starts[point // 4] < self.opened + MIN else slip

    def execute(self, order: RefOrder, point: int, trade: Trade) -> None:
        open_qty, qty = self.whole(order.option, self.qty(order.option)), order.qty
        if not order.opens:  # reduce-only
            asked, qty = qty, self.whole(order.option, qty)
            if order.parent is not None and qty != asked:
                qty += self.lot(order.option) * (1 if asked > 0 else -1)
            if open_qty * qty >= 0:
                self.end(order, "cancelled")
                return
            size = abs(open_qty) if order.whole else min(abs(qty), abs(open_qty))
            qty = size if qty > 0 else -size
        slip = self.slip(order, trade, point)
        price = max(trade.price + slip if qty > 0 else trade.price - slip, TICK)
        if order.type == "trail":
            order.trigger = order.level
        self.count_if_ambiguous(order, point)
        order.status = "filled"
        number = len(self.fills)
        slipped = abs(price - trade.price)
        reason = "roll" if order.kind == "roll" else trade.reason
        left = self.positions.get(order.option)
        closed = self.book(RefFill(point, order, qty, price, slipped, reason, order.kind))
        self.count_if_large(order, point // 4, qty)
        if order.parent is not None:
            closed = [(order.parent, -qty)]
        elif order.whole:
            closed = []
        self.shrink(order.option, closed)
        self.bracket(order, point, number, trade)
        if order.mates is not None and self.qty(order.option) * qty <= 0:
            order.mates.reduced.append(order)
        if order.mates is not None and not order.mates.atomic and qty > 0:
            self.release(order.mates, point)
        if order.roll is not None:
            self.rolled(order, order.roll, qty, left)

    def count_if_large(self, order: RefOrder, bar: int, qty: int) -> None:
        volume = order.option.volume
        if self.rules.most == "none" or volume is None:
            return
        if abs(qty) > volume[bar] * Fraction(self.rules.most[:-1]) / 100:
            self.large.append((bar, order.id))

    def count_if_ambiguous(self, order: RefOrder, point: int) -> None:
        """Note a bar whose order of prices has decided between a stop and a target."""
        bar = order.option.bars[point // 4]
        if order.parent is None or point % 4 == 0 or bar is None or order.option.quotes:
            return
        for other in self.working():
            opposed = (other.type == "limit") != (order.type == "limit")
            reached = bar[2] <= other.level_before(point) <= bar[1]
            if other.parent == order.parent and opposed and reached:
                self.ambiguous.add((point // 4, str(order.option.spec)))

    def shrink(self, option: Option, closed: list[tuple[int, int]]) -> None:
        """Keep exits no larger than what they are for."""
        open_qty = self.whole(option, self.qty(option))
        for other in self.working():
            if other.option == option and not other.opens and open_qty * other.qty >= 0:
                self.end(other, "cancelled")
        for entry, part in closed:
            for other in self.working():
                if other.parent == entry:
                    other.qty += part
                    if other.qty == 0:
                        self.end(other, "cancelled")

    def bracket(self, entry: RefOrder, point: int, number: int, trade: Trade) -> None:
        """Attach the exits that an entry has asked for to its fill."""
        option, fill = entry.option, self.fills[number]
        open_qty = self.whole(option, self.qty(option))
        if not entry.opens or open_qty * fill.qty <= 0:
            return
        side = 1 if fill.qty > 0 else -1
        common: dict[str, Any] = {
            "option": option,
            "qty": -side * min(abs(fill.qty), abs(open_qty)),
            "since": point if option.quotes is None else point // 4 * 4 + 4,
            "start_price": trade.price if option.quotes is None else None,
            "parent": number,
        }
        if entry.sl is not None:
            level = away(entry.sl, fill.price, side)
            said = relative(entry.sl)
            self.place(type="slm", kind="stop", trigger=level, said=said, **common)
        if entry.trail is not None:
            stop = self.place(
                type="trail",
                kind="stop",
                trail=entry.trail,
                best=fill.price,
                said=entry.trail,
                **common,
            )
            stop.trigger = stop.level
        if entry.target is not None:
            level = away(entry.target, fill.price, side, favourable=True)
            said = relative(entry.target)
            self.place(type="limit", kind="target", price=level, said=said, **common)
