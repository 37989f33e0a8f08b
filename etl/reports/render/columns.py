"""What a column of a report is, beyond its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Rows = Iterable[Sequence[Any]]
KINDS: Final = ("text", "int", "number", "instant", "day")
"""Instants are text such as `2026-01-31T23:59:59Z`, days `2026-01-31`."""
LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Column:
    """`kind` is one of `KINDS`, or empty where nobody said; `is_total`: its sum means something."""

    name: str
    about: str = ""
    zh: str = ""
    unit: str = ""
    kind: str = ""
    is_total: bool = False

    def heading(self, lang: str = "en") -> str:
        """Its name for people, without the unit."""
        return self.zh if lang == "zh" and self.zh else self.name

    def full_heading(self, lang: str = "en") -> str:
        """The same, with the unit where there is one."""
        return f"{self.heading(lang)} ({self.unit})" if self.unit else self.heading(lang)


def total(values: Iterable[Any]) -> Any:
    """The sum of what is there; None of nothing. Hundredths of hours add up without dust."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    return rounded(sum(present))


def rounded(value: Any) -> Any:
    """A sum of decimal fractions, without the dust of binary ones."""
    return round(value, 6) if isinstance(value, float) else value
