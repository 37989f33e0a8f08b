"""Macros of SQL: what they stand for, and that each rule stands in one place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from etl import paths, reports
from etl.dialect import Database, open_database
from etl.dialect.formulas import as_sql
from etl.dialect.rendering import expanded, macros, spell_out, text_of_view
from etl.dialect.spark import render_spark
from etl.errors import SettingsError
from etl.money.formulas import FORMULAS
from tests.support import rows

ROOT = Path(__file__).parents[1]
FILES = sorted([*paths.VIEWS.glob("*.sql"), *paths.REPORTS.glob("*.sql")])


def flat(sql: str) -> str:
    return re.sub(r"\s+", " ", sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("yuan(x)", "CAST(x / 1000000.0 AS NUMERIC(20, 6))"),
        ("yuan(a + b)", "CAST((a + b) / 1000000.0 AS NUMERIC(20, 6))"),
        ("yuan(SUM(x))", "CAST(SUM(x) / 1000000.0 AS NUMERIC(20, 6))"),
        ("yuan(f(x) + g(y))", "CAST((f(x) + g(y)) / 1000000.0 AS NUMERIC(20, 6))"),
        ("yuan(sum_of(p.x))", "CAST(CAST(SUM(p.x) AS BIGINT) / 1000000.0 AS NUMERIC(20, 6))"),
        ("earlier(f(a, b), c)", "CASE WHEN f(a, b) < c THEN f(a, b) ELSE c END"),
        ("earlier(a, 'b, c)')", "CASE WHEN a < 'b, c)' THEN a ELSE 'b, c)' END"),
        ("night_ends_s(night_ends_s)", "(night_ends_s + 28800)"),
        ("p.yuan(x), my_yuan(x), yuan (x)", "p.yuan(x), my_yuan(x), yuan (x)"),
        ("'yuan(x) {GAP_S}' \"yuan(x)\" -- yuan(x)", "'yuan(x) {GAP_S}' \"yuan(x)\" -- yuan(x)"),
        ("x > {GAP_S}", "x > 600"),
        ("columns(u, [day, title?])", "u.day, u.title"),
        (
            "alike(u, o, [day, x?])",
            "u.day = o.day AND (u.x = o.x OR (u.x IS NULL AND o.x IS NULL))",
        ),
        ("is_price_of(q, u)", None),
    ],
)
def test_a_macro_is_spelled_out_where_it_is_called(sql: str, expected: str | None) -> None:
    if expected is None:
        assert "q.gpu_uuid = COALESCE(u.gpu_uuid, '')" in expanded(sql)
    else:
        assert expanded(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("digits(x)", "TRIM(LEADING '0123456789' FROM x) = ''"),
        ("a / b, a / 2.0", "a div b, a / 2.0"),
        ("CAST(x AS TEXT)", "CAST(x AS STRING)"),
        ("WINDOW w AS (PARTITION BY a, b)", "WINDOW w AS (PARTITION BY a, b ORDER BY a)"),
        ("find(x, '\\')", "LOCATE(r'\\', x)"),
    ],
)
def test_spark_reads_what_means_the_same_there(sql: str, expected: str) -> None:
    assert expected in render_spark(sql)


def test_spark_keeps_an_order_that_a_subquery_does_not_select() -> None:
    newest = (
        "(SELECT f(b.x) FROM (SELECT ')' FROM c) b WHERE b.y = a.y ORDER BY b.z DESC, b.y LIMIT 1)"
    )
    ordered = (
        "(SELECT its_value FROM (SELECT f(b.x) AS its_value, b.z, b.y FROM (SELECT ')' FROM c) b"
        " WHERE b.y = a.y ORDER BY b.z DESC, b.y LIMIT 1))"
    )
    rest = "FROM a ORDER BY a.x LIMIT 1"
    assert render_spark(f"SELECT {newest} {rest}") == f"SELECT {ordered} {rest}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_first_row_of_a_view_is_left_to_spark_without_its_order(file: Path) -> None:
    spelled = flat(render_spark(file.read_text(encoding="utf-8")))
    first_rows = re.findall(r" ORDER BY (?:(?! ORDER BY ).)* LIMIT \d+ ?\)", spelled)
    kept = re.findall(
        r"SELECT its_value FROM \((?:(?! ORDER BY ).)* ORDER BY (?:(?! ORDER BY ).)* LIMIT 1\)",
        spelled,
    )
    assert len(first_rows) == len(kept)


def test_spark_takes_a_text_out_of_the_json_that_it_makes() -> None:
    (pattern,) = re.findall(r"'([^']*)', 1\)", render_spark("json_string(x)"))
    for value in ('"audio"', '""', '"a\u2028\\"b"'):
        match = re.search(pattern, f'{{"v":{value}}}')
        assert match is not None
        assert match[1] == value


def test_a_database_spells_out_its_own_functions_too() -> None:
    sql = "earlier(epoch(a), epoch(later(b, c)))"
    inner = "<CASE WHEN b > c THEN b ELSE c END>"
    spelled = spell_out(sql, {"epoch": lambda inner: f"<{inner}>"})
    assert spelled == f"CASE WHEN <a> < {inner} THEN <a> ELSE {inner} END"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("yuan(a, b)", r"yuan\(\) has 2 arguments"),
        ("yuan()", r"yuan\(\) has 0 arguments"),
        ("yuan(a", r"bracket of yuan\( is not closed"),
        ("{NOTHING}", "NOTHING.* is no number"),
        ("x AS _bill_share(bills)", "names no table to replace"),
    ],
)
def test_a_macro_that_is_called_wrongly_is_named(sql: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        expanded(sql)


def test_a_list_of_columns_goes_through_a_macro_to_the_columns_of_its_tables() -> None:
    body = flat(expanded("SELECT * FROM running_by([day, gpu_name?]) p"))
    assert "SELECT running_sum.day, running_sum.gpu_name, CAST(SUM(running_sum.running_s)" in body
    assert "GROUP BY running_sum.day, running_sum.gpu_name" in body
    assert "ON o.day = u.day AND (o.gpu_name = u.gpu_name OR (o.gpu_name IS NULL" in body
    assert "[" not in body


def test_a_view_can_be_called_with_other_tables() -> None:
    sql = flat(
        expanded("WITH costs AS (SELECT 1), x AS budget_month(costs AS _cost_line) SELECT 2")
    )
    body = flat(expanded(text_of_view(paths.VIEWS / "budget_month.sql")))
    assert body.replace("_cost_line", "costs") in sql
    assert "_cost_line" not in sql


def test_a_report_of_the_users_own_may_use_macros(tmp_path: Path) -> None:
    file = tmp_path / "mine.sql"
    file.write_text(
        "SELECT yuan(1500000) AS y, hours(5400) AS h FROM account WHERE account_chosen(name)"
    )
    report = reports.load_own(file)
    assert "1500000 / 1000000.0" in report.sql
    assert [param.name for param in report.params] == ["account"]


def test_views_and_reports_leave_no_macro_behind() -> None:
    call = re.compile(rf"(?<![\w.])({'|'.join(macros())})\(")
    for path in FILES:
        body = re.sub(r"--[^\n]*", "", expanded(text_of_view(path)))
        assert not call.search(body), path.stem
        assert not re.search(r"\{[A-Z_]+\}", body), path.stem


def test_every_macro_is_used_and_says_what_it_is() -> None:
    sources = [path.read_text(encoding="utf-8") for path in [*FILES, paths.MACROS]]
    sources += [
        (ROOT / "etl" / name).read_text(encoding="utf-8")
        for name in ("store/rollups.py", "money/formulas.py")
    ]
    for name, macro in macros().items():
        calls = [
            each
            for text in sources
            for each in re.findall(rf"(?<!MACRO )(?<!def )\b{name}\(", text)
        ]
        assert calls, name
        assert re.match(r"[A-Z].*\.$", macro.about), name


REPEATED = {
    "yuan": r"/ 1000000\.0",
    "hours": r"\+ 18\) / 36",
    "minutes": r"\+ 30\) / 60",
    "month_of": r"SUBSTR\(CAST",
    "account_chosen": r"CAST\(:account AS TEXT\)",
    "sum_of": r"CAST\(SUM\([^()]*\) AS",
    "is_price_of": r"\.no_card =",
    "is_card": r"charge_channel (=|<>) \d",
    "a number of units.py": r"\b(28800|14400|86400|3600|600)\b",
}
"""Rules that stood in many places, by the macro that has them now."""


@pytest.mark.parametrize("macro", REPEATED)
def test_a_rule_of_sql_stands_in_one_place(macro: str) -> None:
    wrong = [path.stem for path in FILES if re.search(REPEATED[macro], text_of_view(path))]
    assert wrong == []


# formulas


NUMBERS = st.integers(0, 100_000)
VALUES: dict[str, Any] = {
    "kind": st.sampled_from(["running", "held"]),
    "evidence": st.sampled_from(["observed", "possible_run", "unknown_start", "gone", "booting"]),
    "step_s": st.sampled_from([1, 60, 3_600]),
    "per_s": st.sampled_from([3_600, 86_400]),
    "gpu_nums": st.none() | st.integers(-2, 70),
    "is_certain": st.booleans(),
}


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda each: each.__name__)
def test_a_formula_is_the_same_in_python_and_in_sql(formula: Callable[..., Any]) -> None:
    parameters, _ = as_sql(formula)
    sql = expanded(f"SELECT {formula.__name__}({', '.join(f':{name}' for name in parameters)})")
    with create_engine("sqlite://").connect() as conn:
        raw = conn.connection.driver_connection

        @given(st.fixed_dictionaries({name: VALUES.get(name, NUMBERS) for name in parameters}))
        def agrees(values: dict[str, Any]) -> None:
            assert raw is not None
            assert raw.execute(sql, values).fetchone() == (formula(**values),)

        agrees()


def test_a_formula_is_the_same_on_every_database(database: Database) -> None:
    calls = [
        ("charged(100, 4000, 60, 60)", 3_900),
        ("charged_min(0, 4000, 180, 3600, 1 = 1)", 7_200),
        ("charged_max(100, 4000, 180, 60, 1 = 0)", 3_900),
        ("chargeable_gpus(65)", None),
        ("chargeable_gpus(64)", 64),
        ("amount_max(1, rate(2, 900, 1), 3600)", 1),
    ]
    (found,) = rows(database, database.render(f"SELECT {', '.join(call for call, _ in calls)}"))
    assert list(found) == [value for _, value in calls]


AFTER_A_TABLE = "where|join|left|right|full|cross|inner|group|order|on|union|limit|window|except"


def unnamed_tables(sql: str) -> list[str]:
    """The subqueries after FROM and JOIN that have no name."""
    bare = re.sub(r"--[^\n]*|'[^']*'", "", sql)
    found = []
    for opening in re.finditer(r"\b(?:from|join)\s*\((?=\s*(?:select|with|values)\b)", bare, re.I):
        depth, end = 1, opening.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(bare[end], 0)
            end += 1
        if not re.match(rf"\s+(?!(?:{AFTER_A_TABLE})\b)\w", bare[end:], re.I):
            found.append(flat(bare[opening.start() : opening.start() + 60]))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_table_that_is_a_query_has_a_name_for_postgres_before_16(path: Path) -> None:
    dialect = open_database("postgresql://nobody@localhost/none")
    assert unnamed_tables(dialect.render(path.read_text(encoding="utf-8"))) == []
    assert unnamed_tables("SELECT 1 FROM (SELECT ')' FROM t) WHERE 1") != []


def two_returns(a: int) -> int:
    if a:
        return 1
    return 2


def with_a_loop(a: int) -> int:
    return sum(a for _ in range(2))


@pytest.mark.parametrize("function", [two_returns, with_a_loop])
def test_what_sql_cannot_say_is_no_formula(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"more than one return|no SQL is known"):
        as_sql(function)


def test_the_docs_name_the_macros_for_reports_of_ones_own() -> None:
    text = (ROOT / "docs/reports.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)\(([\w, ]*)\)` \| (.*) \|$", text, re.M)
    assert len(told) > 8
    for name, parameters, about in told:
        assert macros()[name].parameters == tuple(each for each in parameters.split(", ") if each)
        assert macros()[name].about == about
