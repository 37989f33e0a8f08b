"""A command of the user's own: the message as JSON on its standard input, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from etl.alerts.channels.recipient import Recipient
from etl.alerts.channels.webhook import document
from etl.alerts.message import Message
from etl.errors import DeliveryError
from etl.settings.alerts import Channel
from etl.texts import tr

PASSED: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "SYSTEMROOT"}
)
"""Environment variables that a command gets: none that could hold a key."""


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    passed = {name: value for name, value in environ.items() if name in PASSED}
    # without its arguments, which may hold a token
    name = f"command {os.path.basename(channel.command[0])}"
    return [Recipient(name, lambda message, now: _run_command(channel, message, passed, name))]


def _run_command(channel: Channel, message: Message, environ: Mapping[str, str], name: str) -> None:
    try:
        running = subprocess.Popen(  # noqa: S603 - the operator's own words
            channel.command,
            stdin=subprocess.PIPE,
            # nobody reads them: a full pipe would block the command for ever
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            # a group of its own, which can be ended whole; Ctrl-C ends us, not a command that sends
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no command"
        raise DeliveryError(tr("{name}: {why}", name=name, why=why)) from None
    try:
        running.communicate(msgspec.json.encode(document(message)), timeout=channel.timeout_s)
    except subprocess.TimeoutExpired:
        raise DeliveryError(
            tr(
                "{name}: not done in {timeout_s:g} s, so it was ended",
                name=name,
                timeout_s=channel.timeout_s,
            )
        ) from None
    finally:
        _kill_group(running)
    if running.returncode != 0:
        raise DeliveryError(
            tr("{name}: exit code {returncode}", name=name, returncode=running.returncode)
        )


def _kill_group(running: subprocess.Popen[bytes]) -> None:
    """Kill a command that still runs, with all processes that it started."""
    if running.poll() is None:
        with suppress(OSError):
            # the whole group: a script is ended, and what it started would go on
            if hasattr(os, "killpg"):
                os.killpg(running.pid, signal.SIGKILL)
            else:
                running.kill()
        running.wait()
    if running.stdin is not None:
        with suppress(OSError):
            running.stdin.close()
