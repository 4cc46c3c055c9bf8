"""What is asked of the database: contracts, their segments, closes. Nothing here decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    select,
    union,
)

from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.markets.india import SYMBOLS, exchange_of
from bestbt.store.dialects import read, reading
from bestbt.store.sanitise import Calendar, local_days
from bestbt.store.schema import KINDS, FuturesSettlement, Import, IndexClose, Kind
from bestbt.store.segments import Packed, Segment
from bestbt.store.ticks import Ticks, unpack_ticks
from bestbt.units import DAY, Ns, RawPrice, Right

__all__ = [
    "Identity",
    "Reader",
    "Settlements",
    "Stored",
    "day_name",
    "day_of",
    "exchange_for",
    "identity",
    "month_name",
    "month_of",
    "spec_of",
    "stored_contracts",
]

_AT_ONCE = 1000  # contracts asked for by one statement

Settlements: TypeAlias = dict[tuple[date, date], RawPrice]
Identity: TypeAlias = tuple[AssetType, str, str, date | None, float | None, Right | None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A contract as the store has it: its key, terms, and the starts of its outer live bars."""

    id: int
    spec: ContractSpec
    first: Ns | None
    last: Ns | None
    synthetic: bool


@lru_cache(maxsize=4096)
def month_of(time: Ns, tz: str) -> Ns:
    """Return the key of the segment that holds a time: its local month's first day, as UTC.

    >>> from datetime import UTC, datetime
    >>> key = month_of(1709145000000000000, "Asia/Kolkata")  # 2024-02-29 00:00 in India
    >>> datetime.fromtimestamp(key / 1e9, UTC).date()
    datetime.date(2024, 2, 1)
    """
    day = np.datetime64(int(local_days(np.array([time]), tz)[0]), "D")
    return int(day.astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64))


def day_of(time: Ns, tz: str) -> Ns:
    """Return the key of the day's ticks that hold a time: its local date, as UTC."""
    return int(local_days(np.array([time]), tz)[0]) * DAY


def exchange_for(symbol: str) -> str:
    """Exchange of a symbol; the NSE's name for one without dated facts, such as a share."""
    return exchange_of(symbol) if symbol in SYMBOLS else "NSE"


def identity(spec: ContractSpec) -> Identity:
    """Return what makes a contract that contract, whatever its terms."""
    return (spec.asset, spec.exchange, spec.symbol, spec.expiry, spec.strike, spec.right)


def stored_contracts(
    connection: Connection, asset: AssetType, symbol: str, expiry: date | None = None
) -> list[Stored]:
    """Contracts of a symbol, of one expiry or all, by expiry, strike and right."""
    table = KINDS[asset].contracts
    asked = select(table).where(_symbol(table) == symbol)
    if expiry is not None:
        asked = asked.where(table.c.expiration_date == expiry)
    found = [_stored(asset, dict(row)) for row in connection.execute(asked).mappings()]
    return sorted(
        found,
        key=lambda c: (c.spec.expiry or date.min, c.spec.strike or 0, c.spec.right or "", c.id),
    )


def _symbol(table: Table) -> ColumnElement[Any]:
    name: ColumnElement[Any] = table.c["index" if "index" in table.c else "symbol"]
    return name


class Reader:
    """Reads of one store; each takes its own connection, so any thread may call.

    A *patient* one waits for a server that has gone, as a run should; an import is lost with it.
    """

    def __init__(self, engine: Engine, calendar: Calendar, *, patient: bool = True) -> None:
        self._patient = patient
        self._engine = reading(engine)
        self.calendar = calendar
        self.tz = calendar.market.tz

    def _rows(
        self, statement: Any, values: Mapping[str, Any] | None = None
    ) -> list[Mapping[str, Any]]:
        def ask(connection: Connection) -> list[Mapping[str, Any]]:
            result = connection.execute(statement, values)
            names = tuple(result.keys())
            return [dict(zip(names, row, strict=True)) for row in result.all()]

        return read(self._engine, ask, patient=self._patient)

    def generation(self) -> int:
        """Return a number that changes with every import, by whichever process."""
        newest = select(func.max(Import.import_id).label("newest"))
        return self._rows(newest)[0]["newest"] or 0

    def symbols(self) -> list[str]:
        """Names of everything stored that has live bars."""
        tables = [kind.contracts for kind in KINDS.values()]
        asked = union(
            *(select(_symbol(t).label("name")).where(t.c.first_time.is_not(None)) for t in tables)
        )
        return sorted(str(row["name"]) for row in self._rows(asked))

    def contracts(self, asset: AssetType, symbol: str, expiry: date | None = None) -> list[Stored]:
        """Contracts of a symbol, of one expiry or all, by expiry, strike and right."""

        def ask(connection: Connection) -> list[Stored]:
            return stored_contracts(connection, asset, symbol, expiry)

        return read(self._engine, ask, patient=self._patient)

    def contract(self, spec: ContractSpec) -> Stored | None:
        """Return the stored contract with that identity, whatever its terms."""
        for found in self.contracts(spec.asset, spec.symbol, spec.expiry):
            if identity(found.spec) == identity(spec):
                return found
        return None

    def spot(self, symbol: str) -> Stored | None:
        """Return the index or equity of that name, if it has live bars."""
        for asset in ("index", "equity"):
            for found in self.contracts(asset, symbol):
                if found.first is not None:
                    return found
        return None

    def expiries(self, asset: AssetType, symbol: str) -> dict[date, Ns]:
        """All stored expiries of a symbol by date, with the first live bar of any contract."""
        table = KINDS[asset].contracts
        day, first = table.c.expiration_date, func.min(table.c.first_time)
        asked = select(day, first.label("first")).where(_symbol(table) == symbol).group_by(day)
        rows = self._rows(asked.order_by(day))
        return {r["expiration_date"]: r["first"] for r in rows if r["first"] is not None}

    def counts(self, asset: AssetType, symbol: str) -> dict[date, int]:
        """How many contracts are stored of each expiry of a symbol."""
        table = KINDS[asset].contracts
        day = table.c.expiration_date
        asked = select(day, func.count().label("n")).where(_symbol(table) == symbol).group_by(day)
        return {row["expiration_date"]: row["n"] for row in self._rows(asked)}

    def derivatives_within(self, symbols: Iterable[str], start: Ns, end: Ns) -> bool:
        """Whether a future or option of these symbols has live bars between two times."""
        for asset in ("future", "option"):
            table = KINDS[asset].contracts
            asked = select(table.c.contract_id).where(
                _symbol(table).in_(list(symbols)),
                table.c.first_time <= end,
                table.c.last_time >= start,
            )
            if self._rows(asked.limit(1)):
                return True
        return False

    def segments(self, contract: Stored, start: Ns, end: Ns) -> list[Segment]:
        """Decoded segments of the months that touch two times; `StoreCorrupt` if damaged."""
        return [packed.decode() for packed in self.packed([contract], start, end)[contract.id]]

    def packed(self, contracts: Sequence[Stored], start: Ns, end: Ns) -> dict[int, list[Packed]]:
        """Segments of contracts of one kind in the months that touch two times, by contract.

        Raises
        ------
        StoreCorrupt
            Naming the contract and month that is damaged.
        """
        kind = KINDS[contracts[0].spec.asset]
        first, last = month_of(start, self.tz), month_of(end, self.tz)
        found: dict[int, list[Packed]] = {c.id: [] for c in contracts}
        names = {c.id: c.spec for c in contracts}
        for at in range(0, len(contracts), _AT_ONCE):
            ids = [c.id for c in contracts[at : at + _AT_ONCE]]
            asked = {"contracts": ids, "first": first, "last": last}
            for row in self._rows(_segments_asked(kind), asked):
                own = row["contract_id"]
                found[own].append(Packed.read(row, _Month(names[own], row["t0"])))
        return found

    def steps(self, contract: Stored) -> dict[Ns, Ns]:
        """Length of a contract's bars by month, keyed as `month_of` does."""
        table = KINDS[contract.spec.asset].segments
        asked = select(table.c.t0, table.c.step).where(table.c.contract_id == contract.id)
        return {row["t0"]: row["step"] for row in self._rows(asked)}

    def ticked(self) -> frozenset[AssetType]:
        """Return the kinds of contract that have any ticks: most stores have none."""
        return frozenset(
            asset
            for asset, kind in KINDS.items()
            if self._rows(select(kind.ticks.c.contract_id).limit(1))
        )

    def tick_days(self, contract: Stored, start: Ns, end: Ns) -> set[int]:
        """Local days from one time to another that have ticks, counted from 1970."""
        table = KINDS[contract.spec.asset].ticks
        asked = select(table.c.t0).where(
            table.c.contract_id == contract.id,
            table.c.t0.between(day_of(start, self.tz), day_of(end, self.tz)),
        )
        return {row["t0"] // DAY for row in self._rows(asked)}

    def ticks(self, contract: Stored, start: Ns, end: Ns) -> list[Ticks]:
        """Decoded ticks of the days that touch two times; `StoreCorrupt` if damaged."""
        first, last = (day_of(time, self.tz) // DAY for time in (start, end))
        return self.ticks_on(contract, first, last)

    def ticks_on(self, contract: Stored, first: int, last: int) -> list[Ticks]:
        """Return the same of local days, counted from 1970, both included."""
        table = KINDS[contract.spec.asset].ticks
        asked = select(table).where(
            table.c.contract_id == contract.id, table.c.t0.between(first * DAY, last * DAY)
        )
        rows = self._rows(asked.order_by(table.c.t0))
        return [unpack_ticks(row, f"{contract.spec} on {day_name(row['t0'])}") for row in rows]

    def closes(self, symbol: str) -> dict[date, RawPrice]:
        """Official closes of an index."""
        table = KINDS["index"].contracts
        asked = (
            select(IndexClose.day, IndexClose.close)
            .join(table, IndexClose.index_id == table.c.contract_id)
            .where(table.c.symbol == symbol)
        )
        return {row["day"]: row["close"] for row in self._rows(asked)}

    def settlements(self, symbol: str, expiry: date | None = None) -> Settlements:
        """Settlement prices of a symbol's futures, of one expiry or all, by expiry and day."""
        table = KINDS["future"].contracts
        price = FuturesSettlement
        asked = (
            select(table.c.expiration_date, price.day, price.price)
            .join(table, price.future_id == table.c.contract_id)
            .where(_symbol(table) == symbol)
            .order_by(table.c.expiration_date, price.day)
        )
        if expiry is not None:
            asked = asked.where(table.c.expiration_date == expiry)
        rows = self._rows(asked)
        return {(row["expiration_date"], row["day"]): row["price"] for row in rows}

    def coverage(self, kind: Kind) -> list[Mapping[str, Any]]:
        """Per symbol and bar length: contracts, live bars, outer times, synthetic or not."""
        contracts, segments = kind.contracts, kind.segments
        name = _symbol(contracts)
        per_contract = (
            select(
                segments.c.contract_id, segments.c.step, func.sum(segments.c.live_bars).label("n")
            )
            .group_by(segments.c.contract_id, segments.c.step)
            .subquery()
        )
        asked = (
            select(
                name.label("symbol"),
                per_contract.c.step,
                func.count().label("contracts"),
                func.sum(per_contract.c.n).label("rows"),
                func.min(contracts.c.first_time).label("first"),
                func.max(contracts.c.last_time).label("last"),
                func.max(contracts.c.synthetic.cast(Integer)).label("synthetic"),
            )
            .join(contracts, contracts.c.contract_id == per_contract.c.contract_id)
            .group_by(name, per_contract.c.step)
        )
        bars = sorted(self._rows(asked), key=lambda r: (r["symbol"], r["step"]))
        return [*self._tick_coverage(kind), *bars]

    def _tick_coverage(self, kind: Kind) -> list[Mapping[str, Any]]:
        """Return the same of ticks, whose bars have no length."""
        contracts, ticks = kind.contracts, kind.ticks
        name = _symbol(contracts)
        asked = (
            select(
                name.label("symbol"),
                func.count(ticks.c.contract_id.distinct()).label("contracts"),
                func.sum(ticks.c.ticks).label("rows"),
                func.min(ticks.c.first).label("first"),
                func.max(ticks.c.last).label("last"),
                func.max(contracts.c.synthetic.cast(Integer)).label("synthetic"),
            )
            .join(contracts, contracts.c.contract_id == ticks.c.contract_id)
            .group_by(name)
        )
        found = sorted(self._rows(asked), key=lambda r: r["symbol"])
        return [{**row, "step": 0} for row in found]

    def digests(self, kind: Kind, symbols: Iterable[str], start: Ns, end: Ns) -> list[str]:
        """One line per segment of these symbols: whose it is, its terms and its content."""
        contracts, named = kind.contracts, list(symbols)
        first, last = month_of(start, self.tz), month_of(end, self.tz)
        lines = []
        for table, what, until in (
            (kind.segments, "", last),
            (kind.ticks, "ticks ", month_of(last + 45 * DAY, self.tz) - 1),
        ):
            asked = (
                select(contracts, table.c.t0, table.c.digest)
                .join(table, contracts.c.contract_id == table.c.contract_id)
                .where(_symbol(contracts).in_(named), table.c.t0.between(first, until))
            )
            for row in self._rows(asked):
                spec = spec_of(kind.asset, row)
                terms = f"{spec.exchange} {spec} {spec.lot} {spec.tick}"
                lines.append(f"{what}{terms} {row['t0']} {row['digest']}")
        return sorted(lines)


class _Month(NamedTuple):
    """Name of a segment, spelled out only when something is wrong with it."""

    spec: ContractSpec
    t0: Ns

    def __str__(self) -> str:
        return f"{self.spec} in {month_name(self.t0)}"


@lru_cache(maxsize=len(KINDS))
def _segments_asked(kind: Kind) -> Select[Any]:
    """Return the statement that is asked for every contract: built once, as that takes longer."""
    table = kind.segments
    return (
        select(table)
        .where(
            table.c.contract_id.in_(bindparam("contracts", expanding=True)),
            table.c.t0.between(bindparam("first"), bindparam("last")),
        )
        .order_by(table.c.contract_id, table.c.t0)
    )


def month_name(t0: Ns) -> str:
    """Return the month of a segment's key: `2024-02`."""
    return str(np.datetime64(t0, "ns").astype("datetime64[M]"))


def day_name(t0: Ns) -> str:
    """Return the day of the key of a day's ticks: `2024-02-29`."""
    return str(np.datetime64(t0, "ns").astype("datetime64[D]"))


def spec_of(asset: AssetType, row: Mapping[str, Any]) -> ContractSpec:
    """Return the contract of a row of its table."""
    return ContractSpec(
        asset,
        row["index"] if "index" in row else row["symbol"],
        row.get("expiration_date"),
        row.get("strike_price"),
        cast(Right | None, row.get("option_type")),
        lot=row["lot_size"],
        tick=row["tick_size"],
        scale=row["price_scale"],
        exchange=row["exchange"],
        token=row["token"],
    )


def _stored(asset: AssetType, row: Mapping[str, Any]) -> Stored:
    spec = spec_of(asset, row)
    return Stored(
        row["contract_id"], spec, row["first_time"], row["last_time"], bool(row["synthetic"])
    )
