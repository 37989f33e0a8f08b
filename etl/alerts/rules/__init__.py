"""The rules: facts and settings in, the causes that hold now out. Pure; each is a function over
plain rows, so that the query behind can change."""

from __future__ import annotations

from collections.abc import Iterator

from etl.alerts.cause import Cause
from etl.alerts.facts import Facts
from etl.alerts.rules import money, runs, syncing
from etl.poll import Instant
from etl.settings.alerts import AlertSettings


def causes(facts: Facts, settings: AlertSettings, now: Instant) -> list[Cause]:
    """Everything that holds at `now`, but for the rules that are switched off."""
    return [cause for cause in _all(facts, settings, now) if cause.rule not in settings.off]


def _all(facts: Facts, settings: AlertSettings, now: Instant) -> Iterator[Cause]:
    zone = facts.zone
    yield from runs.long_run(facts.running, settings, zone)
    yield from runs.roll_call(facts.running, settings, zone, now)
    yield from runs.stopped(facts.stopped, settings, zone)
    yield from money.balance(facts.balances, settings, zone, now, facts.open_keys)
    yield from money.card_expiry(facts.cards, settings, zone, now)
    yield from money.budget(facts.budgets, settings, facts.open_keys)
    yield from money.cost_day(facts.day_costs, settings, zone, now)
    yield from syncing.sync_stale(facts.polling, settings, zone, now, facts.watching_since)
    yield from syncing.key_refused(facts.polling)
    yield from syncing.unknown_code(facts.unknown_codes)
    yield from syncing.image_failed(facts.failed_images, zone)
    yield from syncing.digest(facts.digests)
