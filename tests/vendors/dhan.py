"""Dhan's rolling options: a file a label, whose strike moves with the index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bestbt.markets.demo import DemoSeries
from tests.vendors.market import bars, series

STEP = 50
ROLES = ("open", "high", "low", "close", "volume", "oi")


def answers(options: Sequence[DemoSeries], labels: Sequence[int]) -> dict[str, dict[str, Any]]:
    """The answers of some labels; each bar of an option is in that of its distance then."""
    spot = bars(series()[0])["open"]
    found: dict[int, dict[str, Any]] = {n: {} for n in labels}
    for side, right in (("ce", "CE"), ("pe", "PE")):
        rows: dict[int, list[tuple[Any, ...]]] = {n: [] for n in labels}
        for one in options:
            if one.spec.right != right or one.spec.strike is None:
                continue
            for time, *values in bars(one).itertuples():
                middle = round(spot[time] / STEP) * STEP
                label = round((one.spec.strike - middle) / STEP)
                if label in rows:
                    rows[label].append((int(time.timestamp()), one.spec.strike, *values))
        for label, listed in rows.items():
            listed.sort()
            names = ("timestamp", "strike", *ROLES)
            columns = zip(*listed, strict=True) if listed else ((),) * len(names)
            arrays: dict[str, Any] = {n: list(v) for n, v in zip(names, columns, strict=True)}
            arrays |= {"iv": [], "spot": [], "volume": [int(v) for v in arrays["volume"]]}
            arrays["oi"] = [int(v) for v in arrays["oi"]]
            found[label][side] = arrays
    return {("ATM" if n == 0 else f"ATM{n:+d}"): {"data": sides} for n, sides in found.items()}


def write_all(folder: Path, options: Sequence[DemoSeries], labels: Sequence[int]) -> list[Path]:
    """One file a label."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for label, answer in answers(options, labels).items():
        file = folder / f"NIFTY_WEEK_1_{label}.json"
        file.write_text(json.dumps(answer))
        files.append(file)
    return files
