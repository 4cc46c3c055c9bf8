"""Putting prices into a store: an import in one transaction."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, select, update

from bestbt.engine.grid import Grid
from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.errors import StoreCorrupt, UsageError
from bestbt.store.dialects import upsert
from bestbt.store.quality import QualityReport
from bestbt.store.quarantine import keep
from bestbt.store.reading import Identity, exchange_for, identity, stored_contracts
from bestbt.store.sanitise import Calendar, local_days, reason_outside
from bestbt.store.schema import (
    KINDS,
    FuturesSettlement,
    Import,
    IndexClose,
    Kind,
)
from bestbt.store.segments import Bars, checked, merge, pack, unpack
from bestbt.store.ticks import Ticks, checked_ticks, merge_ticks, pack_ticks, unpack_ticks
from bestbt.units import DAY, MINUTE, Ns, RawPrice

__all__ = ["Importing", "earlier_import"]

_BATCH = 256  # segments written by one statement

_Ints = npt.NDArray[np.integer]


def earlier_import(connection: Connection, sha256: str | None) -> Ns | None:
    """Return when a file of that content was imported; None if never, or partly forgotten since."""
    if sha256 is None:
        return None
    asked = select(Import.imported_at, Import.report).where(Import.sha256 == sha256)
    row = connection.execute(asked.order_by(Import.import_id.desc())).first()
    return None if row is None or row.report.get("forgotten") else row.imported_at


class _Known:
    """A contract inside the transaction: its key, lot, and the times of its live bars."""

    def __init__(self, id_: int, lot: int, first: Ns | None, last: Ns | None, fresh: bool) -> None:
        self.id, self.lot, self.first, self.last, self.fresh = id_, lot, first, last, fresh

    def spans(self, first: Ns, last: Ns) -> None:
        """Live from one time to another, too."""
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)


class Importing:
    """One import: all of it is stored when the `with` block ends, or nothing is.

    Attributes
    ----------
    already : int or None
        When a file with the same sha256 was imported before, UTC ns: then nothing is written.
    replaced : int
        Bars that the store had and this import wrote again.
    known : int
        Ticks of this import that the store had already.
    report : QualityReport or None
        Kept with the import; set it before the block ends.
    """

    def __init__(
        self,
        connection: Connection,
        calendar: Calendar,
        synthetic: bool,
        already: Ns | None,
        *,
        mends: bool = False,
    ) -> None:
        self.already = already
        self.replaced = 0
        self.known = 0
        self.rows = 0
        self.report: QualityReport | None = None
        self._mends = mends  # what is damaged is written anew, from this import alone
        self._mended: list[str] = []
        self._connection = connection
        self._calendar = calendar
        self._synthetic = synthetic
        self._known: dict[Identity, _Known] = {}
        self._terms: dict[Identity, ContractSpec] = {}  # those of the contracts written
        self._asked: set[tuple[AssetType, str, date | None]] = set()
        self._pending: dict[AssetType, list[dict[str, Any]]] = {}
        self._pending_ticks: dict[AssetType, list[dict[str, Any]]] = {}
        self._grids: dict[tuple[str, int, Ns], Grid] = {}

    def write(
        self,
        spec: ContractSpec,
        starts: npt.NDArray[np.int64],
        points: npt.NDArray[np.int32],
        volume: _Ints | None = None,
        oi: _Ints | None = None,
        bid: _Ints | None = None,
        ask: _Ints | None = None,
        *,
        step: Ns = MINUTE,
    ) -> int:
        """Add live bars of one contract; bars that are stored already are replaced.

        Parameters
        ----------
        spec
            The contract; made if the store has none of that exchange, symbol, expiry, strike and
            right, else its lot and tick become these.
        starts
            UTC ns of each bar's start, increasing, shape ``(n,)``; each a bar of a session.
        points
            Raw prices in path order, shape ``(4 n,)``.
        volume, oi
            In units; not for an index. What only some bars of a month have is 0 in the others.
        bid, ask
            Raw quotes at the bar's close, 0 where missing.
        step
            Length of a bar, ns.

        Returns
        -------
        int
            How many bars were written.

        Raises
        ------
        UsageError
            If shapes or types are wrong, a start is on no session's bar, or the month is stored
            with bars of another length.
        """
        if self.already is not None:
            return 0
        bars = checked(starts, points, volume, oi, bid, ask)
        if not len(bars):
            return 0
        kind = KINDS[spec.asset]
        if spec.asset == "index":
            bars = Bars(bars.starts, bars.points)
        known = self._contract(kind, spec)
        days = local_days(bars.starts, self._calendar.market.tz).astype("datetime64[D]")
        months = days.astype("datetime64[M]").astype(np.int64)
        cuts = np.flatnonzero(np.diff(months, prepend=-1, append=-1))
        for head, tail in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            self._month(kind, spec, known, int(months[head]), bars.take(slice(head, tail)), step)
        known.spans(int(bars.starts[0]), int(bars.starts[-1]))
        self.rows += len(bars)
        return len(bars)

    def write_ticks(
        self,
        spec: ContractSpec,
        times: _Ints,
        price: _Ints,
        volume: _Ints | None = None,
        oi: _Ints | None = None,
        bid: _Ints | None = None,
        ask: _Ints | None = None,
        *,
        totals: bool = False,
    ) -> int:
        """Add ticks of one contract; those that are stored already are not stored twice.

        Parameters
        ----------
        spec
            As for `write`.
        times
            UTC ns, never falling, shape ``(n,)``; each inside a session.
        price
            Raw last traded price of the day; 0 where nothing was traded yet.
        volume
            In units; of the day so far with *totals*, else of each tick. Not for an index.
        oi
            In units.
        bid, ask
            Raw quotes, 0 where missing.

        Returns
        -------
        int
            How many ticks were given.

        Raises
        ------
        UsageError
            If shapes or types are wrong, a time lies outside the sessions, or the day is stored
            with volumes of the other kind.
        """
        if self.already is not None:
            return 0
        ticks = checked_ticks(times, price, volume, oi, bid, ask, totals=totals)
        if not len(ticks):
            return 0
        kind = KINDS[spec.asset]
        if spec.asset == "index":
            ticks = Ticks(ticks.times, ticks.price)
        known = self._contract(kind, spec)
        days = local_days(ticks.times, self._calendar.market.tz)
        cuts = np.flatnonzero(np.diff(days, prepend=-1, append=-1))
        for head, tail in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            self._day(kind, spec, known, int(days[head]), ticks.take(slice(head, tail)))
        self.rows += len(ticks)
        return len(ticks)

    def _day(self, kind: Kind, spec: ContractSpec, known: _Known, day: int, ticks: Ticks) -> None:
        on = np.datetime64(day, "D")
        sessions, _ = self._calendar.month(kind.hours, int(on.astype("datetime64[M]").astype(int)))
        outside = reason_outside(ticks.times, np.full(len(ticks), day), sessions, 1) != ""
        if outside.any():
            raise UsageError(
                f"{spec}: {int(outside.sum())} ticks of {on} lie outside its session; leave them "
                "out."
            )
        t0 = day * DAY
        if not known.fresh:
            self._flush(kind)
            table = kind.ticks
            asked = select(table).where(table.c.contract_id == known.id, table.c.t0 == t0)
            row = self._connection.execute(asked).mappings().first()
            if row is not None:
                where = f"{spec} on {on}"
                try:
                    stored = unpack_ticks(dict(row), where)
                except StoreCorrupt:
                    if not self._mends:
                        raise
                    self._mended.append(where)
                else:
                    merged = merge_ticks(stored, ticks, where)
                    self.known += int(row["ticks"]) + len(ticks) - len(merged)
                    ticks = merged
        live = ticks.times[ticks.live]
        if len(live):
            known.spans(int(live[0]), int(live[-1]))
        names = {"contract_id", *kind.ticks.c.keys()}
        packed = {k: v for k, v in pack_ticks(ticks, t0).items() if k in names}
        pending = self._pending_ticks.setdefault(kind.asset, [])
        pending.append(packed | {"contract_id": known.id, "t0": t0})
        if len(pending) >= _BATCH:
            self._flush(kind)

    def close(self, symbol: str, day: date, raw: RawPrice, source: str = "") -> None:
        """Add the official closing value of an index on a day, as a raw price."""
        if self.already is not None:
            return
        spec = ContractSpec("index", symbol, exchange=exchange_for(symbol))
        known = self._contract(KINDS["index"], spec)
        row = {"index_id": known.id, "day": day, "close": int(raw), "source": source}
        self._connection.execute(upsert(self._connection, _table(IndexClose), row), row)
        self.rows += 1

    def settlement(self, spec: ContractSpec, day: date, raw: RawPrice, source: str = "") -> None:
        """Add the price on which a future was settled at the end of a day, as a raw price.

        A contract that the store has keeps its terms.
        """
        if self.already is not None:
            return
        known = self._contract(KINDS["future"], spec, terms=False)
        row = {"future_id": known.id, "day": day, "price": int(raw), "source": source}
        self._connection.execute(upsert(self._connection, _table(FuturesSettlement), row), row)
        self.rows += 1

    def lots(self, asset: AssetType, symbol: str, expiry: date, lot: int) -> int:
        """Give a lot to the stored contracts of an expiry that have none; return how many."""
        if self.already is not None:
            return 0
        found = stored_contracts(self._connection, asset, symbol, expiry)
        unknown = [replace(c.spec, lot=lot) for c in found if c.spec.lot == 1]
        for spec in unknown:
            self._contract(KINDS[asset], spec)
        return len(unknown)

    def _month(
        self, kind: Kind, spec: ContractSpec, known: _Known, month: int, bars: Bars, step: Ns
    ) -> None:
        grid = self._grid(kind.hours, month, step)
        at = np.searchsorted(grid.starts, bars.starts)
        on = grid.starts[np.minimum(at, max(grid.n - 1, 0))] == bars.starts if grid.n else at < 0
        if not on.all():
            stray = grid.to_local(int(bars.starts[~on][0]))
            raise UsageError(
                f"{spec}: {int((~on).sum())} bars start on no bar of a session, the first at "
                f"{stray:%Y-%m-%d %H:%M:%S}; leave them out."
            )
        t0 = int(np.datetime64(month, "M").astype("datetime64[ns]").astype(np.int64))
        if not known.fresh:
            bars = self._with_stored(kind, spec, known, t0, bars, step)
        live = np.isin(grid.starts, bars.starts, assume_unique=True)
        traded = np.zeros(len(grid.sessions), dtype=bool)
        traded[grid.session_of[live]] = True
        row = pack(bars, grid.starts[traded[grid.session_of]], step)
        names = {"contract_id", *kind.segments.c.keys()}
        row = {k: v for k, v in row.items() if k in names} | {"contract_id": known.id, "t0": t0}
        pending = self._pending.setdefault(kind.asset, [])
        pending.append(row)
        if len(pending) >= _BATCH:
            self._flush(kind)

    def _with_stored(
        self, kind: Kind, spec: ContractSpec, known: _Known, t0: Ns, bars: Bars, step: Ns
    ) -> Bars:
        self._flush(kind)
        table = kind.segments
        asked = select(table).where(table.c.contract_id == known.id, table.c.t0 == t0)
        row = self._connection.execute(asked).mappings().first()
        if row is None:
            return bars
        month = np.datetime64(t0, "ns").astype("datetime64[M]")
        try:
            segment = unpack(dict(row), f"{spec} in {month}")
        except StoreCorrupt:
            if not self._mends:
                raise
            self._mended.append(f"{spec} in {month}")
            return bars
        if segment.step != step:
            raise UsageError(
                f"{spec} in {month} is stored in bars of {segment.step / 1e9:g} s; bars of "
                f"{step / 1e9:g} s cannot join them. If these are of that length too, say so "
                "(bar=); if the stored ones are wrong, take them out "
                f'(`bestbt store forget "{spec}" {month}`); else use another store for these.'
            )
        merged = merge(segment.bars(), bars)
        self.replaced += int(row["live_bars"]) + len(bars) - len(merged)
        return merged

    def _grid(self, hours: str, month: int, step: Ns) -> Grid:
        key = (hours, month, step)
        if key not in self._grids:
            sessions, _ = self._calendar.month(hours, month)
            self._grids[key] = Grid(sessions, step, self._calendar.market.tz)
        return self._grids[key]

    def _contract(self, kind: Kind, spec: ContractSpec, *, terms: bool = True) -> _Known:
        """Return a contract, made if it is not there; with *terms*, it gets the spec's."""
        name = identity(spec)
        if terms:
            self._terms[name] = spec
        known = self._known.get(name)
        if known is not None:
            known.fresh = False  # it may have segments now: those of the call before
            return known
        chain = (spec.asset, spec.symbol, spec.expiry)
        if chain not in self._asked:  # one question for a whole expiry
            self._asked.add(chain)
            for row in stored_contracts(self._connection, *chain):
                found = _Known(row.id, row.spec.lot, row.first, row.last, fresh=False)
                self._known.setdefault(identity(row.spec), found)
        if name not in self._known:
            made = self._connection.execute(kind.contracts.insert(), _columns(kind, spec))
            key = int(made.inserted_primary_key[0])  # type: ignore[index]
            self._known[name] = _Known(key, spec.lot, None, None, fresh=True)
            self._terms[name] = spec
        return self._known[name]

    def _flush(self, kind: Kind) -> None:
        for table, pending in (
            (kind.segments, self._pending),
            (kind.ticks, self._pending_ticks),
        ):
            rows = pending.pop(kind.asset, [])
            if rows:
                self._connection.execute(upsert(self._connection, table, rows[0]), rows)

    def finish(self, source: str, sha256: str | None, format_: str) -> None:
        """Write what is pending, the contracts' terms, and the row of the import."""
        if self.already is not None:
            return
        for kind in KINDS.values():
            self._flush(kind)
            table = kind.contracts
            terms: list[dict[str, Any]] = [
                {
                    "the_id": self._known[name].id,
                    "first_time": self._known[name].first,
                    "last_time": self._known[name].last,
                    "lot_size": _lot(spec, self._known[name].lot),
                    "tick_size": spec.tick,
                }
                | ({"synthetic": True} if self._synthetic else {})
                for name, spec in self._terms.items()
                if spec.asset == kind.asset
            ]
            which = table.c.contract_id == bindparam("the_id")
            if terms:
                self._connection.execute(update(table).where(which), terms)
            tokens = [
                {"the_id": self._known[name].id, "token": spec.token}
                for name, spec in self._terms.items()
                if spec.asset == kind.asset and spec.token is not None
            ]
            if tokens:  # a source that names none takes none away
                self._connection.execute(update(table).where(which), tokens)
        report = self.report or QualityReport(source, format_, rows=self.rows, stored=self.rows)
        for where in self._mended:
            report.remarks.append(f"{where} was damaged; it is made of this import alone now")
        made = self._connection.execute(
            _table(Import).insert(),
            {
                "file_name": source,
                "sha256": sha256,
                "format": format_,
                "rows": report.rows,
                "report": report.to_json(),
                "imported_at": time.time_ns(),
                "synthetic": self._synthetic,
            },
        )
        import_id = int(made.inserted_primary_key[0])  # type: ignore[index]
        keep(self._connection, import_id, sha256, report.aside)


def _lot(spec: ContractSpec, stored: int) -> int:
    """Return the lot to store: of a derivative 1 is no lot, but one that was not known."""
    return stored if spec.expiry is not None and spec.lot == 1 else spec.lot


def _table(row: Any) -> Any:
    return row.__table__


def _columns(kind: Kind, spec: ContractSpec) -> dict[str, Any]:
    row = {
        kind.symbol.name: spec.symbol,
        "exchange": spec.exchange,
        "lot_size": spec.lot,
        "tick_size": spec.tick,
        "price_scale": spec.scale,
        "synthetic": False,
        "token": spec.token,
    }
    if spec.asset in ("future", "option"):
        row["expiration_date"] = spec.expiry
    if spec.asset == "option":
        row |= {"strike_price": spec.strike, "option_type": spec.right}
    return row
