"""What text from the source must not do where it is shown."""

from __future__ import annotations

import re
from typing import Any, Final

UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""What a terminal might obey, or what hides in a line."""
_DIGITS: Final = re.compile(r"\d{12,}|0\d+|\d+[eE]\d+", re.ASCII)
"""Text that a spreadsheet would change by taking it for a number."""
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run it where it is typed in or read from CSV."""
    return text.startswith(("\t", "\r")) or text.lstrip().startswith(_FORMULA)


def is_tame(text: str) -> bool:
    """Whether it surely is no formula and holds no control characters: what nearly all cells are, said
    without looking at each character in Python."""
    return text.isascii() and text.isprintable() and text[:1].isalnum()


def one_line(text: str) -> str:
    """The same without control characters."""
    return UNPRINTABLE.sub("\ufffd", text)


def spreadsheet_text(value: Any) -> Any:
    """Return a cell of CSV that a spreadsheet shows as it is: of digits alone it would make a number,
    round it after the fifteenth and drop zeros in front."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return f'="{value}"'
    return spreadsheet_safe(value)


def spreadsheet_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe; control
    characters are replaced, for a CSV that is looked at on a terminal."""
    if not isinstance(value, str) or is_tame(value):
        return value
    return ("'" if is_formula(value) else "") + one_line(value)
