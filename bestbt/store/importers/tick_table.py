"""A table of ticks as a `TickSheet`: times, contracts and numbers of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from bestbt.errors import ImportRefused, UsageError, did_you_mean
from bestbt.markets.india import India, find_expiry
from bestbt.store.importers.columns import NAT, coded, read_dates, read_times, to_utc
from bestbt.store.importers.contracts import Contracts, codes
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import Table
from bestbt.store.quality import QualityReport
from bestbt.store.sanitise import local_days
from bestbt.store.tick_rules import CLOCK_SET, TickRows, TickSheet, Volumes

__all__ = [
    "contract_name",
    "moments",
    "named_by_file",
    "no_options",
    "number_rows",
    "table_report",
    "tick_sheet",
    "volume_kind",
]

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
_FILE = re.compile(
    r"^(.+?)(?:_\d{8}|_\d{4}[-_]\d\d[-_]\d\d)?(?:\.(?:txt|csv|json|log|gz))*$", re.IGNORECASE
)
_INDEX = re.compile(r"\.(?:NSE|BSE)_IDX$")
_SIX = re.compile(r"([A-Z&-]+?)(\d\d)(\d\d)(\d\d)(\d+(?:\.\d+)?)(CE|PE)")


def contract_name(text: str) -> str:
    """Return a vendor's name of a contract as one that `parse_symbol` reads.

    An index may have its segment behind it, and an option its expiry as six digits.

    >>> contract_name("NIFTY 50.NSE_IDX"), contract_name("NIFTY24010421700CE")
    ('NIFTY 50', 'NIFTY 2024-01-04 21700 CE')
    """
    name = _INDEX.sub("", text.strip().upper())
    if found := _SIX.fullmatch(name):
        symbol, year, month, day, strike, right = found.groups()
        try:
            expiry = date(2000 + int(year), int(month), int(day))
            if find_expiry(symbol, expiry) is not None:
                return f"{symbol} {expiry} {strike} {right}"
        except (ValueError, UsageError):  # those digits are no date: month, day and a strike
            return name
    return name


def named_by_file(source: Source, symbol: str | None, report: QualityReport) -> str:
    """Return the contract of a file of one: what was said, else the file's name without its day."""
    if symbol is not None:
        return symbol
    named = _FILE.match(source.own_name)
    name = named[1] if named else source.own_name
    report.remarks.append(f"instrument: {name}, from the file's name")
    return name


def volume_kind(given: object, usual: Volumes) -> tuple[Volumes, bool]:
    """Return what volume is, and whether a person said so."""
    if given is None:
        return usual, False
    if given not in ("total", "each"):
        raise ImportRefused(
            f'volumes={given!r} was given; it is "total" (the day\'s so far) or "each" (the '
            "tick's own)."
        )
    return ("total" if given == "total" else "each"), True


def no_options(unknown: dict[str, object], what: str, known: Sequence[str]) -> None:
    """Refuse options that a format of ticks does not have."""
    if unknown:
        name = next(iter(unknown))
        raise ImportRefused(f"No option {name!r} for {what}. {did_you_mean(name, known)}")


def number_rows(columns: Sequence[npt.NDArray[np.generic]]) -> _I64:
    """Return a number for each row: two are the same where all columns are."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, own = np.unique(column, return_inverse=True)
        _, number = np.unique(number * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    return number.astype(np.int64)


def _silent(rule: str, rows: int, samples: list[str]) -> None:
    """A form that is known leaves nothing to note."""


def moments(table: Table, tz: str, form: str) -> _I64:
    """Return UTC times of ``date``, in a vendor's form, and ``time``; NAT where unreadable."""
    which_date, days = coded(table.columns["date"])
    which_time, clocks = coded(table.columns["time"])
    day, clock = read_dates(days, _silent, form)[which_date], read_times(clocks)[which_time]
    known = (day != NAT) & (clock != NAT)
    return np.where(known, to_utc(np.where(known, day + clock, 0), tz), NAT)


def tick_sheet(
    market: India,
    report: QualityReport,
    line: _I64,
    show: Callable[[int], str],
    names: Sequence[str],
    which: _I64,
    time: _I64,
    numbers: Mapping[str, _F64],
    rest: _I64,
    kind: tuple[Volumes, bool],
) -> TickSheet:
    """Return rows as a sheet; those without a time or a contract are set aside.

    Parameters
    ----------
    line, show
        Numbers of the rows in the file, and what writes one out.
    names, which
        Names of contracts, and which of them each row has.
    time
        UTC, NAT where unreadable.
    numbers
        ``price`` and, where there are such, ``volume``, ``oi``, ``bid`` and ``ask``.
    rest
        A number for what is not stored of a row.
    kind
        What the volume is, and whether that is sure.
    """
    known = time != NAT
    days = np.where(known, local_days(np.where(known, time, 0), market.tz), -1)
    dated = known & (time >= CLOCK_SET)  # an unset clock names no expiry
    contracts = Contracts(market, report)
    read = [contract_name(name) for name in names]
    code = np.full(len(time), -1)
    price = numbers["price"]
    code[dated], wrong = codes(read, which[dated], days[dated], price[dated], contracts)
    for reason, mask in (
        ("clock-unset", known & ~dated),
        ("unreadable-time", ~known),
        ("unreadable-symbol", dated & (code < 0)),
    ):
        report.add_lines("quarantined", reason, line[mask].tolist(), show)
    report.remarks += list(wrong.values())[:3]
    volume, oi, bid, ask = (numbers.get(name) for name in ("volume", "oi", "bid", "ask"))
    rows = TickRows(line, code, time, price, volume, oi, bid, ask, rest)
    rows.keep(code >= 0)
    if not len(rows.line):
        raise ImportRefused(f"No row of {report.file} could be stored.\n{report}")
    return TickSheet(rows, contracts.specs, report, show, *kind)


def table_report(name: str, table: Table) -> QualityReport:
    """Return the report of a table's rows, those that are ragged set aside."""
    report = QualityReport(name, table.kind, rows=len(table.line) + len(table.ragged))
    ragged = [f"line {n}: {text}" for n, text in table.ragged]
    report.add("quarantined", "ragged-row", len(ragged), ragged)
    return report
