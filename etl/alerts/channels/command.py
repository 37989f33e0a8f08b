"""A command of the user's own: the message as JSON on its standard input, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from etl.alerts.channels.webhook import document
from etl.alerts.message import Message
from etl.errors import DeliveryError
from etl.poll import Instant
from etl.settings.alerts import Channel

KEPT: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "SYSTEMROOT"}
)
"""What it gets of the environment: nothing that could hold a key."""


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    given = {name: value for name, value in environ.items() if name in KEPT}
    try:
        running = subprocess.Popen(  # noqa: S603 - the operator's own words
            channel.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=given,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no command"
        raise DeliveryError(f"command {_name(channel)}: {why}") from None
    try:
        running.communicate(msgspec.json.encode(document(message)), timeout=channel.timeout_s)
    except subprocess.TimeoutExpired:
        raise DeliveryError(
            f"command {_name(channel)}: not done in {channel.timeout_s:g} s, so it was ended"
        ) from None
    finally:
        _end(running)
    if running.returncode != 0:
        raise DeliveryError(f"command {_name(channel)}: exit code {running.returncode}")


def _end(running: subprocess.Popen[bytes]) -> None:
    """End it, and what it started, where it still runs."""
    if running.poll() is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(running.pid, signal.SIGKILL)
            else:
                running.kill()
        running.wait()
    if running.stdin is not None:
        with suppress(OSError):
            running.stdin.close()


def _name(channel: Channel) -> str:
    return os.path.basename(channel.command[0])
