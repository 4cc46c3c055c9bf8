"""Minute bars as LEAN stores them: a zip a day, in it a text without header for each contract.

    index/india/minute/nifty50/20240102_trade.zip           20240102_nifty50_minute_trade.csv
    indexoption/india/minute/nifty50/20240102_quote_european.zip
        20240102_nifty50_minute_quote_european_call_220000000_20240229.csv

    trade          ms since local midnight, open, high, low, close, volume
    quote          ms, bid open, high, low, close, size, ask open, high, low, close, size
    openinterest   ms, contracts

One zip, or a folder of them: then the trades, quotes and open interest of a contract are joined.
Prices are ten-thousandths, those of an index are not; volumes and open interest of options are
contracts. (Data/option/readme.md and Data/equity/readme.md in LEAN's repository.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.errors import ContractNotFound, ImportRefused, NoSchedule, did_you_mean
from bestbt.markets.india import SYMBOLS, India
from bestbt.markets.symbols import INDEX_NAMES, parse_symbol
from bestbt.store.importers.archives import Unpacker, is_zip, parts
from bestbt.store.importers.columns import to_utc
from bestbt.store.importers.contracts import Contracts
from bestbt.store.importers.source import Source
from bestbt.store.quality import QualityReport
from bestbt.store.sanitise import Rows, Sheet
from bestbt.units import DAY, MINUTE

__all__ = ["read", "shows"]

_SCALE = 10_000  # a price in the file of one unit of currency
_CENTS = 100
_MS = 1_000_000  # ns
_WIDTH = {"trade": 6, "quote": 11, "openinterest": 2}
_ZIP = re.compile(r"^(\d{8})_(trade|quote|openinterest)(_american|_european)?\.zip$", re.I)
_ENTRY = re.compile(
    r"^(?P<day>\d{8})_(?P<symbol>[^/]+?)_(?P<length>minute|second|tick|hour|daily)"
    r"_(?P<what>trade|quote|openinterest)"
    r"(?:_(?P<style>american|european)_(?P<right>call|put)_(?P<strike>\d+)_(?P<expiry>\d{8}))?"
    r"\.csv$",
    re.I,
)
_KINDS = ("equity", "index", "option", "indexoption", "future", "futureoption", "forex", "crypto")
_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]


def shows(source: Source) -> bool:
    """Whether a path is a zip archive with LEAN's names in it, or a folder of such."""
    if source.path.is_dir():
        return any(_ZIP.match(file.name) for file in source.path.rglob("*.zip"))
    return is_zip(source.path) and any(_ENTRY.match(p.name) for p in parts(source.path)[0])


@dataclass(slots=True)
class _Lines:
    """Rows of one kind, of all contracts; `line` is a row's number in the import."""

    code: list[_I64] = field(default_factory=list)
    line: list[_I64] = field(default_factory=list)
    start: list[_I64] = field(default_factory=list)
    values: list[_F64] = field(default_factory=list)

    def table(self, width: int) -> tuple[_I64, _I64, _I64, _F64]:
        """Return code, line, start and values, in order of contract, time and place."""
        if not self.code:
            none = np.empty(0, dtype=np.int64)
            return none, none, none, np.empty((0, width))
        code, line, start = (np.concatenate(c) for c in (self.code, self.line, self.start))
        order = np.lexsort((line, start, code))
        return code[order], line[order], start[order], np.concatenate(self.values)[order]


class _Part(NamedTuple):
    """One text: its first row's number, where it is, its lines."""

    first: int
    where: str
    lines: list[str]


class _Reading:
    """The texts of an import, row by row."""

    def __init__(self, market: India, report: QualityReport, symbol: str | None) -> None:
        self.market = market
        self.report = report
        self.symbol = symbol
        self.contracts = Contracts(market, report)
        self.lines = {what: _Lines() for what in _WIDTH}
        self.parts: list[_Part] = []
        self.count = 0

    def show(self, line: int) -> str:
        """Write out a row."""
        at = max(i for i, part in enumerate(self.parts) if part.first <= line)
        part = self.parts[at]
        return f"{part.where} line {line - part.first + 1}: {part.lines[line - part.first]}"

    def add(self, file: Path, entry: str, content: bytes) -> None:
        """Read one text, or set it aside."""
        lines = content.decode("ascii", errors="replace").splitlines()
        first = self.count
        self.count += len(lines)
        self.parts.append(_Part(first, f"{file.name}/{entry}", lines))
        numbers = np.arange(first, first + len(lines))
        named, zipped = _ENTRY.match(entry), _ZIP.match(file.name)
        if named is None:
            return self._aside("unreadable-name", numbers)
        if named["length"].lower() != "minute":
            raise ImportRefused(
                f"{file.name} holds {named['length'].lower()} data; of LEAN's data bestbt reads "
                "minutes."
            )
        if zipped and zipped[1] != named["day"]:
            return self._aside("other-day", numbers)
        what = named["what"].lower()
        width = _WIDTH[what]
        fields = [line.split(",") for line in lines]
        whole = np.array([len(f) == width for f in fields], dtype=bool)
        self._aside("ragged-row", numbers[~whole])
        numbers = numbers[whole]
        if not len(numbers):
            return None
        flat = pd.Series([v for f, w in zip(fields, whole, strict=True) if w for v in f])
        values = np.asarray(pd.to_numeric(flat, errors="coerce"), dtype=np.float64)
        values = values.reshape(-1, width)
        day = _day(named["day"])
        timed = (values[:, 0] >= 0) & (values[:, 0] * _MS < DAY) & (day is not None)
        self._aside("unreadable-time", numbers[~timed])
        numbers, values = numbers[timed], values[timed]
        if not len(numbers) or day is None:
            return None
        code, scale = self._contract(file, named, day, values)
        if code < 0:
            return self._aside("unreadable-symbol", numbers)
        local = np.datetime64(day).astype("datetime64[ns]").astype(np.int64)
        start = to_utc(local + values[:, 0].astype(np.int64) * _MS, self.market.tz)
        prices = {"trade": [1, 2, 3, 4], "quote": [1, 2, 3, 4, 6, 7, 8, 9], "openinterest": []}
        values[:, prices[what]] /= scale
        into = self.lines[what]
        into.code.append(np.full(len(numbers), code))
        into.line.append(numbers)
        into.start.append(start)
        into.values.append(values[:, 1:])
        return None

    def _aside(self, reason: str, numbers: _I64) -> None:
        self.report.add_lines("quarantined", reason, numbers.tolist(), self.show)

    def _contract(
        self, file: Path, named: re.Match[str], day: date, values: _F64
    ) -> tuple[int, int]:
        """Return the contract of a text (-1: none), and what its prices are divided by."""
        kind, country = _place(file)
        name = self.symbol or named["symbol"].upper()
        derivative = named["right"] is not None
        index = INDEX_NAMES.get(re.sub(r"\s+", "", name.upper()))
        foreign = country not in (None, "india") or (index not in SYMBOLS if derivative else False)
        fractions = named["what"].lower() == "trade" and bool((values[:, 1:5] % 1 > 0).any())
        if foreign or kind in _KINDS[4:] or (index is None and (kind == "index" or fractions)):
            what = f"of the market {country!r}" if country else f"of {name}"
            raise ImportRefused(
                f"{file.name} is LEAN data {what}; bestbt knows the sessions and expiries of "
                "Indian exchanges alone, and their equities, indices and index options."
            )
        text = index or name
        if derivative:
            strike = int(named["strike"]) / _SCALE
            expiry = _day(named["expiry"])
            right = "CE" if named["right"].lower() == "call" else "PE"
            text = f"{text} {expiry} {strike:.10g} {right}"
        try:
            parsed = parse_symbol(text, day)
            level = float(np.nanmedian(values[:, 1])) if np.isfinite(values[:, 1]).any() else 0.0
            code = self.contracts.number(parsed, day, level / _SCALE)
        except (ContractNotFound, NoSchedule) as error:
            if str(error) not in self.report.remarks and len(self.report.remarks) < 3:
                self.report.remarks.append(str(error))
            return -1, 1
        return code, 1 if parsed.asset == "index" else _SCALE


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _place(file: Path) -> tuple[str | None, str | None]:
    """Return the kind and the market that a zip's folders name, as LEAN lays them out."""
    parts = [part.lower() for part in file.resolve().parts]
    if len(parts) > 4 and parts[-3] == "minute" and parts[-5] in _KINDS:
        return parts[-5], parts[-4]
    return None, None


def _zips(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*.zip") if _ZIP.match(file.name))
    else:
        yield path


def read(source: Source, market: India, *, symbol: str | None = None, **unknown: object) -> Sheet:
    """Read a zip of LEAN's, or a folder of them.

    Parameters
    ----------
    symbol
        The underlying, in place of what the names say.

    Raises
    ------
    ImportRefused
        Data of other countries, of seconds, ticks or days; archives that are damaged or not safe.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, ("symbol", "again", "check_level"))
        raise ImportRefused(f"No option {name!r} for LEAN's zips. {hint}")
    report = QualityReport(source.name, "LEAN minutes")
    reading = _Reading(market, report, symbol)
    with Unpacker() as unpacker:
        for file in _zips(source.path):
            for part in parts(file)[0]:
                reading.add(file, part.name, unpacker.content(part))
    return _joined(reading)


def _joined(reading: _Reading) -> Sheet:
    """Join the trades, quotes and open interest of each contract and minute into one row."""
    report, specs = reading.report, reading.contracts.specs
    code, line, start, trade = reading.lines["trade"].table(5)
    q_code, q_line, q_start, quote = reading.lines["quote"].table(10)
    again = np.zeros(len(q_code), dtype=bool)
    again[:-1] = (np.diff(q_code) == 0) & (np.diff(q_start) == 0)
    report.add_lines("quarantined", "duplicate", q_line[again].tolist(), reading.show)
    q_code, q_line, q_start = q_code[~again], q_line[~again], q_start[~again]
    quote = quote[~again]
    bid, ask = quote[:, :4], quote[:, 5:9]
    beside = _match(code, start, q_code, q_start)
    alone = ~np.isin(np.arange(len(q_code)), beside[beside >= 0])
    both = np.isfinite(bid).all(axis=1) & np.isfinite(ask).all(axis=1)
    both &= (bid > 0).all(axis=1) & (ask > 0).all(axis=1)
    report.add_lines("quarantined", "one-quote", q_line[alone & ~both].tolist(), reading.show)
    of_mid = alone & both
    middle = np.rint((bid + ask)[of_mid] / 2 * _CENTS) / _CENTS

    def beside_trade(side: _F64) -> _F64:
        close = np.append(side[:, 3], np.nan)
        return np.concatenate((close[beside], side[of_mid, 3]))  # -1: the last, which is none

    codes = np.concatenate((code, q_code[of_mid]))
    starts = np.concatenate((start, q_start[of_mid]))
    lots = np.array([s.lot for s in specs] or [1])[codes]
    prices = np.concatenate((trade[:, :4], middle))
    volume = np.concatenate((trade[:, 4], np.zeros(len(middle)))) * lots
    rows = Rows(
        np.concatenate((line, q_line[of_mid])),
        codes,
        starts,
        prices[:, 0],
        prices[:, 1],
        prices[:, 2],
        prices[:, 3],
        volume,
        _open_interest(reading, codes, starts, lots),
        beside_trade(bid) if len(q_code) else None,
        beside_trade(ask) if len(q_code) else None,
    )
    counted = sum(report.quarantined.values())
    report.rows = counted + len(codes)
    kinds = {what: sum(map(len, lines.line)) for what, lines in reading.lines.items()}
    report.remarks.append(
        "joined from rows of " + ", ".join(f"{what} {n:,}" for what, n in kinds.items() if n)
    )
    made = rows.line[len(line) :]
    if not len(codes):
        raise ImportRefused(f"{report.file} holds no trades and no quotes.\n{report}")
    return Sheet(rows, specs, MINUTE, report, reading.show, [("mid-of-quotes", made)])


def _match(code: _I64, start: _I64, q_code: _I64, q_start: _I64) -> _I64:
    """Return for each trade the quote of its contract and minute, -1 where there is none."""
    if not len(q_code) or not len(code):
        return np.full(len(code), -1)
    moments = np.unique(np.concatenate((start, q_start)))
    key = code * len(moments) + np.searchsorted(moments, start)
    q_key = q_code * len(moments) + np.searchsorted(moments, q_start)
    at = np.minimum(np.searchsorted(q_key, key), len(q_key) - 1)
    return np.where(q_key[at] == key, at, -1)


def _open_interest(reading: _Reading, code: _I64, start: _I64, lots: _I64) -> _F64 | None:
    """Return each row's open interest: the newest of its contract and day, in units."""
    o_code, _, o_start, values = reading.lines["openinterest"].table(1)
    if not len(o_code):
        return None
    moments = np.unique(np.concatenate((start, o_start)))
    o_key = o_code * len(moments) + np.searchsorted(moments, o_start)
    key = code * len(moments) + np.searchsorted(moments, start)
    at = np.searchsorted(o_key, key, side="right") - 1
    mine = (at >= 0) & (o_code[at] == code) & (start - o_start[at] < DAY)
    return np.where(mine, values[at, 0] * lots, np.nan)
