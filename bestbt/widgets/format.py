"""Numbers, times and words as people read them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pandas as pd

__all__ = ["count", "date_time", "decimal", "lasting", "money", "percent", "signed", "tone"]

MINUS, NOTHING = "−", "–"


def count(value: float, currency: str = "") -> str:
    """Write a whole number; in rupees by lakh and crore, otherwise by thousands.

    >>> count(1234567), count(1234567, "₹"), count(-950, "₹")
    ('1,234,567', '12,34,567', '−950')
    """
    digits = f"{abs(round(value)):d}"
    if currency == "₹" and len(digits) > 3:
        head, tail = digits[:-3], digits[-3:]
        while head:
            head, tail = head[:-2], f"{head[-2:]},{tail}"
        digits = tail
    else:
        digits = f"{int(digits):,}"
    return MINUS + digits if round(value) < 0 else digits


def decimal(value: float, places: int = 2) -> str:
    """Write a number with a fixed number of places.

    >>> decimal(-1234.5), decimal(float("nan"))
    ('−1,234.50', '–')
    """
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("∞" if value > 0 else MINUS + "∞")
    return f"{value:,.{places}f}".replace("-", MINUS)


def money(value: float, currency: str) -> str:
    """Write money, rounded to whole units.

    >>> money(-123456.7, "₹")
    '−₹1,23,457'
    """
    if not math.isfinite(value):
        return decimal(value)
    sign = MINUS if round(value) < 0 else ""
    return f"{sign}{currency}{count(abs(value), currency)}"


def signed(value: float, currency: str) -> str:
    """Write money with its sign, so that a gain is seen as one.

    >>> signed(1500, "₹"), signed(-1500, "₹"), signed(0, "₹")
    ('+₹1,500', '−₹1,500', '₹0')
    """
    plus = "+" if math.isfinite(value) and round(value) > 0 else ""
    return plus + money(value, currency)


def percent(value: float) -> str:
    """Write a percentage.

    >>> percent(12.345), percent(float("nan"))
    ('12.35 %', '–')
    """
    return decimal(value) + (" %" if math.isfinite(value) else "")


def lasting(seconds: float | None) -> str:
    """Write a time span.

    >>> lasting(None), lasting(0.4), lasting(75), lasting(7300)
    ('–', 'under 1 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def date_time(time: datetime | pd.Timestamp | None) -> str:
    """Write a local time to the minute; seconds only where there are some.

    >>> date_time(datetime(2024, 1, 2, 9, 20)), date_time(None)
    ('02 Jan 2024 09:20', '–')
    """
    if time is None or pd.isna(time):
        return NOTHING
    return time.strftime("%d %b %Y %H:%M:%S" if time.second else "%d %b %Y %H:%M")


def tone(value: Any) -> str:
    """Name the colour class of a gain or a loss.

    >>> tone(3.0), tone(-1), tone(0)
    ('bt-up', 'bt-down', '')
    """
    return "bt-up" if value > 0 else "bt-down" if value < 0 else ""
