"""Periods that cover all time, in order and without holes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from etl.poll import Instant
from etl.units import FOREVER_S

# 1970: no cloud has charged for anything earlier
BEGINNING: Final = 0
FOREVER: Final = FOREVER_S
LAST: Final = FOREVER - 1
"""The last instant that a database can hold."""


class DatedRow(Protocol):
    """A frozen dataclass that holds from `starts_s` until before `ends_s`, in epoch seconds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def starts_s(self) -> Instant: ...
    @property
    def ends_s(self) -> Instant: ...


T = TypeVar("T", bound=DatedRow)


def merge_adjacent(periods: Iterable[T]) -> Iterator[T]:
    """Merge neighbours that differ in their times alone.

    Edges come from every rule that could matter, also from those that a stronger one hides: without
    this, a rule that changes nothing would still cut costs in two, and each half is rounded alone.
    """
    last: T | None = None
    for period in periods:
        if last is not None and period == replace(last, starts_s=last.ends_s, ends_s=period.ends_s):
            last = replace(last, ends_s=period.ends_s)
            continue
        if last is not None:
            yield last
        last = period
    if last is not None:
        yield last
