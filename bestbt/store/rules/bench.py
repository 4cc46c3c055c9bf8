"""What every rule works on: the rows, what is known of their contracts, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bestbt.engine.grid import Session
from bestbt.engine.ports import ContractSpec
from bestbt.store.quality import Parsed
from bestbt.store.schema import KINDS
from bestbt.store.sessions import EPOCH, Calendar, local_days
from bestbt.store.sheet import Rows, Sheet
from bestbt.units import Ns

__all__ = ["Bench", "Floats", "Ints", "Mask"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Bench:
    """A sheet while it is sanitised.

    Attributes
    ----------
    raw : bool
        Whether prices are whole numbers of the contract's unit by now, or still currency.
    repairs
        Which rows (by their numbers) a rule changed. They count in the end, if still there.
    """

    def __init__(self, sheet: Sheet, calendar: Calendar) -> None:
        self.sheet = sheet
        self.rows: Rows = sheet.rows
        self.specs: Sequence[ContractSpec] = sheet.specs
        self.step: Ns = sheet.step
        self.report = sheet.report
        self.calendar = calendar
        self.raw = False
        self.repairs = list(sheet.repairs)

    # --- what a rule does ----------------------------------------------------------------------

    def quarantine(self, reason: str, mask: Mask, *, judged: bool = False) -> None:
        """Take rows away. Where it was *judged*, a row that a person has admitted stays."""
        if judged and self.rows.admitted is not None:
            mask = mask & ~self.rows.admitted
        if mask.any():
            lines = self.rows.line[mask].tolist()
            most = self.report.room(reason)
            values = self.parsed(np.flatnonzero(mask)[:most])
            self.report.add_lines("quarantined", reason, lines, self.sheet.show, values)
            self.rows.keep(~mask)

    def repair(self, rule: str, mask: Mask) -> None:
        """Remember rows that a rule has changed."""
        if mask.any():
            self.repairs.append((rule, self.rows.line[mask]))

    def note(self, rule: str, mask: Mask) -> None:
        """Remark on rows."""
        if mask.any():
            lines = self.rows.line[mask].tolist()
            self.report.add_lines("noted", rule, lines, self.sheet.show)

    def count_repairs(self) -> None:
        """Tell the report of the rows that were repaired and are still there."""
        for rule, lines in self.repairs:
            stored = np.sort(lines[np.isin(lines, self.rows.line)])
            self.report.add_lines("repaired", rule, stored.tolist(), self.sheet.show)

    def parsed(self, which: Ints) -> list[Parsed]:
        """Return rows as they were understood, prices in currency."""
        rows = self.rows
        scale = self.scale[rows.code[which]] if self.raw else np.ones(len(which))
        columns: dict[str, list[float | None]] = {}
        for name in ("open", "high", "low", "close", "volume", "oi", "bid", "ask"):
            values = getattr(rows, name)
            if values is None:
                continue
            taken = np.asarray(values[which], dtype=np.float64)
            if name not in ("volume", "oi"):
                taken = taken / scale
            columns[name] = [v if np.isfinite(v) else None for v in taken.tolist()]
        starts, codes = rows.start[which].tolist(), rows.code[which].tolist()
        return [
            Parsed(self.specs[code], start, self.step, {k: v[i] for k, v in columns.items()})
            for i, (code, start) in enumerate(zip(codes, starts, strict=True))
        ]

    # --- what is known of the contracts, by their numbers --------------------------------------

    @cached_property
    def scale(self) -> Ints:
        """Raw price of one unit of currency."""
        return np.array([s.scale for s in self.specs], dtype=np.int64)

    @cached_property
    def lot(self) -> Ints:
        """Units in a lot."""
        return np.array([s.lot for s in self.specs], dtype=np.int64)

    @cached_property
    def expires(self) -> Ints:
        """Expiry as days since 1970; far away for what has none."""
        days = [(s.expiry or date.max).toordinal() - EPOCH for s in self.specs]
        return np.array(days, dtype=np.int64)

    @cached_property
    def hours(self) -> tuple[list[str], npt.NDArray[np.int8]]:
        """Names of session hours, and the place of each contract's among them."""
        names = sorted({KINDS[s.asset].hours for s in self.specs})
        of = [names.index(KINDS[s.asset].hours) for s in self.specs]
        return names, np.array(of, dtype=np.int8)

    def of(self, *assets: str) -> Mask:
        """Whether each row is of one of these kinds."""
        return np.array([s.asset in assets for s in self.specs], dtype=bool)[self.rows.code]

    def quoted(self) -> Mask:
        """Whether each row has a bid or an ask."""
        found = np.zeros(len(self.rows.line), dtype=bool)
        for quote in (self.rows.bid, self.rows.ask):
            found |= False if quote is None else quote > 0
        return found

    def known_sessions(self, hours: str, days: Ints) -> tuple[list[Session], dict[date, str]]:
        """Return the sessions of all months that have one of some days, and what is not known."""
        if not len(days):
            return [], {}
        low = int(days.min())
        present = np.flatnonzero(np.bincount(days - low)) + low  # quicker than to sort them all
        months = np.unique(present.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))
        found: list[Session] = []
        unknown: dict[date, str] = {}
        for month in months.tolist():
            sessions, why = self.calendar.month(hours, month)
            found += sessions
            unknown |= why
        return found, unknown

    def days(self) -> Ints:
        """Local date of each row, as days since 1970."""
        return local_days(self.rows.start, self.calendar.market.tz)
