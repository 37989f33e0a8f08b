"""The plan: which alerts begin, which clear, and which channel gets which message. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from etl.alerts.cause import SEVERITIES, Alert, Cause
from etl.alerts.message import Message, compose
from etl.alerts.rules import rule
from etl.history.days import Zone
from etl.poll import Instant
from etl.settings.alerts import AlertSettings, Channel

REFIRE_S: Final = 6 * 3_600
"""The shortest time between two messages about a cause that comes and goes."""


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
    """Return the plan for the causes that hold now.

    `known` holds the alerts of these causes and all open ones, `last_message_at` is by channel.
    """
    holding = {cause.key: cause for cause in causes}
    # open alerts without a cause are in it too, since those are to be cleared
    before = {key: known.get(key) for key in {*holding, *known}}
    after = {key: _alert_of(holding.get(key), known.get(key), now) for key in before}
    messages = []
    for channel in settings.channels:
        due = _due(channel, holding.values(), after, last_message_at, settings, zone, now)
        if not due:
            continue
        mentions = settings.mentions(channel)
        messages.append((channel.name, compose(due, channel.language, mentions, now)))
        for cause in due:
            # the covered ones count as sent: they must not follow when the worst has cleared
            for key in (cause.key, *(k for k in cause.covers if k in holding)):
                after[key] = _sent(after[key], holding[key], channel.name, now)
    # only what differs is written, so that a tick without news writes nothing
    changed = (alert for key, alert in sorted(after.items()) if alert != before[key])
    return Plan(tuple(changed), tuple(messages))


def is_quiet(settings: AlertSettings, zone: Zone, now: Instant) -> bool:
    """Tell whether `now` is within the quiet hours."""
    if settings.quiet is None:
        return False
    local = zone.local(now)
    return settings.quiet.contains(local.hour * 60 + local.minute)


def accepts(channel: Channel, cause: Cause) -> bool:
    """Tell whether a cause is for a channel.

    A cause of no account or owner is for all channels but those of single owners or projects.
    """
    return (
        (not channel.rules or cause.rule in channel.rules)
        and (not channel.accounts or cause.account in (None, *channel.accounts))
        and (not channel.digests or cause.period in (None, *channel.digests))
        and _concerns(channel, cause)
        and SEVERITIES.index(cause.severity) >= SEVERITIES.index(channel.severity)
    )


def _concerns(channel: Channel, cause: Cause) -> bool:
    # no room of all gets what is one person's: their digest says what each of their days cost
    if not (channel.owners or channel.projects):
        return not cause.private
    return cause.owner in channel.owners or cause.project in channel.projects


def _alert_of(cause: Cause | None, was: Alert | None, now: Instant) -> Alert:
    """Return the alert of a cause that holds, or, for None, that holds no longer."""
    if cause is None:
        assert was is not None
        # the row stays: when the cause comes back soon, it is known to have been sent
        return was if was.cleared_at is not None else replace(was, cleared_at=now)
    if was is None:
        return Alert(
            cause.key,
            cause.rule,
            cause.severity,
            cause.words.in_language("zh"),
            str(cause.words),
            first_at=now,
            account=cause.account,
            owner=cause.owner,
        )
    if was.cleared_at is not None:
        # acknowledged was the time before: coming back is news
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
    """Return the causes of a message to this channel now; none if all of them can wait for more."""
    # held back, not lost: what is still true when they end is sent then
    quiet = is_quiet(settings, zone, now)
    due = [
        cause
        for cause in causes
        if accepts(channel, cause)
        and (rule(cause.rule).wakes or not quiet)
        and _is_delivery_due(cause, alerts[cause.key], channel.name, now)
    ]
    last = last_message_at.get(channel.name)
    # not below 0: a clock that was set back must not hold messages until it has caught up
    gathered = last is None or not 0 <= now - last < settings.gather_minutes * 60
    # one that cannot wait takes the others along: a single message instead of two
    return due if gathered or any(rule(cause.rule).prompt for cause in due) else ()


def _is_delivery_due(cause: Cause, alert: Alert, channel: str, now: Instant) -> bool:
    # acknowledged: somebody works on it, and each message more would be noise
    if cause.silent or alert.acked_at is not None:
        return False
    sent_at = alert.deliveries.get(channel)
    if sent_at is None:
        return True
    # it cleared and came again: a cause that flaps must not be a message each time
    if sent_at < alert.first_at:
        return now - sent_at >= REFIRE_S
    return cause.repeat_s is not None and now - sent_at >= cause.repeat_s


def _sent(alert: Alert, cause: Cause, channel: str, now: Instant) -> Alert:
    return replace(
        alert,
        # its newest words: a list shows what people were told, not what held at first
        severity=cause.severity,
        zh=cause.words.in_language("zh"),
        en=str(cause.words),
        owner=cause.owner,
        last_sent_at=now,
        deliveries={**alert.deliveries, channel: now},
    )
