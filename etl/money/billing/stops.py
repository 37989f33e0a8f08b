"""When runs stopped, and when those began whose start nobody saw, by the settlement windows of the
bill. Pure.

A provider that settles at stops writes a line whose window ends in the second of the stop. It names no
instance, but it begins where the run began, or where the line before it ended, and its amount is the
cost of the run in it, to the fen. Amounts are millionths of a yuan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from etl.money.billing.evidence import LONGEST_BOOT_S
from etl.money.billing.hypotheses import Periods
from etl.money.billing.judgement import FEWEST_WINDOWS, LEAST_SHARE
from etl.money.charging import ChargingModel, Part, pieces
from etl.money.tariffs import PriceTerms
from etl.poll import SKEW_S, Instant
from etl.units import FEN, HOUR_S


class SettledWindow(NamedTuple):
    """A window of the bill, and the amounts that may be one run's: that of all its lines, and that of
    each order.
    """

    starts_s: Instant
    ends_s: Instant
    amounts: tuple[int, ...]


class UnseenStop(NamedTuple):
    """A run that stopped between `lo_s` and `hi_s`; it began at `started_s`."""

    instance_uuid: str
    usage_no: int
    started_s: Instant
    lo_s: Instant
    hi_s: Instant
    terms: PriceTerms
    gpus: int | None


class _Unseen(NamedTuple):
    instance_uuid: str
    usage_no: int
    lo_s: Instant
    hi_s: Instant
    terms: PriceTerms
    gpus: int | None

    def begun_at(self, at: Instant) -> UnseenStop:
        """Return the run that began in this time, at an instant."""
        return UnseenStop(self.instance_uuid, self.usage_no, at, at, at, self.terms, self.gpus)


class UnseenStart(_Unseen):
    """A run that is up at `hi_s` and began after `lo_s`, while the source names no start of it.

    `usage_no` is that of the time in which it may have begun.
    """

    __slots__ = ()


class UnseenTime(_Unseen):
    """A time after `lo_s` and up to `hi_s`, when an instance started anew, in which runs of it may have
    come and gone unseen.
    """

    __slots__ = ()


Settled = tuple[int | None, Instant | None]
"""Number of moments that could be the stop, or the start, None if no price is known; and the moment if
there is just one."""
Windows = Callable[[Iterable[Instant]], Sequence[SettledWindow]]


def settled_windows(
    lines: Iterable[tuple[Instant, Instant, str, int]],
) -> list[SettledWindow]:
    """Gather lines (begin, end, order, amount) by window: a charge can be paid in parts, and two
    machines can have one window.
    """
    orders: dict[tuple[Instant, Instant], Counter[str]] = defaultdict(Counter)
    for starts_s, ends_s, order, amount in lines:
        orders[starts_s, ends_s][order] += amount
    return [
        # two machines can have one window: either order may be the run, or both orders together
        SettledWindow(*span, tuple({sum(paid.values()), *paid.values()}))
        for span, paid in orders.items()
        # a line without a window names no stop
        if span[0] < span[1]
    ]


class Settling:
    """Search for the windows that end with a stop, under one charging model.

    `periods` gives the prices of terms; `ending` the windows that end at given instants, asked for
    only if a window does not begin with its run.
    """

    def __init__(self, model: ChargingModel, periods: Periods, ending: Windows) -> None:
        self._from_start = model.counts_from == "start"
        # no usual boot is taken off: the window itself shows when counting began
        self._model = replace(model, counts_from="start")
        self._periods = periods
        self._ending = ending

    def settled(
        self, stops: Iterable[tuple[UnseenStop, Sequence[SettledWindow]]]
    ) -> Iterator[tuple[UnseenStop, Settled]]:
        """Yield each stop with its evidence, given the windows that end in its interval and after which
        none of the same remark begins.
        """
        fitting = [(stop, self._fitting(stop, windows)) for stop, windows in stops]
        # collected first: one query for all stops, not one for each
        begun = {
            window.starts_s
            for stop, windows in fitting
            for window in windows or ()
            if not self._begins(stop, window)
        }
        before: dict[Instant, list[SettledWindow]] = defaultdict(list)
        for window in self._ending(sorted(begun)) if begun else ():
            before[window.ends_s].append(window)
        for stop, candidates in fitting:
            if candidates is None:
                yield stop, (None, None)
                continue
            ends = self._ends(stop, candidates, before)
            yield stop, (len(ends), min(ends) if len(ends) == 1 else None)

    def begun(
        self, starts: Iterable[tuple[UnseenStart, Sequence[SettledWindow]]]
    ) -> Iterator[tuple[UnseenStart, Settled]]:
        """Yield what the bill says of each start, given the windows that begin in its interval and
        before which none of the same remark ends.
        """
        for start, windows in starts:
            if self._range(start.begun_at(start.lo_s), start.lo_s, start.hi_s) is None:
                yield start, (None, None)
                continue
            begins = self._begun(start, windows)
            yield start, (len(begins), min(begins) if len(begins) == 1 else None)

    def _begun(self, start: UnseenStart, windows: Sequence[SettledWindow]) -> set[Instant]:
        # also from running: a run that names no start counts from when it was up
        return {w.starts_s for w in windows if self._fits(start.begun_at(w.starts_s), w)}

    def unseen_runs(
        self, times: Sequence[tuple[UnseenTime, Sequence[SettledWindow]]]
    ) -> Iterator[tuple[UnseenTime, Settled]]:
        """Yield what the bill says of runs in each time: how many, and the instant from which on they
        would fill the rest of it. Given are the windows inside it that are of no known run and settle
        a whole one.

        A window that may be of a run in two of the times is of neither. So all of them must be given
        that have a window in common.
        """
        fitting = [(time, self._whole_runs(time, windows)) for time, windows in times]
        claims = Counter(window for _, windows in fitting for window in windows or ())
        for time, windows in fitting:
            if windows is None:
                yield time, (None, None)
                continue
            own = [window for window in windows if claims[window] == 1]
            ran_s = min(time.hi_s - time.lo_s, sum(w.ends_s - w.starts_s for w in own))
            yield time, (len(own), time.hi_s - ran_s if own else None)

    def _whole_runs(
        self, time: UnseenTime, windows: Sequence[SettledWindow]
    ) -> list[SettledWindow] | None:
        if self._range(time.begun_at(time.lo_s), time.lo_s, time.hi_s) is None:
            return None
        return [w for w in windows if self._fits(time.begun_at(w.starts_s), w)]

    def _ends(
        self,
        stop: UnseenStop,
        windows: Sequence[SettledWindow],
        before: dict[Instant, list[SettledWindow]],
    ) -> set[Instant]:
        own = {window.ends_s for window in windows if self._begins(stop, window)}
        if own:
            return own  # nothing else began in that second at that price
        following = [
            window
            for window in windows
            if any(self._fits(stop, earlier) for earlier in before.get(window.starts_s, ()))
        ]
        # clouds settle what runs at its full hours: such a chain is less likely by chance
        hourly = {w.ends_s for w in following if (w.starts_s - stop.started_s) % HOUR_S == 0}
        return hourly or {window.ends_s for window in following}

    def _begins(self, stop: UnseenStop, window: SettledWindow) -> bool:
        """Tell whether a window begins with the run: at its start, or when it had booted."""
        after_s = window.starts_s - stop.started_s
        return abs(after_s) <= SKEW_S or (not self._from_start and 0 <= after_s <= LONGEST_BOOT_S)

    def _fitting(
        self, stop: UnseenStop, windows: Sequence[SettledWindow]
    ) -> list[SettledWindow] | None:
        """Return the windows whose amount is that of the run; None if its price is not known."""
        if self._range(stop, stop.lo_s, stop.hi_s) is None:
            return None
        return [window for window in windows if self._fits(stop, window)]

    def _fits(self, stop: UnseenStop, window: SettledWindow) -> bool:
        # bill and list may be written by different clocks of the source
        if window.starts_s < stop.started_s - SKEW_S:
            return False
        bounds = self._range(stop, window.starts_s, window.ends_s)
        return bounds is not None and any(
            # a line is rounded to the fen, up or down
            bounds[0] - FEN < amount < bounds[1] + FEN
            for amount in window.amounts
        )

    def _range(self, stop: UnseenStop, since: Instant, until: Instant) -> tuple[int, int] | None:
        """Return the least and the most that a run costs from `since` to `until`."""
        since = max(since, stop.started_s)
        length_s = until - since
        origin = stop.started_s if self._from_start else since
        part = Part("running", "observed", origin, since, length_s, length_s, length_s, stop.gpus)
        bounds: tuple[int, int] | None = None
        for piece in pieces(part, self._periods(stop.terms), self._model):
            # one unknown price makes the whole amount unknown, and any window would fit
            if piece.cost_min_microcny is None or piece.cost_max_microcny is None:
                return None
            least, most = bounds or (0, 0)
            bounds = least + piece.cost_min_microcny, most + piece.cost_max_microcny
        return bounds


NEWEST: Final = 400
"""Number of the newest stops by which a provider is judged: it may change how it settles."""


class SettlementRule(NamedTuple):
    """How an account is settled, by its newest `judged` stops: for `matched` of them at least one
    window fits, for `single` exactly one.
    """

    judged: int = 0
    matched: int = 0
    single: int = 0

    @property
    def is_at_stops(self) -> bool:
        """Tell whether the provider settles at stops. A window of another scheme fits by chance."""
        # other schemes reach 59 % at most: begun hours, polled by the hour
        return self.judged >= FEWEST_WINDOWS and self.matched >= LEAST_SHARE * self.judged


def settlement_rule(counts: Iterable[int]) -> SettlementRule:
    """Judge by how many windows fit each of the newest stops."""
    known = list(counts)
    return SettlementRule(len(known), sum(n > 0 for n in known), sum(n == 1 for n in known))
