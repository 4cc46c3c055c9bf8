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
from typing import Any

from tests.engine.programs import (
    FITS,
    PLAIN,
    TAGS,
    TIMES,
    Action,
    Actions,
    Level,
    Program,
    Rules,
)
from tests.engine.reference_books import Books, RefFill
from tests.engine.reference_matching import (
    NEVER,
    TICK,
    Combo,
    RefOrder,
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
    ambiguous: set[tuple[int, str]] = field(default_factory=set)

    def run(self) -> Reference:
        w = self.world
        self.open_books()
        self.bar = -1
        self.expired_before = w.days[0].date  # contracts of earlier expiries are settled
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
        self.look("over")
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

    # A session

    def session(self, number: int, day: date, bars: range) -> None:
        w = self.world
        self.last_of_today = bars[-1]
        self.today = day
        opened, closed = self.starts[bars[0]], self.starts[bars[-1]] + w.step * MIN
        self.opened = opened
        missed = self.expired_before < day
        self.expired_before = max(self.expired_before, day)
        self.now, self.closing = opened, True
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

    def lapse(self, order: RefOrder) -> None:
        order.status = "lapsed"
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
                if order.kind == "entry":
                    order.status = "cancelled"
            for option in list(self.held):
                self.exit(option)
        elif a.verb == "cancel_all":
            for order in self.working():
                order.status = "cancelled"
        elif a.verb in ("straddle", "strangle"):
            self.both(a)
        elif a.verb == "combo":
            self.combo([(self.pick(which), side * lots) for which, side, lots in a.legs], a)
        elif a.verb == "cancel_order":
            self.order(a).status = "cancelled"
        elif a.verb == "modify_order":
            self.modify(a)
        else:
            self.trade(a, self.pick(a.option))

    def trade(self, a: Action, option: Option) -> None:
        qty = self.qty(option)
        if a.verb in ("buy", "sell"):
            self.enter(option, 1 if a.verb == "buy" else -1, a, a.tag)
        elif a.verb == "exit":
            self.exit(option)
        elif qty and a.verb == "add":
            self.enter(option, 1 if qty > 0 else -1, a, self.held[option][0].tag)
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
        spot = self.last_price(self.world.index)
        if not rows or spot is None:
            return None
        if self.world.index[self.bar] is None:  # frozen: by the synthetic future, if there is one
            spot = self.synthetic(rows) or spot
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

    def synthetic(self, rows: list[Option]) -> int | None:
        found = []
        for strike in {o.strike for o in rows}:
            both = [
                o for right in ("CE", "PE") for o in rows if (o.strike, o.right) == (strike, right)
            ]
            if len(both) == 2 and all(self.is_fresh(o) for o in both):
                call, put = (self.last_price(o.bars) or 0 for o in both)
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
        last_day = None
        if a.tif == "gtd":
            last_day = self.today + timedelta(days=a.days)
            over = self.bar == self.last_of_today  # no bar of that day is left
            if last_day < self.today or (last_day == self.today and over):
                raise Refused("OrderError")
        if a.type == "market" and a.tif != "day":
            raise Refused("OrderError")
        beyond = a.beyond if a.type == "sl" else 0
        triggered, limited = a.type in ("sl", "slm"), a.type in ("sl", "limit")
        priced = a.verb != "straddle"
        self.place(
            option,
            side * a.lots * option.lot,
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
        mates = Combo([], a.atomic)
        bought = [leg for leg in legs if leg[1] > 0]
        for option, lots in bought + [leg for leg in legs if leg[1] < 0]:
            waits = lots < 0 and bool(bought) and not a.atomic
            since = self.next_point("limit" if a.atomic else "market")  # atomic: at an open
            leg = self.place(option, lots * option.lot, "market", "entry", since=since,
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
        order.changes.append((self.now, order.trigger, order.price, order.asked))
        if "trigger" in given:
            order.trigger = self.price(order.option, a.offset)
        if "price" in given:
            order.price = self.price(order.option, a.offset, a.beyond)
        if "lots" in given:
            order.qty = order.asked = (1 if order.buys else -1) * a.lots * order.option.lot
        order.start_over(4 * (self.bar + 1))

    def exit(self, option: Option) -> None:
        qty = self.qty(option)
        on_its_way = [
            o for o in self.working()
            if o.option == option and o.kind == "exit" and o.type == "market"
        ]  # fmt: skip
        if qty and not on_its_way:
            self.place(option, -qty, "market", "exit", since=self.next_point("market"))

    def protect(self, option: Option, a: Action) -> None:
        """Put one stop, or one target, in the place of all there are of a position."""
        kind = "stop" if a.verb == "set_sl" else "target"
        for other in self.working():
            if other.option == option and other.kind == kind:
                other.status = "cancelled"
        if a.level is None:
            return
        lots, qty = self.held[option], self.qty(option)
        cost = Fraction(sum(lot.qty * lot.price for lot in lots), qty)
        if a.level.unit == "cost":
            level = max(to_tick(cost), TICK)
        else:
            terms = self.terms(a.level, option)
            assert terms is not None
            level = away(terms, cost, 1 if qty > 0 else -1, favourable=kind == "target")
        stops = kind == "stop"
        self.place(
            option, -qty, "slm" if stops else "limit", kind, since=4 * (self.bar + 1), whole=True,
            trigger=level if stops else 0, price=0 if stops else level,
        )  # fmt: skip

    # Matching

    def match(self, bar: int) -> None:
        before = len(self.fills)
        for point in range(4 * bar, 4 * bar + 4):
            while self.trade_one(point):
                pass
        fills = list(range(before, len(self.fills)))
        rejected = [o for o in self.working() if o.until is not None and o.until <= bar]
        for order in rejected:
            order.status = "rejected"
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
                leg.status = "cancelled"
        self.give_back(mates)

    def give_back(self, mates: Combo) -> None:
        """Exit what a combo has traded, once, unless it has settled."""
        if mates.given_back:
            return
        mates.given_back = True
        for fill in self.fills:
            if fill.order in mates.legs and fill.order.option.expiry >= self.expired_before:
                since = 4 * (self.bar + 1)
                self.place(fill.order.option, -fill.qty, "market", "exit", since=since)

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
        open_qty, qty = self.qty(order.option), order.qty
        if order.kind != "entry":  # reduce-only
            if open_qty * qty >= 0:
                order.status = "cancelled"
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
        closed = self.book(RefFill(point, order, qty, price, slipped, trade.reason, order.kind))
        if order.parent is not None:
            closed = [(order.parent, -qty)]
        elif order.whole:
            closed = []
        self.shrink(order.option, closed)
        self.bracket(order, point, number, trade)
        if order.mates is not None and not order.mates.atomic and qty > 0:
            self.release(order.mates, point)

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
        open_qty = self.qty(option)
        for other in self.working():
            if other.option == option and other.kind != "entry" and open_qty * other.qty >= 0:
                other.status = "cancelled"
        for entry, part in closed:
            for other in self.working():
                if other.parent == entry:
                    other.qty += part
                    if other.qty == 0:
                        other.status = "cancelled"

    def bracket(self, entry: RefOrder, point: int, number: int, trade: Trade) -> None:
        """Attach the exits that an entry has asked for to its fill."""
        option, fill = entry.option, self.fills[number]
        open_qty = self.qty(option)
        if entry.kind != "entry" or open_qty * fill.qty <= 0:
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
            self.place(type="slm", kind="stop", trigger=level, **common)
        if entry.trail is not None:
            stop = self.place(
                type="trail", kind="stop", trail=entry.trail, best=fill.price, **common
            )
            stop.trigger = stop.level
        if entry.target is not None:
            level = away(entry.target, fill.price, side, favourable=True)
            self.place(type="limit", kind="target", price=level, **common)
