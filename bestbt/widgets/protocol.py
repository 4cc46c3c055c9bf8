"""What a view needs of a run; `bestbt.run.Run` is one, a test's fake another.

Views lie to the left of `run.py`, so they know this shape and not the class.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Grid
from bestbt.engine.prices import PriceColumns
from bestbt.units import Money, Ordinal

__all__ = ["Floats", "Progress", "RunState", "Viewable"]

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


class Viewable(Protocol):
    """A run as its view sees it. Any thread may call anything here at any time.

    `fills`, `log`, `trades`, `equity` and `stats` are read once `done` is set; their columns are
    those of the result tables. Times are tz-aware, in exchange local time.
    """

    @property
    def title(self) -> str:
        """Strategy, symbols and dates, separated by ` · `."""

    @property
    def symbol(self) -> str:
        """What the price chart shows: the run's first symbol."""

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

    def resume(self) -> None:
        """Go on; returns at once."""

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

    def columns(self, symbol: str) -> PriceColumns:
        """Prices of a symbol on the grid."""

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill."""

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
