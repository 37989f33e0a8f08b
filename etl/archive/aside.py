"""Setting aside archived polls that were dated in the future: a later sync must not apply them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from etl.archive.line import Archived, read_line
from etl.archive.packed import beside, lines, private
from etl.archive.polls import polls
from etl.paths import flush_names
from etl.poll import Instant

SUFFIX: Final = ".future"
"""Suffix of files that are set aside: no file of an archive ends in it, so nothing reads them by
itself."""


def set_aside(
    path: Path, latest: Instant, member: Callable[[Iterable[bytes]], Iterable[bytes]]
) -> Path | None:
    """Keep of an archive file only the polls that ended by `latest`; return the name of a whole copy
    as it was, or None if there is nothing later in it.

    `member` packs a line. A process killed at any moment loses no line.
    """
    if not any(p is not None and p.finished_at > latest for p in polls(str(path))):
        return None
    aside = _free_name(path)
    # a second name for the same bytes: whatever is killed from here on, they are there
    os.link(path, aside)
    loose, fresh = path.with_suffix(".gz"), beside(path, "cutting")
    # a call that was killed may have left one
    fresh.unlink(missing_ok=True)
    with private(fresh) as file:
        for line in _lines_until(path, latest):
            for part in member((line,)):
                file.write(part)
        file.flush()
        os.fsync(file.fileno())
        is_empty = file.tell() == 0
    if is_empty:
        fresh.unlink()
    else:
        os.replace(fresh, loose)
    # the new names must be on disk before the only other copy is removed
    flush_names(path.parent)
    # last, so that each poll that stays is in one of the two files at every moment
    if is_empty or path != loose:
        path.unlink()
    return aside


def set_aside_of(folder: Path, pattern: str) -> Iterator[Archived]:
    """Yield the polls that were ever set aside, oldest first."""
    for path in sorted(folder.glob(f"{pattern}{SUFFIX}*")):
        yield from (archived for archived in polls(str(path)) if archived is not None)


def _lines_until(path: Path, latest: Instant) -> Iterator[bytes]:
    """Yield the lines of the polls that ended by `latest`; those that cannot be read are kept."""
    for line in lines(str(path)):
        if line is None:
            continue
        ended = latest
        with suppress(ValueError):
            ended = read_line(line).finished_at
        if ended <= latest:
            yield line if line.endswith(b"\n") else line + b"\n"


def _free_name(path: Path) -> Path:
    number, aside = 1, path.with_name(path.name + SUFFIX)
    # copies of an earlier repair hold other polls: they are never overwritten
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{SUFFIX}-{number}")
    return aside
