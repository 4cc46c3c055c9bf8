"""OptionChain: the listed options of one expiry at the run's clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import date

from bestbt.engine.contract import Contract
from bestbt.engine.grid import Clock
from bestbt.engine.ports import ContractSpec, Listing
from bestbt.errors import ContractNotFound
from bestbt.units import Ordinal, RawPrice, Right

__all__ = ["OptionChain"]

_NEVER: Ordinal = 1 << 62


class OptionChain:
    """The options of one expiry, read at the run's clock; strikes listed later are not seen.

    Parameters
    ----------
    spot
        The underlying; its newest price is the reference for at the money.
    listings
        All options of the expiry, with the bar from which each is listed.
    find
        Gives the run's contract of a spec.
    """

    def __init__(
        self,
        spot: Contract,
        expiry: date,
        listings: Sequence[Listing],
        clock: Clock,
        find: Callable[[ContractSpec], Contract],
    ) -> None:
        self.spot, self.expiry = spot, expiry
        self._clock, self._find = clock, find
        self._rows: dict[tuple[float, str], Listing] = {}
        self._found: dict[tuple[float, str], Contract] = {}
        first: dict[float, Ordinal] = {}
        for row in listings:
            strike, right = row.spec.strike, row.spec.right
            if strike is None or right is None:
                continue
            self._rows[strike, right] = row
            if row.first < first.get(strike, _NEVER):
                first[strike] = row.first
        self._strikes = sorted(first)
        self._firsts = [first[k] for k in self._strikes]
        # Compared as integers, so that a tie between two strikes is a tie.
        self._raw: list[RawPrice] = [round(k * spot.spec.scale) for k in self._strikes]

    def __repr__(self) -> str:
        return f"<OptionChain {self.spot.symbol} {self.expiry}, {len(self.strikes)} strikes>"

    @property
    def strikes(self) -> list[float]:
        """Strikes listed by now, ascending."""
        bar = self._clock.bar
        pairs = zip(self._strikes, self._firsts, strict=True)
        return [k for k, first in pairs if first <= bar]

    @property
    def atm(self) -> float | None:
        """Listed strike nearest to the spot's newest price, the lower one on a tie."""
        at = self._nearest(self.spot.mark)
        return None if at < 0 else self._strikes[at]

    def call(self, strike: float) -> Contract:
        """Return the call of a strike; `ContractNotFound` when it is not listed by now."""
        return self._at(strike, "CE")

    def put(self, strike: float) -> Contract:
        """Return the put of a strike; `ContractNotFound` when it is not listed by now."""
        return self._at(strike, "PE")

    @property
    def calls(self) -> list[Contract]:
        """Calls listed by now, by strike."""
        return self._side("CE")

    @property
    def puts(self) -> list[Contract]:
        """Puts listed by now, by strike."""
        return self._side("PE")

    def offset(self, right: Right, n: int) -> Contract | str:
        """Return the option *n* listed strikes out of the money (−1: one in), or why there is none.

        The strike is never exchanged for a neighbour because its row is old: the caller decides
        what an old row means.
        """
        reference = self.spot.mark
        if reference <= 0:
            return f"{self.spot.symbol} has no price yet"
        at = self._nearest(reference)
        if at < 0:
            return f"no strike of {self.spot.symbol} {self.expiry} is listed yet"
        step = 1 if (n > 0) == (right == "CE") else -1
        bar, left = self._clock.bar, abs(n)
        while left:
            at += step
            if not 0 <= at < len(self._strikes):
                return f"no strike {n:+d} from the money at {self.spot.symbol} {self.expiry}"
            left -= self._firsts[at] <= bar
        row = self._rows.get((self._strikes[at], right))
        if row is None or row.first > bar:
            return f"no {self.spot.symbol} {self._strikes[at]:g} {right} {self.expiry} listed yet"
        return self._contract(row)

    def _nearest(self, reference: RawPrice) -> int:
        """Index of the listed strike nearest to a raw price, the lower on a tie; -1: none."""
        raw, firsts, bar = self._raw, self._firsts, self._clock.bar
        hi = bisect_left(raw, reference)
        lo = hi - 1
        while lo >= 0 and firsts[lo] > bar:
            lo -= 1
        while hi < len(raw) and firsts[hi] > bar:
            hi += 1
        if lo < 0 or reference <= 0:
            return hi if hi < len(raw) and reference > 0 else -1
        return lo if hi == len(raw) or reference - raw[lo] <= raw[hi] - reference else hi

    def _at(self, strike: float, right: Right) -> Contract:
        row = self._rows.get((float(strike), right))
        if row is None or row.first > self._clock.bar:
            raise ContractNotFound.strike(
                self.spot.symbol, strike, right, self.expiry, self.strikes
            )
        return self._contract(row)

    def _contract(self, row: Listing) -> Contract:
        key = (row.spec.strike or 0.0, row.spec.right or "")
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(row.spec)
        return found

    def _side(self, right: Right) -> list[Contract]:
        bar = self._clock.bar
        rows = (self._rows.get((k, right)) for k in self._strikes)
        return [self._contract(r) for r in rows if r is not None and r.first <= bar]
