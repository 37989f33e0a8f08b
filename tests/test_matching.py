"""Rules looked up among many hold as if each were tried in its order."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.money.allocation import NO_RULE, Lease, Rule, RuleBook, TagRule, allocations
from etl.money.matching import Condition, Labels, RuleIndex
from etl.money.periods import BEGINNING, FOREVER
from etl.money.tags import tags_in_title, with_first

LETTERS = "aAbßſ[*?-"
patterns = st.one_of(st.none(), st.text(LETTERS, min_size=1, max_size=5))
texts = st.text("aAbßsS[-", max_size=6)
instants = st.one_of(st.none(), st.integers(1, 9))
uuids = st.sampled_from(["x", "y"])
conditions = st.fixed_dictionaries(
    {
        "account": st.sampled_from([None, None, "lab", "other"]),
        "instance_uuid": st.one_of(st.none(), uuids),
        "title": patterns,
        "image": st.one_of(st.none(), patterns),
        "valid_from": instants,
        "valid_to": instants,
    }
)
names = st.sampled_from([None, "p", "q"])


@st.composite
def books(draw: st.DrawFn) -> RuleBook:
    def drawn(most: int) -> list[dict[str, Any]]:
        return draw(st.lists(conditions, max_size=most))

    rules = [Rule(n, project=draw(names), **c) for n, c in enumerate(drawn(8), 1)]
    tags = [TagRule(n, f'{{"k{n % 2}":"{n}"}}', **c) for n, c in enumerate(drawn(3), 1)]
    leases = [Lease(n, project=draw(names), **c) for n, c in enumerate(drawn(3), 1)]
    return RuleBook(rules, tags, leases)


@st.composite
def histories(draw: st.DrawFn) -> list[Labels]:
    """Labels of an instance, each later than the one before, some after a poll that saw others."""
    sinces = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
    images = st.lists(texts, max_size=2).map(tuple)
    afters = [None, *(draw(st.one_of(st.none(), st.integers(a, b))) for a, b in pairwise(sinces))]
    return [
        Labels(since, draw(texts), draw(images), after)
        for since, after in zip(sinces, afters, strict=True)
    ]


def is_like(pattern: str, text: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.casefold().replace("[", "[[]"))


def is_match(rule: Condition, uuid: str, labels: Labels) -> bool:
    return (
        rule.account in (None, "lab")
        and rule.instance_uuid in (None, uuid)
        and (rule.title is None or is_like(rule.title, labels.title))
        and (rule.image is None or any(is_like(rule.image, name) for name in labels.images))
    )


def in_force(rules: Sequence[Any], uuid: str, labels: Labels, at: int) -> list[Any]:
    """Return the rules that match at a moment, by trying every one."""
    return [
        rule
        for rule in rules
        if is_match(rule, uuid, labels)
        and (rule.valid_from or 0) <= at < (rule.valid_to or FOREVER)
    ]


def paid(book: RuleBook, uuid: str, labels: Labels, at: int) -> tuple[str | None, str | None]:
    rule = next(iter(in_force(book.rules, uuid, labels, at)), None)
    tags = None
    for tag_rule in in_force(book.tags, uuid, labels, at):
        tags = with_first(tags, tag_rule.tags)
    return rule.project if rule else None, with_first(tags, tags_in_title(labels.title))


def expected(book: RuleBook, uuid: str, labels: list[Labels], at: int) -> tuple[Any, ...]:
    then = [seen for seen in labels if seen.since <= at] or labels[:1]
    now = paid(book, uuid, then[-1], at)
    unseen = [
        paid(book, uuid, seen, at)
        for seen in labels[1:]
        if seen.after is not None and seen.after <= at < seen.since
    ]
    others = [other for other in unseen if other != now]
    rules = in_force(book.rules, uuid, then[-1], at)
    leases = [
        lease.lease_no
        for lease in in_force(book.leases, uuid, then[-1], at)
        if lease.project in (None, now[0])
    ]
    return (
        rules[0].rule_no if rules else NO_RULE,
        now,
        int(bool(others)),
        others[-1] if others else (None, None),
        leases[0] if leases else NO_RULE,
    )


@given(books(), uuids, histories())
def test_rules_hold_as_if_each_were_tried_in_its_order(
    book: RuleBook, uuid: str, labels: list[Labels]
) -> None:
    periods = allocations(book, "lab", uuid, labels)
    assert [period.starts_s for period in periods[1:]] == [p.ends_s for p in periods[:-1]]
    assert (periods[0].starts_s, periods[-1].ends_s) == (BEGINNING, FOREVER)
    for at in range(11):
        (held,) = [period for period in periods if period.starts_s <= at < period.ends_s]
        got = (
            held.rule_no,
            (held.project, held.tags),
            held.is_doubtful,
            (held.or_project, held.or_tags),
            held.lease_no,
        )
        assert got == expected(book, uuid, labels, at)


@given(books(), st.lists(st.tuples(uuids, texts, st.tuples(texts)), max_size=6))
def test_an_index_that_remembers_gives_the_rules_that_match(
    book: RuleBook, asked: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    index = RuleIndex(book.rules)
    for uuid, title, images in asked * 2:
        labels = Labels(1, title, images)
        matching = tuple(rule for rule in book.rules if is_match(rule, uuid, labels))
        assert index.matched("lab", uuid, labels).rules == matching


def test_few_of_thousands_of_rules_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (
        lambda n: {"title": f"team-{n:04}*"},
        lambda n: {"title": f"*-{n:04}-gpu"},
        lambda n: {"title": f"lab ?{n:04}"},
        lambda n: {"image": f"*/torch:{n:04}*"},
        lambda n: {"instance_uuid": f"i-{n:04}", "title": "*"},
    )
    rules = [Rule(n, **kinds[n % 5](n)) for n in range(5_000)]
    tried: list[Rule] = []
    matches = Condition.matches

    def counted(rule: Rule, account: str, uuid: str, labels: Labels) -> bool:
        tried.append(rule)
        return matches(rule, account, uuid, labels)

    monkeypatch.setattr(Condition, "matches", counted)
    index = RuleIndex(rules)
    images = ("hub/torch:0013-cuda",)
    for _ in range(3):
        found = index.matched("lab", "i-0014", Labels(1, "Team-4000-0011-gpu", images))
    assert [rule.rule_no for rule in found.rules] == [11, 13, 14, 4000]
    assert tried == list(found.rules)
