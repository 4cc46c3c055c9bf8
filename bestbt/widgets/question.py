"""A question that is answered before something is done that cannot be taken back easily."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as widgets

__all__ = ["Question"]


class Question:
    """A line with yes and no; hidden until something is asked."""

    def __init__(self) -> None:
        self._text = widgets.HTML()
        self._yes = widgets.Button(description="Yes", button_style="danger")
        self._no = widgets.Button(description="No")
        self._yes.add_class("bt-yes")
        self._no.add_class("bt-no")
        self._yes.on_click(self._agreed)
        self._no.on_click(lambda _: self._hide())
        self._do: Callable[[], object] = lambda: None
        self.box = widgets.HBox([self._text, self._yes, self._no], layout={"display": "none"})
        self.box.add_class("bt-question")

    def ask(self, text: str, do: Callable[[], object]) -> None:
        """Show a question; do it when it is answered with yes."""
        self._do = do
        self._text.value = f"<b>{escape(text)}</b>"
        self.box.layout.display = None

    def _agreed(self, _: object) -> None:
        self._hide()
        self._do()

    def _hide(self) -> None:
        self.box.layout.display = "none"
