"""What "any program" means, and the strategy that plays one.

A `Program` is plain data, as a `World` is: the engine plays it as a `Scripted` strategy, the
reference engine reads it itself.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from bestbt import Buy, Sell
from bestbt.engine.contract import Contract
from bestbt.engine.matching import MatchRules, parse_slippage
from bestbt.engine.order import Fill, Order
from bestbt.engine.ports import ContractSpec
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError
from tests.engine.worlds import SYMBOL, TICK, Option, World, WorldFeed

CAPITAL = 10_000_000_000  # raw: a million
TAGS = ("a", "b")

# Any program


class Level(NamedTuple):
    """Where a bracket is: `unit` is "%", "pts", "seen" (ticks from the price seen, as a price),
    "number" (a bare one, for a trail) or "cost".
    """

    unit: str
    value: str | int = 0


class Action(NamedTuple):
    """One call of a hook. `option` counts the world's options, modulo their number."""

    verb: str  # buy, sell, add, combo, strangle, straddle, exit, exit_all, cancel_order,
    # cancel_all, modify_order, set_sl, set_target, roll, or a verb of blocks
    option: int = 0
    lots: int = 1
    type: str = "market"
    offset: int = 0  # of the trigger, or of a limit's price, in ticks from the price seen
    beyond: int = 0  # of a stop-limit's price, in ticks from its trigger
    sl: Level | None = None
    target: Level | None = None
    trail: Level | None = None
    tif: str = "day"
    days: int = 0  # until when, from today
    tag: str = ""
    level: Level | None = None  # of set_sl and set_target
    back: int = 0  # which working order: the newest is 0
    ended: bool = False  # which of all orders
    terms: tuple[str, ...] = ()  # what is modified: price, trigger, lots, or what fits the type
    legs: tuple[tuple[int, int, int], ...] = ()  # option, side, lots
    atomic: bool = False
    to: str = ""  # of a roll: a rule, "contract" (the one after `back` options) or "date"
    expiry: int | None = None  # where to, counted as options are; None: by default
    keep: bool = False
    scope: tuple[bool, str | None] = (False, None)  # of a block: whether by symbol; its tag
    close: bool = False  # what is held in that scope; `lots` are the days


Actions = tuple[Action, ...]


class Program(NamedTuple):
    """What a strategy does: actions by hook."""

    bars: Mapping[int, Actions] | None = None  # None: the strategy has no on_bar
    times: tuple[Actions, ...] = ((),) * 7  # one for each of TIMES
    starts: Mapping[int, Actions] = {}  # by session
    ends: Mapping[int, Actions] = {}
    fills: Mapping[int, Actions] = {}  # by number of the fill
    rejects: Actions = ()
    expiry: Actions = ()
    over: Actions = ()


class Rules(NamedTuple):
    """Options of a run."""

    path: Literal["nearest", "pessimistic", "optimistic"] = "nearest"
    limit_touch: bool = False
    stop_check: Literal["touch", "close"] = "touch"
    cost: Literal["fifo", "average"] = "fifo"
    most: str = "10%"  # of a bar's volume


PLAIN = Rules()

BLOCKS = (
    "block_for_day", "block_for_n_days", "block_this_week", "block_for_month",
    "block_till_monthly_expiry",
)  # fmt: skip
ABOUT_BLOCKS = (*BLOCKS, "unblock", "deactivate_positions")

# What can be modified of an order by its type.
FITS = {"limit": ("price",), "slm": ("trigger",), "sl": ("price", "trigger")}

# Hooks of every program, in order of definition.
TIMES = ("09:18", "open", "09:20", "open+4min", "close-3min", "09:23", "09:18")

HOOKS = (
    "bar",
    "bar",
    "bar",
    "time",
    "time",
    "time",
    "start",
    "end",
    "fill",
    "reject",
    "expiry",
    "over",
)
SLOTS = 28


def _level(rng: random.Random, *units: str) -> Level:
    unit = rng.choice(units)
    values: dict[str, Any] = {
        "%": ("1", "5", "25", "12.5", "150"),
        "pts": ("0.05", "0.1", "0.5", "30"),
        "number": ("0.05", "0.2", "0.35", "12.5"),
        "seen": range(-8, 9),
        "cost": (0,),
    }
    return Level(unit, rng.choice(values[unit]))


def _brackets(rng: random.Random) -> dict[str, Any]:
    units = "%", "pts", "seen"
    return {
        "sl": _level(rng, *units) if rng.random() < 0.5 else None,
        "target": _level(rng, *units) if rng.random() < 0.4 else None,
        "trail": _level(rng, "%", "pts", "number") if rng.random() < 0.3 else None,
    }


VERBS = (
    "market", "market", "market", "resting", "resting", "change", "whole", "combo", "straddle",
    "leave", "roll", "roll", "roll", "block",
)  # fmt: skip


def _action(rng: random.Random, what: str, favourite: int) -> Action:
    """One of all the things that a strategy can ask for, well or not."""
    which = rng.choice((favourite, favourite, favourite + 1, rng.randrange(18)))
    lots, tag = rng.randint(1, 3), rng.choice(("", "a", "b"))
    offset, beyond = rng.randint(-6, 6), rng.randint(-3, 3)
    if what == "market":
        verb = rng.choice(("buy", "sell", "buy", "sell", "add"))
        tif = "gtc" if rng.random() < 0.05 else "day"  # the first is refused
        return Action(verb, which, lots, tif=tif, tag=tag, **_brackets(rng))
    if what == "resting":
        return Action(
            rng.choice(("buy", "sell", "buy", "sell", "add")), which, lots,
            rng.choice(("limit", "sl", "slm")), offset, beyond, **_brackets(rng),
            tif=rng.choice(("day", "day", "gtc", "gtd")), days=rng.choice((0, 1, 1, 2, 4, -1)),
            tag=tag,
        )  # fmt: skip
    if what == "change":
        terms = rng.choice(
            (("fit",), ("fit",), ("fit", "lots"), ("lots",), ("price",), ("trigger",),
             ("price", "trigger"), ())
        )  # fmt: skip
        return Action(
            rng.choice(("cancel_order", "modify_order", "modify_order")), lots=lots, offset=offset,
            beyond=beyond, back=rng.randrange(4), ended=rng.random() < 0.2, terms=terms,
        )  # fmt: skip
    if what == "whole":
        level = _level(rng, "%", "pts", "seen", "seen", "cost") if rng.random() < 0.85 else None
        return Action(rng.choice(("set_sl", "set_sl", "set_target")), which, level=level)
    if what == "combo":
        legs = tuple(
            (which + rng.choice((i, i, i, rng.randrange(18))), rng.choice((1, -1)), lots)
            for i in range(rng.choice((2, 2, 3)))
        )
        verb = rng.choice(("combo", "combo", "combo", "strangle"))
        return Action(verb, lots=lots, legs=legs, tag=tag, atomic=rng.random() < 0.5)
    if what == "straddle":
        return Action("straddle", lots=lots, tag=tag, **_brackets(rng))
    if what == "roll":
        to = ("", "", "same", "atm", "percent:2", "premium:1.5", "premium:20", "date", "contract")
        expiry = rng.randrange(4) if rng.random() < 0.2 else None
        return Action(
            "roll", which, to=rng.choice(to), expiry=expiry, keep=rng.random() < 0.4,
            back=rng.randrange(18),
        )  # fmt: skip
    if what == "block":
        verb = rng.choice((*BLOCKS, "block_for_day", "unblock", "unblock", "deactivate_positions"))
        scope = rng.random() < 0.4, rng.choice((None, None, "", "a", "b"))
        return Action(verb, lots=lots, scope=scope, close=rng.random() < 0.3)
    return Action(rng.choice(("exit", "exit", "exit", "exit_all", "cancel_all")), which)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Actions come from a drawn seed, each from its own, and are kept or not: so they shrink."""
    seed, on_bar = draw(st.integers(0, 2**32)), draw(st.booleans())
    kept = draw(st.lists(st.booleans(), min_size=SLOTS, max_size=SLOTS))
    hooks: dict[str, dict[int, Actions]] = {hook: {} for hook in HOOKS}
    last = {
        "bar": 20,
        "time": 6,
        "start": 3,
        "end": 3,
        "fill": 8,
        "reject": 0,
        "expiry": 0,
        "over": 0,
    }
    favourite = random.Random(seed).randrange(18)
    for slot, keep in enumerate(kept):
        if keep:
            rng = random.Random(f"{seed} {slot}")
            hook = rng.choice(HOOKS)
            hook = "time" if hook == "bar" and not on_bar else hook
            at = 0 if hook == "time" and rng.random() < 0.4 else rng.randint(0, last.get(hook, 0))
            what = rng.choice(VERBS)
            hooks[hook][at] = (*hooks[hook].get(at, ()), _action(rng, what, favourite))
            if what == "resting" and rng.random() < 0.6:  # and think better of it
                at += rng.randint(0, 3)
                hooks[hook][at] = (*hooks[hook].get(at, ()), _action(rng, "change", favourite))
            elif what == "market" and rng.random() < 0.3:  # and take it on to the next expiry
                at += rng.randint(1, 3)
                hooks[hook][at] = (*hooks[hook].get(at, ()), _action(rng, "roll", favourite))
    return Program(
        hooks["bar"] if on_bar else None,
        tuple(hooks["time"].get(i, ()) for i in range(len(TIMES))),
        hooks["start"],
        hooks["end"],
        hooks["fill"],
        hooks["reject"].get(0, ()),
        hooks["expiry"].get(0, ()),
        hooks["over"].get(0, ()),
    )


slippages = st.sampled_from(["0", "default", "2ticks", "1.5%"])
rules = st.builds(
    Rules,
    st.sampled_from(["nearest", "nearest", "pessimistic", "optimistic"]),
    st.sampled_from([False, False, True]),
    st.sampled_from(["touch", "touch", "close"]),
    st.sampled_from(["fifo", "average"]),
    st.sampled_from(["10%", "7.5%", "100%", "none"]),
)

# As the engine takes it


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


class Said(NamedTuple):
    """A verb of blocks: what, after how many fills, and when."""

    action: Action
    fills: int
    day: date
    expiry: date | None


def expiry_of(world: World, which: int | None) -> date:
    """One of the expiries, or a day after all of them."""
    days = sorted({o.expiry for o in world.options})
    days.append(days[-1] + timedelta(days=1))
    return days[(1 if which is None else which) % len(days)]


class Scripted(Strategy):
    """Plays a program, and writes down what each hook saw."""

    def __init__(self, world: World, program: Program) -> None:
        super().__init__()
        self.world, self.program = world, program
        self.seen: list[tuple[Any, ...]] = []
        self.blocks: list[tuple[bool, ...]] = []  # at each hook: of all, and of each position
        self.carried: list[tuple[tuple[str, int], ...]] = []  # by contract: since it was begun
        self.told: list[Said] = []
        self.refused: list[tuple[Any, ...]] = []

    def look(self, hook: str) -> None:
        prices = [self._desk.contract(o.spec).price for o in self.world.options if o.listed]
        raw = tuple(None if p != p else round(p * 100) for p in prices)
        held = tuple(sorted((p.contract.name, p.qty) for p in self.get_opened_positions()))
        working = tuple(sorted(o.id for o in self.get_orders("working")))
        gains = tuple(self.gains(tag) for tag in (None, *TAGS))
        equity = self._desk.portfolio.equity
        by_name = sorted(self.get_opened_positions(), key=lambda p: p.contract.name)
        self.blocks.append((self.blocked, *(p.blocked for p in by_name)))
        self.carried.append(
            tuple((p.contract.name, p.raw_carried + p.raw_realized) for p in by_name)
        )
        self.seen.append((hook, self.bar, self._desk.now, equity, raw, held, working, gains))

    def gains(self, tag: str | None, contract: Contract | None = None) -> tuple[int, int]:
        """Return raw realized and unrealized profit."""
        realized = self.get_realized_pnl(contract, tag=tag)
        return round(realized * 10_000), round(self.get_unrealized_pnl(contract, tag=tag) * 10_000)

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
        elif a.verb == "cancel_all":
            self.cancel_all()
        elif a.verb == "straddle":
            for right in ("CE", "PE"):
                self.sell(self.get_atm(right), **self.terms(a, None))
        elif a.verb == "strangle":
            legs: list[Buy | Sell] = [Sell(self.get_atm(right), a.lots) for right in ("CE", "PE")]
            self.combo(legs, atomic=a.atomic, tag=a.tag)
        elif a.verb == "combo":
            kinds: dict[int, type[Buy] | type[Sell]] = {1: Buy, -1: Sell}
            picked: list[Buy | Sell] = [
                kinds[side](self.pick(which), lots) for which, side, lots in a.legs
            ]
            self.combo(picked, atomic=a.atomic, tag=a.tag)
        elif a.verb in ("cancel_order", "modify_order"):
            self.change(a)
        elif a.verb in ABOUT_BLOCKS:
            self.block(a)
        elif a.verb == "roll":
            self.roll_one(a, self.pick(a.option))
        else:
            self.trade(a, self.pick(a.option))

    def change(self, a: Action) -> None:
        """Cancel or modify an order that is there or not."""
        orders = sorted(self.get_orders(None if a.ended else "working"), key=lambda o: o.id)
        order = orders[-1 - a.back] if a.back < len(orders) else None
        number = order.id if order is not None else -1 - a.back  # there is none of that id
        if a.verb == "cancel_order":
            self.cancel_order(number)
            return
        contract = order.contract if order is not None else None
        given: dict[str, Any] = {}
        fit = FITS.get(order.type, ()) if order is not None and "fit" in a.terms else ()
        if "trigger" in a.terms or "trigger" in fit:
            given["trigger"] = self.price(contract, a.offset)
        if "price" in a.terms or "price" in fit:
            given["price"] = self.price(contract, a.offset, a.beyond)
        if "lots" in a.terms:
            given["lots"] = a.lots
        self.modify_order(number, **given)

    def block(self, a: Action) -> None:
        by_symbol, tag = a.scope
        terms: dict[str, Any] = {"symbol": SYMBOL if by_symbol else None, "tag": tag}
        if a.verb in BLOCKS:
            terms["close_positions"] = a.close
        args = (a.lots,) if a.verb == "block_for_n_days" else ()
        monthly = self.get_monthly_expiry() if a.verb == "block_till_monthly_expiry" else None
        getattr(self, a.verb)(*args, **terms)
        self.told.append(Said(a, len(self._desk.portfolio.fills), self.today, monthly))

    def roll_one(self, a: Action, contract: Contract) -> None:
        """Roll what is held of a contract, or else the newest position."""
        held = self.get_opened_positions()
        if held and not self.is_position_opened(contract):
            contract = held[-1].contract
        to: Any = a.to or None
        if a.to == "contract":
            to = self.pick(self.world.options.index(self.option_of(contract)) + a.back)
        terms: dict[str, Any] = {}
        if a.to == "date":
            to = self.expiry_at(a.expiry)
        elif a.to != "contract" and a.expiry is not None:
            terms["expiry"] = self.expiry_at(a.expiry)
        if a.keep:
            terms["if_unfilled"] = "keep"
        self.roll(contract, to, **terms)

    def option_of(self, contract: Contract) -> Option:
        return next(o for o in self.world.options if str(o.spec) == contract.name)

    def expiry_at(self, which: int | None) -> date:
        return expiry_of(self.world, which)

    def trade(self, a: Action, contract: Contract) -> None:
        position = self.get_active_position(contract)
        if a.verb == "buy":
            self.buy(contract, **self.terms(a, contract))
        elif a.verb == "sell":
            self.sell(contract, **self.terms(a, contract))
        elif a.verb == "exit":
            self.exit(contract)
        elif position is None:
            return
        elif a.verb == "add":
            terms = self.terms(a, contract)
            del terms["tag"]  # it is the position's
            position.add(**terms)
        else:
            verb = position.set_sl if a.verb == "set_sl" else position.set_target
            verb(self.level(a.level, contract))

    def pick(self, which: int) -> Contract:
        option = self.world.options[which % len(self.world.options)]
        return self.option(option.strike, option.right, option.expiry)

    def terms(self, a: Action, contract: Contract | None) -> dict[str, Any]:
        terms: dict[str, Any] = {"lots": a.lots, "tag": a.tag, "tif": a.tif}
        if a.type != "market":
            terms["type"] = a.type
        if a.type in ("sl", "slm"):
            terms["trigger"] = self.price(contract, a.offset)
        if a.type in ("sl", "limit"):
            beyond = a.beyond if a.type == "sl" else 0
            terms["price"] = self.price(contract, a.offset, beyond)
        if a.tif == "gtd":
            terms["until"] = self.today + timedelta(days=a.days)
        for name in ("sl", "target", "trail"):
            level = self.level(getattr(a, name), contract)
            if level is not None:
                terms[name] = level
        return terms

    def level(self, level: Level | None, contract: Contract | None) -> str | float | None:
        if level is None:
            return None
        if level.unit == "cost":
            return "cost"
        if level.unit == "number":
            return float(level.value)
        if level.unit != "seen":
            return f"{level.value}{level.unit}"
        return self.price(contract, int(level.value)) if contract is not None else None

    def price(self, contract: Contract | None, offset: int, beyond: int = 0) -> float:
        seen = contract.price if contract is not None else float("nan")
        raw = 100 if seen != seen else round(seen * 100)
        return max(max(raw + offset * TICK, TICK) + beyond * TICK, TICK) / 100

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
        self.act("over", self.program.over)


class ScriptedBars(Scripted):
    """The same, called at each bar."""

    def on_bar(self) -> None:
        self.act("bar", (self.program.bars or {}).get(self.bar, ()))


def simulation(
    world: World,
    program: Program,
    slippage: str = "0",
    fill_at_close: bool = False,
    rules: Rules = PLAIN,
    fees: Any = None,
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
        fees=fees or PlainFees(),
        fill_at_close=fill_at_close,
        rules=MatchRules(rules.path, rules.limit_touch, rules.stop_check),
        cost=rules.cost,
        max_participation=rules.most,
    )
