"""PnL by day: as a calendar, and from the worst day to the best."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import anywidget
import numpy as np
import traitlets

from bestbt.units import Money
from bestbt.widgets.format import signed
from bestbt.widgets.pacer import static
from bestbt.widgets.protocol import Viewable

__all__ = ["Days", "day_pnl"]


def day_pnl(run: Viewable) -> list[tuple[date, Money]]:
    """Return the days that have closed, each with what it changed the equity by."""
    bars, equity = run.equity_so_far()
    changes = np.diff(np.concatenate(([run.capital], equity)))
    return [(run.grid.day(int(b)), float(c)) for b, c in zip(bars, changes, strict=True)]


class Days(anywidget.AnyWidget):
    """The days of a run.

    Parameters
    ----------
    picked
        Called with the day that is clicked.
    """

    _esm = static("days.js")
    days: traitlets.List[list[Any]] = traitlets.List([]).tag(sync=True)

    def __init__(self, picked: Callable[[date], object]) -> None:
        super().__init__()
        self._picked = picked
        self.on_msg(self._message)

    def show(self, days: list[tuple[date, Money]], currency: str) -> None:
        """Show these days: date, share of the largest move, text."""
        largest = max((abs(pnl) for _, pnl in days), default=0.0) or 1.0
        self.days = [
            [f"{day:%Y-%m-%d}", round(pnl / largest, 4), signed(pnl, currency)] for day, pnl in days
        ]

    def _message(self, _: object, content: Any, __: object) -> None:
        day = content.get("day") if isinstance(content, dict) else None
        if any(day == known[0] for known in self.days):
            self._picked(date.fromisoformat(str(day)))
