"""The charts of a digest as pictures: those of the page, of the digest's instances alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

from markupsafe import Markup

from etl.alerts.charts import ChartOrder
from etl.alerts.message import DigestOf, Picture
from etl.alerts.owners import DigestSubject, owner_of
from etl.alerts.words import short_line, truncate
from etl.dialect import Database
from etl.history.days import Zone
from etl.page import policy, raster, stacks, timeline
from etl.page.build import STACKS, template_environment
from etl.page.facts import Choice, Facts, Row, gather
from etl.page.words import Translator
from etl.reports.render.table import width
from etl.reports.words import word_of
from etl.store import schema
from etl.texts import Text, localized, tr

TABLES: Final = (
    "now",
    "daily",
    "timeline",
    "cost_day",
    "bills_day",
    "billed",
    "gpu_day",
    "gaps",
    "coverage",
)
NAMES: Final = ("account", "title", "project", "owner", "gpu_name")
DAYS: Final = 7
"""Days that the charts of a digest show at least, up to its last one: one day is no chart."""
MOST_ROWS: Final = 20
"""Instances in the timeline, those that ran longest."""
LEGEND_WIDTH: Final = 1040
SIZE: Final = 18
"""Pixels of a letter: half of it where a mail shows the picture at half its size."""
SWATCH: Final = 24
ITEM_GAP: Final = 26
NAME_COLUMNS: Final = 24
"""Columns of a terminal that a name is cut to; a Chinese character takes two."""
COLUMN: Final = 0.62
"""Width of a column of text, in its size."""
LEGEND_TOP: Final = 74.0
LEGEND_LINE: Final = 27
TOP_GAP: Final = 22
VALUE: Final = re.compile(r"--([\w-]+):([^;]+)")
VARIABLE: Final = re.compile(r"var\(--([\w-]+)\)")


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend at its place; `kind` is the class of its mark."""

    kind: str
    words: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as SVG; `name` is that of its file, `words` say what it shows."""

    name: str
    words: str
    svg: str


def drawn_digest(database: Database, order: ChartOrder) -> list[Picture]:
    """Return the charts of a digest as PNG; none if nothing can draw them, or nothing ran."""
    if raster.lack(order.language) is not None:
        return []
    return [
        Picture(f"{drawing.name}.png", drawing.words, raster.png_of(drawing.svg))
        for drawing in drawings(facts_of(database, order), order)
    ]


def facts_of(database: Database, order: ChartOrder) -> Facts:
    """Read the rows of a digest's instances over its days, in the accounts that are watched."""
    with database.reading() as conn:
        zone = Zone(schema.stored_timezone(conn))
    asked = order.digest
    first = date.fromisoformat(asked.last) - timedelta(days=DAYS - 1)
    choice = Choice(min(asked.first, first.isoformat()), asked.last)
    facts = gather(database, choice, zone, order.now, TABLES)
    watched = {
        name: [row for row in table.rows if row["account"] in order.accounts]
        for name, table in facts.tables.items()
    }
    daily = list(_paid_once(watched["daily"], order))
    is_part = _subject(asked) is not None or len(daily) < len(watched["daily"])
    if is_part:
        own = {(row["account"], row["instance_uuid"]) for row in daily}
        for name in ("timeline", "now"):
            rows = watched[name]
            watched[name] = [r for r in rows if (r["account"], r["instance_uuid"]) in own]
    tables = {
        name: replace(table, rows=watched[name] if name != "daily" else daily)
        for name, table in facts.tables.items()
    }
    return replace(facts, choice=replace(choice, is_part=is_part), tables=tables)


def _paid_once(rows: Sequence[Row], order: ChartOrder) -> Iterator[Row]:
    """Yield what the digest's subject pays for, a day of an instance in the first account that has it."""
    subject = _subject(order.digest)
    holders: dict[tuple[str, str], str] = {}
    # rows come by day and account, so that the first one is that of the words
    for row in rows:
        holder = holders.setdefault((row["day"], row["instance_uuid"]), row["account"])
        owner = row["owner"] or owner_of(order.owners, row["title"])
        if holder == row["account"] and (subject is None or subject.pays(owner, row["project"])):
            yield row


def _subject(digest: DigestOf) -> DigestSubject | None:
    if digest.owner is not None:
        return DigestSubject("owner", digest.owner)
    return DigestSubject("project", digest.project) if digest.project is not None else None


def drawings(facts: Facts, order: ChartOrder) -> Iterator[Drawing]:
    """Yield the charts of a digest: cost by day, card-hours by day and model, and when what ran."""
    if not facts["daily"].rows:
        return
    facts = _plain(facts)
    words = Translator(order.language)
    about: str = f"{facts.choice.from_day} – {facts.choice.to_day}"
    if name := order.digest.owner or order.digest.project:
        about = tr("{name}, {days}", name=_cut(name), days=about)
    is_by_project = _subject(order.digest) is None and _has_projects(facts)
    by = STACKS[tr("by project") if is_by_project else tr("by instance")]
    cost = stacks.cost_by_day(facts, by, word_of("project", "(no rule)", words.lang))
    yield _bars(facts, words, "cost", tr("Cost by day in yuan: {about}", about=about), cost)
    hours = stacks.gpu_hours_by_day(facts)
    title = tr("GPU hours by model and day: {about}", about=about)
    yield _bars(facts, words, "gpu-hours", title, hours)
    rows = timeline.timeline(facts)
    title = tr("Timeline: {about}", about=about)
    if len(rows) > MOST_ROWS:
        title = tr("Timeline of the {count} longest: {about}", count=MOST_ROWS, about=about)
    if rows:
        yield _timeline(facts, words, title, rows[:MOST_ROWS])


def _plain(facts: Facts) -> Facts:
    """Return the facts with names as single lines: XML takes no control characters, even escaped."""
    tables = {
        key: replace(table, rows=[{**r, **_plain_names(r)} for r in table.rows])
        for key, table in facts.tables.items()
    }
    return replace(facts, tables=tables)


def _plain_names(row: Row) -> Row:
    return {name: short_line(row[name]) for name in NAMES if row.get(name)}


def _has_projects(facts: Facts) -> bool:
    return any(row["project"] for row in facts["daily"].rows)


def _bars(facts: Facts, words: Translator, name: str, title: Text, stack: stacks.Stack) -> Drawing:
    series: list[tuple[str, str]] = [
        (f"s{n}", tr("others") if of == stacks.OTHERS else _cut(of))
        for n, of in enumerate(stack.names)
    ]
    marks = {
        ("maybe", tr("from least to most")): stack.whiskers,
        ("billed", tr("by the bill alone, before the first poll")): stack.billed,
        ("i-line", tr("bill")): stack.line,
        ("foot", tr("not settled yet")): stack.unsettled,
        ("blind", tr("nobody looked")): _is_blind(facts),
    }
    entries = [*series, *(key for key, is_there in marks.items() if is_there)]
    keys = _legend(entries, words.lang)
    return Drawing(
        name,
        title.in_language(words.lang),
        _rendered(facts, words, title, keys, stack=stack, rows=()),
    )


def _timeline(
    facts: Facts, words: Translator, title: Text, rows: Sequence[timeline.TimelineRow]
) -> Drawing:
    marks: list[tuple[str, str]] = [("sure-key", tr("surely ran")), ("maybe", tr("may have run"))]
    if _is_blind(facts):
        marks.append(("blind", tr("nobody looked")))
    if any(row.timer is not None for row in rows):
        marks.append(("timer", tr("timer")))
    svg = _rendered(facts, words, title, _legend(marks, words.lang), stack=None, rows=rows)
    return Drawing("timeline", title.in_language(words.lang), svg)


def _is_blind(facts: Facts) -> bool:
    return any(band.why != "still to come" for band in timeline.unseen(facts))


def _rendered(
    facts: Facts, words: Translator, title: Text, keys: Sequence[Key], **chart: Any
) -> str:
    template = template_environment(facts, words).get_template("picture.svg.jinja")
    return template.render(
        words=words,
        title=title.in_language(words.lang),
        keys=keys,
        top=keys[-1].y + TOP_GAP,
        style=Markup(_style()),  # noqa: S704 - our own file
        marks=timeline.day_marks(facts),
        bands=list(timeline.unseen(facts)),
        tick=timeline.tick,
        cut=_cut,
        plot_height=stacks.PLOT_HEIGHT,
        row_height=timeline.ROW_HEIGHT,
        **chart,
    )


@cache
def _style() -> str:
    """Return the style of pictures, with the colours of the page's light theme."""
    style = (policy.HERE / "picture.css").read_text(encoding="utf-8")
    # the first rule of the page's style: the theme of paper
    theme = dict(VALUE.findall(policy.style().partition("}")[0]))
    coloured = VARIABLE.sub(lambda match: theme[match[1]], style)
    return coloured.replace("FAMILIES", raster.font_families())


def _legend(entries: Sequence[tuple[str, str]], lang: str) -> list[Key]:
    """Place the entries of a legend in as many lines as they need."""
    keys: list[Key] = []
    x, y = 0.0, LEGEND_TOP
    for kind, text in entries:
        words = localized(text, lang)
        # wider than most letters are: an entry may stand apart, but must not touch the next
        wide = SWATCH + width(words) * SIZE * COLUMN + ITEM_GAP
        if keys and x + wide > LEGEND_WIDTH:
            x, y = 0.0, y + LEGEND_LINE
        keys.append(Key(kind, words, round(x, 1), y))
        x += wide
    return keys


def _cut(name: str) -> str:
    """Return a name as one line that fits its column, cut by width and not by characters."""
    line = short_line(name)
    if width(line) <= NAME_COLUMNS:
        return line
    most = next(n for n in range(len(line), -1, -1) if width(line[:n]) < NAME_COLUMNS)
    return truncate(line, most) + "…"
