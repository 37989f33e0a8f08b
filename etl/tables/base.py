"""Shared parts of all tables: names of constraints, kinds of columns, and the database's own
settings.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from etl.dialect import CalendarDay, UtcInstant

metadata = MetaData(
    # named, as SQLite can only drop a constraint that has a name
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up only an INTEGER key
Serial = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    # no ENUM: Postgres would need a migration of a type for each new word
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


# it leads every key: tables can be partitioned by account, and each account is read as one range
def whose() -> Column[int]:
    return Column(
        "account_id", Integer, ForeignKey("account.account_id"), nullable=False, comment="whose"
    )


setting = Table(
    "setting",
    metadata,
    Column(
        "name",
        Text,
        primary_key=True,
        comment="what: timezone (the zone of days), views (digest of the view texts)",
    ),
    Column("value", Text, nullable=False, comment="its value"),
    comment="What the database itself remembers",
)

account = Table(
    "account",
    metadata,
    Column("account_id", Integer, primary_key=True, comment="leads every key of synced facts"),
    Column("name", Text, nullable=False, comment="the configured name"),
    Column("retired_at", UtcInstant, comment="since when nobody watches it; null: it is watched"),
    UniqueConstraint("name"),
    comment="An account; never its key",
)

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("day", CalendarDay, primary_key=True, comment="the day"),
    # epoch seconds: views compare without a date function, which the databases spell differently
    Column("starts_s", BigInteger, nullable=False, comment="its first second, epoch seconds"),
    Column("ends_s", BigInteger, nullable=False, comment="the first second of the next day"),
    Column("week", Text, nullable=False, comment="ISO week, 2026-W48"),
    Column("month", Text, nullable=False, comment="2026-11"),
    Column(
        "shift_s",
        BigInteger,
        comment="when clocks are shifted within the day, epoch seconds; null: they are not",
    ),
    UniqueConstraint("starts_s"),
    comment="A day of the reporting time zone",
)
