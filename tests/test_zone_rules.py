"""A time zone whose rules change: it is said, and a rebuild cures it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from etl import store
from etl.books.closing import close
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.rebuild import differences, rebuild
from etl.simcloud import Story
from tests.conftest import TODAY, ZONE
from tests.support import ACCOUNT, apply, dump, poll_story, rows

DAY = "2026-01-01"
"""The day on which the story is polled."""


@pytest.fixture
def moved(database: Database) -> Database:
    """A database from when that day began an hour later, as a system without an update thinks."""
    cloud = Story()
    cloud.rents()
    for _ in range(3):
        cloud.passes(minutes=300)
        apply(database, poll_story(cloud))
    with database.writing() as conn:
        for edge, day in (("starts_s", DAY), ("ends_s", "2025-12-31")):
            sql = f"UPDATE calendar_day SET {edge} = {edge} + 3600 WHERE day = '{day}'"
            conn.execute(text(sql))
    return database


def test_days_that_would_be_cut_otherwise_are_said(moved: Database) -> None:
    with store.reading(moved) as known:
        assert known.strayed_days() == ["2025-12-31", DAY]
    said = f"2 days from 2025-12-31 on: the rules of {ZONE} have changed"
    assert said in list(differences(moved))


def test_a_rebuild_cuts_days_by_todays_rules(moved: Database) -> None:
    rebuild(moved, None, TODAY)
    assert list(differences(moved)) == []
    starts = f"SELECT starts_s FROM calendar_day WHERE day = '{DAY}'"
    assert rows(moved, starts) == [(Zone(ZONE).day_at(1_767_225_600).starts_s,)]
    before = dump(moved)
    rebuild(moved, None, TODAY)
    assert dump(moved) == before


def test_a_closed_month_keeps_its_days(moved: Database) -> None:
    cloud = Story(now=1_769_904_000)
    apply(moved, poll_story(cloud))
    close(moved, "2026-01", ACCOUNT, 1_770_000_000)
    with pytest.raises(SettingsError, match=r"closed months .2026-01."):
        rebuild(moved, None, TODAY)
