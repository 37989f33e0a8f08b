"""All that the service keeps of one account's instances, as lists in memory, after `docs/design.md`.

Nothing of `etl` is used: versions are a list for each instance, and running time is told anew from
that list each time, by the table of "Evidence". Estimates are not modelled, bounds are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

UP, BOOTING = (2, 27), (0, 1, 24)
APART_S, SAME_S = 30, 5
FIRST = 1_420_156_800
UNREADABLE = None
"""In the place of the facts of an instance that is listed in a form nobody understands."""


class Facts(NamedTuple):
    """What a record says."""

    status: int
    title: str
    create_time: int
    start_time: int
    gpu_nums: int


Listed = Mapping[str, Facts | None]


class Spell(NamedTuple):
    """A stretch of running time; its ends are None while it lasts."""

    started_at: int
    evidence: str
    least: int | None = None
    most: int | None = None


@dataclass
class Version:
    """How an instance looked, from a poll on."""

    facts: Facts
    after_at: int | None
    first_seen_at: int
    began_by: str
    last_seen_at: int | None = None
    ended_at: int | None = None
    ended_by: str | None = None


@dataclass
class One:
    """One instance."""

    versions: list[Version] = field(default_factory=list)
    began_at: int = 0
    last_seen_at: int | None = None
    missing_since: int | None = None
    gone_at: int | None = None

    def spells(self) -> list[Spell]:
        """Running time, told from the versions alone."""
        teller = _Teller()
        for number, version in enumerate(self.versions):
            if number == 0:
                teller.begins(version)
            else:
                teller.moves(version)
        if self.gone_at is not None:
            last = self.versions[-1]
            assert last.last_seen_at is not None
            teller.goes(last.last_seen_at, self.gone_at)
        return teller.spells


class Plain:
    """One account."""

    def __init__(self) -> None:
        self.instances: dict[str, One] = {}
        self._complete: list[int] = []
        self._b = 0

    def takes(self, started_at: int, finished_at: int, listed: Listed, *, complete: bool) -> None:
        """A poll that was applied; of a partial one what it listed."""
        b = self._b = max(finished_at, self._b)
        newest = max(self._complete, default=0)
        since = self._complete[0] if self._complete else started_at + 1 if complete else None
        for name, shown in listed.items():
            one, facts = self.instances.get(name), _as_kept(shown)
            if facts is None:
                if one is not None and one.gone_at is None:
                    self._is_unread(one, newest, complete=complete)
            elif one is None:
                is_new = since is not None and since <= facts.create_time <= b
                after_at = facts.create_time if is_new else None
                first = Version(facts, after_at, b, "first_seen")
                self.instances[name] = One([first], started_at)
            else:
                self._is_seen(one, facts, started_at, newest)
        for name, one in self.instances.items() if complete else ():
            if name not in listed and one.gone_at is None:
                self._is_missing(one, newest)
        if complete:
            self._complete.append(started_at)

    def _seen_at(self, one: One, newest: int) -> int:
        return one.last_seen_at or max(newest, one.began_at)

    def _is_seen(self, one: One, facts: Facts, started_at: int, newest: int) -> None:
        last, a = one.versions[-1], self._seen_at(one, newest)
        if facts != last.facts or one.gone_at is not None:
            by = "changed" if one.gone_at is None else "returned"
            last.last_seen_at, last.ended_at, last.ended_by = a, self._b, "changed"
            one.versions.append(Version(facts, a, self._b, by))
            one.began_at = started_at
        one.last_seen_at = one.missing_since = one.gone_at = None

    def _is_unread(self, one: One, newest: int, *, complete: bool) -> None:
        if complete:
            one.last_seen_at = self._seen_at(one, newest)
        one.missing_since = None

    def _is_missing(self, one: One, newest: int) -> None:
        a = self._seen_at(one, newest)
        if one.missing_since is None:
            one.last_seen_at, one.missing_since = a, self._b
        elif self._b - one.missing_since >= APART_S:
            one.last_seen_at, one.gone_at = a, one.missing_since
            last = one.versions[-1]
            last.last_seen_at, last.ended_at, last.ended_by = a, one.gone_at, "gone"


def _as_kept(facts: Facts | None) -> Facts | None:
    """A start of before 2015 is none, and is kept as none."""
    if facts is None or facts.start_time >= FIRST:
        return facts
    return facts._replace(start_time=0)


class _Teller:
    """The table of "Evidence", line by line."""

    def __init__(self) -> None:
        self.spells: list[Spell] = []
        self.open: int | None = None
        self.facts: Facts | None = None
        self.last_start: int | None = None

    def begins(self, version: Version) -> None:
        facts, b = version.facts, version.first_seen_at
        start = self._believed(facts, b)
        if version.after_at is not None:
            self._from_down(version.after_at, b, facts, start, is_created=True)
        elif facts.status in UP:
            self._opens(
                b if start is None else start, "unknown_start" if start is None else "observed"
            )
        elif facts.status in BOOTING and start is not None:
            self._opens(start, "booting")
        self.facts, self.last_start = facts, start

    def moves(self, version: Version) -> None:
        facts, b, a = version.facts, version.first_seen_at, version.after_at
        assert a is not None
        believed = self._believed(facts, b)
        start = None if self._is_same(believed, a, b) else believed
        if self.open is None:
            self._from_down(a, b, facts, start)
        elif self.spells[self.open].evidence == "booting":
            self._from_booting(a, b, facts, start)
        else:
            self._from_up(a, b, facts, start)
        self.facts, self.last_start = facts, believed or self.last_start

    def goes(self, last_seen_at: int, missing_since: int) -> None:
        if self.open is None:
            self._doubt(last_seen_at, missing_since, "gone", self.facts)
            return
        spell = self.spells[self.open]
        is_booting = spell.evidence == "booting"
        least = spell.started_at if is_booting else max(last_seen_at, spell.started_at)
        self.spells[self.open] = spell._replace(evidence="gone")
        self._closes(least, missing_since)

    def _believed(self, facts: Facts, b: int) -> int | None:
        start, last = facts.start_time, self.last_start
        is_odd = start < FIRST or start > b or start < facts.create_time
        return None if is_odd or (last is not None and start < last) else start

    def _is_same(self, start: int | None, a: int, b: int) -> bool:
        if start is None or self.last_start is None:
            return False
        later = start - self.last_start
        if start > a:
            return later <= (SAME_S if self.open is not None else 0)
        return later <= SAME_S + (b - a) / 2_000

    def _from_down(
        self, a: int, b: int, facts: Facts, start: int | None, *, is_created: bool = False
    ) -> None:
        is_up = facts.status in UP
        if start is None or (start <= a and not (is_created and start == a)):
            if is_up:
                self._came_up(a, b, facts, "unknown_start")
            elif start is not None:
                self._doubt(a, b, "possible_run", facts)
                if facts.status in BOOTING:
                    self._opens(b, "booting")
            return
        self._doubt(a, start, "possible_run", facts if is_created else self.facts)
        self._from_start(start, b, facts)

    def _from_up(self, a: int, b: int, facts: Facts, start: int | None) -> None:
        assert self.open is not None
        began = self.spells[self.open].started_at
        least = max(a, began)
        if start is not None:
            self._closes(least if start > a else began, start)
            self._from_start(start, b, facts)
        elif facts.status not in UP:
            self._closes(least, b)
        elif self._are_other_terms(facts):
            self._closes(least, b)
            self._came_up(a, b, facts, "unknown_start")

    def _from_booting(self, a: int, b: int, facts: Facts, start: int | None) -> None:
        assert self.open is not None
        spell, is_up = self.spells[self.open], facts.status in UP
        if start is not None:
            self._closes(spell.started_at, start)
            self._from_start(start, b, facts)
        elif not (is_up or facts.status in BOOTING):
            self._closes(spell.started_at, b)
        elif self._are_other_terms(facts):
            self._closes(spell.started_at, b)
            self._came_up(a, b, facts, "unknown_start" if is_up else "booting")
        elif is_up:
            self.spells[self.open] = spell._replace(evidence="observed")

    def _from_start(self, start: int, b: int, facts: Facts) -> None:
        if facts.status in UP:
            self._opens(start, "observed")
        elif facts.status in BOOTING:
            self._opens(start, "booting")
        else:
            self._doubt(start, b, "unseen_run", facts)

    def _came_up(self, a: int, b: int, facts: Facts, evidence: str) -> None:
        self._doubt(a, b, "possible_run", facts)
        self._opens(b, evidence)

    def _are_other_terms(self, facts: Facts) -> bool:
        # the terms of the open spell are those of the version before: others would have closed it
        assert self.facts is not None
        return facts.gpu_nums != self.facts.gpu_nums

    def _opens(self, at: int, evidence: str) -> None:
        self.open = len(self.spells)
        self.spells.append(Spell(at, evidence))

    def _closes(self, least: int, most: int) -> None:
        assert self.open is not None
        spell = self.spells[self.open]
        least = max(spell.started_at, least)
        self.spells[self.open] = spell._replace(least=least, most=max(least, most))
        self.open = None

    def _doubt(self, a: int, most: int, evidence: str, facts: Facts | None) -> None:
        """Time in which it may have run, and surely did for no second."""
        assert facts is not None
        began = facts.create_time if a < facts.create_time <= most else a
        if most > began:
            self.spells.append(Spell(began, evidence, began, most))
