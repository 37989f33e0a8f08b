"""One file per thing that is collected, and the registry of them.

A resource says where its listing is, how its records are told apart, whether the listing is whole
(what it does not list may be gone) or a window (absence means nothing), and how a record is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from etl.resources import instances
from etl.resources.listing import Listing, Reject, open_listing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """`path` is below the base URL; `list_key` names the array in the answer's `data`; `identity`
    names the member of a record that tells it apart, `created` the one that says when it came into
    being (epoch seconds; empty: none does). `read` turns the records of one answer into
    what was understood and what was not. `version` changes when the same bytes are read otherwise
    than before."""

    name: str
    path: str
    list_key: str
    identity: str
    whole: bool
    version: int
    read: Callable[[bytes], tuple[Sequence[T], Sequence[Reject]]]
    created: str = ""

    def open(self, body: bytes) -> Listing:
        """What an answer lists: its total and identities, without reading the records."""
        return open_listing(body, self.list_key, self.identity)


INSTANCES: Resource[instances.Sighting] = Resource(
    name="instances",
    path="/instance/list",
    list_key="instance_list",
    identity="instance_uuid",
    whole=True,
    version=instances.VERSION,
    read=instances.read,
    created="create_time",
)

RESOURCES: dict[str, Resource[Any]] = {r.name: r for r in (INSTANCES,)}

__all__ = ["INSTANCES", "RESOURCES", "Listing", "Reject", "Resource"]
