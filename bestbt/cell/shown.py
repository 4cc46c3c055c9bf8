"""A value in a few characters, for reading: numbers with separators, contracts by their names.

Nothing here raises, and nothing says where in memory an object lies: the same value is the same
text in every run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from bestbt.engine.chain import OptionChain
from bestbt.engine.contract import Contract
from bestbt.engine.indicators import Indicator
from bestbt.engine.order import Fill, Order
from bestbt.engine.position import Position

__all__ = ["LIMIT", "exact", "short"]

LIMIT = 60
_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
_CALLABLE = FunctionType | BuiltinFunctionType | MethodType
_DEEP = 2  # containers in containers that are opened
_MANY = 12  # items of a container that are looked at from each end


def short(value: Any, limit: int = LIMIT) -> str:
    """Return a value as a text of at most *limit* characters.

    >>> short(21512.4), short(0.18342), short(1234567), short([1, 2.5, "x"]), short(None)
    ('21,512.40', '0.1834', '1,234,567', "[1, 2.50, 'x']", 'None')
    >>> class Odd:
    ...     def __repr__(self):
    ...         raise ValueError("no")
    >>> short(Odd()), short(object())
    ('<Odd: its repr raises ValueError>', '<object>')
    """
    try:
        text = _text(value, limit, 0)
    except Exception as error:  # of a repr that is not ours; said, not hidden
        text = f"<{type(value).__name__}: its repr raises {type(error).__name__}>"
    return _cut(" ".join(text.split()), limit)


def exact(value: Any) -> str:
    """Return all that `short` knows of a value, with all digits of a number: to tell two apart."""
    if isinstance(value, float | int | np.generic):
        return repr(value)
    return short(value, 4000)


def _text(value: Any, limit: int, depth: int) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return repr(value)
    if type(value) is int:
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if type(value) is float:
        return _number(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else _cut(repr(value[:limit]), limit)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Indicator):
        return f"indicator, now {_text(value[0], limit, depth)}"
    own = _of_the_engine(value)
    if own is not None:
        return own
    if isinstance(value, ModuleType | type | _CALLABLE):
        return str(getattr(value, "__name__", type(value).__name__))
    if isinstance(value, np.ndarray):
        return _array(value, limit, depth)
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "shape"):
        size = " × ".join(map(str, value.shape))
        return f"{type(value).__name__}, {size}"
    return _container(value, limit, depth)


def _number(value: float) -> str:
    """Write a float: two decimals like a price, or four digits of what is smaller than 1."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1 or not value:
        return f"{value:,.2f}" if abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:.4g}"


def _of_the_engine(value: Any) -> str | None:
    if isinstance(value, Contract):
        return value.name
    if isinstance(value, Position):
        return f"{value.qty:+d} {value.contract.name} at {_number(value.entry_price)}"
    if isinstance(value, Order):
        side = "BUY" if value.qty > 0 else "SELL"
        return f"order {value.id} {side} {abs(value.qty)} {value.contract.name}, {value.status}"
    if isinstance(value, Fill):
        return f"{value.side} {abs(value.qty)} {value.contract.name} at {_number(value.price)}"
    if isinstance(value, OptionChain):
        return repr(value)[1:-1]
    return None


def _array(value: np.ndarray[Any, Any], limit: int, depth: int) -> str:
    size = " × ".join(map(str, value.shape)) or "1"
    if value.ndim != 1 or not value.size or value.dtype.names:
        return f"array, {size}"
    return f"array, {size}: {_text(value[0], limit, depth)} … {_text(value[-1], limit, depth)}"


def _container(value: Any, limit: int, depth: int) -> str:
    if isinstance(value, SimpleNamespace):
        named = vars(value).items()
        return f"({', '.join(f'{k}={_item(v, limit, depth)}' for k, v in named)})"
    if isinstance(value, Mapping):
        pairs = (f"{_item(k, limit, depth)}: {_item(v, limit, depth)}" for k, v in value.items())
        return _enclosed("{", pairs, "}", len(value), limit)
    if isinstance(value, set | frozenset):
        items = iter(sorted(_item(each, limit, depth) for each in value))
        return _enclosed("{", items, "}", len(value), limit) if value else "set()"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        opens, closes = "[]" if isinstance(value, list) else "()"
        items = (_item(each, limit, depth) for each in value[: limit // 3 + _MANY])
        text = _enclosed(opens, items, closes, len(value), limit)
        if text.endswith("…") and len(value) > 1:  # its newest is what matters of a long one
            first, last = (_item(value[i], limit, depth) for i in (0, -1))
            text = f"{opens}{first}, … {last}{closes}, {len(value)} items"
        return text
    return _ADDRESS.sub("", repr(value))


def _item(value: Any, limit: int, depth: int) -> str:
    if depth >= _DEEP and isinstance(value, Mapping | list | tuple | set | frozenset):
        return f"{type(value).__name__} of {len(value)}"
    return short(value, limit) if depth >= _DEEP else _safe(value, limit, depth + 1)


def _safe(value: Any, limit: int, depth: int) -> str:
    try:
        return _text(value, limit, depth)
    except Exception as error:  # as in `short`
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def _enclosed(opens: str, items: Iterable[str], closes: str, size: int, limit: int) -> str:
    kept: list[str] = []
    room = limit - 2
    for item in items:
        room -= len(item) + 2
        if room < -2:
            break
        kept.append(item)
    inner = ", ".join(kept)
    if len(kept) < size:
        return f"{opens}{inner}, …" if kept else f"{opens}…"
    if opens == "(" and size == 1:
        inner += ","
    return f"{opens}{inner}{closes}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
