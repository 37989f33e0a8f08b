"""The daemon: the schedule, kept going and watched, until somebody ends it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from etl.app import App
from etl.dialect import translated
from etl.errors import EtlError, SettingsError
from etl.figures.openapi import INDEX
from etl.history.days import iso
from etl.polling import Result
from etl.redact import scrub
from etl.service.access import Access
from etl.service.builds import Builds, InProcess
from etl.service.figures import Figures, ReportProcess
from etl.service.health import Answer, Health, as_json
from etl.service.metrics import CONTENT_TYPE, Metrics
from etl.service.schedule import SLICE_S, Schedule
from etl.service.single import counted
from etl.service.site import Served, Site
from etl.service.ticks import Ticks, Watch
from etl.service.watchdog import Periodic, Pinger, Systemd
from etl.settings import Settings
from etl.settings.service import refuse_open
from etl.texts import tr
from etl.timing import freshness

# systemd waits 20 s, containers ten: then they kill
GRACE_S: Final = 5.0
"""Time for polls in hand when the daemon is to end; after it they are as if never begun."""
STUCK_S: Final = 1_800.0
"""A poll in hand for longer than this is a fault of ours: retries are bounded by far less."""
SILENT_S: Final = 30.0
"""The main loop comes by twice a second; it stands still if it did not for so long."""
INTERRUPTED: Final = 130
SECOND: Final = (
    "another daemon polls the same accounts into the same database on this machine: one of the two"
    " makes each poll, and both send alerts; end one, unless it is meant"
)
FIXED: Final = ("database_url", "listen", "timezone", "page", "page_token", "page_hosts", "reports")
"""Settings that are bound when the daemon starts."""
ARENAS: Final = 2
M_ARENA_MAX: Final = -8
"""As glibc's malloc.h has it."""

log = logging.getLogger("etl.daemon")


class Daemon:
    """The daemon. `run` returns the exit code: 0 after SIGTERM, 130 after Ctrl-C.

    `reread` reads the settings again when SIGHUP asks for it. `after` is called with every poll's
    result, in the thread of its account.
    """

    def __init__(
        self,
        app: App,
        reread: Callable[[], Settings],
        after: Callable[[Result], object] | None = None,
    ) -> None:
        use_few_arenas()  # before the first thread
        self._others = frozenset(threading.enumerate())
        self.app = app
        self.metrics = Metrics(app, lambda: list(self.schedule.watches.values()))
        self._reread = reread
        self._systemd = Systemd(app.environ)
        self._pinger = Pinger(app.settings.ping_url) if app.settings.ping_url else None
        self._after = after
        self._alerting = Periodic(self._look_at_alerts)
        self._building = InProcess(app.settings.database_url, app.now)
        self._builds = Builds(self._building) if app.settings.page else None
        self._reader = (
            ReportProcess(app.settings.database_url, app.now) if app.settings.reports else None
        )
        ticks = Ticks(app, self._hand_on, self._observe)
        self.schedule = Schedule(ticks, app.settings)
        self._signals: list[int] = []
        self._looked_at = time.monotonic()

    def run(self) -> int:
        """Poll until a signal comes."""
        before = _on_signals(self._signals.append)
        health = self._health()
        with counted(self.app) as is_second:
            return self._run(health, before, is_second=is_second)

    def _run(self, health: Health | None, before: dict[int, Any], *, is_second: bool) -> int:
        try:
            if self._builds is not None:
                self._builds.start()
            self._say_start(health)
            if is_second:
                log.warning(SECOND)
            # only now: whatever can be refused at the start has been, so that systemd sees it as
            # failed
            self._systemd.notify("READY=1")
            if self._pinger is not None:
                self._pinger.start()
            code = self._loop()
            self._systemd.notify("STOPPING=1")
            return self._end(code)
        finally:
            # bounded: a webhook that hangs must not hold up a restart
            self._alerting.stop(1.0)
            if self._builds is not None:
                self._building.end()
                self._builds.stop(1.0)
            if self._reader is not None:
                self._reader.end()
            if health is not None:
                health.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def leaves_threads(self) -> bool:
        """Tell whether threads that it started are still at work, once `run` has ended."""
        return any(thread not in self._others for thread in threading.enumerate())

    def reload(self) -> None:
        """Apply the config file as it is now; a broken one is refused, and the old settings
        stay.
        """
        try:
            settings = self._reread()
            self._refuse_fixed(settings)
            self.schedule.apply(settings)
        except EtlError as error:
            log.error("the new config is refused, the old one stays: %s", error.message)
            return
        # only once the schedule has taken them: a config is in force whole or not at all
        self.app.take(settings)
        if self._pinger is not None:
            self._pinger.stop()
        self._pinger = Pinger(settings.ping_url) if settings.ping_url else None
        log.info("the config was read again: %s", self._schedule_text())

    def health(self) -> Answer:
        """Answer `/healthz`: 200 while ticks are started in time and no poll is stuck."""
        silent_s = time.monotonic() - self._looked_at
        stuck = self.schedule.in_hand(STUCK_S)
        stands = silent_s > SILENT_S or self.schedule.stands_still()
        is_well = not stands and not stuck
        answer = {
            "status": "ok" if is_well else "stuck",
            "schedule_stands_still": stands,
            "polls_stuck": stuck,
        }
        return as_json(200 if is_well else 503, answer)

    def readiness(self) -> Answer:
        """Answer `/readyz`: 200 while nothing is blind."""
        accounts = [self._freshness(watch) for watch in self._main_watches()]
        lost = self._database_lost()
        # no account at all is no reason to be ready: nothing is watched
        is_fresh = bool(accounts) and all(account["fresh"] for account in accounts)
        is_ready = is_fresh and lost is None
        status = "ready" if is_ready else "stale" if lost is None else "database lost"
        return as_json(
            200 if is_ready else 503,
            {"status": status, "database": lost or "ok", "accounts": accounts},
        )

    def blindness(self) -> list[str]:
        """Say why `/readyz` would answer 503; nothing if it would answer 200."""
        lost = self._database_lost()
        accounts = [self._freshness(watch) for watch in self._main_watches()]
        reasons = [f"{a['account']}: {a['reason']}" for a in accounts if not a["fresh"]]
        if not accounts:
            reasons.append("no account is polled")
        return [*([lost] if lost else []), *reasons]

    def _main_watches(self) -> list[Watch]:
        # without permission for bills or cards all that runs is still known
        return [watch for watch in self.schedule.watches.values() if not watch.is_optional]

    def _database_lost(self) -> str | None:
        """Return why the file of the database is not the one that it was."""
        try:
            with translated(self.app.database):
                self.app.database.verify()
        except EtlError as error:
            return error.message
        return None

    def _freshness(self, watch: Watch) -> dict[str, Any]:
        now, at = self.app.clock(), watch.complete_at
        limit_s = freshness.limit_s(watch.trigger.gap_s(now))
        reason = freshness.why_stale(at, now, limit_s, watch.error_kind)
        return {
            "account": watch.account.name,
            "resource": watch.resource.name,
            "fresh": reason is None,
            "reason": reason,
            "last_complete_at": None if at is None else iso(int(at)),
            "age_s": None if at is None else round(now - at),
            "limit_s": round(limit_s),
            "failures_in_a_row": watch.pace.failures,
        }

    def _loop(self) -> int:
        notified_at = float("-inf")
        while True:
            self._looked_at = time.monotonic()
            self.schedule.notice_set_clock()
            every_s = self._systemd.every_s
            # not while it is unwell: systemd then restarts it
            if every_s and self._looked_at - notified_at >= every_s and self.health()[0] == 200:
                self._systemd.notify("WATCHDOG=1")
                notified_at = self._looked_at
            # signal handlers only make a note: they may interrupt anything, locks too
            while self._signals:
                number = self._signals.pop(0)
                if number in (signal.SIGTERM, signal.SIGINT):
                    return 0 if number == signal.SIGTERM else INTERRUPTED
                self.reload()
            time.sleep(SLICE_S)

    def _end(self, code: int) -> int:
        """Let running polls finish, or abandon them as if they had never begun."""
        in_hand = self.schedule.in_hand()
        log.info("ending; polls in hand: %s", ", ".join(in_hand) or "none")
        if self.schedule.stop(GRACE_S):
            log.info("ended")
            return code
        # a transaction that is open ends with the process, and so does the account's lock
        log.warning("ended in the middle of %s: nothing of it is written", ", ".join(in_hand))
        # os._exit flushes nothing, and runs no handler that could wait for a thread
        logging.shutdown()
        os._exit(code)

    def _health(self) -> Health | None:
        settings = self.app.settings
        if not settings.listen:
            return None
        return Health(
            settings.listen,
            {
                "/healthz": self.health,
                "/readyz": self.readiness,
                "/metrics": lambda: (200, CONTENT_TYPE, self.metrics.text()),
            },
            *self._sites(),
        )

    def _sites(self) -> Iterator[Served]:
        settings = self.app.settings
        refuse_open(settings)
        access, hosts = Access(settings.page_token), frozenset(settings.page_hosts)
        if self._builds is not None:
            yield Site(self._builds.current, access, hosts)
        if self._reader is not None:
            yield Figures(self._reader, access, hosts)

    def _hand_on(self, result: Result) -> None:
        self._alerting.touch()
        if self._builds is not None:
            self._builds.touch(result)
        if self._after is not None:
            self._after(result)

    def _look_at_alerts(self) -> None:
        """Send due alerts: after polls, and each minute."""
        try:
            self.app.alerts.due = self._due
            self.app.alerts.tick(self.app.now())
        except EtlError as error:
            log.error("alerts: %s", error.message)
        except Exception:
            log.exception("alerts: a fault of this program")

    def _due(self, account: str, at: float) -> float:
        """Return the newest tick for an account's instances not after `at`, or a time before all time
        if they are not polled."""
        ticks = [w.trigger.latest(at) for w in self._main_watches() if w.account.name == account]
        return max(ticks, default=float("-inf"))

    def _observe(
        self,
        watch: Watch,
        outcome: str,
        result: Result | None = None,
        took_s: float = 0.0,
        ticks: int = 1,
    ) -> None:
        self.metrics.observe(watch, outcome, result, took_s, ticks)
        # of a coalesced tick nothing is known: the poll that serves it is still to come
        if self._pinger is not None and not watch.is_optional and outcome != "coalesced":
            self._ping(self._pinger, outcome)

    def _ping(self, pinger: Pinger, outcome: str) -> None:
        """Ping success, or failure if an account is blind; a single failed poll is no failure."""
        reasons = self.blindness()
        if reasons:
            pinger.fail(scrub("\n".join(reasons)))
        # a covered tick is good news too: another process polled in time
        elif outcome in ("complete", "covered"):
            pinger.success()

    def _refuse_fixed(self, settings: Settings) -> None:
        """Refuse to change settings that are bound when the daemon starts."""
        now = self.app.settings
        for name in FIXED:
            if getattr(settings, name) != getattr(now, name):
                raise SettingsError(
                    tr("{name} cannot change while the daemon runs: restart it", name=name)
                )

    def _say_start(self, health: Health | None) -> None:
        log.info("database: %s", self.app.database.location)
        log.info("polling %s", self._schedule_text())
        if health is not None:
            host = self.app.settings.listen.rpartition(":")[0] or "127.0.0.1"
            log.info("health and metrics: http://%s:%d/metrics", host, health.port)
            if self._builds is not None:
                log.info("page: http://%s:%d/", host, health.port)
            if self._reader is not None:
                log.info("reports: http://%s:%d%s", host, health.port, INDEX)

    def _schedule_text(self) -> str:
        watches = self.schedule.watches.values()
        by_cadence: dict[str, list[str]] = {}
        for watch in watches:
            by_cadence.setdefault(f"{watch.resource.name} {watch.cadence}", []).append(
                watch.account.name
            )
        cadences = (
            f"{what} ({', '.join(names) if len(names) < 6 else f'{len(names)} accounts'})"
            for what, names in by_cadence.items()
        )
        return "; ".join(cadences) or "nothing"


def use_few_arenas() -> None:
    """Let threads share their memory, if the system's library is glibc.

    It gives up to eight heaps for each core to threads, and each keeps what was freed in it: with a
    thread for each account, more was kept than used, and it grew for as long as was measured. The
    interpreter runs one thread at a time, so they seldom wait for each other.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # musl has none
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _on_signals(note: Callable[[int], object]) -> dict[int, Any]:
    """Install handlers that note signals to end or reload, and return the old ones. A second signal
    to end ends at once.
    """

    def noted(number: int, _: object) -> None:
        # SIGHUP may come again and again, and Windows has none
        if number != getattr(signal, "SIGHUP", None):
            signal.signal(number, signal.SIG_DFL)
        note(number)

    # Python lets only the main thread set handlers; tests run a daemon in another one
    if threading.current_thread() is not threading.main_thread():
        return {}
    wanted = (getattr(signal, name, None) for name in ("SIGTERM", "SIGINT", "SIGHUP"))
    return {number: signal.signal(number, noted) for number in wanted if number is not None}
