"""Rights of SQL of the user's own on Postgres: to read, and as little else as the server lets us refuse.

A read-only transaction stops writes alone. Functions that act (`pg_terminate_backend`, advisory locks,
files of the server) work in it, and for a superuser all of them do.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, text

from etl.errors import SettingsError
from etl.texts import tr

HARMLESS: Final = frozenset(
    {
        "random",
        "random_normal",
        "clock_timestamp",
        "timeofday",
        "gen_random_uuid",
        "uuidv4",
        "uuidv7",
    }
    | {"system", "bernoulli", "pg_is_in_recovery", "pg_blocking_pids", "pg_partition_tree"}
    | {f"pg_{what}_size" for what in ("database", "indexes", "relation", "table", "total_relation")}
)
"""Functions that are volatile and do nothing, so that each of them may be used."""
_ACTING: Final = text(
    """
    SELECT MIN(p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE lower(p.proname) = ANY(:words) AND NOT p.proname = ANY(:harmless)
        AND p.provolatile <> 'i' AND (p.provolatile = 'v' OR n.nspname <> 'pg_catalog')
    """
)
"""A function that acts is volatile; one that is not Postgres's own may run any SQL that it is given."""
_READERS: Final = """
    SELECT rolname FROM pg_roles
    WHERE NOT rolsuper AND rolname <> current_user AND pg_has_role(current_user, oid, '{kind}')
        AND has_table_privilege(oid, 'instance_now', 'SELECT')
        AND NOT has_table_privilege(oid, 'instance', 'SELECT, INSERT, UPDATE, DELETE')
    ORDER BY rolname LIMIT 1
"""
_SUPERUSER: Final = "SELECT rolname FROM pg_roles WHERE rolname = current_user AND rolsuper"
_SET_IS_APART: Final = 160_000
"""Since this version a member of a role may be forbidden to become it."""
ADVICE: Final = tr(
    "make a role that reads the views alone, which reports of your own then run "
    "as: chenyu-etl db readonly-user reports | psql URL"
)


def restricted(conn: Connection, sql: str) -> None:
    """Give a read-only transaction the fewest rights before it runs a user's statement.

    It becomes a role that can read our views alone, if there is one. Raises `SettingsError` for a
    superuser without one, and for a statement that names a function that may do more than read.
    """
    _refuse_acting(conn, sql)
    version = conn.connection.driver_connection.info.server_version  # type: ignore[union-attr]
    kind = "SET" if version >= _SET_IS_APART else "MEMBER"
    reader = conn.exec_driver_sql(_READERS.format(kind=kind)).scalar()
    if reader is not None:
        name = conn.dialect.identifier_preparer.quote_identifier(reader)
        # LOCAL: it ends with the transaction, and a pooled session keeps nothing of it
        conn.exec_driver_sql(f"SET LOCAL ROLE {name}")
    elif (superuser := conn.exec_driver_sql(_SUPERUSER).scalar()) is not None:
        raise SettingsError(
            tr(
                "{superuser} is a superuser of the server, who could do anything there",
                superuser=superuser,
            ),
            advice=ADVICE,
        )


def _refuse_acting(conn: Connection, sql: str) -> None:
    """Raise for a name of such a function anywhere in the text, in strings and comments too: whatever
    Postgres takes for a call has the name in it, so nothing here depends on how it reads SQL.
    """
    words = sorted(set(re.findall(r"[^\W\d][\w$]*", sql.lower())))
    acting = conn.execute(_ACTING, {"words": words, "harmless": sorted(HARMLESS)}).scalar()
    if acting is not None:
        raise SettingsError(
            tr("it names {acting}, a function that may do more than read", acting=acting),
            advice=tr("leave it out: a report is one SELECT, which can read and nothing else"),
        )
    # a name that is spelled by code points would pass the list of words
    if re.search(r"u&\s*\"", sql.lower()):
        raise SettingsError(
            tr('it names something by its code points, U&"…"'),
            advice=tr("write the name as it is: SELECT …"),
        )
