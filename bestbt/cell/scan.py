"""A cell's syntax tree with the questions the rules ask of it: where does a name come from, which
classes are strategies, what does a class define.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

__all__ = ["FUNCTIONS", "Function", "Scan", "StrategyClass", "bound_in", "dotted", "self_name"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# What an earlier cell most likely meant by these names.
_CUSTOM = {
    "np": "numpy",
    "pd": "pandas",
    "dt": "datetime",
    "datetime": "datetime",
    "date": "datetime.date",
    "time": "time",
    "random": "random",
}


def dotted(node: ast.AST) -> tuple[str, ...]:
    """Return the parts of `a.b.c`; empty when the expression is anything else.

    >>> dotted(ast.parse("np.random.rand", mode="eval").body)
    ('np', 'random', 'rand')
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def self_name(method: Function) -> str | None:
    """Return what a method calls its instance; None for static and class methods."""
    kinds = {part for d in method.decorator_list for part in dotted(d)[:1]}
    positional = [*method.args.posonlyargs, *method.args.args]
    if kinds & {"staticmethod", "classmethod"} or not positional:
        return None
    return positional[0].arg


def bound_in(node: ast.ClassDef | ast.Module) -> set[str]:
    """Names that the body of a class or cell binds: assignments, functions, classes, imports."""
    names: set[str] = set()
    todo: list[ast.AST] = list(node.body)
    while todo:
        inner = todo.pop()
        if isinstance(inner, (*FUNCTIONS, ast.ClassDef)):
            names.add(inner.name)
            continue  # what is bound within is its own
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in inner.names}
        todo.extend(ast.iter_child_nodes(inner))
    return names


@dataclass
class StrategyClass:
    """A class of the cell that is, or may be, a strategy.

    `family` is the class with its ancestors in the cell, nearest first. `certain` says that it
    derives from bestbt's Strategy; `closed` that no ancestor lies outside the cell and bestbt, so
    that every name it has can be known. `leaf` says that no other class of the cell derives from
    it; `heirs` are those that do.
    """

    node: ast.ClassDef
    family: list[ast.ClassDef]
    certain: bool
    closed: bool
    leaf: bool = True
    heirs: list[ast.ClassDef] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.node.name

    @property
    def methods(self) -> list[Function]:
        """Methods written in the class itself."""
        return [node for node in self.node.body if isinstance(node, FUNCTIONS)]


class Scan:
    """A parsed cell. `user_names` are the names the notebook has already."""

    def __init__(self, tree: ast.Module, user_names: Collection[str]) -> None:
        self.tree = tree
        self.user_names = user_names
        self.nodes = list(ast.walk(tree))
        self.parent = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def calls(self) -> Iterator[ast.Call]:
        """All calls of the cell."""
        return (node for node in self.nodes if isinstance(node, ast.Call))

    def inside(self, node: ast.AST, *kinds: type[ast.AST]) -> bool:
        """Whether a node stands within one of these kinds."""
        while node in self.parent:
            node = self.parent[node]
            if isinstance(node, kinds):
                return True
        return False

    @cached_property
    def imports(self) -> dict[str, str]:
        """Names bound by the cell's imports -> where they come from."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    head = name.name.split(".")[0]
                    found[name.asname or head] = name.name if name.asname else head
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    found[name.asname or name.name] = f"{node.module}.{name.name}"
        return found

    @cached_property
    def assigned(self) -> frozenset[str]:
        """Names the cell binds otherwise than by import, in any scope."""
        names = {
            n.id for n in self.nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)
        }
        names |= {n.arg for n in self.nodes if isinstance(n, ast.arg)}
        names |= {n.name for n in self.nodes if isinstance(n, (*FUNCTIONS, ast.ClassDef))}
        return frozenset(names)

    @cached_property
    def bound_at_top(self) -> set[str]:
        """Names the cell itself binds for all its functions to see."""
        return bound_in(self.tree)

    @cached_property
    def mentioned(self) -> frozenset[str]:
        """Names and attributes read, and strings written, anywhere: what may be called later."""
        loads = [n for n in self.nodes if isinstance(getattr(n, "ctx", None), ast.Load)]
        names = {n.id for n in loads if isinstance(n, ast.Name)}
        names |= {n.attr for n in loads if isinstance(n, ast.Attribute)}
        names |= {
            n.value for n in self.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        return frozenset(names)

    @cached_property
    def looks_up_names(self) -> bool:
        """Whether attributes are fetched by names that reading cannot know."""
        return any(
            dotted(call.func) == ("getattr",)
            and len(call.args) > 1
            and not isinstance(self.literal(call.args[1]), str)
            for call in self.calls()
        )

    @cached_property
    def constants(self) -> dict[str, object]:
        """Names that the cell binds exactly once, to a literal."""
        count: dict[str, int] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                count[node.id] = count.get(node.id, 0) + 1
        return {
            node.targets[0].id: node.value.value
            for node in self.nodes
            if isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and count[node.targets[0].id] == 1
            and isinstance(node.value, ast.Constant)
        }

    def literal(self, node: ast.AST) -> object:
        """Return the value of a literal, or of a name bound once to one; Ellipsis if unknown."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.literal(node.operand)
            return -value if isinstance(value, int | float) else ...
        if isinstance(node, ast.Name):
            return self.constants.get(node.id, ...)
        return ...

    def origin(self, node: ast.AST) -> str:
        """Return where a dotted expression comes from (`"numpy.random.rand"`); empty if unknown.

        A name that the cell also assigns may be anything, and is unknown.
        """
        parts = dotted(node)
        if not parts or parts[0] in self.assigned:
            return ""
        head = self.imports.get(parts[0])
        if head is None and (parts[0] in self.user_names or parts[0] == "np"):
            head = _CUSTOM.get(parts[0])
        return ".".join((head, *parts[1:])) if head else ""

    def of_bestbt(self, node: ast.AST) -> str:
        """Return the name that bestbt gives an expression (`at`, `Strategy`); empty if not its."""
        parts = dotted(node)
        if not parts:
            return ""
        head = self.imports.get(parts[0])
        if head is not None:
            path = (*head.split("."), *parts[1:])
            return path[-1] if path[0] == "bestbt" else ""
        if len(parts) == 1:
            return "" if parts[0] in self.bound_at_top else parts[0]
        return parts[-1] if parts[0] in ("bestbt", "bt") else ""

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Classes bound at the top of the cell, by name; of two with one name, the later."""
        return {
            node.name: node
            for node in self.nodes
            if isinstance(node, ast.ClassDef) and not self.inside(node, ast.ClassDef, *FUNCTIONS)
        }

    @cached_property
    def strategies(self) -> list[StrategyClass]:
        """Classes that are strategies, or may be: their base is of another cell or module."""
        found = []
        for node in self.classes.values():
            family = self._family(node)
            kinds = {self._kind(base) for one in family for base in one.bases}
            if kinds & {"strategy", "unknown"}:
                closed = not kinds & {"unknown", "other"}
                found.append(StrategyClass(node, family, "strategy" in kinds, closed))
        for one in found:
            for other in found:
                if other is not one and one.node in other.family:
                    one.leaf = False
                    one.heirs.append(other.node)
        return found

    def _family(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        family = [node]
        for base in node.bases:
            local = self._local(base)
            if local is not None and local.lineno < node.lineno:
                family += [one for one in self._family(local) if one not in family]
        return family

    def _local(self, base: ast.expr) -> ast.ClassDef | None:
        name = dotted(base)
        return self.classes.get(name[0]) if len(name) == 1 else None

    def _kind(self, base: ast.expr) -> Literal["strategy", "local", "plain", "other", "unknown"]:
        """Say what a base class is; "other" is one of Python's own, with names of its own."""
        if self.of_bestbt(base) == "Strategy":
            return "strategy"
        if self._local(base) is not None:
            return "local"
        head, *rest = dotted(base) or ("",)
        module = self.imports.get(head, "").split(".")[0]
        if head == "object" or module == "abc":
            return "plain"
        if module in sys.stdlib_module_names or (not rest and head in dir(builtins)):
            return "other"
        return "unknown"
