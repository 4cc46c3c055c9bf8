"""By hand: blocks, orders, and what was done so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import ipywidgets as widgets

from bestbt.widgets.format import date_time, signed
from bestbt.widgets.hand import Hand
from bestbt.widgets.protocol import Movable, Viewable
from bestbt.widgets.table import Table

__all__ = ["HandPanel"]

_Block = Callable[[Movable, bool], object]
BLOCKS: dict[str, _Block] = {
    "today": lambda bt, close: bt.block_for_day(close_positions=close),
    "2 days": lambda bt, close: bt.block_for_n_days(2, close_positions=close),
    "5 days": lambda bt, close: bt.block_for_n_days(5, close_positions=close),
    "this week": lambda bt, close: bt.block_this_week(close_positions=close),
    "this month": lambda bt, close: bt.block_for_month(close_positions=close),
    "until the monthly expiry": lambda bt, close: bt.block_till_monthly_expiry(
        close_positions=close
    ),
}
DONE = (("Time", False), ("Done by hand", False), ("", False))
_MARKET, _LIMIT, _STOP = "market", "limit at", "stop at"


class HandPanel:
    """What can be done to a paused run; all of it is recorded, replayed, and can be taken back.

    Parameters
    ----------
    compared
        Called with the run as it would stand without the hand, on the hand's thread.
    """

    def __init__(self, run: Viewable, hand: Hand, compared: Callable[[Any], object]) -> None:
        self._run, self._hand, self._compared = run, hand, compared
        self._said = widgets.HTML()
        self._said.add_class("bt-hand-said")
        self._done = Table(DONE, self._take_back, hint="take it back")
        self.box = widgets.HBox([self._blocks(), self._order(), self._record()])
        self.box.add_class("bt-by-hand")

    def name(self, contract: str) -> None:
        """Put a contract into the order; as a click on the chain does."""
        self._contract.value = contract

    def draw(self) -> None:
        """Show what was done so far."""
        done: Iterable[Any] = self._run.bt.interventions.itertuples(index=False)
        rows = [[date_time(d.time), str(d.what), "" if d.done else "still to come"] for d in done]
        note = "" if rows else "Nothing yet. What you do is recorded at its bar and replayed."
        self._done.fill((rows, [0] * len(rows)), note)
        self._compare.disabled = self._python.disabled = not rows

    # Its parts

    def _blocks(self) -> widgets.VBox:
        self._how = widgets.Dropdown(options=list(BLOCKS))
        self._close = widgets.Checkbox(description="close positions", indent=False)
        block = _button("Block entries", "bt-block", self._block)
        free = _button("Unblock", "bt-unblock", lambda: self._hand.do(lambda bt: bt.unblock()))
        return _column(
            "Block entries",
            self._how,
            self._close,
            widgets.HBox([block, free]),
            name="bt-col-block",
        )

    def _order(self) -> widgets.VBox:
        self._contract = widgets.Text(placeholder="contract: click one in the chain")
        self._contract.add_class("bt-contract")
        self._side = widgets.ToggleButtons(options=["Buy", "Sell"], value="Sell")
        self._lots = widgets.BoundedIntText(value=1, min=1, max=10_000)
        self._type = widgets.Dropdown(options=[_MARKET, _LIMIT, _STOP])
        self._price = widgets.Text(placeholder="price")
        self._sl = widgets.Text(placeholder="SL: 25%")
        place = _button("Place", "bt-place", self._place)
        return _column(
            "Order, working from the next bar",
            self._contract,
            widgets.HBox([self._side, self._lots, widgets.Label("lots")]),
            widgets.HBox([self._type, self._price, self._sl, place]),
            name="bt-col-order",
        )

    def _record(self) -> widgets.VBox:
        self._compare = _button("Without it?", "bt-compare", self._ask_compare)
        self._compare.tooltip = "the equity as it would be without what was done by hand"
        self._python = _button("As Python", "bt-python", self._show_python)
        bar = widgets.HBox([self._compare, self._python, self._said])
        return _column("", bar, self._done, name="bt-col-record")

    # What is clicked

    def _block(self) -> None:
        how, close = BLOCKS[self._how.value], bool(self._close.value)
        self._hand.do(lambda bt: how(bt, close))

    def _place(self) -> None:
        name, lots = self._contract.value.strip(), int(self._lots.value)
        terms: dict[str, Any] = {}
        if self._type.value == _LIMIT:
            terms |= {"type": "limit", "price": _number(self._price.value)}
        elif self._type.value == _STOP:
            terms |= {"type": "slm", "trigger": _number(self._price.value)}
        if self._sl.value.strip():
            terms["sl"] = _number(self._sl.value)
        buys = self._side.value == "Buy"
        self._hand.do(lambda bt: (bt.buy if buys else bt.sell)(name, lots, **terms))

    def _take_back(self, row: int) -> None:
        self._hand.do(lambda bt: bt.undo(row))

    def _ask_compare(self) -> None:
        self._hand.do(self._without)

    def _without(self, bt: Movable) -> None:
        other = bt.without()
        here, there = self._run.progress.pnl, other.progress.pnl
        money = self._run.currency
        self._said.value = (
            f"<span>PnL {signed(here, money)} with it, {signed(there, money)} without: "
            f"the hand made <b>{signed(here - there, money)}</b></span>"
        )
        self._compared(other)

    def _show_python(self) -> None:
        self._said.value = f"<pre>{escape(self._run.bt.to_python())}</pre>"


def _button(label: str, name: str, do: Callable[[], object]) -> widgets.Button:
    button = widgets.Button(description=label)
    button.add_class(name)
    button.on_click(lambda _: do())
    return button


def _column(title: str, *parts: widgets.Widget, name: str) -> widgets.VBox:
    head = [widgets.HTML(f'<span class="bt-col-title">{title}</span>')] if title else []
    box = widgets.VBox([*head, *parts])
    box.add_class(name)
    return box


def _number(text: str) -> float | str:
    """Read a price; what is none ("25%", "30pts") is said as it is typed."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return text.strip()
