"""Store: open it, put files in, see what it covers, and read a run's prices from it."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from calendar import monthrange
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sqlalchemy import Engine, select

from bestbt.engine.grid import Grid, duration
from bestbt.engine.ports import ContractSpec
from bestbt.errors import (
    ContractNotFound,
    DataGap,
    StoreUnreachable,
    UsageError,
    did_you_mean,
)
from bestbt.markets.india import INDIA, India
from bestbt.markets.symbols import Parsed, parse_symbol
from bestbt.store import importers, quarantine
from bestbt.store.copying import copy
from bestbt.store.dialects import connect, locate, read, shown, writing
from bestbt.store.export import write_export
from bestbt.store.feed import Plan, StoreFeed, check_step, on_grid, plan, union_sessions
from bestbt.store.forgetting import forget
from bestbt.store.intake import How, Intake, units_of
from bestbt.store.mirror import Mirrored, drop_mirror, mirror
from bestbt.store.plans import allowed_memory, parse_loading
from bestbt.store.quality import RULES, QualityReport
from bestbt.store.reading import Reader, Stored
from bestbt.store.run_writer import RunWriter
from bestbt.store.runs import StoredRun, delete_run, list_runs, open_run
from bestbt.store.sanitise import Calendar, local_days, sanitise
from bestbt.store.schema import KINDS, Import
from bestbt.store.segments import Bars
from bestbt.store.slabs import Slabs
from bestbt.store.telling import Progress, saying, telling
from bestbt.store.ticks import Ticks
from bestbt.store.verifying import Verified, verify
from bestbt.store.versions import look, make
from bestbt.store.writer import Importing, earlier_import
from bestbt.units import DAY, MINUTE, POINTS, SECOND, Ns

__all__ = ["Store"]

Day: TypeAlias = date | str

_EPOCH = date(1970, 1, 1).toordinal()
_PLANS = 16  # grids kept: a cell is run again and again over the same range
_LONG_AGO = date(2000, 1, 1)  # names of indices and equities are the same on any date
_LEVEL = 0.05  # an index that is further than this from what is stored of that day is another one
_SOURCE = 400  # characters that are kept of where a close comes from
_FAR = 0.40  # the same, from the nearest day within a month


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
        self._intake = Intake(
            engine, self._at_once, self._calendar, market, self.importing, self.synthetic
        )
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
            tx = Importing(connection, self._calendar, synthetic, already, mends=again)
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
            True: a bar in the terminal or notebook, of bytes read, rules applied and contracts
            stored, one after the other; of a folder or archive, of files. A function is called with
            ``(done, total, text)`` instead, of contracts alone, or of files.
        **options
            `columns={"open": "LTP"}` names columns, `header=[…]` all columns of a text that has no
            header; `official_closes=False` keeps the closes of daily candles out of settlement;
            `stamp="end"` says that times are the ends of bars (default: `"start"`, unless there is
            no doubt); `again=True` imports a file that was imported before; `check_level=False`
            stores an index whose level is far from what is stored of it; `day="2025-11-14"` says of
            which day a market activity report is; `tz="UTC"` says whose clock the times show
            (default: the exchange's, or what the file says); `dates="month-first"` (or
            `"day-first"`) how dates are read that can be read in both ways; `volume="lots"` and
            `oi="lots"` say that these are counted in lots (`"units"`: that they are not, whatever
            they look like); `volumes="total"` or `"each"` says of ticks what their volume is
            (default: seen).
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
        how = How(
            format,
            symbol,
            bool(options.pop("again", False)),
            bool(options.pop("check_level", True)),
            {name: units_of(name, options.pop(name, None)) for name in ("volume", "oi")},
            options,
        )
        return self._intake.file(Path(path).expanduser(), how, progress)

    def import_frame(
        self,
        frame: pd.DataFrame,
        name: str = "frame",
        symbol: str | None = None,
        columns: Mapping[str, str] | None = None,
        stamp: str = "start",
        bar: str | None = None,
        *,
        dates: str | None = None,
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
        dates
            `"day-first"` or `"month-first"`: how dates are read that can be read in both ways.
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
        how = How(symbol=symbol, again=again, check_level=check_level)
        return self._intake.frame(frame, name, how, columns, stamp, bar, dates, official_closes)

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
        self._check_reason(reason)
        return read(self.engine, lambda c: quarantine.listing(c, import_id, reason, tz))

    def _check_reason(self, reason: str | None) -> None:
        """Refuse a rule that there is not: nothing would be found of it, and nothing said."""
        if reason is None or reason in RULES:
            return
        known = read(self.engine, quarantine.reasons)
        hint = did_you_mean(reason, known) if known else "Nothing is in quarantine."
        raise UsageError(f"No rule is called {reason!r}. {hint}")

    def readmit(
        self, ids: int | Iterable[int] | None = None, *, reason: str | None = None
    ) -> QualityReport:
        """Store quarantined rows after all: what they were judged by no longer counts.

        They are live and traded like any other, marked in `quarantine()`, and no later import
        judges them again. A row without prices, or on no bar of a session, stays where it is. Of
        several rows of one bar the last in the file is stored, and all are marked. Ticks and
        whole pages of a chain stay too, and the report says what to do instead.

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
        self._check_reason(reason)
        wanted = None if ids is None else [ids] if isinstance(ids, int) else [int(i) for i in ids]
        with writing(self.engine).begin() as connection:
            waiting, before = quarantine.pending(connection, wanted, reason)
            files = sorted({row["file_name"] for row in waiting})
            name = files[0] if len(files) == 1 else f"{len(files)} files"
            report = QualityReport(name, "re-admitted", rows=sum(row["rows"] for row in waiting))
            report.add("noted", "readmitted-before", before)
            tx = Importing(connection, self._calendar, synthetic=False, already=None)
            for sheet in quarantine.sheets(waiting, report):
                line, code, start = sheet.rows.line, sheet.rows.code, sheet.rows.start
                for spec, live in sanitise(sheet, self._calendar):
                    columns = (live.volume, live.oi, live.bid, live.ask)
                    tx.write(spec, live.starts, live.points, *columns, step=sheet.step)
                    report.tell_stored(spec, len(live))
                # With one of a bar all of it are done: else the next call would store another.
                bars = zip(code.tolist(), start.tolist(), line.tolist(), strict=True)
                taken = set(zip(sheet.rows.code.tolist(), sheet.rows.start.tolist(), strict=True))
                quarantine.mark(connection, [i for c, s, i in bars if (c, s) in taken])
            report.findings = [f for f in report.findings if f.rule not in quarantine.OF_WHOLES]
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
        """Write bars and ticks to a Parquet file, a row each; `import_file` reads it back.

        Of a symbol or contract that has both, both are in the file: a tick is a row whose `bar` is
        `"tick"`.

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
            Length of the bars written, a multiple of those stored; where a contract has ticks, they
            are made of these, as a run makes them. Default: bars and ticks as they are stored.
            Imported again, these give the same prices, byte for byte; others do not.
        derivatives
            Whether to write the futures and options of a symbol too.
        progress
            As of `import_file`.

        Returns
        -------
        int
            How many rows were written: bars and ticks.

        Raises
        ------
        ContractNotFound
            Nothing of that name is stored.
        DataGap
            Nothing lies in the range, or the bars stored are longer than *bar*.

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
        contracts = self._with_derivatives(symbol, derivatives)
        outer = [self._outer(c) for c in contracts if c.first is not None]
        first = _day(start) if start is not None else min(a for a, _ in outer)
        last = _day(end) if end is not None else max(b for _, b in outer)
        step = None if bar is None else duration(bar)
        file = Path(path).expanduser()
        kept = f"{file} is as it was; export it again."
        with saying(lambda: kept), telling(progress, file.name, " contracts") as tell:
            return write_export(self._reader, contracts, file, first, last, step, _bar, tell)

    def forget(
        self, symbol: str, first: Day, last: Day | None = None, *, derivatives: bool = False
    ) -> int:
        """Take whole months of bars and ticks out of the store.

        What several files brought is merged, so that a file cannot be taken out again, but a
        contract's month can. Its rows in quarantine go too, and the files that may have brought it
        can be imported once more, without *again*; the record of an import goes if nothing that
        it brought is left. Official closes and settlement prices stay: a new import replaces them.

        Parameters
        ----------
        symbol
            An index or equity; or one contract, such as `NIFTY 2024-02-29 22000 CE`.
        first, last
            Months as ``"2024-02"``, or days in them; both included. Default: one month.
        derivatives
            Whether to take out the futures and options of a symbol too.

        Returns
        -------
        int
            How many bars and ticks went.

        Raises
        ------
        ContractNotFound
            Nothing of that name is stored.
        DataGap
            Nothing of it is stored in those months.

        Examples
        --------
        >>> import tempfile
        >>> store = Store.open(Path(tempfile.mkdtemp()) / "prices.sqlite")
        >>> times = pd.date_range("2024-01-01 09:15", periods=2, freq="min")
        >>> prices = {"open": [1.0, 2.0], "high": [2.0, 3.0], "low": 1.0, "close": [2.0, 3.0]}
        >>> _ = store.import_frame(pd.DataFrame(prices, index=times), symbol="NIFTY")
        >>> store.forget("NIFTY", "2024-01"), store.is_empty
        (2, True)
        >>> store.close()
        """
        contracts = self._with_derivatives(symbol, derivatives)
        start = _month(first)
        end = start if last is None else _month(last)
        if end < start:
            raise UsageError(f"The months {first} to {last} end before they start; exchange them.")
        until = end.replace(day=monthrange(end.year, end.month)[1])
        with writing(self.engine).begin() as connection:
            gone = forget(connection, contracts, start, until, self.market.tz)
        if not gone:
            raise DataGap(
                f"Nothing of {symbol} is stored from {start} to {until}; `store.coverage()` shows "
                "what is."
            )
        return gone

    def _with_derivatives(self, symbol: str, derivatives: bool) -> list[Stored]:
        """Return what a name means and, of an index or equity, its futures and options too."""
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
        return contracts

    def _find(self, text: str) -> Stored:
        found = self._reader.spot(text)
        if found is None:
            spec = _spec(text)
            found = self._named(text) if spec is None else self._reader.contract(spec)
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

    def _named(self, text: str) -> Stored | None:
        """Return the contract that an exchange's name means.

        Such a name has several readings, and the date on which it was used decides; here it is
        what the store has.
        """
        for symbol in self._reader.symbols():
            for asset in ("option", "future"):
                for expiry in self._reader.expiries(asset, symbol):
                    try:
                        parsed = parse_symbol(text, expiry)
                    except UsageError:
                        continue
                    if (parsed.asset, parsed.symbol, parsed.expiry) == (asset, symbol, expiry):
                        return self._reader.contract(importers.contract(parsed))
        return None

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
        with telling(progress, "verify", " segments") as tell:
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
            kept = "what arrived stays; copy again, and it goes on."
            with saying(lambda: kept), telling(progress, "copy", " rows") as tell:
                return copy(self.engine, target, tell)
        finally:
            target.dispose()

    def mirror(self, progress: Progress = True) -> Mirrored:
        """Keep all prices as rows too, for queries in SQL; on a PostgreSQL server.

        Only segments that changed since the last time are written. Broken off, it goes on where it
        was. The tables are in the documentation of the store, under "Rows for SQL".

        Parameters
        ----------
        progress
            As for `import_file`, in segments.

        Returns
        -------
        Mirrored
            `damage` has a line for each damaged segment; all others are mirrored.

        Raises
        ------
        UsageError
            On a file; beside another process that mirrors; over tables of somebody else.
        """
        kept = "what was written stays; mirror again, and it goes on."
        with saying(lambda: kept), telling(progress, "mirror", " segments") as tell:
            return mirror(self.engine, self._calendar, tell)

    def drop_mirror(self) -> bool:
        """Take the rows for SQL away; return whether there were any."""
        return drop_mirror(self.engine)

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


def _month(value: Day) -> date:
    """Return the first day of a month, given as it or as a day in it."""
    if isinstance(value, str) and len(value) == len("2024-01"):
        value = f"{value}-01"
    return _day(value).replace(day=1)


def _bar(step: Ns) -> str:
    if not step:
        return "tick"
    for size, name in ((DAY, "d"), (60 * MINUTE, "h"), (MINUTE, "min"), (SECOND, "s")):
        if step % size == 0 and (size != 60 * MINUTE or step > size):
            return f"{step // size}{name}"
    return f"{step}ns"


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
