"""A strip of tabs of which only the one that is seen is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import ipywidgets as widgets

__all__ = ["Drawn", "Tab", "Tabs"]


Drawn = tuple[widgets.Widget, Callable[[], object]]


class Tab(NamedTuple):
    """A tab: its name, what makes it, and what its drawing depends on.

    `make` gives what is shown and what draws it. Both are called on the publisher's thread: `make`
    when the tab is seen for the first time (a dozen panes at once would keep the first picture
    waiting), the other when it is seen and `key` gives another value than at the last time.
    """

    name: str
    make: Callable[[], Drawn]
    key: Callable[[], Hashable]


class Tabs:
    """Tabs under a view.

    Parameters
    ----------
    tabs
        From left to right.
    chosen
        Called when another is chosen; any thread.
    taken
        Called with the pane of a tab when that has been made.
    """

    def __init__(
        self,
        tabs: list[Tab],
        chosen: Callable[[], object],
        taken: Callable[[widgets.Widget], object] = lambda _: None,
    ) -> None:
        self._tabs, self._chosen, self._taken = {t.name: t for t in tabs}, chosen, taken
        self._made: dict[str, Drawn] = {}
        self._drawn: dict[str, Hashable] = {}
        self._strip = widgets.ToggleButtons(options=list(self._tabs), value=tabs[0].name)
        self._strip.add_class("bt-tabs")
        self._place = widgets.Box()
        self._place.add_class("bt-tab-panes")
        self._strip.observe(self._switch, "value")
        self.box = widgets.VBox([self._strip, self._place])
        self.box.add_class("bt-tabbed")

    @property
    def panes(self) -> list[widgets.Widget]:
        """Panes that have been made, also those that are not seen now."""
        return [pane for pane, _ in self._made.values()]

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
        if tab.name not in self._made:
            self._made[tab.name] = tab.make()
            self._taken(self._made[tab.name][0])
        self._place_seen()
        key = tab.key()
        if self._drawn.get(tab.name, _NEVER) != key:
            self._drawn[tab.name] = key
            self._made[tab.name][1]()

    def forget(self) -> None:
        """Draw all of them anew when they are seen again."""
        self._drawn.clear()

    def _switch(self, _: object) -> None:
        self._place_seen()
        self._chosen()

    def _place_seen(self) -> None:
        """Put the pane of the tab that is seen into its place, if it has been made."""
        made = self._made.get(self.seen)
        self._place.children = [] if made is None else [made[0]]


_NEVER = object()
