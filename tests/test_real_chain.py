"""Five strategies over all of the real chains of 2019, with charges and blocks.

Every fill is compared with the raw page of its moment, and one trade of each strategy is worked
out by hand from the raw files: what was picked, what was paid, what it came to, what it cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bestbt import Backtest, Buy, Sell, Strategy, at
from bestbt.run import Run
from bestbt.store.store import Store
from bestbt.units import MONEY_SCALE
from tests.chain_2019 import Archive, Deal, Page, Right, Row, bill, by_delta, by_strike
from tests.store.closes_2019 import CLOSES

ARCHIVE = "nse_index_chains_20190516_20190731.tar.xz"
BAR = timedelta(minutes=15)
EID = date(2019, 6, 5)
LOT = 75  # of NIFTY, until 2019-07 and in all contracts of the archive
CLOSE = {(c.symbol, c.day): round(c.value * 100) for c in CLOSES}
BOTH: tuple[Right, Right] = ("CE", "PE")


# --- the strategies ------------------------------------------------------------------------------


class Straddle(Strategy):
    """Three times a day sells what it does not hold of the straddle; done for the day if stopped.

    It leaves at three; on an expiry day it lets what is left settle.
    """

    def sell_both(self) -> None:
        if not self.expiries():  # the archive begins at noon
            return
        held = {p.contract.right for p in self.get_opened_positions()}
        for right in BOTH:
            if right not in held:
                self.sell(self.get_atm(right), lots=1, sl="30%", tag="straddle")

    @at("10:00")
    def early(self) -> None:
        self.sell_both()

    @at("12:00")
    def noon(self) -> None:
        self.sell_both()

    @at("13:30")
    def late(self) -> None:
        self.sell_both()

    def on_stop(self, fill: Any) -> None:
        self.block_for_day(reason="stopped")

    @at("15:00")
    def leave(self) -> None:
        if self.expiries() and self.get_closest_expiry() != self.today:
            self.exit_all()


class Strangle(Strategy):
    """Sells a delta of 0.2 on both sides until expiry; one stop ends the week."""

    @at("10:30")
    def enter(self) -> None:
        if self.expiries() and not self.is_position_opened():
            for right in BOTH:
                self.sell(self.get_by_delta(right, 0.2), lots=2, sl="150%", tag="strangle")

    def on_stop(self, fill: Any) -> None:
        self.block_this_week(reason="stopped", close_positions=True)


class Condor(Strategy):
    """Sells 1 % and buys 2 % out of the money until expiry; after a loss waits for the monthly."""

    @at("11:00")
    def enter(self) -> None:
        if (
            not self.expiries()
            or self.is_position_opened()
            or self.get_closest_expiry() == self.today
        ):
            return
        legs: list[Buy | Sell] = [Sell(self.get_by_percent(right, 1), 1) for right in BOTH]
        legs += [Buy(self.get_by_percent(right, 2), 1) for right in BOTH]
        self.combo(legs, tag="condor")

    def on_bar(self) -> None:
        if not self.blocked and self.get_unrealized_pnl() < -2_500:
            self.block_till_monthly_expiry(reason="a condor has lost")


class Calendar(Strategy):
    """Sells the nearest call at the money and buys that of the week after; pauses between two."""

    @at("10:00")
    def enter(self) -> None:
        if not self.expiries() or self.is_position_opened():
            return
        near, far = self.get_weekly_expiry(0), self.get_weekly_expiry(1)
        sold = self.get_atm("CE", near)
        if sold is not None and (sold.dte or 0) >= 2:
            bought = self.option(sold.strike or 0, "CE", far)
            self.combo([Sell(sold, 1), Buy(bought, 1)], tag="calendar")

    @at("14:45")
    def leave(self) -> None:
        if any(p.contract.dte == 0 for p in self.get_opened_positions()):
            self.exit_all()
            self.block_for_n_days(2, reason="a calendar has ended")


class ShortPut(Strategy):
    """Holds a short put of delta 0.2, rolled to the next week on each expiry day."""

    @at("10:15")
    def enter(self) -> None:
        if self.expiries() and not self.is_position_opened():
            self.sell(self.get_by_delta("PE", 0.2), lots=1, sl="200%", tag="put")

    @at("14:00")
    def roll_on(self) -> None:
        for position in self.get_opened_positions():
            if position.contract.dte == 0:
                self.roll(position, to="delta:0.2", expiry=self.get_weekly_expiry(1))

    def on_stop(self, fill: Any) -> None:
        self.block_for_n_days(2, reason="stopped")


CASES: list[tuple[type[Strategy], str]] = [
    (Straddle, "NIFTY"),
    (Straddle, "BANKNIFTY"),
    (Strangle, "NIFTY"),
    (Condor, "NIFTY"),
    (Calendar, "NIFTY"),
    (ShortPut, "NIFTY"),
]
every = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0].__name__}-{c[1]}")


# --- the data, and the runs ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw(shared: Path) -> Archive:
    return Archive(shared / "data" / "chain_2019" / ARCHIVE)


@pytest.fixture(scope="module")
def store(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """All of the archive, and the official closes of its expiries."""
    folder = tmp_path_factory.mktemp("chains")
    closes = folder / "closes.csv"
    rows = [f"{c.symbol},{c.day},{c.value}" for c in CLOSES]
    closes.write_text("\n".join(["symbol,date,close", *rows]) + "\n")
    opened = Store.open(folder / "prices.sqlite")
    opened.import_file(closes, progress=False)
    report = opened.import_file(shared / "data" / "chain_2019" / ARCHIVE, progress=False)
    assert report.balanced
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def runs(store: Store) -> dict[Any, Run]:
    return {case: backtest(case, store).run() for case in CASES}


def backtest(case: tuple[type[Strategy], str], store: Store) -> Backtest:
    return Backtest(case[0], store, case[1], bar="15min")


def start(run: Run, bar: int) -> datetime:
    return run.grid.to_local(run.grid.time(bar)).replace(tzinfo=None)


def key(contract: Any) -> tuple[float, Right]:
    return contract.strike, contract.right


def quote(row: Row, qty: int) -> int:
    return row.ask if qty > 0 else row.bid


# --- what holds of each --------------------------------------------------------------------------


@every
def test_every_fill_is_a_quote_of_its_page(case: Any, runs: dict[Any, Run], raw: Archive) -> None:
    """The side it takes, of a page that repeats no other and is newer than all that was seen."""
    run, symbol = runs[case], case[1]
    seen: set[date] = set()
    for fill in run.result.fills:
        if fill.kind == "settlement":
            continue
        contract, closes = fill.contract, start(run, fill.bar) + BAR
        assert contract.expiry is not None
        page = raw.page(symbol, contract.expiry, closes)
        assert page is not None, (contract.name, closes)
        row = page.rows[key(contract)]
        assert round(fill.price * 100) == quote(row, fill.qty) > 0, (contract.name, closes, row)
        assert fill.slippage == 0
        before = raw.pages(symbol, start(run, fill.order.placed) + BAR)
        assert all(old.stamp < page.stamp for old in before)
        seen.add(closes.date())
    # 5 June was a holiday: the pages of each expiry repeat one
    assert EID not in seen
    assert EID not in {s.day for s in run.grid.sessions}
    assert raw.repeats[EID] / (raw.repeats[EID] + raw.fresh[EID]) > 0.9


@every
def test_what_expires_settles_and_is_gone(case: Any, runs: dict[Any, Run]) -> None:
    run, symbol = runs[case], case[1]
    left: Counter[Any] = Counter()
    for fill in run.result.fills:
        contract = fill.contract
        assert contract.expiry is not None
        left[contract] += fill.qty
        day = start(run, fill.bar).date()
        if fill.kind != "settlement":
            assert day <= contract.expiry
            continue
        close, strike = CLOSE[symbol, contract.expiry], round((contract.strike or 0) * 100)
        worth = close - strike if contract.right == "CE" else strike - close
        assert round(fill.price * 100) == max(worth, 0)
        # on its day, or, where the archive lacks that, at once on the next it has
        assert day == min(s.day for s in run.grid.sessions if s.day >= contract.expiry)
    end = run.grid.sessions[-1].day
    assert {c.name for c, qty in left.items() if qty} == set(run.open_positions["symbol"])
    assert all(c.expiry > end for c, qty in left.items() if qty)
    settled = run.log.loc[run.log["kind"] == "settlement", "values"]
    assert {values["source"] for values in settled} == {"official"}


@every
def test_in_one_go_bar_by_bar_and_rewound(case: Any, runs: dict[Any, Run], store: Store) -> None:
    """The same run; and at each bar the equity is what was won and lost less the charges."""
    stepped = backtest(case, store)
    books = stepped.simulation.desk.portfolio
    charges, read = 0, 0
    for bar in range(stepped.feed.grid.n):
        stepped.step()
        for posting in books.ledger[read:]:
            if posting.account not in ("capital", "premium", "settlement"):
                charges -= posting.amount
        read = len(books.ledger)
        strategy = stepped.simulation.strategy
        won = strategy.get_realized_pnl() + strategy.get_unrealized_pnl()
        made = strategy.equity - books.capital / MONEY_SCALE
        assert round(made * MONEY_SCALE) == round(won * MONEY_SCALE) - charges, bar
    assert stepped.simulation.result.hash == runs[case].hash
    stepped.back(400)
    assert stepped.run().hash == runs[case].hash


@every
def test_equity_is_that_of_the_raw_pages(case: Any, runs: dict[Any, Run], raw: Archive) -> None:
    """Cash by the fills, and what is held at the middle of its newest quotes."""
    run, symbol = runs[case], case[1]
    fills = list(run.result.fills)
    costs = run.ledger[~run.ledger["account"].isin(["capital", "premium", "settlement"])]
    costs_at = pd.DatetimeIndex(costs["time"]).tz_localize(None)
    checked = 0
    for session, bar in enumerate(run.grid.lasts):
        held: Counter[Any] = Counter()
        cash = 0
        for fill in fills:
            if fill.bar <= bar:
                held[fill.contract] += fill.qty
                cash -= fill.qty * round(fill.price * 100)
        worth = [mark(run, raw, symbol, c, bar) * qty for c, qty in held.items() if qty]
        paid = costs["amount"][costs_at.to_numpy() <= np.datetime64(start(run, bar))].sum()
        own = run.capital + (cash + sum(worth)) / 100 + paid
        assert run.equity.iloc[bar] == pytest.approx(own, abs=0.001), run.grid.sessions[session]
        checked += bool(worth)
    assert checked >= (0 if case[0] is Straddle else 15)


def mark(run: Run, raw: Archive, symbol: str, contract: Any, bar: int) -> int:
    """Paise of a unit at the newest bar in which a contract was quoted."""
    while True:
        page = raw.page(symbol, contract.expiry, start(run, bar) + BAR)
        row = page and page.rows.get(key(contract))
        if row and row.bid and row.ask:
            return (row.bid + row.ask + 1) // 2
        if row and row.last and (row.bid or row.ask):
            return row.last
        bar -= 1


@every
def test_it_trades_as_often_as_it_should(case: Any, runs: dict[Any, Run]) -> None:
    run, (strategy, _) = runs[case], case
    sessions, trades = len(run.grid.sessions), len(run.trades)
    least, most = {
        Straddle: (60, 3 * 2 * sessions),
        Strangle: (16, 2 * sessions),
        Condor: (12, 40),
        Calendar: (8, 24),
        ShortPut: (6, 16),
    }[strategy]
    assert least <= trades <= most
    assert sessions == 42
    ended = Counter(run.orders["status"])
    assert ended["rejected"] <= 12  # the vendor has no page of the next quarter of an hour
    assert ended["working"] == 0
    entries = run.fills[run.fills["kind"].isin(["entry", "roll"])]
    assert entries.loc[entries["side"] == "SELL", "price"].min() > 1
    assert run.equity.min() > 0.97 * run.capital


@every
def test_nothing_is_entered_inside_a_block(case: Any, runs: dict[Any, Run]) -> None:
    run, (strategy, _) = runs[case], case
    log = run.log
    begun = log[log["kind"] == "block"]
    assert len(begun) >= 2
    assert log["text"][log["kind"] == "refused"].str.contains("blocked until").sum() >= 2
    days = [s.day for s in run.grid.sessions]
    entries = [
        start(run, f.bar) for f in run.result.fills if f.kind == "entry" and f.order.kind == "entry"
    ]
    monthly = [date(2019, 5, 30), date(2019, 6, 27), date(2019, 7, 25), date(2019, 8, 29)]
    for moment in begun["time"]:
        said = moment.tz_localize(None).to_pydatetime()
        day, at_ = said.date(), days.index(said.date())
        if strategy is Straddle:
            free = days[at_ + 1 :]
        elif strategy is Strangle:
            free = [d for d in days if d.isocalendar() > (*day.isocalendar()[:2], 7)]
        elif strategy is Condor:
            free = [d for d in days if d > min(e for e in monthly if e >= day)]
        else:
            free = days[at_ + 2 :]
        shut = {d for d in days[at_:] if d not in free}
        assert not [e for e in entries if e >= said and e.date() in shut]


def test_the_figures_told_in_the_documentation(runs: dict[Any, Run], store: Store) -> None:
    """What docs/importing.md says of these runs."""
    entered = [o for r in runs.values() for o in r.result.orders if not o.is_exit]
    entries = [o for o in entered if o.kind in ("entry", "roll")]
    assert (len(entries), sum(o.status == "rejected" for o in entries)) == (253, 20)
    fills = [(run, fill) for run in runs.values() for fill in run.result.fills]
    assert sum(f.kind == "exit" and f.bar > f.order.placed + 1 for _, f in fills) == 10
    late = [f for r, f in fills if f.contract.expiry and start(r, f.bar).date() > f.contract.expiry]
    assert (len(late), {f.kind for f in late}) == (16, {"settlement"})
    beyond = [f.price / (f.order.trigger or 0) - 1 for _, f in fills if f.kind == "stop"]
    assert (len(beyond), round(median(beyond), 2), round(max(beyond), 2)) == (70, 0.05, 0.61)
    assert [len(store.prices(symbol, bar="15min")) for symbol in ("NIFTY", "BANKNIFTY")] == [
        902,
        851,
    ]
    assert runs[CASES[0]].grid.n == 1_050
    assert len(runs[CASES[0]].bt.feed.missing_days) == 54 - 42


# --- one trade of each by hand -------------------------------------------------------------------


def now(text: str) -> datetime:
    return datetime.fromisoformat(f"2019-{text}")


class Hand:
    """Works a trade out on the raw pages of NIFTY."""

    def __init__(self, raw: Archive) -> None:
        self.raw = raw
        self.deals: list[Deal] = []

    def page(self, expiry: date, closes: datetime) -> Page:
        page = self.raw.page("NIFTY", expiry, closes)
        assert page is not None
        return page

    def spot(self, closes: datetime) -> int:
        """What the page of a moment shows that was written last."""
        return [p.spot for p in self.raw.pages("NIFTY", closes) if p.spot][-1]

    def deal(self, expiry: date, strike: float, right: Right, qty: int, said: datetime) -> int:
        """Trade what was decided at a moment: on the page of the next one."""
        row = self.page(expiry, said + BAR).rows[strike, right]
        self.deals.append(Deal(said.date(), name(expiry, strike, right), qty, quote(row, qty)))
        return quote(row, qty)

    def settle(self, expiry: date, strike: float, right: Right, qty: int) -> None:
        close = CLOSE["NIFTY", expiry]
        worth = close - strike * 100 if right == "CE" else strike * 100 - close
        paise = round(max(worth, 0))
        self.deals.append(Deal(expiry, name(expiry, strike, right), qty, paise, close))

    def stopped(
        self,
        expiry: date,
        strike: float,
        right: Right,
        level: int,
        since: datetime,
        until: datetime,
    ) -> datetime | None:
        """When a stop above a short's price is touched, looking from one page to the next."""
        before = self.page(expiry, since).rows[strike, right]
        while since < until:
            since += BAR
            page = self.raw.page("NIFTY", expiry, since)
            if page is None:  # the vendor has none
                continue
            row = page.rows[strike, right]
            traded = row.volume > before.volume or row.last != before.last
            if (row.last if traded else row.ask) >= level:
                return since
            before = row
        return None

    @property
    def profit(self) -> Decimal:
        """Before charges, in rupees."""
        return Decimal(-sum(d.qty * d.price for d in self.deals)) / 100


def name(expiry: date, strike: float, right: Right) -> str:
    return f"NIFTY {expiry} {strike:g} {right}"


def above(price: int, percent: int) -> int:
    """Paise of a level so far above a price, to the nearest tick of five, halves up."""
    return 5 * int(Fraction(price * (100 + percent), 500) + Fraction(1, 2))


def compare(run: Run, hand: Hand) -> None:
    """The run's trades in these contracts, entered when the first of them was, are the hand's."""
    entered, names = hand.deals[0].day, {deal.contract for deal in hand.deals}
    fills = [
        (start(run, f.bar).date(), f.contract.name, f.qty, round(f.price * 100))
        for f in run.result.fills
        if f.contract.name in names and start(run, f.bar).date() >= entered
    ][: len(hand.deals)]
    assert sorted(fills) == sorted(deal[:4] for deal in hand.deals)
    trades = run.trades
    days = pd.DatetimeIndex(trades["entry_time"]).tz_localize(None).date
    mine = trades[trades["symbol"].isin(names) & (days >= entered)].iloc[: len(hand.deals) // 2]
    assert Decimal(f"{mine['pnl'].sum():.2f}") == hand.profit
    assert Decimal(f"{mine['charges'].sum():.2f}") == bill(hand.deals)


def test_a_straddle_by_hand(runs: dict[Any, Run], raw: Archive) -> None:
    """20 May: the market opens far above the exit polls; the call is stopped, the put is left."""
    hand, expiry, ten, three = Hand(raw), date(2019, 5, 23), now("05-20 10:00"), now("05-20 15:00")
    strike = by_strike(hand.page(expiry, ten), "CE", hand.spot(ten))
    assert strike == 11_650
    sold = {right: hand.deal(expiry, strike, right, -LOT, ten) for right in BOTH}
    assert sold == {"CE": 20_605, "PE": 17_005}
    levels = {right: above(price, 30) for right, price in sold.items()}
    assert levels == {"CE": 26_785, "PE": 22_105}
    hit = hand.stopped(expiry, strike, "CE", levels["CE"], ten + BAR, three)
    assert hit == now("05-20 13:45")
    assert hand.deal(expiry, strike, "CE", LOT, hit - BAR) == 27_665
    assert hand.stopped(expiry, strike, "PE", levels["PE"], ten + BAR, three) is None
    assert hand.deal(expiry, strike, "PE", LOT, three) == 12_465
    assert (hand.profit, bill(hand.deals)) == (Decimal("-1890.00"), Decimal("144.03"))
    compare(runs[Straddle, "NIFTY"], hand)


def test_a_strangle_by_hand(runs: dict[Any, Run], raw: Archive) -> None:
    """3 June: the call is stopped, and the block closes the put in the next quarter of an hour."""
    hand, expiry, said = Hand(raw), date(2019, 6, 6), now("06-03 10:30")
    page = hand.page(expiry, said)
    strikes = {right: by_delta(page, right, 0.2, expiry, said) for right in BOTH}
    assert strikes == {"CE": 12_100, "PE": 11_800}
    sold = {right: hand.deal(expiry, k, right, -2 * LOT, said) for right, k in strikes.items()}
    assert sold == {"CE": 1_495, "PE": 2_110}
    level = above(sold["CE"], 150)
    assert level == 3_740
    hit = hand.stopped(expiry, strikes["CE"], "CE", level, said + BAR, now("06-03 15:30"))
    assert hit == now("06-03 14:30")
    level = above(sold["PE"], 150)
    assert hand.stopped(expiry, strikes["PE"], "PE", level, said + BAR, hit) is None
    assert hand.deal(expiry, strikes["CE"], "CE", 2 * LOT, hit - BAR) == 4_320
    assert hand.deal(expiry, strikes["PE"], "PE", 2 * LOT, hit) == 845
    assert (hand.profit, bill(hand.deals)) == (Decimal(-2_340), Decimal("105.44"))
    compare(runs[Strangle, "NIFTY"], hand)


def test_a_condor_by_hand(runs: dict[Any, Run], raw: Archive) -> None:
    """17 to 23 May: an election lifts the index beyond the wing.

    The call that was bought is in the money when it settles, and pays tax on the index's value.
    """
    hand, expiry, said = Hand(raw), date(2019, 5, 23), now("05-17 11:00")
    page, spot = hand.page(expiry, said), hand.spot(said)
    for percent, qty in ((1, -LOT), (2, LOT)):
        for right, away in zip(BOTH, (percent, -percent), strict=True):
            strike = by_strike(page, right, spot * (100 + away) / 100)
            hand.deal(expiry, strike, right, qty, said)
            hand.settle(expiry, strike, right, -qty)
    assert [(d.contract[-8:], d.qty, d.price) for d in hand.deals] == [
        ("11400 CE", -75, 19_455),
        ("11400 CE", 75, 25_705),
        ("11200 PE", -75, 20_615),
        ("11200 PE", 75, 0),
        ("11550 CE", 75, 13_140),
        ("11550 CE", -75, 10_705),
        ("11100 PE", 75, 17_185),
        ("11100 PE", -75, 0),
    ]
    # 1,093 of it is 0.125 % of 75 times 11,657.05; the call that was sold pays no such tax
    assert (hand.profit, bill(hand.deals)) == (Decimal("-3941.25"), Decimal("1234.67"))
    compare(runs[Condor, "NIFTY"], hand)


def test_a_calendar_by_hand(runs: dict[Any, Run], raw: Archive) -> None:
    """27 to 30 May: both legs leave on the near one's last day."""
    hand, near, far = Hand(raw), date(2019, 5, 30), date(2019, 6, 6)
    said, left = now("05-27 10:00"), now("05-30 14:45")
    strike = by_strike(hand.page(near, said), "CE", hand.spot(said))
    for expiry, qty in ((near, -LOT), (far, LOT)):
        hand.deal(expiry, strike, "CE", qty, said)
        hand.deal(expiry, strike, "CE", -qty, left)
    assert strike == 11_900
    assert [d.price for d in hand.deals] == [7_485, 2_495, 12_440, 9_855]
    assert (hand.profit, bill(hand.deals)) == (Decimal("1803.75"), Decimal("116.19"))
    compare(runs[Calendar, "NIFTY"], hand)


def test_a_rolled_put_by_hand(runs: dict[Any, Run], raw: Archive) -> None:
    """17 to 23 May and on to 30 May: bought back and sold anew on the pages of one moment."""
    hand, expiry = Hand(raw), date(2019, 5, 23)
    said = now("05-17 10:15")
    for following in (date(2019, 5, 30), date(2019, 6, 6)):
        strike = by_delta(hand.page(expiry, said), "PE", 0.2, expiry, said)
        hand.deal(expiry, strike, "PE", -LOT, said)
        said = datetime.combine(expiry, datetime.min.time()).replace(hour=14)
        hand.deal(expiry, strike, "PE", LOT, said)
        expiry = following
    assert [(d.contract[6:], d.qty, d.price) for d in hand.deals] == [
        ("2019-05-23 10700 PE", -75, 7_800),
        ("2019-05-23 10700 PE", 75, 40),
        ("2019-05-30 11500 PE", -75, 3_895),
        ("2019-05-30 11500 PE", 75, 15),
    ]
    assert (hand.profit, bill(hand.deals)) == (Decimal(8_730), Decimal("103.79"))
    compare(runs[ShortPut, "NIFTY"], hand)
