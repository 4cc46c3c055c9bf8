"""Candles as the services of Kite, Upstox and Fyers answer, one instrument a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bestbt.markets.demo import DemoSeries
from bestbt.markets.symbols import format_symbol
from tests.vendors.market import bars

_INDICES = {"NIFTY": "NIFTY 50", "INDIAVIX": "INDIA VIX"}
_FYERS = {"NIFTY": "NIFTY50-INDEX", "INDIAVIX": "INDIAVIX-INDEX"}


def name(one: DemoSeries) -> str:
    """Name an instrument as the exchange does."""
    return _INDICES[one.spec.symbol] if one.spec.expiry is None else format_symbol(one.spec)


def _candles(one: DemoSeries, form: str) -> list[list[Any]]:
    found: list[list[Any]] = []
    for time, o, h, low, c, *more in bars(one).itertuples():
        stamp = int(time.timestamp()) if form == "epoch" else f"{time:%Y-%m-%dT%H:%M:%S}{form}"
        found.append([stamp, o, h, low, c, *(int(v) for v in more or (0, 0))])
    return found


def save(file: Path, answer: object) -> Path:
    """Write an answer as it came over the line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(answer))
    return file


def kite(folder: Path, one: DemoSeries, file: str | None = None) -> Path:
    """Oldest first, the zone without a colon."""
    answer = {"status": "success", "data": {"candles": _candles(one, "+0530")}}
    return save(folder / (file or f"{name(one)}_minute.json"), answer)


def upstox(folder: Path, one: DemoSeries, file: str | None = None) -> Path:
    """Newest first, the zone with a colon."""
    answer = {"status": "success", "data": {"candles": _candles(one, "+05:30")[::-1]}}
    return save(folder / (file or f"{name(one)}_1minute.json"), answer)


def fyers(folder: Path, one: DemoSeries, file: str | None = None) -> Path:
    """Seconds since 1970, without open interest."""
    candles = [candle[:6] for candle in _candles(one, "epoch")]
    own = _FYERS.get(one.spec.symbol) if one.spec.expiry is None else name(one)
    return save(folder / (file or f"NSE_{own}.json"), {"s": "ok", "candles": candles})


def fyers_expired(folder: Path, one: DemoSeries) -> Path:
    """Columns and contract named, with open interest."""
    answer = {
        "candles": _candles(one, "epoch"),
        "columns": ["timestamp", "open", "high", "low", "close", "volume", "open_interest"],
        "resolution": "1",
        "s": "ok",
        "schema_version": 1,
        "symbol": f"NSE:{name(one)}",
    }
    return save(folder / "answer.json", answer)


def kite_instruments(folder: Path, series: Sequence[DemoSeries], first: int = 9_000_001) -> Path:
    """Kite's list; the series have the numbers from *first* on."""
    lines = [
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
        "lot_size,instrument_type,segment,exchange"
    ]
    for n, one in enumerate(series):
        s = one.spec
        if s.expiry is None:
            rest = f"{name(one)},0,,0,0,0,EQ,INDICES,NSE"
        else:
            kind = s.right or "FUT"
            segment = "NFO-OPT" if s.right else "NFO-FUT"
            rest = f'"{s.symbol}",0,{s.expiry},{s.strike or 0:g},0.05,{s.lot},{kind},{segment},NFO'
        lines.append(f"{first + n},{(first + n) >> 8},{name(one)},{rest}")
    file = folder / "instruments.csv"
    file.write_text("\n".join([*lines, ""]))
    return file


def upstox_instruments(folder: Path, series: Sequence[DemoSeries]) -> Path:
    """Upstox's list; the series have the numbers from 37001 on."""
    listed = []
    for n, one in enumerate(series, 37_001):
        s = one.spec
        row: dict[str, object] = {"segment": "NSE_INDEX", "name": name(one), "exchange": "NSE"}
        row |= {"trading_symbol": s.symbol, "instrument_key": f"NSE_INDEX|{name(one).title()}"}
        row |= {"instrument_type": "INDEX", "exchange_token": str(n)}
        if s.expiry is not None:
            kind, tail = s.right or "FUT", f"{s.expiry:%d %b %y}".upper()
            middle = f"{s.strike:g} {s.right}" if s.right else "FUT"
            moment = (
                bars(one)
                .index[0]
                .normalize()
                .replace(
                    year=s.expiry.year, month=s.expiry.month, day=s.expiry.day, hour=23, minute=59
                )
            )
            row |= {"segment": "NSE_FO", "name": s.symbol, "underlying_symbol": s.symbol}
            row |= {"instrument_key": f"NSE_FO|{n}", "instrument_type": kind, "lot_size": s.lot}
            row |= {"trading_symbol": f"{s.symbol} {middle} {tail}", "tick_size": 5.0}
            row |= {"expiry": int(moment.timestamp() * 1000), "strike_price": s.strike}
        listed.append(row)
    return save(folder / "complete.json", listed)
