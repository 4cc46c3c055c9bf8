"""What the files of one folder tell of each other: one of a thin contract shows little by itself.

files ──sure of themselves──> stored, and counted ──┐
└──in doubt──> wait for the last of them ─────────┴──> read again, judged with the others
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bestbt.store.quality import QualityReport
from bestbt.store.rules.values import judged, lots_seen
from bestbt.store.sheet import Seen, Sheet
from bestbt.units import Ns

__all__ = ["Beside"]


@dataclass(slots=True)
class Beside:
    """Files of one import, by format; those that were imported before tell what they told then.

    Attributes
    ----------
    complete : bool
        Whether all files have been looked at: then none need wait.
    """

    complete: bool = False
    _lots: dict[tuple[str, str], Seen] = field(default_factory=dict)
    _steps: dict[str, Counter[Ns]] = field(default_factory=dict)

    def add(self, report: QualityReport) -> None:
        """Count a file that was stored, unless it waited: then it has been counted."""
        if self.complete:
            return
        for name, counts in report.judged.items():
            if name == "bar":
                self._steps.setdefault(report.format, Counter())[counts[0]] += 1
            else:
                old = self._lots.get((report.format, name), Seen())
                both = (a + b for a, b in zip(old, counts, strict=True))
                self._lots[report.format, name] = Seen(*both)

    def waits(self, sheet: Sheet) -> bool:
        """Whether a file is to be judged when all have been looked at."""
        if self.complete:
            return False
        seen = lots_seen(sheet)
        waits = sheet.thin is not None or any(judged(s) in ("few", "maybe") for s in seen.values())
        if waits:
            sheet.report.judged |= {name: list(counts) for name, counts in seen.items()}
            self.add(sheet.report)
        return waits

    def lots(self, sheet: Sheet) -> dict[str, Seen]:
        """Return what was seen of volume and open interest in all files."""
        of = sheet.report.format
        return {name: seen for (format, name), seen in self._lots.items() if format == of}

    def step(self, sheet: Sheet) -> Ns:
        """Return the length of a file's bars: where it shows none, that of most, if its rows fit.

        Of several that as many have, the shortest.
        """
        steps = self._steps.get(sheet.report.format)
        if not self.complete or sheet.thin is None or not steps:
            return sheet.step
        common = min(steps, key=lambda step: (-steps[step], step))
        return common if sheet.thin % common == 0 else sheet.step
