"""Decide who pays for an instance over time, by the user's rules and its titles and images.

Pure. The first rule that matches holds; if none does, nobody pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import lru_cache
from itertools import pairwise
from typing import Final

from etl.money.pricing import BEGINNING, FOREVER
from etl.poll import Instant

NO_RULE: Final = 0
"""The `rule_no` of a time for which no rule matches."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. All its conditions must match; None matches anything.

    `title` and `image` are patterns with `*` and `?` that ignore case; `image` is compared with the
    image's uuid, its name and `name:tag`.
    """

    rule_no: int
    account: str | None = None
    instance_uuid: str | None = None
    title: str | None = None
    image: str | None = None
    project: str | None = None
    owner: str | None = None
    cost_centre: str | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    note: str | None = None

    def holds(self, at: Instant) -> bool:
        return (self.valid_from or BEGINNING) <= at < (self.valid_to or FOREVER)

    def matches(self, account: str, instance_uuid: str, looks: Looks) -> bool:
        return (
            self.account in (None, account)
            and self.instance_uuid in (None, instance_uuid)
            and (self.title is None or _is_like(self.title, looks.title))
            and (self.image is None or any(_is_like(self.image, name) for name in looks.images))
        )


@dataclass(frozen=True, slots=True)
class Looks:
    """The title and image of an instance from `since` on."""

    since: Instant
    title: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """A row of `allocation` without its account and instance; the end is exclusive.

    If no rule matches, `rule_no` is `NO_RULE` and nobody pays.
    """

    starts_s: Instant
    ends_s: Instant
    rule_no: int
    project: str | None
    owner: str | None
    cost_centre: str | None


def allocations(
    rules: Sequence[Rule], account: str, instance_uuid: str, looks: Sequence[Looks]
) -> list[Allocation]:
    """List who pays for an instance over all time, in order and without holes.

    `looks` are in order; the first of them counts for all time before it.
    """
    begins = {BEGINNING} | {each.since for each in looks[1:]}
    for rule in rules:
        begins |= {rule.valid_from or BEGINNING, rule.valid_to or BEGINNING}
    found: list[Allocation] = []
    for at, to in pairwise([*sorted(begins), FOREVER]):
        then = next((each for each in reversed(looks) if each.since <= at), looks[0])
        rule = first_match(rules, account, instance_uuid, then, at) or Rule(NO_RULE)
        found.append(Allocation(at, to, rule.rule_no, rule.project, rule.owner, rule.cost_centre))
    return list(_joined(found))


def first_match(
    rules: Sequence[Rule], account: str, instance_uuid: str, looks: Looks, at: Instant
) -> Rule | None:
    """Return the rule that holds at a moment, None if no rule matches."""
    return next(
        (r for r in rules if r.holds(at) and r.matches(account, instance_uuid, looks)), None
    )


def _joined(found: Sequence[Allocation]) -> Iterator[Allocation]:
    """Merge adjacent allocations that differ in their times alone."""
    last: Allocation | None = None
    for each in found:
        if last is not None and each == replace(last, starts_s=last.ends_s, ends_s=each.ends_s):
            last = replace(last, ends_s=each.ends_s)
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


def _is_like(pattern: str, text: str) -> bool:
    return _pattern(pattern.casefold()).match(text.casefold()) is not None


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))
