"""GDFL's minutes: one file a day or a contract, stamped at the last second, the day first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bestbt.engine.ports import ContractSpec
from bestbt.markets.demo import DemoSeries
from bestbt.markets.symbols import format_symbol
from tests.vendors.market import bars

HEADER = "Ticker,Date,Time,Open,High,Low,Close,Volume,Open Interest"
_INDICES = {"NIFTY": "NIFTY 50", "BANKNIFTY": "NIFTY BANK", "INDIAVIX": "INDIA VIX"}

# What such files have beside bars, and under which name each row is set aside.
DIRT = {
    "before-open": "NIFTY 50.NSE_IDX,03/01/2024,09:07:59,21700,21700,21700,21700,0,0",
    "at-close": "NIFTY 50.NSE_IDX,03/01/2024,15:30:59,21600,21600,21600,21600,0,0",
    "after-close": "NIFTY 50.NSE_IDX,03/01/2024,15:45:59,21600,21600,21600,21600,0,0",
    "odd-stamp": "NIFTY04JAN2421700CE.NFO,03/01/2024,10:00:00,5,5,5,5,50,100",
    "unreadable-time": "NIFTY04JAN2421700CE.NFO,03/01/20244,10:00:59,5,5,5,5,50,100",
    "price-not-positive": "NIFTY04JAN2428000CE.NFO,03/01/2024,10:00:59,0,0,0,0,0,0",
    "no-trade": "NIFTY04JAN2428000CE.NFO,03/01/2024,10:01:59,5,5,5,5,0,0",
    "unreadable-symbol": "RELIANCE25JAN242600CE.NFO,03/01/2024,10:00:59,5,5,5,5,250,250",
    "no-session": "NIFTY04JAN2421700CE.NFO,31/12/2023,10:00:59,5,5,5,5,50,100",
    "after-expiry": "NIFTY04JAN2421700CE.NFO,05/01/2024,10:00:59,5,5,5,5,50,100",
    "continuous": "NIFTY-I.NFO,03/01/2024,10:00:59,21999,21999,21999,21999,50,100",
    "ragged-row": "NIFTY04JAN2421700CE.NFO,03/01/2024,10:0",
}


def ticker(spec: ContractSpec) -> str:
    """Name an instrument as GDFL does."""
    if spec.expiry is None:
        return f"{_INDICES[spec.symbol]}.NSE_IDX"
    return format_symbol(spec, "dated") + ".NFO"


def rows(one: DemoSeries) -> list[str]:
    """The bars of a series."""
    return [
        f"{ticker(one.spec)},{time:%d/%m/%Y},{time:%H:%M}:59,{o:.10g},{h:.10g},{low:.10g},{c:.10g},"
        f"{int(more[0]) if more else 0},{int(more[1]) if more else 0}"
        for time, o, h, low, c, *more in bars(one).itertuples()
    ]


def save(file: Path, lines: Iterable[str]) -> Path:
    """Write a file, with the line ends of Windows that the vendor uses."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(f"{line}\r\n" for line in (HEADER, *lines)).encode())
    return file


def by_contract(folder: Path, series: Sequence[DemoSeries]) -> list[Path]:
    """One file a contract."""
    return [save(folder / f"{ticker(one.spec)}.csv", rows(one)) for one in series]


def by_day(folder: Path, series: Sequence[DemoSeries]) -> list[Path]:
    """One file a day, all contracts in it by ticker."""
    lines = sorted(line for one in series for line in rows(one))
    days = sorted({line.split(",")[1] for line in lines})
    return [
        save(
            folder / f"GDFLNFO_BACKADJUSTED_{day.replace('/', '')}.csv",
            [line for line in lines if line.split(",")[1] == day],
        )
        for day in days
    ]


def write(folder: Path, series: Sequence[DemoSeries]) -> Path:
    """All days in one file."""
    return save(folder / "gdfl.csv", [line for one in series for line in rows(one)])
