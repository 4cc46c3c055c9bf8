"""Payoff: what the open positions are worth over the spot, at expiry and now."""

from __future__ import annotations

import math
from datetime import date
from typing import NamedTuple

import numpy as np

from bestbt.engine.pricing import black76
from bestbt.units import Price
from bestbt.widgets.protocol import Floats
from bestbt.widgets.scene import Held, Scene

__all__ = ["Payoff", "breakevens", "payoff"]

_REACH = 0.06  # of the spot, to each side, at the least
_POINTS = 241


class Payoff(NamedTuple):
    """Profit of the positions in one underlying over its spot, unrealized, before charges.

    `at_expiry` is that at the expiry of the nearest option; options that expire later are then
    worth what Black-76 gives them at their present volatility. `now` moves the spot at once.
    """

    here: Price  # the spot where the run stands
    spot: Floats
    at_expiry: Floats
    now: Floats
    expiry: date | None
    breakevens: tuple[Price, ...]
    left_out: int  # positions whose volatility is not known, or of other underlyings


def payoff(scene: Scene) -> Payoff | None:
    """Return the payoff of what is held in the scene's first symbol; None where nothing is.

    Forwards move with the spot, point by point; volatilities stay as they are.
    """
    if scene.spot is None:
        return None
    held = [h for h in scene.held if h.symbol == scene.symbol and _known(h)]
    if not held:
        return None
    options = [h for h in held if h.right is not None]
    nearest = min(options, key=lambda h: h.years, default=None)
    strikes = [h.strike for h in options if h.strike is not None]
    paid = sum(h.entry for h in options)  # breakevens lie about that far from the strikes
    reach = max([_REACH * scene.spot, *(1.5 * (abs(k - scene.spot) + paid) for k in strikes)])
    reach = min(reach, 0.95 * scene.spot)
    grid = np.linspace(scene.spot - reach, scene.spot + reach, _POINTS)
    spot = np.unique(np.concatenate((grid, np.asarray([*strikes, scene.spot]))))
    at_expiry, now = (
        sum((h.qty * (_worth(h, spot, scene.spot, years) - h.entry) for h in held), np.zeros(1))
        for years in (nearest.years if nearest is not None else 0.0, 0.0)
    )
    return Payoff(
        scene.spot,
        spot,
        at_expiry,
        now,
        None if nearest is None else nearest.expiry,
        breakevens(spot, at_expiry),
        len(scene.held) - len(held),
    )


def breakevens(spot: Floats, profit: Floats) -> tuple[Price, ...]:
    """Return where a profit that is straight between its points crosses zero.

    >>> breakevens(np.array([90.0, 100.0, 110.0]), np.array([-6.0, 4.0, -6.0]))
    (96.0, 104.0)
    """
    crosses = np.flatnonzero(np.sign(profit[:-1]) * np.sign(profit[1:]) < 0)
    share = profit[crosses] / (profit[crosses] - profit[crosses + 1])
    found = spot[crosses] + share * (spot[crosses + 1] - spot[crosses])
    return tuple(sorted([*found.tolist(), *spot[profit == 0].tolist()]))


def _known(held: Held) -> bool:
    return held.right is None or not math.isnan(held.iv + held.forward + held.years)


def _worth(held: Held, spot: Floats, here: Price, years: float) -> Floats:
    """Price of a unit over the spot, which is *here*, when this time has passed."""
    if held.right is None or held.strike is None:
        return np.asarray(held.price + spot - here)  # it moves with the spot
    left = held.years - years
    if left <= 0:
        over = spot - held.strike if held.right == "CE" else held.strike - spot
        return np.maximum(over, 0.0)
    forward = np.maximum(held.forward + spot - here, 0.01 * here)
    return black76(forward, held.strike, left, held.iv, held.right)
