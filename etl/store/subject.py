"""The base of each subject of the store that is about all accounts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from etl.dialect import Database


class Subject:
    """One subject inside one transaction. Subclasses are made by `Reading` and `Writing` alone."""

    def __init__(self, database: Database, conn: Connection) -> None:
        self._database = database
        self._conn = conn

    def _ask(self, sql: str, **parameters: Any) -> Any:
        """Run a query written as text, with `epoch(…)` and the like spelled out for the database."""
        return self._conn.execute(text(self._database.render(sql)), parameters)
