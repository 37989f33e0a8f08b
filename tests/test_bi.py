"""The kits for BI tools: made of what they say, and every query of theirs gives an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.dialect import Database
from tests import bi_kit
from tests.support import columns, rows

Golden = Callable[[str], Database]
QUESTIONS = sorted((bi_kit.ROOT / "bi" / "metabase").glob("*.sql"))
ROOM = bi_kit.ROOT / "etl" / "service"


@pytest.mark.parametrize("path", bi_kit.files(), ids=lambda path: path.name)
def test_the_kit_is_what_the_views_and_the_cookbook_say(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == bi_kit.files()[path], "run: python -m tests.bi_kit"


def test_the_metadata_is_yaml_that_says_the_same() -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(bi_kit.DATASETTE.read_text(encoding="utf-8")) == bi_kit.metadata()


def test_every_chart_of_datasette_has_rows(golden: Golden) -> None:
    charts: dict[str, Any] = bi_kit.BOARD["charts"]
    for name, chart in charts.items():
        found = columns(golden("sqlite"), chart["query"])
        assert found, name
        display = chart["display"]
        fields = [axis["field"] for axis in display.get("encoding", {}).values()]
        assert {*fields, *([display["field"]] if "field" in display else [])} <= found[0].keys()
    assert {name for row in bi_kit.BOARD["layout"] for name in row} == charts.keys()


def test_facets_and_sorting_of_datasette_name_columns() -> None:
    for view, about in bi_kit.metadata()["databases"][bi_kit.DATABASE]["tables"].items():
        if "columns" in about:
            named = {
                *about.get("facets", []),
                *([about["sort_desc"]] if "sort_desc" in about else []),
            }
            assert named <= about["columns"].keys(), view


def targets(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    board = json.loads((bi_kit.DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target


def test_every_query_of_the_postgres_dashboard_has_rows(golden: Golden) -> None:
    for title, target in targets("chenyu-etl-usage"):
        sql = target["rawSql"]
        sql = sql.replace("$__timeFrom()", "CAST('2026-03-05T00:00:00Z' AS TIMESTAMPTZ)")
        sql = sql.replace("$__timeTo()", "CAST('2026-03-11T00:00:00Z' AS TIMESTAMPTZ)")
        sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2026-03-05' AND '2026-03-11'", sql)
        assert "$" not in sql, title
        found = columns(golden("postgres"), sql)
        assert found, title
        if target["format"] == "time_series":
            assert "time" in found[0], title


def test_every_metric_of_the_prometheus_dashboard_is_emitted() -> None:
    text = "\n".join((ROOM / f"{name}.py").read_text() for name in ("gauges", "metrics"))
    emitted = set(re.findall(r'"(chenyu_etl_\w+)"', text))
    emitted |= {f"chenyu_etl_{name}_total" for name in re.findall(r'_counter\(\s*"(\w+)"', text)}
    for title, target in targets("chenyu-etl-service"):
        for name in re.findall(r"chenyu_etl_\w+", target["expr"]):
            assert name.removesuffix("_bucket") in emitted, title


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda path: path.stem)
def test_questions_for_metabase_answer_alike_on_both_databases(
    golden: Golden, question: Path
) -> None:
    lite, post = (
        [[round(float(v), 4) if isinstance(v, int | float) else v for v in row] for row in found]
        for found in (rows(golden(k), question.read_text()) for k in ("sqlite", "postgres"))
    )
    assert lite == post
    assert lite


def kit_of_superset(folder: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    paths = sorted((bi_kit.ROOT / "bi" / "superset" / folder).rglob("*.yaml"))
    assert paths
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]


def test_the_datasets_of_superset_have_the_columns_of_the_views(golden: Golden) -> None:
    for dataset in kit_of_superset("datasets"):
        asked = f"SELECT * FROM {dataset['table_name']} LIMIT 1"
        (row,) = columns(golden("postgres"), asked)
        assert {column["column_name"] for column in dataset["columns"]} == row.keys()
        # on other columns its grain would silently be none
        times = {c["column_name"] for c in dataset["columns"] if c["is_dttm"]}
        assert dataset["main_dttm_col"] in times


def test_the_charts_of_superset_name_columns_of_their_datasets() -> None:
    datasets = {dataset["uuid"]: dataset for dataset in kit_of_superset("datasets")}
    charts = kit_of_superset("charts")
    for chart in charts:
        known = {c["column_name"] for c in datasets[chart["dataset_uuid"]]["columns"]}
        params = chart["params"]
        named = {metric["column"]["column_name"] for metric in params.get("metrics", [])}
        named |= {*params.get("groupby", []), *params.get("all_columns", [])}
        named |= {params["x_axis"]} if "x_axis" in params else set()
        assert named <= known, chart["slice_name"]
    (board,) = kit_of_superset("dashboards")
    parts = [part for part in board["position"].values() if isinstance(part, dict)]
    shown = {part["meta"]["uuid"] for part in parts if part["type"] == "CHART"}
    assert shown == {chart["uuid"] for chart in charts}


def test_the_kit_of_superset_holds_no_address_and_no_secret() -> None:
    (database,) = kit_of_superset("databases")
    assert database["sqlalchemy_uri"] == "postgresql+psycopg2://bi@db.example/chenyu"
