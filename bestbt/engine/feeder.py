"""PriceFeeder: the loop. Nothing else in bestbt advances time.

One bar, in this order:

    0 open     at a session's first bar, before it trades: blocks whose end has come end;
               on_session_start, hooks at the open
    1 match    all trades of the bar in path order, booked; then for each on_fill, and on_stop or
               on_target
    3 decide   hooks that are due, in order of definition; then on_bar; at the last, on_session_end
    4 settle   on the last bar of an expiry's session; blocks until then end; then on_expiry
    5 close    day orders lapse; futures are marked to market; taxes are rounded; the day is closed

(2 is for limits on closing marks, which this version does not have.)

`advance` serves jumping and stepping alike: it goes to the next bar, up to a horizon, at which
something can happen. A strategy with `on_bar` is called bar by bar up to there in a bare loop.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from bestbt.engine.clearing import Clearing
from bestbt.engine.contract import Followed
from bestbt.engine.desk import Desk
from bestbt.engine.expiries import ExpiryCalendar
from bestbt.engine.order import Fill
from bestbt.engine.strategy import Schedule, Strategy
from bestbt.units import Ordinal, RawMoney

__all__ = ["PriceFeeder"]

_Hook = Callable[[], object]


class PriceFeeder:
    """Moves one strategy over one desk's grid, bar by bar or in jumps."""

    def __init__(self, desk: Desk, strategy: Strategy) -> None:
        self.desk, self.strategy = desk, strategy
        self.clearing = Clearing(desk)
        self.last = desk.grid.n - 1
        self.finished = False
        # (bar, equity) at the newest session end: what an observer may read from any thread
        self.closed: list[tuple[Ordinal, RawMoney]] = []
        cls = type(strategy)
        self._on_bar = _own(strategy, "on_bar")
        self._on_fill = _own(strategy, "on_fill")
        self._on_stop, self._on_target = _own(strategy, "on_stop"), _own(strategy, "on_target")
        self._hears = bool(self._on_fill or self._on_stop or self._on_target)  # of fills
        self._hooks: list[tuple[_Hook, Schedule]] = [
            (getattr(strategy, name), schedule) for name, schedule in cls.scheduled()
        ]
        self._facts = _Facts(desk)
        self._due: dict[Ordinal, list[_Hook]] = {}
        self._due_bars: list[Ordinal] = []  # descending: the next one is the last
        self._session_last: Ordinal = -1
        self._missed = False  # something expired on a day that is not in the data

    def advance(self, horizon: Ordinal) -> None:
        """Go on to the next bar up to the horizon at which something happens, and let it happen.

        With an `on_bar` it may stop earlier: at the bar where `desk.dirty` was set, because an
        order was placed or a pause asked for. The caller clears it.
        """
        desk, clock = self.desk, self.desk.clock
        bar = clock.bar + 1
        if bar > self._session_last:
            self._open_session(bar)
        desk.at_close = desk.fill_at_close
        stop = self._session_last
        if horizon < stop:
            stop = horizon
        if self._missed:
            stop = bar
        if self._due_bars and self._due_bars[-1] < stop:
            stop = self._due_bars[-1]
        if desk.exchange.working:
            stop = desk.exchange.next_event(stop)
        if self._on_bar is not None and bar < stop:
            self._bare_loop(range(bar, stop), self._on_bar)
            if desk.dirty:
                if desk.at_close:
                    self._match_close(clock.bar)
                return
        clock.bar = stop
        self._play(stop)

    def _bare_loop(self, bars: range, on_bar: _Hook) -> None:
        """Call `on_bar` at bars at which nothing else is due, until something may be."""
        desk, clock = self.desk, self.desk.clock
        if not desk.followed:
            for bar in bars:
                clock.bar = bar
                on_bar()
                if desk.dirty:
                    return
            return
        followed = tuple(desk.followed)
        try:
            for contract, *_ in followed:
                Followed.begin(contract)
            for bar in bars:
                clock.bar = bar
                for contract, opens, highs, lows, closes in followed:
                    contract._now_open = opens[bar]
                    contract._now_high = highs[bar]
                    contract._now_low = lows[bar]
                    contract._now_close = closes[bar]
                on_bar()
                if desk.dirty:
                    return
        finally:
            for contract, *_ in followed:
                Followed.end(contract)

    def _play(self, bar: Ordinal) -> None:
        desk = self.desk
        if desk.exchange.working:
            self._match(bar)
        if self._due_bars and self._due_bars[-1] == bar:
            self._due_bars.pop()
            for hook in self._due.pop(bar):
                hook()
        if self._on_bar is not None:
            self._on_bar()
        if bar == self._session_last:
            self.strategy.on_session_end()
        if desk.at_close:
            self._match_close(bar)
        if self._missed:
            self._settle_missed(bar)
        if bar == self._session_last:
            self._close_session(bar)

    def _match_close(self, bar: Ordinal) -> None:
        """Trade at the close just seen, as the run does; later orders wait for the next bar."""
        self.desk.at_close = False
        if self.desk.exchange.working:
            self._match(bar)

    def _match(self, bar: Ordinal) -> None:
        """Book all trades of the bar, then tell the strategy of each."""
        exchange, clearing = self.desk.exchange, self.clearing
        fills: list[Fill] = []
        working = exchange.working
        while working and (trade := exchange.match(bar)) is not None:
            fill = clearing.execute(trade)
            if fill is not None:
                fills.append(fill)
        waited = exchange.waited_out(bar) if working else ()
        rejected = [o for o in waited if clearing.wait_is_over(o, bar)] if waited else ()
        for fill in fills if self._hears else ():
            if self._on_fill is not None:
                self._on_fill(fill)
            if fill.kind == "stop" and self._on_stop is not None:
                self._on_stop(fill)
            elif fill.kind == "target" and self._on_target is not None:
                self._on_target(fill)
        for order in rejected:
            self.strategy.on_reject(order)

    def _open_session(self, bar: Ordinal) -> None:
        desk, grid = self.desk, self.desk.grid
        session = grid.session(bar)
        self._session_last = grid.lasts[session]
        before = desk.today
        if desk.followed:
            desk.unfollow()
        desk.open_session(session)
        if self.closed:  # here, not at the close: one who looks then sees the day that was
            for period in _ended(before, desk.today):
                desk.portfolio.base[period] = self.closed[-1][1]
        self._missed = self.clearing.missed_expiry()
        desk.end_blocks(settled=not self._missed)
        if desk.lots.changing:
            desk.change_lots()
        vars(self.strategy.day).clear()
        self._due = {}
        for hook, schedule in self._hooks:
            for due in schedule.bars(grid, session, self._facts):
                self._due.setdefault(due, []).append(hook)
        if desk.today in desk.expiring and desk.exchange.working:
            desk.withdraw_deliverable()
        self.strategy.on_session_start()
        for hook in self._due.pop(grid.firsts[session] - 1, ()):
            hook()
        self._due_bars = sorted(self._due, reverse=True)
        desk.before_open = False

    def _settle_missed(self, bar: Ordinal) -> None:
        """Settle what expired on a day that is not in the data, at the first bar after it."""
        self._missed = False
        settled = self.clearing.settle(bar, self.desk.today)
        self.desk.end_blocks()
        for contract in settled:
            self.strategy.on_expiry(contract)

    def _close_session(self, bar: Ordinal) -> None:
        desk, portfolio = self.desk, self.desk.portfolio
        settled = self.clearing.settle(bar)
        desk.end_blocks()
        for contract in settled:
            self.strategy.on_expiry(contract)
        if bar == self.last and desk.close_at_end:
            self.clearing.close_out(bar)
        for order in list(desk.exchange.working):
            if order.status != "working":
                continue
            if order.tif == "day" and order.first <= bar:
                desk.end(order, "lapsed", "end of its session")
            elif order.lifetime is not None and order.lifetime <= bar:
                desk.end(order, "lapsed", "end of its date")
        self.clearing.mark_to_market(bar)
        today = desk.today
        for contract, charged in portfolio.charged_today.items():
            correction = desk.fees.day_end(today, contract.spec, charged)
            if correction:
                portfolio.charge(bar, contract, dict(correction), None)
        portfolio.charged_today.clear()
        equity = portfolio.equity
        self.closed.append((bar, equity))
        if bar == self.last:
            self._end_run()
            return

    def _end_run(self) -> None:
        """Let the strategy look back; what it orders now could never trade."""
        desk, before = self.desk, len(self.desk.orders)
        self.strategy.on_end()
        for order in desk.orders[before:]:
            if order.status == "working":
                desk.end(order, "cancelled", "placed in on_end: the run is over")
                desk.note("refused", f"{order.contract.name}: {order.reason}", order=order.id)
        self.finished = True


def _own(strategy: Strategy, name: str) -> Callable[..., object] | None:
    """Return a hook the strategy's class has defined; None where it is the base's empty one."""
    own = getattr(type(strategy), name) is not getattr(Strategy, name)
    return getattr(strategy, name) if own else None


def _ended(today: date, tomorrow: date) -> list[str]:
    """Periods that end with today when the next session is tomorrow's."""
    ended = ["day"]
    if today.isocalendar()[:2] != tomorrow.isocalendar()[:2]:
        ended.append("week")
    if (today.year, today.month) != (tomorrow.year, tomorrow.month):
        ended.append("month")
    if today.year != tomorrow.year:
        ended.append("year")
    return ended


class _Facts:
    """The nearest expiries, for schedules; looked up only when asked."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _nearest(self, symbol: str | None) -> tuple[ExpiryCalendar, date | None]:
        desk = self._desk
        named = desk.symbols[0] if symbol is None else desk.spot(symbol).symbol
        calendar = desk.calendar(named)
        return calendar, calendar.nearest(desk.today)

    def sessions_to_expiry(self, symbol: str | None) -> int | None:
        """Sessions to the nearest expiry."""
        _, nearest = self._nearest(symbol)
        return None if nearest is None else self._desk.sessions_left(nearest)

    def expiry_kind(self, symbol: str | None) -> str | None:
        """Kind of the nearest expiry."""
        calendar, nearest = self._nearest(symbol)
        return None if nearest is None else calendar.kind(nearest)
