"""Derivatives of shares settle in shares: nothing is entered on that day, or held into it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.order import Buy, Sell
from bestbt.engine.ports import ContractSpec
from bestbt.engine.strategy import Strategy
from bestbt.errors import OrderError
from bestbt.markets.india import INDIA, settles_in_kind
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import fills

EXPIRY, NEXT = date(2024, 1, 25), date(2024, 2, 29)
DAYS = ("2024-01-24", "2024-01-25", "2024-01-29")
SHARE = ContractSpec("equity", "RELIANCE")
CALL = ContractSpec("option", "RELIANCE", EXPIRY, 100.0, "CE", lot=250)
LATER = ContractSpec("option", "RELIANCE", NEXT, 100.0, "CE", lot=250)
FUTURE = ContractSpec("future", "RELIANCE", EXPIRY, lot=250)


class Shares(MemoryFeed):
    """A feed whose underlying is a share."""

    def spot(self, symbol: str) -> ContractSpec:
        return SHARE


def feed(days: tuple[str, ...] = DAYS) -> MemoryFeed:
    made = Shares("RELIANCE", days, minutes=3)
    n = 3 * len(days)
    made.add(SHARE, [104] * n)
    made.add(LATER, [9] * n)
    for spec in (CALL, FUTURE):
        made.add(spec, [5] * (n - 3))
    return made


def script(spec: ContractSpec = CALL, **by_bar: Any) -> type[Strategy]:
    class Script(Strategy):
        def on_bar(self) -> None:
            do = by_bar.get(f"b{self.bar}")
            if do is not None:
                do(self, self._desk.contract(spec))

        def on_session_end(self) -> None:
            do = by_bar.get(f"e{self.bar}")
            if do is not None:
                do(self, self._desk.contract(spec))

    return Script


def buy(s: Strategy, c: Any) -> None:
    s.buy(c, lots=1)


def leave(s: Strategy, c: Any) -> None:
    s.exit(c)


def refused(run: Any) -> list[str]:
    return [e.text for e in run.result.log if e.kind == "refused"]


WHY = (
    "it expires on 2024-01-25 and settles in shares, which is not played; what is held can be left "
    "with exit()"
)


@pytest.mark.parametrize("spec", [CALL, FUTURE], ids=lambda spec: spec.asset)
def test_an_entry_on_the_expiry_day_is_refused_when_it_is_ordered(spec: ContractSpec) -> None:
    run = simulate(script(spec, b3=buy), feed())
    assert run.result.orders == []
    assert refused(run) == [f"buy({spec}): {WHY}"]


@pytest.mark.parametrize("spec", [CALL, FUTURE], ids=lambda spec: spec.asset)
def test_what_was_entered_before_can_be_left_on_the_expiry_day(spec: ContractSpec) -> None:
    run = simulate(script(spec, b0=buy, b3=leave), feed())
    assert fills(run) == [
        ("09:16", 250, 5.0, "open", "entry"),
        ("09:16", -250, 5.0, "open", "exit"),
    ]
    assert run.finished


def test_it_can_be_rolled_out_of_on_that_day_and_into_another_before() -> None:
    run = simulate(script(b0=buy, b3=lambda s, c: s.roll(c, expiry=NEXT)), feed())
    assert [(f.contract.name, f.qty) for f in run.result.fills] == [
        (str(CALL), 250), (str(CALL), -250), (str(LATER), 250),
    ]  # fmt: skip
    into = script(LATER, b0=buy, b3=lambda s, c: s.roll(c, s._desk.contract(CALL)))
    run = simulate(into, feed())
    (entry,) = [e for e in run.result.log if e.kind == "roll"]
    assert entry.text == f"{LATER} is closed and not rolled: {WHY}"
    assert not run.result.positions


def test_a_combo_with_such_a_leg_is_refused_whole() -> None:
    def both(s: Strategy, c: Any) -> None:
        assert s.combo([Buy(s._desk.contract(LATER), 1), Sell(c, 1)]) == []

    run = simulate(script(b4=both), feed())
    assert refused(run) == [f"combo({CALL}): {WHY}"]


@pytest.mark.parametrize(
    "order",
    [
        lambda s, c: s.buy(c, lots=1, type="limit", price=1, tif="gtc"),
        lambda s, c: s.buy(c, lots=1),
    ],
    ids=["gtc", "after-the-close"],
)
def test_an_entry_that_still_waits_when_the_day_opens_is_taken_back(order: Any) -> None:
    run = simulate(script(e2=order), feed())
    (placed,) = run.result.orders
    assert (placed.status, placed.reason) == ("cancelled", WHY)
    assert refused(run) == [f"{CALL}: {WHY}"]
    assert run.result.fills == []


def test_a_combo_that_waits_over_the_night_is_taken_back_whole() -> None:
    def both(s: Strategy, c: Any) -> None:
        assert len(s.combo([Buy(s._desk.contract(LATER), 1), Sell(c, 1)])) == 2

    run = simulate(script(e2=both), feed())
    assert {o.status for o in run.result.orders} == {"cancelled"}
    assert run.result.fills == []


def test_a_roll_that_waits_over_the_night_closes_the_old_leg_alone() -> None:
    def into(s: Strategy, c: Any) -> None:
        s.roll(s._desk.contract(LATER), c)

    run = simulate(script(b0=lambda s, c: s.buy(s._desk.contract(LATER), lots=1), e2=into), feed())
    assert [(f.contract.name, f.qty) for f in run.result.fills] == [
        (str(LATER), 250), (str(LATER), -250),
    ]  # fmt: skip
    assert [e.text for e in run.result.log if e.kind == "roll-incomplete"] == [
        f"{LATER} is closed alone: {WHY}"
    ]


@pytest.mark.parametrize("spec", [CALL, FUTURE], ids=lambda spec: spec.asset)
def test_holding_one_into_delivery_stops_the_run(spec: ContractSpec) -> None:
    with pytest.raises(OrderError, match=r"\+250 units are held into its expiry on 2024-01-25"):
        simulate(script(spec, b0=buy), feed())
    stopped = simulate(script(spec, b0=buy), feed(), run=False)
    with pytest.raises(OrderError, match="exit or roll what is held by that day's last bar"):
        stopped.run()
    assert len(stopped.result.fills) == 1  # what came before it can be looked at


def test_an_expiry_day_that_is_not_in_the_data_is_no_way_around() -> None:
    with pytest.raises(OrderError, match="held into its expiry on 2024-01-25"):
        simulate(script(b0=buy), feed(("2024-01-24", "2024-01-29")))


def test_before_october_2019_they_settle_in_cash() -> None:
    made = feed()
    made.market.settles_in_kind = INDIA.settles_in_kind  # type: ignore[method-assign]
    old = ContractSpec("option", "RELIANCE", date(2019, 9, 26), 100.0, "CE", lot=250)
    past = Shares("RELIANCE", ("2019-09-26",), minutes=3)
    past.market = made.market
    past.add(SHARE, [104] * 3)
    past.add(old, [5] * 3)
    run = simulate(script(old, b0=buy), past)
    assert fills(run)[-1] == ("09:17", -250, 4.0, "settlement", "settlement")


def test_the_date_from_which_they_settle_in_shares() -> None:
    assert not settles_in_kind("RELIANCE", date(2019, 9, 26))
    assert settles_in_kind("RELIANCE", date(2019, 10, 31))
    assert not settles_in_kind("BANKNIFTY", date(2024, 1, 25))


def test_options_of_an_index_are_entered_on_their_last_day_and_settle() -> None:
    made = MemoryFeed("NIFTY", ["2024-01-25"], minutes=3)
    made.add_index([104] * 3)
    made.add_option("2024-01-25", 100, "CE", [5] * 3)
    spec = made.listed("NIFTY", EXPIRY)[0].spec
    run = simulate(script(spec, b0=buy), made)
    assert fills(run)[-1] == ("09:17", -50, 4.0, "settlement", "settlement")
