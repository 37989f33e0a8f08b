"""What the config file says of alerts: `[alerts]`, its owners and its channels. Refused early.

A channel's address holds a token, so it is never written here itself: only where it is.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from etl.errors import SettingsError
from etl.redact import remember_address

RULES: Final = (
    "long_run",
    "roll_call",
    "stopped",
    "balance",
    "card_expiry",
    "budget",
    "cost_day",
    "sync_stale",
    "key_refused",
    "unknown_code",
    "image_failed",
    "digest",
)
SEVERITIES: Final = ("info", "warning", "urgent")
"""From the least to the most."""
LANGUAGES: Final = ("zh", "en")
KINDS: Final = ("feishu", "dingtalk", "webhook", "apprise", "command")
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ON_ALERT: Final = "on_alert"
"""The channel that setting `on_alert` makes."""

Minute = int
"""A time of day: minutes since local midnight."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is: an environment variable, or a file. It is read when it is needed."""

    env: str | None = None
    file: Path | None = None

    def read(self, environ: Mapping[str, str], what: str) -> str:
        """Raises `SettingsError` where there is none; `what` names it for people."""
        found = environ.get(self.env, "") if self.env else ""
        if not found and self.file is not None:
            try:
                found = self.file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise SettingsError(
                    f"{what}: file {self.file} cannot be read: {why}",
                    advice="check its place and permissions",
                ) from None
        if not found.strip():
            raise SettingsError(
                f"{what} is not set",
                advice=f"export {self.env}=…" if self.env else "put it into its file",
            )
        remember_address(found.strip())
        return found.strip()

    def __bool__(self) -> bool:
        return self.env is not None or self.file is not None


@dataclass(frozen=True, slots=True)
class Owner:
    """A person, and which titles are theirs (`*lilei*`). `mentions` holds their id in a channel, by
    the channel's name; `stops`: wants to hear of each run that ended."""

    name: str
    titles: tuple[str, ...] = ()
    stops: bool = False
    mentions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go. Empty `rules`, `accounts`, `owners` mean all."""

    name: str
    kind: str
    url: Secret = Secret()
    secret: Secret = Secret()
    command: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    severity: str = "info"
    language: str = "zh"
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When to speak, of what, and to whom. Times of day are minutes in the reporting zone."""

    language: str = "zh"
    off: tuple[str, ...] = ()
    quiet: tuple[Minute, Minute] | None = None
    gather_minutes: int = 360
    long_run_hours: float = 8
    long_run_again_hours: float = 24
    roll_call: Minute | None = 21 * 60 + 30
    morning: Minute = 9 * 60
    balance_hours: tuple[int, ...] = (72, 24)
    balance_weekend: bool = True
    card_days: tuple[int, ...] = (7, 1)
    budget_percent: tuple[int, ...] = (50, 80, 100)
    cost_day_factor: float = 1.5
    cost_day_from_yuan: int = 100
    stale_minutes: int = 30
    daily_digest: Minute | None = None
    weekly_digest: tuple[int, Minute] | None = None
    owners: tuple[Owner, ...] = ()
    channels: tuple[Channel, ...] = ()

    def channel(self, name: str) -> Channel | None:
        return next((each for each in self.channels if each.name == name), None)


def read(written: Any, where: str) -> AlertSettings:
    """The settings of a config file's table `[alerts]`. Raises `SettingsError`."""
    table = _table(written, "alerts", where)
    _refuse_unknown(table, {*_READERS, "owners", "channels", ON_ALERT}, "alerts", where)
    values = {
        name: _READERS[name](table[name], f"alerts.{name} ({where})")
        for name in _READERS
        if name in table
    }
    language = values.get("language", "zh")
    channels = [
        _channel(name, keys, language, where)
        for name, keys in _table(table.get("channels", {}), "alerts.channels", where).items()
    ]
    if ON_ALERT in table:
        command = _words(table[ON_ALERT], f"alerts.{ON_ALERT} ({where})")
        channels.append(Channel(ON_ALERT, "command", command=command, language=language))
    owners = [
        _owner(name, keys, {c.name for c in channels}, where)
        for name, keys in _table(table.get("owners", {}), "alerts.owners", where).items()
    ]
    return AlertSettings(**values, owners=tuple(owners), channels=tuple(channels))


def _channel(name: str, written: Any, language: str, where: str) -> Channel:
    at = f"alerts.channels.{name}"
    keys = _table(written, at, where)
    for literal in ("url", "secret"):
        if literal in keys:
            raise SettingsError(
                f"{where}: {at} holds a {literal}",
                advice=f"put it into a file of its own ({literal}_file) or a variable ({literal}_env)",
            )
    _refuse_unknown(keys, {"kind", *_SECRETS, *_CHANNEL_READERS}, at, where)
    kind = _one_of(KINDS)(keys.get("kind", "webhook"), f"{at}.kind ({where})")
    values = {
        key: _CHANNEL_READERS[key](keys[key], f"{at}.{key} ({where})")
        for key in _CHANNEL_READERS
        if key in keys
    }
    url, secret = (_secret(keys, literal, at, where) for literal in ("url", "secret"))
    if (kind == "command" and not values.get("command")) or (kind != "command" and not url):
        needed = "command" if kind == "command" else "url_env or url_file"
        raise SettingsError(f"{where}: {at} needs {needed}", advice="see docs/alerts.md")
    return Channel(name, kind, url, secret, **{"language": language, **values})


def _secret(keys: Mapping[str, Any], literal: str, at: str, where: str) -> Secret:
    env, file = keys.get(f"{literal}_env"), keys.get(f"{literal}_file")
    for value in (env, file):
        if value is not None:
            _text(value, f"{at}.{literal}_… ({where})")
    return Secret(env, Path(file).expanduser() if file else None)


def _owner(name: str, written: Any, channels: set[str], where: str) -> Owner:
    at = f"alerts.owners.{name}"
    keys = _table(written, at, where)
    _refuse_unknown(keys, {"titles", "stops", "mentions"}, at, where)
    mentions = _table(keys.get("mentions", {}), f"{at}.mentions", where)
    for channel, who in mentions.items():
        if channel not in channels:
            raise SettingsError(
                f"{where}: {at}.mentions names channel {channel!r}, which there is not",
                advice=f"there are: {', '.join(sorted(channels)) or 'none'}",
            )
        _text(who, f"{at}.mentions.{channel} ({where})")
    return Owner(
        name=name,
        titles=_texts(keys.get("titles", []), f"{at}.titles ({where})"),
        stops=_flag(keys.get("stops", False), f"{at}.stops ({where})"),
        mentions=dict(mentions),
    )


def time_of_day(value: Any, where: str) -> Minute:
    """Minutes since midnight of `21:30`."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", value) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise SettingsError(f"{where} is no time of day", advice='write "21:30", or "off"')
    return int(found[1]) * 60 + int(found[2])


def _or_off(reader: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, where: None if value in ("off", "", False) else reader(value, where)


def _quiet(value: Any, where: str) -> tuple[Minute, Minute]:
    begins, dash, ends = str(value).partition("-")
    if not dash:
        raise SettingsError(f"{where} is no span of time", advice='write "23:00-08:00", or "off"')
    return time_of_day(begins.strip(), where), time_of_day(ends.strip(), where)


def _weekly(value: Any, where: str) -> tuple[int, Minute]:
    day, _, clock = str(value).partition(" ")
    if day.lower() not in WEEKDAYS:
        raise SettingsError(f"{where} names no weekday", advice='write "mon 09:00", or "off"')
    return WEEKDAYS.index(day.lower()), time_of_day(clock.strip(), where)


def _number(low: float, high: float, kind: type = float) -> Callable[[Any, str], Any]:
    def reader(value: Any, where: str) -> Any:
        fits = isinstance(value, int if kind is int else (int, float))
        if not fits or isinstance(value, bool) or not low <= value <= high:
            raise SettingsError(
                f"{where} must be a {'whole ' if kind is int else ''}number",
                advice=f"from {low:g} to {high:g}",
            )
        return kind(value)

    return reader


def _falling(low: int, high: int, *, rising: bool = False) -> Callable[[Any, str], tuple[int, ...]]:
    def reader(value: Any, where: str) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise SettingsError(f"{where} must be a list of numbers", advice="write [3, 1]")
        numbers = {_number(low, high, int)(each, where) for each in value}
        return tuple(sorted(numbers, reverse=not rising))

    return reader


def _one_of(choices: tuple[str, ...]) -> Callable[[Any, str], str]:
    def reader(value: Any, where: str) -> str:
        if value not in choices:
            raise SettingsError(
                f"{where} cannot be {value!r}", advice=f"one of {', '.join(choices)}"
            )
        return str(value)

    return reader


def _some_of(choices: tuple[str, ...]) -> Callable[[Any, str], tuple[str, ...]]:
    one = _one_of(choices)
    return lambda value, where: tuple(one(each, where) for each in _texts(value, where))


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SettingsError(f"{where} must be a list of texts", advice='write ["a", "b"]')
    return tuple(value)


def _words(value: Any, where: str) -> tuple[str, ...]:
    """A command: a list of words, or one text that is split as a shell would."""
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else _texts(value, where)
    except ValueError:
        words = ()
    if not words:
        raise SettingsError(f"{where} is no command", advice='write ["/path/to/command", "word"]')
    return words


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where} must be text", advice="put it in quotes")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where} must be true or false", advice="without quotes")
    return value


def _table(value: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: {name} must be a table", advice="see docs/alerts.md")
    return value


def _refuse_unknown(keys: Mapping[str, Any], known: set[str], at: str, where: str) -> None:
    for name in keys:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise SettingsError(
                f"{where} sets {at}.{name}, which is no setting",
                advice=f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}",
            )


_SECRETS: Final = ("url_env", "url_file", "secret_env", "secret_file")
_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "language": _one_of(LANGUAGES),
    "off": _some_of(RULES),
    "quiet": _or_off(_quiet),
    "gather_minutes": _number(0, 1440, int),
    "long_run_hours": _number(0.1, 1000),
    "long_run_again_hours": _number(1, 1000),
    "roll_call": _or_off(time_of_day),
    "morning": time_of_day,
    "balance_hours": _falling(1, 10_000),
    "balance_weekend": _flag,
    "card_days": _falling(0, 365),
    "budget_percent": _falling(1, 1000, rising=True),
    "cost_day_factor": _number(1, 100),
    "cost_day_from_yuan": _number(0, 10**9, int),
    "stale_minutes": _number(1, 100_000, int),
    "daily_digest": _or_off(time_of_day),
    "weekly_digest": _or_off(_weekly),
}
_CHANNEL_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "command": _words,
    "rules": _some_of(RULES),
    "accounts": _texts,
    "owners": _texts,
    "severity": _one_of(SEVERITIES),
    "language": _one_of(LANGUAGES),
    "timeout_s": _number(0.1, 60),
}
