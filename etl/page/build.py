"""Build the page as text from facts, charts and a template, with style and script inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from etl import __version__
from etl.dialect import Database
from etl.history.days import Zone, from_iso
from etl.page import charts
from etl.page.amounts import thousands, yuan_text
from etl.page.attention import attention
from etl.page.facts import Choice, Facts, Row, gather
from etl.page.words import Translator
from etl.poll import Instant
from etl.reports import Column

HERE: Final = Path(__file__).parent
STACKS: Final[dict[str, Callable[[Row], str | None]]] = {
    "by project": lambda row: row["project"],
    "by owner": lambda row: row["owner"],
    "by model": lambda row: row["gpu_name"],
    "by instance": lambda row: row["title"] or row["instance_uuid"],
}


def build(database: Database, choice: Choice, *, zone: Zone, now: Instant, lang: str = "en") -> str:
    """Return the page of a period: one HTML file that asks for nothing else."""
    return render_page(gather(database, choice, zone, now, lang), Translator(lang))


def render_page(facts: Facts, words: Translator) -> str:
    """Return the page of some facts."""
    # StrictUndefined: a fact that was renamed breaks a test, and leaves no hole in a page
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "yuan": lambda amount: yuan_text(amount, words),
        "number": thousands,
        "cell": _cell,
        "local": lambda instant: _local(instant, facts.zone),
    }
    rows = charts.timeline(facts)
    return environment.get_template("page.html.jinja").render(
        words=words,
        facts=facts,
        version=__version__,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),  # noqa: S704
        attention=list(attention(facts, words)),
        running=_running(facts),
        rows=rows,
        choices=_filters(rows),
        marks=charts.day_marks(facts),
        bands=list(charts.unseen(facts)),
        days=[(day.day, day.starts_s) for day in facts.days],
        axis=charts.axis(facts),
        stacks={
            name: charts.cost_by_day(facts, by, words("(no rule)")) for name, by in STACKS.items()
        },
        gpu_stack=charts.gpu_hours_by_day(facts),
        week=charts.hours_of_week(facts),
        plot_height=charts.PLOT_HEIGHT,
        row_height=charts.ROW_HEIGHT,
    )


def _running(facts: Facts) -> list[Row]:
    """Return the instances that run now, with who pays and what they have cost since their start."""
    costs = {r["instance_uuid"]: r["cost_yuan"] for r in facts["runs"].rows if not r["ended_at"]}
    return [
        {**row, "cost_yuan": costs.get(row["instance_uuid"])}
        for row in facts["now"].rows
        if row["running_since"]
    ]


def _filters(rows: Sequence[charts.TimelineRow]) -> dict[str, list[str]]:
    """Map each filter of the page to the values that it offers."""
    return {
        "project": sorted({row.project for row in rows if row.project}),
        "owner": sorted({row.owner for row in rows if row.owner}),
        "model": sorted({model for row in rows for model in row.models.split(", ") if model}),
        "account": sorted({row.account for row in rows}),
    }


def _cell(value: Any, column: Column, zone: Zone) -> str:
    """Return a value as a table shows it: instants in the reporting zone."""
    if value is None:
        return ""
    if column.kind == "instant":
        return _local(value, zone)
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)


def _local(instant: str | Instant | None, zone: Zone) -> str:
    if instant is None:
        return ""
    at = from_iso(instant) if isinstance(instant, str) else instant
    return f"{zone.local(at):%Y-%m-%d %H:%M}"
