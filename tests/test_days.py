"""Days of the reporting time zone: nothing is lost or doubled where a stretch is cut into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import lru_cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.dialect import Database
from etl.errors import SettingsError
from etl.history import days
from etl.history.codes import SEEDED
from etl.history.days import DayPart, Zone, from_iso, iso
from etl.rebuild import differences, rebuild, set_code
from etl.simcloud import Fleet, Story
from tests.conftest import TODAY, ZONE, FilledOnce
from tests.golden_fleet import move
from tests.memory import Memory, pour
from tests.support import apply, columns, dump, poll_story, rows
from tests.watched import PREPAID, generate, steady

ZONES = ("Asia/Shanghai", "UTC", "Europe/Berlin", "America/St_Johns")
ODD_ZONES = (*ZONES, "America/Sao_Paulo", "Atlantic/Azores", "Australia/Lord_Howe", "Africa/Cairo")
DST_CHANGES = ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01")
"""St. John's and Berlin to summer time and back."""
HOUR = 3_600
SUMS = ("running_s", "running_min_s", "running_max_s", "gpu_s", "gpu_min_s", "gpu_max_s")

YEARS = st.integers(from_iso("2015-01-02T00:00:00Z"), from_iso("2028-01-01T00:00:00Z"))
LENGTHS = st.one_of(st.just(0), st.integers(0, 3 * HOUR), st.integers(0, 90 * HOUR))


@lru_cache
def memories() -> dict[str, Memory]:
    """Fleets over every change of the clocks, one account each, and one full of odd events."""
    codes = replace(SEEDED, units={**SEEDED.units, PREPAID: "month"})
    odd = generate(6, account="odd", polls=50)
    kept = {odd.account: Memory(codes).watch(odd.polls)}
    for number, day in enumerate(DST_CHANGES):
        begins = from_iso(f"{day}T00:00:00Z") - 30 * HOUR
        fleet = Fleet.generate(number, instances=8, start=begins, days=4, prepaid=0.3)
        polls = steady(fleet, begins, begins + 96 * HOUR, HOUR).polls
        kept[f"lab {number}"] = Memory(codes).watch(polls)
    return kept


@pytest.fixture(scope="session")
def watched_once(filled_once: FilledOnce) -> Callable[[str], Database]:
    def fill(database: Database) -> None:
        set_code(database, "charging", PREPAID, "month")
        for account, memory in memories().items():
            pour(memory, database, account)

    return filled_once("days", fill)


@pytest.fixture
def watched(watched_once: Callable[[str], Database], kind: str) -> Database:
    """The fleets, with days of `ZONE` whatever the test before made of them."""
    move(watched_once(kind), ZONE)
    return watched_once(kind)


def totals(database: Database, sql: str, names: tuple[str, ...] = SUMS) -> dict[str, Counter[str]]:
    """Sums of all numbers by instance; what is nothing is left out."""
    sums: dict[str, Counter[str]] = {}
    for row in columns(database, sql):
        counted = Counter({name: row[name] for name in names})
        sums.setdefault(row["instance_uuid"], Counter()).update(counted)
    return {uuid: counted for uuid, counted in sums.items() if any(counted.values())}


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_every_instance_add_up_to_its_stretches(zone: str, watched: Database) -> None:
    rebuild(watched, zone, TODAY)
    spans = "SELECT * FROM usage_span WHERE kind = 'running'"
    estimates = tuple(name for name in SUMS if "max" not in name)  # a day's maximum is capped
    assert len(totals(watched, spans)) > 40
    assert totals(watched, "SELECT * FROM uptime_daily", estimates) == totals(
        watched, spans, estimates
    )
    of_parts = tuple(name for name in SUMS if "gpu" not in name)
    for kind in ("running", "held"):
        spans = f"SELECT * FROM usage_span WHERE kind = '{kind}'"
        parts = f"SELECT * FROM _usage_part WHERE kind = '{kind}'"
        assert totals(watched, parts, of_parts) == totals(watched, spans, of_parts)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-24", 24), ("2026-10-25", 25)],
)
def test_a_days_maximum_is_at_most_the_seconds_of_the_day(
    day: str, hours: int, database: Database
) -> None:
    """An instance that shows another GPU count each time came up at an unknown moment each time:
    without the cap, its stretches say twice as much."""
    rebuild(database, "Europe/Berlin", TODAY)
    cloud = Story(Zone("Europe/Berlin").starts(date.fromisoformat(day)) - 2 * HOUR)
    a = cloud.rents()
    for gpus in range(1, 30):
        cloud.twists(a, gpu_nums=gpus)
        apply(database, poll_story(cloud, lasts_s=0))
        cloud.passes(hours=1)
    said = "SELECT running_max_s, gpu_max_s FROM uptime_daily WHERE day = :day"
    assert rows(database, said, day=day) == [(hours * HOUR, hours * HOUR * gpus_of(database, day))]


def gpus_of(database: Database, day: str) -> int:
    most = "SELECT MAX(gpu_nums) FROM _usage_part WHERE day = :day"
    return int(rows(database, most, day=day)[0][0])


def test_today_is_as_long_as_it_was_up_to_the_newest_complete_poll(database: Database) -> None:
    cloud = Story()  # 08:00 in Shanghai
    a = cloud.rents()
    for gpus in range(1, 13):
        cloud.twists(a, gpu_nums=gpus)
        apply(database, poll_story(cloud))
        cloud.passes(hours=1)
    assert rows(database, "SELECT running_max_s FROM uptime_daily") == [((8 + 11) * HOUR,)]


@pytest.mark.parametrize("zone", ZONES[1:])
def test_another_zone_cuts_the_days_anew_and_back(zone: str, watched: Database) -> None:
    before = dump(watched)
    stretches = rows(watched, "SELECT COUNT(*) FROM instance_usage")[0][0]
    assert rebuild(watched, zone, TODAY) == stretches
    assert list(differences(watched)) == []
    assert rows(watched, "SELECT value FROM setting WHERE name = 'timezone'") == [(zone,)]
    recut = dump(watched)
    assert recut["usage_day"] != before["usage_day"]
    assert {**recut, "usage_day": None} == {**before, "usage_day": None}
    rebuild(watched, ZONE, TODAY)
    assert dump(watched) == before


def test_a_rebuild_without_a_zone_changes_nothing(watched: Database) -> None:
    before = dump(watched)
    assert rebuild(watched, None, TODAY) == len(before["instance_usage"])
    assert dump(watched) == before


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/St_Johns", "2026-03-08", 23),
        ("America/St_Johns", "2026-11-01", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),  # there is no midnight
        ("Atlantic/Azores", "2026-10-25", 25),  # there are two
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Asia/Shanghai", "2026-03-29", 24),
    ],
)
def test_days_on_which_clocks_change_are_as_long_as_they_are(
    zone: str, day: str, hours: float
) -> None:
    (only,) = Zone(zone).calendar(date.fromisoformat(day), date.fromisoformat(day))
    assert only.ends_s - only.starts_s == hours * HOUR


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns"])
def test_the_calendar_has_every_day_without_gap_or_overlap(zone: str, database: Database) -> None:
    rebuild(database, zone, TODAY)
    found = rows(database, "SELECT day, starts_s, ends_s FROM calendar_day ORDER BY day")
    assert (found[0][0], found[-1][0]) == ("2015-01-01", "2028-12-31")
    assert all(before[2] == after[1] for before, after in pairwise(found))
    assert {ends - starts for _, starts, ends in found} == {23 * HOUR, 24 * HOUR, 25 * HOUR}


@given(st.sampled_from(ODD_ZONES), YEARS, LENGTHS, LENGTHS, LENGTHS)
def test_the_parts_of_a_stretch_add_up_and_lie_in_their_days(
    name: str, started_at: int, sure_s: int, more_s: int, most_s: int
) -> None:
    zone = Zone(name)
    ended_min, ended_at = started_at + sure_s, started_at + sure_s + more_s
    ended_max = ended_at + most_s
    parts = list(days.cut_by_day(zone, started_at, ended_min, ended_at, ended_max))
    assert sum(part.running_min_s for part in parts) == ended_min - started_at
    assert sum(part.running_s for part in parts) == ended_at - started_at
    assert sum(part.running_max_s for part in parts) == ended_max - started_at
    assert [part.started_at for part in parts[:1]] == [started_at][: len(parts)]
    for part, following in pairwise(parts):
        assert part.started_at + part.running_max_s == following.started_at
        assert part.day < following.day
    for part in parts:
        assert 0 <= part.running_min_s <= part.running_s <= part.running_max_s
        for second in (part.started_at, part.started_at + part.running_max_s - 1):
            assert zone.local_date(second).isoformat() == part.day


def test_a_stretch_over_a_short_night_is_cut_at_its_midnights() -> None:
    starts = from_iso("2026-03-28T22:00:00+01:00")
    ends = from_iso("2026-03-30T01:00:00+02:00")
    parts = list(days.cut_by_day(Zone("Europe/Berlin"), starts, starts, starts + 3 * HOUR, ends))
    assert parts == [
        DayPart("2026-03-28", starts, 2 * HOUR, 0, 2 * HOUR),
        DayPart("2026-03-29", starts + 2 * HOUR, HOUR, 0, 23 * HOUR),
        DayPart("2026-03-30", starts + 25 * HOUR, 0, 0, HOUR),
    ]


def test_a_stretch_that_cannot_have_lasted_has_no_parts() -> None:
    assert list(days.cut_by_day(Zone("UTC"), 5, 5, 5, 5)) == []


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused_with_advice(name: str) -> None:
    with pytest.raises(SettingsError, match="there is no time zone") as refused:
        Zone(name)
    assert "Asia/Shanghai" in refused.value.advice


def test_instants_are_iso_text_and_back() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert from_iso(iso(1_767_225_600)) == 1_767_225_600
    with pytest.raises(ValueError, match="names no time zone"):
        from_iso("2026-01-01T00:00:00")
