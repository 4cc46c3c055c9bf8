"""Rolls and blocks: small cases worked out by hand, by both engines.

Calls of strikes 100, 105 … of one expiry; a roll goes to the one that is named.
"""

from __future__ import annotations

import pytest

from tests.engine.examples import Play, buy, pts, sell
from tests.engine.programs import Action, Level

NEAR, FAR = [100, 100, 120, 130, 140, 150], [200, 200, 210, 220, 230, 240]


def roll(option: int = 0, on: int = 1, keep: bool = False) -> Action:
    """Roll an option into the one so many strikes up."""
    return Action("roll", option, to="contract", back=on, keep=keep)


def test_both_legs_trade_at_one_open(play: Play) -> None:
    run = play(NEAR, {0: sell(lots=2), 2: roll()}, FAR)
    assert run.fills == [
        (1, 0, -100, 100, "open", "entry"),
        (3, 0, 100, 130, "roll", "roll"),
        (3, 0, -100, 220, "roll", "roll"),
    ]


FAR_BARS = [(x, x + 10, x - 10, x + 5) for x in FAR]


def quotes_of(bars: list[int]) -> list[tuple[int, int]]:
    return [(bar - 5, bar + 5) for bar in bars]


def test_with_a_quoted_leg_both_trade_at_the_close(play: Play) -> None:
    quotes = quotes_of(NEAR)
    quotes[3] = 125, 0  # none who sells: both wait
    run = play(NEAR, {0: sell(), 2: roll()}, FAR_BARS, quotes=quotes)
    assert run.fills[1:] == [
        (4, 3, 50, 145, "roll", "roll"),
        (4, 3, -50, 235, "roll", "roll"),
    ]


def test_into_a_quoted_contract_both_trade_at_the_close(play: Play) -> None:
    held = sell(option=1, sl=pts("9"))
    run = play(NEAR, {0: held, 2: roll(1, on=-1)}, FAR_BARS, quotes=quotes_of(NEAR))
    assert run.fills[1:] == [
        (3, 3, 50, 225, "roll", "roll"),
        (3, 3, -50, 125, "roll", "roll"),
    ]
    assert run.levels[-1] == (125 + 900, 0), "its stop has come along"


def test_an_atomic_combo_with_a_quoted_leg_trades_at_the_close(play: Play) -> None:
    both = Action("combo", legs=((0, -1, 1), (1, 1, 1)), atomic=True)
    run = play(NEAR, {1: both}, FAR_BARS, quotes=quotes_of(NEAR))
    assert run.fills == [
        (2, 3, 50, 215, "close", "entry"),
        (2, 3, -50, 115, "quote", "entry"),
    ]


@pytest.mark.parametrize("keep", [False, True])
def test_without_a_bar_for_both_the_old_leg_goes_on_or_stays(play: Play, keep: bool) -> None:
    run = play([100] * 10, {0: sell(), 1: roll(keep=keep)}, [200, 200, *[None] * 8])
    left = [] if keep else [(7, 0, 50, 100, "roll", "roll")]
    assert run.fills[1:] == left
    assert [o[2] for o in run.orders[1:]] == ["cancelled" if keep else "filled", "rejected"]


def test_both_are_taken_back_together(play: Play) -> None:
    run = play(NEAR, {0: sell(), 2: (roll(), Action("cancel_all"))}, FAR)
    assert [o[2] for o in run.orders] == ["filled", "cancelled", "cancelled"]


def test_what_is_being_rolled_into_can_itself_be_rolled(play: Play) -> None:
    more = [300, 300, 310, 320, 330, 340]
    held = sell(), sell(option=1, lots=3)
    run = play(NEAR, {0: held, 2: (roll(), roll(1))}, FAR, more)
    assert [f[2:4] for f in run.fills[2:]] == [(50, 130), (-50, 220), (150, 220), (-150, 320)]


def test_a_distance_travels_until_its_level_was_changed(play: Play) -> None:
    stop = sell(sl=pts("5"))
    assert play(NEAR, {0: stop, 1: roll()}, FAR).levels[-1] == (210 + 500, 0)
    moved = Action("modify_order", offset=100, terms=("fit",))
    run = play(NEAR, {0: stop, 1: moved, 2: roll()}, FAR)
    assert [o[:2] for o in run.orders].count(("slm", "stop")) == 1, "a price stays where it is"


def test_inside_a_block_a_roll_is_an_exit(play: Play) -> None:
    block = Action("block_for_day")
    run = play(NEAR, {0: sell(), 1: block, 2: (roll(), buy(option=1))}, FAR)
    assert run.fills[1:] == [(3, 0, 50, 130, "open", "exit")]


def test_a_block_that_begins_on_the_way_leaves_the_exit(play: Play) -> None:
    far = [200, 200, 200, None, None, 200]
    run = play(NEAR, {0: sell(), 2: roll(), 3: Action("block_for_day")}, far)
    assert run.fills[1:] == [(4, 0, 50, 140, "roll", "roll")]
    assert [o[2] for o in run.orders[1:]] == ["filled", "cancelled"]


def test_what_is_left_to_its_stops_is_neither_rolled_nor_added_to(play: Play) -> None:
    entry = sell(sl=pts("0.15"), target=Level("pts", "0.5"))
    freeze = Action("deactivate_positions"), roll(), Action("add"), sell(option=1)
    run = play(NEAR, {0: entry, 1: freeze}, FAR)
    assert run.fills[1:] == [
        (2, 0, 50, 120, "gap", "stop"),
        (2, 0, -50, 210, "open", "entry"),
    ]
    assert [o[2] for o in run.orders] == ["filled", "filled", "cancelled", "filled"]


def test_a_block_ends_with_a_session_and_within_its_scope(play: Play) -> None:
    block = Action("block_for_n_days", lots=2, scope=(False, "a"))
    bars = [100] * 6
    by_bar = {
        0: (block, buy(tag="a"), buy(tag="b")),
        2: buy(tag="a"),
        3: Action("unblock", scope=(True, None)),  # it is on more than that symbol
        4: (buy(lots=2, tag="a"), Action("unblock", scope=(False, "a")), buy(lots=3, tag="a")),
    }
    run = play(bars, {b: by_bar[b] for b in (0, 2)}, sessions=3)
    assert [f[:3] for f in run.fills] == [(1, 0, 50)]
    run = play(bars, {b: by_bar[b] for b in (0, 3, 4)}, sessions=2)
    assert [f[:3] for f in run.fills] == [(1, 0, 50), (5, 0, 150)]
