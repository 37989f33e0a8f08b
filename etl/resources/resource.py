"""Description of a thing that is collected: all that the program must know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from etl.history.days import Zone
from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, ValidTime

T = TypeVar("T")

Keeping = Literal["instances", "versions", "window"]


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A kind of listing. `path` is below the base URL. `open` finds the list in an answer, without
    reading the records; `read` splits its records into those that were understood and those that
    were not. `version` changes when the same bytes are read otherwise than before.

    `keeping`: `instances` and `versions` are whole listings, in which a missing record may be gone;
    a `window` is only added to. `every_s` is how often it is worth asking for. `paged`: whether the
    listing comes in pages, of `most_per_page` records at most if the source says so. `form` says how its records are read (instances have no such). `births`
    reads which of the identities in an answer were created before an instant, if the source says
    so: (list's key, identity's member, creation's member).

    In a window, a record may correct another one if the first `group` facts of both are equal.
    `counts`: several records that are alike in everything are several. `valid_time` returns the time
    that some facts are about, None if that is not known.

    `list_key` names the list in an answer whose records can be known again by their bytes.

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
    most_per_page: int | None = None
    form: Form | None = None
    births: tuple[str, str, str] | None = None
    list_key: str | None = None
    group: int = 1
    counts: bool = False
    valid_time: Callable[[Sequence[Any]], ValidTime | None] = lambda _facts: None
    derived: tuple[str, ...] = ()
    derive: Callable[[Sequence[Any], Zone], tuple[Any, ...]] = lambda _facts, _zone: ()
    parts: str | None = None
    cut: Callable[[Sequence[Any], Zone], Iterator[tuple[str, int]]] = lambda _facts, _zone: iter(())

    @property
    def whole(self) -> bool:
        """Tell whether a record that the listing lacks may be gone."""
        # the bill may be cut off at its old end by the source, so absence proves nothing by itself
        return self.keeping != "window"

    @property
    def is_optional(self) -> bool:
        """Tell whether the program is useful without it: then its absence is only a warning."""
        # a key can be limited to some paths, and an older source may lack others
        return self.keeping != "instances"
