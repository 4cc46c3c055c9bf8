"""What is read of a run for its view agrees with what the run's own names and tables say."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from bestbt import Backtest, Store, Strategy, at
from bestbt.engine.pricing import black76
from bestbt.widgets.payoff import payoff
from bestbt.widgets.positions import Positions, short_name
from bestbt.widgets.scene import Scene, read_scene
from tests.conftest import DemoStores


class Condor(Strategy):
    """Two sold, two bought further out, and a future."""

    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=2, sl="40%")
            self.buy(self.get_atm(right, offset=5), lots=2, tag="wing")
        self.buy(self.futures(), lots=1)

    @at("13:00")
    def rest(self) -> None:
        self.block_for_day(reason="enough")

    @at("15:20")
    def leave(self) -> None:
        self.exit_all()


@pytest.fixture(scope="module")
def store(demo_stores: DemoStores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    fortnight = demo_stores(date(2024, 1, 1), date(2024, 1, 12))
    made = Store.open(shutil.copy(fortnight, tmp_path_factory.mktemp("scene") / "demo.sqlite"))
    yield made
    made.close()


@pytest.fixture
def stands(store: Store) -> Backtest:
    backtest = Backtest(Condor, store, "NIFTY")
    backtest.run_to("2024-01-03 11:00")
    return backtest


def scene_of(backtest: Backtest) -> Scene:
    found = backtest._run.seen()
    assert found is not None
    return found.scene


def test_the_figures_are_those_of_the_run(stands: Backtest) -> None:
    scene, run, strategy = scene_of(stands), stands._run, stands.simulation.strategy
    assert scene.time == run.progress.time == strategy.now
    assert scene.pnl == run.progress.pnl
    assert scene.today == strategy.today_pnl
    assert scene.spot == strategy.spot.price
    assert scene.vix == strategy.vix.price
    assert scene.expiry == strategy.get_closest_expiry()
    assert (scene.fills, scene.orders) == (len(run.fills), len(run.orders))
    before = stands.store.prices("NIFTY", "2024-01-02", "2024-01-02")["close"].iloc[-1]
    assert scene.change == pytest.approx(strategy.spot.price / before - 1)
    table = run.open_positions.set_index("symbol")
    assert {h.name for h in scene.held} == set(table.index)
    for held in scene.held:
        position = strategy.contract(held.name).position
        assert position is not None
        assert (held.qty, held.lots) == (position.qty, position.lots)
        assert held.pnl == pytest.approx(strategy.get_unrealized_pnl(position.contract))
        assert (held.sl, held.target, held.tag) == (position.sl, position.target, position.tag)
        assert held.delta == pytest.approx(position.delta, nan_ok=True)
    assert scene.net.delta == pytest.approx(strategy.greeks().delta)
    assert scene.net.theta == pytest.approx(strategy.greeks().theta)
    options = [h for h in scene.held if h.right]
    assert scene.premium == pytest.approx(-sum(h.price * h.qty for h in options))
    working = [o for o in stands.simulation.result.orders if o.status == "working"]
    assert [w.id for w in scene.working] == [o.id for o in working]


def test_a_block_is_seen_with_its_reason_and_its_end(stands: Backtest) -> None:
    assert scene_of(stands).blocked == ""
    stands.run_to("2024-01-03 14:00")
    assert scene_of(stands).blocked == "all entries until 2024-01-04 opens: enough"


def test_reading_leaves_no_trace(store: Store) -> None:
    read, unread = Backtest(Condor, store, "NIFTY"), Backtest(Condor, store, "NIFTY")
    while not read.simulation.finished:
        read.step(7)
        read.read(read_scene)
    unread.run()
    assert read._run.hash == unread._run.hash
    assert list(read._run.log["text"]) == list(unread._run.log["text"])


def test_before_the_first_bar_there_is_nothing_to_see(store: Store) -> None:
    scene = scene_of(Backtest(Condor, store, "NIFTY"))
    assert (scene.time, scene.spot, scene.change, scene.vix) == (None, None, None, None)
    assert (scene.held, scene.pnl) == ((), 0.0)


def test_the_payoff_is_the_marks_now_and_the_intrinsic_value_at_expiry(stands: Backtest) -> None:
    scene = scene_of(stands)
    found = payoff(scene)
    assert found is not None
    here = int(np.flatnonzero(found.spot == scene.spot)[0])
    assert found.now[here] == pytest.approx(sum(h.pnl for h in scene.held), abs=0.01)
    for i in (0, here, len(found.spot) - 1):
        spot = float(found.spot[i])
        by_hand = 0.0
        for h in scene.held:
            if h.right is None:
                worth = h.price + spot - (scene.spot or 0.0)
            elif h.right == "CE":
                worth = max(spot - (h.strike or 0.0), 0.0)
            else:
                worth = max((h.strike or 0.0) - spot, 0.0)
            by_hand += h.qty * (worth - h.entry)
        assert found.at_expiry[i] == pytest.approx(by_hand)
    for zero in found.breakevens:
        assert np.interp(zero, found.spot, found.at_expiry) == pytest.approx(0.0, abs=1e-6)
    call = next(h for h in scene.held if h.right == "CE")
    worth = float(black76(call.forward, call.strike, call.years, call.iv, "CE"))
    assert worth == pytest.approx(call.price, abs=0.01)


def test_positions_say_what_is_held(stands: Backtest) -> None:
    scene = scene_of(stands)
    acted: list[tuple[str, str, str]] = []
    table = Positions(lambda *what: acted.append(what))
    table.show(scene, open_=True, currency="₹")
    rows = {row["name"]: row for row in table.data["rows"]}
    for held in scene.held:
        texts = rows[held.name]["texts"]
        assert texts[0] == short_name(held, "NIFTY")
        assert int(texts[1].replace("−", "-")) * abs(held.qty) // held.lots == held.qty
        assert texts[5] == ("–" if held.sl is None else f"{held.sl:,.2f}")
    assert table.data["open"] is True
    name = scene.held[0].name
    table._handle_custom_msg({"name": name, "action": "stop", "value": "25%"}, [])
    table._handle_custom_msg({"name": "NIFTY nothing", "action": "exit"}, [])
    table._handle_custom_msg({"name": name}, [])
    assert acted == [(name, "stop", "25%")]
    nothing = scene._replace(held=())
    table.show(nothing, open_=False, currency="₹")
    assert table.data["rows"] == []
    assert table.data["note"] == "No open position."
    table.close()


def test_a_future_moves_with_the_spot(stands: Backtest) -> None:
    future = next(h for h in scene_of(stands).held if h.right is None)
    assert (future.delta, future.gamma) == (future.qty, 0.0)
    assert math.isnan(future.forward)
    assert short_name(future, "NIFTY").endswith("FUT")


def test_a_chain_that_cannot_be_read_does_not_take_the_scene_away(
    stands: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the connection is gone")

    monkeypatch.setattr("bestbt.run.read_chain", broken)
    seen = stands._run.seen()
    assert seen is not None
    assert len(seen.scene.held) == 5
    assert seen.chain is None
    assert str(seen.problem) == "the connection is gone"
    assert seen.cpu == 0.0, "nobody else was kept from anything"
