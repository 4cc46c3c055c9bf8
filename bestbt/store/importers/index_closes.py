"""Official closes of indices by day: what options settle on.

    Index Name,Index Date,Open Index Value,…,Closing Index Value,…      the exchange's daily report
    symbol,date,close                                                   any other table of three

Both are CSV, gzipped or not, in any order of columns. Only indices with options are kept; the
other rows of the exchange's report are set aside as such.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from pathlib import Path

import numpy as np

from bestbt.errors import ImportRefused, did_you_mean
from bestbt.markets.india import India
from bestbt.markets.symbols import INDEX_NAMES
from bestbt.store.quality import QualityReport
from bestbt.units import RawPrice

__all__ = ["ALIASES", "Close", "Closes", "read", "shows_closes"]

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
_HEAD = 1 << 14


@dataclass(frozen=True, slots=True)
class Close:
    """One official close, as a raw price; `line` is its line in the file."""

    line: int
    symbol: str
    day: date
    raw: RawPrice

    def __str__(self) -> str:
        return f"line {self.line}: {self.symbol} {self.day} {self.raw / _SCALE:.2f}"


@dataclass(slots=True)
class Closes:
    """A file of closes as it was understood, by symbol and day, and what became of other rows."""

    rows: list[Close]
    report: QualityReport


def shows_closes(file: Path) -> bool:
    """Whether a file's header is that of official closes, and not of bars."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    try:
        if head[:2] == b"\x1f\x8b":
            head = zlib.decompressobj(31).decompress(head)
    except zlib.error:
        return False
    if b"\0" in head:
        return False
    lines = _text(head).splitlines()
    names = {_plain(h) for h in _header(lines)[1]}
    if ALIASES["close"][0] in names:
        return True
    roles = (names & set(ALIASES[role]) for role in ("date", "close"))
    return all(roles) and not names & _OF_BARS


def read(
    file: Path,
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
    lines = _lines(file)
    first, headers = _header(lines)
    places = _places(file, headers, columns or {}, given)
    report = QualityReport(file.name, "official index closes")
    kept: dict[tuple[str, date], Close] = {}
    rows = csv.reader(lines[first + 1 :], delimiter=_delimiter(lines[first]))
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
        raise ImportRefused(f"{file.name} has a header and no rows; get the file again.")
    return Closes(sorted(kept.values(), key=lambda c: (c.symbol, c.day)), report)


def _lines(file: Path) -> list[str]:
    content = file.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ImportRefused(
            f"{file.name} cannot be read ({error}); it may be cut off: get it again."
        ) from None
    if not content.strip() or b"\0" in content:
        raise ImportRefused(f"{file.name} is no text; official closes come as CSV.")
    return _text(content).splitlines()


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _delimiter(line: str) -> str:
    return max(",;\t|", key=line.count)


def _header(lines: Sequence[str]) -> tuple[int, list[str]]:
    """Return the number of the first line with text, and its fields."""
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return 0, []
    return first, next(csv.reader([lines[first]], delimiter=_delimiter(lines[first])))


def _plain(header: str) -> str:
    return re.sub(r"[^a-z0-9]", "", header.lower())


def _places(
    file: Path, headers: Sequence[str], columns: Mapping[str, str], given: str | None
) -> dict[str, int]:
    """Return which column means what; refuse, saying what was tried."""
    plain = [_plain(h) for h in headers]
    found: dict[str, int] = {}
    for role, aliases in ALIASES.items():
        wanted = (_plain(columns[role]),) if role in columns else aliases
        place = next((plain.index(a) for a in wanted if a in plain), None)
        if place is not None:
            found[role] = place
    missing = [r for r in ALIASES if r not in found and not (r == "symbol" and given)]
    if missing:
        tried = "; ".join(f"{r}: {', '.join(ALIASES[r])}" for r in missing)
        hint = ' Say which index it is, such as symbol="NIFTY".' if missing == ["symbol"] else ""
        raise ImportRefused(
            f"{file.name} lacks {', '.join(missing)}. Columns found: {', '.join(headers)}. "
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
    day = _date(row[places["date"]].strip())
    if day is None:
        return "unreadable-time", None
    if not market.is_trading_day(day):
        return "no-session", None
    try:
        value = float(row[places["close"]].replace(",", ""))
    except ValueError:
        return "no-close", None
    if not isfinite(value):
        return "no-close", None
    if value <= 0:
        return "price-not-positive", None
    if value * _SCALE > np.iinfo(np.int32).max:
        return "price-too-large", None
    raw = round(value * _SCALE)
    if abs(raw - value * _SCALE) > _NOISE:
        report.add("repaired", "rounded", 1, [f"line {line}: {value!r}"])
    return "", Close(line, symbol, day, raw)


def _date(text: str) -> date | None:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None
