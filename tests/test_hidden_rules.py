"""Rules that can never hold, found among many."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from etl.books.rule_entries import RuleFile
from etl.books.rule_remarks import rule_remarks, takes_all
from etl.money.allocation import Rule

patterns = st.one_of(st.none(), st.text("aBß*?[", min_size=1, max_size=4))
conditions = st.tuples(patterns, st.sampled_from([None, "x", "y"]), patterns)


@given(st.lists(conditions, max_size=8))
def test_the_first_rule_that_takes_all_of_another_is_named_as_by_comparing_all_pairs(
    chosen: list[tuple[str | None, str | None, str | None]],
) -> None:
    rules = [
        Rule(rule_no=number, title=title, instance_uuid=uuid, image=image)
        for number, (title, uuid, image) in enumerate(chosen, 1)
    ]
    hidden = {
        (rule.rule_no, first.rule_no)
        for number, rule in enumerate(rules)
        for first in [next((r for r in rules[:number] if takes_all(r, rule)), None)]
        if first is not None
    }
    file = RuleFile(rules=rules, locations={"rule": [f"line {n}" for n in range(len(rules))]})
    remarks = "\n".join(str(remark) for remark in rule_remarks(file, [], set(), None))
    named = re.findall(r"rule (\d+) .*can never hold: rule (\d+)", remarks)
    assert {(int(rule), int(first)) for rule, first in named} == hidden
