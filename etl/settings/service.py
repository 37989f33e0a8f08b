"""The operator's words about the service: how often, where to listen, whom to tell, how to log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from etl.errors import SettingsError
from etl.resources import RESOURCES
from etl.timing.cadence import Cadence, read_cadence
from etl.timing.triggers import can_fire

DEFAULT_LISTEN: Final = "127.0.0.1:9469"
LOG_FORMATS: Final = ("auto", "text", "json")
SCHEDULE_VARIABLE: Final = "CHENYU_SCHEDULE"


def listen_address(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[::1]:PORT` or a port alone, which means loopback."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def read_listen(said: str) -> str:
    """Empty and `off` mean: do not listen."""
    if said in ("", "off"):
        return ""
    try:
        known = 0 <= listen_address(said)[1] <= 65_535
    except ValueError:
        known = False
    if not known:
        raise SettingsError(
            f"listen is no address: {said!r}", advice=f"for example {DEFAULT_LISTEN}, or off"
        )
    return said


def read_ping_url(url: str) -> str:
    """The URL, which may hold a secret: no message quotes it."""
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError("ping_url is no http(s) URL", advice="see docs/service.md")
    return url


def read_log_format(said: str) -> str:
    """One of `LOG_FORMATS`."""
    if said not in LOG_FORMATS:
        raise SettingsError(
            f"log_format is {said!r}", advice=f"it is one of {', '.join(LOG_FORMATS)}"
        )
    return said


def read_schedule(said: str, written: Mapping[str, Any], where: str) -> Mapping[str, Cadence]:
    """Cadences by resource: those of the environment, `instances=2m; bills=0 * * * *`, win over
    those written in the config file."""
    parts = [part.strip() for part in said.split(";") if part.strip()]
    if any("=" not in part for part in parts):
        raise SettingsError(
            f"{SCHEDULE_VARIABLE} is not understood", advice="write instances=2m; bills=1h"
        )
    pairs = (part.split("=", 1) for part in parts)
    named = {name.strip(): cadence for name, cadence in pairs}
    return {**read_cadences(written, where), **read_cadences(named, SCHEDULE_VARIABLE)}


def read_cadences(said: Mapping[str, Any], where: str) -> Mapping[str, Cadence]:
    """Cadences by resource, of a table of the config file or of pairs of words."""
    for name in said:
        if name not in RESOURCES:
            raise SettingsError(
                f"{where} names {name!r}, which is not collected",
                advice=f"it may name {', '.join(RESOURCES)}",
            )
    return {name: _cadence(value, f"{where}: {name}") for name, value in said.items()}


def _cadence(value: Any, where: str) -> Cadence:
    found = read_cadence(value, where)
    if found.cron and not can_fire(found.cron):
        raise SettingsError(
            f"{where}: {found.cron!r} never fires",
            advice="minute hour day month weekday, as in '*/5 8-20 * * 1-5'",
        )
    return found
