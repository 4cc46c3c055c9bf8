"""The chain again, slow and plain: loops over contracts, a bisection for each volatility.

Written from the rules alone, with nothing of the engine's: it reads lists with one entry a bar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

MAX_AGE = 5


@dataclass
class Row:
    """An option: raw closes (paise), units traded and open interest, None without a trade."""

    strike: int
    right: str
    closes: list[int | None]
    volume: list[int]
    oi: list[int]

    def newest(self, bar: int) -> int | None:
        """Bar of the newest trade."""
        return next((i for i in range(bar, -1, -1) if self.closes[i] is not None), None)

    def raw(self, bar: int) -> int:
        at = self.newest(bar)
        return (self.closes[at] or 0) if at is not None else 0

    def age(self, bar: int) -> int | None:
        at = self.newest(bar)
        return None if at is None else bar - at

    def open_interest(self, bar: int) -> int:
        at = self.newest(bar)
        return 0 if at is None else self.oi[at]

    def traded(self, first: int, bar: int) -> int:
        return sum(self.volume[i] for i in range(first, bar + 1) if self.closes[i] is not None)


@dataclass
class SlowChain:
    """What a chain says at a bar, by looking at everything."""

    spot: list[int | None]
    rows: list[Row]
    minutes: list[float]  # to expiry, at the end of each bar
    first: list[int]  # first bar of each bar's session
    has_oi: bool = True
    future: list[int | None] = field(default_factory=list)

    def listed(self, bar: int) -> list[Row]:
        found = [r for r in self.rows if r.newest(bar) is not None]
        return sorted(found, key=lambda r: (r.strike, r.right))

    def fresh(self, bar: int, right: str, max_age: int = MAX_AGE) -> list[Row]:
        return [r for r in self.listed(bar) if r.right == right and self._is_fresh(r, bar, max_age)]

    def _is_fresh(self, row: Row, bar: int, max_age: int) -> bool:
        age = row.age(bar)
        return age is not None and age <= max_age and bar - age >= self.first[bar]

    def spot_at(self, bar: int) -> tuple[int, int] | None:
        for i in range(bar, -1, -1):
            value = self.spot[i]
            if value is not None:
                return value, bar - i
        return None

    def synthetic(self, bar: int, max_age: int = MAX_AGE) -> int | None:
        best = None
        for call in self.fresh(bar, "CE", max_age):
            for put in self.fresh(bar, "PE", max_age):
                if call.strike == put.strike:
                    differ = call.raw(bar) - put.raw(bar)
                    if best is None or abs(differ) < best[0]:
                        best = abs(differ), 100 * call.strike + differ
        return best[1] if best is not None and best[1] > 0 else None

    def forward(self, bar: int, max_age: int = MAX_AGE) -> int | None:
        found = self.synthetic(bar, max_age)
        spot = self.spot_at(bar)
        return found if found is not None else (None if spot is None else spot[0])

    def reference(self, bar: int, max_age: int = MAX_AGE) -> int | None:
        spot = self.spot_at(bar)
        if spot is None:
            return None
        return spot[0] if spot[1] == 0 else self.synthetic(bar, max_age) or spot[0]

    def atm(self, bar: int, reference: int | None) -> int | None:
        strikes = {r.strike for r in self.listed(bar)}
        if reference is None or not strikes:
            return None
        return min(strikes, key=lambda k: (abs(100 * k - reference), k))

    def straddle(self, bar: int, max_age: int = MAX_AGE) -> int | None:
        at = self.atm(bar, self.reference(bar, max_age))
        both = [r for s in ("CE", "PE") for r in self.fresh(bar, s, max_age) if r.strike == at]
        return sum(r.raw(bar) for r in both) if len(both) == 2 else None

    def fitting(self, bar: int, right: str, max_age: int, min_oi: int, min_vol: int) -> list[Row]:
        return [
            r
            for r in self.fresh(bar, right, max_age)
            if r.open_interest(bar) >= min_oi and r.traded(self.first[bar], bar) >= min_vol
        ]

    def by_strike(self, rows: list[Row], at: float) -> tuple[int, str] | None:
        best = min(rows, key=lambda r: (abs(100 * r.strike - round(at)), r.strike), default=None)
        return None if best is None else (best.strike, best.right)

    def by_premium(self, bar: int, rows: list[Row], raw: int, side: str) -> Any:
        kept = [
            r
            for r in rows
            if side == "nearest" or (r.raw(bar) >= raw if side == "above" else r.raw(bar) <= raw)
        ]
        best = min(kept, key=lambda r: (abs(r.raw(bar) - raw), r.strike), default=None)
        return None if best is None else (best.strike, best.right)

    def pcr(self, bar: int) -> float | None:
        sums = {
            right: sum(r.open_interest(bar) for r in self.listed(bar) if r.right == right)
            for right in ("CE", "PE")
        }
        return sums["PE"] / sums["CE"] if sums["CE"] else None

    def max_pain(self, bar: int) -> int | None:
        rows = self.listed(bar)
        if not any(r.open_interest(bar) for r in rows):
            return None

        def paid(at: int) -> int:
            total = 0
            for r in rows:
                worth = at - r.strike if r.right == "CE" else r.strike - at
                total += max(worth, 0) * r.open_interest(bar)
            return total

        return min({r.strike for r in rows}, key=lambda k: (paid(k), k))

    def greeks(self, row: Row, bar: int, max_age: int = MAX_AGE) -> dict[str, float]:
        """Volatility by bisection, the rest by the textbook; empty where there is none."""
        forward = self.forward(bar, max_age)
        if forward is None or not self._is_fresh(row, bar, max_age):
            return {}
        t = max(self.minutes[bar], 1.0) / 525_600
        f, k, price = forward / 100, float(row.strike), row.raw(bar) / 100
        call = row.right == "CE"
        intrinsic = max(f - k, 0.0) if call else max(k - f, 0.0)
        if not intrinsic + 1e-9 < price < (f if call else k) - 1e-9:
            return {}
        low, high = 1e-9, 1e4
        for _ in range(90):
            middle = math.sqrt(low * high)
            if black(f, k, t, middle, call) < price:
                low = middle
            else:
                high = middle
        vol = math.sqrt(low * high)
        width = vol * math.sqrt(t)
        d1 = math.log(f / k) / width + width / 2
        bell = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        return {
            "iv": vol,
            "delta": phi(d1) if call else -phi(-d1),
            "gamma": bell / (f * width),
            "theta": -f * bell * vol / (2 * math.sqrt(t)) / 365,
            "vega": f * bell * math.sqrt(t) / 100,
        }


def phi(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def black(f: float, k: float, t: float, vol: float, call: bool) -> float:
    width = vol * math.sqrt(t)
    d1 = math.log(f / k) / width + width / 2
    if call:
        return f * phi(d1) - k * phi(d1 - width)
    return k * phi(width - d1) - f * phi(-d1)
