"""Recorder: writes a run to its store while it is played, and never keeps the engine waiting.

The books of a run only grow, and they are in memory as long as the run is: they are the queue. A
thread reads behind the engine, as a view does, what has been booked since it last looked: whole
sessions while the engine plays, everything once it stands. At most `_ROWS` rows (or one session's)
are made at a time, and one transaction writes them; nothing else is held twice.

A rewound run has new books, which are written from their beginning in place of the old ones.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from bestbt.engine.feeder import PriceFeeder
from bestbt.engine.order import Order
from bestbt.engine.result import Result
from bestbt.errors import StaleHandle
from bestbt.player import Player
from bestbt.report import tables
from bestbt.report.stats import stats
from bestbt.store.run_writer import Piece, RunWriter, checked_name, pack_curve
from bestbt.units import Ordinal, RawMoney

__all__ = ["Recorder"]

_ROWS = 10_000  # made and written at a time: some 10 MB
_LOOK = 0.25  # seconds between two looks at the books at the least …
_SHARE = 10  # … and so many times as long as a look took: it costs the engine a tenth at most
_BEAT = 5.0  # seconds after which a run that books nothing says that it is still there
_TRIES, _RETRY = 3, 0.5  # attempts on a run that stands; seconds before the second, then twice that

_Closed = Sequence[tuple[Ordinal, RawMoney]]


class _Counts(NamedTuple):
    """How many rows of each table."""

    orders: int = 0
    fills: int = 0
    trades: int = 0
    ledger: int = 0
    log: int = 0


class _Books:
    """How much of one feeder's books has been made into rows: whole sessions."""

    def __init__(self, feeder: PriceFeeder) -> None:
        self.feeder = feeder
        self._done = _Counts()
        self._sessions = 0
        self._shares = tables.Shares(feeder.desk.grid)
        self._cash: RawMoney = 0
        self._open: dict[int, tuple[Order, tuple[Any, ...]]] = {}  # orders that may change still
        self._loose = True  # rows behind the sessions done may be stored, and are to go

    def is_up_to(self, feeder: PriceFeeder) -> bool:
        """Whether no session has ended since the last look; cheap."""
        return feeder is self.feeder and len(feeder.closed) == self._sessions

    def next(
        self, closed: _Closed, result: Result, rest: bool
    ) -> tuple[dict[str, Any], dict[str, Piece], Any, bool]:
        """Return what the record says now, new rows, changed orders, and whether more waits.

        With *rest* the session that is not over yet is told too, and told again later.
        """
        changed = self._changed()
        done, bar, more = self._sessions_to_do(closed, result)
        loose = rest and not more
        until = _Counts(*map(len, _books(result))) if loose else done
        pieces = self._pieces(result, done, until) if self._loose or until != self._done else {}
        self._loose = loose and until != done
        self._done = done
        end = result.end - 1 if loose and result.end > result.start else bar
        kept = np.array(closed[: self._sessions], dtype=np.int64).reshape(-1, 2)
        facts = {
            "played_to": None if end is None else result.grid.end(end),
            "curve": pack_curve(result.grid.starts[kept[:, 0]], kept[:, 1]),
        }
        orders = tables.orders(_part(result, orders=changed)) if changed else None
        return facts, pieces, orders, more

    def _sessions_to_do(
        self, closed: _Closed, result: Result
    ) -> tuple[_Counts, Ordinal | None, bool]:
        """Count the rows of the next sessions, as many as make a batch."""
        ends = [bar for bar, _ in closed[self._sessions :]]
        take, done = len(ends), self._done
        while take:
            done = _counted(result, ends[take - 1], self._done)
            if take == 1 or sum(done) - sum(self._done) <= _ROWS:
                break
            take = (take + 1) // 2
        self._sessions += take
        newest = closed[self._sessions - 1][0] if self._sessions else None
        return done, newest, take < len(ends)

    def _pieces(self, result: Result, done: _Counts, until: _Counts) -> dict[str, Piece]:
        was, shares = self._done, self._shares
        postings = result.ledger[was.ledger : until.ledger]
        orders = result.orders[was.orders : until.orders]
        for order in orders[: done.orders - was.orders]:
            self._open[order.id] = order, _state(order)
        shares.book(result.fills[was.fills : done.fills], result.ledger[was.ledger : done.ledger])
        charges = [shares.of(match) for match in result.matches[was.trades : done.trades]]
        if until.trades > done.trades:  # of a session whose taxes are not rounded yet
            charges += tables.charges_by_match(result)[done.trades : until.trades]
        matches = result.matches[was.trades : until.trades]
        frames = {
            "orders": tables.orders(_part(result, orders=orders)),
            "fills": tables.fills(_part(result, fills=result.fills[was.fills : until.fills])),
            "trades": tables.trade_rows(result.grid, matches, charges),
            "ledger": tables.ledger(_part(result, ledger=postings), self._cash),
            "log": tables.log(_part(result, log=result.log[was.log : until.log])),
        }
        self._cash += sum(p.amount for p in result.ledger[was.ledger : done.ledger])
        return {name: (getattr(was, name), frame) for name, frame in frames.items()}

    def _changed(self) -> list[Order]:
        """Orders written before that are not what they were; one that has ended is dropped.

        It is dropped at the look after its last change: the engine may be in the middle of one.
        """
        changed = []
        for order, was in list(self._open.values()):
            now = _state(order)
            if now != was:
                self._open[order.id] = order, now
                changed.append(order)
            elif order.status != "working":
                del self._open[order.id]
        return changed


class Recorder:
    """Writes one run.

    Parameters
    ----------
    name
        The run's name in the store.
    player
        Plays the run.
    begin
        Makes the writer with the run's record; called in the recorder's thread.
    failure
        Says why a run failed.
    told
        Called with what to say when the store does not take what is written; once.

    Attributes
    ----------
    error : str or None
        Why the record is behind, or incomplete.
    complete : bool
        Whether the run has ended and all of it is stored.
    """

    def __init__(
        self,
        name: str,
        player: Player,
        begin: Callable[[], RunWriter],
        failure: Callable[[], str | None],
        told: Callable[[str], None],
    ) -> None:
        self.name = checked_name(name)
        self.error: str | None = None
        self.complete = False
        self._player, self._begin = player, begin
        self._failure, self._told = failure, told
        self._writer: RunWriter | None = None
        self._books: _Books | None = None
        self._pending: tuple[dict[str, Any], dict[str, Piece], Any] | None = None
        self._written: dict[str, Any] = {}  # the record's facts as stored
        self._at = 0.0  # when something was stored last
        self._has_told = False
        self._guard = threading.Lock()  # around the three that follow
        self._thread = self._woken = False
        self._idle = threading.Event()
        self._idle.set()

    @property
    def run_id(self) -> int | None:
        """The run's number in the store, once it has one."""
        return self._writer.run_id if self._writer is not None else None

    def wake(self) -> None:
        """Write what comes: the run begins to move. Returns at once."""
        with self._guard:
            self._woken, self.complete = True, False
            if self._thread:
                return
            self._thread = True
            self._idle.clear()
        threading.Thread(target=self._record, name="bt-record", daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all of a run that stands is written, or given up."""
        return self._idle.wait(timeout)

    def write(self) -> int:
        """Write all of a run that has ended in this thread; return its number."""
        self.wait()
        more = True
        while more:
            more = self._step(standing=True)
        self.error = None
        assert self.run_id is not None  # a step has stored it
        return self.run_id

    # The thread

    def _record(self) -> None:
        pause, tries = 0.0, 0
        while True:
            self._player.done.wait(pause)
            with self._guard:
                self._woken = False
            standing, began = self._player.standing, time.thread_time()
            try:
                more = self._step(standing)
            except StaleHandle:  # the run was rewound while it was read
                more = True
            except Exception as error:  # the run goes on, whatever it was; its reader is told
                more = True
                if not (standing and self._woken):  # else it was moved while it was read
                    tries = tries + 1 if standing else 1
                    self._failed(error)
                    more = tries < _TRIES
                    time.sleep(_RETRY * 2**tries if more else 0.0)
            else:
                tries, self.error = 0, None
            spent = time.thread_time() - began
            pause = max(0.0 if more else _LOOK, _SHARE * spent)
            if standing and not more:
                with self._guard:
                    if not self._woken:
                        self._thread = False
                        self._idle.set()
                        return

    def _step(self, standing: bool) -> bool:
        """Write the next batch; return whether more waits."""
        if self._writer is None:
            self._writer = self._begin()
        more = True
        if self._pending is None:
            self._pending, more = self._next(standing)
        facts, pieces, changed = self._pending
        silent = time.monotonic() - self._at > _BEAT
        if pieces or changed is not None or facts != self._written or silent:
            self._writer.write(facts, pieces, changed)
            self._written, self._at = facts, time.monotonic()
        self._pending = None
        self.complete = not more and facts["hash"] != ""
        return more

    def _next(self, standing: bool) -> tuple[tuple[dict[str, Any], dict[str, Piece], Any], bool]:
        over, state = self._player.done.is_set(), self._player.state
        facts: dict[str, Any] = {"state": "running", "hash": "", "stats": {}, "failure": None}
        simulation = self._player.simulation
        feeder = simulation.feeder
        if self.run_id is None:
            return (facts, {}, None), True  # the record first
        if not standing and self._books is not None and self._books.is_up_to(feeder):
            return (self._written, {}, None), False
        books, self._books = self._books, None  # what ends in between is made anew, from the start
        if books is None or books.feeder is not feeder:
            books = _Books(feeder)
        closed = list(feeder.closed)  # before the result: that has all of these sessions then
        result = simulation.result
        if simulation.feeder is not feeder or simulation.desk is not feeder.desk:
            return (self._written or facts, {}, None), True  # it is being rewound
        news, pieces, changed, more = books.next(closed, result, standing)
        facts |= news
        if standing and not more:
            facts["state"] = state
            if over:
                facts |= self._closing(result)
        self._books = books
        return (facts, pieces, changed), more

    def _closing(self, result: Result) -> dict[str, Any]:
        return {
            "hash": result.hash,
            "stats": {str(k): _plain(v) for k, v in stats(result).items()},
            "failure": self._failure(),
            "curve": pack_curve(result.grid.starts[result.start : result.end], result.equity()),
        }

    def _failed(self, error: Exception) -> None:
        cause = str(getattr(error, "orig", None) or error)  # a database's own words, not its SQL
        lines = cause.strip().splitlines() or [type(error).__name__]
        self.error = lines[0]
        if not self._has_told:
            self._has_told = True
            self._told(self.error)


def _books(result: Result) -> tuple[Sequence[Any], ...]:
    """The lists behind the tables, in the order of `_Counts`."""
    return result.orders, result.fills, result.matches, result.ledger, result.log


def _counted(result: Result, bar: Ordinal, least: _Counts) -> _Counts:
    """How much was booked up to a bar."""
    bars: tuple[Callable[[Any], Ordinal], ...] = (
        lambda order: order.placed,
        lambda fill: fill.bar,
        lambda match: match.exit.bar,
        lambda posting: posting.bar,
        lambda entry: entry.bar,
    )
    found = zip(_books(result), bars, least, strict=True)
    return _Counts(*(bisect_right(rows, bar, lo, key=key) for rows, key, lo in found))


def _part(result: Result, **lists: Sequence[Any]) -> Result:
    """Return a result that has booked only these."""
    part = copy(result)
    vars(part).update(lists)
    return part


def _state(order: Order) -> tuple[Any, ...]:
    """What can change of an order."""
    return order.status, order.reason, order.qty, order.raw_price, order.raw_trigger


def _plain(value: Any) -> Any:
    """Return a statistic as JSON, which has no nan and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
