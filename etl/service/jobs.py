"""Our trigger and our executor as APScheduler's own kinds, by its public API alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from etl.errors import SettingsError
from etl.texts import tr
from etl.timing.cadence import Cadence
from etl.timing.triggers import Cron, Trigger, grid, weekdays


def trigger_of(cadence: Cadence, account: str, timezone: str) -> Trigger:
    """Build the trigger of a cadence. Raises `SettingsError` for an odd cron expression."""
    if cadence.every_s:
        return grid(cadence.every_s, account)
    minute, hour, day, month, weekday = cadence.cron.split()
    try:
        # cron runs on either of the two, APScheduler where both match: one of them would surprise
        if "*" not in (day, weekday):
            raise ValueError("day of month and of week")
        fields = {"minute": minute, "hour": hour, "day": day, "month": month}
        # in UTC for now: `Cron` reads its times as those of a wall clock, around changes of it
        walls = CronTrigger(**fields, day_of_week=weekdays(weekday), timezone=UTC)
    except (ValueError, TypeError):
        raise SettingsError(
            tr("{cron!r} is not a cron expression that is understood", cron=cadence.cron),
            advice=tr(
                "minute hour day month weekday, as in '*/5 8-20 * * 1-5'; of day and weekday "
                "one must be *"
            ),
        ) from None
    is_hourly = hour in ("*", "*/1")
    return Cron(partial(walls.get_next_fire_time, None), ZoneInfo(timezone), is_hourly)


class DueTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """APScheduler trigger that follows one of ours. Missed ticks become one: the first of them."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        # never before now: a clock that was set forward would bring hundreds of ticks at once
        after = max(now, previous) if previous else now - timedelta(microseconds=1)
        following = self.trigger.following(after.timestamp())
        return None if following is None else datetime.fromtimestamp(following, UTC)


class AccountExecutor(BasePoolExecutor):  # type: ignore[misc]
    """Executor that runs the polls of one account in turn, since they share one lock.

    APScheduler's own count of running instances cannot tell a waiting poll from a running one. A
    new tick of a waiting poll is served by that poll, and `coalesced` is called with the job's id;
    one of a running poll is refused, so that the scheduler reports it.
    """

    def __init__(
        self,
        pool: Executor,
        monotonic: Callable[[], float],
        coalesced: Callable[[str], object],
    ) -> None:
        super().__init__(pool)
        self._coalesced = coalesced
        self._monotonic = monotonic
        # the scheduler's thread submits, the account's works
        self._guard = Lock()
        self._waiting: dict[str, float] = {}  # when each was due, by the job's id
        self._making: tuple[str, float] | None = None

    def submit_job(self, job: Any, run_times: list[datetime]) -> None:
        with self._guard:
            if self._making is not None and self._making[0] == job.id:
                raise MaxInstancesReachedError(job)
            waits = job.id in self._waiting
            # the first tick counts: that is since when the poll is due
            self._waiting.setdefault(job.id, run_times[-1].timestamp())
        if waits:
            self._coalesced(job.id)
        else:
            super().submit_job(job, run_times)

    def has(self, job_id: str) -> bool:
        """Tell whether this poll is waiting or running."""
        with self._guard:
            return job_id in self._waiting or (
                self._making is not None and self._making[0] == job_id
            )

    def making(self) -> tuple[str, float] | None:
        """Return the id of the running poll, and how long it has run, in seconds."""
        with self._guard:
            if self._making is None:
                return None
            job_id, since = self._making
            return job_id, self._monotonic() - since

    @contextmanager
    def turn(self, job_id: str) -> Iterator[float]:
        """Mark this poll as running; yields when its tick was due, seconds since 1970."""
        with self._guard:
            due_at = self._waiting.pop(job_id)
            self._making = job_id, self._monotonic()
        try:
            yield due_at
        finally:
            with self._guard:
                self._making = None
