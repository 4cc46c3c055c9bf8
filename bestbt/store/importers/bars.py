"""A table of bars in long form as a `Sheet`: times, contracts and numbers of its rows.

Nothing is decided here about a row that can be read.
"""

from __future__ import annotations

import re
from zoneinfo import available_timezones

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bestbt.engine.grid import duration
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused
from bestbt.markets.india import India
from bestbt.markets.symbols import is_continuous
from bestbt.store.importers.columns import (
    NAT,
    NULLS,
    ORDERS,
    Note,
    bar_length,
    coded,
    read_dates,
    read_moments,
    read_numbers,
    read_times,
    stamped,
    to_utc,
)
from bestbt.store.importers.contracts import Contracts, check_name, codes
from bestbt.store.importers.tables import Table
from bestbt.store.quality import QualityReport
from bestbt.store.sanitise import Rows, Sheet, local_days
from bestbt.units import MINUTE, SECOND

__all__ = ["PRICES", "SYMBOL", "bars_sheet"]

PRICES = ("open", "high", "low", "close")
SYMBOL: tuple[str, ...] = ("symbol", "ticker", "instrument", "tradingsymbol", "contract")
SYMBOL += ("scrip", "name", "underlying")
"""Headers of a column that names the instrument, as `columns.plain` writes them."""
_REST = ("volume", "oi", "bid", "ask")
_PARTS = ("expiry", "strike", "right")
_RIGHTS = {"CE": "CE", "C": "CE", "CALL": "CE", "PE": "PE", "P": "PE", "PUT": "PE"}
_NO_DAY = {*NULLS, "0", "NaT"}
_WHOLE = re.compile(r"\d(?:CE|PE)$|FUT$|-I{1,3}$")  # a name that says its contract by itself
_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]


def bars_sheet(
    name: str,
    table: Table,
    market: India,
    *,
    symbol: str | None = None,
    stamp: str | None = None,
    bar: str | None = None,
    tz: str | None = None,
    dates: str | None = None,
    contract: ContractSpec | None = None,
) -> Sheet:
    """Return a table of bars as a sheet.

    The table has the roles ``open``, ``high``, ``low``, ``close``, a ``datetime``, or ``date``
    and ``time``; ``symbol`` unless *symbol* or *contract* is given, and beside it ``expiry``,
    ``strike`` and ``right`` where it names the underlying alone; ``volume``, ``oi``, ``bid`` and
    ``ask`` if it
    has them.

    Parameters
    ----------
    name
        The file's, for the report.
    symbol
        Name of the only instrument in it, in place of what the file says.
    stamp
        `"start"` or `"end"`: what of its bar a time names; default: the start, unless there is no
        doubt that it is the end. `"last-second"`, of a vendor whose bars of a minute are all
        stamped so: other times are set aside.
    bar
        Length of a bar, such as `"5min"`; default: seen from the rows.
    tz
        Whose clock the times show, such as `"UTC"`, also where they name a zone; default: the
        zone named, else the exchange's.
    dates
        `"day-first"` or `"month-first"`: how dates are read that can be read in both ways; or the
        form of a vendor's, such as `"%d/%m/%Y"`. Default: seen from the rows, the day first where
        both fit.
    contract
        The only contract in it, with terms that a vendor told, in place of *symbol*.

    Raises
    ------
    ImportRefused
        No instrument is named, or its name contradicts the file's.
    """
    if stamp not in (None, "start", "end", "last-second"):
        raise ImportRefused(f'stamp={stamp!r} was given; it is "start" or "end".')
    if dates is not None and dates not in ORDERS and "%" not in dates:
        raise ImportRefused(f'dates={dates!r} was given; it is "day-first" or "month-first".')
    if tz is not None and tz not in available_timezones():
        raise ImportRefused(f'tz={tz!r} was given; it is a zone\'s name, such as "UTC".')
    report = QualityReport(name, table.kind, rows=len(table.line) + len(table.ragged))
    renamed = [f"{role} = {h}" for role, h in table.headers.items() if h and h.lower() != role]
    if renamed:
        report.remarks.append("columns: " + ", ".join(renamed))
    ragged = dict(table.ragged)
    report.add_lines(
        "quarantined", "ragged-row", ragged, lambda n: f"{table.word} {n}: {ragged[n]}"
    )
    start = _starts(
        table,
        tz or market.tz,
        dates,
        lambda r, n, s: report.add("noted", r, n, s),
        tz is not None,
    )
    close = read_numbers(table.columns["close"])
    repairs: list[tuple[str, _I64]] = []
    if contract is not None:
        which, names = np.zeros(len(start), dtype=np.int64), [str(contract)]
    elif symbol is not None:
        which, names = np.zeros(len(start), dtype=np.int64), [symbol]
        repairs += _given(table, symbol, report)
    elif "symbol" in table.columns:
        which, names = _names(table, lambda r, n, s: report.add("noted", r, n, s), dates)
    else:
        raise ImportRefused(
            f"{name} has no column that names the instrument "
            f"({', '.join(SYMBOL)}); "
            'say what it holds, such as symbol="NIFTY".'
        )
    report.add_lines(
        "quarantined", "unreadable-time", table.line[start == NAT].tolist(), table.show
    )
    if stamp == "last-second":
        odd = (start != NAT) & (start % MINUTE != 59 * SECOND)
        report.add_lines("quarantined", "odd-stamp", table.line[odd].tolist(), table.show)
        start = np.where(odd, NAT, start)
    known = start != NAT
    step, thin = (duration(bar), None) if bar else bar_length(start[known], which[known], market.tz)
    if thin is None and not bar:
        report.judged["bar"] = [step]
    start, moved = stamped(start, stamp, step)
    if moved:
        repairs.append((moved, table.line))
    if step != MINUTE:
        seen = "" if bar else ', as most rows are apart; if they are shorter, say bar="1min"'
        size = f"{step // SECOND} s" if step < MINUTE else f"{step // MINUTE} minutes{seen}"
        report.remarks.append(f"bars of {size}")
    days = np.where(known, local_days(np.where(known, start, 0), market.tz), -1)
    contracts = Contracts(market, report)
    code = np.full(len(start), -1)
    wrong: dict[str, str] = {}
    if contract is not None:
        contracts.specs.append(contract)
        code[known] = 0
    else:
        code[known], wrong = codes(names, which[known], days[known], close[known], contracts)
        if symbol is None:
            check_name(name, table.headers["symbol"], contracts.specs)
        elif wrong:
            raise ImportRefused(f"symbol={symbol[:40]!r} was given: {wrong[symbol]}")
    nameless = known & (code < 0)
    report.add_lines("quarantined", "unreadable-symbol", table.line[nameless].tolist(), table.show)
    report.remarks += list(wrong.values())[:3]
    twice = _continuous(names, which, code)
    report.add_lines("quarantined", "continuous", table.line[twice].tolist(), table.show)
    rows = Rows(
        table.line,
        code,
        start,
        *(read_numbers(table.columns[name]) for name in PRICES),
        *(_rest(table, name) for name in _REST),
    )
    rows.keep((code >= 0) & ~twice)
    return Sheet(
        rows,
        contracts.specs,
        step,
        report,
        table.show,
        repairs,
        stamped=bool(stamp or moved),
        zoned=tz is not None,
        thin=thin,
    )


def _rest(table: Table, role: str) -> _F64 | None:
    """Return a column that a bar may lack; None too for one that holds nothing."""
    if role not in table.columns:
        return None
    values = read_numbers(table.columns[role])
    return values if bool(np.isfinite(values).any()) else None


def _names(table: Table, note: Note, form: str | None) -> tuple[_I64, list[str]]:
    """Return each row's number in a list of names, put together where columns have the parts."""
    which, names = coded(table.columns["symbol"])
    if not all(part in table.columns for part in _PARTS):
        return which, names
    expiry, days = coded(table.columns["expiry"])
    right, rights = coded(table.columns["right"])
    strikes, strike = np.unique(read_numbers(table.columns["strike"]), return_inverse=True)
    key = ((which * len(days) + expiry) * len(rights) + right) * len(strikes) + strike
    keys, which_key = np.unique(key, return_inverse=True)
    order = form if form in ORDERS else None  # a vendor's form is that of its rows' dates
    read = read_dates([day[:10] if day[4:5] == "-" else day for day in days], note, order)
    dates = [
        None if d == NAT else np.datetime64(int(d), "ns").astype("datetime64[D]") for d in read
    ]
    made = []
    for value in keys.tolist():
        value, at_strike = divmod(value, len(strikes))
        value, at_right = divmod(value, len(rights))
        at_name, at_day = divmod(value, len(days))
        name, day = names[at_name], dates[at_day]
        made.append(_named(name, day, days[at_day], float(strikes[at_strike]), rights[at_right]))
    return which_key.astype(np.int64), made


def _named(name: str, day: object, written: str, strike: float, right: str) -> str:
    """Return a contract's name from its parts; one that nothing is, where parts contradict.

    An option whose expiry or side cannot be read must not pass for its index or future.
    """
    if _WHOLE.search(name.upper()):
        return name
    side = _RIGHTS.get(right.upper())
    if day is not None and side is not None and strike > 0:
        return f"{name} {day} {strike:.10g} {side}"
    if side is not None or strike > 0 or (day is None and written not in _NO_DAY):
        return f"{name} (expiry {written or '?'}, strike {strike:.10g}, {right or '?'})"
    return name if day is None else f"{name} {day} FUT"


def _continuous(names: list[str], which: _I64, code: _I64) -> npt.NDArray[np.bool_]:
    """Rows of a continuous future whose contract the file has under its own name too.

    Vendors adjust such series; the contract's own rows are what was traded.
    """
    series = np.array([is_continuous(name) for name in names], dtype=bool)[which] & (code >= 0)
    return series & np.isin(code, np.unique(code[~series]))


def _given(table: Table, symbol: str, report: QualityReport) -> list[tuple[str, _I64]]:
    """Return the rows whose own name is replaced by the one given."""
    if "symbol" not in table.columns:
        report.remarks.append(f"instrument: {symbol}, as given (the file names none)")
        return []
    _, names = coded(table.columns["symbol"])
    if len(names) > 1:
        raise ImportRefused(
            f"symbol={symbol!r} was given, but the file's column {table.headers['symbol']} names "
            f"{len(names)} instruments ({', '.join(names[:3])} …); leave it out."
        )
    if names and names[0].upper() != symbol.upper():
        return [("symbol-given", table.line)]
    return []


def _starts(table: Table, tz: str, dates: str | None, note: Note, given: bool) -> _I64:
    """Return UTC times of the rows; NAT where unreadable."""
    columns = table.columns
    if "datetime" not in columns and "time" not in columns:
        columns = columns | {"datetime": columns["date"]}
    if "datetime" in columns:
        return read_moments(columns["datetime"], tz, note, given, dates)
    which_date, day_texts = coded(columns["date"])
    which_time, clock_texts = coded(columns["time"])
    if pa.types.is_timestamp(columns["date"].type):
        day_texts = [d[:10] for d in day_texts]
    if pa.types.is_timestamp(columns["time"].type):
        clock_texts = [t[11:19] for t in clock_texts]
    day, clock = read_dates(day_texts, note, dates)[which_date], read_times(clock_texts)[which_time]
    known = (day != NAT) & (clock != NAT)
    return np.where(known, to_utc(np.where(known, day + clock, 0), tz), NAT)
