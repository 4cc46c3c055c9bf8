"""The demo market as TradingView exports charts of it: a file an instrument, named by it."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from bestbt.engine.ports import ContractSpec
from bestbt.markets.demo import DemoSeries

HEAD = "time,open,high,low,close,MA,MA,EMA"


def symbol_of(spec: ContractSpec) -> str:
    """Return TradingView's name of a contract."""
    if spec.asset == "option":
        return f"{spec.symbol}{spec.expiry:%y%m%d}{str(spec.right)[0]}{spec.strike:g}"
    if spec.asset == "future":
        assert spec.expiry is not None
        return f"{spec.symbol}{'FGHJKMNQUVXZ'[spec.expiry.month - 1]}{spec.expiry.year}"
    return spec.symbol


def write(folder: Path, series: DemoSeries, *, epoch: bool = False) -> Path:
    """Write minutes of one instrument: its indicators begin as NaN, an index has no volume."""
    file = folder / f"NSE_{symbol_of(series.spec)}, 1.csv"
    quads = series.points.reshape(-1, 4) / 100
    volume = series.volume
    lines = [HEAD if volume is None else f"{HEAD},Volume"]
    zone = ZoneInfo("Asia/Kolkata")
    for i, start in enumerate(series.starts.tolist()):
        seconds = start // 1_000_000_000
        local = pd.Timestamp(seconds, unit="s", tz=zone)
        time = str(seconds) if epoch else local.isoformat()
        o, c, high, low = quads[i, 0], quads[i, 3], quads[i].max(), quads[i].min()
        mean = "NaN" if i < 9 else f"{np.mean(quads[i - 9 : i + 1, 3])}"
        row = f"{time},{o:.10g},{high:.10g},{low:.10g},{c:.10g},{mean},{mean},{mean}"
        lines.append(row if volume is None else f"{row},{volume[i]}")
    file.write_text("\n".join(lines) + "\n")
    return file
