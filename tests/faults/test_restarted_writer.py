"""A server that goes while a run is written to it: the run goes on, and is stored whole later."""

from __future__ import annotations

import signal
from datetime import date

import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import make_url

from bestbt import Backtest, Run
from bestbt.errors import StoreUnreachable
from bestbt.markets.demo import write_demo
from bestbt.store.store import Store
from tests.face.strategies import ShortStraddle
from tests.postgres import Server

HOWS = [signal.SIGINT, signal.SIGQUIT]  # in good order; as after a crash


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return three days of the demo market on the server; a recorder looks and retries at once."""
    monkeypatch.setattr("bestbt.recorder._RETRY", 0.0)
    monkeypatch.setattr("bestbt.recorder._LOOK", 0.0)
    made = Store.open(address)
    write_demo(made, "NIFTY", date(2024, 1, 3), date(2024, 1, 5))
    return made


class Played:
    """A run with a record, whose server goes at the end of its first day."""

    def __init__(self, store: Store, server: Server, how: signal.Signals, back: bool) -> None:
        class Told(ShortStraddle):
            def on_session_end(self) -> None:
                if self.today.day == 3:
                    server.stop(how)
                elif self.today.day == 4:  # the day before could be written, were the server there
                    self_.until_told()
                    if back:
                        server.start()

        self_ = self
        Told.__name__, Told.__qualname__ = ShortStraddle.__name__, ShortStraddle.__qualname__
        self.backtest = Backtest(Told, store, "NIFTY", save="restarted", load="range")
        self.run: Run = self.backtest.run_to("2024-01-03 10:00")
        assert self.backtest.recorder is not None
        self.backtest.recorder.wait()
        assert self.run.unsaved is None
        self.backtest.run()

    def until_told(self) -> None:
        assert self.backtest.recorder is not None
        for _ in range(1500):
            if self.run.unsaved is not None:
                return
            self.backtest.recorder.wait(0.02)
        raise AssertionError("nothing was told")


def whole(store: Store, run: Run) -> None:
    kept = store.open_run("restarted")
    assert (kept.state, kept.hash) == ("finished", run.hash)
    for name in ("fills", "orders", "trades", "ledger", "log"):
        assert_frame_equal(getattr(kept, name), getattr(run, name), check_exact=True)
    assert len(store.runs()) == 1


@pytest.mark.parametrize("how", HOWS)
def test_it_comes_back_while_the_run_plays(
    store: Store, server: Server, how: signal.Signals
) -> None:
    run = Played(store, server, how, back=True).run
    assert run.saved is not None
    assert run.unsaved is None
    assert list(run.log["kind"]).count("unsaved") == 1  # it was told, once
    whole(store, run)
    store.close()


@pytest.mark.parametrize("how", HOWS)
def test_it_comes_back_after_the_run(store: Store, server: Server, how: signal.Signals) -> None:
    run = Played(store, server, how, back=False).run
    assert run.state == "finished"
    assert run.saved is None
    assert run.unsaved is not None
    secret = str(make_url(store.engine.url).password)
    for shown in (run.unsaved, run.summary(), run.log.to_string()):
        assert secret not in shown
    assert "\n" not in run.unsaved
    assert "Not written to the store: postgresql://" in run.unsaved
    with pytest.raises(StoreUnreachable):
        run.save("restarted")
    server.start()
    assert store.open_run("restarted").state in ("running", "paused")  # of this process
    run.save("restarted")
    assert run.unsaved is None
    whole(store, run)
    store.close()
