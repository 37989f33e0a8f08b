"""Make text from the source harmless on a terminal and in a spreadsheet."""

from __future__ import annotations

import re
from typing import Any, Final

UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""Characters that a terminal might obey, or that are invisible in a line."""
_DIGITS: Final = re.compile(r"\d{12,}|0\d+|\d+[eE]\d+", re.ASCII)
"""Text that a spreadsheet would change by taking it for a number."""
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet would run a text that is typed in or read from CSV."""
    # spreadsheets skip white space before they look for a sign
    return text.startswith(("\t", "\r")) or text.lstrip().startswith(_FORMULA)


def is_tame(text: str) -> bool:
    """Tell whether a text is surely no formula and holds no control characters.

    Nearly all cells are so; this looks at no single character in Python, for speed.
    """
    return text.isascii() and text.isprintable() and text[:1].isalnum()


def one_line(text: str) -> str:
    """Return a text with its control characters replaced."""
    return UNPRINTABLE.sub("\ufffd", text)


def spreadsheet_text(value: Any) -> Any:
    """Return a cell of CSV that a spreadsheet shows as it is.

    It would take digits alone for a number, round them after the fifteenth and drop leading zeros.
    """
    # a quoted formula: the only form of CSV that every spreadsheet keeps as text
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return f'="{value}"'
    return spreadsheet_safe(value)


def spreadsheet_safe(value: Any) -> Any:
    """Return a cell of CSV that neither a spreadsheet nor a terminal obeys.

    Text that would run as a formula gets an apostrophe in front; control characters are replaced.
    """
    if not isinstance(value, str) or is_tame(value):
        return value
    # judged before it is cleaned: a tab or a return in front makes a formula too
    return ("'" if is_formula(value) else "") + one_line(value)
