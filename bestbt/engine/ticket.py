"""Ticket: what is asked of an order, checked, in the contract's own units and ticks."""

from __future__ import annotations

from builtins import type as builtin_type
from datetime import date
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

from bestbt.engine.contract import Contract
from bestbt.engine.order import Brackets, Level, OrderType, TimeInForce, raw_price
from bestbt.engine.ports import ContractSpec
from bestbt.errors import OrderError, did_you_mean
from bestbt.units import Price, Qty, RawPrice

__all__ = ["LEAVE", "Ticket", "limit_and_trigger", "read_ticket", "units"]

_MAX_UNITS = 10**9
_TYPES = ("market", "limit", "sl", "slm")
_TIFS = ("day", "gtc", "gtd")


class Ticket(NamedTuple):
    """The terms of an entry in raw prices; 0 where it has none."""

    type: OrderType
    raw_price: RawPrice = 0
    raw_trigger: RawPrice = 0
    brackets: Brackets | None = None
    tif: TimeInForce = "day"
    until: date | None = None


LEAVE = Ticket("market", tif="gtc")  # an exit
_MARKET = Ticket("market")


def units(verb: str, contract: Contract, lots: int | None, qty: Qty | None) -> Qty:
    """Return the units asked, whole lots of the contract; `OrderError` for anything else."""
    if (lots is None) == (qty is None):
        raise OrderError(f"{verb}({contract.name}): give lots= or qty= (units), one of them.")
    asked, unit = (lots, "lots") if lots is not None else (qty, "units")
    whole = type(asked) is int or (
        isinstance(asked, Real) and not isinstance(asked, bool) and asked % 1 == 0
    )
    if asked is None or not whole or asked <= 0:
        raise OrderError(f"{verb}({contract.name}): {asked!r} {unit}; whole and positive.")
    found = int(asked) * contract.lot if lots is not None else int(asked)
    if found > _MAX_UNITS:
        raise OrderError(f"{verb}({contract.name}): {found} units are more than can be meant.")
    if found % contract.lot:
        raise OrderError(
            f"{verb}({contract.name}): {found} units are no whole lots of {contract.lot}."
        )
    return found


def read_ticket(
    verb: str,
    spec: ContractSpec,
    today: date,
    type: OrderType,
    price: Price | None = None,
    trigger: Price | None = None,
    sl: Price | str | None = None,
    target: Price | str | None = None,
    trail: Price | str | None = None,
    tif: TimeInForce = "day",
    until: date | None = None,
) -> Ticket:
    """Return the terms asked of an entry; `OrderError` where they make no sense together."""
    plain = price is trigger is target is trail is None and until is None
    if plain and type == "market" and tif == "day":
        if sl is None:
            return _MARKET
        if builtin_type(sl) is str:
            return _stopped(sl)
    if type not in _TYPES:
        raise OrderError(f"{verb}(type={type!r}): {did_you_mean(str(type), _TYPES)}")
    raw_limit, raw_trigger = limit_and_trigger(verb, spec, type, price, trigger)
    brackets = None
    if sl is not None or target is not None or trail is not None:
        brackets = Brackets(
            None if sl is None else Level.parse(sl),
            None if trail is None else Level.distance(trail, spec.tick, spec.scale),
            None if target is None else Level.parse(target),
        )
    if tif not in _TIFS:
        raise OrderError(f"{verb}(tif={tif!r}): {did_you_mean(str(tif), _TIFS)}")
    if tif != "day" and type == "market":
        raise OrderError(
            f"{verb}(tif={tif!r}): a market order trades at its next live bar or not at all."
        )
    if (tif == "gtd") != (until is not None):
        raise OrderError(f"{verb}(tif={tif!r}, until={until!r}): tif='gtd' and until= go together.")
    # a datetime is a date to Python, and is refused: an order lives to the end of a session
    if until is not None and (builtin_type(until) is not date or until < today):
        raise OrderError(f"{verb}(until={until!r}): give a date, today ({today}) or later.")
    return Ticket(type, raw_limit, raw_trigger, brackets, tif, until)


@lru_cache(maxsize=256)
def _stopped(sl: str) -> Ticket:
    """Read a market order with nothing but a stop: what is asked of most entries."""
    return Ticket("market", brackets=Brackets(Level.parse(sl), None, None))


def limit_and_trigger(
    verb: str, spec: ContractSpec, type: OrderType, price: Any, trigger: Any
) -> tuple[RawPrice, RawPrice]:
    """Return raw limit and trigger on the tick, each 0 where the type has none."""
    return (
        _raw(verb, spec, type, "price", price, wanted=type in ("limit", "sl")),
        _raw(verb, spec, type, "trigger", trigger, wanted=type in ("sl", "slm")),
    )


def _raw(
    verb: str, spec: ContractSpec, type: OrderType, name: str, given: Any, wanted: bool
) -> RawPrice:
    if not wanted:
        if given is not None:
            goes = "'limit' or 'sl'" if name == "price" else "'slm' or 'sl'"
            raise OrderError(f"{verb}({name}={given!r}) goes with type={goes}, not {type!r}.")
        return 0
    number = isinstance(given, Real) and not isinstance(given, bool)
    if not number or not 0 < given < float("inf"):
        raise OrderError(f"{verb}(type={type!r}) needs {name}=, a price; got {given!r}.")
    return raw_price(float(given), spec.tick, spec.scale)
