"""Settings of the service: how often it polls, where it listens, whom it pings, how it logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from etl.errors import SettingsError
from etl.redact import remember, remember_address
from etl.resources import RESOURCES
from etl.settings.file import nearest
from etl.settings.problems import Problems
from etl.settings.readers import is_loopback, text
from etl.settings.text import clean
from etl.texts import tr
from etl.timing.cadence import Cadence, read_cadence
from etl.timing.triggers import can_fire

DEFAULT_LISTEN: Final = "127.0.0.1:9469"
LOG_FORMATS: Final = ("auto", "text", "json")
LEAST_TOKEN: Final = 16
"""The fewest characters of a token for the page: nobody guesses so many."""
SCHEDULE_VARIABLE: Final = "CHENYU_SCHEDULE"


class Readable(Protocol):
    """Settings that decide who can read the page and the reports."""

    @property
    def listen(self) -> str: ...
    @property
    def page(self) -> bool: ...
    @property
    def reports(self) -> bool: ...
    @property
    def page_token(self) -> str: ...


def listen_address(listen: str) -> tuple[str, int]:
    """Split `HOST:PORT`, `[::1]:PORT` or a port alone, which means loopback."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def read_listen(value: Any, origin: str) -> str:
    """Return the address to listen on; empty if it is `off` or not set: do not listen."""
    listen = text(value, origin)
    if listen in ("", "off"):
        return ""
    try:
        is_known = 0 <= listen_address(listen)[1] <= 65_535
    except ValueError:
        is_known = False
    # a URL or two addresses would pass for a host's name
    host = listen.rpartition(":")[0]
    is_known &= re.fullmatch(r"\[[^][]*\]|[^][]*", host) is not None  # brackets of an IPv6 address
    if not is_known or any(sign in listen for sign in " /"):
        raise SettingsError(
            tr("{origin} is not an address: {listen!r}", origin=origin, listen=listen),
            advice=tr("for example {default_listen}, or off", default_listen=DEFAULT_LISTEN),
        )
    return listen


def read_ping_url(value: Any, origin: str) -> str:
    """Return the URL, which may hold a secret: no message quotes it."""
    url = text(value, origin)
    try:
        parts = urlsplit(url)
        is_known = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:  # a port or an address that is none
        is_known = False
    if url and (not is_known or " " in url or not url.isascii()):
        raise SettingsError(
            tr("{origin} is not an http(s) URL", origin=origin), advice=tr("see docs/service.md")
        )
    # of a ping's address the path is the secret: whoever knows it can say that all is well
    remember_address(url)
    return url


def read_page_token(value: Any, origin: str) -> str:
    """Return the secret that opens the live page; no message quotes it."""
    token = text(value, origin)
    # before it is judged: one that is refused is a secret, too
    remember(token)
    if token and (len(token) < LEAST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", token)):
        raise SettingsError(
            tr("{origin} is no good token", origin=origin),
            advice=tr(
                "{least_token} letters and digits or more, such as: openssl rand -hex 16",
                least_token=LEAST_TOKEN,
            ),
        )
    return token


def read_page_hosts(value: Any, origin: str) -> tuple[str, ...]:
    """Return the names, in small letters, under which a browser may ask for the live page."""
    names = text(value, origin).split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(
            tr("{origin} must be a list of names", origin=origin), advice=tr("such as gpu.example")
        )
    names = [name.strip().lower() for name in names if name.strip()]
    for name in names:
        # compared with the Host header without its port
        if not re.fullmatch(r"[a-z0-9._-]+", name):
            raise SettingsError(
                tr("{origin}: {name!r} is not a host's name", origin=origin, name=name),
                advice=tr("without a port"),
            )
    return tuple(names)


def refuse_open(settings: Readable) -> None:
    """Raise `SettingsError` if everybody on the network could read the page, or the reports."""
    served = [name for name in ("page", "reports") if getattr(settings, name)]
    if not served or not settings.listen or settings.page_token:
        return
    host, _ = listen_address(settings.listen)
    if not is_loopback(host):
        raise SettingsError(
            tr(
                "{setting} is on, and {listen} is open to other machines",
                setting=served[0],
                listen=settings.listen,
            ),
            advice=tr("set CHENYU_PAGE_TOKEN, or listen on loopback: see docs/page.md"),
        )


def read_log_format(value: Any, origin: str) -> str:
    """Return one of `LOG_FORMATS`."""
    form = text(value, origin)
    if form not in LOG_FORMATS:
        raise SettingsError(
            tr("{origin} is {form!r}", origin=origin, form=form),
            advice=tr("it must be one of {log_formats}", log_formats=", ".join(LOG_FORMATS)),
        )
    return form


def read_schedule(
    variable: str, written: Mapping[str, Any], origin: str, problems: Problems
) -> Mapping[str, Cadence]:
    """Return cadences by resource.

    Those of the environment, `instances=2m; bills=0 * * * *`, win over those of the config file.
    """
    named: dict[str, str] = {}
    # by semicolons, since cron expressions hold commas and spaces
    for part in filter(str.strip, clean(variable, SCHEDULE_VARIABLE).split(";")):
        name, equals, cadence = (word.strip() for word in part.partition("="))
        if not equals:
            problems.add(
                tr("{schedule_variable} is not understood", schedule_variable=SCHEDULE_VARIABLE),
                tr("write instances=2m; bills=1h"),
            )
        elif name in named:
            problems.add(
                tr(
                    "{schedule_variable} names {name!r} twice",
                    schedule_variable=SCHEDULE_VARIABLE,
                    name=name,
                ),
                tr("name it once"),
            )
        else:
            named[name] = cadence
    return {
        **read_cadences(written, origin, problems),
        **read_cadences(named, SCHEDULE_VARIABLE, problems),
    }


def read_cadences(
    written: Mapping[str, Any], origin: str, problems: Problems
) -> Mapping[str, Cadence]:
    """Return cadences by resource; an odd one is a problem, and left out."""
    read: dict[str, Cadence] = {}
    for name, value in written.items():
        if name not in RESOURCES:
            problems.add(
                tr("{origin} names {name!r}, which is not collected", origin=origin, name=name),
                nearest(name, RESOURCES),
            )
        elif cadence := problems.catch(None, _cadence, value, f"{origin}: {name}"):
            read[name] = cadence
    return read


def _cadence(value: Any, origin: str) -> Cadence:
    cadence = read_cadence(value, origin)
    # it would be waited for without end, and would look like a schedule
    if cadence.cron and not can_fire(cadence.cron):
        raise SettingsError(
            tr("{origin}: {cron!r} never fires", origin=origin, cron=cadence.cron),
            advice=tr("minute hour day month weekday, as in '*/5 8-20 * * 1-5'"),
        )
    return cadence
