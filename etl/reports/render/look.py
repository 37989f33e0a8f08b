"""The look of text on a screen: its width, colours and signs, and the words of headings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from etl.reports.render.columns import Column

Paint = Callable[[str, str], str]
"""Gives a text one of the styles `head`, `faint`, `good`, `odd`, `bad` and `sum`."""
_SAYS_ITS_UNIT: Final = {"h": "hours", "card-h": "hours", "d": "days", "min": "minutes"}
_IN_NAMES: Final = ("yuan", "percent", "uuid", "s")
"""Words of names that the unit says, or that say nothing to people."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Characters that a terminal's encoding may lack."""

    rule: str
    absent: str
    cut: str
    bars: str
    unseen: str


UNICODE: Final = Signs(rule="─", absent="—", cut="…", bars="▁▂▃▄▅▆▇█", unseen="·")
ASCII: Final = Signs(rule="-", absent="-", cut="~", bars="_.:-=+*#", unseen=" ")


def unpainted(style: str, text: str) -> str:
    """Return the text as it is: a screen without colours."""
    return text


@dataclass(frozen=True, slots=True)
class Look:
    """A screen. `is_wide`: every column, nothing shortened; `is_chosen`: the user named the columns,
    so all of them stay."""

    width: int
    lang: str = "en"
    paint: Paint = unpainted
    signs: Signs = UNICODE
    is_wide: bool = False
    is_chosen: bool = False


def short_heading(column: Column, lang: str) -> str:
    """Return the heading of a column without its unit, which stands below it."""
    heading = column.heading(lang)
    if heading != column.name:
        return heading
    words = column.name.split("_")
    plain = [word for word in words if word not in _IN_NAMES]
    return " ".join("GPU" if word == "gpu" else word for word in plain or words)


def unit_below(column: Column, lang: str) -> str:
    """Return the unit that stands below a heading; empty if the heading has said it."""
    if lang != "zh" and _SAYS_ITS_UNIT.get(column.unit, "\0") in column.name.split("_"):
        return ""
    return column.unit_word(lang)
