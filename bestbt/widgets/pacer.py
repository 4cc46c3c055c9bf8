"""The browser's half of pacing: it answers each number once that update is on the screen."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["STATIC", "Pacer"]

STATIC = Path(__file__).parent / "static"


class Pacer(anywidget.AnyWidget):
    """An invisible widget; it also brings the style sheet of the whole view."""

    _esm = STATIC / "pacer.js"
    _css = STATIC / "view.css"
    seq = traitlets.Int(0).tag(sync=True)
    ack = traitlets.Int(0).tag(sync=True)
