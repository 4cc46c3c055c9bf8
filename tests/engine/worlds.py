"""What "any market" means: the one place that generates it.

A `World` is plain data, so that the engine and the reference engine can be given the same one and
share nothing else. Structure is drawn by hypothesis (it shrinks); the prices come from a drawn
seed. `WorldFeed` and `WorldMarket` hand a world to the engine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from bestbt.engine.fees import NoFees
from bestbt.engine.grid import Grid, Session, utc_ns
from bestbt.engine.ports import ContractSpec, Expiry, Listing, LotChange, SettlementRule
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.testing import MemoryFeed
from bestbt.units import MINUTE, Right

Quad = tuple[int, int, int, int]  # open, high, low, close; raw
Quote = tuple[int, int]  # bid, ask at the bar's close; raw; 0: that side is missing
IST = ZoneInfo("Asia/Kolkata")
SYMBOL = "NIFTY"
TICK = 5

# Any market


@dataclass(frozen=True)
class Day:
    """A session: its date, and its parts as (minute of the day, bars)."""

    date: date
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Option:
    """An option with one quad, or None for no trade, for each bar of the grid.

    `dead` ones are in the listing from the start and never trade. A quoted one has a quote for
    each bar (what it says of a bar that is not live counts for nothing), and may have volumes.
    """

    expiry: date
    strike: int
    right: Right
    lot: int
    bars: tuple[Quad | None, ...]
    dead: bool = False
    quotes: tuple[Quote, ...] | None = None
    volume: tuple[int, ...] | None = None
    relot: tuple[date, int] | None = None  # until when, exclusive, a lot was how many units

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
    monthly: tuple[date, ...] = ()  # expiries that are

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


def _quotes(rng: random.Random, bars: list[Quad | None]) -> tuple[Quote, ...]:
    """Quotes about each close: sides are missing, and the last price is often outside of them."""
    missing = rng.choice((0.0, 0.1, 0.5))
    quotes = []
    for bar in bars:
        mid = (bar[3] if bar is not None else 200) // TICK + rng.choice((0, 0, 0, -4, -1, 2, 5))
        bid = max(mid - rng.choice((0, 1, 1, 3)), 1)
        ask = max(mid + rng.choice((1, 1, 2, 4)), bid)
        quotes.append((
            0 if rng.random() < missing else bid * TICK,
            0 if rng.random() < missing else ask * TICK,
        ))  # fmt: skip
    return tuple(quotes)


def _volumes(rng: random.Random, n: int) -> tuple[int, ...]:
    quiet = rng.choice((0.1, 0.6))
    return tuple(0 if rng.random() < quiet else rng.choice((50, 750, 1000)) for _ in range(n))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    step = draw(st.sampled_from([1, 1, 5]))
    today = draw(st.sampled_from([date(2024, 1, 25), date(2024, 1, 29), date(2023, 12, 28)]))
    days = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.sampled_from([1, 3, 6, 9, 14]))
        parts = [(555, first)]
        if draw(st.booleans()) and first < 7:
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
    far = today + timedelta(days=30)
    expiries = draw(st.lists(st.sampled_from(sorted({*dates, far})), min_size=1, max_size=3))
    if draw(st.booleans()):
        expiries.append(far)  # there is one to roll to
    monthly = tuple(e for e in sorted(set(expiries)) if rng.random() < 0.4)
    options = []
    quoted = draw(st.sampled_from([0.0, 0.5, 1.0]))
    for expiry in sorted(set(expiries)):
        left = sum(c for d, c in zip(days, counts, strict=True) if d.date <= expiry)
        lot = rng.choice((50, 50, 75))
        later = [d.date for d in days[1:] if d.date <= expiry]
        relot = None
        if later and rng.random() < 0.3:
            relot = rng.choice(later), rng.choice((25, 40, 75, 100))
        for strike in draw(st.sampled_from([(100,), (100, 105), (100, 105, 110)])):
            for right in ("CE", "PE"):
                option = _option(rng, expiry, strike, right, lot, n, left, quoted)
                options.append(replace(option, relot=relot))
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
        monthly,
    )


def _option(
    rng: random.Random, expiry: date, strike: int, right: Right, lot: int, n: int, left: int,
    quoted: float,
) -> Option:  # fmt: skip
    stale = rng.choice((0.0, 0.0, 0.2, 0.6, 0.95))
    bars = _walk(rng, left, rng.choice((10, 40, 400)) * TICK, TICK, stale, TICK)
    late = rng.choice((0, 0, 0, left // 2))
    if rng.random() < 0.7 and bars and late < left:
        bars[late] = bars[late] or (200, 205, 195, 200)
    bars[:late] = [None] * late
    dead = rng.random() < 0.07
    if dead:
        bars = [None] * left
    bars += [None] * (n - left)
    quotes = _quotes(rng, bars) if rng.random() < quoted else None
    volume = _volumes(rng, n) if rng.random() < 0.7 else None
    return Option(expiry, strike, right, lot, tuple(bars), dead, quotes, volume)


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
        if o.dead or whole <= after + 1:
            options.append(o)
            continue
        bars = turn(o.bars, TICK, 0.3, whole)
        quotes, volume = o.quotes, o.volume
        if quotes is not None:
            quotes = quotes[: after + 1] + _quotes(rng, list(bars))[after + 1 :]
        if volume is not None:
            volume = volume[: after + 1] + _volumes(rng, world.n)[after + 1 :]
        options.append(replace(o, bars=bars, quotes=quotes, volume=volume))
    return replace(world, index=tuple(index), options=tuple(options))


def first_sessions(world: World, count: int) -> World:
    """Return a world whose data end with a session."""
    days = world.days[:count]
    n = sum(bars for d in days for _, bars in d.parts)
    options = tuple(
        replace(
            o,
            bars=o.bars[:n],
            quotes=o.quotes[:n] if o.quotes is not None else None,
            volume=o.volume[:n] if o.volume is not None else None,
        )
        for o in world.options
    )
    return replace(world, days=days, index=world.index[:n], options=options)


# As the engine takes it


class WorldMarket:
    """The dated facts of a world."""

    tz = "Asia/Kolkata"
    currency = "₹"

    def __init__(self, world: World) -> None:
        self._rule, self._monthly = world.rule, world.monthly
        self._relots = {o.expiry: LotChange(*o.relot) for o in world.options if o.relot}

    def vix(self, symbol: str) -> str | None:
        return None

    def sessions(self, start: date, end: date, segment: str = "derivatives") -> list[Session]:
        days = (start + timedelta(days=i) for i in range((end - start).days + 1))
        return [Session(d, _parts(d, ((555, 375),), 1)) for d in days if d.weekday() < 5]

    def expiry_kind(self, symbol: str, expiry: date) -> Literal["weekly", "monthly"]:
        return "monthly" if expiry in self._monthly else "weekly"

    def lot_changes(self, symbol: str, expiry: date) -> list[LotChange]:
        return [self._relots[expiry]] if expiry in self._relots else []

    def settlement(self, symbol: str, day: date) -> SettlementRule:
        how, minutes = self._rule
        if how == "window":
            return SettlementRule(minutes * MINUTE)
        return SettlementRule(None, after=minutes * MINUTE)

    def settles_in_kind(self, symbol: str, expiry: date) -> bool:
        return True

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
                self._columns[o.spec] = _with_quotes(o, self._columns[o.spec])

    def expiries(self, symbol: str, asset: Any = "option") -> Any:
        days = {o.expiry for o in self.world.options}
        from_first = [d for d in sorted(days) if d >= self.world.days[0].date]
        return [Expiry(d, self.market.expiry_kind(symbol, d)) for d in from_first]

    def listed(self, symbol: str, expiry: date) -> list[Listing]:
        dead = [Listing(o.spec, 0) for o in self.world.options if o.dead and o.expiry == expiry]
        return sorted(
            super().listed(symbol, expiry) + dead,
            key=lambda r: (r.spec.strike or 0, r.spec.right or ""),
        )


def _with_quotes(option: Option, plain: PriceColumns) -> PriceColumns:
    """Return the columns of an option once more, with what else is known of its live bars."""
    live = [i for i, bar in enumerate(option.bars) if bar is not None]
    quads = np.array([option.bars[i] for i in live], dtype=np.int64)

    def column(values: Any, kind: Any) -> Any:
        return None if values is None else np.array([values[i] for i in live], dtype=kind)

    quotes = option.quotes
    return PriceColumns.from_live(
        np.array(live, dtype=np.int64),
        path_points(*quads.T),
        plain.scale,
        end=plain.end,
        volume=column(option.volume, np.int64),
        bid=column(quotes and [q[0] for q in quotes], np.int32),
        ask=column(quotes and [q[1] for q in quotes], np.int32),
    )


def _parts(day: date, parts: tuple[tuple[int, int], ...], step: int) -> Any:
    def ns(minute: int) -> int:
        return utc_ns(datetime.combine(day, time(minute // 60, minute % 60), IST))

    return tuple((ns(m), ns(m) + bars * step * MINUTE) for m, bars in parts)


def _rupees(bars: tuple[Quad | None, ...]) -> list[Any]:
    return [None if b is None else [x / 100 for x in b] for b in bars]
