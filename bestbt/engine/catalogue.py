"""Catalogue: the contracts, chains and expiries of a run, found once; and what time it is."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, timedelta
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from bestbt.engine.bars import ROW, Bars
from bestbt.engine.chain import OptionChain
from bestbt.engine.chain_base import Floor
from bestbt.engine.contract import Contract, Option, Trader
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.grid import Clock, Grid, duration
from bestbt.engine.lots import Lots
from bestbt.engine.ports import ContractSpec, Feed, Market
from bestbt.engine.prices import PriceColumns
from bestbt.errors import ContractNotFound, UsageError
from bestbt.units import Ns, Ordinal

__all__ = ["Catalogue", "Host"]


class Host(Trader, Floor, Protocol):
    """What contracts and chains need of their run: the desk."""

    grid: Grid  # both say so


class Catalogue:
    """What can be traded in one run, as known at its clock.

    Parameters
    ----------
    feed, market
        Prices and dated facts.
    symbols
        The underlyings.
    start
        First bar of the run.
    desk
        Where the verbs of contracts go, and what chains ask.
    """

    # A desk has more attributes than CPython keeps in place: without slots each is looked up.
    __slots__ = (
        *("_bars", "_calendars", "_chains", "_contracts", "_days", "_desk", "_settled", "_spots"),
        *("_unreleased", "before_open", "clock", "expiring", "feed", "grid", "lots", "market"),
        *("session", "start", "symbols", "today", "unsettled_from", "__weakref__"),
    )

    def __init__(
        self,
        feed: Feed,
        market: Market,
        symbols: tuple[str, ...],
        start: Ordinal,
        desk: Host,
    ) -> None:
        self.feed, self.market, self.symbols = feed, market, symbols
        self.grid = feed.grid
        self.clock = Clock()
        self.clock.bar = start - 1
        self.start = start
        self.session = self.grid.session(start)
        self.today: date = self.grid.sessions[self.session].day  # local date of the session
        self.before_open = True  # between sessions: a hook runs before the first bar
        self.unsettled_from = self.today
        self.expiring: dict[date, list[Contract]] = {}  # not yet settled
        self._unreleased: dict[date, list[Contract]] = {}  # the same, and what settled today
        self._desk = desk
        self._contracts: dict[ContractSpec, Contract] = {}
        # Those that have settled and were never held: the same as long as a strategy has it.
        self._settled: WeakValueDictionary[ContractSpec, Contract] = WeakValueDictionary()
        self._spots: dict[str, Contract] = {}
        self._chains: dict[tuple[str, date], OptionChain] = {}
        self._calendars: dict[tuple[str, str], ExpiryCalendar] = {}
        self.lots = Lots(market)
        self._bars: dict[tuple[Contract, Ns], Bars] = {}
        self._days: list[date] = [s.day for s in self.grid.sessions]

    def contract(self, spec: ContractSpec) -> Contract:
        """Return the run's one contract of a spec."""
        found = self._contracts.get(spec)
        if found is None:
            settled = spec.expiry is not None and spec.expiry < self.unsettled_from
            if settled and (kept := self._settled.get(spec)) is not None:
                return kept
            kind = Option if spec.asset == "option" else Contract
            found = kind(spec, self.clock, self._desk)
            if settled:
                found.is_expired = True
                self._settled[spec] = found
                return found
            self._contracts[spec] = found
            if spec.expiry is not None:
                found.lot = self.lots.of(spec, self.today)
                due = self._unreleased.setdefault(spec.expiry, [])
                due.append(found)
                self.expiring[spec.expiry] = due
        return found

    def open_session(self, session: int) -> None:
        """Go over to the next session, before its first bar; let go of what settled before it."""
        self.session, self.before_open = session, True
        self.today = self.grid.sessions[session].day
        if self.unsettled_from < self.today:
            self.unsettled_from = self.today
        self._let_go()

    def _let_go(self) -> None:
        """Forget the prices and chains of what has settled."""
        for expiry in [e for e in self._unreleased if e not in self.expiring]:
            for contract in self._unreleased.pop(expiry):
                contract.let_go()
                if not contract.times_held:  # the books have the others for good
                    del self._contracts[contract.spec]
                    self._settled[contract.spec] = contract
        for key in [key for key in self._chains if key[1] < self.unsettled_from]:
            del self._chains[key]
        for of in [of for of in self._bars if of[0].expiry and of[0].expiry < self.unsettled_from]:
            del self._bars[of]

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Load the prices of a contract."""
        return self.feed.columns(spec)

    def is_expiry(self, day: date) -> bool:
        """Whether options or futures of the first symbol expire on a day."""
        return any(day in self.calendar(self.symbols[0], asset) for asset in ("option", "future"))

    def bars(self, contract: Contract, timeframe: str, n: int | None) -> npt.NDArray[np.void]:
        """Return closed bars of a timeframe; see `Contract.bars`."""
        step = duration(timeframe)
        if step % self.grid.step:
            raise UsageError(
                f"{contract.name}.bars({timeframe!r}): give a multiple of the run's bar."
            )
        if n is not None and (not isinstance(n, int) or isinstance(n, bool) or n < 1):
            raise UsageError(f"{contract.name}.bars(…, {n!r}): how many bars, one or more?")
        columns = contract._prices
        if columns is None:
            return np.empty(0, dtype=ROW)
        found = self._bars.get((contract, step))
        if found is None:
            found = self._bars[contract, step] = Bars(self.grid, columns, step)
        return found.until(self.clock.bar, n)

    def spot(self, symbol: str) -> Contract:
        """Return the index or equity of a name."""
        found = self._spots.get(symbol)
        if found is None:
            found = self._spots[symbol] = self.contract(self.feed.spot(symbol))
        return found

    def named(self, name: str) -> Contract:
        """Return a contract by the name it is written with in tables."""
        if not isinstance(name, str):
            raise ContractNotFound(f"contract({name!r}): give a name, such as 'NIFTY'.")
        parts = name.upper().split()
        try:
            if len(parts) == 4 and parts[3] in ("CE", "PE"):
                chain = self.chain(parts[0], date.fromisoformat(parts[1]))
                pick = chain.call if parts[3] == "CE" else chain.put
                return pick(float(parts[2]))
            if len(parts) == 3 and parts[2] == "FUT":
                day = date.fromisoformat(parts[1])
                listed = day in self.calendar(parts[0], "future")
                spec = self.feed.future(parts[0], day) if listed else None
                if spec is None:
                    raise ContractNotFound(f"No future {name!r} is listed by now.")
                return self.contract(spec)
        except ValueError:
            raise ContractNotFound(
                f"{name!r} is no contract; write it as in the tables: 'NIFTY', "
                "'NIFTY 2024-02-29 FUT' or 'NIFTY 2024-02-29 22000 CE'."
            ) from None
        return self.spot(name.strip().upper())

    def calendar(self, symbol: str, asset: str = "option") -> ExpiryCalendar:
        """Return the listed expiries of a symbol."""
        key = (symbol, asset)
        found = self._calendars.get(key)
        if found is None:
            kind: Any = asset
            found = ExpiryCalendar(symbol, self.feed.expiries(symbol, kind), self.clock)
            self._calendars[key] = found
        return found

    def chain(self, symbol: str, expiry: date) -> OptionChain:
        """Return the chain of an expiry."""
        found = self._chains.get((symbol, expiry))
        if found is None:
            listings = self.feed.listed(symbol, expiry)
            found = OptionChain(self.spot(symbol), expiry, listings, self._desk)
            if expiry >= self.unsettled_from:
                self._chains[symbol, expiry] = found
        return found

    def sessions_left(self, expiry: date) -> int:
        """Sessions from today to an expiry; 0 on its day."""
        if expiry > self._days[-1]:
            after = self._days[-1] + timedelta(days=1)
            self._days += [s.day for s in self.market.sessions(after, expiry)]
        return bisect_left(self._days, expiry) - bisect_left(self._days, self.today)

    def moment(self) -> Ns:
        """UTC time at which hooks run: the newest bar has just closed, or the session opens."""
        if self.before_open:
            return self.grid.sessions[self.session].open
        return self.grid._end[self.clock.bar]

    now = property(moment)  # as a method it costs a third: each order asks

    def check_symbol(self, symbol: str | None) -> str:
        """Return a symbol of the run: the first unless told otherwise."""
        if symbol is None:
            return self.symbols[0]
        if not isinstance(symbol, str):
            raise UsageError(f"of={symbol!r}: name a symbol, such as 'NIFTY'.")
        return symbol
