"""Expiry calendar of one symbol in memory; one binary search serves every question."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from bestbt.engine.ports import Expiry, ExpiryKind
from bestbt.errors import ExpiryNotFound

__all__ = ["ExpiryCalendar"]


class ExpiryCalendar:
    """The listed expiries of a symbol, by date.

    Parameters
    ----------
    symbol
        For messages.
    expiries
        In date order.

    Examples
    --------
    >>> c = ExpiryCalendar("NIFTY", [Expiry(date(2024, 1, 18), "weekly"),
    ...                              Expiry(date(2024, 1, 25), "monthly")])
    >>> c.weekly(date(2024, 1, 19)).isoformat(), c.monthly(date(2024, 1, 2)).isoformat()
    ('2024-01-25', '2024-01-25')
    """

    def __init__(self, symbol: str, expiries: Sequence[Expiry]) -> None:
        self.symbol = symbol
        self._days = [e.day for e in expiries]
        self._monthly = [e.day for e in expiries if e.kind == "monthly"]
        self._kind: dict[date, ExpiryKind] = {e.day: e.kind for e in expiries}

    def __len__(self) -> int:
        return len(self._days)

    def __contains__(self, day: date) -> bool:
        return day in self._kind

    def kind(self, day: date) -> ExpiryKind:
        """Whether an expiry is a weekly or a monthly one."""
        return self._kind[day]

    def from_day(self, first: date) -> list[date]:
        """All expiries on or after a day (the first that is not settled)."""
        return self._days[bisect_left(self._days, first) :]

    def weekly(self, first: date, n: int = 0) -> date:
        """Return the n-th listed expiry on or after a day; the monthly counts as its own week's."""
        return self._nth(self._days, first, n, "expiry")

    def monthly(self, first: date, n: int = 0) -> date:
        """Return the n-th monthly expiry on or after a day."""
        return self._nth(self._monthly, first, n, "monthly expiry")

    def _nth(self, days: list[date], first: date, n: int, what: str) -> date:
        if n < 0:
            raise ExpiryNotFound(f"{what} {n} asked; n counts from 0, the nearest not yet settled.")
        at = bisect_left(days, first) + n
        if at < len(days):
            return days[at]
        have = len(days) - (at - n)
        raise ExpiryNotFound(
            f"No {self.symbol} {what} number {n} on or after {first}: the store holds {have} from "
            "there on. Import more expiries, or ask for a nearer one."
        )
