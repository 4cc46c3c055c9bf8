"""The same verbs mean the same for an option, a future and a share."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy
from bestbt.errors import OrderError
from bestbt.testing import MemoryFeed, simulate

DAYS = ("2024-01-01", "2024-01-02")
OPTION = ContractSpec("option", "NIFTY", date(2024, 1, 25), 100.0, "CE", lot=50)
FUTURE = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)
SHARE = ContractSpec("equity", "RELIANCE", lot=50)  # in fifties, so that the figures compare
PRICES = [100, 100, 104, 104, 110, 108, 96, 96, 96, 96]


class Shares(MemoryFeed):
    """A feed with a share as well."""

    def spot(self, symbol: str) -> ContractSpec:
        return SHARE if symbol == "RELIANCE" else super().spot(symbol)


def feed() -> MemoryFeed:
    made = Shares("NIFTY", DAYS, minutes=len(PRICES) // len(DAYS))
    made.add_index([100] * len(PRICES))
    for spec in (OPTION, FUTURE, SHARE):
        made.add(spec, PRICES)
    return made


class Trades(Strategy):
    """Buys, adds, moves the stop to cost, and looks at everything on the way."""

    name = ""

    def init(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def look(self, contract: Any) -> None:
        position = contract.position
        held = position and (position.side, position.qty, position.lots, position.entry_price)
        pnl = (
            contract.get_pnl(),
            self.get_pnl(contract),
            self.get_realized_pnl(contract, tag="first"),
            self.get_unrealized_pnl(tag="first"),
            self.get_unrealized_pnl(),
        )
        self.seen.append((self.bar, held, position and position.get_pnl(), *pnl, self.today_pnl))

    def on_bar(self) -> None:
        contract = self.contract(self.name)
        position = contract.position
        if self.bar == 0:
            contract.buy(1, tag="first")
        elif self.bar == 1:
            assert position is not None
            position.add(1, tag="more")
        elif self.bar == 3:
            assert position is not None
            assert position.set_sl("cost") is not None
            assert position.sl == 102.0
        self.look(contract)


def play(spec: ContractSpec) -> Any:
    run = simulate(lambda: Trades(name=str(spec)), feed())
    prices = [(f.qty, f.price, f.reason, f.kind) for f in run.result.fills]
    return run, prices


@pytest.mark.parametrize("spec", [OPTION, FUTURE, SHARE], ids=lambda spec: spec.asset)
def test_verbs_and_figures_are_the_same(spec: ContractSpec) -> None:
    run, prices = play(spec)
    assert prices == [
        (50, 100.0, "open", "entry"),
        (50, 104.0, "open", "entry"),
        (-100, 96.0, "gap", "stop"),
    ]
    assert run.strategy.seen[4] == (
        4, ("long", 100, 2, 102.0), 800.0, 800.0, 800.0, 0.0, 500.0, 800.0, 800.0,
    )  # fmt: skip
    # the next day the gap of the night is in the day's figure, and the loss is realized
    assert run.strategy.seen[6] == (6, None, None, -600.0, -600.0, -200.0, 0.0, 0.0, -1400.0)
    assert run.result.equity()[-1] - run.result.capital == -600 * 10_000


def test_a_share_cannot_be_rolled() -> None:
    class Rolls(Strategy):
        def on_bar(self) -> None:
            share = self.contract("RELIANCE")
            if self.bar == 0:
                share.buy(1)
            elif self.bar == 2:
                share.roll()

    with pytest.raises(OrderError, match=r"RELIANCE.*has no expiry to roll from"):
        simulate(Rolls, feed())
