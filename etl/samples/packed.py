"""Samples of one GPU on one day of UTC: merged, packed, and read as times of load. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from etl.poll import Instant
from etl.units import DAY_S, SAMPLE_S

_NOTHING: Final = 2**32 - 1
_PER_SAMPLE: Final = 13
"""Bytes of a sample before they are compressed: its second, percent, memory used and in all."""


class SampleValue(NamedTuple):
    """The load of a GPU at one instant; memory in MiB, -1 if it is not known."""

    percent: int
    memory_mb: int = -1
    total_mb: int = -1


DaySamples = Mapping[int, SampleValue]
"""Samples by the second of their day."""


class LoadTime(NamedTuple):
    """A time in which a GPU was sampled, busy throughout or idle throughout. Null memory: not known."""

    begins_s: Instant
    ends_s: Instant
    is_busy: int
    samples: int
    percent_sum: int
    memory_max_mb: int | None
    memory_total_mb: int | None


class _Slot(NamedTuple):
    starts_s: int
    samples: int
    percent_sum: int
    memory_mb: int
    total_mb: int

    def is_busy(self, busy_percent: int) -> bool:
        return self.percent_sum >= busy_percent * self.samples


def highest(one: SampleValue, other: SampleValue) -> SampleValue:
    """Return what holds if two files differ on one instant: the higher of each value, whichever came
    first, so that no order of imports matters.
    """
    return one if one == other else SampleValue(*map(max, one, other))


def merged_samples(kept: DaySamples, new: DaySamples) -> dict[int, SampleValue]:
    """Return the samples of both."""
    merged = dict(kept)
    for second, value in new.items():
        old = merged.get(second)
        merged[second] = value if old is None else highest(old, value)
    return merged


def pack_samples(samples: DaySamples) -> bytes:
    """Return samples as bytes, from which `unpack_samples` makes them again."""
    seconds = sorted(samples)
    steps = [later - sooner for sooner, later in zip([0, *seconds], seconds, strict=False)]
    values = [samples[second] for second in seconds]
    count = len(seconds)
    # column by column, and distances in place of seconds: alike bytes lie together, which zlib likes
    content = struct.pack(
        f"<{count}I{count}I{count}I{count}B",
        *steps,
        *(value.memory_mb % 2**32 for value in values),
        *(value.total_mb % 2**32 for value in values),
        *(value.percent for value in values),
    )
    return zlib.compress(content)


def unpack_samples(packed: bytes) -> dict[int, SampleValue]:
    """Return the samples that `pack_samples` has packed."""
    content = zlib.decompress(packed)
    count = len(content) // _PER_SAMPLE
    numbers = struct.unpack(f"<{count}I{count}I{count}I{count}B", content)
    samples, second = {}, 0
    for at in range(count):
        second += numbers[at]
        memory, total = numbers[count + at], numbers[2 * count + at]
        samples[second] = SampleValue(
            numbers[3 * count + at],
            -1 if memory == _NOTHING else memory,
            -1 if total == _NOTHING else total,
        )
    return samples


def load_times(utc_day: int, samples: DaySamples, busy_percent: int) -> Iterator[LoadTime]:
    """Yield the times of a day in which a GPU was sampled, cut where it became busy or idle.

    A sample speaks for the five minutes of the clock in which it lies; they are busy if the mean of their
    samples is at least `busy_percent`.
    """
    run: list[_Slot] = []
    for slot in _slots(utc_day * DAY_S, samples):
        goes_on = (
            run
            and run[-1].starts_s + SAMPLE_S == slot.starts_s
            and run[-1].is_busy(busy_percent) == slot.is_busy(busy_percent)
        )
        if run and not goes_on:
            yield _load_of(run, busy_percent)
            run = []
        run.append(slot)
    if run:
        yield _load_of(run, busy_percent)


def _slots(day_starts_s: Instant, samples: DaySamples) -> Iterator[_Slot]:
    by_slot: dict[int, list[SampleValue]] = {}
    for second in sorted(samples):
        by_slot.setdefault(second // SAMPLE_S, []).append(samples[second])
    for number, values in by_slot.items():
        yield _Slot(
            day_starts_s + number * SAMPLE_S,
            len(values),
            sum(value.percent for value in values),
            max(value.memory_mb for value in values),
            max(value.total_mb for value in values),
        )


def _load_of(run: list[_Slot], busy_percent: int) -> LoadTime:
    memory, total = max(slot.memory_mb for slot in run), max(slot.total_mb for slot in run)
    return LoadTime(
        begins_s=run[0].starts_s,
        ends_s=run[-1].starts_s + SAMPLE_S,
        is_busy=int(run[0].is_busy(busy_percent)),
        samples=sum(slot.samples for slot in run),
        percent_sum=sum(slot.percent_sum for slot in run),
        memory_max_mb=None if memory < 0 else memory,
        memory_total_mb=None if total < 0 else total,
    )
