"""Every question in SQL that the documentation asks is answered, as the prices themselves say."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import text

from bestbt.store.store import Store
from tests.store.row_market import CHAIN, STRIKES

PAGE = Path(__file__).parent.parent.parent / "docs" / "storage.md"
SECTION = PAGE.read_text("utf-8").partition("## Rows for SQL\n")[2].partition("\n## ")[0]
SETTING, *QUERIES = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)
DAY, EXPIRY = "2024-03-01", "2024-03-28"


def bars(store: Store, strike: float, right: str, day: str = DAY) -> pd.DataFrame:
    return store.prices(f"NIFTY {EXPIRY} {strike:g} {right}", day, day)


def quarters(bars: pd.DataFrame) -> dict[Any, float]:
    """The last price of each quarter of an hour in which there is one."""
    return bars["close"].groupby(pd.DatetimeIndex(bars.index).floor("15min")).last().to_dict()


def straddles(store: Store, strike: float) -> dict[Any, float]:
    calls, puts = (quarters(bars(store, strike, right)) for right in ("CE", "PE"))
    return {time: calls[time] + puts[time] for time in calls if time in puts}


def straddle(store: Store) -> list[Any]:
    return sorted(straddles(store, 22000).items())


def nearest(store: Store) -> list[Any]:
    legs = {strike: straddles(store, strike) for strike in STRIKES}
    rows = []
    for time, spot in quarters(store.prices("NIFTY", DAY, DAY)).items():
        strike = min((s for s in STRIKES if time in legs[s]), key=lambda s: abs(s - spot))
        rows.append((time, spot, strike, legs[strike][time]))
    return rows


def open_interest(store: Store) -> list[Any]:
    def newest(strike: float, right: str) -> int:
        return int(bars(store, strike, right)["oi"].loc[: f"{DAY} 10:59"].iloc[-1])

    return [(strike, newest(strike, "CE"), newest(strike, "PE")) for strike in STRIKES]


def traded(store: Store) -> list[Any]:
    rows = []
    for day in (date(2024, 3, 1), date(2024, 3, 2)):
        of = {
            right: sum(int(bars(store, s, right, str(day))["volume"].sum()) for s in STRIKES)
            for right in ("CE", "PE")
        }
        rows.append((day, of["CE"] + of["PE"], round(Decimal(of["PE"]) / of["CE"], 4)))
    return rows


def days(store: Store) -> list[Any]:
    prices = store.prices("NIFTY")
    local = pd.DatetimeIndex(prices.index)
    of_day = prices.groupby(local.date)
    columns = (of_day["open"].first(), of_day["high"].max(), of_day["low"].min())
    return [*zip(columns[0].index, *columns, of_day["close"].last(), strict=True)]


def newest(store: Store) -> list[Any]:
    known = bars(store, 22000, "CE").loc[: f"{DAY} 10:00"]
    start, last = known.index[-1], known.iloc[-1]
    if start == pd.Timestamp(f"{DAY} 10:00", tz="Asia/Kolkata"):  # in its first third
        return [(start, last["open"])]
    return [(start + pd.Timedelta(59, "s"), last["close"])]


ANSWERS = {
    "the price of a straddle, every 15 minutes": straddle,
    "the straddle nearest to the index, every 15 minutes": nearest,
    "open interest by strike at a time": open_interest,
    "units traded by day, and puts for each call": traded,
    "days of an index": days,
    "what was known of a contract at a moment: its newest price": newest,
}


def test_every_query_is_answered_as_the_prices_say(march: Store) -> None:
    march.mirror(progress=False)
    assert len(CHAIN) == 2 * len(STRIKES)
    answered = []
    with march.engine.connect() as connection:
        connection.execute(text(SETTING))
        for query in QUERIES:
            title = query.partition("\n")[0].removeprefix("-- ")
            found = [tuple(row) for row in connection.execute(text(query))]
            assert found == ANSWERS[title](march)
            assert found
            answered.append(title)
    assert answered == [*ANSWERS]
