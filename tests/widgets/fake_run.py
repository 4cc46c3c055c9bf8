"""A run that needs no engine: random prices, random trades, a thread that pretends to work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.charted import Charted
from bestbt.engine.desk import LogEntry
from bestbt.engine.grid import Grid, Session, utc_ns
from bestbt.engine.indicators import Indicator
from bestbt.engine.ports import ContractSpec
from bestbt.engine.prices import PriceColumns, path_points
from bestbt.errors import ContractNotFound
from bestbt.units import MINUTE
from bestbt.widgets.protocol import Floats, RunState, Seen, Traded
from bestbt.widgets.scene import Held, Net, Scene

KOLKATA = ZoneInfo("Asia/Kolkata")
TRADES = [
    "symbol",
    "side",
    "qty",
    "entry_time",
    "entry_price",
    "exit_time",
    "exit_price",
    "pnl",
    "charges",
    "exit_reason",
]
FILLS = [
    "time",
    "symbol",
    "side",
    "qty",
    "price",
    "slippage",
    "charges",
    "reason",
    "kind",
    "order_id",
    "group",
    "tag",
]


@dataclass(frozen=True)
class FakeProgress:
    bar: int
    bars: int
    time: datetime | None
    pnl: float
    bars_per_second: float
    seconds_left: float | None


def make_grid(sessions: int, minutes: int = 375, start: date = date(2024, 1, 1)) -> Grid:
    """Return sessions on weekdays from 09:15, one-minute bars."""
    days: list[date] = []
    day = start
    while len(days) < sessions:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    opens = [utc_ns(datetime(d.year, d.month, d.day, 9, 15, tzinfo=KOLKATA)) for d in days]
    return Grid(
        [Session(d, ((o, o + minutes * MINUTE),)) for d, o in zip(days, opens, strict=True)]
    )


def make_prices(n: int, seed: int = 7, first: int = 0) -> PriceColumns:
    """Return a random walk of *n* bars near 22,000 rupees."""
    rng = np.random.default_rng(seed)
    close = 2_200_000 + np.cumsum(rng.normal(0, 700, n)).astype(np.int64)
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 500, n)
    low = np.minimum(open_, close) - rng.integers(0, 500, n)
    return PriceColumns(first, path_points(open_, high, low, close), np.ones(n, dtype=bool), 100)


class FakeBacktest:
    """Writes down what it is asked."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.breakpoints: list[str] = []
        self.interventions = pd.DataFrame(columns=["time", "what", "done"])

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_"):
            raise AttributeError(verb)

        def asked(*args: Any, **terms: Any) -> None:
            said = [*map(str, args), *(f"{k}={v}" for k, v in terms.items())]
            self._calls.append(" ".join([verb, *said]))

        return asked


class FakeRun:
    """Satisfies `Viewable`; `advance` moves it by hand, `start` in a thread."""

    synthetic = True
    symbol = "NIFTY"
    symbols = ("NIFTY",)
    currency = "₹"
    capital = 1_000_000.0
    title = "ShortStraddle · NIFTY · 2024-01-01 … 2024-03-22"

    def __init__(self, sessions: int = 59, trades: int = 130, seed: int = 7) -> None:
        self.grid = make_grid(sessions)
        self.first_bar, self.last_bar = 0, self.grid.n - 1
        self.prices = make_prices(self.grid.n, seed)
        self.state: RunState = "running"
        self.done = threading.Event()
        self.failure: str | None = None
        self.unsaved: str | None = None
        self.rested: Callable[[], object] = lambda: None
        self.calls: list[str] = []
        self.noted: list[tuple[Any, ...]] = []  # rows of the log
        self.book = object()
        self.pace: float | None = None
        self.bt = FakeBacktest(self.calls)
        self.held: tuple[Held, ...] = ()
        self.others: dict[str, PriceColumns] = {}  # prices of other symbols
        self.indicators: list[Indicator] = []
        self._go = threading.Event()
        self._go.set()
        self._bar = 0
        self._speed = 0.0
        rng = np.random.default_rng(seed)
        self._equity = self.capital + np.cumsum(rng.normal(4, 160, self.grid.n))
        self._trades, self._fills = self._make_trades(trades, rng)

    def _make_trades(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        trades, fills = [], []
        times = pd.DatetimeIndex(self.grid.starts, tz="UTC").tz_convert(KOLKATA)
        for i in range(n):
            session = (i // 2) % len(self.grid.sessions)
            entry = self.grid.firsts[session] + 5
            exit_ = min(entry + int(rng.integers(20, 360)), self.grid.lasts[session] - 15)
            sold, bought = (
                round(float(rng.uniform(80, 250)), 2),
                round(float(rng.uniform(40, 300)), 2),
            )
            symbol = f"NIFTY {self.grid.sessions[session].day} 21700 {('CE', 'PE')[i % 2]}"
            stop = bought > sold
            common = {"symbol": symbol, "qty": 75, "group": "", "tag": "<b>am</b>"}
            trades.append(
                common
                | {
                    "side": "SELL",
                    "entry_time": times[entry],
                    "entry_price": sold,
                    "exit_time": times[exit_],
                    "exit_price": bought,
                    "pnl": (sold - bought) * 75,
                    "charges": 47.3,
                    "exit_reason": "stop" if stop else "exit",
                }
            )
            common |= {"slippage": 0.5, "charges": 23.6, "order_id": i}
            fills.append(
                common
                | {
                    "time": times[entry],
                    "side": "SELL",
                    "price": sold,
                    "reason": "open",
                    "kind": "entry",
                }
            )
            fills.append(
                common
                | {
                    "time": times[exit_],
                    "side": "BUY",
                    "price": bought,
                    "reason": "trigger" if stop else "open",
                    "kind": "stop" if stop else "exit",
                }
            )
        fills.sort(key=lambda f: f["time"])
        return (
            pd.DataFrame(trades, columns=TRADES if not trades else None),
            pd.DataFrame(fills, columns=FILLS if not fills else None),
        )

    # the protocol

    def pause(self) -> None:
        self.calls.append("pause")
        self._go.clear()
        self.state = "paused"
        self.rested()

    def resume(self, to: Any = None) -> None:
        self.calls.append("resume" if to is None else f"resume to {to}")
        self.state = "running"
        self._go.set()

    def stop(self) -> None:
        self.calls.append("stop")
        self.end("stopped")

    def stand(self, timeout: float = 5.0) -> None:
        self.calls.append("stand")
        if self.state == "running":
            self.state = "paused"

    def moment(self, text: str) -> datetime:
        return datetime.fromisoformat(text)

    def seen(self, expiry: date | None = None) -> Seen | None:
        return Seen(self.scene(), None, None, 0.0)

    def scene(self) -> Scene:
        progress, blank = self.progress, Net(0.0, 0.0, 0.0, 0.0, 0)
        return Scene(
            bar=self._bar - 1,
            time=progress.time,
            symbol=self.symbol,
            spot=22_000.0 if self._bar else None,
            change=-0.0125 if self._bar else None,
            vix=13.5,
            expiry=date(2024, 1, 4),
            dte=2,
            today=-progress.pnl / 2,
            pnl=progress.pnl,
            realized=0.0,
            charges=0.0,
            held=self.held,
            net=blank,
            working=(),
            blocked="",
            met="",
            by_hand=0,
            fills=len(self.fills),
            orders=0,
            logged=len(self.noted),
        )

    @property
    def orders(self) -> pd.DataFrame:
        return pd.DataFrame(columns=["id", "time", "symbol", "side", "type", "qty", "price",
                                     "trigger", "status", "reason", "tag"])  # fmt: skip

    @property
    def progress(self) -> FakeProgress:
        bar = self._bar
        left = (self.grid.n - bar) / self._speed if self._speed else None
        reached = self.grid.local(bar - 1) if bar else None
        pnl = float(self._equity[bar - 1] - self.capital) if bar else 0.0
        return FakeProgress(bar, self.grid.n, reached, pnl, self._speed, left)

    def equity_so_far(self) -> tuple[npt.NDArray[np.integer[Any]], Floats]:
        ends = np.asarray([e for e in self.grid.lasts if e < self._bar], np.int64)
        return ends, self._equity[ends]

    def columns(self, symbol: str) -> PriceColumns:
        return self.others.get(symbol, self.prices)

    def charted(self, name: str) -> Charted:
        if name not in (*self.symbols, self.symbol, *self.others):
            raise ContractNotFound(f"No {name} here.")
        return Charted(name, (ContractSpec("index", name),))

    def expiries(self, symbol: str) -> list[tuple[int, str]]:
        last = self.grid.lasts
        return [
            (bar, "weekly")
            for bar, s in zip(last, self.grid.sessions, strict=True)
            if s.day.weekday() == 3
        ]

    @property
    def booked(self) -> tuple[object, int, int]:
        return self.book, len(self.fills), len(self.log)

    def fills_since(self, n: int) -> list[Traded]:
        trades = self.trades
        won = {(t.symbol, t.exit_time): float(t.pnl) for t in trades.itertuples(index=False)}
        return [
            Traded(
                int(np.searchsorted(self.grid.starts, f.time.as_unit("ns").value, "right")) - 1,
                f.symbol,
                f.side == "SELL",
                f.qty,
                f.price,
                f.kind,
                f.reason,
                None if f.kind == "entry" else won.get((f.symbol, f.time)),
            )
            for f in self.fills.iloc[n:].itertuples(index=False)
        ]

    def log_since(self, n: int) -> list[LogEntry]:
        return [
            LogEntry(-1, row.time.as_unit("ns").value, row.kind, row.text, row.values)
            for row in list(self.log.iloc[n:].itertuples(index=False))
        ]

    @property
    def equity(self) -> pd.Series[float]:
        times = pd.DatetimeIndex(self.grid.starts[: self._bar], tz="UTC").tz_convert(KOLKATA)
        return pd.Series(self._equity[: self._bar], index=times, name="equity")

    @property
    def trades(self) -> pd.DataFrame:
        if self._trades.empty:
            return self._trades
        return self._trades[self._trades["exit_time"] <= self._now()]

    @property
    def fills(self) -> pd.DataFrame:
        if self._fills.empty:
            return self._fills
        return self._fills[self._fills["time"] <= self._now()]

    @property
    def log(self) -> pd.DataFrame:
        columns = ["time", "kind", "text", "values"]
        log = pd.DataFrame(self.noted, columns=columns)
        return log[log["time"] <= self._now()] if self.noted else log

    def _now(self) -> pd.Timestamp:
        return pd.Timestamp(self.grid.time(max(self._bar - 1, 0)), tz="UTC").tz_convert(KOLKATA)

    @property
    def stats(self) -> pd.Series[Any]:
        pnl = float(self._equity[max(self._bar - 1, 0)] - self.capital)
        return pd.Series(
            {
                "start": date(2024, 1, 1),
                "end": date(2024, 3, 22),
                "capital": self.capital,
                "final_equity": self.capital + pnl,
                "pnl": pnl,
                "charges": 6149.0,
                "slippage_cost": 9750.0,
                "return_pct": pnl / self.capital * 100,
                "cagr_pct": float("nan"),
                "volatility_pct": 12.1,
                "sharpe": 1.42,
                "sortino": 2.05,
                "calmar": 3.3,
                "max_drawdown": -42_100.0,
                "max_drawdown_pct": -4.21,
                "max_drawdown_days": 12,
                "return_over_maxdd": 1.9,
                "trades": len(self.trades),
                "win_rate_pct": 56.9,
                "win_days_pct": 61.0,
                "profit_factor": 1.31,
                "expectancy": 612.0,
                "exposure_pct": 71.2,
                "best_day": 14_000.0,
                "worst_day": -11_200.0,
                "max_losing_streak": 5,
                "rejected_orders": 0,
                "stale_waits": 3,
                "ambiguous_bars": 4,
            },
            dtype=object,
        )

    # moving it

    def advance(self, bars: int) -> None:
        self._bar = min(self._bar + bars, self.grid.n)
        if bars < 0:
            self.book = object()

    def end(self, state: RunState, failure: str | None = None) -> None:
        self.state, self.failure = state, failure
        self._go.set()
        self.done.set()
        self.rested()

    def start(self, bars_per_second: float, fail_at: int | None = None) -> None:
        """Run in a daemon thread; for looking at a live view, not for tests."""
        threading.Thread(target=self._work, args=(bars_per_second, fail_at), daemon=True).start()

    def _work(self, bars_per_second: float, fail_at: int | None) -> None:
        self._speed = bars_per_second
        while self._bar < self.grid.n and not self.done.is_set():
            self._go.wait()
            time.sleep(0.01)
            self.advance(int(bars_per_second / 100) or 1)
            if fail_at is not None and self._bar >= fail_at:
                self.end(
                    "failed",
                    "ZeroDivisionError: division by zero\n\n  Cell In[2], line 9, in enter\n"
                    "    self.sell(self.get_atm(right), lots=1 / 0, tag='<i>no</i>')",
                )
                return
        if not self.done.is_set():
            self.end("finished")
