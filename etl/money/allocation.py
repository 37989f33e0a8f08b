"""Decide who pays for an instance over time, and which tags it has, by the user's rules and its titles
and images.

Pure. The first rule that matches holds; if none does, nobody pays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from etl.money.matching import Condition, Labels, Matched, RuleIndex
from etl.money.periods import BEGINNING, FOREVER, merge_adjacent
from etl.money.tags import tags_in_title, with_first
from etl.poll import Instant

NO_RULE: Final = 0
"""The `rule_no` or `lease_no` of a time for which none matches."""


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


@dataclass(frozen=True)
class RuleBook:
    """All rules about instances, each kind in the order in which it is tried."""

    rules: Sequence[Rule] = ()
    tags: Sequence[TagRule] = ()
    leases: Sequence[Lease] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.tags or self.leases)

    @cached_property
    def rule_index(self) -> RuleIndex[Rule]:
        return RuleIndex(self.rules)

    @cached_property
    def tag_index(self) -> RuleIndex[TagRule]:
        return RuleIndex(self.tags)

    @cached_property
    def lease_index(self) -> RuleIndex[Lease]:
        return RuleIndex(self.leases)


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
    looked_up = [_Chosen.of(book, account, instance_uuid, seen) for seen in labels]
    begins = {BEGINNING} | {seen.since for seen in labels[1:]}
    # between the two a change may have happened unseen: there it is doubtful who pays
    begins |= {seen.after for seen in labels[1:] if seen.after is not None}
    for chosen in looked_up:
        begins |= chosen.edges()
    sinces = [seen.since for seen in labels[1:]]
    periods: list[Allocation] = []
    for at, to in pairwise([*sorted(at for at in begins if BEGINNING <= at < FOREVER), FOREVER]):
        # before its first version an instance counts as what it was first seen as
        newest = bisect_right(sinces, at)
        periods.append(_period(at, to, looked_up[newest], looked_up[newest + 1 :]))
    return list(merge_adjacent(periods))


_Payer = tuple[str | None, str | None, str | None]
_NOBODY: Final[_Payer] = (None, None, None)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The rules about an instance while it has these labels."""

    labels: Labels
    rules: Matched[Rule]
    tags: tuple[TagRule, ...]
    leases: tuple[Lease, ...]

    @classmethod
    def of(cls, book: RuleBook, account: str, instance_uuid: str, labels: Labels) -> _Chosen:
        asked = account, instance_uuid, labels
        return cls(
            labels,
            book.rule_index.matched(*asked),
            book.tag_index.matched(*asked).rules,
            book.lease_index.matched(*asked).rules,
        )

    def edges(self) -> set[Instant]:
        """Return the moments at which other rules may hold."""
        dated = (rule for rules in (self.tags, self.leases) for rule in rules)
        return {*self.rules.starts} | {at for rule in dated for at in (rule.begins, rule.ends)}

    def payer(self, at: Instant) -> tuple[_Payer, str | None]:
        """Return who pays at a moment, and the tags."""
        rule, tags = self.rules.first(at), None
        for tag_rule in self.tags:
            if tag_rule.holds(at):
                tags = with_first(tags, tag_rule.tags)
        payer = _NOBODY if rule is None else (rule.project, rule.owner, rule.cost_centre)
        return payer, with_first(tags, tags_in_title(self.labels.title))

    def lease_no(self, at: Instant, payer: _Payer) -> int:
        project, owner, _ = payer
        mine = (
            lease.lease_no
            for lease in self.leases
            if lease.holds(at) and lease.is_of(project, owner)
        )
        return next(mine, NO_RULE)


def _period(at: Instant, to: Instant, now: _Chosen, later: Sequence[_Chosen]) -> Allocation:
    """Return the allocation from `at` on by the labels of that time and those that came `later`."""
    rule, payer = now.rules.first(at), now.payer(at)
    unseen = (c for c in later if c.labels.after is not None and c.labels.after <= at)
    doubtful = [other for other in (chosen.payer(at) for chosen in unseen) if other != payer]
    # the newest of several: it is who pays from then on
    other, other_tags = doubtful[-1] if doubtful else (_NOBODY, None)
    # unmatched time has a row too, so that its cost is a line and is not dropped by a join
    rule_no = NO_RULE if rule is None else rule.rule_no
    lease_no = now.lease_no(at, payer[0])
    doubt = 1 if doubtful else 0
    return Allocation(at, to, rule_no, *payer[0], payer[1], doubt, *other, other_tags, lease_no)
