"""Minute bars in long form: one row a bar, the instrument's name in a column. Parquet or CSV.

    bytes ──> table of the columns that matter ──> times, contracts, numbers ──> Sheet

Dates, times and names repeat thousands of times, so each is read once and looked up by its
number in a dictionary. Nothing is decided here about a row that can be read.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from bestbt.engine.grid import duration
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, ImportRefused, NoSchedule, UsageError, did_you_mean
from bestbt.markets.india import India
from bestbt.markets.symbols import INDEX_NAMES, Parsed, parse_symbol
from bestbt.store.quality import QualityReport
from bestbt.store.reading import exchange_for
from bestbt.store.sanitise import Rows, Sheet, local_days
from bestbt.units import MINUTE, SECOND, Ns

__all__ = ["ALIASES", "contract", "read"]

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "instrument", "tradingsymbol", "contract", "scrip", "name"),
    "datetime": ("datetime", "timestamp", "dateandtime", "datetimeist"),
    "date": ("date", "day", "tradedate"),
    "time": ("time", "bartime", "tradetime"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v", "tradedvolume", "tradedqty"),
    "oi": ("oi", "openinterest", "openint"),
}
_PRICES = ("open", "high", "low", "close")
_TEXTS = ("symbol", "datetime", "date", "time")
_NULLS = ["", "-", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A", "#N/A"]
_HEAD = 1 << 16
_NAT = np.iinfo(np.int64).min
_EPOCH = date(1970, 1, 1).toordinal()

_DATES: tuple[str, ...] = (
    "%Y%m%d",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%b-%Y",
)
_DATES += ("%d %b %Y", "%d%b%Y", "%m/%d/%Y", "%m-%d-%Y", "%d-%m-%y", "%d/%m/%y", "%d-%b-%y")
_MONTH_FIRST = {"%d-%m-%Y": "%m-%d-%Y", "%d/%m/%Y": "%m/%d/%Y"}
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M")

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
Note = Callable[[str, int, list[str]], None]


# --- the file as a table -----------------------------------------------------------------------


@dataclass(slots=True)
class _Table:
    """Columns by what they mean, and the number of each row in the file."""

    columns: dict[str, pa.ChunkedArray]
    headers: dict[str, str]
    line: _I64
    word: str  # what a row is called: "line" of a text, "row" of a Parquet file
    kind: str
    ragged: list[tuple[int, str]]

    def show(self, line: int) -> str:
        """Write a row out, as the columns that are read."""
        at = int(np.searchsorted(self.line, line))
        if at == len(self.line) or self.line[at] != line:
            return f"{self.word} {line}: {dict(self.ragged).get(line, '')}"
        values = (str(column[at].as_py()) for column in self.columns.values())
        return f"{self.word} {line}: {','.join(values)}"


def _map(headers: Sequence[str], given: Mapping[str, str], file: Path) -> dict[str, int]:
    """Return which column means what, by its place; refuse, saying what was tried."""
    plain = [_plain(h) for h in headers]
    found: dict[str, int] = {}
    for role in given:
        if role not in ALIASES:
            raise ImportRefused(f"No column is called {role!r}. {did_you_mean(role, ALIASES)}")
    for role, aliases in ALIASES.items():
        wanted = (_plain(given[role]),) if role in given else aliases
        for alias in wanted:
            places = [i for i, name in enumerate(plain) if name == alias]
            if len(places) > 1:
                raise ImportRefused(
                    f"{file.name} has {len(places)} columns that may be {role}: "
                    f"{', '.join(headers[i] for i in places)}; rename all but one."
                )
            if places:
                found[role] = places[0]
                break
        if role in given and role not in found:
            raise ImportRefused(
                f"{file.name} has no column {given[role]!r}, given for {role}; "
                f"it has {', '.join(headers)}."
            )
    missing = [role for role in _PRICES if role not in found]
    if "time" in found and not {"datetime", "date"} & found.keys():
        found["datetime"] = found.pop("time")  # the only one: whether it holds the date is seen
    if "datetime" not in found and "date" not in found:
        missing.append("datetime (or date and time)")
    if missing:
        tried = "; ".join(f"{r}: {', '.join(ALIASES[r])}" for r in ALIASES if r not in found)
        known = ", ".join(f"{r} = {headers[i]}" for r, i in found.items()) or "none"
        raise ImportRefused(
            f"{file.name} lacks {', '.join(missing)}. Columns found: {', '.join(headers)}. "
            f"Understood: {known}. Names tried for the others: {tried}. "
            f'Name them yourself, such as columns={{"{missing[0].split()[0]}": "…"}}.'
        )
    return found


def _plain(header: str) -> str:
    return re.sub(r"[^a-z0-9]", "", header.lower())


def _table(file: Path, given: Mapping[str, str]) -> _Table:
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise ImportRefused(f"{file.name} is empty (0 bytes); get the file again.")
    try:
        if head[:4] == b"PAR1":
            return _parquet(file, given)
        zipped = head[:2] == b"\x1f\x8b"
        if zipped:
            with gzip.open(file) as stream:
                head = stream.read(_HEAD)
        return _csv(file, head, zipped, given)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise ImportRefused(
            f"{file.name} cannot be read ({str(error).splitlines()[0]}); it may be cut off: "
            "get it again."
        ) from None


def _parquet(file: Path, given: Mapping[str, str]) -> _Table:
    with pa.parquet.ParquetFile(file) as source:
        headers = source.schema_arrow.names
        places = _map(headers, given, file)
        table = source.read(columns=[headers[i] for i in places.values()])
    columns = {role: table.column(headers[i]) for role, i in places.items()}
    line = np.arange(1, table.num_rows + 1)
    names = {role: headers[i] for role, i in places.items()}
    return _Table(columns, names, line, "row", "long-bars Parquet", [])


def _csv(file: Path, head: bytes, zipped: bool, given: Mapping[str, str]) -> _Table:
    if not head.strip():
        raise ImportRefused(f"{file.name} holds no text; get the file again.")
    if head[:2] == b"PK":
        raise ImportRefused(f"{file.name} is a zip archive; unpack it and import what is inside.")
    if b"\0" in head:
        raise ImportRefused(
            f"{file.name} is neither Parquet nor text; give minute bars as Parquet, CSV or CSV.gz."
        )
    encoding = "utf8"
    try:
        text = head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = head.decode(encoding)
    lines = text.splitlines()
    blank = next(i for i, line in enumerate(lines) if line.strip())
    delimiter = max(",;\t|", key=lines[blank].count)
    headers = [h.strip() for h in next(csv.reader([lines[blank]], delimiter=delimiter))]
    if len(headers) < 2:
        raise ImportRefused(
            f"{file.name} is text but no table: its first line is {lines[blank][:60]!r}; a header "
            "such as symbol,date,time,open,high,low,close was expected."
        )
    places = _map(headers, given, file)
    names = [f"c{i}" for i in range(len(headers))]
    texts = {names[places[r]]: pa.string() for r in _TEXTS if r in places}
    numbers = {names[i]: pa.string() for r, i in places.items() if r not in _TEXTS}
    ragged: list[tuple[int, str]] = []

    def set_aside(row: Any) -> str:
        ragged.append((row.number, row.text))
        return "skip"

    def load(types: dict[str, pa.DataType]) -> pa.Table:
        ragged.clear()
        with pa.input_stream(str(file), compression="gzip" if zipped else None) as stream:
            return pa.csv.read_csv(
                stream,
                pa.csv.ReadOptions(
                    use_threads=False,  # else the reader does not know a row's number
                    column_names=names,
                    skip_rows=blank + 1,
                    encoding=encoding,
                ),
                pa.csv.ParseOptions(
                    delimiter=delimiter, invalid_row_handler=set_aside, ignore_empty_lines=False
                ),
                pa.csv.ConvertOptions(
                    column_types=types,
                    include_columns=[names[i] for i in places.values()],
                    null_values=_NULLS,
                ),
            )

    try:
        table = load(texts)
        strange = any(
            not (pa.types.is_floating(t) or pa.types.is_integer(t) or pa.types.is_null(t))
            for t in (table.schema.field(n).type for n in numbers)
        )
        if strange:  # such as a column that looks like times of day: read it as what it says
            table = load(texts | numbers)
    except pa.ArrowInvalid:  # a number column turned out to hold text further down
        table = load(texts | numbers)
    if table.num_rows == 0 and not ragged:
        raise ImportRefused(f"{file.name} has a header and no rows; get the file again.")
    aside = {number for number, _ in ragged}
    count = table.num_rows + len(ragged)
    first = blank + 2
    line = np.array([n for n in range(first, first + count) if n not in aside], dtype=np.int64)
    columns = {role: table.column(names[i]) for role, i in places.items()}
    kind = "long-bars CSV, gzipped" if zipped else "long-bars CSV"
    header_of = {role: headers[i] for role, i in places.items()}
    return _Table(columns, header_of, line, "line", kind, ragged)


# --- columns -----------------------------------------------------------------------------------


def _numbers(column: pa.ChunkedArray) -> _F64:
    """Return floats; NaN where there is no number."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        try:
            column = pc.cast(text, pa.float64())
        except pa.ArrowInvalid:
            return np.asarray(pd.to_numeric(text.to_pandas(), errors="coerce"), dtype=np.float64)
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))


def _dictionary(column: pa.ChunkedArray) -> tuple[_I64, list[str]]:
    """Return each row's number in a list of distinct texts; an absent one is ""."""
    if pa.types.is_floating(column.type):  # 20240101.0, as a column with absent dates is stored
        column = pc.cast(column, pa.int64(), safe=False)
    text = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    coded = pc.fill_null(text, "").combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _dates(texts: Sequence[str], note: Note) -> _I64:
    """Return local midnights as ns since 1970 (of a clock without zones); NAT where unreadable."""
    best, form = _parsed(texts, _DATES)
    other = _MONTH_FIRST.get(form)
    if other is not None and len(texts) > 1:
        rival, _ = _parsed(texts, (other,))
        if int((rival != _NAT).sum()) >= int((best != _NAT).sum()):
            note("day-first", len(texts), [f"{t}" for t in texts[:3]])
    return best


def _times(texts: Sequence[str]) -> _I64:
    """Return times of day in ns; NAT where unreadable."""
    if all(t.isdigit() for t in texts if t):
        value = np.array([int(t) if t else -1 for t in texts], dtype=np.int64)
        if max(len(t) for t in texts) <= 4:
            value = value * 100
        hour, minute, second = value // 10_000, value // 100 % 100, value % 100
        good = (value >= 0) & (hour < 24) & (minute < 60) & (second < 60)
        return np.where(good, ((hour * 60 + minute) * 60 + second) * SECOND, _NAT)
    found = np.full(len(texts), _NAT)
    for form in _TIMES:  # a file may mix them: none can be read as another
        rest = np.flatnonzero(found == _NAT)
        if len(rest):
            dated = [f"1970-01-01 {texts[i]}" for i in rest.tolist()]
            found[rest], _ = _parsed(dated, [f"%Y-%m-%d {form}"])
    return found


def _parsed(texts: Sequence[str], forms: Sequence[str]) -> tuple[_I64, str]:
    best, chosen, most = np.full(len(texts), _NAT), "", 0
    series = pd.Series(list(texts), dtype=object)
    for form in forms:
        found = pd.to_datetime(series, format=form, errors="coerce")
        known = int(found.notna().sum())
        if known > most:
            best, chosen, most = _ns(pd.DatetimeIndex(found)), form, known
        if most == len(texts):
            break
    return best, chosen


def _ns(index: pd.DatetimeIndex) -> _I64:
    return np.asarray(index.as_unit("ns").asi8)


def _starts(table: _Table, tz: str, note: Note) -> _I64:
    """Return UTC times of the rows; NAT where unreadable."""
    columns = table.columns
    if "datetime" not in columns and "time" not in columns:
        columns = columns | {"datetime": columns["date"]}
    if "datetime" in columns:
        return _moments(columns["datetime"], tz, note)
    which_date, dates = _dictionary(columns["date"])
    which_time, times = _dictionary(columns["time"])
    if pa.types.is_timestamp(columns["date"].type):
        dates = [d[:10] for d in dates]
    if pa.types.is_timestamp(columns["time"].type):
        times = [t[11:19] for t in times]
    day, clock = _dates(dates, note)[which_date], _times(times)[which_time]
    known = (day != _NAT) & (clock != _NAT)
    return np.where(known, _to_utc(np.where(known, day + clock, 0), tz), _NAT)


def _moments(column: pa.ChunkedArray, tz: str, note: Note) -> _I64:
    kind = column.type
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
        values = np.asarray(pc.fill_null(naive, _NAT).to_numpy())
        if kind.tz:
            return values
        return np.where(values == _NAT, _NAT, _to_utc(np.where(values == _NAT, 0, values), tz))
    which, texts = _dictionary(column)
    if all(re.fullmatch(r"\d{10}|\d{13}|\d{16}|\d{19}", t) for t in texts if t):
        epoch = [int(t) * 10 ** (19 - len(t)) if t else _NAT for t in texts]
        return np.array(epoch, dtype=np.int64)[which]
    series = pd.Series(texts, dtype=object)
    aware = any(re.search(r"(?:Z|[+-]\d\d:?\d\d)$", t[10:]) for t in texts)
    found = pd.DatetimeIndex(pd.to_datetime(series, format="ISO8601", errors="coerce", utc=aware))
    moments = _ns(found)
    if aware:
        return moments[which]
    if bool(found.isna().any()):
        halves = [t.replace("T", " ").partition(" ") for t in texts]
        day = _dates([a for a, _, _ in halves], note)
        clock = _times([b.strip() for _, _, b in halves])
        moments = np.where((day != _NAT) & (clock != _NAT), day + clock, _NAT)
    known = moments != _NAT
    return np.where(known, _to_utc(np.where(known, moments, 0), tz), _NAT)[which]


def _to_utc(local: _I64, tz: str) -> _I64:
    index = pd.DatetimeIndex(local).tz_localize(tz, ambiguous="NaT", nonexistent="NaT")
    return _ns(index)


def _stamped(start: _I64, stamp: str, step: Ns) -> tuple[_I64, str]:
    """Move stamps to the starts of bars; say by which rule."""
    known = start != _NAT
    if bool(known.any()) and bool((start[known] % MINUTE == 59 * SECOND).all()):
        return np.where(known, start - 59 * SECOND, _NAT), "last-second"
    if stamp == "end":
        return np.where(known, start - step, _NAT), "end-stamped"
    return start, ""


def _step(start: _I64, code: _I64, tz: str) -> Ns:
    """Return the length of a bar: what most rows of a contract are apart."""
    order = np.lexsort((start, code))
    at, of = start[order], code[order]
    day = local_days(at, tz)
    apart = np.diff(at)[(np.diff(of) == 0) & (np.diff(day) == 0)]
    apart = apart[apart > 0]
    if not len(apart):
        return MINUTE
    sizes, counts = np.unique(apart, return_counts=True)
    common = int(sizes[counts.argmax()])
    if common < MINUTE:
        raise ImportRefused(
            f"Most rows of a contract are {common / 1e9:g} s apart: these are no minute bars. "
            "Ticks and seconds are not read in this version."
        )
    if common == MINUTE:
        return MINUTE
    whole = sizes[sizes % MINUTE == 0]
    return int(np.gcd.reduce(whole)) if len(whole) else MINUTE


# --- contracts ---------------------------------------------------------------------------------


def contract(parsed: Parsed, lot: int = 1, tick: int = 5) -> ContractSpec:
    """Return the contract that a name means."""
    return ContractSpec(
        parsed.asset,
        parsed.symbol,
        parsed.expiry,
        parsed.strike,
        parsed.right,
        lot=lot,
        tick=tick,
        exchange=exchange_for(parsed.symbol),
    )


class _Contracts:
    """The contracts of a file by number, each with its dated terms."""

    def __init__(self, market: India, report: QualityReport) -> None:
        self.specs: list[ContractSpec] = []
        self._market = market
        self._report = report
        self._number: dict[Parsed, int] = {}

    def number(self, parsed: Parsed, on: date, level: float) -> int:
        """Return a contract's number; the first time, its lot and tick are looked up."""
        if parsed not in self._number:
            self._number[parsed] = len(self.specs)
            lot, tick = 1, 5
            if parsed.expiry is not None:
                lot, tick = self._terms(parsed, parsed.expiry, on, level)
            self.specs.append(contract(parsed, lot, tick))
        return self._number[parsed]

    def _terms(self, parsed: Parsed, expiry: date, on: date, level: float) -> tuple[int, int]:
        lot, tick = 1, 5
        try:
            lot = self._market.lot_size(parsed.symbol, expiry)
        except UsageError as error:
            self._report.add("noted", "lot-unknown", 1, [f"{parsed}: {error}"])
        kind: Any = parsed.asset
        try:
            tick = round(self._market.tick_size(parsed.symbol, kind, on, level=level) * 100)
        except UsageError as error:
            self._report.add("noted", "tick-unknown", 1, [f"{parsed}: {error}"])
        return lot, tick


def _codes(
    names: Sequence[str], which: _I64, days: _I64, close: _F64, contracts: _Contracts
) -> tuple[_I64, dict[str, str]]:
    """Return each row's contract (-1: none), and why names could not be read.

    A name is read once, unless it means another contract at its last day than at its first: a
    continuous future is read day by day.
    """
    code = np.full(len(which), -1)
    wrong: dict[str, str] = {}
    order = np.argsort(which, kind="stable")
    heads = np.searchsorted(which[order], np.arange(len(names) + 1))
    for i, name in enumerate(names):
        rows = order[heads[i] : heads[i + 1]]
        if not len(rows):
            continue
        level = float(np.nanmedian(close[rows])) if np.isfinite(close[rows]).any() else 0.0
        first, last = int(days[rows].min()), int(days[rows].max())
        try:
            early = parse_symbol(name, date.fromordinal(_EPOCH + first))
            late = early if first == last else _at(name, last, early)
            if early == late:
                code[rows] = contracts.number(early, date.fromordinal(_EPOCH + first), level)
                continue
            for day in np.unique(days[rows]):
                on = date.fromordinal(_EPOCH + int(day))
                code[rows[days[rows] == day]] = contracts.number(parse_symbol(name, on), on, level)
        except (ContractNotFound, NoSchedule) as error:
            wrong[name] = str(error)
    return code, wrong


def _at(name: str, day: int, early: Parsed) -> Parsed:
    """Read a name at its last day; rows after a contract's end are another rule's business."""
    try:
        return parse_symbol(name, date.fromordinal(_EPOCH + day))
    except ContractNotFound:
        return early


def _check_name(file: Path, header: str, specs: Sequence[ContractSpec]) -> None:
    """Refuse a file of one index whose own name says another."""
    if len(specs) != 1 or specs[0].asset != "index":
        return
    words = re.split(r"[^A-Z0-9&]+", file.name.upper())
    said = {INDEX_NAMES[w] for w in words if w in INDEX_NAMES}
    found = specs[0].symbol
    if said and found not in said:
        other = sorted(said)[0]
        raise ImportRefused(
            f"{file.name} is named for {other}, and its column {header} says {found} in every row. "
            f'Say which it is: symbol="{other}" or symbol="{found}".'
        )


# --- all together ------------------------------------------------------------------------------


def read(
    file: Path,
    market: India,
    *,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    stamp: str = "start",
    bar: str | None = None,
    **unknown: object,
) -> Sheet:
    """Read a file of bars in long form.

    Parameters
    ----------
    symbol
        Name of the only instrument in it, in place of what the file says.
    columns
        Names of columns that the alias table does not know: ``{"open": "LTP"}``.
    stamp
        `"start"` or `"end"`: what of its bar a time names.
    bar
        Length of a bar, such as `"5min"`; default: seen from the rows.

    Raises
    ------
    ImportRefused
        No such columns, nothing that can be read, or a name that contradicts the file's.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, ("symbol", "columns", "stamp", "bar", "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for minute bars. {hint}")
    if stamp not in ("start", "end"):
        raise ImportRefused(f'stamp={stamp!r} was given; it is "start" or "end".')
    table = _table(file, columns or {})
    report = QualityReport(file.name, table.kind, rows=len(table.line) + len(table.ragged))
    renamed = [f"{role} = {name}" for role, name in table.headers.items() if name.lower() != role]
    if renamed:
        report.remarks.append("columns: " + ", ".join(renamed))
    report.add(
        "quarantined",
        "ragged-row",
        len(table.ragged),
        [f"line {n}: {text}" for n, text in table.ragged],
    )
    start = _starts(table, market.tz, lambda r, n, s: report.add("noted", r, n, s))
    close = _numbers(table.columns["close"])
    repairs: list[tuple[str, _I64]] = []
    if symbol is not None:
        which, names = np.zeros(len(start), dtype=np.int64), [symbol]
        repairs += _given(table, symbol, report)
    elif "symbol" in table.columns:
        which, names = _dictionary(table.columns["symbol"])
    else:
        raise ImportRefused(
            f"{file.name} has no column that names the instrument "
            f"({', '.join(ALIASES['symbol'])}); "
            'say what it holds, such as symbol="NIFTY".'
        )
    known = start != _NAT
    step = duration(bar) if bar else _step(start[known], which[known], market.tz)
    start, moved = _stamped(start, stamp, step)
    if moved:
        repairs.append((moved, table.line))
    if step != MINUTE:
        report.remarks.append(f"bars of {step // MINUTE} minutes")
    days = np.where(known, local_days(np.where(known, start, 0), market.tz), -1)
    contracts = _Contracts(market, report)
    code = np.full(len(start), -1)
    found, wrong = _codes(names, which[known], days[known], close[known], contracts)
    code[known] = found
    if symbol is None:
        _check_name(file, table.headers["symbol"], contracts.specs)
    elif wrong:
        raise ImportRefused(f"symbol={symbol!r} was given: {wrong[symbol]}")
    report.add_lines("quarantined", "unreadable-time", table.line[~known].tolist(), table.show)
    nameless = known & (code < 0)
    report.add_lines("quarantined", "unreadable-symbol", table.line[nameless].tolist(), table.show)
    report.remarks += list(wrong.values())[:3]
    rows = Rows(
        table.line,
        code,
        start,
        *(_numbers(table.columns[name]) for name in _PRICES),
        *(_numbers(table.columns[n]) if n in table.columns else None for n in ("volume", "oi")),
    )
    rows.keep(code >= 0)
    return Sheet(rows, contracts.specs, step, report, table.show, repairs)


def _given(table: _Table, symbol: str, report: QualityReport) -> list[tuple[str, _I64]]:
    """Return the rows whose own name is replaced by the one given."""
    if "symbol" not in table.columns:
        report.remarks.append(f"instrument: {symbol}, as given (the file names none)")
        return []
    _, names = _dictionary(table.columns["symbol"])
    if len(names) > 1:
        raise ImportRefused(
            f"symbol={symbol!r} was given, but the file's column {table.headers['symbol']} names "
            f"{len(names)} instruments ({', '.join(names[:3])} …); leave it out."
        )
    if names and names[0].upper() != symbol.upper():
        return [("symbol-given", table.line)]
    return []
