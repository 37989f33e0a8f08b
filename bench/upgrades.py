"""A lively history taken back to each revision and forwards again: which figures that changes.

`python -m bench.upgrades [--doc docs/reliability.md]` (SQLite; `bench.crash` kills both ways on both)

A column that a revision does not have is lost on the way back; what follows from it can differ then.
All else must be as before, and derived as a rebuild would derive it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import crash_table
from bench.crash_lab import facts, opened
from etl.app import App
from etl.dialect import Database
from etl.rebuild import differences
from etl.settings import Settings
from etl.store import schema
from tests.golden_fleet import fill

ZONE: Final = "Asia/Shanghai"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--doc", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="upgrades-") as name:
        lines, broken = [], 0
        for revision, losses, differing, strayed in _trials(Path(name)):
            broken += strayed
            named = ", ".join(f"`{name}`" for name in differing) or "none"
            lines.append(f"| {revision} | {len(losses)} | {named} | {strayed} |")
            print(lines[-1], flush=True)
    if given.doc:
        head = "| revision | columns and tables lost on the way back | tables and views that differ | wrongly derived |"
        crash_table.put(given.doc, "upgrades", "\n".join([head, "|---|---:|---|---:|", *lines]))
    sys.exit(1 if broken else 0)


def _trials(folder: Path) -> Iterator[tuple[str, list[str], list[str], int]]:
    url = f"sqlite:///{folder}/full.db"
    with opened(url) as database:
        _prepare(database)
        fill(database)
        before = facts(database)
    for revision in reversed(schema.revisions()[:-1]):
        shutil.copy(folder / "full.db", folder / "old.db")
        with opened(f"sqlite:///{folder}/old.db") as old:
            losses = schema.downgrade_losses(old, revision)
            schema.downgrade(old, revision)
            _prepare(old)
            after, strayed = facts(old), len(list(differences(old)))
        yield revision, losses, [n for n in before if before[n] != after[n]], strayed


def _prepare(database: Database) -> None:
    app = App(Settings(database_url=str(database.engine.url), timezone=ZONE))
    app.database = database
    app.prepare()


if __name__ == "__main__":
    main()
