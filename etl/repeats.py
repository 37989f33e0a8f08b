"""Record a poll that repeats the one before: its own row, and nothing else."""

from __future__ import annotations

from typing import Any

from etl.poll import Instant, LastPoll, Poll
from etl.resources import Resource
from etl.store import SyncRun
from etl.store.polls import PollsReader, PollsWriter


def digest_seed(resource: Resource[Any], known: PollsReader) -> bytes:
    """Return a seed that changes if equal bytes would be understood differently: by another
    decoder, or other lookups.
    """
    return f"{resource.name} {resource.version} ".encode() + known.codes().fingerprint()


def end_of(resource: Resource[Any], poll: Poll, last: LastPoll | None) -> Instant:
    """Return the end of a poll as it is stored, not before that of the newest applied one."""
    # what a later poll of a window brings must be later than all that was known: months are closed by it
    after = 0 if resource.whole else 1
    return max(poll.finished_at, last.finished_at + after if last else 0)


def run_of(poll: Poll, b: Instant) -> SyncRun:
    """Return the row of a poll that changes nothing and ended at `b`."""
    return SyncRun(
        started_at=poll.started_at,
        finished_at=b,
        outcome="complete" if poll.complete else "partial",
        requests=poll.requests,
        retries=poll.retries,
        walks=len(poll.walks),
        listed=poll.listed,
        reported_total=poll.reported_total,
        clock_offset_s=poll.clock_offset_s,
        digest=poll.digest,
        # a complete poll can have notes too: what was odd, though it proved nothing wrong
        error="; ".join(poll.notes) or None,
    )


def record_repeat(
    resource: Resource[Any], poll: Poll, tx: PollsWriter, last: LastPoll | None
) -> SyncRun:
    """Write the row of a poll whose bytes are those of `last`, the newest applied one."""
    run = run_of(poll, end_of(resource, poll, last))
    tx.record(resource.name, run)
    return run
