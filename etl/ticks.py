"""What a tick does: one poll, unless another process made it, and what it means for the next ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from etl.app import App, Covers, Result
from etl.cadence import Cadence, Pace, duration
from etl.days import iso
from etl.errors import AlreadyPolled, Busy, EtlError, SettingsError, SourceError, Unavailable
from etl.poll import LastPoll
from etl.resources import Resource
from etl.settings import Account
from etl.triggers import Trigger

LATE_S: Final = 5.0
"""A tick that comes later than this says so."""
SLACK: Final = 0.4
LEAST_SLACK_S: Final = 1.6
"""A poll that began by this share of an interval before a tick counts for it: the clocks of machines
differ, a start or a late tick is off the grid, and `started_at` is rounded down by over a second."""
WAIT_SHARE: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
"""A tick that finds its account locked waits for the other's poll, this long at most."""
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
    """One resource of one account: when it is due, how it goes.

    `offset_s` is source clock minus local clock at its last poll here, None before the first;
    `complete_at` the start, on the local clock, of its newest complete poll by whichever process,
    and `listed` how many records a poll of this process listed last.
    """

    account: Account
    resource: Resource[Any]
    cadence: Cadence
    trigger: Trigger
    pace: Pace = field(default_factory=Pace)
    offset_s: float | None = None
    complete_at: float | None = None
    listed: int | None = None

    @property
    def is_side(self) -> bool:
        """Whether the program does without it."""
        return bool(getattr(self.resource, "is_side", False))

    @property
    def name(self) -> str:
        return f"{self.account.name} {self.resource.name}"


class Observer(Protocol):
    """Is told of every tick. `outcome`: `complete`, `partial`, `failed`, `skipped` (locked, or the
    last is not done), `covered` (another process polled), `held` (after failures)."""

    def __call__(
        self, watch: Watch, outcome: str, result: Result | None = None, took_s: float = 0.0
    ) -> object: ...


def unobserved(*_: object, **__: object) -> None:
    """Nobody looks."""


@dataclass
class Ticks:
    """Polls as they fall due. `after` is called with every poll's result, in its thread."""

    app: App
    after: Callable[[Result], object] | None = None
    observe: Observer = unobserved
    monotonic: Callable[[], float] = time.monotonic
    stopping: threading.Event = field(default_factory=threading.Event)

    def tick(self, watch: Watch, due_at: float) -> None:
        """One tick. A fault of ours stops it, and not the schedule."""
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
        if not watch.pace.is_due(self.monotonic()):
            self.observe(watch, "held")
            return
        covers = partial(self._covers, watch, watch.trigger.latest(now))
        if self._is_covered(watch, covers):
            return
        self._say_late(watch, now - due_at, now)
        self._poll(watch, now, covers)

    def _say_late(self, watch: Watch, late_s: float, now: float) -> None:
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

    def _poll(self, watch: Watch, now: float, covers: Covers) -> None:
        account, resource = watch.account, watch.resource
        began, limited = self.monotonic(), self.app.limited(account.name)
        result = self.app.sync_one(account, resource, covers=covers)
        error = result.error
        if isinstance(error, AlreadyPolled):
            self.observe(watch, "covered")
        elif isinstance(error, Busy):
            if not self._others_poll(watch, now, covers):
                log.warning("%s: skipped, %s", watch.name, error.message)
                self.app.record_skipped(account.name, resource.name, int(now), error.message)
                self.observe(watch, "skipped", result)
        else:
            took_s = self.monotonic() - began
            self._learn(watch, result, began, self.app.limited(account.name) > limited)
            self._say(watch, result, took_s)
            self._hand_on(watch, result)

    def _hand_on(self, watch: Watch, result: Result) -> None:
        """Call `after`. The poll is done and counted, whatever becomes of that."""
        try:
            if self.after is not None:
                self.after(result)
        except EtlError as error:
            log.error("%s: after the poll: %s", watch.name, error.message)
        except Exception:
            log.exception("%s: a fault of this program after the poll", watch.name)

    def _learn(self, watch: Watch, result: Result, began: float, limited: bool) -> None:
        """What a poll means for the next ones; said where they come later."""
        error = result.error
        limited = limited or (isinstance(error, Unavailable) and error.limited)
        whole = result.outcome is not None and result.outcome.run.outcome == "complete"
        if result.outcome is not None:
            run = result.outcome.run
            watch.offset_s, watch.listed = run.clock_offset_s or 0.0, run.listed
            if run.outcome == "complete":
                watch.complete_at = run.started_at - watch.offset_s
        gap_s = watch.trigger.gap_s(self.app.clock())
        # a database that is away, or a full disk, is asked again at every tick
        failed = isinstance(error, SourceError | SettingsError)
        wait_s = watch.pace.told(began, gap_s, failed=failed, limited=limited, whole=whole)
        if wait_s > gap_s:
            why = (
                "the source limits the rate of requests"
                if watch.pace.stretch > 1
                else f"{watch.pace.failures} failures in a row"
            )
            log.warning("%s: %s; the next poll is due in %s", watch.name, why, duration(wait_s))

    def _say(self, watch: Watch, result: Result, took_s: float) -> None:
        """One line for a poll, with its figures."""
        said: dict[str, Any] = {
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
            said |= {"outcome": outcome, "error": text}
        else:
            run = result.outcome.run
            outcome, figures = run.outcome, {name: getattr(run, name) for name in FIGURES}
            level = logging.INFO if outcome == "complete" else logging.WARNING
            said |= {"outcome": outcome, **figures, "error": run.error}
            text = ", ".join(f"{value} {name}" for name, value in figures.items())
            text += f"; {run.error}" if run.error else ""
        log.log(
            level,
            "%s: %s in %.2f s: %s",
            watch.name,
            outcome,
            took_s,
            text,
            extra={"figures": said},
        )
        self.observe(watch, outcome, result, took_s)

    def _is_covered(self, watch: Watch, covers: Covers) -> bool:
        with self.app.store(watch.account.name).reading() as known:
            last = known.last_poll(watch.resource.name)
            complete_at = known.newest_complete_at(watch.resource.name)
        if complete_at is not None:
            watch.complete_at = complete_at - self._offset_s(watch, last)
        found = covers(last)
        if found:
            log.debug("%s: another process polled", watch.name)
            self.observe(watch, "covered")
        return found

    def _covers(self, watch: Watch, slot_at: float, last: LastPoll | None) -> bool:
        """Whether the newest applied poll, of whichever process, is that of the tick `slot_at`.

        One from the future is not: then the clock was set back.
        """
        if last is None:
            return False
        began = last.started_at - self._offset_s(watch, last)
        slack_s = max(LEAST_SLACK_S, watch.trigger.gap_s(slot_at) * SLACK)
        return slot_at - slack_s <= began <= self.app.clock() + slack_s

    def _offset_s(self, watch: Watch, last: LastPoll | None) -> float:
        """Source clock minus local clock, as well as it is known."""
        if watch.offset_s is not None:
            return watch.offset_s
        return (last.clock_offset_s if last else None) or 0.0

    def _others_poll(self, watch: Watch, now: float, covers: Covers) -> bool:
        """Whether the process that holds the account brings this tick's poll, within some time."""
        wait_s = min(watch.trigger.gap_s(now) * WAIT_SHARE, LONGEST_WAIT_S)
        ends = self.monotonic() + wait_s
        while self.monotonic() < ends and not self.stopping.wait(min(1.0, wait_s / 3)):
            if self._is_covered(watch, covers):
                return True
        return False
