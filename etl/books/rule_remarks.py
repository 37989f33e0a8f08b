"""Remarks on rules and budgets without effect: nothing matches, an earlier rule takes all, expired. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etl.history.days import iso
from etl.money.allocation import Rule
from etl.money.budget import MonthlyBudget
from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant
from etl.store.books import InstanceBatch
from etl.texts import tr


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The rules and budgets of a file; `locations` name the rules' lines in it."""

    rules: list[Rule]
    locations: list[str]
    budgets: list[MonthlyBudget]


def rule_remarks(
    chosen: RuleFile, batches: Sequence[InstanceBatch], accounts: set[str], now: Instant | None
) -> Iterator[str]:
    """Yield a remark for each rule or budget of a file that has no effect."""
    yield from _unmatched_rules(chosen, batches)
    yield from _hidden(chosen)
    yield from _expired(chosen, now)
    yield from _unspent(chosen, accounts)


def condition(rule: Rule) -> str:
    """Put the conditions of a rule into words."""
    conditions = {
        "account": rule.account,
        "instance": rule.instance_uuid,
        "title": rule.title,
        "image": rule.image,
    }
    return ", ".join(f"{name} {value}" for name, value in conditions.items() if value) or "anything"


def _unmatched_rules(chosen: RuleFile, batches: Sequence[InstanceBatch]) -> Iterator[str]:
    """Yield the rules that match no instance that was ever seen; none before the first."""
    idle, is_any = list(chosen.rules), False
    for batch in batches:
        for uuid, labels in batch.labels.items():
            is_any, name = True, batch.account.name
            # by all labels that an instance ever had: a rule for an old title holds for old usage
            idle = [r for r in idle if not any(r.matches(name, uuid, label) for label in labels)]
    # rules are often written before the first sync: then nothing can match yet
    for rule in idle if is_any else []:
        yield tr(
            "{named} matches no instance known: {condition}",
            named=_named(chosen, rule),
            condition=condition(rule),
        )


def _hidden(chosen: RuleFile) -> Iterator[str]:
    for number, rule in enumerate(chosen.rules):
        earlier = next((r for r in chosen.rules[:number] if takes_all(r, rule)), None)
        if earlier is not None:
            first = _named(chosen, earlier)
            yield tr(
                "{named} can never hold: {first} takes all that it matches",
                named=_named(chosen, rule),
                first=first,
            )


def _expired(chosen: RuleFile, now: Instant | None) -> Iterator[str]:
    for rule in chosen.rules:
        if now is not None and rule.valid_to is not None and rule.valid_to <= now:
            until = iso(rule.valid_to)
            yield tr(
                "{named} expired at {until}: it holds for earlier usage only",
                named=_named(chosen, rule),
                until=until,
            )


def _unspent(chosen: RuleFile, accounts: set[str]) -> Iterator[str]:
    """Yield the budgets of a project that no rule names, or of an unknown account."""
    known: dict[str, set[str]] = {
        "project": {rule.project for rule in chosen.rules if rule.project},
        "account": accounts,
    }
    for budget in chosen.budgets:
        if known[budget.scope] and budget.name not in known[budget.scope]:
            why = (
                tr("no rule names that project")
                if budget.scope == "project"
                else tr("it is not known")
            )
            yield tr(
                "a budget is of {scope} {name!r}, but {why}",
                scope=budget.scope,
                name=budget.name,
                why=why,
            )


def takes_all(earlier: Rule, rule: Rule) -> bool:
    """Tell whether `earlier` surely matches everything that `rule` matches."""
    return (
        earlier.account in (None, rule.account)
        and earlier.instance_uuid in (None, rule.instance_uuid)
        and _is_wider(earlier.title, rule.title)
        and _is_wider(earlier.image, rule.image)
        # in time as well: what it leaves at one end is for the later rule
        and (earlier.valid_from or BEGINNING) <= (rule.valid_from or BEGINNING)
        and (earlier.valid_to or FOREVER) >= (rule.valid_to or FOREVER)
    )


def _is_wider(wide: str | None, narrow: str | None) -> bool:
    """Tell whether `wide` matches every text that `narrow` matches, `None` being any text."""
    if wide is None:
        return True
    if narrow is None:
        narrow = "*"
    # a `?` stands for one character, so it covers a `?` of the other pattern, but none of its `*`
    words = {"*": ".*", "?": "[^*]"}
    pattern = "".join(words.get(character, re.escape(character)) for character in wide.casefold())
    return re.fullmatch(pattern, narrow.casefold(), re.DOTALL) is not None


def _named(chosen: RuleFile, rule: Rule) -> str:
    return f"rule {rule.rule_no} ({chosen.locations[rule.rule_no - 1]})"
