"""A cloud whose clock jumps, an account that syncs from it, and all that must hold afterwards."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import create_engine, inspect, text

from bench.crash_child import Arm, Children, Order, Ran
from bench.promises import NONE, ask
from etl.dialect import Database, open_database
from etl.rebuild import differences
from etl.reports import plain
from etl.simcloud import Server, Story, serve
from etl.store import views
from tests.support import COMPARED, dump

UNARMED: Final = Arm()
KEY: Final = "cy_crash-4711"
BEGINS: Final = 1_774_742_400
"""2026-03-29T00:00:00Z, so that a month ends while polls are made."""
INSTANCES: Final = 24
FINE: Final = (0, 3)
"""Exit codes of a command that did what it could."""
KNOWN: Final = (0, 2, 3, 4, 5, 6, 7)
VOLATILE: Final = re.compile(r"imported_at|closed_at|version_id|rule_version|sync_run_id|version$")
"""Columns that say when a command ran, or count how often."""
LEFT_OUT: Final = frozenset({"sync_run", "setting", "state_length", "calendar_day"})
"""Tables that tell of attempts and of the machine, which no two databases have alike; and the calendar,
which is long and never changes."""
PRICES: Final = "[[price]]\ngpu_name = 'RTX 4090'\nunit = 'hour'\nprice = {:.2f}\n"
RULES: Final = "[[rule]]\ntitle = '*{}*'\nproject = 'vision'\nowner = 'alice'\n"
numbers = count()


@dataclass
class Lab:
    """One database, its archive, and the cloud that it follows."""

    kind: str
    folder: Path
    server_url: str
    children: Children
    dice: Random
    url: str = ""
    ahead_s: int = 0
    cloud: Story = field(init=False)
    server: Server = field(init=False)
    failures: list[str] = field(default_factory=list)

    @property
    def archive(self) -> Path:
        return self.folder / "polls"

    @property
    def _kept(self) -> Path:
        return self.folder / "kept"

    def keep_archive(self) -> None:
        """Keep a copy of the archive, of which days are about to be removed."""
        shutil.copytree(self.archive, self._kept, dirs_exist_ok=True)

    def archived(self) -> list[str]:
        """Return the files of the archive, and copies of the days that were removed from it."""
        files = sorted(self.archive.glob("*.jsonl.?z"))
        days = {_day(path) for path in files}
        return sorted(
            map(str, [*files, *(p for p in self._kept.glob("*.jsonl.?z") if _day(p) not in days)])
        )

    def clock(self) -> float:
        return time.time() + self.ahead_s

    def environ(self, url: str, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CHENYU_API_KEY": KEY,
            "CHENYU_BASE_URL": self.server.base_url,
            "CHENYU_DATABASE_URL": url,
            "CHENYU_ATTEMPTS": "1",
            "CHENYU_PAGE_SIZE": "20",
            "CHENYU_ARCHIVE": str(self.archive),
            **more,
        }

    # commands

    def order(self, words: Sequence[str], arm: Arm = UNARMED, url: str = "", **more: str) -> Order:
        output = self.folder / f"out{next(numbers)}"
        return Order(tuple(words), self.environ(url or self.url, **more), output, arm, self.ahead_s)

    def runs(self, *words: str, arm: Arm = UNARMED, url: str = "", **more: str) -> Ran:
        """Run a command to its end, or to the write at which it is to be killed."""
        return self.runs_disturbed(words, lambda _: None, arm=arm, url=url, **more)

    def runs_disturbed(
        self,
        words: Sequence[str],
        disturb: Callable[[Any], None],
        arm: Arm = UNARMED,
        url: str = "",
        **more: str,
    ) -> Ran:
        """Run a command to its end while `disturb`, called with its process, does its harm."""
        order, began = self.order(words, arm, url, **more), time.monotonic()
        process = self.children.start(order)
        disturb(process)
        ran = self.children.ended(process, order, began)
        with (self.folder / "history.txt").open("a") as history:
            history.write(
                f"{self.clock():.0f} {database_name(order.environ['CHENYU_DATABASE_URL'])} {' '.join(words)[:200]}: {ran.code}\n"
            )
        return ran

    def must_run(self, *words: str, url: str = "", **more: str) -> Ran:
        """Run a command that nothing disturbs; that it fails is a failure of the trial."""
        ran = self.runs(*words, arm=UNARMED, url=url, **more)
        if ran.code not in FINE:
            self.fails(f"{' '.join(words[:3])} ends with {ran.code}: {ran.text[-300:]}")
        return ran

    def fails(self, what: str) -> None:
        print(f"BROKEN: {what}", flush=True)
        self.failures.append(what)

    # what happens in the cloud

    def time_passes(self, seconds: float) -> None:
        self.ahead_s += round(seconds)
        self.cloud.now = int(self.clock())

    def something_happens(self) -> None:
        cloud, dice = self.cloud, self.dice
        alive = [life.instance_uuid for life in cloud.fleet.lives if life.exists(cloud.now)]
        for name in dice.sample(alive, len(alive) // 3):
            if dice.random() < 0.06:
                cloud.destroys(name)
            elif dice.random() < 0.3:
                cloud.renames(name, f"{dice.choice(['train', 'eval'])} {dice.random():.3f}")
            elif cloud.life(name).is_on(cloud.now):
                cloud.stops(name)
            else:
                cloud.starts(name, gpus=dice.randint(1, 8))
        cloud.rents_many(dice.randint(0, 2))
        if dice.random() < 0.2:
            cloud.price("RTX 4090", hour=f"{dice.uniform(4, 7):.2f}")
        if dice.random() < 0.2:
            cloud.recharges(500)
        if dice.random() < 0.1:
            cloud.gives_card(200)

    def everything_stops(self) -> None:
        cloud = self.cloud
        for life in cloud.fleet.lives:
            if life.exists(cloud.now) and life.is_on(cloud.now):
                cloud.stops(life.instance_uuid)

    # what must hold

    def is_sound(self, what: str, url: str = "") -> None:
        """Right after a kill: the file is whole, and so is what the design promises of it."""
        url = url or self.url
        if self.kind == "sqlite" and (verdict := check_file(Path(url.removeprefix("sqlite:///")))):
            self.fails(f"{what}: {verdict}")
            return
        with opened(url) as database:
            if not has_tables(database):
                return
            for rule, sql in NONE.items():
                if number := ask(database, sql)[0][0]:
                    self.fails(f"{what}: {number} {rule}")

    def is_right(self, what: str, url: str = "") -> None:
        """After a good command: also all that is derived is as a rebuild would make it."""
        self.is_sound(what, url)
        with opened(url or self.url) as database:
            for line in list(differences(database))[:3]:
                self.fails(f"{what}: rebuild --check: {line}")

    def figures(self) -> dict[str, list[str]]:
        """Return every row of the public views that do not tell of the present or of single polls."""
        with opened(self.url) as database:
            return shown(database, LASTING)

    def contents(self, url: str = "") -> dict[str, list[str]]:
        with opened(url or self.url) as database:
            return everything(database)

    # databases

    def fresh_url(self, like: str | None = None) -> str:
        """The URL of a database that is not there yet, or of a copy."""
        name = f"trial{next(numbers)}"
        if self.kind == "sqlite":
            path = self.folder / f"{name}.db"
            if like is not None:
                with closing(sqlite3.connect(like.removeprefix("sqlite:///"))) as conn:
                    conn.execute("VACUUM INTO ?", (str(path),))
            return f"sqlite:///{path}"
        template = f" TEMPLATE {database_name(like)}" if like else ""
        on_server(self.server_url, f"CREATE DATABASE {name}{template}")
        return beside(self.server_url, name)

    def drop(self, url: str) -> None:
        if self.kind == "sqlite":
            for path in self.folder.glob(f"{Path(url.removeprefix('sqlite:///')).name}*"):
                path.unlink()
        else:
            name = database_name(url)
            on_server(self.server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def lab(kind: str, folder: Path, server_url: str, children: Children, seed: int) -> Iterator[Lab]:
    """A lab with a fleet and no database yet; what it made is removed at the end."""
    place = folder / f"round{next(numbers)}"
    place.mkdir()
    made = Lab(kind, place, server_url, children, Random(seed))
    made.ahead_s = BEGINS - int(time.time())
    made.cloud = Story(now=BEGINS - 86_400)
    made.cloud.price("RTX 4090", hour="5.50")
    made.cloud.recharges(10_000)
    for number in range(INSTANCES):
        made.cloud.rents(gpus=1 + number % 4, title=f"train {number}", starts=number % 3 > 0)
    made.cloud.now = int(made.clock())
    with serve(made.cloud, key=KEY, clock=made.clock) as server:
        made.server = server
        made.url = made.fresh_url()
        try:
            yield made
        finally:
            made.drop(made.url)
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        database.engine.dispose()


def check_file(path: Path) -> str | None:
    """Return what SQLite finds wrong with a file; None if nothing."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as conn:
        try:
            verdict = conn.execute("PRAGMA integrity_check(3)").fetchall()
            orphans = conn.execute("PRAGMA foreign_key_check").fetchall()
        except sqlite3.DatabaseError as error:
            return f"{error}"
    if verdict != [("ok",)]:
        return f"integrity_check: {verdict}"
    return f"foreign_key_check: {orphans[:3]}" if orphans else None


def has_tables(database: Database) -> bool:
    """Tell whether there is a database, and its views are made."""
    if not database.exists():
        return False
    with database.reading() as conn:
        return inspect(conn).has_table("sync_run")


def everything(database: Database) -> dict[str, list[str]]:
    """Return every row of the tables that a command may change, without what differs by itself."""
    if not has_tables(database):
        return {}
    with database.reading() as conn:
        look = inspect(conn)
        names = sorted(set(look.get_table_names()) - LEFT_OUT)
        found = {}
        for name in names:
            columns = [c["name"] for c in look.get_columns(name) if not VOLATILE.search(c["name"])]
            rows = conn.execute(text(f"SELECT {', '.join(columns)} FROM {name}"))
            found[name] = sorted(repr([_plain(value) for value in row]) for row in rows)
        return found


def _plain(value: Any) -> Any:
    value = plain(value)
    return bool(value) if isinstance(value, bool) else value


def synced(database: Database) -> dict[str, Any]:
    """Return the rows that a replay gives again."""
    return dump(database, tuple(COMPARED))


def facts(database: Database) -> dict[str, Any]:
    """Return the rows that a replay gives again, and those of the views of running time and cost."""
    return {**synced(database), **shown(database, VIEWS)}


def shown(database: Database, names: Sequence[str]) -> dict[str, list[str]]:
    """Return every row of some views."""
    found = {}
    with database.reading() as conn:
        for name in names:
            rows = conn.execute(text(f"SELECT * FROM {name}"))
            found[name] = sorted(repr([plain(value) for value in row]) for row in rows)
    return found


def _day(path: Path) -> str:
    return path.name.partition(".jsonl")[0]


VIEWS: Final = tuple(
    name
    for name in views.public_names()
    if name not in {"sync_gap", "sync_span", "coverage_daily", "burn_now", "instance_now"}
)
"""Those that follow from facts alone: not from how often somebody asked, nor from the present."""
LASTING: Final = (*VIEWS, "sync_gap", "coverage_daily")
"""Those that stay as they are while nobody polls."""


def unlike(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the tables in which two databases differ, each with a row that one of them lacks."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        a, b = one.get(name, []), other.get(name, [])
        if a != b:
            more = next((row for row in a if row not in b), None)
            less = next((row for row in b if row not in a), None)
            found.append(f"{name} ({len(a)}, {len(b)}): {more} / {less}")
    return "\n  ".join(found)


def database_name(url: str) -> str:
    return url.split("?")[0].rpartition("/")[2]


def beside(server_url: str, name: str) -> str:
    """The URL of another database of the same server."""
    head, mark, tail = server_url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{mark}{tail}"


def on_server(server_url: str, *statements: str) -> list[Any]:
    """Execute statements outside of transactions; return the rows of the last."""
    url = server_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    rows: list[Any] = []
    with engine.connect() as conn:
        for statement in statements:
            result = conn.execute(text(statement))
            rows = list(result.all()) if result.returns_rows else []
    engine.dispose()
    return rows


def day_ends_s(lab: Lab) -> int:
    """Return the seconds until a day of UTC, whose file of the archive is then packed, is over."""
    return 86_400 - int(lab.clock()) % 86_400 + 60
