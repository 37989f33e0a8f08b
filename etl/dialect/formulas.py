"""Python functions of one `return` as expressions of SQL."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Final

_OPERATORS: Final[dict[type, str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "/",
    ast.And: "AND",
    ast.Or: "OR",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "=",
    ast.NotEq: "<>",
    ast.Is: "IS",
    ast.IsNot: "IS NOT",
    ast.In: "IN",
    ast.NotIn: "NOT IN",
}


def as_sql(function: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Return the parameters of a function, and its expression in SQL.

    Raises `TypeError` if it is more than one `return`, or has something that SQL is not known for.
    """
    # of the source text: the formula is written once, and SQL cannot part from Python
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    *before, returned = tree.body
    # SQL has no statements: what is not one expression cannot be said in it
    is_short = before == [] or (len(before) == 1 and ast.get_docstring(tree) is not None)
    if not is_short or not isinstance(returned, ast.Return) or returned.value is None:
        raise TypeError(f"{function.__name__} is more than one return")
    parameters = tuple(operand.arg for operand in tree.args.args)
    return parameters, _Writer(parameters, function.__globals__).written(returned.value)


class _Writer:
    def __init__(self, parameters: tuple[str, ...], constants: dict[str, Any]) -> None:
        self._parameters = parameters
        self._constants = constants

    def written(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                return self._literal(node.value)
            case ast.Name():
                known = node.id in self._parameters
                return node.id if known else self._literal(self._constants[node.id])
            case ast.Tuple():
                return f"({', '.join(map(self.written, node.elts))})"
            case ast.BinOp():
                return self._joined(node.op, node.left, node.right)
            case ast.BoolOp():
                return self._joined(node.op, *node.values)
            case ast.Compare():
                return self._compared(node)
            case ast.IfExp():
                return self._chosen(*map(self.written, (node.test, node.body, node.orelse)))
            case ast.Call(func=ast.Name(id=name)):
                return self._called(name, [self.written(operand) for operand in node.args])
        # nothing else means the same in Python and on both databases
        raise TypeError(f"no SQL is known for {ast.unparse(node)}")

    def _joined(self, operator: ast.AST, *operands: ast.expr) -> str:
        sign = _OPERATORS.get(type(operator))
        if sign is None:
            raise TypeError(f"no SQL is known for {type(operator).__name__}")
        # always in brackets: the operators of Python and SQL do not all bind alike
        return f"({f' {sign} '.join(map(self.written, operands))})"

    def _compared(self, node: ast.Compare) -> str:
        operands = [node.left, *node.comparators]
        # a < b < c of Python is two comparisons in SQL
        pairs = zip(node.ops, operands, operands[1:], strict=False)
        return " AND ".join(self._joined(*operand) for operand in pairs)

    def _called(self, name: str, arguments: list[str]) -> str:
        if name in ("max", "min"):
            first, second = arguments
            sign = ">" if name == "max" else "<"
            # CASE: the scalar MAX of SQLite is GREATEST on Postgres, and they differ in nulls
            return self._chosen(f"{first} {sign} {second}", first, second)
        return f"{name}({', '.join(arguments)})"

    @staticmethod
    def _chosen(condition: str, then: str, otherwise: str) -> str:
        # no brackets around it: the caller puts them
        return f"CASE WHEN {condition} THEN {then} ELSE {otherwise} END"

    @staticmethod
    def _literal(value: object) -> str:
        if value is None:
            return "NULL"
        # a flag is an int to Python and would be 'True': formulas compare flags, they hold none
        return str(value) if isinstance(value, int) else f"'{value}'"
