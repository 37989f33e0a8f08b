"""Commands in processes that are forked ready to run, and killed or disturbed at a chosen write.

A server process has everything imported and `crash_shim.c` preloaded; each command is a fork of it, so
that a run costs what the command itself does. What happens while modules load is left to
`tests/test_kill.py`, which starts whole processes.
"""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import etl

SOURCE: Final = Path(__file__).with_name("crash_shim.c")
SHIM: Final = "CRASH_SHIM"
"""Variable of the server process alone that names the built shim."""
OFF, KILL, FAIL_ONCE, FAIL_ON, RECORD = range(5)
PATIENCE_S: Final = 180.0
UNLOADED: Final = ("__main__", "_bundled")


@dataclass(frozen=True, slots=True)
class Arm:
    """What the shim does at the `at`-th write: kill, or refuse it with `error`; or record all."""

    mode: int = OFF
    at: int = 0
    error: int = 0
    into: Path | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A command with its environment; `ahead_s` is how far its clock is from the real one."""

    words: tuple[str, ...]
    environ: dict[str, str]
    output: Path
    arm: Arm = field(default_factory=Arm)
    ahead_s: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its code (-9: killed), its words, its writes, how long it took."""

    code: int | None
    text: str
    writes: int
    took_s: float


def build(folder: Path) -> Path:
    """Compile the shim into a folder."""
    library = folder / "crash_shim.so"
    words = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(words, check=True)
    return library


class Children:
    """A server of forks; `start` and `ended` are the two ends of one command."""

    def __init__(self, folder: Path) -> None:
        library = str(build(folder))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bench.crash_child", "bench.crash_lab", "bench.soak"])
        kept = dict(os.environ)
        os.environ |= {"LD_PRELOAD": library, SHIM: library}
        try:
            # the server starts with the first child, and keeps this environment
            first = self._context.Process(target=_nothing)
            first.start()
            first.join()
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def start(self, order: Order) -> Any:
        process = self._context.Process(target=run, args=(order,), daemon=True)
        process.start()
        return process

    def ended(self, process: Any, order: Order, began: float) -> Ran:
        process.join(PATIENCE_S)
        is_stuck = process.exitcode is None
        if is_stuck:
            # where it hangs, in its output
            os.kill(process.pid, signal.SIGUSR1)
            process.join(2.0)
            process.kill()
            process.join()
        took_s = time.monotonic() - began
        text = order.output.read_text(errors="replace") if order.output.exists() else ""
        counted = order.output.with_suffix(".count")
        # killed as the file was cut, before the number was written: nothing is known
        writes = int(counted.read_text() or 0) if counted.exists() else 0
        code = process.exitcode
        process.close()
        for file in (order.output, counted):
            file.unlink(missing_ok=True)
        return Ran(None if is_stuck else code, text, writes, took_s)


def run(order: Order) -> None:
    """Run a command in this process, which ends with it."""
    shim = _shim()
    os.environ.clear()
    os.environ.update(order.environ)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, opened in enumerate((nothing, output, output)):
        os.dup2(opened, number)
    os.close(nothing)
    os.close(output)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    faulthandler.register(signal.SIGUSR1, file=sys.stderr)
    sys.argv = ["chenyu-etl", *order.words]
    arm = order.arm
    log = os.open(arm.into, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if arm.into else -1
    shim.crash_ahead(ctypes.c_long(order.ahead_s))
    shim.crash_arm(
        arm.mode if arm.mode else FAIL_ON, ctypes.c_long(arm.at or 2**40), arm.error, log
    )
    code = 0
    try:
        from etl.start import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    finally:
        writes = shim.crash_count()
        shim.crash_arm(OFF, ctypes.c_long(0), 0, -1)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        order.output.with_suffix(".count").write_text(str(writes))
    os._exit(code)


def _shim() -> Any:
    library = ctypes.CDLL(os.environ[SHIM])
    library.crash_count.restype = ctypes.c_long
    return library


def _nothing() -> None:
    """Be a child that only makes its server start."""


def load_everything() -> None:
    """Import every module of the program, so that forks have them."""
    for module in pkgutil.walk_packages(etl.__path__, "etl."):
        if not module.name.endswith(UNLOADED):
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                import_module(module.name)
    for name in ("alembic.command", "sqlalchemy.dialects.sqlite", "psycopg", "encodings.idna"):
        import_module(name)


if SHIM in os.environ:
    load_everything()
