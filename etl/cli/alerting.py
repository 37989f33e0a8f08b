"""Commands that send messages: alerts, digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import Context, json_option, print_json, print_lines, say
from etl.cli.language import lang_option
from etl.texts import joined, localized, tr
from etl.units import DAY_S

if TYPE_CHECKING:
    from etl.alerts.cause import Alert
    from etl.alerts.engine import Sent
    from etl.alerts.owners import DigestSubject
    from etl.app import App

# as for a source that is away: it may work later, and nothing is wrong with the words
UNDELIVERED = 5
CLEARED_DAYS = 7


@click.group()
def alerts() -> None:
    """List, test and acknowledge alerts, and send them to channels."""


@alerts.command(name="list")
@click.option("--all", "is_all", is_flag=True, help="Also those that cleared in the last 7 days.")
@lang_option
@json_option
@click.pass_obj
def list_alerts(context: Context, is_all: bool, as_json: bool) -> None:
    """Print open alerts, the newest first."""
    app = context.app()
    app.require_database()
    listed = app.alerts.listed(app.now() - CLEARED_DAYS * DAY_S if is_all else None)
    if as_json:
        print_json([_alert_record(alert) for alert in listed])
        return
    # in the language of the messages: both are compared
    print_lines(_alert_lines(listed, app.settings.alerts.language))
    if not listed:
        say(tr("no alert holds"))


@alerts.command()
@click.argument("channels", nargs=-1, metavar="[CHANNEL]…")
@lang_option
@click.pass_context
def test(ctx: click.Context, channels: tuple[str, ...]) -> None:
    """Send a test message of the greatest length to each CHANNEL, or to all.

    Exits with 5 if one does not take it.
    """
    app = ctx.obj.app()
    # no database is asked for: channels are tried before the first sync
    code = _report_deliveries(app.alerts.test(channels, app.now()))
    _say_lacks(app)
    ctx.exit(code)


@alerts.command()
@click.argument("alert", nargs=-1, metavar="[KEY]…")
@click.option("--all", "is_all", is_flag=True, help="Every alert that holds.")
@click.pass_obj
def ack(context: Context, alert: tuple[str, ...], is_all: bool) -> None:
    """Acknowledge alerts: no reminders of them until they clear and come again.

    KEY is as `alerts list` shows it.
    """
    # acknowledging nothing, or all beside some, is a slip
    if bool(alert) == is_all:
        raise click.UsageError(localized(tr("name the alerts, or say --all")))
    app = context.app()
    app.require_database()
    wanted = [open_alert.key for open_alert in app.alerts.listed()] if is_all else alert
    done = app.alerts.acknowledge(wanted, app.now())
    print_lines(done)
    if missed := set(alert) - set(done):
        say(tr("not open, or acknowledged already: {missed}", missed=", ".join(sorted(missed))))


@alerts.command()
@lang_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check all alert rules once and send due messages. For cron, after `sync`; `run` does it itself.

    Exits with 2 if there is no channel, with 5 if one does not take its message.
    """
    app = ctx.obj.app()
    app.require_database()
    tried = app.alerts.tick(app.now())
    # after the tick: alerts are kept and listed even if nobody is told of them
    app.alerts.require_channels()
    # no word without a digest: cron would send it as a mail after each poll
    if any(key.startswith("digest:") for sent in tried for key in sent.keys):
        _say_lacks(app)
    ctx.exit(_report_deliveries(tried))


@click.command()
@click.option(
    "--period",
    type=click.Choice(["day", "week"]),
    default="day",
    show_default=True,
    help="Yesterday, or the seven days up to yesterday.",
)
@click.option("--send", "is_sent", is_flag=True, help="Send it to the channels that take digests.")
@click.option("--owner", metavar="NAME", help="The digest of one owner's instances.")
@click.option("--project", metavar="NAME", help="The digest of one project's instances.")
@lang_option
@click.pass_context
def digest(
    ctx: click.Context, period: str, is_sent: bool, owner: str | None, project: str | None
) -> None:
    """Print or send a digest: usage, cost and balance.

    `run` sends it by itself at the times set as daily_digest and weekly_digest, and to the channels of
    single owners or projects their own.
    """
    if owner and project:
        raise click.UsageError(localized(tr("choose one: --owner or --project")))
    subject = _digest_subject(owner, project)
    app = ctx.obj.app()
    app.require_database()
    if is_sent:
        code = _report_deliveries(app.alerts.send_digest(period, app.now(), subject))
        _say_lacks(app)
        ctx.exit(code)
    words = app.alerts.written_digest(period, app.now(), subject)
    # as the channels would get it
    print_lines([words.in_language(app.settings.alerts.language)])


def _say_lacks(app: App) -> None:
    """Say on standard error what keeps charts out of digests."""
    from etl.page.raster import lacks

    for words, advice in lacks(app.settings.alerts):
        say(tr("{words}: {advice}", words=words, advice=advice))


def _digest_subject(owner: str | None, project: str | None) -> DigestSubject | None:
    from etl.alerts.owners import DigestSubject

    if owner or project:
        return DigestSubject("owner" if owner else "project", owner or project or "")
    return None


def _report_deliveries(tried: Iterable[Sent]) -> int:
    """Print how each delivery ended; return the exit code."""
    code = 0
    for sent in list(tried):  # sent first: words that cannot be written keep no message back
        count = len(sent.keys)
        taken = tr("took 1 alert") if count == 1 else tr("took {count} alerts", count=count)
        print_lines([tr("{channel}: {error}", channel=sent.channel, error=sent.error or taken)])
        # the others are told all the same, and one that failed suffices
        code = UNDELIVERED if sent.error else code
    return code


def _alert_lines(listed: Iterable[Alert], language: str) -> Iterator[str]:
    from etl.history.days import iso
    from etl.reports.render import printable

    for alert in listed:
        marks = [tr("since {at}", at=iso(alert.first_at))]
        marks += [tr("cleared {at}", at=iso(alert.cleared_at))] if alert.cleared_at else []
        marks += [tr("acknowledged")] if alert.acked_at else []
        marks += [] if alert.last_sent_at else [tr("not sent")]
        yield tr(
            "{severity:8}{key}  ({marks})",
            severity=alert.severity,
            # it may hold a title, which anybody in the cloud chooses
            key=printable(alert.key),
            marks=joined(marks, tr(", ")),
        )
        for line in alert.text_in(language).splitlines():
            yield f"        {printable(line)}"


def _alert_record(alert: Alert) -> dict[str, Any]:
    from dataclasses import asdict

    from etl.history.days import iso

    row = asdict(alert)
    for name in ("first_at", "last_sent_at", "cleared_at", "acked_at"):
        row[name] = None if row[name] is None else iso(row[name])
    # as all instants in JSON, not as our numbers
    row["deliveries"] = {name: iso(at) for name, at in alert.deliveries.items()}
    return row
