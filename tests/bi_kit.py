"""Writes bi/datasette/metadata.yaml and the dashboards of Grafana: `python -m tests.bi_kit`.

The questions of the cookbook become canned queries, the headers of the views become descriptions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from etl import paths, tables
from etl.reports.header import parse_report
from etl.store import views
from tests.schema_doc import contract, view_meanings

ROOT: Final = Path(__file__).parents[1]
DATASETTE: Final = ROOT / "bi" / "datasette" / "metadata.yaml"
DASHBOARDS: Final = ROOT / "bi" / "grafana" / "dashboards"
COOKBOOK: Final = ROOT / "docs" / "cookbook.md"
DATABASE: Final = "chenyu-etl"
"""Datasette calls a database by the name of its file."""
FACETS: Final = {
    "instance_now": ["state", "gpu_name", "project", "owner"],
    "instance_event": ["event"],
    "instance_service": ["service", "port_type"],
    "instance_timer": ["became"],
    "run_cost": ["gpu_name", "evidence"],
    "bill_line": ["charge_channel", "remark"],
    "reconciliation_daily": ["cause"],
    "image_save": ["state"],
}
"""Only views that are quick: a facet counts all rows again."""
SORTED: Final = {"day": "day", "not_after": "not_after", "started_at": "started_at"}


def questions() -> Iterator[tuple[str, str, str]]:
    """Each question of the cookbook: its heading, what stands below it, its SQL."""
    for part in COOKBOOK.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, rest = part.partition("\n")
        about, _, sql = rest.partition("```sql\n")
        yield heading, " ".join(about.split()), sql.partition("```")[0].strip()


def metadata() -> dict[str, Any]:
    """The metadata of Datasette."""
    return {
        "title": "chenyu-etl",
        "description": "What ran on Chenyu Cloud, for how long, whose it was, what it cost.",
        "databases": {DATABASE: {"tables": dict(_tables()), "queries": dict(_queries())}},
        "plugins": {"datasette-dashboards": {"machines": BOARD}},
    }


def _tables() -> Iterator[tuple[str, Any]]:
    for name in views.public_names():
        columns = contract()[name]
        about = view_meanings(name)
        described: dict[str, Any] = {
            "description": parse_report(name, paths.VIEWS / f"{name}.sql").about,
            "columns": {column: about.get(column, "") for column in columns},
        }
        newest = next((column for column in SORTED if column in columns), None)
        if newest is not None:
            described["sort_desc"] = newest
        if name in FACETS:
            described["facets"] = FACETS[name]
        yield name, described
    for name in sorted([*tables.metadata.tables, "alembic_version"]):
        yield name, {"hidden": True}
    # before 1.0 Datasette hides no view, but it does not list what nobody may see
    for name in sorted(set(views.view_names()) - set(views.public_names())):
        yield name, {"allow": False}


def _queries() -> Iterator[tuple[str, Any]]:
    for heading, about, sql in questions():
        name = re.sub(r"\W+", "-", heading.lower()).strip("-")[:60].strip("-")
        yield name, {"title": heading, "description": about, "sql": sql}


def _chart(title: str, query: str, mark: str, **encoding: Any) -> dict[str, Any]:
    return {
        "title": title,
        "db": DATABASE,
        "library": "vega-lite",
        "query": query,
        "display": {"mark": {"type": mark, "tooltip": True}, "encoding": encoding},
    }


def _axis(field: str, kind: str, title: str = "") -> dict[str, Any]:
    return {"field": field, "type": kind, "title": title or None}


_DAYS: Final = (
    "day >= (SELECT MAX(day) FROM calendar_day WHERE starts_s <= (SELECT MAX(last_s) FROM sync_span)"
    " - 2592000)"
)
BOARD: Final = {
    "title": "Machines and money, the last 30 days",
    "description": "What runs, what was rented, what it cost. Days of the reporting time zone.",
    "layout": [["running", "unsure"], ["gpu_hours", "gpu_hours"], ["cost", "cost"], ["now", "now"]],
    "charts": {
        "running": {
            "title": "Runs now",
            "db": DATABASE,
            "library": "metric",
            "query": "SELECT COUNT(*) AS running FROM instance_now WHERE is_up",
            "display": {"field": "running", "prefix": "", "suffix": " instances"},
        },
        "unsure": {
            "title": "Observed of the last 30 days",
            "db": DATABASE,
            "library": "metric",
            "query": "SELECT ROUND(100.0 * SUM(observed_s) / SUM(span_s), 1) AS percent"
            f" FROM coverage_daily WHERE {_DAYS}",
            "display": {"field": "percent", "prefix": "", "suffix": " %"},
        },
        "gpu_hours": _chart(
            "GPU hours by model",
            f"SELECT day, gpu_name, gpu_hours FROM gpu_usage_daily WHERE {_DAYS} ORDER BY day",
            "bar",
            x=_axis("day", "ordinal"),
            y={**_axis("gpu_hours", "quantitative", "card-hours"), "aggregate": "sum"},
            color=_axis("gpu_name", "nominal", "model"),
        ),
        "cost": _chart(
            "Cost by project, estimate",
            "SELECT day, COALESCE(project, '(none)') AS project, SUM(cost_yuan) AS yuan"
            f" FROM cost_daily WHERE {_DAYS} GROUP BY day, project ORDER BY day",
            "bar",
            x=_axis("day", "ordinal"),
            y=_axis("yuan", "quantitative", "yuan"),
            color=_axis("project", "nominal"),
        ),
        "now": {
            "title": "What runs",
            "db": DATABASE,
            "library": "table",
            "query": "SELECT title, owner, project, gpu_nums, gpu_name, running_since_local,"
            " shutdown_time_local, ROUND(hour_yuan, 2) AS yuan_an_hour FROM instance_now WHERE is_up"
            " ORDER BY running_since",
            "display": {},
        },
    },
}

_FROM_TO: Final = "day BETWEEN CAST($__timeFrom() AS DATE) AND CAST($__timeTo() AS DATE)"
POSTGRES: Final = (
    ("stat", "Runs now", "none", "SELECT COUNT(*) AS running FROM instance_now WHERE is_up"),
    (
        "stat",
        "Costs an hour now",
        "currencyCNY",
        "SELECT COALESCE(SUM(hour_yuan), 0) AS yuan FROM instance_now",
    ),
    (
        "stat",
        "Runs without a timer",
        "none",
        "SELECT COUNT(*) AS instances FROM instance_now WHERE is_up AND shutdown_time IS NULL",
    ),
    (
        "stat",
        "Observed",
        "percent",
        "SELECT 100.0 * SUM(observed_s) / NULLIF(SUM(span_s), 0) AS percent FROM coverage_daily"
        f" WHERE {_FROM_TO}",
    ),
    (
        "timeseries",
        "GPU hours a day by model",
        "h",
        "SELECT CAST(day AS TIMESTAMP) AS time, gpu_name AS metric, SUM(gpu_hours) AS value"
        f" FROM gpu_usage_daily WHERE {_FROM_TO} GROUP BY day, gpu_name ORDER BY day",
    ),
    (
        "timeseries",
        "Cost a day, with its bounds",
        "currencyCNY",
        "SELECT CAST(day AS TIMESTAMP) AS time, SUM(cost_yuan) AS estimate, SUM(cost_min_yuan)"
        f" AS at_least, SUM(cost_max_yuan) AS at_most FROM cost_daily WHERE {_FROM_TO}"
        " GROUP BY day ORDER BY day",
    ),
    (
        "timeseries",
        "Cost a day by project",
        "currencyCNY",
        "SELECT CAST(day AS TIMESTAMP) AS time, COALESCE(project, '(none)') AS metric,"
        f" SUM(cost_yuan) AS value FROM cost_daily WHERE {_FROM_TO} GROUP BY day, project ORDER BY day",
    ),
    (
        "timeseries",
        "Billed and estimated a day",
        "currencyCNY",
        "SELECT CAST(day AS TIMESTAMP) AS time, SUM(billed_yuan) AS billed, SUM(estimated_yuan)"
        f" AS estimated FROM reconciliation_daily WHERE {_FROM_TO} GROUP BY day ORDER BY day",
    ),
    (
        "timeseries",
        "Balance",
        "currencyCNY",
        "SELECT CAST(day AS TIMESTAMP) AS time, account AS metric, closing_yuan AS value"
        f" FROM balance_daily WHERE {_FROM_TO} ORDER BY day",
    ),
    (
        "table",
        "What runs",
        "none",
        "SELECT title, owner, project, gpu_nums, gpu_name, running_since, shutdown_time,"
        " ROUND(hour_yuan, 2) AS yuan_an_hour FROM instance_now WHERE is_up ORDER BY running_since",
    ),
    (
        "table",
        "What changed",
        "none",
        "SELECT not_before, not_after, event, title, was, became FROM instance_event"
        " WHERE $__timeFilter(not_after) ORDER BY not_after DESC LIMIT 200",
    ),
)
PROMETHEUS: Final = (
    ("stat", "Instances that run", "none", "sum(chenyu_etl_running_instances)"),
    ("stat", "GPUs that run", "none", "sum(chenyu_etl_running_gpus)"),
    ("stat", "Costs an hour", "currencyCNY", "sum(chenyu_etl_burn_yuan_per_hour)"),
    ("stat", "Balance lasts", "s", "min(chenyu_etl_balance_lasts_seconds)"),
    ("timeseries", "GPUs by model", "none", "sum by (model) (chenyu_etl_running_gpus)"),
    (
        "timeseries",
        "Cost of the month so far",
        "currencyCNY",
        'sum by (account) (chenyu_etl_cost_yuan{period="month"})',
    ),
    ("timeseries", "Balance", "currencyCNY", "sum by (account, channel) (chenyu_etl_balance_yuan)"),
    (
        "timeseries",
        "Age of the newest complete poll",
        "s",
        "max by (account, resource) (chenyu_etl_last_complete_poll_age_seconds)",
    ),
    (
        "timeseries",
        "Polls by outcome, an hour",
        "none",
        "sum by (outcome) (increase(chenyu_etl_polls_total[1h]))",
    ),
    (
        "timeseries",
        "Requests and retries a minute",
        "none",
        "60 * sum by (resource) (rate(chenyu_etl_requests_total[5m]))",
    ),
    (
        "timeseries",
        "Nine of ten polls take less than",
        "s",
        "histogram_quantile(0.9, sum by (le, resource)"
        " (rate(chenyu_etl_poll_duration_seconds_bucket[15m])))",
    ),
    (
        "timeseries",
        "Records that were not understood, a day",
        "none",
        "sum by (resource) (increase(chenyu_etl_rejected_records_total[1d]))",
    ),
    (
        "timeseries",
        "Messages that were not delivered",
        "none",
        "sum by (channel, state) (chenyu_etl_alert_messages)",
    ),
    ("stat", "The database can be read", "bool_yes_no", "min(chenyu_etl_database_up)"),
)
SOURCES: Final = {"prometheus": "chenyu-etl-prometheus", "postgres": "chenyu-etl-postgres"}


def dashboard(uid: str, title: str, kind: str, panels: Any, since: str) -> dict[str, Any]:
    """A dashboard of Grafana."""
    source = {
        "type": "prometheus" if kind == "prometheus" else "grafana-postgresql-datasource",
        "uid": SOURCES[kind],
    }
    return {
        "uid": uid,
        "title": title,
        "tags": ["chenyu-etl"],
        "timezone": "browser",
        "schemaVersion": 39,
        "time": {"from": since, "to": "now"},
        "refresh": "1m",
        "panels": list(_panels(source, kind, panels)),
    }


def _panels(source: Mapping[str, str], kind: str, panels: Any) -> Iterator[dict[str, Any]]:
    x = y = row = 0
    for number, (shape, title, unit, query) in enumerate(panels, 1):
        width, height = {"stat": (6, 4), "timeseries": (12, 8), "table": (24, 9)}[shape]
        if x + width > 24 or (row and height != row):
            x, y = 0, y + row
        row = height
        yield {
            "id": number,
            "type": shape,
            "title": title,
            "datasource": source,
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "targets": [_target(source, kind, shape, query)],
        }
        x += width


def _target(source: Mapping[str, str], kind: str, shape: str, query: str) -> dict[str, Any]:
    if kind == "prometheus":
        return {"refId": "A", "datasource": source, "expr": query, "instant": shape == "stat"}
    form = "time_series" if shape == "timeseries" else "table"
    return {
        "refId": "A",
        "datasource": source,
        "format": form,
        "rawQuery": True,
        "editorMode": "code",
        "rawSql": query,
    }


def as_yaml(value: Any, depth: int = 0) -> str:
    """YAML of dicts and lists of JSON; texts of several lines as blocks."""
    lines = []
    indent = "  " * depth
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            lines.append(f"{indent}{name}:\n{as_yaml(inner, depth + 1)}")
        elif isinstance(inner, str) and "\n" in inner:
            block = inner.replace("\n", f"\n{indent}  ")
            lines.append(f"{indent}{name}: |-\n{indent}  {block}\n")
        else:
            lines.append(f"{indent}{name}: {json.dumps(inner, ensure_ascii=False)}\n")
    return "".join(lines)


def files() -> dict[Path, str]:
    """Every file of the kit that is made, with its text."""
    boards = {
        "chenyu-etl-service": dashboard(
            "chenyu-etl-service",
            "chenyu-etl: service and fleet",
            "prometheus",
            PROMETHEUS,
            "now-24h",
        ),
        "chenyu-etl-usage": dashboard(
            "chenyu-etl-usage", "chenyu-etl: usage and cost", "postgres", POSTGRES, "now-30d"
        ),
    }
    made = {
        DASHBOARDS / f"{name}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for name, board in boards.items()
    }
    head = "# Made by `python -m tests.bi_kit` from the views and the cookbook: change those.\n"
    return {DATASETTE: head + as_yaml(metadata()), **made}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
