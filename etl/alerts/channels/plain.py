"""Text that a service shows as it was written: no markup, no mention, and not too long. Pure."""

from __future__ import annotations

from typing import Final

_MENTIONS = str.maketrans("<>@", "＜＞＠")
_MARKUP = str.maketrans("<>@[]*_`~|\\", "＜＞＠［］＊＿｀～｜＼")
"""Full-width lookalikes of characters that a service could take for HTML, Markdown or a mention."""
TITLE_GAP: Final = 8
"""Room for the characters that a service puts between title and text."""


def without_mentions(text: str) -> str:
    """Return the text without tags or mentions."""
    return text.translate(_MENTIONS)


def without_markup(text: str) -> str:
    """Return the text without tags, mentions or Markdown."""
    return text.translate(_MARKUP)


def utf8(text: str) -> int:
    """Return the length of a text in UTF-8 bytes."""
    return len(text.encode())


def utf16(text: str) -> int:
    """Return the length of a text in UTF-16 units: many services count characters so."""
    return len(text.encode("utf-16-le")) // 2
