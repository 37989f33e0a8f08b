"""Find the settlement windows that one instance alone explains: the bill's evidence.

Pure. Instants are epoch seconds, amounts millionths of a yuan.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from etl.money.tariffs import PriceTerms
from etl.poll import Instant

LONGEST_BOOT_S: Final = 600
"""The longest time between the begin of a run and its first settlement window."""
LONGEST_USUAL_BOOT_S: Final = 240
"""The longest such time if several runs could be meant."""
MOST_RUNS: Final = 50
"""The most runs of an instance in a window; windows with more are left out."""


class Gap(NamedTuple):
    """A time without observation: instances may have come and gone in it unseen."""

    starts_s: Instant
    ends_s: Instant


@dataclass(frozen=True, slots=True)
class BillLine:
    """A charge for a window, in one channel."""

    starts_s: Instant
    ends_s: Instant
    amount: int
    remark: str = ""

    def reaches_into(self, gap: Gap) -> bool:
        return gap.starts_s < self.ends_s and gap.ends_s > self.starts_s


@dataclass(frozen=True, slots=True)
class MeteredRun:
    """A run that is charged by the hour.

    It ended between `ended_min_s` and `ended_max_s`; it began at `started_s`, or not before that if the
    start is not certain.
    """

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
    """The time of a run that falls into a window, from `begins_s` on.

    `is_first`: the run begins in this window; `origin_s`: the begin of the window in which it does, if
    that is known.
    """

    run: MeteredRun
    begins_s: Instant
    ends_min_s: Instant
    ends_s: Instant
    ends_max_s: Instant
    is_first: bool
    origin_s: Instant


Sign = Literal["alone", "begins", "follows"]
"""The reason why the instance of a window is known.

`alone`: nothing else can have run in it. `begins`: the window begins when one run began. `follows`: it
begins when the run's window before it ended.
"""


@dataclass(frozen=True, slots=True)
class SettlementWindow:
    """A window with its whole charge and its runs; `sign` is the reason why its instance is known."""

    starts_s: Instant
    ends_s: Instant
    amount: int
    remark: str
    shares: tuple[Share, ...] = ()
    sign: Sign = "alone"

    @property
    def length_s(self) -> int:
        return self.ends_s - self.starts_s


@dataclass(slots=True)
class Evidence:
    """The windows of a bill, sorted by the kind of evidence that they give.

    `windows` are of one instance each; `shared` could be of several. `stopped` are of time in which
    nothing ran, or begin where a run ended; `quiet_ends` counts ends of runs at which no window
    begins, `moments` lines without a window.
    """

    windows: list[SettlementWindow] = field(default_factory=list)
    stopped: list[SettlementWindow] = field(default_factory=list)
    shared: list[SettlementWindow] = field(default_factory=list)
    quiet_ends: int = 0
    moments: int = 0


def observed_lines(lines: Iterable[BillLine], gaps: Sequence[Gap]) -> list[BillLine]:
    """Return the lines whose windows were observed whole.

    A window in a gap may be of an instance that nobody saw.
    """
    return [line for line in lines if not any(line.reaches_into(gap) for gap in gaps)]


def evidence(lines: Iterable[BillLine], runs: Sequence[MeteredRun]) -> Evidence:
    """Sort the windows of the bill by the runs in them."""
    index, sorted_by = _Index(runs), Evidence()
    merged = _windows(lines)
    spans = [window for window in merged if window.length_s]
    sorted_by.moments = len(merged) - len(spans)
    starting = Counter(window.starts_s for window in spans)
    ending = Counter(window.ends_s for window in spans)
    ended: dict[Instant, MeteredRun] = {}
    for window in spans:
        at = window.starts_s
        # two windows at one moment: which follows which cannot be told
        is_single = starting[at] == 1 and ending[at] == 1
        # the run whose window ended at this very second goes on in this one
        before = ended.get(at) if is_single else None
        if before is not None and window.ends_s > before.ended_max_s:
            sorted_by.stopped.append(window)
            continue
        inside = index.inside(at, window.ends_s)
        # [] is "nothing ran", None is "too many to tell"
        if inside == []:
            sorted_by.stopped.append(window)
            continue
        begun = None if ending[at] else index.begun_before(at)
        owned = _attributed(window, inside, before, begun)
        if owned is None:
            sorted_by.shared.append(window)
            continue
        sorted_by.windows.append(owned)
        # the last share: the run that was up when the window closed
        ended[window.ends_s] = owned.shares[-1].run
    sorted_by.quiet_ends = sum(
        run.ended_min_s <= at <= run.ended_max_s and not starting[at] for at, run in ended.items()
    )
    sorted_by.windows = _with_origins(sorted_by.windows)
    return sorted_by


def _windows(lines: Iterable[BillLine]) -> list[SettlementWindow]:
    """Merge lines with the same window: a charge can be paid in parts."""
    amounts: Counter[tuple[Instant, Instant]] = Counter()
    remarks: dict[tuple[Instant, Instant], set[str]] = defaultdict(set)
    for line in lines:
        # the parts that balance and card paid are one charge
        amounts[line.starts_s, line.ends_s] += line.amount
        remarks[line.starts_s, line.ends_s].add(line.remark)
    return [
        SettlementWindow(*key, amount, " + ".join(sorted(remarks[key])))
        for key, amount in sorted(amounts.items())
    ]


def _attributed(
    window: SettlementWindow,
    inside: Sequence[MeteredRun] | None,
    before: MeteredRun | None,
    begun: MeteredRun | None,
) -> SettlementWindow | None:
    """Give a window the shares of its instance; None if nothing says which instance that is."""
    sign: Sign = "alone"
    if inside is not None and len({run.instance_uuid for run in inside}) == 1:
        chosen = inside
    elif before is not None:
        chosen, sign = [before], "follows"
    elif begun is not None and window.ends_s <= begun.ended_max_s:
        chosen, sign = [begun], "begins"
    else:
        return None
    # a window explained by a run that may not have been would teach a wrong price
    if not all(run.is_certain for run in chosen):
        return None
    shares = tuple(_share(window, run) for run in chosen)
    return replace(window, shares=shares, sign=sign)


def _share(window: SettlementWindow, run: MeteredRun) -> Share:
    begins = max(window.starts_s, run.started_s)
    ends = tuple(max(begins, at) for at in (run.ended_min_s, run.ended_s, run.ended_max_s))
    if window.ends_s <= run.ended_max_s:  # it is settled while it runs, or when it ends
        ends = (window.ends_s,) * 3
    # a window can begin when the machine was up, some minutes after its run began
    is_first = window.starts_s - run.started_s <= LONGEST_BOOT_S
    return Share(run, begins, ends[0], ends[1], ends[2], is_first, run.started_s)


def _with_origins(windows: Sequence[SettlementWindow]) -> list[SettlementWindow]:
    """Return windows whose shares know the begin of their run's first one: steps count from it."""
    first: dict[MeteredRun, Instant] = {}
    for window in windows:
        for share in window.shares:
            if share.is_first:
                first[share.run] = min(share.begins_s, first.get(share.run, share.begins_s))
    return [
        replace(window, shares=tuple(_with_origin(share, first) for share in window.shares))
        for window in windows
    ]


def _with_origin(share: Share, first: Mapping[MeteredRun, Instant]) -> Share:
    origin = first.get(share.run)
    return replace(
        share,
        origin_s=share.run.started_s if origin is None else origin,
        is_first=origin == share.begins_s,
    )


class _Index:
    """Runs by the time in which they may have been running."""

    def __init__(self, runs: Sequence[MeteredRun]) -> None:
        self._runs = sorted(runs, key=lambda run: run.started_s)
        self._starts = [run.started_s for run in self._runs]
        self._ends = sorted(run.ended_max_s for run in runs)
        self._sums = _sums(range(len(self._runs)))
        by_end = sorted(range(len(self._runs)), key=lambda i: self._runs[i].ended_max_s)
        self._sums_by_end = _sums(by_end)

    def inside(self, starts_s: Instant, ends_s: Instant) -> list[MeteredRun] | None:
        """Return the runs that may have run in [starts_s, ends_s); None if they are many."""
        begun = bisect_left(self._starts, ends_s)
        over = bisect_right(self._ends, starts_s)
        # what began before the end, less what was over before the start: no scan of all runs
        count = begun - over
        if count == 1:
            # of a single one the difference of the sums of numbers is its number
            return [self._runs[self._sums[begun] - self._sums_by_end[over]]]
        if count > MOST_RUNS:
            return None
        return self._search(begun, count, starts_s)

    def _search(self, begun: int, count: int, starts_s: Instant) -> list[MeteredRun] | None:
        overlapping: list[MeteredRun] = []
        # backwards, and not without end: the overlapping ones are mostly the newest
        for run in reversed(self._runs[max(0, begun - 20 * MOST_RUNS) : begun]):
            if len(overlapping) == count:
                break
            if run.ended_max_s > starts_s:
                overlapping.append(run)
        return overlapping if len(overlapping) == count else None

    def begun_before(self, at: Instant) -> MeteredRun | None:
        """Return the only run that began in this second, else the only one within a boot before it."""
        last = bisect_right(self._starts, at)
        # a window begins with the run, or when it has booted
        for since in (at, at - LONGEST_USUAL_BOOT_S):
            first = bisect_left(self._starts, since)
            if last - first:
                return self._runs[first] if last - first == 1 else None
        return None


def _sums(numbers: Iterable[int]) -> list[int]:
    """Return running sums, beginning with 0."""
    sums = [0]
    for number in numbers:
        sums.append(sums[-1] + number)
    return sums
