"""A simulated cloud to try things on: `python -m etl.simcloud`, until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from etl.simcloud.fleet import Fleet
from etl.simcloud.server import Server, real_time, serve

PAST_DAYS: Final = 14
DAYS: Final = 365
"""Days for which its people go on; after them nothing happens any more."""


def main(words: Sequence[str] | None = None, until: threading.Event | None = None) -> None:
    """Serve a fleet that lives in real time, and say how to use it."""
    options = _arguments().parse_args(words)
    # the first poll finds machines that have run for days, as in an account that is in use
    begun = round(real_time()) - PAST_DAYS * 86_400
    fleet = Fleet.generate(options.seed, instances=options.instances, start=begun, days=DAYS)
    with suppress(KeyboardInterrupt), serve(fleet, port=options.port) as server:
        for line in _instructions(server):
            print(line, flush=True)  # noqa: T201 - a program for people
        (until or threading.Event()).wait()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m etl.simcloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; default: a free one")
    parser.add_argument("--instances", type=int, default=40, help="the most that are listed")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another fleet")
    return parser


def _instructions(server: Server) -> Iterator[str]:
    yield "A simulated cloud answers until Ctrl-C. In another terminal, in a folder for it:"
    yield f"  export CHENYU_BASE_URL={server.base_url}"
    yield f"  export CHENYU_API_KEY={server.key}"
    yield "  export CHENYU_DATABASE_URL=simulated.db"
    yield "  chenyu-etl run"


if __name__ == "__main__":
    main()
