"""Habits that spoil a backtest in any Python: the future, the clock on the wall, unseeded chance,
loops without an end.

Each can be right in a line that knows what it does; such a line says `# bestbt: ok`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bestbt.cell.problems import Problem, Severity
from bestbt.cell.scan import FUNCTIONS, Scan, StrategyClass

__all__ = ["habits"]

_WAIVER = "If this line is right as it is, end it with `# bestbt: ok`."


def habits(scan: Scan) -> Iterator[Problem]:
    """Find look-ahead, wall clock, unseeded randomness and endless loops."""
    for call in scan.calls():
        yield from _future_call(scan, call)
        yield from _clock(scan, call)
        yield from _chance(scan, call)
    for node in scan.nodes:
        if isinstance(node, ast.Subscript):
            yield from _next_row(node)
        elif isinstance(node, ast.While):
            yield from _endless(scan, node)
    for strategy in scan.strategies:
        yield from _future_index(scan, strategy)


# --- the future ---


def _future_call(scan: Scan, call: ast.Call) -> Iterator[Problem]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    given = {k.arg: scan.literal(k.value) for k in call.keywords if k.arg}
    first = scan.literal(call.args[0]) if call.args else given.get("periods", ...)
    if name in ("shift", "diff", "pct_change") and _negative(first):
        yield _ahead(call, f".{name}({first}) reads rows that come later")
    elif scan.origin(call.func) == "numpy.roll":
        by = scan.literal(call.args[1]) if len(call.args) > 1 else given.get("shift", ...)
        if _negative(by):
            yield _ahead(call, f"np.roll(…, {by}) brings later values to earlier rows")
    elif name == "rolling" and given.get("center") is True:
        yield _ahead(call, "a centred window reads the rows after its middle")
    elif name in ("bfill", "backfill") and given.get("axis", 0) in (0, "index", "rows"):
        yield _ahead(call, f".{name}() fills a gap with a value from after it")
    elif name in ("fillna", "reindex", "asof", "get_indexer") and given.get("method") in (
        "bfill",
        "backfill",
        "nearest",
    ):
        yield _ahead(call, f'method="{given["method"]}" fills a gap from after it')
    elif name == "interpolate" and given.get("limit_direction") in ("backward", "both"):
        yield _ahead(call, "interpolating backward fills a gap from after it")
    elif name == "merge_asof" and given.get("direction") in ("forward", "nearest"):
        yield _ahead(call, f'direction="{given["direction"]}" joins rows from the future')


def _ahead(node: ast.expr, message: str) -> Problem:
    return _habit(
        node,
        "look-ahead",
        message,
        f"A strategy sees nothing later than now: use only past rows. {_WAIVER}",
    )


def _next_row(node: ast.Subscript) -> Iterator[Problem]:
    """`x.iloc[i + 1]`: only a warning, for `i` may count from the past."""
    index = node.slice
    if (
        isinstance(node.value, ast.Attribute)
        and node.value.attr in ("iloc", "iat")
        and isinstance(index, ast.BinOp)
        and isinstance(index.op, ast.Add)
        and isinstance(index.left, ast.Name)
        and isinstance(index.right, ast.Constant)
    ):
        shown = f"{node.value.attr}[{ast.unparse(index)}]"
        yield _habit(
            node,
            "look-ahead",
            f".{shown} reads the row after {index.left.id}",
            f"If row {index.left.id} is now, this is the future. {_WAIVER}",
            "warning",
        )


def _future_index(scan: Scan, strategy: StrategyClass) -> Iterator[Problem]:
    """`self.ema[1]` where `self.ema` is an indicator: 0 is now, −1 the bar before."""
    nodes = [node for one in strategy.family for node in ast.walk(one)]
    indicators = {
        target.attr
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "indicator"
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }
    for node in ast.walk(strategy.node):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in indicators
            and isinstance(index := scan.literal(node.slice), int)
            and index > 0
        ):
            yield Problem(
                node.lineno,
                node.col_offset,
                "error",
                "look-ahead",
                f"{ast.unparse(node)} asks for a bar of the future",
                "An indicator's [0] is now and [-1] the bar before.",
            )


def _negative(value: object) -> bool:
    return isinstance(value, int | float) and value < 0


# --- clock and chance ---

_CLOCK = {
    "datetime.datetime.now": "self.now",
    "datetime.datetime.utcnow": "self.now",
    "datetime.datetime.today": "self.now",
    "datetime.now": "self.now",  # datetime may have been imported either way in another cell
    "datetime.utcnow": "self.now",
    "datetime.today": "self.now",
    "datetime.date.today": "self.today",
    "time.time": "self.now",
    "time.time_ns": "self.now",
    "time.localtime": "self.now",
    "time.gmtime": "self.now",
    "time.ctime": "self.now",
    "pandas.Timestamp.now": "self.now",
    "pandas.Timestamp.utcnow": "self.now",
    "pandas.Timestamp.today": "self.today",
}


def _clock(scan: Scan, call: ast.Call) -> Iterator[Problem]:
    origin = scan.origin(call.func)
    shown = ast.unparse(call.func)
    if origin == "time.sleep":
        yield _habit(
            call,
            "wall-clock",
            f"{shown}() makes the run wait, and no market time passes",
            "To act later, use @at or @every.",
            _severity(scan, call),
        )
    elif instead := _CLOCK.get(origin):
        yield _habit(
            call,
            "wall-clock",
            f"{shown}() is the time on your wall, not in the market",
            f"Use {instead}. {_WAIVER}",
            _severity(scan, call),
        )


_SEEDED = {"seed", "getstate", "setstate", "get_state", "set_state"}
_GENERATORS = {"Random", "default_rng", "RandomState", "SeedSequence", "PCG64", "MT19937"}
_NEVER = {"uuid.uuid1", "uuid.uuid4", "os.urandom", "random.SystemRandom"}


def _chance(scan: Scan, call: ast.Call) -> Iterator[Problem]:
    origin = scan.origin(call.func)
    module, _, name = origin.rpartition(".")
    if origin in _NEVER or module == "secrets":
        pass
    elif module not in ("random", "numpy.random") or name in _SEEDED or name == "Generator":
        return
    elif name in _GENERATORS:
        if call.args or call.keywords:
            return  # seeded
    elif any(scan.origin(other.func) == f"{module}.seed" and other.args for other in scan.calls()):
        return
    yield _habit(
        call,
        "randomness",
        f"{ast.unparse(call.func)}() differs in every run, so the run cannot be repeated",
        f"Use self.random (seeded), or give a seed. {_WAIVER}",
        _severity(scan, call),
    )


def _severity(scan: Scan, node: ast.AST) -> Severity:
    """At the top of a cell (a stopwatch, a plot) these are harmless more often than not."""
    return "error" if scan.inside(node, *FUNCTIONS, ast.Lambda, ast.ClassDef) else "warning"


# --- loops ---


def _endless(scan: Scan, loop: ast.While) -> Iterator[Problem]:
    if scan.inside(loop, ast.Try):
        return  # an exception (StopIteration) may be its end
    if isinstance(loop.test, ast.Constant) and loop.test.value and not _leaves(loop.body, True):
        yield Problem(
            loop.lineno,
            loop.col_offset,
            "error",
            "endless-loop",
            f"`while {ast.unparse(loop.test)}` never ends: it has no break, return or raise",
            "A hook acts on one bar and returns; the engine calls it again on the next.",
        )


def _leaves(body: list[ast.stmt], own: bool) -> bool:
    """Whether a statement can leave the loop; `own` while a break would be the loop's own."""
    for statement in body:
        if isinstance(statement, ast.Return | ast.Raise) or (
            own and isinstance(statement, ast.Break)
        ):
            return True
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        if any(
            isinstance(n, ast.Yield | ast.YieldFrom | ast.Await) for n in _expressions(statement)
        ):
            return True
        if isinstance(statement, ast.For | ast.AsyncFor | ast.While):
            if _leaves(statement.body, False) or _leaves(statement.orelse, own):
                return True
            continue
        for name in ("body", "orelse", "finalbody"):
            if _leaves(getattr(statement, name, []), own):
                return True
        if isinstance(statement, ast.Try | ast.TryStar) and any(
            _leaves(handler.body, own) for handler in statement.handlers
        ):
            return True
        if isinstance(statement, ast.Match) and any(
            _leaves(case.body, own) for case in statement.cases
        ):
            return True
        # sys.exit() and the like raise
        if isinstance(statement, ast.Expr) and _exits(statement.value):
            return True
    return False


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def _exits(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit", "quit")


def _habit(
    node: ast.expr, code: str, message: str, hint: str, severity: Severity = "error"
) -> Problem:
    # A chain of calls starts where its first line does; the mistake is where the call ends.
    line, column = node.lineno, node.col_offset
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        line = node.func.end_lineno or line
        if line != node.lineno:
            column = (node.func.end_col_offset or 0) - len(node.func.attr)
    return Problem(line, column, severity, code, message, hint)
