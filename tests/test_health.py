"""What machines ask of the daemon, what it tells those who watch, and its log lines."""

from __future__ import annotations

import io
import json
import logging
import platform
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from etl.dialect import Database
from etl.service import logs
from etl.service.daemon import Daemon
from etl.settings.alerts import read as read_alerts
from etl.simcloud import ANY, Behaviour, Fail, Story
from tests.driven import Stepped
from tests.live import KEY, Live, Living, living, wait_for

PERIODS = ("today", "month")


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def daemon(live: Living, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Live, Daemon]]:
    """A daemon that polls when it is told to, over a story with four machines."""
    story = Story()
    story.rents_many(3)
    story.rents(gpus=4, model="A100")
    lab = live(story)
    lab.app.settings = replace(lab.app.settings, accounts=(lab.account,), resources=("instances",))
    monkeypatch.setattr("etl.service.schedule.BackgroundScheduler", Stepped)
    made = Daemon(lab.app, lambda: lab.app.settings)
    # the test makes the ticks, APScheduler none
    monkeypatch.setattr(made.schedule, "stands_still", lambda: False)
    yield lab, made
    made.schedule.stop(60)
    made._alerting.stop(60)


def polls(daemon: Daemon) -> None:
    """A tick, now."""
    (watch,) = daemon.schedule.watches.values()
    daemon.schedule.ticks.tick(watch, daemon.app.clock())


def figures(daemon: Daemon) -> dict[str, float]:
    return {
        " ".join([s.name, *(s.labels.get(k, "") for k in ("model", "outcome") if k in s.labels)]): (
            s.value
        )
        for family in text_string_to_metric_families(daemon.metrics.text().decode())
        for s in family.samples
        if not s.name.endswith("_bucket")
    }


def test_a_daemon_knows_that_work_of_its_own_goes_on(daemon: tuple[Live, Daemon]) -> None:
    """The process must not end like others then: SQLite would call back into nothing."""
    _, made = daemon
    made._alerting.stop(60)
    assert not made.leaves_threads()
    goes_on = threading.Event()
    thread = threading.Thread(target=goes_on.wait)
    thread.start()
    assert made.leaves_threads()
    goes_on.set()
    thread.join()
    assert not made.leaves_threads()


# alerts


def test_alerts_know_when_a_poll_was_due(daemon: tuple[Live, Daemon]) -> None:
    lab, made = daemon
    (watch,) = made.schedule.watches.values()
    made._look_at_alerts()
    due = lab.app.alerts.due
    assert due is not None
    assert due("lab", 1e9) == watch.trigger.latest(1e9) <= 1e9
    assert due("nobody", 1e9) == float("-inf")


# readiness


def test_a_daemon_is_ready_once_every_account_has_a_fresh_complete_poll(
    daemon: tuple[Live, Daemon],
) -> None:
    lab, made = daemon
    status, _, body = made.readiness()
    assert status == 503
    assert json.loads(body)["accounts"][0]["last_complete_at"] is None
    polls(made)
    assert made.readiness()[0] == 200
    lab.cloud.passes(minutes=5)
    assert made.readiness()[0] == 200
    lab.cloud.passes(minutes=2)
    status, _, body = made.readiness()
    said = json.loads(body)
    assert (status, said["status"]) == (503, "stale")
    assert said["accounts"][0]["age_s"] > said["accounts"][0]["limit_s"] == 360
    assert made.health()[0] == 200, "it lives, stale or not"


def test_a_poll_that_is_stuck_is_no_health(
    daemon: tuple[Live, Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = daemon
    stuck = {1_800.0: ["lab instances"]}
    monkeypatch.setattr(
        made.schedule, "in_hand", lambda longer_than_s=0.0: stuck.get(longer_than_s)
    )
    status, _, body = made.health()
    assert status == 503
    assert json.loads(body)["polls_stuck"] == ["lab instances"]


def test_a_schedule_that_stands_still_is_no_health(
    daemon: tuple[Live, Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = daemon
    assert made.health()[0] == 200
    monkeypatch.setattr(made.schedule, "stands_still", lambda: True)
    status, _, body = made.health()
    assert (status, json.loads(body)["schedule_stands_still"]) == (503, True)


# metrics


def test_metrics_count_what_polls_did(daemon: tuple[Live, Daemon]) -> None:
    lab, made = daemon
    polls(made)
    lab.cloud.passes(minutes=4)
    lab.server.behaviour = Behaviour(fail={ANY: Fail(503, 503)})
    polls(made)
    found = figures(made)
    assert found["chenyu_etl_polls_total complete"] == 1
    assert found["chenyu_etl_polls_total failed"] == 1
    assert found["chenyu_etl_poll_duration_seconds_count"] == 2
    assert found["chenyu_etl_requests_total"] == 1
    assert found["chenyu_etl_versions_written_total"] == 4
    assert found["chenyu_etl_listed_records"] == 4
    assert found["chenyu_etl_running_instances RTX 4090"] == 3
    assert found["chenyu_etl_running_gpus A100"] == 4
    assert 239 <= found["chenyu_etl_last_complete_poll_age_seconds"] <= 242
    assert found["chenyu_etl_database_up"] == 1


def test_metrics_count_the_messages_that_a_channel_does_not_take(
    daemon: tuple[Live, Daemon],
) -> None:
    lab, made = daemon
    table = {"channels": {"team": {"kind": "command", "command": ["/nowhere/at-all"]}}}
    lab.app.settings = replace(lab.app.settings, alerts=read_alerts(table, "here"))
    assert 'chenyu_etl_alert_messages{channel="team",state="waiting"} 0.0' in scraped(made)
    lab.cloud.rents(uuid="odd")
    lab.cloud.twists("odd", status=77)
    lab.syncs("instances")
    (sent,) = lab.app.alerts.tick(lab.app.now())
    assert sent.error is not None
    assert 'chenyu_etl_alert_messages{channel="team",state="waiting"} 1.0' in scraped(made)
    assert 'chenyu_etl_alert_messages{channel="team",state="given_up"} 0.0' in scraped(made)


def scraped(made: Daemon) -> str:
    return made.metrics.text().decode()


def test_metrics_say_what_is_left_and_what_all_that_runs_costs(
    daemon: tuple[Live, Daemon],
) -> None:
    lab, made = daemon
    lab.cloud.price("RTX 4090", hour=5.5)
    lab.cloud.price("A100", hour=10)
    lab.cloud.recharges(565)
    lab.syncs("instances", "gpu_prices", "balance")
    found = figures(made)
    assert found["chenyu_etl_burn_yuan_per_hour"] == 3 * 5.5 + 4 * 10
    assert found["chenyu_etl_balance_yuan"] == 0, "of cards, the last of its channels"
    assert found["chenyu_etl_balance_lasts_seconds"] == 10 * 3_600


def test_every_outcome_is_there_from_the_start_and_a_model_that_stops_goes_to_0(
    daemon: tuple[Live, Daemon],
) -> None:
    lab, made = daemon
    before = figures(made)
    for outcome in ("complete", "partial", "failed", "skipped"):
        assert before[f"chenyu_etl_polls_total {outcome}"] == 0
    assert before["chenyu_etl_requests_total"] == 0
    assert before["chenyu_etl_burn_yuan_per_hour"] == 0
    polls(made)
    assert figures(made)["chenyu_etl_running_gpus A100"] == 4
    (a100,) = (life for life in lab.cloud.fleet.lives if life.gpu_name == "A100")
    lab.cloud.stops(a100.instance_uuid)
    lab.cloud.passes(minutes=5)
    polls(made)
    assert figures(made)["chenyu_etl_running_gpus A100"] == 0
    lab.cloud.starts(a100.instance_uuid, model="H800", gpus=8)
    lab.cloud.passes(minutes=5)
    polls(made)
    now = figures(made)
    assert (now["chenyu_etl_running_gpus H800"], now["chenyu_etl_running_gpus A100"]) == (8, 0)


def test_the_cost_of_today_and_of_the_month_has_bounds(daemon: tuple[Live, Daemon]) -> None:
    lab, made = daemon
    lab.cloud.price("RTX 4090", hour=6)
    lab.cloud.price("A100", hour=10)
    lab.syncs("gpu_prices")
    polls(made)
    lab.cloud.passes(minutes=30)
    polls(made)
    text = made.metrics.text().decode()
    costs = {
        (s.name.removeprefix("chenyu_etl_cost"), s.labels["period"]): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.name.startswith("chenyu_etl_cost")
    }
    assert costs.keys() == {
        (bound, period) for bound in ("_yuan", "_min_yuan", "_max_yuan") for period in PERIODS
    }
    for period in PERIODS:
        low, cost, high = (costs[name, period] for name in ("_min_yuan", "_yuan", "_max_yuan"))
        assert 0 < low <= cost <= high
    assert costs["_yuan", "today"] <= costs["_yuan", "month"]


def test_an_account_that_leaves_the_config_leaves_the_metrics(
    daemon: tuple[Live, Daemon],
) -> None:
    lab, made = daemon
    polls(made)
    assert 'account="lab"' in made.metrics.text().decode()
    other = replace(lab.account, name="other")
    made.schedule.apply(replace(lab.app.settings, accounts=(other,)))
    text = made.metrics.text().decode()
    assert 'account="lab"' not in text
    assert (
        'chenyu_etl_polls_total{account="other",outcome="failed",resource="instances"} 0.0' in text
    )


def test_metrics_go_on_without_a_database(
    daemon: tuple[Live, Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl.errors import StoreError

    lab, made = daemon
    polls(made)

    def away() -> Any:
        raise StoreError("away")

    monkeypatch.setattr(type(lab.database), "reading", lambda self: away())
    found = figures(made)
    assert found["chenyu_etl_database_up"] == 0
    assert "chenyu_etl_running_gpus A100" not in found
    assert found["chenyu_etl_polls_total complete"] == 1


def test_metrics_are_named_by_the_conventions_of_prometheus(daemon: tuple[Live, Daemon]) -> None:
    """The rules of `promtool check metrics`, which is asked too where it is installed."""
    _, made = daemon
    polls(made)
    text = made.metrics.text().decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) >= 12
    for family in families:
        name = family.name
        assert re.fullmatch(r"chenyu_etl_[a-z0-9_]+", name)
        assert family.documentation.endswith(".")
        assert (f"{name}_total" in text) == (family.type == "counter")
        assert not re.search(r"_(count|sum|bucket|counter|gauge|info_total)$", name)
        assert not re.search(r"(milliseconds|minutes|hours|days|kilobytes)", name)
        labels = {label for sample in family.samples for label in sample.labels}
        assert all(label in ("le",) or not label.startswith("_") for label in labels)
        assert not {"type", "name", "instance", "job"} & labels
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=text, text=True)
        assert done.returncode == 0


def test_alerts_are_looked_at_after_a_poll_and_a_fault_there_stops_nothing(
    daemon: tuple[Live, Daemon], caplog: pytest.LogCaptureFixture
) -> None:
    lab, made = daemon
    looked: list[int] = []

    class Alerts:
        def tick(self, now: int) -> None:
            looked.append(now)
            raise ZeroDivisionError

    lab.app._alerts = Alerts()  # type: ignore[assignment]
    polls(made)
    wait_for(lambda: looked == [lab.app.now()])
    wait_for(lambda: "alerts: a fault of this program" in caplog.text)
    assert figures(made)["chenyu_etl_polls_total complete"] == 1


# logs

SECRETS = (
    "Bearer abcdefgh",
    "cy_live_4711abc",
    "sk-4711abcdef",
    "password=hunter22",
    'api_key: "hunter22"',
    "https://u:hunter22@db.example/x?token=hunter22",
    "postgresql://etl:hunter22@db/chenyu",
)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_line_holds_a_secret(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    formatter = logs.TextLines() if form == "text" else logs.JsonLines()
    handler = logging.StreamHandler(said)
    handler.setFormatter(formatter)
    log = logging.Logger("test")
    log.addHandler(handler)
    for secret in SECRETS:
        log.info("of %s here", secret)
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("broke", extra={"figures": {"error": secret}})
    for word in ("hunter22", "abcdefgh", "4711abc"):
        assert word not in said.getvalue()
    if form == "json":
        lines = [json.loads(line) for line in said.getvalue().splitlines()]
        assert lines[0]["message"] == "of Bearer *** here"
        assert "traceback" in lines[1]


def test_a_poll_is_one_line_with_its_figures(
    daemon: tuple[Live, Daemon], caplog: pytest.LogCaptureFixture
) -> None:
    _, made = daemon
    with caplog.at_level(logging.INFO, "etl.schedule"):
        polls(made)
    records = [r for r in caplog.records if r.name == "etl.schedule"]
    assert len(records) == 1
    line = json.loads(logs.JsonLines().format(records[0]))
    assert line["outcome"] == "complete"
    assert (line["account"], line["resource"]) == ("lab", "instances")
    assert (line["listed"], line["added"], line["requests"]) == (4, 4, 1)
    assert line["seconds"] >= 0
    assert KEY not in json.dumps(line)


@pytest.mark.parametrize(("form", "first"), [("text", "1"), ("json", "{"), ("auto", "{")])
def test_a_log_is_json_where_nobody_looks(form: str, first: str, database: Database) -> None:
    import warnings

    root, was = logging.getLogger(), warnings.showwarning
    handlers, level = root.handlers[:], root.level
    said = io.StringIO()
    try:
        logs.configure(form, said)
        logging.getLogger("etl.x").info("hello %s", database.location)
        logging.getLogger("foreign").info("not heard")
        warnings.showwarning("mind this", UserWarning, "file.py", 1)
    finally:
        root.handlers[:], warnings.showwarning = handlers, was
        root.setLevel(level)
        for name in ("etl", "etl.source.client"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    lines = said.getvalue().splitlines()
    assert len(lines) == 2
    assert "mind this" in lines[1]
    assert lines[0].startswith("{") == (first == "{")


ARENAS_OF_THREADS = """
import ctypes, threading
from etl.service.daemon import use_few_arenas
use_few_arenas()
libc = ctypes.CDLL(None)
all_at_once = threading.Barrier(12)
def work():
    all_at_once.wait()
    libc.malloc(1000)
    all_at_once.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.tmpfile.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.tmpfile())
libc.malloc_info(0, file)
libc.rewind(file)
said = ctypes.create_string_buffer(1_000_000)
libc.fread(said, 1, 999_999, file)
print(said.value.count(b"<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_threads_share_their_memory() -> None:
    """Else what each freed is kept for it alone, and a daemon of many accounts grows."""
    made = subprocess.run([sys.executable, "-c", ARENAS_OF_THREADS], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert int(made.stdout) <= 2
