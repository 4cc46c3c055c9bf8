"""Rules for the numbers of a row: prices, volume, open interest."""

from __future__ import annotations

from functools import reduce
from typing import Literal

import numpy as np

from bestbt.store.rules.bench import Bench, Ints, Mask
from bestbt.store.sheet import Seen, Sheet

__all__ = ["judged", "lots", "lots_seen", "prices", "volume"]

_NOISE = 1e-3  # of a price unit: a float64 that is off by less was meant to be whole
_FEWEST = 200  # numbers, to tell lots from units
_WHOLE = 0.2  # of numbers in units nearly all are whole lots; of those in lots 1 in 75, 1 in 15
_SMALL = 0.1  # of numbers in lots more than that are below half of a lot; of those in units none


def prices(bench: Bench) -> None:
    """Make prices whole; afterwards rows hold raw prices (as floats, exactly)."""
    rows = bench.rows
    _missing(bench)
    lowest = reduce(np.minimum, (rows.open, rows.high, rows.low, rows.close))
    bench.quarantine("price-not-positive", lowest <= 0)
    highest = reduce(np.maximum, (rows.open, rows.high, rows.low, rows.close))
    scale = bench.scale[rows.code]
    bench.quarantine("price-too-large", highest * scale > np.iinfo(np.int32).max)
    scale = bench.scale[rows.code]
    rounded = np.zeros(len(scale), dtype=bool)
    raw = []
    for values in (rows.open, rows.high, rows.low, rows.close):
        exact = values * scale
        raw.append(np.rint(exact))
        rounded |= np.abs(raw[-1] - exact) > _NOISE
    bench.repair("rounded", rounded)
    high, low = reduce(np.maximum, raw), reduce(np.minimum, raw)
    bench.repair("extremes-mended", (high != raw[1]) | (low != raw[2]))
    rows.open, rows.high, rows.low, rows.close = raw[0], high, low, raw[3]
    for side in ("bid", "ask"):
        if (quote := getattr(rows, side)) is not None:
            setattr(rows, side, np.rint(np.where(quote > 0, quote, 0) * scale))
    bench.raw = True


def _missing(bench: Bench) -> None:
    """Deal with prices that are no number: those that traded may stand for others of their bar."""
    rows = bench.rows
    if all(np.isfinite(v).all() for v in (rows.open, rows.high, rows.low, rows.close)):
        return
    nothing = ~(np.isfinite(rows.open) | np.isfinite(rows.close))
    first = np.full(len(bench.specs), np.iinfo(np.int64).max)
    np.minimum.at(first, rows.code[~nothing], rows.start[~nothing])
    early = nothing & (rows.start < first[rows.code])
    late = early & (first[rows.code] == np.iinfo(np.int64).max)  # it never has one
    bench.quarantine("before-first-price", early & ~late)
    open_, close = np.isfinite(rows.open), np.isfinite(rows.close)
    bench.quarantine("no-price", ~(open_ | close))
    bench.quarantine("open-missing", ~np.isfinite(rows.open))
    lost = ~np.isfinite(rows.close)
    bench.repair("close-missing", lost)
    rows.close = np.where(lost, rows.open, rows.close)
    no_high, no_low = ~np.isfinite(rows.high), ~np.isfinite(rows.low)
    bench.repair("extremes-missing", (no_high | no_low) & ~lost)
    four = np.stack((rows.open, rows.high, rows.low, rows.close))
    rows.high = np.where(no_high, np.fmax.reduce(four), rows.high)
    rows.low = np.where(no_low, np.fmin.reduce(four), rows.low)


def lots(bench: Bench) -> None:
    """Turn numbers of lots into units: where the importer was told, or there is no doubt."""
    rows, sheet = bench.rows, bench.sheet
    lot, counted = _countable(sheet)
    seen = lots_seen(sheet)
    bench.report.judged |= {name: list(counts) for name, counts in seen.items()}
    for name, told in (("volume", sheet.volume_in), ("oi", sheet.oi_in)):
        values = getattr(rows, name)
        if values is None or told == "units":
            continue
        if told is None:
            found = judged(seen[name])
            if found in ("few", "maybe"):
                found = judged(sheet.beside.get(name, seen[name]))
            if found != "lots":
                if found == "maybe":
                    likely = seen[name].numbers
                    shown = f"{name}: of {likely:,} numbers few are whole lots"
                    bench.report.add("noted", "looks-like-lots", likely, [shown])
                continue
        bench.repair(f"{name}-in-lots", counted & (values > 0))
        setattr(rows, name, np.where(counted, values * lot, values))


def _countable(sheet: Sheet) -> tuple[Ints, Mask]:
    """Return the lot of each row, and which rows are of contracts that have one."""
    lot = np.array([s.lot for s in sheet.specs], dtype=np.int64)[sheet.rows.code]
    derivative = np.array([s.expiry is not None for s in sheet.specs], dtype=bool)
    return lot, np.asarray(derivative[sheet.rows.code] & (lot > 1))


def lots_seen(sheet: Sheet) -> dict[str, Seen]:
    """Count, in the columns of which nobody said so, what tells lots from units."""
    lot, counted = _countable(sheet)
    found = {}
    for name, told in (("volume", sheet.volume_in), ("oi", sheet.oi_in)):
        values = getattr(sheet.rows, name)
        if values is None or told is not None:
            continue
        positive = counted & (values > 0)
        numbers, of = values[positive], lot[positive]
        whole, small = (int(m.sum()) for m in (numbers % of == 0, numbers * 2 < of))
        found[name] = Seen(len(numbers), whole, small)
    return found


def judged(seen: Seen) -> Literal["lots", "units", "maybe", "few"]:
    """Return what numbers are counted in: for certain, perhaps lots, or too few to tell.

    >>> judged(Seen(300, 10, 60)), judged(Seen(300, 290, 0)), judged(Seen(20, 1, 4))
    ('lots', 'units', 'few')
    """
    if seen.numbers < _FEWEST:
        return "few" if seen.numbers else "units"
    if seen.whole > _WHOLE * seen.numbers:
        return "units"
    return "lots" if seen.small >= _SMALL * seen.numbers else "maybe"


def volume(bench: Bench) -> None:
    """Make volume and open interest whole; a bar without a trade or quote is stale."""
    rows = bench.rows
    if rows.volume is not None:
        tradable = ~bench.of("index")
        nothing = (rows.volume == 0) & tradable & ~bench.quoted()
        bench.quarantine("no-trade", nothing, judged=True)
        wrong = ~(rows.volume >= 0)  # also where it is not a number
        bench.repair("volume-mended", wrong & ~bench.of("index"))
        rows.volume = np.where(wrong, 0, np.rint(rows.volume))
    if rows.oi is not None:
        unknown: Mask = ~(rows.oi >= 0)
        bench.repair("oi-carried", unknown & bench.of("option", "future"))
        at = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(rows.oi))))
        mine = (at >= 0) & (rows.code[np.maximum(at, 0)] == rows.code)
        rows.oi = np.where(mine, np.rint(rows.oi[np.maximum(at, 0)]), 0)
