"""Power cuts: what is on disk if the writes that were not synced are lost, in any order.

`python -m bench.power_cut [--minutes 5] [--seed 1] [--doc docs/reliability.md]`

`crash_shim.c` records each write, sync, truncation, rename, link and removal of a command. A cut at a
random one of them leaves each file as it was at its last sync, and of the later writes any pages of
4,096 bytes. New names come in the order in which they were made, up to any of them, and surely only by a
sync of their folder. SQLite alone: Postgres has a log of its own for that.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from bench import crash_lab, crash_table
from bench.crash import OPERATIONS, Operation
from bench.crash_child import RECORD, Arm, Children
from bench.crash_lab import Lab, opened, unlike
from etl.replay import replay
from etl.store import schema

ZONE: Final = "Asia/Shanghai"
TODAY: Final = date(2026, 4, 1)
PAGE: Final = 4096
HEAD: Final = struct.Struct("<cQqII")
CUTS: Final = 8
"""Of each command: one of them right after its end."""
TRIED: Final = (
    *("sync", "sync that packs a day", "prices import", "month close, reopen"),
    *("db repair-clock", "rebuild", "page", "db backup"),
)

Contents = dict[str, list[str]]


class Entry(NamedTuple):
    kind: str
    inode: int
    offset: int
    first: bytes
    second: bytes


@dataclass
class Disk:
    """Files by number as they are on disk for sure, what is yet to be written, and names alike."""

    synced: list[bytearray] = field(default_factory=list)
    pending: dict[int, list[Entry]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    renamings: list[tuple[Entry, int]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    """Of files by inode: that of a removed file comes back as another file's."""

    @classmethod
    def of(cls, folder: Path) -> Disk:
        disk = cls()
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                disk.names[str(path)] = disk._add(path.stat().st_ino, path.read_bytes())
        return disk

    def take(self, entry: Entry) -> None:
        number = self.numbers.get(entry.inode, -1)
        if entry.kind in "wt":
            self.pending.setdefault(number, []).append(entry)
        elif entry.kind == "s" and number >= 0:
            for waiting in self.pending.pop(number, []):
                _apply(self.synced[number], waiting)
        elif entry.kind == "s":  # a folder
            for named, of_file in self.renamings:
                _rename(self.names, named, of_file)
            self.renamings.clear()
        else:
            made = self._add(entry.inode, b"") if entry.kind == "c" else -1
            self.renamings.append((entry, made))

    def _add(self, inode: int, content: bytes) -> int:
        self.synced.append(bytearray(content))
        self.numbers[inode] = len(self.synced) - 1
        return self.numbers[inode]

    def left(self, dice: Random) -> dict[str, bytes]:
        """Return what may be found after a power cut now, by name."""
        share = dice.choice([0.0, 0.5, 0.9, 1.0])
        names = dict(self.names)
        for named, of_file in self.renamings[: dice.randint(0, len(self.renamings))]:
            _rename(names, named, of_file)
        contents: dict[int, bytes] = {}
        for number in sorted(set(names.values())):
            content = bytearray(self.synced[number])
            for waiting in self.pending.get(number, []):
                for piece in _pages(waiting):
                    if dice.random() < share:
                        _apply(content, piece)
            contents[number] = bytes(content)
        return {name: contents[number] for name, number in names.items()}


def entries(log: Path) -> Iterator[Entry]:
    """Read what the shim recorded."""
    content, at = log.read_bytes(), 0
    while at < len(content):
        kind, inode, offset, first, second = HEAD.unpack_from(content, at)
        at += HEAD.size
        texts = content[at : at + first], content[at + first : at + first + second]
        at += first + second
        yield Entry(kind.decode(), inode, offset, *texts)


def _pages(entry: Entry) -> Iterator[Entry]:
    if entry.kind == "t":
        yield entry
        return
    at, ends = entry.offset, entry.offset + len(entry.first)
    while at < ends:
        until = min(ends, (at // PAGE + 1) * PAGE)
        yield entry._replace(offset=at, first=entry.first[at - entry.offset : until - entry.offset])
        at = until


def _apply(content: bytearray, entry: Entry) -> None:
    if entry.kind == "t":
        del content[entry.offset :]
        content.extend(bytes(entry.offset - len(content)))
        return
    content.extend(bytes(max(0, entry.offset - len(content))))
    content[entry.offset : entry.offset + len(entry.first)] = entry.first


def _rename(names: dict[str, int], entry: Entry, made: int) -> None:
    first, second = entry.first.decode(), entry.second.decode()
    if entry.kind == "c":
        names[first] = made
    elif entry.kind == "u":
        names.pop(first, None)
    elif first in names:
        names[second] = names[first] if entry.kind == "l" else names.pop(first)


@dataclass
class Trial:
    """A history whose commands are recorded, and cut at several moments each."""

    lab: Lab
    done: Counter[tuple[str, str]]

    def run(self) -> None:
        lab = self.lab
        first = Operation("first sync", _first, is_step=False)
        self._cut(first)
        chosen = [op for op in OPERATIONS if op.name in TRIED]
        for op in lab.dice.sample(chosen, 5):
            if not lab.failures:
                self._cut(op)

    def _cut(self, op: Operation) -> None:
        lab, words = self.lab, op.words(self.lab)
        before = lab.contents()
        disk, log = Disk.of(lab.folder), lab.folder.parent / "recorded"
        log.unlink(missing_ok=True)
        ran = lab.runs(*words, arm=Arm(RECORD, into=log))
        if ran.code not in crash_lab.FINE:
            lab.fails(f"{op.name} ends with {ran.code}: {ran.text[-300:]}")
            return
        after, trace = lab.contents(), list(entries(log))
        moments = sorted(lab.dice.sample(range(len(trace)), min(CUTS - 1, len(trace))))
        aside = lab.folder.rename(lab.folder.with_name("aside"))
        for number, entry in enumerate([*trace, None]):
            if number in moments or entry is None:
                self._restart(op, disk, before, after, is_over=entry is None)
                self.done[op.name, "power cuts"] += 1
            if entry is not None:
                disk.take(entry)
        aside.rename(lab.folder)

    def _restart(
        self, op: Operation, disk: Disk, before: Contents, after: Contents, *, is_over: bool
    ) -> None:
        """See what a machine that starts again makes of its disk."""
        lab, now = self.lab, self.lab.ahead_s
        what = f"power cut {'after' if is_over else 'during'} {op.name}"
        lab.folder.mkdir()
        for name, content in disk.left(lab.dice).items():
            path = Path(name)
            if path.is_relative_to(lab.folder) and not name.endswith("-shm"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        lab.is_sound(what)
        found = lab.contents()
        if op.is_step and not op.output and found not in ((after,) if is_over else (before, after)):
            lab.fails(f"{what}: {'lost' if is_over else 'half done'}: {unlike(found, after)}")
        if is_over and op.name != "first sync" and not op.is_step and found != after:
            lab.fails(f"{what}: lost: {unlike(found, after)}")
        lab.time_passes(40)
        if op.name == "db repair-clock":
            lab.must_run("db", "repair-clock", "--yes")
        lab.must_run("sync")
        lab.is_right(what)
        self._replay(what)
        shutil.rmtree(lab.folder)
        lab.time_passes(now - lab.ahead_s)

    def _replay(self, what: str) -> None:
        lab, url = self.lab, f"sqlite:///{self.lab.folder}/again.db"
        files = sorted(str(path) for path in lab.archive.glob("*.jsonl.?z"))
        with opened(url) as again, opened(lab.url) as live:
            schema.upgrade(again, ZONE, TODAY)
            replay(again, files)
            if differing := unlike(crash_lab.synced(live), crash_lab.synced(again)):
                lab.fails(f"{what}: the replay is not as the live database: {differing}")


def _first(lab: Lab) -> tuple[str, ...]:
    lab.time_passes(60)
    return ("sync",)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--doc", type=Path)
    given = options.parse_args()
    done, failures, began, seed = (
        Counter[tuple[str, str]](),
        list[str](),
        time.monotonic(),
        given.seed,
    )
    with tempfile.TemporaryDirectory(prefix="power-") as name:
        children = Children(Path(name))
        while time.monotonic() < began + given.minutes * 60 and len(failures) < 5:
            with crash_lab.lab("sqlite", Path(name), "", children, seed) as lab:
                Trial(lab, done).run()
                failures += [f"seed {seed}: {what}" for what in lab.failures]
            seed += 1
            print(f"{done.total()} cuts, {len(failures)} broken", flush=True)
    text = ", ".join(f"{number} of {what}" for (what, _), number in done.items())
    print(f"{done.total()} power cuts: {text}")
    print("all promises hold" if not failures else "\n".join(["broken:", *failures]))
    if given.doc:
        verdict = "nothing was broken" if not failures else f"{len(failures)} failures"
        crash_table.put(
            given.doc, "power cuts", f"**{done.total()}** power cuts: {text}; {verdict}."
        )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
