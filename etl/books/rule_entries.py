"""Entries of a file of rules and budgets: what they mean, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from etl.books.documents import Document
from etl.books.entries import Entry, Wrong
from etl.books.writing import day_or_end, day_or_moment, exact_hours, exact_yuan, write
from etl.history.days import Zone
from etl.money.allocation import Lease, Rule, RuleBook, TagRule
from etl.money.budget import MonthlyBudget
from etl.money.limits import Scope, UsageLimit
from etl.money.matching import Condition
from etl.money.periods import BEGINNING
from etl.money.tags import PAYERS, as_words, tags_in_rule
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
    "tag": ("account", "instance", "title", "image", "tag", "valid_from", "valid_to", "note"),
    "lease": (
        "account",
        "instance",
        "title",
        "image",
        "project",
        "owner",
        "until",
        "max_hours",
        "max_gpus",
        "valid_from",
        "valid_to",
        "note",
    ),
    "limit": (
        "account",
        "project",
        "owner",
        "card_hours",
        "carry_over",
        "max_gpus",
        "valid_from",
        "valid_to",
        "note",
    ),
}
"""The columns of each kind of entry."""
SCOPES: Final[tuple[Scope, ...]] = ("account", "project", "owner")
"""Whom a limit can be of."""
HIGHEST_BUDGET_MICROCNY: Final = 10**15
"""The highest budget: a thousand million yuan."""


@dataclass(frozen=True)
class RuleFile:
    """The entries of a file by their kind; `locations` name the lines of each kind in it.

    Ask for the `book` once all entries are in.
    """

    rules: list[Rule] = field(default_factory=list)
    budgets: list[MonthlyBudget] = field(default_factory=list)
    tags: list[TagRule] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    limits: list[UsageLimit] = field(default_factory=list)
    locations: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def book(self) -> RuleBook:
        return RuleBook(self.rules, self.tags, self.leases)

    def of_kind(self, kind: str) -> list[Any]:
        """Return the entries of a kind of `COLUMNS`."""
        kinds: dict[str, list[Any]] = {
            "rule": self.rules,
            "budget": self.budgets,
            "tag": self.tags,
            "lease": self.leases,
            "limit": self.limits,
        }
        return kinds[kind]


def rules_of(document: Document, zone: Zone) -> RuleFile:
    """Return the entries of a file. Raises `SettingsError` with the place of an error."""
    chosen = RuleFile()
    for entry in document.entries:
        same_kind = chosen.of_kind(entry.kind)
        try:
            same_kind.append(_READ[entry.kind](entry, zone, same_kind))
        except Wrong as error:
            raise document.wrong(entry, error) from error
        chosen.locations.setdefault(entry.kind, []).append(entry.location())
    return chosen


def lines_of(form: str, chosen: RuleFile, zone: Zone) -> list[str]:
    """Return the lines of a file that reads as these entries."""
    entries = [
        Entry(0, kind, _VALUES[kind](one, zone)) for kind in COLUMNS for one in chosen.of_kind(kind)
    ]
    return list(write(form, COLUMNS, entries))


def _condition(entry: Entry, zone: Zone) -> dict[str, Any]:
    valid_from, valid_to = entry.period(zone)
    return {
        "account": entry.text("account"),
        "instance_uuid": entry.text("instance"),
        "title": entry.text("title"),
        "image": entry.text("image"),
        "valid_from": valid_from,
        "valid_to": valid_to,
        "note": entry.text("note"),
    }


def _rule(entry: Entry, zone: Zone, before: Sequence[Rule]) -> Rule:
    # numbered by its place: the first rule that matches holds
    rule = Rule(
        len(before) + 1,
        project=entry.text("project"),
        owner=entry.text("owner"),
        cost_centre=entry.text("cost_centre"),
        **_condition(entry, zone),
    )
    # it would match and say nothing, and so hide the rules after it
    if not (rule.project or rule.owner or rule.cost_centre):
        raise Wrong(tr("a rule names a project, an owner or a cost_centre"))
    return rule


def _tag_rule(entry: Entry, zone: Zone, before: Sequence[TagRule]) -> TagRule:
    tags = tags_in_rule(entry.text("tag") or "")
    if tags is None:
        raise Wrong(
            tr(
                "tag must be words such as team:vision, each key once, no key being {payers}",
                payers=", ".join(PAYERS),
            ),
            "tag",
        )
    return TagRule(len(before) + 1, tags, **_condition(entry, zone))


def _budget(entry: Entry, zone: Zone, before: Sequence[MonthlyBudget]) -> MonthlyBudget:
    # either: of both, nobody could say which costs count
    project, account = entry.text("project"), entry.text("account")
    if (project is None) == (account is None):
        raise Wrong(tr("a budget is of a project or of an account"))
    budget = MonthlyBudget(
        "account" if project is None else "project",
        project or account or "",
        entry.month("month") or "",
        entry.microcny("amount", HIGHEST_BUDGET_MICROCNY),
    )
    # a second one for the same month would win or lose by its place
    if any((b.scope, b.name, b.month) == (budget.scope, budget.name, budget.month) for b in before):
        raise Wrong(
            tr(
                "{scope} {name!r} has a budget for that already",
                scope=budget.scope,
                name=budget.name,
            )
        )
    return budget


def _lease(entry: Entry, zone: Zone, before: Sequence[Lease]) -> Lease:
    lease = Lease(
        len(before) + 1,
        project=entry.text("project"),
        owner=entry.text("owner"),
        until=entry.end("until", zone),
        max_running_s=entry.seconds("max_hours"),
        max_gpus=entry.count("max_gpus"),
        **_condition(entry, zone),
    )
    # it would hide those after it
    if lease.until is None and lease.max_running_s is None and lease.max_gpus is None:
        raise Wrong(tr("a lease has until, max_hours or max_gpus"))
    if lease.until is not None and (lease.valid_from or BEGINNING) > lease.until:
        raise Wrong(tr("until must not be earlier than valid_from"), "until")
    return lease


def _limit(entry: Entry, zone: Zone, before: Sequence[UsageLimit]) -> UsageLimit:
    named = {scope: name for scope in SCOPES if (name := entry.text(scope)) is not None}
    if len(named) != 1:
        raise Wrong(tr("a limit is of one account, one project or one owner"))
    ((scope, name),) = named.items()
    valid_from, valid_to = entry.period(zone)
    month_gpu_s, carry_s = entry.seconds("card_hours"), entry.seconds("carry_over")
    limit = UsageLimit(
        len(before) + 1,
        scope,
        name,
        month_gpu_s,
        carry_s or 0,
        entry.count("max_gpus"),
        valid_from,
        valid_to,
        entry.text("note"),
    )
    if limit.month_gpu_s is None and limit.max_gpus is None:
        raise Wrong(tr("a limit has card_hours or max_gpus"))
    if limit.month_gpu_s is None and carry_s is not None:
        raise Wrong(tr("carry_over is of card_hours, and there are none"), "carry_over")
    if any(limit.meets(other) for other in before):
        raise Wrong(
            tr("{scope} {name!r} has a limit for that time already", scope=scope, name=name)
        )
    return limit


_READ: Final[Mapping[str, Callable[[Entry, Zone, Any], Any]]] = {
    "rule": _rule,
    "budget": _budget,
    "tag": _tag_rule,
    "lease": _lease,
    "limit": _limit,
}


def _condition_values(condition: Condition, zone: Zone) -> dict[str, Any]:
    return {
        "account": condition.account,
        "instance": condition.instance_uuid,
        "title": condition.title,
        "image": condition.image,
        "valid_from": day_or_moment(condition.valid_from, zone),
        "valid_to": day_or_moment(condition.valid_to, zone),
        "note": condition.note,
    }


def _rule_values(rule: Rule, zone: Zone) -> dict[str, Any]:
    payers = {"project": rule.project, "owner": rule.owner, "cost_centre": rule.cost_centre}
    return {**_condition_values(rule, zone), **payers}


def _tag_values(rule: TagRule, zone: Zone) -> dict[str, Any]:
    return {**_condition_values(rule, zone), "tag": as_words(rule.tags)}


def _lease_values(lease: Lease, zone: Zone) -> dict[str, Any]:
    return {
        **_condition_values(lease, zone),
        "project": lease.project,
        "owner": lease.owner,
        "until": day_or_end(lease.until, zone),
        "max_hours": exact_hours(lease.max_running_s),
        "max_gpus": lease.max_gpus,
    }


def _limit_values(limit: UsageLimit, zone: Zone) -> dict[str, Any]:
    return {
        limit.scope: limit.name,
        "card_hours": exact_hours(limit.month_gpu_s),
        "carry_over": exact_hours(limit.carry_s or None),
        "max_gpus": limit.max_gpus,
        "valid_from": day_or_moment(limit.valid_from, zone),
        "valid_to": day_or_moment(limit.valid_to, zone),
        "note": limit.note,
    }


def _budget_values(budget: MonthlyBudget, zone: Zone) -> dict[str, Any]:
    return {
        budget.scope: budget.name,
        "month": budget.month or None,
        "amount": exact_yuan(budget.amount_microcny),
    }


_VALUES: Final[Mapping[str, Callable[[Any, Zone], dict[str, Any]]]] = {
    "rule": _rule_values,
    "budget": _budget_values,
    "tag": _tag_values,
    "lease": _lease_values,
    "limit": _limit_values,
}
