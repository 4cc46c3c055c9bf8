from __future__ import annotations

from collections import defaultdict, deque
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from bestbt.engine.result import Result
from bestbt.report import tables
from bestbt.testing import simulate
from bestbt.units import MONEY_SCALE
from tests.report.runs import Churner, Idle, churned, feed, fees

SEEDS = [1, 2, 3, 4]

# The columns of the manual, in its order.
COLUMNS = {
    "fills": "time symbol side qty price slippage charges reason kind order_id group tag",
    "orders": "id time symbol side type qty price trigger tif status reason group tag",
    "trades": "symbol side qty entry_time entry_price exit_time exit_price pnl charges "
    "exit_reason group tag",
    "log": "time kind text values",
}
EVERY = ("fills", "orders", "trades", "cycles", "ledger", "log", "open_positions")


def raw(value: float) -> int:
    return round(value * MONEY_SCALE)


def run_charges(result: Result) -> int:
    """Charges by the books: capital less cash, but for the premiums of the fills."""
    cash = sum(p.amount for p in result.ledger)
    premium = sum(-f.qty * f.raw_price * f.contract.factor for f in result.fills)
    return result.capital + premium - cash


@pytest.mark.parametrize(("name", "columns"), COLUMNS.items())
def test_columns_are_those_of_the_manual(name: str, columns: str) -> None:
    assert list(getattr(tables, name)(churned(1))) == columns.split()


@pytest.mark.parametrize("name", EVERY)
def test_a_run_of_nothing_gives_empty_tables_of_the_same_columns_and_dtypes(name: str) -> None:
    make = getattr(tables, name)
    busy = make(churned(1))
    assert len(busy)
    for empty in (
        simulate(Idle, feed(2)).result,
        simulate(Idle, feed(2), run=False).result,
    ):
        table = make(empty)
        assert len(table) == (1 if name == "ledger" else 0)
        assert table.dtypes.to_dict() == busy.dtypes.to_dict()


def test_times_are_exchange_local() -> None:
    result = churned(1)
    for name in EVERY:
        for column, dtype in getattr(tables, name)(result).dtypes.items():
            if str(column).endswith("time"):
                assert str(dtype) == "datetime64[ns, Asia/Kolkata]"
    assert tables.fills(result)["time"].tolist() == [f.time for f in result.fills]
    assert tables.equity(result).index[0] == pd.Timestamp("2024-01-01 09:15", tz="Asia/Kolkata")


def test_equity_is_by_bar_start_and_ends_at_the_cash_and_marks() -> None:
    result = churned(2)
    equity = tables.equity(result)
    assert len(equity) == result.grid.n
    held = tables.open_positions(result)
    cash = tables.ledger(result)["cash"].iloc[-1]
    worth = held["qty"].where(held["side"] == "BUY", -held["qty"]) * held["price"]
    assert equity.iloc[-1] == pytest.approx(cash + worth.sum(), abs=1e-6)
    closed = {result.grid.local(bar): money for bar, money in result.closed}
    assert {k: raw(v) for k, v in equity.items() if k in closed} == closed


@pytest.mark.parametrize("seed", SEEDS)
def test_charges_of_trades_and_open_positions_are_those_of_the_run_exactly(seed: int) -> None:
    result = churned(seed)
    shared = [raw(x) for x in tables.trades(result)["charges"]]
    held = [raw(x) for x in tables.open_positions(result)["charges"]]
    assert held
    assert shared
    assert sum(shared) + sum(held) == run_charges(result) > 0
    assert sum(tables.charges_by_fill(result)) == run_charges(result)
    # The run has what makes it hard: corrections of the day, and positions cut in parts.
    assert any(p.fill is None and p.account == "stt" for p in result.ledger)
    assert len({m.exit.id for m in result.matches}) < len(result.matches)


@pytest.mark.parametrize("seed", SEEDS)
def test_charges_are_shared_by_quantity_to_the_last_hundredth_of_a_paisa(seed: int) -> None:
    result = churned(seed)
    by_fill = tables.charges_by_fill(result)
    for match, charge in zip(result.matches, tables.charges_by_match(result), strict=True):
        exact = Fraction(0)
        for fill in (match.entry, match.exit):
            exact += Fraction(by_fill[fill.id] * abs(match.qty), abs(fill.qty))
        assert abs(charge - exact) < 2


def test_a_days_correction_goes_to_the_sells_that_paid_the_tax() -> None:
    result = churned(1)
    after = tables.charges_by_fill(result)
    stt: dict[Any, int] = defaultdict(int)
    for fill, charge in zip(result.fills, after, strict=True):
        own = sum(fill.raw_charges.values())
        if "stt" not in fill.raw_charges:
            assert charge == own
        day = (fill.time.date(), fill.contract.name)
        stt[day] += fill.raw_charges.get("stt", 0) + charge - own
    assert any(stt.values())
    assert all(paid % MONEY_SCALE == 0 for paid in stt.values())  # whole rupees


@pytest.mark.parametrize("seed", SEEDS)
def test_trades_are_the_fills_matched_first_in_first_out(seed: int) -> None:
    result = churned(seed)
    table = tables.fills(result)
    lots: dict[Any, deque[list[Any]]] = defaultdict(deque)
    expected = []
    for fill in table.itertuples():
        sign, left = (1 if fill.side == "BUY" else -1), fill.qty
        queue = lots[fill.symbol]
        while left and queue and queue[0][0] != sign:
            _, open_qty, entry = queue[0]
            part = min(open_qty, left)
            pnl = -sign * part * (fill.price - entry.price)
            expected.append((fill.symbol, entry.side, part, entry.time, entry.price, fill.time,
                             fill.price, round(pnl, 4), entry.tag))  # fmt: skip
            left -= part
            queue[0][1] -= part
            if not queue[0][1]:
                queue.popleft()
        if left:
            queue.append([sign, left, fill])
    trades = tables.trades(result)
    columns = ["symbol", "side", "qty", "entry_time", "entry_price", "exit_time", "exit_price",
               "pnl", "tag"]  # fmt: skip
    got = [tuple(row) for row in trades[columns].round({"pnl": 4}).itertuples(index=False)]
    assert got == expected
    held = {symbol: sum(s * q for s, q, _ in queue) for symbol, queue in lots.items() if queue}
    positions = tables.open_positions(result)
    signed = positions["qty"].where(positions["side"] == "BUY", -positions["qty"])
    assert dict(zip(positions["symbol"], signed, strict=True)) == held


@pytest.mark.parametrize("cost", ["fifo", "average"])
def test_trades_and_open_positions_are_what_the_books_have_made(cost: str) -> None:
    result = churned(SEEDS[0], cost=cost)
    held, closed = tables.open_positions(result), tables.trades(result)
    by_name = {p.contract.name: p for p in result.positions}
    assert [raw(x) for x in held["pnl"]] == [by_name[n].raw_unrealized for n in held["symbol"]]
    assert held["entry_price"].tolist() == [by_name[n].entry_price for n in held["symbol"]]
    assert sum(raw(x) for x in closed["pnl"]) == sum(m.raw_pnl for m in result.matches)
    made = tables._gross(result)[-1]
    assert made == sum(raw(x) for x in [*held["pnl"], *closed["pnl"]])


def test_exit_reasons_name_kind_and_reason() -> None:
    seen = {r for seed in SEEDS for r in tables.trades(churned(seed))["exit_reason"]}
    assert {"exit (open)", "stop (trigger)", "settlement"} <= seen
    assert not any(r.startswith("entry") for r in seen)


@pytest.mark.parametrize("seed", SEEDS)
def test_cycles_run_from_flat_to_flat(seed: int) -> None:
    result = churned(seed)
    cycles = tables.cycles(result)
    assert len(cycles) > 1
    # Slowly: walk the fills; the run is flat when no contract is held.
    held: dict[str, int] = defaultdict(int)
    cash = Fraction(0)
    expected, start = [], None
    for fill in result.fills:
        start = start or fill
        held[fill.contract.name] += fill.qty
        cash -= Fraction(fill.qty * fill.raw_price, fill.contract.spec.scale)
        if not any(held.values()):
            expected.append((start.time, fill.time, float(cash)))
            start, cash = None, Fraction(0)
    got = list(zip(cycles["entry_time"], cycles["exit_time"], cycles["pnl"], strict=True))
    assert got == expected
    assert (cycles["worst"] <= cycles["pnl"]).all()
    assert (cycles["best"] >= cycles["pnl"]).all()


def test_excursions_of_a_cycle_are_its_pnl_on_closing_marks() -> None:
    result = churned(3)
    cycle = tables.cycles(result).iloc[1]
    grid, seen = result.grid, []
    fills = [f for f in result.fills if cycle.entry_time <= f.time <= cycle.exit_time]
    first = next(f for f in fills if f.time == cycle.entry_time)
    bar = first.bar
    while grid.local(bar) < cycle.exit_time:
        worth = 0.0
        for fill in fills:
            if fill.bar <= bar:
                columns = fill.contract._prices
                assert columns is not None
                worth += fill.qty * (columns.close[bar - columns.first] - fill.price)
        seen.append(worth)
        bar += 1
    assert cycle.worst == pytest.approx(min([*seen, cycle.pnl]))
    assert cycle.best == pytest.approx(max([*seen, cycle.pnl]))


def test_the_ledger_adds_up() -> None:
    result = churned(1)
    table = tables.ledger(result)
    assert table["account"].iloc[0] == "capital"
    assert raw(table["amount"].sum()) == sum(p.amount for p in result.ledger)
    assert raw(table["cash"].iloc[-1]) == sum(p.amount for p in result.ledger)


def test_tables_of_a_paused_run_hold_what_is_booked_and_can_be_made_later() -> None:
    simulation = simulate(Churner, feed(6, 1), fees=fees(), seed=1, run=False).step(150)
    early = simulation.result
    then = {name: getattr(tables, name)(early) for name in EVERY if name != "orders"}
    assert len(tables.equity(early)) == 150
    assert len(then["open_positions"])
    simulation.run()
    assert len(simulation.result.fills) > len(early.fills)
    for name, table in then.items():
        assert_frame_equal(getattr(tables, name)(early), table)


def test_orders_show_triggers_and_why_they_ended() -> None:
    table = tables.orders(churned(1))
    stops = table[table["type"] == "slm"]
    assert stops["trigger"].notna().all()
    assert table.loc[table["type"] == "market", "trigger"].isna().all()
    assert table["price"].isna().all()
    assert set(table["status"]) >= {"filled", "cancelled"}
    ended = (table["type"] == "slm") & (table["status"] == "cancelled")
    assert (table.loc[~ended, "qty"] > 0).all()  # a bracket shrinks with its position, to nothing
