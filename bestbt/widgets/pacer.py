"""The browser's half of a view: it answers every other update once that is on the screen."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["Pacer", "static"]


def static(name: str) -> str:
    """Return a file for the browser.

    As text: of a path the library watches the file for changes, and keeps each widget for that.
    """
    return (Path(__file__).parent / "static" / name).read_text("utf-8")


class Pacer(anywidget.AnyWidget):
    """An invisible widget; it also brings the style sheet of the whole view, and finds it a place.

    *view* is the view's model: where a page that was loaded again has given up on it, it is put
    back.
    """

    _esm = static("pacer.js")
    _css = static("view.css")
    seq = traitlets.Int(0).tag(sync=True)
    ack = traitlets.Int(0).tag(sync=True, echo_update=False)
    view = traitlets.Unicode().tag(sync=True)
