"""Decide who pays for an instance over time, and which tags it has, by the user's rules and its titles
and images.

Pure. The first rule that matches holds; if none does, nobody pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeVar

from etl.money.periods import BEGINNING, FOREVER, merge_adjacent
from etl.money.tags import tags_in_title, with_first
from etl.poll import Instant

NO_RULE: Final = 0
"""The `rule_no` or `lease_no` of a time for which none matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which instances a rule is about, and when. All must match; None matches anything.

    `title` and `image` are patterns with `*` and `?` that ignore case; `image` is compared with the
    image's uuid, its name and `name:tag`.
    """

    account: str | None = None
    instance_uuid: str | None = None
    title: str | None = None
    image: str | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    note: str | None = None

    def holds(self, at: Instant) -> bool:
        return (self.valid_from or BEGINNING) <= at < (self.valid_to or FOREVER)

    def matches(self, account: str, instance_uuid: str, labels: Labels) -> bool:
        return (
            self.account in (None, account)
            and self.instance_uuid in (None, instance_uuid)
            and (self.title is None or _is_like(self.title, labels.title))
            and (self.image is None or any(_is_like(self.image, name) for name in labels.images))
        )


@dataclass(frozen=True, slots=True)
class Rule(Condition):
    """A rule of who pays."""

    rule_no: int
    project: str | None = None
    owner: str | None = None
    cost_centre: str | None = None


@dataclass(frozen=True, slots=True)
class TagRule(Condition):
    """A rule that gives tags, as JSON. For each key the first that matches holds."""

    tag_rule_no: int
    tags: str


@dataclass(frozen=True, slots=True)
class Lease(Condition):
    """How long and how much each instance may run; None allows anything. The first that matches holds.

    `project` and `owner` are conditions on who pays. `max_running_s` counts while the lease holds.
    """

    lease_no: int
    project: str | None = None
    owner: str | None = None
    until: Instant | None = None
    max_running_s: int | None = None
    max_gpus: int | None = None

    def is_of(self, project: str | None, owner: str | None) -> bool:
        """Tell whether the lease is for what these pay for."""
        return self.project in (None, project) and self.owner in (None, owner)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules about instances, each kind in the order in which it is tried."""

    rules: Sequence[Rule] = ()
    tags: Sequence[TagRule] = ()
    leases: Sequence[Lease] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.tags or self.leases)

    @property
    def dated(self) -> Iterator[Condition]:
        yield from self.rules
        yield from self.tags
        yield from self.leases


@dataclass(frozen=True, slots=True)
class Labels:
    """The title and image of an instance, as first seen at `since`.

    They changed `after` the newest poll that still saw others; None if there were none.
    """

    since: Instant
    title: str
    images: tuple[str, ...] = ()
    after: Instant | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """A row of `allocation` without its account and instance; the end is exclusive.

    If no rule matches, `rule_no` is `NO_RULE` and nobody pays. `tags` are JSON. `is_doubtful` is 1 while a
    change of title or image, by which others pay or tags differ (`or_project` and so on), may have
    happened unseen. `lease_no` is the lease, or `NO_RULE`.
    """

    starts_s: Instant
    ends_s: Instant
    rule_no: int
    project: str | None
    owner: str | None
    cost_centre: str | None
    tags: str | None = None
    is_doubtful: int = 0
    or_project: str | None = None
    or_owner: str | None = None
    or_cost_centre: str | None = None
    or_tags: str | None = None
    lease_no: int = NO_RULE


def allocations(
    book: RuleBook, account: str, instance_uuid: str, labels: Sequence[Labels]
) -> list[Allocation]:
    """List who pays for an instance and its tags over all time, in order and without holes.

    `labels` are in order; the first of them counts for all time before it.
    """
    begins = {BEGINNING} | {seen.since for seen in labels[1:]}
    # between the two a change may have happened unseen: there it is doubtful who pays
    begins |= {seen.after for seen in labels[1:] if seen.after is not None}
    for dated in book.dated:
        begins |= {dated.valid_from or BEGINNING, dated.valid_to or BEGINNING}
    periods: list[Allocation] = []
    for at, to in pairwise([*sorted(begins), FOREVER]):
        # before its first version an instance counts as what it was first seen as
        then = next((seen for seen in reversed(labels) if seen.since <= at), labels[0])
        rule = first_match(book.rules, account, instance_uuid, then, at)
        payer = _payer(rule), _tags(book, account, instance_uuid, then, at)
        # unmatched time has a row too, so that its cost is a line and is not dropped by a join
        rule_no = NO_RULE if rule is None else rule.rule_no
        unseen = (s for s in labels[1:] if s.after is not None and s.after <= at < s.since)
        others = (
            (
                _payer(first_match(book.rules, account, instance_uuid, seen, at)),
                _tags(book, account, instance_uuid, seen, at),
            )
            for seen in unseen
        )
        doubtful = [other for other in others if other != payer]
        # the newest of several: it is who pays from then on
        other, other_tags = doubtful[-1] if doubtful else (_payer(None), None)
        doubt = 1 if doubtful else 0
        lease = _lease(book, account, instance_uuid, then, at, rule)
        periods.append(
            Allocation(at, to, rule_no, *payer[0], payer[1], doubt, *other, other_tags, lease)
        )
    return list(merge_adjacent(periods))


def _payer(rule: Rule | None) -> tuple[str | None, str | None, str | None]:
    return (None, None, None) if rule is None else (rule.project, rule.owner, rule.cost_centre)


def _tags(
    book: RuleBook, account: str, instance_uuid: str, labels: Labels, at: Instant
) -> str | None:
    tags: str | None = None
    for rule in book.tags:
        if rule.holds(at) and rule.matches(account, instance_uuid, labels):
            tags = with_first(tags, rule.tags)
    return with_first(tags, tags_in_title(labels.title))


def _lease(
    book: RuleBook,
    account: str,
    instance_uuid: str,
    labels: Labels,
    at: Instant,
    payer: Rule | None,
) -> int:
    project, owner, _ = _payer(payer)
    mine = [lease for lease in book.leases if lease.is_of(project, owner)]
    lease = first_match(mine, account, instance_uuid, labels, at)
    return NO_RULE if lease is None else lease.lease_no


M = TypeVar("M", bound=Condition)


def first_match(
    rules: Sequence[M], account: str, instance_uuid: str, labels: Labels, at: Instant
) -> M | None:
    """Return the rule that holds at a moment, None if no rule matches."""
    # in the order of the file: people write exceptions above the rule
    return next(
        (r for r in rules if r.holds(at) and r.matches(account, instance_uuid, labels)), None
    )


def letters_of(pattern: str) -> str:
    """Return what every text that a pattern matches begins with, without case."""
    return _pattern(pattern)[0]


def _is_like(pattern: str, text: str) -> bool:
    letters, compiled = _pattern(pattern)
    folded = _folded(text)
    # most patterns of thousands fail at their first letters
    return folded.startswith(letters) and compiled.match(folded) is not None


# of more rules than they hold, tried in order, each would be compiled every time
@lru_cache(maxsize=65_536)
def _pattern(pattern: str) -> tuple[str, re.Pattern[str]]:
    folded = pattern.casefold()
    # titles hold brackets such as [train]: only * and ? are meant as patterns
    return re.split(r"[*?]", folded)[0], re.compile(translate(folded.replace("[", "[[]")))


@lru_cache(maxsize=65_536)
def _folded(text: str) -> str:
    return text.casefold()
