"""What a `Backtest` is asked, checked, as the engine takes it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np

from bestbt.engine.fees import NoFees, fee_function
from bestbt.engine.ports import FeeModel, Market
from bestbt.errors import UsageError
from bestbt.markets import us
from bestbt.units import MONEY_SCALE, Money

__all__ = ["checked_day", "checked_symbols", "fee_model", "raw_capital"]


def checked_symbols(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return symbols as exchanges write them, in capitals; each once."""
    if not given:
        raise UsageError("No symbol: name one, such as Backtest(MyStrategy, store, 'NIFTY').")
    for one in given:
        if not isinstance(one, str):
            raise UsageError(f"{one!r} is no symbol; write one as text, such as 'NIFTY'.")
    symbols = tuple(one.upper() for one in given)
    for one in symbols:
        if symbols.count(one) > 1:
            raise UsageError(f"{one} was given {symbols.count(one)} times; name it once.")
    return symbols


def checked_day(option: str, given: date | str | None) -> date | None:
    """Return a day; None is left as it is."""
    if given is None or (isinstance(given, date) and not isinstance(given, datetime)):
        return given
    if isinstance(given, datetime):
        return given.date()
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError):
        raise UsageError(f"{option}={given!r} is no day; write it as '2024-01-31'.") from None


def raw_capital(capital: Money) -> int:
    """Return raw money, above zero."""
    number = isinstance(capital, int | float) and not isinstance(capital, bool)
    if not number or not np.isfinite(capital) or capital <= 0:
        raise UsageError(f"capital={capital!r}: a number above zero is needed, such as 1_000_000.")
    return round(capital * MONEY_SCALE)


def fee_model(fees: Any, market: Market) -> FeeModel:
    """Return the charges of a name, a function or a model; None: the market's."""
    if fees is None or fees == "market":
        return market.fees()
    if fees == "none" or fees == 0:
        return NoFees()
    if fees == "us":
        return us.fees()
    if isinstance(fees, FeeModel):
        return fees
    if callable(fees):
        return fee_function(fees)
    raise UsageError(f"fees={fees!r}: 'market', 'none', 'us', or a function; see help(Backtest).")
