"""Text that a service shows as it was written: no markup, no mention, and not too long. Pure."""

from __future__ import annotations

from typing import Final

_MENTIONS = str.maketrans("<>@", "＜＞＠")
_MARKUP = str.maketrans("<>@[]*_`~|\\", "＜＞＠［］＊＿｀～｜＼")
"""Signs that a service could take for HTML, Markdown or a mention, as signs that look alike."""
TITLE_GAP: Final = 8
"""Room for the signs that a service puts between title and text."""


def without_mentions(text: str) -> str:
    """Text in which nothing is a tag or mentions anybody."""
    return text.translate(_MENTIONS)


def without_markup(text: str) -> str:
    """Text in which nothing is a tag, mentions anybody, or is Markdown."""
    return text.translate(_MARKUP)


def utf8(text: str) -> int:
    """The length of a text in bytes."""
    return len(text.encode())


def utf16(text: str) -> int:
    """The length of a text in UTF-16 units, as many services count characters."""
    return len(text.encode("utf-16-le")) // 2
