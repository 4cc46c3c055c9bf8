"""Breakpoints: where a run comes to rest."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from bestbt.engine.events import EVENTS
from bestbt.widgets.hand import Hand
from bestbt.widgets.protocol import Movable, Viewable
from bestbt.widgets.table import Table

__all__ = ["Breakpoints"]

_ASKS = "an event, a condition or a line, and Enter: stop, pnl < -5000, line 12"


class Breakpoints:
    """A box to set one, and those that are set; a click takes one out.

    Parameters
    ----------
    changed
        Called when one was set or taken out.
    """

    def __init__(self, run: Viewable, hand: Hand, changed: Callable[[], object]) -> None:
        self._run, self._hand, self._changed = run, hand, changed
        self._asked = widgets.Combobox(
            placeholder=_ASKS,
            options=[*EVENTS, "pnl < -5000", "line 12"],
            continuous_update=False,
        )
        self._asked.add_class("bt-break-at")
        self._asked.observe(self._set, "value")
        self._table = Table((("The run comes to rest at", False),), self._drop, hint="take it out")
        self.box = widgets.VBox([self._asked, self._table])
        self.box.add_class("bt-breakpoints")

    def draw(self) -> None:
        """Show those that are set."""
        found = list(self._run.bt.breakpoints)
        note = "" if found else "None is set: the run plays to its end, or until you pause it."
        self._table.fill(([[one] for one in found], [0] * len(found)), note)

    def _set(self, change: dict[str, str]) -> None:
        asked = change["new"].strip()
        if asked:
            self._asked.value = ""

            def set_one(bt: Movable) -> None:
                bt.break_at(asked)
                self._changed()

            self._hand.do(set_one)

    def _drop(self, row: int) -> None:
        def drop(bt: Movable) -> None:
            del bt.breakpoints[row]
            self._changed()

        self._hand.do(drop)
