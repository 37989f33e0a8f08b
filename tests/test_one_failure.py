"""Promise 10: one failure stays one failure, even one that nobody expected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl import polling
from etl.errors import ErrorKind, Unavailable
from etl.polling import Result, exit_code, sync_all
from etl.settings import Account
from etl.simcloud import Story
from tests.live import KEY, Live, Living, living
from tests.support import rows

NAMES = ("lab", "other")


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def two(live: Living) -> Live:
    """Two accounts, each with instances, prices and a balance."""
    made = live(Story())
    made.cloud.rents_many(3)
    accounts = tuple(Account(name, key_env="CHENYU_API_KEY") for name in NAMES)
    resources = ("instances", "gpu_prices", "balance")
    made.app.settings = polling_settings(made, accounts, resources)
    return made


def polling_settings(made: Live, accounts: tuple[Account, ...], resources: Any) -> Any:
    from dataclasses import replace

    return replace(made.app.settings, accounts=accounts, resources=resources)


def breaks(monkeypatch: pytest.MonkeyPatch, at: tuple[str, str], error: Exception) -> None:
    """The poll of this account and resource ends in an exception."""
    right = polling.sync

    def sync(job: Any, covers: Any = None) -> Any:
        if (job.account, job.resource.name) == at:
            raise error
        return right(job, covers)

    monkeypatch.setattr(polling, "sync", sync)


def outcomes(results: list[Result]) -> dict[tuple[str, str], str]:
    return {
        (r.account, r.resource): str(r.error.kind) if r.error else r.outcome.run.outcome  # type: ignore[union-attr]
        for r in results
    }


@pytest.mark.parametrize("at", [("lab", "instances"), ("lab", "balance"), ("other", "gpu_prices")])
def test_an_exception_that_nobody_expected_costs_one_poll(
    at: tuple[str, str],
    two: Live,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    breaks(monkeypatch, at, OverflowError(f"date out of range, api_key={KEY}"))
    with caplog.at_level(logging.ERROR):
        results = list(sync_all(two.app))
    found = outcomes(results)
    assert found.pop(at) == ErrorKind.FAULT
    assert len(found) == 5
    assert set(found.values()) == {"complete"}
    assert exit_code(results) == 6
    assert "Traceback" in caplog.text
    assert "OverflowError" in caplog.text
    assert KEY not in caplog.text
    sql = "SELECT outcome, error FROM sync_run WHERE error_kind = 'fault'"
    assert rows(two.database, sql) == [
        ("failed", "a fault of this program: OverflowError: date out of range, api_key=***")
    ]


def test_a_list_that_does_not_come_keeps_no_other_from_being_read(
    two: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, ("lab", "instances"), Unavailable("GET /instance/list: HTTP 500"))
    found = outcomes(list(sync_all(two.app)))
    assert found.pop(("lab", "instances")) == ErrorKind.UNAVAILABLE
    assert set(found.values()) == {"complete"}
    assert len(found) == 5


def test_a_refused_key_is_tried_once_for_each_account(two: Live) -> None:
    two.app.environ = {"CHENYU_API_KEY": "cy_wrong"}
    found = outcomes(list(sync_all(two.app)))
    assert found == {(name, "instances"): ErrorKind.KEY_REFUSED for name in NAMES}
