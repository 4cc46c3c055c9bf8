"""The closed trades of a run."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bestbt.widgets.format import count
from bestbt.widgets.table import ROWS, TRADES, Table, trade_rows

__all__ = ["TradesTable"]


class TradesTable(Table):
    """Closed trades, oldest first; a click is told with the number of the trade."""

    def __init__(self, picked: Callable[[int], None]) -> None:
        names = [name for name, _ in TRADES]
        hint = "show this trade in the chart"
        super().__init__(TRADES, picked, hint=hint, toned=names.index("PnL"))
        self.note = "No trade has been closed yet."

    def show(self, trades: pd.DataFrame, currency: str) -> None:
        """Show these trades."""
        note = "" if len(trades) else "No trade has been closed yet."
        if len(trades) > ROWS:
            note = f"The first {count(ROWS)} of {count(len(trades))} trades; run.trades has all."
        self.fill(trade_rows(trades.iloc[:ROWS], currency), note)
