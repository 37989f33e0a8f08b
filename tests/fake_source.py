"""A source without a network, for polls by the thousand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl.poll import ClockMemory, LastPoll, Page, Poll
from etl.resources import INSTANCES, Resource
from etl.source.answers import Answer
from etl.source.walk import YOUNG_S, Walker
from etl.store import Store
from etl.sync import Job

NOW = 1_767_225_600
OLD = NOW - 10 * YOUNG_S


def body(names: Iterable[str | None], total: Any = None, created: Mapping[str, int] = {}) -> bytes:
    records = [
        {"instance_uuid": n, "create_time": created.get(n or "", OLD), "status": 2} for n in names
    ]
    return json.dumps({"code": 0, "data": {"instance_list": records, "total": total}}).encode()


def pages(*lists: Iterable[str | None], total: Any) -> list[Page]:
    return [Page(n, 2, body(names, total)) for n, names in enumerate(lists, 1)]


@dataclass
class Fake:
    """A source without a network: `serves(page, page_size)` gives a body or raises."""

    serves: Callable[[int, int], bytes]
    date: Callable[[], int | None] = lambda: NOW
    clock: Callable[[], float] = lambda: NOW + 0.5
    requests: int = 0
    retries: int = 0
    asked: list[int] = field(default_factory=list)

    def get(self, path: str, params: Mapping[str, str]) -> Answer:
        self.requests += 1
        number = int(params["page"])
        self.asked.append(number)
        sent_at = self.clock()
        found = self.serves(number, int(params["page_size"]))
        return Answer(found, sent_at, self.clock(), self.date())


def read(
    client: Any,
    resource: Resource[Any] = INSTANCES,
    *,
    last: LastPoll | None = None,
    seed: bytes = b"",
    memory: ClockMemory = ClockMemory(),  # noqa: B008 - immutable
    **options: Any,
) -> Poll:
    """A poll of a whole listing."""
    walker = Walker(client, resource, **options)
    return walker.poll("lab", walker.read_whole(last, seed), memory)


def poll_of(fake: Fake, **options: Any) -> Poll:
    return read(fake, **{"page_size": 2, "concurrency": 1, **options})


class Kept:
    """In place of an archive: the newest poll that was kept."""

    poll: Poll
    folder = Path("never written")

    def claim(self, _database_id: str) -> None: ...

    def pack(self) -> None: ...

    def unapplied(self, _last: LastPoll | None) -> tuple[()]:
        return ()

    def append(self, poll: Poll, _last: LastPoll | None, _was: Sequence[str] = ()) -> None:
        self.poll = poll


def job_of(fake: Fake, store: Store, resource: Resource[Any] = INSTANCES, **more: Any) -> Job:
    """What a sync of a fake source works with."""
    return Job(store.account, resource, fake, store, clock=fake.clock, sleep=lambda _: None, **more)


def of(names: Sequence[str], **more: Any) -> Fake:
    """A source that pages a list by the book."""
    return Fake(lambda n, size: body(names[(n - 1) * size : n * size], len(names)), **more)
