"""Prices out of a store: one Parquet file, written contract by contract, month by month.

A contract's ticks follow its bars, a day at a time: a day is never cut in two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.errors import DataGap, UsageError
from bestbt.store.feed import check_step, on_grid
from bestbt.store.importers import Close, Settlement, exported
from bestbt.store.reading import Reader, Stored
from bestbt.store.sanitise import local_days
from bestbt.store.schema import KINDS
from bestbt.store.segments import Bars
from bestbt.store.ticks import Ticks
from bestbt.units import DAY, Ns

__all__ = ["write_export"]

Tell = Callable[[int, int, str], object]
_EPOCH = date(1970, 1, 1).toordinal()
_OTHERS = (".csv", ".gz", ".json", ".tsv", ".txt", ".xls", ".xlsx", ".zip")
_NOON = DAY // 2  # of UTC: the same date everywhere
_GROUP = 1 << 17  # rows that are held before they are written


def write_export(
    reader: Reader,
    contracts: Sequence[Stored],
    path: Path,
    first: date,
    last: date,
    step: Ns | None,
    name_of: Callable[[Ns], str],
    tell: Tell,
) -> int:
    """Write the live bars and the ticks of contracts, and what their days ended on.

    The file appears whole under its name, or not at all.

    Parameters
    ----------
    first, last
        Local days, both included.
    step
        Length of the bars written, made of ticks too; None: bars and ticks as they are stored.
    name_of
        Writes a length of bars.
    tell
        Told of each contract that is written: how many, of how many, which.

    Returns
    -------
    int
        How many bars and ticks were written.

    Raises
    ------
    DataGap
        Nothing lies in those days, or the stored bars are longer than *step*.
    UsageError
        The file cannot be written: there is no such folder, or no room.
    """
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}; make it, or give another path.")
    if path.suffix.lower() in _OTHERS:
        raise UsageError(
            f"{path.name} would be opened as another kind of file, and an export is Parquet: name "
            f"it {path.stem}.parquet."
        )
    days = first.toordinal() - _EPOCH, last.toordinal() - _EPOCH
    closes = [
        Close(0, contract.spec.symbol, day, raw)
        for contract in contracts
        if contract.spec.asset == "index"
        for day, raw in sorted(reader.closes(contract.spec.symbol).items())
        if first <= day <= last
    ]
    settlements = [
        Settlement(0, contract.spec, day, raw)
        for contract in contracts
        if contract.spec.asset == "future"
        for (_, day), raw in reader.settlements(contract.spec.symbol, contract.spec.expiry).items()
        if first <= day <= last
    ]
    synthetic = any(c.synthetic for c in contracts)
    ticked = {} if step else _tick_days(reader, contracts, days)
    columns = exported.schema(reader.tz, closes, settlements, synthetic, bool(ticked))
    part = path.with_name(path.name + ".part")
    written = 0
    try:
        with part.open("wb") as stream:
            with pa.parquet.ParquetWriter(
                stream, columns, compression="zstd", write_page_checksum=True
            ) as writer:
                held: list[pa.Table] = []
                for done, contract in enumerate(contracts):
                    bars = _months(reader, contract, days, step)
                    ticks = _days(reader, contract, ticked.get(contract.spec, ()))
                    for rows, length in chain[tuple[Bars | Ticks, Ns]](bars, ticks):
                        held.append(exported.batch(contract.spec, rows, name_of(length), columns))
                        written += len(rows)
                        if sum(map(len, held)) >= _GROUP:
                            _flush(writer, held)
                    tell(done + 1, len(contracts), str(contract.spec))
                _flush(writer, held)
            stream.flush()
            os.fsync(stream.fileno())
        if not written:
            symbol = contracts[0].spec.symbol
            raise DataGap(f"No bar or tick of {symbol} lies from {first} to {last}.")
        os.replace(part, path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror or error}). Make room, or give another "
            "path; what was there before is as it was."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return written


def _flush(writer: pa.parquet.ParquetWriter, held: list[pa.Table]) -> None:
    if held:
        table = pa.concat_tables(held).unify_dictionaries()
        writer.write_table(table, row_group_size=len(table))
        held.clear()


def _months(
    reader: Reader,
    contract: Stored,
    days: tuple[int, int],
    step: Ns | None,
) -> Iterator[tuple[Bars, Ns]]:
    """Yield the bars of a contract in order, a month or, if longer bars are made, a year each."""
    if contract.first is None or contract.last is None:
        return
    outer = local_days(np.array([contract.first, contract.last]), reader.tz).tolist()
    low, high = max(days[0], outer[0]), min(days[1], outer[1])
    while low <= high:
        until = min(high, _year_end(low))
        # A day of UTC on each side: segments are by local month, the days are cut exactly below.
        found = reader.segments(contract, (low - 1) * DAY, (until + 2) * DAY)
        if step is None:
            for segment in found:
                bars = _of_days(segment.bars(), low, until, reader.tz)
                if len(bars):
                    yield bars, segment.step
        else:
            hours = KINDS[contract.spec.asset].hours
            dates = (date.fromordinal(_EPOCH + d) for d in (low, until))
            sessions = reader.calendar.between(hours, *dates)
            if sessions:
                check_step(reader, contract, found, sessions, step)
                grid = Grid(sessions, step, reader.tz)
                on = on_grid(found, grid, reader.ticks_on(contract, low, until))
                if on is not None:
                    yield on[1], step
        low = until + 1


def _tick_days(
    reader: Reader, contracts: Sequence[Stored], days: tuple[int, int]
) -> dict[ContractSpec, list[int]]:
    """Return the days from one to another on which contracts have ticks."""
    kinds = reader.ticked()
    found = {
        c.spec: sorted(reader.tick_days(c, days[0] * DAY + _NOON, days[1] * DAY + _NOON))
        for c in contracts
        if c.spec.asset in kinds
    }
    return {spec: on for spec, on in found.items() if on}


def _days(reader: Reader, contract: Stored, days: Sequence[int]) -> Iterator[tuple[Ticks, Ns]]:
    """Yield the ticks of a contract, a day each; they have no length."""
    for day in days:
        for ticks in reader.ticks_on(contract, day, day):
            yield ticks, 0


def _year_end(day: int) -> int:
    return date(date.fromordinal(_EPOCH + day).year, 12, 31).toordinal() - _EPOCH


def _of_days(bars: Bars, first: int, last: int, tz: str) -> Bars:
    days = local_days(bars.starts, tz)
    inside = (days >= first) & (days <= last)
    return bars if bool(inside.all()) else bars.take(inside)
