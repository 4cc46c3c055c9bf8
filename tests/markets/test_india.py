"""India's dated facts against the reference tables, exchange files and worked examples."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestbt.engine.grid import Session
from bestbt.engine.ports import Market
from bestbt.errors import ExpiryNotFound, NoSchedule, UsageError
from bestbt.markets import india
from bestbt.markets.india import (
    INDIA,
    SYMBOLS,
    exchange_of,
    expiry_dates,
    expiry_kind,
    find_expiry,
    freeze_quantity,
    is_trading_day,
    lot_size,
    sessions,
    settlement,
    tick_size,
    why_closed,
)
from bestbt.markets.india_charges import CHARGES, FREEZE_BANDS, FREEZES
from bestbt.markets.india_holidays import HOLIDAYS
from bestbt.markets.india_tables import EXPIRY_RULES, LOTS, SPECIAL_SESSIONS
from bestbt.units import MINUTE

IST = ZoneInfo("Asia/Kolkata")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ONE = timedelta(days=1)


def rows(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "reference" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def day_in(text: str) -> date | None:
    found = re.search(r"\d{4}-\d\d-\d\d", text)
    return date.fromisoformat(found[0]) if found else None


def hours(session: Session) -> list[tuple[str, str]]:
    """Parts of a session in local wall time, by the time zone database."""
    return [
        tuple(datetime.fromtimestamp(t / 1e9, IST).strftime("%H:%M") for t in part)  # type: ignore[misc]
        for part in session.parts
    ]


def one(day: date, segment: str = "derivatives") -> Session:
    (session,) = sessions(day, day, segment)
    assert session.day == day
    return session


def test_india_is_a_market() -> None:
    market: Market = INDIA
    assert (market.tz, market.currency) == ("Asia/Kolkata", "₹")
    assert (market.vix("NIFTY"), market.vix("RELIANCE")) == ("INDIAVIX", None)
    assert all(exchange_of(s) == ("BSE" if s == "SENSEX" else "NSE") for s in SYMBOLS)


def test_every_row_names_its_source() -> None:
    tables: Iterator[Any] = iter((*EXPIRY_RULES, *LOTS, *SPECIAL_SESSIONS, *CHARGES, *FREEZES))
    for row in tables:
        assert row.source, row
        assert "to confirm" not in row.source, row
    assert all(source for _, source in HOLIDAYS.values())


def test_an_unknown_symbol_names_the_known() -> None:
    with pytest.raises(UsageError, match="NIFTY, BANKNIFTY, FINNIFTY, MIDCPNIFTY, SENSEX"):
        expiry_dates("NFITY", date(2024, 1, 1), date(2024, 2, 1))


# ---------------------------------------------------------------- expiries


def test_the_296_expiries_of_the_exchange_files(shared: Path) -> None:
    frame = pd.read_parquet(shared / "reference/nse_actual_expiry_calendar.parquet")
    assert len(frame) == 296
    for row in frame.itertuples():
        day = date.fromisoformat(str(row.actual_expiry_date))
        assert expiry_kind("NIFTY", day) == row.expiry_type
        assert lot_size("NIFTY", day) == row.contract_lot_size
        planned = date.fromisoformat(str(row.original_scheduled_expiry))
        found = find_expiry("NIFTY", planned)
        assert found is not None
        assert found.day == day
    days = sorted(date.fromisoformat(d) for d in frame["actual_expiry_date"])
    whole = [d for d in days if d <= date(2026, 8, 31)]  # then only the September monthly is there
    assert expiry_dates("NIFTY", date(2021, 1, 1), date(2026, 8, 31)) == whole
    monthly = sorted(
        date.fromisoformat(d)
        for d in frame.loc[frame["expiry_type"] == "monthly", "actual_expiry_date"]
    )
    assert expiry_dates("NIFTY", date(2021, 1, 1), date(2026, 9, 30), "monthly") == monthly


def test_the_contract_rules_of_the_circulars(shared: Path) -> None:
    frame = pd.read_parquet(shared / "reference/nse_contract_rule_dimension.parquet")
    assert len(frame) == 10
    for row in frame.itertuples():
        first = date.fromisoformat(str(row.contract_expiry_from))
        last = day_in(str(row.contract_expiry_to)) or date(2026, 12, 31)
        days = expiry_dates("NIFTY", first, last, row.expiry_type)  # type: ignore[arg-type]
        assert days
        assert {lot_size("NIFTY", day) for day in days} == {row.contract_lot_size}
        if row.contract_expiry_from != "2021-01-01":
            assert days[0] == first
        if day_in(str(row.contract_expiry_to)):  # of weeklies it may be that week's monthly
            assert expiry_dates("NIFTY", first, last)[-1] == last


def test_expiry_rules(shared: Path) -> None:
    """Each expiry in a rule's time is its weekday, or the last open day before it."""
    starts = {  # where the reference leaves the start open or vague; sourced in the package
        ("FINNIFTY", "monthly", "2024-12-31"): date(2021, 10, 26),
        ("MIDCPNIFTY", "weekly", "2024-11-18"): date(2023, 8, 21),
        ("SENSEX", "weekly", "2025-01-03"): date(2023, 5, 19),
        ("FINNIFTY", "weekly", "2024-11-19"): date(2021, 10, 19),
    }
    checked = 0
    for row in rows(shared, "expiry_rules.csv"):
        if row["symbol"] in ("ALL", "CANCELLED"):
            continue
        last = day_in(row["to"]) or date(2026, 12, 31)
        key = (row["symbol"], row["contract"], str(last))
        first = starts.get(key) or day_in(row["from"])
        days = expiry_dates(
            row["symbol"],
            max(first or date.min, date(2019, 1, 1)),
            last,
            row["contract"],  # type: ignore[arg-type]
        )
        weekday = DAYS.index(row["weekday"].removeprefix("last "))
        for day in days:
            planned = day + timedelta(days=(weekday - day.weekday()) % 7)
            between = [day + n * ONE for n in range(1, (planned - day).days + 1)]
            assert all(d in HOLIDAYS or d.weekday() > 4 for d in between), (row, day)
            if row["contract"] == "monthly":
                assert (planned + 7 * ONE).month != planned.month
        if first and first >= date(2019, 1, 1):
            assert days[0] == first, row
        if day_in(row["to"]):  # of weeklies it may be that week's monthly
            assert expiry_dates(row["symbol"], days[0], last)[-1] == last, row
        checked += len(days)
    assert checked > 1100


def test_the_cancelled_changes_do_not_apply() -> None:
    for day in expiry_dates("BANKNIFTY", date(2023, 7, 7), date(2023, 8, 31)):
        assert day.weekday() == 3
    for day in expiry_dates("NIFTY", date(2025, 4, 4), date(2025, 8, 31)):
        assert day.weekday() in (2, 3)  # Wednesday where Thursday is a holiday


def test_expiries_moved_by_declared_holidays() -> None:
    """From the exchange's notices: a full Saturday takes over, a drill does not."""
    got = expiry_dates("MIDCPNIFTY", date(2024, 1, 16), date(2024, 1, 28))
    assert got == [date(2024, 1, 20)]
    got = expiry_dates("MIDCPNIFTY", date(2024, 5, 14), date(2024, 5, 24))
    assert got == [date(2024, 5, 17)]
    assert expiry_dates("BANKNIFTY", date(2024, 12, 1), date(2024, 12, 31)) == [date(2024, 12, 24)]


def test_no_two_expiries_of_a_symbol_in_a_week_but_at_a_change_of_rules() -> None:
    for symbol in SYMBOLS:
        days = expiry_dates(symbol, date(2017, 1, 1), date(2027, 12, 31))
        assert days == sorted(set(days))
        gaps = {(b - a).days for a, b in pairwise(days)}
        assert min(gaps) >= 4, symbol


@given(
    symbol=st.sampled_from(SYMBOLS),
    start=st.dates(date(2019, 1, 1), date(2026, 12, 1)),
    span=st.integers(0, 400),
)
def test_an_expiry_is_a_day_that_trades_and_a_range_is_cut_out_of_the_calendar(
    symbol: str, start: date, span: int
) -> None:
    end = min(start + timedelta(days=span), date(2026, 12, 31))
    days = expiry_dates(symbol, start, end)
    whole = expiry_dates(symbol, date(2019, 1, 1), date(2026, 12, 31))
    assert days == [day for day in whole if start <= day <= end]
    kinds = {
        day: kind
        for kind in ("weekly", "monthly")
        for day in expiry_dates(symbol, start, end, kind)
    }  # type: ignore[arg-type]
    assert sorted(kinds) == days
    for day in days:
        assert day not in HOLIDAYS
        assert is_trading_day(day)
        assert expiry_kind(symbol, day) == kinds[day]


def planned_on(symbol: str, day: date) -> date:
    """Return the day an expiry was planned for: a rule's weekday, closed days before it."""
    for n in range(7):
        later = day + timedelta(days=n)
        between = [day + timedelta(days=k) for k in range(1, n + 1)]
        assert all(d in HOLIDAYS or d.weekday() > 4 for d in between), (symbol, day)
        for rule in EXPIRY_RULES:
            in_force = (rule.first or date.min) <= later <= (rule.last or date.max)
            if rule.symbol == symbol and rule.weekday == later.weekday() and in_force:
                return later
    raise AssertionError(f"{symbol} {day} follows from no rule")


def test_a_symbol_with_weeklies_has_one_expiry_for_each_week() -> None:
    """From its first weekly to its last; where Monday is a holiday it is the Friday before."""
    for symbol in SYMBOLS:
        weekly = [row for row in EXPIRY_RULES if row.symbol == symbol and row.kind == "weekly"]
        first = max(min(row.first for row in weekly if row.first), date(2019, 2, 14))
        last = max(row.last or date(2026, 12, 31) for row in weekly)
        days = expiry_dates(symbol, first, last)
        weeks = [planned_on(symbol, day).isocalendar()[:2] for day in days]
        assert len(set(weeks)) == len(weeks), symbol
        span = range((last - first).days + 1)
        want = {(first + timedelta(days=n)).isocalendar()[:2] for n in span}
        assert set(weeks) == want, (symbol, want - set(weeks))


def test_expiries_listed_in_the_exchanges_end_of_day_files(shared: Path) -> None:
    """Every index contract of two days is found under its date; lots are what was traded."""
    seen = 0
    for name in ("14112025", "17112025"):
        with zipfile.ZipFile(shared / f"data/eod/fo{name}.zip") as archive:
            for member, instrument in ((f"fo{name}.csv", "FUTIDX"), (f"op{name}.csv", "OPTIDX")):
                text = archive.read(member).decode().splitlines()
                for row in csv.DictReader(io.StringIO("\n".join(text))):
                    clean = {k.strip(): v.strip() for k, v in row.items() if k and v}
                    symbol = clean.get("SYMBOL", "")
                    if clean.get("INSTRUMENT") != instrument or symbol not in SYMBOLS:
                        continue
                    day = datetime.strptime(clean["EXP_DATE"], "%d/%m/%Y").date()
                    found = find_expiry(symbol, day)
                    assert found is not None, (symbol, day)
                    assert found.day == day or day in HOLIDAYS, (symbol, day)
                    contracts = float(clean["NO_OF_CONT"])
                    if contracts and day < date(2026, 3, 1):  # quarterlies change lots in December
                        assert float(clean["TRD_QTY"]) / contracts == lot_size(symbol, day)
                        seen += 1
                    if instrument == "FUTIDX" and contracts:
                        level = float(clean["CLOSE_PRICE"])
                        tick = round(tick_size(symbol, "future", date(2025, 11, 14), level) * 100)
                        for field in ("OPEN_PRICE", "HI_PRICE", "LO_PRICE", "CLOSE_PRICE"):
                            assert round(float(clean[field]) * 100) % tick == 0, clean
    assert seen > 1000


def test_a_date_that_is_no_expiry_names_the_nearest() -> None:
    with pytest.raises(ExpiryNotFound, match="2023-06-22"):
        expiry_kind("NIFTY", date(2023, 6, 24))


def test_contracts_are_found_under_the_date_they_had() -> None:
    cases = {
        ("BANKNIFTY", date(2023, 9, 7)): date(2023, 9, 6),  # Thursday became Wednesday
        ("BANKNIFTY", date(2024, 3, 28)): date(2024, 3, 27),
        ("NIFTY", date(2025, 9, 25)): date(2025, 9, 30),  # a monthly keeps its month
        ("NIFTY", date(2025, 9, 4)): date(2025, 9, 2),
        ("NIFTY", date(2023, 6, 29)): date(2023, 6, 28),  # the holiday moved there
        ("BANKNIFTY", date(2018, 3, 28)): date(2018, 3, 28),  # a holiday we have no list of
    }
    for (symbol, named), day in cases.items():
        found = find_expiry(symbol, named)
        assert found is not None
        assert found.day == day
    assert find_expiry("NIFTY", date(2024, 6, 19)) is None
    assert find_expiry("BANKNIFTY", date(2024, 6, 20)) is None  # Thursdays are long gone


# ---------------------------------------------------------------- lots and ticks


def monthly_of(symbol: str, month: str, year: str) -> date:
    first = datetime.strptime(f"1 {month} {year}", "%d %b %Y").date()
    (day,) = expiry_dates(symbol, first, first + timedelta(days=30), "monthly")[:1]
    return day


def test_lot_sizes(shared: Path) -> None:
    checked = 0
    for row in rows(shared, "lot_sizes.csv"):
        symbol, text = row["symbol"], row["by_contract_expiry"]
        said: list[tuple[date, int]] = []
        for units, day in re.findall(r"(\d+) = (\d{4}-\d\d-\d\d)", text):
            said.append((date.fromisoformat(day), int(units)))
        for month, year, units in re.findall(r"([A-Z][a-z]{2})-(\d{4}) (?:last|first) (\d+)", text):
            said.append((monthly_of(symbol, month, year), int(units)))
        for units, month, year in re.findall(
            r"(?:last|first) (\d+) = ([A-Z][a-z]{2})-(\d{4})", text
        ):
            said.append((monthly_of(symbol, month, year), int(units)))
        for day, lot in said:
            assert lot_size(symbol, day) == lot, (row, day)
        changed = day_in(row["effective"])
        if changed is None:
            continue
        until = min(changed + timedelta(days=120), date(2026, 12, 31))
        if changed.year == 2014:
            until = date(2014, 12, 31)  # the next change is not sourced
        near = expiry_dates(symbol, changed - timedelta(days=7), until)
        lots = [lot_size(symbol, day) for day in near]
        assert lots[0] == int(row["old_lot"]), row
        assert lots[-1] == int(row["new_lot"]), row
        checked += len(said)
    assert checked >= 29


def test_lots_from_brokers_notices() -> None:
    assert lot_size("SENSEX", date(2025, 1, 3)) == 10
    assert lot_size("SENSEX", date(2025, 1, 7)) == 20
    assert lot_size("SENSEX", date(2025, 1, 28)) == 10
    assert lot_size("SENSEX", date(2025, 2, 25)) == 20
    assert lot_size("MIDCPNIFTY", date(2024, 7, 22)) == 75
    assert lot_size("MIDCPNIFTY", date(2024, 8, 5)) == 50
    for day in (date(2020, 7, 2), date(2020, 7, 9), date(2020, 7, 16), date(2020, 7, 23)):
        assert lot_size("BANKNIFTY", day) == 20
    assert lot_size("BANKNIFTY", date(2020, 7, 30)) == 25


def test_a_lot_no_source_tells_is_refused() -> None:
    with pytest.raises(NoSchedule, match=r"BANKNIFTY .* 2017-01-05.*lot="):
        lot_size("BANKNIFTY", date(2017, 1, 5))
    with pytest.raises(NoSchedule, match="date is unknown"):
        lot_size("NIFTY", date(2015, 6, 25))


def test_ticks(shared: Path) -> None:
    levels = {"": 25_000.0, "15000-30000": 25_000.0, "> 30000": 50_000.0}
    for row in rows(shared, "freeze_and_ticks.csv"):
        if row["kind"] != "tick":
            continue
        kind: Any = "option" if "options" in row["symbol"] else "future"
        for day in (day_in(row["from"]), day_in(row["to"]), None):
            if day or kind == "option":
                got = tick_size("NIFTY", kind, day or date(2026, 1, 1), levels[row["condition"]])
                assert got == float(row["value"]), row
    assert tick_size("NIFTY", "future", date(2024, 1, 1)) == 0.05
    assert tick_size("MIDCPNIFTY", "future", date(2025, 11, 14), 13_900.0) == 0.05
    with pytest.raises(NoSchedule, match="level="):
        tick_size("NIFTY", "future", date(2025, 11, 14))
    with pytest.raises(UsageError, match="'option' or 'future'"):
        tick_size("NIFTY", "index", date(2025, 11, 14))  # type: ignore[arg-type]


def test_freeze_quantities(shared: Path) -> None:
    """The rule row by row, and the notices that the reference cites."""
    bands = dict(FREEZE_BANDS)
    checked = 0
    for row in rows(shared, "freeze_and_ticks.csv"):
        if row["kind"] != "freeze" or row["symbol"] == "BANKEX":  # BANKEX has no dated facts here
            continue
        units = int(row["value"])
        checked += 1
        if row["symbol"] == "SENSEX":
            assert freeze_quantity("SENSEX", date(2026, 2, 2)) == units
            continue
        sign, level = row["condition"].split()[-2:]
        assert bands[float(level) if sign == "<=" else float("inf")] == units
        inside = float(level) + (0.05 if sign == ">" else 0)
        assert freeze_quantity("NIFTY", date(2022, 3, 1), inside) == units
        for symbol, said, day in re.findall(
            r"([A-Z]+) (\d+) (?:on|from) (\d{4}-\d\d-\d\d)", row["source"]
        ):
            assert freeze_quantity(symbol, date.fromisoformat(day)) == int(said)
            checked += 1
    assert checked == 9 + 5


def test_a_freeze_notice_agrees_with_the_rule_at_the_month_ends_that_are_known() -> None:
    """Closes at a month's end (exchange, by the press), and the notice for the next month."""
    known = {
        ("NIFTY", date(2021, 8, 2)): 15_763.05,
        ("BANKNIFTY", date(2021, 8, 2)): 34_584.35,
        ("NIFTY", date(2021, 9, 1)): 17_132.20,
        ("BANKNIFTY", date(2021, 9, 1)): 36_424.60,
        ("NIFTY", date(2021, 10, 1)): 17_618.15,
        ("BANKNIFTY", date(2021, 10, 1)): 37_425.10,
        ("NIFTY", date(2021, 11, 1)): 17_671.65,
        ("BANKNIFTY", date(2021, 11, 1)): 39_115.60,
        ("NIFTY", date(2021, 12, 1)): 16_983.20,
        ("BANKNIFTY", date(2021, 12, 1)): 35_695.30,
        ("NIFTY", date(2022, 1, 3)): 17_354.05,
        ("BANKNIFTY", date(2022, 1, 3)): 35_481.70,
        ("NIFTY", date(2022, 2, 1)): 17_339.85,
        ("BANKNIFTY", date(2022, 2, 1)): 37_975.35,
        ("NIFTY", date(2023, 4, 3)): 17_359.75,
        ("NIFTY", date(2025, 9, 1)): 24_426.85,
        ("BANKNIFTY", date(2025, 9, 1)): 53_655.65,
    }
    for (symbol, day), level in known.items():
        rule = next(units for highest, units in FREEZE_BANDS if level <= highest)
        assert freeze_quantity(symbol, day) == rule


def test_a_freeze_quantity_no_source_tells_is_refused() -> None:
    with pytest.raises(NoSchedule, match=r"NIFTY on 2022-03-01: pass `level=`"):
        freeze_quantity("NIFTY", date(2022, 3, 1))
    for symbol, day in (("NIFTY", date(2019, 6, 3)), ("SENSEX", date(2024, 6, 3))):
        with pytest.raises(NoSchedule, match=f"{symbol} on {day}"):
            freeze_quantity(symbol, day, level=11_000.0)
    with pytest.raises(UsageError, match="No dated facts"):
        freeze_quantity("RELIANCE", date(2025, 6, 2))


# ---------------------------------------------------------------- sessions


def test_holidays(shared: Path) -> None:
    closed = {row["date"] for row in rows(shared, "xbom_weekday_holidays_2019_2020.csv")}
    for row in rows(shared, "nse_fo_holidays_2021_2026.csv"):
        if row["kind"] == "weekday":
            closed.add(row["date"])
    assert {str(day) for day in HOLIDAYS} == closed
    muhurat = {row.day for row in SPECIAL_SESSIONS if row.kind == "muhurat"}
    for text in closed:
        day = date.fromisoformat(text)
        assert is_trading_day(day) == (day in muhurat)
        assert (why_closed(day) is None) == (day in muhurat)


def test_special_sessions(shared: Path) -> None:
    listed = rows(shared, "special_sessions.csv")
    with_hours = [row for row in listed if row["open_ist"]]
    assert {row["date"] for row in with_hours} | {"2026-11-08"} == {
        str(row.day) for row in SPECIAL_SESSIONS
    }
    for row in with_hours:
        text = (
            row["open_ist"]
            if " and " in row["open_ist"]
            else f"{row['open_ist']}-{row['close_ist']}"
        )
        want = [tuple(part.split("-")) for part in text.split(" and ")]
        for segment in ("derivatives", "index"):
            assert hours(one(date.fromisoformat(row["date"]), segment)) == want, row
    for row in listed:
        if not row["open_ist"] and row["kind"] != "muhurat":  # halts inside normal hours
            day = date.fromisoformat(row["date"])
            opened = "09:55" if day.year == 2009 else "09:15"
            assert hours(one(day, "index")) == [(opened, "15:30")]


def test_a_session_of_unknown_hours_is_left_out_and_says_why() -> None:
    day = date(2026, 11, 8)
    assert sessions(day, day) == []
    assert not is_trading_day(day)
    assert "unknown hours" in str(why_closed(day))


def test_session_hours(shared: Path) -> None:
    segments = {"index and cash": "index", "derivatives": "derivatives"}
    for row in rows(shared, "sessions_by_segment.csv"):
        ends = [day_in(row["from"]), day_in(row["to"])]
        for day, towards in zip(ends, (ONE, -ONE), strict=True):
            if day is None:
                continue
            while not is_trading_day(day):
                day += towards
            want = [(row["open_ist"], row["close_ist"])]
            assert hours(one(day, segments[row["segment"]])) == want, row
    with pytest.raises(NoSchedule, match='segment="index"'):
        sessions(date(2009, 1, 1), date(2009, 1, 5))


@pytest.mark.parametrize("name", ["nifty", "banknifty"])
def test_sessions_are_the_days_and_minutes_of_real_files(shared: Path, name: str) -> None:
    frame = pd.read_csv(shared / f"data/minute/{name}_spot_2024.csv.gz", dtype=str)
    when = pd.to_datetime(frame["Date"] + frame["Time"], format="%Y%m%d%H:%M")
    in_file = {day.date() for day in when.dt.normalize().unique()}
    table = sessions(date(2024, 1, 1), date(2024, 8, 23), "index")
    assert in_file <= {s.day for s in table}
    assert (len(in_file), len(table)) == (156, 161)  # the file lacks five days
    when = when[when.dt.normalize() != "2024-01-20"]  # flat rows after the close
    starts = when.dt.tz_localize(IST).astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    opens, closes = np.array([part for s in table for part in s.parts]).T
    part = np.searchsorted(opens, starts, side="right") - 1
    assert (part >= 0).all()
    assert (starts < closes[part] + MINUTE).all()  # some have a bar at the close itself


def test_the_old_hours_are_those_of_a_file_of_2009(shared: Path) -> None:
    frame = pd.read_csv(shared / "data/minute/nifty_spot_2009.csv.gz")
    frame.columns = [c.strip().lower() for c in frame.columns]
    first = frame.groupby("date")["time"].min().astype(str).str[:5]
    assert first.mode()[0] == hours(one(date(2009, 6, 1), "index"))[0][0]


def test_years_without_a_list_take_every_weekday() -> None:
    got = sessions(date(2018, 1, 1), date(2018, 12, 31))
    assert len(got) == 261
    assert all(s.day.weekday() < 5 for s in got)
    assert len(sessions(date(2027, 1, 1), date(2027, 1, 31))) == 21


def test_sessions_refuses_what_it_does_not_know() -> None:
    with pytest.raises(UsageError, match="segment"):
        sessions(date(2024, 1, 1), date(2024, 1, 2), "currency")
    with pytest.raises(UsageError, match="ends before"):
        sessions(date(2024, 1, 2), date(2024, 1, 1))


def test_settlement_changes_with_the_closing_auction() -> None:
    before, after = (settlement("NIFTY", day) for day in (date(2026, 7, 28), date(2026, 8, 4)))
    assert (before.window, before.after) == (30 * MINUTE, None)
    assert (after.window, after.after) == (None, (15 * 60 + 35) * MINUTE)


def test_public_names_exist() -> None:
    assert len(india.__all__) == len(set(india.__all__))
    assert all(hasattr(india, name) for name in india.__all__)
