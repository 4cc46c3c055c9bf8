"""What "any market" and "any program" mean: the one place that generates them.

A `World` and a `Program` are plain data, so that the engine and the reference engine can be given
the same ones and share nothing else. Structure is drawn by hypothesis (it shrinks); the prices
come from a drawn seed. `feed` and `Scripted` hand them to the engine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from bestbt.engine.contract import Contract
from bestbt.engine.fees import NoFees
from bestbt.engine.grid import Grid, Session, utc_ns
from bestbt.engine.matching import parse_slippage
from bestbt.engine.order import Fill, Order
from bestbt.engine.ports import ContractSpec, Expiry, Listing, SettlementRule
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError
from bestbt.testing import MemoryFeed
from bestbt.units import MINUTE, Right

Quad = tuple[int, int, int, int]  # open, high, low, close; raw
IST = ZoneInfo("Asia/Kolkata")
SYMBOL = "NIFTY"
TICK = 5
CAPITAL = 10_000_000_000  # raw: a million

# Any market


@dataclass(frozen=True)
class Day:
    """A session: its date, and its parts as (minute of the day, bars)."""

    date: date
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Option:
    """An option with one quad, or None for no trade, for each bar of the grid.

    `dead` ones are in the listing from the start and never trade.
    """

    expiry: date
    strike: int
    right: Right
    lot: int
    bars: tuple[Quad | None, ...]
    dead: bool = False

    @property
    def first(self) -> int | None:
        return next((i for i, bar in enumerate(self.bars) if bar is not None), None)

    @property
    def spec(self) -> ContractSpec:
        return ContractSpec(
            "option", SYMBOL, self.expiry, float(self.strike), self.right, self.lot, TICK
        )

    @property
    def listed(self) -> bool:
        return self.dead or self.first is not None


@dataclass(frozen=True)
class World:
    """A small market."""

    step: int  # minutes
    days: tuple[Day, ...]
    index: tuple[Quad | None, ...]
    options: tuple[Option, ...]
    official: Mapping[date, int]
    rule: tuple[Literal["window", "after"], int]  # minutes, or minute of the day

    @property
    def n(self) -> int:
        return len(self.index)


def _walk(
    rng: random.Random, n: int, at: int, unit: int, stale: float, floor: int
) -> list[Quad | None]:
    """A path on ticks of *unit*, with gaps between bars and bars without a trade."""
    bars: list[Quad | None] = []
    here = at
    for _ in range(n):
        if rng.random() < 0.3:
            here = max(here + rng.randint(-12, 12) * unit, floor)
        o = here
        low = max(o - rng.choice((0, 0, 1, 2, 6)) * unit, floor)
        high = o + rng.choice((0, 0, 1, 2, 6)) * unit
        here = rng.randint(low // unit, high // unit) * unit
        bars.append(None if rng.random() < stale else (o, high, low, here))
    return bars


@st.composite
def worlds(draw: st.DrawFn) -> World:
    step = draw(st.sampled_from([1, 1, 5]))
    today = draw(st.sampled_from([date(2024, 1, 25), date(2024, 1, 29), date(2023, 12, 28)]))
    days = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(1, 10))
        parts = [(555, first)]
        if draw(st.booleans()) and first < 6:
            parts.append((555 + first * step + 17, draw(st.integers(2, 6))))
        days.append(Day(today, tuple(parts)))
        today += timedelta(days=draw(st.sampled_from([1, 1, 2, 4])))
    rng = random.Random(draw(st.integers(0, 2**32)))
    counts = [sum(bars for _, bars in d.parts) for d in days]
    n = sum(counts)
    index = _walk(rng, n, 10_250, 25, rng.choice((0.0, 0.3)), 8_000)
    for i in (0, *(sum(counts[: k + 1]) - 1 for k in range(len(days)))):
        index[i] = index[i] or (10_250, 10_300, 10_225, 10_250)
    dates = [d.date for d in days] + [d.date + timedelta(days=1) for d in days]
    dates.append(today + timedelta(days=30))
    expiries = draw(st.lists(st.sampled_from(sorted(set(dates))), min_size=1, max_size=3))
    options = []
    for expiry in sorted(set(expiries)):
        left = sum(c for d, c in zip(days, counts, strict=True) if d.date <= expiry)
        for strike in draw(st.sampled_from([(100,), (100, 105), (100, 105, 110)])):
            for right in ("CE", "PE"):
                options.append(_option(rng, expiry, strike, right, n, left))
    halt = rng.randint(0, n), rng.choice((0, 0, 3, 9))
    options = [
        replace(o, bars=tuple(None if 0 <= i - halt[0] < halt[1] else b
                              for i, b in enumerate(o.bars)))
        for o in options
    ]  # fmt: skip
    last_starts = [d.parts[-1][0] + (d.parts[-1][1] - 1) * step for d in days]
    rules = [("window", 30), ("window", 3 * step), ("after", min(last_starts))]
    official = {e: draw(st.integers(9_000, 11_500)) for e in set(expiries) if draw(st.booleans())}
    return World(
        step,
        tuple(days),
        tuple(index),
        tuple(options),
        official,
        draw(st.sampled_from(rules)),  # type: ignore[arg-type]
    )


def _option(
    rng: random.Random, expiry: date, strike: int, right: Right, n: int, left: int
) -> Option:
    stale = rng.choice((0.0, 0.0, 0.2, 0.6, 0.95))
    bars = _walk(rng, left, rng.choice((10, 40, 400)) * TICK, TICK, stale, TICK)
    late = rng.choice((0, 0, 0, left // 2))
    if rng.random() < 0.7 and bars and late < left:
        bars[late] = bars[late] or (200, 205, 195, 200)
    bars[:late] = [None] * late
    dead = rng.random() < 0.07
    if dead:
        bars = [None] * left
    return Option(expiry, strike, right, 50, tuple(bars + [None] * (n - left)), dead)


def another_future(world: World, after: int, seed: int) -> World:
    """Return a world that is the same up to a bar and has other prices beyond it."""
    rng = random.Random(seed)

    def turn(bars: tuple[Quad | None, ...], unit: int, stale: float, whole: int) -> Any:
        tail = _walk(rng, whole - after - 1, rng.choice((40, 500)) * unit, unit, stale, unit)
        return bars[: after + 1] + tuple(tail) + (None,) * (len(bars) - max(whole, after + 1))

    index = list(turn(world.index, 25, 0.3, world.n))
    index[-1] = index[-1] or (9_000, 9_000, 9_000, 9_000)
    bar = -1
    for day in world.days:  # every session has an index value to settle on
        bar += sum(bars for _, bars in day.parts)
        index[bar] = index[bar] or (9_000, 9_000, 9_000, 9_000)
    counts = [sum(bars for _, bars in d.parts) for d in world.days]
    options = []
    for o in world.options:
        whole = sum(c for d, c in zip(world.days, counts, strict=True) if d.date <= o.expiry)
        same = o.dead or whole <= after + 1
        options.append(o if same else replace(o, bars=turn(o.bars, TICK, 0.3, whole)))
    return replace(world, index=tuple(index), options=tuple(options))


def first_sessions(world: World, count: int) -> World:
    """Return a world whose data end with a session."""
    days = world.days[:count]
    n = sum(bars for d in days for _, bars in d.parts)
    options = tuple(replace(o, bars=o.bars[:n]) for o in world.options)
    return replace(world, days=days, index=world.index[:n], options=options)


# Any program


class Stop(NamedTuple):
    """A stop: `unit` is "%", "pts", or "seen" (ticks from the price seen, as a price)."""

    unit: str
    value: str | int


class Action(NamedTuple):
    """One call of a hook. `option` counts the world's options, modulo their number."""

    verb: Literal["buy", "sell", "slm_buy", "slm_sell", "exit", "exit_all", "straddle"]
    option: int = 0
    lots: int = 1
    stop: Stop | None = None
    offset: int = 0  # of an slm's trigger, in ticks from the price seen


Actions = tuple[Action, ...]


class Program(NamedTuple):
    """What a strategy does: actions by hook."""

    bars: Mapping[int, Actions] | None  # None: the strategy has no on_bar
    times: tuple[Actions, ...]  # one for each of TIMES
    starts: Mapping[int, Actions]  # by session
    ends: Mapping[int, Actions]
    fills: Mapping[int, Actions]  # by number of the fill
    rejects: Actions
    expiry: Actions


# Hooks of every program, in order of definition.
TIMES = ("09:18", "open", "09:20", "open+4min", "close-3min", "09:23", "09:18")

_stops = st.one_of(
    st.none(),
    st.builds(Stop, st.just("%"), st.sampled_from(["1", "5", "25", "12.5", "150"])),
    st.builds(Stop, st.just("pts"), st.sampled_from(["0.05", "0.1", "0.5", "30"])),
    st.builds(Stop, st.just("seen"), st.integers(-8, 8)),
)
_actions = st.builds(
    Action,
    st.sampled_from(
        ["buy", "sell", "buy", "sell", "slm_buy", "slm_sell", "exit", "exit_all", "straddle"]
    ),
    st.integers(0, 17),
    st.integers(1, 3),
    _stops,
    st.integers(-6, 6),
)
_some: st.SearchStrategy[Actions] = st.lists(_actions, min_size=1, max_size=4).map(tuple)
_few: st.SearchStrategy[Actions] = st.one_of(st.just(()), st.just(()), _some)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    by_bar = st.dictionaries(st.integers(0, 20), _some, min_size=1, max_size=8)
    return Program(
        draw(st.one_of(st.none(), by_bar)),
        (draw(_some), *(draw(_few) for _ in TIMES[1:])),
        draw(st.dictionaries(st.integers(0, 3), _some, max_size=2)),
        draw(st.dictionaries(st.integers(0, 3), _some, max_size=2)),
        draw(st.dictionaries(st.integers(0, 6), _some, max_size=3)),
        draw(_few),
        draw(_few),
    )


slippages = st.sampled_from(["0", "default", "2ticks", "1.5%"])


# Both, as the engine takes them


class WorldMarket:
    """The dated facts of a world."""

    tz = "Asia/Kolkata"
    currency = "₹"

    def __init__(self, world: World) -> None:
        self._rule = world.rule

    def vix(self, symbol: str) -> str | None:
        return None

    def sessions(self, start: date, end: date, segment: str = "derivatives") -> list[Session]:
        days = (start + timedelta(days=i) for i in range((end - start).days + 1))
        return [Session(d, _parts(d, ((555, 375),), 1)) for d in days if d.weekday() < 5]

    def expiry_kind(self, symbol: str, expiry: date) -> Literal["weekly", "monthly"]:
        return "weekly"

    def settlement(self, symbol: str, day: date) -> SettlementRule:
        how, minutes = self._rule
        if how == "window":
            return SettlementRule(minutes * MINUTE)
        return SettlementRule(None, after=minutes * MINUTE)

    def fees(self) -> NoFees:
        return NoFees()


class WorldFeed(MemoryFeed):
    """The prices of a world."""

    def __init__(self, world: World) -> None:
        super().__init__(SYMBOL, [])
        self.world = world
        self.market = WorldMarket(world)  # type: ignore[assignment]
        sessions = [Session(d.date, _parts(d.date, d.parts, world.step)) for d in world.days]
        self.grid = Grid(sessions, world.step * MINUTE)
        self.closes = {(SYMBOL, day): raw for day, raw in world.official.items()}
        self.add(ContractSpec("index", SYMBOL), _rupees(world.index))
        for o in world.options:
            if o.first is not None:
                self.add(o.spec, _rupees(o.bars))

    def expiries(self, symbol: str, asset: Any = "option") -> Any:
        days = {o.expiry for o in self.world.options}
        from_first = [d for d in sorted(days) if d >= self.world.days[0].date]
        return [Expiry(d, "weekly") for d in from_first]

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        dead = [Listing(o.spec, 0) for o in self.world.options if o.dead and o.expiry == expiry]
        return sorted(
            super().listed(symbol, expiry) + dead,
            key=lambda r: (r.spec.strike or 0, r.spec.right or ""),
        )


def _parts(day: date, parts: tuple[tuple[int, int], ...], step: int) -> Any:
    def ns(minute: int) -> int:
        return utc_ns(datetime.combine(day, time(minute // 60, minute % 60), IST))

    return tuple((ns(m), ns(m) + bars * step * MINUTE) for m, bars in parts)


def _rupees(bars: tuple[Quad | None, ...]) -> list[Any]:
    return [None if b is None else [x / 100 for x in b] for b in bars]


class PlainFees:
    """Charges with all their traits: per order, per side, on exercise, a day's tax in rupees."""

    def fill(self, day: date, spec: ContractSpec, qty: int, price: int) -> dict[str, int]:
        charges = {"brokerage": 200_000}
        if qty < 0:
            charges["stt"] = -qty * price * 100 // 1000
        return charges

    def exercise(self, day: date, spec: ContractSpec, qty: int, intrinsic: int) -> dict[str, int]:
        tax = qty * intrinsic * 100 // 800
        return {"stt": tax} if tax > 0 else {}

    def day_end(self, day: date, spec: ContractSpec, charged: Mapping[str, int]) -> dict[str, int]:
        tax = charged.get("stt", 0)
        whole = (tax + 5_000) // 10_000 * 10_000
        return {"stt": whole - tax} if whole != tax else {}


class Scripted(Strategy):
    """Plays a program, and writes down what each hook saw."""

    def __init__(self, world: World, program: Program) -> None:
        super().__init__()
        self.world, self.program = world, program
        self.seen: list[tuple[Any, ...]] = []
        self.refused: list[tuple[Any, ...]] = []

    def look(self, hook: str) -> None:
        prices = [self._desk.contract(o.spec).price for o in self.world.options if o.listed]
        raw = tuple(None if p != p else round(p * 100) for p in prices)
        held = tuple(sorted((p.contract.name, p.qty) for p in self.get_opened_positions()))
        self.seen.append((hook, self.bar, self._desk.now, self._desk.portfolio.equity, raw, held))

    def act(self, hook: str, actions: Actions) -> None:
        self.look(hook)
        for action in actions:
            try:
                self.one(action)
            except (ContractNotFound, ExpiryNotFound, OrderError) as error:
                self.refused.append((self.bar, action.verb, type(error).__name__))

    def one(self, a: Action) -> None:
        if a.verb == "exit_all":
            self.exit_all()
        elif a.verb == "straddle":
            for right in ("CE", "PE"):
                self.sell(self.get_atm(right), lots=a.lots, sl=self.stop(a, None))
        else:
            option = self.world.options[a.option % len(self.world.options)]
            contract = self.option(option.strike, option.right, option.expiry)
            if a.verb == "exit":
                self.exit(contract)
                return
            verb = self.buy if a.verb.endswith("buy") else self.sell
            sl = self.stop(a, contract)
            if a.verb.startswith("slm"):
                trigger = self.price(contract, a.offset)
                verb(contract, lots=a.lots, type="slm", trigger=trigger, sl=sl)
            else:
                verb(contract, lots=a.lots, sl=sl)

    def stop(self, a: Action, contract: Contract | None) -> str | float | None:
        if a.stop is None:
            return None
        if a.stop.unit != "seen":
            return f"{a.stop.value}{a.stop.unit}"
        return self.price(contract, int(a.stop.value)) if contract is not None else None

    def price(self, contract: Contract, offset: int) -> float:
        seen = contract.price
        raw = 100 if seen != seen else round(seen * 100)
        return max(raw + offset * TICK, TICK) / 100

    @at(TIMES[0])
    def t0(self) -> None:
        self.act("t0", self.program.times[0])

    @at(TIMES[1])
    def t1(self) -> None:
        self.act("t1", self.program.times[1])

    @at(TIMES[2])
    def t2(self) -> None:
        self.act("t2", self.program.times[2])

    @at(TIMES[3])
    def t3(self) -> None:
        self.act("t3", self.program.times[3])

    @at(TIMES[4])
    def t4(self) -> None:
        self.act("t4", self.program.times[4])

    @at(TIMES[5])
    def t5(self) -> None:
        self.act("t5", self.program.times[5])

    @at(TIMES[6])
    def t6(self) -> None:
        self.act("t6", self.program.times[6])

    def on_session_start(self) -> None:
        session = self._desk.session
        self.act("start", self.program.starts.get(session, ()))

    def on_session_end(self) -> None:
        self.act("end", self.program.ends.get(self._desk.session, ()))

    def on_fill(self, fill: Fill) -> None:
        self.act(f"fill {fill.id}", self.program.fills.get(fill.id, ()))

    def on_reject(self, order: Order) -> None:
        # not for ever: orders that are rejected and placed again would multiply
        few = order.id < 12
        self.act(f"reject {order.id}", self.program.rejects if few else ())

    def on_expiry(self, contract: Contract) -> None:
        self.act(f"expiry {contract.name}", self.program.expiry)

    def on_end(self) -> None:
        self.look("over")


class ScriptedBars(Scripted):
    """The same, called at each bar."""

    def on_bar(self) -> None:
        self.act("bar", (self.program.bars or {}).get(self.bar, ()))


def simulation(
    world: World, program: Program, slippage: str = "0", fill_at_close: bool = False
) -> Simulation:
    """Return the engine, about to run a program over a world."""
    kind = Scripted if program.bars is None else ScriptedBars
    feed = WorldFeed(world)
    return Simulation(
        lambda: kind(world, program),
        feed,
        feed.market,
        (SYMBOL,),
        capital=CAPITAL,
        slippage=parse_slippage(slippage),
        fees=PlainFees(),
        fill_at_close=fill_at_close,
    )
