"""Remarks on rules and budgets without effect: nothing matches, an earlier rule takes all, expired. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from etl.books.rule_entries import RuleFile
from etl.history.days import iso
from etl.money.allocation import Rule
from etl.money.matching import Condition, RuleIndex
from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant
from etl.store.books import InstanceBatch
from etl.texts import tr


def rule_remarks(
    chosen: RuleFile, batches: Sequence[InstanceBatch], accounts: set[str], now: Instant | None
) -> Iterator[str]:
    """Yield a remark for each rule or budget of a file that has no effect."""
    yield from _unmatched(chosen, batches)
    yield from _hidden(chosen)
    yield from _expired(chosen, now)
    yield from _unspent(chosen, accounts)


def words_of(condition: Condition) -> str:
    """Put the conditions of a rule into words."""
    conditions = {
        "account": condition.account,
        "instance": condition.instance_uuid,
        "title": condition.title,
        "image": condition.image,
    }
    return ", ".join(f"{name} {value}" for name, value in conditions.items() if value) or "anything"


def _unmatched(chosen: RuleFile, batches: Sequence[InstanceBatch]) -> Iterator[str]:
    """Yield the rules that match no instance that was ever seen; none before the first."""
    book = chosen.book
    indexes: Sequence[RuleIndex[Any]] = (book.rule_index, book.tag_index, book.lease_index)
    # by all labels that an instance ever had: a rule for an old title holds for old usage
    matched = {
        index.matched(batch.account.name, uuid, label)
        for batch in batches
        for uuid, labels in batch.labels.items()
        for label in labels
        for index in indexes
    }
    in_use = {rule for one in matched for rule in one.rules}
    # rules are often written before the first sync: then nothing can match yet
    for name, rule in _named(chosen) if matched else ():
        if rule not in in_use:
            yield tr(
                "{named} matches no instance known: {condition}",
                named=name,
                condition=words_of(rule),
            )


def _hidden(chosen: RuleFile) -> Iterator[str]:
    names = [name for name, rule in _named(chosen) if isinstance(rule, Rule)]
    rules, index = chosen.rules, chosen.book.rule_index
    for number, rule in enumerate(rules):
        # thousands of rules are not compared in pairs: one that takes all is near by its pattern
        near = index.near(rule.instance_uuid, rule.title or "*", [rule.image or "*"])
        earlier = next((n for n in near if n < number and takes_all(rules[n], rule)), None)
        if earlier is not None:
            yield tr(
                "{named} can never hold: {first} takes all that it matches",
                named=names[number],
                first=names[earlier],
            )


def _expired(chosen: RuleFile, now: Instant | None) -> Iterator[str]:
    for name, rule in _named(chosen):
        if now is not None and rule.valid_to is not None and rule.valid_to <= now:
            yield tr(
                "{named} expired at {until}: it holds for earlier usage only",
                named=name,
                until=iso(rule.valid_to),
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


def _named(chosen: RuleFile) -> Iterator[tuple[str, Condition]]:
    """Yield each rule about instances with its name for people."""
    for kind in ("rule", "tag", "lease"):
        for number, rule in enumerate(chosen.of_kind(kind)):
            yield f"{kind} {number + 1} ({chosen.locations[kind][number]})", rule
