"""The browser's half of a pane: crosshair, tags and lines, and what the pointer does there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple, TypeAlias

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from bestbt.engine.grid import Grid
from bestbt.units import SECOND, Ordinal
from bestbt.widgets.pacer import static
from bestbt.widgets.protocol import Floats

__all__ = ["Level", "LevelKind", "Pointer", "clock"]

LevelKind: TypeAlias = Literal["strike", "stop", "target", "breakeven", "entry"]

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400


class Level(NamedTuple):
    """A price that is marked by a line across the chart, with words at its right end."""

    kind: LevelKind
    price: float
    text: str


class Pointer(anywidget.AnyWidget):
    """What lies over one pane; it stands in a box of class `bt-pane`, beside the pane's figure.

    Parameters
    ----------
    x, y
        The pane's scales.
    clicked
        Called with the bar of a click.
    whole
        Called at a double click.
    traits
        `clock`, `extent`, `title`, `currency`, `timed` (whether the time is told below).

    Notes
    -----
    Pictures move in the browser alone; what comes back is the scale of time, when it has moved,
    and the bar of a click.
    """

    _esm = static("pointer.js")
    _css = static("chart.css")
    x = traitlets.Instance(widgets.Widget).tag(sync=True, **widgets.widget_serialization)
    y = traitlets.Instance(widgets.Widget).tag(sync=True, **widgets.widget_serialization)
    clock = traitlets.Dict().tag(sync=True)
    extent: Any = traitlets.List().tag(sync=True)  # ordinals between which the axis may move
    widest = traitlets.Float(float(2**53)).tag(sync=True)  # bars that may be seen at once
    title = traitlets.Unicode().tag(sync=True)
    currency = traitlets.Unicode().tag(sync=True)  # of what the pane shows; none: prices
    timed = traitlets.Bool(False).tag(sync=True)
    tags: Any = traitlets.List().tag(sync=True)
    marks: Any = traitlets.List().tag(sync=True)
    columns: Any = traitlets.List().tag(sync=True)  # names of what is told of the bar pointed at
    rows = traitlets.Bytes(b"").tag(sync=True)  # ordinals, then each column, float64

    def __init__(
        self,
        x: widgets.Widget,
        y: widgets.Widget,
        clicked: Callable[[Ordinal], None],
        whole: Callable[[], None],
        **traits: Any,
    ) -> None:
        super().__init__(x=x, y=y, **traits)
        self._clicked, self._asked_whole = clicked, whole
        self.on_msg(self._told)

    def _told(self, _: object, content: Any, __: object) -> None:
        if not isinstance(content, dict):
            return
        bar = content.get("click")
        if isinstance(bar, int) and self.extent[0] <= bar <= self.extent[1]:
            self._clicked(bar)
        elif content.get("whole") is True:
            self._asked_whole()

    def tell(self, **rows: Floats) -> None:
        """Send what is told of each bar; the first array is the ordinals."""
        names = [name.strip("_") for name in rows][1:]
        data = np.ascontiguousarray(list(rows.values()), dtype=np.float64).tobytes()
        with self.hold_sync():
            self.columns, self.rows = names, data

    def tag(self, levels: Sequence[Level], last: float | None = None, rising: bool = True) -> None:
        """Mark prices on the scale: *levels*, and the newest price."""
        tags: list[dict[str, Any]] = [level._asdict() for level in levels]
        if last is not None:
            kind = "last bt-rising" if rising else "last bt-falling"
            tags.append({"kind": kind, "price": last, "text": ""})
        self.tags = tags


def clock(grid: Grid, first: Ordinal, last: Ordinal) -> dict[str, Any]:
    """Return what turns a bar into the exchange's local time without a table of every bar.

    Returns
    -------
    dict
        `bars`: the first bar of each stretch without a break; `seconds`: its local time in
        seconds since 1970 by the exchange's own clock; `step`: seconds of a bar.
    """
    starts = grid.starts[first : last + 1]
    session = grid.session_of[first : last + 1]
    begins = np.ones(len(starts), dtype=bool)
    begins[1:] = (np.diff(starts) != grid.step) | (np.diff(session) != 0)
    at = np.flatnonzero(begins)
    seconds = [
        (grid.sessions[s].day.toordinal() - _EPOCH) * _DAY + (t - grid.midnight(s)) / SECOND
        for s, t in zip(session[at].tolist(), starts[at].tolist(), strict=True)
    ]
    return {"bars": (at + first).tolist(), "seconds": seconds, "step": grid.step / SECOND}
