"""The demo market as LEAN stores it: a zip a day and kind of data, a text for each contract."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from bestbt.markets.demo import DemoSeries

TICK = 500  # 0.05 in ten-thousandths
OPEN_MS = 33_300_000  # 09:15


def write(folder: Path, market: Iterable[DemoSeries], *, dirt: bool = True) -> Path:
    """Write instruments below a folder, as `index/india/minute/nifty` and so on; return it.

    Options have trades, quotes of a tick around them and open interest, in contracts. The
    dirt: a row before the open and one at the close of an index, and in its zip the same text
    again under another day's name.
    """
    texts: dict[Path, dict[str, str]] = {}
    for series in market:
        spec = series.spec
        times = pd.DatetimeIndex(series.starts, tz="UTC").tz_convert("Asia/Kolkata")
        for day in np.unique(times.date):
            here = np.asarray(times.date == day)
            ms = ((times[here] - times[here].normalize()) // pd.Timedelta("1ms")).tolist()
            quads = series.points.reshape(-1, 4)[here]
            four = [(q[0], q.max(), q.min(), q[3]) for q in quads.astype(int)]
            low = spec.symbol.lower()
            if spec.asset == "index":
                rows = [
                    f"{m}," + ",".join(f"{v / 100:.10g}" for v in q) + ",0"
                    for m, q in zip(ms, four, strict=True)
                ]
                if dirt:
                    rows.insert(0, "32820000,10881.7,10881.7,10881.7,10881.7,0")
                    rows.append("55800000,10881.7,10881.7,10881.7,10881.7,0")
                at = folder / "index" / "india" / "minute" / low / f"{day:%Y%m%d}_trade.zip"
                inside = texts.setdefault(at, {})
                if dirt:
                    inside["20300102_nifty_minute_trade.csv"] = "\n".join(rows)
                inside[f"{day:%Y%m%d}_{low}_minute_trade.csv"] = "\n".join(rows)
            elif spec.asset == "option":
                assert series.volume is not None
                assert series.oi is not None
                assert spec.strike is not None
                side = "call" if spec.right == "CE" else "put"
                name = f"european_{side}_{spec.strike * 10_000:.0f}_{spec.expiry:%Y%m%d}.csv"
                place = folder / "indexoption" / "india" / "minute" / low
                volume, oi = series.volume[here] // spec.lot, series.oi[here] // spec.lot
                kinds: dict[str, list[str]] = {"trade": [], "quote": [], "openinterest": []}
                for i, (m, q) in enumerate(zip(ms, four, strict=True)):
                    scaled = [v * 100 for v in q]
                    bid = ",".join(str(v - TICK) for v in scaled)
                    ask = ",".join(str(v + TICK) for v in scaled)
                    kinds["trade"].append(f"{m},{','.join(map(str, scaled))},{volume[i]}")
                    kinds["quote"].append(f"{m},{bid},10,{ask},20")
                    kinds["openinterest"].append(f"{m},{oi[i]}")
                for what, lines in kinds.items():
                    at = place / f"{day:%Y%m%d}_{what}_european.zip"
                    inside = texts.setdefault(at, {})
                    inside[f"{day:%Y%m%d}_{low}_minute_{what}_{name}"] = "\n".join(lines)
    for at, inside in texts.items():
        at.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(at, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in inside.items():
                archive.writestr(name, text)
    return folder
