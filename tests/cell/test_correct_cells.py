"""Correct cells give no problem at all: a false alarm costs more trust than a miss."""

from __future__ import annotations

import pytest

MANUAL = '''
class ShortStraddle(Strategy):
    """Sell the at-the-money straddle every morning, stop each leg, leave before the close."""
    stop = "25%"

    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl=self.stop)

    @at("15:15")
    def leave(self):
        self.exit_all()
'''

HELPERS = """
import math
from collections import defaultdict, deque

LOTS = 2
RIGHTS = ["CE", "PE"]

def rounded(x, to=50):
    return math.floor(x / to) * to

def both(strategy, lots=LOTS):
    return [strategy.sell(strategy.get_atm(r), lots=lots) for r in RIGHTS]

class Helper(Strategy):
    def init(self):
        self.seen = deque(maxlen=20)
        self.by_day = defaultdict(list)
        self.level = None

    def on_bar(self):
        price = self.spot.close
        self.seen.append(price)
        self.by_day[self.today].append(price)
        self.level = rounded(price)
        high = max(list(self.seen)[:-1], default=price)
        if len(self.seen) == 20 and price > high and not self.is_position_opened():
            both(self)

    @at("15:10")
    def leave(self):
        self.exit_all()
"""

LAMBDAS = """
class Momentum(Strategy):
    fast: int = 9
    slow: int = 21

    def init(self):
        mean = lambda x, n: np.convolve(x, np.ones(n) / n)[: len(x)]
        self.ema = self.indicator(mean, "close", self.fast)
        self.slow_ema = self.indicator(mean, "close", self.slow, bar="5min")
        self.ready = lambda: self.ema[0] > self.ema[-1]

    def on_bar(self):
        if crossed_above(self.ema, self.slow_ema) and self.ready():
            if (leg := self.get_atm("CE", offset=1)) is not None:
                self.buy(leg, lots=1, sl="30%", tag=f"up {self.now:%H:%M}")
        best = sorted(self.get_opened_positions(), key=lambda p: p.get_pnl(), reverse=True)
        self.day.best = best[0] if best else None
        if self.day.best:
            self.log("best", pnl=self.day.best.get_pnl())
"""

NESTED = """
class Nested(Strategy):
    target = 1500.0

    def on_session_start(self):
        self.day.done = False
        self.count = getattr(self, "count", 0) + 1

    @every("5min", start="09:30", end="15:00")
    def look(self):
        def enough():
            return self.today_pnl >= self.target

        def worst():
            nonlocal_ = min((p.get_pnl() for p in self.get_opened_positions()), default=0.0)
            return nonlocal_

        if enough() or worst() < -3 * self.target:
            self._leave("enough")

    def _leave(self, why):
        self.log(why)
        self.exit_all()
        self.day.done = True

    @at("09:20:30", weekdays=("Thu",), dte=0)
    def enter(self):
        strikes = {r: self.get_atm(r) for r in ("CE", "PE")}
        if all(strikes.values()) and not self.day.done:
            for leg in strikes.values():
                self.sell(leg, 1)
"""

DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Optional

@dataclass
class Leg:
    contract: Contract
    entry: float
    opened: datetime = datetime(2024, 1, 1)
    notes: list[str] = field(default_factory=list)

    def stop(self) -> float:
        return self.entry * 1.25

class WithLegs(Strategy):
    until = time(15, 0)

    def init(self) -> None:
        self.legs: list[Leg] = []
        self.last: Optional[date] = None

    def on_fill(self, fill: Fill) -> None:
        self.legs.append(Leg(fill.contract, fill.price, opened=self.now))

    def on_bar(self) -> None:
        if self.now.time() >= self.until:
            self.exit_all()
        elif self.last != self.today:
            self.last = self.today
            self.sell(self.get_atm("PE"), lots=1)
        for leg in self.legs:
            if leg.contract.price > leg.stop():
                leg.notes.append("hit")
"""

FAMILY = """
class Base(Strategy):
    right = "CE"

    @at("open+5min")
    def enter(self):
        self.sell(self.pick(), lots=self.size())

    def size(self):
        return 1

class Calls(Base):
    def pick(self):
        return self.get_atm(self.right, offset=self.width)

    width = 2

    @at("close-15min")
    def leave(self):
        super().size()
        self.exit_all()
"""

MIXIN = """
class Logs:
    def note(self, text):
        self.lines.append(text)

class Counter:
    def __init__(self, start):
        self.n = start

    def next(self):
        self.n += 1
        return self.n

class Mixed(Logs, Strategy):
    def init(self):
        self.lines = []
        self.counter = Counter(3)

    def on_bar(self):
        self.note(str(self.counter.next()))

    def on_stop(self, fill, again=False):
        if self.random.random() < 0.5 and not again:
            self.buy(fill.contract, qty=fill.qty)
"""

PLOT = """
import matplotlib.pyplot as plt
import pandas as pd
import time

started = time.perf_counter()

class Plotted(Strategy):
    def on_bar(self):
        prices = pd.Series([1.0, 2.0]).shift(1).rolling(3).mean().ffill()
        last = prices.iloc[-1]
        back = prices[::-1]
        self.log("seen", last=last, back=back.iloc[0], n=[x for x in range(3) if x % 2])

fig, axes = plt.subplots(2, 1, figsize=(8, 4))
axes[0].plot([1, 2, 3], label=f"{Plotted.__name__}")
plt.show()
print(time.perf_counter() - started)
"""

NOTEBOOK_NAMES = """
class UsesNotebook(Strategy):
    lots = DEFAULT_LOTS

    def on_bar(self):
        now = self.now
        time = now.time()
        if time.hour == 10 and my_signal(self.spot.close):
            df = pd.DataFrame({"a": [1]})
            display(df)
            self.buy(self.option(22000, "CE"), lots=self.lots)
"""

THEIR_BASE = """
class Mine(MyBase):
    def on_bar(self):
        self.whatever()
        self.other_thing = self.some_value + 1

    def initialize(self):
        self.anything()
"""

STATE_MACHINE = """
import enum
import random as rnd

class State(enum.Enum):
    FLAT = 1
    SHORT = 2

rng = np.random.default_rng(42)
dice = rnd.Random(7)

class Machine(Strategy):
    state = State.FLAT
    levels = [0.2, 0.3]
    names = {"a": 1}
    best, worst = 1.0, 2.0

    @property
    def flat(self):
        return self.state is State.FLAT

    @staticmethod
    def width(vix):
        return 2 if vix > 15 else 1

    @classmethod
    def label(cls):
        return cls.__name__

    def on_bar(self):
        match self.state:
            case State.FLAT if self.flat:
                self.state = State.SHORT
                self.sell(self.get_atm("CE", offset=self.width(self.vix.price)), lots=1)
            case _:
                pass
        tries = 0
        while True:
            tries += 1
            if rng.random() > 0.5 or dice.random() > 0.5 or tries > 10:
                break
        self.log(self.label(), tries=tries)

    def on_end(self):
        for status in ("working", None):
            for order in self.get_orders(status=status):
                self.log(f"{order}")
        with np.errstate(all="ignore"):
            try:
                1 / 0
            except ZeroDivisionError as error:
                self.log(str(error))
"""

BESTBT_NAMES = """
import bestbt
from bestbt import at as when_clock, Strategy as S

class Imported(S):
    limit = bestbt.param(3, min=1, max=9, help="trades a day")

    @when_clock("10:00")
    def first(self):
        if self.get_pnl() > -1000 and self.equity > self.balance * 0.5:
            self.do(self.exit_all)

    @on_expiry_day(at="15:00")
    def last(self, *rest, why="expiry"):
        self.do(lambda: self.exit_all())

    def do(self, action):
        action()
"""

CALLBACK = """
def on_done(self_like):
    return self_like

class Hooked(Strategy):
    def init(self):
        def on_bar(x):
            return x + 1
        self.step = on_bar
        self.actions = {"go": self.on_breakout}

    def on_bar(self):
        self.actions["go"](self.step(self.bar))

    def on_breakout(self, n):
        if hasattr(self, "level"):
            self.log(self.level)
        getattr(self, "on_" + "monday")()

    def on_monday(self):
        pass
"""

GENERATORS = """
import datetime as dt
from itertools import count

def numbers():
    n = 0
    while True:
        yield n
        n += 1

def first(it):
    try:
        while True:
            next(it)
    except StopIteration:
        return None

class Gen(Strategy):
    cutoff = dt.time(14, 30)
    hold = dt.timedelta(minutes=30)
    def init(self):
        self.ids = numbers()
        self.more = count(1)
        first(iter([]))
    def on_bar(self):
        n = next(self.ids)
        if self.now.time() < self.cutoff and (self.now + self.hold).date() == self.today:
            values = np.array([self.spot.close] * 3)
            self.log("n", n=n, rolled=np.roll(values, 1)[0], diff=np.diff(values)[-1])
"""

OTHER_CLASSES = """
import enum
from typing import NamedTuple, TypedDict
from pydantic import BaseModel

class Leg(NamedTuple):
    spot: float
    day: str = "Mon"

class Side(enum.Enum):
    buy = 1
    sell = 2

class Enough(Exception):
    def __init__(self, bar):
        super().__init__(bar)
        self.bar = bar

class Config(BaseModel):
    bar: int = 3

    @property
    def now(self):
        return self.bar

class Row(TypedDict):
    equity: float

class S(Strategy):
    config = Config()

    def on_bar(self):
        try:
            raise Enough(Leg(self.spot.close).spot)
        except Enough as enough:
            self.log(f"{enough.bar} {Side.buy} {self.config.now}")
"""


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param(MANUAL, (), id="manual"),
        pytest.param(HELPERS, (), id="helpers"),
        pytest.param(LAMBDAS, (), id="lambdas"),
        pytest.param(NESTED, (), id="nested"),
        pytest.param(DATACLASS, (), id="dataclass"),
        pytest.param(FAMILY, (), id="family"),
        pytest.param(MIXIN, (), id="mixin"),
        pytest.param(PLOT, (), id="plot"),
        pytest.param(NOTEBOOK_NAMES, ("DEFAULT_LOTS", "my_signal", "pd"), id="notebook names"),
        pytest.param(THEIR_BASE, ("MyBase",), id="their base"),
        pytest.param(STATE_MACHINE, (), id="state machine"),
        pytest.param(BESTBT_NAMES, (), id="bestbt names"),
        pytest.param(CALLBACK, (), id="callback"),
        pytest.param(GENERATORS, (), id="generators"),
        pytest.param(OTHER_CLASSES, (), id="other classes"),
        pytest.param("class Mine(MyBase):\n    stop = 3\n", ("MyBase",), id="a parameter set"),
        pytest.param(MANUAL, ("np", "time", "random", "at", "Strategy"), id="names bound before"),
    ],
)
def test_a_correct_cell_gives_no_problem(found, source, names):
    assert found(source, *names) == []
