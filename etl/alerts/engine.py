"""Alerts of one database: causes are judged, messages put together, sent, and tried again.

`Alerts.tick` is all that a daemon calls: after each poll, and each minute. It has no thread and no
clock of its own. Rules and plan are pure; the store keeps sent messages; channels send.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs

from etl import store
from etl.alerts import channels, plan
from etl.alerts.cause import Alert, Cause
from etl.alerts.charts import ChartOrder, Draw
from etl.alerts.message import TEXT_LIMIT, Message, compose
from etl.alerts.owners import DigestSubject
from etl.alerts.periods import newest_period
from etl.alerts.rules import RULES, digest, rule
from etl.alerts.snapshot import Due, Moment, Snapshot
from etl.dialect import Database, translated
from etl.errors import EtlError, SettingsError
from etl.poll import Instant
from etl.settings.alerts import AlertSettings, Channel
from etl.store.alerts import AlertsReader, Delivery
from etl.texts import Text, joined, tr

# a daemon ticks each minute: ten of them left out are no delay any more
PAUSE_S: Final = 600
"""The longest pause between two ticks over which we still count as watching."""
TEST: Final = tr(
    "A test: this channel works. The lines below only make the message as long as any can be."
)
FILLER: Final = tr("line {number}")

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to deliver a message. `error` is None if every recipient of the channel has it."""

    channel: str
    keys: tuple[str, ...]
    error: str | None = None
    attempts: int = 1


@dataclass
class Alerts:
    """Alerts over one database, for the `accounts` named and no others: those may be another daemon's.

    Secrets of channels are in `environ`. `due` is the daemon's schedule, if it runs. `draw` makes the charts of digests.
    """

    database: Database
    settings: AlertSettings
    accounts: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    recipients: channels.Recipients = channels.recipients
    due: Due | None = None
    draw: Draw | None = field(repr=False, default=None)
    _watching_since: Instant = field(init=False, default=0)
    _last_tick: Instant | None = field(init=False, default=None)
    _facts: dict[str, tuple[Instant, Sequence[Any]]] = field(
        init=False, repr=False, default_factory=dict
    )

    def tick(self, now: Instant) -> list[Sent]:
        """Judge the rules, write changed alerts, send due messages; return the attempts.

        Raises `StoreError`, but never for the failure of a channel: that is noted, and tried again.
        """
        with translated(self.database):
            # before the first sync there is nothing to judge, and asking would be an error
            if not self.database.exists():
                return []
        self._keep_watch(now)
        # judged before anything is sent: what clears now need not be sent any more
        self._note(now)
        return list(self._deliver(now))

    def listed(self, since: Instant | None = None) -> list[Alert]:
        """Return open alerts, newest first; with `since` also those that cleared after it."""
        with store.reading(self.database) as tx:
            return tx.alerts.listed(since)

    def acknowledge(self, keys: Sequence[str], now: Instant) -> list[str]:
        """Send no reminders of these alerts until they clear; return the keys newly acknowledged."""
        with store.writing(self.database) as tx:
            return tx.alerts.acknowledge(keys, now)

    def test(self, names: Sequence[str], now: Instant) -> Iterator[Sent]:
        """Send a test message, as long as a channel takes, to the channels named, or to all."""
        fill = [FILLER.filled(number=number) for number in range(1, TEXT_LIMIT // 8)]
        cause = Cause("test", "digest", "info", joined([TEST, *fill], "\n"))
        for channel in self._chosen(names):
            yield self._once(channel, compose([cause], channel.language, {}, now), now)

    def written_digest(
        self, period: str, now: Instant, subject: DigestSubject | None = None
    ) -> Text:
        """Return the text of the digest of the last `day` or `week`: of all, or of one subject."""
        return self._digest(period, now, subject).words

    def send_digest(
        self, period: str, now: Instant, subject: DigestSubject | None = None
    ) -> Iterator[Sent]:
        """Send a digest at once to every channel that takes it."""
        cause = self._digest(period, now, subject)
        takers = [c for c in self.settings.channels if plan.accepts(c, cause)]
        if not takers:
            raise SettingsError(
                (self._untaken(subject) if self.settings.channels else tr("no channel is set up")),
                advice=tr("add [alerts.channels.NAME]: see docs/alerts.md"),
            )
        for channel in takers:
            yield self._once(channel, compose([cause], channel.language, {}, now), now)

    def _digest(self, name: str, now: Instant, subject: DigestSubject | None) -> Cause:
        with store.reading(self.database) as tx:
            snapshot = self._snapshot(tx.alerts, now)
            period = newest_period(name, snapshot.moment)
            words = digest.digest_text(snapshot, period, subject)
        return Cause("digest", "digest", "info", words, **digest.address(period, subject))

    def _untaken(self, subject: DigestSubject | None) -> Text:
        if subject is None:
            return tr("no channel takes digests")
        return tr("no channel takes the digest of {name!r}", name=subject.name)

    def require_channels(self) -> None:
        """Raise `SettingsError` if there is no channel."""
        self._chosen(())

    def _keep_watch(self, now: Instant) -> None:
        # in a suspend, or across a set clock, nobody watched: nothing is called stale for that time
        if self._last_tick is None or not 0 <= now - self._last_tick <= PAUSE_S:
            self._watching_since = now
        self._last_tick = now

    def _note(self, now: Instant) -> None:
        """Write changed alerts and new messages, if there are any: most ticks only read."""
        with store.reading(self.database) as tx:
            snapshot = self._snapshot(tx.alerts, now)
            causes = [cause for cause in self._causes(snapshot) if self._is_ours(cause)]
            made, _ = self._plan(tx.alerts, causes, snapshot.moment)
            if not made:
                return
        # Planned again: another daemon may have written the same messages since the read.
        with store.writing(self.database) as tx:
            made, known = self._plan(tx.alerts, causes, snapshot.moment)
            tx.alerts.write(made.alerts, made.messages, known, now)

    def _causes(self, snapshot: Snapshot) -> Iterator[Cause]:
        """Yield the causes that hold now, by every rule that is on."""
        for name in RULES:
            if name not in self.settings.off:
                facts, own = self._facts_of(name, snapshot), self.settings.options(name)
                # lazily: a rule that is off is not even loaded
                yield from rule(name).causes(facts, own, snapshot.moment)

    def _facts_of(self, name: str, snapshot: Snapshot) -> Sequence[Any]:
        now = snapshot.moment.now
        read_at, facts = self._facts.get(name, (None, ()))
        # not below 0: a clock that was set back would keep facts for as long as it was ahead
        if read_at is None or not 0 <= now - read_at < rule(name).facts_age_s:
            facts = rule(name).facts(snapshot, self.settings.options(name))
            # with the moment of reading, not of the tick before: facts age from when they were true
            self._facts[name] = now, facts
        return facts

    def _plan(
        self, tx: AlertsReader, causes: Sequence[Cause], moment: Moment
    ) -> tuple[plan.Plan, Mapping[str, Alert]]:
        kept = tx.known([cause.key for cause in causes])
        known = {key: alert for key, alert in kept.items() if self._is_ours(alert)}
        last = tx.last_message_at([channel.name for channel in self.settings.channels])
        return plan.make(causes, known, last, self.settings, moment.zone, moment.now), known

    def _is_ours(self, subject: Cause | Alert) -> bool:
        # of no account: a project, a digest; every daemon may send those, and the claim lets one
        return subject.account is None or subject.account in self.accounts

    def _snapshot(self, tx: AlertsReader, now: Instant) -> Snapshot:
        moment = Moment(
            now=now,
            zone=tx.zone(),
            watching_since=self._watching_since,
            open_keys=tx.open_keys(),
            owners=self.settings.owners,
            accounts=self.accounts,
            subjects=self.settings.subjects,
            due=self.due,
        )
        return Snapshot(tx.ask, moment)

    def _deliver(self, now: Instant) -> Iterator[Sent]:
        """Claim and send each message that is due; yield the attempts.

        Only one of several daemons can claim a message. A recipient that fails is left alone until the
        next tick.
        """
        # new for each tick: a claim of this process that expired is not taken for a live one
        claimant = uuid.uuid4().hex
        with store.reading(self.database) as tx:
            waiting = tx.alerts.due(now)
        failing: dict[tuple[str, str], str] = {}
        for delivery_id in waiting:
            # A claim that nobody finishes expires, so a crash may send twice. To mark the message as
            # sent before it is would lose it instead.
            with store.writing(self.database) as tx:
                delivery = tx.alerts.claim(delivery_id, claimant, now)
            if delivery is not None:
                yield self._send(delivery, claimant, now, failing)

    def _send(
        self,
        delivery: Delivery,
        claimant: str,
        now: Instant,
        failing: dict[tuple[str, str], str],
    ) -> Sent:
        """Send a claimed message to those who do not have it yet, and note who took it."""

        # after each recipient: if the process dies, only the one in hand may get it twice
        def note(taken_by: Sequence[str]) -> None:
            with store.writing(self.database) as tx:
                tx.alerts.note_taken(delivery, claimant, taken_by)

        attempt = Dispatch(delivery.message, list(delivery.taken_by), failing)
        error = self._reach(delivery.channel, attempt, now, note)
        with store.writing(self.database) as tx:
            tx.alerts.finish(
                replace(delivery, taken_by=tuple(attempt.taken_by)), claimant, now, error
            )
        return _logged(Sent(delivery.channel, delivery.message.keys, error, delivery.attempts))

    def _once(self, channel: Channel, message: Message, now: Instant) -> Sent:
        """Send a message that is not kept: a test, or a digest that somebody asked for."""
        error = self._reach(channel.name, Dispatch(message), now, lambda taken_by: None)
        return _logged(Sent(channel.name, message.keys, error))

    def _reach(
        self, name: str, attempt: Dispatch, now: Instant, note: Callable[[Sequence[str]], None]
    ) -> str | None:
        """Try every recipient of a channel; return why any, or the channel, failed, or None."""
        channel = self.settings.channel(name)
        # it was taken out of the settings while its message waited
        if channel is None:
            return tr("the settings know no channel {name!r}", name=name)
        try:
            everybody = self.recipients(channel, self.environ)
        except EtlError as error:
            return error.message
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            return _unexpected(channel.kind, error)
        attempt.message = self._illustrated(attempt.message, channel, now)
        errors = []
        for recipient in everybody:
            # of an attempt before this one, which failed for others
            if recipient.name in attempt.taken_by:
                continue
            error_text = attempt.try_one(channel.name, recipient, now)
            if error_text is not None:
                errors.append(error_text)
            # noted at once: a crash between two recipients must not send to the first one again
            elif len(everybody) > 1:
                note(attempt.taken_by)
        # an address list that is all comments would otherwise count as delivered
        if not everybody:
            return tr("the channel names no address")
        if not errors or len(everybody) == 1:
            return errors[0] if errors else None
        return tr(
            "{failed} of {count} recipients: {errors}",
            failed=len(errors),
            count=len(everybody),
            errors=joined(errors, tr("; ")),
        )

    def _illustrated(self, message: Message, channel: Channel, now: Instant) -> Message:
        """Return a message with the charts of its digests, if its channel can show them."""
        if not (channel.pictures and channels.shows_pictures(channel) and self.draw is not None):
            return message
        orders = [
            ChartOrder(asked, message.language, tuple(self.accounts), self.settings.owners, now)
            for asked in message.digests
        ]
        try:
            drawn = [picture for order in orders for picture in self.draw(self.database, order)]
        except (EtlError, OSError, ValueError, TypeError, RuntimeError) as error:
            # the words have every figure: they are not held back for a picture
            _log.warning("charts of a digest could not be drawn: %s", type(error).__name__)
            return message
        # of a Monday, the digests of the day and of the week have the same charts
        once = {picture.png: picture for picture in drawn}.values()
        named = [structs.replace(p, name=f"{n}-{p.name}") for n, p in enumerate(once, 1)]
        return structs.replace(message, pictures=tuple(named))

    def _chosen(self, names: Sequence[str]) -> Sequence[Channel]:
        known = {channel.name: channel for channel in self.settings.channels}
        for name in names:
            if name not in known:
                raise SettingsError(
                    tr("there is no channel {name!r}", name=name),
                    advice=tr(
                        "there are: {known}; see docs/alerts.md",
                        known=", ".join(known) or tr("none"),
                    ),
                )
        if not known:
            raise SettingsError(
                tr("no channel is set up"),
                advice=tr("add [alerts.channels.NAME]: see docs/alerts.md"),
            )
        # in the order in which they were named
        return [known[name] for name in names] or list(known.values())


@dataclass
class Dispatch:
    """A message being sent: who took it, and the error of each recipient that failed in this tick."""

    message: Message
    taken_by: list[str] = field(default_factory=list)
    failing: dict[tuple[str, str], str] = field(default_factory=dict)

    def try_one(self, channel: str, recipient: channels.Recipient, now: Instant) -> str | None:
        """Return why a recipient did not take the message; None if it did.

        One that failed already in this tick is not tried again.
        """
        key = channel, recipient.name
        if key not in self.failing:
            error = _error_of(recipient, self.message, now)
            if error is None:
                self.taken_by.append(recipient.name)
                return None
            self.failing[key] = error
        return self.failing[key]


def _error_of(recipient: channels.Recipient, message: Message, now: Instant) -> str | None:
    try:
        recipient.send(message, now)
    except EtlError as error:
        return error.message
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        return _unexpected(recipient.name, error)
    return None


def _unexpected(subject: str, error: Exception) -> str:
    """Return an error by its type alone: the text of a foreign one could hold an address."""
    return f"{subject}: {type(error).__name__}"


def _logged(sent: Sent) -> Sent:
    if sent.error is None:
        _log.info("channel %s took a message of %d alerts", sent.channel, len(sent.keys))
    else:
        _log.warning("channel %s, attempt %d: %s", sent.channel, sent.attempts, sent.error)
    return sent


__all__ = ["Alerts", "Sent"]
