"""The face: `Backtest`, a simulation with store and dates resolved; `Run`, what it gives."""

from __future__ import annotations

import inspect
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from copy import copy
from datetime import date, datetime
from functools import cached_property
from html import escape
from typing import Any, Literal, NamedTuple, TypeVar
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.asked import checked_day, checked_symbols, fee_model, raw_capital
from bestbt.cell.compile import CompiledCell
from bestbt.cell.show import own_lines, short_error
from bestbt.cell.trace import CellText, trace
from bestbt.cell.why import Why
from bestbt.charted import Charted, find, prices
from bestbt.engine.by_hand import ByHand
from bestbt.engine.chain import OptionChain
from bestbt.engine.costing import Cost
from bestbt.engine.desk import LogEntry
from bestbt.engine.grid import Grid, duration
from bestbt.engine.indicators import Indicator
from bestbt.engine.matching import MatchRules, parse_slippage
from bestbt.engine.order import Fill
from bestbt.engine.ports import Market
from bestbt.engine.prices import PriceColumns
from bestbt.engine.result import Result
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy
from bestbt.engine.touch import Path
from bestbt.errors import DataGap, UsageError
from bestbt.player import Player, State
from bestbt.recorder import Recorder
from bestbt.report import stats as report_stats
from bestbt.report import summary as report_summary
from bestbt.report import tables
from bestbt.report.attribution import Attribution, attribution
from bestbt.report.fill_story import FillStory, fill_story
from bestbt.report.picture import picture
from bestbt.store.run_writer import RunWriter
from bestbt.store.store import Store
from bestbt.units import MONEY_SCALE, Money, Ordinal, money
from bestbt.widgets.chain_scene import read_chain
from bestbt.widgets.protocol import Seen, Traded
from bestbt.widgets.scene import read_scene

__all__ = ["Backtest", "Progress", "Run"]

T = TypeVar("T")

_LOOK = 0.25  # seconds that a view waits for a bar to end

_BAND: tuple[Path, Path] = ("pessimistic", "optimistic")


class Progress(NamedTuple):
    """How far a run has come."""

    bar: int  # bars played
    bars: int  # bars to play in all
    time: datetime | None  # exchange local time reached
    pnl: Money  # at the newest session end; of a run that stands, at its bar
    bars_per_second: float
    seconds_left: float | None


class Backtest(ByHand):
    """A strategy, a store, symbols and dates, ready to be run or stepped.

    Parameters
    ----------
    strategy
        A `Strategy` subclass.
    store
        Where the prices come from.
    *symbols
        Underlyings, in capitals or not; the first is `Strategy.spot`.
    start, end
        Inclusive days (`date` or `"2024-01-31"`); default: what the store covers.
    capital
        Currency, above zero.
    warmup
        Sessions before *start* that indicators may read.
    bar
        Length of a bar, such as `"1min"`, `"5min"` or, over ticks and seconds, `"1s"`.
    slippage
        None: the larger of a tick and 0.5 % of an option's price, 0.02 % of a future's or equity's
        (stops pay twice that, and so does a session's first minute). `0`, `"2ticks"`, `"0.5%"` or
        a function of order and price.
    fees
        None: the market's dated charges. `"none"`; `"us"` (0.65 dollars a contract); a `FeeModel`,
        such as `bestbt.markets.us.fees(0.5)` or `bestbt.markets.india.fees(freeze=1800)`; or a
        function of day, contract, quantity and price that returns named charges.
    fill_at
        `"next_open"`; or `"close"`, at which market orders trade at the close just seen
        (optimistic, for comparison with other tools).
    path
        Which extreme of a bar came first, for exits: `"nearest"` to the open, or the one that is
        `"pessimistic"` (stops before targets) or `"optimistic"` for the position.
    limit_touch
        A limit trades at a touch; else the price must go a tick through it.
    stop_check
        `"touch"`, or `"close"`: exits' stops wait for a close beyond, and trade at the next open.
    band
        The summary gives the PnL of the pessimistic and of the optimistic path beside the run's;
        it costs two more runs.
    close_at_end
        Close what is still held at the last mark, with charges and without slippage (`square-off`);
        else it stays open, marked and listed.
    cost
        `"fifo"`: profit is counted first in, first out; `"average"`: at the average cost of the
        units of a contract that have the same tag. No fill and no cash differs.
    max_participation
        Share of its bar's volume (`0.1`, `"10%"`) above which a fill is logged as `large-fill` and
        counted; None or `"none"`: never. It is a warning: the fill stands.
    rate
        Interest a year, continuously compounded, as a fraction: at it the spot is carried to the
        forward of an expiry where no call and put of a strike are fresh and no future is.
    load
        How much of the prices is read at once: `"auto"`, or as `bestbt.store.plans` says. It
        changes no result; the log says what `"auto"` chose.
    params
        Parameters of the strategy by name.
    save
        Keep the run in the store under this name: its record is there from its first bar on, and
        what it books is written while it plays. None: `Run.save` keeps it when it has ended.

    Raises
    ------
    ContractNotFound, DataGap
        For an unknown symbol, or days outside the store's coverage.
    UsageError
        For an option that makes no sense.
    """

    def __init__(
        self,
        strategy: type[Strategy] | CompiledCell,
        store: Store,
        *symbols: str,
        start: date | str | None = None,
        end: date | str | None = None,
        capital: Money = 1_000_000,
        warmup: int = 0,
        bar: str = "1min",
        slippage: Any = None,
        fees: Any = None,
        fill_at: str = "next_open",
        path: Path = "nearest",
        limit_touch: bool = False,
        stop_check: Literal["touch", "close"] = "touch",
        band: bool = False,
        rate: float = 0.0,
        close_at_end: bool = False,
        load: str = "auto",
        cost: Cost = "fifo",
        max_participation: float | str | None = 0.1,
        params: Mapping[str, Any] | None = None,
        save: str | None = None,
    ) -> None:
        symbols = checked_symbols(symbols)
        first, last = self._days(store, symbols, start, end)
        self.store, self.symbols = store, symbols
        self.cell = strategy if isinstance(strategy, CompiledCell) else None
        self.strategy_class: type[Strategy] = (
            strategy.strategy if isinstance(strategy, CompiledCell) else strategy
        )
        if not (
            isinstance(self.strategy_class, type) and issubclass(self.strategy_class, Strategy)
        ):
            raise UsageError(f"Backtest({strategy!r}, …): a subclass of Strategy is needed.")
        self._executed = [self.strategy_class]  # of a cell: the first run uses what was just made
        self.params = dict(params or {})
        self.market: Market = store.market
        self.options: dict[str, Any] = {
            "bar": bar,
            "warmup": warmup,
            "slippage": "default" if slippage is None else slippage,
            "fees": "market" if fees is None else fees,
            "fill_at": fill_at,
            "path": path,
            "limit_touch": limit_touch,
            "stop_check": stop_check,
            "band": band,
            "rate": rate,
            "close_at_end": close_at_end,
            "cost": cost,
            "max_participation": "none" if max_participation is None else max_participation,
        }
        self.feed = store.feed(symbols, first, last, step=duration(bar), warmup=warmup, load=load)
        self.first_day, self.last_day = first, last
        if fill_at not in ("next_open", "close"):
            raise UsageError(f"fill_at={fill_at!r}: it is 'next_open' or 'close'.")
        if not isinstance(rate, int | float) or not -1 < rate < 1:
            raise UsageError(f"rate={rate!r}: a fraction a year is needed, such as 0.065.")
        self._simulation: Callable[[MatchRules], Simulation] = lambda rules: Simulation(
            self._maker(),
            self.feed,
            self.market,
            symbols,
            capital=raw_capital(capital),
            start=self.feed.start_bar,
            slippage=parse_slippage(slippage),
            fees=fee_model(fees, self.market),
            fill_at_close=fill_at == "close",
            rules=rules,
            rate=rate,
            close_at_end=close_at_end,
            cost=cost,
            max_participation=max_participation,
        )
        self._rules = MatchRules(path, limit_touch, stop_check)
        self.simulation = self._simulation(self._rules)
        self.player = Player(self.simulation)
        self._run = Run(self)
        self.recorder = None if save is None else self._run._recorder(save)
        if self.recorder is not None:
            self.player.moving = self.recorder.wake

    @staticmethod
    def _days(
        store: Store, symbols: tuple[str, ...], start: date | str | None, end: date | str | None
    ) -> tuple[date, date]:
        """Resolve a run's days; by default those on which every symbol is covered."""
        bounds = [store.bounds(symbol) for symbol in symbols]
        first = checked_day("start", start) or max(low for low, _ in bounds)
        last = checked_day("end", end) or min(high for _, high in bounds)
        if first > last:
            covered = ", ".join(
                f"{s} {low} … {high}" for s, (low, high) in zip(symbols, bounds, strict=True)
            )
            raise DataGap(f"No day from {first} to {last}; the store covers {covered}.")
        return first, last

    def _maker(self) -> Callable[[], Strategy]:
        """Return a maker of fresh strategies; a cell is executed anew for each replay."""
        cell, params = self.cell, self.params
        if cell is None:
            plain = self.strategy_class
            return lambda: plain(**params)
        executed = self._executed

        def make() -> Strategy:
            cls = executed.pop() if executed else cell.make()
            strategy: Strategy = cls(**params)
            return strategy

        return make

    def band(self) -> tuple[Money, Money]:
        """PnL up to where the run stands, on the pessimistic and on the optimistic path.

        What was done by hand is done again. The strategy runs twice more.
        """
        until = self.simulation.bar
        low, high = (self._pnl(self._rules._replace(path=path), until) for path in _BAND)
        return low, high

    def _pnl(self, rules: MatchRules, until: Ordinal) -> Money:
        other = self._simulation(rules)
        other.redo(self.simulation.interventions)
        if until >= self.feed.start_bar:
            other.run_to(until)
        return money(other.desk.portfolio.equity - other.desk.portfolio.capital)

    def why(self, at: Ordinal | str | date | None = None) -> Why:
        """Say what the strategy did at a bar and why: that bar is played again under trace.

        By default the bar where the run stands, or that at which it failed; a moment is as for
        `run_to`. The run itself is not touched. What was done by hand is done again.
        """
        run, cell = self.simulation, self.cell
        if at is None:  # what fails at an open does so before its session's first bar
            at = run.bar + (run.failed and run.desk.before_open)
        other = self._simulation(self._rules)
        other.redo(list(run.interventions))
        text = None if cell is None else CellText(cell.filename, cell.offset, cell.source)
        return trace(other, at, self.title, text, run)

    @property
    def title(self) -> str:
        """Strategy, symbols and days."""
        names = ", ".join(self.symbols)
        return f"{self.strategy_class.__name__} · {names} · {self.first_day} … {self.last_day}"

    @property
    def failure(self) -> str | None:
        """What went wrong, for reading; see `Run.failure`."""
        return self._run.failure

    def __repr__(self) -> str:
        return f"<Backtest {self.title}>"

    # Moving

    def run(self) -> Run:
        """Play to the end in this thread; return the run."""
        try:
            self.player.play()
        finally:
            self._run._stored()
        return self._run

    def start(self) -> Run:
        """Play to the end in a thread of its own; return the run at once."""
        self.player.start()
        return self._run

    def step(self, bars: int = 1) -> Run:
        """Play a number of bars."""
        return self._move(lambda simulation: simulation.step(bars))

    def run_to(self, target: Ordinal | str | date) -> Run:
        """Play to a moment, a bar, or the next event; see `Simulation.run_to`."""
        return self._move(lambda simulation: simulation.run_to(target))

    def back(self, bars: int = 1) -> Run:
        """Rewind a number of bars by replay; see `Simulation.back`."""
        return self._move(lambda simulation: simulation.back(bars), rewinding=True)

    def back_to(self, target: Ordinal | str | date) -> Run:
        """Rewind to a moment, a bar, or the newest event before; see `Simulation.back_to`."""
        return self._move(lambda simulation: simulation.back_to(target), rewinding=True)

    def go_to(self, target: Ordinal | str | date) -> Run:
        """Play or rewind to a moment or a bar."""
        return self._move(lambda simulation: simulation.go_to(target), rewinding=True)

    def break_at(self, event: str) -> None:
        """Let the run come to rest after each bar in which an event happens; see `run_to`.

        It slows a run down to some three microseconds a bar.
        """
        with self.player.by_hand() as simulation:
            simulation.break_at(event)

    @property
    def breakpoints(self) -> list[str]:
        """The events at which the run comes to rest; take them out to go on without."""
        return self.simulation.breakpoints

    def read(self, look: Callable[[Simulation], T], timeout: float = 1.0) -> T | None:
        """Return what *look* reads between two bars, also of a run under way; see `Player.read`."""
        return self.player.read(look, timeout)

    def _move(self, move: Callable[[Simulation], object], rewinding: bool = False) -> Run:
        try:
            with self.player.by_hand(rewinding) as simulation:
                move(simulation)
        finally:
            self._run._moved()
            self._run._stored()
        return self._run

    def chain(self, expiry: date | None = None, of: str | None = None) -> OptionChain:
        """Return the option chain of a paused run, of the nearest expiry unless told otherwise.

        It moves on with the run; after a rewind ask for it anew.
        """
        with self.player.by_hand() as simulation:
            return simulation.strategy.chain(expiry, of)

    # By hand, recorded and replayed

    def forget(self) -> None:
        """Forget what was done by hand behind the bar where the run stands.

        Without it `back()` and `run()` do again what was done: the record is the run's.
        """
        self._move(lambda simulation: simulation.forget())

    def undo(self, number: int) -> Run:
        """Take back one thing done by hand, by its number in `interventions`.

        The run is replayed without it to the bar where it stands.
        """
        return self._move(lambda simulation: simulation.undo(number))

    @property
    def interventions(self) -> pd.DataFrame:
        """What was done by hand: time, what, and whether the run has come to it."""
        simulation = self.simulation
        rows = [
            (self._after(done.bar), done.call, done.bar <= simulation.bar)
            for done in list(simulation.interventions)
        ]
        return pd.DataFrame(rows, columns=["time", "what", "done"])

    def _after(self, bar: Ordinal) -> datetime:
        """When a bar has closed; before the run's first, when that opens."""
        grid, start = self.feed.grid, self.simulation.start
        return grid.to_local(grid.end(bar) if bar >= start else grid.time(start))

    def to_python(self, name: str = "bt") -> str:
        """Return the lines that do again what was done by hand, on a fresh run called *name*.

        A bar is named by the time at which it closed.
        """
        lines, at = [], self.simulation.start - 1
        for done in self.simulation.interventions:
            if done.bar > at:
                at = done.bar
                lines.append(f"{name}.run_to({str(self._after(at).replace(tzinfo=None))!r})")
            lines.append(f"{name}.{done.call}")
        if any("datetime." in line for line in lines):
            lines.insert(0, "import datetime")
        return "\n".join(lines)

    def without(self, *numbers: int) -> Run:
        """Return the run as it would stand here without what was done by hand, or some of it.

        Parameters
        ----------
        *numbers
            Which of `interventions` to leave out; all when none is named.

        See Also
        --------
        bestbt.compare : the figures of both, side by side.
        """
        done = self.simulation.interventions
        wrong = [n for n in numbers if not 0 <= n < len(done)]
        if wrong:
            raise UsageError(f"without({wrong[0]}): {len(done)} things were done by hand.")
        kept = [d for i, d in enumerate(done) if numbers and i not in numbers]
        with self.player.by_hand() as simulation:
            until = simulation.bar
        other = copy(self)
        other.recorder = None
        other.simulation = self._simulation(self._rules)
        other.simulation.redo(kept)
        other.player = Player(other.simulation)
        other._run = Run(other)
        if until >= other.simulation.start:
            other.run_to(until)
        return other._run

    @property
    def blocked(self) -> bool:
        """Whether a block is on over untagged entries in the first symbol."""
        return self.simulation.blocked

    def _by_hand(self, verb: str, *args: Any, **terms: Any) -> None:
        self._move(lambda simulation: simulation._by_hand(verb, *args, **terms))


class Run:
    """What a backtest gives: tables, statistics, a report, a view. Safe to read from any thread.

    Tables of an unfinished run hold what is booked. Times are exchange local.
    """

    def __init__(self, backtest: Backtest) -> None:
        self.bt = backtest
        self._player = backtest.player
        self._tables: dict[str, Any] = {}
        self._straddle: tuple[str, PriceColumns] | None = None
        self._views: WeakSet[Any] = WeakSet()
        self._player.rested = self._look

    def __repr__(self) -> str:
        state: str = self.state
        if state == "paused":
            at = self.progress.time
            if at is None:
                state += " before the first bar"
            else:
                state += f" at {at:%Y-%m-%d %H:%M{':%S' if at.second else ''}}"
        return f"<Run {self.title}, {state}>"

    def _moved(self) -> None:
        """Forget what was read of a run that has been moved by hand since; views look again."""
        self._tables = {}  # another one: a table that is being made now goes into the old
        for view in list(self._views):
            view.wake()

    def _look(self) -> None:
        """Let views look at once: the run has come to rest, or plays at another pace."""
        for view in list(self._views):
            view.look()

    # State

    @property
    def title(self) -> str:
        """Strategy, symbols and days."""
        return self.bt.title

    @property
    def name(self) -> str:
        """What it is saved as, else the strategy's name."""
        kept = self.bt.recorder
        return self.bt.strategy_class.__name__ if kept is None else kept.name

    @property
    def symbol(self) -> str:
        """The first symbol."""
        return self.bt.symbols[0]

    @cached_property
    def synthetic(self) -> bool:
        """Whether any of its symbols holds synthetic data."""
        return self.bt.store.synthetic(*self.bt.symbols)

    @property
    def state(self) -> State:
        """One of running, paused, finished, stopped, failed."""
        return self._player.state

    @property
    def done(self) -> threading.Event:
        """Set once the run has ended, in whatever way."""
        return self._player.done

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until the run has ended or paused; raise what the strategy raised.

        One that is saved has ended when all of it is stored.
        """
        self._player.wait(timeout)
        self._stored(timeout)
        if self._player.error is not None:
            raise self._player.error
        if self._player.refused is not None:
            raise self._player.refused
        return self

    def pause(self) -> None:
        """Pause after the bar being played; returns at once."""
        self._player.pause()

    def resume(self, to: Ordinal | str | date | None = None) -> None:
        """Go on after a pause, in a thread of its own; the last of pause and resume counts.

        It plays to the end, or to what `Backtest.run_to` takes.
        """
        self._player.resume(to)

    def stand(self, timeout: float = 5.0) -> None:
        """Pause, and wait until nobody moves the run."""
        if self.state == "running":
            self._player.pause()
        if not self._player.wait(timeout):
            raise UsageError("A hook of the strategy does not return; stop the run to end it.")

    def moment(self, text: str) -> datetime:
        """Read a time as it is typed: `"2024-01-31 09:30"`, or `"09:30"` of its present day."""
        now = self.progress.time or self.grid.local(self.first_bar)
        full = f"{now:%Y-%m-%d} {text.zfill(5)}" if ":" in text[:3] else text
        try:
            return datetime.fromisoformat(full)
        except ValueError:
            raise UsageError(f"{text!r} is no time; write 10:30 or 2024-01-31 10:30.") from None

    def seen(self, expiry: date | None = None) -> Seen | None:
        """What there is to see where the run stands; None while a hook does not return.

        With the option chain of an expiry, of the nearest unless told otherwise.
        """
        asker = threading.get_ident()

        def look(simulation: Simulation) -> Seen:
            began = time.thread_time()
            scene, chain, problem = read_scene(simulation), None, None
            try:
                chain = read_chain(simulation.strategy, expiry)
            except Exception as error:  # such as damaged prices: the rest is there to be seen
                problem = error
            taken = time.thread_time() - began if threading.get_ident() != asker else 0.0
            return Seen(scene, chain, problem, taken)

        return self.bt.read(look, timeout=_LOOK)

    @property
    def pace(self) -> float | None:
        """Bars a second at which `resume` plays; None, as it is made: as fast as it goes."""
        return self._player.pace

    @pace.setter
    def pace(self, bars: float | None) -> None:
        self._player.pace = bars
        self._look()

    def stop(self) -> None:
        """End the run, even if a hook hangs; returns at once. What is booked stays."""
        self._player.stop()

    @property
    def progress(self) -> Progress:
        """How far the run has come; cheap."""
        simulation, grid = self.bt.simulation, self.grid
        bar = simulation.bar
        bars = self.last_bar - self.first_bar + 1
        played = max(bar - self.first_bar + 1, 0)  # none in the warm-up
        seconds = self._player.seconds
        rate = played / seconds if seconds > 0 else 0.0
        left = (bars - played) / rate if rate > 0 else None
        now = grid.to_local(grid.end(bar)) if played > 0 else None
        standing = self.state in ("paused", "finished")
        pnl = simulation.pnl_now if standing and not simulation.failed else simulation.pnl
        return Progress(played, bars, now, pnl, rate, left)

    @property
    def failure(self) -> str | None:
        """What went wrong, for reading: the message, and the lines of the strategy."""
        error = self._player.error
        if error is None:
            return None
        filename, offset = self._source_place()
        if isinstance(error, UsageError):
            lines: list[str] = short_error(error, filename, offset)._render_traceback_()
            return "\n".join([*lines, *getattr(error, "__notes__", ())])
        kept = own_lines(error.__traceback__, filename, offset) or error.__traceback__
        return "".join(traceback.format_exception(type(error), error, kept)).rstrip()

    def _source_place(self) -> tuple[str, int]:
        cell = self.bt.cell
        if cell is not None:
            return cell.filename, cell.offset
        try:
            return inspect.getsourcefile(self.bt.strategy_class) or "", 0
        except (TypeError, OSError):
            return "", 0

    # What a view draws

    @property
    def grid(self) -> Grid:
        """The bars, warm-up included."""
        return self.bt.feed.grid

    @property
    def first_bar(self) -> Ordinal:
        """First bar of the run proper."""
        return self.bt.simulation.start

    @property
    def last_bar(self) -> Ordinal:
        """Last bar of the run."""
        return self.grid.n - 1

    @property
    def capital(self) -> Money:
        """Capital at the start."""
        return self.bt.simulation.desk.portfolio.capital / MONEY_SCALE

    @property
    def currency(self) -> str:
        """Sign of the currency."""
        return self.bt.market.currency

    @property
    def symbols(self) -> tuple[str, ...]:
        """The underlyings."""
        return self.bt.symbols

    def charted(self, name: str) -> Charted:
        """Return what a name stands for where the run stands; see `bestbt.charted.find`.

        Asked of the feed: a view reads while the engine plays, and the desk is the engine's.
        """
        bar = max(self.bt.simulation.bar, self.first_bar)
        return find(self.bt.feed, name, self.symbols, self.grid.day(bar))

    def columns(self, symbol: str) -> PriceColumns:
        """Prices on the grid of an index, equity, future, option or straddle, by name.

        A straddle's high and low are the sums of its legs', which bound its own.
        """
        kept = self._straddle
        if kept is not None and kept[0] == symbol:
            return kept[1]
        charted = self.charted(symbol)
        found = prices(self.bt.feed, charted)
        if len(charted.legs) > 1 and charted.name == symbol:
            self._straddle = symbol, found  # asked for at each update of a chart
        return found

    def expiries(self, symbol: str) -> list[tuple[Ordinal, str]]:
        """Last bar and kind (weekly, monthly) of each expiry day of an underlying on the grid."""
        sessions = {s.day: bar for s, bar in zip(self.grid.sessions, self.grid.lasts, strict=True)}
        listed = self.bt.feed.expiries(symbol)
        return sorted((sessions[e.day], e.kind) for e in listed if e.day in sessions)

    @property
    def booked(self) -> tuple[object, int, int]:
        """The book, another one after a rewind, and how many fills and lines it has; cheap."""
        desk = self.bt.simulation.desk
        return desk, len(desk.portfolio.fills), len(desk.log)

    def fills_since(self, n: int) -> list[Traded]:
        """The fills behind the first *n*, as charts mark them."""
        portfolio = self.bt.simulation.desk.portfolio
        fills = portfolio.fills[n:]  # before the matches: those of a fill are there when it is
        closed: dict[int, Money] = {}  # by the fill's number
        for match in reversed(portfolio.matches):
            if match.exit.id < n:
                break
            closed[match.exit.id] = closed.get(match.exit.id, 0.0) + money(match.raw_pnl)
        return [
            Traded(
                f.bar,
                f.contract.name,
                f.qty < 0,
                abs(f.qty),
                f.price,
                f.kind,
                f.reason,
                closed.get(f.id),
            )
            for f in fills
        ]

    def log_since(self, n: int) -> list[LogEntry]:
        """The lines of the log behind the first *n*."""
        return self.bt.simulation.desk.log[n:]

    @property
    def indicators(self) -> list[Indicator]:
        """The indicators that are to be drawn: those that were made with a `pane=`."""
        return list(self.bt.simulation.strategy._drawn)

    def equity_so_far(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Bars and equity of the session ends played so far; cheap."""
        closed = list(self.bt.simulation.feeder.closed)
        bars = np.array([bar for bar, _ in closed], dtype=np.int64)
        return bars, np.array([raw for _, raw in closed], dtype=np.float64) / MONEY_SCALE

    # Tables

    def _table(self, name: str, make: Callable[[Result], Any]) -> Any:
        kept = self._tables
        if name in kept:
            return kept[name]
        final = self.done.is_set()  # before the snapshot: a run may end while a table is made
        made = make(self.result)
        if final:
            kept[name] = made
        return made

    @property
    def result(self) -> Result:
        """What the engine booked, as facts and arrays."""
        return self.bt.simulation.result

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill."""
        return self._frame("fills", tables.fills)

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order, with how it ended."""
        return self._frame("orders", tables.orders)

    @property
    def trades(self) -> pd.DataFrame:
        """One row a closed round trip; units leave first in, first out."""
        return self._frame("trades", tables.trades)

    @property
    def cycles(self) -> pd.DataFrame:
        """One row a period from flat to flat."""
        return self._frame("cycles", tables.cycles)

    @property
    def ledger(self) -> pd.DataFrame:
        """Every posting."""
        return self._frame("ledger", tables.ledger)

    @property
    def log(self) -> pd.DataFrame:
        """What was noted: time, kind, text, values."""
        return self._frame("log", tables.log)

    @property
    def open_positions(self) -> pd.DataFrame:
        """What is still held, at its newest mark."""
        return self._frame("open_positions", tables.open_positions)

    @property
    def equity(self) -> pd.Series[float]:
        """Equity by bar start."""
        series: pd.Series[float] = self._table("equity", tables.equity)
        return series

    @property
    def stats(self) -> pd.Series[Any]:
        """Statistics by name."""
        series: pd.Series[Any] = self._table("stats", report_stats.stats)
        return series

    def _frame(self, name: str, make: Callable[[Result], pd.DataFrame]) -> pd.DataFrame:
        frame: pd.DataFrame = self._table(name, make)
        return frame

    @property
    def hash(self) -> str:
        """SHA-256 over orders, fills and ledger; the same on every machine and store."""
        return self.result.hash

    def by(self, key: str) -> pd.DataFrame:
        """Trades by `"weekday"`, `"month"`, `"hour"`, `"dte"`, `"exit_reason"` or `"symbol"`."""
        return report_summary.by(self.result, key)

    def summary(self) -> str:
        """Return the run in a page of text; the same text for the same run."""
        options = {**self.bt.options, **self._about()}
        if options["band"]:
            options["band"] = self.band()
        return report_summary.summary(self.result, self.title, options)

    def still(self) -> str:
        """Return the run as it stands as HTML: a picture of prices and PnL, and the summary.

        It needs no kernel: a saved notebook shows it where the view cannot be. Without the band,
        which would be two more runs.
        """
        equity, options = self.equity, {**self.bt.options, **self._about(), "band": False}
        prices, bars = self.columns(self.symbol), len(equity)
        drawn, before = np.full(bars, np.nan), prices.first - self.first_bar
        have = prices.close[max(-before, 0) : max(bars - before, 0)]
        drawn[max(before, 0) : max(before, 0) + len(have)] = have
        times = pd.DatetimeIndex(equity.index)
        pnl = equity.to_numpy(np.float64) - np.float64(self.capital)
        shown = picture(self.symbol, times, drawn, pnl, self.currency)
        failed = "" if self.failure is None else f"<pre>{escape(self.failure)}</pre>"
        return shown + failed + report_summary.summary_html(self.result, self.title, options)

    def why_fill(self, which: int | Fill) -> FillStory:
        """Tell why a fill came about and what it cost: by its row in `fills`, or itself."""
        bt = self.bt
        return fill_story(
            self.result.fills, which, bt._rules, bt.options["slippage"], self.currency
        )

    def attribution(self, day: date | str | None = None) -> Attribution:
        """Divide a session's PnL by leg, greek and cause; by default that of the worst day.

        See `bestbt.report.attribution`.
        """
        bt = self.bt
        return attribution(self.result, bt.feed, bt.market, day, bt.options["rate"])

    def band(self) -> tuple[Money, Money]:
        """PnL on the pessimistic and on the optimistic path; see `Backtest.band`."""
        key = f"band {self.bt.simulation.bar}"
        if key not in self._tables:
            self._tables[key] = self.bt.band()
        found: tuple[Money, Money] = self._tables[key]
        return found

    def _about(self) -> dict[str, Any]:
        """What the summary says of the run besides its result."""
        return {
            "synthetic": self.synthetic,
            "state": self.state,
            "currency": self.currency,
            "missing_days": self.bt.feed.missing_days,
            "unsaved": self.unsaved,
        }

    def view(self) -> Any:
        """Return the widget that a `%%backtest` cell shows."""
        from bestbt.widgets.view import RunView  # widgets cost half a second to import

        view = RunView(self)
        self._views.add(view)
        return view

    # In the store

    def save(self, name: str) -> int:
        """Keep a run that has ended in its store under a name; return its number there.

        One that could not be written whole under this name while it was played is completed.
        """
        self._player.wait()
        if not self.done.is_set():
            raise UsageError(f"The run is {self.state}; only one that has ended is saved.")
        kept = self.bt.recorder
        if kept is None or kept.name != name or (kept.wait() and kept.complete):
            kept = self._recorder(name)
        return kept.write()

    @property
    def saved(self) -> int | None:
        """Number in the store of a run made with `save=`, once all of it is stored."""
        kept = self.bt.recorder
        return kept.run_id if kept is not None and kept.complete else None

    @property
    def unsaved(self) -> str | None:
        """Why a run made with `save=` is not stored, or not all of it; None where all is well."""
        kept = self.bt.recorder
        if kept is None or kept.error is None:
            return None
        return f"Not written to the store: {kept.error}"

    def _recorder(self, name: str) -> Recorder:
        return Recorder(name, self._player, lambda: self._begin(name), self._why, self._tell)

    def _begin(self, name: str) -> RunWriter:
        bt = self.bt
        record = {
            "name": name,
            "source": bt.cell.source if bt.cell is not None else _source(bt.strategy_class),
            "parameters": {k: repr(v) for k, v in bt.params.items()},
            "options": {
                "strategy": bt.strategy_class.__name__,
                "symbols": list(bt.symbols),
                "start": str(bt.first_day),
                "end": str(bt.last_day),
                "capital": self.capital,
                "currency": self.currency,
                "synthetic": self.synthetic,
                **{name: _choice(value) for name, value in bt.options.items()},
            },
            "fingerprint": bt.store.fingerprint(bt.symbols, bt.first_day, bt.last_day),
        }
        return bt.store.run_writer(record)

    def _why(self) -> str | None:
        return self.failure

    def _tell(self, why: str) -> None:
        """Say that the store does not take the run: in its log, and where it is shown."""
        text = f"not written to the store: {why.rstrip('.')}. run.save(…) at the end writes it all"
        self.bt.simulation.desk.note("unsaved", text)
        self._moved()

    def _stored(self, timeout: float | None = None) -> None:
        """Wait until a run that has ended is in the store."""
        if self.bt.recorder is not None and self.done.is_set():
            self.bt.recorder.wait(timeout)


def _choice(value: Any) -> Any:
    """Return an option as JSON: a function or a model by its name."""
    if isinstance(value, str | int | float):
        return value
    return getattr(value, "__name__", type(value).__name__)  # never its repr: it has an address


def _source(cls: type) -> str:
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        return f"# the source of {cls.__qualname__} is not to be had"
