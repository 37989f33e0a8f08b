"""Leases and limits: who may run what, until when, and how much; never more than told."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.alerts.rules import rule
from etl.alerts.rules.limit import Usage
from etl.alerts.snapshot import Moment
from etl.books.closing import close
from etl.books.rule_files import export_rules, import_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.page.facts import Choice, gather
from etl.simcloud import Story
from tests.alerting import settings, snapshot
from tests.conftest import ZONE
from tests.support import apply, newest, poll_story, rows
from tests.test_price_files import written

JANUARY = 1_767_196_800
"""2025-12-31T16:00:00Z: midnight in Shanghai, when the year begins."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400
FEBRUARY, MARCH = JANUARY + 31 * DAY, JANUARY + 59 * DAY
PERIOD = {"from_day": "2026-01-01", "to_day": "2026-12-31"}


def limits(database: Database, now: int | None = None, **more: Any) -> list[dict[str, Any]]:
    asked = {**PERIOD, "now": newest(database) if now is None else now, **more}
    names, found = reports.run(database, reports.load_report("limits"), asked)
    return [dict(zip(names, row, strict=True)) for row in found]


def one(database: Database, kind: str, now: int | None = None, **chosen: Any) -> dict[str, Any]:
    (line,) = [
        line
        for line in limits(database, now)
        if line["kind"] == kind and all(line[name] == value for name, value in chosen.items())
    ]
    return line


def take(database: Database, folder: Path, text: str) -> list[str]:
    return list(import_rules(database, written(folder, "r.toml", text)).remarks)


class Machines:
    """Machines that run at known times, each stopped by its timer, polled once a day."""

    def __init__(self, database: Database, **gpus: int) -> None:
        self.database, self.cloud = database, Story(JANUARY)
        self.uuids = {
            name: self.cloud.rents(title=name, gpus=count, starts=False)
            for name, count in gpus.items()
        }
        self.runs: dict[str, list[tuple[int, int]]] = {name: [] for name in gpus}
        self.poll()

    def poll(self) -> None:
        apply(self.database, poll_story(self.cloud))

    def run(self, name: str, days: int) -> None:
        """Let a machine run for whole days, from a minute after the newest poll on, and poll each day until
        it has stopped."""
        self.starts(name, self.cloud.now + MINUTE + days * DAY)
        self.live(days + 1)

    def starts(self, name: str, until: int) -> None:
        # after the poll, which would else have seen it
        self.cloud.passes(seconds=MINUTE)
        self.cloud.starts(self.uuids[name])
        self.cloud.sets_timer(self.uuids[name], until)
        self.runs[name].append((self.cloud.now, until))
        self.cloud.passes(seconds=-MINUTE)

    def live(self, days: int) -> None:
        for _ in range(days):
            self.cloud.passes(hours=24)
            self.poll()

    def until(self, moment: int) -> None:
        self.live((moment - self.cloud.now) // DAY)

    def card_hours(self, name: str, gpus: int, begins: int, ends: int) -> float:
        """Plain Python: what a machine used between two moments."""
        seconds = [max(0, min(b, ends) - max(a, begins)) for a, b in self.runs[name]]
        return gpus * sum(seconds) / HOUR


OWNERS = """
[[rule]]
title = "*a*"
owner = "li"
project = "vision"

[[rule]]
title = "*b*"
owner = "wang"
project = "vision"
"""


@pytest.fixture
def lived(database: Database) -> Machines:
    """Two machines over January, February and some days of March."""
    machines = Machines(database, a=1, b=2)
    machines.run("a", 10)
    machines.run("b", 5)
    machines.until(FEBRUARY)
    machines.run("a", 20)
    machines.until(MARCH)
    machines.run("a", 3)
    return machines


def test_what_a_month_leaves_is_carried_over_up_to_the_cap(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    text = "[[limit]]\nowner = 'li'\ncard_hours = 300\ncarry_over = 50\n"
    take(database, tmp_path, OWNERS + text)
    edges = {"2026-01": JANUARY, "2026-02": FEBRUARY, "2026-03": MARCH, "2026-04": MARCH + 31 * DAY}
    carried = 0.0
    for (month, begins), (_, ends) in pairwise(edges.items()):
        line = one(database, "card_hours", month=month)
        used = lived.card_hours("a", 1, begins, ends)
        assert (line["used"], line["carried"], line["allowed"]) == (used, carried, 300 + carried)
        assert line["used_min"] <= used <= line["used_max"]
        assert line["remaining"] == line["allowed"] - used
        carried = min(50, max(0, 300 + carried - used))
    states = [one(database, "card_hours", month=month)["state"] for month in list(edges)[:3]]
    assert states == ["within", "surely over", "within"]


def test_a_project_is_the_sum_of_its_machines_and_their_gpus(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    take(database, tmp_path, OWNERS + "[[limit]]\nproject = 'vision'\ncard_hours = 1000\n")
    line = one(database, "card_hours", month="2026-01")
    used = lived.card_hours("a", 1, JANUARY, FEBRUARY) + lived.card_hours("b", 2, JANUARY, FEBRUARY)
    assert line["used"] == used == 240 + 240
    assert line["used_percent"] == 48.0
    take(database, tmp_path, "[[limit]]\naccount = 'lab'\ncard_hours = 1000\n" + OWNERS)
    assert one(database, "card_hours", month="2026-01")["used"] == used


def test_a_limit_counts_from_where_it_begins_to_where_it_ends(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    text = (
        "[[limit]]\nowner = 'li'\ncard_hours = 100\nvalid_to = 2026-01-04\n"
        "[[limit]]\nowner = 'li'\ncard_hours = 200\nvalid_from = 2026-01-04\nvalid_to = 2026-02-03\n"
    )
    take(database, tmp_path, OWNERS + text)
    found = [(n["month"], n["allowed"], n["used"], n["ends_at"]) for n in limits(database)]
    assert sorted(found) == [
        # machine a begins a minute after midnight
        ("2026-01", 100.0, 71.98, "2026-01-03T16:00:00Z"),
        ("2026-01", 200.0, 168.02, "2026-01-31T16:00:00Z"),
        ("2026-02", 200.0, 47.98, "2026-02-02T16:00:00Z"),
    ]


def test_an_owner_who_changes_in_the_middle_counts_until_then(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    dated = OWNERS.replace('owner = "li"', 'owner = "li"\nvalid_to = 2026-01-06')
    later = "[[rule]]\ntitle = '*a*'\nowner = 'zhang'\n"
    limit = "".join(f"[[limit]]\nowner = '{name}'\ncard_hours = 9\n" for name in ("li", "zhang"))
    take(database, tmp_path, dated + later + limit)
    assert one(database, "card_hours", name="li", month="2026-01")["used"] == 119.98
    assert one(database, "card_hours", name="zhang", month="2026-01")["used"] == 120.02


def test_a_rename_that_nobody_saw_widens_the_bounds_of_both_owners(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1)
    machines.live(6)
    machines.starts("a", FEBRUARY)
    machines.live(2)
    machines.cloud.renames(machines.uuids["a"], "b")
    machines.live(2)
    text = "".join(f"[[limit]]\nowner = '{name}'\ncard_hours = 49\n" for name in ("li", "wang"))
    take(database, tmp_path, OWNERS + text)
    li, wang = (one(database, "card_hours", name=name) for name in ("li", "wang"))
    assert li["used_min"] == pytest.approx(48, abs=0.03)
    assert (li["used"], li["state"]) == (pytest.approx(72, abs=0.03), "over")
    assert wang["used_max"] == pytest.approx(48, abs=0.03)
    assert (wang["used"], wang["state"]) == (pytest.approx(24, abs=0.03), "within")


def test_a_lease_is_over_a_second_after_its_end_and_not_at_it(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1)
    machines.starts("a", FEBRUARY)
    # a day counts whole, in the reporting time zone: this is the end of the 4th
    take(database, tmp_path, "[[lease]]\ntitle = 'a'\nuntil = 2026-01-04\n")
    machines.live(3)
    line = one(database, "until")
    assert (line["state"], line["used"], line["ends_at"]) == ("within", 0.0, "2026-01-04T16:00:00Z")
    machines.live(1)
    assert one(database, "until", newest(database))["state"] == "within"
    assert one(database, "until", machines.cloud.now + 60)["state"] == "perhaps over"
    machines.live(1)
    line = one(database, "until")
    assert (line["state"], line["used"], line["used_min"]) == ("surely over", 24.0, 24.0)


def test_a_lease_that_ended_with_nothing_running_is_kept(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1)
    machines.run("a", 2)
    take(database, tmp_path, "[[lease]]\ntitle = 'a'\nuntil = 2026-01-04\nmax_hours = 48\n")
    machines.live(3)
    assert (one(database, "until")["state"], one(database, "until")["used_max"]) == ("within", 0.0)
    line = one(database, "hours")
    # stopped by its timer between two polls: that it ran to the end is not sure, nor that it did not go on
    assert (line["used"], line["remaining"], line["used_percent"]) == (48.0, 0.0, 100.0)
    assert line["state"] in ("within", "perhaps over")


def test_of_several_leases_the_first_that_matches_holds(database: Database, tmp_path: Path) -> None:
    Machines(database, a=1, b=1)
    text = (
        "[[lease]]\ntitle = 'a'\nmax_hours = 10\n"
        "[[lease]]\nowner = 'wang'\nmax_hours = 20\n"
        "[[lease]]\ntitle = '*'\nmax_hours = 30\n"
    )
    take(database, tmp_path, OWNERS + text)
    found = {line["name"]: line["allowed"] for line in limits(database)}
    assert found == {"a": 10.0, "b": 20.0}


def test_a_later_lease_takes_over_where_it_begins(database: Database, tmp_path: Path) -> None:
    machines = Machines(database, a=1)
    machines.live(6)
    machines.starts("a", FEBRUARY)
    machines.live(4)
    text = (
        "[[lease]]\ntitle = 'a'\nmax_hours = 100\nvalid_from = 2026-01-10\n"
        "[[lease]]\ntitle = 'a'\nmax_hours = 50\n"
    )
    take(database, tmp_path, text)
    # the first days were over the earlier lease, and stay told
    assert {(n["allowed"], n["used"], n["state"]) for n in limits(database)} == {
        (100.0, 24.0, "within"),
        (50.0, 71.98, "surely over"),
    }


def test_when_it_is_used_up_follows_from_what_runs_now(database: Database, tmp_path: Path) -> None:
    machines = Machines(database, a=1, b=2)
    machines.starts("a", FEBRUARY)
    machines.starts("b", FEBRUARY)
    machines.live(2)
    text = (
        "[[limit]]\nproject = 'vision'\ncard_hours = 240\n[[lease]]\ntitle = 'a'\nmax_hours = 60\n"
    )
    take(database, tmp_path, OWNERS + text)
    card_hours, lease = one(database, "card_hours"), one(database, "hours")
    # three cards used 144 of 240 card-hours in two days: the other 96 take 32 hours
    assert (card_hours["used"], card_hours["running_gpus"]) == (143.95, 3)
    assert card_hours["used_up_at"] == "2026-01-04T00:01:00Z"
    assert lease["used_up_at"] == "2026-01-03T04:01:00Z"


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_gpus_at_a_time_are_those_that_run_now(
    most: int, database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1, b=2)
    text = (
        f"[[limit]]\nproject = 'vision'\nmax_gpus = {most}\n"
        f"[[lease]]\ntitle = 'b'\nmax_gpus = {most}\n"
    )
    take(database, tmp_path, OWNERS + text)
    assert one(database, "together")["used"] == 0.0
    machines.starts("a", FEBRUARY)
    machines.starts("b", FEBRUARY)
    machines.live(1)
    together, single = one(database, "together"), one(database, "gpus")
    assert (together["used"], together["state"]) == (3.0, "surely over" if most < 3 else "within")
    assert (single["used"], single["state"]) == (2.0, "surely over" if most < 2 else "within")


def test_what_the_newest_poll_missed_may_run_and_what_is_gone_has_no_lease(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1, b=2)
    take(database, tmp_path, OWNERS + "[[lease]]\nmax_gpus = 1\n")
    machines.starts("b", FEBRUARY)
    machines.live(1)
    assert one(database, "gpus", name="b")["state"] == "surely over"
    machines.cloud.hides(machines.uuids["a"])
    machines.cloud.hides(machines.uuids["b"])
    machines.live(1)
    missed = one(database, "gpus", name="b")
    assert (missed["used"], missed["used_min"], missed["state"]) == (2.0, 0.0, "over")
    machines.live(1)
    assert limits(database) == []


def test_of_nothing_the_first_second_is_too_much(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    take(database, tmp_path, OWNERS + "[[limit]]\nowner = 'wang'\ncard_hours = 0\n")
    january, march = (one(database, "card_hours", month=f"2026-0{n}") for n in (1, 3))
    assert (january["state"], january["used_percent"]) == ("surely over", None)
    assert (march["state"], march["used"]) == ("within", 0.0)


def test_of_a_month_that_nobody_saw_nothing_is_surely_left(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1)
    machines.until(FEBRUARY)
    machines.cloud.passes(hours=28 * 24)
    machines.poll()
    machines.run("a", 3)
    text = "[[limit]]\nowner = 'li'\ncard_hours = 50\ncarry_over = 30\n"
    take(database, tmp_path, OWNERS + text)
    february, march = (one(database, "card_hours", month=f"2026-0{n}") for n in (2, 3))
    assert february["state"] == "unknown"
    # 72 used of 50 for sure, and of 80 perhaps
    assert (march["used"], march["allowed"], march["state"]) == (72.0, 80.0, "perhaps over")


def test_before_the_first_poll_nobody_knows(database: Database, tmp_path: Path) -> None:
    cloud = Story(JANUARY + 5 * DAY)
    cloud.rents(title="a")
    for _ in range(8):
        apply(database, poll_story(cloud))
        cloud.passes(hours=24)
    text = "[[limit]]\nowner = 'li'\ncard_hours = {}\n"
    take(database, tmp_path, OWNERS + text.format(500))
    assert one(database, "card_hours")["state"] == "unknown"
    take(database, tmp_path, OWNERS + text.format(500) + "valid_from = 2026-01-07\n")
    assert one(database, "card_hours")["state"] == "within"
    take(database, tmp_path, OWNERS + text.format(20))
    assert one(database, "card_hours")["state"] == "surely over"


def test_a_closed_month_counts_as_it_was_closed(
    lived: Machines, database: Database, tmp_path: Path
) -> None:
    text = "[[limit]]\nowner = '{}'\ncard_hours = 300\ncarry_over = 100\n"
    take(database, tmp_path, OWNERS + text.format("li"))
    close(database, "2026-01", None, newest(database))
    # another owner from now on, and not in what is closed
    take(database, tmp_path, OWNERS.replace('"li"', '"zhou"') + text.format("li"))
    line = one(database, "card_hours", month="2026-01")
    assert line["used"] == line["used_min"] == line["used_max"] == 240.0
    february = one(database, "card_hours", month="2026-02")
    assert (february["used"], february["carried"]) == (0.0, 60.0)


WRONG = {
    "[[limit]]\ncard_hours = 5": "a limit is of one account, one project or one owner",
    "[[limit]]\nowner = 'x'\nproject = 'y'\ncard_hours = 5": "a limit is of one account",
    "[[limit]]\nowner = 'x'": "a limit has card_hours or max_gpus",
    "[[limit]]\nowner = 'x'\nmax_gpus = 1\ncarry_over = 5": "carry_over is of card_hours",
    "[[limit]]\nowner = 'x'\ncard_hours = -1": "card_hours must be from 0 to",
    "[[limit]]\nowner = 'x'\ncard_hours = 1e300": "card_hours must be hours",
    "[[limit]]\nowner = 'x'\ncard_hours = nan": "card_hours must be hours",
    "[[limit]]\nowner = 'x'\ncard_hours = true": "card_hours must be hours",
    "[[limit]]\nowner = 'x'\ncard_hours = 'many'": "card_hours must be hours",
    "[[limit]]\nowner = 'x'\ncard_hours = 99999999": "card_hours must be from 0 to",
    "[[limit]]\nowner = 'x'\ncard_hours = 0.0001": "card_hours must be whole seconds",
    "[[limit]]\nowner = 'x'\nmax_gpus = -1": "max_gpus must be from 0 to",
    "[[limit]]\nowner = 'x'\nmax_gpus = 1.5": "max_gpus must be a whole number",
    "[[limit]]\nowner = 'x'\nmax_gpus = 1\n[[limit]]\nowner = 'x'\nmax_gpus = 2": "owner 'x' has a limit",
    "[[limit]]\nowner = 'x'\nuntil = 2026-01-01": "there is no 'until' in a limit",
    "[[lease]]\ntitle = 'x'": "a lease has until, max_hours or max_gpus",
    "[[lease]]\nuntil = 'soon'": "until must be a day",
    "[[lease]]\nuntil = 2026-01-01\nvalid_from = 2026-02-01": "until must not be earlier than valid_from",
    "[[lease]]\nmax_hours = 5\nvalid_from = 2026-02-01\nvalid_to = 2026-01-01": "valid_to must be later",
}


def test_absurd_limits_are_refused_and_change_nothing(database: Database, tmp_path: Path) -> None:
    good = OWNERS + "[[lease]]\nmax_hours = 5\n[[limit]]\nowner = 'li'\nmax_gpus = 1\n"
    take(database, tmp_path, good)
    asked = "SELECT COUNT(*) FROM lease UNION ALL SELECT COUNT(*) FROM usage_limit"
    for text, message in WRONG.items():
        with pytest.raises(SettingsError) as caught:
            take(database, tmp_path, OWNERS + text)
        assert message in caught.value.message, text
        assert rows(database, asked) == [(1,), (1,)]


FILE = """
[[lease]]
title = "train*"
owner = "li"
until = 2026-03-31
max_hours = 1.5
note = "spring"

[[lease]]
until = 2026-03-31T10:00:00Z
max_gpus = 2
valid_from = 2026-01-01

[[limit]]
project = "vision"
card_hours = 500
carry_over = 100
valid_from = 2026-01-15

[[limit]]
account = "lab"
max_gpus = 8
"""


def test_leases_and_limits_are_exported_as_they_were_read(
    database: Database, tmp_path: Path
) -> None:
    take(database, tmp_path, FILE)
    asked = ("SELECT * FROM lease ORDER BY 1", "SELECT * FROM usage_limit ORDER BY 1")
    before = [rows(database, sql) for sql in asked]
    # the end of a day in Shanghai, and a moment
    untils = "SELECT until FROM lease ORDER BY lease_no"
    assert [str(until).replace(" ", "T")[:19] for (until,) in rows(database, untils)] == [
        "2026-03-31T16:00:00",
        "2026-03-31T10:00:00",
    ]
    for form in ("csv", "toml"):
        lines = "\n".join(export_rules(database, form))
        import_rules(database, written(tmp_path, f"again.{form}", lines))
        assert [rows(database, sql) for sql in asked] == before
    assert 'until = "2026-03-31"' in "\n".join(export_rules(database, "toml"))


def test_a_chinese_list_says_the_same(database: Database, tmp_path: Path) -> None:
    text = "类别,名称,租期,小时上限,项目,每月卡时,结转\n租约,训练*,2026年3月31日,200,,,\n限额,,,,视觉,500,１００\n"
    import_rules(database, written(tmp_path, "r.csv", text))
    asked = "SELECT title, max_running_s FROM lease"
    assert rows(database, asked) == [("训练*", 200 * HOUR)]
    asked = "SELECT name, month_gpu_s, carry_s FROM usage_limit"
    assert rows(database, asked) == [("视觉", 500 * HOUR, 100 * HOUR)]


def causes(*facts: Usage, now: int = JANUARY, **written_: Any) -> list[tuple[str, str]]:
    given = settings(**written_)
    found = rule("limit").causes(facts, given.options("limit"), Moment(now=now, zone=Zone(ZONE)))
    return [(cause.severity, str(cause.words)) for cause in found if not cause.silent]


LEASE = Usage("until", "instance", "train", "lab", "u1", 0, 5 * HOUR, "surely over", JANUARY)


def test_an_alert_says_what_is_over_and_what_nearly_is() -> None:
    assert causes(LEASE) == [("urgent", "Lease of train: ended, and it has run 5.0 h since")]
    ends = Usage("until", "instance", "train", "lab", "u1", 0, 0, "within", JANUARY + 23 * HOUR)
    assert [s for s, _ in causes(ends)] == ["warning"]
    assert causes(ends, limit_ends_hours=22) == []
    cards = Usage("card_hours", "owner", "li", None, None, 100 * HOUR, 80 * HOUR, "within", MARCH)
    assert causes(cards) == [
        ("warning", "Limit of li: 80.0 of 100 card-hours of the month used"),
    ]
    assert causes(cards, limit_percent=81) == []
    gpus = Usage("together", "project", "vision", None, None, 8, 8, "within", None)
    assert causes(gpus) == []


def test_facts_of_the_alert_are_of_what_runs_and_of_this_month(
    database: Database, tmp_path: Path
) -> None:
    machines = Machines(database, a=1, b=1)
    machines.run("b", 2)
    machines.starts("a", FEBRUARY)
    machines.live(2)
    text = "[[lease]]\nuntil = 2026-01-01\n[[limit]]\nproject = 'vision'\ncard_hours = 10\n"
    take(database, tmp_path, OWNERS + text)
    found = limits(database)
    over = {(line["kind"], line["name"]) for line in found if line["state"] == "surely over"}
    # b ran too long, and runs no more
    assert over == {("until", "a"), ("until", "b"), ("card_hours", "vision")}
    with snapshot(database, newest(database)) as state:
        facts = rule("limit").facts(state, settings().options("limit"))
    assert {(fact.kind, fact.name, fact.state) for fact in facts} == {
        ("until", "a", "surely over"),
        ("card_hours", "vision", "surely over"),
    }
    choice = Choice("2026-01-01", "2026-01-31", None, None)
    page = gather(database, choice, Zone(ZONE), newest(database), ("limits",))
    assert len(page["limits"].rows) == len(found)


def test_without_leases_and_limits_there_are_none(lived: Machines, database: Database) -> None:
    assert limits(database) == []
    assert rows(database, "SELECT COUNT(*) FROM limit_use") == [(0,)]
