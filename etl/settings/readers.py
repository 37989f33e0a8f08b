"""Readers of single settings: each turns a written value into a valid one, or raises an error.

`origin` names the setting and where its value came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from etl.errors import SettingsError
from etl.history.days import Zone
from etl.resources import RESOURCES
from etl.settings.file import home_expanded, nearest
from etl.settings.text import clean
from etl.texts import LANGUAGES, tr

DEFAULT_BASE_URL: Final = "https://www.chenyu.cn/api/open/v2"
_ON: Final = ("on", "true", "yes", "1")
_OFF: Final = ("off", "false", "no", "0")

Reader = Callable[[Any, str], Any]


def text(value: Any, origin: str) -> str:
    return clean(uncleaned(value, origin), origin)


def uncleaned(value: Any, origin: str) -> str:
    """Return the text as it is written, for a reader that cleans it itself."""
    if not isinstance(value, str):
        name = origin.partition(" ")[0]
        raise SettingsError(
            tr("{origin} must be text", origin=origin), advice=tr('write {name} = "…"', name=name)
        )
    return value


def number(kind: type[int] | type[float], low: float, high: float, example: float) -> Reader:
    """Return a reader of numbers from `low` to `high`."""

    def read(value: Any, origin: str) -> Any:
        written = clean(value, origin) if isinstance(value, str) else str(value)
        try:
            typed = kind(written)  # as text: 10.5 is not a whole number, true is no number at all
        except ValueError:
            raise SettingsError(
                tr("{origin} must be a whole number", origin=origin)
                if kind is int
                else tr("{origin} must be a number", origin=origin),
                advice=tr("for example {example}", example=example),
            ) from None
        if not low <= typed <= high:
            raise SettingsError(
                tr("{origin} is {typed}", origin=origin, typed=typed),
                advice=tr("it must be from {low} to {high}", low=low, high=high),
            )
        return typed

    return read


def switch(value: Any, origin: str) -> bool:
    """Return whether it is on: a boolean, or `on` or `off` and the like as text."""
    # the file has booleans, a variable holds text
    if isinstance(value, bool):
        return value
    word = text(value, origin).lower()
    if word not in (*_ON, *_OFF):
        raise SettingsError(
            tr("{origin} is {word!r}", origin=origin, word=word), advice=tr("it must be on or off")
        )
    return word in _ON


def folder(value: Any, origin: str) -> Path:
    return home_expanded(Path(text(value, origin)), origin)


def zone(value: Any, origin: str) -> str:
    return Zone(text(value, origin)).name


def base_url(value: Any, origin: str) -> str:
    """Return the address of the API without a trailing slash; plain http only for this machine."""
    url = text(value, origin)
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an address that is none
        known = False
    if not known:
        raise SettingsError(
            tr("{origin} is not an http(s) URL", origin=origin),
            advice=tr("the public one is {default_base_url}", default_base_url=DEFAULT_BASE_URL),
        )
    # a URL is shown in messages and stored with polls: a secret in it would be, too
    if parts.username or parts.password or parts.query or parts.fragment or " " in url:
        raise SettingsError(
            tr("{origin} holds more than host and path", origin=origin), advice=tr("leave that out")
        )
    # on this machine nobody listens in, and simulated clouds have no certificate
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SettingsError(
            tr(
                "{origin} would send the key unencrypted to {hostname}",
                origin=origin,
                hostname=parts.hostname,
            ),
            advice=tr("use https"),
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether a name or address leads to this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # of other names nobody knows where they lead
        return host == "localhost"


def resources(value: Any, origin: str) -> tuple[str, ...]:
    """Return the resources to collect, in the order in which they are polled."""
    names = text(value, origin).split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(tr("{origin} must be a list of names", origin=origin), advice=_choice())
    names = [name.strip() for name in names]
    if not any(names):
        raise SettingsError(
            tr("{origin} names nothing to collect", origin=origin), advice=_choice()
        )
    for name in names:
        if name not in RESOURCES:
            raise SettingsError(
                tr("{origin} names {name!r}, which is not collected", origin=origin, name=name),
                advice=nearest(name, RESOURCES),
            )
        # most likely another one was meant
        if names.count(name) > 1:
            raise SettingsError(
                tr("{origin} names {name!r} twice", origin=origin, name=name),
                advice=tr("name it once"),
            )
    # in the order of the registry: instances first, since the rest is optional
    return tuple(name for name in RESOURCES if name in names)


def language(value: Any, origin: str) -> str:
    lang = text(value, origin)
    if lang not in LANGUAGES:
        raise SettingsError(
            tr("{origin} cannot be {value!r}", origin=origin, value=lang),
            advice=tr("it must be one of {choices}", choices=", ".join(LANGUAGES)),
        )
    return lang


def _choice() -> str:
    return tr("name some of {resources}", resources=", ".join(RESOURCES))


def only_text(keys: Mapping[str, Any], name: str, origin: str) -> str | None:
    """Return the text of one key of a table, if present."""
    return None if keys.get(name) is None else text(keys[name], f"{name} ({origin})")
