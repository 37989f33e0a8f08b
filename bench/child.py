"""What is measured in a process of its own: the floors, the handy script, a sync from inside.

`python -m bench.child WAY BASE_URL [DATABASE_URL]` prints how much CPU the work took, imports excluded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

THREADS: Final = 4
PAGE_SIZE: Final = 100
COLUMNS: Final = (
    "instance_uuid",
    "status",
    "title",
    "create_time",
    "start_time",
    "server_url",
    "server_map",
    "save_image_status",
    "charging_type",
    "shutdown_regular",
    "image_uuid",
    "image_name",
    "image_tag",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
)
NUMBERS: Final = frozenset(
    {"status", "create_time", "start_time", "save_image_status", "charging_type", "gpu_nums"}
)
TABLE: Final = "CREATE TABLE bare ({}, PRIMARY KEY (instance_uuid))".format(
    ", ".join(f"{name} {'BIGINT' if name in NUMBERS else 'TEXT'}" for name in COLUMNS)
)

Fetch = Callable[[str], Iterator[Any]]


def _page(client: Any, base: str, number: int) -> Any:
    import msgspec

    answer = client.get(f"{base}/instance/list?page={number}&page_size={PAGE_SIZE}")
    return msgspec.json.decode(answer.content)["data"]


def fetch_one_by_one(base: str) -> Iterator[Any]:
    """The records of each page, one request after the other."""
    import httpx

    with httpx.Client(verify=False) as client:
        first = _page(client, base, 1)
        yield first["instance_list"]
        for number in range(2, -(-first["total"] // PAGE_SIZE) + 1):
            yield _page(client, base, number)["instance_list"]


def fetch_together(base: str) -> Iterator[Any]:
    """The same with a few threads."""
    import httpx

    with httpx.Client(verify=False) as client, ThreadPoolExecutor(THREADS) as crew:
        first = _page(client, base, 1)
        yield first["instance_list"]
        others = range(2, -(-first["total"] // PAGE_SIZE) + 1)
        for page in crew.map(lambda number: _page(client, base, number), others):
            yield page["instance_list"]


def only_fetch(fetch: Fetch, base: str) -> None:
    listed = sum(len(records) for records in fetch(base))
    assert listed, "nothing is listed"


def insert_bare(fetch: Fetch, base: str, database: str) -> None:
    """Fetch, and put the rows into one table with a key: no history, no comparison."""
    (_copy if database.startswith("postgres") else _execute_many)(_rows(fetch(base)), database)


def _rows(pages: Iterator[Any]) -> Iterator[list[Any]]:
    import msgspec

    encode = msgspec.json.encode
    for records in pages:
        for record in records:
            yield [
                encode(value).decode() if isinstance(value, list | dict) else value
                for value in map(record.get, COLUMNS)
            ]


def _execute_many(rows: Iterator[list[Any]], database: str) -> None:
    import sqlite3

    db = sqlite3.connect(database.removeprefix("sqlite:///"))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    with db:
        db.execute(TABLE)
        db.executemany(f"INSERT INTO bare VALUES ({','.join('?' * len(COLUMNS))})", rows)
    db.close()


def _copy(rows: Iterator[list[Any]], database: str) -> None:
    import psycopg

    with psycopg.connect(database) as db, db.cursor() as cursor:
        cursor.execute(TABLE)
        with cursor.copy("COPY bare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def handy(base: str, database: str) -> None:
    """What one writes in ten minutes."""
    import httpx
    from sqlite_utils import Database

    rows: list[dict[str, Any]] = []
    with httpx.Client(verify=False) as client:
        number, total = 1, 1
        while len(rows) < total:
            query = f"page={number}&page_size={PAGE_SIZE}"
            content = client.get(f"{base}/instance/list?{query}").json()["data"]
            rows += content["instance_list"]
            number, total = number + 1, content["total"]
    kept = Database(database.removeprefix("sqlite:///"))["instance"]
    kept.upsert_all(rows, pk="instance_uuid")


def sync_inside() -> Callable[[], dict[str, Any]]:
    """A sync by the environment's settings, with everything imported and the database open."""
    import gc

    gc.disable()  # as `etl.start` does
    import httpx  # noqa: F401

    from etl import app, apply, archive, polling, replay, settings  # noqa: F401
    from etl.cli.common import collect_less_often
    from etl.resources import INSTANCES

    collect_less_often()
    ours = app.App(settings.load({}, os.environ))
    ours.prepare()

    def work() -> dict[str, Any]:
        result = polling.sync_one(ours, ours.settings.accounts[0], INSTANCES)
        assert result.exit_code == 0, result
        with ours.database.engine.connect() as conn:
            raw: Any = conn.connection.driver_connection
            return {"rows": getattr(raw, "total_changes", None)}

    return work


def _work(way: str, base: str, database: str) -> Callable[[], Any]:
    import httpx  # noqa: F401
    import msgspec  # noqa: F401

    if way == "inside":
        return sync_inside()
    if way == "handy":
        import sqlite_utils  # noqa: F401

        return lambda: handy(base, database)
    fetch = fetch_together if way.endswith("threads") else fetch_one_by_one
    if way.startswith("insert"):
        if database.startswith("postgres"):
            import psycopg  # noqa: F401

        return lambda: insert_bare(fetch, base, database)
    return lambda: only_fetch(fetch, base)


def main() -> None:
    way, base, *database = sys.argv[1:]
    work = _work(way, base, database[0] if database else "")
    # CPU, not time: other work runs on the machine
    began = time.process_time()
    found = work()
    took = time.process_time() - began
    print(json.dumps({"inside_s": took, **(found or {})}))


if __name__ == "__main__":
    main()
