"""Ticks made inside minute bars, and written as vendors do, with their stamps, names and dirt.

A minute's ticks visit its four prices in the order of its path and stay between them, so that bars
made of them are the bars they came from. The shapes are those of published files.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from bestbt.engine.ports import ContractSpec
from bestbt.markets.demo import DemoSeries, generate
from bestbt.markets.symbols import format_symbol
from bestbt.units import MINUTE, POINTS, SECOND

__all__ = [
    "Contract",
    "Tick",
    "demo_ticks",
    "inside",
    "write_depth",
    "write_gdfl",
    "write_truedata",
]

IST = ZoneInfo("Asia/Kolkata")
GDFL = "Ticker,Date,Time,LTP,BuyPrice,BuyQty,SellPrice,SellQty,LTQ,OpenInterest"


@dataclass(frozen=True, slots=True)
class Tick:
    """One change of a contract: a trade, or its quotes alone (`qty` 0, the price as before)."""

    time: int
    price: int
    qty: int
    total: int
    oi: int
    bid: int
    ask: int
    size: int  # what was bid and asked for: another at each tick of a second


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract, the minute bars it came with, and the ticks inside them."""

    spec: ContractSpec
    bars: DemoSeries
    ticks: list[Tick]


def _on(series: DemoSeries, day: date) -> DemoSeries:
    """Return one day of a contract's bars."""
    midnight = datetime.combine(day, datetime.min.time(), IST)
    low = int(midnight.timestamp()) * SECOND
    mine = (series.starts >= low) & (series.starts < low + 1440 * MINUTE)
    volume, oi = (None if c is None else c[mine] for c in (series.volume, series.oi))
    points = series.points.reshape(-1, POINTS)[mine].ravel()
    return DemoSeries(series.spec, series.starts[mine], points, volume, oi)


def inside(bars: DemoSeries, seed: int) -> list[Tick]:
    """Make the ticks of a contract's bars of one day; its tick size is 5 paise."""
    rng = np.random.default_rng(seed)
    lot = bars.spec.lot
    found: list[Tick] = []
    total = 0
    for i, start in enumerate(bars.starts.tolist()):
        path: list[int] = []
        for point in bars.points[POINTS * i : POINTS * (i + 1)].tolist():
            if path and path[-1] != point and rng.random() < 0.3:  # one more on the way
                low, high = sorted((path[-1], point))
                between = low + 5 * int(rng.integers(0, (high - low) // 5 + 1))
                if between not in (path[-1], point):
                    path.append(between)
            if not path or path[-1] != point:
                path.append(point)
        lots = 0 if bars.volume is None else int(bars.volume[i]) // lot
        share = rng.multinomial(lots - 1, np.full(len(path), 1 / len(path))) if lots else [0]
        seconds = sorted(rng.integers(0, 60, len(path)).tolist())
        for n, (price, second) in enumerate(zip(path, seconds, strict=True)):
            qty = lot * (int(share[n]) + (n == 0)) if lots else 0
            total += qty
            oi = 0 if bars.oi is None else int(bars.oi[i])
            quotes = (max(price - 5, 0), price + 5) if lots else (0, 0)
            when = start + second * SECOND
            found.append(Tick(when, price, qty, total, oi, *quotes, lot * (1 + len(found) % 500)))
            if lots and rng.random() < 0.4:  # the quotes move and nothing trades
                bid, size = max(price - 10, 0), lot * (1 + len(found) % 500)
                found.append(Tick(when, price, 0, total, oi, bid, price + 10, size))
    return found


def demo_ticks(day: date, names: Sequence[str], seed: int = 5) -> dict[str, Contract]:
    """Return contracts of the demo market's NIFTY by name, with ticks of a day."""
    made = {}
    for number, series in enumerate(generate("NIFTY", day, day)):
        spec = series.spec
        if str(spec) in names:
            bars = _on(series, day)
            made[str(spec)] = Contract(spec, bars, inside(bars, seed + number))
    return made


def _local(time: int) -> datetime:
    return datetime.fromtimestamp(time // SECOND, UTC).astimezone(IST)


def _rupees(raw: int) -> str:
    return f"{raw / 100:.2f}".rstrip("0").rstrip(".") if raw else "0"


def _write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text)
    return path


# --- a broker's ticks with depth -----------------------------------------------------------------


def _depth_line(tick: Tick, stamp: str | None = None) -> str:
    def level(price: int, step: int) -> dict[str, object]:
        return {"quantity": tick.size, "price": (price + step) / 100 if price else 0.0, "orders": 1}

    row = {
        **{"tradable": True, "mode": "full", "instrument_token": 12612610},
        **{"last_price": tick.price / 100, "last_quantity": tick.qty or 50},
        **{"volume": tick.total, "buy_quantity": tick.size, "sell_quantity": tick.size},
        **{"ohlc": {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5}, "change": -1.25},
        **{"last_trade_time": None, "oi": tick.oi},
        "timestamp": stamp or f"{_local(tick.time):%Y-%m-%dT%H:%M:%S}",
        "depth": {
            "buy": [level(tick.bid, -5 * n) for n in range(5)],
            "sell": [level(tick.ask, 5 * n) for n in range(5)],
        },
    }
    return repr(row)


def write_depth(
    folder: Path, made: Contract, *, dirt: bool = False, part: slice | None = None
) -> Path:
    """Write a contract's ticks newest first; with *dirt*, as a recorder leaves them.

    Dirt: a line of 1970, ticks before the open (2) with yesterday's price, one after the close,
    lines again (3, one out of its place), a line that is cut off, one that is code.
    """
    ticks = made.ticks[part or slice(None)]
    lines = [_depth_line(t) for t in ticks]
    if dirt:
        first, last = ticks[0], ticks[-1]
        before = replace(first, price=first.price + 500, qty=0, total=0)
        opened = made.bars.starts[0] // MINUTE * MINUTE - MINUTE  # a minute before its first bar
        early = [replace(before, time=int(opened) + n * SECOND, size=n + 1) for n in (5, 6)]
        late = replace(last, time=int(last.time) // (1440 * MINUTE) * 1440 * MINUTE + 601 * MINUTE)
        lines = [_depth_line(t) for t in early] + lines
        lines[11:11] = [lines[10], lines[10], lines[3]]  # again; one of them out of its place
        lines += [_depth_line(late), "{'last_price': 1.0, 'timest", "__import__('os').getcwd()"]
        lines.insert(0, _depth_line(before, "1970-01-01T05:30:00"))
    name = f"{format_symbol(made.spec)}_{_local(ticks[0].time):%Y_%m_%d}.txt.gz"
    return _write(folder / name, "\n".join(reversed(lines)))


# --- GDFL ----------------------------------------------------------------------------------------


def _gdfl_name(spec: ContractSpec) -> str:
    if spec.asset == "index":
        return "NIFTY 50.NSE_IDX"
    if spec.asset == "future":
        return "NIFTY-I.NFO"
    return f"{format_symbol(spec, 'dated')}.NFO"


def _gdfl_line(spec: ContractSpec, tick: Tick) -> str:
    when = _local(tick.time)
    quotes = (_rupees(tick.bid), tick.size, _rupees(tick.ask), tick.size)
    fields = (_rupees(tick.price), *quotes, tick.qty, tick.oi)
    return f"{_gdfl_name(spec)},{when:%d/%m/%Y},{when:%H:%M:%S},{','.join(map(str, fields))}"


def write_gdfl(folder: Path, made: Iterable[Contract], *, dirt: bool = False) -> Path:
    """Write contracts into one file; with *dirt*, what such files also hold.

    Dirt, of the first contract: rows before the open and after the close, a price of zero, one
    below, crossed quotes (1), a row twice, one out of its place, a price hundredfold, a row with
    a field too few.
    """
    lines = [GDFL]
    for number, each in enumerate(made):
        rows = [_gdfl_line(each.spec, t) for t in each.ticks]
        if dirt and not number:
            k = len(each.ticks) // 2
            mid, opened = each.ticks[k], int(each.ticks[0].time) // (1440 * MINUTE) * 1440 * MINUTE
            extra = [
                replace(mid, time=opened + 217 * MINUTE),  # 09:07
                replace(mid, time=opened + 601 * MINUTE),  # 15:31
                replace(mid, price=0, bid=0, ask=0),
                replace(mid, price=-mid.price),
                replace(mid, qty=0, bid=mid.ask, ask=mid.bid, size=7),
                replace(mid, qty=0, price=mid.price * 100, bid=0, ask=0),
            ]
            rows[k + 1 : k + 1] = [_gdfl_line(each.spec, t) for t in extra] + [rows[k]]
            rows.append(rows.pop(3))
            rows.append(rows[0].rpartition(",")[0])
        lines += rows
    return _write(folder / "GFDLNFO_TICK.csv", "\r\n".join(lines) + "\r\n")


# --- TrueData ------------------------------------------------------------------------------------


def write_truedata(folder: Path, made: Contract, *, totals: bool) -> Path:
    """Write one contract's file, its volume the day's so far or each row's own."""
    spec = made.spec
    lines = []
    for t in made.ticks:
        head = f"{_local(t.time):%Y%m%d,%H:%M:%S},{_rupees(t.price)}"
        if spec.asset == "index":
            lines.append(f"{head},0,0")
            continue
        tail = (t.oi, _rupees(t.bid), t.size, _rupees(t.ask), t.size)
        lines.append(f"{head},{t.total if totals else t.qty},{','.join(map(str, tail))}")
    if spec.asset == "option":
        name = f"{spec.symbol}{spec.expiry:%y%m%d}{spec.strike:g}{spec.right}"
    else:
        name = "NIFTY" if spec.asset == "index" else "NIFTY-I"
    return _write(folder / f"{name}.csv", "\n".join(lines) + "\n")
