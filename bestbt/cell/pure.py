"""What an expression is worth just before its line runs, told without changing anything.

Only what has no side effect is evaluated: names, attributes, items, constants, arithmetic,
comparisons, and calls of functions that are known to be pure. Whatever else there is stays as it is
written. Of an object of the author's own making nothing is called: a property may do anything.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from bestbt.engine.chain import OptionChain
from bestbt.engine.contract import Contract
from bestbt.engine.indicators import Indicator, crossed_above
from bestbt.engine.position import Position
from bestbt.engine.strategy import Strategy

__all__ = ["Scope", "Unknown", "truth"]

_FUNCTIONS = ("abs", "min", "max", "len", "round", "sum", "any", "all", "int", "float", "bool")
# Monitoring functions by their owner: they ask and never note, place or start to wait.
_ASKING: tuple[tuple[type, tuple[str, ...]], ...] = (
    (
        Strategy,
        (
            *("get_pnl", "get_realized_pnl", "get_unrealized_pnl", "greeks", "get_orders"),
            *("get_opened_positions", "get_active_position", "is_position_opened"),
            *("dte", "dte_calendar", "contract", "futures", "option", "chain"),
            *("expiries", "get_closest_expiry", "get_weekly_expiry", "get_monthly_expiry"),
        ),
    ),
    (Contract, ("above", "below", "get_pnl")),
    (Position, ("get_pnl",)),
    (OptionChain, ("call", "put", "option")),
)
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_OURS = (
    *("bestbt", "builtins", "collections", "datetime", "decimal", "fractions", "math", "numpy"),
    *("pandas", "types", "zoneinfo"),
)
_ITEMS = (dict, list, tuple, str, range, memoryview, np.ndarray, np.generic, Indicator)


class Unknown(Exception):
    """An expression that cannot be evaluated without doing something."""


class Scope:
    """The names of a frame as they are at one moment.

    >>> from bestbt.cell.pure import Scope
    >>> scope = Scope({"x": [3, 4], "pop": [].pop}, {})
    >>> scope.value(ast.parse("x[1] > max(x) - 1", mode="eval").body)
    True
    >>> scope.value(ast.parse("pop()", mode="eval").body)
    Traceback (most recent call last):
        ...
    bestbt.cell.pure.Unknown
    """

    def __init__(self, names: Mapping[str, Any], global_names: Mapping[str, Any]) -> None:
        self._names, self._global_names = names, global_names

    def value(self, node: ast.expr) -> Any:
        """Return what an expression is worth; `Unknown` where that cannot be told."""
        evaluate = _EVALUATE.get(type(node))
        if evaluate is None:
            raise Unknown
        try:
            return evaluate(self, node)
        except Unknown:
            raise
        except Exception as error:  # the line itself is about to raise it
            raise Unknown from error

    def get(self, node: ast.expr, default: Any = None) -> Any:
        """Return what an expression is worth; *default* where that cannot be told."""
        try:
            return self.value(node)
        except Unknown:
            return default

    def _plain(self, node: ast.expr) -> Any:
        """Return a value whose operators are not the author's."""
        found = self.value(node)
        if not _trusted(type(found)):
            raise Unknown
        return found

    # By kind of expression

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        for names in (self._names, self._global_names, vars(builtins)):
            if node.id in names:
                return names[node.id]
        raise Unknown

    def _attribute(self, node: ast.Attribute) -> Any:
        owner, name = self.value(node.value), node.attr
        if isinstance(owner, ModuleType):
            return vars(owner)[name]
        kind = type(owner) if not isinstance(owner, type) else owner
        for hook in ("__getattr__", "__getattribute__"):
            home = _home(kind, hook)
            if home is not None and not _trusted(home):
                raise Unknown
        home = _home(kind, name)
        if home is not None and hasattr(vars(home)[name], "__get__") and not _trusted(home):
            found = vars(home)[name]
            if not inspect.isfunction(found):  # a property of the author's
                raise Unknown
        return getattr(owner, name)

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        pandas = type(owner).__module__.partition(".")[0] == "pandas"
        if not isinstance(owner, _ITEMS) and not pandas:
            raise Unknown
        home = _home(type(owner), "__getitem__")
        if home is not None and not _trusted(home):
            raise Unknown
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            return owner[slice(*(None if p is None else self._plain(p) for p in parts))]
        key = self.value(node.slice)
        if isinstance(owner, dict) and key not in owner:  # a defaultdict would take it in
            raise Unknown
        return owner[key]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(each) for each in node.elts)

    def _list(self, node: ast.List) -> Any:
        return [self.value(each) for each in node.elts]

    def _set(self, node: ast.Set) -> Any:
        return {self._plain(each) for each in node.elts}

    def _binary(self, node: ast.BinOp) -> Any:
        apply = _BINARY.get(type(node.op))
        if apply is None:  # powers and shifts can be endless
            raise Unknown
        return apply(self._plain(node.left), self._plain(node.right))

    def _unary(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self._plain(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        left, result = node.left, True
        for op, right in zip(node.ops, node.comparators, strict=True):
            apply = _COMPARE[type(op)]
            same = isinstance(op, ast.Is | ast.IsNot)
            read = self.value if same else self._plain
            result = apply(read(left), read(right))
            if len(node.ops) > 1 and not result:
                break
            left = right
        return result

    def _either(self, node: ast.BoolOp) -> Any:
        for part in node.values:
            found = self._plain(part)
            if bool(found) == isinstance(node.op, ast.Or):
                break
        return found

    def _choice(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self._plain(node.test) else node.orelse)

    def _call(self, node: ast.Call) -> Any:
        if any(isinstance(a, ast.Starred) for a in node.args):
            raise Unknown
        function = self._pure(node.func)
        named = {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
        given = [self.value(a) for a in node.args]
        if len(named) < len(node.keywords) or "key" in named:
            raise Unknown
        if isinstance(function, np.ufunc) and (named or len(given) > function.nin):
            raise Unknown  # it would write into an array
        for each in (*given, *named.values()):
            if hasattr(each, "__next__") or not _trusted(type(each)):
                raise Unknown  # it would be used up, or run the author's code
        return function(*given, **named)

    def _pure(self, node: ast.expr) -> Any:
        """Return the function that an expression names, if a call of it changes nothing."""
        found = self.value(node)
        if found is crossed_above or isinstance(found, np.ufunc):
            return found
        if isinstance(node, ast.Name) and node.id in _FUNCTIONS:
            if found is getattr(builtins, node.id):
                return found
        elif isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            if owner is math:
                return found
            for kind, names in _ASKING:
                if isinstance(owner, kind) and node.attr in names:
                    home = _home(type(owner), node.attr)
                    if home is not None and _trusted(home):  # not overridden by the author
                        return found
        raise Unknown


_EVALUATE: dict[type[ast.expr], Callable[[Scope, Any], Any]] = {
    ast.Constant: Scope._constant,
    ast.Name: Scope._name,
    ast.Attribute: Scope._attribute,
    ast.Subscript: Scope._subscript,
    ast.Tuple: Scope._tuple,
    ast.List: Scope._list,
    ast.Set: Scope._set,
    ast.BinOp: Scope._binary,
    ast.UnaryOp: Scope._unary,
    ast.Compare: Scope._compare,
    ast.BoolOp: Scope._either,
    ast.IfExp: Scope._choice,
    ast.Call: Scope._call,
}


def truth(value: Any) -> bool | None:
    """Whether a value counts as true; None where that cannot be told.

    >>> truth(3), truth([]), truth(np.array([1, 2]))
    (True, False, None)
    """
    if not _trusted(type(value)):
        home = _home(type(value), "__bool__") or _home(type(value), "__len__")
        if home is not None:
            return None
    try:
        return bool(value)
    except Exception:  # an array has no truth; who asks is told that there is none
        return None


def _trusted(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _OURS


def _home(kind: type, name: str) -> type | None:
    """Return the class that gives a name; None where the instance itself has it, or nobody."""
    for one in kind.__mro__[:-1] if name == "__getattribute__" else kind.__mro__:
        if name in vars(one):
            return one
    return None
