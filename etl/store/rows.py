"""Conversion of rows to values and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import Row

from etl.history import days
from etl.history.diff import Known, Version
from etl.history.stretches import Stretch, Terms
from etl.history.usage import SeenVersion
from etl.poll import Instant
from etl.resources.instances import Instance
from etl.store.runs import PollStarts

FACT_NAMES: Final = Instance.__struct_fields__
"""Columns of an instance's facts. In the order of the struct, which is made of a row's values."""
STATE_NAMES: Final = (
    "version",
    "changed_at",
    "last_seen_at",
    "missing_since",
    "gone_at",
    "last_start_at",
    "extra",
)
"""What `instance` holds beside the facts of the current version, see `instance_state`."""
_facts_of: Final[Callable[[Instance], tuple[Any, ...]]] = attrgetter(*FACT_NAMES)
END_NAMES: Final = (
    *("evidence", "ended_min", "ended_at", "ended_max", "end_evidence"),
    *("settlements", "settled_at"),
)
"""Columns of `instance_usage` that change when a stretch is rewritten."""
_ends_of: Final[Callable[[Stretch], tuple[Any, ...]]] = attrgetter(*END_NAMES)
TERM_NAMES: Final = Terms.__struct_fields__
_terms_of: Final[Callable[[Terms], tuple[Any, ...]]] = attrgetter(*TERM_NAMES)
DAY_COLUMNS: Final = (
    "account_id",
    "instance_uuid",
    "usage_no",
    "kind",
    *TERM_NAMES,
    "day",
    "started_at",
    "usage_started_at",
    "running_s",
    "running_min_s",
    "running_max_s",
    "evidence",
)


@dataclass(slots=True)
class KeptUsage:
    """The derived rows of some instances, to be compared with those that their versions yield."""

    stretches: dict[str, list[Stretch]] = field(default_factory=dict)
    day_rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    last_starts: dict[str, Instant | None] = field(default_factory=dict)

    def with_bill(
        self, uuid: str, stretches: Sequence[Stretch], *, is_at_stops: bool
    ) -> list[Stretch]:
        """Return the stretches that polls alone give, with the ends that the bill is stored to know."""
        kept = {stretch.usage_no: stretch for stretch in self.stretches.get(uuid, ())}
        return [
            replace(s, settlements=was.settlements, settled_at=was.settled_at).with_bill(
                is_at_stops=is_at_stops
            )
            # by number: versions that are folded again number their stretches alike
            if (was := kept.get(s.usage_no)) and s.ended_at is not None
            else s
            for s in stretches
        ]

    def differ(
        self,
        uuid: str,
        stretches: Sequence[Stretch],
        last_start: Instant | None,
        zone: days.Zone,
    ) -> bool:
        """Tell whether the stored rows of an instance differ from the given ones."""
        day_rows = [row[1:] for s in stretches for row in day_rows_of(0, uuid, s, zone)]
        return (
            self.stretches.get(uuid, []) != list(stretches)
            or self.day_rows.get(uuid, []) != day_rows
            or self.last_starts.get(uuid) != last_start
        )


def known_of(row: Row[Any], starts: PollStarts) -> Known:
    *facts, version, changed_at, last_seen_at, missing_since, gone_at = tuple(row)
    return Known(
        facts=Instance(*facts),
        version=version,
        seen_at=starts.seen_at(changed_at, last_seen_at),
        last_seen_at=last_seen_at,
        missing_since=missing_since,
        gone_at=gone_at,
    )


def by_instance(rows: Any) -> Iterator[tuple[str, list[SeenVersion]]]:
    uuid: str | None = None
    versions: list[SeenVersion] = []
    for *facts, after_at, first_seen_at, last_seen_at, ended_at, ended_by in rows:
        if facts[0] != uuid:
            if uuid is not None:
                yield uuid, versions
            uuid, versions = facts[0], []
        # a version that a change ended needs no end of its own: the next one has it
        gone = (last_seen_at, ended_at) if ended_by == "gone" else None
        versions.append(SeenVersion(Instance(*facts), after_at, first_seen_at, gone))
    if uuid is not None:
        yield uuid, versions


def stretch_of(row: Sequence[Any]) -> Stretch:
    number, kind, started_at, evidence, *values = row
    return Stretch(
        number,
        kind,
        started_at,
        evidence,
        Terms(*values[: len(TERM_NAMES)]),
        *values[len(TERM_NAMES) :],
    )


def values_of(facts: Instance) -> tuple[Any, ...]:
    return _facts_of(facts)


def instance_state(v: Version) -> tuple[Any, ...]:
    # a version begins with a sighting: nothing is missing, and it is not gone
    return (v.version, v.first_seen_at, None, None, None, v.last_start, v.extra)


def terms_of(stretch: Stretch) -> tuple[Any, ...]:
    return _terms_of(stretch.terms)


def ends_of(stretch: Stretch) -> tuple[Any, ...]:
    """Return the values of `END_NAMES`."""
    return _ends_of(stretch)


def day_rows_of(
    account: int, uuid: str, stretch: Stretch, zone: days.Zone
) -> Iterator[tuple[Any, ...]]:
    ends = stretch.ended_min, stretch.ended_at, stretch.ended_max
    # an open stretch is cut when it is read: it grows with every poll
    if None in ends:
        return
    head = (account, uuid, stretch.usage_no, stretch.kind, *terms_of(stretch))
    for part in days.cut_by_day(zone, stretch.started_at, *ends):  # type: ignore[arg-type]
        yield (
            *head,
            part.day,
            part.started_at,
            stretch.started_at,
            part.running_s,
            part.running_min_s,
            part.running_max_s,
            stretch.evidence,
        )
