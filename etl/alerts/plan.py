"""What a look at the causes changes: which begin, which clear, and who is told of what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.message import Message, compose
from etl.history.days import Zone
from etl.poll import Instant
from etl.settings.alerts import SEVERITIES, AlertSettings, Channel

REFIRE_S: Final = 6 * 3_600
"""A cause that comes and goes is said once in so long a time."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of table `alert`."""

    key: str
    rule: str
    severity: str
    zh: str
    en: str
    first_at: Instant
    account: str | None = None
    owner: str | None = None
    last_sent_at: Instant | None = None
    cleared_at: Instant | None = None
    acked_at: Instant | None = None
    deliveries: Mapping[str, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows to write, whole, and the messages to send: (channel's name, message)."""

    alerts: tuple[Alert, ...] = ()
    messages: tuple[tuple[str, Message], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alerts or self.messages)


def make(
    causes: Iterable[Cause],
    known: Mapping[str, Alert],
    last_message_at: Mapping[str, Instant],
    settings: AlertSettings,
    zone: Zone,
    now: Instant,
) -> Plan:
    """`known`: the alerts of these causes and all open ones; `last_message_at` by channel."""
    holding = {cause.key: cause for cause in causes}
    before = {key: known.get(key) for key in {*holding, *known}}
    after = {key: _judged(holding.get(key), known.get(key), now) for key in before}
    messages = []
    for channel in settings.channels:
        due = _due(channel, holding.values(), after, last_message_at, settings, zone, now)
        if not due:
            continue
        messages.append((channel.name, compose(channel, due, settings.owners, now)))
        for cause in due:
            for key in (cause.key, *(k for k in cause.covers if k in holding)):
                after[key] = _said(after[key], holding[key], channel.name, now)
    changed = (alert for key, alert in sorted(after.items()) if alert != before[key])
    return Plan(tuple(changed), tuple(messages))


def is_quiet(settings: AlertSettings, zone: Zone, now: Instant) -> bool:
    """Whether `now` is within the quiet hours."""
    if settings.quiet is None:
        return False
    begins, ends = settings.quiet
    local = zone.local(now)
    minute = local.hour * 60 + local.minute
    if begins <= ends:
        return begins <= minute < ends
    return minute >= begins or minute < ends


def accepts(channel: Channel, cause: Cause) -> bool:
    """Whether a channel wants to hear of a cause. One of no account or owner is for everybody but
    channels of single owners."""
    return (
        (not channel.rules or cause.rule in channel.rules)
        and (not channel.accounts or cause.account in (None, *channel.accounts))
        and (not channel.owners or cause.owner in channel.owners)
        and SEVERITIES.index(cause.severity) >= SEVERITIES.index(channel.severity)
    )


def _judged(cause: Cause | None, was: Alert | None, now: Instant) -> Alert:
    """The alert of a cause that holds, or of one that holds no longer (None)."""
    if cause is None:
        assert was is not None
        return was if was.cleared_at is not None else replace(was, cleared_at=now)
    if was is None:
        return Alert(
            cause.key,
            cause.rule,
            cause.severity,
            *cause.words,
            first_at=now,
            account=cause.account,
            owner=cause.owner,
        )
    if was.cleared_at is not None:
        return replace(was, first_at=now, cleared_at=None, acked_at=None)
    return was


def _due(
    channel: Channel,
    causes: Iterable[Cause],
    alerts: Mapping[str, Alert],
    last_message_at: Mapping[str, Instant],
    settings: AlertSettings,
    zone: Zone,
    now: Instant,
) -> Sequence[Cause]:
    """What a message to this channel would say now; nothing where all of it can wait for more."""
    quiet = is_quiet(settings, zone, now)
    due = [
        cause
        for cause in causes
        if accepts(channel, cause)
        and (cause.manner.wakes or not quiet)
        and _is_due(cause, alerts[cause.key], channel.name, now)
    ]
    last = last_message_at.get(channel.name)
    gathered = last is None or not 0 <= now - last < settings.gather_minutes * 60
    return due if gathered or any(cause.manner.prompt for cause in due) else ()


def _is_due(cause: Cause, alert: Alert, channel: str, now: Instant) -> bool:
    if cause.silent or alert.acked_at is not None:
        return False
    said_at = alert.deliveries.get(channel)
    if said_at is None:
        return True
    if said_at < alert.first_at:
        return now - said_at >= REFIRE_S
    return cause.repeat_s is not None and now - said_at >= cause.repeat_s


def _said(alert: Alert, cause: Cause, channel: str, now: Instant) -> Alert:
    return replace(
        alert,
        severity=cause.severity,
        zh=cause.words.zh,
        en=cause.words.en,
        owner=cause.owner,
        last_sent_at=now,
        deliveries={**alert.deliveries, channel: now},
    )
