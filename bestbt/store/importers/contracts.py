"""Which contract a name means, with its dated terms; a name is read once, not once a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from bestbt.engine.ports import ContractSpec
from bestbt.errors import ContractNotFound, ImportRefused, NoSchedule, UsageError
from bestbt.markets.india import India
from bestbt.markets.symbols import INDEX_NAMES, Parsed, parse_symbol
from bestbt.store.importers.columns import EPOCH
from bestbt.store.quality import QualityReport
from bestbt.store.reading import exchange_for

__all__ = ["Contracts", "check_name", "codes", "contract"]

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]


def contract(parsed: Parsed, lot: int = 1, tick: int = 5) -> ContractSpec:
    """Return the contract that a name means."""
    return ContractSpec(
        parsed.asset,
        parsed.symbol,
        parsed.expiry,
        parsed.strike,
        parsed.right,
        lot=lot,
        tick=tick,
        exchange=exchange_for(parsed.symbol),
    )


class Contracts:
    """The contracts of a file by number, each with its dated terms."""

    def __init__(self, market: India, report: QualityReport) -> None:
        self.specs: list[ContractSpec] = []
        self._market = market
        self._report = report
        self._number: dict[Parsed, int] = {}

    def number(self, parsed: Parsed, on: date, level: float, told: int = 1) -> int:
        """Return a contract's number; the first time, its lot and tick are looked up.

        *told* is the lot that the file says; it is taken where no dated one is known.
        """
        if parsed not in self._number:
            self._number[parsed] = len(self.specs)
            lot, tick = 1, 5
            if parsed.expiry is not None:
                lot, tick = self._terms(parsed, parsed.expiry, on, level, told)
            self.specs.append(contract(parsed, lot, tick))
        return self._number[parsed]

    def dated_lot(self, symbol: str, expiry: date) -> int | None:
        """Return the lot of an expiry by the market's tables; None where it is not known."""
        try:
            return self._market.lot_size(symbol, expiry)
        except UsageError:
            return None

    def _terms(
        self, parsed: Parsed, expiry: date, on: date, level: float, told: int
    ) -> tuple[int, int]:
        lot, tick = told, 5
        try:
            lot = self._market.lot_size(parsed.symbol, expiry)
        except UsageError as error:
            if told == 1:
                self._report.add("noted", "lot-unknown", 1, [f"{parsed}: {error}"])
        kind: Any = parsed.asset
        try:
            tick = round(self._market.tick_size(parsed.symbol, kind, on, level=level) * 100)
        except UsageError as error:
            self._report.add("noted", "tick-unknown", 1, [f"{parsed}: {error}"])
        return lot, tick


def codes(
    names: Sequence[str], which: _I64, days: _I64, close: _F64, contracts: Contracts
) -> tuple[_I64, dict[str, str]]:
    """Return each row's contract (-1: none), and why names could not be read.

    A name is read once, unless it means another contract at its last day than at its first: a
    continuous future is read day by day.
    """
    code = np.full(len(which), -1)
    wrong: dict[str, str] = {}
    order = np.argsort(which, kind="stable")
    heads = np.searchsorted(which[order], np.arange(len(names) + 1))
    for i, name in enumerate(names):
        rows = order[heads[i] : heads[i + 1]]
        if not len(rows):
            continue
        level = float(np.nanmedian(close[rows])) if np.isfinite(close[rows]).any() else 0.0
        first, last = int(days[rows].min()), int(days[rows].max())
        try:
            early = parse_symbol(name, date.fromordinal(EPOCH + first))
            late = early if first == last else _at(name, last, early)
            if early == late:
                code[rows] = contracts.number(early, date.fromordinal(EPOCH + first), level)
                continue
            for day in np.unique(days[rows]):
                on = date.fromordinal(EPOCH + int(day))
                code[rows[days[rows] == day]] = contracts.number(parse_symbol(name, on), on, level)
        except (ContractNotFound, NoSchedule) as error:
            wrong[name] = str(error)
    return code, wrong


def _at(name: str, day: int, early: Parsed) -> Parsed:
    """Read a name at its last day; rows after a contract's end are another rule's business."""
    try:
        return parse_symbol(name, date.fromordinal(EPOCH + day))
    except ContractNotFound:
        return early


def check_name(name: str, header: str, specs: Sequence[ContractSpec]) -> None:
    """Refuse a file of one index whose own name says another."""
    if len(specs) != 1 or specs[0].asset != "index":
        return
    words = re.split(r"[^A-Z0-9&]+", name.upper())
    said = {INDEX_NAMES[w] for w in words if w in INDEX_NAMES}
    found = specs[0].symbol
    if said and found not in said:
        other = sorted(said)[0]
        raise ImportRefused(
            f"{name} is named for {other}, and its column {header} says {found} in every row. "
            f'Say which it is: symbol="{other}" or symbol="{found}".'
        )
