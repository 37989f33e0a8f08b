"""Commands about money: prices, rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import (
    FILE,
    FILE_OR_STREAM,
    STREAM,
    Context,
    json_option,
    print_lines,
    print_rows,
    say,
    warn,
)
from etl.cli.progress import progress_bar
from etl.texts import localized, tr
from etl.units import MICRO

if TYPE_CHECKING:
    from etl.app import App
    from etl.books.imports import Imported
    from etl.books.rule_files import RuleInForce, RuleTrial
    from etl.history.days import Zone
    from etl.money.allocation import Allocation
    from etl.money.charging import ChargingModel
    from etl.store.books import PriceInUse

_empty_option = click.option(
    "--allow-empty", is_flag=True, help="A file without an entry takes away what there is."
)
_dry_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Change nothing; print what each month would cost instead, and who would pay.",
)


@click.group()
def prices() -> None:
    """Import and show your own prices, and set how running time is charged."""


@prices.command(name="import")
@click.argument("file", type=FILE_OR_STREAM)
@_empty_option
@_dry_option
@json_option
@click.pass_obj
def import_prices(
    context: Context, file: Path, allow_empty: bool, dry_run: bool, as_json: bool
) -> None:
    """Take your prices from FILE (.csv, .xlsx or .toml), in place of those imported before.

    An entry applies to usage that matches all it names: account, gpu_uuid or gpu_name, image_uuid,
    charging_type, no_card (runs without a GPU). unit (hour, day, week, month, year) and price
    (yuan), per gpu or instance; adds = true puts it on top of the price. valid_from, valid_to: days
    or moments. The most specific entry holds. All of the file is checked before anything is
    written. FILE can be - for standard input. Examples: docs/billing.md.
    """
    from etl.books.price_files import import_prices as take

    app = context.app()
    app.require_database()
    imported = take(app.database, file, allow_empty=allow_empty, dry_run=dry_run)
    _report_import(imported, "; costs follow, but for closed months", dry_run, as_json)


@prices.command(name="show")
@json_option
@click.pass_obj
def show_prices(context: Context, as_json: bool) -> None:
    """Print the prices of everything in use, and since when each holds."""
    from etl.books.price_files import prices_in_use

    app = context.app()
    app.require_database()
    prices, zone = prices_in_use(app.database)
    columns = [
        "account",
        "gpu",
        "image",
        "charging",
        "cards",
        "from",
        "unit",
        "yuan_per_gpu",
        "yuan_flat",
        "source",
    ]
    print_rows(columns, (_price_row(price, zone) for price in prices), as_json)


@prices.command(name="export")
@click.argument("file", type=FILE_OR_STREAM)
@click.pass_obj
def export_prices(context: Context, file: Path) -> None:
    """Write your prices, and those learned from bills, to FILE (.csv or .toml), to import again.

    FILE can be - for standard output, as CSV.
    """
    from etl.books.price_files import export_prices as lines

    app = context.app()
    app.require_database()
    _write_lines(app, file, lines(app.database, _file_format(file)))


@prices.command(name="model")
@click.option(
    "--from",
    "counts_from",
    type=click.Choice(["start", "running"]),
    help="Charged from start_time, or from when the instance has booted.",
)
@click.option(
    "--step",
    type=click.Choice(["second", "minute", "hour"]),
    help="What is begun is charged whole.",
)
@click.option("--boot-s", type=int, help="With running: seconds that a boot is taken to last.")
@click.option("--boot-max-s", type=int, help="With running: seconds that a boot lasts at most.")
@click.pass_obj
def price_model(
    context: Context,
    counts_from: str | None,
    step: str | None,
    boot_s: int | None,
    boot_max_s: int | None,
) -> None:
    """Show how running time is charged, or set it by the options. The provider does not document it.

    Defaults: from start, by the second; with running, boots as long as polls saw them (60 s, at most
    180 s, if they saw none). A change recomputes all costs except those of closed months.
    """
    from dataclasses import replace

    from etl.books.price_files import STEPS, model, set_model, with_learned_boots

    app = context.app()
    app.require_database()
    given: dict[str, Any] = {
        "counts_from": counts_from,
        "step_s": step and STEPS[step],
        "boot_s": boot_s,
        "boot_max_s": boot_max_s,
    }
    now = model(app.database)
    # only at the change: lengths that somebody chose before stay
    if counts_from == "running" and now.counts_from != "running":
        now = with_learned_boots(app.database, now)
    # what no option names stays as it is
    chosen = replace(now, **{name: value for name, value in given.items() if value is not None})
    # without an option it only shows: the same command answers and sets
    if any(value is not None for value in given.values()):
        set_model(app.database, chosen)
    print_lines(_model_lines(chosen, {seconds: name for name, seconds in STEPS.items()}))


@click.group()
def rules() -> None:
    """Manage who pays: rules that assign instances to projects, owners and cost centres; budgets."""


@rules.command(name="import")
@click.argument("file", type=FILE_OR_STREAM)
@_empty_option
@_dry_option
@json_option
@click.pass_obj
def import_rules(
    context: Context, file: Path, allow_empty: bool, dry_run: bool, as_json: bool
) -> None:
    """Take rules, tags, budgets, leases and limits from FILE (.csv, .xlsx or .toml), in place of those
    imported before.

    A rule matches by account, instance (uuid), title and image (patterns with * and ?), from
    valid_from to valid_to; a condition left out matches everything. It assigns project, owner and
    cost_centre. The first rule that matches holds. A budget has a project or an account, an amount
    in yuan, and a month, or none for every month. A tag gives keys and values, a lease says until when,
    for how many hours and with how many GPUs an instance may run, a limit how many card-hours a month
    and GPUs at a time a project, an owner or an account may use: both are told, and nothing is
    stopped. Closed months stay as they are. FILE can be - for
    standard input. Examples: docs/billing.md.
    """
    from etl.books.rule_files import import_rules as take

    app = context.app()
    app.require_database()
    with progress_bar(tr("assigning instances")):
        imported = take(app.database, file, allow_empty=allow_empty, dry_run=dry_run, now=app.now())
    _report_import(imported, "", dry_run, as_json)


@rules.command(name="history")
@json_option
@click.pass_obj
def history_of_rules(context: Context, as_json: bool) -> None:
    """List the versions of the rules and budgets: each import that changed them. The last holds."""
    from etl.books.rule_files import rule_history
    from etl.history.days import iso

    app = context.app()
    app.require_database()
    columns = ["version", "imported_at", "source", "rules", "budgets"]
    rows = (
        (v.version, iso(v.imported_at), v.source, v.rules, v.budgets)
        for v in rule_history(app.database)
    )
    print_rows(columns, rows, as_json)


@rules.command(name="restore")
@click.argument("version", type=int)
@_dry_option
@json_option
@click.pass_obj
def restore_rules(context: Context, version: int, dry_run: bool, as_json: bool) -> None:
    """Go back to the rules and budgets of VERSION, as rules history numbers them."""
    from etl.books.rule_files import restore_rules as restore

    app = context.app()
    app.require_database()
    with progress_bar(tr("assigning instances")):
        restored = restore(app.database, version, app.now(), dry_run=dry_run)
    _report_import(restored, "", dry_run, as_json)


@rules.command(name="show")
@click.option(
    "--export",
    "file",
    type=FILE_OR_STREAM,
    help="Write them to a file (.csv, .toml) instead; - is standard output, as CSV.",
)
@json_option
@click.pass_obj
def show_rules(context: Context, file: Path | None, as_json: bool) -> None:
    """Print the rules in the order in which they are tried, each with its number of instances."""
    from etl.books.rule_files import export_rules, rules_in_force

    app = context.app()
    app.require_database()
    # instead of the table: both would share standard output
    if file is not None:
        _write_lines(app, file, export_rules(app.database, _file_format(file)))
        return
    rules, zone = rules_in_force(app.database)
    columns = ["rule", "if", "project", "owner", "cost_centre", "from", "instances"]
    print_rows(columns, (_rule_row(rule, zone) for rule in rules), as_json)


@rules.command(name="test")
@click.argument("words", required=False)
@click.option("--file", type=FILE, help="Ask the rules of this file; nothing is changed.")
@json_option
@click.pass_obj
def trial_of_rules(context: Context, words: str | None, file: Path | None, as_json: bool) -> None:
    """Print who pays for each instance over time by the rules, or only for those whose uuid or title
    contains WORDS."""
    from etl.books.rule_files import try_rules

    app = context.app()
    app.require_database()
    trials, zone = try_rules(app.database, file, words)
    columns = [
        "account",
        "instance_uuid",
        "title",
        "from",
        "rule",
        "project",
        "owner",
        "cost_centre",
        "tags",
    ]
    rows = (row for trial in trials for row in _trial_rows(trial, zone))
    print_rows(columns, rows, as_json)


def _report_import(imported: Imported, also: str, dry_run: bool, as_json: bool) -> None:
    """Print the outcome of an import, or the changes that a trial of it would make."""
    # of a trial too: they are about the file, whether it is taken or not
    warn(imported.remarks)
    if not dry_run:
        say(tr("imported: {imported}{also}", imported=imported, also=also))
        return
    columns = "account month project owner cost_centre now_yuan then_yuan change_yuan"
    rows = [
        (*share, before / MICRO, after / MICRO, (after - before) / MICRO)
        for share, before, after in imported.effects
    ]
    print_rows(columns.split(), rows, as_json)
    # on standard error: the table alone is what a script reads
    say(tr("nothing was changed; it would import {imported}", imported=imported))


def _price_row(price: PriceInUse, zone: Zone) -> Sequence[Any]:
    from etl.books.writing import day_or_moment, exact_yuan
    from etl.money.tariffs import PER_S

    # stored by its seconds, shown by the name that a file may use
    units = {seconds: unit for unit, seconds in PER_S.items()}
    return (
        price.account,
        price.gpu_name or "(unknown)",
        price.image_uuid or "(unknown)",
        price.charging_type,
        "no card" if price.no_card else None,
        # 0 stands for no beginning: 1970 would be read as a fact
        day_or_moment(price.starts_s, zone) if price.starts_s else "ever",
        units[price.per_s],
        None if price.price_microcny is None else exact_yuan(price.price_microcny),
        exact_yuan(price.flat_microcny) if price.flat_microcny else None,
        price.price_source + (", length of the unit assumed" if price.is_assumed else ""),
    )


def _rule_row(held: RuleInForce, zone: Zone) -> Sequence[Any]:
    from etl.books.rule_remarks import words_of
    from etl.books.writing import day_or_moment

    rule = held.rule
    payers = rule.project, rule.owner, rule.cost_centre
    since = day_or_moment(rule.valid_from, zone)
    return (rule.rule_no, words_of(rule), *payers, since, held.instances)


def _trial_rows(trial: RuleTrial, zone: Zone) -> Iterator[Sequence[Any]]:
    """Yield a row for each allocation of an instance over time."""
    from etl.books.writing import day_or_moment
    from etl.money.allocation import NO_RULE
    from etl.money.tags import as_words

    instance = trial.account, trial.instance_uuid, trial.title
    for held in trial.allocations:
        since = day_or_moment(held.starts_s, zone) if held.starts_s else "ever"
        tags = as_words(held.tags) if held.tags else None
        # said in words: empty cells alone would look like a rule that names nobody
        if held.rule_no == NO_RULE:
            yield (*instance, since, None, _either("(no rule)", held), None, None, tags)
        else:
            project = _either(held.project, held)
            yield (*instance, since, held.rule_no, project, held.owner, held.cost_centre, tags)


def _either(project: str | None, held: Allocation) -> str | None:
    """Return who pays, and who else may while a rename was not seen yet."""
    is_doubtful = held.is_doubtful and held.or_project != held.project
    return f"{project} or {held.or_project or '(no rule)'}" if is_doubtful else project


def _model_lines(chosen: ChargingModel, steps: dict[int, str]) -> list[str]:
    lines = [f"counts from {chosen.counts_from}", f"by the begun {steps[chosen.step_s]}"]
    # counted from start_time, a boot is charged like the rest, however long it lasts
    if chosen.counts_from == "running":
        lines.append(f"a boot is taken to last {chosen.boot_s} s, at most {chosen.boot_max_s} s")
    return lines


# by the name alone: its content is still to be written
def _file_format(file: Path) -> str:
    if str(file) == STREAM:
        return "csv"
    form = file.suffix.lower().removeprefix(".")
    if form not in ("csv", "toml"):
        raise click.UsageError(
            localized(tr("{file} is neither .csv nor .toml by its name", file=file))
        )
    return form


def _write_lines(app: App, file: Path, lines: list[str]) -> None:
    from etl import paths

    # a stream ends where it ends: there is no file to replace
    if str(file) == STREAM:
        print_lines(lines)
        return
    # whole or not at all: it is the backup of prices that were typed by hand
    with paths.replacing(file, app.database.files) as written:
        written.write("".join(f"{line}\n" for line in lines).encode())
    say(tr("written to {file}", file=file))
