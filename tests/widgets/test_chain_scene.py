"""What the chain shows at a bar, against loops over lists; and that looking changes nothing."""

from __future__ import annotations

import gc
import math
from datetime import date, timedelta
from typing import Any
from weakref import ref

import numpy as np
import pytest

from bestbt.engine.board import Rows
from bestbt.engine.desk import Desk
from bestbt.engine.ports import ContractSpec, LotChange
from bestbt.engine.simulation import Simulation
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import NoSchedule
from bestbt.testing import MemoryFeed, simulate
from bestbt.widgets.chain_scene import ChainScene, read_chain
from bestbt.widgets.looker import looker_at
from bestbt.widgets.scene import read_scene
from tests.engine.slow_chain import Row, SlowChain

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
MINUTES = 12
NEAR, NEXT = date(2024, 1, 4), date(2024, 1, 11)
LATE = 50_200  # a strike that is listed in the second session


def closes(rng: np.random.Generator, start: float, n: int, gaps: float) -> list[float | None]:
    """Return a walk on the tick with bars without a trade, the first of them with one."""
    walk = np.maximum(start * np.exp(np.cumsum(rng.normal(0, 0.01, n))), 0.5)
    made = [float(p) for p in np.rint(walk * 20) / 20]
    return [p if i == 0 or rng.random() > gaps else None for i, p in enumerate(made)]


class World:
    """A feed of two expiries, and the same prices as the slow chain reads them."""

    def __init__(self, seed: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.feed = MemoryFeed("NIFTY", DAYS, minutes=MINUTES)
        n = self.feed.grid.n
        spot = [50_000 + float(x) for x in np.rint(np.cumsum(rng.normal(0, 8, n)))]
        self.feed.add_index(spot)
        self.spot = spot
        self.rows: dict[date, list[Row]] = {NEAR: [], NEXT: []}
        for expiry, last in ((NEAR, 4 * MINUTES), (NEXT, n)):
            for strike in range(49_700, 50_301, 100):
                for right in ("CE", "PE"):
                    if strike == 49_800 and right == "PE":
                        continue  # a strike may have one row
                    self._option(rng, expiry, strike, right, last)

    def _option(
        self, rng: np.random.Generator, expiry: date, strike: int, right: Any, last: int
    ) -> None:
        first = MINUTES + 3 if strike == LATE else 0
        inside = 50_000 - strike if right == "CE" else strike - 50_000
        prices = closes(rng, max(inside, 0) + 150.0, last - first, 0.45)
        volume = [int(v) * 50 for v in rng.integers(1, 90, len(prices))]
        oi = [int(v) * 50 for v in rng.integers(1, 900_000, len(prices))]
        self.feed.add_option(expiry, strike, right, prices, first, volume=volume, oi=oi)
        blank: list[Any] = [None] * first
        raw = [None if p is None else round(100 * p) for p in prices]
        self.rows[expiry].append(
            Row(strike, right, blank + raw, [0] * first + volume, [0] * first + oi)
        )

    def slow(self, expiry: date) -> SlowChain:
        grid = self.feed.grid
        close = self.feed.market.session(expiry).close
        return SlowChain(
            spot=[round(100 * x) for x in self.spot],
            rows=self.rows[expiry],
            minutes=[(close - grid.end(bar)) / 60e9 for bar in range(grid.n)],
            first=[grid.firsts[grid.session(bar)] for bar in range(grid.n)],
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


class Holds(Strategy):
    """Sells a straddle and buys a wing."""

    @at("09:18")
    def enter(self) -> None:
        if not self.get_opened_positions():
            self.sell(self.get_atm("CE"), lots=2)
            self.sell(self.get_atm("PE"), lots=1)
            self.buy(self.option(50_300, "CE"), lots=1)


def same(found: float, wanted: float | None) -> None:
    if wanted is None or math.isnan(wanted):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(wanted, rel=1e-7)


def check(scene: ChainScene, slow: SlowChain, bar: int) -> None:
    """Hold every number of a scene against the slow chain."""
    listed = slow.listed(bar)
    assert scene.strikes.tolist() == sorted({float(r.strike) for r in listed})
    assert scene.atm == slow.atm(bar, slow.reference(bar))
    synthetic, forward = slow.synthetic(bar), slow.forward(bar)
    assert scene.atm_synthetic == slow.atm(bar, synthetic)
    assert scene.forward is not None
    assert forward is not None
    assert scene.forward.value == forward / 100
    assert scene.forward.source == ("spot" if synthetic is None else "synthetic")
    before = slow.first[bar] - 1
    by = {(r.strike, r.right): r for r in listed}
    for i, strike in enumerate(scene.strikes.tolist()):
        prices = []
        for right, side in (("CE", scene.calls), ("PE", scene.puts)):
            row = by.get((int(strike), right))
            assert side.listed[i] == (row is not None)
            if row is None:
                assert math.isnan(side.last[i])
                continue
            age = row.age(bar)
            assert age is not None
            fresh = age <= 5 and bar - age >= slow.first[bar]
            prices.append(row.raw(bar) if fresh else None)
            assert side.old[i] == (not fresh)
            assert side.age[i] == age
            assert side.last[i] == row.raw(bar) / 100
            assert side.oi[i] == row.open_interest(bar)
            known = before >= 0 and row.newest(before) is not None
            was = row.open_interest(before) if known else math.nan
            same(side.oi_change[i], row.open_interest(bar) - was)
            assert side.volume[i] == row.traded(slow.first[bar], bar)
            greeks = slow.greeks(row, bar)
            for name in ("iv", "delta", "gamma", "theta", "vega"):
                same(getattr(side, name)[i], greeks.get(name))
        both = len(prices) == 2 and None not in prices
        same(scene.straddle[i], sum(p or 0 for p in prices) / 100 if both else None)


@pytest.mark.parametrize("expiry", [NEAR, NEXT])
def test_every_number_is_that_of_a_slow_chain(world: World, expiry: date) -> None:
    slow = world.slow(expiry)
    run = simulate(Holds, world.feed, run=False)
    for bar in range(3 * MINUTES):
        run.step()
        scene = read_chain(run.strategy, expiry)
        assert scene is not None
        assert scene.bar == bar
        assert scene.expiry == scene.asked == expiry
        check(scene, slow, bar)


def test_the_smile_is_the_chain_s(world: World) -> None:
    run = simulate(Holds, world.feed, run=False).step(20)
    scene = read_chain(run.strategy)
    assert scene is not None
    smile = run.strategy.chain().iv_smile()
    assert scene.strikes.tolist() == list(smile)
    np.testing.assert_array_equal(scene.smile, list(smile.values()))


def test_own_quantities_stand_at_their_rows(world: World) -> None:
    run = simulate(Holds, world.feed, run=False).step(8)
    scene = read_chain(run.strategy)
    assert scene is not None
    assert scene.atm is not None
    want = {
        (p.contract.strike, p.contract.right): p.qty for p in run.strategy.get_opened_positions()
    }
    assert sorted(want.values()) == [-100, -50, 50]
    for right, side in (("CE", scene.calls), ("PE", scene.puts)):
        own = dict(zip(scene.strikes.tolist(), side.own.tolist(), strict=True))
        assert {k: v for k, v in own.items() if v} == {
            strike: qty for (strike, r), qty in want.items() if r == right
        }
    nothing = read_chain(run.strategy, held=())
    other = read_chain(run.strategy, NEXT)
    assert nothing is not None
    assert other is not None
    assert not nothing.calls.own.any()
    assert not other.puts.own.any()


def test_days_expiries_and_what_is_asked(world: World) -> None:
    run = simulate(Holds, world.feed, run=False).step(1)
    scene = read_chain(run.strategy)
    assert scene is not None
    assert (scene.expiries, scene.monthly) == ((NEAR, NEXT), (False, False))
    assert (scene.expiry, scene.asked, scene.dte) == (NEAR, None, 3)
    assert (scene.lot, scene.freeze, scene.currency) == (50, None, "₹")
    assert scene.spot is not None
    assert (scene.spot.value, scene.spot.age) == (world.spot[0], 0)
    run.run_to(4 * MINUTES)  # the first has settled
    after = read_chain(run.strategy, NEAR)
    assert after is not None
    assert (after.expiry, after.asked, after.expiries) == (NEXT, None, (NEXT,))
    later = read_chain(run.strategy, NEXT)
    assert later is not None
    assert later.asked == NEXT


def looked_at(feed: MemoryFeed) -> Simulation:
    """Play a run that is looked at before its first bar and after each one, at both expiries."""
    run = simulate(Curious, feed, run=False)
    while True:
        for expiry in (None, NEAR, NEXT):
            read_chain(run.strategy, expiry)
        read_scene(run)
        if run.finished:
            return run
        run.step()


class Curious(Holds):
    """Logs what looking at the chain could change: which contracts have been loaded."""

    def on_bar(self) -> None:
        desk = self._desk
        states = [c.state.value for c in desk._contracts.values()]
        self.log(f"{len(states)} {states.count('active')} {len(desk._chains)} {desk.why_none}")


def test_looking_leaves_no_trace() -> None:
    alone = simulate(Curious, World().feed)
    seen = looked_at(World().feed)
    assert len(alone.result.fills) > 2
    assert seen.result.hash == alone.result.hash
    assert list(seen.result.log) == list(alone.result.log)


def test_a_run_can_be_looked_at_again_after_a_rewind(world: World) -> None:
    run = simulate(Holds, world.feed, run=False).step(20)
    before = read_chain(run.strategy)
    run.step(10)
    read_chain(run.strategy)
    run.back(10)
    again = read_chain(run.strategy)
    assert before is not None
    assert again is not None
    assert again.bar == before.bar
    np.testing.assert_array_equal(again.calls.iv, before.calls.iv)
    np.testing.assert_array_equal(again.puts.own, before.puts.own)


def test_the_looker_ends_with_its_run(world: World) -> None:
    run = simulate(Holds, world.feed, run=False).step(5)
    read_chain(run.strategy)
    desk: ref[Desk] = ref(run.desk)
    del run
    gc.collect()
    assert desk() is None


def test_a_symbol_without_options_has_no_chain() -> None:
    feed = MemoryFeed("NIFTY", DAYS[:1], minutes=5)
    feed.add_index([100] * 5)
    assert read_chain(simulate(Strategy, feed).strategy) is None


def test_before_the_first_bar_nothing_is_listed(world: World) -> None:
    scene = read_chain(simulate(Strategy, world.feed, run=False).strategy)
    assert scene is not None
    assert len(scene.strikes) == len(scene.calls.oi) == 0
    assert (scene.spot, scene.forward, scene.atm, scene.lot) == (None, None, None, None)
    assert scene.smile.tolist() == []


def test_a_last_outside_its_quotes_is_told() -> None:
    feed = MemoryFeed("NIFTY", DAYS[:1], minutes=4)
    feed.add_index([100] * 4)
    for strike, right, quotes in (
        (95, "CE", ([500, 500, 0, 0], [700, 700, 0, 0])),  # around the last
        (100, "CE", ([250, 650, 0, 0], [300, 700, 0, 0])),  # then it lies below the bid
        (100, "PE", ([0, 0, 0, 0], [0, 500, 0, 0])),  # then above the ask
    ):
        spec = feed.add_option(DAYS[0], strike, right, [6] * 4)
        columns = feed.columns(spec)
        assert columns is not None
        bid, ask = (np.array(q, np.int32) for q in quotes)
        made = type(columns)(0, columns.points, columns.live, 100, None, None, bid, ask)
        feed._columns[spec] = made
    run = simulate(Strategy, feed, run=False).step(2)
    scene = read_chain(run.strategy)
    assert scene is not None
    assert scene.calls.off.tolist() == [False, True]
    assert scene.puts.off.tolist() == [False, True]
    np.testing.assert_array_equal(scene.calls.bid, [5.0, 6.5])
    np.testing.assert_array_equal(scene.puts.bid, [np.nan, np.nan])
    np.testing.assert_array_equal(scene.puts.ask, [np.nan, 5.0])
    scene = read_chain(run.step().strategy)  # no quotes: nothing to lie outside of
    assert scene is not None
    assert not scene.calls.off.any()


def test_lot_and_freeze_are_those_of_the_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    market = world.feed.market
    change = LotChange(date(2024, 1, 2), before=75)
    monkeypatch.setattr(market, "lot_changes", lambda symbol, expiry: [change])
    freezes = {date(2024, 1, 1): 1800}

    def freeze_quantity(symbol: str, day: date) -> int:
        if symbol != "NIFTY" or day not in freezes:
            raise NoSchedule("No sourced freeze quantity.")
        return freezes[day]

    monkeypatch.setattr(market, "freeze_quantity", freeze_quantity, raising=False)
    run = simulate(Strategy, world.feed, run=False).step(2)
    first = read_chain(run.strategy)
    second = read_chain(run.step(MINUTES).strategy)
    assert first is not None
    assert second is not None
    assert (first.lot, first.freeze) == (75, 1800)
    assert (second.lot, second.freeze) == (50, None)


def test_another_underlying_of_the_run(world: World) -> None:
    feed = MemoryFeed("NIFTY", DAYS[:1], minutes=3)
    feed.add_index([100] * 3)
    feed.add_index([40] * 3, "OTHER")
    feed.add(ContractSpec("option", "OTHER", NEAR, 40.0, "CE", lot=25), [1, 2, 3])
    run = simulate(Strategy, feed, run=False).step(2)
    assert read_chain(run.strategy) is None
    scene = read_chain(run.strategy, of="OTHER")
    assert scene is not None
    assert (scene.symbol, scene.lot, scene.atm) == ("OTHER", 25, 40.0)
    assert scene.calls.last.tolist() == [2.0]
    assert scene.puts.listed.tolist() == [False]


def test_chains_that_are_read_at_every_bar_stay_ready() -> None:
    feed = MemoryFeed("NIFTY", DAYS[:1], minutes=6)
    feed.add_index([100] * 6)
    days = [date(2024, 1, 4) + timedelta(weeks=n) for n in range(12)]
    for day in days:
        for right in ("CE", "PE"):
            feed.add_option(day, 100, right, [2.5] * 6)
    run = simulate(Strategy, feed, run=False).step(1)
    looker = looker_at(run.desk)

    def boards() -> list[Rows]:
        chains = [looker_at(run.desk).chain("NIFTY", day) for day in days]
        return [chain._board(5).rows for chain in chains]

    first = boards()
    run.step(1)
    assert all(now is before for now, before in zip(boards(), first, strict=True))
    run.step(1)
    again = looker.chain("NIFTY", days[-1])
    looker.chain("NIFTY", date(2024, 1, 4) + timedelta(weeks=99))
    kept = [day for day in days if ("NIFTY", day) in looker._chains]
    assert kept == days[-5:], "of those that are read no more the newest four"
    assert looker.chain("NIFTY", days[-1]) is again


def test_a_row_without_a_price_says_nothing() -> None:
    feed = MemoryFeed("NIFTY", DAYS[:1], minutes=4)
    feed.add_index([100] * 4)
    for strike in (95, 100):
        for right in ("CE", "PE"):
            late = (strike, right) == (95, "PE")
            prices = [None, None, 3.0, 3.0] if late else [5.0] * 4
            feed.add_option("2024-01-04", strike, right, prices, volume=[50] * 4, oi=[100] * 4)
    run = simulate(Strategy, feed, run=False).step(2)
    scene = read_chain(run.strategy)
    assert scene is not None
    assert scene.calls.volume.tolist() == [100.0, 100.0]
    assert math.isnan(scene.puts.volume[0])
    assert math.isnan(scene.puts.age[0])
