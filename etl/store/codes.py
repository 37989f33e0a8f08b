"""Meanings of the source's codes: read, and set if the source has new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, insert, select, update

from etl import tables
from etl.history.codes import UP_STATES
from etl.store.subject import Subject


class CodesReader(Subject):
    """Reader of the meanings of codes."""

    def known(self) -> list[Sequence[Any]]:
        """Return (status or charging, code, meaning, name_en, name_zh) of every known code."""
        status, charging = tables.instance_status.c, tables.charging_type.c
        states = self._conn.execute(
            select(status.status, status.state, status.name_en, status.name_zh).order_by(
                status.status
            )
        )
        units = self._conn.execute(
            select(
                charging.charging_type, charging.unit, charging.name_en, charging.name_zh
            ).order_by(charging.charging_type)
        )
        return [
            *(("status", *row) for row in states),
            *(("charging", code, unit or "unknown", en, zh) for code, unit, en, zh in units),
        ]


class CodesWriter(CodesReader):
    """Writer of the meanings of codes."""

    def set_state(self, code: int, state: str) -> None:
        """Set the meaning of a status code."""
        # views read `is_up`: which states are up is known to `history.codes` alone
        values = {"state": state, "is_up": state in UP_STATES}
        self._put(tables.instance_status, "status", code, values)

    def set_unit(self, code: int, unit: str | None) -> None:
        """Set the unit of a charging code."""
        self._put(tables.charging_type, "charging_type", code, {"unit": unit})

    def _put(self, table: Table, key: str, code: int, values: dict[str, Any]) -> None:
        changed = self._conn.execute(update(table).where(table.c[key] == code).values(**values))
        # update first: most codes that are set are known ones
        if not changed.rowcount:
            # a name in both languages, as reports join on it
            named = {"name_en": f"code {code}", "name_zh": f"代码 {code}"}
            self._conn.execute(insert(table).values({key: code, **values, **named}))
