"""Whether a database holds what the design promises, asked in SQL, and whether that is the truth.

Each of `NONE` counts what must not be. `truths` compares with the simulated fleet, which knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from etl import rebuild
from etl.dialect import Database
from etl.poll import Instant
from etl.simcloud import Fleet, Life
from etl.timing.triggers import grid

APPLIED = "outcome IN ('complete', 'partial')"
NONE = {
    "instances without just one current version, or gone with one": """
        SELECT count(*) FROM instance i LEFT JOIN (
            SELECT account_id, instance_uuid, count(*) AS n FROM instance_history
            WHERE ended_at IS NULL GROUP BY account_id, instance_uuid
        ) h ON h.account_id = i.account_id AND h.instance_uuid = i.instance_uuid
        WHERE COALESCE(h.n, 0) <> CASE WHEN i.gone_at IS NULL THEN 1 ELSE 0 END""",
    "instances that are not as their newest version": """
        SELECT count(*) FROM instance i LEFT JOIN instance_history h
            ON h.account_id = i.account_id AND h.instance_uuid = i.instance_uuid
            AND h.version = i.version
        WHERE h.version IS NULL OR h.status <> i.status OR h.title <> i.title
            OR COALESCE(epoch(h.start_time), 0) <> COALESCE(epoch(i.start_time), 0)
            OR h.first_seen_at <> i.changed_at""",
    "versions that overlap, or leave a hole without a going": """
        SELECT count(*) FROM (
            SELECT ended_at, ended_by, LEAD(first_seen_at) OVER w AS next_at,
                version, LEAD(version) OVER w AS next_version
            FROM instance_history
            WINDOW w AS (PARTITION BY account_id, instance_uuid ORDER BY version)
        ) v WHERE next_at IS NOT NULL AND (ended_at IS NULL OR next_at < ended_at
            OR next_version <> version + 1 OR (ended_by = 'changed' AND next_at <> ended_at))""",
    "instances with two open stretches of a kind": """
        SELECT count(*) FROM (
            SELECT 1 AS one FROM instance_usage WHERE ended_at IS NULL
            GROUP BY account_id, instance_uuid, kind HAVING count(*) > 1
        ) u""",
    "stretches that overlap": """
        SELECT count(*) FROM (
            SELECT ended_at, LEAD(started_at) OVER (
                PARTITION BY account_id, instance_uuid, kind ORDER BY started_at, usage_no
            ) AS next_at FROM instance_usage
        ) u WHERE next_at IS NOT NULL AND (ended_at IS NULL OR next_at < ended_at)""",
    "stretches out of order": """
        SELECT count(*) FROM instance_usage
        WHERE NOT (started_at <= ended_min AND ended_min <= ended_at AND ended_at <= ended_max)""",
    "instances whose stretches are not numbered 1, 2, 3": """
        SELECT count(*) FROM (
            SELECT 1 AS one FROM instance_usage GROUP BY account_id, instance_uuid
            HAVING MIN(usage_no) <> 1 OR MAX(usage_no) <> count(*)
        ) u""",
    "open stretches of what is gone": """
        SELECT count(*) FROM instance_usage u JOIN instance i
            ON i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid
        WHERE u.ended_at IS NULL AND i.gone_at IS NOT NULL""",
    "closed stretches that are not the sum of their days": """
        SELECT count(*) FROM instance_usage u LEFT JOIN (
            SELECT account_id, instance_uuid, usage_no, SUM(running_s) AS s,
                SUM(running_min_s) AS min_s, SUM(running_max_s) AS max_s
            FROM usage_day GROUP BY account_id, instance_uuid, usage_no
        ) d ON d.account_id = u.account_id AND d.instance_uuid = u.instance_uuid
            AND d.usage_no = u.usage_no
        WHERE u.ended_at IS NOT NULL AND (
            COALESCE(d.s, 0) <> epoch(u.ended_at) - epoch(u.started_at)
            OR COALESCE(d.min_s, 0) <> epoch(u.ended_min) - epoch(u.started_at)
            OR COALESCE(d.max_s, 0) <> epoch(u.ended_max) - epoch(u.started_at))""",
    "day parts of open stretches, or of none": """
        SELECT count(*) FROM usage_day d LEFT JOIN instance_usage u
            ON u.account_id = d.account_id AND u.instance_uuid = d.instance_uuid
            AND u.usage_no = d.usage_no
        WHERE u.ended_at IS NULL""",
    "polls that were applied out of order": f"""
        SELECT count(*) FROM (
            SELECT started_at, finished_at, LAG(started_at) OVER w AS was_started,
                LAG(finished_at) OVER w AS was_finished
            FROM sync_run WHERE {APPLIED}
            WINDOW w AS (PARTITION BY account_id, resource ORDER BY sync_run_id)
        ) r WHERE started_at <= was_started OR finished_at < was_finished""",
}


def broken(database: Database) -> list[str]:
    """The promises that do not hold, one line each."""
    found = []
    for what, sql in NONE.items():
        count = ask(database, sql)[0][0]
        print(f"{what}: {count}")
        if count:
            found.append(f"{what}: {count}")
    differing = list(rebuild.differences(database))
    print(f"rebuild --check: {len(differing)} differ")
    return found + [f"rebuild --check: {line}" for line in differing[:5]]


def applied(database: Database, outcomes: str = APPLIED) -> dict[str, list[tuple[int, int, str]]]:
    """Of each account its attempts in order: start, end, outcome."""
    found: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    sql = (
        "SELECT a.name, epoch(r.started_at), epoch(r.finished_at), r.outcome FROM sync_run r"
        f" JOIN account a ON a.account_id = r.account_id WHERE {outcomes} ORDER BY 1, 2, 3"
    )
    for name, *run in ask(database, sql):
        found[name].append((run[0], run[1], run[2]))
    return found


def gaps(runs: Sequence[tuple[int, int, str]]) -> list[int]:
    """Seconds between the starts of successive polls."""
    return [b[0] - a[0] for a, b in pairwise(runs)]


def ticks(database: Database, every_s: int, slack_s: float) -> tuple[int, int]:
    """Ticks of all accounts from the first attempt to the last, and how many have no row."""
    count = empty = 0
    for name, runs in applied(database, "1 = 1").items():
        own = grid(every_s, name)
        served = {round(own.latest(start + slack_s)) for start, _, _ in runs}
        between = range(min(served), max(served) + 1, every_s)
        count += len(between)
        empty += len(set(between) - served)
    return count, empty


def truths(database: Database, fleet: Fleet) -> list[str]:
    """Where the database says what is not true of a fleet that all its accounts share."""
    usage: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for name, uuid, *stretch in ask(database, USAGE):
        usage[name, uuid].append(stretch)
    instances: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in ask(database, INSTANCES):
        instances[row.name][row.instance_uuid] = row
    found, checked = [], 0
    for name, runs in applied(database).items():
        complete = [run for run in runs if run[2] == "complete"]
        first, horizon, newest = complete[0][1], complete[-1][0], runs[-1][1]
        for life in fleet.lives:
            row = instances[name].get(life.instance_uuid)
            wrongs = _wrongs(life, row, usage[name, life.instance_uuid], first, horizon, newest)
            found += [f"{name} {life.instance_uuid}: {wrong}" for wrong in wrongs]
            checked += row is not None
    print(f"against the truth: {checked} instances, {len(found)} wrong")
    return found


USAGE = """
    SELECT a.name, u.instance_uuid, epoch(u.started_at) AS s, epoch(u.ended_min) AS n,
        epoch(u.ended_max) AS x, u.evidence FROM instance_usage u
    JOIN account a ON a.account_id = u.account_id WHERE u.kind = 'running'"""
INSTANCES = """
    SELECT a.name, i.instance_uuid, i.status, i.title, i.gpu_name, i.gpu_nums,
        epoch(i.start_time) AS start_s, epoch(i.last_seen_at) AS seen_s,
        epoch(i.missing_since) AS missing_s, epoch(i.gone_at) AS gone_s
    FROM instance i JOIN account a ON a.account_id = i.account_id"""


def _wrongs(
    life: Life,
    row: Any,
    stretches: Sequence[Any],
    first: Instant,
    horizon: Instant,
    newest: Instant,
) -> Iterator[str]:
    is_steady = not any(horizon <= at <= newest for at in life.moments())
    if row is None:
        if is_steady and life.is_listed(horizon):
            yield "listed, and not known"
        return
    if row.gone_s is not None and life.exists(row.gone_s):
        yield "gone, though it lives"
    if is_steady and life.is_listed(horizon) != (row.missing_s is None and row.gone_s is None):
        yield f"listed: {life.is_listed(horizon)}, missing since {row.missing_s}"
    if is_steady and life.is_listed(horizon) and row.seen_s is None:
        yield from _unlike(life, row, horizon)
    until = horizon if row.seen_s is None else min(row.seen_s, horizon)
    truth = life.running(first, until) if until > first else 0
    least = sum(_within(s, s if e == "booting" and n is None else n, first, horizon, newest)
                for s, n, _, e in stretches)  # fmt: skip
    most = sum(_within(s, x, first, until, until) for s, _, x, _ in stretches)
    if least > life.running(first, newest):
        yield f"at least {least} s, in truth {life.running(first, newest)}"
    if most < truth:
        yield f"at most {most} s, in truth {truth}"


def _unlike(life: Life, row: Any, at: Instant) -> Iterator[str]:
    shown = (life.status_at(at), life.title_at(at), life.start_time_at(at) or 0)
    kept = (row.status, row.title, row.start_s or 0)
    if shown != kept:
        yield f"shown {shown}, kept {kept}"


def _within(start: int, end: int | None, t0: int, open_end: int, t1: int) -> int:
    """Seconds of a stretch within [t0, t1); what is open lasts until `open_end`."""
    return max(0, min(open_end if end is None else end, t1) - max(start, t0))


def ask(database: Database, sql: str, **values: Any) -> list[Any]:
    with database.reading() as conn:
        return list(conn.execute(text(database.render(sql)), values).all())
