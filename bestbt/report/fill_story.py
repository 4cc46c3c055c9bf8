"""Why a fill: where on its bar's path it traded, what it waited for, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.matching import MatchRules
from bestbt.engine.order import Fill
from bestbt.engine.prices import PriceColumns
from bestbt.errors import UsageError
from bestbt.report.summary import amount
from bestbt.units import MINUTE, POINTS, Money, Price, money

__all__ = ["FillStory", "PathPoint", "fill_story"]


@dataclass(frozen=True)
class PathPoint:
    """One of a bar's four prices; of the one `reached` the order traded, or on the way to it."""

    name: str  # open, low, high, close
    price: Price
    reached: bool


@dataclass(frozen=True)
class FillStory:
    """One fill, told.

    Attributes
    ----------
    number
        Its row in `run.fills`.
    ordered, time
        When the order was placed, and the start of the bar in which it traded; local.
    symbol, side, qty, kind, reason
        As in `run.fills`.
    why
        The reason in a sentence.
    path
        The four prices of its bar in the order in which the order saw them.
    policy
        What decided that order: `"nearest"`, `"pessimistic"`, `"optimistic"`.
    level, level_name
        The limit or trigger that it waited for, as it stood then; None and empty without.
    seen, slippage, price
        The price on the path (or quoted), what slippage added to its cost per unit, and the
        price that was paid or received.
    slippage_rule
        How that slippage came about.
    volume, share
        Units that its bar has traded, and the fill's part of them; None where not known.
    age
        Bars since the price that it traded at was made; 0: in its bar.
    waited
        Bars between the first in which it could trade and this one.
    bid, ask
        At its bar's close; None where there were none.
    charges
        By name, in the currency.
    currency
        Its sign.
    """

    number: int
    ordered: datetime
    time: datetime
    symbol: str
    side: str
    qty: int
    kind: str
    reason: str
    why: str
    path: tuple[PathPoint, ...]
    policy: str
    level: Price | None
    level_name: str
    seen: Price
    slippage: Price
    price: Price
    slippage_rule: str
    volume: int | None
    share: float | None
    age: int | None
    waited: int
    bid: Price | None
    ask: Price | None
    charges: tuple[tuple[str, Money], ...]
    currency: str

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    def _rows(self) -> list[tuple[str, str]]:
        sign = "+" if self.side == "BUY" else "−"
        rows = [("Why", self.why)]
        if self.path:
            steps = " → ".join(
                f"{'▸' if p.reached else ''}{p.name} {_price(p.price)}" for p in self.path
            )
            rows.append(("Path", f"{steps} ({self.policy})"))
        if self.level is not None:
            rows.append((self.level_name.capitalize(), _price(self.level)))
        rows.append(("Price", f"{_price(self.seen)} {sign} {_price(self.slippage)} slippage = "
                              f"{_price(self.price)}"))  # fmt: skip
        rows.append(("Slippage", self.slippage_rule))
        if self.volume is not None:
            part = "" if self.share is None else f"; the fill is {100 * self.share:.2f} % of it"
            rows.append(("Volume", f"{self.volume:,} units in the bar{part}"))
        if self.bid is not None or self.ask is not None:
            quotes = (_price(q) if q is not None else "–" for q in (self.bid, self.ask))
            rows.append(("Bid, ask", ", ".join(quotes)))
        if self.age:
            rows.append(("Age", f"the price is {_bars(self.age)} old"))
        waited = f"; it waited {_bars(self.waited)}" if self.waited else ""
        rows.append(("Ordered", f"{self.ordered:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + waited))
        paid = ", ".join(f"{name} {amount(value, self.currency)}" for name, value in self.charges)
        rows.append(("Charges", paid or "none"))
        return rows

    def _head(self) -> str:
        seconds = ":%S" if self.time.second else ""
        return (
            f"Fill {self.number} · {self.time:%Y-%m-%d %H:%M{seconds}} · {self.side} "
            f"{self.qty:,} {self.symbol} at {_price(self.price)}"
        )

    def to_text(self) -> str:
        """Return it as a few lines of text."""
        return "\n".join([self._head(), *(f"{label:<9} {text}" for label, text in self._rows())])

    def to_html(self) -> str:
        """Return it as HTML in the colours of JupyterLab's theme, light or dark."""
        rows = "".join(
            f'<tr style="background:transparent"><th style="{_CELL};'
            f'color:var(--jp-ui-font-color2,inherit)">{escape(label)}</th>'
            f'<td style="{_CELL}">{escape(text)}</td></tr>'
            for label, text in self._rows()
        )
        return (
            f'<div class="bt-fill" style="{_BOX}"><b>{escape(self._head())}</b>'
            f'<table style="{_TABLE}">{rows}</table></div>'
        )


_BOX = (
    "color:var(--jp-ui-font-color1,inherit);background:transparent;"
    "font-family:var(--jp-ui-font-family,sans-serif);font-size:var(--jp-ui-font-size1,13px)"
)
_TABLE = "border-collapse:collapse;table-layout:auto;font:inherit;color:inherit;margin:2px 0"
_CELL = "text-align:left;vertical-align:top;padding:1px 8px;font-weight:normal"


def _price(value: Price) -> str:
    return f"{value:,.2f}" if round(value, 2) == value else f"{value:,.10g}"


def _bars(n: int) -> str:
    return f"{n} bar{'' if n == 1 else 's'}"


def fill_story(
    fills: Sequence[Fill],
    which: int | Fill,
    rules: MatchRules,
    slippage: Any = "default",
    currency: str = "₹",
) -> FillStory:
    """Tell why and how a fill came about.

    Parameters
    ----------
    fills
        Of the run.
    which
        The number of its row (−1: the last), or the fill itself.
    rules
        The run's choices about what a bar leaves open.
    slippage
        The run's option.
    currency
        Its sign.

    Raises
    ------
    UsageError
        For a number that no fill has.

    Examples
    --------
    >>> from bestbt.testing import example_result
    >>> print(fill_story(example_result().fills, 0, MatchRules(), slippage=0))
    Fill 0 · 2024-01-01 09:17 · BUY 50 NIFTY 2024-01-01 100 CE at 4.00
    Why       Bought at the open, the first price after the order.
    Path      ▸open 4.00 → low 4.00 → high 4.00 → close 4.00 (nearest)
    Price     4.00 + 0.00 slippage = 4.00
    Slippage  your rule: 0
    Ordered   2024-01-01 09:17
    Charges   none
    """
    fill = _found(fills, which)
    order, contract, grid = fill.order, fill.contract, fill.grid
    spec, columns, buys = contract.spec, contract._prices, fill.qty > 0
    at = -1 if columns is None else fill.bar - columns.first
    inside = columns is not None and 0 <= at < columns.n
    raw_seen = fill.raw_price - (fill.raw_slippage if buys else -fill.raw_slippage)
    raw_level, level_name = _level(fill)
    path: tuple[PathPoint, ...] = ()
    volume = age = bid = ask = None
    if columns is not None and inside:
        path = _path(fill, columns, rules, at)
        if columns.volume is not None:
            volume = int(columns.volume[at])
        age = at - int(columns.newest[at])
        bid, ask = _quote(columns.bid, at, spec.scale), _quote(columns.ask, at, spec.scale)
    quoted = columns is not None and columns.quoted
    level = raw_level / spec.scale if raw_level else None
    return FillStory(
        number=fill.id,
        ordered=grid.to_local(order.time),
        time=fill.time,
        symbol=contract.name,
        side=fill.side,
        qty=abs(fill.qty),
        kind=fill.kind,
        reason=fill.reason,
        why=_why(fill, path, level, raw_seen / spec.scale, rules, quoted),
        path=path,
        policy=rules.path if order.is_exit else "nearest",
        level=level,
        level_name=level_name if level is not None else "",
        seen=raw_seen / spec.scale,
        slippage=fill.slippage,
        price=fill.price,
        slippage_rule=_slippage_rule(fill, slippage, quoted),
        volume=volume,
        share=abs(fill.qty) / volume if volume else None,
        age=age,
        waited=max(fill.bar - order.first, 0),
        bid=bid,
        ask=ask,
        charges=tuple((name, money(raw)) for name, raw in fill.raw_charges.items()),
        currency=currency,
    )


def _found(fills: Sequence[Fill], which: int | Fill) -> Fill:
    if isinstance(which, Fill):
        return which
    if isinstance(which, bool) or not isinstance(which, int | np.integer):
        raise UsageError(f"why_fill({which!r}): give the number of a row of run.fills, or a fill.")
    if not -len(fills) <= which < len(fills):
        have = f"rows 0 to {len(fills) - 1}" if fills else "no fill yet"
        raise UsageError(f"why_fill({which}): run.fills has {have}.")
    return fills[int(which)]


def _level(fill: Fill) -> tuple[int, str]:
    order = fill.order
    if order.type == "limit" or order.skipped:
        return order.raw_price, "limit"
    return (order.raw_trigger, "trigger") if order.raw_trigger else (0, "")


def _quote(side: npt.NDArray[np.int32] | None, at: int, scale: int) -> Price | None:
    return int(side[at]) / scale if side is not None and side[at] > 0 else None


def _path(fill: Fill, columns: PriceColumns, rules: MatchRules, at: int) -> tuple[PathPoint, ...]:
    """The bar's prices as the order saw them."""
    order = fill.order
    points = columns.points
    if rules.path != "nearest" and order.is_exit:
        points = columns.ordered(low_first=(order.qty < 0) == (rules.path == "pessimistic"))
    raw = points[POINTS * at : POINTS * at + POINTS].tolist()
    names = ("open", "low", "high", "close") if raw[1] <= raw[2] else (
        "open", "high", "low", "close"
    )  # fmt: skip
    reached = fill.point % POINTS if fill.kind != "settlement" else -1
    return tuple(
        PathPoint(name, price / columns.scale, i == reached)
        for i, (name, price) in enumerate(zip(names, raw, strict=True))
    )


_DONE = {
    "entry": ("Bought", "Sold"),
    "exit": ("Bought back", "Sold out"),
    "stop": ("Stopped out, bought back", "Stopped out, sold"),
    "target": ("Target reached, bought back", "Target reached, sold"),
    "roll": ("Rolled, bought", "Rolled, sold"),
    "settlement": ("Settled", "Settled"),
}


def _why(
    fill: Fill,
    path: tuple[PathPoint, ...],
    level: Price | None,
    seen: Price,
    rules: MatchRules,
    quoted: bool,
) -> str:
    done = _DONE[fill.kind][0 if fill.qty > 0 else 1]
    trails = "trailing stop" if fill.order.type == "trail" else "stop"
    stop = f"the {trails} at {_price(level)}" if level is not None else "the stop"
    on = _way(fill, path)
    if fill.reason == "settlement":
        return f"Settled: the contract has expired and a unit is worth {_price(seen)}."
    if fill.reason == "square-off":
        return f"{done} at the newest mark: the run ends and is to hold nothing."
    if fill.reason == "gap":
        return f"{done} at the open: the bar began beyond {stop}, and nothing traded between."
    if fill.reason == "trigger-passed":
        return f"{done} at {_price(seen)}: {stop} was through already when it began to work."
    if fill.reason == "trigger":
        if fill.order.is_exit and rules.stop_check == "close":
            return f"{done} at the next price after a close beyond {stop}."
        if quoted:
            return f"{done} at {_side(fill)} after the price had touched {stop}."
        return f"{done}: the price touched {stop}{on}."
    if fill.reason == "limit":
        if quoted:
            return f"{done}: {_side(fill)} was within the limit at {_price(level or seen)}."
        verb = "touched" if rules.limit_touch else "went through"
        return f"{done}: the price {verb} the limit at {_price(level or seen)}{on}."
    return f"{done} at {_place(fill, quoted)}{_by_whom(fill)}"


def _way(fill: Fill, path: tuple[PathPoint, ...]) -> str:
    """Between which points of the path it traded."""
    i = fill.point % POINTS
    if not path or not i:
        return " at the open" if path else ""
    a, b = path[i - 1], path[i]
    return f" on the way from the {a.name} {_price(a.price)} to the {b.name} {_price(b.price)}"


def _side(fill: Fill) -> str:
    return "the ask" if fill.qty > 0 else "the bid"


def _place(fill: Fill, quoted: bool) -> str:
    if quoted:
        return _side(fill)
    return "the close" if fill.point % POINTS else "the open"


def _by_whom(fill: Fill) -> str:
    if fill.reason == "intervention":
        return ", by hand."
    if fill.reason == "roll":
        return ", with the other leg of the roll."
    if fill.order.type == "limit":
        return ", which was better than the limit."
    if fill.reason == "close":
        return " just seen, or beside a leg that trades at a quote."
    return ", the first price after the order."


def _slippage_rule(fill: Fill, rule: Any, quoted: bool) -> str:
    order, grid = fill.order, fill.grid
    if fill.reason in ("settlement", "square-off"):
        return f"none: a {fill.reason} is no trade on the market"
    if quoted:
        return "none at a quote: the spread is what it costs"
    if order.type in ("limit", "sl"):
        return "none: a limit trades at its price or better"
    if rule is not None and rule != "default":
        return f"your rule: {getattr(rule, '__name__', rule)}"
    share, times = (0.5 if fill.contract.asset == "option" else 0.02), 1
    said = []
    if order.type in ("slm", "trail"):
        times, said = 2, ["twice for a stop"]
    first = grid.firsts[grid.session(fill.bar)]
    if fill.bar < first + max(MINUTE // grid.step, 1):
        times *= 2
        said.append("twice in the session's first minute")
    least = times * fill.contract.tick
    by = f", {', '.join(said)}" if said else ""
    return f"{share * times:g} % of the price, at least {_price(least)}{by}"
