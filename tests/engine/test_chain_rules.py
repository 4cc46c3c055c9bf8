"""The chain's reference, forward and rules case by case; greeks at the clock; what is refused."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from bestbt.engine.board import Reference
from bestbt.engine.ports import ContractSpec
from bestbt.engine.pricing import black76, greeks, implied_vol
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import OrderError, UsageError
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import DAY, NEXT, script

EXPIRY = "2024-01-04"  # a Thursday; DAY is the Monday before
YEAR = 525_600


def chained(
    spot: Any, rows: dict[Any, Any], expiry: str = EXPIRY, days: Any = (DAY,), **more: Any
) -> MemoryFeed:
    """Return a feed of an index and options: {(strike, right): closes}."""
    feed = MemoryFeed("NIFTY", days, minutes=len(spot) // len(days))
    feed.add_index(spot)
    for (strike, right), prices in rows.items():
        flat = [prices] * len(spot) if isinstance(prices, int | float) else prices
        feed.add_option(expiry, strike, right, flat, **more)
    return feed


THREE: dict[Any, Any] = {
    (95, "CE"): 6.5, (95, "PE"): 0.6,
    (100, "CE"): 2.4, (100, "PE"): 2.0,
    (105, "CE"): 0.7, (105, "PE"): 5.1,
}  # fmt: skip


def look(feed: MemoryFeed, do: Any, **options: Any) -> Any:
    """Call a function with (strategy, chain) after every bar; return what it gave, and the log."""
    seen: list[Any] = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            seen.append(do(self, self.chain()))

    run = simulate(Watch, feed, **options)
    return seen, [e.text for e in run.result.log]


# The reference


def test_at_the_money_by_index_synthetic_and_future() -> None:
    feed = chained([102.0], {**THREE, (105, "CE"): 0.4, (105, "PE"): 0.45})
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25)), [97.0])
    [seen], _ = look(feed, lambda s, c: [
        (s.get_atm("CE", by=by).strike, c.atm_by(by), c.reference_by(by))
        for by in ("spot", "synthetic", "future", "forward")
    ])  # fmt: skip
    near = Reference(104.95, "synthetic", 0)
    assert seen == [
        (100, 100, Reference(102, "spot", 0)),
        (105, 105, near),
        (95, 95, Reference(97, "future", 0)),
        (105, 105, near),
    ]


def test_the_future_is_that_of_the_expiry_or_the_next_one_and_no_earlier() -> None:
    feed = chained([102.0], THREE)
    for day, price in (("2024-01-03", 95.0), (EXPIRY, 101.0), ("2024-02-29", 107.0)):
        feed.add(ContractSpec("future", "NIFTY", date.fromisoformat(day)), [price])
    [seen], _ = look(feed, lambda s, c: c.reference_by("future"))
    assert seen.value == 101


def test_without_a_future_by_future_says_so() -> None:
    [got], log = look(chained([102.0], THREE), lambda s, c: s.get_atm("CE", by="future"))
    assert got is None
    assert log == ["get_atm('CE'): no NIFTY future of 2024-01-04 or later is listed"]
    feed = chained([100] * 8, THREE)
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25)), [97.0, *[None] * 7])
    got, log = look(feed, lambda s, c: c.atm_by("future"))
    assert got == [95] * 6 + [None] * 2
    assert log == []


def test_a_frozen_index_is_replaced_by_the_synthetic_future_and_the_log_says_so() -> None:
    feed = chained([100, None, None, 100], {**THREE, (100, "CE"): [2.4, 5.0, 5.6, 5.6]})
    seen, log = look(feed, lambda s, c: (c.reference, c.atm, s.get_atm("PE").strike))
    assert seen == [
        (Reference(100, "spot", 0), 100, 100),
        (Reference(103, "synthetic", 0), 105, 105),
        (Reference(103.6, "synthetic", 0), 105, 105),
        (Reference(100, "spot", 0), 100, 100),
    ]
    assert log == [
        "get_atm('PE'): NIFTY has no value for 1 bars; measured from the synthetic future, 103",
        "get_atm('PE'): NIFTY has no value for 2 bars; measured from the synthetic future, 103.6",
    ]


def test_a_frozen_index_without_fresh_options_keeps_its_last_value_and_the_log_says_so() -> None:
    feed = chained([102, None], {(100, "CE"): 5.0, (105, "CE"): 3.0})
    seen, log = look(feed, lambda s, c: (c.reference, s.get_atm("CE").strike))
    assert seen[1] == (Reference(102, "spot", 1), 100)
    assert log == [
        "get_atm('CE'): NIFTY has no value for 1 bars; measured from its last value, 102"
    ]
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 4)), [106.0, 106.0])
    seen, log = look(feed, lambda s, c: (c.reference, s.get_atm("CE").strike))
    assert seen[1] == (Reference(106, "future", 0), 105)
    assert log[0].endswith("measured from the future, 106")


# The forward


def test_the_forward_is_the_synthetic_then_the_future_of_the_expiry_then_the_spot_carried() -> None:
    rows = {(100, "CE"): [2.4] + [None] * 7, (100, "PE"): 2.0}
    feed = chained([100] * 8, rows)
    seen, _ = look(feed, lambda s, c: c.reference_by("forward"), rate=0.5)
    assert seen[5] == Reference(100.4, "synthetic", 5)
    years = (3 * 1440 + 8 - 7) / YEAR  # a session of this feed has 8 minutes
    assert seen[6] == Reference(pytest.approx(100 * math.exp(0.5 * years), rel=1e-12), "spot", 0)
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25)), [109.0] * 8)
    assert look(feed, lambda s, c: c.reference_by("forward"))[0][6] == Reference(100, "spot", 0)
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 4)), [101.0] * 8)
    assert look(feed, lambda s, c: c.forward)[0] == [100.4] * 6 + [101.0] * 2


# Greeks


def test_greeks_are_black76_on_the_forward_over_calendar_minutes() -> None:
    """Friday noon to Monday's close is three days and three and a half hours, nights included."""
    feed = MemoryFeed("NIFTY", ["2024-01-05", "2024-01-08"])
    feed.add_index([100] * 750)
    for (strike, right), price in THREE.items():
        feed.add_option("2024-01-08", strike, right, [price] * 750)
    seen: list[Any] = []

    class Noon(Strategy):
        @at("12:00", weekdays="Fri")
        def noon(self) -> None:
            option = self.option(105, "CE")
            seen.extend((option.iv, option.delta, option.gamma, option.theta, option.vega))

    simulate(Noon, feed)
    years = (3 * 1440 + 210) / YEAR
    vol = implied_vol(0.7, 100.4, 105, years, "CE")
    want = greeks(100.4, 105, years, vol, "CE")
    assert seen == pytest.approx([float(vol), *map(float, want)], rel=1e-12)
    assert black76(100.4, 105, years, seen[0], "CE") == pytest.approx(0.7, rel=1e-12)


def test_time_to_expiry_is_at_least_a_minute_and_nothing_is_told_after_it() -> None:
    feed = chained([100] * 4, THREE, expiry=DAY, days=(DAY, NEXT))
    feed.market._minutes = 2  # both days are over after two minutes
    seen = []

    class Watch(Strategy):
        def on_bar(self) -> None:
            seen.append(self.contract(f"NIFTY {DAY} 105 CE").iv)

    simulate(Watch, feed)
    want = implied_vol(0.7, 100.4, 105, 1 / YEAR, "CE")
    assert seen[0] == seen[1] == pytest.approx(float(want), rel=1e-12)
    assert all(math.isnan(x) for x in seen[2:])


def test_a_stale_row_and_one_below_its_intrinsic_value_have_no_volatility() -> None:
    rows = {**THREE, (105, "CE"): [0.7, *[None] * 6], (95, "CE"): 5.3}
    feed = chained([100] * 7, rows)
    names = ("iv", "delta", "gamma", "theta", "vega")
    seen, _ = look(feed, lambda s, c: [
        [getattr(c.call(k), name) for name in names] for k in (105, 95, 100)
    ])  # fmt: skip
    for bar, (stale, below, good) in enumerate(seen):
        assert all(math.isnan(x) == (bar > 5) for x in stale)
        assert all(math.isnan(x) for x in below)
        assert not any(math.isnan(x) for x in good)


def test_every_asset_answers_the_names_of_greeks() -> None:
    feed = chained([100], THREE)
    spec = ContractSpec("future", "NIFTY", date(2024, 1, 25))
    feed.add(spec, [101.0])
    [seen], _ = look(feed, lambda s, c: [
        (x.delta, x.gamma, x.theta, x.vega, math.isnan(x.iv)) for x in (s.spot, s.futures())
    ])  # fmt: skip
    assert seen == [(1, 0, 0, 0, True)] * 2


def test_greeks_of_what_is_held_are_sums_over_signed_units() -> None:
    feed = chained([100] * 4, THREE)
    feed.add(ContractSpec("future", "NIFTY", date(2024, 1, 25), lot=50), [101.0] * 4)
    seen: list[Any] = []

    def enter(s: Any, _: Any) -> None:
        s.sell(s.option(100, "CE"), lots=2, tag="short")
        s.buy(s.option(95, "PE"), lots=1)
        s.buy(s.futures(), lots=1)

    def told(s: Any, _: Any) -> None:
        call, put = s.option(100, "CE"), s.option(95, "PE")
        seen.append((s.greeks(), s.greeks(tag="short"), s.greeks(tag="none"), call, put,
                     call.delta, put.delta, call.vega, put.vega))  # fmt: skip

    simulate(script(b0=enter, b2=told), feed)
    [(net, short, none, _, _, call, put, call_vega, put_vega)] = seen
    assert net.delta == pytest.approx(-100 * call + 50 * put + 50)
    assert net.vega == pytest.approx(-100 * call_vega + 50 * put_vega)
    assert short.delta == pytest.approx(-100 * call)
    assert none == (0, 0, 0, 0)


def test_greeks_of_what_is_held_are_not_known_when_one_is_not() -> None:
    feed = chained([100] * 9, {**THREE, (105, "CE"): [0.7, 0.7, *[None] * 7]})
    seen: list[float] = []
    simulate(
        script(
            b0=lambda s, _: s.sell(s.option(105, "CE"), lots=1),
            b2=lambda s, _: seen.append(s.greeks().delta),
            b8=lambda s, _: seen.append(s.greeks().delta),
        ),
        feed,
    )
    assert seen[0] < 0
    assert math.isnan(seen[1])


# Rules


def test_rules_out_of_the_money() -> None:
    [seen], log = look(chained([100.0], THREE), lambda s, c: [
        x and (x.strike, x.right)
        for x in (
            s.get_by_percent("CE", 5), s.get_by_percent("PE", 5), s.get_by_percent("CE", -4),
            s.get_by_percent("PE", 2.5),  # 97.5: the lower of two as near
            s.get_by_straddle("CE"), s.get_by_straddle("PE", 0.6), s.get_by_straddle("PE", 9),
            s.get_by_premium("CE", 2), s.get_by_premium("CE", 2.5, side="above"),
            s.get_by_premium("CE", 2.3, side="below"), s.get_by_premium("PE", 5.2, side="above"),
            s.get_by_delta("CE", 0.2), s.get_by_delta("PE", -0.5), s.get_by_delta("PE", 0.9),
        )
    ])  # fmt: skip
    assert seen == [
        (105, "CE"), (95, "PE"), (95, "CE"), (95, "PE"),
        (105, "CE"), (95, "PE"), (95, "PE"),
        (100, "CE"), (95, "CE"), (105, "CE"), None,
        (105, "CE"), (100, "PE"), (105, "PE"),
    ]  # fmt: skip
    assert log == [
        "get_by_premium('PE', 5.2): no NIFTY 2024-01-04 PE has a fresh price of 5.2 or more "
        "(max_age=5)"
    ]


def test_a_refusal_carries_the_reason_of_the_rule() -> None:
    feed = chained([100, 100], THREE)
    run = simulate(
        script(b0=lambda s, _: s.sell(s.get_by_delta("CE", 0.2, min_oi=1000), lots=1)), feed
    )
    why = (
        "no NIFTY 2024-01-04 CE has a fresh price with an implied volatility "
        "(max_age=5, min_oi=1000)"
    )
    assert [e.text for e in run.result.log] == [
        f"get_by_delta('CE', 0.2): {why}",
        f"sell(None): {why}",
    ]


def test_interest_and_volume_asked_for_are_of_the_row_and_of_the_session() -> None:
    feed = MemoryFeed("NIFTY", [DAY, NEXT], minutes=3)
    feed.add_index([100] * 6)
    for strike, oi, volume in ((100, 50, [9, 9, 9, 1, 2, 3]), (105, 90, [1] * 6)):
        feed.add_option(EXPIRY, strike, "CE", [3.0] * 6, oi=[oi] * 6, volume=volume)

    def pick(s: Any, c: Any) -> list[Any]:
        found = []
        for terms in ({"min_oi": 60}, {"min_volume": 3}):
            found += [s.get_by_percent("CE", 0, **terms), s.get_atm("CE", **terms)]
        return [x and x.strike for x in found]

    seen, log = look(feed, pick)
    assert seen[3] == [105, None, None, None]
    assert seen[4] == [105, None, 100, 100]
    assert log[0] == (
        "get_atm('CE'): NIFTY 2024-01-04 100 CE has an open interest of 50 (min_oi=60)"
    )
    assert "get_atm('CE'): NIFTY 2024-01-04 100 CE traded 1 units today (min_volume=3)" in log


def test_figures_of_the_chain() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=1)
    feed.add_index([101])
    interest = {95: (10, 300), 100: (100, 100), 105: (400, 20)}
    for strike, (calls, puts) in interest.items():
        feed.add_option(EXPIRY, strike, "CE", [THREE[strike, "CE"]], oi=[calls])
        feed.add_option(EXPIRY, strike, "PE", [THREE[strike, "PE"]], oi=[puts])
    [seen], _ = look(feed, lambda s, c: (
        c.straddle_premium, c.pcr, c.max_pain, c.iv_smile(), c.put(95).iv, c.put(100).iv,
        c.call(105).iv,
    ))  # fmt: skip
    straddle, pcr, pain, smile, *vols = seen
    assert straddle == 4.4
    assert pcr == 420 / 510
    assert pain == 100  # 95: 500 + 200; 100: 50 + 100; 105: 100 + 500
    assert smile == dict(zip((95, 100, 105), vols, strict=True))


def test_figures_that_cannot_be_told_are_none() -> None:
    seen, _ = look(chained([100], {(100, "CE"): 3.0}), lambda s, c: (
        c.pcr, c.max_pain, c.straddle_premium, c.reference_by("synthetic"), c.forward
    ))  # fmt: skip
    assert seen == [(None, None, None, None, 100.0)]


def test_before_anything_has_traded_a_chain_is_empty() -> None:
    feed = chained([None, 100], {(100, "CE"): [None, 3.0], (100, "PE"): [None, 2.0]})
    feed.add_option(EXPIRY, 300, "CE", [1.0, 1.0])
    seen, log = look(feed, lambda s, c: (
        c.strikes, c.atm, c.forward, c.pcr, list(c.iv_smile()), len(c.to_frame()),
        s.get_by_delta("PE", 0.3), s.get_by_percent("PE", 1),
    ))  # fmt: skip
    assert seen[0] == ([300], None, None, None, [300], 1, None, None)
    assert seen[1][:3] == ([100, 300], 100, 101)
    assert "get_by_percent('PE', 1): NIFTY has no price yet" in log


def test_a_frame_has_a_row_for_each_option_and_says_how_old_its_price_is() -> None:
    feed = chained([100] * 8, {**THREE, (105, "PE"): [5.1, *[None] * 7]})
    seen, _ = look(feed, lambda s, c: c.to_frame())
    frame = seen[7]
    assert list(frame) == [
        "symbol", "strike", "right", "price", "age", "bid", "ask", "oi", "day_volume",
        "iv", "delta", "gamma", "theta", "vega",
    ]  # fmt: skip
    assert frame["symbol"].tolist()[:2] == ["NIFTY 2024-01-04 95 CE", "NIFTY 2024-01-04 95 PE"]
    assert frame["age"].tolist() == [0] * 5 + [7]
    assert frame["iv"].isna().tolist() == [False] * 5 + [True]
    assert frame["oi"].isna().all()


# What it costs


def test_at_the_money_by_the_index_loads_only_what_it_returns() -> None:
    feed = chained([100] * 3, THREE)
    look(feed, lambda s, c: s.get_atm("CE"))
    assert [(s.strike, s.right) for s in feed.asked if s.asset == "option"] == [(100, "CE")]


def test_a_chain_loads_each_contract_once_and_only_when_it_is_listed() -> None:
    late = [None, None, 5.0, 5.0]
    feed = chained([100] * 4, {**THREE, (110, "CE"): late})

    def use(s: Any, c: Any) -> int:
        s.get_by_delta("CE", 0.3)
        c.to_frame()
        return sum(spec.asset == "option" for spec in feed.asked)

    assert look(feed, use)[0] == [6, 6, 7, 7]


# Bad input


@pytest.mark.parametrize(
    ("ask", "error", "told"),
    [
        (lambda s: s.get_by_delta("CE", 25), UsageError, "fraction between 0 and 1, such as 0.25"),
        (lambda s: s.get_by_delta("CE", "0.2"), UsageError, "get_by_delta('CE', '0.2')"),
        (lambda s: s.get_by_delta("call", 0.2), OrderError, "'call' is no right of an option"),
        (lambda s: s.get_by_delta("CE", math.nan), UsageError, "fraction"),
        (lambda s: s.get_by_premium("CE", 0), UsageError, "a price above 0, such as 120"),
        (lambda s: s.get_by_premium("CE", 5, side="over"), UsageError, "side='over'"),
        (lambda s: s.get_by_percent("CE", None), UsageError, "percent out of the money"),
        (lambda s: s.get_by_straddle("PE", math.inf), UsageError, "straddle premiums"),
        (lambda s: s.get_atm("CE", by="index"), UsageError, "by='index'"),
        (lambda s: s.get_atm("XE"), OrderError, "'XE' is no right"),
        (lambda s: s.get_atm("CE", offset=1.5), OrderError, "whole strikes"),
        (lambda s: s.get_by_percent("CE", 1, max_age=-1), UsageError, "max_age=-1"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: Any, error: Any, told: str) -> None:
    def do(s: Any, _: Any) -> None:
        with pytest.raises(error) as found:
            ask(s)
        assert told in str(found.value)

    simulate(script(b0=do), chained([100], THREE))


def test_calendar_days_to_expiry() -> None:
    feed = chained([100] * 2, THREE, expiry="2024-01-08", days=(DAY, NEXT))
    seen, _ = look(feed, lambda s, c: [s.dte_calendar(x) for x in (c.call(100), s.spot)])
    assert seen == [[7, None], [6, None]]
