"""Synthetic futures and options of one expiry: who is listed, who trades, at which prices.

Prices are Black-76 on the expiry's forward, undiscounted, with a smile in standard deviations; the
time value is computed once for the call and the put of a strike's bar, so that parity holds but
for half a tick of noise a side. On expiry day the forward turns into the settlement value as that
is being averaged, so the last print is the settlement's intrinsic value, or one tick.

The arithmetic on option bars is float32 and only ``+ - * /``, comparisons and a table: operations
that IEEE 754 rounds the same everywhere, so the same seed gives the same bytes on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import erf, floor, pi, sqrt

import numpy as np
import numpy.typing as npt

from bestbt.engine.ports import ContractSpec, ExpiryKind
from bestbt.markets.demo_index import (
    SCALE,
    TICK,
    Clock,
    Day,
    Floats,
    Ints,
    Underlying,
    implied_variance,
    stream,
)
from bestbt.units import DAY, POINTS, Right

__all__ = ["DatedExpiry", "Series", "futures", "normal_cdf", "options", "trades_a_minute"]

Singles = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

CARRY = 0.065  # forward over spot, per calendar year
SKEW, CURVE, WINGS = -0.10, 0.035, 4.0  # of the smile, per standard deviation; flat beyond WINGS
BAND = {"weekly": 0.05, "monthly": 0.06}  # strikes listed either side of the last close
# Trades a minute at the money, by how many expiries come before, and how many monthlies.
# An expiry is listed while it has a place in either.
BUSIEST = 300.0
TRADES_NEAR = (BUSIEST, 10.0, 1.2, 0.3)
TRADES_MONTH = (6.0, 0.6, 0.2)
TRADES_FUTURE = (400.0, 50.0, 5.0)
LOTS = 10  # traded in a bar with one expected trade, on average: LOTS × trades
HALTS = 0.15  # share of days on which a contract of the nearest expiry stands still
OPEN_LOTS = 100_000  # that open interest of a round strike at the money grows towards
RIGHTS: tuple[Right, Right] = ("CE", "PE")


@dataclass(frozen=True, slots=True)
class DatedExpiry:
    """An expiry, its terms, and its days on the grid while it is listed.

    For each of those days, `trades` holds the expected trades a minute at the money, `month` how
    many monthly expiries come before it, and `ahead` the years of variance between that day's
    close and the settlement.
    """

    day: date
    kind: ExpiryKind
    lot: int
    clock: Clock
    days: Sequence[Day]
    seasoned: bool  # listed before the first of them
    trades: Sequence[float]
    month: Sequence[int]
    ahead: Sequence[float]


def trades_a_minute(near: int, month: int | None) -> float:
    """Return the expected trades a minute at the money; 0 while the expiry is not listed.

    >>> trades_a_minute(0, 0), trades_a_minute(4, 1), trades_a_minute(4, None)
    (300.0, 0.6, 0.0)
    """
    as_near = TRADES_NEAR[near] if 0 <= near < len(TRADES_NEAR) else 0.0
    if month is None or not 0 <= month < len(TRADES_MONTH):
        return as_near
    return max(as_near, TRADES_MONTH[month])


@dataclass(frozen=True, slots=True)
class Series:
    """The live bars of one contract: starts (n,), points (4 n,) in path order, volume, oi (n,)."""

    spec: ContractSpec
    starts: Ints
    points: npt.NDArray[np.int32]
    volume: Ints | None
    oi: Ints | None


# --- the normal distribution ------------------------------------------------------------------

_REACH, _DENSITY = 6, 1024
_AT = np.arange(-_REACH * _DENSITY, _REACH * _DENSITY + 1) / _DENSITY
_HEIGHT = np.array([(1 + erf(x / sqrt(2))) / 2 for x in _AT.tolist()]).astype(np.float32)
_SLOPE = (np.exp(-_AT * _AT / 2) / sqrt(2 * pi) / _DENSITY).astype(np.float32)


def normal_cdf(x: Singles) -> Singles:
    """Standard normal distribution, to 1e-7: `math.erf` every 1/1024, and its tangents between.

    >>> normal_cdf(np.array([-1.0, 0.0, 1.96], np.float32)).round(6).tolist()
    [0.15865500271320343, 0.5, 0.9750019907951355]
    """
    y = np.clip(x, -_REACH, _REACH) * np.float32(_DENSITY)
    nearest = np.rint(y)
    i = nearest.astype(np.int32) + _REACH * _DENSITY
    found: Singles = _HEIGHT.take(i) + _SLOPE.take(i) * (y - nearest)
    return found


def _time_value(
    forward: Singles, strike: Singles, log_ratio: Singles, deviation: Singles
) -> Singles:
    """Price less intrinsic value, the same for call and put; arrays broadcast to (4, n).

    *log_ratio* is ln(forward / strike), *deviation* that of the forward at the money to expiry.
    The side out of the money is priced: there nothing large cancels.
    """
    z = np.clip(log_ratio / -deviation, np.float32(-WINGS), np.float32(WINGS))
    s = deviation * (1 + z * (np.float32(SKEW) + np.float32(CURVE) * z))
    side = np.copysign(np.float32(1), -log_ratio)  # +1: the call is out of the money
    d1 = log_ratio / s + s * np.float32(0.5)
    value = forward * normal_cdf(side * d1) - strike * normal_cdf(side * (d1 - s))
    found: Singles = np.maximum(value * side, np.float32(0))
    return found


# --- the forward ------------------------------------------------------------------------------


def _forward(expiry: DatedExpiry, i: int) -> Floats:
    """Forward at each point of the expiry's i-th day, in rupees, shape (4, n)."""
    day = expiry.days[i]
    years = (expiry.clock.close - day.moment) / (365 * DAY)
    forward: Floats = day.spot * (1 + CARRY * years)
    if day.clock.day == expiry.day:
        forward = day.fixed + (1 - day.settled) * forward
    return forward / SCALE


def _deviation(asset: Underlying, expiry: DatedExpiry, i: int) -> Floats:
    """Standard deviation of the log forward to expiry, as options ask for it, shape (4, n)."""
    day = expiry.days[i]
    tau = day.expiring if day.clock.day == expiry.day else day.left + expiry.ahead[i]
    found: Floats = np.sqrt(np.maximum(implied_variance(day.variance, tau, asset.vol) * tau, 4e-12))
    return found


def _ordered(raw: npt.NDArray[np.int32], high_first: Bools) -> npt.NDArray[np.int32]:
    """Put the extremes of (4, n) prices into rows 1 and 2, in order; return them as (n, 4)."""
    high = np.maximum(np.maximum(raw[0], raw[1]), np.maximum(raw[2], raw[3]))
    low = np.minimum(np.minimum(raw[0], raw[1]), np.minimum(raw[2], raw[3]))
    first, second = np.where(high_first, high, low), np.where(high_first, low, high)
    return np.stack((raw[0], first, second, raw[3]), axis=1)


def _noise(rng: np.random.Generator, n: int) -> Singles:
    """Up to a quarter of a tick either way, in ticks, shape (4, n)."""
    bits = rng.integers(0, 256, size=(POINTS, n), dtype=np.uint8)
    return (bits.astype(np.float32) - np.float32(127.5)) / np.float32(510)


def _traded(
    rng: np.random.Generator, rate: Singles, halted: Bools | None = None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Ints]:
    """Contract and minute of each live bar, in that order, and the lots traded in it.

    *rate* is the expected number of trades, shape (contracts, minutes).
    """
    chance = rate / (1 + rate)
    drawn = rng.random(rate.shape, dtype=np.float32)
    live = drawn < chance
    if halted is not None:
        live &= ~halted
    contract, minute = np.nonzero(live)
    size = drawn[live] / chance[live]  # uniform again, given that the bar is live
    lots = 1 + (rate[live] * np.float32(3 * LOTS) * size * size).astype(np.int64)
    return contract, minute, lots


# --- futures ----------------------------------------------------------------------------------


def futures(asset: Underlying, expiry: DatedExpiry, seed: int) -> Series:
    """Return the future of a monthly expiry over its listed days."""
    starts, points, volumes, interest = [], [], [], []
    held = 0.0
    for i, day in enumerate(expiry.days):
        rng = stream(seed, asset.symbol, "future", expiry.day, day.clock.day)
        n = len(day.clock.starts)
        rate = day.clock.activity * TRADES_FUTURE[expiry.month[i]]
        _, minute, lots = _traded(rng, rate.astype(np.float32)[None])
        ticks = _forward(expiry, i).astype(np.float32)[:, minute] * np.float32(SCALE / TICK)
        raw = np.rint(ticks + _noise(rng, len(minute))).astype(np.int32) * TICK
        target = OPEN_LOTS * (4.0, 1.0, 0.2)[expiry.month[i]]
        target *= 0.4 if day.clock.day == expiry.day else 1.0
        if i == 0 and expiry.seasoned:
            held = target * 0.6
        before, held = held, held + (target - held) * 0.3
        starts.append(day.clock.starts[minute])
        points.append(_ordered(raw, day.high_first[minute]))
        volumes.append(lots * expiry.lot)
        interest.append(
            (before + (held - before) * _heard(minute) / n).astype(np.int64) * expiry.lot
        )
    spec = ContractSpec("future", asset.symbol, expiry.day, lot=expiry.lot, tick=TICK, scale=SCALE)
    return Series(
        spec,
        np.concatenate(starts),
        np.concatenate(points).ravel(),
        np.concatenate(volumes),
        np.concatenate(interest),
    )


def _heard(minute: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Open interest is published every three minutes."""
    return minute // 3 * 3


# --- options ----------------------------------------------------------------------------------


def options(asset: Underlying, expiry: DatedExpiry, seed: int) -> Iterator[Series]:
    """Yield the options of an expiry, by strike, calls before puts; those that ever traded."""
    low, high = _listed(asset, expiry)
    ladder = np.arange(low[-1], high[-1] + 1)  # strikes in steps; contract 2 j + right
    strikes = ladder * float(asset.step)
    fame = np.where(strikes % asset.round_ == 0, 1.6, 1.0)
    fame = np.where(strikes % asset.rounder == 0, 3.0, fame)
    held = np.zeros((len(ladder), 2))

    parts: list[tuple[npt.NDArray[np.int32], Ints, npt.NDArray[np.int32], Ints, Ints]] = []
    for i, day in enumerate(expiry.days):
        rng = stream(seed, asset.symbol, "option", expiry.day, day.clock.day)
        base = low[i] - low[-1]
        here = slice(base, base + high[i] - low[i] + 1)
        strike = np.repeat(strikes[here], 2)
        n = len(day.clock.starts)
        forward, deviation = _forward(expiry, i), _deviation(asset, expiry, i)

        # Who trades: near the money, round strikes, out rather than in the money, near expiries.
        put = np.arange(len(strike)) % 2 == 1
        z = np.log(strike / forward[0, 0]) / deviation[0, 0]
        inside = np.where(put, z, -z) > 0
        appeal = np.repeat(fame[here], 2) * np.where(inside, 0.3, 1.0)
        rate = expiry.trades[i] * (0.7 + 0.6 * rng.random())
        rates = np.outer(rate * appeal / (1 + (z / 0.9) ** 4), day.clock.activity)
        halted = _halted(rng, rates) if expiry.trades[i] == BUSIEST else None
        contract, minute, lots = _traded(rng, rates.astype(np.float32), halted)

        # At which prices: one row for each price point, one column for each live bar.
        strike_of = strike.astype(np.float32)[contract]
        ratio = (np.log(forward)[:, minute] - np.log(strike)[contract]).astype(np.float32)
        forward_of = forward.astype(np.float32)[:, minute]
        value = _time_value(forward_of, strike_of, ratio, deviation.astype(np.float32)[:, minute])
        is_put = put[contract]
        sign = np.where(is_put, np.float32(-1), np.float32(1))
        value += np.maximum(sign * (forward_of - strike_of), np.float32(0))
        ticks = np.rint(value * np.float32(SCALE / TICK) + _noise(rng, len(minute)))
        raw = np.maximum(ticks, np.float32(1)).astype(np.int32) * TICK

        # Open interest goes towards its target, and half of it leaves on the last day.
        size = OPEN_LOTS * sqrt(expiry.trades[i] / BUSIEST)
        target = (size * appeal / (1 + (z / 2) ** 2)).reshape(-1, 2)
        if i == 0 and expiry.seasoned:
            held[here] = target * 0.6
        before = held[here].copy()
        held[here] += (target - before) * 0.3
        if day.clock.day == expiry.day:
            held[here] = before * 0.5
        start, change = before.ravel(), (held[here] - before).ravel()
        oi = (start[contract] + change[contract] * _heard(minute) / n).astype(np.int64)
        parts.append(
            (
                (contract + 2 * base).astype(np.int32),
                day.clock.starts[minute],
                _ordered(raw, day.high_first[minute] ^ is_put),
                lots * expiry.lot,
                oi * expiry.lot,
            )
        )

    contracts = np.concatenate([p[0] for p in parts])
    order = np.argsort(contracts, kind="stable")  # by contract, each in order of time
    starts, points, volume, oi = (
        np.concatenate([p[k] for p in parts])[order] for k in (1, 2, 3, 4)
    )
    ends = np.cumsum(np.bincount(contracts, minlength=2 * len(ladder))).tolist()
    for c, (a, b) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if b > a:
            spec = ContractSpec(
                "option",
                asset.symbol,
                expiry.day,
                float(strikes[c // 2]),
                RIGHTS[c % 2],
                lot=expiry.lot,
                tick=TICK,
                scale=SCALE,
            )
            yield Series(spec, starts[a:b], points[a:b].ravel(), volume[a:b], oi[a:b])


def _listed(asset: Underlying, expiry: DatedExpiry) -> tuple[list[int], list[int]]:
    """Lowest and highest listed strike of each day, in steps: what is once listed stays."""
    low: list[int] = []
    high: list[int] = []
    band = BAND[expiry.kind]
    for day in expiry.days:
        spot = day.previous / SCALE / asset.step
        low.append(min(floor(spot * (1 - band)), *low[-1:], floor(spot)))
        high.append(max(-floor(-spot * (1 + band)), *high[-1:], floor(spot)))
    return low, high


def _halted(rng: np.random.Generator, rates: Floats) -> Bools | None:
    """Minutes in which one of the busiest contracts stands still, on the days that have such."""
    if rng.random() >= HALTS:
        return None
    mask = np.zeros(rates.shape, dtype=bool)
    busiest = np.flatnonzero(rates[:, 0] > 0.3 * rates[:, 0].max())
    first = int(rng.integers(0, rates.shape[1]))
    mask[rng.choice(busiest), first : first + int(rng.integers(5, 16))] = True
    return mask
