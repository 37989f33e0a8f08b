"""Names that the database knows, for shell completion: read in milliseconds, or not at all.

The store is not asked: it takes half a second to load, at every press of a key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

ACCOUNTS: Final = "SELECT name FROM account ORDER BY name"
PROJECTS: Final = (
    "SELECT DISTINCT project FROM allocation_rule WHERE project IS NOT NULL ORDER BY project"
)
# both ends of the newest key: the whole table of polls may hold millions of rows
_FIRST: Final = "(SELECT started_at FROM sync_run ORDER BY sync_run_id LIMIT 1)"
_LAST: Final = "(SELECT started_at FROM sync_run ORDER BY sync_run_id DESC LIMIT 1)"
ENDS: Final = f"SELECT CAST(at AS TEXT) FROM (SELECT {_FIRST} AS at UNION ALL SELECT {_LAST}) ends"
PATIENCE_S: Final = 1


def known_names(url: str, query: str) -> list[str]:
    """Return the first column of a query, one of those above; nothing if that fails."""
    read = _from_sqlite if url.startswith("sqlite:") else _from_postgres
    try:
        return [str(row[0]) for row in read(url, query) if row[0] is not None]
    # whatever it is, a shell that completes a word is no place to say so
    except Exception:  # noqa: BLE001
        return []


def _from_sqlite(url: str, query: str) -> Sequence[Sequence[Any]]:
    path = Path(url.partition("///")[2]).absolute()
    # read-only: looking for a file would make one
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as conn:
        return conn.execute(query).fetchall()


def _from_postgres(url: str, query: str) -> Sequence[Sequence[Any]]:
    import psycopg

    plain = url.replace("postgresql+psycopg:", "postgresql:", 1)
    with psycopg.connect(plain, connect_timeout=PATIENCE_S) as conn:
        return conn.execute(query.encode()).fetchall()
