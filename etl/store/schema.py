"""Schema of the database: inspected, upgraded and downgraded."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Final

from sqlalchemy import Connection, insert, inspect, select, text, update

from etl import paths, tables
from etl.dialect import DATABASE_ID, OURS, Database, translated
from etl.errors import SchemaTooNew, SettingsError, StoreError
from etl.history.days import FIRST_DAY, Day, Zone
from etl.store import derivation, earlier, views
from etl.texts import tr

YEARS_AHEAD: Final = 2
VERSION_TABLE: Final = "alembic_version"
NOBODYS: Final = ("_", "spatial_ref_sys")
"""What tables begin with that tools put into any database: replication, PostGIS."""
BASE: Final = "base"
"""The revision of a database without tables."""
EARLIER: Final = "earlier"
"""What stands for the revision of a database that is yet to be taken over, see `etl.store.earlier`."""
TRIAL: Final = "chenyu_etl_trial"
"""Name of a table that is never there: it is rolled back as soon as it is made."""
DEMO_MARK: Final = "simulated"
"""Name of the setting that makes a database a demo's."""


class Upgrade(IntEnum):
    """Result of bringing a database up to date: nothing, some of it, or it was empty before."""

    NONE = 0
    UPGRADED = 1
    CREATED = 2


def revisions() -> list[str]:
    """Return the revisions that this program knows, oldest first: the files' numbers."""
    return sorted(path.name[:4] for path in paths.MIGRATIONS.glob("versions/[0-9]*.py"))


def head() -> str:
    """Return the newest revision that this program knows."""
    return revisions()[-1]


def revision(conn: Connection) -> str | None:
    """Return the revision of the database, None for an empty one."""
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    number: str | None = conn.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return number


def upgrade(
    database: Database,
    timezone: str,
    today: date,
    derive: Callable[[Connection], object] = lambda _: None,
) -> Upgrade:
    """Bring an empty or older database up to date, views and calendar too, in one transaction.

    `timezone` is stored at the database's creation; later it must be the stored one. `derive` is
    called last, to make anew what the migrations left underived: nobody sees tables without it.
    """
    zone = Zone(timezone)
    with translated(database):
        database.create()
        with database.reading() as conn:
            if not _is_behind(conn, zone, today):
                return Upgrade.NONE
        import alembic.command  # noqa: F401 - takes a while: not while others wait for the lock

        with database.writing() as conn:
            is_new = revision(conn) is None
            # dropping a view drops the grants on it
            grants = views.grants(conn)
            migrate(database, conn, head())
            # nothing is derived yet, so nothing is derived by other rules
            if is_new:
                derivation.mark(conn)
            _store_timezone(conn, zone)
            _store_id(conn)
            _extend_calendar(conn, zone, today)
            views.create_views(database, conn)
            views.grant_again(conn, grants)
            derive(conn)
    return Upgrade.CREATED if is_new else Upgrade.UPGRADED


def is_empty(database: Database) -> bool:
    """Tell whether nothing was ever synced here. Raises if a newer program, or a foreign one, made
    the tables.
    """
    with translated(database), database.reading() as conn:
        return _usable_revision(conn) is None


def try_creating(database: Database, *, with_folder: bool) -> None:
    """Try to make the tables of an empty database, and leave none. Raises `StoreError` if an upgrade
    would be refused.
    """
    with translated(database):
        if not database.exists():
            database.try_creating(with_folder=with_folder)
            return
        with database.writing() as conn:
            trial = conn.begin_nested()
            # asked of the server by doing it: rights, search_path and limits all have a say
            conn.execute(text(f"CREATE TABLE {TRIAL} (number INTEGER)"))
            trial.rollback()


def require(conn: Connection) -> None:
    """Raise unless the database is one that this program can read."""
    at = _usable_revision(conn)
    if at != head():
        raise StoreError(
            _described(at),
            advice=tr("run chenyu-etl db upgrade, or chenyu-etl sync"),
        )


def _described(at: str | None) -> str:
    if at is None:
        return tr("the database is empty")
    return (
        tr("the database is an earlier version's")
        if at == EARLIER
        else tr("the database is at revision {at}", at=at)
    )


def migrate(database: Database, conn: Connection, target: str) -> None:
    """Run migrations, forwards or back, in the transaction given. Views are dropped first."""
    from alembic import command

    at = _usable_revision(conn)
    _refuse_unknown_revision(target)
    if at == EARLIER:
        at = earlier.adopt(conn)
    if at == target:
        return
    if at is not None:
        views.drop_views(database, conn)
        # a migration may have changed the tables from which derived rows follow
        derivation.forget(conn)
    config = alembic_config()
    # ours, so that migrations are part of the one transaction
    config.attributes["connection"] = conn
    # revisions are zero-padded numbers, so that text compares as they do
    if at is None or (target != BASE and target > at):
        command.upgrade(config, target)
    else:
        command.downgrade(config, target)


def downgrade(database: Database, target: str) -> None:
    """Take the database back to an older revision; the views are made again by an upgrade."""
    with translated(database), database.writing() as conn:
        _refuse_forwards(_usable_revision(conn), target)
        migrate(database, conn, target)


def downgrade_losses(database: Database, target: str) -> list[str]:
    """List the tables and columns that going back to `target` would drop, with the rows they hold.

    The downgrade is tried and rolled back, so that migrations alone know their losses. Raises
    `SettingsError` if `target` is newer than the database.
    """
    with translated(database), database.writing() as conn:
        _refuse_forwards(_usable_revision(conn), target)
        before = _columns(conn)
        # a savepoint: the transaction keeps the lock, and nobody writes in between
        trial = conn.begin_nested()
        migrate(database, conn, target)
        after = _columns(conn)
        trial.rollback()
        return list(_losses(conn, before, after))


def alembic_config() -> Any:
    """Return the configuration that Alembic needs to find our migrations."""
    from alembic.config import Config

    config = Config()
    # a percent sign in the path would be an interpolation
    config.set_main_option("script_location", str(paths.MIGRATIONS).replace("%", "%%"))
    return config


def stored_timezone(conn: Connection) -> str:
    """Return the reporting time zone of the database."""
    name: str | None = conn.scalar(
        select(tables.setting.c.value).where(tables.setting.c.name == "timezone")
    )
    if name is None:
        raise StoreError(
            tr("the database has no time zone"), advice=tr("run chenyu-etl db upgrade")
        )
    return name


def is_demo(conn: Connection) -> bool:
    """Tell whether a demo made the database."""
    name = tables.setting.c.name
    return conn.scalar(select(name).where(name == DEMO_MARK)) is not None


def recut_calendar(conn: Connection, zone: Zone, today: date) -> None:
    """Fill the calendar with the days of another time zone."""
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
        # the calendar reaches two years ahead, and is extended when less than one is left
        kept.get("timezone") is None
        or DATABASE_ID not in kept
        or not views.are_current(kept.get(views.SETTING))
        or last is None
        or date.fromisoformat(last) < today + timedelta(days=365)
    )


def _usable_revision(conn: Connection) -> str | None:
    """Return the revision, or `EARLIER`. Raises if a newer program, or a foreign one, made the
    tables.
    """
    at = revision(conn)
    _refuse_foreign_tables(conn, at)
    if at is not None and earlier.is_earlier(conn):
        earlier.refuse_unless_last(conn, at)
        return EARLIER
    _refuse_newer(at)
    return at


def _refuse_foreign_tables(conn: Connection, at: str | None) -> None:
    look = inspect(conn)
    if look.has_table(OURS):
        return
    tables_there = look.get_table_names(schema=look.default_schema_name)
    # what replication or PostGIS puts into every database is nobody's data
    other = [
        name for name in sorted(tables_there) if not name.startswith((VERSION_TABLE, *NOBODYS))
    ]
    if other or at is not None:
        is_file = conn.dialect.name == "sqlite"
        raise SettingsError(
            tr(
                "this database holds something else: {value}",
                value=", ".join((other or [VERSION_TABLE])[:3]),
            ),
            advice=(
                tr("name a new file: --database, or CHENYU_DATABASE_URL")
                if is_file
                else tr(
                    "make a database of its own, or a schema: ALTER ROLE … SET search_path = chenyu"
                )
            ),
        )


def _refuse_newer(at: str | None) -> None:
    if at is not None and at > head():
        raise SchemaTooNew(
            tr(
                "the database is at revision {at}, this program knows {head} at most",
                at=at,
                head=head(),
            ),
            advice=tr("upgrade chenyu-etl: pip install --upgrade chenyu-etl"),
        )


def _refuse_unknown_revision(target: str) -> None:
    if target not in (BASE, *revisions()):
        raise SettingsError(
            tr("there is no revision {target!r}", target=target),
            advice=tr("there are: {value}", value=", ".join((BASE, *revisions()))),
        )


def _refuse_forwards(at: str | None, target: str) -> None:
    """Refuse to go back to what is ahead: the views would be missing there."""
    _refuse_unknown_revision(target)
    if target != BASE and (at is None or target > at):
        raise SettingsError(
            tr(
                "{described}, which is older than {target}", described=_described(at), target=target
            ),
            advice=tr("run chenyu-etl db upgrade to go forwards"),
        )


def refuse_other_zone(stored: str | None, zone: Zone) -> None:
    """Raise `SettingsError` if the database counts days in another zone."""
    # days of two zones in one table would count some hours twice, and others not at all
    if stored is not None and stored != zone.name:
        raise SettingsError(
            tr(
                "the database counts days in {stored}, the settings say {name}",
                stored=stored,
                name=zone.name,
            ),
            advice=tr(
                "run chenyu-etl rebuild --timezone {name}, or set timezone to {stored}",
                name=zone.name,
                stored=stored,
            ),
        )


def _store_timezone(conn: Connection, zone: Zone) -> None:
    stored = conn.scalar(select(tables.setting.c.value).where(tables.setting.c.name == "timezone"))
    refuse_other_zone(stored, zone)
    if stored is None:
        conn.execute(insert(tables.setting).values(name="timezone", value=zone.name))


def _store_id(conn: Connection) -> None:
    """Store an id that tells this database, and its backups, from any other, unless it has one."""
    setting = tables.setting
    if conn.scalar(select(setting.c.name).where(setting.c.name == DATABASE_ID)) is None:
        # random: made of a path or a host it would change when a database is moved
        conn.execute(insert(setting).values(name=DATABASE_ID, value=uuid.uuid4().hex))


def strayed_days(conn: Connection, zone: Zone) -> list[str]:
    """Return the days that begin or end otherwise by today's rules of the zone than in the calendar:
    governments change them, and systems learn of it by an update.
    """
    c = tables.calendar_day.c
    kept = conn.execute(select(c.day, c.starts_s, c.ends_s).order_by(c.day)).all()
    if not kept:
        return []
    first, last = date.fromisoformat(kept[0].day), date.fromisoformat(kept[-1].day)
    today = {day.day: (day.starts_s, day.ends_s) for day in zone.calendar(first, last)}
    return [row.day for row in kept if today[row.day] != (row.starts_s, row.ends_s)]


def reach_day(conn: Connection, zone: Zone, day: date) -> None:
    """Extend the calendar to the end of the year of a day, if it ends before that day."""
    newest = conn.scalar(
        select(tables.calendar_day.c.day).order_by(tables.calendar_day.c.day.desc())
    )
    first = FIRST_DAY if newest is None else date.fromisoformat(newest) + timedelta(days=1)
    # whole years: the calendar grows once a year, not at every start
    last = date(day.year, 12, 31)
    if first <= last:
        conn.execute(
            insert(tables.calendar_day),
            [_calendar_row(d, zone) for d in zone.calendar(first, last)],
        )


def _extend_calendar(conn: Connection, zone: Zone, today: date) -> None:
    reach_day(conn, zone, today.replace(month=12, day=31, year=today.year + YEARS_AHEAD))


def _calendar_row(day: Day, zone: Zone) -> dict[str, Any]:
    # the year of the ISO week: the first days of January may belong to the last week of the year
    # before
    year, week, _ = date.fromisoformat(day.day).isocalendar()
    return {
        "day": day.day,
        "starts_s": day.starts_s,
        "ends_s": day.ends_s,
        "week": f"{year}-W{week:02}",
        "month": day.day[:7],
        "shift_s": zone.shift(day),
    }


def _columns(conn: Connection) -> dict[str, list[str]]:
    """Return the columns of each of our tables in the database."""
    look = inspect(conn)
    ours = set(look.get_table_names()) & set(tables.metadata.tables)
    return {name: [c["name"] for c in look.get_columns(name)] for name in sorted(ours)}


def _losses(
    conn: Connection, before: dict[str, list[str]], after: dict[str, list[str]]
) -> Iterator[str]:
    for table, columns in before.items():
        if table not in after:
            rows = conn.scalar(text(f"SELECT COUNT(*) FROM {table}"))
            yield f"table {table} with {rows:,} rows"
            continue
        for column in columns:
            if column not in after[table]:
                # values, not rows: a column that is null everywhere loses nothing
                values = conn.scalar(text(f"SELECT COUNT({column}) FROM {table}"))
                yield f"column {table}.{column} with {values:,} values"
