"""What became of every row of an imported file: stored, repaired, quarantined; and by which rule.

Every row read is either stored or quarantined. A repaired row is stored, changed by a named
rule; a note says something about rows that are stored as they came.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

import pandas as pd

from bestbt.engine.ports import ContractSpec
from bestbt.units import Ns

__all__ = [
    "KEPT",
    "RULES",
    "SAMPLES",
    "Aside",
    "Dealt",
    "Finding",
    "Parsed",
    "QualityReport",
    "told_once",
]

Dealt: TypeAlias = Literal["repaired", "quarantined", "noted"]
_SHOWN = 300  # characters of a sample
SAMPLES = 20  # rows of each finding that are kept in the report, and with it in the store
KEPT = 10_000  # quarantined rows of each reason that an import keeps in the store; all are counted

RULES: dict[str, str] = {
    # quarantined
    "ragged-row": "the row has more or fewer fields than the header",
    "unreadable-symbol": "the symbol is no contract name",
    "unreadable-time": "the date or time cannot be read",
    "no-price": "no price in the row: the bar is stale",
    "before-first-price": "no price, and the contract had none before: it is not listed yet",
    "open-missing": "a close without an open: what an order would have met first is not known",
    "price-not-positive": "a price is zero or negative",
    "price-too-large": "a price is larger than the store can hold",
    "no-schedule": "no sourced session hours for that date",
    "no-session": "the date is no trading day",
    "future": "the date is after today: nobody knows a price of it",
    "before-open": "the bar starts before the session opens",
    "at-close": "the bar starts when the session ends: nothing could trade in it",
    "after-close": "the bar starts after the session has ended",
    "between-parts": "the bar starts between the two parts of the session",
    "off-grid": "the bar does not start on a whole bar of the session",
    "after-expiry": "the bar is later than the contract's expiry",
    "duplicate": "the same bar of the same contract, again with the same values",
    "duplicate-conflict": "the same bar again with other values: the last in the file was stored",
    "after-print": "the index again, after the one value that follows the closing auction",
    "stale-day": "the contract's day repeats an earlier one of the file, bar for bar",
    "frozen": "the index stood still for ten bars or more: it was not disseminated",
    "spike": "the bar lies far from the bars beside it, which agree: no trade was there",
    "off-chain": "the option's price is far outside what the index or the next strikes allow",
    "spot-off-chain": "the index is more than 3 % from what all its calls and puts say",
    "no-trade": "a bar of a contract with zero volume: no traded price, so the bar is stale",
    "unreadable-row": "the line is no tick: no dict of plain values, or one without price and time",
    "clock-unset": "the time is of 1970: the recorder's clock, or the feed, had none",
    "tick-again": "the same row of the same time again, in all that it says",
    "outlier": "a trade far from those before and after it (5 times an option's price, a tenth of "
    "others'), and from the quotes",
    "unreadable-name": "a snapshot's path does not say symbol, expiry and time",
    "no-such-expiry": "no contract of the symbol expires on the date named",
    "empty-page": "a snapshot without a row",
    "broken-page": "a snapshot with unknown columns, or rows without their fields or a strike",
    "stale-page": "a snapshot that repeats an earlier one, or shows the index of before the open",
    "wrong-spot": "a snapshot whose index cannot be that of its time, next to those around it",
    "superseded": "a snapshot older than another of the same expiry and bar",
    "same-spot": "the index again, from a snapshot of the same bar",
    "no-spot": "a snapshot without the index",
    "no-quote": "neither a quote nor a trade that day: nothing to store",
    "unchanged": "no quote, and no trade since the row before: the bar is stale",
    "one-sided": "a bid or an ask alone, and no price of that day was known yet",
    "other-index": "an index that bestbt knows no options of",
    "odd-stamp": "the time is not the last second of a minute, as this vendor's are",
    "continuous": "a row of a continuous future whose own contract is in the file under its name",
    "no-close": "the close is missing or no number",
    "synthetic-index": "the store's index is made up: no real close or settlement is its own",
    "far-close": "the close is more than 5 % from the index's last bar of that day in the store",
    "duplicate-close": "the same close of the same day, again",
    "duplicate-close-conflict": "another close of the same day: the last in the file was stored",
    "footnote": "a note below the table, and no row of it",
    "day-bar": "an option's prices of a whole day: no minute bar, and nothing settles on them",
    "last-day": "a future's close on its last day: it settles on its index, which this file "
    "does not say",
    "of-a-share": "a contract of a share: bestbt reads no minutes of those",
    "no-derivative": "neither a future nor an option",
    "no-settlement": "the settlement price is missing, zero or no number",
    "far-settlement": "the settlement price is more than 5 % from the future's last bar of that "
    "day in the store",
    "duplicate-settlement": "the same settlement price of the same future and day, again",
    "duplicate-settlement-conflict": "another settlement price of the same future and day: the "
    "last in the file was stored",
    "other-day": "the text in a zip is named for another day than the zip: it repeats one",
    "one-quote": "no trade, and a bid or an ask alone: no price is known",
    "finer-stored": "a candle of a day, and the store has finer bars of that month",
    # repaired
    "mid-of-quotes": "no trade in the bar: its prices are the middle of its bid and ask",
    "mid-price": "no trade that day: the price is the middle of bid and ask",
    "price-carried": "no trade that day and one quote alone: the last price of that day stands",
    "volume-fell": "the day's volume was lower than before: stored as no growth",
    "crossed-quotes": "the bid was above the ask: both were left out",
    "not-traded-yet": "nothing was traded that day: the last price is of another day; left out",
    "symbol-given": "the file's instrument name was replaced by the symbol given",
    "close-missing": "the close was missing: the open, which traded, stands for it",
    "extremes-missing": "high or low was missing: those of the other prices stand",
    "extremes-mended": "high or low did not enclose the bar's prices; they were widened to do so",
    "rounded": "prices were rounded to the contract's price unit (floats of a coarser kind)",
    "volume-mended": "volume was missing or negative: stored as 0",
    "volume-in-lots": "volume was counted in lots: stored in units",
    "oi-in-lots": "open interest was counted in lots: stored in units",
    "oi-carried": "open interest was missing: the last known one was carried on (0 before any)",
    "sorted": "the row was out of time order in the file",
    "last-second": "times were the bar's last second (…:59): moved to its start",
    "end-stamped": "times were the bar's end, as you said: moved to its start",
    "end-stamps-seen": "no day has a first bar, each has one at its close: times were the bar's "
    'end, moved to its start (stamp="start" keeps them)',
    # noted
    "maybe-spike": "the bar lies off the bars beside it, not far enough to be wrong for sure",
    "far-extreme": "a high or low alone lies far off; one trade may have been there",
    "maybe-off-chain": "the price is outside what the index or the next strikes allow, by little",
    "looks-like-lots": "few of the numbers are whole lots: they may be counted in lots "
    '(then import with volume="lots" or oi="lots")',
    "first-bars": "bars of a contract's first session before its first: it has no price there",
    "quarantine-bounded": "quarantined rows that are counted and not kept: too many of a reason",
    "readmitted-before": "rows that were taken out of quarantine before",
    "other-terms": "the file of instruments says another lot or tick than the dated one; kept",
    "off-tick": "a price is no multiple of the tick; kept as it came",
    "odd-lot-volume": "volume is no multiple of the lot; kept as it came",
    "lot-unknown": "no dated lot is known for the contract: a lot of 1 is assumed",
    "tick-unknown": "no dated tick is known for the contract: 0.05 is assumed",
    "gaps": "bars absent between others of their session: stale in the store",
    "short-session": "the index has fewer than half of the session's bars",
    "missing-session": "a trading day inside the file's dates without a row of the index",
    "looks-end-stamped": "the day has no first bar but one at its close: stamps may be bar ends "
    '(then import with stamp="end")',
    "day-first": "dates fit both day-month and month-day; read as day-month "
    '(dates="month-first" reads them the other way, dates="day-first" says that it is right)',
    "replaced": "the store had that bar; this file's stands now",
    "tick-known": "the store had that tick",
    "close-known": "the store had the same official close of that day",
    "close-changed": "the store had another official close of that day; this file's stands now",
    "close-disputed": "rows of an expiry that tell another close than most of them",
    "close-unclear": "no close is told by more than half of an expiry's rows: none was stored",
    "settlement-known": "the store had the same settlement price of that future and day",
    "settlement-changed": "the store had another settlement price of that future and day; this "
    "file's stands now",
    "lot-differs": "the lot is not that of the dated tables, which tell it as of the expiry; "
    "theirs stands",
    "lot-given": "contracts in the store whose lot was not known have the file's now",
}


class Parsed(NamedTuple):
    """A row as it was understood: contract, UTC start and length of its bar, and its numbers.

    Prices are in currency; a number that was missing is None, one that no row has is absent.
    """

    spec: ContractSpec
    start: Ns
    step: Ns
    values: dict[str, float | None]


class Aside(NamedTuple):
    """A quarantined row, or a page of them."""

    reason: str
    line: int | None
    text: str
    parsed: Parsed | None = None
    rows: int = 1


@dataclass(slots=True)
class Finding:
    """How many rows one rule touched, and the first of them."""

    dealt: Dealt
    rule: str
    rows: int
    samples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class QualityReport:
    """The outcome of one import.

    Attributes
    ----------
    file, format, sha256
        What was read and as what.
    rows, stored
        Rows read; rows stored. The others are quarantined, each with its reason.
    findings
        What the rules found, in the order in which they were applied.
    symbols
        Rows stored by underlying and kind, such as ``{"BANKNIFTY option": 37882}``.
    contracts
        Number of contracts with a row stored.
    start, end
        First and last stored bar, exchange local time; None when nothing was stored.
    already
        When this file had been imported before (nothing was added), local time; else "".
    remarks
        Sentences for the reader, such as how the format was recognised.
    aside
        The first `KEPT` quarantined rows of each reason, on their way to the store.
    files
        How many files this reports on: of a folder or an archive, all that were stored.
    refused
        Files of a folder or an archive of which nothing was stored, each with the reason.
    forgotten
        What was taken out of the store since then that it may have brought: it can be repeated.
    judged
        What was counted to tell the length of bars, and lots from units: the files of a folder
        that are too thin to tell it by themselves are judged by it.

    Examples
    --------
    >>> report = QualityReport("day.csv", "long-bars CSV", rows=3, stored=2)
    >>> report.add("quarantined", "at-close", 1, ["line 4: NIFTY,15:30"])
    >>> report.quarantined, report.balanced
    ({'at-close': 1}, True)
    >>> print(report)
    day.csv (long-bars CSV): 3 rows read, 2 stored
      quarantined  1  at-close: the bar starts when the session ends: nothing could trade in it
                      line 4: NIFTY,15:30
    """

    file: str
    format: str
    sha256: str = ""
    rows: int = 0
    stored: int = 0
    findings: list[Finding] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)
    contracts: int = 0
    start: str | None = None
    end: str | None = None
    already: str = ""
    remarks: list[str] = field(default_factory=list)
    files: int = 1
    refused: dict[str, str] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    judged: dict[str, list[int]] = field(default_factory=dict, compare=False, repr=False)

    aside: list[Aside] = field(default_factory=list, compare=False, repr=False)
    _kept: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def room(self, reason: str) -> int:
        """Return how many more rows of a reason are kept."""
        return KEPT - self._kept.get(reason, 0)

    def _set_aside(self, new: Sequence[Aside]) -> None:
        if new:
            kept = new[: self.room(new[0].reason)]
            self._kept[new[0].reason] = self._kept.get(new[0].reason, 0) + len(kept)
            self.aside += kept

    @classmethod
    def merged(
        cls, file: str, reports: Sequence[QualityReport], refused: Mapping[str, str]
    ) -> QualityReport:
        """Return one report on several files; `contracts` is left to the caller.

        Files that had been imported before count with no row, unless all had.
        """
        fresh = [report for report in reports if not report.already]
        counted = fresh or reports
        formats = sorted({report.format for report in reports})
        whole = cls(file, ", ".join(formats), files=len(reports), refused=dict(refused))
        whole.rows = sum(report.rows for report in counted)
        for report in fresh:
            whole.stored += report.stored
            for name, rows in report.symbols.items():
                whole.symbols[name] = whole.symbols.get(name, 0) + rows
            for f in report.findings:
                whole.add(f.dealt, f.rule, f.rows, (f"{report.file} {s}" for s in f.samples))
            whole.remarks += [r for r in report.remarks if r not in whole.remarks]
        whole.start = min((r.start for r in fresh if r.start), default=None)
        whole.end = max((r.end for r in fresh if r.end), default=None)
        if not fresh:
            whole.already = max(report.already for report in reports)
        elif len(fresh) < len(reports):
            before = len(reports) - len(fresh)
            whole.remarks.insert(0, f"{before:,} of the files had been imported before")
        return whole

    def add(self, dealt: Dealt, rule: str, rows: int, samples: Iterable[str] = ()) -> None:
        """Count *rows* under a rule; nothing happens for none.

        Quarantined rows are kept as their samples show them: one of several rows is a page.
        """
        if not rows:
            return
        samples = list(samples)
        if dealt == "quarantined":
            each = rows // max(len(samples), 1)
            self._set_aside([Aside(rule, None, text, rows=each) for text in samples])
        self._count(dealt, rule, rows, samples)

    def _count(self, dealt: Dealt, rule: str, rows: int, samples: Sequence[str]) -> None:
        samples = [s if len(s) <= _SHOWN else f"{s[:_SHOWN]}…" for s in samples[:SAMPLES]]
        for found in self.findings:
            if (found.dealt, found.rule) == (dealt, rule):
                found.rows += rows
                found.samples = [*found.samples, *samples][:SAMPLES]
                return
        self.findings.append(Finding(dealt, rule, int(rows), list(samples)[:SAMPLES]))

    def add_lines(
        self,
        dealt: Dealt,
        rule: str,
        lines: Iterable[int],
        show: Callable[[int], str],
        parsed: Sequence[Parsed] = (),
    ) -> None:
        """Count rows by their number in the file; *show* writes one out.

        *parsed* says what the first of them were understood as, if they were.
        """
        lines = list(lines)
        if not lines:
            return
        most = self.room(rule) if dealt == "quarantined" else 0
        texts = [show(line) for line in lines[: max(SAMPLES, most)]]
        if dealt == "quarantined":
            found = zip_longest(lines[:most], texts[:most], parsed[:most])
            self._set_aside([Aside(rule, line, text, values) for line, text, values in found])
        self._count(dealt, rule, len(lines), texts[:SAMPLES])

    def tell_stored(self, spec: ContractSpec, rows: int) -> None:
        """Count rows of one contract as stored."""
        name = f"{spec.symbol} {spec.asset}"
        self.symbols[name] = self.symbols.get(name, 0) + rows
        self.stored += rows
        self.contracts += 1

    def count_bounded(self) -> None:
        """Note how many quarantined rows are counted and not kept."""
        kept = sum(a.rows for a in self.aside)
        self.add("noted", "quarantine-bounded", sum(self.quarantined.values()) - kept)

    def _dealt(self, dealt: Dealt) -> dict[str, int]:
        return {f.rule: f.rows for f in self.findings if f.dealt == dealt}

    @property
    def repaired(self) -> dict[str, int]:
        """Rows stored after a change, by rule; a row may be under several."""
        return self._dealt("repaired")

    @property
    def quarantined(self) -> dict[str, int]:
        """Rows not stored, by reason; a row has one."""
        return self._dealt("quarantined")

    @property
    def noted(self) -> dict[str, int]:
        """Other things to know, by rule; not all are counted in rows."""
        return self._dealt("noted")

    @property
    def balanced(self) -> bool:
        """Whether every row read is stored or quarantined."""
        return bool(self.already) or self.rows == self.stored + sum(self.quarantined.values())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding: dealt, rule, rows, meaning, samples."""
        return pd.DataFrame(
            [(f.dealt, f.rule, f.rows, RULES.get(f.rule, ""), f.samples) for f in self.findings],
            columns=["dealt", "rule", "rows", "meaning", "samples"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as the store keeps them."""
        own = ("findings", "aside", "_kept")
        names = [n for n in self.__dataclass_fields__ if n not in own]
        return {n: getattr(self, n) for n in names} | {
            "findings": [[f.dealt, f.rule, f.rows, f.samples] for f in self.findings]
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> QualityReport:
        """Return the report that `to_json` wrote."""
        return cls(**(values | {"findings": [Finding(*f) for f in values["findings"]]}))

    def _headline(self) -> str:
        of = "" if self.files == 1 and not self.refused else f"{self.files:,} files, "
        head = f"{self.file} ({of}{self.format}): {_counted(self.rows, 'row')} read, "
        if self.already:
            return head + f"none stored again: it was imported on {self.already}"
        head += f"{self.stored:,} stored"
        if self.start:
            head += f" in {_counted(self.contracts, 'contract')}, {self.start} to {self.end}"
        return head

    def _said(self) -> list[str]:
        return self.remarks + [f"forgotten since: {what}" for what in self.forgotten]

    def _refusals(self) -> list[str]:
        """Say of the first files refused why."""
        first = list(self.refused.items())[:SAMPLES]
        shown = [f"refused  {told_once(name, why)}" for name, why in first]
        more = len(self.refused) - len(shown)
        return shown + ([f"refused  {more:,} more, as `report.refused` says"] if more > 0 else [])

    def __str__(self) -> str:
        lines = [self._headline()]
        lines += [f"  {name}: {rows:,}" for name, rows in self.symbols.items()]
        width = max((len(f"{f.rows:,}") for f in self.findings), default=1)
        for f in self.findings:
            lines.append(f"  {f.dealt:<11}  {f.rows:>{width},}  {f.rule}: {RULES.get(f.rule, '')}")
            lines += [" " * (17 + width) + s for s in f.samples[:3]]
        lines += [f"  {remark}" for remark in self._said()]
        return "\n".join(lines + [f"  {refusal}" for refusal in self._refusals()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the lines of the report, not its fields, where IPython has no HTML."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        left = "text-align:left;vertical-align:top"  # notebooks align tables to the right
        rows = "".join(
            f"<tr><td style='{left}'>{f.dealt}</td>"
            f"<td style='text-align:right;vertical-align:top'>{f.rows:,}</td>"
            f"<td style='{left}'><b>{html.escape(f.rule)}</b>: "
            f"{html.escape(RULES.get(f.rule, ''))}"
            + "".join(f"<br><code>{html.escape(s)}</code>" for s in f.samples[:3])
            + "</td></tr>"
            for f in self.findings
        )
        notes = "".join(f"<div>{html.escape(r)}</div>" for r in self._said())
        for refusal in self._refusals():
            notes += f"<div><b>refused</b>{html.escape(refusal.removeprefix('refused'))}</div>"
        symbols = ", ".join(f"{html.escape(k)} {v:,}" for k, v in self.symbols.items())
        return (
            f"<div><b>{html.escape(self._headline())}</b></div><div>{symbols}</div>"
            f"<table style='margin:0'>{rows}</table>{notes}"
        )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def told_once(name: str, why: str) -> str:
    """Put a file's name before a message, unless it begins with it."""
    return why if why.startswith(name) else f"{name}: {why}"
