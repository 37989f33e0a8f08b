"""Judge by the database alone whether anything is blind: for a process that polls once and ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from etl import store
from etl.app import App
from etl.errors import EtlError
from etl.polling import Result
from etl.redact import scrub
from etl.resources import INSTANCES
from etl.service.watchdog import Pinger
from etl.settings import Settings
from etl.timing.cadence import Cadence
from etl.timing.freshness import BLINDING, limit_s

GRACE_S = 10.0
"""Longest wait of a process that is done for its last ping."""


def blindness(app: App) -> list[str]:
    """Say why a watched account is not fresh, by the interval that the settings give it."""
    from etl.status import stale  # here: without a ping nobody asks

    now = app.now()
    with store.reading(app.database) as known:
        polls = known.status.polls(now)
    reasons: list[str] = []
    for name in app.watched():
        limit = limit_s(usual_gap_s(app.settings, name, now))
        reasons += [f"{who}: {why}" for who, why in stale(polls, [name], limit).items()]
    return reasons


def usual_gap_s(settings: Settings, name: str, now: float) -> float:
    """Return the seconds between two polls of an account's instances, as the settings say."""
    accounts = (*settings.accounts, *settings.others)
    own = {account.name: account.schedule for account in accounts}.get(name, {})
    resource = INSTANCES.name
    cadence = own.get(resource) or settings.schedule.get(resource) or Cadence(INSTANCES.every_s)
    if cadence.is_off:  # polled by cron or by hand: nobody knows how often
        cadence = Cadence(INSTANCES.every_s)
    if cadence.every_s:
        return cadence.every_s
    from etl.service.jobs import trigger_of  # takes a tenth of a second to load

    return trigger_of(cadence, name, settings.timezone).gap_s(now)


@contextmanager
def pinged(app: App) -> Iterator[list[Result]]:
    """Ping the dead man's switch around a sync, whose results are to be added to the list."""
    results: list[Result] = []
    if not app.settings.ping_url:
        yield results
        return
    pinger = Pinger(app.settings.ping_url)
    pinger.start()
    try:
        yield results
        _report(pinger, app, results)
    except EtlError as error:
        pinger.fail(scrub(error.message))
        raise
    finally:
        pinger.stop(GRACE_S)


def _report(pinger: Pinger, app: App, results: Sequence[Result]) -> None:
    main = [result for result in results if result.resource == INSTANCES.name]
    # a refused key blinds at once: freshness alone would notice after some intervals
    refused = [r for r in main if r.error is not None and r.error.kind in BLINDING]
    reasons = [f"{r.account}: {r.error.message}" for r in refused if r.error] + blindness(app)
    if reasons:
        pinger.fail(scrub("\n".join(dict.fromkeys(reasons))))
    # else nothing is sent: one failed poll is no failure, and no success either
    elif all(result.exit_code == 0 for result in main):
        pinger.success()
