"""Expiry calendar of one symbol in memory; one binary search serves every question."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from bestbt.engine.grid import Clock
from bestbt.engine.ports import Expiry, ExpiryKind
from bestbt.errors import ExpiryNotFound

__all__ = ["ExpiryCalendar"]


class ExpiryCalendar:
    """The expiries of a symbol by date, as far as they are listed at the run's clock.

    Parameters
    ----------
    symbol
        For messages.
    expiries
        In date order.
    clock
        Of the run: an expiry whose first contract comes later is not seen yet.

    Examples
    --------
    >>> c = ExpiryCalendar("NIFTY", [Expiry(date(2024, 1, 18), "weekly"),
    ...                              Expiry(date(2024, 1, 25), "monthly")], Clock())
    >>> c.weekly(date(2024, 1, 19)).isoformat(), c.monthly(date(2024, 1, 2)).isoformat()
    ('2024-01-25', '2024-01-25')
    """

    def __init__(self, symbol: str, expiries: Sequence[Expiry], clock: Clock) -> None:
        self.symbol = symbol
        self._clock = clock
        self._all = list(expiries)
        self._days = [e.day for e in expiries]
        self._by_day = {e.day: e for e in expiries}

    def __contains__(self, day: date) -> bool:
        found = self._by_day.get(day)
        return found is not None and self._is_listed(found)

    def kind(self, day: date) -> ExpiryKind:
        """Whether an expiry is a weekly or a monthly one."""
        return self._by_day[day].kind

    def from_day(self, first: date) -> list[date]:
        """All expiries on or after a day (the first that is not settled)."""
        later = self._all[bisect_left(self._days, first) :]
        return [e.day for e in later if self._is_listed(e)]

    def nearest(self, first: date) -> date | None:
        """Return the first listed expiry on or after a day; None where there is none."""
        later = range(bisect_left(self._days, first), len(self._all))
        return next((self._days[at] for at in later if self._is_listed(self._all[at])), None)

    def weekly(self, first: date, n: int = 0) -> date:
        """Return the n-th listed expiry on or after a day; the monthly counts as its own week's."""
        return self._nth(first, n, "expiry")

    def monthly(self, first: date, n: int = 0) -> date:
        """Return the n-th monthly expiry on or after a day."""
        return self._nth(first, n, "monthly expiry")

    def _is_listed(self, expiry: Expiry) -> bool:
        return expiry.first <= max(self._clock.bar, 0)

    def _nth(self, first: date, n: int, what: str) -> date:
        if not isinstance(n, int) or n < 0:
            raise ExpiryNotFound(f"{what} {n} asked; n counts from 0, the nearest not yet settled.")
        bar, left, any_kind = self._clock.bar, n, what == "expiry"
        if bar < 0:
            bar = 0
        for at in range(bisect_left(self._days, first), len(self._all)):
            expiry = self._all[at]
            if expiry.first <= bar and (any_kind or expiry.kind == "monthly"):
                if not left:
                    return expiry.day
                left -= 1
        advice = "Import more expiries, or ask for a nearer one."
        if any(e.first > bar for e in self._all[bisect_left(self._days, first) :]):
            advice = "No more are listed by now: ask `self.expiries()` for what there is."
        raise ExpiryNotFound(
            f"No {self.symbol} {what} number {n} on or after {first}: {n - left} are listed from "
            f"there on. {advice}"
        )
