"""The exchange's end of day in derivatives: what futures were settled on, closes of expiry days.

    INSTRUMENT,SYMBOL,EXPIRY_DT,…,CLOSE,SETTLE_PR,…,TIMESTAMP     bhavcopy until July 2024
    TradDt,…,FinInstrmTp,…,UndrlygPric,SttlmPric,…,NewBrdLotQty   bhavcopy since then (UDiFF)
    INSTRUMENT,SYMBOL    ,EXP_DATE  ,…,CLOSE_PRICE,OPEN_INT*,…    market activity report, padded

CSV, gzipped, or a zip archive of such files. They have a row for each contract; those of indices
with dated facts are kept, and of them what a run settles on:

- a **future**: the day's settlement price. The report has none; there it is the close, which is
  the mean of the last half hour's trades weighted by volume, and so the settlement price of what
  was traded in it (nseindia.com, "Settlement Price"). On a future's last day it is not.
- a contract on its **last day**: the official close of its index. UDiFF says it as the underlying's
  price; in the old layout the settlement price of everything that expires is that close. It is
  taken when more than half of the rows of an expiry say the same.
- the **lot**, said (UDiFF) or the units of a traded contract (report); the old layout tells none.

Prices of a whole day are no minute bars: those rows are counted and left.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import SYMBOLS, India, find_expiry
from bestbt.markets.symbols import INDEX_NAMES, Parsed
from bestbt.store.importers.archives import Part, Unpacker, is_zip, parts
from bestbt.store.importers.columns import plain
from bestbt.store.importers.contracts import Contracts
from bestbt.store.importers.index_closes import (
    Close,
    Closes,
    Lot,
    Settlement,
    read_date,
    read_price,
)
from bestbt.store.importers.source import Source
from bestbt.store.quality import QualityReport
from bestbt.units import RawPrice

__all__ = ["LAYOUTS", "Layout", "read", "shows"]

Kind = Literal["future", "option"]
_NAMED = re.compile(r"(?:^|[^a-z])(?:fo|op)_?(\d{8})", re.IGNORECASE)

_KINDS: dict[str, Kind] = {
    "FUTIDX": "future",
    "IDF": "future",
    "OPTIDX": "option",
    "IDO": "option",
}
_OF_SHARES = {"FUTSTK", "OPTSTK", "STF", "STO"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The headers of a layout by what they mean, as `columns.plain` writes them.

    `close` is the official close of the underlying, on a contract's last day.
    """

    name: str
    kind: str
    symbol: str
    expiry: tuple[str, ...]  # the first that has a date
    settlement: str
    day: str = ""  # in the file's name where there is none
    close: str = ""
    lot: str = ""
    units: str = ""  # traded, and
    contracts: str = ""  # in how many contracts

    def columns(self) -> set[str]:
        """Return the headers that a file of this layout has."""
        named = {self.kind, self.symbol, *self.expiry, self.settlement, self.day, self.close}
        return (named | {self.lot, self.units, self.contracts}) - {""}


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "UDiFF bhavcopy",
        kind="fininstrmtp",
        symbol="tckrsymb",
        expiry=("fininstrmactlxprydt", "xprydt"),
        settlement="sttlmpric",
        day="traddt",
        close="undrlygpric",
        lot="newbrdlotqty",
    ),
    Layout(
        "legacy bhavcopy",
        kind="instrument",
        symbol="symbol",
        expiry=("expirydt",),
        settlement="settlepr",
        day="timestamp",
        close="settlepr",
    ),
    Layout(
        "market activity report",
        kind="instrument",
        symbol="symbol",
        expiry=("expdate",),
        settlement="closeprice",
        units="trdqty",
        contracts="noofcont",
    ),
)


def shows(source: Source) -> bool:
    """Whether a file, or one in a zip archive, has the header of a layout."""
    if not is_zip(source.path):
        return _layout(source.header) is not None
    with Unpacker() as unpacker:
        return any(_layout(_header(unpacker, part)) for part in parts(source.path)[0])


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    day: str | None = None,
    **unknown: object,
) -> Closes:
    """Read the end of a day.

    Parameters
    ----------
    day
        Of a market activity report whose name does not say it, such as "2025-11-14".

    Raises
    ------
    ImportRefused
        No such columns, no day, no rows, a damaged archive.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, ("day", "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for the end of a day. {hint}")
    if symbol is not None:
        raise ImportRefused(
            f"symbol={symbol!r} was given; each row of {source.name} names its own."
        )
    given = None if day is None else read_date(day)
    if day is not None and given is None:
        raise ImportRefused(f"day={day!r} is no date; write it as '2025-11-14'.")
    reading = _Reading(source.name, market, given)
    for name, lines in _tables(source, reading.report):
        reading.add(name, lines)
    return reading.closes()


# --- files -------------------------------------------------------------------------------------


def _layout(header: Sequence[str]) -> Layout | None:
    names = {plain(h) for h in header}
    return next((known for known in LAYOUTS if known.columns() <= names), None)


def _header(unpacker: Unpacker, part: Part) -> list[str]:
    if not part.name.lower().endswith(".csv"):
        return []
    try:
        line = unpacker.head(part).partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    except ImportRefused:  # damaged; another file of the archive may not be
        return []
    return next(csv.reader([line.strip()]), [])


def _tables(source: Source, report: QualityReport) -> Iterator[tuple[str, list[str]]]:
    """Yield names and lines of the tables in a file: one, or those of an archive that are any."""
    if not is_zip(source.path):
        with source.open() as stream:
            content = stream.read()
        if _layout(source.header) is None:
            layouts = "; ".join(f"{known.name}: {', '.join(known.columns())}" for known in LAYOUTS)
            raise ImportRefused(
                f"{source.name} is no end of day. Columns found: {', '.join(source.header)}. "
                f"Columns needed: {layouts}."
            )
        yield "", content.decode(source.encoding, errors="replace").splitlines()
        return
    found, left = parts(source.path)
    with Unpacker() as unpacker:
        for part in found:
            if _layout(_header(unpacker, part)) is None:
                left.append(part.label)
                continue
            content = unpacker.content(part)
            yield part.name, content.decode("utf-8-sig", errors="replace").splitlines()
    if left:
        shown = ", ".join(left[:3]) + (" …" if len(left) > 3 else "")
        report.remarks.append(f"{len(left)} files in it that list no contracts: {shown}")


# --- rows --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """What a row of an index contract says."""

    line: int
    part: str
    kind: Kind
    symbol: str
    day: date
    expiry: date
    sample: str


class _Reading:
    """What the rows of a day have told so far, and what became of the others."""

    def __init__(self, name: str, market: India, given: date | None) -> None:
        self.report = QualityReport(name, "")
        self._market, self._given, self._file = market, given, name
        self._contracts = Contracts(market, self.report)
        self._settlements: dict[tuple[ContractSpec, date], Settlement] = {}
        self._told: dict[tuple[str, date], dict[RawPrice, list[_Row]]] = {}
        self._lots: dict[tuple[Kind, str, date], int] = {}
        self._count: Counter[tuple[str, Kind]] = Counter()
        self._dates: dict[str, date | None] = {}
        self._expiries: dict[tuple[str, str], date | None] = {}
        self._layouts: list[str] = []
        self._options: list[_Row] = []

    def add(self, part: str, lines: list[str]) -> None:
        """Read one table."""
        skip = next(i for i, line in enumerate(lines) if line.strip())
        header = [plain(h) for h in next(csv.reader([lines[skip]]))]
        while header and not header[-1]:  # a comma behind the last name, on most days
            header.pop()
        layout = _layout(header)
        if layout is None:
            raise ImportRefused(f"{part or self._file} is no end of day.")
        if layout.name not in self._layouts:
            self._layouts.append(layout.name)
        named = None if layout.day else self._day_of(part)
        places = {name: header.index(name) for name in layout.columns()}
        rows = csv.reader(lines[skip + 1 :])
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            self.report.rows += 1
            line = skip + 1 + rows.line_num
            where = f"{part} line {line}" if part else f"line {line}"
            sample = f"{where}: {','.join(field.strip() for field in row)[:100]}"
            reason = self._row(layout, places, row, len(header), named, line, part, sample)
            if reason:
                self.report.add("quarantined", reason, 1, [sample])

    def _day_of(self, part: str) -> date:
        """Return the day that is in a report's name; its rows do not say it."""
        if self._given is not None:
            return self._given
        for name in (part.rpartition("/")[2], self._file):
            if (found := _NAMED.search(name)) is not None:
                text = found[1]
                day = read_date(f"{text[:2]}-{text[2:4]}-{text[4:]}")
                if day is not None:
                    return day
        raise ImportRefused(
            f"{part or self._file} does not say its day, neither in its rows nor in its name (such "
            'as fo14112025.csv); give it: day="2025-11-14".'
        )

    def _row(
        self,
        layout: Layout,
        places: Mapping[str, int],
        fields: list[str],
        width: int,
        named: date | None,
        line: int,
        part: str,
        sample: str,
    ) -> str:
        """Take what a row tells; return why it is left, or nothing."""
        if fields[0].lstrip().startswith("*"):
            return "footnote"
        if len(fields) < width or any(field.strip() for field in fields[width:]):
            return "ragged-row"
        value = {name: fields[place].strip() for name, place in places.items()}
        what = value[layout.kind].upper()
        if what in _OF_SHARES:
            return "of-a-share"
        if what not in _KINDS:
            return "no-derivative"
        symbol = INDEX_NAMES.get(value[layout.symbol].upper())
        if symbol not in SYMBOLS:
            return "other-index"
        day = named if named is not None else self._date(value[layout.day])
        listed = next((t for name in layout.expiry if (t := value[name]) not in ("", "-")), "")
        if day is None or self._date(listed) is None:
            return "unreadable-time"
        if not self._market.is_trading_day(day):
            return "no-session"
        expiry = self._expiry(symbol, listed)
        if expiry is None:
            return "no-such-expiry"
        if expiry < day:
            return "after-expiry"
        kind = _KINDS[what]
        self._count[symbol, kind] += 1
        self._note_lot(layout, value, (kind, symbol, expiry), sample)
        row = _Row(line, part, kind, symbol, day, expiry, sample)
        if layout.close and expiry == day:
            why, raw = read_price(value[layout.close])
            if not why:
                self._told.setdefault((symbol, day), {}).setdefault(raw, []).append(row)
        if kind == "option":
            self._options.append(row)
            return ""
        if not layout.close and expiry == day:
            return "last-day"
        return self._settlement(row, value[layout.settlement])

    def _settlement(self, row: _Row, text: str) -> str:
        why, raw = read_price(text, lambda s: self.report.add("repaired", "rounded", 1, [s]))
        if why:
            return "no-settlement" if why in ("no-close", "price-not-positive") else why
        lot = self._lots.get(("future", row.symbol, row.expiry), 1)
        parsed = Parsed("future", row.symbol, row.expiry)
        at = self._contracts.number(parsed, row.day, raw / 100, lot)
        spec = self._contracts.specs[at]
        found = Settlement(row.line, spec, row.day, raw, row.part)
        if (earlier := self._settlements.get((spec, row.day))) is not None:
            same = earlier.raw == raw
            reason = "duplicate-settlement" if same else "duplicate-settlement-conflict"
            self.report.add("quarantined", reason, 1, [str(earlier)])
        self._settlements[spec, row.day] = found
        return ""

    def _note_lot(
        self, layout: Layout, value: Mapping[str, str], chain: tuple[Kind, str, date], sample: str
    ) -> None:
        if chain in self._lots:
            return
        lot = _whole(value[layout.lot]) if layout.lot else 0
        if layout.units:
            units, contracts = _whole(value[layout.units]), _whole(value[layout.contracts])
            lot = units // contracts if contracts and units % contracts == 0 else 0
        if lot < 1:
            return
        self._lots[chain] = lot
        known = self._contracts.dated_lot(chain[1], chain[2])
        if known is not None and known != lot:
            said = f"{chain[1]} {chain[2]} {chain[0]}s: {lot}, by the dated tables {known}"
            self.report.add("noted", "lot-differs", 1, [f"{said} ({sample})"])

    def _date(self, text: str) -> date | None:
        if text not in self._dates:
            self._dates[text] = read_date(text)
        return self._dates[text]

    def _expiry(self, symbol: str, text: str) -> date | None:
        if (symbol, text) not in self._expiries:
            day = self._date(text)
            found = None if day is None else find_expiry(symbol, day)
            self._expiries[symbol, text] = None if found is None else found.day
        return self._expiries[symbol, text]

    # --- the day as a whole

    def closes(self) -> Closes:
        """Return what the day's rows tell, each of them counted once."""
        report = self.report
        if not report.rows:
            raise ImportRefused(f"{self._file} has a header and no rows; get the file again.")
        report.format = "end of day, " + " and ".join(self._layouts)
        report.format = report.format[:40]
        closes = [close for key in sorted(self._told) if (close := self._elect(*key)) is not None]
        tellers = {(close.part, close.line) for close in closes if close.counts}
        left = [row for row in self._options if (row.part, row.line) not in tellers]
        report.add("quarantined", "day-bar", len(left), [row.sample for row in left[:20]])
        each: dict[str, list[str]] = {}
        for (symbol, kind), n in sorted(self._count.items()):
            each.setdefault(symbol, []).append(f"{n:,} {kind}{'s' if n > 1 else ''}")
        listed = "; ".join(f"{symbol} {', '.join(kinds)}" for symbol, kinds in each.items())
        report.remarks.append(f"contracts listed: {listed or 'none of a known index'}")
        settlements = sorted(
            self._settlements.values(), key=lambda s: (s.day, s.spec.symbol, str(s.spec.expiry))
        )
        lots = [Lot(*chain, lot) for chain, lot in self._lots.items()]
        return Closes(closes, report, settlements, lots)

    def _elect(self, symbol: str, day: date) -> Close | None:
        """Return the close that more than half of an expiry's rows tell."""
        told = self._told[symbol, day]
        raw, rows = max(told.items(), key=lambda item: len(item[1]))
        total = sum(map(len, told.values()))
        if 2 * len(rows) <= total:
            samples = [row.sample for row in rows[:3]]
            self.report.add("noted", "close-unclear", total, samples)
            return None
        others = [row for value, row_list in told.items() if value != raw for row in row_list]
        self.report.add("noted", "close-disputed", len(others), [row.sample for row in others])
        settled = {(s.part, s.line) for s in self._settlements.values()}
        # A future's row is counted for the settlement price it tells; an option's for the close.
        row = next((r for r in rows if (r.part, r.line) in settled), rows[0])
        counts = (row.part, row.line) not in settled and row.kind == "option"
        return Close(row.line, symbol, day, raw, row.part, counts)


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        return 0
    return int(number) if number.is_integer() else 0
