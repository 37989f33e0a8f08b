"""Local times in SQL are those of the clocks of the zone, on the days of a shift too."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from etl.dialect import Database
from etl.history.days import Zone
from etl.store import schema
from tests.conftest import TODAY
from tests.support import rows

SHIFTED = {
    "Asia/Shanghai": [],
    "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/Havana": [date(2026, 3, 8), date(2026, 11, 1)],  # shifts at midnight
    "Africa/Cairo": [date(2026, 4, 24), date(2026, 10, 29)],  # shifts at midnight, the other way
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],  # by half an hour
}


@pytest.mark.parametrize("name", SHIFTED)
def test_local_times_go_by_the_clocks_of_the_zone(database: Database, name: str) -> None:
    zone = Zone(name)
    with database.writing() as conn:
        schema.recut_calendar(conn, zone, TODAY)
    for day in [date(2026, 6, 15), *SHIFTED[name]]:
        first = zone.starts(day) - 7_200
        for at in range(first, first + 30 * 3_600, 1_799):
            (local,) = rows(database, database.render(f"SELECT local_of({at})"))[0]
            assert datetime.fromisoformat(str(local)) == zone.local(at).replace(tzinfo=None), at


@pytest.mark.parametrize("at", [0, 9_999_999_999])
def test_a_time_beyond_the_calendar_has_no_local_time(database: Database, at: int) -> None:
    assert rows(database, database.render(f"SELECT local_of({at})")) == [(None,)]
