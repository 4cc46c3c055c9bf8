"""The demo market: deterministic, and shaped like a market where it says it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from hashlib import sha256
from itertools import pairwise
from math import erf, log, sqrt
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bestbt.engine.grid import Grid, time_of_day
from bestbt.errors import ContractNotFound, Interrupted, UsageError
from bestbt.markets.demo import SEED, VIX, DemoSeries, generate, write_demo
from bestbt.markets.demo_options import normal_cdf
from bestbt.markets.india import INDIA
from bestbt.store.store import Store
from bestbt.units import MINUTE

IST = ZoneInfo("Asia/Kolkata")
JAN_1, JAN_25 = date(2024, 1, 1), date(2024, 1, 25)
QUARTER_END = date(2024, 3, 28)
WEEKLY, MONTHLY = date(2024, 1, 11), JAN_25

Market = dict[str, DemoSeries]


def by_name(series: Iterator[DemoSeries]) -> Market:
    return {str(s.spec): s for s in series}


def fingerprint(series: Iterator[DemoSeries]) -> str:
    digest = sha256()
    for s in series:
        digest.update(str(s.spec).encode())
        for array, kind in ((s.starts, "<i8"), (s.points, "<i4"), (s.volume, "<i8"), (s.oi, "<i8")):
            if array is not None:
                digest.update(array.astype(kind).tobytes())
        digest.update(repr(sorted(s.closes.items())).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def january() -> Market:
    """NIFTY to the first monthly expiry of 2024."""
    return by_name(generate(end=JAN_25, start=JAN_1))


@pytest.fixture(scope="module")
def quarter() -> tuple[DemoSeries, DemoSeries]:
    """Return the index and the volatility index of the default quarter."""
    series = generate()
    return next(series), next(series)


def quads(s: DemoSeries) -> np.ndarray:
    return s.points.reshape(-1, 4)


def options(market: Market, expiry: date) -> list[DemoSeries]:
    return [s for s in market.values() if s.spec.asset == "option" and s.spec.expiry == expiry]


def local(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, IST)


def at(day: date, clock: str) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=IST)
    return int(midnight.timestamp()) * 10**9 + time_of_day(clock)


def closes_at(s: DemoSeries, starts: np.ndarray) -> np.ndarray:
    """Closes in rupees at bar starts; NaN where the bar is not live."""
    k = np.minimum(np.searchsorted(s.starts, starts), len(s.starts) - 1)
    return np.where(s.starts[k] == starts, quads(s)[k, 3] / 100, np.nan)


# --- determinism ------------------------------------------------------------------------------


def test_a_seed_is_the_same_market_everywhere() -> None:
    """Pinned: a change of these bytes is another demo market, and FORMAT must say so."""
    pinned = "1b5c07bf9564b427e36caa7c121c4fd1cc04d2926a516da91de2e3a13ae2ab92"
    assert fingerprint(generate(start=JAN_1, end=date(2024, 1, 4), seed=1)) == pinned


def test_a_later_end_leaves_the_days_before_it_as_they_are() -> None:
    short = by_name(generate(start=JAN_1, end=date(2024, 1, 3), seed=3))
    long = by_name(generate(start=JAN_1, end=date(2024, 1, 9), seed=3))
    assert set(short) <= set(long)
    for name, s in short.items():
        n = len(s.starts)
        assert np.array_equal(s.starts, long[name].starts[:n])
        assert np.array_equal(s.points, long[name].points[: 4 * n])
        if s.volume is not None and s.oi is not None:
            assert np.array_equal(s.volume, long[name].volume[:n])
            assert np.array_equal(s.oi, long[name].oi[:n])
        if n < len(long[name].starts):
            assert local(long[name].starts[n]).date() > date(2024, 1, 3)


def test_another_seed_is_another_market() -> None:
    one, other = (next(generate(start=JAN_1, end=JAN_1, seed=s)) for s in (1, 2))
    assert not np.array_equal(one.points, other.points)


# --- shape of the arrays ----------------------------------------------------------------------


def test_every_series_is_what_a_store_takes(january: Market) -> None:
    grid = Grid(INDIA.sessions(JAN_1, JAN_25))
    for name, s in january.items():
        n = len(s.starts)
        assert n > 0, name
        assert s.starts.dtype == np.int64, name
        assert s.points.dtype == np.int32, name
        assert s.points.shape == (4 * n,), name
        assert (np.diff(s.starts) > 0).all(), name
        assert np.isin(s.starts, grid.starts).all(), name
        assert (s.points > 0).all(), name
        assert (s.points % s.spec.tick == 0).all(), name
        if s.spec.asset == "index":
            assert s.volume is None, name
            assert s.oi is None, name
        else:
            assert s.spec.lot == INDIA.lot_size("NIFTY", s.spec.expiry), name
            assert s.volume.dtype == s.oi.dtype == np.int64, name
            assert s.volume.shape == s.oi.shape == (n,), name
            assert s.volume.min() >= s.spec.lot, name
            assert not (s.volume % s.spec.lot).any(), name
            assert not (s.oi % s.spec.lot).any(), name
            assert s.oi.min() >= 0, name


def test_extremes_lie_between_open_and_close(january: Market) -> None:
    for name, s in january.items():
        q = quads(s)
        assert np.array_equal(q[:, 1:3].max(axis=1), q.max(axis=1)), name
        assert np.array_equal(q[:, 1:3].min(axis=1), q.min(axis=1)), name


def test_an_option_takes_its_path_from_the_index(january: Market) -> None:
    """Its extremes come in the index's order: a call's the same, a put's mirrored."""
    index = january["NIFTY"]
    spot = quads(index)
    wide = np.ptp(spot, axis=1) > 800  # a move of 8 points leaves no doubt
    assert wide.sum() > 500
    high_first = dict(zip(index.starts[wide], (spot[:, 1] > spot[:, 2])[wide], strict=True))
    for right in ("CE", "PE"):
        s = january[f"NIFTY {MONTHLY} 21700 {right}"]
        q = quads(s)
        same = [
            (q[i, 1] > q[i, 2]) == (high_first[t] == (right == "CE"))
            for i, t in enumerate(s.starts.tolist())
            if t in high_first and q[i, 1] != q[i, 2]
        ]
        assert len(same) > 300
        assert np.mean(same) > 0.99


def test_the_order_of_the_extremes_is_the_paths_own(january: Market) -> None:
    """Not always the extreme nearer to the open comes first."""
    q = quads(january["NIFTY"])
    nearer = abs(q[:, 1] - q[:, 0]) <= abs(q[:, 2] - q[:, 0])
    assert 0.6 < nearer.mean() < 0.97


# --- the index --------------------------------------------------------------------------------


def test_special_sessions_appear_as_they_were(quarter: tuple[DemoSeries, DemoSeries]) -> None:
    index, _ = quarter
    days = np.array([local(t).date() for t in index.starts.tolist()])
    assert sorted(index.closes) == [s.day for s in INDIA.sessions(JAN_1, QUARTER_END)]
    assert 370 <= (days == date(2024, 1, 20)).sum() <= 375
    assert 100 <= (days == date(2024, 3, 2)).sum() <= 105


def test_the_index_moves_like_one(quarter: tuple[DemoSeries, DemoSeries]) -> None:
    index, vix = quarter
    close = quads(index)[:, 3] / 100
    overnight = np.diff(index.starts) > 10 * MINUTE
    returns = np.diff(np.log(close))
    minute = np.array([local(t).hour * 60 + local(t).minute for t in index.starts[1:].tolist()])

    inside = abs(returns[~overnight & (minute > 9 * 60 + 45)])
    inside = np.minimum(inside, np.quantile(inside, 0.999))
    for lag in (1, 5, 20):  # volatility clusters: noise would stay within 0.02
        assert np.corrcoef(inside[:-lag], inside[lag:])[0, 1] > 0.08
    assert abs(np.corrcoef(returns[~overnight][:-1], returns[~overnight][1:])[0, 1]) < 0.05

    def size(a: int, b: int) -> float:
        return float(abs(returns[~overnight & (minute >= a) & (minute < b)]).mean())

    noon = size(12 * 60, 13 * 60)
    assert size(9 * 60 + 16, 9 * 60 + 30) > 1.4 * noon
    assert size(15 * 60 + 15, 15 * 60 + 30) > 1.05 * noon
    assert 0.0005 < abs(returns[overnight]).mean() < 0.01  # gaps
    assert abs(returns[~overnight]).max() > 8 * returns[~overnight].std()  # jumps

    level = quads(vix)[:, 3] / 100
    last = np.append(np.flatnonzero(overnight), len(close) - 1)
    daily, change = np.diff(np.log(close[last])), np.diff(np.log(level[last]))
    assert np.corrcoef(daily, change)[0, 1] < -0.4  # leverage
    realised = daily.std() * sqrt(252) * 100
    assert 7 < realised < 20
    assert 0.9 * realised < level.mean() < 1.6 * realised
    assert vix.spec.symbol == VIX


def test_a_premium_is_paid_for_volatility() -> None:
    """Over many years of days the volatility index stands above what is realised."""
    implied, realised = [], []
    for seed in range(8):
        series = generate(seed=seed)
        close, day = quads(next(series))[:, 3], []
        level = quads(next(series))[:, 3] / 100
        day = close[374::375][:55].astype(float)
        implied.append((level**2).mean())
        realised.append(np.diff(np.log(day)).var() * 252 * 1e4)
    assert 1.0 < sqrt(np.mean(implied) / np.mean(realised)) < 1.35


def test_the_index_misses_a_minute_now_and_then(quarter: tuple[DemoSeries, DemoSeries]) -> None:
    index, _ = quarter
    grid = Grid(INDIA.sessions(JAN_1, QUARTER_END))
    assert 1 <= grid.n - len(index.starts) <= 40


def test_the_official_close_is_the_last_half_hours_mean(january: Market) -> None:
    index = january["NIFTY"]
    q = quads(index) / 100
    for day, raw in index.closes.items():
        last = (index.starts >= at(day, "15:00")) & (index.starts < at(day, "15:30"))
        estimate = q[last].mean()  # (O + H + L + C) / 4 of its minutes
        assert raw / 100 == pytest.approx(estimate, abs=5)
        assert raw % 5 == 0


# --- prices of options ------------------------------------------------------------------------


def black_iv(forward: float, strike: float, price: float, right: str) -> float:
    """Total deviation to expiry by bisection, for an undiscounted option."""
    sign = 1 if right == "CE" else -1

    def n(x: float) -> float:
        return (1 + erf(x / sqrt(2))) / 2

    low, high = 1e-5, 1.0
    for _ in range(60):
        s = (low + high) / 2
        d1 = log(forward / strike) / s + s / 2
        value = sign * (forward * n(sign * d1) - strike * n(sign * (d1 - s)))
        low, high = (low, s) if value > price else (s, high)
    return s


def test_normal_distribution() -> None:
    x = np.linspace(-7, 7, 20_001).astype(np.float32)
    exact = np.array([(1 + erf(v / sqrt(2))) / 2 for v in x.astype(float).tolist()])
    assert abs(normal_cdf(x) - exact).max() < 1e-7


def test_put_call_parity(january: Market) -> None:
    """The synthetic forward is the same at every strike, and is the monthly future."""
    future = january[f"NIFTY {MONTHLY} FUT"]
    minutes = future.starts[(future.starts < at(MONTHLY, "09:15"))][::7]
    traded = closes_at(future, minutes)
    for strike in (21500, 21700, 22000):
        call = closes_at(january[f"NIFTY {MONTHLY} {strike} CE"], minutes)
        put = closes_at(january[f"NIFTY {MONTHLY} {strike} PE"], minutes)
        error = strike + call - put - traded
        error = error[~np.isnan(error)]
        assert len(error) > 300
        assert abs(error).max() < 0.16  # three prices, each within 3/4 tick of the model


def test_nothing_is_cheaper_than_its_intrinsic_value(january: Market) -> None:
    future = january[f"NIFTY {MONTHLY} FUT"]
    checked = 0
    for s in options(january, MONTHLY):
        forward = closes_at(future, s.starts)
        sign = 1 if s.spec.right == "CE" else -1
        gap = quads(s)[:, 3] / 100 - np.maximum(sign * (forward - s.spec.strike), 0)
        assert np.nanmin(gap) > -0.1, s.spec
        checked += len(gap)
    assert checked > 100_000


def test_no_call_costs_more_than_one_of_a_lower_strike(january: Market) -> None:
    when = np.array([at(date(2024, 1, 9), "11:00") + i * MINUTE for i in range(60)])
    for right, sign in (("CE", -1), ("PE", 1)):
        chain = [closes_at(s, when) for s in options(january, WEEKLY) if s.spec.right == right]
        steps = sign * np.diff(np.array(chain), axis=0)
        assert np.isfinite(steps).sum() > 500
        assert np.nanmin(steps) > -0.1


def test_the_smile_leans_to_the_puts(january: Market) -> None:
    when = np.array([at(date(2024, 1, 8), "10:00") + i * MINUTE for i in range(120)])
    forward = closes_at(january[f"NIFTY {MONTHLY} FUT"], when)

    def iv(strike: float, right: str) -> float:
        price = closes_at(january[f"NIFTY {MONTHLY} {strike:.0f} {right}"], when)
        found = [
            black_iv(f, strike, p, right)
            for f, p in zip(forward.tolist(), price.tolist(), strict=True)
            if f == f and p == p
        ]
        assert len(found) > 5
        return float(np.median(found))

    spot = float(np.nanmedian(forward))
    money = round(spot / 50) * 50
    width = round(spot * iv(money, "CE") / 50) * 50  # one deviation
    middle = iv(money, "PE")
    assert middle == pytest.approx(iv(money, "CE"), rel=0.01)
    down, up = iv(money - width, "PE"), iv(money + width, "CE")
    further = iv(money - 2 * width, "PE")
    assert down / middle == pytest.approx(1.135, abs=0.02)  # as docs/demo-market.md says
    assert up / middle == pytest.approx(0.935, abs=0.02)
    assert further > down + 0.1 * middle
    assert down + up > 2 * middle  # it is curved


def test_nearer_and_further_expiries_follow_the_volatility_index(january: Market) -> None:
    """At-the-money volatility per square root of trading days stands near the VIX."""
    when = np.array([at(date(2024, 1, 4), "15:29")])
    index, vix = (float(closes_at(january[n], when)[0]) for n in ("NIFTY", VIX))
    for expiry, days in ((WEEKLY, 5), (date(2024, 1, 18), 10), (MONTHLY, 16)):
        strike = round(index / 50) * 50
        call, put = (
            next(
                p
                for p in quads(january[f"NIFTY {expiry} {strike} {r}"])[
                    january[f"NIFTY {expiry} {strike} {r}"].starts <= when[0]
                ][::-1, 3].tolist()
            )
            / 100
            for r in ("CE", "PE")
        )
        straddle = call + put - abs(call - put)  # twice the time value
        implied = straddle / (0.7979 * index * sqrt(days / 252)) * 100
        assert implied == pytest.approx(vix, rel=0.2), expiry


@pytest.mark.parametrize("expiry", [date(2024, 1, 4), WEEKLY, date(2024, 1, 18), MONTHLY])
def test_options_die_at_their_settlement_value(january: Market, expiry: date) -> None:
    settled = january["NIFTY"].closes[expiry] / 100
    last = at(expiry, "15:29")
    checked = 0
    for s in options(january, expiry):
        assert s.starts[-1] <= last
        if s.starts[-1] == last:
            sign = 1 if s.spec.right == "CE" else -1
            worth = max(sign * (settled - s.spec.strike), 0.05)
            assert s.points[-1] / 100 == pytest.approx(worth, abs=0.051), s.spec
            checked += 1
    assert checked > 10


# --- who is listed, who trades ----------------------------------------------------------------


def test_expiries_are_the_dated_ones(january: Market) -> None:
    listed = {s.spec.expiry for s in january.values() if s.spec.asset == "option"}
    futures = {s.spec.expiry for s in january.values() if s.spec.asset == "future"}
    dated = INDIA.expiry_dates("NIFTY", JAN_1, date(2024, 4, 30))
    months = INDIA.expiry_dates("NIFTY", JAN_1, date(2024, 4, 30), "monthly")
    assert listed <= set(dated)
    assert sorted(listed)[:7] == dated[:7]
    assert futures == set(months[:3])
    first_day = {
        s.spec.expiry
        for s in january.values()
        if s.spec.asset == "option" and local(s.starts[0]).date() == JAN_1
    }
    assert first_day == set(dated[:4]) | set(months[:3])
    assert (dated[0], months[0]) == (date(2024, 1, 4), JAN_25)


def test_strikes_are_listed_as_the_index_moves() -> None:
    market = by_name(generate(seed=1))  # a quarter that falls by a tenth
    ends = {s.spec.strike: local(s.starts[0]).date() for s in options(market, QUARTER_END)}
    strikes = sorted(ends)
    assert all(b - a == 50 for a, b in pairwise(strikes))
    spot = market["NIFTY"].closes
    days = sorted(spot)
    for strike, first in ends.items():
        seen = [spot[d] / 100 for d in days if d < first][-400:] or [21_700.0]
        assert min(seen) * 0.92 < strike < max(seen) * 1.08
    lowest = strikes[0]
    assert ends[lowest] > date(2024, 1, 10)
    assert lowest < 21_700 * 0.92 < strikes[-1]


def test_far_strikes_trade_less(january: Market) -> None:
    money = january["NIFTY"].closes[date(2024, 1, 5)] / 100

    def of(s: DemoSeries) -> tuple[float, float]:
        on = (s.starts > at(date(2024, 1, 8), "09:00")) & (s.starts < at(date(2024, 1, 8), "16:00"))
        return float(on.sum()) / 375, float(s.volume[on].sum())

    chain = [
        s for s in options(january, WEEKLY) if (s.spec.strike > money) == (s.spec.right == "CE")
    ]
    near = [of(s) for s in chain if abs(s.spec.strike - money) < 150]
    far = [of(s) for s in chain if abs(s.spec.strike - money) > 900]
    assert min(share for share, _ in near) > 0.95
    assert np.mean([share for share, _ in far]) < 0.8
    assert 0 < np.mean([v for _, v in far]) < 0.05 * np.mean([v for _, v in near])
    later = [
        of(january[f"NIFTY 2024-01-25 {s.spec.strike:.0f} {s.spec.right}"])[0]
        for s in chain
        if abs(s.spec.strike - money) < 900
    ]
    assert np.mean(later) < np.mean([of(s)[0] for s in chain if abs(s.spec.strike - money) < 900])


def test_round_strikes_are_liked_most(january: Market) -> None:
    volume = {
        s.spec.strike: s.volume.sum() for s in options(january, MONTHLY) if s.spec.right == "CE"
    }
    assert volume[21500] > 1.3 * (volume[21450] + volume[21550]) / 2
    assert volume[22000] > 1.3 * (volume[21950] + volume[22050]) / 2


def test_open_interest_builds_and_leaves_on_the_last_day(january: Market) -> None:
    s = january["NIFTY 2024-01-18 21700 PE"]
    days = np.array([local(t).date() for t in s.starts.tolist()])
    ends = {d: int(s.oi[days == d][-1]) for d in sorted(set(days.tolist()))}
    assert ends[date(2024, 1, 16)] > 1.5 * ends[date(2024, 1, 2)]
    assert ends[date(2024, 1, 18)] < 0.7 * ends[date(2024, 1, 17)]


def test_a_busy_contract_stands_still_now_and_then() -> None:
    """In a day of a contract that trades every minute, one hole of several: a halt."""
    halts = []
    for s in generate():
        if s.spec.asset == "option" and len(s.starts) > 1000:
            for day in np.split(s.starts, np.flatnonzero(np.diff(s.starts) > 180 * MINUTE) + 1):
                steps = np.diff(day) // MINUTE
                if len(day) > 350 and steps.max() > 5 and (steps < 4).sum() == len(steps) - 1:
                    halts.append(int(steps.max()) - 1)
    assert 3 <= len(halts) <= 20
    assert max(halts) <= 17


# --- other markets, other rules, other input ----------------------------------------------------


def test_banknifty_lives_in_the_same_market(quarter: tuple[DemoSeries, DemoSeries]) -> None:
    market = by_name(generate("BANKNIFTY", start=JAN_1, end=date(2024, 1, 3)))
    chain = options(market, date(2024, 1, 3))
    assert {s.spec.strike % 100 for s in chain} == {0}
    assert {s.spec.lot for s in chain} == {15}
    assert market["BANKNIFTY"].closes[date(2024, 1, 3)] > 4_000_000
    nifty, vix = quarter
    n = len(market[VIX].starts)
    assert np.array_equal(market[VIX].points, vix.points[: 4 * n])  # one volatility index for both
    moves = [np.diff(np.log(quads(s)[:n, 3])) for s in (market["BANKNIFTY"], nifty)]
    assert 0.7 < np.corrcoef(*moves)[0, 1] < 0.95


def test_after_the_closing_auction_rule_options_die_at_the_printed_value() -> None:
    """From 2026-08-03 the index stops at 15:15, prints once, and options trade on to 15:40."""
    day = date(2026, 8, 4)
    market = by_name(generate(start=date(2026, 8, 3), end=day))
    index = market["NIFTY"]
    clock = [local(t) for t in index.starts.tolist() if local(t).date() == day]
    late = [t for t in clock if t.strftime("%H:%M") >= "15:15"]
    assert len(late) == 1
    assert set(index.points[-4:].tolist()) == {index.closes[day]}
    for s in options(market, day):
        if s.starts[-1] == at(day, "15:39"):
            sign = 1 if s.spec.right == "CE" else -1
            worth = max(sign * (index.closes[day] / 100 - s.spec.strike), 0.05)
            assert s.points[-1] / 100 == pytest.approx(worth, abs=0.051)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ContractNotFound, match="Did you mean 'NIFTY'"):
        generate("NIFTI")
    with pytest.raises(UsageError, match="a start before its end"):
        generate(start=date(2024, 2, 1), end=JAN_1)
    with pytest.raises(UsageError, match="whole number"):
        generate(seed=-1)
    with pytest.raises(UsageError, match="no trading day"):
        next(generate(start=date(2024, 1, 6), end=date(2024, 1, 7)))


class Memory:
    """A store that keeps what it is given."""

    already = None

    def __init__(self) -> None:
        self.how: dict[str, object] = {}
        self.kept: list[tuple[str, int]] = []
        self.closes: dict[date, int] = {}

    @contextmanager
    def importing(self, source: str, **how: object) -> Iterator[Memory]:
        self.how = {"source": source, **how}
        yield self

    def write(self, spec, starts, points, *, volume=None, oi=None) -> None:  # type: ignore[no-untyped-def]
        assert (volume is None) == (oi is None) == (spec.asset == "index")
        self.kept.append((str(spec), len(starts)))

    def close(self, symbol: str, day: date, raw: int) -> None:
        assert symbol == "NIFTY"
        self.closes[day] = raw


def test_writing_says_synthetic_and_what_was_written() -> None:
    store, told = Memory(), []
    end = date(2024, 1, 4)
    summary = write_demo(store, start=JAN_1, end=end, progress=lambda *how: told.append(how))
    expected = by_name(generate(start=JAN_1, end=end))
    assert store.kept == [(name, len(s.starts)) for name, s in expected.items()]
    assert store.closes == expected["NIFTY"].closes
    assert store.how["synthetic"] is True
    assert store.how["format"] == "demo"
    assert "synthetic" in str(store.how["source"])
    assert len(str(store.how["sha256"])) == 64
    assert summary.contracts == len(expected)
    assert summary.bars == sum(n for _, n in store.kept)
    assert summary.seed == SEED
    assert "Synthetic" in str(summary)
    expiries = sorted({s.spec.expiry for s in expected.values() if s.spec.expiry})
    assert told == [(n, len(expiries), str(day)) for n, day in enumerate(expiries, 1)]

    again = Memory()
    write_demo(again, start=JAN_1, end=end, seed=99)
    assert again.how["sha256"] != store.how["sha256"]


def test_an_interrupt_says_that_nothing_is_stored(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with closing(Store.open(tmp_path / "store.sqlite")) as store:
        with pytest.raises(Interrupted, match="nothing of the synthetic market is stored"):
            write_demo(store, start=JAN_1, end=date(2024, 1, 4), progress=interrupt)
        assert store.is_empty
        assert not write_demo(store, start=JAN_1, end=date(2024, 1, 4)).already


def test_a_store_gives_back_what_was_written(tmp_path: Path) -> None:
    day = date(2024, 1, 2)
    store = Store.open(tmp_path / "demo.sqlite")
    try:
        summary = write_demo(store, start=JAN_1, end=day)
        assert store.synthetic("NIFTY")
        expected = by_name(generate(start=JAN_1, end=day))
        assert summary.bars == sum(len(s.starts) for s in expected.values())
        frame = store.prices("NIFTY", JAN_1, day)
        assert len(frame) == len(expected["NIFTY"].starts)
        assert frame["close"].iloc[-1] == expected["NIFTY"].points[-1] / 100
        again = write_demo(store, start=JAN_1, end=day)
        assert again.already
        assert again.bars == 0
        assert "already" in str(again)
    finally:
        store.close()
