"""What the database holds: how it was derived, and what its polls say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from etl import store
from etl.doctor.finding import Finding
from etl.errors import ABSENT
from etl.history.days import iso
from etl.resources import INSTANCES, RESOURCES
from etl.service.lookout import usual_gap_s
from etl.status import is_future, stale, status
from etl.texts import tr
from etl.timing.freshness import FUTURE_ADVICE, limit_s
from etl.timing.redating import LEAP_SLACK_S
from etl.units import HOUR_S

if TYPE_CHECKING:
    from etl.app import App

# more of them would push the other findings off the screen
SHOWN_REJECTS: Final = 3


def examine_history(app: App) -> Iterator[Finding]:
    """Yield findings about a database that is up to date and can be read."""
    state = status(app.database, app.now())
    yield from _examine_derived(app)
    yield from _examine_freshness(app)
    yield from _examine_left_accounts(app)
    for poll in state["polls"]:
        yield from _examine_poll(poll)
    yield from _examine_fleets(state)
    yield from _examine_rejects(app)


def _examine_derived(app: App) -> Iterator[Finding]:
    """Yield the zone in which days are counted, and each reason to derive from the facts again."""
    zone = app.stored_timezone()
    with store.reading(app.database) as known:
        version, strayed = known.status.database_version(), known.strayed_days()
        is_current = known.is_derived_by_todays_rules()
    yield Finding(
        "ok",
        tr(
            "database {location} ({version}), days of {zone}",
            location=app.database.location,
            version=version,
            zone=zone,
        ),
    )
    if zone != app.settings.timezone:
        yield Finding(
            "bad",
            tr(
                "the settings say {timezone}, the database counts days in {zone}",
                timezone=app.settings.timezone,
                zone=zone,
            ),
            tr(
                "chenyu-etl rebuild --timezone {timezone}, or set timezone to {zone}",
                timezone=app.settings.timezone,
                zone=zone,
            ),
        )
    if not is_current:
        yield Finding(
            "bad",
            tr("running time and costs were derived by another version of this program"),
            tr("run chenyu-etl db upgrade, or chenyu-etl sync: they are made anew"),
        )
    if strayed:
        yield Finding(
            "bad",
            tr(
                "the rules of {zone} have changed: {count} days from {value} on begin or end "
                "otherwise",
                zone=zone,
                count=len(strayed),
                value=strayed[0],
            ),
            tr("run chenyu-etl rebuild: days are cut anew"),
        )


def _examine_freshness(app: App) -> Iterator[Finding]:
    """Yield a finding for each account that is blind, and each resource with a poll in the future."""
    with store.reading(app.database) as known:
        polls = known.status.polls(app.now())
    for poll in polls:
        if is_future(poll):
            what = tr(
                "{account} {resource}: the newest poll lies in the future",
                account=poll.account,
                resource=poll.resource,
            )
            yield Finding(
                "bad", tr("{what}, so that right ones are refused", what=what), FUTURE_ADVICE
            )
    yield from _examine_early_sightings(app)
    main = {poll.account: poll for poll in polls if poll.resource == INSTANCES.name}
    # of a poll that failed the reason is said anyway
    quiet = {n for n, p in main.items() if p.last_outcome in ("complete", "skipped")}
    for name in (n for n in app.watched() if n in quiet and not is_future(main[n])):
        # whoever polls by cron says nowhere how often: the polls do
        limit = limit_s(max(usual_gap_s(app.settings, name, app.now()), main[name].step_s or 0))
        for why in stale(polls, [name], limit).values():
            yield Finding(
                "bad",
                tr("{name}: {why}", name=name, why=why),
                tr("see chenyu-etl status: why is nothing polled?"),
            )


def _examine_early_sightings(app: App) -> Iterator[Finding]:
    """Yield a finding for each account whose polls list what was created after their date."""
    with store.reading(app.database) as known:
        early = {name: a.early_sightings(app.now()) for name, a in known.accounts().items()}
    for name, births in early.items():
        count = sum(created - listed > LEAP_SLACK_S for listed, created in births)
        if count:
            yield Finding(
                "note",
                tr(
                    "{name}: {count} instances were listed before they were created: a clock was "
                    "behind, or the source's create_time is wrong",
                    name=name,
                    count=count,
                ),
                tr("chenyu-etl db repair-clock --dry-run says which polls that concerns"),
            )


def _examine_left_accounts(app: App) -> Iterator[Finding]:
    """Yield accounts of the database that neither the settings name nor anybody polls: their alerts
    stay open for ever.
    """
    with store.reading(app.database) as known:
        accounts, alerts = known.registry.known(), known.alerts.listed(None)
    watched = app.watched()
    for account in accounts:
        polled_at = account.last_poll_at or 0
        # another daemon may poll it into the same database
        if account.name in watched or account.retired_at or polled_at > app.now() - HOUR_S:
            continue
        held = sum(alert.account == account.name for alert in alerts)
        what = tr(
            "{name}: it was synced, but the settings do not name it and nobody polls it",
            name=account.name,
        )
        yield Finding(
            "note",
            tr("{what}; {held} alerts about it stay open", what=what, held=held) if held else what,
            tr("chenyu-etl account retire {name}, or account rename {name} NEW", name=account.name),
        )


def _examine_poll(poll: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about the newest poll of one account and resource, a record of `Freshness`."""
    if poll["last_outcome"] not in ("complete", "skipped"):
        # a key without permission for a side resource still serves: instances alone are essential
        is_harmless = RESOURCES[poll["resource"]].is_optional and poll["last_error_kind"] in ABSENT
        yield Finding(
            "note" if is_harmless else "bad",
            tr(
                "{account} {resource}: last poll {last_outcome} at {last_run_at}: {last_error}",
                account=poll["account"],
                resource=poll["resource"],
                last_outcome=poll["last_outcome"],
                last_run_at=poll["last_run_at"],
                last_error=poll["last_error"],
            ),
        )


def _examine_fleets(state: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield accounts that list the same instances, and status codes without a meaning."""
    for pair in state["doubled"]:
        advice = tr(
            "give each account its own key, and see chenyu-etl status; or drop one of the two"
        )
        yield Finding("bad", pair["what"], advice)
    for fleet in state["fleet"]:
        for code in fleet["unknown_codes"]:
            yield Finding(
                "note",
                tr(
                    "{account}: status {code} is not known and counts as not running",
                    account=fleet["account"],
                    code=code,
                ),
                tr("chenyu-etl codes set status {code} MEANING", code=code),
            )


def _examine_rejects(app: App) -> Iterator[Finding]:
    with store.reading(app.database) as known:
        rejected = known.status.rejected(SHOWN_REJECTS)
    for reason, first_seen_at in rejected:
        yield Finding(
            "note",
            tr(
                "a record could not be understood at {first_seen_at}: {reason}",
                first_seen_at=iso(first_seen_at),
                reason=reason,
            ),
            tr("see table rejected_record; look for a newer chenyu-etl"),
        )
