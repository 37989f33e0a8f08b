"""Text that a service shows as it was written: no markup, no mention, and not too long. Pure."""

from __future__ import annotations

import json
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


def ascii_json(text: str) -> int:
    """Return the length of a text in JSON of ASCII alone, which has `\\u4e2d` for a Chinese character."""
    return len(json.dumps(text)) - 2


def utf8_json(text: str) -> int:
    """Return the length of a text in JSON, in UTF-8 bytes."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def half_or_json(text: str) -> int:
    """Return twice the UTF-8 bytes of a text, or its length in JSON of ASCII if that is more."""
    return max(2 * utf8(text), ascii_json(text))
