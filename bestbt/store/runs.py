"""Runs that are stored: listed, opened, deleted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import JSON, Double, Engine, Integer, delete, select

from bestbt.errors import UsageError, did_you_mean
from bestbt.store.dialects import read, writing
from bestbt.store.run_writer import RUN_TABLES, is_writing, unpack_curve
from bestbt.store.schema import Run
from bestbt.units import MONEY_SCALE

__all__ = ["StoredRun", "delete_run", "list_runs", "open_run"]

_LISTED = (
    *("run_id", "name", "created", "state", "played_to"),
    *("parameters", "options", "fingerprint", "hash", "stats"),
)
_ENDED = ("finished", "stopped", "failed")
_CASH = ("capital", "premium", "settlement", "variation")  # every other account is a charge
_RUN: Any = Run.__table__


class StoredRun:
    """A run as it is in the store: the tables and figures that the run itself gives.

    Attributes
    ----------
    run_id, name
        Its number and its name.
    state : str
        finished, stopped or failed; running or paused while its process is there, and
        ``"unfinished"`` when that has gone: the tables then go up to what was written last.
    created, played_to
        When it was begun; the end of the newest bar in its tables (None before the first).
    source, parameters, options
        What it was made of: the strategy's code, its parameters, and the options of the run.
    fingerprint
        Of the prices that it was played over; see `Store.fingerprint`.
    hash
        Of what it booked; empty until it has ended.
    failure
        Why it failed, for reading.
    """

    def __init__(self, engine: Engine, row: Mapping[str, Any], tz: str) -> None:
        self._engine, self._tz, self._row = engine, tz, row
        self.run_id: int = row["run_id"]
        self.name: str = row["name"]
        self.state = _state(row)
        self.created = _stamp(row["created"], tz)
        self.played_to = _stamp(row["played_to"], tz)
        self.source: str = row["source"]
        self.parameters: dict[str, Any] = row["parameters"]
        self.options: dict[str, Any] = row["options"]
        self.fingerprint: str = row["fingerprint"]
        self.hash: str = row["hash"]
        self.failure: str | None = row["failure"]

    def __repr__(self) -> str:
        return f"<StoredRun {self.run_id} {self.name!r}: {self.title}, {self.state}>"

    @property
    def title(self) -> str:
        """Strategy, symbols and days."""
        about = self.options
        symbols = ", ".join(about.get("symbols", ()))
        return f"{about.get('strategy', '?')} · {symbols} · {about.get('start')} … {about['end']}"

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill."""
        return self._table("fills")

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order; of an unfinished run as it was last seen."""
        return self._table("orders")

    @property
    def trades(self) -> pd.DataFrame:
        """One row a closed round trip."""
        return self._table("trades")

    @property
    def ledger(self) -> pd.DataFrame:
        """Every posting."""
        return self._table("ledger")

    @property
    def log(self) -> pd.DataFrame:
        """What was noted; values that JSON does not have are texts."""
        return self._table("log")

    def _table(self, name: str) -> pd.DataFrame:
        table = RUN_TABLES[name]
        asked = select(table).where(table.c.run_id == self.run_id).order_by(*table.primary_key)
        rows = read(self._engine, lambda connection: connection.execute(asked).mappings().all())
        return pd.DataFrame(
            {
                column.name: _column(column, [row[column.name] for row in rows], self._tz)
                for column in table.c
                if column.name not in ("run_id", "number")
            }
        )

    @cached_property
    def equity(self) -> pd.Series[float]:
        """Equity by bar start; of a run that has not ended, of the last bar of each session."""
        packed = self._row["curve"]
        times, raw = unpack_curve(packed) if packed else (np.empty(0, np.int64),) * 2
        return pd.Series(raw / MONEY_SCALE, _times(times, self._tz), dtype=float, name="equity")

    @cached_property
    def stats(self) -> pd.Series[Any]:
        """Statistics by name; of a run that has not ended those that its tables tell."""
        if self.state not in _ENDED:
            return pd.Series(self._so_far(), dtype=object)
        found = {name: _figure(value) for name, value in self._row["stats"].items()}
        for name in ("start", "end"):
            found[name] = _day(self._row["stats"].get(name))
        return pd.Series(found, dtype=object)

    def _so_far(self) -> dict[str, Any]:
        capital = float(self.options["capital"])
        equity, trades, ledger = self.equity, self.trades, self.ledger
        final = float(equity.iloc[-1]) if len(equity) else capital
        won = int((trades["pnl"] > trades["charges"]).sum())
        return {
            "start": equity.index[0].date() if len(equity) else None,
            "end": equity.index[-1].date() if len(equity) else None,
            "capital": capital,
            "final_equity": final,
            "pnl": final - capital,
            "charges": float(-ledger["amount"][~ledger["account"].isin(_CASH)].sum()),
            "return_pct": 100 * (final - capital) / capital,
            "trades": len(trades),
            "win_rate_pct": 100 * won / len(trades) if len(trades) else math.nan,
        }


def list_runs(engine: Engine, tz: str) -> pd.DataFrame:
    """Return stored runs, oldest first: all but what is long."""
    more = (_RUN.c.writer, _RUN.c.seen)
    asked = select(*(_RUN.c[name] for name in _LISTED), *more).order_by(_RUN.c.run_id)
    found = read(engine, lambda connection: connection.execute(asked).mappings().all())
    rows = [dict(row) for row in found]
    for row in rows:
        row["state"] = _state(row)
        row["created"] = _stamp(row["created"], tz)
        row["played_to"] = _stamp(row["played_to"], tz)
    return pd.DataFrame(rows, columns=list(_LISTED))


def open_run(engine: Engine, which: int | str, tz: str) -> StoredRun:
    """Return the run of a number or a name: of that name the newest."""
    number = _number(which)
    wanted = _RUN.c.run_id == number if number is not None else _RUN.c.name == which
    with engine.connect() as connection:
        asked = select(_RUN).where(wanted).order_by(_RUN.c.run_id.desc())
        row = connection.execute(asked).mappings().first()
        if row is None:
            names = connection.execute(select(_RUN.c.name).distinct()).scalars().all()
            raise UsageError(_no_run(which, number, names))
    return StoredRun(engine, dict(row), tz)


def delete_run(engine: Engine, which: int | str, tz: str) -> StoredRun:
    """Delete a run with its tables; return what it was. One that is played is refused."""
    run = open_run(engine, which, tz)
    if run.state in ("running", "paused"):
        raise UsageError(f"Run {run.run_id} is {run.state}; stop it, then delete it.")
    with writing(engine).begin() as connection:
        for table in (*RUN_TABLES.values(), _RUN):
            connection.execute(delete(table).where(table.c.run_id == run.run_id))
    return run


def _number(which: int | str) -> int | None:
    if isinstance(which, str):
        return int(which) if which.isascii() and which.isdigit() and len(which) < 10 else None
    if isinstance(which, bool) or not isinstance(which, int | np.integer) or which > 2**31 - 1:
        raise UsageError(f"{which!r}: a run has a number or a name.")
    return int(which)


def _no_run(which: int | str, number: int | None, names: Sequence[str]) -> str:
    if number is not None:
        return f"No run {number} is saved; `store.runs()` lists those that are."
    if not names:
        return f"No run {which!r} is saved; there is none yet."
    return f"No run {which!r} is saved. {did_you_mean(str(which), names)}"


def _state(row: Mapping[str, Any]) -> str:
    state: str = row["state"]
    if state in _ENDED or is_writing(state, row["writer"], row["seen"]):
        return state
    return "unfinished"


def _stamp(time: int | None, tz: str) -> Any:
    return pd.NaT if time is None else pd.Timestamp(time, tz="UTC").tz_convert(tz)


def _figure(value: Any) -> Any:
    """Return a statistic from JSON, which has no nan and no infinity."""
    if value is None:
        return math.nan
    return float(value) if value in ("inf", "-inf") else value


def _day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _times(ns: Any, tz: str) -> pd.DatetimeIndex:
    stamps = np.asarray(ns, dtype=np.int64).view("M8[ns]")
    return pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(tz)


def _column(column: Any, values: list[Any], tz: str) -> Any:
    """Return stored values as the run's tables have them: the same types."""
    if column.name == "time" or column.name.endswith("_time"):
        return _times(values, tz)
    if isinstance(column.type, JSON):
        return pd.Series(values, dtype=object)
    if isinstance(column.type, Double):
        return np.array(values, dtype=np.float64)
    if isinstance(column.type, Integer):
        return pd.Series(values, dtype="Int64" if column.name == "fill" else "int64")
    return pd.Series(values, dtype=str)
