"""Readers of single settings: each turns a written value into a valid one, or raises an error.

`where` names the setting and where its value came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from etl.errors import SettingsError
from etl.history.days import Zone
from etl.resources import RESOURCES
from etl.settings.file import nearest
from etl.settings.text import clean

DEFAULT_BASE_URL: Final = "https://www.chenyu.cn/api/open/v2"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

Reader = Callable[[Any, str], Any]


def text(value: Any, where: str) -> str:
    return clean(uncleaned(value, where), where)


def uncleaned(value: Any, where: str) -> str:
    """Return the text as it is written, for a reader that cleans it itself."""
    if not isinstance(value, str):
        name = where.partition(" ")[0]
        raise SettingsError(f"{where} must be text", advice=f'write {name} = "…"')
    return value


def number(kind: type[int] | type[float], low: float, high: float, example: float) -> Reader:
    """Return a reader of numbers from `low` to `high`."""

    def read(value: Any, where: str) -> Any:
        written = clean(value, where) if isinstance(value, str) else str(value)
        try:
            typed = kind(written)  # as text: 10.5 is not a whole number, true is no number at all
        except ValueError:
            raise SettingsError(
                f"{where} must be a {'whole ' if kind is int else ''}number",
                advice=f"for example {example}",
            ) from None
        if not low <= typed <= high:
            raise SettingsError(f"{where} is {typed}", advice=f"it must be from {low} to {high}")
        return typed

    return read


def folder(value: Any, where: str) -> Path:
    return home_expanded(Path(text(value, where)), where)


def home_expanded(path: Path, where: str) -> Path:
    """Replace `~`. Raises `SettingsError` if that user has no home."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{where} is in the home of a user who has none", advice="write the whole path"
        ) from None


def zone(value: Any, where: str) -> str:
    return Zone(text(value, where)).name


def base_url(value: Any, where: str) -> str:
    """Return the address of the API without a trailing slash; plain http only for this machine."""
    url = text(value, where)
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an address that is none
        known = False
    if not known:
        raise SettingsError(
            f"{where} is not an http(s) URL", advice=f"the public one is {DEFAULT_BASE_URL}"
        )
    if parts.username or parts.password or parts.query or parts.fragment or " " in url:
        raise SettingsError(f"{where} holds more than host and path", advice="leave that out")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise SettingsError(
            f"{where} would send the key unencrypted to {parts.hostname}", advice="use https"
        )
    return url.rstrip("/")


def resources(value: Any, where: str) -> tuple[str, ...]:
    """Return the resources to collect, in the order in which they are polled."""
    names = text(value, where).split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{where} must be a list of names", advice=_choice())
    names = [name.strip() for name in names]
    if not any(names):
        raise SettingsError(f"{where} names nothing to collect", advice=_choice())
    for name in names:
        if name not in RESOURCES:
            raise SettingsError(
                f"{where} names {name!r}, which is not collected", advice=nearest(name, RESOURCES)
            )
        if names.count(name) > 1:
            raise SettingsError(f"{where} names {name!r} twice", advice="name it once")
    return tuple(name for name in RESOURCES if name in names)


def _choice() -> str:
    return f"name some of {', '.join(RESOURCES)}"


def only_text(keys: Mapping[str, Any], name: str, where: str) -> str | None:
    """Return the text of one key of a table, if present."""
    return None if keys.get(name) is None else text(keys[name], f"{name} ({where})")
