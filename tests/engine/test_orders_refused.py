"""What can never be an order is refused with what was asked, what was found, what to do."""

from __future__ import annotations

from typing import Any

import pytest

from bestbt.engine.strategy import Strategy, param
from bestbt.errors import ContractNotFound, ExpiryNotFound, OrderError, ParamError, StaleHandle
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, buy, call, market, script


def refusal(feed: MemoryFeed, **terms: Any) -> str:
    with pytest.raises(OrderError) as caught:
        simulate(script(b0=buy(**terms)), feed)
    assert any("09:16 of the run" in note for note in caught.value.__notes__)
    return str(caught.value)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"lots": 0}, "buy(NIFTY 2024-01-04 100 CE): 0 lots; whole and positive."),
        ({"lots": -1}, "-1 lots; whole and positive."),
        ({"lots": 1.5}, "1.5 lots; whole and positive."),
        ({"lots": float("nan")}, "nan lots; whole and positive."),
        ({"lots": float("inf")}, "inf lots; whole and positive."),
        ({"lots": "one"}, "'one' lots; whole and positive."),
        ({"lots": True}, "True lots; whole and positive."),
        ({"lots": None}, "give lots= or qty= (units), one of them."),
        ({"qty": 50}, "give lots= or qty= (units), one of them."),
        ({"lots": None, "qty": 75}, "75 units are no whole lots of 50."),
        ({"type": "stop"}, "buy(type='stop'): It has: limit, market, sl, slm."),
        ({"type": "limit"}, "buy(type='limit') needs price=, a price; got None."),
        (
            {"type": "limit", "price": 5, "trigger": 4},
            "buy(trigger=4) goes with type='slm' or 'sl'",
        ),
        ({"type": "sl", "trigger": 4}, "buy(type='sl') needs price=, a price; got None."),
        ({"price": 5}, "buy(price=5) goes with type='limit' or 'sl', not 'market'."),
        ({"tif": "gtc"}, "a market order trades at its next live bar or not at all."),
        ({"tif": "fok", "type": "limit", "price": 5}, "buy(tif='fok'): It has: day, gtc, gtd."),
        ({"tif": "gtd", "type": "limit", "price": 5}, "tif='gtd' and until= go together."),
        ({"trail": "1.23456%"}, "'1.23456%': give at most four decimals."),
        ({"target": "soon"}, "'soon' is no level"),
        ({"type": "slm"}, "buy(type='slm') needs trigger=, a price; got None."),
        ({"type": "slm", "trigger": -2}, "needs trigger=, a price; got -2."),
        ({"trigger": 5}, "buy(trigger=5) goes with type='slm' or 'sl', not 'market'."),
        ({"sl": "soon"}, "'soon' is no level: give a price above zero (101.5), percent of the"),
        ({"sl": "25"}, "'25' has no unit: write '25%', '25pts', or 25 without quotes"),
        ({"sl": 0}, "0 is no level"),
    ],
)
def test_an_order_that_makes_no_sense(terms: dict[str, Any], message: str) -> None:
    assert message in refusal(market(5, 5), **terms)


def test_units_that_are_whole_lots_and_floats_that_are_whole_are_taken() -> None:
    run = simulate(script(b0=buy(lots=None, qty=100), b1=buy(lots=2.0)), market(5, 5, 5))
    assert [f.qty for f in run.result.fills] == [100, 100]


def test_an_index_cannot_be_traded() -> None:
    with pytest.raises(OrderError, match="an index cannot be traded; trade its future or options"):
        simulate(script(b0=lambda s, c: s.sell(s.spot, lots=1)), market(5, 5))


def test_only_contracts_can_be_bought_or_left() -> None:
    with pytest.raises(OrderError, match=r"buy\('NIFTY'\): a contract is needed, such as"):
        simulate(script(b0=lambda s, c: s.buy("NIFTY", lots=1)), market(5, 5))
    with pytest.raises(OrderError, match=r"exit\('all'\): a contract or a position is needed"):
        simulate(script(b0=lambda s, c: s.exit("all")), market(5, 5))


def test_an_option_misspelt_in_a_contracts_own_verb_is_named() -> None:
    with pytest.raises(OrderError, match=r"buy\(\) has no option 'tigger'. Did you mean 'trigger'"):
        simulate(script(b0=lambda s, c: c.buy(1, tigger=4)), market(5, 5))


def test_buying_nothing_is_one_logged_refusal_with_the_pickers_reason() -> None:
    feed = market(5, 5, 5)

    def enter(s: Any, _: Any) -> None:
        assert s.buy(s.get_atm("PE"), lots=1) is None
        s.exit(None)

    run = simulate(script(b0=enter), feed)
    refused = [e.text for e in run.result.log if e.kind == "refused"]
    assert refused == [
        "buy(None): no NIFTY 100 PE 2024-01-04 listed yet",
        "exit(None): there is nothing to exit",
    ]
    assert run.result.orders == []


def test_a_strike_an_expiry_and_a_right_that_do_not_exist() -> None:
    feed = market(5, 5)
    nearest = r"No NIFTY 130 CE for expiry 2024-01-04; nearest listed strikes are 100."
    with pytest.raises(ContractNotFound, match=nearest):
        simulate(script(b0=lambda s, c: s.option(130, "CE")), feed)
    with pytest.raises(ExpiryNotFound, match="1 are listed from there on"):
        simulate(script(b0=lambda s, c: s.get_weekly_expiry(1)), feed)
    with pytest.raises(OrderError, match=r"'CALL' is no right of an option; it is 'CE'"):
        simulate(script(b0=lambda s, c: s.option(100, "CALL")), feed)


def test_a_strike_is_not_found_before_it_is_listed() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=3)
    feed.add_index([100] * 3)
    feed.add_option("2024-01-04", 90, "CE", [15, 15, 15])
    feed.add_option("2024-01-04", 100, "CE", [5, 5], first=1)
    with pytest.raises(ContractNotFound, match="nearest listed strikes are 90"):
        simulate(script(b0=lambda s, c: s.option(100, "CE")), feed)
    simulate(script(b1=lambda s, c: s.option(100, "CE")), feed)


def test_an_expiry_is_not_found_before_it_is_listed() -> None:
    """Whoever asks too early is not told to import what the store has."""
    feed = MemoryFeed("NIFTY", [DAY], minutes=3)
    feed.add_index([100] * 3)
    feed.add_option("2024-01-04", 100, "CE", [5, 5], first=1)
    with pytest.raises(
        ExpiryNotFound, match=r"0 are listed from there on\. No more are listed by now"
    ):
        simulate(script(b0=lambda s, c: s.get_atm("CE")), feed)
    with pytest.raises(ExpiryNotFound, match=r"1 are listed from there on\. Import more expiries"):
        simulate(script(b1=lambda s, c: s.get_weekly_expiry(1)), feed)


def test_the_days_left_of_nothing_are_refused() -> None:
    """A picker that finds nothing returns None."""
    for verb in ("dte", "dte_calendar"):
        with pytest.raises(OrderError, match=rf"{verb}\(None\): a contract .* is needed"):
            simulate(script(b0=lambda s, c, v=verb: getattr(s, v)(None)), market(5, 5))


class Tuned(Strategy):
    stop = "25%"
    lots = param(1, min=1, max=5)
    side = param("short", choices=["long", "short"])


def test_parameters_are_overridden_by_name() -> None:
    strategy = Tuned(stop="30%", lots=2)
    assert (strategy.stop, strategy.lots, strategy.side) == ("30%", 2, "short")
    assert Tuned().lots == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stopp": 1}, "Tuned has no parameter 'stopp'. Did you mean 'stop'?"),
        ({"lots": 9}, "Tuned.lots=9 is outside 1 … 5."),
        ({"lots": "2"}, "Tuned.lots is a number (1); got '2'."),
        ({"side": "up"}, "Tuned.side='up': it is one of ['long', 'short']."),
    ],
)
def test_an_unknown_parameter_or_value_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError) as caught:
        Tuned(**given)
    assert str(caught.value) == message


def test_a_contract_of_another_run_is_refused() -> None:
    feed = market(5, 5, 5)
    other = simulate(script(), feed)
    foreign = call(other.strategy)
    for verb in ("buy", "sell", "exit"):
        lots = {} if verb == "exit" else {"lots": 1}
        with pytest.raises(StaleHandle, match=rf"{verb}\(NIFTY .* CE\): it belongs to another run"):
            simulate(script(b0=lambda s, c, v=verb, kw=lots: getattr(s, v)(foreign, **kw)), feed)
