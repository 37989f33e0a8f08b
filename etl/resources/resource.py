"""What the program must know of a thing that is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from etl.history.days import Zone
from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Span

T = TypeVar("T")

Keeping = Literal["instances", "versions", "window"]


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """`path` is below the base URL. `open` says what an answer lists, without reading the records;
    `read` turns its records into what was understood and what was not. `version` changes when the
    same bytes are read otherwise than before.

    `keeping`: `instances` and `versions` are whole listings, where what is missing may be gone;
    a `window` is only added to. `every_s` is how often it is worth asking for. `paged`: whether the
    listing comes in pages. `form` says how its records are read (instances have no such).
    `births` reads which of the identities in an answer were created before an instant, where the
    source says so: (list's key, identity's member, creation's member).

    Of a window's records the first `group` facts tell which one is corrected by another. `counts`:
    several that are alike in all are several records. `span_of` facts is the time that they are about,
    None if that is not known.

    `table` holds the records. For each of them `derive` computes its columns `derived` in the reporting
    time zone, and `cut` its parts by day (day, millionths of a yuan) in the table `parts`.
    """

    name: str
    path: str
    keeping: Keeping
    every_s: int
    version: int
    table: str
    open: Callable[[bytes], Listing]
    read: Callable[[bytes], tuple[Sequence[T], Sequence[Reject]]]
    paged: bool = True
    form: Form | None = None
    births: tuple[str, str, str] | None = None
    group: int = 1
    counts: bool = False
    span_of: Callable[[Sequence[Any]], Span | None] = lambda _facts: None
    derived: tuple[str, ...] = ()
    derive: Callable[[Sequence[Any], Zone], tuple[Any, ...]] = lambda _facts, _zone: ()
    parts: str | None = None
    cut: Callable[[Sequence[Any], Zone], Iterator[tuple[str, int]]] = lambda _facts, _zone: iter(())

    @property
    def whole(self) -> bool:
        """Whether what the listing lacks may be gone."""
        return self.keeping != "window"

    @property
    def is_optional(self) -> bool:
        """Whether the program is of use without it: if it is not there, that is only a warning."""
        return self.keeping != "instances"
