"""A strip of tabs of which only the one that is seen is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import ipywidgets as widgets

__all__ = ["Tab", "Tabs"]


class Tab(NamedTuple):
    """A tab: its name, what it shows, how it is drawn, and what that depends on.

    `draw` is called on the publisher's thread, when the tab is seen and `key` gives another value
    than at the last time.
    """

    name: str
    pane: widgets.Widget
    draw: Callable[[], object]
    key: Callable[[], Hashable]


class Tabs:
    """Tabs under a view.

    Parameters
    ----------
    tabs
        From left to right.
    chosen
        Called when another is chosen; any thread.
    """

    def __init__(self, tabs: list[Tab], chosen: Callable[[], object]) -> None:
        self._tabs, self._chosen = {t.name: t for t in tabs}, chosen
        self._drawn: dict[str, Hashable] = {}
        self._strip = widgets.ToggleButtons(options=list(self._tabs), value=tabs[0].name)
        self._strip.add_class("bt-tabs")
        self._stack = widgets.Stack([t.pane for t in tabs], selected_index=0)
        self._stack.add_class("bt-tab-panes")
        self._strip.observe(self._switch, "value")
        self.box = widgets.VBox([self._strip, self._stack])
        self.box.add_class("bt-tabbed")

    @property
    def names(self) -> list[str]:
        """From left to right."""
        return list(self._tabs)

    @property
    def seen(self) -> str:
        """Name of the tab that is seen."""
        return str(self._strip.value)

    def show(self, name: str) -> None:
        """Choose a tab."""
        self._strip.value = name

    def draw(self, name: str = "") -> None:
        """Draw a tab, the one that is seen unless another is named, if something in it is new."""
        tab = self._tabs[name or self.seen]
        key = tab.key()
        if self._drawn.get(tab.name, _NEVER) != key:
            self._drawn[tab.name] = key
            tab.draw()

    def forget(self) -> None:
        """Draw all of them anew when they are seen again."""
        self._drawn.clear()

    def _switch(self, _: object) -> None:
        self._stack.selected_index = list(self._tabs).index(self.seen)
        self._chosen()


_NEVER = object()
