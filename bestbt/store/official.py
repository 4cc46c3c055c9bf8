"""What days end on, on its way into a store: which cannot be it, and what is known already."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache

from bestbt.engine.ports import ContractSpec
from bestbt.store.importers import Close, Closes, Settlement
from bestbt.store.quality import Dealt, QualityReport
from bestbt.store.reading import Reader, exchange_for
from bestbt.store.schema import KINDS
from bestbt.store.writer import Importing
from bestbt.units import POINTS, RawPrice

__all__ = ["OfficialCloses"]

_LEVEL = 0.05  # a price that is further than this from the day's last bar is of another contract
_SOURCE = 200  # characters of where a price comes from


class OfficialCloses:
    """Writes the official closes and settlement prices of one import, and tells its report.

    Parameters
    ----------
    made_up
        Whether the store's prices of a symbol are synthetic: a real close is not theirs.
    """

    def __init__(
        self,
        reader: Reader,
        tx: Importing,
        report: QualityReport,
        made_up: Callable[[str], bool],
    ) -> None:
        self._reader, self._tx, self._report = reader, tx, report
        self.contracts: set[ContractSpec] = set()  # of which something was written
        self._made_up = cache(made_up)
        self._closes = cache(reader.closes)
        self._settlements = cache(reader.settlements)

    def write_all(self, closes: Closes, name: str, check_level: bool) -> list[str]:
        """Write a file's closes and settlement prices; return the days of those that are."""
        kept = [c for c in closes.rows if self.write(c, name, check_level)]
        settled = [s for s in closes.settlements if self._settles(s, name, check_level)]
        self._report.contracts += len({c.symbol for c in kept} | {s.spec for s in settled})
        return [*(str(c.day) for c in kept), *(str(s.day) for s in settled)]

    def write(self, close: Close, name: str, check_level: bool) -> bool:
        """Write an official close unless it cannot be one; say whether it was written."""
        spec = ContractSpec("index", close.symbol, exchange=exchange_for(close.symbol))
        far = check_level and self._is_far(spec, close.day, close.raw)
        if self._made_up(close.symbol) or far:
            reason = "synthetic-index" if self._made_up(close.symbol) else "far-close"
            dealt: Dealt = "quarantined" if close.counts else "noted"
            self._report.add(dealt, reason, 1, [str(close)])
            return False
        self.put(close, name)
        return True

    def put(self, close: Close, name: str) -> None:
        """Write an official close as it is, and note what it replaces."""
        self._known("close", close, self._closes(close.symbol).get(close.day), close.raw)
        self._tx.close(close.symbol, close.day, close.raw, _source(name, close.where))
        self._count(f"{close.symbol} official close", close.counts)

    def _settles(self, found: Settlement, name: str, check_level: bool) -> bool:
        spec = found.spec
        far = check_level and self._is_far(spec, found.day, found.raw)
        if self._made_up(spec.symbol) or far or spec.expiry is None:
            reason = "synthetic-index" if self._made_up(spec.symbol) else "far-settlement"
            self._report.add("quarantined", reason, 1, [str(found)])
            return False
        self.settle(found, name)
        return True

    def settle(self, found: Settlement, name: str) -> None:
        """Write a settlement price as it is, and note what it replaces."""
        spec = found.spec
        if spec.expiry is None:
            return
        before = self._settlements(spec.symbol).get((spec.expiry, found.day))
        self._known("settlement", found, before, found.raw)
        self._tx.settlement(spec, found.day, found.raw, _source(name, found.where))
        self._count(f"{spec.symbol} future settlement", True)

    def _known(self, kind: str, found: object, before: RawPrice | None, raw: RawPrice) -> None:
        if before is not None:
            rule = f"{kind}-known" if before == raw else f"{kind}-changed"
            self._report.add("noted", rule, 1, [f"{found}, before it {before / 100:.2f}"])

    def _count(self, name: str, counts: bool) -> None:
        self._report.symbols[name] = self._report.symbols.get(name, 0) + 1
        self._report.stored += counts

    def _is_far(self, spec: ContractSpec, day: date, raw: RawPrice) -> bool:
        """Whether a price at a day's end cannot be that of a contract whose bars are stored."""
        contract = self._reader.contract(spec)
        sessions = self._reader.calendar.between(KINDS[spec.asset].hours, day, day)
        if contract is None or not sessions:
            return False
        first, last = sessions[0].open, sessions[-1].close
        for segment in self._reader.segments(contract, first, last):
            bars = segment.bars()
            inside = (bars.starts >= first) & (bars.starts < last)
            if inside.any():
                newest = int(bars.points[POINTS - 1 :: POINTS][inside][-1])
                return abs(raw / newest - 1) > _LEVEL
        return False


def _source(name: str, where: str) -> str:
    return f"{name}, {where}"[:_SOURCE] if where else name[:_SOURCE]
