"""United States: what trading options, futures and shares costs.

A broker charges by the contract. What exchanges, the clearing house and the regulators add (option
regulatory fees, clearing, trading activity) changes several times a year and is not dated here:
put your all-in figure into `per_contract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from bestbt.engine.fees import NoFees
from bestbt.engine.ports import ContractSpec, FeeModel
from bestbt.errors import UsageError
from bestbt.units import MONEY_SCALE, Money, Qty, RawMoney, RawPrice, money

__all__ = ["PER_CONTRACT", "fees"]

PER_CONTRACT: Money = 0.65  # dollars; what Fidelity lists (visualfoodie.com, early 2026)


class _PerContract(NoFees):
    """A commission for each contract of a fill; settlement is free."""

    def __init__(self, contract: RawMoney, share: RawMoney, least: RawMoney) -> None:
        self._contract, self._share, self._least = contract, share, least

    def __repr__(self) -> str:
        names = (
            ("per_contract", self._contract),
            ("per_share", self._share),
            ("minimum", self._least),
        )
        given = ", ".join(f"{name}={money(raw):g}" for name, raw in names if raw)
        return f"us.fees({given})"

    def fill(
        self, day: date, spec: ContractSpec, qty: Qty, price: RawPrice
    ) -> Mapping[str, RawMoney]:
        """Commission of one executed order; a part of a contract counts as one."""
        if spec.asset in ("option", "future"):
            amount = -(-abs(qty) // spec.lot) * self._contract
        else:
            amount = abs(qty) * self._share
        amount = max(amount, self._least)
        return {"commission": amount} if amount else {}


def fees(
    per_contract: Money = PER_CONTRACT, per_share: Money = 0.0, minimum: Money = 0.0
) -> FeeModel:
    """Commissions of a broker in the United States, as a run takes them.

    Parameters
    ----------
    per_contract
        Dollars for each contract (`lot` units) of an option or future.
    per_share
        Dollars for each share.
    minimum
        Least dollars of an order.

    Raises
    ------
    UsageError
        For an amount that is no number, or below zero.

    Examples
    --------
    >>> option = ContractSpec("option", "SPX", date(2024, 6, 21), 5400.0, "PE", lot=100)
    >>> fees().fill(date(2024, 6, 3), option, -300, 1_250)
    {'commission': 19500}
    """
    return _PerContract(
        _raw("per_contract", per_contract), _raw("per_share", per_share), _raw("minimum", minimum)
    )


def _raw(name: str, amount: Money) -> RawMoney:
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if not number or not 0 <= amount < 1e9:
        raise UsageError(f"{name}={amount!r}: dollars, zero or more.")
    return int(amount * MONEY_SCALE + 0.5)
