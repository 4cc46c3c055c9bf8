"""Dhan's expired options: arrays that roll along a label such as ATM+1, put back by strike.

    {"data":{"ce":{"strike":[…],"open":[…],"high":[…],"low":[…],"close":[…],"volume":[…],"oi":[…],
                   "iv":[…],"spot":[…],"timestamp":[…]},"pe":{…}}}

The answer of ``POST /charts/rollingoption`` (https://dhanhq.co/docs/v2/expired-options-data). The
strike at a label moves with the index, so its array says whose a bar is: an option is in the
answers of several labels, a stretch in each. The expiry is in none of them: it is counted from
each bar's day as the question counted it, or given. A code of 1 is the nearest expiry that is not
over, that day's included (0 is refused by the service); `WEEK` counts all expiries, the monthly
among them, and `MONTH` the monthly ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bestbt.errors import ImportRefused, UsageError, did_you_mean
from bestbt.markets.india import SYMBOLS, India
from bestbt.markets.symbols import INDEX_NAMES
from bestbt.store.importers.answers import answer_table, load, number, shows_json
from bestbt.store.importers.bars import PRICES, bars_sheet
from bestbt.store.importers.columns import EPOCH, NAT, read_moments
from bestbt.store.importers.source import Source
from bestbt.store.sanitise import Sheet, local_days
from bestbt.units import Right

__all__ = ["read", "shows"]

_SIDES: tuple[tuple[str, Right], ...] = (("ce", "CE"), ("pe", "PE"))
_NEEDED = ("timestamp", "strike", *PRICES)
_OPTIONS = ("symbol", "expiry", "expiry_flag", "expiry_code", "bar", "again", "check_level")
_ROLLING = re.compile(r'"(?:ce|pe)"\s*:\s*(?:\{|null)')
_CODES = (1, 2, 3)
_FLAGS = ("WEEK", "MONTH")
_AHEAD = timedelta(days=200)  # the third monthly expiry is within it


def shows(source: Source) -> bool:
    """Whether a file is JSON with a call or put side of arrays."""
    text = shows_json(source)
    return _ROLLING.search(text) is not None and '"data"' in text


def read(
    source: Source,
    market: India,
    *,
    symbol: str | None = None,
    expiry: date | str | None = None,
    expiry_flag: str | None = None,
    expiry_code: int | None = None,
    bar: str | None = None,
    **unknown: object,
) -> Sheet:
    """Read one answer, or a list of them.

    Parameters
    ----------
    symbol
        The underlying; default: what the file's name says, such as `NIFTY_WEEK_1_ATM+1.json`.
    expiry
        The one expiry in it, in place of flag and code.
    expiry_flag
        `"WEEK"` or `"MONTH"`, as in the question; default: what the file's name says.
    expiry_code
        1, 2 or 3, as in the question; default: what the file's name says, else 1.
    bar
        Length of a bar, such as `"5min"`; default: seen from the rows.

    Raises
    ------
    ImportRefused
        No bars or strikes, arrays of different lengths, or nothing that says underlying or expiry.
    """
    if unknown:
        name = next(iter(unknown))
        hint = did_you_mean(name, _OPTIONS)
        raise ImportRefused(f"No option {name!r} for Dhan's rolling options. {hint}")
    words = re.split(r"[^A-Z0-9]+", source.own_name.upper())
    underlying = _underlying(symbol, words, source.name)
    sides = list(chain.from_iterable(_sides(a, source.name) for a in _answers(load(source))))
    if not sides:
        raise ImportRefused(f"{source.name} is an answer of Dhan without bars; leave it out.")
    names = _names(source, market, underlying, sides, words, (expiry, expiry_flag, expiry_code))
    columns: dict[str, list[Any]] = {"symbol": names}
    columns["datetime"] = [_whole(t) for _, arrays in sides for t in arrays["timestamp"]]
    for role in (*PRICES, "volume", "oi"):
        if any(arrays.get(role) for _, arrays in sides):
            columns[role] = [v for _, arrays in sides for v in _padded(arrays, role)]
    table = answer_table(columns, range(1, len(names) + 1), "Dhan rolling options", "bar")
    sheet = bars_sheet(source.name, table, market, bar=bar or _bar(sides))
    sheet.report.remarks.append(
        "grouped by strike; the vendor's implied volatility and spot are not stored"
    )
    return sheet


def _answers(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


def _sides(answer: Any, name: str) -> list[tuple[Right, Mapping[str, Sequence[Any]]]]:
    """Return the sides of an answer that hold bars; refuse what does not fit together."""
    inner = answer
    while isinstance(inner, Mapping) and isinstance(inner.get("data"), Mapping):
        inner = inner["data"]  # Dhan's own library wraps the answer once more
    if not isinstance(inner, Mapping):
        raise ImportRefused(f"{name} is no answer of Dhan: it has no data.")
    found: list[tuple[Right, Mapping[str, Sequence[Any]]]] = []
    for key, right in _SIDES:
        arrays = inner.get(key)
        if not isinstance(arrays, Mapping) or not arrays.get("timestamp"):
            continue
        if not arrays.get("strike"):
            raise ImportRefused(
                f"{name} has no strikes on its {key} side, and a label such as ATM+1 is another "
                'option as the index moves. Ask again with "strike" in requiredData.'
            )
        sizes = {role: len(values) for role, values in arrays.items() if isinstance(values, list)}
        odd = {
            role: sizes.get(role, 0)
            for role in (*_NEEDED, "volume", "oi")
            if sizes.get(role, 0) != sizes["timestamp"] and (role in _NEEDED or sizes.get(role))
        }
        if odd:
            shown = ", ".join(f"{role} {size}" for role, size in odd.items())
            raise ImportRefused(
                f"{name} has arrays of different lengths on its {key} side: timestamp "
                f"{sizes['timestamp']}, {shown}. Get it again."
            )
        found.append((right, arrays))
    return found


def _padded(arrays: Mapping[str, Sequence[Any]], role: str) -> Sequence[Any]:
    return arrays.get(role) or [None] * len(arrays["timestamp"])


def _whole(value: Any) -> str | None:
    """Return seconds since 1970 as digits; they come as 1756698300 or 1756698300.0."""
    found = number(value)
    return None if found is None or not found.is_integer() else f"{found:.0f}"


def _bar(sides: Sequence[tuple[Right, Mapping[str, Sequence[Any]]]]) -> str | None:
    """Return what the rows of a side are apart: those of one option are so by chance."""
    moments = [sorted({t for v in a["timestamp"] if (t := number(v))}) for _, a in sides]
    apart = [later - sooner for m in moments for sooner, later in pairwise(m)]
    least = round(min(apart, default=60) / 60)
    return f"{least}min" if least else None


def _underlying(symbol: str | None, words: Sequence[str], name: str) -> str:
    if symbol is not None:
        known = INDEX_NAMES.get(re.sub(r"\s+", "", symbol.upper()))
        if known not in SYMBOLS:
            raise ImportRefused(
                f"symbol={symbol!r} was given; expiries are known of {', '.join(SYMBOLS)}."
            )
        return known
    said = {INDEX_NAMES[w] for w in words if INDEX_NAMES.get(w) in SYMBOLS}
    if len(said) != 1:
        raise ImportRefused(
            f'{name} does not say of which underlying it is. Say it, such as symbol="NIFTY", or '
            "name the file so: NIFTY_WEEK_1_ATM+1.json."
        )
    return said.pop()


def _names(
    source: Source,
    market: India,
    symbol: str,
    sides: Sequence[tuple[Right, Mapping[str, Sequence[Any]]]],
    words: Sequence[str],
    given: tuple[date | str | None, str | None, int | None],
) -> list[str | None]:
    """Return the contract of each bar, as bestbt writes it; None where its strike is none."""
    stamps = pa.chunked_array(
        [pa.array([_whole(t) for _, a in sides for t in a["timestamp"]], pa.string())]
    )
    start = read_moments(stamps, market.tz, lambda rule, rows, samples: None)
    days = np.full(len(start), -1)
    known = start != NAT
    days[known] = local_days(start[known], market.tz)
    expiry_of = _expiries(source, market, symbol, days[known], words, given)
    strikes = [(number(k), right) for right, arrays in sides for k in arrays["strike"]]
    return [
        f"{symbol} {expiry_of[day]} {strike:.10g} {right}" if day in expiry_of and strike else None
        for (strike, right), day in zip(strikes, days.tolist(), strict=True)
    ]


def _expiries(
    source: Source,
    market: India,
    symbol: str,
    days: npt.NDArray[np.int64],
    words: Sequence[str],
    given: tuple[date | str | None, str | None, int | None],
) -> dict[int, date]:
    """Return the expiry of the bars of each day."""
    expiry, flag, code = given
    if expiry is not None:
        try:
            day = expiry if isinstance(expiry, date) else date.fromisoformat(expiry)
        except ValueError:
            raise ImportRefused(f"expiry={expiry!r} is no day; write it as 2024-01-25.") from None
        return dict.fromkeys(np.unique(days).tolist(), day)
    flag = (flag or next((w for w in words if w in _FLAGS), "")).upper()
    if flag not in _FLAGS:
        raise ImportRefused(
            f'{source.name} does not say of which expiry it is. Say it: expiry="2024-01-25", or '
            'expiry_flag="WEEK" (or "MONTH") and expiry_code=1, as in the question to Dhan.'
        )
    if code is None:
        at = words.index(flag) + 1 if flag in words else len(words)
        code = int(words[at]) if words[at : at + 1] and words[at] in ("1", "2", "3") else 1
    if code not in _CODES:
        raise ImportRefused(
            f"expiry_code={code!r} was given; Dhan counts 1, 2 and 3 from the next."
        )
    kind: Literal["all", "monthly"] = "monthly" if flag == "MONTH" else "all"
    found: dict[int, date] = {}
    for number_ in np.unique(days).tolist():
        on = date.fromordinal(EPOCH + number_)
        try:
            ahead = market.expiry_dates(symbol, on, on + _AHEAD, kind=kind)
        except UsageError as error:
            raise ImportRefused(f"{source.name}: {error}") from None
        if len(ahead) >= code:
            found[number_] = ahead[code - 1]
    return found
