"""The evidence rules: derive running time from two successive sightings of an instance.

Pure functions. `a` and `b` bound the time between the sightings: the instance was as A when the
poll that began at `a` read it, and is as B in the poll that ended at `b`. Every stretch carries
three ends: it surely ran until `ended_min`, by the best estimate until `ended_at`, at the latest
until `ended_max`. The rules and their reasons stand in `docs/design.md`, "Evidence".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from etl.history.codes import Codes
from etl.history.ends import End, Pair, middle, stop_between
from etl.history.lengths import UNKNOWN_LENGTHS, Lengths, MeanLengths
from etl.history.starts import believed_start, is_same_start, since_creation
from etl.history.stretches import Evidence, RunningState, Step, Stretch, UsageLedger, terms
from etl.poll import Instant
from etl.resources.instances import Instance


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """A version in `instance_history`, as far as usage needs it.

    `gone` is (last_seen_at, missing_since) if the version ended because the instance was gone.
    """

    facts: Instance
    after_at: Instant | None
    first_seen_at: Instant
    gone: tuple[Instant, Instant] | None = None


def begin(
    facts: Instance,
    after_at: Instant | None,
    b: Instant,
    codes: Codes,
    lengths: MeanLengths = UNKNOWN_LENGTHS,
) -> Step:
    """Return the step of a first sighting. `after_at` is the creation, if that was under
    observation; `lengths` are those of states, as known before this sighting.
    """
    start = believed_start(facts, None, b)
    opening = _first_opening(facts, start, b, codes)
    is_prepaid = codes.is_prepaid(facts.charging_type)
    if after_at is None and not is_prepaid:
        # nearly always in a first load, which must not pay for a ledger of each instance
        if opening is None:
            return Step(RunningState(last_start=start), ())
        first = Stretch(1, "running", *opening, terms(facts))
        return Step(RunningState(1, start, first), (first,))
    ledger = UsageLedger(RunningState())
    if after_at is not None:
        # created while we looked: as if it had been seen down at its creation
        _from_down(ledger, Pair(facts, facts, after_at, b, start, codes, lengths))
    elif opening is not None:
        ledger.open(*opening, facts)
    ledger.last_start = start
    if is_prepaid:
        # prepaid time is paid from the creation on, whether it was ever started or not
        created_at = b if facts.create_time is None else min(facts.create_time, b)
        if after_at is None:
            ledger.hold(created_at, facts)
        else:
            _held_unseen(ledger, facts, created_at, created_at, b)
    return ledger.step()


def _first_opening(
    facts: Instance, start: Instant | None, b: Instant, codes: Codes
) -> tuple[Instant, Evidence] | None:
    """Return since when an instance runs that ran unobserved, and how that is known."""
    if codes.is_up(facts.status):
        # an invented start would claim time that nobody saw
        return (b, "unknown_start") if start is None else (start, "observed")
    if codes.is_booting(facts.status) and start is not None:
        return start, "booting"
    return None


def move(
    state: RunningState,
    before: Instance,
    after: Instance,
    a: Instant,
    b: Instant,
    codes: Codes,
    lengths: MeanLengths = UNKNOWN_LENGTHS,
) -> Step:
    """Return the step between two sightings of a known instance: A = `before` at `a`, B = `after`
    at `b`.
    """
    ledger = UsageLedger(state)
    newest = believed_start(after, state.last_start, b)
    # the source repeats the start_time of the last run for as long as the instance is off
    is_down = state.running is None
    is_same = is_same_start(newest, state.last_start, a, b, is_down=is_down)
    pair = Pair(before, after, a, b, None if is_same else newest, codes, lengths)
    if state.running is None:
        _from_down(ledger, pair)
    elif state.running.evidence == "booting":
        _from_booting(ledger, state.running, pair)
    else:
        _from_up(ledger, state.running, pair)
    _move_held(ledger, pair)
    ledger.last_start = newest or state.last_start
    return ledger.step()


def leave(
    state: RunningState, facts: Instance, last_seen_at: Instant, missing_since: Instant
) -> Step:
    """Return the step of an instance that is gone: last seen in the poll that began at
    `last_seen_at`, no longer listed in the one that ended at `missing_since`.
    """
    ledger = UsageLedger(state)
    lo, hi = last_seen_at, missing_since
    running = state.running
    if running is None:
        ledger.piece(lo, lo, End(lo), hi, "gone", facts)
    elif running.evidence == "booting":
        ledger.close(lo=running.started_at, end=End(running.started_at), hi=hi, evidence="gone")
    else:
        lo = max(lo, running.started_at)
        # how long it was off before it was destroyed is not known
        ledger.close(lo=lo, end=stop_between(lo, hi, (facts,)), hi=hi, evidence="gone")
    if state.held is not None:
        # a timer stops a machine, but releases nothing that is paid for ahead
        ledger.release(last_seen_at, middle(last_seen_at, hi), hi, evidence="gone")
    return ledger.step()


def fold(versions: Iterable[SeenVersion], codes: Codes, lengths: Lengths | None = None) -> Step:
    """Derive all running time of one instance from its versions, oldest first. `lengths` says how
    long states lasted, as was known at each poll.
    """
    step = Step(RunningState(), ())
    written: dict[int, Stretch] = {}
    before: SeenVersion | None = None
    for version in versions:
        b = version.first_seen_at
        means = lengths.at(b).means if lengths else UNKNOWN_LENGTHS
        if before is None:
            step = begin(version.facts, version.after_at, b, codes, means)
        else:
            a = before.first_seen_at if version.after_at is None else version.after_at
            step = move(step.state, before.facts, version.facts, a, b, codes, means)
        written.update((stretch.usage_no, stretch) for stretch in step.written)
        before = version
    if before is not None and before.gone is not None:
        step = leave(step.state, before.facts, *before.gone)
        written.update((stretch.usage_no, stretch) for stretch in step.written)
    return Step(step.state, tuple(written[number] for number in sorted(written)))


def _from_up(ledger: UsageLedger, running: Stretch, pair: Pair) -> None:
    start, after, b = pair.start, pair.after, pair.b
    lo = max(pair.a, running.started_at)
    if start is None:
        if not pair.is_up:
            # nobody saw the stop: it surely ran until lo, and may have run until b
            ledger.close(lo=lo, end=pair.stop(lo), hi=b)
        elif terms(after) != running.terms:
            ledger.close(lo=lo, end=End(middle(lo, b), "middle"), hi=b)
            _came_up_unseen(ledger, pair, "unknown_start")
        return
    if start > pair.a:
        ledger.close(lo=lo, end=pair.stop_before(lo, start), hi=start)
    else:
        # a late listing: the sighting at `a` already showed an old state, so it proves nothing
        ledger.close(lo=running.started_at, end=End(start), hi=start)
    _from_start(ledger, pair, start)


def _from_down(ledger: UsageLedger, pair: Pair) -> None:
    a, start = pair.a, pair.start
    # nothing came before: a run may begin in the second of creation
    created = pair.before is pair.after
    if start is None:
        if pair.is_up:
            _came_up_unseen(ledger, pair, "unknown_start")
    elif start > a or (created and start == a):
        ledger.piece(a, a, End(a), start, "possible_run", pair.before)
        _from_start(ledger, pair, start)
    elif pair.is_up:
        _came_up_unseen(ledger, pair, "unknown_start")
    else:
        ledger.piece(a, a, End(a), pair.b, "possible_run", pair.after)
        if pair.is_booting:
            ledger.open(pair.b, "booting", pair.after)


def _from_booting(ledger: UsageLedger, running: Stretch, pair: Pair) -> None:
    began, lo = running.started_at, max(pair.a, running.started_at)
    if pair.start is not None:
        end = pair.stop_of_boot(began, min(lo, pair.start), pair.start)
        ledger.close(lo=began, end=end, hi=pair.start)
        _from_start(ledger, pair, pair.start)
    elif not (pair.is_up or pair.is_booting):
        ledger.close(lo=began, end=pair.stop_of_boot(began, lo, pair.b), hi=pair.b)
    # it was started anew on other terms, at a moment that no start_time names
    elif terms(pair.after) != running.terms:
        ledger.close(lo=began, end=End(began), hi=pair.b)
        _came_up_unseen(ledger, pair, "unknown_start" if pair.is_up else "booting")
    elif pair.is_up:
        # it came up with this start, so its boot counts as running after all
        ledger.rewrite(replace(running, evidence="observed"))


def _from_start(ledger: UsageLedger, pair: Pair, start: Instant) -> None:
    """Write the run of a new start_time: up, booting, or already over."""
    if pair.is_up:
        ledger.open(start, "observed", pair.after)
    elif pair.is_booting:
        ledger.open(start, "booting", pair.after)
    else:
        # a whole run between two polls: not a second of it is sure
        end = pair.stop_of_boot(start, start, pair.b)
        ledger.piece(start, start, end, pair.b, "unseen_run", pair.after)


def _came_up_unseen(ledger: UsageLedger, pair: Pair, evidence: Evidence) -> None:
    """Add a run that came up at an unknown moment of (a, b]; the stretch from b alone counts it."""
    a, b = since_creation(pair.a, pair.after, pair.b), pair.b
    # a boot is no running time until it is seen up
    estimate = a if evidence == "booting" else middle(a, b)
    ledger.piece(a, a, End(estimate), b, "possible_run", pair.after)
    ledger.open(b, evidence, pair.after)


def _move_held(ledger: UsageLedger, pair: Pair) -> None:
    """Continue prepaid time until the terms change, at an unseen moment of (a, b].

    A start in that interval is a good estimate of that moment, but no proof: how an instance is
    charged can change without one.
    """
    a, b, start = pair.a, pair.b, pair.start
    # paid ahead: starting and stopping change nothing of it
    if ledger.held is not None and ledger.held.terms == terms(pair.after):
        return
    since = since_creation(a, pair.after, b)
    changed_at = start if start is not None and start > a else middle(since, b)
    if ledger.held is not None:
        ledger.release(a, changed_at, b)
    if pair.codes.is_prepaid(pair.after.charging_type):
        _held_unseen(ledger, pair.after, a, changed_at, b)


def _held_unseen(ledger: UsageLedger, after: Instance, a: Instant, at: Instant, b: Instant) -> None:
    """Open prepaid time from b, preceded by a stretch for the time in which it may have begun."""
    a = since_creation(a, after, b)
    # the estimate is a length here: from `at` to `b`, laid at the beginning of the piece
    ledger.piece(a, a, End(a + (b - at)), b, "unknown_start", after, kind="held")
    ledger.hold(b, after)
