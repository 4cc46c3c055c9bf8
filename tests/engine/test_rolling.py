"""A roll: both legs in one bar, or what happens instead."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bestbt.engine.ports import ContractSpec
from bestbt.engine.simulation import Simulation
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import script

DAY, NEXT, LATER = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 8)
FAR = date(2024, 1, 25)


def feed(near: list[Any], far: list[Any], days: tuple[date, ...] = (DAY,)) -> MemoryFeed:
    """A call of two expiries, and one of a third without the strike."""
    made = MemoryFeed("NIFTY", days, minutes=len(near) // len(days))
    made.add_index([100] * len(near))
    made.add_option("2024-01-04", 100, "CE", near)
    made.add_option(LATER, 100, "CE", far, lot=75)
    made.add_option(LATER, 90, "CE", [2] * len(near), lot=75)
    made.add_option(FAR, 110, "CE", [1] * len(near))
    return made


def enter(**terms: Any) -> Any:
    return lambda s, _: s.sell(s.option(100, "CE", date(2024, 1, 4)), 2, **terms)


def roll(*args: Any, **terms: Any) -> Any:
    return lambda s, _: s.roll(s.get_active_position(), *args, **terms)


def fills(run: Simulation) -> list[tuple[Any, ...]]:
    return [
        (f.time.strftime("%H:%M"), f.contract.name[6:], f.qty, f.price, f.reason, f.kind)
        for f in run.result.fills
    ]


def kinds(run: Simulation) -> list[str]:
    return [entry.kind for entry in run.result.log]


def test_both_legs_trade_in_one_bar_and_the_lots_are_kept() -> None:
    run = simulate(script(b0=enter(tag="put"), b2=roll()), feed([10, 10, 12, 12, 9], [20] * 5))
    assert fills(run) == [
        ("09:16", "2024-01-04 100 CE", -100, 10.0, "open", "entry"),
        ("09:18", "2024-01-04 100 CE", 100, 12.0, "roll", "roll"),
        ("09:18", "2024-01-08 100 CE", -150, 20.0, "roll", "roll"),
    ]
    assert [(p.contract.expiry, p.lots, p.tag) for p in run.result.positions] == [(LATER, 2, "put")]
    assert kinds(run) == ["roll", "rolled"]


def test_the_profit_of_the_chain_is_carried_along() -> None:
    run = simulate(script(b0=enter(), b1=roll()), feed([10, 10, 12, 12], [20, 20, 20, 15]))
    (position,) = run.result.positions
    assert position.get_pnl() == 150 * 5  # sold at 20, worth 15
    assert position.get_pnl(rolled=True) == 150 * 5 - 100 * 2
    costs = run.result.log[-1].values
    assert (costs["charges"], costs["slippage"]) == (0.0, 0.0)


def test_a_roll_costs_what_its_legs_paid() -> None:
    run = simulate(
        script(b1=enter(), b3=roll()), feed([10] * 6, [20] * 6), slippage="2ticks"
    )  # fmt: skip
    assert run.result.log[-1].values["slippage"] == pytest.approx((100 + 150) * 0.10)


def test_it_waits_for_a_bar_in_which_both_are_live() -> None:
    near, far = [10, 10, 10, None, 11, 12, 12], [20, 20, 20, 21, None, 22, 22]
    run = simulate(script(b0=enter(), b2=roll()), feed(near, far))
    assert [f[:2] + f[3:4] for f in fills(run)[1:]] == [
        ("09:20", "2024-01-04 100 CE", 12.0),
        ("09:20", "2024-01-08 100 CE", 22.0),
    ]


@pytest.mark.parametrize("keep", [False, True])
def test_without_such_a_bar_the_old_leg_is_closed_alone_or_kept(keep: bool) -> None:
    near, far = [10] * 10, [20, 20, *[None] * 8]
    terms = {"if_unfilled": "keep"} if keep else {}
    run = simulate(script(b0=enter(), b2=roll(**terms)), feed(near, far))
    told = [f for f in fills(run) if f[5] == "roll"]
    if keep:
        assert told == []
        assert [o.status for o in run.result.orders] == ["filled", "cancelled", "rejected"]
        assert run.result.positions
    else:  # five bars of waiting: 09:18 to 09:22
        assert told == [("09:23", "2024-01-04 100 CE", 100, 10.0, "roll", "roll")]
        assert kinds(run) == ["roll", "roll-incomplete"]
        assert not run.result.positions


def test_what_was_said_in_percent_or_points_travels_and_prices_do_not() -> None:
    terms = {"sl": "50%", "target": 2, "trail": "30pts"}
    run = simulate(script(b0=enter(**terms), b2=roll()), feed([10] * 6, [20] * 6))
    ours = [o for o in run.result.orders if o.contract.expiry == LATER and o.is_exit]
    assert [(o.type, o.trigger, o.price, o.qty) for o in ours] == [
        ("slm", 30.0, None, 150),
        ("trail", 50.0, None, 150),
    ]
    old = [o for o in run.result.orders if o.contract.expiry != LATER and o.kind == "stop"]
    assert {o.status for o in old} == {"cancelled"}


def test_a_stop_of_the_whole_position_travels_as_well() -> None:
    def stop(s: Any, _: Any) -> None:
        s.get_active_position().set_sl("40%")

    run = simulate(script(b0=enter(), b1=stop, b3=roll()), feed([10] * 6, [20] * 6))
    assert [o.trigger for o in run.result.orders if o.contract.expiry == LATER and o.is_exit] == [
        28
    ]


def test_where_it_goes() -> None:
    def to(*args: Any, **terms: Any) -> tuple[Any, ...]:
        run = simulate(script(b0=enter(), b1=roll(*args, **terms)), feed([10] * 4, [20] * 4))
        contract = run.result.fills[-1].contract
        return contract.expiry, contract.strike

    assert to() == to("same") == to("atm") == to(LATER) == (LATER, 100)
    assert to("premium:2") == (LATER, 90)
    assert to("percent:10", expiry=FAR) == (FAR, 110)
    assert to("NIFTY 2024-01-25 110 CE") == (FAR, 110)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((date(2024, 1, 11),), ExpiryNotFound, "NIFTY has no expiry on 2024-01-11"),
        ((FAR,), ContractNotFound, "No NIFTY 100 CE for expiry 2024-01-25"),
        (("atn",), OrderError, "Did you mean 'atm'"),
        (("delta",), OrderError, "write it as 'delta:0.2'"),
        (("atm:3",), OrderError, "write it as 'atm'"),
        ((7,), OrderError, "give a contract, a date, or a rule"),
        (("NIFTY 2024-01-04 100 CE",), OrderError, "it is held already"),
    ],
)
def test_where_it_cannot_go(args: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate(script(b0=enter(), b1=roll(*args)), feed([10] * 4, [20] * 4))


def test_a_position_that_is_gone_takes_its_roll_with_it() -> None:
    # the stop gaps at the very open at which the roll would trade
    run = simulate(script(b0=enter(sl=12), b2=roll()), feed([10, 10, 10, 13, 13], [20] * 5))
    assert [f[5] for f in fills(run)] == ["entry", "stop"]
    assert [(o.kind, o.status) for o in run.result.orders[2:]] == [
        ("roll", "cancelled"),
        ("roll", "cancelled"),
    ]


def test_nothing_held_and_the_last_bar_before_settlement_are_refused() -> None:
    run = simulate(script(b1=lambda s, c: s.roll(c)), feed([10] * 4, [20] * 4))
    assert kinds(run) == ["refused"]
    made = MemoryFeed("NIFTY", [DAY, NEXT], minutes=3)
    made.add_index([100] * 6)
    made.add_option(DAY, 100, "CE", [10] * 3)
    made.add_option(LATER, 100, "CE", [20] * 6)
    sold = script(b0=lambda s, _: s.sell(s.option(100, "CE", DAY), 1), b2=roll())
    run = simulate(sold, made)
    assert [f.kind for f in run.result.fills] == ["entry", "settlement"]
    assert "it settles before the next bar" in run.result.log[0].text


def test_while_a_block_is_on_a_roll_is_an_exit() -> None:
    def both(s: Any, c: Any) -> None:
        s.block_for_day(reason="enough")
        s.roll(s.get_active_position())

    run = simulate(script(b0=enter(), b2=both), feed([10] * 5, [20] * 5))
    assert [f[5] for f in fills(run)] == ["entry", "exit"]
    assert "closed and not rolled: blocked until" in run.result.log[-1].text


def test_a_block_that_begins_meanwhile_leaves_the_exit() -> None:
    near, far = [10] * 8, [20, 20, 20, *[None] * 4, 20]
    block = script(b0=enter(), b2=roll(), b3=lambda s, _: s.block_for_day())
    run = simulate(block, feed(near, far))
    assert fills(run)[1:] == [("09:19", "2024-01-04 100 CE", 100, 10.0, "roll", "roll")]


def test_a_frozen_position_is_not_rolled() -> None:
    def freeze(s: Any, c: Any) -> None:
        s.deactivate_positions()
        s.roll(s.get_active_position())

    run = simulate(script(b0=enter(), b2=freeze), feed([10] * 5, [20] * 5))
    assert [f[5] for f in fills(run)] == ["entry"]
    assert run.result.log[-1].kind == "refused"


def test_a_future_goes_to_the_next_month() -> None:
    near = ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50)
    far = ContractSpec("future", "NIFTY", date(2024, 2, 29), lot=50)
    made = MemoryFeed("NIFTY", [DAY], minutes=5)
    made.add_index([100] * 5)
    made.add(near, [100, 100, 101, 102, 102])
    made.add(far, [110] * 5)
    made.add_option("2024-01-04", 100, "CE", [1] * 5)
    run = simulate(script(b0=lambda s, _: s.buy(s.futures(), 1), b2=roll()), made)
    assert [(f.contract.expiry, f.qty, f.price) for f in run.result.fills[1:]] == [
        (near.expiry, -50, 102.0),
        (far.expiry, 50, 110.0),
    ]


def test_a_chain_of_rolls_goes_on_as_it_began() -> None:
    """Who has sold a weekly goes on by the week, also from the one that is the month's last."""
    made = MemoryFeed("NIFTY", [DAY], minutes=8)
    made.add_index([100] * 8)
    days = [date(2024, 1, 18), date(2024, 1, 25), date(2024, 2, 1), date(2024, 2, 29)]
    for day in days:
        made.add_option(day, 100, "CE", [10] * 8)

    def ends(first: date, **terms: Any) -> list[date | None]:
        sold = script(
            b0=lambda s, _: s.sell(s.option(100, "CE", first), 1), b2=roll(**terms), b4=roll()
        )
        return [f.contract.expiry for f in simulate(sold, made).result.fills if f.qty < 0]

    assert ends(days[0]) == days[:3]
    assert ends(days[1]) == [days[1], days[3]]  # a monthly; then nothing is listed behind
    assert ends(days[1], expiry="weekly") == days[1:]
    assert ends(days[0], expiry="monthly") == [days[0], days[1], days[3]]


def test_with_nothing_listed_behind_it_a_default_roll_is_refused_in_the_log() -> None:
    sold = script(b0=lambda s, _: s.sell(s.option(110, "CE", FAR), 1), b2=roll())
    run = simulate(sold, feed([10] * 5, [20] * 5))
    assert [f.kind for f in run.result.fills] == ["entry"]
    assert "No NIFTY monthly expiry number 0 on or after 2024-01-26" in run.result.log[-1].text


def test_what_was_done_by_hand_can_be_forgotten() -> None:
    run = simulate(script(b0=enter()), feed([10] * 8, [20] * 8), run=False)
    run.step(3)
    run.exit("NIFTY 2024-01-04 100 CE")
    run.run()
    run.back(6)
    run.forget()
    assert [f[5] for f in fills(run.run())] == ["entry"]


def test_by_hand_it_is_recorded_and_replayed() -> None:
    run = simulate(script(b0=enter()), feed([10] * 8, [20] * 8), run=False)
    run.step(3)
    run.roll("NIFTY 2024-01-04 100 CE", to="same")
    run.run()
    whole = run.result.hash
    assert [f[5] for f in fills(run)] == ["entry", "roll", "roll"]
    run.back(3)
    assert run.run().result.hash == whole
    assert "intervention" in kinds(run)
