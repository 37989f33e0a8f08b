"""Commands for the database itself: db, rebuild, codes."""

from __future__ import annotations

from pathlib import Path

import click

from etl.cli.common import FILE, Context, print_lines, print_rows, say, say_database, warn
from etl.cli.progress import progress_bar
from etl.texts import localized, tr


@click.group()
def db() -> None:
    """Upgrade, back up and downgrade the database."""


@db.command()
@click.pass_obj
def upgrade(context: Context) -> None:
    """Bring an empty or older database up to date; `sync` does it by itself."""
    from etl.store.schema import Upgrade

    app = context.app()
    change = app.prepare()
    say_database(app, is_new=change is Upgrade.CREATED)
    say(tr("upgraded") if change else tr("up to date already"))


@db.command()
@click.argument("file", type=FILE)
@click.pass_obj
def backup(context: Context, file: Path) -> None:
    """Copy the database to FILE, which is replaced once the copy is whole and sound.

    Safe beside a running daemon. If Postgres has the data, nothing is copied: the pg_dump command that
    does it is printed, without a password. See docs/backup.md for restoring.
    """
    from etl.dialect import translated

    app = context.app()
    app.require_file()
    # no transaction of the store, which would do this: the driver copies by itself
    with translated(app.database):
        command = app.database.backup(file.absolute())
    say_database(app, is_new=False)
    # a file was copied; for a server the command is all there is
    if command is None:
        say(tr("copied to {file}", file=file))
    else:
        print_lines([command])


@db.command()
@click.option("--deep", is_flag=True, help="Let Postgres 18 check them too, over copies.")
@click.pass_context
def check(ctx: click.Context, deep: bool) -> None:
    """Look for states that overlap: an instance has one at a time, and so has a price. Changes nothing.

    With --deep, Postgres checks copies of those tables by its own constraints (WITHOUT OVERLAPS), which are
    thrown away: once after a restore or an upgrade of the server, not at each poll. Exit with 1 if any overlap.
    """
    from etl import store
    from etl.dialect import translated
    from etl.store.overlaps import PERIODS

    app = ctx.obj.app()
    app.require_database()
    with store.reading(app.database) as known:
        lines = [o.line() for o in known.overlaps.overlaps() if o.rows]
    if deep:
        with translated(app.database):
            lines += app.database.refused_periods(PERIODS)
    print_lines(lines)
    if not lines:
        say(tr("{count} tables: no states overlap", count=len(PERIODS)))
    ctx.exit(1 if lines else 0)


@db.command()
@click.option(
    "--days",
    type=click.IntRange(31, 36_500),
    help="Keep the polls of so many days.  [default: the setting keep_polls]",
)
@click.option(
    "--archive",
    "with_archive",
    is_flag=True,
    help="Remove the archived days before that, too (setting archive).",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(context: Context, days: int | None, with_archive: bool, dry_run: bool, yes: bool) -> None:
    """Fold old polls into counts, since they alone grow without end.

    Every figure stays: running time, cost, gaps, coverage and its numbers of polls. What goes is the
    row of each single poll, with its requests and its error, but for those on which something rests.
    Removed days of an archive can never be replayed again.

    Safe beside a running daemon. SQLite reuses the space; to give it back to the disk: sqlite3 FILE
    VACUUM.
    """
    from etl.history.days import iso
    from etl.prune import prune as fold
    from etl.units import DAY_S

    app = context.app()
    app.require_database()
    kept = days or app.settings.keep_polls
    if not kept:
        raise click.UsageError(localized(tr("say how many days to keep: --days 400")))
    until = app.now() - kept * DAY_S
    archives = app.archives() if with_archive else []
    say(tr("polls before {until}", until=iso(until)))
    if archives and not (dry_run or yes):
        click.confirm("Remove archived days, which cannot be replayed then?", abort=True)
    polls = 0
    for pruned in fold(app.database, until, archives, dry_run=dry_run):
        print_lines(pruned.lines())
        polls += pruned.polls
    if dry_run:
        say(tr("{polls:,} polls would be folded", polls=polls))
    else:
        say(tr("{polls:,} polls folded", polls=polls))


@db.command("repair-clock")
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def repair_clock(context: Context, dry_run: bool, yes: bool) -> None:
    """Give polls that a wrong clock dated the dates that they can have had.

    Polls made while a clock was ahead keep all right ones from being applied; polls made while it was
    behind list what was created after their date. What they saw stays: it is dated by this machine's
    clock as it was then, or, if that cannot be known, between the polls before and after. Closed months
    stay as they are. Archived polls in the future (setting archive) follow; the files as they were are
    kept beside, with the suffix .future.

    It goes by this machine's clock: see that it is right first (NTP).
    """
    from etl.history.days import iso
    from etl.repair import repair

    app = context.app()
    app.require_database()
    say(tr("by this machine's clock it is {now}", now=iso(app.now())))
    # tried first, and shown: instants that are written anew cannot be told from true ones later
    repairs, remarks = repair(app.database, app.now(), app.archives(), dry_run=True)
    print_lines(line for planned in repairs for line in planned.lines())
    warn(remarks)
    if not repairs:
        say(tr("no poll is dated wrongly, as far as can be known: nothing to repair"))
    elif not dry_run:
        if not yes:
            click.confirm("Write that?", abort=True)
        done, _ = repair(app.database, app.now(), app.archives())
        say(
            tr(
                "repaired: {sum} polls are dated anew",
                sum=sum(len(repaired.redating.applied) for repaired in done),
            )
        )


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def downgrade(context: Context, revision: str, yes: bool) -> None:
    """Take the database back to an older REVISION (0001, or base: everything is dropped).

    It says first which tables and columns that drops, and how much they hold, and asks.
    """
    from etl.store import schema

    app = context.app()
    app.require_file()
    # counted while it is all there
    losses = schema.downgrade_losses(app.database, revision)
    # on standard output, before the question: what is lost cannot be fetched again
    print_lines(f"drops {loss}" for loss in losses)
    if not yes:
        click.confirm("Go on?" if losses else "This drops nothing but views. Go on?", abort=True)
    schema.downgrade(app.database, revision)
    say(
        tr(
            "database: {location} is at revision {revision}",
            location=app.database.location,
            revision=revision,
        )
    )


@db.command("readonly-user")
@click.argument("name")
@click.pass_obj
def readonly_user(context: Context, name: str) -> None:
    """Print the SQL that makes NAME a user who may read the views, for BI tools. Runs nothing.

    Reports of your own (report --file) run as that user then.

    On Postgres: as an owner, `chenyu-etl db readonly-user bi | psql URL`, then set its password. A
    SQLite file is read through a URI with mode=ro.
    """
    from etl.store.views import readonly_grants

    app = context.app()
    app.require_database()
    # printed, not run: who may create users has rights that no poll needs
    print_lines(readonly_grants(app.database, name))


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 where a rebuild would.")
@click.option(
    "--timezone", "zone", metavar="ZONE", help="Count days in another time zone from now on."
)
@click.pass_context
def rebuild(ctx: click.Context, check: bool, zone: str | None) -> None:
    """Compute running time again, from the kept versions of every instance alone."""
    from etl.rebuild import differences
    from etl.rebuild import rebuild as compute

    if check and zone:
        raise click.UsageError(localized(tr("--check looks at the time zone that there is")))
    # the settings may still name the zone of before
    app = ctx.obj.app(**({"timezone": zone} if zone else {}))
    app.require_database()
    if check:
        differing = list(differences(app.database))
        print_lines(differing)
        say(
            tr("{count} instances differ", count=len(differing))
            if differing
            else tr("the database holds what a rebuild gives")
        )
        # as diff has it, so that a script can ask
        ctx.exit(1 if differing else 0)
    with progress_bar(tr("rebuilding instances")):
        # all or nothing: a day of two time zones would be counted twice
        stretches = compute(app.database, zone, app.today())
    say(tr("{stretches} stretches of running time computed", stretches=stretches))
    if zone:
        say(
            tr(
                "days are of {zone} from now on: say so in CHENYU_TIMEZONE or the config file too",
                zone=zone,
            )
        )


@click.group()
def codes() -> None:
    """Show the meaning of the source's codes, and set that of new ones."""


@codes.command()
@click.pass_obj
def show(context: Context) -> None:
    """Print every known code with its meaning."""
    from etl.rebuild import known_codes

    app = context.app()
    app.require_database()
    print_rows(*known_codes(app.database), as_json=False)


@codes.command(name="set")
@click.argument("kind", type=click.Choice(["status", "charging"]))
@click.argument("code", type=int)
@click.argument("meaning")
@click.pass_obj
def set_code(context: Context, kind: str, code: int, meaning: str) -> None:
    """Set the meaning of a code, and compute all running time again, in one transaction.

    MEANING of a status: creating, starting, running, restarting, stopping, stopped, destroyed,
    unknown. Of a charging code: hour, day, week, month, year, unknown.
    """
    from etl.rebuild import set_code as change

    app = context.app()
    app.require_database()
    stretches = change(app.database, kind, code, meaning)
    say(
        tr(
            "{kind} {code} means {meaning}; {stretches} stretches of running time computed again",
            kind=kind,
            code=code,
            meaning=meaning,
            stretches=stretches,
        )
    )
