"""Errors of Postgres in our words, by SQLSTATE; those of connecting, which have none, by their text."""

from __future__ import annotations

import re
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from etl.dialect.postgres_session import SessionFactory
from etl.errors import Away, Busy, StoreError
from etl.redact import scrub
from etl.texts import tr

CHECK: Final = tr("check that Postgres runs and that CHENYU_DATABASE_URL is right")
_HUNG_UP: Final = (psycopg.OperationalError, psycopg.InterfaceError)
_AWAY: Final = ("08", "57P", "53300")
"""connection_exception, operator_intervention (it starts, it stops), too_many_connections."""
_SCHEMA: Final = re.compile(r"(?:schema|模式)\W*([\w$]+)", re.IGNORECASE)
"""The schema in "permission denied for schema x", as servers say it in English, German and Chinese."""
_BUSY: Final = frozenset({"55P03", "40P01", "40001"})
"""lock_not_available (by lock_timeout), deadlock_detected, serialization_failure."""
_CREDENTIALS: Final = tr(
    "correct the user and the password in CHENYU_DATABASE_URL, or in ~/.pgpass"
)
_ENCRYPT: Final = tr(
    "add ?sslmode=require to CHENYU_DATABASE_URL, or allow this host in pg_hba.conf"
)
_CROWDED: Final = tr("end other programs of that server, or raise its max_connections")
_CREATE: Final = tr("create it: createdb --encoding=UTF8 --template=template0 NAME")
_ROOM: Final = tr("make room on the server's disk, then try again: nothing was half written")
CANCELED: Final = "57014"
"""query_canceled, by statement_timeout."""
_BY_STATE: Final = {
    CANCELED: tr(
        "raise the timeout: add ?options=-cstatement_timeout=0 to CHENYU_DATABASE_URL, "
        "or remove it from the role"
    ),
    "25006": tr(
        "name the primary server, not a standby (?target_session_attrs=read-write), or "
        "a role that may write"
    ),
    "53100": _ROOM,
    "53300": _CROWDED,
    "3D000": _CREATE,
    "28P01": _CREDENTIALS,
    "28000": _ENCRYPT,
    "42P01": tr(
        "run chenyu-etl db upgrade; if there are tables, the search_path names another schema"
    ),
    "22021": tr("the database cannot hold this text: make one with ENCODING 'UTF8'"),
    "22P05": tr("the database cannot hold this text: make one with ENCODING 'UTF8'"),
}
_HOST: Final = tr("correct the host in CHENYU_DATABASE_URL")
_BY_TEXT: Final = (
    ("password authentication failed", _CREDENTIALS),
    ("no password supplied", _CREDENTIALS),
    ("no encryption", _ENCRYPT),
    ("no pg_hba.conf entry", "allow this host, user and database in the server's pg_hba.conf"),
    ("server does not support ssl", "leave out sslmode, or switch SSL on at the server"),
    (
        "certificate",
        "name the server's certificate: ?sslrootcert=FILE, and the host that it is for",
    ),
    (
        "unsupported startup parameter",
        "leave these options out of the URL: the pooler refuses them",
    ),
    ("too many c", _CROWDED),
    ("connection slots", _CROWDED),
    ("could not translate host name", _HOST),
    ("failed to resolve host", _HOST),
)
"""libpq keeps the SQLSTATE of a refused connection to itself. The first text that occurs is taken; a server
that speaks another language gets the general advice."""


def to_store_error(error: DBAPIError, server: SessionFactory) -> StoreError:
    """Return our error for one of the driver."""
    state = getattr(error.orig, "sqlstate", None) or ""
    # the driver may quote what it was given, a URL with its password too
    text = scrub(str(error.orig)).strip()
    # the first line: the rest repeats the statement, which says nothing to a user
    what = tr("{location}: {value}", location=server.location(), value=text.partition(chr(10))[0])
    if state in _BUSY:
        return Busy(
            tr("{location} is locked by another program", location=server.location()),
            advice=tr("end the transaction that holds the lock, then try again"),
        )
    # a connection that breaks has no SQLSTATE: only the kind of the error tells
    hung_up = not state and isinstance(error.orig, _HUNG_UP)
    if error.connection_invalidated or hung_up or state.startswith(_AWAY):
        return Away(what, advice=_advice(state, text, server) or CHECK)
    return StoreError(what, advice=_advice(state, text, server))


def _advice(state: str, text: str, server: SessionFactory) -> str | None:
    if state == "42501":  # insufficient_privilege
        return _grant(text, server)
    if state == "3F000":  # invalid_schema_name: search_path leads nowhere
        return tr(
            "as the owner of the database: CREATE SCHEMA … AUTHORIZATION {user}; or if the schema of "
            "the search_path is there, GRANT USAGE, CREATE ON SCHEMA … TO {user}",
            user=server.user or "USER",
        )
    # the code of a refused connection, though it is the role that is missing
    if state == "28000" and "does not exist" in text:
        return _CREDENTIALS
    if state:
        return _BY_STATE.get(state)
    # without a code only libpq's words are left
    low = text.lower()
    if "does not exist" in low and "database" in low:
        return _CREATE
    return next((advice for sign, advice in _BY_TEXT if sign in low), None)


def _grant(text: str, server: SessionFactory) -> str:
    who = server.user or "USER"
    if schema := _SCHEMA.search(text):
        return tr(
            "as the owner of the database: GRANT USAGE, CREATE ON SCHEMA {schema} TO {who}",
            schema=schema[1],
            who=who,
        )
    return tr("use the user that owns the tables, or let it: GRANT … TO {who}", who=who)
