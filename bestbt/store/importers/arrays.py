"""Candles as arrays, as brokers' services answer: time, open, high, low, close, volume, oi.

    {"status":"success","data":{"candles":[["2024-01-01T09:15:00+0530",…],…]}}    Kite
    {"status":"success","data":{"candles":[["2024-01-01T15:29:00+05:30",…],…]}}   Upstox
    {"s":"ok","candles":[[1704080700,…],…]}                                       Fyers

Kite (https://kite.trade/docs/connect/v3/historical) and Upstox, both of its versions
(https://upstox.com/developer/api-documentation/v3/get-historical-candle-data), differ in how they
write the zone, and Upstox begins with the newest; Fyers (https://myapi.fyers.in/docsv3) counts
seconds, and of expired contracts names the columns and the contract. Whose candles they are, the
first two never say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, ImportRefused, NoSchedule, UsageError, did_you_mean
from bestbt.markets.india import India
from bestbt.markets.symbols import parse_symbol
from bestbt.store.importers.answers import answer_table, load, shows_json
from bestbt.store.importers.bars import bars_sheet
from bestbt.store.importers.columns import EPOCH, NAT, read_moments
from bestbt.store.importers.instruments import instruments as load_instruments
from bestbt.store.importers.source import Source
from bestbt.store.importers.tables import Table
from bestbt.store.sanitise import Sheet, local_days

__all__ = ["FYERS", "KITE", "UPSTOX", "Vendor"]

_ROLES = ("datetime", "open", "high", "low", "close", "volume", "oi")
_COLUMNS = {"timestamp": "datetime", "open_interest": "oi"}  # Fyers' names of two of them
_FEWEST = 6
_NAMED = ("symbol", "tradingsymbol", "trading_symbol", "instrument_key", "instrument_token")
_OPTIONS = ("symbol", "instruments", "token", "bar", "again", "check_level")
# Words of a file's name that say nothing of its instrument.
_VENUE = re.compile(r"(?:NSE|NFO|BSE|BFO|FO|EQ|INDEX)$")
_BAR = re.compile(r"(\d*)(?:MIN|MINS|MINUTE|MINUTES)$")
_REST = re.compile(r"(?:\d*(?:MIN|MINS|MINUTE|MINUTES)|\d{4}(?:-?\d\d){0,2}|TO|CANDLES)$")


class Vendor(NamedTuple):
    """What is a broker's own in its answers: how candles begin, and how nothing looks."""

    name: str
    candles: re.Pattern[str]
    nothing: re.Pattern[str]

    def shows(self, source: Source) -> bool:
        """Whether a file begins as its answers do."""
        text = shows_json(source)
        return bool(text) and bool(self.candles.search(text) or self.nothing.search(text))

    def read(
        self,
        source: Source,
        market: India,
        *,
        symbol: str | None = None,
        instruments: str | Path | None = None,
        token: str | int | None = None,
        bar: str | None = None,
        **unknown: object,
    ) -> Sheet:
        """Read a file of one answer.

        Parameters
        ----------
        symbol
            Name of the instrument. Without it, *token* or the file's own name says it.
        instruments
            The broker's list of instruments; the contract has its lot, tick and number from there.
        token
            Number of the instrument in that list; default: what the answer or the file's name
            says.
        bar
            Length of a bar, such as `"5min"`; default: what the answer or the file's name says
            (`…_5minute.json`), else what is seen from the candles.

        Raises
        ------
        ImportRefused
            No candles of minutes, or nothing that says whose they are.
        """
        if unknown:
            name = next(iter(unknown))
            raise ImportRefused(
                f"No option {name!r} for candles of {self.name}. {did_you_mean(name, _OPTIONS)}"
            )
        answer = load(source)
        bar = bar or _bar(answer, source)
        table = _table(answer, source.name, self.name)
        first = _first_day(table, source.name, market)
        if instruments is not None:
            asked = [str(a) for a in (token, symbol) if a is not None][:1]
            asked = asked or [*_said(answer), _stem(source)]
            contract, says = _listed(source.name, instruments, asked, first)
            sheet = bars_sheet(source.name, table, market, contract=contract, bar=bar)
            _compare(contract, sheet, market)
            sheet.report.remarks.append(f"instrument: {contract}, {says}")
        else:
            if token is not None:
                raise ImportRefused(
                    f"token={token!r} was given; give instruments= too, the list that says whose "
                    "number it is."
                )
            if symbol is None:
                name, says = _named(answer, source, first)
                table.add("symbol", name)
                sheet = bars_sheet(source.name, table, market, bar=bar)
                sheet.report.remarks.append(f"instrument: {name}, {says}")
            else:
                sheet = bars_sheet(source.name, table, market, symbol=symbol, bar=bar)
        return sheet


_FIRST = r'"candles"\s*:\s*\[\s*\[\s*'
_STAMP = r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]'
KITE = Vendor(
    "Kite",
    re.compile(_FIRST + _STAMP + r'\d{4}"'),
    re.compile(r'"status"(?!.*"errors")(?=.*(?:"error_type"|"candles"\s*:\s*\[\s*\]))', re.S),
)
UPSTOX = Vendor(
    "Upstox",
    re.compile(_FIRST + _STAMP + r'\d\d:\d\d"'),
    re.compile(r'"status"\s*:\s*"error"(?=.*"errors"\s*:)', re.S),
)
FYERS = Vendor(
    "Fyers",
    re.compile(_FIRST + r"\d{10}\s*,"),
    re.compile(r'"s"\s*:\s*"(?:error|no_data|ok)"'),
)


def _table(answer: Any, name: str, vendor: str) -> Table:
    """Return the candles of an answer, oldest first; refuse one without."""
    inner = answer.get("data", answer) if isinstance(answer, Mapping) else None
    candles = inner.get("candles") if isinstance(inner, Mapping) else None
    if not isinstance(candles, list) or not candles:
        raise ImportRefused(
            f"{name} is an answer of {vendor} without candles{_reason(answer)}; ask for another "
            "day or instrument, or leave the file out."
        )
    given = inner.get("columns") if isinstance(inner, Mapping) else None
    roles = [_COLUMNS.get(c, c) for c in given] if given else list(_ROLES)
    good = [c for c in candles if isinstance(c, list) and len(c) >= _FEWEST]
    if len(good) > 1 and _is_later(good[0][0], good[-1][0]):
        candles = candles[::-1]  # so that only what is out of its own order counts as such
    rows: list[list[Any]] = []
    line: list[int] = []
    ragged: list[tuple[int, str]] = []
    for n, candle in enumerate(candles, 1):
        if isinstance(candle, list) and len(candle) >= _FEWEST:
            rows.append(candle)
            line.append(n)
        else:
            ragged.append((n, str(candle)[:100]))
    width = max((len(row) for row in rows), default=_FEWEST)
    columns = {
        role: [row[i] if i < len(row) else None for row in rows]
        for i, role in enumerate(roles[:width])
        if role in _ROLES
    }
    if lacking := [role for role in _ROLES[:_FEWEST] if role not in columns]:
        raise ImportRefused(f"{name} lacks {', '.join(lacking)}: its columns are {given}.")
    return answer_table(columns, line, f"{vendor} candles", "candle", ragged)


def _is_later(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, int | str) and one > other


def _reason(answer: Any) -> str:
    """Return what the broker said instead."""
    if not isinstance(answer, Mapping):
        return ""
    said = answer.get("message")
    errors = answer.get("errors")
    if not said and isinstance(errors, list) and errors and isinstance(errors[0], Mapping):
        said = errors[0].get("message")
    return f" ({str(said)[:200]})" if said else ""


def _first_day(table: Table, name: str, market: India) -> date:
    """Return the day of the earliest candle; refuse candles of whole days."""
    start = read_moments(table.columns["datetime"], market.tz, lambda rule, rows, samples: None)
    start = start[start != NAT]
    if not len(start):
        raise ImportRefused(f"{name} has no candle with a time that can be read.")
    local = pd.DatetimeIndex(start, tz="UTC").tz_convert(market.tz)
    if bool((local == local.normalize()).all()):
        raise ImportRefused(
            f"{name} holds candles of whole days; ask for minutes: a run lives on them."
        )
    return date.fromordinal(EPOCH + int(local_days(np.array([start.min()]), market.tz)[0]))


def _said(answer: Any) -> list[str]:
    """Return what an answer itself says of its instrument."""
    inner = answer.get("data", {}) if isinstance(answer, Mapping) else {}
    found = [d[k] for d in (answer, inner) if isinstance(d, Mapping) for k in _NAMED if k in d]
    return [str(value) for value in found if isinstance(value, str | int)]


def _bar(answer: Any, source: Source) -> str | None:
    """Return the length of a bar that an answer or its file's name says."""
    told = answer.get("resolution") if isinstance(answer, Mapping) else None
    if isinstance(told, str) and told.isdigit() and int(told):
        return f"{int(told)}min"
    said = [m for word in re.split(r"[_\s]+", _stem(source).upper()) if (m := _BAR.match(word))]
    return f"{int(said[-1][1] or 1)}min" if said and said[-1][1] != "0" else None


def _stem(source: Source) -> str:
    return re.sub(r"\.(?:json|txt|gz)\b", "", source.own_name, flags=re.I)


def _listed(
    name: str, path: str | Path, asked: Sequence[str], on: date
) -> tuple[ContractSpec, str]:
    """Return the contract that a list of instruments has under a number, and who said so."""
    listed = load_instruments(path)
    for text in asked:
        if (found := listed.find(text)) is not None:
            try:
                return found.contract(on), f"as {listed.name} says of {found.key}"
            except (ContractNotFound, NoSchedule) as error:
                raise ImportRefused(
                    f"{name}: {found.key} is {found.name} in {listed.name}: {error} Numbers "
                    "are used again after an expiry: give the list of that time."
                ) from None
    raise ImportRefused(
        f"{listed.name} has no instrument {' or '.join(map(repr, asked))}. Give its number there, "
        'such as token=256265, or its name, such as symbol="NIFTY".'
    )


def _named(answer: Any, source: Source, on: date) -> tuple[str, str]:
    """Return a name that the answer has, or its file, and who said so."""
    for text in _said(answer):
        if _means(text, on) or _is_share(text, on):
            return text, "as the file says"
    words = re.split(r"[_\s]+", _stem(source).upper())
    while words and _VENUE.match(words[0]):
        del words[0]
    while words and _REST.match(words[-1]):
        del words[-1]
    if _means(name := " ".join(words), on):
        return name, "as the file's name says"
    raise ImportRefused(
        f'{source.name} does not say whose candles it holds. Say it, such as symbol="NIFTY"; or '
        'give the broker\'s list of instruments, instruments="instruments.csv", and name the file '
        "by the instrument's number in it."
    )


def _means(name: str, on: date) -> bool:
    """Whether a name is that of an index or a derivative; any word may be a share's."""
    try:
        return parse_symbol(name, on).asset != "equity"
    except (ContractNotFound, NoSchedule):
        return False


def _is_share(name: str, on: date) -> bool:
    return name.upper().endswith("-EQ") and parse_symbol(name, on).asset == "equity"


def _compare(contract: ContractSpec, sheet: Sheet, market: India) -> None:
    """Note a lot that is not the dated one."""
    if contract.expiry is None:
        return
    try:
        dated = market.lot_size(contract.symbol, contract.expiry)
    except UsageError:
        return
    if dated != contract.lot:
        sample = f"{contract}: a lot of {contract.lot}, dated {dated}"
        sheet.report.add("noted", "other-terms", 1, [sample])
