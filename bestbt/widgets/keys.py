"""Keys: what the keyboard does while the view has the focus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import anywidget
import traitlets

from bestbt.widgets.pacer import static

__all__ = ["HELP", "Keys", "help_html"]

HELP: tuple[tuple[tuple[str, ...], str], ...] = (
    ((" ",), "play, pause"),
    (("ArrowLeft", "ArrowRight"), "a bar back, a bar on"),
    (("Shift+ArrowLeft", "Shift+ArrowRight"), "15 bars"),
    (("[", "]"), "the fill before, the next fill"),
    ((",", "."), "the close of the session before, of this one"),
    (("s",), "to the next stop"),
    (("e",), "to the next expiry"),
    (("g",), "go to a time, an event or a condition"),
    (("c",), "the full chain"),
    (("w",), "why: what the cell did at this bar"),
    (("b",), "block entries for the day"),
    (("x",), "exit all (asks)"),
    (("1", "2", "3", "4", "5"), "candles of 1, 5, 15 minutes, 1 hour, 1 day"),
    (("?",), "these keys"),
)
"""Names of keys as browsers give them, and what each does."""

_SHOWN = {" ": "space", "ArrowLeft": "←", "ArrowRight": "→"}


class Keys(anywidget.AnyWidget):
    """Hears the keys of a view; it has no face.

    Parameters
    ----------
    actions
        What to call, by the name of the key. `g` is seen to in the browser.
    """

    _esm = static("keys.js")
    wanted: traitlets.List[str] = traitlets.List([]).tag(sync=True)

    def __init__(self, actions: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(wanted=[*actions, "g"])
        self._actions = actions
        self.on_msg(self._pressed)

    def _pressed(self, _: object, content: Any, __: object) -> None:
        key = content.get("key") if isinstance(content, dict) else None
        if isinstance(key, str) and key in self._actions:
            self._actions[key]()


def help_html() -> str:
    """Return the keys as a list."""
    rows = []
    for keys, text in HELP:
        shown = (_SHOWN.get(k.removeprefix("Shift+"), k.removeprefix("Shift+")) for k in keys)
        shift = "Shift " if keys[0].startswith("Shift+") else ""
        marks = " ".join(f"<kbd>{escape(shift + one)}</kbd>" for one in shown)
        rows.append(f"<div>{marks}<span>{escape(text)}</span></div>")
    return f'<div class="bt-help">{"".join(rows)}</div>'
