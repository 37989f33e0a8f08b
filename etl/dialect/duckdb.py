"""Spelling of views and reports in DuckDB, over an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from etl.dialect.rendering import spell_out, unquoted

_FUNCTIONS: Final[Mapping[str, Callable[..., str]]] = {
    "epoch": lambda inner: f"CAST(epoch_ms({inner}) / 1000 AS BIGINT)",
    "json_string": (
        lambda inner: f"CASE WHEN {inner} IS NOT NULL THEN CAST(to_json({inner}) AS TEXT) END"
    ),
    "instant": lambda inner: f"to_timestamp({inner})",
    "clock": lambda day, s: f"(CAST({day} AS TIMESTAMP) + to_seconds({s}))",
    "find": lambda text, part: f"STRPOS({text}, {part})",
    "json_items": (
        lambda json: (
            f"(SELECT UNNEST(CASE json_type({json})"
            f" WHEN 'ARRAY' THEN CAST({json} AS JSON[]) ELSE [CAST({json} AS JSON)] END) AS value)"
        )
    ),
    "json_member": lambda item, path: f"json_extract_string({item}.value, '$.{unquoted(path)}')",
    "json_text": (
        lambda item: (
            f"CASE WHEN json_type({item}.value) NOT IN ('OBJECT', 'ARRAY')"
            f" THEN json_extract_string({item}.value, '$') END"
        )
    ),
}


def render_duckdb(sql: str) -> str:
    """Return the text of a view as DuckDB reads it, with `integer_division` set."""
    return spell_out(sql, _FUNCTIONS)
