"""The days of the demo index as exchanges and vendors publish them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bestbt.markets.demo import DemoSeries

SHAPES = ("exchange", "vendor", "yahoo", "shares")


def days_of(series: DemoSeries) -> pd.DataFrame:
    """Return open, high, low and close of each day, by local date, in currency."""
    times = pd.DatetimeIndex(series.starts, tz="UTC").tz_convert("Asia/Kolkata")
    quads = pd.DataFrame(series.points.reshape(-1, 4) / 100, index=times)
    by_day = quads.groupby(pd.Index(times.date))
    made = {"open": by_day[0].first(), "high": by_day.max().max(axis=1)}
    made |= {"low": by_day.min().min(axis=1), "close": by_day[3].last()}
    return pd.DataFrame(made)


def write(folder: Path, series: DemoSeries, shape: str) -> Path:
    """Write the days: newest first, grouped digits, a Sunday and a day of nulls among them."""
    days, rows = days_of(series), []
    file = (
        folder
        / {
            "exchange": "NIFTY 50-01-01-2024-to-31-01-2024.csv",
            "vendor": "nifty_day.csv",
            "yahoo": "^NSEI.csv",
            "shares": "bhav.csv",
        }[shape]
    )
    if shape == "exchange":  # padded headers, quoted fields, commas in numbers, newest first
        rows.append('"Date ","Open ","High ","Low ","Close ","Shares Traded ","Turnover (₹ Cr)"')
        for day, row in days[::-1].iterrows():
            values = ",".join(f'"{v:,.2f}"' for v in row)
            rows.append(f'"{day:%d-%b-%Y}",{values},"2,70,162,203","22,375.44"'.upper())
        rows.append('"07-JAN-2024","1.00","1.00","1.00","1.00","0","0"')  # a Sunday
    elif shape == "vendor":  # local midnights with their zone
        rows.append("date,open,high,low,close,volume")
        for day, row in days.iterrows():
            values = ",".join(f"{v:.10g}" for v in row)
            rows.append(f"{day} 00:00:00+05:30,{values},0")
    elif shape == "yahoo":
        rows.append("Date,Open,High,Low,Close,Adj Close,Volume")
        for day, row in days.iterrows():
            values = ",".join(f"{v:.6f}" for v in row)
            rows.append(f"{day},{values},{row['close']:.6f},0")
        rows.append("2024-01-22,null,null,null,null,null,null")  # a holiday
    else:  # many instruments in one file
        rows.append("SYMBOL;DATE;OPEN;HIGH;LOW;CLOSE;VOLUME")
        for name in ("RELIANCE", "SBIN"):
            for day, row in days.iterrows():
                values = ";".join(f"{v:.2f}" for v in row)
                rows.append(f"{name};{day:%d/%m/%Y};{values};1000")
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file
