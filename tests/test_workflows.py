"""Paid runs of workflows and private images: money that no instance explains, and stored volume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl.dialect import Database
from etl.errors import Changed
from etl.polling import exit_code
from etl.resources import IMAGES, RESOURCES, WORKFLOW_RUNS
from etl.resources.workflow_runs import WorkflowRunFacts
from etl.simcloud import IMAGE_PATH, WORKFLOW_PATH, Fail, Story
from etl.simcloud.behaviour import ANY
from tests.live import Live, Living, living
from tests.support import apply, columns, poll_of, rows

RUN = {
    "run_order_id": "wro-1",
    "workflow_id": "wf-1",
    "run_status": "succeeded",
    "quote_amount": "0.05000000",
    "freeze_status": "released",
    "final_amount": "0.03000000",
    "released_amount": "0.02000000",
    "actual_execution_duration_sec": 12.5,
    "created_at": 1_790_000_000,
    "terminal_at": "2026-09-21 22:13:40",
}
IMAGE = {
    "uuid": "img-1",
    "title": "mine",
    "layer_count": 12,
    "size": 12.5,
    "pod_uuid": "pod-1",
    "save_image_status": 2,
    "create_time": 1_790_000_000,
}
BALANCE = (
    "SELECT unexplained_yuan, workflow_yuan, without_workflow_yuan FROM balance_daily"
    " WHERE opening_microcny IS NOT NULL"
)


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living) -> Live:
    """An account with 100 yuan and nothing that runs, polled on the day before and today."""
    cloud = Story()
    cloud.recharges(100)
    cloud.passes(hours=1)
    lab = live(cloud)
    lab.syncs()
    lab.syncs(minutes=24 * 60)
    return lab


def answer(content: Any) -> bytes:
    return json.dumps({"code": 0, "msg": "success", "data": content}).encode()


# what they do to the money, by hand


def test_what_a_run_froze_and_took_explains_the_balance(lab: Live) -> None:
    begin = lab.cloud.now
    # frozen 12, of which 8 are taken and 4 released half an hour later
    lab.server.money.run_workflow(begin + 60, 12, 8, lasts_s=1_800)
    lab.syncs("balance", "workflow_runs", minutes=10)
    assert rows(lab.database, BALANCE) == [(-12, 12, 0)]
    lab.syncs("balance", "workflow_runs", minutes=60)
    assert rows(lab.database, BALANCE) == [(-8, 8, 0)]
    seen = columns(lab.database, "SELECT * FROM workflow_run_cost")
    assert [(r["quote_yuan"], r["final_yuan"], r["released_yuan"]) for r in seen] == [(12, 8, 4)]
    assert [(r["run_status"], r["execution_s"]) for r in seen] == [("succeeded", 1_800)]


def test_a_run_that_the_bill_has_explains_nothing_twice(lab: Live) -> None:
    lab.server.money.run_workflow(lab.cloud.now + 60, 12, 8, lasts_s=600, is_billed=True)
    lab.syncs("balance", "bills", "workflow_runs", minutes=60)
    # the bill says 8, and 8 are gone: nothing is unexplained, though runs took 8
    assert rows(lab.database, BALANCE) == [(0, 8, 0)]
    causes = "SELECT cause, billed_yuan, workflow_yuan FROM reconciliation_daily"
    assert rows(lab.database, causes) == [("workflow", 8, 8)]


def test_a_line_that_runs_explain_less_than_half_of_is_of_no_instance(lab: Live) -> None:
    lab.server.money.run_workflow(lab.cloud.now + 60, 12, 8, lasts_s=600)
    lab.cloud.is_charged(20)
    lab.syncs("balance", "bills", "workflow_runs", minutes=60)
    assert rows(lab.database, "SELECT cause FROM reconciliation_daily") == [("no_instance",)]
    # 28 are gone, the bill has 20: runs explain the other 8
    assert rows(lab.database, BALANCE) == [(-8, 8, 0)]


# images


def test_images_are_stored_until_two_listings_lack_them(lab: Live) -> None:
    cloud = lab.cloud
    uuid = cloud.rents()
    image = lab.server.money.save_image(cloud.now, 12_500)
    lab.syncs("instances", "images")
    stored = "SELECT image_uuid, size_gb, pod_uuid, instances FROM private_image_now"
    assert rows(lab.database, stored) == [(image.uuid, 12.5, "pod-1", 0)]
    assert uuid
    lab.server.money.images.clear()
    lab.syncs("images", minutes=60)
    assert len(rows(lab.database, stored)) == 1, "missing once"
    lab.syncs("images", minutes=60)
    assert rows(lab.database, stored) == []
    assert lab.count("private_image") == 1, "its history stays"


def test_an_image_knows_its_instances(lab: Live) -> None:
    lab.cloud.rents()
    lab.syncs("instances", "images")
    (uuid,) = rows(lab.database, "SELECT image_uuid FROM instance")[0]
    image = lab.server.money.save_image(lab.cloud.now, 100)
    lab.server.money.images = [type(image)(uuid, "x", 100, "pod-1", image.create_time)]
    lab.syncs("images", minutes=60)
    found = rows(lab.database, "SELECT instances, running FROM private_image_now")
    assert found == [(1, 1)]


def test_stored_volume_by_day_is_that_of_the_images_life(database: Database) -> None:
    day, hour = 1_793_462_400, 3_600  # 2026-11-01 in Shanghai
    old = {**IMAGE, "uuid": "old", "create_time": day - 9 * hour}
    new = {**IMAGE, "uuid": "new", "size": 100, "create_time": day + 6 * hour}
    polled = [(1, [old]), (10, [old, new]), (30, [new]), (40, [new]), (50, [new])]
    for at, images in polled:
        body = json.dumps({"code": 0, "data": {"image_list": images, "total": len(images)}})
        apply(database, poll_of([body.encode()], day + at * hour, resource=IMAGES))
    # surely from when to when, and at most: a poll takes a second
    lives = {
        ("old", 12.5): (hour + 1, 10 * hour, hour + 1, 30 * hour + 1),
        ("new", 100): (6 * hour, 50 * hour, 6 * hour, 50 * hour),
    }
    found = columns(database, "SELECT * FROM image_storage_daily ORDER BY image_uuid, day")
    assert [(r["image_uuid"], r["day"][-2:]) for r in found] == [
        *(("new", d) for d in ("01", "02", "03")),
        *(("old", d) for d in ("01", "02")),
    ]
    for (uuid, size), (begins, ends, begins_min, ends_max) in lives.items():
        for number, row in enumerate(r for r in found if r["image_uuid"] == uuid):
            seconds = range(number * 24 * hour, (number + 1) * 24 * hour)
            least = sum(begins <= s < ends for s in seconds)
            most = sum(begins_min <= s < ends_max for s in seconds)
            assert (row["stored_min_s"], row["stored_max_s"]) == (least, most)
            assert row["gb_hours_min"] == pytest.approx(least / hour * size)
            assert row["gb_hours_max"] == pytest.approx(most / hour * size)


# what nobody outside knows


@pytest.mark.parametrize("path", [WORKFLOW_PATH, IMAGE_PATH])
def test_a_source_without_them_is_warned_of_once(live: Living, path: str) -> None:
    lab = live(Story())
    name = next(name for name, resource in RESOURCES.items() if resource.path == path)
    lab.server.at(path).fail[ANY] = Fail(404, 404, "not found")
    results = {result.resource: result for result in lab.syncs()}
    assert exit_code(list(results.values())) == 0
    assert results[name].is_warning
    assert not results[name].is_repeated
    assert name not in [r.resource for r in lab.syncs(minutes=60)], "asked again after a day"
    (again,) = [r for r in lab.syncs(minutes=23 * 60) if r.resource == name]
    assert again.is_repeated


def test_no_page_is_longer_than_the_source_allows(lab: Live) -> None:
    from dataclasses import replace

    lab.app.settings = replace(lab.app.settings, page_size=1_000)
    for number in range(120):
        lab.server.money.run_workflow(lab.cloud.now - number - 1, 1, 1, lasts_s=1)
    results = lab.syncs("workflow_runs")
    assert exit_code(results) == 0
    assert lab.count("workflow_run") == 120


def test_a_run_is_read_exactly() -> None:
    ((run,), odd) = WORKFLOW_RUNS.read(answer({"run_list": [RUN], "total": 1}))
    facts = WorkflowRunFacts(*run.facts)
    assert (facts.quote_microcny, facts.final_microcny, facts.released_microcny) == (
        50_000,
        30_000,
        20_000,
    )
    assert (facts.execution_s, facts.created_at, facts.ended_at) == (
        12,
        1_790_000_000,
        1_790_000_020,
    )
    assert json.loads(run.extra or "{}")["terminal_at"] == "2026-09-21 22:13:40"
    assert odd == []
    assert WorkflowRunFacts._fields == (WORKFLOW_RUNS.form and WORKFLOW_RUNS.form.columns)


@pytest.mark.parametrize("resource", [WORKFLOW_RUNS, IMAGES], ids=["runs", "images"])
def test_a_list_of_any_name_is_read(resource: Any) -> None:
    record = RUN if resource is WORKFLOW_RUNS else IMAGE
    for content in ({"list": [record], "total": 1}, {"items": [record]}, [record]):
        assert len(resource.read(answer(content))[0]) == 1, content
        assert len(resource.open(answer(content)).identities) == 1
    for nothing in (
        {"list": None, "run_list": None, "image_list": None, "total": 0},
        {"x": []},
        [],
    ):
        assert resource.read(answer(nothing)) == ([], [])
    for odd in ({}, {"a": [], "b": []}, {"run_list": 7, "image_list": 7}):
        with pytest.raises(Changed):
            resource.read(answer(odd))


def test_what_is_not_understood_is_kept() -> None:
    ((run,), _) = WORKFLOW_RUNS.read(
        answer(
            [{**RUN, "actual_execution_duration_sec": "soon", "priority": 3, "token": "s3cret-1"}]
        )
    )
    kept = json.loads(run.extra or "")
    assert kept["actual_execution_duration_sec"] == "soon"
    assert kept["priority"] == 3
    assert "s3cret-1" not in (run.extra or "")
    understood, odd = WORKFLOW_RUNS.read(
        answer([{**RUN, "quote_amount": "much"}, {**RUN, "run_order_id": None}, "no object"])
    )
    assert (len(understood), len(odd)) == (0, 3)
    assert "quote_amount" in odd[0].reason


def test_a_size_is_read_as_megabytes() -> None:
    sizes = [12.5, "12.5", 0.0001, 3, None, ""]
    read, odd = IMAGES.read(
        answer([{**IMAGE, "uuid": f"i{n}", "size": size} for n, size in enumerate(sizes)])
    )
    at = IMAGES.form and IMAGES.form.columns.index("size_mb")
    assert [record.facts[at] for record in read] == [12_500, 12_500, 0, 3_000, None, None]
    assert json.loads(read[2].extra or "{}")["size"] == "0.0001"
    assert odd == []
