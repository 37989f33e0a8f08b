"""Allocation rules and budgets from and to a file, and their effect on instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from etl import store
from etl.books.documents import STANDARD_INPUT, Document, parse, read
from etl.books.entries import Entry, Wrong
from etl.books.imports import Imported, refuse_empty, run_import
from etl.books.rule_remarks import RuleFile, rule_remarks
from etl.books.writing import day_or_moment, exact_yuan, write
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.allocation import Allocation, Rule, allocations
from etl.money.budget import MonthlyBudget
from etl.poll import Instant
from etl.store import Writing
from etl.store.books import BooksWriter, InstanceBatch, RuleVersion
from etl.texts import tr

COLUMNS: Final = {
    "rule": (
        "account",
        "instance",
        "title",
        "image",
        "project",
        "owner",
        "cost_centre",
        "valid_from",
        "valid_to",
        "note",
    ),
    "budget": ("project", "account", "month", "amount"),
}
HIGHEST_BUDGET_MICROCNY: Final = 10**15
"""The highest budget: a thousand million yuan."""


class RuleInForce(NamedTuple):
    """A rule, and the number of instances that it assigns now."""

    rule: Rule
    instances: int


class RuleTrial(NamedTuple):
    """An instance by its newest title, and its allocations over time."""

    account: str
    instance_uuid: str
    title: str
    allocations: list[Allocation]


def import_rules(
    database: Database,
    path: Path,
    *,
    allow_empty: bool = False,
    dry_run: bool = False,
    now: Instant | None = None,
) -> Imported:
    """Replace the rules and budgets by those of a file; `-` is standard input.

    The file is checked as a whole first. Closed months stay as they are. With `dry_run` nothing is
    changed, and the effects tell the difference that it would make. With `now` the expired rules are
    named, and a version is kept to come back to. Raises `SettingsError` with the place of an error,
    and if all rules or all budgets would be gone unless `allow_empty`.
    """
    document = read(path, COLUMNS)
    source = path.name if path != STANDARD_INPUT else document.name
    work = partial(_replace_rules, document, source, allow_empty, now)
    return run_import(database, work, dry_run=dry_run)


def rule_history(database: Database) -> list[RuleVersion]:
    """Return all versions of the rules and budgets, oldest first; the last one is in force."""
    with store.reading(database) as db:
        return db.books.rule_versions()


def restore_rules(
    database: Database, version: int, now: Instant, *, dry_run: bool = False
) -> Imported:
    """Replace the rules and budgets by those of an earlier version.

    Raises `SettingsError` if there is no such version.
    """
    kept = next((v for v in rule_history(database) if v.version == version), None)
    if kept is None:
        raise SettingsError(
            tr("there is no version {version} of the rules", version=version),
            advice=tr("see chenyu-etl rules history"),
        )
    document = parse(f"version {version}", kept.content.encode(), COLUMNS, is_toml=True)
    # empty is allowed: a version without rules was meant when it was imported
    work = partial(_replace_rules, document, f"version {version}", True, now)
    return run_import(database, work, dry_run=dry_run)


def _replace_rules(
    document: Document, source: str, allow_empty: bool, now: Instant | None, db: Writing
) -> Imported:
    book = db.books
    zone = book.zone()
    chosen = rules_of(document, zone)
    counts = {
        "rule": (len(chosen.rules), len(book.rules())),
        "budget": (len(chosen.budgets), len(book.budgets())),
    }
    if not allow_empty:
        refuse_empty(document.name, counts)
    # read once, and used twice: for the remarks, and to allocate anew
    batches = list(book.batches())
    remarks = [*document.remarks, *rule_remarks(chosen, batches, book.account_names(), now)]
    if now is not None:
        # rules of before versions were kept can be restored, too
        _keep(book, "before the first version", book.rules(), book.budgets(), now, is_first=True)
        _keep(book, source, chosen.rules, chosen.budgets, now)
    book.replace_rules(chosen.rules, batches)
    book.replace_budgets(chosen.budgets)
    return Imported(counts, remarks)


def _keep(
    book: BooksWriter,
    source: str,
    rules: Sequence[Rule],
    budgets: Sequence[MonthlyBudget],
    now: Instant,
    *,
    is_first: bool = False,
) -> None:
    """Keep a version to come back to, unless the newest is the same; a first one only if there is none."""
    versions = book.rule_versions()
    # as the text of a file: it can be read, compared and imported by any later version
    content = "\n".join(_file_lines("toml", rules, budgets, book.zone()))
    if (versions and (is_first or versions[-1].content == content)) or (is_first and not content):
        return
    number = versions[-1].version + 1 if versions else 1
    book.add_rule_version(RuleVersion(number, now, source, len(rules), len(budgets), content))


def rules_of(document: Document, zone: Zone) -> RuleFile:
    """Return the rules and budgets of a file. Raises `SettingsError` with the place of an error."""
    chosen = RuleFile([], [], [])
    for entry in document.entries:
        try:
            if entry.kind == "rule":
                chosen.rules.append(_rule(len(chosen.rules) + 1, entry, zone))
                chosen.locations.append(entry.location())
                continue
            budget = _budget(entry)
            # a second one for the same month would win or lose by its place
            if any(
                (b.scope, b.name, b.month) == (budget.scope, budget.name, budget.month)
                for b in chosen.budgets
            ):
                raise Wrong(
                    tr(
                        "{scope} {name!r} has a budget for that already",
                        scope=budget.scope,
                        name=budget.name,
                    )
                )
            chosen.budgets.append(budget)
        except Wrong as error:
            raise document.wrong(entry, error) from error
    return chosen


def export_rules(database: Database, form: str) -> list[str]:
    """Return the lines of a file from which `import_rules` restores the rules of today."""
    with store.reading(database) as db:
        book = db.books
        return _file_lines(form, book.rules(), book.budgets(), book.zone())


def _file_lines(
    form: str, rules: Sequence[Rule], budgets: Sequence[MonthlyBudget], zone: Zone
) -> list[str]:
    entries = [Entry(0, "rule", _rule_values(rule, zone)) for rule in rules]
    entries += [Entry(0, "budget", _budget_values(budget)) for budget in budgets]
    return list(write(form, COLUMNS, entries))


def rules_in_force(database: Database) -> tuple[list[RuleInForce], Zone]:
    """Return the rules in the order in which they are tried, and the reporting time zone."""
    with store.reading(database) as db:
        book = db.books
        instances = book.instances_by_rule()
        return [RuleInForce(rule, instances[rule.rule_no]) for rule in book.rules()], book.zone()


def try_rules(
    database: Database, path: Path | None, words: str | None
) -> tuple[list[RuleTrial], Zone]:
    """Return the allocations by the rules of a file, or by those kept, and the reporting time zone.

    `words` chooses the instances whose uuid or title holds them. Nothing is changed.
    """
    with store.reading(database) as db:
        book = db.books
        zone = book.zone()
        rules = book.rules() if path is None else rules_of(read(path, COLUMNS), zone).rules
        return [trial for batch in book.batches() for trial in _trials(batch, rules, words)], zone


def _trials(batch: InstanceBatch, rules: Sequence[Rule], words: str | None) -> Iterator[RuleTrial]:
    for uuid, labels in batch.labels.items():
        title = labels[-1].title
        if words is None or words.casefold() in f"{uuid}\n{title}".casefold():
            name = batch.account.name
            yield RuleTrial(name, uuid, title, allocations(rules, name, uuid, labels))


def _rule(number: int, entry: Entry, zone: Zone) -> Rule:
    valid_from, valid_to = entry.period(zone)
    # numbered by its place: the first rule that matches holds
    rule = Rule(
        rule_no=number,
        account=entry.text("account"),
        instance_uuid=entry.text("instance"),
        title=entry.text("title"),
        image=entry.text("image"),
        project=entry.text("project"),
        owner=entry.text("owner"),
        cost_centre=entry.text("cost_centre"),
        valid_from=valid_from,
        valid_to=valid_to,
        note=entry.text("note"),
    )
    # it would match and say nothing, and so hide the rules after it
    if not (rule.project or rule.owner or rule.cost_centre):
        raise Wrong(tr("a rule names a project, an owner or a cost_centre"))
    return rule


def _budget(entry: Entry) -> MonthlyBudget:
    # either: of both, nobody could say which costs count
    project, account = entry.text("project"), entry.text("account")
    if (project is None) == (account is None):
        raise Wrong(tr("a budget is of a project or of an account"))
    month = entry.month("month") or ""
    amount = entry.microcny("amount", HIGHEST_BUDGET_MICROCNY)
    if project is not None:
        return MonthlyBudget("project", project, month, amount)
    return MonthlyBudget("account", account or "", month, amount)


def _rule_values(rule: Rule, zone: Zone) -> dict[str, Any]:
    return {
        "account": rule.account,
        "instance": rule.instance_uuid,
        "title": rule.title,
        "image": rule.image,
        "project": rule.project,
        "owner": rule.owner,
        "cost_centre": rule.cost_centre,
        "valid_from": day_or_moment(rule.valid_from, zone),
        "valid_to": day_or_moment(rule.valid_to, zone),
        "note": rule.note,
    }


def _budget_values(budget: MonthlyBudget) -> dict[str, Any]:
    return {
        budget.scope: budget.name,
        "month": budget.month or None,
        "amount": exact_yuan(budget.amount_microcny),
    }
