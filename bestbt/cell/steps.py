"""The lines of a function and what is to be looked at on each: names, conditions, assignments."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from bestbt.cell.pure import Scope, Unknown, truth
from bestbt.cell.shown import exact, short
from bestbt.cell.why import Condition, Line, Value
from bestbt.engine.strategy import Strategy

__all__ = ["Step", "Text", "Verdict", "steps_of"]

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_NESTED = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_LOOPS = ast.For | ast.AsyncFor
_WITHS = ast.With | ast.AsyncWith
_SIGNS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


class Text:
    """The source of one file or cell, by line, and its functions.

    Parameters
    ----------
    source
        Python; what cannot be parsed has lines and no functions.
    offset
        Lines before it, so that numbers are those beside the cell.
    """

    def __init__(self, source: str, offset: int = 0) -> None:
        self.offset = offset
        self._lines = source.splitlines()
        self._functions: dict[tuple[int, str], ast.FunctionDef | ast.AsyncFunctionDef] = {}
        try:
            tree = ast.parse(source)
        except SyntaxError:  # of a whole notebook cell with magics, say
            return
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                self._functions[_first(node) + offset, node.name] = node

    @classmethod
    def of_file(cls, filename: str) -> Text:
        """Read what tracebacks show of a file."""
        return cls("".join(linecache.getlines(filename)))

    def function(self, code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """Return the function that a code object was made of."""
        return self._functions.get((code.co_firstlineno, code.co_name))

    def line(self, number: int) -> str:
        """Return a line by the number beside it; empty where there is none."""
        at = number - self.offset - 1
        return self._lines[at].rstrip() if 0 <= at < len(self._lines) else ""

    def of(self, node: ast.expr) -> str:
        """Return an expression as it is written, on one line."""
        if node.lineno != node.end_lineno or node.lineno > len(self._lines):
            return ast.unparse(node)
        line = self._lines[node.lineno - 1].encode()
        return line[node.col_offset : node.end_col_offset].decode()


class Verdict:
    """A condition and its parts: what is known of how it came out this time."""

    def __init__(self, node: ast.expr, text: str) -> None:
        self.node, self.text, self.shown = node, text, text
        self.truth: bool | None = None
        self.reached = True
        self.parts: list[Verdict] = []
        self.denied: Verdict | None = None  # what a `not` turns round

    @classmethod
    def of(cls, node: ast.expr, scope: Scope, source: Text) -> Verdict:
        """Judge a condition just before its line runs."""
        made = cls(node, source.of(node))
        if isinstance(node, ast.BoolOp):
            made._join(node, scope, source)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = made.denied = cls.of(node.operand, scope, source)
            made.shown = f"not {inner.shown}"
            made.truth = None if inner.truth is None else not inner.truth
            made.parts = inner.parts
        else:
            if isinstance(node, ast.Compare):
                made.shown = _compared(node, scope, source)
            try:
                found = scope.value(node)
            except Unknown:
                return made
            made.truth = truth(found)
            if not isinstance(node, ast.Compare | ast.Constant):
                made.shown = short(found)
        return made

    def _join(self, node: ast.BoolOp, scope: Scope, source: Text) -> None:
        ends = isinstance(node.op, ast.Or)  # the outcome of a part that decides
        decided = False
        for value in node.values:
            if decided:
                part = Verdict(value, source.of(value))
                part.reached = False
            else:
                part = Verdict.of(value, scope, source)
                decided = part.truth is ends
            self.parts.append(part)
        if decided:
            self.truth = ends
        elif all(part.truth is not None for part in self.parts):
            self.truth = not ends
        self.shown = (" or " if ends else " and ").join(part.shown for part in self.parts)

    def infer(self, outcome: bool | None) -> None:
        """Learn from what the line did how it came out, and what that says of its parts."""
        if outcome is None or self.truth is not None:
            return
        self.truth = outcome
        if self.denied is not None:
            self.denied.infer(not outcome)
        elif isinstance(self.node, ast.BoolOp):
            ends = isinstance(self.node.op, ast.Or)
            open_ = [p for p in self.parts if p.reached and p.truth is None]
            if outcome is not ends:
                for part in open_:
                    part.infer(outcome)
            elif len(open_) == 1:  # no other has decided it
                open_[0].infer(outcome)

    def walk(self) -> Iterator[Verdict]:
        """Itself and its parts."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def frozen(self, trues: Mapping[int, int]) -> Condition:
        """Return it as data."""
        parts = tuple(part.frozen(trues) for part in self.parts)
        times = trues.get(id(self.node), 0)
        return Condition(self.text, self.shown, self.truth, self.reached, times, parts)


def _compared(node: ast.Compare, scope: Scope, source: Text) -> str:
    operands = [node.left, *node.comparators]
    known = [(each, scope.get(each, _UNKNOWN)) for each in operands]
    texts = [
        source.of(each) if value is _UNKNOWN or isinstance(each, ast.Constant) else short(value)
        for each, value in known
    ]
    for i in range(len(texts) - 1):  # they differ where the digits shown do not
        (_, a), (_, b) = known[i], known[i + 1]
        if texts[i] == texts[i + 1] and exact(a) != exact(b):
            texts[i], texts[i + 1] = exact(a), exact(b)
    signs = [_SIGNS[type(op)] for op in node.ops]
    pairs = zip(signs, texts[1:], strict=True)
    return " ".join([texts[0], *(f"{sign} {text}" for sign, text in pairs)])


_UNKNOWN = object()


@dataclass(eq=False)
class Step:
    """A statement (of a compound one its head), and what its passes have shown so far."""

    first: int
    last: int
    expressions: list[ast.expr]
    tests: list[ast.expr]
    targets: list[ast.expr]
    body: tuple[int, int] | None = None  # lines behind an `if`, `while`, `for` or `with`
    returns: bool = False  # to its head at the end: a `for`, a `with`
    gives_back: bool = False  # `return`: what it returns is its one condition's outcome
    repeats: bool = False  # a comprehension in it goes through its line again
    count: int = 0
    passes: int = 0  # of its body
    values: tuple[Value, ...] = ()
    assigned: tuple[Value, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    trues: dict[int, int] = field(default_factory=dict)
    error: str = ""

    def look(self, scope: Scope, source: Text) -> None:
        """See what is named on it, just before it runs."""
        found: dict[str, str] = {}
        for expression in self.expressions:
            _look(expression, scope, source, found)
        self.values = tuple(Value(name, text) for name, text in found.items())
        self.verdicts = [Verdict.of(test, scope, source) for test in self.tests]

    def settle(self, scope: Scope, source: Text, number: int | None) -> None:
        """See what it has done: the frame has come to a line, or (None) to its end."""
        made = ((source.of(target), scope.get(target, _UNKNOWN)) for target in self.targets)
        self.assigned = tuple(Value(name, short(v)) for name, v in made if v is not _UNKNOWN)
        if self.body is not None:
            entered = number is not None and self.body[0] <= number <= self.body[1]
            self.passes += entered
            if not self.returns and self.body[0] > self.last and self.verdicts:
                self.verdicts[0].infer(entered)

    def tally(self) -> None:
        """Count what was true in this pass."""
        for whole in self.verdicts:
            for one in whole.walk():
                if one.truth:
                    self.trues[id(one.node)] = self.trues.get(id(one.node), 0) + 1

    def line(self, number: int, text: str) -> Line:
        """Return one of its lines as data; what it has shown stands on its first."""
        count = min(self.count, max(self.passes, 1)) if self.returns else self.count
        if number != self.first or not count:
            return Line(number, text, count)
        conditions = tuple(verdict.frozen(self.trues) for verdict in self.verdicts)
        return Line(number, text, count, self.values, self.assigned, conditions, self.error)


def _look(node: ast.AST, scope: Scope, source: Text, found: dict[str, str]) -> None:
    """Add the longest expressions in a node that can be evaluated."""
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
        value = scope.get(node, _UNKNOWN)
        if value is not _UNKNOWN:
            if not isinstance(value, _DULL):
                found.setdefault(source.of(node), short(value))
            inner = [node.slice] if isinstance(node, ast.Subscript) else []
            for each in [*inner, *_arguments(node)]:
                _look(each, scope, source, found)
            return
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            _look(node.func.value, scope, source, found)
        for each in _arguments(node):
            _look(each, scope, source, found)
        return
    if isinstance(node, _NESTED):
        if not isinstance(node, ast.Lambda):
            _look(node.generators[0].iter, scope, source, found)
        return
    for child in ast.iter_child_nodes(node):
        _look(child, scope, source, found)


_DULL = (Strategy, ModuleType, type, FunctionType, MethodType, type(len))


def _arguments(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Call):
        return []
    return [*node.args, *(keyword.value for keyword in node.keywords)]


# From a function to its steps


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def steps_of(code: CodeType, source: Text) -> tuple[range, dict[int, Step]]:
    """Return the numbers of a function's lines, and the step of each line that runs.

    Without source every line is a step of its own.
    """
    has_code = {line for _, _, line in code.co_lines() if line is not None}
    node = source.function(code)
    if node is None:
        lines = sorted(has_code - {code.co_firstlineno}) or [code.co_firstlineno]
        steps = {n: Step(n, n, [], [], []) for n in lines}
        return range(code.co_firstlineno, lines[-1] + 1), steps
    at: dict[int, Step] = {}
    for each in _statements(node.body):
        step = _step(each, source.offset)
        if not has_code.intersection(range(step.first, step.last + 1)):
            continue  # a docstring, `global`
        if step.first in at:  # `if x: return`: named on the same line
            at[step.first].expressions += step.expressions
        for number in range(step.first, step.last + 1):
            at.setdefault(number, step)
    end = (node.end_lineno or node.lineno) + source.offset
    return range(code.co_firstlineno, end + 1), at


_Head = ast.stmt | ast.ExceptHandler | ast.match_case


def _statements(body: list[Any]) -> Iterator[_Head]:
    """Statements of a body and of those in it, not of functions and classes defined there."""
    for each in body:
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            continue  # a docstring, or `...`
        yield each
        if not isinstance(each, _FUNCTIONS | ast.ClassDef):
            for name in ("body", "handlers", "cases", "orelse", "finalbody"):
                yield from _statements(getattr(each, name, []))


def _step(node: _Head, offset: int) -> Step:
    expressions = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    targets: list[ast.expr] = []
    if isinstance(node, _WITHS):
        expressions += [item.context_expr for item in node.items]
        targets += [i.optional_vars for i in node.items if i.optional_vars is not None]
    elif isinstance(node, ast.Assign):
        targets += node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | _LOOPS):
        targets.append(node.target)
    nested = [n for e in expressions for n in _inside(e)]
    targets += [n.target for n in nested if isinstance(n, ast.NamedExpr)]
    flat = [t for target in targets for t in _names(target)]
    if not isinstance(node, ast.AugAssign):
        expressions = [e for e in expressions if e not in targets] + [
            part for t in flat if isinstance(t, ast.Subscript) for part in (t.slice,)
        ]
    if isinstance(node, _FUNCTIONS | ast.ClassDef):
        first, last = _first(node), node.lineno
        expressions = []
    elif isinstance(node, ast.match_case):
        first, last = node.pattern.lineno, (node.guard or node.pattern).end_lineno or 0
    else:
        first, last = node.lineno, node.end_lineno or node.lineno
        if hasattr(node, "body") or isinstance(node, ast.Match):
            heads = [*expressions, *targets]
            last = max([first, *(e.end_lineno or 0 for e in heads)])
    body = None
    if isinstance(node, ast.If | ast.While | _LOOPS | _WITHS):
        body = node.body[0].lineno + offset, (node.body[-1].end_lineno or 0) + offset
    return Step(
        first + offset,
        last + offset,
        expressions,
        _tests(node, nested),
        flat,
        body,
        returns=isinstance(node, _LOOPS | _WITHS),
        gives_back=isinstance(node, ast.Return),
        repeats=any(isinstance(n, _NESTED) for n in nested),
    )


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is in it, but for what is in functions and comprehensions of its own."""
    yield node
    if not isinstance(node, _NESTED):
        for child in ast.iter_child_nodes(node):
            yield from _inside(child)


def _tests(node: _Head, nested: list[ast.AST]) -> list[ast.expr]:
    found: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.Assert):
        found.append(node.test)
    elif isinstance(node, ast.match_case) and node.guard is not None:
        found.append(node.guard)
    elif isinstance(node, ast.Return | ast.Assign | ast.AnnAssign):
        value = node.value
        denied = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
        if value is not None and (denied or isinstance(value, ast.Compare | ast.BoolOp)):
            found.append(value)
    return found + [n.test for n in nested if isinstance(n, ast.IfExp)]


def _names(target: ast.expr) -> list[ast.expr]:
    """What one target of an assignment gives a value."""
    if isinstance(target, ast.Tuple | ast.List):
        return [name for each in target.elts for name in _names(each)]
    return [target.value] if isinstance(target, ast.Starred) else [target]
