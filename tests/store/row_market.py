"""A small random market of every kind of contract, for tests of rows in SQL."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from bestbt.engine.grid import Grid
from bestbt.engine.ports import ContractSpec
from bestbt.markets.india import INDIA
from bestbt.store.schema import KINDS
from bestbt.store.store import Store
from bestbt.units import MINUTE, Ns

EXPIRY = date(2024, 3, 28)
INDEX = ContractSpec("index", "NIFTY")
FUTURE = ContractSpec("future", "NIFTY", EXPIRY, lot=50)
SHARE = ContractSpec("equity", "RELIANCE")
STRIKES = (21900.0, 22000.0, 22100.0)


def option(strike: float, right: str) -> ContractSpec:
    return ContractSpec("option", "NIFTY", EXPIRY, strike, right, lot=50)  # type: ignore[arg-type]


CHAIN = [option(strike, right) for strike in STRIKES for right in ("CE", "PE")]
EVERYTHING = [INDEX, FUTURE, SHARE, *CHAIN]


def write(
    store: Store,
    specs: list[ContractSpec],
    start: date,
    end: date,
    seed: int = 1,
    step: Ns = MINUTE,
    alive: float = 0.5,
) -> None:
    """Import bars of days, some of them without a trade."""
    rng = np.random.default_rng(seed)
    with store.importing("made") as tx:
        for spec in specs:
            hours = KINDS[spec.asset].hours
            grid = Grid(INDIA.sessions(start, end, hours), step)
            live = np.flatnonzero(rng.random(grid.n) < alive)
            n = len(live)
            points = rng.integers(1, 3_000_000, 4 * n).astype(np.int32)
            columns: list[Any] = []
            if spec.asset != "index":
                columns = [rng.integers(0, 10**7, n), rng.integers(0, 2**40, n)]
            tx.write(spec, grid.starts[live], points, *columns, step=step)
