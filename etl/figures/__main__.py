"""Read reports in a process of its own: `python -m etl.figures`, orders in, replies out.

The daemon starts it, so that neither its memory nor its work is the daemon's. An order is a line of JSON; the first
names the database, by standard input, since the address may hold a password. A reply is a line of JSON
with the length of the body, and the body.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from etl.address import ordered_database
from etl.app import App
from etl.figures.replies import LIMIT_S, FigureReply, reply
from etl.page.__main__ import NICENESS
from etl.redact import scrub
from etl.settings import Settings


def serve_orders(orders: BinaryIO, replies: BinaryIO) -> None:
    """Answer orders until there are no more."""
    app = App(Settings(database_url=ordered_database(json.loads(orders.readline()))), environ={})
    app.database.reading_limit_s = LIMIT_S
    # between two requests the database is one whole file, as between two polls
    app.database.reopen_each_time()
    try:
        for line in orders:
            order = json.loads(line)
            app.clock = partial(float, order["now"])
            _send(replies, *_made(app, order))
    finally:
        app.close()


def _made(app: App, order: dict[str, Any]) -> tuple[FigureReply, str]:
    """Return the reply to an order, and a fault of this program if there was one."""
    try:
        made = reply(app, order["target"])
    # as an answer: the daemon logs it in its own form, and whoever asks next is served
    except Exception:  # noqa: BLE001
        return FigureReply(500, b'{"error": "a fault of this program"}\n'), scrub(
            traceback.format_exc()
        )
    if order["is_packed"] and made.status == 200:
        # without the time, so that equal rows are equal bytes
        packed = gzip.compress(made.body, 6, mtime=0)
        made = replace(made, body=packed, headers={**made.headers, "Content-Encoding": "gzip"})
    return made, ""


def _send(replies: BinaryIO, made: FigureReply, fault: str) -> None:
    head = {"status": made.status, "headers": made.headers, "length": len(made.body)}
    replies.write(json.dumps({**head, "fault": fault}).encode() + b"\n" + made.body)
    replies.flush()


def main() -> int:
    with suppress(AttributeError, OSError):  # Windows has no niceness
        os.nice(NICENESS)
    serve_orders(sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
