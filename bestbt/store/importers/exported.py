"""What a store has written with `export`: Parquet in long form that comes back as it was.

    symbol, kind, time, open, high, low, close, high_first, volume, oi, bid, ask,
    bar, lot, tick, scale, exchange, totals

One row a live bar, or a tick. `high_first` says which extreme came first, the columns at the end
are the contract's terms; what a contract lacks is null. A tick has the bar `tick`, its price as its
`close` (NaN before the first trade of its day) and no other price; `totals` says whether its volume
is the day's so far, and is there only in a file that has ticks. Official closes and settlement
prices stand in the file's metadata. A file that other software has written again lacks that mark,
and is read as bars in long form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from bestbt.engine.grid import duration
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.store.importers.index_closes import Close, Settlement
from bestbt.store.importers.parquet import opened
from bestbt.store.importers.source import Source
from bestbt.store.quality import QualityReport
from bestbt.store.segments import Bars
from bestbt.store.ticks import Ticks
from bestbt.units import POINTS, Ns

__all__ = ["MARK", "REST", "Exported", "batch", "read", "schema", "shows"]

MARK = b"bestbt.export"
REST = ("volume", "oi", "bid", "ask")
_TEXT = pa.dictionary(pa.int32(), pa.string())
_NAMED = ("symbol", "kind", "bar", "exchange")


def schema(
    tz: str, closes: list[Close], settlements: list[Settlement], synthetic: bool, ticks: bool
) -> pa.Schema:
    """Return the columns of an export, with what is true of the whole file.

    *ticks*: it has ticks too.
    """
    said = {
        "version": 1,
        "synthetic": synthetic,
        "closes": [[c.symbol, str(c.day), c.raw] for c in closes],
        "settlements": [[str(s.day), s.raw, _terms(s.spec)] for s in settlements],
    }
    fields = [("symbol", _TEXT), ("kind", _TEXT), ("time", pa.timestamp("ns", tz))]
    fields += [(name, pa.float64()) for name in ("open", "high", "low", "close")]
    fields += [("high_first", pa.bool_()), ("volume", pa.int64()), ("oi", pa.int64())]
    fields += [("bid", pa.float64()), ("ask", pa.float64()), ("bar", _TEXT)]
    fields += [("lot", pa.int32()), ("tick", pa.float64()), ("scale", pa.int32())]
    fields += [("exchange", _TEXT)] + ([("totals", pa.bool_())] if ticks else [])
    return pa.schema(fields, metadata={MARK: json.dumps(said)})


def batch(spec: ContractSpec, rows: Bars | Ticks, bar: str, columns: pa.Schema) -> pa.Table:
    """Return bars or ticks of one contract as rows of an export."""
    n = len(rows)

    def same(value: str) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [value])

    def quotes(side: npt.NDArray[np.int32] | None) -> pa.Array:
        if side is None:
            return pa.nulls(n, pa.float64())
        return pa.array(np.where(side > 0, side / spec.scale, np.nan))

    def counts(values: npt.NDArray[np.int64] | None) -> pa.Array:
        return pa.nulls(n, pa.int64()) if values is None else pa.array(values)

    if isinstance(rows, Bars):
        times, quads = rows.starts, rows.points.reshape(-1, POINTS)
        of_kind = {
            "open": pa.array(quads[:, 0] / spec.scale),
            "high": pa.array(quads.max(axis=1) / spec.scale),
            "low": pa.array(quads.min(axis=1) / spec.scale),
            "close": pa.array(quads[:, 3] / spec.scale),
            "high_first": pa.array(quads[:, 1] > quads[:, 2]),
        }
    else:
        times = rows.times
        of_kind = {"close": quotes(rows.price), "totals": pa.array(np.full(n, rows.totals))}
    arrays = {
        "symbol": same(str(spec)),
        "kind": same(spec.asset),
        "time": pa.array(times).cast(columns.field("time").type),
        **of_kind,
        "volume": counts(rows.volume),
        "oi": counts(rows.oi),
        "bid": quotes(rows.bid),
        "ask": quotes(rows.ask),
        "bar": same(bar),
        "lot": pa.array(np.full(n, spec.lot, dtype=np.int32)),
        "tick": pa.array(np.full(n, spec.tick / spec.scale)),
        "scale": pa.array(np.full(n, spec.scale, dtype=np.int32)),
        "exchange": same(spec.exchange),
    }
    made = [arrays.get(field.name, pa.nulls(n, field.type)) for field in columns]
    return pa.table(made, schema=columns)


@dataclass(slots=True)
class Exported:
    """An exported file: bars and ticks contract by contract, read as they are asked for."""

    rows: Iterator[tuple[ContractSpec, Bars | Ticks, Ns]]
    closes: list[Close]
    settlements: list[Settlement]
    synthetic: bool
    report: QualityReport = field(repr=False)
    contracts: int = 0  # that it names


def shows(source: Source) -> bool:
    """Whether a file is an export of a store."""
    if source.head[:4] != b"PAR1":
        return False
    try:
        return MARK in (pa.parquet.read_schema(source.path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def read(
    source: Source, market: India, *, symbol: str | None = None, **unknown: object
) -> Exported:
    """Read an export.

    Raises
    ------
    ImportRefused
        For one of a newer version, options that it has no use for, and a file that is damaged.
    """
    if symbol is not None or unknown:
        name = "symbol" if symbol is not None else next(iter(unknown))
        raise ImportRefused(
            f"{source.name} was exported by bestbt and says itself what it holds; leave {name}= "
            f"out. {did_you_mean(name, ('again', 'check_level'))}"
        )
    try:
        with opened(source) as file:
            marks, rows = file.schema_arrow.metadata or {}, file.metadata.num_rows
            contracts = _contracts_named(file)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(source, error) from None
    said: dict[str, Any] = json.loads(marks.get(MARK, b"{}"))
    if said.get("version") != 1:
        raise ImportRefused(f"{source.name} was exported by a newer bestbt; use that one.")
    report = QualityReport(source.name, "bestbt-export Parquet", rows=rows)
    closes = [Close(0, s, date.fromisoformat(day), raw) for s, day, raw in said["closes"]]
    settlements = [
        Settlement(0, _spec(terms), date.fromisoformat(day), raw)
        for day, raw, terms in said["settlements"]
    ]
    report.rows += len(closes) + len(settlements)
    return Exported(
        _groups(source), closes, settlements, bool(said["synthetic"]), report, contracts
    )


def _contracts_named(file: pa.parquet.ParquetFile) -> int:
    """Count the contracts: one column is read, which is quick beside storing the rest."""
    names: set[str] = set()
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=["symbol"])
        names.update(*(column.unique().to_pylist() for column in table.columns))
    return len(names)


def _groups(source: Source) -> Iterator[tuple[ContractSpec, Bars | Ticks, Ns]]:
    with opened(source, checked_pages=True) as file:
        for group in range(file.num_row_groups):
            try:
                table = file.read_row_group(group).unify_dictionaries().combine_chunks()
            except (OSError, pa.ArrowException) as error:
                raise _damaged(source, error) from None
            yield from _contracts(table)


def _contracts(table: pa.Table) -> Iterator[tuple[ContractSpec, Bars | Ticks, Ns]]:
    """Yield runs of rows of one contract and bar length, that have the same columns."""
    columns = {name: table.column(name) for name in table.column_names}
    changes = np.zeros(table.num_rows, dtype=bool)
    changes[:1] = True
    for name in _NAMED:
        codes = columns[name].combine_chunks().indices.to_numpy()
        changes[1:] |= np.diff(codes) != 0
    for name in REST:
        changes[1:] |= np.diff(pc.is_null(columns[name]).to_numpy().astype(np.int8)) != 0
    if "totals" in columns:
        totals = pc.fill_null(columns["totals"], False).to_numpy().astype(np.int8)
        changes[1:] |= np.diff(totals) != 0
    heads = np.flatnonzero(changes)
    for head, tail in zip(heads.tolist(), [*heads[1:].tolist(), len(changes)], strict=True):
        yield _run({name: column.slice(head, tail - head) for name, column in columns.items()})


def _run(columns: dict[str, pa.ChunkedArray]) -> tuple[ContractSpec, Bars | Ticks, Ns]:
    one = {name: columns[name][0].as_py() for name in (*_NAMED, "lot", "tick", "scale")}
    scale = int(one["scale"])

    def raw(name: str) -> npt.NDArray[np.int32]:
        values = np.asarray(columns[name].to_numpy(), dtype=np.float64) * scale
        return np.rint(np.nan_to_num(values)).astype(np.int32)

    rest: dict[str, Any] = dict.fromkeys(REST)
    for name in REST:
        if columns[name].null_count == 0:
            quote = name in ("bid", "ask")
            rest[name] = raw(name) if quote else columns[name].to_numpy().astype(np.int64)
    starts = columns["time"].cast(pa.int64()).to_numpy()
    if one["bar"] == "tick":
        totals = bool(columns["totals"][0].as_py())
        return _spec(one), Ticks(starts, raw("close"), **rest, totals=totals), 0
    first = columns["high_first"].to_numpy().astype(bool)
    high, low = raw("high"), raw("low")
    points = np.stack(
        (raw("open"), np.where(first, high, low), np.where(first, low, high), raw("close")), axis=1
    )
    return _spec(one), Bars(starts, points.ravel(), **rest), duration(one["bar"])


def _terms(spec: ContractSpec) -> dict[str, Any]:
    terms = {"symbol": str(spec), "kind": spec.asset, "lot": spec.lot}
    return terms | {
        "tick": spec.tick / spec.scale,
        "scale": spec.scale,
        "exchange": spec.exchange,
    }


def _spec(one: dict[str, Any]) -> ContractSpec:
    words = one["symbol"].split()
    option, derivative = one["kind"] == "option", one["kind"] in ("future", "option")
    return ContractSpec(
        one["kind"],
        words[0] if derivative else one["symbol"],
        date.fromisoformat(words[1]) if derivative else None,
        float(words[2]) if option else None,
        words[3] if option else None,
        lot=one["lot"],
        tick=round(one["tick"] * one["scale"]),
        scale=one["scale"],
        exchange=one["exchange"],
    )


def _damaged(source: Source, error: Exception) -> ImportRefused:
    return ImportRefused(
        f"{source.name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: "
        "export it again."
    )
