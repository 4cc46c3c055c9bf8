"""Open positions with their marks, greeks and buttons."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from bestbt.widgets.format import NOTHING, count, decimal, signed
from bestbt.widgets.pacer import static
from bestbt.widgets.scene import Held, Scene

__all__ = ["Positions", "short_name"]

STALE = 5  # bars after which a price is dimmed, as rules that pick an option pass it over

# Name, whether it holds numbers, what it is.
COLUMNS = (
    ("Contract", False, "click to chart it"),
    ("Lots", True, "whole lots, negative when sold"),
    ("Entry", True, "average price"),
    ("Last", True, "what the books are marked with; dimmed when it is old"),
    ("PnL", True, "unrealized, before charges"),
    ("SL", True, "stop; click to move it"),
    ("Δ", True, "units of the underlying that it moves with"),
)
_LAST, _PNL = 3, 4

Acted = Callable[[str, str, str], object]  # contract, action, value


class Positions(anywidget.AnyWidget):
    """A table of what is held.

    Parameters
    ----------
    acted
        Called with a contract's name, `"exit"`, `"add"`, `"roll"`, `"stop"` or `"chart"`, and what
        was typed.
    """

    _esm = static("positions.js")
    columns = traitlets.List(list(COLUMNS)).tag(sync=True)
    data: traitlets.Dict[str, Any] = traitlets.Dict({}).tag(sync=True)

    def __init__(self, acted: Acted) -> None:
        super().__init__(data=_data((), "", None, open_=False, currency=""))
        self._acted = acted
        self.on_msg(self._message)

    def show(self, scene: Scene, *, open_: bool, currency: str) -> None:
        """Show what is held; *open_* says whether it can be acted on."""
        found = _data(scene.held, scene.symbol, scene, open_=open_, currency=currency)
        if found != self.data:
            self.data = found

    def _message(self, _: object, content: Any, __: object) -> None:
        if not isinstance(content, dict):
            return
        name, action = content.get("name"), content.get("action")
        if any(row["name"] == name for row in self.data["rows"]) and isinstance(action, str):
            self._acted(str(name), action, str(content.get("value", "")))


def _data(
    held: tuple[Held, ...], symbol: str, scene: Scene | None, *, open_: bool, currency: str
) -> dict[str, Any]:
    total = sum(h.pnl for h in held)
    net = None if scene is None else scene.net
    totals = [""] * len(COLUMNS)
    if net is not None and held:
        totals = ["Net", "", "", "", signed(total, currency), "", _greek(net.delta)]
    note = "No open position."
    if net is not None and held:
        note = f"Γ {_greek(net.gamma)}   Θ {_greek(net.theta)} a day   V {_greek(net.vega)} a point"
        if net.unknown:
            note += f"   ({net.unknown} without greeks left out)"
    return {
        "rows": [_row(h, symbol, currency) for h in held],
        "totals": totals,
        "tone": (total > 0) - (total < 0),
        "toned": _PNL,
        "note": note,
        "open": open_,
    }


def _row(held: Held, symbol: str, currency: str) -> dict[str, Any]:
    pnl = round(held.pnl)
    lots = held.lots if held.qty > 0 else -held.lots
    return {
        "name": held.name,
        "texts": [
            short_name(held, symbol),
            count(lots),
            decimal(held.entry),
            decimal(held.price),
            signed(held.pnl, currency),
            NOTHING if held.sl is None else decimal(held.sl),
            _greek(held.delta),
        ],
        "hint": f"Δ {_greek(held.delta)}  Γ {_greek(held.gamma)}  Θ {_greek(held.theta)}  "
        f"V {_greek(held.vega)}  IV {_percent(held.iv)}",
        "tone": (pnl > 0) - (pnl < 0),
        "marks": [_LAST] if held.age is None or held.age > STALE else [],
    }


def short_name(held: Held, symbol: str) -> str:
    """Write a contract without what is plain from the view it stands in.

    The symbol is left out where it is the view's own.
    """
    parts = [] if held.symbol == symbol else [held.symbol]
    if held.expiry is not None:
        parts.append(f"{held.expiry:%d %b}")
    parts += [f"{held.strike:g} {held.right}"] if held.right is not None else []
    if held.right is None:
        parts.append("FUT" if held.expiry is not None else held.symbol)
    return " ".join(dict.fromkeys(parts))


def _percent(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.1%}"


def _greek(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return decimal(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 3)
