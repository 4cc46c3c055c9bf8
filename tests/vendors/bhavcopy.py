"""The exchange's end of day as it writes it, made of what a store holds of a day.

Three layouts: the bhavcopy until July 2024, the one since (UDiFF), and the market activity report
with its padded fields and footnote. The shapes are those of published files.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from bestbt.errors import DataGap
from bestbt.store.store import Store

LEGACY = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,"
    "VAL_INLAKH,OPEN_INT,CHG_IN_OI,TIMESTAMP,"
)
UDIFF = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,"
    "FininstrmActlXpryDt,StrkPric,OptnTp,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,"
    "PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,"
    "TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
FUTURES = (
    "INSTRUMENT,SYMBOL    ,EXP_DATE  ,OPEN_PRICE ,HI_PRICE   ,LO_PRICE   ,CLOSE_PRICE,"
    "OPEN_INT*      ,TRD_VAL           ,TRD_QTY          ,NO_OF_CONT       ,NO_OF_TRADE      "
)
OPTIONS = (
    "INSTRUMENT,SYMBOL    ,EXP_DATE  ,STR_PRICE  ,OPT_TYPE,OPEN_PRICE ,HI_PRICE   ,LO_PRICE   ,"
    "CLOSE_PRICE,OPEN_INT*      ,TRD_QTY          ,NO_OF_CONT       ,NO_OF_TRADE      ,"
    "NOTION_VAL        ,PR_VAL            "
)
_NEAR = 0.01  # strikes that are further from the index are left out: there are enough
_THREE = pd.Timedelta(hours=15)
FOOTNOTE = (
    "* - OPEN_INT as available in the trading system at the end of trading hours." + " " * 300
)


@dataclass(frozen=True)
class DayRow:
    """A contract's day; `close` of the future is the mean of its last half hour."""

    symbol: str
    expiry: date
    strike: float  # 0: a future
    right: str  # "" of a future
    prices: tuple[float, float, float, float]
    settlement: float
    underlying: float  # official close of the index
    volume: int
    oi: int
    lot: int

    @property
    def is_future(self) -> bool:
        return not self.right


def day_rows(
    store: Store, symbol: str, day: date, lot: int, expiries: Sequence[date] = ()
) -> list[DayRow]:
    """Return the futures of a symbol on a day, and its options near the index of some expiries."""
    underlying = float(store.closes(symbol)[str(day)])
    names = [f"{symbol} {e} FUT" for e in _expiries(store, "future", symbol) if e >= day]
    for expiry in expiries:
        chain = (stored.spec for stored in store._reader.contracts("option", symbol, expiry))
        names += [str(s) for s in chain if abs((s.strike or 0) / underlying - 1) < _NEAR]
    rows = []
    for name in names:
        try:
            bars = store.prices(name, day, day)
        except DataGap:  # it did not trade on that day
            continue
        _, expiry_text, *rest = name.split()
        future, expiry = rest == ["FUT"], date.fromisoformat(expiry_text)
        quads = bars[["open", "high", "low", "close"]]
        late = quads[quads.index >= quads.index[-1].normalize() + _THREE]
        mean = (
            round(float(late.to_numpy().mean()), 2) if len(late) else float(quads["close"].iloc[-1])
        )
        last = mean if future else float(quads["close"].iloc[-1])
        settlement = underlying if expiry == day else last
        rows.append(
            DayRow(
                symbol,
                expiry,
                0.0 if future else float(rest[0]),
                "" if future else rest[1],
                (quads["open"].iloc[0], quads["high"].max(), quads["low"].min(), last),
                settlement,
                underlying,
                int(bars["volume"].sum()),
                int(bars["oi"].iloc[-1]),
                lot,
            )
        )
    return rows


def _expiries(store: Store, asset: Any, symbol: str) -> list[date]:
    return list(store._reader.expiries(asset, symbol))


def legacy(rows: Iterable[DayRow], day: date, extra: Sequence[str] = ()) -> str:
    """Return the bhavcopy of before July 2024; on a last day everything settles on the index."""
    lines, stamp = [LEGACY], f"{day:%d-%b-%Y}".upper()
    for r in rows:
        o, h, low, c = r.prices
        contracts = r.volume // r.lot
        value = r.volume * (c + r.strike) / 1e5
        lines.append(
            f"{'FUTIDX' if r.is_future else 'OPTIDX'},{r.symbol},{r.expiry:%d-%b-%Y},{r.strike:g},"
            f"{r.right or 'XX'},{o:g},{h:g},{low:g},{_trim(c)},{_trim(r.settlement)},{contracts},"
            f"{value:.2f},{r.oi},0,{stamp},"
        )
    return "\n".join([*lines, *extra]) + "\n"


def udiff(rows: Iterable[DayRow], day: date, extra: Sequence[str] = ()) -> str:
    """Return the bhavcopy of since July 2024."""
    lines = [UDIFF]
    for i, r in enumerate(rows):
        o, h, low, c = r.prices
        strike = "" if r.is_future else f"{r.strike:.2f}"
        name = f"{r.symbol}{r.expiry:%y%b}{strike.partition('.')[0]}{r.right or 'FUT'}".upper()
        own = r.settlement if r.is_future else c
        lines.append(
            f"{day},{day},FO,NSE,{'IDF' if r.is_future else 'IDO'},{35000 + i},,{r.symbol},,"
            f"{r.expiry},{r.expiry},{strike},{r.right},{name},{o:.2f},{h:.2f},{low:.2f},{c:.2f},"
            f"{c:.2f},{c:.2f},{r.underlying:.2f},{own:.2f},{r.oi},0,{r.volume // r.lot},"
            f"{r.volume * c:.2f},{r.volume // r.lot},F1,{r.lot},,,,,"
        )
    return "\n".join([*lines, *extra]) + "\n"


def report(rows: Iterable[DayRow], day: date, extra: Sequence[str] = ()) -> tuple[str, str]:
    """Return the market activity report: its futures and its options."""
    futures, options = [FUTURES], [OPTIONS]
    for r in rows:
        if not r.volume:
            continue
        o, h, low, c = (f"{x:011.2f}" for x in r.prices)
        head = f"{'FUTIDX' if r.is_future else 'OPTIDX':<10},{r.symbol:<10},{r.expiry:%d/%m/%Y}"
        contracts = r.volume // r.lot
        tail = f"{r.volume:>17},{contracts:>17},{contracts:>17}"
        value = f"{r.volume * r.prices[3]:>18.2f}"
        if r.is_future:
            futures.append(f"{head},{o},{h},{low},{c},{r.oi:015d},{value},{tail}")
        else:
            options.append(
                f"{head},{r.strike:011.2f},{r.right:<8},{o},{h},{low},{c},{r.oi:015d},{tail},"
                f"{value},{value}"
            )
    first, second = (
        "\r\n".join([*lines, *extra, FOOTNOTE]) + "\r\n" for lines in (futures, options)
    )
    return first, second


def report_zip(futures: str, options: str, day: date) -> bytes:
    """Pack a report as the exchange does: with summaries and a help file."""
    stamp = f"{day:%d%m%Y}"
    summary = (
        f"Total volume summary of Futures and Options by product type:{'':40}\r\n"
        "Product        ,No of Contracts     ,Traded Value (Rs. Crs.)       \r\n"
        "Index Futures  ,           157691,          30878.62\r\n"
    )
    return zipped(
        {
            f"fo_{stamp}.csv": summary,
            f"fo{stamp}.csv": futures,
            f"op{stamp}.csv": options,
            "fohelp.txt": "National Stock Exchange of India Limited\r\n",
        }
    )


def zipped(files: dict[str, str]) -> bytes:
    """Return a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def _trim(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
