"""A slow, obviously right engine, written from the rules alone.

It goes bar by bar and, in a bar, price point by price point, with integers and fractions. It keeps
nothing it could look up again, jumps over nothing, and shares no code with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

from tests.engine.strategies import IST, TIMES, Action, Actions, Option, Program, Stop, World

MIN = 60 * 10**9
TICK = 5


@dataclass
class RefOrder:
    id: int
    time: int
    option: Option
    qty: int
    type: str
    kind: str
    since: int  # price point
    trigger: int = 0
    until: int | None = None
    stop: Any = None  # ("%"|"pts", text) or ("price", raw)
    parent: int | None = None
    start_price: int | None = None
    day_order: bool = True
    status: str = "working"
    asked: int = 0  # `qty` is what is left of it


@dataclass
class RefFill:
    point: int
    order: RefOrder
    qty: int
    price: int
    slippage: int
    reason: str
    kind: str
    path_price: int


@dataclass
class Bracketed:
    """Units still held of an entry fill."""

    fill: int
    price: int
    qty: int


def _half_up(x: Fraction) -> int:
    return (2 * x.numerator + x.denominator) // (2 * x.denominator)


def _to_tick(x: Fraction) -> int:
    return _half_up(x / TICK) * TICK


def path_of(bar: tuple[int, int, int, int]) -> list[int]:
    o, h, low, c = bar
    return [o, low, h, c] if abs(o - low) <= abs(h - o) else [o, h, low, c]


@dataclass
class Reference:
    """Plays a program over a world; afterwards `fills`, `orders`, `seen`, `equity` tell."""

    world: World
    program: Program
    slippage: str = "0"
    fill_at_close: bool = False
    capital: int = 10_000_000_000
    fills: list[RefFill] = field(default_factory=list)
    orders: list[RefOrder] = field(default_factory=list)
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[tuple[Any, ...]] = field(default_factory=list)
    equity: list[int] = field(default_factory=list)
    charges: int = 0

    def run(self) -> Reference:
        w = self.world
        self.bar, self.cash = -1, self.capital
        self.held: dict[Option, list[Bracketed]] = {}
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

    def qty(self, option: Option) -> int:
        return sum(part.qty for part in self.held.get(option, ()))

    def worth(self) -> int:
        """Equity: cash and what is held at the newest closes."""
        return self.cash + sum(
            self.qty(o) * (self.last_price(o.bars) or 0) * 100 for o in self.held
        )

    # A session

    def session(self, number: int, day: date, bars: range) -> None:
        w = self.world
        self.today, self.taxes = day, dict[Option, int]()
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
                    if order.day_order and order.since // 4 <= bar:
                        order.status = "lapsed"
                for tax in self.taxes.values():
                    whole = _half_up(Fraction(tax, 10_000)) * 10_000
                    self.pay(whole - tax)
            self.equity.append(self.worth())

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
            self.book(RefFill(4 * self.bar + 3, order, -qty, worth, 0,
                              "settlement", "settlement", worth))  # fmt: skip
            gone.append(option)
        for order in self.working():
            if order.option.expiry <= until:
                order.status = "lapsed"
        self.expired_before = until + timedelta(days=1)
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
        midnight = self.midnight(self.today)
        close = self.starts[self.bar] + w.step * MIN
        first = midnight + minutes * MIN if how == "after" else close - minutes * MIN
        first = max(first, self.opened)
        bars = [w.index[i] for i in range(self.bar + 1) if self.starts[i] >= first and w.index[i]]
        if how == "after":
            return bars[0][0]  # type: ignore[index]
        return _half_up(Fraction(sum(sum(b) for b in bars if b), 4 * len(bars)))

    # Hooks

    def look(self, hook: str) -> None:
        prices = tuple(self.last_price(o.bars) for o in self.world.options if o.listed)
        held = tuple(sorted((str(o.spec), self.qty(o)) for o in self.held))
        self.seen.append((hook, self.bar, self.now, self.worth(), prices, held))

    def act(self, hook: str, actions: Actions) -> None:
        self.look(hook)
        for action in actions:
            self.one(action)

    def one(self, a: Action) -> None:
        if a.verb == "exit_all":
            for order in self.working():
                if order.kind == "entry":
                    order.status = "cancelled"
            for option in list(self.held):
                self.exit(option)
            return
        if a.verb == "straddle":
            ahead = sorted(o.expiry for o in self.world.options if o.expiry >= self.expired_before)
            if not ahead:
                self.refused.append((self.bar, a.verb, "ExpiryNotFound"))
                return
            for right in ("CE", "PE"):
                found = self.atm(ahead[0], right)
                if found is not None:
                    self.enter(found, -1, a, seen_stop=False)
            return
        option = self.world.options[a.option % len(self.world.options)]
        if not self.listed(option):
            self.refused.append((self.bar, a.verb, "ContractNotFound"))
        elif a.verb == "exit":
            self.exit(option)
        elif option.expiry < self.expired_before:
            self.refused.append((self.bar, a.verb, "OrderError"))
        else:
            self.enter(option, 1 if a.verb.endswith("buy") else -1, a)

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
                age = self.age(option)
                return option if age is not None and age <= 5 else None
        return None

    def synthetic(self, rows: list[Option]) -> int | None:
        found = []
        for strike in {o.strike for o in rows}:
            both = [
                o for right in ("CE", "PE") for o in rows if (o.strike, o.right) == (strike, right)
            ]
            ages = [self.age(o) for o in both]
            if len(both) == 2 and all(age is not None and age <= 5 for age in ages):
                call, put = (self.last_price(o.bars) or 0 for o in both)
                found.append((abs(call - put), strike, strike * 100 + call - put))
        value = min(found)[2] if found else 0
        return value if value > 0 else None

    # Orders

    def working(self) -> list[RefOrder]:
        return [o for o in self.orders if o.status == "working"]

    def place(self, option: Option, qty: int, type: str, kind: str, **terms: Any) -> RefOrder:
        order = RefOrder(len(self.orders), self.now, option, qty, type, kind, **terms)
        order.asked = qty
        self.orders.append(order)
        return order

    def next_point(self, type: str) -> int:
        """First price point at which an order placed now can trade."""
        if self.fill_at_close and type == "market" and not self.closing:
            return 4 * self.bar + 3
        return 4 * (self.bar + 1)

    def enter(self, option: Option, side: int, a: Action, seen_stop: bool = True) -> None:
        price = self.last_price(option.bars) or 100
        type = "slm" if a.verb.startswith("slm") else "market"
        self.place(
            option,
            side * a.lots * option.lot,
            type,
            "entry",
            since=self.next_point(type),
            trigger=max(price + a.offset * TICK, TICK) if type == "slm" else 0,
            until=self.bar + max(5 // self.world.step, 1) if type == "market" else None,
            stop=self.stop(a.stop, price, seen_stop),
        )

    def stop(self, stop: Stop | None, price: int, seen_stop: bool) -> Any:
        if stop is None or (stop.unit == "seen" and not seen_stop):
            return None
        if stop.unit == "seen":
            return "price", max(price + int(stop.value) * TICK, TICK)
        return stop.unit, stop.value

    def exit(self, option: Option) -> None:
        qty = self.qty(option)
        on_its_way = [
            o for o in self.working()
            if o.option == option and o.kind == "exit" and o.type == "market"
        ]  # fmt: skip
        if qty and not on_its_way:
            since = self.next_point("market")
            self.place(option, -qty, "market", "exit", since=since, day_order=False)

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
        for number in fills:
            self.act(f"fill {number}", self.program.fills.get(number, ()))
        for order in rejected:
            few = order.id < 12
            self.act(f"reject {order.id}", self.program.rejects if few else ())

    def trade_one(self, point: int) -> bool:
        for order in self.working():
            touched = self.touch(order, point)
            if touched is not None:
                self.execute(order, point, *touched)
                return True
        return False

    def touch(self, order: RefOrder, point: int) -> tuple[int, str] | None:
        quad = self.quad(order.option, point // 4)
        if quad is None or point < order.since:
            return None
        here = path_of(quad)[point % 4]
        if order.type == "market":
            return here, "open" if point % 4 == 0 else "close"
        buys, trigger = order.qty > 0, order.trigger

        def through(price: int) -> bool:
            return price >= trigger if buys else price <= trigger

        earlier = any(
            self.quad(order.option, p // 4) is not None for p in range(order.since, point)
        )
        if not earlier:  # it starts to work here
            start = here
            if point == order.since and order.start_price is not None:
                start = order.start_price
            if through(start):
                return start, "trigger" if start == trigger else "trigger-passed"
        if not through(here):
            return None
        if point % 4 == 0 and here != trigger:
            return here, "gap"
        return trigger, "trigger"

    def slip(self, order: RefOrder, price: int, point: int) -> int:
        if self.slippage == "0":
            return 0
        if self.slippage.endswith("ticks"):
            return int(self.slippage[:-5]) * TICK
        if self.slippage.endswith("%"):
            return _to_tick(price * Fraction(self.slippage[:-1]) / 100)
        ticks, share = (2, Fraction(1, 100)) if order.type == "slm" else (1, Fraction(1, 200))
        slip = max(ticks * TICK, _to_tick(price * share))
        return 2 * slip if self.starts[point // 4] < self.opened + MIN else slip

    def execute(self, order: RefOrder, point: int, path_price: int, reason: str) -> None:
        open_qty, qty = self.qty(order.option), order.qty
        if order.kind != "entry":  # reduce-only
            if open_qty * qty >= 0:
                order.status = "cancelled"
                return
            size = min(abs(qty), abs(open_qty))
            qty = size if qty > 0 else -size
        slip = self.slip(order, path_price, point)
        price = max(path_price + slip if qty > 0 else path_price - slip, TICK)
        order.status = "filled"
        fill = RefFill(
            point, order, qty, price, abs(price - path_price), reason, order.kind, path_price
        )
        closed = self.book(fill)
        open_qty = self.qty(order.option)
        for other in self.working():
            if other.option == order.option and other.kind != "entry" and open_qty * other.qty >= 0:
                other.status = "cancelled"
        if order.kind != "stop":
            for entry, part in closed:
                for other in self.working():
                    if other.parent == entry:
                        other.qty += part
                        if other.qty == 0:
                            other.status = "cancelled"
        if order.stop is not None and open_qty * qty > 0:
            side = 1 if qty > 0 else -1
            self.place(
                order.option,
                -side * min(abs(qty), abs(open_qty)),
                "slm",
                "stop",
                since=point,
                trigger=self.level(order.stop, price, side),
                parent=len(self.fills) - 1,
                start_price=path_price,
                day_order=False,
            )

    def level(self, stop: tuple[str, Any], entry: int, side: int) -> int:
        unit, value = stop
        if unit == "price":
            return int(value)
        away = entry * Fraction(value) / 100 if unit == "%" else Fraction(value) * 100
        return max(_to_tick(entry - side * away), TICK)

    def book(self, fill: RefFill) -> list[tuple[int, int]]:
        """Move cash and lots; return (entry fill, its units) that were closed, oldest first."""
        option, left, closed = fill.order.option, fill.qty, []
        lots = self.held.setdefault(option, [])
        while left and lots and lots[0].qty * left < 0:
            part = min(abs(left), abs(lots[0].qty)) * (1 if lots[0].qty > 0 else -1)
            closed.append((lots[0].fill, part))
            lots[0].qty -= part
            left += part
            if not lots[0].qty:
                lots.pop(0)
        if left:
            lots.append(Bracketed(len(self.fills), fill.price, left))
        if not lots:
            del self.held[option]
        self.fills.append(fill)
        self.cash -= fill.qty * fill.price * 100
        value = abs(fill.qty) * fill.price * 100
        if fill.kind == "settlement":
            tax = value // 800 if fill.qty < 0 else 0  # the holder of a long pays
        else:
            self.pay(200_000)
            tax = value // 1000 if fill.qty < 0 else 0
        self.pay(tax)
        self.taxes[option] = self.taxes.get(option, 0) + tax
        return closed

    def pay(self, amount: int) -> None:
        self.cash -= amount
        self.charges += amount
