"""Who pays: allocation rules and budgets from and to a file, and their effect on instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from etl import store
from etl.books.entries import (
    Entry,
    Imported,
    Wrong,
    day_or_moment,
    read,
    refuse_empty,
    write,
    wrong,
    yuan,
)
from etl.dialect import Database
from etl.history.days import Zone
from etl.history.months import is_month
from etl.money.allocation import Allocation, Rule, allocations
from etl.money.budget import MonthlyBudget
from etl.store.books import InstanceBatch

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
"""A thousand million yuan."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The rules and budgets of a file."""

    rules: list[Rule]
    budgets: list[MonthlyBudget]


class RuleInForce(NamedTuple):
    """A rule, and the number of instances that it holds for now."""

    rule: Rule
    instances: int


class RuleTrial(NamedTuple):
    """An instance by its newest title, and its allocations over time."""

    account: str
    instance_uuid: str
    title: str
    allocations: list[Allocation]


def import_rules(database: Database, path: Path, *, allow_empty: bool = False) -> Imported:
    """Take the rules and budgets of a file in place of those that there are.

    The file is checked as a whole first. Closed months stay as they are. Raises `SettingsError` with
    the line, and if all rules or all budgets would be gone unless `allow_empty`.
    """
    with store.writing(database) as db:
        book = db.books
        chosen = read_rules(path, book.zone())
        counts = {
            "rule": (len(chosen.rules), len(book.rules())),
            "budget": (len(chosen.budgets), len(book.budgets())),
        }
        if not allow_empty:
            refuse_empty(path, counts)
        batches = list(book.batches())
        remarks = [*_idle(batches, chosen.rules), *_unspent(book.account_names(), chosen)]
        book.replace_rules(chosen.rules, batches)
        book.replace_budgets(chosen.budgets)
    return Imported(counts, remarks)


def read_rules(path: Path, zone: Zone) -> RuleFile:
    """Read the rules and budgets of a file. Raises `SettingsError` with the line of what is wrong."""
    rules: list[Rule] = []
    budgets: dict[tuple[str, str, str], MonthlyBudget] = {}
    for entry in read(path, COLUMNS):
        try:
            if entry.kind == "rule":
                rules.append(_rule(len(rules) + 1, entry, zone))
                continue
            budget = _budget(entry)
            if (key := (budget.scope, budget.name, budget.month)) in budgets:
                raise Wrong(f"{budget.scope} {budget.name!r} has a budget for that already")
            budgets[key] = budget
        except Wrong as error:
            raise wrong(path, entry.line, str(error)) from error
    return RuleFile(rules, list(budgets.values()))


def export_rules(database: Database, form: str) -> list[str]:
    """Return the lines of a file that `import_rules` reads as what there is."""
    with store.reading(database) as db:
        book = db.books
        zone = book.zone()
        entries = [Entry(0, "rule", _rule_values(rule, zone)) for rule in book.rules()]
        entries += [Entry(0, "budget", _budget_values(budget)) for budget in book.budgets()]
    return list(write(form, COLUMNS, entries))


def rules_in_force(database: Database) -> tuple[list[RuleInForce], Zone]:
    """Return the rules in the order in which they are asked, and the reporting time zone."""
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
        rules = book.rules() if path is None else read_rules(path, zone).rules
        return [trial for batch in book.batches() for trial in _trials(batch, rules, words)], zone


def condition(rule: Rule) -> str:
    """Put into words what a rule asks of an instance."""
    asked = {
        "account": rule.account,
        "instance": rule.instance_uuid,
        "title": rule.title,
        "image": rule.image,
    }
    return ", ".join(f"{name} {value}" for name, value in asked.items() if value) or "anything"


def _idle(batches: Sequence[InstanceBatch], rules: Sequence[Rule]) -> Iterator[str]:
    """Yield a remark for each rule that matches no instance that was ever seen; none before the first."""
    idle, is_any = list(rules), False
    for batch in batches:
        for uuid, looks in batch.looks.items():
            is_any, name = True, batch.account.name
            idle = [r for r in idle if not any(r.matches(name, uuid, look) for look in looks)]
    for rule in idle if is_any else []:
        yield f"rule {rule.rule_no} matches no instance known: {condition(rule)}"


def _unspent(accounts: set[str], chosen: RuleFile) -> Iterator[str]:
    """Yield a remark for each budget of a project that no rule names, or of an unknown account."""
    known: dict[str, set[str]] = {
        "project": {rule.project for rule in chosen.rules if rule.project},
        "account": accounts,
    }
    for budget in chosen.budgets:
        if known[budget.scope] and budget.name not in known[budget.scope]:
            why = "no rule names that project" if budget.scope == "project" else "it is not known"
            yield f"a budget is of {budget.scope} {budget.name!r}, but {why}"


def _trials(batch: InstanceBatch, rules: Sequence[Rule], words: str | None) -> Iterator[RuleTrial]:
    for uuid, looks in batch.looks.items():
        title = looks[-1].title
        if words is None or words.casefold() in f"{uuid}\n{title}".casefold():
            name = batch.account.name
            yield RuleTrial(name, uuid, title, allocations(rules, name, uuid, looks))


def _rule(number: int, entry: Entry, zone: Zone) -> Rule:
    rule = Rule(
        rule_no=number,
        account=entry.text("account"),
        instance_uuid=entry.text("instance"),
        title=entry.text("title"),
        image=entry.text("image"),
        project=entry.text("project"),
        owner=entry.text("owner"),
        cost_centre=entry.text("cost_centre"),
        valid_from=entry.instant("valid_from", zone),
        valid_to=entry.instant("valid_to", zone),
        note=entry.text("note"),
    )
    if not (rule.project or rule.owner or rule.cost_centre):
        raise Wrong("a rule names a project, an owner or a cost_centre")
    if rule.valid_to is not None and (rule.valid_from or 0) >= rule.valid_to:
        raise Wrong("valid_to must be later than valid_from")
    return rule


def _budget(entry: Entry) -> MonthlyBudget:
    project, account = entry.text("project"), entry.text("account")
    if (project is None) == (account is None):
        raise Wrong("a budget is of a project or of an account")
    month = entry.text("month") or ""
    if month and not is_month(month):
        raise Wrong("month must be one such as 2026-10, or left out for every month")
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
        "amount": yuan(budget.amount_microcny),
    }
