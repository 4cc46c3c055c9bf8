"""Charges of India by date, and the freeze quantities that decide how many orders a trade is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Literal, TypeAlias

from bestbt.engine.fees import RATE_SCALE, FeeSchedule, ScheduledFees
from bestbt.engine.ports import AssetType, ContractSpec, FeeModel
from bestbt.errors import NoSchedule, UsageError
from bestbt.markets.india_charges import CHARGES, FREEZE_BANDS, FREEZES, LEAST_FREEZE, Traded
from bestbt.markets.india_tables import BSE, SYMBOLS, holds, known
from bestbt.units import MONEY_SCALE, Money, Price, Qty, money

__all__ = ["Product", "charges", "fees", "freeze_quantity"]

Product: TypeAlias = Literal["delivery", "intraday"]

_FREEZE_RULE = date(2021, 8, 2)

# ---------------------------------------------------------------- how large an order may be


@lru_cache(maxsize=1024)  # asked at every fill; a year of five symbols fits
def _freeze(symbol: str, day: date) -> int | None:
    for row in FREEZES:
        if row.symbol == symbol and holds(row.first, row.last, day):
            return row.units
    return None


def freeze_quantity(symbol: str, day: date, level: Price | None = None) -> Qty:
    """Most units that one order may have; the exchange refuses a larger one.

    Parameters
    ----------
    symbol
        One of `SYMBOLS`.
    day
        Local date.
    level
        Close of the index at the end of the month before: where no notice is sourced, the NSE's
        rule (from 2021-08-02) tells the limit by it.

    Raises
    ------
    NoSchedule
        Where neither a notice nor the rule tells it.

    Examples
    --------
    >>> freeze_quantity("BANKNIFTY", date(2025, 11, 14))
    600
    >>> freeze_quantity("NIFTY", date(2022, 6, 1), level=16_584.55)
    2800
    """
    name = known(symbol)
    told = _freeze(name, day)
    if told is not None:
        return told
    if name in BSE or day < _FREEZE_RULE:
        raise NoSchedule(f"No sourced freeze quantity of {name} on {day}.")
    if level is None:
        raise NoSchedule(
            f"No sourced notice of the freeze quantity of {name} on {day}: pass `level=`, the "
            "index's close at the end of the month before, for the exchange's rule."
        )
    return next(units for highest, units in FREEZE_BANDS if level <= highest)


def _orders(day: date, spec: ContractSpec, qty: Qty, given: Qty | None) -> int:
    """How many orders a quantity takes, each of the whole lots that the freeze quantity allows."""
    if spec.asset not in ("option", "future") or spec.symbol not in SYMBOLS:
        return 1
    limit = _freeze(spec.symbol, day) or given
    if limit is None:
        if qty > LEAST_FREEZE:
            raise NoSchedule(
                f"No sourced freeze quantity of {spec.symbol} on {day}: an order of {qty} units "
                "may be several, each with its brokerage. Trade at most "
                f"{LEAST_FREEZE} at once, or pass `fees=bestbt.markets.india.fees(freeze=…)`, the "
                "most units of an order."
            )
        return 1
    slice_ = max(limit - limit % spec.lot, spec.lot)
    return -(-qty // slice_)


# ---------------------------------------------------------------- charges

_BASE = ("brokerage", "exchange", "sebi", "stamp", "stt", "gst")
_NAMES: dict[Traded, tuple[str, ...]] = {
    "option": (*_BASE, "stt_exercise"),
    "future": (*_BASE, "brokerage_rate"),
    "delivery": (*_BASE, "stt_buy"),
    "intraday": (*_BASE, "brokerage_rate"),
}


def _billionths(percent: str) -> int:
    return int(Decimal(percent) / 100 * RATE_SCALE)


def _traded(asset: AssetType, product: Product) -> Traded | None:
    if product not in ("delivery", "intraday"):
        raise UsageError(f"No product {product!r}; shares are 'delivery' or 'intraday'.")
    if asset == "equity":
        return product
    return None if asset == "index" else asset


@lru_cache(maxsize=1 << 12)  # the same days come again in the next run
def _schedule(
    day: date,
    asset: AssetType,
    exchange: str,
    gst_on_sebi: bool = True,
    product: Product = "delivery",
) -> FeeSchedule:
    traded = _traded(asset, product)
    if traded is None:
        raise NoSchedule(f"No schedule of charges for {asset} on {day}: it is not traded.")
    rates = {
        row.name: row.rate
        for row in CHARGES
        if row.traded in ("", traded)
        and row.exchange in ("", exchange)
        and holds(row.first, row.last, day)
    }
    on_value = "stt_value" in rates
    if on_value:
        rates["stt_exercise"] = rates.pop("stt_value")
    missing = [name for name in _NAMES[traded] if name not in rates]
    if missing:
        kind = f"{traded} shares" if asset == "equity" else f"{asset}s"
        raise NoSchedule(
            f"No schedule of charges for {exchange} {kind} on {day}: no source tells "
            f'{", ".join(missing)}; pass `fees=` (`fees="none"` for none).'
        )
    rate = {name: _billionths(value) for name, value in rates.items() if name != "brokerage"}
    return FeeSchedule(
        brokerage=int(Decimal(rates["brokerage"]) * MONEY_SCALE),
        **rate,
        stt_on_value=on_value,
        gst_on_sebi=gst_on_sebi,
    )


def charges(
    day: date,
    asset_type: AssetType,
    side: Literal["BUY", "SELL"],
    qty: Qty,
    price: Price,
    orders: int = 1,
    *,
    exchange: str = "NSE",
    gst_on_sebi: bool = True,
    product: Product = "delivery",
) -> dict[str, Money]:
    """Charges of a trade by name, in rupees.

    Parameters
    ----------
    day
        Local date. On the NSE options and futures on indices are covered from 2019-04-01, shares
        from 2020-07-01; on the BSE options and futures from 2024-10-01. Until 2020-06-30 stamp
        duty is Maharashtra's, which both sides paid.
    asset_type
        `"option"`, `"future"` or `"equity"`.
    side
        `"BUY"` or `"SELL"`.
    qty
        Units, positive; not lots.
    price
        Rupees a unit: the premium of an option.
    orders
        Executed orders it took; each pays brokerage. See `freeze_quantity`.
    exchange
        `"NSE"` or `"BSE"`.
    gst_on_sebi
        False leaves the SEBI fee out of the base of the tax on services.
    product
        Of shares: `"delivery"` or `"intraday"`. What the depository takes for a delivered sale is
        not included.

    Returns
    -------
    dict
        Each rounded half up to 1/10,000; zero charges are left out. `stt` is exact: the exchange
        rounds it to the rupee per contract and day, as a run does at the session's end.

    Raises
    ------
    NoSchedule
        Where a rate is not sourced.

    Examples
    --------
    >>> charges(date(2025, 6, 2), "option", "SELL", qty=75, price=100.0)
    {'brokerage': 20.0, 'exchange': 2.6648, 'sebi': 0.0075, 'gst': 4.081, 'stt': 7.5}
    """
    if side not in ("BUY", "SELL"):
        raise UsageError(f"No side {side!r}; it is 'BUY' or 'SELL'.")
    if qty <= 0 or price < 0 or orders <= 0:
        raise UsageError(
            f"qty and orders are positive, price is not negative; got {qty}, {orders}, {price}."
        )
    schedule = _schedule(day, asset_type, exchange, gst_on_sebi, product)
    raw = round(price * MONEY_SCALE)
    signed = qty if side == "BUY" else -qty
    named = schedule.charges(signed, raw, MONEY_SCALE, orders)
    return {name: money(amount) for name, amount in named.items()}


def fees(
    gst_on_sebi: bool = True, freeze: Qty | None = None, product: Product = "delivery"
) -> FeeModel:
    """Dated charges of India as a run takes them.

    An order above the freeze quantity stays one order at one price, and pays the brokerage of as
    many as the exchange would have needed.

    Parameters
    ----------
    gst_on_sebi
        False: no tax on the SEBI fee, as brokers' older bills had it.
    freeze
        Most units of an order on days for which no freeze quantity is sourced. None: an order of
        more than 600 units on such a day, the lowest limit there was, raises `NoSchedule`.
    product
        What is done with shares: `"delivery"` or `"intraday"`.

    Examples
    --------
    >>> option = ContractSpec("option", "NIFTY", date(2024, 2, 29), 22000.0, "CE", lot=50)
    >>> fees().fill(date(2024, 2, 1), option, 3_650, 10_000)["brokerage"]
    600000
    """
    _traded("equity", product)
    if freeze is not None and freeze <= 0:
        raise UsageError(f"freeze={freeze!r}: the most units of an order, above zero.")
    return ScheduledFees(
        lambda day, asset, exchange: _schedule(day, asset, exchange, gst_on_sebi, product),
        lambda day, spec, qty: _orders(day, spec, qty, freeze),
        f"india.fees(gst_on_sebi={gst_on_sebi}, freeze={freeze}, product={product!r})",
    )
