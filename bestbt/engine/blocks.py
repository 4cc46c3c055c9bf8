"""Blocks: what may not be entered, why, and until when.

A `Block` is a fact, `BlockBook` the ones that are on. Nothing here knows orders: the desk asks
the book before it takes an entry, and the feeder tells it when a session opens or an expiry has
settled. `Blocking` is the face: a strategy, a contract, a position and a paused run say the same.
"""

from __future__ import annotations

from datetime import date, timedelta
from numbers import Real
from typing import Any, NamedTuple

from bestbt.engine.grid import Grid
from bestbt.errors import UsageError, did_you_mean

__all__ = ["BLOCK_VERBS", "Block", "BlockBook", "Blocking", "Scope", "check_terms", "end_day"]

# The verbs that begin a block until a session opens; the expiry's needs a calendar as well.
_SPANS = ("block_for_day", "block_for_n_days", "block_this_week", "block_for_month")
BLOCK_VERBS = (*_SPANS, "block_till_monthly_expiry", "unblock", "deactivate_positions")


class Scope(NamedTuple):
    """What a block is about: a symbol's entries or all, those with a tag or all.

    The tag `""` is that of entries without one.
    """

    symbol: str | None = None
    tag: str | None = None

    def covers(self, symbol: str, tag: str) -> bool:
        """Whether an entry, or a position, lies in it.

        >>> Scope("NIFTY").covers("NIFTY", "am"), Scope(tag="pm").covers("NIFTY", "am")
        (True, False)
        """
        return self.symbol in (None, symbol) and self.tag in (None, tag)

    def holds(self, other: Scope) -> bool:
        """Whether the whole of another scope lies in it."""
        return self.symbol in (None, other.symbol) and self.tag in (None, other.tag)

    def __str__(self) -> str:
        whose = "all entries" if self.symbol is None else f"{self.symbol} entries"
        return whose if self.tag is None else f"{whose} tagged {self.tag!r}"


class Block(NamedTuple):
    """A block that is, or was, on.

    It is over when the session of day `until` opens; with `settles`, when the expiry of that day
    has settled. None is a day behind the data: it lasts to the end of the run.
    """

    number: int
    scope: Scope
    reason: str
    until: date | None
    settles: bool

    @property
    def end(self) -> str:
        """When it is over, to be read after "until"."""
        if self.until is None:
            return "the end of the run"
        what = f"the expiry of {self.until} has settled"
        return what if self.settles else f"{self.until} opens"


class BlockBook:
    """The blocks that are on.

    Examples
    --------
    >>> book = BlockBook()
    >>> begun = book.begin(Scope("NIFTY"), "two stops", date(2024, 1, 2))
    >>> book.over("NIFTY", "").end
    '2024-01-02 opens'
    >>> book.due(date(2024, 1, 2), date(2024, 1, 2)) == [begun], book.over("NIFTY", "")
    (True, None)
    """

    def __init__(self) -> None:
        self.on: list[Block] = []
        self._begun = 0

    def begin(
        self, scope: Scope, reason: str, until: date | None, settles: bool = False
    ) -> Block | None:
        """Put a block on; None when the very same one is on already."""
        if any(b[1:] == (scope, reason, until, settles) for b in self.on):
            return None
        block = Block(self._begun, scope, reason, until, settles)
        self._begun += 1
        self.on.append(block)
        return block

    def over(self, symbol: str, tag: str) -> Block | None:
        """Return the block over an entry that ends last; None when it is free."""
        found = [b for b in self.on if b.scope.covers(symbol, tag)]
        return max(found, key=lambda b: (b.until or date.max, b.settles), default=None)

    def due(self, today: date, unsettled_from: date) -> list[Block]:
        """End the blocks whose end has come; return them.

        Parameters
        ----------
        today
            Day of the session that is open.
        unsettled_from
            Expiries before this day have settled.
        """
        return self._end(
            [
                b
                for b in self.on
                if b.until is not None
                and (b.until < unsettled_from if b.settles else b.until <= today)
            ]
        )

    def lift(self, scope: Scope) -> list[Block]:
        """End the blocks that lie wholly within a scope; return them."""
        return self._end([b for b in self.on if scope.holds(b.scope)])

    def _end(self, ended: list[Block]) -> list[Block]:
        if ended:
            self.on = [b for b in self.on if b not in ended]
        return ended


def end_day(verb: str, n: Any, grid: Grid, session: int) -> date | None:
    """Day of the session whose opening ends a block begun in another; None: behind the data.

    Parameters
    ----------
    verb
        Name of the verb: `"block_for_n_days"`.
    n
        Sessions, this one included; asked only of `block_for_n_days`.

    Raises
    ------
    UsageError
        If *n* is not a whole number of one or more.
    """
    today = grid.sessions[session].day
    if verb == "block_this_week":
        at = grid.session_from(today + timedelta(days=7 - today.weekday()))
    elif verb == "block_for_month":
        at = grid.session_from((today.replace(day=1) + timedelta(days=32)).replace(day=1))
    else:
        at = session + _sessions(verb, n)
    return grid.sessions[at].day if at < len(grid.sessions) else None


def _sessions(verb: str, n: Any) -> int:
    number = isinstance(n, Real) and not isinstance(n, bool)
    if not number or n % 1 or n < 1:
        raise UsageError(
            f"{verb}({n!r}): a block lasts a whole number of sessions, 1 (today's) or more; "
            "unblock() ends one."
        )
    return int(n)


class Blocking:
    """The verbs of blocks, the same wherever they are said.

    While a block is on, working entries in its scope are cancelled in that same bar and new ones
    are refused: a line in the log with the block's reason and end, and None instead of an order.
    Stops, targets and exits go on working. Of several blocks the longest wins.

    Everything placed with `buy` or `sell` is an entry, even against what is held: leave with
    `exit`. On a contract or a position the symbol is that of its underlying.

    All verbs that block take

    ``symbol``
        Only entries in this underlying and its contracts, `"NIFTY"`; all of them unless given.
    ``tag``
        Only entries with this tag; `""` are those without one.
    ``reason``
        Yours, for the log and the refusals; the verb's name unless given.
    ``close_positions``
        Also exit what is held in that scope, at its next live bar.

    and raise `UsageError` for a value that is none of these, `ContractNotFound` for a symbol that
    the run does not have. A block that would end after the data lasts to their end.

    Examples
    --------
    >>> from bestbt.engine.strategy import Strategy, at
    >>> from bestbt.testing import MemoryFeed, simulate
    >>> class Careful(Strategy):
    ...     @at("09:17")
    ...     def stop(self):
    ...         self.block_for_day(reason="two stops")
    ...         self.buy(self.option(100, "CE"), lots=1)
    >>> feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=5)
    >>> feed.add_index([100, 101, 102, 103, 104])
    >>> call = feed.add_option("2024-01-01", 100, "CE", [3, 3, 4, 4, 5])
    >>> for line in simulate(Careful, feed).result.log:
    ...     print(line.kind, "|", line.text)
    block | all entries until the end of the run: two stops
    refused | buy(NIFTY 2024-01-01 100 CE): blocked until the end of the run: two stops
    """

    def _blocking(self, verb: str, *args: Any, **terms: Any) -> None:
        """Say a verb to the desk."""
        raise NotImplementedError

    def block_for_day(
        self,
        symbol: str | None = None,
        *,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Enter nothing more until the next session opens; see `Blocking`."""
        scope: dict[str, Any] = {"symbol": symbol, "tag": tag, "reason": reason}
        self._blocking("block_for_day", **scope, close_positions=close_positions)

    def block_for_n_days(
        self,
        n: int,
        symbol: str | None = None,
        *,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Enter nothing more in this session and the next *n* − 1; see `Blocking`.

        Raises
        ------
        UsageError
            If *n* is not a whole number of one or more.
        """
        scope: dict[str, Any] = {"symbol": symbol, "tag": tag, "reason": reason}
        self._blocking("block_for_n_days", n, **scope, close_positions=close_positions)

    def block_this_week(
        self,
        symbol: str | None = None,
        *,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Enter nothing more until the next ISO week's first session opens; see `Blocking`."""
        scope: dict[str, Any] = {"symbol": symbol, "tag": tag, "reason": reason}
        self._blocking("block_this_week", **scope, close_positions=close_positions)

    def block_for_month(
        self,
        symbol: str | None = None,
        *,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Enter nothing more until the next calendar month's first session opens; see `Blocking`.

        In whichever session of the month it is said.
        """
        scope: dict[str, Any] = {"symbol": symbol, "tag": tag, "reason": reason}
        self._blocking("block_for_month", **scope, close_positions=close_positions)

    def block_till_monthly_expiry(
        self,
        symbol: str | None = None,
        *,
        tag: str | None = None,
        reason: str = "",
        close_positions: bool = False,
    ) -> None:
        """Enter nothing more until the nearest monthly expiry has settled; see `Blocking`.

        It is the symbol's; without one the expiry is that of the run's first symbol, and all
        entries are blocked. On its day it is today's, until the evening.

        Raises
        ------
        ExpiryNotFound
            If the data have no monthly expiry of the symbol any more.
        """
        scope: dict[str, Any] = {"symbol": symbol, "tag": tag, "reason": reason}
        self._blocking("block_till_monthly_expiry", **scope, close_positions=close_positions)

    def unblock(self, symbol: str | None = None, *, tag: str | None = None) -> None:
        """End the blocks that lie wholly within a scope, and make its positions active again.

        Without arguments all of them. `unblock("NIFTY")` ends the blocks of NIFTY and leaves one
        on all entries alone.
        """
        self._blocking("unblock", symbol=symbol, tag=tag)

    def deactivate_positions(
        self, symbol: str | None = None, *, tag: str | None = None, reason: str = ""
    ) -> None:
        """Leave what is held now to its stops: nothing is added to it, and it is not rolled.

        Exits that wait for a price, targets and additions still waiting are cancelled; stops are
        not. An exit said afterwards is an exit. It lasts until `unblock`, or until the position
        is closed.
        """
        self._blocking("deactivate_positions", symbol=symbol, tag=tag, reason=reason)


def check_terms(verb: str, symbol: Any, tag: Any, reason: Any, close_positions: Any) -> None:
    """Refuse values that say nothing.

    >>> check_terms("block_for_day", "NIFTY", None, "two stops", False)
    """
    for name, given, what in (
        ("symbol", symbol, "name an underlying, such as 'NIFTY'"),
        ("tag", tag, "give the tag of the orders meant, as text"),
        ("reason", reason, "give it as text"),
    ):
        if given is not None and not isinstance(given, str):
            raise UsageError(f"{verb}({name}={given!r}): {what}.")
    if not isinstance(close_positions, bool):
        raise UsageError(f"{verb}(close_positions={close_positions!r}): it is True or False.")
    if verb not in BLOCK_VERBS:
        raise UsageError(f"{verb!r} is no verb of blocks. {did_you_mean(verb, BLOCK_VERBS)}")
