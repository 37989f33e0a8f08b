"""Table `state_length`: how long shutting down and booting last, learned from the versions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, TextualSelect, bindparam, delete, select, text

from etl import tables
from etl.dialect import Database
from etl.history.lengths import MILLIONTHS, USUAL_BOOT_S, Learned, Lengths, Passages
from etl.money.billing.evidence import LONGEST_BOOT_S
from etl.poll import Instant

_c: Final = tables.state_length.c
SUMS: Final = (
    *("stops", "stopping_seen", "stopping_per_s"),
    *("starts", "booting_seen", "booting_per_s"),
)
LONGEST_S: Final = 1_800
"""What is seen in one of these states for longer is stuck in it, and says no more of it."""
# whole numbers: a sum of fractions would depend on the order in which polls are added
PER_S: Final = MILLIONTHS * MILLIONTHS
_BEFORE: Final = (
    select(*(_c[name] for name in SUMS))
    .where(_c.account_id == bindparam("account"), _c.seen_at < bindparam("b"))
    .order_by(_c.seen_at.desc())
    .limit(1)
)
_ALL: Final = (
    select(_c.seen_at, *(_c[name] for name in SUMS))
    .where(_c.account_id == bindparam("account"))
    .order_by(_c.seen_at)
)
_NEWEST_ROW: Final = (
    select(_c.seen_at, *(_c[name] for name in SUMS))
    .where(_c.account_id == bindparam("account"))
    .order_by(_c.seen_at.desc())
    .limit(1)
)
_FORGET: Final = delete(tables.state_length).where(
    _c.account_id == bindparam("account"), _c.seen_at == bindparam("b")
)
# Stops and starts (first half) count whether the state was met or not: that makes the estimate
# right however polls are spaced. Sightings (second half) count the polls in the state, by its
# length over the distance of polls, so that one that stuck in it counts half an hour at most.
_PASSAGES: Final = """
SELECT
    seen_at,
    SUM(is_stop) AS stops,
    SUM(is_stop * sightings) AS stopping_seen,
    SUM(is_stop * ({PER_S} / apart_s)) AS stopping_per_s,
    SUM(1 - is_stop) AS starts,
    SUM((1 - is_stop) * sightings) AS booting_seen,
    SUM((1 - is_stop) * ({PER_S} / apart_s)) AS booting_per_s
FROM (
    SELECT
        v.first_seen_at AS seen_at,
        CASE WHEN vs.is_up THEN 0 ELSE 1 END AS is_stop,
        epoch(v.first_seen_at) - epoch(v.after_at) AS apart_s,
        0 AS sightings
    FROM instance_history v
    JOIN instance_history p ON is_instance_of(p, v) AND p.version = v.version - 1
    JOIN instance_status vs ON vs.status = v.status
    JOIN instance_status ps ON ps.status = p.status
    WHERE v.account_id = :account AND v.after_at IS NOT NULL AND {chosen}
        AND (
            (ps.is_up AND vs.state = 'stopped' AND NOT differ(v.start_time, p.start_time, v.after_at))
            -- after a state of unknown meaning nobody knows whether it booted, or since when
            OR (NOT ps.is_up AND ps.state <> 'unknown' AND vs.is_up
                AND v.start_time > v.after_at AND v.start_time <= v.first_seen_at
                AND (p.start_time IS NULL OR p.start_time < v.start_time))
        )
    UNION ALL
    SELECT
        v.first_seen_at,
        CASE WHEN vs.is_up THEN 0 ELSE 1 END,
        epoch(p.first_seen_at) - epoch(p.after_at),
        {MILLIONTHS} * earlier(
            epoch(p.last_seen_at) - epoch(p.after_at),
            later(epoch(p.first_seen_at) - epoch(p.after_at), {LONGEST_S})
        ) / (epoch(p.first_seen_at) - epoch(p.after_at))
    FROM instance_history v
    JOIN instance_history p ON is_instance_of(p, v) AND p.version = v.version - 1
    JOIN instance_history o ON is_instance_of(o, v) AND o.version = v.version - 2
    JOIN instance_status vs ON vs.status = v.status
    JOIN instance_status ps ON ps.status = p.status
    JOIN instance_status os ON os.status = o.status
    WHERE v.account_id = :account AND v.after_at IS NOT NULL AND {chosen}
        AND p.after_at IS NOT NULL AND p.ended_by = 'changed' AND p.last_seen_at > p.after_at
        AND NOT differ(v.start_time, p.start_time, v.after_at)
        AND (
            (os.is_up AND ps.state = 'stopping' AND vs.state = 'stopped'
                AND NOT differ(p.start_time, o.start_time, v.after_at))
            OR (NOT os.is_up AND os.state <> 'unknown' AND ps.state IN ('creating', 'starting') AND vs.is_up
                AND p.start_time > p.after_at AND p.start_time <= p.first_seen_at
                AND (o.start_time IS NULL OR o.start_time < p.start_time))
        )
) passages
WHERE apart_s > 0
GROUP BY seen_at
"""


_NEWEST: Final = """
SELECT l.* FROM state_length l
WHERE l.seen_at = (SELECT MAX(n.seen_at) FROM state_length n WHERE n.account_id = l.account_id)
"""
_LONGEST_BOOT: Final = """
SELECT MAX(epoch(h.last_seen_at) - epoch(h.start_time))
FROM instance_history h
JOIN instance_status s ON s.status = h.status AND s.state IN ('creating', 'starting')
WHERE h.ended_by = 'changed' AND h.start_time > h.after_at AND h.start_time <= h.first_seen_at
    AND h.last_seen_at > h.start_time AND epoch(h.last_seen_at) - epoch(h.start_time) <= {LONGEST_S}
"""


def learned_boots(database: Database, conn: Connection) -> Boots:
    """Return how long a boot lasts, by the polls of all accounts together."""
    rows = conn.execute(text(_NEWEST)).all()
    booting = Passages(*(sum(int(row[at]) for row in rows) for at in (5, 6, 7)))
    # a boot that hangs is no measure of how long boots last
    longest = database.render(_LONGEST_BOOT.replace("{LONGEST_S}", str(LONGEST_BOOT_S)))
    seen_s = conn.scalar(text(longest))
    return Boots(booting.passed, booting.length_s(USUAL_BOOT_S), int(seen_s or 0))


class Boots(NamedTuple):
    """Starts seen, how long a boot lasts on average, and the longest that surely went on."""

    starts: int
    boot_s: int
    longest_s: int


class StateLengths:
    """Reader and writer of the lengths that one account taught, inside one transaction."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        self._database = database
        self._conn = conn
        self._account = {"account": account_id}
        self._newest: tuple[Instant, Sequence[Any] | None] | None = None
        """The newest row, and of when it is; None if it was not asked for yet."""

    def live(self) -> Lengths:
        """Return lengths that are looked up one by one, for the few that a poll needs."""
        return Lengths(lambda b: _learned(self._before(b)))

    def all(self) -> Lengths:
        """Return lengths that are read at once, for a rebuild."""
        rows = self._conn.execute(_ALL, self._account).all()
        instants = [row.seen_at for row in rows]

        def find(b: Instant) -> Learned:
            # strictly before: a poll must not learn from itself, or a replay would estimate
            # otherwise
            at = bisect_left(instants, b)
            return _learned(rows[at - 1][1:] if at else None)

        return Lengths(find)

    def learn(self, b: Instant) -> None:
        """Add the lengths that versions teach that began in a poll that ended at `b`."""
        before = self._before(b) or (0,) * len(SUMS)
        if self._newest is None or self._newest[0] >= b:
            # an earlier poll may have ended in the same second
            self._database.ask(self._conn, _FORGET, {**self._account, "b": b})
            self._newest = None
        asked = _asked_at(self._sql("v.first_seen_at = :b"))
        for seen_at, *sums in self._database.ask(self._conn, asked, {**self._account, "b": b}):
            summed = [was + int(new) for was, new in zip(before, sums, strict=True)]
            self._insert([(seen_at, *summed)])
            if self._newest is not None:
                self._newest = seen_at, summed

    def _before(self, b: Instant) -> Sequence[Any] | None:
        """Return what was learned before `b`."""
        if self._newest is None or self._newest[0] >= b:
            newest = self._database.ask(self._conn, _NEWEST_ROW, self._account).first()
            self._newest = (newest[0], newest[1:]) if newest else (0, None)
        if self._newest[0] < b:
            return self._newest[1]
        row: Sequence[Any] | None
        row = self._database.ask(self._conn, _BEFORE, {**self._account, "b": b}).first()
        return row

    def learn_anew(self) -> None:
        """Make all rows again from the versions."""
        self._newest = None
        mine = _c.account_id == bindparam("account")
        self._conn.execute(delete(tables.state_length).where(mine), self._account)
        self._insert(self._computed())

    def differ(self) -> bool:
        """Tell whether the rows are not those that the versions teach."""
        kept = [tuple(row) for row in self._conn.execute(_ALL, self._account)]
        return kept != self._computed()

    def _computed(self) -> list[tuple[Any, ...]]:
        summed = ", ".join(
            f"CAST(SUM({name}) OVER (ORDER BY seen_at) AS BIGINT) AS {name}" for name in SUMS
        )
        sql = f"SELECT seen_at, {summed} FROM ({self._sql('1 = 1')}) learned ORDER BY seen_at"
        asked = text(sql).columns(_c.seen_at)
        return [tuple(row) for row in self._conn.execute(asked, self._account)]

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        account = self._account["account"]
        self._database.insert(
            self._conn,
            tables.state_length,
            ("account_id", "seen_at", *SUMS),
            [(account, *row) for row in rows],
        )

    def _sql(self, chosen: str) -> str:
        return self._database.render(_rendered().replace("{chosen}", chosen))


@cache
def _rendered() -> str:
    numbers = {"PER_S": PER_S, "MILLIONTHS": MILLIONTHS, "LONGEST_S": LONGEST_S}
    sql = _PASSAGES
    for name, number in numbers.items():
        sql = sql.replace(f"{{{name}}}", str(number))
    return sql


@cache
def _asked_at(sql: str) -> TextualSelect:
    return text(sql).bindparams(bindparam("b", type_=_c.seen_at.type)).columns(_c.seen_at)


def _learned(row: Sequence[Any] | None) -> Learned:
    if row is None:
        return Learned()
    return Learned(Passages(*row[:3]), Passages(*row[3:]))
