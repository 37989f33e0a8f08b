"""One load by dlt's SCD2: `python bench/dlt_child.py BASE_URL DATABASE_URL FOLDER`, in an environment with dlt.

Whole listings go in, as its documentation has it: rows that are absent or changed are ended, and new ones begun.
Lists within a record stay JSON in one column, as they are with us.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt  # type: ignore[import-not-found,unused-ignore]
import httpx

PAGE_SIZE = 100


def records(base: str) -> Iterator[list[dict[str, Any]]]:
    with httpx.Client(verify=False) as client:
        number, seen, total = 1, 0, 1
        while seen < total:
            query = f"page={number}&page_size={PAGE_SIZE}"
            content = json.loads(client.get(f"{base}/instance/list?{query}").content)["data"]
            yield content["instance_list"]
            seen, total = seen + len(content["instance_list"]), content["total"]
            number += 1


def of_socket(url: str) -> dict[str, Any]:
    """The parts of a URL whose host is a folder, which dlt does not read from its query."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return {
        "drivername": "postgresql",
        # it goes into a URL: a folder would be taken for a part of the path
        "host": quote(host, safe=""),
        "port": parts.port or 5432,
        "username": parts.username,
        "password": parts.password or "none",
        "database": parts.path.lstrip("/"),
    }


def main() -> None:
    base, database, folder = sys.argv[1:]
    kinds = dlt.destinations
    if database.startswith("postgres"):
        destination = kinds.postgres(credentials=of_socket(database))
    else:
        destination = kinds.sqlalchemy(credentials=database)
    pipeline = dlt.pipeline(
        "beside", destination=destination, dataset_name="beside", pipelines_dir=folder
    )
    resource = dlt.resource(
        records(base),
        name="instance",
        write_disposition={"disposition": "merge", "strategy": "scd2"},
        max_table_nesting=0,
    )
    pipeline.run(resource)
    with pipeline.sql_client() as client:
        ask = "SELECT COUNT(*), COUNT(_dlt_valid_to) FROM instance"
        kept, ended = client.execute_sql(ask)[0]
    print(json.dumps({"version": dlt.__version__, "rows": kept, "ended": ended}))


if __name__ == "__main__":
    main()
