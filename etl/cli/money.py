"""Commands about money: prices, rules, month."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import FILE, Context, account_option, json_option, print_lines, say

if TYPE_CHECKING:
    from etl.app import App
    from etl.money.charging import ChargingModel

_empty_option = click.option(
    "--allow-empty", is_flag=True, help="A file without an entry takes away what there is."
)


@click.group()
def prices() -> None:
    """What usage costs: your own prices, and how running time is charged."""


@prices.command(name="import")
@click.argument("file", type=FILE)
@_empty_option
@click.pass_obj
def import_prices(context: Context, file: Path, allow_empty: bool) -> None:
    """Take your prices from FILE (.csv or .toml), in place of those imported before.

    An entry is for what it says: account, gpu_uuid or gpu_name, image_uuid, charging_type, no_card
    (runs without a GPU); what it leaves out is any. unit (hour, day, week, month, year) and price
    (yuan), per gpu or instance; adds = true puts it on top of the price. valid_from, valid_to: days or
    moments. The most specific entry holds. All of the file is checked before anything is written.
    Examples of both forms: docs/billing.md.
    """
    from etl.books.price_files import import_prices as take

    app = context.app()
    app.require_database()
    done = take(app.database, file, allow_empty=allow_empty)
    _remark(done.remarks)
    say(f"imported: {done}; costs follow, but for closed months")


@prices.command(name="show")
@json_option
@click.pass_obj
def show_prices(context: Context, as_json: bool) -> None:
    """The prices of all terms in use, and from when on each holds."""
    from etl.books.price_files import shown_prices
    from etl.reports.render import render

    app = context.app()
    app.require_database()
    print_lines(render("json" if as_json else "table", *shown_prices(app.database)))


@prices.command(name="export")
@click.argument("file", type=FILE)
@click.pass_obj
def export_prices(context: Context, file: Path) -> None:
    """Write your prices, and those learned from bills, to FILE (.csv or .toml), to import again."""
    from etl.books.price_files import export_prices as lines

    app = context.app()
    app.require_database()
    _write(app, file, lines(app.database, _form(file)))


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
    """How running time is charged: shown, and set by the options. The provider does not say.

    Defaults: from start, by the second; a boot 60 s, at most 180 s. All costs follow a change, but for
    closed months.
    """
    from dataclasses import replace

    from etl.books.price_files import STEPS, model, set_model

    app = context.app()
    app.require_database()
    said: dict[str, Any] = {
        "counts_from": counts_from,
        "step_s": step and STEPS[step],
        "boot_s": boot_s,
        "boot_max_s": boot_max_s,
    }
    chosen = replace(
        model(app.database), **{name: value for name, value in said.items() if value is not None}
    )
    if any(value is not None for value in said.values()):
        set_model(app.database, chosen)
    print_lines(_model_lines(chosen, {seconds: name for name, seconds in STEPS.items()}))


@click.group()
def rules() -> None:
    """Who pays: rules that give instances to projects, owners and cost centres; budgets."""


@rules.command(name="import")
@click.argument("file", type=FILE)
@_empty_option
@click.pass_obj
def import_rules(context: Context, file: Path, allow_empty: bool) -> None:
    """Take rules and budgets from FILE (.csv or .toml), in place of those imported before.

    A rule matches by account, instance (uuid), title and image (patterns with * and ?), from valid_from
    to valid_to; what it leaves out is any. It says project, owner, cost_centre. The first rule that
    matches holds. A budget has a project or an account, an amount in yuan, and a month, or none for
    every month. Closed months stay as they are. Examples of both forms: docs/billing.md.
    """
    from etl.books.rule_files import import_rules as take

    app = context.app()
    app.require_database()
    done = take(app.database, file, allow_empty=allow_empty)
    _remark(done.remarks)
    say(f"imported: {done}")


@rules.command(name="show")
@click.option("--export", "file", type=FILE, help="Write them to a file (.csv, .toml) instead.")
@json_option
@click.pass_obj
def show_rules(context: Context, file: Path | None, as_json: bool) -> None:
    """The rules in the order in which they are asked, each with the instances that it holds for."""
    from etl.books.rule_files import export_rules, shown_rules
    from etl.reports.render import render

    app = context.app()
    app.require_database()
    if file is not None:
        _write(app, file, export_rules(app.database, _form(file)))
        return
    print_lines(render("json" if as_json else "table", *shown_rules(app.database)))


@rules.command(name="test")
@click.argument("words", required=False)
@click.option("--file", type=FILE, help="Ask the rules of this file; nothing is changed.")
@json_option
@click.pass_obj
def try_rules(context: Context, words: str | None, file: Path | None, as_json: bool) -> None:
    """What the rules say of each instance over time; with WORDS, of those whose uuid or title holds
    them."""
    from etl.books.rule_files import tried_rules
    from etl.reports.render import render

    app = context.app()
    app.require_database()
    print_lines(render("json" if as_json else "table", *tried_rules(app.database, file, words)))


@click.group()
def month() -> None:
    """Months that are closed: their costs are frozen, whatever is learned later."""


@month.command(name="close")
@click.argument("month", metavar="YYYY-MM")
@account_option("Only this account.")
@click.pass_obj
def close_month(context: Context, month: str, account: str | None) -> None:
    """Freeze the costs of a month, and who pays them. Bill lines that come later are adjustments.

    A month that was not observed from its beginning is closed with a warning, one that was not observed
    at all is not closed.
    """
    from etl.books.closing import close

    app = context.app()
    app.require_database()
    closed = close(app.database, month, account, app.now())
    _remark(closed.remarks)
    say(f"{month} is closed for {', '.join(closed.accounts)}")


@month.command(name="reopen")
@click.argument("month", metavar="YYYY-MM")
@account_option("Only this account.")
@click.pass_obj
def reopen_month(context: Context, month: str, account: str | None) -> None:
    """Let the costs of a month follow what is known again."""
    from etl.books.closing import reopen

    app = context.app()
    app.require_database()
    say(f"{month} is open again for {', '.join(reopen(app.database, month, account))}")


@month.command(name="show")
@json_option
@click.pass_obj
def show_months(context: Context, as_json: bool) -> None:
    """The closed months: what each cost when it was closed, and by what is known today."""
    from etl.books.closing import shown
    from etl.reports.render import render

    app = context.app()
    app.require_database()
    print_lines(render("json" if as_json else "table", *shown(app.database)))


def _remark(remarks: Iterable[str]) -> None:
    for each in remarks:
        say(f"warning: {each}")


def _model_lines(chosen: ChargingModel, steps: dict[int, str]) -> list[str]:
    lines = [f"counts from {chosen.counts_from}", f"by the begun {steps[chosen.step_s]}"]
    if chosen.counts_from == "running":
        lines.append(f"a boot is taken to last {chosen.boot_s} s, at most {chosen.boot_max_s} s")
    return lines


def _form(file: Path) -> str:
    form = file.suffix.lower().removeprefix(".")
    if form not in ("csv", "toml"):
        raise click.UsageError(f"{file} is neither .csv nor .toml by its name")
    return form


def _write(app: App, file: Path, lines: list[str]) -> None:
    from etl import paths

    with paths.replacing(file, app.database.files) as written:
        written.write("".join(f"{line}\n" for line in lines).encode())
    say(f"written to {file}")
