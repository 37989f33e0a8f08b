"""Commands that tell people: alerts, digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import Context, json_option, print_json, print_lines, say

if TYPE_CHECKING:
    from etl.alerts import Sent


@click.group()
def alerts() -> None:
    """What is worth a message: what holds now, and the channels that are told."""


@alerts.command(name="list")
@click.option("--all", "is_all", is_flag=True, help="Also those that cleared in the last 7 days.")
@json_option
@click.pass_obj
def list_alerts(context: Context, is_all: bool, as_json: bool) -> None:
    """The alerts that hold, the newest first."""
    app = context.app()
    app.require_database()
    found = app.alerts.listed(app.now() - 7 * 86_400 if is_all else None)
    if as_json:
        print_json([_plain(each) for each in found])
        return
    print_lines(_lines(found, app.settings.alerts.language))
    if not found:
        say("nothing to say")


@alerts.command()
@click.argument("channels", nargs=-1, metavar="[CHANNEL]…")
@click.pass_context
def test(ctx: click.Context, channels: tuple[str, ...]) -> None:
    """Send a test message to each CHANNEL, or to all; exit with 5 where one does not take it."""
    app = ctx.obj.app()
    ctx.exit(_told(app.alerts.test(channels, app.now())))


@alerts.command()
@click.argument("alert", nargs=-1, metavar="[KEY]…")
@click.option("--all", "is_all", is_flag=True, help="Every alert that holds.")
@click.pass_obj
def ack(context: Context, alert: tuple[str, ...], is_all: bool) -> None:
    """Say that you know: no reminders of these alerts until they clear and come again.

    KEY is as `alerts list` shows it.
    """
    if bool(alert) == is_all:
        raise click.UsageError("name the alerts, or say --all")
    app = context.app()
    app.require_database()
    wanted = [each.key for each in app.alerts.listed()] if is_all else alert
    done = app.alerts.acknowledge(wanted, app.now())
    print_lines(done)
    if missed := set(alert) - set(done):
        say(f"not open, or known already: {', '.join(sorted(missed))}")


@alerts.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look once, and send what is due: for cron, after `sync`. `run` does it by itself."""
    app = ctx.obj.app()
    app.require_database()
    ctx.exit(_told(app.alerts.tick(app.now())))


@click.command()
@click.option(
    "--period",
    type=click.Choice(["day", "week"]),
    default="day",
    show_default=True,
    help="Yesterday, or the seven days up to yesterday.",
)
@click.option("--send", "is_sent", is_flag=True, help="Send it to the channels that take digests.")
@click.pass_context
def digest(ctx: click.Context, period: str, is_sent: bool) -> None:
    """What ran, what it cost, and what is left: printed, or sent.

    `run` sends it by itself at the times set as daily_digest and weekly_digest.
    """
    app = ctx.obj.app()
    app.require_database()
    if is_sent:
        ctx.exit(_told(app.alerts.send_digest(period, app.now())))
    words = app.alerts.written_digest(period, app.now())
    print_lines([words.in_language(app.settings.alerts.language)])


def _told(tried: Iterable[Sent]) -> int:
    """Print what became of each message; the exit code."""
    code = 0
    for sent in tried:
        print_lines([f"{sent.channel}: {sent.error or f'took {len(sent.keys)}'}"])
        code = 5 if sent.error else code
    return code


def _lines(found: Iterable[Any], language: str) -> Iterator[str]:
    from etl.history.days import iso
    from etl.reports.render import printable

    for each in found:
        marks = [f"since {iso(each.first_at)}"]
        marks += [f"cleared {iso(each.cleared_at)}"] if each.cleared_at else []
        marks += ["acknowledged"] if each.acked_at else []
        marks += [] if each.last_sent_at else ["not sent"]
        yield f"{each.severity:8}{printable(each.key)}  ({', '.join(marks)})"
        for line in (each.zh if language == "zh" else each.en).splitlines():
            yield f"        {printable(line)}"


def _plain(each: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from etl.history.days import iso

    row = asdict(each)
    for name in ("first_at", "last_sent_at", "cleared_at", "acked_at"):
        row[name] = None if row[name] is None else iso(row[name])
    row["deliveries"] = {name: iso(at) for name, at in each.deliveries.items()}
    return row
