"""How much to load at once: which contracts are read along with the one that is asked for.

    contract      it alone
    strikes:N     N strikes on either side of it, of its expiry and all that are to come
    expiry        its whole expiry
    month         all expiries of its month
    quarter       all expiries of its quarter
    range         everything of its symbol
    auto          it alone; from the eighth of an expiry on, the rest of that expiry as well,
                  where the memory allowed has room for some of them

A contract that is read costs about a millisecond, of which most is asking the database; an
expiry of 200 costs as much as some twenty of them. So few are read alone and many together; what
they cost is measured by ``benchmarks/store.py``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from bestbt.engine.ports import Listing
from bestbt.errors import UsageError, did_you_mean

__all__ = [
    "AUTO",
    "BYTES_PER_BAR",
    "EIGHTH",
    "Loading",
    "allowed_memory",
    "fits",
    "parse_loading",
]

BYTES_PER_BAR = 81  # of decoded columns (33), and of those that reading them makes later (48)
EIGHTH = 8
_NAMES = ("auto", "contract", "strikes:10", "expiry", "month", "quarter", "range")
_MONTHS = {"month": 1, "quarter": 3}
_SHARE = 2  # an expiry is read whole if it takes no more than this part of the memory


class Loading(NamedTuple):
    """A way of loading; *n* is the strikes of `strikes:N`."""

    name: str
    n: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.n}" if self.n else self.name

    def takes(self, day: date, expiry: date) -> bool:
        """Whether something of an expiry is read along with an option of another (or the same)."""
        if self.name == "strikes":
            return day >= expiry
        months = _MONTHS.get(self.name)
        if months is None:
            return self.name == "range" or day == expiry
        same = (day.month - 1) // months == (expiry.month - 1) // months
        return same and day.year == expiry.year

    def near(self, strike: float, chain: Sequence[Listing]) -> Sequence[Listing]:
        """Return what of an expiry is read along with an option of a strike."""
        if self.name != "strikes":
            return chain
        strikes = sorted({r.spec.strike or 0.0 for r in chain}, key=lambda s: abs(s - strike))
        near = set(strikes[: 2 * self.n + 1])
        return [r for r in chain if (r.spec.strike or 0.0) in near]


AUTO = Loading("auto")


def parse_loading(text: str) -> Loading:
    """Read a way of loading.

    >>> parse_loading("strikes:10")
    Loading(name='strikes', n=10)
    """
    name, _, n = str(text).strip().lower().partition(":")
    if name == "strikes" and n.isdigit() and int(n):
        return Loading(name, int(n))
    if n or name not in _NAMES:
        raise UsageError(f"load={text!r}: {did_you_mean(str(text), _NAMES)}")
    return Loading(name)


def fits(bars: int, memory: int) -> bool:
    """Whether an expiry of so many bars may be read whole with so much memory allowed, in bytes."""
    return bars * BYTES_PER_BAR * _SHARE <= memory


_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "b": 1}


def allowed_memory(given: int | str | None = None) -> int:
    """Return bytes of `"2GB"`, `"512MB"` or a number; of ``BESTBT_MEMORY`` where nothing is given.

    >>> allowed_memory("512MB") >> 20
    512
    """
    text = str(given if given is not None else os.environ.get("BESTBT_MEMORY") or "1GB")
    plain = text.strip().lower().replace("_", "").replace(",", "")
    unit = next((u for u in _UNITS if plain.endswith(u)), "")
    try:
        found = int(float(plain.removesuffix(unit)) * _UNITS.get(unit, 1))
    except (ValueError, OverflowError):
        found = 0
    if found <= 0:
        raise UsageError(f"memory={text!r}: give bytes, or text such as '512MB' or '2GB'.")
    return found
