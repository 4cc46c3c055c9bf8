"""What a trade costs: dated schedules, resolved once a day, to charges by name.

Everything is an integer, so a run's charges add up exactly: amounts are raw money (1/10,000 of
the currency), rates are billionths. Each charge is rounded half up on its own. Where the rates
come from is a market's affair (`bestbt.markets`); here is only how they are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from bestbt.engine.ports import AssetType, ContractSpec, FeeModel
from bestbt.errors import UsageError
from bestbt.units import MONEY_SCALE, Money, Price, Qty, RawMoney, RawPrice

__all__ = ["RATE_SCALE", "FeeFunction", "FeeSchedule", "NoFees", "ScheduledFees", "fee_function"]

RATE_SCALE = 1_000_000_000  # a rate of 1 % is 10,000,000
_WHOLE = MONEY_SCALE  # one rupee: what the securities tax is rounded to


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Rates of one asset type on one day.

    Parameters
    ----------
    brokerage
        Raw money for each executed order; with `brokerage_rate`, the most an order pays.
    brokerage_rate, exchange, sebi
        Billionths of the turnover, on both sides. `exchange` includes the exchange's levy for
        its investor protection fund.
    stamp, stamp_sell
        Billionths of the turnover: stamp duty on buys, and on sells.
    stt, stt_buy
        Billionths of the turnover: securities transaction tax on sells, and on buys.
    stt_exercise
        Billionths of the intrinsic value, paid by the holder when an option settles in the money;
        of the whole settlement value with `stt_on_value`, as until August 2019.
    gst
        Billionths of brokerage and exchange charge, and of the SEBI fee if `gst_on_sebi`.
    gst_on_sebi
        False reproduces brokers' bills that left the SEBI fee out.

    Examples
    --------
    >>> s = FeeSchedule(brokerage=200_000, exchange=355_300, sebi=1_000, stt=1_000_000,
    ...                 gst=180_000_000)
    >>> s.charges(-75, 10_000, scale=100)  # 75 units sold at 100.00
    {'brokerage': 200000, 'exchange': 26648, 'sebi': 75, 'gst': 40810, 'stt': 75000}
    """

    brokerage: RawMoney = 0
    brokerage_rate: int = 0
    exchange: int = 0
    sebi: int = 0
    stamp: int = 0
    stamp_sell: int = 0
    stt: int = 0
    stt_buy: int = 0
    stt_exercise: int = 0
    stt_on_value: bool = False
    gst: int = 0
    gst_on_sebi: bool = True

    def charges(
        self, qty: Qty, price: RawPrice, scale: int, orders: int = 1
    ) -> dict[str, RawMoney]:
        """Charges by name of *qty* signed units traded at a raw price in *orders* orders.

        Amounts are positive raw money; a zero charge is left out. Only brokerage, and the tax on
        it, depends on *orders*. The securities tax is exact here: it is rounded to the rupee per
        contract and day, by `ScheduledFees.day_end`.
        """
        turnover = 2 * abs(qty) * price * MONEY_SCALE  # doubled: adding `unit` rounds half up
        unit = scale * RATE_SCALE
        double = 2 * unit
        brokerage = self.brokerage * orders
        if self.brokerage_rate:
            brokerage = min(brokerage, (turnover * self.brokerage_rate + unit) // double)
        exchange = (turnover * self.exchange + unit) // double
        sebi = (turnover * self.sebi + unit) // double
        taxed = brokerage + exchange + (sebi if self.gst_on_sebi else 0)
        gst = (2 * taxed * self.gst + RATE_SCALE) // (2 * RATE_SCALE)
        stamp, stt = (self.stamp, self.stt_buy) if qty > 0 else (self.stamp_sell, self.stt)
        named = {
            "brokerage": brokerage,
            "exchange": exchange,
            "sebi": sebi,
            "gst": gst,
            "stamp": (turnover * stamp + unit) // double,
            "stt": (turnover * stt + unit) // double,
        }
        return {name: amount for name, amount in named.items() if amount}

    def exercise(self, spec: ContractSpec, qty: Qty, intrinsic: RawPrice) -> dict[str, RawMoney]:
        """Tax on a long option that settles in the money; shorts pay nothing."""
        if qty <= 0 or intrinsic <= 0 or not self.stt_exercise:
            return {}
        taxed = intrinsic
        if self.stt_on_value:
            strike = round((spec.strike or 0.0) * spec.scale)
            taxed = strike + intrinsic if spec.right == "CE" else strike - intrinsic
        unit = spec.scale * RATE_SCALE
        tax = (2 * qty * taxed * MONEY_SCALE * self.stt_exercise + unit) // (2 * unit)
        return {"stt": tax} if tax else {}


class ScheduledFees:
    """A `FeeModel` over dated schedules.

    Parameters
    ----------
    lookup
        Returns the schedule of a day, an asset type and an exchange, or raises `NoSchedule`.
        It is asked once for each; the answer is kept.
    orders
        How many orders an exchange needs for a quantity (units, positive) of a contract on a
        day: each pays brokerage. Default: one.
    name
        How it is written in the record of a run.

    Examples
    --------
    >>> fees = ScheduledFees(lambda day, asset, exchange: FeeSchedule(brokerage=200_000))
    >>> fees.fill(date(2024, 1, 1), ContractSpec("option", "NIFTY"), 75, 10_000)
    {'brokerage': 200000}
    """

    def __init__(
        self,
        lookup: Callable[[date, AssetType, str], FeeSchedule],
        orders: Callable[[date, ContractSpec, Qty], int] = lambda day, spec, qty: 1,
        name: str = "dated charges",
    ) -> None:
        self._lookup = lookup
        self._orders = orders
        self._name = name
        self._kept: dict[tuple[date, AssetType, str], FeeSchedule] = {}

    def __repr__(self) -> str:
        return self._name

    def schedule(self, day: date, spec: ContractSpec) -> FeeSchedule:
        """Return the schedule in force for a contract on a day."""
        key = (day, spec.asset, spec.exchange)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._lookup(*key)
        return found

    def fill(
        self, day: date, spec: ContractSpec, qty: Qty, price: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Charges of one executed order, at as many brokerages as the exchange needs orders."""
        orders = self._orders(day, spec, abs(qty))
        return self.schedule(day, spec).charges(qty, price, spec.scale, orders)

    def exercise(
        self, day: date, spec: ContractSpec, qty: Qty, intrinsic: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Charges of settling held units: tax on an option in the money, no brokerage."""
        if spec.asset != "option":
            return {}
        return self.schedule(day, spec).exercise(spec, qty, intrinsic)

    def day_end(
        self, day: date, spec: ContractSpec, charged: Mapping[str, RawMoney]
    ) -> Mapping[str, RawMoney]:
        """Return the correction that makes a contract's tax of the day whole rupees, halves up.

        >>> fees = ScheduledFees(lambda day, asset, exchange: FeeSchedule())
        >>> fees.day_end(date(2024, 1, 1), ContractSpec("option", "NIFTY"), {"stt": 75_000})
        {'stt': 5000}
        """
        tax = charged.get("stt", 0)
        correction = (2 * tax + _WHOLE) // (2 * _WHOLE) * _WHOLE - tax
        return {"stt": correction} if correction else {}


class NoFees:
    """A `FeeModel` that charges nothing.

    >>> NoFees().fill(date(2024, 1, 1), ContractSpec("option", "NIFTY"), 75, 10_000)
    {}
    """

    def fill(
        self, day: date, spec: ContractSpec, qty: Qty, price: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Return no charges."""
        return {}

    def exercise(
        self, day: date, spec: ContractSpec, qty: Qty, intrinsic: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Return no charges."""
        return {}

    def day_end(
        self, day: date, spec: ContractSpec, charged: Mapping[str, RawMoney]
    ) -> Mapping[str, RawMoney]:
        """Return no corrections."""
        return {}


FeeFunction: TypeAlias = Callable[
    [date, ContractSpec, Qty, Price], "Money | Mapping[str, Money] | None"
]


class _FunctionFees(NoFees):
    """A user's function as a `FeeModel`: fills only, settlement is free."""

    def __init__(self, fn: FeeFunction) -> None:
        self._fn = fn

    def fill(
        self, day: date, spec: ContractSpec, qty: Qty, price: RawPrice
    ) -> Mapping[str, RawMoney]:
        given = self._fn(day, spec, qty, price / spec.scale)
        if given is None:
            return {}
        named = given if isinstance(given, Mapping) else {"fees": given}
        raw = {str(name): _raw(str(name), amount) for name, amount in named.items()}
        return {name: amount for name, amount in raw.items() if amount}


def _raw(name: str, amount: Money) -> RawMoney:
    try:
        raw = int(amount * MONEY_SCALE + 0.5)
    except (TypeError, ValueError, OverflowError):
        raw = -1
    if raw < 0 or isinstance(amount, bool):
        raise UsageError(
            f"The fee function returned {amount!r} for {name!r}; a charge is a number of the "
            "currency, zero or more."
        )
    return raw


def fee_function(fn: FeeFunction) -> FeeModel:
    """Make a `FeeModel` of a function of one fill.

    Parameters
    ----------
    fn
        Called with the local date, the `ContractSpec`, signed units (a buy is positive) and the
        price as a float; returns one amount, a mapping of amounts by name (in the currency,
        zero or more), or None for nothing. Amounts are rounded half up to 1/10,000. Settlement
        is free.

    Raises
    ------
    UsageError
        When it returns something else.

    Examples
    --------
    >>> fees = fee_function(lambda day, spec, qty, price: 20 + abs(qty) * price * 0.001)
    >>> fees.fill(date(2024, 1, 1), ContractSpec("option", "NIFTY"), -75, 10_000)
    {'fees': 275000}
    """
    if not callable(fn):
        raise UsageError(f"{fn!r} is no function of (day, spec, qty, price).")
    return _FunctionFees(fn)
