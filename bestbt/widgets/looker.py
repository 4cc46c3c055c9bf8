"""Looker: one who looks at a run from outside, and leaves no trace in it.

A strategy's own chains are not touched: to read them would load contracts that the strategy could
then find active, and write refusals into its log. The looker reads the same prices by the same
clock, through contracts of its own.
"""

from __future__ import annotations

from datetime import date
from typing import Any, cast
from weakref import WeakKeyDictionary

from bestbt.engine.chain import OptionChain
from bestbt.engine.contract import Contract, Option
from bestbt.engine.desk import Desk
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.lots import Lots
from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns
from bestbt.units import Ordinal

__all__ = ["Looker", "looker_at"]

_CHAINS = 4  # expiries kept ready beside those read at this bar: another loads all its prices


class Looker:
    """The desk of its own contracts and chains.

    It holds the run's clock and not its desk, so it is gone when the run is.

    Attributes
    ----------
    kept
        What those who read a chain keep with it, as long as it is ready.
    """

    why_none = ""

    def __init__(self, desk: Desk) -> None:
        self.feed, self.market, self.grid = desk.feed, desk.market, desk.grid
        self.clock, self.rate, self.now = desk.clock, desk.rate, desk.now
        self.unsettled_from = desk.unsettled_from
        self.lots = Lots(desk.market)
        self.kept: WeakKeyDictionary[OptionChain, Any] = WeakKeyDictionary()
        self._contracts: dict[ContractSpec, Contract] = {}  # but for options: a chain has its own
        self._calendars: dict[tuple[str, str], ExpiryCalendar] = {}
        # With the bar at which each was read last; the last is the one asked for last.
        self._chains: dict[tuple[str, date], tuple[OptionChain, Ordinal]] = {}

    def contract(self, spec: ContractSpec) -> Contract:
        """Return a contract of the looker's own; as far as it is looked at, this is its desk."""
        if spec.asset == "option":
            return Option(spec, self.clock, cast(Any, self))
        if spec not in self._contracts:
            self._contracts[spec] = Contract(spec, self.clock, cast(Any, self))
        return self._contracts[spec]

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Load the prices of a contract."""
        return self.feed.columns(spec)

    def calendar(self, symbol: str, asset: str = "option") -> ExpiryCalendar:
        """Return the listed expiries of a symbol."""
        found = self._calendars.get((symbol, asset))
        if found is None:
            days = self.feed.expiries(symbol, cast(Any, asset))
            found = self._calendars[symbol, asset] = ExpiryCalendar(symbol, days, self.clock)
        return found

    def spot(self, symbol: str) -> Contract:
        """Return the index or equity of a name; `ContractNotFound` where it is not stored."""
        return self.contract(self.feed.spot(symbol))

    def chain(self, symbol: str, expiry: date) -> OptionChain:
        """Return the chain of an expiry; those that have settled or are many are let go."""
        chain, _ = self._chains.pop((symbol, expiry), (None, 0))
        if chain is None:
            since = self.unsettled_from
            self._chains = {k: v for k, v in self._chains.items() if k[1] >= since}
            self._contracts = {
                spec: contract
                for spec, contract in self._contracts.items()
                if spec.expiry is None or spec.expiry >= since
            }
            listings = self.feed.listed(symbol, expiry)
            chain = OptionChain(self.spot(symbol), expiry, listings, cast(Any, self))
            before = [of for of, (_, read) in self._chains.items() if read != self.clock.bar]
            for of in before[: max(len(before) - _CHAINS, 0)]:
                del self._chains[of]
        self._chains[symbol, expiry] = chain, self.clock.bar
        return chain

    def note(self, kind: str, text: str, **values: Any) -> None:
        """Say nothing: the log is the run's."""


# By the desk of each run that is looked at, as long as it lives.
_LOOKERS: WeakKeyDictionary[Desk, Looker] = WeakKeyDictionary()


def looker_at(desk: Desk) -> Looker:
    """Return the one who looks at a run; to be called where nothing moves it.

    That is on the engine's thread between two bars, or while it is paused.
    """
    looker = _LOOKERS.get(desk)
    if looker is None:
        looker = _LOOKERS[desk] = Looker(desk)
    looker.now, looker.unsettled_from = desk.now, desk.unsettled_from
    return looker
