"""Settings of alerts: table `[alerts]` of the config file, with its owners and channels.

A channel's address holds a token, so the file never holds the address itself, only where to find
it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from etl.alerts.cause import SEVERITIES
from etl.alerts.options import QuietHours, RuleOptions
from etl.alerts.options import read as read_options
from etl.alerts.owners import DigestSubject, Owner
from etl.alerts.rules import RULES, rule
from etl.errors import SettingsError
from etl.paths import read_whole
from etl.redact import remember_address, shown_reference
from etl.settings import file
from etl.settings.file import home_expanded
from etl.settings.problems import Problems
from etl.texts import tr

KINDS: Final = ("feishu", "wecom", "dingtalk", "webhook", "apprise", "command")
DIGESTS: Final = ("day", "week")
ON_ALERT: Final = "on_alert"
"""The channel that setting `on_alert` makes."""
PAGE: Final = "docs/alerts.md"
_PLAIN: Final = {
    "Expected": "expected",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a table",
}

Language = Literal["zh", "en"]
Text = Annotated[str, Meta(min_length=1)]
Command = Text | tuple[Text, ...]
S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Secret:
    """Reference to a secret: an environment variable, or a file, read when it is needed."""

    env: str | None = None
    file: Path | None = None

    def read(self, environ: Mapping[str, str], purpose: str) -> str:
        """Return the secret. Raises `SettingsError` if there is none; `purpose` names it for people."""
        value = environ.get(self.env, "") if self.env else ""
        if not value and self.file is not None:
            try:
                # editors of Windows write a byte order mark, which is no part of an address
                value = read_whole(self.file).decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise SettingsError(
                    tr(
                        "{purpose}: file {file} cannot be read: {why}",
                        purpose=purpose,
                        file=shown_reference(str(self.file)),
                        why=why,
                    ),
                    advice=tr("check its path and permissions"),
                ) from None
        if not value.strip():
            raise SettingsError(
                tr("{purpose} is not set", purpose=purpose),
                advice=(
                    tr("export {env}=…", env=shown_reference(self.env))
                    if self.env
                    else tr("put it into its file")
                ),
            )
        for line in value.split():  # a channel can have several addresses
            remember_address(line)
        return value.strip()

    def __bool__(self) -> bool:
        return self.env is not None or self.file is not None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel for messages. Empty `rules`, `accounts`, `digests` mean all; so do
    `owners` and `projects` if both are."""

    name: str
    kind: str
    url: Secret = Secret()
    secret: Secret = Secret()
    command: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    severity: str = "info"
    language: str = "en"
    timeout_s: float = 10.0
    pictures: bool = True


class _Common(RuleOptions, frozen=True, kw_only=True):
    """Settings of `[alerts]` that belong to no single rule."""

    language: Language | None = None
    off: tuple[Literal[RULES], ...] = ()  # type: ignore[valid-type]
    quiet: QuietHours | None = None
    gather_minutes: Annotated[int, Meta(ge=0, le=1_440)] = 360
    on_alert: Command | None = None


class _WrittenChannel(RuleOptions, frozen=True, kw_only=True):
    """A table `[alerts.channels.NAME]`."""

    kind: Literal[KINDS] = "webhook"  # type: ignore[valid-type]
    url_env: Text | None = None
    url_file: Text | None = None
    secret_env: Text | None = None
    secret_file: Text | None = None
    command: Command | None = None
    rules: tuple[Literal[RULES], ...] = ()  # type: ignore[valid-type]
    accounts: tuple[Text, ...] = ()
    owners: tuple[Text, ...] = ()
    projects: tuple[Text, ...] = ()
    digests: tuple[Literal[DIGESTS], ...] = ()  # type: ignore[valid-type]
    severity: Literal[SEVERITIES] = "info"  # type: ignore[valid-type]
    language: Language | None = None
    pictures: bool = True
    # a tick waits so long for a channel that is dead, and the next tick comes in a minute
    timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Settings of alerts: when messages are sent, about which causes, and to whom. `table` is as
    written.
    """

    off: tuple[str, ...] = ()
    quiet: QuietHours | None = None
    gather_minutes: int = 360
    table: Mapping[str, Any] = field(default_factory=dict, repr=False)
    owners: tuple[Owner, ...] = ()
    channels: tuple[Channel, ...] = ()
    language: str = "en"

    def options(self, name: str) -> Any:
        """Return the settings of one rule, which alone knows their type."""
        return read_options(dict(self.table), rule(name).options)

    def channel(self, name: str) -> Channel | None:
        return next((channel for channel in self.channels if channel.name == name), None)

    @property
    def subjects(self) -> tuple[DigestSubject, ...]:
        """Return the owners and projects with a channel of their own, in the order of the channels."""
        listed = [
            DigestSubject(kind, name)
            for channel in self.channels
            for kind, names_of in (("owner", channel.owners), ("project", channel.projects))
            for name in names_of
        ]
        return tuple(dict.fromkeys(listed))

    def mentions(self, channel: Channel) -> dict[str, str]:
        """Return the ids of people in a channel, by owner."""
        ids = {owner.name: owner.mentions.get(channel.name) for owner in self.owners}
        return {name: who for name, who in ids.items() if who}


def names() -> list[str]:
    """Return every name that `[alerts]` can hold."""
    kinds: tuple[type[msgspec.Struct], ...] = (_Common, *(rule(name).options for name in RULES))
    return [f.name for kind in kinds for f in msgspec.structs.fields(kind)] + ["owners", "channels"]


def read(
    written: Any,
    origin: str,
    problems: Problems | None = None,
    *,
    override: str | None = None,
    language: str = "en",
) -> AlertSettings:
    """Read table `[alerts]` of a config file. The language `override` holds before the one written
    there, and that before `language`.

    Adds everything wrong to `problems`; without such a list, raises the first error.
    """
    noted = Problems() if problems is None else problems
    count = len(noted)
    table = noted.catch({}, _table, written, "alerts", origin)
    # one wrong value leaves the defaults in place, so that the rest is judged as well
    common = noted.catch(_Common(), _read_struct, table, _Common, "alerts", origin, noted)
    if table:  # else no rule need be loaded
        noted.extend(_unknown(table, names(), "alerts", origin))
    for name in RULES if table else ():
        noted.catch(None, _read_struct, table, rule(name).options, "alerts", origin, noted)
    language = override or common.language or language
    channels = _channels(table, common, language, origin, noted)
    # after the channels: an owner's mentions name them
    owners = [
        noted.catch(None, _owner, name, keys, {c.name for c in channels}, origin, noted)
        for name, keys in _tables(table, "owners", origin, noted)
    ]
    if problems is None and len(noted) > count:
        raise noted[0]
    return AlertSettings(
        off=common.off,
        quiet=common.quiet,
        gather_minutes=common.gather_minutes,
        table=table,
        owners=tuple(owner for owner in owners if owner is not None),
        channels=channels,
        language=language,
    )


def _channels(
    table: Mapping[str, Any], common: _Common, language: str, origin: str, noted: Problems
) -> tuple[Channel, ...]:
    """Return the channels that could be read, and the one of `on_alert`."""
    # a wrong channel costs no other: alerts must not fall silent for a typing error
    read_ones = [
        noted.catch(None, _channel, name, keys, language, origin, noted)
        for name, keys in _tables(table, "channels", origin, noted)
    ]
    channels = [channel for channel in read_ones if channel is not None]
    if common.on_alert is not None:
        command = noted.catch((), _command_words, common.on_alert, f"alerts.{ON_ALERT}", origin)
        channels.append(Channel(ON_ALERT, "command", command=command, language=language))
    return tuple(channels)


def _tables(
    table: Mapping[str, Any], name: str, origin: str, noted: Problems
) -> Iterable[tuple[str, Any]]:
    return noted.catch({}, _table, table.get(name, {}), f"alerts.{name}", origin).items()


def _channel(name: str, written: Any, language: str, origin: str, noted: Problems) -> Channel:
    at = f"alerts.channels.{name}"
    table = _table(written, at, origin)
    # the address holds a token, and config files are committed, shared and readable by others
    for literal in (name for name in ("url", "secret") if name in table):
        noted.add(
            tr("{origin}: {at} holds a {literal}", origin=origin, at=at, literal=literal),
            tr(
                "put it into a file of its own ({literal}_file) or a variable ({literal}_env)",
                literal=literal,
            ),
        )
    known = [field.name for field in msgspec.structs.fields(_WrittenChannel)]
    noted.extend(_unknown(table, [*known, "url", "secret"], at, origin))
    keys = _read_struct(table, _WrittenChannel, at, origin, noted)
    url, secret = (
        Secret(env, home_expanded(Path(file), f"{origin}: {at}") if file else None)
        for env, file in ((keys.url_env, keys.url_file), (keys.secret_env, keys.secret_file))
    )
    is_command = keys.kind == "command"
    if not (keys.command if is_command else url or "url" in table):
        needed = "command" if is_command else "url_env or url_file"
        raise SettingsError(
            tr("{origin}: {at} needs {needed}", origin=origin, at=at, needed=needed),
            advice=tr("see {page}", page=PAGE),
        )
    return Channel(
        name=name,
        kind=keys.kind,
        url=url,
        secret=secret,
        command=_command_words(keys.command, f"{at}.command", origin) if keys.command else (),
        rules=keys.rules,
        accounts=keys.accounts,
        owners=keys.owners,
        projects=keys.projects,
        digests=keys.digests,
        severity=keys.severity,
        language=keys.language or language,
        timeout_s=keys.timeout_s,
        pictures=keys.pictures,
    )


def _owner(name: str, written: Any, channels: set[str], origin: str, noted: Problems) -> Owner:
    at = f"alerts.owners.{name}"
    table = _table(written, at, origin)
    # the name is the heading of the table, and no setting in it
    noted.extend(_unknown(table, ["titles", "stops", "mentions"], at, origin))
    owner = msgspec.structs.replace(_read_struct(table, Owner, at, origin, noted), name=name)
    for channel in owner.mentions:
        if channel not in channels:
            noted.add(
                tr(
                    "{origin}: {at}.mentions names channel {channel!r}, which does not exist",
                    origin=origin,
                    at=at,
                    channel=channel,
                ),
                tr("there are: {channels}", channels=", ".join(sorted(channels)) or "none"),
            )
    return owner


def _command_words(command: str | tuple[str, ...], at: str, origin: str) -> tuple[str, ...]:
    """Return the words of a command, given as a list, or as one text to split as a shell would."""
    try:
        # no shell runs it: a title with `;` or `$(…)` in it stays a text
        words = tuple(shlex.split(command)) if isinstance(command, str) else command
    except ValueError:
        words = ()
    if not words:
        raise SettingsError(
            tr("{origin}: {at} is no command", origin=origin, at=at),
            advice=tr('write ["/path/to/command", "word"]'),
        )
    return words


def _read_struct(
    table: Mapping[str, Any], kind: type[S], at: str, origin: str, noted: Problems
) -> S:
    """Read settings of one kind. Adds an error with its path for each wrong value, in whose place the
    default stands.
    """
    left = dict(table)
    while True:
        try:
            return read_options(left, kind)
        except msgspec.ValidationError as error:
            # msgspec writes the path behind the reason
            reason, _, path = str(error).partition(" - at `$")
            name = re.match(r"\.(\w+)", path)
            wrong = _wrong_value(kind, f"{origin}: {at}{path.rstrip('`')}", name, reason)
            if name is None or left.pop(name[1], None) is None:
                raise wrong from None
            # the library stops at the first wrong value: the rest is read without it
            noted.append(wrong)


def _wrong_value(
    kind: type[msgspec.Struct], at: str, name: re.Match[str] | None, reason: str
) -> SettingsError:
    choices = _choices(kind, name[1]) if name else []
    return SettingsError(
        tr("{at}: {reason}", at=at, reason=_plainly(reason)),
        advice=(
            tr("one of {choices}", choices=", ".join(choices))
            if choices
            else tr("see {page}", page=PAGE)
        ),
    )


def _choices(kind: type[msgspec.Struct], name: str) -> list[str]:
    """Return the values that a setting can have, if they are names."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    # a type can be a union, with the names in one of its members
    return _literals(fields[name])


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [value for inner in get_args(annotation) for value in _literals(inner)]


def _plainly(reason: str) -> str:
    """Put an error of msgspec into words for people."""
    # msgspec speaks of types, and people of lists and tables
    plain = (
        reason.replace("`", "").replace(" | null", "").replace("Invalid enum value", "it cannot be")
    )
    return re.sub(r"\w+", lambda word: _PLAIN.get(word[0], word[0]), plain)


def _table(value: Any, name: str, origin: str) -> Mapping[str, Any]:
    return file.table(value, name, origin, tr("see {page}", page=PAGE))


def _unknown(
    table: Mapping[str, Any], known: Collection[str], at: str, origin: str
) -> Iterator[SettingsError]:
    """Yield one error for each unknown name, with the nearest that is."""
    for name in table:
        if name not in known:
            yield SettingsError(
                tr("{origin}: {at}.{name} is not a setting", origin=origin, at=at, name=name),
                advice=file.nearest(name, known),
            )
