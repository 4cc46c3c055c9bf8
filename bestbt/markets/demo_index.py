"""The synthetic index: its path in three-second steps, its volatility, and the clock of both.

One trading day is a variance *clock* (how much of a day's variance each step carries: a U over the
session, a quarter of the day over the night) and one *path* drawn on it. The log volatility is a
random walk on that clock, pulled back over nights and tied to returns (leverage); a second, fast
factor makes calm and busy half hours; jumps come on top. Everything else of the synthetic market
(the volatility index, forwards, options) is read off this path at each bar's four price points, so
an option moves when, and in the order in which, its index does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Session
from bestbt.engine.ports import SettlementRule
from bestbt.units import MINUTE, Ns, RawPrice, half_up

__all__ = [
    "MARKET_VOL",
    "SCALE",
    "TICK",
    "Clock",
    "Day",
    "Underlying",
    "implied_variance",
    "simulate",
    "stream",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCALE, TICK = 100, 5  # paise; prices move in 0.05
FINE = 20  # steps of the path in a minute
STEP: Ns = MINUTE // FINE
FULL_DAY = 375  # minutes that carry a whole day's variance; shorter sessions carry less

# All volatilities are per year of 252 days of trading.
YEAR = 252
NIGHT = 0.25  # share of a day's variance that comes before the open
PULL = 0.5 ** (1 / 15)  # log volatility goes half way home in 15 days …
WANDER = 0.09  # … moves by this much a day …
LEVERAGE = -0.75  # … and against the index
BUSY, BUSY_PULL = 0.45, 0.5 ** (1 / 25)  # spread and per-minute memory of the fast factor
JUMPS, JUMP_MIN, JUMP_MEAN = 0.4, 0.0012, 0.001  # a day; least size; mean of what exceeds it
DRIFT = 0.06  # a year
MARKET_VOL = 0.12  # a year, in the long run: what the volatility index is about
PREMIUM = 1.12  # implied over realised volatility
GAP_DAYS = 0.15  # share of days on which the index misses a minute or two


@dataclass(frozen=True, slots=True)
class Underlying:
    """What a synthetic index starts from.

    `spot` is its level before the first day, `vol` its long-run volatility a year, `with_market`
    the correlation of its moves with the market's; strikes are every `step`, and traders like
    those divisible by `round_` and most those by `rounder`.
    """

    symbol: str
    spot: float
    vol: float
    with_market: float
    step: int
    round_: int
    rounder: int


def stream(seed: int, *key: str | date) -> np.random.Generator:
    """Return the random stream of one thing (an index's day, an expiry's day).

    Each has its own, so that adding days, expiries or symbols changes none that were there.

    >>> stream(7, "NIFTY", date(2024, 1, 1)).integers(1000) == stream(7, "NIFTY").integers(1000)
    np.False_
    """
    words = [k.toordinal() if isinstance(k, date) else int.from_bytes(k.encode()) for k in key]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


class Clock:
    """How one session's variance is spread over its steps, and how its index settles.

    Parameters
    ----------
    session
        The trading day of the derivatives.
    rule
        How the day's settlement value comes about.
    midnight
        UTC time of the day's local midnight.
    index_parts
        When the index itself is disseminated (from 2026-08-03 on it stops before the derivatives).

    Attributes
    ----------
    elapsed : ndarray of float64, shape (FINE n,)
        Years of variance from the open to the end of each step; `total` is all of it and of the
        night before.
    expiring : ndarray of float64, shape (FINE n,)
        Years of variance left in the *settlement value*: while an average is being taken, what is
        already in it no longer moves. `expiring_total` is all of it and of the night before.
    settled : ndarray of float64, shape (FINE n,)
        Share of the settlement value that is known.
    """

    def __init__(
        self,
        session: Session,
        rule: SettlementRule,
        midnight: Ns,
        index_parts: tuple[tuple[Ns, Ns], ...],
    ) -> None:
        self.day = session.day
        self.close = session.close
        runs = [np.arange(a, b, MINUTE, dtype=np.int64) for a, b in session.parts]
        self.starts: Ints = np.concatenate(runs)
        n = len(self.starts)
        minute = np.arange(n)
        # A U fitted by eye to index minutes: wild first minutes, quiet noon, a rise at the end.
        deviation = 0.8 + np.exp(-minute / 2) + 0.7 * np.exp(-minute / 25)
        deviation += 0.25 * np.exp((minute + 1 - n) / 15)
        self.activity: Floats = deviation**2 * n / np.cumsum(deviation**2)[-1]
        share = np.repeat(self.activity / n, FINE) / FINE
        share *= (1 - NIGHT) / YEAR * n / FULL_DAY
        self.share: Floats = share
        self.elapsed: Floats = np.cumsum(share)
        self.total = float(self.elapsed[-1]) + NIGHT / YEAR

        self.moments: Ints = (self.starts[:, None] + STEP * np.arange(1, FINE + 1)).ravel()
        self.disseminated = np.zeros(n, dtype=bool)
        for a, b in index_parts:
            self.disseminated |= (self.starts >= a) & (self.starts < b)
        last = index_parts[-1][1]
        if rule.window is not None:
            self.settling = (self.moments > last - rule.window) & (self.moments <= last)
        else:
            after = int(np.searchsorted(self.moments, midnight + (rule.after or 0), side="right"))
            self.settling = np.arange(n * FINE) == min(after, n * FINE - 1)
        self.count = int(np.count_nonzero(self.settling))
        self.settled: Floats = np.cumsum(self.settling) / self.count
        moving = 1 - np.concatenate(([0.0], self.settled[:-1]))
        left = np.cumsum((share * moving**2)[::-1])[::-1]
        self.expiring_total = float(left[0]) + NIGHT / YEAR
        self.expiring: Floats = np.append(left[1:], 0.0)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the index, read at the four price points of each minute; arrays of (4, n).

    Row 0 is the open, 1 and 2 the extremes in the order in which they came, 3 the close.
    """

    clock: Clock
    previous: RawPrice  # official close of the day before
    close: RawPrice  # official close: the mean of the last half hour
    spot: Ints  # raw
    high_first: npt.NDArray[np.bool_]  # (n,)
    live: npt.NDArray[np.bool_]  # (n,) minutes in which the index was disseminated
    moment: Ints  # UTC ns
    variance: Floats  # a year
    left: Floats  # years of variance left today
    expiring: Floats  # the same, of the settlement value
    settled: Floats  # share of the settlement value that is known …
    fixed: Floats  # … and what it adds to it, raw
    vix: npt.NDArray[np.int32]  # the volatility index's own points, raw


def implied_variance(variance: Floats, tau: Floats | float, vol: float) -> Floats:
    """Variance a year that options over *tau* years of the clock ask for, at the money.

    It is the mean of a variance on its way home, times a premium: the term structure.

    >>> tau = np.array([0.001, 0.1, 10])
    >>> np.sqrt(implied_variance(np.full(3, 0.04), tau, 0.1)).round(3).tolist()
    [0.223, 0.165, 0.113]
    """
    x = np.maximum(-2 * log(PULL) * YEAR * tau, 1e-12)
    mixed: Floats = PREMIUM**2 * (vol**2 + (variance - vol**2) * (-np.expm1(-x) / x))
    return mixed


def simulate(asset: Underlying, clocks: Iterable[Clock], seed: int) -> Iterator[Day]:
    """Draw the index day by day; a longer range begins with the days of a shorter one."""
    level, stress = log(asset.spot), 0.0
    previous = half_up(round(asset.spot * SCALE), TICK) * TICK
    spread = WANDER**2 / (1 - PULL**2)  # variance of the log volatility in the long run
    other, rest = sqrt(1 - LEVERAGE**2), sqrt(1 - asset.with_market**2)
    for clock in clocks:
        rng = stream(seed, "market", clock.day)  # of all indexes: they share one mood
        alone = stream(seed, asset.symbol, clock.day)
        n = len(clock.starts)

        # Over the night: one draw, now and then from a wide one.
        wide = 2.2 if rng.random() < 0.08 else 1.0
        shock, own = rng.standard_normal(2).tolist()
        shock *= wide / 1.146  # brings the mixture back to variance one
        vol = asset.vol * exp(stress - spread)
        moved = asset.with_market * shock + rest * float(alone.standard_normal())
        level += DRIFT / YEAR + vol * sqrt(NIGHT / YEAR) * moved
        stress = PULL * stress + WANDER * sqrt(NIGHT) * (LEVERAGE * shock + other * own)

        # Over the day: steps of three seconds.
        shocks = rng.standard_normal(n * FINE)
        owns = rng.standard_normal(n * FINE)
        drawn = rng.standard_normal(n + 1) * BUSY
        drawn[1:] *= sqrt(1 - BUSY_PULL**2)
        jumps = np.zeros(n * FINE)
        for at in rng.integers(0, n * FINE, rng.poisson(JUMPS * n / FULL_DAY)).tolist():
            size = JUMP_MIN + JUMP_MEAN * rng.standard_exponential()
            jumps[at] = size if rng.random() < 0.4 else -size
            drawn[at // FINE + 1] += 2 * BUSY  # a jump leaves the market excited
        busy = np.array(list(accumulate(drawn.tolist(), lambda y, e: BUSY_PULL * y + e))[1:])

        walk = WANDER * np.sqrt(clock.share * YEAR) * (LEVERAGE * shocks + other * owns)
        path = np.clip(stress + np.cumsum(walk - 30 * jumps), -0.9, 1.3)
        mood = np.exp(2 * (path - spread))
        variance = asset.vol**2 * mood
        pace = np.repeat(np.exp(busy - BUSY**2), FINE)
        moves = asset.with_market * shocks + rest * alone.standard_normal(n * FINE)
        returns = np.sqrt(variance * clock.share) * pace * moves
        levels = level + np.cumsum(returns - variance * clock.share / 2 + jumps)
        raw = np.rint(np.exp(levels) * (SCALE / TICK)).astype(np.int64) * TICK
        level, stress = float(levels[-1]), float(path[-1])

        close = half_up(int(raw[clock.settling].sum()), clock.count * TICK) * TICK
        at, high_first = _points(raw.reshape(n, FINE))
        month = implied_variance(MARKET_VOL**2 * mood, 21 / YEAR, MARKET_VOL)
        vix = np.rint(np.sqrt(month) * 100 * SCALE).astype(np.int32)
        live = clock.disseminated.copy()
        prints = int(np.flatnonzero(clock.settling)[0]) // FINE
        spot = raw[at]
        if not live[prints]:  # one value after the closing auction, and no more that day
            live[prints] = True
            spot[:, prints:] = close
        if rng.random() < GAP_DAYS:
            gap = int(rng.integers(30, max(n - 60, 31)))
            live[gap : gap + int(rng.integers(1, 3))] = False
        yield Day(
            clock=clock,
            previous=previous,
            close=close,
            spot=spot,
            high_first=high_first,
            live=live,
            moment=clock.moments[at],
            variance=variance[at],
            left=clock.elapsed[-1] - clock.elapsed[at],
            expiring=clock.expiring[at],
            settled=clock.settled[at],
            fixed=(np.cumsum(raw * clock.settling) / clock.count)[at],
            vix=vix[_points(vix.reshape(n, FINE))[0]],
        )
        previous = close


def _points(fine: npt.NDArray[np.integer]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Steps at which each minute's four points lie, shape (4, n); whether the high came first."""
    n = len(fine)
    high, low = fine.argmax(axis=1), fine.argmin(axis=1)
    begin = np.arange(n, dtype=np.int64) * FINE
    first, second = np.minimum(high, low), np.maximum(high, low)
    return np.stack((begin, begin + first, begin + second, begin + FINE - 1)), high < low
