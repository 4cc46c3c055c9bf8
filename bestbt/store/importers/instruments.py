"""Brokers' lists of instruments, which say whose a number is: its name, lot and tick.

    instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,…
    instrument_key,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,…
    [{"instrument_key": "NSE_FO|37590", "trading_symbol": "NIFTY 19650 CE 15 FEB 24", …}, …]

Kite's dump (https://kite.trade/docs/connect/v3/market-quotes), Upstox's CSV and its JSON
(https://upstox.com/developer/api-documentation/instruments); each gzipped or not.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused
from bestbt.markets.symbols import parse_symbol
from bestbt.store.importers.answers import load, number, shows_json
from bestbt.store.importers.source import Source
from bestbt.store.reading import exchange_for

__all__ = ["Instrument", "Instruments", "instruments"]

_INDIA = timedelta(hours=5, minutes=30)  # of the zone in which a moment is an expiry date


class Instrument(NamedTuple):
    """One row of a list; `tick` is a raw price, 0 where none is told."""

    key: str  # by which the broker asks for it
    token: str  # the exchange's own number
    name: str  # as the exchange writes it
    underlying: str
    expiry: date | None
    strike: float
    kind: str
    lot: int
    tick: int

    def contract(self, on: date) -> ContractSpec:
        """Return the contract that it is on a date; `ContractNotFound` if it is none."""
        right = self.kind if self.kind in ("CE", "PE") else ""
        name = self.name
        if self.expiry is not None and self.underlying and (right or self.kind.startswith("FUT")):
            tail = f"{self.strike:.10g} {right}" if right else "FUT"
            name = f"{self.underlying} {self.expiry} {tail}"
        elif self.kind == "INDEX":
            name = f"{self.name}.NSE_IDX"
        parsed = parse_symbol(name, on)
        return ContractSpec(
            parsed.asset,
            parsed.symbol,
            parsed.expiry,
            parsed.strike,
            parsed.right,
            lot=max(self.lot, 1),
            tick=self.tick or 5,
            exchange=exchange_for(parsed.symbol),
            token=self.token or None,
        )


class Instruments:
    """A list of instruments, to be asked by number or name."""

    def __init__(self, name: str, rows: Iterator[Instrument]) -> None:
        self.name = name
        self._by: dict[str, Instrument] = {}
        for row in rows:
            self._by.setdefault(_plain(row.key), row)
            self._by.setdefault(_plain(row.name), row)

    def find(self, text: str) -> Instrument | None:
        """Return the instrument that a text names: its number, or its name, whole.

        A file's name may say more, such as an interval: of its words the longest run that names
        one is taken.
        """
        words = _plain(text).split(" ")
        for size in range(len(words), 0, -1):
            for first in range(len(words) - size + 1):
                found = self._by.get(" ".join(words[first : first + size]))
                if found is not None:
                    return found
        return None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[A-Z0-9&.]+", text.upper()))


def instruments(path: str | Path) -> Instruments:
    """Read a list of instruments; the newest few stay in memory.

    Raises
    ------
    ImportRefused
        It is not there, or it is none.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ImportRefused(f"instruments={str(path)!r} is not there; give the broker's list.")
    state = file.stat()
    return _read(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> Instruments:
    source = Source(file)
    if shows_json(source):
        listed = load(source)
        if isinstance(listed, list) and listed and "instrument_key" in listed[0]:
            return Instruments(source.name, (_of_json(row) for row in listed))
    header = source.header
    key = next((k for k in ("instrument_token", "instrument_key") if k in header), None)
    if key is None or "tradingsymbol" not in header:
        raise ImportRefused(
            f"{source.name} is no list of instruments of Kite or Upstox: it has no columns "
            "instrument_token (or instrument_key) and tradingsymbol."
        )
    with source.open() as stream:
        text = stream.read().decode(source.encoding, errors="replace")
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    return Instruments(source.name, (_of_csv(row, key) for row in rows))


def _of_csv(row: Mapping[str, str | None], key: str) -> Instrument:
    def text(name: str) -> str:
        return (row.get(name) or "").strip()

    kind = text("option_type") or text("instrument_type")
    kind = "INDEX" if "INDEX" in text(key) or text("segment") == "INDICES" else kind
    try:
        expiry = date.fromisoformat(text("expiry"))
    except ValueError:
        expiry = None
    lot, tick, strike = (number(text(n)) or 0 for n in ("lot_size", "tick_size", "strike"))
    token = text("exchange_token")
    return Instrument(
        text(key),
        token,
        text("tradingsymbol"),
        text("name"),
        expiry,
        strike,
        kind,
        int(lot),
        round(tick * 100),
    )


def _of_json(row: Mapping[str, Any]) -> Instrument:
    moment = number(row.get("expiry"))
    expiry = None
    if moment is not None:  # milliseconds
        expiry = (datetime.fromtimestamp(moment / 1000, UTC) + _INDIA).date()
    elif isinstance(row.get("expiry"), str):
        expiry = date.fromisoformat(row["expiry"][:10])
    return Instrument(
        str(row["instrument_key"]),
        str(row.get("exchange_token", "")),
        str(row.get("trading_symbol", "")),
        str(row.get("underlying_symbol") or row.get("name") or ""),
        expiry,
        number(row.get("strike_price")) or 0,
        str(row.get("instrument_type", "")),
        int(number(row.get("lot_size")) or 0),
        round(number(row.get("tick_size")) or 0),  # in paise there
    )
