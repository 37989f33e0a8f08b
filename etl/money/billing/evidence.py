"""Settlement windows that one instance alone explains: what the bill can teach.

Pure. Instants are epoch seconds, amounts millionths of a yuan.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from etl.money.pricing import PriceTerms
from etl.poll import Instant

LONGEST_BOOT_S: Final = 600
"""A window that begins so long after a run at most is taken for the first one of the run."""
LONGEST_USUAL_BOOT_S: Final = 240
"""The same, where several could be meant."""
MOST_RUNS: Final = 50
"""Windows that hold more runs of an instance are left out."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """What was charged for a window, in one channel."""

    starts_s: Instant
    ends_s: Instant
    amount: int
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is charged by the hour. It ended from `ended_min_s` to `ended_max_s`; it began at
    `started_s`, or, where that is not certain, not before it."""

    instance_uuid: str
    started_s: Instant
    ended_min_s: Instant
    ended_s: Instant
    ended_max_s: Instant
    terms: PriceTerms
    gpus: int
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """The time of a run that falls into a window, from `begins_s` on. `is_first`: the window is the
    one in which the run begins; `origin_s`: where that one begins, as far as it is known."""

    run: Run
    begins_s: Instant
    ends_min_s: Instant
    ends_s: Instant
    ends_max_s: Instant
    is_first: bool
    origin_s: Instant


Told = Literal["alone", "begins", "follows"]


@dataclass(frozen=True, slots=True)
class Window:
    """A window with all that was charged for it, and what ran in it. `told` by what it is known whose
    it is: nothing else can have run in it; it begins when one run began; or it begins where the
    window before it of a run ended."""

    starts_s: Instant
    ends_s: Instant
    amount: int
    remark: str
    shares: tuple[Share, ...] = ()
    told: Told = "alone"

    @property
    def length_s(self) -> int:
        return self.ends_s - self.starts_s


@dataclass(slots=True)
class Evidence:
    """`windows` are of one instance each; `shared` could be of several. `stopped` are of time in
    which nothing ran, or which begins where a run ended; `quiet_ends` are ends of runs at which no
    window begins. `moments` are lines without a window."""

    windows: list[Window] = field(default_factory=list)
    stopped: list[Window] = field(default_factory=list)
    shared: list[Window] = field(default_factory=list)
    quiet_ends: int = 0
    moments: int = 0


def evidence(lines: Iterable[BillLine], runs: Sequence[Run]) -> Evidence:
    """Sort the windows of the bill by what ran in them."""
    index, found = _Index(runs), Evidence()
    all_of = _windows(lines)
    spans = [window for window in all_of if window.length_s]
    found.moments = len(all_of) - len(spans)
    starting = Counter(window.starts_s for window in spans)
    ending = Counter(window.ends_s for window in spans)
    ended: dict[Instant, Run] = {}
    for window in spans:
        at = window.starts_s
        is_single = starting[at] == 1 and ending[at] == 1
        before = ended.get(at) if is_single else None
        if before is not None and window.ends_s > before.ended_max_s:
            found.stopped.append(window)
            continue
        inside = index.inside(at, window.ends_s)
        if inside == []:
            found.stopped.append(window)
            continue
        told = _told(window, inside, before, None if ending[at] else index.begun_before(at))
        if told is None:
            found.shared.append(window)
            continue
        found.windows.append(told)
        ended[window.ends_s] = told.shares[-1].run
    found.quiet_ends = sum(
        run.ended_min_s <= at <= run.ended_max_s and not starting[at] for at, run in ended.items()
    )
    found.windows = _with_origins(found.windows)
    return found


def _windows(lines: Iterable[BillLine]) -> list[Window]:
    """Lines with the same window as one: a charge can be paid in parts."""
    amounts: Counter[tuple[Instant, Instant]] = Counter()
    remarks: dict[tuple[Instant, Instant], set[str]] = defaultdict(set)
    for line in lines:
        amounts[line.starts_s, line.ends_s] += line.amount
        remarks[line.starts_s, line.ends_s].add(line.remark)
    return [
        Window(*key, amount, " + ".join(sorted(remarks[key])))
        for key, amount in sorted(amounts.items())
    ]


def _told(
    window: Window, inside: Sequence[Run] | None, before: Run | None, begun: Run | None
) -> Window | None:
    """The window with the shares of the one instance that it is of, if that can be told."""
    told: Told = "alone"
    if inside is not None and len({run.instance_uuid for run in inside}) == 1:
        chosen = inside
    elif before is not None:
        chosen, told = [before], "follows"
    elif begun is not None and window.ends_s <= begun.ended_max_s:
        chosen, told = [begun], "begins"
    else:
        return None
    if not all(run.is_certain for run in chosen):
        return None
    shares = tuple(_share(window, run) for run in chosen)
    return replace(window, shares=shares, told=told)


def _share(window: Window, run: Run) -> Share:
    begins = max(window.starts_s, run.started_s)
    ends = tuple(max(begins, at) for at in (run.ended_min_s, run.ended_s, run.ended_max_s))
    if window.ends_s <= run.ended_max_s:  # it is settled while it runs, or when it ends
        ends = (window.ends_s,) * 3
    is_first = window.starts_s - run.started_s <= LONGEST_BOOT_S
    return Share(run, begins, ends[0], ends[1], ends[2], is_first, run.started_s)


def _with_origins(windows: Sequence[Window]) -> list[Window]:
    """Every share knows where the first window of its run began: steps count from there."""
    first: dict[Run, Instant] = {}
    for window in windows:
        for share in window.shares:
            if share.is_first:
                first[share.run] = min(share.begins_s, first.get(share.run, share.begins_s))
    return [
        replace(window, shares=tuple(_with_origin(share, first) for share in window.shares))
        for window in windows
    ]


def _with_origin(share: Share, first: Mapping[Run, Instant]) -> Share:
    origin = first.get(share.run)
    return replace(
        share,
        origin_s=share.run.started_s if origin is None else origin,
        is_first=origin == share.begins_s,
    )


class _Index:
    """Runs by the time in which they may have been running."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = sorted(runs, key=lambda run: run.started_s)
        self._starts = [run.started_s for run in self._runs]
        self._ends = sorted(run.ended_max_s for run in runs)
        self._sums = _sums(range(len(self._runs)))
        by_end = sorted(range(len(self._runs)), key=lambda i: self._runs[i].ended_max_s)
        self._sums_by_end = _sums(by_end)

    def inside(self, starts_s: Instant, ends_s: Instant) -> list[Run] | None:
        """The runs that may have run in [starts_s, ends_s); None where they are many."""
        begun = bisect_left(self._starts, ends_s)
        over = bisect_right(self._ends, starts_s)
        count = begun - over
        if count == 1:
            return [self._runs[self._sums[begun] - self._sums_by_end[over]]]
        if count > MOST_RUNS:
            return None
        return self._search(begun, count, starts_s)

    def _search(self, begun: int, count: int, starts_s: Instant) -> list[Run] | None:
        found: list[Run] = []
        for run in reversed(self._runs[max(0, begun - 20 * MOST_RUNS) : begun]):
            if len(found) == count:
                break
            if run.ended_max_s > starts_s:
                found.append(run)
        return found if len(found) == count else None

    def begun_before(self, at: Instant) -> Run | None:
        """The only run that began in this second; or, where none did, within a boot before it."""
        last = bisect_right(self._starts, at)
        for since in (at, at - LONGEST_USUAL_BOOT_S):
            first = bisect_left(self._starts, since)
            if last - first:
                return self._runs[first] if last - first == 1 else None
        return None


def _sums(numbers: Iterable[int]) -> list[int]:
    """Running sums, from 0 of none on."""
    sums = [0]
    for number in numbers:
        sums.append(sums[-1] + number)
    return sums
