"""Names of Indian contracts: one grammar, read with the date on which the name was used.

Vendors glue symbol, expiry, strike and right together without separators, so one name has several
readings: `NIFTY24JUN23000CE` is the monthly of June 2024 at 23000, or 24 June 2023 at 000. All
readings are made, the impossible ones are dropped by the expiry calendar and the date, and the
nearest of the rest is taken.

====================================== ====================================================
`BANKNIFTY05JAN2336500PE`              day, month, year, strike
`NIFTY2161715700CE`                    year, month (1–9, O, N, D), day, strike
`NIFTY24JUN23000CE`                    year, month: the monthly expiry; strike
`NIFTY 2024-02-29 22000 CE`            as bestbt writes it
`NIFTY24JUNFUT`, `NIFTY27JUN24FUT`     future of a month, of a day; `NIFTY 2024-02-29 FUT`
`BANKNIFTY-I`, `-II`, `-III`           near, next and far monthly future on that date
`NIFTY 50`, `NIFTY BANK`, `INDIA VIX`  indices, under any of their names
`NIFTY 22000 CE 29 FEB 24`             strike, day, month, year; `NIFTY FUT 29 FEB 24`
`RELIANCE`                             any other plain name is an equity
====================================== ====================================================

Case and spaces do not matter. Venues before a name (`NSE:`, `NFO:`, `NSE_INDEX|`) or after it
(`.NFO`, `.NSE`, `.NSE_IDX`, `-INDEX`, `-EQ` …) are dropped once they have said what it is not: one
of derivatives names no equity, and one of indices names nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal, NamedTuple, cast

from bestbt.engine.ports import AssetType, ContractSpec
from bestbt.errors import ContractNotFound, UsageError
from bestbt.markets.india import SYMBOLS, expiry_dates, expiry_kind, find_expiry
from bestbt.units import Price, Right

__all__ = ["INDEX_NAMES", "Parsed", "format_symbol", "is_continuous", "parse_symbol"]

# Other names of an index, without spaces. India's volatility index has no contracts.
INDEX_NAMES: dict[str, str] = {
    "NIFTY50": "NIFTY",
    "CNXNIFTY": "NIFTY",
    "NIFTYBANK": "BANKNIFTY",
    "CNXBANK": "BANKNIFTY",
    "NIFTYFINSERVICE": "FINNIFTY",
    "NIFTYFINANCIALSERVICES": "FINNIFTY",
    "NIFTYMIDSELECT": "MIDCPNIFTY",
    "NIFTYMIDCAPSELECT": "MIDCPNIFTY",
    "BSESENSEX": "SENSEX",
    "S&PBSESENSEX": "SENSEX",
    "INDIAVIX": "INDIAVIX",
    "NIFTYVIX": "INDIAVIX",
    "VIX": "INDIAVIX",
} | {symbol: symbol for symbol in SYMBOLS}

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKLY_MONTHS = "123456789OND"
_SERIES = {"I": 0, "II": 1, "III": 2}

# No Indian index ever had a listed strike outside these. A strike into which digits of the year
# slipped, or from which they are missing, has two digits more or fewer, so it falls outside.
_LOWEST, _HIGHEST = 1_000, 200_000
_LONGEST = timedelta(days=5 * 366)  # contracts are listed up to five years ahead

_VENUE = re.compile(
    r"^(NSE|NFO|BSE|BFO|[NB]SE_(?:INDEX|EQ|FO))[:|]"
    r"|(?:\.(NSE|NFO|BSE|BFO|NS|BO|[NB]SE_IDX)|-(INDEX|EQ))$"
)
_OF_INDICES = {"NSE_IDX", "BSE_IDX", "NSE_INDEX", "BSE_INDEX", "INDEX"}
_OF_DERIVATIVES = {"NFO", "BFO", "NSE_FO", "BSE_FO"}
_SEPARATED = re.compile(r"^(.+?)\s*(\d{4}-\d\d-\d\d)\s*(?:(FUT)|(\d+(?:\.\d+)?)\s*(CE|PE))$")
_SPACED = re.compile(r"^(.+?) (?:(FUT)|(\d+(?:\.\d+)?) (CE|PE)) (\d\d?) ([A-Z]{3}) (\d\d)$")
_DATED = re.compile(r"^(\d\d)([A-Z]{3})(\d\d)(\d+(?:\.\d+)?)?$")
_MONTHLY = re.compile(r"^(\d\d)([A-Z]{3})(\d+(?:\.\d+)?)?$")
_WEEKLY = re.compile(r"^(\d\d)([1-9OND])(\d\d)(\d+(?:\.\d+)?)$")
_SERIAL = re.compile(r"^(.+?)-?(I{1,3})$")
_DERIVATIVE = re.compile(r"\d(?:CE|PE)$|\d\d[A-Z]{3}(?:\d\d)?FUT$")  # RELIANCE ends in CE too
_LETTERS = 40  # of a name, at most
_PLAIN = re.compile(r"^[A-Z][A-Z0-9&-]*$")
_ISIN = re.compile(r"^IN[A-Z0-9]{9}\d$")
_DIGIT_FIRST = re.compile(r"^\d+[A-Z][A-Z0-9&-]*$")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a name means on its date.

    `expiry` is the day on which the contract expires now, which is not the day in its name where
    the exchange moved it. `alternatives` are other readings that could be meant, nearest first.
    """

    asset: AssetType
    symbol: str
    expiry: date | None = None
    strike: Price | None = None
    right: Right | None = None
    alternatives: tuple[Parsed, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return str(ContractSpec(self.asset, self.symbol, self.expiry, self.strike, self.right))


class _Reading(NamedTuple):
    """One way to cut a name: an expiry as written, and a strike (None of a future)."""

    how: str
    day: date | None  # None: there is no such date
    month: tuple[int, int] | None  # year and month, where no day is written
    strike: float | None


def parse_symbol(text: str, on: date) -> Parsed:
    """Read the name of a contract.

    Parameters
    ----------
    text
        A name in any of the module's forms.
    on
        The local date on which it was used, as the date of a row in a file. A name whose expiry
        is before it is misread.

    Returns
    -------
    Parsed
        The reading with the nearest expiry; `alternatives` holds the others that are possible.

    Raises
    ------
    ContractNotFound
        When no reading is possible; says which were tried and why each was dropped.

    Examples
    --------
    >>> print(parse_symbol("NIFTY24JUN23000CE", date(2024, 6, 3)))
    NIFTY 2024-06-27 23000 CE
    >>> print(parse_symbol("banknifty05jan2336500pe.nfo", date(2022, 12, 30)))
    BANKNIFTY 2023-01-05 36500 PE
    >>> print(parse_symbol("BANKNIFTY-I", date(2022, 12, 30)))
    BANKNIFTY 2023-01-25 FUT
    >>> parse_symbol("NIFTY BANK", date(2022, 12, 30)).symbol
    'BANKNIFTY'
    """
    spaced, venues = _without_venues(text.strip().upper())
    name = re.sub(r"\s+", "", spaced)
    if not name:
        raise ContractNotFound("An empty name is no contract.")
    if len(name) > _LETTERS:
        raise ContractNotFound(
            f"{text[:_LETTERS]!r}… has {len(text):,} characters: it is no name of a contract."
        )
    if name in INDEX_NAMES:
        return Parsed("index", INDEX_NAMES[name])
    if venues & _OF_INDICES:
        return _other_index(text, name)
    separated = _SEPARATED.match(spaced)
    if separated is not None:
        return _separated(text, separated, on)
    dated_last = _SPACED.match(" ".join(spaced.split()))
    if dated_last is not None:
        return _dated_last(text, dated_last, on)
    serial = _SERIAL.match(name)
    if serial is not None and (base := INDEX_NAMES.get(serial[1])) in SYMBOLS:
        return _serial(base, _SERIES[serial[2]], on)
    if _DERIVATIVE.search(name):
        return _derivative(text, name, on)
    if venues & _OF_DERIVATIVES:
        raise ContractNotFound(
            f"{text!r} comes from an exchange's derivatives, and is no future or option of "
            f"{', '.join(SYMBOLS)}."
        )
    return _plain(text, name, cash=bool(venues))


def is_continuous(text: str) -> bool:
    """Whether a name is that of a series of futures, such as `NIFTY-I`, and of no contract.

    >>> is_continuous("NIFTY-I.NFO"), is_continuous("NIFTY24JUNFUT")
    (True, False)
    """
    name, _ = _without_venues(text.strip().upper())
    found = _SERIAL.match(re.sub(r"\s+", "", name))
    return found is not None and INDEX_NAMES.get(found[1]) in SYMBOLS


def _without_venues(name: str) -> tuple[str, set[str]]:
    """Return a name without what stands before and after it of where it trades, and these."""
    venues = {v for found in _VENUE.findall(name) for v in found if v}
    return _VENUE.sub("", name).strip(), venues


def _other_index(text: str, name: str) -> Parsed:
    if not _PLAIN.match(name):
        raise ContractNotFound(f"{text!r} is no name of an index.")
    return Parsed("index", name)


def _plain(text: str, name: str, cash: bool) -> Parsed:
    if _ISIN.match(name):
        raise ContractNotFound(f"{text!r} is the number of a security; give its symbol instead.")
    # A venue vouches for a share whose name begins with a digit, such as 3MINDIA.
    if not _PLAIN.match(name) and not (cash and _DIGIT_FIRST.match(name)):
        raise ContractNotFound(
            f"{text!r} is no name of an index, equity, future or option. "
            "Write it like NIFTY24JUN23000CE, NIFTY24JUNFUT, BANKNIFTY-I or 'NIFTY 50'."
        )
    return Parsed("equity", name)


def _underlying(text: str, name: str) -> tuple[str, str]:
    """Split a name at the longest known symbol it starts with."""
    known = max((n for n in INDEX_NAMES if name.startswith(n)), key=len, default="")
    if INDEX_NAMES.get(known) not in SYMBOLS:
        raise ContractNotFound(
            f"{text!r} looks like a future or option, but bestbt knows expiries only of "
            f"{', '.join(SYMBOLS)}."
        )
    return INDEX_NAMES[known], name[len(known) :]


def _serial(symbol: str, n: int, on: date) -> Parsed:
    months = expiry_dates(symbol, on, on + timedelta(days=150), kind="monthly")
    if n >= len(months):
        raise ContractNotFound(f"No monthly expiry {n + 1} of {symbol} after {on} is known.")
    return Parsed("future", symbol, months[n])


def _separated(text: str, found: re.Match[str], on: date) -> Parsed:
    symbol, rest = _underlying(text, re.sub(r"\s+", "", found[1]))
    if rest:
        raise ContractNotFound(f"{text!r}: {found[1]!r} is no symbol bestbt knows.")
    try:
        day = date.fromisoformat(found[2])
    except ValueError:
        day = None
    strike = float(found[4]) if found[4] else None
    reading = _Reading(f"{found[2]}", day, None, strike)
    return _choose(text, symbol, [reading], cast("Right | None", found[5]), on)


def _dated_last(text: str, found: re.Match[str], on: date) -> Parsed:
    base, future, strike, right, day, month, year = found.groups()
    symbol, rest = _underlying(text, base.replace(" ", ""))
    if rest:
        raise ContractNotFound(f"{text!r}: {base!r} is no symbol bestbt knows.")
    number = _MONTHS.index(month) + 1 if month in _MONTHS else 0
    written = _Reading(f"{day}-{month}-{year}", _day(year, number, day), None, _strike(strike))
    return _choose(text, symbol, [written], None if future else cast("Right", right), on)


def _derivative(text: str, name: str, on: date) -> Parsed:
    right = cast("Right | None", None if name.endswith("FUT") else name[-2:])
    symbol, rest = _underlying(text, name[: -2 if right else -3])
    readings = [r for r in _readings(rest.strip("-")) if (r.strike is None) == (right is None)]
    if not readings:
        raise ContractNotFound(
            f"{text!r}: {rest!r} after {symbol} is no expiry"
            f"{' and strike' if right else ''}. Forms that are read: 05JAN2336500PE, "
            "2161715700CE, 24JUN23000CE, 24JUNFUT, 27JUN24FUT."
        )
    return _choose(text, symbol, readings, right, on)


def _readings(rest: str) -> Iterator[_Reading]:
    if found := _DATED.match(rest):
        day, month, year, strike = found.groups()
        written = _day(year, _MONTHS.index(month) + 1 if month in _MONTHS else 0, day)
        yield _Reading(f"{day}-{month}-{year}", written, None, _strike(strike))
    if found := _MONTHLY.match(rest):
        year, month, strike = found.groups()
        if month in _MONTHS:
            at = 2000 + int(year), _MONTHS.index(month) + 1
            yield _Reading(f"{month} 20{year}", None, at, _strike(strike))
    if found := _WEEKLY.match(rest):
        year, letter, day, strike = found.groups()
        month = _WEEKLY_MONTHS.index(letter) + 1
        yield _Reading(f"20{year}-{month:02}-{day}", _day(year, month, day), None, _strike(strike))


def _day(year: str, month: int, day: str) -> date | None:
    try:
        return date(2000 + int(year), month, int(day))
    except ValueError:
        return None


def _strike(text: str | None) -> float | None:
    return float(text) if text else None


def _choose(
    text: str, symbol: str, readings: list[_Reading], right: Right | None, on: date
) -> Parsed:
    kept: list[Parsed] = []
    dropped: list[str] = []
    for reading in readings:
        expiry, why = _expiry_of(symbol, reading, right, on)
        if expiry is None:
            tail = "" if reading.strike is None else f" strike {reading.strike:.10g}"
            dropped.append(f"{reading.how}{tail} ({why})")
        else:
            asset: AssetType = "future" if right is None else "option"
            kept.append(Parsed(asset, symbol, expiry, reading.strike, right))
    if not kept:
        raise ContractNotFound(
            f"{text!r} is no contract on {on}. Read as {symbol} " + "; ".join(dropped) + "."
        )
    kept.sort(key=lambda parsed: cast(date, parsed.expiry))
    rest = tuple(dict.fromkeys(p for p in kept[1:] if p != kept[0]))
    return replace(kept[0], alternatives=rest)


def _expiry_of(
    symbol: str, reading: _Reading, right: Right | None, on: date
) -> tuple[date | None, str]:
    """Return the expiry a reading means on a date, or None and why it means none."""
    if reading.day is None and reading.month is None:
        return None, "no such date"
    if reading.strike is not None and not _LOWEST <= reading.strike <= _HIGHEST:
        return None, f"strikes lie between {_LOWEST:,} and {_HIGHEST:,}"
    if reading.month is not None:
        year, month = reading.month
        ends = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        found = expiry_dates(symbol, ends.replace(day=1), ends, kind="monthly")
        if not found:
            return None, "no monthly expiry in that month"
        expiry = found[-1]
    else:
        match = find_expiry(symbol, cast(date, reading.day))
        if match is None:
            return None, f"no {symbol} contract expires then"
        if right is None and match.kind != "monthly":
            return None, "futures expire monthly"
        expiry = match.day
    if expiry < on:
        return None, f"expired on {expiry}"
    if expiry > on + _LONGEST:
        return None, "more than five years ahead"
    return expiry, ""


def format_symbol(
    contract: ContractSpec | Parsed,
    style: Literal["nse", "dated", "weekly", "monthly"] = "nse",
) -> str:
    """Write a contract's name as vendors do.

    Parameters
    ----------
    contract
        What to name.
    style
        `"dated"` (`BANKNIFTY05JAN2336500PE`), `"weekly"` (`NIFTY2161715700CE`), `"monthly"`
        (`NIFTY24JUN23000CE`, the month's monthly expiry only) or `"nse"`: monthly for a monthly
        expiry, else weekly.

    Returns
    -------
    str
        Without spaces; `parse_symbol` reads it back on any day until the expiry. Indices and
        equities are their symbol; futures are `"monthly"` or `"dated"`.

    Raises
    ------
    UsageError
        For a style the contract cannot be written in.

    Examples
    --------
    >>> call = ContractSpec("option", "NIFTY", date(2021, 6, 17), 15700.0, "CE")
    >>> format_symbol(call), format_symbol(call, "dated")
    ('NIFTY2161715700CE', 'NIFTY17JUN2115700CE')
    """
    if contract.expiry is None:
        return contract.symbol
    day = contract.expiry
    year, month = f"{day:%y}", _MONTHS[day.month - 1]
    future = contract.asset == "future"
    tail = "FUT" if future else f"{contract.strike:.10g}{contract.right}"
    if style == "nse":
        monthly = future or expiry_kind(contract.symbol, day) == "monthly"
        style = "monthly" if monthly else "weekly"
    if style == "dated":
        return f"{contract.symbol}{day:%d}{month}{year}{tail}"
    if style == "monthly" and expiry_kind(contract.symbol, day) == "monthly":
        return f"{contract.symbol}{year}{month}{tail}"
    if style == "weekly" and not future:
        return f"{contract.symbol}{year}{_WEEKLY_MONTHS[day.month - 1]}{day:%d}{tail}"
    raise UsageError(f"{contract} cannot be written in the style {style!r}; try 'dated'.")
