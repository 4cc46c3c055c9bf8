"""One run with every posting pinned, over a small market with India's charges.

`pytest tests/engine/test_golden.py --regold` writes the file anew; read the difference before you
commit it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.markets.india import INDIA
from bestbt.testing import MemoryFeed, simulate

GOLDEN = Path(__file__).parent.parent / "golden" / "straddle.json"
DAYS = ("2024-02-27", "2024-02-28", "2024-02-29")  # the last is the expiry
EXPIRY = DAYS[-1]
MINUTES = 12


class Straddle(Strategy):
    """Sells a stopped straddle each morning, buys a wing, leaves on all days but the last."""

    @at("09:18")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=2, sl="20%")
        self.buy(self.get_atm("CE", offset=1), lots=1, tag="wing")

    @at("09:24", dte=(1, 2))
    def leave(self) -> None:
        self.exit_all()


def market() -> MemoryFeed:
    """Return a market that is written down here as rules, without any randomness."""
    feed = MemoryFeed("NIFTY", DAYS, minutes=MINUTES)
    n = len(DAYS) * MINUTES
    spot = [22_000 + (i * 37) % 90 - 40 + 3 * i for i in range(n)]
    feed.add_index([[s, s + 6, s - 5, s + 2] for s in spot])
    for strike in (21_950, 22_000, 22_050, 22_100, 22_150):
        for right in ("CE", "PE"):
            side = 1 if right == "CE" else -1
            rows: list[Any] = []
            for i, s in enumerate(spot):
                fair = max(side * (s - strike), 0) + 40 - i + (i * 7) % 5
                rows.append([fair, fair + 3.5, fair - 2.25, fair + 1.05])
                if (i * 11 + strike // 50) % 13 == 0 and i:
                    rows[-1] = None
            feed.add_option(EXPIRY, strike, right, rows)
    return feed


def played() -> Simulation:
    return simulate(Straddle, market(), fees=INDIA.fees(), slippage=None)


def told(run: Simulation) -> dict[str, Any]:
    """Return all that is booked, in words and integers."""
    result, local = run.result, run.grid.local

    def when(bar: int) -> str:
        return f"{local(bar):%Y-%m-%d %H:%M}"

    return {
        "orders": [
            [o.id, when(o.placed) if o.placed >= 0 else "", o.contract.name, o.qty, o.type, o.kind,
             o.raw_trigger, o.status]
            for o in result.orders
        ],
        "fills": [
            [when(f.bar), f.contract.name, f.qty, f.raw_price, f.raw_slippage, f.reason, f.kind]
            for f in result.fills
        ],
        "ledger": [
            [when(p.bar), p.account, p.contract.name if p.contract else "", p.amount, p.fill]
            for p in result.ledger
        ],
        "closed": [[when(bar), equity] for bar, equity in result.closed],
        "hash": result.hash,
    }  # fmt: skip


def _written(told: dict[str, Any]) -> str:
    """One row a line, so that a difference reads as the row that changed."""
    parts = []
    for name, value in told.items():
        rows = value if isinstance(value, list) else None
        body = json.dumps(value) if rows is None else (
            "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]"
        )  # fmt: skip
        parts.append(f"{json.dumps(name)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def test_every_posting_is_as_it_was(request: pytest.FixtureRequest) -> None:
    now = told(played())
    if request.config.getoption("--regold"):
        GOLDEN.write_text(_written(now), encoding="utf-8")
    was = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for part in ("orders", "fills", "ledger", "closed", "hash"):
        assert now[part] == was[part], f"{part} differ; --regold if that is meant"


def test_the_golden_run_has_something_of_everything() -> None:
    told_ = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {f[6] for f in told_["fills"]} == {"entry", "exit", "stop", "settlement"}
    accounts = {p[1] for p in told_["ledger"]}
    assert accounts == {
        "capital", "premium", "settlement", "brokerage", "exchange", "sebi", "gst", "stamp", "stt",
    }  # fmt: skip
    assert sum(p[3] for p in told_["ledger"]) == told_["closed"][-1][1]  # flat: equity is cash


def test_it_is_the_same_bar_by_bar_and_after_a_rewind() -> None:
    run = simulate(Straddle, market(), fees=INDIA.fees(), slippage=None, run=False)
    while not run.finished:
        run.step()
    assert told(run) == told(played())
    assert told(run.back(20).run()) == told(played())
