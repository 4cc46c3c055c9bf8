"""OptionChain: the listed options of one expiry at the run's clock, and rules that pick from them.

What is asked of all rows at once (implied volatilities, greeks, open interest) is on a `Board`,
made at the first question in a bar. At the money by the index needs none: it loads no prices but
those of the option it returns.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np

from bestbt.engine.board import NEVER, Board, Reference, Rows, nearest
from bestbt.engine.contract import Contract
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import Clock, Grid
from bestbt.engine.ports import ContractSpec, Feed, Listing, Market
from bestbt.engine.pricing import years_to
from bestbt.errors import ContractNotFound, NoSchedule, OrderError, UsageError, did_you_mean
from bestbt.units import DAY, MINUTE, Ns, Ordinal, Price, RawPrice, Right

__all__ = ["MAX_AGE", "By", "Floor", "OptionChain", "Side"]

By: TypeAlias = Literal["spot", "synthetic", "future", "forward"]
Side: TypeAlias = Literal["nearest", "above", "below"]

MAX_AGE = 5  # bars; a picker takes no row whose price is older
_DELTA = 1_000_000_000  # deltas are compared as whole multiples of 1e-9


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


class OptionChain:
    """The options of one expiry, read at the run's clock; strikes listed later are not seen.

    A rule that finds nothing (`offset`, `by_delta` …) returns None and logs why; a figure that
    cannot be told (`forward`, `pcr` …) is None. Of strikes that fit equally well the lowest is
    taken.

    Parameters
    ----------
    spot
        The underlying.
    listings
        All options of the expiry, with the bar from which each is listed.
    desk
        Of the run.

    Examples
    --------
    >>> from bestbt.testing import MemoryFeed, simulate
    >>> from bestbt.engine.strategy import Strategy, at
    >>> class Reader(Strategy):
    ...     @at("09:17")
    ...     def look(self):
    ...         chain = self.chain()
    ...         print(chain.atm, chain.forward, chain.straddle_premium)
    ...         print(chain.by_delta("CE", 0.25), chain.by_premium("PE", 1, side="above"))
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    >>> feed.add_index([100] * 5)
    >>> for strike, call, put in ((95, 6, 0.5), (100, 2.5, 2), (105, 0.75, 5.3)):
    ...     for right, price in (("CE", call), ("PE", put)):
    ...         _ = feed.add_option("2024-01-04", strike, right, [price] * 5)
    >>> _ = simulate(Reader, feed)
    100.0 100.5 4.5
    <NIFTY 2024-01-04 105 CE> <NIFTY 2024-01-04 100 PE>
    """

    def __init__(
        self, spot: Contract, expiry: date, listings: Sequence[Listing], desk: Floor
    ) -> None:
        self.spot, self.expiry = spot, expiry
        self._desk, self._clock = desk, desk.clock
        self._rows: dict[tuple[float, str], Listing] = {}
        first: dict[float, Ordinal] = {}
        for row in listings:
            strike, right = row.spec.strike, row.spec.right
            if strike is None or right is None:
                continue
            self._rows[strike, right] = row
            if row.first < first.get(strike, NEVER):
                first[strike] = row.first
        self._strikes = sorted(first)
        self._firsts = [first[k] for k in self._strikes]
        # Compared as integers, so that a tie between two strikes is a tie.
        self._raw: list[RawPrice] = [round(k * spot.spec.scale) for k in self._strikes]
        self._closing: Ns | None = None  # when the expiry's last bar ends
        self._listed = Rows(())
        self._listed_at: tuple[Ordinal, Ordinal] = (0, 0)  # bars in which it stays as it is
        self._boards: dict[int, Board] = {}  # of one moment, by max_age
        self._boards_at: tuple[Ordinal, Ns] = (-2, 0)
        self._noted: Ordinal = -2  # bar in which the log was told of a frozen index

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
        pairs = zip(self._strikes, self._firsts, strict=True)
        return [k for k, first in pairs if first <= bar]

    def call(self, strike: float) -> Contract:
        """Return the call of a strike; `ContractNotFound` when it is not listed by now."""
        return self.option(strike, "CE")

    def put(self, strike: float) -> Contract:
        """Return the put of a strike; `ContractNotFound` when it is not listed by now."""
        return self.option(strike, "PE")

    def option(self, strike: float, right: Right) -> Contract:
        """Return the option of a strike; `ContractNotFound` when it is not listed by now."""
        row = self._rows.get((float(strike), _right(right)))
        if row is None or row.first > self._clock.bar:
            raise ContractNotFound.strike(
                self.spot.symbol, strike, right, self.expiry, self.strikes
            )
        return self._desk.contract(row.spec)

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
        since, until = self._listed_at
        if not since <= bar < until:
            sides: tuple[Right, ...] = ("CE", "PE")
            rows = [self._rows.get((k, right)) for k in self._strikes for right in sides]
            now = [row for row in rows if row is not None and row.first <= bar]
            later = [row.first for row in rows if row is not None and row.first > bar]
            self._listed = Rows([self._desk.contract(row.spec) for row in now])
            self._listed_at = bar, min(later, default=NEVER)
        return self._listed

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
        if by not in get_args(By):
            raise UsageError(f"by={by!r}: {did_you_mean(str(by), get_args(By))}")
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
        days = self._desk.calendar(symbol, "future").from_day(self.expiry)
        if not days or (exact and days[0] != self.expiry):
            return f"no {symbol} future of {self.expiry}{'' if exact else ' or later'} is listed"
        spec = self._desk.feed.future(symbol, days[0])
        if spec is None:
            return f"no {symbol} future of {days[0]} is stored"
        future = self._desk.contract(spec)
        age = future.age
        if age is None or age > max_age:
            return _too_old(future, age, max_age)
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
        if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0:
            raise UsageError(f"max_age={max_age!r}: give whole bars, 0 or more.")
        bar, now = self._clock.bar, self._desk.now
        if self._boards_at != (bar, now):
            self._boards, self._boards_at = {}, (bar, now)
        found = self._boards.get(max_age)
        if found is None:
            grid, years = self._desk.grid, self._years(now)
            session = grid.firsts[grid.session(bar)] if bar >= 0 else 0
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

    def _years(self, now: Ns) -> float:
        """Calendar time to expiry in years, no less than a minute; nan when it is over."""
        if self._closing is None:
            self._closing = self._close_of_expiry()
        left = self._closing - now
        return float(years_to(left / MINUTE)) if left >= 0 else math.nan

    def _close_of_expiry(self) -> Ns:
        """End of trading on the expiry day; if the exchange is closed then, on the day before."""
        grid, today = self._desk.grid, self._desk.grid.session(max(self._clock.bar, 0))
        try:
            week = date.fromordinal(self.expiry.toordinal() - 7)
            sessions = self._desk.market.sessions(week, self.expiry)
        except NoSchedule:  # a day too far off for the market's tables: at the hour of today
            sessions = ()
        if sessions:
            return sessions[-1].close
        days = (self.expiry - grid.sessions[today].day).days
        return grid.sessions[today].close + days * DAY

    # At the money

    @property
    def atm(self) -> float | None:
        """Listed strike nearest to `reference`, the lower one on a tie."""
        return self.atm_by("spot")

    def atm_by(self, by: By, max_age: int = MAX_AGE) -> float | None:
        """Return the listed strike nearest to a reference (see `reference_by`)."""
        reference = self._reference(by, max_age)
        at = -1 if isinstance(reference, str) else self._nearest(reference)
        return None if at < 0 else self._strikes[at]

    def offset(
        self,
        right: Right,
        n: int = 0,
        *,
        by: By = "spot",
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option *n* listed strikes out of the money (−1: one in).

        The strike is never exchanged for a neighbour: where its row is too old, or has too little
        open interest or volume, the answer is None.
        """
        if not isinstance(n, int):
            raise OrderError(f"get_atm(offset={n!r}): give whole strikes, such as 2 or -1.")
        asked = f"get_atm({_right(right)!r}{f', offset={n}' if n else ''})"
        found = self._offset(right, n, self._measure(asked, by, max_age))
        if isinstance(found, Contract):
            why = self._unfit(found, max_age, min_oi, min_volume)
            return self._answer(asked, why or found)
        return self._answer(asked, found)

    def _offset(self, right: Right, n: int, reference: Reference | str) -> Contract | str:
        if isinstance(reference, str):
            return reference
        at = self._nearest(reference)
        if at < 0:
            return f"no strike of {self._name} is listed yet"
        step = 1 if (n > 0) == (right == "CE") else -1
        bar, left = self._clock.bar, abs(n)
        while left:
            at += step
            if not 0 <= at < len(self._strikes):
                return f"no strike {n:+d} from the money at {self._name}"
            left -= self._firsts[at] <= bar
        row = self._rows.get((self._strikes[at], right))
        if row is None or row.first > bar:
            return f"no {self.spot.symbol} {self._strikes[at]:g} {right} {self.expiry} listed yet"
        return self._desk.contract(row.spec)

    def _nearest(self, reference: Reference) -> int:
        """Index of the listed strike nearest to a price, the lower on a tie; -1: none."""
        value = self._to_raw(reference.value)
        raw, firsts, bar = self._raw, self._firsts, self._clock.bar
        hi = bisect_left(raw, value)
        lo = hi - 1
        while lo >= 0 and firsts[lo] > bar:
            lo -= 1
        while hi < len(raw) and firsts[hi] > bar:
            hi += 1
        if lo < 0:
            return hi if hi < len(raw) else -1
        return lo if hi == len(raw) or value - raw[lo] <= raw[hi] - value else hi

    def _to_raw(self, price: Price) -> RawPrice:
        return round(price * self.spot.spec.scale)

    def _unfit(self, option: Contract, max_age: int, min_oi: int, min_volume: int) -> str:
        """Say what an option lacks; empty when it lacks nothing."""
        age = option.age
        if age is None or age > max_age:
            return _too_old(option, age, max_age)
        if min_oi > 0 and not (option.oi or 0) >= min_oi:
            return f"{option.name} has an open interest of {option.oi} (min_oi={min_oi})"
        if min_volume > 0:
            board = self._board(max_age)
            traded = float(board.day_volume[board.rows.at[option]])
            if not traded >= min_volume:
                return f"{option.name} traded {traded:g} units today (min_volume={min_volume})"
        return ""

    # Rules over all rows

    def by_delta(
        self,
        right: Right,
        delta: float,
        *,
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose delta, its sign aside, is nearest, compared in steps of 1e-9.

        Parameters
        ----------
        right
            `"CE"` or `"PE"`.
        delta
            Between 0 and 1; a put's may be written with its minus.
        max_age
            Bars; rows whose price is older are not looked at. Nor is a row without an implied
            volatility.
        min_oi, min_volume
            Units of open interest, and traded in the session so far.
        """
        asked = f"get_by_delta({right!r}, {delta!r})"
        if not _is_number(delta) or not 0 < abs(delta) < 1:
            raise UsageError(f"{asked}: a delta is a fraction between 0 and 1, such as 0.25.")
        board = self._board(max_age)
        fit = board.fit(_right(right), min_oi, min_volume) & ~np.isnan(board.greeks.delta)
        size = np.rint(np.abs(np.where(fit, board.greeks.delta, 0)) * _DELTA).astype(np.int64)
        row = nearest(np.abs(size - round(abs(delta) * _DELTA)), fit)
        none = self._none_of(right, "a fresh price with an implied volatility", board, min_oi,
                             min_volume)  # fmt: skip
        return self._answer(asked, none if row < 0 else board.rows.contracts[row])

    def by_premium(
        self,
        right: Right,
        premium: Price,
        side: Side = "nearest",
        *,
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose price is nearest to a premium.

        Parameters
        ----------
        right
            `"CE"` or `"PE"`.
        premium
            Currency per unit, above 0.
        side
            `"above"`: of those that cost as much or more; `"below"`: of those that cost as much
            or less.
        max_age, min_oi, min_volume
            As for `by_delta`.
        """
        asked = f"get_by_premium({right!r}, {premium!r})"
        if not _is_number(premium) or not premium > 0:
            raise UsageError(f"{asked}: a premium is a price above 0, such as 120.")
        if side not in get_args(Side):
            raise UsageError(f"side={side!r}: {did_you_mean(str(side), get_args(Side))}")
        board = self._board(max_age)
        fit = board.fit(_right(right), min_oi, min_volume)
        miss = board.raw - round(premium * board.rows.scale)
        what = f"a fresh price of {premium:g} or {'more' if side == 'above' else 'less'}"
        if side == "nearest":
            what = "a fresh price"
        else:
            fit &= miss >= 0 if side == "above" else miss <= 0
        row = nearest(np.abs(miss), fit)
        none = self._none_of(right, what, board, min_oi, min_volume)
        return self._answer(asked, none if row < 0 else board.rows.contracts[row])

    def by_percent(
        self,
        right: Right,
        pct: float,
        *,
        by: By = "spot",
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose strike is nearest to *pct* percent out of the money.

        Parameters
        ----------
        right
            `"CE"`: above the reference; `"PE"`: below it.
        pct
            Percent of the reference; negative is in the money.
        by
            The reference; see `reference_by`.
        max_age, min_oi, min_volume
            As for `by_delta`: a strike whose row does not fit is passed over.
        """
        asked = f"get_by_percent({right!r}, {pct!r})"
        if not _is_number(pct):
            raise UsageError(f"{asked}: give percent out of the money, such as 2.5.")
        reference = self._measure(asked, by, max_age)
        if isinstance(reference, str):
            return self._answer(asked, reference)
        away = pct if _right(right) == "CE" else -pct
        value = self._to_raw(reference.value) * (100 + away) / 100
        return self._at_strike(asked, right, value, max_age, min_oi, min_volume)

    def by_straddle(
        self,
        right: Right,
        k: float = 1.0,
        *,
        by: By = "spot",
        max_age: int = MAX_AGE,
        min_oi: int = 0,
        min_volume: int = 0,
    ) -> Contract | None:
        """Return the option whose strike is *k* straddle premiums out of the money.

        The straddle at the money costs about what the market expects the index to move until
        expiry; the strike nearest to reference ± k × its premium is that many moves away.

        Parameters
        ----------
        right
            `"CE"`: above the reference; `"PE"`: below it.
        k
            Straddle premiums; negative is in the money.
        by
            The reference, also for the straddle's strike; see `reference_by`.
        max_age, min_oi, min_volume
            As for `by_delta`. The straddle's own rows must be fresh.
        """
        asked = f"get_by_straddle({right!r}, {k!r})"
        if not _is_number(k):
            raise UsageError(f"{asked}: give straddle premiums out of the money, such as 1.5.")
        reference = self._measure(asked, by, max_age)
        if isinstance(reference, str):
            return self._answer(asked, reference)
        straddle = self._straddle(reference, max_age)
        if straddle is None:
            none = f"the straddle at the money of {self._name} has no fresh price"
            return self._answer(asked, f"{none} (max_age={max_age})")
        away = k if _right(right) == "CE" else -k
        value = self._to_raw(reference.value) + away * self._to_raw(straddle)
        return self._at_strike(asked, right, value, max_age, min_oi, min_volume)

    def _at_strike(
        self, asked: str, right: Right, value: float, max_age: int, min_oi: int, min_volume: int
    ) -> Contract | None:
        """Answer with the fitting row whose strike is nearest to a raw price."""
        board = self._board(max_age)
        fit = board.fit(right, min_oi, min_volume)
        at = round(value * board.rows.scale / self.spot.spec.scale)
        row = nearest(np.abs(board.rows.raw_strike - at), fit)
        none = self._none_of(right, "a fresh price", board, min_oi, min_volume)
        return self._answer(asked, none if row < 0 else board.rows.contracts[row])

    def _none_of(self, right: Right, what: str, board: Board, min_oi: int, min_volume: int) -> str:
        terms = f"max_age={board.max_age}"
        terms += f", min_oi={min_oi}" if min_oi else ""
        terms += f", min_volume={min_volume}" if min_volume else ""
        return f"no {self._name} {right} has {what} ({terms})"

    def _measure(self, asked: str, by: By, max_age: int) -> Reference | str:
        """Return the reference a rule measures from; the log is told when the index is frozen."""
        found = self._reference(by, max_age)
        age = self.spot.age if by == "spot" else 0
        if age and self._noted != self._clock.bar and isinstance(found, Reference):
            self._noted = self._clock.bar
            used = "its last value" if found.source == "spot" else f"the {found.source} future"
            used = "the future" if found.source == "future" else used
            self._desk.note(
                "frozen",
                f"{asked}: {self.spot.symbol} has no value for {age} bars; "
                f"measured from {used}, {found.value:g}",
                **found._asdict(),
            )
        return found

    def _answer(self, asked: str, found: Contract | str) -> Contract | None:
        """Return what a rule has found, or log why it found nothing."""
        if isinstance(found, Contract):
            return found
        self._desk.why_none = found
        self._desk.note("none", f"{asked}: {found}")
        return None

    # Figures of the chain

    @property
    def forward(self) -> Price | None:
        """What options of this expiry are priced on; its source is in `reference_by("forward")`."""
        found = self._board(MAX_AGE).forward
        return None if found is None else found.value

    @property
    def straddle_premium(self) -> Price | None:
        """Price of the call and the put at the money; None unless both are fresh."""
        reference = self._reference("spot", MAX_AGE)
        return None if isinstance(reference, str) else self._straddle(reference, MAX_AGE)

    def _straddle(self, reference: Reference, max_age: int) -> Price | None:
        at, board = self._nearest(reference), self._board(max_age)
        return None if at < 0 else board.straddle(round(self._strikes[at] * board.rows.scale))

    @property
    def pcr(self) -> float | None:
        """Put-call ratio: open interest of the puts over that of the calls; None without any."""
        return self._board(MAX_AGE).pcr

    @property
    def max_pain(self) -> float | None:
        """Listed strike at which all options held would settle for least; None without OI."""
        return self._board(MAX_AGE).max_pain

    def iv_smile(self) -> dict[float, float]:
        """Return implied volatility by strike, of the option that is out of the money.

        Below the forward the put's, from it on the call's; a year, as a fraction; nan where that
        row has none.
        """
        board = self._board(MAX_AGE)
        if board.forward is None:
            return dict.fromkeys(self.strikes, math.nan)
        out = board.rows.call == (board.rows.strike >= board.forward.value)
        found = zip(board.rows.strike[out].tolist(), board.iv[out].tolist(), strict=True)
        return dict.fromkeys(self.strikes, math.nan) | dict(found)

    def greek(self, contract: Contract, name: str) -> float:
        """Return `"iv"`, `"delta"`, `"gamma"`, `"theta"` or `"vega"` of one of its options.

        nan where its price is older than five bars, tells no volatility, or it has expired.
        """
        if contract.is_expired:
            return math.nan
        board = self._board(MAX_AGE)
        row = board.rows.at.get(contract)
        if row is None:
            return math.nan
        column = board.iv if name == "iv" else getattr(board.greeks, name)
        return float(column[row])

    def to_frame(self) -> Any:
        """Return one row an option, by strike, calls before puts, as the clock stands.

        Returns
        -------
        DataFrame
            symbol, strike, right, price (newest live close), age (bars since it was live, missing
            before the first), bid, ask, oi, day_volume (units in the session so far), iv (a year,
            as a fraction), delta, gamma, theta (a calendar day), vega (a vol point). nan where
            there is none.
        """
        import pandas as pd

        board = self._board(MAX_AGE)
        rows = board.rows
        made = {
            "symbol": [c.name for c in rows.contracts],
            "strike": rows.strike,
            "right": np.where(rows.call, "CE", "PE"),
            "price": board.price,
            "age": np.where(board.age == NEVER, np.nan, board.age),
            "bid": np.array([c.bid for c in rows.contracts], dtype=np.float64),
            "ask": np.array([c.ask for c in rows.contracts], dtype=np.float64),
            "oi": board.oi,
            "day_volume": board.day_volume,
            "iv": board.iv,
            **board.greeks._asdict(),
        }
        return pd.DataFrame(made).astype(dict.fromkeys(("age", "oi", "day_volume"), "Int64"))


def _right(right: Right) -> Right:
    if right not in ("CE", "PE"):
        raise OrderError(f"{right!r} is no right of an option; it is 'CE' (call) or 'PE' (put).")
    return right


def _is_number(given: object) -> bool:
    return (
        isinstance(given, int | float | np.integer | np.floating)
        and not isinstance(given, bool)
        and math.isfinite(given)
    )


def _too_old(contract: Contract, age: int | None, max_age: int) -> str:
    old = "no price yet" if age is None else f"a price {age} bars old"
    return f"{contract.name} has {old} (max_age={max_age})"
