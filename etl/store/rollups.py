"""Rollups of closed parts of usage by instance and day: tables `running_sum` and `cost_sum`.

Sums always equal their parts: those of a day are deleted and computed again, by one statement for
each table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Table, TextualSelect, delete, text

from etl import tables
from etl.dialect import Database
from etl.store.statements import statement

Pair = tuple[str, str]
"""A day, and the uuid of an instance."""
EVER: Final = "0001-01-01"
"""A day before all others."""
_KEY: Final = ("day", "account_id", "instance_uuid")
_PAYER: Final = ("project", "owner", "cost_centre", "tags")


@dataclass(frozen=True, slots=True)
class _Rollup:
    """Definition of a rollup. `one` are the columns of which each row has one value, `values` those
    that are added up, each with its SQL. `source` gives the parts; the first of its tables is
    `usage_day d`, which knows them by day. `began` puts the rows of an instance and day in order.
    """

    table: Table
    source: str
    one: tuple[str, ...]
    values: dict[str, str]
    began: str

    @property
    def columns(self) -> str:
        return ", ".join([*_KEY, *(column.rpartition(".")[2] for column in self.one), *self.values])

    def made(self, chosen: str, *also: str) -> str:
        """Return the SELECT of the rollup's rows from the chosen parts; `also` are further columns
        in front.
        """
        keys = ", ".join([*(f"d.{key}" for key in _KEY), *self.one])
        values = ", ".join(f"sum_of({sql}) AS {n}" for n, sql in self.values.items())
        front = "".join(f"{column}, " for column in also)
        return (
            f"SELECT {front}{keys}, {values} FROM {self.source}"
            f" WHERE d.account_id = :account AND {chosen} GROUP BY {keys}"
        )


_ROLLUPS: Final = (
    _Rollup(
        tables.running_sum,
        # held time is charged, but nothing runs in it
        "usage_day d JOIN calendar_day c ON c.day = d.day AND d.kind = 'running'",
        ("d.gpu_uuid", "d.gpu_name", "d.gpu_nums"),
        {
            "running_s": "d.running_s",
            "running_min_s": "d.running_min_s",
            "running_max_s": "d.running_max_s",
            "night_s": "in_night(epoch(d.started_at), d.running_s, night_ends_s(c.starts_s))",
        },
        "MIN(d.started_at), MIN(d.usage_no)",
    ),
    _Rollup(
        tables.cost_sum,
        "usage_day d"
        " JOIN usage_cost u ON is_instance_of(u, d) AND u.usage_no = d.usage_no AND u.day = d.day"
        " LEFT JOIN allocation w ON is_payer_of(w, u, u.starts_s)",
        (
            *(f"w.{name}" for name in _PAYER),
            "u.kind",
            *(f"u.{name}" for name, *_ in tables.TERMS),
            "u.price_source",
        ),
        {
            "used_s": "u.used_s",
            "charged_s": "u.charged_s",
            "unpriced_s": "unpriced(u.charged_s, u.cost_microcny)",
            "unpriced_max_s": "unpriced(u.charged_max_s, u.cost_microcny)",
            "cost_microcny": "u.cost_microcny",
            "cost_min_microcny": "u.cost_min_microcny",
            "cost_max_microcny": "u.cost_max_microcny",
            "list_cost_microcny": "u.list_cost_microcny",
        },
        "MIN(u.starts_s), MIN(u.usage_no)",
    ),
)


_COSTS: Final = _ROLLUPS[1]


class Rollups:
    """Rollups of one account, inside one transaction."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id

    def days_of(self, stretches: Sequence[tuple[str, int]]) -> set[Pair]:
        """Return the (day, instance) pairs in which closed stretches (uuid and number) have parts."""
        if not stretches:
            return set()
        keys = ("instance_uuid", "usage_no")
        listed, parameters = self._database.listed(tables.usage_day, keys, stretches)
        asked = _days_asked(
            "SELECT DISTINCT day, instance_uuid FROM usage_day"
            f" WHERE account_id = :account AND ({', '.join(keys)}) IN {listed}"
        )
        return {(row[0], row[1]) for row in self._ask(asked, parameters)}

    def renew(self, pairs: Collection[Pair]) -> None:
        """Recompute the sums of some days of some instances."""
        if not pairs:
            return
        # in one order for all writers, and in that of the key
        ordered = sorted(pairs)
        gone = [(day, self._account_id, uuid) for day, uuid in ordered]
        listed, parameters = self._database.listed(
            tables.usage_day, ("day", "instance_uuid"), ordered
        )
        for rollup in _ROLLUPS:
            self._database.delete(self._conn, rollup.table, _KEY, gone)
            # made again from the parts: a difference would carry every earlier error along
            self._add(rollup, f"(d.day, d.instance_uuid) IN {listed}", parameters)

    def renew_costs(self, uuids: Sequence[str]) -> None:
        """Recompute all sums of costs of some instances; running time has no payer."""
        if not uuids:
            return
        condition, parameters = self._database.among("instance_uuid", uuids)
        # days of the parts: a sum whose parts are all gone is deleted by `renew`
        days = (
            "(SELECT day, instance_uuid FROM usage_day"
            f" WHERE account_id = :account AND {condition})"
        )
        self._ask(
            text(
                f"DELETE FROM {_COSTS.table.name}"
                f" WHERE account_id = :account AND (day, instance_uuid) IN {days}"
            ),
            parameters,
        )
        self._add(_COSTS, f"d.{condition}", parameters)

    def name_payers(self, uuids: Sequence[str]) -> None:
        """Put the payer of each of these instances, which had one and have one, into their sums of costs:
        nothing else of these depends on it.
        """
        if not uuids:
            return
        condition, parameters = self._database.among("instance_uuid", uuids)
        named = ", ".join(f"{name} = w.{name}" for name in _PAYER)
        # from the days of the parts: the key of the sums begins with the day
        paid = ", ".join(f"a.{name}" for name in _PAYER)
        sums = _COSTS.table.name
        renamed = self._database.render(
            f"UPDATE {sums} SET {named} FROM ("
            f"SELECT DISTINCT d.account_id, d.day, d.instance_uuid, {paid}"
            " FROM usage_day d LEFT JOIN allocation a ON is_instance_of(a, d)"
            f" WHERE d.account_id = :account AND d.{condition}"
            f") w WHERE is_instance_of({sums}, w) AND {sums}.day = w.day"
        )
        self._ask(text(renamed), parameters)

    def renew_since(self, first: str = EVER) -> None:
        """Recompute all sums of a day and all later ones."""
        for rollup in _ROLLUPS:
            c = rollup.table.c
            mine = c.account_id == self._account_id, c.day >= first
            self._conn.execute(delete(rollup.table).where(*mine))
            self._add(rollup, "d.day >= :first", {"first": first})

    def strayed(self, uuids: Sequence[str]) -> set[str]:
        """Return the instances whose stored sums differ from their parts."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        strayed: set[str] = set()
        for rollup in _ROLLUPS:
            kept = (
                f"SELECT {rollup.columns} FROM {rollup.table.name}"
                f" WHERE account_id = :account AND {condition}"
            )
            made = self._database.render(rollup.made(f"d.{condition}"))
            # both ways: a row too many is as wrong as one that is missing
            asked = text(
                f"SELECT instance_uuid FROM (SELECT * FROM ({kept}) a EXCEPT SELECT * FROM ({made}) b) c"
                f" UNION SELECT instance_uuid FROM (SELECT * FROM ({made}) a EXCEPT SELECT * FROM ({kept}) b) d"
            )
            strayed |= set(self._ask(asked, parameters).scalars())
        return strayed

    def _add(self, rollup: _Rollup, chosen: str, parameters: dict[str, Any]) -> None:
        numbered = (
            "ROW_NUMBER() OVER (PARTITION BY d.day, d.account_id, d.instance_uuid"
            f" ORDER BY {rollup.began})"
        )
        made = self._database.render(rollup.made(chosen, numbered))
        self._ask(
            statement(f"INSERT INTO {rollup.table.name} (line_no, {rollup.columns}) {made}"),
            parameters,
        )

    def _ask(self, asked: Any, parameters: dict[str, Any]) -> Any:
        return self._database.ask(self._conn, asked, {"account": self._account_id, **parameters})


@cache
def _days_asked(sql: str) -> TextualSelect:
    return text(sql).columns(tables.usage_day.c.day, tables.usage_day.c.instance_uuid)
