"""Tables of text: trades, fills, orders, the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anywidget
import pandas as pd
import traitlets

from bestbt.widgets.format import count, date_time, decimal, money, signed
from bestbt.widgets.pacer import static

__all__ = ["Rows", "Table", "fill_rows", "log_rows", "order_rows", "trade_rows"]

ROWS = 1_000  # more would be slow to lay out; the table says so

Columns = Sequence[tuple[str, bool]]  # with whether it holds numbers
Rows = tuple[list[list[str]], list[int]]  # texts, and of each row 1, 0 or -1: gain, nothing, loss

TRADES: Columns = (
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
FILLS: Columns = (
    ("#", True),
    ("Time", False),
    ("Side", False),
    ("Quantity", True),
    ("Contract", False),
    ("Price", True),
    ("Slippage", True),
    ("Charges", True),
    ("Kind", False),
    ("Reason", False),
    ("Tag", False),
)
ORDERS: Columns = (
    ("#", True),
    ("Time", False),
    ("Side", False),
    ("Quantity", True),
    ("Contract", False),
    ("Type", False),
    ("Trigger", True),
    ("Limit", True),
    ("Status", False),
    ("Why", False),
    ("Tag", False),
)
LOG: Columns = (("Time", False), ("Kind", False), ("What", False))

_SIDES = {"BUY": "Buy", "SELL": "Sell"}
_HELD = {"BUY": "Long", "SELL": "Short"}


class Table(anywidget.AnyWidget):
    """A table with a sticky head that scrolls in itself.

    Parameters
    ----------
    columns
        Names, with whether a column holds numbers.
    picked
        Called with the number of the row that is clicked, as it was filled in.
    hint
        What a click does.
    toned
        Number of the column that is coloured by gain and loss.
    """

    _esm = static("table.js")
    columns: traitlets.List[Any] = traitlets.List([]).tag(sync=True)
    rows: traitlets.List[list[str]] = traitlets.List([]).tag(sync=True)
    tones: traitlets.List[int] = traitlets.List([]).tag(sync=True)
    toned = traitlets.Int(-1).tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, columns: Columns, picked: Callable[[int], None], *, hint: str = "", toned: int = -1
    ) -> None:
        super().__init__(columns=list(columns), hint=hint, toned=toned)
        self._picked = picked
        self.on_msg(self._message)

    def fill(self, rows: Rows, note: str = "") -> None:
        """Show these rows; those behind the first `ROWS` are left out."""
        texts, tones = rows
        with self.hold_sync():
            self.rows, self.tones, self.note = texts[:ROWS], tones[:ROWS], note

    def _message(self, _: object, content: Any, __: object) -> None:
        row = content.get("row") if isinstance(content, dict) else None
        if isinstance(row, int) and 0 <= row < len(self.rows):
            self._picked(row)


def trade_rows(trades: pd.DataFrame, currency: str) -> Rows:
    """Return closed trades, oldest first."""
    rows, tones = [], []
    each: Iterable[Any] = trades.itertuples(index=False)
    for number, t in enumerate(each, start=1):
        pnl = round(float(t.pnl))
        rows.append(
            [
                str(number),
                str(t.symbol),
                _HELD.get(t.side, str(t.side)),
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


def fill_rows(fills: pd.DataFrame, currency: str) -> Rows:
    """Return fills, newest first."""
    newest: Iterable[Any] = fills.iloc[::-1].itertuples(index=False)
    rows = [
        [
            str(number),
            date_time(f.time),
            _SIDES.get(f.side, str(f.side)),
            count(f.qty),
            str(f.symbol),
            decimal(f.price),
            decimal(f.slippage),
            money(f.charges, currency),
            str(f.kind),
            str(f.reason),
            str(f.tag),
        ]
        for number, f in zip(range(len(fills), 0, -1), newest, strict=True)
    ]
    return rows, [0] * len(rows)


def order_rows(orders: pd.DataFrame) -> Rows:
    """Return orders, newest first."""
    newest: Iterable[Any] = orders.iloc[::-1].itertuples(index=False)
    rows = [
        [
            str(o.id),
            date_time(o.time),
            _SIDES.get(o.side, str(o.side)),
            count(o.qty),
            str(o.symbol),
            str(o.type),
            _level(o.trigger),
            _level(o.price),
            str(o.status),
            str(o.reason),
            str(o.tag),
        ]
        for o in newest
    ]
    return rows, [0] * len(rows)


def log_rows(log: pd.DataFrame) -> Rows:
    """Return the lines of the log, newest first."""
    newest: Iterable[Any] = log.iloc[::-1].itertuples(index=False)
    rows = [[date_time(line.time), str(line.kind), str(line.text)] for line in newest]
    return rows, [0] * len(rows)


def _level(value: Any) -> str:
    return "" if value is None or pd.isna(value) else decimal(float(value))
