"""Spelling of views and reports in Spark SQL, over an export; with `SETTINGS` it gives the same rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from etl.dialect.rendering import SILENT, spell_out, unquoted

SETTINGS: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    # an overflow is an error, as on the databases, and no other number
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    # what follows from a join's conditions is worked out for minutes in plans as deep as these
    "spark.sql.constraintPropagation.enabled": "false",
    # a view is analysed once, when it is made, and not with each view and question above it
    "spark.sql.legacy.storeAnalyzedPlanForView": "true",
    # a check of the optimizer's own work, rule by rule
    "spark.sql.lightweightPlanChangeValidation": "false",
    # of Spark 4.3 it loses a column of the unions below the report of cost
    "spark.sql.optimizer.excludedRules": (
        "org.apache.spark.sql.catalyst.optimizer.PushProjectionThroughUnion"
    ),
}
_FUNCTIONS: Final[Mapping[str, Callable[..., str]]] = {
    "epoch": lambda inner: f"unix_timestamp({inner})",
    "instant": lambda inner: f"timestamp_seconds({inner})",
    "clock": lambda day, s: f"timestampadd(SECOND, {s}, CAST({day} AS TIMESTAMP_NTZ))",
    "find": lambda text, part: f"LOCATE({part}, {text})",
    # with two arguments that one trims the second by the first
    "LTRIM": lambda text, of: f"TRIM(LEADING {of} FROM {text})",
    # without what is around the text: {"v":…}
    "json_string": (
        lambda inner: (
            f"CASE WHEN {inner} IS NOT NULL THEN"
            f" REGEXP_EXTRACT(to_json(named_struct('v', {inner})), '(?s)^..v..(.*).$', 1) END"
        )
    ),
    # one value is an array of one
    "json_items": (
        lambda json: (
            f"LATERAL (SELECT EXPLODE(from_json(CASE WHEN {json} LIKE '[%' THEN {json}"
            f" ELSE CONCAT('[', {json}, ']') END, 'array<string>')) AS value)"
        )
    ),
    "json_member": lambda item, path: f"get_json_object({item}.value, '$.{unquoted(path)}')",
    "json_text": (
        lambda item: f"CASE WHEN LEFT({item}.value, 1) NOT IN ('{{', '[') THEN {item}.value END"
    ),
}
_REWRITES: Final = (
    (r"\bAS TEXT\b", "AS STRING"),
    (r"\bDOUBLE PRECISION\b", "DOUBLE"),
    (r"\bAS (?:NOT )?MATERIALIZED \(", "AS ("),
    # whole numbers divided give a fraction there: wrong figures, and no error
    (r"(?<=\s)/(?=\s)(?!\s+\d+\.\d)", "div"),
    # a window must have an order: one in which all rows are equal leaves its sums whole
    (
        r"(?P<window>WINDOW \w+ AS \(PARTITION BY (?P<first>\w+)(?:, \w+)*)\)",
        r"{window} ORDER BY {first})",
    ),
)
_WORDS: Final = re.compile(
    "|".join([SILENT, *(f"(?P<r{n}>{find})" for n, (find, _) in enumerate(_REWRITES))]), re.DOTALL
)
_PARTS: Final = re.compile(
    rf"{SILENT}|(?P<word>[()]|\b(?:SELECT|FROM|ORDER BY|LIMIT 1)\b)", re.DOTALL
)
_DIRECTION: Final = re.compile(r"\s+(?:DESC|ASC)\b")


def render_spark(sql: str) -> str:
    """Return the text of a view or report as Spark SQL reads it."""
    return _WORDS.sub(_rewritten, _first_rows_by_order(spell_out(sql, _FUNCTIONS)))


def _first_rows_by_order(sql: str) -> str:
    """Select what a first row is ordered by, below the one value that a subquery selects.

    Spark forgets an order of a correlated subquery that is not selected, and takes any row for the first.
    """
    before: dict[int, str] = {}
    levels: list[dict[str, re.Match[str]]] = [{}]
    for part in _PARTS.finditer(sql):
        match part["word"]:
            case None:
                pass
            case "(":
                levels.append({})
            case ")":
                levels.pop()
            case "LIMIT 1" if len(levels) > 1:
                level = levels[-1]
                keys = _DIRECTION.sub("", sql[level["ORDER BY"].end() : part.start()].strip())
                before[level["SELECT"].start()] = "SELECT its_value FROM ("
                before[level["FROM"].start()] = f"AS its_value, {keys} "
                before[part.end()] = ")"
            case word:
                levels[-1][word] = part
    edges = [0, *sorted(before), len(sql)]
    return "".join(before.get(a, "") + sql[a:b] for a, b in pairwise(edges))


def _rewritten(match: re.Match[str]) -> str:
    parts = match.groupdict()
    for number, (_, put) in enumerate(_REWRITES):
        if parts[f"r{number}"] is not None:
            return put.format(**parts)
    # a backslash begins an escape there, but for raw literals
    is_raw = match[0].startswith("'") and "\\" in match[0]
    return f"r{match[0]}" if is_raw else match[0]
