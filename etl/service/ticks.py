"""Make one poll for a tick, unless another process made it, and pace the next ones by its outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from etl import polling
from etl.app import App
from etl.errors import (
    AlreadyPolled,
    Away,
    Busy,
    ClockUnsure,
    EtlError,
    SettingsError,
    SourceError,
    Unavailable,
)
from etl.history.days import iso
from etl.poll import SKEW_S, LastPoll
from etl.polling import Result
from etl.resources import Resource
from etl.settings import Account
from etl.sync import Covers
from etl.timing.cadence import Cadence, Pace, duration
from etl.timing.triggers import Trigger

LATE_S: Final = 5.0
"""A tick that comes later than this says so."""
SLACK: Final = 0.4
LEAST_SLACK_S: Final = 1.6
"""A poll that began by this share of an interval before a tick counts for it: the clocks of machines
differ, a start or a late tick is off the grid, and `started_at` is rounded down by over a second."""
WAIT_SHARE: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
"""A tick that finds its account locked, or the database away, tries again, this long at most."""
AGAIN_S: Final = 1.0
LONGEST_AGAIN_S: Final = 5.0
"""Between two tries; it doubles, as each asks Postgres for a connection."""
FIGURES: Final = (
    "listed",
    "added",
    "changed",
    "gone",
    "rejected",
    "requests",
    "retries",
    "walks",
)

log = logging.getLogger("etl.schedule")


@dataclass(slots=True)
class Watch:
    """Schedule and recent outcomes of one resource of one account.

    `error_kind` is that of its newest attempt here, None if it went well or another process polled since.
    `offset_s` is source clock minus local clock at its last poll here, None before the first;
    `complete_at` the start, on the local clock, of its newest complete poll by whichever process,
    `failed_at` that of the newest poll of this process that failed, and `listed` how many records a
    poll of this process listed last; `is_covered`: another process polled for the newest tick.
    """

    account: Account
    resource: Resource[Any]
    cadence: Cadence
    trigger: Trigger
    pace: Pace = field(default_factory=Pace)
    offset_s: float | None = None
    complete_at: float | None = None
    failed_at: float = float("inf")
    listed: int | None = None
    error_kind: str | None = None
    is_covered: bool = False

    @property
    def is_optional(self) -> bool:
        """Tell whether the program can do without this resource."""
        return self.resource.is_optional

    @property
    def name(self) -> str:
        return f"{self.account.name} {self.resource.name}"


class Observer(Protocol):
    """Callback after every tick, so that each is counted once. `outcome`: `complete`, `partial`,
    `failed`, `skipped` (locked, or the last is not done), `covered` (another process polled), `held`
    (after failures), `coalesced` (the poll of another tick served it, as that came late or waited).
    `ticks` is how many.
    """

    def __call__(
        self,
        watch: Watch,
        outcome: str,
        result: Result | None = None,
        took_s: float = 0.0,
        ticks: int = 1,
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class _Turn:
    """A tick that is being served since `at`, and tries until `ends` on the monotonic clock."""

    watch: Watch
    at: float
    due_at: float
    covers: Covers
    ends: float


def unobserved(*_: object, **__: object) -> None:
    """Ignore the tick: an `Observer` for those who need none."""


@dataclass
class Ticks:
    """Make polls as they fall due. `after` is called with every poll's result, in its thread."""

    app: App
    after: Callable[[Result], object] | None = None
    observe: Observer = unobserved
    monotonic: Callable[[], float] = time.monotonic
    stopping: threading.Event = field(default_factory=threading.Event)

    def tick(self, watch: Watch, due_at: float) -> None:
        """Serve one tick. A fault of ours ends the tick, but not the schedule."""
        try:
            self._tick(watch, due_at)
        except EtlError as error:
            log.error("%s: %s", watch.name, error.message)
            self.observe(watch, "failed")
        except Exception:
            log.exception("%s: a fault of this program", watch.name)
            self.observe(watch, "failed")

    def _tick(self, watch: Watch, due_at: float) -> None:
        now = self.app.clock()
        # half of an interval: then the next tick is nearer than this one
        wait_s = min(watch.trigger.gap_s(now) * WAIT_SHARE, LONGEST_WAIT_S)
        covers = partial(self._covers, watch, watch.trigger.latest(now))
        turn = _Turn(watch, now, due_at, covers, self.monotonic() + wait_s)
        if not watch.pace.is_due(self.monotonic()):
            if not self._is_left_alone(turn):
                self.observe(watch, "held")
                return
            log.info("%s: held back no longer, as no other process polls now", watch.name)
        pause_s = AGAIN_S
        while not self._is_done(turn, is_last=self.monotonic() >= turn.ends):
            if self.stopping.wait(min(pause_s, max(0.1, turn.ends - self.monotonic()))):
                return
            # tried again, not just awaited: the process that holds the lock may die
            pause_s = min(2 * pause_s, LONGEST_AGAIN_S)

    def _is_left_alone(self, turn: _Turn) -> bool:
        """Tell whether another process, which polled well while this one failed, has stopped
        polling.

        Then this process polls again, even if it would still be held back.
        """
        watch = turn.watch
        while watch.pace.is_failing and not self._is_polled(turn):
            # nobody has polled well since: the fault may be the source's
            if watch.complete_at is None or watch.complete_at <= watch.failed_at:
                return False
            # a tick stayed without a poll for half an interval: the other process is dead
            if self.monotonic() >= turn.ends:
                return True
            if self.stopping.wait(AGAIN_S):
                return False
        return False

    def _is_done(self, turn: _Turn, *, is_last: bool) -> bool:
        """Make one attempt; False if the tick is to be tried again.

        A tick is tried again, until the last attempt, while another process holds the account or
        the database is away: the other process may finish its poll, or die.
        """
        try:
            # without the lock, where another process is likely to have polled; else the poll itself asks
            if turn.watch.is_covered and self._is_polled(turn):
                self._note_covered(turn.watch)
                return True
            turn.watch.is_covered = False
            return self._poll(turn, is_last)
        except (Away, Busy):
            if is_last:
                raise
            return False

    def _poll(self, turn: _Turn, is_last: bool) -> bool:
        watch, account, resource = turn.watch, turn.watch.account, turn.watch.resource
        # counted over the account: a 429 that a retry healed is in no error
        began, limited = self.monotonic(), self.app.limited(account.name)
        result = polling.sync_one(self.app, account, resource, covers=turn.covers)
        error = result.error
        if isinstance(error, Busy) and self._is_polled(turn):
            self._note_covered(watch)
            return True
        # no row and no line for a try that another one follows
        if isinstance(error, Away | Busy) and not is_last:
            return False
        if isinstance(error, AlreadyPolled):
            self._note_covered(watch)
        elif isinstance(error, Busy):
            # skipped has a row too: coverage would otherwise show a gap without a reason
            log.warning("%s: skipped, %s", watch.name, error.message)
            polling.record_skipped(
                self.app, account.name, resource.name, int(turn.at), error.message
            )
            self.observe(watch, "skipped", result)
        else:
            took_s = self.monotonic() - began
            self._log_late(watch, turn.at - turn.due_at, turn.at)
            self._learn(watch, result, began, self.app.limited(account.name) > limited)
            self._log(watch, result, took_s)
            self._hand_on(watch, result)
        return True

    def _note_covered(self, watch: Watch) -> None:
        watch.error_kind, watch.is_covered = None, True
        log.debug("%s: another process polled", watch.name)
        self.observe(watch, "covered")

    def _log_late(self, watch: Watch, late_s: float, now: float) -> None:
        # the first tick may be older than this process
        if late_s > LATE_S and watch.offset_s is not None:
            missed = late_s > watch.trigger.gap_s(now)
            log.log(
                logging.WARNING if missed else logging.INFO,
                "%s: the tick of %s comes %s late",
                watch.name,
                iso(int(now - late_s)),
                duration(round(late_s)),
            )

    def _hand_on(self, watch: Watch, result: Result) -> None:
        """Call `after`. A fault there does not undo the poll, which is done and counted."""
        try:
            if self.after is not None:
                self.after(result)
        except EtlError as error:
            log.error("%s: after the poll: %s", watch.name, error.message)
        except Exception:
            log.exception("%s: a fault of this program after the poll", watch.name)

    def _learn(self, watch: Watch, result: Result, began: float, limited: bool) -> None:
        """Pace the next polls by this one, and log it if they come later."""
        error = result.error
        watch.error_kind = None if error is None else error.kind
        limited = limited or (isinstance(error, Unavailable) and error.limited)
        whole = result.outcome is not None and result.outcome.run.outcome == "complete"
        if result.outcome is not None:
            run = result.outcome.run
            watch.offset_s, watch.listed = run.clock_offset_s or 0.0, run.listed
            if run.outcome == "complete":
                # `started_at` lies earlier than the request by the skew
                watch.complete_at = run.started_at + SKEW_S - watch.offset_s
        gap_s = watch.trigger.gap_s(self.app.clock())
        # a database that is away, or a full disk, is asked again at every tick
        failed = isinstance(error, SourceError | SettingsError)
        failed = failed and not isinstance(error, ClockUnsure)  # the next reading may confirm it
        if failed:
            watch.failed_at = self.app.clock()
        # a key without permission for one thing is asked for it now and then, in case it is given
        if result.is_warning:
            watch.pace.rests(began, polling.ABSENT_EVERY_S)
            return
        # an outage passes by itself: its polls are stretched less than those of a refused key
        away = isinstance(error, Unavailable) and not error.limited
        wait_s = watch.pace.after_poll(
            began, gap_s, failed=failed, limited=limited, whole=whole, away=away
        )
        if wait_s > gap_s:
            why = (
                "the source limits the rate of requests"
                if watch.pace.stretch > 1
                else f"{watch.pace.failures} failures in a row"
            )
            log.warning("%s: %s; the next poll is due in %s", watch.name, why, duration(wait_s))

    def _log(self, watch: Watch, result: Result, took_s: float) -> None:
        """Log one line for a poll, with its figures."""
        line: dict[str, Any] = {
            "account": watch.account.name,
            "resource": watch.resource.name,
            "seconds": round(took_s, 3),
        }
        if result.outcome is None:
            assert result.error is not None
            # without permission for a side resource the program goes on: that is said once
            level = (
                (logging.DEBUG if result.is_repeated else logging.WARNING)
                if (result.is_warning)
                else logging.ERROR
            )
            outcome, text = "failed", result.error.message
            line |= {"outcome": outcome, "error": text}
        else:
            run = result.outcome.run
            outcome, figures = run.outcome, {name: getattr(run, name) for name in FIGURES}
            level = logging.INFO if outcome == "complete" else logging.WARNING
            line |= {"outcome": outcome, **figures, "error": run.error}
            text = ", ".join(f"{value} {name}" for name, value in figures.items())
            text += f"; {run.error}" if run.error else ""
        log.log(
            level,
            "%s: %s in %.2f s: %s",
            watch.name,
            outcome,
            took_s,
            text,
            extra={"figures": line},
        )
        self.observe(watch, outcome, result, took_s)

    def _is_polled(self, turn: _Turn) -> bool:
        """Tell whether the tick is already polled, by the newest poll in the database."""
        watch = turn.watch
        with self.app.store(watch.account.name).reading() as known:
            last = known.last_poll(watch.resource.name)
            complete_at = known.newest_complete_at(watch.resource.name)
            usual_s = known.usual_offset_s(watch.resource.name)
        if complete_at is not None:
            offset_s = usual_s if watch.offset_s is None else watch.offset_s
            watch.complete_at = complete_at + SKEW_S - offset_s
        is_polled = turn.covers(last)
        if is_polled:
            watch.error_kind = None
        return is_polled

    def _covers(self, watch: Watch, slot_at: float, last: LastPoll | None) -> bool:
        """Tell whether the newest applied poll, by whichever process, serves the tick `slot_at`.

        A poll from the future does not: the clock was set back since.
        """
        if last is None:
            return False
        began = last.began_at - self._offset_s(watch, last)
        # a poll of another process a little before the tick serves it as well
        slack_s = max(LEAST_SLACK_S, watch.trigger.gap_s(slot_at) * SLACK)
        return slot_at - slack_s <= began <= self.app.clock() + slack_s

    def _offset_s(self, watch: Watch, last: LastPoll | None) -> float:
        """Return source clock minus local clock in seconds, as far as it is known."""
        if watch.offset_s is not None:
            return watch.offset_s
        return (last.clock_offset_s if last else None) or 0.0
