"""Every error bestbt raises on purpose.

    BestbtError
    ├── UsageError            you can fix it; a notebook shows it as one short message
    │   ├── CellError         the %%backtest cell has mistakes (carries them, with their lines)
    │   ├── ParamError        a strategy was given a parameter it does not have, or a bad value
    │   ├── OrderError        an order call that makes no sense (an index, zero lots)
    │   ├── ContractNotFound  no such symbol, strike or contract in the store
    │   ├── ExpiryNotFound    no such expiry
    │   ├── DataGap           the store has no data where the run needs them
    │   ├── ImportRefused     a file that cannot be understood (nothing of it was stored)
    │   ├── NoSchedule        no sourced charges, lots or rules for a date
    │   ├── StoreUnreachable  the server of the store does not answer (any more)
    │   └── StaleHandle       an object of a run that has since been rewound
    ├── NotRepeatable         a replay went another way than the run it repeats
    ├── StoreCorrupt          stored data fail their checksum
    └── InvariantError        bestbt is wrong; please report it

    Interrupted               a KeyboardInterrupt that says what of long work was kept

Each message says what was asked, what was found, and what to do next, in that order.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BestbtError",
    "CellError",
    "ContractNotFound",
    "DataGap",
    "ExpiryNotFound",
    "ImportRefused",
    "Interrupted",
    "InvariantError",
    "NoSchedule",
    "NotRepeatable",
    "OrderError",
    "ParamError",
    "StaleHandle",
    "StoreCorrupt",
    "StoreUnreachable",
    "UsageError",
    "did_you_mean",
    "without_secrets",
]


class BestbtError(Exception):
    """Base of every error bestbt raises on purpose."""


class UsageError(BestbtError):
    """A mistake its reader can mend; shown without a traceback in a notebook."""

    def _render_traceback_(self) -> list[str]:
        """Tell IPython how to show it: the message, and the line of the reader's own code."""
        shown = [f"{type(self).__name__}: {self}"]
        package = __file__.rpartition("errors.py")[0]
        at = self.__traceback__
        while at is not None:
            name = at.tb_frame.f_code.co_filename
            if not name.startswith(package) and "IPython" not in name:
                source = without_secrets(linecache.getline(name, at.tb_lineno).strip())
                shown[1:] = [f"  line {at.tb_lineno}: {source}"] if source else []
            at = at.tb_next
        return shown


class CellError(UsageError):
    """A `%%backtest` cell with mistakes; `problems` lists them in line order."""

    def __init__(self, message: str, problems: Iterable[object] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ParamError(UsageError, TypeError):
    """An unknown parameter, or a value it does not take."""


class OrderError(UsageError, ValueError):
    """An order call that can never be an order."""


class ContractNotFound(UsageError, LookupError):
    """No such symbol, strike or contract."""

    @classmethod
    def strike(
        cls, symbol: str, strike: float, right: str, expiry: object, listed: Iterable[float]
    ) -> ContractNotFound:
        """Say which strikes lie nearest to the one asked for."""
        near = sorted(sorted(listed, key=lambda k: abs(k - strike))[:3])
        tail = (
            f"nearest listed strikes are {', '.join(f'{k:g}' for k in near)}"
            if near
            else "that expiry has no strikes in the store: see `%bestbt coverage`"
        )
        return cls(f"No {symbol} {strike:g} {right} for expiry {expiry}; {tail}.")


class ExpiryNotFound(UsageError, LookupError):
    """No such expiry among those stored."""


class DataGap(UsageError, LookupError):
    """The store has no data where the run needs them."""


class ImportRefused(UsageError, ValueError):
    """A file that cannot be understood; nothing of it was stored."""


class NoSchedule(UsageError, LookupError):
    """No sourced fact (charges, lot, session) for the date asked."""


class StoreUnreachable(UsageError):
    """The server of the store does not answer, or went away; nothing half done was kept."""


class StaleHandle(UsageError, RuntimeError):
    """A contract or position of a run that has since been rewound."""


class NotRepeatable(BestbtError):
    """A replay placed other orders than the run it repeats."""


class StoreCorrupt(BestbtError):
    """Stored data fail their checksum."""


class InvariantError(BestbtError):
    """A law of the engine does not hold: a bug in bestbt."""


def without_secrets(text: str) -> str:
    """Return a text with what stands for user and password in its addresses left out.

    >>> without_secrets('Store.open("postgresql://me:pass/w@rd@server/prices?password=x")')
    'Store.open("postgresql://…@server/prices?password=…")'
    """
    text = re.sub(r"(:/{1,2})[^\s\"']*@", r"\1…@", text)
    return re.sub(r"(?i)((?:password|passwd|pwd)\s*=\s*)[^\s&\"']+", r"\1…", text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest known name, else all of them.

    >>> did_you_mean("widht", ["width", "stop"])
    "Did you mean 'width'?"
    >>> did_you_mean("x", ["width", "stop"])
    'It has: stop, width.'
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(names)}."


class Interrupted(KeyboardInterrupt):
    """Long work that was interrupted; it says what is kept, and how to go on."""

    def _render_traceback_(self) -> list[str]:
        """Tell IPython to show the message alone."""
        return [f"Interrupted: {self}"]
