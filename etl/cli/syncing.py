"""Commands that bring data in: demo, sync, replay; and doctor, which checks that they can."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import (
    FILE,
    Context,
    LazyChoice,
    NamedPath,
    account_option,
    fail,
    json_option,
    prepare_database,
    print_json,
    print_lines,
    say,
    say_database,
    setting_variables,
)
from etl.cli.progress import progress_bar
from etl.errors import ErrorKind
from etl.texts import localized, tr

if TYPE_CHECKING:
    from etl.app import App
    from etl.polling import Result


def _resource_names() -> Sequence[str]:
    from etl.resources import RESOURCES

    return tuple(RESOURCES)


_SOURCE_VARIABLES = setting_variables(
    "CHENYU_API_KEY",
    "CHENYU_API_KEY_FILE",
    "CHENYU_BASE_URL",
    "CHENYU_TIMEOUT_S",
    "CHENYU_ATTEMPTS",
    "CHENYU_PAGE_SIZE",
    "CHENYU_CONCURRENCY",
)


@click.command(epilog=_SOURCE_VARIABLES)
@account_option("Only this account. CHENYU_API_KEY is its key.")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    type=LazyChoice(_resource_names),
    # all of them side by side are wider than a terminal
    metavar="NAME",
    help="Only this resource (instances, bills …), due or not; may be repeated.",
)
@click.option(
    "--archive",
    metavar="DIR",
    help="Keep every poll, without secrets, in daily files below DIR.  [env var: CHENYU_ARCHIVE]",
)
@click.option(
    "--metrics-file",
    type=FILE,
    help="Write metrics into this file (NAME.prom), for node_exporter's textfile collector.",
)
@json_option
@click.pass_obj
def sync(
    context: Context,
    account: str | None,
    resources: tuple[str, ...],
    archive: str | None,
    metrics_file: Path | None,
    as_json: bool,
) -> None:
    """Poll everything that is due once, and write what changed. For cron.

    Instances are always due; the balance every 10 minutes, prices every 30, bill, cards and
    recharges every hour. If the key has no permission for one of these, that is reported once.

    Brings an empty or older database up to date by itself. A poll is one transaction: one that is
    killed half-way leaves nothing. Exit code 3 means that a list could not be read whole: the
    instances seen are written, and none is taken for gone.

    The setting ping_url is pinged as Healthchecks wants it: URL/start, then URL if every watched account
    is fresh, or URL/fail with the reason.
    """
    from etl import polling
    from etl.service.lookout import pinged

    app = context.app(account=account, archive=archive)
    with pinged(app) as results:
        for watched in app.settings.accounts:
            watched.key(app.environ)  # a missing key is said before anything is done
        say_database(app, is_new=prepare_database(app))
        # pages of one resource after the other
        with progress_bar(tr("reading pages")) as bar:
            for result in polling.sync_all(app, resources, bar):
                results.append(result)
                _say_result(result)
    # after failed polls too: a stale file would go on saying that all is well
    if metrics_file is not None:
        from etl.service.metrics import write_textfile

        write_textfile(app, metrics_file)
    # a new account has no running time yet: the bill can say something at once
    if any(result.is_backfill for result in results):
        _say_last_month(app)
    if as_json:
        with suppress(BrokenPipeError):  # the polls are made, whoever reads of them
            print_json([_result_json(result) for result in results])
    # last: what failed must keep nothing above from being done
    raise SystemExit(polling.exit_code(results))


@click.command()
@click.option(
    "--days", default=14, show_default=True, type=click.IntRange(1, 366), help="How long."
)
@click.option("--instances", default=40, show_default=True, type=click.IntRange(1, 5000))
@click.option("--seed", default=1, show_default=True, help="Another seed is another fleet.")
@click.option(
    "--every",
    "interval_min",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1440),
    help="Simulated minutes between polls.",
)
@click.option(
    "-o",
    "--output",
    default="chenyu-demo.db",
    show_default=True,
    type=NamedPath(dir_okay=False),
    help="The SQLite file to make; an older demo file is replaced, any other file is refused.",
)
def demo(days: int, instances: int, seed: int, interval_min: int, output: str) -> None:
    """Sync two weeks of a simulated cloud in seconds. Needs no key.

    A bundled cloud with a fleet that lives (people create, start, stop, rename and forget machines)
    is served over real HTTP on this machine and polled at simulated times into a SQLite file of its
    own. Your own database is not touched.
    """
    from pathlib import Path

    from etl.demo import Demo

    run = Demo(Path(output), days, instances, seed, interval_min)
    with progress_bar(tr("polling")) as bar:
        for number in run.polls_done():
            bar(number + 1, run.polls)
    print_lines(run.summary())
    # only now: the summary reads the database
    run.app.close()


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…|-")
@click.pass_context
def replay(ctx: click.Context, files: tuple[str, ...]) -> None:
    """Apply archived polls in time order, just as live ones are applied.

    Files may be .jsonl, .jsonl.gz or .jsonl.xz under any name; - is standard input, compressed or not.

    Polls that are not newer than the newest applied one of their account and resource are skipped
    and counted, so the same files may be given again. Polls that lie in the future of this machine's
    clock are refused.
    """
    from etl.replay import refuse_unreadable
    from etl.replay import replay as replay_files

    refuse_unreadable(files)  # before a mistyped name begins a new, empty history
    app = ctx.obj.app()
    say_database(app, is_new=prepare_database(app))
    with progress_bar(tr("replaying polls")):
        tally = replay_files(app.database, files, now=app.now())
    say(
        tr(
            "{applied} polls applied, {skipped} not newer, {damaged} damaged lines skipped",
            applied=tally.applied,
            skipped=tally.skipped,
            damaged=tally.damaged,
        )
    )
    future = sum(map(len, tally.future.values()))
    if future:
        say(
            tr(
                "{future} polls refused: they lie in the future of this machine's clock; see "
                "that it is right (NTP), and replay them again",
                future=future,
            )
        )
    # as for a listing that is not whole: something was applied, and something is left
    ctx.exit(3 if tally.damaged or future else 0)


@click.command(epilog=_SOURCE_VARIABLES)
@click.argument("what", required=False, type=click.Choice(["billing"]), metavar="[billing]")
@account_option("Only this account.")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="With billing: how many days of the bill are looked at, the newest.",
)
@click.option(
    "--accept", is_flag=True, help="With billing: charge by what the bill says from now on."
)
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    what: str | None,
    account: str | None,
    days: int,
    accept: bool,
    as_json: bool,
) -> None:
    """Check key, permissions, clock, database and what the source says; with advice.

    doctor billing compares the ways in which running time may be charged with the bill, and says
    which fits, how well, and what cannot be told. --accept takes that model, and the prices that were
    learned; see docs/billing.md.

    Exit code 1 if something is wrong.
    """
    if what == "billing":
        _examine_billing(ctx, account, days, accept, as_json)
        return
    if accept:
        raise click.UsageError(localized(tr("--accept goes with doctor billing")))
    from dataclasses import asdict

    from etl.doctor import examine

    app = ctx.obj.app(account=account)
    findings = list(examine(app))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.verdict:4}  {localized(finding.what)}")
            if finding.advice:
                say(f"      {localized(finding.advice)}")
    # a note is no failure: doctor may stand in a script
    ctx.exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)


def _examine_billing(
    ctx: click.Context, account: str | None, days: int, accept: bool, as_json: bool
) -> None:
    from etl.books import learning, learning_text

    # with all accounts of the settings: the bill of one that is watched no more counts as well
    app = ctx.obj.app()
    app.require_database()
    lessons = learning.lessons(app.database, account, days)
    if as_json:
        print_json([learning_text.as_record(lesson) for lesson in lessons])
    else:
        print_lines(line for lesson in lessons for line in learning_text.in_words(lesson))
    # after the lesson was printed: what is taken stands above it
    if accept:
        accepted = learning.accept(app.database, lessons)
        model = accepted.model
        say(
            tr(
                "accepted: counts from {counts_from}, steps of {step_s} s, {prices} prices; "
                "costs follow, but for closed months",
                counts_from=model.counts_from,
                step_s=model.step_s,
                prices=accepted.prices,
            )
        )
    # advice only where there is something to accept
    elif any(lesson.judgement.is_clear for lesson in lessons):
        say(tr("nothing was changed; to charge by it: chenyu-etl doctor billing --accept"))


def _say_result(result: Result) -> None:
    if result.is_warning:
        # once: cron would send a mail of it every few minutes
        if not result.is_repeated:
            say(
                tr(
                    "{account} {resource}: {absence}; the rest goes on",
                    account=result.account,
                    resource=result.resource,
                    absence=_absence(result),
                )
            )
        return
    if result.error is not None:
        say(tr("{account} {resource}: failed", account=result.account, resource=result.resource))
        fail(result.error)
        return
    assert result.outcome is not None
    run = result.outcome.run
    counts = [
        tr("{count} listed", count=run.listed),
        tr("{count} new", count=run.added),
        tr("{count} changed", count=run.changed),
    ]
    # of the fleet zero is an answer too, other lists seldom lose anything
    if run.gone or result.resource == "instances":
        counts.append(tr("{count} gone", count=run.gone))
    if run.rejected:
        counts.append(tr("{count} not understood", count=run.rejected))
    listed = ", ".join(map(localized, counts))
    say(
        tr(
            "{account} {resource}: {outcome}, {listed}",
            account=result.account,
            resource=result.resource,
            outcome=run.outcome,
            listed=listed,
        )
    )
    # a partial poll has a reason, though it is no failure
    if run.error:
        say(f"       {run.error}")


def _say_last_month(app: App) -> None:
    """Print last month's cost by the bill that was just read: a first answer for a new user."""
    from etl.history.months import Month
    from etl.status import billed
    from etl.units import MICRO

    # this month would look cheap: most of it is still to be charged
    month = str(Month.of(app.today()).previous())
    for account, cash, cards in billed(app.database, month):
        say(
            tr(
                "{account}: charged in {month}: {cash:,.2f} yuan from the balance, "
                "{cards:,.2f} from compute cards",
                account=account,
                month=month,
                cash=cash / MICRO,
                cards=cards / MICRO,
            )
        )
    say(tr("instances are observed from now on: of the time before, only the bill knows"))


def _absence(result: Result) -> str:
    """Return the reason why an optional resource is not available."""
    assert result.error is not None
    if result.error.kind == ErrorKind.FORBIDDEN:
        return tr("the key has no permission")
    return result.error.message


def _result_json(result: Result) -> dict[str, Any]:
    names: dict[str, Any] = {"account": result.account, "resource": result.resource}
    if result.error is not None:
        return {
            **names,
            "outcome": "failed",
            "error": result.error.message,
            "error_kind": result.error.kind,
            "advice": result.error.advice,
        }
    assert result.outcome is not None
    run = result.outcome.run
    # all that is known of the poll; the digest only tells us whether a list has changed
    return {**names, **{name: getattr(run, name) for name in run.__slots__ if name != "digest"}}
