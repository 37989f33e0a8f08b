"""The cost of single instances and projects, for readers whose browser runs no script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from etl.page.facts import Facts, Row

MOST_RUNS: Final = 1
"""The newest runs of an instance that its row of the timeline names."""
MOST_INSTANCES: Final = 20
"""Instances of a project, the dearest first."""
NO_RULE: Final = "(no rule)"
Key = tuple[str, str]
"""Account and instance."""


@dataclass(slots=True)
class Share:
    """Card-hours and yuan of an instance or a project in the period, with the bounds of the cost."""

    title: str
    uuid: str = ""
    owner: str = ""
    hours: float = 0
    cost: float = 0
    low: float = 0
    high: float = 0
    parts: Sequence[Share] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row of report `daily`."""
        self.hours += row["gpu_hours"] or 0
        self.cost += row["cost_yuan"] or 0
        self.low += row["cost_yuan_min"] or 0
        self.high += row["cost_yuan_max"] or 0


def of_instances(rows: Iterable[Row]) -> dict[Key, Share]:
    """Return the share of each instance in rows of report `daily`."""
    shares: dict[Key, Share] = {}
    for row in rows:
        key = row["account"], row["instance_uuid"]
        if key not in shares:
            title = row["title"] or row["instance_uuid"] or ""
            shares[key] = Share(title, row["instance_uuid"] or "", row["owner"] or "")
        shares[key].add(row)
    return shares


def of_projects(facts: Facts) -> list[Share]:
    """Return the share of each project that has a name, the dearest first, with its instances."""
    rows_of: dict[str, list[Row]] = defaultdict(list)
    for row in facts["daily"].rows:
        if row["project"]:
            rows_of[row["project"]].append(row)
    projects = []
    for name, rows in rows_of.items():
        project = Share(name, parts=_dearest(of_instances(rows).values()))
        for row in rows:
            project.add(row)
        projects.append(project)
    return list(_dearest(projects, len(projects)))


def of_payers(facts: Facts) -> Mapping[tuple[str, str], Share]:
    """Return the share of each account and project, as report `overview` names them."""
    shares: dict[tuple[str, str], Share] = defaultdict(lambda: Share(""))
    for row in facts["daily"].rows:
        shares[row["account"], row["project"] or NO_RULE].add(row)
    return shares


def newest_runs(facts: Facts) -> Mapping[Key, Sequence[Row]]:
    """Return the newest runs of each instance."""
    runs: dict[Key, list[Row]] = defaultdict(list)
    for row in facts["runs"].rows:
        kept = runs[row["account"], row["instance_uuid"]]
        if len(kept) < MOST_RUNS:
            kept.append(row)
    return runs


def _dearest(shares: Iterable[Share], most: int = MOST_INSTANCES) -> Sequence[Share]:
    return sorted(shares, key=lambda share: (-share.cost, share.title))[:most]
