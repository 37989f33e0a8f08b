"""Statements that go past SQLAlchemy give the rows and the errors that they give by way of it."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import Select, TextualSelect, bindparam, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from etl import tables
from etl.dialect import Database
from etl.simcloud import Story
from etl.store import run_statements, statements
from tests.conftest import FilledOnce
from tests.support import apply, poll_of

AMONG = "1 = 1"
GIVEN = {"account": 1, "resource": "instances", "outcome": "complete", "before": 2**31, "since": 0}
ASKED = [
    *(value for value in vars(run_statements).values() if isinstance(value, Select)),
    *(statements.LISTED, statements.HOW_MANY_LISTED, statements.PENDING, statements.ALL_UUIDS),
    *(statements.known(AMONG), statements.usage_counts(AMONG), statements.day_parts(AMONG)),
    *(statements.stretches(AMONG, only_open=only_open) for only_open in (True, False)),
    statements.histories(AMONG),
    text("SELECT version, title FROM instance_history WHERE account_id = :account ORDER BY 1, 2"),
]


def some_history(database: Database) -> None:
    cloud = Story()
    first, *_ = cloud.rents_many(3)
    for act in (lambda: None, lambda: cloud.stops(first), lambda: cloud.starts(first)):
        act()
        cloud.passes(minutes=10)
        apply(database, poll_of([cloud.body(1, 100)], cloud.now))


@pytest.fixture
def filled(filled_once: FilledOnce) -> Database:
    return filled_once("asked on SQLite", some_history)("sqlite")


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: str(asked)[:60].replace("\n", " "))
def test_rows_and_their_names_are_those_of_sqlalchemy(filled: Database, asked: Any) -> None:
    with filled.reading() as conn:
        slow, fast = conn.execute(asked, GIVEN).all(), filled.ask(conn, asked, GIVEN).all()
        assert fast == [tuple(row) for row in slow]
        assert [list(map(type, row)) for row in fast] == [list(map(type, row)) for row in slow]
        if isinstance(asked, Select | TextualSelect) and slow:
            names = [name for name in slow[0]._fields if "(" not in name and "_1" not in name]
            assert [getattr(fast[0], name) for name in names] == [
                getattr(slow[0], name) for name in names
            ]


def test_a_first_row_or_value_may_be_missing(filled: Database) -> None:
    c = tables.account.c
    asked = select(c.account_id, c.name).where(c.name == bindparam("name"))
    with filled.reading() as conn:
        none = {"name": "nobody"}
        assert filled.ask(conn, asked, none).first() is None
        assert filled.ask(conn, asked, none).scalar() is None
        assert filled.ask(conn, asked, none).scalars().all() == []
        found = filled.ask(conn, select(c.account_id, c.name), {}).first()
        assert found.name == found[1]
        with pytest.raises(AttributeError, match="other"):
            _ = found.other


def test_a_list_of_values_is_written_out(filled: Database) -> None:
    c = tables.instance.c
    asked = select(c.instance_uuid).where(c.version.in_(bindparam("numbers", expanding=True)))
    with filled.reading() as conn:
        assert len(filled.ask(conn, asked, {"numbers": [1, 3]}).all()) == 3


def test_errors_are_those_of_sqlalchemy(filled: Database) -> None:
    with filled.engine.connect() as conn, pytest.raises(IntegrityError) as caught:
        filled.insert(conn, tables.state_length, ("account_id", "seen_at", "stops"), [(9, 9, 9)])
    assert isinstance(caught.value.orig, sqlite3.IntegrityError)
    with filled.engine.connect() as conn:
        for bad in (text("SELECT nothing FROM instance"), text("SELECT json('x') FROM instance")):
            with pytest.raises(OperationalError):
                filled.ask(conn, bad, {}).all()


def test_a_statement_that_is_not_read_to_its_end_is_at_an_end(filled: Database) -> None:
    with filled.writing() as conn:
        rows = filled.ask(conn, statements.ALL_UUIDS, GIVEN)
        assert rows.first() is not None
        # refused while a statement is at work
        conn.execute(text("CREATE TEMP TABLE beside (n)"))
        conn.execute(text("DROP TABLE beside"))
