"""Hooks and schedule: methods that the engine would never call, or not as they are written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bestbt.cell.members import call_mistake, nearest
from bestbt.cell.problems import Problem, Severity
from bestbt.cell.scan import FUNCTIONS, Function, Scan, StrategyClass, bound_in, self_name
from bestbt.cell.surface import LATER, SCHEDULE, Surface
from bestbt.engine.grid import duration, time_of_day
from bestbt.errors import UsageError
from bestbt.units import Ns

__all__ = ["has_hooks", "stray_hooks", "timing"]

# What other frameworks call these hooks.
_ELSEWHERE = {
    "next": "on_bar",
    "handle_data": "on_bar",
    "on_data": "on_bar",
    "on_tick": "on_bar",
    "on_candle": "on_bar",
    "on_trading_iteration": "on_bar",
    "initialize": "init",
    "initialise": "init",
    "setup": "init",
    "on_init": "init",
    "on_start": "init",
    "on_order_event": "on_fill",
    "notify_order": "on_fill",
    "notify_trade": "on_fill",
}


def timing(scan: Scan, strategy: StrategyClass, known: Surface) -> Iterator[Problem]:
    """Find hooks of one strategy that cannot fire, or would fail when they do."""
    seen: dict[str, Function] = {}
    for method in strategy.methods:
        decorators = list(_schedule(scan, method))
        for name, decorator in decorators:
            yield from _decorator(scan, name, decorator, method, known)
        needed = 0 if decorators else known.hooks.get(method.name)
        if needed is not None:
            yield from _called_rightly(method, needed, scheduled=bool(decorators))
        elif not method.decorator_list:
            yield from _never_called(scan, strategy, method, known)
        if method.name in seen and not _continues(method):
            yield _problem(
                method,
                "error",
                "twice",
                f"a second method named {method.name}: the one in line "
                f"{seen[method.name].lineno} is lost",
                "Give each method its own name.",
            )
        seen[method.name] = method
    if strategy.leaf and strategy.closed and not _acts(scan, strategy, known):
        yield _problem(
            strategy.node,
            "error",
            "does-nothing",
            f"{strategy.name} has no hook and no schedule: it would never do anything",
            'Add `def on_bar(self):`, or a method under @at("09:20").',
        )


def stray_hooks(scan: Scan, known: Surface) -> Iterator[Problem]:
    """Find hooks that stand outside a class or inside another function."""
    for node in scan.nodes:
        if not isinstance(node, FUNCTIONS) or isinstance(scan.parent[node], ast.ClassDef):
            continue
        if scan.inside(node, ast.ClassDef) and not scan.inside(node, *FUNCTIONS):
            continue  # under an `if` of a class body
        scheduled = any(True for _ in _schedule(scan, node))
        takes_self = bool(node.args.args) and node.args.args[0].arg == "self"
        if scheduled or (
            node.name in known.hooks and takes_self and node.name not in scan.mentioned
        ):
            nested = scan.inside(node, *FUNCTIONS)
            yield _problem(
                node,
                "error",
                "stray-hook",
                f"{node.name} is never called: it stands "
                + ("inside another function" if nested else "outside the strategy's class"),
                "Make it a method of the class: mind the indent.",
            )


# --- methods ---


def _called_rightly(method: Function, needed: int, scheduled: bool) -> Iterator[Problem]:
    what = "a scheduled method" if scheduled else method.name
    if isinstance(method, ast.AsyncFunctionDef) or any(
        isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(method)
    ):
        kind = "async" if isinstance(method, ast.AsyncFunctionDef) else "a generator (it yields)"
        yield _problem(
            method,
            "error",
            "hook-arguments",
            f"{method.name} is {kind}: calling it would run none of its lines",
            "Make it a plain method.",
        )
    if self_name(method) is None and method.decorator_list and not scheduled:
        return  # static or class methods are called as they are
    arguments = method.args
    positional = [*arguments.posonlyargs, *arguments.args]
    least = len(positional) - len(arguments.defaults)
    given = needed + 1
    missing_keywords = [
        a.arg
        for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    fits = least <= given and (given <= len(positional) or arguments.vararg is not None)
    if fits and not missing_keywords:
        return
    names = {0: "", 1: ", fill", 2: ", need, have"}[needed]
    if method.name == "on_expiry":
        names = ", contract"
    elif method.name == "on_reject":
        names = ", order"
    yield _problem(
        method,
        "error",
        "hook-arguments",
        f"the engine calls {what} with {_count(needed)} after self, "
        f"and {method.name}({ast.unparse(arguments)}) does not fit",
        f"Write `def {method.name}(self{names}):`.",
    )


def _count(needed: int) -> str:
    return {0: "nothing", 1: "one argument"}.get(needed, f"{needed} arguments")


def _own_nodes(method: Function) -> Iterator[ast.AST]:
    todo: list[ast.AST] = list(method.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


def _never_called(
    scan: Scan, strategy: StrategyClass, method: Function, known: Surface
) -> Iterator[Problem]:
    """A method nobody mentions, whose name looks like a hook's."""
    name = method.name
    if name in scan.mentioned or name.startswith("__") or not strategy.closed:
        return
    if scan.looks_up_names:
        return
    meant = _meant(name, known)
    if name in LATER:
        yield _problem(
            method,
            "error",
            "misspelt-hook",
            f"{name} would never be called: it is not in this version",
            "Do it in on_fill or on_bar.",
        )
    elif meant:
        yield _problem(
            method,
            "error",
            "misspelt-hook",
            f"{name} is never called: Strategy has no hook of that name",
            f"Did you mean {meant}?",
        )
    elif name.startswith("on_"):
        yield _problem(
            method,
            "warning",
            "misspelt-hook",
            f"{name} is never called: Strategy has no hook of that name",
            f"Hooks are: {', '.join(sorted(known.hooks))}.",
        )


def _meant(name: str, known: Surface) -> str:
    """Return the hook that a method's name is a slip for; `entry` or `inform` are none."""
    if _ELSEWHERE.get(name) in known.hooks:
        return _ELSEWHERE[name]
    near = nearest(name, set(known.hooks))
    plain = name.strip("_").lower()
    if near == "init":
        return near if plain in ("init", "int", "inti", "inits") else ""
    return near if plain.startswith("on") else ""


def _continues(method: Function) -> bool:
    """Whether a decorator refers to the method of the same name (`@x.setter`, an overload)."""
    return any(
        isinstance(d, ast.Attribute) or ast.unparse(d).split(".")[-1] == "overload"
        for d in method.decorator_list
    )


def has_hooks(scan: Scan, strategy: StrategyClass, known: Surface) -> bool:
    """Whether a class has a hook or a scheduled method, its ancestors in the cell included."""
    return any(
        bound_in(one) & set(known.hooks)
        or any(True for m in one.body if isinstance(m, FUNCTIONS) for _ in _schedule(scan, m))
        for one in strategy.family
    )


def _acts(scan: Scan, strategy: StrategyClass, known: Surface) -> bool:
    """Whether a class may do anything: what cannot be known, or was told already, counts."""
    if has_hooks(scan, strategy, known):
        return True
    for one in strategy.family:
        methods = [node for node in ast.walk(one) if isinstance(node, FUNCTIONS)]
        if one.decorator_list or any(method.decorator_list for method in methods):
            return True  # a decorator of the user's may make a hook
        if any(_meant(method.name, known) or method.name in LATER for method in methods):
            return True  # told already, by its right name
    return False


# --- schedule ---


def _schedule(scan: Scan, method: Function) -> Iterator[tuple[str, ast.expr]]:
    for decorator in method.decorator_list:
        callee = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = scan.of_bestbt(callee)
        if name in SCHEDULE:
            yield name, decorator


def _decorator(
    scan: Scan, name: str, decorator: ast.expr, method: Function, known: Surface
) -> Iterator[Problem]:
    if not isinstance(decorator, ast.Call):
        if name != "on_expiry_day":
            example = {"at": '"09:20"', "every": '"5min"', "when": '"signal"'}[name]
            yield _problem(
                decorator,
                "error",
                "schedule",
                f"@{name} needs to be told when",
                f"Write @{name}({example}).",
            )
        return
    if name in known.schedule and (mistake := call_mistake(decorator, known.schedule[name])):
        yield _problem(decorator, "error", "schedule", f"@{name}: {mistake[0]}", mistake[1])
        return
    given = {k.arg: k.value for k in decorator.keywords if k.arg}
    first = decorator.args[0] if decorator.args else None
    session = _Session.of(known)
    if name == "at":
        when = first if first is not None else given.get("time")
        if when is not None:
            yield from _moment(scan, when, session, f"@{name}")
    elif name == "on_expiry_day":
        when = first if first is not None else given.get("at")
        if when is not None:
            yield from _moment(scan, when, session, f"@{name}")
    elif name == "every":
        yield from _period(scan, first, decorator)
        args = decorator.args
        start = given.get("start", args[1] if len(args) > 1 else None)
        end = given.get("end", args[2] if len(args) > 2 else None)
        yield from _window(scan, start, end, session, decorator)


@dataclass(frozen=True)
class _Session:
    opens: timedelta
    closes: timedelta
    open_text: str
    close_text: str

    @classmethod
    def of(cls, known: Surface) -> _Session:
        return cls(
            _delta(time_of_day(known.open)),
            _delta(time_of_day(known.close)),
            known.open,
            known.close,
        )

    def moment(self, text: str) -> timedelta | None:
        """Return a time text as time since midnight; None when it is malformed."""
        word = text.strip()
        try:
            for name, base in (("open", self.opens), ("close", self.closes)):
                sign, by = word[len(name) : len(name) + 1], word[len(name) + 1 :]
                if word == name:
                    return base
                if word.startswith(name) and sign in "+-":
                    shift = _delta(duration(by))
                    return base + shift if sign == "+" else base - shift
            return _delta(time_of_day(word))
        except UsageError:
            return None


def _delta(ns: Ns) -> timedelta:
    return timedelta(microseconds=ns // 1000)


_EXAMPLES = 'Write a time of day as "09:20", or "open+5min", "close-15min".'


def _moment(scan: Scan, node: ast.expr, session: _Session, shown: str) -> Iterator[Problem]:
    text = scan.literal(node)
    if text is ...:
        return  # computed: only the run can tell
    moment = session.moment(text) if isinstance(text, str) else None
    told = f"{shown}({text!r})"
    if moment is None:
        yield _problem(node, "error", "schedule", f"{told} is no time of day", _EXAMPLES)
    elif moment >= session.closes:
        yield _problem(
            node,
            "error",
            "schedule",
            f"{told} cannot fire: the session ends at {session.close_text}",
            'Nothing could fill after the last bar; leave at least one, as in "close-1min".',
        )
    elif moment < session.opens:
        yield _problem(
            node,
            "error",
            "schedule",
            f"{told} cannot fire: the session opens at {session.open_text}",
            _EXAMPLES,
        )
    elif moment == session.opens:
        yield _problem(
            node,
            "warning",
            "schedule",
            f"{told} runs before the first bar: the newest price is yesterday's last",
            'To see the first bar, use "open+1min".',
        )


def _period(scan: Scan, node: ast.expr | None, decorator: ast.expr) -> Iterator[Problem]:
    text = scan.literal(node) if node is not None else ...
    if text is ...:
        return
    try:
        fits = isinstance(text, str) and duration(text) > 0
    except UsageError:
        fits = False
    if not fits:
        yield _problem(
            decorator,
            "error",
            "schedule",
            f"@every({text!r}) is no period",
            'Write it as "5min", "30s" or "1h".',
        )


def _window(
    scan: Scan,
    start: ast.expr | None,
    end: ast.expr | None,
    session: _Session,
    decorator: ast.expr,
) -> Iterator[Problem]:
    moments: list[timedelta | None] = []
    for node in (start, end):
        text = scan.literal(node) if node is not None else None
        moment = session.moment(text) if isinstance(text, str) else None
        if text is not None and text is not ... and moment is None:
            yield _problem(
                node or decorator, "error", "schedule", f"{text!r} is no time of day", _EXAMPLES
            )
        moments.append(moment)
    first, last = moments
    if first is not None and last is not None and first > last:
        message = "@every starts after it ends"
    elif first is not None and first >= session.closes:
        message = f"@every cannot fire: the session ends at {session.close_text}"
    elif last is not None and last < session.opens:
        message = f"@every cannot fire: the session opens at {session.open_text}"
    else:
        return
    yield _problem(decorator, "error", "schedule", message, "Swap or move start and end.")


def _problem(
    node: ast.stmt | ast.expr, severity: Severity, code: str, message: str, hint: str
) -> Problem:
    return Problem(node.lineno, node.col_offset, severity, code, message, hint)
