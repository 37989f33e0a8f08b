"""Rollups of closed parts of usage by instance and day, which reports over long periods read
instead of the parts. They hold nothing that the parts do not.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Table, Text

from etl.dialect import CalendarDay
from etl.tables.base import metadata, whose
from etl.tables.costs import PRICE_SOURCES, payers, tags_then
from etl.tables.instances import TERMS


def _summed(name: str, *columns: Column[str] | Column[int], comment: str) -> Table:
    """Return a table that SQLite stores in the order of its key, so that the rows of a period lie
    together.
    """
    return Table(
        name,
        metadata,
        Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
        whose(),
        Column("instance_uuid", Text, nullable=False, comment="identity"),
        # a number in place of the columns that tell lines apart: those may be null, which no key
        # allows
        Column("line_no", Integer, nullable=False, comment="1, 2, 3 … by when they began"),
        *columns,
        PrimaryKeyConstraint("day", "account_id", "instance_uuid", "line_no"),
        # rows of a period lie together: a year is read as one stretch of the file
        sqlite_with_rowid=False,
        comment=comment,
        info={"partition": "day"},
    )


running_sum = _summed(
    "running_sum",
    Column("gpu_uuid", Text, comment="GPU model"),
    Column("gpu_name", Text, comment="name of the GPU model"),
    Column("gpu_nums", Integer, comment="number of GPUs"),
    Column("running_s", Integer, nullable=False, comment="seconds, estimate"),
    Column("running_min_s", Integer, nullable=False, comment="seconds, at least"),
    Column("running_max_s", Integer, nullable=False, comment="seconds, at most"),
    Column(
        "night_s", Integer, nullable=False, comment="of running_s, in the day's first eight hours"
    ),
    comment="Running time of closed stretches in one day, of an instance with one GPU model and count; derived: usage_day added up",
)

cost_sum = _summed(
    "cost_sum",
    *payers(),
    tags_then(),
    Column("kind", Text, nullable=False, comment="running or held"),
    *(Column(name, kind, comment=about) for name, kind, about in TERMS),
    Column("price_source", Text, nullable=False, comment=", ".join(PRICE_SOURCES)),
    Column("used_s", Integer, nullable=False, comment="seconds of usage, estimate"),
    Column("charged_s", Integer, nullable=False, comment="seconds charged, estimate"),
    Column("unpriced_s", Integer, nullable=False, comment="of them, seconds without a known price"),
    Column("unpriced_max_s", Integer, nullable=False, comment="the same, at most"),
    Column("cost_microcny", BigInteger, comment="estimate; null: no price is known"),
    Column("cost_min_microcny", BigInteger, comment="at least"),
    Column("cost_max_microcny", BigInteger, comment="at most"),
    Column("list_cost_microcny", BigInteger, comment="at list prices"),
    comment="What closed stretches cost in one day, of an instance on one set of terms that one project pays, with one set of tags; derived: usage_cost added up by what allocation says of the start of each part",
)
