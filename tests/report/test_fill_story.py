"""Why a fill: each reason told on a market of a few bars, where the path is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestbt.engine.matching import MatchRules
from bestbt.engine.prices import PriceColumns
from bestbt.errors import UsageError
from bestbt.report.fill_story import FillStory, fill_story
from bestbt.testing import MemoryFeed, simulate
from tests.engine.kit import buy, market, script, sell
from tests.report.runs import fees


def told(
    feed: MemoryFeed, which: Any = -1, /, rules: MatchRules | None = None, slippage: Any = 0,
    options: dict[str, Any] | None = None, **by_bar: Any,
) -> FillStory:  # fmt: skip
    run = simulate(script(**by_bar), feed, slippage=slippage, rules=rules, **(options or {}))
    return fill_story(run.result.fills, which, rules or MatchRules(), slippage)


def reached(story: FillStory) -> list[str]:
    return [point.name for point in story.path if point.reached]


SHORT = sell(sl=12.0, target=7.0)


def test_a_stop_touched_inside_a_bar() -> None:
    story = told(market(10, 10, (10, 13, 9.5, 11), 10), b0=SHORT, slippage="2ticks")
    assert (story.kind, story.reason, story.side) == ("stop", "trigger", "BUY")
    assert [(p.name, p.price) for p in story.path] == [
        ("open", 10), ("low", 9.5), ("high", 13), ("close", 11),
    ]  # fmt: skip
    assert reached(story) == ["high"]
    assert (story.level, story.level_name) == (12.0, "trigger")
    assert (story.seen, story.slippage, story.price) == (12.0, 0.1, 12.1)
    assert story.why == (
        "Stopped out, bought back: the price touched the stop at 12.00 on the way from the low "
        "9.50 to the high 13.00."
    )
    assert story.slippage_rule == "your rule: 2ticks"


@pytest.mark.parametrize(("path", "second"), [("pessimistic", "high"), ("optimistic", "low")])
def test_the_path_is_the_one_of_the_policy(path: Any, second: str) -> None:
    bars = market(10, 10, (10, 13, 9.5, 11), 10)
    story = told(bars, rules=MatchRules(path), b0=SHORT)
    assert (story.path[1].name, story.policy) == (second, path)
    entry = told(bars, 0, rules=MatchRules(path), b0=SHORT)
    assert entry.policy == "nearest"  # an entry always sees the same


def test_a_gap_a_target_and_a_trail() -> None:
    story = told(market(10, 10, (14, 15, 14, 14)), b0=SHORT)
    assert (story.reason, reached(story), story.seen) == ("gap", ["open"], 14)
    assert "the bar began beyond the stop at 12.00" in story.why
    story = told(market(10, 10, (10, 10, 6, 8)), b0=SHORT, slippage="2ticks")
    assert (story.kind, story.level_name, story.slippage) == ("target", "limit", 0)
    assert story.why == (
        "Target reached, bought back: the price went through the limit at 7.00 on the way from "
        "the high 10.00 to the low 6.00."
    )
    assert story.slippage_rule.startswith("none: a limit")
    story = told(market(10, 10, (10, 10, 6, 6), (6, 9.5, 6, 9)), b0=sell(trail=2.0))
    assert story.level == 8
    assert "touched the trailing stop at 8.00" in story.why


def test_a_stop_that_was_through_and_one_that_waits_for_a_close() -> None:
    story = told(
        market(10, 10, 10, 13, 13),
        b0=sell(),
        b2=lambda s, c: s.get_active_position().set_sl(12.0),
    )
    assert story.reason == "trigger-passed"
    assert story.why == (
        "Stopped out, bought back at 13.00: the stop at 12.00 was through already when it began to "
        "work."
    )
    story = told(
        market(10, 10, (10, 13, 10, 12.5), (12.2, 13, 12, 13)),
        rules=MatchRules(stop_check="close"),
        b0=sell(sl=12.0),
    )
    assert story.why == (
        "Stopped out, bought back at the next price after a close beyond the stop at 12.00."
    )


def test_at_the_open_and_how_long_it_waited() -> None:
    story = told(market(10, None, None, (11, 12, 11, 12)), 0, b0=buy())
    assert story.why == "Bought at the open, the first price after the order."
    assert (story.waited, story.age, reached(story)) == (2, 0, ["open"])
    assert f"{story.ordered:%H:%M} {story.time:%H:%M}" == "09:16 09:18"
    assert "it waited 2 bars" in story.to_text()


def test_at_a_better_open_than_the_limit() -> None:
    story = told(market(10, (8, 9, 8, 9)), 0, b0=buy(type="limit", price=9.0))
    assert story.why == "Bought at the open, which was better than the limit."
    assert story.level == 9


def test_at_the_close_just_seen() -> None:
    story = told(market(10, (11, 12, 10, 12), 13), 0, b1=buy(), options={"fill_at_close": True})
    assert (story.reason, reached(story), story.seen) == ("close", ["close"], 12)


def test_settlement_square_off_hand_and_roll() -> None:
    held = market(3, 3, 4, 4, 5, expiry="2024-01-01")
    story = told(held, b0=buy())
    assert story.why == "Settled: the contract has expired and a unit is worth 0.00."
    assert reached(story) == []
    assert story.slippage_rule == "none: a settlement is no trade on the market"
    story = told(market(3, 3, 4, None, None), b0=buy(), options={"close_at_end": True})
    assert "newest mark" in story.why
    assert story.age == 2
    run = simulate(script(), market(3, 3, 4, 5), run=False)
    run.run_to(1)
    run.sell("NIFTY 2024-01-04 100 CE", 1)
    run.run()
    assert fill_story(run.result.fills, 0, MatchRules()).why == "Sold at the open, by hand."
    two = market(10, 10, 10, 10, 10)
    two.add_option("2024-01-11", 100, "CE", [12] * 5)
    story = told(two, b0=buy(), b2=lambda s, c: s.roll(c))
    assert story.why == "Rolled, bought at the open, with the other leg of the roll."


def test_slippage_says_what_doubled_it() -> None:
    story = told(market(100, 100, (100, 130, 100, 120)), slippage=None, b0=sell(sl=110.0))
    assert story.slippage_rule == "1 % of the price, at least 0.10, twice for a stop"
    assert story.slippage == pytest.approx(1.1)
    story = told(market(100, 100), 0, slippage=None, b0=buy())
    assert (story.slippage, story.slippage_rule) == (0.5, "0.5 % of the price, at least 0.05")

    def mine(order: Any, price: float) -> float:
        return 1.0

    assert told(market(100, 100), 0, slippage=mine, b0=buy()).slippage_rule == "your rule: mine"


def test_charges_by_name_and_the_share_of_the_volume() -> None:
    feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=4)
    feed.add_index([100] * 4)
    feed.add_option("2024-01-04", 100, "CE", [10, 10, 11, 12], volume=[0, 400, 500, 0])
    run = simulate(script(b0=buy(), b2=sell()), feed, fees=fees())
    story = fill_story(run.result.fills, 0, MatchRules())
    assert (story.volume, story.share) == (400, 0.125)
    assert dict(story.charges) == {
        k: v / 10_000 for k, v in run.result.fills[0].raw_charges.items()
    }
    assert sum(v for _, v in story.charges) == pytest.approx(run.result.fills[0].charges)
    assert "400 units in the bar; the fill is 12.50 % of it" in story.to_text()
    assert fill_story(run.result.fills, 1, MatchRules()).share is None  # nothing was traded


def test_a_fill_at_a_quote() -> None:
    feed = MemoryFeed("NIFTY", days=["2024-01-01"], minutes=4)
    feed.add_index([100] * 4)
    spec = feed.add_option("2024-01-04", 100, "CE", [10, 10, 10, 10])
    feed._columns[spec] = PriceColumns(
        0,
        np.full(16, 1000, np.int32),
        np.ones(4, np.bool_),
        100,
        bid=np.array([990, 985, 990, 990], np.int32),
        ask=np.array([1010, 1015, 1010, 0], np.int32),
    )
    story = told(feed, 0, b0=buy(), slippage="2ticks")
    assert story.why == "Bought at the ask, the first price after the order."
    assert (story.price, story.bid, story.ask, story.slippage) == (10.15, 9.85, 10.15, 0)
    assert "Bid, ask  9.85, 10.15" in story.to_text()


def test_a_fill_is_told_long_after_its_contract_has_gone() -> None:
    days = ("2024-01-01", "2024-01-02", "2024-01-03")
    feed = market(*[10, 10, 11, 12] * 3, expiry="2024-01-01", days=days)
    run = simulate(script(b0=buy()), feed)
    assert fill_story(run.result.fills, 0, MatchRules()).path[0].price == 10


@pytest.mark.parametrize("which", [2, -3, "first", True, 1.0])
def test_a_number_that_no_fill_has_is_refused(which: Any) -> None:
    run = simulate(script(b0=buy(), b1=sell()), market(10, 10, 11, 12))
    with pytest.raises(UsageError, match=r"run\.fills"):
        fill_story(run.result.fills, which, MatchRules())


def test_it_can_be_asked_by_the_fill_itself_and_shown() -> None:
    run = simulate(script(b0=buy(), b1=sell()), market(10, 10, 11, 12))
    fills = run.result.fills
    story = fill_story(fills, fills[1], MatchRules())
    assert story == fill_story(fills, -1, MatchRules()) == fill_story(fills, 1, MatchRules())
    assert repr(story) == story.to_text()
    assert story.why in story.to_html()
