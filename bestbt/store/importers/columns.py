"""Columns of text as numbers, dates and times: each distinct text is read once.

Dates, times and names repeat thousands of times in a file of bars, so each is read once and
looked up by its number in a dictionary. Times are int64 nanoseconds; `NAT` is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bestbt.errors import ImportRefused
from bestbt.store.sanitise import local_days
from bestbt.units import MINUTE, SECOND, Ns

__all__ = [
    "EPOCH",
    "NAT",
    "NULLS",
    "ORDERS",
    "Note",
    "bar_length",
    "coded",
    "plain",
    "read_dates",
    "read_moments",
    "read_numbers",
    "read_times",
    "stamped",
    "to_utc",
]

NULLS = ["", "-", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A", "#N/A"]
NAT = np.iinfo(np.int64).min
EPOCH = date(1970, 1, 1).toordinal()

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
_ZONE = re.compile(r"(?<=.{10})(?:Z|[+-]\d\d:?\d\d)$")  # not the end of a date alone
_MONTH_FIRST = {"%d-%m-%Y": "%m-%d-%Y", "%d/%m/%Y": "%m/%d/%Y"}
_MONTH_FIRST |= {"%d-%m-%y": "%m-%d-%y", "%d/%m/%y": "%m/%d/%y"}
_ALL_DATES = (*_DATES, *(f for f in _MONTH_FIRST.values() if f not in _DATES))
ORDERS = ("day-first", "month-first")
"""What a person may say of dates that can be read in two ways."""
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M")

_GROUPED = r"^-?\d{1,3}(,\d{2,3})*,\d{3}(\.\d+)?$"  # 1,23,456.05 and 123,456.05
_COMMA = r"^[-+]?(\d{1,3}(\.\d{3})+|\d+),\d{1,2}$"  # 21.345,60 and 21345,6: no grouping is such
_OPEN = (9 * 60 + 15) * MINUTE  # all other opens are whole bars of 5 or 15 minutes from it
_USUAL = {1, 2, 3, 5, 10, 15, 20, 25, 30, 45, 60, 75, 90, 120, 125, 180, 240, 375}  # minutes
_ENOUGH = 10  # rows, from which chance is no longer taken for a rule
_CHANCE = 500  # fewer rows are one only if minutes would lie so once in as many times

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
Note = Callable[[str, int, list[str]], None]


def plain(header: str) -> str:
    """Return a header's letters and digits alone, small.

    >>> plain("<Open Interest>")
    'openinterest'
    """
    return re.sub(r"[^a-z0-9]", "", header.lower())


def read_numbers(column: pa.ChunkedArray) -> _F64:
    """Return floats; NaN where there is no number.

    Raises
    ------
    ImportRefused
        Most have a decimal comma: what a point in others means is then not known.
    """
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        try:
            column = pc.cast(text, pa.float64())
        except pa.ArrowInvalid:
            grouped = pc.match_substring_regex(text, _GROUPED)
            _refuse_commas(text)
            text = pc.if_else(grouped, pc.replace_substring(text, ",", ""), text)
            return np.asarray(pd.to_numeric(text.to_pandas(), errors="coerce"), dtype=np.float64)
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))


def _refuse_commas(text: pa.ChunkedArray) -> None:
    """Refuse numbers of which most have a decimal comma."""
    some = text.filter(pc.match_substring_regex(text, _COMMA))
    if 2 * len(some) > len(text) - text.null_count:
        raise ImportRefused(
            f"Numbers are written with a decimal comma ({some[0].as_py()!r}); write them with a "
            "point and no grouping (21345.60), or read the file yourself: store.import_frame("
            'pandas.read_csv(file, sep=";", decimal=",", thousands=".")).'
        )


def coded(column: pa.ChunkedArray) -> tuple[_I64, list[str]]:
    """Return each row's number in a list of distinct texts; an absent one is ""."""
    if pa.types.is_floating(column.type):  # 20240101.0, as a column with absent dates is stored
        column = pc.cast(column, pa.int64(), safe=False)
    text = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    coded = pc.fill_null(text, "").combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def read_dates(texts: Sequence[str], note: Note, form: str | None = None) -> _I64:
    """Return local midnights as ns since 1970 (of a clock without zones); NAT where unreadable.

    *form* is that of all dates, such as `"%d/%m/%Y"`, or which comes first in those that may be
    read in two ways, `"day-first"` or `"month-first"`; else it is seen from them.
    """
    if form in ORDERS:
        not_so = _MONTH_FIRST.values() if form == "day-first" else _MONTH_FIRST.keys()
        return _parsed(texts, [f for f in _ALL_DATES if f not in not_so])[0]
    if form is not None:
        return _parsed(texts, [form])[0]
    best, form = _parsed(texts, _DATES)
    other = _MONTH_FIRST.get(form)
    if other is not None:
        rival, _ = _parsed(texts, (other,))
        fits = int((rival != NAT).sum()) >= int((best != NAT).sum())
        if fits and not np.array_equal(rival, best):
            note("day-first", len(texts), [f"{t}" for t in texts[:3]])
    return best


def read_times(texts: Sequence[str]) -> _I64:
    """Return times of day in ns; NAT where unreadable."""
    if all(t.isdigit() for t in texts if t):
        value = np.array([int(t) if t else -1 for t in texts], dtype=np.int64)
        if max((len(t) for t in texts), default=0) <= 4:
            value = value * 100
        hour, minute, second = value // 10_000, value // 100 % 100, value % 100
        good = (value >= 0) & (hour < 24) & (minute < 60) & (second < 60)
        return np.where(good, ((hour * 60 + minute) * 60 + second) * SECOND, NAT)
    found = np.full(len(texts), NAT)
    for form in _TIMES:  # a file may mix them: none can be read as another
        rest = np.flatnonzero(found == NAT)
        if len(rest):
            dated = [f"1970-01-01 {texts[i]}" for i in rest.tolist()]
            found[rest], _ = _parsed(dated, [f"%Y-%m-%d {form}"])
    return found


def _parsed(texts: Sequence[str], forms: Sequence[str]) -> tuple[_I64, str]:
    best, chosen, most = np.full(len(texts), NAT), "", 0
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


def read_moments(
    column: pa.ChunkedArray, tz: str, note: Note, given: bool = False, form: str | None = None
) -> _I64:
    """Return UTC times of texts, numbers since 1970 or timestamps; NAT where unreadable.

    A zone that was *given* is that of the clock which the file shows, whatever zone it names.
    *form* is that of dates, as for `read_dates`.
    """
    if pa.types.is_timestamp(column.type) and column.type.tz and given:
        column = pc.local_timestamp(column)
    kind = column.type
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
        values = np.asarray(pc.fill_null(naive, NAT).to_numpy())
        if kind.tz:
            return values
        return np.where(values == NAT, NAT, to_utc(np.where(values == NAT, 0, values), tz))
    which, texts = coded(column)
    if all(re.fullmatch(r"\d{10}|\d{13}|\d{16}|\d{19}", t) for t in texts if t):
        epoch = np.array([int(t) * 10 ** (19 - len(t)) if t else NAT for t in texts])
        known = epoch != NAT
        if given:
            epoch = np.where(known, to_utc(np.where(known, epoch, 0), tz), NAT)
        return np.asarray(epoch.astype(np.int64)[which])
    if all(re.fullmatch(r"20\d{10}(\d\d)?", t) for t in texts if t):
        digits = [t.ljust(14, "0") for t in texts]
        written, _ = _parsed(digits, ("%Y%m%d%H%M%S",))
        known = written != NAT
        return np.where(known, to_utc(np.where(known, written, 0), tz), NAT)[which]
    if given:
        texts = [_ZONE.sub("", t) for t in texts]
    series = pd.Series(texts, dtype=object)
    aware = any(_ZONE.search(t) for t in texts)
    found = pd.DatetimeIndex(pd.to_datetime(series, format="ISO8601", errors="coerce", utc=aware))
    moments = _ns(found)
    if aware:
        return moments[which]
    if bool(found.isna().any()):
        moments = _local_moments(texts, note, form)
    known = moments != NAT
    return np.where(known, to_utc(np.where(known, moments, 0), tz), NAT)[which]


def _local_moments(texts: Sequence[str], note: Note, form: str | None) -> _I64:
    """Return moments of a wall clock: dates with a time of day, or dates alone (midnights)."""
    if not any(":" in t for t in texts):
        days = read_dates(texts, note, form)
        if bool((days != NAT).any()):
            return days
    halves = [t.replace("T", " ").partition(" ") for t in texts]
    day = read_dates([a for a, _, _ in halves], note, form)
    clock = read_times([b.strip() for _, _, b in halves])
    return np.where((day != NAT) & (clock != NAT), day + clock, NAT)


def to_utc(local: _I64, tz: str) -> _I64:
    """Return UTC times of an exchange's wall clock."""
    index = pd.DatetimeIndex(local).tz_localize(tz, ambiguous="NaT", nonexistent="NaT")
    return _ns(index)


def stamped(start: _I64, stamp: str | None, step: Ns) -> tuple[_I64, str]:
    """Move stamps to the starts of bars; say by which rule."""
    known = start != NAT
    if bool(known.any()) and bool((start[known] % MINUTE == 59 * SECOND).all()):
        return np.where(known, start - 59 * SECOND, NAT), "last-second"
    if stamp == "end":
        return np.where(known, start - step, NAT), "end-stamped"
    return start, ""


def bar_length(start: _I64, code: _I64, tz: str) -> tuple[Ns, Ns | None]:
    """Return the length of a bar: what most rows of a contract are apart.

    Of a contract that seldom trades, rows are apart by chance: then also how long after the
    session's usual open they are must be whole bars, of a usual length, and so many of them that
    it is no accident. Else they are minutes; and what all of them lie apart is returned beside
    (0: there is one alone, at the open), so that other files may tell. A file is judged as a
    whole: the thin contracts of it have the bars of the others.
    """
    order = np.lexsort((start, code))
    at, of = start[order], code[order]
    day = local_days(at, tz)
    apart = np.diff(at)[(np.diff(of) == 0) & (np.diff(day) == 0)]
    apart = apart[apart > 0]
    if not len(apart):
        return MINUTE, int(np.gcd.reduce(_after_open(at, tz))) if len(at) else None
    sizes, counts = np.unique(apart, return_counts=True)
    common = int(sizes[counts.argmax()])
    if common < MINUTE:
        if (sizes % SECOND).any():
            raise ImportRefused(
                f"Most rows of a contract are {common / 1e9:g} s apart, and some by parts of a "
                "second: these are no bars."
            )
        return int(np.gcd.reduce(sizes)), None
    if common == MINUTE:
        return MINUTE, None
    few = len(apart) < _ENOUGH or 2 * int(counts.max()) < len(apart)
    if few:
        sizes = np.append(sizes, _after_open(at, tz))
    whole = sizes[sizes % MINUTE == 0]
    step = int(np.gcd.reduce(whole)) if len(whole) else MINUTE
    if not few or step == MINUTE:
        return step, None
    minutes, later = step // MINUTE, len(np.unique(at[_after_open(at, tz) != 0]))
    sure = minutes in _USUAL and later * math.log(minutes) >= math.log(_CHANCE)
    return (step, None) if sure else (MINUTE, step)


def _after_open(start: _I64, tz: str) -> _I64:
    """Return how long after the usual open times are, to the minute."""
    local = pd.DatetimeIndex(start, tz="UTC").tz_convert(tz).round("min")
    return np.asarray(local.hour * 60 + local.minute, dtype=np.int64) * MINUTE - _OPEN
