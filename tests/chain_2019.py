"""The archive of option chains of 2019 read raw, and what an option trade of then comes to.

The second side of checks on runs over that archive: nothing here comes from the package. Prices
are in paise, as integers.
"""

from __future__ import annotations

import math
import re
import tarfile
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

__all__ = ["Archive", "Deal", "Page", "Right", "Row", "bill", "by_delta", "by_strike"]

Right = Literal["CE", "PE"]
NAME = re.compile(r"([A-Z]+)/(\d+[A-Z]{3}\d{4})/\1_(\d\d-\d\d-\d{4})\D(\d\d)\D(\d\d)\.csv$")
FIELDS: dict[Right, tuple[str, ...]] = {
    "CE": ("CallLTP", "CallBidPrice", "CallAskPrice", "CallVolume"),
    "PE": ("PutLTP", "PutBidPrice", "PutAskPrice", "PutVolume"),
}
# So far from the middle of its day an index may be; on the day of an election it went farther.
FAR, ELECTION, FARTHER = 0.017, date(2019, 5, 23), 0.032


class Row(NamedTuple):
    """A call or a put on a page; 0 is a dash."""

    last: int
    bid: int
    ask: int
    volume: int

    @property
    def price(self) -> int:
        """The middle of the quotes, halves up; the last traded price where one is missing."""
        return (self.bid + self.ask + 1) // 2 if self.bid and self.ask else self.last


class Page(NamedTuple):
    """One file: an expiry at a moment."""

    stamp: datetime
    spot: int
    rows: dict[tuple[float, Right], Row]


class Archive:
    """All pages that show something new, by symbol and expiry; read when they are asked for.

    A page of which an older one of its expiry has every line, byte for byte, is a repeat; they are
    counted by day, and so are the others. Left out is also what shows the index of another day.
    """

    def __init__(self, path: Path) -> None:
        found: dict[tuple[str, date], list[tuple[datetime, bytes]]] = {}
        with tarfile.open(path) as archive:
            for member in archive:
                name, stream = NAME.search(member.name), archive.extractfile(member)
                if name is not None and stream is not None:
                    symbol, expiry, day, hour, minute = name.groups()
                    of = (symbol, datetime.strptime(expiry, "%d%b%Y").date())
                    stamp = datetime.strptime(f"{day} {hour}{minute}", "%d-%m-%Y %H%M")
                    found.setdefault(of, []).append((stamp, stream.read()))
        self.files: dict[tuple[str, date], list[tuple[datetime, bytes]]] = {}
        self.repeats: dict[date, int] = {}
        self.fresh: dict[date, int] = {}
        for of, files in found.items():
            seen: set[bytes] = set()  # lines without their number: stale pages come cut short
            for stamp, content in sorted(files):
                lines = [line.partition(b",")[2] for line in content.splitlines()[1:]]
                new = not seen.issuperset(lines)
                counted = self.fresh if new else self.repeats
                counted[stamp.date()] = counted.get(stamp.date(), 0) + 1
                if new:
                    self.files.setdefault(of, []).append((stamp, content))
                seen.update(lines)
        self._part_other_days()
        moments = self._cycles({stamp for kept in self.files.values() for stamp, _ in kept})
        self._shown: dict[tuple[str, date, datetime], list[tuple[datetime, bytes]]] = {}
        for (symbol, expiry), kept in self.files.items():
            for stamp, content in kept:
                late = moments[stamp] + timedelta(minutes=10)
                closes = late.replace(minute=late.minute // 15 * 15)
                self._shown.setdefault((symbol, expiry, closes), []).append((stamp, content))
        self._read: dict[bytes, Page | None] = {}

    def _part_other_days(self) -> None:
        """Drop pages that show the index of another day: far from the middle of their day's."""
        days: dict[tuple[str, date], list[float]] = {}
        for (symbol, _), kept in self.files.items():
            for stamp, content in kept:
                if spot := _spot(content):
                    days.setdefault((symbol, stamp.date()), []).append(spot)
        middle = {of: median(spots) for of, spots in days.items()}
        for (symbol, expiry), kept in self.files.items():
            self.files[symbol, expiry] = [
                (stamp, content)
                for stamp, content in kept
                if not (spot := _spot(content))
                or abs(spot / middle[symbol, stamp.date()] - 1)
                < (FARTHER if stamp.date() == ELECTION else FAR)
            ]

    @staticmethod
    def _cycles(stamps: set[datetime]) -> dict[datetime, datetime]:
        """Files within five minutes are one moment, that of the latest."""
        of: dict[datetime, list[datetime]] = {}
        first = datetime.min
        for stamp in sorted(stamps):
            if stamp - first >= timedelta(minutes=5):
                first = stamp
            of.setdefault(first, []).append(stamp)
        return {stamp: cycle[-1] for cycle in of.values() for stamp in cycle}

    def page(self, symbol: str, expiry: date, closes: datetime) -> Page | None:
        """Return the newest page of an expiry that a bar which closes at a moment shows.

        Written from ten minutes before to five after it.
        """
        found = None
        for stamp, content in self._shown.get((symbol, expiry, closes), ()):
            if content not in self._read:
                self._read[content] = _parse(stamp, content.decode())
            found = self._read[content] or found
        return found

    def pages(self, symbol: str, closes: datetime) -> list[Page]:
        """Return those of all expiries, as they were written; of one stamp the nearest last."""
        expiries = sorted((e for s, e in self.files if s == symbol), reverse=True)
        found = (self.page(symbol, expiry, closes) for expiry in expiries)
        return sorted((page for page in found if page is not None), key=lambda page: page.stamp)


def _spot(content: bytes) -> float:
    """Return the index on the first line; 0 where there is none."""
    try:
        return float(content.split(b"\n", 2)[1].split(b",")[22])
    except (IndexError, ValueError):
        return 0.0


def _parse(stamp: datetime, text: str) -> Page | None:
    head, *lines = text.splitlines() or [""]
    names = head.split(",")
    rows: dict[tuple[float, Right], Row] = {}
    spot = 0
    for line in lines:
        fields = dict(zip(names, line.split(","), strict=False))
        if len(fields) < len(names) or not _paise(fields["StrikePrice"]):
            return None
        spot = _paise(fields.get("CurrentVal", "-"))
        for right, (last, bid, ask, volume) in FIELDS.items():
            strike = _paise(fields["StrikePrice"]) / 100
            rows[strike, right] = Row(
                last=_paise(fields[last]),
                bid=_paise(fields[bid]),
                ask=_paise(fields[ask]),
                volume=_paise(fields[volume]) // 100,
            )
    return Page(stamp, spot, rows) if rows else None


def _paise(text: str) -> int:
    return 0 if text in ("-", "") else round(float(text) * 100)


# What a page tells


def by_strike(page: Page, right: Right, at: float) -> float:
    """Return the strike nearest to a level in paise, of rows with a price; the lower on a tie."""
    priced = [k for (k, r), row in page.rows.items() if r == right and row.price]
    return min(priced, key=lambda k: (abs(k * 100 - at), k))


def _forward(page: Page) -> float:
    """Return strike + call − put in paise, where call and put cost nearly the same."""
    pairs = [
        (abs(page.rows[k, "CE"].price - page.rows[k, "PE"].price), k)
        for k, right in page.rows
        if right == "CE" and page.rows[k, "CE"].price and page.rows[k, "PE"].price
    ]
    strike = min(pairs)[1]
    return strike * 100 + page.rows[strike, "CE"].price - page.rows[strike, "PE"].price


def by_delta(page: Page, right: Right, wanted: float, expiry: date, now: datetime) -> float:
    """Return the strike whose delta, its sign aside, is nearest to a number."""
    left = datetime.combine(expiry, time(15, 30)) - now
    years, on = left.total_seconds() / 60 / 525_600, _forward(page)
    deltas = {
        k: _delta(row.price, on, k * 100, years, right)
        for (k, r), row in page.rows.items()
        if r == right and row.price
    }
    return min((abs(d - wanted), k) for k, d in deltas.items() if d is not None)[1]


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _black76(f: float, k: float, years: float, vol: float, right: Right) -> tuple[float, float]:
    """Return what an option is worth on its forward, not discounted, and its delta without sign."""
    width = vol * math.sqrt(years)
    d1 = math.log(f / k) / width + width / 2
    if right == "CE":
        return f * _normal(d1) - k * _normal(d1 - width), _normal(d1)
    return k * _normal(width - d1) - f * _normal(-d1), _normal(-d1)


def _delta(price: int, f: float, k: float, years: float, right: Right) -> float | None:
    """Find the volatility by halving; None where the price is no more than the intrinsic value."""
    if price <= max(f - k if right == "CE" else k - f, 0):
        return None
    low, high = 1e-4, 10.0
    for _ in range(60):
        vol = (low + high) / 2
        low, high = (vol, high) if _black76(f, k, years, vol, right)[0] < price else (low, vol)
    return _black76(f, k, years, low, right)[1]


# What it costs, at the rates of May to July 2019


class Deal(NamedTuple):
    """Units bought (or, with a minus, sold) at a price in paise; or settled, worth that much."""

    day: date
    contract: str
    qty: int
    price: int
    settled_on: int = 0  # the index's close in paise


def bill(deals: Iterable[Deal]) -> Decimal:
    """Return the charges of an option trade in rupees, to the paisa.

    Of each order: 20 of brokerage, 0.05 % to the exchange, 0.0001 % to SEBI, 0.002 % stamp duty,
    18 % GST on the first three. Of a sale 0.05 % STT; of an option held to settlement in the money
    0.125 % of the index; STT is whole rupees for a contract and day.
    """
    total = Decimal(0)
    for _, group in groupby(sorted(deals), key=lambda deal: (deal.day, deal.contract)):
        tax = Decimal(0)
        for deal in group:
            turnover = Decimal(abs(deal.qty) * deal.price) / 100
            if deal.settled_on:
                value = Decimal(-deal.qty * deal.settled_on) / 100
                tax += value * Decimal("0.00125") if deal.qty < 0 < deal.price else 0
                continue
            services = 20 + turnover * Decimal("0.0005") + turnover * Decimal("0.000001")
            total += services * Decimal("1.18") + turnover * Decimal("0.00002")
            tax += turnover * Decimal("0.0005") if deal.qty < 0 else 0
        total += tax.quantize(Decimal(1), ROUND_HALF_UP)
    return total.quantize(Decimal("0.01"), ROUND_HALF_UP)
