"""A broker's ticks with market depth, as a recorder writes them: one Python dict a line.

    {'instrument_token': 12612610, 'last_price': 760.8, 'last_quantity': 25, 'volume': 21575, …,
     'oi': 6375, 'timestamp': '2021-08-20T15:28:47', 'depth': {'buy': [{'quantity': 25, …}, …], …}}

Such files come newest first, with repeated lines and with the clock of 1970 before the first tick.
The contract is the file's name. Of the depth the best bid and ask are stored. Volume is the day's
so far. Lines are read as data and never executed.
"""

from __future__ import annotations

import ast
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bestbt.errors import ImportRefused
from bestbt.markets.india import India
from bestbt.store.importers.columns import read_moments
from bestbt.store.importers.source import Source
from bestbt.store.importers.tick_table import named_by_file, no_options, tick_sheet
from bestbt.store.quality import QualityReport
from bestbt.store.tick_rules import TickSheet

__all__ = ["read", "shows"]

_LONGEST = 1 << 16  # bytes of a line: a tick has about 1,000
_TIME = ("timestamp", "exchange_timestamp")
_VOLUME = ("volume", "volume_traded")
_PRICE = "last_price"
_AS_JSON = ((b"'", b'"'), (b"True", b"true"), (b"False", b"false"), (b"None", b"null"))


def shows(source: Source) -> bool:
    """Whether one of the first lines is a dict with a last price and a time."""
    return any(
        line.startswith("{") and "'last_price'" in line and "timestamp'" in line
        for line in source.lines[:20]
    )


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's dict; None where it is none. Most are JSON but for their quotes."""
    if len(line) > _LONGEST:
        return None
    text = line
    for python, other in _AS_JSON:
        text = text.replace(python, other)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(line.decode(errors="replace").strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _best(tick: dict[str, Any], side: str) -> float:
    depth = tick.get("depth")
    levels = depth.get(side) if isinstance(depth, dict) else None
    best = levels[0] if isinstance(levels, list) and levels else None
    return _number(best.get("price")) if isinstance(best, dict) else float("nan")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _first(tick: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((tick[name] for name in names if tick.get(name) is not None), None)


def read(
    source: Source, market: India, *, symbol: str | None = None, **unknown: object
) -> TickSheet:
    """Read a file of ticks with depth.

    Parameters
    ----------
    symbol
        The contract, in place of what the file's name says.

    Raises
    ------
    ImportRefused
        No line is a tick, or the lines are of several instruments.
    """
    no_options(unknown, "ticks with depth", ("symbol", "again", "check_level"))
    report = QualityReport(source.name, "depth ticks" + (", gzipped" if source.gzipped else ""))
    with source.open() as stream:
        raw = list(stream)
    ticks: list[dict[str, Any]] = []
    good: list[int] = []
    bad: list[int] = []
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        tick = _parsed(line)
        time = None if tick is None else _first(tick, _TIME)
        if tick is None or not isinstance(time, str) or _PRICE not in tick:
            bad.append(number)
            continue
        ticks.append(tick)
        good.append(number)
    if not ticks:
        raise ImportRefused(
            f"{source.name} has no line that is a tick, such as {{'last_price': …}}."
        )
    tokens = {tick.get("instrument_token") for tick in ticks}
    if len(tokens) > 1:
        raise ImportRefused(
            f"{source.name} has ticks of {len(tokens)} instruments "
            f"({', '.join(map(str, sorted(map(str, tokens))[:3]))} …) and names none; split it."
        )
    name = named_by_file(source, symbol, report)
    report.remarks.append(
        "volume is the day's so far; of the depth the best bid and ask are stored"
    )
    lines = np.array(good, dtype=np.int64)
    whole, _ = pd.factorize(np.array([raw[n - 1].strip() for n in good], dtype=object))

    def show(number: int) -> str:
        return f"line {number}: {raw[number - 1][:200].decode(errors='replace').strip()}"

    stamps = pa.chunked_array([[_first(tick, _TIME) for tick in ticks]], type=pa.string())
    time = read_moments(stamps, market.tz, lambda rule, n, samples: None)
    numbers = {
        "price": [_number(tick[_PRICE]) for tick in ticks],
        "volume": [_number(_first(tick, _VOLUME)) for tick in ticks],
        "oi": [_number(tick.get("oi")) for tick in ticks],
        "bid": [_best(tick, "buy") for tick in ticks],
        "ask": [_best(tick, "sell") for tick in ticks],
    }
    report.rows = len(good) + len(bad)
    report.add_lines("quarantined", "unreadable-row", bad, show)
    return tick_sheet(
        market,
        report,
        lines,
        show,
        [name],
        np.zeros(len(lines), dtype=np.int64),
        time,
        {n: np.array(values, dtype=np.float64) for n, values in numbers.items()},
        whole.astype(np.int64),
        ("total", True),
    )
