"""Build the live page in a process of its own: `python -m etl.page`, an order in, pages out, as JSON.

The daemon starts it, so that neither its memory nor its work is the daemon's. The order comes by standard
input, since the address of a database may hold a password.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, Final

from etl import reports
from etl.address import ordered_database
from etl.dialect import open_database, translated
from etl.errors import EtlError
from etl.history.days import Zone
from etl.page.build import build_all
from etl.page.facts import Choice
from etl.page.policy import policy
from etl.store import schema

NICENESS: Final = 10
"""A poll that wants the processor goes first."""


def pages(database_url: str, now: int) -> dict[str, Any]:
    """Return the pages of this month to date by language, and the policy that they keep."""
    database = open_database(database_url)
    try:
        with translated(database), database.reading() as conn:
            schema.require(conn)
            zone = Zone(schema.stored_timezone(conn))
        first, last = reports.day_range(None, None, zone.local_date(now))
        # both languages from one reading: rows are what takes the time
        made = build_all(database, Choice(first, last), zone=zone, now=now)
        return {"pages": made, "policy": policy()}
    finally:
        database.engine.dispose()


def main() -> int:
    with suppress(AttributeError, OSError):  # Windows has no niceness
        os.nice(NICENESS)
    order = json.load(sys.stdin)
    try:
        answer = pages(ordered_database(order), order["now"])
    except EtlError as error:
        # as an answer: the daemon logs it in its own form
        answer = {"error": error.message}
    # in one piece, when all of it is made: half an answer is no JSON
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
