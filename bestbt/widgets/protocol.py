"""What a view needs of a run; `bestbt.run.Run` is one, a test's fake another.

Views lie to the left of `run.py`, so they know this shape and not the class.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.charted import Charted
from bestbt.engine.desk import LogEntry
from bestbt.engine.grid import Grid
from bestbt.engine.indicators import Indicator
from bestbt.engine.prices import PriceColumns
from bestbt.units import Money, Ordinal, Price, Qty
from bestbt.widgets.chain_scene import ChainScene
from bestbt.widgets.scene import Scene

__all__ = ["Floats", "Movable", "Progress", "RunState", "Seen", "Traded", "Viewable"]

RunState: TypeAlias = Literal["running", "paused", "finished", "stopped", "failed"]
Floats: TypeAlias = npt.NDArray[np.float64]


class Progress(Protocol):
    """How far a run has come; cheap, and safe from any thread."""

    @property
    def bar(self) -> int:
        """Bars done, 0 … `bars`; the newest is ordinal ``first_bar + bar - 1``."""

    @property
    def bars(self) -> int:
        """Bars of the whole run, without its warm-up."""

    @property
    def time(self) -> datetime | None:
        """Exchange local time reached; None before the first bar."""

    @property
    def pnl(self) -> Money:
        """Equity less capital."""

    @property
    def bars_per_second(self) -> float:
        """Speed of late; 0 when it is not known yet."""

    @property
    def seconds_left(self) -> float | None:
        """Time left at that speed; None when it is not known yet."""


class Traded(NamedTuple):
    """A fill as a chart marks it; `qty` is above zero."""

    bar: Ordinal
    symbol: str
    sold: bool
    qty: Qty
    price: Price
    kind: str
    reason: str
    pnl: Money | None  # of what it closed, before charges; None where it closed nothing


class Seen(NamedTuple):
    """A run and an option chain, both at one bar."""

    scene: Scene
    chain: ChainScene | None  # None where nothing is listed, or it could not be read
    problem: Exception | None  # why it could not
    cpu: float  # CPU seconds that reading took of the engine's thread; 0 where it is at rest


class Html(Protocol):
    """Something that can be shown."""

    def to_html(self) -> str:
        """As HTML, in the colours of the notebook."""


class Movable(Protocol):
    """What a hand can do to a run that stands; `bestbt.run.Backtest` can."""

    def step(self, bars: int = 1) -> object:
        """Play a number of bars."""

    def back(self, bars: int = 1) -> object:
        """Rewind a number of bars."""

    def back_to(self, target: Ordinal | str | date) -> object:
        """Rewind to a bar, a moment or an event."""

    def go_to(self, target: Ordinal | str | date) -> object:
        """Play or rewind to a bar or a moment."""

    def break_at(self, event: str) -> None:
        """Come to rest at an event."""

    @property
    def breakpoints(self) -> list[str]:
        """The events at which the run comes to rest."""

    def why(self) -> Html:
        """What the strategy did at the bar where the run stands, and why."""

    @property
    def interventions(self) -> pd.DataFrame:
        """What was done by hand: time, what, done."""

    def undo(self, number: int) -> object:
        """Take one of them back."""

    def without(self, *numbers: int) -> Any:
        """The run as it would stand without some of them, or all."""

    def to_python(self, name: str = "bt") -> str:
        """The lines that do them again."""

    def exit_all(self) -> None:
        """Close everything."""

    def exit(self, what: str) -> None:
        """Close a position."""

    def roll(self, what: str, to: Any = None, **terms: Any) -> None:
        """Roll a position."""

    def set_sl(self, what: str, level: float | str | None) -> None:
        """Stop a position."""

    def set_target(self, what: str, level: float | str | None) -> None:
        """Give a position a target."""

    def buy(self, what: str, lots: int | None = None, **terms: Any) -> None:
        """Buy a contract."""

    def sell(self, what: str, lots: int | None = None, **terms: Any) -> None:
        """Sell a contract."""

    def cancel_order(self, order: int) -> None:
        """Take back a working order."""

    def block_for_day(self, *, close_positions: bool = False) -> None:
        """Refuse entries for the rest of the day."""

    def block_for_n_days(self, n: int, *, close_positions: bool = False) -> None:
        """Refuse entries for some days."""

    def block_this_week(self, *, close_positions: bool = False) -> None:
        """Refuse entries for the rest of the week."""

    def block_for_month(self, *, close_positions: bool = False) -> None:
        """Refuse entries for the rest of the month."""

    def block_till_monthly_expiry(self, *, close_positions: bool = False) -> None:
        """Refuse entries until the monthly expiry has settled."""

    def unblock(self) -> None:
        """Lift blocks."""


class Viewable(Protocol):
    """A run as its view sees it. Any thread may call anything here at any time.

    The columns of tables are those of the result tables; of an unfinished run they hold what is
    booked. `equity` and `stats` are read once `done` is set. Times are tz-aware, in exchange local
    time.
    """

    def why_fill(self, which: int) -> Html:
        """Why a fill came about, by its row in `fills`."""

    def attribution(self, day: date | None = None) -> Html:
        """Where the PnL of a day that has closed came from."""

    @property
    def title(self) -> str:
        """Strategy, symbols and dates, separated by ` · `."""

    @property
    def symbol(self) -> str:
        """What the price chart shows at first: the run's first symbol."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The run's underlyings."""

    @property
    def synthetic(self) -> bool:
        """Whether the prices come from the demo market."""

    @property
    def state(self) -> RunState:
        """What the run is doing."""

    @property
    def done(self) -> threading.Event:
        """Set when the run has ended in any way and its tables are complete."""

    def pause(self) -> None:
        """Ask for a pause; returns at once."""

    def resume(self, to: Ordinal | str | date | None = None) -> None:
        """Go on, to the end or to an event; returns at once."""

    def stand(self, timeout: float = 5.0) -> None:
        """Pause and wait until nobody moves the run."""

    @property
    def pace(self) -> float | None:
        """Bars a second; None: as fast as it goes."""

    @pace.setter
    def pace(self, bars: float | None) -> None: ...

    def moment(self, text: str) -> datetime:
        """Read a time as it is typed: with a date, or of the day where the run stands."""

    @property
    def bt(self) -> Movable:
        """What moves it."""

    def seen(self, expiry: date | None = None) -> Seen | None:
        """What there is to see where it stands; None while a hook does not return."""

    def stop(self) -> None:
        """Ask for the end; returns at once."""

    @property
    def progress(self) -> Progress:
        """How far it has come."""

    def equity_so_far(self) -> tuple[npt.NDArray[np.integer[Any]], Floats]:
        """Ordinals of the session ends so far, and the equity there."""

    @property
    def grid(self) -> Grid:
        """The bars."""

    @property
    def first_bar(self) -> Ordinal:
        """First bar after the warm-up."""

    @property
    def last_bar(self) -> Ordinal:
        """Last bar of the run (as planned, even when stopped before)."""

    def charted(self, name: str) -> Charted:
        """Return what a name stands for where the run stands; `ContractNotFound` else."""

    def columns(self, symbol: str) -> PriceColumns:
        """Prices of what is charted, by its full name, on the grid."""

    def expiries(self, symbol: str) -> Sequence[tuple[Ordinal, str]]:
        """Last bar and kind of each expiry day of an underlying, in order."""

    @property
    def indicators(self) -> Sequence[Indicator]:
        """Those to be drawn, in the order they were made."""

    @property
    def booked(self) -> tuple[object, int, int]:
        """The book, another one after a rewind, and how many fills and lines it has; cheap."""

    def fills_since(self, n: int) -> Sequence[Traded]:
        """The fills behind the first *n*, in booking order."""

    def log_since(self, n: int) -> Sequence[LogEntry]:
        """The lines of the log behind the first *n*."""

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill."""

    @property
    def orders(self) -> pd.DataFrame:
        """Every order."""

    @property
    def log(self) -> pd.DataFrame:
        """What was noted, blocks among it."""

    @property
    def trades(self) -> pd.DataFrame:
        """Every closed trade."""

    @property
    def equity(self) -> pd.Series[float]:
        """Equity by bar start."""

    @property
    def stats(self) -> pd.Series[Any]:
        """Statistics by name."""

    @property
    def failure(self) -> str | None:
        """Why it failed: the message and, for the strategy's errors, its traceback."""

    @property
    def unsaved(self) -> str | None:
        """Why it is not in the store though it was to be; None where all is well."""

    @property
    def capital(self) -> Money:
        """Money at the start."""

    @property
    def currency(self) -> str:
        """Sign of the currency."""
