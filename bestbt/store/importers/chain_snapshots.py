"""Snapshots of whole option chains, one page a file: `NIFTY/27JUN2019/NIFTY_06-06-2019_12:45.csv`.

    pages ──stale? broken? of another day?──> cycles ──> bars ──> one row a contract ──> Sheet

A folder of such files, or a tar or zip archive of it. A page shows calls and puts of one expiry at
one moment: last traded price, quotes, open interest, the day's volume so far, and the index. All
files of a cycle are one moment.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.grid import Session, utc_ns
from bestbt.engine.ports import ContractSpec
from bestbt.errors import ImportRefused, NoSchedule, UsageError
from bestbt.markets.india import India, find_expiry
from bestbt.markets.symbols import INDEX_NAMES
from bestbt.store.importers.archives import Unpacker, is_zip, parts
from bestbt.store.importers.source import Budget, Source
from bestbt.store.quality import QualityReport
from bestbt.store.reading import exchange_for
from bestbt.store.sanitise import Rows, Sheet, local_days, reason_outside
from bestbt.units import MINUTE, Ns, Right

__all__ = ["CYCLE", "STEP", "read", "shows"]

STEP: Ns = 15 * MINUTE
CYCLE: Ns = 5 * MINUTE  # files that were written within this are one moment
_JUMP = 0.015  # an index seldom moves by more from one page to the next
_FEW = 1 / 6  # of a day's pages: so many are given up rather than believe a jump

_NAME = re.compile(r"([A-Z&]+)/(\d{1,2}[A-Z]{3}\d{4})/\1_(\d\d-\d\d-\d{4})\D(\d\d)\D(\d\d)\.csv$")
_CALL: tuple[str, ...] = ("OI", "ChnginOI", "Volume", "IV", "LTP", "NetChng")
_CALL += ("BidQty", "BidPrice", "AskPrice", "AskQty")
_COLUMNS = ["", *(f"Call{c}" for c in _CALL), "StrikePrice"]
_COLUMNS += [f"Put{c}" for c in (*_CALL[6:], *reversed(_CALL[:6]))]
_SPOT = "CurrentVal"
_WANTED = ("LTP", "BidPrice", "AskPrice", "OI", "Volume")
_HEADERS = {",".join(_COLUMNS).encode(): False, ",".join([*_COLUMNS, _SPOT]).encode(): True}
_SIDES: tuple[tuple[str, Right], ...] = (("Call", "CE"), ("Put", "PE"))

_EPOCH = date(1970, 1, 1).toordinal()
_I64 = npt.NDArray[np.int64]


def shows(source: Source) -> bool:
    """Whether a path is a tar archive, or a folder or zip archive with a page in it."""
    path = source.path
    if path.is_dir():
        root = path.resolve()
        return any(_NAME.search(file.as_posix()) for file in root.rglob("*.csv"))
    if is_zip(path):
        found, _ = parts(path)
        return any(_NAME.search(part.label) for part in found)
    try:
        return path.is_file() and tarfile.is_tarfile(path)
    except (OSError, EOFError, lzma.LZMAError):
        return False


@dataclass(slots=True)
class _Page:
    """One file; `first` is the number of its index value, its rows' numbers follow."""

    path: str
    symbol: str
    expiry: date
    stamp: Ns
    lines: list[bytes]
    digest: bytes
    first: int
    spot: float

    @property
    def rows(self) -> int:
        """How many rows it counts for: its index value, and a call and a put a line."""
        return 1 + 2 * len(self.lines)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the CSV files of a folder or an archive."""
    if path.is_dir():
        root = path.resolve()  # a folder of one expiry alone is still named by its parents
        for file in sorted(root.rglob("*.csv")):
            yield file.as_posix(), file.read_bytes()
        return
    if is_zip(path):
        with Unpacker() as unpacker:
            for part in parts(path)[0]:
                if part.label.endswith(".csv"):
                    yield part.label, unpacker.content(part)
        return
    budget = Budget(path.name, path.stat().st_size)
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(".csv") else None
                if stream is not None:
                    budget.take(member.size)
                    yield member.name, stream.read()
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise ImportRefused(
            f"{path.name} cannot be read ({error}); it may be cut off: get it again."
        ) from None


class _Reading:
    """The pages of an import, and what became of those that are not stored."""

    def __init__(self, market: India, report: QualityReport) -> None:
        self.market = market
        self.report = report
        self.pages: list[_Page] = []
        self._expiries: dict[tuple[str, str], date | None] = {}

    def add(self, path: str, content: bytes) -> None:
        """Read one file, or set it aside."""
        header, *lines = content.splitlines() or [b""]
        lines = [line for line in lines if line.strip()]
        first = self.report.rows
        self.report.rows += 1 + 2 * len(lines)
        named = _NAME.search(path)
        page = _Page(_short(path), "", date.min, 0, lines, b"", first, np.nan)
        if named is None or named[1] not in INDEX_NAMES:
            return self.set_aside("unreadable-name", [page])
        page.symbol = INDEX_NAMES[named[1]]
        expiry = self._expiry(page.symbol, named[2])
        try:
            stamp = datetime.strptime(f"{named[3]} {named[4]}:{named[5]}", "%d-%m-%Y %H:%M")
        except ValueError:
            return self.set_aside("unreadable-name", [page])
        if expiry is None:
            return self.set_aside("no-such-expiry", [page])
        if not lines:
            return self.set_aside("empty-page", [page])
        if header not in _HEADERS:
            return self.set_aside("broken-page", [page])
        page.expiry = expiry
        page.stamp = utc_ns(stamp.replace(tzinfo=ZoneInfo(self.market.tz)))
        page.digest = blake2b(content, digest_size=16).digest()
        page.spot = _number(lines[0].rpartition(b",")[2]) if _HEADERS[header] else np.nan
        if not _HEADERS[header]:
            page.lines = [line + b"," for line in lines]
        self.pages.append(page)
        return None

    def _expiry(self, symbol: str, text: str) -> date | None:
        if (symbol, text) not in self._expiries:
            try:
                found = find_expiry(symbol, datetime.strptime(text, "%d%b%Y").date())
            except (ValueError, UsageError):
                found = None
            self._expiries[symbol, text] = None if found is None else found.day
        return self._expiries[symbol, text]

    def set_aside(self, reason: str, pages: Sequence[_Page]) -> None:
        """Count pages that are not stored, all their rows."""
        for page in pages:
            self.report.add("quarantined", reason, page.rows, [page.path])

    def renumber(self) -> None:
        """Number the rows of the pages in their order: it is that of time."""
        first = 0
        for page in self.pages:
            page.first = first
            first += page.rows

    def part(self, reason: str, wrong: set[int]) -> None:
        """Set pages aside by their numbers."""
        self.set_aside(reason, [p for p in self.pages if p.first in wrong])
        self.pages = [p for p in self.pages if p.first not in wrong]


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _stale(pages: Sequence[_Page], market: India) -> set[int]:
    """Pages of a source that stood still.

    They repeat, byte for byte, an earlier one of the same expiry; or show to the paisa the index
    with which the day before ended or that was shown before the open: such pages come cut short
    in different places, so that no two of them are the same.
    """
    days = local_days(np.array([p.stamp for p in pages], dtype=np.int64), market.tz).tolist()
    opens = {day: _sessions(market, day) for day in set(days)}
    seen: set[tuple[str, date, bytes]] = set()
    found: set[int] = set()
    for _, group in groupby(zip(pages, days, strict=True), key=lambda k: k[0].symbol):
        today, newest, old = 0, np.nan, set[float]()
        for page, day in group:
            if day != today:
                today, old = day, {newest}
            key = (page.symbol, page.expiry, page.digest)
            if key in seen or (page.spot > 0 and page.spot in old):
                found.add(page.first)
            seen.add(key)
            newest = page.spot if page.spot > 0 else newest
            if opens[day] and page.stamp < opens[day][0].open:
                old.add(page.spot)
    return found


def _sessions(market: India, day: int) -> Sequence[Session]:
    """Return the session of a day; none where it is not known."""
    on = date.fromordinal(_EPOCH + day)
    try:
        return market.sessions(on, on)
    except NoSchedule:
        return ()


def _wrong_spots(pages: Sequence[_Page], tz: str) -> set[int]:
    """Pages whose index cannot be that of their moment: the whole page is of another one.

    Of a day's pages as many as possible are believed, and a jump of the index by more than 1.5 %
    from one to the next is believed only if that saves more than a sixth of them. So pages of
    another day go, also where they alternate with good ones or come last, and a market that falls
    for good stays.
    """
    found: set[int] = set()
    days = local_days(np.array([p.stamp for p in pages], dtype=np.int64), tz).tolist()
    known = [(p.symbol, d, p) for p, d in zip(pages, days, strict=True) if p.spot > 0]
    for _, group in groupby(known, key=lambda k: k[:2]):
        mine = [page for _, _, page in group]
        level = np.array([page.spot for page in mine])
        saved, before = np.ones(len(mine)), np.full(len(mine), -1)
        for i in range(1, len(mine)):
            jump = np.abs(level[:i] / level[i] - 1) > _JUMP
            worth = saved[:i] - _FEW * len(mine) * jump
            best = i - 1 - int(np.argmax(worth[::-1]))  # the nearest of the best
            if worth[best] > 0:
                saved[i], before[i] = worth[best] + 1, best
        at, believed = int(np.argmax(saved)), set()
        while at >= 0:
            believed.add(at)
            at = int(before[at])
        found |= {page.first for i, page in enumerate(mine) if i not in believed}
    return found


def _bars(stamps: _I64) -> _I64:
    """Return the start of the bar of each page.

    Files within 5 minutes are one cycle, stamped by the latest. A cycle shows the market at its
    stamp, which is the close of a bar: it is the bar that ends at E if it was stamped from
    E − 10 to E + 5 minutes (the vendor took so long to write a cycle that began at E). These
    windows follow each other without overlap and no cycle is cut by one, so whatever an order
    meets in the next bar was written after everything that its strategy has seen: nothing is
    known ahead of its fill. A later cycle would be named by a time at which it was long not known;
    it waits for the next bar.
    """
    of_cycle: dict[int, int] = {}
    cycle: list[int] = []
    for stamp in [*np.unique(stamps).tolist(), None]:
        if cycle and (stamp is None or stamp - cycle[0] >= CYCLE):
            of_cycle |= dict.fromkeys(cycle, cycle[-1])
            cycle = []
        if stamp is not None:
            cycle.append(stamp)
    latest = np.array([of_cycle[s] for s in stamps.tolist()], dtype=np.int64)
    return np.asarray((latest + 2 * CYCLE) // STEP * STEP - STEP)


def _in_session(reading: _Reading, starts: _I64) -> _I64:
    """Set aside pages outside the session; return the bars of the others.

    They would be known as such later; but the day's volume is counted from the session's first
    page, and a page before the open may still show the volume of the day before.
    """
    tz = reading.market.tz
    days = local_days(starts, tz)
    why = np.full(len(starts), "", dtype="U20")
    for day in np.unique(days).tolist():
        mine = days == day
        why[mine] = reason_outside(starts[mine], days[mine], _sessions(reading.market, day), STEP)
    first = np.array([page.first for page in reading.pages], dtype=np.int64)
    for reason in np.unique(why[why != ""]).tolist():
        reading.part(reason, set(first[why == reason].tolist()))
    return np.asarray(starts[why == ""])


def _table(pages: Sequence[_Page]) -> pd.DataFrame:
    """Return the numbers of all pages' lines, and the place of its page beside each."""
    names = [*_COLUMNS, _SPOT]
    wanted = ["StrikePrice", *(f"{side}{c}" for side, _ in _SIDES for c in _WANTED)]
    text = b"\n".join(line for page in pages for line in page.lines)
    table: pd.DataFrame = pd.read_csv(
        io.BytesIO(text), header=None, names=names, usecols=wanted, na_values=["-"], dtype=str
    )
    for name in wanted:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["page"] = np.repeat(np.arange(len(pages)), [len(p.lines) for p in pages])
    return table


def _whole(page: _Page) -> bool:
    """Whether every line has its fields, and a strike among them."""
    for line in page.lines:
        fields = line.split(b",")
        if len(fields) != len(_COLUMNS) + 1 or not _number(fields[11]) > 0:
            return False
    return True


def _terms(market: India, symbol: str, expiry: date, report: QualityReport) -> int:
    """Return the units of a lot; 1, and a note, where no source says."""
    try:
        return market.lot_size(symbol, expiry)
    except UsageError as error:
        report.add("noted", "lot-unknown", 1, [f"{symbol} {expiry}: {error}"])
        return 1


def _options(
    pages: Sequence[_Page], starts: _I64, market: India, report: QualityReport
) -> tuple[pd.DataFrame, list[ContractSpec]]:
    """Return a row for each call and put of the pages, and their contracts by number."""
    table = _table(pages)
    sides = []
    for i, (side, right) in enumerate(_SIDES):
        half = table[["page", "StrikePrice", *(f"{side}{c}" for c in _WANTED)]]
        half = half.set_axis(["page", "strike", "last", "bid", "ask", "oi", "volume"], axis=1)
        lines = np.arange(len(table)) - np.repeat(*_heads([len(page.lines) for page in pages]))
        firsts = np.array([page.first for page in pages])[half["page"]]
        sides.append(half.assign(right=right, line=firsts + 1 + 2 * lines + i))
    rows = pd.concat(sides, ignore_index=True)
    chains = sorted({(page.symbol, page.expiry) for page in pages})
    number = {chain: i for i, chain in enumerate(chains)}
    of_page = np.array([number[page.symbol, page.expiry] for page in pages], dtype=np.int64)
    rows["chain"] = of_page[rows["page"]]
    rows["start"] = starts[rows["page"]]
    rows["code"] = rows.groupby(["chain", "strike", "right"], sort=True).ngroup()
    named = rows.drop_duplicates("code").sort_values("code")
    lots = [_terms(market, symbol, expiry, report) for symbol, expiry in chains]
    specs = [
        ContractSpec(
            "option",
            chains[chain][0],
            chains[chain][1],
            strike,
            right,
            lot=lots[chain],
            exchange=exchange_for(chains[chain][0]),
        )
        for chain, strike, right in zip(
            named["chain"], named["strike"], named["right"], strict=True
        )
    ]
    rows["lot"] = np.array(lots, dtype=np.int64)[rows["chain"]]
    return rows, specs


def _heads(sizes: Sequence[int]) -> tuple[_I64, _I64]:
    counts = np.array(sizes, dtype=np.int64)
    return np.cumsum(counts) - counts, counts


def _live(rows: pd.DataFrame, tz: str) -> tuple[pd.DataFrame, dict[str, _I64], dict[str, _I64]]:
    """Return the rows that are live, each with a price; the others and the mended by rule.

    A row has a quote, or was traded since the contract's row before it that day. Its price is the
    last one traded that day; with none, the middle of its quotes; with one side only, the price
    known before on that day: one of an earlier day would be seen as new, and picked by. The volume
    of a bar is what the day's volume grew by; the vendor counts lots.
    """
    rows = rows.sort_values(["code", "start"], kind="stable").reset_index(drop=True)
    rows["day"] = local_days(rows["start"].to_numpy(), tz)
    rows["oi"] = rows["oi"].fillna(0)  # the vendor writes "-" for none
    total = rows["volume"].fillna(0) * rows["lot"]
    of_day = [rows["code"], rows["day"]]
    highest = total.groupby(of_day).cummax()
    rows["volume"] = highest - highest.groupby(of_day).shift(fill_value=0)
    fell = (total < highest).to_numpy()
    quoted = (rows["bid"] > 0) | (rows["ask"] > 0)
    moved = rows["last"] != rows.groupby(["code", "day"])["last"].shift()
    traded = (rows["last"] > 0) & (moved | (rows["volume"] > 0))
    both = (rows["bid"] > 0) & (rows["ask"] > 0)
    middle = np.floor((rows["bid"] + rows["ask"]) * 50 + 0.5 + 1e-6) / 100  # paise, halves up
    price = rows["last"].where(rows["last"] > 0, middle.where(both))
    rows["price"] = price.where(quoted | traded).groupby(of_day).ffill()
    line = rows["line"].to_numpy()
    nothing = ~quoted & ~(rows["last"] > 0)
    unchanged = ~quoted & (rows["last"] > 0) & ~traded
    unpriced = quoted & rows["price"].isna()
    out = {"no-quote": nothing, "unchanged": unchanged, "one-sided": unpriced}
    kept = ~(nothing | unchanged | unpriced)
    changed = {
        "mid-price": kept & price.notna() & ~(rows["last"] > 0),
        "price-carried": kept & price.isna(),
        "volume-fell": kept & fell,
    }
    by_line = [{k: np.sort(line[v.to_numpy()]) for k, v in d.items()} for d in (out, changed)]
    return rows[kept], by_line[0], by_line[1]


def read(source: Source, market: India, *, symbol: str | None = None, **unknown: object) -> Sheet:
    """Read a folder or an archive of chain snapshots.

    Raises
    ------
    ImportRefused
        An option or a symbol was given, or there is no page that can be stored.
    """
    if unknown or symbol is not None:
        name = next(iter(unknown), "symbol")
        raise ImportRefused(f"No option {name!r} for chain snapshots: folders name what is inside.")
    path = source.path
    report = QualityReport(path.name, "chain snapshots")
    reading = _Reading(market, report)
    for name, content in _files(path):
        reading.add(name, content)
    if report.quarantined.get("unreadable-name", 0) == report.rows:
        what = "a folder" if path.is_dir() else "an archive"
        raise ImportRefused(
            f"{path} is {what} without chain snapshots, such as "
            "NIFTY/27JUN2019/NIFTY_06-06-2019_12:45.csv; give the path of a data file."
        )
    # Of pages stamped alike the nearest expiry's is the last: it is the one that is traded.
    reading.pages.sort(key=lambda p: (p.symbol, p.stamp, -p.expiry.toordinal()))
    reading.renumber()
    reading.part("stale-page", _stale(reading.pages, market))
    reading.part("broken-page", {p.first for p in reading.pages if not _whole(p)})
    reading.part("wrong-spot", _wrong_spots(reading.pages, market.tz))
    starts = _bars(np.array([page.stamp for page in reading.pages], dtype=np.int64))
    starts = _in_session(reading, starts)
    if not reading.pages:
        raise ImportRefused(f"No page of {path.name} can be stored.\n{report}")
    newest = {(p.symbol, p.expiry, s): p.first for p, s in zip(reading.pages, starts, strict=True)}
    shown = {p.first: p for p in reading.pages}
    reading.part("superseded", shown.keys() - set(newest.values()))
    return _sheet(reading, starts[np.isin(list(shown), list(newest.values()))])


def _sheet(reading: _Reading, starts: _I64) -> Sheet:
    """Return what is stored of the pages: one for an expiry and bar."""
    pages, report, tz = reading.pages, reading.report, reading.market.tz
    rows, specs = _options(pages, starts, reading.market, report)
    heads = [page.first for page in pages]

    def show(line: int) -> str:
        page = by_first[int(order[np.searchsorted(order, line, side="right") - 1])]
        if line == page.first:
            return f"{page.path}: index {page.spot}"
        at, side = divmod(line - page.first - 1, 2)
        return f"{page.path} {_SIDES[side][1]}: {page.lines[at].decode(errors='replace')}"

    by_first, order = {page.first: page for page in pages}, np.sort(heads)
    live, out, changed = _live(rows, tz)
    for reason, lines in out.items():
        report.add_lines("quarantined", reason, lines.tolist(), show)
    symbols = sorted({page.symbol for page in pages})
    specs += [ContractSpec("index", s, exchange=exchange_for(s)) for s in symbols]
    code = np.array([len(specs) - len(symbols) + symbols.index(p.symbol) for p in pages])
    # The pages of a bar show the index seconds apart, or as one: the newest stands.
    spot = np.array([page.spot for page in pages])
    newest = {(c, s): i for i, (c, s) in enumerate(zip(code, starts, strict=True)) if spot[i] > 0}
    stands = np.isin(np.arange(len(pages)), list(newest.values()))
    first = np.array(heads, dtype=np.int64)
    report.add_lines("quarantined", "no-spot", first[~(spot > 0)].tolist(), show)
    report.add_lines("quarantined", "same-spot", first[(spot > 0) & ~stands].tolist(), show)
    price = np.concatenate((spot[stands], live["price"]))
    none = np.full(int(stands.sum()), np.nan)
    bid, ask, volume, oi = (
        np.concatenate((none, live[name])) for name in ("bid", "ask", "volume", "oi")
    )
    made = Rows(
        np.concatenate((first[stands], live["line"])),
        np.concatenate((code[stands], live["code"])),
        np.concatenate((starts[stands], live["start"])),
        price,
        price,
        price,
        price,
        volume,
        oi,
        bid,
        ask,
    )
    report.remarks += [
        "bars of 15 minutes, one price each: the moment's; volume is counted in lots there, and "
        "stored in units",
        "the vendor's implied volatility is not stored: this store has no place for it",
    ]
    told: dict[str, Any] = {"stamped": True, "zoned": True, "volume_in": "units", "oi_in": "units"}
    return Sheet(made, specs, STEP, report, show, list(changed.items()), **told)
