"""StrategyBase: every verb and every monitoring function a strategy has.

It holds no state of its own: it asks the desk. Prices and money are floats; times are exchange
local time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any, Literal, get_args

from bestbt.engine.blocks import Blocking
from bestbt.engine.chain import MAX_AGE, By, OptionChain, Side
from bestbt.engine.contract import Contract
from bestbt.engine.desk import Desk
from bestbt.engine.grid import duration
from bestbt.engine.indicators import CoarserIndicator, Indicator, crossed_above, labelled
from bestbt.engine.order import Buy, Order, OrderStatus, OrderType, Sell, TimeInForce
from bestbt.engine.position import Position
from bestbt.engine.pricing import Greeks
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError, did_you_mean
from bestbt.units import Money, Ordinal, Price, Qty, Right, money

__all__ = ["StrategyBase"]


_STATUSES = get_args(OrderStatus)


class StrategyBase(Blocking):
    """The names a strategy inherits."""

    spot: Contract  # the first symbol of the run
    day: SimpleNamespace  # yours; emptied at each session's start
    random: random.Random  # seeded: the same in every replay
    _desk: Desk
    _drawn: list[Indicator]

    def _bind(self, desk: Desk, seed: int) -> None:
        self._desk = desk
        self.spot = desk.spot(desk.symbols[0])
        self.day = SimpleNamespace()
        self.random = random.Random(seed)
        self._drawn = []

    # Now

    @property
    def now(self) -> datetime:
        """Exchange local time at which the hook runs: the newest bar has just closed."""
        return self._desk.grid.to_local(self._desk.now)

    @property
    def today(self) -> date:
        """Local date of the session."""
        return self._desk.today

    @property
    def bar(self) -> Ordinal:
        """Number of the newest closed bar on the run's grid."""
        return self._desk.clock.bar

    def contract(self, name: str) -> Contract:
        """Return a contract by name: `"BANKNIFTY"`, `"NIFTY 2024-02-29 22000 CE"`, `… FUT`."""
        return self._desk.named(name)

    @property
    def vix(self) -> Contract:
        """The volatility index of the first symbol."""
        symbol = self._desk.symbols[0]
        name = self._desk.market.vix(symbol)
        if name is None:
            raise ContractNotFound(f"{symbol} has no volatility index.")
        return self._desk.spot(name)

    # Expiries

    def expiries(self, of: str | None = None) -> list[date]:
        """Listed expiries not yet settled, nearest first."""
        desk = self._desk
        return desk.calendar(desk.check_symbol(of)).from_day(desk.unsettled_from)

    def get_closest_expiry(self, of: str | None = None) -> date:
        """Return the nearest listed expiry not yet settled; today's on an expiry day."""
        return self.get_weekly_expiry(0, of=of)

    def get_weekly_expiry(self, n: int = 0, of: str | None = None) -> date:
        """Return the n-th listed expiry from now, the monthly counting as its own week's."""
        desk = self._desk
        return desk.calendar(desk.check_symbol(of)).weekly(desk.unsettled_from, n)

    def get_monthly_expiry(
        self, n: int = 0, after: date | None = None, of: str | None = None
    ) -> date:
        """Return the n-th monthly expiry from now, or from a date."""
        desk = self._desk
        if after is not None and not isinstance(after, date):
            raise ExpiryNotFound(f"after={after!r}: give a date.")
        first = max(after, desk.unsettled_from) if after else desk.unsettled_from
        return desk.calendar(desk.check_symbol(of)).monthly(first, n)

    def dte(self, contract: Contract) -> int | None:
        """Sessions left until a contract's expiry, 0 on its day; None where nothing expires."""
        return _contract_of("dte", contract).dte

    def dte_calendar(self, contract: Contract) -> int | None:
        """Calendar days until a contract's expiry, 0 on its day; None where nothing expires."""
        expiry = _contract_of("dte_calendar", contract).expiry
        return None if expiry is None else (expiry - self.today).days

    # Contracts

    def futures(self, n: int = 0, of: str | None = None) -> Contract:
        """Return the n-th listed future from now: 0 is the near month."""
        desk = self._desk
        symbol = desk.check_symbol(of)
        expiry = desk.calendar(symbol, "future").weekly(desk.unsettled_from, n)
        spec = desk.feed.future(symbol, expiry)
        if spec is None:
            raise ContractNotFound(f"No {symbol} future of {expiry} in the store.")
        return desk.contract(spec)

    def option(
        self, strike: float, right: Right, expiry: date | None = None, of: str | None = None
    ) -> Contract:
        """Return an option by strike; of the nearest expiry unless told otherwise."""
        return self.chain(expiry, of=of).option(strike, right)

    def chain(self, expiry: date | None = None, of: str | None = None) -> OptionChain:
        """Return the option chain of an expiry, the nearest unless told otherwise."""
        desk = self._desk
        symbol = desk.check_symbol(of)
        calendar = desk.calendar(symbol)
        if expiry is None:
            expiry = calendar.weekly(desk.unsettled_from)
        elif not isinstance(expiry, date):
            raise ExpiryNotFound(f"expiry={expiry!r}: give a date, as self.expiries() lists them.")
        elif expiry not in calendar:
            near = ", ".join(str(d) for d in calendar.from_day(desk.unsettled_from)[:3])
            raise ExpiryNotFound(
                f"{symbol} has no expiry on {expiry}; the next listed are {near or 'none'}."
            )
        return desk.chain(symbol, expiry)

    def get_atm(
        self,
        right: Right,
        expiry: date | None = None,
        offset: int = 0,
        by: By = "spot",
        *,
        of: str | None = None,
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option at the money, or *offset* strikes out of it (−1: one in).

        At the money is the listed strike nearest to the reference, the lower one on a tie. An
        option without a price in the last *max_age* bars is not exchanged for a neighbour: the
        answer is then None, with the reason in the log.

        Parameters
        ----------
        right
            `"CE"` or `"PE"`.
        expiry
            The nearest one not settled unless told otherwise.
        offset
            Strikes out of the money, for either right.
        by
            The reference: `"spot"` (the index's newest price, or the synthetic future while the
            index is frozen), `"synthetic"` (K + C − P where call and put cost nearly the same),
            `"future"`, or `"forward"`; see `OptionChain.reference_by`.
        of
            Another underlying of the run.
        max_age
            In bars.
        min_oi, min_volume
            Units of open interest, and traded in the session so far, that it must have.
        """
        return self.chain(expiry, of=of).offset(
            right, offset, by=by, max_age=max_age, min_oi=min_oi, min_volume=min_volume
        )

    def get_by_delta(
        self,
        right: Right,
        delta: float,
        expiry: date | None = None,
        *,
        of: str | None = None,
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose |delta| is nearest; see `OptionChain.by_delta`."""
        return self.chain(expiry, of=of).by_delta(
            right, delta, max_age=max_age, min_oi=min_oi, min_volume=min_volume
        )

    def get_by_premium(
        self,
        right: Right,
        premium: Price,
        side: Side = "nearest",
        expiry: date | None = None,
        *,
        of: str | None = None,
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose price is nearest, also of those `"above"` or `"below"` only.

        See `OptionChain.by_premium`.
        """
        return self.chain(expiry, of=of).by_premium(
            right, premium, side, max_age=max_age, min_oi=min_oi, min_volume=min_volume
        )

    def get_by_percent(
        self,
        right: Right,
        pct: float,
        expiry: date | None = None,
        *,
        of: str | None = None,
        by: By = "spot",
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option nearest to *pct* percent out of the money.

        See `OptionChain.by_percent`.
        """
        return self.chain(expiry, of=of).by_percent(
            right, pct, by=by, max_age=max_age, min_oi=min_oi, min_volume=min_volume
        )

    def get_by_straddle(
        self,
        right: Right,
        k: float = 1.0,
        expiry: date | None = None,
        *,
        of: str | None = None,
        by: By = "spot",
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option *k* at-the-money straddle premiums out of the money.

        See `OptionChain.by_straddle`.
        """
        return self.chain(expiry, of=of).by_straddle(
            right, k, by=by, max_age=max_age, min_oi=min_oi, min_volume=min_volume
        )

    # Orders

    def buy(
        self,
        contract: Contract | None,
        lots: int | None = None,
        *,
        qty: Qty | None = None,
        type: OrderType = "market",
        price: Price | None = None,
        trigger: Price | None = None,
        sl: Price | str | None = None,
        target: Price | str | None = None,
        trail: Price | str | None = None,
        tif: TimeInForce = "day",
        until: date | None = None,
        tag: str = "",
    ) -> Order | None:
        """Buy at the next bar, or once a price is reached.

        Parameters
        ----------
        contract
            What to buy. None (a picker that found nothing) is one logged refusal.
        lots, qty
            Whole lots, or units that are whole lots; one of the two.
        type
            `"market"`; `"limit"`: at *price* or better; `"slm"`: once the price touches *trigger*;
            `"sl"`: the same, but no worse than *price*.
        price, trigger
            In currency per unit, rounded to the nearest tick, halves up.
        sl, target, trail
            Exits that live while the position does: a protected stop, a limit, a stop that follows.
            A price, or `"25%"` or `"30pts"` from the fill's price; *trail* as a number is points.
            When one fills the others end.
        tif, until
            How long the order works: `"day"`, `"gtc"` (until it is filled, cancelled or the
            contract settles), or `"gtd"` with the last date.
        tag
            Yours; carried to fills and trades.

        Returns
        -------
        Order or None
            The working order; None when refused.

        Raises
        ------
        OrderError
            For an index, an expired contract, a size that is no whole positive number of lots, or
            terms that do not go together.
        """
        return self._desk.enter(
            contract, +1, lots, qty, type, price, trigger, sl, target, trail, tif, until, tag
        )

    def sell(
        self,
        contract: Contract | None,
        lots: int | None = None,
        *,
        qty: Qty | None = None,
        type: OrderType = "market",
        price: Price | None = None,
        trigger: Price | None = None,
        sl: Price | str | None = None,
        target: Price | str | None = None,
        trail: Price | str | None = None,
        tif: TimeInForce = "day",
        until: date | None = None,
        tag: str = "",
    ) -> Order | None:
        """Sell at the next bar, or once a price is reached; the parameters are those of `buy`."""
        return self._desk.enter(
            contract, -1, lots, qty, type, price, trigger, sl, target, trail, tif, until, tag
        )

    def combo(self, legs: Sequence[Buy | Sell], atomic: bool = False, tag: str = "") -> list[Order]:
        """Place market entries that belong together: `combo([Sell(call, 1), Buy(wing, 1)])`.

        What is bought goes first; what is sold trades from where the last of it has filled. If a
        leg finds no live price in its time, the legs that have filled are closed again.

        Parameters
        ----------
        legs
            Two or more of `Buy` and `Sell`, each of another contract. With one that is None
            nothing is placed, and the refusal is logged.
        atomic
            All legs trade at one open, the first at which every one is live. No exchange offers
            that for index options: it is optimistic.
        tag
            Yours; carried to fills and trades.

        Returns
        -------
        list of Order
            Those that buy before those that sell; empty when refused.
        """
        return self._desk.combo(legs, atomic, tag)

    def cancel_order(self, order: Order | int) -> Order:
        """Take back a working order, given by itself or by its id.

        Raises
        ------
        OrderError
            For an unknown id, or an order that works no more.
        """
        return self._desk.cancel(order)

    def modify_order(
        self,
        order: Order | int,
        price: Price | None = None,
        trigger: Price | None = None,
        lots: int | None = None,
        qty: Qty | None = None,
    ) -> Order:
        """Change a working order; its new terms work from the next bar on.

        Parameters
        ----------
        order
            The order or its id.
        price, trigger
            Of a `"limit"`, an `"slm"`, or both of an `"sl"`.
        lots, qty
            Of an entry: the size of an exit follows its position.

        Raises
        ------
        OrderError
            For an unknown id, an order that works no more, or terms that it does not have.
        """
        return self._desk.modify(order, price, trigger, lots, qty)

    def cancel_all(self) -> None:
        """Take back every working order, stops and targets too."""
        self._desk.cancel_all()

    def exit(self, what: Contract | Position | None) -> Order | None:
        """Close what is held of a contract, or a position, at its next live bar."""
        if what is None:
            self._desk.note("refused", "exit(None): there is nothing to exit")
            return None
        return self._desk.exit(_contract_of("exit", what))

    def roll(
        self,
        what: Contract | Position | None,
        to: Contract | date | str | None = None,
        expiry: date | str | None = None,
        if_unfilled: Literal["exit", "keep"] = "exit",
    ) -> Order | None:
        """Close a position and open its twin in another contract, both in the same bar.

        Lots are kept, and so are stops, targets and trails that were said in percent or points.
        While a block is on, a roll is an exit, and the log says so.

        Parameters
        ----------
        what
            A position, or the contract it is in. None, or nothing held, is one logged refusal.
        to
            A contract or its name; a date; or how the strike is found: `"same"` (default), `"atm"`,
            `"delta:0.2"`, `"premium:60"`, `"percent:4"`.
        expiry
            A date, `"weekly"` (the next listed) or `"monthly"`. By default of the kind that the
            chain of rolls began with, or that was asked for last: who has sold a weekly goes on by
            the week, also from the month's last. A future goes to the next month. Where none is
            listed behind, that is one logged refusal.
        if_unfilled
            When five minutes (or one bar, if longer) bring no bar in which both can trade: close
            the old one alone, or `"keep"` it.

        Returns
        -------
        Order or None
            The entry in the new contract; the exit while a block is on; None when refused.

        Raises
        ------
        ExpiryNotFound, ContractNotFound, OrderError
            For an expiry or strike that is not listed, or a rule that makes no sense.
        """
        if what is None:
            self._desk.note("refused", "roll(None): there is nothing to roll")
            return None
        return self._desk.roll(_contract_of("roll", what), to, expiry, if_unfilled)

    def exit_all(self) -> None:
        """Close every open position at its next live bar; cancel entries still waiting."""
        self._desk.exit_all()

    # Monitoring

    def get_opened_positions(self, tag: str | None = None) -> list[Position]:
        """Open positions, oldest first; with *tag*, those whose oldest lot was entered with it."""
        held = self._desk.portfolio.positions.values()
        return [p for p in held if tag is None or p.tag == tag]

    def get_active_position(
        self, contract: Contract | None = None, tag: str | None = None
    ) -> Position | None:
        """Return the open position in a contract, or the oldest open one; None if there is none.

        With *tag*, only one whose oldest lot was entered with it.
        """
        if contract is not None:
            found = self._desk.position(contract)
            return found if found is None or tag is None or found.tag == tag else None
        return next(iter(self.get_opened_positions(tag)), None)

    def is_position_opened(self, contract: Contract | None = None, tag: str | None = None) -> bool:
        """Whether a contract, or anything at all, is held; see `get_active_position`."""
        return self.get_active_position(contract, tag) is not None

    def get_orders(
        self, status: OrderStatus | None = None, tag: str | None = None
    ) -> Sequence[Order]:
        """Orders of the run so far, oldest first; those working are found without a search.

        Raises
        ------
        OrderError
            For a status that is none.
        """
        if status is not None and status not in _STATUSES:
            raise OrderError(f"get_orders({status!r}): {did_you_mean(str(status), _STATUSES)}")
        orders = self._desk.exchange.working if status == "working" else self._desk.orders
        return [o for o in orders if status in (None, o.status) and (tag is None or o.tag == tag)]

    def get_pnl(self, contract: Contract | None = None, tag: str | None = None) -> Money:
        """Realized and unrealized profit, before charges.

        Parameters
        ----------
        contract
            Of this contract alone.
        tag
            Of what was entered with this tag alone.
        """
        return self.get_realized_pnl(contract, tag) + self.get_unrealized_pnl(contract, tag)

    def get_realized_pnl(self, contract: Contract | None = None, tag: str | None = None) -> Money:
        """Realized profit before charges, as the run counts cost; see `get_pnl`."""
        return self._desk.realized(contract, tag)

    def get_unrealized_pnl(self, contract: Contract | None = None, tag: str | None = None) -> Money:
        """Profit of what is held at the newest marks; see `get_pnl`."""
        return self._desk.unrealized(contract, tag)

    def greeks(self, tag: str | None = None) -> Greeks[float]:
        """Greeks of what is held: those of each contract times its signed units, summed.

        Delta is in units of the underlying, theta in currency a calendar day, vega in currency a
        vol point. nan as soon as one of the contracts has none: the sum is then not known.
        """
        held = [(p.qty, p.contract) for p in self.get_opened_positions(tag)]
        return Greeks(
            sum((qty * c.delta for qty, c in held), 0.0),
            sum((qty * c.gamma for qty, c in held), 0.0),
            sum((qty * c.theta for qty, c in held), 0.0),
            sum((qty * c.vega for qty, c in held), 0.0),
        )

    @property
    def balance(self) -> Money:
        """Cash: premium received is in it, premium paid is not."""
        return money(self._desk.portfolio.cash)

    @property
    def equity(self) -> Money:
        """Cash and the worth of the open positions at their newest marks."""
        return money(self._desk.portfolio.equity)

    @property
    def today_pnl(self) -> Money:
        """Equity less that of yesterday's close: the overnight gap is in it."""
        return self._since("day")

    @property
    def this_weeks_pnl(self) -> Money:
        """Equity less that before this ISO week."""
        return self._since("week")

    @property
    def this_month_pnl(self) -> Money:
        """Equity less that before this calendar month."""
        return self._since("month")

    @property
    def this_year_pnl(self) -> Money:
        """Equity less that before this calendar year."""
        return self._since("year")

    def _since(self, period: str) -> Money:
        portfolio = self._desk.portfolio
        return money(portfolio.equity - portfolio.base[period])

    # Blocks: the verbs are those of `Blocking`

    def _blocking(self, verb: str, *args: Any, **terms: Any) -> None:
        """Say a verb of blocks for the whole run."""
        self._desk.blocking(verb, *args, **terms)

    @property
    def blocked(self) -> bool:
        """Whether a block is on over untagged entries in the first symbol.

        A block of another symbol, or of a tag, is not meant: ask `contract.blocked`.
        """
        return self._desk.blocked(self._desk.symbols[0])

    def cooldown(self, name: str, time: str) -> bool:
        """Return True, and start to wait, unless this name did so less than a time ago.

        Asking is using: put it last, `if signal and self.cooldown("entry", "10min"):`.

        Parameters
        ----------
        name
            Yours; each name waits by itself.
        time
            `"10min"`, `"30s"`, `"1h"`, on the run's clock, nights included.

        Raises
        ------
        UsageError
            For a name that is no text, or a time that is no duration.

        Examples
        --------
        >>> from bestbt.engine.strategy import Strategy
        >>> from bestbt.testing import MemoryFeed, simulate
        >>> class Patient(Strategy):
        ...     def on_bar(self):
        ...         if self.cooldown("note", "2min"):
        ...             self.log(f"{self.now:%H:%M}")
        >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
        >>> feed.add_index([100, 101, 102, 103, 104])
        >>> [line.text for line in simulate(Patient, feed).result.log]
        ['09:16', '09:18', '09:20']
        """
        return self._desk.cooldown(name, time)

    # Indicators and notes

    def indicator(
        self,
        function: Callable[..., Any],
        *args: Any,
        of: Contract | None = None,
        bar: str | None = None,
        pane: str | None = None,
    ) -> Indicator:
        """Compute a causal function over a contract's columns once; read it as `ind[0]`, `ind[-1]`.

        Parameters
        ----------
        function
            Takes arrays and returns one value a bar, each from its own and earlier bars only.
        *args
            Column names (`"open"`, `"high"`, `"low"`, `"close"`, `"volume"`, `"oi"`) stand for
            their arrays, shape ``(n,)``, float64; anything else is passed on.
        of
            The contract; the spot unless told otherwise.
        bar
            Timeframe, such as `"5min"`, aligned to the session's open.
        pane
            Where the run's view draws it: `"price"` over the contract's candles, any other name
            in a pane of that name. None: it is not drawn.
        """
        contract = of if of is not None else self.spot
        if contract._prices is None:
            raise ContractNotFound(f"{contract.name} has no price in this run: no indicator of it.")
        desk = self._desk
        of_run = (desk.clock, desk.grid, contract._prices, function, args, contract.name)
        step = duration(bar) if bar is not None else desk.grid.step
        if step == desk.grid.step:
            made = Indicator(*of_run)
        else:
            made = CoarserIndicator(*of_run, step=step)
        if pane is not None:
            made.label, made.pane = labelled(function, args, bar), str(pane)
            self._drawn.append(made)
        return made

    crossed_above = staticmethod(crossed_above)

    def log(self, text: str, **values: Any) -> None:
        """Write a line into the run's log."""
        self._desk.note("log", text, **values)


def _contract_of(verb: str, what: Contract | Position) -> Contract:
    contract = what.contract if isinstance(what, Position) else what
    if not isinstance(contract, Contract):
        raise OrderError(f"{verb}({what!r}): a contract or a position is needed.")
    return contract
