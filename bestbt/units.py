"""Type aliases that fix the unit of every number.

Inside the engine money and prices are integers, so that "exactly" means integer equality;
people see floats (`Price`, `Money`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Ns: TypeAlias = int  # UTC nanoseconds since 1970; a bar is named by its *start*
Ordinal: TypeAlias = int  # number of a bar on the run's grid: 0, 1, 2 … across days
Point: TypeAlias = (
    int  # number of a price point: 4 × ordinal + 0 (open), 1, 2 (extremes), 3 (close)
)
RawPrice: TypeAlias = int  # price × the contract's `scale` (paise for NSE: scale 100)
RawMoney: TypeAlias = int  # 1/10,000 of the currency; positive is towards us
Price: TypeAlias = float  # currency per unit of the underlying (never per lot)
Money: TypeAlias = float  # currency; positive is towards us
Qty: TypeAlias = int  # signed units of the underlying: +75 is long one lot of 75
Right: TypeAlias = Literal["CE", "PE"]

MONEY_SCALE = 10_000
POINTS = 4  # price points in a bar
SECOND: Ns = 1_000_000_000
MINUTE: Ns = 60 * SECOND
DAY: Ns = 86_400 * SECOND


def money(raw: RawMoney) -> Money:
    """Return raw money as a float of the currency.

    >>> money(-1234500)
    -123.45
    """
    return raw / MONEY_SCALE


def half_up(numerator: int, denominator: int) -> int:
    """Divide, rounding to the nearest integer, halves away from zero.

    >>> half_up(25, 10), half_up(-25, 10), half_up(24, 10)
    (3, -3, 2)
    """
    if numerator < 0:
        return -((-numerator * 2 + denominator) // (2 * denominator))
    return (numerator * 2 + denominator) // (2 * denominator)
