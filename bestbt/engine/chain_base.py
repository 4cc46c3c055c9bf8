"""ChainBase: what is listed of one expiry at the run's clock, and what strikes are measured from.

What is asked of all rows at once (implied volatilities, greeks, open interest) is on a `Board`,
made at the first question in a bar. At the money by the index needs none: it loads no prices.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import date
from operator import attrgetter
from typing import Any, Literal, Protocol, TypeAlias, get_args

from bestbt.engine.board import NEVER, NO_ROWS, Board, Reference, Rows
from bestbt.engine.contract import Contract
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import Clock, Grid
from bestbt.engine.ports import ContractSpec, Feed, Listing, Market
from bestbt.engine.pricing import years_to
from bestbt.errors import ContractNotFound, NoSchedule, OrderError, UsageError, did_you_mean
from bestbt.units import DAY, MINUTE, Ns, Ordinal, Price, RawPrice, Right

__all__ = [
    "MAX_AGE",
    "By",
    "ChainBase",
    "Floor",
    "check_right",
    "check_terms",
    "close_of_expiry",
    "too_old",
]

By: TypeAlias = Literal["spot", "synthetic", "future", "forward"]

_BY: tuple[str, ...] = get_args(By)  # asked at every pick
MAX_AGE = 5  # bars; a picker takes no row whose price is older


class Floor(Protocol):
    """What a chain needs of its run: the desk."""

    feed: Feed
    market: Market
    grid: Grid
    clock: Clock
    rate: float
    why_none: str

    @property
    def now(self) -> Ns:
        """UTC time at which hooks run."""
        ...

    def contract(self, spec: ContractSpec) -> Contract:
        """Return the run's contract of a spec."""
        ...

    def calendar(self, symbol: str, asset: str = "option") -> ExpiryCalendar:
        """Return the listed expiries of a symbol."""
        ...

    def note(self, kind: str, text: str, **values: Any) -> None:
        """Write a line into the run's log."""
        ...


class ChainBase:
    """The options of one expiry, read at the run's clock; strikes listed later are not seen.

    Parameters
    ----------
    spot
        The underlying.
    listings
        All options of the expiry by strike, calls before puts, with the bar from which each is
        listed.
    desk
        Of the run.
    """

    def __init__(
        self, spot: Contract, expiry: date, listings: Sequence[Listing], desk: Floor
    ) -> None:
        self.spot, self.expiry = spot, expiry
        self._desk, self._clock = desk, desk.clock
        self._rows = listings  # searched by halves: most of them are never asked for
        self._contracts: dict[int, Contract] = {}  # by the id of their row, which lives as long
        self._closing: Ns | None = None  # when the expiry's last bar ends
        self._listed = NO_ROWS
        self._listed_until: Ordinal = 0  # bar in which the next row is listed
        self._boards: dict[int, Board] = {}  # of one moment, by max_age
        self._boards_at: tuple[Ordinal, Ns] = (-2, 0)
        self._noted: Ordinal = -2  # bar in which the log was told of a frozen index
        # The row at the money by a fresh spot, and its bar: who asks for a call asks for a put.
        self._money: tuple[Ordinal, int] = (-2, -1)

    def __repr__(self) -> str:
        return f"<OptionChain {self._name}, {len(self.strikes)} strikes>"

    @property
    def _name(self) -> str:
        return f"{self.spot.symbol} {self.expiry}"

    # What is listed

    @property
    def strikes(self) -> list[float]:
        """Strikes listed by now, ascending."""
        bar = self._clock.bar
        return list(dict.fromkeys(_strike(row) for row in self._rows if row.first <= bar))

    def call(self, strike: float) -> Contract:
        """Return the call of a strike; `ContractNotFound` when it is not listed by now."""
        return self.option(strike, "CE")

    def put(self, strike: float) -> Contract:
        """Return the put of a strike; `ContractNotFound` when it is not listed by now."""
        return self.option(strike, "PE")

    def option(self, strike: float, right: Right) -> Contract:
        """Return the option of a strike; `ContractNotFound` when it is not listed by now."""
        if isinstance(strike, bool) or not isinstance(strike, int | float):
            raise OrderError(f"option(strike={strike!r}): give a number, such as 22000.")
        at = bisect_left(self._rows, float(strike), key=_strike)
        there = at < len(self._rows) and self._strike(at) == strike
        row = self._row(at, check_right(right)) if there else None
        if row is None:
            raise ContractNotFound.strike(
                self.spot.symbol, strike, right, self.expiry, self.strikes
            )
        return self._contract(row)

    def _contract(self, row: Listing) -> Contract:
        """Return the run's contract of a row."""
        found = self._contracts.get(id(row))  # a spec takes long to hash
        if found is None:
            found = self._contracts[id(row)] = self._desk.contract(row.spec)
        return found

    @property
    def calls(self) -> list[Contract]:
        """Calls listed by now, by strike."""
        return [c for c in self._options().contracts if c.right == "CE"]

    @property
    def puts(self) -> list[Contract]:
        """Puts listed by now, by strike."""
        return [c for c in self._options().contracts if c.right == "PE"]

    def _options(self) -> Rows:
        bar = self._clock.bar
        if bar >= self._listed_until:
            now = [row for row in self._rows if row.first <= bar]
            self._listed = Rows([self._contract(row) for row in now])
            later = (row.first for row in self._rows if row.first > bar)
            self._listed_until = min(later, default=NEVER)
        return self._listed

    # Rows by number

    def _row(self, at: int, right: Right) -> Listing | None:
        """Return the row of a right with the strike of a row; None where it is not listed by now.

        *at* may be either row of the strike.
        """
        strike = self._strike(at)
        for row in self._rows[max(at - 1, 0) : at + 2]:
            if row.spec.right == right and _strike(row) == strike:
                return row if row.first <= self._clock.bar else None
        return None

    def _next(self, at: int, step: int) -> int:
        """Return the first row listed by now from *at* on, up (+1) or down (−1); −1: none."""
        rows, bar = self._rows, self._clock.bar
        while 0 <= at < len(rows):
            if rows[at].first <= bar:
                return at
            at += step
        return -1

    def _strike(self, at: int) -> float:
        """Strike of a row."""
        return _strike(self._rows[at])

    # The reference: what strikes are measured from

    @property
    def reference(self) -> Reference | None:
        """What at the money is measured from, by the rule of `reference_by("spot")`."""
        return self.reference_by("spot")

    def reference_by(self, by: By, max_age: int = MAX_AGE) -> Reference | None:
        """Return what strikes are measured from, with its source and age.

        Parameters
        ----------
        by
            `"spot"`: the index's newest price; where the index is frozen (it had no value in the
            newest bar) the synthetic future, else the future of the expiry, else its last value.
            `"synthetic"`: K + C − P at the strike whose fresh call and put differ least.
            `"future"`: that of the expiry, else of the next one listed.
            `"forward"`: what greeks are computed on: the synthetic, else the future of this
            expiry, else the spot carried at the run's rate.
        max_age
            Bars; of options and futures a price that is older is not used.

        Returns
        -------
        Reference or None
            None where it is not known.
        """
        found = self._reference(by, max_age)
        return found if isinstance(found, Reference) else None

    def _reference(self, by: By, max_age: int) -> Reference | str:
        """Return the reference, or why there is none."""
        if by not in _BY:
            raise UsageError(f"by={by!r}: {did_you_mean(str(by), _BY)}")
        if by == "spot":
            spot = self._spot()
            if spot is None:
                return f"{self.spot.symbol} has no price yet"
            if not spot.age:
                return spot
            forward = self._board(max_age).forward
            return forward if forward is not None and forward.source != "spot" else spot
        if by == "future":
            return self._future(max_age, exact=False)
        board = self._board(max_age)
        if by == "forward":
            return board.forward or f"{self.spot.symbol} has no price yet"
        none = f"no strike of {self._name} has a call and a put fresh enough (max_age={max_age})"
        return board.synthetic or none

    def _spot(self) -> Reference | None:
        age = self.spot.age
        return None if age is None else Reference(self.spot.price, "spot", age)

    def _future(self, max_age: int, *, exact: bool) -> Reference | str:
        """Read the future of this expiry, or else (not *exact*) of the next one listed."""
        symbol = self.spot.symbol
        day = self._desk.calendar(symbol, "future").nearest(self.expiry)
        if day is None or (exact and day != self.expiry):
            return f"no {symbol} future of {self.expiry}{'' if exact else ' or later'} is listed"
        spec = self._desk.feed.future(symbol, day)
        if spec is None:
            return f"no {symbol} future of {day} is stored"
        future = self._desk.contract(spec)
        age = future.age
        if age is None or age > self._oldest(max_age):
            return too_old(future, age, max_age)
        return Reference(future.price, "future", age)

    def _otherwise(self, max_age: int, years: float) -> Reference | None:
        """Return the forward without a synthetic."""
        future = self._future(max_age, exact=True)
        if isinstance(future, Reference):
            return future
        spot = self._spot()
        if spot is None or not years >= 0:
            return spot
        return spot._replace(value=spot.value * math.exp(self._desk.rate * years))

    # One bar's board

    def _board(self, max_age: int) -> Board:
        """Return the board of this moment; made once for each *max_age* asked."""
        check_terms(max_age)
        bar, now = self._clock.bar, self._desk.now
        if self._boards_at != (bar, now):
            self._boards, self._boards_at = {}, (bar, now)
        found = self._boards.get(max_age)
        if found is None:
            _grid, years = self._desk.grid, self._years(now)
            session = self._session_of(bar)
            found = Board(
                self._options(),
                bar,
                session,
                years,
                max_age,
                lambda: self._otherwise(max_age, years),
            )
            self._boards[max_age] = found
        return found

    def _session_of(self, bar: Ordinal) -> Ordinal:
        """First bar of the session of a bar."""
        grid = self._desk.grid
        return grid.firsts[grid.session(bar)] if bar >= 0 else 0

    def _oldest(self, max_age: int) -> int:
        """Bars that a price may be old: no price is fresh that was made in an earlier session."""
        bar = self._clock.bar
        return min(max_age, bar - self._session_of(bar))

    @property
    def years(self) -> float:
        """Calendar time to expiry in years, as greeks use it; nan when it is over."""
        return self._years(self._desk.now)

    def _years(self, now: Ns) -> float:
        """Calendar time to expiry in years, no less than a minute; nan when it is over."""
        if self._closing is None:
            self._closing = self._close_of_expiry()
        left = self._closing - now
        return float(years_to(left / MINUTE)) if left >= 0 else math.nan

    def _close_of_expiry(self) -> Ns:
        today = self._desk.grid.session(max(self._clock.bar, 0))
        return close_of_expiry(self._desk.market, self._desk.grid, today, self.expiry)

    # At the money

    @property
    def atm(self) -> float | None:
        """Listed strike nearest to `reference`, the lower one on a tie."""
        return self.atm_by("spot")

    def atm_by(self, by: By, max_age: int = MAX_AGE) -> float | None:
        """Return the listed strike nearest to a reference (see `reference_by`)."""
        reference = self._reference(by, max_age)
        at = -1 if isinstance(reference, str) else self._nearest(reference.value)
        return None if at < 0 else self._strike(at)

    def _nearest(self, price: Price) -> int:
        """Row of the listed strike nearest to a price, the lower on a tie; −1: none."""
        middle = bisect_left(self._rows, price, key=_strike)
        lo, hi = self._next(middle - 1, -1), self._next(middle, +1)
        if lo < 0 or hi < 0:
            return lo if hi < 0 else hi
        # Compared as integers, so that a tie is a tie.
        twice = self._to_raw(self._strike(lo)) + self._to_raw(self._strike(hi))
        return lo if 2 * self._to_raw(price) <= twice else hi

    def _to_raw(self, price: Price) -> RawPrice:
        return round(price * self.spot.spec.scale)


def close_of_expiry(market: Market, grid: Grid, session: int, expiry: date) -> Ns:
    """End of trading on an expiry day; if the exchange is closed then, on the day before.

    A day too far off for the market's tables ends at the hour of *session*.
    """
    try:
        week = date.fromordinal(expiry.toordinal() - 7)
        sessions = market.sessions(week, expiry)
    except NoSchedule:
        sessions = ()
    if sessions:
        return sessions[-1].close
    days = (expiry - grid.sessions[session].day).days
    return grid.sessions[session].close + days * DAY


_strike: Callable[[Listing], float] = attrgetter("spec.strike")  # of an option: it has one


def check_right(right: Right) -> Right:
    """Return a right, or refuse what is none."""
    if right not in ("CE", "PE"):
        raise OrderError(f"{right!r} is no right of an option; it is 'CE' (call) or 'PE' (put).")
    return right


def check_terms(max_age: int, min_oi: int = 0, min_volume: int = 0) -> None:
    """Refuse terms of a picker that are no whole numbers, or below zero."""
    if max_age == MAX_AGE and min_oi == min_volume == 0 and type(max_age) is int:
        return  # nearly always
    for name, given in (("max_age", max_age), ("min_oi", min_oi), ("min_volume", min_volume)):
        if type(given) is not int or given < 0:
            what = "whole bars" if name == "max_age" else "whole units"
            raise UsageError(f"{name}={given!r}: give {what}, 0 or more.")


def too_old(contract: Contract, age: int | None, max_age: int) -> str:
    """Say why a contract is passed over."""
    old = "no price yet" if age is None else f"a price {age} bars old"
    return f"{contract.name} has {old} (max_age={max_age})"
