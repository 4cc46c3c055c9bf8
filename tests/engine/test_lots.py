"""A lot changes under a position: whole lots are traded, what is left over settles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from bestbt.engine.ports import LotChange
from bestbt.engine.simulation import Simulation
from bestbt.report.stats import stats
from bestbt.report.summary import summary
from bestbt.report.tables import open_positions
from bestbt.testing import MemoryFeed, PlainMarket, simulate
from tests.engine.examples import Play, buy, pts, seen, sell
from tests.engine.kit import DAY, NEXT, fills, market, script
from tests.engine.programs import Action

# By both engines: two sessions of three bars; lots of 75 units, then of 50.

FLAT = [100] * 6
EXIT = Action("exit")


def test_an_order_is_of_the_days_lots(play: Play) -> None:
    run = play(FLAT, {0: buy(), 3: buy()}, sessions=2, relot=75)
    assert [f[2] for f in run.fills] == [75, 50]


def test_an_exit_trades_whole_lots_and_no_more(play: Play) -> None:
    run = play(FLAT, {0: buy(), 3: EXIT, 4: (EXIT, Action("set_sl", level=seen(-2)))}, sessions=2,
               relot=75)  # fmt: skip
    assert [f[:3] for f in run.fills] == [(1, 0, 75), (4, 0, -50)]
    assert len(run.orders) == 2, "25 units cannot be ordered to leave"
    assert run.refused == []


def test_an_exit_on_its_way_is_counted_as_the_whole_lots_it_will_trade(play: Play) -> None:
    quotes = [(0, 100)] * 3 + [(0, 0), (100, 0), (100, 0)]  # nothing to sell at for long
    script = {0: buy(), 1: (EXIT, buy()), 3: EXIT}
    run = play(FLAT, script, quotes=quotes, sessions=2, relot=75)
    assert [f[2] for f in run.fills] == [75, 75, -50, -100], "all three lots of 50"


def test_stops_are_cut_and_end_with_the_last_whole_lot(play: Play) -> None:
    entry = buy(sl=pts("0.1"), target=pts("0.3"))
    run = play([100, 100, 100, 100, 80, 140], {0: entry}, sessions=2, relot=75)
    assert run.fills[1:] == [(4, 0, -50, 80, "gap", "stop")]
    assert [o[2] for o in run.orders] == ["filled", "filled", "cancelled"]


def test_stops_of_less_than_a_lot_guard_the_lots_that_they_make_together(play: Play) -> None:
    entry = buy(sl=pts("0.1"))
    run = play([100, 100, 100, 100, 80, 80], {0: (entry, entry)}, sessions=2, relot=25)
    assert run.fills[2:] == [(4, 0, -50, 80, "gap", "stop")], "none trades 25, both are one lot"
    assert [o[2] for o in run.orders] == ["filled", "filled", "filled", "cancelled"]


def test_no_whole_lot_is_left_without_the_stops_that_it_had(play: Play) -> None:
    entry = buy(sl=pts("0.1"), target=pts("0.3"))
    run = play([100, 100, 100, 100, 80, 80], {0: (entry, entry)}, sessions=2, relot=75)
    assert [f[2] for f in run.fills] == [75, 75, -100, -50]
    assert not any(o[2] == "working" for o in run.orders)


def test_more_can_be_bought_to_make_it_whole(play: Play) -> None:
    run = play(FLAT, {0: buy(lots=2), 3: sell(lots=1), 4: EXIT}, sessions=2, relot=75)
    assert [f[2] for f in run.fills] == [150, -50, -100], "150 units are three lots"


def test_an_entry_that_is_no_whole_lot_any_more_is_cancelled(play: Play) -> None:
    waiting = buy("limit", -4, tif="gtc"), buy("limit", -5, lots=2, tif="gtc")
    run = play([100, 100, 100, 100, 50, 50], {0: waiting}, sessions=2, relot=75)
    assert [o[2] for o in run.orders] == ["cancelled", "filled"]
    assert [f[2] for f in run.fills] == [150]


def test_exits_of_less_than_a_lot_end_with_the_change(play: Play) -> None:
    run = play(FLAT, {0: buy(sl=pts("0.1")), 3: Action("roll", to="contract", back=1)}, FLAT,
               sessions=2, relot=25)  # fmt: skip
    assert [o[2] for o in run.orders] == ["filled", "cancelled"]
    assert run.refused == ["roll"]


def test_a_roll_takes_the_whole_lots(play: Play) -> None:
    roll = Action("roll", to="contract", back=1)
    run = play(FLAT, {0: buy(), 3: roll}, [200] * 6, sessions=2, relot=75)
    assert run.fills[1:] == [
        (4, 0, -50, 100, "roll", "roll"),
        (4, 0, 50, 200, "roll", "roll"),
    ]


# By the engine: what is said, and what settles.


class Relots(PlainMarket):
    """Lots of so many units until the second day, then of 50."""

    before = 75

    def lot_changes(self, symbol: str, expiry: date) -> Sequence[LotChange]:
        return [LotChange(date.fromisoformat(NEXT), self.before)]


def relotted(expiry: str = NEXT, **by_bar: Any) -> Simulation:
    feed = market(5, 5, 5, 5, 6, 6, expiry=expiry, days=(DAY, NEXT))
    feed.market = Relots(3)
    return simulate(script(**by_bar), feed, close_at_end=True)


def leave(s: Any, c: Any) -> None:
    s.exit(c)


def test_what_is_left_over_is_marked_settles_and_is_said_once() -> None:
    known: list[Any] = []

    def look(s: Any, c: Any) -> None:
        held = c.position
        known.append((c.lot, held.qty, held.whole_qty, held.odd_qty, held.lots))

    run = relotted(b0=lambda s, c: s.sell(c, lots=3), b1=look, b2=look, b3=look, b4=leave)
    assert known == [(75, -225, -225, 0, 3), (75, -225, -225, 0, 3), (50, -225, -200, -25, 4)]
    assert [(f[1], f[4]) for f in fills(run)] == [
        (-225, "entry"), (200, "exit"), (25, "settlement"),
    ]  # fmt: skip
    said = [e for e in run.result.log if e.kind == "odd-lot"]
    assert [(e.bar, dict(e.values)) for e in said] == [(2, {"qty": -25})]
    assert said[0].text == (
        "NIFTY 2024-01-02 100 CE: a lot is 50 now, so 25 of the 225 units held cannot be traded; "
        "they settle"
    )
    assert stats(run.result)["odd_lots"] == 1
    assert "1 position with units that were no whole lot any more" in summary(run.result, "x")


def test_closing_at_the_end_leaves_it_open() -> None:
    run = relotted("2024-01-04", b0=lambda s, c: s.buy(c, lots=1))
    assert [f[1] for f in fills(run)] == [75, -50]
    assert open_positions(run.result)["qty"].tolist() == [25]


def test_less_than_a_lot_neither_leaves_nor_is_guarded() -> None:
    run = relotted(
        "2024-01-04",
        b0=lambda s, c: s.buy(c, lots=1),
        b3=leave,
        b4=lambda s, c: (c.exit(), c.set_sl(3), c.set_target(9)),
    )
    refused = [e.text for e in run.result.log if e.kind == "refused"]
    assert [text.partition("(")[0] for text in refused] == ["exit", "set_sl", "set_target"]
    assert refused[0].endswith("25 units are less than a lot of 50; they settle")


def test_what_is_taken_back_is_said_and_nothing_is_said_to_be_closed_that_is_not() -> None:
    run = relotted("2024-01-04", b2=lambda s, c: s.buy(c, lots=1))
    assert [(e.bar, e.text) for e in run.result.log] == [
        (2, "NIFTY 2024-01-04 100 CE: no whole lots any more: the lot has changed")
    ]
    feed = market(5, 5, 5, 5, 6, 6, expiry="2024-01-25", days=(DAY, NEXT))
    feed.add_option("2024-01-04", 100, "CE", [5] * 6)
    feed.market = quarters = Relots(3)
    quarters.before = 25

    def roll(s: Any, c: Any) -> None:
        s.roll(c, expiry=date(2024, 1, 25))

    run = simulate(script(b0=lambda s, c: s.buy(c, lots=1), b2=roll), feed)
    assert [e.kind for e in run.result.log] == ["roll", "odd-lot"]
    assert [o.status for o in run.result.orders] == ["filled", "cancelled", "cancelled"]


def test_a_feed_without_changes_has_none() -> None:
    feed = MemoryFeed("NIFTY", [DAY], minutes=1)
    assert list(feed.market.lot_changes("NIFTY", date(2024, 1, 4))) == []
