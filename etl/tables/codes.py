"""Tables of the source's codes, and the meanings that this program gives them."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    Table,
    Text,
)

from etl.history.codes import STATES, UNITS
from etl.tables.base import metadata, one_of

instance_status = Table(
    "instance_status",
    metadata,
    # no foreign key to it from instances: codes that nobody knows are stored as they are
    Column("status", Integer, primary_key=True, autoincrement=False, comment="the source's code"),
    Column(
        "state",
        Text,
        nullable=False,
        comment="creating, starting, running, restarting, stopping, stopped, destroyed or unknown",
    ),
    Column(
        "is_up",
        Boolean,
        nullable=False,
        comment="whether it counts as running time: running, restarting",
    ),
    Column("name_en", Text, nullable=False, comment="English name"),
    Column("name_zh", Text, nullable=False, comment="Chinese name"),
    one_of("state", STATES, "state"),
    comment="Meaning of a status code",
)

charging_type = Table(
    "charging_type",
    metadata,
    Column(
        "charging_type", Integer, primary_key=True, autoincrement=False, comment="the source's code"
    ),
    Column("unit", Text, comment="hour, day, week, month or year; null: unknown"),
    Column("name_en", Text, nullable=False, comment="English name"),
    Column("name_zh", Text, nullable=False, comment="Chinese name"),
    one_of("unit", UNITS, "unit"),
    comment="Meaning of a charging code",
)
