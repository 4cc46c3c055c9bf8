"""What is marked of a run, and what the marks tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bestbt.widgets.markers import KINDS, Marked
from bestbt.widgets.marks import Marks, Span
from tests.widgets.fake_run import FakeRun


def marked(run: FakeRun) -> Marked:
    marks = Marks(run)
    marks.look()
    return marks.all


def spans(run: FakeRun) -> list[Span]:
    marks = Marks(run)
    marks.look()
    return marks.spans


def ended(trades: int = 130) -> FakeRun:
    run = FakeRun(trades=trades)
    run.advance(run.grid.n)
    run.end("finished")
    return run


def test_a_fill_tells_what_price_size_why_and_what_it_booked() -> None:
    run = ended()
    ready = marked(run)
    trade = run.trades.iloc[0]
    entry = next(t for t in ready.text if "09:20" in t and str(trade["symbol"]) in t)
    assert entry == f"01 Jan 09:20  Sell 75 {trade['symbol']} at {trade['entry_price']:.2f}, " + (
        "entry (open)"
    )
    left = next(t for t in ready.text if "Buy" in t and str(trade["symbol"]) in t)
    assert f"at {trade['exit_price']:.2f}, stop (trigger), PnL −₹1,658" in left
    assert len(ready.bar) == len(run.fills) == 260
    assert [KINDS[k] for k in sorted(set(ready.kind.tolist()))] == [
        "sell entry",
        "buy exit",
        "stop",
    ]


def rolled() -> FakeRun:
    """Return a run whose second trade is entered by a roll, where the first one is left by it."""
    run = ended(trades=2)
    first, second = "NIFTY 2024-01-04 21700 CE", "NIFTY 2024-01-11 21800 CE"
    trades = run._trades.copy()
    trades["symbol"] = [first, second]
    at = trades.loc[0, "exit_time"]
    trades.loc[1, "entry_time"] = at
    fills = run._fills.iloc[[0, 1, 1, 1]].copy().reset_index(drop=True)
    fills["symbol"] = [first, first, second, second]
    fills["side"] = ["SELL", "BUY", "SELL", "BUY"]
    fills["kind"] = ["entry", "roll", "roll", "exit"]
    fills["price"] = [100.0, 120.0, 150.0, 90.0]
    fills["time"] = [trades.loc[0, "entry_time"], at, at, trades.loc[1, "exit_time"]]
    run._trades, run._fills = trades, fills
    return run


def test_a_roll_is_one_marker_for_its_two_fills() -> None:
    ready = marked(rolled())
    assert [KINDS[k] for k in ready.kind] == ["sell entry", "roll", "buy exit"]
    said = ready.text[1]
    assert "Roll 75 NIFTY 2024-01-04 21700 CE at 120.00\n" in said
    assert "to 75 NIFTY 2024-01-11 21800 CE at 150.00, PnL −₹1,658" in said


def test_a_roll_is_seen_on_the_charts_of_both_its_contracts() -> None:
    ready = marked(rolled())
    for contract, kinds in (
        ("NIFTY 2024-01-04 21700 CE", ["sell entry", "roll"]),
        ("NIFTY 2024-01-11 21800 CE", ["roll", "buy exit"]),
    ):
        own = ready.of(lambda symbol, name=contract: name in symbol.split("\n"))
        assert [KINDS[k] for k in own.kind] == kinds
        assert len(own.bar) == len(own.text) == len(own.price) == 2


def test_half_a_roll_is_a_marker_too() -> None:
    run = rolled()
    run._fills = run._fills.drop(index=2)
    ready = marked(run)
    assert [KINDS[k] for k in ready.kind] == ["sell entry", "roll", "buy exit"]
    assert "Buy 75 NIFTY 2024-01-04 21700 CE at 120.00, roll" in ready.text[1]


def test_a_block_is_marked_where_it_was_said() -> None:
    run = ended(trades=0)
    noted(run, 10, "block", number=0)
    ready = marked(run)
    assert (ready.bar.tolist(), [KINDS[k] for k in ready.kind]) == ([10], ["block"])
    assert ready.text == ("01 Jan 09:26  Blocked: block said",)
    mixed = rolled()
    noted(mixed, 10, "block", number=0)
    both = marked(mixed)
    assert (np.diff(both.bar) >= 0).all()
    assert len(both.text) == len(both.symbol) == 4


@pytest.mark.parametrize("session", [0, 1])
def test_what_is_said_at_an_open_is_marked_at_the_first_bar(session: int) -> None:
    run = ended(trades=0)
    first = run.grid.firsts[session]
    said_at(run, run.grid.time(first), "block", number=0)
    said_at(run, run.grid.time(run.grid.firsts[session + 1]), "unblock", number=0)
    (span,) = spans(run)
    assert (span.start, span.end) == (first, run.grid.firsts[session + 1])
    opened = run.grid.to_local(run.grid.time(first))
    assert span.when == f"{opened:%d %b} 09:15"
    assert marked(run).bar.tolist() == [first]


def test_what_was_done_by_hand_is_marked_at_its_bar_on_every_chart() -> None:
    run = ended(trades=0)
    noted(run, 10, "intervention")
    noted(run, 11, "block", number=0)
    ready = marked(run)
    assert (ready.bar.tolist(), [KINDS[k] for k in ready.kind]) == ([10, 11], ["by hand", "block"])
    assert ready.text[0] == "01 Jan 09:26  By hand: intervention said"
    assert ready.of(lambda symbol: False).bar.tolist() == [10, 11]


def test_fills_are_placed_by_their_time() -> None:
    run = ended()
    ready = marked(run)
    for bar, time in zip(ready.bar.tolist(), run.fills["time"], strict=True):
        assert pd.Timestamp(run.grid.local(bar)) == time


def noted(run: FakeRun, bar: int, kind: str, **values: object) -> None:
    said_at(run, run.grid.end(bar), kind, **values)


def said_at(run: FakeRun, ns: int, kind: str, **values: object) -> None:
    time = pd.Timestamp(ns, tz="UTC").tz_convert("Asia/Kolkata")
    run.noted.append((time, kind, f"{kind} said", values))


def test_a_block_is_a_span_from_where_it_was_said_to_where_it_ended() -> None:
    run = ended(trades=0)
    assert spans(run) == []
    noted(run, 10, "block", number=0)
    noted(run, 20, "block", number=1)
    noted(run, 25, "block", cancelled=[])  # positions left to their stops
    noted(run, 30, "refused")
    noted(run, 375, "unblock", number=0)
    noted(run, 376, "unblock")
    assert spans(run) == [
        Span(10.0, 375.0, "block said", "01 Jan 09:26"),
        Span(20.0, float(run.last_bar), "block said", "01 Jan 09:36"),
    ]


def test_marks_that_have_grown_are_those_of_one_look() -> None:
    run = rolled()
    for bar, kind in ((3, "block"), (40, "intervention"), (375, "unblock")):
        noted(run, bar, kind, number=0)
    run.done.clear()
    run.advance(-run.grid.n)
    marks = Marks(run)
    for _ in range(120):
        run.advance(7)
        marks.look()
        assert marks.fresh
        again = Marks(run)
        again.look()
        assert marks.all.text == again.all.text
        assert marks.all.bar.tolist() == again.all.bar.tolist()
        assert marks.spans == again.spans
    assert {KINDS[k] for k in marks.all.kind} == {
        "sell entry",
        "roll",
        "buy exit",
        "block",
        "by hand",
    }


def test_a_rewound_run_is_marked_anew() -> None:
    run = ended()
    marks = Marks(run)
    marks.look()
    run.advance(-375)
    run.advance(375)  # its fills may be other ones now, as many as before
    run._fills["price"] += 1.0
    assert not marks.fresh
    marks.look()
    assert marks.all.price.tolist() == run.fills["price"].tolist()
