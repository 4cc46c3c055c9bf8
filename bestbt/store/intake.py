"""Intake: from a file, folder or frame to what is stored of it, and the report of all the rest.

file ──recognise──> importer ──> sheet ──sanitise──> bars ──> one transaction ──> report
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import Engine, select

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused, StoreCorrupt, StoreUnreachable, UsageError
from bestbt.markets.india import India
from bestbt.store import importers, quarantine
from bestbt.store.beside import Beside
from bestbt.store.dialects import read
from bestbt.store.official import OfficialCloses
from bestbt.store.quality import QualityReport, told_once
from bestbt.store.reading import Reader, month_of
from bestbt.store.sanitise import Calendar, Sheet, local_days, sanitise
from bestbt.store.schema import Import, Quarantine
from bestbt.store.segments import Bars
from bestbt.store.sheet import Units
from bestbt.store.telling import Progress, Stage, Tell, saying, silent, stages, telling
from bestbt.store.tick_rules import TickSheet, sanitise_ticks
from bestbt.store.ticks import Ticks
from bestbt.store.writer import Importing, earlier_import
from bestbt.units import DAY, POINTS, SECOND, Ns

__all__ = ["How", "Intake", "units_of"]

_CONTRACTS = " contracts"  # what an import counts
_EPOCH = date(1970, 1, 1).toordinal()
_LEVEL = 0.05  # an index that is further than this from what is stored of that day is another one
_FAR = 0.40  # the same, from the nearest day within a month


def _unheard(unit: str) -> Tell:
    """Begin a stage of which nobody hears."""
    return silent


class _Waits(Exception):
    """A file shows too little by itself; those beside it have not been looked at yet."""


class How(NamedTuple):
    """How files are imported, as the caller said."""

    format: str | None = None
    symbol: str | None = None
    again: bool = False
    check_level: bool = True
    units: Mapping[str, Units | None] = MappingProxyType({"volume": None, "oi": None})
    options: Mapping[str, Any] = MappingProxyType({})


class Intake:
    """Puts files and frames into one store.

    Parameters
    ----------
    reader
        One that does not wait for a server that has gone: an import is told, or fails, now.
    importing
        Opens the transaction of one import.
    synthetic
        Whether what is stored of a symbol is made up.
    """

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        calendar: Calendar,
        market: India,
        importing: Callable[..., AbstractContextManager[Importing]],
        synthetic: Callable[..., bool],
    ) -> None:
        self.engine, self.reader, self.calendar, self.market = engine, reader, calendar, market
        self.importing, self.synthetic = importing, synthetic

    def file(self, file: Path, how: How, progress: Progress) -> QualityReport:
        """Import a file, or each file of a folder or archive; see `Store.import_file`."""
        if not os.path.exists(file):
            name = (
                str(file)
                if len(str(file)) < 250 and file.name.isprintable()
                else (
                    f"{str(file)[:60]!r}…"  # too long for any file, or with a NUL
                )
            )
            raise ImportRefused(f"{name} is not there; give the path of a data file.")
        source = importers.Source(file)
        if importers.is_many(source, how.format):
            return self._each(file, how, progress)
        kept = f"nothing of {file.name} is stored; import it again."
        with saying(lambda: kept), stages(progress, file.name, _CONTRACTS) as stage:
            return self._one(source, importers.Watch(source), how, stage, None, Beside(True))

    def frame(
        self,
        values: pd.DataFrame,
        name: str,
        how: How,
        columns: Mapping[str, str] | None,
        stamp: str,
        bar: str | None,
        dates: str | None,
        official_closes: bool,
    ) -> QualityReport:
        """Import a frame; see `Store.import_frame`."""
        said = f"{how.symbol} {sorted((columns or {}).items())} {stamp} {bar}"
        sha256 = _frame_sha256(values, said + (f" {dates}" if dates else ""))
        already = None if how.again else read(self.engine, lambda c: earlier_import(c, sha256))
        if already is not None:
            return self._imported_before(sha256, name)
        sheet = importers.frame(
            values,
            name,
            self.market,
            symbol=how.symbol,
            columns=columns,
            stamp=stamp,
            bar=bar,
            dates=dates,
            official_closes=official_closes,
        )
        sheet.report.file, sheet.report.sha256 = name, sha256
        return self._store(sheet, how, _unheard)

    def _each(self, file: Path, how: How, progress: Progress) -> QualityReport:
        """Import the files of a folder or an archive, each all or nothing; one that fails is named.

        The instruments of arrays come from a file that may lie among them.
        """
        name = file.absolute().name  # that of "." too
        given = how.options.get("instruments")
        parts, others = importers.parts(file, [] if given is None else [Path(given)])
        if not parts:
            what = "a folder" if file.is_dir() else "an archive"
            raise ImportRefused(
                f"{file} is {what}; give the path of a data file, or of {what} of such files. "
                f"None is in it: their names end in {', '.join(importers.KINDS)}."
            )
        reports: list[QualityReport] = []
        refused: dict[str, str] = {}
        specs: set[ContractSpec] = set()
        beside = Beside(complete=len(parts) == 1)
        waiting: list[importers.Part] = []

        def kept() -> str:
            return (
                f"{len(reports):,} of {len(parts):,} files of {name} are stored, each whole; "
                "import it again, and it goes on with the others."
            )

        telling_it = telling(progress, name, " files")
        with saying(kept), telling_it as tell, importers.Unpacker() as unpacker:
            for done, part in enumerate(chain(parts, waiting)):
                beside.complete |= done >= len(parts)
                tell(min(done, len(parts) - 1), len(parts), part.label)
                watch = importers.Watch(importers.Source(part.path, part.label))
                try:
                    with unpacker.source(part) as source:
                        report = self._one(source, watch, how, _unheard, specs, beside)
                        reports.append(report)
                        beside.add(report)
                except _Waits:
                    waiting.append(part)
                except StoreUnreachable:  # no other file can be stored either
                    raise
                except (UsageError, OSError) as error:
                    refused[part.label] = str(error)
            tell(len(parts), len(parts), "stored")
        if not reports:
            if len(refused) == 1:
                raise ImportRefused(next(iter(refused.values())))
            lines = [f"  {told_once(name, why)}" for name, why in list(refused.items())[:5]]
            lines += [f"  and {len(refused) - 5:,} more"] if len(refused) > 5 else []
            head = f"None of {len(refused):,} files of {name} could be stored."
            raise ImportRefused("\n".join([head, *lines]))
        if len(parts) == 1:
            return reports[0]
        merged = QualityReport.merged(name, reports, refused)
        merged.contracts = len(specs)
        if others:
            merged.remarks.append(
                f"{len(others):,} files of other kinds were left out: {', '.join(others[:3])}"
            )
        return merged

    def _one(
        self,
        source: importers.Source,
        watch: importers.Watch,
        how: How,
        stage: Stage,
        specs: set[ContractSpec] | None,
        beside: Beside,
    ) -> QualityReport:
        """Import one file; *specs* is told of its contracts.

        Raises
        ------
        _Waits
            It is to be judged with the files *beside* it, when all of them have been looked at.
        """
        name = importers.recognise(source, how.format)
        sha256 = _sha256(source.path)
        said = {**how.options, **{k: unit for k, unit in how.units.items() if unit}}
        if also := importers.identity(source, name, how.symbol, said):
            sha256 = hashlib.sha256(
                f"{sha256} {also}".encode("utf-8", "backslashreplace")
            ).hexdigest()
        already = None if how.again else read(self.engine, lambda c: earlier_import(c, sha256))
        if already is not None:
            return self._imported_before(sha256, source.name)
        stage(_CONTRACTS)(0, 0, "reading")
        source = replace(source, tell=stage("B"))

        def read_with(options: Mapping[str, Any]) -> importers.Read:
            try:
                return importers.read(
                    source, self.market, format=name, symbol=how.symbol, **options
                )
            except UsageError:
                watch.check()  # what is being written looks broken: say that instead
                raise

        sheet = read_with(how.options)
        if isinstance(sheet, Sheet) and (step := beside.step(sheet)) != sheet.step:
            sheet = read_with({**how.options, "bar": f"{step // SECOND}s"})
        if isinstance(sheet, Sheet):
            sheet.volume_in = how.units["volume"] or sheet.volume_in
            sheet.oi_in = how.units["oi"] or sheet.oi_in
            if beside.waits(sheet):
                raise _Waits
            sheet.beside = beside.lots(sheet)
        elif any(how.units.values()):
            raise ImportRefused(f"volume= and oi= are for rows of bars; {source.name} has its own.")
        sheet.report.file, sheet.report.sha256 = source.name, sha256
        return self._store(sheet, how, stage, watch, specs)

    def _store(
        self,
        read: importers.Read,
        how: How,
        stage: Stage,
        watch: importers.Watch | None = None,
        specs: set[ContractSpec] | None = None,
    ) -> QualityReport:
        """Store what was read; *specs* is told of its contracts."""
        report = read.report
        file, sha256 = report.file, report.sha256
        synthetic = isinstance(read, importers.Exported) and read.synthetic
        given = 0  # lots
        with self.importing(
            file, sha256=sha256, format=report.format, again=how.again, synthetic=synthetic
        ) as tx:
            if tx.already is not None:  # another process was quicker
                return self._imported_before(sha256, file)
            closes = OfficialCloses(self.reader, tx, report, self.synthetic)
            if isinstance(read, importers.Closes):
                days = closes.write_all(read, file, how.check_level)
                given = sum(tx.lots(*lot) for lot in read.lots if not self.synthetic(lot.symbol))
                report.add("noted", "lot-given", given)
            elif isinstance(read, TickSheet):
                days = self._write_ticks(tx, closes, read, how, stage(_CONTRACTS))
            else:
                days = self._write_bars(tx, closes, read, how, stage)
            if not days and not given:
                raise ImportRefused(f"No row of {file} could be stored.\n{report}")
            report.add("noted", "replaced", tx.replaced)
            report.add("noted", "tick-known", tx.known)
            if days:
                report.start, report.end = min(days), max(days)
            if isinstance(read, Sheet | TickSheet):
                report.count_bounded()
            tx.report = report
            if watch is not None:
                watch.check()
        if specs is not None:
            specs |= closes.contracts
        return report

    def _write_ticks(
        self,
        tx: Importing,
        official: OfficialCloses,
        sheet: TickSheet,
        how: How,
        tell: Tell,
    ) -> list[str]:
        """Write ticks as they come; return the first and last time of each contract."""
        times: list[str] = []
        for done, (spec, ticks) in enumerate(sanitise_ticks(sheet, self.calendar)):
            times += self._write_some(tx, official, spec, ticks, sheet.report, how)
            tell(done + 1, len(sheet.specs), str(spec))
        return times

    def _write_some(
        self,
        tx: Importing,
        official: OfficialCloses,
        spec: ContractSpec,
        ticks: Ticks,
        report: QualityReport,
        how: How,
    ) -> list[str]:
        """Write ticks of one contract; return their first and last time."""
        if how.check_level and spec.expiry is None:
            self._check_level(spec, ticks.times, np.repeat(ticks.price, POINTS), how.symbol)
        columns = (ticks.volume, ticks.oi, ticks.bid, ticks.ask)
        try:
            tx.write_ticks(spec, ticks.times, ticks.price, *columns, totals=ticks.totals)
        except UsageError as error:  # of another source than those stored
            raise ImportRefused(f"{report.file}: {error}") from None
        official.contracts.add(spec)
        report.tell_stored(spec, len(ticks))
        return [self._local(int(ticks.times[i])) for i in (0, -1)]

    def _write_bars(
        self,
        tx: Importing,
        official: OfficialCloses,
        read: Sheet | importers.Exported,
        how: How,
        stage: Stage,
    ) -> list[str]:
        """Write bars as they come, and of an export ticks; return each contract's outer times."""
        report, total, closing = read.report, 0, False
        file = report.file
        rows: Iterator[tuple[ContractSpec, Bars | Ticks, Ns]]
        # The rules are all applied before the first contract comes.
        tell = cache(lambda: stage(_CONTRACTS))
        if isinstance(read, Sheet):
            rules = stage(" rules")
            with self.engine.connect() as connection:
                read.admitted = quarantine.admitted(connection)
            total, closing, step = len(read.specs), read.official, read.step
            rows = ((spec, live, step) for spec, live in sanitise(read, self.calendar, rules))
        else:
            total, rows = read.contracts, read.rows
        times: list[str] = []
        contracts: set[ContractSpec] = set()
        for spec, live, step in rows:
            if isinstance(live, Ticks):
                times += self._write_some(tx, official, spec, live, report, how)
                contracts.add(spec)
                report.contracts = len(contracts)
                tell()(len(contracts), total, str(spec))
                continue
            if how.check_level and spec.expiry is None:
                self._check_level(spec, live.starts, live.points, how.symbol)
            closes = closing and spec.asset == "index"
            kept = self._beside_finer(spec, live, report, closes) if step == DAY else live
            columns = (kept.volume, kept.oi, kept.bid, kept.ask)
            tx.write(spec, kept.starts, kept.points, *columns, step=step)
            official.contracts.add(spec)
            contracts.add(spec)
            stored = live if closes else kept
            if len(stored):
                times += [self._local(int(stored.starts[i])) for i in (0, -1)]
            name = f"{spec.symbol} {spec.asset}"
            report.symbols[name] = report.symbols.get(name, 0) + len(kept)
            report.stored += len(stored)
            report.contracts = len(contracts)
            if closes:
                for close in self._closes_of(spec, live):
                    official.write(close, file, how.check_level)
            tell()(len(contracts), total, str(spec))
        if isinstance(read, importers.Exported):
            for close in read.closes:
                official.put(close, file)
            for settlement in read.settlements:
                official.settle(settlement, file)
        tell()(len(contracts), len(contracts), "stored")
        return times

    def _beside_finer(
        self, spec: ContractSpec, live: Bars, report: QualityReport, closes: bool
    ) -> Bars:
        """Leave out the candles of months of which the store has finer bars."""
        found = self.reader.contract(spec)
        if found is None:
            return live
        steps = self.reader.steps(found)
        finer = np.array(
            [steps.get(month_of(int(t), self.market.tz), DAY) < DAY for t in live.starts],
            dtype=bool,
        )
        if not finer.any():
            return live
        days = [f"{spec} {self._local(int(t))[:10]}" for t in live.starts[finer]]
        report.add("noted" if closes else "quarantined", "finer-stored", len(days), days)
        return live.take(~finer)

    def _closes_of(self, spec: ContractSpec, live: Bars) -> list[importers.Close]:
        days = local_days(live.starts, self.market.tz).tolist()
        last = live.points[POINTS - 1 :: POINTS].tolist()
        return [
            importers.Close(0, spec.symbol, date.fromordinal(_EPOCH + day), raw, counts=False)
            for day, raw in zip(days, last, strict=True)
        ]

    def _imported_before(self, sha256: str, name: str) -> QualityReport:
        table: Any = Import.__table__
        kept = select(Quarantine.quarantine_id).where(Quarantine.import_id == table.c.import_id)
        asked = select(table.c.report, table.c.imported_at, kept.exists().label("kept"))
        newest = asked.where(table.c.sha256 == sha256).order_by(table.c.import_id.desc())
        row = read(self.engine, lambda connection: connection.execute(newest).first())
        if row is None:
            raise StoreCorrupt(
                f"The record of the import of {name} has gone; open the store again."
            )
        first = QualityReport.from_json(row.report)
        when = self._local(row.imported_at)
        report = QualityReport(
            name, first.format, sha256, first.rows, already=when, judged=first.judged
        )
        aside = sum(first.quarantined.values())
        if aside and not row.kept:  # by a version that kept none
            report.remarks.append(
                f"{aside:,} of its rows were set aside and are not in quarantine: import it with "
                "again=True to look at them"
            )
        return report

    def _check_level(self, spec: ContractSpec, starts: Any, points: Any, given: str | None) -> None:
        """Refuse an index whose level cannot be that of the same index in the store."""
        stored = self.reader.contract(spec)
        if stored is None or stored.first is None or stored.last is None:
            return
        month = 31 * DAY
        low, high = int(starts[0]) - month, int(starts[-1]) + month
        if stored.last < low or stored.first > high:
            return
        try:
            old = [s.bars() for s in self.reader.segments(stored, low, high)]
        except StoreCorrupt:  # whoever writes that month is told, or asked to mend it
            return
        if not old:
            return
        old_starts = np.concatenate([b.starts for b in old])
        old_close = np.concatenate([b.points[POINTS - 1 :: POINTS] for b in old])
        new_close = points[POINTS - 1 :: POINTS]
        both, here, there = np.intersect1d(starts, old_starts, return_indices=True)
        if len(both):
            ours, theirs = np.median(new_close[here]), np.median(old_close[there])
            limit = _LEVEL
        else:
            at = int(np.argmin(np.abs(old_starts - starts[0])))
            ours, theirs, limit = new_close[0], old_close[at], _FAR
        if abs(ours / theirs - 1) > limit:
            fix = "the name given is wrong" if given else 'name it, with `symbol="…"`'
            raise ImportRefused(
                f"The file's {spec.symbol} is at {ours / spec.scale:,.2f} where the store has "
                f"{theirs / spec.scale:,.2f}: it looks like another index. If so, {fix}; if "
                "the store is wrong, import with `check_level=False`."
            )

    def _local(self, time: Ns) -> str:
        stamp = pd.Timestamp(time, tz="UTC").tz_convert(self.market.tz)
        return f"{stamp:%Y-%m-%d %H:%M}"


def units_of(name: str, given: Any) -> Units | None:
    """Return what a column is counted in, as the caller said; refuse what is no unit."""
    if given not in (None, "lots", "units"):
        raise ImportRefused(f'{name}={given!r} was given; it is "lots" or "units".')
    units: Units | None = given
    return units


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder that an import may read."""
    return (file for file in folder.rglob("*") if file.suffix in (".csv", ".zip"))


def _frame_sha256(frame: pd.DataFrame, given: str) -> str:
    """Return a hash of a frame's values and of what was said about them."""
    found = hashlib.sha256(given.encode("utf-8", "backslashreplace"))
    plain = frame.reset_index(allow_duplicates=True)
    for place, name in enumerate(plain.columns):
        column = plain.iloc[:, place]
        if column.dtype == object:  # values of any kind, that need not have a hash
            column = column.map(repr)
        values = pd.util.hash_pandas_object(column, index=False)
        found.update(f"\n{name}\n".encode() + values.to_numpy().tobytes())
    return found.hexdigest()


def _sha256(file: Path) -> str:
    if file.is_dir():
        names = sorted(f.relative_to(file).as_posix() for f in _files(file))
        lines = (f"{name} {_sha256(file / name)}\n" for name in names)
        return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
