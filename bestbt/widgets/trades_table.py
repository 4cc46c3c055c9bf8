"""The trades of a run; a click on one shows it in the charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import anywidget
import pandas as pd
import traitlets

from bestbt.widgets.format import count, date_time, decimal, money, signed
from bestbt.widgets.pacer import static

__all__ = ["TradesTable", "trade_rows"]

_WAITING = "Trades are listed when the run has ended."

ROWS = 1_000  # more would be slow to lay out; the table says so
COLUMNS = (
    ("#", True),
    ("Contract", False),
    ("Side", False),
    ("Quantity", True),
    ("Entry", False),
    ("at", True),
    ("Exit", False),
    ("at", True),
    ("PnL", True),
    ("Charges", True),
    ("Why", False),
)


class TradesTable(anywidget.AnyWidget):
    """A table with a sticky head that scrolls in itself.

    Parameters
    ----------
    picked
        Called with the number of the row that is clicked.
    """

    _esm = static("trades.js")
    columns = traitlets.List(list(COLUMNS)).tag(sync=True)
    rows: traitlets.List[list[str]] = traitlets.List([]).tag(sync=True)
    tones: traitlets.List[int] = traitlets.List([]).tag(sync=True)
    note = traitlets.Unicode(_WAITING).tag(sync=True)

    def __init__(self, picked: Callable[[int], None]) -> None:
        super().__init__()
        self._picked = picked
        self.on_msg(self._message)

    def fill(self, trades: pd.DataFrame, currency: str) -> None:
        """Show these trades."""
        rows, tones = trade_rows(trades.iloc[:ROWS], currency)
        note = "" if len(trades) else "No trades."
        if len(trades) > ROWS:
            note = f"The first {count(ROWS)} of {count(len(trades))} trades; run.trades has all."
        with self.hold_sync():
            self.rows, self.tones, self.note = rows, tones, note

    def clear(self) -> None:
        """Show none: the run goes on."""
        with self.hold_sync():
            self.rows, self.tones, self.note = [], [], _WAITING

    def _message(self, _: object, content: Any, __: object) -> None:
        row = content.get("row") if isinstance(content, dict) else None
        if isinstance(row, int) and 0 <= row < len(self.rows):
            self._picked(row)


def trade_rows(trades: pd.DataFrame, currency: str) -> tuple[list[list[str]], list[int]]:
    """Return the text of each cell, and for each row 1, 0 or -1 for gain, nothing, loss."""
    rows, tones = [], []
    each: Iterable[Any] = trades.itertuples(index=False)
    for number, t in enumerate(each, start=1):
        pnl = round(float(t.pnl))
        rows.append(
            [
                str(number),
                str(t.symbol),
                {"BUY": "Long", "SELL": "Short"}.get(t.side, str(t.side)),
                count(t.qty),
                date_time(t.entry_time),
                decimal(t.entry_price),
                date_time(t.exit_time),
                decimal(t.exit_price),
                signed(t.pnl, currency),
                money(t.charges, currency),
                str(t.exit_reason),
            ]
        )
        tones.append((pnl > 0) - (pnl < 0))
    return rows, tones
