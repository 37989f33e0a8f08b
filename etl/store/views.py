"""The views: created, replaced and dropped with the grants that users gave on them."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, insert, inspect, select, text

from etl import paths, tables
from etl.dialect import Database, rendering, translated
from etl.dialect.rendering import expanded, text_of_view
from etl.errors import StoreError

SETTING: Final = "views"
"""Name of the setting that keeps a digest of the view texts, and the views' names after it."""


def view_names() -> list[str]:
    """Return the names of the views, each after those that it builds on."""
    return [path.stem for path in _view_files()]


def public_names() -> list[str]:
    """Return the names of the views that are meant to be read, in alphabetical order. A name that
    begins with `_` marks a view that only others and reports build on: it may change at any time.
    """
    return sorted(name for name in view_names() if not name.startswith("_"))


def are_current(setting: str | None) -> bool:
    """Tell whether a database's views follow from today's texts, by the setting that it keeps."""
    return setting is not None and setting.partition(" ")[0] == _fingerprint()


def _fingerprint() -> str:
    # of the files as they are: each sync asks, and to spell all views out takes a tenth of a second
    digest = hashlib.sha256()
    for path in rendering.sources():
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def create_views(database: Database, conn: Connection) -> None:
    """Create all views, replaced in place if their columns allow that.

    If a view on which others of ours build has new columns, all views are dropped and created
    again.
    """
    # views that today's program no longer has would break at the next change of a table
    retired = sorted(set(_existing(conn)) - set(view_names()))
    try:
        # on Postgres a failed statement would end the whole transaction
        with conn.begin_nested():
            for name in retired:
                database.drop_view(conn, name)
            _create_each_view(database, conn)
    except StoreError:
        drop_views(database, conn)
        _create_each_view(database, conn)
    _forget(conn)
    conn.execute(
        insert(tables.setting).values(name=SETTING, value=" ".join([_fingerprint(), *view_names()]))
    )


def drop_views(database: Database, conn: Connection) -> None:
    """Drop all views of ours. Raises `StoreError` if somebody else's view builds on one.

    The database's views may build on one another in another order than today's files do, so one
    that cannot go yet is tried again after the others.
    """
    # those that build on others first; last those of an earlier version, which no file names now
    names = list(dict.fromkeys([*reversed(view_names()), *_existing(conn)]))
    while names:
        failures: dict[str, StoreError] = {}
        for name in names:
            try:
                database.drop_view(conn, name)
            except StoreError as error:
                failures[name] = error
        # a whole round without progress: what remains is held by a foreign view
        if len(failures) == len(names):
            raise failures[names[0]]
        names = [*failures]
    _forget(conn)


def grants(conn: Connection) -> list[tuple[str, str, str]]:
    """Return (privilege, view, grantee) of others' rights on our views; none on SQLite."""
    if not inspect(conn).has_table("table_privileges", schema="information_schema"):
        return []
    rows = conn.execute(
        text(
            "SELECT privilege_type, table_name, grantee FROM information_schema.table_privileges"
            " WHERE table_schema = current_schema() AND grantee <> current_user"
        )
    )
    # what somebody granted on tables of theirs is none of our business
    ours = set(view_names())
    return [(row[0], row[1], row[2]) for row in rows if row[1] in ours]


def grant_again(conn: Connection, kept: list[tuple[str, str, str]]) -> None:
    """Restore the privileges that `grants` returned, after the views were created again."""
    named = conn.dialect.identifier_preparer.quote
    for privilege, view, grantee in kept:
        # PUBLIC is a keyword: quoted it would be a role of that name
        who = grantee if grantee == "PUBLIC" else named(grantee)
        conn.execute(text(f"GRANT {privilege} ON {view} TO {who}"))


def readonly_grants(database: Database, name: str) -> list[str]:
    """Return SQL that lets a user read the views and nothing else, and lets the present one become it
    for reports of their own; on SQLite, how to open the file read-only.
    """
    if database.engine.dialect.name == "sqlite":
        return [f"-- no users here: open it as file:{quote(database.location)}?mode=ro"]
    named = database.engine.dialect.identifier_preparer.quote_identifier
    who = named(name)
    with translated(database), database.reading() as conn:
        here = conn.execute(text("SELECT current_database(), current_schema(), current_user")).one()
    readable = ", ".join([*view_names(), "calendar_day"])
    return [
        f"CREATE ROLE {who} LOGIN;",
        # a session can set it back: what protects is that no other right is granted
        f"ALTER ROLE {who} SET default_transaction_read_only = on;",
        f"GRANT CONNECT ON DATABASE {named(here[0])} TO {who};",
        f"GRANT USAGE ON SCHEMA {named(here[1])} TO {who};",
        f"GRANT SELECT ON {readable} TO {who};",
        f"GRANT {who} TO {named(here[2])};",
        f"-- then give it a password: \\password {name}" if name.isidentifier() else "",
    ]


def _existing(conn: Connection) -> list[str]:
    """Return the names of the views in the database."""
    c = tables.setting.c
    kept = conn.scalar(select(c.value).where(c.name == SETTING))
    return [] if kept is None else kept.split(" ")[1:]


def _forget(conn: Connection) -> None:
    conn.execute(tables.setting.delete().where(tables.setting.c.name == SETTING))


def _view_files() -> list[Path]:
    """Return the view files, each after those that it names."""
    files = {path.stem: path for path in sorted(paths.VIEWS.glob("*.sql"))}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        if name not in ordered:
            # by the words of its text: no list of dependencies to keep by hand
            for other in sorted((_words_of_view(files[name]) & files.keys()) - {name}):
                add(other)
            ordered[name] = files[name]

    for name in files:
        add(name)
    return list(ordered.values())


def _words_of_view(path: Path) -> frozenset[str]:
    return _words_of(text_of_view(path))


@cache
def _words_of(sql: str) -> frozenset[str]:
    # by the text: to spell out and cut up all views takes some 50 ms, and one call may ask for each
    return frozenset(re.findall(r"\w+", expanded(sql)))


def _create_each_view(database: Database, conn: Connection) -> None:
    for path in _view_files():
        database.create_view(conn, path.stem, path.read_text(encoding="utf-8"))
