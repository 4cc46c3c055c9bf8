"""Participation: how much of what its bar traded a fill may be before the run says so."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from bestbt.errors import UsageError
from bestbt.units import Qty

__all__ = ["Participation"]

_FINEST = 1_000_000  # a share is as it was written, not as a float has it


class Participation(NamedTuple):
    """A share of a bar's volume, exactly as written.

    >>> Participation.parse("7%").exceeded_by(-8, volume=100)
    True
    """

    numerator: int
    denominator: int

    @classmethod
    def parse(cls, given: float | str | None) -> Participation | None:
        """Read `0.1` or `"10%"`; None for None and `"none"`; `UsageError` for anything else."""
        if given is None or given == "none":
            return None
        try:
            if isinstance(given, str) and given.strip().endswith("%"):
                share = Fraction(given.strip()[:-1]) / 100
            elif isinstance(given, int | float | str) and not isinstance(given, bool):
                share = Fraction(given).limit_denominator(_FINEST)
            else:
                share = Fraction(0)
        except (ValueError, OverflowError, ZeroDivisionError):
            share = Fraction(0)
        if not 0 < share <= 1:
            raise UsageError(
                f"max_participation={given!r}: give a share of a bar's volume, such as 0.1 or "
                "'10%', or 'none'."
            )
        return cls(share.numerator, share.denominator)

    def exceeded_by(self, qty: Qty, volume: Qty) -> bool:
        """Whether a fill is more than this share of what its bar has traded."""
        return abs(qty) * self.denominator > self.numerator * volume
