"""The polls of an archive file, each with its pages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from etl.archive.line import Archived, read_line
from etl.archive.packed import lines
from etl.poll import Page

log = logging.getLogger("etl.archive")


def polls(path: str) -> Iterator[Archived | None]:
    """Read a file (`-`: standard input), a poll a line; None stands for a line that cannot be used.

    A line without pages has those of the line before it.
    """
    walks: dict[tuple[str, str], tuple[tuple[Page, ...], ...]] = {}
    for line in lines(path):
        archived = _read_or_skip(path, line)
        if archived is None:
            # of any account: a lost line may have been anybody's, and `same` would mean its pages
            walks.clear()
            yield None
            continue
        key = archived.account, archived.resource
        if archived.walks is not None:
            walks[key] = archived.walks
        # the pages that a line stands for may have been lost with the one before it
        yield replace(archived, walks=walks[key]) if key in walks else None


def _read_or_skip(path: str, line: bytes | None) -> Archived | None:
    try:
        if line is not None:
            return read_line(line)
    except ValueError as error:
        log.debug("%s: %s", path, error)
    log.warning("%s: a line that is torn or no poll is skipped", path)
    return None
