"""When accounts are polled: ticks in UTC, by APScheduler.

One job for each (account, resource), one thread for each account: its polls queue, since they share
one lock, and no account waits for another. APScheduler keeps the jobs and the time of each; it reads
the wall clock, so `look` is called twice a second and times all jobs anew when the clock was set
back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from etl.errors import EtlError, SettingsError
from etl.history.days import iso
from etl.resources import RESOURCES, Resource
from etl.service.ticks import Ticks, Watch
from etl.settings import Account, Settings
from etl.timing.cadence import Cadence, duration
from etl.timing.triggers import Cron, Trigger, grid, weekdays

DEFAULT_EVERY_S: Final = 120
SLICE_S: Final = 0.5
CLOCK_STEP_S: Final = 1.0
CLERK_LIMIT: Final = 1_000
"""Skipped ticks that wait to be recorded, at most: the database may be away."""

log = logging.getLogger("etl.schedule")


def trigger_of(cadence: Cadence, account: str, timezone: str) -> Trigger:
    """When polls by this cadence are due. Raises `SettingsError` for an odd cron expression."""
    if cadence.every_s:
        return grid(cadence.every_s, account)
    minute, hour, day, month, weekday = cadence.cron.split()
    try:
        if "*" not in (day, weekday):
            raise ValueError("day of month and of week")
        fields = {"minute": minute, "hour": hour, "day": day, "month": month}
        found = CronTrigger(**fields, day_of_week=weekdays(weekday), timezone=UTC)
    except (ValueError, TypeError):
        raise SettingsError(
            f"{cadence.cron!r} is no cron expression that is understood",
            advice="minute hour day month weekday, as in '*/5 8-20 * * 1-5'; of day and weekday one"
            " must be *",
        ) from None
    is_hourly = hour in ("*", "*/1")
    return Cron(partial(found.get_next_fire_time, None), ZoneInfo(timezone), is_hourly)


def cadences(settings: Settings) -> dict[tuple[str, str], tuple[Account, Resource[Any], Cadence]]:
    """What is polled how often, by the names of account and resource."""
    wanted = getattr(settings, "resources", tuple(RESOURCES))
    found = {}
    for account in settings.accounts:
        for name in wanted:
            resource = RESOURCES[name]
            default = Cadence(getattr(resource, "every_s", DEFAULT_EVERY_S))
            cadence = account.schedule.get(name) or settings.schedule.get(name) or default
            if not cadence.is_off:
                found[account.name, name] = account, resource, cadence
    return found


class Schedule:
    """The ticks of all accounts, at work from its creation until `stop`."""

    def __init__(
        self,
        ticks: Ticks,
        settings: Settings,
        *,
        lane: Callable[[], Lane] | None = None,
        clerk: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.ticks = ticks
        self.watches: dict[str, Watch] = {}
        self._lanes: dict[str, Lane] = {}
        self._new_lane = lane or Lane
        # rows for skipped ticks are written beside the loop: a database may keep them waiting
        self._clerk = clerk or ThreadPoolExecutor(1, "clerk").submit
        self._to_record = set[tuple[str, int]]()  # the loop adds, the clerk takes away
        self._jobs = _Jobs(timezone=UTC)
        self._jobs.add_listener(self._overrun, EVENT_JOB_MAX_INSTANCES)
        self._jobs.start()
        self._drift_s = ticks.app.clock() - ticks.monotonic()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Schedule what these settings say, from now on. Raises `SettingsError`, then all is as
        before. A watch whose account and cadence did not change goes on as it is, but is held back
        no longer after failures."""
        watches = {
            "\n".join(names): Watch(
                account, resource, cadence, trigger_of(cadence, account.name, settings.timezone)
            )
            for names, (account, resource, cadence) in cadences(settings).items()
        }
        for key, was in self.watches.items():
            now = watches.get(key)
            if now and (was.account, was.cadence) == (now.account, now.cadence):
                watches[key] = was
                was.pace.recovers()  # somebody may have mended what failed
        self._jobs.remove_all_jobs()
        self.watches = watches
        for key, watch in watches.items():
            self._add(key, watch)

    def look(self) -> None:
        """Start what is due. To be called every `SLICE_S`."""
        drift_s = self.ticks.app.clock() - self.ticks.monotonic()
        step_s, self._drift_s = drift_s - self._drift_s, drift_s
        if step_s < -CLOCK_STEP_S:
            log.warning("the clock was set back by %s: polls are timed anew", duration(-step_s))
            for job in self._jobs.get_jobs():
                job.reschedule(job.trigger)
        self._jobs.look()

    def stop(self, grace_s: float) -> bool:
        """Begin no more polls, and wait so long for those in hand. True where all ended."""
        self.ticks.stopping.set()
        self._jobs.shutdown(wait=False)
        ends = self.ticks.monotonic() + grace_s
        while (self.in_hand() or self._to_record) and self.ticks.monotonic() < ends:
            time.sleep(0.05)
        return not (self.in_hand() or self._to_record)

    def in_hand(self, longer_than_s: float = -1.0) -> list[str]:
        """The polls that are being made, for longer than this."""
        at = time.monotonic()
        lanes = [(lane.working_on, at - lane.begun) for lane in self._lanes.values()]
        return [key.replace("\n", " ") for key, since_s in lanes if key and since_s > longer_than_s]

    def _add(self, key: str, watch: Watch) -> None:
        name, now = watch.account.name, self.ticks.app.clock()
        if name not in self._lanes:
            self._lanes[name] = self._new_lane()
            self._jobs.add_executor(self._lanes[name], f"account {name}")
        # the newest tick may be polled already, by a predecessor or a neighbour: `Ticks` looks
        first: float | None = now
        if self._lanes[name].has(key):
            first = watch.trigger.following(now)
        elif not watch.is_side:  # the earliest is polled first
            first = watch.trigger.latest(now)
        if first is not None:
            self._jobs.add_job(
                self._tick,
                _Due(watch.trigger),
                args=(key,),
                id=key,
                executor=f"account {name}",
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
                next_run_time=datetime.fromtimestamp(first, UTC),
            )

    def _tick(self, key: str, due_at: float = 0.0) -> None:
        watch = self.watches.get(key)
        if watch is not None and not self.ticks.stopping.is_set():
            self.ticks.tick(watch, due_at)

    def _overrun(self, event: JobSubmissionEvent) -> None:
        """The last poll is still in hand. One that only queues, behind another of its account, will
        be that of this tick too."""
        watch = self.watches.get(event.job_id)
        if watch is None or not watch.pace.is_due(self.ticks.monotonic()):
            return
        if self._lanes[watch.account.name].working_on != event.job_id:
            return
        due_at = int(event.scheduled_run_times[-1].timestamp())
        why = f"the poll before that of {iso(due_at)} is not done yet"
        log.warning("%s: skipped, %s", watch.name, why)
        self.ticks.observe(watch, "skipped")
        row = event.job_id, due_at
        if len(self._to_record) < CLERK_LIMIT:
            self._to_record.add(row)
            self._clerk(partial(self._record, watch, self.ticks.app.now(), why, row))

    def _record(self, watch: Watch, now: int, why: str, row: tuple[str, int]) -> None:
        try:
            self.ticks.app.record_skipped(watch.account.name, watch.resource.name, now, why)
        except EtlError as error:
            log.error("%s: %s", watch.name, error.message)
        except Exception:
            log.exception("%s: a fault of this program", watch.name)
        finally:
            self._to_record.discard(row)


class Lane(BaseExecutor):  # type: ignore[misc] # APScheduler has no types
    """One thread, for the polls of one account."""

    begun = 0.0
    working_on = ""

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(1, "lane")

    def has(self, key: str) -> bool:
        """Whether this job is in hand or queues."""
        return key in self._instances

    def shutdown(self, wait: bool = True) -> None:
        self._pool.shutdown(wait, cancel_futures=True)

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        self._submit(partial(self._work, job, run_times[-1].timestamp()))

    def _submit(self, work: Callable[[], None]) -> None:
        self._pool.submit(work)

    def _work(self, job: Any, due_at: float) -> None:
        self.begun, self.working_on = time.monotonic(), job.id
        try:
            job.func(*job.args, due_at)
        finally:
            self.working_on = ""
            self._run_job_success(job.id, ())


class _Due(BaseTrigger):  # type: ignore[misc]
    """A trigger of ours as one of APScheduler's. What was missed comes once: the first of it."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        after = max(now, previous) if previous else now - timedelta(microseconds=1)
        found = self.trigger.following(after.timestamp())
        return None if found is None else datetime.fromtimestamp(found, UTC)


class _Jobs(BaseScheduler):  # type: ignore[misc]
    """APScheduler without a loop of its own."""

    def look(self) -> None:
        self._process_jobs()

    def wakeup(self) -> None:
        """`look` comes soon."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)


logging.getLogger("apscheduler").setLevel(logging.ERROR)  # of the rest it says less than we do
