"""Where a session's profit came from: by leg, by greek, by cause. Each adds up exactly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.contract import Contract
from bestbt.engine.order import Fill
from bestbt.engine.ports import Feed, Market
from bestbt.engine.position import Match
from bestbt.engine.pricing import greeks, implied_vol
from bestbt.engine.result import Result
from bestbt.errors import InvariantError, UsageError
from bestbt.report.forwards import Forwards, Window, forwards, window
from bestbt.report.summary import amount
from bestbt.report.tables import CASH_ACCOUNTS
from bestbt.units import DAY, MINUTE, MONEY_SCALE, POINTS, Money, RawMoney, RawPrice, money

__all__ = ["Attribution", "attribution"]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_GREEKS = ("delta", "gamma", "theta", "vega")


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """A session's change of equity, divided in three ways.

    Attributes
    ----------
    day
        Of the session.
    currency
        Sign of the currency.
    pnl
        Equity at its end less equity at the end of the session before; every table adds up to it.
    by_leg : DataFrame
        One row a contract: qty_before, qty_after (signed units), held (what its moves between
        closes made of the units held), traded (from each fill's price before slippage to the close
        of its bar), slippage, charges, pnl.
    by_greek : DataFrame
        One row a contract: delta, gamma, theta, vega, residual, slippage, charges, pnl.
    by_cause : DataFrame
        One row a contract: gaps, first_minute, stops, settlement, rest, slippage, charges, pnl.
    """

    day: date
    currency: str
    pnl: Money
    by_leg: pd.DataFrame
    by_greek: pd.DataFrame
    by_cause: pd.DataFrame

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    def _head(self) -> str:
        return f"{self.day:%A}, {self.day} · {amount(self.pnl, self.currency)}"

    def _tables(self) -> list[list[list[str]]]:
        return [
            _cells(label, frame, self.currency)
            for label, frame in (
                ("by leg", self.by_leg),
                ("by greek", self.by_greek),
                ("by cause", self.by_cause),
            )
        ]

    def to_text(self) -> str:
        """Return it as three tables of text."""
        out = [self._head()]
        for rows in self._tables():
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            out.append("")
            for name, *numbers in rows:
                cells = (n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True))
                out.append("  ".join([name.ljust(widths[0]), *cells]))
        return "\n".join(out)

    def to_html(self) -> str:
        """Return it as HTML tables in the colours of JupyterLab's theme, light or dark."""
        parts = [f"<b>{escape(self._head())}</b>"]
        for head, *rows in self._tables():
            body = "".join(_row(row, "td") for row in rows)
            parts.append(f'<table style="{_TABLE}">{_row(head, "th")}{body}</table>')
        return f'<div class="bt-attribution" style="{_BOX}">{"".join(parts)}</div>'


_BOX = (
    "color:var(--jp-ui-font-color1,inherit);background:transparent;"
    "font-family:var(--jp-ui-font-family,sans-serif);font-size:var(--jp-ui-font-size1,13px);"
    "overflow-x:auto"
)
_TABLE = (
    "border-collapse:collapse;table-layout:auto;font:inherit;color:inherit;margin:6px 0;"
    "white-space:nowrap;font-variant-numeric:tabular-nums"
)


def _row(cells: Sequence[str], tag: str) -> str:
    shown = []
    for i, cell in enumerate(cells):
        colour = ";color:var(--jp-error-color1,#d32f2f)" if cell.startswith("−") else ""
        side = "right" if i else "left"
        shown.append(
            f'<{tag} style="text-align:{side};padding:1px 8px{colour}">{escape(cell)}</{tag}>'
        )
    return f'<tr style="background:transparent">{"".join(shown)}</tr>'


def _cells(label: str, frame: pd.DataFrame, currency: str) -> list[list[str]]:
    """Write a table with its totals; columns of nothing but zeros are left out."""
    columns = [c for c in frame.columns if c == "pnl" or frame[c].any()]

    def write(column: str, value: Any) -> str:
        return f"{int(value):+,}" if column.startswith("qty") else amount(float(value), currency)

    rows = [[label, *(c.replace("_", " ") for c in columns)]]
    for name, values in frame[columns].iterrows():
        rows.append([str(name), *(write(c, values[c]) for c in columns)])
    total = ["" if c.startswith("qty") else write(c, frame[c].sum()) for c in columns]
    return [*rows, ["all", *total]]


def attribution(
    result: Result,
    feed: Feed,
    market: Market,
    day: date | str | None = None,
    rate: float = 0.0,
) -> Attribution:
    """Divide a session's change of equity by leg, by greek and by cause.

    Parameters
    ----------
    result
        Of a run; a session that is being played is taken as far as it is.
    feed, market
        Those of the run: the forward is read from the whole chain.
    day
        A session of the run; by default the one with the worst PnL.
    rate
        As the run's.

    Raises
    ------
    UsageError
        For a day that is no session played.

    Notes
    -----
    **By leg**, in whole ten-thousandths of the currency: for each bar the units held since the
    last one times the move of the mark; for each fill its units times the way from its price on
    the path to the mark at the end of its bar; less slippage and charges. What adds up here adds
    up because positions and marks are all that equity is made of.

    **By greek**: the price of an option is expanded about the start of each interval,
    ``dV = delta dF + ½ gamma dF² + theta dt + vega dσ + residual`` [1]_, with the greeks of
    `bestbt.engine.pricing` (Black-76) on the expiry's forward F by the rule of the chain. An
    interval reaches from one bar to the next in which the option has a live price and the forward
    is made of live prices; the first begins with the last session's newest marks, so that the night
    is in it. dt is in calendar days, dσ the change of the implied volatility. The residual is
    what remains: higher orders, intervals in which the volatility is not known (an option with no
    time value) or units changed hands, the way of a fill to the end of its bar, and settlement.
    A future or an equity is all delta.

    **By cause**, each unit's profit once, in this order: *gaps*, from the last session's mark to
    the first open of the day, of what was held over the night; *stops*, all else that units made
    that day that were stopped out that day; *settlement*, from the last mark to the settlement
    value; *first_minute*, what the others made in the session's first minute (its first bar, where
    that is longer); *rest*.

    References
    ----------
    .. [1] J. C. Hull, "Options, Futures, and Other Derivatives", the chapter "The Greek Letters":
       Taylor series expansions and hedge parameters.

    Examples
    --------
    >>> from bestbt.testing import MemoryFeed, simulate
    >>> from bestbt.engine.strategy import Strategy, at
    >>> class Buyer(Strategy):
    ...     @at("09:17")
    ...     def enter(self):
    ...         self.buy(self.option(100, "CE"), lots=1)
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    >>> feed.add_index([100, 101, 102, 103, 104])
    >>> _ = feed.add_option("2024-01-01", 100, "CE", [3, 3, (4, 4, 4, 5), 4, 5])
    >>> found = attribution(simulate(Buyer, feed, slippage="1tick").result, feed, feed.market)
    >>> print(found)
    Monday, 2024-01-01 · −₹102.50
    <BLANKLINE>
    by leg                     traded  slippage       pnl
    NIFTY 2024-01-01 100 CE  −₹100.00    −₹2.50  −₹102.50
    all                      −₹100.00    −₹2.50  −₹102.50
    ...
    by cause                 settlement    rest  slippage       pnl
    NIFTY 2024-01-01 100 CE    −₹150.00  ₹50.00    −₹2.50  −₹102.50
    all                        −₹150.00  ₹50.00    −₹2.50  −₹102.50
    """
    book = _Book(result, feed, _session(result, day))
    legs = [_Leg(book, contract) for contract in book.contracts()]
    book.split(legs, market, rate)
    rows = [leg.row() for leg in legs]
    total = sum(row["pnl"] for row in rows)
    if total != book.change:
        raise InvariantError(
            f"{book.day}: the legs made {money(total)}, equity changed by {money(book.change)}."
        )
    names = pd.Index([leg.contract.name for leg in legs], dtype=str, name="leg")

    def table(*columns: str) -> pd.DataFrame:
        made = {
            c: np.array([row[c] for row in rows], dtype=np.int64)
            if c.startswith("qty")
            else np.array([row[c] for row in rows], dtype=np.int64) / MONEY_SCALE
            for c in columns
        }
        return pd.DataFrame(made, index=names)

    paid = ("slippage", "charges", "pnl")
    return Attribution(
        book.day,
        market.currency,
        money(book.change),
        table("qty_before", "qty_after", "held", "traded", *paid),
        table(*_GREEKS, "residual", *paid),
        table("gaps", "first_minute", "stops", "settlement", "rest", *paid),
    )


def _session(result: Result, day: date | str | None) -> int:
    """Return the number of the session asked for; of the worst where none is."""
    grid = result.grid
    if result.end <= result.start:
        raise UsageError("attribution(): no bar of the run has been played yet.")
    first, last = grid.session(result.start), grid.session(result.end - 1)
    if day is None:
        ends = [raw for _, raw in result.closed]
        if len(ends) <= last - first:
            ends.append(int(result.equity()[-1]))
        made = [b - a for a, b in pairwise([result.capital, *ends])]
        return first + made.index(min(made))
    try:
        asked = date.fromisoformat(day) if isinstance(day, str) else day
        if not isinstance(asked, date):
            raise ValueError
    except ValueError:
        raise UsageError(f"attribution({day!r}): give a day, as '2024-01-31'.") from None
    days = [s.day for s in grid.sessions[first : last + 1]]
    if asked not in days:
        raise UsageError(
            f"attribution({day!r}): no session of that day has been played; the run has "
            f"{len(days)}, from {days[0]} to {days[-1]}."
        )
    return first + days.index(asked)


_bar: Callable[[Any], int] = attrgetter("bar")


class _Book:
    """What was booked in one session, and what was held before it."""

    def __init__(self, result: Result, feed: Feed, session: int) -> None:
        grid = self.grid = result.grid
        self.feed = feed
        self.first = grid.firsts[session]
        self.end = min(grid.lasts[session] + 1, result.end)
        self.low = max(self.first - 1, 0)  # the bar before it, with the marks of the night
        self.day = grid.sessions[session].day
        early = grid.sessions[session].open + MINUTE
        self.first_minute = int(np.searchsorted(grid.starts, early)) - self.low  # one past it
        a, b = (bisect_left(result.fills, bar, key=_bar) for bar in (self.first, self.end))
        self.fills = result.fills[a:b]
        self.before: dict[Contract, int] = {}
        for fill in result.fills[:a]:
            self.before[fill.contract] = self.before.get(fill.contract, 0) + fill.qty
        a, b = (bisect_left(result.ledger, bar, key=_bar) for bar in (self.first, self.end))
        self.charges: dict[Contract, RawMoney] = {}
        for posting in result.ledger[a:b]:
            if posting.account not in CASH_ACCOUNTS and posting.contract is not None:
                paid = self.charges.get(posting.contract, 0)
                self.charges[posting.contract] = paid + posting.amount
        self.stopped: dict[Contract, list[Match]] = {}
        a = bisect_left(result.matches, self.first, key=lambda m: m.exit.bar)
        for match in result.matches[a:]:
            if match.exit.kind == "stop" and match.exit.bar < self.end:
                self.stopped.setdefault(match.exit.contract, []).append(match)
        closed = bisect_left(result.closed, (self.first, 0))
        opening = result.closed[closed - 1][1] if closed else result.capital
        # A session that has just closed may have been booked on since the result was taken.
        over = closed < len(result.closed) and result.closed[closed][0] < result.end - 1
        ending = result.closed[closed][1] if over else int(result.equity()[-1])
        self.change: RawMoney = ending - opening

    def contracts(self) -> list[Contract]:
        """What was held before it, then what was traded first in it."""
        held = [contract for contract, qty in self.before.items() if qty]
        return list(dict.fromkeys([*held, *(f.contract for f in self.fills), *self.charges]))

    def split(self, legs: Sequence[_Leg], market: Market, rate: float) -> None:
        """Divide the legs' moves by greeks, all of them in one pass."""
        on: dict[tuple[str, date | None], Forwards] = {}
        options = [leg for leg in legs if leg.contract.asset == "option"]
        for leg in options:
            symbol, expiry = leg.contract.symbol, leg.contract.expiry
            if expiry is not None and (symbol, expiry) not in on:
                on[symbol, expiry] = forwards(
                    self.feed, market, symbol, expiry, self.low, self.end, rate
                )
        for leg in legs:
            if leg.contract.asset != "option":
                leg.by_greek["delta"] = leg.gross
        if not options:
            return
        each = [on[leg.contract.symbol, leg.contract.expiry] for leg in options]
        value = np.concatenate([forward.value for forward in each])
        years = np.concatenate([forward.years for forward in each])
        n = len(each[0].value)
        price = np.concatenate([leg.price for leg in options])
        strike = np.repeat([leg.contract.strike or np.nan for leg in options], n)
        call = np.repeat([leg.contract.right == "CE" for leg in options], n)
        wanted = np.concatenate([leg.wanted for leg in options])
        vol = np.full(len(price), np.nan)
        vol[wanted] = implied_vol(
            price[wanted], value[wanted], strike[wanted], years[wanted], call[wanted]
        )
        told = greeks(value[wanted], strike[wanted], years[wanted], vol[wanted], call[wanted])
        slopes = np.full((4, len(price)), np.nan)
        slopes[:, wanted] = np.stack(told)
        days = self.grid.ends[self.low : self.end] / DAY
        for i, (leg, forward) in enumerate(zip(options, each, strict=True)):
            rows = slice(i * n, i * n + n)
            leg.expand(forward, vol[rows], slopes[:, rows], days)


class _Leg:
    """One contract in one session; index 0 of its arrays is the bar before it, if there is one."""

    def __init__(self, book: _Book, contract: Contract) -> None:
        self.contract, self._book = contract, book
        self._first = book.first - book.low  # index of the session's first bar: 1, or 0
        self.fills = [fill for fill in book.fills if fill.contract is contract]
        self._columns = contract._prices
        seen: Window = window(self._columns, book.low, book.end)
        self.marks, self.live = seen
        changes = np.zeros(book.end - book.low, dtype=np.int64)
        for fill in self.fills:
            changes[fill.bar - book.low] += fill.qty
        self.qty_before = book.before.get(contract, 0)
        self.qty: _Ints = self.qty_before + np.cumsum(changes)  # at each bar's close
        moves = np.zeros_like(self.qty)
        moves[1:] = self.qty[:-1] * np.diff(self.marks) * contract.factor
        self.moves = moves
        self.traded = [(fill, self._own(fill)) for fill in self.fills]
        self.gross: RawMoney = int(moves.sum()) + sum(made for _, made in self.traded)
        self.by_greek = dict.fromkeys(_GREEKS, 0)

    def _own(self, fill: Fill) -> RawMoney:
        """What a fill made from its price on the path to the end of its bar."""
        way = int(self.marks[fill.bar - self._book.low]) - _seen(fill)
        return fill.qty * way * self.contract.factor

    # By greek

    @property
    def price(self) -> npt.NDArray[np.float64]:
        """Marks as floats; nan before the first."""
        return np.where(self.marks > 0, self.marks / self.contract.spec.scale, np.nan)

    @property
    def wanted(self) -> _Bools:
        """Bars at which its greeks matter: something is held behind or before them."""
        held: _Bools = self.qty != 0
        before = held.copy()
        before[1:] = held[:-1]
        held |= before
        return held

    def expand(
        self,
        forward: Forwards,
        vol: npt.NDArray[np.float64],
        slopes: npt.NDArray[np.float64],
        days: npt.NDArray[np.float64],
    ) -> None:
        """Add up the terms of the expansion over its intervals."""
        known = self.live & (forward.age == 0)
        if self._first:
            known[0] = True  # the night begins with what was known last
        at = np.flatnonzero(known & np.isfinite(vol) & np.isfinite(forward.value))
        if len(at) < 2:
            return
        a, b = at[:-1], at[1:]
        changed = np.zeros(len(self.qty), dtype=np.int64)
        changed[1:] = np.cumsum(np.diff(self.qty) != 0)
        qty = np.where(changed[b - 1] == changed[a], self.qty[a], 0)
        move = forward.value[b] - forward.value[a]
        delta, gamma, theta, vega = slopes[:, a]
        terms = (
            delta * move,
            0.5 * gamma * move * move,
            theta * (days[b] - days[a]),
            vega * (vol[b] - vol[a]) * 100,
        )
        for name, term in zip(_GREEKS, terms, strict=True):
            self.by_greek[name] = round(float((qty * term).sum()) * MONEY_SCALE)

    # By cause

    def by_cause(self) -> dict[str, RawMoney]:
        """Divide what it made, before slippage and charges."""
        book, factor, low = self._book, self.contract.factor, self._book.low
        opened, start = self._open()
        gaps = self.qty_before * (start - self._night) * factor
        early = book.first_minute
        first_minute = int(self.moves[self._first : early].sum())
        first_minute -= gaps if opened < early else 0
        settlement = stops = 0
        for fill, made in self.traded:
            if fill.kind == "settlement":
                settlement += made
            elif fill.bar - low < early:
                first_minute += made
        for match in book.stopped.get(self.contract, ()):
            entered = match.entry.bar - low if match.entry.bar >= book.first else opened
            begin = _seen(match.entry) if match.entry.bar >= book.first else start
            stops += match.qty * (_seen(match.exit) - begin) * factor
            if entered < early:
                left = match.exit.bar - low < early
                until = _seen(match.exit) if left else int(self.marks[early - 1])
                first_minute -= match.qty * (until - begin) * factor
        rest = self.gross - gaps - stops - settlement - first_minute
        return {
            "gaps": gaps,
            "first_minute": first_minute,
            "stops": stops,
            "settlement": settlement,
            "rest": rest,
        }

    @property
    def _night(self) -> RawPrice:
        return int(self.marks[0]) if self._first else 0

    def _open(self) -> tuple[int, RawPrice]:
        """Index of its first live bar of the session and where that begins.

        Where it has none: the end, and the last session's mark.
        """
        live = np.flatnonzero(self.live[self._first :])
        columns = self._columns
        if not len(live) or columns is None or not self.qty_before:
            return len(self.live), self._night
        at = int(live[0]) + self._first
        if columns.quoted:  # it is marked between its quotes; a trade may lie outside of them
            return at, int(self.marks[at])
        return at, columns.points.item(POINTS * (at + self._book.low - columns.first))

    def row(self) -> dict[str, int]:
        """Return all columns of its row, raw."""
        factor = self.contract.factor
        slippage = -sum(abs(f.qty) * f.raw_slippage for f in self.fills) * factor
        charges = self._book.charges.get(self.contract, 0)
        return {
            "qty_before": self.qty_before,
            "qty_after": int(self.qty[-1]),
            "held": int(self.moves.sum()),
            "traded": sum(made for _, made in self.traded),
            **self.by_greek,
            "residual": self.gross - sum(self.by_greek.values()),
            **self.by_cause(),
            "slippage": slippage,
            "charges": charges,
            "pnl": self.gross + slippage + charges,
        }


def _seen(fill: Fill) -> RawPrice:
    """Price on the path that a fill was made at, before slippage."""
    return fill.raw_price - (fill.raw_slippage if fill.qty > 0 else -fill.raw_slippage)
