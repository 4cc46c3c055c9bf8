"""What the table sends to the browser, and what it believes of what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest

from bestbt.engine.strategy import Strategy
from bestbt.testing import MemoryFeed, simulate
from bestbt.widgets.chain_charts import ChainCharts
from bestbt.widgets.chain_scene import ChainScene, read_chain
from bestbt.widgets.chain_table import FIELDS, NOTHING, ChainTable, pack, window, words

NEAR, FAR = date(2024, 1, 4), date(2024, 1, 25)


@pytest.fixture(scope="module")
def feed() -> MemoryFeed:
    """Thirty strikes around a spot at 10,070; the put of the lowest is not listed."""
    feed = MemoryFeed("NIFTY", ["2024-01-01", "2024-01-02"], minutes=5)
    feed.add_index([10_070] * 10)
    for expiry in (NEAR, FAR):
        for strike in range(8_600, 11_600, 100):
            for right in ("CE", "PE"):
                if (strike, right) == (8_600, "PE"):
                    continue
                inside = 10_070 - strike if right == "CE" else strike - 10_070
                price = max(inside, 0) + 2_000 / (20 + abs(inside) / 10)
                oi = [16_777_217 + 75 * strike + bar for bar in range(10)]  # not exact in float32
                feed.add_option(expiry, strike, right, [round(price, 1)] * 10, oi=oi)
    return feed


def scene_of(feed: MemoryFeed, bars: int = 7, expiry: date | None = None) -> ChainScene:
    scene = read_chain(simulate(Strategy, feed, run=False).step(bars).strategy, expiry)
    assert scene is not None
    return scene


@pytest.fixture
def scene(feed: MemoryFeed) -> ChainScene:
    return scene_of(feed)


def rows_of(data: bytes) -> list[dict[str, float]]:
    """Read the buffer as the browser does."""
    table = np.frombuffer(data, "<f8").reshape(-1, len(FIELDS))
    return [dict(zip(FIELDS, row, strict=True)) for row in table.tolist()]


def test_the_buffer_has_every_number_of_every_row(scene: ChainScene) -> None:
    rows = rows_of(pack(scene))
    assert [row["strike"] for row in rows] == scene.strikes.tolist()
    names = [name.partition(".")[2] for name in FIELDS if name.startswith("call.")]
    assert set(names) - {"itm"} == set(scene.calls._fields)
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(row["straddle"], scene.straddle[i])
        for prefix, side in (("call", scene.calls), ("put", scene.puts)):
            for name in side._fields:
                np.testing.assert_array_equal(row[f"{prefix}.{name}"], getattr(side, name)[i])


def test_open_interest_is_exact_to_the_unit(scene: ChainScene) -> None:
    first = rows_of(pack(scene))[0]
    assert first["call.oi"] == 16_777_217 + 75 * 8_600 + 6
    assert first["call.oi_change"] == 2  # since the fifth bar, the last of the first session


def test_rows_at_and_in_the_money_are_marked(scene: ChainScene) -> None:
    rows = rows_of(pack(scene))
    assert [row["strike"] for row in rows if row["atm"]] == [10_100]
    assert [row["strike"] for row in rows if row["atm_synthetic"]] == [scene.atm_synthetic]
    calls = [row["strike"] for row in rows if row["call.itm"]]
    puts = [row["strike"] for row in rows if row["put.itm"]]
    assert (min(calls), max(calls)) == (8_600, 10_000)
    assert (min(puts), max(puts)) == (10_100, 11_500)


@pytest.mark.parametrize(
    ("money", "around", "want"),
    [
        (10_100.0, 7, (9_400, 10_800)),
        (8_700.0, 7, (8_600, 10_000)),  # at the end of the chain it keeps its height
        (11_500.0, 7, (10_100, 11_500)),
        (None, 2, (9_900, 10_300)),  # no money: the middle
        (10_100.0, 40, (8_600, 11_500)),
        (10_100.0, None, (8_600, 11_500)),
    ],
)
def test_which_strikes_are_shown(
    scene: ChainScene, money: float | None, around: int | None, want: tuple[int, int]
) -> None:
    values = {name: getattr(scene, name) for name in ChainScene.__slots__}
    shown = scene.strikes[window(ChainScene(**values | {"atm": money}), around)]
    assert (shown[0], shown[-1]) == want
    assert len(shown) == (30 if around in (None, 40) else 2 * (around or 0) + 1)


def test_the_header_says_what_the_run_knows(feed: MemoryFeed) -> None:
    told = words(scene_of(feed, expiry=FAR))
    assert told["expiries"] == [["2024-01-04", "04 Jan 24"], ["2024-01-25", "25 Jan 24 · month"]]
    assert (told["asked"], told["expiry"], told["dte"]) == ("2024-01-25", "2024-01-25", 17)
    assert (told["lot"], told["freeze"], told["indian"], told["note"]) == (50, None, True, "")
    assert told["forward"][1:] == ["synthetic", 0]
    assert words(scene_of(feed))["asked"] is None


class Stage:
    """A table, and what it has told."""

    def __init__(self, **options: Any) -> None:
        self.picked: list[str] = []
        self.chosen: list[date | None] = []
        self.table = ChainTable(self.picked.append, self.chosen.append, **options)

    def click(self, content: Any) -> None:
        self.table._handle_custom_msg(content, [])


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.table.close()


def test_clicks_are_told_by_name(stage: Stage, scene: ChainScene) -> None:
    stage.table.show(scene)
    for right in ("CE", "PE", ""):
        stage.click({"strike": 10_000, "right": right})
    assert stage.picked == [
        "NIFTY 2024-01-04 10000 CE",
        "NIFTY 2024-01-04 10000 PE",
        "STRADDLE 10000",
    ]
    for chosen in ("2024-01-25", None):
        stage.click({"expiry": chosen})
    assert stage.chosen == [FAR, None]


@pytest.mark.parametrize(
    "content",
    [
        {"strike": 10_050, "right": "CE"},  # no such strike
        {"strike": 8_600, "right": "PE"},  # not listed
        {"strike": 10_000, "right": "XX"},
        {"strike": 10_000, "right": ["CE"]},
        {"strike": "10000", "right": "CE"},
        {"strike": None, "right": ""},
        {"right": ""},
        {"expiry": "2024-01-11"},
        {"expiry": ["2024-01-04"]},
        {},
        "strike",
        None,
    ],
)
def test_what_is_not_shown_is_not_believed(stage: Stage, scene: ChainScene, content: Any) -> None:
    stage.table.show(scene)
    stage.table._message(stage.table, content, [])  # by itself: the library hides what is raised
    assert (stage.picked, stage.chosen) == ([], [])


def test_without_a_chain_it_says_why(stage: Stage, scene: ChainScene) -> None:
    stage.table.show(scene)
    assert stage.table.data
    stage.table.show(None)
    assert (stage.table.data, stage.table.meta) == (b"", {"note": NOTHING})
    stage.click({"strike": 10_000, "right": "CE"})
    assert stage.picked == []
    stage.table.show(None, "The run is over.")
    assert stage.table.meta["note"] == "The run is over."


def test_before_anything_is_listed_it_says_so(feed: MemoryFeed, stage: Stage) -> None:
    scene = read_chain(simulate(Strategy, feed, run=False).strategy)
    assert scene is not None
    stage.table.show(scene)
    assert stage.table.data == b""
    assert stage.table.meta["note"] == "No strike of this expiry is listed yet."


def test_one_message_a_scene(stage: Stage, scene: ChainScene, monkeypatch: Any) -> None:
    sent: list[set[str]] = []
    monkeypatch.setattr(ChainTable, "send_state", lambda self, key: sent.append(set(key)))
    stage.table.show(scene)
    assert sent == [{"data", "meta"}]


def test_the_reprs_are_stable(stage: Stage) -> None:
    assert repr(stage.table) == "<ChainTable>"
    charts = ChainCharts()
    assert repr(charts) == "<ChainCharts>"
    charts.close()


# The pictures


def lines(charts: ChainCharts) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    figures = [box.children[1] for box in charts.children]
    return [(mark.x, mark.y) for figure in figures for mark in figure.marks]


def test_bars_reach_from_what_was_kept_to_what_is_new(feed: MemoryFeed) -> None:
    charts = ChainCharts()
    scene = scene_of(feed)
    charts.show(scene)
    oi = charts.children[0].children[1].marks
    kept, new, gone = oi[1:4]  # of the calls; the first is the forward
    tops = np.nanmax(np.append(kept.y, np.nan).reshape(-1, 6), axis=1)
    np.testing.assert_allclose(tops, (scene.calls.oi - 2) / 1e5)
    tops = np.nanmax(np.append(new.y, np.nan).reshape(-1, 6), axis=1)
    np.testing.assert_allclose(tops, scene.calls.oi / 1e5)
    assert not len(gone.x)
    charts.close()


def test_the_smile_goes_through_what_is_out_of_the_money(feed: MemoryFeed) -> None:
    charts = ChainCharts()
    scene = scene_of(feed)
    charts.show(scene)
    forward, line, calls, puts = charts.children[1].children[1].marks
    assert scene.forward is not None
    assert forward.x.tolist() == [scene.forward.value] * 2
    there = ~np.isnan(scene.smile)
    np.testing.assert_array_equal(line.x, scene.strikes[there])
    np.testing.assert_allclose(line.y, 100 * scene.smile[there])
    for points, side in ((calls, scene.calls), (puts, scene.puts)):
        np.testing.assert_allclose(points.y, 100 * side.iv[~np.isnan(side.iv)])
    charts.show(None)
    assert all(not len(x) and not len(y) for x, y in lines(charts))
    assert isinstance(charts, widgets.HBox)
    charts.close()
