"""The simulated cloud keeps its word: what it shows agrees with the truth it claims."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.poll import Instant
from etl.resources import INSTANCES
from etl.simcloud import (
    LEAK_MARK,
    T0,
    Fleet,
    Life,
    Options,
    Restart,
    Run,
    Story,
    Timer,
    gpu_uuid,
)

HOUR, DAY = 3_600, 86_400
MORNING = T0 + DAY + HOUR
"""A Friday, nine o'clock in Shanghai."""
UP, BOOTING = (2, 27), (1, 24)
BUSY: dict[str, Any] = {
    "boot_s": (0, 120),
    "stopping_s": (0, 30),
    "born_inside": 0.5,
    "restarts": 0.5,
}


# truth and what is shown


def seconds_seen_running(life: Life, t0: Instant, t1: Instant) -> int:
    """The running time that somebody who looks every second can tell, booting included where the
    new start_time is shown and the instance comes up."""
    fleet = Fleet([life], life.options)
    seen, booting = 0, 0
    for t in range(t0 - 200, t1 + 200):
        record = next(iter(fleet.records(t)), {"status": 22})
        inside = t0 <= t < t1
        if record["status"] in UP:
            seen += inside + booting
            booting = 0
        elif record["status"] in BOOTING and record["start_time"]:
            booting += inside and life.options.start_time_at_boot
        else:
            booting = 0
    return seen


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["flapping", "batch", "office", None]),
    at_boot=st.booleans(),
    moves=st.booleans(),
    shift=st.integers(-2 * HOUR, 12 * HOUR),
)
def test_truth_agrees_with_what_is_shown_second_by_second(
    seed: int, kind: str | None, at_boot: bool, moves: bool, shift: int
) -> None:
    options = Options(start_time_at_boot=at_boot, restart_moves_start_time=moves)
    fleet = Fleet.generate(
        seed, instances=3, start=T0 + DAY, days=1, options=options, kind=kind, destroyed=0.6, **BUSY
    )
    for life in fleet.lives:
        for t0 in {MORNING + shift, (life.destroyed_at or MORNING) - HOUR // 2}:
            assert life.running(t0, t0 + HOUR) == seconds_seen_running(life, t0, t0 + HOUR)


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 3 * DAY), max_size=5))
@settings(max_examples=30, deadline=None)
def test_the_truth_of_a_window_is_the_sum_of_its_parts(seed: int, cuts: list[int]) -> None:
    fleet = Fleet.generate(seed, instances=5, start=T0, days=3)
    marks = [T0, *sorted(T0 + cut for cut in cuts), T0 + 3 * DAY]
    parts = sum(fleet.running(a, b) for a, b in pairwise(marks))
    assert parts == fleet.running(T0, T0 + 3 * DAY)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_runs_of_a_generated_life_do_not_overlap_and_lie_within_it(seed: int) -> None:
    fleet = Fleet.generate(seed, instances=10, start=T0, days=3, destroyed=0.5, **BUSY)
    for life in fleet.lives:
        assert all(life.create_time < run.start for run in life.runs)
        for a, b in pairwise(life.runs):
            assert a.end is not None
            assert a.end + a.stopping_s < b.start
        if life.destroyed_at is not None:
            assert all(run.start < life.destroyed_at for run in life.runs)


def test_unknown_codes_hide_no_running_time() -> None:
    fleet = Fleet.generate(3, instances=20, start=T0, days=2, unknown_status=0.9)
    odd = [(life, twist) for life in fleet.lives for twist in life.twists]
    assert odd
    assert all(life.running(twist.begins, twist.ends) == 0 for life, twist in odd)


def test_gpu_hours_are_counted_by_the_model_and_count_of_each_run() -> None:
    life = Life("inst_a", T0, "x")
    life.runs = [
        Run(T0, T0 + 100, gpu_name="A100", gpu_nums=2),
        Run(T0 + 200, T0 + 250, gpu_name="H100", gpu_nums=8),
    ]
    assert life.gpu_seconds(T0 + 50, T0 + 225) == {"A100": 100, "H100": 200}


def test_destruction_ends_a_run() -> None:
    cloud = Story()
    a = cloud.rents()
    cloud.passes(seconds=100)
    cloud.destroys(a)
    cloud.passes(seconds=100)
    assert cloud.running(a) == 100
    assert [span.ended_at for span in cloud.spans(a)] == [T0 + 100]


def test_a_run_that_ends_while_it_boots_is_no_running_time() -> None:
    life = Life("inst_a", T0, runs=[Run(T0, T0 + 30, boot_s=60)])
    assert life.spans == []
    assert [life.status_at(T0 + s) for s in (0, 29, 30)] == [1, 1, 22]


def test_a_run_cannot_stop_before_it_starts() -> None:
    with pytest.raises(ValueError, match="cannot stop"):
        Run(T0, T0 - 1)


def test_the_phases_of_a_run_are_shown_in_order() -> None:
    first = Run(T0 + 10, T0 + 100, boot_s=20, stopping_s=5, restarts=(Restart(T0 + 50, 3),))
    again = Run(T0 + 200, None, boot_s=20, timers=(Timer(T0 + 230, T0 + 300),), stopping_s=5)
    life = Life("inst_a", T0, runs=[first, again])
    shown = {s: life.status_at(T0 + s) for s in (0, 10, 30, 50, 53, 100, 105, 200, 220, 300, 305)}
    assert list(shown.values()) == [0, 1, 2, 27, 2, 21, 22, 24, 2, 21, 22]
    assert [life.timer_at(T0 + s) for s in (229, 230, 300)] == [None, T0 + 300, None]
    assert life.running(T0, T0 + DAY) == 90 + 100


def test_a_timer_that_was_taken_back_stops_nothing() -> None:
    cloud = Story()
    a = cloud.rents()
    cloud.sets_timer(a, T0 + 100)
    cloud.passes(seconds=50)
    cloud.sets_timer(a, None)
    cloud.passes(seconds=100)
    assert cloud.record(a)["status"] == 2
    assert cloud.record(a)["shutdown_regular"] == {"shutdown_time": 0, "enable": False}


def test_where_start_time_is_set_only_when_running_booting_shows_the_old_one() -> None:
    options = Options(start_time_at_boot=False)
    life = Life("inst_a", T0, options=options)
    life.runs = [Run(T0, T0 + 100, boot_s=10), Run(T0 + 200, boot_s=30)]
    shown = [life.start_time_at(T0 + s) for s in (0, 10, 229, 230)]
    assert shown == [None, T0 + 10, T0 + 10, T0 + 230]
    assert life.running(T0, T0 + 300) == 90 + 70


def test_a_restart_may_move_start_time_but_not_the_truth() -> None:
    run = Run(T0, restarts=(Restart(T0 + 50),))
    life = Life("inst_a", T0, runs=[run], options=Options(restart_moves_start_time=True))
    assert [life.start_time_at(T0 + s) for s in (49, 50)] == [T0, T0 + 50]
    assert life.running(T0, T0 + 100) == 100


# the listing


@given(
    seed=st.integers(0, 10**6), size=st.integers(1, 30), order=st.sampled_from(["newest", "oldest"])
)
@settings(max_examples=30, deadline=None)
def test_pages_add_up_to_the_listing(seed: int, size: int, order: Any) -> None:
    fleet = Fleet.generate(
        seed, instances=25, start=T0, days=2, options=Options(order=order), **BUSY
    )
    t = MORNING
    pages = [json.loads(fleet.body(t, n, size)) for n in range(1, 25 // size + 2)]
    listed = [record for page in pages for record in page["data"]["instance_list"]]
    assert listed == fleet.records(t)
    assert {page["data"]["total"] for page in pages} == {len(listed)}
    assert pages == [fleet.page(t, n, size) for n in range(1, 25 // size + 2)]
    assert [r["instance_uuid"] for r in listed] == [a.instance_uuid for a in fleet.listed(t)]
    created = [record["create_time"] for record in listed]
    assert created == sorted(created, reverse=order == "newest")


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_bytes_are_equal_between_moments_of_change(seed: int) -> None:
    fleet = Fleet.generate(seed, instances=8, start=T0, days=1, **BUSY)
    changes = [t for t in fleet.changes() if T0 <= t <= T0 + DAY]
    for a, b in pairwise(changes):
        assert fleet.body(a) == fleet.body(b - 1)


@given(seed=st.integers(0, 10**6), times=st.lists(st.integers(0, 3 * DAY), min_size=2))
@settings(max_examples=20, deadline=None)
def test_what_was_asked_before_does_not_matter(seed: int, times: list[int]) -> None:
    asked = Fleet.generate(seed, instances=10, start=T0, days=3)
    for s in times:
        fresh = Fleet.generate(seed, instances=10, start=T0, days=3)
        assert asked.body(T0 + s) == fresh.body(T0 + s)


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another() -> None:
    one, same, other = (Fleet.generate(s, instances=20, start=T0, days=2) for s in (1, 1, 2))
    assert one.lives == same.lives
    assert one.body(MORNING) == same.body(MORNING) != other.body(MORNING)


def test_a_generated_fleet_looks_like_life() -> None:
    fleet = Fleet.generate(1, instances=200, start=T0, days=7)
    seen = [r for t in range(T0, T0 + 7 * DAY, 1800) for r in fleet.records(t)]
    assert {r["status"] for r in seen} >= {0, 1, 2, 21, 22, 23, 24}
    assert {r["gpu_name"] for r in seen} == {"RTX 4090", "RTX 3090", "A100", "H100", "L40S"}
    assert {r["gpu_nums"] for r in seen} == {1, 2, 4, 8}
    assert any(r["shutdown_regular"]["enable"] for r in seen)
    assert any("李雷" in r["title"] for r in seen)
    assert 150 < len(fleet.listed(T0 + 3 * DAY)) <= 200 < len(fleet.lives)
    assert 0.1 < fleet.running(T0, T0 + 7 * DAY) / (200 * 7 * DAY) < 0.5


PUBLISHED = (
    "instance_uuid status title create_time start_time server_url server_map save_image_status "
    "charging_type shutdown_regular image_uuid image_name image_tag gpu_uuid gpu_name gpu_nums"
)


def test_a_record_has_the_members_of_the_published_example() -> None:
    cloud = Story()
    a = cloud.rents()
    assert cloud.page().keys() == {"code", "msg", "data"}
    assert list(cloud.record(a)) == PUBLISHED.split()
    web, ssh = cloud.record(a)["server_map"]
    assert list(web) == ["title", "url", "port_type", "protocol"]
    assert list(ssh) == [*web, "ssh_info"]
    assert list(ssh["ssh_info"]) == ["host", "port", "username", "password"]


def test_every_record_is_understood_and_its_secrets_are_marked() -> None:
    fleet = Fleet.generate(1, instances=100, start=T0, days=1)
    body = fleet.body(MORNING, 1, 1000)
    sightings, rejects = INSTANCES.read(body)
    assert (len(sightings), len(rejects)) == (len(fleet.listed(MORNING)), 0)
    assert LEAK_MARK.encode() in body
    assert LEAK_MARK not in repr(sightings)


def test_a_password_is_new_with_every_start() -> None:
    cloud = Story()
    a = cloud.rents()
    first = password(cloud, a)
    cloud.passes(minutes=1)
    cloud.stops(a)
    assert password(cloud, a) == first
    cloud.passes(minutes=1)
    cloud.starts(a)
    assert password(cloud, a) != first
    assert password(cloud, a).startswith(LEAK_MARK)


def password(cloud: Story, a: str) -> str:
    return str(cloud.record(a)["server_map"][1]["ssh_info"]["password"])


# disturbances


def test_hidden_broken_and_late_records_change_the_listing_not_the_truth() -> None:
    fleet = Fleet([Life(f"inst_{n}", T0, runs=[Run(T0, T0 + 500)]) for n in range(4)])
    fleet.hide("inst_0", T0 + 100, T0 + 200)
    fleet.break_record("inst_1", T0 + 100, T0 + 200)
    fleet.break_record("inst_2", T0 + 100, T0 + 200, nameless=True)
    fleet.delay("inst_3", 50)
    assert len(fleet.records(T0 + 49)) == 3
    at_150 = {r["instance_uuid"]: r["gpu_nums"] for r in fleet.records(T0 + 150)}
    assert at_150 == {"inst_1": "many", None: 1, "inst_3": 1}
    assert {r["instance_uuid"] for r in fleet.records(T0 + 200)} == {f"inst_{n}" for n in range(4)}
    assert {r["instance_uuid"] for r in fleet.records(T0 + 520) if r["status"] == 2} == {"inst_3"}
    assert fleet.running(T0, T0 + DAY) == 4 * 500


def test_options_can_be_chosen_later() -> None:
    fleet = Fleet([Life("inst_b", T0), Life("inst_a", T0 + 1)])
    assert [life.instance_uuid for life in fleet.listed(T0 + 1)] == ["inst_a", "inst_b"]
    fleet.choose(order="oldest", never_started="missing")
    assert [r["instance_uuid"] for r in fleet.records(T0 + 1)] == ["inst_b", "inst_a"]
    assert "start_time" not in fleet.records(T0 + 1)[0]
    fleet.choose(order="shuffled")
    assert fleet.records(T0 + 1) == fleet.records(T0 + 2)


# stories


def test_a_story_is_told_in_order() -> None:
    cloud = Story(now=T0)
    a = cloud.rents(gpus=2, title="train")
    cloud.passes(minutes=5)
    cloud.stops(a)
    cloud.passes(minutes=5)
    cloud.starts(a, gpus=4, model="A100")
    cloud.renames(a, "x")
    cloud.restarts(a)
    record = cloud.record(a)
    assert (record["status"], record["title"], record["gpu_nums"]) == (27, "x", 4)
    assert (record["gpu_name"], record["gpu_uuid"]) == ("A100", gpu_uuid("A100"))
    assert record["start_time"] == T0 + 600 == cloud.now
    cloud.sets_timer(a, cloud.now + 60)
    cloud.saves_image(a, 1)
    cloud.passes(hours=1)
    assert cloud.record(a)["status"] == 22
    cloud.destroys(a)
    assert cloud.records() == []
    assert cloud.running(a) == 300 + 60
    assert [span.gpu_nums for span in cloud.spans(a)] == [2, 4]


def test_what_a_story_tells_does_not_change_its_past() -> None:
    cloud = Story()
    a, b = cloud.rents_many(2)
    before = cloud.body()
    cloud.passes(minutes=1)
    cloud.stops(a)
    cloud.hides(b)
    assert cloud.fleet.body(T0) == before != cloud.body()
    cloud.passes(minutes=1)
    cloud.shows(b)
    cloud.breaks_record(b)
    assert [r["gpu_nums"] for r in cloud.records()] == ["many", 1]
    cloud.mends_record(b)
    cloud.twists(b, status=77, novel=1)
    assert cloud.record(b)["status"] == 77
    assert cloud.running(b) == 120


def test_a_story_refuses_what_makes_no_sense() -> None:
    cloud = Story()
    a = cloud.rents()
    with pytest.raises(ValueError, match="is on"):
        cloud.starts(a)
    with pytest.raises(ValueError, match="not ahead"):
        cloud.sets_timer(a, T0)
    cloud.stops(a)
    with pytest.raises(ValueError, match="is off"):
        cloud.stops(a)
    cloud.destroys(a)
    with pytest.raises(ValueError, match="is destroyed"):
        cloud.renames(a, "x")
    with pytest.raises(KeyError):
        cloud.stops("inst_nobody")
