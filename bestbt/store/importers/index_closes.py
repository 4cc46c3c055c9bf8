"""Official closes of indices by day: what options settle on.

    Index Name,Index Date,Open Index Value,…,Closing Index Value,…      the exchange's daily report
    symbol,date,close                                                   any other table of three

Both are CSV, gzipped or not, in any order of columns. Only indices with options are kept; the
other rows of the exchange's report are set aside as such.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import isfinite
from typing import NamedTuple

import numpy as np

from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.markets.symbols import INDEX_NAMES
from bestbt.store.importers.columns import plain
from bestbt.store.importers.source import Source
from bestbt.store.quality import QualityReport
from bestbt.units import RawPrice

__all__ = [
    "ALIASES",
    "Close",
    "Closes",
    "Lot",
    "Settlement",
    "read",
    "read_date",
    "read_price",
    "shows",
]

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("indexname", "index", "symbol", "ticker", "instrument", "name"),
    "date": ("indexdate", "date", "day", "tradedate", "historicaldate"),
    "close": ("closingindexvalue", "officialclose", "close", "closeprice", "closevalue"),
}
# With one of these beside it a close is that of a bar.
_OF_BARS = {"time", "datetime", "timestamp", "open", "high", "low", "bartime", "tradetime"}
_DATES = ("%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%d-%b-%Y", "%d %b %Y", "%Y%m%d", "%d.%m.%Y")
_SCALE = 100
_NOISE = 1e-3


@dataclass(frozen=True, slots=True)
class Close:
    """One official close, as a raw price; `line` is its line in the file, 0 if it has none."""

    line: int
    symbol: str
    day: date
    raw: RawPrice
    part: str = ""  # the file's name in an archive
    counts: bool = True  # False: its row is counted for another thing it tells

    @property
    def where(self) -> str:
        """The line, and in an archive the file; "" of what has no line."""
        return _where(self.part, self.line)

    def __str__(self) -> str:
        said = f"{self.symbol} {self.day} {self.raw / _SCALE:.2f}"
        return f"{self.where}: {said}" if self.where else said


@dataclass(frozen=True, slots=True)
class Settlement:
    """The price on which a future was settled at the end of a day, as a raw price."""

    line: int
    spec: ContractSpec
    day: date
    raw: RawPrice
    part: str = ""

    @property
    def where(self) -> str:
        """The line, and in an archive the file; "" of what has no line."""
        return _where(self.part, self.line)

    def __str__(self) -> str:
        said = f"{self.spec} {self.day} {self.raw / _SCALE:.2f}"
        return f"{self.where}: {said}" if self.where else said


def _where(part: str, line: int) -> str:
    said = f"line {line}" if line else ""
    return f"{part}, {said}" if part else said


class Lot(NamedTuple):
    """Units in a lot of the options or futures of an expiry, as a file tells it."""

    asset: AssetType
    symbol: str
    expiry: date
    units: int


@dataclass(slots=True)
class Closes:
    """What a file tells of the ends of days, in order, and what became of its other rows."""

    rows: list[Close]
    report: QualityReport
    settlements: list[Settlement] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)


def shows(source: Source) -> bool:
    """Whether a file's header is that of official closes, and not of bars."""
    names = {plain(h) for h in source.header}
    if ALIASES["close"][0] in names:
        return True
    roles = (names & set(ALIASES[role]) for role in ("date", "close"))
    return all(roles) and not names & _OF_BARS


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    **unknown: object,
) -> Closes:
    """Read a file of official closes.

    Parameters
    ----------
    symbol
        The index, for a file that names none.
    columns
        Names of columns that the alias table does not know: ``{"close": "Settlement"}``.

    Raises
    ------
    ImportRefused
        No such columns, no rows, or an unknown index given.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, ("symbol", "columns", "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for official closes. {hint}")
    given = None if symbol is None else _index(symbol)
    if symbol is not None and given is None:
        raise ImportRefused(
            f"symbol={symbol!r} was given; official closes are of "
            f"{', '.join(sorted(set(INDEX_NAMES.values())))}."
        )
    lines = _lines(source)
    headers = source.header
    places = _places(source.name, headers, columns or {}, given)
    report = QualityReport(source.name, "official index closes")
    kept: dict[tuple[str, date], Close] = {}
    first = source.first
    rows = csv.reader(lines[first + 1 :], delimiter=source.delimiter)
    for row in rows:
        if not any(field.strip() for field in row):
            continue
        line = first + 1 + rows.line_num
        report.rows += 1
        sample = f"line {line}: {','.join(row)[:100]}"
        reason, close = _close(line, row, len(headers), places, given, market, report)
        if close is None:
            report.add("quarantined", reason, 1, [sample])
            continue
        key = (close.symbol, close.day)
        if (earlier := kept.get(key)) is not None:
            same = earlier.raw == close.raw
            reason = "duplicate-close" if same else "duplicate-close-conflict"
            report.add("quarantined", reason, 1, [str(earlier)])
        kept[key] = close
    if not report.rows:
        raise ImportRefused(f"{source.name} has a header and no rows; get the file again.")
    return Closes(sorted(kept.values(), key=lambda c: (c.symbol, c.day)), report)


def _lines(source: Source) -> list[str]:
    with source.open() as stream:
        content = stream.read()
    if not source.is_text:
        raise ImportRefused(f"{source.name} is no text; official closes come as CSV.")
    return content.decode(source.encoding, errors="replace").splitlines()


def _places(
    name: str, headers: Sequence[str], columns: Mapping[str, str], given: str | None
) -> dict[str, int]:
    """Return which column means what; refuse, saying what was tried."""
    seen = [plain(h) for h in headers]
    found: dict[str, int] = {}
    for role, aliases in ALIASES.items():
        wanted = (plain(columns[role]),) if role in columns else aliases
        place = next((seen.index(a) for a in wanted if a in seen), None)
        if place is not None:
            found[role] = place
    missing = [r for r in ALIASES if r not in found and not (r == "symbol" and given)]
    if missing:
        tried = "; ".join(f"{r}: {', '.join(ALIASES[r])}" for r in missing)
        hint = ' Say which index it is, such as symbol="NIFTY".' if missing == ["symbol"] else ""
        raise ImportRefused(
            f"{name} lacks {', '.join(missing)}. Columns found: {', '.join(headers)}. "
            f"Names tried: {tried}.{hint}"
        )
    return found


def _index(name: str) -> str | None:
    return INDEX_NAMES.get(re.sub(r"\s+", "", name.upper()))


def _close(
    line: int,
    row: Sequence[str],
    width: int,
    places: Mapping[str, int],
    given: str | None,
    market: India,
    report: QualityReport,
) -> tuple[str, Close | None]:
    """Return the close that a row tells, or why it tells none."""
    if len(row) != width:
        return "ragged-row", None
    symbol = given or _index(row[places["symbol"]])
    if symbol is None:
        return "other-index", None
    day = read_date(row[places["date"]].strip())
    if day is None:
        return "unreadable-time", None
    if not market.is_trading_day(day):
        return "no-session", None
    why, raw = read_price(
        row[places["close"]],
        lambda value: report.add("repaired", "rounded", 1, [f"line {line}: {value}"]),
    )
    return (why, None) if why else ("", Close(line, symbol, day, raw))


def read_price(text: str, rounded: Callable[[str], None] | None = None) -> tuple[str, RawPrice]:
    """Return why a text is no price, or "" and the raw price; *rounded* is told of a finer one."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return "no-close", 0
    if not isfinite(value):
        return "no-close", 0
    if value <= 0:
        return "price-not-positive", 0
    if value * _SCALE > np.iinfo(np.int32).max:
        return "price-too-large", 0
    raw = round(value * _SCALE)
    if rounded is not None and abs(raw - value * _SCALE) > _NOISE:
        rounded(repr(value))
    return "", raw


def read_date(text: str) -> date | None:
    """Return the day that a text says, the day before the month; None if none."""
    for form in _DATES:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None
