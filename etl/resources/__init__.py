"""One file per thing that is collected, and the registry of them.

A resource says where its listing is, how its records are told apart, what absence from it means
(`keeping`), and how a record is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from etl.resources import balance, bills, cards, instances, prices, recharges
from etl.resources.listing import Listing, Reject, open_listing
from etl.resources.records import Form, Record, Span

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
    """

    name: str
    path: str
    keeping: Keeping
    every_s: int
    version: int
    open: Callable[[bytes], Listing]
    read: Callable[[bytes], tuple[Sequence[T], Sequence[Reject]]]
    paged: bool = True
    form: Form | None = None
    births: tuple[str, str, str] | None = None
    group: int = 1
    counts: bool = False
    span_of: Callable[[Sequence[Any]], Span | None] = lambda _facts: None

    @property
    def whole(self) -> bool:
        """Whether what the listing lacks may be gone."""
        return self.keeping != "window"

    @property
    def is_optional(self) -> bool:
        """Whether the program is of use without it: if it is not there, that is only a warning."""
        return self.keeping != "instances"


INSTANCES: Resource[instances.Sighting] = Resource(
    name="instances",
    path="/instance/list",
    keeping="instances",
    every_s=120,
    version=instances.VERSION,
    open=lambda body: open_listing(body, instances.LIST_KEY, "instance_uuid"),
    read=instances.read,
    births=(instances.LIST_KEY, "instance_uuid", "create_time"),
)

GPU_PRICES: Resource[Record] = Resource(
    name="gpu_prices",
    path="/gpu/list",
    keeping="versions",
    every_s=1_800,
    version=prices.VERSION,
    open=prices.open_answer,
    read=prices.read,
    paged=False,
    form=prices.FORM,
)

BALANCE: Resource[Record] = Resource(
    name="balance",
    path="/balance/info",
    keeping="versions",
    every_s=600,
    version=balance.VERSION,
    open=balance.open_answer,
    read=balance.read,
    paged=False,
    form=balance.FORM,
)

CARDS: Resource[Record] = Resource(
    name="cards",
    path="/card/list",
    keeping="versions",
    every_s=3_600,
    version=cards.VERSION,
    open=cards.open_answer,
    read=cards.read,
    form=cards.FORM,
)

BILLS: Resource[Record] = Resource(
    name="bills",
    path="/bill/list",
    keeping="window",
    every_s=3_600,
    version=bills.VERSION,
    open=bills.open_answer,
    read=bills.read,
    form=bills.FORM,
    group=bills.GROUP,
    counts=True,
    span_of=bills.span_of,
)

RECHARGES: Resource[Record] = Resource(
    name="recharges",
    path="/recharge/list",
    keeping="window",
    every_s=3_600,
    version=recharges.VERSION,
    open=recharges.open_answer,
    read=recharges.read,
    form=recharges.FORM,
    span_of=recharges.span_of,
)

RESOURCES: dict[str, Resource[Any]] = {
    r.name: r for r in (INSTANCES, GPU_PRICES, BALANCE, CARDS, BILLS, RECHARGES)
}
"""In the order in which they are polled."""

__all__ = [
    "BALANCE",
    "BILLS",
    "CARDS",
    "GPU_PRICES",
    "INSTANCES",
    "RECHARGES",
    "RESOURCES",
    "Keeping",
    "Listing",
    "Record",
    "Reject",
    "Resource",
    "Span",
]
