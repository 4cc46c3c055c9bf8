"""All that an update changes, as one message."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from ipywidgets import Widget

from bestbt.widgets.pacer import Pacer

__all__ = ["Parcel"]


class Parcel:
    """What the widgets of a view would send one by one, packed and sent together.

    A browser that is told of an update in twenty messages paints it in half a dozen pictures, each
    of which costs it as much as the whole. The page's half is the pacer's: it hands everything to
    the models at once.

    Parameters
    ----------
    pacer
        Carries parcels. Nothing is packed while it does not answer: what comes before its half of
        the page listens would be lost.
    """

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._packer: int | None = None  # the thread that packs; others send as they always do
        self._writing = False
        self._changed: dict[Widget, set[str]] = {}
        self._updates: list[tuple[str, dict[str, Any], int]] = []
        self._buffers: list[Any] = []
        self._sent: dict[Widget, set[str]] = {}  # what has ever come by parcel

    def take(self, widgets: Iterable[Widget]) -> None:
        """Have what these widgets send go into parcels from now on."""
        for widget in widgets:
            if widget.comm is not None and not isinstance(widget.comm, _Line):
                widget.comm = _Line(widget, self)

    def open(self) -> None:
        """Begin to pack what this thread changes."""
        for widget in [w for w in self._sent if w.comm is None]:  # closed
            del self._sent[widget]
        if self._pacer.ack and self._pacer.seq - self._pacer.ack < 2:
            self._packer = threading.get_ident()

    def send(self) -> None:
        """Send what has changed, as it is by now, and pack no more.

        What a click has changed on another thread meanwhile was answered at once: the value from
        before must not follow it.
        """
        changed, self._changed = self._changed, {}
        self._writing = True
        try:
            for widget, names in changed.items():
                if widget.comm is not None:
                    widget.send_state(names)
                    self._sent.setdefault(widget, set()).update(names)
        finally:
            self._writing, self._packer = False, None
        updates, self._updates = self._updates, []
        buffers, self._buffers = self._buffers, []
        if updates:
            self._pacer.send({"updates": updates}, buffers)

    def again(self) -> None:
        """Send what parcels brought so far: a page that was being loaded has missed some."""
        for widget, names in list(self._sent.items()):
            if widget.comm is not None:
                widget.send_state(names)

    def keep(self, widget: Widget, data: dict[str, Any], buffers: list[Any] | None) -> bool:
        """Keep a message of a widget back if it is one for the parcel."""
        if self._packer != threading.get_ident() or data.get("method") != "update":
            return False
        if self._writing:
            self._updates.append((widget.model_id, data, len(buffers or ())))
            self._buffers += buffers or ()
        else:
            bytes_of = (path[0] for path in data["buffer_paths"])  # they are out of the state
            self._changed.setdefault(widget, set()).update(data["state"], bytes_of)
        return True


class _Line:
    """A widget's line to the browser, with a parcel on the way."""

    def __init__(self, widget: Widget, parcel: Parcel) -> None:
        self._widget, self._comm, self._parcel = widget, widget.comm, parcel

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        if not self._parcel.keep(self._widget, data, buffers):
            self._comm.send(data=data, metadata=metadata, buffers=buffers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._comm, name)
