"""Read amounts of yuan in usual spellings: `1,234.50`, `￥12`, `12.50元`, full-width digits. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final
from unicodedata import category, normalize

from etl.texts import tr

_MARKED: Final = re.compile(
    r"(?P<sign>[+-]?) *(?:CN)?(?:¥|CNY|RMB|人民币)? *(?P<inner>[+-]?)"
    r"(?P<number>[0-9., ]*[0-9][.,]?) *(?:元整?|圆整?|yuan|CNY|RMB|¥)?",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)
_GROUPED: Final = re.compile(r"\d{1,3}(?P<mark>[, ])\d{3}(?:(?P=mark)\d{3})*(?:\.\d*)?", re.ASCII)


class NoAmount(ValueError):
    """Raised for a text that is no amount, or that could be two; the message says which."""


def yuan_of(text: str) -> Decimal:
    """Return the amount that a text spells, exactly.

    A comma or a space between groups of three digits is no decimal mark. Raises `NoAmount` for
    text that could be read in two ways, such as `1.234,50` or `12,5`.
    """
    # full-width digits and signs, the minus of typesetting, and marks of direction from a copy
    seen = "".join(c for c in normalize("NFKC", text) if category(c) != "Cf")
    folded = seen.replace("\u2212", "-").strip()
    marked = _MARKED.fullmatch(folded)
    # one sign, before or after the currency: of two nobody knows what is meant
    if marked is None or (marked["sign"] and marked["inner"]):
        raise NoAmount(tr("must be yuan, such as 5.50"))
    number = marked["number"].strip()
    if not _PLAIN.fullmatch(number) and not _GROUPED.fullmatch(number):
        raise NoAmount(tr("could be read in two ways: write it as 1234.50"))
    amount = Decimal(number.replace(",", "").replace(" ", ""))
    return -amount if "-" in (marked["sign"], marked["inner"]) else amount
