"""Any chain, with gaps, frozen index and late listings, equals the slow one at every bar."""

from __future__ import annotations

import math
import random
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestbt.engine.strategy import Strategy
from bestbt.testing import MemoryFeed, simulate
from tests.engine.slow_chain import Row, SlowChain, black

DAYS = ("2024-01-01", "2024-01-02")
BARS = 9  # a day
TERMS = ((5, 0, 0), (0, 0, 0), (2, 40, 0), (5, 0, 30), (9, 30, 20))


def random_chain(seed: int) -> tuple[MemoryFeed, SlowChain]:
    """Prices by the model with noise, or wild; strikes that come later, bars without a trade."""
    rng = random.Random(seed)
    n = BARS * len(DAYS)
    expiry = date.fromisoformat(rng.choice(("2024-01-02", "2024-01-04", "2024-01-25")))
    feed = MemoryFeed("NIFTY", DAYS, minutes=BARS)
    close = feed.market.session(expiry).close
    minutes = [(close - feed.grid.end(i)) / 60e9 for i in range(n)]
    level, spot = 10_000, []
    for _ in range(n):
        level += rng.randint(-60, 60)
        spot.append(level if rng.random() > 0.2 else None)
    spot[0] = spot[0] or 10_000
    wild = rng.random() < 0.4
    rows = []
    for strike in rng.sample(range(80, 125, 5), rng.randint(1, 8)):
        for right in ("CE", "PE"):
            if rng.random() < 0.1:
                continue
            first = rng.choice((0, 0, 0, rng.randrange(n)))
            gap = rng.choice((0.1, 0.5, 0.9))
            closes: list[int | None] = [None] * n
            for i in range(first, n):
                if i == first or rng.random() > gap:
                    vol = 0.6 + 0.5 * (strike / 100 - 1) ** 2
                    t = max(minutes[i], 1) / 525_600
                    fair = 100 * black(level / 100, strike, t, vol, right == "CE")
                    closes[i] = 5 * max(
                        rng.randint(1, 40) if wild else round(fair / 5 + rng.random() - 0.5), 1
                    )
            oi = [rng.randint(0, 60) for _ in range(n)]
            volume = [rng.randint(0, 30) for _ in range(n)]
            rows.append(Row(strike, right, closes, volume, oi))
    if not rows:
        rows.append(Row(100, "CE", [500] * n, [1] * n, [1] * n))
    feed.add_index([None if x is None else x / 100 for x in spot])
    for r in rows:
        prices = [None if x is None else x / 100 for x in r.closes]
        feed.add_option(expiry, r.strike, r.right, prices, volume=r.volume, oi=r.oi)  # type: ignore[arg-type]
    first_bars = [BARS * (i // BARS) for i in range(n)]
    return feed, SlowChain(spot, rows, minutes, first_bars)


def at_every_bar(feed: MemoryFeed, expiry: date, look: Any) -> None:
    class Watch(Strategy):
        def on_bar(self) -> None:
            days = self.expiries()
            if expiry in days:
                look(self.bar, self.chain(expiry))

    simulate(Watch, feed)


def expiry_of(feed: MemoryFeed) -> date:
    return feed.expiries("NIFTY")[0].day


def key(contract: Any) -> Any:
    return None if contract is None else (contract.strike, contract.right)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_what_a_chain_shows_equals_the_slow_one(seed: int) -> None:
    feed, slow = random_chain(seed)

    def look(bar: int, chain: Any) -> None:
        listed = slow.listed(bar)
        assert [key(c) for c in chain.calls] == [
            (r.strike, "CE") for r in listed if r.right == "CE"
        ]
        assert [key(c) for c in chain.puts] == [(r.strike, "PE") for r in listed if r.right == "PE"]
        assert chain.strikes == sorted({r.strike for r in listed})
        reference, forward = slow.reference(bar), slow.forward(bar)
        assert (chain.reference is None) == (reference is None)
        if reference is not None and forward is not None:
            assert chain.reference.value == reference / 100
            assert chain.forward == forward / 100
        synthetic = slow.synthetic(bar)
        told = chain.reference_by("synthetic")
        assert (None if told is None else told.value) == (synthetic and synthetic / 100)
        assert chain.atm == slow.atm(bar, reference)
        assert chain.atm_by("synthetic") == slow.atm(bar, synthetic)
        straddle = slow.straddle(bar)
        assert chain.straddle_premium == (None if straddle is None else straddle / 100)
        assert chain.pcr == slow.pcr(bar)
        assert chain.max_pain == slow.max_pain(bar)

    at_every_bar(feed, expiry_of(feed), look)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_rules_pick_what_looking_at_every_row_picks(seed: int) -> None:
    feed, slow = random_chain(seed)
    rng = random.Random(seed + 1)

    def look(bar: int, chain: Any) -> None:
        for right in ("CE", "PE"):
            max_age, min_oi, min_volume = rng.choice(TERMS)
            terms = {"max_age": max_age, "min_oi": min_oi, "min_volume": min_volume}
            rows = slow.fitting(bar, right, max_age, min_oi, min_volume)
            raw, side = 5 * rng.randint(1, 400), rng.choice(("nearest", "above", "below"))
            found = chain.by_premium(right, raw / 100, side, **terms)
            assert key(found) == slow.by_premium(bar, rows, raw, side)

            reference = slow.reference(bar, max_age)
            assert reference is not None
            sign = 1 if right == "CE" else -1
            pct = rng.choice((0, 2.5, 5, 7.5, -5))
            found = chain.by_percent(right, pct, **terms)
            assert key(found) == slow.by_strike(rows, reference * (100 + sign * pct) / 100)

            straddle, k = slow.straddle(bar, max_age), rng.choice((0, 0.5, 1, 2.5, -1))
            found = chain.by_straddle(right, k, **terms)
            want = None if straddle is None else reference + sign * k * straddle
            assert key(found) == (None if want is None else slow.by_strike(rows, want))

            delta = rng.choice((0.05, 0.25, 0.5, 0.9))
            found = chain.by_delta(right, delta, **terms)
            greeks = {r.strike: slow.greeks(r, bar, max_age) for r in rows}
            miss = {k: abs(abs(g["delta"]) - delta) for k, g in greeks.items() if g}
            assert (found is None) == (not miss)
            if found is not None:
                assert miss[int(found.strike)] <= min(miss.values()) + 1e-6

    at_every_bar(feed, expiry_of(feed), look)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_greeks_of_every_row_are_those_of_the_textbook(seed: int) -> None:
    feed, slow = random_chain(seed)

    def look(bar: int, chain: Any) -> None:
        frame = chain.to_frame()
        rows = slow.listed(bar)
        assert list(zip(frame["strike"], frame["right"], strict=True)) == [
            (r.strike, r.right) for r in rows
        ]
        assert frame["age"].tolist() == [r.age(bar) for r in rows]
        assert frame["price"].tolist() == [r.raw(bar) / 100 for r in rows]
        assert frame["oi"].tolist() == [r.open_interest(bar) for r in rows]
        assert frame["day_volume"].tolist() == [r.traded(slow.first[bar], bar) for r in rows]
        for row, contract, told in zip(rows, zipped(chain), frame.to_dict("records"), strict=True):
            want = slow.greeks(row, bar)
            for name in ("iv", "delta", "gamma", "theta", "vega"):
                assert getattr(contract, name) == pytest.approx(
                    told[name], rel=0, abs=0, nan_ok=True
                )
                if want:
                    assert told[name] == pytest.approx(want[name], rel=1e-6, abs=1e-9), name
                else:
                    assert math.isnan(told[name]), name

    at_every_bar(feed, expiry_of(feed), look)


def zipped(chain: Any) -> list[Any]:
    return sorted((*chain.calls, *chain.puts), key=lambda c: (c.strike, c.right))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_calls_and_puts_of_a_strike_tell_one_volatility_where_parity_holds(seed: int) -> None:
    """C − P = F − K at the strike that made F, so there both rows have the same volatility."""
    feed, slow = random_chain(seed)

    def look(bar: int, chain: Any) -> None:
        forward, synthetic = chain.forward, slow.synthetic(bar)
        for call in slow.fresh(bar, "CE"):
            for put in slow.fresh(bar, "PE"):
                same = call.strike == put.strike
                differ = call.raw(bar) - put.raw(bar)
                if same and synthetic is not None and 100 * call.strike + differ == synthetic:
                    a, b = chain.call(call.strike), chain.put(put.strike)
                    assert a.iv == pytest.approx(b.iv, rel=1e-6, nan_ok=True)
                    assert a.delta - b.delta == pytest.approx(1, abs=1e-9, nan_ok=True)
                    assert a.gamma == pytest.approx(b.gamma, rel=1e-6, nan_ok=True)
                    assert a.price - b.price == pytest.approx(forward - call.strike, abs=1e-9)

    at_every_bar(feed, expiry_of(feed), look)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, BARS * len(DAYS) - 1))
def test_nothing_is_seen_of_bars_to_come(seed: int, cut: int) -> None:
    """What a chain says up to a bar is the same whatever comes after it."""
    feed, slow = random_chain(seed)
    rng = random.Random(seed + 2)
    other = MemoryFeed("NIFTY", DAYS, minutes=BARS)
    changed = [x if i <= cut else rng.randint(5_000, 15_000) for i, x in enumerate(slow.spot)]
    other.add_index([None if x is None else x / 100 for x in changed])
    expiry = expiry_of(feed)
    for r in slow.rows:
        if r.newest(cut) is None:
            continue  # it is listed later: or never, in the other
        prices = [
            (None if x is None else x / 100) if i <= cut else rng.randint(1, 99)
            for i, x in enumerate(r.closes)
        ]
        more = {
            "volume": [x if i <= cut else 9 for i, x in enumerate(r.volume)],
            "oi": [x if i <= cut else 99 for i, x in enumerate(r.oi)],
        }
        other.add_option(expiry, r.strike, r.right, prices, **more)  # type: ignore[arg-type]

    def record(where: MemoryFeed) -> list[str]:
        seen: list[str] = []

        def look(bar: int, chain: Any) -> None:
            if bar <= cut:
                figures = (chain.reference, chain.forward, chain.pcr, chain.max_pain)
                picks = [key(chain.by_delta(r, 0.3)) for r in ("CE", "PE")]
                seen.append(f"{figures} {picks} {chain.to_frame().to_json(double_precision=15)}")

        at_every_bar(where, expiry, look)
        return seen

    if expiry in [e.day for e in other.expiries("NIFTY")]:
        assert record(feed) == record(other)


def test_a_tie_of_deltas_is_the_lower_strike() -> None:
    """0.25 lies as far from 0.3 as from 0.2: the rows are compared in whole steps of 1e-9."""
    feed, _ = random_chain(1)
    picks = []

    def look(bar: int, chain: Any) -> None:
        board = chain._board(5)
        calls = np.flatnonzero(board.rows.call & ~np.isnan(board.greeks.delta))
        for i in calls[1:]:
            middle = round((board.greeks.delta[i] + board.greeks.delta[i - 2]) / 2, 9)
            if 0 < middle < 1:
                found = chain.by_delta("CE", float(middle))
                sizes = {
                    float(board.rows.strike[j]): abs(
                        round(float(board.greeks.delta[j]) * 1e9) - round(middle * 1e9)
                    )
                    for j in calls
                }
                picks.append((found.strike, min(sizes, key=lambda k: (sizes[k], k))))

    at_every_bar(feed, expiry_of(feed), look)
    assert picks
    assert all(found == want for found, want in picks)


def test_worlds_are_not_trivial() -> None:
    """A law over chains in which nothing happens would prove nothing."""
    counts = dict.fromkeys(("frozen", "stale", "no synthetic", "no volatility", "listed later"), 0)
    for seed in range(30):
        feed, slow = random_chain(seed)
        for bar in range(0, BARS * len(DAYS), 3):
            spot = slow.spot_at(bar)
            counts["frozen"] += spot is not None and spot[1] > 0
            counts["no synthetic"] += slow.synthetic(bar) is None
            for row in slow.listed(bar):
                counts["stale"] += (row.age(bar) or 0) > 5
                counts["no volatility"] += (row.age(bar) or 0) <= 5 and not slow.greeks(row, bar)
            counts["listed later"] += len(slow.listed(bar)) < len(slow.rows)
        assert feed.expiries("NIFTY")
    assert all(count >= 10 for count in counts.values()), counts
