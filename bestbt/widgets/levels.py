"""Levels: prices of what is held that are drawn across the chart, and its premium."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bestbt.charted import Charted
from bestbt.engine.prices import PriceColumns
from bestbt.units import Ordinal
from bestbt.widgets.format import decimal
from bestbt.widgets.payoff import Payoff
from bestbt.widgets.pointer import Level
from bestbt.widgets.protocol import Floats
from bestbt.widgets.scene import Held, Scene

__all__ = ["levels", "premium"]


def levels(scene: Scene, charted: Charted, payoff: Payoff | None) -> list[Level]:
    """Return what belongs on a chart of the underlying, or of one contract that is held.

    On the underlying strikes and breakevens; stops and targets are prices of options, so they are
    on the charts of these.
    """
    if charted.name == scene.symbol:
        strikes: dict[float, list[str]] = {}
        for h in scene.held:
            if h.strike is not None and h.symbol == scene.symbol:
                strikes.setdefault(h.strike, []).append(f"{_side(h)} {h.right}")
        found = [Level("strike", k, f"{k:g} {', '.join(t)}") for k, t in strikes.items()]
        zeros = payoff.breakevens if payoff is not None else ()
        return found + [Level("breakeven", zero, f"BE {zero:,.0f}") for zero in zeros]
    held = next((h for h in scene.held if h.name == charted.name), None)
    if held is None:
        return []
    found = [Level("entry", held.entry, f"entry {decimal(held.entry)}")]
    if held.sl is not None:
        found.append(Level("stop", held.sl, f"stop {decimal(held.sl)}"))
    if held.target is not None:
        found.append(Level("target", held.target, f"target {decimal(held.target)}"))
    return found


def _side(held: Held) -> str:
    return "long" if held.qty > 0 else "short"


def premium(
    scene: Scene, columns: Callable[[str], PriceColumns]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats] | None:
    """Return what it would have cost to close the options that are held, bar by bar.

    From the bar at which the newest of them was opened; in money, short options positive. None
    without options.
    """
    options = [h for h in scene.held if h.right is not None]
    if not options:
        return None
    first = max(h.opened for h in options)
    bars = np.arange(first, scene.bar + 1)
    cost = np.zeros(len(bars))
    for held in options:
        cost -= held.qty * _closes(columns(held.name), bars)
    return bars, cost


def _closes(columns: PriceColumns, bars: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    at: list[Ordinal] = np.clip(bars - columns.first, 0, columns.n - 1).tolist()
    return np.asarray(columns.marks[at] / columns.scale, dtype=np.float64)
