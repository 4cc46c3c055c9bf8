"""Result tables: what a run booked, as DataFrames.

Times are tz-aware in exchange local time, money and prices are floats of the currency, quantities
positive units beside a side. A run that booked nothing gives empty tables with the same columns
and dtypes. Tables are made from what was booked, never from positions or prices at the clock, so
they can be made while the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Grid
from bestbt.engine.order import Fill
from bestbt.engine.portfolio import Posting
from bestbt.engine.position import Match
from bestbt.engine.result import Result
from bestbt.units import MONEY_SCALE, Ordinal, Qty, RawMoney

__all__ = [
    "CASH_ACCOUNTS",
    "OpenLot",
    "Shares",
    "charges_by_fill",
    "charges_by_match",
    "cycles",
    "equity",
    "fills",
    "flat_to_flat",
    "ledger",
    "log",
    "open_lots",
    "open_positions",
    "orders",
    "trade_rows",
    "trades",
]

# Every other account is a charge.
CASH_ACCOUNTS = frozenset(("capital", "premium", "settlement", "variation"))


class OpenLot(NamedTuple):
    """The part of a fill that is still held: signed units, and their share of its raw charges."""

    fill: Fill
    qty: Qty
    raw_charges: RawMoney


# Charges, shared exactly. In integers, so that what is handed out adds up to what was booked.


class Shares:
    """What each fill has been charged, and how that is shared out by quantity.

    It is told the fills of whole sessions in booking order, and then asked for round trips in
    theirs.

    A tax that is rounded per contract and day is corrected once a day; the correction is shared
    over that contract's fills of the day that paid the tax, in proportion to what they paid.

    Attributes
    ----------
    by_fill : list of int
        Raw charges by fill id; they add up to the run's charges exactly.
    """

    def __init__(self, grid: Grid) -> None:
        self.by_fill: list[RawMoney] = []
        self._taken: list[int] = []
        self._grid = grid

    def book(self, fills: Sequence[Fill], ledger: Sequence[Posting]) -> None:
        """Take the next fills and the postings of their sessions."""
        self.by_fill += [0] * len(fills)
        self._taken += [0] * len(fills)
        corrections = []
        for posting in ledger:
            if posting.account in CASH_ACCOUNTS:
                continue
            if posting.fill is not None:
                self.by_fill[posting.fill] -= posting.amount
            else:
                corrections.append(posting)
        if not corrections:
            return
        session = self._grid.session
        by_day: dict[tuple[int, Contract | None], list[Fill]] = {}
        for fill in fills:
            by_day.setdefault((session(fill.bar), fill.contract), []).append(fill)
        for posting in corrections:
            paid = by_day[session(posting.bar), posting.contract]
            weights = [fill.raw_charges.get(posting.account, 0) for fill in paid]
            if not any(weights):  # a fee model may correct a charge that no fill has carried
                weights = [abs(fill.qty) for fill in paid]
            for fill, part in zip(paid, _split(-posting.amount, weights), strict=True):
                self.by_fill[fill.id] += part

    def of(self, match: Match) -> RawMoney:
        """Take a round trip's share of both its fills' charges."""
        units = abs(match.qty)
        return self._take(match.entry, units) + self._take(match.exit, units)

    def rest(self, fill: Fill) -> OpenLot | None:
        """Take what is left of a fill when all round trips have been taken."""
        left = abs(fill.qty) - self._taken[fill.id]
        if not left:
            return None
        return OpenLot(fill, left if fill.qty > 0 else -left, self._take(fill, left))

    def _take(self, fill: Fill, units: int) -> RawMoney:
        before = self._taken[fill.id]
        after = self._taken[fill.id] = before + units
        size, charges = abs(fill.qty), self.by_fill[fill.id]
        return charges * after // size - charges * before // size


def _shares(result: Result) -> Shares:
    shares = Shares(result.grid)
    shares.book(result.fills, result.ledger)
    return shares


def charges_by_fill(result: Result) -> list[RawMoney]:
    """Raw charges of each fill, with its share of the corrections booked at the day's end.

    Returns
    -------
    list of int
        By fill id; they add up to the run's charges exactly.
    """
    return _shares(result).by_fill


def _split(total: int, weights: Sequence[int]) -> Iterator[int]:
    """Split an integer in proportion to weights; the parts add up to it.

    >>> list(_split(100, [1, 1, 1])), list(_split(-100, [1, 1, 1]))
    ([33, 33, 34], [-34, -33, -33])
    """
    whole, seen, given = sum(weights), 0, 0
    for weight in weights:
        seen += weight
        upto = total * seen // whole
        yield upto - given
        given = upto


def charges_by_match(result: Result) -> list[RawMoney]:
    """Raw charges of each of `result.matches`: its share of both fills' charges, by quantity."""
    shares = _shares(result)
    return [shares.of(match) for match in result.matches]


def open_lots(result: Result) -> list[OpenLot]:
    """What is still held, oldest first."""
    shares = _shares(result)
    for match in result.matches:
        shares.of(match)
    return [lot for lot in map(shares.rest, result.fills) if lot is not None]


def flat_to_flat(result: Result) -> list[list[Fill]]:
    """Fills of each period from flat to flat of the whole run; the last may not be flat yet."""
    periods: list[list[Fill]] = []
    held: dict[Contract, Qty] = {}
    for fill in result.fills:
        if not held:
            periods.append([])
        periods[-1].append(fill)
        qty = held.pop(fill.contract, 0) + fill.qty
        if qty:
            held[fill.contract] = qty
    return periods


# Columns


def _times(grid: Grid, ns: Iterable[int]) -> pd.DatetimeIndex:
    stamps = np.fromiter(ns, dtype=np.int64).view("M8[ns]")
    return pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(grid.tz)


def _bars(grid: Grid, bars: Iterable[Ordinal]) -> pd.DatetimeIndex:
    at = np.fromiter(bars, dtype=np.int64)
    return _times(grid, grid.starts[at])


def _texts(values: Iterable[str]) -> pd.Series[str]:
    return pd.Series(list(values), dtype=str)


def _floats(values: Iterable[float]) -> npt.NDArray[np.float64]:
    return np.fromiter(values, dtype=np.float64)


def _money(raw: Iterable[RawMoney]) -> npt.NDArray[np.float64]:
    return np.fromiter(raw, dtype=np.int64) / MONEY_SCALE


def _units(values: Iterable[Qty]) -> npt.NDArray[np.int64]:
    return np.abs(np.fromiter(values, dtype=np.int64))


def _counts(values: Iterable[int | None]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="Int64")


def _side(qty: Qty) -> str:
    return "BUY" if qty > 0 else "SELL"


def _why(exit_: Fill) -> str:
    """Kind of an exit and its reason; an entry the other way closes like an exit."""
    kind = "exit" if exit_.kind == "entry" else exit_.kind
    return kind if kind == exit_.reason else f"{kind} ({exit_.reason})"


def sessions_to(grid: Grid, bar: Ordinal, expiry: date | None) -> int | None:
    """Sessions from a bar's day to an expiry, 0 on its day; None beyond the data or without one."""
    if expiry is None or expiry > grid.sessions[-1].day:
        return None
    return grid.session_from(expiry) - grid.session(bar)


# Tables


def fills(result: Result) -> pd.DataFrame:
    """Every fill, in booking order.

    Returns
    -------
    DataFrame
        time (start of its bar), symbol, side, qty, price (slippage included), slippage (per
        unit), charges (as booked with the fill; the ledger has the day's corrections), reason,
        kind, order_id, group, tag.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> fills(example_result())[["symbol", "side", "qty", "price", "kind"]]
                       symbol  side  qty  price        kind
    0  NIFTY 2024-01-01 100 CE   BUY   50    4.0       entry
    1  NIFTY 2024-01-01 100 CE  SELL   50    2.0  settlement
    """
    rows = result.fills
    return pd.DataFrame(
        {
            "time": _bars(result.grid, (f.bar for f in rows)),
            "symbol": _texts(f.contract.name for f in rows),
            "side": _texts(f.side for f in rows),
            "qty": _units(f.qty for f in rows),
            "price": _floats(f.price for f in rows),
            "slippage": _floats(f.slippage for f in rows),
            "charges": _floats(f.charges for f in rows),
            "reason": _texts(f.reason for f in rows),
            "kind": _texts(f.kind for f in rows),
            "order_id": np.fromiter((f.order.id for f in rows), dtype=np.int64),
            "group": _texts("" for _ in rows),
            "tag": _texts(f.tag for f in rows),
        }
    )


def orders(result: Result) -> pd.DataFrame:
    """Every order, in the order they were placed.

    Returns
    -------
    DataFrame
        id, time (when it was placed: its bar had just closed), symbol, side, type, qty, price
        (limit; NaN where there is none), trigger (NaN where there is none), tif, status, reason,
        group, tag.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> orders(example_result())[["id", "side", "type", "status"]]
       id  side    type  status
    0   0   BUY  market  filled
    1   1  SELL  market  filled
    """
    rows = result.orders
    return pd.DataFrame(
        {
            "id": np.fromiter((o.id for o in rows), dtype=np.int64),
            "time": _times(result.grid, (o.time for o in rows)),
            "symbol": _texts(o.contract.name for o in rows),
            "side": _texts(_side(o.qty) for o in rows),
            "type": _texts(o.type for o in rows),
            "qty": _units(o.qty for o in rows),
            "price": _floats(np.nan if o.price is None else o.price for o in rows),
            "trigger": _floats(np.nan if o.trigger is None else o.trigger for o in rows),
            "tif": _texts(o.tif for o in rows),
            "status": _texts(o.status for o in rows),
            "reason": _texts(o.reason for o in rows),
            "group": _texts("" for _ in rows),
            "tag": _texts(o.tag for o in rows),
        }
    )


def trades(result: Result) -> pd.DataFrame:
    """Closed trades: one row for each entry fill and exit fill matched first in, first out.

    Returns
    -------
    DataFrame
        symbol, side (of the entry), qty, entry_time, entry_price (at average cost: the average
        when it was closed), exit_time, exit_price, pnl
        (before charges), charges (this quantity's share of both fills'), exit_reason (kind and
        reason, such as ``"stop (trigger)"``), group, tag (of the entry). In order of exit.

    Notes
    -----
    The charges of all trades and of `open_positions` together are the run's charges, exactly.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> trades(example_result())[["side", "entry_price", "exit_price", "pnl", "exit_reason"]]
      side  entry_price  exit_price    pnl exit_reason
    0  BUY          4.0         2.0 -100.0  settlement
    """
    return trade_rows(result.grid, result.matches, charges_by_match(result))


def trade_rows(grid: Grid, rows: Sequence[Match], raw_charges: Iterable[RawMoney]) -> pd.DataFrame:
    """Rows of `trades` for some of the matches, with the raw charges of each."""
    return pd.DataFrame(
        {
            "symbol": _texts(m.entry.contract.name for m in rows),
            "side": _texts(_side(m.qty) for m in rows),
            "qty": _units(m.qty for m in rows),
            "entry_time": _bars(grid, (m.entry.bar for m in rows)),
            "entry_price": _floats(m.entry_price for m in rows),
            "exit_time": _bars(grid, (m.exit.bar for m in rows)),
            "exit_price": _floats(m.exit.price for m in rows),
            "pnl": _money(m.raw_pnl for m in rows),
            "charges": _money(raw_charges),
            "exit_reason": _texts(_why(m.exit) for m in rows),
            "group": _texts("" for _ in rows),
            "tag": _texts(m.entry.tag for m in rows),
        }
    )


def cycles(result: Result) -> pd.DataFrame:
    """Closed cycles: one row for each period from flat to flat of the whole run.

    Returns
    -------
    DataFrame
        legs (contracts in the order they were first traded, comma-separated), entry_time,
        exit_time, dte (sessions from the entry to the nearest expiry of a leg; NA where that
        lies beyond the data), premium_in (received by sales and settlement of options and
        equities; a future has no premium), premium_out (paid), pnl (before charges), charges,
        worst and best (least and greatest PnL before charges at a bar's close while it was open,
        its own PnL included),
        exit_reason (of the last fill), group, tag (of the first fill).

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> cycles(example_result())[["premium_in", "premium_out", "pnl", "worst", "best", "dte"]]
       premium_in  premium_out    pnl  worst  best  dte
    0       100.0        200.0 -100.0 -100.0   0.0    0
    """
    grid = result.grid
    lots = open_lots(result)
    periods = flat_to_flat(result)
    if lots:
        periods.pop()  # it is not flat yet
    charges = charges_by_fill(result)
    gross = _gross(result)
    received, paid, made, worst, best, base = [], [], [], [], [], 0
    for period in periods:
        flows = [(f, -f.qty * f.raw_price * f.contract.factor) for f in period]
        pnl = sum(x for _, x in flows)
        premiums = [x for f, x in flows if f.contract.asset != "future"]
        received.append(sum(x for x in premiums if x > 0))
        paid.append(-sum(x for x in premiums if x < 0))
        made.append(pnl)
        seen = gross[period[0].bar - result.start : period[-1].bar - result.start] - base
        worst.append(min(pnl, int(seen.min(initial=pnl))))
        best.append(max(pnl, int(seen.max(initial=pnl))))
        base += pnl
    nearest = [
        min((f.contract.expiry for f in p if f.contract.expiry is not None), default=None)
        for p in periods
    ]
    return pd.DataFrame(
        {
            "legs": _texts(", ".join(dict.fromkeys(f.contract.name for f in p)) for p in periods),
            "entry_time": _bars(grid, (p[0].bar for p in periods)),
            "exit_time": _bars(grid, (p[-1].bar for p in periods)),
            "dte": _counts(
                sessions_to(grid, p[0].bar, day) for p, day in zip(periods, nearest, strict=True)
            ),
            "premium_in": _money(received),
            "premium_out": _money(paid),
            "pnl": _money(made),
            "charges": _money(sum(charges[f.id] for f in p) for p in periods),
            "worst": _money(worst),
            "best": _money(best),
            "exit_reason": _texts(_why(p[-1]) for p in periods),
            "group": _texts("" for _ in periods),
            "tag": _texts(p[0].tag for p in periods),
        }
    )


def _gross(result: Result) -> npt.NDArray[np.int64]:
    """Raw PnL before charges at each bar's close."""
    charged = np.zeros(result.end - result.start + 1, dtype=np.int64)
    for posting in result.ledger:
        if posting.account not in CASH_ACCOUNTS:
            charged[posting.bar - result.start] -= posting.amount
    return result.equity() - result.capital + np.cumsum(charged[:-1])


def ledger(result: Result, before: RawMoney = 0) -> pd.DataFrame:
    """Every posting: cash is moved by these and by nothing else.

    Parameters
    ----------
    before
        Raw cash before the first of them.

    Returns
    -------
    DataFrame
        time (start of the bar), account (capital, premium, settlement, variation, or a charge's
        name),
        symbol ("" where it is of no contract), amount (positive is towards us), cash (after it),
        fill (NA where it is of no fill).

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> ledger(example_result())[["account", "amount", "cash", "fill"]]
          account     amount       cash  fill
    0     capital  1000000.0  1000000.0  <NA>
    1     premium     -200.0   999800.0     0
    2  settlement      100.0   999900.0     1
    """
    rows = result.ledger
    amounts = np.fromiter((p.amount for p in rows), dtype=np.int64)
    return pd.DataFrame(
        {
            "time": _bars(result.grid, (p.bar for p in rows)),
            "account": _texts(p.account for p in rows),
            "symbol": _texts(p.contract.name if p.contract else "" for p in rows),
            "amount": amounts / MONEY_SCALE,
            "cash": (before + np.cumsum(amounts)) / MONEY_SCALE,
            "fill": _counts(p.fill for p in rows),
        }
    )


def log(result: Result) -> pd.DataFrame:
    """The run's log.

    Returns
    -------
    DataFrame
        time (at which it was written), kind, text, values (dict).

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> log(example_result())["kind"].tolist()
    ['settlement']
    """
    grid, rows = result.grid, result.log
    return pd.DataFrame(
        {
            "time": _times(grid, (e.time for e in rows)),
            "kind": _texts(e.kind for e in rows),
            "text": _texts(e.text for e in rows),
            "values": pd.Series([dict(e.values) for e in rows], dtype=object),
        }
    )


def open_positions(result: Result) -> pd.DataFrame:
    """What is held at the newest bar, one row for each contract.

    Returns
    -------
    DataFrame
        symbol, side, qty, entry_time (of the oldest units still held), entry_price (mean),
        price (the mark), pnl (unrealized, before charges), charges (the held units' share of
        their entries'), group, tag.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> open_positions(example_result()).empty
    True
    """
    held: dict[Contract, list[OpenLot]] = {}
    for lot in open_lots(result):
        held.setdefault(lot.fill.contract, []).append(lot)
    rows = list(held.values())
    qty = [sum(lot.qty for lot in lots) for lots in rows]
    # What the units have cost: all that was paid for the contract, and what was made of it.
    paid = dict.fromkeys(held, 0)
    for fill in result.fills:
        if fill.contract in paid:
            paid[fill.contract] += fill.qty * fill.raw_price * fill.contract.factor
    for match in result.matches:
        if match.entry.contract in paid:
            paid[match.entry.contract] += match.raw_pnl
    cost = list(paid.values())
    marks = [_mark(contract, result.end - 1) for contract in held]
    scales = [contract.spec.scale for contract in held]
    factors = [contract.factor for contract in held]
    return pd.DataFrame(
        {
            "symbol": _texts(contract.name for contract in held),
            "side": _texts(_side(q) for q in qty),
            "qty": _units(qty),
            "entry_time": _bars(result.grid, (lots[0].fill.bar for lots in rows)),
            "entry_price": _floats(
                c / (q * f * s) for c, q, f, s in zip(cost, qty, factors, scales, strict=True)
            ),
            "price": _floats(m / s for m, s in zip(marks, scales, strict=True)),
            "pnl": _money(
                q * m * f - c for q, m, c, f in zip(qty, marks, cost, factors, strict=True)
            ),
            "charges": _money(sum(lot.raw_charges for lot in lots) for lots in rows),
            "group": _texts("" for _ in rows),
            "tag": _texts(lots[0].fill.tag for lots in rows),
        }
    )


def _mark(contract: Contract, bar: Ordinal) -> int:
    """Raw mark of what is held at a bar, which need not be where the run's clock stands now."""
    return contract.marks(bar, bar + 1).item()


def equity(result: Result) -> pd.Series[float]:
    """Equity at the close of each bar, indexed by the bar's start.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> equity(example_result()).tolist()
    [1000000.0, 1000000.0, 1000000.0, 1000000.0, 999900.0]
    """
    index = _times(result.grid, result.grid.starts[result.start : result.end])
    return pd.Series(result.equity() / MONEY_SCALE, index=index, name="equity", dtype=float)
