"""A lively history taken back to each revision and forwards again: which figures that changes.

`python -m bench.upgrades sqlite|postgres [--doc docs/reliability.md]` (`bench.crash` kills both ways on both)

A column that a revision does not have is lost on the way back; what follows from it can differ then.
All else must be as before, and derived as a rebuild would derive it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import crash_table
from bench.crash_lab import beside, facts, on_server, opened
from bench.soak import database_at
from etl.app import App
from etl.dialect import Database
from etl.rebuild import differences
from etl.settings import Settings
from etl.store import schema
from tests.golden_fleet import fill

ZONE: Final = "Asia/Shanghai"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("kind", choices=["sqlite", "postgres"])
    options.add_argument("--doc", type=Path)
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="upgrades-") as name,
        database_at(given.kind, Path(name)) as server_url,
    ):
        lines, broken = [], 0
        copies = Copies(given.kind, Path(name), server_url)
        for revision, losses, differing, strayed in _trials(copies):
            broken += strayed
            named = ", ".join(f"`{name}`" for name in differing) or "none"
            lines.append(f"| {revision} | {len(losses)} | {named} | {strayed} |")
            print(lines[-1], flush=True)
    if given.doc:
        head = "| revision | columns and tables lost on the way back | tables and views that differ | wrongly derived |"
        crash_table.put(
            given.doc, f"upgrades {given.kind}", "\n".join([head, "|---|---:|---|---:|", *lines])
        )
    sys.exit(1 if broken else 0)


@dataclass(frozen=True)
class Copies:
    """Databases of one server or folder."""

    kind: str
    folder: Path
    server_url: str

    def url(self, name: str) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.folder}/{name}.db"
        return beside(self.server_url, name)

    def make(self, name: str, like: str | None = None) -> str:
        """Make a database of that name, as a copy of another; return its URL."""
        if self.kind == "postgres":
            template = f" TEMPLATE {like}" if like else ""
            on_server(self.server_url, f"DROP DATABASE IF EXISTS {name}")
            on_server(self.server_url, f"CREATE DATABASE {name}{template}")
        elif like is not None:
            shutil.copy(self.folder / f"{like}.db", self.folder / f"{name}.db")
        return self.url(name)


def _trials(copies: Copies) -> Iterator[tuple[str, list[str], list[str], int]]:
    with opened(copies.make("whole")) as database:
        _prepare(database)
        fill(database)
        before = facts(database)
    for revision in reversed(schema.revisions()[:-1]):
        with opened(copies.make("old", like="whole")) as old:
            losses = schema.downgrade_losses(old, revision)
            schema.downgrade(old, revision)
            _prepare(old)
            after, strayed = facts(old), len(list(differences(old)))
        yield revision, losses, [n for n in before if before[n] != after[n]], strayed


def _prepare(database: Database) -> None:
    app = App(
        Settings(
            database_url=database.engine.url.render_as_string(hide_password=False), timezone=ZONE
        )
    )
    app.database = database
    app.prepare()


if __name__ == "__main__":
    main()
