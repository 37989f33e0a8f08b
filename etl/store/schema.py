"""The database's shape: brought up to date, looked at, and never taken for newer than it is."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert, inspect, select, text, update

from etl import paths, tables
from etl.dialect import OURS, Database, translated
from etl.errors import SchemaTooNew, SettingsError, StoreError
from etl.history import codes
from etl.history.days import FIRST_DAY, Zone

YEARS_AHEAD: Final = 2
VERSION_TABLE: Final = "alembic_version"
NOBODYS: Final = ("_", "spatial_ref_sys")
"""What tables begin with that tools put into any database: replication, PostGIS."""
RETIRED: Final = ("bill_part",)
"""Views that older databases have."""
BASE: Final = "base"
"""The revision of a database without tables."""
DEMO_MARK: Final = "simulated"
"""Name of the setting that makes a database a demo's."""


def revisions() -> list[str]:
    """The revisions that this program knows, oldest first: the files' numbers."""
    return sorted(path.name[:4] for path in paths.MIGRATIONS.glob("versions/[0-9]*.py"))


def head() -> str:
    """The newest revision that this program knows."""
    return revisions()[-1]


def revision(conn: Connection) -> str | None:
    """The revision that the database is at, None for an empty one."""
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    found: str | None = conn.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def upgrade(database: Database, timezone: str, today: date) -> bool:
    """Bring an empty or older database up to date, views and calendar too.

    `timezone` is stored at the database's creation; later it must be the stored one. True where
    anything was changed. All in one transaction.
    """
    zone = Zone(timezone)
    with translated(database):
        with database.reading() as conn:
            if not _is_behind(conn, zone, today):
                return False
        import alembic.command  # noqa: F401 - takes a while: not while others wait for the lock

        with database.writing() as conn:
            grants = _grants(conn)
            migrate(database, conn, head())
            _store_timezone(conn, zone)
            _extend_calendar(conn, zone, today)
            _create_views(database, conn)
            _grant_again(conn, grants)
    return True


def require(conn: Connection) -> None:
    """Raises where the database is not one that this program can read."""
    at = _usable_revision(conn)
    if at != head():
        raise StoreError(
            "the database is empty" if at is None else f"the database is at revision {at}",
            advice="run chenyu-etl db upgrade, or chenyu-etl sync",
        )


def migrate(database: Database, conn: Connection, target: str) -> None:
    """Run migrations, forwards or back, in the transaction given. Views are dropped before."""
    from alembic import command

    at = _usable_revision(conn)
    _refuse_unknown(target)
    if at == target:
        return
    if at is not None:
        _drop_views(database, conn)
        conn.execute(tables.setting.delete().where(tables.setting.c.name == "views"))
    config = alembic_config()
    config.attributes["connection"] = conn
    if at is None or (target != BASE and target > at):
        command.upgrade(config, target)
    else:
        command.downgrade(config, target)


def alembic_config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(paths.MIGRATIONS))
    return config


def stored_timezone(conn: Connection) -> str:
    """The reporting time zone of the database."""
    name: str | None = conn.scalar(
        select(tables.setting.c.value).where(tables.setting.c.name == "timezone")
    )
    if name is None:
        raise StoreError("the database has no time zone", advice="run chenyu-etl db upgrade")
    return name


def view_names() -> list[str]:
    """The views in the order in which they build on each other."""
    return [path.stem for path in _view_files()]


def readonly_grants(database: Database, name: str) -> list[str]:
    """SQL that lets a user read the views and nothing else; on SQLite, how to open the file so."""
    if database.engine.dialect.name == "sqlite":
        return [f"-- no users here: open it as file:{database.place}?mode=ro"]
    quote = database.engine.dialect.identifier_preparer.quote_identifier
    who = quote(name)
    with translated(database), database.reading() as conn:
        where = conn.execute(text("SELECT current_database(), current_schema()")).one()
    views = ", ".join([*view_names(), "calendar_day"])
    return [
        f"CREATE ROLE {who} LOGIN;",
        f"ALTER ROLE {who} SET default_transaction_read_only = on;",
        f"GRANT CONNECT ON DATABASE {quote(where[0])} TO {who};",
        f"GRANT USAGE ON SCHEMA {quote(where[1])} TO {who};",
        f"GRANT SELECT ON {views} TO {who};",
        f"-- then give it a password: \\password {name}" if name.isidentifier() else "",
    ]


def seed(conn: Connection) -> None:
    """The meanings of codes, where the tables are empty."""
    conn.execute(
        insert(tables.instance_status),
        [
            {
                "status": s,
                "state": state,
                "is_up": state in codes.UP_STATES,
                "name_en": en,
                "name_zh": zh,
            }
            for s, state, en, zh in codes.SEED_STATUS
        ],
    )
    conn.execute(
        insert(tables.charging_type),
        [
            {"charging_type": c, "unit": unit, "name_en": en, "name_zh": zh}
            for c, unit, en, zh in codes.SEED_CHARGING
        ],
    )


def is_demo(conn: Connection) -> bool:
    """Whether a demo made the database."""
    name = tables.setting.c.name
    return conn.scalar(select(name).where(name == DEMO_MARK)) is not None


def recut_calendar(conn: Connection, zone: Zone, today: date) -> None:
    """The days of another time zone."""
    conn.execute(tables.calendar_day.delete())
    conn.execute(
        update(tables.setting).where(tables.setting.c.name == "timezone").values(value=zone.name)
    )
    _extend_calendar(conn, zone, today)


def _is_behind(conn: Connection, zone: Zone, today: date) -> bool:
    at = _usable_revision(conn)
    if at != head():
        return True
    kept = dict(conn.execute(select(tables.setting.c.name, tables.setting.c.value)).all())
    refuse_other_zone(kept.get("timezone"), zone)
    last = conn.scalar(select(tables.calendar_day.c.day).order_by(tables.calendar_day.c.day.desc()))
    return (
        kept.get("timezone") is None
        or kept.get("views") != _views_digest()
        or last is None
        or date.fromisoformat(last) < today + timedelta(days=365)
    )


def _usable_revision(conn: Connection) -> str | None:
    """The revision. Raises where a newer program or another one made what is there."""
    at = revision(conn)
    _refuse_foreign(conn, at)
    _refuse_newer(at)
    return at


def _refuse_foreign(conn: Connection, at: str | None) -> None:
    look = inspect(conn)
    if look.has_table(OURS):
        return
    tables_there = look.get_table_names(schema=look.default_schema_name)
    found = [
        name for name in sorted(tables_there) if not name.startswith((VERSION_TABLE, *NOBODYS))
    ]
    if found or at is not None:
        is_file = conn.dialect.name == "sqlite"
        raise SettingsError(
            f"this database holds something else: {', '.join((found or [VERSION_TABLE])[:3])}",
            advice="name a new file: --database, or CHENYU_DATABASE_URL"
            if is_file
            else "make a database of its own, or a schema: ALTER ROLE … SET search_path = chenyu",
        )


def _refuse_newer(at: str | None) -> None:
    if at is not None and at > head():
        raise SchemaTooNew(
            f"the database is at revision {at}, this program knows {head()} at most",
            advice="upgrade chenyu-etl: pip install --upgrade chenyu-etl",
        )


def _refuse_unknown(target: str) -> None:
    if target not in (BASE, *revisions()):
        raise SettingsError(
            f"there is no revision {target!r}",
            advice=f"there are: {', '.join((BASE, *revisions()))}",
        )


def refuse_other_zone(stored: str | None, zone: Zone) -> None:
    """Raises `SettingsError` where the database counts days in another zone."""
    if stored is not None and stored != zone.name:
        raise SettingsError(
            f"the database counts days in {stored}, the settings say {zone.name}",
            advice=f"run chenyu-etl rebuild --timezone {zone.name}, or set timezone to {stored}",
        )


def _store_timezone(conn: Connection, zone: Zone) -> None:
    stored = conn.scalar(select(tables.setting.c.value).where(tables.setting.c.name == "timezone"))
    refuse_other_zone(stored, zone)
    if stored is None:
        conn.execute(insert(tables.setting).values(name="timezone", value=zone.name))


def _extend_calendar(conn: Connection, zone: Zone, today: date) -> None:
    newest = conn.scalar(
        select(tables.calendar_day.c.day).order_by(tables.calendar_day.c.day.desc())
    )
    first = FIRST_DAY if newest is None else date.fromisoformat(newest) + timedelta(days=1)
    last = date(today.year + YEARS_AHEAD, 12, 31)
    if first <= last:
        conn.execute(
            insert(tables.calendar_day), [_calendar_row(d) for d in zone.calendar(first, last)]
        )


def _calendar_row(day: Any) -> dict[str, Any]:
    year, week, _ = date.fromisoformat(day.day).isocalendar()
    return {
        "day": day.day,
        "starts_s": day.starts_s,
        "ends_s": day.ends_s,
        "week": f"{year}-W{week:02}",
        "month": day.day[:7],
    }


def _view_files() -> list[Path]:
    """View files, each after those that it names."""
    files = {path.stem: path for path in sorted(paths.VIEWS.glob("*.sql"))}
    ordered: dict[str, Path] = {}

    def place(name: str) -> None:
        if name not in ordered:
            lines = files[name].read_text(encoding="utf-8").splitlines()
            said = " ".join(line for line in lines if not line.startswith("--"))
            words = set(re.findall(r"\w+", said))
            for other in sorted((words & files.keys()) - {name}):
                place(other)
            ordered[name] = files[name]

    for name in files:
        place(name)
    return list(ordered.values())


def _views_digest() -> str:
    said = hashlib.sha256()
    for path in sorted(paths.VIEWS.glob("*.sql")):
        said.update(path.name.encode() + path.read_bytes())
    return said.hexdigest()


def _create_views(database: Database, conn: Connection) -> None:
    """In place where that goes. Where it does not, a view that others of ours build on has other
    columns now: then all of them are made anew."""
    try:
        with conn.begin_nested():
            _create_each_view(database, conn)
    except StoreError:
        _drop_views(database, conn)
        _create_each_view(database, conn)
    conn.execute(tables.setting.delete().where(tables.setting.c.name == "views"))
    conn.execute(insert(tables.setting).values(name="views", value=_views_digest()))


def _create_each_view(database: Database, conn: Connection) -> None:
    for path in _view_files():
        database.create_view(conn, path.stem, path.read_text(encoding="utf-8"))


def _drop_views(database: Database, conn: Connection) -> None:
    """Those that the database has may build on one another otherwise than those of today: one that does
    not go yet is tried again after the others. Raises `StoreError` where somebody else's builds on one."""
    names = [*reversed(view_names()), *RETIRED]
    while names:
        failures: dict[str, StoreError] = {}
        for name in names:
            try:
                database.drop_view(conn, name)
            except StoreError as error:
                failures[name] = error
        if len(failures) == len(names):
            raise failures[names[0]]
        names = [*failures]


def _grants(conn: Connection) -> list[tuple[str, str, str]]:
    """(privilege, view, grantee), by the catalogue of standard SQL where the database has one."""
    if not inspect(conn).has_table("table_privileges", schema="information_schema"):
        return []
    rows = conn.execute(
        text(
            "SELECT privilege_type, table_name, grantee FROM information_schema.table_privileges"
            " WHERE table_schema = current_schema() AND grantee <> current_user"
        )
    )
    ours = set(view_names())
    return [(row[0], row[1], row[2]) for row in rows if row[1] in ours]


def _grant_again(conn: Connection, grants: list[tuple[str, str, str]]) -> None:
    quote = conn.dialect.identifier_preparer.quote
    for privilege, view, grantee in grants:
        who = grantee if grantee == "PUBLIC" else quote(grantee)
        conn.execute(text(f"GRANT {privilege} ON {view} TO {who}"))
