"""Writes docs/schema.md from the tables and views: `python -m tests.schema_doc > docs/schema.md`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from etl import tables
from etl.dialect import open_database
from etl.figures.dictionary import view_meanings, view_text
from etl.store import schema, views

CONTRACT = Path(__file__).parent / "contract_of_views.txt"
HEAD = """# Tables and views

All instants are UTC, to the second: `timestamptz` on Postgres, text such as `2026-01-31T23:59:59Z` on
SQLite. Days are days of the reporting time zone (setting `timezone`). Read the views; the tables are
what they are made of. *Card-seconds* are seconds times the number of GPUs: rented time, not utilisation.

## Start here

| question | view |
|---|---|
| What runs now, since when, whose, at which price, with which timer? | `instance_now` |
| What was started, stopped, renamed, changed, and between which moments? | `instance_event` |
| How did an instance look at some time in the past? | `instance_version` |
| When did each run begin and end, and what did it cost? | `run_span`, `run_cost` |
| How long was each instance up, day by day? | `uptime_daily` |
| How many card-hours of which model, day by day? | `gpu_usage_daily` |
| Was it busy or idle, as far as samples tell? | `gpu_busy_daily` |
| How much volume did private images take? | `private_image_now`, `image_storage_daily` |
| What did it cost, whose was it, day by day? | `cost_daily` |
| What was billed, day by day, and line by line? | `bill_daily`, `bill_line` |
| What was used before the first poll, as the bill shows it? | `billed_usage_daily` |
| Which instance and project has the bill to be put down to? | `bill_attributed_daily` |
| Does the bill agree with the estimate, and if not, why? | `reconciliation_daily` |
| How much money is left, and where did it go? | `balance_daily` |
| Is the budget of the month kept? | `budget_month` |
| How much of each day was observed at all? | `coverage_daily`, `sync_gap` |

How they join: by `account` and `instance_uuid`, and by `day`. A title is not unique and changes, so
group by `instance_uuid` too.

```mermaid
erDiagram
    instance_now ||--|{ instance_version : "account, instance_uuid"
    instance_now ||--o{ instance_event : "account, instance_uuid"
    instance_now ||--o{ usage_span : "account, instance_uuid"
    usage_span ||--o| run_span : "account, instance_uuid, usage_no"
    run_span ||--|| run_cost : "account, instance_uuid, usage_no"
    instance_now ||--o{ uptime_daily : "account, instance_uuid"
    uptime_daily }o--o{ cost_daily : "account, instance_uuid, day"
    cost_daily }o--o{ bill_attributed_daily : "account, instance_uuid, day, who pays"
    bill_attributed_daily }|--|| reconciliation_daily : "account, day"
    bill_daily }|--|| reconciliation_daily : "account, day"
    reconciliation_daily }o--|| balance_daily : "account, day"
    local_day ||--o{ reconciliation_daily : "day"
    local_day ||--o{ uptime_daily : "day"
    coverage_daily ||--o{ uptime_daily : "account, day"
```

`instance_now` lacks what is gone; `instance_version`, and the views by day, have that too.

## One definition of each measure

| measure | what it is |
|---|---|
| up | the status means that it runs (`running` or `restarting`, table `instance_status`): a state of one moment |
| running | time from `start_time` until it was no longer up: `running_s` by the best estimate, surely at least `running_min_s`, at most `running_max_s` |
| run | a stretch of running time that is known to have been (`run_span`); a change of GPU or charging begins another |
| held | time from creation until gone of an instance that is paid by the day, week, month or year (`usage_span`, `kind` = `held`): it is charged even if it is off |
| card-second, GPU hour | a second of running times the number of GPUs; 3,600 of them are a GPU hour. Rented time, not utilisation |
| charged | the seconds that the charging model counts: running time rounded up to its steps, or held time |
| cost | charged time at the prices in force then, yours before the list's: an estimate with bounds, known the same day; `cost_microcny` are millionths of a yuan |
| unpriced | charged time whose price nobody knows: it is in no cost |
| billed | what the source charged, each line spread evenly over the window that it settles (`bill_daily`) |
| attributed | the bill shared out over instances in proportion to their cost: no bill names one (`bill_attributed_daily`) |
| observed | time between two complete polls that are not too far apart; what lies after the newest one is in no view |
| settled | time that the bill has reached: its cost will not be billed again |

Figures for people stand beside the exact whole numbers: `hours` and `gpu_hours` beside seconds, `…_yuan` beside
millionths, `…_local` (by the clocks of the reporting time zone) beside UTC, `month` and `week` beside days. Add up
whole numbers if the last digit counts. Filter by `day`, which has an index; `month` and `week` have none.

Types are those of Postgres. SQLite has no dates and no booleans: instants, days and local times are text that sorts by time,
true is 1. Its views tell tools the types of whole numbers, numbers and text from SQLite 3.41 on.

A name that begins with `_` marks a view that only others build on: it may change at any time.
"""


def document() -> str:
    """The whole page."""
    public = views.public_names()
    internal = sorted(set(views.view_names()) - set(public))
    return "\n".join(
        [
            HEAD,
            "# Views\n",
            *_views(public),
            "# Tables\n",
            *_tables(),
            "# Internal views\n",
            *_views(internal),
        ]
    )


def contract() -> dict[str, dict[str, str]]:
    """The types of the columns of each public view on Postgres, as they are promised."""
    promised: dict[str, dict[str, str]] = {}
    for line in CONTRACT.read_text(encoding="utf-8").splitlines():
        name, kind = line.split(": ")
        view, column = name.split(" ")
        promised.setdefault(view, {})[column] = kind
    return promised


@cache
def view_columns() -> dict[str, list[str]]:
    """The columns of each view, as a database has them."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/schema.db")
        schema.upgrade(database, "Asia/Shanghai", date(2026, 1, 1))
        with database.reading() as conn:
            found = {
                name: list(conn.exec_driver_sql(f"SELECT * FROM {name} LIMIT 0").keys())
                for name in views.view_names()
            }
        database.engine.dispose()
    return found


def _views(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        columns, kinds = view_columns()[name], contract().get(name, {})
        view = view_text(name)
        known = view_meanings(name)
        yield f"## View `{name}`\n\n{view.about}\n"
        yield (
            "| column | type | meaning |\n|---|---|---|"
            if kinds
            else "| column | meaning |\n|---|---|"
        )
        yield (
            "\n".join(
                f"| `{column}` | {f'{kinds[column]} | ' if kinds else ''}{known.get(column, '')} |"
                for column in columns
            )
            + "\n"
        )


def _tables() -> Iterator[str]:
    for table in sorted(tables.metadata.tables.values(), key=lambda table: table.name):
        keys = ", ".join(f"`{column.name}`" for column in table.primary_key)
        yield f"## Table `{table.name}`\n\n{table.comment}. Key: {keys}.\n"
        yield "| column | SQLite | Postgres | null | meaning |\n|---|---|---|---|---|"
        yield "\n".join(_rows(table)) + "\n"


def _rows(table: Table) -> Iterator[str]:
    for column in table.columns:
        lite, post = (
            column.type.compile(dialect=each.dialect()).lower() for each in (sqlite, postgresql)
        )
        null = "yes" if column.nullable else ""
        yield f"| `{column.name}` | {lite} | {post} | {null} | {column.comment} |"


if __name__ == "__main__":
    sys.stdout.write(document())
