"""A source that is no bottleneck: pages from memory, over HTTP/1.1, in a process of its own.

`http://127.0.0.1:PORT/SIZE/EDITION` is the base URL of one listing (see `bench.pages`), with `--living`
`http://127.0.0.1:PORT/N` that of account number N, whose fleet lives on as time passes.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from bench import pages
from etl.simcloud import Fleet

APART_S = 61
"""Between the hours of two accounts: else all would change in one moment."""
DATES: dict[str, Callable[[float, int], float]] = {
    "right": lambda now, _: now,
    "lags": lambda now, _: now - 2,
    "alternates": lambda now, number: now - 4 * (number % 2),
    "is cached": lambda now, _: now // 5 * 5,
}
"""How the `Date` of an answer follows from the clock and the number of the answer."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: "
LOST = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def serving(sizes: Sequence[int], editions: int, dates: str = "right") -> Iterator[str]:
    """The URL below which listings of these sizes are served until the block ends."""
    listed = ",".join(map(str, sizes))
    command = [sys.executable, "-m", "bench.server", listed, str(editions), "--dates", dates]
    with started(command) as (url, _):
        yield url


@contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The URL and the process id of a server that prints its port, until the block ends."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}", server.pid
        finally:
            server.terminate()


class _Connection(asyncio.Protocol):
    """Answers each request by what was made for its target."""

    answer: Callable[[bytes], tuple[bytes, bytes] | None]
    dates = DATES["right"]
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._asked = b""

    def data_received(self, chunk: bytes) -> None:
        self._asked += chunk
        while b"\r\n\r\n" in self._asked:
            request, _, self._asked = self._asked.partition(b"\r\n\r\n")
            found = _Connection.answer(request.split(b" ", 2)[1])
            _Connection.answered += 1
            date = _date(int(_Connection.dates(time.time(), _Connection.answered)))
            answer = b"%b%b\r\n\r\n%b" % (found[0], date, found[1]) if found else LOST
            self._transport.write(answer)  # type: ignore[attr-defined]


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _answers(sizes: Sequence[int], editions: int) -> dict[bytes, tuple[bytes, bytes]]:
    answers = {}
    shared: dict[bytes, bytes] = {}
    for size in sizes:
        for edition, bodies in enumerate(pages.editions(size, editions, _lately())):
            for number, body in enumerate(bodies, 1):
                query = f"page={number}&page_size={pages.PAGE_SIZE}"
                target = f"/{size}/{edition}/instance/list?{query}"
                answers[target.encode()] = HEAD % len(body), shared.setdefault(body, body)
    return answers


def _lately() -> int:
    return int(time.time()) // 86_400 * 86_400 - 3 * 86_400


@dataclass(slots=True)
class Living:
    """Answers of accounts that all have a fleet of this size, each with names of its own and at another hour."""

    fleet: Fleet

    def answer(self, target: bytes) -> tuple[bytes, bytes] | None:
        number = int(target.split(b"/", 2)[1])
        page, size = (int(part.rpartition(b"=")[2]) for part in target.split(b"&"))
        body = self.fleet.body(int(time.time()) - number * APART_S, page, size)
        body = body.replace(b'"inst_', b'"inst_%d-' % number)
        return HEAD % len(body), body


def living(instances: int) -> Living:
    started_at = int(time.time()) - 3 * 86_400
    return Living(Fleet.generate(1, instances=instances, start=started_at, days=4))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    options.add_argument("editions", type=int)
    options.add_argument("--dates", choices=DATES, default="right")
    options.add_argument(
        "--living", action="store_true", help="fleets of the first size, by account"
    )
    given = options.parse_args()
    _Connection.dates = staticmethod(DATES[given.dates])
    answer = (
        living(given.sizes[0]).answer if given.living else _answers(given.sizes, given.editions).get
    )
    _Connection.answer = staticmethod(answer)
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
