"""Periods audited by Postgres's own constraint, over copies that are thrown away.

In the tables themselves it would be an index of ranges, which costs each insert many times its own work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.dialect.periods import Period
from etl.errors import SettingsError
from etl.texts import tr

FIRST_VERSION: Final = 180_000
"""The first version that has WITHOUT OVERLAPS."""


def refused(engine: Engine, periods: Sequence[Period]) -> Iterator[str]:
    """Yield what the server refuses, a line a table: its name, and the first two states that overlap.

    Leaves nothing behind, and holds up no writer. Raises `SettingsError` if the server lacks the constraint.
    """
    with engine.connect() as conn:
        try:
            # one state of all tables, while polls go on
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            _require(conn)
            for period in periods:
                why = _refusal(conn, period)
                if why is not None:
                    yield f"{period.table}: {why}"
        finally:
            conn.rollback()


def _require(conn: Connection) -> None:
    raw = conn.connection.dbapi_connection
    assert isinstance(raw, psycopg.Connection)
    if raw.info.server_version < FIRST_VERSION:
        raise SettingsError(
            tr("this server has no constraints against overlaps"),
            advice=tr("they came with Postgres 18; without --deep any server is asked"),
        )
    try:
        # rolled back with the rest: it compares numbers and texts in an index of ranges
        conn.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS btree_gist")
    except DBAPIError as error:
        raise SettingsError(
            tr("the extension btree_gist cannot be made here"),
            advice=tr("as an owner of the database: CREATE EXTENSION btree_gist"),
        ) from error


def _refusal(conn: Connection, period: Period) -> str | None:
    keys = ", ".join(period.keys)
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(
                f"CREATE TEMPORARY TABLE audited ON COMMIT DROP AS SELECT {keys},"
                f" {_range(conn, period)} AS held FROM {period.table} WHERE {period.lasts}"
            )
            conn.exec_driver_sql(f"ALTER TABLE audited ADD UNIQUE ({keys}, held WITHOUT OVERLAPS)")
            conn.exec_driver_sql("DROP TABLE audited")
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.ExclusionViolation):
            raise
        return str(error.orig.diag.message_detail)
    return None


def _range(conn: Connection, period: Period) -> str:
    kind = conn.exec_driver_sql(
        "SELECT data_type FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = %s AND column_name = %s",
        (period.table, period.begins),
    ).scalar_one()
    return f"{'int8range' if kind == 'bigint' else 'tstzrange'}({period.begins}, {period.ends})"
