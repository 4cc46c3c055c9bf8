"""Which fills are marked, and what they tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.widgets.markers import (
    KINDS,
    Marked,
    Span,
    block_spans,
    joined,
    mark_blocks,
    mark_fills,
    mark_hands,
    select,
)
from tests.widgets.fake_run import FakeRun


def marked(bars: list[int], kinds: list[int], weights: list[float]) -> Marked:
    n = len(bars)
    return Marked(
        np.asarray(bars, np.int64),
        np.asarray(kinds, np.int8),
        np.asarray([not k % 2 for k in kinds], bool),
        np.asarray(weights, np.float64),
        np.full(n, 100.0),
        ("NIFTY 2024-01-04 21700 CE",) * n,
        tuple(f"fill {i}" for i in range(n)),
    )


def ended(trades: int = 130) -> FakeRun:
    run = FakeRun(trades=trades)
    run.advance(run.grid.n)
    run.end("finished")
    return run


def test_few_fills_are_all_shown() -> None:
    picked, shown, total = select(marked([3, 50, 90], [1, 2, 2], [0, 5, 7]), 0, 100, 200, 100)
    assert (shown, total) == (3, 3)
    assert [one.x.tolist() for one in picked][:4] == [[], [3.0], [50.0, 90.0], []]
    assert picked[2].text == ["fill 1", "fill 2"]


def test_fills_that_share_a_place_tell_the_most_important_first() -> None:
    fills = marked([10, 11, 10, 10], [2, 2, 2, 1], [1.0, 9.0, 4.0, 0.0])
    picked, shown, total = select(fills, 0, 1000, 200, 100)
    assert (shown, total) == (2, 4)
    assert picked[2].x.tolist() == [11.0]
    assert picked[2].text == ["fill 1\nfill 2\nfill 0"]


def test_a_crowd_is_counted() -> None:
    picked, *_ = select(marked([5] * 9, [0] * 9, [0.0] * 9), 0, 10, 200, 100)
    assert picked[0].text[0].splitlines()[-1] == "… and 5 more"


def test_what_is_not_seen_is_not_counted() -> None:
    assert select(marked([5, 500], [0, 0], [0, 0]), 100, 200, 200, 100)[1:] == (0, 0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 3), st.floats(0, 9)), max_size=300),
    st.integers(4, 50),
)
def test_never_more_markers_than_the_budget(
    fills: list[tuple[int, int, float]], budget: int
) -> None:
    fills.sort()
    all_of_them = marked(*(list(c) for c in zip(*fills, strict=True)) if fills else ([], [], []))
    picked, shown, total = select(all_of_them, 0, 999, budget, 400)
    assert total == len(fills)
    assert shown == sum(len(one.x) for one in picked) <= budget
    for kind, one in enumerate(picked):
        # the heaviest of its kind is always told
        weights = {f"fill {i}": f[2] for i, f in enumerate(fills) if f[1] == kind}
        told = [t.splitlines()[0] for t in one.text]
        assert bool(told) == bool(weights)
        if told:
            assert max(weights[t] for t in told) == max(weights.values())


def test_a_fill_tells_what_price_size_why_and_what_it_booked() -> None:
    run = ended()
    ready = mark_fills(run)
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
    ready = mark_fills(rolled())
    assert [KINDS[k] for k in ready.kind] == ["sell entry", "roll", "buy exit"]
    said = ready.text[1]
    assert "Roll 75 NIFTY 2024-01-04 21700 CE at 120.00\n" in said
    assert "to 75 NIFTY 2024-01-11 21800 CE at 150.00, PnL −₹1,658" in said


def test_a_roll_is_seen_on_the_charts_of_both_its_contracts() -> None:
    ready = mark_fills(rolled())
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
    ready = mark_fills(run)
    assert [KINDS[k] for k in ready.kind] == ["sell entry", "roll", "buy exit"]
    assert "Buy 75 NIFTY 2024-01-04 21700 CE at 120.00, roll" in ready.text[1]


def test_kinds_that_share_a_place_are_stacked() -> None:
    picked, shown, _ = select(marked([5, 5, 5, 5], [0, 2, 1, 6], [0.0] * 4), 0, 10, 200, 10)
    assert shown == 4
    heights = {
        KINDS[k]: (bool(one.below[0]), int(one.stack[0]))
        for k, one in enumerate(picked)
        if len(one.x)
    }
    below = [heights[k] for k in ("buy entry", "buy exit", "roll")]
    assert sorted(below) == [(True, 0), (True, 1), (True, 2)]
    assert heights["sell entry"] == (False, 0)


def test_a_block_is_marked_where_it_was_said() -> None:
    run = ended(trades=0)
    noted(run, 10, "block", number=0)
    ready = mark_blocks(block_spans(run))
    assert (ready.bar.tolist(), [KINDS[k] for k in ready.kind]) == ([10], ["block"])
    assert ready.text == ("01 Jan 09:26  Blocked: block said",)
    both = joined(ready, mark_fills(rolled()))
    assert (np.diff(both.bar) >= 0).all()
    assert len(both.text) == len(both.symbol) == 4


@pytest.mark.parametrize("session", [0, 1])
def test_what_is_said_at_an_open_is_marked_at_the_first_bar(session: int) -> None:
    run = ended(trades=0)
    first = run.grid.firsts[session]
    said_at(run, run.grid.time(first), "block", number=0)
    said_at(run, run.grid.time(run.grid.firsts[session + 1]), "unblock", number=0)
    (span,) = block_spans(run)
    assert (span.start, span.end) == (first, run.grid.firsts[session + 1])
    opened = run.grid.to_local(run.grid.time(first))
    assert span.when == f"{opened:%d %b} 09:15"
    assert mark_blocks([span]).bar.tolist() == [first]


def test_what_was_done_by_hand_is_marked_at_its_bar_on_every_chart() -> None:
    run = ended(trades=0)
    noted(run, 10, "intervention")
    noted(run, 11, "block", number=0)
    ready = mark_hands(run)
    assert (ready.bar.tolist(), [KINDS[k] for k in ready.kind]) == ([10], ["by hand"])
    assert ready.text == ("01 Jan 09:26  By hand: intervention said",)
    assert ready.of(lambda symbol: False).bar.tolist() == [10]


def test_fills_are_placed_by_their_time() -> None:
    run = ended()
    ready = mark_fills(run)
    for bar, time in zip(ready.bar.tolist(), run.fills["time"], strict=True):
        assert pd.Timestamp(run.grid.local(bar)) == time


def noted(run: FakeRun, bar: int, kind: str, **values: object) -> None:
    said_at(run, run.grid.end(bar), kind, **values)


def said_at(run: FakeRun, ns: int, kind: str, **values: object) -> None:
    time = pd.Timestamp(ns, tz="UTC").tz_convert("Asia/Kolkata")
    run.noted.append((time, kind, f"{kind} said", values))


def test_a_block_is_a_span_from_where_it_was_said_to_where_it_ended() -> None:
    run = ended(trades=0)
    assert block_spans(run) == []
    noted(run, 10, "block", number=0)
    noted(run, 20, "block", number=1)
    noted(run, 25, "block", cancelled=[])  # positions left to their stops
    noted(run, 30, "refused")
    noted(run, 375, "unblock", number=0)
    noted(run, 376, "unblock")
    assert block_spans(run) == [
        Span(10.0, 375.0, "block said", "01 Jan 09:26"),
        Span(20.0, float(run.last_bar), "block said", "01 Jan 09:36"),
    ]
