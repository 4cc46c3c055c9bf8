"""ChainScene: what the option chain shows at one bar of a run, as plain values and arrays.

feed, market, clock of a run --> OptionChain of a looker --one board a bar--> ChainScene
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from bestbt.engine.board import NEVER, Board, Reference, Rows
from bestbt.engine.chain import MAX_AGE
from bestbt.engine.desk import Desk
from bestbt.engine.position import Position
from bestbt.engine.prices import PriceColumns
from bestbt.engine.pricing import Floats
from bestbt.engine.strategy import Strategy
from bestbt.errors import NoSchedule, UsageError
from bestbt.units import POINTS, Ordinal, Qty
from bestbt.widgets.looker import looker_at

__all__ = ["ChainScene", "Side", "read_chain"]

Bools: TypeAlias = npt.NDArray[np.bool_]


class Side(NamedTuple):
    """The calls or the puts of a chain, each field an array with one entry a strike.

    Prices are currency per unit; a field is nan where there is none.

    Attributes
    ----------
    oi, oi_change
        Open interest in units, and its change since the last bar of the session before.
    volume
        Units traded in the session so far.
    iv
        Implied volatility a year, as a fraction.
    delta, gamma, theta, vega
        Per unit, as `bestbt.engine.pricing.Greeks` says.
    bid, ask
        Quotes at the newest bar's close.
    last
        Newest live close.
    age
        Bars since the price was live.
    own
        Signed units held; 0 where none.
    listed, old, off
        Bools: whether there is such an option by now; whether its price is too old to tell a
        volatility (more than five bars, or of an earlier session); whether the last lies outside
        bid and ask.
    """

    oi: Floats
    oi_change: Floats
    volume: Floats
    iv: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    bid: Floats
    ask: Floats
    last: Floats
    age: Floats
    own: Floats
    listed: Bools
    old: Bools
    off: Bools


@dataclass(frozen=True, slots=True, eq=False)
class ChainScene:
    """One expiry's options at the bar where a run stands; nothing in it changes any more.

    Attributes
    ----------
    symbol, currency
        The underlying, and its sign of currency.
    bar, time
        Newest closed bar; exchange local time.
    expiry, asked
        What is shown, and what was asked for: None follows the nearest. An expiry that has settled
        gives way to the nearest.
    expiries, monthly
        Those listed and not yet settled, nearest first, and whether each is a monthly one.
    dte
        Sessions left, 0 on the day; None where the calendar does not reach so far.
    spot, forward, synthetic
        With source and age in bars; None where not known.
    lot, freeze
        Units: a lot, and the most that one order may have; None where not known.
    atm, atm_synthetic
        Listed strikes nearest to what a strategy's `get_atm` measures from (the spot, unless it is
        frozen) and to the synthetic future; None where not known.
    strikes, straddle
        Ascending, shape ``(n,)``; price of call and put together, nan unless both are fresh.
    calls, puts
        The rows; see `Side`.
    """

    symbol: str
    currency: str
    bar: Ordinal
    time: datetime
    expiry: date
    asked: date | None
    expiries: tuple[date, ...]
    monthly: tuple[bool, ...]
    dte: int | None
    spot: Reference | None
    forward: Reference | None
    synthetic: Reference | None
    lot: int | None
    freeze: Qty | None
    atm: float | None
    atm_synthetic: float | None
    strikes: Floats
    straddle: Floats
    calls: Side
    puts: Side

    @property
    def smile(self) -> Floats:
        """Implied volatility by strike, of the option that is out of the money."""
        if self.forward is None:
            return np.full(len(self.strikes), np.nan)
        return np.where(self.strikes < self.forward.value, self.puts.iv, self.calls.iv)


def read_chain(
    strategy: Strategy,
    expiry: date | None = None,
    of: str | None = None,
    held: Iterable[Position] | None = None,
) -> ChainScene | None:
    """Read the chain of an expiry where a run stands, and leave no trace in the run.

    To be called where nothing moves the run: on the engine's thread between two bars, or while it
    is paused.

    Parameters
    ----------
    strategy
        Of the run.
    expiry
        The nearest unless told otherwise.
    of
        Another underlying of the run than its first.
    held
        Positions whose quantities are shown; all open ones unless told otherwise.

    Returns
    -------
    ChainScene or None
        None where the symbol has no listed options.

    Examples
    --------
    >>> from bestbt.testing import MemoryFeed, simulate
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    >>> feed.add_index([100] * 5)
    >>> for strike, call, put in ((95, 6, 0.5), (100, 2.5, 2), (105, 0.75, 5.3)):
    ...     for right, price in (("CE", call), ("PE", put)):
    ...         _ = feed.add_option("2024-01-04", strike, right, [price] * 5)
    >>> run = simulate(Strategy, feed, run=False).step(2)
    >>> scene = read_chain(run.strategy)
    >>> scene.atm, scene.forward.value, scene.dte, scene.straddle.round(2).tolist()
    (100.0, 100.5, 3, [6.5, 4.5, 6.05])
    """
    desk = strategy._desk
    symbol = desk.check_symbol(of)
    looker = looker_at(desk)
    expiries = tuple(looker.calendar(symbol).from_day(desk.unsettled_from))
    if not expiries:
        return None
    asked = expiry if expiry in expiries else None
    day = expiries[0] if asked is None else asked
    chain, bar = looker.chain(symbol, day), desk.clock.bar
    board = chain._board(MAX_AGE)
    if held is None:
        held = desk.portfolio.positions.values()
    layout = looker.kept.get(chain)
    if layout is None or layout.rows is not board.rows:  # another contract is listed
        layout = looker.kept[chain] = _Layout(board.rows)
    before = chain._session_of(bar) - 1
    own = layout.own([p for p in held if (p.contract.symbol, p.contract.expiry) == (symbol, day)])
    straddle, calls, puts = layout.table(board, bar, before, own)
    options = board.rows.contracts
    spot = chain.spot
    return ChainScene(
        symbol=symbol,
        currency=desk.market.currency,
        bar=bar,
        time=desk.grid.to_local(desk.now),
        expiry=day,
        asked=asked,
        expiries=expiries,
        monthly=tuple(looker.calendar(symbol).kind(e) == "monthly" for e in expiries),
        dte=_dte(desk, day),
        spot=None if spot.age is None else Reference(spot.price, "spot", spot.age),
        forward=board.forward,
        synthetic=board.synthetic,
        lot=looker.lots.of(options[0].spec, desk.today) if options else None,
        freeze=_freeze(desk.market, symbol, desk.today),
        atm=chain.atm_by("spot"),
        atm_synthetic=chain.atm_by("synthetic"),
        strikes=layout.strikes,
        straddle=straddle,
        calls=calls,
        puts=puts,
    )


class _Layout:
    """Where the columns of a chain's rows lie in its table."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._feeds = [_feed(contract._prices) for contract in rows.contracts]
        self.strikes, place = np.unique(rows.strike, return_inverse=True)
        self._sides = [(mask, place[mask]) for mask in (rows.call, ~rows.call)]
        self._pairs = place[rows.pairs]
        self._at = {
            (c.strike, c.right): (place[i], not rows.call[i]) for i, c in enumerate(rows.contracts)
        }

    def table(
        self, board: Board, bar: Ordinal, before: Ordinal, own: Floats
    ) -> tuple[Floats, Side, Side]:
        """Return straddles, calls and puts; *before* is the last bar of the session before."""
        rows = self.rows
        oi, oi_before, bid, ask, last = self._newest(bar, before)
        # A last trade may be older than the quotes beside it: that is what the flag tells.
        off = (last < bid) | (last > ask)
        none = board.age == NEVER  # no price yet
        age, traded = np.where(none, np.nan, board.age), np.where(none, np.nan, board.day_volume)
        columns = np.stack(
            (oi, oi - oi_before, traded, board.iv, *board.greeks, bid, ask, last, age)
        )
        columns[-4:-1] /= rows.scale
        flags = np.stack((np.ones(len(off), np.bool_), ~board.fresh, off))
        straddle = np.full(len(self.strikes), np.nan)
        calls = rows.pairs
        fresh = board.fresh[calls] & board.fresh[calls + 1]
        both = (board.raw[calls] + board.raw[calls + 1]) / rows.scale
        straddle[self._pairs] = np.where(fresh, both, np.nan)
        sides = []
        for right, (mask, place) in enumerate(self._sides):
            made = np.full((len(columns), len(straddle)), np.nan)
            marked = np.zeros((len(flags), len(straddle)), np.bool_)
            made[:, place], marked[:, place] = columns[:, mask], flags[:, mask]
            sides.append(Side._make((*made, own[right], *marked)))
        return straddle, sides[0], sides[1]

    def own(self, held: Iterable[Position]) -> Floats:
        """Units held by right and strike, of positions in this chain."""
        own = np.zeros((2, len(self.strikes)))
        for position in held:
            at = self._at.get((position.contract.strike, position.contract.right))
            if at is not None:
                strike, put = at
                own[int(put), strike] += position.qty
        return own

    def _newest(self, bar: Ordinal, before: Ordinal) -> Floats:
        """Return what each row's columns say at a bar: raw, nan where they say nothing.

        Open interest, the same at the bar *before*, bid, ask and last, each with one entry a row.
        """
        nan = np.nan
        found = []
        for feed in self._feeds:
            if feed is None or bar < feed[0]:
                found.append((nan, nan, nan, nan, nan))
                continue
            first, end, closes, oi, bid, ask = feed
            i, was = min(bar - first, end), min(before - first, end)
            found.append(
                (
                    nan if oi is None else oi[i],
                    nan if oi is None or was < 0 else oi[was],
                    nan if bid is None else bid[i] or nan,
                    nan if ask is None else ask[i] or nan,
                    closes[i],
                )
            )
        return np.array(found, dtype=np.float64).reshape(-1, 5).T


_View: TypeAlias = "memoryview | None"
_Feed: TypeAlias = "tuple[Ordinal, int, memoryview, _View, _View, _View] | None"


def _feed(columns: PriceColumns | None) -> _Feed:
    """Return what is read of a contract at every bar; an item of a memoryview is a plain number.

    First bar, last index, closes, open interest, bids and asks.
    """
    if columns is None:
        return None
    closes = columns.points[POINTS - 1 :: POINTS].data
    oi, bid, ask = (None if c is None else c.data for c in (columns.oi, columns.bid, columns.ask))
    return columns.first, columns.n - 1, closes, oi, bid, ask


def _dte(desk: Desk, expiry: date) -> int | None:
    try:
        return desk.sessions_left(expiry)
    except NoSchedule:  # a day too far off for the market's tables
        return None


def _freeze(market: Any, symbol: str, day: date) -> Qty | None:
    """Most units of one order, where the market has such a limit and knows it for that day."""
    ask = getattr(market, "freeze_quantity", None)
    if ask is None:
        return None
    try:
        return int(ask(symbol, day))
    except UsageError:
        return None
