"""Names on `self`: those a strategy does not have, and those it must not take."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from bestbt.cell.problems import Problem
from bestbt.cell.scan import FUNCTIONS, Function, Scan, StrategyClass, bound_in, dotted, self_name
from bestbt.cell.surface import LATER, LATER_ARGUMENTS, LIMITS, Surface

__all__ = ["call_mistake", "members", "nearest"]

_NONE: Mapping[str, str] = MappingProxyType({})


def members(scan: Scan, strategy: StrategyClass, known: Surface) -> Iterator[Problem]:
    """Find misspelt and shadowed names of the base class, and calls that do not fit it."""
    yield from _shadowed_in_class(scan, strategy, known)
    own = {name for one in (*strategy.family, *strategy.heirs) for name in bound_in(one)}
    names = own | known.members | _attributes_made(scan)
    open_ended = not strategy.closed or _is_dynamic(strategy)
    for method in strategy.methods:
        me = self_name(method)
        if me is None:
            continue
        for node in _of_instance(method, me):
            if isinstance(node.ctx, ast.Store):
                yield from _shadowed_on_instance(node, known)
            elif node.attr in own:
                continue
            elif node.attr in known.members:
                yield from _misused(scan, node, known)
            elif node.attr not in names and not open_ended and not node.attr.startswith("__"):
                yield _unknown(node, strategy, names, known)


def _of_instance(method: Function, me: str) -> Iterator[ast.Attribute]:
    """Attributes of the instance within a method, inner functions and lambdas included."""
    todo: list[ast.AST] = list(method.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            arguments = node.args
            if me in {
                a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            }:
                continue  # another object of that name
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == me
        ):
            yield node
        todo.extend(ast.iter_child_nodes(node))


# --- names it has ---


def _attributes_made(scan: Scan) -> set[str]:
    """Attributes assigned anywhere in the cell, or asked for by name: some may be on a strategy."""
    names = {
        n.attr
        for n in scan.nodes
        if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)
    }
    for call in scan.calls():
        if dotted(call.func) in (("hasattr",), ("getattr",)) and len(call.args) > 1:
            name = scan.literal(call.args[1])
            if isinstance(name, str):
                names.add(name)
    return names


def _is_dynamic(strategy: StrategyClass) -> bool:
    """Whether attributes come about in ways that reading cannot follow."""
    for node in (n for one in strategy.family for n in ast.walk(one)):
        if isinstance(node, ast.Call) and dotted(node.func) in (("setattr",), ("vars",)):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "__dict__":
            return True
        if isinstance(node, FUNCTIONS) and node.name in ("__getattr__", "__getattribute__"):
            return True
    return False


# What other frameworks call these members.
_ELSEWHERE = {
    "cash": "balance",
    "close": "spot.close",
    "data": "spot",
    "date": "today",
    "orders": "get_orders()",
    "pnl": "get_pnl()",
    "position": "get_active_position()",
    "positions": "get_opened_positions()",
    "price": "spot.price",
    "time": "now",
}


def _unknown(
    node: ast.Attribute, strategy: StrategyClass, names: set[str], known: Surface
) -> Problem:
    near = nearest(node.attr, (n for n in names if not n.startswith("_")))
    if node.attr in _ELSEWHERE:
        hint = f"Use self.{_ELSEWHERE[node.attr]}."
    elif node.attr in LATER:
        hint = f"{node.attr} is not in this version."
    elif near:
        hint = f"Did you mean self.{near}?"
    else:
        hint = f"Assign self.{node.attr} in init(), or make it a class attribute."
    return Problem(
        node.lineno,
        node.col_offset,
        "error",
        "attribute",
        f"{strategy.name} has no attribute or method {node.attr!r}",
        hint,
    )


def nearest(name: str, names: Iterator[str] | set[str] | list[str]) -> str:
    """Return the name most like this one, case and underscores aside; empty when none is near.

    >>> nearest("getatm", ["get_atm", "get_pnl"]), nearest("zebra", ["get_atm"])
    ('get_atm', '')
    """
    plain: dict[str, str] = {}
    for one in sorted(names):
        plain.setdefault(one.replace("_", "").lower(), one)
    near = get_close_matches(name.replace("_", "").lower(), plain, n=1, cutoff=0.75)
    return plain[near[0]] if near else ""


# --- names it must not take ---


def _shadowed_in_class(scan: Scan, strategy: StrategyClass, known: Surface) -> Iterator[Problem]:
    for node in strategy.node.body:
        if isinstance(node, FUNCTIONS):
            if node.name == "__init__":
                yield Problem(
                    node.lineno,
                    node.col_offset,
                    "error",
                    "shadows",
                    "__init__ belongs to the engine",
                    "Prepare in `def init(self):`; parameters are class attributes.",
                )
            elif node.name in known.verbs or node.name in known.values:
                yield _shadow(node, node.name, f"def {node.name}", known)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            taken = {*known.verbs, *known.values}
            if isinstance(node.value, ast.Constant):
                taken |= set(known.hooks)  # a function may stand for a hook, a number cannot
            for name in (n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
                if name.id in taken:
                    yield _shadow(name, name.id, name.id, known)
                elif name.id in LIMITS - known.members and name.id not in scan.mentioned:
                    yield Problem(
                        name.lineno,
                        name.col_offset,
                        "warning",
                        "no-effect",
                        f"{name.id} has no effect: limits are not in this version",
                        "Test self.today_pnl in a hook, and exit_all().",
                    )


def _shadowed_on_instance(node: ast.Attribute, known: Surface) -> Iterator[Problem]:
    if node.attr in known.verbs or node.attr in known.values or node.attr in known.hooks:
        yield _shadow(node, node.attr, ast.unparse(node), known)


def _shadow(node: ast.stmt | ast.expr, name: str, shown: str, known: Surface) -> Problem:
    what = "a method" if name in known.verbs else "a hook" if name in known.hooks else "a value"
    return Problem(
        node.lineno,
        node.col_offset,
        "error",
        "shadows",
        f"{shown} hides {what} of Strategy that the engine relies on",
        f"Choose another name, such as my_{name.strip('_')}.",
    )


# --- names it uses wrongly ---


def _misused(scan: Scan, node: ast.Attribute, known: Surface) -> Iterator[Problem]:
    parent = scan.parent[node]
    call = parent if isinstance(parent, ast.Call) and parent.func is node else None
    if call is not None and node.attr in known.verbs:
        later = LATER_ARGUMENTS.get(node.attr, {})
        if mistake := call_mistake(call, known.verbs[node.attr], later):
            message, hint = mistake
            yield Problem(
                call.lineno,
                call.col_offset,
                "error",
                "arguments",
                f"self.{node.attr}(): {message}",
                hint,
            )
    elif call is not None and node.attr in known.values and not node.attr.startswith("_"):
        yield Problem(
            node.lineno,
            node.col_offset,
            "error",
            "not-a-method",
            f"self.{node.attr} is a value, not a method",
            f"Write self.{node.attr} without parentheses.",
        )
    elif call is None and node.attr in known.verbs and _is_tested(parent, node):
        yield Problem(
            node.lineno,
            node.col_offset,
            "error",
            "not-called",
            f"self.{node.attr} is a method; without parentheses it is always true",
            f"Write self.{node.attr}(…).",
        )


def _is_tested(parent: ast.AST, node: ast.expr) -> bool:
    """Whether the parent takes the expression for a truth or a number."""
    if isinstance(parent, ast.If | ast.While | ast.IfExp):
        return parent.test is node
    if isinstance(parent, ast.Compare):
        return not any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in parent.ops)
    return isinstance(parent, ast.BinOp | ast.BoolOp | ast.UnaryOp)


def call_mistake(
    call: ast.Call, signature: inspect.Signature, later: Mapping[str, str] = _NONE
) -> tuple[str, str] | None:
    """Return what is wrong with a call's arguments and what to do; None when they fit.

    Arguments of a later version are *later*, each with what to do until then.

    >>> def buy(contract, lots=1): ...
    >>> call_mistake(ast.parse("buy(c, lot=2)").body[0].value, inspect.signature(buy))
    ("unknown argument 'lot'", "Did you mean 'lots'?")
    """
    parameters = signature.parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in named:
                if keyword.arg in later:
                    return f"{keyword.arg}= is not in this version", later[keyword.arg]
                near = nearest(keyword.arg, named)
                takes = f"It takes: {', '.join(named)}." if named else "It takes no arguments."
                hint = f"Did you mean {near!r}?" if near else takes
                return f"unknown argument {keyword.arg!r}", hint
    if any(isinstance(a, ast.Starred) for a in call.args) or any(
        k.arg is None for k in call.keywords
    ):
        return None  # as many as the star holds
    try:
        signature.bind(*call.args, **{k.arg: k.value for k in call.keywords if k.arg})
    except TypeError as error:
        return str(
            error
        ), f"Its arguments are {signature.replace(return_annotation=signature.empty)}."
    return None
