"""Schedule of the polls of all accounts: ticks in UTC, kept by APScheduler.

One job for each (account, resource), one thread for each account: its polls take turns, and no
account waits for another. APScheduler sleeps until the next job is due and cannot know that the
wall clock was set meanwhile: `notice_set_clock`, called twice a second, notices that and reschedules the jobs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from apscheduler.events import (
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_SUBMITTED,
    JobSubmissionEvent,
)
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from etl import polling
from etl.errors import EtlError
from etl.history.days import iso
from etl.resources import RESOURCES, Resource
from etl.service.jobs import AccountExecutor, DueTrigger, trigger_of
from etl.service.ticks import Ticks, Watch
from etl.settings import Account, Settings
from etl.timing.cadence import Cadence, duration
from etl.timing.clock import ClockSteps

# the time by which a clock that was set can delay a poll
SLICE_S: Final = 0.5
# NTP slews by less between two looks
CLOCK_STEP_S: Final = 1.0
OVERDUE_S: Final = 60.0
"""A tick that is not handed to its account's thread for this long shows that the scheduler stands."""
MOST_UNRECORDED: Final = 1_000
"""Skipped ticks that wait to be recorded, at most: the database may be away."""
MOST_INSTANCES: Final = 2
"""Of a job, by APScheduler's count, which lags by a moment: `AccountExecutor` keeps them to one."""

log = logging.getLogger("etl.schedule")


# more would only wait for the lock that these polls share
def one_thread() -> Executor:
    """Return a pool of one thread, for the polls of one account."""
    return ThreadPoolExecutor(1, "account")


def cadences(settings: Settings) -> dict[tuple[str, str], tuple[Account, Resource[Any], Cadence]]:
    """Map (account, resource) to how often it is polled; resources that are off are left out."""
    polled = {}
    for account in settings.accounts:
        for name in settings.resources:
            resource = RESOURCES[name]
            default = Cadence(resource.every_s)
            # an account's own schedule goes before the common one, that before the resource's
            # default
            cadence = account.schedule.get(name) or settings.schedule.get(name) or default
            if not cadence.is_off:
                polled[account.name, name] = account, resource, cadence
    return polled


class Schedule:
    """The ticks of all accounts, at work from its creation until `stop`.

    `jobs` is APScheduler's, not started yet; `pool` makes the thread of an account; `recorder` writes
    the rows of skipped ticks beside the schedule, since a database may keep them waiting.
    """

    def __init__(
        self,
        ticks: Ticks,
        settings: Settings,
        *,
        jobs: BaseScheduler | None = None,
        pool: Callable[[], Executor] = one_thread,
        recorder: Executor | None = None,
    ) -> None:
        self.ticks = ticks
        self.watches: dict[str, Watch] = {}
        self._executors: dict[str, AccountExecutor] = {}
        self._pool = pool
        self._recorder = recorder or ThreadPoolExecutor(1, "skipped-ticks")
        self._unrecorded = set[tuple[str, int]]()
        self._jobs = jobs or BackgroundScheduler(timezone=UTC)
        self._jobs.add_listener(self._overrun, EVENT_JOB_MAX_INSTANCES)
        self._jobs.add_listener(self._count_late, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES)
        self._jobs.start()
        self._steps = ClockSteps(ticks.app.clock() - ticks.monotonic())
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Schedule by these settings from now on. Raises `SettingsError`, then nothing changes.

        A watch whose account and cadence stay the same goes on as it is, but failures hold it back
        no longer.
        """
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
        # built above, and only then exchanged: a cadence that is refused changes nothing
        self._jobs.remove_all_jobs()
        self.watches = watches
        for key, watch in watches.items():
            self._add(key, watch)

    def notice_set_clock(self) -> None:
        """Notice a clock that was set. Call it every `SLICE_S`."""
        step_s = self._steps.step_s(self.ticks.app.clock(), self.ticks.monotonic())
        if step_s < -CLOCK_STEP_S:
            log.warning("the clock was set back by %s: polls are timed anew", duration(-step_s))
            for job in self._jobs.get_jobs():
                # APScheduler keeps the next time of a job as an instant, which now lies far ahead
                job.reschedule(job.trigger)
        elif step_s > CLOCK_STEP_S:
            self._jobs.wakeup()  # it sleeps for as long as seemed right before

    def stands_still(self) -> bool:
        """Tell whether due ticks are not being started: a fault of ours, or a machine that
        hangs.
        """
        limit = self.ticks.app.clock() - OVERDUE_S
        return any(job.next_run_time.timestamp() < limit for job in self._jobs.get_jobs())

    def stop(self, grace_s: float) -> bool:
        """Begin no more polls, and wait that long for running ones; return True if all ended."""
        self.ticks.stopping.set()
        self._jobs.shutdown(wait=False)
        ends = self.ticks.monotonic() + grace_s
        # not a join: a poll that hangs must not keep the daemon from ending
        while (self.in_hand() or self._unrecorded) and self.ticks.monotonic() < ends:
            time.sleep(0.05)
        return not (self.in_hand() or self._unrecorded)

    def in_hand(self, longer_than_s: float = -1.0) -> list[str]:
        """Return the polls that have been running for longer than this."""
        making = (executor.making() for executor in self._executors.values())
        return [poll[0].replace("\n", " ") for poll in making if poll and poll[1] > longer_than_s]

    def _add(self, key: str, watch: Watch) -> None:
        executor = self._executor(watch.account.name)
        now = self.ticks.app.clock()
        # the newest tick may be polled already, by a predecessor or a neighbour: `Ticks` looks
        first: float | None = now
        if executor.has(key):
            first = watch.trigger.following(now)
        elif not watch.is_optional:  # the earliest is polled first
            # from its tick on, not from now: the scheduler starts late jobs in the order of their times
            first = watch.trigger.latest(now)
        if first is not None:
            self._jobs.add_job(
                self._tick,
                DueTrigger(watch.trigger),
                args=(key, executor),
                id=key,
                executor=f"account {watch.account.name}",
                max_instances=MOST_INSTANCES,
                coalesce=True,
                # a late tick is served all the same: after a suspend one poll must come at once
                misfire_grace_time=None,
                next_run_time=datetime.fromtimestamp(first, UTC),
            )

    def _executor(self, account: str) -> AccountExecutor:
        if account not in self._executors:
            self._executors[account] = AccountExecutor(
                self._pool(), self.ticks.monotonic, self._coalesce
            )
            self._jobs.add_executor(self._executors[account], f"account {account}")
        return self._executors[account]

    def _tick(self, key: str, executor: AccountExecutor) -> None:
        with executor.turn(key) as due_at:
            watch = self.watches.get(key)
            if watch is not None and not self.ticks.stopping.is_set():
                self.ticks.tick(watch, due_at)

    def _coalesce(self, key: str, ticks: int = 1) -> None:
        """Count ticks that have no poll of their own, as the one of a tick before serves them."""
        watch = self.watches.get(key)
        if watch is not None and ticks > 0:
            self.ticks.observe(watch, "coalesced", None, 0.0, ticks)

    def _count_late(self, event: JobSubmissionEvent) -> None:
        """Count the ticks that passed before a late one was started: APScheduler drops them."""
        watch, job = self.watches.get(event.job_id), self._jobs.get_job(event.job_id)
        if watch is not None and job is not None and job.next_run_time is not None:
            due_at = event.scheduled_run_times[-1].timestamp()
            self._coalesce(event.job_id, watch.trigger.count(due_at, job.next_run_time.timestamp()))

    def _overrun(self, event: JobSubmissionEvent) -> None:
        """Record a tick that is skipped as the poll before it is still being made."""
        watch = self.watches.get(event.job_id)
        if watch is None:
            return
        # it would not have polled anyway
        if not watch.pace.is_due(self.ticks.monotonic()):
            self.ticks.observe(watch, "held")
            return
        due_at = int(event.scheduled_run_times[-1].timestamp())
        why = f"the poll before that of {iso(due_at)} is not done yet"
        log.warning("%s: skipped, %s", watch.name, why)
        self.ticks.observe(watch, "skipped")
        row = event.job_id, due_at
        # their rows are lost, not their memory's bound: the log has them all
        if len(self._unrecorded) < MOST_UNRECORDED:
            self._unrecorded.add(row)
            self._recorder.submit(self._record, watch, self.ticks.app.now(), why, row)

    def _record(self, watch: Watch, now: int, why: str, row: tuple[str, int]) -> None:
        try:
            polling.record_skipped(
                self.ticks.app, watch.account.name, watch.resource.name, now, why
            )
        except EtlError as error:
            log.error("%s: %s", watch.name, error.message)
        except Exception:
            log.exception("%s: a fault of this program", watch.name)
        finally:
            self._unrecorded.discard(row)


logging.getLogger("apscheduler").setLevel(logging.ERROR)  # of the rest it says less than we do
