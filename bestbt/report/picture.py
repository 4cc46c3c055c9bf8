"""A run as a still picture: prices above, PnL below, drawn as SVG with nothing but text.

It is what a saved notebook shows where no kernel is there to show the view. Front ends that do not
trust a notebook strip SVG from its HTML, but not images: the drawing is one, in the address itself.
Its colours are readable on light and on dark.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.report.summary import amount

__all__ = ["picture"]

Floats = npt.NDArray[np.float64]

_WIDTH, _LEFT, _RIGHT = 860, 6, 84  # pixels; the right margin holds the scales
_PRICE, _PNL, _GAP, _FOOT = 190, 110, 14, 22
_SLOTS = 600  # each is drawn by its lowest and highest point
_DATES = 6  # at most, under the axis
_GREY, _BLUE, _GREEN, _RED = "#808080", "#3a7bd5", "#138a72", "#d6433f"


def picture(
    name: str, times: pd.DatetimeIndex, price: Floats, pnl: Floats, currency: str = "₹"
) -> str:
    """Return the picture as an HTML ``<img>``.

    Parameters
    ----------
    name
        Of what *price* is.
    times
        Exchange local, of each bar.
    price, pnl
        Of each bar, in currency, of the same length; NaN where there is none.
    currency
        Its sign.

    Examples
    --------
    >>> times = pd.date_range("2024-01-01 09:15", periods=3, freq="min")
    >>> picture("NIFTY", times, np.array([1.0, 3, 2]), np.zeros(3))[:35]
    '<img alt="NIFTY and PnL by bar" src'
    """
    height = _PRICE + _GAP + _PNL + _FOOT
    made = float(pnl[np.isfinite(pnl)][-1]) if np.isfinite(pnl).any() else 0.0
    colour = _RED if made < 0 else _GREEN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11" fill="{_GREY}">',
        *_pane(price, 0, _PRICE, _BLUE, name, f"{_newest(price):,.2f}"),
        *_pane(pnl, _PRICE + _GAP, _PNL, colour, "PnL", amount(made, currency), zero=True),
        *_dates(times, height - 7),
        "</svg>",
    ]
    drawn = b64encode("".join(parts).encode()).decode()
    told = escape(f"{name} and PnL by bar", quote=True)
    return f'<img alt="{told}" src="data:image/svg+xml;base64,{drawn}">'


def _newest(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else float("nan")


def _pane(
    values: Floats, top: int, height: int, colour: str, name: str, newest: str, zero: bool = False
) -> Iterator[str]:
    """Draw one line in its frame: its name and newest value, lowest and highest on the scale."""
    right = _WIDTH - _RIGHT
    yield (
        f'<rect x="{_LEFT}" y="{top + 0.5}" width="{right - _LEFT}" height="{height - 1}" '
        f'fill="none" stroke="{_GREY}" stroke-opacity="0.4"/>'
    )
    yield f'<text x="{_LEFT + 6}" y="{top + 15}">{escape(name)} '
    yield f'<tspan fill="{colour}" font-weight="bold">{escape(newest)}</tspan></text>'
    there = values[np.isfinite(values)]
    if not len(there):
        return
    low, high = float(there.min()), float(there.max())
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    span = (high - low) or 1.0
    inner = height - 30  # under the name

    def y(value: float) -> float:
        return round(top + 22 + (high - value) / span * inner, 1)

    for level in sorted({low, high, 0.0} if zero else {low, high}):
        dashes = ' stroke-dasharray="3 3"' if level == 0 and zero else ""
        if dashes:
            yield f'<path d="M{_LEFT} {y(0)}H{right}" stroke="{_GREY}"{dashes}/>'
        if level or not zero or low == high:
            yield f'<text x="{right + 5}" y="{y(level) + 4:.1f}">{_level(level)}</text>'
    points = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in _line(values))
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _level(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−")


def _line(values: Floats) -> Iterator[tuple[float, float]]:
    """Yield x and value of what is drawn of a line: the lowest and highest of each slot."""
    at = np.flatnonzero(np.isfinite(values))
    if len(at) > 2 * _SLOTS:
        kept: list[int] = []
        for slot in np.array_split(at, _SLOTS):
            both = {int(slot[values[slot].argmin()]), int(slot[values[slot].argmax()])}
            kept += sorted(both)
        at = np.array([*kept[:-1], *sorted({kept[-1], int(at[-1])})])
    for i in at.tolist():
        yield _x(i, len(values)), float(values[i])


def _x(bar: int, bars: int) -> float:
    return _LEFT + bar / max(bars - 1, 1) * (_WIDTH - _LEFT - _RIGHT)


def _dates(times: pd.DatetimeIndex, y: int) -> Iterator[str]:
    """Write the days under the axis, or as many of them as there is room for."""
    days = times.normalize()
    firsts: Sequence[int] = np.flatnonzero(np.append(True, days[1:] != days[:-1])).tolist()
    step = -(-len(firsts) // _DATES)
    for bar in firsts[::step] if len(times) else ():
        yield f'<text x="{_x(bar, len(times)):.1f}" y="{y}">{times[bar]:%d %b %Y}</text>'
