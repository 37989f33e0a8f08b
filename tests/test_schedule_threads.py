"""Several schedules and accounts at once, with threads and the real clock."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from etl import polling
from etl.app import App
from etl.polling import Result
from etl.settings import Account
from etl.simcloud import Story
from tests.driven import live, real, starts_of
from tests.live import Living, wait_for
from tests.support import columns, rows

__all__ = ["live"]


def test_an_account_that_hangs_delays_no_other_and_its_ticks_are_recorded_as_skipped(
    live: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(int(time.time()) - 86_400)
    lab = live(story, timeout_s=30)
    lab.server.clock = time.time
    let_go = threading.Event()
    good, bad = Account("good", key_env="CHENYU_API_KEY"), Account("bad", key_env="CHENYU_API_KEY")
    one = real(lab.app, good, bad)
    poll = polling.sync_one

    def hangs(app: App, account: Account, *more: Any, **options: Any) -> Result:
        if account.name == "bad":
            let_go.wait(120)
        return poll(app, account, *more, **options)

    monkeypatch.setattr(polling, "sync_one", hangs)
    try:
        one.goes_on_until(lambda: one.count("good", "complete") >= 3)
        assert one.count("bad", "skipped") >= 1
        assert one.schedule.in_hand() == ["bad instances"]
        let_go.set()
        one.goes_on_until(lambda: one.count("bad", "complete") >= 1)
    finally:
        let_go.set()
        assert one.schedule.stop(60)
    skipped = rows(lab.database, "SELECT error FROM sync_run WHERE outcome = 'skipped'")
    assert skipped
    assert "is not done yet" in skipped[0][0]


def test_two_schedules_share_an_account_and_poll_it_once_in_an_interval(live: Living) -> None:
    story = Story(int(time.time()) - 86_400)
    first = live(story)
    second = live(story, url=first.app.settings.database_url)
    first.server.clock = second.server.clock = time.time
    both = [real(lab.app, lab.account) for lab in (first, second)]

    def looked() -> bool:
        for each in both:
            each.schedule.notice_set_clock()
        return sum(each.count("lab", "complete") for each in both) >= 6

    wait_for(looked)
    for each in both:
        assert each.schedule.stop(60)
    runs = columns(first.database, "SELECT outcome, started_at FROM sync_run ORDER BY started_at")
    found = starts_of(runs)
    assert len(found) <= (found[-1] - found[0]) / 2 + 2, "once in an interval, and at the start"
    others = {run["outcome"] for run in runs} - {"complete"}
    assert others <= {"skipped"}, "on a busy machine a poll may last longer than the interval"
    assert sum(each.count("lab", "covered") for each in both) >= 1


def test_a_tick_that_finds_its_account_locked_elsewhere_is_recorded_as_skipped(
    live: Living,
) -> None:
    story = Story(int(time.time()) - 86_400)
    lab = live(story)
    lab.server.clock = time.time
    with lab.app.store(lab.account.name).account_lock():
        one = real(lab.app, lab.account)
        one.goes_on_until(lambda: one.count("lab", "skipped") >= 1)
    one.goes_on_until(lambda: one.count("lab", "complete") >= 1)
    assert one.schedule.stop(60)
    outcomes = {row[0] for row in rows(lab.database, "SELECT outcome FROM sync_run")}
    assert outcomes == {"complete", "skipped"}
