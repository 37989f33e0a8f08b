"""Build the page as text from facts, charts and a template, with style and script inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from etl import __version__
from etl.dialect import Database
from etl.history.days import Zone, from_iso
from etl.page import policy, shares, stacks, timeline, trends
from etl.page.amounts import change, lasting, thousands, yuan_text
from etl.page.attention import attention
from etl.page.facts import Choice, Facts, Row, gather
from etl.page.packed import packed_rows
from etl.page.payload import payload
from etl.page.words import Translator
from etl.poll import Instant
from etl.reports import Column
from etl.reports.words import word_of, words_of
from etl.texts import LANGUAGES, Text, localized, tr

# the page must stay small: people send it by mail
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MOST_ROWS: Final = 250
"""Rows of the timeline in the page's markup; the script draws the others when they are asked for."""
MOST_LINES: Final = 50
"""Lines of a table in the page's markup; the script unpacks the others when they are asked for."""
STACKS: Final[dict[Text, Callable[[Row], str | None]]] = {
    tr("by project"): lambda row: row["project"],
    tr("by owner"): lambda row: row["owner"],
    tr("by model"): lambda row: row["gpu_name"],
    tr("by instance"): lambda row: row["title"] or row["instance_uuid"],
}


def build(database: Database, choice: Choice, *, zone: Zone, now: Instant, lang: str = "en") -> str:
    """Return the page of a period: one HTML file that asks for nothing else."""
    return render_page(gather(database, choice, zone, now), Translator(lang))


def build_all(database: Database, choice: Choice, *, zone: Zone, now: Instant) -> dict[str, str]:
    """Return the live page of a period in each language, from rows that are read once."""
    facts = gather(database, choice, zone, now)
    return {lang: render_page(facts, Translator(lang), is_live=True) for lang in LANGUAGES}


def render_page(facts: Facts, words: Translator, *, is_live: bool = False) -> str:
    """Return the page of some facts; `is_live`: the daemon serves it, in the other language too."""
    rows = timeline.timeline(facts)
    week = trends.hours_of_week(facts)
    return (
        template_environment(facts, words)
        .get_template("page.html.jinja")
        .render(
            words=words,
            facts=facts,
            is_live=is_live,
            version=__version__,
            policy=policy.policy(),
            style=Markup(policy.style()),  # noqa: S704 - our own file
            script=Markup(policy.script()),  # noqa: S704
            payload=payload(facts, rows, MOST_ROWS, words),
            attention=list(attention(facts)),
            running=_running(facts),
            was_seen=facts.was_before_observed,
            rows=rows[:MOST_ROWS],
            folded=max(0, len(rows) - MOST_ROWS),
            most_lines=MOST_LINES,
            packed=packed_rows(
                facts,
                MOST_LINES,
                partial(_text_of_cell, zone=facts.zone, lang=words.lang),
            ),
            shares=shares.of_instances(facts["daily"].rows),
            runs=shares.newest_runs(facts),
            projects=shares.of_projects(facts),
            bounds_of=shares.of_payers(facts),
            numbers={row.uuid: n for n, row in enumerate(rows)},
            choices=_filters(facts, rows),
            marks=timeline.day_marks(facts),
            bands=list(timeline.unseen(facts)),
            price_marks=list(timeline.price_marks(facts)),
            tick=timeline.tick,
            axis=timeline.axis(facts),
            stacks={
                name: stacks.cost_by_day(facts, by, word_of("project", "(no rule)", words.lang))
                for name, by in STACKS.items()
            },
            gpu_stack=stacks.gpu_hours_by_day(facts),
            week=week,
            levels=trends.levels(week),
            nights=_nights(facts),
            prices=trends.price_rows(facts),
            balances=trends.balances(facts),
            coverage=trends.coverage(facts),
            plot_height=stacks.PLOT_HEIGHT,
            balance_height=trends.BALANCE_HEIGHT,
            price_height=trends.PRICE_HEIGHT,
            row_height=timeline.ROW_HEIGHT,
        )
    )


def template_environment(facts: Facts, words: Translator) -> Environment:
    # made for each page: filters know its words and its zone
    environment = Environment(
        loader=FileSystemLoader(policy.HERE),
        autoescape=True,
        # a name that is mistyped in the template is an error, not an empty place
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "yuan": lambda amount: localized(yuan_text(amount), words.lang),
        "number": thousands,
        "change": change,
        "lasting": lasting,
        "cell": partial(_text_of_cell, zone=facts.zone, lang=words.lang),
        "local": lambda instant: _local(instant, facts.zone),
        "text": lambda text: localized(text, words.lang),
        "word": lambda value, column: word_of(column, value, words.lang),
    }
    environment.filters["local_times"] = lambda text: _ISO.sub(
        lambda match: _local(match[0], facts.zone), text
    )
    return environment


def _running(facts: Facts) -> list[Row]:
    """Return the instances that run now, with their payers and their cost since the start."""
    costs = {r["instance_uuid"]: r["cost_yuan"] for r in facts["runs"].rows if not r["ended_at"]}
    return [
        {
            **row,
            "cost_yuan": costs.get(row["instance_uuid"]),
            # for sorting: a price that nobody knows comes last
            "yuan_or_0": row["yuan_per_hour"] or 0,
        }
        for row in facts["now"].rows
        # the report has what is off, too
        if row["running_since"]
    ]


def _nights(facts: Facts, most: int = 12) -> list[Row]:
    """Return the instances that ran longest at night and on weekends, with their shares in percent."""
    # both are time at which few people work: whoever has much of either comes first
    ranked = sorted(facts["idle"].rows, key=lambda r: -(r["night_hours"] + r["weekend_hours"]))
    return [
        {
            **row,
            "night_percent": round(100 * row["night_hours"] / row["hours"], 1),
            "weekend_percent": round(100 * row["weekend_hours"] / row["hours"], 1),
        }
        for row in ranked[:most]
        if row["hours"] and row["night_hours"] + row["weekend_hours"]
    ]


def _filters(facts: Facts, rows: Sequence[timeline.TimelineRow]) -> Mapping[str, list[str]]:
    """Map each filter of the page to the values that it offers."""
    daily = facts["daily"].rows
    return {
        "project": sorted({row["project"] for row in daily if row["project"]}),
        "owner": sorted({row["owner"] for row in daily if row["owner"]}),
        "model": sorted({model for row in rows for model in row.models}),
        "account": sorted({row.account for row in rows}),
    }


def _text_of_cell(
    value: Any, column: Column, columns: Sequence[Column], *, zone: Zone, lang: str
) -> str:
    """Return a value as a table shows it: instants in the reporting zone, words in a language."""
    if value is None:
        return ""
    if column.kind == "instant":
        return _local(value, zone)
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(localized(words_of(column.name, columns).get(str(value), str(value)), lang))


def _local(instant: str | Instant | None, zone: Zone) -> str:
    if instant is None:
        return ""
    at = from_iso(instant) if isinstance(instant, str) else instant
    return f"{zone.local(at):%Y-%m-%d %H:%M}"
