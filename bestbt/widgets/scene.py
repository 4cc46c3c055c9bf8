"""Scene: what there is to see of a run at the bar where it stands, as plain values.

It is read between two bars (see `Backtest.read`) and drawn afterwards by another thread, so
nothing in it refers to the run.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import NamedTuple

from bestbt.engine.contract import Contract
from bestbt.engine.desk import Desk
from bestbt.engine.order import Order
from bestbt.engine.position import Position
from bestbt.engine.simulation import Simulation
from bestbt.errors import ContractNotFound
from bestbt.units import Money, Ordinal, Price, Qty, Right, money
from bestbt.widgets.looker import looker_at

__all__ = ["Held", "Net", "Scene", "Working", "read_scene"]


class Held(NamedTuple):
    """An open position. Greeks are of all that is held: per point, vol point and day."""

    name: str
    symbol: str
    expiry: date | None
    strike: float | None
    right: Right | None
    opened: Ordinal  # bar of its first fill
    qty: Qty  # signed units
    lots: int
    entry: Price
    price: Price
    age: int | None  # bars since the price was live
    pnl: Money  # unrealized
    sl: Price | None
    target: Price | None
    forward: float  # what its expiry is priced on; nan where it is not known, or nothing expires
    years: float  # to its expiry
    iv: float
    delta: float
    gamma: float
    theta: float
    vega: float
    tag: str


class Net(NamedTuple):
    """Greeks of all options and futures together; those that cannot be told are left out."""

    delta: float
    gamma: float
    theta: float
    vega: float
    unknown: int  # positions without greeks


class Working(NamedTuple):
    """An order that waits."""

    id: int
    name: str
    qty: Qty
    type: str
    kind: str
    trigger: Price | None
    price: Price | None
    tag: str


class Scene(NamedTuple):
    """A run at one bar."""

    bar: Ordinal  # the newest closed one
    time: datetime | None  # local, at which it closed; None before the first
    symbol: str
    spot: Price | None
    change: float | None  # of the spot since the last close of the session before, as a fraction
    vix: Price | None
    expiry: date | None  # the nearest
    dte: int | None  # sessions until then
    today: Money  # the day's PnL
    pnl: Money
    realized: Money
    charges: Money
    held: tuple[Held, ...]
    net: Net
    working: tuple[Working, ...]
    blocked: str  # why and until when; empty when it is not
    met: str  # the event at which the run has come to rest
    by_hand: int  # things done by hand
    fills: int
    orders: int
    logged: int  # lines of the log

    @property
    def premium(self) -> Money | None:
        """What it would cost to close the options that are held; None without any.

        Short options count positive: a seller sees what is left of what was received.
        """
        options = [h for h in self.held if h.right is not None]
        return -sum(h.price * h.qty for h in options) if options else None


def read_scene(simulation: Simulation) -> Scene:
    """Read a run that stands between two bars; nothing in it changes."""
    desk, strategy = simulation.desk, simulation.strategy
    portfolio, grid, bar = desk.portfolio, simulation.grid, simulation.bar
    begun = bar >= simulation.start
    symbol = desk.symbols[0]
    spot = looker_at(desk).spot(symbol)
    expiry = desk.calendar(symbol).nearest(desk.unsettled_from)
    held = tuple(_held(p, desk) for p in portfolio.positions.values())
    return Scene(
        bar=bar,
        time=grid.to_local(grid.end(bar)) if begun else None,
        symbol=symbol,
        spot=_price(spot) if begun else None,
        change=_change(simulation, spot) if begun else None,
        vix=_vix(simulation) if begun else None,
        expiry=expiry,
        dte=None if expiry is None else desk.sessions_left(expiry),
        today=strategy.today_pnl,
        pnl=simulation.pnl_now,
        realized=money(portfolio.realized),
        charges=money(portfolio.charges),
        held=held,
        net=_net(held),
        working=tuple(_working(o) for o in desk.exchange.working if o.status == "working"),
        blocked=_blocked(simulation),
        met=simulation.met,
        by_hand=len(simulation.interventions),
        fills=len(portfolio.fills),
        orders=len(desk.orders),
        logged=len(desk.log),
    )


def _price(contract: Contract) -> Price | None:
    price = contract.price
    return None if math.isnan(price) else price


def _change(simulation: Simulation, spot: Contract) -> float | None:
    """Return how far the spot is from the close of the session before."""
    grid, bar = simulation.grid, simulation.bar
    first = grid.firsts[grid.session(bar)]
    price, columns = _price(spot), spot._prices
    if price is None or columns is None or first <= columns.first:
        return None
    return price * spot.spec.scale / int(spot.marks(first - 1, first)[0]) - 1


def _vix(simulation: Simulation) -> Price | None:
    name = simulation.desk.market.vix(simulation.desk.symbols[0])
    if name is None:
        return None
    try:
        return _price(looker_at(simulation.desk).spot(name))
    except ContractNotFound:  # it is not stored
        return None


def _blocked(simulation: Simulation) -> str:
    desk = simulation.desk
    told = [
        f"{b.scope} until {b.end}" + (f": {b.reason}" if b.reason else "") for b in desk.blocks.on
    ]
    if desk.frozen:
        told.append(f"{len(desk.frozen)} positions left to their stops")
    return "; ".join(told)


def _held(position: Position, desk: Desk) -> Held:
    contract, qty = position.contract, position.qty
    seen, forward, years = contract, math.nan, math.nan
    if contract.right is not None and contract.expiry is not None and contract.strike is not None:
        chain = looker_at(desk).chain(contract.symbol, contract.expiry)
        seen = chain.option(contract.strike, contract.right)
        forward, years = chain.forward or math.nan, chain.years
    return Held(
        name=contract.name,
        symbol=contract.symbol,
        expiry=contract.expiry,
        strike=contract.strike,
        right=contract.right,
        opened=position.opened,
        qty=qty,
        lots=position.lots,
        entry=position.entry_price,
        price=contract.mark / contract.spec.scale,
        age=contract.age,
        pnl=money(position.raw_unrealized),
        sl=position.sl,
        target=position.target,
        forward=forward,
        years=years,
        iv=seen.iv,
        delta=qty * seen.delta,
        gamma=qty * seen.gamma,
        theta=qty * seen.theta,
        vega=qty * seen.vega,
        tag=position.tag,
    )


def _net(held: tuple[Held, ...]) -> Net:
    known = [h for h in held if not math.isnan(h.delta)]
    return Net(
        delta=sum(h.delta for h in known),
        gamma=sum(h.gamma for h in known),
        theta=sum(h.theta for h in known),
        vega=sum(h.vega for h in known),
        unknown=len(held) - len(known),
    )


def _working(order: Order) -> Working:
    return Working(
        order.id,
        order.contract.name,
        order.left,
        order.type,
        order.kind,
        order.trigger,
        order.price,
        order.tag,
    )
