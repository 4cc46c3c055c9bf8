"""Small cases worked out by hand from the rules, played by the reference engine and by the engine.

Prices are raw (paise), ticks are 5, a lot is 50 units. Bars are (open, high, low, close); an action
of bar 0 sees a close of 200 unless a case says otherwise, and works from bar 1 on. A fill is
(bar, corner of its path, signed units, price, reason, kind).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.examples import Fill, Play, buy, pts, seen, sell
from tests.engine.programs import Action, Level

LIMIT = buy("limit", -2)  # at 190
TOP = sell("limit", 2)  # at 210


@pytest.mark.parametrize(
    ("bars", "order", "expected"),
    [
        # 200 205 190 195: it is touched, no more
        ([200, (200, 205, 190, 195)], LIMIT, []),
        # 200 205 185 195: a tick through
        ([200, (200, 205, 185, 195)], LIMIT, [(1, 2, 50, 190, "limit", "entry")]),
        # 200 195 185 … the near extreme is the low
        ([200, (200, 220, 185, 195)], LIMIT, [(1, 1, 50, 190, "limit", "entry")]),
        # it starts a tick through, and at the open's better price
        ([200, 185], LIMIT, [(1, 0, 50, 185, "open", "entry")]),
        ([200, (150, 220, 150, 195)], LIMIT, [(1, 0, 50, 150, "open", "entry")]),
        # opens at the limit itself, then goes through
        ([200, (190, 190, 185, 185)], LIMIT, [(1, 2, 50, 190, "limit", "entry")]),
        ([200, 190, 190], LIMIT, []),
        # a later bar opens through, or at the limit
        ([200, 200, 180], LIMIT, [(2, 0, 50, 180, "open", "entry")]),
        ([200, 200, (190, 195, 180, 180)], LIMIT, [(2, 2, 50, 190, "limit", "entry")]),
        # nothing on a stale bar
        ([200, None, 180], LIMIT, [(2, 0, 50, 180, "open", "entry")]),
        # and a sale: 200 195 215 205
        ([200, (200, 215, 195, 205)], TOP, [(1, 2, -50, 210, "limit", "entry")]),
        ([200, (200, 210, 195, 205)], TOP, []),
        ([200, 200, 230], TOP, [(2, 0, -50, 230, "open", "entry")]),
    ],
)
def test_a_limit(play: Play, bars: list[Any], order: Action, expected: list[Fill]) -> None:
    assert play(bars, {0: order}).fills == expected
    assert play(bars, {0: order}, slippage="2ticks").fills == expected, "limits do not slip"


def test_a_limit_that_may_be_touched(play: Play) -> None:
    touched = [200, (200, 205, 190, 195)]
    assert play(touched, {0: LIMIT}, limit_touch=True).fills == [(1, 2, 50, 190, "limit", "entry")]
    assert play([200, 190], {0: LIMIT}, limit_touch=True).fills == [
        (1, 0, 50, 190, "open", "entry")
    ]


@pytest.mark.parametrize(
    ("bars", "quotes", "order", "expected"),
    [
        ([200, 200], [(0, 0), (185, 190)], LIMIT, [(1, 3, 50, 190, "limit", "entry")]),
        ([200, 200], [(0, 0), (180, 185)], LIMIT, [(1, 3, 50, 185, "limit", "entry")]),
        # the last price went far through, the ask did not
        ([200, 100], [(0, 0), (190, 195)], LIMIT, []),
        # no ask, then one
        ([200, 100, 200], [(0, 0), (190, 0), (0, 180)], LIMIT, [(2, 3, 50, 180, "limit", "entry")]),
        # a quote of a stale bar is none
        ([200, None, 200], [(0, 0), (1, 5), (5, 190)], LIMIT, [(2, 3, 50, 190, "limit", "entry")]),
        ([200, 200], [(0, 0), (210, 0)], TOP, [(1, 3, -50, 210, "limit", "entry")]),
        ([200, 300], [(0, 0), (205, 400)], TOP, []),
    ],
)
def test_a_limit_at_quotes(
    play: Play, bars: list[Any], quotes: list[Any], order: Action, expected: list[Fill]
) -> None:
    assert play(bars, {0: order}, quotes=quotes).fills == expected
    assert play(bars, {0: order}, quotes=quotes, volume=[0] * 3).fills == expected


def test_a_market_order_takes_the_other_side_of_the_quote(play: Play) -> None:
    quotes = [(195, 205), (190, 215), (180, 0), (0, 230)]
    assert play([200] * 4, {0: buy(), 1: sell()}, quotes=quotes, slippage="2ticks").fills == [
        (1, 3, 50, 215, "quote", "entry"),
        (2, 3, -50, 180, "quote", "entry"),
    ]
    # no ask at bar 2: the next
    assert play([200] * 4, {1: buy()}, quotes=quotes).fills == [(3, 3, 50, 230, "quote", "entry")]
    # no bid for five bars
    never = play([200] * 8, {0: sell()}, quotes=[(0, 205)] * 8)
    assert never.orders == [("market", "entry", "rejected")]
    # and at the close just seen
    seen_now = play([200] * 2, {0: buy()}, quotes=quotes[:2], close=True)
    assert seen_now.fills == [(0, 3, 50, 205, "quote", "entry")]
    unquoted = play([200, 200], {0: buy()}, slippage="2ticks")
    assert unquoted.fills == [(1, 0, 50, 210, "open", "entry")]


def test_marks_are_the_middle_of_the_quote(play: Play) -> None:
    """Bought at 205; 50 units at 100 raw money a paisa: 5,000 for each."""
    quotes = [(0, 0), (195, 205), (195, 200), (0, 300), (300, 400), (250, 255)]
    bars = [200, 180, 180, 190, None, 260]
    # middles 200, 197.5 → 198, none: the close 190, then stale: still 190, 252.5 → 253
    expected = [0, -5 * 5000, -7 * 5000, -15 * 5000, -15 * 5000, 48 * 5000]
    assert play(bars, {0: buy()}, quotes=quotes).equity == expected


STOP = buy("slm", 2)  # at 210


@pytest.mark.parametrize(
    ("bars", "quotes", "volume", "expected"),
    [
        # it trades at 215 on the way, and is bought at the close's ask
        ([200, (200, 215, 200, 205)], [(0, 0), (0, 220)], [1, 1], [(1, 3, 220, "trigger")]),
        ([200, (200, 205, 200, 205)], [(0, 0), (0, 220)], [1, 1], []),
        # the very first point beyond, or on it
        ([200, 220], [(0, 0), (0, 190)], [1, 1], [(1, 3, 190, "trigger-passed")]),
        ([200, (210, 215, 210, 215)], [(0, 0), (0, 215)], [1, 1], [(1, 3, 215, "trigger")]),
        # not traded: prices count for nothing, the ask does
        ([200, 250, 200], [(0, 0), (0, 205), (0, 215)], [1, 0, 0], [(2, 3, 215, "trigger")]),
        ([200, 200], [(0, 0), (0, 215)], [1, 0], [(1, 3, 215, "trigger-passed")]),
        ([200, 250, 200], [(0, 0), (9, 0), (0, 215)], [1, 0, 0], [(2, 3, 215, "trigger-passed")]),
        # triggered in bar 1, where nobody asks
        ([200, (200, 215, 200, 205), 200], [(0, 0), (9, 0), (0, 190)], [1] * 3,
         [(2, 3, 190, "trigger")]),
    ],
)  # fmt: skip
def test_a_stop_at_quotes(
    play: Play, bars: list[Any], quotes: list[Any], volume: list[int], expected: list[Any]
) -> None:
    fills = play(bars, {0: STOP}, quotes=quotes, volume=volume, slippage="2ticks").fills
    assert fills == [(bar, corner, 50, p, reason, "entry") for bar, corner, p, reason in expected]


STOPPED = buy(sl=seen(-2))  # at 190


def test_a_stop_that_waits_for_a_close_beyond(play: Play) -> None:
    dips = (200, 200, 180, 200)
    falls = (200, 200, 185, 185)
    at_close = {"stop_check": "close"}
    assert play([200, dips, falls, 195], {0: STOPPED}, **at_close).fills[1:] == [
        (3, 0, -50, 195, "trigger", "stop")
    ]
    # the close of the entry's own bar; the next is stale
    assert play([200, falls, None, 230], {0: STOPPED}, **at_close).fills[1:] == [
        (3, 0, -50, 230, "trigger", "stop")
    ]
    # at the trigger is enough; it slips
    assert play([200, 190, 190], {0: STOPPED}, slippage="2ticks", **at_close).fills[1:] == [
        (2, 0, -50, 180, "trigger", "stop")
    ]
    assert play([200, dips], {0: STOPPED}).fills[1:] == [(1, 2, -50, 190, "trigger", "stop")]
    # entries look at every point
    assert play([200, (200, 215, 200, 200)], {0: STOP}, **at_close).fills == [
        (1, 2, 50, 210, "trigger", "entry")
    ]
    quotes = [(0, 0), (0, 205), (150, 0), (170, 0)]  # bought at bar 1, stopped by bar 2's close
    assert play([200, 200, falls, 200], {0: STOPPED}, quotes=quotes, **at_close).fills == [
        (1, 3, 50, 205, "quote", "entry"),
        (3, 3, -50, 170, "trigger", "stop"),
    ]


UP = buy("sl", 2, 1)  # trigger 210, limit 215
DOWN = sell("sl", -2, -1)  # trigger 190, limit 185


@pytest.mark.parametrize(
    ("bars", "order", "expected", "skipped"),
    [
        # 200 200 215 205: inside the last leg up
        ([200, (200, 215, 200, 205)], UP, [(1, 2, 50, 210, "trigger", "entry")], []),
        ([200, 210], UP, [(1, 0, 50, 210, "trigger", "entry")], []),
        ([200, 215], UP, [(1, 0, 50, 215, "trigger-passed", "entry")], []),
        ([200, 200, 215], UP, [(2, 0, 50, 215, "gap", "entry")], []),
        ([200, 200, 210], UP, [(2, 0, 50, 210, "trigger", "entry")], []),
        # past both; then it rests, and the close is through 215 by a tick
        ([200, (200, 220, 200, 210)], UP, [(1, 3, 50, 215, "limit", "entry")], [1]),
        ([200, (200, 220, 200, 215)], UP, [], [1]),
        ([200, 220, 220], UP, [], [1]),
        ([200, 200, 220, 205], UP, [(3, 0, 50, 205, "open", "entry")], [2]),
        ([200, 220, (215, 215, 205, 215)], UP, [(2, 2, 50, 215, "limit", "entry")], [1]),
        # 200 200 185 195, and 200 200 180 190
        ([200, (200, 200, 185, 195)], DOWN, [(1, 2, -50, 190, "trigger", "entry")], []),
        ([200, (200, 200, 180, 190)], DOWN, [(1, 3, -50, 185, "limit", "entry")], [1]),
        ([200, 200, 185], DOWN, [(2, 0, -50, 185, "gap", "entry")], []),
    ],
)
def test_a_stop_limit(
    play: Play, bars: list[Any], order: Action, expected: list[Fill], skipped: list[int]
) -> None:
    played = play(bars, {0: order}, slippage="2ticks")
    assert (played.fills, played.skipped) == (expected, skipped)


def test_a_stop_limit_at_quotes(play: Play) -> None:
    up = (200, 210, 200, 205)
    assert play([200, up], {0: UP}, quotes=[(0, 0), (0, 215)]).fills == [
        (1, 3, 50, 215, "trigger", "entry")
    ]
    skipped = play([200, up, 200, 200], {0: UP}, quotes=[(0, 0), (0, 220), (0, 0), (0, 200)])
    assert skipped.fills == [(3, 3, 50, 200, "limit", "entry")]
    assert skipped.skipped == [1]
    # triggered at bar 1; no ask before bar 2
    late = play([200, up, 200], {0: UP}, quotes=[(0, 0), (9, 0), (0, 190)])
    assert late.fills == [(2, 3, 50, 190, "trigger", "entry")]


TRAIL = buy(trail=pts("0.2"))  # 20 below the best


@pytest.mark.parametrize(
    ("bars", "order", "slippage", "exit", "trigger"),
    [
        # best 220 at bar 2, so 200; bar 3 falls through it
        ([200, (200, 200, 185, 190), (190, 220, 190, 215), (215, 215, 195, 195)], TRAIL, "0",
         (3, 2, -50, 200, "trigger"), 200),
        ([200, 200, 220, 190], TRAIL, "0", (3, 0, -50, 190, "gap"), 200),
        ([200, 200, 220, 200], TRAIL, "0", (3, 0, -50, 200, "trigger"), 200),
        # in the entry's own bar: 200 195 230 205
        ([200, (200, 230, 195, 205)], TRAIL, "0", (1, 3, -50, 210, "trigger"), 210),
        # never looser, nothing on a stale bar: 220 − 20
        ([200, 220, 210, None, 205, 195], TRAIL, "0", (5, 0, -50, 195, "gap"), 200),
        # a quarter below 240 is 180
        ([200, 200, 240, (190, 190, 175, 175)], buy(trail=Level("%", "25")), "0",
         (3, 2, -50, 180, "trigger"), 180),
        # an eighth of 205 is 25.625: 179.375 → 180
        ([200, 205, 180], buy(trail=Level("%", "12.5")), "0", (2, 0, -50, 180, "trigger"), 180),
        ([200, 200, 220, 190], buy(trail=Level("number", "0.2")), "0",
         (3, 0, -50, 190, "gap"), 200),
        # got at 210: the level is 190, sold 10 lower
        ([200, 200, (200, 200, 190, 190)], TRAIL, "2ticks", (2, 2, -50, 180, "trigger"), 190),
        # through from the start (205 over 200), or right on it
        ([200, 200], buy(trail=pts("0.05")), "2ticks", (1, 0, -50, 190, "trigger-passed"), 205),
        ([200, 200], buy(trail=pts("0.1")), "2ticks", (1, 0, -50, 190, "trigger"), 200),
        # short: the best is 160, so 180
        ([200, 200, (200, 200, 160, 165), (165, 185, 165, 165)], sell(trail=pts("0.2")), "0",
         (3, 2, 50, 180, "trigger"), 180),
    ],
)  # fmt: skip
def test_a_trailing_stop(
    play: Play, bars: list[Any], order: Action, slippage: str, exit: Any, trigger: int
) -> None:
    played = play(bars, {0: order}, slippage=slippage)
    assert played.fills[1:] == [(*exit, "stop")]
    assert played.levels[1] == (trigger, 0)


def test_a_trailing_stop_at_quotes(play: Play) -> None:
    """Bought at 200, its best is 220 at bar 2, it is reached at bar 3 and sold at bar 4."""
    quotes = [(0, 0), (0, 200), (0, 0), (0, 0), (170, 0)]
    played = play([200, 100, 220, 195, 300], {0: TRAIL}, quotes=quotes)
    assert played.fills[1:] == [(4, 3, -50, 170, "trigger", "stop")]
    # the first point after the entry's is beyond 180
    passed = play([200, 200, 175], {0: TRAIL}, quotes=[(0, 0), (0, 200), (160, 0)])
    assert passed.fills[1:] == [(2, 3, -50, 160, "trigger-passed", "stop")]


def test_a_trailing_stop_keeps_the_level_at_which_it_was_triggered(play: Play) -> None:
    """Reached at 195 (200 is its level), and the 300 afterwards does not lift it."""
    quotes = [(0, 0), (0, 200), (0, 0), (0, 0), (170, 0)]
    assert play([200, 100, 220, 195, 300], {0: TRAIL}, quotes=quotes).levels[1] == (200, 0)


BOTH = buy(sl=seen(-2), target=seen(3))  # 190, 215


@pytest.mark.parametrize(
    ("bars", "order", "expected"),
    [
        ([200, 200, (200, 220, 200, 205)], BOTH, [(2, 2, -50, 215, "limit", "target")]),
        ([200, 200, (200, 215, 200, 205)], BOTH, []),
        ([200, 200, 230], BOTH, [(2, 0, -50, 230, "open", "target")]),
        ([200, 200, 180], BOTH, [(2, 0, -50, 180, "gap", "stop")]),
        # a target that the entry's price is through already
        ([200, 200], buy(target=seen(-2)), [(1, 0, -50, 200, "limit", "target")]),
        # percent and points of 200, to the favourable side: 250, 210
        ([200, 200, 260], buy(target=Level("%", "25")), [(2, 0, -50, 260, "open", "target")]),
        ([200, (200, 215, 200, 200)], buy(target=pts("0.1")),
         [(1, 2, -50, 210, "limit", "target")]),
        ([200, (200, 200, 185, 185)], sell(target=pts("0.1")),
         [(1, 2, 50, 190, "limit", "target")]),
        # no price is below a tick: 150 % below 200
        ([200, 200, 5], sell(target=Level("%", "150")), []),
        # sold at 190 on the way from 205 to 150: the target at 175 lies on the same way
        ([200, (200, 205, 150, 160)], sell("slm", -2, target=seen(-5)),
         [(1, 2, 50, 175, "limit", "target")]),
        # bought at 190 on the way down to 180; the way there is no gain
        ([200, (200, 205, 180, 195)], buy("limit", -2, target=seen(-1)), []),
        ([200, (200, 205, 180, 200)], buy("limit", -2, target=seen(-1)),
         [(1, 3, -50, 195, "limit", "target")]),
    ],
)  # fmt: skip
def test_stops_and_targets_of_an_entry(
    play: Play, bars: list[Any], order: Action, expected: list[Fill]
) -> None:
    assert play(bars, {0: order}).fills[1:] == expected


def test_brackets_come_in_order_and_leave_together(play: Play) -> None:
    order = buy(sl=seen(-2), trail=pts("0.5"), target=seen(3))
    assert play([200, 200, 230], {0: order}).orders[1:] == [
        ("slm", "stop", "cancelled"),
        ("trail", "stop", "cancelled"),
        ("limit", "target", "filled"),
    ]
    # one of two entries is stopped at 190: the other keeps its own
    two = play([200, 200, 190], {0: (BOTH, buy(lots=2, sl=seen(-4), target=seen(9)))})
    assert two.fills[2:] == [(2, 0, -50, 190, "trigger", "stop")]
    assert [status for _, _, status in two.orders[2:]] == [
        "filled", "cancelled", "working", "working",
    ]  # fmt: skip
    # selling one lot of two takes half of the brackets of the first bought
    less = play([200, 200, 200, 200, 180], {0: buy(lots=2, sl=seen(-2)), 1: sell()})
    assert less.fills[2:] == [(4, 0, -50, 180, "gap", "stop")]


def test_brackets_at_quotes_work_from_the_next_point(play: Play) -> None:
    quotes = [(0, 0), (150, 205), (150, 0), (220, 0)]
    # the entry's own bar has been at 180; bar 2 has not; bar 3 bids more than the target
    bars = [200, (200, 200, 180, 200), 200, 200]
    assert play(bars, {0: BOTH}, quotes=quotes).fills == [
        (1, 3, 50, 205, "quote", "entry"),
        (3, 3, -50, 220, "limit", "target"),
    ]


def test_the_path_policy_decides_a_bar_that_has_both(play: Play) -> None:
    both = [200, 200, (205, 220, 185, 205)]  # 205 220 185 205: the high is nearer
    target, stop = (2, 1, -50, 215, "limit", "target"), (2, 1, -50, 190, "trigger", "stop")
    for path, first in (("nearest", target), ("optimistic", target), ("pessimistic", stop)):
        played = play(both, {0: BOTH}, path=path)
        assert (played.fills[1:], played.ambiguous) == ([first], 1)
    short = sell(sl=seen(3), target=seen(-2))  # bought back at 215, or at 190
    stop, target = (2, 1, 50, 215, "trigger", "stop"), (2, 1, 50, 190, "limit", "target")
    for path, first in (("pessimistic", stop), ("optimistic", target)):
        played = play(both, {0: short}, path=path)
        assert (played.fills[1:], played.ambiguous) == ([first], 1)
    # a target at the open, and a bar that does not reach the stop, are clear
    for clear in ((230, 230, 185, 205), (200, 220, 195, 205)):
        assert play([200, 200, clear], {0: BOTH}).ambiguous == 0
    # entries always see the nearest order: sold at 190 on the way down, 220 is past
    entry = sell("slm", -2, sl=seen(4))
    assert len(play(both, {0: entry}, path="pessimistic").fills) == 1


def test_how_long_an_order_works(play: Play) -> None:
    """Two sessions of three bars; bar 4 would fill it."""
    bars = [200, 200, 200, 200, 180, 200]
    expected = [(4, 0, 50, 180, "open", "entry")]

    def of(bar: int = 0, **terms: Any) -> tuple[list[Fill], str]:
        played = play(bars, {bar: buy("limit", -2, **terms)}, sessions=2)
        return played.fills, played.orders[0][2]

    assert of() == ([], "lapsed")
    assert of(tif="gtc") == (expected, "filled")
    assert of(tif="gtd", days=0) == ([], "lapsed")
    assert of(tif="gtd", days=1) == (expected, "filled")
    assert of(2) == (expected, "filled"), "after the last bar it is the next session's"
    for wrong in (buy("limit", -2, tif="gtd", days=-1), buy(tif="gtc"), buy(tif="gtd")):
        assert play(bars, {0: wrong}, sessions=2).refused == ["buy"]
    over = {2: buy("limit", -2, tif="gtd", days=0)}  # no bar of that day is left
    assert play(bars, over, sessions=2).refused == ["buy"]


def cancel(back: int = 0, **terms: Any) -> Action:
    return Action("cancel_order", back=back, **terms)


def modify(offset: int = 0, *terms: str, **more: Any) -> Action:
    return Action("modify_order", offset=offset, terms=terms, **more)


def test_an_order_that_is_cancelled(play: Play) -> None:
    played = play([200, 200, 180], {0: LIMIT, 1: cancel()})
    assert (played.fills, played.orders) == ([], [("limit", "entry", "cancelled")])
    # in its bar of trading it is too late, and what has ended cannot be cancelled; nor what is not
    assert play([200, 180, 180], {0: LIMIT, 1: cancel(ended=True)}).refused == ["cancel_order"]
    assert play([200, 200], {0: cancel(3)}).refused == ["cancel_order"]
    all_ = play([200, 200, 200, 180], {0: (BOTH, LIMIT), 2: Action("cancel_all")})
    assert {status for _, _, status in all_.orders[1:]} == {"cancelled"}
    assert len(all_.fills) == 1


def test_an_order_that_is_modified(play: Play) -> None:
    # 190 → 195 after bar 1: bar 2 opens through
    played = play([200, 200, 190, 180], {0: LIMIT, 1: modify(-1, "price")})
    assert played.fills == [(2, 0, 50, 190, "open", "entry")]
    assert (played.levels, played.changes) == ([(0, 195)], [(0, 190, 50)])
    # a stop to 205, which bar 2 opens beyond: it starts anew
    played = play([200, 200, 210], {0: STOP, 1: modify(1, "trigger")})
    assert played.fills == [(2, 0, 50, 210, "trigger-passed", "entry")]
    # more of it
    played = play([200, 200, 180], {0: LIMIT, 1: modify(0, "lots", lots=3)})
    assert (played.fills[0][2], played.changes) == (150, [(0, 190, 50)])
    # a stop-limit starts anew with both; one that was skipped at bar 1 rests at its new price
    played = play([200, 200, 215], {0: UP, 1: modify(1, "price", "trigger", beyond=2)})
    assert played.fills == [(2, 0, 50, 215, "trigger-passed", "entry")]
    played = play([200, 220, 220], {0: UP, 1: modify(2, "price")})
    assert played.fills == [(2, 0, 50, 220, "open", "entry")]
    # it keeps its day
    played = play([200, 200, 200, 180], {0: LIMIT, 1: modify(-2, "price")}, sessions=2)
    assert played.orders == [("limit", "entry", "lapsed")]
    # the target of a position
    played = play([200, 200, 215], {0: buy(target=seen(9)), 1: modify(1, "price")})
    assert played.fills[1:] == [(2, 0, -50, 215, "open", "target")]


@pytest.mark.parametrize(
    ("order", "change"),
    [
        (LIMIT, modify(1)),
        (LIMIT, modify(1, "trigger")),
        (LIMIT, modify(1, "price", "trigger")),
        (STOP, modify(1, "price")),
        (buy(), modify(1, "price")),
        (buy(trail=pts("0.5")), modify(1, "trigger")),
        (buy(trail=pts("0.5")), modify(1, "lots")),
        (STOPPED, modify(1, "lots")),
        (STOPPED, modify(1, "trigger", ended=True, back=1)),
        (LIMIT, modify(1, "price", back=3)),
    ],
)
def test_what_cannot_be_modified(play: Play, order: Action, change: Action) -> None:
    when = 0 if order == buy() else 1
    actions = {0: (order, change)} if when == 0 else {0: order, 1: change}
    played = play([200, 200, 200], actions)
    assert (played.refused, played.changes) == (["modify_order"], [])


def test_a_skipped_stop_limit_has_no_trigger_to_modify(play: Play) -> None:
    assert play([200, 220, 220], {0: UP, 1: modify(0, "trigger")}).refused == ["modify_order"]


def whole(kind: str, level: Level | None) -> Action:
    return Action("set_sl" if kind == "stop" else "set_target", level=level)


COST = Level("cost")


@pytest.mark.parametrize(
    ("side", "kind", "level", "at"),
    [
        # one lot at 200 and two at 205: 203.333
        (1, "stop", COST, 205),
        (1, "stop", Level("%", "25"), 155),  # 152.5 → 155
        (1, "stop", pts("0.1"), 195),  # 193.3
        (-1, "stop", Level("%", "25"), 255),  # 254.1666
        (-1, "stop", pts("0.1"), 215),  # 213.3
        (1, "target", Level("%", "25"), 255),
        (-1, "target", pts("0.1"), 195),
        (1, "target", COST, 205),
        (1, "stop", seen(-3), 190),
        (-1, "stop", Level("%", "150"), 510),  # 508.333
    ],
)
def test_where_the_stop_or_target_of_a_position_is(
    play: Play, side: int, kind: str, level: Level, at: int
) -> None:
    order = buy if side > 0 else sell
    actions = {0: order(), 1: order(lots=2), 2: whole(kind, level)}
    played = play([200, 200, 205], actions)
    assert played.levels[2] == ((at, 0) if kind == "stop" else (0, at))


def test_the_stop_of_a_position_closes_all_of_it(play: Play) -> None:
    add = Action("add", lots=2)
    # set to 190 after bar 1, in the place of the entry's own; two more lots come at bar 3
    actions: dict[int, Any] = {0: STOPPED, 1: whole("stop", seen(-2)), 2: add}
    played = play([200, 200, 200, 200, 180], actions)
    assert played.fills[1:] == [
        (3, 0, 100, 200, "open", "entry"),
        (4, 0, -150, 180, "gap", "stop"),
    ]
    assert [status for _, _, status in played.orders] == ["filled", "cancelled", "filled", "filled"]
    # selling a lot leaves it as it is; it starts anew at the next bar
    actions = {0: buy(lots=2), 1: whole("stop", seen(2)), 2: sell()}
    assert play([200, 200, 200], actions).fills[1:] == [(2, 0, -100, 200, "trigger-passed", "stop")]
    # none; and a target with the stop of the entry left alone
    assert play([200, 200, 180], {0: STOPPED, 1: whole("stop", None)}).orders[1][2] == "cancelled"
    both = play([200, 200, 220], {0: STOPPED, 1: whole("target", seen(2))})
    assert both.fills[1:] == [(2, 0, -50, 220, "open", "target")]
    assert both.orders[1:] == [("slm", "stop", "cancelled"), ("limit", "target", "filled")]


def combo(*legs: tuple[int, int], atomic: bool = False) -> Action:
    """Legs as (option, side), one lot each."""
    return Action("combo", legs=tuple((o, side, 1) for o, side in legs), atomic=atomic)


SPREAD = combo((0, -1), (1, 1))


def test_a_combo_buys_first(play: Play) -> None:
    late = [200, None, 150, 150]  # of the leg that is bought
    started = [300, *late[1:]]
    assert play([200, 200, 190, 180], {0: SPREAD}, started).fills == [
        (2, 0, 50, 150, "open", "entry"),
        (2, 0, -50, 190, "open", "entry"),
    ]
    # the sale's own first open after that
    assert play([200, 200, None, 180], {0: SPREAD}, started).fills[1:] == [
        (3, 0, -50, 180, "open", "entry")
    ]
    # no buys, no waiting
    sales = combo((0, -1), (1, -1))
    assert play([200, 200, 200], {0: sales}, started[:3]).fills == [
        (1, 0, -50, 200, "open", "entry"),
        (2, 0, -50, 150, "open", "entry"),
    ]


def test_a_combo_of_which_a_leg_cannot_trade_is_given_up(play: Play) -> None:
    stale = [200, None, None, None, None, None, 210, 220]
    played = play(stale, {0: SPREAD}, [300] * 8)
    # the call is bought at bar 1, the other waits to the end of bar 5
    assert played.fills == [
        (1, 0, 50, 300, "open", "entry"),
        (6, 0, -50, 300, "open", "exit"),
    ]
    assert [status for _, _, status in played.orders] == ["filled", "rejected", "filled"]
    # the buy never trades: nothing does
    assert play([300] * 8, {0: SPREAD}, stale).fills == []


@pytest.mark.parametrize("when", [0, 2])
def test_a_sale_does_not_go_without_a_buy_that_was_cancelled(play: Play, when: int) -> None:
    """Before the other buy has traded, or after it: its mates are given up all the same."""
    spread, drop = combo((0, -1), (1, 1), (2, 1)), cancel(1)
    actions: dict[int, Any] = {0: (spread, drop)} if when == 0 else {0: spread, when: drop}
    played = play([200] * 8, actions, [300] * 8, [300, *[None] * 7])
    assert played.fills == [(1, 0, 50, 300, "open", "entry"), (6, 0, -50, 300, "open", "exit")]


def test_an_atomic_combo_waits_for_all(play: Play) -> None:
    both = combo((0, -1), (1, 1), atomic=True)
    first, second = [200, 200, None, 190, 180], [300, None, 310, 320, 330]
    assert play(first, {0: both}, second).fills == [
        (3, 0, 50, 320, "open", "entry"),
        (3, 0, -50, 190, "open", "entry"),
    ]
    # the first is quoted: it has no bid before bar 4, where it sells at the close
    quotes = [(0, 0), (1, 9), (1, 9), (0, 9), (170, 0)]
    assert play(first, {0: both}, second, quotes=quotes).fills == [
        (4, 3, 50, 330, "close", "entry"),
        (4, 3, -50, 170, "quote", "entry"),
    ]
    never = play([200] * 8, {0: both}, [300, *[None] * 7])
    assert [status for _, _, status in never.orders] == ["rejected", "rejected"]


def test_a_sale_waits_for_a_buy_at_quotes(play: Play) -> None:
    """The buy trades at bar 1's close, so the sale at bar 2's open."""
    buys_quoted = combo((0, 1), (1, -1))
    quotes = [(0, 0), (195, 205), (0, 0)]
    assert play([200] * 3, {0: buys_quoted}, [300] * 3, quotes=quotes).fills == [
        (1, 3, 50, 205, "quote", "entry"),
        (2, 0, -50, 300, "open", "entry"),
    ]


def test_combos_that_are_refused(play: Play) -> None:
    for legs in (((0, 1), (0, -1)), ((0, 1), (1, 1), (1, -1)), ((0, 1),)):
        played = play([200, 200], {0: combo(*legs)}, [300, 300])
        assert (played.refused, played.orders) == (["combo"], [])


def test_a_combo_trades_at_the_close_where_orders_do(play: Play) -> None:
    assert play([200, 210], {0: SPREAD}, [300, 310], close=True).fills == [
        (0, 3, 50, 300, "close", "entry"),
        (0, 3, -50, 200, "close", "entry"),
    ]


def test_legs_are_given_back_at_the_next_bar_even_where_orders_trade_at_the_close(
    play: Play,
) -> None:
    bars = [200, *[None] * 7]
    assert play(bars, {1: SPREAD}, [300] * 8, close=True).fills[-1] == (
        7, 0, -50, 300, "open", "exit",
    )  # fmt: skip


def test_profit_by_tag_is_that_of_the_entries(play: Play) -> None:
    """50 units for each tag at 200 and 210; 50 are sold at 230 (the older), the rest is at 220."""
    actions = {0: buy(tag="a"), 1: buy(tag="b"), 2: sell(tag="b")}
    played = play([200, 200, 210, (230, 230, 220, 220)], actions)
    assert played.gains == {
        None: (30 * 5000, 10 * 5000),
        "a": (30 * 5000, 0),
        "b": (0, 10 * 5000),
    }
    # what is added has the position's tag
    actions = {0: buy(tag="a"), 1: Action("add", tag="b")}
    assert play([200, 200, 200, 210], actions).gains["a"] == (0, 20 * 5000)
