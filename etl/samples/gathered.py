"""The samples of one file, by what they say of where they come from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from etl.poll import Instant
from etl.samples.packed import SampleValue, highest


class SampleSource(NamedTuple):
    """What a file says of a GPU: its instance, a title, a host, its uuid and its index; empty if nothing."""

    instance: str = ""
    title: str = ""
    host: str = ""
    uuid: str = ""
    gpu: str = ""

    @property
    def gpu_key(self) -> str:
        """The name of the GPU within its instance."""
        return self.gpu or self.uuid or "0"


@dataclass
class Gathered:
    """The samples of a file; `unread` names the first lines that are none, of `unreadable` in all.

    `without_value` samples say that their utilisation is not known.
    """

    name: str
    series: dict[SampleSource, dict[Instant, SampleValue]] = field(default_factory=dict)
    unreadable: int = 0
    unread: list[str] = field(default_factory=list)
    without_value: int = 0

    def add(self, source: SampleSource, at: Instant, value: SampleValue) -> None:
        samples = self.series.setdefault(source, {})
        old = samples.get(at)
        samples[at] = value if old is None else highest(old, value)

    def refuse(self, location: str, reason: object, most: int = 3) -> None:
        """Note that a line is no sample."""
        self.unreadable += 1
        if len(self.unread) < most:
            self.unread.append(f"{location}: {reason}")

    def count(self) -> int:
        return sum(len(samples) for samples in self.series.values())
