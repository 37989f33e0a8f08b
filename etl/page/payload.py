"""Facts for the page's script, as compact JSON: it filters, draws single instances and folded rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from etl.history.days import from_iso
from etl.page.facts import Facts, Row
from etl.page.timeline import TimelineRow, axis
from etl.page.words import Translator
from etl.reports.words import word_of
from etl.texts import term, tr

RUNS: Final = 600
VERSIONS: Final = 600
"""Runs and versions that the page holds, shared out among the instances: it must stay small."""
# few instances have many each, many have few: at least so many that a page of one says something
MOST_OF_ONE: Final = 20
LEAST_OF_ONE: Final = 2
TEXTS: Final = (
    tr("others"),
    tr("none"),
    tr("still runs"),
    term("payer", "(no rule)"),
    tr("back to the page"),
    tr("Cost by day"),
    tr("GPU hours"),
    tr("Cost"),
    tr("Timeline"),
    tr("Runs"),
    tr("Versions"),
    tr("Who paid"),
    tr("Instances"),
    tr("began"),
    tr("ended"),
    tr("hours"),
    tr("GPU"),
    tr("state"),
    tr("image"),
    tr("timer"),
    tr("since"),
    tr("project"),
    tr("owner"),
    tr("days"),
    tr("title"),
    tr("account"),
    tr("runs now"),
    tr("{hours} h"),
    tr("between {low} and {high}"),
    tr("the newest {count}"),
    tr("the same by SQL"),
    tr("the same by command"),
    tr("copied"),
    tr("show {count} more"),
    tr("nothing matches the filter"),
    tr("by instance"),
    tr("by owner"),
)
"""Texts of the script, which asks for them by their English."""


class _Texts:
    """Texts that stand once, and are named by their number."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def __call__(self, text: str | None) -> int:
        # owners, projects and models stand in thousands of rows: numbers are shorter
        return self.texts.setdefault(text or "", len(self.texts))


def payload(facts: Facts, rows: Sequence[TimelineRow], drawn: int, words: Translator) -> Markup:
    """Return the JSON: instances in the order of the timeline, of which `drawn` are in the page's own
    markup, their days, runs and versions. Numbers of hours are hours, amounts are yuan."""
    texts, scale = _Texts(), axis(facts)
    number = {(row.account, row.uuid): n for n, row in enumerate(rows)}
    days = {day.day: n for n, day in enumerate(facts.days)}
    most = [max(LEAST_OF_ONE, min(MOST_OF_ONE, n // max(1, len(rows)))) for n in (RUNS, VERSIONS)]
    made = {
        "low": scale.low,
        "high": scale.high,
        "from": facts.choice.from_day,
        "to": facts.choice.to_day,
        "days": [[day.day, day.starts_s] for day in facts.days],
        "drawn": drawn,
        "instances": [_instance(row, texts, n >= drawn) for n, row in enumerate(rows)],
        "daily": _daily(facts["daily"].rows, number, days, texts),
        "runs": _newest_of_each(
            facts["runs"].rows, number, most[0], lambda r: _run(r, texts, int(scale.low))
        ),
        "versions": _newest_of_each(
            facts["versions"].rows, number, most[1], lambda r: _version(r, texts, words.lang)
        ),
        "words": {text: text.in_language(words.lang) for text in TEXTS},
        "lang": words.lang,
    }
    made["texts"] = list(texts.texts)
    return _safe(json.dumps(made, ensure_ascii=False, separators=(",", ":")))


def _safe(text: str) -> Markup:
    """Return JSON that no text in it can end the script element of."""
    # </script> in a title would end the element; the last two end lines in old JavaScript
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - every sign that HTML knows is spelled out


def _instance(row: TimelineRow, texts: _Texts, with_paths: bool) -> list[Any]:
    return [
        row.uuid,
        row.title,
        texts(row.account),
        texts(row.project),
        texts(row.owner),
        [texts(model) for model in row.models],
        round(row.hours, 2),
        round(row.hours_min, 2),
        round(row.hours_max, 2),
        # rows that are in the markup have their paths there
        *([row.sure, row.possible] if with_paths else []),
    ]


def _daily(
    rows: Iterable[Row],
    number: Mapping[tuple[str, str], int],
    days: Mapping[str, int],
    texts: _Texts,
) -> list[list[Any]]:
    """Return a list for each instance, project, owner and model, and then of each of its days: the day,
    card-hours, cost, and by how much it may be less or more."""
    lines: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for row in rows:
        of = number.get((row["account"], row["instance_uuid"]), -1)
        key = (of, *(texts(row[name]) for name in ("project", "owner", "gpu_name")))
        cost = row["cost_yuan"] or 0
        lines[key] += [
            days[row["day"]],
            _plain(row["gpu_hours"], 2),
            _plain(cost, 4),
            _plain(cost - (row["cost_yuan_min"] or 0), 2),
            _plain((row["cost_yuan_max"] or 0) - cost, 2),
        ]
    return [[*key, *values] for key, values in lines.items()]


def _newest_of_each(
    rows: Iterable[Row], number: Mapping[tuple[str, str], int], most: int, packed: Any
) -> dict[int, list[Any]]:
    kept: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        of = number.get((row["account"], row["instance_uuid"]))
        if of is not None and len(kept[of]) < most:
            kept[of].append(packed(row))
    return kept


def _run(row: Row, texts: _Texts, low: int) -> list[Any]:
    """Return a run: begin and end in seconds from the period's own, None if it goes on, and so on."""
    return [
        # from the period's begin: fewer digits in each of many runs
        from_iso(row["started_at"]) - low,
        from_iso(row["ended_at"]) - low if row["ended_at"] else None,
        *(_plain(row[name], 2) for name in ("hours", "hours_min", "hours_max")),
        row["gpu_nums"] or 0,
        texts(row["gpu_name"]),
        _plain(row["cost_yuan"], 2) if row["cost_yuan"] is not None else -1,
    ]


def _version(row: Row, texts: _Texts, lang: str) -> list[Any]:
    return [
        row["version"],
        from_iso(row["first_seen_at"]),
        *(
            texts(word_of(name, row[name], lang))
            for name in ("state", "title", "gpu", "charging", "image")
        ),
        from_iso(row["timer"]) if row["timer"] else 0,
    ]


def _plain(value: float | None, digits: int) -> float | int:
    """Round; whole numbers lose their point, which saves a byte or two of each."""
    rounded = round(value or 0, digits)
    return int(rounded) if rounded == int(rounded) else rounded
