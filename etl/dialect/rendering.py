"""View text is one for both databases but for two functions, spelled out here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping


def spell_out(sql: str, functions: Mapping[str, Callable[[str], str]]) -> str:
    """`sql` with each call of the one-argument `functions` replaced; calls may nest."""
    call = re.compile(rf"\b({'|'.join(functions)})\(")
    while found := call.search(sql):
        ends = _closing(sql, found.end())
        inner = sql[found.end() : ends]
        sql = sql[: found.start()] + functions[found[1]](inner) + sql[ends + 1 :]
    return sql


def _closing(sql: str, at: int) -> int:
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        at += 1
    return at - 1
