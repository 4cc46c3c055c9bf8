"""StoreFeed: the engine's `Feed`, read from the store.

plan      which sessions make the grid: those in the range with an index bar  (once a range)
listed    what an expiry has: one query, no prices
columns   prices of one contract on the grid: at first use, then from `Slabs`
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Grid, Session
from bestbt.engine.ports import AssetType, ContractSpec, Expiry, ExpiryKind, Listing
from bestbt.engine.prices import PriceColumns
from bestbt.errors import ContractNotFound, DataGap, StoreCorrupt, UsageError
from bestbt.store.assemble import Piece, Room, assemble, places
from bestbt.store.coarser import longer, of_ticks
from bestbt.store.plans import AUTO, BYTES_PER_BAR, EIGHTH, Loading, fits
from bestbt.store.reading import Reader, Settlements, Stored
from bestbt.store.sanitise import local_days
from bestbt.store.segments import Bars, Packed, Segment, concatenate
from bestbt.store.slabs import Slabs
from bestbt.store.ticks import Ticks
from bestbt.units import DAY, Ns, Ordinal, RawPrice

__all__ = ["Plan", "StoreFeed", "check_step", "on_grid", "plan", "union_sessions"]

_CHAINS = 256  # expiries whose contracts are remembered: of all symbols those listed at a time
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Plan:
    """The grid of a range of dates, and what is absent from it."""

    symbols: tuple[str, ...]
    grid: Grid
    start_bar: Ordinal
    missing_days: tuple[date, ...]

    @cached_property
    def fingerprint(self) -> bytes:
        """Tell grids apart: two of the same bars are the same."""
        return hashlib.blake2b(
            self.grid.starts.tobytes() + self.grid.step.to_bytes(8, "little"), digest_size=16
        ).digest()


def union_sessions(a: Iterable[Session], b: Iterable[Session]) -> list[Session]:
    """Return sessions in which either trades, by day.

    >>> one = Session(date(2026, 8, 3), ((0, 10),))
    >>> union_sessions([one], [Session(one.day, ((0, 15), (20, 30)))])[0].parts
    ((0, 15), (20, 30))
    """
    days: dict[date, list[tuple[Ns, Ns]]] = {}
    for session in (*a, *b):
        days.setdefault(session.day, []).extend(session.parts)
    made = []
    for day in sorted(days):
        parts: list[tuple[Ns, Ns]] = []
        for opens, closes in sorted(days[day]):
            if parts and opens <= parts[-1][1]:
                parts[-1] = (parts[-1][0], max(parts[-1][1], closes))
            else:
                parts.append((opens, closes))
        made.append(Session(day, tuple(parts)))
    return made


def plan(
    reader: Reader, symbols: Sequence[str], start: date, end: date, step: Ns, warmup: int
) -> Plan:
    """Choose the sessions of a run.

    Raises
    ------
    ContractNotFound
        A symbol is not stored.
    DataGap
        Trading days of the range lie outside what is stored, or the stored bars are longer
        than *step*.
    """
    if start > end:
        raise UsageError(f"The range {start} to {end} ends before it starts; exchange the dates.")
    if warmup < 0:
        raise UsageError(f"A warm-up of {warmup} sessions was asked; give 0 or more.")
    stored = [c for symbol in symbols for c in (reader.spot(symbol),) if c is not None]
    if not stored:
        raise ContractNotFound(_nothing(symbols[0] if symbols else "", reader.symbols()))
    for symbol in symbols:
        if symbol not in {c.spec.symbol for c in stored}:
            raise ContractNotFound(_nothing(symbol, reader.symbols()))
    tz = reader.tz
    covered = {c.spec.symbol: _days(c, tz) for c in stored}
    first, last = max(a for a, _ in covered.values()), min(b for _, b in covered.values())
    asked = _sessions(reader, symbols, start, end)
    if not asked:
        raise DataGap(f"There is no trading day from {start} to {end}; {_covered(covered)}.")
    if asked[0].day < first or asked[-1].day > last:  # the days on which all are stored
        raise DataGap(
            f"{', '.join(symbols)} from {start} to {end} was asked; {_covered(covered)}. "
            "Ask for dates inside, or import the rest."
        )
    live = _live_days(reader, stored, asked, step)
    kept = [s for s in asked if s.day in live]
    if not kept:
        raise DataGap(
            f"{', '.join(symbols)} has no bar from {start} to {end}, though {_covered(covered)}. "
            "Import those days, or ask for others."
        )
    before = _before(reader, symbols, stored, first, start, warmup, step)
    grid = Grid([*before, *kept], step, tz)
    missing = tuple(s.day for s in asked if s.day not in live)
    return Plan(tuple(symbols), grid, grid.firsts[len(before)], missing)


def _nothing(symbol: str, known: Sequence[str]) -> str:
    if not known:
        return (
            f"{symbol} was asked, and the store is empty: run `bestbt demo` for a synthetic "
            "market, or import a file with `store.import_file(path)`."
        )
    if symbol in known:
        return (
            f"{symbol} has derivatives in the store but no prices of its own, and a run needs "
            "them for its clock: import the index's minutes."
        )
    return f"No {symbol!r} in the store; it has {', '.join(known)}."


def _days(contract: Stored, tz: str) -> tuple[date, date]:
    days = local_days(np.array([contract.first, contract.last], dtype=np.int64), tz)
    return date.fromordinal(_EPOCH + int(days[0])), date.fromordinal(_EPOCH + int(days[1]))


def _covered(covered: dict[str, tuple[date, date]]) -> str:
    each = (f"{symbol} from {a} to {b}" for symbol, (a, b) in covered.items())
    return f"the store has {' and '.join(each)}"


def _sessions(reader: Reader, symbols: Sequence[str], start: date, end: date) -> list[Session]:
    """Sessions of all instruments stored for the symbols in the range."""
    spot = reader.calendar.between("index", start, end)
    midnight = (start.toordinal() - _EPOCH - 1) * DAY, (end.toordinal() - _EPOCH + 2) * DAY
    if not reader.derivatives_within(symbols, *midnight):
        return spot
    return union_sessions(spot, reader.calendar.between("derivatives", start, end))


def _live_days(
    reader: Reader, stored: Sequence[Stored], sessions: Sequence[Session], step: Ns
) -> set[date]:
    found: set[int] = set()
    for contract in stored:
        first, last = sessions[0].open, sessions[-1].close
        segments = reader.segments(contract, first, last)
        check_step(reader, contract, segments, sessions, step)
        found |= reader.tick_days(contract, first, last)
        for segment in segments:
            if _makes(segment, step):
                found |= set(np.unique(local_days(segment.bars().starts, reader.tz)).tolist())
    return {date.fromordinal(_EPOCH + day) for day in found}


def check_step(
    reader: Reader,
    contract: Stored,
    segments: Sequence[Segment | Packed],
    sessions: Sequence[Session],
    step: Ns,
) -> None:
    """Refuse bars that are too long for a grid's, on days of it that have no ticks.

    A longer bar under shorter ones would show its close before it was there, or nothing new.
    """
    coarse = [segment for segment in segments if not _makes(segment, step)]
    if not coarse:
        return
    days = {s.day.toordinal() - _EPOCH for s in sessions}
    days -= reader.tick_days(contract, sessions[0].open, sessions[-1].close)
    for segment in coarse:
        here = days & set(local_days(segment.spans[:, 0], reader.tz).tolist())
        if here:
            finer = step < segment.step
            raise DataGap(
                f"{contract.spec} is stored in bars of {segment.step / 1e9:g} s on "
                f"{date.fromordinal(_EPOCH + min(here))}; bars of {step / 1e9:g} s cannot be made "
                "of them. Ask for a multiple"
                + (f", or import seconds or ticks of {contract.spec}." if finer else ".")
            )


def _before(
    reader: Reader,
    symbols: Sequence[str],
    stored: Sequence[Stored],
    first: date,
    start: date,
    warmup: int,
    step: Ns,
) -> list[Session]:
    if not warmup:
        return []
    reach = 2 * warmup + 14  # calendar days; doubled until enough of them have bars
    while True:
        since = max(first, date.fromordinal(start.toordinal() - reach))
        until = date.fromordinal(start.toordinal() - 1)
        sessions = _sessions(reader, symbols, since, until) if since <= until else []
        live = _live_days(reader, stored, sessions, step) if sessions else set()
        found = [s for s in sessions if s.day in live]
        if len(found) >= warmup:
            return found[-warmup:]
        if since == first or since >= until:
            raise DataGap(
                f"A warm-up of {warmup} sessions before {start} was asked; the store has "
                f"{len(found)} (its first day is {first}). Start later, or ask for less."
            )
        reach *= 2


# --- prices on the grid ------------------------------------------------------------------------


def _ordinals(segment: Segment, grid: Grid) -> npt.NDArray[np.int64]:
    """Grid ordinal of each dense bar of a segment, -1 where the grid has none.

    A run of bars is looked up by its head; the few runs that the grid cuts are looked up whole.
    """
    starts = segment.dense.starts
    heads, counts = segment.spans[:, 0], segment.spans[:, 1]
    skip = np.repeat(np.searchsorted(grid.starts, heads) - np.cumsum(counts) + counts, counts)
    at = np.minimum(skip + np.arange(len(starts)), grid.n - 1)
    wrong = grid.starts[at] != starts
    if wrong.any():
        again = np.minimum(np.searchsorted(grid.starts, starts[wrong]), grid.n - 1)
        at[wrong] = np.where(grid.starts[again] == starts[wrong], again, -1)
    return at


def _makes(segment: Segment | Packed, step: Ns) -> bool:
    """Whether bars of a length can be made of a segment's."""
    return segment.step <= step and step % segment.step == 0


def on_grid(
    segments: Sequence[Segment], grid: Grid, ticks: Sequence[Ticks] = ()
) -> tuple[npt.NDArray[np.int64], Bars] | None:
    """Return the live bars that lie on a grid and their ordinals; longer bars are made of them.

    A bar that ticks make stands before a stored one. Segments whose bars are too long are left
    out. None when there are no bars.
    """
    found: list[tuple[npt.NDArray[np.int64], Bars]] = []
    for segment in segments:
        if segment.step == grid.step:
            at = _ordinals(segment, grid)
            live, all_there = segment.live, bool(segment.live.all() and (at >= 0).all())
            mask = slice(None) if all_there else live & (at >= 0)
            found.append((at[mask], segment.dense.take(mask)))
        elif _makes(segment, grid.step):
            bars = segment.bars()
            at = np.searchsorted(grid.starts, bars.starts, side="right") - 1
            inside = (at >= 0) & (bars.starts < grid.starts[np.maximum(at, 0)] + grid.step)
            found.append(longer(at[inside], bars.take(inside), grid))
    stored = _joined(found)
    finer = _joined([of_ticks(day, grid) for day in ticks])
    if stored is None or finer is None:
        return stored or finer
    kept = ~np.isin(stored[0], finer[0], assume_unique=True)
    ordinals = np.concatenate((stored[0][kept], finer[0]))
    order = np.argsort(ordinals, kind="stable")
    return ordinals[order], concatenate([stored[1].take(kept), finer[1]]).take(order)


def _joined(
    found: Sequence[tuple[npt.NDArray[np.int64], Bars]],
) -> tuple[npt.NDArray[np.int64], Bars] | None:
    parts = [part for part in found if len(part[0])]
    if not parts:
        return None
    return np.concatenate([at for at, _ in parts]), concatenate([bars for _, bars in parts])


def _joined_pieces(of_segments: Sequence[list[Piece] | None]) -> list[Piece] | None:
    """Return the pieces of a contract, None if one of its segments has none."""
    joined: list[Piece] = []
    for pieces in of_segments:
        if pieces is None:
            return None
        joined += pieces
    return joined


class StoreFeed:
    """Prices of one run, read from the store when first asked for.

    Attributes
    ----------
    grid : Grid
        The sessions of the range that have an index bar, warm-up sessions before them.
    start_bar : int
        First bar of the range itself: the warm-up lies before it.
    missing_days : tuple of date
        Trading days of the range left out because no symbol has a bar on them.
    symbols : tuple of str
        What the feed was asked for; other stored symbols can be read too.
    """

    def __init__(
        self,
        reader: Reader,
        slabs: Slabs,
        made: Plan,
        generation: int,
        loading: Loading = AUTO,
    ) -> None:
        self.symbols = made.symbols
        self.loading = loading
        self.start_bar = made.start_bar
        self.missing_days = made.missing_days
        self._grid = made.grid
        self._reader = reader
        self._slabs = slabs
        self._key = (made.fingerprint, generation)
        self._spots: dict[str, Stored] = {}
        self._chains: dict[tuple[str, date], list[Listing]] = {}
        self._futures: dict[tuple[str, date], ContractSpec | None] = {}
        self._expiries: dict[tuple[str, AssetType], list[Expiry]] = {}
        self._closes: dict[str, dict[date, RawPrice]] = {}
        self._settlements: dict[str, Settlements] = {}
        self._stored: dict[ContractSpec, Stored] = {}
        self._most: dict[str, dict[date, int]] = {}
        self._alone: Counter[tuple[str, date]] = Counter()  # options read one by one
        self._ticked = reader.ticked()

    @property
    def remarks(self) -> list[str]:
        """What a run's log is to say of its prices: how they are loaded."""
        memory, sizes = (
            self._slabs.limit,
            [n for s in self.symbols for n in self._sizes(s).values()],
        )
        if self.loading.name != "auto" or not sizes:
            return [f"prices are loaded by {self.loading}, into {memory >> 20:,} MB"]
        large = sum(not fits(n, memory) for n in sizes)
        what = "contract by contract"
        if large < len(sizes):
            what += ", and an expiry whole once eight of it were asked for"
            what += f" ({large} of {len(sizes)} are too large for that)" if large else ""
        largest = max(sizes) * BYTES_PER_BAR >> 20
        return [
            f"prices are loaded {what}: of {len(sizes)} expiries the largest takes up to "
            f"{largest:,} MB, with {memory >> 20:,} MB allowed"
        ]

    def _sizes(self, symbol: str) -> dict[date, int]:
        """Bars at most of all options of each expiry together."""
        if symbol not in self._most:
            counts = self._reader.counts("option", symbol)
            self._most[symbol] = {
                e.day: counts[e.day] * max(self._end(e.day) - e.first, 0)
                for e in self.expiries(symbol)
            }
        return self._most[symbol]

    @property
    def grid(self) -> Grid:
        """The grid of the run, warm-up sessions included."""
        return self._grid

    def spot(self, symbol: str) -> ContractSpec:
        """Return the index or equity of that name; `ContractNotFound` when there is none."""
        if symbol not in self._spots:
            found = self._reader.spot(symbol)
            if found is None:
                raise ContractNotFound(_nothing(symbol, self._reader.symbols()))
            self._spots[symbol] = self._stored[found.spec] = found
        return self._spots[symbol].spec

    def expiries(self, symbol: str, asset: AssetType = "option") -> Sequence[Expiry]:
        """All expiries of a symbol listed by the grid's end, from its first day on, by date."""
        key = (symbol, asset)
        if key not in self._expiries:
            grid = self._grid
            firsts = self._reader.expiries(asset, symbol)
            self._expiries[key] = [
                Expiry(day, self._kind(symbol, day, list(firsts)), self._bar_of(first))
                for day, first in firsts.items()
                if day >= grid.sessions[0].day and first < grid.end(grid.n - 1)
            ]
        return self._expiries[key]

    def _bar_of(self, time: Ns) -> Ordinal:
        """Return the bar that holds a time, or the next one to come; 0 before the grid."""
        bar = self._grid.at_or_before(time)
        return bar if bar >= 0 and time < self._grid.end(bar) else bar + 1

    def _kind(self, symbol: str, day: date, days: Sequence[date]) -> ExpiryKind:
        try:
            return self._reader.calendar.market.expiry_kind(symbol, day)
        except UsageError:  # a symbol or date that the market's tables lack: the month's last is it
            later = [d for d in days if d > day and (d.year, d.month) == (day.year, day.month)]
            return "weekly" if later else "monthly"

    def listed(self, symbol: str, expiry: date) -> Sequence[Listing]:
        """All option contracts of an expiry that have traded by the grid's end, in order.

        Strikes go up, calls before puts. No prices are read.
        """
        key = (symbol, expiry)
        if key not in self._chains:
            chain = []
            for stored in self._reader.contracts("option", symbol, expiry):
                if stored.first is None or stored.first > self._grid.starts[-1]:
                    continue
                self._stored[stored.spec] = stored
                chain.append(Listing(stored.spec, self._bar_of(stored.first)))
            self._chains[key] = chain
            while len(self._chains) > _CHAINS:
                for row in self._chains.pop(next(iter(self._chains))):
                    self._stored.pop(row.spec, None)
            return chain
        return self._chains[key]

    def future(self, symbol: str, expiry: date) -> ContractSpec | None:
        """Return the future of an expiry, or None where none is stored."""
        key = (symbol, expiry)
        if key not in self._futures:
            stored = self._reader.contracts("future", symbol, expiry)
            found = [
                c for c in stored if c.first is not None
            ]  # not one with settlement prices only
            if found:
                self._stored[found[0].spec] = found[0]
            self._futures[key] = found[0].spec if found else None
        return self._futures[key]

    def columns(self, spec: ContractSpec) -> PriceColumns | None:
        """Prices from the first live bar on the grid to the expiry's last; None: no live bar.

        Raises
        ------
        ContractNotFound
            The store has no such contract.
        StoreCorrupt
            What is stored fails its checksum.
        """
        stored = self._stored.get(spec)
        if stored is None:
            stored = self._reader.contract(spec)
            if stored is None:
                raise ContractNotFound(f"No {spec} in the store; see `%bestbt coverage`.")
            self._stored[spec] = stored
        return self._slabs.get(self._key_of(stored), partial(self._load, stored))

    def official_close(self, symbol: str, day: date) -> RawPrice | None:
        """Return the stored official closing value of an index, for settlement."""
        if symbol not in self._closes:
            self._closes[symbol] = self._reader.closes(symbol)
        return self._closes[symbol].get(day)

    def settlement_price(self, spec: ContractSpec, day: date) -> RawPrice | None:
        """Return the stored price on which a future was settled at the end of a day."""
        if spec.expiry is None:
            return None
        symbol = spec.symbol
        if symbol not in self._settlements:
            self._settlements[symbol] = self._reader.settlements(symbol)
        return self._settlements[symbol].get((spec.expiry, day))

    def _load(self, contract: Stored) -> PriceColumns | None:
        """Read a contract, and along with it what the way of loading says, expiry by expiry."""
        along = [c for c in self._along(contract) if c.id != contract.id]
        read: dict[date | None, list[Stored]] = {}
        for one in along:
            if self._key_of(one) not in self._slabs:
                read.setdefault(one.spec.expiry, []).append(one)
        own = [contract, *read.pop(contract.spec.expiry, [])]
        for together in (*read.values(), own):
            columns = self._read_sound(together, contract)
            self._slabs.add(columns)
        return columns[self._key_of(contract)]

    def _read_sound(
        self, contracts: Sequence[Stored], asked: Stored
    ) -> dict[Hashable, PriceColumns | None]:
        """Read contracts together; what is damaged is refused only when it is asked for itself."""
        try:
            return self._read(contracts)
        except StoreCorrupt:
            if len(contracts) == 1 and contracts[0] is asked:
                raise
        found: dict[Hashable, PriceColumns | None] = {}
        for one in contracts:
            try:
                found |= self._read([one])
            except StoreCorrupt:
                if one is asked:
                    raise
        return found

    def _read(self, contracts: Sequence[Stored]) -> dict[Hashable, PriceColumns | None]:
        """Return the prices of contracts of one kind, which lie in one piece of memory."""
        grid = self._grid
        packed = self._reader.packed(contracts, grid.time(0), grid.time(grid.n - 1))
        found = iter(places([segment for c in contracts for segment in packed[c.id]], grid))
        pieces = {c.id: _joined_pieces([next(found) for _ in packed[c.id]]) for c in contracts}
        bars = (
            max(self._end(c.spec.expiry) - own[0].at, 0) for c in contracts if (own := pieces[c.id])
        )
        room = Room(sum(bars))
        return {
            self._key_of(c): self._columns(c, packed.pop(c.id), pieces.pop(c.id), room)
            for c in contracts
        }

    def _key_of(self, contract: Stored) -> tuple[Any, ...]:
        return (contract.spec.asset, contract.id, self._key)

    def _along(self, contract: Stored) -> list[Stored]:
        spec = contract.spec
        if spec.asset != "option" or spec.expiry is None or self.loading.name == "contract":
            return []
        symbol, expiry = spec.symbol, spec.expiry
        if self.loading.name == "auto":
            self._alone[symbol, expiry] += 1
            if self._alone[symbol, expiry] < EIGHTH:
                return []
            if not fits(self._sizes(symbol)[expiry], self._slabs.limit):
                return []
        return [
            self._stored[row.spec]
            for day in self._sizes(symbol)
            if self.loading.takes(day, expiry)
            for row in self.loading.near(spec.strike or 0.0, self.listed(symbol, day))
        ]

    def _columns(
        self,
        contract: Stored,
        packed: Sequence[Packed],
        pieces: Sequence[Piece] | None,
        room: Room,
    ) -> PriceColumns | None:
        """Return the prices of a contract on the grid."""
        grid, spec, ticks = self._grid, contract.spec, []
        if spec.asset in self._ticked:
            ticks = self._reader.ticks(contract, grid.time(0), grid.time(grid.n - 1))
        check_step(self._reader, contract, packed, grid.sessions, grid.step)
        end = self._end(spec.expiry)
        if pieces is not None and not ticks:
            return assemble(pieces, end, spec.scale, room)
        found = on_grid([segment.decode() for segment in packed], grid, ticks)
        if found is None:
            return None
        ordinals, bars = found
        if ordinals[-1] >= end:  # bars later than the contract's own expiry are not its prices
            ordinals, bars = ordinals[ordinals < end], bars.take(ordinals < end)
            if not len(ordinals):
                return None
        return PriceColumns.from_live(
            ordinals,
            bars.points,
            spec.scale,
            end=end,
            volume=bars.volume,
            oi=bars.oi,
            bid=bars.bid,
            ask=bars.ask,
        )

    def _end(self, expiry: date | None) -> Ordinal:
        """One past the last bar at which a contract has a price.

        An expiry day that the grid lacks is settled at the first bar after it, which is
        therefore the last to carry its mark.
        """
        grid = self._grid
        if expiry is None:
            return grid.n
        session = grid.session_from(expiry)
        if session == len(grid.sessions):
            return grid.n
        if grid.sessions[session].day == expiry:
            return grid.lasts[session] + 1
        return grid.firsts[session] + 1
