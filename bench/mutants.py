"""Mutants of a module: small faults that a test should find. Pure; `bench/mutation.py` runs the tests.

A mutant replaces one field of one node of the syntax tree. Text that people read, annotations,
assertions of types and calls of the log are left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

OPPOSITE: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OTHER: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
CALLED: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil"} | {
    "ceil": "floor",
    "bisect_left": "bisect_right",
    "bisect_right": "bisect_left",
    "is_": "is_not",
    "is_not": "is_",
    "desc": "asc",
    "asc": "desc",
}
"""Functions and methods that a mutant confuses, those of SQLAlchemy included."""
SQL: Final = re.compile(r"\b(SELECT|UPDATE|DELETE|INSERT|WHERE|JOIN|CASE|AND|OR|IS)\b")
TOKENS: Final[tuple[tuple[str, str], ...]] = (
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>])=", "<>"),
    (r"<>", "="),
    (r"<(?![=>])", "<="),
    (r"(?<![<-])>(?!=)", ">="),
    (r"\bAND\b", "OR"),
    (r"\bOR\b", "AND"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bMIN\b", "MAX"),
    (r"\bMAX\b", "MIN"),
    (r"\bDISTINCT\b", ""),
    (r"\bDESC\b", ""),
    (r"\bLEFT JOIN\b", "JOIN"),
    (r"\bUNION ALL\b", "UNION"),
    (r"\bNOT\b(?! NULL)", ""),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"\b0\b", "1"),
    (r"\b1\b", "2"),
)
LEFT_ALONE: Final = ("annotation", "returns", "decorator_list", "bases", "type_comment", "msg")


@dataclass(frozen=True)
class Mutant:
    """One fault: `field` of `node` (at `index` of it, if that is a list) becomes `value`.

    `where` is the qualified name of the function or class, empty for the module; `first` and `last`
    are the lines that a test must run to notice.
    """

    kind: str
    where: str
    first: int
    last: int
    change: str
    node: ast.AST
    field: str
    index: int | None
    value: Any
    names: tuple[str, ...] = ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Change the tree for as long as the context lasts."""
        before = getattr(self.node, self.field)
        if self.index is None:
            setattr(self.node, self.field, self.value)
        else:
            after = list(before)
            after[self.index] = self.value
            setattr(self.node, self.field, after)
        try:
            yield
        finally:
            setattr(self.node, self.field, before)


def mutants_of(tree: ast.Module) -> Iterator[Mutant]:
    """Yield all mutants of a module, in the order of its lines."""
    for statement in tree.body:
        yield from _Finder().within(statement, tree, "body", tree.body.index(statement))


class _Finder:
    """Finder of mutants below one statement of a module."""

    def __init__(self) -> None:
        self._where: list[str] = []
        self._lines = (0, 0)
        self._names: tuple[str, ...] = ()

    def within(
        self, node: ast.AST, parent: ast.AST, field: str, index: int | None
    ) -> Iterator[Mutant]:
        """Yield the mutants of a node and of all below it."""
        if _is_left_alone(node):
            return
        before = self._lines, self._names, list(self._where)
        if isinstance(node, ast.stmt):
            self._lines = _lines_of(node)
            self._names = names_of(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self._where.append(node.name)
        for kind, value in _faults(node, parent):
            yield self._mutant(kind, node, parent, field, index, value)
        for kind, of, value in _faults_of_fields(node):
            yield self._mutant(kind, node, node, of, None, value)
        yield from self._below(node)
        self._lines, self._names, self._where = before

    def _below(self, node: ast.AST) -> Iterator[Mutant]:
        for field, value in ast.iter_fields(node):
            if field in LEFT_ALONE:
                continue
            if isinstance(value, ast.AST):
                yield from self.within(value, node, field, None)
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        yield from self.within(item, node, field, index)

    def _mutant(
        self,
        kind: str,
        node: ast.AST,
        parent: ast.AST,
        field: str,
        index: int | None,
        value: Any,
    ) -> Mutant:
        first, last = self._lines
        mutant = Mutant(
            kind, ".".join(self._where), first, last, "", parent, field, index, value, self._names
        )
        # a whole expression says more than the operator that changes
        shown = parent if isinstance(node, ast.cmpop | ast.operator | ast.Constant) else node
        if isinstance(shown, ast.FormattedValue | ast.JoinedStr | ast.Module):
            shown = node
        was = _text(shown)
        if shown is node and parent is not node:
            now = _text(value)
        else:
            with mutant.applied():
                now = _text(shown)
        return Mutant(**{**mutant.__dict__, "change": f"{was} → {now}"})


def _faults(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield what may stand in place of a node, with the kind of fault."""
    match node:
        case ast.cmpop():
            yield from (("comparison", other()) for other in OPPOSITE.get(type(node), ()))
        case ast.operator() if type(node) in OTHER:
            yield "arithmetic", OTHER[type(node)]()
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and, or", ast.copy_location(ast.BoolOp(other, values), node)
            for at in range(len(values)):
                rest = [value for i, value in enumerate(values) if i != at]
                left = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
                yield "condition left out", ast.copy_location(left, node)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "sign, not", operand
        case ast.IfExp(body=body, orelse=orelse):
            yield "branch", body
            yield "branch", orelse
        case ast.Constant(value=bool() as value):
            if not (isinstance(parent, ast.keyword) and parent.arg in ("strict", "init")):
                yield "constant", ast.copy_location(ast.Constant(not value), node)
        case ast.Constant(value=int() as value):
            yield from (
                ("constant", ast.copy_location(ast.Constant(other), node))
                for other in ((1,) if value == 0 else (value + 1, value - 1))
            )
        case ast.Constant(value=str() as value) if SQL.search(value):
            yield from (
                ("SQL", ast.copy_location(ast.Constant(other), node))
                for other in _faults_of_sql(value)
            )
        case ast.Constant(value=str() as value) if value and " " not in value:
            if not isinstance(parent, ast.JoinedStr | ast.Expr):
                yield "constant", ast.copy_location(ast.Constant(f"{value}_"), node)
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            func = ast.copy_location(ast.Name(CALLED[name], ast.Load()), node)
            yield "function", ast.copy_location(ast.Call(func, node.args, node.keywords), node)
        case ast.Call(func=ast.Attribute(value=of, attr=name)) if name in CALLED:
            method = ast.copy_location(ast.Attribute(of, CALLED[name], ast.Load()), node)
            yield "function", ast.copy_location(ast.Call(method, node.args, node.keywords), node)
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"))))
        ):
            # a function without the cell of `super` could not take the place of one that has it
            yield "statement left out", ast.Expr(ast.Name("__class__", ast.Load()))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break():
            yield "statement left out", ast.copy_location(ast.Pass(), node)
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()) | ast.Raise():
            yield "statement left out", ast.copy_location(ast.Pass(), node)


def _faults_of_fields(node: ast.AST) -> Iterator[tuple[str, str, Any]]:
    """Yield fields of a node that may be otherwise."""
    match node:
        case ast.If(test=test) if not isinstance(test, ast.Constant):
            yield "branch", "test", ast.copy_location(ast.Constant(True), test)
            yield "branch", "test", ast.copy_location(ast.Constant(False), test)
        case ast.While(test=test) if not isinstance(test, ast.Constant):
            yield "branch", "test", ast.copy_location(ast.Constant(False), test)
        case ast.comprehension(ifs=[_, *_] as ifs):
            for at in range(len(ifs)):
                yield "condition left out", "ifs", [x for i, x in enumerate(ifs) if i != at]
        case ast.Call(func=ast.Attribute(attr="where" | "filter"), args=[_, _, *_] as args):
            for at in range(len(args)):
                yield "condition left out", "args", [x for i, x in enumerate(args) if i != at]


def _faults_of_sql(sql: str) -> Iterator[str]:
    for pattern, other in TOKENS:
        for found in re.finditer(pattern, sql):
            yield sql[: found.start()] + other + sql[found.end() :]


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Constant()):
            return True  # a docstring
        case ast.ClassDef(bases=[*_, ast.Name(id="Protocol")]):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Name(id="Literal" | "Callable" | "tuple"))):
            return True  # an alias of a type
        case ast.Call(func=ast.Name(id="TypeVar" | "cast")):
            return True
    return False


def _lines_of(node: ast.stmt) -> tuple[int, int]:
    """Return the lines of a statement itself, without the statements inside it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.lineno, node.lineno
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, last)


def names_of(node: ast.stmt) -> tuple[str, ...]:
    """Return the names that a statement of a module binds."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return tuple(target.id for target in targets if isinstance(target, ast.Name))


def _text(node: Any) -> str:
    """Return the source of a node on one short line."""
    if isinstance(node, list):
        return " ".join(_text(item) for item in node) or "(nothing)"
    if isinstance(node, ast.If | ast.While):
        word = "if" if isinstance(node, ast.If) else "while"
        return f"{word} {_text(node.test)}"
    if isinstance(node, ast.Pass):
        return "(nothing)"
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
