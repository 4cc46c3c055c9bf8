"""The option chain as a table: calls left, puts right, strikes between them.

ChainScene --rows of float64 in one buffer, words as JSON--> texts of cells that stay
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import anywidget
import numpy as np
import traitlets

from bestbt.widgets.chain_scene import ChainScene, Side
from bestbt.widgets.pacer import static
from bestbt.widgets.protocol import Floats

__all__ = ["FIELDS", "ChainTable", "pack", "window"]

NOTHING = "No options of this symbol are listed at this bar."

_SIDE = (
    *("oi", "oi_change", "volume", "iv", "delta", "gamma", "theta", "vega"),
    *("bid", "ask", "last", "age", "own"),
)
_FLAGS = ("listed", "old", "off", "itm")
# What a row of the buffer holds. float64: open interest of some strikes is too large to be exact
# in float32.
FIELDS = (
    *("strike", "straddle", "atm", "atm_synthetic"),
    *(f"{side}.{name}" for side in ("call", "put") for name in (*_SIDE, *_FLAGS)),
)


class ChainTable(anywidget.AnyWidget):
    """The chain of one expiry; it follows the clock by `show`, and rests in between.

    Parameters
    ----------
    picked
        Called with the name of what was clicked: `"NIFTY 2024-01-25 21500 CE"`, or of a strike
        `"STRADDLE 21500"`.
    expiry_chosen
        Called with the expiry chosen in the header; None: the nearest. The table does not change
        by itself: show it a scene of that expiry.
    around
        Strikes shown on each side of the money; None: all, with all columns, in a table that
        scrolls in itself.
    height
        Pixels of that table without its header line; with *around* the rows decide.
    """

    _esm = static("chain.js")
    _css = static("chain.css")
    fields = traitlets.List(list(FIELDS)).tag(sync=True)
    data = traitlets.Bytes(b"").tag(sync=True)
    meta: traitlets.Dict[str, Any] = traitlets.Dict({"note": NOTHING}).tag(sync=True)
    around = traitlets.Int(None, allow_none=True).tag(sync=True)
    height = traitlets.Int(320).tag(sync=True)

    def __init__(
        self,
        picked: Callable[[str], None] | None = None,
        expiry_chosen: Callable[[date | None], None] | None = None,
        around: int | None = 7,
        height: int = 320,
    ) -> None:
        super().__init__(around=around, height=height)
        self._picked, self._expiry_chosen = picked, expiry_chosen
        self._scene: ChainScene | None = None
        self.on_msg(self._message)

    def __repr__(self) -> str:
        return "<ChainTable>"

    def show(self, scene: ChainScene | None, why: str = NOTHING) -> None:
        """Show a chain, or say *why* there is none."""
        self._scene = scene
        with self.hold_sync():  # rows and words must not be seen apart
            if scene is None:
                self.data, self.meta = b"", {"note": why}
            else:
                self.data, self.meta = pack(scene, self.around), words(scene)

    def _message(self, _: object, content: Any, __: object) -> None:
        """Hear what was clicked; what the table does not show is not believed."""
        scene = self._scene
        if scene is None or not isinstance(content, dict):
            return
        if "expiry" in content:
            days: dict[Any, date | None] = {day.isoformat(): day for day in scene.expiries}
            days[None] = None
            chosen = content["expiry"]
            if (
                self._expiry_chosen is not None
                and isinstance(chosen, str | None)
                and chosen in days
            ):
                self._expiry_chosen(days[chosen])
            return
        name = _name(scene, content.get("strike"), content.get("right"))
        if name and self._picked is not None:
            self._picked(name)


def _name(scene: ChainScene, strike: Any, right: Any) -> str:
    """Name what was clicked as tables write it; empty where there is no such thing."""
    if not isinstance(strike, int | float) or right not in ("CE", "PE", ""):
        return ""
    at = np.flatnonzero(scene.strikes == strike)
    side = {"CE": scene.calls, "PE": scene.puts}.get(right)
    if not len(at) or (side is not None and not side.listed[at[0]]):
        return ""
    if side is None:
        return f"STRADDLE {strike:g}"
    return f"{scene.symbol} {scene.expiry} {strike:g} {right}"


def window(scene: ChainScene, around: int | None) -> slice:
    """Return which rows are shown: *around* on each side of the money, or all.

    Near the ends of the chain it moves inwards, so that the table keeps its height.
    """
    n = len(scene.strikes)
    if around is None or n <= 2 * around + 1:
        return slice(0, n)
    middle = n // 2
    if scene.atm is not None:
        middle = int(np.searchsorted(scene.strikes, scene.atm))
    first = min(max(middle - around, 0), n - 2 * around - 1)
    return slice(first, first + 2 * around + 1)


def pack(scene: ChainScene, around: int | None = None) -> bytes:
    """Return the rows as little-endian float64, one after another, each with the `FIELDS`."""
    strikes = scene.strikes
    middle = scene.spot or scene.forward
    at = np.nan if middle is None else middle.value
    columns = (
        (strikes, scene.straddle, strikes == scene.atm, strikes == scene.atm_synthetic),
        _columns(scene.calls, strikes < at),
        _columns(scene.puts, strikes > at),
    )
    table = np.stack([column for some in columns for column in some], axis=1, dtype="<f8")
    return table[window(scene, around)].tobytes()


def _columns(side: Side, itm: Any) -> tuple[Floats, ...]:
    values = tuple(getattr(side, name) for name in _SIDE)
    return (*values, side.listed, side.old, side.off, itm & side.listed)


def words(scene: ChainScene) -> dict[str, Any]:
    """Return what the header says."""
    forward = scene.forward
    return {
        "note": "" if len(scene.strikes) else "No strike of this expiry is listed yet.",
        "symbol": scene.symbol,
        "expiry": scene.expiry.isoformat(),
        "asked": None if scene.asked is None else scene.asked.isoformat(),
        "expiries": [
            [day.isoformat(), f"{day:%d %b %y}{' · month' if monthly else ''}"]
            for day, monthly in zip(scene.expiries, scene.monthly, strict=True)
        ],
        "dte": scene.dte,
        "forward": None if forward is None else [forward.value, forward.source, forward.age],
        "lot": scene.lot,
        "freeze": scene.freeze,
        "indian": scene.currency == "₹",
    }
