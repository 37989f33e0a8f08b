"""Utilisation and memory as files write them: `37 %`, `1,024 MiB`, `[N/A]`. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from etl.samples.clock import NoSample
from etl.texts import tr

MOST_MB: Final = 2**31
"""MiB that no GPU has."""
_NUMBER: Final = re.compile(
    r"(?P<number>\d{1,3}(?:[, ]\d{3})+|\d+(?:[.,]\d+)?|\.\d+)\s*(?P<unit>[^\d\s.,]*)", re.ASCII
)
_GROUPS: Final = re.compile(r"(?<=\d)[, ](?=\d{3}(?!\d))", re.ASCII)
_NONE: Final = frozenset(
    ("", "-", "--", "n/a", "na", "nan", "null", "none", "err!", "unknown", "无")
)
_PER_MB: Final = {
    **dict.fromkeys(("", "mib", "mb", "m", "兆"), Decimal(1)),
    **dict.fromkeys(("gib", "gb", "g"), Decimal(1_024)),
    **dict.fromkeys(("kib", "kb", "k"), 1 / Decimal(1_024)),
    **dict.fromkeys(("b", "byte", "bytes"), 1 / Decimal(1_048_576)),
}


@lru_cache(maxsize=4_096)
def percent_in(text: str) -> int | None:
    """Return a utilisation in whole percent; None for what says that it is not known, such as `[N/A]`."""
    spelled = _spelled(text, "")
    if spelled is None:
        return None
    number, unit = spelled
    percent = round(number)
    if unit not in ("", "%") or percent > 100:
        raise NoSample(tr("{text!r} is no utilisation in percent", text=text))
    return percent


@lru_cache(maxsize=65_536)
def megabytes_in(text: str, unit_of_column: str) -> int:
    """Return memory in whole MiB, -1 if it is not known."""
    spelled = _spelled(text, unit_of_column)
    if spelled is None:
        return -1
    number, unit = spelled
    if unit not in _PER_MB:
        raise NoSample(tr("{text!r} is no amount of memory", text=text))
    memory = round(number * _PER_MB[unit])
    if memory >= MOST_MB:
        raise NoSample(tr("{text!r} is no amount of memory", text=text))
    return memory


def _spelled(text: str, unit: str) -> tuple[Decimal, str] | None:
    folded = normalize("NFKC", text).strip().casefold()
    # nvidia-smi writes [N/A], [Not Supported], [GPU requires reset] and others
    if folded in _NONE or (folded.startswith("[") and folded.endswith("]")):
        return None
    matched = _NUMBER.fullmatch(folded)
    if matched is None:
        raise NoSample(tr("{text!r} is no number", text=text[:40]))
    # groups of three digits, or a decimal comma
    number = _GROUPS.sub("", matched["number"]).replace(",", ".")
    return Decimal(number), matched["unit"] or unit
