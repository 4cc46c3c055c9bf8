"""Store: open it, put files in, see what it covers, and read a run's prices from it."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from sqlalchemy import Engine, select

from bestbt.engine.grid import Grid, duration
from bestbt.engine.ports import ContractSpec
from bestbt.errors import (
    ContractNotFound,
    DataGap,
    ImportRefused,
    StoreCorrupt,
    StoreUnreachable,
    UsageError,
)
from bestbt.markets.india import INDIA, India
from bestbt.markets.symbols import Parsed, parse_symbol
from bestbt.progress import progress_bar
from bestbt.store import importers, quarantine
from bestbt.store.copying import copy
from bestbt.store.dialects import connect, locate, read, shown, writing
from bestbt.store.export import write_export
from bestbt.store.feed import Plan, StoreFeed, check_step, on_grid, plan, union_sessions
from bestbt.store.official import OfficialCloses
from bestbt.store.plans import allowed_memory, parse_loading
from bestbt.store.quality import QualityReport
from bestbt.store.reading import Reader, Stored, month_of
from bestbt.store.run_writer import RunWriter
from bestbt.store.runs import StoredRun, delete_run, list_runs, open_run
from bestbt.store.sanitise import Calendar, Sheet, local_days, sanitise
from bestbt.store.schema import KINDS, Import
from bestbt.store.segments import Bars
from bestbt.store.sheet import Units
from bestbt.store.slabs import Slabs
from bestbt.store.tick_rules import TickSheet, sanitise_ticks
from bestbt.store.ticks import Ticks
from bestbt.store.verifying import Verified, verify
from bestbt.store.versions import look, make
from bestbt.store.writer import Importing, earlier_import
from bestbt.units import DAY, MINUTE, POINTS, SECOND, Ns

__all__ = ["Store"]

Tell: TypeAlias = Callable[[int, int, str], object]
Progress: TypeAlias = bool | Tell
Day: TypeAlias = date | str

_EPOCH = date(1970, 1, 1).toordinal()
_PLANS = 16  # grids kept: a cell is run again and again over the same range
_LONG_AGO = date(2000, 1, 1)  # an exchange's name is read without a date: any expiry will do
_LEVEL = 0.05  # an index that is further than this from what is stored of that day is another one
_SOURCE = 400  # characters that are kept of where a close comes from
_FAR = 0.40  # the same, from the nearest day within a month


class _How(NamedTuple):
    """How files are imported, as the caller said."""

    format: str | None
    symbol: str | None
    again: bool
    check_level: bool
    units: Mapping[str, Units | None]  # of volume and oi
    options: dict[str, Any]


class Store:
    """Prices, imports and runs in one database; any thread may use it.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.open(Path(tempfile.mkdtemp()) / "prices.sqlite")
    >>> store
    <Store prices.sqlite, empty>
    >>> store.close()
    """

    def __init__(
        self, engine: Engine, market: India = INDIA, memory: int | str | None = None
    ) -> None:
        self.engine = engine
        self.market = market
        self.slabs = Slabs(allowed_memory(memory))
        self._calendar = Calendar(market)
        self._reader = Reader(engine, self._calendar)
        self._at_once = Reader(engine, self._calendar, patient=False)  # told or failed, now
        self._plans: OrderedDict[tuple[Any, ...], Plan] = OrderedDict()
        self._lock = threading.Lock()
        # A store that is let go of without close() still gives its connections back.
        weakref.finalize(self, engine.dispose)

    @classmethod
    def open(
        cls, url_or_path: str | os.PathLike[str] | None = None, memory: int | str | None = None
    ) -> Store:
        """Open a store, made if it is not there.

        Parameters
        ----------
        url_or_path
            A path or ``sqlite:///path`` is a file, ``postgresql://USER@HOST/DATABASE`` a server's
            database; the password may stand in it, in ``PGPASSWORD`` or in ``~/.pgpass``. None:
            what the variable ``BESTBT_STORE`` says, else ``bestbt.sqlite`` in the user's data
            folder.
        memory
            For decoded prices, such as `"2GB"`, or bytes. None: what ``BESTBT_MEMORY`` says, else
            1 GB. What a run holds itself is not counted.

        Raises
        ------
        UsageError
            For a folder, a file that is no store, a server that refuses, or tables of another
            version.
        StoreUnreachable
            For a server that does not answer.
        StoreCorrupt
            For a damaged file.
        """
        engine = connect(locate(url_or_path))
        try:
            make(engine)
            look(engine)
            return cls(engine, memory=memory)
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Let go of the file and of all decoded prices."""
        self.slabs.clear()
        self.engine.dispose()

    def __repr__(self) -> str:
        name = shown(self.engine.url)
        if "://" not in name:
            name = Path(name).name
        try:
            symbols = self._at_once.symbols()
        except StoreUnreachable:
            return f"<Store {name}, out of reach>"
        return f"<Store {name}, {', '.join(symbols) if symbols else 'empty'}>"

    # --- putting data in -----------------------------------------------------------------------

    @contextmanager
    def importing(
        self,
        source: str,
        *,
        sha256: str | None = None,
        format: str = "",
        synthetic: bool = False,
        again: bool = False,
    ) -> Iterator[Importing]:
        """Open one import: all its writes are stored when the block ends, or none.

        Parameters
        ----------
        source
            Where the data come from, such as a file's name.
        sha256
            Of the content. When it was imported before, `already` says when, and the import's
            writes do nothing (unless *again*).
        format
            What it was read as.
        synthetic
            Mark all its contracts as made up.

        Examples
        --------
        >>> import tempfile
        >>> from bestbt.engine.grid import utc_ns
        >>> store = Store.open(Path(tempfile.mkdtemp()) / "prices.sqlite")
        >>> nine = utc_ns(datetime.fromisoformat("2024-01-01T09:15+05:30"))
        >>> with store.importing("by hand", synthetic=True) as tx:
        ...     tx.write(ContractSpec("index", "NIFTY"), np.array([nine]), np.array([1, 1, 3, 2]))
        1
        >>> store.synthetic("NIFTY")
        True
        >>> store.close()
        """
        with writing(self.engine).begin() as connection:
            already = None if again else earlier_import(connection, sha256)
            tx = Importing(connection, self._calendar, synthetic, already)
            yield tx
            tx.finish(source, sha256, format)

    def import_file(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        symbol: str | None = None,
        progress: Progress = True,
        **options: Any,
    ) -> QualityReport:
        """Import a market data file, all of it or nothing, and report on its quality.

        Parameters
        ----------
        path
            The file; or a folder or zip archive, whose files are imported one by one, each all or
            nothing. What a file is, is seen from its content.
        format
            Name of a format, to leave no doubt: `"long-bars"` (minute bars with a symbol column,
            Parquet or CSV, gzipped or not), `"gdfl-minutes"`, `"kite-candles"`,
            `"upstox-candles"`, `"fyers-candles"`, `"dhan-rolling"`, `"tradingview"` (exported
            charts), `"daily-candles"`, `"lean"` (a zip or a folder of zips), `"bestbt-export"`,
            `"chain-snapshots"` (a folder or archive of pages), `"index-closes"` (official closes by
            day, CSV), `"end-of-day"` (the exchange's bhavcopy or market activity report: settlement
            prices, closes of expiry days; CSV or zip), `"depth-ticks"` (a broker's ticks, a Python
            dict a line), `"gdfl-seconds"`, `"truedata-seconds"`.
        symbol
            Name of the instrument, for a file of one that names none or a wrong one.
        progress
            True: a bar in the terminal or notebook. A function is called with
            ``(done, total, text)`` instead, in contracts of a file, or in files.
        **options
            `columns={"open": "LTP"}` names columns, `header=[…]` all columns of a text that has no
            header; `official_closes=False` keeps the closes of daily candles out of settlement;
            `stamp="end"` says that times are the ends of bars (default: `"start"`, unless there is
            no doubt); `again=True` imports a file that was imported before; `check_level=False`
            stores an index whose level is far from what is stored of it; `day="2025-11-14"` says of
            which day a market activity report is; `tz="UTC"` says whose clock the times show
            (default: the exchange's, or what the file says); `volume="lots"` and `oi="lots"` say
            that these are counted in lots (`"units"`: that they are not, whatever they look like);
            `volumes="total"` or `"each"` says of ticks what their volume is (default: seen).
            A vendor's format may have others: see "Importing your data" in the documentation.

        Returns
        -------
        QualityReport
            Each row read is in it: stored, or quarantined by reason. Of a folder or archive it is
            one for all files, and `refused` names those of which nothing was stored.

        Raises
        ------
        ImportRefused
            The file cannot be understood, changed meanwhile, or has no row that could be stored:
            nothing was. Of a folder or archive: none of its files could be.
        """
        file = Path(path).expanduser()
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
        how = _How(
            format,
            symbol,
            bool(options.pop("again", False)),
            bool(options.pop("check_level", True)),
            {name: _units(name, options.pop(name, None)) for name in ("volume", "oi")},
            options,
        )
        if importers.is_many(source, format):
            return self._import_each(file, how, progress)
        with _telling(progress, file.name, " contracts") as tell:
            return self._import_one(source, importers.Watch(source), how, tell)

    def _import_each(self, file: Path, how: _How, progress: Progress) -> QualityReport:
        """Import the files of a folder or an archive, each all or nothing; one that fails is named.

        The instruments of arrays come from a file that may lie among them.
        """
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
        with _telling(progress, file.name, " files") as tell, importers.Unpacker() as unpacker:
            for done, part in enumerate(parts):
                tell(done, len(parts), part.label)
                watch = importers.Watch(importers.Source(part.path, part.label))
                try:
                    with unpacker.source(part) as source:
                        reports.append(self._import_one(source, watch, how, _silent, specs))
                except (UsageError, OSError) as error:
                    refused[part.label] = str(error)
            tell(len(parts), len(parts), "stored")
        if not reports:
            if len(refused) == 1:
                raise ImportRefused(next(iter(refused.values())))
            lines = [f"  {name}: {why}" for name, why in list(refused.items())[:5]]
            lines += [f"  and {len(refused) - 5:,} more"] if len(refused) > 5 else []
            head = f"None of {len(refused):,} files of {file.name} could be stored."
            raise ImportRefused("\n".join([head, *lines]))
        if len(parts) == 1:
            return reports[0]
        merged = QualityReport.merged(file.name, reports, refused)
        merged.contracts = len(specs)
        if others:
            merged.remarks.append(
                f"{len(others):,} files of other kinds were left out: {', '.join(others[:3])}"
            )
        return merged

    def _import_one(
        self,
        source: importers.Source,
        watch: importers.Watch,
        how: _How,
        tell: Tell,
        specs: set[ContractSpec] | None = None,
    ) -> QualityReport:
        """Import one file; *specs* is told of its contracts."""
        name = importers.recognise(source, how.format)
        sha256 = _sha256(source.path)
        if also := importers.identity(source, name, how.symbol, how.options):
            sha256 = hashlib.sha256(f"{sha256} {also}".encode()).hexdigest()
        already = None if how.again else read(self.engine, lambda c: earlier_import(c, sha256))
        if already is not None:
            return self._imported_before(sha256, source.name)
        tell(0, 0, "reading")
        try:
            sheet = importers.read(
                source, self.market, format=name, symbol=how.symbol, **how.options
            )
        except UsageError:
            watch.check()  # what is being written looks broken: say that instead
            raise
        if isinstance(sheet, Sheet):
            sheet.volume_in = how.units["volume"] or sheet.volume_in
            sheet.oi_in = how.units["oi"] or sheet.oi_in
        elif any(how.units.values()):
            raise ImportRefused(f"volume= and oi= are for rows of bars; {source.name} has its own.")
        sheet.report.file, sheet.report.sha256 = source.name, sha256
        return self._import(sheet, how, tell, watch, specs)

    def import_frame(
        self,
        frame: pd.DataFrame,
        name: str = "frame",
        symbol: str | None = None,
        columns: Mapping[str, str] | None = None,
        stamp: str = "start",
        bar: str | None = None,
        *,
        again: bool = False,
        check_level: bool = True,
        official_closes: bool = True,
    ) -> QualityReport:
        """Import bars from a frame: the rules, the report and all-or-nothing are those of a file.

        Parameters
        ----------
        frame
            One row a bar, its columns named as in a file; a `DatetimeIndex`, or an index with a
            name, is a column too. Times with a zone are moved to the exchange's, those without
            one are its local time. Rows without a time of day are daily candles.
        name
            What the report and `imports()` call it.
        symbol
            Name of the only instrument in it, in place of what its rows say.
        columns
            Names of columns that are not understood: ``{"close": "LTP"}``.
        stamp
            `"start"` or `"end"`: what of its bar a time names.
        bar
            Length of a bar, such as `"5min"`; default: seen from the rows.
        again
            Import what was imported before: the same values with the same arguments.
        check_level
            Refuse an index whose level is far from what is stored of it.
        official_closes
            Whether the closes of an index by day are its official closes too.

        Returns
        -------
        QualityReport
            Each row is in it: stored, or quarantined by reason.

        Raises
        ------
        ImportRefused
            It cannot be understood, or none of its rows could be stored. Nothing was stored.

        Examples
        --------
        >>> import tempfile
        >>> store = Store.open(Path(tempfile.mkdtemp()) / "prices.sqlite")
        >>> times = pd.date_range("2024-01-01 09:15", periods=2, freq="min")
        >>> prices = {"open": [1.0, 2.0], "high": [2.0, 3.0], "low": 1.0, "close": [2.0, 3.0]}
        >>> store.import_frame(pd.DataFrame(prices, index=times), symbol="NIFTY").stored
        2
        >>> store.close()
        """
        sha256 = _frame_sha256(frame, f"{symbol} {sorted((columns or {}).items())} {stamp} {bar}")
        already = None if again else read(self.engine, lambda c: earlier_import(c, sha256))
        if already is not None:
            return self._imported_before(sha256, name)
        sheet = importers.frame(
            frame,
            name,
            self.market,
            symbol=symbol,
            columns=columns,
            stamp=stamp,
            bar=bar,
            official_closes=official_closes,
        )
        sheet.report.file, sheet.report.sha256 = name, sha256
        how = _How(None, symbol, again, check_level, {"volume": None, "oi": None}, {})
        return self._import(sheet, how, _silent)

    def _import(
        self,
        read: importers.Read,
        how: _How,
        tell: Tell,
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
            closes = OfficialCloses(self._at_once, tx, report, self.synthetic)
            if isinstance(read, importers.Closes):
                days = closes.write_all(read, file, how.check_level)
                given = sum(tx.lots(*lot) for lot in read.lots if not self.synthetic(lot.symbol))
                report.add("noted", "lot-given", given)
            elif isinstance(read, TickSheet):
                days = self._write_ticks(tx, closes, read, how, tell)
            else:
                days = self._write_bars(tx, closes, read, how, tell)
            if not days and not given:
                raise ImportRefused(f"No row of {file} could be stored.\n{report}")
            report.add("noted", "replaced", tx.replaced)
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
        how: _How,
        tell: Tell,
    ) -> list[str]:
        """Write ticks as they come; return the first and last time of each contract."""
        times: list[str] = []
        for done, (spec, ticks) in enumerate(sanitise_ticks(sheet, self._calendar)):
            if how.check_level and spec.expiry is None:
                points = np.repeat(ticks.price, POINTS)
                self._check_level(spec, ticks.times, points, how.symbol)
            columns = (ticks.volume, ticks.oi, ticks.bid, ticks.ask)
            try:
                tx.write_ticks(spec, ticks.times, ticks.price, *columns, totals=ticks.totals)
            except UsageError as error:  # of another source than those stored
                raise ImportRefused(f"{sheet.report.file}: {error}") from None
            times += [self._local(int(ticks.times[i])) for i in (0, -1)]
            official.contracts.add(spec)
            sheet.report.tell_stored(spec, len(ticks))
            tell(done + 1, len(sheet.specs), str(spec))
        sheet.report.add("noted", "tick-known", tx.known)
        return times

    def _write_bars(
        self,
        tx: Importing,
        official: OfficialCloses,
        read: Sheet | importers.Exported,
        how: _How,
        tell: Tell,
    ) -> list[str]:
        """Write bars as they come; return the first and last time of each contract."""
        report, total, closing = read.report, 0, False
        file = report.file
        bars: Iterator[tuple[ContractSpec, Bars, Ns]]
        if isinstance(read, Sheet):
            with self.engine.connect() as connection:
                read.admitted = quarantine.admitted(connection)
            total, closing, step = len(read.specs), read.official, read.step
            bars = ((spec, live, step) for spec, live in sanitise(read, self._calendar))
        else:
            bars = read.bars
        times: list[str] = []
        contracts: set[ContractSpec] = set()
        for spec, live, step in bars:
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
            tell(len(contracts), total, str(spec))
        if isinstance(read, importers.Exported):
            for close in read.closes:
                official.put(close, file)
            for settlement in read.settlements:
                official.settle(settlement, file)
        tell(len(contracts), len(contracts), "stored")
        return times

    def _beside_finer(
        self, spec: ContractSpec, live: Bars, report: QualityReport, closes: bool
    ) -> Bars:
        """Leave out the candles of months of which the store has finer bars."""
        found = self._at_once.contract(spec)
        if found is None:
            return live
        steps = self._at_once.steps(found)
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
        asked = select(table.c.report, table.c.imported_at).where(table.c.sha256 == sha256)
        newest = asked.order_by(table.c.import_id.desc())
        row = read(self.engine, lambda connection: connection.execute(newest).first())
        if row is None:
            raise StoreCorrupt(
                f"The record of the import of {name} has gone; open the store again."
            )
        first = QualityReport.from_json(row.report)
        when = self._local(row.imported_at)
        return QualityReport(name, first.format, sha256, first.rows, already=when)

    def _check_level(self, spec: ContractSpec, starts: Any, points: Any, given: str | None) -> None:
        """Refuse an index whose level cannot be that of the same index in the store."""
        stored = self._at_once.contract(spec)
        if stored is None or stored.first is None or stored.last is None:
            return
        month = 31 * DAY
        low, high = int(starts[0]) - month, int(starts[-1]) + month
        if stored.last < low or stored.first > high:
            return
        old = [s.bars() for s in self._at_once.segments(stored, low, high)]
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

    def imports(self) -> pd.DataFrame:
        """Return imported files, oldest first, each with its quality report."""
        table: Any = Import.__table__
        asked = select(table).order_by(table.c.import_id)
        rows = read(self.engine, lambda connection: connection.execute(asked).mappings().all())
        return pd.DataFrame(
            [
                {
                    "file": r["file_name"],
                    "format": r["format"],
                    "rows": r["rows"],
                    "sha256": r["sha256"],
                    "imported_at": self._stamp(r["imported_at"]),
                    "synthetic": r["synthetic"],
                    "report": QualityReport.from_json(r["report"]),
                }
                for r in rows
            ],
            columns=["file", "format", "rows", "sha256", "imported_at", "synthetic", "report"],
        )

    # --- what was not stored -------------------------------------------------------------------

    def quarantine(self, import_id: int | None = None, reason: str | None = None) -> pd.DataFrame:
        """Return the rows that imports set aside, in the order in which they came.

        Of each reason an import keeps the first 10,000; its report counts them all.

        Parameters
        ----------
        import_id
            Of one import only.
        reason
            Of one rule only, such as `"spike"`.

        Returns
        -------
        DataFrame
            id, import_id, file, line, reason, rows (how many it stands for: a page of a chain is
            one), contract, time (of the bar's start, exchange local), open, high, low, close,
            volume, oi, bid, ask (in currency; NaN where unknown), text (of the file), readmitted
            (when it was taken back, NaT if it was not).
        """
        tz = self.market.tz
        return read(self.engine, lambda c: quarantine.listing(c, import_id, reason, tz))

    def readmit(
        self, ids: int | Iterable[int] | None = None, *, reason: str | None = None
    ) -> QualityReport:
        """Store quarantined rows after all: what they were judged by no longer counts.

        They are live and traded like any other, marked in `quarantine()`, and no later import
        judges them again. A row without prices, or on no bar of a session, stays where it is.

        Parameters
        ----------
        ids
            Their numbers in `quarantine()`; default: all.
        reason
            Those of one rule only.

        Returns
        -------
        QualityReport
            Of the rows that were in quarantine: stored, or what keeps them there.
        """
        if ids is None and reason is None:
            raise UsageError(
                'Say which rows: readmit([17, 18]) by `store.quarantine()["id"]`, or '
                'readmit(reason="spike").'
            )
        wanted = None if ids is None else [ids] if isinstance(ids, int) else [int(i) for i in ids]
        with writing(self.engine).begin() as connection:
            waiting, before = quarantine.pending(connection, wanted, reason)
            files = sorted({row["file_name"] for row in waiting})
            name = files[0] if len(files) == 1 else f"{len(files)} files"
            report = QualityReport(name, "re-admitted", rows=sum(row["rows"] for row in waiting))
            report.add("noted", "readmitted-before", before)
            tx = Importing(connection, self._calendar, synthetic=False, already=None)
            for sheet in quarantine.sheets(waiting, report):
                for spec, live in sanitise(sheet, self._calendar):
                    columns = (live.volume, live.oi, live.bid, live.ask)
                    tx.write(spec, live.starts, live.points, *columns, step=sheet.step)
                    report.tell_stored(spec, len(live))
                quarantine.mark(connection, sheet.rows.line.tolist())
            if report.stored:
                report.add("noted", "replaced", tx.replaced)
                report.aside.clear()  # they are in quarantine already
                tx.report = report
                tx.finish(name, None, report.format)
        return report

    # --- what there is -------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether no price is stored."""
        return not self._reader.symbols()

    def coverage(self) -> pd.DataFrame:
        """Return what is stored: symbol, kind, start, end, bar, contracts, rows, synthetic.

        *start* and *end* are the first and last bar's start, exchange local time; *rows* counts
        live bars. Ticks have the bar `tick`.
        """
        columns = ["symbol", "kind", "start", "end", "bar", "contracts", "rows", "synthetic"]
        rows = [
            {
                "symbol": r["symbol"],
                "kind": kind.asset,
                "start": self._stamp(r["first"]),
                "end": self._stamp(r["last"]),
                "bar": _bar(r["step"]),
                "contracts": r["contracts"],
                "rows": int(r["rows"]),
                "synthetic": bool(r["synthetic"]),
            }
            for kind in KINDS.values()
            for r in self._reader.coverage(kind)
        ]
        return pd.DataFrame(rows, columns=columns)

    def closes(self, symbol: str) -> pd.Series[float]:
        """Return the stored official closes of an index by day, in currency."""
        found = sorted(self._reader.closes(symbol).items())
        days = pd.DatetimeIndex([day for day, _ in found], name="day")
        return pd.Series([raw / 100 for _, raw in found], days, dtype=float, name=symbol)

    def settlements(self, symbol: str) -> pd.DataFrame:
        """Return the stored settlement prices of a symbol's futures: day by expiry, in currency."""
        found = self._reader.settlements(symbol)
        rows = [(day, expiry, raw / 100) for (expiry, day), raw in found.items()]
        table = pd.DataFrame(rows, columns=["day", "expiry", "price"])
        for name in ("day", "expiry"):
            table[name] = pd.to_datetime(table[name])
        return table.pivot(index="day", columns="expiry", values="price")

    def bounds(self, symbol: str) -> tuple[date, date]:
        """First and last day with a price of an index or equity; `ContractNotFound` if none."""
        found = self._find(symbol)
        days = local_days(np.array([found.first, found.last], dtype=np.int64), self.market.tz)
        return date.fromordinal(_EPOCH + int(days[0])), date.fromordinal(_EPOCH + int(days[1]))

    def synthetic(self, *symbols: str) -> bool:
        """Whether any stored contract of these symbols (default: of all) is made up."""
        return any(
            row["synthetic"]
            for kind in KINDS.values()
            for row in self._reader.coverage(kind)
            if not symbols or row["symbol"] in symbols
        )

    def fingerprint(self, symbols: Sequence[str], start: Day, end: Day) -> str:
        """SHA-256 of the stored data of symbols, by calendar month; the same in every store.

        It changes when a price, a contract's terms, an official close or a settlement price of
        those months does.
        """
        first, last = _day(start), _day(end)
        low, high = ((d.toordinal() - _EPOCH) * DAY for d in (first, last))
        found = hashlib.sha256()
        for kind in KINDS.values():
            for line in self._reader.digests(kind, symbols, low, high):
                found.update(f"{kind.asset} {line}\n".encode())
        for symbol in sorted(symbols):
            for day, close in sorted(self._reader.closes(symbol).items()):
                if first <= day <= last:
                    found.update(f"close {symbol} {day} {close}\n".encode())
            for (expiry, day), price in self._reader.settlements(symbol).items():
                if first <= day <= last:
                    found.update(f"settlement {symbol} {expiry} {day} {price}\n".encode())
        return found.hexdigest()

    def prices(
        self,
        symbol: str,
        start: Day | None = None,
        end: Day | None = None,
        bar: str | None = "1min",
    ) -> pd.DataFrame:
        """Return the live bars of one contract, or its ticks, for looking.

        Parameters
        ----------
        symbol
            `NIFTY`, `NIFTY 2024-02-29 22000 CE`, `NIFTY 2024-02-29 FUT`, or an exchange's name.
        start, end
            Days, both included; default: all that is stored.
        bar
            Length of the bars returned, a multiple of those stored. None: the ticks as they are.

        Returns
        -------
        DataFrame
            open, high, low, close in currency; volume, oi, bid, ask where stored. Indexed by the
            bar's start, exchange local time. Of ticks: price (NaN before the day's first trade),
            volume (each tick's own) and the rest.
        """
        found = self._find(symbol)
        low, high = self._outer(found)
        first = max(_day(start), low) if start is not None else low
        last = min(_day(end), high) if end is not None else high
        if bar is None:
            return self._ticks(found, first, last)
        step = duration(bar)
        hours = KINDS[found.spec.asset].hours
        sessions = self._calendar.between(hours, first, last) if first <= last else []
        if not sessions:
            raise DataGap(f"{symbol} is stored from {low} to {high}; ask for days inside.")
        grid = Grid(union_sessions(sessions, ()), step, self.market.tz)
        segments = self._reader.segments(found, grid.time(0), grid.time(grid.n - 1))
        ticks = self._reader.ticks(found, grid.time(0), grid.time(grid.n - 1))
        check_step(self._reader, found, segments, sessions, step)
        bars = on_grid(segments, grid, ticks)
        table: dict[str, Any] = {}
        names = ("open", "high", "low", "close")
        if bars is None:
            table = dict.fromkeys(names, np.empty(0))
            starts = np.empty(0, dtype=np.int64)
        else:
            starts = bars[1].starts
            quads = bars[1].points.reshape(-1, POINTS) / found.spec.scale
            columns = (quads[:, 0], quads.max(axis=1), quads.min(axis=1), quads[:, 3])
            table = dict(zip(names, columns, strict=True))
            table |= _beside(bars[1], found.spec.scale)
        return self._frame(table, starts)

    def _ticks(self, found: Stored, first: date, last: date) -> pd.DataFrame:
        """Return the ticks of a contract between two days, both included."""
        days = self._reader.ticks_on(found, first.toordinal() - _EPOCH, last.toordinal() - _EPOCH)
        if not days:
            raise DataGap(
                f"{found.spec} has no ticks from {first} to {last}; "
                '`store.coverage()` shows what is stored, bar="1min" bars of it.'
            )
        parts = []
        for day in days:
            price = np.where(day.price > 0, day.price / found.spec.scale, np.nan)
            columns: dict[str, Any] = {"price": price} | _beside(day, found.spec.scale)
            if day.volume is not None:
                columns["volume"] = day.quantity
            parts.append(self._frame(columns, day.times))
        return pd.concat(parts)

    def _frame(self, table: Mapping[str, Any], times: Any) -> pd.DataFrame:
        index = pd.DatetimeIndex(times, tz="UTC").tz_convert(self.market.tz).rename("time")
        return pd.DataFrame(table, index=index)

    def export(
        self,
        symbol: str,
        path: str | os.PathLike[str],
        start: Day | None = None,
        end: Day | None = None,
        bar: str | None = None,
        *,
        derivatives: bool = True,
        progress: Progress = True,
    ) -> int:
        """Write prices to a Parquet file, one row a live bar; `import_file` reads it back.

        Parameters
        ----------
        symbol
            An index or equity, with its futures and options; or one contract, such as
            `NIFTY 2024-02-29 22000 CE`.
        path
            Of the file. One that is there is replaced when the new one is whole.
        start, end
            Days, both included; default: all that is stored.
        bar
            Length of the bars written, a multiple of those stored; default: as they are stored.
            Imported again, these give the same prices, byte for byte; longer ones do not.
        derivatives
            Whether to write the futures and options of a symbol too.
        progress
            As of `import_file`.

        Returns
        -------
        int
            How many bars were written.

        Raises
        ------
        ContractNotFound
            Nothing of that name is stored.
        DataGap
            No bar lies in the range, or those stored are longer than *bar*.

        Examples
        --------
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> store = Store.open(folder / "prices.sqlite")
        >>> times = pd.date_range("2024-01-01 09:15", periods=2, freq="min")
        >>> prices = {"open": [1.0, 2.0], "high": [2.0, 3.0], "low": 1.0, "close": [2.0, 3.0]}
        >>> _ = store.import_frame(pd.DataFrame(prices, index=times), symbol="NIFTY")
        >>> store.export("NIFTY", folder / "nifty.parquet")
        2
        >>> store.close()
        """
        try:
            contracts = [self._find(symbol)]
        except ContractNotFound:
            if symbol not in self._reader.symbols():  # its derivatives may be all there is
                raise
            contracts = []
        spot = contracts[0].spec if contracts else ContractSpec("index", symbol)
        if spot.expiry is None and derivatives:
            for asset in ("future", "option"):
                contracts += self._reader.contracts(asset, spot.symbol)
        outer = [self._outer(c) for c in contracts if c.first is not None]
        first = _day(start) if start is not None else min(a for a, _ in outer)
        last = _day(end) if end is not None else max(b for _, b in outer)
        step = None if bar is None else duration(bar)
        file = Path(path).expanduser()
        with _telling(progress, file.name, " contracts") as tell:
            return write_export(self._reader, contracts, file, first, last, step, _bar, tell)

    def _find(self, text: str) -> Stored:
        found = self._reader.spot(text)
        if found is None:
            spec = _spec(text)
            found = None if spec is None else self._reader.contract(spec)
        if found is None or found.first is None:
            known = self._reader.symbols()
            has = (
                f"it has {', '.join(known)}"
                if known
                else (
                    "it is empty: run `bestbt demo` for a synthetic market, or import a file with "
                    "`store.import_file(path)`"
                )
            )
            raise ContractNotFound(f"No {text!r} in the store; {has}.")
        return found

    def _outer(self, found: Stored) -> tuple[date, date]:
        days = local_days(np.array([found.first, found.last], dtype=np.int64), self.market.tz)
        return date.fromordinal(_EPOCH + int(days[0])), date.fromordinal(_EPOCH + int(days[1]))

    # --- a run's prices ------------------------------------------------------------------------

    def feed(
        self,
        symbols: str | Sequence[str],
        start: Day,
        end: Day,
        *,
        step: Ns = MINUTE,
        warmup: int = 0,
        load: str = "auto",
    ) -> StoreFeed:
        """Return the prices of a run.

        Parameters
        ----------
        symbols
            Indices or equities whose sessions make the grid.
        start, end
            Days of the run, both included.
        step
            Length of a bar in ns, a multiple of the stored one.
        warmup
            Sessions before *start* that the grid has too.
        load
            How much is read at once; see `bestbt.store.plans`.

        Raises
        ------
        ContractNotFound
            Unknown symbol; says what is stored.
        DataGap
            Days outside the coverage, too few for the warm-up, or bars too long for *step*.
        """
        names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        if not names:
            raise UsageError("No symbol was asked for; name at least one.")
        generation = self._reader.generation()
        key = (generation, names, _day(start), _day(end), step, warmup)
        with self._lock:
            made = self._plans.get(key)
        if made is None:
            made = plan(self._reader, names, _day(start), _day(end), step, warmup)
            with self._lock:
                self._plans[key] = made
                while len(self._plans) > _PLANS:
                    self._plans.popitem(last=False)
        return StoreFeed(self._reader, self.slabs, made, generation, parse_loading(load))

    # --- runs ----------------------------------------------------------------------------------

    def run_writer(self, record: Mapping[str, Any]) -> RunWriter:
        """Return a writer of a new run: its name, source, parameters, options, fingerprint."""
        return RunWriter(self.engine, record)

    def runs(self) -> pd.DataFrame:
        """Return saved runs, oldest first: all but their source and their tables.

        Returns
        -------
        DataFrame
            run_id, name, created, state (see `StoredRun`), played_to (end of the newest bar stored;
            NaT before the first), parameters, options, fingerprint, hash, stats.
        """
        return list_runs(self.engine, self.market.tz)

    def open_run(self, which: int | str) -> StoredRun:
        """Return a saved run by its number or its name (of that name the newest).

        Raises
        ------
        UsageError
            If there is none.
        """
        return open_run(self.engine, which, self.market.tz)

    def delete_run(self, which: int | str) -> StoredRun:
        """Delete a saved run and return what it was; one that is being played is refused."""
        return delete_run(self.engine, which, self.market.tz)

    # --- the whole of it -----------------------------------------------------------------------

    def verify(self, progress: Progress = True) -> Verified:
        """Read every stored price and hold it against its checksums.

        `damage` of what is returned has a line for each segment that is not as it was stored; the
        contracts that it does not name are sound.
        """
        with _telling(progress, "verify", " segments") as tell:
            return verify(self.engine, tell)

    def copy_to(self, url_or_path: str | os.PathLike[str], progress: Progress = True) -> int:
        """Copy everything to another store, which is made, and return how many rows that were.

        Parameters
        ----------
        url_or_path
            Where to, as for `open`: an empty store, or one to which the same copy was broken off;
            then it goes on.
        progress
            As for `import_file`, in rows.

        Raises
        ------
        UsageError
            If the other store holds something else.
        StoreCorrupt
            If a segment of this store is damaged, or what arrived is not what was sent.
        """
        target = connect(locate(url_or_path))
        try:
            make(target)
            look(target, to_fill=True)
            with _telling(progress, "copy", " rows") as tell:
                return copy(self.engine, target, tell)
        finally:
            target.dispose()

    # --- small things --------------------------------------------------------------------------

    def _stamp(self, time: Ns) -> pd.Timestamp:
        return pd.Timestamp(time, tz="UTC").tz_convert(self.market.tz)

    def _local(self, time: Ns) -> str:
        return f"{self._stamp(time):%Y-%m-%d %H:%M}"


def _beside(rows: Bars | Ticks, scale: int) -> dict[str, Any]:
    """Return the columns beside prices that there are; quotes in currency, NaN where missing."""
    table: dict[str, Any] = {}
    for name in ("volume", "oi", "bid", "ask"):
        values = getattr(rows, name)
        if values is not None:
            quote = name in ("bid", "ask")
            table[name] = np.where(values > 0, values / scale, np.nan) if quote else values
    return table


def _day(value: Day) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is no day; write it as '2024-01-31'.") from None


def _units(name: str, given: Any) -> Units | None:
    if given not in (None, "lots", "units"):
        raise ImportRefused(f'{name}={given!r} was given; it is "lots" or "units".')
    units: Units | None = given
    return units


def _bar(step: Ns) -> str:
    if not step:
        return "tick"
    for size, name in ((DAY, "d"), (60 * MINUTE, "h"), (MINUTE, "min"), (SECOND, "s")):
        if step % size == 0 and (size != 60 * MINUTE or step > size):
            return f"{step // size}{name}"
    return f"{step}ns"


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder that an import may read."""
    return (file for file in folder.rglob("*") if file.suffix in (".csv", ".zip"))


def _frame_sha256(frame: pd.DataFrame, given: str) -> str:
    """Return a hash of a frame's values and of what was said about them."""
    found = hashlib.sha256(given.encode())
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
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _spec(text: str) -> ContractSpec | None:
    """Return the contract of a name as tables write it, or as an exchange does."""
    parts = text.split()
    try:
        if len(parts) == 3 and parts[2] == "FUT":
            expiry = date.fromisoformat(parts[1])
            return importers.contract(Parsed("future", parts[0], expiry))
        if len(parts) == 4 and parts[3] in ("CE", "PE"):
            right: Any = parts[3]
            expiry, strike = date.fromisoformat(parts[1]), float(parts[2])
            return importers.contract(Parsed("option", parts[0], expiry, strike, right))
        named = parse_symbol(text, _LONG_AGO)
    except (ValueError, UsageError):
        return None
    return importers.contract(named)


def _silent(done: int, total: int, text: str) -> None:
    pass


@contextmanager
def _telling(progress: Progress, name: str, unit: str) -> Iterator[Tell]:
    """Give a function to tell progress to."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield _silent
        return
    with progress_bar(name, unit) as tell:
        yield tell
