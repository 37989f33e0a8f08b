"""Import files of samples: match them to instances, merge them into what is kept, say what became of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from etl import store
from etl.books.documents import read
from etl.books.entries import Wrong
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant
from etl.samples.gathered import Gathered
from etl.samples.matching import MapEntry, MatchedInstance, Matcher, NamedTime, Unmatched, words_of
from etl.samples.packed import (
    DaySamples,
    SampleValue,
    highest,
    load_times,
    merged_samples,
    pack_samples,
    unpack_samples,
)
from etl.samples.reading import file_word, read_samples
from etl.steps import report_steps
from etl.store import Writing
from etl.store.samples import PackedDay
from etl.texts import Text, tr
from etl.units import DAY_S

# clocks of machines differ, and cron's minute is over by the time somebody imports
AHEAD_S: Final = 60
"""A sample that is so much later than now is in the future."""
MAP_COLUMNS: Final = {"map": ("name", "instance", "valid_from", "valid_to")}
REASONS: Final[Mapping[Unmatched, Text]] = {
    Unmatched.UNKNOWN: tr("no instance had that name then"),
    Unmatched.AMBIGUOUS: tr("several instances had that name then"),
    Unmatched.EARLY: tr("the instance did not exist yet"),
    Unmatched.LATE: tr("the instance was gone"),
    Unmatched.FUTURE: tr("they lie in the future"),
}
_OfGpus = dict[str, dict[Instant, SampleValue]]
"""The samples of an instance by GPU."""


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """The user's words about files: whose they are, and by which clocks they were written."""

    instance: str | None = None
    account: str | None = None
    map_file: Path | None = None
    timezone: str | None = None


@dataclass
class SamplesImported:
    """The outcome of an import, in numbers of samples.

    `same` were known, `differing` too, with another value. `unmatched` counts those of no instance by
    the word and the reason; `outside` are those that lie in no running time of their instance.
    """

    files: int = 0
    new: int = 0
    same: int = 0
    differing: int = 0
    without_value: int = 0
    unreadable: int = 0
    outside: int = 0
    instances: set[MatchedInstance] = field(default_factory=set)
    unmatched: Counter[tuple[str, Unmatched]] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    @property
    def matched(self) -> int:
        return self.new + self.same + self.differing

    def remarks(self) -> Iterator[Text]:
        """Yield a line about each sort of sample that counts for nothing."""
        for (word, reason), count in sorted(self.unmatched.items()):
            yield tr(
                "{word}: samples left out: {count}, as {reason}",
                word=word or tr("(no name)"),
                count=count,
                reason=REASONS[reason],
            )
        if self.unreadable:
            first = "; ".join(self.unread)
            yield tr(
                "lines that are no samples: {count}; {first}", count=self.unreadable, first=first
            )
        if self.without_value:
            yield tr("samples without a known utilisation: {count}", count=self.without_value)
        if self.outside:
            yield tr(
                "samples of times in which their instance did not run, where they count for nothing: {count}",
                count=self.outside,
            )
        if self.differing:
            yield tr(
                "samples that were known with another value, of which the higher counts: {count}",
                count=self.differing,
            )


class _Tried(Exception):
    """Ends a transaction that was only a trial."""


def import_samples(
    database: Database,
    paths: Sequence[Path],
    options: SampleOptions,
    now: Instant,
    *,
    dry_run: bool = False,
) -> SamplesImported:
    """Merge the samples of files into what is kept, in one transaction; with `dry_run` only try.

    The same samples twice change nothing, and the order of files does not matter. Raises `SettingsError`
    for a file that is none of samples, and if no sample is of an instance: then nothing is changed.
    """
    done = SamplesImported()
    with suppress(_Tried), store.writing(database) as db:
        zone = Zone(options.timezone or db.timezone())
        entries = _map_of(options.map_file, Zone(db.timezone()))
        merger = _Merger(db, options, entries, now, done)
        for number, path in enumerate(paths):
            report_steps(number, len(paths))
            merger.take(read_samples(path, zone), file_word(path))
        if not done.matched:
            raise _nothing(done)
        if dry_run:
            raise _Tried
    return done


def busy_percent(database: Database) -> int:
    """Return the utilisation from which on a GPU counts as busy."""
    with store.reading(database) as db:
        return db.samples.busy_percent()


def set_busy_percent(database: Database, percent: int) -> None:
    """Count GPUs as busy from another utilisation on, in past samples as well."""
    with store.writing(database) as db:
        db.samples.set_busy_percent(percent)
        for account_id, uuid, first, last in db.samples.sampled():
            kept = db.samples.kept(account_id, uuid, first, last)
            days = {key: unpack_samples(packed) for key, packed in kept.items()}
            _write_loads(db, MatchedInstance(account_id, uuid), days)


@dataclass(frozen=True, slots=True)
class _Merger:
    """Merges files into what is kept, and counts in `done` what became of their samples."""

    db: Writing
    options: SampleOptions
    entries: Sequence[MapEntry]
    now: Instant
    done: SamplesImported

    def take(self, gathered: Gathered, word: str) -> None:
        """Take the samples of a file, which is called `word`."""
        done = self.done
        done.files += 1
        done.without_value += gathered.without_value
        done.unreadable += gathered.unreadable
        done.unread += [
            tr("{name}, {line}", name=gathered.name, line=line) for line in gathered.unread
        ]
        for instance, gpus in self._matched(gathered, word).items():
            done.instances.add(instance)
            done.outside += _count_outside(self.db.samples.running_times(*instance), gpus)
            self._merge(instance, gpus)

    def _matched(self, gathered: Gathered, word: str) -> dict[MatchedInstance, _OfGpus]:
        """Return the samples of a file by instance and GPU; count those of none."""
        words = {s: words_of(s, self.options.instance, word) for s in gathered.series}
        matcher = self._matcher(word for several in words.values() for word in several)
        matched: dict[MatchedInstance, _OfGpus] = defaultdict(lambda: defaultdict(dict))
        for source, samples in gathered.series.items():
            own = words[source]
            for at, value in samples.items():
                match = self._match(matcher, own, at)
                if isinstance(match, Unmatched):
                    self.done.unmatched[own[-1] if own else "", match] += 1
                    continue
                kept = matched[match][source.gpu_key]
                kept[at] = highest(kept[at], value) if at in kept else value
        return matched

    def _matcher(self, words: Iterable[str]) -> Matcher:
        asked = {*words, *(entry.instance for entry in self.entries)}
        named: dict[str, list[NamedTime]] = defaultdict(list)
        for row in self.db.samples.called(asked, self.options.account):
            named[row.word].append(NamedTime(*row[1:]))
        return Matcher(named, self.entries)

    def _match(
        self, matcher: Matcher, words: Sequence[str], at: Instant
    ) -> MatchedInstance | Unmatched:
        return matcher.match(words, at) if at <= self.now + AHEAD_S else Unmatched.FUTURE

    def _merge(self, instance: MatchedInstance, gpus: _OfGpus) -> None:
        """Write the days of an instance that samples change, and their times of load."""
        by_day: dict[tuple[int, str], dict[int, SampleValue]] = defaultdict(dict)
        for gpu, samples in gpus.items():
            for at, value in samples.items():
                by_day[at // DAY_S, gpu][at % DAY_S] = value
        numbers = [day for day, _ in by_day]
        packed = self.db.samples.kept(*instance, min(numbers), max(numbers))
        changed: dict[tuple[int, str], DaySamples] = {}
        for key, new in by_day.items():
            kept = unpack_samples(packed[key]) if key in packed else {}
            if (merged := merged_samples(kept, new)) != kept:
                changed[key] = merged
            self._count(kept, new)
        self.db.samples.replace_days(
            [
                PackedDay(*instance, day, gpu, len(samples), pack_samples(samples))
                for (day, gpu), samples in changed.items()
            ]
        )
        _write_loads(self.db, instance, changed)

    def _count(self, kept: DaySamples, new: DaySamples) -> None:
        known = new.keys() & kept.keys()
        same = sum(kept[second] == new[second] for second in known)
        self.done.new += len(new) - len(known)
        self.done.same += same
        self.done.differing += len(known) - same


def _write_loads(
    db: Writing, instance: MatchedInstance, days: Mapping[tuple[int, str], DaySamples]
) -> None:
    percent = db.samples.busy_percent()
    db.samples.replace_loads(
        [(*instance, day, gpu) for day, gpu in days],
        [
            (*instance, day, gpu, *load)
            for (day, gpu), samples in days.items()
            for load in load_times(day, samples, percent)
        ],
    )


def _count_outside(
    running: Sequence[tuple[Instant, Instant]],
    gpus: Mapping[str, Mapping[Instant, SampleValue]],
) -> int:
    starts = [begin for begin, _ in running]

    def is_outside(at: Instant) -> bool:
        index = bisect_right(starts, at) - 1
        return index < 0 or at > running[index][1]

    return sum(is_outside(at) for samples in gpus.values() for at in samples)


def _map_of(file: Path | None, zone: Zone) -> list[MapEntry]:
    """Return the lines of a map. Raises `SettingsError` with the place of an error."""
    if file is None:
        return []
    document, entries = read(file, MAP_COLUMNS), []
    for entry in document.entries:
        try:
            name, instance = entry.text("name"), entry.text("instance")
            if name is None or instance is None:
                raise Wrong(tr("a line of a map has name and instance"))
            starts, ends = entry.period(zone)
        except Wrong as error:
            raise document.wrong(entry, error) from error
        entries.append(MapEntry(name, instance, starts or BEGINNING, ends or FOREVER))
    return entries


def _nothing(done: SamplesImported) -> SettingsError:
    reasons = "; ".join(str(remark) for remark in done.remarks())
    return SettingsError(
        tr("no sample is of an instance: {reasons}", reasons=reasons),
        advice=tr("name it by --instance, or say by --map which names are which instances"),
    )
