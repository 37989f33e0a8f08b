"""Alerts: what is worth a message, once, to the right channel.

`Alerts.tick` is all that a daemon calls: after each poll, and each minute. It has no thread and no
clock of its own. Facts (`reading`) go through `rules` and `plan`, which are pure, into the database
(`state`), and messages from there to the `channels`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from etl.alerts import channels, digest, plan, rules, state
from etl.alerts.cause import Cause
from etl.alerts.facts import Budget, DayCost, Facts, Polling
from etl.alerts.message import Message, compose
from etl.alerts.plan import Alert
from etl.alerts.reading import Reading
from etl.alerts.rules import syncing
from etl.alerts.words import NOTHING, Words
from etl.dialect import Database, translated
from etl.errors import EtlError, SettingsError
from etl.history.days import Zone
from etl.poll import Instant
from etl.settings.alerts import AlertSettings, Channel
from etl.store import schema

PAUSE_S: Final = 600
"""After a longer pause between two ticks nobody is taken to have watched."""
COSTS_AGE_S: Final = 3_600
"""Costs and budgets are read anew after so long: they look at weeks."""
TEST: Final = Words("测试消息:渠道可用", "A test: this channel works")

Due = Callable[[str, float], float | None]
"""The newest tick, not after a moment, at which an account's instances were to be polled."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to deliver a message. `error` is None where the channel took it."""

    channel: str
    keys: tuple[str, ...]
    error: str | None = None
    attempts: int = 1


@dataclass
class Alerts:
    """Alerts over one database, for the `accounts` named and no others: those may be looked after by
    another daemon. Channels' secrets are in `environ`. `due` is the daemon's schedule, if it runs."""

    database: Database
    settings: AlertSettings
    accounts: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    send: channels.Send = channels.send
    due: Due | None = None
    _watching_since: Instant = field(init=False, default=0)
    _last_tick: Instant | None = field(init=False, default=None)
    _costs: tuple[Instant, tuple[DayCost, ...], tuple[Budget, ...]] | None = field(
        init=False, default=None
    )

    def tick(self, now: Instant) -> list[Sent]:
        """Look, note what changed, send what is due; what was tried. Raises `StoreError`, but never
        for the failure of a channel: that is noted, and tried again later."""
        if not self.database.exists():
            return []
        self._keep_watch(now)
        with translated(self.database):
            self._note(now)
            return list(self._deliver(now))

    def listed(self, since: Instant | None = None) -> list[Alert]:
        """Open alerts, newest first; with `since` also those that cleared after it."""
        with translated(self.database), self.database.reading() as conn:
            return state.listed(conn, since)

    def acknowledge(self, keys: Sequence[str], now: Instant) -> list[str]:
        """Somebody knows: no reminders until it clears. The keys that this is new for."""
        with translated(self.database), self.database.writing() as conn:
            return state.acknowledge(conn, keys, now)

    def test(self, names: Sequence[str], now: Instant) -> Iterator[Sent]:
        """A test message to each of these channels (all: none named), and what became of it."""
        cause = Cause("test", "digest", "info", TEST)
        for channel in self._chosen(names):
            yield self._try(channel, compose(channel, [cause], (), now), now)

    def written_digest(self, period: str, now: Instant) -> Words:
        """The digest of the last `day` or `week`."""
        with translated(self.database), self.database.reading() as conn:
            zone = Zone(schema.stored_timezone(conn))
            told = digest.period(period, zone, now)
            return digest.compose(conn, self._reading(conn), told, zone, now)

    def send_digest(self, period: str, now: Instant) -> Iterator[Sent]:
        """The same to every channel that takes digests, at once."""
        cause = Cause("digest", "digest", "info", self.written_digest(period, now))
        for channel in self.settings.channels:
            if plan.accepts(channel, cause):
                yield self._try(channel, compose(channel, [cause], (), now), now)

    def _keep_watch(self, now: Instant) -> None:
        if self._last_tick is None or not 0 <= now - self._last_tick <= PAUSE_S:
            self._watching_since = now
        self._last_tick = now

    def _note(self, now: Instant) -> None:
        """Write what changed, if anything did: looked at first, since most ticks change nothing."""
        with self.database.reading() as conn:
            facts = self._facts(conn, now)
            found = [c for c in rules.causes(facts, self.settings, now) if self._is_ours(c)]
            if not self._plan(conn, found, facts.zone, now)[0]:
                return
        with self.database.writing() as conn:
            made, was = self._plan(conn, found, facts.zone, now)
            state.write(conn, made, was, now)

    def _plan(
        self, conn: Connection, found: Sequence[Cause], zone: Zone, now: Instant
    ) -> tuple[plan.Plan, Mapping[str, Alert]]:
        kept = state.known(conn, [cause.key for cause in found])
        was = {key: alert for key, alert in kept.items() if self._is_ours(alert)}
        last = state.last_message_at(conn, [channel.name for channel in self.settings.channels])
        return plan.make(found, was, last, self.settings, zone, now), was

    def _is_ours(self, what: Cause | Alert) -> bool:
        return what.account is None or what.account in self.accounts

    def _facts(self, conn: Connection, now: Instant) -> Facts:
        zone, reading = Zone(schema.stored_timezone(conn)), self._reading(conn)
        day_costs, budgets = self._costs_of(reading, zone, now)
        return Facts(
            zone=zone,
            watching_since=self._watching_since,
            running=reading.machines.running(),
            stopped=reading.machines.stopped(zone, now),
            balances=reading.balances(now),
            cards=reading.cards(now),
            budgets=budgets,
            day_costs=day_costs,
            polling=self._polling(reading, now),
            unknown_codes=reading.unknown_codes(),
            failed_images=reading.machines.failed_images(),
            digests=tuple(
                digest.due(
                    self.settings,
                    zone,
                    now,
                    lambda told: self._digest_words(conn, reading, told, zone, now),
                )
            ),
            open_keys=state.open_keys(conn),
        )

    def _polling(self, reading: Reading, now: Instant) -> tuple[Polling, ...]:
        rows, due = reading.polling(self.accounts), self.due
        if due is None:
            return rows
        by = syncing.done_by(self.settings, now)
        return tuple(replace(row, due_at=due(row.account, by)) for row in rows)

    def _digest_words(
        self, conn: Connection, reading: Reading, told: digest.Period, zone: Zone, now: Instant
    ) -> Words:
        """Written once: where it is known already, nobody will read it."""
        if state.known(conn, [told.key]).get(told.key) is not None:
            return NOTHING
        return digest.compose(conn, reading, told, zone, now)

    def _costs_of(
        self, reading: Reading, zone: Zone, now: Instant
    ) -> tuple[tuple[DayCost, ...], tuple[Budget, ...]]:
        if self._costs is None or not 0 <= now - self._costs[0] < COSTS_AGE_S:
            self._costs = now, reading.day_costs(zone, now), reading.budgets(zone, now)
        return self._costs[1:]

    def _reading(self, conn: Connection) -> Reading:
        return Reading(conn, self.database.render, self.settings)

    def _deliver(self, now: Instant) -> Iterator[Sent]:
        """Each message is claimed before it is sent, so that one of several daemons does. A channel
        that fails is left alone until the next tick."""
        who = uuid.uuid4().hex
        with self.database.reading() as conn:
            waiting = state.due(conn, now)
        failing: set[str] = set()
        for delivery_id, name in waiting:
            if name in failing:
                continue
            with self.database.writing() as conn:
                delivery = state.claim(conn, delivery_id, who, now)
            if delivery is None:
                continue
            done = self._send(delivery, now)
            with self.database.writing() as conn:
                state.finish(conn, delivery, who, now, done.error)
            if done.error is not None:
                failing.add(name)
            yield done

    def _send(self, delivery: state.Delivery, now: Instant) -> Sent:
        channel = self.settings.channel(delivery.channel)
        if channel is None:
            keys = tuple(item.key for item in delivery.message.items)
            error = f"the settings know no channel {delivery.channel!r}"
            return Sent(delivery.channel, keys, error, delivery.attempts)
        return self._try(channel, delivery.message, now, delivery.attempts)

    def _try(self, channel: Channel, message: Message, now: Instant, attempts: int = 1) -> Sent:
        keys, error = tuple(item.key for item in message.items), None
        try:
            self.send(channel, message, self.environ, now)
        except EtlError as failure:
            error = failure.message
        except (OSError, ValueError, TypeError, RuntimeError) as failure:
            error = f"{channel.kind}: {type(failure).__name__}"  # its text could hold the address
        if error is None:
            _log.info("channel %s took a message of %d alerts", channel.name, len(keys))
        else:
            _log.warning("channel %s, attempt %d: %s", channel.name, attempts, error)
        return Sent(channel.name, keys, error, attempts)

    def _chosen(self, names: Sequence[str]) -> Sequence[Channel]:
        known = {channel.name: channel for channel in self.settings.channels}
        for name in names:
            if name not in known:
                raise SettingsError(
                    f"there is no channel {name!r}",
                    advice=f"there are: {', '.join(known) or 'none'}; see docs/alerts.md",
                )
        if not known:
            raise SettingsError(
                "no channel is set up", advice="add [alerts.channels.NAME]: see docs/alerts.md"
            )
        return [known[name] for name in names] or list(known.values())


__all__ = ["Alerts", "Sent"]
