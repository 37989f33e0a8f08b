"""Break a text into lines of a width, Chinese too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from etl.reports.render.table import width

_PIECE: Final = re.compile(r"[^\s\u2e80-\uffef]+|[\u2e80-\uffef][，。、；：！？）》」』”’…]*|\s+")
"""What stays together: a word, blanks, or a wide character with the signs that begin no line."""


def wrapped(text: str, room: int) -> Iterator[str]:
    """Yield lines of at most `room` columns, broken at blanks and between wide characters.

    A word that is longer than a line is broken anywhere; an empty text is one empty line.
    """
    line = ""
    for piece in _PIECE.findall(text):
        if width(line) + width(piece) <= room:
            line += piece
            continue
        if line.strip():
            yield line.rstrip()
        line = piece.lstrip()
        while width(line) > room:
            head = _head_of(line, room)
            yield head
            line = line[len(head) :]
    yield line.rstrip()


def _head_of(text: str, room: int) -> str:
    """Return the longest beginning that fits, of at least one character."""
    taken = 0
    for at, character in enumerate(text):
        taken += width(character)
        if taken > room:
            return text[: max(at, 1)]
    return text
