"""Samples of GPU load: the names by which they are matched, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, insert, select

from etl import tables
from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant
from etl.store.subject import Subject
from etl.units import BUSY_PERCENT

BUSY_SETTING: Final = "busy_percent"
BY_UUID: Final = """
SELECT i.instance_uuid, i.account_id, a.name, i.instance_uuid, epoch(i.create_time), epoch(i.gone_at)
FROM instance i JOIN account a ON a.account_id = i.account_id
WHERE {among}
"""
BY_TITLE: Final = """
SELECT h.title, h.account_id, a.name, h.instance_uuid,
    COALESCE(epoch(h.after_at), epoch(h.create_time)), epoch(h.ended_at)
FROM instance_history h JOIN account a ON a.account_id = h.account_id
WHERE {among}
"""
BY_HOST: Final = """
SELECT DISTINCT s.host, s.account_id, a.name, s.instance_uuid,
    COALESCE(epoch(h.after_at), epoch(h.create_time)), epoch(h.ended_at)
FROM _service_listed s
JOIN instance_history h
    ON h.account_id = s.account_id AND h.instance_uuid = s.instance_uuid AND h.version = s.version
JOIN account a ON a.account_id = h.account_id
WHERE {among}
"""
RUNNING_TIMES: Final = """
SELECT epoch(u.started_at), epoch(u.ended_max) FROM instance_usage u
WHERE u.account_id = :account_id AND u.instance_uuid = :uuid AND u.kind = 'running'
ORDER BY 1
"""
_NAMESPACES: Final = (("i.instance_uuid", BY_UUID), ("h.title", BY_TITLE), ("s.host", BY_HOST))
_KEY: Final = ("account_id", "instance_uuid", "utc_day", "gpu")


class CalledRow(NamedTuple):
    """A time in which an instance was called by `word`."""

    word: str
    account_id: int
    account: str
    instance_uuid: str
    starts_s: Instant
    ends_s: Instant


class PackedDay(NamedTuple):
    """The samples of a GPU in a day of UTC, packed."""

    account_id: int
    instance_uuid: str
    utc_day: int
    gpu: str
    samples: int
    packed: bytes


class SamplesReader(Subject):
    """Reader of samples inside one transaction."""

    def called(self, words: Iterable[str], account: str | None) -> list[CalledRow]:
        """Return when instances were called by some words: by their uuid, else by a title, else by a host."""
        rows: list[CalledRow] = []
        left = set(words)
        for column, question in _NAMESPACES:
            # a word that is a uuid is no title as well
            asked = self._called(question, column, sorted(left), account)
            left -= {row.word for row in asked}
            rows += asked
        return rows

    def busy_percent(self) -> int:
        """Return the utilisation from which on a GPU counts as busy."""
        c = tables.setting.c
        value = self._conn.scalar(select(c.value).where(c.name == BUSY_SETTING))
        return BUSY_PERCENT if value is None else int(value)

    def kept(
        self, account_id: int, uuid: str, first_day: int, last_day: int
    ) -> dict[tuple[int, str], bytes]:
        """Map day and GPU to the packed samples of an instance."""
        c = tables.gpu_samples.c
        rows = self._conn.execute(
            select(c.utc_day, c.gpu, c.packed).where(
                c.account_id == account_id,
                c.instance_uuid == uuid,
                c.utc_day.between(first_day, last_day),
            )
        )
        return {(day, gpu): bytes(packed) for day, gpu, packed in rows}

    def sampled(self) -> list[tuple[int, str, int, int]]:
        """Return all instances with samples, each with its first and last day."""
        return [
            tuple(row)
            for row in self._ask(
                "SELECT account_id, instance_uuid, MIN(utc_day), MAX(utc_day) FROM gpu_samples GROUP BY 1, 2"
            )
        ]

    def running_times(self, account_id: int, uuid: str) -> list[tuple[Instant, Instant]]:
        """Return the times in which an instance may have run, in order; what goes on has no end."""
        rows = self._ask(RUNNING_TIMES, account_id=account_id, uuid=uuid)
        return [(starts, FOREVER if ends is None else ends) for starts, ends in rows]

    def _called(
        self, question: str, column: str, words: Sequence[str], account: str | None
    ) -> list[CalledRow]:
        if not words:
            return []
        condition, parameters = self._database.among(column, words)
        rows = self._ask(question.replace("{among}", condition), **parameters)
        return [
            CalledRow(word, id_, name, uuid, starts or BEGINNING, FOREVER if ends is None else ends)
            for word, id_, name, uuid, starts, ends in rows
            if account in (None, name)
        ]


class SamplesWriter(SamplesReader):
    """Writer of samples, and of the times of load that follow."""

    def set_busy_percent(self, percent: int) -> None:
        c = tables.setting.c
        self._conn.execute(delete(tables.setting).where(c.name == BUSY_SETTING))
        self._conn.execute(insert(tables.setting).values(name=BUSY_SETTING, value=str(percent)))

    def replace_days(self, days: Sequence[PackedDay]) -> None:
        """Write days of samples in place of what was kept of them."""
        self._replace(tables.gpu_samples, PackedDay._fields, days, [day[:4] for day in days])

    def replace_loads(self, keys: Sequence[Sequence[Any]], loads: Sequence[Sequence[Any]]) -> None:
        """Write the times of load of some days, named by account, instance, day and GPU."""
        columns = [column.name for column in tables.gpu_load.columns]
        self._replace(tables.gpu_load, columns, loads, keys)

    def _replace(
        self, table: Any, columns: Sequence[str], rows: Sequence[Any], keys: Sequence[Any]
    ) -> None:
        self._database.delete(self._conn, table, _KEY, keys)
        self._database.insert(self._conn, table, columns, rows)
