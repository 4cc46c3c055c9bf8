"""A clean market for tests of dirt: an index and a chain of its options that agree, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Grid
from bestbt.markets.india import INDIA
from bestbt.units import MINUTE

__all__ = ["CALL", "PRICES", "clean", "name", "save", "seen"]

PRICES = ["open", "high", "low", "close"]
CALL = "NIFTY08FEB2422000CE"
_SPREAD = 300.0


def clean(
    days: Sequence[str] = ("2024-02-05",),
    strikes: Sequence[int] = (21800, 21850, 21900, 21950, 22000, 22050, 22100),
    minutes: int | None = None,
    seed: int = 7,
    expiry: str = "08FEB24",
    lot: int = 50,
) -> pd.DataFrame:
    """Return minutes of NIFTY and of calls and puts: symbol, time (local), prices, volume, oi.

    By contract, then by time. *minutes* cuts each day short.
    """
    sessions = [INDIA.sessions(date.fromisoformat(d), date.fromisoformat(d))[0] for d in days]
    grid = Grid(sessions, MINUTE)
    keep = np.concatenate(
        [np.arange(a, b + 1)[:minutes] for a, b in zip(grid.firsts, grid.lasts, strict=True)]
    )
    times = pd.DatetimeIndex(grid.starts[keep], tz="UTC").tz_convert("Asia/Kolkata")
    times = times.tz_localize(None)
    rng = np.random.default_rng(seed)
    level = 22_000 + np.cumsum(rng.normal(0, 3, len(keep) + 1))
    spot = np.round(level / 0.05) * 0.05
    made = [_bars("NIFTY", times, spot, rng, None)]
    worth = 80 * np.exp(-np.abs(spot[:, None] - np.array(strikes)) / _SPREAD)
    for i, strike in enumerate(strikes):
        for right, sign in (("CE", 1), ("PE", -1)):
            price = np.maximum(sign * (spot - strike), 0) + np.maximum(worth[:, i], 1)
            symbol = f"NIFTY{expiry}{strike}{right}"
            made.append(_bars(symbol, times, np.round(price / 0.05) * 0.05, rng, lot))
    return pd.concat(made, ignore_index=True)


def _bars(
    symbol: str,
    times: pd.DatetimeIndex,
    price: npt.NDArray[np.float64],
    rng: np.random.Generator,
    lot: int | None,
) -> pd.DataFrame:
    n = len(times)
    wick = rng.integers(1, 9, (2, n)) * 0.05
    table = pd.DataFrame({"symbol": symbol, "time": times, "open": price[:-1], "close": price[1:]})
    table["high"] = table[["open", "close"]].max(axis=1) + wick[0]
    table["low"] = table[["open", "close"]].min(axis=1) - wick[1]
    table[PRICES] = table[PRICES].round(2)
    table["volume"] = 0 if lot is None else rng.geometric(0.02, n) * lot
    table["oi"] = 0 if lot is None else rng.integers(100, 9000, n) * lot
    return table[["symbol", "time", *PRICES, "volume", "oi"]].astype({"volume": float, "oi": float})


def save(table: pd.DataFrame, file: Path) -> Path:
    """Write a table as a file of long bars."""
    table.to_csv(file, index=False, date_format="%Y-%m-%d %H:%M:%S")
    return file


def name(symbol: str) -> str:
    """Return a symbol of `clean` as the store's tables write it."""
    if symbol == "NIFTY":
        return symbol
    day = pd.to_datetime(symbol[5:12], format="%d%b%y").date()
    return f"NIFTY {day} {symbol[12:-2]} {symbol[-2:]}"


def seen(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Return one contract of a table as `Store.prices` would."""
    mine = table[table["symbol"] == symbol].set_index("time").sort_index()
    mine.index = pd.DatetimeIndex(mine.index).tz_localize("Asia/Kolkata").rename("time")
    columns = PRICES if symbol == "NIFTY" else [*PRICES, "volume", "oi"]
    return mine[columns].astype({c: "int64" for c in columns if c in ("volume", "oi")})
