"""Which fills are marked, and what they tell."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.widgets.markers import (
    KINDS,
    Marked,
    select,
)


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
