"""A year of a fleet in bulk: versions, polls and bill lines beside the usage of `bench.costs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

from bench.costs import FIRST, REST_S, ZONE, fill
from etl import tables
from etl.dialect import Database
from etl.history.stretches import Stretch
from etl.store import Store

EVERY_S = 120
BY_TIME = {
    "instance_usage": "started_at",
    "instance_history": "first_seen_at",
    "usage_day": "day",
    "usage_cost": "day",
}
"""Tables with many rows, those that others refer to first, and what polls write them by."""
BILL_LINES_AN_HOUR = 35
Row = tuple[Any, ...]
FACTS = (
    "status",
    "title",
    "start_time",
    "charging_type",
    "shutdown_time",
    "shutdown_enabled",
    "save_image_status",
    "image_uuid",
    "image_name",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
)
ENDS = ("after_at", "first_seen_at", "began_by", "last_seen_at", "ended_at", "ended_by")


def fill_year(database: Database, instances: int, days: int, rest_s: int = REST_S) -> int:
    """Usage with its versions (two a run), a poll every two minutes, bill lines; returns the number
    of stretches. Between two runs of an instance lie `rest_s` seconds at most."""
    dice = Random("year")

    def versions(tx: Any, stretches: Sequence[tuple[str, Stretch, bool]]) -> None:
        rows = list(_histories(dice, tx._account_id, stretches))
        columns = ("account_id", "instance_uuid", "version", *FACTS, *ENDS)
        database.insert(tx._conn, tables.instance_history, columns, rows)

    count = fill(database, instances, days, versions, rest_s)
    begins, ends = ZONE.starts(FIRST), ZONE.starts(FIRST + timedelta(days=days))
    with database.writing() as conn:
        account = conn.exec_driver_sql("SELECT account_id FROM account").scalar_one()
        polls = list(_polls(dice, account, begins, ends))
        database.insert(conn, tables.sync_run, _POLL, polls)
        lines = list(_bill(account, begins, ends - 86_400))
        database.insert(conn, tables.bill, (*_LINE, "charged_day", *_SEEN), lines)
        parts = [(*line[:7], line[8], line[7]) for line in lines]
        key = (*tables.BILL_KEY, "day", "amount_microcny")
        database.insert(conn, tables.bill_day, key, parts)
    with Store(database, "lab").writing() as tx:
        tx.correct_steps()
    _lay_by_time(database)
    return count


def _lay_by_time(database: Database) -> None:
    """The rows were written instance by instance. Polls write them as time passes, and so a period lies
    together."""
    with database.writing() as conn:
        if conn.dialect.name == "postgresql":
            statements = [f"CLUSTER {name} USING {_index(name)}" for name in BY_TIME]
        else:
            listed = {n: ", ".join(tables.metadata.tables[n].columns.keys()) for n in BY_TIME}
            statements = [
                f"CREATE TEMPORARY TABLE laid_{name} AS SELECT * FROM {name} ORDER BY {time}"
                for name, time in BY_TIME.items()
            ]
            statements += [f"DELETE FROM {name}" for name in reversed(BY_TIME)]
            statements += [
                f"INSERT INTO {name} ({columns}) SELECT {columns} FROM laid_{name}"
                for name, columns in listed.items()
            ]
            statements += [f"DROP TABLE laid_{name}" for name in BY_TIME]
        for statement in statements:
            conn.exec_driver_sql(statement)


def _index(name: str) -> str:
    """That by the table's time."""
    indexes = tables.metadata.tables[name].indexes
    return next(str(i.name) for i in indexes if i.columns[0].name == BY_TIME[name])


def _histories(
    dice: Random, account: int, stretches: Sequence[tuple[str, Stretch, bool]]
) -> Iterator[Row]:
    """Versions of instances: each holds until the next."""
    begun: list[Row] = []
    for at, (uuid, stretch, _) in enumerate(stretches):
        begun += _versions(dice, uuid, stretch)
        if at + 1 == len(stretches) or stretches[at + 1][0] != uuid:
            for number, version in enumerate(begun, 1):
                after = begun[number] if number < len(begun) else None
                ended = (after[-2], after[-1], "changed") if after else (None, None, None)
                began = "first_seen" if number == 1 else "changed"
                yield (account, uuid, number, *version, began, *ended)
            begun = []


def _versions(dice: Random, uuid: str, stretch: Stretch) -> Iterator[Row]:
    """The facts of a run while it goes on and after it, after when and since when."""
    title = f"work {uuid}" if dice.random() < 0.97 else f"other {dice.randrange(9)}"
    saved = dice.choice((1, 2, 3)) if dice.random() < 0.01 else 0
    timed = dice.random() < 0.1
    t = stretch.terms
    gpu = t.gpu_uuid, t.gpu_name, t.gpu_nums
    image = t.image_uuid, f"name {t.image_uuid}"
    at, until = stretch.started_at, stretch.ended_max
    timer = (at + 36_000, True) if timed else (None, None)
    rest = title, at, t.charging_type, *timer
    up = {"observed": 2, "booting": 24}.get(stretch.evidence)
    if up is not None:
        yield (up, *rest, 0, *image, *gpu, at - 60, at + 60)
    if until is not None:
        down = 22 if stretch.evidence == "observed" else 23
        yield (down, *rest, saved, *image, *gpu, stretch.ended_min, max(until, at + 61))


_POLL = (
    "account_id",
    "resource",
    "started_at",
    "finished_at",
    "outcome",
    "requests",
    "retries",
    "walks",
    "listed",
    "added",
    "changed",
    "gone",
    "rejected",
    "polls_before",
    "step_s",
    "gap_s",
)


def _polls(dice: Random, account: int, begins: int, ends: int) -> Iterator[Row]:
    """A poll every two minutes, one in 500 partial, one in 500 failed; now and then none for hours."""
    at, count, last = begins + EVERY_S, 0, None
    while at < ends:
        outcome = dice.choices(("complete", "partial", "failed"), (498, 1, 1))[0]
        step: Row = (None, None, None)
        if outcome == "complete":
            step = (count, *((None, None) if last is None else (at - last, at - last - 2)))
            count, last = count + 1, at
        yield (account, "instances", at, at + 2, outcome, 10, 0, 1, 1000, 0, 2, 0, 0, *step)
        at += EVERY_S if dice.random() < 0.9999 else dice.randint(1_200, 20_000)


_LINE = (*tables.BILL_KEY, "amount_microcny")
_SEEN = ("first_seen_at", "changed_at")


def _bill(account: int, begins: int, ends: int) -> Iterator[Row]:
    for hour, at in enumerate(range(begins, ends, 3_600)):
        day = (FIRST + timedelta(days=hour // 24)).isoformat()
        for n in range(BILL_LINES_AN_HOUR):
            key = (account, f"h{hour}-{n}", at, at + 3_600, 1, "", 1)
            yield (*key, 2_000_000 + n, day, at + 3_700, at + 3_700)


def last_month(days: int) -> dict[str, str]:
    last = FIRST + timedelta(days=days - 1)
    return {"from_day": (last - timedelta(days=30)).isoformat(), "to_day": last.isoformat()}


def whole(days: int) -> dict[str, str]:
    last: date = FIRST + timedelta(days=days - 1)
    return {"from_day": FIRST.isoformat(), "to_day": last.isoformat()}
