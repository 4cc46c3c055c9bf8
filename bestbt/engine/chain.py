"""OptionChain: rules that pick an option of one expiry, and figures of all its options."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from bestbt.engine.board import NEVER, Board, Reference, nearest
from bestbt.engine.chain_base import MAX_AGE, By, ChainBase, check_right, check_terms, too_old
from bestbt.engine.contract import Contract
from bestbt.errors import OrderError, UsageError, did_you_mean
from bestbt.units import Price, Right

__all__ = ["MAX_AGE", "By", "OptionChain", "Side"]

Side: TypeAlias = Literal["nearest", "above", "below"]

_DELTA = 1_000_000_000  # deltas are compared as whole multiples of 1e-9


class OptionChain(ChainBase):
    """The options of one expiry, read at the run's clock; strikes listed later are not seen.

    A rule that finds nothing (`offset`, `by_delta` …) returns None and logs why; a figure that
    cannot be told (`forward`, `pcr` …) is None. Of strikes that fit equally well the lowest is
    taken.

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

    # Rules that start at the money

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
        check_terms(max_age, min_oi, min_volume)
        check_right(right)
        bar, spot = self._clock.bar, self.spot
        if by == "spot" and self._money[0] == bar:
            found = self._offset(right, n, self._money[1])
        elif by == "spot" and spot._age() == 0:  # nearly always
            self._money = bar, self._nearest(spot.price)
            found = self._offset(right, n, self._money[1])
        else:
            reference = self._measure(_at_money(right, n), by, max_age)
            if isinstance(reference, str):
                return self._answer(_at_money(right, n), reference)
            found = self._offset(right, n, self._nearest(reference.value))
        if isinstance(found, Contract):
            why = self._unfit(found, max_age, min_oi, min_volume)
            if not why:
                return found
            found = why
        return self._answer(_at_money(right, n), found)

    def _offset(self, right: Right, n: int, at: int) -> Contract | str:
        """Return the option *n* strikes out of a row, or why there is none."""
        if at < 0:
            return f"no strike of {self._name} is listed yet"
        step = 1 if (n > 0) == (right == "CE") else -1
        for _ in range(abs(n)):
            strike = self._strike(at)
            while at >= 0 and self._strike(at) == strike:  # a strike has one row or two
                at = self._next(at + step, step)
            if at < 0:
                return f"no strike {n:+d} from the money at {self._name}"
        row = self._row(at, right)
        if row is None:
            return f"no {self.spot.symbol} {self._strike(at):g} {right} {self.expiry} listed yet"
        return self._contract(row)

    def _unfit(self, option: Contract, max_age: int, min_oi: int, min_volume: int) -> str:
        """Say what an option lacks; empty when it lacks nothing."""
        age = option._age()
        if age is None or age > self._oldest(max_age):
            return too_old(option, age, max_age)
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
        check_terms(max_age, min_oi, min_volume)
        board = self._board(max_age)
        fit = board.fit(check_right(right), min_oi, min_volume) & ~np.isnan(board.greeks.delta)
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
        check_terms(max_age, min_oi, min_volume)
        board = self._board(max_age)
        fit = board.fit(check_right(right), min_oi, min_volume)
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
        away = pct if check_right(right) == "CE" else -pct
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
        away = k if check_right(right) == "CE" else -k
        value = self._to_raw(reference.value) + away * self._to_raw(straddle)
        return self._at_strike(asked, right, value, max_age, min_oi, min_volume)

    def _at_strike(
        self, asked: str, right: Right, value: float, max_age: int, min_oi: int, min_volume: int
    ) -> Contract | None:
        """Answer with the fitting row whose strike is nearest to a raw price."""
        check_terms(max_age, min_oi, min_volume)
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
        if by != "spot" or isinstance(found, str) or (found.source == "spot" and not found.age):
            return found
        if self._noted != self._clock.bar:
            self._noted, age = self._clock.bar, self.spot.age
            used = "its last value" if found.source == "spot" else f"the {found.source} future"
            used = "the future" if found.source == "future" else used
            self._desk.note(
                "frozen",
                f"{asked}: {self.spot.symbol} has no value for {age} bars; "
                f"measured from {used}, {found.value:.10g}",
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
        at, board = self._nearest(reference.value), self._board(max_age)
        if at < 0:
            return None
        return board.straddle(round(self._strike(at) * board.rows.scale))

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


def _at_money(right: Right, n: int) -> str:
    return f"get_atm({right!r}{f', offset={n}' if n else ''})"


def _is_number(given: object) -> bool:
    return (
        isinstance(given, int | float | np.integer | np.floating)
        and not isinstance(given, bool)
        and math.isfinite(given)
    )
